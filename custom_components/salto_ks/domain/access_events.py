"""What has happened at a door, and who it was, read from what Salto and the door tell.

Words of the door log come from the vendor and there are more than are known. Nothing here fails
on one: it is carried on as it came.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .ids import BookingId, KeyId

LATE: Final = timedelta(minutes=5)
"""How long after it has happened something is told late: the door or its IQ was offline."""

LONGEST_WORD: Final = 64
"""Characters of an unknown word that are carried on."""


class DoorEventType(StrEnum):
    """What can happen at a door; each has a text of the same name."""

    ACCESS_GRANTED = "access_granted"
    ACCESS_DENIED = "access_denied"
    OPENED_REMOTELY = "opened_remotely"
    OPENED_INSIDE = "opened_inside"
    OFFICE_MODE_STARTED = "office_mode_started"
    OFFICE_MODE_ENDED = "office_mode_ended"
    PRIVACY_MODE_STARTED = "privacy_mode_started"
    PRIVACY_MODE_ENDED = "privacy_mode_ended"
    LEFT_OPEN = "left_open"
    LEFT_OPEN_ENDED = "left_open_ended"
    INTRUSION = "intrusion"
    INTRUSION_ENDED = "intrusion_ended"
    OTHER = "other"
    """Something that the door log has no word for which is known here."""


OPENINGS: Final = frozenset(
    {
        DoorEventType.ACCESS_GRANTED,
        DoorEventType.OPENED_REMOTELY,
        DoorEventType.OPENED_INSIDE,
        DoorEventType.OFFICE_MODE_STARTED,
    }
)
"""What lets somebody in or out, and so says who has opened a door last."""


class DenialReason(StrEnum):
    """Why a door did not open; each has a text of the same name."""

    NO_ACCESS = "no_access"
    SUSPENDED = "suspended"
    OFFLINE = "offline"
    BLOCKED = "blocked"
    UNKNOWN_PIN = "unknown_pin"
    UNKNOWN_TAG = "unknown_tag"
    LOW_BATTERY = "low_battery"
    NOT_NOW = "not_now"
    """The door knows who it is and gives no reason (MEAS): mostly outside of the times."""
    OTHER = "other"


class AccessMeans(StrEnum):
    """What somebody used at a door; each has a text of the same name."""

    TAG = "tag"
    PIN = "pin"
    INSIDE_HANDLE = "inside_handle"
    REMOTE = "remote"


_MEANS: Final = {
    "tag": AccessMeans.TAG,
    "pin_code": AccessMeans.PIN,
    "inside_handle": AccessMeans.INSIDE_HANDLE,
    "remote": AccessMeans.REMOTE,
}
_OPENED_BY: Final = {
    AccessMeans.REMOTE: DoorEventType.OPENED_REMOTELY,
    AccessMeans.INSIDE_HANDLE: DoorEventType.OPENED_INSIDE,
}
_MODES: Final = {
    ("office_mode", "start"): DoorEventType.OFFICE_MODE_STARTED,
    ("office_mode", "end"): DoorEventType.OFFICE_MODE_ENDED,
    ("easy_office_mode", "start"): DoorEventType.OFFICE_MODE_STARTED,
    ("easy_office_mode", "end"): DoorEventType.OFFICE_MODE_ENDED,
    ("privacy_mode", "start"): DoorEventType.PRIVACY_MODE_STARTED,
    ("privacy_mode", "end"): DoorEventType.PRIVACY_MODE_ENDED,
}
_REASONS: Final = {
    "no_access": DenialReason.NO_ACCESS,
    "suspended": DenialReason.SUSPENDED,
    "offline": DenialReason.OFFLINE,
    "blocked": DenialReason.BLOCKED,
}
_BATTERY: Final = "battery"
"""In the word for a battery that is too low, of which the rest was never written down (UNK)."""


class ActorKind(StrEnum):
    """Who can be behind something that has happened at a door."""

    KEY = "key"
    """Whoever has the PIN of a key of ours, or was let in for its booking."""
    HOME_ASSISTANT = "home_assistant"
    PERSON = "person"
    """Somebody else at the site, whom Salto calls by a name."""
    SOMEBODY = "somebody"
    """Somebody else, who has no name or must not be named."""
    INSIDE = "inside"
    """Somebody inside, by the handle."""
    NOBODY = "nobody"
    """Nobody is known: the door itself, an unknown PIN or an unknown tag."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who was at a door."""

    kind: ActorKind
    key_id: KeyId | None = None
    booking_id: BookingId | None = None
    unit: str | None = None
    """The name of what is booked."""
    name: str | None = field(default=None, repr=False)
    """Of a person; with Home Assistant that of its user who asked."""

    def without_name(self) -> Actor:
        """Return the same actor where nobody may be named."""
        kind = ActorKind.SOMEBODY if self.kind is ActorKind.PERSON else self.kind
        return replace(self, kind=kind, name=None)


NOBODY: Final = Actor(kind=ActorKind.NOBODY)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLine:
    """One line of the door log in Salto's words, with what we know of who it is about."""

    category: str
    detail: str | None
    means: str | None
    exit_requested: bool
    has_person: bool
    """Whether it is about somebody by an id; that of an unknown PIN is nobody's (MEAS)."""
    name: str | None = field(default=None, repr=False)
    key: Actor | None = None
    """The key of ours that it is about."""
    is_ours: bool = False
    """Whether it is about the account that Home Assistant opens doors with."""

    @property
    def is_about_somebody(self) -> bool:
        """Tell whether anybody is known to be behind it.

        An id alone says nothing: an unknown PIN carries one that no user has, and which it is was
        never written down (UNK). Whoever is a user has a name, or carries a key of ours.
        """
        return self.key is not None or self.name is not None or self.is_ours


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorEvent:
    """Something that has happened at a door."""

    type: DoorEventType
    means: AccessMeans | str | None = None
    """What was used; a word of Salto's that is not known here is carried as it came."""
    reason: DenialReason | None = None
    """Why the door did not open; None where it did."""
    category: str | None = None
    """Salto's word for it, where it is something else than we know."""
    detail: str | None = None
    """Salto's word for the reason or the like, where it says more than we do."""
    actor: Actor = NOBODY


def door_event(line: DoorLine, *, names: bool) -> DoorEvent:
    """Return what a line of the door log tells; people are named only with `names`.

    Evidence: MEAS for the words, INF for what the door means by no word at all.
    """
    means = _means(line.means)
    kind = _type(line, means)
    reason = _reason(line, means) if kind is DoorEventType.ACCESS_DENIED else None
    is_odd = kind is DoorEventType.OTHER
    tells_more = is_odd or reason in {DenialReason.OTHER, DenialReason.LOW_BATTERY}
    actor = _actor(line, kind, means)
    return DoorEvent(
        type=kind,
        means=means,
        reason=reason,
        category=line.category[:LONGEST_WORD] if is_odd else None,
        detail=line.detail[:LONGEST_WORD] if line.detail and tells_more else None,
        actor=actor if names else actor.without_name(),
    )


def _means(word: str | None) -> AccessMeans | str | None:
    """Return what was used."""
    return None if not word else _MEANS.get(word, word[:LONGEST_WORD])


def _type(line: DoorLine, means: AccessMeans | str | None) -> DoorEventType:
    """Return what has happened."""
    match line.category:
        case "lock_opened" if line.exit_requested:
            return DoorEventType.OPENED_INSIDE
        case "lock_opened":
            granted = DoorEventType.ACCESS_GRANTED
            return _OPENED_BY.get(means, granted) if isinstance(means, AccessMeans) else granted
        case "lock_rejected":
            return DoorEventType.ACCESS_DENIED
        case category:
            return _MODES.get((category, line.detail or ""), DoorEventType.OTHER)


def _reason(line: DoorLine, means: AccessMeans | str | None) -> DenialReason:
    """Return why a door did not open."""
    if (unknown := _unknown(line, means)) is not None:
        return unknown
    if line.detail is None:
        return DenialReason.NOT_NOW if line.is_about_somebody else DenialReason.OTHER
    if _BATTERY in line.detail:
        return DenialReason.LOW_BATTERY
    return _REASONS.get(line.detail, DenialReason.OTHER)


def _unknown(line: DoorLine, means: AccessMeans | str | None) -> DenialReason | None:
    """Return what was not known, a PIN or a tag; None where that is not why a door stayed shut."""
    if line.is_about_somebody or line.detail not in {None, "no_access"}:
        return None
    if means is AccessMeans.PIN and line.detail is not None:
        return DenialReason.UNKNOWN_PIN
    # A tag that is somebody's carries an id, even where it has no name (MEAS).
    is_unknown_tag = means is AccessMeans.TAG and not line.has_person
    return DenialReason.UNKNOWN_TAG if is_unknown_tag else None


def _actor(line: DoorLine, kind: DoorEventType, means: AccessMeans | str | None) -> Actor:
    """Return who it was."""
    if line.key is not None:
        return line.key
    if line.is_ours and means is AccessMeans.REMOTE:
        return Actor(kind=ActorKind.HOME_ASSISTANT)
    if kind is DoorEventType.OPENED_INSIDE:
        return Actor(kind=ActorKind.INSIDE)
    if line.name is not None:
        return Actor(kind=ActorKind.PERSON, name=line.name)
    if kind in {DoorEventType.ACCESS_GRANTED, DoorEventType.OPENED_REMOTELY}:
        return Actor(kind=ActorKind.SOMEBODY)
    return NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class LastOpening:
    """Who has opened a door last, and when."""

    at: datetime
    actor: Actor


def newest_opening(
    before: LastOpening | None, at: datetime, event: DoorEvent, now: datetime
) -> LastOpening | None:
    """Return who has opened a door last, after one more event was told.

    A door that was offline tells late, and what it tells does not take the place of what has
    happened since. An IQ whose clock is ahead must not keep its place until then.
    """
    at = min(at, now)
    if event.type not in OPENINGS or (before is not None and at < before.at):
        return before
    return LastOpening(at=at, actor=event.actor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """The alarms of a door; None where Salto does not tell."""

    left_open: bool | None
    intrusion: bool | None

    def after(self, told: Alarms) -> Alarms:
        """Return what is known after one more look; what is not told stays as it was."""
        return Alarms(
            left_open=self.left_open if told.left_open is None else told.left_open,
            intrusion=self.intrusion if told.intrusion is None else told.intrusion,
        )


def alarm_events(before: Alarms, after: Alarms) -> Iterator[DoorEvent]:
    """Yield which alarms have begun or ended between two looks at a door.

    One that is on when it is first heard of has begun before: that is a state and no event.
    """
    for was_on, is_on, begun, ended in (
        (before.left_open, after.left_open, DoorEventType.LEFT_OPEN, DoorEventType.LEFT_OPEN_ENDED),
        (before.intrusion, after.intrusion, DoorEventType.INTRUSION, DoorEventType.INTRUSION_ENDED),
    ):
        if None not in {was_on, is_on} and was_on is not is_on:
            yield DoorEvent(type=begun if is_on else ended)
