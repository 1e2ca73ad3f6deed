"""A demo started as a person starts it: by its one command."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
import os
from pathlib import Path
import re
import signal
import socket
import subprocess
import time
from typing import Any
import urllib.request

TOP = Path(__file__).parents[2]

READY = "Ctrl-C ends it"
START_PATIENCE = 300.0
"""Seconds: the first start of an environment compiles all of Home Assistant."""

STOP_PATIENCE = 60.0


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for[T](look: Callable[[], T | None], patience: float, what: str) -> T:
    """Look until there is something; fails after this many seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not after {patience:.0f} seconds")


class RunningDemo:
    """One demo, from its start to its end."""

    def __init__(self, folder: Path, *options: str, ports: tuple[int, int] | None = None) -> None:
        """Start it with these options; its temporary files go below the folder."""
        self.port, self.sim_port = ports or (free_port(), free_port())
        self.home = f"http://127.0.0.1:{self.port}"
        self.vendor = f"http://127.0.0.1:{self.sim_port}"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self._terminal = folder / "terminal.txt"
        command: list[str | Path] = [TOP / "scripts" / "demo", "--no-browser"]
        command += ["--port", str(self.port), "--sim-port", str(self.sim_port), *options]
        if venv := os.environ.get("DEMO_HASS_VENV"):
            command += ["--hass-venv", venv]
        with self._terminal.open("w", encoding="utf-8") as terminal:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TMPDIR": str(self.temporary)},
                cwd=folder,
            )

    @property
    def terminal(self) -> str:
        """All that it has said so far."""
        return self._terminal.read_text(encoding="utf-8")

    def said(self, pattern: str, patience: float = 30.0) -> str:
        """Wait until it says this; return the pattern's group, or all of the match."""

        def look() -> str | None:
            if self._process.poll() is not None:
                raise AssertionError(f"the demo has ended:\n{self.terminal}")
            match = re.search(pattern, self.terminal, re.MULTILINE)
            return match and match[match.lastindex or 0]

        return wait_for(look, patience, f"the demo says {pattern!r}")

    def ended(self) -> int:
        """Wait until it has ended by itself; return the exit code."""
        return self._process.wait(STOP_PATIENCE)

    def wait_until_ready(self) -> None:
        """Wait until it says that it is ready."""
        self.said(READY, START_PATIENCE)

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask the simulator's control plane, or tell it something."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.vendor}/_sim/{path}", data=data)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def journal(self) -> list[dict[str, Any]]:
        """Return what the simulator was asked."""
        requests: list[dict[str, Any]] = self.control("journal")["requests"]
        return requests

    def opens(self, door: str, keypad_pin: str) -> bool:
        """Type a PIN at the keypad of a door."""
        lock_id = next(one["id"] for one in self.control("seed")["locks"] if one["name"] == door)
        answer = self.control("keypad", {"lock_id": lock_id, "pin": keypad_pin})
        return bool(answer["result"] == "opened")

    def commands(self) -> list[dict[str, Any]]:
        """Return the door commands among what the simulator was asked."""
        return [
            request
            for request in self.journal()
            if request["method"] == "PATCH" and request["path"].endswith("/locking")
        ]

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """End it as Ctrl-C does, or otherwise; return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(how)
        return self.ended()


@contextmanager
def running_demo(
    folder: Path, *options: str, ports: tuple[int, int] | None = None
) -> Iterator[RunningDemo]:
    """Run a demo until it is ready, and end it afterwards."""
    demo = RunningDemo(folder, *options, ports=ports)
    try:
        demo.wait_until_ready()
        yield demo
    finally:
        demo.stop()
