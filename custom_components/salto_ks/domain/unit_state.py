"""How a unit stands: who is there, who comes next, and whether it is ready for them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .booking_plan import those_there
from .bookings import EXPECTED, Booking, BookingStatus, Unit
from .desired_keys import DesiredKey, desired_key
from .ids import DoorId, number_of
from .keys import KeyProblem, KeyRecord, KeyStatus
from .known import opposite

LOOKED_AT_BEFORE: Final = timedelta(hours=3)
"""How long before an arrival a unit has to be ready for it."""

_FIRMNESS: Final = {
    BookingStatus.CHECKED_IN: 0,
    BookingStatus.CONFIRMED: 1,
    BookingStatus.PENDING: 2,
}
"""Bookings that somebody may be there for, the surest first."""


class ReadinessState(StrEnum):
    """Whether a unit is ready for who comes."""

    NOBODY_DUE = "nobody_due"
    READY = "ready"
    NOT_READY = "not_ready"
    UNKNOWN = "unknown"
    """Nothing is known to be wrong, and not all is known."""


class NotReady(StrEnum):
    """What is not as it has to be; each has a text of the same name."""

    KEY_MISSING = "key_missing"
    KEY_NOT_SET = "key_not_set"
    """It is on its way, and no door knows it yet."""
    KEY_FAILED = "key_failed"
    KEY_SUSPENDED = "key_suspended"
    KEY_DIFFERS = "key_differs"
    """It does not open all doors of the booking, or not all the time."""
    IQ_OFFLINE = "iq_offline"
    LOCK_OFFLINE = "lock_offline"
    BATTERY_LOW = "battery_low"
    PRIVACY_MODE = "privacy_mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorCondition:
    """What is known of a door that somebody is about to come to; None for what is not."""

    iq_online: bool | None = None
    lock_online: bool | None = None
    battery_low: bool | None = None
    """Whether it is low or critical."""
    privacy_mode: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether a unit is ready for a booking, and what is in the way."""

    state: ReadinessState
    reasons: tuple[NotReady, ...] = ()
    """What is wrong, in the order in which reasons are listed."""
    unknown: tuple[NotReady, ...] = ()
    """What may be wrong for all that is known."""


def current_booking(bookings: Iterable[Booking], now: datetime) -> Booking | None:
    """Return the booking of a unit that goes on now; None where nobody is expected or there.

    A stay ends as the next begins. Where two overlap, it is the surer one, then the one that
    began last.
    """
    going_on = [one for one in bookings if one.holds(now) and one.status in _FIRMNESS]
    return min(
        going_on,
        key=lambda one: (_FIRMNESS[one.status], now - one.starts_at, one.booking_id),
        default=None,
    )


def next_arrival(bookings: Iterable[Booking], now: datetime) -> Booking | None:
    """Return the booking of a unit that begins next and is confirmed."""
    to_come = (one for one in bookings if one.starts_at > now and one.status in EXPECTED)
    return min(to_come, key=lambda one: (one.starts_at, one.booking_id), default=None)


def arrival_due(bookings: Iterable[Booking], now: datetime) -> Booking | None:
    """Return the booking that a unit has to be ready for.

    That is who comes within the next three hours, else who should be there and has not come.
    """
    bookings = tuple(bookings)
    coming = next_arrival(bookings, now)
    if coming is not None and coming.starts_at - now <= LOOKED_AT_BEFORE:
        return coming
    current = current_booking(bookings, now)
    is_awaited = current is not None and current.status is BookingStatus.CONFIRMED
    return current if is_awaited else None


def readiness(
    unit: Unit,
    booking: Booking | None,
    keys: Iterable[KeyRecord],
    doors: Mapping[DoorId, DoorCondition],
    now: datetime,
    *,
    without_keypad: Collection[DoorId] = (),
) -> Readiness:
    """Tell whether a unit is ready for a booking; `keys` are those of the booking in this unit.

    Doors `without_keypad` are not missed in a key.
    What is wrong counts more than what is not known, and that more than all that is well. A key
    that is not due yet is not missed.
    """
    if booking is None:
        return Readiness(state=ReadinessState.NOBODY_DUE)
    checks = dict[NotReady, list[bool | None]]()
    for door_id in unit.doors_of(booking):
        for reason, is_wrong in _of_door(doors.get(door_id, DoorCondition())):
            checks.setdefault(reason, []).append(is_wrong)
    if (desired := desired_key(booking, unit, now)) is not None and desired.is_due(now):
        typed_at = replace(desired, doors=desired.doors - frozenset(without_keypad))
        for reason, is_wrong in _of_keys(booking, typed_at, keys, now):
            checks.setdefault(reason, []).append(is_wrong)
    wrong = tuple(reason for reason in NotReady if True in checks.get(reason, ()))
    unknown = tuple(
        reason for reason in NotReady if None in checks.get(reason, ()) and reason not in wrong
    )
    if wrong:
        state = ReadinessState.NOT_READY
    else:
        state = ReadinessState.UNKNOWN if unknown else ReadinessState.READY
    return Readiness(state=state, reasons=wrong, unknown=unknown)


def _of_door(door: DoorCondition) -> Iterator[tuple[NotReady, bool | None]]:
    """Yield what may be wrong with a door, and whether it is; None where that is not known."""
    yield NotReady.IQ_OFFLINE, opposite(door.iq_online)
    yield NotReady.LOCK_OFFLINE, opposite(door.lock_online)
    yield NotReady.BATTERY_LOW, door.battery_low
    yield NotReady.PRIVACY_MODE, door.privacy_mode


def _of_keys(
    booking: Booking, desired: DesiredKey, keys: Iterable[KeyRecord], now: datetime
) -> Iterator[tuple[NotReady, bool | None]]:
    """Yield what is wrong with the key of a booking, or may be."""
    keys = tuple(keys)
    key = next(iter(those_there(keys)), None)
    if key is None:
        newest = max(keys, key=lambda key: number_of(key.key_id), default=None)
        has_failed = newest is not None and newest.status is KeyStatus.FAILED
        yield (NotReady.KEY_FAILED if has_failed else NotReady.KEY_MISSING), True
        return
    if key.status is KeyStatus.UNKNOWN:
        yield NotReady.KEY_NOT_SET, None
    elif key.status is KeyStatus.SUSPENDED:
        yield NotReady.KEY_SUSPENDED, desired.needs_seat(now)
    elif KeyProblem.PIN_LOST in key.errors:
        yield NotReady.KEY_FAILED, True
    else:
        yield NotReady.KEY_NOT_SET, key.status is not KeyStatus.SET
    opens = key.window.starts_at <= booking.starts_at and booking.ends_at <= key.window.ends_at
    yield NotReady.KEY_DIFFERS, not (opens and key.doors >= desired.doors)
