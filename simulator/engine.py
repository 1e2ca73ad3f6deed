"""The simulated service without its web server: the world and all that acts on it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .clock import Clock
from .codec import decode, encode, field_types
from .dice import Dice
from .doors import log_keypad, open_for_a_moment, relock_if_due
from .edits import Edits
from .errors import MisfitError, UnknownRecordError
from .faults import Faults
from .hub import Hub
from .journal import Journal
from .keypad import Keypad, KeypadResult
from .quirks import Quirks
from .rollout import History, RollOut, UserFact
from .schedule import ScheduleRule
from .seeds import SeedName, build
from .world import (
    Account,
    Delivery,
    Entry,
    GroupId,
    Iq,
    Lock,
    LockId,
    PlatformUserId,
    Record,
    ScheduleId,
    Site,
    SiteUser,
    SiteUserId,
    World,
)

JITTER = timedelta(seconds=1)
"""How much a real clock may be corrected without counting as set back."""

FORMAT = 1
"""Version of a dumped world."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a world was begun, to begin it again."""

    seed: SeedName
    rng_seed: int
    doors: int | None
    users: int | None


class Engine:
    """A world with its clock, its quirks, and the tools of a test.

    Whatever depends on time (relocking, deleted users that fade) is brought up to date when
    `world` is looked at, and before each request.
    """

    def __init__(self, start: Start, quirks: Quirks, templates: Iterable[str] = ()) -> None:
        self._start = start
        self.quirks = quirks
        self.journal = Journal(templates)
        self.faults = Faults(templates)
        self.clock = Clock()
        self.hub = Hub(quirks)
        self.on_change: Callable[[], None] | None = None
        """Called when the world has changed, before the answer is sent."""
        self._begin()

    def _begin(self) -> None:
        start = self._start
        self.dice = Dice(f"{start.seed}/{start.rng_seed}")
        seeded = build(
            start.seed, self.dice, self.clock.now(), doors=start.doors, users=start.users
        )
        self._world = seeded.world
        self.client_id = seeded.client_id
        self.username = seeded.username
        self.site_id = seeded.site_id
        self.rollout = RollOut(self._world, self.clock, self.quirks)
        self.rollout.take_baseline()
        self._attach()

    def _attach(self) -> None:
        self._relocking: set[LockId] = set()
        self._leaving: set[SiteUserId] = set()
        for lock in self._world.locks.values():
            self._note(lock)
        for user in self._world.users.values():
            self._note(user)
        self._world.observers = [self, self.rollout]
        self._world.on_entry = self._push
        self._seen_at = self.clock.now()
        self._saved_revision = self._world.revision

    # Watching the world

    def changed(self, record: Record, name: str, old: object) -> None:
        """Keep track of what time will do, and of when a door was last heard."""
        if isinstance(record, (Lock, Iq)) and name == "online":
            record.offline_since = None if record.online else self.rollout.stamp()
            self._world.deliver_held_entries()
        self._note(record)

    def added(self, record: Record) -> None:
        """Keep track of a new record."""
        self._note(record)

    def removed(self, record: Record) -> None:
        """Nothing has to be done: what is gone is skipped."""

    def _push(self, entry: Entry) -> None:
        self.hub.push(entry, self._world)

    def _note(self, record: Record) -> None:
        if isinstance(record, Lock) and record.relock_at is not None:
            self._relocking.add(record.id)
        elif isinstance(record, SiteUser) and record.deleted_at is not None:
            self._leaving.add(record.id)

    @property
    def world(self) -> World:
        """The world as of now."""
        self.settle()
        return self._world

    def _follow_clock(self) -> datetime:
        """Return now; if the clock was set back, move along what is waiting for its time.

        Lags, blocks, tokens and what is on its way to the doors keep the time they have left.
        Dates that somebody chose, and the door log, stay as they are.
        """
        now = self.clock.now()
        by = now - self._seen_at
        self._seen_at = now
        if by < -JITTER:
            self.rollout.shift(by)
            for record in self._world.waiting():
                record.shift(by)
        return now

    def settle(self) -> None:
        """Let time do its work: relock doors, let deleted users fade."""
        now = self._follow_clock()
        for lock_id in list(self._relocking):
            lock = self._world.locks.get(lock_id)
            if lock is None or relock_if_due(lock, now):
                self._relocking.discard(lock_id)
        fading = timedelta(seconds=self.quirks.delete_lag_s)
        for user_id in list(self._leaving):
            user = self._world.users.get(user_id)
            if user is None or user.deleted_at is None:
                self._leaving.discard(user_id)
            elif user.deleted_at + fading <= now:
                self._forget(user)

    def _forget(self, user: SiteUser) -> None:
        self._world.discard(user)
        person = self._world.people.get(user.user_id)
        if person is not None and not person.has_profile:
            self._world.discard(person)

    def save(self, *, clock_moved: bool = False) -> None:
        """Tell whoever keeps the state, if anything has changed since the last time."""
        if self.on_change is None:
            return
        if clock_moved or self._saved_revision != self._world.revision:
            self._saved_revision = self._world.revision
            self.on_change()

    # The tools of a test

    @property
    def outbox(self) -> list[Delivery]:
        """The IQ PINs that went out, oldest first."""
        return self._world.outbox

    def keypad(self, lock_id: str, pin: str) -> KeypadResult:
        """Type a PIN at a door. Raises UnknownRecordError for a lock that does not exist."""
        world = self.world
        now = self.clock.now()
        lock = world.locks.get(LockId(lock_id))
        if lock is None:
            raise UnknownRecordError(f"no lock {lock_id}")
        keypad = Keypad(
            world=world,
            rollout=self.rollout,
            quirks=self.quirks,
            site=world.sites[lock.site_id],
            lock=lock,
        )
        decision = keypad.decide(pin, now)
        if decision.opened:
            open_for_a_moment(lock, now)
        log_keypad(world, self.dice, lock, now, decision)
        self.save()
        return KeypadResult("opened" if decision.opened else "rejected", decision.reason)

    @property
    def account(self) -> Account:
        """The service account of the seed."""
        return self._world.accounts[self.username]

    @property
    def site(self) -> Site:
        """The main site."""
        return self.world.sites[self.site_id]

    def seed_info(self) -> dict[str, Any]:
        """Return what a client needs to be set up, the secrets among it."""
        world = self.world
        site = world.sites[self.site_id]
        return {
            "client_id": self.client_id,
            "client_secret": world.clients[self.client_id].client_secret,
            "username": self.account.username,
            "password": self.account.password,
            "site_uid": site.site_uid,
            "site_id": site.id,
            "iqs": [{"id": iq.id, "name": iq.customer_reference} for iq in world.iqs_of(site.id)],
            "locks": [
                {
                    "id": lock.id,
                    "name": lock.customer_reference,
                    "lock_type": lock.lock_type,
                    "iq_id": lock.iq_id,
                }
                for lock in world.locks_of(site.id)
            ],
        }

    def _edits(self) -> Edits:
        return Edits(self.world, self.dice, self.clock.now(), self.site_id)

    def records(self, kind: str) -> list[Record]:
        """Return all records of a kind. Raises ValueError for an unknown kind."""
        return self._edits().records(kind)

    def set(self, kind: str, record_id: str, **changes: Any) -> Record:
        """Set fields of a record, see `edits.Edits.set`."""
        record = self._edits().set(kind, record_id, changes)
        self.save()
        return record

    def add(self, kind: str, values: Mapping[str, Any]) -> Record:
        """Add a record, see `edits.Edits.add`."""
        record = self._edits().add(kind, values)
        self.save()
        return record

    def remove(self, kind: str, record_id: str) -> None:
        """Remove a record, see `edits.Edits.remove`."""
        self._edits().remove(kind, record_id)
        self.save()

    def activate(
        self,
        iq_id: str,
        *,
        secret: str | None = None,
        pin: str | None = None,
        username: str | None = None,
    ) -> tuple[str, str]:
        """Activate an account (the service account) on an IQ and return secret and PIN.

        Raises UnknownRecordError for an IQ or account that does not exist.
        """
        chosen = (secret or self.dice.secret(), pin or self.dice.digits(4))
        self._edits().activate(username or self.username, iq_id, *chosen)
        self.save()
        return chosen

    def deactivate(self, iq_id: str, *, username: str | None = None) -> None:
        """Reset an account's PIN on an IQ, as an administrator does in the web app."""
        self._edits().deactivate(username or self.username, iq_id)
        self.save()

    def revoke_tokens(self) -> None:
        """Make every token handed out so far worthless."""
        for token in list(self._world.tokens.values()):
            self._world.discard(token)
        self.save()

    def reset(self) -> None:
        """Begin again: the seed's world, real time, no faults, an empty journal and outbox."""
        self.clock.offset = timedelta()
        self.journal.clear()
        self.faults.clear()
        self.hub.drop()
        self._begin()
        self._saved_revision = -1
        self.save()

    # Saving

    def dump(self) -> dict[str, Any]:
        """Return everything that outlives a restart as JSON data; secrets are in it."""
        return {
            "format": FORMAT,
            "start": encode(self._start),
            "quirks": self.quirks.as_pairs(),
            "clock_offset_s": self.clock.offset.total_seconds(),
            "dice": dict(self.dice.counters),
            "client_id": self.client_id,
            "username": self.username,
            "site_id": self.site_id,
            "world": encode(self.world),
            "rollout": {
                name: [
                    [encode(key), encode(history.versions)]
                    for key, history in getattr(self.rollout, name).items()
                ]
                for name in _ROLLOUT_TYPES
            },
        }

    def restore(self, start: Start, data: Mapping[str, Any]) -> None:
        """Become what was dumped."""
        self._start = start
        self.clock.offset = timedelta(seconds=data["clock_offset_s"])
        self.dice = Dice(f"{start.seed}/{start.rng_seed}", data["dice"])
        self.client_id = data["client_id"]
        self.username = data["username"]
        self.site_id = decode(field_types(Site)["id"], data["site_id"])
        self._world = decode(World, data["world"])
        self._world.watch()
        self.rollout = RollOut(self._world, self.clock, self.quirks)
        for name, (key_type, value_type) in _ROLLOUT_TYPES.items():
            setattr(
                self.rollout,
                name,
                {
                    decode(key_type, key): History(
                        [(_moment(since), decode(value_type, value)) for since, value in versions]
                    )
                    for key, versions in data["rollout"][name]
                },
            )
        self.rollout.index()
        self._attach()


def read_start(data: Mapping[str, Any]) -> tuple[Start, Quirks]:
    """Return how a dumped world was begun, and its quirks. Raises MisfitError for other data."""
    if data.get("format") != FORMAT:
        raise MisfitError("this is no world of this version of the simulator")
    start: Start = decode(Start, data["start"])
    return start, Quirks.from_pairs(data["quirks"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


_ROLLOUT_TYPES: Mapping[str, tuple[Any, Any]] = {
    "users": (SiteUserId, UserFact | None),
    "members": (tuple[GroupId, PlatformUserId], bool | None),
    "doors": (tuple[GroupId, LockId], bool | None),
    "schedules": (tuple[GroupId, ScheduleId], ScheduleRule | None),
}
