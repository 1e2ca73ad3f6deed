"""Read the events of any calendar entity; whatever goes wrong with one is a read that failed."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from homeassistant.components.calendar import CalendarEvent
from homeassistant.components.calendar.const import DATA_COMPONENT, DOMAIN as CALENDAR_DOMAIN
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .const import DOMAIN, LOGGER
from .domain.bookings import Unit
from .domain.calendar_events import CalendarItem, Reading, read_items
from .domain.calendar_memory import READ_BACK, CalendarRead, FailedRead, GoodRead

READ_AHEAD: Final = timedelta(days=120)
"""How far ahead bookings are looked for; later ones come into sight as time passes."""

READ_TIMEOUT: Final = 60.0
"""Seconds that a calendar has to answer; a server that hangs is no calendar."""

TRUSTED: Final = frozenset({"local_calendar"})
"""Integrations whose calendars are files of this home: what is gone from them is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A look at a calendar."""

    read: CalendarRead
    reading: Reading | None
    """All that was in it; None when there was no answer."""


def is_our_own(hass: HomeAssistant, entity_id: str) -> bool:
    """Tell whether a calendar is one of this integration, which shows keys and has no bookings."""
    entity = er.async_get(hass).async_get(entity_id)
    return entity is not None and entity.platform == DOMAIN


def our_calendars(hass: HomeAssistant) -> list[str]:
    """Return the calendars of this integration."""
    entities = er.async_get(hass).entities.values()
    return sorted(
        entity.entity_id
        for entity in entities
        if entity.platform == DOMAIN and entity.domain == CALENDAR_DOMAIN
    )


async def async_look(hass: HomeAssistant, unit: Unit, now: datetime) -> Looked:
    """Read the calendar of a unit as its bookings."""
    failed = Looked(read=FailedRead(), reading=None)
    component = hass.data.get(DATA_COMPONENT)
    entity_id = unit.calendar
    entity = None if component is None or entity_id is None else component.get_entity(entity_id)
    state = None if entity_id is None else hass.states.get(entity_id)
    if entity is None or state is None or state.state == STATE_UNAVAILABLE:
        return failed
    reads_from, reads_until = now - READ_BACK, now + READ_AHEAD
    zone = await dt_util.async_get_time_zone(unit.zone) or dt_util.get_default_time_zone()
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            events = await entity.async_get_events(
                hass, dt_util.as_local(reads_from), dt_util.as_local(reads_until)
            )
        reading = await hass.async_add_executor_job(_read, events, unit, zone)
    except Exception as err:  # noqa: BLE001 - another integration's code, which may raise anything
        LOGGER.debug("The calendar %s could not be read: %s", entity_id, type(err).__name__)
        return failed
    registered = er.async_get(hass).async_get(entity.entity_id)
    return Looked(
        read=GoodRead(
            reads_from=reads_from,
            reads_until=reads_until,
            events=reading.events,
            unreadable=reading.unreadable,
            trusted=registered is not None and registered.platform in TRUSTED,
        ),
        reading=reading,
    )


def _read(events: Iterable[CalendarEvent], unit: Unit, zone: tzinfo) -> Reading:
    """Read events, which may be a thousand."""
    return read_items(map(_item, events), unit, zone)


def _item(event: CalendarEvent) -> CalendarItem:
    """Take from an event what is needed of it."""
    return CalendarItem(
        summary=event.summary or "",
        starts=event.start,
        ends=event.end,
        uid=event.uid,
        recurrence_id=event.recurrence_id,
        status=event.status,
    )
