"""Measure everything and print the results.

python -m benchmarks            print
python -m benchmarks --keys     only what is about keys
python -m benchmarks --bookings only what is about bookings
python -m benchmarks --write    and put them into docs/benchmarks.md
"""

import argparse
import asyncio
from contextlib import AsyncExitStack
import logging
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from time import monotonic

from .bare import bare_client
from .bookings import measure_bookings
from .home import home_assistant, set_up_site, write_files
from .keys import measure_keys
from .machine import describe, load
from .openings import Openings, OpeningTimes, Traffic, compare_openings, signers
from .polls import PollCosts, measure_polls
from .report import Results, render, render_bookings, render_keys, write
from .set_up import measure_set_up
from .simulated import Simulated, simulated

FEW, MANY = 12, 1000
_PAGE = 100
_SITE_REQUESTS = 3
"""Site, rights and activations."""


async def run(folder: Path, rounds: int, repeats: int) -> Results:
    """Measure everything, with files in a folder."""
    at_the_beginning = load()
    async with simulated(FEW) as small, simulated(MANY) as large:
        polls, openings = await _live(folder, small, large, rounds, repeats)
        _say("set-up")
        async with bare_client(large) as bare:
            set_up = await measure_set_up(
                _config(folder, large), _config(folder, small), large, bare, repeats
            )
        requests_of_poll = _pages(MANY) + _pages(large.seed.iqs)
    _say("keys")
    keys = await measure_keys(folder)
    _say("bookings")
    bookings = await measure_bookings(folder)
    return Results(
        machine=describe(),
        rounds=rounds,
        repeats=repeats,
        load=(at_the_beginning, load()),
        openings=openings,
        set_up=set_up,
        requests_of_set_up=1 + _SITE_REQUESTS + requests_of_poll,
        polls=polls,
        requests_of_poll=requests_of_poll,
        keys=keys,
        bookings=bookings,
    )


async def _live(
    folder: Path, small: Simulated, large: Simulated, rounds: int, repeats: int
) -> tuple[list[PollCosts], list[tuple[OpeningTimes, Traffic]]]:
    """Measure what happens while Home Assistant runs; two of them, side by side."""
    async with AsyncExitStack() as stack:
        openings, polls = [], []
        for site in (small, large):
            _say(f"a Home Assistant with {site.doors} doors")
            config = _config(folder, site)
            config.mkdir()
            hass = await stack.enter_async_context(home_assistant(config, started=True))
            entry = await set_up_site(hass, site)
            await write_files(hass)
            bare = await stack.enter_async_context(bare_client(site))
            openings.append(Openings(hass, site, bare, signers(entry, site.seed.iq_id)))
            if site is large:
                _say("polls")
                polls = await measure_polls(hass, entry, site, bare, 2 * repeats)
                await write_files(hass)
        _say("openings")
        times = await compare_openings(openings, rounds)
        traffic = [await opening.traffic() for opening in openings]
        return polls, list(zip(times, traffic, strict=True))


def _config(folder: Path, site: Simulated) -> Path:
    """Return the config folder of the Home Assistant for a site."""
    return folder / f"config-{site.doors}"


def _pages(things: int) -> int:
    """Return how many pages a list fills."""
    return -(-things // _PAGE)


def _say(what: str) -> None:
    """Tell how far it has come."""
    print(f"{monotonic() - _STARTED:5.0f} s  {what}", file=sys.stderr, flush=True)


_STARTED = monotonic()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--keys", action="store_true", help="measure keys only, and print")
    only.add_argument("--bookings", action="store_true", help="measure bookings only, and print")
    only.add_argument("--write", action="store_true", help="write into docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=300, help="openings in each way")
    parser.add_argument("--repeats", type=int, default=4, help="set-ups; twice as many polls")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    with TemporaryDirectory() as folder:
        if options.keys:
            text = render_keys(asyncio.run(measure_keys(Path(folder))))
        elif options.bookings:
            text = render_bookings(asyncio.run(measure_bookings(Path(folder))))
        else:
            text = render(asyncio.run(run(Path(folder), options.rounds, options.repeats)))
    print(text)
    if options.write:
        write(text)
    _say("done")


if __name__ == "__main__":
    main()
