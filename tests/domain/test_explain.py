"""What a checklist says, and in which order: the first failure is the likeliest cause."""

from dataclasses import replace
from datetime import datetime

import pytest

from custom_components.salto_ks.domain.explain import explain
from custom_components.salto_ks.domain.explain_facts import Facts
from custom_components.salto_ks.domain.explain_sentences import (
    ORDER,
    CheckName,
    Result,
    Sentence,
)
from custom_components.salto_ks.domain.keys import Strategy
from custom_components.salto_ks.domain.windows import AccessWindow

from .access_worlds import (
    DENIAL,
    DOOR,
    FAILING,
    IQ,
    KEY,
    POLLED,
    TIMES,
    TROUBLES,
    UNKNOWN,
    WELL,
    World,
    all_worlds,
    of_booking,
    of_door,
    of_key,
    of_site,
)
from .stays import DAY, HOUR, HUT, MINUTE, NOW


def results(facts: Facts) -> set[Result]:
    """Return the results of all checks."""
    return {check.result for check in explain(facts)}


def said(facts: Facts) -> list[Sentence]:
    """Return what is said, in order."""
    return [check.sentence for check in explain(facts)]


@pytest.mark.parametrize("world", FAILING.values(), ids=FAILING)
def test_first_failure_is_the_cause(world: World) -> None:
    """What is the matter is the first thing that fails."""
    failed = [one for one in said(world.facts) if one.result is Result.FAIL]
    assert failed[0] is world.first


@pytest.mark.parametrize("facts", WELL.values(), ids=WELL)
def test_all_is_well(facts: Facts) -> None:
    """Where all is as it has to be, all passes."""
    assert results(facts) == {Result.PASS}


@pytest.mark.parametrize("facts", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_is_no_failure(facts: Facts) -> None:
    """What is not known is said to be unknown, and never fails."""
    assert Result.UNKNOWN in results(facts)
    assert Result.FAIL not in results(facts)


def test_every_sentence_is_said() -> None:
    """There is a world for every sentence, and a name for every text."""
    every = {one for facts in all_worlds().values() for one in said(facts)}
    assert every == set(Sentence)
    assert len({sentence.key for sentence in Sentence}) == len(Sentence)


def test_each_result_has_one_usual_sentence() -> None:
    """Of each check and result one sentence at most needs no case."""
    plain = [(one.check, one.result) for one in Sentence if not one.case]
    assert len(plain) == len(set(plain))


@pytest.mark.parametrize("facts", all_worlds().values(), ids=all_worlds())
def test_order(facts: Facts) -> None:
    """Checks come in the order in which a person should look."""
    places = [ORDER[check.name] for check in explain(facts)]
    assert places == sorted(places)


def test_key_that_has_ended_is_looked_at_no_further() -> None:
    """Nothing of a key that was taken back is looked for at Salto."""
    names = {one.check for one in said(FAILING["revoked"].facts)}
    assert not names & {CheckName.GUEST, CheckName.GROUP, CheckName.ROLLED_OUT}


def test_a_guest_that_is_gone_is_looked_at_no_further() -> None:
    """A guest that was deleted has neither seat nor right."""
    names = {one.check for one in said(FAILING["guest deleted"].facts)}
    assert not names & {CheckName.GUEST_SEAT, CheckName.PIN_ALLOWED}


def test_a_group_that_is_gone_is_looked_at_no_further() -> None:
    """A group that was deleted has neither doors nor members."""
    names = {one.check for one in said(FAILING["group deleted"].facts)}
    assert not names & {CheckName.GROUP_DOOR, CheckName.MEMBER, CheckName.SCHEDULE}


def test_schedule_of_a_key_to_come_is_held_to_its_start() -> None:
    """Before the window it is looked whether the door will open, not whether it does."""
    begins = NOW + HOUR
    window = AccessWindow(begins, NOW + DAY)
    local = datetime(2026, 6, 1, 15)  # noqa: DTZ001 - the wall clock of an IQ has no zone
    right = replace(TIMES, starts=local)
    wrong = replace(TIMES, starts=local.replace(hour=16))
    for times, sentence in (
        (right, Sentence.SCHEDULE_HOLDS),
        (wrong, Sentence.SCHEDULE_ELSEWHEN),
    ):
        facts = of_key(record={"window": window}, group={"schedules": (times,)})
        (check,) = (one for one in explain(facts) if one.name is CheckName.SCHEDULE)
        assert (check.sentence, check.about["at"]) == (sentence, begins)


def test_member_of_later_is_not_missed() -> None:
    """Where Home Assistant lets the guest in at the start, it is no member before."""
    facts = of_key(
        record={
            "strategy": Strategy.MEMBERSHIP,
            "window": AccessWindow(NOW + HOUR, NOW + DAY),
        },
        group={"members": frozenset()},
    )
    assert CheckName.MEMBER not in {one.check for one in said(facts)}


def test_schedule_of_a_key_that_is_over_is_not_looked_at() -> None:
    """After the window nothing is expected of a schedule."""
    assert CheckName.SCHEDULE not in {one.check for one in said(FAILING["over"].facts)}


@pytest.mark.parametrize(
    ("starts", "ends", "holds"),
    [
        (None, None, True),
        ("2026-06-01T14:00", None, True),
        ("2026-06-01T14:01", None, False),
        (None, "2026-06-01T14:01", True),
        (None, "2026-06-01T14:00", False),
    ],
)
def test_dates_of_a_schedule(starts: str | None, ends: str | None, holds: bool) -> None:
    """A schedule is read by the wall clock of the IQ, and its end is the first instant outside."""
    times = replace(
        TIMES,
        starts=None if starts is None else datetime.fromisoformat(starts),
        ends=None if ends is None else datetime.fromisoformat(ends),
    )
    facts = of_key(group={"schedules": (times,)})
    assert (Sentence.SCHEDULE_HOLDS in said(facts)) is holds
    twice = of_key(group={"schedules": (times, TIMES)})
    assert Sentence.SCHEDULE_HOLDS in said(twice)


def test_every_door_is_named() -> None:
    """Each door of a key has its own lines, and each IQ one."""
    other = replace(DOOR, door_id=HUT, name="Hut")
    lines = [
        (check.name, check.about.get("door")) for check in explain(of_key(doors=(DOOR, other)))
    ]
    assert (CheckName.LOCK_ONLINE, "Main gate") in lines
    assert (CheckName.LOCK_ONLINE, "Hut") in lines
    assert [name for name, _ in lines].count(CheckName.IQ_ONLINE) == 1


def test_keys_of_a_door_are_named() -> None:
    """A door tells which keys open it now; one without a keypad tells of none."""
    (check,) = (one for one in explain(of_door()) if one.name is CheckName.DOOR_KEYS)
    assert check.about["keys"] == "abcd-7"
    without = of_door(door={"facts": replace(POLLED, has_keypad=False)}, keys_now=())
    assert CheckName.DOOR_KEYS not in {one.check for one in said(without)}


def test_every_door_that_refused_is_named() -> None:
    """A guest that two doors refused has a line for each."""
    hut = replace(DENIAL, door="Hut", at=NOW - 2 * MINUTE)
    checks = explain(of_key(key=replace(KEY, denials=(DENIAL, hut))))
    doors = [check.about["door"] for check in checks if check.sentence is Sentence.DENIED]
    assert doors == ["Main gate", "Hut"]


def test_refusal_at_a_door_matters_for_an_hour() -> None:
    """What a door refused long ago says nothing of it now."""
    for age, sentence in (
        (HOUR, Sentence.DENIED),
        (HOUR + MINUTE, Sentence.NOT_DENIED),
    ):
        facts = of_door(door={"denial": replace(DENIAL, at=NOW - age)})
        assert sentence in said(facts)


def test_seats_are_no_matter_of_a_door() -> None:
    """A door opens for who has a key, and for nobody who would need a seat first."""
    assert CheckName.SEATS not in {one.check for one in said(of_door(site={"seats_used": 25}))}


def test_pins_are_no_matter_of_a_booking_that_is_opened_for() -> None:
    """Where Home Assistant opens the door, it needs no keypad, no seat and no PIN."""
    names = {one.check for one in said(WELL["booking, remote"])}
    assert not names & {CheckName.SITE_PINS, CheckName.SEATS, CheckName.KEYPAD, CheckName.KEY_DUE}


def test_troubles_of_a_site_are_all_told() -> None:
    """Each booking without a key has its line."""
    assert said(TROUBLES).count(Sentence.TROUBLE) == 2


def test_a_booking_that_wants_no_key_is_not_said_to_get_one() -> None:
    """A cancelled booking has no time at which its key is due."""
    names = {one.check for one in said(FAILING["cancelled"].facts)}
    assert CheckName.KEY_DUE not in names


def test_otp_of_an_iq_that_is_not_set_up_is_not_looked_at() -> None:
    """Nothing can be said of one-time passwords that cannot be made."""
    facts = of_site(iqs=(replace(IQ, otp_closed_until=NOW + HOUR, ready=None),))
    assert Sentence.OTP_CLOSED in said(facts)
    assert CheckName.OTP not in {one.check for one in said(WELL["site, PINs only"])}
    assert CheckName.OTP not in {one.check for one in said(of_booking())}
