"""A booking from the calendar to the door: written down, and taken out again, in the browser."""

from datetime import datetime, timedelta
import re

from playwright.sync_api import Page, expect
import pytest

from scripts.demo_lib.words import PASSWORD, USERNAME

from .frontend import Frontend
from .running import RunningDemo, wait_for

pytestmark = pytest.mark.browser

GATE = "Main gate"
GUEST = "Family Smit"
CALENDAR = "Bookings Pitch 21"

ROLL_OUT = timedelta(minutes=5)
"""How long a door takes at most to hear of what was changed."""

ISSUE_PATIENCE = 120_000.0
"""Milliseconds: Salto takes a minute to know a new guest, and the simulated one does too."""


def add_event(frontend: Frontend) -> None:
    """Write a booking of today, for a night, into the calendar of the pitch."""
    page = frontend.page
    frontend.visit("/calendar")
    page.get_by_role("button", name="Add event").click()
    editor = page.locator("dialog-calendar-event-editor")
    editor.get_by_role("textbox", name="Summary").fill(GUEST)
    editor.get_by_text("All day").click()
    editor.locator("ha-entity-picker").click()
    page.get_by_text(CALENDAR).last.click()
    frontend.picture("booking-event")
    editor.get_by_role("button", name="Add event").click()
    expect(editor.get_by_role("button", name="Add event")).to_have_count(0)


def delete_event(frontend: Frontend) -> None:
    """Take the booking out of the calendar."""
    page = frontend.page
    frontend.visit("/calendar")
    page.get_by_role("button", name=re.compile("^List")).click()
    page.get_by_text(GUEST, exact=True).first.click()
    page.get_by_role("button", name="Delete event").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text(GUEST, exact=True)).to_have_count(0)


def set_clock(demo: RunningDemo, to: datetime) -> None:
    """Set the clock of the simulated world."""
    demo.control("clock", {"set": to.isoformat()})


def opens_never(demo: RunningDemo, keypad_pin: str) -> bool:
    """Let the door hear of what was done, and tell whether a PIN opens it no more."""
    demo.control("clock", {"advance": ROLL_OUT.total_seconds()})
    return not demo.opens(GATE, keypad_pin)


def test_a_booking_becomes_a_key_and_takes_it_along(page: Page, demo: RunningDemo) -> None:
    """The PIN of an event opens from check-in less margin on, and is dead without the event."""
    frontend = Frontend(page, demo.home)
    frontend.log_in(USERNAME, PASSWORD)
    add_event(frontend)
    frontend.visit("/salto-doors/keys")
    key = page.locator("salto-ks-desk-card li").filter(has_text=GUEST)
    key.get_by_role("button", name="Show PIN").click(timeout=ISSUE_PATIENCE)
    shown = key.locator(".pin .spoken").first
    shown.wait_for(state="attached")
    keypad_pin = re.sub(r"\D", "", shown.text_content() or "")
    frontend.picture("booking-key")
    assert re.fullmatch(r"\d{4,10}", keypad_pin)

    rolled_out = datetime.fromisoformat(demo.control("clock")["now"]) + ROLL_OUT
    (issued,) = [one for one in frontend.ask("get_keys")["keys"] if one["label"] == GUEST]
    begins, ends = (datetime.fromisoformat(issued[end]) for end in ("starts_at", "ends_at"))
    set_clock(demo, max(rolled_out, begins))
    assert demo.opens(GATE, keypad_pin)
    set_clock(demo, ends - timedelta(minutes=1))
    assert demo.opens(GATE, keypad_pin)
    set_clock(demo, ends)
    assert not demo.opens(GATE, keypad_pin)
    set_clock(demo, max(rolled_out, begins))
    assert demo.opens(GATE, keypad_pin)

    delete_event(frontend)
    wait_for(lambda: opens_never(demo, keypad_pin) or None, 60, "the PIN is dead")
    frontend.visit("/salto-doors/keys")
    expect(key.get_by_text("Being taken back")).to_be_visible()
    expect(key.get_by_role("button")).to_have_count(0)
    frontend.visit("/salto-doors/today")
    expect(page.get_by_text("Pitch 21, booking").first).to_be_visible()
    frontend.picture("today")


def test_a_unit_shows_how_its_calendar_is_read(frontend: Frontend) -> None:
    """The forms of a unit lead to the bookings of its calendar; closing them keeps nothing."""
    page, dialog = frontend.page, frontend.dialog
    frontend.visit("/config/integrations/integration/salto_ks")
    page.get_by_role("button", name="Add a unit").click()
    frontend.expect_step("What is booked?")
    frontend.type("Name", "Pitch 13")
    frontend.pick("Bookings Pitch 12", "Pitch 13 cabin")
    frontend.picture("unit")
    frontend.submit()
    frontend.expect_step("Keys of Pitch 13")
    frontend.picture("unit-keys")
    frontend.submit()
    frontend.expect_step("How events are read")
    frontend.submit()
    frontend.expect_step("How the next events are read")
    expect(dialog.get_by_text("Family Jansen")).to_be_visible()
    frontend.picture("unit-preview")
    frontend.visit("/config/integrations/integration/salto_ks")
    expect(page.get_by_text("Pitch 12", exact=True).first).to_be_visible()
    expect(page.get_by_text("Pitch 13", exact=True)).to_have_count(0)
