"""The front desk: a user without administrator rights issues a key on a dashboard."""

from datetime import datetime, timedelta
from pathlib import Path
import re

from playwright.sync_api import Locator, Page, expect
import pytest

from scripts.demo_lib import front_desk

from .frontend import Frontend
from .running import RunningDemo, wait_for

pytestmark = pytest.mark.browser

ISSUE_PATIENCE = 180_000.0
"""Milliseconds: Salto takes a minute to know a new guest, and the simulated one does too."""

GATE = "Main gate"
SITE = "Camping De Zilverspar"

TIME_ROOM = 230
"""Pixels that a field needs for the longest way to write a time, as "11/28/2026, 11:45 PM"."""


def is_dead(demo: RunningDemo, keypad_pin: str) -> bool:
    """Let the door hear of what was done, and tell whether a PIN opens it no more."""
    demo.control("clock", {"advance": 300})
    return not demo.opens(GATE, keypad_pin)


def files_with(folder: Path, text: str) -> list[str]:
    """Return the files of a demo's Home Assistant in which a text stands."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path.name for path in files if text.encode() in path.read_bytes()]


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_times_fit_their_fields(page: Page, demo: RunningDemo, width: int) -> None:
    """Times can be read whole beside the button of their calendar, and nothing is scrolled sideways."""
    page.set_viewport_size({"width": width, "height": 900})
    frontend = Frontend(page, demo.home)
    frontend.log_in(front_desk.USERNAME, front_desk.PASSWORD)
    frontend.visit("/salto-doors/keys")
    fields = page.locator("salto-ks-desk-card input[type=datetime-local]")
    expect(fields).to_have_count(2)
    for field in fields.all():
        box = field.bounding_box()
        assert box is not None
        assert box["width"] >= TIME_ROOM
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def two_hours_later(card: Locator) -> str:
    """Return the end of a key of two hours, as its field holds it."""
    start = datetime.fromisoformat(card.get_by_label("From").input_value())
    return (start + timedelta(hours=2)).isoformat(timespec="minutes")


def test_the_editor_of_the_card(frontend: Frontend) -> None:
    """The card is set up by a form, which says what each option does without it."""
    page = frontend.page
    frontend.visit("/salto-doors/keys?edit=1")
    card = page.locator("hui-card-edit-mode").filter(has=page.locator("salto-ks-desk-card"))
    card.hover(position={"x": 20, "y": 20})
    card.get_by_role("button", name="Edit card").click()
    editor = page.locator("hui-dialog-edit-card")
    form = editor.locator("hui-form-editor")
    preview = editor.locator("salto-ks-desk-card")
    heading = preview.get_by_role("heading", level=2)
    expect(heading).to_have_text("Keys")
    for text in ("Empty: Keys.", "several sites.", "next morning."):
        expect(form.get_by_text(text)).to_be_visible()
    form.get_by_role("textbox", name="Heading").fill("Reception")
    expect(heading).to_have_text("Reception")
    hours = form.get_by_role("spinbutton", name="Length of a new key, in hours")
    hours.fill("2")
    expect(preview.get_by_label("Until")).to_have_value(two_hours_later(preview))
    form.get_by_role("textbox", name="Heading").fill("")
    expect(heading).to_have_text("Keys")
    hours.fill("")
    expect(preview.get_by_label("Until")).to_have_value(re.compile("T11:00$"))
    site = form.locator("ha-config-entry-picker")
    site.click()
    page.locator("ha-combo-box-item").last.click()
    expect(site).to_contain_text(SITE)
    expect(preview.get_by_text("New key")).to_be_visible()
    site.locator(".clear").click()
    expect(site).not_to_contain_text(SITE)
    expect(preview.get_by_text("New key")).to_be_visible()


@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 970}], ids=["desktop"])
def test_a_key_from_the_dashboard_to_the_door(page: Page, demo: RunningDemo) -> None:
    """The PIN is shown once asked for, opens inside its window only, is nowhere kept in clear, and is dead once taken back."""
    frontend = Frontend(page, demo.home)
    frontend.log_in(front_desk.USERNAME, front_desk.PASSWORD)
    frontend.visit("/salto-doors/keys")
    card = page.locator("salto-ks-desk-card")
    card.get_by_text(GATE, exact=True).first.click()
    card.get_by_role("button", name="Issue key").click()
    shown = card.locator(".pin .spoken").first
    shown.wait_for(state="attached", timeout=ISSUE_PATIENCE)
    keypad_pin = re.sub(r"\D", "", shown.text_content() or "")
    assert re.fullmatch(r"\d{4,10}", keypad_pin)
    frontend.picture("front-desk")
    card.get_by_role("button", name="Hide").first.click()
    expect(card.locator(".pin .spoken")).to_have_count(0)

    assert not demo.opens(GATE, keypad_pin)  # the door has not heard of it yet
    demo.control("clock", {"advance": 300})
    assert demo.opens(GATE, keypad_pin)
    now = demo.control("clock")["now"]
    demo.control("clock", {"advance": 3 * 86_400})
    assert not demo.opens(GATE, keypad_pin)
    demo.control("clock", {"set": now})
    assert demo.opens(GATE, keypad_pin)

    (folder,) = demo.temporary.glob("salto-ks-demo-*")
    wait_for(lambda: (folder / "home-assistant_v2.db").exists() or None, 30, "the database")
    assert set(files_with(folder, keypad_pin)) <= {"simulator.json", "simulator.log"}

    row = card.locator("ul.keys > *").first
    row.get_by_role("button", name="Take back").click()
    row.get_by_role("button", name="Take back").last.click()
    wait_for(lambda: is_dead(demo, keypad_pin) or None, 60, "the PIN is dead")
