"""Hear of the door log as it is written: a doorbell, and nothing that anything could rest on.

The vendor pushes each line through a SignalR hub (DOC). A line is taken for a ring alone, with
its id if it has one: what happened is read from the log, which loses and doubles nothing.

Of SignalR's JSON protocol this speaks what listening needs: the handshake, signs of life both
ways, calls of the client's method, the end. Nothing that was sent or received is ever logged.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
import json
import logging
from time import monotonic
from typing import Any, Final, NoReturn

import aiohttp
from yarl import URL

from .access_events import AccessEventId
from .caller import Caller
from .exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsResponseError,
    SaltoKsUnexpectedResponseError,
)
from .models import SiteId
from .parsing import is_uuid, text
from .responses import raise_for_status
from .transport import Answer

_LOGGER = logging.getLogger(__name__)

FEATURE: Final = "events_streaming"
"""What the subscription of a site with a hub has among its features (DOC)."""

HUB_PATH: Final = "/v1/hub/entries"

SIGN_OF_LIFE: Final = 15.0
"""Seconds between two signs of life from us; the protocol's usual value."""

SILENCE: Final = 45.0
"""Seconds of silence after which a connection is given up; three signs of life were missed."""

PATIENCE: Final = 15.0
"""Seconds for connecting with one token, and again for the handshake."""

MAX_MESSAGE: Final = 256 * 1024
"""Bytes of the largest message taken; a line of the log has about 1 kB."""

_RECORD_END: Final = "\x1e"
_HANDSHAKE: Final = '{"protocol":"json","version":1}' + _RECORD_END
_PING: Final = '{"type":6}' + _RECORD_END
_WANTS_NEGOTIATION: Final = frozenset({400, 404, 405})
"""What a hub may answer that takes no connection which was not negotiated (UNK)."""


class _Kind(IntEnum):
    """What a record is, as far as it matters here; signs of life and the rest do not."""

    CALL = 1
    END = 7


@dataclass(frozen=True, slots=True)
class Ring:
    """Something is new in the door log; where the hub said what, with its id."""

    event_id: AccessEventId | None


type Heard = Callable[[Ring], object]


class EventStream:
    """The hub of one site, for one account."""

    def __init__(
        self, session: aiohttp.ClientSession, caller: Caller, stream_url: URL, site_id: SiteId
    ) -> None:
        """Listen at the origin of `stream_url`, over the connections of `session`.

        The token of `caller` goes to that origin and nowhere else. Raises ValueError for a site
        id that is no UUID.
        """
        if not is_uuid(site_id):
            raise ValueError("the site id is not a UUID")
        self._session = session
        self._tokens = caller.tokens
        self._url = stream_url.origin().with_path(HUB_PATH).with_query(site_id=site_id)

    async def listen(self, heard: Heard) -> NoReturn:
        """Connect, and hand on each ring until the connection ends, which always raises.

        The first ring has no id and means that from here on nothing is missed. Raises from the
        tree of `SaltoKsError`: SaltoKsConnectionError for a connection that did not come about
        or has ended, SaltoKsAuthError and SaltoKsResponseError for a refusal, and
        SaltoKsUnexpectedResponseError for a redirect or what is no SignalR.
        """
        try:
            async with _own_session(self._session) as session, self._connected(session) as socket:
                await _shake_hands(socket)
                heard(Ring(None))
                await _hear(socket, heard)
        except _RedirectError:
            raise SaltoKsUnexpectedResponseError("the hub redirects") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            raise _broken(type(err).__name__) from None

    @asynccontextmanager
    async def _connected(
        self, session: aiohttp.ClientSession
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Connect with a token; where that is refused, once more with a new one."""
        token = await self._tokens.token()
        try:
            socket = await self._connect(session, token)
        except _RefusedTokenError:
            self._tokens.discard(token)
            token = await self._tokens.token()
            try:
                socket = await self._connect(session, token)
            except _RefusedTokenError:
                raise SaltoKsAuthError(
                    "the hub refuses a new token", failure=AuthFailure.BEARER
                ) from None
        async with socket:
            yield socket

    async def _connect(
        self, session: aiohttp.ClientSession, token: str
    ) -> aiohttp.ClientWebSocketResponse:
        """Connect as the vendor says (DOC), or by negotiation where the hub insists (UNK)."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await _open(session, self._url, token)
            except SaltoKsResponseError as err:
                if err.status not in _WANTS_NEGOTIATION:
                    raise
            ticket = await self._negotiate(session, token)
            return await _open(session, self._url.update_query(id=ticket), token)

    async def _negotiate(self, session: aiohttp.ClientSession, token: str) -> str:
        """Ask for a ticket to one connection.

        A hub that sends its listeners on to another host is not followed.
        """
        url = self._url.with_path(f"{HUB_PATH}/negotiate").with_query(
            {**self._url.query, "negotiateVersion": "1"}
        )
        async with session.post(url, headers=_bearer(token)) as response:
            body = await response.content.read(MAX_MESSAGE)
        answer = Answer(status=response.status, headers=response.headers, body=body)
        _raise_for_refusal(answer, token)
        data = answer.json(Endpoint.API)
        fields = data if isinstance(data, Mapping) else {}
        ticket = text(fields, "connectionToken") or text(fields, "connectionId")
        if "url" in fields or not ticket:
            raise SaltoKsUnexpectedResponseError("the hub gives no ticket to a connection of ours")
        return ticket


class _RefusedTokenError(Exception):
    """The hub does not take this token; another one might do."""


class _RedirectError(aiohttp.ClientError):
    """The server wants us elsewhere."""


async def _stay_here(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Follow no redirect, which opening a websocket cannot be told otherwise."""
    response = await handler(request)
    if 300 <= response.status < 400:
        response.close()
        raise _RedirectError
    return response


@asynccontextmanager
async def _own_session(session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientSession]:
    """Make a session that stays where it is, on the connections of another one."""
    if session.connector is None:
        raise _broken("the session is over")
    async with aiohttp.ClientSession(
        connector=session.connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=session.headers,
        timeout=aiohttp.ClientTimeout(),
        middlewares=(_stay_here,),
    ) as own:
        yield own


async def _open(
    session: aiohttp.ClientSession, url: URL, token: str
) -> aiohttp.ClientWebSocketResponse:
    """Open a websocket. Raises _RefusedTokenError for a 401."""
    try:
        return await session.ws_connect(
            url,
            headers=_bearer(token),
            max_msg_size=MAX_MESSAGE,
            timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
        )
    except aiohttp.WSServerHandshakeError as err:
        # It holds the request with its token, so nothing but this is passed on.
        refusal = Answer(status=err.status, headers=err.headers or {}, body=b"")
    _raise_for_refusal(refusal, token)
    raise SaltoKsUnexpectedResponseError(f"HTTP {refusal.status} instead of a websocket")


def _raise_for_refusal(answer: Answer, token: str) -> None:
    """Raise for anything but a success. Raises _RefusedTokenError for a 401."""
    if answer.status == 401:
        raise _RefusedTokenError
    if answer.status >= 300:
        raise_for_status(answer, endpoint=Endpoint.API, sent=(token,))


def _bearer(token: str) -> Mapping[str, str]:
    """Return the header with the token; in the address it would end up in logs (DOC for both)."""
    return {"Authorization": f"Bearer {token}"}


async def _shake_hands(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Agree on the protocol. A hub that does not is none that we could listen to."""
    await socket.send_str(_HANDSHAKE)
    message = await socket.receive(timeout=PATIENCE)
    records = [*_records(_text_of(message))]
    if not records or records[0]:
        raise SaltoKsUnexpectedResponseError("the hub does not take our protocol")
    _LOGGER.debug("Connected to the hub")


async def _hear(socket: aiohttp.ClientWebSocketResponse, heard: Heard) -> NoReturn:
    """Hand on each ring, and show that we are alive, until the connection ends."""
    heard_at = pinged_at = monotonic()
    while True:
        now = monotonic()
        if now - heard_at >= SILENCE:
            raise _broken("silence")
        if now - pinged_at >= SIGN_OF_LIFE:
            await socket.send_str(_PING)
            pinged_at = now
        try:
            message = await socket.receive(timeout=pinged_at + SIGN_OF_LIFE - now)
        except TimeoutError:
            continue
        heard_at = monotonic()
        for record in _records(_text_of(message)):
            match record.get("type"):
                case _Kind.CALL:
                    heard(Ring(_event_id(record)))
                case _Kind.END:
                    raise _broken("the hub ends it")


def _text_of(message: aiohttp.WSMessage) -> str:
    """Return the text of a message; the end of a connection, or something binary, has none."""
    if message.type is aiohttp.WSMsgType.TEXT:
        content: str = message.data
        return content
    if message.type is aiohttp.WSMsgType.BINARY:
        raise SaltoKsUnexpectedResponseError("a message of the hub is no text")
    raise _broken("closed")


def _records(content: str) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a message, each a JSON object with a sign at its end."""
    *records, rest = content.split(_RECORD_END)
    if rest:
        raise SaltoKsUnexpectedResponseError("a message of the hub does not end")
    for record in records:
        data = _json(record)
        if not isinstance(data, Mapping):
            raise SaltoKsUnexpectedResponseError("a message of the hub is no JSON object")
        yield data


def _event_id(record: Mapping[str, Any]) -> AccessEventId | None:
    """Return the id of the line that a call brings: as a text that holds JSON (CODE), or not.

    Whatever is called, and with whatever, it is a ring.
    """
    arguments = record.get("arguments")
    line = arguments[0] if isinstance(arguments, list) and arguments else None
    if isinstance(line, str):
        line = _json(line)
    value = text(line, "id").strip().lower() if isinstance(line, Mapping) else ""
    return AccessEventId(value) if is_uuid(value) else None


def _json(content: str) -> Any:
    """Read JSON; None for anything else."""
    try:
        return json.loads(content)
    except ValueError, RecursionError:
        return None


def _broken(why: str) -> SaltoKsConnectionError:
    """Return the error of a connection that is none, or none any more."""
    return SaltoKsConnectionError(f"no connection to the hub ({why})")
