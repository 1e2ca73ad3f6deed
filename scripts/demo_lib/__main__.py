"""Run the demo: see ``scripts/demo --help``."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
import os
from pathlib import Path
import shutil
import signal
import sys
import tempfile
from typing import Any
import webbrowser

import aiohttp

from . import words
from .bookings import offer_calendar, set_up_units
from .dashboard import save_as_default
from .errors import DemoError
from .folder import LOOPBACK, DemoFolder, Settings
from .front_desk import set_up_desk
from .home import HomeAssistant
from .options import Options, parse
from .processes import Child, require_free
from .registry import read_devices
from .set_up import DOMAIN, set_up, settled
from .simulated import Seed, SimulatorControl
from .waiting import until

TOP = Path(__file__).parents[2]
INTEGRATION = TOP / "custom_components" / DOMAIN
LOGS = TOP / "artifacts" / "demo"

START_PATIENCE = 180.0
"""Seconds until a process has to answer; the first start of an environment compiles everything."""

RESTART_CODE = 100
"""The exit code by which Home Assistant asks to be started again."""

MAIL_INTERVAL = 1.0
"""Seconds between two looks at the simulator's outbox."""


def say(lines: Iterable[str]) -> None:
    """Print at once, whoever reads."""
    for line in lines:
        print(line, flush=True)


class Demo:
    """One run of the demo."""

    def __init__(self, options: Options, folder: DemoFolder, settings: Settings) -> None:
        """Prepare to run in this folder."""
        self._options = options
        self._settings = settings
        hass = (options.hass_venv or Path(sys.prefix)) / "bin" / "hass"
        if not hass.exists():
            raise DemoError(f"there is no {hass}: choose another --hass-venv")
        self._hass = Child(
            "Home Assistant", [hass, "--config", folder.path], folder.hass_log, folder.path
        )
        self._simulator = Child(
            "The simulator",
            [
                *(sys.executable, "-m", "simulator", "--control"),
                *("--host", LOOPBACK, "--port", str(settings.sim_port)),
                *("--seed", settings.seed, "--state", folder.world),
            ],
            folder.simulator_log,
            TOP,
        )

    async def run(self) -> None:
        """Run until cancelled, or until one of the processes ends by itself."""
        if self._settings.port == self._settings.sim_port:
            raise DemoError("--port and --sim-port are the same: choose two")
        require_free(self._settings.port, "--port")
        require_free(self._settings.sim_port, "--sim-port")
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            await stack.enter_async_context(_running(self._simulator))
            await stack.enter_async_context(_running(self._hass))
            vendor = SimulatorControl(session, f"http://{LOOPBACK}:{self._settings.sim_port}")
            home = HomeAssistant(session, f"http://{LOOPBACK}:{self._settings.port}")
            await _together(
                _must_not_end(self._simulator), self._kept_running(), self._play(home, vendor)
            )

    async def _kept_running(self) -> None:
        """Start Home Assistant again whenever it asks for that."""
        while await self._hass.ended() == RESTART_CODE:
            await self._hass.start()
        raise self._hass.failure()

    async def _play(self, home: HomeAssistant, vendor: SimulatorControl) -> None:
        await until(vendor.is_up, START_PATIENCE, "the simulator answers")
        await until(home.is_up, START_PATIENCE, "Home Assistant answers")
        await home.log_in(words.USERNAME, words.PASSWORD)
        await until(home.is_running, START_PATIENCE, "Home Assistant has started")
        seed = await vendor.seed()
        if await home.entries(DOMAIN):
            await settled(home, seed)
        elif self._options.fresh:
            await offer_calendar(home)
        else:
            say(["Setting the integration up ..."])
            await set_up(home, vendor)
        await self._write_dashboard(home, seed)
        by_hand = not await home.entries(DOMAIN)
        say(words.ready(home.base, vendor.base, seed, by_hand=by_hand))
        if by_hand:
            say(words.what_to_type(home.base, vendor.base, seed, INTEGRATION))
        say([words.ending(self._options.keep)])
        if self._options.browser and _has_desktop():
            await asyncio.to_thread(webbrowser.open, home.base)
        await self._read_mail(vendor, seed)

    async def _write_dashboard(self, home: HomeAssistant, seed: Seed) -> None:
        if not await home.entries(DOMAIN):
            return
        async with home.commands() as commands:
            devices = await read_devices(commands)
            await save_as_default(commands, devices)
        await set_up_desk(home, devices)
        await settled(home, seed)
        await set_up_units(home, devices, seed)
        await settled(home, seed)
        async with home.commands() as commands:
            await save_as_default(commands, await read_devices(commands))

    async def _read_mail(self, vendor: SimulatorControl, seed: Seed) -> None:
        """Show each IQ PIN as it is sent, as a mailbox would."""
        shown = len(await vendor.outbox())
        while True:
            await asyncio.sleep(MAIL_INTERVAL)
            with suppress(aiohttp.ClientError):
                messages = await vendor.outbox()
                say(words.mail(message, seed) for message in messages[shown:])
                shown = len(messages)


@asynccontextmanager
async def _running(child: Child) -> AsyncIterator[None]:
    """Run the child while the context is open."""
    try:
        await child.start()
        yield
    finally:
        await child.stop()


async def _must_not_end(child: Child) -> None:
    await child.ended()
    raise child.failure()


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """Run all until the first failure; one that is meant for the person is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except ExceptionGroup as failures:
        for failure in failures.exceptions:
            if isinstance(failure, DemoError):
                raise failure from None
        raise


def _has_desktop() -> bool:
    return sys.stdout.isatty() and (
        sys.platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))
    )


@contextmanager
def _folder(options: Options) -> Iterator[DemoFolder]:
    """Give a folder that is kept where that was asked for, else thrown away in the end."""
    if options.keep:
        yield DemoFolder(options.keep)
        return
    path = Path(tempfile.mkdtemp(prefix="salto-ks-demo-"))
    try:
        yield DemoFolder(path)
    finally:
        shutil.rmtree(path)


async def run(options: Options) -> None:
    """Run the demo until cancelled."""
    with _folder(options) as folder:
        settings = folder.settle(options)
        folder.lay_out(settings, INTEGRATION)
        folder.offer_blueprints(TOP)
        try:
            await Demo(options, folder, settings).run()
        except DemoError as error:
            if folder.save_logs(LOGS):
                raise DemoError(f"{error}\nThe logs are in {LOGS}.") from error
            raise


async def until_signal(work: Coroutine[Any, Any, None]) -> None:
    """Do the work; end it, with all that it cleans up, on Ctrl-C, SIGTERM or a closed terminal."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.Event()

    def stop() -> None:
        if not stopped.is_set():
            stopped.set()
            say(["\nEnding ..."])
            task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped.is_set():
            raise


def main() -> int:
    """Run the demo as the command line asks; return the exit code."""
    options = parse(sys.argv[1:])
    try:
        asyncio.run(until_signal(run(options)))
    except DemoError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
