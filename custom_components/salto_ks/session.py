"""The way from a config entry, or what was typed into a form, to a client."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import aiohttp
from homeassistant.const import CONF_CLIENT_ID, CONF_CLIENT_SECRET, CONF_PASSWORD, CONF_USERNAME
from homeassistant.core import HomeAssistant
from homeassistant.helpers.aiohttp_client import async_create_clientsession
from yarl import URL

from .api import Credentials, create_client
from .api.client import SaltoKsClient
from .const import (
    CONF_API_URL,
    CONF_ENVIRONMENT,
    CONF_IDENTITY_URL,
    STREAM_SERVERS,
    Environment,
)


def async_create_session(hass: HomeAssistant, *, auto_cleanup: bool) -> aiohttp.ClientSession:
    """Make a session of our own on Home Assistant's connections, which keeps no cookies.

    With `auto_cleanup` it ends with the config entry that is being set up; without it the
    caller detaches it.
    """
    return async_create_clientsession(
        hass, auto_cleanup=auto_cleanup, cookie_jar=aiohttp.DummyCookieJar()
    )


def create_client_from(session: aiohttp.ClientSession, data: Mapping[str, Any]) -> SaltoKsClient:
    """Make a client for the account and the servers in `data`."""
    return create_client(
        session,
        api_url=data[CONF_API_URL],
        identity_url=data[CONF_IDENTITY_URL],
        credentials=Credentials(
            client_id=data[CONF_CLIENT_ID],
            client_secret=data[CONF_CLIENT_SECRET],
            username=data[CONF_USERNAME],
            password=data[CONF_PASSWORD],
        ),
    )


def stream_url_of(data: Mapping[str, Any]) -> URL:
    """Return the address of the server that tells of events live."""
    return URL(STREAM_SERVERS.get(Environment(data[CONF_ENVIRONMENT]), data[CONF_API_URL]))


def server_url_error(value: str) -> str | None:
    """Return the key of what is wrong with a server's address; None for a good one.

    Only scheme, host and port are used. Without TLS the account's password and every OTP
    could be read on the way, so plain HTTP is for this machine alone.
    """
    if any(char.isspace() for char in value):
        return "url_invalid"
    try:
        url = URL(value)
        host = url.host
        in_range = url.explicit_port is None or 0 < url.explicit_port < 65536
    except ValueError:
        return "url_invalid"
    if url.scheme not in {"http", "https"}:
        return "url_without_scheme"
    if not host or not in_range or url.user is not None:
        return "url_invalid"
    if url.path not in {"", "/"} or url.raw_query_string or url.raw_fragment:
        return "url_with_path"
    return "url_insecure" if url.scheme == "http" and not _is_loopback(host) else None


def _is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
