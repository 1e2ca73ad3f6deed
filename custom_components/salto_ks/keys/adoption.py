"""What Salto has of a key that the ledger cannot account for, as a record."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ..domain.differences import taken_in
from ..domain.ids import BookingId, DoorId, KeyId, key_id as key_id_of, number_of
from ..domain.keys import DoorGroup, Guest, KeyRecord, KeyStatus
from ..domain.observed import Observation
from ..domain.windows import AccessWindow
from .audit_log import AuditQuery
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
        bare = replace(
            self._ledger.records.get(key_id) or await self._barest(key_id),
            guest=Guest(id=guest.id, person_id=guest.person_id),
            groups=tuple(
                DoorGroup(id=group_id, zone="", doors=frozenset())
                for group_id in sorted({one.id for one in observed.groups if one.key_id == key_id})
            ),
        )
        details = await self._provider.observe_deep(bare)
        return None if details is None else taken_in(bare, details, self._zone_shared_by)

    async def _barest(self, key_id: KeyId) -> KeyRecord:
        """Return a record of a key of which nothing was read yet."""
        now = self._clock()
        return KeyRecord(
            key_id=key_id,
            doors=frozenset(),
            window=AccessWindow(now, now + _UNTIL_IT_IS_READ),
            status=KeyStatus.UNKNOWN,
            booking_id=await self._booking_once_of(key_id),
            created_at=now,
            changed_at=now,
        )

    async def _booking_once_of(self, key_id: KeyId) -> BookingId | None:
        """Return the booking that a key was made for, if the audit log still has it.

        At Salto nothing tells that. With it, the booking gets no second key for these doors.
        """
        lines = await self._ledger.audit.query(AuditQuery(key_id=key_id))
        return next((line.booking_id for line in lines if line.booking_id is not None), None)

    def _zone_shared_by(self, doors: frozenset[DoorId]) -> str | None:
        """Return the time zone of doors; None where they do not share one."""
        zones = [*self._provider.zones(doors)]
        return zones[0] if len(zones) == 1 else None
