"""Which states are written, changed or not."""

from collections.abc import Iterator
from contextlib import contextmanager

from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import (
    Event,
    EventStateChangedData,
    EventStateReportedData,
    HomeAssistant,
    callback,
)


@contextmanager
def written_states(hass: HomeAssistant) -> Iterator[list[str]]:
    """Give the ids of entities as their states are written, changed or not."""
    written: list[str] = []

    @callback
    def note_change(event: Event[EventStateChangedData]) -> None:
        written.append(event.data["entity_id"])

    @callback
    def note_report(data: EventStateReportedData) -> bool:
        # Nobody can listen to this event without saying which of them are wanted.
        written.append(data["entity_id"])
        return False

    @callback
    def ignore(_event: Event[EventStateReportedData]) -> None:
        """Never called: `note_report` wants none of them."""

    ends = [
        hass.bus.async_listen(EVENT_STATE_CHANGED, note_change),
        hass.bus.async_listen(EVENT_STATE_REPORTED, ignore, note_report),
    ]
    try:
        yield written
    finally:
        for end in ends:
            end()
