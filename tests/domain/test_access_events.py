"""What has happened at a door, and who it was."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, strategies as st
import pytest

from custom_components.salto_ks.domain.access_events import (
    LONGEST_WORD,
    NOBODY,
    OPENINGS,
    AccessMeans,
    Actor,
    ActorKind,
    Alarms,
    DenialReason,
    DoorEvent,
    DoorEventType,
    DoorLine,
    LastOpening,
    alarm_events,
    door_event,
    newest_opening,
)
from custom_components.salto_ks.domain.ids import BookingId, KeyId

NOON = datetime(2026, 12, 7, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
KEY = Actor(
    kind=ActorKind.KEY, key_id=KeyId("k3x9-42"), booking_id=BookingId("R1"), unit="Pitch 12"
)
ANNA = Actor(kind=ActorKind.PERSON, name="Anna Bakker")
SOMEBODY = Actor(kind=ActorKind.SOMEBODY)
HOME_ASSISTANT = Actor(kind=ActorKind.HOME_ASSISTANT)
INSIDE = Actor(kind=ActorKind.INSIDE)


def line(
    category: str = "lock_opened",
    means: str | None = "pin_code",
    detail: str | None = None,
    *,
    exit_requested: bool = False,
    has_person: bool = True,
    name: str | None = None,
    key: Actor | None = None,
    is_ours: bool = False,
) -> DoorLine:
    """Return a line, by default of somebody without a name who has opened with a PIN."""
    return DoorLine(
        category=category,
        means=means,
        detail=detail,
        exit_requested=exit_requested,
        has_person=has_person,
        name=name,
        key=key,
        is_ours=is_ours,
    )


def told(about: DoorLine, *, names: bool = True) -> DoorEvent:
    """Return what a line tells."""
    return door_event(about, names=names)


# What has happened


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (line(means="pin_code"), DoorEventType.ACCESS_GRANTED),
        (line(means="tag"), DoorEventType.ACCESS_GRANTED),
        (line(means="palm"), DoorEventType.ACCESS_GRANTED),
        (line(means=None), DoorEventType.ACCESS_GRANTED),
        (line(means="remote"), DoorEventType.OPENED_REMOTELY),
        (line(means="inside_handle"), DoorEventType.OPENED_INSIDE),
        (line(means="tag", exit_requested=True), DoorEventType.OPENED_INSIDE),
        (line("lock_rejected"), DoorEventType.ACCESS_DENIED),
        (line("lock_rejected", exit_requested=True), DoorEventType.ACCESS_DENIED),
        (line("office_mode", detail="start"), DoorEventType.OFFICE_MODE_STARTED),
        (line("office_mode", detail="end"), DoorEventType.OFFICE_MODE_ENDED),
        (line("easy_office_mode", detail="start"), DoorEventType.OFFICE_MODE_STARTED),
        (line("easy_office_mode", detail="end"), DoorEventType.OFFICE_MODE_ENDED),
        (line("privacy_mode", detail="start"), DoorEventType.PRIVACY_MODE_STARTED),
        (line("privacy_mode", detail="end"), DoorEventType.PRIVACY_MODE_ENDED),
        (line("office_mode"), DoorEventType.OTHER),
        (line("privacy_mode", detail="paused"), DoorEventType.OTHER),
        (line("lock_jammed"), DoorEventType.OTHER),
        (line(""), DoorEventType.OTHER),
    ],
    ids=repr,
)
def test_type(about: DoorLine, expected: DoorEventType) -> None:
    """Each word of Salto's has a type, and one that is not known is something else."""
    event = told(about)
    assert event.type is expected
    is_odd = expected is DoorEventType.OTHER
    assert event.category == (about.category if is_odd else None)
    assert event.detail == (about.detail if is_odd else None)
    assert (event.reason is not None) is (expected is DoorEventType.ACCESS_DENIED)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("tag", AccessMeans.TAG),
        ("pin_code", AccessMeans.PIN),
        ("inside_handle", AccessMeans.INSIDE_HANDLE),
        ("remote", AccessMeans.REMOTE),
        ("palm", "palm"),
        ("", None),
        (None, None),
    ],
)
def test_means(word: str | None, expected: object) -> None:
    """What was used is told in our words, and in Salto's where there is none of ours."""
    means = told(line(means=word)).means
    assert means == expected
    assert type(means) is type(expected)


@pytest.mark.parametrize(
    ("about", "reason", "detail"),
    [
        (line(detail="no_access"), DenialReason.UNKNOWN_PIN, None),
        (line(detail="no_access", has_person=False), DenialReason.UNKNOWN_PIN, None),
        (line(detail="no_access", key=KEY), DenialReason.NO_ACCESS, None),
        (line(detail="no_access", name="Anna"), DenialReason.NO_ACCESS, None),
        (line(detail="no_access", is_ours=True), DenialReason.NO_ACCESS, None),
        (line(detail="no_access", means="palm"), DenialReason.NO_ACCESS, None),
        (line(detail="no_access", means="tag"), DenialReason.NO_ACCESS, None),
        (
            line(detail="no_access", means="tag", has_person=False),
            DenialReason.UNKNOWN_TAG,
            None,
        ),
        (line(means="tag", has_person=False), DenialReason.UNKNOWN_TAG, None),
        (line(detail="suspended", key=KEY), DenialReason.SUSPENDED, None),
        (line(detail="suspended"), DenialReason.SUSPENDED, None),
        (line(detail="offline"), DenialReason.OFFLINE, None),
        (line(detail="blocked", means="tag", has_person=False), DenialReason.BLOCKED, None),
        (line(detail="low_battery"), DenialReason.LOW_BATTERY, "low_battery"),
        (line(detail="battery_critical"), DenialReason.LOW_BATTERY, "battery_critical"),
        (line(key=KEY), DenialReason.NOT_NOW, None),
        (line(name="Anna"), DenialReason.NOT_NOW, None),
        (line(), DenialReason.OTHER, None),
        (line(detail="full_moon", key=KEY), DenialReason.OTHER, "full_moon"),
    ],
    ids=repr,
)
def test_reason(about: DoorLine, reason: DenialReason, detail: str | None) -> None:
    """Each word for a refusal has a reason; one that is not known is carried as it came."""
    event = told(
        DoorLine(
            category="lock_rejected",
            detail=about.detail,
            means=about.means,
            exit_requested=False,
            has_person=about.has_person,
            name=about.name,
            key=about.key,
            is_ours=about.is_ours,
        )
    )
    assert (event.type, event.reason, event.detail) == (
        DoorEventType.ACCESS_DENIED,
        reason,
        detail,
    )
    if reason in {DenialReason.UNKNOWN_PIN, DenialReason.UNKNOWN_TAG}:
        assert event.actor == NOBODY


# Who it was


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        (line(key=KEY, name="Pitch 12 ha-k3x9-42"), KEY),
        (line(key=KEY, means="tag"), KEY),
        (line(key=KEY, means="inside_handle"), KEY),
        (line(means="remote", is_ours=True, name="Service"), HOME_ASSISTANT),
        (
            line("office_mode", detail="start", means="remote", is_ours=True),
            HOME_ASSISTANT,
        ),
        (line(means="tag", is_ours=True, name="Anna Bakker"), ANNA),
        (line(means="inside_handle"), INSIDE),
        (line(means="inside_handle", has_person=False), INSIDE),
        (line(means="tag", exit_requested=True), INSIDE),
        (line(name="Anna Bakker"), ANNA),
        (line(means="remote", name="Anna Bakker"), ANNA),
        (line("privacy_mode", detail="start", name="Anna Bakker"), ANNA),
        (line(), SOMEBODY),
        (line(means="remote"), SOMEBODY),
        (line("lock_rejected", detail="suspended"), NOBODY),
        (line("privacy_mode", detail="end"), NOBODY),
        (line("lock_jammed"), NOBODY),
    ],
    ids=repr,
)
def test_actor(about: DoorLine, expected: Actor) -> None:
    """A key of ours goes before a name, and who has neither is nobody that can be named."""
    assert told(about).actor == expected


def test_without_names() -> None:
    """Where people are not named one is somebody else; our own keys are called what they are."""
    assert told(line(name="Anna Bakker"), names=False).actor == SOMEBODY
    assert told(line(key=KEY), names=False).actor == KEY
    signed = Actor(kind=ActorKind.HOME_ASSISTANT, name="Anna")
    assert signed.without_name() == HOME_ASSISTANT


def test_names_are_in_no_repr() -> None:
    """A name stands in nothing that may be logged."""
    about = line(name="Anna Bakker")
    assert "Anna" not in repr(about)
    assert "Anna" not in repr(told(about))


@given(
    category=st.sampled_from(["lock_opened", "lock_rejected", "office_mode", "privacy_mode"])
    | st.text(),
    detail=st.none() | st.sampled_from(["start", "end", "no_access", "suspended"]) | st.text(),
    means=st.none() | st.sampled_from(["tag", "pin_code", "remote", "inside_handle"]) | st.text(),
    name=st.none() | st.just("Anna Bakker"),
    key=st.none() | st.just(KEY),
    flags=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_any_line_can_be_told(
    category: str,
    detail: str | None,
    means: str | None,
    name: str | None,
    key: Actor | None,
    flags: tuple[bool, bool, bool, bool],
) -> None:
    """Whatever words Salto uses, a line is told, at no great length and without a name too many."""
    exit_requested, has_person, is_ours, names = flags
    event = door_event(
        DoorLine(
            category=category,
            detail=detail,
            means=means,
            exit_requested=exit_requested,
            has_person=has_person,
            name=name,
            key=key,
            is_ours=is_ours,
        ),
        names=names,
    )
    assert all(len(word or "") <= LONGEST_WORD for word in (event.category, event.detail))
    assert len(event.means or "") <= LONGEST_WORD
    assert (event.reason is None) is (event.type is not DoorEventType.ACCESS_DENIED)
    assert event.actor.name in ({None, name} if names else {None})


# Who has opened last


def opening(minute: int = 0, actor: Actor = ANNA) -> LastOpening:
    """Return an opening some minutes after noon."""
    return LastOpening(at=NOON + minute * MINUTE, actor=actor)


GRANTED = DoorEvent(type=DoorEventType.ACCESS_GRANTED, actor=KEY)
LATER = NOON + 60 * MINUTE


def test_newest_opening_counts() -> None:
    """One that is newer takes the place of the one before, and one that is told late does not."""
    assert newest_opening(None, NOON, GRANTED, LATER) == opening(0, KEY)
    assert newest_opening(opening(), NOON + MINUTE, GRANTED, LATER) == opening(1, KEY)
    assert newest_opening(opening(), NOON, GRANTED, LATER) == opening(0, KEY)
    assert newest_opening(opening(1), NOON, GRANTED, LATER) == opening(1)


@pytest.mark.parametrize("kind", sorted(set(DoorEventType) - OPENINGS))
def test_what_is_no_opening(kind: DoorEventType) -> None:
    """A refusal, an alarm or the end of a mode says nothing of who has opened."""
    assert newest_opening(opening(), NOON + MINUTE, DoorEvent(type=kind), LATER) == opening()
    assert newest_opening(None, NOON, DoorEvent(type=kind), LATER) is None


def test_clock_that_is_ahead() -> None:
    """An opening of next year is one of now, and does not hide those that come after it."""
    ahead = newest_opening(None, NOON + timedelta(days=365), GRANTED, NOON)
    assert ahead == opening(0, KEY)
    by_anna = DoorEvent(type=DoorEventType.ACCESS_GRANTED, actor=ANNA)
    assert newest_opening(ahead, NOON + MINUTE, by_anna, LATER) == opening(1)


# Alarms


def alarms(left_open: bool | None = False, intrusion: bool | None = False) -> Alarms:
    """Return the alarms of a door."""
    return Alarms(left_open=left_open, intrusion=intrusion)


@pytest.mark.parametrize(
    ("before", "told_now", "expected"),
    [
        (alarms(), alarms(), []),
        (alarms(), alarms(True), [DoorEventType.LEFT_OPEN]),
        (alarms(True), alarms(True), []),
        (alarms(True), alarms(), [DoorEventType.LEFT_OPEN_ENDED]),
        (alarms(), alarms(False, True), [DoorEventType.INTRUSION]),
        (alarms(False, True), alarms(), [DoorEventType.INTRUSION_ENDED]),
        (
            alarms(True, False),
            alarms(False, True),
            [DoorEventType.LEFT_OPEN_ENDED, DoorEventType.INTRUSION],
        ),
        (alarms(None, None), alarms(True, True), []),
        (alarms(True), alarms(None, None), []),
    ],
    ids=repr,
)
def test_alarms(before: Alarms, told_now: Alarms, expected: list[DoorEventType]) -> None:
    """An alarm that begins or ends is an event; one that is on when first heard of is none."""
    assert [event.type for event in alarm_events(before, before.after(told_now))] == expected


def test_alarm_that_is_not_told_for_a_while() -> None:
    """An alarm that is told no more has not ended, and it ends once that is told."""
    known = alarms(True).after(alarms(None))
    assert known == alarms(True)
    assert [event.type for event in alarm_events(known, known.after(alarms()))] == [
        DoorEventType.LEFT_OPEN_ENDED
    ]
