"""Office mode of a door, and whether the site is active."""

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.lock.const import LockState
from homeassistant.const import STATE_OFF, STATE_ON, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from simulator import Fault, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .support import (
    GATE,
    LAUNDRY,
    RECEPTION,
    door,
    entity_id,
    go_on,
    iq_named,
    lock_named,
    opened,
    restarted,
    unlock,
)
from .watching import LOCKING, LOCKS, act, asked, commands, pass_by, running, shown, state_of, until


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ; some tests ask for more."""
    return "full"


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


def office_mode(hass: HomeAssistant, sim: Simulator, name: str = GATE) -> str:
    """Return the id of a door's office mode switch."""
    return entity_id(hass, "switch", lock_named(sim, name).id, "office_mode")


def active(hass: HomeAssistant, sim: Simulator) -> str:
    """Return the id of the site's switch."""
    return entity_id(hass, "switch", sim.site_id, "active")


# Office mode


async def test_office_mode_is_switched(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Office mode is one signed request on and one off, and the door stays open in between."""
    await set_up(iqs=[RECEPTION])
    switch = office_mode(hass, sim)
    assert state_of(hass, switch) == STATE_OFF
    sim.journal.clear()
    await act(hass, "switch", "turn_on", switch)
    assert lock_named(sim, GATE).locked_state == "office_mode"
    assert state_of(hass, switch) == STATE_ON
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED
    await act(hass, "switch", "turn_off", switch)
    assert lock_named(sim, GATE).locked_state == "locked"
    assert state_of(hass, switch) == STATE_OFF
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    assert asked(sim) == [("PATCH", LOCKING)] * 2
    sent = [entry.body["locked_state"] for entry in sim.journal.entries]
    assert sent == ["office_mode", "locked"]


async def test_office_mode_does_not_end_by_itself(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Office mode lasts until it is ended, at Salto and on the dashboard."""
    await set_up(iqs=[RECEPTION])
    await act(hass, "switch", "turn_on", office_mode(hass, sim))
    for _ in range(10):
        await go_on(hass, freezer, 3600)
    assert state_of(hass, office_mode(hass, sim)) == STATE_ON
    assert commands(sim) == 1


async def test_office_mode_from_elsewhere_is_shown(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Office mode that somebody else starts shows after the next poll, and an odd state as unknown."""
    await set_up(iqs=[RECEPTION])
    for state, shown_as in (
        ("office_mode", STATE_ON),
        ("unlocked", STATE_OFF),
        ("uncertain", STATE_UNKNOWN),
        ("none", STATE_UNKNOWN),
        ("ajar", STATE_UNKNOWN),
        ("locked", STATE_OFF),
    ):
        sim.set("lock", lock_named(sim, GATE).id, locked_state=state)
        await go_on(hass, freezer, 75)
        assert state_of(hass, office_mode(hass, sim)) == shown_as


async def test_office_mode_shows_what_salto_accepted_only(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """The switch waits for Salto's answer, and stays off where that is a refusal."""
    await set_up(iqs=[RECEPTION])
    switch = office_mode(hass, sim)
    fault = sim.faults.add(Fault(route=LOCKING, latency=3))
    with running(act(hass, "switch", "turn_on", switch)) as switching:
        await until(lambda: sim.faults.hits(fault) == 1)
        assert state_of(hass, switch) == STATE_OFF
        pass_by(freezer, 3)
        await switching
    assert state_of(hass, switch) == STATE_ON
    await act(hass, "switch", "turn_off", switch)
    sim.faults.add(Fault(route=LOCKING, status=403, body={"ErrorCode": "2203", "Message": "x"}))
    with shown("forbidden"):
        await act(hass, "switch", "turn_on", switch)
    assert state_of(hass, switch) == STATE_OFF


async def test_office_mode_cannot_ask_for_a_code(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Where the PIN has to be typed the switch shows the state and says that it cannot switch."""
    await set_up(iqs=[RECEPTION], store_pin=False)
    assert state_of(hass, office_mode(hass, sim)) == STATE_OFF
    for action in ("turn_on", "turn_off"):
        with shown("switch_without_code", users=True):
            await act(hass, "switch", action, office_mode(hass, sim))
    assert commands(sim) == 0


@pytest.mark.parametrize("seed", ["campsite"])
async def test_office_mode_needs_an_activated_iq(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """On an IQ that is not set up the switch says so, on another it works."""
    await set_up(iqs=[RECEPTION])
    assert state_of(hass, office_mode(hass, sim, LAUNDRY)) == STATE_OFF
    with shown("iq_not_set_up", users=True):
        await act(hass, "switch", "turn_on", office_mode(hass, sim, LAUNDRY))
    assert commands(sim) == 0
    await act(hass, "switch", "turn_on", office_mode(hass, sim))
    assert lock_named(sim, GATE).locked_state == "office_mode"


async def test_office_mode_needs_an_iq(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """The switch of a door that has lost its IQ says so, and works again when it is back."""
    await set_up(iqs=[RECEPTION])
    lock = lock_named(sim, GATE)
    iq_id = lock.iq_id
    sim.set("lock", lock.id, iq_id=None)
    await go_on(hass, freezer, 75)
    assert state_of(hass, office_mode(hass, sim)) == STATE_OFF
    with shown("lock_without_iq", users=True):
        await act(hass, "switch", "turn_on", office_mode(hass, sim))
    sim.set("lock", lock.id, iq_id=iq_id)
    await go_on(hass, freezer, 75)
    await act(hass, "switch", "turn_on", office_mode(hass, sim))
    assert lock_named(sim, GATE).locked_state == "office_mode"


async def test_office_mode_without_password(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """On an IQ that comes to want no password the switch works without activation."""
    await set_up(iqs=[])
    sim.set("iq", iq_named(sim, RECEPTION).id, otp_enabled=False)
    await go_on(hass, freezer, 75)
    await act(hass, "switch", "turn_on", office_mode(hass, sim))
    assert lock_named(sim, GATE).locked_state == "office_mode"


async def test_office_mode_in_an_outage(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """While Salto does not answer nobody knows of office mode, and the switch is unavailable."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(Fault(route=LOCKS, status=500, count=None))
    await go_on(hass, freezer, 75)
    assert state_of(hass, office_mode(hass, sim)) == STATE_UNAVAILABLE


async def test_obstacles_leave_the_registry_alone(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """What comes between a switch and its door is not written to the list of entities."""
    await set_up(iqs=[RECEPTION])
    lock = lock_named(sim, GATE)
    iq_id = lock.iq_id
    changes = async_capture_events(hass, er.EVENT_ENTITY_REGISTRY_UPDATED)
    for value in (None, iq_id, None, iq_id):
        sim.set("lock", lock.id, iq_id=value)
        await go_on(hass, freezer, 75)
    assert changes == []


# Active


async def test_switched_off_site_opens_nothing(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """With the site off openings and office mode are refused with nothing sent, until it is on."""
    await set_up(iqs=[RECEPTION])
    assert state_of(hass, active(hass, sim)) == STATE_ON
    await act(hass, "switch", "turn_off", active(hass, sim))
    assert state_of(hass, active(hass, sim)) == STATE_OFF
    sim.journal.clear()
    for action in ("unlock", "open"):
        with shown("inactive", users=True) as raised:
            await act(hass, "lock", action, door(hass, sim))
        assert "switched off" in str(raised.error)
    with shown("inactive", users=True):
        await act(hass, "switch", "turn_on", office_mode(hass, sim))
    assert asked(sim) == []
    await act(hass, "switch", "turn_on", active(hass, sim))
    await unlock(hass, sim)
    assert opened(sim)


@pytest.mark.parametrize("way", ["switch", "lock"])
async def test_switched_off_site_still_takes_access_away(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, way: str
) -> None:
    """With the site off office mode can be ended, by the switch and by the lock."""
    await set_up(iqs=[RECEPTION])
    await act(hass, "switch", "turn_on", office_mode(hass, sim))
    await act(hass, "switch", "turn_off", active(hass, sim))
    assert state_of(hass, office_mode(hass, sim)) == STATE_ON
    if way == "switch":
        await act(hass, "switch", "turn_off", office_mode(hass, sim))
    else:
        await act(hass, "lock", "lock", door(hass, sim))
    assert lock_named(sim, GATE).locked_state == "locked"
    assert state_of(hass, office_mode(hass, sim)) == STATE_OFF


async def test_switched_off_site_is_still_watched(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """With the site off its doors are still shown as they are."""
    await set_up(iqs=[RECEPTION])
    await act(hass, "switch", "turn_off", active(hass, sim))
    sim.set("lock", lock_named(sim, GATE).id, locked_state="office_mode")
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED


async def test_switched_off_site_stays_off(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Off survives a reload, a restart, and the entry's deletion and new set-up."""
    entry = await set_up(iqs=[RECEPTION])
    await act(hass, "switch", "turn_off", active(hass, sim))
    await hass.config_entries.async_reload(entry.entry_id)
    assert state_of(hass, active(hass, sim)) == STATE_OFF
    await hass.config_entries.async_remove(entry.entry_id)
    entry = await set_up(iqs=[])
    assert state_of(hass, active(hass, sim)) == STATE_OFF
    async with restarted(hass, entry) as (again, _):
        assert state_of(again, active(again, sim)) == STATE_OFF
        with shown("inactive", users=True):
            await unlock(again, sim)
    assert commands(sim) == 0


async def test_site_can_be_switched_while_salto_is_away(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """The switch is there when Salto is not, which is when it may be wanted most."""
    await set_up(iqs=[RECEPTION])
    await go_on(hass, freezer, 360)
    assert state_of(hass, entity_id(hass, "sensor", sim.site_id, "discrepancies")) == "0"
    sim.faults.add(Fault(status=500, count=None))
    for _ in range(11):
        await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == STATE_UNKNOWN
    assert state_of(hass, active(hass, sim)) == STATE_ON
    await act(hass, "switch", "turn_off", active(hass, sim))
    assert state_of(hass, active(hass, sim)) == STATE_OFF
