"""How keys and intents are written: whole, and with what only a newer version knows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
import json
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.ids import (
    BookingId,
    DoorId,
    GroupId,
    GuestId,
    KeyId,
    PersonId,
    TimesId,
    UnitId,
    key_id,
)
from custom_components.salto_ks.domain.intents import Intent, IntentKind
from custom_components.salto_ks.domain.keys import (
    DoorGroup,
    Guest,
    KeyProblem,
    KeyRecord,
    KeyStatus,
    KeyWarning,
    Strategy,
)
from custom_components.salto_ks.domain.read_only import Hold, ReadOnly
from custom_components.salto_ks.domain.windows import AccessWindow
from custom_components.salto_ks.keys.ledger_codec import (
    SHARD_SIZE,
    Head,
    Shard,
    decode_intent,
    decode_record,
    encode_record,
    head_from_json,
    head_to_json,
    open_intent,
    shard_from_json,
    shard_of,
    shard_to_json,
)

from .ledgers import DAY, NOW, a_line, a_record, an_intent

KEY = KeyId("ab12-7")

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
INSTANTS = st.integers(10**15, 2 * 10**15).map(
    lambda number: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=number)
)
DOORS = st.frozensets(WORDS.map(DoorId), max_size=4)
WINDOWS = st.builds(
    lambda starts_at, length: AccessWindow(starts_at, starts_at + length),
    INSTANTS,
    st.timedeltas(timedelta(microseconds=1), timedelta(days=400)),
)
GROUPS = st.lists(
    st.builds(
        DoorGroup,
        id=WORDS.map(GroupId),
        zone=TEXTS,
        doors=DOORS,
        times_id=st.none() | TEXTS.map(TimesId),
        member=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda group: group.id,
).map(tuple)
RECORDS = st.builds(
    KeyRecord,
    key_id=st.just(KEY),
    doors=DOORS,
    window=WINDOWS,
    status=st.sampled_from(KeyStatus),
    strategy=st.sampled_from(Strategy),
    booking_id=st.none() | TEXTS.map(BookingId),
    unit_id=st.none() | TEXTS.map(UnitId),
    label=TEXTS,
    pin_length=st.none() | st.integers(4, 6),
    sealed_pin=st.none() | TEXTS,
    guest=st.none()
    | st.builds(
        Guest,
        id=WORDS.map(GuestId),
        person_id=WORDS.map(PersonId),
        expires_at=st.none() | INSTANTS,
    ),
    groups=GROUPS,
    errors=st.frozensets(st.sampled_from(KeyProblem)),
    warnings=st.frozensets(st.sampled_from(KeyWarning)),
    created_at=INSTANTS,
    changed_at=INSTANTS,
    removed_at=st.none() | INSTANTS,
    first_used_at=st.none() | INSTANTS,
)
INTENTS = st.builds(
    Intent,
    key_id=st.just(KEY),
    kind=st.sampled_from(IntentKind),
    record=RECORDS,
    started_at=INSTANTS,
    who=TEXTS,
    reason=TEXTS,
)
NEW_WORDS = st.text("abcdefghij_", min_size=1, max_size=12).map(lambda word: f"new_{word}")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def found(**changes: Any) -> dict[str, Any]:
    """Return a good record as it is in a file, changed as wished."""
    record: dict[str, Any] = json.loads(
        encode_record(
            a_record(
                KEY,
                groups=(DoorGroup(id=GroupId("group"), zone="UTC", doors=frozenset()),),
            )
        )
    )
    return record | changes


def without(name: str) -> dict[str, Any]:
    """Return a record in which something is missing."""
    return {other: value for other, value in found().items() if other != name}


# Round trips


@given(record=RECORDS)
@settings(deadline=None)
def test_record_comes_back(record: KeyRecord) -> None:
    """A record that was written is read as it was, with nothing unknown in it."""
    assert decode_record(KEY, encode_record(record)) == (record, None)


@given(intent=INTENTS, serial=st.integers(0, 2**53))
@settings(deadline=None)
def test_intent_comes_back(intent: Intent, serial: int) -> None:
    """An intent that was written is read as it was."""
    written = open_intent(intent, serial)
    assert decode_intent(KEY, written.text) == written


@given(
    record=RECORDS,
    fields=st.dictionaries(NEW_WORDS, ANYTHING, min_size=1, max_size=3),
    words=st.lists(NEW_WORDS, min_size=6, max_size=6, unique=True),
)
@settings(deadline=None)
def test_what_a_newer_version_knows_is_carried(
    record: KeyRecord, fields: dict[str, Any], words: list[str]
) -> None:
    """Fields and words that are unknown survive being read, changed elsewhere, and written."""
    newer = json.loads(encode_record(record)) | fields
    newer["errors"] = [*newer["errors"], words[0]]
    newer["warnings"] = [words[1], *newer["warnings"]]
    newer["status"], newer["strategy"] = words[2], words[3]
    for part in (*newer["groups"], *([newer["guest"]] if newer["guest"] else [])):
        part |= {words[4]: fields}
    read, carried = decode_record(KEY, json.dumps(newer))
    assert read == replace(record, status=KeyStatus.UNKNOWN, strategy=Strategy.SCHEDULE)

    changed = replace(read, label="another", first_used_at=NOW)
    again = json.loads(encode_record(changed, carried))
    for name in ("errors", "warnings"):
        assert sorted(again.pop(name)) == sorted(newer.pop(name))
    assert again == newer | {"label": "another", "first_used_at": NOW.isoformat()}


def test_what_was_decided_since_is_not_overruled() -> None:
    """A carried word goes where this version has set another, and a carried part with its whole."""
    newer = found(status="resting", strategy="by_radio")
    newer["guest"] |= {"mood": "good"}
    newer["groups"][0] |= {"colour": "red"}
    read, carried = decode_record(KEY, json.dumps(newer))
    changed = replace(
        read,
        status=KeyStatus.REVOKED,
        strategy=Strategy.MEMBERSHIP,
        guest=Guest(id=GuestId("another"), person_id=PersonId("another")),
        groups=(DoorGroup(id=GroupId("another"), zone="UTC", doors=frozenset()),),
    )
    assert decode_record(KEY, encode_record(changed, carried)) == (changed, None)
    gone = replace(changed, guest=None, groups=())
    assert decode_record(KEY, encode_record(gone, carried)) == (gone, None)


def test_word_of_a_newer_version_alone() -> None:
    """One unknown word is enough for a record to be carried."""
    for name, value in {
        "status": "resting",
        "strategy": "by_radio",
        "on_removal": "ask",
        "errors": ["bad_weather"],
        "warnings": ["bad_weather"],
        "guest": found()["guest"] | {"mood": "good"},
        "groups": [found()["groups"][0] | {"colour": "red"}],
        "mood": None,
    }.items():
        newer = found(**{name: value})
        record, carried = decode_record(KEY, json.dumps(newer))
        assert carried == newer
        assert json.loads(encode_record(record, carried)) == newer
        assert record.is_live


def test_instants_are_kept_in_utc() -> None:
    """An instant of another zone is the same instant in the file, and UTC when it is read."""
    east = timezone(timedelta(hours=2))
    record = a_record(KEY, created_at=NOW.astimezone(east))
    text = encode_record(record)
    assert json.loads(text)["created_at"] == "2026-10-25T00:30:00+00:00"
    assert decode_record(KEY, text)[0].created_at.tzinfo is UTC


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"created_at": NOW.replace(tzinfo=None)}, id="naive instant"),
        pytest.param({"label": "half \ud83d emoji"}, id="half a character"),
        pytest.param({"label": object()}, id="no text"),
    ],
)
def test_what_cannot_be_written(changes: dict[str, Any]) -> None:
    """What would not come back is refused before anything is done with it."""
    record = a_record(KEY, **changes)
    with pytest.raises(ValueError, match="not a"):
        encode_record(record)
    with pytest.raises(ValueError, match="not a"):
        open_intent(an_intent(record), 1)


# Damage


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text if isinstance(text, str) else json.dumps(text), id=f"{name}")
        for name, text in {
            "nothing": "",
            "no JSON": "{",
            "null": None,
            "a number": 5,
            "a text": '"text"',
            "a list": [],
            "empty": {},
            **{f"without {name}": without(name) for name in found()},
            **{
                f"{name} is {value!r}": found(**{name: value})
                for name, values in {
                    "doors": (None, "gate", [5], [""], {"gate": 1}),
                    "starts_at": (None, 5, "soon", "2026-10-25T00:30:00", "2026-12-25T00:00Z"),
                    "ends_at": (None, "", "0001-01-01T00:00:00+14:00", "2026-10-25T00:30:00Z"),
                    "status": (None, 5, ["set"]),
                    "strategy": (None, {}),
                    "booking_id": (5, []),
                    "unit_id": (True, {}),
                    "label": (None, 5),
                    "pin_length": ("4", 4.0, True, -4),
                    "sealed_pin": (5, []),
                    "guest": ({}, [], "guest", 5, {"id": "", "person_id": "p", "expires_at": None}),
                    "groups": (None, {}, [5], [{}], "group"),
                    "errors": (None, "refused", [5], {"refused": 1}),
                    "warnings": (None, [None]),
                    "created_at": (None, "2026-10-25"),
                    "changed_at": (None, "never"),
                    "removed_at": (5, ""),
                    "first_used_at": (False, "2026-10-25T00:30:00"),
                }.items()
                for value in values
            },
            "member is 1": found(groups=[found()["groups"][0] | {"member": 1}]),
            "group without id": found(groups=[found()["groups"][0] | {"id": ""}]),
        }.items()
    ],
)
def test_damaged_record(text: str) -> None:
    """A record that makes no sense is a ValueError, of whatever kind the damage is."""
    with pytest.raises(ValueError, match=r".+"):
        decode_record(KEY, text)


@pytest.mark.parametrize(
    "change",
    [
        {"serial": None},
        {"serial": -1},
        {"serial": 1.5},
        {"kind": "transfer"},
        {"kind": None},
        {"record": {}},
        {"record": "text"},
        {"started_at": "2026-10-25T00:30:00"},
        {"who": None},
        {"reason": 5},
    ],
    ids=str,
)
def test_damaged_intent(change: dict[str, Any]) -> None:
    """An intent that makes no sense, or is of a kind only a newer version knows, is a ValueError."""
    good = json.loads(open_intent(an_intent(a_record(KEY)), 1).text)
    assert decode_intent(KEY, json.dumps(good)).serial == 1
    for bad in (good | change, {name: good[name] for name in good if name not in change}):
        with pytest.raises(ValueError, match=r".+"):
            decode_intent(KEY, json.dumps(bad))


@given(data=ANYTHING)
@settings(deadline=None)
def test_any_file_can_be_looked_at(data: Any) -> None:
    """Whatever is in a file or a record, it is read or it is a ValueError."""
    for read in (
        head_from_json,
        lambda data: shard_from_json(0, data),
        lambda data: decode_record(KEY, data),
        lambda data: decode_record(KEY, json.dumps(data)),
        lambda data: decode_intent(KEY, json.dumps(data)),
    ):
        try:
            read(data)
        except ValueError:
            continue
        raise AssertionError("nonsense was understood")


# Files


def test_keys_of_a_file() -> None:
    """Keys are sorted into files by their numbers."""
    numbers = (0, 1, SHARD_SIZE - 1, SHARD_SIZE, 10 * SHARD_SIZE)
    assert [shard_of(key_id("ab12", number)) for number in numbers] == [0, 0, 0, 1, 10]


def test_file_of_keys_comes_back() -> None:
    """All that is in a file of keys is read as it was written."""
    keys = [key_id("ab12", number) for number in (SHARD_SIZE, SHARD_SIZE + 5)]
    shard = Shard(
        instance="ab12",
        records={key: a_record(key) for key in keys},
        finished={keys[0]: 17},
        lines=[a_line(keys[0])],
        unreadable={"200": "{half a rec", "x": 5},
        unreadable_lines=["{half a line", None],
    )
    data = json.loads(json.dumps(shard_to_json(shard)))
    assert shard_from_json(1, data) == shard


def test_file_of_intents_comes_back() -> None:
    """All that is in the file of intents is read as it was written."""
    intents = [an_intent(a_record(key_id("ab12", number))) for number in (3, 4)]
    head = Head(
        instance="ab12",
        highest_number=9,
        highest_serial=8,
        shards={0, 3},
        intents={one.key_id: open_intent(one, serial) for serial, one in enumerate(intents)},
        unreadable={"5": "{half an int", "six": "{}"},
    )
    assert head_from_json(json.loads(json.dumps(head_to_json(head)))) == head


@pytest.mark.parametrize("name", ["-1", "007", "1.0", "٣", "", " 1", "1e3", f"{SHARD_SIZE}"])
def test_key_under_a_name_that_is_none(name: str) -> None:
    """A good record that is not where it should be is not understood, and is kept."""
    text = encode_record(a_record(KEY))
    shard = shard_from_json(
        0, {"instance": "ab12", "keys": {name: text}, "finished": {}, "lines": []}
    )
    assert (shard.records, shard.unreadable) == ({}, {name: text})


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("instance"),
        lambda data: data.update(instance=""),
        lambda data: data.update(instance=None),
        lambda data: data.update(instance="a-b1"),
        lambda data: data.update(instance="abc12"),
        lambda data: data.update(instance="ab1é"),
        lambda data: data.pop("keys"),
        lambda data: data.update(keys="keys"),
        lambda data: data.update(keys=[5]),
        lambda data: data.pop("finished"),
        lambda data: data.update(finished={"one": 1}),
        lambda data: data.update(finished={"1": "one"}),
        lambda data: data.pop("lines"),
        lambda data: data.update(lines={}),
    ],
)
def test_damaged_file_of_keys(damage: Callable[[dict[str, Any]], object]) -> None:
    """A file of keys of which the frame is damaged makes no sense."""
    data = shard_to_json(Shard(instance="ab12"))
    shard_from_json(0, data)
    damage(data)
    with pytest.raises(ValueError, match="file of keys"):
        shard_from_json(0, data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.pop("instance"),
        lambda data: data.pop("highest_number"),
        lambda data: data.update(highest_number="5"),
        lambda data: data.update(highest_number=-5),
        lambda data: data.update(highest_serial=True),
        lambda data: data.update(shards=None),
        lambda data: data.update(shards=["0"]),
        lambda data: data.pop("intents"),
        lambda data: data.update(intents=[1, 2]),
    ],
)
def test_damaged_file_of_intents(damage: Callable[[dict[str, Any]], object]) -> None:
    """A file of intents of which the frame is damaged makes no sense."""
    data = head_to_json(Head(instance="ab12"))
    head_from_json(data)
    damage(data)
    with pytest.raises(ValueError, match="file of intents"):
        head_from_json(data)


def test_window_of_a_record_has_to_be_one() -> None:
    """A record of which the end is not after the start is damaged."""
    text = json.dumps(found(ends_at=(NOW - DAY).isoformat()))
    with pytest.raises(ValueError, match="ends after"):
        decode_record(KEY, text)


def test_hold() -> None:
    """Why nothing is done by itself comes back; an older file says nothing of it."""
    hold = Hold(reason=ReadOnly.CLOCK_JUMP, since=NOW)
    data = json.loads(json.dumps(head_to_json(Head(instance="ab12", hold=hold))))
    assert head_from_json(data).hold == hold
    data["hold"]["reason"] = "a reason of a newer version"
    assert head_from_json(data).hold == replace(hold, reason=ReadOnly.RESTORED_BACKUP)
    del data["hold"]
    assert head_from_json(data).hold is None


@pytest.mark.parametrize(
    "hold", [7, {}, {"reason": "clock_jump"}, {"reason": 1, "since": "2026-01-01T00:00:00+00:00"}]
)
def test_hold_that_makes_no_sense(hold: object) -> None:
    """Then neither does the file."""
    data = head_to_json(Head(instance="ab12")) | {"hold": hold}
    with pytest.raises(ValueError, match="not a file of intents"):
        head_from_json(data)
