"""One HTTP exchange with Salto: limits, time-outs, errors and what is logged of it.

Nothing that was sent or received is ever logged, only the method, the path template, the
status and the time it took.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
import json
import logging
from time import monotonic
from typing import Any

import aiohttp
from yarl import URL

from .call_log import Call, CallLog, CallResult
from .counting import note_request
from .exceptions import Endpoint, SaltoKsConnectionError, SaltoKsUnexpectedResponseError

_LOGGER = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
"""A remote command passes through cloud, IQ and radio; reads are done long before this."""

COMMAND_TIMEOUT = aiohttp.ClientTimeout(total=30, connect=5)
"""What has consequences is sent soon or not at all: `connect` covers name, TCP and TLS."""

MAX_BODY = 16 * 1024 * 1024
"""Bytes of the largest answer taken; a page of 100 locks has about 0.1 MB."""

_SESSION_OVER = (AssertionError, AttributeError, RuntimeError)
"""What aiohttp raises where its session is closed before or under a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer of either server."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def is_web_page(self) -> bool:
        """Tell whether the body is HTML or XML, which neither server ever answers by itself."""
        return self.body.lstrip().startswith(b"<")

    def json(self, endpoint: Endpoint) -> Any:
        """Parse the body; None when it is empty. Raises SaltoKsUnexpectedResponseError."""
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as err:
            # The text of a parse error may quote the body, so it is not passed on.
            del err
        raise SaltoKsUnexpectedResponseError(
            f"HTTP {self.status} with a body that is not JSON", endpoint=endpoint
        )


class Transport:
    """Send requests through a session that belongs to somebody else."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
        command_timeout: aiohttp.ClientTimeout = COMMAND_TIMEOUT,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Use the given session; the clock tells aware UTC and is asked at each answer."""
        self._session = session
        self._timeout = timeout
        self._command_timeout = command_timeout
        self._clock = clock or _utcnow
        self.server_clock_offset: timedelta | None = None
        """How far the server's clock was ahead of ours at the last answer, to the second."""
        self.calls = CallLog()

    async def request(
        self,
        method: str,
        url: URL,
        *,
        route: str,
        endpoint: Endpoint,
        headers: Mapping[str, str] | None = None,
        json_body: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
        repeatable: bool = False,
        attempt: int = 1,
    ) -> Answer:
        """Make one request and read its answer whole, following no redirect.

        A request is sent once. `repeatable` is for reads: with it the session may send the
        request a second time when its connection breaks before an answer. `attempt` is for the
        log of calls alone.

        Raises SaltoKsConnectionError when no complete answer arrives, and
        SaltoKsUnexpectedResponseError for a redirect or an oversized body.
        """
        at, started = self._clock(), monotonic()
        note_request()

        def note(result: CallResult, status: int | None = None, error: str | None = None) -> None:
            self.calls.note(
                Call(
                    at=at,
                    method=method,
                    route=route,
                    result=result,
                    status=status,
                    error=error,
                    milliseconds=round((monotonic() - started) * 1000),
                    attempt=attempt,
                )
            )

        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                json=json_body,
                data=form,
                allow_redirects=False,
                timeout=self._timeout if repeatable else self._command_timeout,
                middlewares=None if repeatable else (_sent_once,),
            ) as response:
                body = await _read(response, endpoint)
                answer = Answer(status=response.status, headers=response.headers, body=body)
        except (aiohttp.ClientError, TimeoutError, OSError, _NoAnswerError, *_SESSION_OVER) as err:
            if isinstance(err, _SESSION_OVER) and not self._session.closed:
                raise
            name = str(err) if isinstance(err, _NoAnswerError) else type(err).__name__
            _LOGGER.debug("%s %s: %s", method, route, name)
            note(CallResult.UNANSWERED, error=name)
            raise SaltoKsConnectionError(
                f"{method} {route}: no answer ({name})", endpoint=endpoint
            ) from None
        except SaltoKsUnexpectedResponseError as err:
            note(CallResult.UNANSWERED, error=type(err).__name__)
            raise
        note(CallResult.of_status(answer.status), answer.status)
        _LOGGER.debug("%s %s: %s in %.3f s", method, route, answer.status, monotonic() - started)
        self._note_server_clock(answer)
        if 300 <= answer.status < 400:
            raise SaltoKsUnexpectedResponseError(
                f"{method} {route}: the server redirects (HTTP {answer.status})", endpoint=endpoint
            )
        return answer

    def _note_server_clock(self, answer: Answer) -> None:
        """Keep the difference to the server's `Date`, since an OTP lives on the right time."""
        try:
            server_time = parsedate_to_datetime(answer.headers.get("Date", ""))
        except ValueError:
            return
        if server_time.tzinfo is not None:
            self.server_clock_offset = server_time - self._clock().replace(microsecond=0)


class _NoAnswerError(Exception):
    """Carries the name of a connection error past the session, which would send again."""


async def _sent_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep the session from repeating a PUT, a DELETE or a GET with consequences.

    It does so by itself when a connection breaks before the answer, and Salto may have acted
    by then: a PIN would be changed twice, or sent to a person twice.
    """
    try:
        return await handler(request)
    except (aiohttp.ClientError, TimeoutError, OSError) as err:
        raise _NoAnswerError(type(err).__name__) from None


async def _read(response: aiohttp.ClientResponse, endpoint: Endpoint) -> bytes:
    """Read a body up to the limit."""
    chunks = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        chunks += chunk
        if len(chunks) > MAX_BODY:
            raise SaltoKsUnexpectedResponseError(
                f"an answer larger than {MAX_BODY} bytes", endpoint=endpoint
            )
    return bytes(chunks)


def _utcnow() -> datetime:
    """Tell the time; looked up at each call, so that a test can move it."""
    return datetime.now(UTC)
