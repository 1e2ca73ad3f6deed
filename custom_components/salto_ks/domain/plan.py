"""What differs between the ledger and Salto, and what is to be done about it.

Nothing is concluded from what may only be late: a key of which something is under way, that was
changed or removed within `UNSEEN_FOR`, or of which the ledger cannot read what it says, gives no
finding. Nothing is removed that may be what a guest stands before a door with: only what is left
of a key that is over, and spares of a key of which all else is there.

What the listings of users and groups show is told of all keys; what only reading a key as a whole
shows, of those that were read so. A key that is suspended in the ledger and has a seat at Salto is
no finding: `suspended` is the only outcome about seats, and says the opposite.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from .differences import differences
from .fixes import BY_DEFAULT, Fix, fixes_of
from .ids import INSTANCE_LENGTH, GroupId, GuestId, KeyId, instance_of, number_of
from .keys import KeyRecord, KeyStatus
from .observed import (
    Observation,
    ObservedDetails,
    ObservedGroup,
    ObservedGuest,
    may_be_unseen,
)
from .outcomes import Outcome

__all__ = [
    "MOST_UNKNOWN",
    "Finding",
    "Outcome",
    "Plan",
    "highest_number_of",
    "is_young",
    "plan",
    "to_confirm",
    "to_look_into",
]

DUE_WITHIN: Final = timedelta(days=1)
"""How near the start or the end of a window is for its key to be read as a whole in each pass."""

REPORT: Final = "report"
"""The name of what is done where a person has to decide."""

_RANKS: Final[Mapping[Outcome, int]] = {outcome: rank for rank, outcome in enumerate(Outcome)}

ABOUT_THE_SITE: Final = frozenset({Outcome.NOT_OBSERVABLE, Outcome.SECOND_MANAGER})
"""Outcomes that are no difference of any key."""

_LONGEST_KEY_ID: Final = INSTANCE_LENGTH + 1 + 15
"""Characters of any key's id; a number of more digits was made up by somebody."""

MOST_UNKNOWN: Final = 1_000_000
"""How many numbers beyond its own a ledger may not have heard of. A higher one was made up by
somebody: after the highest that can be written no key could be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference between the ledger and Salto; a key has at most one of each outcome."""

    outcome: Outcome
    key_id: KeyId | None
    """None for what is about the site."""
    fix: Fix | None = None
    """What would be done by itself; None where a person has to decide."""

    @property
    def action(self) -> str:
        """Name what would be done by itself: a fix, or only to report."""
        return REPORT if self.fix is None else self.fix.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that was found, and what of it would be done."""

    findings: tuple[Finding, ...]
    """In the order of the keys' numbers, and for each key in that of the outcomes."""
    unmanaged: int
    """Users without a marker."""
    foreign: int
    """Keys of another Home Assistant, or what looks like them; counted, never touched."""
    highest_number: int
    """The highest number of ours that was seen, which no new key may get; 0 when there is none."""
    ledger_is_behind: bool
    """Whether a key of ours has a number above all that the ledger knows.

    That is the sign of a restored backup. As the ledger may then be wrong about any of its keys,
    nothing is done by this plan but to report. Once numbers were skipped the sign does not show
    again, so whoever skips them has to remember it.
    """

    @property
    def discrepancies(self) -> tuple[Finding, ...]:
        """Return the differences that a person should know about.

        That is all of them: even what is mended by itself tells that something went wrong. Only
        what is about the site is no difference.
        """
        return tuple(finding for finding in self.findings if finding.outcome not in ABOUT_THE_SITE)


def highest_number_of(observed: Observation, instance: str, highest_known: int) -> int:
    """Return the highest number of a key of ours that is at Salto; 0 where there is none.

    `highest_known` is the highest number of the ledger.
    """
    marked = {
        *(one.key_id for one in observed.guests),
        *(one.key_id for one in observed.groups or () if one.is_made_by_us),
    }
    ours = (number_of(key) for key in marked if _is_ours(key, instance, highest_known))
    return max(ours, default=0)


def to_confirm(
    *,
    recorded: Mapping[KeyId, KeyRecord],
    under_way: Collection[KeyId],
    unreadable: Collection[int],
    observed: Observation,
    now: datetime,
) -> tuple[GuestId, ...]:
    """Return the guests that Salto has to be asked about one by one, in the order of the keys.

    They ought to be at Salto and are not listed, which alone proves nothing. Those of which
    Salto then says that they do not exist are `gone` for `plan`.
    """
    listed = {guest.id for guest in observed.guests}
    quiet = _quiet(under_way, unreadable)
    missing = [
        (number_of(key), record.guest.id)
        for key, record in recorded.items()
        if record.guest is not None
        and record.guest.id not in listed
        and _is_wanted(record)
        and not record.window.is_over(now)
        and not is_young(record, now)
        and number_of(key) not in quiet
    ]
    return tuple(guest_id for _, guest_id in sorted(missing))


def to_look_into(
    *,
    recorded: Mapping[KeyId, KeyRecord],
    under_way: Collection[KeyId],
    unreadable: Collection[int],
    observed: Observation,
    since: datetime,
    doubtful: Collection[KeyId] = (),
    deep: bool,
    now: datetime,
) -> tuple[KeyRecord, ...]:
    """Return the keys that are to be read as a whole, those whose window starts first at the front.

    With `deep` that is each live key of which the guest is listed; else those of which the window
    starts or ends within a day, those that were changed after `since`, and the `doubtful` ones,
    which differed when they were last looked at: a finding ends only by a look that does not have
    it. Groups that are not listed are left out: there is nothing to be read of them.
    """
    listed = {guest.id for guest in observed.guests}
    groups = None if observed.groups is None else {group.id for group in observed.groups}
    quiet = _quiet(under_way, unreadable)
    chosen = [
        record
        for key, record in recorded.items()
        if _guest_id(record) in listed
        and _is_wanted(record)
        and not record.window.is_over(now)
        and not is_young(record, now)
        and number_of(key) not in quiet
        and (deep or key in doubtful or _is_due(record, since, now))
    ]
    chosen.sort(key=lambda record: (record.window.starts_at, _place(record.key_id)))
    return tuple(
        record
        if groups is None
        else replace(record, groups=tuple(one for one in record.groups if one.id in groups))
        for record in chosen
    )


def plan(
    *,
    recorded: Mapping[KeyId, KeyRecord],
    under_way: Collection[KeyId],
    unreadable: Collection[int],
    observed: Observation,
    gone: Collection[GuestId],
    instance: str,
    highest_known: int,
    now: datetime,
    details: Mapping[KeyId, ObservedDetails] = MappingProxyType({}),
    repaired: Collection[Outcome] = BY_DEFAULT,
) -> Plan:
    """Compare the ledger with what was observed, and say what is to be done.

    `under_way` are keys with an open intent or a running operation, `unreadable` the numbers of
    keys of which the ledger cannot read all, `gone` the guests that Salto has denied when it was
    asked, `highest_known` the highest number of the ledger, `details` what was read of keys as a
    whole, `repaired` the outcomes that are mended without anybody being asked.

    `now` is when the observation began, and the ledger is as it was when it had ended: so what
    happened in between counts as young, and is not judged by a listing that may be older.
    """
    guests, groups = _by_key(observed.guests), _by_key(_groups_of_keys(observed, recorded))
    marked = guests.keys() | groups.keys()
    ours = {key for key in marked if _is_ours(key, instance, highest_known)}
    highest = max(map(number_of, ours), default=0)
    quiet, denied = _quiet(under_way, unreadable), frozenset(gone)
    is_behind = highest > highest_known
    judge = _Judge(frozenset() if is_behind else frozenset(repaired))
    found: dict[KeyId, list[Finding]] = {}
    for key in recorded.keys() | ours:
        if number_of(key) in quiet:
            continue
        seen = _Seen(
            guests=guests.get(key, ()),
            groups={group.id for group in groups.get(key, ())},
            groups_are_listed=observed.groups is not None,
            details=details.get(key),
        )
        record = recorded.get(key)
        if record is None:
            found[key] = [judge.finding(Outcome.UNKNOWN_AT_SALTO, key)]
        elif not is_young(record, now):
            found[key] = sorted(_of_record(record, seen, denied, judge, now), key=_rank)
    ordered = sorted((key for key in found if found[key]), key=_place)
    findings = [finding for key in ordered for finding in found[key]]
    if any(instance_of(key) != instance for key in marked):
        findings.append(Finding(outcome=Outcome.SECOND_MANAGER, key_id=None))
    is_unread = any(key in found and not one.is_whole for key, one in details.items())
    if is_unread or observed.groups is None:
        findings.append(Finding(outcome=Outcome.NOT_OBSERVABLE, key_id=None))
    return Plan(
        findings=tuple(findings),
        unmanaged=observed.unmanaged,
        foreign=len(marked - ours),
        highest_number=highest,
        ledger_is_behind=is_behind,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What carries the marker of one key."""

    guests: Collection[ObservedGuest]
    groups: Set[GroupId]
    groups_are_listed: bool
    details: ObservedDetails | None
    """What was read of the key as a whole; None where it was not."""


@dataclass(frozen=True, slots=True)
class _Judge:
    """Makes findings, and decides what is done about each without asking."""

    repaired: Set[Outcome]

    def finding(self, outcome: Outcome, key: KeyId, *, is_certain: bool = True) -> Finding:
        """Make a finding; what is not certain is left to a person."""
        by_itself = is_certain and outcome in self.repaired
        fix = fixes_of(outcome)[0] if by_itself else None
        return Finding(outcome=outcome, key_id=key, fix=fix)


def _of_record(
    record: KeyRecord, seen: _Seen, gone: Set[GuestId], judge: _Judge, now: datetime
) -> Iterator[Finding]:
    """Find what differs from a record.

    Of a key that is over only that is told: whether it would still open something matters no more.
    What differs from one of which the ledger itself does not know all is for a person: it may be
    the ledger that is wrong.
    """
    key = record.key_id
    if not _is_wanted(record):
        if seen.guests:
            yield judge.finding(Outcome.EXPIRED_NOT_REMOVED, key)
        elif seen.groups:
            yield judge.finding(Outcome.ORPHAN_GROUP, key)
    elif record.window.is_over(now):
        yield judge.finding(Outcome.EXPIRED_NOT_REMOVED, key)
    else:
        is_known = record.status is not KeyStatus.UNKNOWN
        yield from _of_live(record, seen, gone, judge if is_known else _Judge(frozenset()))


def _of_live(
    record: KeyRecord, seen: _Seen, gone: Set[GuestId], judge: _Judge
) -> Iterator[Finding]:
    """Find what differs from the record of a key that ought to work, or to be kept.

    What is not in the record is a spare only while all that is in it is listed. Otherwise the
    spare may be what works, and the ledger what is old.
    """
    key = record.key_id
    own = next((guest for guest in seen.guests if guest.id == _guest_id(record)), None)
    others = {guest.id for guest in seen.guests} - {_guest_id(record)}
    named = {group.id for group in record.groups}
    lost = named - seen.groups if seen.groups_are_listed else set()
    spare_groups = seen.groups - named
    is_whole = not lost and (own is not None if record.guest else not others)

    if own is None and _guest_id(record) in gone:
        # Issued anew, a key that is suspended would open again, and one with another guest that
        # may be in use would lose it.
        is_certain = record.status is not KeyStatus.SUSPENDED and not others
        yield judge.finding(Outcome.MISSING_AT_SALTO, key, is_certain=is_certain)
    if others:
        outcome = Outcome.UNKNOWN_AT_SALTO if own is None else Outcome.DUPLICATE_AT_SALTO
        yield judge.finding(outcome, key, is_certain=is_whole)
    if lost:
        yield judge.finding(Outcome.GROUP_MISSING, key)
    if spare_groups:
        yield judge.finding(Outcome.ORPHAN_GROUP, key, is_certain=is_whole)
    for outcome in _of_guest(record, own, seen.details):
        yield judge.finding(outcome, key)


def _of_guest(
    record: KeyRecord, own: ObservedGuest | None, details: ObservedDetails | None
) -> Iterator[Outcome]:
    """Find what differs about the guest of a record, and what it is in.

    What was read of it by its id is newer than what a listing says, and counts for more.
    """
    seen = details or own
    if seen is None:
        return
    if not seen.has_seat and record.status is not KeyStatus.SUSPENDED:
        yield Outcome.SUSPENDED
    if not seen.pin_enabled:
        yield Outcome.PIN_DISABLED
    if details is not None:
        yield from dict.fromkeys(differences(record, details))


def _rank(finding: Finding) -> int:
    """Return what findings of one key are sorted by."""
    return _RANKS[finding.outcome]


def _guest_id(record: KeyRecord) -> GuestId | None:
    """Return the guest that the ledger knows."""
    return record.guest.id if record.guest else None


def _is_wanted(record: KeyRecord) -> bool:
    """Tell whether what a key has at Salto is to stay there."""
    return record.is_live and record.status is not KeyStatus.REMOVING


def is_young(record: KeyRecord, now: datetime) -> bool:
    """Tell whether listings may not show yet what was last done to a key."""
    return may_be_unseen(max(record.changed_at, record.removed_at or record.changed_at), now)


def _is_ours(key: KeyId, instance: str, highest_known: int) -> bool:
    """Tell whether a key was made by this Home Assistant."""
    may_be = instance_of(key) == instance and len(key) <= _LONGEST_KEY_ID
    return may_be and number_of(key) <= highest_known + MOST_UNKNOWN


def _quiet(under_way: Collection[KeyId], unreadable: Collection[int]) -> frozenset[int]:
    """Return the numbers of keys about which nothing is said."""
    return frozenset(unreadable).union(map(number_of, under_way))


def _place(key: KeyId) -> tuple[int, KeyId]:
    """Return what keys are sorted by; a marker written by hand may have a number of another."""
    return number_of(key), key


def _groups_of_keys(
    observed: Observation, recorded: Mapping[KeyId, KeyRecord]
) -> Iterator[ObservedGroup]:
    """Find the groups that we have made: by their names, or as the ledger has them.

    One of somebody's that has got a marker into its name is nothing of ours, and stays.
    """
    known = {group.id for record in recorded.values() for group in record.groups}
    for group in observed.groups or ():
        if group.is_made_by_us or group.id in known:
            yield group


def _by_key[T: (ObservedGuest, ObservedGroup)](things: Iterable[T]) -> dict[KeyId, list[T]]:
    """Sort what was observed by the key whose marker it carries."""
    found: dict[KeyId, list[T]] = {}
    for thing in things:
        found.setdefault(thing.key_id, []).append(thing)
    return found


def _is_due(record: KeyRecord, since: datetime, now: datetime) -> bool:
    """Tell whether a key matters soon, or something was done to it after an instant."""
    window = record.window
    ends = (abs(window.starts_at - now), abs(window.ends_at - now))
    return min(ends) <= DUE_WITHIN or record.changed_at > since
