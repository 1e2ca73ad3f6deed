"""A few seconds of a bad week for keys; `scripts/soak` has more of it."""

from pathlib import Path

import pytest

from benchmarks.soak import soak


@pytest.mark.parametrize("seed", [7, 11])
async def test_a_bad_day(socket_enabled: None, tmp_path: Path, seed: int) -> None:
    """After everything has gone wrong at random, ledger, Salto and keypads agree."""
    figures = await soak(tmp_path, minutes=0, seed=seed, storm=120)
    assert figures.checks == 1
    assert figures.discrepancies == 0
    assert figures.operations.total() > 20
