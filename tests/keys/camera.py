"""A camera that shows a disk at every moment at which the power could fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import shutil
import time
from typing import Any

import pytest

WATCHED = ("rename", "write", "fsync", "ftruncate", "unlink", "mkdir")
"""What the operating system is asked that changes a disk, or makes a change last."""


class Camera:
    """Copies a folder before and after each thing that the operating system does in it.

    A `write` is done in two halves, as the operating system may, so that a torn one shows.
    """

    def __init__(self, folder: Path, album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be ready; nothing is taken outside of `watching`."""
        self._folder = folder
        self._album = album
        self._is_watching = False
        self._taken: list[Path] = []
        for name in WATCHED:
            monkeypatch.setattr(os, name, self._watched(getattr(os, name), halves=name == "write"))

    @contextmanager
    def watching(self) -> Iterator[list[Path]]:
        """Take pictures; in those, files that are not in their place yet are half-written."""
        self._taken = []
        self._is_watching = True
        try:
            yield self._taken
            self._take()
        finally:
            self._is_watching = False

    def _watched(self, call: Callable[..., Any], *, halves: bool) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            if not self._is_watching:
                return call(*args, **kwargs)
            self._take()
            if halves:
                descriptor, content = args
                args = (descriptor, content[: max(1, len(content) // 2)])
            result = call(*args, **kwargs)
            self._take()
            return result

        return watched

    def _take(self) -> None:
        self._is_watching = False
        picture = self._album / str(time.monotonic_ns())
        shutil.copytree(self._folder, picture)
        for path in picture.rglob("tmp*"):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self._taken.append(picture)
        self._is_watching = True
