"""What is sent to somebody else to find a fault: chosen fields, nothing personal, no secret."""

import json
from typing import Any

from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.diagnostics import DOMAIN as DIAGNOSTICS
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.salto_ks.domain.ids import BookingId
from simulator import Fault, Simulator

from .booking_helpers import add_feed, minutes_pass
from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import HOUR, ask, issue
from .support import DOMAIN, FIELD, GATE, RECEPTION, iq_named, lock_named, unlock
from .test_door_commands import change_pin
from .units import add_unit, tell
from .watching import IQS, LOCKS, shown

__all__ = ["hass_config_dir", "hass_storage"]

SITE_KEYS = {
    "pin_enabled",
    "seats_used",
    "seats_total",
    "subscription_valid",
    "time_zone",
    "remote_access",
    "role_codes",
}
IQ_KEYS = {
    "id",
    "online",
    "restore_required",
    "otp_enabled",
    "signal_strength",
    "revision",
    "time_zone",
    "activated_at_salto",
    "set_up",
}
CREDENTIAL_KEYS = {"activated_here", "pin_kept", "rejections", "permit"}
DOOR_KEYS = {
    "id",
    "iq_id",
    "lock_type",
    "locked_state",
    "online",
    "iq_link_state",
    "battery_level",
    "left_open_alarm",
    "intrusion_alarm",
    "privacy_mode",
}
KEYS_KEYS = {
    "ledger",
    "pins_available",
    "under_way",
    "waiting_to_try_again",
    "read_only",
    "last_pass",
}
LEDGER_KEYS = {
    "keys",
    "open_intents",
    "sealed_pins",
    "files",
    "unreadable",
    "unwritten",
    "unlogged",
    "quarantined",
}
PASS_KEYS = {"at", "outcomes", "discrepancies", "unmanaged", "foreign", "requests", "seconds"}
POLL_KEYS = {"last_success", "last_error", "interval_seconds"}
PLAN_KEYS = {"at", "outcomes", "ledger_is_behind", "findings"}
BOOKINGS_KEYS = {
    "readable",
    "units",
    "unreadable_units",
    "by_status",
    "by_source",
    "keys_wanted",
    "troubles",
    "calendars",
}
STREAM_KEYS = {
    "state",
    "connections",
    "failures_in_a_row",
    "rings",
    "last_ring_at",
    "last_error",
}
REQUESTS_KEYS = {"since_start", "last_hour", "last"}
TOTALS_KEYS = {"requests", "refusals", "errors", "repeats", "error_rate"}
CALL_KEYS = {"at", "method", "route", "result", "status", "error", "milliseconds", "attempt"}


async def download(
    hass: HomeAssistant, browser: ClientSessionGenerator, entry: ConfigEntry[Any]
) -> dict[str, Any]:
    """Download the whole file, as a person does."""
    assert await async_setup_component(hass, DIAGNOSTICS, {})
    client = await browser()
    response = await client.get(f"/api/diagnostics/config_entry/{entry.entry_id}")
    assert response.status == 200
    found: dict[str, Any] = await response.json()
    return found


async def test_fields_are_chosen(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, sim: Simulator, set_up: SetUp
) -> None:
    """The file holds exactly the fields that were chosen, with what is true."""
    entry = await set_up(iqs=[RECEPTION])
    data = (await download(hass, hass_client, entry))["data"]
    assert data.keys() == {
        "environment",
        "options",
        "state",
        "reason",
        "keys",
        "plan",
        "bookings",
        "seats",
        "requests",
        "door_log",
        "stream",
        "active",
        "server_clock_offset_seconds",
        "polls",
        "site",
        "iqs",
        "doors",
    }
    assert (data["environment"], data["state"], data["active"]) == ("custom", "loaded", True)
    assert data["options"] == {}
    assert abs(data["server_clock_offset_seconds"]) <= 1
    assert data["polls"].keys() == {"doors", "site", "door_log"}
    assert data["door_log"] == "ok"
    for poll in data["polls"].values():
        assert poll.keys() == POLL_KEYS
        assert (poll["last_success"], poll["last_error"]) == (True, None)
    assert data["keys"].keys() == KEYS_KEYS
    assert data["keys"]["ledger"].keys() == LEDGER_KEYS
    assert data["keys"]["last_pass"] is None
    assert (data["plan"], data["seats"]) == (None, None)
    assert data["bookings"].keys() == BOOKINGS_KEYS
    assert data["door_log"] == "ok"
    assert data["stream"].keys() == STREAM_KEYS
    assert data["stream"]["state"] == "not_offered"
    assert data["requests"].keys() == REQUESTS_KEYS
    assert all(data["requests"][one].keys() == TOTALS_KEYS for one in ("since_start", "last_hour"))
    assert all(call.keys() == CALL_KEYS for call in data["requests"]["last"])
    assert data["site"].keys() == SITE_KEYS
    assert data["site"]["time_zone"] == "Europe/Amsterdam"
    iqs = {iq["id"]: iq for iq in data["iqs"]}
    assert iqs[iq_named(sim, RECEPTION).id].keys() == IQ_KEYS | CREDENTIAL_KEYS
    assert iqs[iq_named(sim, FIELD).id].keys() == IQ_KEYS
    assert iqs[iq_named(sim, RECEPTION).id]["permit"] == "clear"
    doors = {door["id"]: door for door in data["doors"]}
    assert doors.keys() == {lock.id for lock in sim.world.locks_of(sim.site_id)}
    assert all(door.keys() == DOOR_KEYS for door in doors.values())
    assert doors[lock_named(sim, GATE).id]["lock_type"] == "wall_reader_pin"


async def test_nothing_personal(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, sim: Simulator, set_up: SetUp
) -> None:
    """No name, address, account, PIN, secret or token of the world is in the whole file."""
    entry = await set_up()
    now = sim.clock.now()
    await issue(
        hass,
        sim,
        entry,
        starts_at=now,
        ends_at=now + HOUR,
        booking_id="R-2027-0815",
        label="Family Jansen",
        reason="came by bicycle",
    )
    feed = await add_feed(hass, "secret-feed")
    feed.write("Family Vermeulen", now, now + HOUR)
    await add_unit(hass, sim, entry, "Vermeulen's pitch", calendar=feed.entity_id)
    await tell(
        hass,
        entry,
        "R-2027-0816",
        unit="Vermeulen's pitch",
        starts_at=now,
        ends_at=now + HOUR,
        label="Family Vermeulen",
    )
    await ask(hass, entry, "reconcile")
    await unlock(hass, sim)
    change_pin(sim)
    for _ in range(3):
        with shown("otp_rejected"):
            await unlock(hass, sim)
    text = json.dumps(await download(hass, hass_client, entry))
    for said in ("R-2027-0815", "R-2027-0816", "Jansen", "bicycle", "Vermeulen", "secret-feed"):
        assert said not in text
    assert entry.runtime_data.bookings.booking(BookingId("R-2027-0816")) is not None
    world = sim.world
    info = sim.seed_info()
    private = {info["client_id"], info["client_secret"], info["username"], info["password"]}
    private |= {sim.site.site_uid, sim.site_id, entry.title}
    for person in world.people.values():
        names = (person.first_name, person.last_name, person.email, person.phone, person.id)
        private |= {name for name in names if name}
    private |= {user.alias for user in world.users.values()}
    private |= {iq.customer_reference for iq in world.iqs.values()}
    private |= {iq.mac for iq in world.iqs.values()}
    private |= {lock.customer_reference for lock in world.locks.values()}
    private |= {lock.mac for lock in world.locks.values()}
    private |= {token.value for token in world.tokens.values()}
    private |= {user.pin for user in world.users.values() if user.pin}
    for activation in world.activations.values():
        private |= {f'"{activation.pin}"', activation.secret or ""}
    private -= {"", "Home", "Assistant"}  # The service account's name is also the program's.
    assert len(private) > 50
    assert {value for value in private if value in text} == set()


async def test_keys_are_counted(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, sim: Simulator, set_up: SetUp
) -> None:
    """Of keys and of the last comparison the file tells how many, and of whom the desk is, too."""
    entry = await set_up(iqs=[])
    hass.config_entries.async_update_entry(
        entry, options={"forget_pins": False, "front_desk": ["user-1", "user-2"]}
    )
    await hass.async_block_till_done()
    now = sim.clock.now()
    keys = [await issue(hass, sim, entry, starts_at=now, ends_at=now + HOUR) for _ in range(2)]
    await ask(hass, entry, "suspend_key", key_id=keys[0]["key_id"])
    await ask(hass, entry, "reconcile")
    data = (await download(hass, hass_client, entry))["data"]
    assert data["options"] == {"forget_pins": False, "front_desk": 2}
    assert data["keys"]["ledger"] | {"files": 1} == {
        "keys": {"set": 1, "suspended": 1},
        "open_intents": {},
        "sealed_pins": 2,
        "files": 1,
        "unreadable": 0,
        "unwritten": 0,
        "unlogged": 0,
        "quarantined": False,
    }
    assert data["keys"]["pins_available"] is True
    assert data["keys"]["last_pass"].keys() == PASS_KEYS
    assert data["keys"]["last_pass"]["requests"] == 2


async def test_findings(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, sim: Simulator, set_up: SetUp
) -> None:
    """What the last comparison has found is told key by key."""
    entry = await set_up(iqs=[])
    now = sim.clock.now()
    key = await issue(hass, sim, entry, starts_at=now, ends_at=now + HOUR)
    sim.set("user", key["salto_key_id"], blocked=True)
    with freeze_time(now + HOUR / 2):
        await ask(hass, entry, "reconcile", dry_run=True)
    data = (await download(hass, hass_client, entry))["data"]
    assert data["plan"].keys() == PLAN_KEYS
    assert data["plan"]["outcomes"] == {"pin_disabled": 1}
    assert data["plan"]["findings"] == [
        {
            "key_id": key["key_id"],
            "outcome": "pin_disabled",
            "remedy": "report",
            "repaired": False,
        }
    ]


async def test_bookings_are_counted(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
) -> None:
    """Of bookings the file tells how many there are, and whether their calendars can be read."""
    entry = await set_up(iqs=[])
    now = sim.clock.now()
    feed = await add_feed(hass)
    unit_id = await add_unit(hass, sim, entry, calendar=feed.entity_id)
    feed.write("Family Jansen", now + HOUR, now + 3 * HOUR)
    await tell(hass, entry, starts_at=now + 4 * HOUR, ends_at=now + 5 * HOUR)
    await minutes_pass(hass, freezer, 6)
    feed.answer = OSError("the line is cut")
    await minutes_pass(hass, freezer, 6)
    data = (await download(hass, hass_client, entry))["data"]
    seats = data["site"]["seats_used"]
    assert data["bookings"] == {
        "readable": True,
        "units": 1,
        "unreadable_units": 0,
        "by_status": {"confirmed": 2},
        "by_source": {"action": 1, "calendar": 1},
        "keys_wanted": 2,
        "troubles": {},
        "calendars": [
            {"unit_id": unit_id, "answers": False, "bookings": 2, "unreadable_events": 0}
        ],
    }
    assert data["seats"] == {
        "total": data["site"]["seats_total"],
        "peak": seats,
        "short": 0,
        "runs_out_on": None,
    }


async def test_requests(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, sim: Simulator, set_up: SetUp
) -> None:
    """The file tells of the last requests, by their routes, and how many went wrong."""
    entry = await set_up(iqs=[])
    before = (await download(hass, hass_client, entry))["data"]["requests"]["last_hour"]
    sim.faults.add(Fault(route=LOCKS, status=503))
    sim.faults.add(Fault(route=IQS, reset=True, count=2))  # The session repeats a read once.
    for _ in range(3):
        await entry.runtime_data.doors.async_refresh()
    requests = (await download(hass, hass_client, entry))["data"]["requests"]
    assert requests["since_start"] == requests["last_hour"]
    assert requests["last_hour"]["requests"] == before["requests"] + 5
    assert requests["last_hour"]["errors"] == 2
    last = [
        (call["method"], call["route"], call["result"], call["status"], call["error"] is None)
        for call in requests["last"][-5:]
    ]
    assert last == [
        ("GET", LOCKS, "failed", 503, True),
        ("GET", LOCKS, "answered", 200, True),
        ("GET", IQS, "unanswered", None, False),
        ("GET", LOCKS, "answered", 200, True),
        ("GET", IQS, "answered", 200, True),
    ]


async def test_fault_is_told_by_its_kind(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, sim: Simulator, set_up: SetUp
) -> None:
    """Of a poll that fails and of passwords that are rejected the file tells what and how often."""
    entry = await set_up(iqs=[RECEPTION])
    change_pin(sim)
    for _ in range(3):
        with shown("otp_rejected"):
            await unlock(hass, sim)
    sim.faults.add(Fault(route=LOCKS, status=500))
    await entry.runtime_data.doors.async_refresh()
    data = (await download(hass, hass_client, entry))["data"]
    poll = data["polls"]["doors"]
    assert (poll["last_success"], poll["last_error"]) == (False, "UpdateFailed")
    iq = next(iq for iq in data["iqs"] if iq["id"] == iq_named(sim, RECEPTION).id)
    assert (iq["rejections"], iq["permit"], iq["pin_kept"]) == (3, "held", True)


async def test_site_that_is_down(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, sim: Simulator, set_up: SetUp
) -> None:
    """Of a site that could not be set up the file tells why, and nothing else."""
    entry = await set_up(iqs=[RECEPTION])
    sim.faults.add(Fault(route=LOCKS, status=500, count=None))
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    data = (await download(hass, hass_client, entry))["data"]
    assert data == {
        "environment": "custom",
        "options": {},
        "state": "setup_retry",
        "reason": "poll_failed",
    }
    assert hass.config_entries.async_entries(DOMAIN) == [entry]
