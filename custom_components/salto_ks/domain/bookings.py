"""Bookings and what is booked: who may come where and when, and by which rules.

Whatever contradicts itself cannot be made: it is refused with a reason that has a text, so that a
form, an action and a calendar all say the same about the same mistake.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
import re
from typing import Final
import unicodedata

from .ids import BookingId, DoorId, UnitId
from .keys import OnRemoval, Strategy
from .pins import LONGEST, SHORTEST

LONGEST_STAY: Final = timedelta(days=400)
"""How long a booking may be: a season pitch is let by the year, more than that is a slip."""

LONGEST_MARGIN: Final = timedelta(days=1)
"""How much a key may open before its booking and after it."""

LONGEST_LEAD_TIME: Final = timedelta(days=366)

EARLIEST_YEAR: Final = 2000
LATEST_YEAR: Final = 2199
"""Years in which bookings are; outside of them a date means something else, or nothing."""

LONGEST_LABEL: Final = 100


class BookingStatus(StrEnum):
    """How firm a booking is."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    CHECKED_IN = "checked_in"
    COMPLETED = "completed"
    """The guest has left. A stay that is over by time is so without it: see `status_at`."""
    CANCELLED = "cancelled"


ENDED: Final = frozenset({BookingStatus.COMPLETED, BookingStatus.CANCELLED})
"""States in which nobody has to come in any more."""

EXPECTED: Final = frozenset({BookingStatus.CONFIRMED, BookingStatus.CHECKED_IN})
"""States in which a guest has to be able to come in."""


class BookingSource(StrEnum):
    """Where a booking was heard of."""

    CALENDAR = "calendar"
    ACTION = "action"


class AccessMode(StrEnum):
    """How the guests of a unit come in."""

    PIN = "pin"
    REMOTE = "remote"
    """Home Assistant opens for them."""
    BOTH = "both"

    @property
    def has_pins(self) -> bool:
        """Tell whether bookings get keys."""
        return self is not AccessMode.REMOTE

    @property
    def opens_remotely(self) -> bool:
        """Tell whether the open action works."""
        return self is not AccessMode.PIN


class BookingRefusal(StrEnum):
    """Why a booking or a unit cannot be as it was given; each has a text of the same name."""

    TIME_WITHOUT_ZONE = "booking_time_without_zone"
    OUT_OF_RANGE = "booking_out_of_range"
    ENDS_BEFORE_START = "booking_ends_before_start"
    TOO_LONG = "booking_too_long"
    NO_DOORS = "booking_no_doors"
    UNIT_NO_DOORS = "unit_no_doors"
    MARGIN_INVALID = "unit_margin_invalid"
    LEAD_TIME_INVALID = "unit_lead_time_invalid"
    SEAT_WITHOUT_LEAD_TIME = "unit_seat_without_lead_time"
    PIN_LENGTH_INVALID = "unit_pin_length_invalid"
    NO_OPENING_STATUS = "unit_no_opening_status"
    OPENING_STATUS_INVALID = "unit_opening_status_invalid"
    CHECKED_IN_MISSING = "unit_checked_in_missing"
    PATTERN_EMPTY = "unit_pattern_empty"
    STATUS_WITHOUT_STATUS_INVALID = "unit_status_without_status_invalid"
    TIME_OF_DAY_WITH_ZONE = "unit_time_of_day_with_zone"
    DAY_ENDS_BEFORE_START = "unit_day_ends_before_start"


class BookingRefusedError(Exception):
    """A booking or a unit that makes no sense, and of which nothing was kept."""

    def __init__(self, reason: BookingRefusal, **about: str) -> None:
        """Remember why; `about` fills the text, and holds nothing personal."""
        super().__init__(reason.value)
        self.reason = reason
        self.about: Mapping[str, str] = about


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A stay: from an instant up to, but not including, another.

    Raises BookingRefusedError for one that cannot be.
    """

    booking_id: BookingId
    unit_id: UnitId
    starts_at: datetime
    ends_at: datetime
    status: BookingStatus
    source: BookingSource
    label: str = field(default="", repr=False)
    """For people in Home Assistant; never sent to Salto."""
    doors: frozenset[DoorId] | None = None
    """Instead of the unit's; None for those."""
    opened_at: datetime | None = None
    """When the open action first opened a door for it."""

    def __post_init__(self) -> None:
        """Refuse what is no stay; keep UTC, since two instants of one zone compare by wall clock."""
        object.__setattr__(self, "starts_at", _instant(self.starts_at))
        object.__setattr__(self, "ends_at", _instant(self.ends_at))
        if self.opened_at is not None:
            object.__setattr__(self, "opened_at", _instant(self.opened_at))
        if self.ends_at <= self.starts_at:
            raise BookingRefusedError(BookingRefusal.ENDS_BEFORE_START)
        if self.ends_at - self.starts_at > LONGEST_STAY:
            raise BookingRefusedError(BookingRefusal.TOO_LONG, days=str(LONGEST_STAY.days))
        if self.doors is not None and not self.doors:
            raise BookingRefusedError(BookingRefusal.NO_DOORS)

    def holds(self, now: datetime) -> bool:
        """Tell whether an instant is within the stay."""
        return self.starts_at <= now < self.ends_at

    def is_over(self, now: datetime) -> bool:
        """Tell whether the stay has ended by time."""
        return self.ends_at <= now

    def overlaps(self, other: Booking) -> bool:
        """Tell whether the two have time in common; one that starts as the other ends has none."""
        return self.starts_at < other.ends_at and other.starts_at < self.ends_at

    def status_at(self, now: datetime) -> BookingStatus:
        """Return the status as people should see it: a stay that is over is completed.

        It is not written down like that, as a key opens for a while after the end of its booking,
        and not after a guest has left.
        """
        over = self.status in EXPECTED and self.is_over(now)
        return BookingStatus.COMPLETED if over else self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTemplate:
    """How keys of a unit are made.

    Raises BookingRefusedError for what contradicts itself.
    """

    lead_time: timedelta | None = None
    """How long before the start a key is issued; None for as soon as the booking is confirmed."""
    before: timedelta = timedelta()
    """How much earlier than the booking it opens."""
    after: timedelta = timedelta()
    """How much longer."""
    pin_length: int | None = None
    """Wished length of a PIN of our own choice; None leaves it to Salto."""
    seat_from_lead_time: bool = False
    """Whether a key is issued at once and has no seat before the lead time.

    So a guest may have the PIN for long, and takes a seat of the subscription for a short while.
    """
    strategy: Strategy = Strategy.SCHEDULE

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        for margin in (self.before, self.after):
            if not timedelta() <= margin <= LONGEST_MARGIN:
                raise BookingRefusedError(BookingRefusal.MARGIN_INVALID, longest="24")
        if self.lead_time is None:
            if self.seat_from_lead_time:
                raise BookingRefusedError(BookingRefusal.SEAT_WITHOUT_LEAD_TIME)
        elif not timedelta() <= self.lead_time <= LONGEST_LEAD_TIME:
            raise BookingRefusedError(
                BookingRefusal.LEAD_TIME_INVALID, longest=str(LONGEST_LEAD_TIME.days)
            )
        if self.pin_length is not None and not SHORTEST <= self.pin_length <= LONGEST:
            raise BookingRefusedError(
                BookingRefusal.PIN_LENGTH_INVALID, shortest=str(SHORTEST), longest=str(LONGEST)
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingRules:
    """How the bookings of a unit are read, and when Home Assistant opens for them.

    Patterns are pieces of text that are looked for as whole words in the name of an event,
    whatever their case: `blocked` is in `Blocked by owner`, not in `Unblocked`. One without any
    letter or digit, as a cross, may be anywhere. Raises BookingRefusedError for what contradicts
    itself.
    """

    opening_statuses: frozenset[BookingStatus] = EXPECTED
    opens_before: timedelta = timedelta(minutes=15)
    """How long before the start the open action works."""
    checks_in_on_opening: bool = True
    """Whether the first opening sets a booking to checked-in."""
    ignore_patterns: tuple[str, ...] = ()
    """Events that are no bookings, as `Not available`."""
    pending_patterns: tuple[str, ...] = ()
    """Events that are not sure yet."""
    status_without_status: BookingStatus = BookingStatus.CONFIRMED
    """What an event is that its calendar says nothing about: confirmed, or pending."""
    check_in: time = time(15)
    check_out: time = time(10)
    """On the wall clock of the unit, for events of whole days."""
    ends_next_day: bool = True
    """Whether such an event ends the morning after its last day, as nights do; else on that day."""

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not self.opening_statuses:
            raise BookingRefusedError(BookingRefusal.NO_OPENING_STATUS)
        if self.opening_statuses & ENDED:
            raise BookingRefusedError(BookingRefusal.OPENING_STATUS_INVALID)
        if self.checks_in_on_opening and BookingStatus.CHECKED_IN not in self.opening_statuses:
            raise BookingRefusedError(BookingRefusal.CHECKED_IN_MISSING)
        if not timedelta() <= self.opens_before <= LONGEST_MARGIN:
            raise BookingRefusedError(BookingRefusal.MARGIN_INVALID, longest="24")
        if not all(pattern.strip() for pattern in self.ignore_patterns + self.pending_patterns):
            raise BookingRefusedError(BookingRefusal.PATTERN_EMPTY)
        if self.status_without_status not in {BookingStatus.CONFIRMED, BookingStatus.PENDING}:
            raise BookingRefusedError(BookingRefusal.STATUS_WITHOUT_STATUS_INVALID)
        if self.check_in.tzinfo is not None or self.check_out.tzinfo is not None:
            raise BookingRefusedError(BookingRefusal.TIME_OF_DAY_WITH_ZONE)
        if not self.ends_next_day and self.check_out <= self.check_in:
            raise BookingRefusedError(BookingRefusal.DAY_ENDS_BEFORE_START)

    def ignores(self, name: str) -> bool:
        """Tell whether an event of this name is no booking."""
        return _has_any(name, self.ignore_patterns)

    def makes_pending(self, name: str) -> bool:
        """Tell whether an event of this name is not sure yet."""
        return _has_any(name, self.pending_patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What is booked: a pitch, a room, a hall.

    Raises BookingRefusedError for one without doors.
    """

    unit_id: UnitId
    name: str
    doors: frozenset[DoorId]
    zone: str
    """The name of the time zone in which its guests come and go."""
    calendar: str | None = None
    """The entity whose events are its bookings; None where they are told by an action only."""
    mode: AccessMode = AccessMode.PIN
    template: KeyTemplate = KeyTemplate()
    rules: BookingRules = BookingRules()
    on_removal: OnRemoval = OnRemoval.REVOKE

    def __post_init__(self) -> None:
        """Refuse what nobody could enter."""
        if not self.doors:
            raise BookingRefusedError(BookingRefusal.UNIT_NO_DOORS)

    def doors_of(self, booking: Booking) -> frozenset[DoorId]:
        """Return the doors of a booking."""
        return self.doors if booking.doors is None else booking.doors


def as_label(text: str) -> str:
    """Return a name in one line of reasonable length; what cannot be shown becomes a blank.

    Whoever tells of bookings may send megabytes, of which no more than the beginning is looked at.
    """
    begin = text[: 100 * LONGEST_LABEL]
    shown = "".join(letter if letter.isprintable() else " " for letter in begin)
    return " ".join(shown.split())[:LONGEST_LABEL].rstrip()


def _instant(given: datetime) -> datetime:
    """Return an instant in UTC. Raises BookingRefusedError where it is none, or far off."""
    if given.utcoffset() is None:
        raise BookingRefusedError(BookingRefusal.TIME_WITHOUT_ZONE)
    if not EARLIEST_YEAR <= given.year <= LATEST_YEAR:
        raise BookingRefusedError(
            BookingRefusal.OUT_OF_RANGE, earliest=str(EARLIEST_YEAR), latest=str(LATEST_YEAR)
        )
    return given.astimezone(UTC)


def _words(text: str) -> str:
    """Return a text for comparison: its words, whatever their case and what is between them."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def _has_any(name: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether the words of a pattern are in a name, one after the other."""
    if not patterns:
        return False
    words = f" {_words(name)} "
    return any(
        f" {wanted} " in words if (wanted := _words(pattern)) else pattern.strip() in name
        for pattern in patterns
    )
