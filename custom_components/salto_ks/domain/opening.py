"""Whether Home Assistant may open a door for a booking now, and what an opening makes of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from .bookings import ENDED, EXPECTED, Booking, BookingStatus, Unit


class OpeningRefusal(StrEnum):
    """Why a door is not opened for a booking; each has a text of the same name."""

    PIN_ONLY = "opening_pin_only"
    INACTIVE = "opening_inactive"
    NO_BOOKING = "opening_no_booking"
    CANCELLED = "opening_cancelled"
    COMPLETED = "opening_completed"
    OVER = "opening_over"
    PENDING = "opening_pending"
    STATUS = "opening_status"
    """The unit opens for other statuses only."""
    TOO_EARLY = "opening_too_early"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Whether a door is opened for a booking."""

    reason: OpeningRefusal | None = None
    """Why not; None where it is."""
    from_when: datetime | None = None
    """From when on it will be, where time is all that is in the way."""

    @property
    def allowed(self) -> bool:
        """Tell whether it is opened."""
        return self.reason is None


class OpeningOfUnit(NamedTuple):
    """The booking that a unit is opened for, and whether it is."""

    booking: Booking | None
    opening: Opening


_REFUSED_STATUSES: Final = {
    BookingStatus.CANCELLED: OpeningRefusal.CANCELLED,
    BookingStatus.COMPLETED: OpeningRefusal.COMPLETED,
    BookingStatus.PENDING: OpeningRefusal.PENDING,
}

_PAST: Final = frozenset({OpeningRefusal.CANCELLED, OpeningRefusal.COMPLETED, OpeningRefusal.OVER})
"""Reasons that no waiting ends, so that somebody who stands before a door means another booking."""


def opening_of(booking: Booking, unit: Unit, now: datetime, *, is_active: bool) -> Opening:
    """Tell whether a door of a unit may be opened for a booking: until its end, and not after.

    The reason is the one that a guest can do least about.
    """
    if (reason := _of_unit(unit, is_active=is_active)) is not None:
        return Opening(reason=reason)
    if booking.status in ENDED:
        return Opening(reason=_REFUSED_STATUSES[booking.status])
    if booking.is_over(now):
        return Opening(reason=OpeningRefusal.OVER)
    if booking.status not in unit.rules.opening_statuses:
        reason = _REFUSED_STATUSES.get(booking.status, OpeningRefusal.STATUS)
        return Opening(reason=reason)
    opens_at = booking.starts_at - unit.rules.opens_before
    if now < opens_at:
        return Opening(reason=OpeningRefusal.TOO_EARLY, from_when=opens_at)
    return Opening()


def opening_of_unit(
    bookings: Iterable[Booking], unit: Unit, now: datetime, *, is_active: bool
) -> OpeningOfUnit:
    """Choose the booking that somebody means who opens a unit, and tell whether they may.

    That is one that opens now, else one that goes on now, else the next, so that the answer says
    when. Of two that go on, it is the one that began last.
    """
    if (reason := _of_unit(unit, is_active=is_active)) is not None:
        return OpeningOfUnit(None, Opening(reason=reason))
    found = [
        (booking, opening)
        for booking in bookings
        if (opening := opening_of(booking, unit, now, is_active=is_active)).reason not in _PAST
    ]
    if not found:
        return OpeningOfUnit(None, Opening(reason=OpeningRefusal.NO_BOOKING))
    return OpeningOfUnit(*min(found, key=lambda one: _place(one, now)))


def after_opening(booking: Booking, unit: Unit, now: datetime) -> Booking:
    """Return a booking as it is once a door was opened for it: the first time is what counts.

    One that is pending stays so, even where the unit opens for it: it is for people to confirm.
    """
    checks_in = unit.rules.checks_in_on_opening and booking.status in EXPECTED
    return replace(
        booking,
        status=BookingStatus.CHECKED_IN if checks_in else booking.status,
        opened_at=booking.opened_at or now,
    )


def _place(one: tuple[Booking, Opening], now: datetime) -> tuple[bool, bool, timedelta, str]:
    """Return what bookings are sorted by, the likeliest to be meant first."""
    booking, opening = one
    apart = abs(booking.starts_at - now)
    return not opening.allowed, not booking.holds(now), apart, booking.booking_id


def _of_unit(unit: Unit, *, is_active: bool) -> OpeningRefusal | None:
    """Return why a unit is opened for nobody."""
    if not unit.mode.opens_remotely:
        return OpeningRefusal.PIN_ONLY
    return None if is_active else OpeningRefusal.INACTIVE
