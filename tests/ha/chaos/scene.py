"""All that is known of the days so far, and how to ask the integration for something."""

from collections import Counter, deque
from dataclasses import dataclass, field
import random
from types import MappingProxyType
from typing import Any

from homeassistant.config_entries import ConfigSubentry
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr
from homeassistant.util import dt as dt_util

from custom_components.salto_ks.domain.keys import KeyStatus
from simulator import Simulator
from tests.ha.keys import HOUR
from tests.ha.support import DOMAIN

from .home import Home
from .houses import HOUSES, House, Stay


@dataclass(slots=True)
class Figures:
    """What has happened."""

    operations: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    restarts: int = 0
    keys: int = 0
    """Keys that were tried at doors in the end."""
    bookings: int = 0
    """Bookings that had to have a key in the end."""


class Scene:
    """One site, what was done there, and what whoever did it believes of it."""

    def __init__(self, home: Home, sim: Simulator, luck: random.Random) -> None:
        """Begin with a site that is set up and has no units."""
        self.home, self.sim, self.luck = home, sim, luck
        self.figures = Figures()
        self.story: deque[str] = deque(maxlen=600)
        """What was done last, to be told when a promise was not kept."""
        self.in_calendars: dict[str, Stay] = {}
        self.told: dict[str, Stay] = {}
        self.by_hand: dict[str, KeyStatus] = {}
        """Keys that were asked for by hand, and how they were left as far as that is known."""
        self.asked_to_end: set[str] = set()
        self.pins: set[str] = set()
        self._numbers = iter(range(1, 1_000_000))

    def number(self) -> int:
        """Return a number that was not given out before."""
        return next(self._numbers)

    def some_stay(self, unit: str) -> Stay:
        """Choose a stay in a unit, around now."""
        now, luck = dt_util.utcnow().replace(second=0, microsecond=0), self.luck
        starts = now + luck.randint(-3, 40) * HOUR
        return Stay(unit, starts, starts + luck.choice([1, 3, 20, 50]) * HOUR)

    def door(self, name: str) -> str:
        """Return the lock of a door. Raises HomeAssistantError where there is none."""
        for state in self.home.hass.states.async_all("lock"):
            if state.name.endswith(name):
                return state.entity_id
        raise HomeAssistantError("no such door")

    def units(self) -> dict[str, str]:
        """Return the ids of the units by their names."""
        subentries = self.home.entry.subentries.items()
        return {one.title: unit_id for unit_id, one in subentries if one.subentry_type == "unit"}

    def add_unit(self, house: House) -> None:
        """Add a unit."""
        self.story.append(f"{house.name} is added")
        subentry = ConfigSubentry(
            data=MappingProxyType(house.data(self.sim)),
            subentry_type="unit",
            title=house.name,
            unique_id=None,
        )
        self.home.hass.config_entries.async_add_subentry(self.home.entry, subentry)

    def remove_unit(self, house: House) -> None:
        """Delete a unit that there is."""
        self.story.append(f"{house.name} is deleted")
        entries = self.home.hass.config_entries
        entries.async_remove_subentry(self.home.entry, self.units()[house.name])

    def unit_device(self, unit: str) -> str:
        """Return the device of a unit. Raises HomeAssistantError where there is none."""
        home = self.home
        for unit_id, subentry in home.entry.subentries.items():
            found = dr.async_get(home.hass).async_get_device_by_identifier(
                (DOMAIN, unit_id), home.entry.entry_id
            )
            if subentry.title == unit and found is not None:
                return found.id
        raise HomeAssistantError("no such unit")

    async def call(self, action: str, *, domain: str = DOMAIN, **data: Any) -> dict[str, Any]:
        """Call an action and return its response, if it has one."""
        answer = await self.home.hass.services.async_call(
            domain, action, data, blocking=True, return_response=domain == DOMAIN
        )
        return answer if isinstance(answer, dict) else {}

    async def ask(self, action: str, **data: Any) -> dict[str, Any]:
        """Call an action of ours about the site."""
        return await self.call(action, config_entry_id=self.home.entry.entry_id, **data)

    def note(self, key: dict[str, Any]) -> None:
        """Keep the PIN that was handed out with a key."""
        self.story.append(f"{key['key_id']} handed out")
        if key.get("pin"):
            self.pins.add(key["pin"])

    def write_calendars(self) -> None:
        """Have calendars hold what they should, and say that they have changed."""
        feeds = {house.name: house.feed for house in HOUSES if house.feed}
        for feed in self.home.feeds.values():
            feed.events = []
        for uid, stay in self.in_calendars.items():
            feed = self.home.feeds[str(feeds[stay.unit])]
            feed.write(f"Family {uid}", stay.starts_at, stay.ends_at, uid=uid, status=stay.status)
        for feed in self.home.feeds.values():
            if self.luck.random() < 0.5:
                feed.async_write_ha_state()
