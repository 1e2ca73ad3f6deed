"""A client of the demo's Home Assistant, over the API that its frontend uses."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from .errors import DemoError

type Answer = Callable[[Sequence[str]], Awaitable[Mapping[str, object]]]
"""Fills a form: from the names of its fields to what to send."""

FLOWS = "/api/config/config_entries/flow"
SUBENTRY_FLOWS = "/api/config/config_entries/subentries/flow"
OPTIONS_FLOWS = "/api/config/config_entries/options/flow"


class Commands:
    """An authenticated websocket connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Send commands through this socket."""
        self._socket = socket
        self._last_id = 0

    async def send(self, command: str, **fields: object) -> Any:
        """Send a command and return its result; raises DemoError if it is refused."""
        self._last_id += 1
        await self._socket.send_json({"id": self._last_id, "type": command, **fields})
        answer = await self._socket.receive_json()
        if not answer["success"]:
            raise DemoError(f"Home Assistant refuses {command}: {answer['error']['message']}")
        return answer["result"]


class HomeAssistant:
    """One running Home Assistant."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        """Address the Home Assistant at this base address."""
        self._session = session
        self._token = ""
        self.base = base

    async def request(
        self, method: str, path: str, *, json: object = None, form: Any = None
    ) -> Any:
        """Make a request and return its JSON; raises DemoError unless it is answered well."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        async with self._session.request(
            method, self.base + path, json=json, data=form, headers=headers
        ) as answer:
            if answer.status >= 400:
                raise DemoError(f"Home Assistant answers {answer.status} to {path}")
            return await answer.json()

    async def is_up(self) -> bool:
        """Return whether its web server answers."""
        try:
            async with self._session.get(self.base + "/manifest.json") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def is_running(self) -> bool:
        """Return whether its start is complete."""
        return bool((await self.request("GET", "/api/config"))["state"] == "RUNNING")

    async def log_in(self, username: str, password: str) -> None:
        """Log in as this user, the first of a new Home Assistant if it has none."""
        client = self.base + "/"
        code = await self._make_user(username, password, client)
        if code is None:
            flow = await self.request(
                "POST",
                "/auth/login_flow",
                json={
                    "client_id": client,
                    "handler": ["homeassistant", None],
                    "redirect_uri": client,
                },
            )
            done = await self.request(
                "POST",
                f"/auth/login_flow/{flow['flow_id']}",
                json={"client_id": client, "username": username, "password": password},
            )
            if done["type"] != "create_entry":
                raise DemoError(f"the user {username} of the kept folder has another password now")
            code = done["result"]
        tokens = await self.request(
            "POST",
            "/auth/token",
            form={"grant_type": "authorization_code", "code": code, "client_id": client},
        )
        self._token = tokens["access_token"]

    async def _make_user(self, username: str, password: str, client: str) -> str | None:
        """Make the first user and return a code to log in with; None where there is a user."""
        async with self._session.get(self.base + "/api/onboarding") as answer:
            # Home Assistant does not offer this address any more once it is all done.
            steps = await answer.json() if answer.status == 200 else []
        if not any(step["step"] == "user" and not step["done"] for step in steps):
            return None
        made = await self.request(
            "POST",
            "/api/onboarding/users",
            json={
                "name": username.title(),
                "username": username,
                "password": password,
                "client_id": client,
                "language": "en",
            },
        )
        return str(made["auth_code"])

    @asynccontextmanager
    async def commands(self) -> AsyncIterator[Commands]:
        """Open a websocket connection for commands."""
        async with self._session.ws_connect(self.base + "/api/websocket", max_msg_size=0) as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": self._token})
            if (await socket.receive_json())["type"] != "auth_ok":
                raise DemoError("Home Assistant refuses the connection")
            yield Commands(socket)

    async def walk(self, flows: str, handler: object, answer: Answer) -> dict[str, Any]:
        """Go through a config flow to its end; raises DemoError where it does not get there."""
        step: dict[str, Any] = await self.request("POST", flows, json={"handler": handler})
        while step["type"] == "form":
            if step["errors"]:
                raise DemoError(f"the step {step['step_id']} refuses: {step['errors']}")
            fields = [field["name"] for field in step["data_schema"]]
            filled = await answer(fields)
            step = await self.request("POST", f"{flows}/{step['flow_id']}", json=filled)
        if step["type"] != "create_entry":
            raise DemoError(f"the set-up ends with {step['type']}: {step.get('reason')}")
        return step

    async def entries(self, domain: str) -> list[dict[str, Any]]:
        """Return the config entries of an integration."""
        found: list[dict[str, Any]] = await self.request(
            "GET", f"/api/config/config_entries/entry?domain={domain}"
        )
        return found

    async def states(self) -> dict[str, dict[str, Any]]:
        """Return all states by entity id."""
        return {state["entity_id"]: state for state in await self.request("GET", "/api/states")}
