"""What tests of a unit's forms and entities do beside `units`: whole ways through, a stay, a look."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_USER, ConfigEntry
from homeassistant.core import HomeAssistant, State
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.util import dt as dt_util

from .keys import HOUR, MORNING
from .support import DOMAIN, Result, entity_id, go_on
from .units import PITCH, fill_unit, start_unit, tell, unit_id_of

GATE_LOCK = "lock.main_gate"
CABIN_LOCK = "lock.pitch_12_cabin"
"""The door of a pitch, on the other IQ than the gate."""
PEDESTRIAN_LOCK = "lock.pedestrian_gate"
"""A door at which no PIN can be typed."""

CALENDAR = "calendar.bookings"
"""What a local calendar of the name `Bookings` is called."""

ARRIVAL = MORNING + 6 * HOUR
DEPARTURE = ARRIVAL + 42 * HOUR
"""A stay of two nights, from a Monday afternoon to a Wednesday morning."""

GUEST = "Family Vermeulen"
"""A name that must be seen by nobody who does not ask for it."""

KEYS: Mapping[str, Any] = {"minutes_before": 30, "minutes_after": 15}
FORMS: Mapping[str, Mapping[str, Any]] = {
    "keys": KEYS,
    "opening": {},
    "events": {},
    "preview": {},
    "preview_unreadable": {},
    "preview_empty": {},
    "preview_failed": {},
}
"""What is typed into each form where a test says nothing else."""


# The forms


def unit_input(**changes: Any) -> dict[str, Any]:
    """Return what is typed into the first form; None leaves a field empty."""
    typed = {"name": PITCH, "doors": [GATE_LOCK, CABIN_LOCK], "mode": "pin"} | changes
    return {key: value for key, value in typed.items() if value is not None}


async def go_through(
    hass: HomeAssistant, result: Result, forms: Mapping[str, Mapping[str, Any]] | None = None
) -> Result:
    """Fill in all forms that are left, `forms` by the names of their steps."""
    typed = {**FORMS, **(forms or {})}
    while result["type"] is FlowResultType.FORM:
        assert result["errors"] == {}, result
        result = await fill_unit(hass, result, typed[result["step_id"]])
    await hass.async_block_till_done(wait_background_tasks=True)
    return result


async def make_unit(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    forms: Mapping[str, Mapping[str, Any]] | None = None,
    **typed: Any,
) -> str:
    """Add a unit as a person would; `typed` goes into the first form. Returns its id."""
    before = set(entry.subentries)
    result = await fill_unit(hass, await start_unit(hass, entry), unit_input(**typed))
    result = await go_through(hass, result, forms)
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    (unit_id,) = set(entry.subentries) - before
    return unit_id


def data_of(entry: ConfigEntry[Any], name: str = PITCH) -> Mapping[str, Any]:
    """Return what is kept of a unit."""
    return entry.subentries[unit_id_of(entry, name)].data


# What a unit shows


def unit_device(hass: HomeAssistant, entry: ConfigEntry[Any], unit_id: str) -> dr.DeviceEntry:
    """Return the device of a unit."""
    devices = dr.async_get(hass)
    device = devices.async_get_device_by_identifier((DOMAIN, unit_id), entry.entry_id)
    assert device is not None
    return device


def entities_of(hass: HomeAssistant, unit_id: str) -> list[er.RegistryEntry]:
    """Return the entities of a unit."""
    entities = er.async_get(hass).entities.values()
    return [entity for entity in entities if entity.config_subentry_id == unit_id]


def shows(hass: HomeAssistant, unit_id: str, platform: str, key: str) -> State:
    """Return what an entity of a unit shows."""
    state = hass.states.get(entity_id(hass, platform, unit_id, key))
    assert state is not None
    return state


# Bookings


async def book(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    booking_id: str = "R-1",
    *,
    starts_at: datetime = ARRIVAL,
    ends_at: datetime = DEPARTURE,
    **more: Any,
) -> dict[str, Any]:
    """Tell of a booking of a guest with a name, and return how it is kept."""
    more = {"label": GUEST} | more
    return await tell(hass, entry, booking_id, starts_at=starts_at, ends_at=ends_at, **more)


async def settle(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let half a minute pass, in which all that was begun is done."""
    for _ in range(6):
        await go_on(hass, freezer, 5)


async def go_to(hass: HomeAssistant, freezer: FrozenDateTimeFactory, when: datetime) -> None:
    """Let time pass until a moment, and a minute more."""
    await go_on(hass, freezer, (when - dt_util.utcnow()).total_seconds())
    await settle(hass, freezer)
    await settle(hass, freezer)


# A calendar of this home; needs the fixtures of `files`


async def add_calendar(hass: HomeAssistant, name: str = "Bookings") -> str:
    """Add a local calendar as a person does, and return its entity."""
    flows = hass.config_entries.flow
    result = await flows.async_init("local_calendar", context={"source": SOURCE_USER})
    result = await flows.async_configure(result["flow_id"], {"calendar_name": name})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    (entity,) = er.async_entries_for_config_entry(er.async_get(hass), result["result"].entry_id)
    return entity.entity_id


async def add_event(
    hass: HomeAssistant,
    summary: str = GUEST,
    starts: datetime | str = ARRIVAL,
    ends: datetime | str | None = None,
    *,
    calendar: str = CALENDAR,
) -> None:
    """Add an event; texts are whole days, and a time without an end is that of two nights."""
    kind = "date" if isinstance(starts, str) else "date_time"
    if ends is None and not isinstance(starts, str):
        ends = starts + timedelta(hours=42)
    await hass.services.async_call(
        "calendar",
        "create_event",
        {
            "entity_id": calendar,
            "summary": summary,
            f"start_{kind}": str(starts),
            f"end_{kind}": str(ends),
        },
        blocking=True,
    )
    await hass.async_block_till_done()
