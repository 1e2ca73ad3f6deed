"""The demo's dashboard: the doors, the IQs and the site; the keys; and what today brings."""

from collections.abc import Iterator
from typing import Any

from . import front_desk
from .home import Commands
from .registry import Device, Devices

URL_PATH = "salto-doors"

type Card = dict[str, object]

ENTITY_NAME = {"type": "entity"}
"""The entity's name without that of its device, which the heading says already."""

ALARMS = ("binary_sensor.left_open", "binary_sensor.intrusion")
IN_HEADING = ("binary_sensor.online", "sensor.battery")
KEYS = (
    "sensor.active_keys",
    "sensor.next_key_start",
    "sensor.seats_used",
    "sensor.discrepancies",
    "sensor.last_reconciliation",
    "event.key_life_cycle",
)
UNIT = (
    "sensor.current_booking",
    "sensor.next_arrival",
    "sensor.key_state",
    "binary_sensor.ready",
    "button.open",
    "button.reissue",
)
TILES = (*ALARMS, "switch.office_mode", "binary_sensor.privacy_mode")
TROUBLE = ("binary_sensor.keys_left_alone",)
"""What is a badge only while it is so."""
TODAY = ("sensor.discrepancies", "sensor.active_keys", "sensor.seats_free")
ARRIVAL = (
    "sensor.current_booking",
    "sensor.next_arrival",
    "sensor.key_state",
    "binary_sensor.ready",
)


def tile(entity_id: str, columns: int, **more: object) -> Card:
    """Return a tile; a section is 12 columns wide, on a telephone as on a desktop."""
    return {"type": "tile", "entity": entity_id, "grid_options": {"columns": columns}, **more}


def badge(entity_id: str, **more: object) -> Card:
    """Return a badge, for the top of the view or for a heading."""
    return {"type": "entity", "entity": entity_id, "show_state": True, "show_icon": True, **more}


def section(title: str, icon: str, badges: list[Card], cards: list[Card]) -> Card:
    """Return a section of the view."""
    heading: Card = {"type": "heading", "heading": title, "icon": icon, "badges": badges}
    return {"type": "grid", "cards": [heading, *cards]}


def door_section(door: Device) -> Card:
    """Return a door's section: its lock with the buttons, its alarms and its modes."""
    badges = [badge(door.entities[kind]) for kind in IN_HEADING if kind in door.entities]
    lock = tile(
        door.entities["lock.lock"],
        12,
        name="Door",
        features=[{"type": "lock-commands"}],
        features_position="inline",
    )
    tiles = [tile(door.entities[k], 6, name=ENTITY_NAME) for k in TILES if k in door.entities]
    return section(door.name, "mdi:door", badges, [lock, *tiles])


def device_section(device: Device, icon: str) -> Card:
    """Return the section of any other device: all that it has."""
    tiles = [tile(entity_id, 6, name=ENTITY_NAME) for entity_id in device.entities.values()]
    return section(device.name, icon, [], tiles)


def view_badges(devices: Devices) -> Iterator[Card]:
    """Yield what is to be seen at once: the IQs, and each alarm while it rings."""
    for iq in devices.iqs:
        online = iq.entities["binary_sensor.online"]
        yield badge(online, name=iq.name, show_name=True, color="green")
    for door in devices.doors:
        for kind in ALARMS:
            if kind in door.entities:
                entity_id = door.entities[kind]
                ringing = {"condition": "state", "entity": entity_id, "state": "on"}
                yield badge(entity_id, show_name=True, color="red", visibility=[ringing])


def build(devices: Devices) -> dict[str, list[dict[str, Any]]]:
    """Return the configuration of the whole dashboard."""
    sections = [
        *(door_section(door) for door in devices.doors),
        *(device_section(iq, "mdi:router-wireless") for iq in devices.iqs),
        *(device_section(other, "mdi:tent") for other in devices.others),
    ]
    view = {
        "title": "Doors",
        "path": "doors",
        "type": "sections",
        "max_columns": 4,
        "badges": list(view_badges(devices)),
        "sections": sections,
    }
    return {"views": [view, keys_view(devices), today_view(devices)]}


def unit_section(unit: Device) -> Card:
    """Return a unit's section: who is there, who comes, and whether all is ready."""
    tiles = [
        tile(unit.entities[kind], 6, name=ENTITY_NAME) for kind in UNIT if kind in unit.entities
    ]
    return section(unit.name, "mdi:tent", [], tiles)


def keys_view(devices: Devices) -> dict[str, Any]:
    """Return the view of the front desk: the card, and what the site says of its keys."""
    site = [other for other in devices.others if "sensor.active_keys" in other.entities]
    tiles = [
        tile(device.entities[kind], 6, name=ENTITY_NAME)
        for device in site
        for kind in KEYS
        if kind in device.entities
    ]
    arrivals = [unit_section(unit) for unit in devices.units]
    desk: Card = {"type": "custom:salto-ks-desk-card", "grid_options": {"columns": "full"}}
    booking = tile(front_desk.BUTTON, 12, tap_action={"action": "toggle"})
    return {
        "title": "Keys",
        "path": "keys",
        "type": "sections",
        "max_columns": 2,
        "sections": [
            {"type": "grid", "column_span": 1, "cards": [desk]},
            section("Keys of the site", "mdi:key-chain", [], tiles),
            *arrivals,
            section("An automation", "mdi:robot", [], [booking]),
        ],
    }


def today_view(devices: Devices) -> dict[str, Any]:
    """Return the view of the day: who comes, which keys there are, and what happens at doors."""
    site = [other for other in devices.others if "sensor.active_keys" in other.entities]
    badges = [
        badge(other.entities[kind], show_name=True)
        for other in site
        for kind in TODAY
        if kind in other.entities
    ]
    for other in site:
        for entity_id in (other.entities[kind] for kind in TROUBLE if kind in other.entities):
            so = {"condition": "state", "entity": entity_id, "state": "on"}
            badges.append(badge(entity_id, show_name=True, color="red", visibility=[so]))
    windows = [
        other.entities["calendar.keys"] for other in site if "calendar.keys" in other.entities
    ]
    locks = [door.entities["lock.lock"] for door in devices.doors]
    calendar: Card = {"type": "calendar", "entities": windows, "initial_view": "listWeek"}
    log: Card = {"type": "logbook", "target": {"entity_id": locks}, "hours_to_show": 24}
    wide = {"grid_options": {"columns": "full", "rows": 8}}
    return {
        "title": "Today",
        "path": "today",
        "type": "sections",
        "max_columns": 3,
        "badges": badges,
        "sections": [
            {
                "type": "grid",
                "cards": [card for unit in devices.units for card in arrival_cards(unit)],
            },
            section("Keys this week", "mdi:calendar-lock", [], [calendar | wide]),
            section("At the doors", "mdi:door", [], [log | wide]),
        ],
    }


def arrival_cards(unit: Device) -> list[Card]:
    """Return who is in a unit, who comes, and whether all is ready for them."""
    heading: Card = {"type": "heading", "heading": unit.name, "icon": "mdi:tent"}
    kinds = [kind for kind in ARRIVAL if kind in unit.entities]
    return [heading, *(tile(unit.entities[kind], 6, name=ENTITY_NAME) for kind in kinds)]


async def save_as_default(commands: Commands, devices: Devices) -> None:
    """Write the dashboard, and let everybody land on it."""
    existing = await commands.send("lovelace/dashboards/list")
    if not any(dashboard["url_path"] == URL_PATH for dashboard in existing):
        await commands.send(
            "lovelace/dashboards/create", url_path=URL_PATH, title="Doors", icon="mdi:door"
        )
    await commands.send("lovelace/config/save", url_path=URL_PATH, config=build(devices))
    await commands.send("frontend/set_system_data", key="core", value={"default_panel": URL_PATH})
