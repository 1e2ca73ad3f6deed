"""The part of OData that the vendor's lists understand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
import re
from typing import Any

from .errors import invalid_query

type Scalar = str | bool | int | float | datetime | None
type Getter[T] = Callable[[T], Scalar]
type Fields[T] = Mapping[str, Getter[T]]
type Predicate[T] = Callable[[T], bool]

MAX_FILTER_LENGTH = 2_000
MAX_DEPTH = 20

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<datetime>DateTime'[^']*')
      | (?P<guid>guid'[^']*')
      | (?P<text>'(?:[^']|'')*')
      | (?P<instant>\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d))
      | (?P<number>-?\d+(?:\.\d+)?)
      | (?P<name>[A-Za-z_][A-Za-z0-9_/]*)
      | (?P<sign>[(),])
    )""",
    re.VERBOSE,
)

_COMPARISONS: Mapping[str, Callable[[object, object], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,  # type: ignore[operator] # same type, checked before
    "ge": lambda left, right: left >= right,  # type: ignore[operator] # same type, checked before
    "lt": lambda left, right: left < right,  # type: ignore[operator] # same type, checked before
    "le": lambda left, right: left <= right,  # type: ignore[operator] # same type, checked before
}

_CONSTANTS: Mapping[str, Scalar] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def parse_filter[T](text: str, fields: Fields[T], *, odata_v3: bool = True) -> Predicate[T]:
    """Return the condition that a `$filter` states.

    Comparisons (`eq ne gt ge lt le`), `contains(field,'text')`, `and`, `or` and parentheses.
    `DateTime'…'` is OData 3 and refused where the caller has turned that off. Raises 400/1102 for
    an unknown field or anything that cannot be read. Evidence: CODE, MEAS for the unknown field.
    """
    if len(text) > MAX_FILTER_LENGTH:
        raise invalid_query("The filter is too long.")
    parser = _Parser(_tokens(text), fields, odata_v3=odata_v3)
    return parser.parse()


def parse_order[T](text: str, fields: Fields[T]) -> list[tuple[Getter[T], bool]]:
    """Return the keys of an `$orderby`, each with whether it descends. Raises 400/1102."""
    keys: list[tuple[Getter[T], bool]] = []
    for part in text.split(","):
        words = part.split()
        direction = words[1].lower() if len(words) == 2 else "asc"
        if not words or len(words) > 2 or direction not in {"asc", "desc"}:
            raise invalid_query("The orderby expression cannot be read.")
        keys.append((_field(words[0], fields), direction == "desc"))
    return keys


def ordered[T](items: Iterable[T], keys: Sequence[tuple[Getter[T], bool]]) -> list[T]:
    """Return items in the order of an `$orderby`; empty values come first going up."""
    result = list(items)
    for getter, descending in reversed(keys):
        result.sort(key=_by(getter), reverse=descending)
    return result


def _by[T](getter: Getter[T]) -> Callable[[T], tuple[bool, Any]]:
    def key(item: T) -> tuple[bool, Any]:
        value = getter(item)
        return (value is not None, "" if value is None else value)

    return key


def _field[T](name: str, fields: Fields[T]) -> Getter[T]:
    getter = fields.get(name)
    if getter is None:
        raise invalid_query(f"Could not find a property named '{name}'.")
    return getter


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise invalid_query(f"Syntax error at position {position} in the filter.")
        tokens.append(_Token(match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return tokens


class _Parser[T]:
    """A recursive-descent parser over the tokens of one filter."""

    def __init__(self, tokens: list[_Token], fields: Fields[T], *, odata_v3: bool) -> None:
        self._tokens = tokens
        self._fields = fields
        self._odata_v3 = odata_v3
        self._position = 0
        self._depth = 0

    def parse(self) -> Predicate[T]:
        condition = self._either()
        if self._position != len(self._tokens):
            raise invalid_query("The filter goes on after its end.")
        return condition

    def _either(self) -> Predicate[T]:
        options = [self._both()]
        while self._take_word("or"):
            options.append(self._both())
        return options[0] if len(options) == 1 else lambda item: any(one(item) for one in options)

    def _both(self) -> Predicate[T]:
        parts = [self._single()]
        while self._take_word("and"):
            parts.append(self._single())
        return parts[0] if len(parts) == 1 else lambda item: all(one(item) for one in parts)

    def _single(self) -> Predicate[T]:
        token = self._next()
        if token.text == "(" and token.kind == "sign":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise invalid_query("The filter is nested too deeply.")
            inner = self._either()
            self._expect(")")
            self._depth -= 1
            return inner
        if token.kind != "name":
            raise invalid_query(f"A property is expected instead of {token.text}.")
        if token.text == "contains":
            return self._contains()
        return self._comparison(token.text)

    def _contains(self) -> Predicate[T]:
        self._expect("(")
        getter = _field(self._next().text, self._fields)
        self._expect(",")
        needle = self._literal()
        self._expect(")")
        if not isinstance(needle, str):
            raise invalid_query("contains takes a text.")
        return lambda item: needle in str(getter(item) or "")

    def _comparison(self, name: str) -> Predicate[T]:
        getter = _field(name, self._fields)
        operator = self._next().text
        compare = _COMPARISONS.get(operator)
        if compare is None:
            raise invalid_query(f"There is no operator '{operator}'.")
        wanted = self._literal()

        def holds(item: T) -> bool:
            value = getter(item)
            if wanted is None or value is None:
                return operator in {"eq", "ne"} and compare(value, wanted)
            if not _comparable(value, wanted):
                raise invalid_query(f"'{name}' cannot be compared with this value.")
            return compare(value, wanted)

        return holds

    def _literal(self) -> Scalar:
        token = self._next()
        match token.kind:
            case "text":
                return token.text[1:-1].replace("''", "'")
            case "guid":
                return token.text[5:-1]
            case "number":
                return float(token.text)
            case "instant":
                return _moment(token.text)
            case "datetime" if self._odata_v3:
                return _moment(token.text[9:-1])
            case "name" if token.text in _CONSTANTS:
                return _CONSTANTS[token.text]
        raise invalid_query(f"A value is expected instead of {token.text}.")

    def _next(self) -> _Token:
        if self._position == len(self._tokens):
            raise invalid_query("The filter ends too early.")
        self._position += 1
        return self._tokens[self._position - 1]

    def _take_word(self, word: str) -> bool:
        if self._position < len(self._tokens) and self._tokens[self._position] == _Token(
            "name", word
        ):
            self._position += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if self._next().text != sign:
            raise invalid_query(f"The filter lacks a '{sign}'.")


def _comparable(value: Scalar, wanted: Scalar) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return isinstance(value, bool) and isinstance(wanted, bool)
    if isinstance(value, (int, float)):
        return isinstance(wanted, (int, float))
    if isinstance(value, datetime):
        return isinstance(wanted, datetime)
    return isinstance(wanted, str)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_query("The date and time cannot be read.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
