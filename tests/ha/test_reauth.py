"""Salto no longer takes the credentials: the way back to a loaded entry."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from simulator import Fault, Simulator

from .conftest import SetUp
from .support import DOMAIN, Result, door, fill, go_on, opened, server_input, unlock
from .texts import check_texts, english

LOCKS = "/v1.2/sites/{site}/locks"
NEW = " a new password "


def change_password(sim: Simulator, password: str = NEW) -> None:
    """Change the account's password at Salto, which ends its sessions."""
    sim.set("account", sim.account.username, password=password)
    sim.revoke_tokens()


async def the_flow(hass: HomeAssistant) -> Result:
    """Return the form of the one flow that asks for new credentials."""
    (progress,) = hass.config_entries.flow.async_progress()
    assert (progress["context"]["source"], progress["step_id"]) == ("reauth", "reauth_confirm")
    result = await hass.config_entries.flow.async_configure(progress["flow_id"])
    check_texts(result, english()["config"])
    assert result["errors"] == {}
    return result


async def is_over(hass: HomeAssistant, result: Result, entry: ConfigEntry[Any]) -> None:
    """Expect a success, and the entry loaded."""
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reauth_successful")
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert not hass.config_entries.flow.async_progress()


async def test_changed_password(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, *, sim: Simulator, set_up: SetUp
) -> None:
    """The next poll asks for the password; a wrong one is told, the right one brings all back."""
    entry = await set_up()
    change_password(sim)
    await go_on(hass, freezer, 76)
    assert hass.states.get(door(hass, sim)).state == STATE_UNKNOWN
    result = await the_flow(hass)
    assert result["description_placeholders"]["username"] == sim.account.username
    assert result["description_placeholders"]["site"] == entry.title

    before = dict(entry.data)
    result = await fill(hass, result, {"password": "wrong"})
    assert (result["step_id"], result["errors"]) == ("reauth_confirm", {"base": "account_refused"})
    assert dict(entry.data) == before

    sim.journal.clear()
    await is_over(hass, await fill(hass, result, {"password": NEW}), entry)
    assert dict(entry.data) == before | {"password": NEW}
    assert sim.journal.count("GET", LOCKS) == 1
    await unlock(hass, sim)
    assert opened(sim)


async def test_changed_client_secret(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, *, sim: Simulator, set_up: SetUp
) -> None:
    """A new client secret can be given along with the password."""
    entry = await set_up()
    sim.world.clients[sim.client_id].client_secret = "another-secret"
    sim.revoke_tokens()
    await go_on(hass, freezer, 76)
    password = entry.data["password"]
    result = await fill(hass, await the_flow(hass), {"password": password})
    assert result["errors"] == {"base": "client_refused"}
    typed = {"password": password, "client_secret": " another-secret "}
    await is_over(hass, await fill(hass, result, typed), entry)
    assert entry.data["client_secret"] == "another-secret"


async def test_opening_notices_it_first(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """An opening that fails for the credentials says so and asks for new ones at once."""
    entry = await set_up()
    change_password(sim)
    with pytest.raises(HomeAssistantError) as failed:
        await unlock(hass, sim)
    assert failed.value.translation_key == "auth_failed"
    assert not opened(sim)
    await hass.async_block_till_done()
    await is_over(hass, await fill(hass, await the_flow(hass), {"password": NEW}), entry)
    await unlock(hass, sim)
    assert opened(sim)


async def test_entry_that_never_loaded(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], server: str
) -> None:
    """An entry whose set-up already fails at the credentials is loaded with the right ones."""
    data = account | server_input(server) | {"site_id": sim.site_id, "password": "old"}
    del data["site_uid"]
    entry = MockConfigEntry(domain=DOMAIN, unique_id=sim.site_id, title="Camping", data=data)
    entry.add_to_hass(hass)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    result = await fill(hass, await the_flow(hass), {"password": account["password"]})
    await is_over(hass, result, entry)
    assert len(hass.states.async_all("lock")) == 12


async def test_same_password_is_good_again(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, *, sim: Simulator, set_up: SetUp
) -> None:
    """Where Salto takes the old password again, entering it loads the entry all the same."""
    entry = await set_up()
    password = entry.data["password"]
    change_password(sim)
    await go_on(hass, freezer, 76)
    change_password(sim, password)
    sim.journal.clear()
    await is_over(hass, await fill(hass, await the_flow(hass), {"password": password}), entry)
    assert sim.journal.count("GET", LOCKS) == 1
    await unlock(hass, sim)
    assert opened(sim)


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (Fault(route="/connect/token", reset=True, count=None), "cannot_connect_identity"),
        (Fault(route="/v1.2/sites", reset=True, count=None), "cannot_connect_api"),
        (Fault(route="/v1.2/sites", status=500), "server_error"),
        (Fault(route="/v1.2/sites", body={"items": []}), "no_sites"),
        (
            Fault(
                route="/v1.2/sites",
                body={"items": [{"id": "00000000-0000-4000-8000-000000000000"}]},
            ),
            "site_not_found",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_trouble_on_the_way(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    set_up: SetUp,
    fault: Fault,
    key: str,
) -> None:
    """Whatever else goes wrong is named on the form, and the right password works afterwards."""
    entry = await set_up(iqs=())
    change_password(sim)
    await go_on(hass, freezer, 76)
    sim.faults.add(fault)
    result = await fill(hass, await the_flow(hass), {"password": NEW})
    assert (result["step_id"], result["errors"]) == ("reauth_confirm", {"base": key})
    assert entry.data["password"] != NEW
    sim.faults.clear()
    await is_over(hass, await fill(hass, result, {"password": NEW}), entry)
