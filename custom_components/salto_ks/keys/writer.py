"""Send writes at a bounded rate, and again where that is right.

Salto publishes no limit. The rate is kept by us, a 429 is honoured, and what may have happened
already is repeated only by those who know that repeating is harmless.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
import time
from typing import Final

from ..api.exceptions import (
    SaltoKsConnectionError,
    SaltoKsError,
    SaltoKsForbiddenError,
    SaltoKsHardwareError,
    SaltoKsNotFoundError,
    SaltoKsRateLimitError,
    SaltoKsResponseError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)

RATE_WINDOW: Final = 60.0
TRIES: Final = 5
MAKINGS: Final = 3
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0

SETTLING: Final = 90.0
"""Seconds in which a new guest may still be unknown to parts of Salto; about 60 were seen (MEAS)."""
SETTLING_PAUSE: Final = 5.0

LONG_AGO: Final = float("-inf")
"""The creation of a guest that has settled."""

FORBIDDEN_YET: Final = 2203
UNKNOWN_YET: Final = 2202

type Sleep = Callable[[float], Awaitable[None]]
type Monotonic = Callable[[], float]


def monotonic() -> float:
    """Tell the seconds of a clock that only goes forward; looked up at each call."""
    return time.monotonic()


class WriteRate:
    """At most so many writes in any minute, over all that a site's manager does."""

    def __init__(
        self, per_minute: int, *, sleep: Sleep = asyncio.sleep, monotonic: Monotonic = monotonic
    ) -> None:
        """Allow `per_minute` writes a minute. Raises ValueError for less than one."""
        if per_minute < 1:
            raise ValueError("at least one write a minute is needed")
        self._per_minute = per_minute
        self._sleep = sleep
        self._monotonic = monotonic
        self._sent: deque[float] = deque()
        self._closed_until = LONG_AGO
        self._turn = asyncio.Lock()

    async def wait(self) -> None:
        """Wait until one more write may be sent, and count it."""
        async with self._turn:
            while (pause := self._pause(self._monotonic())) > 0:
                await self._sleep(pause)
            self._sent.append(self._monotonic())

    async def wait_open(self) -> None:
        """Wait until Salto takes requests again; for reads, which are not counted."""
        while (pause := self._closed_until - self._monotonic()) > 0:
            await self._sleep(pause)

    def close_for(self, seconds: float) -> None:
        """Let nobody ask anything for so long: Salto has said that it is too much."""
        self._closed_until = max(self._closed_until, self._monotonic() + seconds)

    def _pause(self, now: float) -> float:
        """Return how long to wait before the next write."""
        while self._sent and self._sent[0] + RATE_WINDOW <= now:
            self._sent.popleft()
        full = self._sent[0] + RATE_WINDOW - now if len(self._sent) >= self._per_minute else 0.0
        return max(full, self._closed_until - now)


class Writer:
    """Sends the writes of one site, and the reads that belong to them.

    All waiting goes through `sleep` and is measured by `monotonic`, so that a test can move it.
    """

    def __init__(
        self,
        rate: WriteRate,
        *,
        jitter: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
        monotonic: Monotonic = monotonic,
    ) -> None:
        """Keep to `rate`; `jitter` gives a factor between 0.5 and 1.5 for each pause."""
        self._rate = rate
        self._jitter = jitter
        self._sleep = sleep
        self.monotonic = monotonic

    async def once[T](self, send: Callable[[], Awaitable[T]]) -> T:
        """Send a write whose repetition would do something twice.

        Only a 429 is waited out, for as long as Salto says or longer each time: such a request was
        not acted on. Raises everything else.
        """
        pause = FIRST_PAUSE
        for _ in range(TRIES - 1):
            await self._rate.wait()
            try:
                return await send()
            except SaltoKsRateLimitError as err:
                self._rate.close_for(err.retry_after or pause * self._jitter())
                pause = min(pause * 2, LONGEST_PAUSE)
        await self._rate.wait()
        return await send()

    async def repeated[T](self, send: Callable[[], Awaitable[T]]) -> T:
        """Send a write that may be repeated at will, until it has an answer or patience ends."""
        pause = FIRST_PAUSE
        for _ in range(TRIES - 1):
            try:
                return await self.once(send)
            except SaltoKsError as err:
                if not may_have_happened(err):
                    raise
            await self._sleep(pause * self._jitter())
            pause = min(pause * 2, LONGEST_PAUSE)
        return await self.once(send)

    async def anew[T](
        self, make: Callable[[], Awaitable[T]], *, tidy: Callable[[], Awaitable[None]]
    ) -> T:
        """Make what must not be there twice, again while nobody knows whether it was made.

        Before another try `tidy` looks after what the one before may have left.
        """
        for _ in range(MAKINGS - 1):
            try:
                return await make()
            except SaltoKsError as err:
                if not may_have_happened(err):
                    raise
            await tidy()
            await self._sleep(FIRST_PAUSE * self._jitter())
        return await make()

    async def read[T](self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask something, again while Salto does not answer; costs nothing of the rate."""
        pause = FIRST_PAUSE
        for _ in range(TRIES - 1):
            await self._rate.wait_open()
            try:
                return await ask()
            except SaltoKsRateLimitError as err:
                self._rate.close_for(err.retry_after or pause * self._jitter())
            except SaltoKsError as err:
                if not may_have_happened(err):
                    raise
                await self._sleep(pause * self._jitter())
            pause = min(pause * 2, LONGEST_PAUSE)
        await self._rate.wait_open()
        return await ask()

    async def settled[T](self, send: Callable[[], Awaitable[T]], *, since: float) -> T:
        """Repeat a write about a guest that parts of Salto do not know yet (MEAS).

        `since` is the monotonic time of the guest's creation. A refusal of a guest that is
        older than `SETTLING` is a real one and is raised; so is one with another reason.
        """
        while True:
            try:
                return await self.repeated(send)
            except (SaltoKsForbiddenError, SaltoKsNotFoundError) as err:
                if not _is_young(err) or self.monotonic() - since >= SETTLING:
                    raise
            await self.pause()

    async def gone(self, send: Callable[[], Awaitable[None]]) -> None:
        """Send a removal; what is gone already counts as removed."""
        try:
            await self.repeated(send)
        except SaltoKsNotFoundError:
            return

    async def pause(self, seconds: float = SETTLING_PAUSE) -> None:
        """Give Salto a moment to settle: about so many seconds, and a little more."""
        await self._sleep(seconds * max(1.0, self._jitter()))


def _is_young(err: SaltoKsForbiddenError | SaltoKsNotFoundError) -> bool:
    """Tell whether a refusal is one that a new guest gets, and settled ones do not (MEAS)."""
    if isinstance(err, SaltoKsForbiddenError):
        return err.code == FORBIDDEN_YET
    return err.code == UNKNOWN_YET


def may_have_happened(err: SaltoKsError) -> bool:
    """Tell whether nobody knows if Salto has acted: no answer, none of Salto's, or a failure."""
    if isinstance(err, SaltoKsHardwareError):
        return err.status >= 500 or err.status == 408
    return isinstance(
        err, SaltoKsConnectionError | SaltoKsServerError | SaltoKsUnexpectedResponseError
    )


def is_final(err: SaltoKsError) -> bool:
    """Tell whether Salto has understood and refused, so that sending it again does not help."""
    return isinstance(err, SaltoKsResponseError) and not is_passing(err)


def is_passing(err: SaltoKsError) -> bool:
    """Tell whether an error may go away by itself, so that trying again later makes sense.

    A refused login does not; it is no property of the key either, and is mended by a new login.
    """
    return may_have_happened(err) or isinstance(err, SaltoKsRateLimitError)
