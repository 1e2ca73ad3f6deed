"""The booking engine: from calendars and booking systems to keys, and nothing by hand.

It reads, believes, compares what bookings want with what the ledger has, and asks the key manager
for the difference. It decides nothing itself: that is done by the functions in `domain`.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import (
    CALLBACK_TYPE,
    Event,
    EventStateChangedData,
    EventStateReportedData,
    HassJob,
    HomeAssistant,
    callback,
)
from homeassistant.helpers.event import (
    async_call_later,
    async_track_state_change_event,
    async_track_state_report_event,
    async_track_time_interval,
)
from homeassistant.util import dt as dt_util

from .api.exceptions import SaltoKsError
from .booking_store import BookingStore, KnownBookings
from .calendar_source import Looked, async_look
from .const import DOMAIN, LOGGER
from .domain.booking_plan import (
    Change,
    Circumstances,
    Failures,
    Issue,
    KeyAction,
    Resume,
    Revoke,
    Suspend,
    as_wanted,
    key_plan,
    those_there,
)
from .domain.bookings import EXPECTED, Booking, Unit
from .domain.calendar_memory import (
    KEPT_AFTER_END,
    CalendarMemory,
    after_read,
    believed,
    with_booking,
)
from .domain.desired_keys import DesiredKey, desired_key, desired_keys, status_for_booking
from .domain.ids import BookingId, DoorId, KeyId, UnitId
from .domain.key_requests import By, KeyChange, KeyRefusal, KeyRefusedError, gives_more
from .domain.keys import KeyRecord, KeyStatus
from .domain.opening import after_opening
from .domain.unit_state import (
    DoorCondition,
    Readiness,
    arrival_due,
    current_booking,
    next_arrival,
    readiness,
)
from .errors import KnownError, action_error_key, error_placeholders
from .keys.manager import KeyGivenUpError, KeyPendingError
from .keys.news import KeyNews, NewsKind
from .keys.provider import KeyFailedError
from .listeners import KeyedListeners
from .site_keys import SiteKeys
from .storage import FileUnusableError, StorageError
from .units import unit_subentries

READ_EVERY: Final = timedelta(minutes=5)
"""How often a calendar is read that says nothing of itself."""

FIRST_LOOK_AFTER: Final = 10.0
"""Seconds from a start to the first look: whoever changes one thing often changes another, and
each change loads the site anew, which would cut off what was begun."""

READS_AT_ONCE: Final = 4
"""Calendars that are read at the same time; each may be a request to somebody's server."""

PLAN_EVERY: Final = timedelta(minutes=1)

READ_AFTER_CHANGE: Final = 2.0
"""Seconds from a written state of a calendar to a look at it: several come at once.

The state shows one event only. That another one is new, or gone, is written as the same state.
"""

EVENT_CHECKED_IN: Final = f"{DOMAIN}_booking_checked_in"

_FAILED: Final = (
    KeyFailedError,
    KeyGivenUpError,
    KeyPendingError,
    KeyRefusedError,
    SaltoKsError,
    StorageError,
)

_COUNTED_ELSEWHERE: Final = (KeyFailedError, KeyPendingError)
"""What an issue may end with that is told by its record, or is tried again by the key manager."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitView:
    """How a unit stands."""

    current: Booking | None
    arrival: Booking | None
    """Who comes next."""
    key: KeyRecord | None
    """The key of who is there, else of who comes next."""
    key_status: KeyStatus | None
    """Where that key stands, be it one that is to be issued later; None where there is none."""
    readiness: Readiness


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A booking that may be left without a key."""

    booking: Booking
    problem: str
    """The key of the text of the error that came of it."""
    about: Mapping[str, str]
    """What that text is filled with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """What went wrong for a booking."""

    key: str
    about: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A look at the calendar of a unit, and when it was."""

    unit_id: UnitId
    at: datetime
    looked: Looked


@dataclass(frozen=True, slots=True, kw_only=True)
class _Index:
    """The bookings that are known, as they are asked for."""

    known: KnownBookings
    """What it was made of."""
    bookings: tuple[Booking, ...]
    """In the order of their starts."""
    by_unit: Mapping[UnitId, tuple[Booking, ...]]


class BookingEngine:
    """The bookings of one site."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        *,
        units: Mapping[UnitId, Unit],
        store: BookingStore,
        keys: SiteKeys,
        has_keypad: Callable[[DoorId], bool | None],
        condition_of: Callable[[DoorId], DoorCondition],
        is_active: Callable[[], bool],
    ) -> None:
        """Look after the bookings of these units.

        `has_keypad` is None for a door of which that is not known; `condition_of` tells how a door
        is now.
        """
        self._hass = hass
        self._entry = entry
        self.units = units
        self.unreadable_units: Mapping[UnitId, str] = {
            unit_id: subentry.title
            for subentry in unit_subentries(entry)
            if (unit_id := UnitId(subentry.subentry_id)) not in units
        }
        """The names of units that are there and make no sense; nothing is done for these."""
        self._store = store
        self._keys = keys
        self._has_keypad = has_keypad
        self._condition_of = condition_of
        self._is_active = is_active
        self._looks: dict[UnitId, Looked] = {}
        self._unread_since: dict[UnitId, datetime] = {}
        self._reading: dict[UnitId, asyncio.Lock] = {unit_id: asyncio.Lock() for unit_id in units}
        self._reads = asyncio.Semaphore(READS_AT_ONCE)
        self._keeping = asyncio.Lock()
        self._planning = asyncio.Lock()
        self._index: _Index | None = None
        self._busy: dict[BookingId | KeyId, KeyAction] = {}
        self._again: set[BookingId | KeyId] = set()
        self._failures: dict[BookingId, Failures] = {}
        self._problems: dict[BookingId, _Problem] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unsubscribe: list[CALLBACK_TYPE] = []
        self._written: set[UnitId] = set()
        self._soon: CALLBACK_TYPE | None = None
        self._changes = KeyedListeners(hass.loop)
        self._closed = False
        self.wanted: tuple[DesiredKey, ...] | None = None
        """The keys that bookings wanted at the last comparison; None before the first."""

    @property
    def failure(self) -> FileUnusableError | None:
        """Return why bookings are not known, and so no key is touched for them."""
        return self._store.failure

    @callback
    def async_start(self) -> None:
        """Begin to read calendars and to compare."""
        by_calendar: dict[str, list[UnitId]] = {}
        for unit in self.units.values():
            if unit.calendar is not None:
                by_calendar.setdefault(unit.calendar, []).append(unit.unit_id)

        @callback
        def changed(event: Event[EventStateChangedData] | Event[EventStateReportedData]) -> None:
            self._async_look_soon(by_calendar[event.data["entity_id"]])

        @callback
        def look_at_all(_: datetime) -> None:
            self._spawn(self._async_look_at_all(), "calendars")

        @callback
        def compare(_: datetime) -> None:
            self._spawn(self._async_compare(), "bookings")

        first_look = HassJob(look_at_all, cancel_on_shutdown=True)
        self._unsubscribe = [
            async_track_state_change_event(self._hass, list(by_calendar), changed),
            async_track_state_report_event(self._hass, list(by_calendar), changed),
            async_track_time_interval(self._hass, look_at_all, READ_EVERY, cancel_on_shutdown=True),
            async_track_time_interval(self._hass, compare, PLAN_EVERY, cancel_on_shutdown=True),
            self._keys.async_listen(self._hear),
            *(
                self._keys.async_listen_to_begun(partial(self._changes.tell, [unit_id]), unit_id)
                for unit_id in self.units
            ),
            async_call_later(self._hass, FIRST_LOOK_AFTER, first_look),
        ]

    async def async_close(self) -> None:
        """Begin nothing more; what is being written is on disk when this returns."""
        self._closed = True
        for unsubscribe in (*self._unsubscribe, *([self._soon] if self._soon else [])):
            unsubscribe()
        self._unsubscribe, self._soon = [], None
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        async with self._keeping:
            await self._store.async_finish()

    @callback
    def async_listen(self, update: CALLBACK_TYPE, unit_id: UnitId | None = None) -> CALLBACK_TYPE:
        """Have an entity look again whenever a unit may be different; None is any."""
        return self._changes.add(update, unit_id)

    # Reading

    def bookings(self, unit_id: UnitId | None = None) -> tuple[Booking, ...]:
        """Return the bookings that are known, in the order of their starts."""
        index = self._indexed()
        return index.bookings if unit_id is None else index.by_unit.get(unit_id, ())

    def booking(self, booking_id: BookingId, unit_id: UnitId | None = None) -> Booking | None:
        """Return a booking; of one that is in two units, the one that begins first."""
        found = self.bookings(unit_id)
        return next((one for one in found if one.booking_id == booking_id), None)

    def _indexed(self) -> _Index:
        """Return the bookings in order, which is found once for each that is known."""
        known = self._store.known
        if self._index is None or self._index.known is not known:
            self._index = self._index_of(known)
        return self._index

    def _index_of(self, known: KnownBookings) -> _Index:
        memories = [memory for unit, memory in known.calendars.items() if self._has_calendar(unit)]
        told_last = (*believed(memories), *known.told.values())
        of_units = {
            (one.booking_id, one.unit_id): one for one in told_last if one.unit_id in self.units
        }
        found = sorted(of_units.values(), key=lambda one: (one.starts_at, one.booking_id))
        by_unit: dict[UnitId, list[Booking]] = {}
        for booking in found:
            by_unit.setdefault(booking.unit_id, []).append(booking)
        return _Index(
            known=known,
            bookings=tuple(found),
            by_unit={unit_id: tuple(bookings) for unit_id, bookings in by_unit.items()},
        )

    def key_of(self, booking: Booking) -> KeyRecord | None:
        """Return the key of a booking that counts, or the newest where none is there."""
        keys = self._keys.manager.keys(booking_id=booking.booking_id)
        own = [key for key in keys if key.unit_id == booking.unit_id]
        return next(iter(those_there(own) or own), None)

    def view(self, unit_id: UnitId, now: datetime) -> UnitView:
        """Return how a unit stands."""
        unit, bookings = self.units[unit_id], self.bookings(unit_id)
        current, arrival = current_booking(bookings, now), next_arrival(bookings, now)
        due, about = arrival_due(bookings, now), current or arrival
        keys = () if due is None else self._keys.manager.keys(booking_id=due.booking_id)
        doors = unit.doors if due is None else unit.doors_of(due)
        key = None if about is None else self.key_of(about)
        wanted = None if about is None else desired_key(about, unit, now)
        return UnitView(
            current=current,
            arrival=arrival,
            key=key,
            key_status=status_for_booking(key, wanted, now),
            readiness=readiness(
                unit,
                due,
                [key for key in keys if key.unit_id == unit_id],
                {door: self._condition_of(door) for door in doors},
                now,
                without_keypad=doors - self._with_keypad(doors),
            ),
        )

    def unreadable(self, unit_id: UnitId) -> int:
        """Return how many events of a unit's calendar are no bookings that can be read."""
        look = self._looks.get(unit_id)
        return 0 if look is None or look.reading is None else len(look.reading.unreadable)

    def calendar_is_read(self, unit_id: UnitId) -> bool | None:
        """Tell whether a unit's calendar answered last time; None before the first look."""
        look = self._looks.get(unit_id)
        return None if look is None else look.reading is not None

    def units_unread_for(self, time: timedelta, now: datetime) -> tuple[Unit, ...]:
        """Return the units of which no look at the calendar was answered for so long."""
        return tuple(
            self.units[unit_id]
            for unit_id, since in self._unread_since.items()
            if now - since >= time
        )

    def troubles(self) -> tuple[Trouble, ...]:
        """Return the bookings of which the key does not come into being."""
        return tuple(
            Trouble(booking=booking, problem=problem.key, about=problem.about)
            for booking_id, problem in self._problems.items()
            if (booking := self.booking(booking_id)) is not None
        )

    async def async_reissue(self, unit_id: UnitId, by: By) -> None:
        """Give who is there, or comes next, a key with another PIN.

        Raises as the key manager does, and KeyRefusedError where nobody has a key.
        """
        key = self.view(unit_id, dt_util.utcnow()).key
        if key is None or not key.is_live:
            raise KeyRefusedError(KeyRefusal.NO_KEY_OF_UNIT)
        await self._keys.manager.reissue(key.key_id, by)

    # What is told

    async def async_set_booking(self, booking: Booking) -> Booking:
        """Take note of a booking, or of what has changed about it.

        Of one that is in a calendar, only status and doors are taken: when and where it is, is
        the calendar's to say. Raises StorageError, and KeyRefusedError while the site is unloaded.
        """
        async with self._keeping:
            unit_id = await self._async_take(booking)
        await self._async_compare()
        return self.booking(booking.booking_id, unit_id) or booking

    async def async_note_opening(self, booking: Booking, at: datetime) -> Booking:
        """Take note that a door was opened for a booking, as that stands by now.

        Raises as `async_set_booking` does; what could not be written counts all the same.
        """
        failure: StorageError | None = None
        async with self._keeping:
            before = self.booking(booking.booking_id, booking.unit_id)
            if before is None:
                return booking
            unit = self.units[before.unit_id]
            after = after_opening(before, unit, at)
            if after == before:
                return after
            try:
                await self._async_take(after)
            except StorageError as err:
                failure = err
        if after.status is not before.status:
            self._hass.bus.async_fire(
                EVENT_CHECKED_IN,
                {
                    "config_entry_id": self._entry.entry_id,
                    "booking_id": booking.booking_id,
                    "unit": unit.name,
                    "unit_id": unit.unit_id,
                    "opened_at": at.isoformat(),
                },
            )
        await self._async_compare()
        if failure is not None:
            raise failure
        return after

    async def _async_take(self, booking: Booking) -> UnitId:
        """Take what is told of a booking, with `_keeping` held; return the unit that it is in."""
        if self._closed:
            raise KeyRefusedError(KeyRefusal.UNLOADING)
        known, booking_id = self._store.known, booking.booking_id
        before = known.told.get(booking_id)
        unit_id = booking.unit_id if before is not None else self._calendar_of(booking)
        if before is None and unit_id is not None:
            memory = with_booking(known.calendars[unit_id], replace(booking, unit_id=unit_id))
            after = replace(known, calendars={**known.calendars, unit_id: memory})
        else:
            unit_id = booking.unit_id
            opened_at = booking.opened_at or (None if before is None else before.opened_at)
            booking = replace(booking, opened_at=opened_at)
            after = replace(known, told={**known.told, booking_id: booking})
        if after != known:
            self._failures.pop(booking_id, None)
        await self._store.async_keep(after)
        return unit_id

    def _calendar_of(self, booking: Booking) -> UnitId | None:
        """Return the unit in whose calendar a booking is: its own, if it is in several."""
        units = [
            unit_id
            for unit_id, memory in self._store.known.calendars.items()
            if self._has_calendar(unit_id)
            and any(one.booking_id == booking.booking_id for one in memory.bookings)
        ]
        return booking.unit_id if booking.unit_id in units else next(iter(units), None)

    def _has_calendar(self, unit_id: UnitId) -> bool:
        """Tell whether a unit is there and has a calendar."""
        unit = self.units.get(unit_id)
        return unit is not None and unit.calendar is not None

    # Calendars

    @callback
    def _async_look_soon(self, unit_ids: Iterable[UnitId]) -> None:
        """Look at calendars that have written their states, all that do so together at once."""
        self._written.update(unit_ids)
        if self._soon is not None:
            return

        @callback
        def look(_: datetime) -> None:
            written, self._written, self._soon = self._written, set(), None
            self._spawn(self._async_look_at_written(written), "calendars")

        job = HassJob(look, cancel_on_shutdown=True)
        self._soon = async_call_later(self._hass, READ_AFTER_CHANGE, job)

    async def _async_look_at_written(self, unit_ids: Collection[UnitId]) -> None:
        """Look at calendars that have written their states, and at all once there is news in one.

        At all, since a booking may have moved from one to the other. Mostly there is none: many
        write the same state every minute.
        """
        before = {unit_id: self._looks.get(unit_id) for unit_id in unit_ids}
        looks = await self._async_looks(unit_ids)
        known = self._store.known
        _, is_news = await self._hass.async_add_executor_job(_believed_after, known, looks)
        if is_news or any(_says_else(before[look.unit_id], look.looked) for look in looks):
            await self._async_look_at_all()

    async def _async_look_at_all(self) -> None:
        """Look at every calendar, then compare."""
        await self._async_look_and_compare(
            [unit.unit_id for unit in self.units.values() if unit.calendar is not None]
        )

    async def _async_look_and_compare(self, unit_ids: Iterable[UnitId]) -> None:
        """Look at calendars, keep what is believed of them now, then compare."""
        looks = await self._async_looks(unit_ids)
        async with self._keeping:
            await self._async_believe(looks)
        await self._async_compare()

    async def _async_looks(self, unit_ids: Iterable[UnitId]) -> list[_Look]:
        """Look at calendars."""
        return await asyncio.gather(*map(self._async_look, unit_ids))

    async def _async_look(self, unit_id: UnitId) -> _Look:
        """Look at a calendar; each at one time only once."""
        async with self._reading[unit_id], self._reads:
            now, unit = dt_util.utcnow(), self.units[unit_id]
            looked, before = await async_look(self._hass, unit, now), self._looks.get(unit_id)
            self._looks[unit_id] = looked
            if looked.reading is None:
                self._unread_since.setdefault(unit_id, now)
            else:
                self._unread_since.pop(unit_id, None)
        if looked.reading is None and (before is None or before.reading is not None):
            LOGGER.warning(
                "%s of unit %s cannot be read; nobody loses a key for that",
                unit.calendar,
                unit.name,
            )
        elif before is not None and before.reading is None and looked.reading is not None:
            LOGGER.info("%s of unit %s can be read again", unit.calendar, unit.name)
        return _Look(unit_id=unit_id, at=now, looked=looked)

    async def _async_believe(self, looks: Iterable[_Look]) -> None:
        """Keep what looks at calendars make of what is known, with `_keeping` held."""
        newest = [look for look in looks if self._looks.get(look.unit_id) is look.looked]
        if not newest or self._store.failure is not None:
            return
        known = self._store.known
        after, is_news = await self._hass.async_add_executor_job(_believed_after, known, newest)
        if self._closed:
            return
        if not is_news:
            self._store.note(after)
            return
        try:
            await self._store.async_keep(after)
        except StorageError as err:
            LOGGER.warning("What calendars say is not on disk: %s", err)

    # Keys

    async def _async_compare(self) -> None:
        """Compare, and have everybody look again."""
        await self._async_plan()
        self._changes.tell(None)

    @callback
    def _hear(self, news: KeyNews) -> None:
        """Look again when a key has failed, and take note of a guest who has come."""
        record = news.record
        if record.booking_id is None or record.unit_id is None:
            return
        if news.kind is NewsKind.FIRST_USED:
            self._note_guest(record)
        self._changes.tell([record.unit_id])

    @callback
    def _note_guest(self, record: KeyRecord) -> None:
        """Take note of a guest who has come with a key, if that is news of the booking."""
        used_at, booking_id = record.first_used_at, record.booking_id
        if used_at is None or booking_id is None:
            return
        booking = self.booking(booking_id, record.unit_id)
        if booking is not None and booking.opened_at is None and booking.status in EXPECTED:
            self._spawn(self._async_check_in(booking, used_at), "check-in")

    async def _async_check_in(self, booking: Booking, at: datetime) -> None:
        try:
            await self.async_note_opening(booking, at)
        except KeyRefusedError:
            LOGGER.debug("The site is unloaded; the key says after the next start that it was used")
        except StorageError as err:
            LOGGER.warning("The first opening of a booking is not on disk: %s", err)

    async def _async_plan(self) -> None:
        """Compare what bookings want with what the ledger has, and begin what is to be done."""
        async with self._planning:
            ledger = self._keys.ledger
            if self._closed or self._store.failure is not None or ledger.quarantine is not None:
                return
            now = dt_util.utcnow()
            await self._async_forget_old(now)
            intents = ledger.intents
            records = {
                key_id: as_wanted(record, intents.get(key_id))
                for key_id, record in (
                    *ledger.records.items(),
                    *((key_id, one.record) for key_id, one in intents.items()),
                )
                if record.unit_id is not None and not record.window.is_over(now)
            }
            circumstances = Circumstances(
                units=self.units.keys(),
                unknown_units=self._unknown_units(),
                bookings=self.bookings(),
                by_hand={key_id for key_id, record in records.items() if record.by_hand},
                on_removal=lambda record: record.on_removal,
                failures=dict(self._failures),
            )
            wanted, actions = await self._hass.async_add_executor_job(
                self._planned, records, now, circumstances
            )
            self.wanted = wanted
            wanting = {key.booking_id for key in wanted}
            self._forget_solved(wanting, records.values())
            for about, under_way in self._busy.items():
                if isinstance(under_way, Issue) and under_way.desired.booking_id not in wanting:
                    self._again.add(about)
            for action in actions:
                self._begin(action, records)
            for record in records.values():
                self._note_guest(record)

    def _planned(
        self, records: Mapping[KeyId, KeyRecord], now: datetime, circumstances: Circumstances
    ) -> tuple[tuple[DesiredKey, ...], tuple[KeyAction, ...]]:
        """Find what bookings want, and what is to be done for it.

        Thousands of bookings take longer than the event loop may be held up: this is for the
        executor, and looks at nothing that changes.
        """
        wanted = self._desired(circumstances.bookings, now)
        return wanted, key_plan(wanted, records, now, circumstances)

    @callback
    def _begin(self, action: KeyAction, records: Mapping[KeyId, KeyRecord]) -> None:
        """Begin to do something, unless it is not allowed or something else is under way."""
        about = _about(action, records)
        if not self._is_allowed(action, records):
            return
        if (under_way := self._busy.get(about)) is None:
            self._busy[about] = action
            self._spawn(self._async_do(action, about, records), "key of a booking")
        elif under_way != action:
            self._again.add(about)

    def _desired(self, bookings: Iterable[Booking], now: datetime) -> tuple[DesiredKey, ...]:
        """Return the keys that bookings want, for the doors at which a PIN can be typed."""
        units = {unit_id: self._for_keys(unit) for unit_id, unit in self.units.items()}
        return tuple(
            key if doors == key.doors else replace(key, doors=doors)
            for key in desired_keys(bookings, units, now)
            if (doors := self._with_keypad(key.doors))
        )

    def _for_keys(self, unit: Unit) -> Unit:
        """Return a unit with the doors at which a PIN can be typed, if there are any."""
        return replace(unit, doors=self._with_keypad(unit.doors) or unit.doors)

    def _with_keypad(self, doors: Collection[DoorId]) -> frozenset[DoorId]:
        """Return doors without those that are known to take no PIN."""
        return frozenset(door for door in doors if self._has_keypad(door) is not False)

    def _unknown_units(self) -> frozenset[UnitId]:
        """Return the units of which not all bookings are known."""
        calendars = self._store.known.calendars
        return frozenset(self.unreadable_units).union(
            unit_id
            for unit_id, unit in self.units.items()
            if unit.calendar is not None and not calendars.get(unit_id, CalendarMemory()).settled
        )

    def _is_allowed(self, action: KeyAction, records: Mapping[KeyId, KeyRecord]) -> bool:
        """Tell whether the site lets something be done: while it is off, no access is given.

        While the ledger or the clock may be wrong, nothing at all is done for bookings.
        """
        if self._keys.manager.read_only is not None:
            return False
        if self._is_active():
            return True
        match action:
            case Issue() | Resume():
                return False
            case Change():
                return not gives_more(records[action.key_id], action.window, action.doors)
            case _:
                return True

    async def _async_do(
        self, action: KeyAction, about: BookingId | KeyId, records: Mapping[KeyId, KeyRecord]
    ) -> None:
        """Have the key manager do something, and take note of how it went."""
        booking_id = _booking_of(action, records)
        try:
            await self._async_ask(action)
        except _FAILED as err:
            if booking_id is not None:
                self._problems[booking_id] = _problem(err)
                if not isinstance(action, Issue) or not isinstance(err, _COUNTED_ELSEWHERE):
                    failures = self._failures.get(booking_id, Failures())
                    self._failures[booking_id] = failures.and_one(dt_util.utcnow())
        else:
            if booking_id is not None:
                self._failures.pop(booking_id, None)
                self._problems.pop(booking_id, None)
        finally:
            del self._busy[about]
        if about in self._again:
            self._again.discard(about)
            await self._async_plan()
        self._changes.tell(None)

    async def _async_ask(self, action: KeyAction) -> None:
        """Ask the key manager for something; raises as it does."""
        manager = self._keys.manager
        by = By(who="", reason=action.reason.words)
        match action:
            case Issue(desired=key):
                await manager.make(key.request(), by)
            case Change(desired=key):
                change = KeyChange(
                    starts_at=key.window.starts_at,
                    ends_at=key.window.ends_at,
                    doors=key.doors,
                    unit_id=key.unit_id,
                    on_removal=key.on_removal,
                )
                await manager.change(action.key_id, change, by)
            case Revoke():
                await manager.revoke(action.key_id, by)
            case Suspend():
                await manager.suspend(action.key_id, by)
            case Resume():
                await manager.resume(action.key_id, by)

    def _forget_solved(self, wanting: Collection[BookingId], records: Iterable[KeyRecord]) -> None:
        """Forget troubles of bookings that want no key any more, or have one after all."""
        working = {record.booking_id for record in records if record.pin_set_at and record.is_live}
        for booking_id in tuple(self._problems):
            if booking_id not in wanting or (
                booking_id in working and booking_id not in self._failures
            ):
                del self._problems[booking_id]

    async def _async_forget_old(self, now: datetime) -> None:
        """Drop bookings that were told and are long over, or whose unit is gone.

        What the disk has not taken before is written then, too.
        """
        async with self._keeping:
            known = self._store.known
            told = {
                booking_id: booking
                for booking_id, booking in known.told.items()
                if now - booking.ends_at < KEPT_AFTER_END
                and (booking.unit_id in self.units or booking.unit_id in self.unreadable_units)
            }
            calendars = {
                unit_id: memory
                for unit_id, memory in known.calendars.items()
                if self._has_calendar(unit_id) or unit_id in self.unreadable_units
            }
            is_same = len(told) == len(known.told) and len(calendars) == len(known.calendars)
            if self._closed or (is_same and not self._store.is_behind):
                return
            try:
                await self._store.async_keep(
                    known if is_same else replace(known, told=told, calendars=calendars)
                )
            except StorageError as err:
                LOGGER.warning("What is known of bookings is not on disk yet: %s", err)

    def _spawn(self, work: Any, name: str) -> None:
        if self._closed:
            work.close()
            return
        task = self._hass.async_create_background_task(work, f"{DOMAIN} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _problem(err: KnownError) -> _Problem:
    """Name what is wrong with a key by the text that a person would be shown."""
    return _Problem(key=action_error_key(err), about=error_placeholders(err))


def _believed_after(known: KnownBookings, looks: Iterable[_Look]) -> tuple[KnownBookings, bool]:
    """Return what is known after looks at calendars, and whether that is news.

    That a calendar still says the same is none, and need not be on disk.
    """
    calendars, told = dict(known.calendars), dict(known.told)
    is_news = False
    for look in looks:
        before = calendars.get(look.unit_id, CalendarMemory())
        memory, bookings = after_read(before, look.looked.read, look.at)
        for booking in bookings:
            said = told.get(booking.booking_id)
            if said is not None and said.unit_id == look.unit_id:
                memory = with_booking(memory, told.pop(booking.booking_id))
        is_news = is_news or _as_when_seen(before, memory) != memory
        calendars[look.unit_id] = memory
    return KnownBookings(told=told, calendars=calendars), is_news


def _says_else(before: Looked | None, after: Looked) -> bool:
    """Tell whether a look at a calendar shows something else than the one before."""
    return before is None or before.reading != after.reading


def _as_when_seen(before: CalendarMemory, after: CalendarMemory) -> CalendarMemory:
    """Return what was believed before, as if it had been seen when it was seen after."""
    if len(before.events) != len(after.events):
        return before
    events = tuple(
        replace(one, last_seen_at=other.last_seen_at)
        for one, other in zip(before.events, after.events, strict=True)
    )
    return replace(before, events=events)


def _about(action: KeyAction, records: Mapping[KeyId, KeyRecord]) -> BookingId | KeyId:
    """Return what one thing at a time is done for: a booking, else a key."""
    if isinstance(action, Issue):
        return action.desired.booking_id
    return records[action.key_id].booking_id or action.key_id


def _booking_of(action: KeyAction, records: Mapping[KeyId, KeyRecord]) -> BookingId | None:
    """Return the booking that an action is for."""
    if isinstance(action, Issue):
        return action.desired.booking_id
    return records[action.key_id].booking_id
