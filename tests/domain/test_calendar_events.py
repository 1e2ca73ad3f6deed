"""How events are read as bookings: as tables, over clock changes, and whatever is in them."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.bookings import BookingRules, BookingSource, BookingStatus
from custom_components.salto_ks.domain.calendar_events import (
    CalendarItem,
    Ignored,
    Reading,
    SeenEvent,
    Unreadable,
    read_item,
    read_items,
)
from custom_components.salto_ks.domain.ids import UnitId

from .stays import AMSTERDAM, CABIN, DAY, HOUR, NOW, PITCH, a_unit, an_item, days

HALL = a_unit(rules=BookingRules(check_in=time(8), check_out=time(22), ends_next_day=False))
MICROSECOND = timedelta(microseconds=1)


def seen(item: CalendarItem, **unit: Any) -> SeenEvent:
    """Read an event that is a booking."""
    event = read_item(item, a_unit(**unit), AMSTERDAM)
    assert isinstance(event, SeenEvent)
    return event


def ends_of(item: CalendarItem, **unit: Any) -> tuple[str, str]:
    """Return when the booking of an event is, in UTC."""
    booking = seen(item, **unit).booking
    return booking.starts_at.isoformat()[:16], booking.ends_at.isoformat()[:16]


def read_all(*items: CalendarItem, unit_id: UnitId = PITCH) -> Reading:
    """Read a calendar."""
    return read_items(items, a_unit(unit_id=unit_id), AMSTERDAM)


# Times


def test_event_with_times() -> None:
    """Its booking is exactly then, in whatever zone the calendar gave it."""
    item = an_item(
        starts=datetime(2026, 6, 2, 14, tzinfo=AMSTERDAM),
        ends=datetime(2026, 6, 5, 8, tzinfo=timezone(timedelta(hours=-2))),
    )
    booking = seen(item).booking
    assert ends_of(item) == ("2026-06-02T12:00", "2026-06-05T10:00")
    assert (booking.unit_id, booking.source) == (PITCH, BookingSource.CALENDAR)
    assert (booking.status, booking.label) == ("confirmed", "Family Jansen")
    assert (booking.doors, booking.opened_at) == (None, None)


@pytest.mark.parametrize(
    ("first", "last", "ends"),
    [
        pytest.param("2026-06-02", "2026-06-05", ("02T13:00", "05T08:00"), id="summer"),
        pytest.param("2026-01-02", "2026-01-03", ("02T14:00", "03T09:00"), id="winter"),
        pytest.param("2026-03-28", "2026-03-29", ("28T14:00", "29T08:00"), id="into summer"),
        pytest.param("2026-10-24", "2026-10-25", ("24T13:00", "25T09:00"), id="into winter"),
    ],
)
def test_whole_days(first: str, last: str, ends: tuple[str, str]) -> None:
    """They begin at check-in and end at check-out, on the wall clock of the unit."""
    assert tuple(end[8:] for end in ends_of(days("Jansen", first, last))) == ends


@pytest.mark.parametrize(
    ("first", "last"), [("2000-01-01", "2000-01-03"), ("2199-12-29", "2199-12-31")]
)
def test_first_and_last_year(first: str, last: str) -> None:
    """Both are in range."""
    assert seen(days("Jansen", first, last)).booking.label == "Jansen"


@pytest.mark.parametrize(
    ("first", "last", "ends"),
    [
        pytest.param("2026-03-29", "2026-03-30", ("29T00:30", "30T00:30"), id="missing check-in"),
        pytest.param("2026-03-28", "2026-03-29", ("28T01:30", "29T01:30"), id="missing check-out"),
        pytest.param("2026-10-25", "2026-10-26", ("25T00:30", "26T01:30"), id="check-in twice"),
        pytest.param("2026-10-24", "2026-10-25", ("24T00:30", "25T01:30"), id="check-out twice"),
    ],
)
def test_check_in_as_the_clock_is_changed(first: str, last: str, ends: tuple[str, str]) -> None:
    """A time that is missing, or comes twice, is the one that is better for the guest."""
    rules = BookingRules(check_in=time(2, 30), check_out=time(2, 30))
    item = days("Jansen", first, last)
    assert tuple(end[8:] for end in ends_of(item, rules=rules)) == ends


def test_hall_by_the_day() -> None:
    """Where nobody stays overnight, a day ends on that day."""
    event = read_item(days("Judo", "2026-06-02", "2026-06-03"), HALL, AMSTERDAM)
    assert isinstance(event, SeenEvent)
    assert event.booking.starts_at == datetime(2026, 6, 2, 6, tzinfo=UTC)
    assert event.booking.ends_at == datetime(2026, 6, 2, 20, tzinfo=UTC)


def test_same_day_turnover() -> None:
    """One leaves in the morning and another comes in the afternoon: nobody is in between."""
    leaving = seen(days("Jansen", "2026-06-02", "2026-06-05")).booking
    coming = seen(days("De Vries", "2026-06-05", "2026-06-07")).booking
    assert coming.starts_at - leaving.ends_at == 5 * HOUR
    assert not leaving.overlaps(coming)


def test_listing_of_an_event_with_times() -> None:
    """It is in every read that overlaps it."""
    event = seen(an_item())
    assert (event.listed_from, event.listed_until) == (NOW + DAY, NOW + 4 * DAY)


def test_listing_of_whole_days() -> None:
    """A read may have another idea of midnight than the unit, and after it the event is not listed.

    So an event counts as listed for less than its days: a stay goes on until check-out, hours
    after the calendar has put the event among those that are past.
    """
    event = seen(days("Jansen", "2026-06-02", "2026-06-05"))
    midnight = datetime(2026, 6, 1, 22, tzinfo=UTC)
    assert event.listed_from == midnight + DAY
    assert event.listed_until == midnight + 2 * DAY
    assert event.booking.ends_at > event.listed_until


# What cannot be read


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"ends": None}, "event_no_end", id="no end"),
        pytest.param({"starts": date(2026, 6, 2), "ends": None}, "event_no_end", id="days, no end"),
        pytest.param({"ends": NOW + DAY}, "event_no_length", id="no length"),
        pytest.param(
            {
                "starts": NOW + DAY,
                "ends": (NOW + DAY).astimezone(AMSTERDAM),
            },
            "event_no_length",
            id="no length, in two zones",
        ),
        pytest.param({"ends": NOW}, "event_ends_before_start", id="ends before it starts"),
        pytest.param(
            {"starts": date(2026, 6, 2), "ends": date(2026, 6, 2)}, "event_no_length", id="no day"
        ),
        pytest.param(
            {"starts": date(2026, 6, 2), "ends": date(2026, 6, 1)},
            "event_ends_before_start",
            id="days end before they start",
        ),
        pytest.param({"ends": date(2026, 6, 9)}, "event_date_and_time", id="until a day"),
        pytest.param({"starts": date(2026, 6, 1)}, "event_date_and_time", id="from a day"),
        pytest.param(
            {"starts": datetime(2026, 6, 2, 12)},  # noqa: DTZ001 - a naive time is what this is about
            "event_time_without_zone",
            id="naive start",
        ),
        pytest.param(
            {"ends": datetime(2026, 6, 9, 12)},  # noqa: DTZ001 - a naive time is what this is about
            "event_time_without_zone",
            id="naive end",
        ),
        pytest.param({"ends": NOW + 1000 * DAY}, "event_too_long", id="years"),
        pytest.param(
            {"starts": date(2026, 1, 1), "ends": date(2029, 1, 1)}, "event_too_long", id="day years"
        ),
        pytest.param({"starts": date.min, "ends": date.max}, "event_out_of_range", id="for ever"),
        pytest.param({"starts": date.min}, "event_out_of_range", id="year 1"),
        pytest.param({"ends": date.max}, "event_out_of_range", id="year 9999"),
        pytest.param(
            {"starts": datetime.min.replace(tzinfo=timezone(14 * HOUR))},
            "event_out_of_range",
            id="the first instant, and before",
        ),
        pytest.param(
            {"ends": datetime.max.replace(tzinfo=timezone(-14 * HOUR))},
            "event_out_of_range",
            id="the last instant, and after",
        ),
        pytest.param(
            {
                "starts": datetime(2000, 1, 1, tzinfo=AMSTERDAM),
                "ends": datetime(2000, 1, 2, tzinfo=AMSTERDAM),
            },
            "event_out_of_range",
            id="in range on the clock only",
        ),
    ],
)
def test_event_that_cannot_be_read(changes: dict[str, Any], reason: str) -> None:
    """It is told with a reason, and costs none of the others."""
    item = an_item(**changes)
    event = read_item(item, a_unit(), AMSTERDAM)
    assert isinstance(event, Unreadable)
    assert (event.reason, event.label) == (reason, "Family Jansen")
    reading = read_all(item, an_item("De Vries"))
    assert reading.unreadable == (event,)
    assert [one.booking.label for one in reading.events] == ["De Vries"]


ANY_DAY = st.dates() | st.datetimes(timezones=st.none() | st.timezones() | st.just(UTC))


@given(
    starts=ANY_DAY,
    ends=ANY_DAY | st.none(),
    uid=st.none() | st.text(),
    recurrence_id=st.none() | st.text(),
    status=st.none() | st.text(),
    summary=st.text(st.characters()),
    zone=st.timezones(),
)
@settings(deadline=None, max_examples=300)
def test_anything_is_read(zone: ZoneInfo, **event: Any) -> None:
    """Whatever is in a calendar, each event is a booking, no booking, or told with a reason."""
    reading = read_items([CalendarItem(**event)], a_unit(), zone)
    assert len(reading.events) + len(reading.unreadable) + reading.ignored == 1


@given(
    first=st.dates(date(2001, 1, 1), date(2190, 1, 1)),
    nights=st.integers(1, 300),
    check_in=st.times(),
    check_out=st.times(),
    zone=st.timezones(),
)
@settings(deadline=None, max_examples=300)
def test_nights_are_as_long_as_they_are(
    first: date, nights: int, check_in: time, check_out: time, zone: ZoneInfo
) -> None:
    """A stay lasts what the wall clock says, give or take a change of the clock."""
    rules = BookingRules(check_in=check_in, check_out=check_out)
    item = an_item(starts=first, ends=first + nights * DAY)
    event = read_item(item, a_unit(rules=rules), zone)
    last = first + nights * DAY
    shown = datetime.combine(last, check_out, UTC) - datetime.combine(first, check_in, UTC)
    if isinstance(event, Unreadable):
        assert shown <= 3 * HOUR
        return
    assert isinstance(event, SeenEvent)
    length = event.booking.ends_at - event.booking.starts_at
    assert abs(length - shown) <= 25 * HOUR  # islands have skipped a day


# Status and rules


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (None, "confirmed"),
        ("", "confirmed"),
        ("confirmed", "confirmed"),
        (" CONFIRMED ", "confirmed"),
        ("tentative", "pending"),
        ("Tentative", "pending"),
        ("cancelled", "cancelled"),
        ("needs-action", "confirmed"),
    ],
)
def test_status(said: str | None, status: str) -> None:
    """The calendar's own word counts; a word that nobody knows says nothing."""
    assert seen(an_item(status=said)).booking.status == status


def test_status_where_the_calendar_says_nothing() -> None:
    """What an event without a status is, is for the unit to say."""
    rules = BookingRules(status_without_status=BookingStatus.PENDING)
    assert seen(an_item(), rules=rules).booking.status == "pending"
    assert seen(an_item(status="confirmed"), rules=rules).booking.status == "confirmed"


@pytest.mark.parametrize(
    ("said", "status"),
    [(None, "pending"), ("confirmed", "pending"), ("cancelled", "cancelled")],
)
def test_name_that_is_not_sure(said: str | None, status: str) -> None:
    """A name may make a booking pending, but not bring back one that is cancelled."""
    rules = BookingRules(pending_patterns=("option",))
    assert seen(an_item("Option Jansen", status=said), rules=rules).booking.status == status


def test_name_that_is_ignored() -> None:
    """What is no booking is counted, even if it makes no sense otherwise."""
    unit = a_unit(rules=BookingRules(ignore_patterns=("Blocked",)))
    assert read_item(an_item("Blocked"), unit, AMSTERDAM) == Ignored()
    items = [an_item("Blocked by owner", ends=None), an_item("Family Jansen")]
    reading = read_items(items, unit, AMSTERDAM)
    assert (len(reading.events), reading.unreadable, reading.ignored) == (1, (), 1)


# Identity


@pytest.mark.parametrize(
    "changes",
    [
        {"starts": NOW, "ends": NOW + DAY},
        {"summary": "Jansen, late"},
        {"status": "cancelled"},
        {"uid": " Family Jansen "},
        {"recurrence_id": " "},
    ],
)
def test_event_with_a_uid(changes: dict[str, Any]) -> None:
    """It is the same event whatever else is changed, and in another unit's calendar too."""
    before, after = seen(an_item()), seen(replace(an_item(), **changes), unit_id=CABIN)
    assert after.identity == before.identity
    assert after.booking.booking_id == before.booking.booking_id
    assert before.has_uid


def test_recurring_event() -> None:
    """Each of its occurrences is a booking of its own."""
    events = [seen(an_item(recurrence_id=name)) for name in (None, "20260602", "20260609")]
    assert len({event.identity for event in events}) == 3


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"status": "tentative"}, True),
        ({"uid": "  "}, True),
        ({"starts": (NOW + DAY).astimezone(AMSTERDAM)}, True),
        ({"starts": NOW + DAY + MICROSECOND}, False),
        ({"ends": NOW + 5 * DAY}, False),
        ({"summary": "Family Jansen 2"}, False),
    ],
)
def test_event_without_a_uid(changes: dict[str, Any], is_same: bool) -> None:
    """It is known by its name and times, and by nothing else."""
    item = an_item(uid=None)
    before, after = seen(item), seen(replace(item, **changes))
    assert (after.identity == before.identity) is is_same
    assert not after.has_uid
    assert seen(item, unit_id=CABIN).identity != before.identity


def test_whole_days_without_a_uid() -> None:
    """Another check-in time of the unit makes no other event."""
    item = days("Jansen", "2026-06-02", "2026-06-05", uid=None)
    other = BookingRules(check_in=time(16))
    assert seen(item).identity == seen(item, rules=other).identity


def test_identity_tells_nothing() -> None:
    """Nobody reads from a booking's id who comes when."""
    for item in (an_item("Jansen 2026", uid=None), an_item(uid="jansen@example.com")):
        event = seen(item)
        for text in (event.identity, event.booking.booking_id):
            assert not any(part in text.lower() for part in ("jansen", "2026", "@"))
        assert "ansen" not in repr(event)
        assert "ansen" not in repr(item)


def test_equal_events_without_a_uid() -> None:
    """Two bookings of one name at one time are two, and stay so from read to read."""
    item = an_item("Reserved", uid=None)
    reading = read_all(item, replace(item, status="cancelled"), item)
    assert len({event.identity for event in reading.events}) == 3
    assert len({event.booking.booking_id for event in reading.events}) == 3
    one_less = read_all(item, item)
    assert {event.identity for event in one_less.events} < {
        event.identity for event in reading.events
    }
    assert {event.booking.status for event in one_less.events} == {"confirmed"}
    assert read_all(item).events[0].identity in {event.identity for event in one_less.events}


def test_event_that_is_listed_twice() -> None:
    """With one UID and the same times it is one, and as firm as it is anywhere."""
    reading = read_all(an_item(status="cancelled"), an_item(), an_item(status="tentative"))
    assert [event.booking.status for event in reading.events] == ["confirmed"]
    assert reading.events[0].identity == seen(an_item()).identity


def test_occurrences_without_recurrence_ids() -> None:
    """Where a calendar leaves them out, occurrences are told apart by their starts."""
    first = an_item()
    second = replace(first, starts=NOW + 8 * DAY, ends=NOW + 9 * DAY)
    longer = replace(second, ends=NOW + 10 * DAY)
    reading = read_all(first, second, longer)
    assert len({event.identity for event in reading.events}) == 3
    other_way = read_all(longer, second, first)
    assert other_way.events == reading.events
    later = read_all(second, replace(second, starts=NOW + 15 * DAY, ends=NOW + 16 * DAY))
    assert later.events[0].identity in {event.identity for event in reading.events}


@given(
    items=st.lists(
        st.builds(
            CalendarItem,
            summary=st.sampled_from(["Reserved", "Jansen", ""]),
            starts=st.integers(0, 3).map(lambda n: NOW + n * DAY),
            ends=st.integers(1, 4).map(lambda n: NOW + n * DAY),
            uid=st.sampled_from([None, "a", "b"]),
            recurrence_id=st.sampled_from([None, "1"]),
            status=st.sampled_from([None, "cancelled"]),
        ),
        max_size=12,
    ),
    order=st.randoms(),
)
@settings(deadline=None, max_examples=200)
def test_no_two_bookings_are_one(items: list[CalendarItem], order: Any) -> None:
    """Whatever a calendar lists, and in whatever order, each booking has an id of its own."""
    reading = read_all(*items)
    assert len({event.identity for event in reading.events}) == len(reading.events)
    assert len({event.booking.booking_id for event in reading.events}) == len(reading.events)
    starts = [event.booking.starts_at for event in reading.events]
    assert starts == sorted(starts)
    order.shuffle(items)
    assert read_all(*items).events == reading.events
