"""What Home Assistant's registries say about our devices, sorted by what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from .home import Commands
from .set_up import DOMAIN


@dataclass(frozen=True, slots=True)
class Device:
    """A device with its enabled entities."""

    name: str
    entities: Mapping[str, str]
    """Entity ids by domain and key, as ``binary_sensor.online``: names depend on the language."""


@dataclass(frozen=True, slots=True)
class Devices:
    """All devices of the integration, each group in the order in which Salto lists them."""

    doors: tuple[Device, ...]
    iqs: tuple[Device, ...]
    units: tuple[Device, ...]
    others: tuple[Device, ...]
    """The site, and whatever else there is."""

    @classmethod
    def sort(
        cls, devices: Sequence[Mapping[str, Any]], entities: Sequence[Mapping[str, Any]]
    ) -> Self:
        """Sort the raw registry entries: a door has a lock, an IQ says whether it is activated."""
        doors: list[Device] = []
        iqs: list[Device] = []
        units: list[Device] = []
        others: list[Device] = []
        for raw in devices:
            found = {
                _kind(entity): str(entity["entity_id"])
                for entity in entities
                if entity["device_id"] == raw["id"]
                and entity["platform"] == DOMAIN
                and entity["disabled_by"] is None
            }
            if any(kind.startswith("lock.") for kind in found):
                group = doors
            elif "binary_sensor.activated" in found:
                group = iqs
            elif "sensor.current_booking" in found:
                group = units
            else:
                group = others
            if found:
                group.append(Device(raw["name_by_user"] or raw["name"], found))
        return cls(tuple(doors), tuple(iqs), tuple(units), tuple(others))


def _kind(entity: Mapping[str, Any]) -> str:
    """Return domain and key; a unique id is the vendor's id, a dash and the key."""
    domain = entity["entity_id"].split(".")[0]
    return f"{domain}.{entity['unique_id'].rsplit('-', 1)[-1]}"


async def read_devices(commands: Commands) -> Devices:
    """Read both registries."""
    return Devices.sort(
        await commands.send("config/device_registry/list"),
        await commands.send("config/entity_registry/list"),
    )
