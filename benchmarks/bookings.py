"""What bookings cost: reading and believing many calendars, and comparing them with the keys."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
import gc
import logging
from pathlib import Path
from time import process_time
import tracemalloc
from types import MappingProxyType
from typing import Any, Final, override
from uuid import uuid4

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.components.calendar.const import DOMAIN as CALENDAR
from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import EntityPlatform
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.salto_ks.booking_engine import (
    FIRST_LOOK_AFTER,
    READ_AFTER_CHANGE,
    BookingEngine,
)
from custom_components.salto_ks.booking_store import BookingStore
from custom_components.salto_ks.calendar_source import READ_AHEAD
from custom_components.salto_ks.coordinator import SaltoKsConfigEntry
from custom_components.salto_ks.domain.calendar_memory import READ_BACK
from custom_components.salto_ks.domain.desired_keys import DesiredKey, desired_keys
from custom_components.salto_ks.domain.ids import DoorId
from custom_components.salto_ks.domain.keys import KeyRecord
from custom_components.salto_ks.keys.ledger import async_get_ledger
from custom_components.salto_ks.keys.pin_cipher import async_get_pin_cipher
from custom_components.salto_ks.units import CONF_CALENDAR, CONF_DOORS, SUBENTRY_UNIT

from .home import home_assistant, set_up_site, write_files
from .keys import fill, records_of
from .simulated import simulated
from .watch import Cost, measured

UNITS: Final = 200
STAYS: Final = 25
"""Bookings of each unit."""
REPEATS: Final = 6

FIRST_READ: Final = "reading and believing, nothing known before"
READ: Final = "reading and believing, nothing changed"
CHANGED_READ: Final = "reading and believing, 4 % moved"
BARE_READ: Final = "bare reading of the calendars"
PLAN: Final = "planning, nothing to do"
CHANGED_PLAN: Final = "planning, 4 % moved"
BEGINNING_PLAN: Final = "planning, 4 % moved, and begin with their keys"
BARE_PLAN: Final = "bare comparison of windows"
ROUND: Final = "a round: reading, believing, planning, and all entities look again"

_ZONE: Final = "Europe/Amsterdam"
_NIGHTS: Final = 3
_APART: Final = 4
"""Days from the start of a stay to the next."""
_MOVED: Final = 12
"""The stay of each unit that moves by a day, one in twenty-five."""
_DAY: Final = timedelta(days=1)
_QUIET: Final = 1.0
"""Seconds in which nothing is read, once all is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportCosts:
    """What it costs that each calendar has written its state, and nothing is new in any."""

    reads: int
    """Reads of calendars that came of it."""
    cpu: float
    """CPU seconds of all threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingCosts:
    """All about bookings."""

    units: int
    bookings: int
    passes: Mapping[str, Sequence[Cost]]
    """By what was done."""
    reports: ReportCosts
    memory: int
    """Bytes of the Python objects of what is known of bookings."""
    planning_memory: int
    """The most bytes that a planning pass has beside that."""


class _Calendar(CalendarEntity):
    """A calendar of this home, without its file."""

    _attr_should_poll = False

    def __init__(self, number: int, today: date) -> None:
        """Fill it with stays; those of every other calendar are whole days."""
        self._attr_unique_id = self._attr_name = f"unit {number}"
        self._whole_days = number % 2 == 0
        self._today = today
        self._stays = [self._stay(number) for number in range(STAYS)]
        self.reads = 0

    def move(self, *, moved: bool) -> None:
        """Have one of the stays begin a day later, or not any more."""
        self._stays[_MOVED] = self._stay(_MOVED, _DAY * moved)

    def _stay(self, number: int, later: timedelta = timedelta()) -> CalendarEvent:
        first = self._today + (number * _APART - 1) * _DAY + later
        last, zone = first + _NIGHTS * _DAY, dt_util.get_default_time_zone()
        return CalendarEvent(
            start=first if self._whole_days else datetime.combine(first, time(15), zone),
            end=last if self._whole_days else datetime.combine(last, time(10), zone),
            summary=f"Family Jansen {number}",
            uid=f"{self.unique_id} stay {number}",
        )

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """Return nothing; what is in it is read."""
        return None

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the stays that have a moment in common with a time."""
        self.reads += 1
        return [
            stay
            for stay in self._stays
            if stay.end_datetime_local > start_date and stay.start_datetime_local < end_date
        ]


class _House:
    """A running site with many units, and a key for each of their bookings."""

    def __init__(
        self, hass: HomeAssistant, entry: SaltoKsConfigEntry, calendars: Sequence[_Calendar]
    ) -> None:
        """Measure the bookings of an entry whose calendars these are."""
        self.hass = hass
        self.entry = entry
        self.calendars = calendars
        self.site_id = entry.runtime_data.site.site_id

    @property
    def reads(self) -> int:
        """Return how often calendars have been read so far."""
        return sum(one.reads for one in self.calendars)

    @property
    def engine(self) -> BookingEngine:
        """Return the engine of the entry as it is loaded now."""
        return self.entry.runtime_data.bookings

    async def switch(self, *, active: bool) -> None:
        """Allow, or forbid, that access is given."""
        await self.entry.runtime_data.states.set_active(self.site_id, active=active)

    def move(self, *, moved: bool) -> None:
        """Move one stay of each calendar, or move it back."""
        for one in self.calendars:
            one.move(moved=moved)

    async def bare_read(self) -> None:
        """Ask each calendar for its events, and nothing else."""
        now = dt_util.now()
        for one in self.calendars:
            await one.async_get_events(self.hass, now - READ_BACK, now + READ_AHEAD)

    async def read(self) -> None:
        """Read all calendars and believe them, as a round of the engine begins."""
        engine = self.engine
        looks = await engine._async_looks(engine.units)  # noqa: SLF001 - measures reading apart from planning
        async with engine._keeping:  # noqa: SLF001 - the lock that believing needs
            await engine._async_believe(looks)  # noqa: SLF001 - measures believing apart

    async def plan(self) -> None:
        """Compare what bookings want with the keys, and begin what is to be done."""
        await self.engine._async_plan()  # noqa: SLF001 - only a timer calls it

    async def bare_plan(self) -> None:
        """Compare the windows of bookings with those of their keys, with the least code."""
        records = self.entry.runtime_data.keys.ledger.records.values()
        windows = {record.booking_id: record.window for record in records}
        for one in self.engine.bookings():
            window = windows[one.booking_id]
            _ = window.starts_at == one.starts_at and window.ends_at == one.ends_at

    async def whole_round(self) -> None:
        """Do what is done every five minutes."""
        await self.engine._async_look_at_all()  # noqa: SLF001 - only a timer calls it


async def measure_bookings(folder: Path) -> BookingCosts:
    """Measure everything about bookings, with files in a folder."""
    config = folder / "config-bookings"
    config.mkdir()
    async with simulated(UNITS) as site, home_assistant(config, started=True) as hass:
        await hass.config.async_update(time_zone=_ZONE)
        house = _House(hass, await set_up_site(hass, site), await _add_calendars(hass))
        await house.switch(active=False)
        await _add_units(house, site.seed.lock_ids)
        first = await measured(house.read())
        await _let_reads_end(house, FIRST_LOOK_AFTER)
        await _give_keys(house, site.seed.lock_ids)
        await write_files(hass)
        return await _measure(house, first)


async def _add_calendars(hass: HomeAssistant) -> list[_Calendar]:
    """Add the calendars, which are believed at once as those of the home are."""
    await async_setup_component(hass, CALENDAR, {})
    platform = EntityPlatform(
        hass=hass,
        logger=logging.getLogger(__name__),
        domain=CALENDAR,
        platform_name="local_calendar",
        platform=None,
        scan_interval=timedelta(minutes=1),
        entity_namespace=None,
    )
    calendars = [_Calendar(number, dt_util.now().date()) for number in range(UNITS)]
    await platform.async_add_entities(calendars)
    return calendars


async def _add_units(house: _House, lock_ids: Sequence[str]) -> None:
    """Give each calendar a unit with a door, without loading the entry for each."""
    entries, entry = house.hass.config_entries, house.entry
    await entries.async_unload(entry.entry_id)
    for calendar, lock_id in zip(house.calendars, lock_ids, strict=True):
        unit = ConfigSubentry(
            data=MappingProxyType({CONF_CALENDAR: calendar.entity_id, CONF_DOORS: [lock_id]}),
            subentry_type=SUBENTRY_UNIT,
            title=f"Unit {calendar.unique_id}",
            unique_id=None,
        )
        entries.async_add_subentry(entry, unit)
    await entries.async_setup(entry.entry_id)
    await house.hass.async_block_till_done()


async def _give_keys(house: _House, lock_ids: Sequence[str]) -> None:
    """Put a key into the ledger for each booking, as it is wanted; Salto has none of them."""
    ledger = await async_get_ledger(house.hass, house.site_id)
    cipher = await async_get_pin_cipher(house.hass)
    engine = house.engine
    wanted: defaultdict[frozenset[DoorId], list[DesiredKey]] = defaultdict(list)
    for key in desired_keys(engine.bookings(), engine.units, dt_util.utcnow()):
        wanted[key.doors].append(key)

    things = [
        {kind: str(uuid4()) for kind in ("user", "person", "group", "schedule")} | {"lock": lock_id}
        for lock_id in lock_ids
        for _ in range(STAYS)
    ]

    def records() -> Iterator[KeyRecord]:
        for record in records_of(ledger, cipher, things):
            key = wanted[record.doors].pop()
            yield replace(record, booking_id=key.booking_id, unit_id=key.unit_id, window=key.window)

    await fill(ledger, records)


async def _measure(house: _House, first: Cost) -> BookingCosts:
    """Measure what is done again and again; nobody may give access until the end of it.

    So the same is found to be done each time, and not begun.
    """
    passes: dict[str, list[Cost]] = {FIRST_READ: [first]}

    async def note(kind: str, operation: Coroutine[Any, Any, object]) -> None:
        passes.setdefault(kind, []).append(await measured(operation))

    for _ in range(REPEATS):
        await note(READ, house.read())
        house.move(moved=True)
        await note(CHANGED_READ, house.read())
        await note(BARE_READ, house.bare_read())
        await note(CHANGED_PLAN, house.plan())
        house.move(moved=False)
        await house.read()
        await note(PLAN, house.plan())
        await note(BARE_PLAN, house.bare_plan())
        await note(ROUND, house.whole_round())
    reports = await _measure_reports(house)
    known, planning = await _memory_of_known(house), await _most_memory(house.plan())
    house.move(moved=True)
    await house.read()
    await house.switch(active=True)
    await note(BEGINNING_PLAN, house.plan())
    return BookingCosts(
        units=UNITS,
        bookings=len(house.engine.bookings()),
        passes=passes,
        reports=reports,
        memory=known,
        planning_memory=planning,
    )


async def _measure_reports(house: _House) -> ReportCosts:
    """Have each calendar write its state, as it is polled, and see what comes of it."""
    reads, cpu = house.reads, process_time()
    for calendar in house.calendars:
        calendar.async_write_ha_state()
    await _let_reads_end(house, READ_AFTER_CHANGE)
    return ReportCosts(reads=house.reads - reads, cpu=process_time() - cpu)


async def _let_reads_end(house: _House, after: float) -> None:
    """Wait for reads that begin after so many seconds, until no more come."""
    seen = -1
    await asyncio.sleep(after)
    while seen != house.reads:
        seen = house.reads
        await asyncio.sleep(_QUIET)


async def _memory_of_known(house: _House) -> int:
    """Return the bytes of what is known of bookings, read from the disk."""
    gc.collect()
    tracemalloc.start()
    store = BookingStore(house.hass, house.site_id)
    await store.async_load()
    gc.collect()
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    if sum(len(memory.events) for memory in store.known.calendars.values()) != UNITS * STAYS:
        raise RuntimeError("not all bookings are on disk")
    return memory


async def _most_memory(operation: Coroutine[Any, Any, object]) -> int:
    """Return the most bytes that something has while it is done."""
    gc.collect()
    tracemalloc.start()
    await operation
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most
