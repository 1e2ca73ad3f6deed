"""Setting the integration up by hand, as a person does who follows the demo's words."""

from playwright.sync_api import Page, expect
import pytest

from scripts.demo_lib.words import PASSWORD, USERNAME

from .frontend import Frontend
from .running import RunningDemo

pytestmark = pytest.mark.browser

ACCOUNT = ("Client ID", "Client secret", "User name", "Password", "Site UID")
SERVER = ("Address of the API", "Address of the identity server")


def follow(frontend: Frontend, demo: RunningDemo, labels: tuple[str, ...]) -> None:
    """Type into each field what the demo says to type there, and send the form."""
    fill(frontend, demo, labels)
    frontend.submit()


def fill(frontend: Frontend, demo: RunningDemo, labels: tuple[str, ...]) -> None:
    """Type into each field what the demo says to type there."""
    for label in labels:
        frontend.type(label, demo.said(rf"^  {label} +(.+)$"))
    frontend.picture(f"set-up-{labels[0].lower().replace(' ', '-')}")


def mistype_the_site(frontend: Frontend, demo: RunningDemo) -> None:
    """Type the UID of no site: the words are in sight, and only the UID is asked for again."""
    fill(frontend, demo, ACCOUNT)
    frontend.type(ACCOUNT[-1], "NL9999999999")
    frontend.submit()
    frontend.expect_step("A server of your own")
    follow(frontend, demo, SERVER)
    frontend.expect_step("Which site?")
    expect(frontend.dialog.get_by_text("None of the sites").first).to_be_in_viewport()
    follow(frontend, demo, ACCOUNT[-1:])


def activate(frontend: Frontend, demo: RunningDemo, iq: str) -> None:
    """Choose an IQ, and enter the PIN that arrives in the demo's mail."""
    frontend.expect_step("Activate an IQ")
    frontend.choose(iq)
    frontend.submit()
    frontend.expect_step("Have a PIN sent")
    frontend.submit()
    frontend.expect_step("Enter the PIN")
    frontend.type("PIN", demo.said(rf"the PIN of {iq} is (\d+)$"))
    frontend.picture("set-up-pin")
    frontend.submit()


def add_unit(frontend: Frontend, demo: RunningDemo) -> None:
    """Give a pitch the calendar that the demo has made, and the doors that it names."""
    dialog = frontend.dialog
    frontend.page.get_by_role("button", name="Add a unit").click()
    frontend.expect_step("What is booked?")
    frontend.type("Name", demo.said(r"^  Name +(.+)$"))
    calendar = demo.said(r"^  Calendar +(.+?) \(")
    gate, *_ = demo.said(r"^  Doors +(.+)$").split(", ")
    frontend.pick(calendar, gate)
    for step in ("What is booked?", "Keys of Pitch 12", "How events are read"):
        frontend.expect_step(step)
        frontend.submit()
    frontend.expect_step("How the next events are read")
    expect(dialog.get_by_text("Family Jansen")).to_be_visible()
    frontend.submit()
    frontend.finish()


def test_the_whole_set_up_is_clicked_through(fresh_demo: RunningDemo, page: Page) -> None:
    """What the demo says to type leads to a working site with two activated IQs, and a unit."""
    frontend = Frontend(page, fresh_demo.home)
    frontend.log_in(USERNAME, PASSWORD)
    frontend.page.goto(fresh_demo.said(r"(http://\S+domain=salto_ks)$"))
    page.get_by_role("button", name="OK").click()

    frontend.expect_step("Connect to Salto KS")
    frontend.choose(fresh_demo.said(r"^  Environment +(.+)$"))
    mistype_the_site(frontend, fresh_demo)
    activate(frontend, fresh_demo, "IQ Reception")
    frontend.finish()

    frontend.visit("/config/integrations/integration/salto_ks")
    page.get_by_role("button", name="Activate an IQ").click()
    activate(frontend, fresh_demo, "IQ Field")
    frontend.finish()

    frontend.visit("/config/integrations/integration/salto_ks")
    for iq in ("IQ Reception", "IQ Field"):
        expect(page.get_by_text(iq).first).to_be_visible()
    assert not fresh_demo.commands()
    for door in ("lock.main_gate", "lock.laundry"):
        frontend.act("lock", "unlock", door)
    assert [command["status"] for command in fresh_demo.commands()] == [200, 200]

    frontend.visit("/config/integrations/integration/salto_ks")
    add_unit(frontend, fresh_demo)
    expect(page.get_by_text("Pitch 12", exact=True).first).to_be_visible()
