"""What tests of the Home Assistant side do again and again: fill in forms, find entities, wait."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from aiohttp.test_utils import TestServer
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    SOURCE_USER,
    ConfigEntry,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_test_home_assistant,
)

from simulator import Simulator
from simulator.world import Iq, Lock, SiteUser

from .texts import check_texts, english

DOMAIN = "salto_ks"
RECEPTION = "IQ Reception"
FIELD = "IQ Field"
GATE = "Main gate"
"""A door on `RECEPTION`."""
LAUNDRY = "Laundry"
"""A door on `FIELD`."""

type Result = Mapping[str, Any]


@asynccontextmanager
async def serving(simulator: Simulator) -> AsyncIterator[str]:
    """Serve a simulator on loopback; gives its address without a path."""
    server = TestServer(simulator.app(), host="127.0.0.1")
    await server.start_server(access_log=None)
    try:
        yield str(server.make_url("")).rstrip("/")
    finally:
        await server.close()


# The simulated world


def without_live_events(sim: Simulator) -> Simulator:
    """Take live events out of the main site's subscription, and return the same simulator.

    Tests move the clock by hours, in which every connection would be given up and made anew.
    """
    sim.set("site", sim.site_id, features=["activity_log", "events_storage", "nfc"])
    return sim


def iq_named(sim: Simulator, name: str) -> Iq:
    """Return an IQ by its name."""
    return next(iq for iq in sim.world.iqs.values() if iq.customer_reference == name)


def lock_named(sim: Simulator, name: str) -> Lock:
    """Return a lock by its name."""
    return next(lock for lock in sim.world.locks.values() if lock.customer_reference == name)


def member_of(sim: Simulator) -> SiteUser:
    """Return the service account as a user of the main site."""
    member = sim.world.user_by_platform_id(sim.site_id, sim.account.user_id)
    if member is None:
        raise LookupError("the service account is no user of the main site")
    return member


def delivered_pin(sim: Simulator, iq_name: str = RECEPTION) -> str:
    """Return the IQ PIN that was sent last for an IQ."""
    iq_id = iq_named(sim, iq_name).id
    return next(item.pin for item in reversed(sim.outbox) if item.iq_id == iq_id)


def pin_in_force(sim: Simulator, iq_name: str = RECEPTION) -> str | None:
    """Return the service account's IQ PIN as the simulated IQ has it."""
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, iq_name).id)
    return None if activation is None else activation.pin


def wrong_pin(sim: Simulator, iq_name: str = RECEPTION, *, nth: int = 0) -> str:
    """Return an IQ PIN that is not the one in force; another one for each `nth`."""
    right = pin_in_force(sim, iq_name)
    return [pin for pin in ("0001", "0002", "0003", "0004", "0005") if pin != right][nth]


# Forms


def _readable(result: Result) -> Result:
    """Pass an answer of a config flow on, held to its texts."""
    check_texts(result, english()["config"])
    return result


def _readable_iq(result: Result) -> Result:
    """Pass an answer of a subentry flow on, held to its texts."""
    check_texts(result, english()["config_subentries"]["iq"])
    return result


def account_input(sim: Simulator, **changes: str) -> dict[str, str]:
    """Return what a person types into the first form, for a server of one's own."""
    known = sim.seed_info()
    typed = {key: known[key] for key in ("client_id", "client_secret", "username", "password")} | {
        "environment": "custom",
        "site_uid": known["site_uid"],
    }
    return typed | changes


def server_input(url: str, identity_url: str | None = None) -> dict[str, str]:
    """Return what a person types into the form of the addresses."""
    return {"api_url": url, "identity_url": identity_url or url}


async def start(hass: HomeAssistant) -> Result:
    """Begin to set a site up."""
    flows = hass.config_entries.flow
    return _readable(await flows.async_init(DOMAIN, context={"source": SOURCE_USER}))


async def fill(hass: HomeAssistant, result: Result, typed: Mapping[str, Any]) -> Result:
    """Submit a form of a config flow."""
    flows = hass.config_entries.flow
    return _readable(await flows.async_configure(result["flow_id"], dict(typed)))


async def choose(hass: HomeAssistant, result: Result, step: str) -> Result:
    """Choose from a menu of a config flow."""
    return await fill(hass, result, {"next_step_id": step})


async def reach_iq(
    hass: HomeAssistant, url: str, account: Mapping[str, Any], *, site_id: str | None = None
) -> Result:
    """Go through account, addresses and, if asked for, the site; gives the form of the IQ."""
    result = await fill(hass, await start(hass), account)
    result = await fill(hass, result, server_input(url))
    if site_id is not None:
        result = await fill(hass, result, {"site_id": site_id})
    assert result["step_id"] == "iq", result
    return result


async def reach_pin(
    hass: HomeAssistant,
    url: str,
    account: Mapping[str, Any],
    iq_id: str,
    *,
    channel: str = "email",
) -> Result:
    """Go on to the form of the IQ PIN, with a PIN delivered."""
    result = await fill(hass, await reach_iq(hass, url, account), {"iq_id": iq_id})
    result = await fill(hass, result, {"channel": channel})
    assert result["step_id"] == "iq_pin", result
    return result


async def set_up_site(
    hass: HomeAssistant,
    sim: Simulator,
    url: str,
    *,
    iqs: Iterable[str] = (RECEPTION, FIELD),
    store_pin: bool = True,
    account: Mapping[str, Any] | None = None,
) -> ConfigEntry[Any]:
    """Set the site up as a person would, the first IQ with it and the others afterwards."""
    typed = account_input(sim) if account is None else account
    names = list(iqs)
    if not names:
        result = await fill(hass, await reach_iq(hass, url, typed), {})
    else:
        result = await reach_pin(hass, url, typed, iq_named(sim, names[0]).id)
        pin = delivered_pin(sim, names[0])
        result = await fill(hass, result, {"pin": pin, "store_pin": store_pin})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    entry: ConfigEntry[Any] = result["result"]
    assert entry.state is ConfigEntryState.LOADED
    for name in names[1:]:
        await add_iq(hass, sim, entry, name, store_pin=store_pin)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry


# The `iq` subentry


async def start_iq(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Result:
    """Begin to add an IQ to an entry."""
    flows = hass.config_entries.subentries
    result = await flows.async_init((entry.entry_id, "iq"), context={"source": SOURCE_USER})
    return _readable_iq(result)


async def check_iq(
    hass: HomeAssistant, sim: Simulator, entry: ConfigEntry[Any], iq_name: str = RECEPTION
) -> Result:
    """Begin to check or re-activate an IQ that is set up."""
    subentry_id = iq_subentry_id(entry, sim, iq_name)
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "iq"), context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
    )
    return _readable_iq(result)


async def fill_iq(hass: HomeAssistant, result: Result, typed: Mapping[str, Any]) -> Result:
    """Submit a form of a subentry flow."""
    flows = hass.config_entries.subentries
    return _readable_iq(await flows.async_configure(result["flow_id"], dict(typed)))


async def choose_iq(hass: HomeAssistant, result: Result, step: str) -> Result:
    """Choose from a menu of a subentry flow."""
    return await fill_iq(hass, result, {"next_step_id": step})


async def add_iq(
    hass: HomeAssistant,
    sim: Simulator,
    entry: ConfigEntry[Any],
    iq_name: str,
    *,
    store_pin: bool = True,
) -> None:
    """Activate a further IQ."""
    result = await fill_iq(hass, await start_iq(hass, entry), {"iq_id": iq_named(sim, iq_name).id})
    result = await fill_iq(hass, result, {"channel": "email"})
    pin = delivered_pin(sim, iq_name)
    result = await fill_iq(hass, result, {"pin": pin, "store_pin": store_pin})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


def iq_subentry_id(entry: ConfigEntry[Any], sim: Simulator, iq_name: str = RECEPTION) -> str:
    """Return the id of the subentry of an IQ."""
    iq_id = iq_named(sim, iq_name).id
    return next(key for key, item in entry.subentries.items() if item.unique_id == iq_id)


# Entities


def entity_id(hass: HomeAssistant, platform: str, record_id: str, key: str) -> str:
    """Return the id of an entity; `record_id` is the vendor's id of its door, IQ or site."""
    found = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{record_id}-{key}")
    if found is None:
        raise LookupError(f"no {platform} {key} of {record_id}")
    return found


def door(hass: HomeAssistant, sim: Simulator, name: str = GATE) -> str:
    """Return the id of a door's lock entity."""
    return entity_id(hass, "lock", lock_named(sim, name).id, "lock")


async def unlock(
    hass: HomeAssistant, sim: Simulator, name: str = GATE, code: str | None = None
) -> None:
    """Open a door by the action; raises what a person would be shown."""
    data = {"entity_id": door(hass, sim, name)} | ({} if code is None else {"code": code})
    await hass.services.async_call("lock", "unlock", data, blocking=True)


def opened(sim: Simulator, name: str = GATE) -> bool:
    """Tell whether a door stands open at the moment, in the simulated world."""
    return lock_named(sim, name).locked_state == "unlocked"


# Time


async def go_on(hass: HomeAssistant, freezer: FrozenDateTimeFactory, seconds: float) -> None:
    """Let time pass for Home Assistant and, as it goes by the same clock, for the simulator."""
    freezer.tick(timedelta(seconds=seconds))
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


@asynccontextmanager
async def restarted(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> AsyncIterator[tuple[HomeAssistant, ConfigEntry[Any]]]:
    """End `hass` with its entry and go on in a new Home Assistant with the same storage.

    Entity and device registries start empty, as the test plugin keeps none of them.
    """
    if entry.state is ConfigEntryState.LOADED:
        assert await hass.config_entries.async_unload(entry.entry_id)
    kept = entry.as_dict()
    async with async_test_home_assistant(config_dir=hass.config.config_dir) as again:
        again.data.pop(DATA_CUSTOM_COMPONENTS)
        same = MockConfigEntry(
            domain=DOMAIN,
            entry_id=entry.entry_id,
            unique_id=entry.unique_id,
            title=entry.title,
            data=kept["data"],
            options=kept["options"],
            subentries_data=kept["subentries"],
            version=entry.version,
            minor_version=entry.minor_version,
        )
        same.add_to_hass(again)
        await again.config_entries.async_setup(same.entry_id)
        await again.async_block_till_done()
        try:
            yield again, same
        finally:
            if same.state is ConfigEntryState.LOADED:
                await again.config_entries.async_unload(same.entry_id)
            await again.async_stop(force=True)
