"""Polling: what is asked when, what is written, and what happens when Salto does not answer."""

import logging

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.lock.const import LockState
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from simulator import Fault, Simulator

from .conftest import SetUp
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    LAUNDRY,
    RECEPTION,
    door,
    entity_id,
    go_on,
    iq_named,
    lock_named,
    opened,
    unlock,
)
from .watching import IQS, LOCK, LOCKING, LOCKS, TOKEN, asked, commands, state_of, until, written


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


def entities_of(hass: HomeAssistant, *record_ids: str) -> set[str]:
    """Return the entities of doors, IQs or the site."""
    return {
        entry.entity_id
        for entry in er.async_get(hass).entities.values()
        if entry.platform == DOMAIN and entry.unique_id.startswith(record_ids)
    }


def unmoved(hass: HomeAssistant, *lock_ids: str) -> set[str]:
    """Return the entities of doors that a change elsewhere about the door does not touch."""
    kinds = {"switch": "office_mode", "event": "access"}
    return {
        entity_id(hass, kind, lock_id, key) for kind, key in kinds.items() for lock_id in lock_ids
    }


def doors_of(sim: Simulator, iq_name: str) -> list[str]:
    """Return the ids of the doors on an IQ."""
    iq_id = iq_named(sim, iq_name).id
    return [lock.id for lock in sim.world.locks.values() if lock.iq_id == iq_id]


# What is written


async def test_unchanged_site_writes_nothing(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, set_up: SetUp
) -> None:
    """Polls that bring nothing new write no state at all, once the keys were first compared."""
    await set_up(iqs=[RECEPTION])
    await go_on(hass, freezer, 360)
    with written(hass) as seen:
        for _ in range(11):
            await go_on(hass, freezer, 75)
    assert seen.entity_ids == []


async def test_changed_door_writes_its_own_entities(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that has changed writes its entities once, and no other entity is touched.

    Office mode and events show nothing else of the door, and are written when they change.
    """
    await set_up(iqs=[RECEPTION])
    await go_on(hass, freezer, 75)  # Seats are foretold for the first time.
    lock = sim.set("lock", lock_named(sim, GATE).id, battery_level="critical")
    with written(hass) as seen:
        await go_on(hass, freezer, 75)
    assert sorted(seen.entity_ids) == sorted(entities_of(hass, lock.key) - unmoved(hass, lock.key))


async def test_only_the_lock_shows_an_opening(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that opens and relocks is no news for its other entities, office mode among them."""
    await set_up(iqs=[RECEPTION])
    await go_on(hass, freezer, 75)  # Seats are foretold for the first time.
    with written(hass) as seen:
        await unlock(hass, sim)
        for _ in range(4):
            await go_on(hass, freezer, 4)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    assert set(seen.entity_ids) == {door(hass, sim)}


async def test_changed_iq_writes_its_doors_too(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An IQ that has changed writes its entities and its doors', each once, and no others.

    As with a door, office mode and events are written when they change.
    """
    await set_up(iqs=[RECEPTION])
    await go_on(hass, freezer, 75)  # Seats are foretold for the first time.
    iq = sim.set("iq", iq_named(sim, FIELD).id, signal_strength=3)
    with written(hass) as seen:
        await go_on(hass, freezer, 75)
    doors = doors_of(sim, FIELD)
    assert sorted(seen.entity_ids) == sorted(
        entities_of(hass, iq.key, *doors) - unmoved(hass, *doors)
    )


async def test_lost_activation_is_shown(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An activation that is reset at Salto shows within ten minutes, at its IQ alone."""
    await set_up()
    for name in (RECEPTION, FIELD):
        sensor = entity_id(hass, "binary_sensor", iq_named(sim, name).id, "activated")
        assert state_of(hass, sensor) == STATE_ON
    sim.deactivate(iq_named(sim, RECEPTION).id)
    for _ in range(10):
        await go_on(hass, freezer, 75)
    for name, state in ((RECEPTION, STATE_OFF), (FIELD, STATE_ON)):
        sensor = entity_id(hass, "binary_sensor", iq_named(sim, name).id, "activated")
        assert state_of(hass, sensor) == state


@pytest.mark.parametrize("zone", ["", "../Amsterdam", "/etc/passwd", "No/Where", "x" * 5000])
async def test_odd_time_zone(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp, zone: str
) -> None:
    """An IQ whose time zone is none keeps no door from being shown and opened."""
    sim.set("iq", iq_named(sim, FIELD).id, time_zone=zone)
    await set_up(iqs=[RECEPTION])
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim, LAUNDRY)) == LockState.LOCKED
    await unlock(hass, sim)


# When Salto does not answer


@pytest.mark.parametrize("route", [LOCKS, IQS])
@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"reset": True}, {"status": 200, "body": "<html>"}, {"truncate": 20}],
    ids=["500", "reset", "web_page", "cut_off"],
)
async def test_outage_shows_and_ends(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    caplog: pytest.LogCaptureFixture,
    *,
    route: str,
    fault: dict[str, object],
) -> None:
    """In an outage nothing tells a state, it is logged once, and so is its end.

    All is unavailable but the locks, which Home Assistant would pass over without a word, and what
    has happened at doors, which stays true.
    """
    await set_up(iqs=[RECEPTION])
    caplog.clear()
    sim.faults.add(Fault(route=route, method="GET", count=None, **fault))  # type: ignore[arg-type] # fields of several types
    watched = entities_of(hass, *sim.world.iqs, *sim.world.locks)
    for _ in range(3):
        await go_on(hass, freezer, 75)
        states = {item: state_of(hass, item) for item in watched}
        staying = {item for item in states if item.startswith(("lock.", "event."))}
        assert {states[item] for item in staying} == {STATE_UNKNOWN}
        assert {states[item] for item in states.keys() - staying} == {STATE_UNAVAILABLE}
    assert levels_of_polls(caplog) == [logging.ERROR]
    caplog.clear()
    sim.faults.clear()
    for _ in range(3):
        await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    assert {state_of(hass, door(hass, sim, name)) for name in ALL_DOORS} == {LockState.LOCKED}
    assert levels_of_polls(caplog) == [logging.INFO]


def levels_of_polls(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Return the levels of what was logged of polls; Home Assistant logs that in our name."""
    return [
        item.levelno
        for item in caplog.records
        if item.name == "custom_components.salto_ks"
        and item.module == "update_coordinator"
        and item.levelno > logging.DEBUG
    ]


ALL_DOORS = (GATE, LAUNDRY, "Pitch 21 cabin", "Energy cabinet")


async def test_rate_limit_is_heeded(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """When Salto asks for five minutes of rest the doors are not polled before they are over."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(Fault(route=LOCKS, method="GET", status=429, headers={"Retry-After": "300"}))
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == STATE_UNKNOWN
    sim.journal.clear()
    for _ in range(3):
        await go_on(hass, freezer, 75)
    assert sim.journal.count("GET", LOCKS) == 0
    await go_on(hass, freezer, 77)
    assert sim.journal.count("GET", LOCKS) == 1
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    await go_on(hass, freezer, 75)
    assert sim.journal.count("GET", LOCKS) == 2


async def test_rest_has_its_limit(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """When Salto asks for a day of rest it is asked again after five minutes all the same."""
    await set_up(iqs=[RECEPTION])
    headers = {"Retry-After": "86400"}
    sim.faults.add(Fault(route=LOCKS, method="GET", status=429, headers=headers))
    await go_on(hass, freezer, 75)
    await go_on(hass, freezer, 298)
    assert state_of(hass, door(hass, sim)) == STATE_UNKNOWN
    await go_on(hass, freezer, 4)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_refused_credentials_open_one_form(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """When the password no longer works there is one form for it, and no hammering meanwhile."""
    entry = await set_up(iqs=[RECEPTION])
    sim.account.password = "another one"
    for _ in range(65):
        await go_on(hass, freezer, 75)
    flows = [
        flow
        for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        if flow["context"]["source"] == SOURCE_REAUTH
    ]
    assert [flow["context"]["entry_id"] for flow in flows] == [entry.entry_id]
    assert state_of(hass, door(hass, sim)) == STATE_UNKNOWN
    sim.journal.clear()
    for _ in range(30):
        await go_on(hass, freezer, 75)
    assert sim.journal.count("POST", TOKEN) <= 1


async def test_site_that_fails_takes_no_door_down(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Doors stay as they are and open while only the slow look at the site fails."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(Fault(route="/v1.2/sites/{site}/me", status=500, count=None))
    for _ in range(11):
        await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    await unlock(hass, sim)
    assert opened(sim)


# Reading a door again


async def test_failed_look_is_followed_by_another(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Where the look after an opening fails the next one still shows the door relocked."""
    await set_up(iqs=[RECEPTION])
    sim.set("lock", lock_named(sim, GATE).id, open_time=1)
    await unlock(hass, sim)
    sim.faults.add(Fault(route=LOCK, method="GET", status=500))
    await go_on(hass, freezer, 4)
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED
    await go_on(hass, freezer, 4)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_unloaded_entry_looks_at_nothing(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """After an opening the entry can be unloaded, and nothing is asked from then on."""
    entry = await set_up(iqs=[RECEPTION])
    await unlock(hass, sim)
    await hass.config_entries.async_unload(entry.entry_id)
    sim.journal.clear()
    for _ in range(12):
        await go_on(hass, freezer, 75)
    assert asked(sim) == []


async def test_look_under_way_ends_with_the_entry(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A look that is under way while the entry is unloaded is not followed by another."""
    entry = await set_up(iqs=[RECEPTION])
    await unlock(hass, sim)
    fault = sim.faults.add(Fault(route=LOCK, method="GET", latency=2))
    freezer.tick(4)
    async_fire_time_changed(hass)
    await until(lambda: sim.faults.hits(fault) == 1)
    await hass.config_entries.async_unload(entry.entry_id)
    sim.journal.clear()
    for _ in range(5):
        await go_on(hass, freezer, 75)
    assert [item for item in asked(sim) if item != ("GET", LOCK)] == []
    assert sim.journal.count("GET", LOCK) <= 1


async def test_door_that_vanishes_under_an_opening(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening whose door leaves the site in the meantime ends without an accident."""
    await set_up(iqs=[RECEPTION])
    await unlock(hass, sim)
    sim.remove("lock", lock_named(sim, GATE).id)
    for _ in range(3):
        await go_on(hass, freezer, 75)
    assert commands(sim) == 1
    await unlock(hass, sim, "Store room")
    assert sim.journal.filter("PATCH", LOCKING)[-1].status == 200
