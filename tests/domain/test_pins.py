"""PINs of our own choice."""

from collections.abc import Callable

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.pins import (
    LONGEST,
    SHORTEST,
    NoPinLeftError,
    choose_pin,
    is_trivial,
)

DIGITS = st.text("0123456789", min_size=SHORTEST, max_size=LONGEST)


def rolling(*rolls: int) -> Callable[[int], int]:
    """Return dice that show these numbers, and fail when they are rolled once more."""
    left = iter(rolls)

    def roll(sides: int) -> int:
        number = next(left)
        assert number < sides
        return number

    return roll


@pytest.mark.parametrize(
    "pin",
    [
        *("0000", "1111", "99999", "000000"),
        *("1212", "9090", "121212", "123123", "007007"),
        *("1234", "0123", "6789", "7890", "8901", "9012", "12345", "123456", "789012"),
        *("4321", "9876", "3210", "2109", "1098", "54321", "654321"),
    ],
)
def test_trivial(pin: str) -> None:
    """What anybody would try first is trivial."""
    assert is_trivial(pin)


@pytest.mark.parametrize(
    "pin",
    [
        *("1112", "2111", "1221", "12121", "12312", "121213"),
        *("1235", "1324", "1357", "2468", "9753", "1243", "9870", "12346", "123465"),
        *("4711", "0815", "80427", "290316"),
    ],
)
def test_not_trivial(pin: str) -> None:
    """What takes a thought to guess is not."""
    assert not is_trivial(pin)


@given(pin=DIGITS)
@settings(deadline=None)
def test_turned_around_is_as_trivial(pin: str) -> None:
    """Read from behind, a PIN is as easy or as hard to guess."""
    assert is_trivial(pin) == is_trivial(pin[::-1])


def test_few_are_trivial() -> None:
    """Of the shortest PINs hardly more than one in a hundred is trivial."""
    assert sum(is_trivial(f"{number:04}") for number in range(10_000)) == 100 + 2 * 10


@given(
    length=st.integers(SHORTEST, LONGEST),
    taken=st.frozensets(DIGITS, max_size=50),
    rolls=st.lists(st.integers(0, 9999), unique=True, min_size=300, max_size=300),
)
@settings(deadline=None, max_examples=50)
def test_chosen_pin(length: int, taken: frozenset[str], rolls: list[int]) -> None:
    """A chosen PIN has the wished length, is nobody else's, and takes a thought to guess."""
    pin = choose_pin(length, taken, rolling(*rolls))
    assert len(pin) == length
    assert pin.isdecimal()
    assert pin not in taken
    assert not is_trivial(pin)


def test_leading_zeros_stay() -> None:
    """A small number is a PIN of full length."""
    assert choose_pin(6, (), rolling(42)) == "000042"


def test_dice_are_rolled_until_they_fit() -> None:
    """A PIN that is taken or trivial is passed over, and nothing is made of it."""
    assert choose_pin(4, {"4711", "47110"}, rolling(4711, 1234, 1111, 9182)) == "9182"


def test_dice_have_as_many_sides_as_there_are_pins() -> None:
    """Every PIN of the length can come up."""
    asked: list[int] = []

    def roll(sides: int) -> int:
        asked.append(sides)
        return sides - 2

    assert choose_pin(5, (), roll) == "99998"
    assert asked == [100_000]


@pytest.mark.parametrize("length", [-1, 0, 3, 7, 100])
def test_length_that_cannot_be_had(length: int) -> None:
    """Three digits and seven digits are refused."""
    with pytest.raises(ValueError, match="four to six"):
        choose_pin(length, (), rolling())


def test_no_pin_left() -> None:
    """With more than half of a length taken, none is chosen of it, but of another length."""
    half = {f"{number:04}" for number in range(5000)}
    assert choose_pin(4, half, rolling(9182)) == "9182"
    more = half | {"5000"}
    with pytest.raises(NoPinLeftError):
        choose_pin(4, more, rolling())
    assert choose_pin(5, more, rolling(9182)) == "09182"
