"""The simulator as a process of its own, and what is asked of its control plane."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
import sys
from typing import Any

import aiohttp

PATIENCE = 30.0
"""Seconds for the simulator to come up, or to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What a client of the simulated site needs to know."""

    client_id: str
    client_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    site_uid: str
    site_id: str
    iq_id: str
    """The first IQ."""
    iqs: int
    lock_ids: tuple[str, ...]
    """All doors, those of the first IQ first."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the simulator has noted it."""

    method: str
    route: str


class Simulated:
    """A running simulator."""

    def __init__(self, session: aiohttp.ClientSession, url: str, doors: int, seed: Seed) -> None:
        """Control the simulator at `url`."""
        self._session = session
        self.url = url
        self.doors = doors
        self.seed = seed

    async def iq_pin(self) -> str:
        """Return the IQ PIN that was sent last."""
        sent = await _ask(self._session, "GET", f"{self.url}/_sim/outbox")
        pin: str = sent[-1]["pin"]
        return pin

    async def forget_requests(self) -> None:
        """Empty the journal."""
        await _ask(self._session, "DELETE", f"{self.url}/_sim/journal")

    async def requests(self) -> list[Request]:
        """Return the requests since the journal was emptied."""
        journal = await _ask(self._session, "GET", f"{self.url}/_sim/journal")
        return [Request(item["method"], item["route"]) for item in journal["requests"]]

    async def change_doors(self, lock_ids: Iterable[str], changes: dict[str, Any]) -> None:
        """Set the same fields of several doors."""
        for lock_id in lock_ids:
            values = {"kind": "lock", "id": lock_id, "set": changes}
            await _ask(self._session, "POST", f"{self.url}/_sim/world", values)

    async def fail(self) -> None:
        """Answer every request with a server error until `recover`."""
        fault = {"status": 503, "count": None}
        await _ask(self._session, "POST", f"{self.url}/_sim/faults", fault)

    async def recover(self) -> None:
        """Work again."""
        await _ask(self._session, "DELETE", f"{self.url}/_sim/faults")


@asynccontextmanager
async def simulated(
    doors: int, *, seats: int = 0, state: Path | None = None
) -> AsyncIterator[Simulated]:
    """Run a simulator with that many doors on a free port of loopback.

    With so many seats for guests, or with the world of a state file.
    """
    command = ["-m", "simulator", "--port", "0", "--seed", "large", "--control"]
    if state is not None:
        command += ["--state", str(state)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        *("--doors", str(doors), "--users", "0"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with aiohttp.ClientSession() as session:
            url = await asyncio.wait_for(_address(process), PATIENCE)
            seed = await _seed(session, url)
            if seats:
                changes = {"subscribed_user_amount": seats}
                values = {"kind": "site", "id": seed.site_id, "set": changes}
                await _ask(session, "POST", f"{url}/_sim/world", values)
            yield Simulated(session, url, doors, seed)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)


async def _address(process: asyncio.subprocess.Process) -> str:
    """Read the address from the line that the simulator prints when it is up."""
    if process.stdout is None:
        raise RuntimeError("the simulator's output is not read")
    line = (await process.stdout.readline()).decode()
    if not line:
        raise RuntimeError("the simulator did not start")
    return line.split()[-1]


async def _seed(session: aiohttp.ClientSession, url: str) -> Seed:
    """Ask what the world was seeded with."""
    told = await _ask(session, "GET", f"{url}/_sim/seed")
    first = told["iqs"][0]["id"]
    locks = sorted(told["locks"], key=lambda lock: lock["iq_id"] != first)
    return Seed(
        client_id=told["client_id"],
        client_secret=told["client_secret"],
        username=told["username"],
        password=told["password"],
        site_uid=told["site_uid"],
        site_id=told["site_id"],
        iq_id=first,
        iqs=len(told["iqs"]),
        lock_ids=tuple(lock["id"] for lock in locks),
    )


async def _ask(session: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> Any:
    """Make a request of the control plane. Raises aiohttp.ClientResponseError if refused."""
    async with session.request(method, url, json=body, raise_for_status=True) as answer:
        return await answer.json()
