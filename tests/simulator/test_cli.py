"""The command line."""

import asyncio
from collections.abc import AsyncIterator
import json
from pathlib import Path
import signal
import sys
from typing import Any

import aiohttp
import pytest

from simulator import Quirks
from simulator.cli import parse, prepare, run, serve

TOP = Path(__file__).parents[2]


@pytest.fixture
async def session(socket_enabled: None) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a session."""
    async with aiohttp.ClientSession() as session:
        yield session


async def started(*options: str) -> tuple[asyncio.subprocess.Process, str]:
    """Start the simulator as a process and return it with its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        "--port",
        "0",
        *options,
        cwd=TOP,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert line.startswith("Simulator ready on http://127.0.0.1:"), line
    return process, line.split()[-1]


async def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was printed first."""
    for _ in range(500):
        if line := capsys.readouterr().out:
            return line
        await asyncio.sleep(0.01)
    raise AssertionError("nothing was printed")


async def ended(process: asyncio.subprocess.Process, number: signal.Signals) -> tuple[int, bytes]:
    """End the process with a signal; return its code and what it said to standard error."""
    process.send_signal(number)
    _, errors = await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors


async def ask(session: aiohttp.ClientSession, method: str, url: str, body: object = None) -> Any:
    """Ask the control plane."""
    async with session.request(method, url, json=body) as response:
        assert response.status == 200
        return await response.json()


async def test_a_world_survives_a_restart(session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """What was changed before an end and even before a kill is there in the next process."""
    state = tmp_path / "world.json"
    options = ("--control", "--state", str(state), "--seed", "campsite")
    process, url = await started(*options)
    seed = await ask(session, "GET", f"{url}/_sim/seed")
    gate = seed["locks"][0]["id"]
    change = {"kind": "lock", "id": gate, "set": {"customer_reference": "Renamed"}}
    await ask(session, "POST", f"{url}/_sim/world", change)
    assert await ended(process, signal.SIGTERM) == (0, b"")

    process, url = await started(*options)
    again = await ask(session, "GET", f"{url}/_sim/seed")
    assert again["locks"][0] == seed["locks"][0] | {"name": "Renamed"}
    await ask(session, "POST", f"{url}/_sim/world", {"kind": "lock", "remove": gate})
    await ended(process, signal.SIGKILL)

    process, url = await started(*options)
    last = await ask(session, "GET", f"{url}/_sim/seed")
    assert last["locks"] == again["locks"][1:]
    assert await ended(process, signal.SIGINT) == (0, b"")


async def test_serving_in_process(
    session: aiohttp.ClientSession, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says where it is, answers there, and is gone when told to stop."""
    stop = asyncio.Event()
    task = asyncio.create_task(serve(parse(["--port", "0", "--quirk", "error_code=number"]), stop))
    line = await said(capsys)
    url = line.split()[-1]
    async with session.get(f"{url}/v1.2/nothing") as response:
        assert (response.status, (await response.json())["ErrorCode"]) == (404, 2202)
    async with session.get(f"{url}/_sim/seed") as response:
        assert response.status == 404
    stop.set()
    await task
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.get(f"{url}/v1.2/nothing")


async def test_starts_that_fail(socket_enabled: None, tmp_path: Path) -> None:
    """A broken state file and a taken address end the program with a message."""
    state = tmp_path / "world.json"
    state.write_text("{")
    with pytest.raises(SystemExit, match="cannot be read"):
        await serve(parse(["--state", str(state)]), asyncio.Event())
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    async with server:
        port = str(server.sockets[0].getsockname()[1])
        with pytest.raises(SystemExit, match="address already in use"):
            await serve(parse(["--port", port]), asyncio.Event())


async def test_signals_end_it(socket_enabled: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A request to terminate ends the program without an error."""
    task = asyncio.create_task(run(parse(["--port", "0", "--host", "::1"])))
    line = await said(capsys)
    assert "http://[::1]:" in line
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(task, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--control", "--host", "192.0.2.1"], "loopback"),
        (["--control", "--host", "example.com"], "loopback"),
        (["--seed", "moon"], "invalid choice"),
        (["--doors", "3"], "--seed large"),
        (["--quirk", "list_shape=round"], "list_shape is one of"),
        (["--quirk", "nonsense"], "no such quirk"),
        (["--prot", "1"], "unrecognized"),
    ],
)
def test_command_lines_that_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong command line ends with what is wrong about it."""
    with pytest.raises(SystemExit) as caught:
        parse(options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_large_seed() -> None:
    """Doors and users go to the large seed, quirks to the simulator."""
    options = parse(
        ["--seed", "large", "--doors", "5", "--users", "7", "--quirk", "preset=instant"]
    )
    sim = prepare(options)
    assert (len(sim.world.locks), len(sim.world.guests)) == (5, 7)
    assert sim.quirks == Quirks.instant()


def test_the_default_is_the_agreed_address() -> None:
    """Host, port and seed as other programs expect them."""
    options = parse([])
    assert (options.host, options.port, options.seed) == ("127.0.0.1", 8124, "campsite")
    assert json.dumps(options.control) == "false"
