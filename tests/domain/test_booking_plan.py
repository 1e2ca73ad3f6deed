"""What is done to keys for bookings: as tables, as stories, and in any world."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.booking_plan import (
    AROUND_ARRIVAL,
    DAY_OF_ARRIVAL,
    FIRST_DELAY,
    LONGEST_DELAY,
    LONGEST_DELAY_AT_ARRIVAL,
    LONGEST_DELAY_BEFORE_ARRIVAL,
    NOT_THERE,
    WORTH_SUSPENDING,
    Change,
    Circumstances,
    Failures,
    Issue,
    KeyAction,
    KeyReason,
    Resume,
    Revoke,
    Suspend,
    as_wanted,
    key_plan,
    retry_at,
)
from custom_components.salto_ks.domain.bookings import (
    EXPECTED,
    AccessMode,
    Booking,
    BookingStatus,
    KeyTemplate,
    OnRemoval,
    Unit,
)
from custom_components.salto_ks.domain.desired_keys import desired_keys
from custom_components.salto_ks.domain.ids import BookingId, KeyId, UnitId, key_id
from custom_components.salto_ks.domain.intents import Intent, IntentKind
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus, KeyWarning
from custom_components.salto_ks.domain.windows import AccessWindow

from .stays import (
    CABIN,
    DAY,
    GATE,
    HOUR,
    HUT,
    MINUTE,
    NOW,
    PITCH,
    STAY,
    a_booking,
    a_record,
    a_unit,
    ledger,
)

KEY = key_id("ab12", 7)
OTHER = key_id("ab12", 8)
WINDOW = AccessWindow(NOW + DAY, NOW + 4 * DAY)
SECOND = timedelta(seconds=1)
THERE = [status for status in KeyStatus if status not in NOT_THERE]
CABIN_UNIT = a_unit(unit_id=CABIN, doors=frozenset({HUT}))
LEAD = KeyTemplate(lead_time=5 * HOUR)
LATE_SEAT = KeyTemplate(lead_time=5 * HOUR, seat_from_lead_time=True)

type Told = list[tuple[str, str, str]]
"""What is done, to which key or booking, and why."""


@dataclass(kw_only=True)
class World:
    """Bookings and keys, in which what is planned is done."""

    bookings: list[Booking] = field(default_factory=lambda: [a_booking()])
    units: dict[UnitId, Unit] = field(default_factory=lambda: {PITCH: a_unit(), CABIN: CABIN_UNIT})
    recorded: dict[KeyId, KeyRecord] = field(default_factory=dict)
    unknown_units: Collection[UnitId] = ()
    by_hand: Collection[KeyId] = ()
    on_removal: OnRemoval = OnRemoval.REVOKE
    failures: Mapping[BookingId, Failures] = field(default_factory=dict)
    now: datetime = NOW

    def plan(self) -> tuple[KeyAction, ...]:
        """Return what is to be done."""
        return key_plan(
            desired_keys(self.bookings, self.units, self.now),
            self.recorded,
            self.now,
            Circumstances(
                units=self.units,
                unknown_units=self.unknown_units,
                bookings=self.bookings,
                by_hand=self.by_hand,
                on_removal=lambda _: self.on_removal,
                failures=self.failures,
            ),
        )

    def told(self) -> Told:
        """Return what is to be done, in short."""
        return [_in_short(action) for action in self.plan()]

    def do(self) -> Told:
        """Do what is to be done."""
        plan = self.plan()
        for action in plan:
            self._apply(action)
        return [_in_short(action) for action in plan]

    def at(self, now: datetime) -> Told:
        """Do what is to be done at that time."""
        self.now = now
        return self.do()

    def live(self) -> list[KeyRecord]:
        """Return the keys that somebody can come in with."""
        return [record for record in self.recorded.values() if record.status not in NOT_THERE]

    def _apply(self, action: KeyAction) -> None:
        match action:
            case Issue(desired=key):
                number = max((int(one[5:]) for one in self.recorded), default=0) + 1
                new = a_record(
                    number,
                    booking_id=key.booking_id,
                    unit_id=key.unit_id,
                    doors=key.doors,
                    window=key.window,
                    changed_at=self.now,
                )
                self.recorded[new.key_id] = new
            case Change(desired=key):
                self._replace(
                    action.key_id, window=action.window, doors=action.doors, unit_id=key.unit_id
                )
            case Revoke():
                self._replace(action.key_id, status=KeyStatus.REVOKED)
            case Suspend():
                self._replace(action.key_id, status=KeyStatus.SUSPENDED)
            case Resume():
                self._replace(action.key_id, status=KeyStatus.SET)

    def _replace(self, key: KeyId, **changes: Any) -> None:
        self.recorded[key] = replace(self.recorded[key], changed_at=self.now, **changes)


def _in_short(action: KeyAction) -> tuple[str, str, str]:
    about = (
        f"{action.desired.booking_id} {action.desired.unit_id}"
        if isinstance(action, Issue)
        else action.key_id
    )
    return type(action).__name__.lower(), about, action.reason.value


def world_of(*records: KeyRecord, **changes: Any) -> World:
    """Return a world with these keys."""
    return World(recorded=ledger(*records), **changes)


# A booking and its key


def test_confirmed_booking_gets_a_key() -> None:
    """It is issued, and then all is well."""
    world = World()
    assert world.do() == [("issue", "stay pitch", "booking_confirmed")]
    (key,) = world.live()
    assert (key.window, key.doors) == (WINDOW, frozenset({GATE}))
    assert world.plan() == ()


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ("pending", []),
        ("confirmed", [("issue", "stay pitch", "booking_confirmed")]),
        ("checked_in", [("issue", "stay pitch", "booking_confirmed")]),
        ("completed", []),
        ("cancelled", []),
    ],
)
def test_booking_without_a_key(status: str, done: Told) -> None:
    """Only one whose guest may come in gets one."""
    assert World(bookings=[a_booking(status=BookingStatus(status))]).told() == done


@pytest.mark.parametrize(
    ("status", "done"),
    [
        ("pending", [("suspend", KEY, "booking_pending")]),
        ("confirmed", []),
        ("checked_in", []),
        ("completed", [("revoke", KEY, "booking_completed")]),
        ("cancelled", [("revoke", KEY, "booking_cancelled")]),
        (None, [("revoke", KEY, "booking_gone")]),
    ],
)
@pytest.mark.parametrize("begun", [True, False])
def test_booking_with_a_key(status: str | None, done: Told, begun: bool) -> None:
    """It is taken back at once from who has left or does not come, before the stay and in it."""
    bookings = [] if status is None else [a_booking(status=BookingStatus(status))]
    world = world_of(a_record(), bookings=bookings, now=NOW + 2 * DAY if begun else NOW)
    assert world.do() == done
    assert world.plan() == ()


@pytest.mark.parametrize("status", THERE)
def test_key_that_is_there(status: KeyStatus) -> None:
    """It is not issued twice, however it stands."""
    done = {
        KeyStatus.SUSPENDED: [("resume", KEY, "seat_due")],
        KeyStatus.UNKNOWN: [("change", KEY, "booking_confirmed")],
    }
    assert world_of(a_record(status=status)).told() == done.get(status, [])


@pytest.mark.parametrize("status", ["removing", "revoked"])
def test_key_that_was_taken_back(status: str) -> None:
    """Where a booking is confirmed again, it gets another one."""
    world = world_of(a_record(status=KeyStatus(status)))
    assert world.told() == [("issue", "stay pitch", "issued_before")]


def test_booking_that_is_pending_for_a_while() -> None:
    """Its key has no effect in the meantime, and its guest keeps the PIN."""
    world = world_of(a_record(), bookings=[a_booking(status=BookingStatus.PENDING)])
    world.do()
    assert world.recorded[KEY].status is KeyStatus.SUSPENDED
    world.bookings = [a_booking()]
    assert world.do() == [("resume", KEY, "seat_due")]
    world.bookings = [a_booking(status=BookingStatus.PENDING)]
    world.do()
    world.bookings = [a_booking(status=BookingStatus.CANCELLED)]
    assert world.do() == [("revoke", KEY, "booking_cancelled")]


def test_status_goes_back() -> None:
    """A booking that was cancelled by mistake has a key again."""
    world = world_of(a_record())
    for status, kind in [("cancelled", "revoke"), ("confirmed", "issue"), ("completed", "revoke")]:
        world.bookings = [a_booking(status=BookingStatus(status))]
        assert [done[0] for done in world.do()] == [kind]


# A stay that changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"ends_at": NOW + 9 * DAY}, "stay_changed", id="longer"),
        pytest.param({"ends_at": NOW + 3 * DAY}, "stay_changed", id="shorter"),
        pytest.param({"starts_at": NOW + HOUR}, "stay_changed", id="earlier arrival"),
        pytest.param(
            {"starts_at": NOW + 30 * DAY, "ends_at": NOW + 33 * DAY}, "stay_changed", id="later"
        ),
        pytest.param({"doors": frozenset({HUT})}, "doors_changed", id="other doors"),
        pytest.param(
            {"doors": frozenset({HUT}), "ends_at": NOW + 9 * DAY}, "stay_changed", id="both"
        ),
        pytest.param({"unit_id": CABIN}, "unit_changed", id="another unit"),
        pytest.param(
            {"unit_id": CABIN, "ends_at": NOW + 9 * DAY}, "unit_changed", id="another unit, longer"
        ),
        pytest.param(
            {"unit_id": CABIN, "doors": frozenset({GATE})}, "unit_changed", id="only the unit"
        ),
    ],
)
@pytest.mark.parametrize("begun", [True, False])
def test_stay_that_changes(changes: dict[str, Any], reason: str, begun: bool) -> None:
    """It keeps its key, and so its PIN, before the stay and in it."""
    world = world_of(
        a_record(), bookings=[a_booking(**changes)], now=NOW + 2 * DAY if begun else NOW
    )
    assert world.do() == [("change", KEY, reason)]
    (key,) = world.live()
    booking = world.bookings[0]
    assert key.window == AccessWindow(booking.starts_at, booking.ends_at)
    assert key.unit_id == booking.unit_id
    assert key.doors == world.units[booking.unit_id].doors_of(booking)
    assert world.plan() == ()


def test_stay_that_is_moved_beyond_its_lead_time() -> None:
    """A key that is there stays, even where it would not be issued yet."""
    later = a_booking(starts_at=NOW + 30 * DAY, ends_at=NOW + 33 * DAY)
    world = world_of(a_record(), bookings=[later], units={PITCH: a_unit(template=LEAD)})
    assert world.do() == [("change", KEY, "stay_changed")]
    assert world.plan() == ()


def test_stay_that_is_shortened_to_nothing() -> None:
    """A guest who has left early has no key any more."""
    shorter = a_booking(ends_at=NOW + 2 * DAY - HOUR)
    world = world_of(a_record(), bookings=[shorter], now=NOW + 2 * DAY)
    assert world.told() == [("revoke", KEY, "not_wanted")]


def test_unit_that_has_no_pins_any_more() -> None:
    """Its keys go: somebody has changed the unit."""
    unit = a_unit(mode=AccessMode.REMOTE)
    assert world_of(a_record(), units={PITCH: unit}).told() == [("revoke", KEY, "not_wanted")]


def test_window_that_is_over() -> None:
    """The key manager ends it by itself; a stay that was made longer meanwhile keeps it."""
    world = world_of(a_record(), now=NOW + 4 * DAY)
    assert world.told() == []
    world.bookings = [a_booking(ends_at=NOW + 5 * DAY)]
    assert world.told() == [("change", KEY, "stay_changed")]
    world.bookings = []
    assert world.told() == []


def test_turnover_on_the_same_day() -> None:
    """One key ends as the other begins, and neither has to do with the other."""
    following = a_booking(
        booking_id=BookingId("next"), starts_at=NOW + 4 * DAY, ends_at=NOW + 6 * DAY
    )
    world = World(bookings=[a_booking(), following])
    assert world.do() == [
        ("issue", "stay pitch", "booking_confirmed"),
        ("issue", "next pitch", "booking_confirmed"),
    ]
    first, second = world.live()
    assert first.window.ends_at == second.window.starts_at
    assert world.plan() == ()


def test_overlapping_bookings_of_one_name() -> None:
    """They are two bookings, with a key each."""
    other = a_booking(booking_id=BookingId("other"))
    world = World(bookings=[a_booking(), other])
    world.do()
    assert [key.booking_id for key in world.live()] == ["other", "stay"]
    world.bookings = [replace(other, ends_at=NOW + 5 * DAY)]
    assert {done[0] for done in world.do()} == {"revoke", "change"}
    assert [key.booking_id for key in world.live()] == ["other"]


# Lead time and seats


def test_lead_time() -> None:
    """A key is issued when it is due, and not before."""
    world = World(units={PITCH: a_unit(template=LEAD)})
    assert world.at(NOW) == []
    assert world.at(NOW + DAY - 5 * HOUR - SECOND) == []
    assert world.at(NOW + DAY - 5 * HOUR) == [("issue", "stay pitch", "booking_confirmed")]


def test_seat_from_lead_time() -> None:
    """The key is there at once, gives its seat back, and has it again in time."""
    world = World(units={PITCH: a_unit(template=LATE_SEAT)})
    assert world.at(NOW) == [("issue", "stay pitch", "booking_confirmed")]
    assert world.at(NOW) == [("suspend", "ab12-1", "seat_not_yet")]
    assert world.at(NOW + DAY - 5 * HOUR - SECOND) == []
    assert world.at(NOW + DAY - 5 * HOUR) == [("resume", "ab12-1", "seat_due")]
    assert world.at(NOW + 2 * DAY) == []


def test_seat_of_a_guest_who_comes_earlier() -> None:
    """The window is moved before the key has its effect again."""
    suspended = a_record(status=KeyStatus.SUSPENDED)
    world = world_of(
        suspended,
        bookings=[a_booking(starts_at=NOW + HOUR)],
        units={PITCH: a_unit(template=LATE_SEAT)},
    )
    assert world.do() == [("change", KEY, "stay_changed"), ("resume", KEY, "seat_due")]
    assert world.plan() == ()


@pytest.mark.parametrize(
    ("status", "wait", "suspends"),
    [
        ("set", WORTH_SUSPENDING, False),
        ("set", WORTH_SUSPENDING + SECOND, True),
        ("setting", DAY, False),
    ],
)
def test_seat_that_is_given_back(status: str, wait: timedelta, suspends: bool) -> None:
    """That is done where it is worth it, to a key that is known to be set."""
    starts_at = NOW + 5 * HOUR + wait
    window = AccessWindow(starts_at, NOW + 4 * DAY).to_minutes()
    world = world_of(
        a_record(status=KeyStatus(status), window=window),
        bookings=[a_booking(starts_at=starts_at)],
        units={PITCH: a_unit(template=LATE_SEAT)},
    )
    assert world.told() == ([("suspend", KEY, "seat_not_yet")] if suspends else [])


# What people have done


def test_key_that_somebody_has_suspended() -> None:
    """It stays so, and follows its booking."""
    suspended = a_record(status=KeyStatus.SUSPENDED)
    world = world_of(suspended, by_hand={KEY})
    assert world.told() == []
    world.bookings = [a_booking(ends_at=NOW + 9 * DAY)]
    assert world.do() == [("change", KEY, "stay_changed")]
    assert world.plan() == ()


@pytest.mark.parametrize("status", ["removing", "revoked"])
def test_key_that_somebody_has_revoked(status: str) -> None:
    """Its booking gets no other one by itself; a person may issue one, which then is the one."""
    world = world_of(a_record(status=KeyStatus(status)), by_hand={KEY})
    assert world.told() == []
    world.recorded |= ledger(a_record(8, window=AccessWindow(NOW, NOW + 4 * DAY)))
    assert world.told() == [("change", OTHER, "stay_changed")]


def test_key_whose_removal_by_a_person_was_refused() -> None:
    """It is left to that person, whatever becomes of its booking."""
    world = world_of(a_record(status=KeyStatus.UNKNOWN), by_hand={KEY})
    world.bookings = [a_booking(ends_at=NOW + 9 * DAY)]
    assert world.told() == []
    world.by_hand = ()
    assert world.told() == [("change", KEY, "stay_changed")]


def test_key_of_which_nobody_knows_all() -> None:
    """It is put right for a guest who is expected, and taken from one who may not come in."""
    unknown = a_record(status=KeyStatus.UNKNOWN)
    assert world_of(unknown).told() == [("change", KEY, "booking_confirmed")]
    pending = [a_booking(status=BookingStatus.PENDING)]
    assert world_of(unknown, bookings=pending).told() == [("revoke", KEY, "booking_pending")]


def not_removed(number: int = 7, **changes: Any) -> KeyRecord:
    """Return a key that Salto has refused to take back."""
    warnings = frozenset({KeyWarning.NOT_REMOVED})
    return a_record(number, status=KeyStatus.UNKNOWN, warnings=warnings, **changes)


@pytest.mark.parametrize(
    "bookings",
    [
        [],
        [a_booking(status=BookingStatus.CANCELLED)],
        [a_booking(status=BookingStatus.COMPLETED)],
        [a_booking(status=BookingStatus.PENDING)],
    ],
    ids=["gone", "cancelled", "completed", "pending"],
)
def test_key_whose_removal_was_refused(bookings: list[Booking]) -> None:
    """It is tried again by the key manager, and not with each look at the bookings."""
    assert world_of(a_record(status=KeyStatus.UNKNOWN), bookings=bookings).told() != []
    assert world_of(not_removed(), bookings=bookings).told() == []


@pytest.mark.parametrize("numbers", [(7, 8), (8, 7)])
def test_second_key_whose_removal_was_refused(numbers: tuple[int, int]) -> None:
    """Nor is that of a key beside the one that counts, be it older or not."""
    works, is_left = numbers
    assert world_of(a_record(works), not_removed(is_left)).told() == []


@pytest.mark.parametrize("booking_id", [STAY, None])
def test_key_of_a_deleted_unit_whose_removal_was_refused(booking_id: BookingId | None) -> None:
    """Nor is that of a key that no unit looks after any more."""
    world = world_of(not_removed(booking_id=booking_id), units={CABIN: CABIN_UNIT})
    assert world.told() == []


def test_booking_that_is_confirmed_again_after_a_refused_removal() -> None:
    """It gets the same key back, of which some may be gone, unless a person has taken it."""
    world = world_of(not_removed())
    assert world.told() == [("change", KEY, "booking_confirmed")]
    longer = [a_booking(ends_at=NOW + 9 * DAY)]
    assert world_of(not_removed(), bookings=longer).told() == [("change", KEY, "stay_changed")]
    world.by_hand = {KEY}
    assert world.told() == []


@pytest.mark.parametrize("bookings", [[], [a_booking()], [a_booking(unit_id=CABIN)]])
def test_key_without_a_unit(bookings: list[Booking]) -> None:
    """Whoever has issued it looks after it."""
    world = world_of(a_record(unit_id=None, doors=frozenset({GATE, HUT})), bookings=bookings)
    assert [done for done in world.told() if done[1] == KEY] == []


def test_key_without_a_unit_that_opens_the_same() -> None:
    """A booking that has a key for its doors by hand gets no second one, until that one is over."""
    by_hand = a_record(unit_id=None, window=AccessWindow(NOW, NOW + 2 * DAY))
    world = world_of(by_hand)
    assert world.told() == []
    world.now = NOW + 2 * DAY
    assert world.told() == [("issue", "stay pitch", "booking_confirmed")]


def test_key_of_a_unit_without_a_booking() -> None:
    """It was issued to somebody who has none."""
    assert world_of(a_record(booking_id=None), bookings=[]).told() == []


# Two keys, two units


def test_second_key_of_a_booking() -> None:
    """The oldest stays, whichever is listed first."""
    keys = [a_record(number) for number in (10, 9, 8)]
    world = world_of(*keys)
    assert world.do() == [
        ("revoke", "ab12-10", "second_key"),
        ("revoke", "ab12-9", "second_key"),
    ]
    assert [key.key_id for key in world.live()] == [OTHER]


def test_oldest_key_that_is_there() -> None:
    """One that has ended is none of them."""
    world = world_of(a_record(7, status=KeyStatus.REVOKED), a_record(8), a_record(9))
    assert world.told() == [("revoke", "ab12-9", "second_key")]


def test_booking_of_two_units() -> None:
    """It has a key for each, and loses the one of the unit that it leaves."""
    both = [a_booking(), a_booking(unit_id=CABIN)]
    world = World(bookings=both)
    assert world.do() == [
        ("issue", "stay cabin", "booking_confirmed"),
        ("issue", "stay pitch", "booking_confirmed"),
    ]
    world.bookings = both[1:]
    assert world.do() == [("revoke", "ab12-2", "booking_gone")]
    world.bookings = both
    assert world.do() == [("issue", "stay pitch", "issued_before")]


def test_booking_of_two_units_with_the_same_doors() -> None:
    """One key opens them: the key manager would issue no second one."""
    units = {PITCH: a_unit(), CABIN: a_unit(unit_id=CABIN)}
    both = [a_booking(), a_booking(unit_id=CABIN)]
    world = World(bookings=both, units=units)
    assert world.do() == [("issue", "stay cabin", "booking_confirmed")]
    assert world.do() == []
    world.bookings = both[:1]
    assert world.do() == [("change", "ab12-1", "unit_changed")]


def test_last_word_on_a_booking() -> None:
    """Of two bookings of one name in a unit, the one that was told last counts."""
    world = world_of(a_record(), bookings=[a_booking(), a_booking(ends_at=NOW + 5 * DAY)])
    assert world.do() == [("change", KEY, "stay_changed")]
    assert world.plan() == ()


# Units that are gone, or not known


@pytest.mark.parametrize("booking_id", [STAY, None])
@pytest.mark.parametrize("bookings", [[], [a_booking()]])
def test_unit_that_is_deleted(booking_id: BookingId | None, bookings: list[Booking]) -> None:
    """Its keys go, or stay until they are over, as the unit said in its time."""
    world = world_of(a_record(booking_id=booking_id), bookings=bookings, units={CABIN: CABIN_UNIT})
    assert world.told() == [("revoke", KEY, "unit_removed")]
    world.on_removal = OnRemoval.LEAVE
    assert world.told() == []
    world.on_removal, world.now = OnRemoval.REVOKE, NOW + 4 * DAY
    assert world.told() == []


def test_unit_that_is_deleted_and_made_again() -> None:
    """The bookings of its calendar keep their keys."""
    again = UnitId("pitch again")
    world = world_of(
        a_record(),
        bookings=[a_booking(unit_id=again)],
        units={again: a_unit(unit_id=again)},
        on_removal=OnRemoval.LEAVE,
    )
    assert world.do() == [("change", KEY, "unit_changed")]
    assert world.plan() == ()


@pytest.mark.parametrize("units", [{PITCH: a_unit()}, {}])
@pytest.mark.parametrize("booking_id", [STAY, None])
def test_unit_of_which_not_all_is_known(
    units: dict[UnitId, Unit], booking_id: BookingId | None
) -> None:
    """None of its keys is taken, be they two, and be the unit not even there yet."""
    keys = [a_record(7, booking_id=booking_id), a_record(8, booking_id=booking_id)]
    assert world_of(*keys, bookings=[], units=units, unknown_units={PITCH}).told() == []


def test_booking_that_is_known_of_a_unit_that_is_not() -> None:
    """What is known is done: the guest may be on the way."""
    world = World(unknown_units={PITCH})
    assert world.do() == [("issue", "stay pitch", "booking_confirmed")]
    world.bookings = [a_booking(ends_at=NOW + 9 * DAY)]
    assert world.do() == [("change", "ab12-1", "stay_changed")]
    world.bookings = [a_booking(unit_id=CABIN)]
    assert world.do() == [("issue", "stay cabin", "issued_before")]


@pytest.mark.parametrize(
    ("status", "done"),
    [
        (BookingStatus.CANCELLED, [("revoke", KEY, "booking_cancelled")]),
        (BookingStatus.COMPLETED, [("revoke", KEY, "booking_completed")]),
        (BookingStatus.PENDING, [("suspend", KEY, "booking_pending")]),
    ],
)
def test_status_that_is_told_of_a_unit_that_is_not_known(status: BookingStatus, done: Told) -> None:
    """What is said of a booking is done at once; keys of others of its unit are left alone."""
    world = world_of(
        a_record(7),
        a_record(8, booking_id=BookingId("unheard of")),
        bookings=[a_booking(status=status)],
        unknown_units={PITCH},
    )
    assert world.told() == done


# What goes wrong


@pytest.mark.parametrize(
    ("starts_at", "delays"),
    [
        pytest.param(
            NOW + 30 * DAY,
            [5, 10, 20, 40, 80, 160, 320, 360, 360],
            id="in a month: later and later",
        ),
        pytest.param(NOW + DAY_OF_ARRIVAL, [5, 10, 20, 40, 60, 60], id="tomorrow"),
        pytest.param(NOW + AROUND_ARRIVAL, [5, 10, 15, 15], id="soon"),
        pytest.param(NOW - AROUND_ARRIVAL, [5, 10, 15, 15], id="the guest is there"),
        pytest.param(NOW - DAY, [5, 10, 20, 40, 60, 60], id="the guest is in another way"),
    ],
)
def test_time_until_the_next_attempt(starts_at: datetime, delays: list[int]) -> None:
    """It depends on how often it went wrong, and on when the guest comes."""
    assert FIRST_DELAY == 5 * MINUTE
    assert [LONGEST_DELAY, LONGEST_DELAY_BEFORE_ARRIVAL, LONGEST_DELAY_AT_ARRIVAL] == [
        6 * HOUR,
        HOUR,
        15 * MINUTE,
    ]
    failures = Failures()
    assert retry_at(failures, starts_at, NOW) == NOW
    for minutes in delays:
        failures = failures.and_one(NOW)
        assert retry_at(failures, starts_at, NOW) == NOW + minutes * MINUTE
    assert retry_at(replace(failures, count=10**6), starts_at, NOW) <= NOW + LONGEST_DELAY
    assert retry_at(replace(failures, last_at=NOW + SECOND), starts_at, NOW) == NOW


def test_failures_keep_the_last_time() -> None:
    """They may be told in any order."""
    failures = Failures().and_one(NOW).and_one(NOW - DAY)
    assert failures == Failures(count=2, last_at=NOW)


def failed(number: int, at: datetime, **changes: Any) -> KeyRecord:
    """Return a key that has failed."""
    return a_record(number, status=KeyStatus.FAILED, changed_at=at, **changes)


def test_key_that_has_failed() -> None:
    """It is issued again after a while, and later each time it fails."""
    world = world_of(failed(7, NOW))
    assert world.at(NOW + 5 * MINUTE - SECOND) == []
    world.now = NOW + 5 * MINUTE
    assert world.told() == [("issue", "stay pitch", "issued_before")]
    world.recorded |= ledger(failed(8, world.now))
    assert world.at(NOW + 15 * MINUTE - SECOND) == []
    assert world.at(NOW + 15 * MINUTE) == [("issue", "stay pitch", "issued_before")]


def test_key_that_has_failed_before_one_that_was_there() -> None:
    """What went wrong before something went well does not count any more."""
    keys = [failed(5, NOW), failed(6, NOW), a_record(7, status=KeyStatus.REVOKED)]
    assert world_of(*keys).told() == [("issue", "stay pitch", "issued_before")]


def test_failed_key_of_somebody_else() -> None:
    """A key by hand says nothing about the booking's own."""
    by_hand = failed(8, NOW, unit_id=None)
    assert world_of(by_hand).told() == [("issue", "stay pitch", "booking_confirmed")]
    world = world_of(failed(7, NOW), by_hand)
    assert world.told() == []


def test_refusals_count_with_failed_keys() -> None:
    """What was refused and left no key is told from outside."""
    world = world_of(failed(7, NOW - HOUR), failures={STAY: Failures(count=2, last_at=NOW)})
    assert world.at(NOW + 20 * MINUTE - SECOND) == []
    assert world.at(NOW + 20 * MINUTE) == [("issue", "stay pitch", "issued_before")]


@pytest.mark.parametrize(
    ("record", "booking", "done"),
    [
        pytest.param(
            a_record(), a_booking(ends_at=NOW + 9 * DAY), ("change", "stay_changed"), id="change"
        ),
        pytest.param(
            a_record(status=KeyStatus.SUSPENDED), a_booking(), ("resume", "seat_due"), id="resume"
        ),
        pytest.param(
            a_record(),
            a_booking(status=BookingStatus.PENDING),
            ("suspend", "booking_pending"),
            id="suspend",
        ),
    ],
)
def test_change_that_went_wrong(record: KeyRecord, booking: Booking, done: tuple[str, str]) -> None:
    """It is tried again after a while."""
    world = world_of(record, bookings=[booking], failures={STAY: Failures(count=1, last_at=NOW)})
    assert world.told() == []
    world.now = NOW + 5 * MINUTE
    assert world.told() == [(done[0], KEY, done[1])]


def test_key_is_taken_back_without_delay() -> None:
    """Whatever went wrong before."""
    cancelled = [a_booking(status=BookingStatus.CANCELLED)]
    failures = {STAY: Failures(count=9, last_at=NOW)}
    world = world_of(a_record(), bookings=cancelled, failures=failures)
    assert world.told() == [("revoke", KEY, "booking_cancelled")]


# What is under way


@pytest.mark.parametrize(
    ("kind", "record", "status"),
    [
        (None, None, "set"),
        ("issue", a_record(status=KeyStatus.SCHEDULED), "setting"),
        ("change", a_record(status=KeyStatus.SET), "set"),
        ("change", a_record(status=KeyStatus.SUSPENDED), "suspended"),
        ("suspend", a_record(status=KeyStatus.SUSPENDED), "suspended"),
        ("resume", a_record(status=KeyStatus.SET), "set"),
        ("rotate", a_record(status=KeyStatus.SET), "set"),
        ("revoke", a_record(status=KeyStatus.SET), "removing"),
        ("revoke", a_record(status=KeyStatus.FAILED), "failed"),
        ("revoke", a_record(status=KeyStatus.REVOKED), "revoked"),
    ],
)
def test_key_with_something_under_way(
    kind: str | None, record: KeyRecord | None, status: str
) -> None:
    """It counts as what it will be."""
    intent = None
    if kind is not None and record is not None:
        record = replace(record, window=AccessWindow(NOW, NOW + DAY))
        intent = Intent(key_id=KEY, kind=IntentKind(kind), record=record, started_at=NOW)
    wanted = as_wanted(a_record(), intent)
    assert wanted.status == status
    assert wanted.window == (WINDOW if intent is None else AccessWindow(NOW, NOW + DAY))


# Order and words


def test_most_urgent_goes_first() -> None:
    """What takes access away, then who comes first; a key that is late is as urgent as any."""
    units = {PITCH: a_unit(), CABIN: a_unit(unit_id=CABIN, template=LATE_SEAT)}
    names = {
        "gone": (-DAY, BookingStatus.CANCELLED, PITCH),
        "paused": (2 * DAY, BookingStatus.PENDING, PITCH),
        "seatless": (30 * DAY, BookingStatus.CONFIRMED, CABIN),
        "there": (-2 * DAY, BookingStatus.CONFIRMED, PITCH),
        "late": (-HOUR, BookingStatus.CONFIRMED, PITCH),
        "soon": (HOUR, BookingStatus.CONFIRMED, PITCH),
        "far": (20 * DAY, BookingStatus.CONFIRMED, PITCH),
    }
    bookings = [
        a_booking(
            booking_id=BookingId(name),
            status=status,
            unit_id=unit_id,
            starts_at=NOW + starts,
            ends_at=NOW + starts + 3 * DAY,
        )
        for name, (starts, status, unit_id) in names.items()
    ]
    with_key = ["gone", "paused", "seatless", "there"]
    keys = [
        a_record(
            number,
            booking_id=BookingId(name),
            unit_id=names[name][2],
            window=AccessWindow(NOW + names[name][0], NOW + names[name][0] + 3 * DAY),
        )
        for number, name in enumerate(with_key, start=1)
    ]
    keys[3] = replace(keys[3], doors=frozenset({HUT}))
    world = world_of(*reversed(keys), bookings=bookings[::-1], units=units)
    assert [done[:2] for done in world.told()] == [
        ("revoke", "ab12-1"),
        ("suspend", "ab12-2"),
        ("suspend", "ab12-3"),
        ("change", "ab12-4"),
        ("issue", "late pitch"),
        ("issue", "soon pitch"),
        ("issue", "far pitch"),
    ]


def test_reasons_have_words() -> None:
    """The audit log says why, and each reason says something of its own."""
    words = [reason.words for reason in KeyReason]
    assert len(set(words)) == len(words)
    assert all(word.strip() for word in words)


# In any world

UNITS = [PITCH, CABIN, UnitId("hall")]
DOORS = {PITCH: frozenset({GATE}), CABIN: frozenset({HUT}), UnitId("hall"): frozenset({GATE, HUT})}
TEMPLATES = [KeyTemplate(), LEAD, LATE_SEAT, KeyTemplate(before=HOUR, after=HOUR)]
BOOKING_IDS = st.sampled_from([BookingId(name) for name in "abc"])
INSTANTS = st.integers(-48, 96).map(lambda n: NOW + n * HOUR)


@st.composite
def windows(draw: st.DrawFn) -> AccessWindow:
    """Return a window around now."""
    starts_at = draw(INSTANTS)
    return AccessWindow(starts_at, starts_at + draw(st.integers(1, 96)) * HOUR)


@st.composite
def some_bookings(draw: st.DrawFn) -> list[Booking]:
    """Return bookings, each once in a unit."""
    found = {}
    for _ in range(draw(st.integers(0, 5))):
        window = draw(windows())
        booking = a_booking(
            booking_id=draw(BOOKING_IDS),
            unit_id=draw(st.sampled_from(UNITS)),
            starts_at=window.starts_at,
            ends_at=window.ends_at,
            status=draw(st.sampled_from(BookingStatus)),
        )
        found[booking.booking_id, booking.unit_id] = booking
    return list(found.values())


@st.composite
def some_keys(draw: st.DrawFn) -> dict[KeyId, KeyRecord]:
    """Return keys of bookings, some of them by hand."""
    numbers = count(1)
    keys = draw(
        st.lists(
            st.builds(
                lambda **changes: a_record(next(numbers), **changes),
                booking_id=st.none() | BOOKING_IDS,
                unit_id=st.none() | st.sampled_from([*UNITS, UnitId("sold")]),
                doors=st.sampled_from(list(DOORS.values())),
                window=windows(),
                status=st.sampled_from(KeyStatus),
                changed_at=INSTANTS,
            ),
            max_size=7,
        )
    )
    return ledger(*keys)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Return a world in any state."""
    recorded = draw(some_keys())
    return World(
        bookings=draw(some_bookings()),
        recorded=recorded,
        units={
            unit_id: a_unit(
                unit_id=unit_id,
                doors=DOORS[unit_id],
                template=draw(st.sampled_from(TEMPLATES)),
                mode=draw(st.sampled_from([AccessMode.PIN, AccessMode.BOTH, AccessMode.REMOTE])),
            )
            for unit_id in draw(st.sets(st.sampled_from(UNITS)))
        },
        unknown_units=draw(st.sets(st.sampled_from(UNITS))),
        by_hand=draw(st.sets(st.sampled_from(sorted(recorded)))) if recorded else set(),
        on_removal=draw(st.sampled_from(OnRemoval)),
    )


@given(world=worlds())
@settings(deadline=None, max_examples=200)
def test_what_is_done_is_done(world: World) -> None:
    """Once a plan is carried out there is nothing to do, but to give seats back of new keys."""
    world.do()
    rest = world.do()
    assert {done[2] for done in rest} <= {"seat_not_yet"}
    assert world.plan() == ()


@given(world=worlds())
@settings(deadline=None, max_examples=200)
def test_no_booking_has_two_keys(world: World) -> None:
    """After a plan each booking that wants a key of a unit has at most one, of its window."""
    world.do()
    wanted = {
        (key.booking_id, key.unit_id): key
        for key in desired_keys(world.bookings, world.units, world.now)
    }
    for key in world.live():
        if key.unit_id is None or key.unit_id in world.unknown_units:
            continue
        if key.window.is_over(world.now) or key.booking_id is None:
            continue
        if key.status is KeyStatus.UNKNOWN and key.key_id in world.by_hand:
            continue  # A removal that a person has asked for was refused halfway.
        if (desired := wanted.get((key.booking_id, key.unit_id))) is None:
            stands = {
                one.status
                for one in world.bookings
                if (one.booking_id, one.unit_id) == (key.booking_id, key.unit_id)
            }
            is_left = key.unit_id not in world.units and world.on_removal is OnRemoval.LEAVE
            assert is_left or (
                stands == {BookingStatus.PENDING} and key.status is KeyStatus.SUSPENDED
            )
            continue
        assert (key.window, key.doors) == (desired.window, desired.doors)
        del wanted[desired.booking_id, desired.unit_id]


@given(world=worlds())
@settings(deadline=None, max_examples=200)
def test_nobody_waits_in_vain(world: World) -> None:
    """After a plan each guest has a key that is due, unless a person or a failure is in the way."""
    world.do()
    for key in desired_keys(world.bookings, world.units, world.now):
        of_booking = [one for one in world.recorded.values() if one.booking_id == key.booking_id]
        ours = [one for one in of_booking if one.unit_id is not None]
        assert (
            not key.is_due(world.now)
            or any(one.doors == key.doors and one.status not in NOT_THERE for one in of_booking)
            or any(one.key_id in world.by_hand for one in ours)
            or ours[-1].status is KeyStatus.FAILED
        )


@given(world=worlds())
@settings(deadline=None, max_examples=200)
def test_what_is_left_alone(world: World) -> None:
    """Keys by hand are not touched, and none is taken of which nothing is known."""
    before = dict(world.recorded)
    heard_of = {(one.booking_id, one.unit_id) for one in world.bookings}
    for action in world.plan():
        if isinstance(action, Issue):
            continue
        record = before[action.key_id]
        assert record.unit_id is not None
        assert record.status not in NOT_THERE
        if isinstance(action, Revoke):
            is_known = (record.booking_id, record.unit_id) in heard_of
            assert is_known or record.unit_id not in world.unknown_units
            assert not record.window.is_over(world.now)
        if isinstance(action, Resume):
            assert action.key_id not in world.by_hand


@given(world=worlds())
@settings(deadline=None, max_examples=200)
def test_key_is_taken_for_a_reason(world: World) -> None:
    """No booking that is confirmed loses a key but by its time, its unit or a second key."""
    stands = {(one.booking_id, one.unit_id): one.status for one in world.bookings}
    for action in world.plan():
        if not isinstance(action, Revoke):
            continue
        record = world.recorded[action.key_id]
        status = None
        if record.booking_id is not None and record.unit_id is not None:
            status = stands.get((record.booking_id, record.unit_id))
        match action.reason:
            case KeyReason.UNIT_REMOVED:
                assert record.unit_id not in world.units
            case KeyReason.BOOKING_GONE:
                assert status is None
            case KeyReason.BOOKING_CANCELLED | KeyReason.BOOKING_COMPLETED:
                assert action.reason == f"booking_{status}"
            case KeyReason.NOT_WANTED | KeyReason.SECOND_KEY:
                assert status in EXPECTED
            case KeyReason.BOOKING_PENDING:
                assert status is BookingStatus.PENDING
                assert record.status is KeyStatus.UNKNOWN
            case _:
                pytest.fail(f"taken back for {action.reason}")


@given(world=worlds(), order=st.randoms())
@settings(deadline=None, max_examples=200)
def test_order_of_what_is_known_does_not_matter(world: World, order: Any) -> None:
    """A plan is the same however bookings and keys are listed."""
    plan = world.plan()
    keys = list(world.recorded.values())
    order.shuffle(keys)
    order.shuffle(world.bookings)
    world.recorded = ledger(*keys)
    assert world.plan() == plan


CHANGES = st.lists(
    st.tuples(windows(), st.sampled_from(UNITS), st.sampled_from(sorted(EXPECTED))), max_size=8
)


@given(changes=CHANGES, unit=st.sampled_from(TEMPLATES))
@settings(deadline=None, max_examples=200)
def test_stay_keeps_its_key(changes: Iterable[Any], unit: KeyTemplate) -> None:
    """However a stay is changed and moved, as long as it is not over it has one key and one PIN."""
    world = World(
        units={
            name: a_unit(unit_id=name, doors=DOORS[name], template=replace(unit, lead_time=None))
            if not unit.seat_from_lead_time
            else a_unit(unit_id=name, doors=DOORS[name], template=unit)
            for name in UNITS
        },
    )
    world.do()
    (first,) = world.live()
    for window, unit_id, status in changes:
        ends_at = max(window.ends_at, NOW + HOUR)
        world.bookings = [
            a_booking(starts_at=window.starts_at, ends_at=ends_at, unit_id=unit_id, status=status)
        ]
        world.do()
        assert [key.key_id for key in world.live()] == [first.key_id]
        assert world.live()[0].unit_id == unit_id
