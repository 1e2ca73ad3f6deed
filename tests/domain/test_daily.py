"""A time of day comes once on each date, also when the clocks change."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st
import pytest

from custom_components.salto_ks.domain.daily import last_daily

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
HALF_PAST_TWO = time(2, 30)
DAY = timedelta(days=1)
CHANGE = timedelta(hours=1)
"""By how much the clocks change at most in these zones."""

ZONES = [
    ZoneInfo(name)
    for name in ("Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
]


def utc(text: str) -> datetime:
    """Return an instant of Greenwich's clock."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-12-07 01:29:59", "2026-12-06 01:30"),
        ("2026-12-07 01:30:00", "2026-12-07 01:30"),
        ("2026-12-07 22:59:00", "2026-12-07 01:30"),
        ("2026-12-07 23:10:00", "2026-12-07 01:30"),
        ("2026-07-01 00:30:00", "2026-07-01 00:30"),
    ],
    ids=["just before", "at it", "late on the day", "after midnight", "in summer"],
)
def test_ordinary_days(now: str, expected: str) -> None:
    """On most days it is the instant at which the clock shows it, today or yesterday."""
    assert last_daily(HALF_PAST_TWO, AMSTERDAM, utc(now)) == utc(expected)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2027-03-28 01:29", "2027-03-27 01:30"),
        ("2027-03-28 01:30", "2027-03-28 01:30"),
        ("2027-10-31 00:29", "2027-10-30 00:30"),
        ("2027-10-31 00:30", "2027-10-31 00:30"),
        ("2027-10-31 01:30", "2027-10-31 00:30"),
        ("2027-10-31 12:00", "2027-10-31 00:30"),
    ],
    ids=[
        "before the time that is left out",
        "the time that is left out",
        "before the first of two",
        "the first of two",
        "the second of two",
        "the day of two",
    ],
)
def test_clocks_change(now: str, expected: str) -> None:
    """The time that is left out comes an hour later, and of two the first counts alone."""
    assert last_daily(HALF_PAST_TWO, AMSTERDAM, utc(now)) == utc(expected)


@given(
    at=st.times(),
    zone=st.sampled_from(ZONES),
    later=st.timedeltas(timedelta(), 15 * 365 * DAY),
)
def test_once_a_date(at: time, zone: tzinfo, later: timedelta) -> None:
    """It is never later than now, at most a day and a change of the clocks ago, and the last."""
    now = utc("2020-01-01") + later
    last = last_daily(at, zone, now)
    assert now - DAY - CHANGE < last <= now
    assert last_daily(at, zone, last) == last
    before = last_daily(at, zone, last - timedelta(microseconds=1))
    assert abs(last - before - DAY) <= CHANGE
