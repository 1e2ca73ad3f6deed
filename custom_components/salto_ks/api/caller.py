"""Make calls of the API by their route templates: tokens, paging, refusals.

What the calls mean is in `client.py` and `access.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import timedelta
import re
from typing import Any, Final

from yarl import URL

from .call_log import CallLog
from .exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsUnexpectedResponseError,
)
from .parsing import is_uuid, json_array, json_object
from .responses import raise_for_status
from .tokens import TokenSource
from .transport import Answer, Transport

PAGE_SIZE: Final = 100
"""Largest page known to work (MEAS); the server's own default is 20 (INF)."""

RENEWAL_PATIENCE: Final = 5.0
"""Seconds a command waits for a new token after its own was refused."""

MAX_LIST: Final = 128 * 1024 * 1024
"""Bytes of the largest list taken; one of 10,000 guests has about 10 MB."""

_MAX_PAGES: Final = 1000
_DEFAULT_PAGE: Final = 20
_PRINTABLE: Final = re.compile(r"[!-~]+")
"""What a link may be made of: ASCII without blanks and control characters."""

CONTINUATION: Final = "CLP-Continuation-Token"
_TOKEN: Final = re.compile(r"[ -~]+")
"""What a header may be made of: ASCII without control characters."""


type Body = Mapping[str, object] | Callable[[], Mapping[str, object]] | None

OTP_FIELD: Final = "otp"


class Caller:
    """Send the calls of one account to one environment.

    Every method raises from the tree of `SaltoKsError`; see `exceptions.py` for what to do.
    """

    def __init__(
        self,
        transport: Transport,
        tokens: TokenSource,
        api_url: URL,
        *,
        renewal_patience: float = RENEWAL_PATIENCE,
    ) -> None:
        """Use the origin of `api_url`; whatever path it has is ignored."""
        self._transport = transport
        self._tokens = tokens
        self._renewal_patience = renewal_patience
        self._origin = api_url.origin()

    @property
    def server_clock_offset(self) -> timedelta | None:
        """How far Salto's clock was ahead of ours at the last answer; None before the first."""
        return self._transport.server_clock_offset

    @property
    def tokens(self) -> TokenSource:
        """Return the tokens of the account, for a connection that is no call of the API."""
        return self._tokens

    @property
    def calls(self) -> CallLog:
        """Return the log of the calls of this client."""
        return self._transport.calls

    async def check_login(self) -> None:
        """Make sure that there is a token; its failure is the identity server's alone."""
        await self._tokens.token()

    async def log_in_anew(self) -> None:
        """Log in although there may be a token that still works, to see that the password does."""
        await self._tokens.renew()

    async def read(self, route: str, **ids: str) -> Any:
        """Read one thing."""
        answer = await self._send("GET", self._url(route, ids), route, repeatable=True)
        return answer.json(Endpoint.API)

    async def read_all[T](
        self,
        route: str,
        parse: Callable[[object], T],
        key: Callable[[T], object],
        **ids: str,
    ) -> tuple[T, ...]:
        """Read a list to its end; a thing that slid onto the next page counts once.

        Pages come enveloped with a next link (MEAS), or bare (seen once, MEAS).
        """
        found: dict[object, T] = {}
        seen: set[URL] = set()
        size = 0
        url: URL | None = self._url(route, ids).with_query({"$top": str(PAGE_SIZE)})
        while url is not None:
            if url in seen:
                raise SaltoKsUnexpectedResponseError(f"{route}: the pages lead back to one read")
            if len(seen) == _MAX_PAGES:
                raise SaltoKsUnexpectedResponseError(f"{route}: more than {_MAX_PAGES} pages")
            seen.add(url)
            answer = await self._send("GET", url, route, repeatable=True)
            size += len(answer.body)
            if size > MAX_LIST:
                raise SaltoKsUnexpectedResponseError(f"{route}: more than {MAX_LIST} bytes")
            page = answer.json(Endpoint.API)
            known = len(found)
            if isinstance(page, list):
                found.update((key(item), item) for item in map(parse, page))
                # A bare list cannot say that there is more; a full page of news suggests it.
                more = len(found) > known and len(page) % _DEFAULT_PAGE == 0
                url = _skip(url, len(page)) if more else None
            else:
                data = json_object(page, "a page")
                items = json_array(data.get("items"), "the items of a page")
                found.update((key(item), item) for item in map(parse, items))
                link = data.get("next_page_link")
                url = self._follow(url, link) if link else None
        return tuple(found.values())

    async def read_continued[T](
        self,
        route: str,
        parse: Callable[[object], T],
        *,
        query: Mapping[str, str],
        **ids: str,
    ) -> AsyncGenerator[list[T]]:
        """Read a list page by page, each but the last bringing a token for the next one.

        The token goes back in a header, to the address of the first page. A page may be empty
        and still bring one (DOC).
        """
        tokens: set[str] = set()
        headers: dict[str, str] = {}
        url = self._url(route, ids).with_query({"$top": str(PAGE_SIZE), **query})
        while True:
            answer = await self._send("GET", url, route, headers=headers, repeatable=True)
            page = answer.json(Endpoint.API)
            data = {"items": page} if isinstance(page, list) else json_object(page, "a page")
            yield [*map(parse, json_array(data.get("items"), "the items of a page"))]
            token = data.get("continuation_token")
            if not token:
                return
            if not isinstance(token, str) or not _TOKEN.fullmatch(token):
                raise SaltoKsUnexpectedResponseError("a continuation token is no text")
            if token in tokens:
                raise SaltoKsUnexpectedResponseError(f"{route}: the pages lead back to one read")
            tokens.add(token)
            if len(tokens) == _MAX_PAGES:
                raise SaltoKsUnexpectedResponseError(f"{route}: more than {_MAX_PAGES} pages")
            headers = {CONTINUATION: token}

    def _follow(self, current: URL, link: object) -> URL:
        """Take path and query of a next link byte for byte, on our own origin.

        The link may come back with `http://` (DOC), and a token must not follow it anywhere.
        """
        if not isinstance(link, str) or not _PRINTABLE.fullmatch(link):
            raise SaltoKsUnexpectedResponseError("a next page link is no address")
        try:
            url = current.join(URL(link, encoded=True))
            return URL.build(
                scheme=self._origin.scheme,
                authority=self._origin.raw_authority,
                path=url.raw_path,
                query_string=url.raw_query_string,
                encoded=True,
            )
        except ValueError:
            raise SaltoKsUnexpectedResponseError("a next page link is no address") from None

    def _url(self, route: str, ids: Mapping[str, str]) -> URL:
        """Fill a route template. Raises ValueError for an id that is no UUID."""
        for name, value in ids.items():
            if not is_uuid(value):
                raise ValueError(f"the {name} id is not a UUID")
        return self._origin.with_path(route.format_map(ids))

    async def write(
        self,
        method: str,
        route: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Body = None,
        secrets: tuple[str, ...] = (),
        **ids: str,
    ) -> Answer:
        """Make a call that has consequences, once; `secrets` are in its body.

        A body that is a function is asked for each time the call is sent, and may raise to keep
        it from being sent at all. What a success holds is not known for most of them, so it is left to the caller.
        """
        url = self._url(route, ids)
        answer = await self._send(
            method, url.with_query(query) if query else url, route, body=body, secrets=secrets
        )
        if answer.is_web_page:
            raise SaltoKsUnexpectedResponseError(f"{method} {route}: a web page for an answer")
        return answer

    async def _send(
        self,
        method: str,
        url: URL,
        route: str,
        *,
        body: Body = None,
        secrets: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Answer:
        """Send with a token; where that is refused, once more with a new one.

        A command does not wait long for the new one: a door that opens late opens for nobody.
        """
        sent = [*secrets]

        async def attempt(token: str, number: int) -> Answer:
            content = body() if callable(body) else body
            sent.extend((token, str((content or {}).get(OTP_FIELD, ""))))
            return await self._transport.request(
                method,
                url,
                route=route,
                endpoint=Endpoint.API,
                headers={
                    "Authorization": f"Bearer {token}",
                    "Accept": "application/json",
                    **(headers or {}),
                },
                json_body=content,
                repeatable=repeatable,
                attempt=number,
            )

        token = await self._tokens.token()
        answer = await attempt(token, 1)
        if answer.status == 401:
            self._tokens.discard(token)
            try:
                async with asyncio.timeout(None if repeatable else self._renewal_patience):
                    token = await self._tokens.token()
            except TimeoutError:
                raise SaltoKsConnectionError(
                    f"{method} {route}: no new token in time", endpoint=Endpoint.IDENTITY
                ) from None
            answer = await attempt(token, 2)
        if answer.status == 401:
            raise SaltoKsAuthError(
                f"{method} {route}: a new token was refused", failure=AuthFailure.BEARER
            )
        raise_for_status(answer, endpoint=Endpoint.API, sent=sent)
        return answer


def _skip(url: URL, count: int) -> URL:
    """Return the address of a page that begins `count` things later."""
    return url.update_query({"$skip": str(int(url.query.get("$skip", "0")) + count)})
