"""The units of the site, their doors, and the stays that are in them."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from custom_components.salto_ks.domain.keys import Strategy
from simulator import Simulator
from tests.ha.support import GATE, LAUNDRY, lock_named
from tests.ha.units import CABIN

KEYPADS: Final = (GATE, CABIN, LAUNDRY)
"""Doors at which a PIN can be typed, those of two IQs among them."""

IQS: Final = ("IQ Reception", "IQ Field")


@dataclass(frozen=True, slots=True)
class Stay:
    """A booking as whoever made it has it."""

    unit: str
    starts_at: datetime
    ends_at: datetime
    status: str = "confirmed"

    def moved(self, by: timedelta) -> Stay:
        """Return it at another time."""
        return replace(self, starts_at=self.starts_at + by, ends_at=self.ends_at + by)


@dataclass(frozen=True, slots=True)
class House:
    """A unit of the test."""

    name: str
    doors: tuple[str, ...]
    feed: str | None = None
    before: int = 0
    strategy: Strategy = Strategy.SCHEDULE

    def data(self, sim: Simulator) -> dict[str, Any]:
        """Return what its forms would have written."""
        written: dict[str, Any] = {
            "doors": sorted(lock_named(sim, name).id for name in self.doors),
            "mode": "both",
            "minutes_before": self.before,
            "minutes_after": self.before,
            "strategy": self.strategy.value,
            "on_removal": "revoke",
        }
        return written | ({"calendar": f"calendar.{self.feed.lower()}"} if self.feed else {})


HOUSES: Final = (
    House("Pitch 1", (GATE, CABIN), feed="North", before=30),
    House("Pitch 2", (GATE,), feed="South"),
    House("Pitch 3", (LAUNDRY,), strategy=Strategy.MEMBERSHIP),
    House("Pitch 4", (GATE, LAUNDRY), before=15),
)
