"""Which of the events that are new in a calendar are ones that it had before.

A booking that is moved, renamed or written anew is the same stay of the same guest, who has a PIN
for it already. Where a calendar does not say so by a UID, two reads are compared: what has
vanished in the second with what has come up in it.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from enum import IntEnum, auto
from typing import NamedTuple, Protocol

from .bookings import Booking, BookingStatus


class Event(Protocol):
    """An event, be it read now or remembered."""

    @property
    def identity(self) -> str:
        """What it is recognised by."""

    @property
    def has_uid(self) -> bool:
        """Whether the calendar itself says which event it is."""

    @property
    def booking(self) -> Booking:
        """What it is read as."""


class _Likeness(IntEnum):
    """How much two events are alike, the surest first."""

    ALL_BUT_UID = auto()
    """The same name and times: written anew, or by a calendar that makes up UIDs."""
    NAME_AND_TIME = auto()
    """One name, and in part at the same time."""
    NAME_OF_ITS_OWN = auto()
    """One name that no other event has."""
    TIME = auto()


class _Pair(NamedTuple):
    """Two events that may be one, so that the likelier pairs sort first."""

    likeness: _Likeness
    apart: timedelta
    old: str
    new: str


def paired(
    *,
    vanished: Collection[Event],
    appeared: Collection[Event],
    known: Iterable[Event],
    listed: Iterable[Event],
) -> dict[str, str]:
    """Return for events that have appeared the identities by which they were known before.

    `known` is all that was there before, `listed` all that is there now: a name that several
    events have tells none of them from the others. An event is paired once at most, and an event
    with a UID only with one that is the same in all else.
    """
    if not vanished or not appeared:
        return {}
    old = [event for event in vanished if _is_wanted(event)]
    new = [event for event in appeared if _is_wanted(event)]
    unique = _names_of_their_own(known) & _names_of_their_own(listed)
    candidates = [*_equal(old, new), *_alike(_without_uid(old), _without_uid(new), unique)]
    found: dict[str, str] = {}
    taken: set[str] = set()
    for pair in sorted(candidates):
        if pair.old not in taken and pair.new not in found:
            taken.add(pair.old)
            found[pair.new] = pair.old
    return found


def _is_wanted(event: Event) -> bool:
    return event.booking.status is not BookingStatus.CANCELLED


def _without_uid(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if not event.has_uid]


def _name(event: Event) -> str:
    return event.booking.label.casefold()


def _names_of_their_own(events: Iterable[Event]) -> set[str]:
    """Return the names that one event has, and no other."""
    count = Counter(_name(event) for event in events)
    return {name for name, events_of_it in count.items() if name and events_of_it == 1}


def _equal(old: Iterable[Event], new: Iterable[Event]) -> Iterator[_Pair]:
    """Yield the pairs that are the same in name and times."""
    by_content: defaultdict[object, list[str]] = defaultdict(list)
    for event in old:
        by_content[_content(event)].append(event.identity)
    for event in new:
        for identity in by_content.get(_content(event), ()):
            yield _Pair(_Likeness.ALL_BUT_UID, timedelta(), identity, event.identity)


def _content(event: Event) -> tuple[object, ...]:
    return _name(event), event.booking.starts_at, event.booking.ends_at


def _alike(old: Iterable[Event], new: list[Event], unique: Collection[str]) -> Iterator[_Pair]:
    """Yield the pairs that overlap, and those of one name that nothing else has."""
    if not new:
        return
    by_name = {_name(event): event for event in new if _name(event) in unique}
    new = sorted(new, key=lambda event: event.booking.starts_at)
    starts = [event.booking.starts_at for event in new]
    longest = max(event.booking.ends_at - event.booking.starts_at for event in new)
    for event in old:
        if (same := by_name.get(_name(event))) is not None:
            yield _pair(_Likeness.NAME_OF_ITS_OWN, event, same)
        first = bisect_left(starts, event.booking.starts_at - longest)
        last = bisect_left(starts, event.booking.ends_at)
        for other in new[first:last]:
            if other.booking.overlaps(event.booking):
                same_name = _name(event) == _name(other) != ""
                yield _pair(_Likeness.NAME_AND_TIME if same_name else _Likeness.TIME, event, other)


def _pair(likeness: _Likeness, old: Event, new: Event) -> _Pair:
    apart = abs(old.booking.starts_at - new.booking.starts_at)
    return _Pair(likeness, apart, old.identity, new.identity)
