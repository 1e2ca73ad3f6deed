"""A real Home Assistant in this process, without its frontend, on a folder that it may fill.

It is put together in the order of its own start: registries, storage and config entries are the
real ones, on disk. Only its search for devices on the network is kept on loopback.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from homeassistant import bootstrap, core_config, loader
from homeassistant.components.zeroconf.const import DATA_INSTANCE
from homeassistant.components.zeroconf.models import HaAsyncZeroconf, HaZeroconf
from homeassistant.config_entries import (
    SOURCE_USER,
    ConfigEntries,
    ConfigEntryState,
    ConfigFlowResult,
    ConfigSubentry,
)
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import DOMAIN as CORE, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from custom_components.salto_ks.api.models import Iq, PinChannel
from custom_components.salto_ks.const import CONF_POLLING_INTERVAL, DOMAIN, POLLING_INTERVAL
from custom_components.salto_ks.coordinator import SaltoKsConfigEntry
from custom_components.salto_ks.iq_activation import IqActivation
from custom_components.salto_ks.iq_credential import IqKey
from custom_components.salto_ks.iq_flow import iq_subentry

from .simulated import Simulated


@asynccontextmanager
async def home_assistant(folder: Path, *, started: bool) -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant on a config folder; its entries are loaded, but not set up.

    Without `started` it stays in the middle of its start, where entries are set up.
    """
    hass = HomeAssistant(str(folder))
    loader.async_setup(hass)
    hass.config.skip_pip = True
    hass.config_entries = ConfigEntries(hass, {CORE: {}})
    await loader.async_get_custom_components(hass)
    search = HaZeroconf(interfaces=["127.0.0.1"], unicast=True)
    zeroconf = hass.data[DATA_INSTANCE] = HaAsyncZeroconf(zc=search)
    try:
        if not await bootstrap.async_load_base_functionality(hass):
            raise RuntimeError("Home Assistant cannot read its own files")
        for domain in bootstrap.CORE_INTEGRATIONS:
            await async_setup_component(hass, domain, {})
        await core_config.async_process_ha_core_config(hass, {})
        if started:
            await hass.async_start()
        yield hass
    finally:
        await hass.async_stop(force=True)
        await zeroconf.ha_async_close()


async def set_up_site(hass: HomeAssistant, simulated: Simulated) -> SaltoKsConfigEntry:
    """Set the simulated site up by its forms, activate all IQs, and make it poll rarely."""
    seed, flows = simulated.seed, hass.config_entries.flow
    result = await flows.async_init(DOMAIN, context={"source": SOURCE_USER})

    async def fill(**typed: object) -> ConfigFlowResult:
        return await flows.async_configure(result["flow_id"], typed)

    await fill(
        environment="custom",
        client_id=seed.client_id,
        client_secret=seed.client_secret,
        username=seed.username,
        password=seed.password,
        site_uid=seed.site_uid,
    )
    await fill(api_url=simulated.url, identity_url=simulated.url)
    await fill(iq_id=seed.iq_id)
    await fill(channel="email")
    result = await fill(pin=await simulated.iq_pin(), store_pin=True)
    if result["type"] is not FlowResultType.CREATE_ENTRY:
        raise RuntimeError(f"the set-up ended with {result['type']} {result.get('errors')}")
    entry: SaltoKsConfigEntry = result["result"]
    await hass.async_block_till_done()
    await _activate_further_iqs(hass, entry, simulated)
    await _set_options(hass, entry, {CONF_POLLING_INTERVAL: POLLING_INTERVAL.most})
    if entry.state is not ConfigEntryState.LOADED:
        raise RuntimeError(f"the entry is {entry.state}")
    return entry


async def _activate_further_iqs(
    hass: HomeAssistant, entry: SaltoKsConfigEntry, simulated: Simulated
) -> None:
    """Activate the other IQs in the steps of the form, without loading the entry for each."""
    data = entry.runtime_data
    iqs = [iq for iq in data.doors.data.iqs.values() if iq.id != simulated.seed.iq_id]
    for iq in iqs:
        key = IqKey(data.site.site_id, iq.id, data.site.data.member.platform_id)
        activation = IqActivation(data.client, data.vault, key, dt_util.utcnow)
        await activation.deliver(PinChannel.EMAIL)
        await activation.confirm(await simulated.iq_pin(), store_pin=True)
    await hass.config_entries.async_unload(entry.entry_id)
    for iq in iqs:
        hass.config_entries.async_add_subentry(entry, _subentry(iq))
    await hass.config_entries.async_setup(entry.entry_id)


def _subentry(iq: Iq) -> ConfigSubentry:
    """Make what the form makes for an IQ that is activated."""
    described = iq_subentry(iq, store_pin=True)
    return ConfigSubentry(
        data=MappingProxyType(dict(described["data"])),
        subentry_type=described["subentry_type"],
        title=described["title"],
        unique_id=described["unique_id"],
    )


async def _set_options(
    hass: HomeAssistant, entry: SaltoKsConfigEntry, options: Mapping[str, Any]
) -> None:
    """Fill in the form of the options, and wait until the entry is loaded anew."""
    form = await hass.config_entries.options.async_init(entry.entry_id)
    await hass.config_entries.options.async_configure(form["flow_id"], dict(options))
    await hass.async_block_till_done()


async def write_files(hass: HomeAssistant) -> None:
    """Have Home Assistant write now what it would write some seconds later, in a measurement."""
    hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await hass.async_block_till_done()


def entity_id(hass: HomeAssistant, platform: str, lock_id: str, key: str) -> str:
    """Return the id of an entity of a door."""
    found = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{lock_id}-{key}")
    if found is None:
        raise LookupError(f"no {platform} {key} of {lock_id}")
    return found


def device_ids(hass: HomeAssistant, entity_ids: set[str]) -> set[str | None]:
    """Return the devices of these entities."""
    registry = er.async_get(hass)
    entries = (registry.async_get(entity_id) for entity_id in entity_ids)
    return {None if entry is None else entry.device_id for entry in entries}
