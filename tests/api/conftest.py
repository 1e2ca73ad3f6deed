"""Servers and clients for the tests of the API client."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from custom_components.salto_ks.api import SaltoKsClient

from .accounts import client_of
from .servers import RawServer, Vendor, raw_serving, serving


@pytest.fixture
async def session(socket_enabled: None) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session as the integration does: without cookies.

    The loop's debug mode, which the plugin switches on, notes a stack for every callback. Nothing
    here is about callbacks, and these tests are a third faster without.
    """
    asyncio.get_running_loop().set_debug(False)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
async def vendor(socket_enabled: None) -> AsyncIterator[Vendor]:
    """Serve a scripted Salto, and hold the test to calling only what is scripted."""
    async with serving() as vendor:
        yield vendor
        assert vendor.unscripted == []


@pytest.fixture
async def elsewhere(socket_enabled: None) -> AsyncIterator[Vendor]:
    """Serve another host, to which nothing may ever be sent."""
    async with serving() as stranger:
        yield stranger
        assert stranger.journal == []


@pytest.fixture
async def raw(socket_enabled: None) -> AsyncIterator[RawServer]:
    """Serve bytes instead of HTTP."""
    async with raw_serving() as raw:
        yield raw


@pytest.fixture
def client(session: aiohttp.ClientSession, vendor: Vendor) -> SaltoKsClient:
    """Make a client of the scripted Salto."""
    return client_of(session, vendor.url)
