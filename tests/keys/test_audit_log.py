"""The audit log: every line once, whole, private, and gone when its time is over."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
import json
import os
from pathlib import Path
import stat
from typing import Any

from homeassistant.core import HomeAssistant
from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.ids import BookingId, DoorId, GuestId, KeyId, UnitId
from custom_components.salto_ks.domain.keys import OnRemoval
from custom_components.salto_ks.keys.audit_log import (
    FREE_TEXT,
    AuditLine,
    AuditLog,
    AuditQuery,
    decode_line,
    encode_line,
)
from custom_components.salto_ks.storage import StorageError

from .ledgers import DAY, EVERYTHING, NOW, a_line, no_room

KEY = KeyId("ab12-7")
OTHER = KeyId("ab12-71")
THIS_MONTH = "audit.2026-10.jsonl"

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
PLAIN = st.text("abc é", max_size=20).map(lambda text: " ".join(text.split()))
INSTANTS = st.integers(10**15, 2 * 10**15).map(
    lambda number: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=number)
)
LINES = st.builds(
    AuditLine,
    at=INSTANTS,
    action=TEXTS,
    outcome=PLAIN,
    key_id=st.none() | TEXTS.map(KeyId),
    salto_key_id=st.none() | TEXTS.map(GuestId),
    doors=st.lists(TEXTS.map(DoorId), max_size=3).map(tuple),
    starts_at=st.none() | INSTANTS,
    ends_at=st.none() | INSTANTS,
    who=PLAIN,
    reason=PLAIN,
    booking_id=st.none() | TEXTS.map(BookingId),
    unit_id=st.none() | TEXTS.map(UnitId),
    on_removal=st.none() | st.sampled_from(OnRemoval),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a log."""
    return tmp_path


@pytest.fixture
def log(hass: HomeAssistant, folder: Path) -> AuditLog:
    """Return a log without a line."""
    return AuditLog(hass, folder)


def names_in(folder: Path) -> list[str]:
    """Return the files of a folder."""
    return sorted(path.name for path in folder.iterdir())


# Lines


@given(line=LINES)
@settings(deadline=None)
def test_line_comes_back(line: AuditLine) -> None:
    """A line that was written is read as it was, and is one line."""
    text = encode_line(line)
    assert len(text.encode().splitlines()) == 1
    assert decode_line(text) == decode_line(text.encode()) == line


def test_no_place_for_a_pin() -> None:
    """What a line can hold is known, and a PIN is not among it."""
    assert {field.name for field in fields(AuditLine)} == {
        *("at", "action", "outcome", "key_id", "salto_key_id", "doors"),
        *("starts_at", "ends_at", "who", "reason", "booking_id", "unit_id", "on_removal"),
    }


@pytest.mark.parametrize("name", ["who", "reason", "outcome"])
def test_free_text_is_short_and_one_line(name: str) -> None:
    """What somebody says in their own words is cut, and cannot begin a line."""
    said = 'broke\n{"at":1}\r\n\u2028 \x85 ' + "x" * 1000
    changes: dict[str, Any] = {name: said}
    read = decode_line(encode_line(replace(a_line(KEY), **changes)))
    kept = getattr(read, name)
    assert kept == ('broke {"at":1} ' + "x" * 1000)[:FREE_TEXT]


def test_reason_is_not_shown() -> None:
    """What somebody says is for the log, not for ours."""
    assert "Jansen" not in repr(a_line(KEY, reason="Jansen has left"))


def test_line_of_an_earlier_version() -> None:
    """A line that does not tell of units is read, and written again just as it was."""
    text = encode_line(a_line(KEY))
    assert not {"unit_id", "on_removal"} & json.loads(text).keys()
    line = decode_line(text)
    assert (line.unit_id, line.on_removal) == (None, None)
    assert encode_line(line) == text


def test_word_of_a_newer_version() -> None:
    """What is to become of a key in a way that nobody knows here is not known."""
    text = json.dumps(json.loads(encode_line(a_line(KEY))) | {"on_removal": "give away"})
    assert decode_line(text).on_removal is None


def test_field_of_a_newer_version() -> None:
    """A line of a newer version is read without what is new in it."""
    text = json.dumps(json.loads(encode_line(a_line(KEY))) | {"mood": "good"})
    assert decode_line(text) == a_line(KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"at": None},
        {"at": "2026-10-25T00:30:00"},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"action": None},
        {"key_id": 5},
        {"doors": None},
        {"doors": [5]},
        {"starts_at": "soon"},
        {"who": 5},
        {"reason": None},
    ],
    ids=str,
)
def test_damaged_line(change: dict[str, Any]) -> None:
    """A line that makes no sense is a ValueError."""
    good = json.loads(encode_line(a_line(KEY)))
    for bad in (good | change, {name: good[name] for name in good if name not in change}, [good]):
        with pytest.raises(ValueError, match=r".+"):
            decode_line(json.dumps(bad))


@pytest.mark.parametrize(
    "change",
    [{"at": NOW.replace(tzinfo=None)}, {"ends_at": datetime.min}, {"action": "\ud83d"}],  # noqa: DTZ901  # naive on purpose
    ids=str,
)
async def test_line_that_cannot_be_written(log: AuditLog, change: dict[str, Any]) -> None:
    """What would not come back is refused, and nothing is written."""
    with pytest.raises(ValueError, match="not a"):
        await log.append(a_line(KEY), replace(a_line(KEY), **change))
    assert await log.query(EVERYTHING) == ()


# Files


async def test_file_is_private(log: AuditLog, folder: Path) -> None:
    """A month is in a file of its own that nobody else can read."""
    before = os.umask(0)
    try:
        await log.append(a_line(KEY), a_line(KEY, at=NOW + 30 * DAY))
    finally:
        os.umask(before)
    assert names_in(folder) == [THIS_MONTH, "audit.2026-11.jsonl"]
    for name in names_in(folder):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


async def test_months_are_utc(log: AuditLog, folder: Path) -> None:
    """A line is in the month in which it is in UTC."""
    east = datetime.fromisoformat("2026-11-01T00:30:00+01:00")
    await log.append(a_line(KEY, at=east))
    assert names_in(folder) == [THIS_MONTH]
    assert [line.at for line in await log.query(EVERYTHING)] == [east]


async def test_lines_are_added(log: AuditLog, folder: Path) -> None:
    """What stands in the log is never changed by what comes after."""
    await log.append(a_line(KEY, "issue"))
    before = (folder / THIS_MONTH).read_bytes()
    await log.append(a_line(KEY, "change"), a_line(KEY, "revoke"))
    after = (folder / THIS_MONTH).read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 3
    await log.append()
    assert (folder / THIS_MONTH).read_bytes() == after


@pytest.mark.parametrize("left", range(0, 180, 7))
async def test_torn_line(log: AuditLog, folder: Path, left: int) -> None:
    """A line that a crash has cut off costs no other one, wherever it was cut."""
    await log.append(a_line(KEY, "issue"))
    whole = (folder / THIS_MONTH).read_bytes()
    line = encode_line(a_line(KEY, "torn")).encode()
    assert left < len(line)
    (folder / THIS_MONTH).write_bytes(whole + line[:left])
    assert [one.action for one in await log.query(EVERYTHING)] == ["issue"]
    await log.append(a_line(KEY, "revoke"))
    assert [one.action for one in await log.query(EVERYTHING)] == ["revoke", "issue"]


async def test_line_without_its_end(log: AuditLog, folder: Path) -> None:
    """A line of which only the line break is missing counts, once."""
    text = encode_line(a_line(KEY, "issue"))
    (folder / THIS_MONTH).write_text(text)
    await log.append(a_line(KEY, "issue"), a_line(KEY, "revoke"), only_missing=True)
    assert (folder / THIS_MONTH).read_text().splitlines() == [
        text,
        encode_line(a_line(KEY, "revoke")),
    ]


async def test_damage_costs_what_is_damaged(log: AuditLog, folder: Path) -> None:
    """Whatever stands between the lines is left out, and left."""
    await log.append(a_line(KEY, "issue"))
    with (folder / THIS_MONTH).open("ab") as file:
        file.write(b"\xff\x00\n\n[]\nnull\n" + KEY.encode() + b"\n")
    await log.append(a_line(KEY, "revoke"))
    for query in (EVERYTHING, replace(EVERYTHING, key_id=KEY)):
        assert [one.action for one in await log.query(query)] == ["revoke", "issue"]
    assert b"\xff\x00\n" in (folder / THIS_MONTH).read_bytes()


async def test_only_missing_lines(log: AuditLog, folder: Path) -> None:
    """A line that is there already is not added again; in a new month none is."""
    old, new = a_line(KEY, at=NOW - 40 * DAY), a_line(KEY)
    await log.append(old)
    before = (folder / "audit.2026-09.jsonl").read_bytes()
    for _ in range(2):
        await log.append(old, new, only_missing=True)
    assert (folder / "audit.2026-09.jsonl").read_bytes() == before
    assert await log.query(EVERYTHING) == (new, old)


@pytest.mark.parametrize("room", [0, 100, 10_000])
async def test_full_disk(log: AuditLog, folder: Path, room: int) -> None:
    """A line that does not fit raises, leaves nothing of itself, and fits later."""
    lines = [a_line(KEY, f"action {number}", at=NOW + number * DAY) for number in range(5)]
    while not (folder / THIS_MONTH).exists() or (folder / THIS_MONTH).stat().st_size < room:
        await log.append(*lines)
    before = (folder / THIS_MONTH).read_bytes()
    with no_room(len(before) + 60), pytest.raises(StorageError) as failed:
        await log.append(a_line(KEY, "too much"))
    assert isinstance(failed.value.__cause__, OSError)
    assert (folder / THIS_MONTH).read_bytes() == before
    await log.append(a_line(KEY, "fits", at=NOW + 5 * DAY))
    assert (folder / THIS_MONTH).read_bytes().startswith(before)
    assert [one.action for one in await log.query(replace(EVERYTHING, limit=1))] == ["fits"]


async def test_disk_that_does_not_keep(
    log: AuditLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that the disk has taken and does not promise to keep is no line."""

    def failing(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    await log.append(a_line(KEY))
    before = (folder / THIS_MONTH).read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", failing)
        with pytest.raises(StorageError):
            await log.append(a_line(KEY, "change"))
    assert (folder / THIS_MONTH).read_bytes() == before


async def test_full_disk_from_the_start(log: AuditLog, folder: Path) -> None:
    """A month that could not be begun is begun later."""
    with no_room(), pytest.raises(StorageError):
        await log.append(a_line(KEY))
    assert (folder / THIS_MONTH).read_bytes() == b""
    await log.append(a_line(KEY))
    assert await log.query(EVERYTHING) == (a_line(KEY),)


async def test_folder_that_is_not_there(hass: HomeAssistant, tmp_path: Path) -> None:
    """A log without a folder is empty; nothing can be added to it."""
    log = AuditLog(hass, tmp_path / "gone")
    assert await log.query(EVERYTHING) == ()
    await log.prune(NOW, DAY)
    with pytest.raises(StorageError):
        await log.append(a_line(KEY))


async def test_file_that_cannot_be_used(log: AuditLog, folder: Path) -> None:
    """A month that is no file can be neither written, nor read, nor removed, and it is said."""
    (folder / THIS_MONTH).mkdir()
    with pytest.raises(StorageError):
        await log.append(a_line(KEY))
    with pytest.raises(StorageError):
        await log.query(EVERYTHING)
    with pytest.raises(StorageError):
        await log.prune(NOW + 90 * DAY, DAY)


# Questions


@pytest.fixture
async def told(log: AuditLog) -> list[AuditLine]:
    """Return what stands in a log, oldest first; some of it was written late."""
    lines = [
        replace(
            a_line(KEY if number % 2 else OTHER, f"action {number}", at=NOW + number * 10 * DAY),
            booking_id=BookingId(f"booking {number % 3}"),
            reason=f"{KEY} {OTHER}",
        )
        for number in range(12)
    ]
    lines.append(a_line(None, "no key at all", at=NOW + 115 * DAY))
    for line in (*lines[::2], *lines[1::2]):
        await log.append(line)
    return lines


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        pytest.param(AuditQuery(), lambda line: True, id="everything"),
        pytest.param(AuditQuery(key_id=KEY), lambda line: line.key_id == KEY, id="a key"),
        pytest.param(AuditQuery(key_id=OTHER), lambda line: line.key_id == OTHER, id="another"),
        pytest.param(AuditQuery(key_id=KeyId("ab12-712")), lambda line: False, id="no such key"),
        pytest.param(
            AuditQuery(booking_id=BookingId("booking 2")),
            lambda line: line.booking_id == "booking 2",
            id="a booking",
        ),
        pytest.param(
            AuditQuery(since=NOW + 30 * DAY), lambda line: line.at >= NOW + 30 * DAY, id="since"
        ),
        pytest.param(
            AuditQuery(until=NOW + 30 * DAY), lambda line: line.at < NOW + 30 * DAY, id="until"
        ),
        pytest.param(
            AuditQuery(since=NOW + 100 * DAY, until=NOW + 101 * DAY, key_id=OTHER),
            lambda line: line.at == NOW + 100 * DAY,
            id="all at once",
        ),
        pytest.param(AuditQuery(until=NOW), lambda line: False, id="before all"),
        pytest.param(AuditQuery(since=NOW + 500 * DAY), lambda line: False, id="after all"),
    ],
)
async def test_query(
    log: AuditLog,
    told: list[AuditLine],
    *,
    query: AuditQuery,
    wanted: Callable[[AuditLine], bool],
) -> None:
    """Exactly the lines that are asked for come, newest first, up to the limit."""
    answer = [line for line in reversed(told) if wanted(line)]
    assert list(await log.query(query)) == answer
    for limit in (0, 1, 4):
        assert list(await log.query(replace(query, limit=limit))) == answer[:limit]


# Retention


@pytest.mark.parametrize(
    ("now", "months"),
    [
        pytest.param("2020-01-01T00:00:00+00:00", (7, 8, 9), id="before all"),
        pytest.param("2026-10-29T23:59:59+00:00", (7, 8, 9), id="on the last day of July"),
        pytest.param("2026-10-30T00:00:00+00:00", (8, 9), id="when July is over"),
        pytest.param("2027-10-30T00:00:00+00:00", (), id="years later"),
    ],
)
async def test_retention(log: AuditLog, folder: Path, now: str, months: tuple[int, ...]) -> None:
    """A month goes as a whole once even its last day is past the retention, and no other file."""
    for month in (7, 8, 9):
        await log.append(a_line(KEY, at=datetime(2026, month, 15, tzinfo=UTC)))
    others = ["audit.2026-13.jsonl", "audit.2020-01.jsonl.bak", "intents", "audit.txt"]
    for name in others:
        (folder / name).write_text("")
    await log.prune(datetime.fromisoformat(now), timedelta(days=90))
    left = {f"audit.2026-{month:02}.jsonl" for month in months} | set(others)
    assert set(names_in(folder)) == left
