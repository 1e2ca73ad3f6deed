"""Stories of keys, told through Home Assistant and ended at the keypad."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import (
    EVENT_HOMEASSISTANT_STOP,
    MATCH_ALL,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
import pytest

from simulator import Fault, Quirks, Simulator

from .conftest import SetUp
from .files import hass_config_dir, hass_storage, path_of
from .keys import (
    GROUP_USERS,
    GUESTS,
    HOUR,
    INSIDE_ONLY,
    MINUTE,
    MORNING,
    OTHER_DOOR,
    USERS,
    ask,
    comes_to,
    edges,
    groups,
    guests,
    issue,
    opens,
    passing,
    writes,
)
from .support import (
    FIELD,
    RECEPTION,
    door,
    entity_id,
    go_on,
    iq_named,
    opened,
    restarted,
    unlock,
)
from .texts import english, placeholders
from .watching import act, pass_by, running, shown, stand_still, state_of, until

__all__ = ["hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
START, END = MORNING + 2 * HOUR, MORNING + 5 * HOUR

LATE = 60.0
"""Seconds after which an answer that is late comes; nobody waits for so long."""

ABOUT_A_KEY = {
    "config_entry_id",
    "key_id",
    "salto_key_id",
    "booking_id",
    "doors",
    "starts_at",
    "ends_at",
    "status",
}


@pytest.fixture(autouse=True)
def _morning(freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning, and let time pass only when a test says so."""
    freezer.move_to(MORNING)


@pytest.fixture
async def entry(set_up: SetUp) -> ENTRY:
    """Return a site whose IQs are not activated: keys do not need that."""
    loaded: ENTRY = await set_up(iqs=[])
    return loaded


async def minutes_pass(hass: HomeAssistant, freezer: FrozenDateTimeFactory, minutes: float) -> None:
    """Let what is under way end, then minutes pass, with all that Home Assistant does in them."""
    await hass.async_block_till_done(wait_background_tasks=True)
    for _ in range(round(3 * minutes)):
        await go_on(hass, freezer, 20)


async def go_to(hass: HomeAssistant, freezer: FrozenDateTimeFactory, moment: datetime) -> None:
    """Let what is under way end, then go on at a later moment."""
    await hass.async_block_till_done(wait_background_tasks=True)
    freezer.move_to(moment)
    await go_on(hass, freezer, 0)


def sensor(hass: HomeAssistant, sim: Simulator, key: str) -> str:
    """Return the state of one of the site's sensors."""
    return state_of(hass, entity_id(hass, "sensor", sim.site_id, key))


async def status_of(hass: HomeAssistant, entry: ENTRY) -> str:
    """Return the status of the only key."""
    (key,) = (await ask(hass, entry, "get_keys"))["keys"]
    return str(key["status"])


class News:
    """What is told of keys on the bus."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Begin to listen."""
        self.events: list[Event[Any]] = []

        @callback
        def note(event: Event[Any]) -> None:
            if event.event_type.startswith("salto_ks_key_"):
                self.events.append(event)

        hass.bus.async_listen(MATCH_ALL, note)

    @property
    def told(self) -> list[str]:
        """Return the kinds of news, with what was different about the key."""
        found = [
            (event.event_type, event.data.get("change") or event.data.get("problem"))
            for event in self.events
        ]
        return [
            kind.removeprefix("salto_ks_") + (f" {more}" if more else "") for kind, more in found
        ]


# A stay


async def test_stay(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """From the booking to the end of the stay, which takes the key away by itself within a minute."""
    news = News(hass)
    assert [sensor(hass, sim, key) for key in ("active_keys", "seats_used")] == ["0", "5"]
    assert sensor(hass, sim, "last_reconciliation") == STATE_UNKNOWN
    key = await issue(hass, sim, entry, booking_id="R-1")
    assert edges(sim, key) == INSIDE_ONLY
    assert sensor(hass, sim, "active_keys") == "1"
    assert sensor(hass, sim, "next_key_start") == START.isoformat()
    await minutes_pass(hass, freezer, 1)
    assert sensor(hass, sim, "seats_used") == "6"
    await minutes_pass(hass, freezer, 5)
    assert sensor(hass, sim, "discrepancies") == "0"
    last = datetime.fromisoformat(sensor(hass, sim, "last_reconciliation"))
    assert MORNING + 5 * MINUTE < last < MORNING + 6 * MINUTE

    await go_to(hass, freezer, START)
    await minutes_pass(hass, freezer, 1)
    assert sensor(hass, sim, "next_key_start") == STATE_UNKNOWN
    assert sensor(hass, sim, "active_keys") == "1"
    await go_to(hass, freezer, END - MINUTE)
    assert opens(sim, key["pin"])
    await minutes_pass(hass, freezer, 2)
    assert not opens(sim, key["pin"])
    assert (guests(sim), groups(sim)) == ([], [])
    assert await status_of(hass, entry) == "removing"
    assert sensor(hass, sim, "active_keys") == "0"
    await minutes_pass(hass, freezer, 5)
    assert await status_of(hass, entry) == "revoked"
    assert sensor(hass, sim, "seats_used") == "5"
    assert news.told == ["key_issued", "key_first_used", "key_changed removing", "key_revoked"]


async def test_events_say_nothing_secret(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Each thing that happens to a key is one event with chosen fields: neither PIN nor label."""
    news = News(hass)
    key = await issue(hass, sim, entry, booking_id="R-1", label="Family Jansen", reason="friends")
    key_id, pin = key["key_id"], key["pin"]
    later = (END + HOUR).isoformat()
    both = [door(hass, sim), door(hass, sim, OTHER_DOOR)]
    for action, more in (
        ("change_key", {"ends_at": later}),
        ("change_key", {"doors": both}),
        ("change_key", {"ends_at": END.isoformat(), "doors": both[:1]}),
        ("suspend_key", {}),
        ("resume_key", {}),
        ("rotate_pin", {}),
        ("get_pin", {}),
        ("revoke_key", {}),
    ):
        answer = await ask(hass, entry, action, key_id=key_id, reason="friends", **more)
        pin = answer.get("pin", pin)
    await minutes_pass(hass, freezer, 6)
    assert news.told == [
        "key_issued",
        "key_changed window",
        "key_changed doors",
        "key_changed window_and_doors",
        "key_changed suspended",
        "key_changed resumed",
        "key_changed pin",
        "key_changed removing",
        "key_revoked",
    ]
    for event in news.events:
        assert event.data.keys() - {"change"} == ABOUT_A_KEY
        assert event.data["config_entry_id"] == entry.entry_id
        for secret in (key["pin"], pin, "Jansen", "friends"):
            assert secret not in repr(event.data)
    first = news.events[0].data
    assert {name: first[name] for name in ABOUT_A_KEY - {"config_entry_id"}} == {
        name: key[name] for name in ABOUT_A_KEY - {"config_entry_id"}
    }


async def test_event_entity(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """The event entity shows the newest thing that happened, with the same fields and no other."""
    entity = entity_id(hass, "event", sim.site_id, "key_life_cycle")
    assert state_of(hass, entity) == STATE_UNKNOWN
    key = await issue(hass, sim, entry, label="Family Jansen")
    state = hass.states.get(entity)
    assert state is not None
    assert state.state == MORNING.isoformat(timespec="milliseconds")
    assert state.attributes["event_type"] == "key_issued"
    ours = ABOUT_A_KEY - {"config_entry_id"}
    assert {name: state.attributes[name] for name in ours} == {name: key[name] for name in ours}
    assert "label" not in state.attributes
    await ask(hass, entry, "revoke_key", key_id=key["key_id"])
    await minutes_pass(hass, freezer, 6)
    state = hass.states.get(entity)
    assert state is not None
    assert state.attributes["event_type"] == "key_revoked"
    assert state.attributes["status"] == "revoked"
    assert set(state.attributes["event_types"]) == {
        "key_issued", "key_changed", "key_revoked", "key_failed", "key_first_used"
    }  # fmt: skip


async def test_first_use(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Once the guest has opened the door the key is proven, and that is told once."""
    news = News(hass)
    key = await issue(hass, sim, entry, starts_at=MORNING)
    await minutes_pass(hass, freezer, 2)
    assert (await ask(hass, entry, "get_keys"))["keys"][0]["proven"] is False
    for _ in range(2):
        assert opens(sim, key["pin"])
        await minutes_pass(hass, freezer, 2)
    assert (await ask(hass, entry, "get_keys"))["keys"][0]["proven"] is True
    assert news.told == ["key_issued", "key_first_used"]
    await ask(hass, entry, "rotate_pin", key_id=key["key_id"])
    assert (await ask(hass, entry, "get_keys"))["keys"][0]["proven"] is False


@pytest.mark.parametrize("quirks", [Quirks.instant(dated_time_honoured="ignored")])
async def test_stay_by_membership(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """With joining and leaving a key keeps to its window within a minute, whatever Salto does."""
    hass.config_entries.async_update_entry(entry, options={"strategy": "membership"})
    await hass.async_block_till_done(wait_background_tasks=True)
    key = await issue(hass, sim, entry)
    pin = key["pin"]
    assert not opens(sim, pin)
    await go_to(hass, freezer, START - MINUTE)
    await minutes_pass(hass, freezer, 2 / 3)
    assert not opens(sim, pin)
    await minutes_pass(hass, freezer, 4 / 3)
    assert opens(sim, pin)
    await go_to(hass, freezer, END - MINUTE)
    assert opens(sim, pin)
    await minutes_pass(hass, freezer, 2)
    assert not opens(sim, pin)
    assert guests(sim) == []


async def test_membership_and_salto_is_down_at_the_start(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A guest who could not be let in for a while is let in within a minute of its end."""
    hass.config_entries.async_update_entry(entry, options={"strategy": "membership"})
    await hass.async_block_till_done(wait_background_tasks=True)
    key = await issue(hass, sim, entry)
    await go_to(hass, freezer, START - MINUTE)
    fault = sim.faults.add(Fault(method="POST", route=GROUP_USERS, status=503, count=None))
    await comes_to(freezer, lambda: sim.faults.hits(fault) == 5)
    assert not opens(sim, key["pin"])
    sim.faults.clear()
    await minutes_pass(hass, freezer, 1)
    assert opens(sim, key["pin"])


# What goes on when nobody is there


@pytest.mark.parametrize(
    "quirks",
    [Quirks.instant(schedule_rollout_s=210.0, member_rollout_s=45.0, change_rollout_s=20.0)],
)
async def test_revoked_while_the_iq_is_offline(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key is not called revoked before its door has been back for long enough to hear of it."""
    news = News(hass)
    key = await issue(hass, sim, entry, starts_at=MORNING)
    assert not opens(sim, key["pin"])
    await minutes_pass(hass, freezer, 4)
    assert opens(sim, key["pin"])
    sim.set("iq", iq_named(sim, RECEPTION).id, online=False)
    await minutes_pass(hass, freezer, 2)
    revoked = await ask(hass, entry, "revoke_key", key_id=key["key_id"])
    assert (revoked["status"], revoked["warnings"]) == ("removing", ["iq_offline"])
    await minutes_pass(hass, freezer, 30)
    assert opens(sim, key["pin"])
    assert await status_of(hass, entry) == "removing"
    sim.set("iq", iq_named(sim, RECEPTION).id, online=True)
    await minutes_pass(hass, freezer, 3)
    assert await status_of(hass, entry) == "removing"
    await minutes_pass(hass, freezer, 3)
    assert await status_of(hass, entry) == "revoked"
    assert not opens(sim, key["pin"])
    assert news.told[-1] == "key_revoked"


async def test_door_that_is_gone_is_not_waited_for(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key of doors that the site no longer has is revoked all the same."""
    key = await issue(hass, sim, entry, OTHER_DOOR)
    sim.set("iq", iq_named(sim, FIELD).id, online=False)
    await minutes_pass(hass, freezer, 1)
    await ask(hass, entry, "revoke_key", key_id=key["key_id"])
    await minutes_pass(hass, freezer, 6)
    assert await status_of(hass, entry) == "removing"
    gone = next(lock for lock in sim.world.locks.values() if lock.customer_reference == OTHER_DOOR)
    sim.remove("lock", gone.id)
    await minutes_pass(hass, freezer, 15)
    assert await status_of(hass, entry) == "revoked"
    assert (await ask(hass, entry, "get_keys"))["keys"][0]["doors"] == []


async def test_end_while_home_assistant_was_off(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A window that ended meanwhile closes the door by itself; the seat comes back at the start."""
    key = await issue(hass, sim, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    freezer.move_to(END + HOUR)
    assert not opens(sim, key["pin"])
    assert len(guests(sim)) == 1
    async with restarted(hass, entry) as (again, same):
        await minutes_pass(again, freezer, 1)
        assert guests(sim) == []
        assert await status_of(again, same) == "removing"


# What is interrupted


async def test_restart_while_a_key_is_issued(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """The key of a booking that a restart has interrupted is issued afterwards, and only once."""
    fault = sim.faults.add(Fault(method="POST", route=GUESTS, latency=LATE))
    with running(refused(hass, sim, entry, booking_id="R-1")) as asking:
        await until(lambda: sim.faults.hits(fault) == 1)
        async with passing(freezer):
            assert await hass.config_entries.async_unload(entry.entry_id)
            await asking
    assert groups(sim)
    async with restarted(hass, entry) as (again, same):
        news = News(again)
        await comes_to(freezer, lambda: sim.journal.count("POST", GUESTS) == 2)
        await minutes_pass(again, freezer, 1)
        assert await status_of(again, same) == "set"
        await minutes_pass(again, freezer, 7)
        (guest,) = guests(sim)
        (listed,) = (await ask(again, same, "get_keys", booking_id="R-1"))["keys"]
        assert listed["salto_key_id"] == guest.id
        pin = (await ask(again, same, "get_pin", key_id=listed["key_id"]))["pin"]
        assert edges(sim, listed, keypad_pin=pin) == INSIDE_ONLY
        assert len(groups(sim)) == 1
        assert set(news.told) <= {"key_issued"}
        key = await issue(again, sim, same, booking_id="R-1")
        assert (key["key_id"], key["pin"]) == (listed["key_id"], pin)


async def refused(hass: HomeAssistant, sim: Simulator, entry: ENTRY, **more: Any) -> None:
    """Ask for a key, and be told that the site is being unloaded."""
    with shown("key_unloading"):
        await issue(hass, sim, entry, **more)


async def test_restart_while_a_key_is_issued_for_nobody(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key that nobody waits for any more is taken back after a restart, with all that is late."""
    fault = sim.faults.add(Fault(method="POST", route=GUESTS, latency=LATE))
    with running(refused(hass, sim, entry)) as asking:
        await until(lambda: sim.faults.hits(fault) == 1)
        async with passing(freezer):
            assert await hass.config_entries.async_unload(entry.entry_id)
            await asking
    async with restarted(hass, entry) as (again, same):
        await comes_to(freezer, lambda: sim.journal.count("POST", GUESTS) == 1)
        await minutes_pass(again, freezer, 11)
        assert (guests(sim), groups(sim)) == ([], [])
        assert await status_of(again, same) == "failed"
        assert sensor(again, sim, "discrepancies") == "0"


async def test_home_assistant_stops_while_a_key_is_issued(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Nothing is begun at Salto once Home Assistant stops, and what is under way is cut off."""
    fault = sim.faults.add(Fault(method="POST", route=GUESTS, latency=LATE))
    with running(refused(hass, sim, entry, booking_id="R-1")) as asking:
        await until(lambda: sim.faults.hits(fault) == 1)
        hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
        await stand_still()
        pass_by(freezer, 0)
        await asking
    sim.journal.clear()
    with shown("key_unloading"):
        await issue(hass, sim, entry, booking_id="R-2")
    assert writes(sim) == []
    await comes_to(freezer, lambda: sim.journal.count("POST", GUESTS) == 1)


async def test_caller_goes_away(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """An automation that is cut off in the middle of a call loses nothing: the key is there."""
    fault = sim.faults.add(Fault(method="POST", route=GUESTS, latency=3))
    asking = asyncio.create_task(issue(hass, sim, entry))
    await until(lambda: sim.faults.hits(fault) == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await status_of(hass, entry) == "setting"
    await comes_to(freezer, lambda: bool(guests(sim) and guests(sim)[0].pin))
    await go_on(hass, freezer, 1)
    assert await status_of(hass, entry) == "set"
    (listed,) = (await ask(hass, entry, "get_keys"))["keys"]
    pin = (await ask(hass, entry, "get_pin", key_id=listed["key_id"]))["pin"]
    assert edges(sim, listed, keypad_pin=pin) == INSIDE_ONLY


# Salto is down


async def test_salto_does_not_answer_for_a_booking(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """The key of a booking that Salto does not answer for is issued by itself once it does."""
    news = News(hass)
    sim.faults.add(Fault(method="POST", route=GUESTS, status=503, count=None))
    async with passing(freezer):
        with shown("key_pending") as raised:
            await issue(hass, sim, entry, booking_id="R-1")
    (listed,) = (await ask(hass, entry, "get_keys", status=["setting"]))["keys"]
    assert raised.placeholders["key_id"] == listed["key_id"]
    assert sensor(hass, sim, "active_keys") == "0"
    await comes_to(freezer, lambda: sensor(hass, sim, "next_key_start") == START.isoformat())
    sim.faults.clear()
    await comes_to(freezer, lambda: bool(news.told))
    assert news.told == ["key_issued"]
    assert sim.clock.now() < MORNING + 15 * MINUTE
    key = await issue(hass, sim, entry, booking_id="R-1")
    assert (key["key_id"], key["status"]) == (listed["key_id"], "set")
    assert edges(sim, key) == INSIDE_ONLY
    assert len(guests(sim)) == 1


async def test_salto_does_not_answer_for_nobody(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Without a booking the key is given up, which is told, and nothing of it is left."""
    news = News(hass)
    sim.faults.add(Fault(method="POST", route=GUESTS, drop_after_commit=True, count=None))
    async with passing(freezer):
        with shown("key_given_up") as raised:
            await issue(hass, sim, entry)
    sim.faults.clear()
    await minutes_pass(hass, freezer, 7)
    assert (guests(sim), groups(sim)) == ([], [])
    (listed,) = (await ask(hass, entry, "get_keys"))["keys"]
    assert listed["key_id"] == raised.placeholders["key_id"]
    assert (listed["status"], listed["errors"]) == ("failed", ["unreachable"])
    assert news.told[0] == "key_failed unreachable"
    assert sensor(hass, sim, "next_key_start") == STATE_UNKNOWN


async def test_salto_is_down_altogether(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """While Salto does not say what the site can do no key is begun but that of a booking waits."""
    sim.faults.add(Fault(route="/v1.2/sites/{site}", status=503, count=None))
    async with passing(freezer):
        with shown("server_error"):
            await issue(hass, sim, entry)
        assert (await ask(hass, entry, "get_keys"))["keys"] == []
        with shown("key_pending"):
            await issue(hass, sim, entry, booking_id="R-1")
    (key,) = (await ask(hass, entry, "get_keys"))["keys"]
    assert (key["status"], key["booking_id"]) == ("setting", "R-1")


async def test_salto_is_down_at_the_first_comparison(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A first comparison that fails leaves the sensors unknown, and a later one works."""
    await minutes_pass(hass, freezer, 5)
    fault = sim.faults.add(Fault(route=USERS, status=503, count=None))
    await comes_to(freezer, lambda: sim.faults.hits(fault) == 5)
    assert sim.clock.now() < MORNING + 7 * MINUTE
    await go_on(hass, freezer, 60)
    assert sensor(hass, sim, "discrepancies") == STATE_UNKNOWN
    sim.faults.clear()
    await act(hass, "button", "press", entity_id(hass, "button", sim.site_id, "reconcile"))
    assert sensor(hass, sim, "discrepancies") == "0"


# Issues


def issues(hass: HomeAssistant) -> dict[str, dict[str, str]]:
    """Return the open issues about keys, by their keys, with what fills them."""
    found = {
        str(issue.translation_key): dict(issue.translation_placeholders or {})
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == "salto_ks"
    }
    for key, given in found.items():
        words = english()["issues"][key]
        assert placeholders(words["title"]) | placeholders(words["description"]) == set(given)
    return found


async def test_seats_run_out(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """From 80 per cent of the seats on a person is told, and again when none is left."""
    sim.set("site", sim.site_id, subscribed_user_amount=8)
    await minutes_pass(hass, freezer, 11)
    assert issues(hass) == {}
    seats = {"site": entry.title, "total": "8"}
    keys = []
    for used in (6, 7, 8):
        assert issues(hass) == ({"seats_low": seats | {"used": "7"}} if used == 8 else {})
        keys.append(await issue(hass, sim, entry))
        await minutes_pass(hass, freezer, 1)
    assert issues(hass) == {"seats_full": seats | {"used": "8"}}
    with shown("key_seat_unavailable", users=True):
        await issue(hass, sim, entry)
    await ask(hass, entry, "suspend_key", key_id=keys[0]["key_id"])
    await minutes_pass(hass, freezer, 1)
    assert issues(hass) == {"seats_low": seats | {"used": "7"}}
    await ask(hass, entry, "revoke_key", key_id=keys[1]["key_id"])
    await minutes_pass(hass, freezer, 1)
    assert issues(hass) == {}


async def test_seats_that_are_not_told(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Where Salto does not say how many seats there are, nothing is said of them, and keys are."""
    site = await entry.runtime_data.client.site(sim.site_id)
    body = {
        "id": site.id,
        "customer_reference": site.name,
        "pin_enabled": True,
        "time_zone": site.time_zone,
    }
    sim.faults.add(Fault(route="/v1.2/sites/{site}", status=200, body=body, count=None))
    await minutes_pass(hass, freezer, 11)
    assert sensor(hass, sim, "seats_used") == STATE_UNKNOWN
    assert issues(hass) == {}
    assert edges(sim, await issue(hass, sim, entry)) == INSIDE_ONLY


def ledger_file(hass: HomeAssistant, sim: Simulator, name: str) -> Path:
    """Return a file of the ledger."""
    return path_of(hass, f"salto_ks.ledger.{sim.site_id}") / name


def damage(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("harm", "fault"), [(damage, "damaged"), (Path.unlink, "missing")], ids=["damaged", "missing"]
)
async def test_ledger_that_cannot_be_read(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    set_up: SetUp,
    harm: Callable[[Path], None],
    fault: str,
) -> None:
    """With a file of the ledger lost nothing is done to keys; doors open, and so do PINs.

    Once the file is back a reload is enough.
    """
    entry = await set_up(iqs=[RECEPTION])
    key = await issue(hass, sim, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    path = ledger_file(hass, sim, "keys.0000")
    kept = path.read_bytes()
    harm(path)
    async with restarted(hass, entry) as (again, same):
        await again.async_block_till_done(wait_background_tasks=True)
        file = f"{path.parent.name}/{path.name}"
        assert issues(again) == {f"ledger_{fault}": {"site": same.title, "file": file}}
        sim.journal.clear()
        await refuses_everything(again, sim, same, key["key_id"])
        assert writes(sim) == []
        for name in ("active_keys", "next_key_start", "discrepancies", "last_reconciliation"):
            assert sensor(again, sim, name) == STATE_UNAVAILABLE
        assert edges(sim, key) == INSIDE_ONLY
        await unlock(again, sim)
        assert opened(sim)
        sim.journal.clear()
        await minutes_pass(again, freezer, 10)
        assert writes(sim) == []

        path.write_bytes(kept)
        await again.config_entries.async_reload(same.entry_id)
        await again.async_block_till_done(wait_background_tasks=True)
        assert same.state is ConfigEntryState.LOADED
        assert issues(again) == {}
        assert sensor(again, sim, "active_keys") == "1"
        assert (await ask(again, same, "get_pin", key_id=key["key_id"]))["pin"] == key["pin"]


async def refuses_everything(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, key_id: str
) -> None:
    """Check that nothing can be done to any key, and that this is nobody's fault who asks."""
    for action in ("revoke_key", "suspend_key", "resume_key", "rotate_pin", "get_pin"):
        with shown("key_ledger_closed"):
            await ask(hass, entry, action, key_id=key_id)
    with shown("key_ledger_closed"):
        await ask(hass, entry, "change_key", key_id=key_id, ends_at=END.isoformat())
    with shown("key_ledger_closed"):
        await ask(hass, entry, "reconcile")
    with shown("key_ledger_closed"):
        await issue(hass, sim, entry)


async def test_issues_go_with_their_entry(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """The issues of a site that is removed are taken back."""
    sim.set("site", sim.site_id, subscribed_user_amount=5)
    await minutes_pass(hass, freezer, 11)
    assert set(issues(hass)) == {"seats_full"}
    await hass.config_entries.async_remove(entry.entry_id)
    assert issues(hass) == {}


async def test_keys_outlive_their_entry(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, set_up: SetUp
) -> None:
    """A site that is removed and set up again still knows its keys and their PINs."""
    key = await issue(hass, sim, entry, booking_id="R-1")
    await hass.config_entries.async_remove(entry.entry_id)
    assert edges(sim, key) == INSIDE_ONLY
    again = await set_up(iqs=[])
    assert (await ask(hass, again, "get_pin", key_id=key["key_id"]))["pin"] == key["pin"]
