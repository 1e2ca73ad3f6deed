"""Read the door log regularly, and hand each event out once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, override

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util import dt as dt_util
from homeassistant.util.logging import catch_log_exception

from .access_cursor import AccessCursor, AccessCursors
from .api.access_events import AccessEvent, AccessEventId, AccessEventsApi
from .api.client import SaltoKsClient
from .api.exceptions import SaltoKsAuthError, SaltoKsForbiddenError, SaltoKsRateLimitError
from .api.models import SiteId
from .const import CONF_POLLING_INTERVAL, DOMAIN, LOGGER, POLLING_INTERVAL
from .coordinator import SaltoKsConfigEntry, SaltoKsCoordinator
from .doorbell import Doorbell
from .storage import StorageError

type AccessListener = Callable[[tuple[AccessEvent, ...]], Awaitable[None] | None]
"""Takes up events; what it has to keep of them is done when the result was awaited."""

MOST_EVENTS: Final = 1000
"""Events in one poll, or a few more; what a long absence has left takes several polls."""

PAUSES_WITHOUT_RIGHT: Final = (0.0, 600.0, 1200.0, 2400.0, 3600.0)
"""Seconds until the log is asked for again after one refusal, two in a row and so on.

An account may lack the right to read the log for good, and each attempt costs a request. The
first refusal may still be an accident.
"""


class DoorLogStanding(StrEnum):
    """How reading the door log goes, in words for reports."""

    OK = "ok"
    FAILED = "failed"
    NO_RIGHT = "no right"
    """The account may not read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFeedSnapshot:
    """How far the door log was read, and what the last poll has handed out."""

    newest_at: datetime
    """When the newest event happened; before the first one, when we began to read."""
    events: tuple[AccessEvent, ...]


class SaltoKsAccessFeed(SaltoKsCoordinator[AccessFeedSnapshot]):
    """The door log as a stream of events: one request per poll in which little happened.

    Each event is handed out once, also across a restart. It is handed out first, and the cursor is
    kept when all that listen have kept what they have to. So a crash in between loses nothing and
    hands the events of one poll out a second time at most; who must not take one twice knows it
    by its id. A door that was offline tells late, for which the last quarter of an hour before the
    newest event is read again each time. What comes later than that is lost where other doors were
    used in the meantime.

    Nothing depends on the feed. An account without the right to read the log (403) has everything
    else, so it is refreshed with `async_refresh` and never as a first refresh; and it is asked for
    ever more seldom, up to once an hour.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        entry: SaltoKsConfigEntry,
        client: SaltoKsClient,
        site_id: SiteId,
        cursors: AccessCursors,
    ) -> None:
        """Read as often as the doors, from where `cursors` say that we were."""
        seconds = entry.options.get(CONF_POLLING_INTERVAL, POLLING_INTERVAL.default)
        self._interval = timedelta(seconds=seconds)
        super().__init__(hass, entry, client, site_id, name="door log", interval=self._interval)
        self._log = AccessEventsApi(client, site_id)
        self._cursors = cursors
        self._cursor = cursors.cursor_of(site_id)
        self._access_listeners: dict[object, Callable[[tuple[AccessEvent, ...]], Any]] = {}
        self._storage_failed = False
        self._refusals = 0
        self._one_at_a_time = asyncio.Lock()
        self._bell = Doorbell(
            hass,
            look=self._look,
            is_told=self._is_told,
            start=lambda look: entry.async_create_background_task(hass, look, f"{DOMAIN} ring"),
        )

    @property
    def standing(self) -> DoorLogStanding:
        """Return how reading the log goes."""
        if self._refusals:
            return DoorLogStanding.NO_RIGHT
        return DoorLogStanding.OK if self.last_update_success else DoorLogStanding.FAILED

    @callback
    def async_listen(self, listener: AccessListener) -> CALLBACK_TYPE:
        """Hand new events to a function, oldest first; the result ends it.

        The log is polled as long as anybody listens. What nobody listens for waits, so it pays to
        listen before the first refresh.
        """
        token = object()
        self._access_listeners[token] = catch_log_exception(
            listener, lambda _: "A listener failed to take up events of the door log"
        )
        remove_from_schedule = self.async_add_listener(_nothing)

        @callback
        def remove() -> None:
            del self._access_listeners[token]
            remove_from_schedule()

        return remove

    @callback
    def async_ring(self, event_id: AccessEventId | None) -> None:
        """Read the log soon, as there is something new in it: an event that is known, or any.

        What is handed out comes from the log alone. See `Doorbell` for how soon and how often.
        """
        self._bell.ring(event_id)

    @override
    async def async_shutdown(self) -> None:
        """Stop reading."""
        await super().async_shutdown()
        self._bell.close()

    async def _look(self) -> None:
        """Read the log out of turn, unless Salto has told us to wait or refuses the login."""
        err = self.last_exception
        told_to_wait = err is not None and (
            (isinstance(err, UpdateFailed) and err.retry_after is not None)
            or isinstance(err.__cause__, SaltoKsAuthError | SaltoKsRateLimitError)
        )
        if self.last_update_success or not told_to_wait:
            await self.async_refresh()

    def _is_told(self, event_id: AccessEventId) -> bool:
        """Tell whether an event was handed out lately."""
        return self._cursor is not None and event_id in self._cursor.handed_out

    @override
    async def _async_read(self) -> AccessFeedSnapshot:
        """Read what is new, hand it out, and keep how far that was."""
        async with self._one_at_a_time:
            return await self._read_on()

    async def _read_on(self) -> AccessFeedSnapshot:
        """Do that, with nobody else reading from the same cursor."""
        if self._cursor is None:
            self._cursor = AccessCursor.begin(self._now())
        cursor = self._cursor
        events = await self._new_since(cursor)
        if not self._access_listeners or self.hass.is_stopping or self._shutdown_requested:
            events = ()  # Nobody would have them, or nothing would say that they were handed out.
        self._cursor = cursor.after(events, self._now())
        if events:
            await self._hand_out(events)
        await self._keep(self._cursor)
        return AccessFeedSnapshot(newest_at=self._cursor.newest_at, events=events)

    async def _new_since(self, cursor: AccessCursor) -> tuple[AccessEvent, ...]:
        """Read what is new, or say how long to wait where the account may not."""
        try:
            events = await self._log.since(
                cursor.reads_from(self._now()), told=cursor.handed_out, most=MOST_EVENTS
            )
        except SaltoKsForbiddenError as err:
            pause = PAUSES_WITHOUT_RIGHT[min(self._refusals, len(PAUSES_WITHOUT_RIGHT) - 1)]
            self._refusals += 1
            raise UpdateFailed(
                translation_domain=DOMAIN,
                translation_key="door_log_forbidden",
                retry_after=max(pause, self._interval.total_seconds()),
            ) from err
        self._refusals = 0
        return events

    async def _hand_out(self, events: tuple[AccessEvent, ...]) -> None:
        """Hand events to all that listen, without those that have gone in the meantime."""
        waiting: list[Awaitable[None]] = []
        for token in tuple(self._access_listeners):
            if (listener := self._access_listeners.get(token)) is not None:
                keeping = listener(events)
                waiting += [] if keeping is None else [keeping]
        await asyncio.gather(*waiting)

    async def _keep(self, cursor: AccessCursor) -> None:
        """Keep how far the log was read; say once when that fails, and try again next time."""
        try:
            await self._cursors.keep(self.site_id, cursor)
        except StorageError as err:
            if not self._storage_failed:
                LOGGER.warning("After a restart events may be handed out again: %s", err)
            self._storage_failed = True
        else:
            self._storage_failed = False

    def _now(self) -> datetime:
        """Tell the time by Salto's clock, as far as it is known."""
        return dt_util.utcnow() + (self.client.server_clock_offset or timedelta())


@callback
def _nothing() -> None:
    """Do nothing; keeps the polling going."""
