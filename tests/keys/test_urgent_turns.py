"""Who gets a turn, and when."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.keys.urgent_turns import UrgentTurns

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Queue:
    """People who take turns, and when they were let go."""

    def __init__(self, at_once: int) -> None:
        """Begin with nobody."""
        self.turns = UrgentTurns(at_once)
        self.at_once = at_once
        self.order: list[str] = []
        self.working = 0
        self.go = asyncio.Event()

    async def work(self, name: str, minutes: int) -> None:
        """Take a turn that is needed in so many minutes, and keep it until all may go."""
        async with self.turns.turn(NOON + minutes * MINUTE):
            self.order.append(name)
            self.working += 1
            assert self.working <= self.at_once
            try:
                await self.go.wait()
            finally:
                self.working -= 1

    def comes(self, name: str, minutes: int) -> asyncio.Task[None]:
        """Let somebody come."""
        return asyncio.create_task(self.work(name, minutes))


async def settle() -> None:
    """Let everybody do what they can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_most_urgent_goes_first() -> None:
    """Those who wait go by when they are needed, and of the same minute by when they came."""
    queue = Queue(1)
    tasks = [queue.comes("first", 90)]
    await settle()
    for name, minutes in (("late", 60), ("soon", 1), ("also soon", 1), ("now", 0)):
        tasks.append(queue.comes(name, minutes))
        await settle()
    assert queue.order == ["first"]
    queue.go.set()
    await asyncio.gather(*tasks)
    assert queue.order == ["first", "now", "soon", "also soon", "late"]


async def test_as_many_as_there_are_turns() -> None:
    """No more work at once than there are turns, and no turn stays free while somebody waits."""
    queue = Queue(3)
    tasks = [queue.comes(str(number), number) for number in range(7)]
    await settle()
    assert queue.working == 3
    queue.go.set()
    await asyncio.gather(*tasks)
    assert len(queue.order) == 7


async def test_a_turn_that_ends_badly_is_passed_on() -> None:
    """An error in a turn does not keep it."""
    turns = UrgentTurns(1)
    for _ in range(3):
        with pytest.raises(ValueError, match="no luck"):
            async with turns.turn(NOON):
                raise ValueError("no luck")
    async with turns.turn(NOON):
        pass


async def test_cancelled_while_the_turn_comes() -> None:
    """Who is cancelled at the moment the turn comes passes it on."""
    queue = Queue(1)
    queue.go.set()
    async with queue.turns.turn(NOON):
        second, third = queue.comes("second", 1), queue.comes("third", 2)
        await settle()
    second.cancel()
    await asyncio.wait_for(third, 1)
    assert queue.order == ["third"]


@settings(max_examples=150, deadline=None)
@given(
    at_once=st.integers(1, 4),
    people=st.lists(st.integers(0, 20), max_size=12),
    steps=st.lists(st.tuples(st.sampled_from(["cancel", "finish", "wait"]), st.integers(0, 11))),
)
def test_no_turn_is_lost(at_once: int, people: list[int], steps: list[tuple[str, int]]) -> None:
    """Whoever is cancelled, and whenever, all turns are free in the end and nobody waits for ever."""

    async def story() -> None:
        turns, working = UrgentTurns(at_once), 0
        ends = [asyncio.Event() for _ in people]

        async def work(index: int) -> None:
            nonlocal working
            async with turns.turn(NOON + people[index] * MINUTE):
                working += 1
                assert working <= at_once
                try:
                    await ends[index].wait()
                finally:
                    working -= 1

        tasks = [asyncio.create_task(work(index)) for index in range(len(people))]
        for step, which in steps:
            index = which % max(1, len(people))
            if step == "wait":
                await settle()
            elif index < len(tasks):
                if step == "cancel":
                    tasks[index].cancel()
                else:
                    ends[index].set()
        for end in ends:
            end.set()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(task, 1)
        async with asyncio.timeout(1):
            for _ in range(at_once):
                await turns.turn(NOON).__aenter__()

    asyncio.run(story())
