"""What a comparison of ledger and Salto finds: as tables, and in any world."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.fixes import BY_DEFAULT, Fix, fixes_of
from custom_components.salto_ks.domain.ids import (
    DoorId,
    GroupId,
    GuestId,
    KeyId,
    PersonId,
    TimesId,
    group_name,
    instance_of,
    key_id,
    number_of,
)
from custom_components.salto_ks.domain.keys import DoorGroup, Guest, KeyRecord, KeyStatus, Strategy
from custom_components.salto_ks.domain.observed import (
    UNSEEN_FOR,
    Observation,
    ObservedDetails,
    ObservedGroup,
    ObservedGroupDetails,
    ObservedGuest,
    ObservedTimes,
)
from custom_components.salto_ks.domain.plan import (
    ABOUT_THE_SITE,
    MOST_UNKNOWN,
    Finding,
    Outcome,
    Plan,
    highest_number_of,
    plan,
    to_confirm,
    to_look_into,
)
from custom_components.salto_ks.domain.read_only import LONGEST_STEP, Clocks
from custom_components.salto_ks.domain.windows import AccessWindow

NOW = datetime(2026, 6, 1, 3, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
OURS, THEIRS = "ab12", "zz99"
KEY = key_id(OURS, 7)
STAYING = (
    KeyStatus.SCHEDULED,
    KeyStatus.SETTING,
    KeyStatus.SET,
    KeyStatus.CHANGING,
    KeyStatus.SUSPENDED,
    KeyStatus.UNKNOWN,
)
"""States in which what a key has at Salto is to stay there."""
LEAVING = tuple(status for status in KeyStatus if status not in STAYING)

type Told = list[tuple[str, str]]
"""Outcomes, and what would be done."""


def a_guest(name: str = "g7") -> Guest:
    """Return a guest as the ledger knows it."""
    return Guest(id=GuestId(name), person_id=PersonId(f"person {name}"))


def a_group(name: str = "a7") -> DoorGroup:
    """Return a group as the ledger knows it."""
    return DoorGroup(id=GroupId(name), zone="UTC", doors=frozenset({DoorId("door")}), member=True)


def a_record(key: KeyId = KEY, **changes: Any) -> KeyRecord:
    """Return a key that was set two days ago and ends tomorrow, changed as wished."""
    number = number_of(key)
    record = KeyRecord(
        key_id=key,
        doors=frozenset({DoorId("door")}),
        window=AccessWindow(NOW - 2 * DAY, NOW + DAY),
        status=KeyStatus.SET,
        label="Family Jansen",
        guest=a_guest(f"g{number}"),
        groups=(a_group(f"a{number}"),),
        created_at=NOW - 2 * DAY,
        changed_at=NOW - 2 * DAY,
    )
    return replace(record, **changes)


def seen_guest(name: str = "g7", key: KeyId = KEY, **changes: Any) -> ObservedGuest:
    """Return a guest as it is listed."""
    guest = ObservedGuest(
        key_id=key,
        id=GuestId(name),
        person_id=PersonId(f"person {name}"),
        has_seat=True,
        pin_enabled=True,
    )
    return replace(guest, **changes)


def seen_group(name: str = "a7", key: KeyId = KEY) -> ObservedGroup:
    """Return a group as it is listed."""
    return ObservedGroup(key_id=key, id=GroupId(name), name=group_name(key, 1))


def listing(*things: ObservedGuest | ObservedGroup, **changes: Any) -> Observation:
    """Return what is seen when these are listed."""
    observed = Observation(
        guests=tuple(thing for thing in things if isinstance(thing, ObservedGuest)),
        groups=tuple(thing for thing in things if isinstance(thing, ObservedGroup)),
        unmanaged=0,
    )
    return replace(observed, **changes)


LISTED = listing(seen_guest(), seen_group())
"""All that the record has."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What the ledger says, and what is at Salto."""

    recorded: Mapping[KeyId, KeyRecord] = field(default_factory=dict)
    observed: Observation = LISTED
    gone: Collection[GuestId] = ()
    under_way: Collection[KeyId] = ()
    unreadable: Collection[int] = ()
    highest_known: int = 9
    details: Mapping[KeyId, ObservedDetails] = field(default_factory=dict)
    repaired: Collection[Outcome] = BY_DEFAULT

    def plan(self) -> Plan:
        """Compare the two."""
        return plan(
            recorded=self.recorded,
            under_way=self.under_way,
            unreadable=self.unreadable,
            observed=self.observed,
            gone=self.gone,
            instance=OURS,
            highest_known=self.highest_known,
            now=NOW,
            details=self.details,
            repaired=self.repaired,
        )

    def to_confirm(self) -> tuple[GuestId, ...]:
        """Return the guests that Salto has to be asked about."""
        return to_confirm(
            recorded=self.recorded,
            under_way=self.under_way,
            unreadable=self.unreadable,
            observed=self.observed,
            now=NOW,
        )

    def to_look_into(
        self, *, deep: bool = False, since: datetime = NOW - HOUR, doubtful: Collection[KeyId] = ()
    ) -> list[KeyId]:
        """Return the keys that are to be read as a whole."""
        chosen = to_look_into(
            recorded=self.recorded,
            under_way=self.under_way,
            unreadable=self.unreadable,
            observed=self.observed,
            since=since,
            doubtful=doubtful,
            deep=deep,
            now=NOW,
        )
        return [record.key_id for record in chosen]


def world_of(*records: KeyRecord, **more: Any) -> World:
    """Return a world with these keys in the ledger."""
    return World(recorded={record.key_id: record for record in records}, **more)


def told(made: Plan) -> Told:
    """Return what a plan of a single key says."""
    return [(finding.outcome.value, finding.action) for finding in made.findings]


# What is listed


@pytest.mark.parametrize(
    ("observed", "findings"),
    [
        pytest.param(LISTED, [], id="all there"),
        pytest.param(
            listing(seen_guest(), seen_guest(), seen_group(), seen_group()),
            [],
            id="listed twice, as pages shift",
        ),
        pytest.param(listing(seen_group()), [], id="guest not listed, and not asked for"),
        pytest.param(
            listing(seen_guest(has_seat=False), seen_group()),
            [("suspended", "report")],
            id="without a seat",
        ),
        pytest.param(
            listing(seen_guest(pin_enabled=False), seen_group()),
            [("pin_disabled", "report")],
            id="may not use a PIN",
        ),
        pytest.param(
            listing(seen_guest(has_seat=False, pin_enabled=False)),
            [("suspended", "report"), ("pin_disabled", "report"), ("group_missing", "report")],
            id="neither, and no group",
        ),
        pytest.param(
            listing(seen_guest(), seen_guest("g8"), seen_group()),
            [("duplicate_at_salto", "remove_at_salto")],
            id="two guests",
        ),
        pytest.param(
            listing(seen_guest(), seen_group(), seen_group("a8")),
            [("orphan_group", "remove_at_salto")],
            id="a group too many",
        ),
        pytest.param(
            listing(seen_guest(), seen_guest("g8"), seen_group(), seen_group("a8")),
            [("duplicate_at_salto", "remove_at_salto"), ("orphan_group", "remove_at_salto")],
            id="a guest and a group too many",
        ),
        pytest.param(
            listing(seen_guest("g8"), seen_group()),
            [("unknown_at_salto", "report")],
            id="another guest in place of ours",
        ),
        pytest.param(
            listing(seen_guest("g8"), seen_guest("g9"), seen_group(), seen_group("a8")),
            [("unknown_at_salto", "report"), ("orphan_group", "report")],
            id="two other guests",
        ),
        pytest.param(
            listing(seen_guest(), seen_group("a8")),
            [("group_missing", "report"), ("orphan_group", "report")],
            id="another group in place of ours",
        ),
        pytest.param(
            listing(seen_guest(), seen_guest("g8")),
            [("duplicate_at_salto", "report"), ("group_missing", "report")],
            id="two guests, one of which may have had the group",
        ),
        pytest.param(
            listing(seen_group(), seen_group("a8")),
            [("orphan_group", "report")],
            id="a group too many, and the guest not listed",
        ),
        pytest.param(
            listing(seen_guest(), seen_guest("g8"), groups=None),
            [("duplicate_at_salto", "remove_at_salto"), ("not_observable", "report")],
            id="groups cannot be listed",
        ),
    ],
)
@pytest.mark.parametrize("status", [KeyStatus.SET, KeyStatus.CHANGING])
def test_live_key(observed: Observation, findings: Told, status: KeyStatus) -> None:
    """Spares go only where all that the record names is there; the rest is for a person."""
    assert told(world_of(a_record(status=status), observed=observed).plan()) == findings


@pytest.mark.parametrize(
    ("observed", "findings"),
    [
        (listing(), []),
        (listing(seen_guest()), [("unknown_at_salto", "report")]),
        (LISTED, [("unknown_at_salto", "report"), ("orphan_group", "report")]),
        (listing(seen_group()), [("orphan_group", "remove_at_salto")]),
    ],
    ids=["nothing", "guest", "guest and group", "group"],
)
def test_key_that_was_never_issued(observed: Observation, findings: Told) -> None:
    """A guest that the ledger has not heard of may be in use; a group without any is not."""
    scheduled = a_record(status=KeyStatus.SCHEDULED, guest=None, groups=())
    assert told(world_of(scheduled, observed=observed).plan()) == findings


@pytest.mark.parametrize(
    "observed",
    [
        listing(seen_guest(), seen_guest("g8"), seen_group(), seen_group("a8")),
        listing(seen_group()),
        listing(seen_guest(has_seat=False, pin_enabled=False), seen_group("a8")),
    ],
)
def test_key_of_unknown_state(observed: Observation) -> None:
    """What differs from what the ledger does not know for sure is told, and never mended unasked."""
    world = world_of(
        a_record(status=KeyStatus.UNKNOWN),
        observed=observed,
        gone=[GuestId("g7")],
        details={KEY: read(has_pin=False, expires_at=NOW)},
        repaired=set(Outcome),
    )
    known = replace(world, recorded={KEY: a_record()}).plan()
    assert any(finding.fix for finding in known.findings)
    assert world.plan().findings == tuple(replace(one, fix=None) for one in known.findings)


@pytest.mark.parametrize("has_seat", [True, False])
def test_suspended_key(has_seat: bool) -> None:
    """A key without a seat on purpose is right; one with a seat has no outcome of its own."""
    observed = listing(seen_guest(has_seat=has_seat, pin_enabled=False), seen_group())
    made = world_of(a_record(status=KeyStatus.SUSPENDED), observed=observed).plan()
    assert told(made) == [("pin_disabled", "report")]


@pytest.mark.parametrize(
    ("observed", "findings"),
    [
        (listing(), []),
        (LISTED, [("expired_not_removed", "revoke")]),
        (listing(seen_guest("g8"), seen_guest("g9")), [("expired_not_removed", "revoke")]),
        (listing(seen_group()), [("orphan_group", "remove_at_salto")]),
        (listing(groups=None), [("not_observable", "report")]),
    ],
    ids=["nothing", "all", "other guests", "group", "not observable"],
)
@pytest.mark.parametrize("status", LEAVING)
def test_key_that_is_over(status: KeyStatus, observed: Observation, findings: Told) -> None:
    """What is left of it goes, whoever it is."""
    assert told(world_of(a_record(status=status), observed=observed).plan()) == findings


@pytest.mark.parametrize("observed", [LISTED, listing(), listing(seen_guest("g8"))])
@pytest.mark.parametrize("status", STAYING)
def test_window_that_is_over(status: KeyStatus, observed: Observation) -> None:
    """From the end of its window on a key is to be revoked, and nothing else is told of it."""
    ends = [(NOW + MICROSECOND, False), (NOW, True), (NOW - DAY, True)]
    for ends_at, is_over in ends:
        record = a_record(status=status, window=AccessWindow(NOW - 2 * DAY, ends_at))
        world = world_of(record, observed=observed, gone={GuestId("g7")})
        revoked = [("expired_not_removed", "revoke")]
        assert (told(world.plan()) == revoked) is is_over
        assert not (is_over and world.to_confirm())


# What has no record


@pytest.mark.parametrize("observed", [LISTED, listing(seen_guest()), listing(seen_group())])
def test_marker_without_a_record(observed: Observation) -> None:
    """It is told and left alone: the record may be the one that was lost."""
    made = World(observed=observed).plan()
    assert told(made) == [("unknown_at_salto", "report")]
    assert (made.highest_number, made.ledger_is_behind) == (7, False)


def test_restored_backup() -> None:
    """A number above all of the ledger says that it is old, and then nothing is taken away."""
    over = a_record(key_id(OURS, 1), window=AccessWindow(NOW - 2 * DAY, NOW - DAY))
    ended = a_record(key_id(OURS, 2), status=KeyStatus.REVOKED)
    spare = [seen_guest("spare", key_id(OURS, 3)), seen_guest("g3", key_id(OURS, 3))]
    group = seen_group("a3", key_id(OURS, 3))
    left = seen_guest("g2", ended.key_id)
    world = world_of(
        over, ended, a_record(key_id(OURS, 3)), observed=listing(*spare, group, left, seen_guest())
    )
    first = replace(world, highest_known=7).plan()
    assert [finding.fix for finding in first.findings] == [
        Fix.REVOKE,
        Fix.REVOKE,
        Fix.REMOVE_AT_SALTO,
        None,
    ]
    assert not first.ledger_is_behind
    then = replace(world, highest_known=6).plan()
    assert then.ledger_is_behind
    assert then.highest_number == 7
    assert then.findings == tuple(replace(finding, fix=None) for finding in first.findings)


def test_others_are_counted() -> None:
    """Users without a marker and keys of another Home Assistant are numbers, and nothing else."""
    theirs = [seen_guest(f"t{n}", key_id(THEIRS, n)) for n in (7, 50)]
    group = seen_group("t", key_id(THEIRS, 7))
    observed = listing(*theirs, group, seen_guest(), seen_group(), unmanaged=3)
    made = world_of(a_record(), observed=observed).plan()
    told_of = Finding(outcome=Outcome.SECOND_MANAGER, key_id=None)
    assert made == Plan(
        findings=(told_of,), unmanaged=3, foreign=2, highest_number=7, ledger_is_behind=False
    )
    assert made.discrepancies == ()


def test_empty_world() -> None:
    """Nothing in the ledger and nothing at Salto is nothing to do."""
    assert World(observed=listing(), highest_known=0).plan() == Plan(
        findings=(), unmanaged=0, foreign=0, highest_number=0, ledger_is_behind=False
    )


def test_markers_written_by_hand() -> None:
    """A number in another spelling is unknown, one that no ledger reaches is not even ours."""
    by_hand = KeyId(f"{OURS}-07")
    endless = KeyId(f"{OURS}-{'9' * 5000}")
    largest, beyond = (key_id(OURS, 9 + MOST_UNKNOWN + more) for more in (0, 1))
    by_others = (endless, by_hand, largest, beyond)
    observed = listing(seen_guest(), seen_group(), *(seen_guest(key, key) for key in by_others))
    made = world_of(a_record(), observed=observed).plan()
    assert [finding.key_id for finding in made.findings] == [by_hand, largest]
    assert (made.foreign, made.highest_number) == (2, number_of(largest))
    assert highest_number_of(observed, OURS, 9) == number_of(largest)
    assert (
        replace(world_of(observed=observed), under_way={KEY}).plan().findings[0].key_id == largest
    )


# What is asked for


@pytest.mark.parametrize("status", KeyStatus)
def test_guest_that_is_not_listed(status: KeyStatus) -> None:
    """It is asked for where it ought to be, and missing once Salto has said that it is gone."""
    world = world_of(a_record(status=status), observed=listing(seen_group()))
    asked = world.to_confirm()
    assert asked == ((GuestId("g7"),) if status in STAYING else ())
    assert "missing_at_salto" not in dict(told(world.plan()))
    after = told(replace(world, gone=set(asked)).plan())
    assert (("missing_at_salto", "report") in after) is (status in STAYING)


def test_missing_guest_and_what_is_there_instead() -> None:
    """All of it is told, and nothing is removed that may be in use."""
    observed = listing(seen_guest("g8"), seen_group("a8"))
    assert told(world_of(a_record(), observed=observed, gone=[GuestId("g7")]).plan()) == [
        ("missing_at_salto", "report"),
        ("unknown_at_salto", "report"),
        ("group_missing", "report"),
        ("orphan_group", "report"),
    ]


def test_listed_guest_is_not_missing() -> None:
    """What was denied and is listed is there: one of the two was late."""
    assert told(world_of(a_record(), gone=[GuestId("g7")]).plan()) == []


def test_guests_are_asked_for_in_the_order_of_keys() -> None:
    """Whoever asks for some of them only begins where it began the last time."""
    records = [a_record(key_id(OURS, number)) for number in (10, 9, 2)]
    without = a_record(key_id(OURS, 3), guest=None)
    world = world_of(*records, without, observed=listing())
    assert world.to_confirm() == ("g2", "g9", "g10")
    quiet = replace(world, under_way=[key_id(OURS, 9)], unreadable=[10])
    assert quiet.to_confirm() == ("g2",)


# What is too early to tell


AWRY = (
    listing(seen_guest("g8", has_seat=False), seen_group("a8")),
    listing(seen_guest(pin_enabled=False), seen_guest("g8"), seen_group("a8")),
    listing(seen_group()),
    LISTED,
)


@pytest.mark.parametrize("observed", AWRY)
@pytest.mark.parametrize("status", KeyStatus)
@pytest.mark.parametrize("what", ["changed_at", "removed_at"])
def test_what_is_young_is_no_finding(what: str, status: KeyStatus, observed: Observation) -> None:
    """Until `UNSEEN_FOR` is over listings prove nothing, not even of what a clock set forward."""
    for age in (UNSEEN_FOR - MICROSECOND, timedelta(0), -DAY):
        at: dict[str, Any] = {what: NOW - age}
        record = a_record(status=status, **at)
        world = world_of(record, observed=observed, gone={GuestId("g7")})
        assert told(world.plan()) == []
        assert world.to_confirm() == ()


@pytest.mark.parametrize("what", ["changed_at", "removed_at"])
def test_an_instant_far_ahead_proves_no_youth(what: str) -> None:
    """It was noted while the clock was wrong, and would silence the key for as long."""
    at: dict[str, Any] = {what: NOW + DAY + MICROSECOND}
    world = world_of(a_record(**at), observed=listing(seen_group()))
    assert world.to_confirm() == ("g7",)


def test_age_is_half_open() -> None:
    """At the very end of `UNSEEN_FOR` what is listed counts."""
    at = NOW - UNSEEN_FOR
    world = world_of(a_record(changed_at=at), observed=listing(seen_group()))
    assert world.to_confirm() == ("g7",)
    for record in (
        a_record(status=KeyStatus.REVOKED, removed_at=at),
        a_record(status=KeyStatus.FAILED, changed_at=at),
    ):
        assert told(world_of(record).plan()) == [("expired_not_removed", "revoke")]


@pytest.mark.parametrize("observed", AWRY)
@pytest.mark.parametrize("record", [None, *(a_record(status=status) for status in KeyStatus)])
@pytest.mark.parametrize("quiet", [{"under_way": {KEY}}, {"unreadable": {7}}])
def test_what_is_under_way_or_unreadable_is_no_finding(
    quiet: dict[str, Any], record: KeyRecord | None, observed: Observation
) -> None:
    """Nothing is said of it, with or without a record; its number is taken all the same."""
    world = world_of(*filter(None, [record]), observed=observed, gone={GuestId("g7")}, **quiet)
    made = world.plan()
    assert (made.findings, made.highest_number) == ((), 7)
    assert world.to_confirm() == ()


# What is told


def test_what_would_be_done_has_a_name() -> None:
    """It is that of a fix, or that it is reported."""
    assert Finding(outcome=Outcome.SUSPENDED, key_id=KEY).action == "report"
    for fix in Fix:
        assert Finding(outcome=Outcome.SUSPENDED, key_id=KEY, fix=fix).action == fix.value


def test_what_cannot_be_observed_is_no_discrepancy() -> None:
    """All findings are differences, except that there is nothing to compare with."""
    observed = listing(seen_guest(has_seat=False), groups=None)
    made = world_of(a_record(), observed=observed).plan()
    assert [finding.outcome.value for finding in made.discrepancies] == ["suspended"]
    assert made.findings[-1] == Finding(outcome=Outcome.NOT_OBSERVABLE, key_id=None)


# What is read of keys as a whole


def parts(**changes: Any) -> ObservedGroupDetails:
    """Return a group of a key as it is read when all is as it should be."""
    whole = ObservedGroupDetails(
        doors=frozenset({DoorId("door")}),
        members=frozenset({PersonId("person g7")}),
        schedules=(times(),),
    )
    return replace(whole, **changes)


def times(**changes: Any) -> ObservedTimes:
    """Return the schedule of a key's window."""
    window = a_record().window
    plain = ObservedTimes(
        id=TimesId("t7"),
        starts=window.starts_at.replace(tzinfo=None),
        ends=window.ends_at.replace(tzinfo=None),
        is_plain=True,
    )
    return replace(plain, **changes)


def read(group: ObservedGroupDetails | None = parts(), **changes: Any) -> ObservedDetails:  # noqa: B008 - a frozen value
    """Return a key as it is read when all is as it should be."""
    whole = ObservedDetails(
        has_seat=True,
        pin_enabled=True,
        expires_at=None,
        has_pin=True,
        groups={GroupId("a7"): group},
    )
    return replace(whole, **changes)


MIDNIGHT = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seen", "outcomes"),
    [
        (read(), []),
        (read(has_pin=False), ["pin_missing"]),
        (read(has_seat=False), ["suspended"]),
        (read(pin_enabled=False), ["pin_disabled"]),
        (read(expires_at=MIDNIGHT), ["expiry_differs"]),
        (read(None), []),
        (read(groups={}), []),
        (read(parts(doors=frozenset())), ["doors_differ"]),
        (read(parts(doors=frozenset({DoorId("door"), DoorId("other")}))), ["doors_differ"]),
        (read(parts(members=frozenset())), ["member_missing"]),
        (read(parts(schedules=())), ["group_without_schedule"]),
        (read(parts(schedules=(times(), times(id=TimesId("t8"))))), ["window_differs"]),
        (read(parts(schedules=(times(is_plain=False),))), ["window_differs"]),
        (read(parts(schedules=(times(ends=None),))), ["window_differs"]),
        (read(parts(schedules=(times(starts=datetime(2026, 6, 1)),))), ["window_differs"]),  # noqa: DTZ001 - a wall clock
        (
            read(parts(doors=frozenset(), members=frozenset(), schedules=()), has_pin=False),
            ["pin_missing", "member_missing", "doors_differ", "group_without_schedule"],
        ),
        (read(parts(doors=None, members=None, schedules=None)), ["not_observable"]),
        (read(parts(members=None, doors=frozenset())), ["doors_differ", "not_observable"]),
        (read(has_pin=None), ["not_observable"]),
    ],
)
def test_key_that_was_read_as_a_whole(seen: ObservedDetails, outcomes: list[str]) -> None:
    """All that differs is told, and what Salto does not show is never told to be missing."""
    made = world_of(a_record(), details={KEY: seen}).plan()
    assert [finding.outcome.value for finding in made.findings] == outcomes
    assert {finding.action for finding in made.findings} <= {"report"}
    repaired = world_of(a_record(), details={KEY: seen}, repaired=set(Outcome)).plan()
    for finding in repaired.findings:
        first = next(iter(fixes_of(finding.outcome)), None)
        assert finding.fix is (None if finding.key_id is None else first)


@pytest.mark.parametrize(
    ("seen", "outcomes"),
    [
        (read(has_seat=False), []),
        (read(parts(members=frozenset()), has_seat=False), []),
        (read(parts(doors=frozenset()), has_seat=False), ["doors_differ"]),
    ],
)
def test_suspended_key_that_was_read_as_a_whole(seen: ObservedDetails, outcomes: list[str]) -> None:
    """Without a seat it may be listed as a member or not; all else counts as ever."""
    made = world_of(a_record(status=KeyStatus.SUSPENDED), details={KEY: seen}).plan()
    assert [finding.outcome.value for finding in made.findings] == outcomes


def test_what_was_read_counts_for_more_than_a_listing() -> None:
    """A listing that is late about a guest is not believed."""
    observed = listing(seen_guest(has_seat=False, pin_enabled=False), seen_group())
    assert told(world_of(a_record(), observed=observed, details={KEY: read()}).plan()) == []


@pytest.mark.parametrize(
    ("member", "joined", "always", "outcomes"),
    [
        (True, True, True, []),
        (False, False, True, []),
        (True, False, True, ["member_missing"]),
        (False, True, True, ["window_differs"]),
        (True, True, False, ["window_differs"]),
    ],
)
def test_key_that_we_let_in_and_out(
    member: bool, joined: bool, always: bool, outcomes: list[str]
) -> None:
    """Its schedule holds for ever, and its window is that it is in the group."""
    record = a_record(strategy=Strategy.MEMBERSHIP, groups=(replace(a_group(), member=member),))
    schedule = times(starts=None, ends=None) if always else times()
    members = frozenset({PersonId("person g7")} if joined else ())
    seen = read(parts(members=members, schedules=(schedule,)))
    made = world_of(record, details={KEY: seen}).plan()
    assert [finding.outcome.value for finding in made.findings] == outcomes


@pytest.mark.parametrize(
    ("known", "seen", "differs"),
    [
        (None, None, False),
        (None, MIDNIGHT, True),
        (MIDNIGHT, None, False),
        (MIDNIGHT, MIDNIGHT + timedelta(seconds=59), False),
        (MIDNIGHT, MIDNIGHT + timedelta(minutes=1), True),
    ],
)
def test_end_of_the_guest(known: datetime | None, seen: datetime | None, differs: bool) -> None:
    """It counts to the minute, and only where Salto tells it."""
    record = a_record(guest=replace(a_guest(), expires_at=known))
    made = world_of(record, details={KEY: read(expires_at=seen)}).plan()
    assert [one.outcome.value for one in made.findings] == ["expiry_differs"] * differs


def test_time_zone_that_nobody_knows_any_more() -> None:
    """Nobody can tell whether a window is right there, so nothing is told."""
    for zone in ("Nowhere/Else", "x" * 5000, "../etc"):
        record = a_record(groups=(replace(a_group(), zone=zone),))
        assert told(world_of(record, details={KEY: read()}).plan()) == []


def test_keys_that_are_read_as_a_whole() -> None:
    """Those that matter soon or were changed lately are, with `deep` all that are listed and live."""
    far = AccessWindow(NOW + 2 * DAY, NOW + 9 * DAY)
    records = [
        a_record(key_id(OURS, 1), window=AccessWindow(NOW + DAY, NOW + 9 * DAY)),
        a_record(key_id(OURS, 2), window=AccessWindow(NOW - 9 * DAY, NOW + DAY)),
        a_record(key_id(OURS, 3), window=far),
        a_record(key_id(OURS, 4), window=far, changed_at=NOW - HOUR / 2),
        a_record(key_id(OURS, 5), window=far, changed_at=NOW),
        a_record(key_id(OURS, 6), status=KeyStatus.REVOKED),
        a_record(key_id(OURS, 8), window=AccessWindow(NOW - DAY, NOW)),
        a_record(key_id(OURS, 9), guest=None),
        a_record(key_id(OURS, 10)),
    ]
    guests = [seen_guest(f"g{n}", key_id(OURS, n)) for n in (1, 2, 3, 4, 5, 6, 8)]
    world = world_of(*records, observed=listing(*guests))
    assert world.to_look_into() == [f"{OURS}-2", f"{OURS}-1", f"{OURS}-4"]
    assert world.to_look_into(since=NOW - 3 * DAY) == world.to_look_into(deep=True)
    assert world.to_look_into(deep=True) == [f"{OURS}-{n}" for n in (2, 1, 3, 4)]
    assert world.to_look_into(doubtful=[key_id(OURS, 3)]) == world.to_look_into(deep=True)
    quiet = replace(world, under_way=[key_id(OURS, 1)], unreadable=[2])
    assert quiet.to_look_into() == [f"{OURS}-4"]


def test_groups_that_are_read() -> None:
    """Of groups that are not listed nothing is read; where none are listed nobody knows."""
    for observed, groups in ((listing(seen_guest()), ()), (listing(seen_guest(), groups=None), 1)):
        (record,) = to_look_into(
            recorded={KEY: a_record()},
            under_way=(),
            unreadable=(),
            observed=observed,
            since=NOW,
            deep=True,
            now=NOW,
        )
        assert len(record.groups) == (groups or 0)


def test_groups_that_differ_alike() -> None:
    """What is so of several groups is told once."""
    record = a_record(groups=(a_group("a7"), a_group("b7")))
    broken = parts(doors=frozenset(), members=frozenset(), schedules=())
    seen = read(groups={GroupId("a7"): broken, GroupId("b7"): broken})
    observed = listing(seen_guest(), seen_group("a7"), seen_group("b7"))
    made = world_of(record, observed=observed, details={KEY: seen}).plan()
    assert [finding.outcome.value for finding in made.findings] == [
        "member_missing",
        "doors_differ",
        "group_without_schedule",
    ]


# What is mended by itself


@pytest.mark.parametrize(
    ("world", "actions"),
    [
        (World(), ["adopt"]),
        (world_of(a_record(), observed=listing(seen_group()), gone=[GuestId("g7")]), ["reissue"]),
        (
            world_of(
                a_record(status=KeyStatus.SUSPENDED),
                observed=listing(seen_group()),
                gone=[GuestId("g7")],
            ),
            ["report"],
        ),
        (
            world_of(a_record(), observed=listing(seen_guest("g8"), seen_group())),
            ["report"],
        ),
        (
            world_of(
                a_record(),
                observed=listing(seen_guest("g8"), seen_group()),
                gone=[GuestId("g7")],
            ),
            ["report", "report"],
        ),
        (
            world_of(a_record(), observed=listing(seen_guest(), seen_group("a8"))),
            ["restore", "report"],
        ),
        (replace(World(), highest_known=6), ["report"]),
    ],
    ids=[
        "unknown",
        "missing",
        "missing and suspended",
        "another guest",
        "another guest for sure",
        "another group",
        "restored backup",
    ],
)
def test_what_is_mended_where_all_is(world: World, actions: list[str]) -> None:
    """Each outcome has a way of its own; what may be in use is never removed unasked."""
    made = replace(world, repaired=set(Outcome)).plan()
    assert [finding.action for finding in made.findings] == actions


def test_nothing_is_mended_where_nothing_is() -> None:
    """All that is found can be left to a person."""
    over = a_record(window=AccessWindow(NOW - 2 * DAY, NOW - DAY))
    made = world_of(over, repaired=()).plan()
    assert told(made) == [("expired_not_removed", "report")]


# When nothing is


@pytest.mark.parametrize(
    ("wall", "time", "jumped"),
    [
        (DAY, DAY, False),
        (timedelta(seconds=20), timedelta(seconds=20), False),
        (HOUR, timedelta(seconds=20), True),
        (-HOUR, timedelta(seconds=20), True),
        (timedelta(0), HOUR, True),
        (LONGEST_STEP, timedelta(0), False),
        (-LONGEST_STEP, timedelta(0), False),
        (LONGEST_STEP + timedelta(seconds=1), timedelta(0), True),
        (-timedelta(seconds=2), timedelta(seconds=20), False),
    ],
)
def test_jumps_of_the_clock(wall: timedelta, time: timedelta, jumped: bool) -> None:
    """Small corrections are none, in either direction."""
    before = Clocks(wall=NOW, monotonic=100.0)
    after = Clocks(wall=NOW + wall, monotonic=100.0 + time.total_seconds())
    assert after.has_jumped(before) is jumped


# In any world


AGES = st.sampled_from([-DAY, timedelta(0), UNSEEN_FOR - MICROSECOND, UNSEEN_FOR, HOUR, DAY])
OLD = st.sampled_from([UNSEEN_FOR, HOUR, DAY])
NUMBERS = st.integers(1, 6)


@st.composite
def records(
    draw: st.DrawFn,
    /,
    ages: st.SearchStrategy[timedelta] = AGES,
    ends: Collection[timedelta] = (-DAY, timedelta(0), DAY),
) -> dict[KeyId, KeyRecord]:
    """Return a ledger of keys in any state."""
    recorded = {}
    for number in draw(st.sets(NUMBERS, max_size=5)):
        age = draw(ages)
        ends_at = NOW + draw(st.sampled_from(list(ends)))
        status = draw(st.sampled_from(KeyStatus))
        removed_after = draw(st.sampled_from([None, timedelta(0), -HOUR]))
        record = a_record(
            key_id(OURS, number),
            status=status,
            window=AccessWindow(NOW - 2 * DAY, ends_at),
            guest=draw(st.sampled_from([None, a_guest(f"g{number}")])),
            groups=tuple(
                a_group(f"{letter}{number}") for letter in draw(st.sampled_from(["", "a", "ab"]))
            ),
            changed_at=NOW - age,
            removed_at=None if removed_after is None else NOW - age + removed_after,
        )
        recorded[record.key_id] = record
    return recorded


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """Return listings of keys of ours and of another, in part those that a ledger may know."""
    things: list[ObservedGuest | ObservedGroup] = []
    for key in draw(
        st.sets(st.builds(key_id, st.sampled_from([OURS, OURS, THEIRS]), st.integers(1, 9)))
    ):
        of = f"{number_of(key)}{'' if instance_of(key) == OURS else 't'}"
        things += [
            seen_guest(
                f"{letter}{of}",
                key,
                has_seat=draw(st.booleans()),
                pin_enabled=draw(st.booleans()),
            )
            for letter in draw(st.lists(st.sampled_from("ghi"), max_size=3))
        ]
        things += [
            seen_group(f"{letter}{of}", key)
            for letter in draw(st.lists(st.sampled_from("abc"), max_size=3))
        ]
    observed = listing(*things, unmanaged=draw(st.integers(0, 3)))
    return observed if draw(st.integers(0, 4)) else replace(observed, groups=None)


@st.composite
def worlds(draw: st.DrawFn, /, ages: st.SearchStrategy[timedelta] = AGES) -> World:
    """Return any ledger beside any Salto."""
    world = World(
        recorded=draw(records(ages)),
        observed=draw(observations()),
        under_way=draw(st.sets(NUMBERS.map(lambda number: key_id(OURS, number)), max_size=2)),
        unreadable=draw(st.sets(NUMBERS, max_size=2)),
        highest_known=draw(st.sampled_from([6, 9, 9])),
    )
    asked = world.to_confirm()
    return replace(world, gone=draw(st.sets(st.sampled_from(asked)) if asked else st.just(set())))


@st.composite
def agreeing_worlds(draw: st.DrawFn) -> World:
    """Return a ledger of which every word is true."""
    recorded = draw(records(ends=[DAY]))
    things: list[ObservedGuest | ObservedGroup] = []
    for key, record in recorded.items():
        if record.status in STAYING:
            has_seat = record.status is not KeyStatus.SUSPENDED
            if record.guest:
                things.append(seen_guest(record.guest.id, key, has_seat=has_seat))
            things += [seen_group(group.id, key) for group in record.groups]
    return World(recorded=recorded, observed=listing(*draw(st.permutations(things))))


def is_young(record: KeyRecord) -> bool:
    """Tell whether something happened to a key just now."""
    instants = (record.changed_at, record.removed_at)
    return any(at is not None and -DAY <= NOW - at < UNSEEN_FOR for at in instants)


def applied(world: World, made: Plan) -> World:
    """Return a world in which a plan was carried out."""
    observed, recorded = world.observed, dict(world.recorded)
    guests, groups = observed.guests, observed.groups
    for finding in made.findings:
        key = finding.key_id
        if finding.fix is None or key is None:
            continue
        kept: set[str] = set()
        if finding.fix is Fix.REVOKE:
            recorded[key] = replace(recorded[key], status=KeyStatus.REVOKED)
        elif recorded[key].status in STAYING:
            kept = named(recorded[key])
        guests = tuple(guest for guest in guests if guest.key_id != key or guest.id in kept)
        if groups is not None:
            groups = tuple(group for group in groups if group.key_id != key or group.id in kept)
    return replace(
        world, recorded=recorded, observed=replace(observed, guests=guests, groups=groups)
    )


def named(record: KeyRecord) -> set[str]:
    """Return all that a record says is at Salto."""
    return {*([record.guest.id] if record.guest else []), *(group.id for group in record.groups)}


def things_of(observed: Observation) -> list[ObservedGuest | ObservedGroup]:
    """Return all that is listed."""
    return [*observed.guests, *(observed.groups or ())]


def shown(observed: Observation) -> set[str]:
    """Return the ids of all that is listed."""
    return {thing.id for thing in things_of(observed)}


@given(agreeing_worlds())
@settings(deadline=None)
def test_world_that_agrees(world: World) -> None:
    """Where all is as the ledger says there is nothing to tell, to ask or to do."""
    assert world.plan().findings == ()
    assert world.to_confirm() == ()


@given(worlds())
@settings(deadline=None, max_examples=300)
def test_plan_that_was_carried_out(world: World) -> None:
    """After one plan only what a person has to decide is left, and none of that is new."""
    first = world.plan()
    then = applied(world, first).plan()
    assert {finding.fix for finding in then.findings} <= {None}
    assert set(then.findings) <= set(first.findings)


@given(worlds())
@settings(deadline=None, max_examples=300)
def test_nothing_is_taken_that_may_be_in_use(world: World) -> None:
    """What a live key names stays, and so does all that no record accounts for."""
    made = world.plan()
    left = shown(applied(world, made).observed)
    for record in world.recorded.values():
        if record.status in STAYING and not record.window.is_over(NOW):
            assert named(record) & shown(world.observed) <= left
    taken = shown(world.observed) - left
    touched = {thing.key_id for thing in things_of(world.observed) if thing.id in taken}
    assert touched <= set(world.recorded)
    assert not (made.ledger_is_behind and taken)


@given(worlds(OLD))
@settings(deadline=None, max_examples=300)
def test_nothing_is_left_of_what_is_over(world: World) -> None:
    """A ledger that is not behind is cleared of all keys that are over, once they are old."""
    if world.plan().ledger_is_behind:
        return
    keys = {thing.key_id for thing in things_of(applied(world, world.plan()).observed)}
    for key, record in world.recorded.items():
        is_over = record.status in LEAVING or record.window.is_over(NOW)
        if is_over and key not in world.under_way and number_of(key) not in world.unreadable:
            assert key not in keys


@given(worlds())
@settings(deadline=None, max_examples=300)
def test_what_is_never_in_a_finding(world: World) -> None:
    """Nothing is said of keys under way, unreadable, young, or of another Home Assistant."""
    for finding in world.plan().findings:
        key = finding.key_id
        if key is None:
            assert finding.outcome in ABOUT_THE_SITE
            continue
        assert instance_of(key) == OURS
        assert key not in world.under_way
        assert number_of(key) not in world.unreadable
        assert key not in world.recorded or not is_young(world.recorded[key])


@given(worlds())
@settings(deadline=None, max_examples=300)
def test_others_make_no_difference(world: World) -> None:
    """What is foreign, unmarked, young or quiet might as well not be there."""
    quiet = {number_of(key) for key in world.under_way} | set(world.unreadable)
    recorded = {
        key: record
        for key, record in world.recorded.items()
        if number_of(key) not in quiet and not is_young(record)
    }
    silent = {key for key in world.recorded if key not in recorded}

    def counts(thing: ObservedGuest | ObservedGroup) -> bool:
        key = thing.key_id
        return instance_of(key) == OURS and number_of(key) not in quiet and key not in silent

    observed = world.observed
    alone = replace(
        world,
        recorded=recorded,
        under_way=(),
        unreadable=(),
        observed=Observation(
            guests=tuple(filter(counts, observed.guests)),
            groups=None if observed.groups is None else tuple(filter(counts, observed.groups)),
            unmanaged=0,
        ),
    )
    assert alone.plan().discrepancies == world.plan().discrepancies
    assert alone.to_confirm() == world.to_confirm()
    keys = {thing.key_id for thing in things_of(observed)}
    theirs = [key for key in keys if instance_of(key) != OURS]
    made = world.plan()
    assert (made.foreign, made.unmanaged) == (len(theirs), observed.unmanaged)


@given(worlds())
@settings(deadline=None, max_examples=300)
def test_missing_is_what_was_asked_for_and_denied(world: World) -> None:
    """Each guest that is told to be missing was asked for, and each that was denied is told."""
    missing = {
        world.recorded[finding.key_id].guest
        for finding in world.plan().findings
        if finding.outcome is Outcome.MISSING_AT_SALTO and finding.key_id is not None
    }
    assert {guest.id for guest in missing if guest} == set(world.gone) <= set(world.to_confirm())


@given(worlds(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_is_that_of_the_keys(world: World, random: Any) -> None:
    """However the ledger and the listings are ordered, the plan is the same one."""
    made = world.plan()
    order = [
        (
            finding.key_id is None,
            0 if finding.key_id is None else number_of(finding.key_id),
            list(Outcome).index(finding.outcome),
        )
        for finding in made.findings
    ]
    assert all(one < other for one, other in pairwise(order))
    keys = list(world.recorded)
    random.shuffle(keys)
    observed = world.observed
    things = [*observed.groups] if observed.groups is not None else []
    random.shuffle(things)
    other = replace(
        world,
        recorded={key: world.recorded[key] for key in keys},
        observed=replace(observed, groups=None if observed.groups is None else tuple(things)),
    )
    assert other.plan() == made
