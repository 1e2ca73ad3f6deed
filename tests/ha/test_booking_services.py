"""The actions about bookings: what they answer, whom they serve, and what they refuse."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.auth.permissions.const import POLICY_CONTROL, POLICY_READ
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockUser, async_capture_events
import voluptuous as vol

from simulator import Simulator

from .booking_helpers import add_feed, bookings, keys, minutes_pass, only_key
from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import HOUR, MINUTE, MORNING, edges, opens, writes
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    LAUNDRY,
    RECEPTION,
    account_input,
    door,
    entity_id,
    go_on,
    opened,
    pin_in_force,
)
from .units import CABIN, NO_KEYPAD, PITCH, add_unit, device_of, tell
from .watching import act, asked, commands, shown, until

__all__ = ["hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
START, END = MORNING + 2 * HOUR, MORNING + 26 * HOUR
TIMES: dict[str, Any] = {"starts_at": START, "ends_at": END}


@pytest.fixture(autouse=True)
async def _morning(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning in Amsterdam, and let time pass only when a test says so."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    freezer.move_to(MORNING)


@pytest.fixture
async def entry(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> ENTRY:
    """Return a site with both IQs, and a unit whose guests come in by both ways."""
    loaded: ENTRY = await set_up()
    await add_unit(hass, sim, loaded, mode="both")
    return loaded


async def go_at(hass: HomeAssistant, freezer: FrozenDateTimeFactory, moment: datetime) -> None:
    """Go on at exactly a later moment, with all done that came due on the way."""
    freezer.move_to(moment - MINUTE)
    await go_on(hass, freezer, 0)
    freezer.move_to(moment)
    await go_on(hass, freezer, 0)


async def set_booking(hass: HomeAssistant, entry: ENTRY, **changes: Any) -> dict[str, Any]:
    """Tell of a booking as it is typed; None leaves a field out."""
    data = {
        "unit": device_of(hass, entry),
        "booking_id": "R1",
        "starts_at": START.isoformat(),
        "ends_at": END.isoformat(),
        "status": "confirmed",
    } | changes
    answer = await hass.services.async_call(
        DOMAIN,
        "set_booking",
        {key: value for key, value in data.items() if value is not None},
        blocking=True,
        return_response=True,
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert isinstance(answer, dict)
    return dict(answer)


async def open_door(
    hass: HomeAssistant, *, context: Context | None = None, **data: Any
) -> dict[str, Any]:
    """Open doors for a booking."""
    answer = await hass.services.async_call(
        DOMAIN, "open_door", data, blocking=True, context=context, return_response=True
    )
    assert isinstance(answer, dict)
    return dict(answer)


def fresh(sim: Simulator) -> Callable[[], list[tuple[str, str]]]:
    """Return what tells what has been asked of Salto from now on."""
    before = len(asked(sim))
    return lambda: asked(sim)[before:]


# Telling, and asking back


async def test_set_and_get(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking is answered as it was understood, and listed with how its key stands."""
    told = await set_booking(hass, entry, label="  Family Jansen ", booking_id=" R1 ")
    assert told == {
        "booking": {
            "booking_id": "R1",
            "unit": device_of(hass, entry),
            "unit_name": PITCH,
            "label": "Family Jansen",
            "starts_at": START.isoformat(),
            "ends_at": END.isoformat(),
            "status": "confirmed",
            "source": "action",
            "doors": [door(hass, sim), door(hass, sim, CABIN)],
            "opened_at": None,
            "key_id": None,
            "key_status": None,
        }
    }
    await minutes_pass(hass, freezer, 1)
    (key,) = await keys(hass, entry)
    with_key = told["booking"] | {"key_id": key["key_id"], "key_status": "set"}
    assert await bookings(hass) == [with_key]
    assert await bookings(hass, unit=device_of(hass, entry)) == [with_key]
    assert "pin" not in str(with_key)


async def test_without_an_answer(hass: HomeAssistant, entry: ENTRY) -> None:
    """Whoever wants no answer gets none."""
    data = {
        "unit": device_of(hass, entry),
        "booking_id": "R1",
        "starts_at": MORNING.isoformat(),
        "ends_at": END.isoformat(),
        "status": "confirmed",
    }
    services = hass.services
    assert await services.async_call(DOMAIN, "set_booking", data, blocking=True) is None
    assert len(await bookings(hass)) == 1
    opening = {"booking_id": "R1"}
    assert await services.async_call(DOMAIN, "open_door", opening, blocking=True) is None
    await hass.async_block_till_done(wait_background_tasks=True)


async def test_times_without_zone(hass: HomeAssistant, entry: ENTRY) -> None:
    """A time without a zone is in Home Assistant's."""
    told = await set_booking(
        hass, entry, starts_at="2026-12-07 12:00:00", ends_at="2026-12-08T12:00"
    )
    assert told["booking"]["starts_at"] == "2026-12-07T11:00:00+00:00"
    assert told["booking"]["ends_at"] == "2026-12-08T11:00:00+00:00"


async def test_order(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """Bookings of all units are listed in the order of their starts, or those of one unit."""
    await add_unit(hass, sim, entry, "Pitch 13", doors=(LAUNDRY,))
    await tell(hass, entry, "R1", starts_at=START + HOUR, ends_at=END)
    await tell(hass, entry, "R3", unit="Pitch 13", **TIMES)
    await tell(hass, entry, "R2", starts_at=END, ends_at=END + HOUR)
    assert [one["booking_id"] for one in await bookings(hass)] == ["R3", "R1", "R2"]
    mine = await bookings(hass, unit=device_of(hass, entry))
    assert [one["booking_id"] for one in mine] == ["R1", "R2"]


async def test_what_is_left_out_stays(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that is told again keeps name and doors; in another unit it has that one's doors."""
    await add_unit(hass, sim, entry, "Pitch 13", doors=(GATE,))
    only = [door(hass, sim, LAUNDRY)]
    await tell(hass, entry, "R1", **TIMES, label="Family Jansen", doors=only)
    told = await tell(hass, entry, "R1", starts_at=START, ends_at=END + HOUR)
    assert (told["label"], told["doors"]) == ("Family Jansen", only)
    await minutes_pass(hass, freezer, 1)
    key = await only_key(hass, entry)
    assert opens(sim, key["pin"], LAUNDRY, END)
    assert not opens(sim, key["pin"], GATE, START)
    told = await tell(hass, entry, "R1", **TIMES, unit="Pitch 13")
    assert (told["label"], told["doors"]) == ("Family Jansen", [door(hass, sim, GATE)])
    told = await tell(hass, entry, "R1", **TIMES, unit="Pitch 13", label="")
    assert told["label"] == ""


async def test_doors_of_a_booking(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking may have doors of its own, which its key opens and no others."""
    told = await set_booking(hass, entry, doors=[door(hass, sim, LAUNDRY)])
    assert told["booking"]["doors"] == [door(hass, sim, LAUNDRY)]
    await minutes_pass(hass, freezer, 1)
    key = await only_key(hass, entry)
    assert edges(sim, key, LAUNDRY) == (False, True, True, False)
    assert not opens(sim, key["pin"], GATE, START)


@pytest.mark.parametrize(("given", "kept"), [(12, "12"), (1.5, "1.5"), ("007", "007")])
async def test_names_that_are_numbers(
    hass: HomeAssistant, entry: ENTRY, given: object, kept: str
) -> None:
    """A template makes a number of a name like 12; it is the same name."""
    told = await set_booking(hass, entry, booking_id=given, label=given)
    assert (told["booking"]["booking_id"], told["booking"]["label"]) == (kept, kept)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" Anna\u00a0Müller\nKind ", "Anna Müller Kind"),
        ("a\x00b", "a b"),
        ("\ud800", ""),
        ("x" * 101, "x" * 100),
    ],
)
async def test_any_name_will_do(hass: HomeAssistant, entry: ENTRY, given: str, kept: str) -> None:
    """Whatever a guest is called, the door is to open: a name is put into one line."""
    told = await set_booking(hass, entry, label=given)
    assert told["booking"]["label"] == kept


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"unit": "nobody"}, "unit_unknown"),
        ({"booking_id": " "}, "booking_without_id"),
        ({"booking_id": "R" * 101}, "booking_id_unusable"),
        ({"booking_id": "R\n1"}, "booking_id_unusable"),
        ({"ends_at": START.isoformat()}, "booking_ends_before_start"),
        ({"ends_at": (START - HOUR).isoformat()}, "booking_ends_before_start"),
        ({"ends_at": (START + timedelta(days=401)).isoformat()}, "booking_too_long"),
        ({"starts_at": "0001-01-01T00:00:00"}, "key_window_too_far"),
        ({"starts_at": "0001-01-01T00:00:00Z"}, "booking_out_of_range"),
        ({"ends_at": "9999-12-31T23:59:59Z"}, "booking_out_of_range"),
        ({"ends_at": "9999-12-31T23:59:59-12:00"}, "key_window_too_far"),
        ({"doors": []}, "key_no_doors"),
        ({"doors": ["lock.nobody"]}, "door_not_ours"),
        ({"doors": ["light.kitchen"]}, "door_not_ours"),
        ({"doors": ["lock.pedestrian_gate"]}, "key_door_without_keypad"),
    ],
)
async def test_refused(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, changes: dict[str, Any], error: str
) -> None:
    """What makes no sense is refused with the reason; nothing is kept and Salto not asked."""
    since = fresh(sim)
    with shown(error, users=True):
        await set_booking(hass, entry, **changes)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert since() == []
    assert await bookings(hass) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "maybe"},
        {"status": None},
        {"starts_at": "tomorrow"},
        {"ends_at": None},
        {"unit": None},
        {"booking_id": None},
        {"doors": "none of them"},
        {"guests": 2},
    ],
)
async def test_not_a_booking(hass: HomeAssistant, entry: ENTRY, changes: dict[str, Any]) -> None:
    """What has no status, no time or fields that nobody knows is no booking."""
    with pytest.raises(vol.Invalid):
        await set_booking(hass, entry, **changes)
    assert await bookings(hass) == []


async def test_door_of_another_site(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, entry: ENTRY
) -> None:
    """A door of another site is no door of a booking."""
    await set_up(iqs=[], account=account_input(sim, site_uid="NL0000000002"))
    with shown("door_of_another_site", users=True):
        await set_booking(hass, entry, doors=[door(hass, sim, "Jetty gate")])


async def test_a_door_is_no_unit(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """The device of a door, or the unit of a site that is not loaded, is no unit."""
    unit = device_of(hass, entry)
    gate = er.async_get(hass).async_get(door(hass, sim))
    assert gate is not None
    with shown("unit_unknown", users=True):
        await bookings(hass, unit=gate.device_id)
    await hass.config_entries.async_unload(entry.entry_id)
    for action in ("get_bookings", "open_door"):
        with shown("unit_unknown", users=True):
            await hass.services.async_call(
                DOMAIN, action, {"unit": unit}, blocking=True, return_response=True
            )


@pytest.mark.parametrize("action", ["set_booking", "get_bookings"])
async def test_admins_only(
    hass: HomeAssistant, entry: ENTRY, hass_read_only_user: MockUser, action: str
) -> None:
    """Nobody but an administrator tells of bookings or lists them."""
    data: dict[str, Any] = {}
    if action == "set_booking":
        data = {
            "unit": device_of(hass, entry),
            "booking_id": "R1",
            "starts_at": START.isoformat(),
            "ends_at": END.isoformat(),
            "status": "confirmed",
        }
    with pytest.raises(Unauthorized):
        await hass.services.async_call(
            DOMAIN,
            action,
            data,
            blocking=True,
            context=Context(user_id=hass_read_only_user.id),
            return_response=True,
        )
    assert await bookings(hass) == []


# Bookings of a calendar


async def test_status_of_a_booking_in_a_calendar(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Of a booking in a calendar only status and doors are taken, until the calendar says anew."""
    feed = await add_feed(hass)
    await add_unit(hass, sim, entry, "Pitch 13", doors=(LAUNDRY,), calendar=feed.entity_id)
    feed.write("Family Jansen", START, END)
    feed.write("Family Pieters", END, END + 24 * HOUR)
    await minutes_pass(hass, freezer, 11)
    first = (await bookings(hass))[0]
    assert (first["source"], first["label"]) == ("calendar", "Family Jansen")
    told = await set_booking(
        hass,
        entry,
        unit=first["unit"],
        booking_id=first["booking_id"],
        starts_at=(START + HOUR).isoformat(),
        label="Somebody",
        status="completed",
    )
    assert told["booking"] | {"key_status": "set"} == first | {"status": "completed"}
    await minutes_pass(hass, freezer, 6)
    found = {one["label"]: one["status"] for one in await bookings(hass)}
    assert found == {"Family Jansen": "completed", "Family Pieters": "confirmed"}
    assert [key["label"] for key in await keys(hass, entry)] == ["Family Pieters"]
    feed.write("Family Jansen", START, END, status="TENTATIVE")
    await minutes_pass(hass, freezer, 6)
    assert (await bookings(hass))[0]["status"] == "pending"


async def test_one_calendar_of_two_units(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Of a booking that two units read from one calendar, each has a status of its own."""
    feed = await add_feed(hass)
    await add_unit(hass, sim, entry, "Pitch 13", doors=(LAUNDRY,), calendar=feed.entity_id)
    await add_unit(hass, sim, entry, "Pitch 14", doors=(CABIN,), calendar=feed.entity_id)
    feed.write("Family Jansen", START, END)
    await minutes_pass(hass, freezer, 11)
    assert len(await keys(hass, entry)) == 2
    for name in ("Pitch 14", "Pitch 13"):
        unit = device_of(hass, entry, name)
        (one,) = await bookings(hass, unit=unit)
        told = await set_booking(
            hass, entry, unit=unit, booking_id=one["booking_id"], status="completed"
        )
        assert (told["booking"]["unit"], told["booking"]["status"]) == (unit, "completed")
        await minutes_pass(hass, freezer, 1)
        assert len(await keys(hass, entry)) == (1 if name == "Pitch 14" else 0)


# Opening


async def test_open(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking opens each of its doors, which checks it in and is answered with the time."""
    told = async_capture_events(hass, "salto_ks_booking_checked_in")
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    answer = await open_door(hass, booking_id="R1")
    assert opened(sim)
    assert opened(sim, CABIN)
    both = [door(hass, sim), door(hass, sim, CABIN)]
    (booking,) = await bookings(hass)
    assert answer == {"booking": booking, "doors": both}
    assert (booking["status"], booking["opened_at"]) == ("checked_in", START.isoformat())
    await go_at(hass, freezer, START + HOUR)
    again = await open_door(hass, unit=device_of(hass, entry))
    assert again["booking"]["opened_at"] == START.isoformat()
    await hass.async_block_till_done()
    assert [event.data["booking_id"] for event in told] == ["R1"]


async def test_open_one_door(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """One of the doors may be chosen; both booking and unit may be named."""
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    unit, gate = device_of(hass, entry), door(hass, sim)
    answer = await open_door(hass, booking_id="R1", unit=unit, doors=[gate])
    assert answer["doors"] == [gate]
    assert commands(sim) == 1


async def test_open_before_the_start(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A quarter of an hour before the start it opens, and a second before that it does not."""
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START - 15 * MINUTE - timedelta(seconds=1))
    both: list[dict[str, Any]] = [{"booking_id": "R1"}, {"unit": device_of(hass, entry)}]
    for which in both:
        with shown("opening_too_early", users=True) as raised:
            await open_door(hass, **which)
        assert raised.placeholders == {"unit": PITCH, "from_when": "2026-12-07 10:45"}
    assert commands(sim) == 0
    await go_at(hass, freezer, START - 15 * MINUTE)
    await open_door(hass, booking_id="R1")
    assert opened(sim)


@pytest.mark.parametrize(
    ("status", "at", "by_booking", "by_unit"),
    [
        ("pending", START, "opening_pending", "opening_pending"),
        ("cancelled", START, "opening_cancelled", "opening_no_booking"),
        ("completed", START, "opening_completed", "opening_no_booking"),
        ("confirmed", END, "opening_over", "opening_no_booking"),
    ],
)
async def test_not_opened(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    status: str,
    at: datetime,
    by_booking: str,
    by_unit: str,
) -> None:
    """A booking that is not on opens nothing, with the exact reason and without asking Salto."""
    await tell(hass, entry, status=status, **TIMES)
    await go_at(hass, freezer, at)
    since = fresh(sim)
    with shown(by_booking, users=True):
        await open_door(hass, booking_id="R1")
    with shown(by_unit, users=True):
        await open_door(hass, unit=device_of(hass, entry))
    assert since() == []


async def test_other_statuses(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A unit that opens for guests who are checked in says so of those who are not."""
    await add_unit(
        hass, sim, entry, "Pitch 13", mode="both", doors=(GATE,), opening_statuses=["checked_in"]
    )
    await tell(hass, entry, unit="Pitch 13", **TIMES)
    await go_at(hass, freezer, START)
    with shown("opening_status", users=True):
        await open_door(hass, booking_id="R1")
    await tell(hass, entry, unit="Pitch 13", status="checked_in", **TIMES)
    await open_door(hass, booking_id="R1")
    assert opened(sim)


async def test_pin_only(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A unit whose guests have PINs only is not opened."""
    await add_unit(hass, sim, entry, "Pitch 13")
    await tell(hass, entry, unit="Pitch 13", **TIMES)
    await go_at(hass, freezer, START)
    with shown("opening_pin_only", users=True):
        await open_door(hass, booking_id="R1")
    assert commands(sim) == 0


async def test_remote_only(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A unit that is opened remotely gives out no key, and its doors need no keypad."""
    await add_unit(hass, sim, entry, "Pitch 13", mode="remote", doors=(NO_KEYPAD,))
    doors = [door(hass, sim, NO_KEYPAD)]
    await tell(hass, entry, unit="Pitch 13", doors=doors, **TIMES)
    await go_at(hass, freezer, START)
    assert (await open_door(hass, booking_id="R1"))["doors"] == doors
    assert opened(sim, NO_KEYPAD)
    assert await keys(hass, entry) == []


async def test_inactive(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """While the site is off nothing is opened for a booking."""
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    await act(hass, "switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active"))
    with shown("opening_inactive", users=True):
        await open_door(hass, booking_id="R1")
    assert commands(sim) == 0


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({}, "opening_for_whom"),
        ({"booking_id": "R2"}, "booking_unknown"),
        ({"booking_id": ""}, "booking_unknown"),
        ({"unit": "nobody"}, "unit_unknown"),
        ({"booking_id": "R1", "unit": "nobody"}, "unit_unknown"),
        ({"booking_id": "R1", "doors": []}, "key_no_doors"),
        ({"booking_id": "R1", "doors": ["lock.laundry"]}, "door_not_of_booking"),
        ({"booking_id": "R1", "doors": ["lock.nobody"]}, "door_not_ours"),
    ],
)
async def test_nothing_to_open(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    data: dict[str, Any],
    error: str,
) -> None:
    """What names no booking, or other doors than its own, opens nothing."""
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    since = fresh(sim)
    with shown(error, users=True):
        await open_door(hass, **data)
    assert since() == []
    assert (await bookings(hass))[0]["status"] == "confirmed"


async def test_booking_of_another_unit(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that is not of the unit that is named opens nothing."""
    await add_unit(hass, sim, entry, "Pitch 13", mode="both", doors=(LAUNDRY,))
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    with shown("booking_unknown", users=True):
        await open_door(hass, booking_id="R1", unit=device_of(hass, entry, "Pitch 13"))


async def test_whose_turn_it_is(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """On the day of a turnover a unit is opened for who is there, then for who comes."""
    await tell(hass, entry, "R1", **TIMES)
    await tell(hass, entry, "R2", starts_at=END, ends_at=END + HOUR)
    unit = device_of(hass, entry)
    found = []
    for moment in (START, END - 20 * MINUTE, END, END + 30 * MINUTE):
        await go_at(hass, freezer, moment)
        found.append((await open_door(hass, unit=unit))["booking"]["booking_id"])
    assert found == ["R1", "R1", "R2", "R2"]


async def test_one_of_two_fails(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Where one of two doors does not open the other does, which counts, and the reason is told."""
    entry = await set_up(iqs=[RECEPTION])
    await add_unit(hass, sim, entry, mode="both")
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    with shown("iq_not_set_up", users=True):
        await open_door(hass, booking_id="R1")
    assert opened(sim)
    assert not opened(sim, CABIN)
    (booking,) = await bookings(hass)
    assert (booking["status"], booking["opened_at"]) == ("checked_in", START.isoformat())


async def test_iq_not_set_up(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Where no IQ is set up nothing opens, and nobody is checked in."""
    entry = await set_up(iqs=[])
    await add_unit(hass, sim, entry, mode="both")
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    with shown("iq_not_set_up", users=True):
        await open_door(hass, booking_id="R1")
    assert commands(sim) == 0
    assert (await bookings(hass))[0]["status"] == "confirmed"


async def test_code(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Where the PIN of the IQ is not stored it is given with the opening."""
    entry = await set_up(iqs=[FIELD], store_pin=False)
    await add_unit(hass, sim, entry, mode="both", doors=(CABIN,))
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    for code, error in ((None, "code_required"), ("12\n", "code_invalid")):
        given: dict[str, Any] = {} if code is None else {"code": code}
        with shown(error, users=True):
            await open_door(hass, booking_id="R1", **given)
    assert commands(sim) == 0
    code = pin_in_force(sim, FIELD)
    assert code is not None
    await open_door(hass, booking_id="R1", code=code)
    assert opened(sim, CABIN)


async def test_who_may_open(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    hass_read_only_user: MockUser,
) -> None:
    """Who may control some doors opens those of a booking, and none where one is not theirs."""
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    gate, cabin = door(hass, sim), door(hass, sim, CABIN)
    allowed = {POLICY_READ: True, POLICY_CONTROL: True}
    hass_read_only_user.mock_policy({"entities": {"entity_ids": {gate: allowed}}})
    context = Context(user_id=hass_read_only_user.id)
    with shown("door_not_yours", users=True) as raised:
        await open_door(hass, context=context, booking_id="R1")
    assert raised.placeholders == {"door": cabin}
    with shown("door_not_yours", users=True):
        await open_door(hass, context=context, booking_id="R1", doors=[cabin])
    with shown("door_not_yours", users=True):
        await open_door(hass, context=Context(user_id="somebody"), booking_id="R1")
    assert commands(sim) == 0
    await open_door(hass, context=context, booking_id="R1", doors=[gate])
    assert opened(sim)
    assert not opened(sim, CABIN)


async def test_cancelled_while_it_opens(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that is cancelled while a door opens stays cancelled."""
    await tell(hass, entry, **TIMES)
    await go_at(hass, freezer, START)
    arrived = fresh(sim)
    opening = hass.async_create_task(open_door(hass, booking_id="R1", doors=[door(hass, sim)]))
    await until(lambda: len(arrived()) > 0)
    await set_booking(hass, entry, status="cancelled")
    answer = await opening
    assert answer["booking"]["status"] == "cancelled"
    (booking,) = await bookings(hass)
    assert (booking["status"], booking["opened_at"]) == ("cancelled", START.isoformat())


async def test_nothing_of_it_is_sent(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A booking that wants no key asks nothing of Salto."""
    before = len(writes(sim))
    await tell(hass, entry, status="pending", label="Family Jansen", **TIMES)
    assert len(writes(sim)) == before
