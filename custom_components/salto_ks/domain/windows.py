"""When a key opens: from an instant up to, but not including, another."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class AccessWindow:
    """A half-open span of time between two aware instants.

    Raises ValueError for naive instants, or an end that is not after the start.
    """

    starts_at: datetime
    ends_at: datetime

    def __post_init__(self) -> None:
        """Refuse what is no window; keep UTC, since two instants of one zone compare by wall clock."""
        if self.starts_at.tzinfo is None or self.ends_at.tzinfo is None:
            raise ValueError("a window is made of aware instants")
        object.__setattr__(self, "starts_at", self.starts_at.astimezone(UTC))
        object.__setattr__(self, "ends_at", self.ends_at.astimezone(UTC))
        if self.ends_at <= self.starts_at:
            raise ValueError("a window ends after it starts")

    def holds(self, now: datetime) -> bool:
        """Tell whether an instant is within the window."""
        return self.starts_at <= now < self.ends_at

    def is_over(self, now: datetime) -> bool:
        """Tell whether the window has ended."""
        return self.ends_at <= now

    def to_minutes(self) -> Self:
        """Return the window in whole minutes, never shorter: Salto alters seconds (MEAS)."""
        starts_at = self.starts_at.replace(second=0, microsecond=0)
        ends_at = self.ends_at.replace(second=0, microsecond=0)
        if ends_at < self.ends_at:
            ends_at += _MINUTE
        return type(self)(starts_at, ends_at)


def zone_named(name: str) -> ZoneInfo:
    """Return a time zone. Raises ValueError for a name that stands for none."""
    try:
        return ZoneInfo(name)
    except (OSError, ZoneInfoNotFoundError) as err:
        raise ValueError("no time zone") from err


@dataclass(frozen=True, slots=True)
class LocalWindow:
    """A window on the wall clock of an IQ: naive, in whole minutes, half-open."""

    starts: datetime
    ends: datetime
    widened: bool
    """Whether an end is in the hour that comes twice, so that the door may open longer."""


def on_wall_clock(window: AccessWindow, zone: tzinfo) -> LocalWindow:
    """Write a window in the naive local time of an IQ, the only kind Salto takes (CODE, DOC).

    In the hour that comes twice when summer time ends, a wall clock cannot tell the two passes
    apart. A window that has part of both gets all of both, as it would have a hole otherwise,
    and no guest shall stand before a closed door. So the door opens for at most one hour before
    the window and one after it.
    """
    window = window.to_minutes()
    start, end = window.starts_at.astimezone(zone), window.ends_at.astimezone(zone)
    starts, ends = _naive(start), _naive(end)
    if start.fold == 0 and _comes_twice(starts, zone):
        first = _first_of_hour(starts, zone)
        if _second_pass(first, zone) < window.ends_at:
            starts = first
    if end.fold == 1 and window.starts_at < _second_pass(_first_of_hour(ends, zone), zone):
        while _comes_twice(ends, zone):
            ends += _MINUTE
    ambiguous = any(_comes_twice(_naive(local), zone) for local in (start, end))
    return LocalWindow(starts, ends, widened=ambiguous)


def _naive(local: datetime) -> datetime:
    return local.replace(tzinfo=None, fold=0)


def _comes_twice(naive: datetime, zone: tzinfo) -> bool:
    """Tell whether a wall clock shows this time twice."""
    first, second = (naive.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first is not None and second is not None and first > second


def _first_of_hour(naive: datetime, zone: tzinfo) -> datetime:
    """Return the first of the times that come twice, given one of them."""
    while _comes_twice(naive - _MINUTE, zone):
        naive -= _MINUTE
    return naive


def _second_pass(first: datetime, zone: tzinfo) -> datetime:
    """Return the instant at which a time comes for the second time."""
    return first.replace(tzinfo=zone, fold=1).astimezone(UTC)
