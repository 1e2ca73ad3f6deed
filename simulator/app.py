"""The web application: journal, faults, errors and authentication around the handlers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
import json
import socket
import struct
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web

from . import wire
from .call import NOTE, Call, compact
from .control import add_control
from .engine import Engine, Start, read_start
from .errors import (
    INVALID_REQUEST,
    NOT_FOUND,
    MisfitError,
    UnauthorizedError,
    VendorError,
    invalid_query,
    method_not_allowed,
)
from .faults import Fault
from .journal import MASK, JournalEntry, masked
from .quirks import Quirks
from .routes import ALL_ROUTES, TEMPLATES
from .routing import LIST_OPTIONS, Route
from .seeds import SeedName
from .world import Account

_RST_ON_CLOSE = struct.pack("ii", 1, 0)

type Answer = Callable[[], Awaitable[web.StreamResponse]]


class Simulator(Engine):
    """The simulated service: an `Engine` that can be served."""

    def __init__(
        self,
        seed: SeedName = "campsite",
        quirks: Quirks | None = None,
        rng_seed: int = 1,
        doors: int | None = None,
        users: int | None = None,
    ) -> None:
        super().__init__(
            Start(seed=seed, rng_seed=rng_seed, doors=doors, users=users),
            Quirks() if quirks is None else quirks,
            TEMPLATES,
        )

    @classmethod
    def load(cls, data: Mapping[str, Any], quirks: Quirks | None = None) -> Simulator:
        """Return the simulator that was dumped, by default with the quirks it had.

        Raises MisfitError for data of another format, or with parts missing.
        """
        try:
            start, stored = read_start(data)
            simulator = cls(quirks=stored if quirks is None else quirks)
            simulator.restore(start, data)
        except (KeyError, TypeError) as error:
            raise MisfitError(f"parts of the world are missing: {error}") from error
        return simulator

    def app(self, *, control: bool = False) -> web.Application:
        """Return a fresh application over this world, with the control plane if asked for."""
        return build_app(self, control=control)


def build_app(engine: Engine, *, control: bool) -> web.Application:
    """Return an application that answers as identity server and as API."""
    app = web.Application(middlewares=[_Outer(engine)])

    async def open_hub(_app: web.Application) -> None:
        engine.hub.open()

    async def close_hub(_app: web.Application) -> None:
        engine.hub.close()

    app.on_startup.append(open_hub)
    app.on_shutdown.append(close_hub)
    if control:
        add_control(app, engine)
    for route in ALL_ROUTES:
        for template in route.templates:
            app.router.add_route(route.method, template, _endpoint(engine, route))
    return app


def _endpoint(
    engine: Engine, route: Route
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Return the aiohttp handler of a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(
            engine=engine,
            request=request,
            raw_body=await request.read(),
            now=engine.clock.now(),
        )
        if not route.public:
            call.caller = _authenticate(call)
            call.options = _options(call, route)
        return await route.handler(call)

    return handle


def _authenticate(call: Call) -> Account:
    """Return the account of the bearer token, or raise 401; see `Call.holder`."""
    header = call.request.headers.get("Authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "bearer" or not value:
        raise UnauthorizedError
    return call.holder(value)


def _options(call: Call, route: Route) -> dict[str, str]:
    """Return the query options, or raise 400/1102 for one that is unknown or given twice."""
    options: dict[str, str] = {}
    for name, value in call.request.query.items():
        known = name
        if name not in route.options and f"${name}" in route.options & LIST_OPTIONS:
            if call.quirks.undollared_options == "ignored":
                continue
            if call.quirks.undollared_options == "accepted":
                known = f"${name}"
        if known not in route.options or known in options:
            raise invalid_query(f"The query option '{name}' is not valid.")
        options[known] = value
    return options


class _Outer:
    """What is around every handler of the API: journal, faults, saving, errors."""

    __middleware_version__ = 1

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def __call__(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        route = _template(request)
        if route.startswith("/_sim/"):
            return await handler(request)
        engine = self._engine
        engine.settle()
        at = engine.clock.now()
        raw = await _read(request)
        noted = False

        def note(status: int | None) -> None:
            nonlocal noted
            if noted:
                return
            noted = True
            engine.journal.add(
                JournalEntry(
                    at=at,
                    method=request.method,
                    route=route,
                    path=request.path,
                    query=masked(dict(request.query)),
                    body=_masked_body(request, raw),
                    authorization=_masked_authorization(request),
                    status=status,
                )
            )

        request[NOTE] = note
        status: int | None = None

        async def answer() -> web.StreamResponse:
            if raw is None:
                return self._error(VendorError(413, INVALID_REQUEST, "The request is too large"))
            response = await self._answer(request, handler)
            engine.save()
            return response

        try:
            fault = engine.faults.take(request.method, route, request.path)
            response = await (answer() if fault is None else _disturbed(request, fault, answer))
            if response is not _NO_ANSWER:
                status = response.status
                return response
        finally:
            note(status)
        return web.Response()

    async def _answer(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Run the handler and give errors the vendor's form."""
        try:
            return await handler(request)
        except UnauthorizedError as error:
            return web.Response(status=401, headers={"WWW-Authenticate": error.challenge})
        except VendorError as error:
            return self._error(error)
        except web.HTTPNotFound:
            return self._error(VendorError(404, NOT_FOUND, "The resource is not found"))
        except web.HTTPMethodNotAllowed as error:
            return self._error(method_not_allowed(error.allowed_methods))

    def _error(self, error: VendorError) -> web.Response:
        body = wire.error(error.code, error.message, self._engine.quirks)
        return web.json_response(body, status=error.status, headers=error.headers, dumps=compact)


_NO_ANSWER = web.Response()


async def _disturbed(request: web.Request, fault: Fault, answer: Answer) -> web.StreamResponse:
    """Let a request meet its fault."""
    if not fault.commit:
        await asyncio.sleep(fault.latency)
    if fault.reset:
        _hang_up(request, reset=True)
        return _NO_ANSWER
    if fault.answers and not (fault.commit or fault.drop_after_commit):
        return _made_up(fault)
    response = await answer()
    if fault.commit:
        await asyncio.sleep(fault.latency)
    if fault.drop_after_commit:
        _hang_up(request, reset=False)
        return _NO_ANSWER
    if fault.answers:
        return _made_up(fault)
    if fault.truncate is not None:
        return await _cut_off(request, response, fault.truncate)
    return response


def _made_up(fault: Fault) -> web.Response:
    """Return the answer that a fault brings."""
    headers = dict(fault.headers)
    if isinstance(fault.body, (str, bytes)):
        data = fault.body.encode() if isinstance(fault.body, str) else fault.body
    elif fault.body is None:
        data = b""
    else:
        data = compact(fault.body).encode()
        headers.setdefault("Content-Type", "application/json")
    return web.Response(status=fault.status or 200, body=data, headers=headers)


async def _cut_off(
    request: web.Request, response: web.StreamResponse, length: int
) -> web.StreamResponse:
    """Announce the whole body, send the beginning and close the connection."""
    body = response.body if isinstance(response, web.Response) else b""
    data = bytes(body) if isinstance(body, (bytes, bytearray)) else b""
    cut = web.StreamResponse(status=response.status, headers=response.headers)
    cut.content_length = len(data)
    await cut.prepare(request)
    await cut.write(data[:length])
    _hang_up(request, reset=False)
    return cut


def _hang_up(request: web.Request, *, reset: bool) -> None:
    """Close the connection; `reset` lets the other side see a reset instead of an end."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
        transport.abort()
    else:
        transport.close()


async def _read(request: web.Request) -> bytes | None:
    """Return the body, None if it is more than anybody needs."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        return None


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return "" if resource is None else resource.canonical


def _masked_body(request: web.Request, raw: bytes | None) -> Any:
    """Return a body for the journal: JSON or form fields, masked; anything else by its length."""
    if not raw:
        return None
    if request.content_type == "application/x-www-form-urlencoded":
        return masked(dict(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True)))
    try:
        return masked(json.loads(raw))
    except ValueError:
        return f"{len(raw)} bytes"


def _masked_authorization(request: web.Request) -> str | None:
    header = request.headers.get("Authorization")
    return None if header is None else f"{header.partition(' ')[0]} {MASK}"
