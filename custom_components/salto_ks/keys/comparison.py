"""Look at Salto and compare what is there with the ledger; nothing is changed by it."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from ..domain.differences import shows
from ..domain.ids import KeyId
from ..domain.keys import KeyRecord
from ..domain.observed import Observation, ObservedDetails
from ..domain.outcomes import Outcome
from ..domain.plan import Plan, plan, to_confirm, to_look_into
from .ledger import Ledger
from .provider import KeyFailedError, KeyProvider
from .urgent_turns import UrgentTurns

DEEP_AT_ONCE: Final = 4
"""Keys that are read as a whole at the same time, of all that may be worked on."""

_LAST: Final = datetime.max.replace(tzinfo=UTC)
"""How urgent it is to read a key as a whole: whatever is to be done to a key goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a look at Salto has shown, beside the ledger as it then was."""

    plan: Plan
    observed: Observation
    details: Mapping[KeyId, ObservedDetails]
    """What was read of keys as a whole."""
    recorded: Mapping[KeyId, KeyRecord]
    passed_over: frozenset[KeyId] = frozenset()
    """Keys that were being changed, of which nothing was found for that."""

    def tells(self, key_id: KeyId, outcomes: Collection[Outcome]) -> bool:
        """Tell whether a key was read as a whole, so far as some outcomes would be seen by it."""
        record, seen = self.recorded.get(key_id), self.details.get(key_id)
        if record is None or seen is None or key_id in self.passed_over:
            return False
        return all(shows(record, seen, outcome) for outcome in outcomes)

    def outcomes_of(self, key_id: KeyId) -> frozenset[Outcome]:
        """Return what was found about a key."""
        return frozenset(one.outcome for one in self.plan.findings if one.key_id == key_id)


class Comparison:
    """Compares the keys of one site."""

    def __init__(
        self,
        ledger: Ledger,
        provider: KeyProvider,
        turns: UrgentTurns,
        *,
        under_way: Callable[[], frozenset[KeyId]],
    ) -> None:
        """Read through `provider`, as turns allow; `under_way` are keys that are being changed."""
        self._ledger = ledger
        self._provider = provider
        self._turns = turns
        self._under_way = under_way

    async def compare(
        self,
        observed: Observation,
        *,
        before: Collection[KeyId],
        highest_known: int,
        repaired: Collection[Outcome],
        since: datetime,
        doubtful: Collection[KeyId],
        deep: bool,
        at: datetime,
    ) -> Compared:
        """Compare all keys with what was listed from `at` on.

        `before` are the keys that were under way when that began. Keys that were changed after
        `since` or are `doubtful` are read as a whole, with `deep` all of them.
        """
        quiet = self._under_way().union(before)
        confirm = await asyncio.to_thread(
            to_confirm,
            recorded=self._ledger.records,
            under_way=quiet,
            unreadable=self._ledger.unreadable,
            observed=observed,
            now=at,
        )
        gone = [guest for guest in confirm if await self._provider.is_gone(guest)]
        chosen = await asyncio.to_thread(
            to_look_into,
            recorded=self._ledger.records,
            under_way=quiet,
            unreadable=self._ledger.unreadable,
            observed=observed,
            since=since,
            doubtful=doubtful,
            deep=deep,
            now=at,
        )
        details = await self._read(chosen)
        recorded, quiet = self._ledger.records, quiet | self._under_way()
        found = await asyncio.to_thread(
            plan,
            recorded=recorded,
            under_way=quiet,
            unreadable=self._ledger.unreadable,
            observed=observed,
            gone=gone,
            instance=self._ledger.instance,
            highest_known=highest_known,
            now=at,
            details=details,
            repaired=repaired,
        )
        return Compared(
            plan=found, observed=observed, details=details, recorded=recorded, passed_over=quiet
        )

    async def look_at(self, key_id: KeyId, observed: Observation, *, at: datetime) -> Compared:
        """Compare one key, by whoever is changing it, with what was listed from `at` on."""
        observed = _of_key(observed, key_id)
        record = self._ledger.records.get(key_id)
        recorded = {} if record is None else {key_id: record}
        confirm = to_confirm(
            recorded=recorded, under_way=(), unreadable=(), observed=observed, now=at
        )
        chosen = to_look_into(
            recorded=recorded,
            under_way=(),
            unreadable=(),
            observed=observed,
            since=at,
            deep=True,
            now=at,
        )
        details = await self._read(chosen)
        found = plan(
            recorded=recorded,
            under_way=(),
            unreadable=(),
            observed=observed,
            gone=[guest for guest in confirm if await self._provider.is_gone(guest)],
            instance=self._ledger.instance,
            highest_known=self._ledger.highest_number,
            now=at,
            details=details,
        )
        return Compared(plan=found, observed=observed, details=details, recorded=recorded)

    async def _read(self, records: Collection[KeyRecord]) -> dict[KeyId, ObservedDetails]:
        """Read keys as a whole, a few at once, whenever nothing more urgent is to be done.

        One that Salto refuses to show, or has no more, is left out.
        """
        details: dict[KeyId, ObservedDetails] = {}
        left = iter(records)

        async def read_on() -> None:
            for record in left:
                async with self._turns.turn(_LAST):
                    with suppress(KeyFailedError):
                        seen = await self._provider.observe_deep(record)
                        if seen is not None:
                            details[record.key_id] = seen

        readers = [asyncio.ensure_future(read_on()) for _ in range(min(DEEP_AT_ONCE, len(records)))]
        try:
            await asyncio.gather(*readers)
        finally:
            for reader in readers:
                reader.cancel()
        return details


def _of_key(observed: Observation, key_id: KeyId) -> Observation:
    """Return what carries the marker of one key."""
    groups = observed.groups
    return replace(
        observed,
        guests=tuple(one for one in observed.guests if one.key_id == key_id),
        groups=None if groups is None else tuple(one for one in groups if one.key_id == key_id),
    )
