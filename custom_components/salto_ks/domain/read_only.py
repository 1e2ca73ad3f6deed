"""When nothing is done at Salto by itself, because what the ledger says may be wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

LONGEST_STEP: Final = timedelta(minutes=2)
"""How far a clock may be set without anybody minding; ordinary corrections are seconds."""


class ReadOnly(StrEnum):
    """Why nothing is issued, changed or revoked by itself."""

    RESTORED_BACKUP = "restored_backup"
    """Salto has a key of ours that the ledger has never heard of: the ledger is old."""
    CLOCK_JUMP = "clock_jump"
    """The clock was set, or stood still while the machine slept: windows may seem to be over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """That nothing is done by itself, and since when."""

    reason: ReadOnly
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """Two clocks read at the same moment."""

    wall: datetime
    monotonic: float
    """Seconds of a clock that nobody can set."""

    def has_jumped(self, since: Clocks) -> bool:
        """Tell whether the wall clock went another way than time did since an earlier reading."""
        passed = timedelta(seconds=self.monotonic - since.monotonic)
        return abs(self.wall - since.wall - passed) > LONGEST_STEP
