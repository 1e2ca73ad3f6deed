"""The actions about bookings: tell of one, list them, and open a door for one."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.auth.models import User
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.service import async_register_admin_service
import voluptuous as vol

from .booking_engine import BookingEngine
from .const import DOMAIN
from .coordinator import SaltoKsConfigEntry
from .domain.bookings import ENDED, Booking, BookingSource, BookingStatus, Unit, as_label
from .domain.ids import BookingId, DoorId, UnitId
from .domain.key_requests import check_doors
from .door_facts import facts_from
from .door_ids import doors_beyond, doors_named, entity_ids_of
from .errors import raised_as_home_assistant_errors
from .key_actions import (
    ATTR_BOOKING_ID,
    ATTR_DOORS,
    ATTR_ENDS_AT,
    ATTR_LABEL,
    ATTR_STARTS_AT,
    checked_text,
    instant,
)
from .opening import async_open

SERVICE_SET_BOOKING: Final = "set_booking"
SERVICE_GET_BOOKINGS: Final = "get_bookings"
SERVICE_OPEN_DOOR: Final = "open_door"

ATTR_UNIT: Final = "unit"
ATTR_STATUS: Final = "status"
ATTR_CODE: Final = "code"

_SET_BOOKING: Final = vol.Schema(
    {
        vol.Required(ATTR_UNIT): cv.string,
        vol.Required(ATTR_BOOKING_ID): cv.string,
        vol.Required(ATTR_STARTS_AT): cv.datetime,
        vol.Required(ATTR_ENDS_AT): cv.datetime,
        vol.Required(ATTR_STATUS): vol.Coerce(BookingStatus),
        vol.Optional(ATTR_LABEL): cv.string,
        vol.Optional(ATTR_DOORS): cv.entity_ids,
    }
)
_GET_BOOKINGS: Final = vol.Schema({vol.Optional(ATTR_UNIT): cv.string})
_OPEN_DOOR: Final = vol.Schema(
    {
        vol.Optional(ATTR_BOOKING_ID): cv.string,
        vol.Optional(ATTR_UNIT): cv.string,
        vol.Optional(ATTR_DOORS): cv.entity_ids,
        vol.Optional(ATTR_CODE): cv.string,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A unit, and the site that it is at."""

    entry: SaltoKsConfigEntry
    unit: Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class _Caller:
    """Who asks to open: a user, or Home Assistant itself, which may do everything."""

    hass: HomeAssistant
    user: User | None
    """None for Home Assistant, and for a user who is gone."""
    is_user: bool

    @property
    def may_read_labels(self) -> bool:
        """Tell whether the caller may read what bookings are called: names of guests."""
        return not self.is_user or (self.user is not None and self.user.is_admin)

    def check(self, doors: Collection[DoorId]) -> None:
        """Raise ServiceValidationError for a door that the caller may not control."""
        if not self.is_user:
            return
        beyond = [*doors] if self.user is None else doors_beyond(self.hass, self.user, doors)
        if beyond:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="door_not_yours",
                translation_placeholders={"door": beyond[0]},
            )


@callback
def async_setup_booking_services(hass: HomeAssistant) -> None:
    """Register the actions; they are there whether or not a site is loaded."""
    bookings = _BookingActions(hass)
    async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_SET_BOOKING,
        bookings.set,
        _SET_BOOKING,
        supports_response=SupportsResponse.OPTIONAL,
    )
    async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_GET_BOOKINGS,
        bookings.get,
        _GET_BOOKINGS,
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN,
        SERVICE_OPEN_DOOR,
        bookings.open,
        _OPEN_DOOR,
        supports_response=SupportsResponse.OPTIONAL,
    )


def described_booking(
    hass: HomeAssistant, entry: SaltoKsConfigEntry, engine: BookingEngine, booking: Booking
) -> dict[str, Any]:
    """Describe a booking with how its key stands; no PIN is in it.

    The entry may have been unloaded since `engine` was asked for the booking.
    """
    unit, key = engine.units[booking.unit_id], engine.key_of(booking)
    return {
        "booking_id": booking.booking_id,
        "unit": unit_device_id(hass, entry, booking.unit_id),
        "unit_name": unit.name,
        "label": booking.label,
        "starts_at": booking.starts_at.isoformat(),
        "ends_at": booking.ends_at.isoformat(),
        "status": booking.status.value,
        "source": booking.source.value,
        "doors": entity_ids_of(hass, unit.doors_of(booking)),
        "opened_at": booking.opened_at and booking.opened_at.isoformat(),
        "key_id": None if key is None else key.key_id,
        "key_status": None if key is None else key.status.value,
    }


def unit_device_id(hass: HomeAssistant, entry: SaltoKsConfigEntry, unit_id: UnitId) -> str | None:
    """Return the device of a unit."""
    device = dr.async_get(hass).async_get_device_by_identifier((DOMAIN, unit_id), entry.entry_id)
    return None if device is None else device.id


class _BookingActions:
    """What the actions about bookings do."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Act in this Home Assistant."""
        self._hass = hass

    async def set(self, call: ServiceCall) -> ServiceResponse:
        """Take note of a booking, and have its key follow."""
        place = self._place(call.data[ATTR_UNIT])
        engine = place.entry.runtime_data.bookings
        with raised_as_home_assistant_errors(self._hass, place.entry):
            booking = self._booking(place, call.data)
            kept = await engine.async_set_booking(booking)
        if not call.return_response:
            return None
        return {"booking": described_booking(self._hass, place.entry, engine, kept)}

    async def get(self, call: ServiceCall) -> ServiceResponse:
        """List bookings, in the order of their starts."""
        unit = call.data.get(ATTR_UNIT)
        found = []
        if unit is not None:
            place = self._place(unit)
            bookings = place.entry.runtime_data.bookings.bookings(place.unit.unit_id)
            found = [(place.entry, booking) for booking in bookings]
        else:
            for entry in self._entries():
                found += [(entry, booking) for booking in entry.runtime_data.bookings.bookings()]
        found.sort(key=lambda one: (one[1].starts_at, one[1].booking_id))
        return {
            "bookings": [
                described_booking(self._hass, entry, entry.runtime_data.bookings, booking)
                for entry, booking in found
            ]
        }

    async def open(self, call: ServiceCall) -> ServiceResponse:
        """Open the doors of a booking, if it may be opened for now."""
        entry, booking, unit = self._meant(call.data)
        engine = entry.runtime_data.bookings
        caller = await self._caller(call)
        doors = call.data.get(ATTR_DOORS)
        wanted = None if doors is None else doors_named(self._hass, entry, doors)
        opened = await async_open(
            self._hass,
            entry,
            unit,
            booking,
            doors=wanted,
            code=call.data.get(ATTR_CODE),
            may_open=caller.check,
        )
        if not call.return_response:
            return None
        described = described_booking(self._hass, entry, engine, opened.booking)
        answer: dict[str, Any] = {
            "booking": described if caller.may_read_labels else described | {"label": ""},
            "doors": entity_ids_of(self._hass, opened.doors),
        }
        return answer

    async def _caller(self, call: ServiceCall) -> _Caller:
        """Return who calls."""
        user_id = call.context.user_id
        user = None if user_id is None else await self._hass.auth.async_get_user(user_id)
        return _Caller(hass=self._hass, user=user, is_user=user_id is not None)

    def _booking(self, place: _Place, data: Mapping[str, Any]) -> Booking:
        """Read the booking that is told. Raises ServiceValidationError, or what a booking does."""
        doors = data.get(ATTR_DOORS)
        chosen = None if doors is None else doors_named(self._hass, place.entry, doors)
        if chosen is not None and place.unit.mode.has_pins:
            facts = facts_from(place.entry.runtime_data.doors)
            check_doors(chosen, {door: facts(door) for door in chosen})
        booking_id = checked_text(ATTR_BOOKING_ID, data[ATTR_BOOKING_ID])
        if not booking_id:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="booking_without_id"
            )
        known = self._known(place, BookingId(booking_id))
        if chosen is None and known is not None and known.unit_id == place.unit.unit_id:
            chosen = known.doors
        label = "" if known is None else known.label
        return Booking(
            booking_id=BookingId(booking_id),
            unit_id=place.unit.unit_id,
            starts_at=instant(data[ATTR_STARTS_AT]),
            ends_at=instant(data[ATTR_ENDS_AT]),
            status=data[ATTR_STATUS],
            source=BookingSource.ACTION,
            label=as_label(data.get(ATTR_LABEL, label)),
            doors=chosen,
        )

    @staticmethod
    def _known(place: _Place, booking_id: BookingId) -> Booking | None:
        """Return a booking as it is known, above all that of the unit: what is not told stays."""
        engine = place.entry.runtime_data.bookings
        return engine.booking(booking_id, place.unit.unit_id) or engine.booking(booking_id)

    def _meant(self, data: Mapping[str, Any]) -> tuple[SaltoKsConfigEntry, Booking | None, Unit]:
        """Return what is to be opened: a booking by its id, or whoever a unit is opened for.

        Two sites, or two units with one calendar, may have bookings of one id. None of them is
        guessed: that would open the door of somebody else.
        """
        booking_id, unit = data.get(ATTR_BOOKING_ID), data.get(ATTR_UNIT)
        if booking_id is None and unit is None:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="opening_for_whom"
            )
        place = None if unit is None else self._place(unit)
        if booking_id is None:
            return place.entry, None, place.unit  # type: ignore[union-attr] # one of both is given
        found = [
            (entry, booking)
            for entry in (self._entries() if place is None else [place.entry])
            for booking in entry.runtime_data.bookings.bookings(
                None if place is None else place.unit.unit_id
            )
            if booking.booking_id == booking_id
        ]
        found = [one for one in found if one[1].status not in ENDED] or found
        if not found:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="booking_unknown",
                translation_placeholders={"booking_id": booking_id},
            )
        if len(found) > 1:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="booking_ambiguous",
                translation_placeholders={"booking_id": booking_id},
            )
        ((entry, booking),) = found
        return entry, booking, entry.runtime_data.bookings.units[booking.unit_id]

    def _place(self, device_id: str) -> _Place:
        """Return the unit of a device. Raises ServiceValidationError."""
        device = dr.async_get(self._hass).async_get(device_id)
        for entry in self._entries():
            for unit_id, unit in entry.runtime_data.bookings.units.items():
                if device is not None and (DOMAIN, unit_id) in device.identifiers:
                    return _Place(entry=entry, unit=unit)
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="unit_unknown")

    def _entries(self) -> list[SaltoKsConfigEntry]:
        """Return the sites that are loaded."""
        entries: list[SaltoKsConfigEntry] = self._hass.config_entries.async_loaded_entries(DOMAIN)
        return entries
