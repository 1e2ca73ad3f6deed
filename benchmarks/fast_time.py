"""Time that goes on as soon as nobody has anything to do, for us and for a simulator beside us.

Unlike one that jumps with each pause, it lets pauses overlap: what takes an hour of waiting for
Salto to settle, eight keys at a time, takes an hour here too, in some seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
import heapq
import itertools
from typing import Any, Final

import aiohttp

_QUIET: Final = 3
"""Looks at which nothing was under way before time goes on."""
_LOOK: Final = 0.001


class FastTime:
    """A clock with those who wait for it."""

    def __init__(self, url: str, control: aiohttp.ClientSession, busy: Callable[[], bool]) -> None:
        """Move the clock of the simulator at `url`; `busy` tells of work that is no request."""
        self._url = url
        self._control = control
        self._busy = busy
        self._passed = 0.0
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._under_way = 0
        self._begun = 0
        self.writes: list[float] = []
        """When each request left that changes something."""
        self.requests = 0

    def now(self) -> datetime:
        """Tell the simulated instant."""
        return datetime.now(UTC) + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        """Tell how much time has passed by being waited for."""
        return self._passed

    async def sleep(self, seconds: float) -> None:
        """Wait until so much time has passed."""
        due: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (self._passed + seconds, next(self._order), due))
        await due

    def traced(self) -> aiohttp.TraceConfig:
        """Return what tells of the requests of a session."""
        trace = aiohttp.TraceConfig()

        async def begin(_session: object, _context: object, params: Any) -> None:
            self._under_way += 1
            self._begun += 1
            if not params.url.path.startswith("/connect/"):
                self.requests += 1
                if params.method != "GET":
                    self.writes.append(self._passed)

        async def end(*_: object) -> None:
            self._under_way -= 1

        trace.on_request_start.append(begin)
        trace.on_request_end.append(end)
        trace.on_request_exception.append(end)
        return trace

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Let time go on meanwhile."""
        task = asyncio.create_task(self._go_on())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def _go_on(self) -> None:
        quiet, begun = 0, 0
        while True:
            await asyncio.sleep(_LOOK)
            is_quiet = self._under_way == 0 and begun == self._begun and not self._busy()
            quiet, begun = (quiet + 1 if is_quiet else 0), self._begun
            if quiet >= _QUIET and self._waiting:
                quiet = 0
                await self._jump()

    async def _jump(self) -> None:
        """Go to where the next of those who wait is due."""
        due = self._waiting[0][0]
        step, self._passed = due - self._passed, due
        async with self._control.post(
            f"{self._url}/_sim/clock", json={"advance": step}, raise_for_status=True
        ):
            pass
        while self._waiting and self._waiting[0][0] <= due:
            future = heapq.heappop(self._waiting)[2]
            if not future.done():
                future.set_result(None)
