"""What a door says to a PIN."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
import pytest

from simulator import KeypadResult, Quirks, Simulator, UnknownRecordError
from simulator.world import AccessGroup, Schedule, SiteUser

OPENED = KeypadResult("opened", "granted")
START = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)


class Stay:
    """A guest with a PIN, a group, a schedule and a door."""

    def __init__(self, sim: Simulator, door: str = "Main gate", **schedule: Any) -> None:
        self.sim = sim
        self.lock_id = next(
            lock.id for lock in sim.world.locks.values() if lock.customer_reference == door
        )
        guest = sim.add("user", {"alias": "Pitch 5", "use_pin": True, "pin": "135790"})
        assert isinstance(guest, SiteUser)
        self.guest = guest
        group = sim.add("group", {"lock_ids": [self.lock_id], "user_ids": [self.guest.user_id]})
        assert isinstance(group, AccessGroup)
        self.group = group
        timing = sim.add("schedule", {"group_id": self.group.id} | schedule)
        assert isinstance(timing, Schedule)
        self.schedule = timing

    def knock(self, pin: str = "135790") -> KeypadResult:
        """Type a PIN at the door."""
        return self.sim.keypad(self.lock_id, pin)

    @property
    def iq_id(self) -> str:
        """The IQ of the door."""
        return str(self.sim.world.locks[self.lock_id].iq_id)

    def last(self) -> tuple[str, str | None, str | None]:
        """Return category, detail and alias of the last line in the log."""
        line = self.sim.world.entries[-1]
        return line.event_category, line.event_detail, line.user_alias


@pytest.fixture
def sim(freezer: FrozenDateTimeFactory) -> Simulator:
    """Make a campsite at a fixed moment, without lags."""
    freezer.move_to(START)
    return Simulator(quirks=Quirks.instant())


def test_a_good_pin_opens(sim: Simulator) -> None:
    """The door opens for its open time and the log says who it was."""
    stay = Stay(sim)
    assert stay.knock() == OPENED
    assert sim.world.locks[stay.lock_id].locked_state == "unlocked"
    assert stay.last() == ("lock_opened", None, "Pitch 5")
    sim.clock.advance(10)
    assert sim.world.locks[stay.lock_id].locked_state == "locked"


type Change = Callable[[Stay], object]


@pytest.mark.parametrize(
    ("change", "reason", "line"),
    [
        (lambda s: s.sim.set("user", s.guest.id, pin="999999"), "unknown_pin", "no_access"),
        (lambda s: s.sim.set("user", s.guest.id, pin=None), "unknown_pin", "no_access"),
        (lambda s: s.sim.remove("user", s.guest.id), "unknown_pin", "no_access"),
        (lambda s: s.sim.set("user", s.guest.id, use_pin=False), "use_pin_off", "no_access"),
        (lambda s: s.sim.set("group", s.group.id, lock_ids=[]), "no_access", "no_access"),
        (lambda s: s.sim.set("group", s.group.id, user_ids=[]), "no_access", "no_access"),
        (lambda s: s.sim.remove("group", s.group.id), "no_access", "no_access"),
        (lambda s: s.sim.remove("schedule", s.schedule.id), "group_without_schedule", "no_access"),
        (lambda s: s.sim.set("user", s.guest.id, blocked=True), "blocked", "blocked"),
        (
            lambda s: s.sim.set("user", s.guest.id, subscription_state="suspended"),
            "suspended",
            "suspended",
        ),
        (lambda s: s.sim.set("user", s.guest.id, expires_at=START), "expired", None),
        (lambda s: s.sim.set("schedule", s.schedule.id, wednesday=False), "outside_schedule", None),
        (lambda s: s.sim.set("lock", s.lock_id, privacy_mode=True), "privacy_mode", None),
        (lambda s: s.sim.set("lock", s.lock_id, online=False), "lock_offline", "held"),
        (lambda s: s.sim.set("site", s.sim.site_id, pin_enabled=False), "pin_disabled", "silent"),
        (lambda s: s.sim.set("lock", s.lock_id, lock_type="wall_reader"), "no_keypad", "silent"),
        (lambda s: s.sim.remove("iq", s.iq_id), "not_attached", "silent"),
    ],
)
def test_each_reason_to_stay_closed(
    sim: Simulator, change: Change, reason: str, line: str | None
) -> None:
    """One thing wrong at a time: the door stays closed, says why, and logs as a door would."""
    stay = Stay(sim)
    change(stay)
    assert stay.knock() == KeypadResult("rejected", reason)
    lock = sim.world.locks[stay.lock_id]
    assert lock.locked_state == "locked"
    if line in {"held", "silent"}:
        assert not sim.world.entries
        assert len(sim.world.held_entries) == (1 if line == "held" else 0)
        return
    alias = None if line == "no_access" else "Pitch 5"
    assert stay.last() == ("lock_rejected", line, alias)


def test_things_that_do_not_matter(sim: Simulator) -> None:
    """A user without remote access, with a far end or overriding privacy gets in."""
    stay = Stay(sim)
    sim.set("user", stay.guest.id, expires_at=START + timedelta(seconds=1))
    sim.set("user", stay.guest.id, override_privacy_mode=True)
    sim.set("lock", stay.lock_id, privacy_mode=True)
    assert stay.knock() == OPENED


def test_one_pin_for_several_groups(sim: Simulator) -> None:
    """It is enough that one group's schedule holds."""
    stay = Stay(sim, wednesday=False)
    assert stay.knock().reason == "outside_schedule"
    second = sim.add("group", {"lock_ids": [stay.lock_id], "user_ids": [stay.guest.user_id]})
    sim.add("schedule", {"group_id": second.key})
    assert stay.knock() == OPENED


def test_several_schedules_of_a_group(sim: Simulator) -> None:
    """Schedules of one group add up."""
    stay = Stay(sim, wednesday=False)
    extra = sim.add("schedule", {"group_id": stay.group.id})
    assert stay.knock() == OPENED
    sim.remove("schedule", str(extra.key))
    assert stay.knock().reason == "outside_schedule"


def test_the_same_pin_twice(sim: Simulator) -> None:
    """If two users were given one PIN, the door opens when it would for one of them."""
    stay = Stay(sim)
    for number in range(4):
        twin = {"alias": f"Twin {number}", "use_pin": True, "pin": "135790"}
        sim.add("user", twin)
    assert stay.knock() == OPENED
    assert stay.last() == ("lock_opened", None, "Pitch 5")


def test_the_same_pin_on_another_site(sim: Simulator) -> None:
    """A PIN counts on its own site only."""
    stay = Stay(sim)
    elsewhere = next(x for x in sim.world.locks.values() if x.customer_reference == "Jetty gate")
    assert sim.keypad(elsewhere.id, "135790").reason == "unknown_pin"
    assert stay.knock() == OPENED


def test_a_window_to_the_second(sim: Simulator, freezer: FrozenDateTimeFactory) -> None:
    """A stay from 15:00 to 10:00 local time opens and closes on the very second."""
    stay = Stay(sim, start_date="2026-07-02T15:00:00", end_date="2026-07-05T10:00:00")
    for moment, result in (
        ("2026-07-02T12:59:59.999", "rejected"),
        ("2026-07-02T13:00:00", "opened"),
        ("2026-07-05T07:59:59.999", "opened"),
        ("2026-07-05T08:00:00", "rejected"),
    ):
        freezer.move_to(datetime.fromisoformat(moment).replace(tzinfo=UTC))
        assert stay.knock().result == result, moment


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        (
            "2026-03-28T15:00:00",
            "2026-03-29T10:00:00",
            "2026-03-29T07:59:59",
            "2026-03-29T08:00:00",
        ),
        (
            "2026-10-24T15:00:00",
            "2026-10-25T10:00:00",
            "2026-10-25T08:59:59",
            "2026-10-25T09:00:00",
        ),
    ],
)
def test_nights_with_a_change_of_the_clock(
    sim: Simulator, freezer: FrozenDateTimeFactory, start: str, end: str, inside: str, outside: str
) -> None:
    """Check-out at 10:00 local time is another hour of UTC after the clock has changed."""
    stay = Stay(sim, start_date=start, end_date=end)
    freezer.move_to(datetime.fromisoformat(inside).replace(tzinfo=UTC))
    assert stay.knock() == OPENED
    freezer.move_to(datetime.fromisoformat(outside).replace(tzinfo=UTC))
    assert stay.knock().reason == "outside_schedule"


@pytest.mark.parametrize(
    ("rule", "early", "late"),
    [("yes", False, False), ("date_only", True, True), ("ignored", True, True)],
)
def test_dates_may_count_less(
    freezer: FrozenDateTimeFactory, rule: str, early: bool, late: bool
) -> None:
    """The quirk decides whether the door opens before check-in and after check-out."""
    freezer.move_to(START)
    stay = Stay(
        Simulator(quirks=Quirks.instant(dated_time_honoured=rule)),
        start_date="2026-07-02T15:00:00",
        end_date="2026-07-05T10:00:00",
    )
    freezer.move_to("2026-07-02T08:00:00Z")
    assert (stay.knock().result == "opened") is early
    freezer.move_to("2026-07-05T18:00:00Z")
    assert (stay.knock().result == "opened") is late
    freezer.move_to("2026-07-09T18:00:00Z")
    assert (stay.knock().result == "opened") is (rule == "ignored")


@pytest.mark.parametrize(
    ("quirk", "reason"), [("enforced", "expired"), ("not_enforced", "granted")]
)
def test_the_expiry_of_a_pin(freezer: FrozenDateTimeFactory, quirk: str, reason: str) -> None:
    """Whether a door heeds the date given with a PIN is a quirk."""
    freezer.move_to(START)
    stay = Stay(Simulator(quirks=Quirks.instant(pin_expiry=quirk)))
    stay.sim.set("user", stay.guest.id, pin_expiry_date=START - timedelta(seconds=1))
    assert stay.knock().reason == reason
    stay.sim.set("user", stay.guest.id, pin_expiry_date=START + timedelta(days=1))
    assert stay.knock() == OPENED


def test_office_mode_stays(sim: Simulator) -> None:
    """A PIN at a door in office mode opens and does not end it."""
    stay = Stay(sim)
    sim.set("lock", stay.lock_id, locked_state="office_mode")
    assert stay.knock() == OPENED
    sim.clock.advance(60)
    assert sim.world.locks[stay.lock_id].locked_state == "office_mode"


def test_a_lock_that_does_not_exist(sim: Simulator) -> None:
    """A wrong id is an error of the test and not of the guest."""
    with pytest.raises(UnknownRecordError):
        sim.keypad("nowhere", "135790")


def test_no_pin_is_shown(sim: Simulator) -> None:
    """Neither records nor the log carry a PIN in their text form."""
    stay = Stay(sim)
    stay.knock()
    shown = repr((sim.world, sim.journal.entries, sim.outbox))
    assert "135790" not in shown
    assert "135790" not in repr(sim.rollout.users[stay.guest.id].versions)
    assert sim.seed_info()["password"] not in shown
