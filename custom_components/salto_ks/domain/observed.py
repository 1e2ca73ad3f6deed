"""What of ours is at Salto, as its listings show it: late, and never all of it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from .ids import GroupId, GuestId, KeyId, PersonId

UNSEEN_FOR: Final = timedelta(minutes=5)
"""How long something new may be missing from listings. Only then does a listing without it mean
that it does not exist. What was removed may still be in them for as long."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a listing of a whole site shows."""

    guests: tuple[ObservedGuest, ...]
    groups: tuple[ObservedGroup, ...] | None
    """None when Salto does not offer the listing."""
    unmanaged: int
    """Users without a marker; counted, never touched."""
