"""Which things of a listing are still there."""

from hypothesis import given, settings, strategies as st

from custom_components.salto_ks.domain.presence import ABSENCES_UNTIL_GONE, absences


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


@given(listings=st.lists(st.sets(st.integers(0, 5)), max_size=12))
@settings(deadline=None)
def test_known_is_what_the_last_two_listings_showed(listings: list[set[int]]) -> None:
    """After any run of listings exactly the things of the last two are known."""
    known: dict[int, int] = {}
    for listing in listings:
        known = absences(known, listing)
    recent = listings[-ABSENCES_UNTIL_GONE:]
    assert set(known) == set().union(*recent)
    assert {key for key, count in known.items() if count == 0} == (
        listings[-1] if listings else set()
    )
