"""What keys need as time passes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.salto_ks.domain.ids import (
    BookingId,
    DoorId,
    GroupId,
    GuestId,
    KeyId,
    PersonId,
)
from custom_components.salto_ks.domain.intents import Intent, IntentKind
from custom_components.salto_ks.domain.key_requests import DoorFacts
from custom_components.salto_ks.domain.keys import (
    DoorGroup,
    Guest,
    KeyRecord,
    KeyStatus,
    KeyWarning,
    Strategy,
)
from custom_components.salto_ks.domain.upkeep import (
    FIRST_DELAY,
    LONGEST_DELAY,
    LONGEST_DELAY_WHEN_URGENT,
    REISSUE_BEFORE,
    ROLL_OUT,
    URGENT_BEFORE,
    Chore,
    chore_of,
    delay_after,
    doubled,
    is_gone_everywhere,
    is_worth_completing,
    status_of,
)
from custom_components.salto_ks.domain.windows import AccessWindow

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
GATE, HALL = DoorId("gate"), DoorId("hall")
START, END = NOON + DAY, NOON + 3 * DAY
GROUP = DoorGroup(id=GroupId("g1"), zone="Europe/Amsterdam", doors=frozenset({GATE}))
GUEST = Guest(id=GuestId("u1"), person_id=PersonId("p1"), expires_at=END + 30 * DAY)
RECORD = KeyRecord(
    key_id=KeyId("ab12-1"),
    doors=frozenset({GATE, HALL}),
    window=AccessWindow(START, END),
    status=KeyStatus.SET,
    guest=GUEST,
    groups=(GROUP,),
    created_at=NOON,
    changed_at=NOON,
)
REMOVED = replace(RECORD, status=KeyStatus.REMOVING, removed_at=NOON)
HEARD = DoorFacts(
    name="Main gate",
    has_keypad=True,
    online=True,
    iq_online=True,
    privacy_mode=False,
    office_mode=False,
    seen_at=NOON + HOUR,
    reached_since=NOON - DAY,
)
DEAF = replace(HEARD, reached_since=None, online=False)
BOTH = {GATE: HEARD, HALL: HEARD}
IN, OUT = replace(GROUP, member=True), GROUP
LATE = Guest(id=GuestId("u1"), person_id=PersonId("p1"), expires_at=END - HOUR)
NOT_MOVED = frozenset({KeyWarning.EXPIRY_NOT_MOVED})
ENDED = {KeyStatus.REVOKED, KeyStatus.FAILED}


@pytest.mark.parametrize("status", sorted(set(KeyStatus) - ENDED - {KeyStatus.REMOVING}))
def test_a_window_that_is_over(status: KeyStatus) -> None:
    """Whatever state a live key is in, it is taken back when its window is over, not before."""
    key = replace(RECORD, status=status)
    assert chore_of(key, {}, END - MINUTE) is None
    assert chore_of(key, {}, END) is Chore.END


@pytest.mark.parametrize("status", [KeyStatus.UNKNOWN, KeyStatus.SET, KeyStatus.SUSPENDED])
def test_a_removal_that_was_refused(status: KeyStatus) -> None:
    """It is tried again in the window, whatever became of the key; then its end comes first."""
    key = replace(RECORD, status=status, warnings=frozenset({KeyWarning.NOT_REMOVED}))
    assert chore_of(key, {}, START) is Chore.REVOKE_AGAIN
    assert chore_of(key, {}, END) is Chore.END


@pytest.mark.parametrize("status", sorted(ENDED))
def test_a_key_that_has_ended(status: KeyStatus) -> None:
    """A key that has ended needs nothing any more."""
    assert chore_of(replace(RECORD, status=status), BOTH, END + DAY) is None


@pytest.mark.parametrize(
    ("facts", "gone"),
    [
        (BOTH, True),
        ({GATE: HEARD, HALL: DEAF}, False),
        ({GATE: DEAF, HALL: DEAF}, False),
        ({GATE: HEARD, HALL: None}, True),
        ({GATE: HEARD, HALL: replace(HEARD, seen_at=NOON + ROLL_OUT - MINUTE)}, False),
        ({GATE: HEARD, HALL: replace(HEARD, seen_at=NOON + ROLL_OUT)}, True),
        ({}, True),
    ],
)
def test_gone_everywhere(facts: dict[DoorId, DoorFacts | None], *, gone: bool) -> None:
    """A removed key is gone when each door that the site still has has heard of it."""
    assert is_gone_everywhere(REMOVED, facts) is gone
    assert chore_of(REMOVED, facts, NOON) is (Chore.CONFIRM_REMOVED if gone else None)
    assert chore_of(REMOVED, facts, END + DAY) is (Chore.CONFIRM_REMOVED if gone else None)


def test_removed_nobody_knows_when() -> None:
    """A key of which nobody knows when it was removed is at the doors for all we know."""
    assert not is_gone_everywhere(replace(REMOVED, removed_at=None), BOTH)


@pytest.mark.parametrize(
    ("groups", "now", "chore"),
    [
        ((OUT,), START - MINUTE, None),
        ((OUT,), START, Chore.JOIN),
        ((IN, replace(OUT, id=GroupId("g2"))), START, Chore.JOIN),
        ((IN,), START, None),
        ((IN,), END - MINUTE, None),
        ((IN,), END, Chore.END),
        ((IN,), START - MINUTE, Chore.LEAVE),
        ((), START, None),
    ],
)
def test_let_in_and_out(groups: tuple[DoorGroup, ...], now: datetime, chore: Chore | None) -> None:
    """A guest whom we let in ourselves is in all groups in the window, and in none outside it."""
    key = replace(RECORD, strategy=Strategy.MEMBERSHIP, groups=groups)
    assert chore_of(key, {}, now) is chore
    assert chore_of(replace(key, status=KeyStatus.SUSPENDED), {}, min(now, END - MINUTE)) is None
    assert chore_of(replace(key, strategy=Strategy.SCHEDULE), {}, min(now, END - MINUTE)) is None


@pytest.mark.parametrize(
    ("changes", "now", "chore"),
    [
        ({}, END - HOUR - REISSUE_BEFORE, Chore.REISSUE),
        ({}, END - HOUR - REISSUE_BEFORE - MINUTE, None),
        ({"warnings": frozenset()}, END - HOUR - REISSUE_BEFORE, None),
        ({"guest": GUEST}, END - HOUR - REISSUE_BEFORE, None),
        ({"guest": None}, END - HOUR - REISSUE_BEFORE, None),
        ({"guest": replace(LATE, expires_at=None)}, END - HOUR, None),
        ({"guest": replace(LATE, expires_at=END)}, END - HOUR, None),
        ({"status": KeyStatus.SUSPENDED}, END - HOUR, None),
    ],
)
def test_a_guest_that_ends_too_early(
    changes: dict[str, Any], now: datetime, chore: Chore | None
) -> None:
    """A guest that ends before its window, and could not be moved, is replaced a day before."""
    key = replace(RECORD, guest=LATE, warnings=NOT_MOVED)
    assert chore_of(replace(key, **changes), {}, now) is chore


def test_let_in_before_it_is_issued_anew() -> None:
    """Letting a guest in comes before all that can wait."""
    key = replace(RECORD, strategy=Strategy.MEMBERSHIP, guest=LATE, warnings=NOT_MOVED)
    assert chore_of(key, {}, END - HOUR) is Chore.JOIN
    assert chore_of(replace(key, groups=(IN,)), {}, END - HOUR - MINUTE) is Chore.REISSUE


@given(
    status=st.sampled_from(KeyStatus),
    strategy=st.sampled_from(Strategy),
    member=st.booleans(),
    hours=st.integers(-48, 24 * 6),
    warned=st.booleans(),
)
def test_any_key(
    status: KeyStatus, strategy: Strategy, hours: int, *, member: bool, warned: bool
) -> None:
    """Nothing is given to a key that is not in force, and none outlives its window."""
    key = replace(
        RECORD,
        status=status,
        strategy=strategy,
        groups=(replace(GROUP, member=member),),
        removed_at=NOON if status is KeyStatus.REMOVING else None,
        warnings=NOT_MOVED if warned else frozenset(),
    )
    now = NOON + hours * HOUR
    chore = chore_of(key, BOTH, now)
    if chore in {Chore.JOIN, Chore.LEAVE, Chore.REISSUE}:
        assert status is KeyStatus.SET
    if chore is Chore.JOIN:
        assert key.window.holds(now)
    if key.is_live and status is not KeyStatus.REMOVING and key.window.is_over(now):
        assert chore is Chore.END
    if not key.is_live:
        assert chore is None


# What is under way


def intent_to(kind: IntentKind, record: KeyRecord = RECORD) -> Intent:
    """Return an intent."""
    return Intent(key_id=record.key_id, kind=kind, record=record, started_at=NOON)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (IntentKind.ISSUE, KeyStatus.SETTING),
        (IntentKind.REVOKE, KeyStatus.REMOVING),
        (IntentKind.CHANGE, KeyStatus.CHANGING),
        (IntentKind.SUSPEND, KeyStatus.CHANGING),
        (IntentKind.RESUME, KeyStatus.CHANGING),
        (IntentKind.ROTATE, KeyStatus.CHANGING),
    ],
)
def test_what_is_under_way_counts(kind: IntentKind, status: KeyStatus) -> None:
    """A key shows what is being done to it, and its own state when nothing is."""
    assert status_of(RECORD, intent_to(kind)) is status
    assert status_of(RECORD, None) is KeyStatus.SET


@pytest.mark.parametrize(
    ("booking", "known", "now", "worth"),
    [
        ("b1", False, NOON, True),
        (None, True, NOON, True),
        (None, False, NOON, False),
        ("b1", True, END, False),
        ("b1", False, END - MINUTE, True),
    ],
)
def test_worth_completing(booking: str | None, now: datetime, *, known: bool, worth: bool) -> None:
    """An issue is carried on while somebody waits for the key and its window is not over."""
    record = replace(RECORD, booking_id=None if booking is None else BookingId(booking))
    intent = intent_to(IntentKind.ISSUE, record)
    assert is_worth_completing(intent, known=known, now=now) is worth


# How long to wait


@pytest.mark.parametrize(
    ("failures", "before_start", "delay"),
    [
        (1, DAY, FIRST_DELAY),
        (2, DAY, 2 * FIRST_DELAY),
        (3, DAY, 4 * FIRST_DELAY),
        (6, DAY, 32 * FIRST_DELAY),
        (7, DAY, LONGEST_DELAY),
        (10**6, DAY, LONGEST_DELAY),
        (1, HOUR / 2, FIRST_DELAY),
        (7, HOUR / 2, LONGEST_DELAY_WHEN_URGENT),
        (7, URGENT_BEFORE, LONGEST_DELAY),
        (7, -DAY, LONGEST_DELAY_WHEN_URGENT),
    ],
)
def test_delays(failures: int, before_start: timedelta, delay: timedelta) -> None:
    """Twice as long each time, up to ten minutes; before an arrival and after it up to one."""
    assert delay_after(failures, NOON + before_start, NOON) == delay


@pytest.mark.parametrize(
    ("times", "delay"), [(1, HOUR), (2, 2 * HOUR), (5, 16 * HOUR), (6, DAY), (10**9, DAY)]
)
def test_delay_that_doubles(times: int, delay: timedelta) -> None:
    """Each is twice as long as the one before, as far as it goes."""
    assert doubled(HOUR, DAY, times) == delay


@given(failures=st.integers(1, 10**9), hours=st.integers(-(10**4), 10**4))
def test_any_delay(failures: int, hours: int) -> None:
    """A delay is never longer than the longest, never shorter than the first, and grows."""
    start = NOON + hours * HOUR
    delay, next_delay = (delay_after(count, start, NOON) for count in (failures, failures + 1))
    assert FIRST_DELAY <= delay <= next_delay <= LONGEST_DELAY
