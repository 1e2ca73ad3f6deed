"""What a poll costs when little, much or everything has changed, and around an outage."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import logging
from typing import Any

from homeassistant.core import HomeAssistant

from custom_components.salto_ks.coordinator import SaltoKsConfigEntry

from .bare import BareClient
from .home import write_files
from .simulated import Simulated
from .trivial_lock import TrivialLock, add_trivial_locks
from .watch import Cost, measured
from .written import written_states

_CALM: dict[str, Any] = {
    "battery_level": "fresh",
    "online": True,
    "left_open_alarm": False,
    "intrusion_alarm": False,
    "privacy_mode": False,
    "locked_state": "locked",
}
_STORMY: dict[str, Any] = {
    "battery_level": "low",
    "online": False,
    "left_open_alarm": True,
    "intrusion_alarm": True,
    "privacy_mode": True,
    "locked_state": "office_mode",
}
"""Between the two, every entity of a door changes its state."""

OUTAGE = "outage: everything unavailable"
BARE = "bare client: fetch and parse the pages"
ALL = "every entity changed"
BARE_STATES = "bare entities: write as many states, as trivial locks"
BASELINES = frozenset({BARE, BARE_STATES})

_AT_ONCE = 300
"""States written before others get their turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollCosts:
    """Several polls of one kind."""

    kind: str
    costs: tuple[Cost, ...]
    requests: int
    """Most requests of one poll."""


async def measure_polls(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    simulated: Simulated,
    bare: BareClient,
    repeats: int,
) -> list[PollCosts]:
    """Poll again and again, all kinds by turns; leaves the site calm."""
    polls = _Polls(hass, entry, simulated)
    locks = simulated.seed.lock_ids
    few = locks[:: max(1, len(locks) // max(1, len(locks) // 100))]
    for number in range(repeats):
        changes = _CALM if number % 2 else _STORMY
        await polls.poll("nothing changed")
        await polls.note(BARE, await measured(bare.poll()))
        await simulated.change_doors(few, changes)
        await polls.poll("1 % of the doors changed")
        await simulated.change_doors(locks, changes)
        await polls.poll(ALL)
        await simulated.fail()
        with _silence():
            await polls.poll(OUTAGE)
        await simulated.recover()
        await polls.poll("recovery: everything back")
    # The entities that do nothing come last: the garbage collector looks at them too.
    locks_of_nothing = await add_trivial_locks(hass, _nothing, await polls.states_of_all(locks))
    for _ in range(repeats):
        await polls.note(BARE_STATES, await measured(_turn(locks_of_nothing)))
    for lock in locks_of_nothing:
        await lock.async_remove(force_remove=True)
    await simulated.change_doors(locks, _CALM)
    await entry.runtime_data.doors.async_refresh()
    await hass.async_block_till_done()
    return polls.results()


async def _nothing() -> None:
    """Do what a lock does that is only there to be shown."""


async def _turn(locks: list[TrivialLock]) -> None:
    """Have locks write their states, with turns for others in between."""
    for number, lock in enumerate(locks):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        lock.turn()


class _Polls:
    """Collects what polls cost."""

    def __init__(
        self, hass: HomeAssistant, entry: SaltoKsConfigEntry, simulated: Simulated
    ) -> None:
        """Poll the site of an entry."""
        self._hass = hass
        self._doors = entry.runtime_data.doors
        self._simulated = simulated
        self._costs: dict[str, list[Cost]] = {}
        self._requests: dict[str, int] = {}

    async def poll(self, kind: str) -> None:
        """Poll once."""
        await write_files(self._hass)
        await self._simulated.forget_requests()
        await self.note(kind, await measured(self._doors.async_refresh()))

    async def states_of_all(self, lock_ids: Sequence[str]) -> int:
        """Return how many states are written when every entity changes; calm afterwards."""
        await self._simulated.change_doors(lock_ids, _STORMY)
        with written_states(self._hass) as written:
            await measured(self._doors.async_refresh())
        await self._simulated.change_doors(lock_ids, _CALM)
        await measured(self._doors.async_refresh())
        await self._simulated.forget_requests()
        return len(written)

    async def note(self, kind: str, cost: Cost) -> None:
        """Keep what something cost."""
        self._costs.setdefault(kind, []).append(cost)
        requests = len(await self._simulated.requests())
        self._requests[kind] = max(requests, self._requests.get(kind, 0))
        await self._simulated.forget_requests()

    def results(self) -> list[PollCosts]:
        """Return everything, in the order in which it first happened."""
        return [
            PollCosts(kind=kind, costs=tuple(costs), requests=self._requests[kind])
            for kind, costs in self._costs.items()
        ]


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the outage that was made on purpose out of the output."""
    logger = logging.getLogger("custom_components.salto_ks")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
