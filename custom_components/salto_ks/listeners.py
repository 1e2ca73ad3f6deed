"""Tell those who listen to one door about that door, and nobody else.

A site of 1,000 doors has thousands of entities. Writing them all for one opening would hold up
the event loop for longer than the opening takes.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable
from typing import Final

AT_ONCE: Final = 250
"""Listeners called before the loop gets a turn; about 10 ms of work."""


class KeyedListeners:
    """Callbacks, each under the key of the thing that it is about; None is about everything."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Call back in `loop`."""
        self._loop = loop
        self._by_key: dict[Hashable | None, dict[object, Callable[[], None]]] = {}

    def add(self, update: Callable[[], None], key: Hashable | None) -> Callable[[], None]:
        """Add a callback; the result takes it away again."""
        token = object()
        self._by_key.setdefault(key, {})[token] = update

        def remove() -> None:
            self._by_key[key].pop(token, None)
            if not self._by_key[key]:
                del self._by_key[key]

        return remove

    def tell(self, keys: Iterable[Hashable | None] | None) -> None:
        """Call back everybody under these keys, or everybody at all, a few at a time."""
        chosen = list(self._by_key) if keys is None else [None, *keys]
        self._run([(key, token) for key in chosen for token in self._by_key.get(key, ())])

    def _run(self, waiting: list[tuple[Hashable | None, object]]) -> None:
        """Call those who still listen, and the rest when the loop has had its turn."""
        for key, token in waiting[:AT_ONCE]:
            if (update := self._by_key.get(key, {}).get(token)) is not None:
                update()
        if rest := waiting[AT_ONCE:]:
            self._loop.call_soon(self._run, rest)
