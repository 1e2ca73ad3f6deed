"""The ledger: what it promises while its disk works."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial
import json
import logging
import stat

from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.api.models import SiteId
from custom_components.salto_ks.domain.ids import (
    BookingId,
    GuestId,
    KeyId,
    PersonId,
    UnitId,
    instance_of,
    key_id as key_id_of,
    marked,
    marker,
    number_of,
)
from custom_components.salto_ks.domain.intents import IntentKind
from custom_components.salto_ks.domain.keys import Guest, KeyProblem, KeyRecord, KeyStatus
from custom_components.salto_ks.domain.read_only import Hold, ReadOnly
from custom_components.salto_ks.keys.audit_log import AuditQuery
from custom_components.salto_ks.keys.ledger import Ledger, async_get_ledger
from custom_components.salto_ks.keys.ledger_codec import SHARD_SIZE, Shard, shard_to_json
from custom_components.salto_ks.keys.pin_cipher import PinCipher, async_get_pin_cipher
from custom_components.salto_ks.storage import StorageError
from tests.ha.files import files_with, hass_config_dir, hass_storage

from .ledgers import (
    DAY,
    EVERYTHING,
    NOW,
    SITE,
    a_line,
    a_record,
    actions,
    an_intent,
    contents,
    folder_of,
    issued,
    no_room,
    opened,
    read_data,
    state,
    write_data,
)

__all__ = ["hass_config_dir", "hass_storage"]

PIN = "471108"


@pytest.fixture
async def ledger(hass: HomeAssistant) -> Ledger:
    """Return the ledger of a site of which nothing is kept yet."""
    return await opened(hass)


# Life of a key


async def test_new_ledger(hass: HomeAssistant, ledger: Ledger) -> None:
    """A ledger without a key is empty, whole, and leaves no trace until something is begun."""
    assert state(ledger) == ({}, {})
    assert (ledger.quarantine, ledger.highest_number) == (None, 0)
    assert await ledger.audit.query(EVERYTHING) == ()
    await ledger.flush()
    assert not folder_of(hass).exists()


async def test_intent_is_on_disk_when_it_is_begun(hass: HomeAssistant, ledger: Ledger) -> None:
    """A key that was begun is known by its number, its marker and its wish, after a start too."""
    record = a_record(ledger.new_key_id(), status=KeyStatus.SETTING)
    intent = an_intent(record, reason="asked at the desk")
    await ledger.begin(intent)
    for one in (ledger, await opened(hass)):
        assert state(one) == ({}, {record.key_id: intent})
        assert one.get(record.key_id) == record
        assert one.instance == instance_of(record.key_id)
        assert one.highest_number == number_of(record.key_id) == 1
    assert marked(marker(record.key_id)) == record.key_id


async def test_result_is_on_disk_when_it_is_finished(hass: HomeAssistant, ledger: Ledger) -> None:
    """A finished key has its record, no intent, and a line in the log, after a start too."""
    record = await issued(ledger)
    for one in (ledger, await opened(hass)):
        assert state(one) == ({record.key_id: record}, {})
        assert one.get(record.key_id) == record
        assert await one.audit.query(EVERYTHING) == (a_line(record.key_id),)
        assert one.unwritten == frozenset()


async def test_change_of_a_key(hass: HomeAssistant, ledger: Ledger) -> None:
    """While a change is open the key is what it was; then it is what it was changed to."""
    before = await issued(ledger)
    wanted = replace(before, window=replace(before.window, ends_at=NOW + 9 * DAY))
    intent = an_intent(wanted, IntentKind.CHANGE)
    await ledger.begin(intent)
    for one in (ledger, await opened(hass)):
        assert state(one) == ({before.key_id: before}, {before.key_id: intent})
        assert one.get(before.key_id) == before
    await ledger.finish(intent, wanted, a_line(wanted.key_id, "change"))
    for one in (ledger, await opened(hass)):
        assert state(one) == ({before.key_id: wanted}, {})
        assert await actions(one) == ["issue", "change"]


async def test_newer_intent_stays_open(hass: HomeAssistant, ledger: Ledger) -> None:
    """A key that is to be revoked while it is issued still has to be when the issue has ended."""
    record = a_record(ledger.new_key_id())
    issue = an_intent(record)
    revoke = an_intent(record, IntentKind.REVOKE)
    await ledger.begin(issue)
    await ledger.begin(revoke)
    assert state(ledger) == ({}, {record.key_id: revoke})
    await ledger.finish(issue, record, a_line(record.key_id))
    for one in (ledger, await opened(hass)):
        assert state(one) == ({record.key_id: record}, {record.key_id: revoke})
    gone = replace(record, status=KeyStatus.REVOKED)
    await ledger.finish(revoke, gone, a_line(record.key_id, "revoke"))
    for one in (ledger, await opened(hass)):
        assert state(one) == ({record.key_id: gone}, {})
        assert await actions(one) == ["issue", "revoke"]


async def test_same_wish_again(hass: HomeAssistant, ledger: Ledger) -> None:
    """A step that is begun again in the same words, after it was finished, is open again."""
    record = await issued(ledger)
    rotate = an_intent(record, IntentKind.ROTATE)
    for _ in range(2):
        await ledger.begin(rotate)
        for one in (ledger, await opened(hass)):
            assert one.intents == {record.key_id: rotate}
        await ledger.finish(rotate, record, a_line(record.key_id, "rotate"))
        for one in (ledger, await opened(hass)):
            assert one.intents == {}


async def test_key_without_intent_is_updated(hass: HomeAssistant, ledger: Ledger) -> None:
    """What happens to a key by itself is kept, with a line in the log or without."""
    record = await issued(ledger)
    used = replace(record, first_used_at=NOW)
    await ledger.update(used, a_line(record.key_id, "first_used"))
    assert (await opened(hass)).records == ledger.records == {record.key_id: used}
    warned = replace(used, errors=frozenset({KeyProblem.UNREACHABLE}))
    await ledger.update(warned)
    for one in (ledger, await opened(hass)):
        assert one.records == {record.key_id: warned}
        assert await actions(one) == ["issue", "first_used"]


async def test_key_is_amended_as_it_is_then(hass: HomeAssistant, ledger: Ledger) -> None:
    """Changes from several sides at once all count."""
    record = await issued(ledger)
    changed = await asyncio.gather(
        ledger.amend(record.key_id, lambda key: replace(key, label="Pitch 14")),
        ledger.amend(record.key_id, lambda key: replace(key, first_used_at=NOW)),
        ledger.amend(record.key_id, lambda key: replace(key, pin_length=6)),
    )
    wanted = replace(record, label="Pitch 14", first_used_at=NOW, pin_length=6)
    assert changed[-1] == wanted
    assert (await opened(hass)).records == ledger.records == {record.key_id: wanted}


async def test_what_was_read_does_not_change(ledger: Ledger) -> None:
    """Whoever looks at records or intents sees them as they were when they looked."""
    first = await issued(ledger)
    records, intents = ledger.records, ledger.intents
    second = a_record(ledger.new_key_id())
    await ledger.begin(an_intent(second))
    await ledger.update(replace(first, label="changed"))
    assert (dict(records), dict(intents)) == ({first.key_id: first}, {})
    with pytest.raises(TypeError):
        ledger.records[first.key_id] = first  # type: ignore[index]  # that it cannot be done


async def test_key_that_has_ended_loses_its_pin(hass: HomeAssistant, ledger: Ledger) -> None:
    """The PIN of a revoked key is nowhere on disk any more; that of one being removed still is."""
    cipher = await async_get_pin_cipher(hass)
    sealed = cipher.seal(PIN)
    record = await issued(ledger, sealed_pin=sealed)
    for status, kept in (
        (KeyStatus.REMOVING, sealed),
        (KeyStatus.REVOKED, None),
    ):
        revoke = an_intent(record, IntentKind.REVOKE)
        await ledger.begin(revoke)
        ended = replace(record, status=status)
        await ledger.finish(revoke, ended, a_line(record.key_id, "revoke"))
        for one in (ledger, await opened(hass)):
            assert one.records[record.key_id] == replace(ended, sealed_pin=kept)
        assert bool(files_with(hass, sealed)) == (kept is not None)


async def test_files_are_private(hass: HomeAssistant, ledger: Ledger) -> None:
    """Nobody else can read a file of the ledger, or look into its folder."""
    await issued(ledger)
    folder = folder_of(hass)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sorted(folder.iterdir())}
    assert modes == dict.fromkeys(["audit.2026-10.jsonl", "intents", "keys.0000"], 0o600)


async def test_secrets_stay_in_their_file(
    hass: HomeAssistant, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """A PIN is in no file and no log, and what a key is called is in the ledger alone."""
    caplog.set_level(logging.DEBUG)
    cipher = await async_get_pin_cipher(hass)
    record = await issued(ledger, sealed_pin=cipher.seal(PIN), label="Family Jansen")
    await ledger.update(replace(record, label="Family Jansen!"))
    assert files_with(hass, PIN) == []
    assert files_with(hass, "Jansen") == [folder_of(hass) / "keys.0000"]
    for secret in (PIN, record.sealed_pin, "Jansen"):
        assert secret is not None
        assert secret not in caplog.text
        assert secret not in f"{ledger!r} {ledger.diagnostics()}"


# Numbers


async def test_numbers_rise(hass: HomeAssistant, ledger: Ledger) -> None:
    """Each key gets a number of its own, above all before it, also after a start."""
    records = [await issued(ledger) for _ in range(3)]
    again = await opened(hass)
    records.append(await issued(again))
    assert [number_of(record.key_id) for record in records] == [1, 2, 3, 4]
    assert {instance_of(record.key_id) for record in records} == {ledger.instance}


async def test_taken_number_is_not_given_again(hass: HomeAssistant, ledger: Ledger) -> None:
    """A number that was taken for nothing, or whose key was forgotten, stays taken."""
    ledger.new_key_id()
    record = await issued(ledger)
    await ledger.forget(record.key_id)
    assert number_of(record.key_id) == 2
    again = await opened(hass)
    assert (again.records, again.highest_number) == ({}, 2)
    assert number_of(again.new_key_id()) == 3


async def test_numbers_that_were_seen_at_salto(hass: HomeAssistant, ledger: Ledger) -> None:
    """After a restored backup new keys are counted from above what was seen at Salto."""
    await ledger.skip_to(300)
    await ledger.skip_to(200)
    for one in (ledger, await opened(hass)):
        assert one.highest_number == 300
        assert number_of(one.new_key_id()) == 301
    assert (await opened(hass)).instance == ledger.instance


async def test_key_that_was_found(hass: HomeAssistant, ledger: Ledger) -> None:
    """A key of which nothing was known is on disk, with its line, and belongs to this ledger."""
    await ledger.skip_to(7)
    record = a_record(key_id_of(ledger.instance, 5))
    await ledger.add(record, a_line(record.key_id, "adopt"))
    for one in (ledger, await opened(hass)):
        assert one.records == {record.key_id: record}
        assert await actions(one) == ["adopt"]
    for stranger in (key_id_of(ledger.instance, 8), key_id_of("zzzz", 5)):
        with pytest.raises(ValueError, match="another ledger"):
            await ledger.add(a_record(stranger), a_line(stranger))


async def test_hold(hass: HomeAssistant, ledger: Ledger) -> None:
    """Why nothing is done by itself is on disk, and that all is again."""
    hold = Hold(reason=ReadOnly.RESTORED_BACKUP, since=NOW)
    for wanted in (hold, None):
        await ledger.set_hold(wanted, a_line(None, "read_only"))
        for one in (ledger, await opened(hass)):
            assert one.hold == wanted
    assert await actions(ledger) == ["read_only"] * 2


async def test_hold_that_the_disk_does_not_take(hass: HomeAssistant, ledger: Ledger) -> None:
    """It holds in memory, and is on disk with the next intent."""
    hold = Hold(reason=ReadOnly.CLOCK_JUMP, since=NOW)
    with no_room(), pytest.raises(StorageError):
        await ledger.set_hold(hold, a_line(None, "read_only"))
    assert (ledger.hold, (await opened(hass)).hold) == (hold, None)
    await issued(ledger)
    assert (await opened(hass)).hold == hold


async def test_ledgers_differ(hass: HomeAssistant) -> None:
    """Each site has an instance, numbers and files of its own, whatever its id looks like."""
    sites = ["a", "A", "b", "../b", "b/../../c", "x" * 300, "é", ".."]
    ledgers = [await opened(hass, SiteId(site)) for site in sites]
    for site, ledger in zip(sites, ledgers, strict=True):
        await issued(ledger, label=site)
    assert len({ledger.instance for ledger in ledgers}) == len(sites)
    for site in sites:
        (record,) = (await opened(hass, SiteId(site))).records.values()
        assert (record.label, number_of(record.key_id)) == (site, 1)
    folders = {path.parent.parent for path in files_with(hass, '"highest_number"')}
    assert folders == {folder_of(hass).parent}


async def test_key_of_another_ledger(ledger: Ledger) -> None:
    """A key that did not get its number here is refused, before anything is written."""
    record = await issued(ledger)
    before = state(ledger)
    for key_id in (KeyId("zzzz-1"), key_id_of(ledger.instance, 2), KeyId("nonsense")):
        other = a_record(key_id)
        intent = an_intent(other)
        for attempt in (
            partial(ledger.begin, intent),
            partial(ledger.finish, intent, other, a_line(key_id)),
            partial(ledger.update, other),
            partial(ledger.forget, key_id),
        ):
            with pytest.raises(ValueError, match=r"another ledger|invalid literal"):
                await attempt()
    wrong = a_record(KeyId("zzzz-1"))
    with pytest.raises(ValueError, match="another key"):
        await ledger.finish(an_intent(record), wrong, a_line(None))
    with pytest.raises(ValueError, match="another key"):
        await ledger.amend(record.key_id, lambda _: wrong)
    assert state(ledger) == before


async def test_key_without_a_record(ledger: Ledger) -> None:
    """A key that is being issued has no record yet that could be updated."""
    record = a_record(ledger.new_key_id())
    await ledger.begin(an_intent(record))
    with pytest.raises(KeyError):
        await ledger.update(record)


@pytest.mark.parametrize("where", ["record", "line", "intent"])
async def test_what_cannot_be_written(hass: HomeAssistant, ledger: Ledger, where: str) -> None:
    """A text that would spoil its file is refused and leaves nothing behind."""
    record = await issued(ledger)
    before, files = state(ledger), contents(folder_of(hass))
    bad = {where: "half \ud83d emoji"}
    changed = replace(record, label=bad.get("record", ""))
    line = a_line(record.key_id, bad.get("line", ""))
    intent = an_intent(record, who=bad.get("intent", ""))
    finish = partial(ledger.finish, an_intent(record), changed, line)
    attempts = {
        "record": [partial(ledger.update, changed), finish],
        "line": [
            partial(ledger.update, record, line),
            finish,
            partial(ledger.log, line),
            partial(ledger.forget, record.key_id, line),
        ],
        "intent": [partial(ledger.begin, intent)],
    }[where]
    for attempt in attempts:
        with pytest.raises(ValueError, match="not a text"):
            await attempt()
    assert state(ledger) == before
    assert (ledger.unwritten, contents(folder_of(hass))) == (frozenset(), files)


# Looking up


async def test_keys_of_a_booking(ledger: Ledger) -> None:
    """All keys of a booking are found in order, those that are only wanted too."""
    booking = BookingId("stay 7")
    first = await issued(ledger, booking_id=booking)
    await issued(ledger, booking_id=BookingId("stay 8"))
    await issued(ledger, booking_id=None)
    wanted = a_record(ledger.new_key_id(), booking_id=booking)
    await ledger.begin(an_intent(wanted))
    moved = replace(first, label="moved")
    await ledger.begin(an_intent(moved, IntentKind.CHANGE))
    assert ledger.by_booking(booking) == (first, wanted)
    await ledger.update(replace(first, booking_id=BookingId("stay 9")))
    assert ledger.by_booking(booking) == (wanted,)
    assert [key.key_id for key in ledger.by_booking(BookingId("stay 9"))] == [first.key_id]
    assert ledger.by_booking(BookingId("no such")) == ()


async def test_keys_of_a_unit(hass: HomeAssistant, ledger: Ledger) -> None:
    """All keys of a unit are found in order, those that are only wanted too, also after a start."""
    unit = UnitId("pitch 7")
    first = await issued(ledger, unit_id=unit)
    await issued(ledger, unit_id=UnitId("pitch 8"))
    await issued(ledger, unit_id=None)
    second = await issued(ledger, unit_id=unit)
    wanted = a_record(ledger.new_key_id(), unit_id=unit)
    await ledger.begin(an_intent(wanted))
    assert ledger.by_unit(unit) == (first, second, wanted)
    await ledger.update(replace(first, unit_id=UnitId("pitch 9")))
    assert (await opened(hass)).by_unit(unit) == (second, wanted)
    await ledger.forget(second.key_id)
    assert ledger.by_unit(unit) == (wanted,)
    assert ledger.by_unit(UnitId("no such")) == ()


async def test_keys_of_a_booking_after_a_start(hass: HomeAssistant, ledger: Ledger) -> None:
    """What is found is the same after a start."""
    booking = BookingId("stay 7")
    keys = tuple([await issued(ledger, booking_id=booking) for _ in range(3)])
    again = await opened(hass)
    assert again.by_booking(booking) == keys
    await again.forget(keys[1].key_id)
    assert again.by_booking(booking) == (keys[0], keys[2])
    await again.forget(keys[0].key_id)
    await again.forget(keys[2].key_id)
    assert again.by_booking(booking) == ()


async def test_key_of_a_guest(ledger: Ledger) -> None:
    """A key is found by the guest that carries it now, and by no earlier one."""
    old = Guest(id=GuestId("guest 1"), person_id=PersonId("person 1"))
    new = Guest(id=GuestId("guest 2"), person_id=PersonId("person 2"))
    key = await issued(ledger, guest=old)
    other = await issued(ledger, guest=None, booking_id=None)
    assert ledger.by_person(old.person_id) == key
    key = replace(key, guest=new)
    await ledger.update(key)
    assert ledger.by_person(new.person_id) == key
    assert ledger.by_person(old.person_id) is None
    taken = replace(other, guest=new)
    await ledger.update(taken)
    await ledger.forget(key.key_id)
    assert ledger.by_person(new.person_id) == taken


async def test_live_pins(hass: HomeAssistant) -> None:
    """The PINs of live keys are told, and of no others; a cipher without its key tells none."""
    cipher = await async_get_pin_cipher(hass)
    ledger = await opened(hass, cipher=cipher)
    for pin, status in (
        ("4711", KeyStatus.SET),
        ("4712", KeyStatus.REMOVING),
        ("4713", KeyStatus.REVOKED),
    ):
        await issued(ledger, sealed_pin=cipher.seal(pin), status=status)
    await issued(ledger)
    await issued(ledger, sealed_pin="gAAAAAdamaged")
    assert await ledger.live_pins() == {"4711", "4712"}
    without_key = await opened(hass, cipher=PinCipher(hass))
    assert await without_key.live_pins() == frozenset()


async def test_diagnostics(ledger: Ledger) -> None:
    """Diagnostics are counts."""
    await issued(ledger, sealed_pin="sealed")
    await issued(ledger, status=KeyStatus.REVOKED)
    await ledger.begin(an_intent(a_record(ledger.new_key_id())))
    assert ledger.diagnostics() == {
        "keys": {"set": 1, "revoked": 1},
        "open_intents": {"issue": 1},
        "sealed_pins": 1,
        "files": 1,
        "unreadable": 0,
        "unwritten": 0,
        "unlogged": 0,
        "quarantined": False,
    }


# The audit log


async def test_line_of_its_own(hass: HomeAssistant, ledger: Ledger) -> None:
    """A line that belongs to no change is on disk when that is said, even in a new ledger."""
    line = a_line(None, "reveal")
    await ledger.log(line)
    again = await opened(hass)
    assert again.quarantine is None
    assert again.instance == ledger.instance
    assert await again.audit.query(EVERYTHING) == (line,)
    await again.log(line, line)
    assert len(await again.audit.query(EVERYTHING)) == 3


async def test_log_is_told_once(hass: HomeAssistant, ledger: Ledger) -> None:
    """However often Home Assistant starts, each thing was done once."""
    record = await issued(ledger)
    await ledger.update(record, a_line(record.key_id, "first_used"))
    for _ in range(3):
        again = await opened(hass)
        await again.update(record)
    assert await actions(again) == ["issue", "first_used"]
    assert await again.audit.query(AuditQuery(limit=1)) == (a_line(record.key_id, "first_used"),)


# Forgetting and pruning


@pytest.mark.parametrize("with_line", [True, False])
async def test_key_is_forgotten(hass: HomeAssistant, ledger: Ledger, *, with_line: bool) -> None:
    """Nothing is left of a forgotten key, its intent included, but what was done to it."""
    kept, gone = await issued(ledger), await issued(ledger)
    await ledger.begin(an_intent(gone, IntentKind.ROTATE))
    await ledger.forget(gone.key_id, a_line(gone.key_id, "forget") if with_line else None)
    for one in (ledger, await opened(hass)):
        assert state(one) == ({kept.key_id: kept}, {})
        assert one.get(gone.key_id) is None
        assert await actions(one, gone.key_id) == ["issue", *(["forget"] if with_line else [])]


async def test_wanted_key_is_forgotten(hass: HomeAssistant, ledger: Ledger) -> None:
    """An intent alone can be forgotten too, and what is not there may be."""
    record = a_record(ledger.new_key_id())
    await ledger.begin(an_intent(record))
    for _ in range(2):
        await ledger.forget(record.key_id)
        for one in (ledger, await opened(hass)):
            assert state(one) == ({}, {})


async def test_old_keys_are_dropped(hass: HomeAssistant, ledger: Ledger) -> None:
    """Only keys that ended before the retention and have nothing open are dropped."""
    old, recent = NOW - 40 * DAY, NOW - 20 * DAY
    ended = {"status": KeyStatus.REVOKED, "changed_at": old}
    dropped = [
        await issued(ledger, **ended),
        await issued(ledger, **ended, removed_at=old),
        await issued(ledger, status=KeyStatus.FAILED, changed_at=old),
    ]
    kept = [
        await issued(ledger, **ended, removed_at=recent),
        await issued(ledger, **ended | {"changed_at": recent}, removed_at=old),
        await issued(ledger, changed_at=old),
        await issued(ledger, status=KeyStatus.REMOVING, changed_at=old),
        await issued(ledger, **ended),
    ]
    intent = an_intent(kept[-1], IntentKind.REVOKE)
    await ledger.begin(intent)
    months = timedelta(days=730)
    assert await ledger.prune(NOW, records_after=30 * DAY, audit_after=months) == 3
    assert await ledger.prune(NOW, records_after=30 * DAY, audit_after=months) == 0
    for one in (ledger, await opened(hass)):
        assert one.records == {record.key_id: record for record in kept}
        assert one.intents == {kept[-1].key_id: intent}
        assert one.highest_number == 8
    for record in dropped:
        assert await actions(ledger, record.key_id) == ["issue"]


async def test_old_lines_do_not_come_back(hass: HomeAssistant, ledger: Ledger) -> None:
    """What was dropped from the audit log is not found in the keys' files and added again."""
    record = await issued(ledger)
    assert read_data(hass, "keys.0000")["lines"] != []
    await ledger.prune(NOW + 90 * DAY, records_after=DAY, audit_after=DAY)
    assert read_data(hass, "keys.0000")["lines"] == []
    again = await opened(hass)
    assert await again.audit.query(EVERYTHING) == ()
    assert again.records == {record.key_id: record}


# Many


async def test_many_at_once(hass: HomeAssistant, ledger: Ledger) -> None:
    """Keys that are made, changed and taken back at the same time do not mix."""

    async def stay(number: int) -> KeyRecord:
        record = await issued(ledger, label=str(number))
        await ledger.update(replace(record, first_used_at=NOW), a_line(record.key_id, "used"))
        revoke = an_intent(record, IntentKind.REVOKE)
        await ledger.begin(revoke)
        await ledger.log(a_line(record.key_id, "between"))
        if number % 3 == 0:
            return ledger.records[record.key_id]
        gone = replace(record, status=KeyStatus.REVOKED)
        await ledger.finish(revoke, gone, a_line(record.key_id, "revoke"))
        return gone

    stays = await asyncio.gather(*(stay(number) for number in range(40)))
    again = await opened(hass)
    assert again.records == ledger.records == {record.key_id: record for record in stays}
    assert sorted(again.intents) == sorted(key.key_id for key in stays[::3])
    assert sorted(key.label for key in stays) == sorted(map(str, range(40)))
    for number, record in enumerate(stays):
        told = ["issue", "used", "between", *(["revoke"] if number % 3 else [])]
        assert await actions(again, record.key_id) == told


async def test_ten_thousand_keys(hass: HomeAssistant) -> None:
    """A change in a large ledger touches the file of its key and the intents, and no other."""
    keys = [key_id_of("ab12", number) for number in range(1, 10_001)]
    shards: dict[int, Shard] = {}
    for key_id in keys:
        shard = shards.setdefault(number_of(key_id) // SHARD_SIZE, Shard(instance="ab12"))
        shard.records[key_id] = a_record(key_id)
    for number, shard in shards.items():
        write_data(hass, f"keys.{number:04}", shard_to_json(shard))
    head = {"instance": "ab12", "highest_number": 10_000, "highest_serial": 0, "intents": {}}
    write_data(hass, "intents", head | {"shards": sorted(shards)})

    ledger = await opened(hass)
    assert list(ledger.records) == keys
    before = contents(folder_of(hass))
    record = ledger.records[keys[5000]]
    revoke = an_intent(record, IntentKind.REVOKE)
    await ledger.begin(revoke)
    gone = replace(record, status=KeyStatus.REVOKED)
    await ledger.finish(revoke, gone, a_line(record.key_id, "revoke"))
    after = contents(folder_of(hass))
    assert {name for name in after if after[name] != before.get(name)} == {
        "audit.2026-10.jsonl",
        f"keys.{number_of(record.key_id) // SHARD_SIZE:04}",
        "intents",
    }
    assert max(map(len, after.values())) < 200_000
    assert (await opened(hass)).records == ledger.records


# Of a Home Assistant


async def test_one_ledger_for_each_site(hass: HomeAssistant) -> None:
    """However often a site is set up, its ledger is one object, and it is read once."""
    ledgers = await asyncio.gather(*(async_get_ledger(hass, SITE) for _ in range(3)))
    assert len(set(map(id, ledgers))) == 1
    record = await issued(ledgers[0])
    folder_of(hass).rename(folder_of(hass).with_name("aside"))
    again = await async_get_ledger(hass, SITE)
    assert again is ledgers[0]
    assert again.records == {record.key_id: record}
    assert await async_get_ledger(hass, SiteId("another")) is not again


async def test_ledger_that_was_not_read(hass: HomeAssistant) -> None:
    """A ledger that has not been read yet writes nothing over what may be there."""
    ledger = Ledger(hass, SITE, PinCipher(hass))
    with pytest.raises(StorageError):
        await ledger.begin(an_intent(a_record(ledger.new_key_id())))
    assert not folder_of(hass).exists()


async def test_files_can_be_read_by_a_person(hass: HomeAssistant, ledger: Ledger) -> None:
    """A file is JSON, and each key in it again."""
    record = await issued(ledger)
    keys = read_data(hass, "keys.0000")["keys"]
    assert json.loads(keys["1"])["label"] == record.label
    assert read_data(hass, "intents")["shards"] == [0]
