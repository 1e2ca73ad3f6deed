"""Long work in the event loop, cut into pieces that nobody notices."""

import asyncio
from typing import Final

HOLD: Final = 0.01
"""Seconds of a turn of the loop that long work may take."""


class LoopTurns:
    """Lets the loop do other things in between, for work that comes as many small steps.

    All that goes on at the same time shares the time of a turn, such as the platforms of a site.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Share `loop`."""
        self._loop = loop
        self._began: float | None = None

    async def give(self) -> None:
        """Give the loop a turn, if the present one has lasted for long enough."""
        if self._began is not None and self._loop.time() - self._began >= HOLD:
            await asyncio.sleep(0)
        if self._began is None:
            self._began = self._loop.time()
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        """Start the clock again with the next step."""
        self._began = None
