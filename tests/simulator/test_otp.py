"""The one-time password."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from simulator.otp import accepts, candidates, changed_pin, one_time_password

NOON = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SECRET = "0123456789ABCDEF"


@pytest.mark.parametrize(
    ("stamp", "secret", "pin", "otp"),
    [
        ("20260825072500", "ABCDEFGHIJKLMNOP", "1234", "28a5a"),
        ("20261231235959", "qrstuvwxyz012345", "9876", "018bb"),
        ("20260102030405", "0123456789ABCDEF", "1234", "f4d6f"),
        ("20260102030405", "0123456789ABCDEF", "0042", "a6432"),
        ("20261231235959", "A1B2C3D4E5F60718", "9876", "dae3b"),
    ],
)
def test_known_vectors(stamp: str, secret: str, pin: str, otp: str) -> None:
    """Five published or recomputed codes come out as they should."""
    moment = datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert one_time_password(secret, pin, moment) == otp


def test_fractions_and_zones_do_not_matter() -> None:
    """A code belongs to a whole second of UTC, however that second is written."""
    late = NOON.replace(microsecond=874_000)
    elsewhere = NOON.astimezone(timezone(timedelta(hours=2)))
    assert one_time_password(SECRET, "1234", late) == one_time_password(SECRET, "1234", NOON)
    assert one_time_password(SECRET, "1234", elsewhere) == one_time_password(SECRET, "1234", NOON)


@pytest.mark.parametrize(
    ("distance", "good"),
    [(-181, False), (-180, True), (-1, True), (0, True), (1, True), (180, True), (181, False)],
)
def test_window_is_three_minutes_either_way(distance: int, good: bool) -> None:
    """A code is good up to 180 seconds before and after its second, and not one second more."""
    code = one_time_password(SECRET, "1234", NOON + timedelta(seconds=distance))
    assert accepts(code, SECRET, "1234", NOON.replace(microsecond=999_999), 180) is good


def test_a_verifier_tries_every_second_once() -> None:
    """There are 361 seconds in the window, the present one first."""
    codes = list(candidates(SECRET, "1234", NOON, 180))
    assert len(codes) == 361
    assert codes[0] == one_time_password(SECRET, "1234", NOON)


def test_letters_may_be_upper_case() -> None:
    """The case of a code does not matter, the case of a secret does."""
    code = "f4d6f"
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert accepts(code.upper(), SECRET, "1234", moment, 0)
    assert not accepts(code, SECRET.lower(), "1234", moment, 0)


@pytest.mark.parametrize(
    ("rule", "pin", "delta", "result"),
    [
        ("whole_add", "1234", "0999", "2233"),
        ("whole_add", "9999", "0002", "0001"),
        ("whole_add", "0042", "0000", "0042"),
        ("digit_sub", "1234", "0999", "1345"),
        ("digit_sub", "0042", "0000", "0042"),
        ("digit_add", "1234", "0999", "1123"),
        ("digit_add", "0042", "0000", "0042"),
    ],
)
def test_the_three_readings_of_delta(rule: str, pin: str, delta: str, result: str) -> None:
    """Each reading has its own arithmetic, and all of them keep the PIN at 0000."""
    assert changed_pin(pin, delta, rule) == result
