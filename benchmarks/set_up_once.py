"""Set one entry up in a fresh process, as after a restart, and print what that cost as JSON.

    python -m benchmarks.set_up_once CONFIG_FOLDER [--traced]

With `--traced` Python's own allocations are traced, which makes everything slow; its times say
nothing.
"""

import argparse
import asyncio
from collections.abc import Callable
from dataclasses import asdict
import gc
import json
import logging
from pathlib import Path
import resource
import tracemalloc

from homeassistant.config_entries import ConfigEntryState

from custom_components.salto_ks.const import DOMAIN

from .home import home_assistant
from .watch import measured


async def set_up_once(folder: Path, memory: Callable[[], int]) -> dict[str, object]:
    """Set up the one entry of a config folder."""
    async with home_assistant(folder, started=False) as hass:
        (entry,) = hass.config_entries.async_entries(DOMAIN)
        gc.collect()
        before = memory()
        cost = await measured(hass.config_entries.async_setup(entry.entry_id))
        gc.collect()
        growth = memory() - before
        if entry.state is not ConfigEntryState.LOADED:
            raise RuntimeError(f"the entry is {entry.state}")
        states = len(hass.states.async_entity_ids())
    return {"cost": asdict(cost), "growth": growth, "states": states}


def resident() -> int:
    """Return the bytes of memory that this process occupies."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def traced() -> int:
    """Return the bytes that Python has allocated and not freed."""
    return tracemalloc.get_traced_memory()[0]


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--traced", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    if options.traced:
        tracemalloc.start()
    result = asyncio.run(set_up_once(options.folder, traced if options.traced else resident))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
