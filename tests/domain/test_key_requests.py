"""What may be asked of keys, and what is refused with which reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.salto_ks.domain.ids import BookingId, DoorId, KeyId
from custom_components.salto_ks.domain.key_requests import (
    FARTHEST_END,
    By,
    DoorFacts,
    KeyChange,
    KeyRefusal,
    KeyRefusedError,
    KeyRequest,
    check_doors,
    check_pin_length,
    checked_window,
    gives_more,
    same_key,
    warnings_of,
)
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus, KeyWarning
from custom_components.salto_ks.domain.windows import AccessWindow

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GATE, HALL, YARD = DoorId("gate"), DoorId("hall"), DoorId("yard")
FACTS = DoorFacts(
    name="Main gate",
    has_keypad=True,
    online=True,
    iq_online=True,
    privacy_mode=False,
    office_mode=False,
    seen_at=NOON,
    reached_since=NOON - DAY,
)
RECORD = KeyRecord(
    key_id=KeyId("ab12-1"),
    doors=frozenset({GATE, HALL}),
    window=AccessWindow(NOON, NOON + DAY),
    status=KeyStatus.SET,
    booking_id=BookingId("b1"),
    created_at=NOON - DAY,
    changed_at=NOON - DAY,
)

instants = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - made aware by Hypothesis
    max_value=datetime(2060, 1, 1),  # noqa: DTZ001 - Hypothesis wants naive bounds
    timezones=st.just(UTC),
)


# Windows


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "reason"),
    [
        (NOON, NOON, KeyRefusal.ENDS_BEFORE_START),
        (NOON + HOUR, NOON, KeyRefusal.ENDS_BEFORE_START),
        (NOON - DAY, NOON, KeyRefusal.WINDOW_OVER),
        (NOON, NOON + FARTHEST_END + MINUTE, KeyRefusal.WINDOW_TOO_FAR),
        (NOON - FARTHEST_END - MINUTE, NOON + DAY, KeyRefusal.WINDOW_TOO_FAR),
        (NOON + FARTHEST_END, NOON + FARTHEST_END + DAY, KeyRefusal.WINDOW_TOO_FAR),
    ],
)
def test_windows_that_make_no_sense(
    starts_at: datetime, ends_at: datetime, reason: KeyRefusal
) -> None:
    """A window that ends too early, is over, or lies years away is refused by name."""
    with pytest.raises(KeyRefusedError) as refusal:
        checked_window(starts_at, ends_at, NOON)
    assert refusal.value.reason is reason
    assert str(refusal.value) == reason.value


@pytest.mark.parametrize(
    ("starts_at", "ends_at"),
    [
        (NOON, NOON + MINUTE),
        (NOON - DAY, NOON + timedelta(microseconds=1)),
        (NOON - FARTHEST_END, NOON + FARTHEST_END),
    ],
)
def test_windows_that_are_taken(starts_at: datetime, ends_at: datetime) -> None:
    """A window that goes on now, or begins later, is taken."""
    window = checked_window(starts_at, ends_at, NOON)
    assert window.starts_at <= starts_at
    assert window.ends_at >= ends_at


@given(starts_at=instants, ends_at=instants, now=instants)
def test_any_window(starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    """A window that is taken holds all that was asked for, in whole minutes, and is not over."""
    try:
        window = checked_window(starts_at, ends_at, now)
    except KeyRefusedError:
        far = max(abs(ends_at - now), abs(starts_at - now)) > FARTHEST_END
        assert ends_at <= starts_at or ends_at <= now or far
        return
    assert window.starts_at <= starts_at < ends_at <= window.ends_at
    assert not window.is_over(now)
    assert (window.starts_at.second, window.ends_at.second) == (0, 0)
    assert window.ends_at - ends_at < MINUTE
    assert starts_at - window.starts_at < MINUTE


# Doors


def test_doors_with_a_keypad_are_taken() -> None:
    """Doors that all have a keypad are fine, whatever state they are in."""
    check_doors({GATE, HALL}, {GATE: FACTS, HALL: replace(FACTS, online=False)})


@pytest.mark.parametrize(
    ("facts", "reason", "about"),
    [
        ({}, KeyRefusal.DOOR_UNKNOWN, {}),
        ({GATE: FACTS, HALL: None}, KeyRefusal.DOOR_UNKNOWN, {}),
        (
            {
                GATE: replace(FACTS, has_keypad=False),
                HALL: replace(FACTS, name="Hall", has_keypad=False),
            },
            KeyRefusal.DOOR_WITHOUT_KEYPAD,
            {"doors": "Hall, Main gate"},
        ),
    ],
)
def test_doors_that_take_no_pin(
    facts: dict[DoorId, DoorFacts | None], reason: KeyRefusal, about: dict[str, str]
) -> None:
    """Doors nobody knows and doors without a keypad are told apart, the latter by name."""
    with pytest.raises(KeyRefusedError) as refusal:
        check_doors({GATE, HALL}, facts)
    assert (refusal.value.reason, refusal.value.about) == (reason, about)


def test_no_doors() -> None:
    """A key for no door is refused."""
    with pytest.raises(KeyRefusedError) as refusal:
        check_doors(frozenset(), {})
    assert refusal.value.reason is KeyRefusal.NO_DOORS


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"online": False}, KeyWarning.LOCK_OFFLINE),
        ({"iq_online": False}, KeyWarning.IQ_OFFLINE),
        ({"privacy_mode": True}, KeyWarning.PRIVACY_MODE),
        ({"office_mode": True}, KeyWarning.OFFICE_MODE),
    ],
)
def test_warnings_of_a_door(changes: dict[str, Any], warning: KeyWarning) -> None:
    """What may keep a PIN from working is a warning; a door that is fine has none."""
    assert FACTS.warnings == frozenset()
    assert replace(FACTS, **changes).warnings == {warning}


def test_warnings_of_a_key() -> None:
    """A key has its own warnings and those of all doors that are known."""
    record = replace(RECORD, warnings=frozenset({KeyWarning.CLOCK_CHANGE}))
    facts = {GATE: replace(FACTS, online=False), HALL: None}
    assert warnings_of(record, facts) == {KeyWarning.CLOCK_CHANGE, KeyWarning.LOCK_OFFLINE}
    assert warnings_of(RECORD, {}) == frozenset()


@pytest.mark.parametrize(
    ("seen_at", "reached_since", "heard"),
    [
        (NOON + 4 * MINUTE, NOON - DAY, True),
        (NOON + 3 * MINUTE, NOON - DAY, False),
        (NOON + 9 * MINUTE, NOON + 6 * MINUTE, False),
        (NOON + 10 * MINUTE, NOON + 6 * MINUTE, True),
        (NOON + DAY, None, False),
    ],
)
def test_what_a_door_has_heard(
    seen_at: datetime, reached_since: datetime | None, *, heard: bool
) -> None:
    """A door has heard of something when it was in reach long enough since, in a stretch."""
    facts = replace(FACTS, seen_at=seen_at, reached_since=reached_since)
    assert facts.has_heard(NOON, 4 * MINUTE) is heard


# Lengths


@pytest.mark.parametrize("length", [None, 4, 5, 6])
def test_lengths_that_are_taken(length: int | None) -> None:
    """Four to six digits, or Salto's own choice."""
    check_pin_length(length)


@pytest.mark.parametrize("length", [-1, 0, 3, 7])
def test_lengths_that_are_not(length: int) -> None:
    """Other lengths are refused, and it is said what would do."""
    with pytest.raises(KeyRefusedError) as refusal:
        check_pin_length(length)
    assert refusal.value.reason is KeyRefusal.PIN_LENGTH_INVALID
    assert refusal.value.about == {"shortest": "4", "longest": "6"}


# Asked twice


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        ({"status": KeyStatus.SETTING}, True),
        ({"status": KeyStatus.SUSPENDED}, True),
        ({"status": KeyStatus.UNKNOWN}, True),
        ({"status": KeyStatus.REMOVING}, False),
        ({"status": KeyStatus.REVOKED}, False),
        ({"status": KeyStatus.FAILED}, False),
        ({"doors": frozenset({GATE})}, False),
        ({"doors": frozenset({GATE, HALL, YARD})}, False),
    ],
)
def test_the_same_key(changes: dict[str, Any], *, found: bool) -> None:
    """The key that is asked for again is a live one for just these doors."""
    key = replace(RECORD, **changes)
    wanted = key if found else None
    assert same_key([key], RECORD.doors, RECORD.window) is wanted


@pytest.mark.parametrize("status", [KeyStatus.SET, KeyStatus.REMOVING])
def test_the_same_doors_in_another_window(status: KeyStatus) -> None:
    """A key for these doors in another window is to be changed, unless it is on its way out."""
    later = AccessWindow(NOON + HOUR, NOON + DAY)
    key = replace(RECORD, status=status)
    if status is KeyStatus.REMOVING:
        assert same_key([key], RECORD.doors, later) is None
        return
    with pytest.raises(KeyRefusedError) as refusal:
        same_key([key], RECORD.doors, later)
    assert refusal.value.reason is KeyRefusal.OTHER_WINDOW
    assert refusal.value.about == {"key_id": "ab12-1"}


@pytest.mark.parametrize(
    ("window", "doors", "more"),
    [
        (RECORD.window, RECORD.doors, False),
        (AccessWindow(NOON + HOUR, NOON + DAY - HOUR), frozenset({GATE}), False),
        (AccessWindow(NOON - MINUTE, NOON + HOUR), RECORD.doors, True),
        (AccessWindow(NOON, NOON + DAY + MINUTE), RECORD.doors, True),
        (RECORD.window, frozenset({YARD}), True),
        (RECORD.window, RECORD.doors | {YARD}, True),
    ],
)
def test_what_gives_more(window: AccessWindow, doors: frozenset[DoorId], *, more: bool) -> None:
    """A change gives more when it opens earlier, longer, or another door."""
    assert gives_more(RECORD, window, doors) is more


@given(starts=st.integers(-3, 3), ends=st.integers(-3, 3), at=st.integers(-4 * 24, 4 * 24))
def test_what_gives_no_more_opens_nothing_new(starts: int, ends: int, at: int) -> None:
    """At no instant does a change that gives no more open what was closed."""
    window = AccessWindow(
        RECORD.window.starts_at + starts * HOUR, RECORD.window.ends_at + ends * HOUR
    )
    moment = NOON + at * HOUR / 2
    if not gives_more(RECORD, window, RECORD.doors):
        assert not window.holds(moment) or RECORD.window.holds(moment)


def test_an_empty_change() -> None:
    """A change without anything in it is empty; no doors is something."""
    assert KeyChange().is_empty
    for change in (
        KeyChange(starts_at=NOON),
        KeyChange(ends_at=NOON),
        KeyChange(doors=frozenset()),
    ):
        assert not change.is_empty


def test_what_people_say_stays_out_of_logs() -> None:
    """Neither a label nor a reason shows when a request is written down."""
    request = KeyRequest(
        doors=frozenset({GATE}), starts_at=NOON, ends_at=NOON + DAY, label="Family Jansen"
    )
    shown = f"{request!r} {By(who='reception', reason='Mrs Jansen has called')!r}"
    assert "Jansen" not in shown
