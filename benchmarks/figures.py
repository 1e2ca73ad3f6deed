"""Numbers out of repeated runs, and how they are written."""

from collections.abc import Callable, Iterable
from statistics import median, quantiles

from .watch import Cost


def p95(values: Iterable[float]) -> float:
    """Return the value that one in twenty exceeds."""
    return quantiles(values, n=20, method="inclusive")[-1]


def typical(costs: Iterable[Cost], part: Callable[[Cost], float]) -> float:
    """Return the median of one part of several costs."""
    return median(part(cost) for cost in costs)


def worst(costs: Iterable[Cost], part: Callable[[Cost], float]) -> float:
    """Return the largest of one part of several costs."""
    return max(part(cost) for cost in costs)


def seconds(value: float) -> str:
    """Write a duration: `0`, `0.84 ms`, `12.3 ms`, `140 ms`, `1.27 s`."""
    if value == 0:
        return "0"
    if value >= 1:
        return f"{value:.2f} s"
    milliseconds = value * 1000
    digits = 2 if milliseconds < 10 else 1 if milliseconds < 100 else 0
    return f"{milliseconds:.{digits}f} ms"


def megabytes(value: float) -> str:
    """Write an amount of memory."""
    return f"{value / 2**20:.0f} MB"


def met(reached: bool) -> str:
    """Write whether a target was met."""
    return "met" if reached else "**missed**"


def table(*rows: Iterable[object]) -> str:
    """Write a table, its first row as the head."""
    head, *body = ([str(cell) for cell in row] for row in rows)
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
