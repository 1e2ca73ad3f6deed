"""What is left for later does not come when Home Assistant stops."""

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import CoreState, HomeAssistant

from simulator import Simulator

from .conftest import SetUp
from .support import go_on, unlock
from .watching import LOCK


async def test_door_is_not_read_again(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Who opens a door and then stops Home Assistant has it closed without another request."""
    await set_up()
    await unlock(hass, sim)
    hass.set_state(CoreState.stopping)
    await go_on(hass, freezer, 5)
    assert sim.journal.count("GET", LOCK) == 0
    hass.set_state(CoreState.running)
