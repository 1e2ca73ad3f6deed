"""The bookings of a site and what is believed of its calendars, in a private file of their own.

Without it a start while a calendar is away, or the loss of what booking systems have told, would
look as if nobody was coming.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from homeassistant.core import HomeAssistant

from .api.models import SiteId
from .const import DOMAIN, LOGGER
from .domain.bookings import Booking, BookingRefusedError
from .domain.calendar_memory import CalendarMemory
from .domain.calendar_memory_json import (
    booking_from_json,
    booking_to_json,
    memory_from_json,
    memory_to_json,
)
from .domain.ids import BookingId, UnitId
from .storage import Fault, FileUnusableError, SureStore

STORE_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownBookings:
    """What is known of the bookings of a site."""

    told: Mapping[BookingId, Booking] = field(default_factory=dict)
    """Those that were told by the action."""
    calendars: Mapping[UnitId, CalendarMemory] = field(default_factory=dict)


class BookingStore:
    """Keeps what is known of the bookings of one site."""

    def __init__(self, hass: HomeAssistant, site_id: SiteId) -> None:
        """Start with nothing; `async_load` fills it."""
        self._store = SureStore(hass, version=STORE_VERSION, key=f"{DOMAIN}.bookings.{site_id}")
        self._one_at_a_time = asyncio.Lock()
        self._hass = hass
        self.known = KnownBookings()
        self.is_behind = False
        """Whether there is something that the disk has not taken."""
        self.failure: FileUnusableError | None = None
        """Why the file is not believed; then no key is touched for a booking."""

    async def async_load(self) -> None:
        """Read the file. One that is not understood is left as it is, and `failure` says why.

        A single memory of a calendar that makes no sense is none: the calendar is read anew until
        it is known.
        """
        try:
            data = await self._store.async_load_now("bookings")
            self.known = _known(data)
        except AttributeError, BookingRefusedError, KeyError, TypeError, ValueError:
            self.failure = FileUnusableError(Fault.DAMAGED, self._store.key)
        except FileUnusableError as err:
            self.failure = err
        if self.failure is not None:
            LOGGER.error("No key is touched for bookings: %s", self.failure)

    def note(self, known: KnownBookings) -> None:
        """Have something known from now on; it is written with the next that has to be."""
        self.known = known

    async def async_keep(self, known: KnownBookings) -> None:
        """Have something known from now on, and on disk when this returns. Raises StorageError.

        What could not be written counts all the same, and is written with the next. Whoever waits
        for it may be cancelled; the file is written to its end.
        """
        if self.failure is not None:
            raise FileUnusableError(self.failure.fault, self.failure.file)
        self.known, self.is_behind = known, True
        await asyncio.shield(
            self._hass.async_create_task(self._async_write(), f"{DOMAIN} bookings to disk")
        )

    async def async_finish(self) -> None:
        """Wait for what is being written."""
        async with self._one_at_a_time:
            return

    async def _async_write(self) -> None:
        async with self._one_at_a_time:
            known = self.known
            data = await self._hass.async_add_executor_job(_to_json, known)
            await self._store.async_save_now({"bookings": data})
            self.is_behind = self.known is not known

    async def async_remove(self) -> None:
        """Remove the file."""
        await self._store.async_remove()


def _known(data: Any) -> KnownBookings:
    """Read what is known. Raises ValueError and its like for what makes no sense."""
    if data is None:
        return KnownBookings()
    told = [booking_from_json(one) for one in data["told"]]
    calendars = {}
    for unit_id, memory in data["calendars"].items():
        try:
            calendars[UnitId(unit_id)] = memory_from_json(memory)
        except ValueError:
            LOGGER.warning("What was known of a calendar is damaged; it is read anew")
    return KnownBookings(
        told={booking.booking_id: booking for booking in told}, calendars=calendars
    )


def _to_json(known: KnownBookings) -> dict[str, Any]:
    return {
        "told": [booking_to_json(booking) for booking in known.told.values()],
        "calendars": {
            unit_id: memory_to_json(memory) for unit_id, memory in known.calendars.items()
        },
    }
