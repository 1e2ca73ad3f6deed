"""Who is in a unit, who comes next, and whether all is ready for them."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from custom_components.salto_ks.domain.bookings import (
    AccessMode,
    Booking,
    BookingStatus,
    KeyTemplate,
    Unit,
)
from custom_components.salto_ks.domain.ids import BookingId, DoorId
from custom_components.salto_ks.domain.keys import KeyProblem, KeyRecord, KeyStatus
from custom_components.salto_ks.domain.unit_state import (
    LOOKED_AT_BEFORE,
    DoorCondition,
    NotReady,
    arrival_due,
    current_booking,
    next_arrival,
    readiness,
)
from custom_components.salto_ks.domain.windows import AccessWindow

from .stays import DAY, GATE, HOUR, HUT, NOW, a_booking, a_record, a_unit

SECOND = timedelta(seconds=1)
WELL = DoorCondition(iq_online=True, lock_online=True, battery_low=False, privacy_mode=False)
BOTH_DOORS = frozenset({GATE, HUT})


def named(name: str, starts: timedelta, length: timedelta, status: str = "confirmed") -> Booking:
    """Return a booking that begins that long from now."""
    starts_at = NOW + starts
    return a_booking(
        booking_id=BookingId(name),
        starts_at=starts_at,
        ends_at=starts_at + length,
        status=BookingStatus(status),
    )


@pytest.mark.parametrize(
    ("bookings", "current", "coming"),
    [
        pytest.param([], None, None, id="none"),
        pytest.param([named("a", -DAY, 2 * DAY)], "a", None, id="one is there"),
        pytest.param([named("a", HOUR, DAY)], None, "a", id="one is to come"),
        pytest.param([named("a", timedelta(), DAY)], "a", None, id="begins now"),
        pytest.param(
            [named("a", -DAY, DAY), named("b", timedelta(), DAY)], "b", None, id="turnover"
        ),
        pytest.param(
            [named("a", -DAY, DAY + SECOND), named("b", SECOND, DAY)],
            "a",
            "b",
            id="a second before the turnover",
        ),
        pytest.param(
            [named("a", -DAY, 3 * DAY), named("b", -HOUR, DAY, "checked_in")],
            "b",
            None,
            id="overlap: who is known to be there",
        ),
        pytest.param(
            [named("a", -HOUR, DAY, "pending"), named("b", -DAY, 3 * DAY)],
            "b",
            None,
            id="overlap: who is surer",
        ),
        pytest.param(
            [named("a", -DAY, 3 * DAY), named("b", -HOUR, DAY)],
            "b",
            None,
            id="overlap: who began last",
        ),
        pytest.param(
            [named("a", -HOUR, DAY, "pending"), named("b", HOUR, DAY, "pending")],
            "a",
            None,
            id="pending ones may be there, and do not count as coming",
        ),
        pytest.param(
            [
                named("a", -HOUR, DAY, "cancelled"),
                named("b", -HOUR, DAY, "completed"),
                named("c", HOUR, DAY, "cancelled"),
                named("d", HOUR, DAY, "completed"),
                named("e", 2 * HOUR, DAY, "checked_in"),
            ],
            None,
            "e",
            id="cancelled and completed ones are nowhere",
        ),
        pytest.param(
            [named("b", HOUR, DAY), named("a", HOUR, DAY), named("c", 2 * HOUR, DAY)],
            None,
            "a",
            id="two come at one time",
        ),
    ],
)
def test_who_is_there_and_who_comes(
    bookings: list[Booking], current: str | None, coming: str | None
) -> None:
    """It is the same in whatever order bookings are listed."""
    for order in (bookings, bookings[::-1]):
        there, following = current_booking(order, NOW), next_arrival(order, NOW)
        assert (there and there.booking_id) == current
        assert (following and following.booking_id) == coming


@pytest.mark.parametrize(
    ("bookings", "due"),
    [
        pytest.param([], None, id="none"),
        pytest.param([named("a", LOOKED_AT_BEFORE + SECOND, DAY)], None, id="not yet"),
        pytest.param([named("a", LOOKED_AT_BEFORE, DAY)], "a", id="in three hours"),
        pytest.param([named("a", -HOUR, DAY)], "a", id="should be there"),
        pytest.param([named("a", -HOUR, DAY, "checked_in")], None, id="is there"),
        pytest.param([named("a", -HOUR, DAY, "pending")], None, id="is not sure to come"),
        pytest.param(
            [named("a", -DAY, DAY + HOUR, "checked_in"), named("b", 2 * HOUR, DAY)],
            "b",
            id="turnover",
        ),
        pytest.param([named("a", -DAY, 2 * DAY), named("b", DAY, DAY)], "a", id="has not come yet"),
    ],
)
def test_who_a_unit_has_to_be_ready_for(bookings: list[Booking], due: str | None) -> None:
    """From three hours before an arrival on, until the guest has come."""
    found = arrival_due(iter(bookings), NOW)
    assert (found and found.booking_id) == due


# Readiness


def stand(
    *keys: KeyRecord,
    unit: Unit | None = None,
    doors: dict[DoorId, DoorCondition] | None = None,
    booking: Booking | None = None,
    now: datetime = NOW + DAY - HOUR,
) -> tuple[str, list[str], list[str]]:
    """Return whether a unit is ready, what is wrong, and what is not known."""
    found = readiness(
        unit or a_unit(),
        booking or a_booking(),
        keys,
        {GATE: WELL, HUT: WELL} if doors is None else doors,
        now,
    )
    return found.state.value, list(found.reasons), list(found.unknown)


def test_nobody_is_due() -> None:
    """Then nothing has to be ready."""
    found = readiness(a_unit(), None, (), {}, NOW)
    assert (found.state, found.reasons, found.unknown) == ("nobody_due", (), ())


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param([a_record()], ("ready", [], []), id="set"),
        pytest.param([], ("not_ready", ["key_missing"], []), id="missing"),
        pytest.param(
            [a_record(status=KeyStatus.SCHEDULED)], ("not_ready", ["key_not_set"], []), id="waiting"
        ),
        pytest.param(
            [a_record(status=KeyStatus.SETTING)], ("not_ready", ["key_not_set"], []), id="setting"
        ),
        pytest.param(
            [a_record(status=KeyStatus.CHANGING)], ("not_ready", ["key_not_set"], []), id="changing"
        ),
        pytest.param(
            [a_record(status=KeyStatus.UNKNOWN)], ("unknown", [], ["key_not_set"]), id="unknown"
        ),
        pytest.param(
            [a_record(7, status=KeyStatus.UNKNOWN), a_record(8)],
            ("ready", [], []),
            id="unknown beside one that works",
        ),
        pytest.param(
            [a_record(errors=frozenset({KeyProblem.PIN_LOST}))],
            ("not_ready", ["key_failed"], []),
            id="pin lost",
        ),
        pytest.param(
            [a_record(status=KeyStatus.SUSPENDED)],
            ("not_ready", ["key_suspended"], []),
            id="suspended",
        ),
        pytest.param(
            [a_record(status=KeyStatus.FAILED)], ("not_ready", ["key_failed"], []), id="failed"
        ),
        pytest.param(
            [a_record(8, status=KeyStatus.FAILED), a_record(7, status=KeyStatus.REVOKED)],
            ("not_ready", ["key_failed"], []),
            id="taken back, then failed",
        ),
        pytest.param(
            [a_record(8, status=KeyStatus.REMOVING), a_record(7, status=KeyStatus.FAILED)],
            ("not_ready", ["key_missing"], []),
            id="failed, then taken back",
        ),
        pytest.param(
            [a_record(8), a_record(7, status=KeyStatus.FAILED)], ("ready", [], []), id="set at last"
        ),
        pytest.param(
            [a_record(8, status=KeyStatus.SETTING), a_record(7)], ("ready", [], []), id="the oldest"
        ),
        pytest.param(
            [a_record(window=AccessWindow(NOW, NOW + 3 * DAY))],
            ("not_ready", ["key_differs"], []),
            id="ends too early",
        ),
        pytest.param(
            [a_record(window=AccessWindow(NOW + DAY + SECOND, NOW + 4 * DAY))],
            ("not_ready", ["key_differs"], []),
            id="begins too late",
        ),
        pytest.param(
            [a_record(doors=frozenset({HUT}))], ("not_ready", ["key_differs"], []), id="other door"
        ),
        pytest.param([a_record(doors=BOTH_DOORS)], ("ready", [], []), id="more doors"),
    ],
)
def test_key(keys: list[KeyRecord], expected: tuple[str, list[str], list[str]]) -> None:
    """The key has to be set and to open all of the stay."""
    assert stand(*keys) == expected
    assert stand(*keys[::-1]) == expected


def test_unit_without_pins() -> None:
    """It needs no key."""
    assert stand(unit=a_unit(mode=AccessMode.REMOTE)) == ("ready", [], [])
    assert stand(unit=a_unit(mode=AccessMode.BOTH)) == ("not_ready", ["key_missing"], [])


def test_key_that_is_not_due() -> None:
    """It is missed from its lead time on."""
    unit = a_unit(template=KeyTemplate(lead_time=HOUR))
    due_at = NOW + DAY - HOUR
    assert stand(unit=unit, now=due_at - SECOND) == ("ready", [], [])
    assert stand(unit=unit, now=due_at) == ("not_ready", ["key_missing"], [])


def test_key_without_a_seat_yet() -> None:
    """It has to have its seat from the lead time on."""
    unit = a_unit(template=KeyTemplate(lead_time=HOUR, seat_from_lead_time=True))
    key, due_at = a_record(status=KeyStatus.SUSPENDED), NOW + DAY - HOUR
    assert stand(key, unit=unit, now=due_at - SECOND) == ("ready", [], [])
    assert stand(key, unit=unit, now=due_at) == ("not_ready", ["key_suspended"], [])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("ready", [], [])),
        ({"iq_online": False}, ("not_ready", ["iq_offline"], [])),
        ({"iq_online": None}, ("unknown", [], ["iq_offline"])),
        ({"lock_online": False}, ("not_ready", ["lock_offline"], [])),
        ({"lock_online": None}, ("unknown", [], ["lock_offline"])),
        ({"battery_low": True}, ("not_ready", ["battery_low"], [])),
        ({"battery_low": None}, ("unknown", [], ["battery_low"])),
        ({"privacy_mode": True}, ("not_ready", ["privacy_mode"], [])),
        ({"privacy_mode": None}, ("unknown", [], ["privacy_mode"])),
        (
            {"battery_low": True, "iq_online": False, "privacy_mode": None},
            ("not_ready", ["iq_offline", "battery_low"], ["privacy_mode"]),
        ),
    ],
)
@pytest.mark.parametrize("mode", list(AccessMode))
def test_door(
    mode: AccessMode, changes: dict[str, Any], expected: tuple[str, list[str], list[str]]
) -> None:
    """Each door has to work; what is not known is neither right nor wrong."""
    unit = a_unit(mode=mode, doors=BOTH_DOORS)
    doors = {GATE: WELL, HUT: replace(WELL, **changes)}
    assert stand(a_record(doors=BOTH_DOORS), unit=unit, doors=doors) == expected


def test_doors_that_differ() -> None:
    """What is wrong at one door counts, also where it is not known of another."""
    unit = a_unit(doors=BOTH_DOORS)
    doors = {GATE: DoorCondition(), HUT: replace(WELL, battery_low=True)}
    assert stand(a_record(doors=BOTH_DOORS), unit=unit, doors=doors) == (
        "not_ready",
        ["battery_low"],
        ["iq_offline", "lock_offline", "privacy_mode"],
    )


def test_door_that_the_site_does_not_have() -> None:
    """Nothing is known of it."""
    assert stand(a_record(), doors={}) == (
        "unknown",
        [],
        ["iq_offline", "lock_offline", "battery_low", "privacy_mode"],
    )


def test_door_without_a_keypad_is_not_missed_in_the_key() -> None:
    """A door that is opened remotely has to be in order, and not to be in the key."""
    unit, key = a_unit(doors=BOTH_DOORS), a_record(doors=frozenset({GATE}))
    for without, hut, expected in (
        ((), WELL, ("not_ready", ["key_differs"])),
        ((HUT,), WELL, ("ready", [])),
        ((HUT,), DoorCondition(lock_online=False), ("not_ready", ["lock_offline"])),
    ):
        found = readiness(
            unit,
            a_booking(),
            [key],
            {GATE: WELL, HUT: hut},
            NOW + DAY - HOUR,
            without_keypad=without,
        )
        assert (found.state.value, list(found.reasons)) == expected


def test_doors_of_the_booking() -> None:
    """Only the doors of the booking have to work."""
    unit = a_unit(doors=BOTH_DOORS)
    booking = a_booking(doors=frozenset({GATE}))
    doors = {GATE: WELL, HUT: DoorCondition(lock_online=False)}
    assert stand(a_record(), unit=unit, doors=doors, booking=booking) == ("ready", [], [])


def test_each_reason_can_be_found() -> None:
    """There is no reason that nothing leads to: the tables above have all of them."""
    assert len(NotReady) == 9
