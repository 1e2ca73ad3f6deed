"""Repair issues about what is around the keys of a site: seats ahead, IQs, doors and clocks.

Each names what to do, and goes by itself once that is done. A refused login is not among them:
Home Assistant has its own way for that, which the coordinators start.
"""

from collections.abc import Hashable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.issue_registry import IssueSeverity
from homeassistant.util import dt as dt_util

from .api.models import IqId, LockId
from .const import CONF_IQ_ID, SUBENTRY_IQ
from .coordinator import SaltoKsConfigEntry
from .domain.bookings import AccessMode, Unit
from .domain.explain import CLOCKS_AGREE_WITHIN
from .domain.ids import BookingId, UnitId
from .domain.unit_state import NotReady, arrival_due
from .issues import IssueBoard
from .seat_outlook import SeatOutlook

SEATS_OVERFLOW: Final = "seats_overflow"
"""Bookings that are known already will need more seats than there are."""
IQS_OFFLINE: Final = "iqs_offline"
IQS_TO_RESTORE: Final = "iqs_to_restore"
"""IQs were reset that are not set up here; those that are have an issue with a fix."""
DOORS_WITHOUT_KEYPAD: Final = "doors_without_keypad"
CLOCK_DIFFERS: Final = "clock_differs"
ARRIVALS_WITHOUT_KEY: Final = "arrivals_without_key"
"""Guests are about to come whose key does not work, though nothing has failed: a person has
suspended it, say, or the site is switched off. What has failed is told as `booking_without_key`."""

LOOKED_AHEAD: Final = timedelta(days=14)
"""How soon seats have to run out for a person to be told: time enough to buy some, and not so much
that bookings which will change until then raise an alarm."""

OFFLINE_FOR: Final = timedelta(hours=1)
"""How long an IQ is offline before a person is told. Salto may be as late to say so (DOC)."""

CLOCK_IS_WRONG: Final = timedelta(minutes=3)
"""From which difference on IQs refuse every one-time password (DOC)."""

UNREADY_FOR: Final = timedelta(minutes=5)
"""How long a key may be on its way shortly before an arrival before a person is told."""

LOOKED_AT_EVERY: Final = timedelta(minutes=1)

SHOWN_UNITS: Final = 20
"""Units in the text of an issue."""

_ERROR: Final = IssueSeverity.ERROR
_WARNING: Final = IssueSeverity.WARNING

_OF_KEYS: Final = frozenset(
    {
        NotReady.KEY_MISSING,
        NotReady.KEY_NOT_SET,
        NotReady.KEY_FAILED,
        NotReady.KEY_SUSPENDED,
        NotReady.KEY_DIFFERS,
    }
)
"""Reasons for which a guest would stand before a closed door with a PIN, or without one."""


class _Lasting[K: Hashable]:
    """Finds what has been so for long, out of what is so each time."""

    def __init__(self, patience: timedelta, *, is_told: bool) -> None:
        """Begin; `is_told` where a person was told before a reload, so that it was long before."""
        self._patience = patience
        self._is_told = is_told
        self._since: dict[K, datetime] | None = None

    def after(self, found: Iterable[K], seen_at: datetime, now: datetime) -> list[K]:
        """Take note of what was so when it was looked at; return what has been for long by now."""
        first = seen_at - self._patience if self._since is None and self._is_told else seen_at
        before = self._since or {}
        self._since = {key: before.get(key, first) for key in found}
        return [key for key, since in self._since.items() if now - since >= self._patience]


class SiteIssues:
    """The issues about the surroundings of one site."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Look after the site of `entry`."""
        self._hass = hass
        self._entry = entry
        self._board = IssueBoard(hass, entry)
        self._offline = _Lasting[IqId](OFFLINE_FOR, is_told=self._board.is_raised(IQS_OFFLINE))
        self._unready = _Lasting[tuple[UnitId, BookingId]](
            UNREADY_FOR, is_told=self._board.is_raised(ARRIVALS_WITHOUT_KEY)
        )

    @callback
    def async_begin(self) -> None:
        """Look now, and until the entry is unloaded whenever something may have changed."""
        data = self._entry.runtime_data
        self.async_update()
        for remove in (
            data.doors.async_add_listener(self.async_update),
            data.site.async_add_listener(self.async_update),
            data.seats.async_listen(self.async_update),
            async_track_time_interval(
                self._hass, self._async_look, LOOKED_AT_EVERY, cancel_on_shutdown=True
            ),
        ):
            self._entry.async_on_unload(remove)

    @callback
    def _async_look(self, now: datetime) -> None:
        """Look at everything, as time has passed.

        What is known of bookings and keys is not complete where a file cannot be read, and an
        issue says so.
        """
        self.async_update()
        data = self._entry.runtime_data
        if data.bookings.failure is not None or data.keys.ledger.quarantine is not None:
            return
        arrivals = self._unready.after(self._unready_arrivals(now), now, now)
        lines = [
            f"- {data.bookings.units[unit_id].name},"
            f" {dt_util.as_local(booking.starts_at):%Y-%m-%d %H:%M}"
            for unit_id, booking_id in arrivals
            if (booking := data.bookings.booking(booking_id, unit_id))
        ]
        shown = "\n".join(lines[:SHOWN_UNITS])
        self._board.async_show(ARRIVALS_WITHOUT_KEY, {"bookings": shown} if lines else None)

    @callback
    def async_update(self) -> None:
        """Raise what is the matter, and take back what is not."""
        data = self._entry.runtime_data
        self._async_update_seats(data.seats)
        if data.doors.last_update_success:
            self._async_update_doors()
        offset = abs(data.client.server_clock_offset or timedelta())
        minutes = f"{offset / timedelta(minutes=1):.0f}"
        self._board.async_show(
            CLOCK_DIFFERS,
            {"minutes": minutes} if offset > CLOCKS_AGREE_WITHIN else None,
            severity=_ERROR if offset >= CLOCK_IS_WRONG else _WARNING,
        )

    @callback
    def _async_update_seats(self, seats: SeatOutlook) -> None:
        """Tell when seats run out and by how many, if that is soon; nothing before it is known."""
        forecast, day = seats.forecast, seats.runs_out_on
        if forecast is None:
            return
        overflow = {
            "date": str(day),
            "short": str(forecast.short),
            "peak": str(forecast.peak),
            "total": str(forecast.total),
        }
        is_soon = day is not None and day <= seats.day_of(dt_util.utcnow()) + LOOKED_AHEAD
        self._board.async_show(SEATS_OVERFLOW, overflow if is_soon else None, severity=_WARNING)

    @callback
    def _async_update_doors(self) -> None:
        """Tell what is the matter with IQs and doors."""
        offline, to_restore = self._offline_for_long(dt_util.utcnow()), self._to_restore()
        units = "\n".join(list(self._units_without_keypad())[:SHOWN_UNITS])
        board = self._board
        board.async_show(IQS_OFFLINE, {"iqs": offline} if offline else None)
        board.async_show(IQS_TO_RESTORE, {"iqs": to_restore} if to_restore else None)
        board.async_show(
            DOORS_WITHOUT_KEYPAD, {"units": units} if units else None, severity=_WARNING
        )

    def _offline_for_long(self, now: datetime) -> str:
        """Return the names of the IQs that doors hang on and that are offline for long."""
        doors = self._entry.runtime_data.doors.data
        needed = {lock.iq_id for lock in doors.locks.values()}
        offline = [iq.id for iq in doors.iqs.values() if iq.id in needed and not iq.online]
        found = self._offline.after(offline, doors.read_at, now)
        return ", ".join(sorted(doors.iqs[iq_id].title for iq_id in found))

    def _unready_arrivals(self, now: datetime) -> Iterator[tuple[UnitId, BookingId]]:
        """Yield who is about to come, or should have, without a key that works.

        Those of whom an issue already says why are left to that.
        """
        engine = self._entry.runtime_data.bookings
        told = {trouble.booking.booking_id for trouble in engine.troubles()}
        for unit_id in engine.units:
            due = arrival_due(engine.bookings(unit_id), now)
            if due is None or due.booking_id in told:
                continue
            if _OF_KEYS.intersection(engine.view(unit_id, now).readiness.reasons):
                yield unit_id, due.booking_id

    def _to_restore(self) -> str:
        """Return the names of the IQs that were reset and are not set up here."""
        set_up = {
            subentry.data[CONF_IQ_ID]
            for subentry in self._entry.get_subentries_of_type(SUBENTRY_IQ)
        }
        iqs = self._entry.runtime_data.doors.data.iqs.values()
        return ", ".join(
            sorted(iq.title for iq in iqs if iq.restore_required and iq.id not in set_up)
        )

    def _units_without_keypad(self) -> Iterator[str]:
        """Yield a line for each unit whose guests cannot come in everywhere with their PIN."""
        for unit in self._entry.runtime_data.bookings.units.values():
            if names := self._closed_to_pins(unit):
                yield f"- {unit.name}: {', '.join(names)}"

    def _closed_to_pins(self, unit: Unit) -> list[str]:
        """Return the names of doors at which the guests of a unit have no way in.

        Where doors are opened remotely as well, one keypad is enough for the PIN to make sense.
        """
        if not unit.mode.has_pins:
            return []
        doors = self._entry.runtime_data.doors.data
        known = {
            door_id: doors.locks[LockId(door_id)]
            for door_id in unit.doors
            if LockId(door_id) in doors.locks
        }
        names = sorted(lock.title for lock in known.values() if not lock.has_keypad)
        is_enough = unit.mode is AccessMode.BOTH and len(names) < len(unit.doors)
        return [] if is_enough else names
