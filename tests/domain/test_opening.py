"""Whether a door may be opened for a booking now, and what becomes of the booking."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.bookings import (
    EXPECTED,
    AccessMode,
    Booking,
    BookingRules,
    BookingStatus,
)
from custom_components.salto_ks.domain.ids import BookingId
from custom_components.salto_ks.domain.opening import (
    Opening,
    OpeningRefusal,
    after_opening,
    opening_of,
    opening_of_unit,
)

from .stays import DAY, HOUR, MINUTE, NOW, a_booking, a_unit

SECOND = timedelta(seconds=1)
REMOTE = a_unit(mode=AccessMode.REMOTE)
STARTS = NOW + DAY
ENDS = NOW + 4 * DAY
OPENS = STARTS - 15 * MINUTE
CAREFUL = BookingRules(
    opening_statuses=frozenset({BookingStatus.CHECKED_IN}), opens_before=timedelta()
)
EAGER = BookingRules(opening_statuses=EXPECTED | {BookingStatus.PENDING})


def told(opening: Opening) -> tuple[str | None, datetime | None]:
    """Return why a door is not opened, and from when on it is."""
    assert opening.allowed is (opening.reason is None)
    return opening.reason, opening.from_when


@pytest.mark.parametrize(
    ("now", "reason", "from_when"),
    [
        (NOW - 30 * DAY, "opening_too_early", OPENS),
        (OPENS - SECOND, "opening_too_early", OPENS),
        (OPENS, None, None),
        (STARTS, None, None),
        (ENDS - SECOND, None, None),
        (ENDS, "opening_over", None),
        (ENDS + DAY, "opening_over", None),
    ],
)
@pytest.mark.parametrize("status", sorted(EXPECTED))
def test_time(
    status: BookingStatus, now: datetime, reason: str | None, from_when: datetime | None
) -> None:
    """A door is opened from a while before the start, until the end."""
    booking = a_booking(status=status)
    assert told(opening_of(booking, REMOTE, now, is_active=True)) == (reason, from_when)


@pytest.mark.parametrize(
    ("rules", "status", "reason"),
    [
        (BookingRules(), "pending", "opening_pending"),
        (BookingRules(), "confirmed", None),
        (BookingRules(), "checked_in", None),
        (BookingRules(), "completed", "opening_completed"),
        (BookingRules(), "cancelled", "opening_cancelled"),
        (CAREFUL, "pending", "opening_pending"),
        (CAREFUL, "confirmed", "opening_status"),
        (CAREFUL, "checked_in", None),
        (EAGER, "pending", None),
        (EAGER, "cancelled", "opening_cancelled"),
    ],
)
def test_status(rules: BookingRules, status: str, reason: str | None) -> None:
    """The unit says for which statuses it opens."""
    unit = replace(REMOTE, rules=rules)
    booking = a_booking(status=BookingStatus(status))
    assert told(opening_of(booking, unit, STARTS, is_active=True)) == (reason, None)


@pytest.mark.parametrize("now", [NOW, STARTS, ENDS])
@pytest.mark.parametrize("status", list(BookingStatus))
def test_unit_and_site(status: BookingStatus, now: datetime) -> None:
    """A unit with PINs only opens for nobody, nor does a site that is switched off."""
    booking = a_booking(status=status)
    for mode, is_active, reason in [
        (AccessMode.PIN, True, "opening_pin_only"),
        (AccessMode.PIN, False, "opening_pin_only"),
        (AccessMode.REMOTE, False, "opening_inactive"),
        (AccessMode.BOTH, False, "opening_inactive"),
    ]:
        unit = a_unit(mode=mode)
        assert told(opening_of(booking, unit, now, is_active=is_active)) == (reason, None)
        found = opening_of_unit([booking], unit, now, is_active=is_active)
        assert (found.booking, *told(found.opening)) == (None, reason, None)


def test_both_ways_in() -> None:
    """A unit with PINs and remote opening opens too."""
    unit = a_unit(mode=AccessMode.BOTH)
    assert opening_of(a_booking(), unit, STARTS, is_active=True).allowed


@given(
    starts=st.integers(-100, 100),
    hours=st.integers(1, 100),
    status=st.sampled_from(BookingStatus),
    rules=st.sampled_from([BookingRules(), CAREFUL, EAGER]),
    is_active=st.booleans(),
)
@settings(deadline=None)
def test_answer_holds(
    starts: int, hours: int, status: BookingStatus, rules: BookingRules, is_active: bool
) -> None:
    """From the time that is told on it is opened, and never outside the stay and its margin."""
    starts_at = NOW + starts * HOUR
    booking = a_booking(starts_at=starts_at, ends_at=starts_at + hours * HOUR, status=status)
    unit = replace(REMOTE, rules=rules)
    opening = opening_of(booking, unit, NOW, is_active=is_active)
    if opening.from_when is not None:
        assert opening.from_when > NOW
        assert opening_of(booking, unit, opening.from_when, is_active=is_active).allowed
    if opening.allowed:
        assert booking.starts_at - rules.opens_before <= NOW < booking.ends_at
        assert status in rules.opening_statuses


# Of several


def named(name: str, starts: timedelta, length: timedelta, **changes: Any) -> Booking:
    """Return a booking that begins that long from now."""
    starts_at = NOW + starts
    return a_booking(
        booking_id=BookingId(name), starts_at=starts_at, ends_at=starts_at + length, **changes
    )


CANCELLED = BookingStatus.CANCELLED
PENDING = BookingStatus.PENDING


@pytest.mark.parametrize(
    ("bookings", "meant", "reason"),
    [
        pytest.param([], None, "opening_no_booking", id="none"),
        pytest.param(
            [
                named("old", -5 * DAY, DAY),
                named("off", -HOUR, DAY, status=CANCELLED),
                named("left", -HOUR, DAY, status=BookingStatus.COMPLETED),
            ],
            None,
            "opening_no_booking",
            id="none that counts",
        ),
        pytest.param([named("now", -HOUR, DAY)], "now", None, id="one"),
        pytest.param(
            [named("leaving", -DAY, DAY + 5 * MINUTE), named("coming", 5 * MINUTE, DAY)],
            "leaving",
            None,
            id="the one who is there, before one who may come in early",
        ),
        pytest.param(
            [named("left", -DAY, DAY), named("coming", timedelta(), DAY)],
            "coming",
            None,
            id="turnover to the second",
        ),
        pytest.param(
            [named("long", -5 * DAY, 9 * DAY), named("late", -HOUR, DAY)],
            "late",
            None,
            id="of two who are there, the one that began last",
        ),
        pytest.param(
            [named("now", -HOUR, DAY, status=PENDING), named("soon", 5 * MINUTE, DAY)],
            "soon",
            None,
            id="one that opens, before one that is there and does not",
        ),
        pytest.param(
            [named("next", HOUR, DAY), named("later", 3 * HOUR, DAY)],
            "next",
            "opening_too_early",
            id="the next",
        ),
        pytest.param(
            [named("now", -HOUR, DAY, status=PENDING), named("next", HOUR, DAY)],
            "now",
            "opening_pending",
            id="one that is there, before the next",
        ),
        pytest.param(
            [named("b", -HOUR, DAY), named("a", -HOUR, DAY)], "a", None, id="two at one time"
        ),
    ],
)
def test_booking_that_is_meant(
    bookings: list[Booking], meant: str | None, reason: str | None
) -> None:
    """Somebody who opens a unit means the booking that the door may be opened for."""
    for order in (bookings, bookings[::-1]):
        found = opening_of_unit(order, REMOTE, NOW, is_active=True)
        assert (found.booking and found.booking.booking_id) == meant
        assert found.opening.reason == reason
        if found.booking is not None:
            assert found.opening == opening_of(found.booking, REMOTE, NOW, is_active=True)


# What becomes of it


@pytest.mark.parametrize(
    ("checks_in", "before", "after"),
    [
        (True, "confirmed", "checked_in"),
        (True, "checked_in", "checked_in"),
        (True, "pending", "pending"),
        (False, "confirmed", "confirmed"),
        (False, "checked_in", "checked_in"),
    ],
)
def test_booking_that_was_opened_for(checks_in: bool, before: str, after: str) -> None:
    """It is checked in if its unit says so, and knows when it was first opened for."""
    unit = replace(REMOTE, rules=BookingRules(checks_in_on_opening=checks_in))
    booking = a_booking(status=BookingStatus(before))
    opened = after_opening(booking, unit, STARTS)
    assert opened == replace(booking, status=BookingStatus(after), opened_at=STARTS)
    assert after_opening(opened, unit, STARTS + DAY) == opened


def test_reasons_are_keys_of_texts() -> None:
    """Each reason has a text that is named like it."""
    assert all(reason.value.startswith("opening_") for reason in OpeningRefusal)
