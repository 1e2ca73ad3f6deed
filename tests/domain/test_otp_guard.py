"""When an OTP may be sent: as a table, and under any run of answers and any clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.otp_guard import (
    HOLD,
    REJECTIONS_UNTIL_DEGRADED,
    OtpGuard,
    OtpPermit,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
SALTOS_BLOCK = timedelta(minutes=20)
"""How long Salto blocks an account (DOC)."""


def after(*answers: str, at: datetime = NOON) -> OtpGuard:
    """Return the guard after these answers, all at one instant."""
    guard = OtpGuard()
    for answer in answers:
        guard = guard.accepted() if answer == "accepted" else getattr(guard, answer)(at)
    return guard


@pytest.mark.parametrize(
    ("answers", "permit", "degraded"),
    [
        ((), OtpPermit.CLEAR, False),
        (("rejected",), OtpPermit.CLEAR, False),
        (("rejected",) * 2, OtpPermit.CLEAR, False),
        (("rejected",) * 3, OtpPermit.HELD, True),
        (("rejected",) * 4, OtpPermit.HELD, True),
        (("rejected", "rejected", "accepted", "rejected"), OtpPermit.CLEAR, False),
        (("rejected",) * 3 + ("accepted",), OtpPermit.CLEAR, False),
        (("blocked",), OtpPermit.BLOCKED, False),
        (("blocked", "accepted"), OtpPermit.CLEAR, False),
        (("rejected",) * 3 + ("blocked",), OtpPermit.BLOCKED, True),
        (("rejected", "rejected", "blocked"), OtpPermit.BLOCKED, False),
    ],
)
def test_answers_decide(answers: tuple[str, ...], permit: OtpPermit, degraded: bool) -> None:
    """Three rejections in a row hold the next OTP, a block stops it, a success forgives all."""
    guard = after(*answers)
    assert guard.permit(NOON) is permit
    assert guard.degraded is degraded
    assert guard.closed_until(NOON) == (None if permit is OtpPermit.CLEAR else NOON + HOLD)


@pytest.mark.parametrize("answers", [("blocked",), ("rejected",) * 3], ids=["blocked", "held"])
def test_pause_is_half_open(answers: tuple[str, ...]) -> None:
    """A pause covers its last microsecond and is over at its end."""
    guard = after(*answers)
    last = NOON + HOLD - timedelta(microseconds=1)
    assert guard.permit(last) is not OtpPermit.CLEAR
    assert guard.closed_until(last) == NOON + HOLD
    assert guard.permit(NOON + HOLD) is OtpPermit.CLEAR
    assert guard.closed_until(NOON + HOLD) is None


def test_pause_outlasts_the_block_of_salto() -> None:
    """A block is waited out with a margin for clocks and travel."""
    assert SALTOS_BLOCK + timedelta(minutes=3) <= HOLD


def test_only_one_trial_follows_a_hold() -> None:
    """After a hold one OTP may be tried; if it is rejected, the next waits a whole hold again."""
    later = NOON + HOLD
    guard = after(*("rejected",) * REJECTIONS_UNTIL_DEGRADED)
    assert guard.permit(later) is OtpPermit.CLEAR
    guard = guard.rejected(later)
    assert guard.permit(later) is OtpPermit.HELD
    assert guard.closed_until(later) == later + HOLD


def test_later_of_two_pauses_counts() -> None:
    """With a hold and a later block running, the end of the block is the answer."""
    later = NOON + timedelta(minutes=5)
    guard = after(*("rejected",) * 3).blocked(later)
    assert guard.closed_until(later) == later + HOLD
    assert guard.permit(NOON + HOLD) is OtpPermit.BLOCKED


@pytest.mark.parametrize("answers", [("blocked",), ("rejected",) * 3], ids=["blocked", "held"])
def test_small_step_back_of_the_clock_opens_nothing(answers: tuple[str, ...]) -> None:
    """A clock that is corrected by a little does not end a pause that has just begun."""
    guard = after(*answers)
    for step in (SECOND, timedelta(minutes=3), HOLD - SECOND):
        assert guard.permit(NOON - step) is not OtpPermit.CLEAR


@pytest.mark.parametrize("answers", [("blocked",), ("rejected",) * 3], ids=["blocked", "held"])
def test_clock_set_back_does_not_close_for_ever(answers: tuple[str, ...]) -> None:
    """A clock that was a day ahead when the pause began does not close the IQ for a day."""
    guard = after(*answers)
    assert guard.permit(NOON - timedelta(days=1)) is OtpPermit.CLEAR
    assert guard.closed_until(NOON - timedelta(days=1)) is None


def test_guard_is_a_value() -> None:
    """An answer makes a new guard; the old one stays as it was."""
    guard = OtpGuard(rejections=2)
    guard.rejected(NOON)
    guard.blocked(NOON)
    assert guard == OtpGuard(rejections=2)
    with pytest.raises(AttributeError):
        guard.rejections = 0  # type: ignore[misc] # that it is frozen is what is tested


answers = st.lists(
    st.tuples(
        st.sampled_from(["accepted", "rejected", "blocked"]),
        st.timedeltas(timedelta(), timedelta(hours=2)),
    ),
    max_size=30,
)
"""Answers, each with the time that has passed since the one before."""


@given(run=answers, wait=st.timedeltas(timedelta(), timedelta(hours=1)))
@settings(deadline=None)
def test_nothing_is_sent_within_a_hold_of_a_block(
    run: list[tuple[str, timedelta]], wait: timedelta
) -> None:
    """Whatever came before, a block closes the IQ for a whole hold, and not for longer."""
    guard, now = OtpGuard(), NOON
    for answer, pause in run:
        now += pause
        guard = guard.accepted() if answer == "accepted" else getattr(guard, answer)(now)
    guard = guard.blocked(now)
    closed = guard.permit(now + wait) is not OtpPermit.CLEAR
    assert closed is (wait < HOLD)
    assert (guard.closed_until(now + wait) is None) is not closed


@given(run=answers)
@settings(deadline=None)
def test_at_most_three_rejections_fit_into_a_hold(run: list[tuple[str, timedelta]]) -> None:
    """A client that obeys the guard never collects a fourth rejection within one hold."""
    guard, now = OtpGuard(), NOON
    rejected_at: list[datetime] = []
    for answer, pause in run:
        now += pause
        if guard.permit(now) is not OtpPermit.CLEAR:
            continue
        if answer == "rejected":
            rejected_at.append(now)
            guard = guard.rejected(now)
        elif answer == "blocked":
            guard = guard.blocked(now)
        else:
            rejected_at.clear()
            guard = guard.accepted()
        recent = [at for at in rejected_at if now - at < HOLD]
        assert len(recent) <= REJECTIONS_UNTIL_DEGRADED


@given(
    began=st.datetimes(
        datetime.fromisoformat("2001-01-01"),
        datetime.fromisoformat("2100-01-01"),
        timezones=st.just(UTC),
    ),
    jump=st.timedeltas(timedelta(days=-3650), timedelta(days=3650)),
)
@settings(deadline=None)
def test_no_clock_closes_for_longer_than_two_holds(began: datetime, jump: timedelta) -> None:
    """Wherever the clock is set to, the IQ is open again after two holds at the latest."""
    guard = replace(OtpGuard().blocked(began), held_until=began + HOLD)
    now = began + jump
    assert guard.permit(now + 2 * HOLD) is OtpPermit.CLEAR
    if guard.permit(now) is not OtpPermit.CLEAR:
        assert guard.closed_until(now) == began + HOLD
