"""A real Home Assistant on real files beside the simulated Salto KS, each a process of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
import os
from pathlib import Path
import re
import resource
import shutil
import signal
import sys
import time
from typing import Any

import aiohttp

from scripts.demo_lib.folder import LOOPBACK, DemoFolder, Settings
from scripts.demo_lib.home import HomeAssistant
from scripts.demo_lib.processes import Child
from scripts.demo_lib.set_up import DOMAIN, set_up
from scripts.demo_lib.waiting import until
from scripts.demo_lib.words import PASSWORD, USERNAME

from .vendor import Vendor

TOP = Path(__file__).parents[2]
SEED = "campsite"

START_PATIENCE = 180.0
"""Seconds: the first start of an environment compiles all of Home Assistant."""

PATIENCE = 60.0
"""Seconds that anything else may take, on a slow machine."""

EVENTS = "homeassistant.core"
"""The logger that tells each event as it happens."""

_COMPLAINT = re.compile(r"unclosed|never retrieved|never awaited|task was destroyed", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where both live: a folder that can be copied, and the ports that are remembered in it."""

    folder: Path
    port: int
    sim_port: int

    @property
    def config(self) -> DemoFolder:
        """Home Assistant's folder, laid out as the demo's."""
        return DemoFolder(self.folder / "config")

    @property
    def world(self) -> Path:
        """The simulator's file; PINs are in it, so it is not among Home Assistant's."""
        return self.folder / "simulator.json"

    def lay_out(self) -> None:
        """Write what Home Assistant reads at its first start."""
        self.config.lay_out(
            Settings(self.port, self.sim_port, SEED), TOP / "custom_components" / DOMAIN
        )

    def copied_to(self, folder: Path) -> Place:
        """Copy all of it; nothing may run in it meanwhile."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder)


class Home(HomeAssistant):
    """A started Home Assistant, as far as keys go."""

    entry_id: str

    async def act(self, action: str, **data: object) -> dict[str, Any]:
        """Run an action and return its response."""
        status, told = await self.attempt(action, **data)
        assert status == 200, told
        response: dict[str, Any] = told["service_response"]
        return response

    async def attempt(self, action: str, **data: object) -> tuple[int, dict[str, Any]]:
        """Run an action; return the status, with the response or with what is wrong."""
        async with self._session.post(
            f"{self.base}/api/services/{DOMAIN}/{action}?return_response",
            json={"config_entry_id": self.entry_id, **data},
            headers={"Authorization": f"Bearer {self._token}"},
        ) as answer:
            return answer.status, await answer.json()

    async def keys(self) -> dict[str, dict[str, Any]]:
        """Return all keys by their ids."""
        return {key["key_id"]: key for key in (await self.act("get_keys"))["keys"]}

    async def log_all_of(self, logger: str) -> None:
        """Have all of a logger in the log."""
        await self.request("POST", "/api/services/logger/set_level", json={logger: "debug"})


class House:
    """Both processes, in one place."""

    def __init__(self, place: Place, session: aiohttp.ClientSession) -> None:
        """Prepare to live in this place."""
        self.place = place
        self._session = session
        self.vendor = Vendor(session, f"http://{LOOPBACK}:{place.sim_port}")
        config = place.config
        hass = Path(os.environ.get("DEMO_HASS_VENV", sys.prefix)) / "bin" / "hass"
        self._hass = Child(
            "Home Assistant", [hass, "--config", config.path], config.hass_log, config.path
        )
        self._simulator = Child(
            "The simulator",
            [
                *(sys.executable, "-m", "simulator", "--control", "--quirk", "preset=instant"),
                *("--host", LOOPBACK, "--port", str(place.sim_port)),
                *("--seed", SEED, "--state", place.world),
            ],
            config.simulator_log,
            TOP,
        )

    async def start_vendor(self) -> None:
        """Start the simulator, which stays through all ends of Home Assistant."""
        await self._simulator.start()
        await until(self.vendor.is_up, PATIENCE, "the simulator answers")

    async def start_home(self) -> Home:
        """Start Home Assistant, log in, and wait until its start is complete."""
        await self._hass.start()
        home = Home(self._session, f"http://{LOOPBACK}:{self.place.port}")
        await until(home.is_up, START_PATIENCE, "Home Assistant answers")
        await home.log_in(USERNAME, PASSWORD)
        await until(home.is_running, START_PATIENCE, "Home Assistant has started")
        for entry in await home.entries(DOMAIN):
            home.entry_id = entry["entry_id"]
        return home

    async def kill_home(self) -> None:
        """End Home Assistant as a power cut does."""
        os.killpg(self._hass.pid, signal.SIGKILL)
        assert await self._hass.ended() == -signal.SIGKILL

    async def stop_home(self) -> float:
        """Ask Home Assistant to stop, and return how many seconds it took."""
        started = time.monotonic()
        os.kill(self._hass.pid, signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await self._hass.ended() == 0
        return time.monotonic() - started

    async def stop(self) -> None:
        """End both, whatever state they are in."""
        await self._hass.stop()
        await self._simulator.stop()

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let no file of Home Assistant take anything more for a while, as on a full disk."""
        pid = self._hass.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            yield
        finally:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, before)

    def logged_at(self, event: str) -> datetime:
        """Return when an event happened; all of `EVENTS` has to be in the log."""
        log = (self.place.config.path / "home-assistant.log").read_text(encoding="utf-8")
        (line,) = (line for line in log.splitlines() if f"<Event {event}[" in line)
        return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S.%f").astimezone()

    def complaints(self) -> list[str]:
        """Return what was logged of things that nobody has cleaned up."""
        return [
            line
            for log in self.place.config.path.glob("*.log*")
            for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
            if _COMPLAINT.search(line)
        ]

    def files_with(self, *texts: str) -> list[str]:
        """Return Home Assistant's files that hold one of these texts.

        As part of a hexadecimal id, or as the fraction of a second, it is only chance.
        """
        any_text = "|".join(map(re.escape, texts))
        pattern = re.compile(rf"(?<![0-9a-f.])(?:{any_text})(?![0-9a-f])".encode())
        top = self.place.config.path
        return sorted(
            str(path.relative_to(top))
            for path in top.rglob("*")
            if path.is_file() and pattern.search(path.read_bytes())
        )


@asynccontextmanager
async def house_at(place: Place) -> AsyncIterator[House]:
    """Run the simulator in a place, and what else is started there, until the context ends."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        house = House(place, session)
        try:
            await house.start_vendor()
            yield house
        finally:
            await house.stop()


async def furnish(place: Place) -> float:
    """Set the site up in a new place; return the seconds in which Home Assistant then stops."""
    place.lay_out()
    async with house_at(place) as house:
        await set_up(await house.start_home(), house.vendor)
        return await house.stop_home()
