"""Our own ids, so that none is mistaken for another."""

from typing import Final, NewType

KeyId = NewType("KeyId", str)
"""Ours, stable from intent to end: `<instance>-<number>`."""
DoorId = NewType("DoorId", str)
GuestId = NewType("GuestId", str)
"""The vendor's id of the guest that carries a key; a re-issue changes it."""
PersonId = NewType("PersonId", str)
"""The same guest as a member of groups and in the door log."""
GroupId = NewType("GroupId", str)
TimesId = NewType("TimesId", str)
"""The vendor's id of a time schedule."""
BookingId = NewType("BookingId", str)
UnitId = NewType("UnitId", str)

INSTANCE_LENGTH: Final = 4
"""Characters by which the keys of one Home Assistant are told from those of another."""
_PREFIX: Final = "ha-"
_DIGITS: Final = 12
"""Of a key's number, at most; whoever may name guests at Salto may write any number of them."""


def key_id(instance: str, number: int) -> KeyId:
    """Return the id of the key with this number."""
    return KeyId(f"{instance}-{number}")


def marker(key: KeyId) -> str:
    """Return what the guest and the groups of a key carry in their names at Salto."""
    return f"{_PREFIX}{key}"


def group_name(key: KeyId, part: int) -> str:
    """Return the name of one of a key's groups; there is one for each time zone.

    Those of a new key are numbered from 1 on, later ones by the clock.
    """
    return f"{marker(key)}.{part}"


def is_group_name(name: str) -> bool:
    """Tell whether a name is one that a key's group is given, and nothing more."""
    key, part = marked(name), name.rpartition(".")[2]
    return key is not None and part.isdecimal() and name == f"{marker(key)}.{part}"


def marked(name: str) -> KeyId | None:
    """Find the marker in a name at Salto; None for what is not ours."""
    for word in name.split():
        head, separator, tail = word.partition(_PREFIX)
        instance, dash, number = tail.partition(".")[0].partition("-")
        if (
            separator
            and dash
            and not head
            and len(instance) == INSTANCE_LENGTH
            and instance.isalnum()
            and number.isdecimal()
            and number.isascii()
            and len(number) <= _DIGITS
        ):
            return KeyId(f"{instance}-{number}")
    return None


def instance_of(key: KeyId) -> str:
    """Return the Home Assistant that made a key."""
    return key.partition("-")[0]


def number_of(key: KeyId) -> int:
    """Return a key's number; it rises with each key that is made."""
    return int(key.partition("-")[2])
