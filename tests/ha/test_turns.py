"""Long work lets the loop do other things in between, and does not wait where it is short."""

import asyncio

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.salto_ks.turns import HOLD, LoopTurns


@pytest.fixture
async def turns(freezer: FrozenDateTimeFactory) -> LoopTurns:
    """Return the turns of the test's own event loop, whose time stands still."""
    return LoopTurns(asyncio.get_running_loop())


@pytest.fixture
def others() -> list[int]:
    """Return what others have done."""
    return []


async def work(turns: LoopTurns, freezer: FrozenDateTimeFactory, steps: int) -> None:
    """Take steps of a quarter of what a turn may last."""
    for _ in range(steps):
        await turns.give()
        freezer.tick(HOLD / 4)


async def test_short_work_goes_through(
    turns: LoopTurns, freezer: FrozenDateTimeFactory, others: list[int]
) -> None:
    """Work that does not take long is done at once."""
    asyncio.get_running_loop().call_soon(others.append, 1)
    await work(turns, freezer, 4)
    assert others == []


async def test_long_work_stands_back(
    turns: LoopTurns, freezer: FrozenDateTimeFactory, others: list[int]
) -> None:
    """Others get a turn as often as the time of a turn is used up."""

    def other() -> None:
        others.append(1)
        if len(others) < 100:
            asyncio.get_running_loop().call_soon(other)

    asyncio.get_running_loop().call_soon(other)
    await work(turns, freezer, 40)
    assert 7 <= len(others) <= 10


async def test_work_beside_work_shares_the_time(
    turns: LoopTurns, freezer: FrozenDateTimeFactory
) -> None:
    """Pieces of work that go on at the same time take no more of a turn than one alone."""
    loop = asyncio.get_running_loop()
    lengths: list[float] = []
    running = [loop.create_task(work(turns, freezer, 40)) for _ in range(5)]
    while not all(task.done() for task in running):
        began = loop.time()
        await asyncio.sleep(0)
        lengths.append(loop.time() - began)
    assert max(lengths) <= 2.5 * HOLD
