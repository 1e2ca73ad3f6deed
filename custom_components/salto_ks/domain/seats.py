"""How many seats of the subscription will be needed, and when there will be too few.

Salto says how many are taken now. Those that are not taken by keys of ours, as those of staff, are
expected to stay; every key that is there or wanted takes its seat from when it is issued until it is
removed (MEAS: a guest holds one until it is deleted, whatever its end). So one that is seen coming
in March can be bought, or a lead time be set, long before a guest stands before a closed door.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Final, NamedTuple

from .booking_plan import NOT_THERE, WORTH_SUSPENDING, those_there
from .desired_keys import DesiredKey
from .ids import BookingId
from .keys import KeyRecord, KeyStatus

HAS_SEAT: Final = frozenset({KeyStatus.SET, KeyStatus.CHANGING})
"""States of keys whose guest is subscribed at Salto."""


class SeatHold(NamedTuple):
    """A seat that is taken from an instant up to, but not including, another."""

    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatForecast:
    """What the seats of a site come to, as far as bookings and keys are known."""

    total: int
    """Seats that there are."""
    peak: int
    """The most that are needed at the same time, now or later."""
    peak_at: datetime
    """When that is so for the first time."""
    runs_out_at: datetime | None
    """When more are needed than there are, for the first time; None where that does not come."""

    @property
    def short(self) -> int:
        """Return how many seats are missing at the worst moment."""
        return max(0, self.peak - self.total)

    def runs_out_on(self, zone: tzinfo) -> date | None:
        """Return the first day with too few seats, on the calendar of a place."""
        return None if self.runs_out_at is None else self.runs_out_at.astimezone(zone).date()


def seats_of_others(used: int, recorded: Iterable[KeyRecord]) -> int:
    """Return how many of the seats that are taken now are not those of keys.

    `recorded` are the keys of the ledger, without what is under way. Should Salto count less than
    there are keys, as it may for a moment after an issue, nobody else has one.
    """
    return max(0, used - sum(record.status in HAS_SEAT for record in recorded))


def seat_holds(
    desired: Iterable[DesiredKey], recorded: Iterable[KeyRecord], now: datetime
) -> Iterator[SeatHold]:
    """Yield when keys that are there, and keys that bookings want, take a seat from now on.

    `recorded` has the ledger's keys as they are wanted: see `as_wanted`. A key that a person has
    suspended or revoked takes none, as no booking undoes that. A key that waits for its seat takes
    one for a moment when it is made; that is left out.
    """
    wanted: defaultdict[BookingId | None, list[DesiredKey]] = defaultdict(list)
    for key in desired:
        wanted[key.booking_id].append(key)
    kept: defaultdict[BookingId | None, list[KeyRecord]] = defaultdict(list)
    for record in recorded:
        if record.by_hand or record.status not in NOT_THERE:
            kept[record.booking_id].append(record)
    for booking_id in wanted.keys() | kept.keys():
        yield from _of_booking(wanted.get(booking_id, ()), kept.get(booking_id, ()), now)


def seat_forecast(
    *, others: int, total: int, holds: Collection[SeatHold], now: datetime
) -> SeatForecast:
    """Return what the seats come to, given those that others have and will keep."""
    changes = [(hold.starts_at, 1) for hold in holds] + [(hold.ends_at, -1) for hold in holds]
    changes.sort()  # One that ends makes room for one that starts at the same instant.
    needed = peak = others
    peak_at, runs_out_at = now, now if others > total else None
    for at, change in changes:
        needed += change
        if needed > peak:
            peak, peak_at = needed, at
            if runs_out_at is None and needed > total:
                runs_out_at = at
    return SeatForecast(total=total, peak=peak, peak_at=peak_at, runs_out_at=runs_out_at)


def _of_booking(
    desired: Iterable[DesiredKey], records: Collection[KeyRecord], now: datetime
) -> Iterator[SeatHold]:
    """Yield when the keys of one booking, or those of none, take their seats.

    A booking that has moved to another unit takes the key along that it had in the one before.
    """
    free = those_there(records)
    is_taken_back = any(record.by_hand for record in records if record.status in NOT_THERE)
    unmet: list[DesiredKey] = []
    for key in desired:
        own = next((record for record in free if record.unit_id == key.unit_id), None)
        if own is None:
            unmet.append(key)
        else:
            free.remove(own)
            yield from _of_pair(key, own, now)
    for key in unmet:
        if free:
            yield from _of_pair(key, free.pop(), now)
        elif not is_taken_back:
            yield from _hold(key.issue_from or key.seat_from or now, key.window.ends_at, now)
    for record in free:
        if record.status is not KeyStatus.SUSPENDED:
            yield from _hold(now, record.window.ends_at, now)


def _of_pair(key: DesiredKey, record: KeyRecord, now: datetime) -> Iterator[SeatHold]:
    """Yield when a key that a booking wants and has takes a seat."""
    is_suspended = record.status is KeyStatus.SUSPENDED
    if is_suspended and record.by_hand:
        return
    at = now if is_suspended else now + WORTH_SUSPENDING
    starts_at = now if key.needs_seat(at) else key.seat_from or now
    yield from _hold(starts_at, key.window.ends_at, now)


def _hold(starts_at: datetime, ends_at: datetime, now: datetime) -> Iterator[SeatHold]:
    """Yield what is left of a time, if anything is."""
    if max(starts_at, now) < ends_at:
        yield SeatHold(max(starts_at, now), ends_at)
