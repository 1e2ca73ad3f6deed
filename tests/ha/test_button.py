"""Testing the connection: it works, or the one thing that is wrong is named."""

from homeassistant.components.lock.const import LockState
from homeassistant.core import HomeAssistant
import pytest

from simulator import Fault, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .support import GATE, RECEPTION, door, entity_id, lock_named, member_of
from .test_door_commands import reauth_flows
from .watching import IQS, LOCKS, TOKEN, act, asked, shown, state_of


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ."""
    return "full"


async def press(hass: HomeAssistant, sim: Simulator) -> None:
    """Press the button."""
    await act(hass, "button", "press", entity_id(hass, "button", sim.site_id, "test_connection"))


async def test_connection_works(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """The test logs in anew, looks at site and rights, and polls, so that all is fresh."""
    await set_up(iqs=[RECEPTION])
    sim.set("lock", lock_named(sim, GATE).id, locked_state="office_mode")
    sim.journal.clear()
    await press(hass, sim)
    assert asked(sim)[0] == ("POST", TOKEN)
    assert ("GET", "/v1.2/sites") in asked(sim)
    assert asked(sim)[-2:] == [("GET", LOCKS), ("GET", IQS)]
    assert sim.journal.count("PATCH") == 0
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED


async def test_password_is_wrong(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """A changed password is found though the token is still good, and a form is opened for it."""
    await set_up(iqs=[RECEPTION])
    sim.account.password = "another one"
    with shown("auth_failed"):
        await press(hass, sim)
    assert reauth_flows(hass) == 1


async def test_site_is_no_longer_seen(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """An account that was taken off the site is told so."""
    await set_up(iqs=[RECEPTION])
    sim.remove("user", member_of(sim).id)
    with shown("site_not_visible"):
        await press(hass, sim)


async def test_right_is_missing(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """An account that may not open remotely is told so."""
    await set_up(iqs=[RECEPTION])
    sim.set("user", member_of(sim).id, remote_access=False)
    with shown("no_remote_right"):
        await press(hass, sim)


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (Fault(route=TOKEN, reset=True), "login_failed"),
        (Fault(route="/v1.2/sites", status=500), "server_error"),
        (Fault(route=LOCKS, status=500), "poll_failed"),
        (
            Fault(route="/v1.2/me/{site}/activated_iqs", reset=True, count=None),
            "poll_without_answer",
        ),
    ],
    ids=["login", "site", "doors", "activations"],
)
async def test_failure_is_named(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, fault: Fault, key: str
) -> None:
    """Whatever fails on the way is raised, and the button can be pressed again."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(fault)
    with shown(key):
        await press(hass, sim)
    sim.faults.clear()
    await press(hass, sim)
