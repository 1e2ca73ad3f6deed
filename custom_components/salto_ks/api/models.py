"""What Salto says, as frozen values with our names.

The vendor's spelling ends here: `customer_reference` becomes `name`, the two kinds of user id
become two types, and words we do not know are carried as plain text instead of failing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NewType, Self

from .exceptions import SaltoKsUnexpectedResponseError
from .parsing import (
    JsonObject,
    boolean,
    identifier,
    json_object,
    known,
    name,
    optional_boolean,
    optional_identifier,
    optional_integer,
    text,
)

SiteId = NewType("SiteId", str)
"""UUID of a site; every site path uses it (MEAS)."""
IqId = NewType("IqId", str)
LockId = NewType("LockId", str)
SiteUserId = NewType("SiteUserId", str)
"""A user within one site; used by everything under `/users/{id}` (MEAS)."""
PlatformUserId = NewType("PlatformUserId", str)
"""A person over all sites; used by access groups and entries, and what an IQ secret hangs on (MEAS)."""


class LockedState(StrEnum):
    """State of a lock's bolt (enum of the vendor's specification)."""

    NONE = "none"
    LOCKED = "locked"
    OFFICE_MODE = "office_mode"
    UNCERTAIN = "uncertain"
    UNLOCKED = "unlocked"


class LockCommand(StrEnum):
    """What `locking` can be told (DOC)."""

    OPEN = "unlocked"
    """Open once; the lock relocks by itself after its open time of 1 to 240 s."""
    START_OFFICE_MODE = "office_mode"
    END_OFFICE_MODE = "locked"


class LockType(StrEnum):
    """Kind of lock; the two `*_PIN` kinds have a keypad (MEAS; the rest second hand)."""

    NONE = "none"
    UNKNOWN = "unknown"
    CYLINDER = "cylinder"
    ESCUTCHEON = "escutcheon"
    ESCUTCHEON_PIN = "escutcheon_pin"
    WALL_READER = "wall_reader"
    WALL_READER_PIN = "wall_reader_pin"


class BatteryLevel(StrEnum):
    """Battery of a lock in words; Salto gives no percentage (`fresh` MEAS; the rest second hand)."""

    FRESH = "fresh"
    GOOD = "good"
    LOW = "low"
    CRITICAL = "critical"
    NONE = "none"
    UNKNOWN = "unknown"


_BATTERY_IS_LOW: Final[Mapping[str, bool]] = {
    BatteryLevel.FRESH: False,
    BatteryLevel.GOOD: False,
    BatteryLevel.LOW: True,
    BatteryLevel.CRITICAL: True,
}


class PinChannel(StrEnum):
    """How Salto delivers an IQ PIN (DOC)."""

    EMAIL = "email"
    SMS = "sms"


class SubscriptionState(StrEnum):
    """Whether a site user holds a seat (MEAS)."""

    SUBSCRIBED = "subscribed"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One installation."""

    id: SiteId
    site_uid: str
    """The readable code (`NL…`); never part of a path (MEAS)."""
    name: str
    pin_enabled: bool
    """Whether keypad PINs are allowed on the site at all."""
    seats_used: int | None
    seats_total: int | None
    subscription_valid: bool | None
    time_zone: str

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read a site object (MEAS)."""
        data = json_object(raw, "a site")
        return cls(
            id=SiteId(identifier(data, "id")),
            site_uid=name(data, "site_uid"),
            name=name(data, "customer_reference"),
            pin_enabled=boolean(data, "pin_enabled"),
            seats_used=optional_integer(data, "active_user_amount"),
            seats_total=optional_integer(data, "subscribed_user_amount"),
            subscription_valid=optional_boolean(data, "subscription_valid"),
            time_zone=text(data, "time_zone"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What the site has paid for, beside its seats, which the site itself tells."""

    features: frozenset[str]

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read a subscription (MEAS)."""
        data = json_object(raw, "a subscription")
        features = data.get("features")
        return cls(
            features=frozenset(item for item in features if isinstance(item, str))
            if isinstance(features, list)
            else frozenset(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteMember:
    """An account as a user of one site."""

    id: SiteUserId
    platform_id: PlatformUserId
    remote_access: bool
    """Whether it may open doors remotely at all; its roles must allow it as well."""
    role_codes: frozenset[str]
    blocked: bool

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read a site user object (MEAS)."""
        data = json_object(raw, "a site user")
        return cls(
            id=SiteUserId(identifier(data, "id")),
            platform_id=PlatformUserId(
                identifier(json_object(data.get("user"), "a site user's profile"), "id")
            ),
            remote_access=boolean(data, "remote_access"),
            role_codes=role_codes_of(data),
            blocked=boolean(data, "blocked"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Iq:
    """A gateway. Whether *we* are activated on it is not one of its fields (MEAS)."""

    id: IqId
    name: str
    online: bool
    """As the backend sees it; up to an hour behind (DOC)."""
    restore_required: bool
    otp_enabled: bool
    """Without it the IQ takes commands unsigned (CODE)."""
    signal_strength: int | None
    time_zone: str
    revision: str
    mac: str

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read an IQ object (MEAS)."""
        data = json_object(raw, "an IQ")
        return cls(
            id=IqId(identifier(data, "id")),
            name=name(data, "customer_reference"),
            online=boolean(data, "online"),
            restore_required=boolean(data, "restore_required"),
            otp_enabled=boolean(data, "otp_enabled", default=True),
            signal_strength=optional_integer(data, "signal_strength"),
            time_zone=text(data, "time_zone"),
            revision=name(data, "revision"),
            mac=name(data, "mac"),
        )

    @property
    def title(self) -> str:
        """Return what people call it, else what is printed on it, else its id."""
        return self.name or self.mac or self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class IqActivation:
    """Our account's state on one IQ; reading the first secret already makes an entry (MEAS)."""

    iq_id: IqId
    activated: bool

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read an item of `activated_iqs` (MEAS)."""
        data = json_object(raw, "an activation")
        return cls(
            iq_id=IqId(identifier(data, "iq_id")),
            activated=boolean(data, "activated"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A door's lock. There is no field for whether the door itself stands open (MEAS)."""

    id: LockId
    name: str
    locked_state: LockedState | str
    lock_type: LockType | str
    online: bool
    iq_id: IqId | None
    """None for a lock that hangs on no IQ; it cannot be opened remotely (CODE)."""
    iq_link_state: str
    battery_level: BatteryLevel | str
    left_open_alarm: bool | None
    intrusion_alarm: bool | None
    privacy_mode: bool | None
    vendor_name: str
    mac: str

    @classmethod
    def from_api(cls, raw: object) -> Self:
        """Read a lock object (MEAS)."""
        data = json_object(raw, "a lock")
        iq = data.get("iq")
        vendor = data.get("vendor")
        iq_id = optional_identifier(iq, "id") if isinstance(iq, dict) else None
        return cls(
            id=LockId(identifier(data, "id")),
            name=name(data, "customer_reference"),
            locked_state=known(LockedState, data, "locked_state", LockedState.NONE),
            lock_type=known(LockType, data, "lock_type", LockType.UNKNOWN),
            online=boolean(data, "online"),
            iq_id=None if iq_id is None else IqId(iq_id),
            iq_link_state=text(data, "iq_link_state"),
            battery_level=known(BatteryLevel, data, "battery_level", BatteryLevel.UNKNOWN),
            left_open_alarm=optional_boolean(data, "left_open_alarm"),
            intrusion_alarm=optional_boolean(data, "intrusion_alarm"),
            privacy_mode=optional_boolean(data, "privacy_mode"),
            vendor_name=name(vendor, "display_name") if isinstance(vendor, dict) else "",
            mac=name(data, "mac"),
        )

    @property
    def title(self) -> str:
        """Return what people call it, else what is printed on it, else its id."""
        return self.name or self.mac or self.id

    @property
    def has_keypad(self) -> bool:
        """Tell whether a PIN can be typed at this door."""
        return self.lock_type in {LockType.ESCUTCHEON_PIN, LockType.WALL_READER_PIN}

    @property
    def battery_low(self) -> bool | None:
        """Tell whether the battery is low or critical; None where Salto does not say how it is."""
        return _BATTERY_IS_LOW.get(self.battery_level)


def role_codes_of(data: JsonObject) -> frozenset[str]:
    """Read the codes of a site user's roles (MEAS)."""
    roles = data.get("roles")
    if not isinstance(roles, list):
        return frozenset()
    return frozenset(text(role, "code") for role in roles if isinstance(role, dict))


def secret_from_api(raw: object) -> str:
    """Read an IQ secret: opaque, usually 16 characters, its case kept (MEAS).

    It becomes part of an OTP byte for byte, so nothing is trimmed.
    """
    secret = text(json_object(raw, "an IQ secret"), "secret")
    if not secret:
        raise SaltoKsUnexpectedResponseError("the answer holds no IQ secret")
    return secret
