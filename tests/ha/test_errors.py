"""What an error means to Home Assistant: one table of vendor answers, tried by every action."""

from collections.abc import Awaitable, Callable
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.api.models import IqId, PlatformUserId, SiteId
from custom_components.salto_ks.iq_credential import IqKey
from simulator import Fault, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .support import GATE, RECEPTION, door, entity_id, iq_named, lock_named
from .test_door_commands import reauth_flows
from .watching import LOCK, LOCKING, act, commands, shown

type Action = Callable[[HomeAssistant, Simulator], Awaitable[None]]


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ."""
    return "full"


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


def vendor(status: int, code: int, message: str = "No.", **more: Any) -> Fault:
    """Return an answer of the API with the vendor's error."""
    body = {"ErrorCode": str(code), "Message": message}
    return Fault(status=status, body=body, count=None, **more)


def execution(status: int, reason: str) -> Fault:
    """Return an answer of the API about what an IQ said."""
    return vendor(status, 3102, f"Request execution failed with code: {reason}")


ANSWERS = {
    "otp_invalid": (execution(400, "otp_invalid"), "otp_rejected"),
    "otp_blocked": (execution(403, "otp_blocked"), "otp_blocked"),
    "pin_not_changed": (execution(400, "pin_not_changed"), "iq_not_activated"),
    "command_forbidden": (execution(403, "command_forbidden"), "forbidden"),
    "unheard_of": (execution(400, "something_new"), "hardware_failed"),
    "iq_error": (vendor(400, 3101), "hardware_failed"),
    "no_otp": (vendor(404, 2202, "Otp is invalid"), "otp_rejected"),
    "not_found": (vendor(404, 2202, "The resource is not found"), "not_found"),
    "forbidden": (vendor(403, 2203), "forbidden"),
    "bad_request": (vendor(400, 1100), "refused"),
    "conflict": (vendor(409, 1), "refused"),
    "too_many": (vendor(429, 1), "rate_limited"),
    "timeout": (vendor(408, 1), "server_error"),
    "server": (vendor(500, 1), "server_error"),
    "gateway": (Fault(status=502, body="<html>", count=None), "server_error"),
    "web_page": (Fault(status=200, body="<html>", count=None), "unexpected_answer"),
    "redirect": (
        Fault(status=302, headers={"Location": "/x"}, count=None),
        "unexpected_answer",
    ),
    "nothing": (Fault(reset=True, count=None), "cannot_connect"),
    "token": (Fault(status=401, count=None), "login_refused"),
}


async def opening(hass: HomeAssistant, sim: Simulator) -> None:
    """Open the door."""
    await act(hass, "lock", "open", door(hass, sim))


async def locking(hass: HomeAssistant, sim: Simulator) -> None:
    """End office mode by the lock."""
    sim.set("lock", lock_named(sim, GATE).id, locked_state="office_mode")
    await act(hass, "lock", "lock", door(hass, sim))


async def starting_office_mode(hass: HomeAssistant, sim: Simulator) -> None:
    """Start office mode."""
    switch = entity_id(hass, "switch", lock_named(sim, GATE).id, "office_mode")
    await act(hass, "switch", "turn_on", switch)


async def ending_office_mode(hass: HomeAssistant, sim: Simulator) -> None:
    """End office mode by the switch."""
    switch = entity_id(hass, "switch", lock_named(sim, GATE).id, "office_mode")
    await act(hass, "switch", "turn_off", switch)


ACTIONS = (opening, locking, starting_office_mode, ending_office_mode)
OUTCOME_UNKNOWN = {"cannot_connect", "server_error", "unexpected_answer"}


def text_after(action: Action, text: str) -> str:
    """Return the text of an action that has sent its command: it says what nobody knows."""
    if text not in OUTCOME_UNKNOWN:
        return text
    return f"{text}_opening" if action is opening else f"{text}_office_mode"


async def test_every_answer_to_every_action(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Whatever Salto answers to a command has its own text, whichever action has sent it."""
    entry = await set_up(iqs=[RECEPTION])
    vault = entry.runtime_data.vault
    key = IqKey(
        SiteId(sim.site_id), IqId(iq_named(sim, RECEPTION).id), PlatformUserId(sim.account.user_id)
    )
    fresh = vault.get(key)
    for fault, text in ANSWERS.values():
        for action in ACTIONS:
            await vault.put(key, fresh)
            sim.faults.clear()
            sim.faults.add(
                Fault(
                    route=LOCKING,
                    status=fault.status,
                    body=fault.body,
                    headers=fault.headers,
                    reset=fault.reset,
                    count=None,
                )
            )
            sim.journal.clear()
            with shown(text_after(action, text)):
                await action(hass, sim)
            assert commands(sim) == (2 if fault.status == 401 else 1)
    assert reauth_flows(hass) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("not_found", "not_found"),
        ("forbidden", "forbidden"),
        ("too_many", "rate_limited"),
        ("server", "server_error"),
        ("web_page", "unexpected_answer"),
        ("nothing", "cannot_connect"),
    ],
)
async def test_look_before_locking(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, name: str, text: str
) -> None:
    """A look at the door that fails has the same texts, and no command follows it."""
    await set_up(iqs=[RECEPTION])
    fault, _ = ANSWERS[name]
    sim.faults.add(
        Fault(
            route=LOCK,
            method="GET",
            status=fault.status,
            body=fault.body,
            reset=fault.reset,
            count=None,
        )
    )
    with shown(text):
        await locking(hass, sim)
    assert commands(sim) == 0


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
@pytest.mark.parametrize(
    ("name", "text"), [("nothing", "login_failed"), ("web_page", "unexpected_answer")]
)
async def test_login_that_fails_before_a_command(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, action: Action, name: str, text: str
) -> None:
    """Where the login fails no command has left, and nothing is said to be unknown."""
    await set_up(iqs=[RECEPTION])
    sim.revoke_tokens()
    fault, _ = ANSWERS[name]
    sim.faults.add(
        Fault(
            route="/connect/token",
            status=fault.status,
            body=fault.body,
            reset=fault.reset,
            count=None,
        )
    )
    with shown(text):
        await action(hass, sim)


async def test_vendors_words_are_passed_on(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """What Salto says about a refusal is in the text, on one short line."""
    await set_up(iqs=[RECEPTION])
    long = "The door\nis  stuck. " + "x" * 1000
    sim.faults.add(vendor(400, 3101, long, route=LOCKING))
    with shown("hardware_failed") as raised:
        await opening(hass, sim)
    detail = raised.placeholders["detail"]
    assert "The door is stuck." in detail
    assert "\n" not in detail
    assert len(detail) < 300
    assert detail in str(raised.error)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__)
async def test_refused_credentials_start_a_new_login(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, action: Action
) -> None:
    """Whichever action finds the password changed, a form for it is opened, and only one."""
    await set_up(iqs=[RECEPTION])
    sim.account.password = "another one"
    sim.revoke_tokens()
    for _ in range(2):
        with shown("auth_failed"):
            await action(hass, sim)
    assert reauth_flows(hass) == 1
