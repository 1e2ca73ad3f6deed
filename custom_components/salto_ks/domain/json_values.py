"""What stands in our own files: each function reads one value out of JSON, or writes one.

Whoever reads a file cannot know who has written it. A value of another kind is a ValueError that
says what it should be and never what it is, since a file may hold secrets.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


def as_text(value: object) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - one kind of error for all that is damaged
    return value


def as_word(value: object) -> str:
    """Read a text that says something."""
    if not (text := as_text(value)):
        raise ValueError("not a text that says something")
    return text


def as_truth(value: object) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise ValueError("not true or false")  # noqa: TRY004 - as above
    return value


def as_number(value: object) -> int:
    """Read how many there are of something."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("not a number")
    return value


def as_list(value: object) -> list[Any]:
    """Read a list of anything."""
    if not isinstance(value, list):
        raise ValueError("not a list")  # noqa: TRY004 - as above
    return value


def as_instant(value: object) -> datetime:
    """Read an aware instant, in UTC."""
    return _in_utc(datetime.fromisoformat(as_text(value)))


def instant_to_json(instant: datetime) -> str:
    """Write an aware instant. Raises ValueError for a naive one: it is another in each zone."""
    return _in_utc(instant).isoformat()


def optional[S, T](convert: Callable[[S], T], value: S | None) -> T | None:
    """Read or write a value that may be missing."""
    return None if value is None else convert(value)


def _in_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("not an aware instant")
    try:
        return instant.astimezone(UTC)
    except OverflowError as err:
        raise ValueError("not an instant that UTC has") from err
