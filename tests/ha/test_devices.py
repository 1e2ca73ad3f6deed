"""The device registry follows the site: doors and IQs come, go, move, and are renamed."""

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.lock.const import LockState
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from simulator import Fault, Simulator

from .conftest import SetUp
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    LAUNDRY,
    RECEPTION,
    door,
    go_on,
    iq_named,
    lock_named,
    opened,
    unlock,
)
from .watching import LOCKS, state_of

BATTERY = "sensor.main_gate_battery_level"
NEW_DOOR = "Playground gate"
NEW_IQ = "IQ Playground"


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


def device(hass: HomeAssistant, entry: ConfigEntry, record_id: str) -> dr.DeviceEntry | None:
    """Return the device of a door, an IQ or the site."""
    return next(
        (
            found
            for found in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
            if (DOMAIN, record_id) in found.identifiers
        ),
        None,
    )


def there(hass: HomeAssistant, entry: ConfigEntry, record_id: str) -> dr.DeviceEntry:
    """Return a device that there has to be."""
    found = device(hass, entry, record_id)
    assert found is not None
    return found


def hub_of(hass: HomeAssistant, found: dr.DeviceEntry) -> str | None:
    """Return the vendor's id of what a device hangs on."""
    if found.via_device_id is None:
        return None
    hub = dr.async_get(hass).async_get(found.via_device_id)
    assert isinstance(hub, dr.DeviceEntry)
    return next(key for domain, key in hub.identifiers if domain == DOMAIN)


def keys_of(hass: HomeAssistant, record_id: str) -> set[str]:
    """Return what entities a door or an IQ has."""
    return {
        f"{entry.domain}.{entry.unique_id.removeprefix(record_id)}"
        for entry in er.async_get(hass).entities.values()
        if entry.unique_id.startswith(record_id)
    }


async def test_devices_of_the_campsite(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """The site is a device, its IQs hang on it, its doors on their IQs, and all tell what they are."""
    entry = await set_up(iqs=[RECEPTION])
    site = there(hass, entry, sim.site_id)
    assert (site.name, site.model, site.entry_type) == (
        "Camping De Zilverspar",
        "KS site",
        dr.DeviceEntryType.SERVICE,
    )
    iq = there(hass, entry, iq_named(sim, RECEPTION).id)
    assert (iq.name, iq.model, iq.hw_version) == (RECEPTION, "IQ", "2.0")
    assert hub_of(hass, iq) == sim.site_id
    models = {}
    for lock in sim.world.locks_of(sim.site_id):
        found = there(hass, entry, lock.id)
        assert found.name == lock.customer_reference
        assert found.manufacturer == "SALTO"
        assert hub_of(hass, found) == lock.iq_id
        assert found.config_subentry_id is None
        models[lock.lock_type] = found.model
    assert models == {
        "cylinder": "SALTO Sallis, Cylinder",
        "escutcheon": "SALTO Sallis, Escutcheon",
        "escutcheon_pin": "SALTO Sallis, Escutcheon with keypad",
        "none": "SALTO Sallis",
        "unknown": "SALTO Sallis",
        "wall_reader": "SALTO Sallis, Wall reader",
        "wall_reader_pin": "SALTO Sallis, Wall reader with keypad",
    }
    assert len(dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)) == 1 + 2 + 12


async def test_neighbouring_sites_are_not_there(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Doors of other sites that the account sees are not this entry's."""
    entry = await set_up(iqs=[RECEPTION])
    assert device(hass, entry, lock_named(sim, "Jetty gate").id) is None


@pytest.mark.parametrize("kind", ["lock", "iq", "site"])
async def test_renamed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp, kind: str
) -> None:
    """A door, an IQ or a site that is renamed at Salto is renamed here; a person's name stays."""
    entry = await set_up(iqs=[RECEPTION])
    record_id = {
        "lock": lock_named(sim, GATE).id,
        "iq": iq_named(sim, FIELD).id,
        "site": sim.site_id,
    }[kind]
    sim.set(kind, record_id, customer_reference="Another name")
    for _ in range(11):
        await go_on(hass, freezer, 75)
    found = there(hass, entry, record_id)
    assert found.name == "Another name"
    dr.async_get(hass).async_update_device(found.id, name_by_user="My name")
    sim.set(kind, record_id, customer_reference="Yet another name")
    for _ in range(11):
        await go_on(hass, freezer, 75)
    assert there(hass, entry, record_id).name_by_user == "My name"
    assert there(hass, entry, record_id).name == "Yet another name"


async def test_nameless_door_is_called_by_what_there_is(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Without a name a door goes by its MAC address, and without that by its id."""
    gate, laundry = lock_named(sim, GATE), lock_named(sim, LAUNDRY)
    sim.set("lock", gate.id, customer_reference="")
    sim.set("lock", laundry.id, customer_reference="", mac="")
    entry = await set_up(iqs=[RECEPTION])
    assert there(hass, entry, gate.id).name == gate.mac
    assert there(hass, entry, laundry.id).name == laundry.id


async def test_new_door(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that is added at Salto appears with all its entities after one poll, and opens."""
    entry = await set_up(iqs=[RECEPTION])
    iq_id = iq_named(sim, RECEPTION).id
    lock_id = sim.add("lock", {"customer_reference": NEW_DOOR, "iq_id": iq_id}).key
    assert device(hass, entry, lock_id) is None
    await go_on(hass, freezer, 75)
    assert hub_of(hass, there(hass, entry, lock_id)) == iq_id
    assert keys_of(hass, lock_id) == keys_of(hass, lock_named(sim, GATE).id)
    await unlock(hass, sim, NEW_DOOR)
    assert opened(sim, NEW_DOOR)


async def test_removed_door(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that is missing once is unavailable, twice it is gone; when it returns, it is back."""
    entry = await set_up(iqs=[RECEPTION])
    gate = lock_named(sim, GATE)
    entity_id, before = door(hass, sim), keys_of(hass, gate.id)
    sim.remove("lock", gate.id)
    await go_on(hass, freezer, 75)
    assert state_of(hass, entity_id) == STATE_UNKNOWN
    assert state_of(hass, BATTERY) == STATE_UNAVAILABLE
    assert device(hass, entry, gate.id) is not None
    await go_on(hass, freezer, 75)
    assert hass.states.get(entity_id) is None
    assert device(hass, entry, gate.id) is None
    assert keys_of(hass, gate.id) == set()

    sim.add("lock", {"id": gate.id, "customer_reference": GATE, "iq_id": gate.iq_id})
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    assert keys_of(hass, gate.id) == before
    await unlock(hass, sim)
    assert opened(sim)


async def test_door_missing_once_is_the_same_afterwards(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that one poll leaves out is back with the next, with its device and settings."""
    entry = await set_up(iqs=[RECEPTION])
    gate = lock_named(sim, GATE)
    before = there(hass, entry, gate.id)
    sim.remove("lock", gate.id)
    for _ in range(2):
        await go_on(hass, freezer, 75)
        assert state_of(hass, BATTERY) == STATE_UNAVAILABLE
        sim.add("lock", {"id": gate.id, "customer_reference": GATE, "iq_id": gate.iq_id})
        await go_on(hass, freezer, 75)
        assert state_of(hass, BATTERY) == "fresh"
        assert there(hass, entry, gate.id).id == before.id
        sim.remove("lock", gate.id)


async def test_failed_polls_remove_nothing(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Only polls that were read well count: an outage between two absences changes nothing."""
    entry = await set_up(iqs=[RECEPTION])
    gate = lock_named(sim, GATE)
    sim.remove("lock", gate.id)
    await go_on(hass, freezer, 75)
    sim.faults.add(Fault(route=LOCKS, status=500, count=5))
    for _ in range(5):
        await go_on(hass, freezer, 75)
    assert device(hass, entry, gate.id) is not None
    await go_on(hass, freezer, 75)
    assert device(hass, entry, gate.id) is None


async def test_removed_while_not_loaded(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that went while the entry was not loaded goes after two polls as well."""
    entry = await set_up(iqs=[RECEPTION])
    gate = lock_named(sim, GATE)
    await hass.config_entries.async_unload(entry.entry_id)
    sim.remove("lock", gate.id)
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert device(hass, entry, gate.id) is not None
    await go_on(hass, freezer, 75)
    assert device(hass, entry, gate.id) is None
    assert keys_of(hass, gate.id) == set()
    assert device(hass, entry, lock_named(sim, LAUNDRY).id) is not None


async def test_empty_listing_is_believed_the_second_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A listing that is empty once takes nothing away but availability."""
    entry = await set_up(iqs=[RECEPTION])
    body = {"items": [], "next_page_link": None, "count": None}
    sim.faults.add(Fault(route=LOCKS, method="GET", body=body))
    await go_on(hass, freezer, 75)
    assert state_of(hass, BATTERY) == STATE_UNAVAILABLE
    assert device(hass, entry, lock_named(sim, GATE).id) is not None
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_iq_comes_and_goes(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An IQ that is added appears with all its entities, and goes like a door when removed."""
    entry = await set_up(iqs=[RECEPTION])
    iq_id = sim.add("iq", {"customer_reference": NEW_IQ}).key
    await go_on(hass, freezer, 75)
    assert there(hass, entry, iq_id).name == NEW_IQ
    assert keys_of(hass, iq_id) == keys_of(hass, iq_named(sim, FIELD).id)
    sim.remove("iq", iq_id)
    await go_on(hass, freezer, 75)
    assert device(hass, entry, iq_id) is not None
    await go_on(hass, freezer, 75)
    assert device(hass, entry, iq_id) is None
    assert keys_of(hass, iq_id) == set()


async def test_door_moves_to_another_iq(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that is hung on another IQ is the same device there, and opens by that IQ's PIN."""
    entry = await set_up()
    gate, field = lock_named(sim, GATE), iq_named(sim, FIELD)
    before = there(hass, entry, gate.id)
    sim.set("lock", gate.id, iq_id=field.id)
    await go_on(hass, freezer, 75)
    after = there(hass, entry, gate.id)
    assert after.id == before.id
    assert hub_of(hass, after) == field.id
    await unlock(hass, sim)
    assert opened(sim)
    sim.set("lock", gate.id, iq_id=None)
    await go_on(hass, freezer, 75)
    assert hub_of(hass, there(hass, entry, gate.id)) == sim.site_id


async def test_new_door_on_a_new_iq(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that appears together with its IQ hangs on it at once."""
    entry = await set_up(iqs=[RECEPTION])
    iq_id = sim.add("iq", {"customer_reference": NEW_IQ}).key
    lock_id = sim.add("lock", {"customer_reference": NEW_DOOR, "iq_id": iq_id}).key
    await go_on(hass, freezer, 75)
    assert hub_of(hass, there(hass, entry, lock_id)) == iq_id


# Removal by a person


async def removes(
    hass: HomeAssistant, browser: WebSocketGenerator, entry: ConfigEntry, device_id: str
) -> bool:
    """Try to remove a device as a person does; tells whether it worked."""
    client = await browser(hass)
    await client.send_json_auto_id(
        {
            "type": "config/device_registry/remove_config_entry",
            "config_entry_id": entry.entry_id,
            "device_id": device_id,
        }
    )
    answer = await client.receive_json()
    if not answer["success"]:
        assert answer["error"]["code"] == "home_assistant_error"
    return bool(answer["success"])


async def test_person_may_remove_what_is_gone_only(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    sim: Simulator,
    set_up: SetUp,
) -> None:
    """Site, IQs and doors that Salto lists cannot be removed by hand, a left-over can."""
    entry = await set_up(iqs=[RECEPTION])
    assert await async_setup_component(hass, "config", {})
    for record_id in (sim.site_id, iq_named(sim, FIELD).id, lock_named(sim, GATE).id):
        assert not await removes(hass, hass_ws_client, entry, there(hass, entry, record_id).id)
    left_over = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={(DOMAIN, "left over")}
    )
    assert await removes(hass, hass_ws_client, entry, left_over.id)


async def test_person_may_remove_while_the_entry_is_not_loaded(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    sim: Simulator,
    set_up: SetUp,
) -> None:
    """With the entry not loaded nobody knows what is gone, so nothing is removed by hand."""
    entry = await set_up(iqs=[RECEPTION])
    assert await async_setup_component(hass, "config", {})
    gate = there(hass, entry, lock_named(sim, GATE).id)
    await hass.config_entries.async_unload(entry.entry_id)
    assert not await removes(hass, hass_ws_client, entry, gate.id)
    assert device(hass, entry, lock_named(sim, GATE).id) is not None
