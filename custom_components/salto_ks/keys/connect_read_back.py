"""Read a key back, to see that Salto has what was written."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Final

from ..api.access import AccessApi
from ..api.access_models import AccessGroupId, SiteUser
from ..api.exceptions import SaltoKsNotFoundError
from ..api.models import SiteUserId
from ..domain.differences import differences
from ..domain.ids import DoorId, GroupId, PersonId
from ..domain.keys import KeyProblem, KeyRecord, KeyStatus, KeyWarning
from ..domain.observed import ObservedDetails, ObservedGroupDetails
from ..domain.outcomes import Outcome
from .connect_failures import Unread, offered
from .connect_progress import guest_of
from .connect_times import observed_times
from .provider import KeyFailedError
from .writer import SETTLING, Writer

PIN_KEY: Final = "pin"
"""Type of a guest's PIN among its keys (MEAS)."""

_FAILURES: Final[Mapping[Outcome, tuple[KeyProblem, str]]] = {
    Outcome.PIN_MISSING: (KeyProblem.NOT_READ_BACK, "pin"),
    Outcome.MEMBER_MISSING: (KeyProblem.NOT_READ_BACK, "member"),
    Outcome.DOORS_DIFFER: (KeyProblem.NOT_READ_BACK, "doors"),
    Outcome.GROUP_WITHOUT_SCHEDULE: (KeyProblem.GROUP_WITHOUT_SCHEDULE, ""),
    Outcome.WINDOW_DIFFERS: (KeyProblem.NOT_READ_BACK, "window"),
}
"""How it is called when something was written and did not become so. The end of a guest is no part
of it: whether Salto takes one is not known (UNK), and it is read back by itself."""


class ReadBack:
    """Compares keys with what Salto says of them."""

    def __init__(self, access: AccessApi, write: Writer) -> None:
        """Read through `write`."""
        self._access = access
        self._write = write

    async def settle(
        self, record: KeyRecord, *, but: Collection[Outcome] = ()
    ) -> frozenset[KeyWarning]:
        """Make sure that Salto has what was written, for as long as it may take to settle.

        Raises KeyFailedError for what does not agree in the end, `but` for what is to be seen to
        afterwards. What cannot be read is no failure, and is said as a warning.
        """
        since = self._write.monotonic()
        while True:
            try:
                return await self._compare(record, but)
            except KeyFailedError:
                if self._write.monotonic() - since >= SETTLING:
                    raise
            await self._write.pause()

    async def details(self, record: KeyRecord, *, are_listed: bool = False) -> ObservedDetails:
        """Read the guest of a key, what it opens doors with, and three things of each group.

        `are_listed` says that the groups were listed just now, so that one of which nothing can be
        read is not looked for. Raises KeyFailedError where there is no such guest.
        """
        guest_id = SiteUserId(guest_of(record).id)
        try:
            user = await self._write.read(partial(self._access.user, guest_id))
        except SaltoKsNotFoundError:
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "guest") from None
        keys = await offered(self._write, partial(self._access.keys, guest_id))
        return ObservedDetails(
            has_seat=user.has_seat,
            pin_enabled=may_use_pin(user),
            expires_at=user.expires_at,
            has_pin=None if isinstance(keys, Unread) else any(key.type == PIN_KEY for key in keys),
            groups={
                group.id: await self._group(group.id, is_listed=are_listed)
                for group in record.groups
            },
        )

    async def _compare(self, record: KeyRecord, but: Collection[Outcome]) -> frozenset[KeyWarning]:
        """Compare a key with what Salto says of it now."""
        seen = await self.details(record)
        _compare_guest(seen, suspended=record.status is KeyStatus.SUSPENDED)
        if None in seen.groups.values():
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "group")
        for outcome in differences(record, seen):
            if outcome in _FAILURES and outcome not in but:
                raise KeyFailedError(*_FAILURES[outcome])
        return frozenset() if seen.is_whole else frozenset({KeyWarning.NOT_OBSERVABLE})

    async def _group(self, own_id: GroupId, *, is_listed: bool) -> ObservedGroupDetails | None:
        """Read what is in one group; None for one that is gone."""
        group_id = AccessGroupId(own_id)
        locks = await offered(self._write, partial(self._access.group_locks, group_id))
        members = await offered(self._write, partial(self._access.group_users, group_id))
        schedules = await offered(self._write, partial(self._access.schedules, group_id))
        unread = [part for part in (locks, members, schedules) if isinstance(part, Unread)]
        if (
            len(unread) == 3
            and Unread.NOT_FOUND in unread
            and not is_listed
            and await self._is_gone(group_id)
        ):
            return None
        return ObservedGroupDetails(
            doors=None if isinstance(locks, Unread) else frozenset(map(DoorId, locks)),
            members=None if isinstance(members, Unread) else frozenset(map(PersonId, members)),
            schedules=None
            if isinstance(schedules, Unread)
            else tuple(map(observed_times, schedules)),
        )

    async def _is_gone(self, group_id: AccessGroupId) -> bool:
        """Tell a group that is gone from reads that Salto does not offer.

        Both are 404. Only a list of groups without it says that it is gone; what is merely not
        listed yet comes up while the key settles.
        """
        groups = await offered(self._write, self._access.groups)
        return not isinstance(groups, Unread) and group_id not in {group.id for group in groups}


def may_use_pin(user: SiteUser) -> bool:
    """Tell whether a guest may use a PIN and is not blocked."""
    return user.use_pin and not user.blocked


def _compare_guest(seen: ObservedDetails, *, suspended: bool) -> None:
    """Compare what a guest may do."""
    if suspended and seen.has_seat:
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "subscription_state")
    if not suspended and not seen.has_seat:
        raise KeyFailedError(KeyProblem.SEAT_UNAVAILABLE)
    if not seen.pin_enabled:
        raise KeyFailedError(KeyProblem.NOT_READ_BACK, "use_pin")
