"""Keys by the Connect API: a guest with a PIN, in a group of doors with a dated schedule.

The guest's alias and the groups' names carry the key's marker, so that whatever an interrupted
step leaves behind can be found and belongs to somebody. The steps themselves are in the modules
beside this one: guests, groups, PINs, and reading back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ..api.access import AccessApi
from ..api.access_models import AccessGroup, SiteUser
from ..api.client import SaltoKsClient
from ..api.exceptions import SaltoKsError
from ..api.models import SiteId, SiteUserId
from ..domain.differences import as_observed, differences
from ..domain.ids import DoorId, GroupId, GuestId, KeyId, PersonId, marked
from ..domain.keys import KeyProblem, KeyRecord, KeyStatus, KeyWarning, Strategy
from ..domain.observed import Observation, ObservedDetails, ObservedGroup, ObservedGuest
from ..domain.outcomes import Outcome
from .connect_failures import Unread, failure, finals_named, offered
from .connect_groups import Groups
from .connect_guests import Guests, key_of
from .connect_pins import Pins
from .connect_progress import Progress, guest_of
from .connect_read_back import ReadBack, may_use_pin
from .connect_times import Part, parts, zones
from .provider import Capabilities, ChoosePin, Issued, KeyFailedError
from .writer import LONG_AGO, Writer, is_final

CUSTOM_PIN: Final = "custom_pin"
"""Feature of the subscription with which PINs can be chosen (MEAS)."""

SHOWN_AFTER_REMOVAL: Final = 15.0
"""Seconds after which a guest that was removed is shown no more; about 10 were seen (MEAS)."""


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
    ) -> None:
        """Write through `writer`, which also does all waiting.

        `zone_of` gives the time zone of a door's IQ; `alias_of` gives what a guest is called
        at Salto beside the marker, never anything personal; `clock` tells aware time.
        """
        access = AccessApi(client, site_id)
        self._client = client
        self._site_id = site_id
        self._access = access
        self._write = writer
        self._zone_of = zone_of
        self._alias_of = alias_of
        self._clock = clock
        self._guests = Guests(access, writer, self._seats_free)
        self._groups = Groups(access, writer)
        self._pins = Pins(access, writer)
        self._read_back = ReadBack(access, writer)

    async def capabilities(self) -> Capabilities:
        """Read what the site can do: two requests."""
        with finals_named():
            site = await self._write.read(lambda: self._client.site(self._site_id))
            subscription = await offered(
                self._write, lambda: self._client.subscription(self._site_id)
            )
        return Capabilities(
            pins_enabled=site.pin_enabled,
            can_choose_pin=not isinstance(subscription, Unread)
            and CUSTOM_PIN in subscription.features,
            seats_free=_seats_free(site.seats_used, site.seats_total),
        )

    async def issue(self, record: KeyRecord, choose_pin: ChoosePin | None) -> Issued:
        """Bring a key into being; what was made is taken back when that fails."""
        wanted = parts(record, self._zone_of)
        name = self._alias_of(record)
        progress = Progress(replace(record, guest=None, groups=(), warnings=frozenset()))
        first_number = self._number_beside() if record.groups else 1
        try:
            keypad_pin = await self._make(
                progress, wanted, name, choose_pin, first_number=first_number
            )
            progress.warn(*await self._read_back.settle(progress.record))
        except KeyFailedError as err:
            await self._take_back(progress)
            err.leftovers = progress.leftovers
            raise
        except SaltoKsError as err:
            await self._take_back(progress)
            if not is_final(err):
                raise
            failed = failure(err)
            failed.leftovers = progress.leftovers
            raise failed from err
        return Issued(record=progress.record, keypad_pin=keypad_pin, leftovers=progress.leftovers)

    async def change(self, record: KeyRecord, wanted: KeyRecord) -> KeyRecord:
        """Move window and doors of a key; its PIN stays.

        A later end moves the guest's own expiry first, an earlier one last, so that the guest
        never ends before its window does.
        """
        new_parts = parts(wanted, self._zone_of)
        start = replace(
            wanted, guest=guest_of(record), groups=record.groups, warnings=record.warnings
        )
        progress = Progress(_start(start))
        with finals_named():
            if record.strategy is Strategy.MEMBERSHIP:
                progress.record = await self._with_members_as_they_are(progress.record)
            if wanted.window.ends_at > record.window.ends_at:
                progress.record = await self._guests.move_expiry(progress.record)
            await self._move(progress, record.strategy, new_parts)
            if wanted.window.ends_at < record.window.ends_at:
                progress.record = await self._guests.move_expiry(progress.record)
        return progress.record

    async def _with_members_as_they_are(self, record: KeyRecord) -> KeyRecord:
        """Return a key with the guest in those of its groups in which it is.

        A join or a leave that came halfway is not in the record.
        """
        seen = as_observed(record, await self._read_back.details(record))
        are_in = {group.id: group.member for group in seen.groups}
        groups = tuple(replace(group, member=are_in[group.id]) for group in record.groups)
        return replace(record, groups=groups)

    async def restore(self, record: KeyRecord) -> KeyRecord:
        """Bring guest and groups back to what the record says; the PIN stays (MEAS).

        A group that is gone, or has another number of schedules than one, is made anew.
        """
        wanted, guest = parts(record, self._zone_of), guest_of(record)
        with finals_named():
            seen = await self._read_back.details(record)
            known = set(differences(record, seen))
            progress = Progress(_start(as_observed(record, seen)))
            if not seen.pin_enabled:
                await self._guests.allow_pin_again(guest)
            if Outcome.EXPIRY_DIFFERS in known:
                progress.record = await self._guests.move_expiry(progress.record)
            if record.status is KeyStatus.SUSPENDED and seen.has_seat:
                await self._guests.take_seat(guest)
            if record.status is not KeyStatus.SUSPENDED and not seen.has_seat:
                await self._guests.give_seat(guest)
            with_pin_later = {Outcome.PIN_MISSING}
            await self._move(progress, record.strategy, wanted, but=with_pin_later)
        return progress.record

    async def suspend(self, record: KeyRecord) -> KeyRecord:
        """Take the guest's seat: its PIN opens nothing (CODE, MEAS)."""
        with finals_named():
            await self._guests.take_seat(guest_of(record))
        return record

    async def resume(self, record: KeyRecord) -> KeyRecord:
        """Give the guest a seat again, if there is one."""
        with finals_named():
            await self._guests.give_seat(guest_of(record))
        return record

    async def rotate(self, record: KeyRecord, choose_pin: ChoosePin | None) -> str:
        """Replace the guest's PIN; the one before is dead (MEAS)."""
        with finals_named():
            return await self._pins.give(guest_of(record).id, choose_pin, since=LONG_AGO)

    async def remove(self, key_id: KeyId, record: KeyRecord | None) -> None:
        """Remove all that carries the key's marker or is in its record; gone already is fine.

        Guests go first: a guest without a group opens nothing, a group without a guest neither,
        but only the guest takes a seat. What the record names goes before anything is looked
        for, and a refusal of one removal keeps none of the others from being tried.
        """
        removals = _Removals()
        if record is not None:
            if record.guest is not None:
                await removals.attempt(self._guests.remove(record.guest.id))
            for group in record.groups:
                await removals.attempt(self._groups.remove(group.id))
        with finals_named():
            await self._remove_marked(removals, key_id, None)
            removals.finish()

    async def remove_spares(self, record: KeyRecord) -> int:
        """Remove what an interrupted attempt left behind and a listing showed only later."""
        removals = _Removals()
        with finals_named():
            count = await self._remove_marked(removals, record.key_id, record)
            removals.finish()
        return count

    async def observe(self) -> Observation:
        """List what of ours is at the site: as many requests as users and groups fill pages."""
        with finals_named():
            users = await self._write.read(self._access.users)
            groups = await offered(self._write, self._access.groups)
        # Ten thousand of each take longer than the event loop may be held up.
        return await asyncio.to_thread(_observation, users, groups)

    async def observe_deep(self, record: KeyRecord) -> ObservedDetails | None:
        """Read a key part by part: two requests, and three for each group."""
        try:
            with finals_named():
                return await self._read_back.details(record, are_listed=True)
        except KeyFailedError as err:
            if err.problem is KeyProblem.NOT_READ_BACK:
                return None
            raise

    async def is_gone(self, guest_id: GuestId) -> bool:
        """Ask Salto for one guest: a listing can lack one that is there (INF), this cannot."""
        try:
            with finals_named():
                await self._write.read(lambda: self._access.user(SiteUserId(guest_id)))
        except KeyFailedError as err:
            if err.problem is KeyProblem.NOT_READ_BACK:
                return True
            raise
        return False

    async def is_whole(self, record: KeyRecord) -> bool:
        """Ask for the guest by its id, twice, and look for the groups in their list."""
        guest = record.guest
        if guest is None or await self.is_gone(guest.id):
            return False
        await self._write.pause(SHOWN_AFTER_REMOVAL)
        if await self.is_gone(guest.id):
            return False
        listed = (await self.observe()).groups
        return listed is None or {one.id for one in record.groups} <= {one.id for one in listed}

    async def set_membership(self, record: KeyRecord, *, member: bool) -> KeyRecord:
        """Have the guest join or leave the key's groups; may be repeated.

        A guest that was made just now may not be able to join yet, and is waited for.
        """
        progress = Progress(record)
        age = (self._clock() - record.changed_at).total_seconds()
        progress.since = self._write.monotonic() - max(0.0, age)
        with finals_named():
            for group in record.groups:
                if member:
                    await self._groups.join(progress, group)
                else:
                    await self._groups.leave(progress, group)
        return progress.record

    @property
    def clock_offset(self) -> timedelta | None:
        """Return how far Salto's clock was ahead of ours at its last answer."""
        return self._client.server_clock_offset

    def zones(self, doors: Collection[DoorId]) -> dict[str, frozenset[DoorId]]:
        """Sort doors by the time zone of their IQ's wall clock."""
        return zones(doors, self._zone_of)

    async def _make(
        self,
        progress: Progress,
        wanted: tuple[Part, ...],
        name: str,
        choose_pin: ChoosePin | None,
        *,
        first_number: int,
    ) -> str:
        """Make groups, guest and PIN, noting each as soon as it is there; return the PIN."""
        for number, part in enumerate(wanted, start=first_number):
            await self._groups.make(progress, number, part)
        await self._guests.make(progress, name)
        await self._guests.allow_pin(progress)
        if progress.record.strategy is Strategy.SCHEDULE:
            for group in progress.record.groups:
                await self._groups.join(progress, group)
        guest = guest_of(progress.record)
        return await self._pins.give(guest.id, choose_pin, since=progress.since)

    def _number_beside(self) -> int:
        """Return a number for a group beside others of its key, so that none has its name.

        Whether Salto takes two groups of one name is not known (UNK).
        """
        return int(self._clock().timestamp())

    async def _move(
        self,
        progress: Progress,
        before: Strategy,
        wanted: tuple[Part, ...],
        *,
        but: Collection[Outcome] = (),
    ) -> None:
        """Move groups to what is wanted; those that were made on the way go where that fails."""
        try:
            await self._move_groups(progress, before, wanted, but)
        except KeyFailedError, SaltoKsError:
            await self._take_groups_back(progress)
            raise

    async def _move_groups(
        self,
        progress: Progress,
        before: Strategy,
        wanted: tuple[Part, ...],
        but: Collection[Outcome],
    ) -> None:
        """Move groups to what is wanted, read it back, and only then drop what is not."""
        strategy = progress.record.strategy
        if strategy is Strategy.MEMBERSHIP and before is Strategy.SCHEDULE:
            for group in progress.record.groups:
                await self._groups.leave(progress, group)
        groups = progress.record.groups
        if {group.zone for group in groups} != {part.zone for part in wanted}:
            await self.remove_spares(progress.record)
        joined = strategy is Strategy.SCHEDULE or any(group.member for group in groups)
        kept = await self._groups.move(
            progress, wanted, joined=joined, first_number=self._number_beside()
        )
        now = tuple(group for group in progress.record.groups if group.id in kept)
        progress.warn(*await self._read_back.settle(replace(progress.record, groups=now), but=but))
        await self._groups.keep_only(progress, kept)

    async def _take_back(self, progress: Progress) -> None:
        """Remove what was made on the way to a key that failed.

        Nothing is raised here, so that the failure itself comes out; what could not be removed
        is told by `leftovers`.
        """
        try:
            await self._guests.take_back(progress)
        except SaltoKsError:
            progress.leftovers = True
        await self._take_groups_back(progress)

    async def _take_groups_back(self, progress: Progress) -> None:
        """Remove the groups that were made on the way."""
        for group_id in tuple(progress.made):
            try:
                await self._groups.remove(group_id)
            except SaltoKsError:
                progress.leftovers = True
            else:
                progress.forget_group(group_id)

    async def _remove_marked(
        self, removals: _Removals, key_id: KeyId, kept: KeyRecord | None
    ) -> int:
        """Remove what carries a key's marker and is not in the record that is kept."""
        own_guests = {kept.guest.id} if kept and kept.guest else set()
        own_groups = {group.id for group in kept.groups} if kept else set()
        guests = await self._guests.marked_with(key_id) - own_guests
        for guest_id in guests:
            await removals.attempt(self._guests.remove(guest_id))
        groups = await self._groups.marked_with(key_id) - own_groups
        for group_id in groups:
            await removals.attempt(self._groups.remove(group_id))
        return len(guests) + len(groups)

    async def _seats_free(self) -> int | None:
        """Ask how many guests can still take a seat."""
        site = await self._write.read(lambda: self._client.site(self._site_id))
        return _seats_free(site.seats_used, site.seats_total)


class _Removals:
    """Removes several things, so that a refusal of one does not keep the others."""

    def __init__(self) -> None:
        """Begin without a refusal."""
        self._refused: SaltoKsError | None = None

    async def attempt(self, removal: Awaitable[None]) -> None:
        """Remove something; a refusal is kept for later, anything else is raised."""
        try:
            await removal
        except SaltoKsError as err:
            if not is_final(err):
                raise
            self._refused = self._refused or err

    def finish(self) -> None:
        """Raise the first refusal, if there was any."""
        if self._refused is not None:
            raise self._refused


def _seats_free(used: int | None, total: int | None) -> int | None:
    """Count what is left; None when Salto does not tell."""
    return None if used is None or total is None else max(0, total - used)


def _start(record: KeyRecord) -> KeyRecord:
    """Return where a move begins: of the warnings only the one about the guest's end still holds."""
    return replace(record, warnings=record.warnings & {KeyWarning.EXPIRY_NOT_MOVED})


def _observation(
    users: Collection[SiteUser], groups: Iterable[AccessGroup] | Unread
) -> Observation:
    """Find what is ours among what there is at the site."""
    guests = [_observed(user, key_id) for user in users if (key_id := key_of(user))]
    return Observation(
        guests=tuple(guests),
        groups=None
        if isinstance(groups, Unread)
        else tuple(
            ObservedGroup(key_id=key_id, id=GroupId(group.id), name=group.name)
            for group in groups
            if (key_id := marked(group.name)) is not None
        ),
        unmanaged=len(users) - len(guests),
    )


def _observed(user: SiteUser, key_id: KeyId) -> ObservedGuest:
    """Describe a guest that carries a marker."""
    return ObservedGuest(
        key_id=key_id,
        id=GuestId(user.id),
        person_id=PersonId(user.platform_id),
        has_seat=user.has_seat,
        pin_enabled=may_use_pin(user),
    )
