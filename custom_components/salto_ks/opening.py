"""Open the doors of a booking: by the action, and by the button of a unit."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util import dt as dt_util

from .api.models import LockCommand, LockId
from .const import DOMAIN, LOGGER
from .coordinator import SaltoKsConfigEntry
from .domain.access_events import Actor, ActorKind
from .domain.bookings import Booking, Unit
from .domain.ids import DoorId
from .domain.key_requests import KeyRefusedError
from .domain.opening import Opening, OpeningRefusal, opening_of, opening_of_unit
from .storage import StorageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What was opened, and for whom."""

    booking: Booking
    """As it is afterwards."""
    doors: frozenset[DoorId]


async def async_open(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    unit: Unit,
    booking: Booking | None,
    *,
    doors: frozenset[DoorId] | None,
    code: str | None,
    may_open: Callable[[Collection[DoorId]], None],
) -> Opened:
    """Open the doors of a booking, or of whoever a unit is opened for now.

    `doors` chooses among those of the booking; `may_open` raises for what the caller may not
    control, before they are told who is booked. Raises Home Assistant's errors with the exact
    reason, before anything is sent; and where one of several doors did not open, after the others
    were tried.
    """
    data, now = entry.runtime_data, dt_util.utcnow()
    active = data.states.is_active(data.site.site_id)
    if booking is None:
        booking, opening = opening_of_unit(
            data.bookings.bookings(unit.unit_id), unit, now, is_active=active
        )
    else:
        opening = opening_of(booking, unit, now, is_active=active)
    doors_of_it = unit.doors if booking is None else unit.doors_of(booking)
    wanted = doors_of_it if doors is None else doors
    if not wanted:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="key_no_doors")
    if not wanted <= doors_of_it:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="door_not_of_booking",
            translation_placeholders={"unit": unit.name},
        )
    may_open(wanted)
    if booking is None or not opening.allowed:
        raise _refused(opening, unit)
    actor = Actor(kind=ActorKind.KEY, booking_id=booking.booking_id, unit=unit.name)
    opened, failure = await _open_each(entry, wanted, code, actor)
    if opened:
        try:
            booking = await data.bookings.async_note_opening(booking, now)
        except (KeyRefusedError, StorageError) as err:
            LOGGER.error("That a door was opened for a booking is not on disk: %s", err)
            booking = data.bookings.booking(booking.booking_id, booking.unit_id) or booking
    if failure is not None:
        raise failure
    return Opened(booking=booking, doors=opened)


async def _open_each(
    entry: SaltoKsConfigEntry, doors: Iterable[DoorId], code: str | None, actor: Actor
) -> tuple[frozenset[DoorId], HomeAssistantError | None]:
    """Open doors one after the other; return those that opened, and what went wrong first."""
    data = entry.runtime_data
    opened: set[DoorId] = set()
    failure: HomeAssistantError | None = None
    for door in sorted(doors):
        try:
            with data.door_events.opening(LockId(door), actor):
                await data.doors.async_command(LockId(door), LockCommand.OPEN, code)
        except HomeAssistantError as err:
            failure = failure or err
        except KeyError:
            failure = failure or ServiceValidationError(
                translation_domain=DOMAIN, translation_key="key_door_unknown"
            )
        else:
            opened.add(door)
    return frozenset(opened), failure


def _refused(opening: Opening, unit: Unit) -> ServiceValidationError:
    """Say why a door is not opened, and from when on it would be."""
    key, about = refusal_text(opening, unit)
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=about
    )


def refusal_text(opening: Opening, unit: Unit) -> tuple[str, dict[str, str]]:
    """Return the key of the text for why a door is not opened, and what fills it."""
    reason = opening.reason or OpeningRefusal.NO_BOOKING
    about = {"unit": unit.name}
    if opening.from_when is not None:
        local = dt_util.as_local(opening.from_when)
        about["from_when"] = local.strftime("%Y-%m-%d %H:%M")
    return reason.value, about
