"""Home Assistant's frontend, through the eyes and hands of a person.

Elements are found by what is written on them, never by where they are in the page: the frontend's structure changes every month. Playwright's selectors look into shadow
roots by themselves.
"""

import os
from pathlib import Path
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

PATIENCE = 30_000.0
"""Milliseconds that anything may take to appear, on a slow machine."""

expect.set_options(timeout=PATIENCE)


class Frontend:
    """A browser page that is showing one Home Assistant."""

    def __init__(self, page: Page, base: str) -> None:
        """Use the page for the Home Assistant at the base address."""
        page.set_default_timeout(PATIENCE)
        self.page = page
        self.base = base

    @property
    def dialog(self) -> Locator:
        """The dialog that leads through a set-up."""
        return self.page.locator("dialog-data-entry-flow")

    def log_in(self, username: str, password: str) -> None:
        """Log in through the form, and wait for what everybody lands on."""
        self.page.goto(self.base)
        self.page.locator("input[name=username]").fill(username)
        self.page.locator("input[name=password]").fill(password)
        self.page.keyboard.press("Enter")
        self._wait_until_drawn()

    def visit(self, path: str) -> None:
        """Go to a page of the frontend."""
        self.page.goto(self.base + path)
        self._wait_until_drawn()

    def _wait_until_drawn(self) -> None:
        self.page.locator("home-assistant-main").wait_for()
        self.page.locator("#ha-launch-screen").wait_for(state="detached")

    def picture(self, name: str) -> None:
        """Take the picture of this name for the documents, where somebody asks for pictures."""
        if (folder := os.environ.get("PICTURES")) is not None:
            self.page.wait_for_timeout(1000)  # Nothing slides in any more.
            self.page.screenshot(path=Path(folder) / f"{name}.png")

    def type(self, label: str, text: str) -> None:
        """Type into the field of a form that has this label."""
        # The frontend marks a field that has to be filled in with a sign after its label.
        name = re.compile(rf"^{re.escape(label)}\W*$")
        self.dialog.get_by_role("textbox", name=name).fill(text)

    def choose(self, option: str) -> None:
        """Choose an option of the only selection in the form, a list or a drop-down."""
        drop_down = self.dialog.locator("ha-picker-field")
        radio = self.dialog.get_by_role("radio", name=option)
        expect(drop_down.or_(radio)).to_be_visible()
        if drop_down.is_visible():
            drop_down.click()
            self.dialog.locator("ha-dropdown-item").filter(has_text=option).click()
            expect(drop_down).to_contain_text(option)
        else:
            radio.click()
            expect(radio).to_be_checked()

    def pick(self, *entities: str) -> None:
        """Pick an entity by its name in each of the pickers of the form, from the first on."""
        for number, entity in enumerate(entities):
            self.dialog.locator("ha-entity-picker").nth(number).click()
            self.page.get_by_placeholder("Search").last.fill(entity)
            self.page.locator("ha-combo-box-item").filter(has_text=entity).first.click()

    def submit(self) -> None:
        """Send the form."""
        self.dialog.get_by_role("button", name="Submit").click()

    def finish(self) -> None:
        """Leave the dialog after its success."""
        self.dialog.get_by_role("button", name=re.compile("finish", re.IGNORECASE)).click()
        expect(self.dialog.get_by_role("button")).to_have_count(0)

    def expect_step(self, title: str) -> None:
        """Wait for the step with this title."""
        expect(self.dialog.get_by_text(title, exact=True).first).to_be_visible()

    def act(self, domain: str, action: str, entity_id: str) -> None:
        """Perform an action as the frontend does; fails if Home Assistant refuses."""
        self.page.evaluate(
            """([domain, action, entity]) => document.querySelector("home-assistant")
                .hass.callService(domain, action, {}, {entity_id: entity}, false)""",
            [domain, action, entity_id],
        )

    def ask(self, action: str, **data: Any) -> Any:
        """Perform an action of the integration as the frontend does, and return what it answers."""
        return self.page.evaluate(
            """async ([action, data]) => {
                const hass = document.querySelector("home-assistant").hass;
                const [entry] = await hass.callWS({type: "config_entries/get", domain: "salto_ks"});
                const answer = await hass.callWS({
                    type: "call_service", domain: "salto_ks", service: action, return_response: true,
                    service_data: {config_entry_id: entry.entry_id, ...data},
                });
                return answer.response;
            }""",
            [action, data],
        )
