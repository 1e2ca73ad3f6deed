"""Waiting for something that only polling can tell."""

import asyncio
from collections.abc import Awaitable, Callable

from .errors import DemoError

INTERVAL = 0.1
"""Seconds between two looks."""


async def until(condition: Callable[[], Awaitable[bool]], patience: float, what: str) -> None:
    """Wait until the condition holds; raises DemoError after this many seconds without it."""
    try:
        async with asyncio.timeout(patience):
            while True:
                if await condition():
                    return
                await asyncio.sleep(INTERVAL)
    except TimeoutError as error:
        raise DemoError(f"{what}: not after {patience:.0f} seconds") from error
