"""Who was refused last: by door, and by person at a door, whatever order the door log comes in."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from custom_components.salto_ks.api.access_events import AccessEvent
from custom_components.salto_ks.api.models import LockId
from custom_components.salto_ks.denials import MOST_AT_DOORS, Denials
from custom_components.salto_ks.domain.access_events import DenialReason
from custom_components.salto_ks.domain.ids import PersonId

NOON = datetime(2026, 12, 7, 12, 0, tzinfo=UTC)
GATE = str(UUID(int=1))
HUT = str(UUID(int=2))
GUEST = str(UUID(int=3))


@pytest.fixture(autouse=True)
def _our_integration() -> None:
    """Start no Home Assistant for what needs none."""


def line(minute: int, **changes: Any) -> AccessEvent:
    """Return a line of the door log: by default a guest of ours who is refused at the gate."""
    raw = {
        "id": str(UUID(int=1000 + minute)),
        "utc_date_time": (NOON + timedelta(minutes=minute)).isoformat(),
        "event_category": "lock_rejected",
        "event_detail": "suspended",
        "lock_id": GATE,
        "user_id": GUEST,
        "user_alias": "Home Assistant ha-abcd-1",
        "access_by": "pin_code",
    } | changes
    return AccessEvent.from_api(raw)


def opened(minute: int, **changes: Any) -> AccessEvent:
    """Return a line about an opening."""
    return line(minute, **({"event_category": "lock_opened", "event_detail": None} | changes))


def reasons(denials: Denials) -> tuple[DenialReason | None, DenialReason | None]:
    """Return why the gate refused last, and why it refused the guest."""
    gate, guest = denials.at_door(LockId(GATE)), denials.of_person(PersonId(GUEST))
    at_gate = next((one.reason for one in guest if one.lock_id == GATE), None)
    return None if gate is None else gate.reason, at_gate


def test_a_refusal_counts_until_an_opening() -> None:
    """The last refusal is remembered until the door opens."""
    denials = Denials(lambda: NOON + timedelta(hours=1))
    assert reasons(denials) == (None, None)
    denials.note((line(0),))
    assert reasons(denials) == (DenialReason.SUSPENDED, DenialReason.SUSPENDED)
    denials.note((opened(1),))
    assert reasons(denials) == (None, None)


def test_door_and_person_are_told_apart() -> None:
    """Somebody else's opening says nothing of the guest, another door's nothing of the gate."""
    denials = Denials(lambda: NOON + timedelta(hours=1))
    denials.note((line(0), opened(1, user_id=str(UUID(int=9)))))
    assert reasons(denials) == (None, DenialReason.SUSPENDED)
    denials.note((line(2), opened(3, lock_id=HUT)))
    assert reasons(denials) == (DenialReason.SUSPENDED, DenialReason.SUSPENDED)


def test_refusals_at_several_doors_are_told_newest_first() -> None:
    """Each door that refused somebody last is among them."""
    denials = Denials(lambda: NOON + timedelta(hours=1))
    denials.note((line(1, lock_id=HUT), line(0)))
    assert [one.lock_id for one in denials.of_person(PersonId(GUEST))] == [HUT, GATE]
    denials.note((line(2),))
    assert [one.lock_id for one in denials.of_person(PersonId(GUEST))] == [GATE, HUT]


def test_what_comes_late_does_not_replace_what_is_newer() -> None:
    """A door that was offline tells late."""
    denials = Denials(lambda: NOON + timedelta(hours=1))
    denials.note((opened(5), line(1)))
    assert reasons(denials) == (None, None)


def test_clock_that_is_ahead_has_not_the_last_word() -> None:
    """What an IQ tells of tomorrow counts as of now: an opening a minute later is newer."""
    now = NOON
    denials = Denials(lambda: now)
    denials.note((line(24 * 60),))
    assert reasons(denials) == (DenialReason.SUSPENDED, DenialReason.SUSPENDED)
    now += timedelta(minutes=1)
    denials.note((opened(1),))
    assert reasons(denials) == (None, None)


def test_other_lines_say_nothing() -> None:
    """Modes, and lines without a door or a person, change nothing of what is remembered."""
    denials = Denials(lambda: NOON + timedelta(hours=1))
    denials.note(
        (
            line(0),
            line(1, event_category="privacy_mode", event_detail="start"),
            opened(2, lock_id=None),
        )
    )
    assert reasons(denials) == (DenialReason.SUSPENDED, DenialReason.SUSPENDED)
    denials.note((line(3, event_detail="no_access", user_id=None, user_alias=None),))
    assert reasons(denials) == (DenialReason.UNKNOWN_PIN, DenialReason.SUSPENDED)


def test_people_are_not_kept_for_ever() -> None:
    """Of too many people those are forgotten that were heard of longest ago."""
    denials = Denials(lambda: NOON + timedelta(hours=1))
    denials.note((line(0), line(1, user_id=str(UUID(int=10**6)))))
    denials.note((line(2),))
    crowd = tuple(line(3, user_id=str(UUID(int=10**6 + n))) for n in range(1, MOST_AT_DOORS))
    denials.note(crowd)
    assert denials.of_person(PersonId(GUEST))
    assert not denials.of_person(PersonId(str(UUID(int=10**6))))


def test_doors_are_not_kept_for_ever() -> None:
    """A door log that names ever other doors fills no memory."""
    denials = Denials(lambda: NOON + timedelta(hours=1))
    denials.note((line(0),))
    others = (line(1, user_id=None, lock_id=str(UUID(int=10**6 + n))) for n in range(MOST_AT_DOORS))
    denials.note(tuple(others))
    assert denials.at_door(LockId(GATE)) is None
    assert denials.at_door(LockId(str(UUID(int=10**6))))
