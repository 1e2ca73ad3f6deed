"""The windows of keys as calendars to look at: of the whole site, and of each unit."""

from collections.abc import Iterable
from datetime import datetime
from typing import override

from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import SaltoKsConfigEntry
from .domain.ids import UnitId, number_of
from .domain.keys import KeyRecord, KeyStatus
from .entity import SaltoKsKeysEntity, SaltoKsUnitEntity, add_units

PARALLEL_UPDATES = 0

_SHOWN = frozenset(KeyStatus) - {KeyStatus.FAILED, KeyStatus.REVOKED, KeyStatus.REMOVING}


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the calendars."""
    async_add_entities([SaltoKsKeysCalendar(entry)])
    add_units(entry, async_add_entities, lambda unit: [SaltoKsUnitCalendar(entry, unit.unit_id)])


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
        key = _next(self.keys.manager.records(statuses=_SHOWN))
        return None if key is None else self._event(key)

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the keys that open within a time."""
        keys = self.keys.manager.records(statuses=_SHOWN)
        return [self._event(key) for key in _within(keys, start_date, end_date)]

    def _event(self, key: KeyRecord) -> CalendarEvent:
        """Show a key by the name of its unit."""
        unit = None if key.unit_id is None else self._units.get(key.unit_id)
        return _event(key, "" if unit is None else unit.name)


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
        key = _next(self._records())
        return None if key is None else _event(key, "")

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the keys that open within a time."""
        return [_event(key, "") for key in _within(self._records(), start_date, end_date)]

    def _records(self) -> list[KeyRecord]:
        return self._keys.manager.records(statuses=_SHOWN, unit_id=self.unit_id)


def _event(key: KeyRecord, unit: str) -> CalendarEvent:
    """Show a key; neither its PIN nor anything personal is in it."""
    return CalendarEvent(
        start=dt_util.as_local(key.window.starts_at),
        end=dt_util.as_local(key.window.ends_at),
        summary=f"{unit} {key.key_id}".strip(),
        uid=key.key_id,
    )


def _next(keys: Iterable[KeyRecord]) -> KeyRecord | None:
    """Return the key that opens now, else the next; a newer one of several."""
    now = dt_util.utcnow()
    coming = (key for key in keys if not key.window.is_over(now))
    return min(coming, key=_place, default=None)


def _within(keys: Iterable[KeyRecord], start: datetime, end: datetime) -> list[KeyRecord]:
    """Return the keys whose windows have time in common with a span, in order."""
    found = (key for key in keys if key.window.starts_at < end and key.window.ends_at > start)
    return sorted(found, key=_place)


def _place(key: KeyRecord) -> tuple[datetime, int]:
    """Return what keys are sorted by."""
    return key.window.starts_at, -number_of(key.key_id)
