"""A plain HTTP client that knows nothing but paths, so that nobody's mistakes are shared."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
import hashlib
import json
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer

from simulator import Simulator

SCOPE = "user_api.full_access"
NOWHERE = "99999999-9999-4999-8999-999999999999"

ALWAYS: Mapping[str, object] = {
    **dict.fromkeys(
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), True
    ),
    "start_time": "00:00:00",
    "end_time": "23:59:59",
    "start_date": None,
    "end_date": None,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back over the wire."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, error code and message of a refusal, whose body has nothing else in it."""
        body = self.json
        assert set(body) == {"ErrorCode", "Message"}
        return self.status, body["ErrorCode"], body["Message"]

    @property
    def code(self) -> tuple[int, str]:
        """Status and error code of a refusal."""
        return self.error[:2]


def basic(client_id: str, secret: str) -> str:
    """Return a Basic header."""
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def code_for(secret: str, pin: str, moment: datetime) -> str:
    """Return an OTP, computed here once more so that the simulator does not check itself."""
    stamp = moment.strftime("%Y%m%d%H%M%S")
    text = f"{stamp}{secret}{pin}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest()[:5]


class Api:
    """One served simulator and a client with a token for it."""

    def __init__(self, sim: Simulator, server: TestServer, session: aiohttp.ClientSession) -> None:
        self.sim = sim
        self.server = server
        self.session = session
        self.seed = sim.seed_info()
        self.site_id: str = self.seed["site_id"]
        self.iq_id: str = self.seed["iqs"][0]["id"] if self.seed["iqs"] else ""
        self.token: str | None = None

    def lock_id(self, name: str) -> str:
        """Return the id of a lock of the main site."""
        found: str = next(lock["id"] for lock in self.seed["locks"] if lock["name"] == name)
        return found

    async def log_in(self, username: str | None = None, password: str | None = None) -> Answer:
        """Fetch a token and keep it."""
        answer = await self.ask_token(
            {
                "grant_type": "password",
                "username": username or self.seed["username"],
                "password": password or self.seed["password"],
                "scope": SCOPE,
            }
        )
        self.token = answer.json.get("access_token")
        return answer

    async def ask_token(
        self, form: Mapping[str, str], authorization: str | None = "", **options: Any
    ) -> Answer:
        """Ask for a token with this form; the empty header stands for the right client."""
        if authorization == "":
            authorization = basic(self.seed["client_id"], self.seed["client_secret"])
        headers = {} if authorization is None else {"Authorization": authorization}
        return await self.send("POST", "/connect/token", data=form, headers=headers, **options)

    async def send(self, method: str, path: str, **options: Any) -> Answer:
        """Send a request as it is."""
        async with self.session.request(
            method, self.server.make_url(path), allow_redirects=False, **options
        ) as response:
            return Answer(response.status, response.headers, await response.text())

    async def call(
        self, method: str, path: str, body: Any = None, *, version: str = "v1.2", **options: Any
    ) -> Answer:
        """Send an authenticated request to a path below the version."""
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        if body is not None:
            options["json"] = body
        return await self.send(method, f"/{version}{path}", headers=headers, **options)

    async def site(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send an authenticated request to a path below the main site."""
        return await self.call(method, f"/sites/{self.site_id}{path}", body, **options)

    def otp(self, secret: str, pin: str) -> str:
        """Return the OTP of the simulated second."""
        return code_for(secret, pin, self.sim.clock.now())

    async def open(self, lock_id: str, otp: str | None, state: str = "unlocked") -> Answer:
        """Command a lock."""
        body = {"locked_state": state} | ({} if otp is None else {"otp": otp})
        return await self.site("PATCH", f"/locks/{lock_id}/locking", body)

    async def new_guest(self, alias: str = "Pitch 1") -> dict[str, Any]:
        """Create a guest and return it."""
        answer = await self.site("POST", "/guests", {"alias": alias, "expires_at": None})
        assert answer.status == 201
        guest: dict[str, Any] = answer.json
        return guest

    async def new_group(self, name: str = "Stay") -> str:
        """Create an access group and return its id."""
        answer = await self.site("POST", "/access_groups", {"customer_reference": name})
        assert answer.status == 200
        group_id: str = answer.json["id"]
        return group_id

    async def new_schedule(self, group_id: str, **changes: object) -> Answer:
        """Give a group a schedule that always holds, but for these changes."""
        path = f"/access_groups/{group_id}/time_schedules"
        return await self.site("POST", path, {**ALWAYS, **changes}, version="v1.1")
