"""The ledger when its files are not what they should be: nothing is used wrongly, nothing lost."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
import json
import logging
from pathlib import Path
import shutil
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.salto_ks.domain.ids import KeyId
from custom_components.salto_ks.domain.intents import IntentKind
from custom_components.salto_ks.domain.keys import KeyStatus
from custom_components.salto_ks.keys.audit_log import encode_line
from custom_components.salto_ks.keys.ledger import Ledger, async_get_ledger
from custom_components.salto_ks.keys.ledger_codec import FORMAT, SHARD_SIZE, FileFormat, Part
from custom_components.salto_ks.keys.ledger_files import Fault, Quarantine
from custom_components.salto_ks.storage import StorageError
from tests.ha.files import hass_config_dir, hass_storage

from .ledgers import (
    DAY,
    NOW,
    SITE,
    a_line,
    a_record,
    actions,
    an_intent,
    contents,
    folder_of,
    issued,
    opened,
    read_data,
    state,
    write_data,
)

__all__ = ["hass_config_dir", "hass_storage"]

SECRET = "Family Jansen"

INTENTS = "intents"
FIRST = "keys.0000"
SECOND = "keys.0001"


async def a_ledger(hass: HomeAssistant) -> Ledger:
    """Return a ledger with a key in each of two files, the first with an open intent."""
    ledger = await opened(hass)
    first = await issued(ledger, label=SECRET)
    await ledger.skip_to(SHARD_SIZE)
    await issued(ledger, label=SECRET)
    await ledger.begin(an_intent(first, IntentKind.REVOKE))
    return ledger


def in_folder(hass: HomeAssistant, name: str) -> str:
    """Return how a file of the site's ledger is called, from the folder .storage on."""
    return f"{folder_of(hass).name}/{name}"


async def refuses_all_writes(ledger: Ledger) -> None:
    """Check that nothing can be written to a ledger."""
    record = a_record(next(iter(ledger.records), KeyId(f"{ledger.instance}-1")))
    intent = an_intent(record)
    attempts: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.begin(intent),
        lambda: ledger.finish(intent, record, a_line(record.key_id)),
        lambda: ledger.update(record),
        lambda: ledger.amend(record.key_id, lambda key: key),
        lambda: ledger.log(a_line(None)),
        lambda: ledger.forget(record.key_id),
        lambda: ledger.skip_to(10_000),
        ledger.flush,
        lambda: ledger.prune(NOW + 9000 * DAY, records_after=DAY, audit_after=DAY),
    ]
    for attempt in attempts:
        with pytest.raises(StorageError):
            await attempt()


def cut_off(path: Path) -> None:
    """Leave the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def holding(content: bytes) -> Callable[[Path], object]:
    """Return what puts something else into a file."""
    return lambda path: path.write_bytes(content)


def with_frame(**frame: Any) -> Callable[[Path], object]:
    """Return what changes a file's frame."""
    return lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | frame))


def without_frame(name: str) -> Callable[[Path], object]:
    """Return what takes something out of a file's frame."""

    def change(path: Path) -> None:
        frame = json.loads(path.read_text())
        del frame[name]
        path.write_text(json.dumps(frame))

    return change


def with_data(**data: Any) -> Callable[[Path], object]:
    """Return what changes a file's data."""

    def change(path: Path) -> None:
        frame = json.loads(path.read_text())
        frame["data"] |= data
        path.write_text(json.dumps(frame))

    return change


def a_folder(path: Path) -> None:
    """Put a folder into the place of a file."""
    path.unlink()
    path.mkdir()


# Quarantine


@pytest.mark.parametrize("name", [INTENTS, FIRST, SECOND])
@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        pytest.param(cut_off, Fault.DAMAGED, id="cut off"),
        pytest.param(holding(b""), Fault.DAMAGED, id="empty"),
        pytest.param(holding(b"\0" * 4096), Fault.DAMAGED, id="zeros"),
        pytest.param(holding(b"\xff\xfe"), Fault.DAMAGED, id="no text"),
        pytest.param(holding(b"{}"), Fault.DAMAGED, id="an empty object"),
        pytest.param(holding(b"[]"), Fault.DAMAGED, id="a list"),
        pytest.param(holding(b"null"), Fault.DAMAGED, id="null"),
        pytest.param(with_frame(version=2), Fault.NEWER, id="newer"),
        pytest.param(with_frame(version=2, data=[]), Fault.NEWER, id="newer and unlike"),
        pytest.param(with_frame(version=0), Fault.DAMAGED, id="older than the first"),
        pytest.param(with_frame(version="1"), Fault.DAMAGED, id="version in words"),
        pytest.param(with_frame(version=True), Fault.DAMAGED, id="version is true"),
        pytest.param(with_frame(minor_version=None), Fault.DAMAGED, id="no minor version"),
        pytest.param(with_frame(minor_version=0), Fault.DAMAGED, id="minor version 0"),
        pytest.param(with_frame(key="salto_ks.another"), Fault.DAMAGED, id="another file"),
        pytest.param(with_frame(data=None), Fault.DAMAGED, id="without data"),
        pytest.param(with_frame(data=[]), Fault.DAMAGED, id="data in a list"),
        pytest.param(without_frame("version"), Fault.DAMAGED, id="version missing"),
        pytest.param(without_frame("minor_version"), Fault.DAMAGED, id="minor version missing"),
        pytest.param(without_frame("key"), Fault.DAMAGED, id="key missing"),
        pytest.param(without_frame("data"), Fault.DAMAGED, id="data missing"),
        pytest.param(with_data(instance=None), Fault.DAMAGED, id="no instance"),
        pytest.param(Path.unlink, Fault.MISSING, id="deleted"),
        pytest.param(a_folder, Fault.UNREADABLE, id="a folder"),
    ],
)
async def test_file_that_is_not_believed(
    hass: HomeAssistant, *, name: str, damage: Callable[[Path], object], fault: Fault
) -> None:
    """Such a file is named, left as it is with all others, and nothing is written until it is well.

    What the other files hold can still be looked at.
    """
    good = await a_ledger(hass)
    folder = folder_of(hass)
    sound = contents(folder)
    damage(folder / name)
    (folder / "tmpabc").write_text("half written")
    before = contents(folder)

    ledger = await opened(hass)
    assert ledger.quarantine == Quarantine(fault, f"{folder.name}/{name}")
    await refuses_all_writes(ledger)
    assert contents(folder) == before
    assert not ir.async_get(hass).issues
    lost = {INTENTS: set(), FIRST: {0}, SECOND: {1}}[name]
    keys = list(good.records)
    assert ledger.records == {
        key_id: good.records[key_id] for shard, key_id in enumerate(keys) if shard not in lost
    }
    assert ledger.intents == ({} if name == INTENTS else good.intents)
    assert ledger.diagnostics()["quarantined"] is True
    assert await actions(ledger) == ["issue", "issue"]

    if (folder / name).is_dir():
        (folder / name).rmdir()
    (folder / name).write_bytes(sound[name])
    await ledger.async_load()
    assert ledger.quarantine is None
    assert state(ledger) == state(good)
    assert ledger.instance == good.instance
    await issued(ledger)
    assert not (folder / "tmpabc").exists()


async def test_deleted_intents_are_no_new_ledger(hass: HomeAssistant) -> None:
    """As long as anything is left of a ledger it does not begin anew."""
    await a_ledger(hass)
    folder = folder_of(hass)
    (folder / INTENTS).unlink()
    for name in (FIRST, SECOND):
        (folder / name).unlink()
        assert (await opened(hass)).quarantine == Quarantine(
            Fault.MISSING, in_folder(hass, INTENTS)
        )
    assert [path.name for path in folder.iterdir()] == ["audit.2026-10.jsonl"]
    (folder / "audit.2026-10.jsonl").rename(folder / "intents.corrupt.2026-10-25")
    assert (await opened(hass)).quarantine == Quarantine(Fault.MISSING, in_folder(hass, INTENTS))


async def test_file_that_the_intents_do_not_list(hass: HomeAssistant) -> None:
    """A file of keys that the intents do not know of yet counts, and is listed by the next write.

    So do the numbers of its keys: none of them is given again.
    """
    ledger = await a_ledger(hass)
    data = read_data(hass, INTENTS)
    write_data(hass, INTENTS, data | {"shards": [0], "highest_number": 1})
    again = await opened(hass)
    assert state(again) == state(ledger)
    assert again.highest_number == ledger.highest_number == SHARD_SIZE + 1
    await again.update(next(iter(again.records.values())))
    assert read_data(hass, INTENTS)["shards"] == [0]
    await issued(again)
    assert read_data(hass, INTENTS)["shards"] == [0, 1]


async def test_intents_of_an_older_backup(hass: HomeAssistant) -> None:
    """What is begun on intents that are older than the keys is not taken for what was finished."""
    ledger = await opened(hass)
    record = a_record(ledger.new_key_id())
    await ledger.begin(an_intent(record))
    older = read_data(hass, INTENTS)
    await ledger.finish(an_intent(record), record, a_line(record.key_id))
    rotate, revoke = (an_intent(record, kind) for kind in (IntentKind.ROTATE, IntentKind.REVOKE))
    await ledger.begin(rotate)
    await ledger.finish(rotate, record, a_line(record.key_id))
    write_data(hass, INTENTS, older)
    again = await opened(hass)
    await again.begin(revoke)
    assert (await opened(hass)).intents == {record.key_id: revoke}


async def test_files_that_are_not_ours(hass: HomeAssistant) -> None:
    """Copies and other things that somebody has put into the folder are in nobody's way."""
    ledger = await a_ledger(hass)
    names = ["keys.0000.bak", "keys.1", "keys.00000", "keys.٠٠٠٧", "keys.", "keys.-001", "x"]
    for name in names:
        (folder_of(hass) / name).write_text("something")
    again = await opened(hass)
    assert again.quarantine is None
    assert state(again) == state(ledger)
    await issued(again)
    assert {(folder_of(hass) / name).read_text() for name in names} == {"something"}


async def test_file_of_another_ledger(hass: HomeAssistant) -> None:
    """Keys of another Home Assistant do not become ours by being copied."""
    ledger = await a_ledger(hass)
    path = folder_of(hass) / SECOND
    other = "0000" if ledger.instance != "0000" else "1111"
    with_data(instance=other)(path)
    found = await opened(hass)
    assert found.quarantine == Quarantine(Fault.DAMAGED, in_folder(hass, SECOND))
    assert found.instance == ledger.instance


async def test_instance_is_told_by_what_is_left(hass: HomeAssistant) -> None:
    """Without the intents the instance is that of the keys, and not a new one."""
    ledger = await a_ledger(hass)
    (folder_of(hass) / INTENTS).write_text("")
    assert (await opened(hass)).instance == ledger.instance


async def test_folder_that_is_none(hass: HomeAssistant) -> None:
    """A ledger whose folder cannot be read is in quarantine."""
    folder = folder_of(hass)
    folder.parent.mkdir()
    folder.write_text("not a folder")
    ledger = await opened(hass)
    assert ledger.quarantine == Quarantine(Fault.UNREADABLE, folder.name)
    await refuses_all_writes(ledger)
    assert folder.read_text() == "not a folder"


async def test_mended_ledger_is_read_again(hass: HomeAssistant) -> None:
    """A site that is set up again finds its ledger mended, without a start."""
    good = await a_ledger(hass)
    path = folder_of(hass) / FIRST
    sound = path.read_bytes()
    cut_off(path)
    ledger = await async_get_ledger(hass, SITE)
    assert ledger.quarantine is not None
    path.write_bytes(sound)
    assert await async_get_ledger(hass, SITE) is ledger
    assert ledger.quarantine is None
    assert state(ledger) == state(good)


async def test_several_faults(hass: HomeAssistant) -> None:
    """Of several faults one is named, and after it the next."""
    await a_ledger(hass)
    folder = folder_of(hass)
    sound = contents(folder)
    for name in (INTENTS, FIRST, SECOND):
        cut_off(folder / name)
    for name in (INTENTS, FIRST, SECOND):
        assert (await opened(hass)).quarantine == Quarantine(Fault.DAMAGED, f"{folder.name}/{name}")
        (folder / name).write_bytes(sound[name])
    assert (await opened(hass)).quarantine is None


# Single keys


BROKEN = [
    "",
    "{",
    '{"doors": [1.10, 123456789012345678901234567890, "\\u00e9\\/"],  "label":"' + SECRET + '"}',
    f"\x00 \x7f {SECRET} \\ud83d",
    None,
    {"label": SECRET, "unexpected": [1, None]},
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
async def test_key_that_cannot_be_read(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture, *, broken: Any
) -> None:
    """A key that makes no sense is kept as it was found, named by its number, and costs no other."""
    ledger = await opened(hass)
    records = [await issued(ledger, label=SECRET) for _ in range(3)]
    data = read_data(hass, FIRST)
    data["keys"]["2"] = broken
    write_data(hass, FIRST, data)

    caplog.clear()
    caplog.set_level(logging.DEBUG)
    again = await opened(hass)
    assert again.quarantine is None
    assert again.unreadable == {2}
    assert again.highest_number == 3
    assert again.diagnostics()["unreadable"] == 1
    assert list(again.records) == [records[0].key_id, records[2].key_id]
    assert [line for line in caplog.messages if line.endswith("kept as they are: 2")]
    assert SECRET not in caplog.text

    await again.update(replace(records[0], first_used_at=NOW))
    await issued(again)
    assert read_data(hass, FIRST)["keys"]["2"] == broken
    intent = an_intent(records[1], IntentKind.REVOKE)
    for attempt in (
        again.begin(intent),
        again.finish(intent, records[1], a_line(None)),
        again.update(records[1]),
    ):
        with pytest.raises(StorageError):
            await attempt
    assert read_data(hass, FIRST)["keys"]["2"] == broken
    assert again.get(records[1].key_id) is None

    await again.forget(records[1].key_id, a_line(records[1].key_id, "forget"))
    assert again.unreadable == frozenset()
    last = await opened(hass)
    assert (last.unreadable, last.highest_number) == (frozenset(), 4)
    assert list(last.records) == list(again.records)
    assert "2" not in read_data(hass, FIRST)["keys"]


async def test_intent_that_cannot_be_read(hass: HomeAssistant) -> None:
    """An intent that makes no sense keeps its key from being touched until it is forgotten."""
    ledger = await opened(hass)
    records = [await issued(ledger) for _ in range(2)]
    data = read_data(hass, INTENTS)
    future = json.dumps({"kind": "transfer", "to": SECRET})
    others = {"not a number": 5, "9" * 5000: future}
    data["intents"] = {"1": future} | others
    write_data(hass, INTENTS, data)

    again = await opened(hass)
    assert again.unreadable == {1}
    assert again.records == ledger.records
    assert again.intents == {}
    with pytest.raises(StorageError):
        await again.update(records[0])
    await issued(again)
    assert read_data(hass, INTENTS)["intents"] == data["intents"]
    await again.forget(records[0].key_id)
    assert read_data(hass, INTENTS)["intents"] == others
    last = await opened(hass)
    assert last.unreadable == frozenset()
    assert records[0].key_id not in last.records


async def test_line_that_cannot_be_read(hass: HomeAssistant) -> None:
    """A damaged line beside the keys is kept, and costs neither a key nor another line."""
    ledger = await opened(hass)
    record = await issued(ledger)
    good = a_line(record.key_id, "lost in a crash")
    data = read_data(hass, FIRST)
    data["lines"] = ["{half a li", encode_line(good), None]
    write_data(hass, FIRST, data)
    again = await opened(hass)
    assert await actions(again) == ["issue", "lost in a crash"]
    await again.update(record)
    assert read_data(hass, FIRST)["lines"] == ["{half a li", None]


async def test_key_of_a_newer_version(hass: HomeAssistant) -> None:
    """What only a newer version knows of a key survives all that happens to it here."""
    ledger = await opened(hass)
    record = await issued(ledger)
    newer = json.loads(read_data(hass, FIRST)["keys"]["1"])
    newer |= {"status": "resting", "mood": {"good": True}}
    newer["warnings"] = ["bad_weather"]
    data = read_data(hass, FIRST)
    data["keys"]["1"] = json.dumps(newer)
    write_data(hass, FIRST, data, minor_version=7)

    again = await opened(hass)
    (found,) = again.records.values()
    assert found == replace(record, status=KeyStatus.UNKNOWN)
    await again.update(replace(found, first_used_at=NOW))
    kept = json.loads(read_data(hass, FIRST)["keys"]["1"])
    assert kept == newer | {"first_used_at": NOW.isoformat()}
    revoke = an_intent(found, IntentKind.REVOKE)
    await again.begin(revoke)
    await again.finish(
        revoke, replace(found, status=KeyStatus.REVOKED), a_line(found.key_id, "revoke")
    )
    kept = json.loads(read_data(hass, FIRST)["keys"]["1"])
    assert kept == newer | {"status": "revoked"}
    await again.forget(found.key_id)
    assert (await opened(hass)).records == {}


# Versions


def _renamed(part: Part, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Call the keys as a later version might."""
    if part is Part.INTENTS or "keys" in data:
        return data
    return {name: value for name, value in data.items() if name != "records"} | {
        "keys": data["records"]
    }


LATER = FileFormat(version=1, minor_version=3, steps={1: lambda _, data: data, 2: _renamed})


async def test_older_minor_version_is_brought_up(hass: HomeAssistant) -> None:
    """Files of an earlier version are read step by step, and written anew as they change."""
    ledger = await a_ledger(hass)
    keys = list(ledger.records.values())
    for name in (FIRST, SECOND):
        data = read_data(hass, name)
        data["records"] = data.pop("keys")
        write_data(hass, name, data)
    before = contents(folder_of(hass))

    later = await opened(hass, file_format=LATER)
    assert later.quarantine is None
    assert state(later) == state(ledger)
    assert contents(folder_of(hass)) == before
    await later.update(replace(keys[0], first_used_at=NOW))
    frames = {
        name: json.loads(content)
        for name, content in contents(folder_of(hass)).items()
        if not name.endswith("jsonl")
    }
    assert {name: frame["minor_version"] for name, frame in frames.items()} == {
        INTENTS: 1,
        FIRST: 3,
        SECOND: 1,
    }
    assert "keys" in frames[FIRST]["data"]
    assert (await opened(hass, file_format=LATER)).records == later.records


async def test_way_back_to_an_older_minor_version(hass: HomeAssistant) -> None:
    """A minor version later is read, changed and brought up again."""
    later = await opened(hass, file_format=LATER)
    record = await issued(later)
    now = await opened(hass, file_format=FORMAT)
    assert now.records == {record.key_id: record}
    used = replace(record, first_used_at=NOW)
    await now.update(used)
    assert (await opened(hass, file_format=LATER)).records == {record.key_id: used}


async def test_step_that_fails(hass: HomeAssistant) -> None:
    """Files that cannot be brought up are left as they are."""
    await a_ledger(hass)
    before = contents(folder_of(hass))
    ledger = await opened(hass, file_format=replace(LATER, steps={1: lambda _, data: data["x"]}))
    assert ledger.quarantine == Quarantine(Fault.DAMAGED, in_folder(hass, INTENTS))
    await refuses_all_writes(ledger)
    assert contents(folder_of(hass)) == before


# Under a running ledger


async def test_folder_that_disappears(hass: HomeAssistant) -> None:
    """A folder that is taken away under a running ledger is made again, private, and serves.

    What is then missing in it is not taken for an empty ledger.
    """
    ledger = await a_ledger(hass)
    record = next(iter(ledger.records.values()))
    folder = folder_of(hass)
    aside = folder.rename(folder.with_name("aside"))
    await ledger.update(record)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (await opened(hass)).quarantine == Quarantine(Fault.MISSING, in_folder(hass, INTENTS))
    shutil.rmtree(folder)
    aside.rename(folder)
    assert state(await opened(hass)) == state(ledger)
