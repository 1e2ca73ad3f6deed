"""Repairs about seats ahead, IQs, doors and clocks: each raised by the world, and gone by itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.salto_ks.domain.intents import Intent, IntentKind
from custom_components.salto_ks.domain.keys import KeyStatus
from custom_components.salto_ks.domain.windows import AccessWindow
from simulator import Fault, Simulator

from ..domain.stays import a_record
from .booking_helpers import minutes_pass, only_key, trouble
from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import HOUR, MINUTE, MORNING, ask
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    LAUNDRY,
    RECEPTION,
    check_iq,
    entity_id,
    fill_iq,
    go_on,
    iq_named,
    lock_named,
    restarted,
)
from .test_key_life import ledger_file
from .units import CABIN, NO_KEYPAD, PITCH, add_unit, tell
from .watching import act, state_of

__all__ = ["hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
async def _morning(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning in Amsterdam, and let time pass only when a test says so."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    freezer.move_to(MORNING)


@dataclass
class Clock:
    """The clock of the simulated Salto's web server."""

    ahead: timedelta = timedelta()


@pytest.fixture
def clock() -> Clock:
    """Return a clock that a test can put forward or back."""
    return Clock()


@pytest.fixture
async def server(sim: Simulator, clock: Clock, socket_enabled: None) -> AsyncIterator[str]:
    """Serve the simulated Salto with that clock."""

    @web.middleware
    async def date(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        response.headers["Date"] = format_datetime(datetime.now(UTC) + clock.ahead, usegmt=True)
        return response

    app = sim.app()
    app.middlewares.insert(0, date)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(access_log=None)
    yield str(server.make_url("")).rstrip("/")
    await server.close()


@pytest.fixture
async def entry(hass: HomeAssistant, set_up: SetUp) -> ENTRY:
    """Return a site whose IQs are not activated: nothing here needs that."""
    loaded: ENTRY = await set_up(iqs=[])
    return loaded


def issue_of(hass: HomeAssistant, entry: ENTRY, key: str) -> ir.IssueEntry | None:
    """Return an issue of the site."""
    return ir.async_get(hass).async_get_issue(DOMAIN, f"{key}_{entry.entry_id}")


def told(hass: HomeAssistant, entry: ENTRY, key: str) -> dict[str, str] | None:
    """Return what an issue of the site is filled with, without the site; None for no issue."""
    issue = issue_of(hass, entry, key)
    if issue is None or not issue.active:
        return None
    assert not issue.is_fixable
    filled = dict(issue.translation_placeholders or {})
    assert filled.pop("site") == entry.title
    return filled


# Seats


def spare(sim: Simulator, seats: int) -> int:
    """Let so many seats be free; return how many there are then."""
    total = sim.world.seats_used(sim.site_id) + seats
    sim.set("site", sim.site_id, subscribed_user_amount=total)
    return total


def sensor(hass: HomeAssistant, sim: Simulator, key: str) -> str:
    """Return the state of a sensor of the site."""
    return state_of(hass, entity_id(hass, "sensor", sim.site_id, key))


async def test_seats_ahead(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Bookings that need more seats than there are, are told days ahead, until one is cancelled."""
    await add_unit(hass, sim, entry, lead_hours=24)
    await add_unit(hass, sim, entry, "Laundry room", doors=(LAUNDRY,), lead_hours=24)
    total = spare(sim, 1)
    assert sensor(hass, sim, "seats_run_out") == "unknown"
    begins = MORNING + 10 * DAY
    await tell(hass, entry, "R1", starts_at=begins, ends_at=begins + 5 * DAY)
    await minutes_pass(hass, freezer, 11)
    assert sensor(hass, sim, "seats_free") == "1"
    assert sensor(hass, sim, "seats_run_out") == "unknown"
    assert told(hass, entry, "seats_overflow") is None

    await tell(
        hass,
        entry,
        "R2",
        unit="Laundry room",
        starts_at=begins + 2 * DAY,
        ends_at=begins + 9 * DAY,
    )
    day = f"{begins + 1 * DAY:%Y-%m-%d}"
    assert told(hass, entry, "seats_overflow") == {
        "date": day,
        "short": "1",
        "peak": str(total + 1),
        "total": str(total),
    }
    assert sensor(hass, sim, "seats_run_out") == day
    state = hass.states.get(entity_id(hass, "sensor", sim.site_id, "seats_run_out"))
    assert state is not None
    shown = {key: state.attributes[key] for key in ("peak", "peak_on", "needed")}
    assert shown == {"peak": total + 1, "peak_on": day, "needed": 1}

    await tell(
        hass,
        entry,
        "R2",
        unit="Laundry room",
        starts_at=begins + 2 * DAY,
        ends_at=begins + 9 * DAY,
        status="cancelled",
    )
    assert told(hass, entry, "seats_overflow") is None
    assert sensor(hass, sim, "seats_run_out") == "unknown"


async def test_seats_far_ahead(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """What lies more than a fortnight ahead is shown, and raises no alarm before its time."""
    await add_unit(hass, sim, entry, lead_hours=0)
    spare(sim, 0)
    begins = MORNING + 15 * DAY
    await tell(hass, entry, starts_at=begins, ends_at=begins + DAY)
    await minutes_pass(hass, freezer, 11)
    assert sensor(hass, sim, "seats_run_out") == f"{begins:%Y-%m-%d}"
    assert told(hass, entry, "seats_overflow") is None
    freezer.move_to(MORNING + DAY)
    await minutes_pass(hass, freezer, 1)
    found = told(hass, entry, "seats_overflow")
    assert found is not None
    assert found["date"] == f"{begins:%Y-%m-%d}"


async def test_more_seats(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """It goes when somebody buys seats, and stays while the site is loaded anew."""
    await add_unit(hass, sim, entry, lead_hours=24)
    spare(sim, 0)
    await tell(hass, entry, starts_at=MORNING + 5 * DAY, ends_at=MORNING + 6 * DAY)
    await minutes_pass(hass, freezer, 11)
    raised = issue_of(hass, entry, "seats_overflow")
    assert raised is not None
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert issue_of(hass, entry, "seats_overflow") is raised
    spare(sim, 1)
    await minutes_pass(hass, freezer, 11)
    assert told(hass, entry, "seats_overflow") is None
    assert sensor(hass, sim, "seats_free") == "1"


@pytest.mark.parametrize("zone", ["", "Nowhere/Land", "../../odd"])
async def test_more_users_than_seats(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY, zone: str
) -> None:
    """Where Salto counts more users than seats none is free, and they have run out today.

    A time zone that there is not is nothing that a site fails for.
    """
    sim.set("site", sim.site_id, subscribed_user_amount=1, time_zone=zone)
    await hass.config_entries.async_reload(entry.entry_id)
    await minutes_pass(hass, freezer, 1)
    assert sensor(hass, sim, "seats_free") == "0"
    assert sensor(hass, sim, "seats_run_out") == f"{MORNING:%Y-%m-%d}"


async def test_seats_that_are_not_told(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Where Salto does not say how many seats there are, nothing is foretold."""
    site = await entry.runtime_data.client.site(sim.site_id)
    body = {"id": site.id, "customer_reference": site.name, "time_zone": site.time_zone}
    sim.faults.add(Fault(route="/v1.2/sites/{site}", status=200, body=body, count=None))
    await minutes_pass(hass, freezer, 11)
    assert sensor(hass, sim, "seats_free") == "unknown"
    assert sensor(hass, sim, "seats_run_out") == "unknown"


async def test_key_that_is_on_its_way(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: ENTRY
) -> None:
    """A key that was begun and has no result yet takes a seat as well."""
    await minutes_pass(hass, freezer, 1)
    seats, ledger = entry.runtime_data.seats, entry.runtime_data.keys.ledger
    before = seats.forecast.peak
    key_id = ledger.new_key_id()
    record = a_record(
        key_id=key_id,
        booking_id=None,
        unit_id=None,
        status=KeyStatus.SCHEDULED,
        window=AccessWindow(MORNING + HOUR, MORNING + DAY),
    )
    await ledger.begin(
        Intent(key_id=key_id, kind=IntentKind.ISSUE, record=record, started_at=MORNING)
    )
    seats.async_update()
    assert seats.forecast.peak == before + 1


# IQs


async def test_iq_that_is_offline_for_long(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """An IQ that is offline for an hour is told, through polls and reloads, until it is back."""
    for name in (RECEPTION, FIELD):
        sim.set("iq", iq_named(sim, name).id, online=False)
    await minutes_pass(hass, freezer, 30)
    sim.set("iq", iq_named(sim, FIELD).id, online=True)
    await minutes_pass(hass, freezer, 28)
    assert told(hass, entry, "iqs_offline") is None
    await minutes_pass(hass, freezer, 5)
    assert told(hass, entry, "iqs_offline") == {"iqs": RECEPTION}
    issue = issue_of(hass, entry, "iqs_offline")
    assert issue is not None
    assert issue.severity is ir.IssueSeverity.ERROR

    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert issue_of(hass, entry, "iqs_offline") is issue
    sim.set("iq", iq_named(sim, RECEPTION).id, online=True)
    await minutes_pass(hass, freezer, 2)
    assert told(hass, entry, "iqs_offline") is None


async def test_iq_that_has_to_be_restored(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An IQ that was reset leads into its own flow where it is set up, and is named where not."""
    entry = await set_up(iqs=[RECEPTION])
    (subentry_id,) = entry.subentries
    for name in (RECEPTION, FIELD):
        sim.set("iq", iq_named(sim, name).id, restore_required=True)
    await minutes_pass(hass, freezer, 1)
    assert told(hass, entry, "iqs_to_restore") == {"iqs": FIELD}
    issue = ir.async_get(hass).async_get_issue(DOMAIN, f"iq_restore_{subentry_id}")
    assert issue is not None
    assert issue.is_fixable
    assert issue.data == {"entry_id": entry.entry_id, "subentry_id": subentry_id}

    form = await check_iq(hass, sim, entry)
    assert form["step_id"] == "iq_restore"
    await fill_iq(hass, form, {})
    sim.set("iq", iq_named(sim, FIELD).id, restore_required=False)
    await minutes_pass(hass, freezer, 1)
    assert ir.async_get(hass).async_get_issue(DOMAIN, f"iq_restore_{subentry_id}") is None
    assert told(hass, entry, "iqs_to_restore") is None


# Doors


@pytest.mark.parametrize(
    ("mode", "doors", "line"),
    [
        pytest.param("pin", (GATE, NO_KEYPAD), f"- {PITCH}: {NO_KEYPAD}", id="one of two"),
        pytest.param("both", (GATE, NO_KEYPAD), None, id="opened remotely as well"),
        pytest.param("both", (NO_KEYPAD,), f"- {PITCH}: {NO_KEYPAD}", id="no keypad at all"),
        pytest.param("remote", (NO_KEYPAD,), None, id="no PINs"),
        pytest.param("pin", (GATE, CABIN), None, id="keypads everywhere"),
    ],
)
async def test_doors_without_keypad(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    *,
    entry: ENTRY,
    mode: str,
    doors: tuple[str, ...],
    line: str | None,
) -> None:
    """A unit whose guests come in with a PIN is told when a door of theirs takes none."""
    for name in doors:
        sim.set("lock", lock_named(sim, name).id, lock_type="wall_reader_pin")
    await minutes_pass(hass, freezer, 1)
    await add_unit(hass, sim, entry, doors=doors, mode=mode)
    if NO_KEYPAD in doors:
        sim.set("lock", lock_named(sim, NO_KEYPAD).id, lock_type="wall_reader")
    await minutes_pass(hass, freezer, 1)
    expected = None if line is None else {"units": line}
    assert told(hass, entry, "doors_without_keypad") == expected
    for name in doors:
        sim.set("lock", lock_named(sim, name).id, lock_type="wall_reader_pin")
    await minutes_pass(hass, freezer, 1)
    assert told(hass, entry, "doors_without_keypad") is None


# Clocks


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.usefixtures("hass_storage")
async def test_clock_that_differs(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    clock: Clock,
    entry: ENTRY,
    sign: int,
) -> None:
    """A clock that is a minute off is a warning, one that is off by three an error."""
    clock.ahead = sign * timedelta(seconds=50)
    await go_on(hass, freezer, 76)
    assert told(hass, entry, "clock_differs") is None
    for ahead, minutes, severity in (
        (timedelta(seconds=100), "2", ir.IssueSeverity.WARNING),
        (timedelta(minutes=4), "4", ir.IssueSeverity.ERROR),
    ):
        clock.ahead = sign * ahead
        await minutes_pass(hass, freezer, 4)
        assert told(hass, entry, "clock_differs") == {"minutes": minutes}
        issue = issue_of(hass, entry, "clock_differs")
        assert issue is not None
        assert issue.severity is severity
    clock.ahead = timedelta()
    await minutes_pass(hass, freezer, 4)
    assert told(hass, entry, "clock_differs") is None


# Arrivals


ARRIVES = MORNING + 6 * HOUR
LINE = f"- {PITCH}, {ARRIVES + HOUR:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize("action", ["suspend_key", "revoke_key"])
async def test_key_that_a_person_has_stopped(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    action: str,
) -> None:
    """A key that was suspended or revoked by hand is told three hours before the arrival."""
    await add_unit(hass, sim, entry)
    await tell(hass, entry, starts_at=ARRIVES, ends_at=ARRIVES + DAY)
    await minutes_pass(hass, freezer, 1)
    key = await only_key(hass, entry)
    await ask(hass, entry, action, key_id=key["key_id"])
    freezer.move_to(ARRIVES - 3 * HOUR - 10 * MINUTE)
    await minutes_pass(hass, freezer, 8)
    assert told(hass, entry, "arrivals_without_key") is None
    await minutes_pass(hass, freezer, 8)
    assert told(hass, entry, "arrivals_without_key") == {"bookings": LINE}
    assert trouble(hass, entry) is None

    raised = issue_of(hass, entry, "arrivals_without_key")
    await hass.config_entries.async_reload(entry.entry_id)
    await minutes_pass(hass, freezer, 2)
    assert issue_of(hass, entry, "arrivals_without_key") is raised
    await tell(hass, entry, starts_at=ARRIVES, ends_at=ARRIVES + DAY, status="cancelled")
    await minutes_pass(hass, freezer, 2)
    assert told(hass, entry, "arrivals_without_key") is None


async def test_site_that_is_switched_off(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A site that is off issues nothing, and says so before somebody arrives."""
    await add_unit(hass, sim, entry)
    active = entity_id(hass, "switch", sim.site_id, "active")
    await act(hass, "switch", "turn_off", active)
    await tell(hass, entry, starts_at=ARRIVES, ends_at=ARRIVES + DAY)
    freezer.move_to(ARRIVES - 2 * HOUR)
    await minutes_pass(hass, freezer, 7)
    assert told(hass, entry, "arrivals_without_key") == {"bookings": LINE}
    await act(hass, "switch", "turn_on", active)
    await minutes_pass(hass, freezer, 3)
    assert told(hass, entry, "arrivals_without_key") is None


async def test_key_that_has_failed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key that Salto refuses is told with its reason long before, and not a second time."""
    await add_unit(hass, sim, entry)
    spare(sim, 0)
    await tell(hass, entry, starts_at=ARRIVES, ends_at=ARRIVES + DAY)
    await minutes_pass(hass, freezer, 1)
    said = trouble(hass, entry)
    assert said is not None
    assert LINE in said
    freezer.move_to(ARRIVES - 2 * HOUR)
    await minutes_pass(hass, freezer, 8)
    assert trouble(hass, entry) is not None
    assert told(hass, entry, "arrivals_without_key") is None
    spare(sim, 3)
    await minutes_pass(hass, freezer, 20)
    assert trouble(hass, entry) is None
    assert told(hass, entry, "arrivals_without_key") is None


async def test_key_that_salto_does_not_take_back(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """It is named, and not tried each minute; a booking that is confirmed again has it back."""
    await add_unit(hass, sim, entry)
    stay = {"starts_at": ARRIVES + 5 * DAY, "ends_at": ARRIVES + 6 * DAY}
    await tell(hass, entry, **stay)
    await minutes_pass(hass, freezer, 1)
    key = await only_key(hass, entry)
    no_right = {"ErrorCode": "2203", "Message": "User does not have permission"}
    denied = Fault(method="DELETE", route="/users", status=403, body=no_right, count=None)
    sim.faults.add(denied)
    await tell(hass, entry, **stay, status="cancelled")
    hits = sim.faults.hits(denied)
    assert hits
    await minutes_pass(hass, freezer, 20)
    assert sim.faults.hits(denied) == hits
    said = told(hass, entry, "keys_not_removed")
    assert said is not None
    assert said["keys"].startswith(f"- {key['key_id']}, {PITCH}, ")

    sim.faults.clear()
    await tell(hass, entry, **stay, status="confirmed")
    await minutes_pass(hass, freezer, 2)
    assert told(hass, entry, "keys_not_removed") is None
    again = await only_key(hass, entry)
    assert (again["key_id"], again["pin"]) == (key["key_id"], key["pin"])


async def test_ledger_that_cannot_be_read(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """While the ledger is closed nobody knows whose key works, which another issue says."""
    await add_unit(hass, sim, entry)
    await tell(hass, entry, starts_at=ARRIVES, ends_at=ARRIVES + DAY)
    await minutes_pass(hass, freezer, 1)
    assert await hass.config_entries.async_unload(entry.entry_id)
    ledger_file(hass, sim, "keys.0000").unlink()
    freezer.move_to(ARRIVES - 2 * HOUR)
    async with restarted(hass, entry) as (again, same):
        await minutes_pass(again, freezer, 8)
        assert told(again, same, "ledger_closed") is not None
        assert told(again, same, "arrivals_without_key") is None
