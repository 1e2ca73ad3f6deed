"""What the network and everything between us and Salto can do to an answer."""

from collections.abc import AsyncIterator, Awaitable, Callable
import gzip
import json
import socket
import traceback
from typing import Any, override

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
import pytest
from yarl import URL

from custom_components.salto_ks.api import SaltoKsClient
from custom_components.salto_ks.api.exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsError,
    SaltoKsRateLimitError,
    SaltoKsResponseError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import LockCommand, PinChannel
from custom_components.salto_ks.api.transport import MAX_BODY

from .accounts import ACCOUNT, IQ, LOCK, LOCKING, LOCKS, PIN, SITE, client_of
from .payloads import LOCK_OBJECT
from .servers import (
    TOKEN_PATH,
    Act,
    RawServer,
    Reply,
    Vendor,
    html,
    items,
    keep_open,
    reset,
    send,
)

OTP = "0f1e2"
SHORT = aiohttp.ClientTimeout(total=0.2)

PAGE = json.dumps({"items": [LOCK_OBJECT], "next_page_link": None}).encode()


def answer(body: bytes, *, length: int | None = None, fields: str = "") -> bytes:
    """Spell a whole HTTP answer, or one that announces another length than it has."""
    size = len(body) if length is None else length
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n"
    return f"{head}{fields}\r\n".encode() + body


def read(client: SaltoKsClient) -> Awaitable[object]:
    """Read something that may be read twice."""
    return client.locks(SITE)


def command(client: SaltoKsClient) -> Awaitable[object]:
    """Do something that must not be done twice."""
    return client.command_lock(SITE, LOCK, LockCommand.OPEN, otp=OTP)


def activate(client: SaltoKsClient) -> Awaitable[object]:
    """Set the PIN, which goes out as a PUT."""
    return client.set_pin(SITE, IQ, otp=OTP)


def ask_for_pin(client: SaltoKsClient) -> Awaitable[object]:
    """Have a PIN sent, which is a GET with consequences."""
    return client.request_pin(SITE, IQ, PinChannel.SMS)


type Call = Callable[[SaltoKsClient], Awaitable[object]]

CALLS = pytest.mark.parametrize("call", [read, command])

RAW_FAULTS: dict[str, Act] = {
    "reset before an answer": reset,
    "closed before an answer": send(b""),
    "reset in the head": send(b"HTTP/1.1 200 OK\r\nContent-Ty", reset),
    "closed in the head": send(b"HTTP/1.1 200 OK\r\nContent-Ty"),
    "reset in the body": send(answer(PAGE[:40], length=len(PAGE)), reset),
    "closed in the body": send(answer(PAGE[:40], length=len(PAGE))),
    "length too great": send(answer(PAGE, length=len(PAGE) + 1)),
    "length too small": send(answer(PAGE + b"xx", length=len(PAGE))),
    "chunked without an end": send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}   \r\n"
    ),
    "nonsense in chunks": send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}"),
    "no HTTP at all": send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"),
    "two lengths": send(answer(PAGE, fields="Content-Length: 3\r\n")),
    "not gzip": send(answer(PAGE, fields="Content-Encoding: gzip\r\n")),
    "endless head": send(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n"),
}


@pytest.fixture
async def half(
    session: aiohttp.ClientSession, vendor: Vendor, raw: RawServer
) -> AsyncIterator[SaltoKsClient]:
    """Make a client whose identity server is well and whose API is raw."""
    yield client_of(session, raw.url, vendor.url)
    assert len(vendor.logins()) == 1


@CALLS
@pytest.mark.parametrize("fault", RAW_FAULTS.values(), ids=RAW_FAULTS)
async def test_incomplete_answer_is_a_connection_error(
    half: SaltoKsClient, raw: RawServer, call: Call, fault: Act
) -> None:
    """Whatever breaks off or is no HTTP means that no answer arrived."""
    raw.then(fault)
    with pytest.raises(SaltoKsConnectionError) as caught:
        await call(half)
    assert caught.value.endpoint is Endpoint.API


@pytest.mark.parametrize(
    "fault",
    [reset, send(b""), send(answer(b"{}"[:1], length=2))],
    ids=["reset", "closed", "cut off"],
)
async def test_identity_server_that_breaks_off_is_named(
    session: aiohttp.ClientSession, vendor: Vendor, raw: RawServer, fault: Act
) -> None:
    """A login without an answer is a connection error of the identity server, tried once."""
    raw.then(fault)
    with pytest.raises(SaltoKsConnectionError) as caught:
        await read(client_of(session, vendor.url, raw.url))
    assert caught.value.endpoint is Endpoint.IDENTITY
    assert raw.requests == [f"POST {TOKEN_PATH} HTTP/1.1"]
    assert vendor.journal == []


@pytest.mark.parametrize("call", [command, activate, ask_for_pin])
@pytest.mark.parametrize("fault", [reset, send(b"")], ids=["reset", "closed"])
async def test_request_with_consequences_is_sent_once(
    half: SaltoKsClient, raw: RawServer, call: Call, fault: Act
) -> None:
    """A broken connection never makes anything repeat a command, a PIN change or a delivery."""
    raw.then(fault)
    with pytest.raises(SaltoKsConnectionError):
        await call(half)
    assert len(raw.requests) == 1


@pytest.mark.parametrize("call", [command, activate, ask_for_pin])
async def test_request_with_consequences_is_sent_once_on_a_used_connection(
    half: SaltoKsClient, raw: RawServer, call: Call
) -> None:
    """Nor does a connection that has served before and breaks now."""
    raw.then(send(answer(PAGE), keep_open), reset)
    await read(half)
    with pytest.raises(SaltoKsConnectionError):
        await call(half)
    assert len(raw.requests) == 2


async def test_read_survives_a_connection_that_was_closed_meanwhile(
    half: SaltoKsClient, raw: RawServer
) -> None:
    """A read on a kept connection that turns out dead is sent again on a new one."""
    raw.then(send(answer(PAGE), keep_open), reset, send(answer(PAGE), keep_open))
    assert await half.locks(SITE) == await half.locks(SITE)
    assert len(raw.requests) == 3


@CALLS
async def test_refused_connection_is_a_connection_error(
    session: aiohttp.ClientSession, vendor: Vendor, call: Call
) -> None:
    """Nobody listens on the API's port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = URL.build(scheme="http", host="127.0.0.1", port=unused.getsockname()[1])
        with pytest.raises(SaltoKsConnectionError, match="ClientConnectorError") as caught:
            await call(client_of(session, url, vendor.url))
    assert caught.value.endpoint is Endpoint.API


class NoSuchHost(AbstractResolver):
    """A resolver to which no name is known."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Find nothing."""
        raise OSError(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        """Do nothing."""


async def test_unknown_host_is_a_connection_error(socket_enabled: None) -> None:
    """A host name that does not resolve is the server that could not be reached."""
    connector = aiohttp.TCPConnector(resolver=NoSuchHost())
    async with aiohttp.ClientSession(connector=connector) as session:
        client = client_of(session, URL("http://connect.invalid"))
        with pytest.raises(SaltoKsConnectionError, match="DNS") as caught:
            await client.check_login()
    assert caught.value.endpoint is Endpoint.IDENTITY


@CALLS
async def test_server_without_tls_is_a_connection_error(
    session: aiohttp.ClientSession, vendor: Vendor, call: Call
) -> None:
    """TLS that does not come about is no answer, and nothing is sent in the clear instead."""
    client = client_of(session, vendor.url.with_scheme("https"), vendor.url)
    with pytest.raises(SaltoKsConnectionError) as caught:
        await call(client)
    assert caught.value.endpoint is Endpoint.API
    assert vendor.calls() == []


@CALLS
@pytest.mark.parametrize(
    "begun", [b"", answer(b"", length=9), answer(PAGE[:9], length=99)], ids=["none", "head", "body"]
)
async def test_silence_is_a_connection_error(
    session: aiohttp.ClientSession, vendor: Vendor, raw: RawServer, call: Call, begun: bytes
) -> None:
    """An answer that does not come, or stops coming, ends with the time-out, and only once."""
    raw.then(send(begun, raw.hang))
    with pytest.raises(SaltoKsConnectionError, match="TimeoutError"):
        await call(client_of(session, raw.url, vendor.url, timeout=SHORT))
    assert len(raw.requests) == 1


async def test_silent_identity_server_is_named(
    session: aiohttp.ClientSession, vendor: Vendor, raw: RawServer
) -> None:
    """A login without an answer ends with the time-out, and is the identity server's."""
    raw.then(raw.hang)
    with pytest.raises(SaltoKsConnectionError, match="TimeoutError") as caught:
        await client_of(session, vendor.url, raw.url, timeout=SHORT).check_login()
    assert caught.value.endpoint is Endpoint.IDENTITY


async def test_slow_answer_within_the_time_is_an_answer(
    session: aiohttp.ClientSession, vendor: Vendor
) -> None:
    """A server that takes its time is waited for."""
    vendor.on("GET", LOCKS, Reply(200, {"items": [LOCK_OBJECT]}, delay=0.1))
    client = client_of(session, vendor.url, timeout=aiohttp.ClientTimeout(total=5))
    assert len(await client.locks(SITE)) == 1


def deep(depth: int) -> bytes:
    """Return JSON nested that deep."""
    return b"[" * depth + b"]" * depth


NOT_AN_OBJECT: dict[str, Reply] = {
    "web page": html(200),
    "truncated": Reply(200, PAGE[:40]),
    "empty": Reply(200),
    "blank": Reply(200, b" \r\n"),
    "nothing": Reply(204),
    "text": Reply(200, b'"a text"'),
    "number": Reply(200, b"5"),
    "null": Reply(200, b"null"),
    "truth": Reply(200, b"true"),
    "not a number": Reply(200, b"NaN"),
    "endless number": Reply(200, b"9" * 5000),
    "nested deep": Reply(200, deep(200_000)),
    "not UTF-8": Reply(200, b'{"items": ["\xff"]}'),
    "object without items": Reply(200, {"next_page_link": None}),
    "items of null": Reply(200, {"items": None}),
    "items of objects": Reply(200, {"items": {"id": 1}}),
}


@pytest.mark.parametrize("reply", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT)
async def test_success_without_the_thing_is_unexpected(
    client: SaltoKsClient, vendor: Vendor, reply: Reply
) -> None:
    """A 2xx whose body is not what was asked for is named as such, for a list and for one."""
    vendor.on("GET", LOCKS, reply)
    vendor.on("GET", f"{LOCKS}/{LOCK}", reply)
    with pytest.raises(SaltoKsUnexpectedResponseError):
        await client.locks(SITE)
    with pytest.raises(SaltoKsUnexpectedResponseError):
        await client.lock(SITE, LOCK)


@pytest.mark.parametrize("reply", NOT_AN_OBJECT.values(), ids=NOT_AN_OBJECT)
async def test_login_without_a_token_is_unexpected(
    client: SaltoKsClient, vendor: Vendor, reply: Reply
) -> None:
    """A 2xx of the identity server without a token is an unexpected answer of that server."""
    vendor.on_login(reply)
    with pytest.raises(SaltoKsUnexpectedResponseError) as caught:
        await client.check_login()
    assert caught.value.endpoint is Endpoint.IDENTITY
    assert len(vendor.logins()) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200),
        Reply(204),
        Reply(202),
        Reply(200, {"locked_state": "unlocked"}),
        Reply(200, b"OK"),
    ],
    ids=["empty", "204", "202", "JSON", "text"],
)
async def test_command_succeeds_whatever_the_success_says(
    client: SaltoKsClient, vendor: Vendor, reply: Reply
) -> None:
    """The body of a successful command was never captured, so only its status counts."""
    vendor.on("PATCH", LOCKING, reply)
    await command(client)
    assert vendor.calls() == [("PATCH", LOCKING)]


@pytest.mark.parametrize(
    ("call", "method", "target"), [(command, "PATCH", LOCKING), (activate, "PUT", PIN)]
)
async def test_web_page_is_no_success_of_a_command(
    client: SaltoKsClient, vendor: Vendor, call: Call, method: str, target: str
) -> None:
    """A page that something in between answers with 200 does not mean that a door opened."""
    vendor.on(method, target, html(200))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="web page"):
        await call(client)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("make", [html, Reply], ids=["web page", "empty"])
@CALLS
async def test_failing_server_is_a_server_error(
    client: SaltoKsClient, vendor: Vendor, call: Call, make: Callable[[int], Reply], status: int
) -> None:
    """A 5xx is the server's failure, whatever comes with it, and is not tried again."""
    vendor.on("GET", LOCKS, make(status))
    vendor.on("PATCH", LOCKING, make(status))
    with pytest.raises(SaltoKsServerError) as caught:
        await call(client)
    assert (caught.value.status, caught.value.code) == (status, None)
    assert caught.value.endpoint is Endpoint.API
    assert len(vendor.calls()) == 1


@pytest.mark.parametrize("make", [html, Reply], ids=["web page", "empty"])
async def test_request_that_timed_out_on_the_way_may_have_been_acted_on(
    client: SaltoKsClient, vendor: Vendor, make: Callable[[int], Reply]
) -> None:
    """408 without the vendor's code leaves the outcome open, as a 5xx does."""
    vendor.on("PATCH", LOCKING, make(408))
    with pytest.raises(SaltoKsServerError) as caught:
        await command(client)
    assert caught.value.status == 408


@pytest.mark.parametrize("status", [400, 403, 404, 405])
async def test_web_page_of_a_refusal_is_not_the_vendors_word(
    client: SaltoKsClient, vendor: Vendor, status: int
) -> None:
    """A proxy's 404 page must not mean that a door or a guest does not exist."""
    vendor.on("GET", LOCKS, html(status))
    with pytest.raises(SaltoKsUnexpectedResponseError, match=f"HTTP {status}"):
        await client.locks(SITE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@CALLS
async def test_redirect_of_the_api_is_not_followed(
    client: SaltoKsClient, vendor: Vendor, elsewhere: Vendor, call: Call, status: int
) -> None:
    """Neither token nor OTP go to the address that a redirect names."""
    there = Reply(status, headers={"Location": str(elsewhere.url / "v1.2")})
    vendor.on("GET", LOCKS, there)
    vendor.on("PATCH", LOCKING, there)
    with pytest.raises(SaltoKsUnexpectedResponseError, match=f"redirects .HTTP {status}") as caught:
        await call(client)
    assert caught.value.endpoint is Endpoint.API
    assert len(vendor.calls()) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_of_the_identity_server_is_not_followed(
    client: SaltoKsClient, vendor: Vendor, elsewhere: Vendor, status: int
) -> None:
    """The form with the password does not go to the address that a redirect names."""
    vendor.on_login(Reply(status, headers={"Location": str(elsewhere.url)}))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="redirects") as caught:
        await client.check_login()
    assert caught.value.endpoint is Endpoint.IDENTITY


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_oversized_answer_is_given_up(
    client: SaltoKsClient, vendor: Vendor, packed: bool
) -> None:
    """No answer may fill the memory, not even one that is small on the wire."""
    body = b" " * (MAX_BODY + 1)
    vendor.on(
        "GET",
        LOCKS,
        Reply(200, gzip.compress(body, 1), {"Content-Encoding": "gzip"})
        if packed
        else Reply(200, body),
    )
    with pytest.raises(SaltoKsUnexpectedResponseError, match="larger than"):
        await client.locks(SITE)


async def test_compressed_answer_is_read(client: SaltoKsClient, vendor: Vendor) -> None:
    """An ordinary compressed answer is an answer."""
    vendor.on("GET", LOCKS, Reply(200, gzip.compress(PAGE), {"Content-Encoding": "gzip"}))
    assert len(await client.locks(SITE)) == 1


class TestRefusedToken:
    """What a 401 of the API does."""

    async def test_is_answered_with_one_repetition(
        self, client: SaltoKsClient, vendor: Vendor
    ) -> None:
        """An empty 401 is followed by a new login and the same request with its token."""
        vendor.on("PATCH", LOCKING, Reply(401), Reply(204))
        await command(client)
        assert [seen.target for seen in vendor.journal] == [TOKEN_PATH, LOCKING] * 2
        first, second = (seen for seen in vendor.journal if seen.target == LOCKING)
        assert (first.bearer, second.bearer) == ("token-1", "token-2")
        assert first.json == second.json == {"locked_state": "unlocked", "otp": OTP}

    @pytest.mark.parametrize("make", [html, Reply], ids=["web page", "empty"])
    async def test_twice_is_an_authentication_error(
        self, client: SaltoKsClient, vendor: Vendor, make: Callable[[int], Reply]
    ) -> None:
        """A second 401 ends it: two logins, two requests, no third."""
        vendor.on("PATCH", LOCKING, make(401))
        with pytest.raises(SaltoKsAuthError) as caught:
            await command(client)
        assert caught.value.failure is AuthFailure.BEARER
        assert len(vendor.calls()) == len(vendor.logins()) == 2

    async def test_of_a_command_does_not_wait_long_for_a_new_one(
        self, session: aiohttp.ClientSession, vendor: Vendor
    ) -> None:
        """A command whose new token is slow to come is given up, so no door opens late."""
        vendor.on("PATCH", LOCKING, Reply(401), Reply(204))
        vendor.on_login(vendor.new_token(), Reply(200, vendor.new_token().content, delay=0.4))
        client = client_of(session, vendor.url, renewal_patience=0.05)
        with pytest.raises(SaltoKsConnectionError, match="no new token in time") as caught:
            await command(client)
        assert caught.value.endpoint is Endpoint.IDENTITY
        assert vendor.calls() == [("PATCH", LOCKING)]

    async def test_of_a_read_waits_for_a_new_one(
        self, session: aiohttp.ClientSession, vendor: Vendor
    ) -> None:
        """A read has time."""
        vendor.on("GET", LOCKS, Reply(401), items(LOCK_OBJECT))
        vendor.on_login(vendor.new_token(), Reply(200, vendor.new_token().content, delay=0.2))
        client = client_of(session, vendor.url, renewal_patience=0.05)
        assert len(await client.locks(SITE)) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        (" 30 ", 30),
        ("3600", 3600),
        ("86400", 3600),
        ("9" * 400, 3600),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Mon, 99 Foo 2026 00:00:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00", 0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 3600),
    ],
)
@pytest.mark.parametrize("make", [html, Reply], ids=["web page", "empty"])
async def test_too_many_requests_tell_how_long_to_wait(
    client: SaltoKsClient,
    vendor: Vendor,
    make: Callable[..., Reply],
    header: str | None,
    seconds: float | None,
) -> None:
    """429 carries the seconds of `Retry-After`, an hour at most, None if it says nothing."""
    fields = {} if header is None else {"Retry-After": header}
    vendor.on("GET", LOCKS, Reply(429, make(429).content, fields))
    with pytest.raises(SaltoKsRateLimitError) as caught:
        await client.locks(SITE)
    assert caught.value.retry_after == seconds
    assert len(vendor.calls()) == 1


async def test_date_to_wait_for_counts_from_now(
    client: SaltoKsClient, vendor: Vendor, freezer: Any
) -> None:
    """A date in `Retry-After` becomes the seconds until then."""
    freezer.move_to("2026-06-01T12:00:00Z")
    fields = {"Retry-After": "Mon, 01 Jun 2026 12:01:30 GMT"}
    vendor.on("GET", LOCKS, Reply(429, headers=fields))
    with pytest.raises(SaltoKsRateLimitError) as caught:
        await client.locks(SITE)
    assert caught.value.retry_after == 90


@pytest.mark.parametrize("make", [html, Reply], ids=["web page", "empty"])
async def test_identity_server_can_be_busy_too(
    client: SaltoKsClient, vendor: Vendor, make: Callable[[int], Reply]
) -> None:
    """429 of the identity server is waited out, whatever page comes with it."""
    vendor.on_login(Reply(429, make(429).content, {"Retry-After": "12"}))
    with pytest.raises(SaltoKsRateLimitError) as caught:
        await client.check_login()
    assert (caught.value.retry_after, caught.value.endpoint) == (12, Endpoint.IDENTITY)


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("make", [html, Reply], ids=["web page", "empty"])
async def test_failing_identity_server_is_a_server_error(
    client: SaltoKsClient, vendor: Vendor, make: Callable[[int], Reply], status: int
) -> None:
    """A 5xx of the identity server says nothing about the credentials."""
    vendor.on_login(make(status))
    with pytest.raises(SaltoKsServerError) as caught:
        await client.check_login()
    assert caught.value.endpoint is Endpoint.IDENTITY


@pytest.mark.parametrize("status", [403, 404, 405])
async def test_identity_server_that_is_not_there_says_nothing_about_a_thing(
    client: SaltoKsClient, vendor: Vendor, status: int
) -> None:
    """An empty 404 at login, seen for hours (MEAS), is neither `not found` nor `forbidden`."""
    vendor.on_login(Reply(status))
    with pytest.raises(SaltoKsResponseError) as caught:
        await client.lock(SITE, LOCK)
    assert type(caught.value) is SaltoKsResponseError
    assert (caught.value.status, caught.value.endpoint) == (status, Endpoint.IDENTITY)


async def test_no_error_drags_the_request_along(half: SaltoKsClient, raw: RawServer) -> None:
    """A printed traceback of a failed request shows neither token nor OTP nor body."""
    raw.then(send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"))
    with pytest.raises(SaltoKsError) as caught:
        await command(half)
    printed = "".join(traceback.format_exception(caught.value))
    for secret in ("token-1", OTP, ACCOUNT.password, "SSH-2.0"):
        assert secret not in printed


class _Leaving(aiohttp.TCPConnector):
    """Connects, while somebody takes its session away: the entry is unloaded just then."""

    session: aiohttp.ClientSession

    @override
    async def connect(self, *args: Any, **more: Any) -> Any:
        connection = await super().connect(*args, **more)
        self.session.detach()
        return connection


@pytest.mark.parametrize("call", [read, command])
async def test_session_that_is_taken_away(vendor: Vendor, call: Call) -> None:
    """A session that is closed before a request, or under it, is a connection that is none."""
    connector = _Leaving()
    connector.session = aiohttp.ClientSession(connector=connector)
    client = client_of(connector.session, vendor.url)
    try:
        for _ in range(2):
            with pytest.raises(SaltoKsConnectionError):
                await call(client)
        assert connector.session.closed
    finally:
        await connector.close()
