"""What the demo asks of the simulator's control plane."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from .errors import DemoError


@dataclass(frozen=True, slots=True)
class SeedLock:
    """A lock of the seeded world."""

    id: str
    name: str
    lock_type: str


@dataclass(frozen=True, slots=True)
class Seed:
    """What a client of the seeded world needs to know."""

    client_id: str
    client_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    site_uid: str
    iqs: Mapping[str, str]
    """IQ names by their ids, in the order of the seed."""
    locks: tuple[SeedLock, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """An IQ PIN on its way to a user, by e-mail or SMS."""

    iq_id: str
    channel: str
    pin: str = field(repr=False)


class SimulatorControl:
    """The control plane of one running simulator."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        """Address the simulator at this base address."""
        self._session = session
        self.base = base

    async def _get(self, path: str) -> Any:
        async with self._session.get(f"{self.base}/_sim/{path}") as answer:
            if answer.status != 200:
                raise DemoError(f"the simulator answers {answer.status} to {path}")
            return await answer.json()

    async def is_up(self) -> bool:
        """Return whether it answers."""
        try:
            await self._get("clock")
        except aiohttp.ClientError:
            return False
        return True

    async def seed(self) -> Seed:
        """Return what the world was seeded with."""
        told = await self._get("seed")
        return Seed(
            client_id=told["client_id"],
            client_secret=told["client_secret"],
            username=told["username"],
            password=told["password"],
            site_uid=told["site_uid"],
            iqs={iq["id"]: iq["name"] for iq in told["iqs"]},
            locks=tuple(SeedLock(k["id"], k["name"], k["lock_type"]) for k in told["locks"]),
        )

    async def outbox(self) -> list[Message]:
        """Return all IQ PINs that were sent, the oldest first."""
        return [
            Message(iq_id=told["iq_id"], channel=told["channel"], pin=told["pin"])
            for told in await self._get("outbox")
        ]

    async def pin_sent_for(self, iq_id: str) -> str:
        """Return the PIN that was sent last for this IQ."""
        pins = [message.pin for message in await self.outbox() if message.iq_id == iq_id]
        if not pins:
            raise DemoError("no IQ PIN was sent")
        return pins[-1]
