"""What Salto has of a key that the ledger cannot account for, as a record."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ..domain.differences import taken_in
from ..domain.ids import DoorId, GuestId, KeyId, key_id as key_id_of, number_of
from ..domain.keys import DoorGroup, Guest, KeyRecord, KeyStatus, OnRemoval
from ..domain.observed import Observation
from ..domain.windows import AccessWindow
from .audit_log import AuditLine, AuditQuery
from .ledger import Ledger
from .provider import KeyProvider

_UNTIL_IT_IS_READ: Final = timedelta(days=1)
"""How long the window of a record is that does not have its own yet; it counts nowhere."""


class Adoption:
    """Makes records of what is found at one site; nothing is written, here or there."""

    def __init__(
        self, ledger: Ledger, provider: KeyProvider, *, clock: Callable[[], datetime]
    ) -> None:
        """Read through `provider`, and from `ledger` what it still knows."""
        self._ledger = ledger
        self._provider = provider
        self._clock = clock

    async def record_of(self, key_id: KeyId, observed: Observation) -> KeyRecord | None:
        """Make a record of what carries a key's marker; None where that makes no key.

        Raises KeyFailedError or from `SaltoKsError` where it cannot be read, and StorageError.
        """
        guests = {one.id: one for one in observed.guests if one.key_id == key_id}
        is_plain = key_id == key_id_of(self._ledger.instance, number_of(key_id))
        if len(guests) != 1 or observed.groups is None or not is_plain:
            return None
        (guest,) = guests.values()
        groups = {one.id for one in observed.groups if one.key_id == key_id and one.is_made_by_us}
        bare = replace(
            self._ledger.records.get(key_id) or await self._barest(key_id, guest.id),
            guest=Guest(id=guest.id, person_id=guest.person_id),
            groups=tuple(
                DoorGroup(id=group_id, zone="", doors=frozenset()) for group_id in sorted(groups)
            ),
        )
        details = await self._provider.observe_deep(bare)
        return None if details is None else taken_in(bare, details, self._zone_shared_by)

    async def _barest(self, key_id: KeyId, guest_id: GuestId) -> KeyRecord:
        """Return a record of a key of which nothing was read yet.

        It is of a booking only where the audit log tells of this very guest: a marker can be
        written by anybody who may name guests at Salto, an id is given by Salto.
        """
        now = self._clock()
        bare = KeyRecord(
            key_id=key_id,
            doors=frozenset(),
            window=AccessWindow(now, now + _UNTIL_IT_IS_READ),
            status=KeyStatus.UNKNOWN,
            created_at=now,
            changed_at=now,
        )
        lines = await self._ledger.audit.query(AuditQuery(key_id=key_id))
        about = (line for line in lines if line.salto_key_id == guest_id)
        return next((_made_for(bare, line, by) for line in about if (by := line.on_removal)), bare)

    def _zone_shared_by(self, doors: frozenset[DoorId]) -> str | None:
        """Return the time zone of doors; None where they do not share one."""
        zones = [*self._provider.zones(doors)]
        return zones[0] if len(zones) == 1 else None


def _made_for(bare: KeyRecord, line: AuditLine, on_removal: OnRemoval) -> KeyRecord:
    """Return the record of a key with the booking and the unit that it was made for.

    At Salto nothing tells that. With both, the booking keeps its key and gets no second one. With a
    booking and no word of a unit nobody would know that the booking has a key, or take it back; so
    lines that do not tell of units are not asked.
    """
    return replace(bare, booking_id=line.booking_id, unit_id=line.unit_id, on_removal=on_removal)
