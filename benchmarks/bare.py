"""The least that anybody could do: a plain aiohttp client that keeps nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
import json
from typing import Any

import aiohttp

from custom_components.salto_ks.api.otp import IqOtp

from .simulated import Simulated

_PAGE = 100
_LEAD = timedelta(seconds=60)


class BareClient:
    """A warm session with a token."""

    def __init__(self, session: aiohttp.ClientSession, simulated: Simulated, token: str) -> None:
        """Talk to the simulator through a session."""
        self._session = session
        self._site = f"{simulated.url}/v1.2/sites/{simulated.seed.site_id}"
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    async def open(self, lock_id: str, otp: str) -> None:
        """Open a door."""
        async with self._session.patch(
            f"{self._site}/locks/{lock_id}/locking",
            json={"locked_state": "unlocked", "otp": otp},
            headers=self._headers,
        ) as answer:
            await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"an opening is answered with {answer.status}")

    async def poll(self) -> int:
        """Fetch and parse the pages of a poll; return how many there were."""
        return await self._pages("locks") + await self._pages("iqs")

    async def look_around(self) -> int:
        """Fetch and parse everything that a set-up reads, the token apart."""
        for path in ("", "/me"):
            await self._get(f"{self._site}{path}")
        activations = self._site.replace("/sites/", "/me/") + "/activated_iqs"
        await self._get(f"{activations}?$top={_PAGE}")
        return 3 + await self.poll()

    async def _pages(self, kind: str) -> int:
        pages = 0
        url: str | None = f"{self._site}/{kind}?$top={_PAGE}"
        while url:
            url = (await self._get(url))["next_page_link"]
            pages += 1
        return pages

    async def _get(self, url: str) -> Any:
        async with self._session.get(url, headers=self._headers) as answer:
            return json.loads(await answer.read())


class Signer:
    """One-time passwords for the bare client.

    Like the integration's own, each is of another second, up to a minute ahead. A server has to
    search for the second, so passwords that were always of right now would be checked faster.
    """

    def __init__(self, otp: IqOtp) -> None:
        """Sign with a secret and a PIN."""
        self._otp = otp
        self._last = datetime.min.replace(tzinfo=UTC)

    def sign(self) -> str:
        """Return the next one-time password."""
        second = datetime.now(UTC).replace(microsecond=0)
        if second <= self._last < second + _LEAD:
            second = self._last + timedelta(seconds=1)
        self._last = second
        return self._otp.at(second)


@asynccontextmanager
async def bare_client(simulated: Simulated) -> AsyncIterator[BareClient]:
    """Log in."""
    seed = simulated.seed
    async with aiohttp.ClientSession() as session:
        async with session.post(
            f"{simulated.url}/connect/token",
            auth=aiohttp.BasicAuth(seed.client_id, seed.client_secret),
            data={
                "grant_type": "password",
                "username": seed.username,
                "password": seed.password,
                "scope": "user_api.full_access",
            },
            raise_for_status=True,
        ) as answer:
            token = (await answer.json())["access_token"]
        yield BareClient(session, simulated, token)
