"""Two servers on the loopback interface that stand for Salto: one scripted, one raw.

`Vendor` speaks proper HTTP and answers from a script; it keeps a journal of what it got.
`RawServer` writes bytes, so that it can break off wherever a network can.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
import socket
import struct
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

TOKEN_PATH = "/connect/token"


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    """Path and query, byte for byte."""
    headers: CIMultiDict[str]
    body: bytes

    @property
    def call(self) -> tuple[str, str]:
        """Method and target."""
        return self.method, self.target

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The body as a decoded form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True, strict_parsing=True))

    @property
    def bearer(self) -> str:
        """The token that came along."""
        scheme, _, token = self.headers["Authorization"].partition(" ")
        assert scheme == "Bearer"
        return token


@dataclass(frozen=True, slots=True)
class Reply:
    """One scripted answer. `content` is sent as JSON unless it is bytes."""

    status: int = 200
    content: Any = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0

    def response(self) -> web.Response:
        """Make the response."""
        if isinstance(self.content, bytes):
            return web.Response(status=self.status, body=self.content, headers=self.headers)
        return web.json_response(self.content, status=self.status, headers=self.headers)


def html(status: int, **headers: str) -> Reply:
    """Return the kind of page that a proxy puts in the way."""
    return Reply(
        status,
        b"<!doctype html><title>Out of order</title>",
        {"Content-Type": "text/html; charset=utf-8"} | headers,
    )


def refusal(status: int, code: object, message: str) -> Reply:
    """Return the vendor's own error envelope."""
    return Reply(status, {"ErrorCode": code, "Message": message})


def items(*rows: object, link: object = None) -> Reply:
    """Return one enveloped page."""
    return Reply(200, {"items": list(rows), "next_page_link": link, "count": None})


type Script = Reply | Callable[[Seen], Awaitable[Reply]]


class Vendor:
    """Identity server and API of one environment, answering from a script.

    Answers to one call are given in turn, the last of them over and over. A call that nobody
    has scripted is noted in `unscripted` and fails the test in the end.
    """

    def __init__(self, url: URL) -> None:
        """Issue a new token of an hour at each login until told otherwise."""
        self.url = url
        self.journal: list[Seen] = []
        self.unscripted: list[tuple[str, str]] = []
        self._script: dict[tuple[str, str], list[Script]] = defaultdict(list)
        self._anything: list[Script] = []
        self._logins = 0

    def on(self, method: str, target: str, *script: Script) -> None:
        """Answer a call (its target with or without the query) with these, in turn."""
        self._script[method, target] = list(script)

    def on_anything(self, *script: Script) -> None:
        """Answer calls that nobody has scripted with these, in turn; logins are no such calls."""
        self._anything = list(script)

    def on_login(self, *script: Script) -> None:
        """Answer logins with these, in turn."""
        self.on("POST", TOKEN_PATH, *script)

    def calls(self) -> list[tuple[str, str]]:
        """Return method and target of every API request, in order."""
        return [seen.call for seen in self.journal if seen.target != TOKEN_PATH]

    def logins(self) -> list[Seen]:
        """Return the token requests, in order."""
        return [seen for seen in self.journal if seen.target == TOKEN_PATH]

    async def handle(self, request: web.Request) -> web.Response:
        """Note a request and answer it."""
        seen = Seen(
            request.method, request.raw_path, CIMultiDict(request.headers), await request.read()
        )
        self.journal.append(seen)
        script = self._script.get(seen.call) or self._script.get((seen.method, request.path))
        if script is None:
            if seen.call == ("POST", TOKEN_PATH):
                return self.new_token().response()
            script = self._anything
        if not script:
            self.unscripted.append(seen.call)
            return web.Response(status=501, text="nobody has scripted this")
        step = script.pop(0) if len(script) > 1 else script[0]
        reply = step if isinstance(step, Reply) else await step(seen)
        await asyncio.sleep(reply.delay)
        return reply.response()

    def new_token(self, expires_in: object = 3600) -> Reply:
        """Return an answer with the next token: `token-1`, `token-2`, …."""
        self._logins += 1
        return Reply(
            200,
            {
                "access_token": f"token-{self._logins}",
                "expires_in": expires_in,
                "token_type": "Bearer",
                "scope": "user_api.full_access",
            },
        )


@asynccontextmanager
async def serving() -> AsyncIterator[Vendor]:
    """Serve a scripted vendor on the loopback interface."""

    async def handle(request: web.Request) -> web.Response:
        return await vendor.handle(request)

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        vendor = Vendor(URL.build(scheme="http", host=host, port=port))
        yield vendor
    finally:
        await runner.cleanup()


type Act = Callable[[asyncio.StreamWriter], Awaitable[None]]


class RawServer:
    """Reads a whole request, then does to the connection what it was told to."""

    def __init__(self) -> None:
        """Count the requests."""
        self.requests: list[str] = []
        self.url = URL()
        self._acts: list[Act] = []
        self._released = asyncio.Event()

    def then(self, *acts: Act) -> None:
        """Do these to the next requests, in turn; the last of them over and over."""
        self._acts = list(acts)

    async def hang(self, writer: asyncio.StreamWriter) -> None:
        """Say nothing more until the test is over."""
        await writer.drain()
        await self._released.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                self.requests.append(lines[0])
                fields = {k.lower(): v for k, _, v in (line.partition(":") for line in lines[1:])}
                await reader.readexactly(int(fields.get("content-length", "0")))
                act = self._acts.pop(0) if len(self._acts) > 1 else self._acts[0]
                await act(writer)
        except asyncio.IncompleteReadError, ConnectionError:
            return
        finally:
            writer.close()

    def release(self) -> None:
        """End what hangs."""
        self._released.set()


@asynccontextmanager
async def raw_serving() -> AsyncIterator[RawServer]:
    """Serve a raw server on the loopback interface."""
    raw = RawServer()
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    async with server:
        raw.url = URL.build(
            scheme="http", host="127.0.0.1", port=server.sockets[0].getsockname()[1]
        )
        yield raw
        raw.release()
        server.close_clients()


async def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off so that the other side gets a reset."""
    await writer.drain()
    await asyncio.sleep(0.02)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def send(data: bytes, then: Act | None = None) -> Act:
    """Write some bytes, then close the connection or do something else."""

    async def act(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then is None:
            writer.close()
        else:
            await then(writer)

    return act


async def keep_open(_writer: asyncio.StreamWriter) -> None:
    """Leave the connection for the next request."""
