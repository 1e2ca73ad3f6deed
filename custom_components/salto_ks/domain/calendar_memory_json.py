"""How what is believed of a calendar is written down: pure functions of values.

It is kept so that a start of Home Assistant while a calendar is away takes nobody's key. A memory
that is damaged is none: the calendar then has to be read anew until it is known.
"""

from collections.abc import Mapping
from typing import Any

from .bookings import Booking, BookingRefusedError, BookingSource, BookingStatus
from .calendar_memory import Agreement, CalendarMemory, Remembered
from .ids import BookingId, DoorId, UnitId
from .json_values import (
    as_instant,
    as_list,
    as_number,
    as_text,
    as_truth,
    as_word,
    instant_to_json,
    optional,
)


def memory_to_json(memory: CalendarMemory) -> dict[str, Any]:
    """Write a memory as what JSON has."""
    return {
        "events": [_event_to_json(event) for event in memory.events],
        "emptiness": optional(_agreement_to_json, memory.emptiness),
        "settling": optional(_agreement_to_json, memory.settling),
        "settled": memory.settled,
    }


def memory_from_json(data: Any) -> CalendarMemory:
    """Read a memory. Raises ValueError for what is none."""
    try:
        memory = CalendarMemory(
            events=tuple(_event(event) for event in as_list(data["events"])),
            emptiness=optional(_agreement, data["emptiness"]),
            settling=optional(_agreement, data["settling"]),
            settled=as_truth(data["settled"]),
        )
    except (KeyError, TypeError, ValueError) as err:
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
        "starts_at": instant_to_json(booking.starts_at),
        "ends_at": instant_to_json(booking.ends_at),
        "status": booking.status.value,
        "source": booking.source.value,
        "label": booking.label,
        "doors": None if booking.doors is None else sorted(booking.doors),
        "opened_at": optional(instant_to_json, booking.opened_at),
    }


def booking_from_json(data: Any) -> Booking:
    """Read a booking. Raises ValueError for what is none."""
    try:
        return Booking(
            booking_id=BookingId(as_word(data["booking_id"])),
            unit_id=UnitId(as_word(data["unit_id"])),
            starts_at=as_instant(data["starts_at"]),
            ends_at=as_instant(data["ends_at"]),
            status=BookingStatus(data["status"]),
            source=BookingSource(data["source"]),
            label=as_text(data["label"]),
            doors=optional(_doors, data["doors"]),
            opened_at=optional(as_instant, data["opened_at"]),
        )
    except (BookingRefusedError, KeyError, TypeError, ValueError) as err:
        raise ValueError("not a booking") from err


def _event_to_json(event: Remembered) -> dict[str, Any]:
    return {
        "identity": event.identity,
        "has_uid": event.has_uid,
        "booking": booking_to_json(event.booking),
        "said": event.said.value,
        "status_here": event.status_here and event.status_here.value,
        "listed_from": instant_to_json(event.listed_from),
        "listed_until": instant_to_json(event.listed_until),
        "first_seen_at": instant_to_json(event.first_seen_at),
        "last_seen_at": instant_to_json(event.last_seen_at),
        "misses": event.misses,
        "missed_at": optional(instant_to_json, event.missed_at),
    }


def _event(data: Mapping[str, Any]) -> Remembered:
    return Remembered(
        identity=as_word(data["identity"]),
        has_uid=as_truth(data["has_uid"]),
        booking=booking_from_json(data["booking"]),
        said=BookingStatus(data["said"]),
        status_here=optional(BookingStatus, data["status_here"]),
        listed_from=as_instant(data["listed_from"]),
        listed_until=as_instant(data["listed_until"]),
        first_seen_at=as_instant(data["first_seen_at"]),
        last_seen_at=as_instant(data["last_seen_at"]),
        misses=as_number(data["misses"]),
        missed_at=optional(as_instant, data["missed_at"]),
    )


def _agreement_to_json(agreement: Agreement) -> dict[str, Any]:
    return {
        "reads": agreement.reads,
        "since": instant_to_json(agreement.since),
        "counted_at": instant_to_json(agreement.counted_at),
    }


def _agreement(data: Mapping[str, Any]) -> Agreement:
    return Agreement(
        reads=as_number(data["reads"]),
        since=as_instant(data["since"]),
        counted_at=as_instant(data["counted_at"]),
    )


def _doors(value: object) -> frozenset[DoorId]:
    return frozenset(DoorId(as_word(door)) for door in as_list(value))
