"""The door log in Home Assistant's own activity, with its recorder."""

from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from simulator import Simulator

from .conftest import SetUp
from .keys import HOUR, MORNING
from .support import GATE, door, go_on
from .test_access_events import NAME, employee, happens


@pytest.fixture(autouse=True)
def _our_integration(recorder_mock: object, enable_custom_integrations: None) -> None:
    """Let Home Assistant find the integration, with a recorder that has to be there before."""


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""
    freezer.move_to(MORNING + timedelta(seconds=0.5))


async def test_activity_of_home_assistant(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
) -> None:
    """In Home Assistant's own activity a line stands once under the lock, as a sentence."""
    assert await async_setup_component(hass, "logbook", {})
    await set_up(iqs=[])
    happens(sim, user=employee(sim))
    await go_on(hass, freezer, 75)
    await async_wait_recording_done(hass)
    freezer.tick(1)
    client = await hass_ws_client()
    await client.send_json_auto_id(
        {
            "type": "logbook/get_events",
            "start_time": (dt_util.utcnow() - HOUR).isoformat(),
            "entity_ids": [door(hass, sim)],
        }
    )
    told = (await client.receive_json())["result"]
    assert [(item["name"], item["message"], item["domain"]) for item in told] == [
        (GATE, f"was opened by {NAME}", "salto_ks")
    ]
