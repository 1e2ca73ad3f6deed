"""The demo's dashboard: each door with its alarms, the gateways, and the site, in one view."""

from collections.abc import Iterator
from typing import Any

from .home import Commands
from .registry import Device, Devices

URL_PATH = "salto-doors"

type Card = dict[str, object]

ALARMS = ("binary_sensor.left_open", "binary_sensor.intrusion")
DOOR_BADGES = ("binary_sensor.online", "sensor.battery")


def tile(entity_id: str, columns: int, **more: object) -> Card:
    """Return a tile; a section is 12 columns wide, on a telephone as on a desktop."""
    return {"type": "tile", "entity": entity_id, "grid_options": {"columns": columns}, **more}


def heading(title: str, icon: str, badges: list[Card] | None = None) -> Card:
    """Return a section's heading."""
    return {"type": "heading", "heading": title, "icon": icon, "badges": badges or []}


def section(cards: list[Card]) -> Card:
    """Return a section of the view."""
    return {"type": "grid", "cards": cards}


def door_section(door: Device) -> Card:
    """Return a door's section: its lock with the buttons, then what else it has."""
    badges: list[Card] = [
        {"type": "entity", "entity": door.entities[kind], "show_state": True, "show_icon": True}
        for kind in DOOR_BADGES
        if kind in door.entities
    ]
    cards = [heading(door.name, "mdi:door", badges)]
    for kind, entity_id in door.entities.items():
        if kind.startswith("lock."):
            commands = [{"type": "lock-commands"}]
            look = {"name": "Door", "features": commands, "features_position": "inline"}
            cards.append(tile(entity_id, 12, **look))
    rest = [kind for kind in door.entities if kind.split(".")[0] in {"binary_sensor", "switch"}]
    cards += [tile(door.entities[kind], 6) for kind in rest if kind not in DOOR_BADGES]
    return section(cards)


def device_section(device: Device, icon: str) -> Card:
    """Return the section of any other device: all that it has."""
    return section([heading(device.name, icon), *(tile(e, 6) for e in device.entities.values())])


def alarm_badges(doors: tuple[Device, ...]) -> Iterator[Card]:
    """Yield a badge for each alarm that can ring; only those that do are seen."""
    for door in doors:
        for kind in ALARMS:
            if kind in door.entities:
                entity_id = door.entities[kind]
                yield {
                    "type": "entity",
                    "entity": entity_id,
                    "color": "red",
                    "show_name": True,
                    "visibility": [{"condition": "state", "entity": entity_id, "state": "on"}],
                }


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
        "badges": list(alarm_badges(devices.doors)),
        "sections": sections,
    }
    return {"views": [view]}


async def save_as_default(commands: Commands, devices: Devices) -> None:
    """Write the dashboard, and let everybody land on it."""
    existing = await commands.send("lovelace/dashboards/list")
    if not any(dashboard["url_path"] == URL_PATH for dashboard in existing):
        await commands.send(
            "lovelace/dashboards/create", url_path=URL_PATH, title="Doors", icon="mdi:door"
        )
    await commands.send("lovelace/config/save", url_path=URL_PATH, config=build(devices))
    await commands.send("frontend/set_system_data", key="core", value={"default_panel": URL_PATH})
