"""Things that go wrong on the way, as data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .journal import same_route

PUSH = "PUSH"
"""Stands for the method of a message that a hub sends; only a fault that names it hits one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong for the requests it matches.

    `route` is a route template or a part of a route or path; without it every request matches.
    The request is not carried out, unless `commit` or `drop_after_commit` says so or the fault is
    only `latency` or `truncate`.
    """

    route: str | None = None
    method: str | None = None
    status: int | None = None
    """Answer with this status (200 if only a body is given)."""
    body: Any = None
    """Body of that answer: text and bytes as they are, anything else as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)
    latency: float = 0.0
    """Seconds of real time to wait: first, or with `commit` before the answer."""
    reset: bool = False
    """Reset the connection before anything is done."""
    drop_after_commit: bool = False
    """Do what was asked, then close the connection without an answer."""
    commit: bool = False
    """Do what was asked, then give the faulty answer, or the real one where there is no other."""
    truncate: int | None = None
    """Send the real answer's headers and only this many bytes of its body."""
    count: int | None = 1
    """How many requests to hit; None for all."""
    after: int = 0
    """How many matching requests to let pass first."""

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense. Raises ValueError."""
        numbers = (self.latency, self.after, self.truncate or 0, self.count or 0)
        if any(number < 0 for number in numbers):
            raise ValueError("latency, after, truncate and count are not negative")

    @property
    def answers(self) -> bool:
        """Tell whether this fault brings an answer of its own."""
        return self.status is not None or self.body is not None


@dataclass(slots=True)
class _Armed:
    fault: Fault
    passed: int = 0
    hits: int = 0


class Faults:
    """The faults that are set, tried in the order they were added."""

    def __init__(self, templates: Iterable[str] = ()) -> None:
        self._templates = frozenset(map(same_route, templates))
        self._armed: list[_Armed] = []

    def add(self, fault: Fault) -> Fault:
        """Set a fault and return it."""
        self._armed.append(_Armed(fault))
        return fault

    def clear(self) -> None:
        """Take all faults away."""
        self._armed.clear()

    def hits(self, fault: Fault) -> int:
        """Return how many requests a fault has hit so far."""
        return sum(armed.hits for armed in self._armed if armed.fault is fault)

    @property
    def pending(self) -> list[Fault]:
        """The faults that have not hit all they are meant to hit."""
        return [armed.fault for armed in self._armed if not _spent(armed)]

    def take(self, method: str, route: str, path: str) -> Fault | None:
        """Return the fault that hits this request, and count it."""
        for armed in self._armed:
            if _spent(armed) or not self._matches(armed.fault, method, route, path):
                continue
            if armed.passed < armed.fault.after:
                armed.passed += 1
                continue
            armed.hits += 1
            return armed.fault
        return None

    def _matches(self, fault: Fault, method: str, route: str, path: str) -> bool:
        if (fault.method is not None or method == PUSH) and (fault.method or "").upper() != method:
            return False
        if fault.route is None:
            return True
        if same_route(fault.route) in self._templates:
            return same_route(fault.route) == same_route(route)
        return fault.route in route or fault.route in path


def _spent(armed: _Armed) -> bool:
    return armed.fault.count is not None and armed.hits >= armed.fault.count
