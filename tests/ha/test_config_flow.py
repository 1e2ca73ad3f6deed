"""Setting a site up: account, addresses, site, and every way in which that can fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
import ssl
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import aiohttp_client
from homeassistant.setup import async_setup_component
from homeassistant.util import ssl as hass_ssl
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from yarl import URL

from simulator import Fault, Simulator

from .internet import NameServer, eavesdropping, serving_tls, write_certificate
from .support import (
    DOMAIN,
    FIELD,
    RECEPTION,
    Result,
    delivered_pin,
    entity_id,
    fill,
    iq_named,
    member_of,
    opened,
    reach_iq,
    server_input,
    serving,
    set_up_site,
    start,
    unlock,
)

VAULT = "salto_ks.iq_credentials"
SECRETS = {"client_secret", "password"}


def suggested(result: Result) -> dict[str, Any]:
    """Return what a form is filled with when it is shown."""
    return {
        str(marker): marker.description["suggested_value"]
        for marker in result["data_schema"].schema
        if marker.description and "suggested_value" in marker.description
    }


def connect(
    monkeypatch: pytest.MonkeyPatch, ports: Mapping[str, int], *, trusted: Path | None = None
) -> NameServer:
    """Put Home Assistant on an internet of these hosts, with one authority or none."""
    names = NameServer(ports)
    context = ssl.create_default_context(cafile=trusted)
    monkeypatch.setattr(aiohttp_client, "_async_make_resolver", lambda hass: names)
    monkeypatch.setattr(hass_ssl, "client_context", lambda *args: context)
    return names


async def finish(hass: HomeAssistant, sim: Simulator, result: Result) -> Result:
    """Go from the form of the IQ to the entry, without activating one."""
    assert result["step_id"] == "iq", result
    result = await fill(hass, result, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["result"].unique_id == sim.site_id
    await hass.async_block_till_done()
    assert result["result"].state is ConfigEntryState.LOADED
    return result


# The way without trouble


async def test_from_account_to_open_door(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
) -> None:
    """Account, addresses, IQ, delivery and PIN make an entry with which a door opens."""
    iq = iq_named(sim, RECEPTION)
    result = await start(hass)
    assert (result["step_id"], result["errors"]) == ("user", {})
    result = await fill(hass, result, account)
    assert (result["step_id"], result["errors"]) == ("server", {})
    result = await fill(hass, result, addresses)
    assert (result["step_id"], result["errors"]) == ("iq", None)
    result = await fill(hass, result, {"iq_id": iq.id})
    assert (result["step_id"], result["errors"]) == ("iq_delivery", {})
    result = await fill(hass, result, {"channel": "email"})
    assert (result["step_id"], result["errors"]) == ("iq_pin", {})
    pin = delivered_pin(sim)
    result = await fill(hass, result, {"pin": pin, "store_pin": True})

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] == "iq_activated"
    entry = result["result"]
    assert entry.title == "Camping De Zilverspar"
    assert entry.unique_id == sim.site_id
    assert dict(entry.data) == {
        "environment": "custom",
        "client_id": account["client_id"],
        "client_secret": account["client_secret"],
        "username": account["username"],
        "password": account["password"],
        "api_url": addresses["api_url"],
        "identity_url": addresses["identity_url"],
        "site_id": sim.site_id,
    }
    (subentry,) = entry.subentries.values()
    assert (subentry.subentry_type, subentry.unique_id, subentry.title) == ("iq", iq.id, RECEPTION)
    assert dict(subentry.data) == {"iq_id": iq.id, "store_pin": True}

    (record,) = hass_storage[VAULT]["data"]["credentials"]
    activation = sim.world.activation(sim.account.user_id, iq.id)
    assert activation is not None
    assert (record["secret"], record["pin"]) == (activation.secret, pin)
    shown = str(entry.as_dict())
    assert record["secret"] not in shown
    assert pin not in {str(value) for value in (entry.data | subentry.data).values()}

    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED
    assert len(hass.states.async_all("lock")) == len(sim.world.locks_of(sim.site_id)) == 12
    activated = {
        name: hass.states.get(
            entity_id(hass, "binary_sensor", iq_named(sim, name).id, "activated")
        ).state
        for name in (RECEPTION, FIELD)
    }
    assert activated == {RECEPTION: STATE_ON, FIELD: STATE_OFF}
    await unlock(hass, sim)
    assert opened(sim)


async def test_browser_can_be_told_every_answer(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
) -> None:
    """Each form and the result survive the way to a browser, and no secret is in any of them."""
    assert await async_setup_component(hass, "config", {})
    browser = await hass_client()
    address = "/api/config/config_entries/flow"
    told: list[str] = []

    async def send(url: str, data: Mapping[str, Any]) -> dict[str, Any]:
        answer = await browser.post(url, json=data)
        told.append(await answer.text())
        assert answer.status == 200, told[-1]
        received: dict[str, Any] = await answer.json()
        return received

    flow_id = (await send(address, {"handler": DOMAIN}))["flow_id"]
    mine = f"{address}/{flow_id}"
    await send(mine, account)
    await send(mine, addresses)
    await send(mine, {"iq_id": iq_named(sim, RECEPTION).id})
    await send(mine, {"channel": "sms"})
    assert sim.outbox[-1].channel == "sms"
    pin = delivered_pin(sim)
    done = await send(mine, {"pin": pin, "store_pin": True})
    assert done["type"] == "create_entry"
    await hass.async_block_till_done()

    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    assert activation.secret is not None
    for secret in (account["client_secret"], account["password"], activation.secret):
        assert not any(secret in text for text in told)
    assert not any(f'"{pin}"' in text for text in told)


async def test_iq_can_be_skipped(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """An empty IQ field makes an entry without an IQ, and its text says that none is activated."""
    result = await finish(hass, sim, await reach_iq(hass, server, account))
    assert result["description"] == "iq_skipped"
    assert not result["result"].subentries


@pytest.mark.parametrize("seed", ["empty"])
async def test_site_without_iqs(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], addresses: dict[str, str]
) -> None:
    """Where there is no IQ nobody is asked for one."""
    result = await fill(hass, await start(hass), account)
    result = await fill(hass, result, addresses)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] is None
    await hass.async_block_till_done()
    assert result["result"].state is ConfigEntryState.LOADED


async def test_iqs_without_otp_are_not_offered(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """An IQ that takes commands unsigned needs no activation, so it cannot be chosen."""
    sim.set("iq", iq_named(sim, RECEPTION).id, otp_enabled=False)
    result = await reach_iq(hass, server, account)
    options = result["data_schema"].schema["iq_id"].config["options"]
    assert [option["label"] for option in options] == [FIELD]
    await finish(hass, sim, result)
    await unlock(hass, sim)
    assert opened(sim)


async def test_only_iqs_without_otp(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], addresses: dict[str, str]
) -> None:
    """Where no IQ wants a password the entry is made at once, and its doors open."""
    for name in (RECEPTION, FIELD):
        sim.set("iq", iq_named(sim, name).id, otp_enabled=False)
    result = await fill(hass, await start(hass), account)
    result = await fill(hass, result, addresses)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] is None
    await hass.async_block_till_done()
    await unlock(hass, sim)
    assert opened(sim)


async def test_nameless_things_have_a_name(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """A site without a name is called by its UID, an IQ by its MAC address."""
    iq = iq_named(sim, RECEPTION)
    sim.set("site", sim.site_id, customer_reference="")
    sim.set("iq", iq.id, customer_reference="")
    result = await reach_iq(hass, server, account)
    options = result["data_schema"].schema["iq_id"].config["options"]
    assert options[0]["label"] == iq.mac
    result = await fill(hass, result, {"iq_id": iq.id})
    result = await fill(hass, result, {"channel": "email"})
    result = await fill(hass, result, {"pin": sim.outbox[-1].pin, "store_pin": True})
    assert result["title"] == account["site_uid"]
    assert [item.title for item in result["result"].subentries.values()] == [iq.mac]
    await hass.async_block_till_done()


# Which site


@pytest.mark.parametrize(
    "typed",
    [
        pytest.param("NL0000000001", id="as printed"),
        pytest.param("nl0000000001", id="lower case"),
        pytest.param("  NL0000000001 ", id="with blanks around"),
        pytest.param("{site_id}", id="UUID"),
        pytest.param("{SITE_ID}", id="UUID in upper case"),
    ],
)
async def test_site_by_its_uid(
    hass: HomeAssistant,
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
    typed: str,
) -> None:
    """The UID leads to the site without a question, however it is written."""
    site_uid = typed.format(site_id=sim.site_id, SITE_ID=sim.site_id.upper())
    result = await fill(hass, await start(hass), account | {"site_uid": site_uid})
    await finish(hass, sim, await fill(hass, result, addresses))


ZILVERSPAR = "Camping De Zilverspar (NL0000000001)"
STEIGER = "Jachthaven De Steiger (NL0000000002)"


def offered(result: Result) -> list[str]:
    """Return the sites to choose from."""
    options = result["data_schema"].schema["site_id"].config["options"]
    return [option["label"] for option in options]


@pytest.mark.parametrize("left_out", [True, False])
async def test_one_of_several_sites(
    hass: HomeAssistant,
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
    *,
    left_out: bool,
) -> None:
    """Without a UID all sites of the account are offered, and only those."""
    typed = {key: value for key, value in account.items() if key != "site_uid"}
    typed |= {} if left_out else {"site_uid": " "}
    result = await fill(hass, await start(hass), typed)
    result = await fill(hass, result, addresses)
    assert (result["step_id"], result["errors"]) == ("site", {})
    assert offered(result) == [ZILVERSPAR, STEIGER]
    await finish(hass, sim, await fill(hass, result, {"site_id": sim.site_id}))


@pytest.mark.parametrize("seed", ["full"])
async def test_only_site_is_taken(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], addresses: dict[str, str]
) -> None:
    """Without a UID an account with one site is not asked which."""
    result = await fill(hass, await start(hass), account | {"site_uid": ""})
    await finish(hass, sim, await fill(hass, result, addresses))


async def test_forms_can_be_looked_at_again(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], addresses: dict[str, str]
) -> None:
    """A browser that is reloaded gets the form at hand again, with what was typed."""
    flows = hass.config_entries.flow
    result = await fill(hass, await start(hass), account | {"site_uid": ""})
    result = await flows.async_configure(result["flow_id"])
    assert (result["step_id"], suggested(result)) == ("server", {})
    result = await fill(hass, result, addresses)
    again = await flows.async_configure(result["flow_id"])
    assert again["step_id"] == "site"
    assert again["data_schema"].schema["site_id"].config == (
        result["data_schema"].schema["site_id"].config
    )
    result = await fill(hass, again, {"site_id": sim.site_id})
    again = await flows.async_configure(result["flow_id"])
    await finish(hass, sim, again)


async def test_closed_at_once(hass: HomeAssistant, sim: Simulator) -> None:
    """A dialog that is closed before anything was typed has asked nobody anything."""
    result = await start(hass)
    hass.config_entries.flow.async_abort(result["flow_id"])
    assert not hass.config_entries.flow.async_progress()
    assert sim.journal.entries == []


async def test_same_site_twice(
    hass: HomeAssistant,
    sim: Simulator,
    server: str,
    account: dict[str, str],
    addresses: dict[str, str],
) -> None:
    """A site that is set up is not set up a second time."""
    await set_up_site(hass, sim, server)
    result = await fill(hass, await start(hass), account)
    result = await fill(hass, result, addresses)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert len(hass.config_entries.async_entries(DOMAIN)) == 1


async def reach_sites(
    hass: HomeAssistant, account: Mapping[str, str], addresses: Mapping[str, str]
) -> Result:
    """Go on to the list of sites, or to where there is nothing to choose."""
    result = await fill(hass, await start(hass), {**account, "site_uid": ""})
    return await fill(hass, result, addresses)


async def test_site_that_is_set_up_is_not_offered(
    hass: HomeAssistant,
    sim: Simulator,
    server: str,
    account: dict[str, str],
    addresses: dict[str, str],
) -> None:
    """The other one is, but not taken unasked: perhaps it was the first that was meant."""
    await set_up_site(hass, sim, server, iqs=())
    result = await reach_sites(hass, account, addresses)
    assert (result["step_id"], offered(result)) == ("site", [STEIGER])
    (site_id,) = {site.id for site in sim.world.sites.values() if site.site_uid in STEIGER}
    result = await fill(hass, await fill(hass, result, {"site_id": site_id}), {})
    assert result["title"] == "Jachthaven De Steiger"
    await hass.async_block_till_done()

    result = await reach_sites(hass, account, addresses)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_more_sites")


async def test_site_is_set_up_while_the_list_is_shown(
    hass: HomeAssistant,
    sim: Simulator,
    server: str,
    account: dict[str, str],
    addresses: dict[str, str],
) -> None:
    """A site that was set up elsewhere meanwhile is not set up a second time."""
    result = await reach_sites(hass, account, addresses)
    await set_up_site(hass, sim, server, iqs=())
    result = await fill(hass, result, {"site_id": sim.site_id})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")


async def test_forgotten_flow_is_in_nobodys_way(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """A flow left open in another browser does not keep the site from being set up."""
    await reach_iq(hass, server, account)
    await finish(hass, sim, await reach_iq(hass, server, account))
    assert not hass.config_entries.flow.async_progress()


async def test_two_sites_of_one_account(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """Each site is an entry of its own, with its own doors."""
    await set_up_site(hass, sim, server)
    result = await reach_iq(hass, server, account | {"site_uid": "NL0000000002"})
    result = await fill(hass, result, {})
    assert result["title"] == "Jachthaven De Steiger"
    await hass.async_block_till_done()
    assert len(hass.states.async_all("lock")) == 13


# Trouble at the servers


def _fault(**kwargs: Any) -> Callable[[Simulator], None]:
    return lambda sim: sim.faults.add(Fault(count=None, **kwargs)) and None


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that goes wrong until it is cured."""

    key: str
    """Key of the error that names it."""
    cause: Callable[[Simulator], None]
    step: str = "user"
    """Form on which it shows."""
    cure: Callable[[Simulator], None] = field(default=lambda sim: sim.faults.clear())


def _without_sites(sim: Simulator) -> None:
    for user in list(sim.world.users.values()):
        if user.user_id == sim.account.user_id:
            sim.remove("user", user.id)


def _with_site(sim: Simulator) -> None:
    sim.add(
        "user",
        {"user_id": sim.account.user_id, "roles": ["site_admin"], "remote_access": True},
    )


TOKEN = "/connect/token"
SITES = "/v1.2/sites"
TROUBLES = {
    "identity resets": Trouble(
        key="cannot_connect_identity", step="server", cause=_fault(route=TOKEN, reset=True)
    ),
    "identity cuts its answer": Trouble(
        key="cannot_connect_identity", step="server", cause=_fault(route=TOKEN, truncate=5)
    ),
    "identity has a fault": Trouble(key="server_error", cause=_fault(route=TOKEN, status=503)),
    "identity knows no path": Trouble(
        key="refused", cause=_fault(route=TOKEN, status=404, body={"Message": "no"})
    ),
    "identity is a web page": Trouble(
        key="unexpected_answer_identity", cause=_fault(route=TOKEN, body="<html>Hello</html>")
    ),
    "identity redirects": Trouble(
        key="unexpected_answer_identity",
        cause=_fault(route=TOKEN, status=307, headers={"Location": "https://example.com/"}),
    ),
    "identity limits": Trouble(key="rate_limited", cause=_fault(route=TOKEN, status=429)),
    "identity refuses without a word": Trouble(
        key="login_refused", cause=_fault(route=TOKEN, status=401)
    ),
    "client may not use passwords": Trouble(
        key="grant_refused",
        cause=_fault(route=TOKEN, status=400, body={"error": "unauthorized_client"}),
    ),
    "client may not use the scope": Trouble(
        key="grant_refused",
        cause=_fault(route=TOKEN, status=400, body={"error": "invalid_scope"}),
    ),
    "API resets": Trouble(
        key="cannot_connect_api", step="server", cause=_fault(route=SITES, reset=True)
    ),
    "API refuses the token": Trouble(key="token_refused", cause=_fault(route=SITES, status=401)),
    "API has a fault": Trouble(key="server_error", cause=_fault(route=SITES, status=500)),
    "API is a web page": Trouble(
        key="unexpected_answer", cause=_fault(route=SITES, body="<html>Hello</html>")
    ),
    "API redirects": Trouble(
        key="unexpected_answer",
        cause=_fault(route=SITES, status=301, headers={"Location": "https://example.com/"}),
    ),
    "API limits": Trouble(
        key="rate_limited", cause=_fault(route=SITES, status=429, headers={"Retry-After": "30"})
    ),
    "API forbids": Trouble(
        key="forbidden", cause=_fault(route=SITES, status=403, body={"ErrorCode": "2203"})
    ),
    "account sees no site": Trouble(key="no_sites", cause=_without_sites, cure=_with_site),
    "site vanishes in between": Trouble(
        key="not_found",
        cause=_fault(route="/v1.2/sites/{site}/me", status=404, body={"ErrorCode": "2202"}),
    ),
    "API fails at the IQs": Trouble(
        key="cannot_connect_api",
        step="server",
        cause=_fault(route="/v1.2/sites/{site}/iqs", reset=True),
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
async def test_trouble_is_named_and_got_over(
    hass: HomeAssistant,
    *,
    hass_storage: dict[str, Any],
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
    trouble: Trouble,
) -> None:
    """Each failure is named where it can be mended; nothing is kept but what was typed."""
    trouble.cause(sim)
    result = await fill(hass, await start(hass), account)
    result = await fill(hass, result, addresses)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, trouble.step)
    assert result["errors"] == {"base": trouble.key}
    typed = addresses if trouble.step == "server" else account
    assert suggested(result) == {key: typed[key] for key in typed if key not in SECRETS}
    assert not hass.config_entries.async_entries(DOMAIN)
    assert VAULT not in hass_storage

    trouble.cure(sim)
    if trouble.step == "user":
        result = await fill(hass, result, account)
    await finish(hass, sim, await fill(hass, result, addresses))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        pytest.param({"client_id": "nobody"}, "client_refused", id="client id"),
        pytest.param({"client_secret": "wrong"}, "client_refused", id="client secret"),
        pytest.param({"username": "nobody@example.com"}, "account_refused", id="user name"),
        pytest.param({"password": "wrong"}, "account_refused", id="password"),
    ],
)
async def test_wrong_account_is_named_and_corrected(
    hass: HomeAssistant,
    *,
    hass_storage: dict[str, Any],
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
    changes: dict[str, str],
    key: str,
) -> None:
    """What was typed wrong is named at the top, kept unless it is secret, and can be mended."""
    typed = account | changes
    result = await fill(hass, await start(hass), typed)
    result = await fill(hass, result, addresses)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    assert result["errors"] == {"base": key}
    assert suggested(result) == {name: typed[name] for name in typed if name not in SECRETS}
    assert not hass.config_entries.async_entries(DOMAIN)
    assert VAULT not in hass_storage

    result = await fill(hass, result, account)
    assert (result["step_id"], suggested(result)) == ("server", addresses)
    await finish(hass, sim, await fill(hass, result, addresses))


async def reach_site_uid(
    hass: HomeAssistant, account: Mapping[str, str], addresses: Mapping[str, str], site_uid: str
) -> Result:
    """Go on to the form of the UID, by a UID that is none of the account's sites."""
    result = await fill(hass, await start(hass), {**account, "site_uid": site_uid})
    result = await fill(hass, result, addresses)
    assert (result["step_id"], result["errors"]) == ("site_uid", {"base": "site_not_found"})
    assert suggested(result) == {"site_uid": site_uid}
    assert [str(field) for field in result["data_schema"].schema] == ["site_uid"]
    return result


@pytest.mark.parametrize(
    "site_uid",
    [
        pytest.param("NL9999999999", id="unknown site"),
        pytest.param("BE0000000003", id="site of others"),
        pytest.param("Camping De Zilverspar", id="site's name"),
    ],
)
async def test_wrong_uid_is_all_that_is_typed_again(
    hass: HomeAssistant,
    *,
    hass_storage: dict[str, Any],
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
    site_uid: str,
) -> None:
    """An account that was accepted is kept while its site is asked for, until that is right."""
    result = await reach_site_uid(hass, account, addresses, site_uid)
    assert not hass.config_entries.async_entries(DOMAIN)
    assert VAULT not in hass_storage
    result = await fill(hass, result, {"site_uid": "NL8888888888"})
    assert (result["step_id"], result["errors"]) == ("site_uid", {"base": "site_not_found"})
    assert suggested(result) == {"site_uid": "NL8888888888"}
    result = await hass.config_entries.flow.async_configure(result["flow_id"])
    assert (result["step_id"], result["errors"]) == ("site_uid", {})
    result = await finish(hass, sim, await fill(hass, result, {"site_uid": account["site_uid"]}))
    kept = result["result"].data
    assert {name: kept[name] for name in SECRETS} == {name: account[name] for name in SECRETS}


async def test_wrong_uid_is_left_out(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], addresses: dict[str, str]
) -> None:
    """Where the UID is left out the second time, the site is chosen from a list."""
    result = await reach_site_uid(hass, account, addresses, "NL9999999999")
    result = await fill(hass, result, {})
    assert (result["step_id"], offered(result)) == ("site", [ZILVERSPAR, STEIGER])
    await finish(hass, sim, await fill(hass, result, {"site_id": sim.site_id}))


async def test_password_is_changed_while_the_uid_is_asked_for(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], addresses: dict[str, str]
) -> None:
    """An account that is not accepted any more leads back to where it is typed."""
    result = await reach_site_uid(hass, account, addresses, "NL9999999999")
    sim.set("account", account["username"], password="another")
    result = await fill(hass, result, {"site_uid": account["site_uid"]})
    assert (result["step_id"], result["errors"]) == ("user", {"base": "account_refused"})
    result = await fill(hass, result, account | {"password": "another"})
    await finish(hass, sim, await fill(hass, result, addresses))


@pytest.mark.parametrize("field_name", ["client_id", "client_secret", "username"])
async def test_blanks_around_what_was_pasted(
    hass: HomeAssistant,
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
    field_name: str,
) -> None:
    """A blank that came along with a copied name or client secret is not part of it."""
    typed = account | {field_name: f" {account[field_name]}\t"}
    result = await fill(hass, await start(hass), typed)
    result = await finish(hass, sim, await fill(hass, result, addresses))
    assert result["result"].data[field_name] == account[field_name]


async def test_blanks_of_a_password_are_part_of_it(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], addresses: dict[str, str]
) -> None:
    """A password is sent exactly as it was typed."""
    password = " a password with blanks around "
    sim.set("account", account["username"], password=password)
    result = await fill(hass, await start(hass), account | {"password": password})
    await finish(hass, sim, await fill(hass, result, addresses))


async def test_account_without_remote_right(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """A missing remote right is told on the form of the IQ and stops nobody."""
    sim.set("user", member_of(sim).id, remote_access=False)
    result = await reach_iq(hass, server, account)
    assert result["errors"] == {"base": "no_remote_right"}
    result = await fill(hass, result, {"iq_id": iq_named(sim, RECEPTION).id})
    assert result["step_id"] == "iq_delivery"
    result = await fill(hass, result, {"channel": "email"})
    result = await fill(hass, result, {"pin": delivered_pin(sim), "store_pin": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


# Addresses


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("localhost:8124", "url_without_scheme"),
        ("https://connect.example.com/v1.2", "url_with_path"),
        ("http://connect.example.com", "url_insecure"),
        ("https://connect.example.com:99999", "url_invalid"),
    ],
)
@pytest.mark.parametrize("field_name", ["api_url", "identity_url"])
async def test_useless_address(
    hass: HomeAssistant,
    *,
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
    field_name: str,
    address: str,
    key: str,
) -> None:
    """An address that cannot be right is named at its field, and nothing is asked there."""
    result = await fill(hass, await start(hass), account)
    result = await fill(hass, result, addresses | {field_name: address})
    assert (result["step_id"], result["errors"]) == ("server", {field_name: key})
    assert suggested(result) == addresses | {field_name: address}
    assert sim.journal.entries == []
    await finish(hass, sim, await fill(hass, result, addresses))


@pytest.mark.parametrize("form", ["{}/", " {} ", "{}\n"])
async def test_address_in_other_words(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], server: str, form: str
) -> None:
    """A slash or blanks around an address do no harm."""
    result = await fill(hass, await start(hass), account)
    await finish(hass, sim, await fill(hass, result, server_input(form.format(server))))


async def test_this_machine_by_its_name(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    *,
    sim: Simulator,
    account: dict[str, str],
    server: str,
) -> None:
    """Plain HTTP is accepted for localhost too."""
    port = URL(server).port or 0
    connect(monkeypatch, {"localhost": port})
    result = await fill(hass, await start(hass), account)
    await finish(hass, sim, await fill(hass, result, server_input(f"http://localhost:{port}")))


async def test_nobody_listens(
    hass: HomeAssistant,
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
    unused_tcp_port: int,
) -> None:
    """Of two addresses, the one at which nobody answers is named; both can be corrected."""
    dead = f"http://127.0.0.1:{unused_tcp_port}"
    result = await fill(hass, await start(hass), account)
    result = await fill(hass, result, addresses | {"identity_url": dead})
    assert (result["step_id"], result["errors"]) == ("server", {"base": "cannot_connect_identity"})
    result = await fill(hass, result, addresses | {"api_url": dead})
    assert (result["step_id"], result["errors"]) == ("server", {"base": "cannot_connect_api"})
    await finish(hass, sim, await fill(hass, result, addresses))


async def test_identity_server_of_another_environment(
    hass: HomeAssistant, sim: Simulator, account: dict[str, str], addresses: dict[str, str]
) -> None:
    """A token of one environment at the API of another is named as what it is."""
    other = Simulator(rng_seed=2)
    async with serving(other) as elsewhere:
        result = await fill(hass, await start(hass), account)
        result = await fill(hass, result, addresses | {"identity_url": elsewhere})
    assert (result["step_id"], result["errors"]) == ("user", {"base": "token_refused"})
    result = await fill(hass, result, account)
    await finish(hass, sim, await fill(hass, result, addresses))


@pytest.mark.parametrize(
    ("environment", "api", "identity"),
    [
        ("production", "connect.my-clay.com", "identity.eu.my-clay.com"),
        ("acceptance", "clp-accept-user.my-clay.com", "identity-acc.eu.my-clay.com"),
    ],
)
async def test_vendors_servers(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    socket_enabled: None,
    sim: Simulator,
    account: dict[str, str],
    *,
    environment: str,
    api: str,
    identity: str,
) -> None:
    """Production and acceptance are asked at their own addresses, over TLS, and kept as such."""
    certificate = tmp_path / "both.pem"
    write_certificate(certificate, api, identity)
    async with serving_tls(sim, certificate) as port:
        names = connect(monkeypatch, {api: port, identity: port}, trusted=certificate)
        result = await fill(hass, await start(hass), account | {"environment": environment})
        result = await finish(hass, sim, result)
    assert names.asked[:2] == [identity, api]
    assert set(names.asked) == {identity, api}
    data = result["result"].data
    assert data["environment"] == environment
    assert (data["api_url"], data["identity_url"]) == (f"https://{api}", f"https://{identity}")


async def test_certificate_nobody_has_signed(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    socket_enabled: None,
    account: dict[str, str],
) -> None:
    """A server that cannot prove who it is gets no password."""
    identity = "identity.eu.my-clay.com"
    certificate, other = tmp_path / "forged.pem", tmp_path / "other.pem"
    write_certificate(certificate, identity)
    write_certificate(other, identity)
    with eavesdropping(certificate) as (port, heard):
        connect(monkeypatch, {identity: port}, trusted=other)
        result = await fill(hass, await start(hass), account | {"environment": "production"})
    assert (result["step_id"], result["errors"]) == ("user", {"base": "cannot_connect_identity"})
    assert heard == []


async def test_wrong_environment_is_changed(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    sim: Simulator,
    account: dict[str, str],
    addresses: dict[str, str],
) -> None:
    """Nobody answering in one environment leads back to the choice of another."""
    names = connect(monkeypatch, {})
    result = await fill(hass, await start(hass), account | {"environment": "acceptance"})
    assert (result["step_id"], result["errors"]) == ("user", {"base": "cannot_connect_identity"})
    assert suggested(result)["environment"] == "acceptance"
    assert names.asked == ["identity-acc.eu.my-clay.com"]
    result = await fill(hass, result, account)
    await finish(hass, sim, await fill(hass, result, addresses))
