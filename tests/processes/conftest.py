"""A site that is set up once, and a copy of it for each test."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.browser.running import free_port
from tests.failures import has_failed, name_of, pytest_runtest_makereport

from .house import TOP, House, Place, furnish, house_at

__all__ = ["pytest_runtest_makereport"]

ARTIFACTS = TOP / "artifacts" / "processes"


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, float]:
    """Set the site up as the demo does; return where, and how long Home Assistant stops."""
    place = Place(tmp_path_factory.mktemp("site") / "place", free_port(), free_port())
    return place, asyncio.run(furnish(place))


@pytest.fixture
async def house(
    furnished: tuple[Place, float], tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[House]:
    """Run the simulator in a copy of the site; keep the logs if the test fails."""
    place = furnished[0].copied_to(tmp_path / "place")
    async with house_at(place) as house:
        yield house
    if has_failed(request):
        place.config.save_logs(ARTIFACTS / name_of(request))


@pytest.fixture
def usual_stop(furnished: tuple[Place, float]) -> float:
    """Return the seconds in which Home Assistant stops when nothing is going on."""
    return furnished[1]
