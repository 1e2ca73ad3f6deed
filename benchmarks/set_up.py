"""What the set-up of an entry costs: the first one, and the one after each restart."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
from pathlib import Path
import shutil
import sys
from tempfile import TemporaryDirectory

from .bare import BareClient
from .simulated import Simulated
from .watch import Cost, measured

FIRST, RESTART = "first set-up", "set-up after a restart"
BARE = "bare client: fetch and parse what it reads"
_REGISTRIES = ("core.entity_registry", "core.device_registry", "core.restore_state")


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpCosts:
    """What set-ups cost, each in a process of its own."""

    costs: dict[str, tuple[Cost, ...]]
    requests: int
    entities: int
    growth: int
    """Bytes by which the process grew, modules that were loaded included."""
    growth_small: int
    """The same for a small site."""
    traced: int
    """Bytes of Python objects that stayed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    cost: Cost
    growth: int
    states: int


async def measure_set_up(
    folder: Path, small: Path, simulated: Simulated, bare: BareClient, repeats: int
) -> SetUpCosts:
    """Set the entries of two config folders up; `small` is for the comparison of memory."""
    runs: dict[str, list[_Run]] = {FIRST: [], RESTART: []}
    bare_costs = []
    requests = 0
    for _ in range(repeats):
        for kind, found in runs.items():
            await simulated.forget_requests()
            found.append(await _run(folder, first=kind == FIRST))
            requests = max(requests, len(await simulated.requests()))
        bare_costs.append(await measured(bare.look_around()))
    traced = await _run(folder, traced=True)
    small_run = await _run(small)
    costs = {kind: tuple(run.cost for run in found) for kind, found in runs.items()}
    return SetUpCosts(
        costs=costs | {BARE: tuple(bare_costs)},
        requests=requests,
        entities=runs[RESTART][-1].states,
        growth=sorted(run.growth for run in runs[RESTART])[repeats // 2],
        growth_small=small_run.growth,
        traced=traced.growth,
    )


async def _run(folder: Path, *, first: bool = False, traced: bool = False) -> _Run:
    """Set up once, in a new process."""
    with _copy(folder, first=first) as copied:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "benchmarks.set_up_once", str(copied)),
            *(["--traced"] if traced else []),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError("a set-up in a process of its own failed")
    told = json.loads(output)
    return _Run(cost=Cost(**told["cost"]), growth=told["growth"], states=told["states"])


@contextmanager
def _copy(folder: Path, *, first: bool) -> Iterator[Path]:
    """Give a copy of a config folder, without what was registered if it is to be the first time."""
    with TemporaryDirectory() as temporary:
        copied = Path(temporary) / "config"
        shutil.copytree(folder, copied)
        if first:
            for name in _REGISTRIES:
                (copied / ".storage" / name).unlink(missing_ok=True)
        yield copied
