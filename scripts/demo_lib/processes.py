"""The demo's two child processes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
import os
from pathlib import Path
import signal
import socket

from .errors import DemoError
from .folder import LOOPBACK

STOP_PATIENCE = 20.0
"""Seconds a process gets to end by itself."""

LOG_LINES = 25
"""Lines of a process's output that are shown when it fails."""


def require_free(port: int, option: str) -> None:
    """Raise DemoError if something listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise DemoError(f"port {port} is taken: choose another with {option}") from error


class Child:
    """A process of ours, in a group of its own, so that Ctrl-C reaches it in our order."""

    def __init__(self, name: str, command: Sequence[str | Path], log: Path, folder: Path) -> None:
        """Prepare the command, to run in the folder, its output appended to the log."""
        self.name = name
        self._command = [str(part) for part in command]
        self._log = log
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it."""
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                cwd=self._folder,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process's id, which is its group's too."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    async def ended(self) -> int:
        """Wait for its end; return the exit code."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return await self._process.wait()

    def failure(self) -> DemoError:
        """Return an error that shows the end of its output."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return DemoError("\n".join([f"{self.name} ended by itself:", *lines[-LOG_LINES:]]))

    async def stop(self) -> None:
        """End it and what it started; harmless when it has ended already."""
        if self._process is None:
            return
        for way in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, way)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_PATIENCE)
                return
