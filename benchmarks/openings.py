"""How long an opening takes: the bare request, a trivial lock entity, our lock entity."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import cycle, permutations
from time import perf_counter

from homeassistant.components.lock.const import DOMAIN as LOCK
from homeassistant.const import ATTR_ENTITY_ID, SERVICE_LOCK, SERVICE_UNLOCK
from homeassistant.core import HomeAssistant

from custom_components.salto_ks.api.models import IqId
from custom_components.salto_ks.api.otp import IqOtp
from custom_components.salto_ks.coordinator import SaltoKsConfigEntry

from .bare import BareClient, Signer
from .figures import typical
from .home import device_ids, entity_id
from .simulated import Simulated
from .trivial_lock import add_trivial_locks
from .watch import measured
from .written import written_states

WARM_UP = 30
DOORS_USED = 12
"""Doors that take turns, all on one IQ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningTimes:
    """Seconds that each way took, one figure for each round."""

    doors: int
    bare: tuple[float, ...]
    trivial: tuple[float, ...]
    ours: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The most that one opening by our lock entity caused."""

    requests: int
    devices_written: int
    """Doors whose states were written; anything above one is a door that nobody opened."""
    states_written: int
    loop_cpu: float
    """Median of the CPU seconds of the event loop, with all that follows the answer."""


class Openings:
    """The three ways of opening the doors of one site."""

    def __init__(
        self,
        hass: HomeAssistant,
        simulated: Simulated,
        bare: BareClient,
        signers: tuple[Signer, Signer],
    ) -> None:
        """Use the doors of the first IQ; `prepare` comes before anything else."""
        self._hass = hass
        self._simulated = simulated
        self._bare = bare
        self._for_bare, self._for_trivial = signers
        self._trivial = ""
        self._locks = {
            lock_id: entity_id(hass, LOCK, lock_id, "lock")
            for lock_id in simulated.seed.lock_ids[:DOORS_USED]
        }
        self._turns = cycle(self._locks)
        self._orders = cycle(permutations((self._bare_way, self._trivial_way, self._our_way)))
        self._lock_id = ""
        self._otp = ""
        self._times: dict[Callable[[], Awaitable[None]], list[float]] = {}

    async def prepare(self) -> None:
        """Add the trivial lock."""
        (lock,) = await add_trivial_locks(self._hass, self._send, 1)
        self._trivial = lock.entity_id

    async def round(self) -> None:
        """Open a door once in each way, the order changing from round to round."""
        self._lock_id = next(self._turns)
        for way in next(self._orders):
            signer = self._for_bare if way == self._bare_way else self._for_trivial
            self._otp = "" if way == self._our_way else signer.sign()
            began = perf_counter()
            await way()
            self._times.setdefault(way, []).append(perf_counter() - began)
            await self._relock()

    def forget_times(self) -> None:
        """End the warm-up."""
        self._times.clear()

    @property
    def times(self) -> OpeningTimes:
        """What the rounds took."""
        return OpeningTimes(
            doors=self._simulated.doors,
            bare=tuple(self._times[self._bare_way]),
            trivial=tuple(self._times[self._trivial_way]),
            ours=tuple(self._times[self._our_way]),
        )

    async def traffic(self) -> Traffic:
        """Open each door once by our entity and count what that causes."""
        requests, written, costs = [], [], []
        for lock_id in self._locks:
            self._lock_id = lock_id
            await self._simulated.forget_requests()
            with written_states(self._hass) as entity_ids:
                await self._our_way()
                await self._hass.async_block_till_done()
            requests.append(await self._simulated.requests())
            written.append(entity_ids)
            await self._relock()
            costs.append(await measured(self._our_way()))
            await self._relock()
        return Traffic(
            requests=max(len(found) for found in requests),
            devices_written=max(len(device_ids(self._hass, set(ids))) for ids in written),
            states_written=max(len(ids) for ids in written),
            loop_cpu=typical(costs, lambda cost: cost.loop_cpu),
        )

    async def _bare_way(self) -> None:
        await self._bare.open(self._lock_id, self._otp)

    async def _trivial_way(self) -> None:
        await self._act(SERVICE_UNLOCK, self._trivial)

    async def _our_way(self) -> None:
        await self._act(SERVICE_UNLOCK, self._locks[self._lock_id])

    async def _send(self) -> None:
        """Do what the trivial lock does."""
        await self._bare.open(self._lock_id, self._otp)

    async def _act(self, service: str, entity: str) -> None:
        await self._hass.services.async_call(LOCK, service, {ATTR_ENTITY_ID: entity}, blocking=True)

    async def _relock(self) -> None:
        """Let the door relock, and have our entity look at it, as it does by itself later."""
        await self._simulated.change_doors(
            [self._lock_id], {"locked_state": "locked", "relock_at": None}
        )
        await self._act(SERVICE_LOCK, self._locks[self._lock_id])


async def compare_openings(openings: list[Openings], rounds: int) -> list[OpeningTimes]:
    """Open doors at all sites by turns."""
    for opening in openings:
        await opening.prepare()
    for number in range(WARM_UP + rounds):
        if number == WARM_UP:
            for opening in openings:
                opening.forget_times()
        for opening in openings:
            await opening.round()
    return [opening.times for opening in openings]


def signers(entry: SaltoKsConfigEntry, iq_id: str) -> tuple[Signer, Signer]:
    """Return what signs for the bare client and for the trivial lock, with our own secret."""
    credential = entry.runtime_data.commands.credential(IqId(iq_id))
    if credential is None or credential.pin is None:
        raise RuntimeError("the IQ is not activated")
    otp = IqOtp(credential.secret, credential.pin)
    return Signer(otp), Signer(otp)
