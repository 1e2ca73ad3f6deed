"""What the seats of a loaded site will come to, for sensors, issues and reports."""

from collections.abc import Iterator
from datetime import date, datetime, tzinfo

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .booking_engine import BookingEngine
from .const import LOGGER
from .coordinator import SaltoKsConfigEntry, SaltoKsSiteCoordinator, SiteSnapshot
from .domain.booking_plan import as_wanted
from .domain.keys import KeyRecord
from .domain.seats import SeatForecast, seat_forecast, seat_holds, seats_of_others
from .keys.ledger import Ledger
from .listeners import KeyedListeners


class SeatOutlook:
    """The forecast of one site's seats.

    Nothing is foretold before calendars and ledger were compared for the first time, nor where
    Salto does not say how many seats there are.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SaltoKsConfigEntry,
        *,
        site: SaltoKsSiteCoordinator,
        ledger: Ledger,
        bookings: BookingEngine,
    ) -> None:
        """Look at these for the site of `entry`."""
        self._entry = entry
        self._site = site
        self._ledger = ledger
        self._bookings = bookings
        self._changes = KeyedListeners(hass.loop)
        self._counted: SiteSnapshot | None = None
        self._others = 0
        self._zone: tzinfo = dt_util.get_default_time_zone()
        self.forecast: SeatForecast | None = None
        """What it was at the last look; None while nothing is foretold."""

    async def async_begin(self) -> None:
        """Look whenever something may have changed, until the entry is unloaded.

        Days are told by the clock of the site, else by that of Home Assistant.
        """
        name = self._site.data.site.time_zone
        try:
            zone = await dt_util.async_get_time_zone(name) if name else None
        except ValueError, OSError:
            LOGGER.debug("Salto names a time zone that there is not")
            zone = None
        self._zone = zone or self._zone
        self._entry.async_on_unload(self._site.async_add_listener(self.async_update))
        self._entry.async_on_unload(self._bookings.async_listen(self.async_update))

    @callback
    def async_listen(self, update: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have somebody look again whenever the forecast has changed; the result ends it."""
        return self._changes.add(update, None)

    @property
    def runs_out_on(self) -> date | None:
        """Return the first day with too few seats, on the site's calendar."""
        return None if self.forecast is None else self.forecast.runs_out_on(self._zone)

    @property
    def peak_on(self) -> date | None:
        """Return the first day with the most seats needed, on the site's calendar."""
        return None if self.forecast is None else self.day_of(self.forecast.peak_at)

    def day_of(self, instant: datetime) -> date:
        """Return the day of an instant where the site is."""
        return instant.astimezone(self._zone).date()

    @callback
    def async_update(self) -> None:
        """Look again, and tell whoever listens if that comes to something else."""
        before = self._shown()
        self.forecast = self._foretold()
        if before != self._shown():
            self._changes.tell(None)

    def _shown(self) -> tuple[int, int, date | None, date | None] | None:
        """Return what is shown of the forecast; its instants move with the time of the look."""
        if self.forecast is None:
            return None
        return self.forecast.total, self.forecast.peak, self.peak_on, self.runs_out_on

    def _foretold(self) -> SeatForecast | None:
        """Return what seats come to, as far as is known now."""
        snapshot, wanted = self._site.data, self._bookings.wanted
        used, total = snapshot.site.seats_used, snapshot.site.seats_total
        if used is None or total is None or wanted is None:
            return None
        if snapshot is not self._counted:
            # What Salto has counted goes with the keys of that time, not with those of today.
            self._others = seats_of_others(used, self._ledger.records.values())
            self._counted = snapshot
        now = dt_util.utcnow()
        return seat_forecast(
            others=self._others,
            total=total,
            holds=tuple(seat_holds(wanted, self._records(), now)),
            now=now,
        )

    def _records(self) -> Iterator[KeyRecord]:
        """Yield the keys of the ledger, those on their way among them, as they are wanted."""
        records, intents = self._ledger.records, self._ledger.intents
        for key_id, record in records.items():
            yield as_wanted(record, intents.get(key_id))
        for key_id, intent in intents.items():
            if key_id not in records:
                yield as_wanted(intent.record, intent)
