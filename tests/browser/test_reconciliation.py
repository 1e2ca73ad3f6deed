"""What somebody has done to keys at Salto, found by a comparison and put right by clicking."""

from typing import Any

from playwright.sync_api import Locator, Page, expect
import pytest

from scripts.demo_lib.words import PASSWORD, USERNAME

from .frontend import Frontend
from .running import RunningDemo, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.long]

GATE = "Main gate"

ISSUED = 180.0
"""Seconds within which the keys of the demo's bookings are there."""

SETTLED = 420.0
"""Seconds after which Salto's lists are believed about a key: five minutes, and a look each while."""

MENDED = 180_000.0
"""Milliseconds: Salto takes a minute to know a new guest, and the simulated one does too."""

GONE = "Keys whose guest is gone"
SUSPENDED = "Keys without a seat"
UNKNOWN = "Unknown keys at Salto"


def keys_at_the_gate(frontend: Frontend) -> list[dict[str, Any]] | None:
    """Return the keys for the gate that are set, once there are two."""
    keys: list[dict[str, Any]] = frontend.ask("get_keys", status=["set"])["keys"]
    found = [key for key in keys if "lock.main_gate" in key["doors"]]
    return found if len(found) >= 2 else None


def opens_now(frontend: Frontend, demo: RunningDemo, key_id: str) -> bool:
    """Let the door hear of what was done, set the clock into the key's window, and type its PIN."""
    keypad_pin = frontend.ask("get_pin", key_id=key_id)["pin"]
    now = demo.control("clock")["now"]
    demo.control("clock", {"advance": 300})
    (key,) = [one for one in frontend.ask("get_keys")["keys"] if one["key_id"] == key_id]
    if key["starts_at"] > demo.control("clock")["now"]:
        demo.control("clock", {"set": key["starts_at"]})
    opened = demo.opens(GATE, keypad_pin)
    demo.control("clock", {"set": now})
    return opened


def issue_named(page: Page, words: str) -> Locator:
    """Return the line of an issue in the list of repairs."""
    return page.locator("ha-config-repairs").get_by_text(words).first


def mend(frontend: Frontend, words: str, picture: str, choice: str | None = None) -> None:
    """Open an issue, choose what to do, and click until it is done; then it is gone."""
    page = frontend.page
    frontend.visit("/config/repairs")
    issue_named(page, words).click()
    submit = frontend.dialog.get_by_role("button", name="Submit")
    expect(submit).to_be_visible()
    if choice is not None:
        frontend.dialog.get_by_role("radio", name=choice).click()
    frontend.picture(picture)
    submit.click()
    expect(frontend.dialog.get_by_text("Done: 1.")).to_be_visible(timeout=MENDED)
    frontend.dialog.get_by_role("button").last.click()
    frontend.visit("/config/repairs")
    expect(page.get_by_text(words)).to_have_count(0)


@pytest.mark.timeout(1200)
def test_meddling_is_found_and_mended_by_clicking(page: Page, demo: RunningDemo) -> None:
    """A guest deleted, one suspended and one made by hand are issues, and go by their fixes."""
    frontend = Frontend(page, demo.home)
    frontend.log_in(USERNAME, PASSWORD)
    deleted, suspended, *_ = wait_for(lambda: keys_at_the_gate(frontend), ISSUED, "two keys")
    assert opens_now(frontend, demo, deleted["key_id"])
    instance = deleted["key_id"].partition("-")[0]
    demo.control("world", {"kind": "user", "remove": deleted["salto_key_id"]})
    demo.control(
        "world",
        {
            "kind": "user",
            "id": suspended["salto_key_id"],
            "set": {"subscription_state": "suspended"},
        },
    )
    demo.control("world", {"kind": "user", "add": {"alias": f"Home Assistant ha-{instance}-0"}})
    wanted = {"missing_at_salto", "suspended", "unknown_at_salto"}

    def found() -> dict[str, Any] | None:
        findings = frontend.ask("reconcile", dry_run=True)["findings"]
        kinds = {one["outcome"]: one for one in findings}
        page.wait_for_timeout(10_000)
        return kinds if wanted <= kinds.keys() else None

    assert wait_for(found, SETTLED, "all is found").keys() == wanted
    assert not opens_now(frontend, demo, suspended["key_id"])
    frontend.visit("/config/repairs")
    for words in (GONE, SUSPENDED, UNKNOWN):
        expect(issue_named(page, words)).to_be_visible()
    frontend.picture("reconciliation-issues")

    mend(frontend, UNKNOWN, "reconciliation-unknown", choice="Remove at Salto")
    mend(frontend, SUSPENDED, "reconciliation-suspended")
    mend(frontend, GONE, "reconciliation-gone")
    for key in (deleted, suspended):
        assert opens_now(frontend, demo, key["key_id"])
    assert frontend.ask("reconcile", dry_run=True, deep=True)["findings"] == []
