"""The last calls and how often they go wrong, to find a fault by.

Nothing that was sent or received is kept: of an address only the template of its route, of an
answer only its status, of an error only its kind.
"""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

KEPT_CALLS: Final = 50
"""How many calls are remembered one by one."""

_MINUTE: Final = timedelta(minutes=1)
_MINUTES: Final = 60

_OVERLOADED: Final = frozenset({408, 429})
"""Statuses of the 4xx that say nothing about what was asked for."""


class CallResult(StrEnum):
    """What came of a call, by whom it tells of."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Salto understood and said no (4xx). That is how some questions are answered, as whether a
    guest is gone, so it is no error by itself."""
    FAILED = "failed"
    """Salto was out of order, or had too much to do (5xx, 408, 429, a redirect)."""
    UNANSWERED = "unanswered"
    """No complete answer arrived, or one that was far too large."""

    @property
    def is_error(self) -> bool:
        """Tell whether the service did not do its part."""
        return self in {CallResult.FAILED, CallResult.UNANSWERED}

    @classmethod
    def of_status(cls, status: int) -> CallResult:
        """Return what an HTTP status says."""
        if status < 300:
            return cls.ANSWERED
        if 400 <= status < 500 and status not in _OVERLOADED:
            return cls.REFUSED
        return cls.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, and what came of it."""

    at: datetime
    """When it was sent, aware UTC."""
    method: str
    route: str
    """The template, as `/v1.2/sites/{site}`: no ids."""
    result: CallResult
    status: int | None = None
    """The HTTP status; None where there was no answer."""
    error: str | None = None
    """The name of what went wrong on the way; None where an answer arrived."""
    milliseconds: int
    attempt: int = 1
    """The second time that the same thing is asked for, after a refused token, is 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTotals:
    """How many calls there were, and how many did not go well."""

    requests: int
    refusals: int
    errors: int
    """See `CallResult.is_error`."""
    repeats: int
    """Calls that were not the first attempt."""

    @property
    def error_rate(self) -> float:
        """Return which part of all calls were errors, from 0 to 1; 0 where there were none."""
        return self.errors / self.requests if self.requests else 0.0


class CallLog:
    """The calls of one client since it was made; its memory is bounded."""

    def __init__(self) -> None:
        """Start with none."""
        self._recent: deque[Call] = deque(maxlen=KEPT_CALLS)
        self._all: Counter[str] = Counter()
        self._minutes: deque[tuple[datetime, Counter[str]]] = deque(maxlen=_MINUTES + 1)

    @property
    def recent(self) -> tuple[Call, ...]:
        """Return the last calls, oldest first by their ends."""
        return tuple(self._recent)

    @property
    def totals(self) -> CallTotals:
        """Return how many there were since the client was made."""
        return _totals(self._all)

    def last_hour(self, now: datetime) -> CallTotals:
        """Return how many there were in the 60 minutes of the clock up to the one of `now`."""
        since = _minute_of(now) - _MINUTE * (_MINUTES - 1)
        counted: Counter[str] = Counter()
        for minute, counts in self._minutes:
            if since <= minute <= now:
                counted.update(counts)
        return _totals(counted)

    def note(self, call: Call) -> None:
        """Remember a call."""
        self._recent.append(call)
        minute = _minute_of(call.at)
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append((minute, Counter()))
        counted = ["requests"]
        if call.result is CallResult.REFUSED:
            counted.append("refusals")
        if call.result.is_error:
            counted.append("errors")
        if call.attempt > 1:
            counted.append("repeats")
        for counts in (self._all, self._minutes[-1][1]):
            counts.update(counted)


def _minute_of(instant: datetime) -> datetime:
    """Return the beginning of the minute of an instant."""
    return instant.replace(second=0, microsecond=0)


def _totals(counts: Counter[str]) -> CallTotals:
    """Return counts by their names."""
    return CallTotals(
        requests=counts["requests"],
        refusals=counts["refusals"],
        errors=counts["errors"],
        repeats=counts["repeats"],
    )
