"""An office: a key manager with its ledger on real files, at a desk of the simulated service.

Its clockwork is in the hands of the test: `passes` lets time go by in ticks, as Home Assistant
would, and has the doors polled before each.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
import random
from typing import Any

from homeassistant.core import HomeAssistant

from custom_components.salto_ks.domain.ids import BookingId, DoorId, KeyId, PersonId
from custom_components.salto_ks.domain.key_requests import By, DoorFacts, KeyRequest
from custom_components.salto_ks.domain.keys import ENDED, KeyRecord, KeyStatus
from custom_components.salto_ks.domain.plan import Finding
from custom_components.salto_ks.keys.audit_log import AuditQuery
from custom_components.salto_ks.keys.ledger import Ledger
from custom_components.salto_ks.keys.manager import HandedOut, KeyManager, KeyRules, Pass
from custom_components.salto_ks.keys.news import KeyNews
from custom_components.salto_ks.keys.pin_cipher import PinCipher
from simulator import Quirks
from simulator.world import LockId

from .desk import HOUR, Desk, desk_of

RECEPTION = By(who="reception", reason="asked at the desk")
INSIDE_ONLY = (False, True, True, False)
"""What a PIN does a minute before its window, at its start, a minute before and after its end."""

TICK = timedelta(seconds=20)
A_MOMENT = timedelta(minutes=5)
"""Long enough for doors to hear of a removal, in ticks."""


class Office:
    """A manager and whoever deals with it."""

    def __init__(self, hass: HomeAssistant, desk: Desk, rules: KeyRules | None = None) -> None:
        """Sit at a desk; `open` makes the manager."""
        self.hass = hass
        self.desk = desk
        self.rules = rules or KeyRules()
        self.is_active = True
        self.news: list[KeyNews] = []
        self.passes_made: list[Pass] = []
        self.begun: list[KeyRecord] = []
        self.logins_refused = 0
        self.set_by = timedelta()
        """How far the clock was set, beyond the time that has gone by."""
        self.random = random.Random(1)  # noqa: S311 - repeatable
        self.tasks: set[asyncio.Task[Any]] = set()
        self.opened_at = desk.sim.clock.now().replace(second=0, microsecond=0)
        self._polled_at = self.opened_at
        self._reached_since: dict[DoorId, datetime | None] = {}
        self.ledger: Ledger
        self.cipher: PinCipher
        self.manager: KeyManager
        self.poll()

    async def open(self) -> Office:
        """Start a manager on what is on disk."""
        self.cipher = PinCipher(self.hass)
        await self.cipher.async_load()
        self.ledger = Ledger(self.hass, self.desk.site_id, self.cipher)
        await self.ledger.async_load()
        self.manager = KeyManager(
            ledger=self.ledger,
            cipher=self.cipher,
            provider=self.desk.provider,
            facts=self.facts,
            is_active=lambda: self.is_active,
            clock=self.desk.sim.clock.now,
            spawn=self.spawn,
            jitter=lambda: 1.0,
            random_below=self.random.randrange,
            rules=self.rules,
            tell=self.news.append,
            on_login_refused=self._note_refused_login,
            on_pass=self.passes_made.append,
            on_begun=self.begun.append,
            monotonic=self.monotonic,
        )
        return self

    def monotonic(self) -> float:
        """Tell the seconds of a clock that goes as time does, whatever the clock is set to."""
        return self.desk.sim.clock.now().timestamp() - self.set_by.total_seconds()

    async def restart(self, grace: float = 0) -> None:
        """Close the manager, and start another one on what is on disk."""
        await self.manager.close(grace)
        await self.hass.async_block_till_done()
        await self.open()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run a task that nobody waits for."""
        task = self.hass.async_create_background_task(work, name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _note_refused_login(self) -> None:
        self.logins_refused += 1

    # Doors

    def poll(self) -> None:
        """Look at all doors, as a poll does."""
        now, world = self.desk.sim.clock.now(), self.desk.sim.world
        self._polled_at = now
        for lock_id, lock in world.locks.items():
            iq = world.iq_of(lock)
            reached = lock.online and iq is not None and iq.online
            door = DoorId(lock_id)
            since = self._reached_since.get(door)
            self._reached_since[door] = (since or now) if reached else None

    def facts(self, door: DoorId) -> DoorFacts | None:
        """Tell what the last poll saw of a door."""
        world = self.desk.sim.world
        lock = world.locks.get(LockId(door))
        if lock is None:
            return None
        iq = world.iq_of(lock)
        return DoorFacts(
            name=lock.customer_reference,
            has_keypad=lock.has_keypad,
            online=lock.online,
            iq_online=iq is not None and iq.online,
            privacy_mode=lock.privacy_mode is True,
            office_mode=lock.locked_state == "office_mode",
            seen_at=self._polled_at,
            reached_since=self._reached_since.get(door),
        )

    # Time

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self.tasks:
            await asyncio.wait(self.tasks)
            await asyncio.sleep(0)

    async def tick(self) -> None:
        """Poll, have the manager look for what is due, and wait until that is done."""
        self.poll()
        await self.manager.tick()
        await self.settled()

    async def passes(self, lasts: timedelta, every: timedelta = TICK) -> None:
        """Let time pass, with a tick now and then."""
        until = self.desk.sim.clock.now() + lasts
        while (now := self.desk.sim.clock.now()) < until:
            await self.tick()
            if (left := until - max(now, self.desk.sim.clock.now())) > timedelta():
                self.desk.sim.clock.advance(min(left, every).total_seconds())
        await self.tick()

    async def comes(self, moment: datetime) -> None:
        """Jump to a moment, and see to what is due there."""
        self.desk.sim.clock.set(moment)
        await self.tick()

    # Words

    def request(
        self,
        *doors: DoorId,
        booking: str | None = None,
        starts_at: datetime | None = None,
        lasts: timedelta = 3 * HOUR,
        **more: Any,
    ) -> KeyRequest:
        """Ask for a key, by default for the first door two hours after the office was opened."""
        start = starts_at or self.opened_at + 2 * HOUR
        return KeyRequest(
            doors=frozenset(doors or self.desk.doors[:1]),
            starts_at=start,
            ends_at=start + lasts,
            booking_id=None if booking is None else BookingId(booking),
            **more,
        )

    async def issue(self, *doors: DoorId, **more: Any) -> HandedOut:
        """Have a key issued."""
        return await self.manager.issue(self.request(*doors, **more), RECEPTION)

    def record(self, key: HandedOut | KeyRecord | KeyId) -> KeyRecord:
        """Return a key as people see it."""
        match key:
            case HandedOut():
                key_id = key.record.key_id
            case KeyRecord():
                key_id = key.key_id
            case _:
                key_id = key
        found = self.manager.get(key_id)
        assert found is not None
        return found

    def told(self, key: HandedOut | KeyRecord | None = None) -> list[str]:
        """Return what was told, of one key if given: kind, and what changed or went wrong."""
        key_id = None if key is None else self.record(key).key_id
        return [
            " ".join(filter(None, (news.kind, news.change, news.problem)))
            for news in self.news
            if key_id is None or news.record.key_id == key_id
        ]

    def opens(self, key: HandedOut, door: DoorId | None = None, at: datetime | None = None) -> bool:
        """Type a key's PIN at a door, by default the first; the world stays as it is."""
        assert key.keypad_pin is not None
        with self.desk.aside():
            return self.desk.opens(door or self.desk.doors[0], key.keypad_pin, at)

    def edges(self, key: HandedOut, door: DoorId | None = None) -> tuple[bool, ...]:
        """Type a key's PIN around its window as it is now; the world stays as it is."""
        assert key.keypad_pin is not None
        with self.desk.aside():
            window = self.record(key).window
            return self.desk.edges(door or self.desk.doors[0], key.keypad_pin, window)

    def person_of(self, key: HandedOut) -> PersonId:
        """Return whom the door log names for a key."""
        guest = self.record(key).guest
        assert guest is not None
        return guest.person_id

    async def actions(self, key: HandedOut | KeyRecord) -> list[str]:
        """Return what the audit log has of a key, oldest first."""
        lines = await self.manager.audit(AuditQuery(key_id=self.record(key).key_id, limit=1000))
        return [f"{line.action}: {line.outcome}" for line in reversed(lines)]

    async def findings(self) -> list[str]:
        """Compare with Salto, changing nothing, and return what differs."""
        done = await self.manager.reconcile(dry_run=True)
        return [_described(one) for one in done.discrepancies]

    async def assert_agreed(self) -> None:
        """Hold ledger and Salto to agree: one guest and its groups for each live key, else nothing."""
        owned: set[str] = set()
        for record in self.ledger.records.values():
            guests, groups = self.desk.guests(record), self.desk.groups(record)
            owned |= {item.id for item in (*guests, *groups)}
            if record.status in ENDED or record.status is KeyStatus.REMOVING:
                assert (guests, groups) == ([], []), record
                continue
            assert record.guest is not None
            assert [guest.id for guest in guests] == [record.guest.id], record
            found = {group.id for group in groups}
            assert found == {group.id for group in record.groups}, (found, record)
        assert self.marked() == owned
        assert await self.findings() == []

    def marked(self) -> set[str]:
        """Return the ids of all guests and groups at Salto that carry a marker of ours."""
        world = self.desk.sim.world
        return {
            *(u.id for u in world.users.values() if "ha-" in u.alias and u.deleted_at is None),
            *(g.id for g in world.groups.values() if g.customer_reference.startswith("ha-")),
        }


def _described(finding: Finding) -> str:
    return f"{finding.outcome}: {finding.action}"


@asynccontextmanager
async def office_of(
    hass: HomeAssistant,
    quirks: Quirks | None = None,
    *,
    rules: KeyRules | None = None,
    **options: Any,
) -> AsyncIterator[Office]:
    """Open an office, and close it at the end."""
    async with desk_of(quirks, **options) as desk:
        office = await Office(hass, desk, rules).open()
        try:
            yield office
        finally:
            await office.manager.close(0)
            await office.settled()


async def outcome_of(work: Awaitable[object]) -> object:
    """Do some work, and return what it returns or raises."""
    try:
        return await work
    except Exception as err:  # noqa: BLE001 - the test looks at it
        return err


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds, in real time."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)


type Act = Callable[[Office, HandedOut], Awaitable[object]]
