"""Serving a simulator to a test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import aiohttp
from aiohttp.test_utils import TestServer
import pytest

from simulator import Quirks, Simulator

from .harness import Api

type Serve = Callable[..., Awaitable[Api]]


@pytest.fixture
async def serve(socket_enabled: None) -> AsyncIterator[Serve]:
    """Return a function that serves a simulator (without lags unless told) and logs in."""
    async with AsyncExitStack() as stack:

        async def start(
            quirks: Quirks | None = None,
            *,
            sim: Simulator | None = None,
            seed: str = "campsite",
            control: bool = False,
            log_in: bool = True,
        ) -> Api:
            if sim is None:
                sim = Simulator(seed, quirks=Quirks.instant() if quirks is None else quirks)
            server = TestServer(sim.app(control=control))
            await server.start_server()
            stack.push_async_callback(server.close)
            session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
            stack.push_async_callback(session.close)
            api = Api(sim, server, session)
            if log_in:
                assert (await api.log_in()).status == 200
            return api

        yield start


@pytest.fixture
async def api(serve: Serve) -> Api:
    """Serve the campsite without lags and log in."""
    return await serve()
