"""What the key manager asks of a key system, and nothing of how it is done.

A second key system can be added by writing another provider; the manager, the ledger and the
plan stay as they are.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from ..domain.ids import DoorId, GuestId, KeyId
from ..domain.keys import KeyProblem, KeyRecord
from ..domain.observed import (
    UNSEEN_FOR,
    Observation,
    ObservedDetails,
    ObservedGroup,
    ObservedGuest,
)

__all__ = [
    "UNSEEN_FOR",
    "Capabilities",
    "ChoosePin",
    "Issued",
    "KeyFailedError",
    "KeyProvider",
    "Observation",
    "ObservedDetails",
    "ObservedGroup",
    "ObservedGuest",
]

type ChoosePin = Callable[[], str]
"""Gives a PIN of our own choice, another one at each call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a key system can do at a site, now."""

    pins_enabled: bool
    can_choose_pin: bool
    """Whether the digits, and so the length, are ours to choose."""
    seats_free: int | None
    """Seats that guests can still take; None when Salto does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A key that was issued and read back."""

    record: KeyRecord
    keypad_pin: str = field(repr=False)
    leftovers: bool = False
    """Whether a creation without an answer may have left a twin that a listing shows only later:
    then `remove_spares` has to be called once `UNSEEN_FOR` has passed."""


class KeyFailedError(Exception):
    """A key could not be brought to where it was wanted, and trying again does not help."""

    def __init__(self, problem: KeyProblem, detail: str = "", *, leftovers: bool = False) -> None:
        """Remember why; `detail` is the vendor's answer, never a secret.

        `leftovers` tells that something of a key that was to be issued may still be there: it
        could not be taken back, or a creation without an answer may show only later.
        """
        super().__init__(f"{problem.value}: {detail}" if detail else problem.value)
        self.problem = problem
        self.detail = detail
        self.leftovers = leftovers


class KeyProvider(Protocol):
    """Issues, changes and takes back keys.

    Each method either reaches its end or raises: KeyFailedError for what is final, an error of
    the client for what may work later (for a refused login: after a new one). Cancelled at any
    point, a method leaves nothing behind but what carries the key's marker.
    """

    async def capabilities(self) -> Capabilities:
        """Tell what can be done at the site now."""

    async def issue(self, record: KeyRecord, choose_pin: ChoosePin | None) -> Issued:
        """Bring a key into being, anew: what the record has at the key system is ignored.

        It touches nothing but what it makes itself. After KeyFailedError nothing of that is left,
        unless its `leftovers` says so; after an error of the client, or a cancellation, something
        may be. Then `remove(key_id, None)` comes before another attempt, and once more when
        `UNSEEN_FOR` has passed since.
        """

    async def change(self, record: KeyRecord, wanted: KeyRecord) -> KeyRecord:
        """Move window and doors of a key to those of `wanted`; its PIN stays.

        A status of SUSPENDED in `wanted` says that the key has no seat now. May be repeated with
        the same records after any failure, which can leave the key between the two.
        """

    async def restore(self, record: KeyRecord) -> KeyRecord:
        """Bring a key back to what its record says, whatever was done to it; its PIN stays.

        A PIN that is missing stays missing. May be repeated after any failure. Raises
        KeyFailedError too where the guest is gone: such a key has to be issued anew.
        """

    async def suspend(self, record: KeyRecord) -> KeyRecord:
        """Take a key's effect and seat, and keep all else."""

    async def resume(self, record: KeyRecord) -> KeyRecord:
        """Give a suspended key its seat and effect back."""

    async def rotate(self, record: KeyRecord, choose_pin: ChoosePin | None) -> str:
        """Replace a key's PIN; the old one is dead.

        After KeyFailedError the old PIN still counts, except with PIN_LOST; after an error of the
        client nobody knows which PIN counts, until another call succeeds.
        """

    async def remove(self, key_id: KeyId, record: KeyRecord | None) -> None:
        """Remove all that carries a key's marker or is in its record; gone already is fine.

        What is younger than `UNSEEN_FOR` and not in the record may not be listed yet.
        """

    async def remove_spares(self, record: KeyRecord) -> int:
        """Remove what carries a key's marker and is not in its record; return how much."""

    async def observe(self) -> Observation:
        """List what of ours is at the site; what was removed just now may still be in it."""

    async def observe_deep(self, record: KeyRecord) -> ObservedDetails | None:
        """Read each part of a key by its id; None where the guest is gone.

        Only reads, and only of the groups in the record, which have to be listed.
        """

    async def is_gone(self, guest_id: GuestId) -> bool:
        """Tell whether the key system says that it has no such guest."""

    async def is_whole(self, record: KeyRecord) -> bool:
        """Tell whether the guest and all groups of a key are there, be they removed just now."""

    async def set_membership(self, record: KeyRecord, *, member: bool) -> KeyRecord:
        """Have the guest join or leave the key's groups."""

    @property
    def clock_offset(self) -> timedelta | None:
        """Return how far the key system's clock is ahead of ours; None when it does not tell."""

    def zones(self, doors: Collection[DoorId]) -> dict[str, frozenset[DoorId]]:
        """Sort doors by the time zone of their wall clock."""
