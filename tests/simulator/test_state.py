"""Worlds that outlive a process."""

from datetime import UTC, datetime
import json
from pathlib import Path
import stat
from typing import Any

import aiohttp
import pytest

from simulator import Fault, Quirks, Simulator
from simulator.cli import parse, prepare
from simulator.codec import decode
from simulator.errors import MisfitError
from simulator.store import StateFile
from simulator.world import Lock, LockId, SiteUser

from .conftest import Serve


def through_json(sim: Simulator) -> Simulator:
    """Save and load a simulator."""
    return Simulator.load(json.loads(json.dumps(sim.dump())))


async def test_everything_comes_back(serve: Serve) -> None:
    """Activation, guests, groups, log, outbox, clock and token survive."""
    api = await serve(Quirks.instant(list_shape="bare", schedule_rollout_s=100.0))
    api.sim.clock.advance(500)
    await api.site("GET", f"/iqs/{api.iq_id}/pin")
    secret, pin = api.sim.activate(api.iq_id)
    guest = await api.new_guest()
    await api.site("PATCH", f"/users/{guest['id']}", {"use_pin": True})
    keypad_pin = (await api.site("PUT", f"/users/{guest['id']}/pin", {})).json
    group = await api.new_group()
    gate = api.lock_id("Main gate")
    await api.site("POST", f"/access_groups/{group}/locks", {"lock_id": gate})
    await api.site("POST", f"/access_groups/{group}/users", {"user_id": guest["user"]["id"]})
    await api.new_schedule(group, end_date="2099-01-01T10:00:00")
    await api.open(gate, "zzzzz")
    api.sim.keypad(gate, "000000")

    again = through_json(api.sim)
    assert again.dump() | {"clock_offset_s": 0} == api.sim.dump() | {"clock_offset_s": 0}
    assert again.quirks == api.sim.quirks
    assert again.dice.uuid() == api.sim.dice.uuid()
    assert again.seed_info() == api.seed
    assert [item.pin for item in again.outbox] == [item.pin for item in api.sim.outbox]
    later = await serve(sim=again, log_in=False)
    later.token = api.token
    assert (await later.open(gate, later.otp(secret, pin))).status == 200
    assert again.keypad(gate, keypad_pin).reason == "not_rolled_out"
    again.clock.advance(101)
    assert again.keypad(gate, keypad_pin).result == "opened"


async def test_a_running_opening_comes_back(serve: Serve) -> None:
    """A door that was open when the process ended relocks in the next one."""
    api = await serve()
    gate = api.lock_id("Main gate")
    guest = api.sim.world.guests[0]
    assert guest.pin is not None
    api.sim.keypad(gate, guest.pin)
    await api.site("DELETE", f"/users/{guest.id}")
    again = through_json(api.sim)
    assert again.world.locks[LockId(gate)].locked_state == "unlocked"
    again.clock.advance(11)
    assert again.world.locks[LockId(gate)].locked_state == "locked"
    assert guest.id not in again.world.users


def test_reset_after_loading_is_the_same_world() -> None:
    """A loaded world knows from which seed it came."""
    sim = Simulator("full", rng_seed=7)
    again = through_json(sim)
    again.remove("site", again.site_id)
    again.reset()
    assert again.seed_info() == sim.seed_info()


def test_another_format_is_refused() -> None:
    """A file of another version is not guessed at."""
    with pytest.raises(MisfitError, match="no world of this version"):
        Simulator.load({"format": 99})


@pytest.mark.parametrize("part", ["start", "world", "rollout", "dice"])
def test_missing_parts_are_refused(part: str) -> None:
    """A file with something missing is refused as damaged."""
    data = Simulator("empty").dump()
    del data[part]
    with pytest.raises(MisfitError, match="missing"):
        Simulator.load(data)


def test_the_file_is_private_and_whole(tmp_path: Path) -> None:
    """It is readable by its owner only, is replaced whole, and leaves nothing beside it."""
    path = tmp_path / "deep" / "world.json"
    file = StateFile(path)
    assert file.read() is None
    path.parent.mkdir()
    path.with_name("world.json.new").write_text("left over from a crash")
    file.write({"a": 1})
    file.write({"a": 2})
    assert file.read() == {"a": 2}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["world.json"]


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_broken_file_is_not_overwritten(tmp_path: Path, text: str) -> None:
    """What cannot be read ends the start and stays as it is."""
    path = tmp_path / "world.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"."):
        prepare(parse(["--state", str(path)]))
    assert path.read_text() == text


async def test_every_change_is_on_disk_before_the_answer(serve: Serve, tmp_path: Path) -> None:
    """After each answer a second process would know as much, also when the answer is lost."""
    path = tmp_path / "world.json"
    sim = prepare(parse(["--state", str(path), "--quirk", "preset=instant"]))
    api = await serve(sim=sim, control=True)

    def stored() -> Any:
        return StateFile(path).read()

    def aliases() -> set[str]:
        return {user["alias"] for _, user in _pairs(stored()["world"]["users"])}

    guest = await api.new_guest("Kept")
    assert "Kept" in aliases()
    api.sim.faults.add(Fault(route="guests", drop_after_commit=True))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.new_guest("Lost")
    assert "Lost" in aliases()
    await api.site("DELETE", f"/users/{guest['id']}")
    await api.site("GET", f"/users/{guest['id']}")
    assert "Kept" not in aliases()
    iq = api.iq_id
    await api.site("GET", f"/iqs/{iq}/secret")
    assert stored()["world"]["activations"]
    before = path.stat().st_mtime_ns
    await api.site("GET", "/locks")
    assert path.stat().st_mtime_ns == before
    await api.send("POST", "/_sim/clock", json={"advance": 1000})
    assert stored()["clock_offset_s"] >= 1000
    sim.set("site", sim.site_id, pin_enabled=False)
    assert not _pairs(stored()["world"]["sites"])[0][1]["pin_enabled"]
    sim.revoke_tokens()
    assert not stored()["world"]["tokens"]
    await api.send("POST", "/_sim/reset", json={})
    assert stored()["clock_offset_s"] == 0


def _pairs(table: Any) -> list[tuple[str, Any]]:
    return list(table.items()) if isinstance(table, dict) else table


def test_quirks_of_the_file_and_of_the_command_line(tmp_path: Path) -> None:
    """A world keeps its quirks, unless some are given."""
    options = ["--state", str(tmp_path / "world.json")]
    first = prepare(parse([*options, "--quirk", "list_shape=bare"]))
    assert first.quirks == Quirks(list_shape="bare")
    assert prepare(parse(options)).quirks == first.quirks
    changed = prepare(parse([*options, "--quirk", "error_code=number"]))
    assert changed.quirks == Quirks(error_code="number")
    assert prepare(parse(options)).quirks == changed.quirks


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (SiteUser, 1),
        (SiteUser, {"nope": 1}),
        (SiteUser, {}),
        (tuple[int, ...], "12"),
        (list[int], {"a": 1}),
        (int, 1.5),
        (int, None),
        (float, True),
        (datetime, "tomorrow"),
    ],
)
def test_data_that_does_not_fit(kind: Any, value: object) -> None:
    """Damaged data is refused with a message, not taken as something else."""
    with pytest.raises(MisfitError):
        decode(kind, value)


def test_data_that_fits() -> None:
    """Whole numbers are numbers, records and instants are taken as they are."""
    now = datetime.now(UTC)
    assert decode(float, 1) == 1.0
    assert decode(datetime | None, now) == now
    sim = Simulator()
    lock = next(iter(sim.world.locks.values()))
    assert decode(Lock, lock) is lock
