"""The account that the tests log in with, and clients that use it."""

from typing import Any

import aiohttp
from yarl import URL

from custom_components.salto_ks.api import Credentials, SaltoKsClient
from custom_components.salto_ks.api.models import IqId, LockId, SiteId
from custom_components.salto_ks.api.tokens import TokenSource
from custom_components.salto_ks.api.transport import TIMEOUT, Transport
from tests.dossier_server import DossierServer

SITE = SiteId("11111111-1111-4111-8111-111111111111")
IQ = IqId("22222222-2222-4222-8222-222222222222")
LOCK = LockId("33333333-3333-4333-8333-333333333333")

SITES = "/v1.2/sites"
SITE_PATH = f"/v1.2/sites/{SITE}"
LOCKS = f"{SITE_PATH}/locks"
LOCKING = f"{LOCKS}/{LOCK}/locking"
PIN = f"{SITE_PATH}/iqs/{IQ}/pin"

ACCOUNT = Credentials(
    client_id="campsite-client",
    client_secret="client-secret-7f2c",
    username="doors@campsite.example",
    password="pass-word-91ab",
)


def account_at(server: DossierServer) -> Credentials:
    """Return what a client logs in with at the server with the other choices."""
    known = server.credentials
    return Credentials(
        client_id=known.client_id,
        client_secret=known.client_secret,
        username=known.username,
        password=known.password,
    )


def client_of(
    session: aiohttp.ClientSession,
    api_url: URL,
    identity_url: URL | None = None,
    *,
    credentials: Credentials = ACCOUNT,
    timeout: aiohttp.ClientTimeout = TIMEOUT,
    **options: Any,
) -> SaltoKsClient:
    """Make a client; the identity server is on the API's address unless told otherwise."""
    transport = Transport(session, timeout=timeout)
    tokens = TokenSource(transport, identity_url or api_url, credentials)
    return SaltoKsClient(transport, tokens, api_url, **options)
