"""The door log: who opened what and when, as frozen values with our names.

The vendor calls its lines entries. They are at version 1.1 alone (MEAS).
"""

from collections.abc import Container
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import NewType, Self

from .caller import Caller
from .exceptions import SaltoKsUnexpectedResponseError
from .models import LockId, PlatformUserId, SiteId
from .parsing import (
    LONGEST_NAME,
    JsonObject,
    boolean,
    identifier,
    is_uuid,
    json_object,
    known,
    one_line,
    optional_instant,
    text,
)

AccessEventId = NewType("AccessEventId", str)


class AccessCategory(StrEnum):
    """What happened at a door (MEAS, DOC); there are more than these."""

    LOCK_OPENED = "lock_opened"
    LOCK_REJECTED = "lock_rejected"
    OFFICE_MODE = "office_mode"
    EASY_OFFICE_MODE = "easy_office_mode"
    PRIVACY_MODE = "privacy_mode"
    UNKNOWN = "unknown"


class AccessMethod(StrEnum):
    """What somebody used at a door (MEAS; `remote` is of the vendor's specification)."""

    TAG = "tag"
    PIN_CODE = "pin_code"
    INSIDE_HANDLE = "inside_handle"
    REMOTE = "remote"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEvent:
    """One line of the door log; numbers of tags and pictures of people are left where they are.

    Names are for people who may see them in Home Assistant, so they are in no `repr`.
    """

    id: AccessEventId
    at: datetime
    """When it happened at the door, which may be long before Salto heard of it (DOC)."""
    category: AccessCategory | str
    detail: str | None
    """A word of Salto's such as `no_access`, `suspended`, `start` or `end` (MEAS)."""
    lock_id: LockId | None
    person_id: PlatformUserId | None
    """Whose key it was; an unknown PIN carries one id that is nobody's, an unknown tag none (MEAS)."""
    person_name: str | None = field(default=None, repr=False)
    """First and last name, as far as Salto tells them (MEAS)."""
    person_alias: str | None = field(default=None, repr=False)
    """What the person is called at the site; that of a guest of ours carries its marker (MEAS)."""
    access_by: AccessMethod | str | None
    exit_requested: bool
    """Whether somebody went out by the inside handle (MEAS)."""

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read an entry object (MEAS).

        Without id or instant it is no line that could be told once. A door or a person in a form
        that is no id is left out, since the sentinel of an unknown PIN was never written down (UNK).
        """
        data = json_object(raw, "an entry")
        at = optional_instant(data, "utc_date_time")
        if at is None:
            raise SaltoKsUnexpectedResponseError("field utc_date_time is no instant")
        lock_id = _id_if_any(data, "lock_id")
        person_id = _id_if_any(data, "user_id")
        return cls(
            id=AccessEventId(identifier(data, "id")),
            at=at,
            category=known(AccessCategory, data, "event_category", AccessCategory.UNKNOWN),
            detail=text(data, "event_detail") or None,
            lock_id=None if lock_id is None else LockId(lock_id),
            person_id=None if person_id is None else PlatformUserId(person_id),
            person_name=_name(data, "user_first_name", "user_last_name"),
            person_alias=_name(data, "user_alias"),
            access_by=known(AccessMethod, data, "access_by", AccessMethod.UNKNOWN)
            if data.get("access_by")
            else None,
            exit_requested=boolean(data, "exit_requested"),
        )


class AccessEventsApi:
    """Read the door log of one site. Every method raises from the tree of `SaltoKsError`."""

    def __init__(self, caller: Caller, site_id: SiteId) -> None:
        """Send calls through `caller`."""
        self._caller = caller
        self._site_id = site_id

    async def since(
        self, at: datetime, *, told: Container[AccessEventId], most: int
    ) -> tuple[AccessEvent, ...]:
        """Read what happened from an instant on, oldest first, without what was `told` before.

        A long log is read up to the page that brings `most` events together; what is left is
        later than those. Where the lines do not come in the order that is asked for (MEAS for
        `desc`, INF for `asc`) they are all read.
        """
        start = at.astimezone(UTC).replace(microsecond=0)
        found: list[AccessEvent] = []
        new: dict[AccessEventId, AccessEvent] = {}
        reading = self._caller.read_continued(
            "/v1.1/sites/{site}/entries",
            AccessEvent.from_api,
            query={
                "$filter": f"utc_date_time ge DateTime'{start:%Y-%m-%dT%H:%M:%SZ}'",
                "$orderby": "utc_date_time asc",
            },
            site=self._site_id,
        )
        async with aclosing(reading) as pages:
            async for page in pages:
                found += page
                new |= {event.id: event for event in page if event.id not in told}
                if len(new) >= most and all(one.at <= two.at for one, two in pairwise(found)):
                    break
        return tuple(
            sorted(
                (event for event in new.values() if event.at >= start),
                key=lambda event: (event.at, event.id),
            )
        )


def _name(data: JsonObject, *keys: str) -> str | None:
    """Read what somebody is called, without spaces that say nothing; None for nothing at all."""
    return one_line(" ".join(text(data, key) for key in keys), LONGEST_NAME).strip() or None


def _id_if_any(data: JsonObject, key: str) -> str | None:
    """Read a UUID that a line can do without; anything else is none."""
    return identifier(data, key) if is_uuid(text(data, key).strip()) else None
