"""Client for the Salto KS Connect API; knows nothing of Home Assistant."""

import aiohttp
from yarl import URL

from .client import SaltoKsClient
from .tokens import Credentials, TokenSource
from .transport import Transport


def create_client(
    session: aiohttp.ClientSession, *, api_url: str, identity_url: str, credentials: Credentials
) -> SaltoKsClient:
    """Put a client together for one account in one environment."""
    transport = Transport(session)
    tokens = TokenSource(transport, URL(identity_url), credentials)
    return SaltoKsClient(transport, tokens, URL(api_url))


__all__ = ["Credentials", "SaltoKsClient", "create_client"]
