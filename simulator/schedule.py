"""When a time schedule holds."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from .world import WEEKDAYS, LocalTime, Schedule

type DatedTimeRule = Literal["yes", "date_only", "ignored"]

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRule:
    """A schedule as a door keeps it: days, daily hours and dates on the clock of the IQ."""

    days: tuple[bool, ...]
    start_time: time
    end_time: time
    start_date: LocalTime | None
    end_date: LocalTime | None

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleRule:
        """Return the rule of a schedule as it stands."""
        return cls(
            days=tuple(getattr(schedule, day) for day in WEEKDAYS),
            start_time=schedule.start_time,
            end_time=schedule.end_time,
            start_date=schedule.start_date,
            end_date=schedule.end_date,
        )

    def holds(self, now: datetime, time_zone: str, dates: DatedTimeRule) -> bool:
        """Tell whether an opening at this instant is within the schedule.

        Everything is compared on the wall clock of the IQ, as a lock does: an hour that comes
        twice counts twice, one that is left out never comes. Windows are half-open; an end that
        reads `:59` seconds includes that second. Evidence: DOC for the parts, INF for the edges.
        """
        local = now.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None, microsecond=0)
        if not self.days[local.weekday()]:
            return False
        if not self._within_dates(local, dates):
            return False
        opens = datetime.combine(local.date(), self.start_time)
        closes = _after(datetime.combine(local.date(), self.end_time))
        return opens <= local < closes

    def _within_dates(self, local: datetime, dates: DatedTimeRule) -> bool:
        if dates == "ignored":
            return True
        if dates == "date_only":
            started = self.start_date is None or self.start_date.date() <= local.date()
            return started and (self.end_date is None or local.date() <= self.end_date.date())
        started = self.start_date is None or self.start_date <= local
        return started and (self.end_date is None or local < _after(self.end_date))


def _after(end: datetime) -> datetime:
    """Return the first instant that an end leaves out."""
    return end + _SECOND if end.second == 59 else end
