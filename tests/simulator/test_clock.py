"""The clock."""

from datetime import UTC, datetime, timedelta

from freezegun.api import FrozenDateTimeFactory
import pytest

from simulator.clock import Clock


def test_it_runs_with_real_time(freezer: FrozenDateTimeFactory) -> None:
    """Without an offset it shows real time, looked up at each call."""
    clock = Clock()
    before = clock.now()
    freezer.tick(5)
    assert clock.now() - before == timedelta(seconds=5)
    assert clock.now() == datetime.now(UTC)


def test_advance_adds_to_real_time(freezer: FrozenDateTimeFactory) -> None:
    """Advancing stays in force while real time goes on."""
    clock = Clock()
    clock.advance(90)
    freezer.tick(10)
    assert clock.now() == datetime.now(UTC) + timedelta(seconds=90)


def test_set_jumps_and_goes_on(freezer: FrozenDateTimeFactory) -> None:
    """A set clock may go back, and runs on from there."""
    clock = Clock()
    past = datetime(2020, 1, 1, tzinfo=UTC)
    assert clock.set(past) == past
    freezer.tick(3)
    assert clock.now() == past + timedelta(seconds=3)


def test_it_refuses_what_is_ambiguous() -> None:
    """It neither goes back by advancing nor takes a time without a zone."""
    clock = Clock()
    with pytest.raises(ValueError, match="only advances"):
        clock.advance(-1)
    with pytest.raises(ValueError, match="time zone"):
        clock.set(datetime.fromisoformat("2026-01-01T00:00:00"))
