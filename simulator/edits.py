"""Changing the world by hand, as an installer, a vandal or the vendor would."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from .codec import decode, field_types
from .codes import activation_for
from .dice import Dice
from .errors import MisfitError, UnknownRecordError
from .world import (
    AccessGroup,
    Account,
    GroupId,
    Iq,
    IqId,
    Lock,
    LockId,
    Person,
    PlatformUserId,
    Record,
    Schedule,
    ScheduleId,
    Site,
    SiteId,
    SiteUser,
    SiteUserId,
    World,
    without,
)

type Kind = Literal["lock", "iq", "site", "user", "group", "schedule", "account", "person"]

KINDS: Mapping[str, type[Record]] = {
    "lock": Lock,
    "iq": Iq,
    "site": Site,
    "user": SiteUser,
    "group": AccessGroup,
    "schedule": Schedule,
    "account": Account,
    "person": Person,
}


_FIXED = frozenset({"id", "site_id", "user_id", "group_id"})
"""What holds records together and cannot be set."""


class Edits:
    """Set fields of a record, add one, remove one.

    Everything goes through the records, so doors hear of a change as late as of any other.
    Raises UnknownRecordError for an id that does not exist and MisfitError for anything that does
    not fit.
    """

    def __init__(self, world: World, dice: Dice, now: datetime, site_id: SiteId) -> None:
        self._world = world
        self._dice = dice
        self._now = now
        self._site_id = site_id

    def find(self, kind: str, record_id: str) -> Record:
        """Return a record."""
        table: Mapping[Any, Record] = self._world.table(_record_type(kind))
        if record_id not in table:
            raise UnknownRecordError(f"no {kind} {record_id}")
        return table[record_id]

    def records(self, kind: str) -> list[Record]:
        """Return all records of a kind."""
        return list(self._world.table(_record_type(kind)).values())

    def set(self, kind: str, record_id: str, changes: Mapping[str, Any]) -> Record:
        """Assign fields of a record; nothing is assigned if one of them does not fit."""
        record = self.find(kind, record_id)
        steps = [self._step(record, name, value) for name, value in changes.items()]
        for step in steps:
            step()
        return record

    def add(self, kind: str, values: Mapping[str, Any]) -> Record:
        """Add a record. What is not given is made up: ids, names, the main site, its first IQ."""
        if kind == "user":
            return self._add_user(dict(values))
        record_type = _record_type(kind)
        hints = field_types(record_type)
        filled = self._defaults(kind, values) | dict(values)
        unknown = sorted(set(filled) - set(hints))
        if unknown:
            raise MisfitError(f"a {kind} has no {', '.join(unknown)}")
        decoded = {name: decode(hints[name], value) for name, value in filled.items()}
        try:
            record = record_type(**decoded)
        except TypeError as error:
            raise MisfitError(f"a {kind} needs more: {error}") from error
        self._note_offline(record)
        return self._world.insert(record)

    def remove(self, kind: str, record_id: str) -> None:
        """Take a record out, with what hangs on it."""
        record = self.find(kind, record_id)
        if isinstance(record, Site):
            self._empty(record)
        elif isinstance(record, Iq):
            for lock in [lock for lock in self._world.locks.values() if lock.iq_id == record.id]:
                lock.iq_id = None
                lock.iq_link_state = "detached"
        elif isinstance(record, Lock):
            for group in self._world.groups_of(record.site_id):
                group.lock_ids = without(group.lock_ids, [record.id])
        elif isinstance(record, SiteUser):
            self._world.leave_groups(record)
        elif isinstance(record, AccessGroup):
            for schedule in self._world.schedules_of(record.id):
                self._world.discard(schedule)
        self._world.discard(record)

    def _empty(self, site: Site) -> None:
        """Remove everything on a site."""
        world = self._world
        parts: tuple[tuple[str, Iterable[Any]], ...] = (
            ("group", world.groups_of(site.id)),
            ("lock", world.locks_of(site.id)),
            ("iq", world.iqs_of(site.id)),
            ("user", world.users_of(site.id)),
        )
        for kind, records in parts:
            for record in records:
                self.remove(kind, record.id)

    def activate(self, username: str, iq_id: str, secret: str, pin: str) -> None:
        """Make an account active on an IQ with this secret and PIN, as an app would."""
        account, iq = self._account_and_iq(username, iq_id)
        activation = activation_for(self._world, account.user_id, iq.id)
        activation.secret = secret
        activation.pin = pin
        activation.activated = True
        activation.activation_date = self._now
        activation.failures = {}
        activation.blocked_until = {}

    def deactivate(self, username: str, iq_id: str) -> None:
        """Forget an account's secret and PIN on an IQ, as "Reset PIN" in the web app does."""
        account, iq = self._account_and_iq(username, iq_id)
        activation = self._world.activation(account.user_id, iq.id)
        if activation is not None:
            self._world.discard(activation)

    def _account_and_iq(self, username: str, iq_id: str) -> tuple[Account, Iq]:
        account = self._world.accounts.get(username)
        iq = self._world.iqs.get(IqId(iq_id))
        if account is None or iq is None:
            raise UnknownRecordError(f"no account {username} or no iq {iq_id}")
        return account, iq

    def _step(self, record: Record, name: str, value: Any) -> Callable[[], None]:
        """Return the assignment of one field, checked and not yet done."""
        if isinstance(record, Iq) and name == "activated_elsewhere":
            active = decode(bool, value)
            return lambda: self._activate_all(record, active=active)
        if isinstance(record, SiteUser) and name == "roles":
            role_ids = tuple(self._role_id(record.site_id, code) for code in value)
            return lambda: setattr(record, "role_ids", role_ids)
        target = record
        if isinstance(record, SiteUser) and name not in field_types(SiteUser):
            target = self._world.people[record.user_id]
        hints = field_types(type(target))
        if name not in hints or name in _FIXED | {target.key_field}:
            raise MisfitError(f"{name} cannot be set")
        decoded = decode(hints[name], value)
        return lambda: setattr(target, name, decoded)

    def _activate_all(self, iq: Iq, *, active: bool) -> None:
        """Activate every account of the site on an IQ with a PIN nobody is told, or reset all."""
        for account in self._world.accounts.values():
            if self._world.user_by_platform_id(iq.site_id, account.user_id) is None:
                continue
            if active:
                secret, pin = self._dice.secret(), self._dice.digits(4)
                self.activate(account.username, iq.id, secret, pin)
            else:
                self.deactivate(account.username, iq.id)

    def _role_id(self, site_id: SiteId, code: str) -> Any:
        try:
            return self._world.role(site_id, code).id
        except LookupError as error:
            raise MisfitError(str(error)) from error

    def _defaults(self, kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
        number = len(self._world.table(_record_type(kind))) + 1
        made_up: dict[str, Any] = {"customer_reference": f"{kind.capitalize()} {number}"}
        match kind:
            case "lock":
                site_id = values.get("site_id", self._site_id)
                first = next((iq.id for iq in self._world.iqs_of(site_id)), None)
                made_up |= {"id": LockId(self._dice.uuid()), "site_id": site_id, "iq_id": first}
            case "iq":
                made_up |= {"id": IqId(self._dice.uuid()), "site_id": self._site_id}
            case "site":
                owner = self._world.sites[self._site_id].owner_id
                made_up |= {
                    "id": SiteId(self._dice.uuid()),
                    "site_uid": f"NL{number:010d}",
                    "owner_id": owner,
                }
            case "group":
                made_up |= {
                    "id": GroupId(self._dice.uuid()),
                    "site_id": self._site_id,
                    "created_at": self._now - timedelta(days=1),
                }
            case "schedule":
                made_up = {"id": ScheduleId(self._dice.uuid())}
            case "person":
                made_up = {"id": PlatformUserId(self._dice.uuid())}
            case _:
                made_up = {}
        return made_up

    def _add_user(self, values: dict[str, Any]) -> Record:
        """Add a site user with a person of its own, a settled guest unless `roles` says other."""
        site_id = SiteId(values.pop("site_id", self._site_id))
        if site_id not in self._world.sites:
            raise UnknownRecordError(f"no site {site_id}")
        role_ids = tuple(
            self._role_id(site_id, code) for code in values.pop("roles", ["site_guest"])
        )
        person_hints = field_types(Person)
        user_hints = field_types(SiteUser)
        personal = {
            name: decode(person_hints[name], values.pop(name))
            for name in list(values)
            if name in person_hints and name not in user_hints
        }
        unknown = sorted(set(values) - set(user_hints))
        if unknown:
            raise MisfitError(f"a user has no {', '.join(unknown)}")
        own: dict[str, Any] = {
            name: decode(user_hints[name], value) for name, value in values.items()
        }
        user_id = own.pop("user_id", None)
        if user_id is None:
            person = Person(id=PlatformUserId(self._dice.uuid()), **personal)
            user_id = self._world.insert(person).id
        elif user_id not in self._world.people:
            raise UnknownRecordError(f"no person {user_id}")
        own.setdefault("id", SiteUserId(self._dice.uuid()))
        own.setdefault("created_at", self._now - timedelta(days=1))
        return self._world.insert(
            SiteUser(site_id=site_id, user_id=user_id, role_ids=role_ids, **own)
        )

    def _note_offline(self, record: Record) -> None:
        """Give a record that is added offline the moment from which it hears nothing."""
        if isinstance(record, (Lock, Iq)) and not record.online and record.offline_since is None:
            record.offline_since = self._now


def _record_type(kind: str) -> type[Record]:
    record_type = KINDS.get(kind)
    if record_type is None:
        raise MisfitError(f"a kind is one of {', '.join(KINDS)}, not {kind!r}")
    return record_type
