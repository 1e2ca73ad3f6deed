"""The control plane: what a test or a demo does from outside, under `/_sim/`."""

from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import datetime
import ipaddress
import json
from typing import Any

from aiohttp import web

from .codec import decode, encode
from .engine import Engine
from .errors import MisfitError, UnknownRecordError
from .faults import Fault
from .journal import masked
from .world import Record

type Handler = Callable[[web.Request], Awaitable[web.Response]]

_FAULT_TYPES: dict[str, Any] = {
    "route": str | None,
    "method": str | None,
    "status": int | None,
    "headers": dict[str, str],
    "latency": float,
    "reset": bool,
    "drop_after_commit": bool,
    "commit": bool,
    "truncate": int | None,
    "count": int | None,
    "after": int,
}


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine and nothing else."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def add_control(app: web.Application, engine: Engine) -> None:
    """Add the control plane to an application.

    It hands out every secret there is, so it answers only on this machine's own name and never to
    a page in a browser.
    """
    control = _Control(engine)
    for method, path, handler in (
        ("GET", "outbox", control.outbox),
        ("POST", "keypad", control.keypad),
        ("GET", "clock", control.clock),
        ("POST", "clock", control.set_clock),
        ("GET", "faults", control.faults),
        ("POST", "faults", control.add_fault),
        ("DELETE", "faults", control.clear_faults),
        ("GET", "journal", control.journal),
        ("DELETE", "journal", control.clear_journal),
        ("GET", "world", control.world),
        ("POST", "world", control.change_world),
        ("POST", "reset", control.reset),
        ("GET", "seed", control.seed),
    ):
        app.router.add_route(method, f"/_sim/{path}", _guarded(handler))


def _guarded(handler: Handler) -> Handler:
    async def guard(request: web.Request) -> web.Response:
        if "Origin" in request.headers or not is_loopback(request.url.host or ""):
            return _refusal(403, "the control plane answers on this machine only")
        try:
            return await handler(request)
        except UnknownRecordError as error:
            return _refusal(404, str(error))
        except ValueError as error:
            return _refusal(400, str(error))

    return guard


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


async def _values(request: web.Request, *names: str) -> dict[str, Any]:
    """Return a JSON body with no other fields than these. Raises MisfitError.

    The content type does not matter: `curl -d` has another one, and pages are kept out otherwise.
    """
    try:
        values = json.loads(await request.read())
    except ValueError:
        raise MisfitError("the body is no JSON") from None
    if not isinstance(values, dict):
        raise MisfitError("the body has to be an object")
    unknown = sorted(set(values) - set(names))
    if unknown:
        raise MisfitError(f"unknown: {', '.join(unknown)}")
    return values


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise MisfitError(f"{name} has to be a text")
    return value


class _Control:
    """The handlers, over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def outbox(self, _request: web.Request) -> web.Response:
        """Return the IQ PINs that went out."""
        return web.json_response(
            [
                {
                    "iq_id": item.iq_id,
                    "user": item.user,
                    "channel": item.channel,
                    "pin": item.pin,
                }
                for item in self._engine.outbox
            ]
        )

    async def keypad(self, request: web.Request) -> web.Response:
        """Type a PIN at a door."""
        values = await _values(request, "lock_id", "pin")
        answer = self._engine.keypad(_text(values, "lock_id"), _text(values, "pin"))
        return web.json_response({"result": answer.result, "reason": answer.reason})

    async def clock(self, _request: web.Request) -> web.Response:
        """Return the simulated time."""
        return web.json_response({"now": self._engine.clock.now().isoformat()})

    async def set_clock(self, request: web.Request) -> web.Response:
        """Move the simulated time."""
        values = await _values(request, "advance", "set")
        if len(values) != 1:
            raise MisfitError("one of advance and set is wanted")
        if "advance" in values:
            self._engine.clock.advance(decode(float, values["advance"]))
        else:
            self._engine.clock.set(decode(datetime, values["set"]))
        self._engine.settle()
        self._engine.save(clock_moved=True)
        return await self.clock(request)

    async def faults(self, _request: web.Request) -> web.Response:
        """Return the faults that still wait for requests."""
        return web.json_response([_shown(fault) for fault in self._engine.faults.pending])

    async def add_fault(self, request: web.Request) -> web.Response:
        """Set a fault."""
        values = await _values(request, "body", *_FAULT_TYPES)
        checked = {
            name: value if name == "body" else decode(_FAULT_TYPES[name], value)
            for name, value in values.items()
        }
        return web.json_response(_shown(self._engine.faults.add(Fault(**checked))))

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Take all faults away."""
        self._engine.faults.clear()
        return web.json_response([])

    async def journal(self, request: web.Request) -> web.Response:
        """Return the requests so far, by method and route if given, and how many they are."""
        unknown = sorted(set(request.query) - {"method", "route"})
        if unknown:
            raise MisfitError(f"unknown: {', '.join(unknown)}")
        found = self._engine.journal.filter(request.query.get("method"), request.query.get("route"))
        return web.json_response(
            {"count": len(found), "requests": [encode(entry) for entry in found]}
        )

    async def clear_journal(self, _request: web.Request) -> web.Response:
        """Forget the requests so far."""
        self._engine.journal.clear()
        return web.json_response({"count": 0, "requests": []})

    async def world(self, request: web.Request) -> web.Response:
        """Return all records of a kind, secrets masked."""
        records = self._engine.records(request.query.get("kind", "lock"))
        return web.json_response([_record(record) for record in records])

    async def change_world(self, request: web.Request) -> web.Response:
        """Set fields of a record, add one or remove one."""
        values = await _values(request, "kind", "id", "set", "add", "remove")
        kind = _text(values, "kind")
        actions = sorted(set(values) & {"set", "add", "remove"})
        if len(actions) != 1:
            raise MisfitError("one of set, add and remove is wanted")
        if actions == ["remove"]:
            self._engine.remove(kind, _text(values, "remove"))
            return web.json_response({})
        changes = decode(dict[str, Any], values[actions[0]])
        if actions == ["add"]:
            return web.json_response(_record(self._engine.add(kind, changes)))
        return web.json_response(_record(self._engine.set(kind, _text(values, "id"), **changes)))

    async def reset(self, _request: web.Request) -> web.Response:
        """Begin again with the seed's world."""
        self._engine.reset()
        return web.json_response({})

    async def seed(self, _request: web.Request) -> web.Response:
        """Return what a client needs to be set up."""
        return web.json_response(self._engine.seed_info())


def _shown(fault: Fault) -> dict[str, Any]:
    return {part.name: encode(getattr(fault, part.name)) for part in fields(fault)}


def _record(record: Record) -> Any:
    return masked(encode(record))
