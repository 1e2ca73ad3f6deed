"""What the entities of doors, IQs and the site have in common."""

from collections.abc import Callable, Iterable, Mapping
from typing import override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.update_coordinator import CoordinatorEntity
from homeassistant.util import dt as dt_util

from .api.models import Iq, IqId, Lock, LockId
from .booking_engine import BookingEngine, UnitView
from .const import DOMAIN, MANUFACTURER
from .coordinator import SaltoKsConfigEntry, SaltoKsDoorsCoordinator, SaltoKsSiteCoordinator
from .domain.bookings import Unit
from .domain.ids import UnitId


class SaltoKsDoorEntity(CoordinatorEntity[SaltoKsDoorsCoordinator]):
    """An entity of one door; it holds the door's id and looks everything else up."""

    _attr_has_entity_name = True
    _shows_bolt = False
    """Whether it has to look again when the door opens or locks."""

    def __init__(self, coordinator: SaltoKsDoorsCoordinator, lock_id: LockId, key: str) -> None:
        """Belong to the door's device; `key` is the end of the unique id."""
        super().__init__(coordinator, context=lock_id)
        self.lock_id = lock_id
        self._attr_unique_id = f"{lock_id}-{key}"

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Belong to the device that `SiteDevices` keeps."""
        return DeviceInfo(identifiers={(DOMAIN, self.lock_id)})

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen. A site has thousands of entities, so others get their turn."""
        await self.coordinator.turns.give()
        await super().async_added_to_hass()
        if self._shows_bolt:
            update = self._handle_coordinator_update
            self.async_on_remove(self.coordinator.async_listen_to_bolt(self.lock_id, update))

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Go, and let others get their turn."""
        await super().async_will_remove_from_hass()
        await self.coordinator.turns.give()

    @property
    @override
    def available(self) -> bool:
        """Tell whether Salto listed the door just now. An offline door is still one."""
        return self.is_fresh

    @property
    def is_fresh(self) -> bool:
        """Tell whether the last poll was well and had this door."""
        return super().available and self.lock_id in self.coordinator.data.locks

    @property
    def door(self) -> Lock:
        """Return the door as Salto told it last."""
        return self.coordinator.data.lock(self.lock_id)


class SaltoKsIqEntity(CoordinatorEntity[SaltoKsDoorsCoordinator]):
    """An entity of one IQ."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: SaltoKsDoorsCoordinator, iq_id: IqId, key: str) -> None:
        """Belong to the IQ's device; `key` is the end of the unique id."""
        super().__init__(coordinator, context=iq_id)
        self.iq_id = iq_id
        self._attr_unique_id = f"{iq_id}-{key}"

    @property
    @override
    def device_info(self) -> DeviceInfo:
        """Belong to the device that `SiteDevices` keeps."""
        return DeviceInfo(identifiers={(DOMAIN, self.iq_id)})

    @property
    @override
    def available(self) -> bool:
        """Tell whether Salto listed the IQ just now."""
        return super().available and self.iq_id in self.coordinator.data.iqs

    @property
    def iq(self) -> Iq:
        """Return the IQ as Salto told it last."""
        return self.coordinator.data.iqs[self.iq_id]


class SaltoKsSiteEntity(CoordinatorEntity[SaltoKsSiteCoordinator]):
    """An entity of the site as a whole."""

    _attr_has_entity_name = True

    def __init__(self, coordinator: SaltoKsSiteCoordinator, key: str) -> None:
        """Belong to the site's device; `key` is the end of the unique id."""
        super().__init__(coordinator)
        self._attr_unique_id = f"{coordinator.site_id}-{key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, coordinator.site_id)})


class SaltoKsKeysEntity(Entity):
    """An entity that tells of the keys of a site."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: SaltoKsConfigEntry, key: str) -> None:
        """Belong to the site's device; `key` is the end of the unique id."""
        self.keys = entry.runtime_data.keys
        site_id = entry.runtime_data.site.site_id
        self._attr_unique_id = f"{site_id}-{key}"
        self._attr_device_info = DeviceInfo(identifiers={(DOMAIN, site_id)})

    @property
    @override
    def available(self) -> bool:
        """Tell whether the ledger could be read: without it nothing is known of keys."""
        return self.keys.ledger.quarantine is None

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self.keys.async_listen_to_changes(self.async_write_ha_state))


class SaltoKsUnitEntity(Entity):
    """An entity of a unit; it holds the unit's id and looks everything else up."""

    _attr_has_entity_name = True
    _attr_should_poll = False

    def __init__(self, entry: SaltoKsConfigEntry, unit_id: UnitId, key: str) -> None:
        """Belong to the unit's device, which is its subentry's; `key` ends the unique id."""
        self.entry = entry
        self.unit_id = unit_id
        self._attr_unique_id = f"{unit_id}-{key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, unit_id)},
            entry_type=DeviceEntryType.SERVICE,
            manufacturer=MANUFACTURER,
            model="KS unit",
            name=entry.runtime_data.bookings.units[unit_id].name,
        )

    @property
    def engine(self) -> BookingEngine:
        """Return what knows the bookings."""
        return self.entry.runtime_data.bookings

    @property
    def unit_view(self) -> UnitView:
        """Return how the unit stands now."""
        return self.engine.view(self.unit_id, dt_util.utcnow())

    @property
    @override
    def available(self) -> bool:
        """Tell whether bookings and keys are known."""
        known = self.entry.runtime_data.keys.ledger.quarantine is None
        return known and self.engine.failure is None

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self.engine.async_listen(self.async_write_ha_state, self.unit_id))


def add_doors(
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    build: Callable[[SaltoKsDoorsCoordinator, Lock], Iterable[Entity]],
) -> None:
    """Add a platform's entities of the doors there are, and of each that appears later."""
    _add(entry, async_add_entities, lambda doors: doors.data.locks, build)


def add_iqs(
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    build: Callable[[SaltoKsDoorsCoordinator, Iq], Iterable[Entity]],
) -> None:
    """Add a platform's entities of the IQs there are, and of each that appears later."""
    _add(entry, async_add_entities, lambda doors: doors.data.iqs, build)


def add_units(
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    build: Callable[[Unit], Iterable[Entity]],
) -> None:
    """Add a platform's entities of the units there are.

    One that was deleted while the site was being set up has none; the site is loaded anew for that.
    """
    for unit_id, unit in entry.runtime_data.bookings.units.items():
        if unit_id in entry.subentries:
            async_add_entities(build(unit), config_subentry_id=unit_id)


def _add[K: str, T](
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
    things: Callable[[SaltoKsDoorsCoordinator], Mapping[K, T]],
    build: Callable[[SaltoKsDoorsCoordinator, T], Iterable[Entity]],
) -> None:
    """Add what is not yet there, now and after each poll."""
    doors = entry.runtime_data.doors
    added: set[str] = set()

    @callback
    def add_new() -> None:
        added.intersection_update(doors.data.known)
        new = {key: thing for key, thing in things(doors).items() if key not in added}
        added.update(new)
        if entities := [entity for thing in new.values() for entity in build(doors, thing)]:
            async_add_entities(entities)

    add_new()
    entry.async_on_unload(doors.async_add_listener(add_new))
