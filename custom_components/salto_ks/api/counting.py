"""Count the requests of one piece of work, while others send theirs beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class RequestCount:
    """How many requests a piece of work has sent so far."""

    requests: int = 0


_COUNT: Final[ContextVar[RequestCount | None]] = ContextVar("salto_ks_requests", default=None)


@contextmanager
def requests_counted() -> Iterator[RequestCount]:
    """Count what is sent within this block by the task that runs it."""
    count = RequestCount()
    token = _COUNT.set(count)
    try:
        yield count
    finally:
        _COUNT.reset(token)


def note_request() -> None:
    """Add a request to whatever is counted here."""
    if (count := _COUNT.get()) is not None:
        count.requests += 1
