"""Bookings and units: what they say of themselves, and what cannot be."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.bookings import (
    LONGEST_LEAD_TIME,
    LONGEST_MARGIN,
    LONGEST_STAY,
    AccessMode,
    BookingRefusal,
    BookingRefusedError,
    BookingRules,
    BookingStatus,
    KeyTemplate,
    as_label,
)

from .stays import AMSTERDAM, DAY, GATE, HOUR, HUT, NOW, a_booking, a_unit

MICROSECOND = timedelta(microseconds=1)


def refusal_of(make: Callable[..., object], **changes: Any) -> BookingRefusal | None:
    """Return why something cannot be made; None where it can."""
    try:
        make(**changes)
    except BookingRefusedError as err:
        return err.reason
    return None


# Bookings


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"ends_at": NOW + DAY}, "booking_ends_before_start"),
        ({"ends_at": NOW}, "booking_ends_before_start"),
        ({"ends_at": NOW + DAY + MICROSECOND}, None),
        ({"ends_at": NOW + DAY + LONGEST_STAY}, None),
        ({"ends_at": NOW + DAY + LONGEST_STAY + MICROSECOND}, "booking_too_long"),
        ({"starts_at": datetime(2026, 6, 2, 12)}, "booking_time_without_zone"),  # noqa: DTZ001 - a naive time is what this is about
        ({"ends_at": datetime(2026, 6, 9, 12)}, "booking_time_without_zone"),  # noqa: DTZ001 - a naive time is what this is about
        ({"opened_at": datetime(2026, 6, 2, 12)}, "booking_time_without_zone"),  # noqa: DTZ001 - a naive time is what this is about
        ({"starts_at": datetime(1, 1, 1, tzinfo=UTC)}, "booking_out_of_range"),
        ({"starts_at": datetime(1999, 12, 31, tzinfo=UTC)}, "booking_out_of_range"),
        ({"starts_at": datetime(2000, 1, 1, tzinfo=UTC)}, "booking_too_long"),
        ({"ends_at": datetime(2199, 12, 31, 23, tzinfo=UTC)}, "booking_too_long"),
        ({"ends_at": datetime(2200, 1, 1, tzinfo=UTC)}, "booking_out_of_range"),
        ({"ends_at": datetime(9999, 12, 31, 23, tzinfo=UTC)}, "booking_out_of_range"),
        ({"doors": frozenset()}, "booking_no_doors"),
        ({"doors": frozenset({HUT})}, None),
    ],
)
def test_booking_that_cannot_be(changes: dict[str, Any], reason: str | None) -> None:
    """It is refused with a reason."""
    assert refusal_of(a_booking, **changes) == reason


def test_booking_keeps_utc() -> None:
    """Two instants of the hour that comes twice are what they are, not what a clock shows."""
    first = datetime(2026, 10, 25, 2, 40, tzinfo=AMSTERDAM)
    second = datetime(2026, 10, 25, 2, 10, tzinfo=AMSTERDAM, fold=1)
    booking = a_booking(starts_at=first, ends_at=second, opened_at=second)
    assert booking.ends_at - booking.starts_at == timedelta(minutes=30)
    assert {booking.starts_at.tzinfo, booking.ends_at.tzinfo} == {UTC}
    assert booking.opened_at == datetime(2026, 10, 25, 1, 10, tzinfo=UTC)


def test_booking_is_half_open() -> None:
    """The guest of tomorrow comes as the one of today leaves, and neither is in the other's stay."""
    booking = a_booking()
    assert not booking.holds(booking.starts_at - MICROSECOND)
    assert booking.holds(booking.starts_at)
    assert booking.holds(booking.ends_at - MICROSECOND)
    assert not booking.holds(booking.ends_at)
    assert not booking.is_over(booking.ends_at - MICROSECOND)
    assert booking.is_over(booking.ends_at)
    following = a_booking(starts_at=booking.ends_at, ends_at=booking.ends_at + DAY)
    assert not booking.overlaps(following)
    assert not following.overlaps(booking)
    assert booking.overlaps(replace(following, starts_at=booking.ends_at - MICROSECOND))


@pytest.mark.parametrize(
    ("status", "after"),
    [
        ("pending", "pending"),
        ("confirmed", "completed"),
        ("checked_in", "completed"),
        ("completed", "completed"),
        ("cancelled", "cancelled"),
    ],
)
def test_booking_that_is_over(status: str, after: str) -> None:
    """A stay that is over is completed for whoever looks, and is not written down as such."""
    booking = a_booking(status=BookingStatus(status))
    assert booking.status_at(booking.ends_at - MICROSECOND) == status
    assert booking.status_at(booking.ends_at) == after
    assert booking.status == status


def test_booking_keeps_to_itself() -> None:
    """The guest's name is in no log."""
    assert "Jansen" not in repr(a_booking())


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("  Family\n Jansen\t", "Family Jansen"),
        ("Jan\x00sen\ud800", "Jan sen"),
        ("x" * 99 + " y", "x" * 99),
        ("", ""),
    ],
)
def test_label(text: str, label: str) -> None:
    """A name is one line that every file and every database takes."""
    assert as_label(text) == label


# Templates


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"before": LONGEST_MARGIN, "after": LONGEST_MARGIN}, None),
        ({"before": LONGEST_MARGIN + MICROSECOND}, "unit_margin_invalid"),
        ({"before": -MICROSECOND}, "unit_margin_invalid"),
        ({"after": -MICROSECOND}, "unit_margin_invalid"),
        ({"lead_time": timedelta()}, None),
        ({"lead_time": LONGEST_LEAD_TIME}, None),
        ({"lead_time": LONGEST_LEAD_TIME + MICROSECOND}, "unit_lead_time_invalid"),
        ({"lead_time": -MICROSECOND}, "unit_lead_time_invalid"),
        ({"seat_from_lead_time": True}, "unit_seat_without_lead_time"),
        ({"seat_from_lead_time": True, "lead_time": DAY}, None),
        ({"pin_length": 3}, "unit_pin_length_invalid"),
        ({"pin_length": 4}, None),
        ({"pin_length": 6}, None),
        ({"pin_length": 7}, "unit_pin_length_invalid"),
    ],
)
def test_template_that_cannot_be(changes: dict[str, Any], reason: str | None) -> None:
    """It is refused with a reason."""
    assert refusal_of(KeyTemplate, **changes) == reason


# Rules

CONFIRMED = frozenset({BookingStatus.CONFIRMED})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"opening_statuses": frozenset()}, "unit_no_opening_status"),
        (
            {"opening_statuses": CONFIRMED | {BookingStatus.CANCELLED}},
            "unit_opening_status_invalid",
        ),
        (
            {"opening_statuses": CONFIRMED | {BookingStatus.COMPLETED}},
            "unit_opening_status_invalid",
        ),
        ({"opening_statuses": CONFIRMED}, "unit_checked_in_missing"),
        ({"opening_statuses": CONFIRMED, "checks_in_on_opening": False}, None),
        ({"opens_before": timedelta()}, None),
        ({"opens_before": LONGEST_MARGIN}, None),
        ({"opens_before": -MICROSECOND}, "unit_margin_invalid"),
        ({"opens_before": LONGEST_MARGIN + MICROSECOND}, "unit_margin_invalid"),
        ({"ignore_patterns": ("Blocked", " ")}, "unit_pattern_empty"),
        ({"pending_patterns": ("",)}, "unit_pattern_empty"),
        ({"status_without_status": BookingStatus.PENDING}, None),
        (
            {"status_without_status": BookingStatus.CHECKED_IN},
            "unit_status_without_status_invalid",
        ),
        ({"check_in": time(15, tzinfo=UTC)}, "unit_time_of_day_with_zone"),
        ({"check_out": time(10, tzinfo=ZoneInfo("UTC"))}, "unit_time_of_day_with_zone"),
        ({"ends_next_day": False}, "unit_day_ends_before_start"),
        ({"ends_next_day": False, "check_in": time(8), "check_out": time(22)}, None),
        (
            {"ends_next_day": False, "check_in": time(8), "check_out": time(8)},
            "unit_day_ends_before_start",
        ),
    ],
)
def test_rules_that_cannot_be(changes: dict[str, Any], reason: str | None) -> None:
    """They are refused with a reason."""
    assert refusal_of(BookingRules, **changes) == reason


@pytest.mark.parametrize(
    ("pattern", "name", "found"),
    [
        ("Blocked", "Blocked by owner", True),
        ("blocked", "BLOCKED", True),
        ("Blocked", "(blocked)", True),
        ("Blocked", "Unblocked", False),
        ("Blocked", "Blockedal", False),
        ("Not available", "Airbnb (Not  available)", True),
        ("Not available", "not-available", True),
        ("Not available", "Available, is it not?", False),
        ("Not available", "Not yet available", False),
        ("Straße", "STRASSE 5", True),
        ("Caf\u00e9", "Cafe\u0301 Jansen", True),
        ("❌", "❌Jansen", True),
        (" ❌ ", "Jansen", False),
        ("option", "", False),
    ],
)
def test_patterns(pattern: str, name: str, found: bool) -> None:
    """A pattern is looked for as words, whatever their case and what stands between them."""
    rules = BookingRules(ignore_patterns=("something else", pattern), pending_patterns=(pattern,))
    assert rules.ignores(name) is found
    assert rules.makes_pending(name) is found
    assert not BookingRules().ignores(name)


@given(name=st.text(), pattern=st.text())
@settings(deadline=None)
def test_pattern_is_found_in_itself(name: str, pattern: str) -> None:
    """Every pattern that can be is found in a name that ends with it."""
    if refusal_of(BookingRules, ignore_patterns=(pattern,)) is None:
        assert BookingRules(ignore_patterns=(pattern,)).ignores(f"{name} {pattern}")


# Units


def test_unit_without_doors() -> None:
    """Nobody could come in."""
    assert refusal_of(a_unit, doors=frozenset()) == "unit_no_doors"


def test_doors_of_a_booking() -> None:
    """A booking has its unit's doors, unless it has its own."""
    unit = a_unit(doors=frozenset({GATE, HUT}))
    assert unit.doors_of(a_booking()) == {GATE, HUT}
    assert unit.doors_of(a_booking(doors=frozenset({HUT}))) == {HUT}


@pytest.mark.parametrize(
    ("mode", "has_pins", "opens_remotely"),
    [("pin", True, False), ("remote", False, True), ("both", True, True)],
)
def test_modes(mode: str, has_pins: bool, opens_remotely: bool) -> None:
    """A mode says whether there are keys, and whether Home Assistant opens."""
    assert AccessMode(mode).has_pins is has_pins
    assert AccessMode(mode).opens_remotely is opens_remotely


def test_refusal_tells_what_would_do() -> None:
    """A refusal has what its text needs."""
    with pytest.raises(BookingRefusedError) as refused:
        KeyTemplate(pin_length=9)
    assert refused.value.about == {"shortest": "4", "longest": "6"}
    assert str(refused.value) == "unit_pin_length_invalid"
    assert a_booking(ends_at=NOW + DAY + HOUR).ends_at == NOW + DAY + HOUR
