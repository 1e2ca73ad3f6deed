"""What happens at the doors of a site: who it was, and those who are to hear of it."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .api.access_events import AccessEvent, AccessMethod
from .api.models import LockId
from .const import CONF_NAME_PEOPLE, DOMAIN
from .coordinator import SaltoKsConfigEntry
from .domain.access_events import (
    LATE,
    Actor,
    ActorKind,
    DoorEvent,
    DoorEventType,
    DoorLine,
    LastOpening,
    door_event,
    newest_opening,
)
from .domain.ids import DoorId, PersonId, marked
from .domain.keys import KeyRecord
from .door_ids import entity_ids_of
from .listeners import KeyedListeners
from .wording import Wording, cached_wording

EVENT_ACCESS: Final = f"{DOMAIN}_access"
"""The event of the bus for each line of the door log that is no command of ours."""

_SAME_OPENING: Final = timedelta(minutes=2)
"""How far apart our own note of an opening and Salto's line about it may be, by two clocks."""

_OPENINGS_NOTED: Final = 20
"""Openings of ours that wait for Salto's line about them, for each door."""

type DoorEventListener = Callable[[str, dict[str, Any]], None]
"""Takes the type of an event and its attributes."""


class DoorEvents:
    """Takes up the door log of a site, and says for each door what has happened and who it was."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Belong to an entry; nothing is looked up before the first line comes."""
        self._hass = hass
        self._entry = entry
        self._listeners: dict[LockId, dict[object, DoorEventListener]] = {}
        self._openings: dict[LockId, LastOpening] = {}
        self._opening_listeners = KeyedListeners(hass.loop)
        self._ours: dict[LockId, deque[LastOpening]] = {}

    @property
    def names_people(self) -> bool:
        """Tell whether people are named, as far as Salto or Home Assistant knows their names."""
        return bool(self._entry.options.get(CONF_NAME_PEOPLE, True))

    @callback
    def async_listen(self, lock_id: LockId, hear: DoorEventListener) -> CALLBACK_TYPE:
        """Have an entity hear of what the door log tells of a door; the result ends it."""
        token = object()
        self._listeners.setdefault(lock_id, {})[token] = hear
        return lambda: self._listeners[lock_id].pop(token, None) and None

    @callback
    def async_listen_to_openings(self, lock_id: LockId, update: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Have an entity look again when somebody else has opened a door; the result ends it."""
        return self._opening_listeners.add(update, lock_id)

    def last_opening(self, lock_id: LockId) -> LastOpening | None:
        """Return who has opened a door last, as far as that was heard of."""
        return self._openings.get(lock_id)

    def described_actor(self, actor: Actor) -> str | None:
        """Say in words who it was; None for nobody."""
        return _described_actor(cached_wording(self._hass), actor)

    @callback
    def async_restore(self, lock_id: LockId, opening: LastOpening) -> None:
        """Take up what was known before a restart, unless something newer is known by now."""
        if not self.names_people:
            opening = LastOpening(at=opening.at, actor=opening.actor.without_name())
        known = self._openings.get(lock_id)
        if known is None or known.at < opening.at:
            self._openings[lock_id] = opening

    async def async_user(self, user_id: str | None) -> Actor:
        """Return a user of Home Assistant as whoever opens a door; None is nobody in particular."""
        user = None if user_id is None else await self._hass.auth.async_get_user(user_id)
        name = user.name if user is not None and self.names_people else None
        return Actor(kind=ActorKind.HOME_ASSISTANT, name=name)

    @contextmanager
    def opening(self, lock_id: LockId, actor: Actor) -> Iterator[None]:
        """Say for whom a door is being opened, while the command is on its way.

        Salto may tell of the opening before it answers the command, so its line is waited for from
        the beginning on, and no longer when the command fails.
        """
        opening = LastOpening(at=self._now(), actor=actor)
        awaited = self._ours.setdefault(lock_id, deque(maxlen=_OPENINGS_NOTED))
        awaited.append(opening)
        with ExitStack() as after_failure:
            after_failure.callback(_forget, awaited, opening)
            yield
            after_failure.pop_all()
        if opening in awaited:
            self._openings[lock_id] = opening
            self._opening_listeners.tell([lock_id])

    async def async_hear(self, events: tuple[AccessEvent, ...]) -> None:
        """Take up lines of the door log, oldest first; after a long absence they are many."""
        now = self._now()
        for event in events:
            if event.lock_id is not None:
                await self._entry.runtime_data.doors.turns.give()
                self._hear(event.lock_id, event, now)

    def attributes(
        self, event: DoorEvent, at: datetime, *, is_late: bool = False
    ) -> dict[str, Any]:
        """Describe an event at a door for people and automations; what is not known is left out."""
        actor = event.actor
        described = {
            "at": at.isoformat(),
            "late": is_late,
            "method": event.means,
            "reason": event.reason,
            "category": event.category,
            "detail": event.detail,
            "by": self.described_actor(actor),
            "key_id": actor.key_id,
            "booking_id": actor.booking_id,
            "unit": actor.unit,
            "person": actor.name,
        }
        return {
            name: str(value) if isinstance(value, str) else value  # an enum is for us only
            for name, value in described.items()
            if value is not None
        }

    def _hear(self, lock_id: LockId, event: AccessEvent, now: datetime) -> None:
        """Tell one line: first to the entities of its door, then on the bus."""
        told = door_event(self._line(event), names=self.names_people)
        ours = self._noted(lock_id, event.at) if _is_opening_of_ours(told) else None
        if ours is not None:
            told = replace(told, actor=ours.actor)
        described = self.attributes(told, event.at, is_late=now - event.at > LATE)
        for hear in tuple(self._listeners.get(lock_id, {}).values()):
            hear(told.type.value, described)
        self._take_up(lock_id, event.at, told, now)
        if ours is None and not _is_office_mode_of_ours(told):
            self._fire(lock_id, told, described)

    def _line(self, event: AccessEvent) -> DoorLine:
        """Put a line together with what we know of the one it is about."""
        key = self._key(event)
        return DoorLine(
            category=event.category,
            detail=event.detail,
            means=None if event.access_by is AccessMethod.UNKNOWN else event.access_by,
            exit_requested=event.exit_requested,
            has_person=event.person_id is not None,
            name=event.person_name or event.person_alias,
            key=None if key is None else self._actor(key),
            is_ours=event.person_id == self._entry.runtime_data.site.data.member.platform_id,
        )

    def _key(self, event: AccessEvent) -> KeyRecord | None:
        """Return the key of ours that a line is about.

        A guest that was replaced by another one is found by its marker, as long as Salto tells it.
        """
        ledger = self._entry.runtime_data.keys.ledger
        if event.person_id is None:
            return None
        if (record := ledger.by_person(PersonId(event.person_id))) is not None:
            return record
        key_id = marked(event.person_alias or "")
        return None if key_id is None else ledger.get(key_id)

    def _actor(self, record: KeyRecord) -> Actor:
        """Describe whoever has a key."""
        units = self._entry.runtime_data.bookings.units
        unit = None if record.unit_id is None else units.get(record.unit_id)
        return Actor(
            kind=ActorKind.KEY,
            key_id=record.key_id,
            booking_id=record.booking_id,
            unit=None if unit is None else unit.name,
        )

    def _noted(self, lock_id: LockId, at: datetime) -> LastOpening | None:
        """Return our own note of an opening that Salto tells of now, and need it no more."""
        noted = self._ours.get(lock_id, deque())
        near = [opening for opening in noted if abs(opening.at - at) <= _SAME_OPENING]
        if not near:
            return None
        found = min(near, key=lambda opening: abs(opening.at - at))
        noted.remove(found)
        return found

    def _take_up(self, lock_id: LockId, at: datetime, event: DoorEvent, now: datetime) -> None:
        """Keep who has opened a door last."""
        before = self._openings.get(lock_id)
        after = newest_opening(before, at, event, now)
        if after is not None and after != before:
            self._openings[lock_id] = after
            self._opening_listeners.tell([lock_id])

    def _fire(self, lock_id: LockId, event: DoorEvent, described: dict[str, Any]) -> None:
        """Let the bus know, where the door has a lock of ours that it is told of."""
        for entity_id in entity_ids_of(self._hass, [DoorId(lock_id)]):
            about = {"config_entry_id": self._entry.entry_id, "entity_id": entity_id}
            self._hass.bus.async_fire(
                EVENT_ACCESS, {**about, "event_type": event.type.value, **described}
            )

    def _now(self) -> datetime:
        """Tell the time by Salto's clock, as far as it is known."""
        offset = self._entry.runtime_data.client.server_clock_offset
        return dt_util.utcnow() + (offset or timedelta())


def _forget(awaited: deque[LastOpening], opening: LastOpening) -> None:
    """Wait for Salto's line about an opening no longer, if it has not come yet."""
    if opening in awaited:
        awaited.remove(opening)


def opening_to_json(opening: LastOpening) -> dict[str, Any]:
    """Write who has opened a door last, for the next start."""
    actor = opening.actor
    return {
        "at": opening.at.isoformat(),
        "kind": actor.kind.value,
        "key_id": actor.key_id,
        "booking_id": actor.booking_id,
        "unit": actor.unit,
        "name": actor.name,
    }


def opening_from_json(data: Mapping[str, Any]) -> LastOpening | None:
    """Read it again; None for another thing."""
    try:
        at = datetime.fromisoformat(data["at"])
        actor = Actor(
            kind=ActorKind(data["kind"]),
            key_id=data["key_id"],
            booking_id=data["booking_id"],
            unit=data["unit"],
            name=data["name"],
        )
    except KeyError, TypeError, ValueError:
        return None
    return None if at.tzinfo is None else LastOpening(at=at, actor=actor)


def _is_opening_of_ours(event: DoorEvent) -> bool:
    """Tell whether the account of Home Assistant has opened the door."""
    is_ours = event.actor.kind is ActorKind.HOME_ASSISTANT
    return is_ours and event.type is DoorEventType.OPENED_REMOTELY


def _is_office_mode_of_ours(event: DoorEvent) -> bool:
    """Tell whether the account of Home Assistant has switched office mode.

    That is told by the states of lock and switch already, with the user who did it.
    """
    is_ours = event.actor.kind is ActorKind.HOME_ASSISTANT
    return is_ours and event.type is not DoorEventType.OPENED_REMOTELY


def _described_actor(wording: Wording, actor: Actor) -> str | None:
    """Say in words who it was; None for nobody."""
    match actor.kind:
        case ActorKind.KEY:
            return wording.common(*_named_key(actor))
        case ActorKind.HOME_ASSISTANT if actor.name is not None:
            return wording.common("access_by_home_assistant_user", {"user": actor.name})
        case ActorKind.PERSON:
            return actor.name
        case ActorKind.NOBODY:
            return None
        case kind:
            return wording.common(f"access_by_{kind.value}")


def _named_key(actor: Actor) -> tuple[str, dict[str, str]]:
    """Return the text for whoever has a key, and what fills it."""
    about = {
        name: value
        for name, value in (
            ("unit", actor.unit),
            ("booking", actor.booking_id),
            ("key", None if actor.booking_id is not None else actor.key_id),
        )
        if value is not None
    }
    return f"access_by_{'_'.join(about)}", about
