"""Send writes at a bounded rate, and again where that is right.

Salto publishes no limit. The rate is kept by us, a 429 is honoured, and what may have happened
already is repeated only by those who know that repeating is harmless.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final

from ..api.exceptions import (
    SaltoKsConnectionError,
    SaltoKsError,
    SaltoKsForbiddenError,
    SaltoKsNotFoundError,
    SaltoKsRateLimitError,
    SaltoKsServerError,
)

RATE_WINDOW: Final = 60.0
TRIES: Final = 5
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

SETTLING: Final = 90.0
"""Seconds in which a new guest may still be unknown to parts of Salto; about 60 were seen (MEAS)."""
SETTLING_PAUSE: Final = 5.0

FORBIDDEN_YET: Final = 2203
UNKNOWN_YET: Final = 2202

type Sleep = Callable[[float], Awaitable[None]]


class WriteRate:
    """At most so many writes in any minute, over all that a site's manager does."""

    def __init__(self, per_minute: int, *, sleep: Sleep = asyncio.sleep) -> None:
        """Allow `per_minute` writes a minute."""
        self._per_minute = per_minute
        self._sleep = sleep
        self._sent: deque[float] = deque()
        self._closed_until = 0.0
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Wait until one more write may be sent, and count it."""
        async with self._turn:
            while (pause := self._pause(monotonic())) > 0:
                await self._sleep(pause)
            self._sent.append(monotonic())

    def close_for(self, seconds: float) -> None:
        """Let nobody write for so long: Salto has said that it is too much."""
        self._closed_until = max(self._closed_until, monotonic() + seconds)

    def _pause(self, now: float) -> float:
        """Return how long to wait before the next write."""
        while self._sent and self._sent[0] <= now - RATE_WINDOW:
            self._sent.popleft()
        full = self._sent[0] + RATE_WINDOW - now if len(self._sent) >= self._per_minute else 0.0
        return max(full, self._closed_until - now)


class Writer:
    """Sends the writes of one site."""

    def __init__(
        self,
        rate: WriteRate,
        *,
        jitter: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Keep to `rate`; `jitter` gives a factor between 0.5 and 1.5 for each pause."""
        self._rate = rate
        self._jitter = jitter
        self._sleep = sleep

    async def once[T](self, send: Callable[[], Awaitable[T]]) -> T:
        """Send a write whose repetition would do something twice.

        Only a 429 is waited out: such a request was not acted on. Raises everything else.
        """
        for _ in range(TRIES - 1):
            await self._rate.wait()
            try:
                return await send()
            except SaltoKsRateLimitError as err:
                self._rate.close_for(err.retry_after or FIRST_PAUSE)
        await self._rate.wait()
        return await send()

    async def repeated[T](self, send: Callable[[], Awaitable[T]]) -> T:
        """Send a write that may be repeated at will, until it has an answer or patience ends."""
        pause = FIRST_PAUSE
        for _ in range(TRIES - 1):
            try:
                return await self.once(send)
            except SaltoKsConnectionError, SaltoKsServerError:
                await self._sleep(pause * self._jitter())
                pause = min(pause * 2, LONGEST_PAUSE)
        return await self.once(send)

    async def read[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask something, again while Salto does not answer; costs nothing of the rate."""
        pause = FIRST_PAUSE
        for _ in range(TRIES - 1):
            try:
                return await ask()
            except (SaltoKsConnectionError, SaltoKsServerError, SaltoKsRateLimitError) as err:
                wanted = err.retry_after if isinstance(err, SaltoKsRateLimitError) else None
                await self._sleep(wanted or pause * self._jitter())
                pause = min(pause * 2, LONGEST_PAUSE)
        return await ask()

    async def settled[T](self, send: Callable[[], Awaitable[T]], *, code: int, since: float) -> T:
        """Repeat a write about a guest that parts of Salto do not know yet (MEAS).

        `since` is the monotonic time of the guest's creation. A refusal of a guest that is
        older than `SETTLING` is a real one and is raised.
        """
        while True:
            try:
                return await self.repeated(send)
            except (SaltoKsForbiddenError, SaltoKsNotFoundError) as err:
                if err.code != code or monotonic() - since >= SETTLING:
                    raise
            await self._sleep(SETTLING_PAUSE * self._jitter())

    async def gone(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send a removal; what is gone already counts as removed."""
        try:
            await self.repeated(send)
        except SaltoKsNotFoundError:
            return


def is_passing(err: SaltoKsError) -> bool:
    """Tell whether an error may go away by itself, so that trying again later makes sense."""
    return isinstance(err, SaltoKsConnectionError | SaltoKsServerError | SaltoKsRateLimitError)
