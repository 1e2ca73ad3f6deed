"""What an operation costs: time, CPU of the event loop, and how long it holds the loop up."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import gc
from time import perf_counter, process_time, thread_time
from typing import Any
from unittest.mock import patch

_QUIET_TURNS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an operation took, in seconds."""

    wall: float
    loop_cpu: float
    """CPU time of the event loop's thread."""
    process_cpu: float
    """CPU time of all threads."""
    longest_block: float
    """CPU time of the longest single callback or step of a task.

    Unlike wall time it does not grow when the machine has other things to do.
    """
    longest_block_itself: float
    """The same, without the garbage collection that happened to fall into it."""


@dataclass(slots=True)
class _Runs:
    """What the loop has run since the watch began."""

    count: int = 0
    longest: float = 0.0
    longest_itself: float = 0.0
    collecting_since: float = 0.0
    collected: float = 0.0

    def note_collection(self, phase: str, _info: dict[str, int]) -> None:
        """Be told by the garbage collector that a pass begins or ends."""
        if phase == "start":
            self.collecting_since = thread_time()
        else:
            self.collected += thread_time() - self.collecting_since


async def measured(operation: Coroutine[Any, Any, object]) -> Cost:
    """Do something, and whatever it leaves to the loop to do at once; return what it took."""
    with _watching() as runs:
        wall, loop_cpu, process_cpu = perf_counter(), thread_time(), process_time()
        # A task of its own: the step that runs here began before the watch.
        await asyncio.create_task(operation)
        await _until_idle(runs)
        return Cost(
            wall=perf_counter() - wall,
            loop_cpu=thread_time() - loop_cpu,
            process_cpu=process_time() - process_cpu,
            longest_block=runs.longest,
            longest_block_itself=runs.longest_itself,
        )


@contextmanager
def _watching() -> Iterator[_Runs]:
    """Time everything that an event loop of this process runs; adds 1 µs to each run."""
    runs = _Runs()
    run: Callable[[asyncio.Handle], None] = vars(asyncio.Handle)["_run"]

    def timed(handle: asyncio.Handle) -> None:
        collected, began = runs.collected, thread_time()
        run(handle)
        took = thread_time() - began
        runs.count += 1
        runs.longest = max(runs.longest, took)
        runs.longest_itself = max(runs.longest_itself, took - (runs.collected - collected))

    gc.callbacks.append(runs.note_collection)
    try:
        with patch.object(asyncio.Handle, "_run", timed):
            yield runs
    finally:
        gc.callbacks.remove(runs.note_collection)


async def _until_idle(runs: _Runs) -> None:
    """Return when the loop runs nothing but the caller."""
    quiet = 0
    while quiet < _QUIET_TURNS:
        before = runs.count
        await asyncio.sleep(0)
        quiet = quiet + 1 if runs.count - before <= 1 else 0
