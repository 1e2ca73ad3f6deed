"""How many seats will be needed: as tables, and against a count of every single minute."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, strategies as st
import pytest

from custom_components.salto_ks.domain.bookings import KeyTemplate
from custom_components.salto_ks.domain.desired_keys import DesiredKey, desired_keys
from custom_components.salto_ks.domain.ids import BookingId, UnitId
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus
from custom_components.salto_ks.domain.seats import (
    SeatForecast,
    SeatHold,
    seat_forecast,
    seat_holds,
    seats_of_others,
)
from custom_components.salto_ks.domain.windows import AccessWindow

from .stays import (
    AMSTERDAM,
    CABIN,
    DAY,
    GATE,
    HOUR,
    MINUTE,
    NOW,
    PITCH,
    STAY,
    a_booking,
    a_record,
    a_unit,
)

BEGINS = NOW + DAY
ENDS = NOW + 4 * DAY
LEAD = NOW + 18 * HOUR


def a_wish(**changes: Any) -> DesiredKey:
    """Return the key that a stay of three days from tomorrow on wants, changed as wished."""
    wish: dict[str, Any] = {
        "booking_id": STAY,
        "unit_id": PITCH,
        "window": AccessWindow(BEGINS, ENDS),
        "doors": frozenset({GATE}),
    }
    return DesiredKey(**(wish | changes))


def holds(
    desired: Iterable[DesiredKey] = (), recorded: Iterable[KeyRecord] = (), now: datetime = NOW
) -> list[SeatHold]:
    """Return when seats are taken, in order."""
    return sorted(seat_holds(desired, recorded, now))


def forecast(*spans: tuple[int, int], others: int = 0, total: int = 2) -> SeatForecast:
    """Return what spans of hours from now on come to."""
    taken = [SeatHold(NOW + start * HOUR, NOW + end * HOUR) for start, end in spans]
    return seat_forecast(others=others, total=total, holds=taken, now=NOW)


# When a key takes a seat


@pytest.mark.parametrize(
    ("wish", "starts_at"),
    [
        pytest.param({}, NOW, id="as soon as the booking is confirmed"),
        pytest.param({"issue_from": LEAD}, LEAD, id="from when it is issued"),
        pytest.param({"issue_from": NOW - HOUR}, NOW, id="it is due already"),
        pytest.param({"seat_from": LEAD}, LEAD, id="issued at once, and has its seat later"),
    ],
)
def test_wish_without_a_key(wish: dict[str, Any], starts_at: datetime) -> None:
    """A key that is to be issued takes a seat from when it needs one until its window ends."""
    assert holds([a_wish(**wish)]) == [(starts_at, ENDS)]


@pytest.mark.parametrize("status", [KeyStatus.SETTING, KeyStatus.SET, KeyStatus.CHANGING])
def test_key_that_is_there(status: KeyStatus) -> None:
    """A key that is there, or on its way, has its seat now; the booking says how long."""
    longer = a_wish(window=AccessWindow(BEGINS, ENDS + DAY), issue_from=LEAD)
    assert holds([longer], [a_record(status=status)]) == [(NOW, ENDS + DAY)]


@pytest.mark.parametrize("status", [KeyStatus.REMOVING, KeyStatus.REVOKED, KeyStatus.FAILED])
def test_key_that_has_ended(status: KeyStatus) -> None:
    """A key that has ended takes none; what the booking wants is issued anew."""
    ended = a_record(status=status)
    assert holds([], [ended]) == []
    assert holds([a_wish(issue_from=LEAD)], [ended]) == [(LEAD, ENDS)]


@pytest.mark.parametrize("status", [KeyStatus.REMOVING, KeyStatus.REVOKED])
def test_key_that_was_taken_back_by_hand(status: KeyStatus) -> None:
    """What a person has revoked is not issued again, so it takes no seat."""
    assert holds([a_wish()], [a_record(status=status, by_hand=True)]) == []


@pytest.mark.parametrize(
    ("status", "seat_from", "starts_at"),
    [
        pytest.param(KeyStatus.SET, LEAD, LEAD, id="it will be suspended in a moment"),
        pytest.param(KeyStatus.SET, NOW + HOUR, NOW, id="not worth suspending"),
        pytest.param(KeyStatus.SUSPENDED, LEAD, LEAD, id="it waits for its seat"),
        pytest.param(KeyStatus.SUSPENDED, NOW + 30 * MINUTE, NOW + 30 * MINUTE, id="for minutes"),
        pytest.param(KeyStatus.SUSPENDED, NOW - HOUR, NOW, id="its seat is due"),
        pytest.param(KeyStatus.SUSPENDED, None, NOW, id="the booking is confirmed again"),
    ],
)
def test_key_that_waits_for_its_seat(
    status: KeyStatus, seat_from: datetime | None, starts_at: datetime
) -> None:
    """A key that has no seat before its lead time takes one from then on."""
    assert holds([a_wish(seat_from=seat_from)], [a_record(status=status)]) == [(starts_at, ENDS)]


def test_key_that_was_suspended_by_hand() -> None:
    """What a person has suspended is not resumed."""
    suspended = a_record(status=KeyStatus.SUSPENDED, by_hand=True)
    assert holds([a_wish()], [suspended]) == []


def test_key_that_nothing_is_known_to_want() -> None:
    """A key by hand, or of a booking that is not known, takes a seat until it is over."""
    loose = a_record(1, booking_id=None, unit_id=None)
    unknown = a_record(2, booking_id=BookingId("other"), window=AccessWindow(BEGINS, ENDS + DAY))
    assert holds([], [loose, unknown]) == [(NOW, ENDS), (NOW, ENDS + DAY)]
    assert holds([], [a_record(status=KeyStatus.SUSPENDED)]) == []
    assert holds([], [loose], ENDS) == []


def test_booking_of_two_units() -> None:
    """A booking in two units has a key in each."""
    wishes = [a_wish(), a_wish(unit_id=CABIN, issue_from=LEAD)]
    assert holds(wishes, [a_record()]) == [(NOW, ENDS), (LEAD, ENDS)]
    assert holds(wishes, [a_record(1), a_record(2, unit_id=CABIN)]) == [(NOW, ENDS)] * 2


def test_booking_that_has_moved() -> None:
    """A booking that moves to another unit takes its key along, and no second seat."""
    assert holds([a_wish(unit_id=CABIN)], [a_record()]) == [(NOW, ENDS)]


def test_second_key_of_a_booking() -> None:
    """A second key has a seat as well, as long as it is there."""
    assert holds([a_wish()], [a_record(1), a_record(2)]) == [(NOW, ENDS)] * 2


def test_seats_of_others() -> None:
    """What is taken beside our keys is taken by others, and never less than none."""
    records = [a_record(number, status=status) for number, status in enumerate(KeyStatus, 1)]
    assert seats_of_others(10, records) == 8
    assert seats_of_others(1, records) == 0


# What it comes to


@pytest.mark.parametrize(
    ("spans", "others", "peak", "peak_at", "runs_out_at"),
    [
        pytest.param([], 1, 1, 0, None, id="nobody comes"),
        pytest.param([], 2, 2, 0, None, id="full is not too few"),
        pytest.param([], 3, 3, 0, 0, id="more than there are already"),
        pytest.param([(1, 5), (5, 9)], 1, 2, 1, None, id="one goes as the next one comes"),
        pytest.param([(1, 6), (5, 9)], 1, 3, 5, 5, id="both at once"),
        pytest.param([(5, 9), (1, 9), (7, 9)], 1, 4, 7, 5, id="the worst comes later"),
        pytest.param([(0, 9)], 2, 3, 0, 0, id="too few from now on"),
    ],
)
def test_forecast(
    spans: list[tuple[int, int]], others: int, peak: int, peak_at: int, runs_out_at: int | None
) -> None:
    """The peak is the most at the same time; too few is more than there are."""
    found = forecast(*spans, others=others)
    assert (found.peak, found.peak_at) == (peak, NOW + peak_at * HOUR)
    assert found.runs_out_at == (None if runs_out_at is None else NOW + runs_out_at * HOUR)
    assert found.short == max(0, peak - 2)


@pytest.mark.parametrize(
    ("runs_out_at", "day"),
    [
        pytest.param("2026-10-24T21:59Z", "2026-10-24", id="before midnight in summer"),
        pytest.param("2026-10-24T22:00Z", "2026-10-25", id="at midnight in summer"),
        pytest.param("2026-10-25T22:59Z", "2026-10-25", id="the day of 25 hours"),
        pytest.param("2026-10-25T23:00Z", "2026-10-26", id="at midnight in winter"),
        pytest.param("2027-03-27T23:00Z", "2027-03-28", id="the day of 23 hours begins"),
        pytest.param("2027-03-28T22:00Z", "2027-03-29", id="and ends"),
    ],
)
def test_first_day(runs_out_at: str, day: str) -> None:
    """The day is that of the calendar where the site is, also when its clocks change."""
    at = datetime.fromisoformat(runs_out_at)
    found = SeatForecast(total=2, peak=3, peak_at=at, runs_out_at=at)
    assert found.runs_out_on(AMSTERDAM) == date.fromisoformat(day)


def test_no_day() -> None:
    """Where seats suffice there is no such day."""
    assert forecast((1, 2)).runs_out_on(AMSTERDAM) is None


MINUTES = st.integers(0, 60)


@given(st.lists(st.tuples(MINUTES, st.integers(1, 60))), st.integers(0, 4), st.integers(0, 6))
def test_forecast_counts_every_minute(
    spans: list[tuple[int, int]], others: int, total: int
) -> None:
    """The sweep finds what a count of each minute finds."""
    taken = [(start, start + length) for start, length in spans]
    needed = [others + sum(start <= at < end for start, end in taken) for at in range(122)]
    found = seat_forecast(
        others=others,
        total=total,
        holds=[SeatHold(NOW + start * MINUTE, NOW + end * MINUTE) for start, end in taken],
        now=NOW,
    )
    too_few = [at for at, count in enumerate(needed) if count > total]
    assert found.peak == max(needed)
    assert found.peak_at == NOW + needed.index(max(needed)) * MINUTE
    assert found.runs_out_at == (NOW + too_few[0] * MINUTE if too_few else None)


STAYS = st.tuples(
    st.integers(-30, 60),
    st.integers(1, 60),
    st.sampled_from(["as booked", "issued", "seated"]),
    st.sampled_from([None, *KeyStatus]),
    st.booleans(),
)


@given(st.lists(STAYS, max_size=8))
def test_holds_are_what_is_left_of_windows(stays: list[tuple[int, int, str, Any, bool]]) -> None:
    """A key takes at most one seat, from now on at the earliest, and until it is over at most."""
    wishes, records = [], []
    for number, (starts, length, template, status, by_hand) in enumerate(stays, 1):
        window = AccessWindow(NOW + starts * HOUR, NOW + (starts + length) * HOUR)
        due = window.starts_at - HOUR
        booking_id = BookingId(str(number))
        wishes.append(
            a_wish(
                booking_id=booking_id,
                window=window,
                issue_from=due if template == "issued" else None,
                seat_from=due if template == "seated" else None,
            )
        )
        if status is not None:
            records.append(
                a_record(
                    number, booking_id=booking_id, window=window, status=status, by_hand=by_hand
                )
            )
    found = holds(wishes, records)
    assert all(NOW <= hold.starts_at < hold.ends_at for hold in found)
    assert len(found) <= sum(not wish.window.is_over(NOW) for wish in wishes)
    assert {hold.ends_at for hold in found} <= {wish.window.ends_at for wish in wishes}


def test_thousands_of_bookings() -> None:
    """A season of 5,000 bookings comes to what its busiest days need."""
    unit = a_unit(template=KeyTemplate(lead_time=2 * DAY))
    units = {UnitId(f"unit {number}"): unit for number in range(100)}
    bookings = [
        a_booking(
            booking_id=BookingId(str(number)),
            unit_id=UnitId(f"unit {number % 100}"),
            starts_at=NOW + number // 100 * 2 * DAY + HOUR,
            ends_at=NOW + (number // 100 * 2 + 2) * DAY,
        )
        for number in range(5_000)
    ]
    wishes = desired_keys(bookings, units, NOW)
    records = [
        a_record(number, booking_id=BookingId(str(number)), unit_id=UnitId(f"unit {number % 100}"))
        for number in range(1, 101)
    ]
    found = seat_forecast(others=3, total=150, holds=holds(wishes, records), now=NOW)
    assert len(wishes) == 5_000
    assert found.peak == 3 + 200
    assert found.runs_out_at is not None
    assert datetime(2026, 6, 1, tzinfo=UTC) < found.runs_out_at < NOW + timedelta(days=3)
