"""What a person's browser does to mend an issue, over the same requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiohttp import ClientResponse
from homeassistant.auth.models import User
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockUser, async_fire_time_changed
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    WebSocketGenerator,
)

from .support import DOMAIN
from .texts import check_texts, english
from .watching import stand_still

FIX = "/api/repairs/issues/fix"
SUBENTRY_FLOW = "/api/config/config_entries/subentries/flow"

WAITING = {"progress", "progress_done"}
"""Answers of a flow on which nobody can do anything but wait."""


@dataclass(frozen=True, kw_only=True)
class Browser:
    """What a person's browser does; each answer about an issue is held to its texts.

    It logs in for each thing it does, since tests let hours pass in between.
    """

    hass: HomeAssistant
    user: User
    client: ClientSessionGenerator
    socket: WebSocketGenerator

    def _token(self) -> str:
        (refresh_token,) = self.user.refresh_tokens.values()
        return self.hass.auth.async_create_access_token(refresh_token)

    async def ask(self, kind: str, **message: Any) -> Any:
        """Ask by a message over a socket."""
        socket = await self.socket(self.hass, self._token())
        await socket.send_json_auto_id({"type": kind, **message})
        answer = await socket.receive_json()
        assert answer["success"]
        await socket.close()
        return answer["result"]

    async def issues(self) -> list[dict[str, Any]]:
        """List the issues of the integration."""
        issues = (await self.ask("repairs/list_issues"))["issues"]
        return [issue for issue in issues if issue["domain"] == DOMAIN]

    async def get(self, url: str) -> dict[str, Any]:
        """Look at a flow that has begun."""
        client = await self.client(self._token())
        return await _received(await client.get(url))

    async def send(self, url: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Begin or go on with a flow."""
        client = await self.client(self._token())
        return await _received(await client.post(url, json=data))

    async def begin(self, issue: Mapping[str, Any]) -> dict[str, Any]:
        """Open the fix of an issue."""
        form = await self.send(FIX, {"handler": DOMAIN, "issue_id": issue["issue_id"]})
        _check(form, issue)
        return form

    async def fix(self, issue: Mapping[str, Any]) -> dict[str, Any]:
        """Open the fix of an issue that begins with an explanation."""
        form = await self.begin(issue)
        assert (form["type"], form["step_id"], form["data_schema"]) == ("form", "confirm", [])
        return form

    async def submit(
        self, form: Mapping[str, Any], issue: Mapping[str, Any], **typed: Any
    ) -> dict[str, Any]:
        """Send a form of a fix, and wait while the flow says that it is at work."""
        url = f"{FIX}/{form['flow_id']}"
        answer = await self.send(url, typed)
        while answer["type"] in WAITING:
            _check(answer, issue)
            await let_be_seen(self.hass)
            answer = await self.get(url)
        _check(answer, issue)
        return answer

    async def confirm(self, form: Mapping[str, Any], issue: Mapping[str, Any]) -> dict[str, Any]:
        """Confirm that the explanation was read."""
        ended = await self.submit(form, issue)
        assert ended["type"] == "abort"
        return ended


async def let_be_seen(hass: HomeAssistant) -> None:
    """Let work go on of which a browser shows the progress, and two seconds pass for its end."""
    await stand_still()
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=2))
    await stand_still()


async def _received(answer: ClientResponse) -> dict[str, Any]:
    """Return what came, which has to be an answer of a flow."""
    assert answer.status == 200, await answer.text()
    received: dict[str, Any] = await answer.json()
    return received


def _check(answer: Mapping[str, Any], issue: Mapping[str, Any]) -> None:
    """Assert that an answer of a fix can be shown."""
    texts = english()["issues"][issue["translation_key"]]["fix_flow"]
    if answer["type"] in WAITING:
        assert answer["type"] == "progress_done" or texts["progress"][answer["progress_action"]]
        return
    fields = {field["name"]: None for field in answer.get("data_schema") or ()}
    schema = type("Schema", (), {"schema": fields})
    check_texts(
        dict(answer) | {"type": FlowResultType(answer["type"]), "data_schema": schema}, texts
    )


@pytest.fixture
async def browser(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    hass_ws_client: WebSocketGenerator,
    hass_admin_user: MockUser,
) -> Browser:
    """Return a browser that is logged in; ask for it after what sets the site up."""
    for component in ("repairs", "config", "websocket_api"):
        assert await async_setup_component(hass, component, {})
    return Browser(hass=hass, user=hass_admin_user, client=hass_client, socket=hass_ws_client)
