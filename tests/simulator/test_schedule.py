"""When a time schedule holds."""

from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from simulator.schedule import ScheduleRule
from simulator.world import LocalTime

AMSTERDAM = "Europe/Amsterdam"
ALWAYS = ScheduleRule(
    days=(True,) * 7,
    start_time=time(0, 0),
    end_time=time(23, 59, 59),
    start_date=None,
    end_date=None,
)


def local(text: str | None) -> LocalTime | None:
    """Return a time on the clock of the IQ."""
    return None if text is None else LocalTime(datetime.fromisoformat(text))


def stay(start: str | None, end: str | None) -> ScheduleRule:
    """Return a rule with these dates."""
    return replace(ALWAYS, start_date=local(start), end_date=local(end))


def utc(text: str) -> datetime:
    """Return an instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ("2026-07-01T12:59:59.999", False),
        ("2026-07-01T13:00:00", True),
        ("2026-07-03T03:00:00", True),
        ("2026-07-05T07:59:59.999", True),
        ("2026-07-05T08:00:00", False),
        ("2026-07-05T08:00:59", False),
    ],
)
def test_a_stay_is_half_open(now: str, holds: bool) -> None:
    """From 15:00 on the first day until just before 10:00 on the last, summer time."""
    rule = stay("2026-07-01T15:00:00", "2026-07-05T10:00:00")
    assert rule.holds(utc(now), AMSTERDAM, "yes") is holds


@pytest.mark.parametrize(
    ("now", "holds"),
    [("2026-07-05T08:00:59.999", True), ("2026-07-05T08:01:00", False)],
)
def test_an_end_on_second_59_includes_it(now: str, holds: bool) -> None:
    """An end that came back as 10:00:59 holds until 10:01."""
    rule = stay("2026-07-01T15:00:00", "2026-07-05T10:00:59")
    assert rule.holds(utc(now), AMSTERDAM, "yes") is holds


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ("2026-06-30T21:59:59", False),
        ("2026-06-30T22:00:00", True),
        ("2026-07-01T21:59:59", True),
        ("2026-07-01T22:00:00", False),
    ],
)
def test_a_whole_day(now: str, holds: bool) -> None:
    """A day is from midnight to midnight on the clock of the IQ."""
    rule = stay("2026-07-01T00:00:00", "2026-07-01T23:59:59")
    assert rule.holds(utc(now), AMSTERDAM, "yes") is holds


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ("2026-01-01T07:59:59", False),
        ("2026-01-01T08:00:00", True),
        ("2026-01-01T17:00:59", True),
        ("2026-01-01T17:01:00", False),
    ],
)
def test_daily_hours(now: str, holds: bool) -> None:
    """Daily hours 09:00 to 18:00:59 in winter time."""
    rule = replace(ALWAYS, start_time=time(9, 0), end_time=time(18, 0, 59))
    assert rule.holds(utc(now), AMSTERDAM, "yes") is holds


@pytest.mark.parametrize(
    ("now", "holds"), [("2026-07-03T21:59:59", True), ("2026-07-03T22:00:00", False)]
)
def test_days_of_the_week(now: str, holds: bool) -> None:
    """Friday ends at local midnight, not at midnight of UTC."""
    rule = replace(ALWAYS, days=(False, False, False, False, True, False, False))
    assert rule.holds(utc(now), AMSTERDAM, "yes") is holds


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ("2026-03-29T00:59:59", False),
        ("2026-03-29T01:00:00", True),
        ("2026-03-29T01:29:59", True),
        ("2026-03-29T01:30:00", False),
    ],
)
def test_the_hour_that_is_left_out(now: str, holds: bool) -> None:
    """From 02:30 (which never comes) until 03:30: it opens when the clock jumps to 03:00."""
    rule = stay("2026-03-29T02:30:00", "2026-03-29T03:30:00")
    assert rule.holds(utc(now), AMSTERDAM, "yes") is holds


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        ("2026-10-24T23:59:59", False),
        ("2026-10-25T00:00:00", True),
        ("2026-10-25T00:29:59", True),
        ("2026-10-25T00:30:00", False),
        ("2026-10-25T01:00:00", True),
        ("2026-10-25T01:29:59", True),
        ("2026-10-25T01:30:00", False),
    ],
)
def test_the_hour_that_comes_twice(now: str, holds: bool) -> None:
    """From 02:00 to 02:30 comes twice, because a lock has a wall clock only."""
    rule = stay("2026-10-25T02:00:00", "2026-10-25T02:30:00")
    assert rule.holds(utc(now), AMSTERDAM, "yes") is holds


@pytest.mark.parametrize(
    ("rule", "now", "holds"),
    [
        ("date_only", "2026-07-01T00:00:00", True),
        ("date_only", "2026-06-30T21:00:00", False),
        ("date_only", "2026-07-05T21:00:00", True),
        ("date_only", "2026-07-05T22:00:00", False),
        ("ignored", "2020-01-01T00:00:00", True),
        ("ignored", "2030-01-01T00:00:00", True),
    ],
)
def test_how_far_dates_are_honoured(rule: str, now: str, holds: bool) -> None:
    """The same stay counts to the day, or not at all."""
    dated = stay("2026-07-01T15:00:00", "2026-07-05T10:00:00")
    assert dated.holds(utc(now), AMSTERDAM, rule) is holds


@pytest.mark.parametrize("rule", ["yes", "date_only", "ignored"])
def test_open_ends(rule: str) -> None:
    """No start is from ever, no end is for ever."""
    now = utc("2026-07-01T12:00:00")
    assert stay(None, "2027-01-01T00:00:00").holds(now, AMSTERDAM, rule)
    assert stay("2026-01-01T00:00:00", None).holds(now, AMSTERDAM, rule)


def test_the_clock_is_that_of_the_iq() -> None:
    """The same instant is inside in one zone and outside in another."""
    rule = stay("2026-07-01T15:00:00", "2026-07-05T10:00:00")
    now = utc("2026-07-01T13:30:00")
    assert rule.holds(now, AMSTERDAM, "yes")
    assert not rule.holds(now, "Europe/London", "yes")
