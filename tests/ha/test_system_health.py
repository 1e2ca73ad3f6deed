"""What the system information page says."""

from typing import Any
from zoneinfo import ZoneInfo

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.system_health import DOMAIN as SYSTEM_HEALTH
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from simulator import Fault, Simulator
from simulator.seeds import SeedName

from .booking_helpers import minutes_pass
from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import ask
from .support import DOMAIN, RECEPTION, entity_id
from .watching import LOCKS, act

__all__ = ["hass_config_dir", "hass_storage"]


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ."""
    return "full"


async def described(hass: HomeAssistant, browser: WebSocketGenerator) -> dict[str, Any]:
    """Open the page, and wait for what it looks up."""
    assert await async_setup_component(hass, SYSTEM_HEALTH, {})
    client = await browser(hass)
    await client.send_json_auto_id({"type": "system_health/info"})
    assert (await client.receive_json())["success"]
    shown: dict[str, Any] = {}
    while True:
        event = (await client.receive_json())["event"]
        if event["type"] == "initial":
            shown = event["data"][DOMAIN]["info"]
        elif event["type"] == "update" and event["domain"] == DOMAIN:
            shown[event["key"]] = event["data"] if event["success"] else event["error"]
        elif event["type"] == "finish":
            return shown


async def test_site_that_works(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, set_up: SetUp
) -> None:
    """The page counts sites, doors, IQs and seats, and says that both servers can be reached."""
    entry = await set_up(iqs=[RECEPTION])
    shown = await described(hass, hass_ws_client)
    requests = int(shown.pop("requests_per_hour"))
    assert requests == entry.runtime_data.client.calls.totals.requests > 5
    assert shown == {
        "sites_loaded": "1 / 1",
        "can_reach_api": "ok",
        "can_reach_identity": "ok",
        "environment": "custom",
        "last_poll": "ok",
        "clock_offset": "0 s",
        "door_log": "ok",
        "live_events": "not_offered",
        "active": "yes",
        "doors": "1",
        "iqs_activated": "1 / 1",
        "active_keys": "0",
        "seats_used": "10 / 10",
        "seats_run_out": "-",
        "last_reconciliation": "-",
        "discrepancies": "-",
        "error_rate": "0.0%",
        "codes_in_history": False,
    }


async def test_keys_and_seats(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
) -> None:
    """The page tells when keys were compared last, what is left, and when seats run out."""
    entry: ConfigEntry[Any] = await set_up(iqs=[])
    sim.set("site", sim.site_id, subscribed_user_amount=sim.world.seats_used(sim.site_id) - 1)
    await minutes_pass(hass, freezer, 11)
    await ask(hass, entry, "reconcile")
    shown = await described(hass, hass_ws_client)
    now, last = dt_util.utcnow(), entry.runtime_data.keys.manager.last_pass
    assert shown["seats_run_out"] == f"{now.astimezone(ZoneInfo(sim.site.time_zone)):%Y-%m-%d}"
    assert shown["last_reconciliation"] == f"{dt_util.as_local(last.at):%Y-%m-%d %H:%M}"
    assert shown["discrepancies"] == "0"


async def test_site_that_does_not(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    sim: Simulator,
    set_up: SetUp,
) -> None:
    """The page shows an outage, a site that is switched off, and a server that does not answer."""
    entry: ConfigEntry[Any] = await set_up(iqs=[])
    await act(hass, "switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active"))
    sim.faults.add(Fault(route=LOCKS, status=500))
    await entry.runtime_data.doors.async_refresh()
    sim.faults.add(Fault(reset=True, count=None))
    shown = await described(hass, hass_ws_client)
    assert (shown["last_poll"], shown["active"]) == ("failed", "no")
    assert shown["iqs_activated"] == "0 / 1"
    assert float(shown["error_rate"].removesuffix("%")) > 0
    assert shown["can_reach_api"] != "ok"
    assert shown["can_reach_identity"] != "ok"


async def test_site_that_is_not_loaded(
    hass: HomeAssistant, hass_ws_client: WebSocketGenerator, set_up: SetUp
) -> None:
    """Of a site that is not loaded the page tells that, and whether its servers can be reached."""
    entry = await set_up(iqs=[])
    await hass.config_entries.async_unload(entry.entry_id)
    assert await described(hass, hass_ws_client) == {
        "sites_loaded": "0 / 1",
        "can_reach_api": "ok",
        "can_reach_identity": "ok",
        "codes_in_history": False,
    }
