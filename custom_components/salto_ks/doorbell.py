"""When to look into the door log after somebody rang: soon, not too often, and again if need be."""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .api.access_events import AccessEventId

QUIET: Final = 0.3
"""Seconds from a ring to the look, so that those which come together cost one."""

SPACING: Final = 1.5
"""Seconds between two looks, at least. What rings is told within two seconds all the same."""

LOOK_AGAIN: Final = (1.0, 2.0, 5.0)
"""Seconds from one look to the next for a line that the log has not got yet (UNK).

After the last one the ordinary poll brings it.
"""


class Doorbell:
    """Turn rings into looks, one at a time.

    A ring is worth a look and nothing else: that one is lost, doubled or out of order costs or
    spares a look. Lines that were told already need none.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        *,
        look: Callable[[], Awaitable[None]],
        is_told: Callable[[AccessEventId], bool],
        start: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        """Use `look` to look, which never raises, and `start` to run what takes its time."""
        self._hass = hass
        self._look = look
        self._is_told = is_told
        self._start = start
        self._looked: dict[AccessEventId | None, int] = {}
        """What is waited for, and how often it was looked for in vain."""
        self._next: tuple[float, CALLBACK_TYPE] | None = None
        self._earliest = 0.0
        self._looking = False

    @callback
    def ring(self, event_id: AccessEventId | None) -> None:
        """Look soon; without an id, once."""
        if event_id is None or not (event_id in self._looked or self._is_told(event_id)):
            self._looked[event_id] = 0
            self._look_in(QUIET)

    @callback
    def close(self) -> None:
        """Wait for nothing any more."""
        self._looked.clear()
        if self._next is not None:
            self._next[1]()
            self._next = None

    @callback
    def _look_in(self, seconds: float) -> None:
        """Plan a look, unless one is planned before that; after a look there is another chance."""
        now = self._hass.loop.time()
        at = max(now + seconds, self._earliest)
        if self._looking or (self._next is not None and self._next[0] <= at):
            return
        if self._next is not None:
            self._next[1]()
        self._next = at, async_call_later(self._hass, at - now, self._begin)

    @callback
    def _begin(self, _: object) -> None:
        """Look now."""
        self._next = None
        self._looking = True
        self._earliest = self._hass.loop.time() + SPACING
        self._start(self._look_now())

    async def _look_now(self) -> None:
        """Look, and plan the next look for what was not there."""
        sought = tuple(self._looked)
        try:
            await self._look()
        finally:
            self._looking = False
        for event_id in tuple(self._looked):
            self._note_look(event_id, sought=event_id in sought)
        if self._looked:
            fewest = min(self._looked.values())
            self._look_in(LOOK_AGAIN[fewest - 1] if fewest else QUIET)

    @callback
    def _note_look(self, event_id: AccessEventId | None, *, sought: bool) -> None:
        """Forget what was found, or was looked for often enough."""
        self._looked[event_id] += sought
        found = sought if event_id is None else self._is_told(event_id)
        if found or self._looked[event_id] > len(LOOK_AGAIN):
            del self._looked[event_id]
