"""Units, bookings, calendars and keys for the tests of what bookings ask for."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from custom_components.salto_ks.domain.bookings import (
    Booking,
    BookingSource,
    BookingStatus,
    Unit,
)
from custom_components.salto_ks.domain.calendar_events import CalendarItem, read_items
from custom_components.salto_ks.domain.calendar_memory import READ_BACK, GoodRead
from custom_components.salto_ks.domain.ids import BookingId, DoorId, KeyId, UnitId, key_id
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus
from custom_components.salto_ks.domain.windows import AccessWindow

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")
PITCH = UnitId("pitch")
CABIN = UnitId("cabin")
GATE = DoorId("gate")
HUT = DoorId("hut")
STAY = BookingId("stay")


def a_unit(**changes: Any) -> Unit:
    """Return a pitch behind a gate, changed as wished."""
    unit = Unit(
        unit_id=PITCH,
        name="Pitch 12",
        doors=frozenset({GATE}),
        zone="Europe/Amsterdam",
        calendar="calendar.pitch_12",
    )
    return replace(unit, **changes)


def a_booking(**changes: Any) -> Booking:
    """Return a stay of three days from tomorrow on, changed as wished."""
    booking = Booking(
        booking_id=STAY,
        unit_id=PITCH,
        starts_at=NOW + DAY,
        ends_at=NOW + 4 * DAY,
        status=BookingStatus.CONFIRMED,
        source=BookingSource.CALENDAR,
        label="Family Jansen",
    )
    return replace(booking, **changes)


def a_record(number: int = 7, **changes: Any) -> KeyRecord:
    """Return the key of that stay, changed as wished."""
    record = KeyRecord(
        key_id=key_id("ab12", number),
        doors=frozenset({GATE}),
        window=AccessWindow(NOW + DAY, NOW + 4 * DAY),
        status=KeyStatus.SET,
        booking_id=STAY,
        unit_id=PITCH,
        created_at=NOW - DAY,
        changed_at=NOW - DAY,
    )
    return replace(record, **changes)


def ledger(*records: KeyRecord) -> dict[KeyId, KeyRecord]:
    """Return keys by their ids."""
    return {record.key_id: record for record in records}


def an_item(summary: str = "Family Jansen", **changes: Any) -> CalendarItem:
    """Return an event of three days from tomorrow on, changed as wished."""
    item = CalendarItem(summary=summary, starts=NOW + DAY, ends=NOW + 4 * DAY, uid=summary)
    return replace(item, **changes)


def days(summary: str, first: str, last: str, **changes: Any) -> CalendarItem:
    """Return an event of whole days."""
    starts, ends = date.fromisoformat(first), date.fromisoformat(last)
    return an_item(summary, starts=starts, ends=ends, **changes)


def a_read(
    items: Iterable[CalendarItem], now: datetime, *, unit: Unit | None = None, **changes: Any
) -> GoodRead:
    """Return a good read that found these events."""
    reading = read_items(items, unit or a_unit(), AMSTERDAM)
    read = GoodRead(
        reads_from=now - READ_BACK,
        reads_until=now + 365 * DAY,
        events=reading.events,
        unreadable=reading.unreadable,
    )
    return replace(read, **changes)
