"""Access groups of keys: doors, a schedule and the guest, one group for each time zone."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from ..api.access import AccessApi
from ..api.access_models import AccessGroupId, ScheduleId
from ..api.exceptions import SaltoKsError, SaltoKsNotFoundError, SaltoKsResponseError
from ..api.models import LockId, PlatformUserId
from ..domain.ids import DoorId, GroupId, KeyId, TimesId, group_name, is_group_name, marked
from ..domain.keys import DoorGroup, Guest, KeyWarning
from .connect_failures import Unread, offered
from .connect_progress import Progress, guest_of
from .connect_times import Part
from .writer import Writer, is_final


class Groups:
    """Makes, moves and removes the groups of keys."""

    def __init__(self, access: AccessApi, write: Writer) -> None:
        """Write through `write`."""
        self._access = access
        self._write = write

    async def make(self, progress: Progress, number: int, part: Part) -> DoorGroup:
        """Make the group of one time zone, with doors and schedule and nobody in it.

        A schedule whose creation has no answer may exist without a name to find it by, and would
        keep the door open; so the whole group goes and another one is made.
        """
        name = group_name(progress.record.key_id, number)
        tried: list[GroupId] = []

        async def make() -> DoorGroup:
            group = DoorGroup(
                id=await self._create(progress, name), zone=part.zone, doors=part.doors
            )
            tried.append(group.id)
            progress.note_made(group)
            group_id = AccessGroupId(group.id)
            await self._write.repeated(
                partial(self._access.change_group_locks, group_id, add=_locks(part.doors))
            )
            times_id = await self._write.once(
                partial(self._access.create_schedule, group_id, part.times)
            )
            return replace(group, times_id=TimesId(times_id))

        async def take_back() -> None:
            for group_id in tried:
                await self.remove(group_id)
                progress.forget_group(group_id)
            tried.clear()

        group = await self._write.anew(make, tidy=take_back)
        progress.note_group(group)
        if part.widened:
            progress.warn(KeyWarning.CLOCK_CHANGE)
        return group

    async def _create(self, progress: Progress, name: str) -> GroupId:
        """Create a group. What a lost answer leaves has neither doors nor members."""
        try:
            group = await self._write.once(partial(self._access.create_group, name))
        except SaltoKsError as err:
            progress.note_lost(err)
            raise
        return GroupId(group.id)

    async def join(self, progress: Progress, group: DoorGroup) -> None:
        """Let the guest into a group. It may be in it already."""
        guest, group_id = guest_of(progress.record), AccessGroupId(group.id)
        person_id = PlatformUserId(guest.person_id)
        try:
            await self._write.settled(
                partial(self._access.add_group_user, group_id, person_id), since=progress.since
            )
        except SaltoKsResponseError as err:
            # What Salto says to somebody who is in the group already is not known (UNK).
            if not is_final(err) or not await self._is_in(group_id, guest):
                raise
        progress.note_group(replace(group, member=True))

    async def leave(self, progress: Progress, group: DoorGroup) -> None:
        """Take the guest out of a group; out already is fine."""
        person_id = PlatformUserId(guest_of(progress.record).person_id)
        await self._write.gone(
            partial(self._access.remove_group_user, AccessGroupId(group.id), person_id)
        )
        progress.note_group(replace(group, member=False))

    async def move(
        self, progress: Progress, wanted: tuple[Part, ...], *, joined: bool, first_number: int
    ) -> frozenset[GroupId]:
        """Bring doors and schedules to what is wanted; return the groups that make up the key now.

        What vanished at Salto is made anew, and so is the group of a new time zone; such groups are
        numbered from `first_number` on. The guest is let in before any old group goes, so that no
        door closes on the way; `keep_only` follows.
        """
        parts = {part.zone: part for part in wanted}
        kept: set[GroupId] = set()
        for group in progress.record.groups:
            part = parts.get(group.zone)
            if part is not None and await self._move_in_place(progress, group, part):
                kept.add(group.id)
                del parts[group.zone]
        for number, part in enumerate(parts.values(), start=first_number):
            kept.add((await self.make(progress, number, part)).id)
        if joined:
            for group in progress.record.groups:
                if group.id in kept and not group.member:
                    await self.join(progress, group)
        return frozenset(kept)

    async def keep_only(self, progress: Progress, kept: frozenset[GroupId]) -> None:
        """Remove the groups that do not make up the key any more."""
        for group in progress.record.groups:
            if group.id not in kept:
                await self.remove(group.id)
                progress.forget_group(group.id)

    async def remove(self, group_id: GroupId) -> None:
        """Remove a group; gone already is fine."""
        await self._write.gone(partial(self._access.delete_group, AccessGroupId(group_id)))

    async def marked_with(self, key_id: KeyId) -> set[GroupId]:
        """Find the groups that were made for a key, where groups can be listed.

        A group of somebody's with the marker in its name is none of them.
        """
        groups = await offered(self._write, self._access.groups)
        if isinstance(groups, Unread):
            return set()
        return {
            GroupId(group.id)
            for group in groups
            if marked(group.name) == key_id and is_group_name(group.name)
        }

    async def _move_in_place(self, progress: Progress, group: DoorGroup, part: Part) -> bool:
        """Move doors and schedule of one group; tell whether it is there to be moved."""
        if group.times_id is None:
            return False
        group_id = AccessGroupId(group.id)
        try:
            if part.doors != group.doors:
                await self._move_doors(group_id, group.doors, part.doors)
            await self._write.repeated(
                partial(
                    self._access.change_schedule, group_id, ScheduleId(group.times_id), part.times
                )
            )
        except SaltoKsNotFoundError:
            return False
        progress.note_group(replace(group, doors=part.doors))
        if part.widened:
            progress.warn(KeyWarning.CLOCK_CHANGE)
        return True

    async def _move_doors(
        self, group_id: AccessGroupId, known: frozenset[DoorId], wanted: frozenset[DoorId]
    ) -> None:
        """Change the doors of a group in one request.

        Repeated after a lost answer it may be refused, because a door to be removed is out
        already (INF). Then it is worked out anew from what Salto says of the group, and where it
        does not say, door by door.
        """
        try:
            await self._change_doors(group_id, wanted - known, known - wanted)
        except SaltoKsResponseError as err:
            if not is_final(err):
                raise
        else:
            return
        locks = await offered(self._write, partial(self._access.group_locks, group_id))
        if not isinstance(locks, Unread):
            found = frozenset(map(DoorId, locks))
            await self._change_doors(group_id, wanted - found, found - wanted)
            return
        await self._change_doors(group_id, wanted - known, frozenset())
        for door in sorted(known - wanted):
            await self._write.gone(
                partial(self._access.change_group_locks, group_id, remove=(LockId(door),))
            )

    async def _change_doors(
        self, group_id: AccessGroupId, add: frozenset[DoorId], remove: frozenset[DoorId]
    ) -> None:
        """Add and remove doors, if there are any to add or remove."""
        if add or remove:
            await self._write.repeated(
                partial(
                    self._access.change_group_locks,
                    group_id,
                    add=_locks(add),
                    remove=_locks(remove),
                )
            )

    async def _is_in(self, group_id: AccessGroupId, guest: Guest) -> bool:
        """Tell whether Salto says that a guest is in a group."""
        members = await offered(self._write, partial(self._access.group_users, group_id))
        return not isinstance(members, Unread) and PlatformUserId(guest.person_id) in members


def _locks(doors: Iterable[DoorId]) -> tuple[LockId, ...]:
    """Return doors as the vendor's locks, in a stable order."""
    return tuple(LockId(door) for door in sorted(doors))
