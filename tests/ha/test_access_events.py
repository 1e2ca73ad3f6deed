"""What happens at a door, as Home Assistant shows it: events, who has opened last, the activity."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.auth.const import GROUP_ID_ADMIN
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import Context, Event, HomeAssistant, State
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from custom_components.salto_ks.api.models import LockId
from custom_components.salto_ks.const import CONF_NAME_PEOPLE
from custom_components.salto_ks.domain.access_events import (
    Actor,
    ActorKind,
    DoorEventType,
    LastOpening,
)
from custom_components.salto_ks.door_events import opening_from_json, opening_to_json
from custom_components.salto_ks.logbook import async_describe_events
from simulator import Fault, Simulator, doors
from simulator.world import Entry, SiteUser

from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import HOUR, MORNING, ask, guests, issue, opens
from .support import (
    FIELD,
    GATE,
    LAUNDRY,
    RECEPTION,
    door,
    entity_id,
    go_on,
    iq_named,
    lock_named,
    member_of,
    opened,
    restarted,
    unlock,
)
from .test_full_disk import empty_disk, fill_disk
from .unit_steps import GUEST, book, make_unit, settle
from .units import PITCH
from .watching import LOCKING, act, pass_by, state_of, until

__all__ = ["hass_config_dir", "hass_storage"]

ACCESS = "salto_ks_access"
POLL = 75
CURSORS = "salto_ks.access_events"
FIRST, LAST = "Wilhelmina", "Zonneveld"
NAME = f"{FIRST} {LAST}"
"""Whoever works at the campsite, and has no key of ours."""

type SiteEntry = ConfigEntry[Any]


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Begin in the middle of a second, and let time pass only when a test says so."""
    freezer.move_to(MORNING + timedelta(seconds=0.5))


def event_of(hass: HomeAssistant, sim: Simulator, name: str = GATE) -> State:
    """Return what the event entity of a door shows."""
    state = hass.states.get(entity_id(hass, "event", lock_named(sim, name).id, "access"))
    assert state is not None
    return state


def shown(hass: HomeAssistant, sim: Simulator, name: str = GATE) -> dict[str, Any]:
    """Return the attributes of the last event at a door, without those of Home Assistant."""
    attributes = dict(event_of(hass, sim, name).attributes)
    return {
        key: value
        for key, value in attributes.items()
        if key not in {"event_types", "friendly_name"}
    }


def changed_by(hass: HomeAssistant, sim: Simulator, name: str = GATE) -> str | None:
    """Return who has opened a door last."""
    state = hass.states.get(door(hass, sim, name))
    assert state is not None
    by: str | None = state.attributes.get("changed_by")
    return by


def employee(sim: Simulator) -> SiteUser:
    """Return somebody at the site who has no key of ours, and a name."""
    user = next(user for user in sim.world.users_of(sim.site_id) if user is not member_of(sim))
    person = sim.world.people[user.user_id]
    person.first_name, person.last_name = FIRST, LAST
    return user


def happens(
    sim: Simulator,
    name: str = GATE,
    *,
    category: str = "lock_opened",
    detail: str | None = None,
    access_by: str = "tag",
    user: SiteUser | None = None,
    at: datetime | None = None,
) -> Entry:
    """Write a line into the door log; without a user it is about nobody's id."""
    return doors.log(
        sim.world,
        sim.dice,
        lock_named(sim, name),
        sim.clock.now() if at is None else at,
        category=category,
        detail=detail,
        access_by=access_by,
        user=user,
    )


async def staying(
    hass: HomeAssistant, sim: Simulator, entry: SiteEntry, freezer: FrozenDateTimeFactory
) -> str:
    """Have guests stay at a pitch from now on; returns the PIN of their booking R1."""
    await make_unit(hass, entry)
    now = dt_util.utcnow()
    await book(hass, entry, "R1", starts_at=now, ends_at=now + 24 * HOUR)
    await settle(hass, freezer)
    await go_on(hass, freezer, POLL)
    (key,) = (await ask(hass, entry, "get_keys", booking_id="R1"))["keys"]
    pin: str = (await ask(hass, entry, "get_pin", key_id=key["key_id"]))["pin"]
    return pin


async def key_from_now(
    hass: HomeAssistant, sim: Simulator, entry: SiteEntry, *names: str
) -> dict[str, Any]:
    """Issue a key that opens doors from now on, for nobody's booking."""
    now = sim.clock.now()
    key = await issue(hass, sim, entry, *names, starts_at=now, ends_at=now + 24 * HOUR)
    await hass.async_block_till_done(wait_background_tasks=True)
    return key


# Whoever opens


async def test_guest_of_a_booking(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A PIN typed at a door is an event within a polling interval, and says whose booking it is."""
    entry = await set_up(iqs=[])
    heard = async_capture_events(hass, ACCESS)
    pin = await staying(hass, sim, entry, freezer)
    assert event_of(hass, sim).state == STATE_UNKNOWN
    assert changed_by(hass, sim) is None
    assert opens(sim, pin)
    at = sim.clock.now().replace(microsecond=0)
    await go_on(hass, freezer, POLL)
    (key,) = (await ask(hass, entry, "get_keys", booking_id="R1"))["keys"]
    about = {
        "event_type": "access_granted",
        "at": at.isoformat(),
        "late": False,
        "method": "pin",
        "by": "Pitch 12, booking R1",
        "key_id": key["key_id"],
        "booking_id": "R1",
        "unit": PITCH,
    }
    assert shown(hass, sim) == about
    assert changed_by(hass, sim) == "Pitch 12, booking R1"
    assert [event.data for event in heard] == [
        {"config_entry_id": entry.entry_id, "entity_id": door(hass, sim), **about}
    ]
    fired_at = datetime.fromisoformat(event_of(hass, sim).state)
    assert timedelta() <= fired_at - at <= timedelta(seconds=POLL + 1)
    assert event_of(hass, sim, LAUNDRY).state == STATE_UNKNOWN


async def test_key_without_a_booking(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A key that was issued by hand is named by its id, also when its guest was replaced."""
    entry = await set_up(iqs=[])
    key = await key_from_now(hass, sim, entry)
    await go_on(hass, freezer, POLL)
    assert opens(sim, key["pin"])
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["by"] == changed_by(hass, sim) == f"key {key['key_id']}"
    (guest,) = guests(sim)
    moved = happens(sim, access_by="pin_code", user=guest)
    moved.user_id = employee(sim).user_id  # what the guest was before it was issued anew
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["key_id"] == key["key_id"]
    assert shown(hass, sim)["at"] == moved.utc_date_time.isoformat()


async def test_people_are_named(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Somebody who works there is called by the name that Salto tells, or by the alias."""
    await set_up(iqs=[])
    user = employee(sim)
    happens(sim, user=user)
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim) | {"at": ""} == {
        "event_type": "access_granted",
        "at": "",
        "late": False,
        "method": "tag",
        "by": NAME,
        "person": NAME,
    }
    assert changed_by(hass, sim) == NAME
    entry = happens(sim, user=user, access_by="remote")
    entry.user_first_name = entry.user_last_name = None
    entry.user_alias = "Caretaker"
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["event_type"] == "opened_remotely"
    assert changed_by(hass, sim) == "Caretaker"


async def test_people_are_not_named(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """With the option off nobody is named any more, not even as it was before; keys still are."""
    entry = await set_up(iqs=[RECEPTION])
    heard = async_capture_events(hass, ACCESS)
    happens(sim, user=employee(sim))
    await go_on(hass, freezer, POLL)
    assert changed_by(hass, sim) == shown(hass, sim)["person"] == NAME
    hass.config_entries.async_update_entry(entry, options={CONF_NAME_PEOPLE: False})
    await hass.async_block_till_done(wait_background_tasks=True)
    assert changed_by(hass, sim) == "somebody else"
    assert not {"person", "by"} & set(shown(hass, sim))
    assert shown(hass, sim)["event_type"] == "access_granted"
    heard.clear()
    happens(sim, user=employee(sim))
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["by"] == changed_by(hass, sim) == "somebody else"
    key = await key_from_now(hass, sim, entry)
    await go_on(hass, freezer, POLL)
    assert opens(sim, key["pin"])
    await go_on(hass, freezer, POLL)
    assert changed_by(hass, sim) == f"key {key['key_id']}"
    await unlock_as(hass, sim, "Anna")
    assert changed_by(hass, sim) == "Home Assistant"
    states = str([state.as_dict() for state in hass.states.async_all()])
    assert FIRST not in states + str([event.data for event in heard])
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert shown(hass, sim)["by"] == changed_by(hass, sim) == "Home Assistant"


@pytest.mark.parametrize(
    ("access_by", "event_type", "by"),
    [
        ("inside_handle", "opened_inside", "inside handle"),
        ("pin_code", "access_granted", "somebody else"),
        ("remote", "opened_remotely", "somebody else"),
    ],
)
async def test_nobody_is_known(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    access_by: str,
    event_type: str,
    by: str,
) -> None:
    """Who has no name is somebody else; from inside nobody needs one."""
    await set_up(iqs=[])
    happens(sim, access_by=access_by)
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["event_type"] == event_type
    assert shown(hass, sim)["by"] == changed_by(hass, sim) == by
    assert "person" not in shown(hass, sim)


# Whoever is refused


async def test_suspended_key(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A suspended key is refused with its name and the reason, and has not opened the door."""
    entry = await set_up(iqs=[])
    key = await key_from_now(hass, sim, entry)
    await ask(hass, entry, "suspend_key", key_id=key["key_id"])
    await go_on(hass, freezer, POLL)
    assert not opens(sim, key["pin"])
    await go_on(hass, freezer, POLL)
    about = shown(hass, sim)
    assert (about["event_type"], about["reason"]) == ("access_denied", "suspended")
    assert about["key_id"] == key["key_id"]
    assert changed_by(hass, sim) is None


async def test_key_that_does_not_open_yet(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A guest who comes too early is refused for the time."""
    entry = await set_up(iqs=[])
    key = await issue(hass, sim, entry)
    await go_on(hass, freezer, POLL)
    assert not opens(sim, key["pin"])
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["reason"] == "not_now"
    assert shown(hass, sim)["key_id"] == key["key_id"]


async def test_unknown_pin(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A PIN that nobody has is told as such: the id that Salto writes there is nobody's."""
    entry = await set_up(iqs=[])
    key = await key_from_now(hass, sim, entry)
    assert not opens(sim, "000000")
    assert sim.world.entries[-1].user_id is not None
    await go_on(hass, freezer, POLL)
    about = shown(hass, sim)
    assert about | {"at": ""} == {
        "event_type": "access_denied",
        "at": "",
        "late": False,
        "method": "pin",
        "reason": "unknown_pin",
    }
    (listed,) = (await ask(hass, entry, "get_keys"))["keys"]
    assert (listed["key_id"], listed["proven"]) == (key["key_id"], False)


async def test_unknown_tag(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A tag that nobody has is told without its number."""
    await set_up(iqs=[])
    entry = happens(sim, category="lock_rejected", access_by="tag")
    entry.user_id, entry.access_detail = None, "04A1B2C3D4"
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["reason"] == "unknown_tag"
    assert "04A1B2C3D4" not in str([state.as_dict() for state in hass.states.async_all()])


async def test_words_that_are_not_known(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """New words of Salto's are carried on, and break nothing."""
    await set_up(iqs=[])
    happens(sim, category="door_sang", detail="a song", access_by="voice")
    happens(sim, LAUNDRY, category="lock_rejected", detail="full_moon", access_by="tag")
    await go_on(hass, freezer, POLL)
    about = shown(hass, sim)
    assert (about["event_type"], about["category"], about["detail"], about["method"]) == (
        "other",
        "door_sang",
        "a song",
        "voice",
    )
    about = shown(hass, sim, LAUNDRY)
    assert (about["reason"], about["detail"]) == ("other", "full_moon")


# Late, twice and in another order


async def test_several_lines_of_one_poll(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Each line is an event of its own, in the order in which it happened."""
    await set_up(iqs=[])
    entity = event_of(hass, sim).entity_id
    heard = async_capture_events(hass, "state_changed")
    for second in (3, 1, 2):
        at = sim.clock.now() + timedelta(seconds=second)
        happens(sim, category="lock_rejected", detail=f"word {second}", at=at)
    await go_on(hass, freezer, POLL)
    states = [event.data["new_state"] for event in heard if event.data["entity_id"] == entity]
    assert [state.attributes["detail"] for state in states] == ["word 1", "word 2", "word 3"]
    assert len({state.state for state in states}) == 3


async def test_door_that_was_offline(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """What is told late is an event all the same, says when it was, and takes nobody's place."""
    await set_up(iqs=[])
    user = employee(sim)
    at = sim.clock.now()
    happens(sim, LAUNDRY, access_by="inside_handle", at=at + timedelta(minutes=7))
    await go_on(hass, freezer, 8 * POLL)
    assert changed_by(hass, sim, LAUNDRY) == "inside handle"
    happens(sim, LAUNDRY, user=user, at=at)
    await go_on(hass, freezer, POLL)
    about = shown(hass, sim, LAUNDRY)
    assert (about["event_type"], about["person"]) == ("access_granted", NAME)
    assert about["late"]
    assert about["at"] == at.replace(microsecond=0).isoformat()
    assert changed_by(hass, sim, LAUNDRY) == "inside handle"


async def test_iq_that_was_offline(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A whole IQ that comes back tells what happened at its doors meanwhile."""
    await set_up(iqs=[])
    sim.set("iq", iq_named(sim, FIELD).id, online=False)
    happens(sim, LAUNDRY, user=employee(sim))
    for _ in range(10):
        await go_on(hass, freezer, POLL)
    assert event_of(hass, sim, LAUNDRY).state == STATE_UNKNOWN
    sim.set("iq", iq_named(sim, FIELD).id, online=True)
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim, LAUNDRY)["late"]
    assert changed_by(hass, sim, LAUNDRY) == NAME


async def test_nothing_is_told_twice(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Neither later polls nor a reload nor a restart fire an event again, and both show it still."""
    entry = await set_up(iqs=[])
    heard = async_capture_events(hass, ACCESS)
    happens(sim, user=employee(sim))
    await go_on(hass, freezer, POLL)
    before = event_of(hass, sim)
    for _ in range(5):
        await go_on(hass, freezer, POLL)
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert event_of(hass, sim).state == before.state
    assert event_of(hass, sim).attributes == before.attributes
    assert changed_by(hass, sim) == NAME
    assert len(heard) == 1
    async with restarted(hass, entry) as (again, _):
        await again.async_block_till_done(wait_background_tasks=True)
        again_heard = async_capture_events(again, ACCESS)
        happens(sim, LAUNDRY)
        await go_on(again, freezer, POLL)
        assert [event.data["entity_id"] for event in again_heard] == ["lock.laundry"]


async def test_killed_before_it_is_kept(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """What was told and not kept is told once more after a restart, and never lost."""
    entry = await set_up(iqs=[])
    fill_disk(hass, CURSORS)
    line = happens(sim, user=employee(sim))
    await go_on(hass, freezer, POLL)
    assert changed_by(hass, sim) == NAME
    empty_disk(hass, CURSORS)
    async with restarted(hass, entry) as (again, _):
        await again.async_block_till_done(wait_background_tasks=True)
        assert shown(again, sim)["at"] == line.utc_date_time.isoformat()


@pytest.mark.parametrize("kept", [{}, {"at": "soon"}, {"at": "2026-12-07T08:00:00"}])
async def test_what_was_kept_is_damaged(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    kept: dict[str, Any],
) -> None:
    """A damaged memory of who has opened last is none."""
    whole = {"kind": "person", "key_id": None, "booking_id": None, "unit": None, "name": NAME}
    await set_up(iqs=[])
    assert opening_from_json(whole | kept if kept else kept) is None


async def test_older_memory_does_not_count(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """What is taken up from before a restart gives way to what has been heard of since."""
    entry = await set_up(iqs=[])
    events, lock_id = entry.runtime_data.door_events, LockId(lock_named(sim, GATE).id)
    inside = Actor(kind=ActorKind.INSIDE)
    newer = LastOpening(at=MORNING, actor=inside)
    events.async_restore(lock_id, newer)
    events.async_restore(lock_id, LastOpening(at=MORNING - HOUR, actor=inside))
    assert events.last_opening(lock_id) == newer
    assert opening_from_json(opening_to_json(newer)) == newer


async def test_door_that_is_none_of_ours(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Lines about no door, or one that Salto does not list, are passed over."""
    await set_up(iqs=[])
    heard = async_capture_events(hass, ACCESS)
    for lock_id in (None, "99999999-9999-4999-8999-999999999999"):
        entry = happens(sim)
        entry.lock_id = lock_id
    happens(sim)
    await go_on(hass, freezer, POLL)
    assert len(heard) == 1


# Home Assistant itself


async def unlock_as(hass: HomeAssistant, sim: Simulator, name: str) -> None:
    """Open the gate as a user of Home Assistant."""
    user = await hass.auth.async_create_user(name, group_ids=[GROUP_ID_ADMIN])
    await hass.services.async_call(
        "lock",
        "unlock",
        {"entity_id": door(hass, sim)},
        blocking=True,
        context=Context(user_id=user.id),
    )


async def test_home_assistant_opens(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening of ours says so at once, and with Salto's line is an event but nothing new."""
    await set_up(iqs=[RECEPTION])
    heard = async_capture_events(hass, ACCESS)
    await unlock(hass, sim)
    assert changed_by(hass, sim) == "Home Assistant"
    await go_on(hass, freezer, 5)
    await unlock_as(hass, sim, "Anna")
    assert changed_by(hass, sim) == "Home Assistant (Anna)"
    await go_on(hass, freezer, POLL)
    about = shown(hass, sim)
    assert (about["event_type"], about["method"]) == ("opened_remotely", "remote")
    assert (about["by"], about["person"]) == ("Home Assistant (Anna)", "Anna")
    assert changed_by(hass, sim) == "Home Assistant (Anna)"
    assert heard == []


async def test_line_before_the_answer(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening of ours that Salto tells of before it answers is ours all the same, told once."""
    entry = await set_up(iqs=[RECEPTION])
    heard = async_capture_events(hass, ACCESS)
    sim.faults.add(Fault(method="PATCH", route=LOCKING, commit=True, latency=5))
    opening = asyncio.create_task(unlock_as(hass, sim, "Anna"))
    await until(lambda: opened(sim))
    await entry.runtime_data.feed.async_refresh()
    assert not opening.done()
    assert shown(hass, sim)["by"] == "Home Assistant (Anna)"
    pass_by(freezer, 5)
    await opening
    assert changed_by(hass, sim) == "Home Assistant (Anna)"
    await go_on(hass, freezer, POLL)
    assert heard == []


async def test_refused_opening_is_not_waited_for(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """After an opening of ours that failed, what is done with the account is somebody else's."""
    await set_up(iqs=[RECEPTION])
    heard = async_capture_events(hass, ACCESS)
    sim.faults.add(Fault(method="PATCH", route=LOCKING, status=403))
    with pytest.raises(HomeAssistantError):
        await unlock_as(hass, sim, "Anna")
    assert changed_by(hass, sim) is None
    happens(sim, access_by="remote", user=member_of(sim))
    await go_on(hass, freezer, POLL)
    assert [event.data["by"] for event in heard] == ["Home Assistant"]


async def test_line_before_a_lost_answer(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Where Salto tells of the opening and then loses the answer, it is known who opened."""
    entry = await set_up(iqs=[RECEPTION])
    sim.faults.add(Fault(method="PATCH", route=LOCKING, commit=True, latency=5, status=502))
    opening = asyncio.create_task(unlock_as(hass, sim, "Anna"))
    await until(lambda: opened(sim))
    await entry.runtime_data.feed.async_refresh()
    pass_by(freezer, 5)
    with pytest.raises(HomeAssistantError):
        await opening
    assert changed_by(hass, sim) == "Home Assistant (Anna)"


async def test_account_of_home_assistant_opens_without_it(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """What somebody else does with the account is told, and named as what Salto takes it for."""
    await set_up(iqs=[RECEPTION])
    heard = async_capture_events(hass, ACCESS)
    await unlock(hass, sim)
    await go_on(hass, freezer, 5 * POLL)
    happens(sim, access_by="remote", user=member_of(sim))
    await go_on(hass, freezer, POLL)
    (event,) = heard
    assert (event.data["event_type"], event.data["by"]) == ("opened_remotely", "Home Assistant")


async def test_home_assistant_opens_for_a_booking(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that is opened for a booking says for which."""
    entry = await set_up(iqs=[RECEPTION, FIELD])
    await make_unit(hass, entry, mode="remote")
    now = dt_util.utcnow()
    await book(hass, entry, "R1", starts_at=now, ends_at=now + 24 * HOUR)
    await hass.services.async_call(
        "salto_ks", "open_door", {"booking_id": "R1"}, blocking=True, return_response=True
    )
    assert changed_by(hass, sim) == "Pitch 12, booking R1"
    await go_on(hass, freezer, POLL)
    about = shown(hass, sim)
    assert (about["event_type"], about["booking_id"]) == ("opened_remotely", "R1")
    assert changed_by(hass, sim) == "Pitch 12, booking R1"


async def test_office_mode(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Office mode is an event; what Home Assistant has done itself its states tell already."""
    await set_up(iqs=[RECEPTION])
    heard = async_capture_events(hass, ACCESS)
    switch = entity_id(hass, "switch", lock_named(sim, GATE).id, "office_mode")
    await act(hass, "switch", "turn_on", switch)
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["event_type"] == "office_mode_started"
    assert changed_by(hass, sim) == "Home Assistant"
    assert heard == []
    happens(sim, category="easy_office_mode", detail="end", user=employee(sim))
    await go_on(hass, freezer, POLL)
    assert shown(hass, sim)["event_type"] == "office_mode_ended"
    assert [event.data["by"] for event in heard] == [NAME]


# Alarms


async def test_alarms(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An alarm that begins or ends is an event of its door, at no request more."""
    lock = lock_named(sim, GATE)
    sim.set("lock", lock.id, intrusion_alarm=True)
    await set_up(iqs=[])
    await go_on(hass, freezer, POLL)
    assert event_of(hass, sim).state == STATE_UNKNOWN  # it has begun before
    for changes, expected in (
        ({"left_open_alarm": True}, "left_open"),
        ({"intrusion_alarm": False}, "intrusion_ended"),
        ({"left_open_alarm": False}, "left_open_ended"),
        ({"intrusion_alarm": True}, "intrusion"),
    ):
        sim.set("lock", lock.id, **changes)
        await go_on(hass, freezer, POLL)
        about = shown(hass, sim)
        assert about["event_type"] == expected
        assert "by" not in about
        seen = event_of(hass, sim).state
        await go_on(hass, freezer, POLL)
        assert event_of(hass, sim).state == seen
    assert changed_by(hass, sim) is None


async def test_salto_that_cannot_be_reached(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """What has happened stays shown while Salto cannot be reached, so that nothing is triggered."""
    await set_up(iqs=[])
    happens(sim)
    await go_on(hass, freezer, POLL)
    seen = event_of(hass, sim).state
    sim.faults.add(Fault(route="/v1", status=500, count=None))
    await go_on(hass, freezer, POLL)
    assert state_of(hass, "binary_sensor.main_gate_online") == "unavailable"
    assert event_of(hass, sim).state == seen


# What nobody may see


async def test_no_pin_and_no_guest(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Neither a PIN that was typed nor the name of a booking is in a state or an event."""
    entry = await set_up(iqs=[])
    heard = async_capture_events(hass, ACCESS) + async_capture_events(hass, "state_changed")
    pin = await staying(hass, sim, entry, freezer)
    assert opens(sim, pin)
    assert not opens(sim, "135791")
    await go_on(hass, freezer, POLL)
    seen = str([event.data for event in heard])
    seen += str([state.as_dict() for state in hass.states.async_all()])
    for secret in (pin, "135791", GUEST):
        assert secret not in seen


# The activity


type Describe = Callable[[Event[Any]], dict[str, str]]


@pytest.fixture
def described(hass: HomeAssistant) -> dict[str, Describe]:
    """Return how each of our events is described in the activity."""
    offered: dict[str, Describe] = {}

    def offer(domain: str, event_type: str, describe: Describe) -> None:
        assert domain == "salto_ks"
        offered[event_type] = describe

    async_describe_events(hass, offer)
    return offered


async def test_sentences_of_doors(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    described: dict[str, Describe],
) -> None:
    """Each line of the door log is a sentence under the lock that says who it was, and why not."""
    entry = await set_up(iqs=[])
    heard = async_capture_events(hass, ACCESS)
    pin = await staying(hass, sim, entry, freezer)
    assert opens(sim, pin)
    await go_on(hass, freezer, POLL)
    assert not opens(sim, "000000")
    await go_on(hass, freezer, POLL)
    user = employee(sim)
    for line in (
        {"category": "lock_rejected", "detail": "blocked", "user": user},
        {"category": "lock_rejected", "detail": "full_moon"},
        {"access_by": "remote", "user": user},
        {"access_by": "inside_handle"},
        {"category": "office_mode", "detail": "start", "user": user},
        {"category": "office_mode", "detail": "end", "user": None},
        {"category": "privacy_mode", "detail": "start"},
        {"category": "privacy_mode", "detail": "end"},
        {"category": "door_sang"},
        {"at": sim.clock.now()},
    ):
        happens(sim, **line)  # type: ignore[arg-type] # each is what `happens` takes
        await go_on(hass, freezer, 76)
    seen = [described[ACCESS](event) for event in heard]
    assert {(item["name"], item["entity_id"]) for item in seen} == {(GATE, door(hass, sim))}
    assert [item["message"] for item in seen] == [
        "was opened by Pitch 12, booking R1",
        "stayed closed: unknown PIN",
        f"stayed closed for {NAME}: blocked",
        "stayed closed: for a reason that is not known",
        f"was opened remotely by {NAME}",
        "was opened from inside",
        f"was put into office mode by {NAME}",
        "left office mode",
        "went into privacy mode",
        "left privacy mode",
        "reported something that is not known here (door_sang)",
        f"was opened by somebody else (on {_local(heard[-1].data['at'])}, told late)",
    ]


def _local(at: str) -> str:
    """Write an instant as a person reads it."""
    return dt_util.as_local(datetime.fromisoformat(at)).strftime("%Y-%m-%d %H:%M")


async def test_sentences_about_a_lock_that_is_gone(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    described: dict[str, Describe],
) -> None:
    """What was told of a door that is gone by now can still be read."""
    await set_up(iqs=[])
    heard = async_capture_events(hass, ACCESS)
    happens(sim)
    await go_on(hass, freezer, POLL)
    hass.states.async_remove(door(hass, sim))
    (event,) = heard
    assert described[ACCESS](event)["name"] == "lock.main_gate"


async def test_sentences_of_keys(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    described: dict[str, Describe],
) -> None:
    """What happens to keys is told with their ids and bookings, and so is a check-in."""
    entry = await set_up(iqs=[])
    names = [name for name in described if name != ACCESS]
    heard: list[Event[Any]] = []
    for name in names:
        hass.bus.async_listen(name, heard.append)
    pin = await staying(hass, sim, entry, freezer)
    assert opens(sim, pin)
    await go_on(hass, freezer, POLL)
    (booked,) = (await ask(hass, entry, "get_keys", booking_id="R1"))["keys"]
    key = await key_from_now(hass, sim, entry)
    key_id = key["key_id"]
    for action, more in (
        ("change_key", {"ends_at": (dt_util.utcnow() + 30 * HOUR).isoformat()}),
        ("suspend_key", {}),
        ("resume_key", {}),
        ("rotate_pin", {}),
        ("revoke_key", {}),
    ):
        await ask(hass, entry, action, key_id=key_id, **more)
    for _ in range(6):
        await go_on(hass, freezer, POLL)
    seen = [described[str(event.event_type)](event) for event in heard]
    of_booking = f"Key {booked['key_id']} of booking R1"
    assert [(item["name"], item["message"]) for item in seen] == [
        (of_booking, "was issued"),
        (of_booking, "has opened a door for the first time"),
        (PITCH, "booking R1 has checked in"),
        (f"Key {key_id}", "was issued"),
        (f"Key {key_id}", "got other times"),
        (f"Key {key_id}", "was suspended"),
        (f"Key {key_id}", "works again"),
        (f"Key {key_id}", "got a new PIN"),
        (f"Key {key_id}", "was taken back; a door that is offline may not know yet"),
        (f"Key {key_id}", "is gone from every door"),
    ]


async def test_sentence_of_a_key_that_failed(
    hass: HomeAssistant, set_up: SetUp, described: dict[str, Describe]
) -> None:
    """A key that failed says why, in the words of the front desk."""
    await set_up(iqs=[])
    data = {"key_id": "k3x9-42", "booking_id": None, "problem": "seat_unavailable"}
    message = described["salto_ks_key_failed"](Event("salto_ks_key_failed", data))["message"]
    assert message.startswith("failed. Salto has no free seat for this guest.")


def test_every_event_of_the_bus_has_a_sentence(described: dict[str, Describe]) -> None:
    """There is a sentence for doors, for check-ins and for all that happens to keys."""
    kinds = ("issued", "changed", "revoked", "failed", "first_used")
    keys = {f"salto_ks_key_{kind}" for kind in kinds}
    assert set(described) == {ACCESS, "salto_ks_booking_checked_in", *keys}
    assert len(DoorEventType) == 13
