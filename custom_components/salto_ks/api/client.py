"""Client for the Salto KS Connect API: one method for each call, typed in and out.

It keeps no state of the site, so what it returns is what Salto said just now. Paths use
version 1.2 (both versions are live and mostly interchangeable, MEAS).
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
import re
from typing import Any, Final

from yarl import URL

from .exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsUnexpectedResponseError,
)
from .iq_pin import KEEP_PIN
from .models import (
    Iq,
    IqActivation,
    IqId,
    Lock,
    LockCommand,
    LockId,
    PinChannel,
    PlatformUser,
    Role,
    Site,
    SiteId,
    SiteMember,
    Subscription,
    secret_from_api,
)
from .parsing import is_uuid, json_array, json_object
from .responses import raise_for_status
from .tokens import TokenSource
from .transport import Answer, Transport

PAGE_SIZE: Final = 100
"""Largest page known to work (MEAS); the server's own default is 20 (INF)."""

RENEWAL_PATIENCE: Final = 5.0
"""Seconds a command waits for a new token after its own was refused."""

_MAX_PAGES: Final = 1000
_DEFAULT_PAGE: Final = 20
_PRINTABLE: Final = re.compile(r"[!-~]+")
"""What a link may be made of: ASCII without blanks and control characters."""


class SaltoKsClient:
    """Talk to one environment with one account.

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

    async def check_login(self) -> None:
        """Make sure that there is a token; its failure is the identity server's alone."""
        await self._tokens.token()

    async def log_in_anew(self) -> None:
        """Log in although there may be a token that still works, to see that the password does."""
        await self._tokens.renew()

    async def sites(self) -> tuple[Site, ...]:
        """List the sites that the account sees (MEAS)."""
        return await self._all("/v1.2/sites", Site.from_api, lambda site: site.id)

    async def site(self, site_id: SiteId) -> Site:
        """Read one site (MEAS)."""
        return Site.from_api(await self._get("/v1.2/sites/{site}", site=site_id))

    async def subscription(self, site_id: SiteId) -> Subscription:
        """Read the site's seats and features (MEAS)."""
        return Subscription.from_api(
            await self._get("/v1.2/sites/{site}/subscription", site=site_id)
        )

    async def me(self) -> PlatformUser:
        """Read the account's platform profile (MEAS)."""
        return PlatformUser.from_api(await self._get("/v1.2/me"))

    async def site_member(self, site_id: SiteId) -> SiteMember:
        """Read the account as a user of the site (MEAS)."""
        return SiteMember.from_api(await self._get("/v1.2/sites/{site}/me", site=site_id))

    async def roles(self, site_id: SiteId) -> tuple[Role, ...]:
        """List the roles that can be given on the site (MEAS)."""
        return await self._all(
            "/v1.2/sites/{site}/roles", Role.from_api, lambda role: role.id, site=site_id
        )

    async def iqs(self, site_id: SiteId) -> tuple[Iq, ...]:
        """List the site's IQs (MEAS)."""
        return await self._all(
            "/v1.2/sites/{site}/iqs", Iq.from_api, lambda iq: iq.id, site=site_id
        )

    async def iq(self, site_id: SiteId, iq_id: IqId) -> Iq:
        """Read one IQ (MEAS)."""
        return Iq.from_api(await self._get("/v1.2/sites/{site}/iqs/{iq}", site=site_id, iq=iq_id))

    async def activations(self, site_id: SiteId) -> tuple[IqActivation, ...]:
        """List on which IQs of the site this account is activated (MEAS)."""
        return await self._all(
            "/v1.2/me/{site}/activated_iqs",
            IqActivation.from_api,
            lambda item: item.iq_id,
            site=site_id,
        )

    async def first_secret(self, site_id: SiteId, iq_id: IqId) -> str:
        """Read the IQ secret, which works until the account is activated (MEAS).

        Raises SaltoKsForbiddenError afterwards (403/2203): it can never be read again.
        """
        return secret_from_api(
            await self._get("/v1.2/sites/{site}/iqs/{iq}/secret", site=site_id, iq=iq_id)
        )

    async def request_pin(self, site_id: SiteId, iq_id: IqId, channel: PinChannel) -> None:
        """Make Salto send the account an IQ PIN; the answer never holds it (MEAS)."""
        await self._request(
            "GET",
            "/v1.2/sites/{site}/iqs/{iq}/pin",
            query={"send_email": "true"} if channel is PinChannel.EMAIL else None,
            site=site_id,
            iq=iq_id,
        )

    async def set_pin(
        self, site_id: SiteId, iq_id: IqId, *, otp: str, delta: str = KEEP_PIN
    ) -> None:
        """Activate the account on the IQ, or change its PIN by `delta` (MEAS).

        With the default delta on an activated IQ this changes nothing and so proves secret,
        PIN and clock without moving a door.
        """
        await self._request(
            "PUT",
            "/v1.2/sites/{site}/iqs/{iq}/pin",
            body={"otp": otp, "delta": delta},
            secrets=(otp,),
            site=site_id,
            iq=iq_id,
        )

    async def restore_iq(self, site_id: SiteId, iq_id: IqId) -> None:
        """Put an IQ back to work after a hardware reset (CODE)."""
        await self._request("POST", "/v1.2/sites/{site}/iqs/{iq}/restore", site=site_id, iq=iq_id)

    async def locks(self, site_id: SiteId) -> tuple[Lock, ...]:
        """List the site's locks (MEAS)."""
        return await self._all(
            "/v1.2/sites/{site}/locks", Lock.from_api, lambda lock: lock.id, site=site_id
        )

    async def lock(self, site_id: SiteId, lock_id: LockId) -> Lock:
        """Read one lock (MEAS)."""
        return Lock.from_api(
            await self._get("/v1.2/sites/{site}/locks/{lock}", site=site_id, lock=lock_id)
        )

    async def command_lock(
        self, site_id: SiteId, lock_id: LockId, command: LockCommand, *, otp: str | None
    ) -> None:
        """Open a door once, or start or end its office mode; 200 and 204 are success (DOC, CODE).

        It is sent once. After SaltoKsConnectionError or SaltoKsServerError nobody knows
        whether the door has opened. Only a refused token is answered with one repetition:
        such a request never reached the IQ.
        """
        await self._request(
            "PATCH",
            "/v1.2/sites/{site}/locks/{lock}/locking",
            body={"locked_state": command.value} | ({} if otp is None else {"otp": otp}),
            secrets=() if otp is None else (otp,),
            site=site_id,
            lock=lock_id,
        )

    async def _get(self, route: str, **ids: str) -> Any:
        """Read one thing."""
        answer = await self._send("GET", self._url(route, ids), route, repeatable=True)
        return answer.json(Endpoint.API)

    async def _all[T](
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
        url: URL | None = self._url(route, ids).with_query({"$top": str(PAGE_SIZE)})
        while url is not None:
            if url in seen:
                raise SaltoKsUnexpectedResponseError(f"{route}: the pages lead back to one read")
            if len(seen) == _MAX_PAGES:
                raise SaltoKsUnexpectedResponseError(f"{route}: more than {_MAX_PAGES} pages")
            seen.add(url)
            page = (await self._send("GET", url, route, repeatable=True)).json(Endpoint.API)
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

    async def _request(
        self,
        method: str,
        route: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        **ids: str,
    ) -> None:
        """Make a call whose success has no content that is known; `secrets` are in its body."""
        url = self._url(route, ids)
        answer = await self._send(
            method, url.with_query(query) if query else url, route, body=body, secrets=secrets
        )
        if answer.is_web_page:
            raise SaltoKsUnexpectedResponseError(f"{method} {route}: a web page for an answer")

    async def _send(
        self,
        method: str,
        url: URL,
        route: str,
        *,
        body: Mapping[str, str] | None = None,
        secrets: tuple[str, ...] = (),
        repeatable: bool = False,
    ) -> Answer:
        """Send with a token; where that is refused, once more with a new one.

        A command does not wait long for the new one: a door that opens late opens for nobody.
        """

        async def attempt(token: str) -> Answer:
            return await self._transport.request(
                method,
                url,
                route=route,
                endpoint=Endpoint.API,
                headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
                json_body=body,
                repeatable=repeatable,
            )

        token = await self._tokens.token()
        answer = await attempt(token)
        if answer.status == 401:
            self._tokens.discard(token)
            try:
                async with asyncio.timeout(None if repeatable else self._renewal_patience):
                    token = await self._tokens.token()
            except TimeoutError:
                raise SaltoKsConnectionError(
                    f"{method} {route}: no new token in time", endpoint=Endpoint.IDENTITY
                ) from None
            answer = await attempt(token)
        if answer.status == 401:
            raise SaltoKsAuthError(
                f"{method} {route}: a new token was refused", failure=AuthFailure.BEARER
            )
        raise_for_status(answer, endpoint=Endpoint.API, sent=(token, *secrets))
        return answer


def _skip(url: URL, count: int) -> URL:
    """Return the address of a page that begins `count` things later."""
    return url.update_query({"$skip": str(int(url.query.get("$skip", "0")) + count)})
