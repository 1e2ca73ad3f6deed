"""Listening to the hub: rings and nothing else, whatever the other side sends or does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
import json
import logging
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from freezegun.api import FrozenDateTimeFactory
import pytest
from yarl import URL

from custom_components.salto_ks.api.event_stream import (
    HUB_PATH,
    MAX_MESSAGE,
    PATIENCE,
    SIGN_OF_LIFE,
    SILENCE,
    EventStream,
    Ring,
)
from custom_components.salto_ks.api.exceptions import (
    AuthFailure,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsError,
    SaltoKsRateLimitError,
    SaltoKsResponseError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import SiteId

from .accounts import SITE, client_of
from .servers import Vendor

END = "\x1e"
LINE = "44444444-4444-4444-8444-444444444444"
OPENED: Ring = Ring(None)

type Talk = Callable[[web.WebSocketResponse], Awaitable[None]]


def record(content: Any) -> str:
    """Return a record of the protocol."""
    return json.dumps(content) + END


def call(*arguments: object, target: str = "ReceiveMessage") -> str:
    """Return a call of the client's method."""
    return record({"type": 1, "target": target, "arguments": list(arguments)})


class Hub:
    """A hub that says and does what a test wants, and remembers what it was asked."""

    def __init__(self) -> None:
        """Answer with these statuses first, and talk with what connects then."""
        self.url = URL()
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.ticket: Any = {"connectionToken": "ticket-1"}
        self.negotiation = 200
        self.hello: str | None = record({})
        self.talk: Talk = hang_up
        self.asked: list[web.Request] = []
        self.heard: list[str] = []
        self.sockets: list[web.WebSocketResponse] = []
        self._logins = 0

    async def log_in(self, _: web.Request) -> web.Response:
        """Give the next token."""
        self._logins += 1
        return web.json_response({"access_token": f"token-{self._logins}", "expires_in": 3600})

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Refuse a connection, or hold it."""
        self.asked.append(request)
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers=self.headers)
        socket = web.WebSocketResponse(timeout=0.2)
        await socket.prepare(request)
        self.sockets.append(socket)
        with suppress(TypeError):
            self.heard.append(await socket.receive_str())
            if self.hello is not None:
                await socket.send_str(self.hello)
            await self.talk(socket)
        await socket.close()
        return socket

    async def negotiate(self, request: web.Request) -> web.Response:
        """Give what the script says."""
        self.asked.append(request)
        return web.json_response(self.ticket, status=self.negotiation, headers=self.headers)

    @property
    def tokens(self) -> list[str]:
        """The tokens that came along."""
        return [request.headers["Authorization"] for request in self.asked]


async def hang_up(_: web.WebSocketResponse) -> None:
    """Say nothing more."""


def say(*messages: str | bytes) -> Talk:
    """Send these, and wait until the other side goes, or a moment."""

    async def talk(socket: web.WebSocketResponse) -> None:
        for message in messages:
            await (
                socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message)
            )
        with suppress(TimeoutError):
            await socket.receive(timeout=0.2)

    return talk


def take_signs(signs: list[str]) -> Talk:
    """Keep what comes, and say nothing."""

    async def talk(socket: web.WebSocketResponse) -> None:
        while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
            signs.append(message.data)

    return talk


@pytest.fixture
async def hub(socket_enabled: None) -> AsyncIterator[Hub]:
    """Serve a hub on loopback."""
    hub = Hub()
    app = web.Application()
    app.router.add_post("/connect/token", hub.log_in)
    app.router.add_get(HUB_PATH, hub.connect)
    app.router.add_post(f"{HUB_PATH}/negotiate", hub.negotiate)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    hub.url = server.make_url("")
    yield hub
    await server.close()


class Ear:
    """Somebody who listens, and what was rung."""

    def __init__(self, session: aiohttp.ClientSession, hub: Hub) -> None:
        """Listen to a hub."""
        self.rings: list[Ring] = []
        client = client_of(session, hub.url)
        self._stream = EventStream(session, client, hub.url / "ignored", SITE)

    async def listen(self) -> None:
        """Listen to the end."""
        await self._stream.listen(self.rings.append)

    async def error(self) -> SaltoKsError:
        """Return how listening ends."""
        with pytest.raises(SaltoKsError) as caught:
            await self.listen()
        return caught.value


@pytest.fixture
def ear(session: aiohttp.ClientSession, hub: Hub) -> Ear:
    """Return who listens to the hub."""
    return Ear(session, hub)


@asynccontextmanager
async def listening(ear: Ear) -> AsyncIterator[asyncio.Task[None]]:
    """Listen in the background."""
    task = asyncio.create_task(ear.listen())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def turn(condition: Callable[[], bool]) -> None:
    """Let everything run that can, until something is so."""
    for _ in range(20_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("what was waited for did not happen")


# Rings


@pytest.mark.parametrize(
    ("message", "event_id"),
    [
        (call(json.dumps({"id": LINE})), LINE),
        (call({"id": LINE}), LINE),
        (call({"id": LINE.upper()}, "more", target="Other"), LINE),
        (call(), None),
        (call(7), None),
        (call("no JSON"), None),
        (call("[" * 100_000), None),
        (call({"id": "no id"}), None),
        (call({"id": None}), None),
        (record({"type": 1}), None),
        (record({"type": 1, "arguments": "text"}), None),
    ],
)
async def test_call_is_a_ring(hub: Hub, ear: Ear, message: str, event_id: str | None) -> None:
    """A line is a ring with its id; whatever else is called is a ring too."""
    hub.talk = say(message)
    assert isinstance(await ear.error(), SaltoKsConnectionError)
    assert ear.rings == [OPENED, Ring(event_id)]
    assert hub.heard == ['{"protocol":"json","version":1}\x1e']


async def test_several_records_in_a_message(hub: Hub, ear: Ear) -> None:
    """Records come one by one or together; signs of life and what is not known are no rings."""
    hub.talk = say(
        record({"type": 6}) + call({"id": LINE}) + record({"type": 3, "result": 1}),
        record({}),
        call({"id": LINE}) * 2,
    )
    await ear.error()
    assert ear.rings == [OPENED, *[Ring(LINE)] * 3]


async def test_token_is_in_the_header_alone(hub: Hub, ear: Ear) -> None:
    """The address holds the site and nothing else: addresses end up in logs."""
    await ear.error()
    (request,) = hub.asked
    assert request.headers["Authorization"] == "Bearer token-1"
    assert dict(request.query) == {"site_id": SITE}


# Refusals


async def test_refused_token_is_renewed_once(hub: Hub, ear: Ear) -> None:
    """An old token is replaced; a new one that is refused too is the end."""
    hub.statuses = [401]
    await ear.error()
    assert hub.tokens == ["Bearer token-1", "Bearer token-2"]
    assert ear.rings == [OPENED]
    hub.statuses = [401, 401]
    error = await ear.error()
    assert isinstance(error, SaltoKsAuthError)
    assert error.failure is AuthFailure.BEARER
    assert hub.tokens[2:] == ["Bearer token-2", "Bearer token-3"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, SaltoKsResponseError),
        (429, SaltoKsRateLimitError),
        (500, SaltoKsServerError),
        (503, SaltoKsServerError),
        (200, SaltoKsUnexpectedResponseError),
    ],
)
async def test_refusals(hub: Hub, ear: Ear, status: int, kind: type[SaltoKsError]) -> None:
    """Each answer but a websocket is an error that says what to do."""
    hub.statuses = [status]
    error = await ear.error()
    assert isinstance(error, kind)
    assert "token-1" not in repr(error)
    assert ear.rings == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(
    hub: Hub, ear: Ear, elsewhere: Vendor, status: int
) -> None:
    """A token follows no redirect, neither of the hub nor of its negotiation."""
    hub.headers = {"Location": str(elsewhere.url.with_path(HUB_PATH))}
    hub.statuses = [status]
    assert isinstance(await ear.error(), SaltoKsUnexpectedResponseError)
    hub.statuses, hub.negotiation = [404], status
    assert isinstance(await ear.error(), SaltoKsUnexpectedResponseError)
    assert len(hub.asked) == 3


# Negotiation


@pytest.mark.parametrize("status", [400, 404, 405])
@pytest.mark.parametrize("name", ["connectionToken", "connectionId"])
async def test_hub_that_wants_negotiation(hub: Hub, ear: Ear, status: int, name: str) -> None:
    """A hub that takes nobody unannounced is asked for a ticket."""
    hub.statuses, hub.ticket = [status], {name: "a ticket+/="}
    hub.talk = say(call({"id": LINE}))
    await ear.error()
    assert ear.rings == [OPENED, Ring(LINE)]
    _, asked, came = hub.asked
    assert dict(asked.query) == {"site_id": SITE, "negotiateVersion": "1"}
    assert dict(came.query) == {"site_id": SITE, "id": "a ticket+/="}
    assert set(hub.tokens) == {"Bearer token-1"}


@pytest.mark.parametrize(
    "ticket", [[], {}, None, {"connectionToken": ""}, {"error": "no"}, {"connectionToken": []}]
)
async def test_negotiation_without_a_ticket(hub: Hub, ear: Ear, ticket: Any) -> None:
    """Without a ticket there is no connection."""
    hub.statuses, hub.ticket = [404], ticket
    assert isinstance(await ear.error(), SaltoKsUnexpectedResponseError)


async def test_negotiation_that_leads_elsewhere(hub: Hub, ear: Ear, elsewhere: Vendor) -> None:
    """A hub that sends its listeners to another host is not followed there."""
    hub.statuses = [404]
    hub.ticket = {"url": str(elsewhere.url), "accessToken": "other", "connectionToken": "ticket"}
    assert isinstance(await ear.error(), SaltoKsUnexpectedResponseError)
    assert len(hub.asked) == 2


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, SaltoKsAuthError), (404, SaltoKsResponseError), (500, SaltoKsServerError)],
)
async def test_refused_negotiation(
    hub: Hub, ear: Ear, status: int, kind: type[SaltoKsError]
) -> None:
    """A refusal there is a refusal."""
    hub.statuses, hub.negotiation = [404, 404], status
    assert isinstance(await ear.error(), kind)


async def test_ticket_that_is_not_taken(hub: Hub, ear: Ear) -> None:
    """A hub that refuses its own ticket is left at that."""
    hub.statuses = [404, 404]
    error = await ear.error()
    assert isinstance(error, SaltoKsResponseError)
    assert error.status == 404
    assert len(hub.asked) == 3


# What the other side sends


@pytest.mark.parametrize(
    "hello", ['{"error":"token-1"}\x1e', "garbage", "garbage\x1e", "[]\x1e", "", "{}"]
)
async def test_failed_handshake(hub: Hub, ear: Ear, hello: str) -> None:
    """Who does not take our protocol is no hub for us; his words are not passed on."""
    hub.hello = hello
    error = await ear.error()
    assert isinstance(error, SaltoKsUnexpectedResponseError)
    assert "token-1" not in repr(error)
    assert ear.rings == []


@pytest.mark.parametrize(
    "message",
    [
        "garbage",
        "garbage\x1e",
        "[]\x1e",
        "7\x1e",
        "\x1e",
        call({"id": LINE}).removesuffix(END),
        "[" * 100_000 + END,
        b"\x95\x01\x80\xc0",
    ],
)
async def test_garbage(hub: Hub, ear: Ear, message: str | bytes) -> None:
    """What is no SignalR ends the connection, and rings before it have counted."""
    hub.talk = say(call({"id": LINE}), message)
    assert isinstance(await ear.error(), SaltoKsUnexpectedResponseError)
    assert ear.rings == [OPENED, Ring(LINE)]


@pytest.mark.parametrize(
    "message", [record({"type": 7}), record({"type": 7, "error": "x", "allowReconnect": True})]
)
async def test_end_by_the_hub(hub: Hub, ear: Ear, message: str) -> None:
    """A hub may end it, and says so or just goes."""
    hub.talk = say(message + call({"id": LINE}))
    assert isinstance(await ear.error(), SaltoKsConnectionError)
    assert ear.rings == [OPENED]


async def test_oversized_message(hub: Hub, ear: Ear) -> None:
    """A message that is far too large ends the connection."""
    hub.talk = say(call("x" * MAX_MESSAGE))
    assert isinstance(await ear.error(), SaltoKsConnectionError)
    assert ear.rings == [OPENED]


async def test_broken_connection(hub: Hub, ear: Ear) -> None:
    """A connection that breaks in the middle is an end like any other."""

    async def break_off(_: web.WebSocketResponse) -> None:
        transport = hub.asked[-1].transport
        assert transport is not None
        transport.abort()

    hub.talk = break_off
    assert isinstance(await ear.error(), SaltoKsConnectionError)


async def test_nobody_there(session: aiohttp.ClientSession, hub: Hub, ear: Ear) -> None:
    """A hub that cannot be reached, and a session that is over, are a connection that is none."""
    client = client_of(session, hub.url)
    stream = EventStream(session, client, URL("http://127.0.0.1:1"), SITE)
    with pytest.raises(SaltoKsConnectionError, match="ClientConnectorError"):
        await stream.listen(ear.rings.append)
    async with aiohttp.ClientSession() as over:
        stream = EventStream(over, client, hub.url, SITE)
    with pytest.raises(SaltoKsConnectionError, match="the session is over"):
        await stream.listen(ear.rings.append)


def test_site_id_has_to_be_one(session: aiohttp.ClientSession, hub: Hub) -> None:
    """What is no id gets into no address."""
    with pytest.raises(ValueError, match="UUID"):
        EventStream(session, client_of(session, hub.url), hub.url, SiteId("a&user_id=b"))


# Time


async def test_signs_of_life(freezer: FrozenDateTimeFactory, hub: Hub, ear: Ear) -> None:
    """We show that we are alive, also to a hub that talks all the time; silence is an end."""
    signs: list[str] = []
    hub.talk = take_signs(signs)
    async with listening(ear) as task:
        await turn(lambda: ear.rings == [OPENED])
        for number in (1, 2, 3, 4):
            freezer.tick(SIGN_OF_LIFE + 0.1)
            await hub.sockets[0].send_str(record({"type": 6}))
            await turn(lambda number=number: len(signs) == number)  # type: ignore[misc] # bound here
        assert signs == ['{"type":6}\x1e'] * 4
        freezer.tick(SILENCE + 0.1)
        await turn(task.done)
    error = task.exception()
    assert isinstance(error, SaltoKsConnectionError)
    assert "silence" in str(error)


async def test_handshake_that_does_not_come(
    freezer: FrozenDateTimeFactory, hub: Hub, ear: Ear
) -> None:
    """A hub that says nothing to our handshake is given up."""
    hub.hello, hub.talk = None, take_signs([])
    async with listening(ear) as task:
        await turn(lambda: bool(hub.heard))
        freezer.tick(PATIENCE + 0.1)
        await turn(task.done)
    assert isinstance(task.exception(), SaltoKsConnectionError)
    assert ear.rings == []


async def test_cancelling_ends_the_connection(hub: Hub, ear: Ear) -> None:
    """Who stops listening leaves no connection behind."""
    hub.talk = take_signs([])
    async with listening(ear):
        await turn(lambda: ear.rings == [OPENED])
    await turn(lambda: hub.sockets[0].closed)


# Secrets


async def test_nothing_of_it_is_logged(
    hub: Hub, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    """No token, no line and no name of anybody is in the log, whatever happens."""
    caplog.set_level(logging.DEBUG)
    line = json.dumps({"id": LINE, "user_first_name": "Fenna", "access_detail": "04A1B2"})
    hub.talk = say(call(line))
    await ear.error()
    hub.talk = say(call(line) + "Fenna")
    await ear.error()
    hub.statuses = [401, 403]
    await ear.error()
    assert "Connected to the hub" in caplog.text
    for secret in ("token-1", "token-2", LINE, "Fenna", "04A1B2"):
        assert secret not in caplog.text
