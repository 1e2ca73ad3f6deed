"""Reading single fields."""

from datetime import UTC, datetime
from enum import StrEnum

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.api.exceptions import SaltoKsUnexpectedResponseError
from custom_components.salto_ks.api.parsing import (
    boolean,
    identifier,
    is_uuid,
    json_array,
    json_object,
    known,
    optional_boolean,
    optional_identifier,
    optional_instant,
    optional_integer,
    text,
)

UUID = "abcdef01-2345-4678-9abc-def012345678"
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a text", "a text"),
        ("", ""),
        (5, "5"),
        (2.5, "2.5"),
        (None, "-"),
        (True, "-"),
        ([], "-"),
        ({}, "-"),
        ("half \ud83d", "half \N{REPLACEMENT CHARACTER}"),
        ("\udd12\ud83d", "\N{REPLACEMENT CHARACTER}" * 2),
        ("\ud83d\udd12", "\N{LOCK}"),
        ("\N{LOCK} é \0", "\N{LOCK} é \0"),
        ("\ufeffmarked", "\ufeffmarked"),
    ],
    ids=ascii,
)
def test_text(value: object, expected: str) -> None:
    """Texts and numbers are texts that can be written as UTF-8; the rest is the default."""
    assert text({"key": value}, "key", "-") == expected
    assert text({}, "key") == ""


@given(value=st.text(st.characters()))
@settings(deadline=None)
def test_proper_text_is_untouched(value: str) -> None:
    """Only halves of characters are replaced."""
    read = text({"key": value}, "key")
    read.encode("utf-8")
    assert read == value or any("\ud800" <= char <= "\udfff" for char in value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), (False, False), ("true", True), ("False", False), ("yes", None), (1, None), (0, None), (None, None), ([True], None)],
    ids=repr,
)  # fmt: skip
def test_boolean(value: object, expected: bool | None) -> None:
    """Truths and their words are truths; anything else is the default."""
    for default in (True, False):
        assert boolean({"key": value}, "key", default=default) is (
            default if expected is None else expected
        )
    assert optional_boolean({"key": value}, "key") is (None if value is None else bool(expected))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (-5, -5),
        ("5", 5),
        (" 5 ", 5),
        (5.9, 5),
        (10**30, 10**30),
        ("five", None),
        ("5.0", None),
        ("9" * 5000, None),
        ("", None),
        (True, None),
        (None, None),
        ([], None),
        (float("inf"), None),
        (float("nan"), None),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_optional_integer(value: object, expected: int | None) -> None:
    """Whole numbers in any spelling, None for what is none."""
    assert optional_integer({"key": value}, "key") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-02T03:04:05Z", AT),
        ("2026-01-02T03:04:05", AT),
        ("2026-01-02T03:04:05+00:00", AT),
        ("2026-01-02T04:04:05+01:00", AT),
        ("2026-01-02T03:04:05.1Z", AT.replace(microsecond=100_000)),
        ("2026-01-02T03:04:05.1234567Z", AT.replace(microsecond=123_456)),
        ("2026-01-02T03:04:05.123456789012Z", AT.replace(microsecond=123_456)),
        ("2026-01-02", AT.replace(hour=0, minute=0, second=0)),
        ("0001-01-01T00:00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("9999-12-31T24:00:00Z", None),
        ("2026-02-30T00:00:00Z", None),
        ("yesterday", None),
        ("", None),
        (1_767_323_045, None),
        (None, None),
    ],
)
def test_optional_instant(value: object, expected: datetime | None) -> None:
    """An instant is aware UTC, however it was written; what no calendar holds is none."""
    read = optional_instant({"key": value}, "key")
    assert read == expected
    assert read is None or read.tzinfo is UTC


@given(value=st.text(max_size=40) | st.datetimes(timezones=st.timezones()).map(datetime.isoformat))
@settings(deadline=None)
def test_any_text_is_an_instant_or_none(value: str) -> None:
    """No text raises."""
    read = optional_instant({"key": value}, "key")
    assert read is None or read.tzinfo is UTC


@pytest.mark.parametrize("value", [UUID, UUID.upper(), f" {UUID}\n"])
def test_identifier(value: str) -> None:
    """A UUID is read in lower case and without blanks."""
    assert identifier({"key": value}, "key") == UUID
    assert optional_identifier({"key": value}, "key") == UUID


@pytest.mark.parametrize(
    "value", [UUID[:-1], f"{UUID}0", f"{{{UUID}}}", UUID.replace("-", ""), "g" + UUID[1:], "", 5]
)
def test_what_is_no_identifier(value: object) -> None:
    """Anything else is refused by the field's name; only null is no id."""
    for read in (identifier, optional_identifier):
        with pytest.raises(SaltoKsUnexpectedResponseError, match=r"^field key is not an id$"):
            read({"key": value}, "key")
    assert optional_identifier({"key": None}, "key") is None
    assert optional_identifier({}, "key") is None


@pytest.mark.parametrize("value", [f"{UUID}\n", f" {UUID}", UUID.replace("0", "\u0660")])
def test_is_uuid_takes_nothing_around_it(value: str) -> None:
    """What goes into a path is the bare UUID in ASCII."""
    assert is_uuid(UUID)
    assert not is_uuid(value)


def test_containers() -> None:
    """Objects and lists are taken for what they are and for nothing else."""
    assert json_object({"a": 1}, "a thing") == {"a": 1}
    assert json_array([1], "some things") == [1]
    with pytest.raises(SaltoKsUnexpectedResponseError, match=r"^a thing is not an object$"):
        json_object([1], "a thing")
    with pytest.raises(SaltoKsUnexpectedResponseError, match=r"^some things is not a list$"):
        json_array("abc", "some things")


class Colour(StrEnum):
    """Some words."""

    RED = "red"
    NONE = "none"


@pytest.mark.parametrize(
    ("value", "expected"),
    [("red", Colour.RED), ("blue", "blue"), (None, Colour.NONE), (7, "7"), ("", "")],
)
def test_known(value: object, expected: str) -> None:
    """Known words become members, unknown ones stay texts, nothing is the default."""
    read = known(Colour, {"key": value}, "key", Colour.NONE)
    assert read == expected
    assert type(read) is type(expected)
