"""The simulated world: sites, IQs, locks, people and what they may open.

Records carry the vendor's field names, so that what a test writes is what a client reads.
Assigning a field of a record is seen by the world: doors learn of it in their own time (see
`rollout`), and a state file is written. Collections inside records are tuples for that reason:
they are replaced, never changed in place.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, ClassVar, Literal, NewType, Protocol
from zoneinfo import ZoneInfo

SiteId = NewType("SiteId", str)
IqId = NewType("IqId", str)
LockId = NewType("LockId", str)
SiteUserId = NewType("SiteUserId", str)
PlatformUserId = NewType("PlatformUserId", str)
RoleId = NewType("RoleId", str)
GroupId = NewType("GroupId", str)
ScheduleId = NewType("ScheduleId", str)
EntryId = NewType("EntryId", str)
LocalTime = NewType("LocalTime", datetime)
"""A naive datetime in the time zone of an IQ."""

KEYPAD_LOCK_TYPES = frozenset({"escutcheon_pin", "wall_reader_pin"})
"""Lock types that have a keypad. Evidence: MEAS."""

MANAGERS = frozenset({"site_owner", "site_admin"})
"""Codes of the roles that administer a site. Evidence: INF."""

UNKNOWN_PIN_USER = PlatformUserId("ffffffff-ffff-4fff-bfff-ffffffffffff")
"""The user id in an entry about a PIN nobody has: fixed, and no user's. Evidence: MEAS."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Listener(Protocol):
    """Somebody who wants to know what is assigned to a record."""

    def changed(self, record: Record, name: str, old: object) -> None:
        """Take note that a field has a new value."""


class Observer(Listener, Protocol):
    """Somebody who wants to know what happens to the world."""

    def added(self, record: Record) -> None:
        """Take note of a new record."""

    def removed(self, record: Record) -> None:
        """Take note that a record is gone."""


class Record:
    """A part of the world that tells its observer about every assignment."""

    __slots__ = ("observer",)
    observer: Listener | None
    key_field: ClassVar[str] = "id"
    waits: ClassVar[tuple[str, ...]] = ()
    """Fields that count from now, and so move along when the clock is set back."""

    @property
    def key(self) -> Any:
        """Return what the record is found by in its table."""
        return getattr(self, self.key_field)

    def shift(self, by: timedelta) -> None:
        """Move what the record is waiting for."""
        for name in self.waits:
            moment: datetime | None = getattr(self, name)
            if moment is not None:
                setattr(self, name, moment + by)

    def __setattr__(self, name: str, value: object) -> None:
        observer: Listener | None = getattr(self, "observer", None)
        if observer is None:
            object.__setattr__(self, name, value)
            return
        old = getattr(self, name)
        object.__setattr__(self, name, value)
        if old != value:
            observer.changed(self, name, old)


@dataclass(slots=True, kw_only=True)
class OAuthClient(Record):
    """An application known to the identity server."""

    key_field: ClassVar[str] = "client_id"

    client_id: str
    client_secret: str = field(repr=False)
    scopes: tuple[str, ...] = ("user_api.full_access",)
    grant_types: tuple[str, ...] = ("password",)


@dataclass(slots=True, kw_only=True)
class Account(Record):
    """A login: user name and password of one platform user."""

    key_field: ClassVar[str] = "username"

    username: str
    password: str = field(repr=False)
    user_id: PlatformUserId


@dataclass(slots=True, kw_only=True)
class Token(Record):
    """A bearer token that was handed out."""

    key_field: ClassVar[str] = "value"
    waits: ClassVar[tuple[str, ...]] = ("expires_at",)

    value: str = field(repr=False)
    username: str
    client_id: str
    expires_at: datetime


@dataclass(slots=True, kw_only=True)
class Person(Record):
    """A platform user: the same on every site. A guest is one without a profile."""

    id: PlatformUserId
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    language: str = "en"
    image_url: str | None = None
    tag_number: str | None = None
    has_profile: bool = False


@dataclass(slots=True, kw_only=True)
class Site(Record):
    """An installation. `subscribed_user_amount` is the number of seats it pays for."""

    id: SiteId
    site_uid: str
    customer_reference: str
    owner_id: PlatformUserId
    country_code: str = "NL"
    time_zone: str = "Europe/Amsterdam"
    pin_enabled: bool = True
    subscribed_user_amount: int = 25
    subscription_valid: bool = True
    subscription_type: str = "business"
    features: tuple[str, ...] = ("activity_log", "events_storage", "events_streaming", "nfc")
    installation_state: str = "released"
    mkey_compatible: bool = True
    events_ttl_days: int = 90


@dataclass(slots=True, kw_only=True)
class Iq(Record):
    """A gateway. `offline_since` is kept by the world when `online` changes."""

    waits: ClassVar[tuple[str, ...]] = ("offline_since",)

    id: IqId
    site_id: SiteId
    customer_reference: str
    time_zone: str = "Europe/Amsterdam"
    mac: str = "AA.BB.CC"
    operator: str | None = "Example Mobile"
    state: str = "active"
    restore_required: bool = False
    reset_date: datetime | None = None
    online: bool = True
    led_enabled: bool = True
    data_sync_state: str = "not_synced"
    signal_strength: int = 21
    revision: str = "2.0"
    otp_enabled: bool = True
    offline_since: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Lock(Record):
    """A lock. `open_time` is for how many seconds one opening lasts (1 to 240)."""

    waits: ClassVar[tuple[str, ...]] = ("offline_since", "relock_at")

    id: LockId
    site_id: SiteId
    iq_id: IqId | None
    customer_reference: str
    mac: str = "0000000000000A"
    floor: str | None = None
    locked_state: str = "locked"
    lock_type: str = "escutcheon_pin"
    online: bool = True
    iq_link_state: str = "attached"
    tag_registration_state: str = "not_started"
    battery_level: str = "fresh"
    left_open_alarm: bool = False
    intrusion_alarm: bool = False
    privacy_mode: bool = False
    communication_type: str = "blue_net"
    offline_access_keys_limit: int = 360
    offline_access_keys_count: int = 0
    open_time: int = 6
    relock_at: datetime | None = None
    offline_since: datetime | None = None

    @property
    def has_keypad(self) -> bool:
        """Tell whether a PIN can be entered at this door."""
        return self.lock_type in KEYPAD_LOCK_TYPES


@dataclass(slots=True, kw_only=True)
class Role(Record):
    """What a user may be on a site. A user needs at least one hierarchical role."""

    id: RoleId
    site_id: SiteId
    customer_reference: str
    code: str
    parent_id: RoleId | None = None
    is_hierarchical: bool = True


@dataclass(slots=True, kw_only=True)
class SiteUser(Record):
    """A person on a site. `id` is not the person's id: the vendor tells the two apart."""

    waits: ClassVar[tuple[str, ...]] = ("created_at", "deleted_at")

    id: SiteUserId
    site_id: SiteId
    user_id: PlatformUserId
    role_ids: tuple[RoleId, ...] = ()
    alias: str = ""
    toggle_easy_office_mode: bool = False
    toggle_manual_office_mode: bool = False
    remote_access: bool = False
    blocked: bool = False
    tag_owned_by_this_site: bool = False
    tag_id: str = ""
    subscription_state: Literal["subscribed", "suspended"] = "subscribed"
    override_privacy_mode: bool = False
    use_pin: bool = False
    data_removal_expires_at: datetime | None = None
    expires_at: datetime | None = None
    ownership_state: str = "none"
    pin: str | None = field(default=None, repr=False)
    pin_expiry_date: datetime | None = None
    created_at: datetime
    deleted_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class AccessGroup(Record):
    """Doors and the people who may open them. Without a schedule it reaches no door."""

    waits: ClassVar[tuple[str, ...]] = ("created_at",)

    id: GroupId
    site_id: SiteId
    customer_reference: str
    lock_ids: tuple[LockId, ...] = ()
    user_ids: tuple[PlatformUserId, ...] = ()
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class Schedule(Record):
    """When an access group holds, on the clock of the IQ. Dates are half-open to the minute."""

    id: ScheduleId
    group_id: GroupId
    monday: bool = True
    tuesday: bool = True
    wednesday: bool = True
    thursday: bool = True
    friday: bool = True
    saturday: bool = True
    sunday: bool = True
    start_time: time = time(0, 0)
    end_time: time = time(23, 59, 59)
    start_date: LocalTime | None = None
    end_date: LocalTime | None = None


@dataclass(slots=True, kw_only=True)
class Activation(Record):
    """What the service knows about one user on one IQ: secret, PIN, wrong codes."""

    user_id: PlatformUserId
    iq_id: IqId
    secret: str | None = field(default=None, repr=False)
    pin: str | None = field(default=None, repr=False)
    activated: bool = False
    activation_date: datetime | None = None
    failures: dict[str, int] = field(default_factory=dict)
    blocked_until: dict[str, datetime] = field(default_factory=dict)
    used_otps: dict[str, datetime] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> tuple[PlatformUserId, IqId]:
        """Return the user and the IQ: secret and PIN are of the two together (MEAS)."""
        return (self.user_id, self.iq_id)

    def shift(self, by: timedelta) -> None:
        """Move the ends of the blocks."""
        self.blocked_until = {name: until + by for name, until in self.blocked_until.items()}
        self.used_otps = {code: used + by for code, used in self.used_otps.items()}


@dataclass(slots=True, kw_only=True)
class Entry(Record):
    """One line of the door log, what the vendor calls an entry."""

    id: EntryId
    site_id: SiteId
    event_category: str
    event_detail: str | None
    utc_date_time: datetime
    lock_id: LockId
    user_id: PlatformUserId | None
    user_first_name: str | None = None
    user_last_name: str | None = None
    user_alias: str | None = None
    access_by: str
    access_detail: str = ""
    exit_requested: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """An IQ PIN that went out by e-mail or text message. `user` is the account's name."""

    iq_id: IqId
    user: str
    channel: Literal["email", "sms"]
    pin: str = field(repr=False)


@dataclass(slots=True, kw_only=True)
class World:
    """All records. Add and remove through `insert` and `discard`; assign fields as you like."""

    clients: dict[str, OAuthClient] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict, repr=False)
    people: dict[PlatformUserId, Person] = field(default_factory=dict)
    sites: dict[SiteId, Site] = field(default_factory=dict)
    iqs: dict[IqId, Iq] = field(default_factory=dict)
    locks: dict[LockId, Lock] = field(default_factory=dict)
    roles: dict[RoleId, Role] = field(default_factory=dict)
    users: dict[SiteUserId, SiteUser] = field(default_factory=dict)
    groups: dict[GroupId, AccessGroup] = field(default_factory=dict)
    schedules: dict[ScheduleId, Schedule] = field(default_factory=dict)
    activations: dict[tuple[PlatformUserId, IqId], Activation] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    held_entries: list[Entry] = field(default_factory=list)
    outbox: list[Delivery] = field(default_factory=list)

    # Who listens is no part of the world, so these are left out of a saved one.
    revision: int = field(default=0, compare=False, metadata={"saved": False})
    observers: list[Observer] = field(
        default_factory=list, repr=False, compare=False, metadata={"saved": False}
    )
    on_entry: Callable[[Entry], None] | None = field(
        default=None, repr=False, compare=False, metadata={"saved": False}
    )
    """Called with each line that reaches the door log."""

    def watch(self) -> None:
        """Attach to the records that are there already (a world built or loaded as a whole)."""
        for table in self._tables().values():
            for record in table.values():
                record.observer = self

    def _tables(self) -> dict[type[Record], dict[Any, Any]]:
        return {
            OAuthClient: self.clients,
            Account: self.accounts,
            Token: self.tokens,
            Person: self.people,
            Site: self.sites,
            Iq: self.iqs,
            Lock: self.locks,
            Role: self.roles,
            SiteUser: self.users,
            AccessGroup: self.groups,
            Schedule: self.schedules,
            Activation: self.activations,
        }

    def changed(self, record: Record, name: str, old: object) -> None:
        """Pass an assignment on to whoever listens."""
        self.revision += 1
        for observer in self.observers:
            observer.changed(record, name, old)

    def touch(self) -> None:
        """Note a change that is not an assignment (a counter inside an activation)."""
        self.revision += 1

    def insert[T: Record](self, record: T) -> T:
        """Add a record and return it."""
        self._tables()[type(record)][record.key] = record
        record.observer = self
        self.revision += 1
        for observer in self.observers:
            observer.added(record)
        return record

    def discard(self, record: Record) -> None:
        """Take a record out; a second time does nothing."""
        if self._tables()[type(record)].pop(record.key, None) is None:
            return
        record.observer = None
        self.revision += 1
        for observer in self.observers:
            observer.removed(record)

    def append_entry(self, entry: Entry, *, held: bool) -> None:
        """Add a line to the door log, or keep it at the door until that is reached again."""
        if held:
            self.held_entries.append(entry)
            self.revision += 1
        else:
            self._log(entry)

    def _log(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.revision += 1
        if self.on_entry is not None:
            self.on_entry(entry)

    def deliver_held_entries(self) -> None:
        """Move lines of doors that can be reached again into the log."""
        held, self.held_entries = self.held_entries, []
        for entry in held:
            lock = self.locks.get(entry.lock_id)
            if lock and self.reachable(lock):
                self._log(entry)
            else:
                self.held_entries.append(entry)

    def deliver_pin(self, delivery: Delivery) -> None:
        """Put an IQ PIN into the outbox."""
        self.outbox.append(delivery)
        self.revision += 1

    def table(self, kind: type[Record]) -> dict[Any, Any]:
        """Return all records of a type by their keys."""
        return self._tables()[kind]

    def waiting(self) -> Iterator[Record]:
        """Yield all records that may be waiting for something."""
        for table in self._tables().values():
            yield from table.values()

    def leave_groups(self, user: SiteUser) -> None:
        """Take a user out of every access group of its site."""
        for group in self.groups_of(user.site_id):
            if user.user_id in group.user_ids:
                group.user_ids = without(group.user_ids, [user.user_id])

    def iq_of(self, lock: Lock) -> Iq | None:
        """Return the IQ that a lock hangs on, None for a detached one."""
        return None if lock.iq_id is None else self.iqs.get(lock.iq_id)

    def reachable(self, lock: Lock) -> bool:
        """Tell whether the service and the lock can talk now."""
        iq = self.iq_of(lock)
        return lock.online and iq is not None and iq.online

    def zone_of(self, entry: Entry) -> ZoneInfo:
        """Return the time zone of a line's IQ, that of the site for a door without one."""
        lock = self.locks.get(entry.lock_id)
        iq = None if lock is None else self.iq_of(lock)
        return ZoneInfo(self.sites[entry.site_id].time_zone if iq is None else iq.time_zone)

    def iqs_of(self, site_id: SiteId) -> list[Iq]:
        """Return a site's IQs."""
        return [iq for iq in self.iqs.values() if iq.site_id == site_id]

    def locks_of(self, site_id: SiteId) -> list[Lock]:
        """Return a site's locks."""
        return [lock for lock in self.locks.values() if lock.site_id == site_id]

    def users_of(self, site_id: SiteId) -> list[SiteUser]:
        """Return a site's users, the deleted ones that can still be read among them."""
        return [user for user in self.users.values() if user.site_id == site_id]

    def groups_of(self, site_id: SiteId) -> list[AccessGroup]:
        """Return a site's access groups."""
        return [group for group in self.groups.values() if group.site_id == site_id]

    def schedules_of(self, group_id: GroupId) -> list[Schedule]:
        """Return an access group's time schedules."""
        return [item for item in self.schedules.values() if item.group_id == group_id]

    def roles_of(self, site_id: SiteId) -> list[Role]:
        """Return the roles a site knows."""
        return [role for role in self.roles.values() if role.site_id == site_id]

    @property
    def guests(self) -> list[SiteUser]:
        """The users with the guest role, of all sites."""
        return [user for user in self.users.values() if "site_guest" in self.role_codes(user)]

    def role_codes(self, user: SiteUser) -> frozenset[str]:
        """Return the codes of a user's roles."""
        return frozenset(self.roles[role].code for role in user.role_ids if role in self.roles)

    def role(self, site_id: SiteId, code: str) -> Role:
        """Return a site's role by its code. Raises LookupError if absent."""
        for role in self.roles.values():
            if role.site_id == site_id and role.code == code:
                return role
        raise LookupError(f"no role {code}")

    def user_by_platform_id(self, site_id: SiteId, user_id: PlatformUserId) -> SiteUser | None:
        """Return the site user that a person is, deleted ones excepted."""
        for user in self.users.values():
            if user.user_id == user_id and user.site_id == site_id and user.deleted_at is None:
                return user
        return None

    def seats_used(self, site_id: SiteId) -> int:
        """Count subscribed users. A deleted one counts no longer, an expired one does (MEAS)."""
        return sum(
            user.subscription_state == "subscribed" and user.deleted_at is None
            for user in self.users.values()
            if user.site_id == site_id
        )

    def seat_free(self, site: Site) -> bool:
        """Tell whether one more user can be subscribed."""
        return self.seats_used(site.id) < site.subscribed_user_amount

    def activation(self, user_id: PlatformUserId, iq_id: IqId) -> Activation | None:
        """Return what is known about a user on an IQ, if anything."""
        return self.activations.get((user_id, iq_id))

    def pins_in_use(self, site_id: SiteId) -> Iterator[str]:
        """Yield the keypad PINs of a site."""
        for user in self.users.values():
            if user.site_id == site_id and user.pin is not None and user.deleted_at is None:
                yield user.pin


def without[T](items: Iterable[T], gone: Iterable[T]) -> tuple[T, ...]:
    """Return the items that are not among those gone, in their order."""
    left_out = set(gone)
    return tuple(item for item in items if item not in left_out)


def events_ttl(site: Site) -> timedelta:
    """Return for how long a site keeps its door log."""
    return timedelta(days=site.events_ttl_days)
