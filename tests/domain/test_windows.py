"""Windows: half-open, and on the wall clock of an IQ, also when the clock is changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.windows import AccessWindow, LocalWindow, on_wall_clock

MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")

ZONES = {
    "Europe/Amsterdam": timedelta(hours=1),
    "Europe/London": timedelta(hours=1),
    "Atlantic/Azores": timedelta(hours=1),  # the hour that comes twice is around midnight
    "America/New_York": timedelta(hours=1),
    "America/Havana": timedelta(hours=1),  # and here it ends at it
    "Australia/Lord_Howe": timedelta(minutes=30),
    "Antarctica/Troll": timedelta(hours=2),
    "Asia/Kathmandu": timedelta(0),
    "UTC": timedelta(0),
}
"""Zones, and how much of a day comes twice in them."""

CHANGES = {
    "Europe/Amsterdam": [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
    ],
    "Europe/London": [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)],
    "Atlantic/Azores": [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
    ],
    "America/New_York": [datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)],
    "America/Havana": [datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 1, 5, tzinfo=UTC)],
    "Australia/Lord_Howe": [
        datetime(2026, 4, 4, 15, tzinfo=UTC),
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ],
    "Antarctica/Troll": [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
    ],
    "Asia/Kathmandu": [datetime(2026, 10, 25, 1, tzinfo=UTC)],
    "UTC": [datetime(2026, 10, 25, 1, tzinfo=UTC)],
}
"""Instants around which windows are tried: where there are changes, those."""


INSTANTS = st.integers(10**15, 2 * 10**15).map(
    lambda number: datetime.fromtimestamp(0, UTC) + number * MICROSECOND
)
"""Instants between 2001 and 2033."""


@st.composite
def windows_at_a_change(draw: st.DrawFn) -> tuple[AccessWindow, str]:
    """Return a window with an end near a clock change, or both, and its zone."""
    name = draw(st.sampled_from(sorted(ZONES)))
    near = draw(st.sampled_from(CHANGES[name]))
    starts_at = near + timedelta(seconds=draw(st.integers(-4 * 3600, 4 * 3600)))
    length = draw(st.one_of(st.integers(1, 5 * 3600), st.integers(1, 20 * 86400)))
    if draw(st.booleans()):
        return AccessWindow(starts_at, starts_at + timedelta(seconds=length)), name
    return AccessWindow(starts_at - timedelta(seconds=length), starts_at), name


def opens(local: LocalWindow, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether a lock that has nothing but a wall clock lets somebody in."""
    return local.starts <= now.astimezone(zone).replace(tzinfo=None) < local.ends


def minutes_around(window: AccessWindow) -> list[datetime]:
    """Return the minutes near both ends of a window, and some within."""
    window = window.to_minutes()
    around = range(-190, 190)
    return [end + n * MINUTE for end in (window.starts_at, window.ends_at) for n in around]


def local_window(starts: str, ends: str, *, zone: str = "Europe/Amsterdam") -> LocalWindow:
    """Return a window, given in UTC, on the wall clock of a zone."""
    window = AccessWindow(datetime.fromisoformat(starts), datetime.fromisoformat(ends))
    return on_wall_clock(window, ZoneInfo(zone))


# Half-open


@given(
    starts_at=INSTANTS,
    length=st.timedeltas(MICROSECOND, timedelta(days=400)),
)
@settings(deadline=None)
def test_window_is_half_open(starts_at: datetime, length: timedelta) -> None:
    """The start is in the window and the end is not."""
    window = AccessWindow(starts_at, starts_at + length)
    assert not window.holds(starts_at - MICROSECOND)
    assert window.holds(starts_at)
    assert window.holds(window.ends_at - MICROSECOND)
    assert not window.holds(window.ends_at)
    assert not window.is_over(window.ends_at - MICROSECOND)
    assert window.is_over(window.ends_at)


@pytest.mark.parametrize("length", [timedelta(0), -MICROSECOND, -timedelta(days=1)])
def test_window_that_does_not_end_after_it_starts(length: timedelta) -> None:
    """Such a window cannot be made."""
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="ends after"):
        AccessWindow(noon, noon + length)


@pytest.mark.parametrize("naive", ["starts_at", "ends_at", "both"])
def test_window_of_naive_instants(naive: str) -> None:
    """An instant without a zone makes no window."""
    starts_at, ends_at = (datetime(2026, 6, day, 12, tzinfo=UTC) for day in (1, 2))
    with pytest.raises(ValueError, match="aware"):
        AccessWindow(
            starts_at if naive == "ends_at" else starts_at.replace(tzinfo=None),
            ends_at if naive == "starts_at" else ends_at.replace(tzinfo=None),
        )


def test_window_given_in_local_time() -> None:
    """A window is the same one in whatever zone it is given, even within the repeated hour."""
    first = datetime(2026, 10, 25, 2, 40, tzinfo=AMSTERDAM)
    second = datetime(2026, 10, 25, 2, 10, tzinfo=AMSTERDAM, fold=1)
    window = AccessWindow(first, second)
    utc = datetime(2026, 10, 25, 0, 40, tzinfo=UTC)
    assert window == AccessWindow(utc, utc + 30 * MINUTE)
    assert window.starts_at.tzinfo is UTC
    assert window.holds(datetime(2026, 10, 25, 2, 50, tzinfo=AMSTERDAM))
    assert not window.holds(datetime(2026, 10, 25, 2, 10, tzinfo=AMSTERDAM))


@given(
    starts_at=INSTANTS,
    length=st.timedeltas(MICROSECOND, timedelta(days=2)),
)
@settings(deadline=None)
def test_whole_minutes(starts_at: datetime, length: timedelta) -> None:
    """In whole minutes a window holds all that it held, and less than a minute more at each end."""
    window = AccessWindow(starts_at, starts_at + length)
    whole = window.to_minutes()
    for instant in (whole.starts_at, whole.ends_at):
        assert (instant.second, instant.microsecond) == (0, 0)
    assert timedelta(0) <= window.starts_at - whole.starts_at < MINUTE
    assert timedelta(0) <= whole.ends_at - window.ends_at < MINUTE
    assert whole.to_minutes() == whole


# On the wall clock


@given(windows_at_a_change())
@settings(deadline=None, max_examples=300)
def test_no_guest_stands_before_a_closed_door(case: tuple[AccessWindow, str]) -> None:
    """Within the window the door opens at every minute, whatever the clock does."""
    window, name = case
    zone = ZoneInfo(name)
    local = on_wall_clock(window, zone)
    within = [now for now in minutes_around(window) if window.to_minutes().holds(now)]
    assert within
    assert [now for now in within if not opens(local, now, zone)] == []


@given(windows_at_a_change())
@settings(deadline=None, max_examples=300)
def test_no_stranger_stands_before_an_open_door(case: tuple[AccessWindow, str]) -> None:
    """Outside the window the door opens only where an hour comes twice, and is said to."""
    window, name = case
    zone, twice = ZoneInfo(name), ZONES[name]
    local = on_wall_clock(window, zone)
    whole = window.to_minutes()
    spare = [
        now for now in minutes_around(window) if not whole.holds(now) and opens(local, now, zone)
    ]
    assert local.widened or not spare
    assert all(whole.starts_at - twice <= now < whole.ends_at + twice for now in spare)


@given(windows_at_a_change())
@settings(deadline=None)
def test_wall_clock_is_naive_and_in_minutes(case: tuple[AccessWindow, str]) -> None:
    """What is written for Salto has no zone, no seconds, and an end after its start."""
    local = on_wall_clock(case[0], ZoneInfo(case[1]))
    for naive in (local.starts, local.ends):
        assert naive.tzinfo is None
        assert (naive.second, naive.microsecond, naive.fold) == (0, 0, 0)
    assert local.starts < local.ends


@pytest.mark.parametrize(
    ("starts", "ends", "on_clock"),
    [
        pytest.param(
            "2026-07-01T13:00+00:00",
            "2026-07-04T08:00+00:00",
            ("2026-07-01 15:00", "2026-07-04 10:00", False),
            id="summer",
        ),
        pytest.param(
            "2026-03-28T14:00+00:00",
            "2026-03-30T08:00+00:00",
            ("2026-03-28 15:00", "2026-03-30 10:00", False),
            id="over the hour that is missing",
        ),
        pytest.param(
            "2026-03-29T00:59+00:00",
            "2026-03-29T01:00+00:00",
            ("2026-03-29 01:59", "2026-03-29 03:00", False),
            id="the minute before the hour that is missing",
        ),
        pytest.param(
            "2026-10-24T13:00+00:00",
            "2026-10-26T09:00+00:00",
            ("2026-10-24 15:00", "2026-10-26 10:00", False),
            id="over the hour that comes twice",
        ),
        pytest.param(
            "2026-10-25T00:30+00:00",
            "2026-10-26T09:00+00:00",
            ("2026-10-25 02:00", "2026-10-26 10:00", True),
            id="from within the first pass",
        ),
        pytest.param(
            "2026-10-25T01:30+00:00",
            "2026-10-26T09:00+00:00",
            ("2026-10-25 02:30", "2026-10-26 10:00", True),
            id="from within the second pass",
        ),
        pytest.param(
            "2026-10-24T13:00+00:00",
            "2026-10-25T00:30+00:00",
            ("2026-10-24 15:00", "2026-10-25 02:30", True),
            id="until within the first pass",
        ),
        pytest.param(
            "2026-10-24T13:00+00:00",
            "2026-10-25T01:30+00:00",
            ("2026-10-24 15:00", "2026-10-25 03:00", True),
            id="until within the second pass",
        ),
        pytest.param(
            "2026-10-25T00:30+00:00",
            "2026-10-25T01:00+00:00",
            ("2026-10-25 02:30", "2026-10-25 03:00", True),
            id="the last half of the first pass",
        ),
        pytest.param(
            "2026-10-25T00:10+00:00",
            "2026-10-25T00:20+00:00",
            ("2026-10-25 02:10", "2026-10-25 02:20", True),
            id="in the midst of the first pass",
        ),
        pytest.param(
            "2026-10-25T01:10+00:00",
            "2026-10-25T01:20+00:00",
            ("2026-10-25 02:10", "2026-10-25 02:20", True),
            id="in the midst of the second pass",
        ),
        pytest.param(
            "2026-10-25T00:59+00:00",
            "2026-10-25T01:01+00:00",
            ("2026-10-25 02:00", "2026-10-25 03:00", True),
            id="around the change itself",
        ),
        pytest.param(
            "2026-10-25T02:00+00:00",
            "2026-10-25T03:00+00:00",
            ("2026-10-25 03:00", "2026-10-25 04:00", False),
            id="right after the hour that comes twice",
        ),
    ],
)
def test_wall_clock_of_amsterdam(starts: str, ends: str, on_clock: tuple[str, str, bool]) -> None:
    """Each end is what a clock in Amsterdam shows, moved only where the window had a hole."""
    local = local_window(starts, ends)
    assert (str(local.starts)[:16], str(local.ends)[:16], local.widened) == on_clock


def test_each_zone_has_its_own_clock() -> None:
    """One window reads differently in each zone of its doors."""
    starts, ends = "2026-10-25T00:30+00:00", "2026-10-26T09:00+00:00"
    clocks = {name: local_window(starts, ends, zone=name) for name in ZONES}
    assert str(clocks["Europe/London"].starts) == "2026-10-25 01:00:00"
    assert str(clocks["America/New_York"].starts) == "2026-10-24 20:30:00"
    assert str(clocks["Asia/Kathmandu"].ends) == "2026-10-26 14:45:00"
