"""What stories of bookings do again and again: calendars, keys, and the door at the end."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any, override

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.components.calendar.const import DATA_COMPONENT
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from simulator import Simulator

from .keys import ask, opens
from .support import DOMAIN, GATE, go_on

GONE = {"removing", "revoked", "failed"}
"""States of keys that nobody can come in with any more."""


class FeedCalendar(CalendarEntity):
    """A calendar somewhere on the internet, whose answers a test chooses."""

    _attr_should_poll = False

    def __init__(self, name: str = "Feed") -> None:
        """Start empty."""
        self._attr_name = name
        self.events: list[CalendarEvent] = []
        self.answer: object = None
        """An exception to raise, or what to return instead of events."""
        self.gate = asyncio.Event()
        """Closed while an answer has to wait."""
        self.gate.set()
        self.reads = 0

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """Return nothing; what is in it is read."""
        return None

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Answer as the test has chosen, with what was there when the read began."""
        self.reads += 1
        events = list(self.events)
        await self.gate.wait()
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer is not None:
            return self.answer  # type: ignore[return-value] # odd answers are what is tried
        return [
            event
            for event in events
            if event.end_datetime_local > start_date and event.start_datetime_local < end_date
        ]

    def write(self, name: str, starts_at: datetime, ends_at: datetime, **more: Any) -> None:
        """Put an event in, or in the place of the one of its UID."""
        uid = more.pop("uid", name)
        self.drop(uid)
        self.events.append(
            CalendarEvent(
                start=dt_util.as_local(starts_at),
                end=dt_util.as_local(ends_at),
                summary=name,
                uid=uid,
                **more,
            )
        )

    def drop(self, uid: str) -> None:
        """Take an event out."""
        self.events = [event for event in self.events if event.uid != uid]


async def add_feed(hass: HomeAssistant, name: str = "Feed") -> FeedCalendar:
    """Add a calendar that the test answers for."""
    assert await async_setup_component(hass, "calendar", {})
    feed = FeedCalendar(name)
    await hass.data[DATA_COMPONENT].async_add_entities([feed])
    await hass.async_block_till_done()
    return feed


def calendar_entity(hass: HomeAssistant, entity_id: str) -> CalendarEntity:
    """Return a calendar, to do with it what the frontend does."""
    found = hass.data[DATA_COMPONENT].get_entity(entity_id)
    assert found is not None
    return found


async def only_event(hass: HomeAssistant, entity_id: str) -> CalendarEvent:
    """Return the only event of a calendar."""
    now = dt_util.utcnow()
    (event,) = await calendar_entity(hass, entity_id).async_get_events(
        hass, now.replace(year=now.year - 1), now.replace(year=now.year + 1)
    )
    return event


async def move_event(
    hass: HomeAssistant, entity_id: str, starts_at: datetime, ends_at: datetime
) -> None:
    """Move the only event of a calendar."""
    event = await only_event(hass, entity_id)
    assert event.uid is not None
    moved = {
        "summary": event.summary,
        "dtstart": dt_util.as_local(starts_at),
        "dtend": dt_util.as_local(ends_at),
    }
    await calendar_entity(hass, entity_id).async_update_event(event.uid, moved)


async def minutes_pass(hass: HomeAssistant, freezer: FrozenDateTimeFactory, minutes: int) -> None:
    """Let minutes pass, with what bookings and keys do in each of them."""
    for _ in range(minutes):
        await go_on(hass, freezer, 60)
    await go_on(hass, freezer, 20)


async def go_to(hass: HomeAssistant, freezer: FrozenDateTimeFactory, moment: datetime) -> None:
    """Go on at a later moment, as if nothing had happened in between."""
    freezer.move_to(moment)
    await go_on(hass, freezer, 0)
    await go_on(hass, freezer, 20)


async def keys(hass: HomeAssistant, entry: ConfigEntry[Any]) -> list[dict[str, Any]]:
    """Return the keys that somebody may come in with, now or later."""
    found = (await ask(hass, entry, "get_keys"))["keys"]
    return [key for key in found if key["status"] not in GONE]


async def only_key(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str, Any]:
    """Return the only key that somebody may come in with, with its PIN."""
    (key,) = await keys(hass, entry)
    return key | {"pin": (await ask(hass, entry, "get_pin", key_id=key["key_id"]))["pin"]}


async def bookings(hass: HomeAssistant, **data: Any) -> list[dict[str, Any]]:
    """Return what is known of bookings."""
    answer = await hass.services.async_call(
        DOMAIN, "get_bookings", data, blocking=True, return_response=True
    )
    assert isinstance(answer, dict)
    found: Any = answer["bookings"]
    return list(found)


async def reasons(hass: HomeAssistant, entry: ConfigEntry[Any]) -> list[tuple[str, str]]:
    """Return what was done to keys and why, oldest first."""
    lines = (await ask(hass, entry, "get_audit_log"))["lines"]
    return [(line["action"], line["reason"]) for line in reversed(lines) if line["reason"]]


def openings(sim: Simulator, pin: str, names: Sequence[str] = (GATE,), **at: Any) -> list[bool]:
    """Type a PIN at doors, one after the other."""
    return [opens(sim, pin, name, **at) for name in names]


def trouble(hass: HomeAssistant, entry: ConfigEntry[Any]) -> str | None:
    """Return what the repair issue says of bookings that may be left without a key."""
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"booking_without_key_{entry.entry_id}")
    return None if issue is None else (issue.translation_placeholders or {})["bookings"]
