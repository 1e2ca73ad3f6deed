"""The key manager: the only one that changes keys at Salto.

Whatever is asked for runs in a task of the manager's own: who asked may be cancelled, the work
goes on. One thing at a time is done to a key, a few at once at a site, the most urgent first.
What Salto does not answer is tried again, later and later, until it is done or refused for good;
what a crash has interrupted is found by its intent and carried on, or taken back.

Where the ledger or the clock may be wrong the manager is read-only: nothing is done by itself, be
it for a window that ends, a booking or a difference that was found. What a person asks for is
done: whoever names a key knows of it, and a new one gets a number that nobody has. It ends with a
comparison in which ledger and Salto agree, or when a person has mended what differs.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache, partial
import math
import time
from typing import Any, Final, NoReturn
from weakref import WeakValueDictionary

from ..api.counting import requests_counted
from ..api.exceptions import SaltoKsAuthError, SaltoKsError
from ..const import LOGGER
from ..domain.differences import IN_DETAILS, adopted
from ..domain.fixes import BY_DEFAULT, Fix, fixes_of, mended_with
from ..domain.ids import BookingId, DoorId, KeyId, PersonId, UnitId, number_of
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
from ..domain.keys import KeyProblem, KeyRecord, KeyStatus, KeyWarning
from ..domain.observed import UNSEEN_FOR, ObservedDetails
from ..domain.outcomes import Outcome
from ..domain.plan import Finding, Plan, is_young
from ..domain.read_only import Hold, ReadOnly
from ..domain.upkeep import (
    Chore,
    chore_of,
    delay_after,
    doubled,
    is_worth_completing,
    status_of,
)
from ..domain.windows import AccessWindow
from ..storage import StorageError
from .adoption import Adoption
from .audit_log import AuditLine, AuditQuery
from .comparison import Compared, Comparison
from .holds import FOUND_BY_COMPARISON, Holds
from .key_steps import Done, KeySteps
from .ledger import Ledger
from .looks import Looks
from .news import Tell
from .pin_cipher import PinCipher, PinUnreadableError
from .provider import KeyFailedError, KeyProvider
from .urgent_turns import UrgentTurns
from .writer import LONG_AGO, is_passing, monotonic

AT_ONCE: Final = 16
"""Keys that are worked on at the same time. Most of a step is a minute of waiting for Salto to
settle; so many are needed to make what the rate of writes allows of an hour."""

AFTER_REFUSAL: Final = timedelta(hours=1)
"""How long something that Salto refused for good, and that has to be done, is left alone."""

LONGEST_AFTER_REFUSAL: Final = timedelta(days=1)
"""How long a removal that was refused again and again is left alone."""

WHILE_INACTIVE: Final = timedelta(minutes=1)

RECORDS_KEPT: Final = timedelta(days=90)
"""How long a key that has ended is still listed; the audit log remembers it for longer."""

PRUNED_EVERY: Final = timedelta(days=1)

FIRST_LOOK_EVERY: Final = 60.0
"""Seconds until Salto is listed again after a start, where that has failed."""

FIRST_LOOK_PATIENCE: Final = 300.0
"""Seconds for which what is due after a start waits for a listing, where Salto answers."""

RECENTLY: Final = timedelta(days=1)
"""How long after a change a key is read as a whole by the first comparison after a start."""

REFUSED_BEFORE: Final = By(who="", reason="Salto has refused before to take it back")
WINDOW_IS_OVER: Final = By(who="", reason="the window is over")

GRACE: Final = 10.0
"""Seconds that work under way gets to end when the site is unloaded."""

_GIVES_ACCESS: Final = frozenset(
    {IntentKind.ISSUE, IntentKind.RESTORE, IntentKind.RESUME, IntentKind.ROTATE}
)

_MAKES_GROUPS: Final = frozenset({IntentKind.CHANGE, IntentKind.RESTORE})
"""Steps that may leave a group beside a key when they are refused."""

type Spawn = Callable[[Coroutine[Any, Any, Any], str], asyncio.Task[Any]]
type _Due = tuple[KeyId, Callable[[], Coroutine[Any, Any, None]]]


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
    repaired: frozenset[Outcome] = BY_DEFAULT
    """What a comparison mends by itself, where that is certain; the rest is told."""


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
    """Findings that were mended by itself."""
    requests: int
    seconds: float
    deep: bool = False
    """Whether all live keys were to be read as a whole, and not only those that matter soon."""
    looked_deep: int = 0
    """How many keys were read as a whole."""

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
        on_begun: Callable[[KeyRecord], None],
        monotonic: Callable[[], float] = monotonic,
    ) -> None:
        """Work on `ledger` through `provider`.

        `facts` tells what is known of a door; `tell` is called with all news; `spawn` runs a task
        that nobody waits for; `on_login_refused` is called when credentials have to be renewed,
        `on_begun` with a key as it is to be, once that is written down and before Salto is asked;
        `monotonic` tells the seconds of a clock that nobody sets, to see when `clock` was set.
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
        self._on_begun = on_begun
        self._steps = KeySteps(
            ledger, cipher, provider, clock=clock, random_below=random_below, tell=tell
        )
        self._turns = UrgentTurns(AT_ONCE)
        self._comparison = Comparison(ledger, provider, self._turns, under_way=self._under_way)
        self._holds = Holds(ledger, provider, clock=clock, monotonic=monotonic)
        self._looks = Looks(
            ledger,
            provider,
            under_way=self._under_way,
            clock=clock,
            run=self._spawn_tracked,
            on_old_ledger=partial(self._holds.begin, ReadOnly.RESTORED_BACKUP),
        )
        self._adoption = Adoption(ledger, provider, clock=clock)
        self._monotonic = monotonic
        self._unproven = Hold(reason=ReadOnly.RESTORED_BACKUP, since=clock())
        """Until Salto was listed, the ledger is taken for one of a restored backup."""
        self._first_look_tried_at: float | None = None
        self._first_look_due_at = LONG_AGO
        self._one_pass = asyncio.Lock()
        self._keys: WeakValueDictionary[KeyId, asyncio.Lock] = WeakValueDictionary()
        self._bookings: WeakValueDictionary[BookingId, asyncio.Lock] = WeakValueDictionary()
        self._running: set[asyncio.Task[Any]] = set()
        self._failures: dict[KeyId, int] = {}
        self._refusals: dict[KeyId, int] = {}
        """How often Salto has refused in a row to remove something, since the start."""
        self._not_before: dict[KeyId, datetime] = {}
        self._late: dict[KeyId, datetime] = {}
        self._pruned_at: datetime | None = None
        self._closed = False
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
        chosen = self.records(statuses=statuses, booking_id=booking_id)
        chosen.sort(key=lambda key: number_of(key.key_id), reverse=True)
        intents = self._ledger.intents
        return tuple(self._view(record, intents) for record in chosen)

    def records(
        self,
        *,
        statuses: Collection[KeyStatus] = (),
        booking_id: BookingId | None = None,
        unit_id: UnitId | None = None,
    ) -> list[KeyRecord]:
        """Return keys of a booking, of a unit, or all, as the ledger has them.

        They are not as people should see them, which takes a look at the doors of each; that is
        for those who look through thousands.
        """
        ledger, intents = self._ledger, self._ledger.intents
        if booking_id is not None:
            found = list(ledger.by_booking(booking_id))
        elif unit_id is not None:
            found = list(ledger.by_unit(unit_id))
        else:
            waiting = (
                intent.record for key_id, intent in intents.items() if key_id not in ledger.records
            )
            found = [*ledger.records.values(), *waiting]
        return [
            record
            for record in found
            if not statuses or status_of(record, intents.get(record.key_id)) in statuses
        ]

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

    async def look(self, record: KeyRecord) -> ObservedDetails | None:
        """Read a key with a guest as a whole at Salto, now; None where there is no such guest.

        A group of which nothing can be read is looked for in the list of groups. Raises
        KeyFailedError or from `SaltoKsError` where the guest cannot be read.
        """
        seen = await self._provider.observe_deep(record)
        if seen is None or all(group is None or group.shows_any for group in seen.groups.values()):
            return seen
        listed = (await self._provider.observe()).groups
        if listed is None:
            return seen
        there = {group.id for group in listed}
        groups = {
            group_id: group if group_id in there or (group and group.shows_any) else None
            for group_id, group in seen.groups.items()
        }
        return replace(seen, groups=groups)

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

    async def reconcile(self, *, dry_run: bool, deep: bool = False) -> Pass:
        """Compare the ledger with Salto, and do what the plan says unless it is a dry run.

        All keys are looked for in the listings. Those that matter soon or were changed since the
        last time are read as a whole, with `deep` all that are live: five requests a key, whenever
        there is nothing else to do. While `read_only` says why, nothing is done but to report.

        Raises KeyFailedError, from `SaltoKsError`, KeyRefusedError, or StorageError.
        """
        return await self._own(self._reconcile(dry_run=dry_run, deep=deep), "reconcile")

    async def mend(self, key_id: KeyId, outcome: Outcome, fix: Fix, by: By) -> bool:
        """Mend what was found about a key, if that is still so; return False where it is not.

        The key is looked at anew before. Afterwards the last comparison lists no more what was
        mended. Raises ValueError for a fix that `fixes_of` does not name for the outcome, else as
        `issue` does; KeyRefusedError too for a key that was changed so lately that Salto may not
        show it yet, and where Salto has nothing that the ledger could take over.
        """
        return await self._own(self._mend(key_id, outcome, fix, by), "mend a key")

    @property
    def read_only(self) -> ReadOnly | None:
        """Tell why nothing is done by itself; None while all is."""
        hold = self._ledger.hold
        return None if hold is None else hold.reason

    async def go_on(self, by: By) -> None:
        """End the time in which nothing is done by itself: a person takes it as it is.

        Raises KeyRefusedError, or StorageError.
        """
        self._check_ledger()
        await self._holds.end(by)

    # What time asks for

    async def tick(self) -> None:
        """Start whatever is due; to be called every few seconds."""
        if self._closed or self._ledger.quarantine is not None:
            return
        now = self._clock()
        left = None if self.last_pass is None else self.last_pass.discrepancies
        if await self._holds.watch_clock(now, left):
            self._forget_instants(now)
        await self._write_what_is_left()
        hold = self._ledger.hold
        doubt = hold if self._looks.numbers_known else hold or self._unproven
        self._begin(self._due(now, doubt))
        if hold is not None:
            if self._holds.is_check_due():
                self._run("a comparison", self._reconcile(dry_run=False, deep=False))
            return
        if doubt is not None and any(self._due(now, None)):
            self._look_first()
        await self._prune(now)

    async def close(self, grace: float = GRACE) -> None:
        """Begin nothing more, and let what is under way end, or cut it off after a while.

        What that begins while it ends is waited for as well. Whatever is cut off has its intent on
        disk, and is taken up by the next start.
        """
        self._closed = True
        ends_at = monotonic() + grace
        while self._running:
            left = max(ends_at - monotonic(), 0)
            _, late = await asyncio.wait(tuple(self._running), timeout=left)
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
            "read_only": self.read_only,
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

    # What is due

    def _forget_instants(self, now: datetime) -> None:
        """Wait no more for instants that were worked out before the clock was set."""
        self._not_before.clear()
        self._late = dict.fromkeys(self._late, now + UNSEEN_FOR)
        self._pruned_at = None

    def _due(self, now: datetime, hold: Hold | None) -> Iterator[_Due]:
        """Find what is to be done to keys; in a hold what a person has asked for since."""
        intents = self._ledger.intents
        for key_id in intents.keys() - self._ledger.unwritten:
            if hold is not None and not _was_asked_for(intents[key_id], hold):
                continue
            is_free = not self._is_locked(key_id) and not self._is_unreadable(key_id)
            if is_free and self._is_time_for(key_id, now):
                yield key_id, partial(self._take_up, key_id)
        if hold is not None:
            return
        late = {key_id for key_id, at in self._late.items() if at <= now}
        facts = cache(self._facts)
        for key_id, record in self._ledger.records.items():
            chore = self._chore(record, now, facts)
            if (chore is None and key_id not in late) or key_id in intents:
                continue
            if self._is_locked(key_id):
                continue
            if chore is not None and self._is_time_for(key_id, now, chore, record):
                yield key_id, partial(self._do, chore, key_id)
            elif key_id in late:
                yield key_id, partial(self._look_for_spares, key_id)

    def _begin(self, due: Iterable[_Due]) -> None:
        """Do what is due in the background."""
        for key_id, work in tuple(due):
            self._run(f"key {key_id}", work())

    def _look_first(self) -> None:
        """List Salto before anything is done by itself after a start, now and then until it works."""
        now = self._monotonic()
        if self._first_look_tried_at is None:
            self._first_look_tried_at = now
        if now >= self._first_look_due_at:
            self._first_look_due_at = math.inf
            self._run("a first look", self._begin_once_listed(self._first_look_tried_at))

    async def _begin_once_listed(self, tried_at: float) -> None:
        """List Salto, and begin what is due if the ledger is not an old one.

        Where that cannot be listed for minutes though Salto answers, the ledger is gone by all the
        same: nobody is to stand outside for a listing. While Salto does not answer, nothing could
        be done but what an old ledger says in the moment when it does again.
        """
        patience = tried_at + FIRST_LOOK_PATIENCE - self._monotonic()
        try:
            if patience <= 0:
                await self._provider.capabilities()
            await self._learn_numbers_within(patience)
        except (KeyFailedError, SaltoKsError) as err:
            self._note_login(err)
            raise
        finally:
            self._first_look_due_at = self._monotonic() + FIRST_LOOK_EVERY
        self._begin(self._due(self._clock(), self._ledger.hold))

    async def _learn_numbers_within(self, patience: float) -> None:
        """List Salto; for one that fails or goes on and on there is patience for so many seconds.

        It goes on all the same, and counts when it ends. Raises as `Looks.look` does, and as
        `capabilities` where Salto does not answer anything after that time.
        """
        try:
            async with asyncio.timeout(max(patience, FIRST_LOOK_EVERY)):
                await self._looks.learn_numbers()
        except TimeoutError:
            await self._provider.capabilities()
        except KeyFailedError, SaltoKsError:
            if patience > 0:
                raise

    # Asked for

    async def _issue(self, request: KeyRequest, by: By) -> HandedOut:
        async with self._gate(request.booking_id):
            self._check_may(by)
            now = self._clock()
            window = checked_window(request.starts_at, request.ends_at, now)
            check_doors(request.doors, self._facts_of(request.doors))
            check_pin_length(request.pin_length)
            if (known := self._known(request, window)) is not None:
                handed = await self._again(known.key_id)
                if self._known(request, window) is not None:
                    return handed
            self._check_active()
            unreachable = await self._checked_capabilities(request)
            await self._looks.learn_numbers()
            self._check_may(by)
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
                if unreachable is not None:
                    await self._begin_for_later(IntentKind.ISSUE, record, by, unreachable)
                done = await self._begin_and_carry_out(IntentKind.ISSUE, record, by)
        return self._hand_out(done.record, done.keypad_pin)

    async def _checked_capabilities(self, request: KeyRequest) -> SaltoKsError | None:
        """Refuse what the site cannot do now; return why that is not known, where a booking waits.

        For a booking it is tried again, as for any other failure of Salto's.
        """
        try:
            await self._check_capabilities(request.pin_length)
        except SaltoKsError as err:
            if request.booking_id is None or not is_passing(err):
                raise
            return err
        return None

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
            self._check_may(by)
            self._changed(self._as_wanted(self._live(key_id)), change)
            await self._settle(key_id)
            record = self._live(key_id)
            wanted = self._changed(record, change)
            if wanted == record and record.status is not KeyStatus.UNKNOWN:
                return self.view(record)
            kind = IntentKind.CHANGE
            if self._may_give_access() and await self._has_lost_its_guest(record):
                kind, wanted = IntentKind.ISSUE, replace(wanted, status=KeyStatus.SETTING)
            done = await self._begin_and_carry_out(kind, wanted, by)
            await self._keep_membership(key_id)
            return self.view(self._ledger.records.get(key_id, done.record))

    async def _has_lost_its_guest(self, record: KeyRecord) -> bool:
        """Tell whether a key of which nobody knows all has nothing left that could be changed.

        Where Salto does not tell, the change itself says what is wrong.
        """
        if record.status is not KeyStatus.UNKNOWN or record.guest is None:
            return False
        try:
            return await self._provider.is_gone(record.guest.id)
        except KeyFailedError, SaltoKsError:
            return False

    def _changed(self, record: KeyRecord, change: KeyChange) -> KeyRecord:
        """Return a key as it would be after a change. Raises KeyRefusedError.

        One that was to be taken back is to be there again.
        """
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
            warnings=record.warnings - {KeyWarning.NOT_REMOVED},
        )

    async def _revoke(self, key_id: KeyId, by: By) -> KeyRecord:
        async with self._lock(key_id):
            self._check_may(by)
            return await self._take_away(key_id, by)

    async def _take_away(self, key_id: KeyId, by: By) -> KeyRecord:
        """Revoke a key that nobody else is working on.

        What a person has asked for and Salto has refused stays what a person has asked for.
        """
        record = self._live(key_id)
        was_by_hand = record.by_hand and KeyWarning.NOT_REMOVED in record.warnings
        record = replace(record, by_hand=bool(by.who) or was_by_hand)
        if key_id not in self._ledger.records:
            record = replace(record, status=KeyStatus.REVOKED)
        done = await self._begin_and_carry_out(IntentKind.REVOKE, record, by)
        return self.view(self._ledger.records.get(key_id, done.record))

    async def _switch(
        self, key_id: KeyId, kind: IntentKind, wanted: KeyStatus, by: By
    ) -> KeyRecord:
        """Suspend or resume a key; one that is so already stays as it is."""
        async with self._lock(key_id):
            self._check_may(by)
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
            self._check_may(by)
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
            self._check_may(by)
            done = await self._make_anew(key_id, by)
        return self._hand_out(done.record, done.keypad_pin)

    async def _make_anew(self, key_id: KeyId, by: By) -> Done:
        """Issue a key anew that nobody else is working on.

        What is open of it is brought to its end first, so that a refusal of the new one leaves a
        record that is so; but for another new one, which is begun anew.
        """
        self._live(key_id)
        self._check_active()
        intent = self._ledger.intents.get(key_id)
        if intent is None or intent.kind is not IntentKind.ISSUE:
            await self._settle(key_id)
        record = self._as_wanted(self._live(key_id))
        self._check_active()
        if record.window.is_over(self._clock()):
            raise KeyRefusedError(KeyRefusal.WINDOW_OVER)
        wanted = replace(record, status=KeyStatus.SETTING)
        return await self._begin_and_carry_out(IntentKind.ISSUE, wanted, by)

    async def _begin_and_carry_out(self, kind: IntentKind, record: KeyRecord, by: By) -> Done:
        """Write an intent down, and bring it to its end or to where it is tried again.

        Where it takes the place of one that is open, that one may have left something.
        """
        intent = _intent(kind, record, by, self._clock())
        again = record.key_id in self._ledger.intents
        try:
            async with self._turns.turn(_needed_at(intent)):
                if self._closed:
                    raise KeyRefusedError(KeyRefusal.UNLOADING)
                await self._put_down(intent)
                return await self._carry_out(intent, again=again)
        except SaltoKsError as err:
            known = record.key_id in self._ledger.records
            if kind is not IntentKind.ISSUE or is_worth_completing(
                intent, known=known, now=self._clock()
            ):
                raise KeyPendingError(record.key_id, err) from err
            await self._steps.give_up(intent, KeyProblem.UNREACHABLE)
            raise KeyGivenUpError(record.key_id, err) from err

    async def _begin_for_later(
        self, kind: IntentKind, record: KeyRecord, by: By, cause: SaltoKsError
    ) -> NoReturn:
        """Write an intent down that cannot be begun now, to be tried again like any other."""
        intent = _intent(kind, record, by, self._clock())
        await self._put_down(intent)
        self._put_off(intent, cause)
        raise KeyPendingError(record.key_id, cause) from cause

    async def _put_down(self, intent: Intent) -> None:
        """Write an intent down, and let it be seen. Raises as `Ledger.begin` does."""
        await self._ledger.begin(intent)
        self._on_begun(intent.record)

    async def _settle(self, key_id: KeyId) -> None:
        """Bring to its end what is still open of a key, before something else is done to it.

        Where only the disk is behind, that is to be written and nothing to be done at Salto.
        """
        if key_id in self._ledger.unwritten:
            await self._ledger.flush()
        intent = self._ledger.intents.get(key_id)
        if intent is None:
            return
        await self._check_interrupted(intent)
        try:
            async with self._turns.turn(_needed_at(intent)):
                await self._carry_out(intent, again=True)
        except SaltoKsError as err:
            raise KeyPendingError(key_id, err) from err
        except KeyFailedError:
            if intent.kind is IntentKind.ISSUE:
                raise

    async def _check_interrupted(self, intent: Intent) -> None:
        """Refuse to carry on what only an old ledger says, or what nobody asks for in a hold.

        Raises KeyRefusedError; KeyPendingError or KeyFailedError where nobody knows yet whether the
        ledger is an old one.
        """
        if not _was_asked_for(intent, self._unproven):
            try:
                await self._looks.learn_numbers()
            except SaltoKsError as err:
                raise KeyPendingError(intent.key_id, err) from err
        hold = self._ledger.hold
        if hold is not None and not _was_asked_for(intent, hold):
            raise KeyRefusedError(KeyRefusal.READ_ONLY)
        if intent.kind in _GIVES_ACCESS:
            self._check_active()

    async def _carry_out(self, intent: Intent, *, again: bool = False) -> Done:
        """Bring an intent to its end, and decide when it is tried again where that fails."""
        key_id = intent.key_id
        try:
            done = await self._steps.carry_out(intent, again=again)
        except KeyFailedError as err:
            self._failures.pop(key_id, None)
            self._not_before.pop(key_id, None)
            may_be_more = again or err.leftovers or intent.kind in _MAKES_GROUPS
            if may_be_more and self._is_known_to_work(key_id):
                self._late[key_id] = self._clock() + UNSEEN_FOR
            if self._is_to_be_tried_again(intent):
                doubted = self._ledger.intents.get(key_id) == intent and (
                    intent.kind is IntentKind.ISSUE
                )
                is_removal = intent.kind is IntentKind.REVOKE
                delay = self._delay_after_refusal(key_id) if is_removal else AFTER_REFUSAL
                self._not_before[key_id] = self._clock() + (UNSEEN_FOR if doubted else delay)
            raise
        except (SaltoKsError, StorageError) as err:
            self._put_off(intent, err)
            raise
        self._wait_no_more(key_id)
        if done.look_again_at is not None:
            open_still = key_id in self._ledger.intents
            (self._not_before if open_still else self._late)[key_id] = done.look_again_at
        return done

    def _is_to_be_tried_again(self, intent: Intent) -> bool:
        """Tell whether what Salto has refused for good has to be done all the same, later.

        So has a removal, be it one that was refused before something else was; what is still open;
        and a new guest for a key whose old one is in force. What is removed instead begins at once.
        """
        record = self._ledger.records.get(intent.key_id)
        left = self._ledger.intents.get(intent.key_id)
        if left is not None or intent.kind is IntentKind.REVOKE:
            return left in {None, intent}
        if record is None or not record.is_live:
            return False
        return intent.kind is IntentKind.ISSUE or KeyWarning.NOT_REMOVED in record.warnings

    def _delay_after_refusal(self, key_id: KeyId) -> timedelta:
        """Return how long what Salto has refused to remove is left alone, longer each time in a row.

        Many that were refused in the same minute are not all tried again in another one.
        """
        count = self._refusals[key_id] = self._refusals.get(key_id, 0) + 1
        return doubled(AFTER_REFUSAL, LONGEST_AFTER_REFUSAL, count) * self._jitter()

    def _wait_no_more(self, key_id: KeyId) -> None:
        """Take note that what was tried for a key has worked."""
        for waiting in (self._failures, self._refusals, self._not_before):
            waiting.pop(key_id, None)

    def _put_off(self, intent: Intent, err: Exception) -> None:
        """Try again later, sooner before an arrival; a refused login is for a person to mend."""
        key_id, now = intent.key_id, self._clock()
        failures = self._failures[key_id] = self._failures.get(key_id, 0) + 1
        starts_at, is_refused = intent.record.window.starts_at, isinstance(err, KeyFailedError)
        delay = delay_after(failures, starts_at, now, is_refused=is_refused)
        self._not_before[key_id] = now + delay * self._jitter()
        self._note_login(err)

    def _note_login(self, err: Exception) -> None:
        """Have a person renew the credentials, where Salto has refused them."""
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
                case Chore.REVOKE_AGAIN:
                    await self._begin_and_carry_out(IntentKind.REVOKE, record, REFUSED_BEFORE)
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
            self._wait_no_more(key_id)

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
                except SaltoKsError:
                    self._late[key_id] = self._clock() + AFTER_REFUSAL
                    raise
                except KeyFailedError:
                    self._late[key_id] = self._clock() + self._delay_after_refusal(key_id)
                    raise
                self._refusals.pop(key_id, None)

    async def _write_what_is_left(self) -> None:
        """Write what the disk did not take before."""
        if unwritten := self._ledger.unwritten:
            try:
                await self._ledger.flush()
            except StorageError as err:
                LOGGER.warning("The ledger is not on disk yet: %s", err)
            for key_id in unwritten - self._ledger.unwritten - self._ledger.intents.keys():
                self._wait_no_more(key_id)
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

    # Comparing with Salto, and mending

    async def _reconcile(self, *, dry_run: bool, deep: bool) -> Pass:
        self._check_ledger()
        async with self._one_pass:
            started = time.monotonic()
            with requests_counted() as count:
                look = await self._looks.look()
                at = look.at
                last, hold = self.last_pass, self._ledger.hold
                compared = await self._comparison.compare(
                    look.observed,
                    before=look.before,
                    highest_known=look.highest_known,
                    repaired=self._rules.repaired if hold is None else (),
                    since=at - RECENTLY if last is None else last.at - UNSEEN_FOR,
                    doubtful=_doubtful(last) | self._modified(),
                    deep=deep,
                    at=at,
                )
                is_free = not dry_run and self._ledger.hold is None
                repaired = await self._repair(compared) if is_free else frozenset[Finding]()
            if not dry_run:
                await self._mark_modified(compared, repaired)
            unseen = tuple(self._not_seen_again(compared))
            self.last_pass = Pass(
                at=at,
                plan=replace(compared.plan, findings=(*compared.plan.findings, *unseen)),
                repaired=repaired,
                requests=count.requests,
                seconds=time.monotonic() - started,
                deep=deep,
                looked_deep=len(compared.details),
            )
        if not dry_run:
            self._holds.note_check()
            await self._end_hold_if_agreed()
        self._on_pass(self.last_pass)
        return self.last_pass

    def _modified(self) -> frozenset[KeyId]:
        """Return the keys that somebody has changed at Salto, as is known over a restart."""
        return frozenset(
            key_id
            for key_id, record in self._ledger.records.items()
            if KeyWarning.MODIFIED_OUTSIDE in record.warnings
        )

    async def _mark_modified(self, compared: Compared, repaired: Collection[Finding]) -> None:
        """Keep which of the keys that were read as a whole somebody has changed at Salto.

        A finding that only such a look can show would else end with the next start.
        """
        differing = {
            one.key_id
            for one in compared.plan.findings
            if one.outcome in IN_DETAILS and one not in repaired
        }
        before, quiet = self._found_before(), self._under_way()
        for key_id in compared.details.keys() - quiet:
            is_told = key_id in differing or _is_all_told(key_id, compared, before.get(key_id))
            if is_told and self._ledger.records.get(key_id) == compared.recorded.get(key_id):
                await self._mark(key_id, is_modified=key_id in differing)

    def _found_before(self) -> Mapping[KeyId, set[Outcome]]:
        """Return what the last comparison has left different that no listing shows."""
        found: dict[KeyId, set[Outcome]] = {}
        for finding in () if self.last_pass is None else self.last_pass.discrepancies:
            if finding.key_id is not None and finding.outcome in IN_DETAILS:
                found.setdefault(finding.key_id, set()).add(finding.outcome)
        return found

    def _not_seen_again(self, compared: Compared) -> Iterator[Finding]:
        """Find what the last comparison has left different and this one was not shown.

        So is a part that Salto refuses to show for once, or a key that somebody was asking
        something about meanwhile. One that was changed since is another matter.
        """
        if (last := self.last_pass) is None:
            return
        seen = {(one.key_id, one.outcome) for one in compared.plan.findings}
        for finding in last.discrepancies:
            key_id, outcome = finding.key_id, finding.outcome
            if key_id is None or outcome not in IN_DETAILS:
                continue
            is_seen = bool({(key_id, outcome), (key_id, Outcome.MISSING_AT_SALTO)} & seen)
            if not is_seen and self._is_unseen(key_id, outcome, compared, last.at):
                yield finding

    def _is_unseen(
        self, key_id: KeyId, outcome: Outcome, compared: Compared, since: datetime
    ) -> bool:
        """Tell whether a key that was not changed since could not be looked at for an outcome."""
        record = self._ledger.records.get(key_id)
        if record is None or record.changed_at > since or key_id in self._ledger.intents:
            return False
        is_over = record.window.is_over(self._clock())
        return self._is_in_force(key_id) and not is_over and not compared.tells(key_id, {outcome})

    async def _mark(self, key_id: KeyId, *, is_modified: bool) -> None:
        """Keep that somebody has changed a key at Salto, or that it is right."""
        record, mark = self._ledger.records.get(key_id), frozenset({KeyWarning.MODIFIED_OUTSIDE})
        if record is None or (mark <= record.warnings) is is_modified:
            return

        def marked(now: KeyRecord) -> KeyRecord:
            return replace(
                now, warnings=now.warnings | mark if is_modified else now.warnings - mark
            )

        try:
            await self._ledger.amend(key_id, marked)
        except StorageError as err:
            LOGGER.warning("That a key was changed at Salto is not on disk yet: %s", err)

    async def _repair(self, compared: Compared) -> frozenset[Finding]:
        """Do what a plan says; return the findings that are no more by that."""
        repaired: set[Finding] = set()
        mended: dict[KeyId, frozenset[Outcome]] = {}
        for finding in compared.plan.findings:
            outcome, key_id, fix = finding.outcome, finding.key_id, finding.fix
            if key_id is None:
                continue
            done = mended.get(key_id, frozenset())
            is_left = outcome not in done
            if fix and is_left and await self._repaired(outcome, key_id, fix, compared):
                done = mended[key_id] = done | mended_with(outcome, fix)
            if outcome in done:
                repaired.add(finding)
        return frozenset(repaired)

    async def _repaired(
        self, outcome: Outcome, key_id: KeyId, fix: Fix, compared: Compared
    ) -> bool:
        """Mend one thing that was found, unless the key has changed since; tell whether it was."""
        try:
            if fix is Fix.REVOKE and self._is_in_force(key_id):
                await self._do(Chore.END, key_id)
                return not self._is_in_force(key_id)
            if fix in {Fix.REVOKE, Fix.REMOVE_AT_SALTO}:
                await self._look_for_spares(key_id)
                return True
            async with self._lock(key_id):
                is_as_seen = self._ledger.records.get(key_id) == compared.recorded.get(key_id)
                if not is_as_seen or key_id in self._ledger.intents:
                    return False
                await self._apply(fix, outcome, key_id, compared, FOUND_BY_COMPARISON)
        except (*_PASSING, StorageError) as err:
            LOGGER.warning("Key %s could not be put right: %s", key_id, err)
            return False
        return True

    async def _mend(self, key_id: KeyId, outcome: Outcome, fix: Fix, by: By) -> bool:
        if fix not in fixes_of(outcome):
            raise ValueError(f"{outcome} is not mended by {fix}")
        self._check_ledger()
        async with self._lock(key_id):
            if self._is_unreadable(key_id):
                raise KeyRefusedError(KeyRefusal.LEDGER_CLOSED)
            await self._settle(key_id)
            self._check_settled(key_id, self._clock())
            look = await self._looks.look()
            compared = await self._comparison.look_at(key_id, look.observed, at=look.at)
            found = compared.outcomes_of(key_id)
            is_so = outcome in found
            if is_so:
                await self._apply(fix, outcome, key_id, compared, by)
            else:
                self._check_seen(key_id, outcome, compared)
            mended = mended_with(outcome, fix) if is_so else frozenset({outcome})
            is_modified = bool((found - mended) & IN_DETAILS)
            is_rewritten = is_so and fix in {Fix.RESTORE, Fix.REISSUE}
            before = self._found_before().get(key_id)
            if is_modified or is_rewritten or _is_all_told(key_id, compared, before):
                await self._mark(key_id, is_modified=is_modified)
        self._note_mended(key_id, mended)
        await self._end_hold_if_agreed()
        if self.last_pass is not None:
            self._on_pass(self.last_pass)
        return is_so

    def _check_seen(self, key_id: KeyId, outcome: Outcome, compared: Compared) -> None:
        """Refuse to take something for mended that only could not be looked at.

        Raises KeyFailedError. A key without a guest, or whose window is over, is another matter.
        """
        record = self._ledger.records.get(key_id)
        if record is None or outcome not in IN_DETAILS or not self._is_in_force(key_id):
            return
        is_gone = Outcome.MISSING_AT_SALTO in compared.outcomes_of(key_id)
        if is_gone or record.window.is_over(self._clock()):
            return
        if not compared.tells(key_id, {outcome}):
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "key")

    async def _end_hold_if_agreed(self) -> None:
        """Go on by itself where the last comparison, or what was mended since, allows it.

        Keys with an open step are not compared. What an old ledger says was begun is long over, so
        with such a step a person has to say that it may be done.
        """
        hold, intents = self._ledger.hold, self._ledger.intents.values()
        if (
            hold is not None
            and hold.reason is ReadOnly.RESTORED_BACKUP
            and not all(_was_asked_for(intent, hold) for intent in intents)
        ):
            return
        if (last := self.last_pass) is not None:
            await self._holds.end_if_agreed(last.discrepancies, at=last.at, deep=last.deep)

    def _check_settled(self, key_id: KeyId, now: datetime) -> None:
        """Refuse to judge a key that was changed so lately that Salto may not show it yet."""
        record = self._ledger.records.get(key_id)
        if record is not None and is_young(record, now):
            raise KeyRefusedError(KeyRefusal.JUST_CHANGED, key_id=key_id)

    async def _apply(
        self, fix: Fix, outcome: Outcome, key_id: KeyId, compared: Compared, by: By
    ) -> None:
        """Mend what was found about a key that nobody else is working on."""
        match fix:
            case Fix.REISSUE:
                await self._make_anew(key_id, by)
                await self._keep_membership(key_id)
            case Fix.REVOKE if self._is_in_force(key_id):
                await self._take_away(key_id, by)
            case Fix.REVOKE | Fix.REMOVE_AT_SALTO:
                await self._remove_what_is_not_ours(key_id, by)
            case Fix.RESTORE:
                await self._restore(key_id, compared.details.get(key_id), by)
            case Fix.ADOPT:
                await self._adopt(outcome, key_id, compared, by)
            case Fix.FORGET:
                await self._steps.forget(self._live(key_id), by)
                self._wait_no_more(key_id)
                self._late.pop(key_id, None)

    def _is_in_force(self, key_id: KeyId) -> bool:
        """Tell whether a key is in the ledger and was not taken back."""
        record = self._ledger.records.get(key_id)
        return record is not None and record.is_live and record.status is not KeyStatus.REMOVING

    def _is_known_to_work(self, key_id: KeyId) -> bool:
        """Tell whether a key is in force, and what it needs for that is in the ledger.

        Of one that is unknown, what is not in the ledger may be what works.
        """
        record = self._ledger.records.get(key_id)
        return record is not None and record.status in {KeyStatus.SET, KeyStatus.SUSPENDED}

    async def _remove_what_is_not_ours(self, key_id: KeyId, by: By) -> None:
        """Remove what carries a key's marker beside its record; of a key that is over, all."""
        record = self._ledger.records.get(key_id)
        async with self._turns.turn(self._clock()):
            if record is None:
                await self._steps.remove_unknown(key_id)
            else:
                await self._steps.remove_spares(record)
        await self._ledger.log(self._line_about(key_id, record, by))

    def _line_about(self, key_id: KeyId, record: KeyRecord | None, by: By) -> AuditLine:
        """Write for the audit log that something was removed that is in no record."""
        action, outcome = Fix.REMOVE_AT_SALTO.value, "done"
        if record is not None:
            return self._steps.line(record, action, outcome, by)
        return AuditLine(
            at=self._clock(),
            action=action,
            outcome=outcome,
            key_id=key_id,
            who=by.who,
            reason=by.reason,
        )

    async def _restore(self, key_id: KeyId, seen: ObservedDetails | None, by: By) -> None:
        """Bring Salto back to what the ledger says of a key; a PIN that is missing comes last.

        It is a step of its own, as one whose answer was lost has to be replaced by another.
        """
        record = self._live(key_id)
        self._check_active()
        await self._begin_and_carry_out(IntentKind.RESTORE, record, by)
        if seen is not None and seen.has_pin is False:
            await self._begin_and_carry_out(IntentKind.ROTATE, self._live(key_id), by)
        await self._keep_membership(key_id)

    async def _adopt(self, outcome: Outcome, key_id: KeyId, compared: Compared, by: By) -> None:
        """Take into the ledger what Salto has of a key. Raises KeyRefusedError where it cannot."""
        if outcome is Outcome.UNKNOWN_AT_SALTO:
            record = await self._adoption.record_of(key_id, compared.observed)
        else:
            known, seen = self._live(key_id), compared.details.get(key_id)
            record = None
            if seen is not None:
                record = adopted(known, outcome, seen, by_hand=bool(by.who))
        if record is None:
            raise KeyRefusedError(KeyRefusal.NOTHING_TO_ADOPT, key_id=key_id)
        await self._steps.adopt(record, by)

    def _note_mended(self, key_id: KeyId, outcomes: Collection[Outcome]) -> None:
        """Have the last comparison list no more what is not so any more."""
        last = self.last_pass
        if last is None:
            return
        left = tuple(
            one for one in last.plan.findings if one.key_id != key_id or one.outcome not in outcomes
        )
        self.last_pass = replace(last, plan=replace(last.plan, findings=left))

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

    def _check_may(self, by: By) -> None:
        """Refuse to begin what could not be written down, or what nobody asks for in a hold."""
        self._check_ledger()
        if self._ledger.hold is not None and not by.who:
            raise KeyRefusedError(KeyRefusal.READ_ONLY)

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

    def _is_locked(self, key_id: KeyId) -> bool:
        """Tell whether something is being done to a key."""
        lock = self._keys.get(key_id)
        return lock is not None and lock.locked()

    def _is_time_for(
        self,
        key_id: KeyId,
        now: datetime,
        chore: Chore | None = None,
        record: KeyRecord | None = None,
    ) -> bool:
        """Tell whether what is to be done to a key does not have to wait.

        What the window asks for waits for its own failures only: the end for a removal that was
        refused, and not for a new guest or what is left of an old one.
        """
        match chore:
            case Chore.END:
                waits = record is not None and KeyWarning.NOT_REMOVED in record.warnings
            case Chore.JOIN | Chore.LEAVE:
                waits = key_id in self._failures
            case _:
                waits = True
        return not waits or self._not_before.get(key_id, now) <= now

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
        task = self._spawn_tracked(work, name)
        await asyncio.wait({task})
        if task.cancelled():
            raise KeyRefusedError(KeyRefusal.UNLOADING)
        return task.result()

    def _run(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        """Do work in the background, unless the manager is at its end.

        What it fails with is kept or tried again elsewhere.
        """
        if self._closed:
            work.close()
            return

        async def quietly() -> None:
            try:
                await work
            except (*_PASSING, StorageError) as err:
                LOGGER.debug("%s: %s", name, type(err).__name__)

        self._spawn_tracked(quietly(), name)

    def _spawn_tracked[T](self, work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        """Begin a task that the end of the manager waits for."""
        task: asyncio.Task[T] = self._spawn(work, f"salto_ks {name}")
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

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


def _was_asked_for(intent: Intent, hold: Hold) -> bool:
    """Tell whether a person has asked for something since nothing is done by itself."""
    return bool(intent.who) and intent.started_at >= hold.since


def _is_all_told(key_id: KeyId, compared: Compared, before: Collection[Outcome] | None) -> bool:
    """Tell whether a look at a key would have shown what was found about it `before`.

    After a start nobody knows what that was. Where Salto never shows all of a key, what it does
    show has to do.
    """
    record = compared.recorded.get(key_id)
    if not before and record is not None and KeyWarning.NOT_OBSERVABLE not in record.warnings:
        before = IN_DETAILS
    return compared.tells(key_id, before or ())


def _doubtful(last: Pass | None) -> frozenset[KeyId]:
    """Return the keys that the last comparison has left different."""
    findings = () if last is None else last.discrepancies
    return frozenset(one.key_id for one in findings if one.key_id is not None)


def _needed_at(intent: Intent) -> datetime:
    """Return how urgent an intent is: what takes access away goes first."""
    if intent.kind in {IntentKind.REVOKE, IntentKind.SUSPEND}:
        return intent.started_at
    return max(intent.record.window.starts_at, intent.started_at)
