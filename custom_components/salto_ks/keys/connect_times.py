"""When a key opens, in the words of the Connect API: naive times on the wall clock of an IQ."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import MAXYEAR, datetime, time, timedelta
from typing import Final

from ..api.access_models import WEEKDAYS, ScheduleTimes, TimeSchedule
from ..domain.ids import DoorId, TimesId
from ..domain.keys import KeyProblem, KeyRecord, Strategy
from ..domain.observed import ObservedTimes
from ..domain.windows import AccessWindow, on_wall_clock, zone_named
from .provider import KeyFailedError

_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The doors of a key whose IQs share a wall clock, and when they open."""

    zone: str
    doors: frozenset[DoorId]
    times: ScheduleTimes
    widened: bool
    """Whether an end of the window falls into the hour that comes twice."""


def zones(
    doors: Collection[DoorId], zone_of: Callable[[DoorId], str]
) -> dict[str, frozenset[DoorId]]:
    """Sort doors by the time zone of their IQ's wall clock."""
    sorted_doors: dict[str, set[DoorId]] = {}
    for door in doors:
        sorted_doors.setdefault(zone_of(door), set()).add(door)
    return {zone: frozenset(sorted_doors[zone]) for zone in sorted(sorted_doors)}


def parts(record: KeyRecord, zone_of: Callable[[DoorId], str]) -> tuple[Part, ...]:
    """Say what groups a key needs. Raises KeyFailedError for a time zone nobody knows."""
    found = []
    for zone, doors in zones(record.doors, zone_of).items():
        times, widened = schedule_times(record.window, record.strategy, zone)
        found.append(Part(zone=zone, doors=doors, times=times, widened=widened))
    return tuple(found)


def schedule_times(
    window: AccessWindow, strategy: Strategy, zone: str
) -> tuple[ScheduleTimes, bool]:
    """Write a window as a schedule; tell whether the hour that comes twice is in the way.

    This is the one place that writes Salto's times. Its ends are the last second that counts
    (`23:59:59`, DOC), and come back with `:59` seconds (MEAS for hours), so an end at noon is
    written as 11:59:59: whether or not Salto alters it, the door closes at noon.
    """
    if strategy is Strategy.MEMBERSHIP:
        return ScheduleTimes(starts=None, ends=None), False
    try:
        local = on_wall_clock(window, zone_named(zone))
    except ValueError:
        raise KeyFailedError(KeyProblem.REFUSED, "the time zone of an IQ is not known") from None
    return ScheduleTimes(starts=local.starts, ends=local.ends - _SECOND), local.widened


def observed_times(schedule: TimeSchedule) -> ObservedTimes:
    """Read a schedule as the one place that writes them would have written it.

    Seconds are cut off, since they come back altered (MEAS); the end is the first minute that no
    longer counts. An end in the last year of all is "for ever".
    """
    times = schedule.times
    ends = None if times.ends is None else _minute(times.ends)
    return ObservedTimes(
        id=TimesId(schedule.id),
        starts=times.starts and _minute(times.starts),
        ends=None if ends is None or ends.year == MAXYEAR else ends + _MINUTE,
        is_plain=times.days == frozenset(WEEKDAYS)
        and (_minute(times.opens), _minute(times.closes)) == (time(0, 0), time(23, 59)),
    )


def _minute[T: (datetime, time)](moment: T) -> T:
    """Cut seconds off."""
    return moment.replace(second=0, microsecond=0)
