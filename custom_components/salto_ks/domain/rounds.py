"""When the ledger is compared with Salto without anybody asking for it."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Final

from .daily import last_daily
from .observed import UNSEEN_FOR

FIRST_AFTER: Final = UNSEEN_FOR + timedelta(seconds=30)
"""When Salto is listed after a start: by then the listing has what was made before it."""

AGAIN_AFTER: Final = timedelta(minutes=30)
"""How long to wait after a comparison that has failed."""

OVERDUE_AFTER: Final = timedelta(hours=36)
"""How old a comparison may be before a person should know: one night was left out by then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """When comparisons came about: one after each start, and one a day."""

    at: time
    """When the daily one is due, on Home Assistant's wall clock."""
    started_at: datetime
    passed_at: datetime | None = None
    """When the last one that came to its end had begun, whoever asked for it."""
    failed_at: datetime | None = None
    """When the last one has failed, if none has come to its end since."""

    def is_due(self, zone: tzinfo, now: datetime) -> bool:
        """Tell whether to compare now.

        What lies in the future was noted before the clock was set back, and is not gone by.
        """
        if self.failed_at is not None and timedelta() <= now - self.failed_at < AGAIN_AFTER:
            return False
        due_at = last_daily(self.at, zone, now)
        if self.started_at <= now:
            due_at = max(self.started_at + FIRST_AFTER, due_at)
        has_passed = self.passed_at is not None and due_at <= self.passed_at <= now
        return due_at <= now and not has_passed

    def overdue_since(self, now: datetime) -> datetime | None:
        """Return when the last one was, or the start, if that is too long ago to rely on."""
        last = self.passed_at or self.started_at
        return last if now - last > OVERDUE_AFTER else None
