"""The ids of keys, and how they are found again in names at Salto."""

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.ids import (
    INSTANCE_LENGTH,
    KeyId,
    group_name,
    instance_of,
    is_group_name,
    key_id,
    marked,
    marker,
    number_of,
)

INSTANCES = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=4, max_size=4)
NUMBERS = st.integers(0, 10**9)
WORDS = st.lists(st.text("abcXYZ019.,'é ", max_size=12), max_size=3).map(" ".join)


@given(instance=INSTANCES, number=NUMBERS)
@settings(deadline=None)
def test_id_tells_instance_and_number(instance: str, number: int) -> None:
    """An id is made of the two and gives them back."""
    key = key_id(instance, number)
    assert (instance_of(key), number_of(key)) == (instance, number)


@given(instance=INSTANCES, number=NUMBERS, before=WORDS, after=WORDS, part=st.integers(1, 9))
@settings(deadline=None)
def test_marker_is_found(instance: str, number: int, before: str, after: str, part: int) -> None:
    """A key is found in the names of its guest and its groups, whatever else they say."""
    key = key_id(instance, number)
    assert marked(f"{before} {marker(key)} {after}") == key
    assert marked(f"{before} {group_name(key, part)} {after}") == key


@given(instance=INSTANCES, number=NUMBERS, parts=st.tuples(st.integers(1, 99), st.integers(1, 99)))
@settings(deadline=None)
def test_groups_of_a_key_have_different_names(
    instance: str, number: int, parts: tuple[int, int]
) -> None:
    """Two groups of a key are told apart by their numbers."""
    key = key_id(instance, number)
    names = {group_name(key, part) for part in parts}
    assert len(names) == len(set(parts))
    assert marker(key) not in names


@given(st.text(max_size=40))
@settings(deadline=None)
def test_any_name_can_be_looked_at(name: str) -> None:
    """Whatever somebody was called, looking for a marker finds a well-formed id or none."""
    found = marked(name)
    assert found is None or (len(instance_of(found)) == INSTANCE_LENGTH and number_of(found) >= 0)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Jan de Vries",
        "ha",
        "ha-",
        "ha-ab12",
        "ha-ab12-",
        "ha-ab12-x",
        "ha-ab12-7x",
        "ha-ab12--7",
        "ha-ab12- 7",
        "ha-abc-7",
        "ha-abc12-7",
        "ha-a_12-7",
        "ha-ab12-٧",
        "ha-ab12-²",
        "xha-ab12-7",
        "HA-ab12-7",
        "ab12-7",
    ],
)
def test_name_without_marker(name: str) -> None:
    """What only looks like a marker is nobody's, and so is never touched."""
    assert marked(name) is None


def test_first_marker_counts() -> None:
    """A name with two markers is the first one's."""
    assert marked("ha-nope ha-ab12-7 ha-ab12-8") == KeyId("ab12-7")


def test_number_without_measure() -> None:
    """Digits of any number are no number of ours: whoever names guests may write a book of them."""
    assert marked(f"ha-abcd-{'9' * 12}") == f"abcd-{'9' * 12}"
    assert marked(f"ha-abcd-{'9' * 13}") is None
    assert marked(f"ha-abcd-{'9' * 5000}") is None


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("ha-ab12-7.1", True),
        ("ha-ab12-7.1766000000", True),
        ("ha-ab12-7", False),
        ("ha-ab12-7.", False),
        ("ha-ab12-7.x", False),
        ("ha-ab12-7.1.2", False),
        ("Cleaners ha-ab12-7.1", False),
        ("ha-ab12-7.1 cleaners", False),
        ("Cleaners", False),
    ],
)
def test_names_of_groups(name: str, is_one: bool) -> None:
    """A group that somebody has given a marker among other words was not made for a key."""
    assert is_group_name(name) is is_one
