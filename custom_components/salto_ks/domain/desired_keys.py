"""Which keys bookings want."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from .bookings import EXPECTED, Booking, BookingStatus, Unit
from .ids import BookingId, DoorId, UnitId
from .key_requests import KeyRequest
from .keys import KeyRecord, KeyStatus, OnRemoval, Strategy
from .windows import AccessWindow

HEAD_START: Final = timedelta(minutes=15)
"""How long before it opens a key is issued at the latest: a door takes minutes to hear of it, and
an issue may have to be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredKey:
    """The key that a booking wants."""

    booking_id: BookingId
    unit_id: UnitId
    window: AccessWindow
    """In whole minutes, as keys have it."""
    doors: frozenset[DoorId]
    label: str = field(default="", repr=False)
    pin_length: int | None = None
    strategy: Strategy = Strategy.SCHEDULE
    on_removal: OnRemoval = OnRemoval.REVOKE
    issue_from: datetime | None = None
    """When it may be issued; None for at once. One that is there already stays."""
    seat_from: datetime | None = None
    """When it needs its seat; None for all the time."""

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is to be issued."""
        return self.issue_from is None or self.issue_from <= now

    def needs_seat(self, now: datetime) -> bool:
        """Tell whether it is to be in force at Salto."""
        return self.seat_from is None or self.seat_from <= now

    def request(self) -> KeyRequest:
        """Return what the key manager is asked for."""
        return KeyRequest(
            doors=self.doors,
            starts_at=self.window.starts_at,
            ends_at=self.window.ends_at,
            booking_id=self.booking_id,
            unit_id=self.unit_id,
            label=self.label,
            pin_length=self.pin_length,
            strategy=self.strategy,
            on_removal=self.on_removal,
        )


def desired_key(booking: Booking, unit: Unit, now: datetime) -> DesiredKey | None:
    """Return the key that a booking wants now or later; None where it wants none.

    A guest who is checked in is there: the key waits for no lead time.
    """
    if booking.status not in EXPECTED or not unit.mode.has_pins:
        return None
    template = unit.template
    window = AccessWindow(booking.starts_at - template.before, booking.ends_at + template.after)
    window = window.to_minutes()
    if window.is_over(now):
        return None
    due_at = None
    if template.lead_time is not None and booking.status is not BookingStatus.CHECKED_IN:
        due_at = min(booking.starts_at - template.lead_time, window.starts_at - HEAD_START)
    return DesiredKey(
        booking_id=booking.booking_id,
        unit_id=unit.unit_id,
        window=window,
        doors=unit.doors_of(booking),
        label=booking.label,
        pin_length=template.pin_length,
        strategy=template.strategy,
        on_removal=unit.on_removal,
        issue_from=None if template.seat_from_lead_time else due_at,
        seat_from=due_at if template.seat_from_lead_time else None,
    )


def desired_keys(
    bookings: Iterable[Booking], units: Mapping[UnitId, Unit], now: datetime
) -> tuple[DesiredKey, ...]:
    """Return the keys that bookings want; those of a unit that does not exist want none."""
    keys = (
        desired_key(booking, unit, now)
        for booking in bookings
        if (unit := units.get(booking.unit_id)) is not None
    )
    return tuple(key for key in keys if key is not None)


def status_for_booking(
    key: KeyRecord | None, wanted: DesiredKey | None, now: datetime
) -> KeyStatus | None:
    """Return where the key of a booking stands: the one it has or had, else the one it wants.

    One that is to be issued later is scheduled, also where another was taken back before. None
    where there is none, and none that waits for its time.
    """
    is_taken_back = key is not None and key.status is KeyStatus.REVOKED and not key.by_hand
    if key is not None and not is_taken_back:
        return key.status
    if wanted is not None and not wanted.is_due(now):
        return KeyStatus.SCHEDULED
    return None if key is None else key.status
