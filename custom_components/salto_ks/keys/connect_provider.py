"""Keys by the Connect API: a guest with a PIN, in a group of doors with a dated schedule.

The guest's alias and the groups' names carry the key's marker, so that whatever an interrupted
step leaves behind can be found and belongs to somebody.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Final
from zoneinfo import ZoneInfo

from ..api.access import AccessApi
from ..api.access_models import AccessGroupId, ScheduleId, ScheduleTimes, SiteUser
from ..api.client import SaltoKsClient
from ..api.exceptions import (
    SaltoKsConnectionError,
    SaltoKsError,
    SaltoKsForbiddenError,
    SaltoKsNotFoundError,
    SaltoKsResponseError,
    SaltoKsServerError,
)
from ..api.models import LockId, PlatformUserId, SiteId, SiteUserId, SubscriptionState
from ..domain.ids import (
    DoorId,
    GroupId,
    GuestId,
    KeyId,
    PersonId,
    TimesId,
    group_name,
    marked,
    marker,
)
from ..domain.keys import (
    DoorGroup,
    Guest,
    KeyProblem,
    KeyRecord,
    KeyStatus,
    KeyWarning,
    Strategy,
)
from ..domain.windows import AccessWindow, on_wall_clock
from .provider import (
    Capabilities,
    ChoosePin,
    Issued,
    KeyFailedError,
    Observation,
    ObservedGroup,
    ObservedGuest,
)
from .writer import FORBIDDEN_YET, SETTLING, SETTLING_PAUSE, UNKNOWN_YET, Writer, is_passing

CUSTOM_PIN: Final = "custom_pin"
"""Feature of the subscription with which PINs can be chosen (MEAS)."""

NET: Final = timedelta(days=30)
"""How long after its window a guest expires by itself, should nobody be there to remove it."""

UNSEEN_FOR: Final = timedelta(minutes=5)
"""A guest that Salto does not find is believed to be gone only when it is older than this."""

_NOT_OFFERED: Final = frozenset({404, 405})


PIN_KEY: Final = "pin"
"""Type of a guest's PIN among its keys (MEAS)."""


class ConnectProvider:
    """Issues and takes back keys at one site."""

    def __init__(
        self,
        client: SaltoKsClient,
        site_id: SiteId,
        writer: Writer,
        *,
        zone_of: Callable[[DoorId], str],
        alias_of: Callable[[KeyRecord], str],
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Write through `writer`.

        `zone_of` gives the time zone of a door's IQ; `alias_of` gives what a guest is called
        at Salto beside the marker, never anything personal.
        """
        self._alias_of = alias_of
        self._client = client
        self._site_id = site_id
        self._access = AccessApi(client, site_id)
        self._write = writer
        self._zone_of = zone_of
        self._clock = clock
        self._sleep = sleep

    async def capabilities(self) -> Capabilities:
        """Read what the site can do: two requests."""
        site = await self._client.site(self._site_id)
        subscription = await self._client.subscription(self._site_id)
        known = site.seats_used is not None and site.seats_total is not None
        return Capabilities(
            pins_enabled=site.pin_enabled,
            can_choose_pin=CUSTOM_PIN in subscription.features,
            seats_free=max(0, (site.seats_total or 0) - (site.seats_used or 0)) if known else None,
        )

    async def issue(self, record: KeyRecord, choose_pin: ChoosePin | None) -> Issued:
        """Bring a key into being; what was made is taken back when that fails."""
        progress = _Progress(record)
        try:
            keypad_pin = await self._make(progress, choose_pin)
            return Issued(record=await self._read_back(progress.record), keypad_pin=keypad_pin)
        except (KeyFailedError, SaltoKsError) as err:
            await self.remove(record.key_id, progress.record)
            if isinstance(err, SaltoKsError) and is_passing(err):
                raise
            raise _failed(err) from err

    async def change(self, record: KeyRecord, wanted: KeyRecord) -> KeyRecord:
        """Move window and doors of a key; its PIN stays.

        A later end moves the guest's own expiry first, an earlier one last, so that the guest
        never ends before its window does.
        """
        try:
            return await self._change(record, wanted)
        except SaltoKsResponseError as err:
            if is_passing(err):
                raise
            raise _failed(err) from err

    async def suspend(self, record: KeyRecord) -> KeyRecord:
        """Take the guest's seat: its PIN opens nothing (CODE, MEAS)."""
        guest = _guest_of(record)
        await self._subscribe(guest, SubscriptionState.SUSPENDED)
        if (await self._access.user(SiteUserId(guest.id))).has_seat:
            raise KeyFailedError(KeyProblem.NOT_READ_BACK)
        return record

    async def resume(self, record: KeyRecord) -> KeyRecord:
        """Give the guest a seat again, if there is one."""
        guest = _guest_of(record)
        await self._subscribe(guest, SubscriptionState.SUBSCRIBED)
        if not (await self._access.user(SiteUserId(guest.id))).has_seat:
            raise KeyFailedError(KeyProblem.SEAT_UNAVAILABLE)
        return record

    async def rotate(self, record: KeyRecord, choose_pin: ChoosePin | None) -> str:
        """Replace the guest's PIN; the one before is dead (MEAS)."""
        try:
            return await self._set_pin(_guest_of(record), choose_pin, since=0.0)
        except SaltoKsResponseError as err:
            if is_passing(err):
                raise
            raise _failed(err) from err

    async def remove(self, key_id: KeyId, record: KeyRecord | None) -> None:
        """Remove all that carries the key's marker or is in its record; gone already is fine.

        Guests go first: a guest without a group opens nothing, a group without a guest neither,
        but only the guest takes a seat.
        """
        guests = {SiteUserId(record.guest.id)} if record and record.guest else set()
        groups = {AccessGroupId(group.id) for group in record.groups} if record else set()
        seen = await self._guests_of(key_id)
        for guest_id in guests | seen:
            await self._remove_guest(guest_id, record, listed=guest_id in seen)
        for group_id in groups | await self._groups_of(key_id):
            await self._write.gone(partial(self._access.delete_group, group_id))

    async def remove_spares(self, record: KeyRecord) -> int:
        """Remove what an interrupted attempt left behind and a listing showed only later."""
        own_guests = {SiteUserId(record.guest.id)} if record.guest else set()
        own_groups = {AccessGroupId(group.id) for group in record.groups}
        guests = await self._guests_of(record.key_id) - own_guests
        groups = await self._groups_of(record.key_id) - own_groups
        for guest_id in guests:
            await self._remove_guest(guest_id, record, listed=True)
        for group_id in groups:
            await self._write.gone(partial(self._access.delete_group, group_id))
        return len(guests) + len(groups)

    async def observe(self) -> Observation:
        """List what of ours is at the site: as many requests as users and groups fill pages."""
        users = await self._write.read(self._access.users)
        guests = [_observed(user, key_id) for user in users if (key_id := marked(user.alias))]
        groups = await self._offered(self._access.groups)
        return Observation(
            guests=tuple(guests),
            groups=None
            if groups is None
            else tuple(
                ObservedGroup(key_id=key_id, id=GroupId(group.id), name=group.name)
                for group in groups
                if (key_id := marked(group.name)) is not None
            ),
            unmanaged=len(users) - len(guests),
        )

    async def set_membership(self, record: KeyRecord, *, member: bool) -> KeyRecord:
        """Have the guest join or leave the key's groups."""
        person_id = PlatformUserId(_guest_of(record).person_id)
        for group in record.groups:
            group_id = AccessGroupId(group.id)
            if member:
                await self._write.repeated(
                    partial(self._access.add_group_user, group_id, person_id)
                )
            else:
                await self._write.gone(partial(self._access.remove_group_user, group_id, person_id))
        return replace(
            record, groups=tuple(replace(group, member=member) for group in record.groups)
        )

    def zones(self, doors: Collection[DoorId]) -> dict[str, frozenset[DoorId]]:
        """Sort doors by the time zone of their IQ's wall clock."""
        sorted_doors: dict[str, set[DoorId]] = {}
        for door in doors:
            sorted_doors.setdefault(self._zone_of(door), set()).add(door)
        return {zone: frozenset(sorted_doors[zone]) for zone in sorted(sorted_doors)}

    async def _make(self, progress: _Progress, choose_pin: ChoosePin | None) -> str:
        """Make groups, guest and PIN, noting each as soon as it is there; return the PIN."""
        record = progress.record
        for part, (zone, doors) in enumerate(self.zones(record.doors).items(), start=1):
            await self._make_group(progress, part, zone, doors)
        since = await self._make_guest(progress)
        guest = _guest_of(progress.record)
        await self._write.settled(
            partial(self._access.use_pin, SiteUserId(guest.id), use_pin=True),
            code=FORBIDDEN_YET,
            since=since,
        )
        if record.strategy is Strategy.SCHEDULE:
            for group in progress.record.groups:
                await self._join(group, guest, since=since)
            progress.note_members()
        return await self._set_pin(guest, choose_pin, since=since)

    async def _make_group(
        self, progress: _Progress, part: int, zone: str, doors: frozenset[DoorId]
    ) -> None:
        """Make the group of the doors of one time zone, with its schedule.

        A schedule whose creation has no answer may exist without a name to find it by, and would
        keep the door open; so the whole group goes and another one is made.
        """
        record = progress.record
        times, widened = _times(record.window, record.strategy, zone)
        name = group_name(record.key_id, part)
        for last in (False, False, True):
            group_id = await self._create_group(name)
            progress.note_group(DoorGroup(id=GroupId(group_id), zone=zone, doors=doors))
            try:
                await self._write.repeated(
                    partial(self._access.change_group_locks, group_id, add=_locks(doors))
                )
                schedule = await self._write.once(
                    partial(self._access.create_schedule, group_id, times)
                )
            except SaltoKsConnectionError, SaltoKsServerError:
                if last:
                    raise
                await self._write.gone(partial(self._access.delete_group, group_id))
                progress.forget_group(GroupId(group_id))
                continue
            progress.note_times(GroupId(group_id), TimesId(schedule.id))
            if widened:
                progress.warn(KeyWarning.CLOCK_CHANGE)
            return

    async def _create_group(self, name: str) -> AccessGroupId:
        """Create a group; one whose creation had no answer is looked for before another."""
        for last in (False, False, True):
            try:
                return (await self._write.once(partial(self._access.create_group, name))).id
            except SaltoKsConnectionError, SaltoKsServerError:
                found = await self._offered(self._access.groups) or ()
                named = [group.id for group in found if group.name == name]
                if named:
                    return named[0]
                if last:
                    raise
        raise AssertionError  # the last turn returns or raises

    async def _make_guest(self, progress: _Progress) -> float:
        """Create the guest; return the monotonic time from which it settles.

        Without a free seat Salto creates it suspended, and even gives it a PIN (MEAS).
        """
        record = progress.record
        alias = f"{self._alias_of(record)} {marker(record.key_id)}".strip()
        expires_at = record.window.ends_at + NET
        since = monotonic()
        user = await self._create_guest(record.key_id, alias, expires_at)
        progress.record = replace(
            progress.record,
            guest=Guest(
                id=GuestId(user.id),
                person_id=PersonId(user.platform_id),
                expires_at=user.expires_at or expires_at,
            ),
        )
        if not user.has_seat:
            raise KeyFailedError(KeyProblem.SEAT_UNAVAILABLE)
        return since

    async def _create_guest(self, key_id: KeyId, alias: str, expires_at: datetime) -> SiteUser:
        """Create a guest; one whose creation had no answer is looked for before another."""
        for last in (False, False, True):
            try:
                return await self._write.once(partial(self._access.create_guest, alias, expires_at))
            except SaltoKsConnectionError, SaltoKsServerError:
                users = await self._write.read(self._access.users)
                found = [user for user in users if marked(user.alias) == key_id]
                if found:
                    return found[0]
                if last:
                    raise
        raise AssertionError  # the last turn returns or raises

    async def _join(self, group: DoorGroup, guest: Guest, *, since: float) -> None:
        """Let the guest into a group."""
        await self._write.settled(
            partial(
                self._access.add_group_user,
                AccessGroupId(group.id),
                PlatformUserId(guest.person_id),
            ),
            code=UNKNOWN_YET,
            since=since,
        )

    async def _set_pin(self, guest: Guest, choose_pin: ChoosePin | None, *, since: float) -> str:
        """Have Salto make a PIN, or set one of our choice; a lost answer is simply replaced."""
        guest_id = SiteUserId(guest.id)
        if choose_pin is None:
            return await self._write.settled(
                partial(self._access.new_pin, guest_id), code=FORBIDDEN_YET, since=since
            )
        for last in (False, False, False, True):
            keypad_pin = choose_pin()
            try:
                await self._write.settled(
                    partial(self._access.set_custom_pin, guest_id, keypad_pin),
                    code=FORBIDDEN_YET,
                    since=since,
                )
            except SaltoKsResponseError as err:
                # Salto refuses a PIN that somebody else has; which, it does not say (UNK).
                if last or err.status != 400:
                    raise
                continue
            return keypad_pin
        raise AssertionError  # the last turn returns or raises

    async def _read_back(self, record: KeyRecord) -> KeyRecord:
        """Make sure that Salto has what was written, for as long as it may take to settle.

        Raises KeyFailedError for what does not agree in the end. What cannot be read is no
        failure, and is said as a warning.
        """
        since = monotonic()
        while True:
            try:
                warnings = await self._compare(record)
            except KeyFailedError:
                if monotonic() - since >= SETTLING:
                    raise
            else:
                return replace(record, warnings=record.warnings | warnings)
            await self._sleep(SETTLING_PAUSE)

    async def _compare(self, record: KeyRecord) -> frozenset[KeyWarning]:
        """Compare a key with what Salto says of it now."""
        guest = _guest_of(record)
        guest_id = SiteUserId(guest.id)
        try:
            user = await self._write.read(partial(self._access.user, guest_id))
        except SaltoKsNotFoundError:
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "guest") from None
        if not user.has_seat and record.status is not KeyStatus.SUSPENDED:
            raise KeyFailedError(KeyProblem.SEAT_UNAVAILABLE)
        if not user.use_pin or user.blocked:
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "use_pin")
        keys = await self._offered(partial(self._access.keys, guest_id))
        if keys is not None and not any(key.type == PIN_KEY for key in keys):
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "pin")
        observable = keys is not None
        for group in record.groups:
            observable &= await self._compare_group(record, group, guest)
        return frozenset() if observable else frozenset({KeyWarning.NOT_OBSERVABLE})

    async def _compare_group(self, record: KeyRecord, group: DoorGroup, guest: Guest) -> bool:
        """Compare one group; tell whether all of it could be read."""
        group_id = AccessGroupId(group.id)
        locks = await self._offered(partial(self._access.group_locks, group_id))
        if locks is not None and locks != frozenset(_locks(group.doors)):
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "doors")
        members = await self._offered(partial(self._access.group_users, group_id))
        joined = None if members is None else PlatformUserId(guest.person_id) in members
        if joined is not None and joined is not group.member:
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "member")
        schedules = await self._offered(partial(self._access.schedules, group_id))
        if schedules is not None:
            if not schedules:
                raise KeyFailedError(KeyProblem.GROUP_WITHOUT_SCHEDULE)
            wanted, _ = _times(record.window, record.strategy, group.zone)
            if [_minutes(schedule.times) for schedule in schedules] != [_minutes(wanted)]:
                raise KeyFailedError(KeyProblem.NOT_READ_BACK, "window")
        return None not in {locks, members, schedules}

    async def _change(self, record: KeyRecord, wanted: KeyRecord) -> KeyRecord:
        """Move what differs, then read it back."""
        guest = _guest_of(record)
        changed = replace(wanted, guest=guest, groups=record.groups, warnings=frozenset())
        longer = wanted.window.ends_at > record.window.ends_at
        if longer:
            changed = await self._move_expiry(changed)
        changed = await self._move_groups(changed)
        if wanted.window.ends_at < record.window.ends_at:
            changed = await self._move_expiry(changed)
        return await self._read_back(changed)

    async def _move_expiry(self, record: KeyRecord) -> KeyRecord:
        """Move the guest's own end after the window's; whether Salto takes it is not known."""
        guest = _guest_of(record)
        guest_id = SiteUserId(guest.id)
        wanted = record.window.ends_at + NET
        try:
            await self._write.repeated(partial(self._access.set_expiry, guest_id, wanted))
        except SaltoKsResponseError as err:
            if is_passing(err):
                raise
        user = await self._write.read(partial(self._access.user, guest_id))
        moved = replace(record, guest=replace(guest, expires_at=user.expires_at))
        if user.expires_at is not None and user.expires_at < record.window.ends_at:
            moved = replace(moved, warnings=moved.warnings | {KeyWarning.EXPIRY_NOT_MOVED})
        return moved

    async def _move_groups(self, record: KeyRecord) -> KeyRecord:
        """Bring doors and schedules of the groups to what is wanted, zone by zone."""
        progress = _Progress(record)
        guest = _guest_of(record)
        walls = self.zones(record.doors)
        for group in record.groups:
            if group.zone in walls:
                await self._move_group(progress, group, walls[group.zone])
            else:
                await self._write.gone(partial(self._access.delete_group, AccessGroupId(group.id)))
                progress.forget_group(group.id)
        known = {group.zone for group in record.groups}
        for part, zone in enumerate(sorted(walls.keys() - known), start=len(known) + 1):
            await self._make_group(progress, part, zone, walls[zone])
        joined = record.strategy is Strategy.SCHEDULE or any(g.member for g in record.groups)
        if joined:
            for group in progress.record.groups:
                if not group.member:
                    await self._join(group, guest, since=0.0)
            progress.note_members()
        return progress.record

    async def _move_group(
        self, progress: _Progress, group: DoorGroup, doors: frozenset[DoorId]
    ) -> None:
        """Move doors and schedule of one group. Both may be repeated."""
        record, group_id = progress.record, AccessGroupId(group.id)
        if doors != group.doors:
            await self._write.repeated(
                partial(
                    self._access.change_group_locks,
                    group_id,
                    add=_locks(doors - group.doors),
                    remove=_locks(group.doors - doors),
                )
            )
        times, widened = _times(record.window, record.strategy, group.zone)
        if group.times_id is not None:
            await self._write.repeated(
                partial(self._access.change_schedule, group_id, ScheduleId(group.times_id), times)
            )
        progress.note_group(replace(group, doors=doors))
        if widened:
            progress.warn(KeyWarning.CLOCK_CHANGE)

    async def _subscribe(self, guest: Guest, state: SubscriptionState) -> None:
        """Give the guest a seat or take it."""
        try:
            await self._write.repeated(
                partial(self._access.set_subscription, SiteUserId(guest.id), state)
            )
        except SaltoKsResponseError as err:
            if is_passing(err):
                raise
            raise _failed(err) from err

    async def _remove_guest(
        self, guest_id: SiteUserId, record: KeyRecord | None, *, listed: bool
    ) -> None:
        """Remove a guest. A young one that Salto does not find yet is waited for."""
        young_until = record.changed_at + UNSEEN_FOR if record else self._clock()
        while not listed and self._clock() < young_until:
            try:
                await self._write.read(partial(self._access.user, guest_id))
            except SaltoKsNotFoundError:
                await self._sleep(SETTLING_PAUSE)
            else:
                break
        await self._write.gone(partial(self._access.delete_user, guest_id))

    async def _guests_of(self, key_id: KeyId) -> set[SiteUserId]:
        """Find the guests that carry a key's marker."""
        users = await self._write.read(self._access.users)
        return {user.id for user in users if marked(user.alias) == key_id}

    async def _groups_of(self, key_id: KeyId) -> set[AccessGroupId]:
        """Find the groups that carry a key's marker, where groups can be listed."""
        groups = await self._offered(self._access.groups) or ()
        return {group.id for group in groups if marked(group.name) == key_id}

    async def _offered[T](self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """Read what Salto may not offer at all (INF); None when it does not."""
        try:
            return await self._write.read(ask)
        except SaltoKsResponseError as err:
            if err.status in _NOT_OFFERED:
                return None
            raise


class _Progress:
    """A record that grows while a key is made, so that a failure knows what there is."""

    def __init__(self, record: KeyRecord) -> None:
        """Start with what the record has."""
        self.record = record

    def note_group(self, group: DoorGroup) -> None:
        """Add a group, or replace what is known of it."""
        others = tuple(known for known in self.record.groups if known.id != group.id)
        self.record = replace(self.record, groups=(*others, group))

    def forget_group(self, group_id: GroupId) -> None:
        """Drop a group that is gone."""
        kept = tuple(group for group in self.record.groups if group.id != group_id)
        self.record = replace(self.record, groups=kept)

    def note_times(self, group_id: GroupId, times_id: TimesId) -> None:
        """Note the schedule of a group."""
        self.record = replace(
            self.record,
            groups=tuple(
                replace(group, times_id=times_id) if group.id == group_id else group
                for group in self.record.groups
            ),
        )

    def note_members(self) -> None:
        """Note that the guest is in every group."""
        self.record = replace(
            self.record, groups=tuple(replace(group, member=True) for group in self.record.groups)
        )

    def warn(self, warning: KeyWarning) -> None:
        """Add a warning."""
        self.record = replace(self.record, warnings=self.record.warnings | {warning})


def _observed(user: SiteUser, key_id: KeyId) -> ObservedGuest:
    """Describe a guest that carries a marker."""
    return ObservedGuest(
        key_id=key_id,
        id=GuestId(user.id),
        person_id=PersonId(user.platform_id),
        has_seat=user.has_seat,
        pin_enabled=user.use_pin and not user.blocked,
    )


def _guest_of(record: KeyRecord) -> Guest:
    """Return the guest of a key. Raises KeyFailedError when it has none."""
    if record.guest is None:
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "guest")
    return record.guest


def _locks(doors: Iterable[DoorId]) -> tuple[LockId, ...]:
    """Return doors as the vendor's locks, in a stable order."""
    return tuple(LockId(door) for door in sorted(doors))


def _times(window: AccessWindow, strategy: Strategy, zone: str) -> tuple[ScheduleTimes, bool]:
    """Write a window as a schedule; tell whether it had to be widened.

    This is the one place that writes Salto's naive IQ-local times.
    """
    if strategy is Strategy.MEMBERSHIP:
        return ScheduleTimes(starts=None, ends=None), False
    local = on_wall_clock(window, ZoneInfo(zone))
    return ScheduleTimes(starts=local.starts, ends=local.ends), local.widened


def _minutes(times: ScheduleTimes) -> ScheduleTimes:
    """Cut seconds off, since they come back altered (MEAS)."""
    return replace(
        times,
        starts=times.starts and times.starts.replace(second=0),
        ends=times.ends and times.ends.replace(second=0),
        opens=times.opens.replace(second=0),
        closes=times.closes.replace(second=0),
    )


def _failed(err: KeyFailedError | SaltoKsError) -> KeyFailedError:
    """Name a failure that trying again does not mend."""
    if isinstance(err, KeyFailedError):
        return err
    forbidden = isinstance(err, SaltoKsForbiddenError)
    return KeyFailedError(KeyProblem.FORBIDDEN if forbidden else KeyProblem.REFUSED, str(err))
