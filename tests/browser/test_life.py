"""How a demo begins and ends."""

from pathlib import Path
import signal
import socket

import pytest

from .running import RunningDemo, free_port, running_demo

pytestmark = pytest.mark.browser

SET_UP = "Setting the integration up"


def processes_with(text: str) -> list[str]:
    """Return the command lines of all processes that mention the text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
        except FileNotFoundError, ProcessLookupError:
            continue
        if text in command:
            found.append(command)
    return found


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_nothing_is_left_behind(tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C and a polite kill end both processes and throw the folder away."""
    with running_demo(tmp_path, "--fresh") as demo:
        assert list(demo.temporary.iterdir())
        assert len(processes_with(str(demo.temporary))) == 2
        assert demo.stop(how) == 0
        assert not list(demo.temporary.iterdir())
        assert not processes_with(str(demo.temporary))
        for port in (demo.port, demo.sim_port):
            socket.create_server(("127.0.0.1", port)).close()


def test_a_kept_demo_goes_on(tmp_path: Path) -> None:
    """With --keep the second start finds the site as it was: nothing is set up again."""
    keep = ("--keep", str(tmp_path / "kept"))
    with running_demo(tmp_path / "first", *keep) as demo:
        assert SET_UP in demo.terminal
        assert "everything stays in" in demo.terminal
    with running_demo(tmp_path / "second", *keep, ports=(demo.port, demo.sim_port)) as again:
        assert SET_UP not in again.terminal
        assert not again.commands()


@pytest.mark.parametrize(("taken", "option"), [(0, "--port"), (1, "--sim-port")])
def test_a_taken_port_is_told(tmp_path: Path, taken: int, option: str) -> None:
    """A port that is in use ends the demo at once, with the option that chooses another."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ports = (port, free_port()) if taken == 0 else (free_port(), port)
        demo = RunningDemo(tmp_path, ports=ports)
        assert demo.ended() == 1
    assert demo.terminal.endswith(f"port {port} is taken: choose another with {option}\n")
    assert not list(demo.temporary.iterdir())
