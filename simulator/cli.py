"""The command line of the simulator."""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
import signal
import sys

from aiohttp import web

from .app import Simulator
from .control import is_loopback
from .quirks import Quirks
from .seeds import SEED_NAMES
from .store import StateFile


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line, checked; a wrong one ends the program with a message."""
    parser = argparse.ArgumentParser(
        prog="simulator", description="A simulated Salto KS Connect API."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8124, help="0 takes any free port")
    parser.add_argument("--seed", choices=SEED_NAMES, default="campsite")
    parser.add_argument("--doors", type=int, help="for the seed large")
    parser.add_argument("--users", type=int, help="for the seed large")
    parser.add_argument("--control", action="store_true", help="serve the control plane at /_sim/")
    parser.add_argument("--state", type=Path, help="keep the world in this file")
    parser.add_argument(
        "--quirk",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a contested behaviour, or preset=instant; may be given several times",
    )
    options = parser.parse_args(arguments)
    if options.control and not is_loopback(options.host):
        parser.error("--control is served on a loopback address only")
    if options.seed != "large" and (options.doors is not None or options.users is not None):
        parser.error("--doors and --users belong to --seed large")
    try:
        options.quirks = Quirks.from_pairs(options.quirk)
    except ValueError as error:
        parser.error(str(error))
    return options


def prepare(options: argparse.Namespace) -> Simulator:
    """Return the simulator that a command line asks for, from its state file if there is one.

    Quirks given on the command line replace those of the file. Raises ValueError for a file that
    cannot be read.
    """
    state = None if options.state is None else StateFile(options.state)
    stored = None if state is None else state.read()
    if stored is not None:
        simulator = Simulator.load(stored, options.quirks if options.quirk else None)
    else:
        simulator = Simulator(
            seed=options.seed, quirks=options.quirks, doors=options.doors, users=options.users
        )
    if state is not None:
        state.write(simulator.dump())
        simulator.on_change = lambda: state.write(simulator.dump())
    return simulator


async def serve(options: argparse.Namespace, stop: asyncio.Event) -> None:
    """Serve until `stop` is set; one line on standard output says where.

    A state file that cannot be read and an address that is taken end the program with a message.
    """
    try:
        simulator = prepare(options)
    except ValueError as error:
        raise SystemExit(f"simulator: {options.state} cannot be read: {error}") from error
    runner = web.AppRunner(
        simulator.app(control=options.control), access_log=None, shutdown_timeout=1.0
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port)
        try:
            await site.start()
        except OSError as error:
            raise SystemExit(f"simulator: {error.strerror}") from error
        host, port = runner.addresses[0][:2]
        shown = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"Simulator ready on http://{shown}:{port}\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()


async def run(options: argparse.Namespace) -> None:
    """Serve until the process is asked to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(options, stop)
