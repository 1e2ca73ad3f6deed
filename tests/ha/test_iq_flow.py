"""Activating an IQ, with a site and on its own, on good days and on bad ones."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownStep
from homeassistant.exceptions import ServiceValidationError
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import flush_store
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from simulator import Fault, Quirks, Simulator

from .conftest import SetUp
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    LAUNDRY,
    RECEPTION,
    Result,
    add_iq,
    check_iq,
    choose,
    choose_iq,
    delivered_pin,
    fill,
    fill_iq,
    go_on,
    iq_named,
    iq_subentry_id,
    member_of,
    opened,
    pin_in_force,
    reach_iq,
    reach_pin,
    start_iq,
    unlock,
    wrong_pin,
)

VAULT = "salto_ks.iq_credentials"
SECRET = "/v1.2/sites/{site}/iqs/{iq}/secret"
PIN = "/v1.2/sites/{site}/iqs/{iq}/pin"
IQ = "/v1.2/sites/{site}/iqs/{iq}"
LOCKS = "/v1.2/sites/{site}/locks"


def kept(hass_storage: Mapping[str, Any], sim: Simulator, name: str = RECEPTION) -> dict[str, Any]:
    """Return what is on disk about an IQ."""
    records = hass_storage[VAULT]["data"]["credentials"]
    iq_id = iq_named(sim, name).id
    found: dict[str, Any] = next(record for record in records if record["iq_id"] == iq_id)
    return found


def secret_at_salto(sim: Simulator, name: str = RECEPTION) -> str | None:
    """Return the service account's secret as the simulated IQ has it."""
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, name).id)
    return None if activation is None else activation.secret


def requests(sim: Simulator) -> list[tuple[str, str]]:
    """Return method and last part of the route of what was asked about secret and PIN."""
    return [
        (entry.method, entry.route.rpartition("/")[2])
        for entry in sim.journal.entries
        if entry.route in {SECRET, PIN}
    ]


async def close(hass: HomeAssistant, result: Result) -> None:
    """Close the dialog."""
    hass.config_entries.flow.async_abort(result["flow_id"])


async def enter(hass: HomeAssistant, result: Result, pin: str, **more: Any) -> Result:
    """Enter the PIN."""
    return await fill(hass, result, {"pin": pin, "store_pin": True} | more)


async def done(hass: HomeAssistant, result: Result) -> ConfigEntry[Any]:
    """Expect an entry with an IQ, loaded."""
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    assert result["description"] == "iq_activated"
    await hass.async_block_till_done()
    entry: ConfigEntry[Any] = result["result"]
    assert entry.state is ConfigEntryState.LOADED
    assert len(entry.subentries) == 1
    return entry


# The secret comes first


async def test_secret_is_on_disk_before_a_pin_is_asked_for(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    *,
    sim: Simulator,
    server: str,
    account: dict[str, str],
) -> None:
    """When no PIN can be sent the secret that belongs to it is on disk already."""
    sim.faults.add(Fault(route=PIN, method="GET", status=500))
    result = await reach_iq(hass, server, account)
    result = await fill(hass, result, {"iq_id": iq_named(sim, RECEPTION).id})
    result = await fill(hass, result, {"channel": "email"})
    assert (result["step_id"], result["errors"]) == ("iq_delivery", {"base": "server_error"})
    assert requests(sim) == [("GET", "secret"), ("GET", "pin")]
    record = kept(hass_storage, sim)
    assert record["secret"] == secret_at_salto(sim)
    assert (record["pin"], record["candidates"], record["activated"]) == (None, [], False)

    result = await fill(hass, result, {"channel": "email"})
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    await unlock(hass, sim)
    assert opened(sim)


@pytest.mark.parametrize(
    "quirks",
    [Quirks.instant(secret_rereads="changes", pin_resend="new"), Quirks.instant(pin_resend="same")],
    ids=["all is new", "all is the same"],
)
async def test_pin_asked_for_twice(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    *,
    sim: Simulator,
    server: str,
    account: dict[str, str],
) -> None:
    """The newest secret and the newest PIN count, whether or not Salto makes new ones."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    await close(hass, result)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "iq_resume")
    result = await choose(hass, result, "iq_delivery")
    result = await fill(hass, result, {"channel": "sms"})
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    assert kept(hass_storage, sim)["secret"] == secret_at_salto(sim)
    await unlock(hass, sim)
    assert opened(sim)


def _reception(sim: Simulator) -> dict[str, str]:
    return {"iq_id": iq_named(sim, RECEPTION).id}


# Closed half-way


async def test_delivered_pin_is_entered_later(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """A dialog closed while waiting for the PIN is gone on with by the PIN that was sent."""
    await close(hass, await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id))
    assert not hass.config_entries.async_entries(DOMAIN)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert result["step_id"] == "iq_resume"
    result = await choose(hass, result, "iq_pin")
    assert (result["step_id"], result["errors"]) == ("iq_pin", {})
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    assert requests(sim) == [("GET", "secret"), ("GET", "pin"), ("PUT", "pin")]
    await unlock(hass, sim)
    assert opened(sim)


async def test_wrong_pin_is_not_tried_again_by_itself(
    hass: HomeAssistant,
    hass_storage: dict[str, Any],
    *,
    sim: Simulator,
    server: str,
    account: dict[str, str],
) -> None:
    """A PIN that was refused is forgotten: going on later does not send it a second time."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    result = await enter(hass, result, wrong_pin(sim))
    assert result["errors"] == {"pin": "wrong_pin"}
    assert kept(hass_storage, sim)["candidates"] == []
    await close(hass, result)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert result["step_id"] == "iq_resume"
    assert sim.journal.count("PUT", PIN) == 1
    result = await choose(hass, result, "iq_pin")
    await done(hass, await enter(hass, result, delivered_pin(sim)))


@pytest.mark.parametrize("store_pin", [True, False])
async def test_lost_answer_to_the_pin(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str], *, store_pin: bool
) -> None:
    """After an answer that was lost, entering the same PIN again works."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    sim.faults.add(Fault(route=PIN, method="PUT", drop_after_commit=True))
    result = await enter(hass, result, delivered_pin(sim), store_pin=store_pin)
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"base": "cannot_connect_api"})
    markers = {str(marker): marker for marker in result["data_schema"].schema}
    assert markers["store_pin"].default() is store_pin
    result = await enter(hass, result, delivered_pin(sim), store_pin=store_pin)
    await done(hass, result)
    await unlock(hass, sim, code=None if store_pin else delivered_pin(sim))
    assert opened(sim)


async def test_lost_answer_is_made_up_for_later(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """After a lost answer and a closed dialog the IQ turns out to be activated by itself."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    sim.faults.add(Fault(route=PIN, method="PUT", drop_after_commit=True))
    await close(hass, await enter(hass, result, delivered_pin(sim)))
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    await done(hass, result)
    await unlock(hass, sim)
    assert opened(sim)


async def test_lost_answer_with_a_pin_that_is_not_kept(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """Where nothing but the secret was kept, a new PIN is not to be had and the old one works."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    sim.faults.add(Fault(route=PIN, method="PUT", drop_after_commit=True))
    await close(hass, await enter(hass, result, delivered_pin(sim), store_pin=False))
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert result["step_id"] == "iq_resume"
    result = await choose(hass, result, "iq_delivery")
    result = await fill(hass, result, {"channel": "email"})
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"base": "already_activated"})
    assert len(sim.outbox) == 1
    await done(hass, await enter(hass, result, delivered_pin(sim)))


async def test_looking_again_at_a_lost_answer_may_fail(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """When the kept PIN cannot be tried, the reason is told and the IQ can be chosen again."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    sim.faults.add(Fault(route=PIN, method="PUT", drop_after_commit=True))
    await close(hass, await enter(hass, result, delivered_pin(sim)))
    sim.faults.add(Fault(route=PIN, method="PUT", reset=True))
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert (result["step_id"], result["errors"]) == ("iq", {"base": "cannot_connect_api"})
    await done(hass, await fill(hass, result, _reception(sim)))


# Wrong PINs


@pytest.mark.parametrize(
    "typed",
    ["12a4", "12345", "123", "", "12\n34", "１２３４", "+123", "1 34", "-123"],
)
@pytest.mark.parametrize("field_name", ["pin", "new_pin"])
async def test_malformed_pin(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    server: str,
    account: dict[str, str],
    field_name: str,
    typed: str,
) -> None:
    """What cannot be a PIN is told at its field and not sent, and no PIN is shown again."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    result = await enter(hass, result, **({"pin": delivered_pin(sim)} | {field_name: typed}))
    if (field_name, typed) == ("new_pin", ""):
        await done(hass, result)
        return
    assert (result["step_id"], result["errors"]) == ("iq_pin", {field_name: "pin_format"})
    assert not any(
        "suggested_value" in (marker.description or {}) for marker in result["data_schema"].schema
    )
    assert sim.journal.count("PUT", PIN) == 0
    await done(hass, await enter(hass, result, f" {delivered_pin(sim)}\n"))


async def test_wrong_pin_then_the_right_one(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """A wrong PIN is told at its field, and the right one activates the IQ afterwards."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    result = await enter(hass, result, wrong_pin(sim))
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"pin": "wrong_pin"})
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    await unlock(hass, sim)
    assert opened(sim)


async def _block(hass: HomeAssistant, sim: Simulator, result: Result) -> Result:
    """Enter wrong PINs until Salto blocks the account on the IQ."""
    for nth in range(3):
        result = await enter(hass, result, wrong_pin(sim, nth=nth))
        assert result["errors"] == {"pin": "wrong_pin"}
    return await enter(hass, result, wrong_pin(sim, nth=3))


async def test_nothing_is_sent_during_a_block(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    server: str,
    account: dict[str, str],
) -> None:
    """Once Salto blocks, the time is told and nothing goes out before it; then the PIN works."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    result = await _block(hass, sim, result)
    until = dt_util.now() + timedelta(minutes=25)
    assert result["errors"] == {"base": "otp_blocked"}
    assert result["description_placeholders"]["until"] == until.strftime("%H:%M")
    assert sim.journal.count("PUT", PIN) == 4

    await go_on(hass, freezer, 24 * 60)
    result = await enter(hass, result, delivered_pin(sim))
    assert result["errors"] == {"base": "otp_blocked"}
    assert result["description_placeholders"]["until"] == until.strftime("%H:%M")
    assert sim.journal.count("PUT", PIN) == 4

    await go_on(hass, freezer, 76)
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    await unlock(hass, sim)
    assert opened(sim)


async def test_block_outlives_the_dialog_and_a_new_pin(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    server: str,
    account: dict[str, str],
) -> None:
    """Neither closing the dialog nor a new PIN makes us send anything into a block."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    await close(hass, await _block(hass, sim, result))
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert result["step_id"] == "iq_resume"
    result = await choose(hass, result, "iq_delivery")
    result = await fill(hass, result, {"channel": "email"})
    result = await enter(hass, result, delivered_pin(sim))
    assert result["errors"] == {"base": "otp_blocked"}
    assert sim.journal.count("PUT", PIN) == 4
    await go_on(hass, freezer, 25 * 60 + 1)
    await done(hass, await enter(hass, result, delivered_pin(sim)))


async def test_kept_pin_is_not_tried_during_a_block(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    set_up: SetUp,
    sim: Simulator,
    server: str,
    account: dict[str, str],
) -> None:
    """An IQ that is blocked can be chosen, is not asked, and says until when."""
    entry = await set_up(iqs=(RECEPTION,))
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_pin")
    for nth in range(4):
        typed = {"pin": wrong_pin(sim, nth=nth), "store_pin": True}
        result = await fill_iq(hass, result, typed)
    assert result["errors"] == {"base": "otp_blocked"}
    await hass.config_entries.async_remove(entry.entry_id)

    asked = sim.journal.count("PUT", PIN)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert (result["step_id"], result["errors"]) == ("iq", {"base": "otp_blocked"})
    assert sim.journal.count("PUT", PIN) == asked
    await go_on(hass, freezer, 25 * 60 + 1)
    await done(hass, await fill(hass, result, _reception(sim)))


# The IQ is not as it should be


async def test_iq_is_offline(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """An offline IQ is told apart before anything is asked of it, and works once it is back."""
    iq = iq_named(sim, RECEPTION)
    sim.set("iq", iq.id, online=False)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert (result["step_id"], result["errors"]) == ("iq", {"base": "iq_offline"})
    assert requests(sim) == []
    sim.set("iq", iq.id, online=True)
    result = await fill(hass, result, _reception(sim))
    result = await fill(hass, result, {"channel": "email"})
    await done(hass, await enter(hass, result, delivered_pin(sim)))


@pytest.mark.parametrize(
    "quirks", [Quirks.instant(offline_status=status) for status in (408, 404, 400, 403, 500)]
)
async def test_iq_goes_offline_on_the_way(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """An IQ that is lost before or after the delivery is named, under each status there may be."""
    iq = iq_named(sim, RECEPTION)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    sim.set("iq", iq.id, online=False)
    result = await fill(hass, result, {"channel": "email"})
    assert (result["step_id"], result["errors"]) == ("iq_delivery", {"base": "hardware_failed"})
    sim.set("iq", iq.id, online=True)
    result = await fill(hass, result, {"channel": "email"})
    sim.set("iq", iq.id, online=False)
    result = await enter(hass, result, delivered_pin(sim))
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"base": "hardware_failed"})
    sim.set("iq", iq.id, online=True)
    await done(hass, await enter(hass, result, delivered_pin(sim)))


async def test_iq_is_gone(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """An IQ that vanishes while the form stands is named, and another can be chosen."""
    result = await reach_iq(hass, server, account)
    typed = _reception(sim)
    sim.remove("iq", typed["iq_id"])
    result = await fill(hass, result, typed)
    assert (result["step_id"], result["errors"]) == ("iq", {"base": "iq_gone"})
    result = await fill(hass, result, {"iq_id": iq_named(sim, FIELD).id})
    assert result["step_id"] == "iq_delivery"


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (Fault(route=IQ, reset=True, count=None), "cannot_connect_api"),
        (Fault(route=IQ, status=503), "server_error"),
        (Fault(route=IQ, body="<html></html>"), "unexpected_answer"),
        (Fault(route=IQ, status=429), "rate_limited"),
    ],
)
async def test_iq_cannot_be_looked_at(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    server: str,
    account: dict[str, str],
    fault: Fault,
    key: str,
) -> None:
    """Trouble while looking at the chosen IQ leads back to the choice, with its name."""
    sim.faults.add(fault)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert (result["step_id"], result["errors"]) == ("iq", {"base": key})
    sim.faults.clear()
    result = await fill(hass, result, _reception(sim))
    assert result["step_id"] == "iq_delivery"


async def test_iq_has_to_be_restored(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """A reset IQ is restored when the person says so, and is then activated as any other."""
    iq = iq_named(sim, RECEPTION)
    sim.set("iq", iq.id, restore_required=True)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert (result["step_id"], result["errors"]) == ("iq_restore", {})
    assert iq.restore_required
    sim.set("user", member_of(sim).id, roles=["site_user"])
    result = await fill(hass, result, {})
    assert (result["step_id"], result["errors"]) == ("iq_restore", {"base": "forbidden"})
    sim.set("user", member_of(sim).id, roles=["site_admin"])
    result = await fill(hass, result, {})
    assert not iq.restore_required
    assert result["step_id"] == "iq_delivery"
    result = await fill(hass, result, {"channel": "email"})
    await done(hass, await enter(hass, result, delivered_pin(sim)))


async def test_activated_by_another_program(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """An account that something else has activated is named, and works after a reset."""
    iq = iq_named(sim, RECEPTION)
    sim.activate(iq.id)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert result["step_id"] == "iq_delivery"
    result = await fill(hass, result, {"channel": "email"})
    assert (result["step_id"], result["errors"]) == ("iq", {"base": "activated_elsewhere"})
    assert not sim.outbox
    sim.deactivate(iq.id)
    result = await fill(hass, result, _reception(sim))
    result = await fill(hass, result, {"channel": "email"})
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    await unlock(hass, sim)
    assert opened(sim)


# A PIN that is not stored


def texts_in(data: Any) -> set[str]:
    """Return every single text in JSON data."""
    if isinstance(data, Mapping):
        return set().union(*(texts_in(value) for value in data.values()))
    if isinstance(data, list):
        return set().union(*(texts_in(value) for value in data))
    return {data} if isinstance(data, str) else set()


async def test_pin_that_is_not_to_be_stored(
    hass: HomeAssistant, hass_storage: dict[str, Any], *, set_up: SetUp, sim: Simulator
) -> None:
    """With storing switched off the PIN is in no file, and each opening asks for it."""
    entry = await set_up(iqs=(RECEPTION,), store_pin=False)
    pin = delivered_pin(sim)
    await flush_store(hass.config_entries._store)
    assert entry.entry_id in texts_in(hass_storage)
    assert secret_at_salto(sim) in texts_in(hass_storage)
    assert pin not in texts_in(hass_storage)
    (subentry,) = entry.subentries.values()
    assert subentry.data["store_pin"] is False
    with pytest.raises(ServiceValidationError) as refused:
        await unlock(hass, sim)
    assert refused.value.translation_key in {"code_required", "add_default_code"}
    await unlock(hass, sim, code=pin)
    assert opened(sim)


# A PIN of one's own choice


@pytest.mark.parametrize("store_pin", [True, False])
@pytest.mark.parametrize(
    ("quirks", "old", "new"),
    [
        pytest.param(Quirks.instant(delta_rule=rule), old, new, id=f"{rule} {old} to {new}")
        for rule in ("whole_add", "digit_sub")
        for old, new in (("0999", "1000"), ("9999", "0000"), ("1234", "1345"), ("0007", "0006"))
    ]
    + [pytest.param(Quirks.instant(delta_rule="digit_add"), "1111", "2345", id="digit_add")],
)
async def test_new_pin(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    server: str,
    account: dict[str, str],
    old: str,
    new: str,
    store_pin: bool,
) -> None:
    """A chosen PIN is in force afterwards, whichever of the likely rules Salto goes by."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    activation.pin = old
    await done(hass, await enter(hass, result, old, new_pin=new, store_pin=store_pin))
    assert pin_in_force(sim) == new
    await unlock(hass, sim, code=None if store_pin else new)
    assert opened(sim)


async def test_new_pin_that_is_the_old_one(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """The PIN that is in force is not changed to itself."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    pin = delivered_pin(sim)
    await done(hass, await enter(hass, result, pin, new_pin=pin))
    assert [entry.body["delta"] for entry in sim.journal.filter("PUT", PIN)] == ["0000"]


@pytest.mark.parametrize("quirks", [Quirks.instant(delta_rule="digit_add", block_threshold=8)])
async def test_new_pin_by_a_rule_nobody_expects(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str]
) -> None:
    """When the result of a change cannot be found out that is said, and a reset helps."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    activation.pin = "0999"
    result = await enter(hass, result, "0999", new_pin="1000")
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"base": "pin_uncertain"})
    assert pin_in_force(sim) == "0990"
    assert sim.journal.count("PUT", PIN) == 4
    await close(hass, result)

    sim.deactivate(iq_named(sim, RECEPTION).id)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "iq_again")
    result = await choose(hass, result, "iq_delivery")
    result = await fill(hass, result, {"channel": "email"})
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    await unlock(hass, sim)
    assert opened(sim)


@pytest.mark.parametrize(
    "quirks",
    [Quirks.instant(), Quirks.instant(delta_rule="digit_sub", block_threshold=8)],
    ids=["whole_add", "digit_sub"],
)
@pytest.mark.parametrize("fault", ["drop_after_commit", "reset"])
async def test_lost_answer_to_a_new_pin(
    hass: HomeAssistant,
    sim: Simulator,
    *,
    server: str,
    account: dict[str, str],
    fault: str,
) -> None:
    """After a change whose answer was lost the PIN in force is found, whatever it is."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    activation.pin = "0999"
    sim.faults.add(Fault(route=PIN, method="PUT", after=1, **{fault: True}))
    result = await enter(hass, result, "0999", new_pin="1000")
    assert result["errors"] == {"base": "cannot_connect_api"}
    await close(hass, result)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    if result["type"] is FlowResultType.MENU:
        await close(hass, result)
        result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    await done(hass, result)
    await unlock(hass, sim)
    assert opened(sim)


@pytest.mark.parametrize("fault", ["drop_after_commit", "reset"])
async def test_lost_answer_to_a_new_pin_and_the_same_again(
    hass: HomeAssistant, sim: Simulator, server: str, account: dict[str, str], *, fault: str
) -> None:
    """After a lost answer to a change the same form, sent again, ends with the new PIN."""
    result = await reach_pin(hass, server, account, iq_named(sim, RECEPTION).id)
    old, new = delivered_pin(sim), wrong_pin(sim)
    sim.faults.add(Fault(route=PIN, method="PUT", after=1, **{fault: True}))
    result = await enter(hass, result, old, new_pin=new)
    assert result["errors"] == {"base": "cannot_connect_api"}
    await done(hass, await enter(hass, result, old, new_pin=new))
    assert pin_in_force(sim) == new
    await unlock(hass, sim)
    assert opened(sim)


# Deleted and added anew


async def test_secret_outlives_the_entry(
    hass: HomeAssistant, sim: Simulator, *, set_up: SetUp, server: str, account: dict[str, str]
) -> None:
    """A site that is deleted and set up again needs neither a new secret nor a new PIN."""
    entry = await set_up(iqs=(RECEPTION,))
    await hass.config_entries.async_remove(entry.entry_id)
    sim.journal.clear()
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    await done(hass, result)
    assert requests(sim) == [("PUT", "pin")]
    assert sim.journal.filter("PUT", PIN)[0].body["delta"] == "0000"
    await unlock(hass, sim)
    assert opened(sim)


async def test_secret_outlives_the_entry_without_a_pin(
    hass: HomeAssistant, sim: Simulator, *, set_up: SetUp, server: str, account: dict[str, str]
) -> None:
    """Where the PIN was not stored it is asked for, and nothing else."""
    entry = await set_up(iqs=(RECEPTION,), store_pin=False)
    await hass.config_entries.async_remove(entry.entry_id)
    sim.journal.clear()
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert result["step_id"] == "iq_again"
    result = await choose(hass, result, "iq_pin")
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    assert requests(sim) == [("PUT", "pin")]


async def test_reset_after_the_entry_was_deleted(
    hass: HomeAssistant, sim: Simulator, *, set_up: SetUp, server: str, account: dict[str, str]
) -> None:
    """When an administrator has reset the account since, a new PIN can be sent."""
    entry = await set_up(iqs=(RECEPTION,))
    await hass.config_entries.async_remove(entry.entry_id)
    sim.deactivate(iq_named(sim, RECEPTION).id)
    result = await fill(hass, await reach_iq(hass, server, account), _reception(sim))
    assert result["step_id"] == "iq_again"
    result = await choose(hass, result, "iq_delivery")
    result = await fill(hass, result, {"channel": "email"})
    await done(hass, await enter(hass, result, delivered_pin(sim)))
    await unlock(hass, sim)
    assert opened(sim)


# The subentry: a further IQ


async def test_second_iq(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """A further IQ is added without a word about the first, loads once, and opens its doors."""
    entry = await set_up(iqs=(RECEPTION,))
    with pytest.raises(ServiceValidationError) as refused:
        await unlock(hass, sim, LAUNDRY)
    assert refused.value.translation_key == "iq_not_set_up"
    result = await start_iq(hass, entry)
    options = result["data_schema"].schema["iq_id"].config["options"]
    assert [option["label"] for option in options] == [FIELD]
    result = await fill_iq(hass, result, {"iq_id": iq_named(sim, FIELD).id})
    result = await fill_iq(hass, result, {"channel": "email"})
    sim.journal.clear()
    result = await fill_iq(hass, result, {"pin": delivered_pin(sim, FIELD), "store_pin": True})
    assert (result["type"], result["title"]) == (FlowResultType.CREATE_ENTRY, FIELD)
    await hass.async_block_till_done()
    assert sim.journal.count("GET", LOCKS) == 1
    await unlock(hass, sim, LAUNDRY)
    await unlock(hass, sim, GATE)
    assert opened(sim, LAUNDRY)
    assert opened(sim, GATE)


async def test_no_further_iq(hass: HomeAssistant, set_up: SetUp) -> None:
    """With all IQs set up there is nothing to add."""
    result = await start_iq(hass, await set_up())
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_more_iqs")


async def test_no_iq_chosen(hass: HomeAssistant, set_up: SetUp) -> None:
    """Choosing no IQ changes nothing."""
    entry = await set_up(iqs=())
    result = await fill_iq(hass, await start_iq(hass, entry), {})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_iq_chosen")
    assert not entry.subentries


async def test_flow_that_does_not_exist(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """An IQ cannot be imported, and trying asks Salto nothing."""
    entry = await set_up(iqs=())
    sim.journal.clear()
    with pytest.raises(UnknownStep):
        await hass.config_entries.subentries.async_init(
            (entry.entry_id, "iq"), context={"source": "import"}
        )
    assert sim.journal.entries == []


async def test_further_iq_without_remote_right(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """The missing right is told here too, and an offline IQ leads back to the choice."""
    entry = await set_up(iqs=())
    sim.set("user", member_of(sim).id, remote_access=False)
    sim.set("iq", iq_named(sim, FIELD).id, online=False)
    result = await start_iq(hass, entry)
    assert result["errors"] == {"base": "no_remote_right"}
    result = await fill_iq(hass, result, {"iq_id": iq_named(sim, FIELD).id})
    assert (result["step_id"], result["errors"]) == ("iq", {"base": "iq_offline"})


SURVEY_TROUBLES = [
    (Fault(route="/connect/token", reset=True), "cannot_connect_identity"),
    (Fault(route="/connect/token", body="<html></html>"), "unexpected_answer_identity"),
    (
        Fault(route="/connect/token", status=400, body={"error": "invalid_grant"}),
        "account_refused",
    ),
    (
        Fault(route="/connect/token", status=400, body={"error": "invalid_client"}),
        "client_refused",
    ),
    (Fault(route="/connect/token", status=400, body={"error": "invalid_scope"}), "grant_refused"),
    (Fault(route="/v1.2/sites/{site}", reset=True, count=None), "cannot_connect_api"),
    (Fault(route="/v1.2/sites/{site}", status=401, count=None), "token_refused"),
    (Fault(route="/v1.2/sites/{site}/me", status=429), "rate_limited"),
    (Fault(route="/v1.2/sites/{site}/iqs", status=502), "server_error"),
    (
        Fault(route="/v1.2/sites/{site}", status=404, body={"ErrorCode": "2202"}),
        "not_found",
    ),
]


@pytest.mark.parametrize(("fault", "reason"), SURVEY_TROUBLES, ids=[t[1] for t in SURVEY_TROUBLES])
async def test_subentry_flow_cannot_begin(
    hass: HomeAssistant, sim: Simulator, *, set_up: SetUp, fault: Fault, reason: str
) -> None:
    """A flow that cannot reach Salto ends with the reason, and works when it is gone."""
    entry = await set_up(iqs=(RECEPTION,))
    for begin in (start_iq(hass, entry), check_iq(hass, sim, entry)):
        sim.faults.clear()
        sim.faults.add(fault)
        result = await begin
        assert (result["type"], result["reason"]) == (FlowResultType.ABORT, reason)
    sim.faults.clear()
    await add_iq(hass, sim, entry, FIELD)


# The subentry: an IQ that is set up


async def test_check_that_an_iq_works(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """The check sends one harmless request, moves no door and loads the entry once."""
    entry = await set_up()
    result = await check_iq(hass, sim, entry)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "reconfigure")
    sim.journal.clear()
    result = await choose_iq(hass, result, "iq_check")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "iq_works")
    await hass.async_block_till_done()
    assert requests(sim) == [("PUT", "pin")]
    assert sim.journal.count("PATCH") == 0
    assert sim.journal.count("GET", LOCKS) == 1
    assert entry.state is ConfigEntryState.LOADED


async def test_check_of_an_entry_that_is_not_loaded(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """An entry that had failed is loaded after its IQ was checked."""
    entry = await set_up(iqs=(RECEPTION,))
    sim.faults.add(Fault(route=LOCKS, status=500))
    assert not await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_check")
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def test_check_fails(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """A PIN that was changed elsewhere is asked for, and works from then on."""
    entry = await set_up(iqs=(RECEPTION,))
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    activation.pin = wrong_pin(sim)
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_check")
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"base": "pin_not_accepted"})
    sim.journal.clear()
    result = await fill_iq(hass, result, {"pin": activation.pin, "store_pin": True})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "iq_works")
    await hass.async_block_till_done()
    assert sim.journal.count("GET", LOCKS) == 1
    await unlock(hass, sim)
    assert opened(sim)


async def test_check_cannot_be_made(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """A check that gets no answer ends with the reason and changes nothing."""
    entry = await set_up(iqs=(RECEPTION,))
    result = await check_iq(hass, sim, entry)
    sim.faults.add(Fault(route=PIN, method="PUT", reset=True))
    result = await choose_iq(hass, result, "iq_check")
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "cannot_connect_api")
    await unlock(hass, sim)
    assert opened(sim)


async def test_check_without_a_stored_pin(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Where the PIN is not stored the check asks for it, and goes on not storing it."""
    entry = await set_up(iqs=(RECEPTION,), store_pin=False)
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_check")
    assert (result["step_id"], result["errors"]) == ("iq_pin", {})
    markers = {str(marker): marker for marker in result["data_schema"].schema}
    assert markers["store_pin"].default() is False
    typed = {"pin": delivered_pin(sim), "store_pin": False}
    result = await fill_iq(hass, result, typed)
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()
    await unlock(hass, sim, code=delivered_pin(sim))
    assert opened(sim)


async def test_mistyped_pin_harms_nothing(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A wrong PIN in the dialog leaves the stored one in use."""
    entry = await set_up(iqs=(RECEPTION,))
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_pin")
    result = await fill_iq(hass, result, {"pin": wrong_pin(sim), "store_pin": True})
    assert result["errors"] == {"pin": "wrong_pin"}
    await unlock(hass, sim)
    assert opened(sim)


async def test_begin_to_store_the_pin(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Entering the PIN with storing switched on ends the questions at the door."""
    entry = await set_up(iqs=(RECEPTION,), store_pin=False)
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_pin")
    sim.journal.clear()
    result = await fill_iq(hass, result, {"pin": delivered_pin(sim), "store_pin": True})
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()
    assert sim.journal.count("GET", LOCKS) == 1
    await unlock(hass, sim)
    assert opened(sim)


async def test_pin_is_changed(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """The PIN of an IQ that is set up can be changed."""
    entry = await set_up(iqs=(RECEPTION,))
    old, new = delivered_pin(sim), wrong_pin(sim)
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_pin")
    result = await fill_iq(hass, result, {"pin": old, "new_pin": new, "store_pin": True})
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()
    assert pin_in_force(sim) == new
    await unlock(hass, sim)
    assert opened(sim)


async def test_new_pin_after_a_reset(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """After an administrator's reset a new PIN is sent and activates the IQ again."""
    entry = await set_up(iqs=(RECEPTION,))
    sim.deactivate(iq_named(sim, RECEPTION).id)
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_delivery")
    result = await fill_iq(hass, result, {"channel": "email"})
    result = await fill_iq(hass, result, {"pin": delivered_pin(sim), "store_pin": True})
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()
    await unlock(hass, sim)
    assert opened(sim)


async def test_new_pin_without_a_reset(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Without a reset Salto sends no new PIN, which is told, and the one in force works."""
    entry = await set_up(iqs=(RECEPTION,))
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_delivery")
    result = await fill_iq(hass, result, {"channel": "email"})
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"base": "already_activated"})
    await unlock(hass, sim)
    assert opened(sim)
    result = await fill_iq(hass, result, {"pin": delivered_pin(sim), "store_pin": True})
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()


async def test_iq_that_is_set_up_was_reset(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A hardware reset is made good in one dialog: restored, a new PIN sent, activated."""
    entry = await set_up(iqs=(RECEPTION,))
    iq = iq_named(sim, RECEPTION)
    sim.set("iq", iq.id, restore_required=True)
    sim.deactivate(iq.id)
    result = await check_iq(hass, sim, entry)
    assert result["step_id"] == "iq_restore"
    result = await fill_iq(hass, result, {})
    assert result["step_id"] == "iq_delivery"
    result = await fill_iq(hass, result, {"channel": "email"})
    result = await fill_iq(hass, result, {"pin": delivered_pin(sim), "store_pin": True})
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()
    await unlock(hass, sim)
    assert opened(sim)


async def test_restored_iq_that_remembers(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A restored IQ that still takes the stored PIN needs nothing more."""
    entry = await set_up(iqs=(RECEPTION,))
    sim.set("iq", iq_named(sim, RECEPTION).id, restore_required=True)
    result = await fill_iq(hass, await check_iq(hass, sim, entry), {})
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "iq_works")
    await hass.async_block_till_done()


async def test_activated_by_another_program_since(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """An account that was reset and activated elsewhere keeps its old secret and is told so."""
    entry = await set_up(iqs=(RECEPTION,))
    sim.deactivate(iq_named(sim, RECEPTION).id)
    _, pin = sim.activate(iq_named(sim, RECEPTION).id)
    result = await choose_iq(hass, await check_iq(hass, sim, entry), "iq_delivery")
    result = await fill_iq(hass, result, {"channel": "email"})
    assert (result["step_id"], result["errors"]) == ("iq_pin", {"base": "already_activated"})
    result = await fill_iq(hass, result, {"pin": pin, "store_pin": True})
    assert result["errors"] == {"pin": "wrong_pin"}


@pytest.mark.parametrize(
    ("online", "reason"), [(False, "iq_offline"), (None, "iq_gone")], ids=["offline", "gone"]
)
async def test_iq_cannot_be_reconfigured(
    hass: HomeAssistant, sim: Simulator, *, set_up: SetUp, online: bool | None, reason: str
) -> None:
    """An IQ that is offline or gone ends the dialog with the reason."""
    entry = await set_up(iqs=(RECEPTION,))
    iq = iq_named(sim, RECEPTION)
    subentry_id = iq_subentry_id(entry, sim)
    if online is None:
        sim.remove("iq", iq.id)
    else:
        sim.set("iq", iq.id, online=online)
    result = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "iq"), context={"source": SOURCE_RECONFIGURE, "subentry_id": subentry_id}
    )
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, reason)


async def test_renamed_iq(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """The subentry takes over a new name of its IQ when it is checked, and loads once."""
    entry = await set_up(iqs=(RECEPTION,))
    subentry_id = iq_subentry_id(entry, sim)
    sim.set("iq", iq_named(sim, RECEPTION).id, customer_reference="IQ Barn")
    result = await check_iq(hass, sim, entry, "IQ Barn")
    sim.journal.clear()
    result = await choose_iq(hass, result, "iq_check")
    assert result["reason"] == "iq_works"
    await hass.async_block_till_done()
    assert entry.subentries[subentry_id].title == "IQ Barn"
    assert sim.journal.count("GET", LOCKS) == 1


async def test_browser_adds_an_iq(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, *, sim: Simulator, set_up: SetUp
) -> None:
    """Each answer of the subentry flow survives the way to a browser."""
    entry = await set_up(iqs=(RECEPTION,))
    assert await async_setup_component(hass, "config", {})
    browser = await hass_client()
    address = "/api/config/config_entries/subentries/flow"

    async def send(url: str, data: Mapping[str, Any]) -> dict[str, Any]:
        answer = await browser.post(url, json=data)
        assert answer.status == 200, await answer.text()
        received: dict[str, Any] = await answer.json()
        return received

    flow_id = (await send(address, {"handler": [entry.entry_id, "iq"]}))["flow_id"]
    mine = f"{address}/{flow_id}"
    await send(mine, {"iq_id": iq_named(sim, FIELD).id})
    await send(mine, {"channel": "email"})
    done = await send(mine, {"pin": delivered_pin(sim, FIELD), "store_pin": True})
    assert done["type"] == "create_entry"
    await hass.async_block_till_done()
    assert len(entry.subentries) == 2
