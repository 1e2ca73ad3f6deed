"""Users, guests, access groups and time schedules, as frozen values with our names."""

from dataclasses import dataclass
from datetime import datetime, time
from typing import Final, NewType, Self

from .exceptions import SaltoKsUnexpectedResponseError
from .models import PlatformUserId, SiteUserId, SubscriptionState, role_codes_of
from .parsing import (
    JsonObject,
    boolean,
    identifier,
    json_object,
    known,
    optional_instant,
    text,
)

AccessGroupId = NewType("AccessGroupId", str)
ScheduleId = NewType("ScheduleId", str)

_GUEST: Final = "site_guest"
"""The role that a guest is made with (MEAS)."""

_DATE_ONLY: Final = len("2026-01-02")

WEEKDAYS: Final = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteUser:
    """A user or guest of a site, with both of its ids."""

    id: SiteUserId
    """For everything under `/users/{id}` (MEAS)."""
    platform_id: PlatformUserId
    """For access groups and entries (MEAS)."""
    alias: str
    subscription_state: SubscriptionState | str | None
    """None where Salto does not tell; that is no seat, since a missing one is silent (MEAS)."""
    use_pin: bool
    blocked: bool
    expires_at: datetime | None
    """None where Salto gives none, or none that can be read."""
    is_guest: bool
    """Whether it has the role of a guest; a new one may have none at all yet (MEAS)."""

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read a site user object (MEAS)."""
        data = json_object(raw, "a site user")
        roles = role_codes_of(data)
        return cls(
            id=SiteUserId(identifier(data, "id")),
            platform_id=platform_id_of(data),
            alias=text(data, "alias"),
            subscription_state=_subscription_state(data),
            use_pin=boolean(data, "use_pin"),
            blocked=boolean(data, "blocked"),
            expires_at=optional_instant(data, "expires_at"),
            is_guest=not roles or _GUEST in roles,
        )

    @property
    def has_seat(self) -> bool:
        """Tell whether Salto says that it has a seat; without one no PIN opens anything (MEAS)."""
        return self.subscription_state == SubscriptionState.SUBSCRIBED


@dataclass(frozen=True, slots=True, kw_only=True)
class UserKey:
    """A thing a user opens doors with, as a fact: a PIN cannot be read back (MEAS)."""

    type: str
    expires_at: datetime | None

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read an item of a user's keys (MEAS)."""
        data = json_object(raw, "a key of a user")
        return cls(type=text(data, "type"), expires_at=optional_instant(data, "expiry_date"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessGroup:
    """Doors, members and time schedules that belong together."""

    id: AccessGroupId
    name: str

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read an access group (MEAS for the creation, INF for reading)."""
        data = json_object(raw, "an access group")
        return cls(id=AccessGroupId(identifier(data, "id")), name=text(data, "customer_reference"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleTimes:
    """When a time schedule holds, on the wall clock of the IQ: naive, every weekday.

    None for a date is "from now" or "for ever" (DOC). Hours are daily (DOC).
    """

    starts: datetime | None
    ends: datetime | None
    days: frozenset[str] = frozenset(WEEKDAYS)
    opens: time = time(0, 0, 0)
    closes: time = time(23, 59, 59)

    def to_api(self) -> dict[str, object]:
        """Write it; times without a zone, to the second (DOC, CODE)."""
        return {
            **{day: day in self.days for day in WEEKDAYS},
            "start_time": self.opens.isoformat("seconds"),
            "end_time": self.closes.isoformat("seconds"),
            "start_date": None if self.starts is None else self.starts.isoformat("T", "seconds"),
            "end_date": None if self.ends is None else self.ends.isoformat("T", "seconds"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSchedule:
    """A time schedule of an access group."""

    id: ScheduleId
    times: ScheduleTimes

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read a time schedule; seconds may come back altered (MEAS).

        Raises SaltoKsUnexpectedResponseError for a date or time that cannot be read: it must not
        pass for "for ever".
        """
        data = json_object(raw, "a time schedule")
        return cls(
            id=ScheduleId(identifier(data, "id")),
            times=ScheduleTimes(
                starts=_local(data, "start_date", time(0, 0, 0)),
                ends=_local(data, "end_date", time(23, 59, 59)),
                days=frozenset(day for day in WEEKDAYS if boolean(data, day)),
                opens=_time_of_day(data, "start_time"),
                closes=_time_of_day(data, "end_time"),
            ),
        )


def platform_id_of(data: JsonObject) -> PlatformUserId:
    """Read the platform id out of a site user object."""
    profile = json_object(data.get("user"), "a site user's profile")
    return PlatformUserId(identifier(profile, "id"))


def _subscription_state(data: JsonObject) -> SubscriptionState | str | None:
    """Read what Salto says of a seat; None when it says nothing."""
    if not text(data, "subscription_state"):
        return None
    return known(SubscriptionState, data, "subscription_state", SubscriptionState.SUSPENDED)


def _local(data: JsonObject, key: str, whole_day: time) -> datetime | None:
    """Read a naive local time; a zone, should one ever come along, is not ours to apply.

    Null is "from now" or "for ever", and a date alone stands for the whole day (DOC).
    """
    value = data.get(key)
    if value is None:
        return None
    written = text(data, key)
    try:
        moment = datetime.fromisoformat(written).replace(tzinfo=None)
    except ValueError:
        raise SaltoKsUnexpectedResponseError(f"field {key} is no date and time") from None
    return datetime.combine(moment, whole_day) if len(written) <= _DATE_ONLY else moment


def _time_of_day(data: JsonObject, key: str) -> time:
    """Read a time of day."""
    try:
        return time.fromisoformat(text(data, key)).replace(tzinfo=None)
    except ValueError:
        raise SaltoKsUnexpectedResponseError(f"field {key} is no time of day") from None
