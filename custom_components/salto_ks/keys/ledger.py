"""The record of a site's keys that outlives everything: never lose one, never double one.

On disk it is a folder for each site. One small file holds the intents; what a key came to is in
one of the files of `SHARD_SIZE` keys; what was done is in the audit log. Every file is replaced as
a whole or not at all, and each step is one file, so that a crash leaves one of few states:

- `begin`: the intent is in the file of intents, or it is not and nothing was begun.
- `finish`: one write puts the result, the end of the intent and the line for the audit log into
  the file of the key. Before it the intent is open, and after a start is looked into at Salto;
  after it the step is over. The intent that then still stands in the other file is known by its
  serial to be over, and is left out by the next load; a line that the audit log has not got yet
  is added to it by the next load, once.

A disk that fails leaves memory and disk like this:

- An intent that could not be written is not in memory either. Should the write have got further
  than was said, the next one takes it off the disk again; a start before that finds it, though
  nothing was begun.
- A result, a changed record or a removal that could not be written stays in memory and is
  written again with the next write, or by `flush`. Until then its key is in `unwritten`, and
  its intent is open.
- What is left to tidy after a result is on disk (the file of intents, the audit log) is done
  with the next write, and is no error.

What is not understood is never written over: a file that is damaged, missing or of a later
version puts the whole ledger into quarantine, in which every write raises StorageError. A single
record that is not understood is kept as it was found, and its key cannot be written.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
import secrets
import string
from types import MappingProxyType
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.util.hass_dict import HassKey

from ..api.models import SiteId
from ..const import DOMAIN, LOGGER
from ..domain.ids import (
    INSTANCE_LENGTH,
    BookingId,
    KeyId,
    PersonId,
    UnitId,
    instance_of,
    key_id as key_id_of,
    number_of,
)
from ..domain.intents import Intent
from ..domain.keys import KeyRecord
from ..domain.read_only import Hold
from ..storage import StorageError
from .audit_log import AuditLine, AuditLog, encode_line
from .ledger_codec import (
    FORMAT,
    FileFormat,
    Head,
    OpenIntent,
    Shard,
    encode_record,
    head_to_json,
    open_intent,
    shard_of,
    shard_to_json,
)
from .ledger_files import (
    Found,
    LedgerFiles,
    LedgerStore,
    Quarantine,
    read_ledger,
    remove_half_written,
)
from .pin_cipher import (
    CipherUnavailableError,
    PinCipher,
    PinUnreadableError,
    async_get_pin_cipher,
)

_INSTANCE_LETTERS: Final = string.ascii_lowercase + string.digits
_DIGITS: Final = 15
"""More than any number of a key has."""
_LEDGERS: Final[HassKey[dict[SiteId, Ledger]]] = HassKey(f"{DOMAIN}_ledgers")


class Ledger:
    """The keys of one site. What it gives away to read is never changed afterwards."""

    def __init__(
        self,
        hass: HomeAssistant,
        site_id: SiteId,
        cipher: PinCipher,
        *,
        file_format: FileFormat = FORMAT,
    ) -> None:
        """Start with nothing; `async_load` fills it."""
        self._hass = hass
        self._cipher = cipher
        self._format = file_format
        self._files = LedgerFiles.of(hass, site_id)
        self._one_at_a_time = asyncio.Lock()
        self._stores: dict[str, LedgerStore] = {}
        self._is_loaded = False
        self._highest = 0
        self._take(Found())
        self.audit = AuditLog(hass, self._files.folder)
        """What was done; to be read here, and written through the ledger."""

    async def async_load(self) -> None:
        """Read the files, unless that was done and went well.

        Does not raise: `quarantine` says what is wrong. Files in quarantine are read again by
        the next call, as somebody may have mended them.
        """
        await self._uncut(self._load())

    @property
    def instance(self) -> str:
        """Return what tells the keys of this ledger from those of others.

        It is made with the ledger and on disk with the first intent.
        """
        return self._instance

    @property
    def highest_number(self) -> int:
        """Return the highest number that a key of this ledger may have, wherever it is."""
        return self._highest

    @property
    def hold(self) -> Hold | None:
        """Return why nothing is to be done by itself, and since when; None while all is."""
        return self._hold

    @property
    def intents(self) -> Mapping[KeyId, Intent]:
        """Return what was begun and has no result on disk; at most one for each key."""
        return MappingProxyType({key_id: one.intent for key_id, one in self._open.items()})

    @property
    def records(self) -> Mapping[KeyId, KeyRecord]:
        """Return the keys that have a result."""
        return MappingProxyType(self._records)

    @property
    def unwritten(self) -> frozenset[KeyId]:
        """Return the keys of which disk knows less than memory."""
        return frozenset(self._unwritten)

    def get(self, key_id: KeyId) -> KeyRecord | None:
        """Return a key: as it is, or as it is wanted as long as it has no result."""
        if (record := self._records.get(key_id)) is not None:
            return record
        one = self._open.get(key_id)
        return one.intent.record if one else None

    def by_booking(self, booking_id: BookingId) -> tuple[KeyRecord, ...]:
        """Return the keys of a booking, those without a result too, in the order of numbers."""
        found = self._index.of_booking(booking_id)
        return self._in_order(found, lambda record: record.booking_id == booking_id)

    def by_unit(self, unit_id: UnitId) -> tuple[KeyRecord, ...]:
        """Return the keys of a unit, those without a result too, in the order of numbers."""
        found = self._index.of_unit(unit_id)
        return self._in_order(found, lambda record: record.unit_id == unit_id)

    def _in_order(
        self, found: frozenset[KeyId], is_one: Callable[[KeyRecord], bool]
    ) -> tuple[KeyRecord, ...]:
        """Return the keys that were found, with those like them that have no result yet."""
        wanted = {
            key_id
            for key_id, one in self._open.items()
            if key_id not in self._records and is_one(one.intent.record)
        }
        keys = (self.get(key_id) for key_id in sorted(wanted | found, key=number_of))
        return tuple(key for key in keys if key is not None)

    def by_person(self, person_id: PersonId) -> KeyRecord | None:
        """Return the key that the door log means by a person."""
        return self._recorded(self._index.of_person(person_id))

    async def live_pins(self) -> frozenset[str]:
        """Return the PINs of live keys; those that cannot be revealed are not among them."""
        sealed = [
            record.sealed_pin
            for record in self._records.values()
            if record.is_live and record.sealed_pin is not None
        ]
        return await self._hass.async_add_executor_job(_unsealed, self._cipher, sealed)

    def diagnostics(self) -> dict[str, Any]:
        """Return how much there is of everything; counts only."""
        return {
            "keys": dict(Counter(record.status.value for record in self._records.values())),
            "open_intents": dict(Counter(one.intent.kind.value for one in self._open.values())),
            "sealed_pins": sum(record.sealed_pin is not None for record in self._records.values()),
            "files": len(self._listed),
            "unreadable": len(self.unreadable),
            "unwritten": len(self._unwritten),
            "unlogged": sum(len(shard.lines) for shard in self._shards.values()),
            "quarantined": self.quarantine is not None,
        }

    def new_key_id(self) -> KeyId:
        """Return the id of a key that is to be made; no other call returns the same.

        Its number is on disk with the intent. One that was never begun leaves a gap, or is
        given to another key after the next start.
        """
        self._highest += 1
        return key_id_of(self._instance, self._highest)

    async def begin(self, intent: Intent) -> None:
        """Write an intent down; when this returns, it is on disk.

        An intent that is open for the same key is replaced. Raises StorageError, and then the
        intent does not exist; ValueError for a key that has no number here, or what is no text.
        """
        await self._uncut(self._begin(intent))

    async def finish(self, intent: Intent, record: KeyRecord, line: AuditLine) -> None:
        """Keep what an intent came to, and end it, in one write.

        An intent that has replaced this one stays open. A key that has ended loses its PIN.
        Raises StorageError when the result is in memory only; it is then written with the next
        write, and the intent is open until it is. Raises ValueError for a record of another
        key, or what is no text.
        """
        if record.key_id != intent.key_id:
            raise ValueError("the result of another key")
        await self._uncut(self._finish(intent, record, line))

    async def update(self, record: KeyRecord, line: AuditLine | None = None) -> None:
        """Replace the record of a key without an intent: see `amend`."""
        await self.amend(record.key_id, lambda _: record, line)

    async def amend(
        self,
        key_id: KeyId,
        change: Callable[[KeyRecord], KeyRecord],
        line: AuditLine | None = None,
    ) -> KeyRecord:
        """Change the record of a key as it then is, and return it.

        Raises StorageError when the change is in memory only; it is then written with the next
        write. Raises KeyError for a key without a record; ValueError as `finish` does.
        """
        return await self._uncut(self._amend(key_id, change, line))

    async def add(self, record: KeyRecord, line: AuditLine) -> None:
        """Take in a key that was found at Salto, of which nothing was known here.

        Raises StorageError when it is in memory only; it is then written with the next write.
        Raises ValueError for a key that has no number here, or what is no text.
        """
        await self._uncut(self._add(record, line))

    async def set_hold(self, hold: Hold | None, line: AuditLine) -> None:
        """Keep why nothing is to be done by itself, or that all is again.

        Raises StorageError when that is in memory only; it is then written with the next intent.
        """
        self._hold = hold
        await self._uncut(self._write_down(line))

    async def log(self, *lines: AuditLine) -> None:
        """Add lines that belong to no change to the audit log.

        Raises StorageError when they are not on disk, and then forgets them; ValueError for
        what is no text.
        """
        await self._uncut(self._log(lines))

    async def forget(self, key_id: KeyId, line: AuditLine | None = None) -> None:
        """Drop all that is known of a key, be it readable or not; its number stays taken.

        Raises StorageError when that is not on disk. Then either nothing has changed, or the
        key is gone from memory and goes from the disk with the next write.
        """
        await self._uncut(self._forget(key_id, line))

    async def skip_to(self, number: int) -> None:
        """Give new keys higher numbers than this one, which was seen at Salto.

        Raises StorageError when that is in memory only.
        """
        self._highest = max(self._highest, number)
        await self._uncut(self._write_down())

    async def flush(self) -> None:
        """Write what could not be written before. Raises StorageError when it still cannot."""
        await self._uncut(self._flush())

    async def prune(
        self, now: datetime, *, records_after: timedelta, audit_after: timedelta
    ) -> int:
        """Drop keys that ended so long ago, and months of the audit log; return how many keys.

        Raises StorageError when not all of it is gone from the disk; it goes another time.
        """
        return await self._uncut(self._prune(now - records_after, now, audit_after))

    async def _load(self) -> None:
        async with self._one_at_a_time:
            if self._is_loaded and self.quarantine is None:
                return
            found = await self._hass.async_add_executor_job(read_ledger, self._files, self._format)
            self._take(found)
            self._is_loaded = True
            if self.quarantine is not None:
                LOGGER.error(
                    "The ledger %s is left as it is and not written to: %s is %s",
                    self._files.folder,
                    self.quarantine.file,
                    self.quarantine.fault.value,
                )
                return
            if self.unreadable:
                LOGGER.error(
                    "Keys of the ledger %s that cannot be read, and are kept as they are: %s",
                    self._files.folder,
                    ", ".join(map(str, sorted(self.unreadable))),
                )
            try:
                await self._hass.async_add_executor_job(remove_half_written, self._files)
            except OSError as err:
                LOGGER.warning("Half written files of the ledger are still there: %s", err)
            await self._try_to_tidy()

    def _take(self, found: Found) -> None:
        """Go on from what was found on disk."""
        instances = [shard.instance for shard in found.shards.values()]
        head = found.head or Head(instance=next(iter(instances), _new_instance()))
        self._is_on_disk = found.head is not None
        self._instance = head.instance
        self._hold = head.hold
        used = (serial for shard in found.shards.values() for serial in shard.finished.values())
        self._serial = max((head.highest_serial, *used))
        self._unreadable_intents = head.unreadable
        self._listed = head.shards | found.shards.keys()
        self._shards = found.shards
        self._records = found.records
        self._index = found.index
        self._open = {
            key_id: one
            for key_id, one in head.intents.items()
            if not _is_finished(found.shards, key_id, one)
        }
        names = [
            *head.unreadable,
            *(name for shard in found.shards.values() for name in shard.unreadable),
        ]
        self.unreadable = frozenset(int(name) for name in names if _is_number(name))
        """Numbers of keys of which the record or the intent makes no sense to this version."""
        known = (number_of(key_id) for key_id in (*self._records, *head.intents))
        self._highest = max((head.highest_number, *known, *self.unreadable))
        self._head_is_behind = len(self._open) != len(head.intents)
        self._log_is_uncertain = True
        self._dirty: set[int] = set()
        self._unwritten: set[KeyId] = set()
        self._settled: set[int] = set()
        self.quarantine: Quarantine | None = found.quarantine
        """Why nothing is written; what could be read is there all the same."""

    def _recorded(self, key_id: KeyId | None) -> KeyRecord | None:
        return None if key_id is None else self._records.get(key_id)

    async def _uncut[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Do work to its end though the caller is cancelled: a write goes on in its thread anyway.

        Were the next one begun meanwhile, the older could end up on disk.
        """
        task = self._hass.async_create_task(work, "salto_ks ledger")
        task.add_done_callback(_seen)
        await asyncio.wait({task})
        return task.result()

    async def _begin(self, intent: Intent) -> None:
        async with self._one_at_a_time:
            self._check_key(intent.key_id)
            one = open_intent(intent, self._serial + 1)
            self._serial += 1
            await self._write_shards()
            await self._write_head({**self._open, intent.key_id: one}, self._unreadable_intents)
            await self._try_to_tidy()

    async def _finish(self, intent: Intent, record: KeyRecord, line: AuditLine) -> None:
        async with self._one_at_a_time:
            self._check_key(record.key_id)
            shard = self._put(record, line)
            one = self._open.get(record.key_id)
            if one is not None and one.intent == intent:
                shard.finished[record.key_id] = one.serial
            await self._write(record.key_id)

    async def _add(self, record: KeyRecord, line: AuditLine) -> None:
        async with self._one_at_a_time:
            self._check_key(record.key_id)
            self._put(record, line)
            await self._write(record.key_id)

    async def _amend(
        self, key_id: KeyId, change: Callable[[KeyRecord], KeyRecord], line: AuditLine | None
    ) -> KeyRecord:
        async with self._one_at_a_time:
            self._check_key(key_id)
            record = change(self._records[key_id])
            if record.key_id != key_id:
                raise ValueError("the record of another key")
            self._put(record, line)
            await self._write(key_id)
            return self._records[key_id]

    async def _log(self, lines: tuple[AuditLine, ...]) -> None:
        async with self._one_at_a_time:
            self._check_writable()
            if not self._is_on_disk:
                await self._write_head(self._open, self._unreadable_intents)
            await self.audit.append(*lines)

    async def _forget(self, key_id: KeyId, line: AuditLine | None) -> None:
        async with self._one_at_a_time:
            self._check_writable()
            self._check_own(key_id)
            if line is not None:
                encode_line(line)
            name = str(number_of(key_id))
            if key_id in self._open or name in self._unreadable_intents:
                await self._write_head(
                    {other: one for other, one in self._open.items() if other != key_id},
                    {
                        other: one
                        for other, one in self._unreadable_intents.items()
                        if other != name
                    },
                )
            shard = self._drop(key_id)
            shard.unreadable.pop(name, None)
            shard.finished.pop(key_id, None)
            self.unreadable -= {number_of(key_id)}
            if line is not None:
                shard.lines.append(line)
            await self._write(key_id)

    async def _write_down(self, *lines: AuditLine) -> None:
        """Write the file of intents for what else is in it, and lines to the audit log."""
        async with self._one_at_a_time:
            self._check_writable()
            await self._write_head(self._open, self._unreadable_intents)
            await self.audit.append(*lines)

    async def _flush(self) -> None:
        async with self._one_at_a_time:
            self._check_writable()
            failures = await self._write_shards()
            await self._tidy()
            for failure in failures.values():
                raise failure

    async def _prune(self, ended_before: datetime, now: datetime, audit_after: timedelta) -> int:
        async with self._one_at_a_time:
            self._check_writable()
            ended = [
                record.key_id
                for record in self._records.values()
                if not record.is_live
                and record.key_id not in self._open
                and max(record.changed_at, record.removed_at or record.changed_at) < ended_before
            ]
            for key_id in ended:
                self._drop(key_id)
            self._dirty |= self._settled
            failures = await self._write_shards()
            await self._tidy()
            await self.audit.prune(now, audit_after)
            for failure in failures.values():
                raise failure
            return len(ended)

    def _check_writable(self) -> None:
        """Raise StorageError for a ledger that is not written to."""
        if not self._is_loaded:
            raise StorageError("the ledger has not been read yet")
        if self.quarantine is not None:
            raise StorageError(f"the ledger is left as it is, because of {self.quarantine.file}")

    def _check_own(self, key_id: KeyId) -> None:
        """Raise ValueError for a key that did not get its id here."""
        if instance_of(key_id) != self._instance or number_of(key_id) > self._highest:
            raise ValueError("a key of another ledger")

    def _check_key(self, key_id: KeyId) -> None:
        """Make sure that something may be written about a key."""
        self._check_writable()
        self._check_own(key_id)
        if number_of(key_id) in self.unreadable:
            raise StorageError(f"key {number_of(key_id)} of the ledger cannot be read")

    def _put(self, record: KeyRecord, line: AuditLine | None) -> Shard:
        """Keep a record in memory, if it can be written at all; return its part of the ledger."""
        if not record.is_live:
            record = replace(record, sealed_pin=None)
        encode_record(record)
        if line is not None:
            encode_line(line)
        shard = self._touch(record.key_id)
        if line is not None:
            shard.lines.append(line)
        if (before := self._records.get(record.key_id)) is not None:
            self._index.remove(before)
        self._index.add(record)
        shard.records[record.key_id] = record
        self._records = {**self._records, record.key_id: record}
        return shard

    def _drop(self, key_id: KeyId) -> Shard:
        """Forget a key in memory; return its part of the ledger."""
        shard = self._touch(key_id)
        if (record := shard.records.pop(key_id, None)) is not None:
            self._index.remove(record)
            shard.carried.pop(key_id, None)
            self._records = {
                other: kept for other, kept in self._records.items() if other != key_id
            }
        return shard

    def _touch(self, key_id: KeyId) -> Shard:
        """Note that a key has to be written; return its part of the ledger."""
        number = shard_of(key_id)
        self._dirty.add(number)
        self._unwritten.add(key_id)
        return self._shards.setdefault(number, Shard(instance=self._instance))

    async def _write(self, key_id: KeyId) -> None:
        """Write a key and what else is to be written. Raises StorageError for the key alone."""
        failures = await self._write_shards()
        await self._try_to_tidy()
        if (failure := failures.get(shard_of(key_id))) is not None:
            raise failure

    async def _write_shards(self) -> dict[int, StorageError]:
        """Write the keys that have to be, and end the intents of which the results are on disk.

        Return what could not be written; it has to be still.
        """
        failures: dict[int, StorageError] = {}
        for number in sorted(self._dirty):
            shard = self._shards[number]
            try:
                await self._store(self._files.shard_key(number)).async_save_now(
                    shard_to_json(shard)
                )
            except StorageError as err:
                failures[number] = err
                continue
            self._dirty.discard(number)
            self._settled.discard(number)
            self._unwritten = {key for key in self._unwritten if shard_of(key) != number}
            still_open = {
                key_id: one
                for key_id, one in self._open.items()
                if shard.finished.get(key_id) != one.serial
            }
            self._head_is_behind |= len(still_open) < len(self._open) or number not in self._listed
            self._open = still_open
            self._listed.add(number)
        return failures

    async def _write_head(
        self, open_intents: dict[KeyId, OpenIntent], unreadable: dict[str, Any]
    ) -> None:
        """Write the file of intents, and have it so in memory once it is. Raises StorageError."""
        head = Head(
            instance=self._instance,
            highest_number=self._highest,
            highest_serial=self._serial,
            shards=self._listed,
            intents=open_intents,
            unreadable=unreadable,
            hold=self._hold,
        )
        self._head_is_behind = True
        await self._store(self._files.head_key).async_save_now(head_to_json(head))
        self._head_is_behind = False
        self._is_on_disk = True
        self._open, self._unreadable_intents = open_intents, unreadable
        for number in self._shards.keys() - self._dirty:
            self._shards[number].finished.clear()

    async def _tidy(self) -> None:
        """Do what is left to do once the keys are on disk. Raises StorageError."""
        if self._head_is_behind:
            await self._write_head(self._open, self._unreadable_intents)
        written = [
            number
            for number, shard in self._shards.items()
            if shard.lines and number not in self._dirty
        ]
        if written:
            lines = [line for number in written for line in self._shards[number].lines]
            only_missing, self._log_is_uncertain = self._log_is_uncertain, True
            await self.audit.append(*lines, only_missing=only_missing)
            self._log_is_uncertain = False
            for number in written:
                self._shards[number].lines.clear()
            self._settled.update(written)

    async def _try_to_tidy(self) -> None:
        """Tidy; what cannot be done now is done with the next write."""
        try:
            await self._tidy()
        except StorageError as err:
            LOGGER.warning("The ledger is tidied later: %s", err)

    def _store(self, key: str) -> LedgerStore:
        """Return what writes a file."""
        if (store := self._stores.get(key)) is None:
            store = LedgerStore(self._hass, self._files, key=key, file_format=self._format)
            self._stores[key] = store
        return store


async def async_get_ledger(hass: HomeAssistant, site_id: SiteId) -> Ledger:
    """Return the ledger of a site, read from disk; the same one at each call."""
    cipher = await async_get_pin_cipher(hass)
    ledgers = hass.data.setdefault(_LEDGERS, {})
    if (ledger := ledgers.get(site_id)) is None:
        ledger = ledgers[site_id] = Ledger(hass, site_id, cipher)
    await ledger.async_load()
    return ledger


def _seen(task: asyncio.Task[Any]) -> None:
    """Take an outcome as seen, as the caller may be gone; what was not written says so itself."""
    if not task.cancelled():
        task.exception()


def _new_instance() -> str:
    return "".join(secrets.choice(_INSTANCE_LETTERS) for _ in range(INSTANCE_LENGTH))


def _is_finished(shards: Mapping[int, Shard], key_id: KeyId, one: OpenIntent) -> bool:
    """Tell whether the result of an intent is on disk."""
    shard = shards.get(shard_of(key_id))
    return shard is not None and shard.finished.get(key_id) == one.serial


def _unsealed(cipher: PinCipher, sealed: Iterable[str]) -> frozenset[str]:
    """Reveal what can be revealed."""
    pins = set()
    for one in sealed:
        with suppress(CipherUnavailableError, PinUnreadableError):
            pins.add(cipher.unseal(one))
    return frozenset(pins)


def _is_number(name: str) -> bool:
    """Tell whether something is named as a key is."""
    return name.isascii() and name.isdecimal() and len(name) <= _DIGITS
