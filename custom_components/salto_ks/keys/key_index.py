"""Finds the keys of a booking or a unit, and the key that a guest carries."""

from collections.abc import Iterable

from ..domain.ids import BookingId, KeyId, PersonId, UnitId
from ..domain.keys import KeyRecord


class KeyIndex:
    """Ids of keys by what else is known of them."""

    def __init__(self, records: Iterable[KeyRecord] = ()) -> None:
        """Start with some keys."""
        self._bookings: dict[BookingId, frozenset[KeyId]] = {}
        self._units: dict[UnitId, set[KeyId]] = {}
        self._persons: dict[PersonId, KeyId] = {}
        for record in records:
            self.add(record)

    def of_booking(self, booking_id: BookingId) -> frozenset[KeyId]:
        """Return the keys of a booking."""
        return self._bookings.get(booking_id, frozenset())

    def of_unit(self, unit_id: UnitId) -> frozenset[KeyId]:
        """Return the keys of a unit."""
        return frozenset(self._units.get(unit_id, ()))

    def of_person(self, person_id: PersonId) -> KeyId | None:
        """Return the key that a guest carries, by the id that the door log has of it."""
        return self._persons.get(person_id)

    def add(self, record: KeyRecord) -> None:
        """Add a key that is not in it."""
        if record.booking_id is not None:
            others = self.of_booking(record.booking_id)
            self._bookings[record.booking_id] = others | {record.key_id}
        if record.unit_id is not None:
            self._units.setdefault(record.unit_id, set()).add(record.key_id)
        if record.guest is not None:
            self._persons[record.guest.person_id] = record.key_id

    def remove(self, record: KeyRecord) -> None:
        """Remove a key, as it was when it was added."""
        if record.booking_id is not None:
            others = self.of_booking(record.booking_id) - {record.key_id}
            if others:
                self._bookings[record.booking_id] = others
            else:
                self._bookings.pop(record.booking_id, None)
        if record.unit_id is not None:
            self._units.get(record.unit_id, set()).discard(record.key_id)
        if record.guest is not None and self.of_person(record.guest.person_id) == record.key_id:
            del self._persons[record.guest.person_id]
