"""Changing the world by hand, in process."""

from datetime import UTC, datetime, timedelta

import pytest

from simulator import Quirks, Simulator, UnknownRecordError
from simulator.world import AccessGroup, Iq, Lock, Person, Schedule, Site, SiteUser


@pytest.fixture
def sim() -> Simulator:
    """Make a campsite."""
    return Simulator(quirks=Quirks.instant())


def guest_of(sim: Simulator) -> SiteUser:
    """Return a guest."""
    return sim.world.guests[0]


def test_set_takes_values_and_texts(sim: Simulator) -> None:
    """A field takes its own type or the text of it."""
    guest = guest_of(sim)
    end = datetime(2027, 1, 1, tzinfo=UTC)
    sim.set("user", guest.id, expires_at=end)
    assert guest.expires_at == end
    sim.set("user", guest.id, expires_at="2027-02-01T00:00:00+00:00", blocked=True)
    assert guest.expires_at == datetime(2027, 2, 1, tzinfo=UTC)
    assert guest.blocked
    sim.set("user", guest.id, expires_at=None, alias="x")
    assert (guest.expires_at, guest.alias) == (None, "x")


def test_set_reaches_the_person(sim: Simulator) -> None:
    """Names and addresses of a user are those of the person."""
    guest = guest_of(sim)
    sim.set("user", guest.id, first_name="Ada", email="ada@example.com")
    person = sim.world.people[guest.user_id]
    assert (person.first_name, person.email) == ("Ada", "ada@example.com")


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("user", {"nmae": 1}),
        ("user", {"id": "x"}),
        ("user", {"user_id": "x"}),
        ("user", {"roles": ["king"]}),
        ("user", {"blocked": "yes"}),
        ("user", {"blocked": 1}),
        ("user", {"subscription_state": "asleep"}),
        ("user", {"created_at": None}),
        ("user", {"expires_at": "2027-01-01T00:00:00"}),
        ("user", {"expires_at": 5}),
        ("user", {"role_ids": "abc"}),
        ("lock", {"open_time": True}),
        ("lock", {"customer_reference": None}),
        ("iq", {"activated_elsewhere": "yes"}),
        ("schedule", {"start_date": datetime(2027, 1, 1, tzinfo=UTC)}),
        ("schedule", {"start_time": "25:00"}),
    ],
)
def test_set_refuses_and_changes_nothing(
    sim: Simulator, kind: str, changes: dict[str, object]
) -> None:
    """A field that does not exist, cannot be set or has another type leaves all as it was."""
    record = {
        "user": guest_of(sim),
        "lock": next(iter(sim.world.locks.values())),
        "iq": next(iter(sim.world.iqs.values())),
        "schedule": next(iter(sim.world.schedules.values())),
    }[kind]
    before = sim.dump()["world"]
    good = {"alias": "changed"} if kind == "user" else {}
    with pytest.raises(ValueError, match=r"."):
        sim.set(kind, record.key, **good, **changes)
    assert sim.dump()["world"] == before


def test_unknown_records_and_kinds(sim: Simulator) -> None:
    """A wrong id is a lookup error, a wrong kind a value error."""
    for call in (lambda: sim.set("lock", "x", online=False), lambda: sim.remove("iq", "x")):
        with pytest.raises(UnknownRecordError):
            call()
    with pytest.raises(ValueError, match="a kind is one of"):
        sim.add("door", {})
    with pytest.raises(UnknownRecordError):
        sim.activate("x")
    with pytest.raises(UnknownRecordError):
        sim.deactivate(sim.seed_info()["iqs"][0]["id"], username="nobody")


def test_add_makes_up_the_rest(sim: Simulator) -> None:
    """Each kind can be added with next to nothing."""
    site = sim.add("site", {})
    assert isinstance(site, Site)
    iq = sim.add("iq", {"site_id": site.id, "customer_reference": "IQ X"})
    assert isinstance(iq, Iq)
    lock = sim.add("lock", {"site_id": site.id})
    assert isinstance(lock, Lock)
    assert (lock.iq_id, lock.customer_reference) == (iq.id, f"Lock {len(sim.world.locks)}")
    group = sim.add("group", {"lock_ids": [lock.id]})
    assert isinstance(group, AccessGroup)
    schedule = sim.add("schedule", {"group_id": group.id})
    assert isinstance(schedule, Schedule)
    person = sim.add("person", {"first_name": "Ada"})
    assert isinstance(person, Person)
    user = sim.add("user", {"user_id": person.id, "roles": ["site_user"]})
    assert isinstance(user, SiteUser)
    assert sim.world.role_codes(user) == {"site_user"}
    account = sim.add(
        "account", {"username": "a@example.com", "password": "x", "user_id": person.id}
    )
    assert sim.world.accounts["a@example.com"] is account
    lonely = sim.add("lock", {"site_id": sim.add("site", {}).key})
    assert isinstance(lonely, Lock)
    assert lonely.iq_id is None


@pytest.mark.parametrize(
    ("kind", "values", "error"),
    [
        ("user", {"nmae": "x"}, ValueError),
        ("user", {"roles": ["king"]}, ValueError),
        ("user", {"user_id": "nobody"}, UnknownRecordError),
        ("user", {"site_id": "nowhere"}, UnknownRecordError),
        ("user", {"use_pin": "yes"}, ValueError),
        ("lock", {"nmae": "x"}, ValueError),
        ("schedule", {}, ValueError),
        ("account", {}, ValueError),
    ],
)
def test_add_refuses(
    sim: Simulator, kind: str, values: dict[str, object], error: type[Exception]
) -> None:
    """Unknown, missing and mistyped values add nothing."""
    before = len(sim.records(kind))
    with pytest.raises(error):
        sim.add(kind, values)
    assert len(sim.records(kind)) == before


def test_remove_takes_along_what_hangs_on_it(sim: Simulator) -> None:
    """A group loses its schedules, groups lose a removed user, locks a removed IQ."""
    group = next(x for x in sim.world.groups.values() if x.customer_reference == "Season")
    guest = guest_of(sim)
    assert guest.user_id in group.user_ids
    sim.remove("user", guest.id)
    assert guest.user_id not in group.user_ids
    sim.remove("group", group.id)
    assert not sim.world.schedules_of(group.id)
    iq_id = sim.seed_info()["iqs"][0]["id"]
    sim.remove("iq", iq_id)
    assert not [lock for lock in sim.world.locks.values() if lock.iq_id == iq_id]


def test_a_record_taken_out_twice(sim: Simulator) -> None:
    """The second time does nothing."""
    guest = guest_of(sim)
    revision = sim.world.revision
    sim.world.discard(guest)
    once = sim.world.revision
    sim.world.discard(guest)
    assert revision < once == sim.world.revision


def test_assigning_is_enough(sim: Simulator) -> None:
    """A field that is simply assigned reaches the doors as well."""
    guest = guest_of(sim)
    gate = next(x for x in sim.world.locks.values() if x.customer_reference == "Main gate")
    assert guest.pin is not None
    assert sim.keypad(gate.id, guest.pin).result == "opened"
    guest.use_pin = False
    assert sim.keypad(gate.id, guest.pin).reason == "use_pin_off"
    guest.use_pin = True
    gate.online = False
    assert sim.keypad(gate.id, guest.pin).reason == "lock_offline"


def test_the_clock_may_go_back(sim: Simulator) -> None:
    """What is there stays there, and what is on its way keeps the time it has left."""
    slow = Simulator(quirks=Quirks.instant(schedule_rollout_s=200.0))
    gate = next(x for x in slow.world.locks.values() if x.customer_reference == "Main gate")
    old = guest_of(slow)
    assert old.pin is not None
    new = slow.add("user", {"use_pin": True, "pin": "135790"})
    assert isinstance(new, SiteUser)
    group = slow.add("group", {"lock_ids": [gate.id], "user_ids": [new.user_id]})
    slow.add("schedule", {"group_id": group.key})
    slow.clock.advance(100)
    assert slow.keypad(gate.id, "135790").reason == "not_rolled_out"
    created = old.created_at
    slow.clock.set(datetime(2020, 1, 1, 12, 0, tzinfo=UTC))
    assert slow.keypad(gate.id, old.pin).result == "opened"
    assert old.created_at < datetime(2020, 1, 1, tzinfo=UTC) < created
    assert slow.keypad(gate.id, "135790").reason == "not_rolled_out"
    slow.clock.advance(110)
    assert slow.keypad(gate.id, "135790").result == "opened"
    assert slow.world.entries[0].utc_date_time - slow.world.entries[1].utc_date_time > timedelta(
        days=365
    )


def test_an_offline_door_and_a_clock_that_goes_back(sim: Simulator) -> None:
    """A door that was cut off knows what it knew, whatever the clock says."""
    guest = guest_of(sim)
    gate = next(x for x in sim.world.locks.values() if x.customer_reference == "Main gate")
    assert guest.pin is not None
    old = guest.pin
    iq = sim.world.iq_of(gate)
    assert iq is not None
    iq.online = False
    sim.clock.set(datetime(2020, 1, 1, 12, 0, tzinfo=UTC))
    sim.set("user", guest.id, pin="135790")
    assert sim.keypad(gate.id, old).result == "opened"
    assert sim.keypad(gate.id, "135790").reason == "not_rolled_out"


def test_blocks_and_tokens_keep_their_time(sim: Simulator) -> None:
    """Setting the clock back does not make a block longer."""
    iq_id = sim.seed_info()["iqs"][0]["id"]
    sim.activate(iq_id)
    (activation,) = sim.world.activations.values()
    activation.blocked_until = {"pin": sim.clock.now() + timedelta(minutes=20)}
    sim.clock.set(datetime(2020, 1, 1, 12, 0, tzinfo=UTC))
    sim.settle()
    assert activation.blocked_until["pin"] < datetime(2020, 1, 1, 12, 21, tzinfo=UTC)
