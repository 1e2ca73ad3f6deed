"""A few hours of bad weather for a whole Home Assistant, after which all has to be right."""

import os
from pathlib import Path

from freezegun.api import FrozenDateTimeFactory
import pytest

from .chaos.days import bad_days
from .files import hass_config_dir, hass_storage
from .keys import MORNING

__all__ = ["hass_config_dir", "hass_storage"]


def _seeds() -> range:
    """Return the days to have: four, or those that `scripts/soak --home` asks for."""
    first, last = os.environ.get("CHAOS_SEEDS", "1-4").split("-")
    return range(int(first), int(last) + 1)


@pytest.fixture(autouse=True)
def _our_integration() -> None:
    """Have no Home Assistant beside those of the days."""


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Let calendars of a Home Assistant that was cut off leave their timers; ours are looked for."""
    return True


@pytest.mark.parametrize("seed", _seeds())
async def test_bad_day(
    socket_enabled: None, tmp_path: Path, freezer: FrozenDateTimeFactory, seed: int
) -> None:
    """After everything has gone wrong at random, bookings, ledger, Salto and keypads agree."""
    freezer.move_to(MORNING)
    figures = await bad_days(tmp_path, freezer, seed)
    assert figures.operations.total() > 50
    assert figures.keys >= figures.bookings
