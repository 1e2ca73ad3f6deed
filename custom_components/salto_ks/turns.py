"""Long work in the event loop, cut into pieces that nobody notices."""

import asyncio
from typing import Final

HOLD: Final = 0.01
"""Seconds for which the loop may be kept by one piece of work."""


class LoopTurns:
    """Lets the loop do other things in between, for work that comes as many small steps.

    Shared by everything that goes on at the same time, such as the platforms of one site.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Share `loop`."""
        self._loop = loop
        self._since = 0.0

    async def give(self) -> None:
        """Give the loop a turn, if this work has kept it for long enough."""
        if self._loop.time() - self._since < HOLD:
            return
        self._since = self._loop.time()
        await asyncio.sleep(0)
        self._since = self._loop.time()
