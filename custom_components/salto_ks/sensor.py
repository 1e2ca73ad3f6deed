"""Battery of a door, signal of an IQ, and until when an IQ takes no one-time password."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .api.models import BatteryLevel, Iq, Lock
from .coordinator import SaltoKsConfigEntry, SaltoKsDoorsCoordinator
from .entity import SaltoKsDoorEntity, SaltoKsIqEntity, add_doors, add_iqs

PARALLEL_UPDATES = 0

BATTERY_LEVELS: Final = (
    BatteryLevel.FRESH,
    BatteryLevel.GOOD,
    BatteryLevel.LOW,
    BatteryLevel.CRITICAL,
)


@dataclass(frozen=True, kw_only=True)
class IqSensorDescription(SensorEntityDescription):
    """A sensor of an IQ."""

    value: Callable[[SaltoKsIqSensor], StateType | datetime]


IQ_SENSORS: Final = (
    IqSensorDescription(
        key="signal_strength",
        translation_key="signal_strength",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda sensor: sensor.iq.signal_strength,
    ),
    IqSensorDescription(
        key="otp_blocked_until",
        translation_key="otp_blocked_until",
        entity_category=EntityCategory.DIAGNOSTIC,
        device_class=SensorDeviceClass.TIMESTAMP,
        value=lambda sensor: sensor.closed_until(),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors."""

    def of_iq(doors: SaltoKsDoorsCoordinator, iq: Iq) -> list[SaltoKsIqSensor]:
        return [SaltoKsIqSensor(doors, iq, description) for description in IQ_SENSORS]

    add_doors(entry, async_add_entities, lambda doors, lock: [SaltoKsBatterySensor(doors, lock)])
    add_iqs(entry, async_add_entities, of_iq)


class SaltoKsBatterySensor(SaltoKsDoorEntity, SensorEntity):
    """The battery of a lock in the words Salto uses; unknown for a word we do not know."""

    _attr_translation_key = "battery"
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_device_class = SensorDeviceClass.ENUM

    def __init__(self, coordinator: SaltoKsDoorsCoordinator, lock: Lock) -> None:
        """Offer the levels that say something."""
        super().__init__(coordinator, lock.id, "battery")
        self._attr_options = [level.value for level in BATTERY_LEVELS]

    @property
    @override
    def native_value(self) -> str | None:
        """Return the level."""
        level = self.door.battery_level
        return str(level) if level in BATTERY_LEVELS else None


class SaltoKsIqSensor(SaltoKsIqEntity, SensorEntity):
    """A sensor of an IQ."""

    entity_description: IqSensorDescription

    def __init__(
        self, coordinator: SaltoKsDoorsCoordinator, iq: Iq, description: IqSensorDescription
    ) -> None:
        """Show what the description tells."""
        super().__init__(coordinator, iq.id, description.key)
        self.entity_description = description

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the value."""
        return self.entity_description.value(self)

    def closed_until(self) -> datetime | None:
        """Return when the IQ will be sent an OTP again, while it is sent none."""
        commands = self.coordinator.config_entry.runtime_data.commands
        credential = commands.credential(self.iq_id)
        return None if credential is None else credential.guard.closed_until(dt_util.utcnow())
