"""Read a key back, to see that Salto has what was written."""

from functools import partial
from typing import Final

from ..api.access import AccessApi
from ..api.access_models import AccessGroupId, SiteUser, TimeSchedule
from ..api.exceptions import SaltoKsNotFoundError
from ..api.models import LockId, PlatformUserId, SiteUserId
from ..domain.keys import DoorGroup, Guest, KeyProblem, KeyRecord, KeyStatus, KeyWarning
from .connect_failures import Unread, offered
from .connect_progress import guest_of
from .connect_times import schedule_times, to_minutes
from .provider import KeyFailedError
from .writer import SETTLING, Writer

PIN_KEY: Final = "pin"
"""Type of a guest's PIN among its keys (MEAS)."""


class ReadBack:
    """Compares keys with what Salto says of them."""

    def __init__(self, access: AccessApi, write: Writer) -> None:
        """Read through `write`."""
        self._access = access
        self._write = write

    async def settle(self, record: KeyRecord) -> frozenset[KeyWarning]:
        """Make sure that Salto has what was written, for as long as it may take to settle.

        Raises KeyFailedError for what does not agree in the end. What cannot be read is no
        failure, and is said as a warning.
        """
        since = self._write.monotonic()
        while True:
            try:
                return await self._compare(record)
            except KeyFailedError:
                if self._write.monotonic() - since >= SETTLING:
                    raise
            await self._write.pause()

    async def _compare(self, record: KeyRecord) -> frozenset[KeyWarning]:
        """Compare a key with what Salto says of it now."""
        guest = guest_of(record)
        guest_id = SiteUserId(guest.id)
        try:
            user = await self._write.read(partial(self._access.user, guest_id))
        except SaltoKsNotFoundError:
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "guest") from None
        suspended = record.status is KeyStatus.SUSPENDED
        _compare_user(user, suspended=suspended)
        keys = await offered(self._write, partial(self._access.keys, guest_id))
        if not isinstance(keys, Unread) and not any(key.type == PIN_KEY for key in keys):
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "pin")
        observable = not isinstance(keys, Unread)
        for group in record.groups:
            observable &= await self._compare_group(record, group, guest, suspended=suspended)
        return frozenset() if observable else frozenset({KeyWarning.NOT_OBSERVABLE})

    async def _compare_group(
        self, record: KeyRecord, group: DoorGroup, guest: Guest, *, suspended: bool
    ) -> bool:
        """Compare one group; tell whether all of it could be read."""
        group_id = AccessGroupId(group.id)
        locks = await offered(self._write, partial(self._access.group_locks, group_id))
        members = await offered(self._write, partial(self._access.group_users, group_id))
        schedules = await offered(self._write, partial(self._access.schedules, group_id))
        unread = [part for part in (locks, members, schedules) if isinstance(part, Unread)]
        if len(unread) == 3 and Unread.NOT_FOUND in unread:
            await self._look_for_group(group_id)
        if not isinstance(locks, Unread):
            _compare_doors(group, locks)
        if not isinstance(members, Unread):
            joined = PlatformUserId(guest.person_id) in members
            _compare_member(group, joined=joined, suspended=suspended)
        if not isinstance(schedules, Unread):
            _compare_schedules(record, group, schedules)
        return not unread

    async def _look_for_group(self, group_id: AccessGroupId) -> None:
        """Tell a group that is gone from reads that Salto does not offer.

        Both are 404. Only a list of groups without it says that it is gone; what is merely not
        listed yet comes up while the key settles.
        """
        groups = await offered(self._write, self._access.groups)
        if not isinstance(groups, Unread) and group_id not in {group.id for group in groups}:
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "group")


def _compare_user(user: SiteUser, *, suspended: bool) -> None:
    """Compare what a guest may do."""
    if suspended and user.has_seat:
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "subscription_state")
    if not suspended and not user.has_seat:
        raise KeyFailedError(KeyProblem.SEAT_UNAVAILABLE)
    if not user.use_pin or user.blocked:
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "use_pin")


def _compare_doors(group: DoorGroup, locks: frozenset[LockId]) -> None:
    """Compare the doors of a group."""
    if locks != frozenset(map(LockId, group.doors)):
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "doors")


def _compare_member(group: DoorGroup, *, joined: bool, suspended: bool) -> None:
    """Compare membership; whether a suspended guest is listed as a member is not known (UNK)."""
    if joined is not group.member and not (suspended and group.member):
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "member")


def _compare_schedules(
    record: KeyRecord, group: DoorGroup, schedules: tuple[TimeSchedule, ...]
) -> None:
    """Compare when a group opens: one schedule, to the minute; a second one would open longer."""
    if not schedules:
        raise KeyFailedError(KeyProblem.GROUP_WITHOUT_SCHEDULE)
    wanted, _ = schedule_times(record.window, record.strategy, group.zone)
    if [to_minutes(schedule.times) for schedule in schedules] != [to_minutes(wanted)]:
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "window")
