"""A site that is set up once, and a copy of it for each test."""

import asyncio
from collections.abc import AsyncIterator, Generator
from pathlib import Path
import re

import pytest

from tests.browser.running import free_port

from .house import TOP, House, Place, furnish, house_at

ARTIFACTS = TOP / "artifacts" / "processes"

failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixtures know whether their test failed."""
    report = yield
    if report.failed:
        item.stash[failed] = True
    return report


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
    if request.node.stash.get(failed, False):
        place.config.save_logs(ARTIFACTS / re.sub(r"[^\w.-]+", "_", request.node.name))


@pytest.fixture
def usual_stop(furnished: tuple[Place, float]) -> float:
    """Return the seconds in which Home Assistant stops when nothing is going on."""
    return furnished[1]
