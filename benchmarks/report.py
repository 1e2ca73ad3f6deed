"""The results as the tables of `docs/benchmarks.md`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from . import polls, set_up
from .bookings import (
    BARE_PLAN,
    BARE_READ,
    BEGINNING_PLAN,
    CHANGED_PLAN,
    PLAN,
    BookingCosts,
)
from .figures import megabytes, met, p95, seconds, table, typical, worst
from .keys import PER_MINUTE, KeyCosts
from .openings import OpeningTimes, Traffic
from .polls import PollCosts
from .set_up import SetUpCosts
from .watch import Cost

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_BEGIN = "<!-- Written by scripts/benchmark --write -->"
_END = "<!-- End of what is written -->"

RATIO = 1.25
SET_UP = 3.0
POLL = 0.150
BLOCK = 0.050
KEYS_AN_HOUR = 500
LEDGER_LOAD = 1.0
LEDGER_MEMORY = 60 * 2**20
COMPARISON = 2.0
TICK = 0.020
PLANNING = 0.200


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Everything that one run has measured."""

    machine: str
    rounds: int
    repeats: int
    load: tuple[str, str]
    openings: Sequence[tuple[OpeningTimes, Traffic]]
    set_up: SetUpCosts
    requests_of_set_up: int
    """How many there should be."""
    polls: Sequence[PollCosts]
    requests_of_poll: int
    """How many there should be."""
    keys: KeyCosts
    bookings: BookingCosts


def render(results: Results) -> str:
    """Write the results."""
    return "\n\n".join(
        (
            f"{results.machine}. Load of the last minute {results.load[0]} at the beginning and "
            f"{results.load[1]} at the end.",
            f"### Opening a door\n\nMedian of {results.rounds} rounds, in brackets the time that "
            "one in twenty exceeds.",
            _openings(results),
            _traffic(results),
            f"### Setting up 1,000 doors\n\nMedian of {results.repeats} runs, in brackets the "
            "worst.",
            _set_up(results),
            _memory(results.set_up),
            f"### Polling 1,000 doors\n\nMedian of {len(results.polls[0].costs)} polls of each "
            "kind, in brackets the worst.",
            _polls(results),
            render_keys(results.keys),
            render_bookings(results.bookings),
        )
    )


def render_keys(keys: KeyCosts) -> str:
    """Write the results about keys."""
    row, ledger, comparison, deep = keys.row, keys.ledger, keys.comparison, keys.deep
    rate = row.keys / row.hours
    all_there = row.issued == row.opening == row.keys and row.doubled == 0
    return "\n\n".join(
        (
            f"### Keys\n\n{row.keys:,} keys in a row, with lags as measured and "
            f"{row.faults / row.requests:.1%} of the requests gone wrong; {ledger.keys:,} keys in "
            f"a ledger; {comparison.keys:,} keys compared with as many guests and groups.",
            table(
                ("", "Measured", "Target"),
                (
                    "Issued, opening their door, twice at Salto",
                    f"{row.issued}, {row.opening}, {row.doubled}",
                    f"all, all, none: {met(all_there)}",
                ),
                (
                    "Keys an hour of simulated time",
                    f"{rate:.0f}",
                    f"{KEYS_AN_HOUR}: {met(rate >= KEYS_AN_HOUR)}",
                ),
                (
                    "Most writes in a minute",
                    row.most_writes,
                    f"{PER_MINUTE}: {met(row.most_writes <= PER_MINUTE)}",
                ),
                ("Requests for each key", f"{row.requests / row.keys:.1f}", ""),
                ("CPU for each key", seconds(row.cpu), ""),
                (
                    "Loading the ledger",
                    seconds(ledger.load),
                    f"{seconds(LEDGER_LOAD)}: {met(ledger.load < LEDGER_LOAD)}",
                ),
                ("… longest block", seconds(ledger.load_block), _met_block(ledger.load_block)),
                (
                    "Memory of the ledger",
                    megabytes(ledger.memory),
                    f"{megabytes(LEDGER_MEMORY)}: {met(ledger.memory < LEDGER_MEMORY)}",
                ),
                (
                    "A change of one key: longest block",
                    seconds(ledger.change.longest_block),
                    _met_block(ledger.change.longest_block),
                ),
                (
                    "Looking for what is due: CPU",
                    seconds(keys.tick),
                    f"{seconds(TICK)}: {met(keys.tick < TICK)}",
                ),
                (
                    "Comparing with Salto: CPU of all threads",
                    seconds(comparison.cost.process_cpu),
                    f"{seconds(COMPARISON)}: {met(comparison.cost.process_cpu < COMPARISON)}",
                ),
                (
                    "… longest block",
                    seconds(comparison.cost.longest_block),
                    _met_block(comparison.cost.longest_block),
                ),
                (
                    "… requests",
                    comparison.requests,
                    f"pages: {met(comparison.requests <= _pages_of(comparison.keys))}",
                ),
                (
                    f"Comparing {deep.keys:,} keys in depth: requests for each",
                    f"{(deep.requests - _pages_of(deep.keys)) / deep.keys:.1f}",
                    "",
                ),
                ("… CPU for each, of all threads", seconds(deep.cost.process_cpu / deep.keys), ""),
                (
                    "… longest block",
                    seconds(deep.cost.longest_block),
                    _met_block(deep.cost.longest_block),
                ),
            ),
        )
    )


def render_bookings(found: BookingCosts) -> str:
    """Write the results about bookings."""
    each_once = found.reports.reads == found.units
    return "\n\n".join(
        (
            f"### Bookings\n\n{found.units:,} units, each with a calendar, hold "
            f"{found.bookings:,} bookings, and the ledger has the key of each. Median of "
            f"{len(found.passes[PLAN])} passes of each kind, in brackets the worst.",
            _booking_passes(found),
            table(
                ("", "Measured", "Target"),
                (
                    "Reads after each calendar has written its state, with nothing new",
                    f"{found.reports.reads:,}",
                    f"{found.units:,}: {met(each_once)}",
                ),
                ("… CPU of all threads", seconds(found.reports.cpu), ""),
                ("Memory of what is known of bookings", megabytes(found.memory), ""),
                ("Most memory of a planning pass", megabytes(found.planning_memory), ""),
            ),
        )
    )


def _booking_passes(found: BookingCosts) -> str:
    rows = []
    for kind, costs in found.passes.items():
        parts = [] if kind in {BARE_PLAN, BARE_READ} else [_judged_block(costs)]
        if kind in {PLAN, CHANGED_PLAN, BEGINNING_PLAN}:
            parts.insert(0, f"CPU {met(typical(costs, _process_cpu) < PLANNING)}")
        shown = [
            f"{seconds(typical(costs, part))} ({seconds(worst(costs, part))})"
            for part in (_wall, _process_cpu, _loop_cpu, _block, _block_itself)
        ]
        rows.append((kind, *shown, "; ".join(parts)))
    head = ("", "Time", "CPU of all threads", *_HEAD[2:5], "Target")
    return table(head, *rows)


def _met_block(block: float) -> str:
    return f"{seconds(BLOCK)}: {met(block < BLOCK)}"


def _pages_of(keys: int) -> int:
    """Return how many pages of users and of groups so many keys fill, with some strangers."""
    return 2 * (keys // 100 + 1)


def write(text: str) -> None:
    """Put the results into the page. Raises ValueError when their place is not there."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"{PAGE.name} has no place for the results")
    PAGE.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}", encoding="utf-8")


def _openings(results: Results) -> str:
    def shown(times: Sequence[float]) -> str:
        return f"{seconds(median(times))} ({seconds(p95(times))})"

    rows = []
    for times, _ in results.openings:
        a, b, c = median(times.bare), median(times.trivial), median(times.ours)
        rows.append(
            (
                f"{times.doors:,}",
                *(shown(way) for way in (times.bare, times.trivial, times.ours)),
                *(f"{ratio:.2f}" for ratio in (b / a, c / a, c / b)),
                f"c/b ≤ {RATIO}: {met(c / b <= RATIO)}",
            )
        )
    head = ("Doors", "a: bare PATCH", "b: trivial lock", "c: our lock", "b/a", "c/a", "c/b")
    return table((*head, "Target"), *rows)


def _traffic(results: Results) -> str:
    rows = [
        (
            f"{times.doors:,}",
            traffic.requests,
            traffic.devices_written,
            traffic.states_written,
            seconds(traffic.loop_cpu),
            f"1 request, 1 door: {met(traffic.requests == traffic.devices_written == 1)}",
        )
        for times, traffic in results.openings
    ]
    head = ("Doors", "Requests of an opening", "Doors written", "States written")
    return table((*head, "CPU of the event loop, with what follows the answer", "Target"), *rows)


def _set_up(results: Results) -> str:
    rows = []
    for kind, costs in results.set_up.costs.items():
        if kind == set_up.BARE:
            rows.append((kind, *_shown(costs), results.requests_of_set_up - 1, ""))
            continue
        requests = results.set_up.requests
        parts = [
            f"time {met(typical(costs, _wall) < SET_UP)}",
            _judged_block(costs),
            f"requests {met(requests == results.requests_of_set_up)}",
        ]
        rows.append((kind, *_shown(costs), requests, "; ".join(parts)))
    return table((*_HEAD, "Target"), *rows)


def _memory(costs: SetUpCosts) -> str:
    each = (costs.growth - costs.growth_small) / 988
    return (
        f"{costs.entities:,} entities. The process grows by {megabytes(costs.growth)}, with 12 "
        f"doors by {megabytes(costs.growth_small)}: {each / 1024:.0f} kB for each door. Python "
        f"objects that stay: {megabytes(costs.traced)}."
    )


def _polls(results: Results) -> str:
    rows = []
    for poll in results.polls:
        if poll.kind in polls.BASELINES:
            rows.append((poll.kind, *_shown(poll.costs), poll.requests, ""))
            continue
        wanted = 1 if poll.kind == polls.OUTAGE else results.requests_of_poll
        parts = [
            f"CPU {met(typical(poll.costs, _loop_cpu) < POLL)}",
            _judged_block(poll.costs),
            f"requests {met(poll.requests == wanted)}",
        ]
        rows.append((poll.kind, *_shown(poll.costs), poll.requests, "; ".join(parts)))
    return table((*_HEAD, "Target"), *rows)


def _judged_block(costs: Sequence[Cost]) -> str:
    """Say whether the loop is held up for too long, by us and by the garbage collector."""
    if typical(costs, _block) < BLOCK:
        return "block met"
    itself = typical(costs, _block_itself) < BLOCK
    return "block **missed**" + (" by garbage collection alone" if itself else "")


_HEAD = (
    "",
    "Time",
    "CPU of the event loop",
    "Longest block",
    "… without garbage collection",
    "Requests",
)


def _shown(costs: Sequence[Cost]) -> list[str]:
    parts = (_wall, _loop_cpu, _block, _block_itself)
    return [f"{seconds(typical(costs, part))} ({seconds(worst(costs, part))})" for part in parts]


def _wall(cost: Cost) -> float:
    return cost.wall


def _process_cpu(cost: Cost) -> float:
    return cost.process_cpu


def _loop_cpu(cost: Cost) -> float:
    return cost.loop_cpu


def _block(cost: Cost) -> float:
    return cost.longest_block


def _block_itself(cost: Cost) -> float:
    return cost.longest_block_itself
