"""The options of ``scripts/demo``."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PORTS: Final = range(1, 65536)
"""What a port may be; 0 would be any that is free, which nobody could be told."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo was asked to run; None where the person left the choice to it."""

    fresh: bool
    """Leave the integration to be set up by hand."""
    port: int | None
    sim_port: int | None
    seed: str | None
    keep: Path | None
    """A folder that outlives the demo, instead of a throw-away one."""
    hass_venv: Path | None
    """An environment with another Home Assistant to run."""
    browser: bool
    """Open the dashboard, where there is a desktop to open it on."""


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; ends the program on a mistake, as argparse does.

    Paths are the caller's, who need not stand in this project's folder.
    """
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="A campsite with simulated Salto KS doors, and a Home Assistant that runs it.",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="do not set the integration up: say what to type, and show the IQ PINs that arrive",
    )
    parser.add_argument("--port", type=int, help="Home Assistant's port (8123)")
    parser.add_argument("--sim-port", type=int, help="the simulated Salto KS's port (8124)")
    parser.add_argument("--seed", help="the world to start with (campsite)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="keep everything in this folder and go on there"
    )
    parser.add_argument(
        "--hass-venv", type=Path, metavar="VENV", help="run the Home Assistant of this environment"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    parser.add_argument(
        "--called-from", type=Path, default=Path(), help=argparse.SUPPRESS, metavar="FOLDER"
    )
    told = parser.parse_args(arguments)
    for option, port in (("--port", told.port), ("--sim-port", told.sim_port)):
        if port is not None and port not in PORTS:
            parser.error(f"{option} is between {PORTS[0]} and {PORTS[-1]}")

    def absolute(path: Path | None) -> Path | None:
        return path and (told.called_from / path).resolve()

    return Options(
        fresh=told.fresh,
        port=told.port,
        sim_port=told.sim_port,
        seed=told.seed,
        keep=absolute(told.keep),
        hass_venv=absolute(told.hass_venv),
        browser=not told.no_browser,
    )
