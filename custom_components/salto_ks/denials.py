"""Who was refused at a door last, as far as the door log was read since Home Assistant started."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .api.access_events import AccessEvent
from .api.models import LockId, SiteId
from .const import DOMAIN
from .domain.access_events import (
    OPENINGS,
    DenialReason,
    DoorEvent,
    DoorEventType,
    DoorLine,
    door_event,
)
from .domain.ids import PersonId

MOST_AT_DOORS: Final = 5000
"""How many pairs of a person and a door are remembered, and how many doors; those heard of longest
ago go first."""

_TELLING: Final = OPENINGS | {DoorEventType.ACCESS_DENIED}
_DENIALS: Final[HassKey[dict[SiteId, Denials]]] = HassKey(f"{DOMAIN}_denials")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastAccess:
    """The newest opening or refusal; nobody's name is in it."""

    at: datetime
    lock_id: LockId
    reason: DenialReason | None
    """Why the door did not open; None where it did."""


class Denials:
    """The last opening or refusal of each door, and of each person at each door."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Begin with nothing; `clock` tells aware UTC."""
        self._clock = clock
        self._doors: dict[LockId, LastAccess] = {}
        self._people: dict[tuple[PersonId, LockId], LastAccess] = {}

    def note(self, events: tuple[AccessEvent, ...]) -> None:
        """Take up lines of the door log; one that comes late does not replace a newer one."""
        now = self._clock()
        for event in events:
            told = _told(event)
            if told.type in _TELLING and event.lock_id is not None:
                at = min(event.at, now)  # an IQ whose clock is ahead would have the last word
                last = LastAccess(at=at, lock_id=event.lock_id, reason=told.reason)
                _keep(self._doors, event.lock_id, last)
                if event.person_id is not None:
                    _keep(self._people, (PersonId(event.person_id), event.lock_id), last)
        _forget_oldest(self._doors)
        _forget_oldest(self._people)

    def at_door(self, lock_id: LockId) -> LastAccess | None:
        """Return the refusal that is the last thing a door has told; None for anything else."""
        last = self._doors.get(lock_id)
        return None if last is None or last.reason is None else last

    def of_person(self, person_id: PersonId) -> tuple[LastAccess, ...]:
        """Return the refusals that are the last thing told of a person at a door, newest first."""
        found = (last for (person, _), last in self._people.items() if person == person_id)
        refusals = (last for last in found if last.reason is not None)
        return tuple(sorted(refusals, key=lambda last: last.at, reverse=True))


def denials_of(hass: HomeAssistant, site_id: SiteId) -> Denials:
    """Return what is remembered of a site: the same however often its entry is loaded."""
    return hass.data.setdefault(_DENIALS, {}).setdefault(site_id, Denials(dt_util.utcnow))


def forget_denials(hass: HomeAssistant, site_id: SiteId) -> None:
    """Remember nothing more of a site."""
    hass.data.get(_DENIALS, {}).pop(site_id, None)


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


def _forget_oldest[K](known: dict[K, LastAccess]) -> None:
    """Keep no more than `MOST_AT_DOORS`, however many a door log names."""
    while len(known) > MOST_AT_DOORS:
        del known[next(iter(known))]
