"""Whether a test has failed, for fixtures that then keep what was to be seen of it."""

from collections.abc import Generator
import re

import pytest

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the fixtures know whether their test failed; a `conftest.py` has to import this."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


def has_failed(request: pytest.FixtureRequest) -> bool:
    """Tell a fixture whether its test failed."""
    node: pytest.Item = request.node
    return node.stash.get(_FAILED, False)


def name_of(request: pytest.FixtureRequest) -> str:
    """Return the name of a fixture's test as the name of a file."""
    return re.sub(r"[^\w.-]+", "_", request.node.name)
