"""Who is told of what: those who listen to a thing, and nobody else, without holding up the loop."""

import asyncio
from collections.abc import Callable

from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.salto_ks.listeners import KeyedListeners


@pytest.fixture
def told() -> list[str]:
    """Return the names of those who were told, in order."""
    return []


@pytest.fixture
async def listeners(freezer: FrozenDateTimeFactory) -> KeyedListeners:
    """Return listeners of the test's own event loop, whose time stands still."""
    return KeyedListeners(asyncio.get_running_loop())


@pytest.fixture
def note(told: list[str]) -> Callable[[str], Callable[[], None]]:
    """Return what makes a callback that notes its name."""

    def make(name: str) -> Callable[[], None]:
        return lambda: told.append(name)

    return make


type Note = Callable[[str], Callable[[], None]]


async def test_only_those_who_listen_are_told(
    listeners: KeyedListeners, told: list[str], note: Note
) -> None:
    """A change is told to those of its key and to those of everything, who come first."""
    listeners.add(note("gate"), "gate")
    listeners.add(note("shed"), "shed")
    listeners.add(note("all"), None)
    listeners.add(note("gate too"), "gate")
    listeners.tell(["gate"])
    assert told == ["all", "gate", "gate too"]


async def test_everybody_is_told(listeners: KeyedListeners, told: list[str], note: Note) -> None:
    """Without keys everybody is told, once."""
    for name in ("gate", "shed", "office"):
        listeners.add(note(name), name)
    listeners.add(note("all"), None)
    listeners.tell(None)
    assert sorted(told) == ["all", "gate", "office", "shed"]


async def test_nobody_listens(listeners: KeyedListeners, told: list[str], note: Note) -> None:
    """A key without listeners is nobody's business."""
    listeners.add(note("gate"), "gate")
    listeners.tell(["shed"])
    listeners.tell([])
    assert told == []


async def test_taken_away(listeners: KeyedListeners, told: list[str], note: Note) -> None:
    """Who no longer listens is not told; another listener with the same callback still is."""
    callback = note("gate")
    remove = listeners.add(callback, "gate")
    listeners.add(callback, "gate")
    remove()
    listeners.tell(["gate"])
    assert told == ["gate"]


async def test_last_one_taken_away(listeners: KeyedListeners, told: list[str], note: Note) -> None:
    """A key whose last listener has gone can be listened to again."""
    listeners.add(note("before"), "gate")()
    listeners.tell(None)
    listeners.add(note("after"), "gate")
    listeners.tell(["gate"])
    assert told == ["after"]


async def test_taken_away_while_others_are_told(
    listeners: KeyedListeners, told: list[str], note: Note
) -> None:
    """Who is taken away by somebody that is told before is not told any more."""
    removers: list[Callable[[], None]] = []
    listeners.add(lambda: [remove() for remove in removers], "gate")
    removers.append(listeners.add(note("neighbour"), "gate"))
    removers.append(listeners.add(note("last of the shed"), "shed"))
    listeners.tell(["gate", "shed"])
    assert told == []


async def test_added_while_others_are_told(
    listeners: KeyedListeners, told: list[str], note: Note
) -> None:
    """Who comes while others are told disturbs nothing."""
    listeners.add(lambda: listeners.add(note("new"), "shed") and None, "gate")
    listeners.add(note("gate"), "gate")
    listeners.tell(["gate"])
    assert told == ["gate"]
    listeners.tell(["shed"])
    assert told == ["gate", "new"]


async def test_loop_gets_its_turn(
    freezer: FrozenDateTimeFactory, listeners: KeyedListeners, told: list[str]
) -> None:
    """Telling many takes turns with the rest of Home Assistant, and still tells everybody once."""
    loop = asyncio.get_running_loop()
    most_between_turns = 0

    def slow() -> None:
        freezer.tick(0.004)
        told.append("slow")

    def turn(before: int) -> None:
        nonlocal most_between_turns
        most_between_turns = max(most_between_turns, len(told) - before)
        if len(told) < 100:
            loop.call_soon(turn, len(told))

    for number in range(100):
        listeners.add(slow, number % 7)
    loop.call_soon(turn, 0)
    listeners.tell(None)
    for _ in range(200):
        await asyncio.sleep(0)
    assert len(told) == 100
    assert most_between_turns <= 3


async def test_failure_of_one_is_not_that_of_others(
    listeners: KeyedListeners, told: list[str], note: Note
) -> None:
    """A callback that fails takes nothing away from those after it, at once, nor from the caller."""

    def fail() -> None:
        raise RuntimeError("on purpose")

    listeners.add(note("first"), "gate")
    listeners.add(fail, "gate")
    listeners.add(note("last"), "gate")
    listeners.tell(["gate"])
    assert told == ["first", "last"]
