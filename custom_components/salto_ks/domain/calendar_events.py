"""How an event of a calendar is read as a booking of a unit.

A calendar is written by people and by other people's programs, so anything may be in it. What
makes no sense is told with a reason and is never an error; one bad event costs none of the others.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
import hashlib
import json
from typing import Final

from .bookings import (
    EARLIEST_YEAR,
    LATEST_YEAR,
    Booking,
    BookingRefusal,
    BookingRefusedError,
    BookingRules,
    BookingSource,
    BookingStatus,
    Unit,
    as_label,
)
from .ids import BookingId

_DAY: Final = timedelta(days=1)
_DIGITS: Final = 20
"""Of a fingerprint: enough that no two events of a home ever share one."""

_STATUSES: Final = {
    "confirmed": BookingStatus.CONFIRMED,
    "tentative": BookingStatus.PENDING,
    "cancelled": BookingStatus.CANCELLED,
}

_FIRMNESS: Final = (BookingStatus.CONFIRMED, BookingStatus.PENDING, BookingStatus.CANCELLED)


class UnreadableReason(StrEnum):
    """Why an event is no booking; each has one of the common texts, of the same name."""

    NO_END = "event_no_end"
    NO_LENGTH = "event_no_length"
    ENDS_BEFORE_START = "event_ends_before_start"
    DATE_AND_TIME = "event_date_and_time"
    """One end is a day and the other a time of day."""
    TIME_WITHOUT_ZONE = "event_time_without_zone"
    TOO_LONG = "event_too_long"
    OUT_OF_RANGE = "event_out_of_range"


_REASONS: Final = {
    BookingRefusal.ENDS_BEFORE_START: UnreadableReason.ENDS_BEFORE_START,
    BookingRefusal.TOO_LONG: UnreadableReason.TOO_LONG,
    BookingRefusal.OUT_OF_RANGE: UnreadableReason.OUT_OF_RANGE,
}
"""What may be wrong with a booking whose ends are instants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarItem:
    """An event as a calendar gives it; its description is nobody's business here."""

    summary: str = field(repr=False)
    starts: date | datetime
    ends: date | datetime | None
    """The first day, or instant, that is not in it."""
    uid: str | None = field(default=None, repr=False)
    recurrence_id: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenEvent:
    """An event that is a booking."""

    identity: str
    """What it is recognised by from read to read; nothing personal can be read from it."""
    has_uid: bool
    """Whether the calendar itself says which event it is, also when it moves."""
    booking: Booking
    listed_from: datetime
    listed_until: datetime
    """A read that reaches into this, or spans it, has to have the event.

    Shorter by a day at both ends for whole days, as a calendar may have its own idea of midnight.
    For short events the two are the other way round, which spans work with as well.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An event that cannot be read; whatever was known of it before stays."""

    reason: UnreadableReason
    identity: str
    has_uid: bool
    label: str = field(repr=False)
    starts: date | datetime
    """As the calendar says it."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that is no booking by the rules of the unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What is in a calendar."""

    events: tuple[SeenEvent, ...] = ()
    """No two of one identity; in the order of their starts."""
    unreadable: tuple[Unreadable, ...] = ()
    ignored: int = 0


def read_item(item: CalendarItem, unit: Unit, zone: tzinfo) -> SeenEvent | Unreadable | Ignored:
    """Read one event as a booking of a unit, on whose wall clock whole days begin and end."""
    if unit.rules.ignores(item.summary):
        return Ignored()
    identity, label = _identity(item, unit), as_label(item.summary)
    has_uid = _uid(item) is not None
    span = _span(item, unit.rules, zone)
    if not isinstance(span, UnreadableReason):
        try:
            booking = Booking(
                booking_id=_booking_id(identity),
                unit_id=unit.unit_id,
                starts_at=span.starts_at,
                ends_at=span.ends_at,
                status=_status(item, unit.rules),
                source=BookingSource.CALENDAR,
                label=label,
            )
        except BookingRefusedError as err:
            span = _REASONS[err.reason]
        else:
            return SeenEvent(
                identity=identity,
                has_uid=has_uid,
                booking=booking,
                listed_from=span.listed_from,
                listed_until=span.listed_until,
            )
    return Unreadable(
        reason=span, identity=identity, has_uid=has_uid, label=label, starts=item.starts
    )


def read_items(items: Iterable[CalendarItem], unit: Unit, zone: tzinfo) -> Reading:
    """Read all events of a calendar.

    Events that are equal and have no UID are told apart by numbers. Events that share a UID are
    told apart by their starts: some calendars leave the recurrence id out. One that is listed
    twice is one.
    """
    seen: dict[str, list[tuple[CalendarItem, SeenEvent]]] = {}
    unreadable: list[Unreadable] = []
    ignored = 0
    for item in items:
        match read_item(item, unit, zone):
            case SeenEvent() as event:
                seen.setdefault(event.identity, []).append((item, event))
            case Unreadable() as event:
                unreadable.append(event)
            case _:
                ignored += 1
    events = [event for alike in seen.values() for event in _told_apart(alike)]
    events.sort(key=lambda event: (event.booking.starts_at, event.identity))
    return Reading(events=tuple(events), unreadable=tuple(unreadable), ignored=ignored)


def fingerprint(*parts: str | None) -> str:
    """Return what stands for some texts, and from which they cannot be read."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:_DIGITS]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """When an event is, and when it is sure to be listed."""

    starts_at: datetime
    ends_at: datetime
    listed_from: datetime
    listed_until: datetime


def _span(item: CalendarItem, rules: BookingRules, zone: tzinfo) -> _Span | UnreadableReason:
    """Find the ends of an event, or what is wrong with them."""
    starts, ends = item.starts, item.ends
    if ends is None:
        return UnreadableReason.NO_END
    if not all(EARLIEST_YEAR <= end.year <= LATEST_YEAR for end in (starts, ends)):
        return UnreadableReason.OUT_OF_RANGE
    if isinstance(starts, datetime) and isinstance(ends, datetime):
        return _span_of_times(starts, ends)
    if isinstance(starts, datetime) or isinstance(ends, datetime):
        return UnreadableReason.DATE_AND_TIME
    return _span_of_days(starts, ends, rules, zone)


def _span_of_times(starts: datetime, ends: datetime) -> _Span | UnreadableReason:
    """Find the ends of an event that has times of day."""
    if starts.utcoffset() is None or ends.utcoffset() is None:
        return UnreadableReason.TIME_WITHOUT_ZONE
    starts_at, ends_at = starts.astimezone(UTC), ends.astimezone(UTC)
    if starts_at == ends_at:
        return UnreadableReason.NO_LENGTH
    return _Span(starts_at=starts_at, ends_at=ends_at, listed_from=starts_at, listed_until=ends_at)


def _span_of_days(
    starts: date, ends: date, rules: BookingRules, zone: tzinfo
) -> _Span | UnreadableReason:
    """Find the ends of an event of whole days.

    Where the clock is changed at check-in or check-out, the guest gets the longer of the two.
    """
    if ends <= starts:
        return UnreadableReason.NO_LENGTH if ends == starts else UnreadableReason.ENDS_BEFORE_START
    leaves = ends if rules.ends_next_day else ends - _DAY
    return _Span(
        starts_at=min(_instants(starts, rules.check_in, zone)),
        ends_at=max(_instants(leaves, rules.check_out, zone)),
        listed_from=max(_instants(starts, time.min, zone)) + _DAY,
        listed_until=min(_instants(ends, time.min, zone)) - _DAY,
    )


def _instants(day: date, clock: time, zone: tzinfo) -> Iterator[datetime]:
    """Yield the instants that a wall clock may mean; where it is not changed they are the same."""
    for fold in (0, 1):
        yield datetime.combine(day, clock.replace(fold=fold), tzinfo=zone).astimezone(UTC)


def _status(item: CalendarItem, rules: BookingRules) -> BookingStatus:
    """Return how firm an event is; a word that nobody knows says nothing."""
    word = (item.status or "").strip().casefold()
    status = _STATUSES.get(word, rules.status_without_status)
    if status is BookingStatus.CONFIRMED and rules.makes_pending(item.summary):
        return BookingStatus.PENDING
    return status


def _uid(item: CalendarItem) -> str | None:
    """Return what the calendar calls an event; blanks are nothing."""
    return (item.uid or "").strip() or None


def _identity(item: CalendarItem, unit: Unit) -> str:
    """Return what an event is recognised by.

    By its UID it is the same in another calendar, so that a booking may move to another unit.
    """
    uid = _uid(item)
    if uid is not None:
        return fingerprint("uid", uid, (item.recurrence_id or "").strip())
    ends = None if item.ends is None else _moment(item.ends)
    return fingerprint("event", unit.unit_id, item.summary, _moment(item.starts), ends)


def _moment(value: date | datetime) -> str:
    """Write a day or an instant; the latter as it is in UTC where that can be said."""
    if (
        isinstance(value, datetime)
        and value.utcoffset() is not None
        and EARLIEST_YEAR <= value.year <= LATEST_YEAR
    ):
        value = value.astimezone(UTC)
    return value.isoformat()


def _booking_id(identity: str) -> BookingId:
    return BookingId(f"cal-{identity}")


def _told_apart(alike: list[tuple[CalendarItem, SeenEvent]]) -> Iterator[SeenEvent]:
    """Give events that share an identity one each; one with a UID that is listed twice is one."""
    if len(alike) == 1:
        yield alike[0][1]
        return
    alike.sort(key=lambda one: _place(one[1].booking))
    if alike[0][1].has_uid:
        times: dict[tuple[datetime, datetime], tuple[CalendarItem, SeenEvent]] = {}
        for item, event in alike:
            times.setdefault((event.booking.starts_at, event.booking.ends_at), (item, event))
        alike = [
            (item, _renamed(event, _identity_by_start(item)) if len(times) > 1 else event)
            for item, event in times.values()
        ]
    count: Counter[str] = Counter()
    for _, event in alike:
        count[event.identity] += 1
        number = count[event.identity]
        yield event if number == 1 else _renamed(event, f"{event.identity}-{number}")


def _place(booking: Booking) -> tuple[int, datetime, str]:
    """Return what bookings of one identity are sorted by, whatever order they are listed in."""
    return _FIRMNESS.index(booking.status), booking.ends_at, booking.label


def _identity_by_start(item: CalendarItem) -> str:
    """Return what an occurrence is recognised by whose calendar says no more than the UID."""
    return fingerprint("occurrence", _uid(item), item.recurrence_id, _moment(item.starts))


def _renamed(event: SeenEvent, identity: str) -> SeenEvent:
    booking = replace(event.booking, booking_id=_booking_id(identity))
    return replace(event, identity=identity, booking=booking)
