"""Quirks as data."""

from dataclasses import fields
from itertools import combinations

import pytest

from simulator import Quirks, pairwise
from simulator.quirks import LAGS, choices


def test_every_quirk_says_what_is_known() -> None:
    """Each field has an evidence tag and a sentence."""
    tags = ("DOC", "MEAS", "CODE", "INF", "UNK")
    for quirk in fields(Quirks):
        assert any(tag in quirk.metadata["evidence"] for tag in tags), quirk.name
        assert quirk.metadata["about"].endswith("."), quirk.name


def test_defaults_are_the_first_choice() -> None:
    """The first value of each list is what `Quirks()` has."""
    assert all(getattr(Quirks(), name) == values[0] for name, values in choices().items())


def test_instant_takes_every_lag_away() -> None:
    """The preset has no lag and leaves the rest alone."""
    quirks = Quirks.instant(list_shape="bare")
    assert all(getattr(quirks, name) == 0 for name in LAGS)
    assert quirks.list_shape == "bare"
    assert Quirks.instant(delete_lag_s=3.0).delete_lag_s == 3.0


def test_pairs_from_the_command_line() -> None:
    """Texts become values of the right type, and back."""
    pairs = ["list_shape=bare", "block_threshold=8", "creation_lag_s=2.5", "max_page_size=50"]
    quirks = Quirks.from_pairs(pairs)
    assert quirks.block_threshold == 8
    assert (quirks.creation_lag_s, quirks.max_page_size) == (2.5, 50)
    assert sorted(quirks.as_pairs()) == sorted(pairs)
    assert Quirks.from_pairs(quirks.as_pairs()) == quirks
    assert Quirks.from_pairs([]) == Quirks()


def test_the_preset_on_the_command_line() -> None:
    """What follows the preset still counts."""
    quirks = Quirks.from_pairs(["preset=instant", "delete_lag_s=1"])
    assert quirks == Quirks.instant(delete_lag_s=1.0)


@pytest.mark.parametrize(
    "pair",
    [
        "list_shape",
        "no_such=1",
        "list_shape=round",
        "block_threshold=4",
        "creation_lag_s=soon",
        "creation_lag_s=-1",
        "default_page_size=0",
        "preset=other",
    ],
)
def test_pairs_that_are_refused(pair: str) -> None:
    """What is no quirk or no value of it is named in the message."""
    with pytest.raises(ValueError, match=pair.partition("=")[0]):
        Quirks.from_pairs([pair])


def test_values_are_checked_in_code_too() -> None:
    """A wrong value does not get into a test unnoticed."""
    with pytest.raises(ValueError, match="delta_rule is one of"):
        Quirks(delta_rule="times")
    with pytest.raises(ValueError, match="delete_lag_s is at least"):
        Quirks(delete_lag_s=-1.0)


def test_pairwise_covers_every_pair() -> None:
    """Any two values of any two quirks meet in some row, and the rows are few."""
    rows = pairwise()
    table = choices()
    assert rows[0] == Quirks()
    for (one, some), (other, more) in combinations(table.items(), 2):
        met = {(getattr(row, one), getattr(row, other)) for row in rows}
        assert met == {(a, b) for a in some for b in more}
    most = sorted((len(values) for values in table.values()), reverse=True)
    assert most[0] * most[1] <= len(rows) <= 40


def test_pairwise_is_the_same_in_every_run() -> None:
    """The rows can be used as test ids."""
    assert pairwise() == pairwise()


def test_pairwise_of_some_fields() -> None:
    """Only the named fields vary, on top of the base."""
    rows = pairwise(Quirks.instant(), ["list_shape", "error_code"])
    assert len(rows) == 4
    assert all(row.creation_lag_s == 0 for row in rows)
    assert {row.delta_rule for row in rows} == {"whole_add"}
