"""Stories of bookings that become keys by themselves, ended at the keypad."""

import asyncio
from datetime import datetime, timedelta
import json
import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.calendar.const import DATA_COMPONENT
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import (
    async_capture_events,
    async_fire_time_changed,
)

from simulator import Fault, Simulator

from .booking_helpers import (
    FeedCalendar,
    add_feed,
    bookings,
    calendar_entity,
    go_to,
    keys,
    minutes_pass,
    move_event,
    only_event,
    only_key,
    openings,
    reasons,
    trouble,
)
from .conftest import SetUp
from .files import hass_config_dir, hass_storage, path_of, read
from .keys import (
    HOUR,
    INSIDE_ONLY,
    MINUTE,
    MORNING,
    SUBSCRIPTION,
    ask,
    edges,
    groups,
    guests,
    issue,
    opens,
    passing,
)
from .support import (
    DOMAIN,
    GATE,
    LAUNDRY,
    door,
    entity_id,
    go_on,
    opened as stands_open,
    restarted,
)
from .test_full_disk import empty_disk, fill_disk
from .units import (
    CABIN,
    NO_KEYPAD,
    PITCH,
    add_unit,
    device_of,
    local_calendar,
    tell,
    unit_id_of,
    write_event,
)
from .watching import act, pass_by, shown, stand_still, state_of, until

__all__ = ["hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
START, END = MORNING + 6 * HOUR, MORNING + 30 * HOUR
"""A stay from this afternoon to tomorrow afternoon."""
MARGINS: dict[str, Any] = {"minutes_before": 30, "minutes_after": 15}
OPENS, CLOSES = START - 30 * MINUTE, END + 15 * MINUTE
LONG = timedelta(days=1)


@pytest.fixture(autouse=True)
async def _morning(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning in Amsterdam, and let time pass only when a test says so."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    freezer.move_to(MORNING)


@pytest.fixture
async def entry(hass: HomeAssistant, set_up: SetUp) -> ENTRY:
    """Return a site whose IQs are not activated: keys do not need that."""
    loaded: ENTRY = await set_up(iqs=[])
    return loaded


@pytest.fixture
async def feed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> FeedCalendar:
    """Return the calendar of a unit, which was read often enough to be known."""
    found = await add_feed(hass)
    await add_unit(hass, sim, entry, calendar=found.entity_id, **MARGINS)
    found.write("Family Jansen", START, END)
    await minutes_pass(hass, freezer, 11)
    return found


def stamp(moment: datetime) -> str:
    """Write a moment as people in Amsterdam do in a form."""
    return (moment + HOUR).strftime("%Y-%m-%d %H:%M:%S")


async def stay(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY, **more: Any
) -> str:
    """Make a unit with a local calendar in which there is a stay, and have its key issued."""
    calendar = await local_calendar(hass)
    await add_unit(hass, sim, entry, calendar=calendar, **(MARGINS | more))
    await write_event(hass, calendar, "Family Jansen", stamp(START), stamp(END))
    await minutes_pass(hass, freezer, 1)
    return calendar


# From the booking to the door


async def test_booked(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A stay in a calendar becomes a PIN that opens both doors with the margins, no minute more."""
    await stay(hass, freezer, sim, entry)
    key = await only_key(hass, entry)
    assert (key["status"], key["label"]) == ("set", "Family Jansen")
    assert (key["starts_at"], key["ends_at"]) == (OPENS.isoformat(), CLOSES.isoformat())
    for name in (GATE, CABIN):
        assert edges(sim, key, name) == INSIDE_ONLY
    assert not opens(sim, key["pin"], LAUNDRY, START)
    await go_to(hass, freezer, CLOSES)
    assert await keys(hass, entry) == []
    assert guests(sim) == []


async def test_guests_have_no_names_at_salto(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Who is booked stays at home: neither guest nor group at Salto says it."""
    await stay(hass, freezer, sim, entry)
    assert len(guests(sim)) == 1
    assert all("Jansen" not in str(one) for one in guests(sim))
    assert all("Jansen" not in str(one) for one in groups(sim))


@pytest.mark.parametrize(
    ("starts_at", "ends_at"),
    [(START, END + LONG), (START - 3 * HOUR, END), (START + HOUR, END - HOUR)],
    ids=["extended", "earlier", "shorter"],
)
async def test_changed_stay(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    starts_at: datetime,
    ends_at: datetime,
) -> None:
    """A stay that is at another time keeps its key and PIN, which open at the new time only."""
    calendar = await stay(hass, freezer, sim, entry)
    before = await only_key(hass, entry)
    await move_event(hass, calendar, starts_at, ends_at)
    await minutes_pass(hass, freezer, 1)
    after = await only_key(hass, entry)
    assert (after["key_id"], after["pin"]) == (before["key_id"], before["pin"])
    assert after["starts_at"] == (starts_at - 30 * MINUTE).isoformat()
    assert after["ends_at"] == (ends_at + 15 * MINUTE).isoformat()
    assert edges(sim, after) == INSIDE_ONLY


async def test_extended_while_there(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A guest who stays on in the middle of the stay opens with the same PIN after the old end."""
    calendar = await stay(hass, freezer, sim, entry)
    pin = (await only_key(hass, entry))["pin"]
    await go_to(hass, freezer, END - HOUR)
    await move_event(hass, calendar, START, END + LONG)
    await minutes_pass(hass, freezer, 1)
    await go_to(hass, freezer, END + 20 * HOUR)
    assert opens(sim, pin)


@pytest.mark.parametrize("at", [MORNING + HOUR, START + HOUR], ids=["before", "during"])
async def test_moved_to_another_unit(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    at: datetime,
) -> None:
    """A booking that goes to another unit keeps its PIN, which opens the doors of that unit."""
    await add_unit(hass, sim, entry, **MARGINS)
    await add_unit(hass, sim, entry, "Pitch 13", doors=(GATE, LAUNDRY), **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    before = await only_key(hass, entry)
    await go_to(hass, freezer, at)
    await tell(hass, entry, unit="Pitch 13", starts_at=START, ends_at=END)
    await minutes_pass(hass, freezer, 1)
    after = await only_key(hass, entry)
    assert (after["key_id"], after["pin"]) == (before["key_id"], before["pin"])
    doors = (GATE, CABIN, LAUNDRY)
    assert openings(sim, after["pin"], doors, at=START + 2 * HOUR) == [True, False, True]
    assert ("change", "the booking is of another unit") in await reasons(hass, entry)


@pytest.mark.parametrize("others", [(), ("R2", "R3")], ids=["one of several", "all three"])
async def test_moved_between_calendars(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    others: tuple[str, ...],
) -> None:
    """Events that go from the calendar of one unit to that of another keep their keys at once."""
    feeds = [await add_feed(hass, name) for name in ("Feed", "Other")]
    await add_unit(hass, sim, entry, calendar=feeds[0].entity_id)
    await add_unit(hass, sim, entry, "Pitch 13", doors=(LAUNDRY,), calendar=feeds[1].entity_id)
    for uid in ("R1", "R2", "R3"):
        feeds[0].write(uid, START, END)
    feeds[1].write("R4", END, END + LONG)
    await minutes_pass(hass, freezer, 11)
    mine = {key["label"]: key for key in await keys(hass, entry)}
    for uid in ("R1", *others):
        feeds[0].drop(uid)
        feeds[1].write(uid, START, END)
    for minutes in (6, 15):
        await minutes_pass(hass, freezer, minutes)
        after = {key["label"]: key["key_id"] for key in await keys(hass, entry)}
        assert after == {label: key["key_id"] for label, key in mine.items()}
    for uid in ("R1", "R2"):
        pin = (await ask(hass, entry, "get_pin", key_id=mine[uid]["key_id"]))["pin"]
        has_moved = uid in {"R1", *others}
        opened = openings(sim, pin, (GATE, CABIN, LAUNDRY), at=START + HOUR)
        assert opened == [not has_moved, not has_moved, has_moved]


@pytest.mark.parametrize("at", [MORNING + HOUR, START + HOUR], ids=["before", "during"])
async def test_cancelled(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    at: datetime,
) -> None:
    """A stay that is deleted in a local calendar has a dead PIN within a minute."""
    calendar = await stay(hass, freezer, sim, entry)
    pin = (await only_key(hass, entry))["pin"]
    await go_to(hass, freezer, at)
    event = await only_event(hass, calendar)
    assert event.uid is not None
    await calendar_entity(hass, calendar).async_delete_event(event.uid)
    await minutes_pass(hass, freezer, 1)
    assert await keys(hass, entry) == []
    assert not opens(sim, pin, at=max(at, START + 2 * HOUR))
    assert ("revoke", "the booking is cancelled") in await reasons(hass, entry)


async def test_all_days(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """An event of whole days opens from check-in of the first to check-out after the last."""
    calendar = await local_calendar(hass)
    await add_unit(hass, sim, entry, calendar=calendar, check_in="16:00:00", check_out="11:00:00")
    await write_event(hass, calendar, "Family Jansen", "2026-12-08", "2026-12-10")
    await minutes_pass(hass, freezer, 1)
    key = await only_key(hass, entry)
    assert key["starts_at"] == "2026-12-08T15:00:00+00:00"
    assert key["ends_at"] == "2026-12-10T10:00:00+00:00"
    assert edges(sim, key) == INSIDE_ONLY


async def test_same_day_turnover(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Of two stays on one day each guest has a PIN of their own, and no minute of the other's."""
    calendar = await stay(hass, freezer, sim, entry, minutes_before=0, minutes_after=0)
    await write_event(hass, calendar, "Family Pieters", stamp(END), stamp(END + LONG))
    await minutes_pass(hass, freezer, 1)
    pins = {}
    for key in await keys(hass, entry):
        answer = await ask(hass, entry, "get_pin", key_id=key["key_id"])
        pins[key["label"]] = answer["pin"]
    assert pins["Family Jansen"] != pins["Family Pieters"]
    for moment, opened in ((END - MINUTE, [True, False]), (END + MINUTE, [False, True])):
        assert [opens(sim, pin, at=moment) for _, pin in sorted(pins.items())] == opened


async def test_two_of_one_name(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Two events of one name are two bookings, and one may be cancelled without the other."""
    calendar = await stay(hass, freezer, sim, entry)
    await write_event(hass, calendar, "Family Jansen", stamp(END + LONG), stamp(END + 2 * LONG))
    await minutes_pass(hass, freezer, 1)
    first, second = sorted(await keys(hass, entry), key=lambda key: str(key["starts_at"]))
    events = await calendar_entity(hass, calendar).async_get_events(
        hass, dt_util.as_local(END), dt_util.as_local(END + 3 * LONG)
    )
    later = next(event for event in events if event.start_datetime_local > END)
    assert later.uid is not None
    await calendar_entity(hass, calendar).async_delete_event(later.uid)
    await minutes_pass(hass, freezer, 1)
    assert [key["key_id"] for key in await keys(hass, entry)] == [first["key_id"]]
    assert first["key_id"] != second["key_id"]


async def test_recurring(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Each time of a recurring event has a key of its own, issued as its lead time comes."""
    calendar = await local_calendar(hass)
    await add_unit(hass, sim, entry, calendar=calendar, lead_hours=2)
    await calendar_entity(hass, calendar).async_create_event(
        summary="Choir",
        dtstart=datetime.fromisoformat("2026-12-07T20:00:00+01:00"),
        dtend=datetime.fromisoformat("2026-12-07T22:00:00+01:00"),
        rrule="FREQ=WEEKLY;COUNT=3",
    )
    await minutes_pass(hass, freezer, 1)
    assert await keys(hass, entry) == []
    starts = [datetime.fromisoformat(one["starts_at"]) for one in await bookings(hass)]
    assert [start.day for start in starts] == [7, 14, 21]
    pins = []
    for start in starts[:2]:
        await go_to(hass, freezer, start - 2 * HOUR)
        await minutes_pass(hass, freezer, 1)
        key = await only_key(hass, entry)
        assert edges(sim, key) == INSIDE_ONLY
        pins.append(key["pin"])
        await go_to(hass, freezer, start + 3 * HOUR)
    assert not opens(sim, pins[0])
    assert len(set(pins)) == 2


# Status


@pytest.mark.parametrize("status", ["confirmed", "checked_in"])
async def test_pending(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    status: str,
) -> None:
    """A pending booking has no key; one that goes back to it has no effect until it is sure."""
    await add_unit(hass, sim, entry, **MARGINS)
    times: dict[str, Any] = {"starts_at": START, "ends_at": END}
    await tell(hass, entry, status="pending", **times)
    await minutes_pass(hass, freezer, 2)
    assert await keys(hass, entry) == []
    await tell(hass, entry, **times)
    key = await only_key(hass, entry)
    assert edges(sim, key) == INSIDE_ONLY
    await tell(hass, entry, status="pending", **times)
    await minutes_pass(hass, freezer, 1)
    assert (await only_key(hass, entry))["status"] == "suspended"
    assert not opens(sim, key["pin"], at=START)
    await tell(hass, entry, status=status, **times)
    await minutes_pass(hass, freezer, 1)
    again = await only_key(hass, entry)
    assert (again["status"], again["pin"]) == ("set", key["pin"])
    assert edges(sim, again) == INSIDE_ONLY


@pytest.mark.parametrize("status", ["completed", "cancelled"])
async def test_ended_by_status(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    status: str,
) -> None:
    """A guest who has left, or does not come, has a dead PIN at once; confirmed anew, a new one."""
    await add_unit(hass, sim, entry, **MARGINS)
    times: dict[str, Any] = {"starts_at": START, "ends_at": END}
    await tell(hass, entry, **times)
    pin = (await only_key(hass, entry))["pin"]
    await go_to(hass, freezer, START + HOUR)
    assert opens(sim, pin)
    await tell(hass, entry, status=status, **times)
    assert await keys(hass, entry) == []
    assert not opens(sim, pin)
    assert ("revoke", f"the booking is {status}") in await reasons(hass, entry)
    await tell(hass, entry, **times)
    await minutes_pass(hass, freezer, 1)
    again = await only_key(hass, entry)
    assert opens(sim, again["pin"])
    assert not opens(sim, pin)


async def test_tentative_event(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """What a calendar says of how firm an event is decides: tentative suspends, cancelled revokes."""
    key = await only_key(hass, entry)
    statuses = []
    for status in ("TENTATIVE", "CONFIRMED", "CANCELLED"):
        feed.write("Family Jansen", START, END, status=status)
        await minutes_pass(hass, freezer, 6)
        statuses.append([one["status"] for one in await keys(hass, entry)])
    assert statuses == [["suspended"], ["set"], []]
    assert not opens(sim, key["pin"], at=START)


async def test_status_told_of_an_event(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A guest of a calendar who has left is completed by the action, and stays so."""
    key = await only_key(hass, entry)
    booking = await tell(hass, entry, key["booking_id"], status="completed")
    assert booking["source"] == "calendar"
    assert booking["starts_at"] == START.isoformat()
    assert not opens(sim, key["pin"], at=START)
    await minutes_pass(hass, freezer, 11)
    assert await keys(hass, entry) == []


async def test_status_told_before_the_calendar_is_known(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """What a person says of a booking is done at once, though its calendar was never read."""
    feed.write("Family Pieters", END, END + LONG)
    await minutes_pass(hass, freezer, 6)
    found = {key["label"]: key for key in await keys(hass, entry)}
    await hass.config_entries.async_unload(entry.entry_id)
    path_of(hass, f"salto_ks.bookings.{sim.site_id}").unlink()
    feed.answer = TimeoutError()
    await hass.config_entries.async_setup(entry.entry_id)
    await minutes_pass(hass, freezer, 6)
    assert len(await keys(hass, entry)) == 2
    await tell(hass, entry, found["Family Jansen"]["booking_id"], status="completed")
    assert [key["label"] for key in await keys(hass, entry)] == ["Family Pieters"]


async def test_first_use_checks_in(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """The first PIN that opens a door checks the booking in, once, with the time of it."""
    unit_id = await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    told = async_capture_events(hass, "salto_ks_booking_checked_in")
    pin = (await only_key(hass, entry))["pin"]
    await go_to(hass, freezer, START + HOUR)
    assert opens(sim, pin)
    await minutes_pass(hass, freezer, 3)
    (booking,) = await bookings(hass)
    assert booking["status"] == "checked_in"
    used_at = datetime.fromisoformat(booking["opened_at"])
    assert START + HOUR <= used_at <= START + HOUR + MINUTE
    assert opens(sim, pin, CABIN)
    await minutes_pass(hass, freezer, 3)
    assert [event.data for event in told] == [
        {
            "config_entry_id": entry.entry_id,
            "booking_id": "R1",
            "unit": PITCH,
            "unit_id": unit_id,
            "opened_at": booking["opened_at"],
        }
    ]
    assert (await only_key(hass, entry))["status"] == "set"


async def test_door_without_a_keypad(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """Of a unit for both ways the key has the doors at which a PIN can be typed."""
    await add_unit(hass, sim, entry, doors=(GATE, NO_KEYPAD), mode="both")
    await tell(hass, entry)
    assert (await only_key(hass, entry))["doors"] == [door(hass, sim, GATE)]


# Calendars in trouble


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("https://example.com/private-token.ics"),
        TimeoutError(),
        [None],
        7,
        [type("Odd", (), {"summary": 3, "start": None, "end": "x", "uid": 5})()],
    ],
    ids=["error", "timeout", "nothing in a list", "a number", "odd events"],
)
async def test_feed_fails(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
    answer: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever a calendar raises or answers instead of events, nobody loses a key, and it is said once."""
    key = await only_key(hass, entry)
    caplog.clear()
    feed.answer = answer
    for _ in range(4):
        await go_to(hass, freezer, datetime.now(MORNING.tzinfo) + timedelta(minutes=20))
    assert await keys(hass, entry)
    assert edges(sim, key) == INSIDE_ONLY
    assert len([one for one in caplog.records if "cannot be read" in one.message]) == 1
    ours = [one for one in caplog.records if one.name.startswith("custom_components")]
    assert not any("private-token" in one.getMessage() for one in ours)
    feed.answer = None
    await minutes_pass(hass, freezer, 6)
    assert "can be read again" in caplog.text


async def test_outage_of_a_day(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A calendar that is away for a day takes no key, and what has changed meanwhile is done then."""
    key = await only_key(hass, entry)
    feed._attr_available = False
    feed.async_write_ha_state()
    feed.events = []
    for hours in range(2, 26, 4):
        await go_to(hass, freezer, MORNING + hours * HOUR)
        await minutes_pass(hass, freezer, 1)
    assert opens(sim, key["pin"])
    feed._attr_available = True
    feed.write("Family Jansen", START, END + HOUR)
    feed.async_write_ha_state()
    await minutes_pass(hass, freezer, 1)
    after = await only_key(hass, entry)
    assert after["pin"] == key["pin"]
    assert after["ends_at"] == (CLOSES + HOUR).isoformat()


async def test_calendar_entity_deleted(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A calendar that is removed from Home Assistant takes no key, also not after a restart."""
    calendar = await stay(hass, freezer, sim, entry)
    key = await only_key(hass, entry)
    (local,) = hass.config_entries.async_entries("local_calendar")
    await hass.config_entries.async_remove(local.entry_id)
    assert er.async_get(hass).async_get(calendar) is None
    await minutes_pass(hass, freezer, 20)
    async with restarted(hass, entry) as (again, same):
        await minutes_pass(again, freezer, 20)
        assert [one["key_id"] for one in await keys(again, same)] == [key["key_id"]]
        assert edges(sim, key) == INSIDE_ONLY


async def test_calendar_that_is_away_is_told(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """After an hour without an answer a repair names the unit, until the calendar is back."""

    def issue() -> ir.IssueEntry | None:
        return ir.async_get(hass).async_get_issue(DOMAIN, f"calendars_unread_{entry.entry_id}")

    feed._attr_available = False
    feed.async_write_ha_state()
    await minutes_pass(hass, freezer, 55)
    assert issue() is None
    await minutes_pass(hass, freezer, 10)
    assert (told := issue()) is not None
    assert told.translation_placeholders is not None
    assert told.translation_placeholders["units"] == PITCH
    feed._attr_available = True
    feed.async_write_ha_state()
    await minutes_pass(hass, freezer, 2)
    assert issue() is None


async def test_key_that_is_being_made_is_shown_at_once(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """While Salto takes its time, the unit says that the key is being set."""
    await add_unit(hass, sim, entry)
    sim.faults.add(Fault(method="POST", route="guests", latency=10))
    telling = asyncio.create_task(tell(hass, entry, "R1", starts_at=START, ends_at=END))
    key = entity_id(hass, "sensor", unit_id_of(entry), "key_state")
    await until(lambda: state_of(hass, key) == "setting")
    assert guests(sim) == []
    async with passing(freezer):
        await telling
    assert state_of(hass, key) == "set"


@pytest.mark.parametrize("status", ["confirmed", "pending"])
async def test_key_of_which_nobody_knows_all(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    status: str,
) -> None:
    """It is put right for a guest who is expected, and taken from one who is not; once."""
    await add_unit(hass, sim, entry)
    async with passing(freezer):
        await tell(hass, entry, "R1", starts_at=START, ends_at=END)
    before = await only_key(hass, entry)
    sim.faults.add(
        Fault(
            method="PATCH",
            route="/time_schedules",
            status=400,
            body={"ErrorCode": "1101"},
            count=None,
        )
    )
    async with passing(freezer):
        with pytest.raises(HomeAssistantError):
            await ask(hass, entry, "change_key", key_id=before["key_id"], ends_at=END + HOUR)
    assert (await only_key(hass, entry))["status"] == "unknown"
    sim.faults.clear()
    async with passing(freezer):
        await tell(hass, entry, "R1", starts_at=START, ends_at=END, status=status)
    await minutes_pass(hass, freezer, 8)
    kept = await keys(hass, entry)
    if status == "pending":
        assert kept == []
        assert guests(sim) == groups(sim) == []
    else:
        assert [(key["key_id"], key["status"], key["errors"]) for key in kept] == [
            (before["key_id"], "set", [])
        ]
        assert edges(sim, before) == INSIDE_ONLY
    done = [action for action, _ in await reasons(hass, entry)]
    await minutes_pass(hass, freezer, 30)
    assert [action for action, _ in await reasons(hass, entry)] == done


async def test_suddenly_empty(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A calendar that loses three bookings at once is believed after 15 minutes, and not before."""
    feed.write("Family Pieters", END, END + LONG)
    feed.write("Family de Vries", END + LONG, END + 2 * LONG)
    await minutes_pass(hass, freezer, 6)
    assert len(await keys(hass, entry)) == 3
    feed.events = []
    await minutes_pass(hass, freezer, 13)
    assert len(await keys(hass, entry)) == 3
    await minutes_pass(hass, freezer, 12)
    assert await keys(hass, entry) == []


async def test_flapping(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A calendar that is empty every other time, and away in between, takes no key."""
    feed.write("Family Pieters", END, END + LONG)
    feed.write("Family de Vries", END + LONG, END + 2 * LONG)
    await minutes_pass(hass, freezer, 6)
    before, events = await keys(hass, entry), feed.events
    for turn in range(6):
        feed.events = [] if turn % 2 else events
        feed._attr_available = turn % 3 > 0
        feed.async_write_ha_state()
        await minutes_pass(hass, freezer, 5)
    assert [key["key_id"] for key in await keys(hass, entry)] == [key["key_id"] for key in before]
    assert not any(action == "revoke" for action, _ in await reasons(hass, entry))


async def test_one_vanishes(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A single event that has vanished keeps its key for one good read, and loses it with the next."""
    pin = (await only_key(hass, entry))["pin"]
    feed.write("Family Pieters", END, END + LONG)
    feed.drop("Family Jansen")
    await minutes_pass(hass, freezer, 5)
    assert len(await keys(hass, entry)) == 2
    await minutes_pass(hass, freezer, 5)
    assert [key["label"] for key in await keys(hass, entry)] == ["Family Pieters"]
    assert not opens(sim, pin, at=START)


async def test_slow_calendar(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A calendar that does not answer holds nobody up, and is given up after a minute."""
    await add_unit(hass, sim, entry, "Pitch 13")
    await minutes_pass(hass, freezer, 1)
    feed.gate.clear()
    reads = feed.reads
    pass_by(freezer, 300)
    async_fire_time_changed(hass)
    await until(lambda: feed.reads > reads)
    await hass.services.async_call(
        DOMAIN,
        "set_booking",
        {
            "unit": device_of(hass, entry, "Pitch 13"),
            "booking_id": "R1",
            "starts_at": START.isoformat(),
            "ends_at": END.isoformat(),
            "status": "confirmed",
        },
        blocking=True,
    )
    await until(lambda: len(guests(sim)) == 2)
    pass_by(freezer, 61)
    await stand_still()
    await minutes_pass(hass, freezer, 1)
    assert [key["status"] for key in await keys(hass, entry)] == ["set", "set"]
    assert feed.reads == reads + 1


async def test_calendars_that_write_their_states(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    feed: FeedCalendar,
) -> None:
    """A written state has its calendar read, once; only news in one has the others read too."""
    other = await add_feed(hass, "Other")
    await add_unit(hass, sim, entry, "Hall", doors=(LAUNDRY,), calendar=other.entity_id)
    await minutes_pass(hass, freezer, 21)

    async def reads_of(*writing: FeedCalendar) -> tuple[int, int]:
        before = feed.reads, other.reads
        for calendar in writing:
            calendar.async_write_ha_state()
        await go_on(hass, freezer, 3)
        return feed.reads - before[0], other.reads - before[1]

    assert await reads_of(feed, other, feed) == (1, 1)
    assert await reads_of(feed) == (1, 0)
    feed.write("Family Visser", END + HOUR, END + 2 * HOUR)
    assert await reads_of(feed) == (2, 1)
    assert [one["label"] for one in await bookings(hass)] == ["Family Jansen", "Family Visser"]
    assert await reads_of(feed) == (1, 0)


async def test_read_that_is_overtaken(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Reads of several calendars at once are each believed as of when they were made."""
    slow, quick = await add_feed(hass), await add_feed(hass, "Quick")
    await add_unit(hass, sim, entry, calendar=slow.entity_id)
    await add_unit(hass, sim, entry, "Pitch 13", calendar=quick.entity_id)
    slow.write("Family Jansen", START, END)
    quick.write("Family Pieters", START, END)
    await minutes_pass(hass, freezer, 11)
    assert len(await keys(hass, entry)) == 2
    slow.gate.clear()
    pass_by(freezer, 300)
    async_fire_time_changed(hass)
    await stand_still()
    quick.write("Family Pieters", START, END + HOUR)
    quick._attr_extra_state_attributes = {"changed": True}
    quick.async_write_ha_state()
    pass_by(freezer, 3)
    async_fire_time_changed(hass)
    await stand_still()
    slow.gate.set()
    await hass.async_block_till_done(wait_background_tasks=True)
    found = {one["label"]: one["ends_at"] for one in await bookings(hass)}
    assert found["Family Pieters"] == (END + HOUR).isoformat()


async def test_unloaded_in_the_middle_of_a_read(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A read that is under way when the site is reloaded writes nothing over what is new."""
    feed.gate.clear()
    pass_by(freezer, 300)
    async_fire_time_changed(hass)
    await stand_still()
    assert await hass.config_entries.async_reload(entry.entry_id)
    await tell(hass, entry, "R2", starts_at=END, ends_at=END + LONG)
    feed.gate.set()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(await bookings(hass)) == 2
    told = read(hass, f"salto_ks.bookings.{sim.site_id}")["data"]["bookings"]["told"]
    assert [one["booking_id"] for one in told] == ["R2"]


async def test_thousand_events(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A thousand events are read in little time, and get keys as their lead time comes."""
    feed = await add_feed(hass)
    await add_unit(hass, sim, entry, calendar=feed.entity_id, lead_hours=1)
    for number in range(1000):
        starts_at = START + number * 2 * HOUR
        feed.write(f"Guest {number}", starts_at, starts_at + 2 * HOUR)
    began = time.process_time()
    await minutes_pass(hass, freezer, 6)
    assert time.process_time() - began < 5
    assert len(await bookings(hass)) == 1000
    assert await keys(hass, entry) == []
    await go_to(hass, freezer, START - HOUR)
    await minutes_pass(hass, freezer, 1)
    assert (await only_key(hass, entry))["label"] == "Guest 0"


# Lead time and seats


async def test_lead_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key comes the lead time before the arrival; one that came too late for it comes at once."""
    await add_unit(hass, sim, entry, lead_hours=3)
    await tell(hass, entry, starts_at=START, ends_at=END)
    await go_to(hass, freezer, START - 3 * HOUR - 2 * MINUTE)
    assert await keys(hass, entry) == []
    await go_to(hass, freezer, START - 3 * HOUR)
    await minutes_pass(hass, freezer, 1)
    assert edges(sim, await only_key(hass, entry)) == INSIDE_ONLY
    now = datetime.now(MORNING.tzinfo)
    await tell(hass, entry, "R2", starts_at=now + HOUR, ends_at=now + 2 * HOUR)
    assert len(await keys(hass, entry)) == 2


async def test_seat_from_lead_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key may be issued at once and have its seat only from the lead time on, with the same PIN."""
    used = sim.world.seats_used(sim.site_id)
    await add_unit(hass, sim, entry, lead_hours=3, seat_from_lead_time=True)
    await tell(hass, entry, starts_at=START, ends_at=END)
    await minutes_pass(hass, freezer, 2)
    key = await only_key(hass, entry)
    assert key["status"] == "suspended"
    assert sim.world.seats_used(sim.site_id) == used
    await go_to(hass, freezer, START - 3 * HOUR)
    await minutes_pass(hass, freezer, 1)
    after = await only_key(hass, entry)
    assert (after["status"], after["pin"]) == ("set", key["pin"])
    assert sim.world.seats_used(sim.site_id) == used + 1
    assert edges(sim, after) == INSIDE_ONLY


@pytest.mark.parametrize(("language", "word"), [("en", "seat"), ("fr", "licence")])
async def test_no_seat(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: ENTRY,
    language: str,
    word: str,
) -> None:
    """A site without a free seat is told before the arrival, and the key comes when there is one."""
    await hass.config.async_update(language=language)
    await hass.async_block_till_done(wait_background_tasks=True)
    site = sim.world.sites[sim.site_id]
    seats = site.subscribed_user_amount
    site.subscribed_user_amount = sim.world.seats_used(sim.site_id)
    await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    said = trouble(hass, entry)
    assert said is not None
    assert said.startswith("- Pitch 12, 2026-12-07 15:00: ")
    assert word in said
    assert "seat_unavailable" not in said
    assert await keys(hass, entry) == []
    site.subscribed_user_amount = seats
    await minutes_pass(hass, freezer, 7)
    assert edges(sim, await only_key(hass, entry)) == INSIDE_ONLY
    assert trouble(hass, entry) is None


async def test_trouble_of_a_cancelled_booking(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that is cancelled has no trouble any more."""
    site = sim.world.sites[sim.site_id]
    site.subscribed_user_amount = sim.world.seats_used(sim.site_id)
    await add_unit(hass, sim, entry)
    await tell(hass, entry, starts_at=START, ends_at=END)
    assert trouble(hass, entry) is not None
    await tell(hass, entry, starts_at=START, ends_at=END, status="cancelled")
    assert trouble(hass, entry) is None


async def test_inactive(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """While the site is off no key is issued and keys are taken back all the same; after, it goes on."""
    switch = entity_id(hass, "switch", sim.site_id, "active")
    await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, "R1", starts_at=START, ends_at=END)
    key = await only_key(hass, entry)
    await act(hass, "switch", "turn_off", switch)
    await tell(hass, entry, "R1", starts_at=START, ends_at=END + HOUR)
    await tell(hass, entry, "R2", starts_at=START, ends_at=END)
    await minutes_pass(hass, freezer, 2)
    assert [one["ends_at"] for one in await keys(hass, entry)] == [key["ends_at"]]
    assert trouble(hass, entry) is None
    await tell(hass, entry, "R1", starts_at=START, ends_at=END, status="cancelled")
    assert await keys(hass, entry) == []
    await act(hass, "switch", "turn_on", switch)
    await minutes_pass(hass, freezer, 1)
    assert (await only_key(hass, entry))["booking_id"] == "R2"


# What people do


@pytest.mark.parametrize(("action", "left"), [("revoke_key", []), ("suspend_key", ["suspended"])])
async def test_by_hand(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    action: str,
    left: list[str],
) -> None:
    """A key that a person has revoked or suspended stays so, though its booking goes on."""
    await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    key = await only_key(hass, entry)
    await ask(hass, entry, action, key_id=key["key_id"], reason="lost phone")
    await minutes_pass(hass, freezer, 3)
    await tell(hass, entry, starts_at=START, ends_at=END + HOUR)
    await minutes_pass(hass, freezer, 2)
    assert [one["status"] for one in await keys(hass, entry)] == left
    assert not opens(sim, key["pin"], at=START)


async def test_keys_by_hand_are_left_alone(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key that was issued by hand is nobody's to touch, not even for a booking of its id."""
    await add_unit(hass, sim, entry, **MARGINS)
    own = await issue(hass, sim, entry, booking_id="R1", starts_at=START, ends_at=END)
    other = await issue(hass, sim, entry, LAUNDRY, starts_at=START, ends_at=END)
    for status in ("confirmed", "pending", "cancelled"):
        await tell(hass, entry, starts_at=START + HOUR, ends_at=END + HOUR, status=status)
        await minutes_pass(hass, freezer, 1)
    unit_id = unit_id_of(entry)
    hass.config_entries.async_remove_subentry(entry, unit_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    await minutes_pass(hass, freezer, 2)
    assert edges(sim, own) == INSIDE_ONLY
    assert edges(sim, other, LAUNDRY) == INSIDE_ONLY


async def test_forgotten_pins(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Where PINs are forgotten once they are handed out, that of a booking can be asked for once."""
    hass.config_entries.async_update_entry(entry, options={"forget_pins": True})
    await hass.async_block_till_done(wait_background_tasks=True)
    await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    key = await only_key(hass, entry)
    assert edges(sim, key) == INSIDE_ONLY
    with shown("key_pin_not_there", users=True):
        await ask(hass, entry, "get_pin", key_id=key["key_id"])


@pytest.mark.parametrize("on_removal", ["revoke", "leave"])
async def test_unit_deleted(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    on_removal: str,
) -> None:
    """With a unit go its keys, or they are left to their end, as the unit says."""
    await add_unit(hass, sim, entry, on_removal=on_removal, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    key = await only_key(hass, entry)
    hass.config_entries.async_remove_subentry(entry, unit_id_of(entry))
    await hass.async_block_till_done(wait_background_tasks=True)
    await minutes_pass(hass, freezer, 2)
    is_left = on_removal == "leave"
    assert len(await keys(hass, entry)) == is_left
    assert edges(sim, key) == (INSIDE_ONLY if is_left else (False,) * 4)
    assert await bookings(hass) == []
    await go_to(hass, freezer, CLOSES)
    assert await keys(hass, entry) == []


async def test_unit_that_makes_no_sense(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A unit that cannot be read costs no key, neither its own nor one of another unit."""
    unit_id = await add_unit(hass, sim, entry, **MARGINS)
    await add_unit(hass, sim, entry, "Pitch 13", **MARGINS)
    times: dict[str, Any] = {"starts_at": START, "ends_at": END}
    await tell(hass, entry, **times)
    await tell(hass, entry, "R2", unit="Pitch 13", **times)
    subentry = entry.subentries[unit_id]
    whole = dict(subentry.data)
    for data in (whole | {"mode": "by magic"}, whole):
        hass.config_entries.async_update_subentry(entry, subentry, data=data)
        await hass.async_block_till_done(wait_background_tasks=True)
        await minutes_pass(hass, freezer, 6)
        found = {one["booking_id"]: one for one in await keys(hass, entry)}
        assert set(found) == {"R1", "R2"}
        is_read = data == whole
        assert [one["booking_id"] for one in await bookings(hass)] == ["R1", "R2"][not is_read :]
    pin = (await ask(hass, entry, "get_pin", key_id=found["R1"]["key_id"]))["pin"]
    assert edges(sim, found["R1"], keypad_pin=pin) == INSIDE_ONLY


# Restarts, disks


async def test_down_over_check_in(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A guest who comes while Home Assistant is down gets in, and is checked in when it is back."""
    await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    key = await only_key(hass, entry)
    freezer.move_to(START - HOUR)
    await hass.config_entries.async_unload(entry.entry_id)
    freezer.move_to(START + HOUR)
    assert opens(sim, key["pin"])
    freezer.move_to(START + 2 * HOUR)
    async with restarted(hass, entry) as (again, same):
        await minutes_pass(again, freezer, 3)
        (booking,) = await bookings(again)
        assert booking["status"] == "checked_in"
        assert [one["key_id"] for one in await keys(again, same)] == [key["key_id"]]
        await tell(again, same, starts_at=START, ends_at=END, status="completed")
        assert not opens(sim, key["pin"])


async def test_down_over_lead_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking whose key was due while Home Assistant was down has it a minute after the start."""
    await add_unit(hass, sim, entry, lead_hours=2)
    await tell(hass, entry, starts_at=START, ends_at=END)
    await hass.config_entries.async_unload(entry.entry_id)
    freezer.move_to(START + HOUR)
    async with restarted(hass, entry) as (again, same):
        await minutes_pass(again, freezer, 1)
        assert opens(sim, (await only_key(again, same))["pin"])


async def test_down_over_check_out(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A PIN is dead at its end though Home Assistant is down, and its key is gone when it is back."""
    await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    key = await only_key(hass, entry)
    await hass.config_entries.async_unload(entry.entry_id)
    freezer.move_to(CLOSES + HOUR)
    assert not opens(sim, key["pin"])
    async with restarted(hass, entry) as (again, same):
        async with passing(freezer):
            await minutes_pass(again, freezer, 2)
        assert await keys(again, same) == []
        assert guests(sim) == []
        freezer.move_to(END + 3 * LONG)
        await minutes_pass(again, freezer, 1)
        assert await bookings(again) == []
        assert read(again, f"salto_ks.bookings.{sim.site_id}")["data"]["bookings"]["told"] == []


@pytest.mark.parametrize(
    "damage",
    [
        "{",
        '{"data": {"bookings": {"told": [{"booking_id": 7}], "calendars": {}}}}',
        '{"data": {"told": 1}}',
        "[]",
    ],
    ids=["no json", "no booking", "no bookings", "a list"],
)
async def test_damaged_file(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    damage: str,
) -> None:
    """With a damaged file no key is touched and nothing is written over it, and a person is told."""
    await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    key = await only_key(hass, entry)
    await hass.config_entries.async_unload(entry.entry_id)
    path = path_of(hass, f"salto_ks.bookings.{sim.site_id}")
    whole = path.read_text("utf-8")
    if damage.startswith('{"'):
        damage = json.dumps(json.loads(whole) | json.loads(damage))
    path.write_text(damage, "utf-8")
    async with restarted(hass, entry) as (again, same):
        issues = ir.async_get(again)
        name = f"bookings_unreadable_{same.entry_id}"
        assert issues.async_get_issue(DOMAIN, name) is not None
        await minutes_pass(again, freezer, 2)
        assert [one["key_id"] for one in await keys(again, same)] == [key["key_id"]]
        with shown("storage_failed"):
            await tell(again, same, "R2", starts_at=START, ends_at=END)
        assert await bookings(again) == []
        assert len(await keys(again, same)) == 1
        await again.config_entries.async_unload(same.entry_id)
        for aside in path.parent.glob(f"{path.name}.corrupt*"):
            aside.unlink()
        path.write_text(whole, "utf-8")
        await again.config_entries.async_setup(same.entry_id)
        await again.async_block_till_done()
        assert issues.async_get_issue(DOMAIN, name) is None
        assert [one["booking_id"] for one in await bookings(again)] == ["R1"]


async def test_damaged_memory(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A calendar whose memory is damaged is read anew until it is known, and no key goes meanwhile."""
    key = await only_key(hass, entry)
    await hass.config_entries.async_unload(entry.entry_id)
    path = path_of(hass, f"salto_ks.bookings.{sim.site_id}")
    data = json.loads(path.read_text("utf-8"))
    data["data"]["bookings"]["calendars"][unit_id_of(entry)]["events"] = [7]
    path.write_text(json.dumps(data), "utf-8")
    await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    feed.answer = RuntimeError()
    await minutes_pass(hass, freezer, 6)
    assert await bookings(hass) == []
    feed.answer = None
    await minutes_pass(hass, freezer, 12)
    assert [one["key_id"] for one in await keys(hass, entry)] == [key["key_id"]]


async def test_guest_who_came_before(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A guest whose key was used is checked in, though the booking is told only after that."""
    await add_unit(hass, sim, entry, **MARGINS)
    await tell(hass, entry, starts_at=START, ends_at=END)
    pin = (await only_key(hass, entry))["pin"]
    await go_to(hass, freezer, START + HOUR)
    await hass.config_entries.async_unload(entry.entry_id)
    path = path_of(hass, f"salto_ks.bookings.{sim.site_id}")
    before = path.read_text("utf-8")
    await hass.config_entries.async_setup(entry.entry_id)
    assert opens(sim, pin)
    await minutes_pass(hass, freezer, 2)
    (booking,) = await bookings(hass)
    await hass.config_entries.async_unload(entry.entry_id)
    path.write_text(before, "utf-8")
    await hass.config_entries.async_setup(entry.entry_id)
    await minutes_pass(hass, freezer, 1)
    assert await bookings(hass) == [booking]
    assert booking["status"] == "checked_in"


async def test_full_disk(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that the disk does not take is told, counts all the same, and is written later."""
    await add_unit(hass, sim, entry, **MARGINS)
    store = f"salto_ks.bookings.{sim.site_id}"
    fill_disk(hass, store)
    with shown("storage_failed"):
        await tell(hass, entry, starts_at=START, ends_at=END)
    await minutes_pass(hass, freezer, 1)
    assert edges(sim, await only_key(hass, entry)) == INSIDE_ONLY
    empty_disk(hass, store)
    await minutes_pass(hass, freezer, 1)
    assert [one["booking_id"] for one in read(hass, store)["data"]["bookings"]["told"]] == ["R1"]


async def test_told_during_an_action(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that is cancelled while its key is on its way has none when that has come."""
    await add_unit(hass, sim, entry, **MARGINS)
    data = {
        "unit": device_of(hass, entry),
        "booking_id": "R1",
        "starts_at": START.isoformat(),
        "ends_at": END.isoformat(),
    }
    await asyncio.gather(
        *(
            hass.services.async_call(
                DOMAIN, "set_booking", data | {"status": status}, blocking=True
            )
            for status in ("confirmed", "pending", "confirmed", "cancelled")
        )
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert await keys(hass, entry) == []
    assert guests(sim) == []
    assert [one["status"] for one in await bookings(hass)] == ["cancelled"]


async def test_cancelled_before_its_key_is_begun(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key that is asked for, and that nobody wants when it has come, is taken back at once."""
    await add_unit(hass, sim, entry, **MARGINS)
    data = {
        "unit": device_of(hass, entry),
        "booking_id": "R1",
        "starts_at": START.isoformat(),
        "ends_at": END.isoformat(),
    }
    before = sim.journal.count("GET", SUBSCRIPTION)
    for status in ("confirmed", "cancelled"):
        await hass.services.async_call(
            DOMAIN, "set_booking", data | {"status": status}, blocking=True
        )
        await until(lambda: sim.journal.count("GET", SUBSCRIPTION) > before)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert guests(sim) == []
    assert await keys(hass, entry) == []


async def test_opening_on_a_full_disk(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A guest whom a door was opened for is checked in, though the disk does not take it yet."""
    entry = await set_up()
    await add_unit(hass, sim, entry, mode="remote")
    told = async_capture_events(hass, "salto_ks_booking_checked_in")
    await tell(hass, entry, starts_at=START, ends_at=END)
    await go_to(hass, freezer, START)
    store = f"salto_ks.bookings.{sim.site_id}"
    fill_disk(hass, store)
    answer = await hass.services.async_call(
        DOMAIN, "open_door", {"booking_id": "R1"}, blocking=True, return_response=True
    )
    assert stands_open(sim)
    assert answer is not None
    assert answer["booking"] == (await bookings(hass))[0]
    assert (await bookings(hass))[0]["status"] == "checked_in"
    await hass.async_block_till_done(wait_background_tasks=True)
    assert len(told) == 1
    empty_disk(hass, store)
    await minutes_pass(hass, freezer, 1)
    (kept,) = read(hass, store)["data"]["bookings"]["told"]
    assert kept["status"] == "checked_in"


async def test_what_is_told_while_it_unloads(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that is told while the site is unloaded is refused, or it is on disk."""
    await add_unit(hass, sim, entry)
    data = {
        "unit": device_of(hass, entry),
        "starts_at": START.isoformat(),
        "ends_at": END.isoformat(),
        "status": "pending",
    }
    calls = [
        hass.async_create_task(
            hass.services.async_call(
                DOMAIN, "set_booking", data | {"booking_id": f"R{number}"}, blocking=True
            )
        )
        for number in range(5)
    ]
    unloading = hass.async_create_task(hass.config_entries.async_unload(entry.entry_id))
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert await unloading
    kept = {
        one["booking_id"]
        for one in read(hass, f"salto_ks.bookings.{sim.site_id}")["data"]["bookings"]["told"]
    }
    assert {f"R{number}" for number, one in enumerate(results) if one is None} == kept
    errors = {one.translation_key for one in results if isinstance(one, HomeAssistantError)}
    assert errors <= {"key_unloading", "unit_unknown"}


async def test_nothing_runs_after_unloading(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    feed: FeedCalendar,
    entry: ENTRY,
) -> None:
    """A site that is unloaded reads no calendar and asks Salto for nothing any more."""
    feed._attr_extra_state_attributes = {"changed": True}
    feed.async_write_ha_state()
    assert await hass.config_entries.async_unload(entry.entry_id)
    reads, requests = feed.reads, len(sim.journal.entries)
    await minutes_pass(hass, freezer, 6)
    assert (feed.reads, len(sim.journal.entries)) == (reads, requests)
    assert hass.data[DATA_COMPONENT].get_entity(feed.entity_id) is feed
