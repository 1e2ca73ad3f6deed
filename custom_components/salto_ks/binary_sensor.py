"""Truths about doors, IQs, units and keys that a person wants to be told of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.binary_sensor import (
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.components.binary_sensor.const import BinarySensorDeviceClass
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api.models import Iq, Lock
from .coordinator import SaltoKsConfigEntry, SaltoKsDoorsCoordinator
from .domain.ids import UnitId
from .domain.unit_state import ReadinessState
from .entity import (
    SaltoKsDoorEntity,
    SaltoKsIqEntity,
    SaltoKsKeysEntity,
    SaltoKsUnitEntity,
    add_doors,
    add_iqs,
    add_units,
)

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class DoorBinarySensorDescription(BinarySensorEntityDescription):
    """A truth about a door; None where Salto does not tell."""

    value: Callable[[Lock], bool | None]


@dataclass(frozen=True, kw_only=True)
class IqBinarySensorDescription(BinarySensorEntityDescription):
    """A truth about an IQ."""

    value: Callable[[SaltoKsIqBinarySensor], bool | None]


DOOR_SENSORS: Final = (
    DoorBinarySensorDescription(
        key="online",
        translation_key="online",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda lock: lock.online,
    ),
    DoorBinarySensorDescription(
        key="battery_low",
        device_class=BinarySensorDeviceClass.BATTERY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda lock: lock.battery_low,
    ),
    DoorBinarySensorDescription(
        key="left_open",
        translation_key="left_open",
        device_class=BinarySensorDeviceClass.PROBLEM,
        value=lambda lock: lock.left_open_alarm,
    ),
    DoorBinarySensorDescription(
        key="intrusion",
        translation_key="intrusion",
        device_class=BinarySensorDeviceClass.SAFETY,
        value=lambda lock: lock.intrusion_alarm,
    ),
    DoorBinarySensorDescription(
        key="privacy_mode",
        translation_key="privacy_mode",
        value=lambda lock: lock.privacy_mode,
    ),
)

IQ_SENSORS: Final = (
    IqBinarySensorDescription(
        key="online",
        translation_key="online",
        device_class=BinarySensorDeviceClass.CONNECTIVITY,
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda sensor: sensor.iq.online,
    ),
    IqBinarySensorDescription(
        key="activated",
        translation_key="activated",
        entity_category=EntityCategory.DIAGNOSTIC,
        value=lambda sensor: sensor.activated(),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors."""
    async_add_entities([SaltoKsKeysLeftAlone(entry)])
    add_units(entry, async_add_entities, lambda unit: [SaltoKsReady(entry, unit.unit_id)])

    def of_door(doors: SaltoKsDoorsCoordinator, lock: Lock) -> list[SaltoKsDoorBinarySensor]:
        return [SaltoKsDoorBinarySensor(doors, lock, description) for description in DOOR_SENSORS]

    def of_iq(doors: SaltoKsDoorsCoordinator, iq: Iq) -> list[SaltoKsIqBinarySensor]:
        return [SaltoKsIqBinarySensor(doors, iq, description) for description in IQ_SENSORS]

    add_doors(entry, async_add_entities, of_door)
    add_iqs(entry, async_add_entities, of_iq)


class SaltoKsDoorBinarySensor(SaltoKsDoorEntity, BinarySensorEntity):
    """A truth about a door."""

    entity_description: DoorBinarySensorDescription

    def __init__(
        self,
        coordinator: SaltoKsDoorsCoordinator,
        lock: Lock,
        description: DoorBinarySensorDescription,
    ) -> None:
        """Show what the description tells."""
        super().__init__(coordinator, lock.id, description.key)
        self.entity_description = description

    @property
    @override
    def is_on(self) -> bool | None:
        """Tell whether it is so."""
        return self.entity_description.value(self.door)


class SaltoKsIqBinarySensor(SaltoKsIqEntity, BinarySensorEntity):
    """A truth about an IQ."""

    entity_description: IqBinarySensorDescription

    def __init__(
        self, coordinator: SaltoKsDoorsCoordinator, iq: Iq, description: IqBinarySensorDescription
    ) -> None:
        """Show what the description tells."""
        super().__init__(coordinator, iq.id, description.key)
        self.entity_description = description

    @property
    @override
    def is_on(self) -> bool | None:
        """Tell whether it is so."""
        return self.entity_description.value(self)

    def activated(self) -> bool:
        """Tell whether Salto says that we are activated, and we can sign for it."""
        data = self.coordinator.config_entry.runtime_data
        activation = data.site.data.activations.get(self.iq_id)
        credential = data.commands.credential(self.iq_id)
        return (
            activation is not None
            and activation.activated
            and credential is not None
            and credential.activated
        )


class SaltoKsKeysLeftAlone(SaltoKsKeysEntity, BinarySensorEntity):
    """Whether nothing is done at Salto by itself, because the ledger or the clock may be wrong."""

    _attr_translation_key = "keys_left_alone"
    _attr_device_class = BinarySensorDeviceClass.PROBLEM
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    def __init__(self, entry: SaltoKsConfigEntry) -> None:
        """Belong to the site."""
        super().__init__(entry, "keys_left_alone")

    @property
    @override
    def is_on(self) -> bool:
        """Tell whether it is so."""
        return self.keys.manager.read_only is not None

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """Return why."""
        reason = self.keys.manager.read_only
        return {"reason": None if reason is None else reason.value}


class SaltoKsReady(SaltoKsUnitEntity, BinarySensorEntity):
    """Whether a unit is ready for who comes within three hours; unknown while nobody does."""

    _attr_translation_key = "ready"

    def __init__(self, entry: SaltoKsConfigEntry, unit_id: UnitId) -> None:
        """Belong to the unit."""
        super().__init__(entry, unit_id, "ready")

    @property
    @override
    def is_on(self) -> bool | None:
        """Tell whether nothing is in the way; None where nobody is due, or not all is known."""
        match self.unit_view.readiness.state:
            case ReadinessState.READY:
                return True
            case ReadinessState.NOT_READY:
                return False
            case _:
                return None

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """Return what is in the way, and what is not known."""
        readiness = self.unit_view.readiness
        return {
            "readiness": readiness.state.value,
            "reasons": [reason.value for reason in readiness.reasons],
            "unknown": [reason.value for reason in readiness.unknown],
        }
