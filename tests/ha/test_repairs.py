"""Repair issues about IQs, from the rejection to the door that opens again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)

from simulator import Fault, Quirks, Simulator

from .conftest import SetUp
from .support import (
    DOMAIN,
    FIELD,
    RECEPTION,
    delivered_pin,
    go_on,
    iq_named,
    iq_subentry_id,
    opened,
    unlock,
    wrong_pin,
)
from .texts import check_texts, english

FIX = "/api/repairs/issues/fix"
SUBENTRY_FLOW = "/api/config/config_entries/subentries/flow"


@pytest.fixture
def quirks() -> Quirks:
    """Let three rejected passwords not block the account yet."""
    return Quirks.instant(block_threshold=8)


@dataclass(frozen=True, kw_only=True)
class Browser:
    """What a person's browser does; each answer about an issue is held to its texts."""

    client: Any
    socket: Any

    async def issues(self) -> list[dict[str, Any]]:
        """List the issues of the integration."""
        await self.socket.send_json_auto_id({"type": "repairs/list_issues"})
        answer = await self.socket.receive_json()
        assert answer["success"]
        return [issue for issue in answer["result"]["issues"] if issue["domain"] == DOMAIN]

    async def send(self, url: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Begin or go on with a flow."""
        answer = await self.client.post(url, json=data)
        assert answer.status == 200, await answer.text()
        received: dict[str, Any] = await answer.json()
        return received

    async def fix(self, issue: Mapping[str, Any]) -> dict[str, Any]:
        """Open the fix of an issue."""
        form = await self.send(FIX, {"handler": DOMAIN, "issue_id": issue["issue_id"]})
        assert (form["type"], form["step_id"], form["data_schema"]) == ("form", "confirm", [])
        _check(form, issue)
        return form

    async def confirm(self, form: Mapping[str, Any], issue: Mapping[str, Any]) -> dict[str, Any]:
        """Confirm that the explanation was read."""
        ended = await self.send(f"{FIX}/{form['flow_id']}", {})
        assert ended["type"] == "abort"
        _check(ended, issue)
        return ended


def _check(answer: Mapping[str, Any], issue: Mapping[str, Any]) -> None:
    """Assert that an answer of a fix can be shown."""
    texts = english()["issues"][issue["translation_key"]]["fix_flow"]
    empty = type("Empty", (), {"schema": {}})
    check_texts(
        dict(answer) | {"type": FlowResultType(answer["type"]), "data_schema": empty}, texts
    )


@pytest.fixture
async def browser(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, hass_ws_client: WebSocketGenerator
) -> Browser:
    """Return a browser that is logged in."""
    for component in ("repairs", "config"):
        assert await async_setup_component(hass, component, {})
    socket = await hass_ws_client(hass)
    return Browser(client=await hass_client(), socket=socket)


async def fail_to_open(hass: HomeAssistant, sim: Simulator, times: int) -> None:
    """Try to open a door with a PIN that is no longer right."""
    for _ in range(times):
        with pytest.raises(HomeAssistantError) as failed:
            await unlock(hass, sim)
        assert failed.value.translation_key == "otp_rejected"


def change_pin(sim: Simulator, iq_name: str = RECEPTION) -> str:
    """Change the account's PIN behind our back and return the new one."""
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, iq_name).id)
    assert activation is not None
    activation.pin = wrong_pin(sim, iq_name)
    return activation.pin


@pytest.fixture
async def degraded(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> ConfigEntry[Any]:
    """Return an entry with two IQs, of which one rejects us."""
    entry = await set_up()
    change_pin(sim)
    await fail_to_open(hass, sim, 3)
    return entry


async def test_from_rejection_to_open_door(
    hass: HomeAssistant, *, sim: Simulator, browser: Browser, set_up: SetUp
) -> None:
    """The third rejection raises an issue whose fix leads to the PIN; then it is gone."""
    entry = await set_up()
    pin = change_pin(sim)
    await fail_to_open(hass, sim, 2)
    assert await browser.issues() == []
    await fail_to_open(hass, sim, 1)
    (issue,) = await browser.issues()
    assert issue["translation_key"] == "iq_degraded"
    assert issue["translation_placeholders"] == {"iq": RECEPTION}
    assert (issue["is_fixable"], issue["severity"]) == (True, "error")

    form = await browser.fix(issue)
    assert form["description_placeholders"] == {"iq": RECEPTION}
    ended = await browser.confirm(form, issue)
    assert ended["reason"] == "iq_continue"
    kind, flow_id = ended["next_flow"]
    assert kind == "config_subentries_flow"
    assert ended["result"]["entry_id"] == entry.entry_id
    assert len(await browser.issues()) == 1

    flow = f"{SUBENTRY_FLOW}/{flow_id}"
    menu = await (await browser.client.get(flow)).json()
    assert (menu["type"], menu["step_id"]) == ("menu", "reconfigure")
    await browser.send(flow, {"next_step_id": "iq_pin"})
    done = await browser.send(flow, {"pin": pin, "store_pin": True})
    assert (done["type"], done["reason"]) == ("abort", "iq_works")
    await hass.async_block_till_done()
    assert await browser.issues() == []
    await unlock(hass, sim)
    assert opened(sim)


async def test_accepted_password_ends_the_issue(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    browser: Browser,
    set_up: SetUp,
) -> None:
    """When the IQ accepts a password again by itself, the issue goes without anybody's doing."""
    await set_up()
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    right = activation.pin
    change_pin(sim)
    await fail_to_open(hass, sim, 3)
    assert len(await browser.issues()) == 1
    activation.pin = right
    await go_on(hass, freezer, 26 * 60)
    await unlock(hass, sim)
    assert opened(sim)
    assert await browser.issues() == []


async def test_issue_returns_with_the_entry(
    hass: HomeAssistant, sim: Simulator, *, browser: Browser, degraded: ConfigEntry[Any]
) -> None:
    """An issue goes with an entry that is unloaded and is back when it is loaded again."""
    assert await hass.config_entries.async_unload(degraded.entry_id)
    assert await browser.issues() == []
    assert await hass.config_entries.async_setup(degraded.entry_id)
    await hass.async_block_till_done()
    (issue,) = await browser.issues()
    assert issue["translation_key"] == "iq_degraded"


def _remove_iq(hass: HomeAssistant, sim: Simulator, entry: ConfigEntry[Any]) -> None:
    hass.config_entries.async_remove_subentry(entry, iq_subentry_id(entry, sim))


@pytest.mark.parametrize("what", ["subentry", "entry"])
async def test_nothing_left_to_repair(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    browser: Browser,
    degraded: ConfigEntry[Any],
    what: str,
) -> None:
    """Removing the IQ or the site takes the issue away and ends a fix that is open."""
    (issue,) = await browser.issues()
    form = await browser.fix(issue)
    if what == "entry":
        await hass.config_entries.async_remove(degraded.entry_id)
    else:
        _remove_iq(hass, sim, degraded)
        await hass.async_block_till_done()
    assert await browser.issues() == []
    ended = await browser.confirm(form, issue)
    assert ended["reason"] == "iq_no_longer_set_up"


def _offline(sim: Simulator) -> None:
    sim.set("iq", iq_named(sim, RECEPTION).id, online=False)


def _silent(sim: Simulator) -> None:
    sim.faults.add(Fault(reset=True, count=None))


@pytest.mark.parametrize("trouble", [_offline, _silent])
async def test_nothing_can_be_done_now(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    browser: Browser,
    degraded: ConfigEntry[Any],
    trouble: Callable[[Simulator], None],
) -> None:
    """While the IQ or Salto is out of reach the fix says so, and the issue stays."""
    (issue,) = await browser.issues()
    trouble(sim)
    ended = await browser.confirm(await browser.fix(issue), issue)
    assert ended["reason"] == "iq_not_reachable"
    assert "next_flow" not in ended
    assert len(await browser.issues()) == 1


async def test_iq_was_reset(
    hass: HomeAssistant, sim: Simulator, *, browser: Browser, degraded: ConfigEntry[Any]
) -> None:
    """The fix leads on where the IQ has to be restored first."""
    sim.set("iq", iq_named(sim, RECEPTION).id, restore_required=True)
    (issue,) = await browser.issues()
    ended = await browser.confirm(await browser.fix(issue), issue)
    assert ended["reason"] == "iq_continue"
    flow = await (await browser.client.get(f"{SUBENTRY_FLOW}/{ended['next_flow'][1]}")).json()
    assert flow["step_id"] == "iq_restore"


async def test_iq_without_activation(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    *,
    sim: Simulator,
    browser: Browser,
    set_up: SetUp,
) -> None:
    """An IQ that the account is not activated on has an issue of its own, until it is."""
    entry = await set_up()
    user_id = sim.world.accounts["other@example.com"].user_id
    sim.add("user", {"user_id": user_id, "roles": ["site_admin"], "remote_access": True})
    hass.config_entries.async_update_entry(
        entry,
        data=dict(entry.data)
        | {"username": "other@example.com", "password": "not-a-real-password"},
    )
    await hass.async_block_till_done()
    issues = sorted(await browser.issues(), key=lambda issue: str(issue["issue_id"]))
    assert {issue["translation_key"] for issue in issues} == {"iq_not_activated"}
    names = {issue["translation_placeholders"]["iq"]: issue for issue in issues}
    assert set(names) == {RECEPTION, FIELD}

    issue = names[FIELD]
    ended = await browser.confirm(await browser.fix(issue), issue)
    flow = f"{SUBENTRY_FLOW}/{ended['next_flow'][1]}"
    form = await (await browser.client.get(flow)).json()
    assert form["step_id"] == "iq_delivery"
    await browser.send(flow, {"channel": "email"})
    done = await browser.send(flow, {"pin": delivered_pin(sim, FIELD), "store_pin": True})
    assert done["reason"] == "iq_works"
    await hass.async_block_till_done()
    (left,) = await browser.issues()
    assert left["translation_placeholders"] == {"iq": RECEPTION}


async def test_issue_nobody_knows(hass: HomeAssistant, browser: Browser, set_up: SetUp) -> None:
    """A fix of an issue without an IQ ends by saying that there is nothing to repair."""
    await set_up(iqs=())
    ir.async_create_issue(
        hass,
        DOMAIN,
        "iq_degraded_gone",
        is_fixable=True,
        severity=ir.IssueSeverity.ERROR,
        translation_key="iq_degraded",
        translation_placeholders={"iq": "IQ Attic"},
    )
    (issue,) = await browser.issues()
    ended = await browser.confirm(await browser.fix(issue), issue)
    assert ended["reason"] == "iq_no_longer_set_up"
