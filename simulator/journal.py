"""What was asked of the simulator, with everything secret masked."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
import re
from typing import Any

CAPACITY = 10_000
"""Requests that are kept; older ones are forgotten."""

MASK = "***"

SECRET_FIELDS = frozenset(
    {
        "access_token",
        "authorization",
        "client_secret",
        "code",
        "otp",
        "password",
        "pin",
        "pin_code",
        "refresh_token",
        "secret",
        "token",
    }
)

_PARAMETER = re.compile(r"\{[^}]*\}")


def same_route(template: str) -> str:
    """Return a route template without the names of its parameters, which carry no meaning."""
    return _PARAMETER.sub("{}", template)


def masked(value: Any) -> Any:
    """Return JSON data with secret values replaced; an empty one stays visible as empty."""
    if isinstance(value, Mapping):
        return {
            key: MASK if key.lower() in SECRET_FIELDS and item not in ("", None) else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One request. `status` is None where no answer was sent; `route` is empty if none matched."""

    at: datetime
    method: str
    route: str
    path: str
    query: Mapping[str, str]
    body: Any
    authorization: str | None
    status: int | None


class Journal:
    """The last requests, oldest first."""

    def __init__(self, templates: Iterable[str] = ()) -> None:
        self._templates = frozenset(map(same_route, templates))
        self._entries: deque[JournalEntry] = deque(maxlen=CAPACITY)

    @property
    def entries(self) -> list[JournalEntry]:
        """All requests that are kept."""
        return list(self._entries)

    def add(self, entry: JournalEntry) -> None:
        """Write a request down."""
        self._entries.append(entry)

    def filter(self, method: str | None = None, route: str | None = None) -> list[JournalEntry]:
        """Return the requests of a method and a route.

        A route that is known (`/v1.2/sites/{site}/locks`, the names of parameters do not matter)
        stands for itself, anything else for every route or path that contains it.
        """
        return [
            entry
            for entry in self._entries
            if (method is None or entry.method == method.upper())
            and (route is None or self._matches(entry, route))
        ]

    def count(self, method: str | None = None, route: str | None = None) -> int:
        """Count the requests that `filter` would return."""
        return len(self.filter(method, route))

    def clear(self) -> None:
        """Forget all requests."""
        self._entries.clear()

    def _matches(self, entry: JournalEntry, route: str) -> bool:
        if same_route(route) in self._templates:
            return same_route(entry.route) == same_route(route)
        return route in entry.route or route in entry.path
