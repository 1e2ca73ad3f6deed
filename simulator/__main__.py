"""Run the simulator: `python -m simulator`."""

import asyncio

from .cli import parse, run

if __name__ == "__main__":
    asyncio.run(run(parse()))
