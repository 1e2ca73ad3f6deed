"""Each of our files damaged in each way: nothing is lost or written over, and somebody is told."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
import pytest

from simulator import Simulator

from .booking_helpers import bookings, keys, minutes_pass
from .conftest import SetUp
from .files import hass_config_dir, hass_storage, path_of
from .keys import HOUR, MORNING, ask, groups, guests, issue, opens
from .support import DOMAIN, GATE, RECEPTION, entity_id, opened, restarted, unlock
from .texts import english, placeholders
from .units import add_unit, tell
from .watching import act

__all__ = ["hass_config_dir", "hass_storage"]

START, END = MORNING + 6 * HOUR, MORNING + 30 * HOUR


@pytest.fixture(autouse=True)
async def _morning(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning in Amsterdam, and let time pass only when a test says so."""
    asyncio.get_running_loop().set_debug(False)  # It notes a stack for every callback.
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    freezer.move_to(MORNING)


def _with_frame(**frame: Any) -> Callable[[bytes], bytes]:
    """Return what changes the frame that Home Assistant puts around a file."""
    return lambda content: json.dumps(json.loads(content) | frame).encode()


DAMAGES: Mapping[str, Callable[[bytes], bytes | None]] = {
    "cut off": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
    "a list": lambda _: b"[]",
    "data of another kind": _with_frame(data=[1]),
    "data without parts": _with_frame(data={}),
    "a later version": _with_frame(version=2),
    "a version that never was": _with_frame(version=0),
    "a folder": lambda _: None,
}
"""What becomes of a file's content; None for a folder in its place."""

SAID = {"a later version": "newer", "a folder": "unreadable"}
"""What is said of a file that is not just damaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One of our files."""

    name: str
    """With the site's id in the place of `SITE`."""
    state: ConfigEntryState = ConfigEntryState.LOADED
    """Of the site's entry while it is damaged."""
    told: str | None = None
    """The repair issue that names it; None where the entry itself says what is wrong."""


FILES = (
    File(name="salto_ks.iq_credentials", state=ConfigEntryState.SETUP_ERROR),
    File(name="salto_ks.sites", state=ConfigEntryState.SETUP_ERROR),
    File(name="salto_ks.bookings.SITE", told="bookings_unreadable"),
    File(name="salto_ks.pin_key", told="ledger_closed"),
    File(name="salto_ks.ledger.SITE/intents", told="ledger_closed"),
    File(name="salto_ks.ledger.SITE/keys.0000", told="ledger_closed"),
)
"""All but the log of what was done, which is read line by line, and the position in the door log."""


def damage(path: Path, name: str) -> bytes | None:
    """Damage a file, and return what it is then; None for a folder."""
    content = DAMAGES[name](path.read_bytes())
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    return content


def found(path: Path) -> bytes | None:
    """Return what is there of a damaged file, under its own name or set aside; None for a folder."""
    if path.is_dir():
        return None
    (one,) = [path] if path.exists() else path.parent.glob(f"{path.name}.corrupt.*")
    return one.read_bytes()


def put_back(path: Path, content: bytes) -> None:
    """Restore a file as a person would, from a backup."""
    if path.is_dir():
        path.rmdir()
    for aside in path.parent.glob(f"{path.name}.corrupt.*"):
        aside.unlink()
    path.write_bytes(content)


async def meddle(hass: HomeAssistant, sim: Simulator, entry: ConfigEntry[Any]) -> None:
    """Do all that writes files; whatever is refused is refused."""
    attempts = (
        lambda: unlock(hass, sim),
        lambda: issue(hass, sim, entry),
        lambda: tell(hass, entry, "R2", starts_at=END, ends_at=END + HOUR),
        lambda: ask(hass, entry, "reconcile", dry_run=False),
        lambda: act(hass, "switch", "turn_on", entity_id(hass, "switch", sim.site_id, "active")),
    )
    for attempt in attempts:
        try:
            await attempt()
        except HomeAssistantError, LookupError:
            continue


async def a_site(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> ConfigEntry[Any]:
    """Set a site up that has something in each of its files, and unload it."""
    entry = await set_up(iqs=[RECEPTION])
    await add_unit(hass, sim, entry)
    await tell(hass, entry, starts_at=START, ends_at=END)
    switch = entity_id(hass, "switch", sim.site_id, "active")
    await act(hass, "switch", "turn_off", switch)
    await act(hass, "switch", "turn_on", switch)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    return entry


def assert_said(told: ir.IssueEntry, name: str) -> None:
    """Assert that an issue says in whole sentences what is wrong with the file."""
    key = str(told.translation_key)
    assert key.endswith(f"_{SAID.get(name, 'damaged')}"), name
    filled = [placeholders(text) for text in english()["issues"][key].values()]
    assert set().union(*filled) == set(told.translation_placeholders or ()), name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
async def test_damaged(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    file: File,
) -> None:
    """A damaged file stays byte for byte, its site says so and takes nobody's key, and is well again."""
    entry = await a_site(hass, sim, set_up)
    (guest,), of_guest = guests(sim), groups(sim)
    assert guest.pin is not None
    path = path_of(hass, file.name.replace("SITE", sim.site_id))
    whole = path.read_bytes()
    for name in DAMAGES:
        left = damage(path, name)
        async with restarted(hass, entry) as (again, same):
            assert same.state is file.state, name
            if file.told is None:
                assert same.error_reason_translation_key == "storage_unreadable", name
            else:
                told = ir.async_get(again).async_get_issue(DOMAIN, f"{file.told}_{same.entry_id}")
                assert told is not None, name
                assert_said(told, name)
                await unlock(again, sim)
                assert opened(sim), name
                await meddle(again, sim, same)
            await minutes_pass(again, freezer, 1)
            assert found(path) == left, name
            put_back(path, whole)
            assert await again.config_entries.async_reload(same.entry_id), name
            await again.async_block_till_done(wait_background_tasks=True)
            if file.told is not None:
                issues = ir.async_get(again)
                assert issues.async_get_issue(DOMAIN, f"{file.told}_{same.entry_id}") is None
            assert guest in guests(sim), name
            assert [group for group in of_guest if group in groups(sim)] == of_guest
            assert opens(sim, guest.pin, GATE, START + HOUR), name
            assert "R1" in {one["booking_id"] for one in await bookings(again)}, name
            key = next(one for one in await keys(again, same) if one["booking_id"] == "R1")
            answer = await ask(again, same, "get_pin", key_id=key["key_id"])
            assert answer["pin"] == guest.pin, name
        whole = path.read_bytes()


async def test_damaged_position_in_the_log(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """How far the door log was read is worth nothing once it is damaged: all goes on without."""
    entry = await a_site(hass, sim, set_up)
    path = path_of(hass, "salto_ks.access_events")
    whole = path.read_bytes()
    for name in DAMAGES:
        damage(path, name)
        async with restarted(hass, entry) as (again, same):
            assert same.state is ConfigEntryState.LOADED, name
            await unlock(again, sim)
            assert opened(sim), name
        put_back(path, whole)


# Versions: each entry and each file has had one so far, 1 and 1.1


@pytest.mark.parametrize("minor", [0, 7])
async def test_another_minor_version(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, minor: int
) -> None:
    """Entry and files of an older or a later minor version are read, and nothing of them is lost."""
    entry = await a_site(hass, sim, set_up)
    (guest,) = guests(sim)
    for path in path_of(hass, "x").parent.rglob("*"):
        if path.is_file() and path.name != "core" and ".jsonl" not in path.name:
            frame = json.loads(path.read_bytes())
            if DOMAIN in frame["key"] and (minor > 0 or "ledger" not in frame["key"]):
                path.write_bytes(_with_frame(minor_version=minor)(path.read_bytes()))
    hass.config_entries.async_update_entry(entry, minor_version=minor)
    async with restarted(hass, entry) as (again, same):
        assert same.state is ConfigEntryState.LOADED
        assert {issue for issue in ir.async_get(again).issues if issue[0] == DOMAIN} == set()
        await unlock(again, sim)
        assert opened(sim)
        (key,) = await keys(again, same)
        assert (await ask(again, same, "get_pin", key_id=key["key_id"]))["pin"] == guest.pin


async def test_entry_of_a_later_version(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """An entry of a later version is not set up, and no file is touched and nothing asked of Salto."""
    entry = await a_site(hass, sim, set_up)
    hass.config_entries.async_update_entry(entry, version=2)
    folder, asked = path_of(hass, "x").parent, len(sim.journal.entries)
    before = {path: path.read_bytes() for path in folder.rglob("salto_ks*") if path.is_file()}
    async with restarted(hass, entry) as (_, same):
        assert same.state is ConfigEntryState.MIGRATION_ERROR
    assert len(sim.journal.entries) == asked
    assert {path: path.read_bytes() for path in before} == before
