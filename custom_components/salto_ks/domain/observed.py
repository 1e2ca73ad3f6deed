"""What of ours is at Salto: as its listings show it, late and never all of it, and key by key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from .ids import DoorId, GroupId, GuestId, KeyId, PersonId, TimesId, is_group_name

UNSEEN_FOR: Final = timedelta(minutes=5)
"""How long something new may be missing from listings. Only then does a listing without it mean
that it does not exist. What was removed may still be in them for as long."""

WRONG_AHEAD: Final = timedelta(days=1)
"""An instant that is farther ahead than this was noted while the clock was wrong, and tells nothing.
Of one that is nearer nobody knows how long ago that was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedGuest:
    """A guest that carries one of our markers."""

    key_id: KeyId
    id: GuestId
    person_id: PersonId
    has_seat: bool
    pin_enabled: bool
    """Whether the guest may use a PIN and is not blocked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedGroup:
    """An access group that carries one of our markers."""

    key_id: KeyId
    id: GroupId
    name: str

    @property
    def is_made_by_us(self) -> bool:
        """Tell whether it has just the name that we give; people may put a marker into others."""
        return is_group_name(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a listing of a whole site shows."""

    guests: tuple[ObservedGuest, ...]
    groups: tuple[ObservedGroup, ...] | None
    """None when Salto does not offer the listing."""
    unmanaged: int
    """Users without a marker; counted, never touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTimes:
    """A time schedule on the wall clock of an IQ: naive, in whole minutes, half-open."""

    id: TimesId
    starts: datetime | None
    """None for "from now"."""
    ends: datetime | None
    """None for "for ever"."""
    is_plain: bool
    """Whether it holds all day on every day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedGroupDetails:
    """What is in an access group; None for what Salto does not show."""

    doors: frozenset[DoorId] | None
    members: frozenset[PersonId] | None
    schedules: tuple[ObservedTimes, ...] | None

    @property
    def is_whole(self) -> bool:
        """Tell whether Salto shows all of it."""
        return None not in (self.doors, self.members, self.schedules)

    @property
    def shows_any(self) -> bool:
        """Tell whether Salto shows something of it, so that it is there."""
        return not (self.doors is None and self.members is None and self.schedules is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedDetails:
    """What Salto says of one key when it is asked for each part of it by its id."""

    has_seat: bool
    pin_enabled: bool
    """Whether the guest may use a PIN and is not blocked."""
    expires_at: datetime | None
    """When the guest ends by itself; None when Salto does not tell."""
    has_pin: bool | None
    """None when Salto does not show what a guest opens doors with."""
    groups: Mapping[GroupId, ObservedGroupDetails | None]
    """Those of the record that were asked about; None for one that is gone."""

    @property
    def is_whole(self) -> bool:
        """Tell whether Salto shows all of it."""
        return self.has_pin is not None and all(
            group is None or group.is_whole for group in self.groups.values()
        )


def may_be_unseen(done_at: datetime, now: datetime) -> bool:
    """Tell whether listings may not show yet what was done at an instant."""
    return -WRONG_AHEAD <= now - done_at < UNSEEN_FOR
