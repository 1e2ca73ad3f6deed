"""What may be logged while everything goes wrong, and what may be left running."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import logging
import re
from time import sleep
from typing import Any, Final, override

from tests.ha.support import DOMAIN

_UNDERSTOOD: Final = re.compile(
    r"(Error fetching|Error requesting|Timeout fetching|Authentication failed while fetching)"
    r"|Setup of config entry .* cancelled$"
    r"|Unable to remove unknown job listener"
    r"|.* is not on disk: .* is not written while Home Assistant stops$"
)
"""What may be logged as an error: by Home Assistant, in our name, that Salto could not be read or
that it has ended while it set the site up; by us, that it keeps nothing any more as it ends."""

_LONG_PIN: Final = re.compile(r"(?<![\w.:-])\d{6}(?![\w-])")


class ChaosError(Exception):
    """A promise that was not kept."""


class Errors(logging.Handler):
    """Keeps what is logged as an error by us or of us, and every line in which a PIN may stand."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__(logging.DEBUG)
        self.found: list[str] = []
        self.six_digits: dict[str, str] = {}

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        text = message = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self.six_digits.update(dict.fromkeys(_LONG_PIN.findall(text), text))
        ours = DOMAIN in record.name or DOMAIN in text or "never retrieved" in text
        last = text.rpartition("\n")[2]
        cut_off = message.startswith("Error setting up entry") and "CancelledError" in last
        understood = cut_off or _UNDERSTOOD.match(message)
        if record.levelno >= logging.ERROR and ours and not understood:
            self.found.append(f"{record.name}: {text}")

    def check(self, pins: set[str]) -> None:
        """Raise ChaosError for an error, or for a PIN in any line."""
        if self.found:
            raise ChaosError("\n".join(self.found))
        if told := pins & self.six_digits.keys():
            raise ChaosError("\n".join(f"a PIN in: {self.six_digits[pin]}" for pin in told))


@contextmanager
def errors_kept() -> Iterator[Errors]:
    """Keep what is logged."""
    errors, root = Errors(), logging.getLogger()
    ours = logging.getLogger(f"custom_components.{DOMAIN}")
    before = ours.level
    root.addHandler(errors)
    ours.setLevel(logging.DEBUG)
    try:
        yield errors
    finally:
        root.removeHandler(errors)
        ours.setLevel(before)


def left_of_ours() -> list[asyncio.Task[Any] | asyncio.TimerHandle]:
    """Return the tasks and timers of ours that the event loop still has."""
    loop: Any = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = loop._scheduled  # nothing else tells
    return [
        *(task for task in asyncio.all_tasks() if DOMAIN in f"{task.get_name()} {task!r}"),
        *(timer for timer in timers if not timer.cancelled() and DOMAIN in repr(timer)),
    ]


async def check_nothing_runs() -> None:
    """Raise ChaosError for what is left of ours after an unload, once files are written."""
    for _ in range(200):
        if not (left := left_of_ours()):
            return
        await asyncio.to_thread(sleep, 0.01)
    raise ChaosError(f"left behind: {left}")
