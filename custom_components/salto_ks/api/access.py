"""Guests, access groups and time schedules: what a keypad PIN is made of.

Version 1.2 for everything but time schedules, which were only ever seen at 1.1 (CODE, MEAS).
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
import re
from typing import Final

from .access_models import (
    AccessGroup,
    AccessGroupId,
    ScheduleId,
    ScheduleTimes,
    SiteUser,
    TimeSchedule,
    UserKey,
    platform_id_of,
)
from .caller import Caller
from .exceptions import Endpoint, SaltoKsUnexpectedResponseError
from .models import LockId, PlatformUserId, SiteId, SiteUserId, SubscriptionState
from .parsing import identifier, json_object
from .transport import Answer

_PIN: Final = re.compile(r"[0-9]{4,10}")


class CustomPinField(StrEnum):
    """Names that the field of a chosen PIN may have; no source tells which it is (UNK)."""

    PIN = "pin"
    PIN_CODE = "pin_code"


class AccessApi:
    """Manage who opens what at one site.

    Every method raises from the tree of `SaltoKsError`. Writes are sent once: after
    SaltoKsConnectionError or SaltoKsServerError nobody knows whether Salto has acted.
    """

    def __init__(self, caller: Caller, site_id: SiteId) -> None:
        """Send calls through `caller`."""
        self._caller = caller
        self._site_id = site_id

    async def users(self) -> tuple[SiteUser, ...]:
        """List users and guests; a new one may be missing for a while (INF)."""
        return await self._caller.read_all(
            "/v1.2/sites/{site}/users", SiteUser.from_api, lambda user: user.id, site=self._site_id
        )

    async def user(self, user_id: SiteUserId) -> SiteUser:
        """Read one user or guest (MEAS)."""
        raw = await self._caller.read(
            "/v1.2/sites/{site}/users/{user}", site=self._site_id, user=user_id
        )
        return SiteUser.from_api(raw)

    async def create_guest(self, alias: str, expires_at: datetime) -> SiteUser:
        """Create a guest (MEAS). Where no seat is free it is created all the same, suspended."""
        answer = await self._caller.write(
            "POST",
            "/v1.2/sites/{site}/guests",
            body={"alias": alias, "expires_at": _instant(expires_at)},
            site=self._site_id,
        )
        return SiteUser.from_api(_json(answer))

    async def use_pin(self, user_id: SiteUserId, *, use_pin: bool) -> None:
        """Let a user open doors with a PIN, or not (MEAS)."""
        await self._change_user(user_id, {"use_pin": use_pin})

    async def unblock(self, user_id: SiteUserId) -> None:
        """Lift the block of a user; the field is known from the creation of users (CODE, INF)."""
        await self._change_user(user_id, {"blocked": False})

    async def set_expiry(self, user_id: SiteUserId, expires_at: datetime) -> None:
        """Move the end of a guest; whether Salto takes this is not known (UNK), so read it back."""
        await self._change_user(user_id, {"expires_at": _instant(expires_at)})

    async def set_subscription(self, user_id: SiteUserId, state: SubscriptionState) -> None:
        """Give a user a seat, or take it (CODE)."""
        await self._caller.write(
            "PATCH",
            "/v1.2/sites/{site}/users/{user}/subscription",
            body={"state": state.value},
            site=self._site_id,
            user=user_id,
        )

    async def delete_user(self, user_id: SiteUserId) -> None:
        """Delete a user or guest: its seat is free at once (MEAS)."""
        await self._caller.write(
            "DELETE", "/v1.2/sites/{site}/users/{user}", site=self._site_id, user=user_id
        )

    async def keys(self, user_id: SiteUserId) -> tuple[UserKey, ...]:
        """List what a user opens doors with (MEAS)."""
        return await self._caller.read_all(
            "/v1.2/sites/{site}/users/{user}/keys",
            UserKey.from_api,
            lambda key: (key.type, key.expires_at),
            site=self._site_id,
            user=user_id,
        )

    async def new_pin(self, user_id: SiteUserId) -> str:
        """Have Salto make a keypad PIN, and return it: this once, it is never shown again (MEAS).

        A PIN that the user had before is dead. Raises SaltoKsUnexpectedResponseError, which never
        quotes the answer, where that holds no PIN: the old one is dead then all the same.
        """
        answer = await self._caller.write(
            "PUT",
            "/v1.2/sites/{site}/users/{user}/pin",
            body={},
            site=self._site_id,
            user=user_id,
        )
        pin = _json(answer)
        if not isinstance(pin, str) or not _PIN.fullmatch(pin):
            raise SaltoKsUnexpectedResponseError("the answer holds no PIN")
        return pin

    async def set_custom_pin(
        self, user_id: SiteUserId, keypad_pin: str, field: CustomPinField = CustomPinField.PIN
    ) -> None:
        """Set a keypad PIN of our choice, with the feature `custom_pin` only (DOC).

        What the field of the body is called is not known (UNK); see `CustomPinField`.
        """
        await self._caller.write(
            "PUT",
            "/v1.2/sites/{site}/users/{user}/pin/custom",
            body={field.value: keypad_pin},
            secrets=(keypad_pin,),
            site=self._site_id,
            user=user_id,
        )

    async def groups(self) -> tuple[AccessGroup, ...]:
        """List access groups (INF)."""
        return await self._caller.read_all(
            "/v1.2/sites/{site}/access_groups",
            AccessGroup.from_api,
            lambda group: group.id,
            site=self._site_id,
        )

    async def create_group(self, name: str) -> AccessGroup:
        """Create an access group (MEAS)."""
        answer = await self._caller.write(
            "POST",
            "/v1.2/sites/{site}/access_groups",
            body={"customer_reference": name},
            site=self._site_id,
        )
        return AccessGroup.from_api(_json(answer))

    async def delete_group(self, group_id: AccessGroupId) -> None:
        """Delete an access group with its schedules (CODE)."""
        await self._caller.write(
            "DELETE",
            "/v1.2/sites/{site}/access_groups/{group}",
            site=self._site_id,
            group=group_id,
        )

    async def group_locks(self, group_id: AccessGroupId) -> frozenset[LockId]:
        """List the doors of an access group (INF)."""
        found = await self._caller.read_all(
            "/v1.2/sites/{site}/access_groups/{group}/locks",
            lambda raw: LockId(identifier(json_object(raw, "a door of a group"), "id")),
            lambda lock_id: lock_id,
            site=self._site_id,
            group=group_id,
        )
        return frozenset(found)

    async def change_group_locks(
        self, group_id: AccessGroupId, *, add: Sequence[LockId] = (), remove: Sequence[LockId] = ()
    ) -> None:
        """Add doors to an access group and remove others, in one request (DOC, CODE)."""
        await self._caller.write(
            "PATCH",
            "/v1.2/sites/{site}/access_groups/{group}/locks",
            body={"add_ids": list(add), "remove_ids": list(remove)},
            site=self._site_id,
            group=group_id,
        )

    async def group_users(self, group_id: AccessGroupId) -> frozenset[PlatformUserId]:
        """List the members of an access group by platform id (INF)."""
        found = await self._caller.read_all(
            "/v1.2/sites/{site}/access_groups/{group}/users",
            lambda raw: platform_id_of(json_object(raw, "a member of a group")),
            lambda user_id: user_id,
            site=self._site_id,
            group=group_id,
        )
        return frozenset(found)

    async def add_group_user(self, group_id: AccessGroupId, user_id: PlatformUserId) -> None:
        """Let a user into an access group; a new user is 404/2202 for a while (MEAS)."""
        await self._caller.write(
            "POST",
            "/v1.2/sites/{site}/access_groups/{group}/users",
            body={"user_id": user_id},
            site=self._site_id,
            group=group_id,
        )

    async def remove_group_user(self, group_id: AccessGroupId, user_id: PlatformUserId) -> None:
        """Take a user out of an access group (MEAS)."""
        await self._caller.write(
            "DELETE",
            "/v1.2/sites/{site}/access_groups/{group}/users/{user}",
            site=self._site_id,
            group=group_id,
            user=user_id,
        )

    async def schedules(self, group_id: AccessGroupId) -> tuple[TimeSchedule, ...]:
        """List the time schedules of an access group (INF)."""
        return await self._caller.read_all(
            "/v1.1/sites/{site}/access_groups/{group}/time_schedules",
            TimeSchedule.from_api,
            lambda schedule: schedule.id,
            site=self._site_id,
            group=group_id,
        )

    async def create_schedule(self, group_id: AccessGroupId, times: ScheduleTimes) -> ScheduleId:
        """Add a time schedule; without one a group never reaches a door (MEAS).

        Of the answer only the id was measured, so nothing else of it is read.
        """
        answer = await self._caller.write(
            "POST",
            "/v1.1/sites/{site}/access_groups/{group}/time_schedules",
            body=times.to_api(),
            site=self._site_id,
            group=group_id,
        )
        return ScheduleId(identifier(json_object(_json(answer), "a new time schedule"), "id"))

    async def change_schedule(
        self, group_id: AccessGroupId, schedule_id: ScheduleId, times: ScheduleTimes
    ) -> None:
        """Move a time schedule; the PIN stays as it is (CODE)."""
        await self._caller.write(
            "PATCH",
            "/v1.1/sites/{site}/access_groups/{group}/time_schedules/{schedule}",
            body=times.to_api(),
            site=self._site_id,
            group=group_id,
            schedule=schedule_id,
        )

    async def _change_user(self, user_id: SiteUserId, body: dict[str, object]) -> None:
        """Change fields of a user."""
        await self._caller.write(
            "PATCH",
            "/v1.2/sites/{site}/users/{user}",
            body=body,
            site=self._site_id,
            user=user_id,
        )


def _json(answer: Answer) -> object:
    """Parse what a creation answers."""
    parsed: object = answer.json(Endpoint.API)
    return parsed


def _instant(moment: datetime) -> str:
    """Write an instant in UTC to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
