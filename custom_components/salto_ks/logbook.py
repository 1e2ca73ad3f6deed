"""Sentences in the activity of Home Assistant for what happens at doors and to keys."""

from collections.abc import Callable
from typing import Any, Final

from homeassistant.components.logbook.const import (
    LOGBOOK_ENTRY_ENTITY_ID,
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .booking_engine import EVENT_CHECKED_IN
from .const import DOMAIN
from .domain.access_events import DenialReason, DoorEventType
from .door_events import EVENT_ACCESS
from .keys.news import NewsKind
from .wording import Wording, cached_wording

type Describe = Callable[[Event[Any]], dict[str, str]]

BY_NOBODY: Final = frozenset(
    {
        DoorEventType.ACCESS_DENIED,
        DoorEventType.OFFICE_MODE_STARTED,
        DoorEventType.OFFICE_MODE_ENDED,
    }
)
"""What has another sentence where nobody is known."""


@callback
def async_describe_events(
    hass: HomeAssistant, async_describe_event: Callable[[str, str, Describe], None]
) -> None:
    """Offer a sentence for each of our events.

    That of a door stands under its lock, that of a key under nothing: one key opens many doors.
    """

    @callback
    def at_a_door(event: Event[Any]) -> dict[str, str]:
        """Describe what has happened at a door."""
        entity_id = event.data["entity_id"]
        lock = hass.states.get(entity_id)
        return {
            LOGBOOK_ENTRY_NAME: entity_id if lock is None else lock.name,
            LOGBOOK_ENTRY_MESSAGE: _sentence_of_door(cached_wording(hass), event.data),
            LOGBOOK_ENTRY_ENTITY_ID: entity_id,
        }

    @callback
    def to_a_key(event: Event[Any]) -> dict[str, str]:
        """Describe what has happened to a key."""
        wording = cached_wording(hass)
        return {
            LOGBOOK_ENTRY_NAME: _name_of_key(wording, event.data),
            LOGBOOK_ENTRY_MESSAGE: _sentence_of_key(wording, event),
        }

    @callback
    def check_in(event: Event[Any]) -> dict[str, str]:
        """Describe that the guests of a booking have come."""
        about = {"booking": event.data["booking_id"]}
        return {
            LOGBOOK_ENTRY_NAME: event.data["unit"],
            LOGBOOK_ENTRY_MESSAGE: cached_wording(hass).common("logbook_checked_in", about),
        }

    async_describe_event(DOMAIN, EVENT_ACCESS, at_a_door)
    async_describe_event(DOMAIN, EVENT_CHECKED_IN, check_in)
    for kind in NewsKind:
        async_describe_event(DOMAIN, f"{DOMAIN}_{kind}", to_a_key)


def _sentence_of_door(wording: Wording, data: dict[str, Any]) -> str:
    """Say what has happened at a door; when, where that was not just now."""
    kind = DoorEventType(data["event_type"])
    about = {
        "by": data.get("by", ""),
        "reason": wording.common(f"access_reason_{data.get('reason', DenialReason.OTHER)}"),
        "category": data.get("category", ""),
    }
    text = f"logbook_{kind.value}"
    if kind in BY_NOBODY and not about["by"]:
        text = f"{text}_by_nobody"
    sentence = wording.common(text, about)
    if not data["late"]:
        return sentence
    at = dt_util.as_local(dt_util.parse_datetime(data["at"], raise_on_error=True))
    return wording.common(
        "logbook_late", {"sentence": sentence, "at": at.strftime("%Y-%m-%d %H:%M")}
    )


def _sentence_of_key(wording: Wording, event: Event[Any]) -> str:
    """Say what has happened to a key."""
    text = f"logbook_{str(event.event_type).removeprefix(f'{DOMAIN}_')}"
    if (problem := event.data.get("problem")) is not None:
        return wording.common(f"{text}_why", {"why": wording.common(f"desk_error_{problem}")})
    change = event.data.get("change")
    return wording.common(text if change is None else f"{text}_{change}")


def _name_of_key(wording: Wording, data: dict[str, Any]) -> str:
    """Name a key by its booking, else by itself."""
    if data["booking_id"] is None:
        return wording.common("logbook_key", {"key": data["key_id"]})
    return wording.common(
        "logbook_key_of_booking", {"key": data["key_id"], "booking": data["booking_id"]}
    )
