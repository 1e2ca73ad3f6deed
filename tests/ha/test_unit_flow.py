"""Adding a unit and changing it: each step, each mistake, and what is shown before it is kept."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, override

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.components.calendar.const import DATA_COMPONENT
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest

from custom_components.salto_ks.domain.bookings import BookingStatus, Unit
from custom_components.salto_ks.domain.keys import OnRemoval, Strategy
from custom_components.salto_ks.unit_flow import LONGEST_NAME, SHOWN_EVENTS
from custom_components.salto_ks.units import units_of
from simulator import Fault, Simulator

from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import HOUR, MORNING, passing
from .support import FIELD, RECEPTION, Result, account_input, door, iq_named, lock_named
from .unit_steps import (
    ARRIVAL,
    CABIN_LOCK,
    CALENDAR,
    FORMS,
    GATE_LOCK,
    GUEST,
    KEYS,
    PEDESTRIAN_LOCK,
    add_calendar,
    add_event,
    book,
    data_of,
    entities_of,
    go_through,
    make_unit,
    settle,
    unit_device,
    unit_input,
)
from .units import PITCH, fill_unit, start_change, start_unit, unit_id_of

__all__ = ["hass_config_dir", "hass_storage"]  # local calendars are files

type Entry = ConfigEntry[Any]


@pytest.fixture(autouse=True)
def _monday(freezer: FrozenDateTimeFactory) -> None:
    """Begin on a Monday morning, and let time pass only when a test says so."""
    freezer.move_to(MORNING)


@pytest.fixture
async def entry(set_up: SetUp) -> Entry:
    """Set the site up, with an IQ."""
    entry: Entry = await set_up(iqs=[RECEPTION])
    return entry


@pytest.fixture
async def calendar(hass: HomeAssistant, entry: Entry) -> str:
    """Add a local calendar without events."""
    return await add_calendar(hass)


def vendor_ids(sim: Simulator, *names: str) -> list[str]:
    """Return what is kept of doors, by their names."""
    return sorted(lock_named(sim, name).id for name in names)


def with_custom_pins(sim: Simulator) -> None:
    """Put what takes a PIN length into the site's subscription."""
    sim.set("site", sim.site_id, features=["custom_pin"])


def prefilled(result: Result) -> dict[str, Any]:
    """Return what stands in the fields of a form."""
    return {
        str(marker): marker.description["suggested_value"]
        for marker in result["data_schema"].schema
        if marker.description and "suggested_value" in marker.description
    }


async def reach(
    hass: HomeAssistant,
    entry: Entry,
    step: str,
    forms: Mapping[str, Mapping[str, Any]] | None = None,
    **typed: Any,
) -> Result:
    """Begin to add a unit and go on to a step."""
    result = await fill_unit(hass, await start_unit(hass, entry), unit_input(**typed))
    while result["step_id"] != step:
        given = {**FORMS, **(forms or {})}[result["step_id"]]
        result = await fill_unit(hass, result, given)
        assert result["errors"] == {}
    return result


# The way through


@pytest.mark.parametrize(
    ("mode", "has_calendar", "steps"),
    [
        ("pin", False, ["user", "keys"]),
        ("remote", False, ["user", "opening"]),
        ("both", False, ["user", "keys", "opening"]),
        ("pin", True, ["user", "keys", "events", "preview_empty"]),
        ("remote", True, ["user", "opening", "events", "preview_empty"]),
        ("both", True, ["user", "keys", "opening", "events", "preview_empty"]),
    ],
)
async def test_steps(
    hass: HomeAssistant,
    entry: Entry,
    *,
    sim: Simulator,
    calendar: str,
    mode: str,
    has_calendar: bool,
    steps: list[str],
) -> None:
    """Only what matters for how guests come in, and to a unit with a calendar, is asked."""
    result = await start_unit(hass, entry)
    typed = unit_input(mode=mode, calendar=calendar if has_calendar else None)
    seen = []
    while result["type"] is FlowResultType.FORM:
        assert result["errors"] == {}
        seen.append(result["step_id"])
        answer = typed if result["step_id"] == "user" else FORMS[result["step_id"]]
        result = await fill_unit(hass, result, answer)
    assert seen == steps
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    data = data_of(entry)
    assert data["doors"] == vendor_ids(sim, "Main gate", "Pitch 12 cabin")
    assert data["mode"] == mode
    assert data.get("calendar") == (calendar if has_calendar else None)


async def test_what_is_asked_is_kept(
    hass: HomeAssistant, entry: Entry, sim: Simulator, calendar: str
) -> None:
    """Each field of each form is one of the unit that the bookings then go by."""
    with_custom_pins(sim)
    forms = {
        "keys": {
            "lead_hours": 36,
            "seat_from_lead_time": True,
            "minutes_before": 30,
            "minutes_after": 15,
            "pin_length": 6,
            "strategy": "membership",
            "on_removal": "leave",
        },
        "opening": {
            "opening_statuses": ["pending", "checked_in"],
            "opens_minutes_before": 20,
            "checks_in_on_opening": False,
        },
        "events": {
            "check_in": "16:30:00",
            "check_out": "9:15",
            "ends_next_day": True,
            "ignore_patterns": ["Blocked", "Maintenance"],
            "pending_patterns": ["Option"],
            "status_without_status": "pending",
        },
    }
    unit_id = await make_unit(hass, entry, forms, mode="both", calendar=calendar)
    unit: Unit = units_of(entry, "Europe/Amsterdam")[unit_id]  # type: ignore[index] # as kept
    assert (unit.name, unit.calendar, unit.zone) == (PITCH, calendar, "Europe/Amsterdam")
    assert unit.doors == set(vendor_ids(sim, "Main gate", "Pitch 12 cabin"))
    template, rules = unit.template, unit.rules
    assert template.lead_time == 36 * HOUR
    assert template.seat_from_lead_time
    assert (template.before, template.after) == (timedelta(minutes=30), timedelta(minutes=15))
    assert template.pin_length == 6
    assert template.strategy is Strategy.MEMBERSHIP
    assert unit.on_removal is OnRemoval.LEAVE
    assert rules.opening_statuses == {BookingStatus.PENDING, BookingStatus.CHECKED_IN}
    assert rules.opens_before == timedelta(minutes=20)
    assert not rules.checks_in_on_opening
    assert (str(rules.check_in), str(rules.check_out)) == ("16:30:00", "09:15:00")
    assert rules.ends_next_day
    assert rules.ignore_patterns == ("Blocked", "Maintenance")
    assert rules.pending_patterns == ("Option",)
    assert rules.status_without_status is BookingStatus.PENDING


async def test_forms_offer_what_a_unit_is_without_them(
    hass: HomeAssistant, entry: Entry, calendar: str
) -> None:
    """A form that is submitted as it is shown changes nothing about how a unit is read."""
    bare = await make_unit(
        hass, entry, {"keys": {}}, name="With all forms", mode="both", calendar=calendar
    )
    unit = units_of(entry, "UTC")[bare]  # type: ignore[index] # as kept
    assert unit == Unit(
        unit_id=unit.unit_id,
        name="With all forms",
        doors=unit.doors,
        zone="UTC",
        calendar=calendar,
        mode=unit.mode,
    )


async def test_pin_only_unit_may_leave_the_status_alone(hass: HomeAssistant, entry: Entry) -> None:
    """Whether the first opening checks in is asked of every unit, as a PIN opens too."""
    unit_id = await make_unit(hass, entry, {"keys": {**KEYS, "checks_in_on_opening": False}})
    assert not units_of(entry, "UTC")[unit_id].rules.checks_in_on_opening  # type: ignore[index] # as kept


async def test_unit_that_becomes_pin_only(hass: HomeAssistant, entry: Entry) -> None:
    """What was chosen for remote opening is in the way of nothing where there is none."""
    forms = {"opening": {"opening_statuses": ["confirmed"], "checks_in_on_opening": False}}
    unit_id = await make_unit(hass, entry, forms, mode="both")
    result = await start_change(hass, entry, unit_id)
    result = await fill_unit(hass, result, unit_input(mode="pin"))
    result = await fill_unit(hass, result, {**KEYS, "checks_in_on_opening": True})
    assert result["type"] is FlowResultType.ABORT
    assert units_of(entry, "UTC")[unit_id].rules.checks_in_on_opening  # type: ignore[index] # as kept


# The first form


@pytest.mark.parametrize(
    ("wrong", "errors"),
    [
        ({"name": "   "}, {"name": "unit_name_empty"}),
        ({"name": "Pitch  13 "}, {"name": "unit_name_taken"}),
        ({"name": "pITCH 13"}, {"name": "unit_name_taken"}),
        ({"doors": []}, {"doors": "unit_no_doors"}),
        ({"doors": ["lock.kitchen"]}, {"doors": "door_not_ours"}),
        ({"doors": [GATE_LOCK, PEDESTRIAN_LOCK]}, {"doors": "doors_without_keypad"}),
        ({"doors": [PEDESTRIAN_LOCK], "mode": "both"}, {"doors": "no_door_with_keypad"}),
        ({"name": "", "doors": []}, {"name": "unit_name_empty", "doors": "unit_no_doors"}),
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
async def test_mistakes_of_the_first_form(
    hass: HomeAssistant, entry: Entry, wrong: dict[str, Any], errors: dict[str, str]
) -> None:
    """Each mistake is named at its field, what was typed stays, and it can be mended there."""
    await make_unit(hass, entry, name="Pitch 13", doors=[GATE_LOCK])
    result = await start_unit(hass, entry)
    typed = unit_input(**wrong)
    result = await fill_unit(hass, result, typed)
    assert (result["step_id"], result["errors"]) == ("user", errors)
    assert prefilled(result) == typed
    result = await go_through(hass, await fill_unit(hass, result, unit_input()))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert data_of(entry)["mode"] == "pin"


async def test_long_name(hass: HomeAssistant, entry: Entry) -> None:
    """A name is one line of a length that fits on a card, without blanks at its ends."""
    await make_unit(hass, entry, name="  The\tpitch by the\nlake " + "x" * 38 + " and more")
    (name,) = [unit.title for unit in entry.subentries.values() if unit.subentry_type == "unit"]
    assert name == "The pitch by the lake " + "x" * 38
    assert len(name) == LONGEST_NAME

    await make_unit(hass, entry, name="y" * (LONGEST_NAME - 1) + " " + "z" * 10)
    assert unit_id_of(entry, "y" * (LONGEST_NAME - 1))


async def test_door_of_another_site(
    hass: HomeAssistant, sim: Simulator, entry: Entry, set_up: SetUp
) -> None:
    """A unit is at one site; the error says which."""
    await set_up(iqs=[], account=account_input(sim, site_uid="NL0000000002"))
    jetty = door(hass, sim, "Jetty gate")
    result = await start_unit(hass, entry)
    result = await fill_unit(hass, result, unit_input(doors=[GATE_LOCK, jetty]))
    assert result["errors"] == {"doors": "door_of_another_site"}
    assert result["description_placeholders"]["door"] == jetty
    result = await go_through(hass, await fill_unit(hass, result, unit_input()))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_door_that_is_gone(hass: HomeAssistant, sim: Simulator, entry: Entry) -> None:
    """A door that Salto does not list after a start is no part of a new unit."""
    sim.remove("lock", lock_named(sim, "Pitch 12 cabin").id)
    assert await hass.config_entries.async_reload(entry.entry_id)
    result = await fill_unit(hass, await start_unit(hass, entry), unit_input())
    assert result["errors"] == {"doors": "door_gone"}
    result = await fill_unit(hass, result, unit_input(doors=[GATE_LOCK]))
    result = await go_through(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert data_of(entry)["doors"] == vendor_ids(sim, "Main gate")


@pytest.mark.parametrize("mode", ["remote", "both"])
async def test_door_without_iq(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, mode: str
) -> None:
    """What hangs on no IQ cannot be opened from here; a PIN works there all the same."""
    sim.remove("iq", iq_named(sim, FIELD).id)
    entry = await set_up(iqs=[RECEPTION])
    result = await fill_unit(hass, await start_unit(hass, entry), unit_input(mode=mode))
    assert result["errors"] == {"doors": "doors_without_iq"}
    assert result["description_placeholders"]["doors"] == "Pitch 12 cabin"
    result = await go_through(hass, await fill_unit(hass, result, unit_input(mode="pin")))
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_some_doors_without_keypad(hass: HomeAssistant, sim: Simulator, entry: Entry) -> None:
    """Where guests also come in remotely, not every door has to take a PIN."""
    doors = [GATE_LOCK, PEDESTRIAN_LOCK]
    await make_unit(hass, entry, name="A", doors=doors, mode="both")
    await make_unit(hass, entry, name="B", doors=[PEDESTRIAN_LOCK], mode="remote")
    assert data_of(entry, "A")["doors"] == vendor_ids(sim, "Main gate", "Pedestrian gate")
    assert data_of(entry, "B")["doors"] == vendor_ids(sim, "Pedestrian gate")


def left_out(result: Result) -> list[str]:
    """Return the calendars that the first form does not offer."""
    fields = list(result["data_schema"].schema)
    assert fields == ["name", "calendar", "doors", "mode"]
    offered: list[str] = result["data_schema"].schema["calendar"].config["exclude_entities"]
    return offered


async def test_calendar_of_our_own(hass: HomeAssistant, entry: Entry, calendar: str) -> None:
    """A calendar that shows keys has no bookings: they would make keys of keys.

    It is not offered, and refused where it was made while the form was open.
    """
    result = await start_unit(hass, entry)
    await make_unit(hass, entry, name="Pitch 13")
    ours = ["calendar.camping_de_zilverspar_keys", "calendar.pitch_13_keys"]
    assert left_out(result) == ours[:1]
    for own in ours:
        assert hass.states.get(own) is not None
        with pytest.raises(InvalidData):
            await fill_unit(hass, await start_unit(hass, entry), unit_input(calendar=own))
    result = await fill_unit(hass, result, unit_input(calendar=ours[1]))
    assert (result["step_id"], result["errors"]) == ("user", {"calendar": "calendar_our_own"})
    assert left_out(result) == ours
    result = await go_through(hass, await fill_unit(hass, result, unit_input(calendar=calendar)))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert data_of(entry)["calendar"] == calendar


# The other forms


@pytest.mark.parametrize(
    ("step", "wrong", "errors"),
    [
        (
            "keys",
            {"seat_from_lead_time": True},
            {"seat_from_lead_time": "unit_seat_without_lead_time"},
        ),
        ("opening", {"opening_statuses": []}, {"opening_statuses": "unit_no_opening_status"}),
        (
            "opening",
            {"opening_statuses": ["confirmed"]},
            {"opening_statuses": "unit_checked_in_missing"},
        ),
        (
            "events",
            {"ignore_patterns": ["Blocked", " "]},
            {"ignore_patterns": "unit_pattern_empty"},
        ),
        ("events", {"pending_patterns": [""]}, {"ignore_patterns": "unit_pattern_empty"}),
        (
            "events",
            {"ends_next_day": False, "check_in": "15:00:00", "check_out": "10:00:00"},
            {"check_out": "unit_day_ends_before_start"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
async def test_mistakes_of_the_other_forms(
    hass: HomeAssistant,
    entry: Entry,
    *,
    calendar: str,
    step: str,
    wrong: dict[str, Any],
    errors: dict[str, str],
) -> None:
    """Each contradiction is named at its field, what was typed stays, and it can be mended."""
    result = await reach(hass, entry, step, mode="both", calendar=calendar)
    result = await fill_unit(hass, result, wrong)
    assert (result["step_id"], result["errors"]) == (step, errors)
    assert wrong.items() <= prefilled(result).items()
    result = await fill_unit(hass, result, FORMS[step])
    result = await go_through(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert not wrong.items() <= data_of(entry).items()


@pytest.mark.parametrize(
    ("step", "wrong"),
    [
        ("keys", {"minutes_before": 24 * 60 + 1}),
        ("keys", {"minutes_after": -1}),
        ("keys", {"lead_hours": 366 * 24 + 1}),
        ("keys", {"lead_hours": -1}),
        ("keys", {"pin_length": 3}),
        ("keys", {"pin_length": 7}),
        ("keys", {"strategy": "magic"}),
        ("keys", {"on_removal": "forget"}),
        ("opening", {"opening_statuses": ["cancelled"]}),
        ("opening", {"opens_minutes_before": 24 * 60 + 1}),
        ("events", {"check_in": "25:00:00"}),
        ("events", {"check_out": "noon"}),
        ("events", {"status_without_status": "cancelled"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.items())),
)
async def test_what_a_field_does_not_take(
    hass: HomeAssistant, entry: Entry, calendar: str, step: str, wrong: dict[str, Any]
) -> None:
    """What a field cannot hold is refused by the field itself, and the form goes on after that."""
    result = await reach(hass, entry, step, mode="both", calendar=calendar)
    with pytest.raises(InvalidData):
        await fill_unit(hass, result, wrong)
    result = await go_through(hass, await fill_unit(hass, result, FORMS[step]))
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("step", "typed"),
    [
        ("keys", {"minutes_before": 24 * 60, "minutes_after": 24 * 60, "lead_hours": 366 * 24}),
        ("keys", {"lead_hours": 0, "seat_from_lead_time": True, "pin_length": 4}),
        ("opening", {"opens_minutes_before": 0, "opening_statuses": ["checked_in"]}),
        ("events", {"ends_next_day": False, "check_in": "10:00:00", "check_out": "10:00:01"}),
    ],
    ids=["longest", "shortest", "opening", "events"],
)
async def test_ends_of_ranges(
    hass: HomeAssistant,
    *,
    sim: Simulator,
    entry: Entry,
    calendar: str,
    step: str,
    typed: dict[str, Any],
) -> None:
    """What is just allowed is allowed by the form and by the rules alike."""
    with_custom_pins(sim)
    await make_unit(hass, entry, {step: typed}, mode="both", calendar=calendar)
    assert typed.items() <= data_of(entry).items()
    assert entry.state is ConfigEntryState.LOADED


# The length of PINs

SITE = "/v1.2/sites/{site}"
SUBSCRIPTION = "/v1.2/sites/{site}/subscription"


@pytest.mark.parametrize("mode", ["pin", "both"])
async def test_pin_length_that_the_site_cannot_have(
    hass: HomeAssistant, entry: Entry, sim: Simulator, mode: str
) -> None:
    """It is refused at its field, since each booking would fail; the subscription can be changed."""
    typed = {**KEYS, "pin_length": 5}
    result = await reach(hass, entry, "keys", mode=mode)
    result = await fill_unit(hass, result, typed)
    refused = {"pin_length": "unit_pin_length_unavailable"}
    assert (result["step_id"], result["errors"]) == ("keys", refused)
    assert typed.items() <= prefilled(result).items()
    result = await fill_unit(hass, result, typed)
    assert result["errors"] == refused
    with_custom_pins(sim)
    result = await go_through(hass, await fill_unit(hass, result, typed))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert data_of(entry)["pin_length"] == 5


async def test_pin_length_is_left_out(hass: HomeAssistant, entry: Entry, sim: Simulator) -> None:
    """Without a length nothing is asked of Salto, and nothing of what was refused is kept."""
    result = await reach(hass, entry, "keys")
    result = await fill_unit(hass, result, {**KEYS, "pin_length": 5})
    assert set(result["errors"]) == {"pin_length"}
    sim.journal.clear()
    result = await fill_unit(hass, result, KEYS)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert sim.journal.count("GET", SUBSCRIPTION) == 0
    assert "pin_length" not in data_of(entry)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(route=SITE, reset=True, count=None),
        Fault(route=SITE, status=403, body={"ErrorCode": "2203"}, count=None),
        Fault(route=SITE, status=401, count=None),
    ],
    ids=["no answer", "forbidden", "login refused"],
)
async def test_pin_length_where_salto_cannot_be_asked(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    *,
    sim: Simulator,
    entry: Entry,
    fault: Fault,
) -> None:
    """What nobody knows is refused to nobody, nor does it keep anybody waiting for long."""
    result = await reach(hass, entry, "keys")
    sim.faults.add(fault)
    began = dt_util.utcnow()
    async with passing(freezer):
        result = await fill_unit(hass, result, {**KEYS, "pin_length": 5})
    assert dt_util.utcnow() - began < timedelta(seconds=10)
    assert sim.faults.hits(fault)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    sim.faults.clear()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert data_of(entry)["pin_length"] == 5


async def test_pin_length_where_the_entry_is_unloaded_meanwhile(
    hass: HomeAssistant, entry: Entry
) -> None:
    """A site that went away while the form was open cannot be asked either."""
    result = await reach(hass, entry, "keys")
    assert await hass.config_entries.async_unload(entry.entry_id)
    result = await fill_unit(hass, result, {**KEYS, "pin_length": 5})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert data_of(entry)["pin_length"] == 5


# The preview


def events_shown(result: Result) -> list[str]:
    """Return the lines of the preview."""
    return str(result["description_placeholders"]["events"]).splitlines()


def counts_shown(result: Result) -> tuple[str, ...]:
    """Return how many events are bookings, left out and unreadable."""
    given = result["description_placeholders"]
    return given["count"], given["ignored"], given.get("unreadable", "0")


async def test_preview(hass: HomeAssistant, entry: Entry, calendar: str) -> None:
    """It shows how the next events would be read, before anything is kept."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    await add_event(hass, "Jansen")
    await add_event(hass, "Option De Vries", "2026-12-11", "2026-12-13")
    await add_event(hass, "Blocked by owner", "2026-12-20", "2026-12-22")
    await add_event(hass, "For ever", "2027-01-01", "2029-01-01")
    forms = {"events": {"ignore_patterns": ["blocked"], "pending_patterns": ["option"]}}
    result = await reach(hass, entry, "preview_unreadable", forms, calendar=calendar)
    assert events_shown(result) == [
        "- 2026-12-07 15:00 - 2026-12-09 09:00: Jansen (Confirmed)",
        "- 2026-12-11 15:00 - 2026-12-13 10:00: Option De Vries (Pending)",
    ]
    assert counts_shown(result) == ("2", "1", "1")
    unreadable = result["description_placeholders"]["unreadable_events"]
    assert unreadable == "- 2027-01-01: For ever (too long for a booking)"
    assert not [one for one in entry.subentries.values() if one.subentry_type == "unit"]
    result = await go_through(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_preview_names_what_cannot_be_read(
    hass: HomeAssistant, entry: Entry, calendar: str
) -> None:
    """The first few of them are named, by what they are called and as their calendar says it."""
    hass.config.language = "de"
    await add_event(hass, "[x](http://x)", ARRIVAL, ARRIVAL + timedelta(days=500))
    for number in range(SHOWN_EVENTS + 1):
        starts = ARRIVAL + timedelta(days=number + 1)
        await add_event(hass, f"Guest {number}", starts, starts + timedelta(days=500))
    result = await reach(hass, entry, "preview_unreadable", calendar=calendar)
    assert counts_shown(result) == ("0", "0", str(SHOWN_EVENTS + 2))
    lines = result["description_placeholders"]["unreadable_events"].splitlines()
    assert len(lines) == SHOWN_EVENTS
    assert lines[0].startswith(f"- {ARRIVAL:%Y-%m-%d} ")
    assert "](" not in lines[0]
    assert lines[1].endswith(": Guest 0 (zu lang für eine Buchung)")
    result = await go_through(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_preview_of_an_empty_calendar(
    hass: HomeAssistant, entry: Entry, calendar: str
) -> None:
    """A calendar without events is a good one."""
    result = await reach(hass, entry, "preview_empty", calendar=calendar)
    result = await go_through(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert data_of(entry)["calendar"] == calendar


async def test_preview_of_a_calendar_without_bookings(
    hass: HomeAssistant, entry: Entry, calendar: str
) -> None:
    """Where all events are left out, that is what is shown."""
    await add_event(hass, "Blocked by owner", "2026-12-20", "2026-12-22")
    forms = {"events": {"ignore_patterns": ["blocked"]}}
    result = await reach(hass, entry, "preview", forms, calendar=calendar)
    assert events_shown(result) == ["-"]
    assert counts_shown(result) == ("0", "1", "0")


async def test_preview_shows_what_comes(hass: HomeAssistant, entry: Entry, calendar: str) -> None:
    """Events that are over are no part of it, of many only the first are, and names stay names."""
    for number in range(3):
        over = MORNING - (number + 2) * HOUR
        await add_event(hass, "Gone", over, over + HOUR)
    await add_event(hass, "**A** [link](http://x)", MORNING - HOUR, MORNING + HOUR)
    for number in range(SHOWN_EVENTS + 2):
        starts = ARRIVAL + timedelta(days=number)
        await add_event(hass, f"Guest {number}", starts, starts + HOUR)
    result = await reach(hass, entry, "preview", calendar=calendar)
    lines = events_shown(result)
    assert len(lines) == SHOWN_EVENTS
    assert r": \*\*A\*\* " in lines[0]
    assert "](" not in lines[0]
    assert "://" not in lines[0]
    assert "Guest 0 " in lines[1]
    assert counts_shown(result) == (str(SHOWN_EVENTS + 3), "0", "0")


async def test_preview_of_a_calendar_that_is_away(
    hass: HomeAssistant, entry: Entry, calendar: str
) -> None:
    """It is said that there is no answer, and the unit can be kept all the same."""
    (away,) = hass.config_entries.async_entries("local_calendar")
    assert await hass.config_entries.async_unload(away.entry_id)
    result = await reach(hass, entry, "preview_failed", calendar=calendar)
    assert result["description_placeholders"]["calendar"] == calendar
    result = await go_through(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert data_of(entry)["calendar"] == calendar
    assert entry.state is ConfigEntryState.LOADED


@pytest.mark.parametrize("setting_up", [False, True])
async def test_preview_of_a_calendar_that_is_not_there(
    hass: HomeAssistant, entry: Entry, *, setting_up: bool
) -> None:
    """A calendar that nobody has, or no longer, is one that gives no answer."""
    if setting_up:
        assert await async_setup_component(hass, "calendar", {})
    await reach(hass, entry, "preview_failed", calendar="calendar.nobodys")


class BrokenCalendar(CalendarEntity):
    """A calendar of somebody whose code is wrong."""

    entity_id = "calendar.broken"

    @property
    @override
    def event(self) -> None:
        """Have no event."""

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Fail as nobody would think of."""
        raise ZeroDivisionError


async def test_preview_of_a_calendar_that_fails(
    hass: HomeAssistant, entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever another integration raises is a calendar without an answer, and in the log."""
    await hass.data[DATA_COMPONENT].async_add_entities([BrokenCalendar()])
    result = await reach(hass, entry, "preview_failed", calendar="calendar.broken")
    assert "ZeroDivisionError" in caplog.text
    result = await go_through(hass, result)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED


async def test_calendar_without_a_registry_entry(hass: HomeAssistant, entry: Entry) -> None:
    """Some calendars are only in the state machine; they are read like others."""

    class Plain(BrokenCalendar):
        entity_id = "calendar.plain"

        @override
        async def async_get_events(
            self, hass: HomeAssistant, start_date: datetime, end_date: datetime
        ) -> list[CalendarEvent]:
            return [CalendarEvent(summary="Jansen", start=ARRIVAL, end=ARRIVAL + HOUR)]

    await hass.data[DATA_COMPONENT].async_add_entities([Plain()])
    result = await reach(hass, entry, "preview", calendar="calendar.plain")
    assert counts_shown(result) == ("1", "0", "0")


# Changing a unit


async def test_change_is_prefilled(
    hass: HomeAssistant, sim: Simulator, entry: Entry, calendar: str
) -> None:
    """All forms come with what is kept; submitted as they are, they keep it so."""
    with_custom_pins(sim)
    forms = {
        "keys": {**KEYS, "lead_hours": 24, "pin_length": 5, "strategy": "membership"},
        "opening": {"opens_minutes_before": 45, "opening_statuses": ["checked_in"]},
        "events": {"check_in": "14:00:00", "ignore_patterns": ["Blocked"]},
    }
    await make_unit(hass, entry, forms, mode="both", calendar=calendar)
    before = data_of(entry)
    result = await start_change(hass, entry, unit_id_of(entry))
    assert result["step_id"] == "reconfigure"
    assert result["description_placeholders"]["unit"] == PITCH
    assert prefilled(result) == unit_input(mode="both", calendar=calendar)
    for step in ("reconfigure", "keys", "opening", "events", "preview_empty"):
        assert result["step_id"] == step
        shown = prefilled(result)
        assert forms.get(step, {}).items() <= shown.items()
        result = await fill_unit(hass, result, shown)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert data_of(entry) == before
    assert entry.state is ConfigEntryState.LOADED


async def test_optional_fields_can_be_emptied(
    hass: HomeAssistant, sim: Simulator, entry: Entry, calendar: str
) -> None:
    """A calendar, a lead time, a PIN length and words can be taken out again."""
    with_custom_pins(sim)
    forms = {
        "keys": {**KEYS, "lead_hours": 24, "pin_length": 5},
        "events": {"ignore_patterns": ["Blocked"], "pending_patterns": ["Option"]},
    }
    await make_unit(hass, entry, forms, calendar=calendar)
    result = await fill_unit(
        hass, await start_change(hass, entry, unit_id_of(entry)), unit_input(calendar=calendar)
    )
    result = await fill_unit(hass, result, KEYS)
    result = await fill_unit(hass, result, {"check_in": "15:00:00"})
    await go_through(hass, result)
    data = data_of(entry)
    assert not {"lead_hours", "pin_length"} & set(data)
    assert (data["ignore_patterns"], data["pending_patterns"]) == ([], [])

    result = await fill_unit(hass, await start_change(hass, entry, unit_id_of(entry)), unit_input())
    result = await fill_unit(hass, result, KEYS)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert "calendar" not in data_of(entry)


async def test_change_of_name_doors_and_mode(
    hass: HomeAssistant, sim: Simulator, entry: Entry
) -> None:
    """The unit stays the same one: its device has the new name, and the entities of its mode."""
    unit_id = await make_unit(hass, entry)
    device = unit_device(hass, entry, unit_id)
    result = await start_change(hass, entry, unit_id_of(entry))
    typed = unit_input(name="Cabin 12", doors=[CABIN_LOCK], mode="remote")
    result = await go_through(hass, await fill_unit(hass, result, typed))
    assert result["type"] is FlowResultType.ABORT
    assert unit_id_of(entry, "Cabin 12") == unit_id
    assert data_of(entry, "Cabin 12")["doors"] == vendor_ids(sim, "Pitch 12 cabin")
    changed = unit_device(hass, entry, unit_id)
    assert (changed.id, changed.name) == (device.id, "Cabin 12")
    assert er.async_get(hass).async_get_entity_id("button", "salto_ks", f"{unit_id}-open")


async def test_unit_may_keep_its_name_and_not_take_another(
    hass: HomeAssistant, entry: Entry
) -> None:
    """Its own name is free for a unit, that of another is not; the mistake can be mended."""
    await make_unit(hass, entry, name="Pitch 13")
    await make_unit(hass, entry)
    result = await start_change(hass, entry, unit_id_of(entry))
    result = await fill_unit(hass, result, unit_input(name="Pitch 13"))
    assert (result["step_id"], result["errors"]) == ("reconfigure", {"name": "unit_name_taken"})
    result = await go_through(hass, await fill_unit(hass, result, unit_input(name=PITCH.upper())))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "reconfigure_successful")
    assert unit_id_of(entry, PITCH.upper())


@pytest.mark.parametrize(
    "damage",
    [{"doors": []}, {"mode": "by magic"}, {"check_in": "noon"}, {"ignore_patterns": [7]}],
    ids=str,
)
async def test_unit_that_makes_no_sense(
    hass: HomeAssistant, entry: Entry, damage: dict[str, Any]
) -> None:
    """One that nobody has entered like that keeps no site from loading, and is asked for anew."""
    unit_id, other = await make_unit(hass, entry), await make_unit(hass, entry, name="Pitch 13")
    before = data_of(entry)
    hass.config_entries.async_update_subentry(
        entry, entry.subentries[unit_id], data={**before, **damage}
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    assert list(units_of(entry, "UTC")) == [other]
    issue = ir.async_get(hass).async_get_issue("salto_ks", f"units_unreadable_{entry.entry_id}")
    assert issue is not None
    assert issue.translation_placeholders == {"site": entry.title, "units": PITCH}

    result = await start_change(hass, entry, unit_id)
    assert prefilled(result) == {"name": PITCH, "doors": []}
    await go_through(hass, await fill_unit(hass, result, unit_input()))
    assert data_of(entry) == before
    assert issue.issue_id not in {key for _, key in ir.async_get(hass).issues}


async def test_doors_are_known_by_more_than_their_names(
    hass: HomeAssistant, sim: Simulator, entry: Entry
) -> None:
    """A lock entity that was renamed is the same door, prefilled by its new name."""
    await make_unit(hass, entry)
    er.async_get(hass).async_update_entity(GATE_LOCK, new_entity_id="lock.my_gate")
    await hass.async_block_till_done()
    result = await start_change(hass, entry, unit_id_of(entry))
    assert prefilled(result)["doors"] == ["lock.my_gate", CABIN_LOCK]
    result = await go_through(hass, await fill_unit(hass, result, prefilled(result)))
    assert result["type"] is FlowResultType.ABORT
    assert data_of(entry)["doors"] == vendor_ids(sim, "Main gate", "Pitch 12 cabin")


async def test_closed_dialog_changes_nothing(
    hass: HomeAssistant, entry: Entry, calendar: str
) -> None:
    """Nothing is kept before the end, neither of a new unit nor of a changed one."""
    await make_unit(hass, entry)
    before = data_of(entry)
    result = await start_change(hass, entry, unit_id_of(entry))
    result = await fill_unit(hass, result, unit_input(name="Another", calendar=calendar))
    hass.config_entries.subentries.async_abort(result["flow_id"])
    assert data_of(entry) == before


async def start_either(hass: HomeAssistant, entry: Entry, unit_id: str | None) -> Result:
    """Begin to change a unit, or to add one."""
    if unit_id is None:
        return await start_unit(hass, entry)
    return await start_change(hass, entry, unit_id)


@pytest.mark.parametrize("is_new", [True, False])
async def test_entry_is_not_loaded(hass: HomeAssistant, entry: Entry, *, is_new: bool) -> None:
    """Without the doors nothing can be checked, so the dialog says what to do first."""
    unit_id = None if is_new else await make_unit(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    result = await start_either(hass, entry, unit_id)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "entry_not_loaded")
    assert await hass.config_entries.async_setup(entry.entry_id)
    result = await start_either(hass, entry, unit_id)
    assert result["type"] is FlowResultType.FORM


async def test_entry_is_unloaded_meanwhile(hass: HomeAssistant, entry: Entry) -> None:
    """A site that goes away while the form is open ends the dialog."""
    result = await start_unit(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    result = await fill_unit(hass, result, unit_input())
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "entry_not_loaded")


# Deleting a unit


async def test_deleted_unit(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: Entry
) -> None:
    """Its device and entities go with it, its bookings are no longer known, others stay."""
    unit_id = await make_unit(hass, entry)
    other = await make_unit(hass, entry, name="Pitch 13")
    await book(hass, entry)
    await settle(hass, freezer)
    assert hass.config_entries.async_remove_subentry(entry, unit_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED
    assert entities_of(hass, unit_id) == []
    device = dr.async_get(hass).async_get_device_by_identifier(
        ("salto_ks", unit_id), entry.entry_id
    )
    assert device is None
    assert len(entities_of(hass, other)) == 7
    await settle(hass, freezer)
    answer = await hass.services.async_call(
        "salto_ks", "get_bookings", {}, blocking=True, return_response=True
    )
    assert answer == {"bookings": []}
    assert GUEST not in str(hass.states.async_all())
    assert CALENDAR not in data_of(entry, "Pitch 13").values()
