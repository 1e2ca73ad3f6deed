"""Changing the account or the addresses of a site that is set up."""

from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry, ConfigEntryState
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import issue_registry as ir
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from simulator import Simulator

from .conftest import SetUp
from .support import (
    DOMAIN,
    RECEPTION,
    Result,
    check_iq,
    delivered_pin,
    entity_id,
    fill,
    fill_iq,
    iq_named,
    iq_subentry_id,
    opened,
    server_input,
    serving,
    unlock,
)
from .texts import check_texts, english

LOCKS = "/v1.2/sites/{site}/locks"
OTHER = {"username": "other@example.com", "password": "not-a-real-password"}


async def begin(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Result:
    """Open the form."""
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_RECONFIGURE, "entry_id": entry.entry_id}
    )
    check_texts(result, english()["config"])
    assert (result["step_id"], result["errors"]) == ("reconfigure", {})
    return result


def shown(result: Result) -> dict[str, Any]:
    """Return what the form is filled with; a field without a value is None."""
    return {
        str(marker): (marker.description or {}).get("suggested_value")
        for marker in result["data_schema"].schema
    }


def as_it_is(entry: ConfigEntry[Any]) -> dict[str, str]:
    """Return what a person submits who changes nothing; secrets are not filled in."""
    return {key: entry.data[key] for key in ("client_id", "username", "api_url", "identity_url")}


async def is_done(hass: HomeAssistant, result: Result, entry: ConfigEntry[Any]) -> None:
    """Expect a success, and the entry loaded."""
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


def let_in(sim: Simulator) -> None:
    """Make the other account a user of the main site."""
    user_id = sim.world.accounts[OTHER["username"]].user_id
    sim.add("user", {"user_id": user_id, "roles": ["site_admin"], "remote_access": True})


async def test_nothing_is_changed(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Secrets are never shown, left empty they stay as they are, and the entry loads once."""
    entry = await set_up()
    before = dict(entry.data)
    result = await begin(hass, entry)
    assert shown(result) == as_it_is(entry) | {"client_secret": None, "password": None}
    sim.journal.clear()
    await is_done(hass, await fill(hass, result, as_it_is(entry)), entry)
    assert dict(entry.data) == before
    assert sim.journal.count("GET", LOCKS) == 1
    await unlock(hass, sim)
    assert opened(sim)


async def test_other_account(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Another account has no activation: that is shown, refused at the door and can be mended."""
    entry = await set_up(iqs=(RECEPTION,))
    first = {key: entry.data[key] for key in OTHER}
    let_in(sim)
    sim.journal.clear()
    result = await fill(hass, await begin(hass, entry), as_it_is(entry) | OTHER)
    await is_done(hass, result, entry)
    assert sim.journal.count("GET", LOCKS) == 1

    issue_id = f"iq_not_activated_{iq_subentry_id(entry, sim)}"
    issues = ir.async_get(hass)
    assert issues.async_get_issue(DOMAIN, issue_id) is not None
    activated = entity_id(hass, "binary_sensor", iq_named(sim, RECEPTION).id, "activated")
    assert hass.states.get(activated).state == STATE_OFF
    with pytest.raises(ServiceValidationError) as refused:
        await unlock(hass, sim)
    assert refused.value.translation_key == "iq_not_set_up"

    result = await check_iq(hass, sim, entry)
    assert result["step_id"] == "iq_delivery"
    result = await fill_iq(hass, result, {"channel": "email"})
    assert sim.outbox[-1].user == OTHER["username"]
    result = await fill_iq(hass, result, {"pin": delivered_pin(sim), "store_pin": True})
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()
    assert issues.async_get_issue(DOMAIN, issue_id) is None
    assert hass.states.get(activated).state == STATE_ON
    await unlock(hass, sim)
    assert opened(sim)

    result = await fill(hass, await begin(hass, entry), as_it_is(entry) | first)
    await is_done(hass, result, entry)
    assert hass.states.get(activated).state == STATE_ON
    await unlock(hass, sim)
    assert opened(sim)


async def test_account_of_other_sites(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """An account that does not see the site is refused; it never becomes another site."""
    entry = await set_up()
    before = dict(entry.data)
    result = await fill(hass, await begin(hass, entry), as_it_is(entry) | OTHER)
    assert (result["step_id"], result["errors"]) == ("reconfigure", {"base": "site_not_found"})
    assert shown(result)["username"] == OTHER["username"]
    assert shown(result)["password"] is None
    assert (dict(entry.data), entry.unique_id) == (before, sim.site_id)
    await unlock(hass, sim)
    assert opened(sim)

    let_in(sim)
    await is_done(hass, await fill(hass, result, as_it_is(entry) | OTHER), entry)


async def test_wrong_credentials(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """What Salto refuses is named and not kept."""
    entry = await set_up(iqs=())
    before = dict(entry.data)
    typed = as_it_is(entry) | {"password": "wrong"}
    result = await fill(hass, await begin(hass, entry), typed)
    assert result["errors"] == {"base": "account_refused"}
    result = await fill(hass, result, as_it_is(entry) | {"client_id": "nobody"})
    assert result["errors"] == {"base": "client_refused"}
    assert shown(result)["client_id"] == "nobody"
    assert dict(entry.data) == before
    await is_done(hass, await fill(hass, result, as_it_is(entry)), entry)
    assert dict(entry.data) == before


async def test_other_address(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """A server of one's own can move, and a useless address is told at its field."""
    entry = await set_up()
    async with serving(sim) as moved:
        result = await begin(hass, entry)
        typed = as_it_is(entry) | server_input(moved)
        result = await fill(hass, result, typed | {"api_url": "http://example.com"})
        assert result["errors"] == {"api_url": "url_insecure"}
        assert shown(result)["api_url"] == "http://example.com"
        result = await fill(hass, result, typed | {"identity_url": f"{moved}/connect"})
        assert result["errors"] == {"identity_url": "url_with_path"}
        await is_done(hass, await fill(hass, result, typed | {"api_url": f" {moved} "}), entry)
        assert entry.data["api_url"] == entry.data["identity_url"] == moved
        await unlock(hass, sim)
        assert opened(sim)


async def test_entry_that_never_loaded(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    account: dict[str, str],
    server: str,
    unused_tcp_port: int,
) -> None:
    """An entry that cannot reach its server is loaded once its address is right."""
    data = account | server_input(f"http://127.0.0.1:{unused_tcp_port}") | {"site_id": sim.site_id}
    del data["site_uid"]
    entry = MockConfigEntry(domain=DOMAIN, unique_id=sim.site_id, title="Camping", data=data)
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    result = await fill(hass, await begin(hass, entry), as_it_is(entry))
    assert result["errors"] == {"base": "cannot_connect_identity"}
    result = await fill(hass, result, as_it_is(entry) | server_input(server))
    await is_done(hass, result, entry)
    assert len(hass.states.async_all("lock")) == 12


async def test_vendors_servers_have_no_address_to_change(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str]
) -> None:
    """An entry at Salto itself is not asked for addresses."""
    data = account | server_input("https://connect.example.com") | {"site_id": sim.site_id}
    entry = MockConfigEntry(
        domain=DOMAIN, unique_id=sim.site_id, data=data | {"environment": "production"}
    )
    entry.add_to_hass(hass)
    result = await begin(hass, entry)
    assert set(shown(result)) == {"client_id", "client_secret", "username", "password"}
