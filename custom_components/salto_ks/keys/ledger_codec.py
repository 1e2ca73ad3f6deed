"""How the ledger's files are written and read: pure functions of values.

Every key and every intent is a text of its own within its file. So one that is damaged costs
none of the others, and can be kept exactly as it was found.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
import sys
from typing import Any, Final

from homeassistant.helpers.json import json_dumps
from homeassistant.util.json import json_loads

from ..domain.ids import (
    INSTANCE_LENGTH,
    BookingId,
    DoorId,
    GroupId,
    GuestId,
    KeyId,
    PersonId,
    TimesId,
    UnitId,
    key_id as key_id_of,
    number_of,
)
from ..domain.intents import Intent, IntentKind
from ..domain.json_values import (
    as_instant,
    as_list,
    as_number,
    as_text,
    as_truth,
    as_word,
    instant_to_json,
    optional,
)
from ..domain.keys import (
    DoorGroup,
    Guest,
    KeyProblem,
    KeyRecord,
    KeyStatus,
    KeyWarning,
    OnRemoval,
    Strategy,
)
from ..domain.read_only import Hold, ReadOnly
from ..domain.windows import AccessWindow
from .audit_log import AuditLine, decode_line, encode_line

type Json = Mapping[str, Any]

SHARD_SIZE: Final = 128
"""Keys in a file: few enough to write one in a few milliseconds, enough to have few files."""


class Part(StrEnum):
    """The kinds of files of a ledger."""

    INTENTS = "intents"
    KEYS = "keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """A version of the files, and the way to it.

    A new minor version can be read by the one before it: that keeps what it does not know. A
    step therefore may meet what it would have made itself, and leaves that alone.
    """

    version: int
    minor_version: int
    steps: Mapping[int, Callable[[Part, Json], Json]] = field(default_factory=dict)
    """From each minor version to the next, for the data of one file."""

    def bring_up(self, part: Part, minor_version: int, data: Json) -> Json:
        """Return data of an older minor version as this one has it."""
        for step in range(minor_version, self.minor_version):
            data = self.steps[step](part, data)
        return data


FORMAT: Final = FileFormat(version=1, minor_version=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """An intent in the file, with a number that no other intent of the ledger ever had."""

    serial: int
    intent: Intent
    text: str = field(repr=False)
    """As it was written first, which is how it stays."""


@dataclass(slots=True, kw_only=True)
class Head:
    """The file of the intents, which also says what else there is."""

    instance: str
    highest_number: int = 0
    highest_serial: int = 0
    shards: set[int] = field(default_factory=set)
    intents: dict[KeyId, OpenIntent] = field(default_factory=dict)
    unreadable: dict[str, Any] = field(default_factory=dict)
    """Intents that make no sense, as they were found, by what they are named."""
    hold: Hold | None = None
    """Why nothing is done by itself, if that is so."""


@dataclass(slots=True, kw_only=True)
class Shard:
    """A file of keys."""

    instance: str
    records: dict[KeyId, KeyRecord] = field(default_factory=dict)
    carried: dict[KeyId, Json] = field(default_factory=dict)
    """Records in which there was something that only a newer version knows, as they were found."""
    unreadable: dict[str, Any] = field(default_factory=dict)
    """Records that make no sense, as they were found, by what they are named."""
    finished: dict[KeyId, int] = field(default_factory=dict)
    """Serials of the intents whose results are in here."""
    lines: list[AuditLine] = field(default_factory=list)
    """What the audit log may not have yet."""
    unreadable_lines: list[Any] = field(default_factory=list)


def shard_of(key_id: KeyId) -> int:
    """Return the number of the file that a key is in."""
    return number_of(key_id) // SHARD_SIZE


def head_to_json(head: Head) -> dict[str, Any]:
    """Write the file of the intents."""
    return {
        "instance": head.instance,
        "highest_number": head.highest_number,
        "highest_serial": head.highest_serial,
        "shards": sorted(head.shards),
        "intents": head.unreadable
        | {str(number_of(key_id)): one.text for key_id, one in head.intents.items()},
        "hold": optional(_hold_to_json, head.hold),
    }


def head_from_json(data: Json) -> Head:
    """Read the file of the intents. Raises ValueError when it makes no sense as a whole."""
    try:
        head = Head(
            instance=_instance(data["instance"]),
            highest_number=as_number(data["highest_number"]),
            highest_serial=as_number(data["highest_serial"]),
            shards={as_number(shard) for shard in data["shards"]},
            hold=optional(_hold, data.get("hold")),  # of which an older file says nothing
        )
        intents = dict(data["intents"])
    except (KeyError, TypeError, ValueError) as err:
        raise ValueError("not a file of intents") from err
    for name, text in intents.items():
        try:
            key_id = key_id_of(head.instance, _own_number(name))
            head.intents[key_id] = decode_intent(key_id, text)
        except ValueError:
            head.unreadable[name] = text
    return head


def shard_to_json(shard: Shard) -> dict[str, Any]:
    """Write a file of keys."""
    return {
        "instance": shard.instance,
        "keys": shard.unreadable
        | {
            str(number_of(key_id)): encode_record(record, shard.carried.get(key_id))
            for key_id, record in shard.records.items()
        },
        "finished": {str(number_of(key_id)): serial for key_id, serial in shard.finished.items()},
        "lines": [*shard.unreadable_lines, *(encode_line(line) for line in shard.lines)],
    }


def shard_from_json(number: int, data: Json) -> Shard:
    """Read a file of keys. Raises ValueError when it makes no sense as a whole."""
    try:
        shard = Shard(instance=_instance(data["instance"]))
        shard.finished = {
            key_id_of(shard.instance, _own_number(name)): as_number(serial)
            for name, serial in dict(data["finished"]).items()
        }
        keys, lines = dict(data["keys"]), as_list(data["lines"])
    except (KeyError, TypeError, ValueError) as err:
        raise ValueError("not a file of keys") from err
    for line in lines:
        try:
            shard.lines.append(decode_line(as_text(line)))
        except ValueError:
            shard.unreadable_lines.append(line)
    for name, text in keys.items():
        try:
            key_id = key_id_of(shard.instance, _own_number(name))
            if shard_of(key_id) != number:
                raise ValueError("a key of another file")  # noqa: TRY301 - the except below names the file
            record, carried = decode_record(key_id, text)
        except ValueError:
            shard.unreadable[name] = text
            continue
        shard.records[key_id] = record
        if carried is not None:
            shard.carried[key_id] = carried
    return shard


def open_intent(intent: Intent, serial: int) -> OpenIntent:
    """Write an intent. Raises ValueError for what is no text or instant."""
    data = {
        "serial": serial,
        "kind": intent.kind.value,
        "record": _record_to_json(intent.record),
        "started_at": instant_to_json(intent.started_at),
        "who": intent.who,
        "reason": intent.reason,
    }
    return OpenIntent(serial=serial, intent=intent, text=_dumps(data))


def decode_intent(key_id: KeyId, text: Any) -> OpenIntent:
    """Read an intent. Raises ValueError when it makes no sense."""
    try:
        data: Any = json_loads(as_text(text))
        return OpenIntent(
            serial=as_number(data["serial"]),
            intent=Intent(
                key_id=key_id,
                kind=IntentKind(data["kind"]),
                record=_record_from_json(key_id, data["record"])[0],
                started_at=as_instant(data["started_at"]),
                who=as_text(data["who"]),
                reason=as_text(data["reason"]),
            ),
            text=text,
        )
    except (KeyError, TypeError) as err:
        raise ValueError("not an intent") from err


def encode_record(record: KeyRecord, carried: Json | None = None) -> str:
    """Write a record, with what was carried of an earlier one of the same key.

    Raises ValueError for what is no text or instant.
    """
    data = _record_to_json(record)
    return _dumps(data if carried is None else _with_carried(data, carried))


def decode_record(key_id: KeyId, text: Any) -> tuple[KeyRecord, Json | None]:
    """Read a record, and return all of it again if part of it is unknown to this version.

    A status of a newer version reads as `unknown`. Raises ValueError when it makes no sense.
    """
    try:
        return _record_from_json(key_id, json_loads(as_text(text)))
    except (KeyError, TypeError) as err:
        raise ValueError("not a record") from err


def _hold_to_json(hold: Hold) -> dict[str, str]:
    return {"reason": hold.reason.value, "since": instant_to_json(hold.since)}


def _hold(data: Any) -> Hold:
    """Read why nothing is done by itself.

    A reason of a newer version reads as the one that takes more to end.
    """
    reason = _known(ReadOnly, data["reason"]) or ReadOnly.RESTORED_BACKUP
    return Hold(reason=reason, since=as_instant(data["since"]))


def _record_to_json(record: KeyRecord) -> dict[str, Any]:
    return {
        "doors": sorted(record.doors),
        "starts_at": instant_to_json(record.window.starts_at),
        "ends_at": instant_to_json(record.window.ends_at),
        "status": record.status.value,
        "strategy": record.strategy.value,
        "booking_id": record.booking_id,
        "unit_id": record.unit_id,
        "on_removal": record.on_removal.value,
        "by_hand": record.by_hand,
        "label": record.label,
        "pin_length": record.pin_length,
        "sealed_pin": record.sealed_pin,
        "guest": optional(_guest_to_json, record.guest),
        "groups": [_group_to_json(group) for group in record.groups],
        "errors": sorted(error.value for error in record.errors),
        "warnings": sorted(warning.value for warning in record.warnings),
        "created_at": instant_to_json(record.created_at),
        "changed_at": instant_to_json(record.changed_at),
        "removed_at": optional(instant_to_json, record.removed_at),
        "first_used_at": optional(instant_to_json, record.first_used_at),
        "pin_set_at": optional(instant_to_json, record.pin_set_at),
    }


def _record_from_json(key_id: KeyId, data: Any) -> tuple[KeyRecord, Json | None]:
    record = KeyRecord(
        key_id=key_id,
        doors=_doors(data["doors"]),
        window=AccessWindow(as_instant(data["starts_at"]), as_instant(data["ends_at"])),
        status=_known(KeyStatus, data["status"]) or KeyStatus.UNKNOWN,
        strategy=_known(Strategy, data["strategy"]) or Strategy.SCHEDULE,
        booking_id=_optional_text(data["booking_id"], BookingId),
        unit_id=_optional_text(data["unit_id"], UnitId),
        on_removal=_known(OnRemoval, data["on_removal"]) or OnRemoval.LEAVE,
        by_hand=as_truth(data["by_hand"]),
        label=as_text(data["label"]),
        pin_length=optional(as_number, data["pin_length"]),
        sealed_pin=_optional_text(data["sealed_pin"], str),
        guest=optional(_guest, data["guest"]),
        groups=tuple(_group(group) for group in as_list(data["groups"])),
        errors=_known_of(KeyProblem, data["errors"]),
        warnings=_known_of(KeyWarning, data["warnings"]),
        created_at=as_instant(data["created_at"]),
        changed_at=as_instant(data["changed_at"]),
        removed_at=optional(as_instant, data["removed_at"]),
        first_used_at=optional(as_instant, data["first_used_at"]),
        pin_set_at=optional(as_instant, data["pin_set_at"]),
    )
    return record, None if _holds_all_of(_record_to_json(record), data) else data


def _guest_to_json(guest: Guest) -> dict[str, Any]:
    return {
        "id": guest.id,
        "person_id": guest.person_id,
        "expires_at": optional(instant_to_json, guest.expires_at),
    }


def _guest(data: Any) -> Guest:
    return Guest(
        id=GuestId(as_word(data["id"])),
        person_id=PersonId(as_word(data["person_id"])),
        expires_at=optional(as_instant, data["expires_at"]),
    )


def _group_to_json(group: DoorGroup) -> dict[str, Any]:
    return {
        "id": group.id,
        "zone": group.zone,
        "doors": sorted(group.doors),
        "times_id": group.times_id,
        "member": group.member,
    }


def _group(data: Any) -> DoorGroup:
    return DoorGroup(
        id=GroupId(as_word(data["id"])),
        zone=sys.intern(as_text(data["zone"])),
        doors=_doors(data["doors"]),
        times_id=_optional_text(data["times_id"], TimesId),
        member=as_truth(data["member"]),
    )


def _holds_all_of(known: Json, found: Json) -> bool:
    """Tell whether this version knows every field and every word of a record that was found."""
    return (
        known.keys() >= found.keys()
        and all(known[name] == found[name] for name in ("status", "strategy", "on_removal"))
        and all(set(known[name]) == set(found[name]) for name in ("errors", "warnings"))
        and (known["guest"] or {}).keys() >= (found["guest"] or {}).keys()
        and all(
            ours.keys() >= theirs.keys()
            for ours, theirs in zip(known["groups"], found["groups"], strict=True)
        )
    )


def _with_carried(data: dict[str, Any], carried: Json) -> dict[str, Any]:
    """Put back what this version does not know, unless it has decided otherwise since."""
    merged = {**carried, **data}
    if data["status"] == KeyStatus.UNKNOWN and carried["status"] not in KeyStatus:
        merged["status"] = carried["status"]
    if data["strategy"] == Strategy.SCHEDULE and carried["strategy"] not in Strategy:
        merged["strategy"] = carried["strategy"]
    if data["on_removal"] == OnRemoval.LEAVE and carried["on_removal"] not in OnRemoval:
        merged["on_removal"] = carried["on_removal"]
    merged["errors"] = data["errors"] + [w for w in carried["errors"] if w not in KeyProblem]
    merged["warnings"] = data["warnings"] + [w for w in carried["warnings"] if w not in KeyWarning]
    if data["guest"] and carried["guest"] and data["guest"]["id"] == carried["guest"]["id"]:
        merged["guest"] = {**carried["guest"], **data["guest"]}
    groups = {group["id"]: group for group in carried["groups"]}
    merged["groups"] = [{**groups.get(group["id"], {}), **group} for group in data["groups"]]
    return merged


def _known[W: StrEnum](words: type[W], word: Any) -> W | None:
    """Return a word that this version knows."""
    return words(word) if as_text(word) in words else None


def _known_of[W: StrEnum](words: type[W], found: Any) -> frozenset[W]:
    """Return those words that this version knows."""
    return frozenset(known for word in as_list(found) if (known := _known(words, word)) is not None)


def _doors(value: object) -> frozenset[DoorId]:
    """Read doors; many keys have the same ones, so that each id is kept in memory once."""
    return frozenset(DoorId(sys.intern(as_word(door))) for door in as_list(value))


def _instance(value: object) -> str:
    """Take what tells the keys of one ledger from those of another."""
    text = as_text(value)
    if len(text) != INSTANCE_LENGTH or not (text.isascii() and text.isalnum()):
        raise ValueError("not an instance")
    return text


def _optional_text[T](value: object, kind: Callable[[str], T]) -> T | None:
    return None if value is None else kind(as_text(value))


def _own_number(name: str) -> int:
    """Read the number by which a key is named in a file, written as it is here."""
    number = int(name)
    if str(number) != name or number < 0:
        raise ValueError("not a number")
    return number


def _dumps(data: Json) -> str:
    try:
        return json_dumps(data)
    except TypeError as err:
        raise ValueError("not a text") from err
