"""Plain JSON data from typed records and back, for the state file and for changes by hand."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, time
from functools import cache
import types
from typing import Any, Literal, NewType, TypeAliasType, Union, get_args, get_origin, get_type_hints

from .errors import MisfitError
from .world import LocalTime


def encode(value: Any) -> Any:
    """Return a value as JSON data. A mapping with other keys than texts becomes a list of pairs."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            part.name: encode(getattr(value, part.name))
            for part in fields(value)
            if part.metadata.get("saved", True)
        }
    if isinstance(value, (datetime, time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value):
            return {key: encode(item) for key, item in value.items()}
        return [[encode(key), encode(item)] for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def decode(hint: Any, value: Any) -> Any:
    """Return JSON data as the type of a hint. Raises MisfitError where it does not fit."""
    if isinstance(hint, TypeAliasType):
        return decode(hint.__value__, value)
    if isinstance(hint, NewType):
        return _local(value) if hint is LocalTime else decode(hint.__supertype__, value)
    origin = get_origin(hint)
    if origin is not None:
        return _decode_generic(hint, origin, get_args(hint), value)
    return decode_record(hint, value) if is_dataclass(hint) else _plain(hint, value)


def decode_record(kind: Any, value: Any) -> Any:
    """Return a mapping as a dataclass. Raises MisfitError for unknown or missing fields."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise MisfitError(f"{kind.__name__} is made from an object, not from {value!r}")
    hints = field_types(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise MisfitError(f"{kind.__name__} has no {', '.join(unknown)}")
    try:
        return kind(**{name: decode(hints[name], item) for name, item in value.items()})
    except TypeError as error:
        raise MisfitError(f"{kind.__name__}: {error}") from error


def field_types(kind: Any) -> dict[str, Any]:
    """Return the types of a dataclass's fields, those that are never saved left out."""
    return _field_types(kind)


@cache
def _field_types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {
        part.name: hints[part.name] for part in fields(kind) if part.metadata.get("saved", True)
    }


def _decode_generic(hint: Any, origin: Any, args: tuple[Any, ...], value: Any) -> Any:
    if origin in {Union, types.UnionType}:
        if value is None:
            return _nothing(hint, args)
        return decode(next(arg for arg in args if arg is not types.NoneType), value)
    if origin is Literal:
        if value not in args:
            raise MisfitError(f"one of {', '.join(map(str, args))} is wanted, not {value!r}")
        return value
    if origin is dict:
        return {decode(args[0], key): decode(args[1], item) for key, item in _pairs(args[0], value)}
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise MisfitError(f"a list is wanted, not {value!r}")
    if origin is tuple and args[-1] is not ...:
        return tuple(decode(arg, item) for arg, item in zip(args, value, strict=True))
    return origin(decode(args[0], item) for item in value)


def _pairs(key_hint: Any, value: Any) -> Iterable[tuple[Any, Any]]:
    """Return what a mapping is made of; only one whose keys are no texts is a list of pairs."""
    if isinstance(value, Mapping):
        return value.items()
    if get_origin(key_hint) is None or not isinstance(value, list):
        raise MisfitError(f"an object is wanted, not {value!r}")
    return value


def _nothing(hint: Any, args: tuple[Any, ...]) -> None:
    if types.NoneType not in args:
        raise MisfitError(f"{hint} cannot be empty")


def _plain(hint: Any, value: Any) -> Any:
    if hint is Any:
        return value
    if issubclass(hint, datetime):
        return _instant(value)
    if issubclass(hint, time):
        return value if isinstance(value, time) else _parsed(time, value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise MisfitError(f"{hint.__name__} is wanted, not {type(value).__name__}")
    return value


def _parsed[T: (datetime, time)](kind: type[T], value: Any) -> T:
    if not isinstance(value, str):
        raise MisfitError(f"a text is wanted, not {type(value).__name__}")
    try:
        return kind.fromisoformat(value)
    except ValueError as error:
        raise MisfitError(str(error)) from error


def _instant(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else _parsed(datetime, value)
    if moment.tzinfo is None:
        raise MisfitError("an instant needs a time zone")
    return moment


def _local(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else _parsed(datetime, value)
    if moment.tzinfo is not None:
        raise MisfitError("a local time has no time zone")
    return moment
