"""A time of day as instants: once on each date, whatever the clocks do."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

_DAY: Final = timedelta(days=1)


def last_daily(at: time, zone: tzinfo, now: datetime) -> datetime:
    """Return the last instant, up to and including `now`, at which it was `at` on the wall clock.

    A time that comes twice when summer time ends counts the first time it comes. One that is left
    out when it begins counts as long after midnight as on other days: a clock shows it an hour
    later.
    """
    date = now.astimezone(zone).date()
    instant = datetime.combine(date, at, zone).astimezone(UTC)
    return instant if instant <= now else datetime.combine(date - _DAY, at, zone).astimezone(UTC)
