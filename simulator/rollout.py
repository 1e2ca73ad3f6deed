"""What the doors know, and since when.

The service is told at once, the doors later: each fact (a PIN, a membership, a door of a group, a
schedule) reaches them some time after it was written, and only while they can be reached. Every
fact therefore keeps its history, and a door looks at it as of the moment it last heard anything.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from .clock import Clock
from .quirks import Quirks
from .schedule import ScheduleRule
from .world import (
    AccessGroup,
    GroupId,
    Lock,
    LockId,
    PlatformUserId,
    Record,
    Schedule,
    ScheduleId,
    SiteId,
    SiteUser,
    SiteUserId,
    World,
)

ALWAYS = datetime.min.replace(tzinfo=UTC)
FOREVER = datetime.max.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)
SWEEP_EVERY = 2_000
"""Writes between two clean-ups of what is gone everywhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFact:
    """What a door keeps about a user with a PIN."""

    site_id: SiteId
    user_id: PlatformUserId
    pin: str = field(repr=False)
    use_pin: bool
    blocked: bool
    suspended: bool
    override_privacy_mode: bool
    expires_at: datetime | None
    pin_expiry_date: datetime | None


class History[T]:
    """The values of one fact in the order of writing, each with when it reaches the doors."""

    __slots__ = ("versions",)

    def __init__(self, versions: list[tuple[datetime, T | None]] | None = None) -> None:
        self.versions: list[tuple[datetime, T | None]] = [] if versions is None else versions

    def known(self, moment: datetime) -> T | None:
        """Return the value as of a moment. What was written later supersedes, once it is there."""
        for since, value in reversed(self.versions):
            if since <= moment:
                return value
        return None

    def written(self) -> T | None:
        """Return the value as the service has it."""
        return self.versions[-1][1] if self.versions else None

    def prune(self, horizon: datetime) -> None:
        """Forget what every door has replaced by something later."""
        for index in range(len(self.versions) - 1, 0, -1):
            if self.versions[index][0] <= horizon:
                del self.versions[:index]
                return

    def shift(self, by: timedelta) -> None:
        """Move all instants but those from ever."""
        self.versions = [
            (since if since == ALWAYS else since + by, value) for since, value in self.versions
        ]

    @property
    def over(self) -> bool:
        """Tell whether nothing is left to know."""
        return all(value is None for _, value in self.versions)


class RollOut:
    """The histories of all facts, kept up by watching the world."""

    def __init__(self, world: World, clock: Clock, quirks: Quirks) -> None:
        self.world = world
        self._clock = clock
        self._quirks = quirks
        self.users: dict[SiteUserId, History[UserFact]] = {}
        self.members: dict[tuple[GroupId, PlatformUserId], History[bool]] = {}
        self.doors: dict[tuple[GroupId, LockId], History[bool]] = {}
        self.schedules: dict[tuple[GroupId, ScheduleId], History[ScheduleRule]] = {}
        self._users_of_pin: dict[tuple[SiteId, str], set[SiteUserId]] = {}
        self._groups_of_door: dict[LockId, set[GroupId]] = {}
        self._schedules_of_group: dict[GroupId, set[ScheduleId]] = {}
        self._writes = 0
        self._stamped = ALWAYS

    def stamp(self) -> datetime:
        """Return now, but never the same twice: what comes later in one instant is later."""
        self._stamped = max(self._clock.now(), self._stamped + _TICK)
        return self._stamped

    def shift(self, by: timedelta) -> None:
        """Move everything that is under way, because the clock was set back."""
        self._stamped = max(ALWAYS - by, self._stamped) + by
        for table in (self.users, self.members, self.doors, self.schedules):
            for history in table.values():
                history.shift(by)

    def take_baseline(self) -> None:
        """Take everything in the world as known at every door already."""
        for user in self.world.users.values():
            self._write_user(user.id, _user_fact(user), ALWAYS)
        for group in self.world.groups.values():
            for lock_id in group.lock_ids:
                self._write_door(group.id, lock_id, True, ALWAYS)
            for user_id in group.user_ids:
                self._write_member(group.id, user_id, True, ALWAYS)
        for schedule in self.world.schedules.values():
            self._write_schedule(schedule, ScheduleRule.of(schedule), ALWAYS)

    def index(self) -> None:
        """Rebuild what is found by PIN, door and group from the histories (after loading)."""
        for user, history in self.users.items():
            for _, fact in history.versions:
                if fact is not None:
                    self._users_of_pin.setdefault((fact.site_id, fact.pin), set()).add(user)
        for group_id, lock_id in self.doors:
            self._groups_of_door.setdefault(lock_id, set()).add(group_id)
        for group_id, schedule_id in self.schedules:
            self._schedules_of_group.setdefault(group_id, set()).add(schedule_id)

    # Reading

    def heard_at(self, lock: Lock) -> datetime:
        """Return until when a door has heard from the service: now, or when it was cut off."""
        moments = [max(self._clock.now(), self._stamped)]
        iq = self.world.iq_of(lock)
        if lock.offline_since is not None:
            moments.append(lock.offline_since)
        if iq is not None and iq.offline_since is not None:
            moments.append(iq.offline_since)
        return min(moments)

    def users_with_pin(
        self, site_id: SiteId, pin: str, moment: datetime
    ) -> Iterator[tuple[SiteUserId, UserFact]]:
        """Yield the users that a PIN belongs to, as of a moment."""
        for user in sorted(self._users_of_pin.get((site_id, pin), ())):
            fact = self.users[user].known(moment) if user in self.users else None
            if fact is not None and fact.pin == pin:
                yield user, fact

    def groups_with(
        self, lock_id: LockId, user_id: PlatformUserId, moment: datetime
    ) -> Iterator[GroupId]:
        """Yield the access groups that join a door and a person, as of a moment."""
        for group in sorted(self._groups_of_door.get(lock_id, ())):
            door = self.doors.get((group, lock_id))
            member = self.members.get((group, user_id))
            if door and member and door.known(moment) and member.known(moment):
                yield group

    def schedules_of(self, group_id: GroupId, moment: datetime) -> Iterator[ScheduleRule]:
        """Yield the time schedules of a group, as of a moment."""
        for schedule in sorted(self._schedules_of_group.get(group_id, ())):
            rule = self.schedules[(group_id, schedule)].known(moment)
            if rule is not None:
                yield rule

    def sweep(self) -> None:
        """Forget what is gone everywhere, so that a long run does not grow for ever."""
        horizon = self._horizon()
        for user in list(self.users):
            self._settle_user(user, horizon)
        for door in list(self.doors):
            self._settle_door(door, horizon)
        for member in list(self.members):
            self._settle_member(member, horizon)
        for schedule in list(self.schedules):
            self._settle_schedule(schedule, horizon)

    # Writing, called by the world

    def added(self, record: Record) -> None:
        """Roll a new record out."""
        if isinstance(record, SiteUser):
            self._write_user(record.id, _user_fact(record), self._at(self._quirks.change_rollout_s))
        elif isinstance(record, Schedule):
            self._roll_schedule(record, ScheduleRule.of(record))
        elif isinstance(record, AccessGroup):
            self._roll_group(record, (), ())

    def changed(self, record: Record, name: str, old: object) -> None:
        """Roll a change out."""
        if isinstance(record, SiteUser):
            self._write_user(record.id, _user_fact(record), self._at(self._quirks.change_rollout_s))
        elif isinstance(record, Schedule):
            self._roll_schedule(record, ScheduleRule.of(record))
        elif isinstance(record, AccessGroup) and isinstance(old, tuple):
            self._roll_group(
                record,
                old if name == "lock_ids" else record.lock_ids,
                old if name == "user_ids" else record.user_ids,
            )

    def removed(self, record: Record) -> None:
        """Roll a removal out."""
        if isinstance(record, SiteUser):
            self._write_user(record.id, None, self._at(self._quirks.change_rollout_s))
        elif isinstance(record, Schedule):
            self._roll_schedule(record, None)
        elif isinstance(record, AccessGroup):
            for lock_id in record.lock_ids:
                self._write_door(record.id, lock_id, False, self._at(self._quirks.change_rollout_s))
            for user_id in record.user_ids:
                self._write_member(
                    record.id, user_id, False, self._at(self._quirks.member_rollout_s)
                )

    def _at(self, delay_s: float) -> datetime:
        stamp = self.stamp()
        return self._clock.now() + timedelta(seconds=delay_s) if delay_s else stamp

    def _horizon(self) -> datetime:
        """Return the earliest moment that any door still looks back to."""
        cut_off = [
            record.offline_since
            for table in (self.world.locks, self.world.iqs)
            for record in table.values()
            if record.offline_since is not None
        ]
        return min([max(self._clock.now(), self._stamped), *cut_off])

    def _roll_schedule(self, schedule: Schedule, rule: ScheduleRule | None) -> None:
        self._write_schedule(schedule, rule, self._at(self._quirks.schedule_rollout_s))

    def _roll_group(
        self,
        group: AccessGroup,
        old_locks: tuple[LockId, ...],
        old_users: tuple[PlatformUserId, ...],
    ) -> None:
        since = self._at(self._quirks.change_rollout_s)
        for lock_id in set(old_locks) ^ set(group.lock_ids):
            self._write_door(group.id, lock_id, lock_id in group.lock_ids, since)
        since = self._at(self._quirks.member_rollout_s)
        for user_id in set(old_users) ^ set(group.user_ids):
            self._write_member(group.id, user_id, user_id in group.user_ids, since)

    def _count_write(self) -> None:
        self._writes += 1
        if self._writes % SWEEP_EVERY == 0:
            self.sweep()

    def _write_user(self, user: SiteUserId, fact: UserFact | None, since: datetime) -> None:
        history = self.users.setdefault(user, History())
        if history.versions and history.written() == fact:
            return
        history.versions.append((since, fact))
        if fact is not None:
            self._users_of_pin.setdefault((fact.site_id, fact.pin), set()).add(user)
        self._settle_user(user, self._horizon())
        self._count_write()

    def _settle_user(self, user: SiteUserId, horizon: datetime) -> None:
        history = self.users[user]
        before = _pins(history)
        history.prune(horizon)
        for gone in before - _pins(history):
            self._users_of_pin[gone].discard(user)
            if not self._users_of_pin[gone]:
                del self._users_of_pin[gone]
        if history.over:
            del self.users[user]

    def _write_door(self, group: GroupId, lock: LockId, inside: bool, since: datetime) -> None:
        self.doors.setdefault((group, lock), History()).versions.append((since, inside or None))
        self._groups_of_door.setdefault(lock, set()).add(group)
        self._settle_door((group, lock), self._horizon())
        self._count_write()

    def _settle_door(self, key: tuple[GroupId, LockId], horizon: datetime) -> None:
        self.doors[key].prune(horizon)
        if self.doors[key].over:
            del self.doors[key]
            self._groups_of_door[key[1]].discard(key[0])

    def _write_member(
        self, group: GroupId, user: PlatformUserId, inside: bool, since: datetime
    ) -> None:
        self.members.setdefault((group, user), History()).versions.append((since, inside or None))
        self._settle_member((group, user), self._horizon())
        self._count_write()

    def _settle_member(self, key: tuple[GroupId, PlatformUserId], horizon: datetime) -> None:
        self.members[key].prune(horizon)
        if self.members[key].over:
            del self.members[key]

    def _write_schedule(
        self, schedule: Schedule, rule: ScheduleRule | None, since: datetime
    ) -> None:
        key = (schedule.group_id, schedule.id)
        self.schedules.setdefault(key, History()).versions.append((since, rule))
        self._schedules_of_group.setdefault(schedule.group_id, set()).add(schedule.id)
        self._settle_schedule(key, self._horizon())
        self._count_write()

    def _settle_schedule(self, key: tuple[GroupId, ScheduleId], horizon: datetime) -> None:
        self.schedules[key].prune(horizon)
        if self.schedules[key].over:
            del self.schedules[key]
            self._schedules_of_group[key[0]].discard(key[1])


def _pins(history: History[UserFact]) -> set[tuple[SiteId, str]]:
    return {(fact.site_id, fact.pin) for _, fact in history.versions if fact is not None}


def _user_fact(user: SiteUser) -> UserFact | None:
    if user.pin is None or user.deleted_at is not None:
        return None
    return UserFact(
        site_id=user.site_id,
        user_id=user.user_id,
        pin=user.pin,
        use_pin=user.use_pin,
        blocked=user.blocked,
        suspended=user.subscription_state != "subscribed",
        override_privacy_mode=user.override_privacy_mode,
        expires_at=user.expires_at,
        pin_expiry_date=user.pin_expiry_date,
    )
