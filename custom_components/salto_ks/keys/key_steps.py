"""The steps that are taken at Salto for one key, from an intent on disk to a result on disk.

A step may be taken up again after a crash or a failure, with the intent that is still open. It
knows nothing of turns, of waiting and of other keys; that is the manager's part.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from ..api.exceptions import SaltoKsError
from ..const import LOGGER
from ..domain.ids import KeyId
from ..domain.intents import Intent, IntentKind
from ..domain.key_requests import By
from ..domain.keys import ENDED, KeyProblem, KeyRecord, KeyStatus, KeyWarning
from ..domain.observed import UNSEEN_FOR, may_be_unseen
from ..domain.pins import choose_pin
from ..storage import StorageError
from .audit_log import AuditLine
from .ledger import Ledger
from .news import KeyChangeKind, KeyNews, NewsKind, Tell
from .pin_cipher import PinCipher
from .provider import ChoosePin, KeyFailedError, KeyProvider

_STAYING: Final = frozenset({KeyProblem.PIN_LOST})
"""Errors that last until the PIN is another one."""

_OF_LIVE: Final = frozenset(
    {KeyWarning.EXPIRY_NOT_MOVED, KeyWarning.NOT_REMOVED, KeyWarning.MODIFIED_OUTSIDE}
)
"""Warnings that say nothing of a key that is gone."""


class _NotTheFirstUseError(Exception):
    """A door was opened with a PIN that has opened one before, or that the key has no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a step came to."""

    record: KeyRecord
    keypad_pin: str | None = field(default=None, repr=False)
    look_again_at: datetime | None = None
    """When to look once more for what a listing may have shown only by then."""


class KeySteps:
    """Takes the steps of a site's keys."""

    def __init__(
        self,
        ledger: Ledger,
        cipher: PinCipher,
        provider: KeyProvider,
        *,
        clock: Callable[[], datetime],
        random_below: Callable[[int], int],
        tell: Tell,
    ) -> None:
        """Write to `ledger`; `tell` is called once for each thing that is on disk."""
        self._ledger = ledger
        self._cipher = cipher
        self._provider = provider
        self._clock = clock
        self._random_below = random_below
        self._tell = tell
        self._promised: set[str] = set()
        self._untold: dict[KeyId, list[KeyNews]] = {}
        self._seat_refused_at: dict[KeyId, datetime] = {}

    async def carry_out(self, intent: Intent, *, again: bool = False) -> Done:
        """Bring an intent that is on disk to its result on disk.

        `again` says that it may have been begun before. Raises KeyFailedError for what is final:
        that is on disk as well, unless the intent is still open. Raises from `SaltoKsError` for
        what may work later; then the intent is open. Raises StorageError when the result is in
        memory only.
        """
        match intent.kind:
            case IntentKind.ISSUE:
                step = self._issue(intent, again=again)
            case IntentKind.REVOKE:
                step = self._revoke(intent, again=again)
            case IntentKind.CHANGE:
                step = self._change(intent, again=again)
            case IntentKind.RESTORE:
                step = self._restore(intent, again=again)
            case IntentKind.SUSPEND:
                step = self._suspend(intent)
            case IntentKind.RESUME:
                step = self._resume(intent)
            case IntentKind.ROTATE:
                step = self._rotate(intent, again=again)
        return await step

    async def give_up(self, intent: Intent, problem: KeyProblem) -> Intent:
        """Turn the intent to issue a key into one to remove what there may be of it.

        Raises StorageError; then the first intent is still open.
        """
        failed = self._failed(intent.record, problem)
        removal = replace(
            intent, kind=IntentKind.REVOKE, record=failed, started_at=failed.changed_at
        )
        await self._ledger.begin(removal)
        by = By(who=intent.who, reason=intent.reason)
        try:
            await self._ledger.log(
                self.line(failed, intent.kind.value, f"failed: {problem.value}", by)
            )
        except StorageError as err:
            LOGGER.warning("The failure of key %s is not in the audit log: %s", failed.key_id, err)
        self._tell(KeyNews(kind=NewsKind.FAILED, record=failed, problem=problem))
        return removal

    async def remove_spares(self, record: KeyRecord) -> int:
        """Remove what carries a key's marker and does not belong to it; return how much."""
        if record.status in ENDED or record.status is KeyStatus.REMOVING:
            await self._provider.remove(record.key_id, record)
            return 0
        return await self._provider.remove_spares(record)

    async def remove_unknown(self, key_id: KeyId) -> None:
        """Remove all that carries the marker of a key that the ledger does not know."""
        await self._provider.remove(key_id, None)

    async def forget(self, record: KeyRecord, by: By) -> None:
        """Drop a key from the ledger; nothing is changed at Salto. Raises StorageError."""
        await self._ledger.forget(record.key_id, self.line(record, "forget", "done", by))
        self._tell(KeyNews(kind=NewsKind.CHANGED, record=record, change=KeyChangeKind.FORGOTTEN))

    async def set_membership(self, record: KeyRecord, *, member: bool) -> None:
        """Have a key begin or stop to open doors, where we do that and not a schedule.

        A guest who stands before a closed door for that is told about, once. Raises KeyFailedError
        or from `SaltoKsError` where it did not work, StorageError where that is not on disk.
        """
        action = "join" if member else "leave"
        try:
            moved = await self._provider.set_membership(record, member=member)
        except KeyFailedError as err:
            await self._note_closed_door(record, action, err.problem)
            raise
        except SaltoKsError:
            if member:
                await self._note_closed_door(record, action, KeyProblem.UNREACHABLE)
            raise
        await self._ledger.amend(
            record.key_id,
            lambda now: replace(now, groups=moved.groups, errors=now.errors & _STAYING),
            self.line(moved, action, "done", By(who="")),
        )

    async def _note_closed_door(self, record: KeyRecord, action: str, problem: KeyProblem) -> None:
        """Keep that a key is not where its window wants it, unless that is known. StorageError."""
        if problem in record.errors:
            return
        noted = await self._ledger.amend(
            record.key_id,
            lambda now: replace(now, errors=now.errors & _STAYING | {problem}),
            self.line(record, action, f"failed: {problem.value}", By(who="")),
        )
        self._tell(KeyNews(kind=NewsKind.FAILED, record=noted, problem=problem))

    async def note_first_use(self, record: KeyRecord, at: datetime) -> None:
        """Keep that the PIN of a key has opened a door at this time, unless an older one has.

        Raises StorageError when that is in memory only.
        """

        def used(now: KeyRecord) -> KeyRecord:
            if now.proven or (now.pin_set_at is not None and at < now.pin_set_at):
                raise _NotTheFirstUseError
            return replace(now, first_used_at=at)

        line = self.line(record, "first_used", "done", By(who=""))
        try:
            noted = await self._ledger.amend(record.key_id, used, line)
        except _NotTheFirstUseError:
            return
        self._tell(KeyNews(kind=NewsKind.FIRST_USED, record=noted))

    async def confirm_removed(self, record: KeyRecord) -> None:
        """Note that no door knows a removed key any more."""
        revoked = await self._ledger.amend(
            record.key_id,
            lambda now: replace(now, status=KeyStatus.REVOKED, changed_at=self._clock()),
            self.line(record, "revoked", "no door knows it any more", By(who="")),
        )
        self._tell(KeyNews(kind=NewsKind.REVOKED, record=revoked))

    def tell_what_is_written(self) -> None:
        """Tell what could not be written when it happened, and is on disk by now."""
        for key_id in self._untold.keys() - self._ledger.unwritten:
            self._tell_all(key_id)

    def line(self, record: KeyRecord, action: str, outcome: str, by: By) -> AuditLine:
        """Write a line about a key for the audit log."""
        return AuditLine(
            at=self._clock(),
            action=action,
            outcome=outcome,
            key_id=record.key_id,
            salto_key_id=None if record.guest is None else record.guest.id,
            doors=tuple(sorted(record.doors)),
            starts_at=record.window.starts_at,
            ends_at=record.window.ends_at,
            who=by.who,
            reason=by.reason,
            booking_id=record.booking_id,
            unit_id=record.unit_id,
            on_removal=record.on_removal,
        )

    async def _issue(self, intent: Intent, *, again: bool) -> Done:
        """Issue a key.

        What there is of it from before goes: after the new one is there, so that a refusal leaves
        the old one in force, or first where another seat is not known to be free, or where an
        interrupted attempt has come so far that the old one is not whole any more. What that
        attempt has left goes before, as it may have the seat.
        """
        before = self._ledger.records.get(intent.key_id)
        is_whole = before is not None and not again
        try:
            if again and before is not None:
                is_whole = await self._provider.is_whole(before)
                await self._provider.remove_spares(before)
            is_beside = is_whole and await self._has_room()
        except KeyFailedError as err:
            if before is not None:
                after = before if is_whole else replace(before, status=KeyStatus.UNKNOWN)
                await self._note_failure(intent, after, err)
            raise
        is_anew = not is_beside and (again or before is not None)
        try:
            if is_anew:
                await self._provider.remove(intent.key_id, before)
            async with self._choosing(intent.record) as choose:
                issued = await self._provider.issue(intent.record, choose)
                is_tidy = not is_beside or await self._old_one_went(issued.record)
                now = self._clock()
                record = replace(
                    issued.record,
                    status=KeyStatus.SET,
                    errors=frozenset(),
                    sealed_pin=self._cipher.seal(issued.keypad_pin),
                    pin_set_at=now,
                    first_used_at=None,
                    changed_at=now,
                )
                kind = NewsKind.ISSUED if before is None else NewsKind.CHANGED
                change = None if before is None else KeyChangeKind.PIN
                await self._finish(intent, record, kind, change=change)
        except KeyFailedError as err:
            if is_beside and before is not None:
                await self._note_failure(intent, before, err)
            elif not (again and self._may_be_our_seat(intent.key_id, err.problem)):
                await self._end_failed_issue(intent, err, leftovers=is_anew)
            raise
        self._seat_refused_at.pop(intent.key_id, None)
        look_again = again or issued.leftovers or not is_tidy
        return Done(
            record=record,
            keypad_pin=issued.keypad_pin,
            look_again_at=now + UNSEEN_FOR if look_again else None,
        )

    async def _has_room(self) -> bool:
        """Tell whether a second guest of a key has a seat beside the first."""
        return bool((await self._provider.capabilities()).seats_free)

    async def _old_one_went(self, record: KeyRecord) -> bool:
        """Remove what a key that was issued anew had before; tell whether it is gone.

        A refusal is no failure of the new one, which is in force; it is tried again later.
        """
        try:
            await self._provider.remove_spares(record)
        except KeyFailedError as err:
            LOGGER.warning("The old guest of key %s is still at Salto: %s", record.key_id, err)
            return False
        return True

    def _may_be_our_seat(self, key_id: KeyId, problem: KeyProblem) -> bool:
        """Tell whether the seat may have gone to a guest of an earlier attempt, not listed yet."""
        if problem is not KeyProblem.SEAT_UNAVAILABLE:
            return False
        now = self._clock()
        if may_be_unseen(self._seat_refused_at.setdefault(key_id, now), now):
            return True
        del self._seat_refused_at[key_id]
        return False

    async def _end_failed_issue(
        self, intent: Intent, err: KeyFailedError, *, leftovers: bool
    ) -> None:
        """Keep why a key failed, and that something of it may still have to be removed."""
        try:
            if leftovers or err.leftovers:
                await self.give_up(intent, err.problem)
            else:
                failed = self._failed(intent.record, err.problem)
                await self._finish(intent, failed, NewsKind.FAILED, problem=err.problem)
        except StorageError as storage:
            LOGGER.error("The failure of key %s is not on disk: %s", intent.key_id, storage)

    async def _revoke(self, intent: Intent, *, again: bool) -> Done:
        """Remove a key. Of what an interrupted step has left some may be listed only later.

        One that never was issued to its end may have left something that is listed late, so it
        counts as removed only when nothing was found once `UNSEEN_FOR` had passed. Of one whose
        removal is refused some may be gone already, so nobody knows what is left. That is told
        once, and it is to be tried again; meanwhile it is to open nothing, if Salto allows that.
        """
        before = self._ledger.records.get(intent.key_id)
        try:
            await self._provider.remove(intent.key_id, before)
        except KeyFailedError as err:
            if before is not None:
                await self._take_effect(before)
                unknown = replace(
                    before,
                    status=KeyStatus.UNKNOWN,
                    by_hand=intent.record.by_hand,
                    warnings=before.warnings | {KeyWarning.NOT_REMOVED},
                )
                is_news = KeyWarning.NOT_REMOVED not in before.warnings
                await self._note_failure(intent, unknown, err, is_news=is_news)
            raise
        now = self._clock()
        if before is None:
            if may_be_unseen(intent.started_at, now):
                look_again_at = min(intent.started_at, now) + UNSEEN_FOR
                return Done(record=intent.record, look_again_at=look_again_at)
            gone = replace(intent.record, removed_at=now, changed_at=now)
            told = gone.status is KeyStatus.FAILED
            await self._finish(intent, gone, None if told else NewsKind.REVOKED)
        else:
            gone = replace(
                before,
                status=KeyStatus.REMOVING,
                by_hand=intent.record.by_hand,
                errors=intent.record.errors,
                warnings=before.warnings - _OF_LIVE,
                removed_at=now,
                changed_at=now,
            )
            await self._finish(intent, gone, NewsKind.CHANGED, change=KeyChangeKind.REMOVING)
            if again:
                return Done(record=gone, look_again_at=now + UNSEEN_FOR)
        return Done(record=gone)

    async def _take_effect(self, record: KeyRecord) -> None:
        """Take the effect of a key that cannot be removed, where that at least is possible."""
        if record.guest is None:
            return
        try:
            await self._provider.suspend(record)
        except (KeyFailedError, SaltoKsError) as err:
            LOGGER.debug("Key %s keeps its effect: %s", record.key_id, type(err).__name__)

    async def _change(self, intent: Intent, *, again: bool) -> Done:
        """Move window and doors of a key; its PIN stays.

        One of which nobody knows all, seat and groups among it, is brought to its record first.
        """
        before, wanted = self._ledger.records[intent.key_id], intent.record
        try:
            is_unknown = before.status is KeyStatus.UNKNOWN
            start = await self._provider.restore(before) if is_unknown else before
            moved = await self._provider.change(start, wanted)
            if again:
                await self._provider.remove_spares(moved)
        except KeyFailedError as err:
            back = await self._undone(before, self._back(before, wanted, again=again))
            await self._note_failure(intent, back, err)
            raise
        status = KeyStatus.SUSPENDED if before.status is KeyStatus.SUSPENDED else KeyStatus.SET
        changed = self._as_of_now(moved, status=status, errors=before.errors & _STAYING)
        await self._finish(intent, changed, NewsKind.CHANGED, change=_what_changed(before, changed))
        look_again = again or _has_new_groups(before, changed)
        look_again_at = changed.changed_at + UNSEEN_FOR if look_again else None
        return Done(record=changed, look_again_at=look_again_at)

    async def _restore(self, intent: Intent, *, again: bool) -> Done:
        """Bring Salto back to what the ledger says of a key.

        What is refused on the way leaves the key nearer to its record than it was.
        """
        before = self._ledger.records[intent.key_id]
        try:
            restored = await self._provider.restore(before)
            if again:
                await self._provider.remove_spares(restored)
        except KeyFailedError as err:
            await self._note_failure(intent, before, err)
            raise
        status = KeyStatus.SUSPENDED if before.status is KeyStatus.SUSPENDED else KeyStatus.SET
        record = self._as_of_now(restored, status=status, errors=before.errors & _STAYING)
        await self._finish(intent, record, NewsKind.CHANGED, change=KeyChangeKind.RESTORED)
        look_again = again or _has_new_groups(before, record)
        look_again_at = record.changed_at + UNSEEN_FOR if look_again else None
        return Done(record=record, look_again_at=look_again_at)

    async def adopt(self, record: KeyRecord, by: By) -> KeyRecord:
        """Take into the ledger what Salto has of a key; nothing is written there.

        It is no change at Salto, so the key is no younger for it; one that the ledger has never
        heard of is. Raises StorageError when that is in memory only.
        """
        line = self.line(record, "adopt", "done", by)
        if record.key_id in self._ledger.records:
            adopted = await self._ledger.amend(record.key_id, lambda _: record, line)
        else:
            await self._ledger.add(record, line)
            adopted = record
        self._tell(KeyNews(kind=NewsKind.CHANGED, record=adopted, change=KeyChangeKind.ADOPTED))
        return adopted

    async def _back(self, before: KeyRecord, wanted: KeyRecord, *, again: bool) -> KeyRecord:
        """Undo what a refused change has changed, and what an interrupted one has left."""
        doors = self._provider.zones(wanted.doors)
        halfway = replace(
            wanted,
            guest=before.guest,
            groups=tuple(
                replace(group, doors=doors.get(group.zone, group.doors)) for group in before.groups
            ),
        )
        back = await self._provider.change(halfway, before)
        if again:
            await self._provider.remove_spares(back)
        return back

    async def _undone(self, before: KeyRecord, undo: Awaitable[KeyRecord]) -> KeyRecord:
        """Return a key as it was before a refused step; one of which that fails is unknown to us."""
        try:
            return self._as_of_now(await undo)
        except KeyFailedError, SaltoKsError:
            return self._as_of_now(before, status=KeyStatus.UNKNOWN)

    async def _suspend(self, intent: Intent) -> Done:
        """Take a key's effect and seat; one that nobody knows all about stays unknown."""
        before = self._ledger.records[intent.key_id]
        try:
            record = await self._provider.suspend(before)
            record = replace(record, by_hand=intent.record.by_hand)
        except KeyFailedError as err:
            back = before
            if before.status is not KeyStatus.UNKNOWN:
                back = await self._undone(before, self._provider.resume(before))
            await self._note_failure(intent, back, err)
            raise
        if before.status is KeyStatus.UNKNOWN:
            suspended = self._as_of_now(record)
        else:
            suspended = self._as_of_now(
                record, status=KeyStatus.SUSPENDED, errors=before.errors & _STAYING
            )
        await self._finish(intent, suspended, NewsKind.CHANGED, change=KeyChangeKind.SUSPENDED)
        return Done(record=suspended)

    async def _resume(self, intent: Intent) -> Done:
        """Give a suspended key its effect back."""
        before = self._ledger.records[intent.key_id]
        try:
            record = await self._provider.resume(before)
            record = replace(record, by_hand=intent.record.by_hand)
        except KeyFailedError as err:
            back = await self._undone(before, self._provider.suspend(before))
            await self._note_failure(intent, back, err)
            raise
        resumed = self._as_of_now(record, status=KeyStatus.SET, errors=before.errors & _STAYING)
        await self._finish(intent, resumed, NewsKind.CHANGED, change=KeyChangeKind.RESUMED)
        return Done(record=resumed)

    async def _rotate(self, intent: Intent, *, again: bool) -> Done:
        """Replace a key's PIN. One that nobody has seen, because of a crash, is replaced again.

        Where that is refused, nobody knows which PIN counts: the one before may be dead.
        """
        before = self._ledger.records[intent.key_id]
        try:
            async with self._choosing(before) as choose:
                keypad_pin = await self._provider.rotate(before, choose)
                rotated = replace(
                    self._as_of_now(before, errors=before.errors - {KeyProblem.PIN_LOST}),
                    sealed_pin=self._cipher.seal(keypad_pin),
                    pin_set_at=self._clock(),
                    first_used_at=None,
                )
                await self._finish(intent, rotated, NewsKind.CHANGED, change=KeyChangeKind.PIN)
        except KeyFailedError as err:
            if not again and err.problem is not KeyProblem.PIN_LOST:
                await self._note_failure(intent, before, err)
                raise
            lost = KeyFailedError(KeyProblem.PIN_LOST, err.detail)
            await self._note_failure(intent, replace(before, sealed_pin=None), lost)
            raise lost from err
        return Done(record=rotated, keypad_pin=keypad_pin)

    async def _note_failure(
        self, intent: Intent, after: KeyRecord, err: KeyFailedError, *, is_news: bool = True
    ) -> None:
        """Keep that a step on a key was refused for good, and where that leaves the key."""
        failed = self._as_of_now(after, errors=after.errors & _STAYING | {err.problem})
        kind = NewsKind.FAILED if is_news else None
        try:
            await self._finish(intent, failed, kind, problem=err.problem)
        except StorageError as storage:
            LOGGER.error("The failure of key %s is not on disk: %s", intent.key_id, storage)

    async def _finish(
        self,
        intent: Intent,
        record: KeyRecord,
        kind: NewsKind | None,
        *,
        change: KeyChangeKind | None = None,
        problem: KeyProblem | None = None,
    ) -> None:
        """Keep the result of an intent, then tell of it. Raises StorageError."""
        outcome = "done" if problem is None else f"failed: {problem.value}"
        line = self.line(
            record, intent.kind.value, outcome, By(who=intent.who, reason=intent.reason)
        )
        news = None
        if kind is not None:
            news = KeyNews(kind=kind, record=record, change=change, problem=problem)
        try:
            await self._ledger.finish(intent, record, line)
        except StorageError:
            if news is not None:
                self._untold.setdefault(record.key_id, []).append(news)
            raise
        self._tell_all(record.key_id, news)

    def _tell_all(self, key_id: KeyId, news: KeyNews | None = None) -> None:
        """Tell what is on disk of a key: what had to wait for the disk first."""
        for one in (*self._untold.pop(key_id, ()), *([] if news is None else [news])):
            self._tell(one)

    def _as_of_now(self, record: KeyRecord, **changes: object) -> KeyRecord:
        """Return a record changed now, with what was noted of it while the step was taken."""
        known = self._ledger.records[record.key_id]
        kept = replace(record, first_used_at=known.first_used_at, changed_at=self._clock())
        return replace(kept, **changes)  # type: ignore[arg-type] # fields of a record

    def _failed(self, record: KeyRecord, problem: KeyProblem) -> KeyRecord:
        """Return a key of which nothing is to be left."""
        return replace(
            record,
            status=KeyStatus.FAILED,
            errors=frozenset({problem}),
            warnings=record.warnings - _OF_LIVE,
            guest=None,
            groups=(),
            sealed_pin=None,
            changed_at=self._clock(),
        )

    @asynccontextmanager
    async def _choosing(self, record: KeyRecord) -> AsyncIterator[ChoosePin | None]:
        """Give what chooses PINs that no live key has, nor one that is being issued beside this.

        None where the PIN is Salto's to choose.
        """
        length = record.pin_length
        if length is None:
            yield None
            return
        live = await self._ledger.live_pins()
        mine: set[str] = set()

        def choose() -> str:
            keypad_pin = choose_pin(length, live | self._promised, self._random_below)
            self._promised.add(keypad_pin)
            mine.add(keypad_pin)
            return keypad_pin

        try:
            yield choose
        finally:
            self._promised -= mine


def _has_new_groups(before: KeyRecord, after: KeyRecord) -> bool:
    """Tell whether groups were made, of which a lost answer may have left another one."""
    return not {group.id for group in after.groups} <= {group.id for group in before.groups}


def _what_changed(before: KeyRecord, after: KeyRecord) -> KeyChangeKind:
    """Name what a change has changed."""
    if before.window == after.window:
        return KeyChangeKind.DOORS
    return KeyChangeKind.WINDOW if before.doors == after.doors else KeyChangeKind.WINDOW_AND_DOORS
