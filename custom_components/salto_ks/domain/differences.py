"""What differs between the record of a key and what Salto says of each part of it.

The same comparison holds a key to what was just written and, night for night, to what has become
of it. What Salto does not show differs in nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from .ids import DoorId
from .keys import DoorGroup, KeyRecord, KeyStatus, KeyWarning, Strategy
from .observed import ObservedDetails, ObservedGroupDetails, ObservedTimes
from .outcomes import Outcome
from .windows import AccessWindow, on_wall_clock, zone_named

IN_DETAILS: Final = frozenset(
    {
        Outcome.PIN_MISSING,
        Outcome.EXPIRY_DIFFERS,
        Outcome.MEMBER_MISSING,
        Outcome.DOORS_DIFFER,
        Outcome.GROUP_WITHOUT_SCHEDULE,
        Outcome.WINDOW_DIFFERS,
    }
)
"""What only a key that was read as a whole can show, and no listing."""


def differences(record: KeyRecord, details: ObservedDetails) -> Iterator[Outcome]:
    """Find what differs about the PIN and the end of a guest, and about the groups of its key.

    A group that is gone has an outcome of its own, in the listings; here it is passed over. Each
    outcome comes up once for each group that has it.
    """
    if details.has_pin is False:
        yield Outcome.PIN_MISSING
    if _expiry_differs(record, details.expires_at):
        yield Outcome.EXPIRY_DIFFERS
    for group in record.groups:
        if (seen := details.groups.get(group.id)) is not None:
            yield from _of_group(record, group, seen)


def shows(record: KeyRecord, details: ObservedDetails, outcome: Outcome) -> bool:
    """Tell whether so much of a key is shown that `differences` would find an outcome.

    The guest is there where anything is, and so is its end.
    """
    groups = [group for group in details.groups.values() if group is not None]
    are_members_shown = all(group.members is not None for group in groups)
    match outcome:
        case Outcome.PIN_MISSING:
            return details.has_pin is not None
        case Outcome.MEMBER_MISSING:
            return are_members_shown
        case Outcome.DOORS_DIFFER:
            return all(group.doors is not None for group in groups)
        case Outcome.GROUP_WITHOUT_SCHEDULE | Outcome.WINDOW_DIFFERS:
            by_members = record.strategy is Strategy.MEMBERSHIP and not are_members_shown
            return all(group.schedules is not None for group in groups) and not by_members
        case _:
            return True


def as_observed(record: KeyRecord, details: ObservedDetails) -> KeyRecord:
    """Return a record as Salto has it, where that can be read: what has to be moved from.

    A group that is gone, or has another number of schedules than one, is given no schedule: it
    cannot be moved and has to be made anew.
    """
    groups = (
        _group_as_observed(record, group, details.groups.get(group.id)) for group in record.groups
    )
    return replace(record, groups=tuple(groups))


def adopted(
    record: KeyRecord, outcome: Outcome, details: ObservedDetails, *, by_hand: bool
) -> KeyRecord | None:
    """Return a record that says of an outcome what Salto does; None where that cannot be said.

    `by_hand` tells that a person has decided so.
    """
    match outcome:
        case Outcome.SUSPENDED:
            return replace(record, status=KeyStatus.SUSPENDED, by_hand=by_hand)
        case Outcome.DOORS_DIFFER:
            return _with_doors_of(record, details)
        case Outcome.WINDOW_DIFFERS:
            return _with_window_of(record, details)
        case Outcome.EXPIRY_DIFFERS:
            return _with_expiry_of(record, details)
        case _:
            return None


def taken_in(
    bare: KeyRecord, details: ObservedDetails, zone_of: Callable[[frozenset[DoorId]], str | None]
) -> KeyRecord | None:
    """Return the record of a key that was found at Salto; None where not all of it is shown.

    `bare` has the guest and the groups that carry its marker, and nothing else that counts.
    `zone_of` gives the time zone that doors share, None for doors that do not share one. A group
    without doors opens nothing, and is left out. Its PIN nobody knows.
    """
    groups = []
    for group in bare.groups:
        seen = details.groups.get(group.id)
        if seen is None or seen.doors is None or seen.members is None:
            return None
        if not seen.doors:
            continue
        if (zone := zone_of(seen.doors)) is None:
            return None
        member = bare.guest is not None and bare.guest.person_id in seen.members
        groups.append(replace(group, zone=zone, doors=seen.doors, member=member))
    record = _with_doors_of(replace(bare, groups=tuple(groups)), details)
    record = record and _with_window_of(record, details)
    if record is None or record.guest is None:
        return None
    record = _with_expiry_of(record, details) or record
    return replace(
        record,
        status=KeyStatus.SET if details.has_seat else KeyStatus.SUSPENDED,
        sealed_pin=None,
        pin_set_at=None,
        first_used_at=None,
    )


def _with_doors_of(record: KeyRecord, details: ObservedDetails) -> KeyRecord | None:
    """Return a record with the doors that it opens at Salto; None when that is no door at all."""
    groups = []
    for group in record.groups:
        seen = details.groups.get(group.id)
        doors = None if seen is None else seen.doors
        groups.append(group if doors is None else replace(group, doors=doors))
    doors = frozenset[DoorId]().union(*(group.doors for group in groups))
    return replace(record, doors=doors, groups=tuple(groups)) if doors else None


def _with_window_of(record: KeyRecord, details: ObservedDetails) -> KeyRecord | None:
    """Return a record with the window that it has at Salto.

    None where there is no such window: no or several schedules, some hours of the day only, no
    end, groups of which each has another one, or a schedule that is not shown.
    """
    windows: set[AccessWindow | None] = set()
    times_ids = {}
    for group in record.groups:
        seen = details.groups.get(group.id)
        if seen is None or seen.schedules is None or len(seen.schedules) != 1:
            return None
        (times,) = seen.schedules
        times_ids[group.id] = times.id
        windows.add(_window_of(record, group, times))
    if len(windows) != 1 or (window := windows.pop()) is None:
        return None
    groups = tuple(replace(group, times_id=times_ids[group.id]) for group in record.groups)
    return replace(record, window=window, groups=groups)


def _with_expiry_of(record: KeyRecord, details: ObservedDetails) -> KeyRecord | None:
    """Return a record whose guest ends when Salto says; None where it says nothing.

    A guest that would end before its window gets a warning, and so another key in time.
    """
    if record.guest is None or details.expires_at is None:
        return None
    warnings = record.warnings - {KeyWarning.EXPIRY_NOT_MOVED}
    if details.expires_at < record.window.ends_at:
        warnings |= {KeyWarning.EXPIRY_NOT_MOVED}
    guest = replace(record.guest, expires_at=details.expires_at)
    return replace(record, guest=guest, warnings=warnings)


def _expiry_differs(record: KeyRecord, expires_at: datetime | None) -> bool:
    """Tell whether a guest ends in another minute than the ledger says."""
    if record.guest is None or expires_at is None:
        return False
    known = record.guest.expires_at
    return known is None or _minute(known) != _minute(expires_at)


def _of_group(record: KeyRecord, group: DoorGroup, seen: ObservedGroupDetails) -> Iterator[Outcome]:
    """Find what differs about one group."""
    if seen.members is not None and record.guest is not None:
        joined = record.guest.person_id in seen.members
        if group.member and not joined and record.status is not KeyStatus.SUSPENDED:
            # Whether a suspended guest is listed as a member is not known (UNK).
            yield Outcome.MEMBER_MISSING
        if joined and not group.member:
            yield Outcome.WINDOW_DIFFERS
    if seen.doors is not None and seen.doors != group.doors:
        yield Outcome.DOORS_DIFFER
    if seen.schedules is not None:
        if not seen.schedules:
            yield Outcome.GROUP_WITHOUT_SCHEDULE
        elif not (len(seen.schedules) == 1 and _holds_window(record, group, seen.schedules[0])):
            yield Outcome.WINDOW_DIFFERS


def _holds_window(record: KeyRecord, group: DoorGroup, times: ObservedTimes) -> bool:
    """Tell whether a schedule is what the window of a key is written as.

    In a time zone that is not known here any more nobody can tell, and it passes for right.
    """
    if record.strategy is Strategy.MEMBERSHIP:
        return times.is_plain and times.starts is None and times.ends is None
    try:
        local = on_wall_clock(record.window, zone_named(group.zone))
    except ValueError:
        return True
    return times.is_plain and (times.starts, times.ends) == (local.starts, local.ends)


def _window_of(record: KeyRecord, group: DoorGroup, times: ObservedTimes) -> AccessWindow | None:
    """Return the window that a schedule gives; None for one that has no dates of its own.

    Of an end in the hour that comes twice the later is meant, of a start the earlier one.
    """
    if record.strategy is Strategy.MEMBERSHIP or not times.is_plain:
        return None
    if times.starts is None or times.ends is None:
        return None
    try:
        zone = zone_named(group.zone)
        return AccessWindow(_instant(times.starts, zone, 0), _instant(times.ends, zone, 1))
    except OverflowError, ValueError:
        return None


def _group_as_observed(
    record: KeyRecord, group: DoorGroup, seen: ObservedGroupDetails | None
) -> DoorGroup:
    """Return a group as Salto has it, where that can be read."""
    if seen is None:
        return replace(group, member=False, times_id=None)
    member, times_id = group.member, group.times_id
    if seen.members is not None and record.guest and record.status is not KeyStatus.SUSPENDED:
        member = record.guest.person_id in seen.members
    if seen.schedules is not None:
        times_id = seen.schedules[0].id if len(seen.schedules) == 1 else None
    doors = group.doors if seen.doors is None else seen.doors
    return replace(group, doors=doors, member=member, times_id=times_id)


def _instant(naive: datetime, zone: tzinfo, fold: int) -> datetime:
    return naive.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _minute(moment: datetime) -> datetime:
    """Cut seconds off, since they come back altered (MEAS)."""
    return moment.replace(second=0, microsecond=0)
