"""From the keys that bookings want to what is to be done to those of the ledger.

A key is taken away only for something that is known: its booking is cancelled, completed, or not
in a calendar that was read well. A stay that changes keeps its key, and so the PIN that its guest
has. What a person has done to a key is not undone, and keys that belong to no unit are left alone.
So are those whose removal Salto has refused: that is tried again whatever becomes of the booking,
unless it wants its key after all.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum, auto
from itertools import takewhile
from typing import Final, NamedTuple

from .bookings import Booking, BookingStatus
from .desired_keys import DesiredKey
from .ids import BookingId, DoorId, KeyId, UnitId, number_of
from .intents import Intent, IntentKind
from .keys import ENDED, KeyRecord, KeyStatus, KeyWarning, OnRemoval
from .upkeep import doubled
from .windows import AccessWindow

WORTH_SUSPENDING: Final = timedelta(hours=1)
"""How long a key has to wait for its seat, to give it back in the meantime."""

FIRST_DELAY: Final = timedelta(minutes=5)
LONGEST_DELAY: Final = timedelta(hours=6)
LONGEST_DELAY_BEFORE_ARRIVAL: Final = timedelta(hours=1)
LONGEST_DELAY_AT_ARRIVAL: Final = timedelta(minutes=15)
"""How long something that was refused for good is left alone, by how soon the guest comes."""

DAY_OF_ARRIVAL: Final = timedelta(days=1)
AROUND_ARRIVAL: Final = timedelta(hours=3)

NOT_THERE: Final = ENDED | {KeyStatus.REMOVING}
"""States of keys that a guest cannot come in with, now or later."""


class KeyReason(StrEnum):
    """Why something is done to a key."""

    BOOKING_CONFIRMED = "booking_confirmed"
    ISSUED_BEFORE = "issued_before"
    """The booking had a key, which has failed or was taken back."""
    STAY_CHANGED = "stay_changed"
    DOORS_CHANGED = "doors_changed"
    UNIT_CHANGED = "unit_changed"
    SEAT_NOT_YET = "seat_not_yet"
    SEAT_DUE = "seat_due"
    BOOKING_PENDING = "booking_pending"
    BOOKING_CANCELLED = "booking_cancelled"
    BOOKING_COMPLETED = "booking_completed"
    BOOKING_GONE = "booking_gone"
    NOT_WANTED = "not_wanted"
    """The stay is over, or its unit has no PINs any more."""
    SECOND_KEY = "second_key"
    UNIT_REMOVED = "unit_removed"

    @property
    def words(self) -> str:
        """Say it in words, for the audit log."""
        return _WORDS[self]


_WORDS: Final[Mapping[KeyReason, str]] = {
    KeyReason.BOOKING_CONFIRMED: "the booking is confirmed",
    KeyReason.ISSUED_BEFORE: "the booking has no working key any more",
    KeyReason.STAY_CHANGED: "the booking is at another time",
    KeyReason.DOORS_CHANGED: "the booking has other doors",
    KeyReason.UNIT_CHANGED: "the booking is of another unit",
    KeyReason.SEAT_NOT_YET: "the key needs no seat yet",
    KeyReason.SEAT_DUE: "the booking is confirmed and the key needs its seat",
    KeyReason.BOOKING_PENDING: "the booking is not confirmed any more",
    KeyReason.BOOKING_CANCELLED: "the booking is cancelled",
    KeyReason.BOOKING_COMPLETED: "the booking is completed",
    KeyReason.BOOKING_GONE: "there is no such booking any more",
    KeyReason.NOT_WANTED: "the booking wants no key any more",
    KeyReason.SECOND_KEY: "the booking has another key",
    KeyReason.UNIT_REMOVED: "the unit was deleted",
}

_ENDINGS: Final[Mapping[BookingStatus | None, KeyReason]] = {
    BookingStatus.CONFIRMED: KeyReason.NOT_WANTED,
    BookingStatus.CHECKED_IN: KeyReason.NOT_WANTED,
    BookingStatus.CANCELLED: KeyReason.BOOKING_CANCELLED,
    BookingStatus.COMPLETED: KeyReason.BOOKING_COMPLETED,
    None: KeyReason.BOOKING_GONE,
}
"""Why a key is taken back, by how its booking stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """Issue a key."""

    desired: DesiredKey
    reason: KeyReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Make a key as it is wanted; its PIN stays. Its record becomes one of the desired unit."""

    key_id: KeyId
    desired: DesiredKey
    reason: KeyReason

    @property
    def window(self) -> AccessWindow:
        """Return when it is to open."""
        return self.desired.window

    @property
    def doors(self) -> frozenset[DoorId]:
        """Return what it is to open."""
        return self.desired.doors


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Take a key back."""

    key_id: KeyId
    reason: KeyReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspend:
    """Take a key's effect and seat, and keep its PIN."""

    key_id: KeyId
    reason: KeyReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Give a suspended key its effect and seat back."""

    key_id: KeyId
    reason: KeyReason


type KeyAction = Issue | Change | Revoke | Suspend | Resume

type _Statuses = Mapping[tuple[BookingId | None, UnitId | None], BookingStatus]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """What was tried for a booking and came to nothing, since something last went well."""

    count: int = 0
    last_at: datetime | None = None

    def and_one(self, at: datetime) -> Failures:
        """Return it with one more."""
        last_at = at if self.last_at is None else max(self.last_at, at)
        return Failures(count=self.count + 1, last_at=last_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What there is to know beside bookings and keys."""

    units: Collection[UnitId]
    """Those that exist."""
    unknown_units: Collection[UnitId] = ()
    """Those of which not all bookings are known; keys of bookings of theirs that nobody has heard
    of are left alone."""
    bookings: Collection[Booking]
    """All that are known, also those that want no key: they tell why one is taken back."""
    by_hand: Collection[KeyId]
    """Keys that a person has suspended or revoked, which nothing here undoes."""
    on_removal: Callable[[KeyRecord], OnRemoval]
    """Tells what becomes of a key whose unit was deleted."""
    failures: Mapping[BookingId, Failures] = field(default_factory=dict)
    """What went wrong for bookings since the start, beside keys that have failed."""

    def is_orphan(self, record: KeyRecord) -> bool:
        """Tell whether the unit of a key was deleted."""
        unit_id = record.unit_id
        known = unit_id in self.units or unit_id in self.unknown_units
        return unit_id is not None and not known


def as_wanted(record: KeyRecord, intent: Intent | None) -> KeyRecord:
    """Return a key as it will be when what is under way is done: that is not begun again."""
    if intent is None:
        return record
    match intent.kind:
        case IntentKind.ISSUE:
            return replace(intent.record, status=KeyStatus.SETTING)
        case IntentKind.REVOKE if intent.record.is_live:
            return replace(intent.record, status=KeyStatus.REMOVING)
        case _:
            return intent.record


def key_plan(
    desired: Iterable[DesiredKey],
    recorded: Mapping[KeyId, KeyRecord],
    now: datetime,
    circumstances: Circumstances,
) -> tuple[KeyAction, ...]:
    """Return what is to be done, the most urgent first.

    `recorded` has the ledger's keys as they are wanted: see `as_wanted`. What takes something away
    goes before what gives something at the same time, as it may free the seat for it.
    """
    wanted: defaultdict[BookingId, list[DesiredKey]] = defaultdict(list)
    for key in {(key.booking_id, key.unit_id): key for key in desired}.values():
        wanted[key.booking_id].append(key)
    statuses: _Statuses = {
        (booking.booking_id, booking.unit_id): booking.status for booking in circumstances.bookings
    }
    kept: defaultdict[BookingId, list[KeyRecord]] = defaultdict(list)
    steps: list[_Step] = []
    for record in recorded.values():
        if record.booking_id is None:
            steps += _of_loose(record, now, circumstances)
        else:
            kept[record.booking_id].append(record)
    for booking_id in wanted.keys() | kept.keys():
        steps += _Case(
            booking_id=booking_id,
            desired=tuple(sorted(wanted.get(booking_id, ()), key=lambda key: key.unit_id)),
            records=tuple(
                sorted(kept.get(booking_id, ()), key=lambda record: number_of(record.key_id))
            ),
            statuses=statuses,
            now=now,
            circumstances=circumstances,
        ).steps()
    return tuple(step.action for step in sorted(steps, key=_Step.place))


def those_there(records: Iterable[KeyRecord]) -> list[KeyRecord]:
    """Return the keys of a booking that are there, the one that counts first.

    That is the oldest; but one whose removal was refused, or of which nobody knows all, comes after
    those that work.
    """
    return sorted(
        filter(_is_there, records),
        key=lambda record: (
            _is_refused(record),
            record.status is KeyStatus.UNKNOWN,
            number_of(record.key_id),
        ),
    )


def retry_at(failures: Failures, starts_at: datetime, now: datetime) -> datetime:
    """Return when something that has failed for a booking is tried again.

    Later and later, but not much around the arrival of the guest. A failure that lies in the
    future is from a clock that was wrong.
    """
    if failures.last_at is None or failures.last_at > now:
        return now
    if abs(starts_at - now) <= AROUND_ARRIVAL:
        longest = LONGEST_DELAY_AT_ARRIVAL
    elif starts_at - now <= DAY_OF_ARRIVAL:
        longest = LONGEST_DELAY_BEFORE_ARRIVAL
    else:
        longest = LONGEST_DELAY
    return failures.last_at + doubled(FIRST_DELAY, longest, max(failures.count, 1))


class _Rank(IntEnum):
    """What goes first of what is needed at the same time."""

    REVOKE = auto()
    SUSPEND = auto()
    CHANGE = auto()
    RESUME = auto()
    ISSUE = auto()


class _Step(NamedTuple):
    """An action, and what its urgency depends on."""

    action: KeyAction
    rank: _Rank
    needed_at: datetime
    about: str
    """The key, or the unit where there is none yet."""

    def place(self) -> tuple[datetime, _Rank, str]:
        """Return what steps are sorted by, as the key manager lets them have their turns."""
        return self.needed_at, self.rank, self.about


def _revoke(record: KeyRecord, reason: KeyReason, now: datetime) -> _Step:
    return _Step(Revoke(key_id=record.key_id, reason=reason), _Rank.REVOKE, now, record.key_id)


def _of_loose(record: KeyRecord, now: datetime, circumstances: Circumstances) -> Iterator[_Step]:
    """Find what is to be done to a key without a booking, which is nothing while its unit exists."""
    if not _is_there(record) or record.window.is_over(now) or _is_refused(record):
        return
    if circumstances.is_orphan(record):
        yield from _of_orphan(record, now, circumstances)


def _of_orphan(record: KeyRecord, now: datetime, circumstances: Circumstances) -> Iterator[_Step]:
    """Find what is to be done to a key whose unit was deleted: what its unit said in its time."""
    if circumstances.on_removal(record) is OnRemoval.REVOKE:
        yield _revoke(record, KeyReason.UNIT_REMOVED, now)


def _is_there(record: KeyRecord) -> bool:
    """Tell whether a guest can come in with a key, or could if it was not suspended."""
    return record.status not in NOT_THERE


def _is_refused(record: KeyRecord) -> bool:
    """Tell whether Salto has refused to take a key back, which is tried again without a booking."""
    return KeyWarning.NOT_REMOVED in record.warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One booking: the keys it wants, one for each of its units, and those that it has or had."""

    booking_id: BookingId
    desired: tuple[DesiredKey, ...]
    records: tuple[KeyRecord, ...]
    """In the order of their numbers; those that belong to no unit are among them."""
    statuses: _Statuses
    now: datetime
    circumstances: Circumstances

    def steps(self) -> Iterator[_Step]:
        """Find what is to be done."""
        pairs = self._pairs()
        met = {key.unit_id for key, _ in pairs}
        kept = {record.key_id for _, record in pairs}
        opened = {key.doors for key, _ in pairs}.union(
            record.doors for record in self._live() if self._is_left_alone(record)
        )
        for key, record in pairs:
            yield from self._of_pair(key, record)
        for key in self.desired:
            if key.unit_id not in met and key.doors not in opened and self._may_issue(key):
                opened.add(key.doors)
                yield self._issue(key)
        for record in self._live():
            is_idle = self._is_left_alone(record) or _is_refused(record)
            if record.key_id not in kept and not is_idle:
                yield from self._of_spare(record, is_second=record.unit_id in met)

    def _live(self) -> Iterator[KeyRecord]:
        """Yield the keys that somebody can come in with; what is over ends by itself."""
        for record in self.records:
            if _is_there(record) and not record.window.is_over(self.now):
                yield record

    def _is_left_alone(self, record: KeyRecord) -> bool:
        """Tell whether a key that nobody is known to want stays as it is.

        What was said of a booking counts, however little else is known of its unit.
        """
        unit_id = record.unit_id
        is_unheard_of = (self.booking_id, unit_id) not in self.statuses
        return unit_id is None or (unit_id in self.circumstances.unknown_units and is_unheard_of)

    def _pairs(self) -> list[tuple[DesiredKey, KeyRecord]]:
        """Find for each key that is wanted the oldest one that there is.

        A booking that has moved to another unit has the key that it had in the one before.
        """
        free = those_there(record for record in self.records if record.unit_id)
        pairs: list[tuple[DesiredKey, KeyRecord]] = []
        unmet: list[DesiredKey] = []
        for key in self.desired:
            own = next((record for record in free if record.unit_id == key.unit_id), None)
            if own is None:
                unmet.append(key)
            else:
                free.remove(own)
                pairs.append((key, own))
        moved = (record for record in free if not self._is_left_alone(record))
        return pairs + list(zip(unmet, moved, strict=False))

    def _of_pair(self, key: DesiredKey, record: KeyRecord) -> Iterator[_Step]:
        """Find what is different about a key that is there."""
        is_by_hand = record.key_id in self.circumstances.by_hand
        if record.status is KeyStatus.UNKNOWN and is_by_hand:
            return  # A removal that a person has asked for was refused halfway.
        if not self._may_try(key, self._told_failures()):
            return
        key_id, needed_at = record.key_id, max(key.window.starts_at, self.now)
        if (reason := _difference(key, record)) is not None:
            change = Change(key_id=key_id, desired=key, reason=reason)
            yield _Step(change, _Rank.CHANGE, needed_at, key_id)
        if key.needs_seat(self.now):
            if record.status is KeyStatus.SUSPENDED and not is_by_hand:
                resume = Resume(key_id=key_id, reason=KeyReason.SEAT_DUE)
                yield _Step(resume, _Rank.RESUME, needed_at, key_id)
        elif record.status is KeyStatus.SET and not key.needs_seat(self.now + WORTH_SUSPENDING):
            suspend = Suspend(key_id=key_id, reason=KeyReason.SEAT_NOT_YET)
            yield _Step(suspend, _Rank.SUSPEND, self.now, key_id)

    def _may_issue(self, key: DesiredKey) -> bool:
        """Tell whether a key that is not there is to be issued now."""
        ours = [record for record in self.records if record.unit_id is not None]
        taken_back = any(record.key_id in self.circumstances.by_hand for record in ours)
        failures = self._told_failures()
        for record in takewhile(lambda one: one.status is KeyStatus.FAILED, reversed(ours)):
            failures = failures.and_one(record.changed_at)
        return key.is_due(self.now) and not taken_back and self._may_try(key, failures)

    def _issue(self, key: DesiredKey) -> _Step:
        had_one = any(record.unit_id is not None for record in self.records)
        reason = KeyReason.ISSUED_BEFORE if had_one else KeyReason.BOOKING_CONFIRMED
        needed_at = max(key.window.starts_at, self.now)
        about = f"{key.booking_id} {key.unit_id}"
        return _Step(Issue(desired=key, reason=reason), _Rank.ISSUE, needed_at, about)

    def _of_spare(self, record: KeyRecord, *, is_second: bool) -> Iterator[_Step]:
        """Find what is to be done to a key that nothing wants, so far as it is known why."""
        if self.circumstances.is_orphan(record):
            yield from _of_orphan(record, self.now, self.circumstances)
        elif is_second:
            yield _revoke(record, KeyReason.SECOND_KEY, self.now)
        else:
            yield from self._of_unwanted(record)

    def _of_unwanted(self, record: KeyRecord) -> Iterator[_Step]:
        """Find what is to be done to the key of a booking that wants none.

        One that is not confirmed any more may be again, so its key keeps the PIN. A key of which
        nobody knows all is no key to keep, and one that is suspended is as unknown as before.
        """
        status = self.statuses.get((record.booking_id, record.unit_id))
        if status is not BookingStatus.PENDING:
            yield _revoke(record, _ENDINGS[status], self.now)
        elif record.status is KeyStatus.UNKNOWN:
            yield _revoke(record, KeyReason.BOOKING_PENDING, self.now)
        elif record.status is not KeyStatus.SUSPENDED and self._may_try(
            record, self._told_failures()
        ):
            suspend = Suspend(key_id=record.key_id, reason=KeyReason.BOOKING_PENDING)
            yield _Step(suspend, _Rank.SUSPEND, self.now, record.key_id)

    def _told_failures(self) -> Failures:
        return self.circumstances.failures.get(self.booking_id, Failures())

    def _may_try(self, key: DesiredKey | KeyRecord, failures: Failures) -> bool:
        """Tell whether enough time has passed since something went wrong."""
        return retry_at(failures, key.window.starts_at, self.now) <= self.now


def _difference(key: DesiredKey, record: KeyRecord) -> KeyReason | None:
    """Return why a key has to be made as it is wanted; None where it is so.

    One of which nobody knows all is not, however it is written down.
    """
    if record.unit_id != key.unit_id:
        return KeyReason.UNIT_CHANGED
    if record.window != key.window:
        return KeyReason.STAY_CHANGED
    if record.doors != key.doors:
        return KeyReason.DOORS_CHANGED
    return KeyReason.BOOKING_CONFIRMED if record.status is KeyStatus.UNKNOWN else None
