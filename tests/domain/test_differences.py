"""What Salto has of a key, as a place to move from and as a record to take over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.differences import (
    IN_DETAILS,
    adopted,
    as_observed,
    differences,
    shows,
    taken_in,
)
from custom_components.salto_ks.domain.ids import (
    DoorId,
    GroupId,
    GuestId,
    PersonId,
    TimesId,
    key_id,
)
from custom_components.salto_ks.domain.keys import (
    DoorGroup,
    Guest,
    KeyRecord,
    KeyStatus,
    KeyWarning,
    Strategy,
)
from custom_components.salto_ks.domain.observed import (
    ObservedDetails,
    ObservedGroupDetails,
    ObservedTimes,
)
from custom_components.salto_ks.domain.outcomes import Outcome
from custom_components.salto_ks.domain.windows import AccessWindow, on_wall_clock, zone_named

AMSTERDAM = "Europe/Amsterdam"
START = datetime(2026, 7, 1, 13, tzinfo=UTC)
END = datetime(2026, 7, 8, 9, tzinfo=UTC)
DAY = timedelta(days=1)
GATE, HALL, POOL = map(DoorId, ("gate", "hall", "pool"))
NIKO = PersonId("person 7")
GROUP = GroupId("a7")


def a_record(**changes: Any) -> KeyRecord:
    """Return a key of one group, changed as wished."""
    record = KeyRecord(
        key_id=key_id("ab12", 7),
        doors=frozenset({GATE, HALL}),
        window=AccessWindow(START, END),
        status=KeyStatus.SET,
        sealed_pin="sealed",
        guest=Guest(id=GuestId("g7"), person_id=NIKO, expires_at=END + 30 * DAY),
        groups=(a_group(),),
        created_at=START - DAY,
        changed_at=START - DAY,
        pin_set_at=START - DAY,
    )
    return replace(record, **changes)


def a_group(**changes: Any) -> DoorGroup:
    """Return the group of the key."""
    group = DoorGroup(
        id=GROUP,
        zone=AMSTERDAM,
        doors=frozenset({GATE, HALL}),
        times_id=TimesId("t7"),
        member=True,
    )
    return replace(group, **changes)


def times(
    window: AccessWindow | None = None, zone: str = AMSTERDAM, **changes: Any
) -> ObservedTimes:
    """Return the schedule of a window as Salto shows it."""
    local = on_wall_clock(window or AccessWindow(START, END), zone_named(zone))
    shown = ObservedTimes(id=TimesId("t7"), starts=local.starts, ends=local.ends, is_plain=True)
    return replace(shown, **changes)


def a_part(**changes: Any) -> ObservedGroupDetails:
    """Return what is in the group."""
    part = ObservedGroupDetails(
        doors=frozenset({GATE, HALL}), members=frozenset({NIKO}), schedules=(times(),)
    )
    return replace(part, **changes)


def seen(part: ObservedGroupDetails | None = None, **changes: Any) -> ObservedDetails:
    """Return the key as Salto shows it, all of it as it should be."""
    details = ObservedDetails(
        has_seat=True,
        pin_enabled=True,
        expires_at=END + 30 * DAY,
        has_pin=True,
        groups={GROUP: part or a_part()},
    )
    return replace(details, **changes)


# Where a move begins


@pytest.mark.parametrize(
    ("part", "group"),
    [
        (a_part(), a_group()),
        (a_part(doors=frozenset({POOL})), a_group(doors=frozenset({POOL}))),
        (a_part(members=frozenset()), a_group(member=False)),
        (a_part(schedules=()), a_group(times_id=None)),
        (a_part(schedules=(times(), times())), a_group(times_id=None)),
        (a_part(schedules=(times(id=TimesId("t8")),)), a_group(times_id=TimesId("t8"))),
        (ObservedGroupDetails(doors=None, members=None, schedules=None), a_group()),
    ],
    ids=["right", "doors", "member", "no schedule", "two", "another", "not shown"],
)
def test_group_as_salto_has_it(part: ObservedGroupDetails, group: DoorGroup) -> None:
    """What is shown counts, what is not is taken to be as it was left."""
    assert as_observed(a_record(), seen(part)) == a_record(groups=(group,))


def test_group_that_is_gone_is_made_anew() -> None:
    """It has no schedule that could be moved, and nobody in it."""
    for groups in ({GROUP: None}, {}):
        assert as_observed(a_record(), seen(groups=groups)).groups == (
            a_group(times_id=None, member=False),
        )


def test_suspended_guest_stays_what_it_was_left_as() -> None:
    """Whether it is listed as a member says nothing."""
    record = a_record(status=KeyStatus.SUSPENDED)
    assert as_observed(record, seen(a_part(members=frozenset()))) == record


# What is taken over


def test_suspended_key() -> None:
    """It is suspended from now on, by hand where a person has decided so."""
    for by_hand in (True, False):
        assert adopted(a_record(), Outcome.SUSPENDED, seen(), by_hand=by_hand) == a_record(
            status=KeyStatus.SUSPENDED, by_hand=by_hand
        )


def test_doors() -> None:
    """The key has the doors that it opens, unless it opens none."""
    doors = frozenset({HALL, POOL})

    def taken(part: ObservedGroupDetails) -> KeyRecord | None:
        return adopted(a_record(), Outcome.DOORS_DIFFER, seen(part), by_hand=True)

    assert taken(a_part(doors=doors)) == a_record(doors=doors, groups=(a_group(doors=doors),))
    assert taken(a_part(doors=None)) == a_record()
    assert taken(a_part(doors=frozenset())) is None


def test_doors_of_a_group_that_is_gone_stay() -> None:
    """They are an outcome of their own."""
    taken = adopted(a_record(), Outcome.DOORS_DIFFER, seen(groups={GROUP: None}), by_hand=True)
    assert taken == a_record()


def window_at_salto(*schedules: ObservedTimes | None, **changes: Any) -> AccessWindow | None:
    """Return the window that is taken over; None where none is."""
    shown = None if None in schedules else tuple(filter(None, schedules))
    record = a_record(**changes)
    taken = adopted(record, Outcome.WINDOW_DIFFERS, seen(a_part(schedules=shown)), by_hand=True)
    return None if taken is None else taken.window


OTHER = AccessWindow(START + DAY, END + 2 * DAY)


def test_window() -> None:
    """The window of the only schedule is taken, with the schedule that has it."""
    assert window_at_salto(times(OTHER)) == OTHER
    part = a_part(schedules=(times(OTHER, id=TimesId("t8")),))
    taken = adopted(a_record(), Outcome.WINDOW_DIFFERS, seen(part), by_hand=True)
    assert taken is not None
    assert taken.groups == (a_group(times_id=TimesId("t8")),)


@pytest.mark.parametrize(
    ("schedules", "changes"),
    [
        ([], {}),
        ([None], {}),
        ([times(), times()], {}),
        ([times(is_plain=False)], {}),
        ([times(starts=None)], {}),
        ([times(ends=None)], {}),
        ([times(ends=times().starts)], {}),
        ([times(starts=datetime.min, ends=datetime.max)], {}),  # noqa: DTZ901 - a wall clock
        ([times()], {"strategy": Strategy.MEMBERSHIP}),
        ([times()], {"groups": (a_group(zone="Nowhere/Else"),)}),
        ([times()], {"groups": ()}),
        ([times()], {"groups": (a_group(), a_group(id=GroupId("a8")))}),
    ],
    ids=[
        "none", "not shown", "two", "some hours", "no start", "no end", "empty", "endless",
        "by membership", "no such zone", "no group", "a group that is gone",
    ],
)  # fmt: skip
def test_no_window(schedules: list[ObservedTimes | None], changes: dict[str, Any]) -> None:
    """What is no window of one start and one end cannot be taken over."""
    assert window_at_salto(*schedules, **changes) is None


def test_groups_that_do_not_agree_on_a_window() -> None:
    """A key has one window for all its doors."""
    second = a_group(id=GroupId("a8"), zone="America/New_York")

    def taken(window: AccessWindow) -> KeyRecord | None:
        there = a_part(schedules=(times(window, "America/New_York"),))
        details = seen(groups={GROUP: a_part(schedules=(times(OTHER),)), second.id: there})
        record = a_record(groups=(a_group(), second))
        return adopted(record, Outcome.WINDOW_DIFFERS, details, by_hand=True)

    assert taken(AccessWindow(START, END)) is None
    found = taken(OTHER)
    assert found is not None
    assert found.window == OTHER


def test_end_of_the_guest() -> None:
    """It is taken as it is; one before the end of the window has to be seen to in time."""

    def taken(at: datetime | None, **changes: Any) -> KeyRecord | None:
        record = a_record(warnings=frozenset({KeyWarning.EXPIRY_NOT_MOVED}), **changes)
        return adopted(record, Outcome.EXPIRY_DIFFERS, seen(expires_at=at), by_hand=True)

    late, early = taken(END), taken(END - DAY)
    assert late is not None
    assert early is not None
    assert late.guest == Guest(id=GuestId("g7"), person_id=NIKO, expires_at=END)
    assert late.warnings == frozenset()
    assert early.warnings == {KeyWarning.EXPIRY_NOT_MOVED}
    assert taken(None) is None
    assert taken(END, guest=None) is None


@pytest.mark.parametrize(
    "outcome",
    sorted(
        set(Outcome)
        - {
            Outcome.SUSPENDED,
            Outcome.DOORS_DIFFER,
            Outcome.WINDOW_DIFFERS,
            Outcome.EXPIRY_DIFFERS,
        }
    ),
)
def test_what_cannot_be_taken_over(outcome: Outcome) -> None:
    """Of all else there is nothing that a record could say."""
    assert adopted(a_record(), outcome, seen(), by_hand=True) is None


# A key that was found


BARE = a_record(
    doors=frozenset(),
    status=KeyStatus.UNKNOWN,
    guest=Guest(id=GuestId("g7"), person_id=NIKO),
    groups=(DoorGroup(id=GROUP, zone="", doors=frozenset()),),
)


def zone_of(doors: frozenset[DoorId]) -> str | None:
    """Return the zone of the doors here; the pool is in none that they share."""
    return None if POOL in doors else AMSTERDAM


def test_key_that_was_found() -> None:
    """It has what Salto shows, and a PIN that nobody knows."""
    found = taken_in(BARE, seen(), zone_of)
    assert found == a_record(sealed_pin=None, pin_set_at=None)
    suspended = taken_in(BARE, seen(has_seat=False, expires_at=None), zone_of)
    assert suspended == replace(
        a_record(sealed_pin=None, pin_set_at=None),
        status=KeyStatus.SUSPENDED,
        guest=BARE.guest,
    )


def test_empty_group_of_a_key_that_was_found() -> None:
    """It opens nothing and is left out."""
    second = DoorGroup(id=GroupId("a8"), zone="", doors=frozenset())
    details = seen(groups={GROUP: a_part(), second.id: a_part(doors=frozenset())})
    found = taken_in(replace(BARE, groups=(*BARE.groups, second)), details, zone_of)
    assert found is not None
    assert found.groups == (a_group(),)


@pytest.mark.parametrize(
    ("bare", "part"),
    [
        (BARE, a_part(doors=None)),
        (BARE, a_part(members=None)),
        (BARE, a_part(schedules=None)),
        (BARE, a_part(doors=frozenset())),
        (BARE, a_part(doors=frozenset({GATE, POOL}))),
        (BARE, a_part(schedules=())),
        (replace(BARE, guest=None), a_part()),
        (replace(BARE, groups=()), a_part()),
        (replace(BARE, groups=(a_group(id=GroupId("a8")),)), a_part()),
    ],
    ids=[
        "doors not shown", "members not shown", "schedules not shown", "no doors", "two zones",
        "no schedule", "no guest", "no group", "group gone",
    ],
)  # fmt: skip
def test_key_that_cannot_be_taken_in(bare: KeyRecord, part: ObservedGroupDetails) -> None:
    """A key is known as a whole or not at all."""
    assert taken_in(bare, seen(part), zone_of) is None


# What could have been seen


@pytest.mark.parametrize(
    ("details", "hidden"),
    [
        (seen(), set()),
        (seen(groups={GROUP: None}), set()),
        (seen(has_pin=None), {Outcome.PIN_MISSING}),
        (seen(a_part(doors=None)), {Outcome.DOORS_DIFFER}),
        (seen(a_part(members=None)), {Outcome.MEMBER_MISSING}),
        (
            seen(a_part(schedules=None)),
            {Outcome.GROUP_WITHOUT_SCHEDULE, Outcome.WINDOW_DIFFERS},
        ),
    ],
    ids=["all", "group gone", "no keys", "no doors", "no members", "no schedules"],
)
def test_what_is_shown(details: ObservedDetails, hidden: set[Outcome]) -> None:
    """What is not shown says nothing of what would be seen by it."""
    assert {one for one in IN_DETAILS if not shows(a_record(), details, one)} == hidden


def test_members_show_a_window_where_they_make_it() -> None:
    """With the membership strategy a guest who should not be in the group is in at all times."""
    record = a_record(strategy=Strategy.MEMBERSHIP)
    assert shows(record, seen(), Outcome.WINDOW_DIFFERS)
    assert not shows(record, seen(a_part(members=None)), Outcome.WINDOW_DIFFERS)


# In any window


MINUTES = st.integers(0, 60 * 24 * 400)


@given(
    MINUTES, st.integers(1, 60 * 24 * 30), st.sampled_from([AMSTERDAM, "UTC", "America/New_York"])
)
@settings(deadline=None)
def test_window_there_and_back(start: int, lasts: int, zone: str) -> None:
    """What is written of a window is right, and what is taken over from it is right as well."""
    starts_at = START + timedelta(minutes=start)
    window = AccessWindow(starts_at, starts_at + timedelta(minutes=lasts))
    record = a_record(window=window, groups=(a_group(zone=zone),))
    details = seen(a_part(schedules=(times(window, zone),)))
    assert not [*differences(record, details)]
    taken = adopted(a_record(groups=record.groups), Outcome.WINDOW_DIFFERS, details, by_hand=False)
    assert taken is not None
    assert not [*differences(taken, details)]
    assert taken.window.starts_at <= window.starts_at
    assert window.ends_at <= taken.window.ends_at
