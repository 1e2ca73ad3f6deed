"""A listener at the hub that knows nothing but the protocol."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
import json
from typing import Any

import aiohttp

from .harness import Api

HUB = "/v1/hub/entries"
END = "\x1e"
HELLO = '{"protocol":"json","version":1}' + END


class Listener:
    """One connection to the hub."""

    def __init__(self, api: Api, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.api = api
        self.socket = socket

    async def receive(self) -> Any:
        """Return the next record, which there has to be in a while."""
        message = await self.socket.receive(timeout=5)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        (record, nothing) = message.data.split(END)
        assert nothing == ""
        return json.loads(record)

    async def next(self) -> Any:
        """Return the next record that is no sign of life."""
        while True:
            record = await self.receive()
            if record != {"type": 6}:
                return record

    async def line(self) -> Any:
        """Return the next line of the door log, sent as a text."""
        (argument,) = (await self.next())["arguments"]
        return json.loads(argument)

    async def end(self) -> aiohttp.WSMsgType:
        """Return how the connection ends."""
        while True:
            message = await self.socket.receive(timeout=5)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return message.type

    async def negotiate(self) -> Any:
        """Ask for a ticket."""
        return (await negotiate(self.api)).json


async def negotiate(api: Api, **query: str) -> Any:
    """Ask for a ticket to a connection for the main site; gives the answer."""
    return await api.send(
        "POST",
        f"{HUB}/negotiate",
        params={"site_id": api.site_id, "negotiateVersion": "1", **query},
        headers={"Authorization": f"Bearer {api.token}"},
    )


@asynccontextmanager
async def connected(
    api: Api,
    *,
    hello: str = HELLO,
    headers: Mapping[str, str] | None = None,
    **query: str,
) -> AsyncIterator[Listener]:
    """Connect to the hub of the main site and shake hands."""
    if headers is None:
        headers = {"Authorization": f"Bearer {api.token}"}
    url = api.server.make_url(HUB).with_query({"site_id": api.site_id, **query})
    async with api.session.ws_connect(url, headers=headers) as socket:
        listener = Listener(api, socket)
        await socket.send_str(hello)
        if hello == HELLO:
            assert await listener.receive() == {}
        yield listener
