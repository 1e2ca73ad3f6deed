"""Repair issues about IQs, from the rejection to the door that opens again."""

from collections.abc import Callable
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
import pytest

from simulator import Fault, Quirks, Simulator

from .conftest import SetUp
from .fixing import SUBENTRY_FLOW, Browser, browser
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    LAUNDRY,
    RECEPTION,
    account_input,
    check_iq,
    choose_iq,
    delivered_pin,
    door,
    entity_id,
    fill_iq,
    go_on,
    iq_named,
    iq_subentry_id,
    opened,
    pin_in_force,
    set_up_site,
    unlock,
    wrong_pin,
)
from .watching import state_of

__all__ = ["browser"]


@pytest.fixture
def quirks() -> Quirks:
    """Let three rejected passwords not block the account yet."""
    return Quirks.instant(block_threshold=8)


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
    menu = await browser.get(flow)
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


async def test_issue_outlives_a_reload(
    hass: HomeAssistant, sim: Simulator, *, browser: Browser, degraded: ConfigEntry[Any]
) -> None:
    """An issue that a person has chosen to ignore stays ignored while the entry is loaded anew."""
    (issue,) = await browser.issues()
    await browser.ask(
        "repairs/ignore_issue", domain=DOMAIN, issue_id=issue["issue_id"], ignore=True
    )
    assert await hass.config_entries.async_reload(degraded.entry_id)
    await hass.async_block_till_done()
    (issue,) = await browser.issues()
    assert (issue["translation_key"], issue["ignored"]) == ("iq_degraded", True)


async def test_disabled_site_has_no_issues(
    hass: HomeAssistant, sim: Simulator, *, browser: Browser, degraded: ConfigEntry[Any]
) -> None:
    """The issues of a site go when it is disabled, and return with it."""
    entries = hass.config_entries
    await entries.async_set_disabled_by(degraded.entry_id, ConfigEntryDisabler.USER)
    assert await browser.issues() == []
    await entries.async_set_disabled_by(degraded.entry_id, None)
    await hass.async_block_till_done()
    (issue,) = await browser.issues()
    assert issue["translation_key"] == "iq_degraded"


async def test_issues_of_other_sites_stay(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    browser: Browser,
    degraded: ConfigEntry[Any],
    server: str,
) -> None:
    """Removing one site leaves the issues of another alone."""
    account = account_input(sim, site_uid="NL0000000002")
    other = await set_up_site(hass, sim, server, iqs=(), account=account)
    await hass.config_entries.async_remove(other.entry_id)
    assert len(await browser.issues()) == 1


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


def _gone(sim: Simulator) -> None:
    sim.remove("iq", iq_named(sim, RECEPTION).id)


def _fault(route: str, **more: Any) -> Callable[[Simulator], None]:
    return lambda sim: sim.faults.add(Fault(route=route, count=None, **more)) and None


TOKEN, SITE, IQ = "/connect/token", "/v1.2/sites/{site}", "/v1.2/sites/{site}/iqs/{iq}"
TROUBLES = [
    (_offline, "iq_offline"),
    (_gone, "iq_gone"),
    (_fault(TOKEN, reset=True), "cannot_connect_identity"),
    (_fault(TOKEN, body="<html></html>"), "unexpected_answer_identity"),
    (_fault(TOKEN, status=401), "login_refused"),
    (_fault(TOKEN, status=400, body={"error": "invalid_client"}), "client_refused"),
    (_fault(TOKEN, status=400, body={"error": "invalid_grant"}), "account_refused"),
    (_fault(TOKEN, status=400, body={"error": "invalid_scope"}), "grant_refused"),
    (_fault(TOKEN, status=404, body={}), "refused"),
    (_fault(SITE, reset=True), "cannot_connect_api"),
    (_fault(SITE, status=401), "token_refused"),
    (_fault(SITE, status=403, body={"ErrorCode": "2203"}), "forbidden"),
    (_fault(SITE, status=404, body={"ErrorCode": "2202"}), "not_found"),
    (_fault(IQ, status=429), "rate_limited"),
    (_fault(IQ, status=503), "server_error"),
    (_fault(IQ, body="<html></html>"), "unexpected_answer"),
    (_fault(IQ, status=400, body={"ErrorCode": "3101"}), "hardware_failed"),
]


@pytest.mark.parametrize(("trouble", "reason"), TROUBLES, ids=[item[1] for item in TROUBLES])
async def test_nothing_can_be_done_now(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    browser: Browser,
    degraded: ConfigEntry[Any],
    trouble: Callable[[Simulator], None],
    reason: str,
) -> None:
    """Where the fix cannot go on it says exactly why, and the issue stays."""
    (issue,) = await browser.issues()
    sim.revoke_tokens()
    trouble(sim)
    ended = await browser.confirm(await browser.fix(issue), issue)
    assert ended["reason"] == reason
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
    flow = await browser.get(f"{SUBENTRY_FLOW}/{ended['next_flow'][1]}")
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
    form = await browser.get(flow)
    assert form["step_id"] == "iq_delivery"
    await browser.send(flow, {"channel": "email"})
    done = await browser.send(flow, {"pin": delivered_pin(sim, FIELD), "store_pin": True})
    assert done["reason"] == "iq_works"
    await hass.async_block_till_done()
    (left,) = await browser.issues()
    assert left["translation_placeholders"] == {"iq": RECEPTION}


async def test_activation_was_taken_back(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    browser: Browser,
    set_up: SetUp,
) -> None:
    """A reset by an administrator is noticed before a door stays closed, and can be mended."""
    await set_up(iqs=(RECEPTION,))
    sim.deactivate(iq_named(sim, RECEPTION).id)
    await go_on(hass, freezer, 601)
    (issue,) = await browser.issues()
    assert issue["translation_key"] == "iq_not_activated"
    ended = await browser.confirm(await browser.fix(issue), issue)
    flow = f"{SUBENTRY_FLOW}/{ended['next_flow'][1]}"
    await browser.send(flow, {"next_step_id": "iq_delivery"})
    await browser.send(flow, {"channel": "email"})
    done = await browser.send(flow, {"pin": delivered_pin(sim), "store_pin": True})
    assert done["reason"] == "iq_works"
    await hass.async_block_till_done()
    assert await browser.issues() == []
    await unlock(hass, sim)
    assert opened(sim)


@pytest.mark.parametrize("fault", ["drop_after_commit", "reset"])
async def test_pin_is_not_certain(
    hass: HomeAssistant, sim: Simulator, *, browser: Browser, set_up: SetUp, fault: str
) -> None:
    """A change of the PIN whose answer was lost is an issue at once, and its fix finds the PIN."""
    entry = await set_up(iqs=(RECEPTION,))
    old, new = delivered_pin(sim), wrong_pin(sim)
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_pin")
    route = "/v1.2/sites/{site}/iqs/{iq}/pin"
    sim.faults.add(Fault(route=route, method="PUT", after=1, **{fault: True}))
    typed = {"pin": old, "new_pin": new, "store_pin": True}
    result = await fill_iq(hass, result, typed)
    assert result["errors"] == {"base": "cannot_connect_api"}
    await hass.async_block_till_done()
    (issue,) = await browser.issues()
    assert issue["translation_key"] == "iq_pin_unproven"
    with pytest.raises(HomeAssistantError) as refused:
        await unlock(hass, sim)
    assert refused.value.translation_key == "pin_unproven"

    flow = ""
    for _ in range(2):
        # Two of the three PINs that it may be are tried at a time.
        ended = await browser.confirm(await browser.fix(issue), issue)
        flow = f"{SUBENTRY_FLOW}/{ended['next_flow'][1]}"
        done = await browser.send(flow, {"next_step_id": "iq_check"})
        if done["type"] == "abort":
            break
    assert done["reason"] == "iq_works"
    await hass.async_block_till_done()
    assert await browser.issues() == []
    await unlock(hass, sim)
    assert opened(sim)


async def test_wrong_pins_in_a_dialog_count(
    hass: HomeAssistant, *, sim: Simulator, browser: Browser, set_up: SetUp
) -> None:
    """What a set-up dialog does to an IQ shows at once: its issue, its pause, and their end."""
    entry = await set_up()
    paused = entity_id(hass, "sensor", iq_named(sim, RECEPTION).id, "otp_blocked_until")
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_pin")
    for nth in range(3):
        assert (await browser.issues(), state_of(hass, paused)) == ([], STATE_UNKNOWN)
        typed = {"pin": wrong_pin(sim, nth=nth), "store_pin": True}
        result = await fill_iq(hass, result, typed)
        assert result["errors"] == {"pin": "wrong_pin"}
        await hass.async_block_till_done()
    (issue,) = await browser.issues()
    assert issue["translation_key"] == "iq_degraded"
    assert state_of(hass, paused) != STATE_UNKNOWN
    await fill_iq(hass, result, {"pin": pin_in_force(sim), "store_pin": True})
    await hass.async_block_till_done()
    assert (await browser.issues(), state_of(hass, paused)) == ([], STATE_UNKNOWN)


async def test_issue_that_ended_while_the_site_was_down(
    hass: HomeAssistant, sim: Simulator, *, browser: Browser, degraded: ConfigEntry[Any]
) -> None:
    """What no longer applies when a site is loaded again is taken back."""
    assert await hass.config_entries.async_unload(degraded.entry_id)
    (issue,) = await browser.issues()
    ended = await browser.confirm(await browser.fix(issue), issue)
    flow = f"{SUBENTRY_FLOW}/{ended['next_flow'][1]}"
    await browser.send(flow, {"next_step_id": "iq_pin"})
    done = await browser.send(flow, {"pin": pin_in_force(sim), "store_pin": True})
    assert done["reason"] == "iq_works"
    await hass.async_block_till_done()
    if degraded.state is not ConfigEntryState.LOADED:
        assert await hass.config_entries.async_setup(degraded.entry_id)
    await hass.async_block_till_done()
    assert await browser.issues() == []


async def test_default_code_of_a_site_that_is_removed(
    hass: HomeAssistant, sim: Simulator, *, browser: Browser, set_up: SetUp
) -> None:
    """With a site its doors go, and the issue about their codes."""
    entry = await set_up(store_pin=False)
    gate = door(hass, sim, GATE)
    er.async_get(hass).async_update_entity_options(gate, "lock", {"default_code": "1234"})
    await hass.async_block_till_done()
    assert len(await browser.issues()) == 1
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert await browser.issues() == []


async def test_default_code_is_told(
    hass: HomeAssistant, sim: Simulator, *, browser: Browser, set_up: SetUp
) -> None:
    """Doors with a default code are named, in their present names, until the codes are cleared."""
    entry = await set_up(store_pin=False)
    registry = er.async_get(hass)
    gate, laundry = door(hass, sim, GATE), door(hass, sim, LAUNDRY)
    other = registry.async_get_or_create("lock", "other", "1")
    registry.async_update_entity_options(other.entity_id, "lock", {"default_code": "1234"})
    registry.async_update_entity_options(gate, "lock", {"some_other_option": True})
    await hass.async_block_till_done()
    assert await browser.issues() == []

    for lock in (laundry, gate):
        registry.async_update_entity_options(lock, "lock", {"default_code": "1234"})
    await hass.async_block_till_done()
    (issue,) = await browser.issues()
    assert (issue["translation_key"], issue["is_fixable"]) == ("default_code", False)
    assert issue["translation_placeholders"] == {"doors": ", ".join(sorted((gate, laundry)))}

    registry.async_update_entity(gate, new_entity_id="lock.barrier")
    await hass.async_block_till_done()
    for _ in range(2):
        (issue,) = await browser.issues()
        assert issue["translation_placeholders"] == {"doors": f"lock.barrier, {laundry}"}
        assert await hass.config_entries.async_reload(entry.entry_id)
        await hass.async_block_till_done()

    registry.async_update_entity_options("lock.barrier", "lock", None)
    registry.async_remove(laundry)
    await hass.async_block_till_done()
    assert await browser.issues() == []


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
