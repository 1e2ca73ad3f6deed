"""The blueprints, made into automations by Home Assistant and run to their effect."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
import shutil
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.automation.helpers import async_get_blueprints
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from simulator import Simulator

from .booking_helpers import FeedCalendar, add_feed, bookings, go_to, keys, minutes_pass, only_key
from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import HOUR, INSIDE_ONLY, MINUTE, MORNING, ask, edges, opens
from .support import door, go_on, lock_named, opened
from .units import CABIN, PITCH, add_unit, device_of, tell, unit_entity
from .watching import act, commands

__all__ = ["hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
OURS = Path(__file__).parents[2] / "blueprints" / "automation" / "salto_ks"
NAMES = sorted(path.stem for path in OURS.glob("*.yaml"))
START, END = MORNING + 6 * HOUR, MORNING + 30 * HOUR
TIMES: dict[str, Any] = {"starts_at": START, "ends_at": END}
NOTE = {"action": "test.note"}


@pytest.fixture(autouse=True)
async def _morning(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning in Amsterdam, and let time pass only when a test says so."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    freezer.move_to(MORNING)


@pytest.fixture(autouse=True)
async def _our_blueprints(hass: HomeAssistant) -> AsyncIterator[None]:
    """Put the blueprints where a person who imports them has them; automations end with a test."""
    shutil.copytree(OURS, hass.config.path("blueprints", "automation", "salto_ks"))
    yield
    for state in hass.states.async_all("automation"):
        await act(hass, "automation", "turn_off", state.entity_id)


@pytest.fixture
async def entry(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> ENTRY:
    """Return a site with a unit whose guests come in by both ways."""
    loaded: ENTRY = await set_up()
    await add_unit(hass, sim, loaded, mode="both")
    return loaded


@pytest.fixture
def noted(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return what automations of a test note, as a notify action would be told."""
    found: list[dict[str, Any]] = []

    async def note(call: ServiceCall) -> None:
        found.append(dict(call.data))

    hass.services.async_register("test", "note", note)
    return found


async def automate(hass: HomeAssistant, name: str, **inputs: Any) -> None:
    """Make an automation of a blueprint."""
    use = {"path": f"salto_ks/{name}.yaml", "input": inputs}
    config = {"automation": {"id": name, "alias": name, "use_blueprint": use}}
    assert await async_setup_component(hass, "automation", config)
    await hass.async_block_till_done(wait_background_tasks=True)
    (state,) = hass.states.async_all("automation")
    assert state.state == "on", state


async def add_button(hass: HomeAssistant) -> str:
    """Add a button that somebody may press."""
    assert await async_setup_component(hass, "input_button", {"input_button": {"bell": {}}})
    return "input_button.bell"


async def press(hass: HomeAssistant, freezer: FrozenDateTimeFactory, button: str) -> None:
    """Press a button, and wait for what comes of it."""
    freezer.tick(1)
    await act(hass, "input_button", "press", button)
    await hass.async_block_till_done(wait_background_tasks=True)


@pytest.mark.parametrize("name", NAMES)
async def test_loads(hass: HomeAssistant, name: str) -> None:
    """Home Assistant takes each blueprint, says what it asks for, and where it comes from."""
    assert await async_setup_component(hass, "automation", {})
    found = (await async_get_blueprints(hass).async_get_blueprints())[f"salto_ks/{name}.yaml"]
    assert isinstance(found, Blueprint)
    assert found.validate() is None
    assert found.metadata["source_url"].endswith(f"/{name}.yaml")
    for key, asked in found.inputs.items():
        assert asked is not None, key
        assert asked["name"]
        assert asked["selector"]


# The PIN to the guest


async def send_pins(hass: HomeAssistant, entry: ENTRY, **more: Any) -> None:
    """Have PINs sent two hours before the arrival."""
    data = {"pin": "{{ pin }}", "label": "{{ booking.label }}", "at": "{{ booking.starts_at }}"}
    await automate(
        hass,
        "send_pin_before_arrival",
        unit=device_of(hass, entry),
        arrival=unit_entity(hass, entry, "sensor", "next_arrival"),
        before={"hours": 2},
        send=[NOTE | {"data": data}],
        **more,
    )


async def test_pin_before_the_arrival(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entry: ENTRY,
    noted: list[dict[str, Any]],
) -> None:
    """A guest is sent the PIN once, two hours before the arrival, and nobody else is."""
    await send_pins(hass, entry)
    await tell(hass, entry, label="Family Jansen", **TIMES)
    await tell(hass, entry, "R2", label="Later", starts_at=END, ends_at=END + HOUR)
    await go_to(hass, freezer, START - 2 * HOUR - MINUTE)
    assert noted == []
    await minutes_pass(hass, freezer, 2)
    (key,) = [one for one in await keys(hass, entry) if one["booking_id"] == "R1"]
    pin = (await ask(hass, entry, "get_pin", key_id=key["key_id"]))["pin"]
    message = {"pin": pin, "label": "Family Jansen", "at": START.isoformat()}
    assert [{**one, "pin": str(one["pin"])} for one in noted] == [message]
    await minutes_pass(hass, freezer, 12)
    await go_to(hass, freezer, START + HOUR)
    assert len(noted) == 1


async def test_pin_of_a_late_booking(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entry: ENTRY,
    noted: list[dict[str, Any]],
) -> None:
    """Who books within the two hours, or is there already, is sent the PIN at once, and once."""
    await send_pins(hass, entry)
    now = datetime.now(MORNING.tzinfo)
    await tell(hass, entry, label="Soon", starts_at=now + 2 * HOUR - MINUTE, ends_at=END)
    assert [one["label"] for one in noted] == ["Soon"]
    await tell(hass, entry, "R2", label="There", starts_at=now - HOUR, ends_at=now + HOUR)
    assert [one["label"] for one in noted] == ["Soon", "There"]
    await minutes_pass(hass, freezer, 12)
    assert len(noted) == 2


async def test_pin_of_a_booking_that_is_a_number(
    hass: HomeAssistant, entry: ENTRY, noted: list[dict[str, Any]]
) -> None:
    """A guest who is there already is sent the PIN, also where the booking is called by a number."""
    await send_pins(hass, entry)
    now = datetime.now(MORNING.tzinfo)
    await tell(hass, entry, "4711", label="There", starts_at=now - HOUR, ends_at=now + HOUR)
    assert [one["label"] for one in noted] == ["There"]


async def test_pin_that_is_new(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    noted: list[dict[str, Any]],
) -> None:
    """A guest whose PIN was replaced after the message is sent the new one, which opens."""
    await send_pins(hass, entry)
    now = datetime.now(MORNING.tzinfo)
    await tell(hass, entry, starts_at=now + HOUR, ends_at=END)
    key = await only_key(hass, entry)
    freezer.tick(5)
    await ask(hass, entry, "rotate_pin", key_id=key["key_id"])
    await minutes_pass(hass, freezer, 6)
    assert len(noted) == 2
    pins = [str(one["pin"]) for one in noted]
    assert [opens(sim, pin, at=now + 2 * HOUR) for pin in pins] == [False, True]


async def test_pin_after_a_pause(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entry: ENTRY,
    noted: list[dict[str, Any]],
) -> None:
    """A message that was due while the automation was off is sent when it is on again."""
    await send_pins(hass, entry)
    await tell(hass, entry, **TIMES)
    automation = "automation.send_pin_before_arrival"
    await act(hass, "automation", "turn_off", automation)
    await go_to(hass, freezer, START - HOUR)
    assert noted == []
    await act(hass, "automation", "turn_on", automation)
    await minutes_pass(hass, freezer, 6)
    assert len(noted) == 1


async def test_pin_that_is_forgotten(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    entry: ENTRY,
    noted: list[dict[str, Any]],
) -> None:
    """Where one guest's PIN cannot be told any more the others are sent theirs all the same."""
    hass.config_entries.async_update_entry(entry, options={"forget_pins": True})
    await hass.async_block_till_done(wait_background_tasks=True)
    await tell(hass, entry, label="Told", **TIMES)
    await only_key(hass, entry)
    await tell(hass, entry, "R2", label="Untold", **TIMES)
    await send_pins(hass, entry)
    await go_to(hass, freezer, START - HOUR)
    await minutes_pass(hass, freezer, 6)
    assert [one["label"] for one in noted] == ["Untold"]


# Doors


async def test_open_by_button(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    noted: list[dict[str, Any]],
) -> None:
    """A press opens both doors for who is booked; when nobody may come in somebody is told."""
    button = await add_button(hass)
    refused = [NOTE | {"data": {"expected": "{{ bookings | map(attribute='starts_at') | list }}"}}]
    unit = device_of(hass, entry)
    await automate(hass, "open_for_the_booking", unit=unit, button=button, refused=refused)
    await tell(hass, entry, **TIMES)
    await press(hass, freezer, button)
    assert noted == [{"expected": [START.isoformat()]}]
    assert commands(sim) == 0
    await go_to(hass, freezer, START)
    await press(hass, freezer, button)
    assert opened(sim)
    assert opened(sim, CABIN)
    assert len(noted) == 1
    assert (await bookings(hass))[0]["status"] == "checked_in"


@pytest.mark.parametrize(
    ("states", "presses"),
    [
        (["off", "on"], 1),
        (["unknown", "on"], 0),
        (["unavailable", "on"], 0),
        (["off", "on", "unavailable", "on"], 1),
        (["on"], 0),
        (["off", "on", "off", "on"], 2),
    ],
)
async def test_what_is_a_press(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    states: list[str],
    presses: int,
) -> None:
    """A sensor counts when it comes on, and not when it comes back from wherever it was."""
    sensor, unit = "binary_sensor.bell", device_of(hass, entry)
    await automate(hass, "open_for_the_booking", unit=unit, button=sensor)
    await tell(hass, entry, **TIMES)
    await go_to(hass, freezer, START)
    for state in states:
        hass.states.async_set(sensor, state)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert commands(sim) == 2 * presses


async def test_button_that_is_loaded_anew(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A button whose last press is remembered opens nothing when it is loaded anew."""
    button, unit = "input_button.bell", device_of(hass, entry)
    await automate(hass, "open_for_the_booking", unit=unit, button=button)
    await tell(hass, entry, **TIMES)
    await go_to(hass, freezer, START)
    for state in (START.isoformat(), "unavailable", START.isoformat()):
        hass.states.async_set(button, state)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert commands(sim) == 0


async def test_revoke_on_check_out(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A press at check-out completes who is there, whose PIN is dead, and leaves who comes next."""
    button = await add_button(hass)
    await automate(hass, "revoke_on_check_out", unit=device_of(hass, entry), signal=button)
    await tell(hass, entry, label="Family Jansen", **TIMES)
    pin = (await only_key(hass, entry))["pin"]
    await tell(hass, entry, "R2", starts_at=END, ends_at=END + HOUR)
    await press(hass, freezer, button)
    assert len(await keys(hass, entry)) == 2
    await go_to(hass, freezer, START + HOUR)
    await press(hass, freezer, button)
    assert not opens(sim, pin)
    found = [(one["status"], one["label"]) for one in await bookings(hass)]
    assert found == [("completed", "Family Jansen"), ("confirmed", "")]
    assert [key["booking_id"] for key in await keys(hass, entry)] == ["R2"]


async def test_revoke_by_an_id_that_looks_like_a_number(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: ENTRY
) -> None:
    """The booking that is there is completed, and none is made beside it."""
    button = await add_button(hass)
    await automate(hass, "revoke_on_check_out", unit=device_of(hass, entry), signal=button)
    await tell(hass, entry, "1.50", label="None", **TIMES)
    await go_to(hass, freezer, START + HOUR)
    await press(hass, freezer, button)
    found = [(one["booking_id"], one["status"], one["label"]) for one in await bookings(hass)]
    assert found == [("1.50", "completed", "None")]


async def test_warn(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    noted: list[dict[str, Any]],
) -> None:
    """Staff are told once which unit is not ready for its arrival, and why."""
    await automate(
        hass,
        "warn_when_not_ready",
        ready=[unit_entity(hass, entry, "binary_sensor", "ready")],
        patience={"minutes": 3},
        warn=[NOTE | {"data": {"unit": "{{ unit }}", "reasons": "{{ reasons }}"}}],
    )
    await tell(hass, entry, **TIMES)
    lock_named(sim, CABIN).online = False
    await go_to(hass, freezer, START - 4 * HOUR)
    assert noted == []
    await go_to(hass, freezer, START - 2 * HOUR)
    await minutes_pass(hass, freezer, 6)
    assert noted == [{"unit": PITCH, "reasons": "lock offline"}]


# Without a unit, and from outside


@pytest.mark.parametrize("name", ["Choir", "None", "x" * 150])
async def test_keys_from_a_calendar(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: ENTRY,
    noted: list[dict[str, Any]],
    name: str,
) -> None:
    """An event of any calendar has a key from an hour before it, which is taken back at its end."""
    feed: FeedCalendar = await add_feed(hass)
    feed.write(name, START, START + 3 * HOUR)
    await automate(
        hass,
        "keys_from_a_calendar",
        calendar=feed.entity_id,
        doors=[door(hass, sim), door(hass, sim, CABIN)],
        issued=[NOTE | {"data": {"pin": "{{ key.pin }}", "key_id": "{{ key.key_id }}"}}],
    )
    for moment in (START - 2 * HOUR, START - 59 * MINUTE):
        assert noted == []
        freezer.move_to(moment - 20 * MINUTE)
        await go_on(hass, freezer, 0)
        await go_to(hass, freezer, moment)
    key = await only_key(hass, entry)
    assert key["label"] == name[:100]
    assert [one | {"pin": str(one["pin"])} for one in noted] == [
        {"pin": key["pin"], "key_id": key["key_id"]}
    ]
    for where in ("Main gate", CABIN):
        assert edges(sim, key, where) == INSIDE_ONLY
    for moment in (START + HOUR, START + 170 * MINUTE, START + 3 * HOUR + MINUTE):
        await go_to(hass, freezer, moment)
    assert await keys(hass, entry) == []


async def test_webhook(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    hass_client_no_auth: ClientSessionGenerator,
) -> None:
    """A booking system that calls the webhook makes bookings, changes them and cancels them."""
    assert await async_setup_component(hass, "webhook", {})
    unit = device_of(hass, entry)
    await automate(hass, "booking_by_webhook", webhook="long-and-secret", unit=unit)
    client = await hass_client_no_auth()

    async def post(**data: Any) -> None:
        answer = await client.post("/api/webhook/long-and-secret", json=data)
        assert answer.status == 200
        await hass.async_block_till_done(wait_background_tasks=True)

    told = {"id": 4711, "arrival": START.isoformat(), "departure": "2026-12-08T15:00:00"}
    await post(**told, status="confirmed", name="Family Jansen")
    (booking,) = await bookings(hass)
    assert (booking["booking_id"], booking["label"]) == ("4711", "Family Jansen")
    assert booking["ends_at"] == "2026-12-08T14:00:00+00:00"
    key = await only_key(hass, entry)
    assert edges(sim, key) == INSIDE_ONLY
    await post(id=4711, arrival="", departure="", status="cancelled")
    assert len(await keys(hass, entry)) == 1
    await post(**told, status="cancelled")
    assert await keys(hass, entry) == []
    (booking,) = await bookings(hass)
    assert (booking["status"], booking["label"]) == ("cancelled", "Family Jansen")
    await post(**told, status="cancelled", name=None)
    assert (await bookings(hass))[0]["label"] == ""


async def test_webhook_without_an_id(
    hass: HomeAssistant, entry: ENTRY, hass_client_no_auth: ClientSessionGenerator
) -> None:
    """Bookings that have no id are not one and the same: none of them is taken."""
    assert await async_setup_component(hass, "webhook", {})
    unit = device_of(hass, entry)
    await automate(hass, "booking_by_webhook", webhook="long-and-secret", unit=unit)
    client = await hass_client_no_auth()
    told = {"arrival": START.isoformat(), "departure": END.isoformat(), "status": "confirmed"}
    for without in ({}, {"id": None}, {"id": ""}):
        await client.post("/api/webhook/long-and-secret", json=without | told)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert await bookings(hass) == []


@pytest.mark.parametrize(
    "name",
    ["[1]", "12", "007", "1.50", "1,2", "None", "true", "{'a': 1}", "Café “Zur Brücke”", "{{ x }}"],
)
async def test_webhook_takes_texts_as_they_are(
    hass: HomeAssistant, entry: ENTRY, hass_client_no_auth: ClientSessionGenerator, name: str
) -> None:
    """Whatever a booking is called in the booking system, it is called here."""
    assert await async_setup_component(hass, "webhook", {})
    unit = device_of(hass, entry)
    await automate(hass, "booking_by_webhook", webhook="long-and-secret", unit=unit)
    client = await hass_client_no_auth()
    told = {"arrival": START.isoformat(), "departure": END.isoformat(), "status": "confirmed"}
    for label in (name, None, name * 100):
        data = {"id": name, "name": label, **told}
        await client.post("/api/webhook/long-and-secret", json=data)
        await hass.async_block_till_done(wait_background_tasks=True)
        (booking,) = await bookings(hass)
        assert (booking["booking_id"], booking["label"]) == (name, (label or "")[:100].strip())
