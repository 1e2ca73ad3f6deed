"""The state file: a world that outlives the process."""

import json
import os
from pathlib import Path
from typing import Any

from .errors import MisfitError


class StateFile:
    """A file that holds a dumped world, readable by its owner only, as secrets are in it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any] | None:
        """Return what is stored, None if there is no file. Raises MisfitError for a broken one."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        data = json.loads(text)
        if not isinstance(data, dict):
            raise MisfitError(f"{self._path} holds no world")
        return data

    def write(self, data: dict[str, Any]) -> None:
        """Replace what is stored: either the old or the new is there at any moment."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f"{self._path.name}.new")
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
