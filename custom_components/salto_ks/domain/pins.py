"""Keypad PINs of our own choice: not to be guessed, and no two alike among live keys."""

from collections.abc import Callable, Collection
from itertools import pairwise
from typing import Final

SHORTEST: Final = 4
LONGEST: Final = 6
"""Digits a chosen PIN may have (DOC)."""


class NoPinLeftError(Exception):
    """Too many PINs of this length are in use to find another one safely."""


def is_trivial(pin: str) -> bool:
    """Tell whether a PIN is among the first that anybody would try.

    That is: one repeated piece (1111, 1212, 123123), or digits that run up or down in
    steps of one (1234, 9876, 8901).
    """
    for size in range(1, len(pin) // 2 + 1):
        if len(pin) % size == 0 and pin == pin[:size] * (len(pin) // size):
            return True
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(pin)}
    return steps in ({1}, {9})


def choose_pin(length: int, taken: Collection[str], random_below: Callable[[int], int]) -> str:
    """Choose a PIN; `random_below(n)` gives a secure random number from 0 to n - 1.

    Raises ValueError for a length that cannot be had, and NoPinLeftError when more than half
    of the PINs of this length are taken.
    """
    if not SHORTEST <= length <= LONGEST:
        raise ValueError("a chosen PIN has four to six digits")
    same_length = {pin for pin in taken if len(pin) == length}
    if len(same_length) * 2 > 10**length:
        raise NoPinLeftError
    while True:
        pin = f"{random_below(10**length):0{length}d}"
        if pin not in same_length and not is_trivial(pin):
            return pin
