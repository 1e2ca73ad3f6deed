"""From a calendar to keys: stories in which a day is good, bad, or both."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings, strategies as st

from custom_components.salto_ks.domain.booking_plan import (
    NOT_THERE,
    Change,
    Circumstances,
    Issue,
    KeyAction,
    Revoke,
    key_plan,
)
from custom_components.salto_ks.domain.bookings import Booking, Unit
from custom_components.salto_ks.domain.calendar_events import CalendarItem
from custom_components.salto_ks.domain.calendar_memory import (
    CalendarMemory,
    FailedRead,
    after_read,
    believed,
)
from custom_components.salto_ks.domain.calendar_memory_json import (
    memory_from_json,
    memory_to_json,
)
from custom_components.salto_ks.domain.desired_keys import desired_keys
from custom_components.salto_ks.domain.ids import KeyId, UnitId
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus, OnRemoval

from .stays import CABIN, DAY, HOUR, HUT, MINUTE, NOW, PITCH, a_read, a_record, a_unit, an_item

JANSEN = an_item("Jansen")
DE_VRIES = an_item("De Vries", starts=NOW + 5 * DAY, ends=NOW + 7 * DAY)
BAKKER = an_item("Bakker", starts=NOW + 9 * DAY, ends=NOW + 11 * DAY)
FULL = [JANSEN, DE_VRIES, BAKKER]


@dataclass(kw_only=True)
class Home:
    """A home with two units, each with a calendar, and the keys of their bookings."""

    units: dict[UnitId, Unit] = field(
        default_factory=lambda: {
            PITCH: a_unit(),
            CABIN: a_unit(unit_id=CABIN, doors=frozenset({HUT})),
        }
    )
    memories: dict[UnitId, CalendarMemory] = field(
        default_factory=lambda: {PITCH: CalendarMemory(), CABIN: CalendarMemory()}
    )
    keys: dict[KeyId, KeyRecord] = field(default_factory=dict)
    now: datetime = NOW
    log: list[str] = field(default_factory=list)

    def see(
        self,
        pitch: Iterable[CalendarItem] | None = None,
        cabin: Iterable[CalendarItem] | None = (),
        after: timedelta = 5 * MINUTE,
    ) -> list[str]:
        """Read both calendars, None for one that is away, and do what is to be done."""
        self.now += after
        for unit_id, items in ((PITCH, pitch), (CABIN, cabin)):
            unit = self.units[unit_id]
            read = FailedRead() if items is None else a_read(items, self.now, unit=unit)
            self.memories[unit_id], _ = after_read(self.memories[unit_id], read, self.now)
        done = [self._apply(action) for action in self._plan()]
        assert self._plan() == ()
        self.log += done
        return done

    def restart(self, *, lose: UnitId | None = None) -> None:
        """Start anew with what was written down, of which one file may be gone."""
        self.memories = {
            unit_id: CalendarMemory()
            if unit_id == lose
            else memory_from_json(memory_to_json(memory))
            for unit_id, memory in self.memories.items()
        }

    def live(self) -> dict[str, KeyRecord]:
        """Return the keys that are in force, by whose they are."""
        names = {booking.booking_id: booking.label for booking in self._bookings()}
        return {
            names[key.booking_id]: key
            for key in self.keys.values()
            if key.booking_id in names and self._is_live(key)
        }

    def _is_live(self, key: KeyRecord) -> bool:
        return key.status not in NOT_THERE and not key.window.is_over(self.now)

    def _bookings(self) -> tuple[Booking, ...]:
        return believed(self.memories.values())

    def _plan(self) -> tuple[KeyAction, ...]:
        bookings = self._bookings()
        return key_plan(
            desired_keys(bookings, self.units, self.now),
            self.keys,
            self.now,
            Circumstances(
                units=self.units,
                unknown_units=[
                    unit_id for unit_id, memory in self.memories.items() if not memory.settled
                ],
                bookings=bookings,
                by_hand=(),
                on_removal=lambda _: OnRemoval.REVOKE,
            ),
        )

    def _apply(self, action: KeyAction) -> str:
        match action:
            case Issue(desired=key):
                new = a_record(
                    len(self.keys) + 1,
                    booking_id=key.booking_id,
                    unit_id=key.unit_id,
                    doors=key.doors,
                    window=key.window,
                )
                self.keys[new.key_id] = new
                return f"issue {key.label}"
            case Change(desired=key):
                self.keys[action.key_id] = replace(
                    self.keys[action.key_id],
                    window=key.window,
                    doors=key.doors,
                    unit_id=key.unit_id,
                )
                return f"change {key.label}"
            case Revoke():
                key_id, status = action.key_id, KeyStatus.REVOKED
                self.keys[key_id] = replace(self.keys[key_id], status=status)
                return f"revoke {action.reason}"
            case _:
                raise AssertionError(action)


def a_home(*items: CalendarItem) -> Home:
    """Return a home whose calendars are known."""
    home = Home()
    for _ in range(3):
        home.see(items or FULL, after=10 * MINUTE)
    home.log.clear()
    return home


def test_season_of_a_pitch() -> None:
    """Each booking has its key, which ends with it; nothing is revoked that ends by itself."""
    home = Home()
    assert home.see(FULL) == ["issue Jansen", "issue De Vries", "issue Bakker"]
    while home.now < NOW + 20 * DAY:
        assert home.see(FULL, after=6 * HOUR) == []
        holding = [key for key in home.keys.values() if key.window.holds(home.now)]
        assert len(holding) <= 1


def test_feed_is_away_for_a_day() -> None:
    """A calendar that is away takes no key, and says what has changed when it is back."""
    home = a_home()
    for _ in range(288):
        assert home.see(None, None) == []
    longer = replace(JANSEN, ends=NOW + 5 * DAY)
    assert home.see([longer, DE_VRIES]) == ["change Jansen"]
    assert home.see([longer, DE_VRIES]) == ["revoke booking_cancelled"]


def test_feed_is_empty_for_a_while() -> None:
    """An empty calendar takes no key within a quarter of an hour, nor if it comes and goes."""
    home = a_home()
    for _ in range(20):
        assert home.see([]) == []
        assert home.see([], after=9 * MINUTE) == []
        assert home.see(FULL) == []


def test_calendar_is_emptied_for_good() -> None:
    """Then its keys go all the same."""
    home = a_home()
    for _ in range(3):
        assert home.see([]) == []
    assert home.see([]) == ["revoke booking_cancelled"] * 3


def test_calendar_is_deleted() -> None:
    """It is away for ever, so that keys go on until their windows are over."""
    home = a_home()
    for _ in range(20):
        assert home.see(None, after=DAY) == []
    assert home.live() == {}


def test_earlier_arrival_and_longer_stay() -> None:
    """The guest keeps the PIN through all of it."""
    home = a_home()
    key = home.live()["Jansen"].key_id
    stays: list[dict[str, Any]] = [
        {"starts": NOW + HOUR},
        {"starts": NOW + HOUR, "ends": NOW + 5 * DAY},
        {"starts": NOW + HOUR, "ends": NOW + 5 * DAY, "summary": "Jansen, with a dog"},
        {"starts": NOW + HOUR, "ends": NOW + 2 * DAY},
    ]
    for changes in stays:
        home.see([replace(JANSEN, **changes), DE_VRIES, BAKKER], after=2 * HOUR)
        assert key in {one.key_id for one in home.live().values()}
    assert len(home.keys) == 3
    assert set(home.log) == {"change Jansen"}


def test_move_to_another_unit() -> None:
    """From one read on the same PIN opens the other doors, and no second key was made."""
    home = a_home()
    key = home.live()["Jansen"].key_id
    assert home.see([DE_VRIES, BAKKER], [JANSEN]) == ["change Jansen"]
    assert home.live()["Jansen"].key_id == key
    assert home.live()["Jansen"].doors == {HUT}
    assert home.see([DE_VRIES, BAKKER], [JANSEN]) == []
    assert home.see(FULL, []) == ["change Jansen"]
    assert home.live()["Jansen"].doors != {HUT}


def test_cancellation_during_the_stay() -> None:
    """The key goes at once where the calendar says so."""
    home = a_home()
    home.see(FULL, after=2 * DAY)
    cancelled = replace(JANSEN, status="cancelled")
    assert home.see([cancelled, DE_VRIES, BAKKER]) == ["revoke booking_cancelled"]
    assert home.see([JANSEN, DE_VRIES, BAKKER]) == ["issue Jansen"]


def test_start_while_the_calendar_is_away() -> None:
    """What was believed before is believed after."""
    home = a_home()
    home.restart()
    for _ in range(50):
        assert home.see(None, None) == []
    assert len(home.live()) == 3


def test_start_over_a_cancellation() -> None:
    """What was cancelled meanwhile goes after two good reads, and no sooner."""
    home = a_home()
    home.restart()
    assert home.see(FULL[1:], after=DAY / 2) == []
    assert home.see(FULL[1:]) == ["revoke booking_cancelled"]


def test_start_without_the_memory() -> None:
    """Where it is lost, keys that nothing is known of stay until the calendar is known again."""
    home = a_home()
    home.restart(lose=PITCH)
    for _ in range(20):
        assert home.see(None, None) == []
    assert home.see(FULL[1:]) == []
    assert home.see(FULL[1:]) == ["revoke booking_gone"]


def test_start_without_the_memory_while_the_calendar_is_empty() -> None:
    """An empty answer is believed no sooner than it would have been before."""
    home = a_home()
    home.restart(lose=PITCH)
    for _ in range(3):
        assert home.see([]) == []
    assert home.see([]) == ["revoke booking_gone"] * 3


SEEN = st.none() | st.sets(st.sampled_from(FULL))


@given(steps=st.lists(st.tuples(SEEN, st.booleans()), max_size=25))
@settings(deadline=None, max_examples=200)
def test_no_key_goes_lightly(steps: list[Any]) -> None:
    """Whatever a calendar does and however often we start: no key goes before two good reads."""
    home = a_home()
    without: dict[str, int] = {item.summary: 0 for item in FULL}
    for items, restarts in steps:
        if restarts:
            home.restart()
        before = home.live()
        home.see(items)
        for item in FULL if items is not None else ():
            without[item.summary] = 0 if item in items else without[item.summary] + 1
        gone = before.keys() - home.live().keys()
        assert all(without[name] >= 2 for name in gone)
        if len(gone) == len(FULL):
            assert min(without.values()) >= 3
        if items is not None:
            assert {item.summary for item in items} <= home.live().keys()


@given(steps=st.lists(st.tuples(SEEN, st.booleans()), max_size=25))
@settings(deadline=None, max_examples=100)
def test_lost_memory_takes_nothing(steps: list[Any]) -> None:
    """Not even when all that was known of a calendar is lost again and again."""
    home = a_home()
    home.restart(lose=PITCH)
    goods = 0
    for items, loses in steps:
        if loses:
            home.restart(lose=PITCH)
            goods = 0
        goods += items is not None
        done = home.see(items)
        assert goods >= 2 or not any(one.startswith("revoke") for one in done)
