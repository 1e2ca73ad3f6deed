"""The door log as it is written: a hub that speaks SignalR's JSON protocol over a websocket."""

import asyncio
from contextlib import suppress
import json
from typing import Any

from aiohttp import WSMsgType, web

from simulator import wire
from simulator.call import NOTE, Call, compact
from simulator.errors import (
    FORBIDDEN,
    NOT_FOUND,
    UnauthorizedError,
    VendorError,
    invalid_query,
    invalid_request,
)
from simulator.faults import PUSH, Fault
from simulator.hub import Subscriber
from simulator.routing import RouteTable
from simulator.world import Entry, PlatformUserId

routes = RouteTable()

PATH = "/v1/hub/entries"
METHOD = "ReceiveMessage"
FEATURE = "events_streaming"

RECORD_END = "\x1e"
KEEP_ALIVE = 15.0
"""Seconds between two signs of life to a client; the protocol's usual value."""
CLIENT_SILENCE = 30.0
"""Seconds without a sign of life after which a client is given up; the protocol's usual value."""
HANDSHAKE_WAIT = 15.0
LARGEST = 32 * 1024
"""Bytes of the largest message taken; the protocol's usual value."""

_OPTIONS = {"site_id", "user_id", "access_token", "id", "negotiateVersion"}


@routes.add("GET", PATH, versions=(), public=True)
async def connect(call: Call) -> web.StreamResponse:
    """Hold a connection, and send each new line of the door log that the caller may see.

    The token comes as a header or as `access_token`. Its end does not end a connection (UNK).
    Without the feature of the subscription the answer is 403/2203 (UNK).

    Evidence: DOC (address, options, token, 401, who sees what, the feature), CODE (method, its
    argument), INF (the protocol's version and times, 400), UNK (negotiation, what is sent twice).
    """
    subscriber = _admit(call)
    ticket = call.request.query.get("id")
    wanted = ticket is not None or call.quirks.hub_negotiation == "required"
    if wanted and not call.engine.hub.take_ticket(ticket or ""):
        raise VendorError(404, NOT_FOUND, "No Connection with that ID")
    socket = web.WebSocketResponse(max_msg_size=LARGEST, timeout=1.0)
    if not socket.can_prepare(call.request).ok:
        raise invalid_request("Connection ID required")
    await socket.prepare(call.request)
    call.request[NOTE](socket.status)
    with suppress(ConnectionError, TimeoutError):
        await _serve(call, socket, subscriber)
    await socket.close()
    return socket


@routes.add("POST", f"{PATH}/negotiate", versions=(), public=True)
async def negotiate(call: Call) -> web.Response:
    """Return a ticket for one connection.

    Evidence: INF (the protocol's own way; whether the service has it is UNK).
    """
    _admit(call)
    ticket = call.engine.dice.uuid()
    call.engine.hub.give_ticket(ticket)
    return call.json(
        {
            "negotiateVersion": 1,
            "connectionId": call.engine.dice.uuid(),
            "connectionToken": ticket,
            "availableTransports": [
                {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}
            ],
        }
    )


def _admit(call: Call) -> Subscriber:
    """Return what a caller wants to hear, or raise why it may not."""
    query = call.request.query
    scheme, _, token = call.request.headers.get("Authorization", "").partition(" ")
    value = token if scheme.lower() == "bearer" else query.get("access_token", "")
    if not value:
        raise UnauthorizedError
    call.caller = call.holder(value)
    if unknown := sorted(set(query) - _OPTIONS):
        raise invalid_query(f"The query option '{unknown[0]}' is not valid.")
    site = call.site_by_id(query.get("site_id", ""))
    if FEATURE not in site.features:
        raise VendorError(403, FORBIDDEN, "The feature is not part of the subscription.")
    user_id = query.get("user_id")
    return Subscriber(
        caller=call.account.user_id,
        site_id=site.id,
        user_id=None if user_id is None else PlatformUserId(user_id.lower()),
    )


async def _serve(call: Call, socket: web.WebSocketResponse, subscriber: Subscriber) -> None:
    """Shake hands, then send what comes until either side ends it."""
    hub = call.engine.hub
    hub.join(subscriber)
    sending = asyncio.create_task(_send(call, socket, subscriber))
    try:
        subscriber.ready = await _shake_hands(socket)
        while (
            subscriber.ready
            and (await socket.receive(timeout=CLIENT_SILENCE)).type is WSMsgType.TEXT
        ):
            pass
    finally:
        hub.leave(subscriber)
        sending.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await sending


async def _shake_hands(socket: web.WebSocketResponse) -> bool:
    """Agree on the protocol; a client that wants another one is told so."""
    message = await socket.receive(timeout=HANDSHAKE_WAIT)
    if message.type is not WSMsgType.TEXT:
        return False
    try:
        wanted = json.loads(message.data.removesuffix(RECORD_END))
        good = (wanted["protocol"], wanted["version"]) == ("json", 1)
    except ValueError, KeyError, TypeError:
        good = False
    answer = {} if good else {"error": "The protocol is not supported."}
    await socket.send_str(compact(answer) + RECORD_END)
    return good


async def _send(call: Call, socket: web.WebSocketResponse, subscriber: Subscriber) -> None:
    """Send lines as they come, and signs of life in between."""
    while True:
        try:
            async with asyncio.timeout(KEEP_ALIVE):
                entry = await subscriber.waiting.get()
        except TimeoutError:
            if not subscriber.ready:
                continue
            await socket.send_str(compact({"type": 6}) + RECORD_END)
            continue
        if entry is None or not await _push(call, socket, entry):
            await socket.close(code=1012)
            return


async def _push(call: Call, socket: web.WebSocketResponse, entry: Entry) -> bool:
    """Send one line, or let it meet its fault; False ends the connection."""
    fault = call.engine.faults.take(PUSH, PATH, PATH) or Fault()
    if fault.latency:
        await asyncio.sleep(fault.latency)
    if fault.reset:
        if call.request.transport is not None:
            call.request.transport.abort()
        return False
    if fault.body is not None:
        text = fault.body if isinstance(fault.body, str) else compact(fault.body)
        await socket.send_str(text)
    if fault.body is None or fault.commit:
        await socket.send_str(_message(call, entry))
    return not fault.drop_after_commit


def _message(call: Call, entry: Entry) -> str:
    """Return a line as a call of the client's method. Evidence: CODE, one client."""
    line: Any = wire.entry(entry, call.world, call.world.zone_of(entry))
    if call.quirks.hub_argument == "text":
        line = compact(line)
    return compact({"type": 1, "target": METHOD, "arguments": [line]}) + RECORD_END
