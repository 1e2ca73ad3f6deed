"""What has to be known to say why a door opens or does not; None is what is not known, everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from .access_events import DenialReason
from .bookings import Booking, Unit
from .desired_keys import DesiredKey
from .ids import DoorId, KeyId
from .key_requests import DoorFacts
from .keys import KeyRecord
from .observed import ObservedDetails
from .read_only import ReadOnly


class Reach(StrEnum):
    """Whether Salto answers."""

    ANSWERS = "answers"
    SILENT = "silent"
    LOGIN_REFUSED = "login_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteView:
    """What is known of a site."""

    name: str
    reach: Reach
    active: bool
    account_blocked: bool | None
    remote_right: bool | None
    subscription_valid: bool | None
    pins_enabled: bool | None
    seats_used: int | None
    seats_total: int | None
    held_back: ReadOnly | None
    """Why nothing is done for keys by itself; None where all is."""
    ledger_closed: str | None
    """The file of the ledger for which no key is touched; None where all is well."""
    clock_offset: timedelta | None
    """How far Salto's clock is ahead of ours."""


class IqReady(StrEnum):
    """Whether the account may sign commands for an IQ."""

    ACTIVATED = "activated"
    NOT_SET_UP = "not_set_up"
    """Nobody has set it up in Home Assistant, which PINs do not need."""
    NOT_ACTIVATED = "not_activated"
    PIN_UNPROVEN = "pin_unproven"


@dataclass(frozen=True, slots=True, kw_only=True)
class IqView:
    """What is known of an IQ."""

    name: str
    online: bool | None
    restore_required: bool | None
    ready: IqReady | None
    otp_closed_until: datetime | None
    """Until when no one-time password is sent; None where one may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """A door did not open for somebody."""

    door_id: DoorId
    door: str
    """What people call it."""
    at: datetime
    reason: DenialReason


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorView:
    """What is known of a door."""

    door_id: DoorId
    name: str
    listed: bool | None
    """Whether the site has it."""
    facts: DoorFacts | None
    has_iq: bool | None
    iq: IqView | None
    zone: str
    """The name of the time zone that its IQ's clock keeps."""
    privacy_mode: bool | None
    battery_low: bool | None
    denial: Denial | None
    """The last thing that the door log told of it, if that was a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """What is known of a key: what the ledger says, and what Salto has just said."""

    record: KeyRecord
    guest_there: bool | None
    """Whether Salto has the guest of the record."""
    seen: ObservedDetails | None
    """None where it could not be looked at, or has no guest."""
    denials: tuple[Denial, ...] = ()
    """What the door log told last of its guest at each door, where that was a refusal."""
    wanted: DesiredKey | None = None
    """The key that its booking wants; None where it is of none, or of one that wants none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingView:
    """What is known of a booking."""

    booking: Booking
    unit: Unit
    calendar_read: bool | None
    """Whether its unit's calendar answered last time."""
    trouble: str | None
    """What went wrong with its key, in words."""
    refused_opening: str | None
    """Why Home Assistant would not open for it now, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """How a site is looked after."""

    log_read: bool | None
    """Whether the door log was read at the last attempt; None before the first."""
    live_events: bool
    """Whether Salto tells of what happens at doors at once; else it is asked now and then."""
    bookings_unread: str | None = None
    """The file for which bookings are not known; None where they are."""
    calendars: Mapping[str, bool | None] = field(default_factory=dict)
    """By the name of a unit whether its calendar answered last time."""
    troubles: Mapping[str, str] = field(default_factory=dict)
    """By the name of a booking what went wrong with its key, in words."""
    compared_at: datetime | None = None
    discrepancies: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that is known for one question: about a key, a booking, a door, or else the site."""

    now: datetime
    site: SiteView
    upkeep: Upkeep
    iqs: tuple[IqView, ...] = ()
    """Those of the site, where the question is about it."""
    booking: BookingView | None = None
    key: KeyView | None = None
    doors: tuple[DoorView, ...] = ()
    """Those that the question is about."""
    opens_remotely: bool = False
    """Whether it is also about doors that Home Assistant opens."""
    keys_now: tuple[KeyId, ...] | None = None
    """The keys that open the door now, where the question is about a door."""
