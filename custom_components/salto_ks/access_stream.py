"""Keep a connection to the hub of a site, so that the door log is read when something is in it.

Nothing depends on it: polling goes on beside it, at its own pace.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
import random
from time import monotonic
from typing import Any, Final

import aiohttp
from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import CALLBACK_TYPE, Event, HomeAssistant, callback
from homeassistant.util import dt as dt_util
from yarl import URL

from .access_feed import SaltoKsAccessFeed
from .api.client import SaltoKsClient
from .api.event_stream import FEATURE, EventStream, Ring
from .api.exceptions import (
    AuthFailure,
    SaltoKsAuthError,
    SaltoKsError,
    SaltoKsRateLimitError,
    SaltoKsResponseError,
    SaltoKsServerError,
)
from .api.models import SiteId
from .const import LOGGER
from .listeners import KeyedListeners

LATER: Final = 3600.0
"""Seconds until a hub that is not for us is tried again."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0
"""Seconds until a connection that broke is tried again: doubled each time, up to this."""

STEADY: Final = 60.0
"""Seconds after which a connection counts as one that holds."""


class StreamState(StrEnum):
    """How Home Assistant hears of what happens at the doors; polling goes on in each."""

    LIVE = "live"
    CONNECTING = "connecting"
    """Not connected, and trying."""
    NOT_OFFERED = "not_offered"
    """The site's subscription has no live events."""
    REFUSED = "refused"
    """Salto does not let this account listen."""


class AccessStream:
    """The connection of a loaded entry.

    It lives in a task that Home Assistant does not know of: who waits for Home Assistant to come
    to rest would wait for ever. It ends with the entry, and when Home Assistant stops.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        client: SaltoKsClient,
        site_id: SiteId,
        *,
        session: aiohttp.ClientSession,
        stream_url: URL,
        feed: SaltoKsAccessFeed,
    ) -> None:
        """Ring the `feed` for what the hub at `stream_url` tells of a site."""
        self._hass = hass
        self._client = client
        self._site_id = site_id
        self._feed = feed
        self._stream = EventStream(session, client, stream_url, site_id)
        self._listeners = KeyedListeners(hass.loop)
        self._task: asyncio.Task[None] | None = None
        self._stop: CALLBACK_TYPE | None = None
        self._state = StreamState.CONNECTING
        self._offered = False
        self._said: StreamState | None = None
        self._failures = 0
        self._held_since: float | None = None
        self._connections = 0
        self._rings = 0
        self._last_ring_at: datetime | None = None
        self._last_error: str | None = None

    @property
    def state(self) -> StreamState:
        """Return how things stand."""
        return self._state

    @callback
    def async_listen(self, update: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call back when the state changes; the result ends it."""
        return self._listeners.add(update, None)

    def diagnostics(self) -> dict[str, Any]:
        """Describe how listening goes; of an error only its kind."""
        last_ring = self._last_ring_at
        return {
            "state": self._state.value,
            "connections": self._connections,
            "failures_in_a_row": self._failures,
            "rings": self._rings,
            "last_ring_at": None if last_ring is None else last_ring.isoformat(),
            "last_error": self._last_error,
        }

    async def async_begin(self) -> None:
        """Find out whether there is a hub for us, and begin to listen; `async_close` ends it."""
        pause = await self._ask()
        self._task = self._hass.loop.create_task(self._run(pause))
        self._stop = self._hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, self._async_stop)

    async def async_close(self) -> None:
        """End the connection, and return when it has ended."""
        if self._stop is not None:
            self._stop()
            self._stop = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _async_stop(self, _: Event) -> None:
        """End the connection before Home Assistant closes it."""
        await self.async_close()

    async def _run(self, pause: float | None) -> None:
        """Listen again and again, with pauses in between."""
        while True:
            if pause is None:
                pause = await self._listen()
            await asyncio.sleep(pause)
            pause = None if self._offered else await self._ask()

    async def _ask(self) -> float | None:
        """Find out whether there is a hub for us; if not, return in how many seconds to ask again."""
        try:
            subscription = await self._client.subscription(self._site_id)
        except SaltoKsError as err:
            return self._note_failure(err)
        self._offered = FEATURE in subscription.features
        if self._offered:
            return None
        self._become(StreamState.NOT_OFFERED)
        return LATER

    async def _listen(self) -> float:
        """Listen for as long as that lasts, and return in how many seconds to try again."""
        self._held_since = None
        try:
            await self._stream.listen(self._hear)
        except SaltoKsError as err:
            return self._note_failure(err)

    @callback
    def _note_failure(self, err: SaltoKsError) -> float:
        """Note what went wrong, and return in how many seconds to try again."""
        self._last_error = type(err).__name__
        if not _is_final(err):
            self._become(StreamState.CONNECTING)
            told = err.retry_after if isinstance(err, SaltoKsRateLimitError) else None
            return max(self._pause(), told or 0.0)
        self._offered = False
        self._become(StreamState.REFUSED)
        return LATER

    @callback
    def _hear(self, ring: Ring) -> None:
        """Have the log read; also after each connecting, for what happened before it."""
        if self._held_since is None:
            self._held_since = monotonic()
            self._connections += 1
            self._become(StreamState.LIVE)
        else:
            self._rings += 1
            self._last_ring_at = dt_util.utcnow()
        self._feed.async_ring(ring.event_id)

    def _pause(self) -> float:
        """Return how long to wait, a little at random lest all come back at once."""
        if self._held_since is not None and monotonic() - self._held_since >= STEADY:
            self._failures = 0
        pause = pause_after(self._failures, random.uniform)
        self._failures += 1
        return pause

    @callback
    def _become(self, state: StreamState) -> None:
        """Take on a state, and say once that live events are not for us."""
        if state in {StreamState.NOT_OFFERED, StreamState.REFUSED} and state is not self._said:
            LOGGER.info("Events of doors are polled: %s", _REASONS[state])
            self._said = state
        if state is not self._state:
            self._state = state
            self._listeners.tell(None)


_REASONS: Final = {
    StreamState.NOT_OFFERED: "live events are not part of the site's subscription",
    StreamState.REFUSED: "Salto does not let the account hear of them live",
}


def pause_after(failures: int, between: Callable[[float, float], float]) -> float:
    """Return the seconds to wait after so many failures in a row, from half of it to all of it."""
    longest = min(FIRST_PAUSE * 2 ** min(failures, 16), LONGEST_PAUSE)
    return between(longest / 2, longest)


def _is_final(err: SaltoKsError) -> bool:
    """Tell whether trying again soon is of no use."""
    if isinstance(err, SaltoKsAuthError):
        return err.failure is AuthFailure.BEARER or err.failure.mends_with_credentials
    transient = isinstance(err, SaltoKsRateLimitError | SaltoKsServerError)
    return isinstance(err, SaltoKsResponseError) and not transient
