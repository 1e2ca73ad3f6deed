"""Read fields out of the vendor's JSON without believing it.

Each function takes the object and a key, and either gives a value of one type or raises
`SaltoKsUnexpectedResponseError` with the field's name, never with its value. Fields that an
integration can live without have a default instead.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
import re
from typing import Any, Final

from .exceptions import SaltoKsUnexpectedResponseError

type JsonObject = Mapping[str, Any]

LONGEST_NAME: Final = 200
"""Characters of a name; nobody calls a door anything longer."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def json_object(value: object, what: str) -> JsonObject:
    """Take a value as a JSON object."""
    if not isinstance(value, Mapping):
        raise SaltoKsUnexpectedResponseError(f"{what} is not an object")
    return value


def json_array(value: object, what: str) -> list[Any]:
    """Take a value as a JSON array."""
    if not isinstance(value, list):
        raise SaltoKsUnexpectedResponseError(f"{what} is not a list")
    return value


def is_uuid(value: str) -> bool:
    """Tell whether a text is a UUID, the form of every vendor id that goes into a path."""
    return _UUID.fullmatch(value) is not None


def identifier(data: JsonObject, key: str) -> str:
    """Read a required UUID; its case is folded, since servers differ in it (INF)."""
    value = data.get(key)
    if not isinstance(value, str) or not is_uuid(value.strip()):
        raise SaltoKsUnexpectedResponseError(f"field {key} is not an id")
    return value.strip().lower()


def optional_identifier(data: JsonObject, key: str) -> str | None:
    """Read a UUID that may be null or absent."""
    return None if data.get(key) is None else identifier(data, key)


def text(data: JsonObject, key: str, default: str = "") -> str:
    """Read a text; numbers are taken as they are written, anything else is the default.

    JSON can spell half of a surrogate pair, which nothing after us could write down as UTF-8.
    Such a half becomes U+FFFD.
    """
    value = data.get(key)
    if isinstance(value, str):
        if value.isascii():
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return default


def one_line(message: str, longest: int) -> str:
    """Cut a text down to one line that is safe to print: no control or direction characters."""
    line = " ".join(message.split())[:longest]
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else " " for char in line)


def name(data: JsonObject, key: str) -> str:
    """Read what people call something, as one line.

    Whoever may name things at Salto writes into our logs, forms and issues with it.
    """
    return one_line(text(data, key), LONGEST_NAME).strip()


def boolean(data: JsonObject, key: str, *, default: bool = False) -> bool:
    """Read a truth; the texts `true` and `false` count as such."""
    value = data.get(key)
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return default


def optional_boolean(data: JsonObject, key: str) -> bool | None:
    """Read a truth that is None when Salto does not tell."""
    value = data.get(key)
    return None if value is None else boolean(data, key)


def optional_integer(data: JsonObject, key: str) -> int | None:
    """Read a whole number, also from a text; None when there is none."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int(value)
    except ValueError, OverflowError:
        return None


def optional_instant(data: JsonObject, key: str) -> datetime | None:
    """Read a UTC instant, with or without `Z` and with any number of fractional digits."""
    value = data.get(key)
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except ValueError, OverflowError:
        return None


def known[E: StrEnum](enum: type[E], data: JsonObject, key: str, default: E) -> E | str:
    """Read one of the known words; an unknown word is carried as it came."""
    value = text(data, key, default)
    try:
        return enum(value)
    except ValueError:
        return value
