"""Every entity there is: where it belongs, what it is called, what it shows."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from simulator import Simulator

from .conftest import SetUp
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    RECEPTION,
    door,
    entity_id,
    go_on,
    iq_named,
    lock_named,
    unlock,
)
from .watching import act, commands, state_of

DOOR = {
    "lock.-lock": ("", None, "locked"),
    "binary_sensor.-online": (" Online", "diagnostic", "on"),
    "binary_sensor.-battery_low": (" Battery", "diagnostic", "off"),
    "binary_sensor.-left_open": (" Left open", None, "off"),
    "binary_sensor.-intrusion": (" Intrusion alarm", None, "off"),
    "binary_sensor.-privacy_mode": (" Privacy mode", None, "off"),
    "event.-access": (" Access", None, STATE_UNKNOWN),
    "sensor.-battery": (" Battery level", "diagnostic", "fresh"),
    "switch.-office_mode": (" Office mode", None, "off"),
}
"""Name behind the device's, category and state of what a door has."""

IQ = {
    "binary_sensor.-online": (" Online", "diagnostic", "on"),
    "binary_sensor.-activated": (" Activated", "diagnostic", "on"),
    "sensor.-signal_strength": (" Signal strength", "diagnostic", "21"),
    "sensor.-otp_blocked_until": (
        " One-time passwords blocked until",
        "diagnostic",
        STATE_UNKNOWN,
    ),
}
SITE = {
    "button.-test_connection": (" Test connection", "diagnostic", STATE_UNKNOWN),
    "button.-reconcile": (" Reconcile keys", "diagnostic", STATE_UNKNOWN),
    "binary_sensor.-keys_left_alone": (" Keys left alone", "diagnostic", "off"),
    "calendar.-keys": (" Keys", None, "off"),
    "event.-key_life_cycle": (" Keys", None, STATE_UNKNOWN),
    "sensor.-active_keys": (" Active keys", None, "0"),
    "sensor.-next_key_start": (" Next key start", None, STATE_UNKNOWN),
    "sensor.-seats_used": (" Seats used", None, "5"),
    "sensor.-seats_free": (" Seats free", None, "20"),
    "sensor.-seats_run_out": (" Seats run out on", None, STATE_UNKNOWN),
    "sensor.-discrepancies": (" Discrepancies", "diagnostic", STATE_UNKNOWN),
    "sensor.-last_reconciliation": (" Last reconciliation", "diagnostic", STATE_UNKNOWN),
    "sensor.-live_events": (" Live events", "diagnostic", "not_offered"),
    "switch.-active": (" Active", "config", "on"),
}
DISABLED = ("reconciliation_duration", "reconciliation_requests")
"""Sensors of the site that are there for who enables them."""

ODD = {
    "Sanitary block south": {
        "binary_sensor.-battery_low": "on",
        "sensor.-battery": "low",
    },
    "Pitch 13 cabin": {"binary_sensor.-privacy_mode": "on"},
    "Pitch 21 cabin": {"binary_sensor.-online": "off"},
    FIELD: {"binary_sensor.-activated": "off"},
}
"""What is not as elsewhere at the campsite, with only the first IQ activated."""

DEVICE_CLASSES = {
    "binary_sensor.-online": "connectivity",
    "binary_sensor.-battery_low": "battery",
    "binary_sensor.-left_open": "problem",
    "binary_sensor.-intrusion": "safety",
    "binary_sensor.-keys_left_alone": "problem",
    "sensor.-battery": "enum",
    "sensor.-otp_blocked_until": "timestamp",
    "sensor.-next_key_start": "timestamp",
    "sensor.-last_reconciliation": "timestamp",
    "sensor.-seats_run_out": "date",
    "sensor.-live_events": "enum",
}


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


async def test_entities_of_the_campsite(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """There is exactly what there should be, each in its place, with name, category and state."""
    entry = await set_up(iqs=[RECEPTION])
    things: list[tuple[str, str, dict[str, Any]]] = [(sim.site_id, entry.title, SITE)]
    things += [(iq.id, iq.customer_reference, IQ) for iq in sim.world.iqs_of(sim.site_id)]
    things += [(lock.id, lock.customer_reference, DOOR) for lock in sim.world.locks_of(sim.site_id)]
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    devices = dr.async_get(hass)
    by_key = {f"{entity.domain}.{entity.unique_id}": entity for entity in entities}
    seen = set()
    for record_id, name, expected in things:
        device = devices.async_get_device_by_identifier((DOMAIN, record_id), entry.entry_id)
        assert device is not None
        for key, (ending, category, usual) in expected.items():
            domain, _, suffix = key.partition(".")
            entity = by_key[f"{domain}.{record_id}{suffix}"]
            seen.add(entity.entity_id)
            state = hass.states.get(entity.entity_id)
            assert state is not None
            assert state.name == f"{name}{ending}"
            assert entity.entity_category == category
            assert entity.device_id == device.id
            assert entity.config_subentry_id is None
            assert entity.has_entity_name
            assert not entity.disabled
            assert state.state == ODD.get(name, {}).get(key, usual), (name, key)
            assert state.attributes.get("device_class") == DEVICE_CLASSES.get(key)
    assert seen == {entity.entity_id for entity in entities if not entity.disabled}
    assert {entity.unique_id for entity in entities if entity.disabled} == {
        f"{sim.site_id}-{key}" for key in DISABLED
    }
    assert len(seen) == 12 * 9 + 2 * 4 + 14


async def test_names_of_entities_stay(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Entity ids are made from names, so that a person finds them in an automation."""
    await set_up(iqs=[RECEPTION])
    assert door(hass, sim) == "lock.main_gate"
    office_mode = entity_id(hass, "switch", lock_named(sim, GATE).id, "office_mode")
    assert office_mode == "switch.main_gate_office_mode"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"battery_level": "good"}, {"sensor.-battery": "good"}),
        (
            {"battery_level": "critical"},
            {"sensor.-battery": "critical", "binary_sensor.-battery_low": "on"},
        ),
        (
            {"battery_level": "none"},
            {"sensor.-battery": STATE_UNKNOWN, "binary_sensor.-battery_low": STATE_UNKNOWN},
        ),
        (
            {"battery_level": "half_full"},
            {"sensor.-battery": STATE_UNKNOWN, "binary_sensor.-battery_low": STATE_UNKNOWN},
        ),
        ({"left_open_alarm": True}, {"binary_sensor.-left_open": "on"}),
        ({"intrusion_alarm": True}, {"binary_sensor.-intrusion": "on"}),
        ({"privacy_mode": True}, {"binary_sensor.-privacy_mode": "on"}),
        ({"online": False}, {"binary_sensor.-online": "off"}),
        ({"lock_type": "turnstile"}, {}),
        (
            {"locked_state": "ajar"},
            {"lock.-lock": STATE_UNKNOWN, "switch.-office_mode": STATE_UNKNOWN},
        ),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if value else "",
)
async def test_door_shows_what_salto_tells(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    changes: dict[str, Any],
    expected: dict[str, str],
) -> None:
    """What changes at a door shows at its entities; words that nobody knows are unknown."""
    await set_up(iqs=[RECEPTION])
    lock_id = lock_named(sim, GATE).id
    sim.set("lock", lock_id, **changes)
    await go_on(hass, freezer, 75)
    for key, (_, _, usual) in DOOR.items():
        domain, _, suffix = key.partition(".-")
        state = state_of(hass, entity_id(hass, domain, lock_id, suffix))
        if domain == "event":
            rings = any(name.endswith("_alarm") for name in changes)
            assert (state != usual) is rings, key
        else:
            assert state == expected.get(key, usual), key


async def test_iq_shows_what_salto_tells(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """What changes at an IQ shows at its entities; its doors stay what they are."""
    await set_up(iqs=[RECEPTION])
    iq_id = iq_named(sim, RECEPTION).id
    sim.set("iq", iq_id, online=False, signal_strength=7)
    await go_on(hass, freezer, 75)
    assert state_of(hass, entity_id(hass, "binary_sensor", iq_id, "online")) == "off"
    assert state_of(hass, entity_id(hass, "sensor", iq_id, "signal_strength")) == "7"
    assert state_of(hass, door(hass, sim)) == "locked"


async def test_offline_door_can_still_be_tried(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Offline is what a sensor says: the lock itself stays, as Salto may be behind by an hour."""
    sim.set("lock", lock_named(sim, GATE).id, online=False)
    await set_up(iqs=[RECEPTION])
    sim.set("lock", lock_named(sim, GATE).id, online=True)
    await unlock(hass, sim)
    assert commands(sim) == 1
    assert state_of(hass, door(hass, sim)) == "unlocked"


async def test_renamed_entity_still_opens(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A person may give an entity another id; it stays the same door."""
    await set_up(iqs=[RECEPTION])
    er.async_get(hass).async_update_entity(door(hass, sim), new_entity_id="lock.my_gate")
    await hass.async_block_till_done()
    await act(hass, "lock", "unlock", "lock.my_gate")
    assert state_of(hass, "lock.my_gate") == "unlocked"


async def test_disabled_entities_do_not_stop_the_rest(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """With the site's own entities disabled, the site is still looked at every ten minutes."""
    entry = await set_up(iqs=[RECEPTION])
    registry = er.async_get(hass)
    for name in SITE:
        platform, _, key = name.partition(".-")
        registry.async_update_entity(
            entity_id(hass, platform, sim.site_id, key),
            disabled_by=er.RegistryEntryDisabler.USER,
        )
    await hass.config_entries.async_reload(entry.entry_id)
    sim.deactivate(iq_named(sim, RECEPTION).id)
    for _ in range(11):
        await go_on(hass, freezer, 75)
    activated = entity_id(hass, "binary_sensor", iq_named(sim, RECEPTION).id, "activated")
    assert state_of(hass, activated) == "off"
