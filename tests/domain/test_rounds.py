"""The ledger is compared with Salto after a start, once a day, and again where that failed."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.salto_ks.domain.rounds import (
    AGAIN_AFTER,
    FIRST_AFTER,
    OVERDUE_AFTER,
    Rounds,
)

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)
NOON = datetime(2026, 12, 7, 11, 0, tzinfo=UTC)
NIGHT = datetime(2026, 12, 8, 2, 30, tzinfo=UTC)
"""Half past three in Amsterdam, the night after."""

STARTED = Rounds(at=time(3, 30), started_at=NOON)
PASSED = replace(STARTED, passed_at=NOON + FIRST_AFTER)


@pytest.mark.parametrize(
    ("rounds", "now", "due"),
    [
        (STARTED, NOON, False),
        (STARTED, NOON + FIRST_AFTER - MOMENT, False),
        (STARTED, NOON + FIRST_AFTER, True),
        (replace(STARTED, passed_at=NOON + MINUTE), NOON + FIRST_AFTER, True),
        (PASSED, NOON + HOUR, False),
        (PASSED, NIGHT - MOMENT, False),
        (PASSED, NIGHT, True),
        (PASSED, NIGHT + 3 * HOUR, True),
        (replace(PASSED, passed_at=NIGHT - MINUTE), NIGHT, True),
        (replace(PASSED, passed_at=NIGHT), NIGHT, False),
        (replace(PASSED, passed_at=NIGHT), NIGHT + DAY - MOMENT, False),
        (replace(PASSED, passed_at=NIGHT), NIGHT + DAY, True),
        (replace(PASSED, passed_at=NIGHT + MOMENT), NIGHT, True),
        (replace(PASSED, started_at=NIGHT + DAY, passed_at=None), NIGHT, True),
        (replace(PASSED, started_at=NIGHT + DAY, passed_at=NIGHT), NIGHT, False),
        (replace(STARTED, failed_at=NIGHT + DAY), NIGHT, True),
    ],
    ids=[
        "at the start",
        "before the listing has all",
        "after a start",
        "one that somebody asked for too soon is not the first",
        "had the first",
        "before the night",
        "at night",
        "missed while asleep",
        "one that somebody asked for just before is not the nightly one",
        "had the nightly one",
        "before the next night",
        "the next night",
        "noted before the clock was set back",
        "started before the clock was set back",
        "started before the clock was set back, and compared since",
        "failed before the clock was set back",
    ],
)
def test_when_it_is_due(rounds: Rounds, now: datetime, due: bool) -> None:
    """It is due once after a start, and once for each time that the time of day has come."""
    assert rounds.is_due(AMSTERDAM, now) is due


def test_a_start_just_before_the_time_of_day() -> None:
    """The one after the start is the nightly one too, as soon as the listing has all."""
    rounds = replace(STARTED, started_at=NIGHT - MINUTE)
    first = NIGHT - MINUTE + FIRST_AFTER
    assert not rounds.is_due(AMSTERDAM, NIGHT)
    assert rounds.is_due(AMSTERDAM, first)
    assert not replace(rounds, passed_at=first).is_due(AMSTERDAM, first + HOUR)


@pytest.mark.parametrize("rounds", [STARTED, PASSED], ids=["the first", "the nightly one"])
def test_one_that_failed(rounds: Rounds) -> None:
    """One that failed is begun again in a while, not at once and not only the next night."""
    failed = replace(rounds, failed_at=NIGHT)
    assert not failed.is_due(AMSTERDAM, NIGHT + AGAIN_AFTER - MOMENT)
    assert failed.is_due(AMSTERDAM, NIGHT + AGAIN_AFTER)
    mended = replace(failed, passed_at=NIGHT + MINUTE, failed_at=None)
    assert not mended.is_due(AMSTERDAM, NIGHT + AGAIN_AFTER)


def test_one_that_somebody_asked_for_failed() -> None:
    """Nothing is begun for a failure where none is due."""
    failed = replace(PASSED, failed_at=NOON + HOUR)
    assert not failed.is_due(AMSTERDAM, NOON + HOUR + AGAIN_AFTER)


@pytest.mark.parametrize(
    ("rounds", "since"), [(STARTED, NOON), (PASSED, NOON + FIRST_AFTER)], ids=["never", "once"]
)
def test_when_it_is_overdue(rounds: Rounds, since: datetime) -> None:
    """What is known is too old once a night was left out."""
    assert rounds.overdue_since(since + OVERDUE_AFTER) is None
    assert rounds.overdue_since(since + OVERDUE_AFTER + MOMENT) == since


@pytest.mark.parametrize("day", [date(2027, 3, 28), date(2027, 10, 31)])
@pytest.mark.parametrize("at", [time(2, 30), time(3, 30)])
def test_once_a_day_when_the_clocks_change(day: date, at: time) -> None:
    """The night in which the clocks change has one comparison, looked at every twenty seconds."""
    now = datetime.combine(day, time(), AMSTERDAM).astimezone(UTC) - 12 * HOUR
    end = now + 2 * DAY
    rounds = Rounds(at=at, started_at=now, passed_at=now)
    nights = []
    while now < end:
        now += timedelta(seconds=20)
        if rounds.is_due(AMSTERDAM, now):
            rounds = replace(rounds, passed_at=now)
            nights.append(now.astimezone(AMSTERDAM))
    assert [night.date() for night in nights[1:]] == [day, day + DAY]
