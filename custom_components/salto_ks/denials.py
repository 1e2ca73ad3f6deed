"""Who was refused at a door last, as far as the door log was read since the start."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .api.access_events import AccessEvent
from .api.models import LockId
from .domain.access_events import (
    OPENINGS,
    DenialReason,
    DoorEvent,
    DoorEventType,
    DoorLine,
    door_event,
)
from .domain.ids import PersonId

MOST_PEOPLE: Final = 1000
"""People of whom the last opening or refusal is remembered; who came longest ago goes first."""

_TELLING: Final = OPENINGS | {DoorEventType.ACCESS_DENIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAccess:
    """The newest opening or refusal; nobody's name is in it."""

    at: datetime
    lock_id: LockId
    reason: DenialReason | None
    """Why the door did not open; None where it did."""


class Denials:
    """The last opening or refusal of each door and of each person."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._doors: dict[LockId, LastAccess] = {}
        self._people: dict[PersonId, LastAccess] = {}

    def note(self, events: tuple[AccessEvent, ...]) -> None:
        """Take up lines of the door log; one that comes late does not replace a newer one."""
        for event in events:
            told = _told(event)
            if told.type in _TELLING and event.lock_id is not None:
                last = LastAccess(at=event.at, lock_id=event.lock_id, reason=told.reason)
                _keep(self._doors, event.lock_id, last)
                if event.person_id is not None:
                    _keep(self._people, PersonId(event.person_id), last)
        while len(self._people) > MOST_PEOPLE:
            del self._people[next(iter(self._people))]

    def at_door(self, lock_id: LockId) -> LastAccess | None:
        """Return the refusal that is the last thing a door has told; None for anything else."""
        return _refusal(self._doors.get(lock_id))

    def of_person(self, person_id: PersonId) -> LastAccess | None:
        """Return the refusal that is the last thing told of a person; None for anything else."""
        return _refusal(self._people.get(person_id))


def _told(event: AccessEvent) -> DoorEvent:
    """Return what a line tells of its door, whoever was there."""
    line = DoorLine(
        category=event.category,
        detail=event.detail,
        means=event.access_by,
        exit_requested=event.exit_requested,
        has_person=event.person_id is not None,
        name=event.person_name or event.person_alias,
    )
    return door_event(line, names=False)


def _keep[K](known: dict[K, LastAccess], about: K, last: LastAccess) -> None:
    """Keep what is newest, in the order in which it was heard of."""
    before = known.get(about)
    if before is None or before.at <= last.at:
        known.pop(about, None)
        known[about] = last


def _refusal(last: LastAccess | None) -> LastAccess | None:
    return last if last is not None and last.reason is not None else None
