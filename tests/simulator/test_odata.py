"""Filters and orders as such."""

from datetime import UTC, datetime

import pytest

from simulator.errors import VendorError
from simulator.odata import Fields, ordered, parse_filter, parse_order

type Row = dict[str, str | bool | int | datetime | None]

FIELDS: Fields[Row] = {
    name: lambda row, name=name: row.get(name) for name in ("name", "on", "size", "at", "sub/name")
}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ROW: Row = {"name": "O'Neil", "on": True, "size": 5, "at": NOON, "sub/name": None}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("name eq 'O''Neil'", True),
        ("name eq 'o''neil'", False),
        ("name ne 'x'", True),
        ("contains(name,'Ne')", True),
        ("contains(sub/name,'Ne')", False),
        ("on eq true", True),
        ("on ne false", True),
        ("size ge 5", True),
        ("size gt 5", False),
        ("size lt 5.5", True),
        ("size le -1", False),
        ("sub/name eq null", True),
        ("sub/name eq 'x'", False),
        ("sub/name ne 'x'", True),
        ("name gt null", False),
        ("name eq guid'O'", False),
        ("at ge DateTime'2026-06-01T12:00:00Z'", True),
        ("at gt DateTime'2026-06-01T12:00:00'", False),
        ("at lt 2026-06-01T14:00:01+02:00", True),
        ("on eq true and size eq 4", False),
        ("on eq false or size eq 5", True),
        ("on eq false or size eq 5 and name eq 'x'", False),
        ("(on eq false or size eq 5) and name eq 'O''Neil'", True),
        ("((on eq true))", True),
    ],
)
def test_what_a_filter_says(text: str, holds: bool) -> None:
    """Comparisons, texts, nothing and times, joined with the usual precedence."""
    assert parse_filter(text, FIELDS)(ROW) is holds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name eq",
        "name eq 'x' and",
        "name eq 'x' name",
        "name eq name",
        "'x' eq name",
        "(name eq 'x'",
        "name eq )",
        "contains(name 'x')",
        "contains(name,1)",
        "contains(nobody,'x')",
        "nobody eq 1",
        "at ge DateTime'yesterday'",
        "name eq 'x",
        "name § 'x'",
        "(" * 21 + "on eq true" + ")" * 21,
        "name eq '" + "x" * 2000 + "'",
    ],
)
def test_what_is_no_filter(text: str) -> None:
    """Everything else is 1102 and no crash."""
    with pytest.raises(VendorError) as caught:
        parse_filter(text, FIELDS)
    assert (caught.value.status, caught.value.code) == (400, 1102)


@pytest.mark.parametrize("text", ["on eq 1", "size eq 'x'", "at ge 'x'", "name eq true"])
def test_types_do_not_mix(text: str) -> None:
    """A comparison with another type is refused instead of being false."""
    with pytest.raises(VendorError):
        parse_filter(text, FIELDS)(ROW)


def test_orders() -> None:
    """Several keys, both directions, nothing before something."""
    rows: list[Row] = [
        {"name": "b", "size": 1},
        {"name": "a", "size": 2},
        {"name": "a", "size": 1},
        {"size": 9},
    ]
    up = ordered(rows, parse_order("name, size desc", FIELDS))
    assert [(row.get("name"), row["size"]) for row in up] == [
        (None, 9), ("a", 2), ("a", 1), ("b", 1),
    ]  # fmt: skip
    down = ordered(rows, parse_order("name DESC", FIELDS))
    assert [row.get("name") for row in down] == ["b", "a", "a", None]
