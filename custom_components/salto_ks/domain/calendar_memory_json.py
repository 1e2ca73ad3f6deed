"""How what is believed of a calendar is written down: pure functions of values.

It is kept so that a start of Home Assistant while a calendar is away takes nobody's key. A memory
that is damaged is none: the calendar then has to be read anew until it is known.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from .bookings import Booking, BookingRefusedError, BookingSource, BookingStatus
from .calendar_memory import Agreement, CalendarMemory, Remembered
from .ids import BookingId, DoorId, UnitId


def memory_to_json(memory: CalendarMemory) -> dict[str, Any]:
    """Write a memory as what JSON has."""
    return {
        "events": [_event_to_json(event) for event in memory.events],
        "emptiness": _optional(_agreement_to_json, memory.emptiness),
        "settling": _optional(_agreement_to_json, memory.settling),
        "settled": memory.settled,
    }


def memory_from_json(data: Any) -> CalendarMemory:
    """Read a memory. Raises ValueError for what is none."""
    try:
        memory = CalendarMemory(
            events=tuple(_event(event) for event in _list(data["events"])),
            emptiness=_optional(_agreement, data["emptiness"]),
            settling=_optional(_agreement, data["settling"]),
            settled=_truth(data["settled"]),
        )
    except (AttributeError, BookingRefusedError, KeyError, OverflowError, TypeError) as err:
        raise ValueError("not the memory of a calendar") from err
    for names in (
        {event.identity for event in memory.events},
        {event.booking.booking_id for event in memory.events},
    ):
        if len(names) < len(memory.events):
            raise ValueError("not the memory of a calendar: an event is in it twice")
    return memory


def booking_to_json(booking: Booking) -> dict[str, Any]:
    """Write a booking as what JSON has."""
    return {
        "booking_id": booking.booking_id,
        "unit_id": booking.unit_id,
        "starts_at": booking.starts_at.isoformat(),
        "ends_at": booking.ends_at.isoformat(),
        "status": booking.status.value,
        "source": booking.source.value,
        "label": booking.label,
        "doors": None if booking.doors is None else sorted(booking.doors),
        "opened_at": _optional(datetime.isoformat, booking.opened_at),
    }


def booking_from_json(data: Any) -> Booking:
    """Read a booking. Raises ValueError for what is none."""
    try:
        return Booking(
            booking_id=BookingId(_word(data["booking_id"])),
            unit_id=UnitId(_word(data["unit_id"])),
            starts_at=_instant(data["starts_at"]),
            ends_at=_instant(data["ends_at"]),
            status=BookingStatus(data["status"]),
            source=BookingSource(data["source"]),
            label=_text(data["label"]),
            doors=_optional(_doors, data["doors"]),
            opened_at=_optional(_instant, data["opened_at"]),
        )
    except (BookingRefusedError, KeyError, OverflowError, TypeError) as err:
        raise ValueError("not a booking") from err


def _event_to_json(event: Remembered) -> dict[str, Any]:
    return {
        "identity": event.identity,
        "has_uid": event.has_uid,
        "booking": booking_to_json(event.booking),
        "said": event.said.value,
        "status_here": event.status_here and event.status_here.value,
        "listed_from": event.listed_from.isoformat(),
        "listed_until": event.listed_until.isoformat(),
        "first_seen_at": event.first_seen_at.isoformat(),
        "last_seen_at": event.last_seen_at.isoformat(),
        "misses": event.misses,
        "missed_at": _optional(datetime.isoformat, event.missed_at),
    }


def _event(data: Mapping[str, Any]) -> Remembered:
    return Remembered(
        identity=_word(data["identity"]),
        has_uid=_truth(data["has_uid"]),
        booking=booking_from_json(data["booking"]),
        said=BookingStatus(data["said"]),
        status_here=_optional(BookingStatus, data["status_here"]),
        listed_from=_instant(data["listed_from"]),
        listed_until=_instant(data["listed_until"]),
        first_seen_at=_instant(data["first_seen_at"]),
        last_seen_at=_instant(data["last_seen_at"]),
        misses=_number(data["misses"]),
        missed_at=_optional(_instant, data["missed_at"]),
    )


def _agreement_to_json(agreement: Agreement) -> dict[str, Any]:
    return {
        "reads": agreement.reads,
        "since": agreement.since.isoformat(),
        "counted_at": agreement.counted_at.isoformat(),
    }


def _agreement(data: Mapping[str, Any]) -> Agreement:
    return Agreement(
        reads=_number(data["reads"]),
        since=_instant(data["since"]),
        counted_at=_instant(data["counted_at"]),
    )


def _optional[S, T](convert: Callable[[S], T], value: S | None) -> T | None:
    return None if value is None else convert(value)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _word(value: object) -> str:
    if not (text := _text(value)):
        raise TypeError("an empty text")
    return text


def _doors(value: object) -> frozenset[DoorId]:
    return frozenset(DoorId(_word(door)) for door in _list(value))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("not a number")
    return value


def _instant(value: object) -> datetime:
    """Read an aware instant."""
    parsed = datetime.fromisoformat(_text(value))
    if parsed.tzinfo is None:
        raise TypeError("not an aware instant")
    return parsed.astimezone(UTC)
