"""The key manager: the only one that changes keys at Salto.

Whatever is asked for runs in a task of the manager's own: who asked may be cancelled, the work
goes on. One thing at a time is done to a key, a few at once at a site, the most urgent first.
What Salto does not answer is tried again, later and later, until it is done or refused for good;
what a crash has interrupted is found by its intent and carried on, or taken back.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
import time
from typing import Any, Final
from weakref import WeakValueDictionary

from ..api.counting import requests_counted
from ..api.exceptions import SaltoKsAuthError, SaltoKsError
from ..const import LOGGER
from ..domain.ids import BookingId, DoorId, KeyId, PersonId, number_of
from ..domain.intents import Intent, IntentKind
from ..domain.key_requests import (
    By,
    DoorFacts,
    KeyChange,
    KeyRefusal,
    KeyRefusedError,
    KeyRequest,
    check_doors,
    check_pin_length,
    checked_window,
    gives_more,
    same_key,
    warnings_of,
)
from ..domain.keys import KeyProblem, KeyRecord, KeyStatus
from ..domain.observed import UNSEEN_FOR
from ..domain.plan import Finding, Plan, Remedy, highest_number_of, plan, to_confirm
from ..domain.upkeep import Chore, chore_of, delay_after, is_worth_completing, status_of
from ..domain.windows import AccessWindow
from ..storage import StorageError
from .audit_log import AuditLine, AuditQuery
from .key_steps import Done, KeySteps
from .ledger import Ledger
from .news import Tell
from .pin_cipher import PinCipher, PinUnreadableError
from .provider import KeyFailedError, KeyProvider
from .urgent_turns import UrgentTurns

AT_ONCE: Final = 16
"""Keys that are worked on at the same time. Most of a step is a minute of waiting for Salto to
settle; so many are needed to make what the rate of writes allows of an hour."""

AFTER_REFUSAL: Final = timedelta(hours=1)
"""How long something that Salto refused for good, and that has to be done, is left alone."""

WHILE_INACTIVE: Final = timedelta(minutes=1)

RECORDS_KEPT: Final = timedelta(days=90)
"""How long a key that has ended is still listed; the audit log remembers it for longer."""

PRUNED_EVERY: Final = timedelta(days=1)

WINDOW_IS_OVER: Final = By(who="", reason="the window is over")

GRACE: Final = 10.0
"""Seconds that work under way gets to end when the site is unloaded."""

_GIVES_ACCESS: Final = frozenset({IntentKind.ISSUE, IntentKind.RESUME, IntentKind.ROTATE})

type Spawn = Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]


class KeyPendingError(Exception):
    """Salto did not answer; what was asked for is written down and will be tried again."""

    def __init__(self, key_id: KeyId, cause: SaltoKsError) -> None:
        """Remember which key, and what went wrong."""
        super().__init__(f"{key_id}: {cause}")
        self.key_id = key_id
        self.cause = cause


class KeyGivenUpError(Exception):
    """Salto did not answer, and no key was issued; what may be there of it is taken back."""

    def __init__(self, key_id: KeyId, cause: SaltoKsError) -> None:
        """Remember which key, and what went wrong."""
        super().__init__(f"{key_id}: {cause}")
        self.key_id = key_id
        self.cause = cause


_PASSING = (KeyFailedError, KeyGivenUpError, KeyPendingError, KeyRefusedError, SaltoKsError)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRules:
    """What a person has chosen about keys."""

    forget_pins: bool = False
    """Whether a PIN is dropped once it was handed out."""
    audit_kept: timedelta = timedelta(days=730)


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOut:
    """A key with its PIN, for whoever asked."""

    record: KeyRecord
    keypad_pin: str | None = field(repr=False)
    """None when it was forgotten after it had been handed out before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A comparison of the ledger with Salto."""

    at: datetime
    plan: Plan
    repaired: frozenset[Finding]
    """Findings of which the remedy was applied."""
    requests: int
    seconds: float

    @property
    def discrepancies(self) -> tuple[Finding, ...]:
        """Return what is left that a person should know about."""
        return tuple(one for one in self.plan.discrepancies if one not in self.repaired)


class KeyManager:
    """The keys of one site."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        cipher: PinCipher,
        provider: KeyProvider,
        facts: Callable[[DoorId], DoorFacts | None],
        is_active: Callable[[], bool],
        clock: Callable[[], datetime],
        spawn: Spawn,
        jitter: Callable[[], float],
        random_below: Callable[[int], int],
        rules: KeyRules,
        tell: Tell,
        on_login_refused: Callable[[], None],
        on_pass: Callable[[Pass], None],
    ) -> None:
        """Work on `ledger` through `provider`.

        `facts` tells what is known of a door; `tell` is called with all news; `spawn` runs a task
        that nobody waits for; `on_login_refused` is called when credentials have to be renewed.
        """
        self._ledger = ledger
        self._cipher = cipher
        self._provider = provider
        self._facts = facts
        self._is_active = is_active
        self._clock = clock
        self._spawn = spawn
        self._jitter = jitter
        self._rules = rules
        self._on_login_refused = on_login_refused
        self._on_pass = on_pass
        self._steps = KeySteps(
            ledger, cipher, provider, clock=clock, random_below=random_below, tell=tell
        )
        self._turns = UrgentTurns(AT_ONCE)
        self._one_pass = asyncio.Lock()
        self._keys: WeakValueDictionary[KeyId, asyncio.Lock] = WeakValueDictionary()
        self._bookings: WeakValueDictionary[BookingId, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[Any]] = set()
        self._failures: dict[KeyId, int] = {}
        self._not_before: dict[KeyId, datetime] = {}
        self._late: dict[KeyId, datetime] = {}
        self._pruned_at: datetime | None = None
        self._closed = False
        self._was_behind = False
        self._numbers_known = False
        self.last_pass: Pass | None = None
        """The last comparison with Salto since the start."""

    # Reading

    def view(self, record: KeyRecord) -> KeyRecord:
        """Return a key as people should see it: with what is under way, and how its doors are."""
        return self._view(record, self._ledger.intents)

    def keys(
        self,
        *,
        statuses: Collection[KeyStatus] = (),
        booking_id: BookingId | None = None,
    ) -> tuple[KeyRecord, ...]:
        """Return keys, those on their way among them, newest first; nothing given means all."""
        ledger, intents = self._ledger, self._ledger.intents
        if booking_id is not None:
            found = list(ledger.by_booking(booking_id))
        else:
            waiting = (
                intent.record for key_id, intent in intents.items() if key_id not in ledger.records
            )
            found = [*ledger.records.values(), *waiting]
        chosen = [
            record
            for record in found
            if not statuses or status_of(record, intents.get(record.key_id)) in statuses
        ]
        chosen.sort(key=lambda key: number_of(key.key_id), reverse=True)
        return tuple(self._view(record, intents) for record in chosen)

    def get(self, key_id: KeyId) -> KeyRecord | None:
        """Return one key as people should see it."""
        record = self._ledger.get(key_id)
        return None if record is None else self.view(record)

    def _view(self, record: KeyRecord, intents: Mapping[KeyId, Intent]) -> KeyRecord:
        warnings = record.warnings
        if record.is_live:
            warnings = warnings_of(record, self._facts_of(record.doors))
        status = status_of(record, intents.get(record.key_id))
        return replace(record, status=status, warnings=warnings)

    async def audit(self, query: AuditQuery) -> tuple[AuditLine, ...]:
        """Return lines of the audit log, newest first. Raises StorageError."""
        return await self._ledger.audit.query(query)

    # What people and automations ask for

    async def issue(self, request: KeyRequest, by: By) -> HandedOut:
        """Issue a key, or return the one that the booking has for these doors and this window.

        Raises KeyRefusedError before anything is sent; KeyFailedError when Salto refuses;
        KeyPendingError when a booking's key could not be issued yet and is tried again;
        KeyGivenUpError where no key came of it; StorageError.
        """
        return await self._handed_over(await self._own(self._issue(request, by), "issue a key"))

    async def make(self, request: KeyRequest, by: By) -> KeyRecord:
        """Issue a key whose PIN somebody will ask for later. Raises as `issue` does."""
        return (await self._own(self._issue(request, by), "issue a key")).record

    async def change(self, key_id: KeyId, change: KeyChange, by: By) -> KeyRecord:
        """Move window or doors of a key; its PIN stays. Raises as `issue` does."""
        return await self._own(self._change(key_id, change, by), "change a key")

    async def revoke(self, key_id: KeyId, by: By) -> KeyRecord:
        """Take a key back. It is `removing` until no door knows it. Raises as `issue` does."""
        return await self._own(self._revoke(key_id, by), "revoke a key")

    async def suspend(self, key_id: KeyId, by: By) -> KeyRecord:
        """Take a key's effect and seat, and keep the rest. Raises as `issue` does."""
        return await self._own(
            self._switch(key_id, IntentKind.SUSPEND, KeyStatus.SUSPENDED, by), "suspend a key"
        )

    async def resume(self, key_id: KeyId, by: By) -> KeyRecord:
        """Give a suspended key its effect back. Raises as `issue` does."""
        return await self._own(
            self._switch(key_id, IntentKind.RESUME, KeyStatus.SET, by), "resume a key"
        )

    async def rotate(self, key_id: KeyId, by: By) -> HandedOut:
        """Replace a key's PIN; the old one is dead. Raises as `issue` does."""
        return await self._handed_over(await self._own(self._rotate(key_id, by), "rotate a PIN"))

    async def reveal(self, key_id: KeyId, by: By) -> HandedOut:
        """Return the PIN of a key, once the audit log has it that somebody asked.

        Raises KeyRefusedError where it is not kept; else as `issue` does.
        """
        return await self._handed_over(await self._own(self._reveal(key_id, by), "reveal a PIN"))

    async def reissue(self, key_id: KeyId, by: By) -> HandedOut:
        """Issue a key anew: another guest and another PIN. Raises as `issue` does."""
        return await self._handed_over(
            await self._own(self._reissue(key_id, by), "issue a key anew")
        )

    async def note_use(self, person_id: PersonId, at: datetime) -> None:
        """Take note that the guest of a key has opened a door with its PIN at this time."""
        record = self._ledger.by_person(person_id)
        if record is None:
            return
        try:
            await self._steps.note_first_use(record, at)
        except StorageError as err:
            LOGGER.warning("The first use of a key is not on disk: %s", err)

    async def reconcile(self, *, dry_run: bool) -> Pass:
        """Compare the ledger with Salto, and do what the plan says unless it is a dry run.

        Once a key of ours was seen that the ledger does not know, as after a restored backup,
        nothing is done any more until the next start but to report.

        Raises KeyFailedError, from `SaltoKsError`, KeyRefusedError, or StorageError.
        """
        return await self._own(self._reconcile(dry_run=dry_run), "reconcile")

    # What time asks for

    async def tick(self) -> None:
        """Start whatever is due; to be called every few seconds."""
        if self._closed or self._ledger.quarantine is not None:
            return
        now = self._clock()
        await self._write_what_is_left()
        open_keys = self._ledger.intents.keys()
        for key_id in open_keys - self._ledger.unwritten:
            if self._is_due(key_id, now) and not self._is_unreadable(key_id):
                self._start(key_id, self._take_up(key_id))
        late = {key_id for key_id, at in self._late.items() if at <= now}
        facts = cache(self._facts)
        for key_id, record in self._ledger.records.items():
            chore = self._chore(record, now, facts)
            if (chore is None and key_id not in late) or key_id in open_keys:
                continue
            if not self._is_due(key_id, now):
                continue
            if chore is not None:
                self._start(key_id, self._do(chore, key_id))
            else:
                self._start(key_id, self._look_for_spares(key_id))
        await self._prune(now)

    async def close(self, grace: float = GRACE) -> None:
        """Begin nothing more, and let what is under way end, or cut it off after a while.

        Whatever is cut off has its intent on disk, and is taken up by the next start.
        """
        self._closed = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    def diagnostics(self) -> dict[str, Any]:
        """Return how much is under way; counts only."""
        last = self.last_pass
        return {
            "ledger": self._ledger.diagnostics(),
            "pins_available": self._cipher.is_available,
            "under_way": len(self._running),
            "waiting_to_try_again": len(self._failures),
            "last_pass": None
            if last is None
            else {
                "at": last.at.isoformat(),
                "outcomes": [finding.outcome.value for finding in last.plan.findings],
                "discrepancies": len(last.discrepancies),
                "unmanaged": last.plan.unmanaged,
                "foreign": last.plan.foreign,
                "requests": last.requests,
                "seconds": round(last.seconds, 3),
            },
        }

    # Asked for

    async def _issue(self, request: KeyRequest, by: By) -> HandedOut:
        async with self._gate(request.booking_id):
            self._check_ledger()
            now = self._clock()
            window = checked_window(request.starts_at, request.ends_at, now)
            check_doors(request.doors, self._facts_of(request.doors))
            check_pin_length(request.pin_length)
            if (known := self._known(request, window)) is not None:
                handed = await self._again(known.key_id)
                if self._known(request, window) is not None:
                    return handed
            self._check_active()
            await self._check_capabilities(request.pin_length)
            await self._learn_numbers()
            record = KeyRecord(
                key_id=self._ledger.new_key_id(),
                doors=request.doors,
                window=window,
                status=KeyStatus.SETTING,
                strategy=request.strategy,
                booking_id=request.booking_id,
                unit_id=request.unit_id,
                on_removal=request.on_removal,
                label=request.label,
                pin_length=request.pin_length,
                created_at=now,
                changed_at=now,
            )
            async with self._lock(record.key_id):
                done = await self._begin_and_carry_out(IntentKind.ISSUE, record, by)
        return self._hand_out(done.record, done.keypad_pin)

    async def _learn_numbers(self) -> None:
        """Look once after a start for numbers that are taken at Salto, and leave those out.

        After a restored backup the ledger knows less keys than there are. One that got the number
        of another would take its guest for a spare of its own.
        """
        if self._numbers_known:
            return
        async with self._one_pass:
            if not self._numbers_known:
                await self._skip_taken(
                    highest_number_of(await self._provider.observe(), self._ledger.instance)
                )

    async def _skip_taken(self, highest: int) -> None:
        """Give no key a number up to this one, which was seen at Salto."""
        if highest > self._ledger.highest_number:
            self._was_behind = True
            await self._ledger.skip_to(highest)
        self._numbers_known = True

    def _known(self, request: KeyRequest, window: AccessWindow) -> KeyRecord | None:
        """Return the key that is asked for once more, as it is wanted by now."""
        if request.booking_id is None:
            return None
        keys = [*map(self._as_wanted, self._ledger.by_booking(request.booking_id))]
        return same_key(keys, request.doors, window)

    async def _again(self, key_id: KeyId) -> HandedOut:
        """Return a key that was asked for once more, brought to its end first if it is not."""
        async with self._lock(key_id):
            await self._settle(key_id)
            record = self._live(key_id)
            return self._hand_out(record, self._unsealed(record))

    async def _change(self, key_id: KeyId, change: KeyChange, by: By) -> KeyRecord:
        if change.is_empty:
            raise KeyRefusedError(KeyRefusal.NOTHING_TO_CHANGE)
        async with self._lock(key_id):
            self._check_ledger()
            self._changed(self._as_wanted(self._live(key_id)), change)
            await self._settle(key_id)
            record = self._live(key_id)
            wanted = self._changed(record, change)
            if wanted == record and record.status is not KeyStatus.UNKNOWN:
                return self.view(record)
            done = await self._begin_and_carry_out(IntentKind.CHANGE, wanted, by)
            await self._keep_membership(key_id)
            return self.view(self._ledger.records.get(key_id, done.record))

    def _changed(self, record: KeyRecord, change: KeyChange) -> KeyRecord:
        """Return a key as it would be after a change. Raises KeyRefusedError."""
        window = checked_window(
            change.starts_at or record.window.starts_at,
            change.ends_at or record.window.ends_at,
            self._clock(),
        )
        doors = record.doors if change.doors is None else change.doors
        if not doors or doors - record.doors:
            check_doors(doors - record.doors, self._facts_of(doors))
        if gives_more(record, window, doors):
            self._check_active()
        return replace(
            record,
            window=window,
            doors=doors,
            unit_id=change.unit_id or record.unit_id,
            on_removal=change.on_removal or record.on_removal,
        )

    async def _revoke(self, key_id: KeyId, by: By) -> KeyRecord:
        async with self._lock(key_id):
            self._check_ledger()
            record = self._live(key_id)
            record = replace(record, by_hand=bool(by.who))
            if key_id not in self._ledger.records:
                record = replace(record, status=KeyStatus.REVOKED)
            done = await self._begin_and_carry_out(IntentKind.REVOKE, record, by)
            return self.view(self._ledger.records.get(key_id, done.record))

    async def _switch(
        self, key_id: KeyId, kind: IntentKind, wanted: KeyStatus, by: By
    ) -> KeyRecord:
        """Suspend or resume a key; one that is so already stays as it is."""
        async with self._lock(key_id):
            self._check_ledger()
            record = self._live(key_id)
            if kind is IntentKind.RESUME:
                self._check_active()
            await self._settle(key_id)
            record = self._live(key_id)
            by_hand = kind is IntentKind.SUSPEND and bool(by.who)
            idle = kind is IntentKind.RESUME and record.status is not KeyStatus.SUSPENDED
            if idle or record.status is wanted:
                if by_hand and not record.by_hand:
                    record = await self._ledger.amend(
                        key_id, lambda now: replace(now, by_hand=True)
                    )
                return self.view(record)
            wished = replace(record, status=wanted, by_hand=by_hand)
            done = await self._begin_and_carry_out(kind, wished, by)
            await self._keep_membership(key_id)
            return self.view(done.record)

    async def _rotate(self, key_id: KeyId, by: By) -> HandedOut:
        async with self._lock(key_id):
            self._check_ledger()
            self._live(key_id)
            self._check_active()
            await self._settle(key_id)
            record = self._live(key_id)
            if record.status is KeyStatus.SUSPENDED:
                raise KeyRefusedError(KeyRefusal.SUSPENDED)
            done = await self._begin_and_carry_out(IntentKind.ROTATE, record, by)
        return self._hand_out(done.record, done.keypad_pin)

    async def _reveal(self, key_id: KeyId, by: By) -> HandedOut:
        async with self._lock(key_id):
            self._check_ledger()
            self._live(key_id)
            await self._settle(key_id)
            record = self._live(key_id)
            keypad_pin = self._unsealed(record)
            if keypad_pin is None:
                raise KeyRefusedError(KeyRefusal.PIN_NOT_THERE)
            await self._ledger.log(self._steps.line(record, "reveal", "done", by))
        return self._hand_out(record, keypad_pin)

    async def _reissue(self, key_id: KeyId, by: By) -> HandedOut:
        async with self._lock(key_id):
            self._check_ledger()
            record = self._as_wanted(self._live(key_id))
            self._check_active()
            if record.window.is_over(self._clock()):
                raise KeyRefusedError(KeyRefusal.WINDOW_OVER)
            wanted = replace(record, status=KeyStatus.SETTING)
            done = await self._begin_and_carry_out(IntentKind.ISSUE, wanted, by)
        return self._hand_out(done.record, done.keypad_pin)

    async def _begin_and_carry_out(self, kind: IntentKind, record: KeyRecord, by: By) -> Done:
        """Write an intent down, and bring it to its end or to where it is tried again."""
        intent = _intent(kind, record, by, self._clock())
        try:
            async with self._turns.turn(_needed_at(intent)):
                if self._closed:
                    raise KeyRefusedError(KeyRefusal.UNLOADING)
                await self._ledger.begin(intent)
                return await self._carry_out(intent)
        except SaltoKsError as err:
            known = record.key_id in self._ledger.records
            if kind is not IntentKind.ISSUE or is_worth_completing(
                intent, known=known, now=self._clock()
            ):
                raise KeyPendingError(record.key_id, err) from err
            await self._steps.give_up(intent, KeyProblem.UNREACHABLE)
            raise KeyGivenUpError(record.key_id, err) from err

    async def _settle(self, key_id: KeyId) -> None:
        """Bring to its end what is still open of a key, before something else is done to it.

        Where only the disk is behind, that is to be written and nothing to be done at Salto.
        """
        if key_id in self._ledger.unwritten:
            await self._ledger.flush()
        intent = self._ledger.intents.get(key_id)
        if intent is None:
            return
        if intent.kind in _GIVES_ACCESS:
            self._check_active()
        try:
            async with self._turns.turn(_needed_at(intent)):
                await self._carry_out(intent, again=True)
        except SaltoKsError as err:
            raise KeyPendingError(key_id, err) from err
        except KeyFailedError:
            if intent.kind is IntentKind.ISSUE:
                raise

    async def _carry_out(self, intent: Intent, *, again: bool = False) -> Done:
        """Bring an intent to its end, and decide when it is tried again where that fails."""
        key_id = intent.key_id
        try:
            done = await self._steps.carry_out(intent, again=again)
        except KeyFailedError:
            self._failures.pop(key_id, None)
            self._not_before.pop(key_id, None)
            if intent.kind is IntentKind.REVOKE or self._ledger.intents.get(key_id) == intent:
                doubted = intent.kind is IntentKind.ISSUE
                self._not_before[key_id] = self._clock() + (
                    UNSEEN_FOR if doubted else AFTER_REFUSAL
                )
            raise
        except (SaltoKsError, StorageError) as err:
            self._put_off(intent, err)
            raise
        self._failures.pop(key_id, None)
        self._not_before.pop(key_id, None)
        if done.look_again_at is not None:
            open_still = key_id in self._ledger.intents
            (self._not_before if open_still else self._late)[key_id] = done.look_again_at
        return done

    def _put_off(self, intent: Intent, err: Exception) -> None:
        """Try again later, sooner before an arrival; a refused login is for a person to mend."""
        key_id, now = intent.key_id, self._clock()
        failures = self._failures[key_id] = self._failures.get(key_id, 0) + 1
        delay = delay_after(failures, intent.record.window.starts_at, now) * self._jitter()
        self._not_before[key_id] = now + delay
        if isinstance(err, SaltoKsAuthError) and err.failure.mends_with_credentials:
            self._on_login_refused()

    def _hand_out(self, record: KeyRecord, keypad_pin: str | None) -> HandedOut:
        """Give a key with its PIN away."""
        return HandedOut(record=self.view(record), keypad_pin=keypad_pin)

    async def _handed_over(self, handed: HandedOut) -> HandedOut:
        """Forget a PIN that has come to whoever asked, where that was chosen.

        It is not forgotten for a caller who was cancelled meanwhile, and so has not seen it.
        """
        sealed = handed.record.sealed_pin
        if self._rules.forget_pins and handed.keypad_pin is not None:
            try:
                await self._ledger.amend(
                    handed.record.key_id,
                    lambda now: replace(now, sealed_pin=None) if now.sealed_pin == sealed else now,
                )
            except StorageError as err:
                LOGGER.warning("A PIN that was handed out is forgotten later: %s", err)
        return handed

    # By time

    async def _take_up(self, key_id: KeyId) -> None:
        """Carry on what is open of a key, or take it back where nobody waits for it any more."""
        async with self._lock(key_id):
            intent = self._ledger.intents.get(key_id)
            if intent is None:
                return
            if (intent := await self._still_wanted(intent)) is None:
                return
            async with self._turns.turn(_needed_at(intent)):
                await self._carry_out(intent, again=True)
            await self._keep_membership(key_id)

    async def _still_wanted(self, intent: Intent) -> Intent | None:
        """Return what is to be done by now where something was interrupted; None for nothing yet."""
        now = self._clock()
        over = intent.record.window.is_over(now)
        if intent.kind is IntentKind.ISSUE:
            known = intent.key_id in self._ledger.records
            if not is_worth_completing(intent, known=known, now=now):
                problem = KeyProblem.WINDOW_OVER if over else KeyProblem.UNREACHABLE
                return await self._steps.give_up(intent, problem)
        elif over and intent.kind is not IntentKind.REVOKE:
            record = self._ledger.records[intent.key_id]
            intent = _intent(IntentKind.REVOKE, record, WINDOW_IS_OVER, now)
            await self._ledger.begin(intent)
        if intent.kind in _GIVES_ACCESS and not self._may_give_access():
            self._not_before[intent.key_id] = now + WHILE_INACTIVE
            return None
        return intent

    async def _do(self, chore: Chore, key_id: KeyId) -> None:
        """Do what is due for a key, if it still is."""
        async with self._lock(key_id):
            record = self._ledger.records.get(key_id)
            if record is None or key_id in self._ledger.intents:
                return
            if self._chore(record, self._clock()) is not chore:
                return
            match chore:
                case Chore.END:
                    await self._begin_and_carry_out(IntentKind.REVOKE, record, WINDOW_IS_OVER)
                case Chore.CONFIRM_REMOVED:
                    await self._steps.confirm_removed(record)
                case Chore.JOIN | Chore.LEAVE:
                    await self._keep_membership(key_id)
                case Chore.REISSUE if self._may_give_access():
                    await self._begin_and_carry_out(
                        IntentKind.ISSUE,
                        replace(record, status=KeyStatus.SETTING),
                        By(who="", reason="the guest would end before the window"),
                    )
                case Chore.REISSUE:
                    self._not_before[key_id] = self._clock() + WHILE_INACTIVE

    async def _keep_membership(self, key_id: KeyId) -> None:
        """Have a key of the membership strategy open doors in its window, and only then."""
        record, now = self._ledger.records.get(key_id), self._clock()
        chore = None if record is None else self._chore(record, now)
        if record is None or chore not in {Chore.JOIN, Chore.LEAVE}:
            return
        intent = _intent(IntentKind.CHANGE, record, By(who=""), now)
        try:
            async with self._turns.turn(now):
                await self._steps.set_membership(record, member=chore is Chore.JOIN)
        except (KeyFailedError, SaltoKsError, StorageError) as err:
            self._put_off(intent, err)
        else:
            self._failures.pop(key_id, None)
            self._not_before.pop(key_id, None)

    async def _look_for_spares(self, key_id: KeyId) -> None:
        """Remove what an attempt without an answer had left, and a listing shows only now."""
        async with self._lock(key_id):
            self._late.pop(key_id, None)
            record = self._ledger.records.get(key_id)
            if record is None:
                return
            async with self._turns.turn(self._clock()):
                try:
                    await self._steps.remove_spares(record)
                except SaltoKsError, KeyFailedError:
                    self._late[key_id] = self._clock() + AFTER_REFUSAL
                    raise

    async def _write_what_is_left(self) -> None:
        """Write what the disk did not take before."""
        if unwritten := self._ledger.unwritten:
            try:
                await self._ledger.flush()
            except StorageError as err:
                LOGGER.warning("The ledger is not on disk yet: %s", err)
            for key_id in unwritten - self._ledger.unwritten - self._ledger.intents.keys():
                self._failures.pop(key_id, None)
                self._not_before.pop(key_id, None)
        self._steps.tell_what_is_written()

    async def _prune(self, now: datetime) -> None:
        """Drop what ended long ago, once a day."""
        if self._pruned_at is not None and now - self._pruned_at < PRUNED_EVERY:
            return
        self._pruned_at = now
        try:
            await self._ledger.prune(
                now, records_after=RECORDS_KEPT, audit_after=self._rules.audit_kept
            )
        except StorageError as err:
            LOGGER.warning("Old keys are still in the ledger: %s", err)

    async def _reconcile(self, *, dry_run: bool) -> Pass:
        self._check_ledger()
        async with self._one_pass:
            at, started = self._clock(), time.monotonic()
            with requests_counted() as count:
                before = self._under_way()
                observed = await self._provider.observe()
                under_way = before | self._under_way()
                unconfirmed = await asyncio.to_thread(
                    to_confirm,
                    recorded=self._ledger.records,
                    under_way=under_way,
                    unreadable=self._ledger.unreadable,
                    observed=observed,
                    now=at,
                )
                gone = [guest for guest in unconfirmed if await self._provider.is_gone(guest)]
                found = await asyncio.to_thread(
                    plan,
                    recorded=self._ledger.records,
                    under_way=under_way | self._under_way(),
                    unreadable=self._ledger.unreadable,
                    observed=observed,
                    gone=gone,
                    instance=self._ledger.instance,
                    highest_known=self._ledger.highest_number,
                    now=at,
                )
                await self._skip_taken(found.highest_number)
                is_free = not dry_run and not self._was_behind
                repaired = await self._repair(found) if is_free else frozenset()
            self.last_pass = Pass(
                at=at,
                plan=found,
                repaired=repaired,
                requests=count.requests,
                seconds=time.monotonic() - started,
            )
        self._on_pass(self.last_pass)
        return self.last_pass

    async def _repair(self, found: Plan) -> frozenset[Finding]:
        """Apply the remedies of a plan; return the findings of which that went well."""
        repaired: set[Finding] = set()
        applied: dict[tuple[KeyId, Remedy], bool] = {}
        for finding in found.findings:
            if finding.key_id is None or finding.remedy is Remedy.REPORT:
                continue
            what = (finding.key_id, finding.remedy)
            if what not in applied:
                applied[what] = await self._remedy(finding.key_id, finding.remedy)
            if applied[what]:
                repaired.add(finding)
        return frozenset(repaired)

    async def _remedy(self, key_id: KeyId, remedy: Remedy) -> bool:
        """Apply one remedy; tell whether it went well."""
        try:
            if remedy is Remedy.REVOKE:
                await self._do(Chore.END, key_id)
            else:
                await self._look_for_spares(key_id)
        except (*_PASSING, StorageError) as err:
            LOGGER.warning("Key %s could not be put right: %s", key_id, err)
            return False
        return True

    def _under_way(self) -> frozenset[KeyId]:
        """Return the keys that something is being done to."""
        locked = (key_id for key_id, lock in self._keys.items() if lock.locked())
        return frozenset(locked) | self._ledger.intents.keys()

    # Checks

    def _is_unreadable(self, key_id: KeyId) -> bool:
        """Tell whether the ledger cannot read what it has of a key, so that nothing is done to it."""
        return number_of(key_id) in self._ledger.unreadable

    def _check_ledger(self) -> None:
        """Refuse to begin what could not be written down."""
        if self._ledger.quarantine is not None or not self._cipher.is_available:
            raise KeyRefusedError(KeyRefusal.LEDGER_CLOSED)

    def _may_give_access(self) -> bool:
        """Tell whether keys may be issued at all now."""
        return self._is_active() and self._cipher.is_available

    def _check_active(self) -> None:
        if not self._is_active():
            raise KeyRefusedError(KeyRefusal.SITE_INACTIVE)

    async def _check_capabilities(self, pin_length: int | None) -> None:
        """Refuse what the site cannot do now, as Salto says."""
        can = await self._provider.capabilities()
        if not can.pins_enabled:
            raise KeyRefusedError(KeyRefusal.PINS_DISABLED)
        if pin_length is not None and not can.can_choose_pin:
            raise KeyRefusedError(KeyRefusal.PIN_LENGTH_UNAVAILABLE)
        if can.seats_free == 0:
            raise KeyRefusedError(KeyRefusal.SEAT_UNAVAILABLE)

    def _as_wanted(self, record: KeyRecord) -> KeyRecord:
        """Return a key as it will be once what is under way is done."""
        if (intent := self._ledger.intents.get(record.key_id)) is None:
            return record
        if intent.kind in {IntentKind.ISSUE, IntentKind.CHANGE}:
            record = replace(record, window=intent.record.window, doors=intent.record.doors)
        return replace(record, status=status_of(record, intent))

    def _live(self, key_id: KeyId) -> KeyRecord:
        """Return a key that something can still be done to. Raises KeyRefusedError."""
        record = self._ledger.get(key_id)
        if self._is_unreadable(key_id):
            raise KeyRefusedError(KeyRefusal.LEDGER_CLOSED)
        if record is None:
            raise KeyRefusedError(KeyRefusal.UNKNOWN, key_id=key_id)
        intent = self._ledger.intents.get(key_id)
        gone = not record.is_live or status_of(record, intent) is KeyStatus.REMOVING
        if gone:
            raise KeyRefusedError(KeyRefusal.ENDED, key_id=key_id)
        return record

    def _unsealed(self, record: KeyRecord) -> str | None:
        """Return the PIN of a key; None when it is not kept. Raises KeyRefusedError."""
        if record.sealed_pin is None:
            return None
        try:
            return self._cipher.unseal(record.sealed_pin)
        except PinUnreadableError:
            raise KeyRefusedError(KeyRefusal.PIN_UNREADABLE) from None

    def _facts_of(self, doors: Collection[DoorId]) -> Mapping[DoorId, DoorFacts | None]:
        return {door: self._facts(door) for door in doors}

    def _chore(
        self,
        record: KeyRecord,
        now: datetime,
        facts: Callable[[DoorId], DoorFacts | None] | None = None,
    ) -> Chore | None:
        """Return what a key needs now; `facts` may remember those of doors for a while."""
        doors = record.doors if record.status is KeyStatus.REMOVING else ()
        return chore_of(record, {door: (facts or self._facts)(door) for door in doors}, now)

    # Tasks

    def _is_due(self, key_id: KeyId, now: datetime) -> bool:
        """Tell whether nothing is being done to a key, and it does not wait for its time."""
        lock = self._keys.get(key_id)
        return (lock is None or not lock.locked()) and self._not_before.get(key_id, now) <= now

    def _lock(self, key_id: KeyId) -> asyncio.Lock:
        """Return what lets one thing at a time be done to a key."""
        return self._keys.setdefault(key_id, asyncio.Lock())

    def _gate(self, booking_id: BookingId | None) -> AbstractAsyncContextManager[Any]:
        """Return what lets one key at a time be issued for a booking."""
        if booking_id is None:
            return nullcontext()
        return self._bookings.setdefault(booking_id, asyncio.Lock())

    async def _own[T](self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Do work in a task of our own, which goes on when the caller is cancelled."""
        if self._closed:
            work.close()
            raise KeyRefusedError(KeyRefusal.UNLOADING)
        task: asyncio.Task[T] = self._spawn(work, f"salto_ks {name}")
        self._track(task)
        await asyncio.wait({task})
        if task.cancelled():
            raise KeyRefusedError(KeyRefusal.UNLOADING)
        return task.result()

    def _start(self, key_id: KeyId, work: Coroutine[Any, Any, object]) -> None:
        """Do work in the background; what it fails with is kept or tried again elsewhere."""

        async def quietly() -> None:
            try:
                await work
            except (*_PASSING, StorageError) as err:
                LOGGER.debug("Key %s: %s", key_id, type(err).__name__)

        self._track(self._spawn(quietly(), f"salto_ks key {key_id}"))

    def _track(self, task: asyncio.Task[Any]) -> None:
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """Forget a task; mark its outcome as seen, in case its caller was cancelled."""
        self._running.discard(task)
        err = None if task.cancelled() else task.exception()
        if err is not None and not isinstance(err, (*_PASSING, StorageError)):
            LOGGER.error("%s has failed unexpectedly", task.get_name(), exc_info=err)


def _intent(kind: IntentKind, record: KeyRecord, by: By, now: datetime) -> Intent:
    """Return the intent to bring a key to where it is wanted."""
    return Intent(
        key_id=record.key_id,
        kind=kind,
        record=record,
        started_at=now,
        who=by.who,
        reason=by.reason,
    )


def _needed_at(intent: Intent) -> datetime:
    """Return how urgent an intent is: what takes access away goes first."""
    if intent.kind in {IntentKind.REVOKE, IntentKind.SUSPEND}:
        return intent.started_at
    return max(intent.record.window.starts_at, intent.started_at)
