"""Which key a booking wants: as tables."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from custom_components.salto_ks.domain.bookings import (
    AccessMode,
    BookingStatus,
    KeyTemplate,
    OnRemoval,
)
from custom_components.salto_ks.domain.desired_keys import (
    HEAD_START,
    DesiredKey,
    desired_key,
    desired_keys,
    status_for_booking,
)
from custom_components.salto_ks.domain.ids import UnitId
from custom_components.salto_ks.domain.keys import KeyStatus, Strategy
from custom_components.salto_ks.domain.windows import AccessWindow

from .stays import (
    CABIN,
    DAY,
    GATE,
    HOUR,
    HUT,
    MINUTE,
    NOW,
    PITCH,
    STAY,
    a_booking,
    a_record,
    a_unit,
)

MARGINS = KeyTemplate(before=30 * MINUTE, after=15 * MINUTE)
SECOND = timedelta(seconds=1)


def wanted(
    now: datetime = NOW, *, unit: dict[str, Any] | None = None, **booking: Any
) -> DesiredKey:
    """Return the key that a booking wants."""
    key = desired_key(a_booking(**booking), a_unit(**(unit or {})), now)
    assert key is not None
    return key


@pytest.mark.parametrize("mode", ["pin", "both"])
@pytest.mark.parametrize(
    ("status", "wants"),
    [
        ("pending", False),
        ("confirmed", True),
        ("checked_in", True),
        ("completed", False),
        ("cancelled", False),
    ],
)
def test_status(mode: str, status: str, wants: bool) -> None:
    """Only a guest who may come in has a key."""
    key = desired_key(a_booking(status=BookingStatus(status)), a_unit(mode=AccessMode(mode)), NOW)
    assert (key is not None) is wants


def test_unit_without_pins() -> None:
    """Where Home Assistant opens there is no key."""
    assert desired_key(a_booking(), a_unit(mode=AccessMode.REMOTE), NOW) is None


def test_all_of_a_key() -> None:
    """It has what booking and unit say."""
    template = KeyTemplate(
        before=30 * MINUTE, after=15 * MINUTE, pin_length=5, strategy=Strategy.MEMBERSHIP
    )
    unit = {"template": template, "on_removal": OnRemoval.LEAVE}
    key = wanted(unit=unit)
    assert key == DesiredKey(
        booking_id=STAY,
        unit_id=PITCH,
        window=AccessWindow(NOW + DAY - 30 * MINUTE, NOW + 4 * DAY + 15 * MINUTE),
        doors=frozenset({GATE}),
        label="Family Jansen",
        pin_length=5,
        strategy=Strategy.MEMBERSHIP,
        on_removal=OnRemoval.LEAVE,
    )
    assert "Jansen" not in repr(key)
    request = key.request()
    assert (request.booking_id, request.unit_id, request.label) == (STAY, PITCH, "Family Jansen")
    assert AccessWindow(request.starts_at, request.ends_at) == key.window
    assert request.doors == {GATE}
    assert (request.pin_length, request.strategy) == (5, Strategy.MEMBERSHIP)


def test_doors_of_the_booking() -> None:
    """A booking may have its own doors."""
    assert wanted(doors=frozenset({HUT})).doors == {HUT}


def test_window_in_whole_minutes() -> None:
    """A key is compared to one of the ledger, which has whole minutes, never shorter."""
    key = wanted(starts_at=NOW + DAY + SECOND, ends_at=NOW + 4 * DAY + SECOND)
    assert key.window == AccessWindow(NOW + DAY, NOW + 4 * DAY + MINUTE)


def test_window_that_is_over() -> None:
    """After the window a booking wants no key, before its end it does."""
    unit = a_unit(template=MARGINS)
    ends_at = NOW + 4 * DAY + 15 * MINUTE
    assert desired_key(a_booking(), unit, ends_at - SECOND) is not None
    assert desired_key(a_booking(), unit, ends_at) is None


def test_clock_change_in_the_night_of_a_margin() -> None:
    """Margins are as long as they are, whatever the clock on the wall does."""
    starts_at = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    unit = {"template": KeyTemplate(before=timedelta(hours=1))}
    key = wanted(unit=unit, starts_at=starts_at, ends_at=starts_at + DAY)
    assert key.window.starts_at == datetime(2026, 10, 25, 0, 10, tzinfo=UTC)


# When


@pytest.mark.parametrize(
    ("template", "status", "issue_from", "seat_from"),
    [
        pytest.param(KeyTemplate(), "confirmed", None, None, id="at once"),
        pytest.param(
            KeyTemplate(lead_time=5 * HOUR), "confirmed", NOW + DAY - 5 * HOUR, None, id="lead time"
        ),
        pytest.param(
            KeyTemplate(lead_time=5 * HOUR), "checked_in", None, None, id="the guest is there"
        ),
        pytest.param(
            KeyTemplate(lead_time=timedelta()),
            "confirmed",
            NOW + DAY - HEAD_START,
            None,
            id="no lead time is one, as a door takes a while",
        ),
        pytest.param(
            KeyTemplate(lead_time=HOUR, before=2 * HOUR),
            "confirmed",
            NOW + DAY - 2 * HOUR - HEAD_START,
            None,
            id="shorter than the margin",
        ),
        pytest.param(
            KeyTemplate(lead_time=5 * HOUR, seat_from_lead_time=True),
            "confirmed",
            None,
            NOW + DAY - 5 * HOUR,
            id="seat from lead time",
        ),
        pytest.param(
            KeyTemplate(lead_time=5 * HOUR, seat_from_lead_time=True),
            "checked_in",
            None,
            None,
            id="seat at once",
        ),
    ],
)
def test_lead_time(
    template: KeyTemplate, status: str, issue_from: datetime | None, seat_from: datetime | None
) -> None:
    """It says from when on a key is issued, or has its seat; one that is there stays."""
    key = wanted(unit={"template": template}, status=BookingStatus(status))
    assert (key.issue_from, key.seat_from) == (issue_from, seat_from)
    for at, is_reached in ((issue_from, key.is_due), (seat_from, key.needs_seat)):
        if at is None:
            assert is_reached(NOW - 1000 * DAY)
        else:
            assert not is_reached(at - SECOND)
            assert is_reached(at)


# Of many


def test_bookings_of_several_units() -> None:
    """Each wants the key of its unit; one of a unit that does not exist wants none."""
    units = {PITCH: a_unit(), CABIN: a_unit(unit_id=CABIN, doors=frozenset({HUT}))}
    bookings = [
        a_booking(),
        a_booking(unit_id=CABIN),
        a_booking(unit_id=CABIN, status=BookingStatus.PENDING),
        a_booking(unit_id=UnitId("sold")),
    ]
    keys = desired_keys(bookings, units, NOW)
    assert [(key.unit_id, set(key.doors)) for key in keys] == [(PITCH, {GATE}), (CABIN, {HUT})]


@pytest.mark.parametrize(
    ("status", "by_hand", "before", "after"),
    [
        (None, False, KeyStatus.SCHEDULED, None),
        (KeyStatus.REVOKED, False, KeyStatus.SCHEDULED, KeyStatus.REVOKED),
        (KeyStatus.REVOKED, True, KeyStatus.REVOKED, KeyStatus.REVOKED),
        (KeyStatus.FAILED, False, KeyStatus.FAILED, KeyStatus.FAILED),
        (KeyStatus.SET, False, KeyStatus.SET, KeyStatus.SET),
        (KeyStatus.REMOVING, False, KeyStatus.REMOVING, KeyStatus.REMOVING),
    ],
)
def test_where_a_key_stands(
    status: KeyStatus | None, by_hand: bool, before: KeyStatus, after: KeyStatus | None
) -> None:
    """A key that waits for its time is scheduled, unless there is another one to tell of."""
    key = None if status is None else a_record(status=status, by_hand=by_hand)
    due_at = NOW + DAY - 5 * HOUR
    later = wanted(unit={"template": KeyTemplate(lead_time=5 * HOUR)})
    assert status_for_booking(key, later, due_at - SECOND) is before
    assert status_for_booking(key, later, due_at) is after
    assert status_for_booking(key, None, NOW) is status
