"""Bearer tokens by the password grant: renewed ahead of time, one request for all who wait."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
import re
from time import monotonic
from typing import Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from .exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsError,
    SaltoKsUnexpectedResponseError,
)
from .parsing import JsonObject, optional_integer, text
from .responses import raise_for_status
from .transport import Answer, Transport

LOGIN_ROUTE: Final = "/connect/token"
SCOPE: Final = "user_api.full_access"
_MARGIN: Final = 120.0
"""Seconds before its end at which a token is renewed; a tenth of its life if that is less."""

_MAX_LIFETIME: Final = 86_400
"""Seconds after which a token is renewed, whatever its own end; an hour is usual (MEAS)."""
_BEARER: Final = re.compile(r"[!-~]+")
"""What can stand in a header: printable ASCII without blanks."""

_FAILURES: Final[Mapping[str, AuthFailure]] = {
    "invalid_client": AuthFailure.CLIENT,
    "invalid_grant": AuthFailure.ACCOUNT,
    "invalid_scope": AuthFailure.GRANT,
    "unauthorized_client": AuthFailure.GRANT,
    "unsupported_grant_type": AuthFailure.GRANT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the identity server wants to see (DOC)."""

    client_id: str
    client_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    renew_at: float


class TokenSource:
    """Hold the current token of one account and fetch the next one when it is needed."""

    def __init__(self, transport: Transport, identity_url: URL, credentials: Credentials) -> None:
        """Fetch tokens from `{identity_url}/connect/token`."""
        self._transport = transport
        self._url = identity_url.origin() / LOGIN_ROUTE.lstrip("/")
        self._credentials = credentials
        self._lock = asyncio.Lock()
        self._token: _Token | None = None
        self._logins_ended = 0
        self._last_error: SaltoKsError | None = None

    async def token(self) -> str:
        """Return a token with some life left.

        Callers that arrive while one is being fetched share its outcome, the failure
        included, so that a refused password is not tried once for each of them.
        """
        if (token := self._current()) is not None:
            return token
        logins_ended = self._logins_ended
        async with self._lock:
            if self._logins_ended != logins_ended:
                if self._last_error is not None:
                    raise self._last_error
                if self._token is not None:
                    return self._token.value
            return await self._log_in()

    async def renew(self) -> None:
        """Log in now, whatever token there is; where that fails, it stays. Raises like `token`."""
        async with self._lock:
            await self._log_in()

    def discard(self, token: str) -> None:
        """Forget a token that the API refused, unless a newer one has taken its place."""
        if self._token is not None and self._token.value == token:
            self._token = None

    def _current(self) -> str | None:
        """Return the token if it is not due for renewal."""
        if self._token is None or monotonic() >= self._token.renew_at:
            return None
        return self._token.value

    async def _log_in(self) -> str:
        """Fetch a token and keep it, or its failure; a cancelled attempt leaves no trace."""
        self._last_error = None
        try:
            self._token = await self._fetch()
        except SaltoKsError as err:
            self._last_error = err
            self._logins_ended += 1
            raise
        self._logins_ended += 1
        return self._token.value

    async def _fetch(self) -> _Token:
        """Ask for a token (DOC, MEAS). Without `offline_access` there is no refresh token."""
        credentials = self._credentials
        # RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
        basic = aiohttp.encode_basic_auth(
            quote(credentials.client_id, safe=""), quote(credentials.client_secret, safe="")
        )
        asked_at = monotonic()
        answer = await self._transport.request(
            "POST",
            self._url,
            route=LOGIN_ROUTE,
            endpoint=Endpoint.IDENTITY,
            headers={"Authorization": basic, "Accept": "application/json"},
            form={
                "grant_type": "password",
                "username": credentials.username,
                "password": credentials.password,
                "scope": SCOPE,
            },
        )
        if 400 <= answer.status < 500:
            _raise_oauth_error(answer)
        raise_for_status(
            answer,
            endpoint=Endpoint.IDENTITY,
            sent=(credentials.client_secret, credentials.password, basic.removeprefix("Basic ")),
        )
        fields = _fields(answer)
        value = text(fields, "access_token")
        lifetime = optional_integer(fields, "expires_in") or 0
        if not _BEARER.fullmatch(value) or lifetime <= 0:
            raise SaltoKsUnexpectedResponseError(
                f"HTTP {answer.status} without a usable token", endpoint=Endpoint.IDENTITY
            )
        lifetime = min(lifetime, _MAX_LIFETIME)
        return _Token(value, asked_at + lifetime - min(_MARGIN, lifetime / 10))


def _raise_oauth_error(answer: Answer) -> None:
    """Tell the client's fault from the account's (OAuth errors; statuses vary, INF).

    A 401 without a word we know may come from anything in between, so it is told apart: new
    credentials may not help.
    """
    try:
        error = text(_fields(answer), "error")
    except SaltoKsUnexpectedResponseError:
        error = ""
    if (failure := _FAILURES.get(error)) is not None:
        raise SaltoKsAuthError(f"the identity server answers {error}", failure=failure)
    if answer.status == 401:
        raise SaltoKsAuthError("the identity server answers 401", failure=AuthFailure.UNCLEAR)


def _fields(answer: Answer) -> JsonObject:
    """Return the fields of an answer of the identity server, none for another kind of JSON."""
    data: Any = answer.json(Endpoint.IDENTITY)
    return data if isinstance(data, Mapping) else {}
