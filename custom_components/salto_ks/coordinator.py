"""Read the site at two cadences and hand out immutable snapshots."""

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, override

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .api.client import SaltoKsClient
from .api.exceptions import SaltoKsAuthError, SaltoKsError, SaltoKsRateLimitError
from .api.models import (
    Iq,
    IqActivation,
    IqId,
    Lock,
    LockCommand,
    LockedState,
    LockId,
    Site,
    SiteId,
    SiteMember,
)
from .booking_engine import BookingEngine
from .const import CONF_POLLING_INTERVAL, DOMAIN, LOGGER, POLLING_INTERVAL, SITE_INTERVAL
from .denials import Denials
from .domain.presence import absences
from .door_commands import DoorCommands
from .errors import (
    action_error_key,
    error_placeholders,
    office_mode_error_key,
    opening_error_key,
    raised_as_home_assistant_errors,
)
from .iq_vault import IqVault
from .listeners import KeyedListeners
from .site_keys import SiteKeys
from .site_state import SiteStates
from .turns import LoopTurns

if TYPE_CHECKING:
    from .access_feed import SaltoKsAccessFeed
    from .access_stream import AccessStream
    from .door_events import DoorEvents
    from .seat_outlook import SeatOutlook

type SaltoKsConfigEntry = ConfigEntry[SaltoKsData]

READ_AGAIN_AFTER: Final = (4, 4, 8, 16, 32, 64, 128)
"""Seconds between reads of a door after an opening, until Salto says that it has relocked.

The lock's open time is 1 to 240 s (DOC); the ordinary poll goes on beside this.
"""

LONGEST_PAUSE: Final = 300.0
"""Seconds after which a site is polled again, whatever `Retry-After` said."""

SITE_AFTER_WRITES: Final = 30.0
"""Seconds from a change of keys until seats are counted again, once for all changes in between."""

POLL_ERRORS: Final = {"cannot_connect": "poll_without_answer", "server_error": "poll_failed"}
"""Texts of a poll instead of those of an action: it is repeated by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorsSnapshot:
    """Locks and IQs as Salto told them in one poll."""

    locks: Mapping[LockId, Lock]
    iqs: Mapping[IqId, Iq]
    missing: Mapping[LockId, Lock]
    """Locks that this poll lacks and that are not believed to be gone, as they were told last."""
    known: frozenset[str]
    """Ids of this poll, and those that are missing and not believed to be gone."""
    read_at: datetime = field(compare=False)
    """When Salto was asked."""
    reached_since: Mapping[LockId, datetime] = field(compare=False)
    """Since which poll a door and its IQ were online in every one."""

    def lock(self, lock_id: LockId) -> Lock:
        """Return a lock as it was told last, in this poll or before. Raises KeyError."""
        return self.locks[lock_id] if lock_id in self.locks else self.missing[lock_id]

    def find(self, lock_id: LockId) -> Lock | None:
        """Return the same lock; None for one that the site does not have."""
        return self.locks.get(lock_id) or self.missing.get(lock_id)

    def iq_of(self, lock: Lock) -> Iq | None:
        """Return the IQ that a lock hangs on, if it is listed."""
        return None if lock.iq_id is None else self.iqs.get(lock.iq_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSnapshot:
    """What changes seldom at a site."""

    site: Site
    member: SiteMember
    activations: Mapping[IqId, IqActivation]


@dataclass(kw_only=True)
class SaltoKsData:
    """What a loaded entry works with."""

    client: SaltoKsClient
    vault: IqVault
    states: SiteStates
    commands: DoorCommands
    doors: SaltoKsDoorsCoordinator
    site: SaltoKsSiteCoordinator
    keys: SiteKeys
    feed: SaltoKsAccessFeed
    stream: AccessStream
    door_events: DoorEvents
    bookings: BookingEngine
    seats: SeatOutlook
    denials: Denials


class SaltoKsCoordinator[DataT](DataUpdateCoordinator[DataT]):
    """Read something of the site regularly, with the errors mapped once for all."""

    config_entry: SaltoKsConfigEntry

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SaltoKsConfigEntry,
        client: SaltoKsClient,
        site_id: SiteId,
        *,
        name: str,
        interval: timedelta,
    ) -> None:
        """Read the site `site_id` every `interval`."""
        super().__init__(
            hass,
            LOGGER,
            config_entry=entry,
            name=f"{DOMAIN} {name}",
            update_interval=interval,
        )
        self.client = client
        self.site_id = site_id
        self.turns = LoopTurns(hass.loop)
        self._keyed = KeyedListeners(hass.loop)
        self._told: DataT | None = None
        self._told_success = True

    @override
    @callback
    def async_add_listener(
        self, update_callback: CALLBACK_TYPE, context: Any = None
    ) -> CALLBACK_TYPE:
        """Listen for changes of the thing that `context` is the id of; None is everything."""
        remove_from_schedule = super().async_add_listener(update_callback, context)
        remove = self._keyed.add(update_callback, context)

        @callback
        def remove_listener() -> None:
            remove()
            remove_from_schedule()

        return remove_listener

    @callback
    def async_tell(self, *contexts: Hashable) -> None:
        """Have entities look again at what is not in the snapshot; none given means all."""
        self._keyed.tell(contexts or None)

    @override
    @callback
    def async_update_listeners(self) -> None:
        """Tell those whose thing has changed since they were told last."""
        before, self._told = self._told, self.data
        success_before, self._told_success = self._told_success, self.last_update_success
        if before is None or success_before != self.last_update_success:
            self._keyed.tell(None)
        elif before != self.data:
            self._keyed.tell(self._changed(before, self.data))

    def _changed(self, before: DataT, after: DataT) -> Iterable[Hashable] | None:
        """Return the ids of what differs between two snapshots; None for everything."""
        return None

    @override
    async def _async_update_data(self) -> DataT:
        """Read, and say what went wrong in words that fit."""
        try:
            return await self._async_read()
        except SaltoKsError as err:
            if isinstance(err, SaltoKsAuthError) and err.failure.mends_with_credentials:
                raise ConfigEntryAuthFailed(
                    translation_domain=DOMAIN, translation_key="auth_failed"
                ) from err
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key=POLL_ERRORS.get(key := action_error_key(err), key),
                translation_placeholders=error_placeholders(err),
                retry_after=_retry_after(err),
            ) from err

    @abstractmethod
    async def _async_read(self) -> DataT:
        """Ask Salto."""


class SaltoKsSiteCoordinator(SaltoKsCoordinator[SiteSnapshot]):
    """Site, seats, our own rights and activations: three requests at a slow cadence."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SaltoKsConfigEntry,
        client: SaltoKsClient,
        site_id: SiteId,
    ) -> None:
        """Read what changes seldom."""
        super().__init__(hass, entry, client, site_id, name="site", interval=SITE_INTERVAL)
        self._soon = Debouncer(
            hass,
            LOGGER,
            cooldown=SITE_AFTER_WRITES,
            immediate=False,
            function=self.async_refresh,
            background=True,
        )

    @callback
    def async_read_soon(self) -> None:
        """Read again in a while: keys have come or gone, and with them seats."""
        self._soon.async_schedule_call()

    @override
    async def async_shutdown(self) -> None:
        """Stop reading."""
        await super().async_shutdown()
        self._soon.async_shutdown()

    @override
    async def _async_read(self) -> SiteSnapshot:
        """Read what changes seldom."""
        site = await self.client.site(self.site_id)
        member = await self.client.site_member(self.site_id)
        activations = await self.client.activations(self.site_id)
        return SiteSnapshot(
            site=site, member=member, activations={item.iq_id: item for item in activations}
        )


class SaltoKsDoorsCoordinator(SaltoKsCoordinator[DoorsSnapshot]):
    """Locks and IQs, and the way by which commands to doors go out.

    A poll that was asked for before a command was accepted, or before the door was read by
    itself, may still show the door as it was. Such an answer is the older word, so what is known
    stands until a poll that was asked for later.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SaltoKsConfigEntry,
        client: SaltoKsClient,
        site_id: SiteId,
        *,
        known: Iterable[str],
    ) -> None:
        """Read the doors; `known` are the ids of those that there were before a restart."""
        seconds = entry.options.get(CONF_POLLING_INTERVAL, POLLING_INTERVAL.default)
        interval = timedelta(seconds=seconds)
        super().__init__(hass, entry, client, site_id, name="doors", interval=interval)
        self._bolts = KeyedListeners(hass.loop)
        self._event = 0
        self._known_states: dict[LockId, tuple[int, LockedState | str]] = {}
        self._absences: dict[str, int] = dict.fromkeys(known, 0)
        self._follow_ups: dict[LockId, CALLBACK_TYPE] = {}

    @callback
    def async_listen_to_bolt(self, lock_id: LockId, update: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Listen for a door that opens or locks between two polls; the result ends it.

        Nothing else about the door or the site has changed then, so nobody else is told.
        """
        return self._bolts.add(update, lock_id)

    @override
    def _changed(self, before: DoorsSnapshot, after: DoorsSnapshot) -> Iterable[Hashable]:
        """Return the locks and IQs that differ; an IQ's doors are told with it."""
        iqs = _differing(before.iqs, after.iqs)
        yield from iqs
        yield from _differing(before.locks, after.locks)
        if iqs:
            unchanged = (lock for lock in after.locks.values() if before.locks.get(lock.id) == lock)
            yield from (lock.id for lock in unchanged if lock.iq_id in iqs)

    @override
    async def _async_read(self) -> DoorsSnapshot:
        """Read all locks and IQs: as many requests as they fill pages of 100."""
        asked, read_at = self._next_event(), dt_util.utcnow()
        locks = {lock.id: lock for lock in await self.client.locks(self.site_id)}
        iqs = {iq.id: iq for iq in await self.client.iqs(self.site_id)}
        await _read_zones({iq.time_zone for iq in iqs.values()})
        self._absences = absences(self._absences, {*locks, *iqs})
        before = {**self.data.missing, **self.data.locks} if self.data is not None else {}
        return DoorsSnapshot(
            locks={key: self._newest(lock, asked) for key, lock in locks.items()},
            iqs=iqs,
            missing={
                key: lock
                for key, lock in before.items()
                if key in self._absences and key not in locks
            },
            known=frozenset(self._absences),
            read_at=read_at,
            reached_since=self._reached_since(locks.values(), iqs, read_at),
        )

    def _reached_since(
        self, locks: Iterable[Lock], iqs: Mapping[IqId, Iq], read_at: datetime
    ) -> Mapping[LockId, datetime]:
        """Return since when the doors that are in reach have been so."""
        before = self.data.reached_since if self.data is not None else {}
        return {
            lock.id: before.get(lock.id, read_at)
            for lock in locks
            if lock.online
            and lock.iq_id is not None
            and (iq := iqs.get(lock.iq_id)) is not None
            and iq.online
        }

    async def async_command(
        self, lock_id: LockId, command: LockCommand, code: str | None = None
    ) -> None:
        """Send a command to a door once; raises Home Assistant's errors."""
        lock = self.data.lock(lock_id)
        commands = self.config_entry.runtime_data.commands
        text_of = opening_error_key if command is LockCommand.OPEN else office_mode_error_key
        with raised_as_home_assistant_errors(self.hass, self.config_entry, text_of):
            await commands.send(lock, self.data.iq_of(lock), command, code)

    @callback
    def async_note_outcome(self, lock_id: LockId, command: LockCommand, accepted: bool) -> None:
        """Show what a command has done, and read the door again until it is at rest.

        That is after a success to see it relock, and after an error because nobody knows what
        the command has done. An opening does not end office mode, so it shows nothing there.
        """
        before = self.data.locks.get(lock_id)
        stays_open = before is not None and before.locked_state == LockedState.OFFICE_MODE
        if accepted and not (command is LockCommand.OPEN and stays_open):
            self._accept(lock_id, LockedState(command.value))
        self._read_again(lock_id, READ_AGAIN_AFTER)

    async def async_read_door(self, lock_id: LockId) -> Lock:
        """Read one door now; raises Home Assistant's errors."""
        with raised_as_home_assistant_errors(self.hass, self.config_entry):
            return await self._read_door(lock_id)

    @override
    async def async_shutdown(self) -> None:
        """Stop reading again."""
        await super().async_shutdown()
        for cancel in self._follow_ups.values():
            cancel()
        self._follow_ups.clear()

    async def _read_door(self, lock_id: LockId) -> Lock:
        """Read one door and put it into the snapshot."""
        asked = self._next_event()
        lock = self._newest(await self.client.lock(self.site_id, lock_id), asked)
        self._known_states.setdefault(lock_id, (asked, lock.locked_state))
        self._replace(lock)
        return lock

    def _next_event(self) -> int:
        """Return the next number of the order in which questions and changes happened."""
        self._event += 1
        return self._event

    def _newest(self, lock: Lock, asked: int) -> Lock:
        """Return a lock with the state that is known of it, if that is newer than the question."""
        known = self._known_states.get(lock.id)
        if known is None:
            return lock
        if known[0] > asked:
            return replace(lock, locked_state=known[1])
        del self._known_states[lock.id]
        return lock

    @callback
    def _accept(self, lock_id: LockId, state: LockedState) -> None:
        """Show what Salto has just accepted."""
        self._known_states[lock_id] = (self._next_event(), state)
        if (lock := self.data.locks.get(lock_id)) is not None:
            self._replace(replace(lock, locked_state=state))

    @callback
    def _replace(self, lock: Lock) -> None:
        """Put one lock into the snapshot, without touching the time of the next poll."""
        before = self.data.locks.get(lock.id)
        if before in (None, lock):
            return
        self.data = self._told = replace(self.data, locks={**self.data.locks, lock.id: lock})
        only_bolt = before == replace(lock, locked_state=before.locked_state)
        (self._bolts if only_bolt else self._keyed).tell([lock.id])

    @callback
    def _read_again(self, lock_id: LockId, delays: tuple[int, ...]) -> None:
        """Read a door after the first delay, and after the others while it stands open."""

        async def read(_: object) -> None:
            self._follow_ups.pop(lock_id, None)
            if not self.hass.is_running:
                return  # Home Assistant closes the connections when it stops.
            try:
                lock = await self._read_door(lock_id)
            except SaltoKsError as err:
                LOGGER.debug("A door could not be read after a command: %s", type(err).__name__)
                settled = False
            else:
                settled = lock.locked_state is not LockedState.UNLOCKED
            if not settled and len(delays) > 1:
                self._read_again(lock_id, delays[1:])

        if (cancel := self._follow_ups.pop(lock_id, None)) is not None:
            cancel()
        if not self._shutdown_requested:
            self._follow_ups[lock_id] = async_call_later(self.hass, delays[0], read)


async def _read_zones(zones: Iterable[str]) -> None:
    """Read time zones from disk outside of the loop, once; an odd one matters to keys only."""
    for zone in zones:
        try:
            await dt_util.async_get_time_zone(zone)
        except ValueError, OSError:
            LOGGER.debug("Salto names a time zone that there is not")


def _retry_after(err: SaltoKsError) -> float | None:
    """Return when to poll again, where Salto has said so."""
    if not isinstance(err, SaltoKsRateLimitError) or err.retry_after is None:
        return None
    return min(err.retry_after, LONGEST_PAUSE)


def _differing[K](before: Mapping[K, object], after: Mapping[K, object]) -> set[K]:
    """Return the keys whose values are not the same on both sides."""
    keys = before.keys() | after.keys()
    return {key for key in keys if before.get(key) != after.get(key)}
