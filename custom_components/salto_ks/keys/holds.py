"""Times in which nothing is done by itself, because ledger or clock may be wrong: begun and ended.

A hold begins when Salto has a key of ours that the ledger has never heard of, or when the clock
was set. It ends with a comparison in which all agrees, or when a person says so, and is kept over
a restart by the ledger.
"""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from ..const import LOGGER
from ..domain.fixes import BY_DEFAULT
from ..domain.ids import KeyId
from ..domain.key_requests import By
from ..domain.outcomes import Outcome
from ..domain.plan import Finding
from ..domain.read_only import LONGEST_STEP, Clocks, Hold, ReadOnly
from ..storage import StorageError
from .audit_log import AuditLine
from .ledger import Ledger
from .provider import KeyProvider
from .writer import LONG_AGO

CHECKED_EVERY: Final = 60.0
CHECKED_AGAIN_AFTER: Final = 3600.0
"""Seconds until Salto is looked at again after a jump of the clock: where the comparison did not
come about, and where something differed."""

LONG_HOLD: Final = timedelta(seconds=CHECKED_AGAIN_AFTER)
"""How long differences keep the manager read-only after a jump of a clock that is right."""

WRONG_AT_START: Final = timedelta(minutes=20)
"""How far from Salto's a clock is at a start that is not gone by. One that is off by minutes is
only told: windows would hardly end by it, and each start would wait for a person."""

FOUND_BY_COMPARISON: Final = By(who="", reason="found by a comparison with Salto")


class Holds:
    """Begins and ends the holds of one site."""

    def __init__(
        self,
        ledger: Ledger,
        provider: KeyProvider,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        """Keep holds in `ledger`.

        `monotonic` tells the seconds of a clock that nobody sets, to see when `clock` was set;
        `provider` knows how far that is from the key system's.
        """
        self._ledger = ledger
        self._provider = provider
        self._clock = clock
        self._monotonic = monotonic
        self._clocks: Clocks | None = None
        self._checked_at = LONG_AGO
        self._known_before: frozenset[tuple[Outcome, KeyId | None]] = frozenset()

    @property
    def current(self) -> Hold | None:
        """Return why nothing is done by itself, and since when; None while all is."""
        return self._ledger.hold

    async def watch_clock(self, now: datetime, left: Collection[Finding] | None) -> bool:
        """Begin one where the clock was set, stood still, or is wrong at a start; tell whether so.

        `left` is what the last comparison has left different, which was so before; None where there
        was none since the start. A hold that was begun while the clock was ahead begins anew at a
        start, as no comparison would come after it else.
        """
        clocks = Clocks(wall=now, monotonic=self._monotonic())
        before, self._clocks = self._clocks, clocks
        is_wrong = self._starts_wrong() if before is None else clocks.has_jumped(before)
        if is_wrong:
            if self.current is None and left is not None:
                self._known_before = frozenset(map(_about, left))
            await self.begin(ReadOnly.CLOCK_JUMP, now)
            self._checked_at = LONG_AGO
        elif before is None and (hold := self.current) is not None and hold.since > now:
            await self.begin(hold.reason, now)
        return is_wrong

    async def begin(self, reason: ReadOnly, since: datetime) -> None:
        """Do nothing by itself from now on, for this reason or for one that takes more to end.

        An instant before the clock was set is no longer one to go by.
        """
        known = self.current
        if known is not None and ReadOnly.RESTORED_BACKUP in {known.reason, reason}:
            reason = ReadOnly.RESTORED_BACKUP
        if known is None or known.reason is not reason:
            LOGGER.warning(
                "Nothing is done to keys by itself until they are found right: %s", reason
            )
        await self._keep(Hold(reason=reason, since=since), "began", By(who="", reason=reason.value))

    async def end(self, by: By) -> None:
        """Do what is due by itself again."""
        if (hold := self.current) is not None:
            LOGGER.info("What is due is done to keys by itself again, after: %s", hold.reason)
            await self._keep(None, "ended", by)

    def is_check_due(self) -> bool:
        """Tell whether to look at Salto at once, so that a false alarm is a short one.

        Whoever asks is expected to look, and is told so again only in a while.
        """
        hold, now = self.current, self._monotonic()
        if hold is None or hold.reason is not ReadOnly.CLOCK_JUMP or now < self._checked_at:
            return False
        self._checked_at = now + CHECKED_EVERY
        return True

    def note_check(self) -> None:
        """Take note that ledger and Salto were compared."""
        self._checked_at = self._monotonic() + CHECKED_AGAIN_AFTER

    async def end_if_agreed(self, left: Collection[Finding], *, at: datetime, deep: bool) -> None:
        """Go on once ledger and Salto agree; after a restored backup as far as all keys go.

        `left` is what a comparison that began `at` an instant has left different, `deep` whether it
        has looked at all of each key.
        """
        hold = self.current
        if hold is None or at < hold.since:
            return
        if hold.reason is ReadOnly.RESTORED_BACKUP and not deep:
            return
        if all(self._is_no_matter(finding, at, hold) for finding in left) and (
            hold.reason is not ReadOnly.CLOCK_JUMP or self._clock_is_right is not False
        ):
            await self.end(FOUND_BY_COMPARISON)

    def _starts_wrong(self) -> bool:
        """Tell whether the clock is far from Salto's, as that of a machine that has none may be."""
        offset = self._provider.clock_offset
        return offset is not None and abs(offset) > WRONG_AT_START

    async def _keep(self, hold: Hold | None, outcome: str, by: By) -> None:
        """Keep it over a restart, if the disk takes it."""
        line = AuditLine(
            at=self._clock(), action="read_only", outcome=outcome, who=by.who, reason=by.reason
        )
        try:
            await self._ledger.set_hold(hold, line)
        except StorageError as err:
            LOGGER.warning("Whether anything is done by itself is not on disk yet: %s", err)

    def _is_no_matter(self, finding: Finding, at: datetime, hold: Hold) -> bool:
        """Tell whether a difference that was found at an instant says nothing against the clock.

        Such is one that was there before the clock was set. By a clock that is right, as Salto
        says, it is also no matter that a window has ended or that there are spares; and after a
        while nothing is: what differs is told, and no guest is to stand outside for it.
        """
        if hold.reason is not ReadOnly.CLOCK_JUMP:
            return False
        if _about(finding) in self._known_before:
            return True
        is_tidying = finding.outcome in BY_DEFAULT
        return self._clock_is_right is True and (is_tidying or at - hold.since >= LONG_HOLD)

    @property
    def _clock_is_right(self) -> bool | None:
        """Tell whether our clock shows what Salto's does; None when nobody knows."""
        offset = self._provider.clock_offset
        return None if offset is None else abs(offset) <= LONGEST_STEP


def _about(finding: Finding) -> tuple[Outcome, KeyId | None]:
    """Return what a finding is about, however it came out."""
    return finding.outcome, finding.key_id
