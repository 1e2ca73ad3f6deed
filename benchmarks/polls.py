"""What a poll costs when little, much or everything has changed, and around an outage."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import logging
from typing import Any

from homeassistant.core import HomeAssistant

from custom_components.salto_ks.coordinator import SaltoKsConfigEntry

from .bare import BareClient
from .home import write_files
from .simulated import Simulated
from .watch import Cost, measured

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
        await polls.poll("every entity changed")
        await simulated.fail()
        with _silence():
            await polls.poll(OUTAGE)
        await simulated.recover()
        await polls.poll("recovery: everything back")
    await simulated.change_doors(locks, _CALM)
    await entry.runtime_data.doors.async_refresh()
    await hass.async_block_till_done()
    return polls.results()


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
