"""What may be asked of keys, and why something is refused before anybody is asked to do it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .ids import BookingId, DoorId, UnitId
from .keys import KeyRecord, KeyStatus, KeyWarning, OnRemoval, Strategy
from .pins import LONGEST, SHORTEST
from .windows import AccessWindow

FARTHEST_END: Final = timedelta(days=3660)
"""How far ahead a window may end: about ten years, beyond which a date is a slip of the finger."""


class KeyRefusal(StrEnum):
    """Why nothing was done for a key; each has a text of the same name."""

    SITE_INACTIVE = "key_site_inactive"
    PINS_DISABLED = "key_pins_disabled"
    SEAT_UNAVAILABLE = "key_seat_unavailable"
    NO_DOORS = "key_no_doors"
    DOOR_UNKNOWN = "key_door_unknown"
    DOOR_WITHOUT_KEYPAD = "key_door_without_keypad"
    ENDS_BEFORE_START = "key_ends_before_start"
    WINDOW_OVER = "key_window_over"
    WINDOW_TOO_FAR = "key_window_too_far"
    PIN_LENGTH_INVALID = "key_pin_length_invalid"
    PIN_LENGTH_UNAVAILABLE = "key_pin_length_unavailable"
    OTHER_WINDOW = "key_other_window"
    NOTHING_TO_CHANGE = "key_nothing_to_change"
    UNKNOWN = "key_unknown"
    NO_KEY_OF_UNIT = "key_none_of_unit"
    ENDED = "key_ended"
    SUSPENDED = "key_suspended"
    PIN_NOT_THERE = "key_pin_not_there"
    PIN_UNREADABLE = "key_pin_unreadable"
    LEDGER_CLOSED = "key_ledger_closed"
    UNLOADING = "key_unloading"
    READ_ONLY = "key_read_only"
    JUST_CHANGED = "key_just_changed"
    NOTHING_TO_ADOPT = "key_nothing_to_adopt"


OF_THE_WORLD: Final = frozenset(
    {KeyRefusal.LEDGER_CLOSED, KeyRefusal.READ_ONLY, KeyRefusal.UNLOADING}
)
"""Refusals that the caller could not have avoided."""


class KeyRefusedError(Exception):
    """Something about a key that was not done, and of which nothing was sent."""

    def __init__(self, reason: KeyRefusal, **about: str) -> None:
        """Remember why; `about` fills the text, and holds no secret."""
        super().__init__(reason.value)
        self.reason = reason
        self.about: Mapping[str, str] = about


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorFacts:
    """What is known of a door, as Salto told it in the last poll."""

    name: str
    has_keypad: bool
    online: bool
    iq_online: bool
    privacy_mode: bool
    office_mode: bool
    seen_at: datetime
    """When Salto was asked."""
    reached_since: datetime | None
    """Since when door and IQ have been online in every poll; None when they are not."""

    def has_heard(self, since: datetime, roll_out: timedelta) -> bool:
        """Tell whether the door was in reach long enough to hear of what was done at `since`."""
        if self.reached_since is None:
            return False
        return self.seen_at - max(since, self.reached_since) >= roll_out

    @property
    def warnings(self) -> frozenset[KeyWarning]:
        """Return what may keep a PIN from working at this door, or makes it needless."""
        found = {
            KeyWarning.LOCK_OFFLINE: not self.online,
            KeyWarning.IQ_OFFLINE: not self.iq_online,
            KeyWarning.PRIVACY_MODE: self.privacy_mode,
            KeyWarning.OFFICE_MODE: self.office_mode,
        }
        return frozenset(warning for warning, holds in found.items() if holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """A key that somebody wants."""

    doors: frozenset[DoorId]
    starts_at: datetime
    ends_at: datetime
    booking_id: BookingId | None = None
    unit_id: UnitId | None = None
    label: str = field(default="", repr=False)
    pin_length: int | None = None
    strategy: Strategy = Strategy.SCHEDULE
    on_removal: OnRemoval = OnRemoval.REVOKE


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """What is to be different about a key; None stays as it is."""

    starts_at: datetime | None = None
    ends_at: datetime | None = None
    doors: frozenset[DoorId] | None = None
    unit_id: UnitId | None = None
    """The unit that its booking has moved to."""
    on_removal: OnRemoval | None = None

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was asked for."""
        return self.starts_at is None and self.ends_at is None and self.doors is None


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who asked for something, and why, for the audit log."""

    who: str
    """A user of Home Assistant, an automation, or empty for what the integration does itself."""
    reason: str = field(default="", repr=False)


def checked_window(starts_at: datetime, ends_at: datetime, now: datetime) -> AccessWindow:
    """Return the window in whole minutes. Raises KeyRefusedError for one that makes no sense."""
    if ends_at <= starts_at:
        raise KeyRefusedError(KeyRefusal.ENDS_BEFORE_START)
    if ends_at <= now:
        raise KeyRefusedError(KeyRefusal.WINDOW_OVER)
    if ends_at - now > FARTHEST_END or now - starts_at > FARTHEST_END:
        raise KeyRefusedError(KeyRefusal.WINDOW_TOO_FAR)
    return AccessWindow(starts_at, ends_at).to_minutes()


def check_doors(doors: Collection[DoorId], facts: Mapping[DoorId, DoorFacts | None]) -> None:
    """Raise KeyRefusedError unless a PIN can be typed at every door."""
    if not doors:
        raise KeyRefusedError(KeyRefusal.NO_DOORS)
    known = {door: fact for door in doors if (fact := facts.get(door)) is not None}
    if len(known) < len(doors):
        raise KeyRefusedError(KeyRefusal.DOOR_UNKNOWN)
    without = sorted(fact.name for fact in known.values() if not fact.has_keypad)
    if without:
        raise KeyRefusedError(KeyRefusal.DOOR_WITHOUT_KEYPAD, doors=", ".join(without))


def check_pin_length(length: int | None) -> None:
    """Raise KeyRefusedError for a length that no chosen PIN can have."""
    if length is not None and not SHORTEST <= length <= LONGEST:
        raise KeyRefusedError(
            KeyRefusal.PIN_LENGTH_INVALID, shortest=str(SHORTEST), longest=str(LONGEST)
        )


def same_key(
    keys: Collection[KeyRecord], doors: frozenset[DoorId], window: AccessWindow
) -> KeyRecord | None:
    """Return the live key of a booking that is asked for once more; None when there is none.

    Raises KeyRefusedError where the booking has a key for these doors with another window: that
    one is to be changed, as a second PIN is not what anybody wants.
    """
    for key in keys:
        if key.is_live and key.status is not KeyStatus.REMOVING and key.doors == doors:
            if key.window != window:
                raise KeyRefusedError(KeyRefusal.OTHER_WINDOW, key_id=key.key_id)
            return key
    return None


def gives_more(record: KeyRecord, window: AccessWindow, doors: frozenset[DoorId]) -> bool:
    """Tell whether a change lets a key open longer, or more doors, than it does."""
    return (
        window.starts_at < record.window.starts_at
        or window.ends_at > record.window.ends_at
        or not doors <= record.doors
    )


def warnings_of(
    record: KeyRecord, facts: Mapping[DoorId, DoorFacts | None]
) -> frozenset[KeyWarning]:
    """Return the warnings of a key, those about its doors as they are now among them."""
    known = (fact for door in record.doors if (fact := facts.get(door)) is not None)
    return record.warnings.union(*(fact.warnings for fact in known))
