"""Tell those who listen to one door about that door, and nobody else.

A site of 1,000 doors has thousands of entities. Writing them all for one opening would hold up
the event loop for longer than the opening takes.
"""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator

from .const import LOGGER
from .turns import HOLD


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
        self._run(self._listening(list(self._by_key) if keys is None else [None, *keys]))

    def _listening(self, keys: Iterable[Hashable | None]) -> Iterator[Callable[[], None]]:
        """Give the callbacks under these keys, without those that have gone in the meantime."""
        for key in keys:
            for token in tuple(self._by_key.get(key, ())):
                if (update := self._by_key.get(key, {}).get(token)) is not None:
                    yield update

    def _run(self, waiting: Iterator[Callable[[], None]]) -> None:
        """Call back for as long as is fair, and the rest when the loop has had its turn.

        A callback that fails is logged and takes nothing away from those after it, nor from the
        caller, who is not the one that could mend it.
        """
        until = self._loop.time() + HOLD
        for update in waiting:
            try:
                update()
            except Exception:  # noqa: BLE001 - logged whole, and nobody else is to suffer from it
                LOGGER.exception("An entity or another listener failed to take up a change")
            if self._loop.time() >= until:
                self._loop.call_soon(self._run, waiting)
                return
