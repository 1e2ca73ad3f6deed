"""What tests of units do again and again: add one through its forms, and tell of bookings."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from homeassistant.config_entries import SOURCE_RECONFIGURE, SOURCE_USER, ConfigEntry
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
from pytest_homeassistant_custom_component.common import MockConfigEntry

from simulator import Simulator

from .keys import HOUR, MORNING
from .support import DOMAIN, GATE, Result, door
from .texts import check_texts, english

CABIN = "Pitch 12 cabin"
PITCH = "Pitch 12"
NO_KEYPAD = "Pedestrian gate"
"""A door without a keypad."""


def _readable(result: Result) -> Result:
    """Pass an answer of the flow on, held to its texts."""
    check_texts(result, english()["config_subentries"]["unit"])
    return result


async def start_unit(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Result:
    """Begin to add a unit."""
    flows = hass.config_entries.subentries
    return _readable(
        await flows.async_init((entry.entry_id, "unit"), context={"source": SOURCE_USER})
    )


async def start_change(hass: HomeAssistant, entry: ConfigEntry[Any], unit_id: str) -> Result:
    """Begin to change a unit."""
    return _readable(
        await hass.config_entries.subentries.async_init(
            (entry.entry_id, "unit"),
            context={"source": SOURCE_RECONFIGURE, "subentry_id": unit_id},
        )
    )


async def fill_unit(hass: HomeAssistant, result: Result, typed: Mapping[str, Any]) -> Result:
    """Submit a form of the flow."""
    flows = hass.config_entries.subentries
    return _readable(await flows.async_configure(result["flow_id"], dict(typed)))


async def add_unit(
    hass: HomeAssistant,
    sim: Simulator,
    entry: ConfigEntry[Any],
    name: str = PITCH,
    *,
    doors: tuple[str, ...] = (GATE, CABIN),
    mode: str = "pin",
    calendar: str | None = None,
    **more: Any,
) -> str:
    """Add a unit with what is usual, `more` being put into whichever form asks for it."""
    result = await start_unit(hass, entry)
    first: dict[str, Any] = {
        "name": name,
        "doors": [door(hass, sim, one) for one in doors],
        "mode": mode,
    }
    result = await fill_unit(hass, result, first | ({"calendar": calendar} if calendar else {}))
    while result["type"] is FlowResultType.FORM:
        assert not result["errors"], result["errors"]
        asked = {str(key) for key in result["data_schema"].schema}
        result = await fill_unit(
            hass, result, {key: value for key, value in more.items() if key in asked}
        )
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done(wait_background_tasks=True)
    return unit_id_of(entry, name)


def unit_id_of(entry: ConfigEntry[Any], name: str = PITCH) -> str:
    """Return the id of a unit."""
    return next(key for key, item in entry.subentries.items() if item.title == name)


def device_of(hass: HomeAssistant, entry: ConfigEntry[Any], name: str = PITCH) -> str:
    """Return the id of a unit's device."""
    found = dr.async_get(hass).async_get_device_by_identifier(
        (DOMAIN, unit_id_of(entry, name)), entry.entry_id
    )
    assert found is not None
    return found.id


def unit_entity(
    hass: HomeAssistant, entry: ConfigEntry[Any], platform: str, key: str, name: str = PITCH
) -> str:
    """Return an entity of a unit."""
    unit_id = unit_id_of(entry, name)
    found = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{unit_id}-{key}")
    assert found is not None
    return found


async def tell(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    booking_id: str = "R1",
    *,
    unit: str = PITCH,
    starts_at: datetime = MORNING + 2 * HOUR,
    ends_at: datetime = MORNING + 50 * HOUR,
    status: str = "confirmed",
    context: Context | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Tell of a booking by the action; return it as it is answered."""
    answer = await hass.services.async_call(
        DOMAIN,
        "set_booking",
        {
            "unit": device_of(hass, entry, unit),
            "booking_id": booking_id,
            "starts_at": starts_at.isoformat(),
            "ends_at": ends_at.isoformat(),
            "status": status,
            **more,
        },
        blocking=True,
        context=context,
        return_response=True,
    )
    await hass.async_block_till_done(wait_background_tasks=True)
    assert isinstance(answer, dict)
    booking: dict[str, Any] = answer["booking"]
    return booking


async def local_calendar(hass: HomeAssistant, name: str = "Stays") -> str:
    """Set a local calendar up, and return its entity."""
    entry = MockConfigEntry(
        domain="local_calendar",
        title=name,
        data={"calendar_name": name, "storage_key": name.lower(), "import": "create_empty"},
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return f"calendar.{name.lower()}"


async def write_event(
    hass: HomeAssistant, calendar: str, summary: str, starts: str, ends: str
) -> None:
    """Write an event into a calendar; a time of day in its ends makes it one of hours."""
    kind = "date_time" if ":" in starts else "date"
    await hass.services.async_call(
        "calendar",
        "create_event",
        {
            "entity_id": calendar,
            "summary": summary,
            f"start_{kind}": starts,
            f"end_{kind}": ends,
        },
        blocking=True,
    )
    await hass.async_block_till_done()
