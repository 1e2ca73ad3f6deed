"""What differs between the ledger and Salto, and what is to be done about it.

Nothing is concluded from what may only be late: a key of which something is under way, that was
changed or removed within `UNSEEN_FOR`, or of which the ledger cannot read what it says, gives no
finding. Nothing is removed that may be what a guest stands before a door with: only what is left
of a key that is over, and spares of a key of which all else is there.

To be decided here, a finding has to show in the listings of users and groups. So a key that is
suspended in the ledger and has a seat at Salto is no finding: `suspended` is the only outcome
about seats, and says the opposite.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final

from .ids import INSTANCE_LENGTH, GroupId, GuestId, KeyId, instance_of, number_of
from .keys import KeyRecord, KeyStatus
from .observed import UNSEEN_FOR, Observation, ObservedGroup, ObservedGuest

_LONGEST_KEY_ID: Final = INSTANCE_LENGTH + 1 + 15
"""Characters of any key's id; a number of more digits was made up by somebody."""


class Outcome(StrEnum):
    """How a key is found to be, in the order in which findings of one key are told."""

    MISSING_AT_SALTO = "missing_at_salto"
    """Salto has said that the guest does not exist."""
    UNKNOWN_AT_SALTO = "unknown_at_salto"
    """A marker of ours on something that the ledger cannot account for."""
    DUPLICATE_AT_SALTO = "duplicate_at_salto"
    """The guest of the record, and others with the same marker."""
    SUSPENDED = "suspended"
    """No seat, though the ledger says nothing of that."""
    PIN_DISABLED = "pin_disabled"
    """`use_pin` is off, or the guest is blocked."""
    GROUP_MISSING = "group_missing"
    """A group of the record is not at Salto."""
    ORPHAN_GROUP = "orphan_group"
    """A group that is not in the record, or whose key is over."""
    EXPIRED_NOT_REMOVED = "expired_not_removed"
    """A window that is over and a key that is not, or the guest of a key that is."""
    NOT_OBSERVABLE = "not_observable"
    """Salto does not list groups; about the site, not about a key."""


class Remedy(StrEnum):
    """What would be done about a finding."""

    REPORT = "report"
    """Nothing: a person has to decide."""
    REMOVE_SPARES = "remove_spares"
    """Remove what carries the key's marker and is not in its record."""
    REMOVE = "remove"
    """Remove all that carries the marker of a key that has ended."""
    REVOKE = "revoke"
    """End a live key whose window is over."""


_REASONS: Final[Mapping[Outcome, str]] = {
    Outcome.MISSING_AT_SALTO: "The guest of this key is not at Salto any more, so its PIN opens"
    " nothing.",
    Outcome.UNKNOWN_AT_SALTO: "Something at Salto carries the marker of this key, and the ledger"
    " does not know it.",
    Outcome.DUPLICATE_AT_SALTO: "More than one guest at Salto carries the marker of this key.",
    Outcome.SUSPENDED: "The guest of this key has no seat at Salto, so its PIN opens nothing.",
    Outcome.PIN_DISABLED: "The guest of this key is blocked at Salto or may not use a PIN, so its"
    " PIN opens nothing.",
    Outcome.GROUP_MISSING: "A group of this key is not at Salto any more, so its PIN does not open"
    " all of its doors.",
    Outcome.ORPHAN_GROUP: "A group at Salto carries the marker of this key, and the key does not"
    " use it.",
    Outcome.EXPIRED_NOT_REMOVED: "This key is over, and not all of it has been taken back.",
    Outcome.NOT_OBSERVABLE: "Salto does not list access groups, so nobody knows whether those of"
    " the keys are there.",
}

_ACTIONS: Final[Mapping[Remedy, str]] = {
    Remedy.REPORT: "Nothing is done: a person has to decide.",
    Remedy.REMOVE_SPARES: "What carries the marker of this key and does not belong to it is"
    " removed; the key stays.",
    Remedy.REMOVE: "All that carries the marker of this key is removed.",
    Remedy.REVOKE: "The key is revoked.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference between the ledger and Salto; a key has at most one of each outcome."""

    outcome: Outcome
    key_id: KeyId | None
    """None for what is about the site."""
    remedy: Remedy
    detail: str = ""
    """How much was found; numbers only, so never a secret and never personal."""

    @property
    def reason(self) -> str:
        """Say in a sentence what it means."""
        return _REASONS[self.outcome]

    @property
    def action(self) -> str:
        """Say in a sentence what would be done."""
        return _ACTIONS[self.remedy]


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
        what cannot be observed is no difference.
        """
        return tuple(
            finding for finding in self.findings if finding.outcome is not Outcome.NOT_OBSERVABLE
        )


def highest_number_of(observed: Observation, instance: str) -> int:
    """Return the highest number of a key of ours that is at Salto; 0 where there is none."""
    marked = {
        *(one.key_id for one in observed.guests),
        *(one.key_id for one in observed.groups or ()),
    }
    return max((number_of(key) for key in marked if _is_ours(key, instance)), default=0)


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
        and not _is_young(record, now)
        and number_of(key) not in quiet
    ]
    return tuple(guest_id for _, guest_id in sorted(missing))


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
) -> Plan:
    """Compare the ledger with what was observed, and say what is to be done.

    `under_way` are keys with an open intent or a running operation, `unreadable` the numbers of
    keys of which the ledger cannot read all, `gone` the guests that Salto has denied when it was
    asked, `highest_known` the highest number of the ledger.

    `now` is when the observation began, and the ledger is as it was when it had ended: so what
    happened in between counts as young, and is not judged by a listing that may be older.
    """
    guests, groups = _by_key(observed.guests), _by_key(observed.groups or ())
    marked = guests.keys() | groups.keys()
    ours = {key for key in marked if _is_ours(key, instance)}
    highest = max(map(number_of, ours), default=0)
    quiet, denied = _quiet(under_way, unreadable), frozenset(gone)
    found: dict[KeyId, list[Finding]] = {}
    for key in recorded.keys() | ours:
        if number_of(key) in quiet:
            continue
        seen = _Seen(
            guests=guests.get(key, ()),
            groups={group.id for group in groups.get(key, ())},
            groups_are_listed=observed.groups is not None,
        )
        record = recorded.get(key)
        if record is None:
            found[key] = [_finding(Outcome.UNKNOWN_AT_SALTO, key, Remedy.REPORT, seen)]
        elif not _is_young(record, now):
            found[key] = list(_of_record(record, seen, denied, now))
    ordered = sorted((key for key in found if found[key]), key=_place)
    findings = [finding for key in ordered for finding in found[key]]
    is_behind = highest > highest_known
    if is_behind:
        findings = [replace(finding, remedy=Remedy.REPORT) for finding in findings]
    if observed.groups is None:
        findings.append(Finding(outcome=Outcome.NOT_OBSERVABLE, key_id=None, remedy=Remedy.REPORT))
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


def _of_record(
    record: KeyRecord, seen: _Seen, gone: Set[GuestId], now: datetime
) -> Iterator[Finding]:
    """Find what differs from a record.

    Of a key that is over only that is told: whether it would still open something matters no more.
    """
    key = record.key_id
    if not _is_wanted(record):
        if seen.guests:
            yield _finding(Outcome.EXPIRED_NOT_REMOVED, key, Remedy.REMOVE, seen)
        elif seen.groups:
            yield _finding(Outcome.ORPHAN_GROUP, key, Remedy.REMOVE, seen)
    elif record.window.is_over(now):
        yield _finding(Outcome.EXPIRED_NOT_REMOVED, key, Remedy.REVOKE, seen)
    else:
        yield from _of_live(record, seen, gone)


def _of_live(record: KeyRecord, seen: _Seen, gone: Set[GuestId]) -> Iterator[Finding]:
    """Find what differs from the record of a key that ought to work, or to be kept.

    What is not in the record is a spare only while all that is in it is listed. Otherwise the
    spare may be what works, and the ledger what is old.
    """
    own = next((guest for guest in seen.guests if guest.id == _guest_id(record)), None)
    others = {guest.id for guest in seen.guests} - {_guest_id(record)}
    named = {group.id for group in record.groups}
    lost = named - seen.groups if seen.groups_are_listed else set()
    spare_groups = seen.groups - named
    is_whole = not lost and (own is not None if record.guest else not others)

    report = partial(Finding, key_id=record.key_id, remedy=Remedy.REPORT)
    tidy = partial(report, remedy=Remedy.REMOVE_SPARES) if is_whole else report
    if own is None and _guest_id(record) in gone:
        yield report(outcome=Outcome.MISSING_AT_SALTO)
    if others:
        outcome = Outcome.UNKNOWN_AT_SALTO if own is None else Outcome.DUPLICATE_AT_SALTO
        yield tidy(outcome=outcome, detail=_count(guests=len(others)))
    if own is not None and not own.has_seat and record.status is not KeyStatus.SUSPENDED:
        yield report(outcome=Outcome.SUSPENDED)
    if own is not None and not own.pin_enabled:
        yield report(outcome=Outcome.PIN_DISABLED)
    if lost:
        yield report(outcome=Outcome.GROUP_MISSING, detail=_count(groups=len(lost)))
    if spare_groups:
        yield tidy(outcome=Outcome.ORPHAN_GROUP, detail=_count(groups=len(spare_groups)))


def _guest_id(record: KeyRecord) -> GuestId | None:
    """Return the guest that the ledger knows."""
    return record.guest.id if record.guest else None


def _is_wanted(record: KeyRecord) -> bool:
    """Tell whether what a key has at Salto is to stay there."""
    return record.is_live and record.status is not KeyStatus.REMOVING


def _is_young(record: KeyRecord, now: datetime) -> bool:
    """Tell whether listings may not show yet what was last done to a key."""
    return now - max(record.changed_at, record.removed_at or record.changed_at) < UNSEEN_FOR


def _is_ours(key: KeyId, instance: str) -> bool:
    """Tell whether a key was made by this Home Assistant."""
    return instance_of(key) == instance and len(key) <= _LONGEST_KEY_ID


def _quiet(under_way: Collection[KeyId], unreadable: Collection[int]) -> frozenset[int]:
    """Return the numbers of keys about which nothing is said."""
    return frozenset(unreadable).union(map(number_of, under_way))


def _place(key: KeyId) -> tuple[int, KeyId]:
    """Return what keys are sorted by; a marker written by hand may have a number of another."""
    return number_of(key), key


def _by_key[T: (ObservedGuest, ObservedGroup)](things: Iterable[T]) -> dict[KeyId, list[T]]:
    """Sort what was observed by the key whose marker it carries."""
    found: dict[KeyId, list[T]] = {}
    for thing in things:
        found.setdefault(thing.key_id, []).append(thing)
    return found


def _finding(outcome: Outcome, key: KeyId, remedy: Remedy, seen: _Seen) -> Finding:
    """Make a finding about all that carries a key's marker."""
    detail = _count(guests=len({guest.id for guest in seen.guests}), groups=len(seen.groups))
    return Finding(outcome=outcome, key_id=key, remedy=remedy, detail=detail)


def _count(*, guests: int = 0, groups: int = 0) -> str:
    """Say how many there are."""
    parts = ((guests, "guest"), (groups, "group"))
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in parts if n)
