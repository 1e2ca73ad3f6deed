"""What was done to keys, by whom and how it went: a file a month, to which lines are added.

Each line is JSON and on disk when `append` returns. A line that was cut off by a crash is left
as it is, and the next one begins on a line of its own. A PIN has no place in a line.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
import os
from pathlib import Path
import re
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.json import json_dumps
from homeassistant.util.json import json_loads

from ..domain.ids import BookingId, DoorId, GuestId, KeyId, UnitId
from ..domain.json_values import as_instant, as_text, instant_to_json, optional
from ..domain.keys import OnRemoval
from ..storage import StorageError

FREE_TEXT: Final = 200
"""Characters kept of what people or Salto say in their own words."""

_FILE: Final = re.compile(r"audit\.(\d{4}-(?:0[1-9]|1[0-2]))\.jsonl")
_NEWEST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One thing that was done, or tried."""

    at: datetime
    action: str
    outcome: str
    key_id: KeyId | None = None
    salto_key_id: GuestId | None = None
    doors: tuple[DoorId, ...] = ()
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    who: str = ""
    reason: str = field(default="", repr=False)
    """Written as one line of at most `FREE_TEXT` characters, like `who` and `outcome`."""
    booking_id: BookingId | None = None
    unit_id: UnitId | None = None
    on_removal: OnRemoval | None = None
    """What becomes of the key when its unit is deleted. None in lines about what is no key of ours,
    and in those of earlier versions: they do not tell whether there is a unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which lines are asked for; None does not choose."""

    key_id: KeyId | None = None
    booking_id: BookingId | None = None
    since: datetime | None = None
    """The first instant that counts."""
    until: datetime | None = None
    """The first instant that no longer counts."""
    limit: int = 100


class AuditLog:
    """The log of one site. One append at a time: its ledger sees to that."""

    def __init__(self, hass: HomeAssistant, folder: Path) -> None:
        """Keep the log in a folder that is there by the first append."""
        self._hass = hass
        self._folder = folder

    async def append(self, *lines: AuditLine, only_missing: bool = False) -> None:
        """Add lines; when this returns, they are on disk.

        With `only_missing`, a line that is there already is not added again. Raises
        StorageError, and then whatever part of a month's lines was added is taken back.
        """
        texts = [(_month(line.at), encode_line(line)) for line in lines]
        try:
            await self._hass.async_add_executor_job(self._append, texts, only_missing)
        except OSError as err:
            raise StorageError("the audit log could not be written") from err

    async def query(self, query: AuditQuery) -> tuple[AuditLine, ...]:
        """Return the newest lines that are asked for, newest first. Raises StorageError."""
        try:
            return await self._hass.async_add_executor_job(self._query, query)
        except OSError as err:
            raise StorageError("the audit log could not be read") from err

    async def prune(self, now: datetime, retention: timedelta) -> None:
        """Remove each month of which no line is younger than the retention.

        Raises StorageError.
        """
        try:
            await self._hass.async_add_executor_job(self._prune, _month(now - retention))
        except OSError as err:
            raise StorageError("old parts of the audit log could not be removed") from err

    def _append(self, texts: list[tuple[str, str]], only_missing: bool) -> None:
        """Add lines to the files of their months."""
        for month, of_month in groupby(texts, key=lambda text: text[0]):
            _append_to(
                self._folder / f"audit.{month}.jsonl",
                [text.encode() for _, text in of_month],
                only_missing=only_missing,
            )

    def _query(self, query: AuditQuery) -> tuple[AuditLine, ...]:
        """Look for lines, from the newest month back."""
        found: list[AuditLine] = []
        first = "" if query.since is None else _month(query.since)
        last = _month(query.until or _NEWEST)
        for month, path in sorted(self._months(), reverse=True):
            if first <= month <= last and len(found) < query.limit:
                lines = reversed(path.read_bytes().splitlines())
                found += sorted(_chosen(lines, query), key=lambda line: line.at, reverse=True)
        return tuple(found[: query.limit])

    def _prune(self, oldest: str) -> None:
        """Remove the files of months before this one."""
        for month, path in self._months():
            if month < oldest:
                path.unlink(missing_ok=True)

    def _months(self) -> list[tuple[str, Path]]:
        """Find the files."""
        if not self._folder.is_dir():
            return []
        named = [(_FILE.fullmatch(path.name), path) for path in self._folder.iterdir()]
        return [(match[1], path) for match, path in named if match]


def encode_line(line: AuditLine) -> str:
    """Write a line, always in the same way. Raises ValueError for what is no text or instant."""
    data = {
        "at": instant_to_json(line.at),
        "action": line.action,
        "key_id": line.key_id,
        "salto_key_id": line.salto_key_id,
        "doors": list(line.doors),
        "starts_at": optional(instant_to_json, line.starts_at),
        "ends_at": optional(instant_to_json, line.ends_at),
        "who": _one_line(line.who),
        "outcome": _one_line(line.outcome),
        "reason": _one_line(line.reason),
        "booking_id": line.booking_id,
    }
    added = {"unit_id": line.unit_id, "on_removal": line.on_removal}
    data |= {name: value for name, value in added.items() if value is not None}
    try:
        return json_dumps(data)
    except TypeError as err:
        raise ValueError("not a text") from err


def decode_line(text: str | bytes) -> AuditLine:
    """Read a line. Raises ValueError for a damaged one."""
    try:
        data: Any = json_loads(text)
        return _from_json(data)
    except (KeyError, TypeError) as err:
        raise ValueError("not a line of the log") from err


def is_log_file(name: str) -> bool:
    """Tell whether a file is part of a log."""
    return _FILE.fullmatch(name) is not None


def _append_to(path: Path, lines: list[bytes], *, only_missing: bool) -> None:
    """Add lines to one file and take them back when that fails, so that a retry adds none twice."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if only_missing:
            there = set(path.read_bytes().splitlines())
            lines = [line for line in lines if line not in there]
        if not lines:
            return
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = (b"\n" if torn else b"") + b"".join(line + b"\n" for line in lines)
        try:
            while content:
                content = content[os.write(descriptor, content) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
    if size == 0:
        keep_names(path.parent)


def keep_names(folder: Path) -> None:
    """Have the names of a folder's files on disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _chosen(lines: Iterable[bytes], query: AuditQuery) -> Iterator[AuditLine]:
    """Read the lines that are asked for, leaving out what a crash or damage has left of others."""
    for text in lines:
        if query.key_id is not None and query.key_id.encode() not in text:
            continue
        try:
            line = decode_line(text)
        except ValueError:
            continue
        if (
            (query.key_id is None or line.key_id == query.key_id)
            and (query.booking_id is None or line.booking_id == query.booking_id)
            and (query.since is None or query.since <= line.at)
            and (query.until is None or line.at < query.until)
        ):
            yield line


def _from_json(data: Any) -> AuditLine:
    """Read a line; what a newer version has added is left out, what an older one has not is None."""
    return AuditLine(
        at=as_instant(data["at"]),
        action=as_text(data["action"]),
        key_id=data["key_id"] and KeyId(as_text(data["key_id"])),
        salto_key_id=data["salto_key_id"] and GuestId(as_text(data["salto_key_id"])),
        doors=tuple(DoorId(as_text(door)) for door in data["doors"]),
        starts_at=optional(as_instant, data["starts_at"]),
        ends_at=optional(as_instant, data["ends_at"]),
        who=as_text(data["who"]),
        outcome=as_text(data["outcome"]),
        reason=as_text(data["reason"]),
        booking_id=data["booking_id"] and BookingId(as_text(data["booking_id"])),
        unit_id=data.get("unit_id") and UnitId(as_text(data["unit_id"])),
        on_removal=OnRemoval(word) if (word := data.get("on_removal")) in OnRemoval else None,
    )


def _month(instant: datetime) -> str:
    """Return the month that an instant is in."""
    in_utc = instant.astimezone(UTC)
    return f"{in_utc.year:04}-{in_utc.month:02}"


def _one_line(text: str) -> str:
    """Make one line of a text, and not a long one."""
    return " ".join(text.split())[:FREE_TEXT]
