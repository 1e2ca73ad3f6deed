"""The difference by which an IQ PIN is changed, under both readings."""

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.api.iq_pin import KEEP_PIN, digitwise_difference, whole_delta

PINS = st.integers(0, 9999).map("{:04d}".format)


@pytest.mark.parametrize(
    ("old", "new", "delta"),
    [
        ("1234", "1234", "0000"),
        ("1234", "1239", "0005"),
        ("1239", "1234", "9995"),
        ("9999", "0000", "0001"),
        ("0000", "9999", "9999"),
        ("0042", "0001", "9959"),
    ],
)
def test_whole_delta(old: str, new: str, delta: str) -> None:
    """The whole-number delta is the difference modulo 10000, padded on the left."""
    assert whole_delta(old, new) == delta


@pytest.mark.parametrize(
    ("minuend", "subtrahend", "difference"),
    [
        ("1234", "0999", "1345"),
        ("1234", "0000", "1234"),
        ("0000", "9999", "1111"),
        ("1234", "1345", "0999"),
    ],
)
def test_digitwise_difference(minuend: str, subtrahend: str, difference: str) -> None:
    """Each digit is subtracted by itself, without borrowing."""
    assert digitwise_difference(minuend, subtrahend) == difference


@given(old=PINS, new=PINS)
@settings(deadline=None)
def test_a_delta_leads_to_the_new_pin(old: str, new: str) -> None:
    """Under each reading, applying the delta to the old PIN gives the new one."""
    added = (int(old) + int(whole_delta(old, new))) % 10_000
    assert f"{added:04d}" == new
    assert digitwise_difference(old, digitwise_difference(old, new)) == new


@given(pin=PINS)
@settings(deadline=None)
def test_keeping_the_pin_is_the_same_under_both_readings(pin: str) -> None:
    """`0000` changes nothing, whichever way Salto counts."""
    assert whole_delta(pin, pin) == KEEP_PIN
    assert digitwise_difference(pin, KEEP_PIN) == pin
    assert digitwise_difference(pin, pin) == KEEP_PIN


def test_pins_of_different_length_are_a_mistake() -> None:
    """A short delta is never padded silently, on either side."""
    with pytest.raises(ValueError, match="shorter"):
        digitwise_difference("1234", "5")
