"""What a unit shows over a stay, what its buttons do, and what nobody may read there."""

from datetime import timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import (
    EVENT_CALL_SERVICE,
    MATCH_ALL,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    EntityCategory,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import device_registry as dr, issue_registry as ir
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.typing import WebSocketGenerator

from simulator import Fault, Simulator

from .conftest import SetUp
from .files import hass_config_dir, hass_storage, path_of, write
from .keys import GUESTS, HOUR, INSIDE_ONLY, MINUTE, MORNING, USERS, ask, edges, issue, opens
from .support import (
    FIELD,
    GATE,
    RECEPTION,
    entity_id,
    go_on,
    iq_named,
    lock_named,
    opened,
)
from .test_devices import removes
from .unit_steps import (
    ARRIVAL,
    CABIN_LOCK,
    DEPARTURE,
    GATE_LOCK,
    GUEST,
    book,
    entities_of,
    go_to,
    make_unit,
    settle,
    shows,
    unit_device,
)
from .units import PITCH, add_unit, unit_entity, unit_id_of
from .watching import LOCKS, act, commands, pass_by, running, shown, until

__all__ = ["hass_config_dir", "hass_storage"]  # one test damages a file

type Entry = ConfigEntry[Any]

CABIN = "Pitch 12 cabin"
OPENS = ARRIVAL - 30 * MINUTE
CLOSES = DEPARTURE + 15 * MINUTE
"""The window of the key of a stay, with the margins of these units."""

COMMON = {
    "binary_sensor.ready": ("Ready for arrival", None, STATE_UNKNOWN),
    "calendar.keys": ("Keys", None, "off"),
    "event.key_life_cycle": ("Keys", None, STATE_UNKNOWN),
    "sensor.current_booking": ("Current booking", None, "free"),
    "sensor.next_arrival": ("Next arrival", None, STATE_UNKNOWN),
    "sensor.key_state": ("Key", None, "none"),
}
"""Name behind the device's, category and first state of what every unit has."""
OPEN = {"button.open": ("Open for the booking", None, STATE_UNKNOWN)}
NEW_PIN = {"button.reissue": ("New PIN", EntityCategory.CONFIG, STATE_UNKNOWN)}


@pytest.fixture(autouse=True)
def _monday(freezer: FrozenDateTimeFactory) -> None:
    """Begin on a Monday morning, and let time pass only when a test says so."""
    freezer.move_to(MORNING)


@pytest.fixture
async def entry(set_up: SetUp) -> Entry:
    """Set the site up, with both IQs."""
    entry: Entry = await set_up()
    return entry


@pytest.fixture
async def unit_id(hass: HomeAssistant, entry: Entry) -> str:
    """Add a unit whose guests have PINs and are opened for."""
    return await make_unit(hass, entry, mode="both")


def state(hass: HomeAssistant, unit_id: str, key: str) -> str:
    """Return the state of a sensor of a unit."""
    return shows(hass, unit_id, "sensor", key).state


def sensors(hass: HomeAssistant, unit_id: str) -> tuple[str, ...]:
    """Return who is there, who comes next, how the key stands and whether the unit is ready."""
    arrival = state(hass, unit_id, "next_arrival")
    return (
        state(hass, unit_id, "current_booking"),
        arrival if arrival == STATE_UNKNOWN else arrival[5:16],
        state(hass, unit_id, "key_state"),
        shows(hass, unit_id, "binary_sensor", "ready").state,
    )


def readiness(hass: HomeAssistant, unit_id: str) -> tuple[str, list[str], list[str]]:
    """Return whether a unit is ready, what is in the way, and what is not known."""
    ready = shows(hass, unit_id, "binary_sensor", "ready")
    return ready.state, ready.attributes["reasons"], ready.attributes["unknown"]


async def the_key(hass: HomeAssistant, entry: Entry, **about: Any) -> dict[str, Any]:
    """Return the one key there is."""
    (key,) = (await ask(hass, entry, "get_keys", **about))["keys"]
    found: dict[str, Any] = key
    return found


async def pin_of(hass: HomeAssistant, entry: Entry) -> str:
    """Return the PIN of the one key that is set."""
    key = await the_key(hass, entry, status="set")
    return str((await ask(hass, entry, "get_pin", key_id=key["key_id"]))["pin"])


async def press(hass: HomeAssistant, unit_id: str, key: str) -> None:
    """Press a button of a unit."""
    await act(hass, "button", "press", entity_id(hass, "button", unit_id, key))


# Device and entities


@pytest.mark.parametrize(
    ("mode", "more"),
    [("pin", NEW_PIN), ("remote", OPEN), ("both", OPEN | NEW_PIN)],
)
async def test_device_and_entities(
    hass: HomeAssistant, entry: Entry, mode: str, more: dict[str, tuple[str, Any, str]]
) -> None:
    """A unit is a device of its subentry, and has the buttons of how its guests come in."""
    unit_id = await make_unit(hass, entry, mode=mode)
    device = unit_device(hass, entry, unit_id)
    assert (device.config_entry_id, device.config_subentry_id) == (entry.entry_id, unit_id)
    assert (device.name, device.manufacturer, device.model) == (PITCH, "SALTO", "KS unit")
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    entities = {
        f"{entity.domain}.{entity.unique_id.removeprefix(f'{unit_id}-')}": entity
        for entity in entities_of(hass, unit_id)
    }
    expected = COMMON | more
    assert entities.keys() == expected.keys()
    for key, (name, category, first) in expected.items():
        entity = entities[key]
        assert (entity.device_id, entity.config_entry_id) == (device.id, entry.entry_id)
        assert entity.entity_category == category
        assert entity.has_entity_name
        assert not entity.disabled
        there = hass.states.get(entity.entity_id)
        assert there is not None
        assert (there.name, there.state) == (f"{PITCH} {name}", first), key


async def test_units_have_nothing_in_common(hass: HomeAssistant, entry: Entry) -> None:
    """What is booked shows at its own unit, however alike two are."""
    units = [await make_unit(hass, entry, name=name, mode="both") for name in ("A", "B")]
    await book(hass, entry, unit="A")
    assert [state(hass, unit_id, "next_arrival") for unit_id in units] == [
        ARRIVAL.isoformat(),
        STATE_UNKNOWN,
    ]


async def test_device_is_not_removed_by_hand(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    *,
    entry: Entry,
    unit_id: str,
) -> None:
    """The device of a unit goes with the unit, and with nothing else."""
    assert await async_setup_component(hass, "config", {})
    device = unit_device(hass, entry, unit_id)
    assert not await removes(hass, hass_ws_client, entry, device.id)
    assert entities_of(hass, unit_id)
    hass.config_entries.async_remove_subentry(entry, unit_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert dr.async_get(hass).async_get(device.id) is None
    assert entities_of(hass, unit_id) == []


# A stay


async def test_stay(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """From nobody to a guest who has come and gone, each entity says how things are."""
    assert sensors(hass, unit_id) == ("free", STATE_UNKNOWN, "none", STATE_UNKNOWN)

    await book(hass, entry, status="pending")
    await settle(hass, freezer)
    assert sensors(hass, unit_id) == ("free", STATE_UNKNOWN, "none", STATE_UNKNOWN)

    await book(hass, entry)
    await settle(hass, freezer)
    assert sensors(hass, unit_id) == ("free", "12-07T14:00", "set", STATE_UNKNOWN)

    await go_to(hass, freezer, ARRIVAL - 3 * HOUR)
    assert sensors(hass, unit_id) == ("free", "12-07T14:00", "set", "on")

    await go_to(hass, freezer, ARRIVAL)
    assert sensors(hass, unit_id) == ("confirmed", STATE_UNKNOWN, "set", "on")

    await book(hass, entry, "R-2", starts_at=DEPARTURE + 5 * HOUR, ends_at=DEPARTURE + 29 * HOUR)
    await settle(hass, freezer)
    assert sensors(hass, unit_id) == ("confirmed", "12-09T13:00", "set", "on")

    await press(hass, unit_id, "open")
    await settle(hass, freezer)
    assert sensors(hass, unit_id) == ("checked_in", "12-09T13:00", "set", STATE_UNKNOWN)

    await go_to(hass, freezer, DEPARTURE)
    assert sensors(hass, unit_id) == ("free", "12-09T13:00", "set", STATE_UNKNOWN)

    await go_to(hass, freezer, DEPARTURE + 2 * HOUR)
    assert sensors(hass, unit_id) == ("free", "12-09T13:00", "set", "on")

    await book(
        hass,
        entry,
        "R-2",
        starts_at=DEPARTURE + 5 * HOUR,
        ends_at=DEPARTURE + 29 * HOUR,
        status="cancelled",
    )
    await settle(hass, freezer)
    assert sensors(hass, unit_id)[:2] == ("free", STATE_UNKNOWN)
    assert state(hass, unit_id, "key_state") == "none"


async def test_pending_guest_who_is_there(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: Entry, unit_id: str
) -> None:
    """A booking that is not sure yet is shown while it lasts, has no key and is not waited for."""
    await book(hass, entry, status="pending")
    await go_to(hass, freezer, ARRIVAL)
    assert sensors(hass, unit_id) == ("pending", STATE_UNKNOWN, "none", STATE_UNKNOWN)
    await book(hass, entry, status="completed")
    assert sensors(hass, unit_id) == ("free", STATE_UNKNOWN, "none", STATE_UNKNOWN)


async def test_first_pin_checks_in(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """A guest who has typed the PIN is there; when, is known to the minute."""
    await book(hass, entry)
    await settle(hass, freezer)
    pin = await pin_of(hass, entry)
    await go_to(hass, freezer, ARRIVAL + HOUR)
    came = dt_util.utcnow()
    assert opens(sim, pin)
    await go_on(hass, freezer, 75)
    await go_on(hass, freezer, 75)
    assert state(hass, unit_id, "current_booking") == "checked_in"
    about = shows(hass, unit_id, "sensor", "current_booking").attributes
    assert about["opened_at"][:16] == came.isoformat()[:16]
    assert shows(hass, unit_id, "sensor", "key_state").attributes["proven"]


async def test_attributes(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: Entry, unit_id: str
) -> None:
    """Sensors say which booking and which key they are about, and nothing personal."""

    def about(key: str) -> dict[str, Any]:
        attributes = shows(hass, unit_id, "sensor", key).attributes
        return {
            name: value
            for name, value in attributes.items()
            if name not in {"friendly_name", "device_class", "options"}
        }

    assert about("current_booking") == about("next_arrival") == about("key_state") == {}
    await book(hass, entry)
    await settle(hass, freezer)
    booking = {
        "booking_id": "R-1",
        "starts_at": ARRIVAL.isoformat(),
        "ends_at": DEPARTURE.isoformat(),
        "status": "confirmed",
        "opened_at": None,
    }
    assert about("next_arrival") == booking
    assert about("current_booking") == {}
    assert about("key_state") == {
        "key_id": (await the_key(hass, entry))["key_id"],
        "booking_id": "R-1",
        "errors": [],
        "warnings": [],
        "proven": False,
    }
    await go_to(hass, freezer, ARRIVAL)
    opened_at = dt_util.utcnow()
    await press(hass, unit_id, "open")
    assert about("next_arrival") == {}
    assert about("current_booking") == booking | {
        "status": "checked_in",
        "opened_at": opened_at.isoformat(),
    }


# Ready or not


async def due(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: Entry, **more: Any
) -> None:
    """Book, and go to an hour before the arrival."""
    await book(hass, entry, **more)
    await settle(hass, freezer)
    await go_to(hass, freezer, ARRIVAL - HOUR)


async def test_ready_from_three_hours_before(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: Entry, unit_id: str
) -> None:
    """Before that nobody is due, and the sensor says so."""
    await book(hass, entry)
    await go_to(hass, freezer, ARRIVAL - 3 * HOUR - 3 * MINUTE)
    ready = shows(hass, unit_id, "binary_sensor", "ready")
    assert (ready.state, ready.attributes["readiness"]) == (STATE_UNKNOWN, "nobody_due")
    await go_to(hass, freezer, ARRIVAL - 3 * HOUR)
    ready = shows(hass, unit_id, "binary_sensor", "ready")
    assert (ready.state, ready.attributes["readiness"]) == ("on", "ready")
    assert readiness(hass, unit_id) == ("on", [], [])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"online": False}, "lock_offline"),
        ({"battery_level": "low"}, "battery_low"),
        ({"battery_level": "critical"}, "battery_low"),
        ({"privacy_mode": True}, "privacy_mode"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
@pytest.mark.parametrize("name", [GATE, CABIN])
async def test_door_is_in_the_way(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
    name: str,
    changes: dict[str, Any],
    reason: str,
) -> None:
    """Whatever is the matter with any door of the unit is said, until it is over."""
    await due(hass, freezer, entry)
    assert readiness(hass, unit_id) == ("on", [], [])
    lock = lock_named(sim, name)
    before = {key: getattr(lock, key) for key in changes}
    sim.set("lock", lock.id, **changes)
    await go_on(hass, freezer, 75)
    await go_on(hass, freezer, 75)
    assert readiness(hass, unit_id) == ("off", [reason], [])
    sim.set("lock", lock.id, **before)
    await go_on(hass, freezer, 75)
    await go_on(hass, freezer, 75)
    assert readiness(hass, unit_id) == ("on", [], [])


async def test_iq_is_in_the_way(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """An IQ that is offline is in the way of the doors on it."""
    await due(hass, freezer, entry)
    sim.set("iq", iq_named(sim, FIELD).id, online=False)
    await go_on(hass, freezer, 75)
    await go_on(hass, freezer, 75)
    state, reasons, _ = readiness(hass, unit_id)
    assert (state, reasons[0]) == ("off", "iq_offline")


async def test_key_that_could_not_be_made(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """A key that Salto refuses is named, in the key's own sensor too, until it is there."""
    sim.faults.add(Fault(route=GUESTS, method="POST", status=400, count=None))
    await due(hass, freezer, entry)
    assert readiness(hass, unit_id) == ("off", ["key_failed"], [])
    key = shows(hass, unit_id, "sensor", "key_state")
    assert (key.state, key.attributes["errors"]) == ("failed", ["refused"])
    sim.faults.clear()
    for _ in range(60):
        await go_on(hass, freezer, 75)
    assert readiness(hass, unit_id) == ("on", [], [])
    assert state(hass, unit_id, "key_state") == "set"


async def test_key_that_is_missing(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """A site that is switched off makes no keys, so its units are not ready."""
    await act(hass, "switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active"))
    await due(hass, freezer, entry)
    assert readiness(hass, unit_id) == ("off", ["key_missing"], [])
    assert state(hass, unit_id, "key_state") == "none"


async def test_key_that_waits_for_its_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: Entry
) -> None:
    """A key that is to be issued the lead time before the arrival is shown as scheduled till then."""
    unit_id = await make_unit(hass, entry, {"keys": {"lead_hours": 3}}, mode="both")
    assert state(hass, unit_id, "key_state") == "none"
    await book(hass, entry)
    await settle(hass, freezer)
    assert state(hass, unit_id, "key_state") == "scheduled"
    await go_to(hass, freezer, ARRIVAL - 3 * HOUR)
    await settle(hass, freezer)
    assert state(hass, unit_id, "key_state") == "set"


async def test_key_that_is_suspended(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: Entry, unit_id: str
) -> None:
    """A key that staff have suspended stays so, and is in the way."""
    await due(hass, freezer, entry)
    key = await the_key(hass, entry)
    await ask(hass, entry, "suspend_key", key_id=key["key_id"])
    await settle(hass, freezer)
    await settle(hass, freezer)
    assert readiness(hass, unit_id) == ("off", ["key_suspended"], [])
    assert state(hass, unit_id, "key_state") == "suspended"


async def test_poll_that_failed(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """Where Salto does not answer nobody knows how the doors are, and that is what is said."""
    await due(hass, freezer, entry)
    sim.faults.add(Fault(route=LOCKS, status=500, count=None))
    await go_on(hass, freezer, 75)
    await go_on(hass, freezer, 75)
    everything = ["iq_offline", "lock_offline", "battery_low", "privacy_mode"]
    assert readiness(hass, unit_id) == (STATE_UNKNOWN, [], everything)
    assert shows(hass, unit_id, "binary_sensor", "ready").attributes["readiness"] == "unknown"
    sim.faults.clear()
    await go_on(hass, freezer, 75)
    await go_on(hass, freezer, 75)
    assert readiness(hass, unit_id) == ("on", [], [])


# Calendars


async def events_of(hass: HomeAssistant, calendar: str, **asked: Any) -> list[dict[str, Any]]:
    """Ask a calendar for its events from Monday morning on, as an automation does."""
    span = asked if "end_date_time" in asked else {"duration": {"days": 30}} | asked
    answer = await hass.services.async_call(
        "calendar",
        "get_events",
        {"entity_id": calendar, "start_date_time": MORNING.isoformat(), **span},
        blocking=True,
        return_response=True,
    )
    assert answer is not None
    events: list[dict[str, Any]] = answer[calendar]["events"]  # type: ignore[index, call-overload, assignment] # as it is
    return events


async def test_calendars(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """The windows of keys are events in order, by the names of units and keys, and no more."""
    await hass.config.async_set_time_zone("UTC")
    other = await make_unit(hass, entry, name="Pitch 13", doors=[GATE_LOCK])
    later = DEPARTURE + 5 * HOUR
    await book(hass, entry, "R-2", starts_at=later, ends_at=later + 24 * HOUR)
    await settle(hass, freezer)
    await book(hass, entry)
    await book(hass, entry, "R-3", unit="Pitch 13", starts_at=ARRIVAL + HOUR)
    await settle(hass, freezer)
    by_hand = await issue(hass, sim, entry)
    keys = {key["booking_id"]: key for key in (await ask(hass, entry, "get_keys"))["keys"]}
    first, second, third = (keys[name]["key_id"] for name in ("R-1", "R-2", "R-3"))

    site = entity_id(hass, "calendar", sim.site_id, "keys")
    assert [event["summary"] for event in await events_of(hass, site)] == [
        by_hand["key_id"],
        f"Pitch 12 {first}",
        f"Pitch 13 {third}",
        f"Pitch 12 {second}",
    ]
    mine = entity_id(hass, "calendar", unit_id, "keys")
    events = await events_of(hass, mine)
    assert [event["summary"] for event in events] == [first, second]
    assert (events[0]["start"], events[0]["end"]) == (OPENS.isoformat(), CLOSES.isoformat())
    assert set(events[0]) == {"summary", "start", "end"}
    theirs = entity_id(hass, "calendar", other, "keys")
    assert [event["summary"] for event in await events_of(hass, theirs)] == [third]

    assert await events_of(hass, mine, end_date_time=OPENS.isoformat()) == []
    at_once = (OPENS + MINUTE).isoformat()
    assert len(await events_of(hass, mine, end_date_time=at_once)) == 1
    assert await events_of(hass, mine, start_date_time=CLOSES.isoformat()) == events[1:]
    assert not {key["pin"] for key in [by_hand]} & set(str(await events_of(hass, site)).split())


async def test_calendar_states(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: Entry, unit_id: str
) -> None:
    """A calendar is on while a key opens, and shows that key, else the next one."""
    later = DEPARTURE + 5 * HOUR
    await book(hass, entry)
    await book(hass, entry, "R-2", starts_at=later, ends_at=later + 24 * HOUR)
    await settle(hass, freezer)
    keys = {
        key["booking_id"]: key["key_id"] for key in (await ask(hass, entry, "get_keys"))["keys"]
    }

    def there() -> tuple[str, str | None]:
        calendar = shows(hass, unit_id, "calendar", "keys")
        return calendar.state, calendar.attributes.get("message")

    assert there() == ("off", keys["R-1"])
    await go_to(hass, freezer, OPENS)
    assert there() == ("on", keys["R-1"])
    await go_to(hass, freezer, CLOSES)
    assert there() == ("off", keys["R-2"])
    await book(hass, entry, "R-2", starts_at=later, ends_at=later + 24 * HOUR, status="cancelled")
    await settle(hass, freezer)
    assert there() == ("off", None)


# The life of keys


async def test_events(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """Each unit tells of its own keys: made, changed, used for the first time, taken away."""
    other = await make_unit(hass, entry, name="Pitch 13")
    seen: list[tuple[str, str | None]] = []
    mine = entity_id(hass, "event", unit_id, "key_life_cycle")

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == mine:
            new = event.data["new_state"].attributes
            seen.append((new["event_type"], new.get("change")))

    hass.bus.async_listen("state_changed", note)
    await book(hass, entry)
    await settle(hass, freezer)
    pin = await pin_of(hass, entry)
    await book(hass, entry, ends_at=DEPARTURE + HOUR)
    await settle(hass, freezer)
    await go_to(hass, freezer, ARRIVAL)
    assert opens(sim, pin)
    await go_on(hass, freezer, 75)
    await go_on(hass, freezer, 75)
    await book(hass, entry, ends_at=DEPARTURE + HOUR, status="cancelled")
    for _ in range(15):
        await go_on(hass, freezer, 75)
    assert seen == [
        ("key_issued", None),
        ("key_changed", "window"),
        ("key_first_used", None),
        ("key_changed", "removing"),
        ("key_revoked", None),
    ]
    shown_there = shows(hass, unit_id, "event", "key_life_cycle").attributes
    assert shown_there["booking_id"] == "R-1"
    assert shown_there["doors"] == [GATE_LOCK, CABIN_LOCK]
    assert shows(hass, other, "event", "key_life_cycle").state == STATE_UNKNOWN


# The open button


async def test_open_button(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """It opens all doors for who is booked now, and before that says from when on it will."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    with shown("opening_no_booking", users=True) as raised:
        await press(hass, unit_id, "open")
    assert raised.placeholders == {"unit": PITCH}
    await book(hass, entry)
    with shown("opening_too_early", users=True) as raised:
        await press(hass, unit_id, "open")
    assert raised.placeholders == {"unit": PITCH, "from_when": "2026-12-07 14:45"}
    await go_to(hass, freezer, ARRIVAL - 17 * MINUTE)
    with shown("opening_too_early", users=True):
        await press(hass, unit_id, "open")
    assert commands(sim) == 0
    await go_to(hass, freezer, ARRIVAL - 15 * MINUTE)
    await press(hass, unit_id, "open")
    assert opened(sim, GATE)
    assert opened(sim, CABIN)
    assert commands(sim) == 2


@pytest.mark.parametrize("status", ["pending", "completed", "cancelled"])
async def test_open_button_by_status(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
    status: str,
) -> None:
    """For a booking that is not sure, or is over, no door opens."""
    await book(hass, entry)
    await go_to(hass, freezer, ARRIVAL)
    await book(hass, entry, status=status)
    with shown("opening_pending" if status == "pending" else "opening_no_booking", users=True):
        await press(hass, unit_id, "open")
    assert commands(sim) == 0


async def test_open_button_while_the_site_is_off(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """With the site switched off no door opens."""
    await book(hass, entry)
    await go_to(hass, freezer, ARRIVAL)
    await act(hass, "switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active"))
    with shown("opening_inactive", users=True):
        await press(hass, unit_id, "open")
    assert commands(sim) == 0


async def test_one_of_two_doors_does_not_open(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door whose IQ is not activated is named, after the other one was opened."""
    entry = await set_up(iqs=[RECEPTION])
    unit_id = await make_unit(hass, entry, mode="remote")
    await book(hass, entry)
    await go_to(hass, freezer, ARRIVAL)
    with shown("iq_not_set_up", users=True):
        await press(hass, unit_id, "open")
    assert opened(sim, GATE)
    assert not opened(sim, CABIN)
    assert state(hass, unit_id, "current_booking") == "checked_in"


async def test_door_opens_while_keys_are_compared(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """The button waits for no other: a door that opens late opens for somebody else."""
    await book(hass, entry)
    await go_to(hass, freezer, ARRIVAL)
    slow = sim.faults.add(Fault(route=USERS, latency=5))
    reconcile = entity_id(hass, "button", sim.site_id, "reconcile")
    with running(act(hass, "button", "press", reconcile)) as comparing:
        await until(lambda: sim.faults.hits(slow) == 1)
        await press(hass, unit_id, "open")
        assert opened(sim, GATE)
        assert not comparing.done()
        pass_by(freezer, 5)
        await comparing


# The button for a new PIN


async def test_new_pin_button(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """Who comes next gets another PIN for the same doors and time; the old one opens nothing."""
    await book(hass, entry)
    await settle(hass, freezer)
    old = await pin_of(hass, entry)
    await press(hass, unit_id, "reissue")
    await settle(hass, freezer)
    key, new = await the_key(hass, entry, status="set"), await pin_of(hass, entry)
    assert new != old
    for name in (GATE, CABIN):
        assert edges(sim, key, name, new) == INSIDE_ONLY
        assert not opens(sim, old, name, ARRIVAL + HOUR)
    assert datetimes(key) == (OPENS, CLOSES)
    assert state(hass, unit_id, "key_state") == "set"


def datetimes(key: dict[str, Any]) -> tuple[Any, Any]:
    """Return the ends of a key's window."""
    start, end = (dt_util.parse_datetime(key[name]) for name in ("starts_at", "ends_at"))
    return start, end


@pytest.mark.parametrize("status", [None, "pending", "cancelled"])
async def test_new_pin_for_nobody(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
    status: str | None,
) -> None:
    """Where nobody has a key there is none to make anew, and that is said."""
    if status is not None:
        await book(hass, entry, status=status)
        await settle(hass, freezer)
    with shown("key_none_of_unit", users=True):
        await press(hass, unit_id, "reissue")
    assert not await keys_of(hass, entry)


async def keys_of(hass: HomeAssistant, entry: Entry) -> list[Any]:
    """Return all keys there are."""
    keys: list[Any] = (await ask(hass, entry, "get_keys"))["keys"]
    return keys


# Bad days


async def test_bookings_file_is_damaged(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
) -> None:
    """What is not known is not shown, a person is told, no key is touched; doors go on as ever."""
    await book(hass, entry)
    await settle(hass, freezer)
    name = f"salto_ks.bookings.{sim.site_id}"
    whole = path_of(hass, name).read_text("utf-8")
    assert await hass.config_entries.async_unload(entry.entry_id)
    write(hass, name, {"bookings": ["nonsense"]})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await settle(hass, freezer)
    entities = entities_of(hass, unit_id)
    assert len(entities) == 8
    for entity in entities:
        there = hass.states.get(entity.entity_id)
        assert there is not None
        assert there.state == STATE_UNAVAILABLE, entity.entity_id
    issue_id = f"bookings_unreadable_{entry.entry_id}"
    assert ir.async_get(hass).async_get_issue("salto_ks", issue_id) is not None
    gate = hass.states.get(GATE_LOCK)
    assert gate is not None
    assert gate.state == "locked"
    assert (await the_key(hass, entry))["status"] == "set"

    assert await hass.config_entries.async_unload(entry.entry_id)
    path_of(hass, name).write_text(whole, "utf-8")
    assert await hass.config_entries.async_setup(entry.entry_id)
    await settle(hass, freezer)
    assert sensors(hass, unit_id) == ("free", "12-07T14:00", "set", STATE_UNKNOWN)
    assert ir.async_get(hass).async_get_issue("salto_ks", issue_id) is None


async def test_nothing_personal_is_shown(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    unit_id: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the guest's name nor the PIN is in a state, an event, an issue or a log, ever."""
    told: list[str] = []

    @callback
    def note(event: Event[Any]) -> None:
        # What is given to an action is not ours; of answers there is no event.
        if event.event_type != EVENT_CALL_SERVICE:
            told.append(str(event.data))

    hass.bus.async_listen(MATCH_ALL, note)
    caplog.clear()
    sim.faults.add(Fault(route=GUESTS, method="POST", status=400, count=3))
    await book(hass, entry)
    for _ in range(60):
        await go_on(hass, freezer, 75)
    pin = await pin_of(hass, entry)
    await press(hass, unit_id, "reissue")
    await go_to(hass, freezer, ARRIVAL)
    second = await pin_of(hass, entry)
    assert opens(sim, second)
    await press(hass, unit_id, "open")
    await go_to(hass, freezer, DEPARTURE + timedelta(days=1))
    told += [str(issue.translation_placeholders) for issue in ir.async_get(hass).issues.values()]
    told += [str(one.as_dict()) for one in hass.states.async_all()]
    ours = [record.getMessage() for record in caplog.records if "salto_ks" in record.name]
    assert told
    for text in (*told, *ours):
        assert GUEST not in text
        assert f"'{pin}'" not in text
        assert f"'{second}'" not in text
    assert [user.alias for user in sim.world.users.values() if "Vermeulen" in user.alias] == []


async def test_unit_that_is_deleted_while_the_site_is_set_up(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, caplog: pytest.LogCaptureFixture
) -> None:
    """A unit that goes while everything is brought up harms nothing else, and is gone soon."""
    entry = await set_up(iqs=[])
    await add_unit(hass, sim, entry)
    unit_id = await add_unit(hass, sim, entry, "Pitch 13")
    devices = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
        devices.async_remove_device(device.id)

    @callback
    def delete(_: Event[Any]) -> None:
        if unit_id in entry.subentries and entry.state is ConfigEntryState.SETUP_IN_PROGRESS:
            assert unit_id in entry.runtime_data.bookings.units
            hass.config_entries.async_remove_subentry(entry, unit_id)

    stop = hass.bus.async_listen(dr.EVENT_DEVICE_REGISTRY_UPDATED, delete)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    stop()
    assert unit_id not in entry.subentries
    assert "unknown subentry" not in caplog.text
    assert list(entry.runtime_data.bookings.units) == [unit_id_of(entry)]
    assert hass.states.get(unit_entity(hass, entry, "binary_sensor", "ready")) is not None
