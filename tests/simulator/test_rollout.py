"""What the doors know, and since when."""

from datetime import UTC, datetime

from freezegun.api import FrozenDateTimeFactory
import pytest

from simulator import Quirks, Simulator
from simulator.rollout import SWEEP_EVERY

from .test_keypad import OPENED, START, Stay

LAGGING = Quirks.instant(schedule_rollout_s=210.0, member_rollout_s=45.0, change_rollout_s=20.0)


@pytest.fixture
def sim(freezer: FrozenDateTimeFactory) -> Simulator:
    """Make a campsite at a fixed moment whose doors learn slowly."""
    freezer.move_to(START)
    return Simulator(quirks=LAGGING)


def known(sim: Simulator) -> Stay:
    """Return a stay that every door knows."""
    stay = Stay(sim)
    sim.clock.advance(211)
    assert stay.knock() == OPENED
    return stay


def test_a_new_schedule_takes_its_time(sim: Simulator) -> None:
    """A stay works when its slowest part, the schedule, has arrived; until then it says so."""
    stay = Stay(sim)
    sim.clock.advance(209)
    assert stay.knock().reason == "not_rolled_out"
    assert stay.last() == ("lock_rejected", "no_access", None)
    sim.clock.advance(1)
    assert stay.knock() == OPENED


def test_a_member_of_a_scheduled_group_is_quicker(sim: Simulator) -> None:
    """Who joins a group that the doors know gets in within 45 seconds."""
    stay = known(sim)
    late = sim.add("user", {"alias": "Late", "use_pin": True, "pin": "246802"})
    sim.set("group", stay.group.id, user_ids=[stay.guest.user_id, late.user_id])
    sim.clock.advance(44)
    assert stay.knock("246802").reason == "not_rolled_out"
    sim.clock.advance(1)
    assert stay.knock("246802") == OPENED


def test_the_other_changes(sim: Simulator) -> None:
    """A rotated PIN, a suspended user and a removed door arrive later as well."""
    stay = known(sim)
    sim.set("user", stay.guest.id, pin="222222")
    assert stay.knock() == OPENED
    assert stay.knock("222222").reason == "not_rolled_out"
    sim.clock.advance(20)
    assert stay.knock().reason == "unknown_pin"
    assert stay.knock("222222") == OPENED
    sim.set("user", stay.guest.id, subscription_state="suspended")
    assert stay.knock("222222") == OPENED
    sim.clock.advance(20)
    assert stay.knock("222222").reason == "suspended"
    sim.set("user", stay.guest.id, subscription_state="subscribed")
    sim.clock.advance(20)
    sim.set("group", stay.group.id, lock_ids=[])
    assert stay.knock("222222") == OPENED
    sim.clock.advance(20)
    assert stay.knock("222222").reason == "no_access"


def test_removing_a_group(sim: Simulator) -> None:
    """A removed group works on until the doors have heard of it."""
    stay = known(sim)
    sim.remove("group", stay.group.id)
    assert stay.knock() == OPENED
    sim.clock.advance(45)
    assert stay.knock().reason == "no_access"


def test_a_moved_window(sim: Simulator) -> None:
    """A changed schedule counts when it has arrived, not before."""
    stay = known(sim)
    sim.set("schedule", stay.schedule.id, end_date="2026-07-01T14:10:00")
    assert stay.knock() == OPENED
    sim.clock.advance(600)
    assert stay.knock().reason == "outside_schedule"
    sim.set("schedule", stay.schedule.id, end_date="2026-07-09T10:00:00")
    assert stay.knock().reason == "not_rolled_out"
    assert stay.last() == ("lock_rejected", None, "Pitch 5")
    sim.clock.advance(210)
    assert stay.knock() == OPENED


def test_what_is_taken_back_before_it_arrived(sim: Simulator) -> None:
    """A change that was undone never counts, even if its first half would arrive later."""
    stay = known(sim)
    sim.set("schedule", stay.schedule.id, wednesday=False)
    sim.clock.advance(100)
    sim.set("schedule", stay.schedule.id, wednesday=True)
    for _ in range(4):
        sim.clock.advance(60)
        result = stay.knock()
    assert result == OPENED


@pytest.mark.parametrize("cut", ["iq", "lock"])
def test_a_door_that_is_cut_off_keeps_what_it_knew(
    freezer: FrozenDateTimeFactory, cut: str
) -> None:
    """While IQ or lock are offline an old PIN still opens and a new one does not."""
    freezer.move_to(START)
    stay = known(Simulator(quirks=Quirks.instant(lock_offline_pin="kept")))
    sim = stay.sim
    target = stay.iq_id if cut == "iq" else stay.lock_id
    sim.set(cut, target, online=False)
    sim.set("user", stay.guest.id, pin="222222")
    sim.clock.advance(86_400)
    assert stay.knock() == OPENED
    assert stay.knock("222222").reason == "not_rolled_out"
    sim.remove("user", stay.guest.id)
    sim.clock.advance(60)
    assert stay.knock() == OPENED
    sim.set(cut, target, online=True)
    assert stay.knock().reason == "unknown_pin"
    assert stay.knock("222222").reason == "unknown_pin"


def test_a_change_on_its_way_when_the_door_is_cut_off(sim: Simulator) -> None:
    """What has not arrived when the line breaks arrives when it is back."""
    stay = known(sim)
    sim.set("user", stay.guest.id, pin="222222")
    sim.clock.advance(10)
    sim.set("iq", stay.iq_id, online=False)
    sim.clock.advance(3600)
    assert stay.knock() == OPENED
    sim.set("iq", stay.iq_id, online=True)
    assert stay.knock("222222") == OPENED


def test_the_schedule_goes_on_without_a_line(sim: Simulator) -> None:
    """A door that is cut off still closes at the end of a window it knows."""
    stay = known(sim)
    sim.set("schedule", stay.schedule.id, end_date="2026-07-01T15:00:00")
    sim.clock.advance(300)
    sim.set("iq", stay.iq_id, online=False)
    assert stay.knock() == OPENED
    sim.clock.set(datetime(2026, 7, 1, 13, 0, tzinfo=UTC))
    assert stay.knock().reason == "outside_schedule"


def test_a_lock_added_offline(sim: Simulator) -> None:
    """A lock that was offline from the beginning knows what was there, and nothing since."""
    lock = sim.add("lock", {"customer_reference": "Spare", "online": False})
    sim.set("lock", str(lock.key), lock_type="wall_reader_pin")
    assert sim.keypad(str(lock.key), "1").reason == "lock_offline"
    sim.set("lock", str(lock.key), online=True)
    assert sim.keypad(str(lock.key), "1").reason == "unknown_pin"


def test_the_past_is_forgotten(sim: Simulator) -> None:
    """What is over for every door does not pile up."""
    sim.set("lock", next(x.id for x in sim.world.locks.values() if not x.online), online=True)
    before = len(sim.rollout.users)
    for number in range(SWEEP_EVERY // 3):
        guest = sim.add("user", {"use_pin": True, "pin": f"9{number:05d}"})
        sim.add("group", {"user_ids": [guest.user_id]})
        sim.remove("user", guest.id)
        sim.clock.advance(60)
    assert len(sim.rollout.users) < before + SWEEP_EVERY // 6
    sim.rollout.sweep()
    assert len(sim.rollout.users) == before


def test_a_cut_off_door_keeps_the_past_alive(sim: Simulator) -> None:
    """As long as one door may still know a user, the user's facts are kept."""
    stay = known(sim)
    sim.set("iq", stay.iq_id, online=False)
    sim.remove("user", stay.guest.id)
    sim.remove("group", stay.group.id)
    sim.clock.advance(86_400)
    sim.rollout.sweep()
    assert stay.knock() == OPENED
    sim.set("iq", stay.iq_id, online=True)
    for lock in sim.world.locks.values():
        lock.online = True
    sim.rollout.sweep()
    assert stay.knock().reason == "unknown_pin"
    assert stay.guest.id not in sim.rollout.users
    assert not [key for key in sim.rollout.doors if key[0] == stay.group.id]
    assert not [key for key in sim.rollout.schedules if key[0] == stay.group.id]
