"""The units of the demo: three pitches, each with a local calendar that has bookings around now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from .folder import TIME_ZONE
from .home import FLOWS, SUBENTRY_FLOWS, Answer, HomeAssistant
from .registry import Devices
from .set_up import DOMAIN, settled
from .simulated import Seed

CALENDARS: Final = "local_calendar"


@dataclass(frozen=True, slots=True)
class Stay:
    """A booking, by nights from today."""

    name: str
    arrives: int
    nights: int


@dataclass(frozen=True, slots=True)
class DemoUnit:
    """A unit and its bookings."""

    name: str
    doors: tuple[str, ...]
    mode: str
    stays: tuple[Stay, ...]

    @property
    def calendar(self) -> str:
        """Return the name of the calendar that has the bookings."""
        return f"Bookings {self.name}"


UNITS: Final = (
    DemoUnit(
        "Pitch 12",
        ("Main gate", "Sanitary block north", "Pitch 12 cabin"),
        "both",
        (Stay("Family Jansen", -1, 3), Stay("Family de Boer", 2, 5)),
    ),
    DemoUnit(
        "Pitch 21",
        ("Main gate", "Sanitary block south", "Pitch 21 cabin"),
        "pin",
        (Stay("Family Peters", 1, 4), Stay("Blocked", 6, 2)),
    ),
    DemoUnit("Store room", ("Store room",), "remote", (Stay("Cycling club", 0, 1),)),
)


async def set_up_units(home: HomeAssistant, devices: Devices, seed: Seed) -> None:
    """Make calendars, bookings and units, unless there are units already."""
    if devices.units:
        return
    (entry,) = await home.entries(DOMAIN)
    locks = {door.name: door.entities["lock.lock"] for door in devices.doors}
    for unit in UNITS:
        if set(unit.doors) <= locks.keys():
            calendar = await _make_calendar(home, unit)
            doors = [locks[name] for name in unit.doors]
            await settled(home, seed)
            await home.walk(
                SUBENTRY_FLOWS, [entry["entry_id"], "unit"], _fill(unit, calendar, doors)
            )


async def offer_calendar(home: HomeAssistant) -> None:
    """Make the first unit's calendar with its bookings, for whoever sets all else up by hand."""
    await _make_calendar(home, UNITS[0])


def _fill(unit: DemoUnit, calendar: str, doors: Sequence[str]) -> Answer:
    """Return what fills the forms of a unit."""
    known: Mapping[str, object] = {
        "name": unit.name,
        "calendar": calendar,
        "doors": list(doors),
        "mode": unit.mode,
        "seat_from_lead_time": False,
        "minutes_before": 30,
        "minutes_after": 15,
        "strategy": "schedule",
        "on_removal": "revoke",
        "opening_statuses": ["confirmed", "checked_in"],
        "opens_minutes_before": 30,
        "checks_in_on_opening": True,
        "check_in": "15:00:00",
        "check_out": "10:00:00",
        "ends_next_day": True,
        "ignore_patterns": ["Blocked"],
        "pending_patterns": ["Option"],
        "status_without_status": "confirmed",
    }

    async def fill(fields: Sequence[str]) -> Mapping[str, object]:
        return {field: known[field] for field in fields if field in known}

    return fill


async def _make_calendar(home: HomeAssistant, unit: DemoUnit) -> str:
    """Make a calendar with the bookings of a unit, unless it is there; return its entity."""
    entity_id = f"calendar.{unit.calendar.lower().replace(' ', '_')}"
    if any(entry["title"] == unit.calendar for entry in await home.entries(CALENDARS)):
        return entity_id

    async def fill(fields: Sequence[str]) -> Mapping[str, object]:
        return {"calendar_name": unit.calendar, "import": "create_empty"}

    await home.walk(FLOWS, CALENDARS, fill)
    today = datetime.now(ZoneInfo(TIME_ZONE)).date()
    for stay in unit.stays:
        arrives = today + timedelta(days=stay.arrives)
        leaves = arrives + timedelta(days=stay.nights)
        await home.request(
            "POST",
            "/api/services/calendar/create_event",
            json={
                "entity_id": entity_id,
                "summary": stay.name,
                "start_date_time": f"{arrives} 15:00:00",
                "end_date_time": f"{leaves} 10:00:00",
            },
        )
    return entity_id
