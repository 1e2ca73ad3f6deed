"""Listings of a whole site: one at a time, each for all who wait for it.

A listing of a large site is a hundred requests. Who asks for one gets one that begins afterwards,
and so shows what was done before; all who ask while one is on its way share the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..domain.ids import KeyId
from ..domain.observed import Observation
from ..domain.plan import highest_number_of
from .ledger import Ledger
from .provider import KeyProvider

type Run = Callable[[Coroutine[Any, Any, Look], str], asyncio.Task[Look]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at Salto has shown."""

    at: datetime
    """When it began."""
    before: frozenset[KeyId]
    """Keys that were under way by then."""
    observed: Observation
    highest_known: int
    """The highest number that the ledger knew of when it had ended."""


@dataclass(slots=True)
class _Asked:
    """A listing that somebody waits for."""

    has_begun: bool = False
    task: asyncio.Task[Look] = field(init=False)


class Looks:
    """Lists what is at a site, and gives no number to a key that another one has there."""

    def __init__(
        self,
        ledger: Ledger,
        provider: KeyProvider,
        *,
        under_way: Callable[[], frozenset[KeyId]],
        clock: Callable[[], datetime],
        run: Run,
        on_old_ledger: Callable[[datetime], Awaitable[None]],
    ) -> None:
        """List through `provider`, in tasks that `run` begins.

        `under_way` are the keys that are being changed. `on_old_ledger` is called with the time of
        a look that shows a key of ours which the ledger has never heard of.
        """
        self._ledger = ledger
        self._provider = provider
        self._under_way = under_way
        self._clock = clock
        self._run = run
        self._on_old_ledger = on_old_ledger
        self._one_at_a_time = asyncio.Lock()
        self._asked: _Asked | None = None
        self.numbers_known = False
        """Whether Salto was listed since the start, so that numbers in use are known."""

    async def look(self) -> Look:
        """List what is at Salto from now on.

        Raises KeyFailedError, from `SaltoKsError`, or StorageError where a number that is taken
        could not be written down.
        """
        asked = self._asked
        if asked is None or asked.has_begun:
            asked = self._asked = _Asked()
            asked.task = self._run(self._take(asked), "a look at Salto")
        return await _look_of(asked)

    async def learn_numbers(self) -> None:
        """Look once after a start for numbers that are taken at Salto. Raises as `look` does.

        After a restored backup the ledger knows less keys than there are. One that got the number
        of another would take its guest for a spare of its own.
        """
        if self.numbers_known:
            return
        if self._asked is None:
            await self.look()
        else:
            await _look_of(self._asked)

    async def _take(self, asked: _Asked) -> Look:
        """List when it is this one's turn."""
        try:
            async with self._one_at_a_time:
                asked.has_begun = True
                return await self._list()
        finally:
            if self._asked is asked:
                self._asked = None

    async def _list(self) -> Look:
        """List what is at Salto.

        A number above all of the ledger is the sign of a restored backup, and given to no other
        key.
        """
        at, before = self._clock(), self._under_way()
        observed = await self._provider.observe()
        known = self._ledger.highest_number
        highest = highest_number_of(observed, self._ledger.instance, known)
        if highest > known:
            await self._on_old_ledger(at)
            await self._ledger.skip_to(highest)
        self.numbers_known = True
        return Look(at=at, before=before, observed=observed, highest_known=known)


async def _look_of(asked: _Asked) -> Look:
    """Wait for a listing, which goes on when whoever waits has enough of it.

    What it fails with then is nobody's: `asyncio.shield` would report it as forgotten.
    """
    await asyncio.wait({asked.task})
    return asked.task.result()
