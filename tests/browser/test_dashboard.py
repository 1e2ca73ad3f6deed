"""The demo's dashboard."""

import re
from typing import Literal

from playwright.sync_api import Locator, ViewportSize, expect
import pytest

from scripts.demo_lib.folder import BLUEPRINTS

from .frontend import Frontend
from .running import TOP, RunningDemo

pytestmark = pytest.mark.browser

GATE = "Main gate"
ISSUE_PATIENCE = 180_000.0
"""Milliseconds until the keys of the demo's bookings are set: Salto takes a minute for each guest."""

RELOCK_PATIENCE = 60_000.0
"""Milliseconds: the gate's own ten seconds, and the next looks at it."""


def section_of(frontend: Frontend, door: str) -> Locator:
    """Return the part of the dashboard that shows a door."""
    heading = frontend.page.locator("hui-heading-card").filter(has_text=door)
    return frontend.page.locator("hui-grid-section").filter(has=heading)


def test_a_tap_opens_the_door_once(frontend: Frontend, demo: RunningDemo) -> None:
    """A tap on Unlock opens the door with exactly one command; it locks again by itself."""
    gate = section_of(frontend, GATE)
    expect(gate.get_by_text("Locked", exact=True)).to_be_visible()
    frontend.picture("dashboard")
    before = len(demo.commands())
    gate.get_by_role("button", name="Unlock").click()
    expect(gate.get_by_text("Unlocked", exact=True)).to_be_visible()
    commands = demo.commands()[before:]
    assert [command["status"] for command in commands] == [200]
    expect(gate.get_by_text("Locked", exact=True)).to_be_visible(timeout=RELOCK_PATIENCE)
    assert demo.commands()[before:] == commands


@pytest.mark.parametrize(
    "viewport",
    [{"width": 1280, "height": 900}, {"width": 390, "height": 844}],
    ids=["desktop", "telephone"],
)
def test_every_door_fits_the_window(
    frontend: Frontend, demo: RunningDemo, viewport: ViewportSize
) -> None:
    """All doors are there with a button to open them, and nothing has to be scrolled sideways."""
    buttons = frontend.page.get_by_role("button", name="Unlock")
    expect(buttons).to_have_count(12)
    assert frontend.page.locator("hui-error-card, hui-warning").count() == 0
    for button in buttons.all():
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box is not None
        assert 0 <= box["x"] <= viewport["width"] - box["width"]
    assert frontend.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


@pytest.mark.parametrize("viewport", [{"width": 390, "height": 844}], ids=["telephone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_day_fits_the_window(
    frontend: Frontend, demo: RunningDemo, viewport: ViewportSize, scheme: Literal["light", "dark"]
) -> None:
    """Arrivals, keys and what happens at doors are there by day and by night, on a telephone too."""
    page = frontend.page
    page.emulate_media(color_scheme=scheme)
    frontend.visit("/salto-doors/today")
    for words in ("Pitch 12", "Keys this week", "At the doors"):
        expect(page.get_by_text(words, exact=True).first).to_be_visible()
    expect(page.get_by_text("Set", exact=True)).to_have_count(2, timeout=ISSUE_PATIENCE)
    assert page.locator("hui-error-card, hui-warning").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    frontend.picture(f"today-telephone-{scheme}")


def test_the_dashboard_of_the_documents_names_what_there_is(frontend: Frontend) -> None:
    """Each entity that the copied view names is one of the demo, by the name that it gets by itself."""
    text = (TOP / "docs" / "dashboard.md").read_text("utf-8")
    domains = "binary_sensor|button|calendar|lock|sensor"
    named = set(re.findall(rf"\b(?:{domains})\.[a-z0-9_]+", text))
    states = frontend.page.evaluate(
        "Object.keys(document.querySelector('home-assistant').hass.states)"
    )
    assert named
    assert named <= set(states)


def test_automations_of_the_documents_can_be_tried(frontend: Frontend, demo: RunningDemo) -> None:
    """Webhooks are answered, messages have somebody who takes them, and the blueprints are there."""
    called = frontend.page.request.post(f"{demo.home}/api/webhook/a_booking", data={})
    assert called.status == 200
    found = frontend.page.evaluate(
        """async () => {
            const hass = document.querySelector("home-assistant").hass;
            const blueprints = await hass.callWS({type: "blueprint/list", domain: "automation"});
            return [Object.keys(hass.services.notify), blueprints];
        }"""
    )
    messages, blueprints = found
    assert {"notify", "persistent_notification"} <= set(messages)
    ours = {f"salto_ks/{path.name}" for path in (TOP / BLUEPRINTS).glob("*.yaml")}
    assert ours
    assert blueprints.keys() == ours
    assert not any("error" in blueprint for blueprint in blueprints.values())
