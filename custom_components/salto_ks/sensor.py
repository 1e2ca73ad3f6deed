"""Battery of a door, signal and pauses of an IQ; keys, seats and findings of a site."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfTime
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_track_point_in_utc_time
from homeassistant.helpers.typing import StateType
from homeassistant.util import dt as dt_util

from .access_stream import AccessStream, StreamState
from .api.models import BatteryLevel, Iq, Lock
from .booking_engine import UnitView
from .coordinator import SaltoKsConfigEntry, SaltoKsDoorsCoordinator, SaltoKsSiteCoordinator
from .domain.bookings import Booking, BookingStatus
from .domain.ids import UnitId
from .domain.keys import KeyStatus
from .entity import (
    SaltoKsDoorEntity,
    SaltoKsIqEntity,
    SaltoKsKeysEntity,
    SaltoKsSiteEntity,
    SaltoKsUnitEntity,
    add_doors,
    add_iqs,
    add_units,
)
from .seat_outlook import SeatOutlook
from .site_keys import SiteKeys

PARALLEL_UPDATES = 0

CURRENT_STATUSES: Final = (
    BookingStatus.PENDING,
    BookingStatus.CONFIRMED,
    BookingStatus.CHECKED_IN,
)

BATTERY_LEVELS: Final = (
    BatteryLevel.FRESH,
    BatteryLevel.GOOD,
    BatteryLevel.LOW,
    BatteryLevel.CRITICAL,
)


@dataclass(frozen=True, kw_only=True)
class IqSensorDescription(SensorEntityDescription):
    """A sensor of an IQ."""

    value: Callable[[Iq], StateType]


IQ_SENSORS: Final = (
    IqSensorDescription(
        key="signal_strength",
        translation_key="signal_strength",
        entity_category=EntityCategory.DIAGNOSTIC,
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda iq: iq.signal_strength,
    ),
)


@dataclass(frozen=True, kw_only=True)
class KeysSensorDescription(SensorEntityDescription):
    """A sensor of a site's keys."""

    value: Callable[[SiteKeys], StateType | datetime]


KEYS_SENSORS: Final = (
    KeysSensorDescription(
        key="active_keys",
        translation_key="active_keys",
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda keys: keys.summary.active,
    ),
    KeysSensorDescription(
        key="next_key_start",
        translation_key="next_key_start",
        device_class=SensorDeviceClass.TIMESTAMP,
        value=lambda keys: keys.summary.next_start,
    ),
    KeysSensorDescription(
        key="last_reconciliation",
        translation_key="last_reconciliation",
        entity_category=EntityCategory.DIAGNOSTIC,
        device_class=SensorDeviceClass.TIMESTAMP,
        value=lambda keys: None if (last := keys.manager.last_pass) is None else last.at,
    ),
    KeysSensorDescription(
        key="reconciliation_duration",
        translation_key="reconciliation_duration",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        suggested_display_precision=1,
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda keys: None if (last := keys.manager.last_pass) is None else last.seconds,
    ),
    KeysSensorDescription(
        key="reconciliation_requests",
        translation_key="reconciliation_requests",
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        state_class=SensorStateClass.MEASUREMENT,
        value=lambda keys: None if (last := keys.manager.last_pass) is None else last.requests,
    ),
)


@dataclass(frozen=True, kw_only=True)
class UnitSensorDescription(SensorEntityDescription):
    """A sensor of a unit; its attributes hold nothing personal."""

    value: Callable[[UnitView], StateType | datetime]
    attributes: Callable[[UnitView], Mapping[str, Any]]


def _about(booking: Booking | None) -> Mapping[str, Any]:
    """Return when a booking is, and how it is called."""
    if booking is None:
        return {}
    return {
        "booking_id": booking.booking_id,
        "starts_at": booking.starts_at.isoformat(),
        "ends_at": booking.ends_at.isoformat(),
        "status": booking.status.value,
        "opened_at": booking.opened_at and booking.opened_at.isoformat(),
    }


def _about_key(view: UnitView) -> Mapping[str, Any]:
    """Return which key it is, and what is the matter with it."""
    if view.key is None:
        return {}
    return {
        "key_id": view.key.key_id,
        "booking_id": view.key.booking_id,
        "errors": sorted(view.key.errors),
        "warnings": sorted(view.key.warnings),
        "proven": view.key.proven,
    }


FREE: Final = "free"
"""State of a unit in which nobody is booked now."""
NO_KEY: Final = "none"

UNIT_SENSORS: Final = (
    UnitSensorDescription(
        key="current_booking",
        translation_key="current_booking",
        device_class=SensorDeviceClass.ENUM,
        options=[FREE, *(status.value for status in CURRENT_STATUSES)],
        value=lambda view: FREE if view.current is None else view.current.status.value,
        attributes=lambda view: _about(view.current),
    ),
    UnitSensorDescription(
        key="next_arrival",
        translation_key="next_arrival",
        device_class=SensorDeviceClass.TIMESTAMP,
        value=lambda view: None if view.arrival is None else view.arrival.starts_at,
        attributes=lambda view: _about(view.arrival),
    ),
    UnitSensorDescription(
        key="key_state",
        translation_key="key_state",
        device_class=SensorDeviceClass.ENUM,
        options=[NO_KEY, *(status.value for status in KeyStatus)],
        value=lambda view: NO_KEY if view.key_status is None else view.key_status.value,
        attributes=_about_key,
    ),
)

SHOWN_KEYS: Final = 20
"""Ids of keys in an attribute, of each kind; a state is no place for thousands."""


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors."""

    def of_iq(doors: SaltoKsDoorsCoordinator, iq: Iq) -> list[SaltoKsIqSensor]:
        return [SaltoKsIqSensor(doors, iq, description) for description in IQ_SENSORS]

    async_add_entities(
        [
            *(SaltoKsKeysSensor(entry, description) for description in KEYS_SENSORS),
            SaltoKsDiscrepanciesSensor(entry),
            SaltoKsLiveEventsSensor(entry.runtime_data.site, entry.runtime_data.stream),
            SaltoKsSeatsSensor(entry.runtime_data.site),
            SaltoKsSeatsFreeSensor(entry.runtime_data.site),
            SaltoKsSeatsRunOutSensor(entry.runtime_data.site, entry.runtime_data.seats),
        ]
    )
    add_units(
        entry,
        async_add_entities,
        lambda unit: [
            SaltoKsUnitSensor(entry, unit.unit_id, description) for description in UNIT_SENSORS
        ],
    )
    add_doors(entry, async_add_entities, lambda doors, lock: [SaltoKsBatterySensor(doors, lock)])
    add_iqs(entry, async_add_entities, of_iq)
    add_iqs(entry, async_add_entities, lambda doors, iq: [SaltoKsOtpPauseSensor(doors, iq)])


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
    def native_value(self) -> StateType:
        """Return the value."""
        return self.entity_description.value(self.iq)


class SaltoKsOtpPauseSensor(SaltoKsIqEntity, SensorEntity):
    """When the IQ will be sent a one-time password again, while it is sent none."""

    _attr_translation_key = "otp_blocked_until"
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_device_class = SensorDeviceClass.TIMESTAMP

    def __init__(self, coordinator: SaltoKsDoorsCoordinator, iq: Iq) -> None:
        """Show the end of a pause."""
        super().__init__(coordinator, iq.id, "otp_blocked_until")
        self._stop_waiting: CALLBACK_TYPE | None = None

    @property
    @override
    def native_value(self) -> datetime | None:
        """Return the end of the pause that is on; None where there is none."""
        commands = self.coordinator.config_entry.runtime_data.commands
        credential = commands.credential(self.iq_id)
        return None if credential is None else credential.guard.closed_until(dt_util.utcnow())

    @override
    async def async_added_to_hass(self) -> None:
        """Wait for the end of a pause from before a restart."""
        await super().async_added_to_hass()
        self._wait_for_the_end()
        self.async_on_remove(self._wait_no_more)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Show the pause, and its end when it comes: no poll and no answer will tell of it."""
        super()._handle_coordinator_update()
        self._wait_for_the_end()

    @callback
    def _wait_for_the_end(self) -> None:
        """Look again at the end of the pause that is on."""
        self._wait_no_more()
        if (end := self.native_value) is not None:
            self._stop_waiting = async_track_point_in_utc_time(self.hass, self._end, end)

    @callback
    def _wait_no_more(self) -> None:
        """Forget an end that was waited for."""
        if self._stop_waiting is not None:
            self._stop_waiting()
            self._stop_waiting = None

    @callback
    def _end(self, _: datetime) -> None:
        """Show that the pause is over."""
        self._stop_waiting = None
        self._handle_coordinator_update()


class SaltoKsKeysSensor(SaltoKsKeysEntity, SensorEntity):
    """A sensor of a site's keys."""

    entity_description: KeysSensorDescription

    def __init__(self, entry: SaltoKsConfigEntry, description: KeysSensorDescription) -> None:
        """Show what the description tells."""
        super().__init__(entry, description.key)
        self.entity_description = description

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the value."""
        return self.entity_description.value(self.keys)


class SaltoKsLiveEventsSensor(SaltoKsSiteEntity, SensorEntity):
    """Whether events of doors come at once, or with the next poll, and why."""

    _attr_translation_key = "live_events"
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_device_class = SensorDeviceClass.ENUM

    def __init__(self, coordinator: SaltoKsSiteCoordinator, stream: AccessStream) -> None:
        """Belong to the site."""
        super().__init__(coordinator, "live_events")
        self._stream = stream
        self._attr_options = [state.value for state in StreamState]

    @property
    @override
    def available(self) -> bool:
        """Tell that it is: how the connection stands is known whatever Salto answers."""
        return True

    @property
    @override
    def native_value(self) -> str:
        """Return how the connection stands."""
        return self._stream.state.value

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self._stream.async_listen(self.async_write_ha_state))


class SaltoKsDiscrepanciesSensor(SaltoKsKeysEntity, SensorEntity):
    """How many differences between the ledger and Salto a person should know about."""

    _attr_translation_key = "discrepancies"
    _attr_entity_category = EntityCategory.DIAGNOSTIC
    _attr_state_class = SensorStateClass.MEASUREMENT
    _unrecorded_attributes = frozenset({"outcomes", "key_ids", "unmanaged", "foreign"})

    def __init__(self, entry: SaltoKsConfigEntry) -> None:
        """Belong to the site."""
        super().__init__(entry, "discrepancies")

    @property
    @override
    def native_value(self) -> int | None:
        """Return their number at the last comparison; None before the first since the start."""
        last = self.keys.manager.last_pass
        return None if last is None else len(last.discrepancies)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return how many of each kind there are, and the first keys of each."""
        last = self.keys.manager.last_pass
        if last is None:
            return None
        key_ids: dict[str, list[str]] = {}
        for finding in last.discrepancies:
            of_its_kind = key_ids.setdefault(finding.outcome.value, [])
            if finding.key_id is not None and len(of_its_kind) < SHOWN_KEYS:
                of_its_kind.append(finding.key_id)
        return {
            "outcomes": dict(Counter(one.outcome.value for one in last.discrepancies)),
            "key_ids": key_ids,
            "unmanaged": last.plan.unmanaged,
            "foreign": last.plan.foreign,
        }


class SaltoKsSeatsSensor(SaltoKsSiteEntity, SensorEntity):
    """How many seats of the subscription are taken."""

    _attr_translation_key = "seats_used"
    _attr_state_class = SensorStateClass.MEASUREMENT

    def __init__(self, coordinator: SaltoKsSiteCoordinator) -> None:
        """Belong to the site."""
        super().__init__(coordinator, "seats_used")

    @property
    @override
    def native_value(self) -> int | None:
        """Return how many, as Salto says."""
        return self.coordinator.data.site.seats_used

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """Return how many there are."""
        return {"total": self.coordinator.data.site.seats_total}


class SaltoKsSeatsFreeSensor(SaltoKsSiteEntity, SensorEntity):
    """How many seats of the subscription are left."""

    _attr_translation_key = "seats_free"
    _attr_state_class = SensorStateClass.MEASUREMENT

    def __init__(self, coordinator: SaltoKsSiteCoordinator) -> None:
        """Belong to the site."""
        super().__init__(coordinator, "seats_free")

    @property
    @override
    def native_value(self) -> int | None:
        """Return how many, as Salto says; none where more are taken than there are."""
        site = self.coordinator.data.site
        if site.seats_total is None or site.seats_used is None:
            return None
        return max(0, site.seats_total - site.seats_used)


class SaltoKsSeatsRunOutSensor(SaltoKsSiteEntity, SensorEntity):
    """The first day on which bookings and keys need more seats than there are."""

    _attr_translation_key = "seats_run_out"
    _attr_device_class = SensorDeviceClass.DATE
    _unrecorded_attributes = frozenset({"peak", "peak_on", "needed"})

    def __init__(self, coordinator: SaltoKsSiteCoordinator, seats: SeatOutlook) -> None:
        """Belong to the site, and show what `seats` foretells."""
        super().__init__(coordinator, "seats_run_out")
        self._seats = seats

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self._seats.async_listen(self.async_write_ha_state))

    @property
    @override
    def native_value(self) -> date | None:
        """Return the day; None where it does not come, or nothing is foretold."""
        return self._seats.runs_out_on

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any] | None:
        """Return the most that is needed, from when on, and how many that is too few."""
        forecast, peak_on = self._seats.forecast, self._seats.peak_on
        if forecast is None or peak_on is None:
            return None
        return {
            "peak": forecast.peak,
            "peak_on": peak_on.isoformat(),
            "needed": forecast.short,
        }


class SaltoKsUnitSensor(SaltoKsUnitEntity, SensorEntity):
    """A sensor of a unit."""

    entity_description: UnitSensorDescription
    _unrecorded_attributes = frozenset({"booking_id", "starts_at", "ends_at", "opened_at"})

    def __init__(
        self, entry: SaltoKsConfigEntry, unit_id: UnitId, description: UnitSensorDescription
    ) -> None:
        """Show what the description tells."""
        super().__init__(entry, unit_id, description.key)
        self.entity_description = description

    @property
    @override
    def native_value(self) -> StateType | datetime:
        """Return the value."""
        return self.entity_description.value(self.unit_view)

    @property
    @override
    def extra_state_attributes(self) -> Mapping[str, Any]:
        """Return what belongs to it."""
        return self.entity_description.attributes(self.unit_view)
