"""Which things of a listing are still there."""

from hypothesis import given, settings, strategies as st

from custom_components.salto_ks.domain.presence import (
    ABSENCES_OF_MANY,
    ABSENCES_UNTIL_GONE,
    absences,
)


def test_what_is_listed_is_there() -> None:
    """Everything that is listed counts as present, known before or new."""
    assert absences({"a": 1}, {"a", "b"}) == {"a": 0, "b": 0}


def test_first_absence_is_only_counted() -> None:
    """What is missing for the first time is kept, as a page may have shifted while it was read."""
    assert absences({"a": 0, "b": 0}, {"a"}) == {"a": 0, "b": 1}


def test_second_absence_is_the_end() -> None:
    """What is missing twice in a row is gone."""
    assert absences({"a": 0, "b": 1}, {"a"}) == {"a": 0}


def test_return_in_between_starts_the_count_anew() -> None:
    """What was seen again after an absence has to be missing twice once more."""
    counted = absences(absences({"a": 1}, {"a"}), ())
    assert counted == {"a": 1}
    assert absences(counted, ()) == {}


def test_nothing_known_and_nothing_listed_is_nothing() -> None:
    """An empty site stays empty."""
    assert absences({}, ()) == {}


def test_site_that_lists_nothing_keeps_its_things_for_long() -> None:
    """An empty answer after a full one is not believed before it has come for an hour."""
    known = absences({}, "abcdef")
    for _ in range(ABSENCES_OF_MANY - 1):
        known = absences(known, ())
        assert set(known) == set("abcdef")
    assert absences(known, ()) == {}


def test_many_at_once_is_more_than_half() -> None:
    """Half of the things may go as usual; one more, and none of them does."""
    known = absences({}, "abcdefgh")
    half = absences(absences(known, "abcd"), "abcd")
    assert set(half) == set("abcd")
    more = absences(absences(known, "abc"), "abc")
    assert set(more) == set("abcdefgh")


@given(listings=st.lists(st.sets(st.integers(0, 2)), max_size=12))
@settings(deadline=None)
def test_known_is_what_the_last_two_listings_showed(listings: list[set[int]]) -> None:
    """After any run of listings of a few things exactly those of the last two are known."""
    known: dict[int, int] = {}
    for listing in listings:
        known = absences(known, listing)
    recent = listings[-ABSENCES_UNTIL_GONE:]
    assert set(known) == set().union(*recent)
    assert {key for key, count in known.items() if count == 0} == (
        listings[-1] if listings else set()
    )
