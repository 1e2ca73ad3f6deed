"""Read the door log regularly, and hand each event out once."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, override

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.util import dt as dt_util
from homeassistant.util.logging import catch_log_exception

from .access_cursor import AccessCursor, AccessCursors
from .api.access_events import AccessEvent, AccessEventsApi
from .api.client import SaltoKsClient
from .api.models import SiteId
from .const import CONF_POLLING_INTERVAL, LOGGER, POLLING_INTERVAL
from .coordinator import SaltoKsConfigEntry, SaltoKsCoordinator
from .storage import StorageError

type AccessListener = Callable[[tuple[AccessEvent, ...]], None]

MOST_EVENTS: Final = 1000
"""Events in one poll, or a few more; what a long absence has left takes several polls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFeedSnapshot:
    """How far the door log was read, and what the last poll has handed out."""

    newest_at: datetime
    """When the newest event happened; before the first one, when we began to read."""
    events: tuple[AccessEvent, ...]


class SaltoKsAccessFeed(SaltoKsCoordinator[AccessFeedSnapshot]):
    """The door log as a stream of events: one request per poll in which little happened.

    Each event is handed out once, also across a restart. It is handed out first and the cursor is
    kept afterwards, so a crash in between loses nothing and hands the events of one poll out a
    second time at most; who must not take one twice knows it by its id. A door that was offline
    tells late, for which the last quarter of an hour before the newest event is read again each
    time. What comes later than that is lost where other doors were used in the meantime.

    Nothing depends on the feed. An account without the right to read the log (403) has everything
    else, so it is refreshed with `async_refresh` and never as a first refresh.
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
        interval = timedelta(seconds=seconds)
        super().__init__(hass, entry, client, site_id, name="door log", interval=interval)
        self._log = AccessEventsApi(client, site_id)
        self._cursors = cursors
        self._cursor = cursors.cursor_of(site_id)
        self._access_listeners: dict[object, Callable[[tuple[AccessEvent, ...]], object]] = {}
        self._storage_failed = False

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

    @override
    async def _async_read(self) -> AccessFeedSnapshot:
        """Read what is new, hand it out, and keep how far that was."""
        if self._cursor is None:
            self._cursor = AccessCursor.begin(self._now())
        cursor = self._cursor
        events = await self._log.since(
            cursor.reads_from(self._now()), told=cursor.handed_out, most=MOST_EVENTS
        )
        if not self._access_listeners or self.hass.is_stopping:
            events = ()  # Nobody would have them, or nothing would say that they were handed out.
        self._cursor = cursor.after(events, self._now())
        if events:
            self._hand_out(events)
        await self._keep(self._cursor)
        return AccessFeedSnapshot(newest_at=self._cursor.newest_at, events=events)

    @callback
    def _hand_out(self, events: tuple[AccessEvent, ...]) -> None:
        """Hand events to all that listen, without those that have gone in the meantime."""
        for token in tuple(self._access_listeners):
            if (listener := self._access_listeners.get(token)) is not None:
                listener(events)

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
