"""What is read out of our own files is what it should be, or it is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
import json

from hypothesis import given, strategies as st
import pytest

from custom_components.salto_ks.domain.json_values import (
    as_instant,
    as_list,
    as_number,
    as_text,
    as_truth,
    as_word,
    instant_to_json,
    optional,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
IN_SUMMER = timezone(timedelta(hours=2))

type Read = Callable[[object], object]

GOOD: dict[str, tuple[Read, object, object]] = {
    "text": (as_text, "gate", "gate"),
    "empty text": (as_text, "", ""),
    "word": (as_word, "gate", "gate"),
    "true": (as_truth, True, True),
    "false": (as_truth, False, False),
    "none of them": (as_number, 0, 0),
    "number": (as_number, 12, 12),
    "list": (as_list, ["gate", 1], ["gate", 1]),
    "empty list": (as_list, [], []),
    "instant": (as_instant, "2026-06-01T12:00:00+00:00", NOON),
    "instant elsewhere": (as_instant, "2026-06-01T14:00:00+02:00", NOON),
}

BAD: dict[str, tuple[Read, list[object]]] = {
    "text": (as_text, [None, 7, ["gate"]]),
    "word": (as_word, [None, 7, ""]),
    "truth": (as_truth, [None, 0, 1, "true"]),
    "number": (as_number, [None, -1, 1.5, "1", True]),
    "list": (as_list, [None, {}, "gate", 7]),
    "instant": (
        as_instant,
        [None, 7, "soon", "2026-06-01T12:00:00", "0001-01-01T00:00:00+14:00"],
    ),
}


@pytest.mark.parametrize(("read", "value", "expected"), GOOD.values(), ids=GOOD)
def test_what_is_right_is_read(read: Read, value: object, expected: object) -> None:
    """A value of the kind that it should be is read."""
    assert read(value) == expected


@pytest.mark.parametrize(("read", "values"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_refused(read: Read, values: list[object]) -> None:
    """A value of another kind is a ValueError, whatever it is."""
    for value in values:
        with pytest.raises(ValueError, match=r"not |Invalid"):
            read(value)


def test_instants_are_kept_in_utc() -> None:
    """Two instants of one zone would compare by their wall clocks."""
    assert as_instant("2026-06-01T14:00:00+02:00").tzinfo is UTC
    assert instant_to_json(NOON.astimezone(IN_SUMMER)) == "2026-06-01T12:00:00+00:00"


def test_instants_that_cannot_be_written() -> None:
    """A naive one would be another in each zone, and some are before all time in UTC."""
    with pytest.raises(ValueError, match="not an aware instant"):
        instant_to_json(NOON.replace(tzinfo=None))
    with pytest.raises(ValueError, match="not an instant that UTC has"):
        instant_to_json(datetime(1, 1, 1, tzinfo=IN_SUMMER))


@given(instant=st.datetimes(timezones=st.just(UTC)))
def test_instant_comes_back(instant: datetime) -> None:
    """An instant that was written is read as it was."""
    assert as_instant(json.loads(json.dumps(instant_to_json(instant)))) == instant


def test_missing_value() -> None:
    """What may be missing is read if it is there."""
    assert optional(as_number, None) is None
    assert optional(as_number, 7) == 7
    with pytest.raises(ValueError, match="not a number"):
        optional(as_number, "7")
