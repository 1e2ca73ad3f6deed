"""Turns at Salto: few at once, the most urgent first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
import heapq
import itertools


class UrgentTurns:
    """Let so many work at once; of those who wait, the one that is needed first goes first."""

    def __init__(self, at_once: int) -> None:
        """Begin with all turns free."""
        self._free = at_once
        self._order = itertools.count()
        self._waiting: list[tuple[datetime, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def turn(self, needed_at: datetime) -> AsyncIterator[None]:
        """Wait for a turn, and keep it."""
        await self._wait(needed_at)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, needed_at: datetime) -> None:
        if self._free > 0:
            self._free -= 1
            return
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (needed_at, next(self._order), ready))
        try:
            await ready
        except asyncio.CancelledError:
            if ready.done() and not ready.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the turn to the most urgent of those who still wait for one."""
        while self._waiting:
            _, _, ready = heapq.heappop(self._waiting)
            if not ready.done():
                ready.set_result(None)
                return
        self._free += 1
