"""The ledger when something fails: the power at any moment, the disk, the caller."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
import os
from pathlib import Path
import random
import shutil
import threading
from typing import Any

from homeassistant.core import CoreState, HomeAssistant
import pytest

from custom_components.salto_ks.domain.ids import KeyId, number_of
from custom_components.salto_ks.domain.intents import Intent, IntentKind
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus
from custom_components.salto_ks.keys.ledger import Ledger
from custom_components.salto_ks.keys.ledger_codec import SHARD_SIZE
from custom_components.salto_ks.storage import StorageError
from tests.ha.files import hass_config_dir, hass_storage

from .camera import Camera
from .ledgers import (
    DAY,
    EVERYTHING,
    NOW,
    a_line,
    a_record,
    actions,
    an_intent,
    contents,
    folder_of,
    issued,
    living_in,
    no_room,
    opened,
    state,
)

__all__ = ["hass_config_dir", "hass_storage"]

type Step = Callable[[Ledger], Awaitable[object]]


# The power


@pytest.fixture
def camera(
    hass: HomeAssistant,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Camera:
    """Watch the folder of Home Assistant."""
    album = tmp_path_factory.mktemp("album")
    return Camera(Path(hass.config.config_dir), album, monkeypatch)


def a_stay(instance: str, number: int) -> list[tuple[str, Step]]:
    """Return the steps of a key's life, and what the audit log then says."""
    record = a_record(KeyId(f"{instance}-{number}"), sealed_pin="gAAAAAsealed")
    issue = an_intent(record)
    moved = replace(record, window=replace(record.window, ends_at=NOW + 9 * DAY))
    change = an_intent(moved, IntentKind.CHANGE)
    used = replace(moved, first_used_at=NOW)
    suspend = an_intent(used, IntentKind.SUSPEND)
    revoke = an_intent(used, IntentKind.REVOKE)
    gone = replace(used, status=KeyStatus.REVOKED, removed_at=NOW, sealed_pin=None)
    key_id = record.key_id
    return [
        ("", lambda ledger: ledger.begin(issue)),
        ("issue", lambda ledger: ledger.finish(issue, record, a_line(key_id, "issue"))),
        ("", lambda ledger: ledger.begin(change)),
        ("change", lambda ledger: ledger.finish(change, moved, a_line(key_id, "change"))),
        ("used", lambda ledger: ledger.update(used, a_line(key_id, "used"))),
        ("", lambda ledger: ledger.begin(suspend)),
        ("", lambda ledger: ledger.begin(revoke)),
        ("revoke", lambda ledger: ledger.finish(revoke, gone, a_line(key_id, "revoke"))),
    ]


async def test_power_fails_at_any_moment(hass: HomeAssistant, camera: Camera) -> None:
    """Whenever the power fails, a start finds all before a step, or all after it, and goes on.

    Nothing that was promised is lost, nothing is there twice, and no number is given twice.
    """
    ledger = await opened(hass)
    await ledger.skip_to(SHARD_SIZE - 2)
    said: list[str] = []
    pictures = 0
    for _ in range(2):  # the last number of a file, and the first of the next
        key_id = ledger.new_key_id()
        for line, step in a_stay(ledger.instance, number_of(key_id)):
            before = state(ledger)
            with camera.watching() as taken:
                await step(ledger)
            assert state(ledger) != before
            told = [*said, *([line] if line else [])]
            pictures += len(taken)
            for picture in taken:
                with living_in(hass, picture):
                    await check_picture(
                        hass,
                        either=((before, said), (state(ledger), told)),
                        at_least=ledger.instance,
                        taken=number_of(key_id),
                    )
                shutil.rmtree(picture)
            said = told
    assert pictures > 150
    assert number_of(key_id) == SHARD_SIZE


async def check_picture(
    hass: HomeAssistant, *, either: tuple[Any, Any], at_least: str, taken: int
) -> None:
    """Check what a start makes of a disk, and that it goes on from there."""
    ledger = await opened(hass)
    assert ledger.quarantine is None
    assert ledger.instance == at_least
    assert ledger.unreadable == frozenset()
    found = (state(ledger), await actions(ledger))
    assert found in either
    known = {number_of(key_id) for key_id in (*ledger.records, *ledger.intents)}
    assert ledger.highest_number in ({taken} if taken in known else {taken - 1, taken})
    assert not list(folder_of(hass).glob("tmp*"))
    again = await opened(hass)
    assert (state(again), await actions(again)) == found

    another = await issued(again)
    assert number_of(another.key_id) > max(known, default=0)
    for key_id, intent in again.intents.items():
        await again.finish(intent, intent.record, a_line(key_id, "completed"))
    last = await opened(hass)
    assert last.records == again.records
    assert last.intents == {}
    assert sorted(await actions(last)) == sorted(
        [*found[1], "issue", *["completed"] * len(found[0][1])]
    )


@pytest.mark.parametrize("with_intent", [True, False])
async def test_power_fails_while_a_key_is_forgotten(
    hass: HomeAssistant, camera: Camera, *, with_intent: bool
) -> None:
    """A key that is half forgotten can be forgotten again, and nothing is begun for it anew."""
    ledger = await opened(hass)
    kept, gone = await issued(ledger), await issued(ledger)
    intent = an_intent(gone, IntentKind.ROTATE)
    if with_intent:
        await ledger.begin(intent)
    with camera.watching() as taken:
        await ledger.forget(gone.key_id, a_line(gone.key_id, "forget"))
    both = {kept.key_id: kept, gone.key_id: gone}
    seen = []
    for picture in taken:
        with living_in(hass, picture):
            found = await opened(hass)
            before = (both, {gone.key_id: intent} if with_intent else {})
            steps: list[object] = [before, (both, {}), ({kept.key_id: kept}, {})]
            step = steps.index(state(found))
            seen.append(step)
            assert await actions(found, gone.key_id) == [
                "issue",
                *(["forget"] if step == 2 else []),
            ]
            await found.forget(gone.key_id, a_line(gone.key_id, "forget"))
            assert state(await opened(hass)) == ({kept.key_id: kept}, {})
    assert seen == sorted(seen)
    assert set(seen) == ({0, 1, 2} if with_intent else {0, 2})


async def test_power_fails_while_old_keys_are_dropped(hass: HomeAssistant, camera: Camera) -> None:
    """Of the keys that are kept none is lost, and what was not dropped is dropped next time."""
    ledger = await opened(hass)
    kept = await issued(ledger, changed_at=NOW + 90 * DAY)
    await issued(ledger, status=KeyStatus.REVOKED)
    await ledger.skip_to(SHARD_SIZE)
    await issued(ledger, status=KeyStatus.REVOKED)
    with camera.watching() as taken:
        await ledger.prune(NOW + 90 * DAY, records_after=30 * DAY, audit_after=30 * DAY)
    left = set()
    for picture in taken:
        with living_in(hass, picture):
            found = await opened(hass)
            left.add(len(found.records))
            assert found.records[kept.key_id] == kept
            assert len(await actions(found)) in (0, 3)
            await found.prune(NOW + 90 * DAY, records_after=30 * DAY, audit_after=30 * DAY)
            last = await opened(hass)
            assert last.records == {kept.key_id: kept}
            assert await actions(last) == []
    assert left == {3, 2, 1}


async def test_folder_of_which_nothing_was_written(hass: HomeAssistant) -> None:
    """What the very first write leaves when it is cut off is no ledger yet, and is cleared away."""
    folder = folder_of(hass)
    folder.mkdir(parents=True)
    (folder / "tmpabc").write_text("half")
    ledger = await opened(hass)
    assert ledger.quarantine is None
    assert not (folder / "tmpabc").exists()
    record = await issued(ledger)
    assert (await opened(hass)).records == {record.key_id: record}


async def test_rubbish_that_cannot_be_cleared_away(hass: HomeAssistant) -> None:
    """Rubbish that stays is in nobody's way."""
    (folder_of(hass) / "tmpabc" / "x").mkdir(parents=True)
    record = await issued(await opened(hass))
    assert (await opened(hass)).records == {record.key_id: record}


# The disk


async def test_full_disk_when_a_step_begins(hass: HomeAssistant) -> None:
    """A step that could not be written down does not exist, here or on disk."""
    ledger = await opened(hass)
    record = await issued(ledger)
    new = a_record(ledger.new_key_id())
    before, files = state(ledger), contents(folder_of(hass))
    with no_room():
        for intent in (an_intent(new), an_intent(record, IntentKind.REVOKE)):
            with pytest.raises(StorageError):
                await ledger.begin(intent)
    assert state(ledger) == state(await opened(hass)) == before
    assert contents(folder_of(hass)) == files
    assert ledger.unwritten == frozenset()
    another = await issued(ledger)
    assert number_of(another.key_id) == number_of(new.key_id) + 1
    assert state(await opened(hass)) == state(ledger)


async def test_full_disk_in_a_new_ledger(hass: HomeAssistant) -> None:
    """A ledger that could not be begun is begun later."""
    ledger = await opened(hass)
    with no_room():
        for attempt in (
            ledger.begin(an_intent(a_record(ledger.new_key_id()))),
            ledger.log(a_line(None)),
            ledger.skip_to(7),
        ):
            with pytest.raises(StorageError):
                await attempt
    assert (await opened(hass)).quarantine is None
    record = await issued(ledger)
    assert number_of(record.key_id) == 8
    assert state(await opened(hass)) == state(ledger) == ({record.key_id: record}, {})
    assert await actions(ledger) == ["issue"]


@pytest.mark.parametrize("remedy", ["flush", "begin", "update", "prune", "again"])
async def test_full_disk_when_a_step_ends(hass: HomeAssistant, remedy: str) -> None:
    """A result that could not be written is known, said to be unwritten, and written later.

    Until then a start finds the step open, as it is in memory.
    """
    ledger = await opened(hass)
    other, record = await issued(ledger), a_record(ledger.new_key_id())
    intent = an_intent(record)
    await ledger.begin(intent)
    with no_room():
        with pytest.raises(StorageError):
            await ledger.finish(intent, record, a_line(record.key_id))
        with pytest.raises(StorageError):
            await ledger.flush()
    assert ledger.get(record.key_id) == ledger.records[record.key_id] == record
    assert ledger.intents == {record.key_id: intent}
    assert ledger.unwritten == {record.key_id}
    assert ledger.diagnostics()["unwritten"] == ledger.diagnostics()["unlogged"] == 1
    assert await actions(ledger, record.key_id) == []
    assert state(await opened(hass)) == ({other.key_id: other}, {record.key_id: intent})

    match remedy:
        case "flush":
            await ledger.flush()
        case "begin":
            await ledger.begin(an_intent(other, IntentKind.ROTATE))
        case "update":
            await ledger.update(other)
        case "prune":
            await ledger.prune(NOW, records_after=DAY, audit_after=DAY)
        case "again":
            await ledger.finish(intent, record, a_line(record.key_id))
    for one in (ledger, await opened(hass)):
        assert one.records == {other.key_id: other, record.key_id: record}
        assert record.key_id not in one.intents
        assert one.unwritten == frozenset()
        told = ["issue", "issue"] if remedy == "again" else ["issue"]
        assert await actions(one, record.key_id) == told


async def test_full_disk_when_a_key_is_updated(hass: HomeAssistant) -> None:
    """A change without an intent that could not be written is known and written later."""
    ledger = await opened(hass)
    record = await issued(ledger)
    used = replace(record, first_used_at=NOW)
    with no_room(), pytest.raises(StorageError):
        await ledger.update(used, a_line(record.key_id, "used"))
    assert ledger.records == {record.key_id: used}
    assert ledger.unwritten == {record.key_id}
    assert (await opened(hass)).records == {record.key_id: record}
    await ledger.flush()
    assert (await opened(hass)).records == {record.key_id: used}
    assert await actions(ledger) == ["issue", "used"]


async def test_disk_with_room_for_the_key_alone(hass: HomeAssistant) -> None:
    """A result that is on disk ends its step, though the intent still stands in its file."""
    ledger = await opened(hass)
    records = [a_record(ledger.new_key_id()) for _ in range(30)]
    for record in records:
        await ledger.begin(an_intent(record))
    with no_room(15_000):
        for record in records[:3]:
            await ledger.finish(an_intent(record), record, a_line(record.key_id))
        revoke = an_intent(records[0], IntentKind.REVOKE)
        with pytest.raises(StorageError):
            await ledger.begin(revoke)
    done = {record.key_id: record for record in records[:3]}
    still_open = {record.key_id: an_intent(record) for record in records[3:]}
    assert len(contents(folder_of(hass))["intents"]) > 15_000
    for one in (ledger, await opened(hass)):
        assert state(one) == (done, still_open)
        assert await actions(one) == ["issue"] * 3
    await ledger.flush()
    assert state(await opened(hass)) == (done, still_open)
    await ledger.begin(revoke)
    assert state(await opened(hass)) == (done, still_open | {revoke.key_id: revoke})


async def test_disk_without_room_for_the_log(hass: HomeAssistant) -> None:
    """A line that the log has no room for waits beside its key, and is added once, also by a start."""
    ledger = await opened(hass)
    for _ in range(40):
        await ledger.log(a_line(None, "reveal", reason="x" * 200))
    size = len(contents(folder_of(hass))["audit.2026-10.jsonl"])
    with no_room(size + 30):
        record = await issued(ledger)
        assert state(ledger) == ({record.key_id: record}, {})
        assert ledger.diagnostics()["unlogged"] == 1
        with pytest.raises(StorageError):
            await ledger.flush()
        with pytest.raises(StorageError):
            await ledger.log(a_line(None, "reveal"))
        crowded = await opened(hass)
        assert state(crowded) == state(ledger)
        assert await actions(crowded, record.key_id) == []
    again = await opened(hass)
    assert await actions(again, record.key_id) == ["issue"]
    await ledger.flush()
    await ledger.update(record)
    assert ledger.diagnostics()["unlogged"] == 0
    assert await actions(await opened(hass), record.key_id) == ["issue"]
    assert len(await ledger.audit.query(EVERYTHING)) == 41


@pytest.mark.parametrize("room", [0, 500])
async def test_full_disk_when_a_key_is_forgotten(hass: HomeAssistant, room: int) -> None:
    """A key that could not be forgotten is there as before, or gone from memory and soon from disk."""
    ledger = await opened(hass)
    record = await issued(ledger)
    intent = an_intent(record, IntentKind.ROTATE)
    await ledger.begin(intent)
    before = state(ledger)
    with no_room(room), pytest.raises(StorageError):
        await ledger.forget(record.key_id, a_line(record.key_id, "forget", reason="x" * 200))
    if room == 0:
        assert state(ledger) == state(await opened(hass)) == before
        assert ledger.unwritten == frozenset()
    else:
        assert state(ledger) == ({}, {})
        assert state(await opened(hass)) == (before[0], {})
        assert ledger.unwritten == {record.key_id}
    await ledger.forget(record.key_id)
    assert state(ledger) == state(await opened(hass)) == ({}, {})


async def test_full_disk_when_old_keys_are_dropped(hass: HomeAssistant) -> None:
    """Keys that could not be dropped from the disk are dropped another time."""
    ledger = await opened(hass)
    record = await issued(ledger, status=KeyStatus.REVOKED)
    with no_room(), pytest.raises(StorageError):
        await ledger.prune(NOW + 90 * DAY, records_after=DAY, audit_after=900 * DAY)
    assert (await opened(hass)).records == {record.key_id: record}
    await ledger.flush()
    assert (await opened(hass)).records == {}


async def test_write_that_got_further_than_was_said(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An intent that reached the disk though its write failed is taken off it by the next write."""
    ledger = await opened(hass)
    other = await issued(ledger)
    before = state(ledger)
    record = a_record(ledger.new_key_id())
    really_open = os.open

    def fails_for_folders(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if flags == 0 and Path(path) == folder_of(hass):
            raise OSError(5, "Input/output error")
        return really_open(path, flags, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", fails_for_folders)
        with pytest.raises(StorageError):
            await ledger.begin(an_intent(record))
    assert state(ledger) == before
    assert record.key_id in (await opened(hass)).intents
    await ledger.update(other)
    assert state(await opened(hass)) == before


async def test_one_bad_file_is_not_in_the_way_of_others(hass: HomeAssistant) -> None:
    """A key whose file cannot be written fails alone; keys of other files are issued and kept."""
    ledger = await opened(hass)
    record = await issued(ledger)
    intent = an_intent(record, IntentKind.ROTATE)
    await ledger.begin(intent)
    path = folder_of(hass) / "keys.0000"
    aside = path.rename(path.with_name("aside"))
    path.mkdir()
    changed = replace(record, label="changed")
    with pytest.raises(StorageError):
        await ledger.finish(intent, changed, a_line(record.key_id, "rotate"))
    await ledger.skip_to(SHARD_SIZE)
    another = await issued(ledger)
    assert ledger.unwritten == {record.key_id}
    path.rmdir()
    aside.rename(path)
    assert state(await opened(hass)) == (
        {record.key_id: record, another.key_id: another},
        {record.key_id: intent},
    )
    await ledger.flush()
    for one in (ledger, await opened(hass)):
        assert state(one) == ({record.key_id: changed, another.key_id: another}, {})
        assert await actions(one, record.key_id) == ["issue", "rotate"]


async def test_log_of_one_month_that_cannot_be_written(hass: HomeAssistant) -> None:
    """Of lines of two months those that could be added are not added again with the others."""
    ledger = await opened(hass)
    record = await issued(ledger)
    october, november = (folder_of(hass) / f"audit.2026-{month}.jsonl" for month in (10, 11))
    aside = october.rename(october.with_name("aside"))
    october.mkdir()
    november.mkdir()
    await ledger.update(record, a_line(record.key_id, "used"))
    await ledger.update(record, a_line(record.key_id, "later", at=NOW + 20 * DAY))
    assert ledger.diagnostics()["unlogged"] == 2
    october.rmdir()
    aside.rename(october)
    with pytest.raises(StorageError):
        await ledger.flush()
    assert ledger.diagnostics()["unlogged"] == 2
    november.rmdir()
    await ledger.flush()
    assert ledger.diagnostics()["unlogged"] == 0
    for one in (ledger, await opened(hass)):
        assert await actions(one) == ["issue", "used", "later"]


async def test_nothing_is_promised_while_stopping(hass: HomeAssistant) -> None:
    """While Home Assistant stops no step begins; one that ends is open again after the start."""
    ledger = await opened(hass)
    record = a_record(ledger.new_key_id())
    intent = an_intent(record)
    await ledger.begin(intent)
    hass.set_state(CoreState.stopping)
    with pytest.raises(StorageError):
        await ledger.begin(an_intent(a_record(ledger.new_key_id())))
    with pytest.raises(StorageError):
        await ledger.finish(intent, record, a_line(record.key_id))
    hass.set_state(CoreState.running)
    assert state(await opened(hass)) == ({}, {record.key_id: intent})


# The caller


async def test_caller_that_is_cancelled(hass: HomeAssistant) -> None:
    """A write that was begun goes to its end, and later ones come after it."""
    ledger = await opened(hass)
    record = a_record(ledger.new_key_id())
    intent = an_intent(record)
    begin = asyncio.create_task(ledger.begin(intent))
    await asyncio.sleep(0)
    begin.cancel()
    finish = asyncio.create_task(ledger.finish(intent, record, a_line(record.key_id)))
    await asyncio.sleep(0)
    finish.cancel()
    await ledger.flush()
    for task in (begin, finish):
        with pytest.raises(asyncio.CancelledError):
            await task
    for one in (ledger, await opened(hass)):
        assert state(one) == ({record.key_id: record}, {})
        assert await actions(one) == ["issue"]


async def test_older_write_never_replaces_a_newer(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow a write is whose caller has gone, what was written after it stays."""
    ledger = await opened(hass)
    record = await issued(ledger)
    really_rename = os.rename
    held, may_go, landed = threading.Event(), threading.Event(), threading.Event()

    def slow_once(*args: Any, **kwargs: Any) -> None:
        if held.is_set():
            really_rename(*args, **kwargs)
            return
        held.set()
        may_go.wait(10)
        really_rename(*args, **kwargs)
        landed.set()

    monkeypatch.setattr(os, "rename", slow_once)
    slow = asyncio.create_task(ledger.update(replace(record, label="older")))
    await hass.async_add_executor_job(held.wait, 10)
    slow.cancel()
    newer = asyncio.create_task(ledger.update(replace(record, label="newer")))
    await asyncio.sleep(0.05)
    may_go.set()
    await newer
    await hass.async_add_executor_job(landed.wait, 10)
    assert (await opened(hass)).records[record.key_id].label == "newer"


# Everything at once


class Witness:
    """Does random things to a ledger on a bad disk, and remembers what it was promised."""

    def __init__(self, hass: HomeAssistant, ledger: Ledger, dice: random.Random) -> None:
        """Begin with a ledger without keys."""
        self._hass = hass
        self._ledger = ledger
        self._dice = dice
        self._turn = 0
        self._records: dict[KeyId, set[KeyRecord | None]] = {}
        """What each key may be after a start; one thing, if it was promised."""
        self._intents: dict[KeyId, set[Intent | None]] = {}

    async def take_a_turn(self) -> None:
        """Do one thing, and let it fail now and then."""
        self._turn += 1
        things = [self.issue, self.begin, self.finish, self.finish, self.update, self.start]
        await self._dice.choice(things)()

    async def issue(self) -> None:
        """Begin a new key."""
        record = a_record(self._ledger.new_key_id(), label=f"turn {self._turn}")
        assert record.key_id not in self._intents
        intent = an_intent(record)
        if await self._is_done(self._ledger.begin(intent)):
            self._records[record.key_id] = {None}
            self._intents[record.key_id] = {intent}

    async def begin(self) -> None:
        """Begin something with a key that is there."""
        if record := self._any_record():
            intent = an_intent(record, self._dice.choice(list(IntentKind)))
            if await self._is_done(self._ledger.begin(intent)):
                self._intents[record.key_id] = {intent}

    async def finish(self) -> None:
        """Finish something that is open."""
        if self._ledger.intents:
            intent = self._dice.choice(list(self._ledger.intents.values()))
            record, line = intent.record, a_line(intent.key_id, f"turn {self._turn}")
            if await self._is_done(self._ledger.finish(intent, record, line)):
                self._records[record.key_id] = {record}
                self._intents[record.key_id] = {None}
            else:
                self._records[record.key_id] |= {record}
                self._intents[record.key_id] |= {None}

    async def update(self) -> None:
        """Change a key without an intent."""
        if record := self._any_record():
            if await self._is_done(self._ledger.update(record)):
                self._records[record.key_id] = {record}
            else:
                self._records[record.key_id] |= {record}

    async def start(self) -> None:
        """Start anew, and compare."""
        self._ledger = await opened(self._hass)
        found, still_open = state(self._ledger)
        assert found.keys() | still_open.keys() <= self._records.keys()
        for key_id in self._records:
            assert found.get(key_id) in self._records[key_id]
            assert still_open.get(key_id) in self._intents[key_id]
            assert found.get(key_id) or still_open.get(key_id)
            self._records[key_id] = {found.get(key_id)}
            self._intents[key_id] = {still_open.get(key_id)}
        told = await actions(self._ledger)
        assert len(told) == len(set(told))

    def _any_record(self) -> KeyRecord | None:
        """Return a key that is there, changed."""
        if not self._ledger.records:
            return None
        record = self._dice.choice(list(self._ledger.records.values()))
        return replace(record, label=f"turn {self._turn}")

    async def _is_done(self, step: Awaitable[None]) -> bool:
        """Do a step, now and then on a full disk; tell whether it was promised."""
        if self._dice.random() > 0.2:
            await step
            return True
        with no_room(), pytest.raises(StorageError):
            await step
        return False


@pytest.mark.parametrize("seed", range(6))
async def test_long_life_on_a_bad_disk(hass: HomeAssistant, seed: int) -> None:
    """After any run of steps, failing writes and starts, all that was promised is there.

    What was not promised is there as it was before, or as it was to be.
    """
    dice = random.Random(seed)  # noqa: S311  # a run that can be repeated
    witness = Witness(hass, await opened(hass), dice)
    for _ in range(80):
        await witness.take_a_turn()
    await witness.start()
