"""What happens to keys and at doors, as entities that automations and people can follow."""

from dataclasses import replace
from typing import Any, Final, override

from homeassistant.components.event import EventEntity, EventExtraStoredData
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api.models import Lock
from .coordinator import SaltoKsConfigEntry, SaltoKsDoorsCoordinator
from .domain.access_events import Alarms, DoorEventType, alarm_events
from .domain.ids import UnitId
from .door_events import DoorEvents
from .entity import SaltoKsDoorEntity, SaltoKsKeysEntity, SaltoKsUnitEntity, add_doors, add_units
from .keys.news import KeyNews, NewsKind

PARALLEL_UPDATES = 0

_PERSONAL: Final = frozenset({"person", "by"})
"""Attributes of an event at a door that may hold the name of a person."""


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event entities."""
    add_doors(entry, async_add_entities, lambda doors, lock: [SaltoKsDoorEvent(doors, lock)])
    async_add_entities([SaltoKsKeyEvent(entry)])
    add_units(entry, async_add_entities, lambda unit: [SaltoKsUnitKeyEvent(entry, unit.unit_id)])


class SaltoKsKeyEvent(SaltoKsKeysEntity, EventEntity):
    """The life of keys: issued, changed, revoked, failed, used for the first time."""

    _attr_translation_key = "key_life_cycle"

    def __init__(self, entry: SaltoKsConfigEntry) -> None:
        """Belong to the site."""
        super().__init__(entry, "key_life_cycle")
        self._attr_event_types = [kind.value for kind in NewsKind]

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self.keys.async_listen(self._hear))

    @callback
    def _hear(self, news: KeyNews) -> None:
        """Show what has happened."""
        self._trigger_event(news.kind.value, self.keys.described_news(news))
        self.async_write_ha_state()


class SaltoKsUnitKeyEvent(SaltoKsUnitEntity, EventEntity):
    """The life of the keys of a unit."""

    _attr_translation_key = "key_life_cycle"

    def __init__(self, entry: SaltoKsConfigEntry, unit_id: UnitId) -> None:
        """Belong to the unit."""
        super().__init__(entry, unit_id, "key_life_cycle")
        self._attr_event_types = [kind.value for kind in NewsKind]

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self.entry.runtime_data.keys.async_listen(self._hear))

    @callback
    def _hear(self, news: KeyNews) -> None:
        """Show what has happened to a key of this unit."""
        if news.record.unit_id == self.unit_id:
            keys = self.entry.runtime_data.keys
            self._trigger_event(news.kind.value, keys.described_news(news))
            self.async_write_ha_state()


class SaltoKsDoorEvent(SaltoKsDoorEntity, EventEntity):
    """What happens at a door: who has opened it or was refused, modes and alarms."""

    _attr_translation_key = "access"

    def __init__(self, coordinator: SaltoKsDoorsCoordinator, lock: Lock) -> None:
        """Belong to the door; alarms that are on by now have begun before."""
        super().__init__(coordinator, lock.id, "access")
        self._attr_event_types = [kind.value for kind in DoorEventType]
        self._alarms = _alarms_of(lock)
        self._was_available = True

    @property
    @override
    def available(self) -> bool:
        """Stay for as long as the door may exist: what has happened stays true without Salto."""
        return self.lock_id in self.coordinator.data.known

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self._was_available = self.available
        self.async_on_remove(self._events.async_listen(self.lock_id, self._hear))

    @override
    async def async_get_last_event_data(self) -> EventExtraStoredData | None:
        """Take up what was shown before a restart, without a name that must be shown no more."""
        kept = await super().async_get_last_event_data()
        if kept is None or kept.last_event_attributes is None or self._events.names_people:
            return kept
        shown = kept.last_event_attributes
        named = "person" in shown
        return replace(
            kept,
            last_event_attributes={
                name: value for name, value in shown.items() if not (named and name in _PERSONAL)
            },
        )

    @property
    def _events(self) -> DoorEvents:
        """Return what tells of the door."""
        return self.coordinator.config_entry.runtime_data.door_events

    @callback
    def _hear(self, event_type: str, attributes: dict[str, Any]) -> None:
        """Show what has happened."""
        self._trigger_event(event_type, attributes)
        self.async_write_ha_state()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Show alarms that have begun or ended since the last look, and whether it is there.

        Nothing else about the door shows in its events.
        """
        if self.is_fresh:
            before, self._alarms = self._alarms, self._alarms.after(_alarms_of(self.door))
            for event in alarm_events(before, self._alarms):
                at = self.coordinator.data.read_at
                self._hear(event.type.value, self._events.attributes(event, at))
        was_available, self._was_available = self._was_available, self.available
        if was_available != self._was_available:
            super()._handle_coordinator_update()


def _alarms_of(lock: Lock) -> Alarms:
    """Return the alarms of a door as Salto tells them."""
    return Alarms(left_open=lock.left_open_alarm, intrusion=lock.intrusion_alarm)
