"""A key: one guest PIN with its doors and its window, as the ledger knows it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .ids import BookingId, DoorId, GroupId, GuestId, KeyId, PersonId, TimesId, UnitId
from .windows import AccessWindow


class KeyStatus(StrEnum):
    """Where a key stands."""

    SCHEDULED = "scheduled"
    """Wanted by a booking, and not due yet: only shown, as no record has it."""
    SETTING = "setting"
    SET = "set"
    """Accepted by Salto and read back."""
    CHANGING = "changing"
    SUSPENDED = "suspended"
    """Kept, without a seat and without effect."""
    REMOVING = "removing"
    """Gone at Salto, but a door may not have heard of it yet."""
    REVOKED = "revoked"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Salto could not be asked about it."""


ENDED = frozenset({KeyStatus.REVOKED, KeyStatus.FAILED})
"""States in which nothing of a key is left at Salto."""


class KeyProblem(StrEnum):
    """Why a key does not work."""

    SEAT_UNAVAILABLE = "seat_unavailable"
    DOOR_WITHOUT_KEYPAD = "door_without_keypad"
    PINS_DISABLED = "pins_disabled"
    GROUP_WITHOUT_SCHEDULE = "group_without_schedule"
    NOT_READ_BACK = "not_read_back"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    WINDOW_OVER = "window_over"
    PIN_LOST = "pin_lost"


class KeyWarning(StrEnum):
    """What may keep a key that is set from working as expected."""

    CLOCK_CHANGE = "clock_change"
    """An end of the window falls into the hour that comes twice."""
    IQ_OFFLINE = "iq_offline"
    LOCK_OFFLINE = "lock_offline"
    PRIVACY_MODE = "privacy_mode"
    OFFICE_MODE = "office_mode"
    EXPIRY_NOT_MOVED = "expiry_not_moved"
    """Salto did not take the later end of the guest; the key has to be issued anew in time."""
    NOT_OBSERVABLE = "not_observable"
    """Part of the key could not be read back, because Salto does not offer it."""
    NOT_REMOVED = "not_removed"
    """Salto has refused to take the key back; that is tried again until it is done."""
    MODIFIED_OUTSIDE = "modified_outside"
    """Somebody has changed the key at Salto, as the last look at all of it has shown."""


class Strategy(StrEnum):
    """How a window reaches the door."""

    SCHEDULE = "schedule"
    """A dated time schedule; works without us."""
    MEMBERSHIP = "membership"
    """An always-schedule, joined and left at the window's ends by us."""


class OnRemoval(StrEnum):
    """What becomes of a unit's keys when the unit is deleted."""

    REVOKE = "revoke"
    LEAVE = "leave"
    """They stay until their windows are over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """The guest that carries a key at Salto."""

    id: GuestId
    person_id: PersonId
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorGroup:
    """The access group of a key's doors in one time zone."""

    id: GroupId
    zone: str
    doors: frozenset[DoorId]
    times_id: TimesId | None = None
    member: bool = False
    """Whether the guest is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What the ledger says of a key."""

    key_id: KeyId
    doors: frozenset[DoorId]
    window: AccessWindow
    status: KeyStatus
    strategy: Strategy = Strategy.SCHEDULE
    booking_id: BookingId | None = None
    unit_id: UnitId | None = None
    on_removal: OnRemoval = OnRemoval.REVOKE
    """What becomes of it when its unit is deleted, which asks nobody."""
    by_hand: bool = False
    """Whether a person has suspended or revoked it, which no booking undoes."""
    label: str = field(default="", repr=False)
    """For people in Home Assistant; never sent to Salto."""
    pin_length: int | None = None
    """Wished length of a PIN of our own choice; None leaves it to Salto."""
    sealed_pin: str | None = field(default=None, repr=False)
    """The PIN, encrypted; None when there is none or it was forgotten."""
    guest: Guest | None = None
    groups: tuple[DoorGroup, ...] = ()
    errors: frozenset[KeyProblem] = frozenset()
    warnings: frozenset[KeyWarning] = frozenset()
    created_at: datetime
    changed_at: datetime
    removed_at: datetime | None = None
    """When Salto said that it is gone."""
    first_used_at: datetime | None = None
    pin_set_at: datetime | None = None
    """Since when the PIN that counts now has been in force."""

    @property
    def proven(self) -> bool:
        """Tell whether the PIN has opened a door."""
        return self.first_used_at is not None

    @property
    def is_live(self) -> bool:
        """Tell whether something of it may be at Salto or at a door."""
        return self.status not in ENDED
