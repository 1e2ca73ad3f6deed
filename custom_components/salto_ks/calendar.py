"""The windows of keys as calendars to look at: of the whole site, and of each unit."""

from collections.abc import Iterable
from datetime import datetime
from typing import override

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import SaltoKsConfigEntry
from .domain.bookings import Unit
from .domain.ids import UnitId
from .domain.keys import KeyRecord, KeyStatus
from .entity import SaltoKsKeysEntity, SaltoKsUnitEntity
from .site_keys import SiteKeys

PARALLEL_UPDATES = 0

_SHOWN = frozenset(KeyStatus) - {KeyStatus.FAILED, KeyStatus.REVOKED, KeyStatus.REMOVING}


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the calendars."""
    async_add_entities([SaltoKsKeysCalendar(entry)])
    for unit_id in entry.runtime_data.bookings.units:
        async_add_entities([SaltoKsUnitCalendar(entry, unit_id)], config_subentry_id=unit_id)


class SaltoKsKeysCalendar(SaltoKsKeysEntity, CalendarEntity):
    """The keys of a site."""

    _attr_translation_key = "keys"

    def __init__(self, entry: SaltoKsConfigEntry) -> None:
        """Belong to the site."""
        super().__init__(entry, "keys")
        self._units = entry.runtime_data.bookings.units

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """Return the key that opens now, else the next."""
        return _next(self._events())

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the keys that open within a time."""
        return _within(self._events(), start_date, end_date)

    def _unit(self, key: KeyRecord) -> Unit | None:
        """Return the unit of a key."""
        return None if key.unit_id is None else self._units.get(key.unit_id)

    def _events(self) -> list[CalendarEvent]:
        """Return all keys, by the names of their units."""
        return [
            _event(key, "" if (unit := self._unit(key)) is None else unit.name)
            for key in _keys(self.keys, None)
        ]


class SaltoKsUnitCalendar(SaltoKsUnitEntity, CalendarEntity):
    """The keys of a unit."""

    _attr_translation_key = "keys"

    def __init__(self, entry: SaltoKsConfigEntry, unit_id: UnitId) -> None:
        """Belong to the unit."""
        super().__init__(entry, unit_id, "keys")
        self._keys = entry.runtime_data.keys

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """Return the key that opens now, else the next."""
        return _next(self._events())

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the keys that open within a time."""
        return _within(self._events(), start_date, end_date)

    def _events(self) -> list[CalendarEvent]:
        return [_event(key, "") for key in _keys(self._keys, self.unit_id)]


def _keys(keys: SiteKeys, unit_id: UnitId | None) -> Iterable[KeyRecord]:
    """Return the keys that open, have opened or will."""
    shown = keys.manager.keys(statuses=_SHOWN)
    return (key for key in shown if unit_id in {None, key.unit_id})


def _event(key: KeyRecord, unit: str) -> CalendarEvent:
    """Show a key; neither its PIN nor anything personal is in it."""
    return CalendarEvent(
        start=dt_util.as_local(key.window.starts_at),
        end=dt_util.as_local(key.window.ends_at),
        summary=f"{unit} {key.key_id}".strip(),
        uid=key.key_id,
    )


def _next(events: Iterable[CalendarEvent]) -> CalendarEvent | None:
    """Return the event that goes on or comes next."""
    now = dt_util.utcnow()
    coming = [event for event in events if event.end_datetime_local > now]
    return min(coming, key=lambda event: event.start_datetime_local, default=None)


def _within(events: Iterable[CalendarEvent], start: datetime, end: datetime) -> list[CalendarEvent]:
    """Return the events that have time in common with a span, in order."""
    found = [
        event
        for event in events
        if event.start_datetime_local < end and event.end_datetime_local > start
    ]
    return sorted(found, key=lambda event: event.start_datetime_local)
