"""A browser, and demos to look at with it."""

from collections.abc import Iterator
import os
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
import pytest

from scripts.demo_lib.folder import TIME_ZONE
from scripts.demo_lib.words import PASSWORD, USERNAME
from tests.failures import has_failed, name_of, pytest_runtest_makereport

from .frontend import Frontend
from .running import TOP, RunningDemo, running_demo

__all__ = ["pytest_runtest_makereport"]

ARTIFACTS = TOP / "artifacts" / "browser"

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Run the browser that ``scripts/browser-test`` found."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"),
            args=CHROMIUM_OPTIONS,
            # It writes the times in fields in its own language, whatever the locale of a window.
            env={**os.environ, "LANGUAGE": "en_GB"},
        )
        yield chromium
        chromium.close()


@pytest.fixture
def viewport() -> ViewportSize:
    """Return the size of the window; a test parametrises it for others."""
    return {"width": 1280, "height": 900}


@pytest.fixture
def page(
    browser: Browser, viewport: ViewportSize, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """Open a window; keep a picture of it, and what the page complained of, if the test fails."""
    context = browser.new_context(viewport=viewport, locale="en-GB", timezone_id=TIME_ZONE)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"pageerror: {error}"))
    yield page
    if has_failed(request):
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        name = name_of(request)
        page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)
        (ARTIFACTS / f"{name}.txt").write_text("\n".join(complaints), encoding="utf-8")
    context.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """Run the demo, set up."""
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@pytest.fixture
def fresh_demo(tmp_path: Path) -> Iterator[RunningDemo]:
    """Run the demo, to be set up by hand."""
    with running_demo(tmp_path, "--fresh") as running:
        yield running


@pytest.fixture
def frontend(page: Page, demo: RunningDemo) -> Frontend:
    """Return the demo's frontend, logged in."""
    frontend = Frontend(page, demo.home)
    frontend.log_in(USERNAME, PASSWORD)
    return frontend
