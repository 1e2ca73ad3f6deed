"""What is believed of a calendar that is away, empty, late or wrong: as stories, and in any order."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
import json
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.bookings import Booking, BookingRules, BookingStatus, Unit
from custom_components.salto_ks.domain.calendar_events import CalendarItem
from custom_components.salto_ks.domain.calendar_memory import (
    EMPTY_FOR,
    KEPT_AFTER_END,
    KEPT_AFTER_GONE,
    MISSES_UNTIL_GONE,
    READ_BACK,
    READS_APART,
    READS_UNTIL_EMPTY,
    SUDDENLY,
    CalendarMemory,
    FailedRead,
    after_read,
    believed,
    with_booking,
)
from custom_components.salto_ks.domain.calendar_memory_json import (
    booking_from_json,
    booking_to_json,
    memory_from_json,
    memory_to_json,
)
from custom_components.salto_ks.domain.ids import BookingId

from .stays import (
    CABIN,
    DAY,
    HOUR,
    HUT,
    MINUTE,
    NOW,
    PITCH,
    a_booking,
    a_read,
    a_unit,
    an_item,
    days,
)

FIVE = 5 * MINUTE
JANSEN = an_item("Jansen")
DE_VRIES = an_item("De Vries", starts=NOW + 5 * DAY, ends=NOW + 7 * DAY)
BAKKER = an_item("Bakker", starts=NOW + 9 * DAY, ends=NOW + 11 * DAY)
VISSER = an_item("Visser", starts=NOW + 20 * DAY, ends=NOW + 22 * DAY)
FULL = (JANSEN, DE_VRIES, BAKKER)


@dataclass(kw_only=True)
class Feed:
    """A calendar that is read again and again."""

    now: datetime = NOW
    memory: CalendarMemory = field(default_factory=CalendarMemory)
    trusted: bool = False
    unit: Unit = field(default_factory=a_unit)

    def read(self, *items: CalendarItem, after: timedelta = FIVE, **changes: Any) -> dict[str, str]:
        """Find these events some time later; return how all bookings stand."""
        self.now += after
        read = a_read(items, self.now, unit=self.unit, trusted=self.trusted, **changes)
        self.memory, bookings = after_read(self.memory, read, self.now)
        assert bookings == self.memory.bookings
        return self.stand()

    def fail(self, times: int = 1, after: timedelta = FIVE) -> dict[str, str]:
        """Find nothing out some time later, and again."""
        for _ in range(times):
            self.now += after
            self.memory, _ = after_read(self.memory, FailedRead(), self.now)
        return self.stand()

    def stand(self) -> dict[str, str]:
        """Return how all bookings stand, by name."""
        return {one.label: one.status.value for one in self.memory.bookings}

    def booking(self, label: str) -> Booking:
        """Return the booking of this name."""
        (found,) = (one for one in self.memory.bookings if one.label == label)
        return found


def a_feed(*items: CalendarItem, **changes: Any) -> Feed:
    """Return a calendar that has been read well a few times."""
    feed = Feed(**changes)
    for _ in range(READS_UNTIL_EMPTY):
        feed.read(*items, after=10 * MINUTE)
    assert feed.memory.settled
    return feed


def all_of(status: str, *items: CalendarItem) -> dict[str, str]:
    """Return bookings that all stand alike."""
    return {item.summary: status for item in items}


# What a calendar says


def test_new_event_is_believed_at_once() -> None:
    """The guest may be on the way."""
    assert Feed().read(JANSEN) == {"Jansen": "confirmed"}


def test_bookings_are_in_order() -> None:
    """They are told by their starts, however the calendar lists them."""
    assert list(Feed().read(VISSER, JANSEN, BAKKER)) == ["Jansen", "Bakker", "Visser"]


def test_status_goes_forth_and_back_at_once() -> None:
    """What a calendar says of a booking is believed, a cancellation like all else."""
    feed = a_feed(JANSEN)
    for said, status in [
        ("tentative", "pending"),
        ("confirmed", "confirmed"),
        ("cancelled", "cancelled"),
        ("confirmed", "confirmed"),
        ("cancelled", "cancelled"),
        (None, "confirmed"),
    ]:
        assert feed.read(replace(JANSEN, status=said)) == {"Jansen": status}


def test_stay_that_changes_at_once() -> None:
    """A longer stay, and an earlier arrival, are the same booking."""
    feed = a_feed(JANSEN)
    before = feed.booking("Jansen")
    feed.read(replace(JANSEN, starts=NOW + HOUR, ends=NOW + 6 * DAY))
    after = feed.booking("Jansen")
    assert after.booking_id == before.booking_id
    assert (after.starts_at, after.ends_at) == (NOW + HOUR, NOW + 6 * DAY)


# One event is gone


def test_vanished_event_needs_two_reads() -> None:
    """One read without it proves nothing, the second one does."""
    feed = a_feed(*FULL)
    assert feed.read(DE_VRIES, BAKKER) == all_of("confirmed", *FULL)
    assert feed.read(DE_VRIES, BAKKER)["Jansen"] == "cancelled"


def test_failed_reads_are_not_counted() -> None:
    """A calendar that is away for a day in between does not make the second of two reads."""
    feed = a_feed(*FULL)
    feed.read(DE_VRIES, BAKKER)
    assert feed.fail(times=288)["Jansen"] == "confirmed"
    assert feed.read(DE_VRIES, BAKKER)["Jansen"] == "cancelled"


def test_reads_in_a_burst_are_one() -> None:
    """A calendar that changes is read several times at once, and that is one word of it."""
    feed = a_feed(*FULL)
    feed.read(DE_VRIES, BAKKER)
    for _ in range(10):
        assert feed.read(DE_VRIES, BAKKER, after=READS_APART / 20)["Jansen"] == "confirmed"
    assert feed.read(DE_VRIES, BAKKER, after=READS_APART / 2)["Jansen"] == "cancelled"


def test_event_that_comes_back_in_time() -> None:
    """It is as if it had never been gone, and has to vanish twice again."""
    feed = a_feed(*FULL)
    before = feed.memory.bookings
    for _ in range(5):
        feed.read(DE_VRIES, BAKKER)
        feed.read(*FULL)
        assert feed.memory.bookings == before


def test_event_that_comes_back_late() -> None:
    """It is the same booking again, with the time it was opened first."""
    feed = a_feed(*FULL)
    opened = replace(feed.booking("Jansen"), opened_at=NOW, status=BookingStatus.CHECKED_IN)
    feed.memory = with_booking(feed.memory, opened)
    feed.read(DE_VRIES, BAKKER)
    assert feed.read(DE_VRIES, BAKKER)["Jansen"] == "cancelled"
    assert feed.read(*FULL)["Jansen"] == "confirmed"
    assert feed.booking("Jansen").booking_id == opened.booking_id
    assert feed.booking("Jansen").opened_at == NOW


def test_local_calendar_is_believed_at_once() -> None:
    """Somebody has deleted the event in this home."""
    feed = a_feed(*FULL, trusted=True)
    assert feed.read(DE_VRIES, BAKKER)["Jansen"] == "cancelled"
    assert feed.read() == all_of("cancelled", *FULL)


def test_local_calendar_that_cannot_be_read() -> None:
    """Not even that is believed to be empty when it is not there."""
    feed = a_feed(*FULL, trusted=True)
    assert feed.fail(times=100) == all_of("confirmed", *FULL)


# All events are gone


def test_suddenly_empty_calendar() -> None:
    """It takes three reads that agree for a quarter of an hour."""
    feed = a_feed(*FULL)
    feed.read(after=FIVE)
    feed.read(after=EMPTY_FOR / 2)
    assert feed.read(after=EMPTY_FOR / 2 - MINUTE) == all_of("confirmed", *FULL)
    assert feed.read(after=MINUTE) == all_of("cancelled", *FULL)


def test_suddenly_empty_calendar_that_is_read_rarely() -> None:
    """Two reads are too few, however long they lie apart."""
    feed = a_feed(*FULL)
    feed.read(after=6 * HOUR)
    assert feed.read(after=6 * HOUR) == all_of("confirmed", *FULL)
    assert feed.read(after=6 * HOUR) == all_of("cancelled", *FULL)


def test_suddenly_empty_calendar_in_a_burst() -> None:
    """Many reads in no time are one."""
    feed = a_feed(*FULL)
    for _ in range(20):
        feed.read(after=READS_APART / 30)
    feed.read(after=EMPTY_FOR)
    assert feed.read(after=READS_APART / 2) == all_of("confirmed", *FULL)
    assert feed.read(after=READS_APART / 2) == all_of("cancelled", *FULL)


def test_suddenly_empty_calendar_that_is_away_in_between() -> None:
    """Failed reads neither count nor break off the count."""
    feed = a_feed(*FULL)
    feed.read()
    feed.fail(times=3)
    feed.read()
    assert feed.fail(times=50) == all_of("confirmed", *FULL)
    assert feed.read() == all_of("cancelled", *FULL)


def test_flapping_calendar() -> None:
    """One that is empty every other time loses nobody's booking."""
    feed = a_feed(*FULL)
    for _ in range(50):
        assert feed.read(after=10 * MINUTE) == all_of("confirmed", *FULL)
        assert feed.read(after=10 * MINUTE) == all_of("confirmed", *FULL)
        assert feed.read(*FULL, after=10 * MINUTE) == all_of("confirmed", *FULL)


def test_calendar_that_empties_in_two_steps() -> None:
    """All that was there counts, also what was missing before."""
    feed = a_feed(*FULL)
    feed.read(JANSEN)
    assert feed.memory.emptiness is None
    assert feed.read() == all_of("confirmed", *FULL)
    assert feed.memory.emptiness is not None


def test_calendar_that_is_not_empty_after_all() -> None:
    """With one booking in it, what is missing is counted from anew."""
    feed = a_feed(*FULL)
    for _ in range(2):
        feed.read(after=20 * MINUTE)
    assert feed.read(JANSEN) == all_of("confirmed", *FULL)
    assert feed.memory.emptiness is None
    assert feed.read(JANSEN) == {"Jansen": "confirmed"} | all_of("cancelled", DE_VRIES, BAKKER)


def test_two_bookings_are_not_suspect() -> None:
    """Below three it is as with one."""
    assert SUDDENLY == 3
    feed = a_feed(JANSEN, DE_VRIES)
    feed.read()
    assert feed.read() == all_of("cancelled", JANSEN, DE_VRIES)


def test_calendar_that_has_only_what_is_over() -> None:
    """An old event does not make an empty calendar a full one."""
    old = an_item("Smit", starts=NOW - 2 * DAY, ends=NOW - DAY)
    feed = a_feed(old, *FULL)
    assert feed.read(old)["Jansen"] == "confirmed"
    assert feed.read(old)["Jansen"] == "confirmed"


def test_booking_that_ends_while_a_calendar_is_empty() -> None:
    """It is over, and the others still count."""
    feed = a_feed(an_item("Smit", starts=NOW - DAY, ends=NOW + HOUR), JANSEN, DE_VRIES)
    feed.read(after=20 * MINUTE)
    feed.read()
    feed.read(after=EMPTY_FOR)
    assert feed.now > NOW + HOUR
    assert feed.stand() == {"Smit": "confirmed"} | all_of("cancelled", JANSEN, DE_VRIES)


# By time


def test_booking_that_is_over_has_not_vanished() -> None:
    """It leaves the calendar as time passes, is not cancelled, and is forgotten much later."""
    feed = a_feed(JANSEN, VISSER)
    feed.read(VISSER, after=NOW + 4 * DAY - feed.now)
    for _ in range(3):
        assert feed.read(VISSER)["Jansen"] == "confirmed"
    assert feed.booking("Jansen").status_at(feed.now) == "completed"
    feed.read(VISSER, after=NOW + 4 * DAY + KEPT_AFTER_END - feed.now - MINUTE)
    assert "Jansen" in feed.stand()
    assert feed.read(VISSER, after=MINUTE) == all_of("confirmed", VISSER)


def test_old_events_are_not_taken_up() -> None:
    """What was over long before it was seen is nobody's business."""
    old = an_item("Smit", starts=NOW - 9 * DAY, ends=NOW - 8 * DAY)
    assert Feed().read(old, JANSEN) == {"Jansen": "confirmed"}


def test_event_that_is_moved_into_the_past() -> None:
    """The calendar has said so: there is no such booking any more."""
    feed = a_feed(JANSEN, VISSER)
    feed.read(replace(JANSEN, starts=NOW - 9 * DAY, ends=NOW - 8 * DAY), VISSER)
    assert feed.stand() == all_of("confirmed", VISSER)


def test_whole_days_whose_guest_is_still_there() -> None:
    """Between midnight and check-out a calendar has no event any more, and nobody is cancelled."""
    stay = days("Smit", "2026-06-01", "2026-06-03")
    feed = a_feed(stay, VISSER)
    feed.now = datetime(2026, 6, 3, 1, tzinfo=UTC)  # three hours after midnight in Amsterdam
    for _ in range(5):
        stands = feed.read(VISSER, reads_from=feed.now)
        assert stands["Smit"] == "confirmed"
    assert feed.booking("Smit").holds(feed.now)


def test_cancellation_during_a_stay_of_whole_days() -> None:
    """With a read that reaches back as it should, it is noticed until the end."""
    stay = days("Smit", "2026-06-01", "2026-06-03")
    feed = a_feed(stay, VISSER)
    feed.now = datetime(2026, 6, 3, 6, tzinfo=UTC)
    feed.read(VISSER)
    assert feed.read(VISSER)["Smit"] == "cancelled"


@pytest.mark.parametrize(("back", "status"), [(timedelta(0), "confirmed"), (MINUTE, "cancelled")])
def test_how_far_back_a_read_has_to_reach(back: timedelta, status: str) -> None:
    """One that begins where an event is listed no more says nothing about it."""
    feed = a_feed(days("Smit", "2026-06-01", "2026-06-05"), VISSER)
    reads_from = datetime(2026, 6, 3, 22, tzinfo=UTC) - back  # a day before midnight in Amsterdam
    feed.now = reads_from + HOUR
    feed.read(VISSER, reads_from=reads_from)
    assert feed.read(VISSER, reads_from=reads_from)["Smit"] == status


def test_event_beyond_what_was_read() -> None:
    """A read that does not reach as far as an event says nothing about it."""
    feed = a_feed(*FULL, VISSER)
    for _ in range(5):
        stands = feed.read(*FULL, reads_until=VISSER.starts)
        assert stands["Visser"] == "confirmed"
    feed.read(*FULL, reads_until=NOW + 20 * DAY + MINUTE)
    assert feed.read(*FULL, reads_until=NOW + 20 * DAY + MINUTE)["Visser"] == "cancelled"


def test_vanished_event_is_forgotten_in_the_end() -> None:
    """It is remembered for a week, so that it is the same should it come back."""
    feed = a_feed(*FULL, VISSER)
    feed.read(*FULL)
    feed.read(*FULL)
    gone_at = feed.now
    feed.read(BAKKER, after=gone_at + KEPT_AFTER_GONE - MINUTE - feed.now)
    assert feed.stand()["Visser"] == "cancelled"
    feed.read(BAKKER, after=MINUTE)
    assert "Visser" not in feed.stand()


# What moved


def moved_by_a_day(item: CalendarItem) -> CalendarItem:
    """Return an event that begins and ends a day later."""
    assert isinstance(item.starts, datetime)
    assert isinstance(item.ends, datetime)
    return replace(item, starts=item.starts + DAY, ends=item.ends + DAY)


def nameless(item: CalendarItem, **changes: Any) -> CalendarItem:
    """Return an event whose calendar has no UIDs."""
    return replace(item, uid=None, **changes)


@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    "after",
    [
        pytest.param(nameless(moved_by_a_day(JANSEN)), id="moved"),
        pytest.param(nameless(JANSEN, ends=NOW + 8 * DAY), id="longer"),
        pytest.param(nameless(JANSEN, starts=NOW + HOUR), id="earlier arrival"),
        pytest.param(nameless(JANSEN, summary="Jansen, 4 guests"), id="renamed"),
        pytest.param(
            nameless(JANSEN, starts=NOW + 40 * DAY, ends=NOW + 42 * DAY), id="another month"
        ),
        pytest.param(
            nameless(JANSEN, summary="J.", starts=NOW + 3 * DAY), id="renamed, and in part then"
        ),
    ],
)
def test_moved_event_without_a_uid(after: CalendarItem, trusted: bool) -> None:
    """What vanished and what came up in one read is one booking, and its guest keeps the PIN."""
    others = [nameless(DE_VRIES), nameless(BAKKER)]
    feed = a_feed(nameless(JANSEN), *others, trusted=trusted)
    before = feed.booking("Jansen")
    stands = feed.read(after, *others)
    assert stands == {after.summary: "confirmed"} | all_of("confirmed", *others)
    assert feed.booking(after.summary).booking_id == before.booking_id
    back = feed.read(nameless(JANSEN), *others)
    assert back == all_of("confirmed", JANSEN, *others)
    assert feed.booking("Jansen").booking_id == before.booking_id


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            nameless(JANSEN), nameless(VISSER, summary="De Jong"), id="other name, other time"
        ),
        pytest.param(
            nameless(JANSEN),
            nameless(JANSEN, summary="De Jong", starts=NOW + 4 * DAY, ends=NOW + 5 * DAY),
            id="turnover on the same day",
        ),
        pytest.param(
            nameless(JANSEN, summary=""),
            nameless(VISSER, summary=""),
            id="no name, other time",
        ),
        pytest.param(JANSEN, moved_by_a_day(nameless(JANSEN)), id="one had a UID"),
        pytest.param(
            JANSEN, moved_by_a_day(replace(JANSEN, uid="another")), id="the calendar says otherwise"
        ),
        pytest.param(
            nameless(JANSEN),
            moved_by_a_day(nameless(JANSEN, status="cancelled")),
            id="the new one is cancelled",
        ),
    ],
)
def test_another_booking(before: CalendarItem, after: CalendarItem) -> None:
    """One that is not the one that vanished gets no key of a stranger."""
    feed = a_feed(before, DE_VRIES)
    old = feed.booking(before.summary).booking_id
    feed.read(after, DE_VRIES)
    feed.read(after, DE_VRIES)
    by_id = {one.booking_id: one for one in feed.memory.bookings}
    assert by_id[old].status == "cancelled"
    assert len(by_id) == 3


def test_name_that_many_have() -> None:
    """A name that tells nobody apart makes no booking the same as one at another time."""
    first = nameless(JANSEN, summary="Reserved")
    second = nameless(DE_VRIES, summary="Reserved")
    third = nameless(VISSER, summary="Reserved")
    feed = a_feed(first, second)
    ids = [one.booking_id for one in feed.memory.bookings]
    feed.read(second, third)
    feed.read(second, third)
    assert [one.status.value for one in feed.memory.bookings] == [
        "cancelled",
        "confirmed",
        "confirmed",
    ]
    assert feed.memory.bookings[1].booking_id == ids[1]
    assert feed.memory.bookings[2].booking_id not in ids


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param([JANSEN, DE_VRIES], [VISSER], id="several had it"),
        pytest.param([JANSEN], [VISSER, BAKKER], id="several have it"),
    ],
)
def test_name_that_several_have_in_one_of_two_reads(
    before: list[CalendarItem], after: list[CalendarItem]
) -> None:
    """Nobody knows which of them is which."""
    feed = a_feed(*(nameless(item, summary="Reserved") for item in before))
    ids = {one.booking_id for one in feed.memory.bookings}
    feed.read(*(nameless(item, summary="Reserved") for item in after))
    new = {one.booking_id for one in feed.memory.bookings if one.starts_at > NOW + 8 * DAY}
    assert len(new) == len(after)
    assert not new & ids


def test_no_name_is_none_in_common() -> None:
    """Of two events that overlap one without a name, it is the one that is nearer."""
    feed = a_feed(nameless(JANSEN, summary=""))
    old = feed.booking("").booking_id
    far = nameless(JANSEN, summary="", starts=NOW + 3 * DAY)
    feed.read(far, nameless(JANSEN, summary="Smit", starts=NOW + 2 * DAY))
    assert feed.booking("Smit").booking_id == old


def test_two_that_move_at_once() -> None:
    """Each is paired with the one that is likelier: first by name, then by time."""
    jansen, de_vries = nameless(JANSEN), nameless(JANSEN, summary="De Vries")
    feed = a_feed(jansen, de_vries)
    ids = {one.label: one.booking_id for one in feed.memory.bookings}
    feed.read(moved_by_a_day(de_vries), moved_by_a_day(jansen))
    assert {one.label: one.booking_id for one in feed.memory.bookings} == ids
    feed.read(
        nameless(JANSEN, summary="X", starts=NOW + 2 * DAY + HOUR),
        nameless(JANSEN, summary="Y", starts=NOW + 2 * DAY + MINUTE),
    )
    assert {one.booking_id for one in feed.memory.bookings} == set(ids.values())


def test_one_that_becomes_two() -> None:
    """Only one of them is the old one; the other is new."""
    whole = nameless(JANSEN, summary="Jansen")
    first = nameless(JANSEN, ends=NOW + 2 * DAY)
    second = nameless(JANSEN, starts=NOW + 2 * DAY)
    feed = a_feed(whole)
    old = feed.booking("Jansen").booking_id
    feed.read(first, second)
    ids = [one.booking_id for one in feed.memory.bookings]
    assert ids.count(old) == 1
    assert len(set(ids)) == 2


def test_calendar_that_makes_up_uids() -> None:
    """Where an event is the same in name and times, another UID makes no other booking."""
    feed = a_feed(*FULL)
    ids = [one.booking_id for one in feed.memory.bookings]
    for number in range(5):
        feed.read(*(replace(item, uid=f"{item.uid} {number}") for item in FULL))
        assert [one.booking_id for one in feed.memory.bookings] == ids


def test_event_that_was_missing_before_is_not_what_comes_up() -> None:
    """Only what vanished in the same read is: later, the one is a cancellation."""
    feed = a_feed(nameless(JANSEN), DE_VRIES)
    old = feed.booking("Jansen").booking_id
    feed.read(DE_VRIES)
    feed.read(DE_VRIES, moved_by_a_day(nameless(JANSEN, summary="Smit")))
    assert feed.stand() == {"Jansen": "cancelled", "Smit": "confirmed", "De Vries": "confirmed"}
    assert feed.booking("Smit").booking_id != old


def test_id_that_is_taken() -> None:
    """An event that comes up where one has moved away from is another booking with another id."""
    here, there = nameless(JANSEN), moved_by_a_day(nameless(JANSEN))
    feed = a_feed(here)
    old = feed.booking("Jansen").booking_id
    feed.read(there)
    feed.read(here, there)
    ids = [one.booking_id for one in feed.memory.bookings]
    assert set(ids) == {old, BookingId(f"{old}-2")}
    third = moved_by_a_day(there)
    feed.read(third, there)
    feed.read(here, third, there)
    assert BookingId(f"{old}-3") in {one.booking_id for one in feed.memory.bookings}


# What cannot be read any more


@pytest.mark.parametrize("uid", ["uid", None])
def test_event_that_cannot_be_read_any_more(uid: str | None) -> None:
    """It is there still, so what was known of it stays."""
    jansen = replace(JANSEN, uid=uid)
    feed = a_feed(jansen, DE_VRIES)
    feed.read(DE_VRIES)
    for _ in range(5):
        assert feed.read(replace(jansen, ends=NOW), DE_VRIES)["Jansen"] == "confirmed"
    assert feed.read(DE_VRIES)["Jansen"] == "confirmed"
    assert feed.read(DE_VRIES)["Jansen"] == "cancelled"


def test_event_that_is_gone_and_cannot_be_read_now() -> None:
    """What was given up stays so until the calendar says what it is."""
    feed = a_feed(*FULL)
    feed.read(DE_VRIES, BAKKER)
    feed.read(DE_VRIES, BAKKER)
    before = feed.memory
    feed.read(replace(JANSEN, ends=NOW), DE_VRIES, BAKKER)
    assert feed.stand()["Jansen"] == "cancelled"
    assert feed.memory.events[0] == before.events[0]


def test_unreadable_event_stands_for_one() -> None:
    """One bad event of a name that many have does not keep all of them."""
    first, second = nameless(JANSEN, summary="R"), nameless(BAKKER, summary="R")
    bad = nameless(VISSER, summary="R", ends=NOW)
    feed = a_feed(first, second, bad, DE_VRIES)
    feed.read(bad, DE_VRIES)
    feed.read(bad, DE_VRIES)
    stands = [one.status.value for one in feed.memory.bookings if one.label == "R"]
    assert sorted(stands) == ["cancelled", "confirmed"]


@pytest.mark.parametrize(
    ("gone", "bad"),
    [
        pytest.param(
            nameless(JANSEN), an_item("Jansen", uid="another", ends=NOW), id="it has another UID"
        ),
        pytest.param(
            nameless(JANSEN, summary=""), nameless(VISSER, summary="", ends=NOW), id="no name"
        ),
    ],
)
def test_unreadable_event_of_somebody_else(gone: CalendarItem, bad: CalendarItem) -> None:
    """It does not stand for one that it cannot be."""
    feed = a_feed(gone, DE_VRIES)
    feed.read(bad, DE_VRIES)
    assert feed.read(bad, DE_VRIES)[gone.summary] == "cancelled"


# What is not known yet


def test_calendar_is_not_known_before_it_was_read() -> None:
    """As long as it is not read well, nothing is known of what is not in it."""
    feed = Feed()
    feed.fail(times=20)
    assert feed.memory == CalendarMemory()
    assert not feed.memory.settled


@pytest.mark.parametrize(
    ("reads", "settled"),
    [
        pytest.param([FULL], [False], id="one"),
        pytest.param([FULL, FULL], [False, True], id="two"),
        pytest.param([FULL, (), ()], [False, False, False], id="full, and then empty"),
        pytest.param([(), FULL], [False, True], id="empty, and then full"),
        pytest.param([(), (), (), ()], [False, False, False, True], id="empty"),
    ],
)
def test_calendar_is_known_after_several_reads(
    reads: Sequence[tuple[CalendarItem, ...]], settled: list[bool]
) -> None:
    """They have to agree as they would about something that is gone."""
    feed = Feed()
    found = []
    for items in reads:
        feed.read(*items, after=FIVE)
        found.append(feed.memory.settled)
    assert found == settled
    assert (feed.memory.settling is None) is feed.memory.settled


def test_burst_of_reads_makes_no_calendar_known() -> None:
    """Reads that are too close are one."""
    feed = Feed()
    for _ in range(10):
        feed.read(*FULL, after=READS_APART / 20)
    assert not feed.memory.settled


def test_local_calendar_is_known_at_once() -> None:
    """Its first answer is all there is."""
    feed = Feed(trusted=True)
    feed.read()
    assert feed.memory.settled


def test_known_calendar_stays_known() -> None:
    """What was known before a restart is known after it."""
    feed = a_feed(*FULL)
    feed.fail()
    feed.read()
    assert feed.memory.settled


# What is said in this home


def checked_in(feed: Feed, label: str = "Jansen") -> Booking:
    """Open for a booking, as the open action does."""
    booking = replace(
        feed.booking(label),
        status=BookingStatus.CHECKED_IN,
        opened_at=NOW,
        doors=frozenset({HUT}),
    )
    feed.memory = with_booking(feed.memory, booking)
    assert feed.booking(label) == booking
    return booking


def test_checked_in_stays_while_the_calendar_says_confirmed() -> None:
    """A calendar knows nothing of who has come, and its word on times still counts."""
    feed = a_feed(*FULL)
    booking = checked_in(feed)
    assert feed.read(*FULL)["Jansen"] == "checked_in"
    feed.read(replace(JANSEN, ends=NOW + 9 * DAY), DE_VRIES, BAKKER)
    assert feed.booking("Jansen") == replace(booking, ends_at=NOW + 9 * DAY)


@pytest.mark.parametrize(("said", "status"), [("tentative", "pending"), ("cancelled", "cancelled")])
def test_news_of_the_calendar_counts_more(said: str, status: str) -> None:
    """What it says after somebody here has spoken is the newer word."""
    feed = a_feed(*FULL)
    checked_in(feed)
    assert feed.read(replace(JANSEN, status=said), DE_VRIES)["Jansen"] == status
    assert feed.read(JANSEN, DE_VRIES)["Jansen"] == "confirmed"
    assert feed.booking("Jansen").opened_at == NOW


@pytest.mark.parametrize("status", list(BookingStatus))
@pytest.mark.parametrize("said", [None, "tentative"])
def test_word_of_this_home(status: BookingStatus, said: str | None) -> None:
    """It holds until the calendar has news."""
    item = replace(JANSEN, status=said)
    feed = a_feed(item, DE_VRIES)
    feed.memory = with_booking(feed.memory, replace(feed.booking("Jansen"), status=status))
    for _ in range(3):
        assert feed.read(item, DE_VRIES)["Jansen"] == status
    feed.memory = with_booking(feed.memory, replace(feed.booking("Jansen"), opened_at=NOW))
    assert feed.read(item, DE_VRIES)["Jansen"] == status


def test_vanished_booking_that_somebody_has_checked_in() -> None:
    """It goes like any other."""
    feed = a_feed(*FULL)
    checked_in(feed)
    assert feed.read(DE_VRIES, BAKKER)["Jansen"] == "checked_in"
    assert feed.read(DE_VRIES, BAKKER)["Jansen"] == "cancelled"


def test_booking_of_another_source() -> None:
    """What is not in the calendar is not remembered with it."""
    feed = a_feed(*FULL)
    assert with_booking(feed.memory, a_booking()) == feed.memory


def test_word_on_a_booking_that_has_vanished() -> None:
    """Somebody who says that it is confirmed all the same is believed until it is over."""
    feed = a_feed(*FULL, VISSER)
    feed.read(*FULL)
    feed.read(*FULL)
    again = replace(feed.booking("Visser"), status=BookingStatus.CONFIRMED)
    feed.memory = with_booking(feed.memory, again)
    while not again.is_over(feed.now):
        assert feed.read(*FULL, after=DAY)["Visser"] == "confirmed"
    assert "Visser" not in feed.read(*FULL, after=KEPT_AFTER_END)


# Several calendars


def two_feeds(pitch: Sequence[CalendarItem], cabin: Sequence[CalendarItem]) -> tuple[Feed, Feed]:
    """Return the calendars of two units."""
    return a_feed(*pitch), a_feed(*cabin, unit=a_unit(unit_id=CABIN))


def where(*feeds: Feed) -> list[str]:
    """Return the units in which Jansen is believed to be."""
    return sorted(
        one.unit_id
        for one in believed(feed.memory for feed in feeds)
        if one.label == "Jansen" and one.status is not BookingStatus.CANCELLED
    )


def test_booking_that_moves_to_another_unit() -> None:
    """From one read on it is there and not here: no second key, and no wait."""
    pitch, cabin = two_feeds(FULL, (VISSER,))
    cabin.read(VISSER, JANSEN)
    pitch.read(DE_VRIES, BAKKER)
    assert where(pitch, cabin) == [CABIN]
    assert pitch.booking("Jansen").booking_id == cabin.booking("Jansen").booking_id
    pitch.read(DE_VRIES, BAKKER)
    assert where(pitch, cabin) == [CABIN]


def test_all_bookings_move_to_another_unit() -> None:
    """A calendar that is suspect, being empty, loses those that came up elsewhere, and no other."""
    pitch, cabin = two_feeds(FULL, (VISSER,))
    cabin.read(VISSER, JANSEN, DE_VRIES)
    assert pitch.read() == all_of("confirmed", *FULL)
    assert where(pitch, cabin) == [CABIN]
    left = [one for one in believed([pitch.memory, cabin.memory]) if one.unit_id == PITCH]
    assert [one.label for one in left] == ["Bakker"]
    pitch.read(*FULL)
    assert where(pitch, cabin) == [CABIN, PITCH]


def test_booking_that_moves_back_later() -> None:
    """The same holds the other way round."""
    pitch, cabin = two_feeds(FULL, (VISSER,))
    for _ in range(2):
        cabin.read(VISSER, JANSEN)
        pitch.read(DE_VRIES, BAKKER)
    cabin.read(VISSER)
    pitch.read(*FULL)
    assert where(pitch, cabin) == [PITCH]


def test_booking_that_is_in_two_calendars() -> None:
    """Both units are booked, whatever a bad day does to one of the calendars."""
    pitch, cabin = two_feeds(FULL, (VISSER, JANSEN))
    assert where(pitch, cabin) == [CABIN, PITCH]
    cabin.read(VISSER)
    assert where(pitch, cabin) == [CABIN, PITCH]
    pitch.read(DE_VRIES, BAKKER)
    pitch.read(*FULL)
    assert where(pitch, cabin) == [CABIN, PITCH]
    cabin.read(VISSER, JANSEN)
    assert where(pitch, cabin) == [CABIN, PITCH]


def test_booking_that_comes_up_in_two_calendars_at_once() -> None:
    """Where one of them loses it right after, it has not moved to the other."""
    pitch, cabin = Feed(), Feed(unit=a_unit(unit_id=CABIN))
    pitch.read(JANSEN, DE_VRIES)
    cabin.read(JANSEN, VISSER)
    cabin.read(VISSER)
    assert where(pitch, cabin) == [CABIN, PITCH]


def test_booking_that_is_cancelled_elsewhere() -> None:
    """Where it is cancelled it has not moved to."""
    pitch, cabin = two_feeds(FULL, (VISSER,))
    cabin.read(VISSER, replace(JANSEN, status="cancelled"))
    pitch.read(DE_VRIES, BAKKER)
    assert where(pitch, cabin) == [PITCH]


# In any order

NAMES = ("Jansen", "De Vries", "Bakker", "Visser")
EVENTS = st.lists(
    st.builds(
        an_item,
        st.sampled_from(NAMES),
        starts=st.integers(0, 5).map(lambda n: NOW + n * DAY),
        ends=st.integers(4, 8).map(lambda n: NOW + n * DAY),
        uid=st.sampled_from([None, "a", "b", "c"]),
        status=st.sampled_from([None, "tentative", "cancelled"]),
    ),
    max_size=6,
)
READS = st.lists(
    st.tuples(st.none() | EVENTS, st.timedeltas(timedelta(0), 2 * HOUR), st.booleans()),
    max_size=14,
)


def replayed(reads: list[tuple[list[CalendarItem] | None, timedelta, bool]]) -> Feed:
    """Return a calendar that was read like that."""
    feed = Feed()
    for items, gap, trusted in reads:
        feed.trusted = trusted
        if items is None:
            feed.fail(after=gap)
        else:
            feed.read(*items, after=gap)
    return feed


@given(reads=READS, failures=st.lists(st.timedeltas(timedelta(0), 100 * DAY), max_size=20))
@settings(deadline=None)
def test_no_failures_take_anything(reads: Any, failures: list[timedelta]) -> None:
    """However often a read fails, all that was believed is."""
    feed = replayed(reads)
    before = feed.memory
    for gap in failures:
        feed.fail(after=gap)
        assert feed.memory == before


@given(reads=READS)
@settings(deadline=None, max_examples=200)
def test_each_event_and_each_booking_is_remembered_once(reads: Any) -> None:
    """Whatever a calendar shows, no two bookings are one."""
    feed = replayed(reads)
    identities = [event.identity for event in feed.memory.events]
    ids = [event.booking.booking_id for event in feed.memory.events]
    starts = [event.booking.starts_at for event in feed.memory.events]
    assert len(set(identities)) == len(identities)
    assert len(set(ids)) == len(ids)
    assert starts == sorted(starts)


@given(reads=READS)
@settings(deadline=None, max_examples=200)
def test_memory_is_the_same_after_a_restart(reads: Any) -> None:
    """What is written down is read as it was."""
    memory = replayed(reads).memory
    text = json.dumps(memory_to_json(memory))
    assert memory_from_json(json.loads(text)) == memory


SUBSETS = st.lists(
    st.tuples(
        st.none() | st.sets(st.sampled_from([*FULL, VISSER])),
        st.sampled_from([READS_APART / 3, MINUTE, FIVE, EMPTY_FOR, HOUR]),
    ),
    max_size=25,
)


@given(steps=SUBSETS)
@settings(deadline=None, max_examples=300)
def test_no_booking_is_dropped_lightly(steps: Any) -> None:
    """A booking is given up after two reads without it, three where nothing is left of several.

    That is looked at from outside: whatever the memory counts, these are the reads there were.
    """
    feed = a_feed(*FULL, VISSER)
    history: list[tuple[datetime, frozenset[str]]] = []
    before = feed.stand()
    for items, gap in steps:
        if items is None:
            assert feed.fail(after=gap) == before
            continue
        after = feed.read(*items, after=gap)
        history.append((feed.now, frozenset(item.summary for item in items)))
        dropped = [
            name
            for name, status in before.items()
            if status != "cancelled" and after.get(name) != status
        ]
        was_there = [name for name, status in before.items() if status != "cancelled"]
        for name in dropped:
            without = reads_without(name, history)
            assert len(spread(without)) >= MISSES_UNTIL_GONE
            if len(dropped) == len(was_there) >= SUDDENLY:
                assert len(spread(without)) >= READS_UNTIL_EMPTY
                assert without[-1] - without[0] >= EMPTY_FOR
        assert all(after[item.summary] == "confirmed" for item in items)
        before = after


def reads_without(name: str, history: list[tuple[datetime, frozenset[str]]]) -> list[datetime]:
    """Return the last reads in a row that did not have an event."""
    found: list[datetime] = []
    for at, names in reversed(history):
        if name in names:
            break
        found.insert(0, at)
    return found


def spread(times: list[datetime]) -> list[datetime]:
    """Return those reads that are far enough apart."""
    found: list[datetime] = []
    for at in times:
        if not found or at - found[-1] >= READS_APART:
            found.append(at)
    return found


# Written down


def test_written_memory_names_nobody_but_by_label() -> None:
    """A UID may be an address; it is not in the file."""
    feed = a_feed(an_item("Jansen", uid="jansen@example.com"))
    assert "example.com" not in json.dumps(memory_to_json(feed.memory))


def leaves(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each value in a structure."""
    found = [path]
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        if isinstance(value, dict | list):
            found += leaves(value, (*path, key))
        else:
            found.append((*path, key))
    return found


def a_full_memory() -> CalendarMemory:
    """Return a memory in which there is something of everything."""
    feed = a_feed(*FULL)
    checked_in(feed)
    feed.read()
    return replace(feed.memory, settling=feed.memory.emptiness, settled=False)


WRITTEN = memory_to_json(a_full_memory())


@pytest.mark.parametrize("path", leaves(WRITTEN), ids=str)
@pytest.mark.parametrize("value", [7.5, [[]], -1, "\ud800", ""], ids=repr)
def test_damaged_memory(path: tuple[Any, ...], value: object) -> None:
    """Whatever is damaged, it is said, and nothing is made up."""
    data = json.loads(json.dumps(WRITTEN))
    holder = {"": data}
    steps: tuple[Any, ...] = ("", *path)
    place: Any = holder
    for step in steps[:-1]:
        place = place[step]
    place[steps[-1]] = value
    is_name = steps[-1] in {"identity", "booking_id", "unit_id"} or steps[-2:] == ("doors", 0)
    if isinstance(value, str) and (steps[-1] == "label" or (is_name and value)):
        return
    with pytest.raises(ValueError, match=r"not |is not|Invalid"):
        memory_from_json(holder[""])


@pytest.mark.parametrize("path", [path for path in leaves(WRITTEN) if path], ids=str)
def test_memory_with_a_hole(path: tuple[Any, ...]) -> None:
    """A memory that has not all of it is none."""
    data = json.loads(json.dumps(WRITTEN))
    place = data
    for step in path[:-1]:
        place = place[step]
    if isinstance(place, list):
        return
    del place[path[-1]]
    with pytest.raises(ValueError, match="not "):
        memory_from_json(data)


@pytest.mark.parametrize("data", [None, [], {}, "memory", 7, {"events": {}}])
def test_memory_that_is_none(data: object) -> None:
    """It is said."""
    with pytest.raises(ValueError, match="not the memory"):
        memory_from_json(data)


@pytest.mark.parametrize("field_name", ["identity", "booking_id"])
def test_memory_that_has_something_twice(field_name: str) -> None:
    """Nobody knows which of the two is right."""
    data = json.loads(json.dumps(WRITTEN))
    first, second = data["events"][:2]
    if field_name == "identity":
        second["identity"] = first["identity"]
    else:
        second["booking"]["booking_id"] = first["booking"]["booking_id"]
    with pytest.raises(ValueError, match="twice"):
        memory_from_json(data)


@pytest.mark.parametrize("text", ["2026-06-01T12:00:00", "soon", "0001-01-01T00:00:00+14:00"])
def test_memory_with_a_time_that_is_none(text: str) -> None:
    """A time without a zone is none, nor is one before all times."""
    data = json.loads(json.dumps(WRITTEN))
    data["events"][0]["first_seen_at"] = text
    with pytest.raises(ValueError, match=r"not |Invalid"):
        memory_from_json(data)


def test_booking_is_written_down() -> None:
    """So are those that no calendar has."""
    booking = a_booking(doors=frozenset({HUT}), opened_at=NOW, status=BookingStatus.CHECKED_IN)
    assert booking_from_json(json.loads(json.dumps(booking_to_json(booking)))) == booking
    assert booking_from_json(booking_to_json(a_booking())) == a_booking()


def test_booking_that_cannot_be_is_not_read() -> None:
    """One that ends before it starts is damaged."""
    data = booking_to_json(a_booking()) | {"ends_at": NOW.isoformat()}
    with pytest.raises(ValueError, match="not a booking"):
        booking_from_json(data)


def test_rules_apply_to_what_is_read_next() -> None:
    """A name that is ignored from now on goes like an event that has vanished."""
    feed = a_feed(*FULL)
    feed.unit = a_unit(rules=BookingRules(ignore_patterns=("Jansen",)))
    assert feed.read(*FULL)["Jansen"] == "confirmed"
    assert feed.read(*FULL)["Jansen"] == "cancelled"
    assert READ_BACK == KEPT_AFTER_END
