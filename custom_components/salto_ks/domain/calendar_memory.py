"""What is believed of a calendar, from read to read.

A calendar may be away, empty, late or wrong, and no guest must lose a key for that. What a
calendar says is believed at once; that it says nothing any more is not, until several good reads
agree. What is over has not vanished, and what moved is not another booking.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, Self

from .bookings import LONGEST_MARGIN, Booking, BookingStatus
from .calendar_events import SeenEvent, Unreadable
from .calendar_pairing import paired
from .ids import BookingId

MISSES_UNTIL_GONE: Final = 2
"""Good reads in a row without an event before it counts as cancelled."""

READS_UNTIL_EMPTY: Final = 3
EMPTY_FOR: Final = timedelta(minutes=15)
"""How many good reads have to find a calendar empty, over how long, before that is believed."""

SUDDENLY: Final = 3
"""Bookings that are not over and are all gone at once: so many make a calendar suspect."""

READS_APART: Final = timedelta(seconds=30)
"""Reads that are closer count as one: a calendar that changes is read several times in a row."""

READ_BACK: Final = 2 * LONGEST_MARGIN
"""How far back a read has to reach: a stay goes on for most of a day after its whole days."""

KEPT_AFTER_END: Final = READ_BACK
"""How long a booking that is over is remembered; its key may still open for a while."""

KEPT_AFTER_GONE: Final = timedelta(days=7)
"""How long an event that has vanished is remembered, should it come back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodRead:
    """A read that gave an answer."""

    reads_from: datetime
    reads_until: datetime
    events: tuple[SeenEvent, ...] = ()
    """No two of one identity."""
    unreadable: tuple[Unreadable, ...] = ()
    trusted: bool = False
    """Whether what is gone is gone, as the calendar is kept in this home."""

    def is_empty(self, now: datetime) -> bool:
        """Tell whether there is nothing in it that is not over."""
        return all(event.booking.is_over(now) for event in self.events)


@dataclass(frozen=True, slots=True)
class FailedRead:
    """A read without an answer, be it that there is no such calendar."""


type CalendarRead = GoodRead | FailedRead


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """An event, and what is believed of it."""

    identity: str
    """What the calendar calls it now."""
    has_uid: bool
    booking: Booking
    """As it is believed; its id stays when the event gets another identity."""
    said: BookingStatus
    """What the calendar says of it; cancelled when it has vanished for good."""
    status_here: BookingStatus | None = None
    """What was said of it in this home since."""
    listed_from: datetime
    listed_until: datetime
    """As of the event: see `SeenEvent`."""
    first_seen_at: datetime
    last_seen_at: datetime
    misses: int = 0
    """Good reads in a row that ought to have had it."""
    missed_at: datetime | None = None
    """When the last read was that ought to have had it and had not, be it counted or not; None
    where the last one had it."""

    @property
    def is_there(self) -> bool:
        """Tell whether the calendar has it, or may have it."""
        return self.said is not BookingStatus.CANCELLED

    def should_be_in(self, read: GoodRead, now: datetime) -> bool:
        """Tell whether a read without it says that it has vanished, and not merely passed."""
        return (
            self.is_there
            and not self.booking.is_over(now)
            and read.reads_from < self.listed_until
            and self.listed_from < read.reads_until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Good reads in a row that say the same."""

    reads: int
    since: datetime
    counted_at: datetime

    def with_read(self, now: datetime) -> Self:
        """Count another one, unless it is too close to the last."""
        if now - self.counted_at < READS_APART:
            return self
        return replace(self, reads=self.reads + 1, counted_at=now)

    @property
    def is_long(self) -> bool:
        """Tell whether even an empty calendar may be believed."""
        return self.reads >= READS_UNTIL_EMPTY and self.counted_at - self.since >= EMPTY_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarMemory:
    """What is believed of the calendar of one unit."""

    events: tuple[Remembered, ...] = ()
    """No two of one identity, and no two of one booking; in the order of their starts."""
    emptiness: Agreement | None = None
    """Reads that have none of several bookings that were there; None when the last one had some."""
    settling: Agreement | None = None
    """Reads of a calendar of which nothing was known; None before the first, and once settled."""
    settled: bool = False
    """Whether enough was read to know what is not in the calendar.

    Until then the unit is an unknown one: keys of bookings that nobody has heard of are left
    alone.
    """

    @property
    def bookings(self) -> tuple[Booking, ...]:
        """Return the bookings as they are believed; those that were cancelled are among them."""
        return tuple(event.booking for event in self.events)


def after_read(
    memory: CalendarMemory, read: CalendarRead, now: datetime
) -> tuple[CalendarMemory, tuple[Booking, ...]]:
    """Return what is believed after a read: all of it, and the bookings.

    A read that failed changes nothing; good ones before and after it are still in a row.
    """
    if isinstance(read, GoodRead):
        memory = _after_good_read(memory, read, now)
    return memory, memory.bookings


def with_booking(memory: CalendarMemory, booking: Booking) -> CalendarMemory:
    """Keep what is said of a booking in this home: its status, its doors, when it was opened.

    It holds until the calendar says anew that the booking is pending or cancelled, or has it no
    more; of one that is cancelled or gone already it holds to the end. When a booking is, and what
    it is called, is the calendar's to say.
    """
    return replace(
        memory,
        events=tuple(
            _said_here(event, booking) if event.booking.booking_id == booking.booking_id else event
            for event in memory.events
        ),
    )


def believed(memories: Iterable[CalendarMemory]) -> tuple[Booking, ...]:
    """Return the bookings of several calendars, once each that has moved between them.

    It has when it is missing where it was, and came up elsewhere since: that is believed even of a
    calendar which is suspect as it is suddenly empty. A booking that is in two calendars, or that
    two units read from one, is in both.
    """
    events = sorted((event for memory in memories for event in memory.events), key=_by_booking)
    return tuple(
        event.booking
        for _, alike in groupby(events, key=lambda event: event.booking.booking_id)
        for event in _where_they_are(list(alike))
    )


def _by_booking(event: Remembered) -> tuple[str, str]:
    return event.booking.booking_id, event.booking.unit_id


def _where_they_are(alike: list[Remembered]) -> Iterator[Remembered]:
    """Yield the events of one booking, but for where it is not any more."""
    for event in alike:
        is_missing = event.missed_at is not None
        if not (is_missing and any(_came_up_since(event, other) for other in alike)):
            yield event


def _came_up_since(event: Remembered, other: Remembered) -> bool:
    """Tell whether a booking that is missing in one calendar is newly in another."""
    is_seen = other.is_there and other.missed_at is None
    return is_seen and other.first_seen_at > event.last_seen_at


def _said_here(event: Remembered, booking: Booking) -> Remembered:
    status = event.status_here if booking.status is event.booking.status else booking.status
    kept = replace(
        event.booking, status=booking.status, doors=booking.doors, opened_at=booking.opened_at
    )
    return replace(event, booking=kept, status_here=status)


# A good read


def _after_good_read(memory: CalendarMemory, read: GoodRead, now: datetime) -> CalendarMemory:
    known = {event.identity: event for event in memory.events}
    seen = {
        event.identity: event
        for event in read.events
        if event.identity in known or not _is_long_over(event.booking, now)
    }
    unseen = [event for event in memory.events if event.identity not in seen]
    held = _held([event for event in unseen if event.is_there], read.unreadable)
    missing = [
        event for event in unseen if event.identity not in held and event.should_be_in(read, now)
    ]
    moved = paired(
        vanished=[event for event in missing if not event.misses],
        appeared=[event for name, event in seen.items() if name not in known],
        known=[event for event in memory.events if event.is_there],
        listed=read.events,
    )
    moved_from = frozenset(moved.values())
    missing = [event for event in missing if event.identity not in moved_from]
    emptiness = _emptiness(memory.emptiness, read, now, missing=len(missing))
    after = {event.identity: event for event in unseen if event.identity not in moved_from}
    after |= {name: replace(after[name], misses=0, missed_at=None) for name in held}
    if emptiness is None or emptiness.is_long:
        is_sure = read.trusted or emptiness is not None
        after |= {event.identity: _missed(event, now, is_sure=is_sure) for event in missing}
    else:
        after |= {event.identity: replace(event, missed_at=now) for event in missing}
    taken = {event.booking.booking_id for event in memory.events}
    for name, event in seen.items():
        before = known.get(moved.get(name, name))
        after[name] = _seen(event, before, taken, now)
        taken.add(after[name].booking.booking_id)
    return replace(
        _settled(memory, read, now),
        events=tuple(
            sorted(
                (event for event in after.values() if not _is_forgotten(event, now)),
                key=lambda event: (event.booking.starts_at, event.identity),
            )
        ),
        emptiness=emptiness,
    )


def _held(unseen: Iterable[Remembered], unreadable: Iterable[Unreadable]) -> frozenset[str]:
    """Return what is in the calendar still, though it cannot be read any more.

    Where there is no UID, an unreadable event stands for one of its name.
    """
    identities = {event.identity for event in unreadable}
    names = Counter(event.label for event in unreadable if event.label and not event.has_uid)
    held = set()
    for event in unseen:
        label = event.booking.label
        if event.identity in identities:
            held.add(event.identity)
        elif not event.has_uid and names[label] > 0:
            names[label] -= 1
            held.add(event.identity)
    return frozenset(held)


def _emptiness(
    before: Agreement | None, read: GoodRead, now: datetime, *, missing: int
) -> Agreement | None:
    """Count the reads that find a calendar suddenly empty; None where it is not."""
    if read.trusted or not missing or not read.is_empty(now):
        return None
    if before is not None:
        return before.with_read(now)
    return _first(now) if missing >= SUDDENLY else None


def _settled(memory: CalendarMemory, read: GoodRead, now: datetime) -> CalendarMemory:
    """Count the reads of a calendar of which nothing was known, until that is enough."""
    if memory.settled:
        return memory
    settling = _first(now) if memory.settling is None else memory.settling.with_read(now)
    enough = settling.is_long or (settling.reads >= MISSES_UNTIL_GONE and not read.is_empty(now))
    if read.trusted or enough:
        return replace(memory, settling=None, settled=True)
    return replace(memory, settling=settling)


def _first(now: datetime) -> Agreement:
    return Agreement(reads=1, since=now, counted_at=now)


def _seen(
    event: SeenEvent, before: Remembered | None, taken: Collection[BookingId], now: datetime
) -> Remembered:
    """Believe what the calendar says, beside what was said of the booking here."""
    booking, said = event.booking, event.booking.status
    if before is None:
        booking = replace(booking, booking_id=_free(booking.booking_id, taken))
        status_here, first_seen_at = None, now
    else:
        is_news = said is not before.said and said is not BookingStatus.CONFIRMED
        status_here = None if is_news else before.status_here
        booking = replace(
            booking,
            booking_id=before.booking.booking_id,
            status=status_here or said,
            doors=before.booking.doors,
            opened_at=before.booking.opened_at,
        )
        was_gone = before.misses and not before.is_there
        first_seen_at = now if was_gone else before.first_seen_at
    return Remembered(
        identity=event.identity,
        has_uid=event.has_uid,
        booking=booking,
        said=said,
        status_here=status_here,
        listed_from=event.listed_from,
        listed_until=event.listed_until,
        first_seen_at=first_seen_at,
        last_seen_at=now,
    )


def _free(wanted: BookingId, taken: Collection[BookingId]) -> BookingId:
    """Return an id that no other booking has; one may live on under another event."""
    booking_id, number = wanted, 1
    while booking_id in taken:
        number += 1
        booking_id = BookingId(f"{wanted}-{number}")
    return booking_id


def _missed(event: Remembered, now: datetime, *, is_sure: bool) -> Remembered:
    """Count a read without an event, and give it up where that is enough."""
    if not is_sure and event.missed_at is not None and now - event.missed_at < READS_APART:
        return event
    misses = event.misses + 1
    if is_sure or misses >= MISSES_UNTIL_GONE:
        cancelled = BookingStatus.CANCELLED
        booking = replace(event.booking, status=cancelled)
        event = replace(event, booking=booking, said=cancelled, status_here=None)
    return replace(event, misses=misses, missed_at=now)


def _is_long_over(booking: Booking, now: datetime) -> bool:
    return now - booking.ends_at >= KEPT_AFTER_END


def _is_forgotten(event: Remembered, now: datetime) -> bool:
    """Tell whether an event matters to nobody any more."""
    vanished_at = None if event.is_there or event.status_here else event.missed_at
    return _is_long_over(event.booking, now) or (
        vanished_at is not None and now - vanished_at >= KEPT_AFTER_GONE
    )
