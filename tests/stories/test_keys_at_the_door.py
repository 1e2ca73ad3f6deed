"""Guest keys from the desk to the keypad: who gets in, when, and who does not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.salto_ks.domain.keys import (
    KeyProblem,
    KeyStatus,
    KeyWarning,
    Strategy,
)
from custom_components.salto_ks.domain.windows import AccessWindow
from custom_components.salto_ks.keys.provider import KeyFailedError
from simulator import Quirks
from tests.keys.desk import HOUR, LAGS_OVER, MINUTE, MORNING, Desk, desk_of, digits

INSIDE_ONLY = (False, True, True, False)


@pytest.fixture
async def desk(socket_enabled: None) -> AsyncIterator[Desk]:
    """Stand at the desk of a campsite where everything takes effect at once."""
    async with desk_of() as desk:
        yield desk


async def test_a_key_opens_inside_its_window_only(desk: Desk) -> None:
    """A minute before the window the door stays closed, inside it opens, a minute after not."""
    issued = await desk.issued()
    window = issued.record.window
    assert desk.edges(desk.doors[0], issued.keypad_pin, window) == INSIDE_ONLY
    assert not desk.opens(desk.doors[0], issued.keypad_pin, window.ends_at)
    assert not desk.opens(desk.doors[1], issued.keypad_pin, window.starts_at)


async def test_one_pin_opens_all_doors_of_a_key_over_two_iqs(desk: Desk) -> None:
    """The doors of a key open with one PIN, and no other door does."""
    *wanted, other = desk.doors
    issued = await desk.issued(*wanted)
    for door in wanted:
        assert desk.edges(door, issued.keypad_pin, issued.record.window) == INSIDE_ONLY
    assert not desk.opens(other, issued.keypad_pin, issued.record.window.starts_at)


@pytest.mark.parametrize("end_date_seconds", ["kept", "fifty_nine"])
async def test_the_end_is_the_end_however_salto_writes_it_down(
    socket_enabled: None, end_date_seconds: str
) -> None:
    """The door closes with the window's last second, whether or not Salto alters the end."""
    async with desk_of(Quirks.instant(end_date_seconds=end_date_seconds)) as desk:
        issued = await desk.issued()
        end = issued.record.window.ends_at
        assert desk.opens(desk.doors[0], issued.keypad_pin, end - timedelta(seconds=2))
        assert not desk.opens(desk.doors[0], issued.keypad_pin, end)


@pytest.mark.parametrize(
    ("starts", "ends"),
    [
        ("2027-03-27T16:00", "2027-03-29T11:00"),
        ("2027-03-28T01:30", "2027-03-28T03:30"),
        ("2026-10-24T16:00", "2026-10-26T11:00"),
        ("2026-10-25T01:30", "2026-10-25T03:30"),
    ],
    ids=["over spring", "within spring night", "over autumn", "within autumn night"],
)
@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "Atlantic/Azores"])
async def test_windows_over_a_clock_change(
    socket_enabled: None, zone: str, starts: str, ends: str
) -> None:
    """A window keeps its instants when the clocks change within it, in the zone of the IQ."""
    local = ZoneInfo(zone)
    window = AccessWindow(
        *(
            datetime.fromisoformat(end).replace(tzinfo=local).astimezone(UTC)
            for end in (starts, ends)
        )
    )
    async with desk_of(now=window.starts_at - timedelta(days=1)) as desk:
        desk.set_zone(desk.doors[0], zone)
        issued = await desk.issued(
            starts_at=window.starts_at, lasts=window.ends_at - window.starts_at
        )
        assert desk.edges(desk.doors[0], issued.keypad_pin, window) == INSIDE_ONLY


async def test_an_end_in_the_hour_that_comes_twice_is_widened_and_said(
    socket_enabled: None,
) -> None:
    """No guest stands outside in the repeated hour; the door opens an hour longer, with a warning."""
    starts = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)
    async with desk_of(now=starts - HOUR) as desk:
        issued = await desk.issued(starts_at=starts, lasts=timedelta(hours=5, minutes=30))
        end = issued.record.window.ends_at
        assert KeyWarning.CLOCK_CHANGE in issued.record.warnings
        assert desk.opens(desk.doors[0], issued.keypad_pin, end - MINUTE)
        assert not desk.opens(desk.doors[0], issued.keypad_pin, end + HOUR)


async def test_doors_in_two_time_zones_open_at_the_same_instants(desk: Desk) -> None:
    """A key for IQs in different zones has a group for each, and one window."""
    near, far = desk.doors[0], desk.doors[-1]
    desk.set_zone(far, "America/New_York")
    issued = await desk.issued(near, far)
    assert len(desk.groups(issued.record)) == 2
    for door in (near, far):
        assert desk.edges(door, issued.keypad_pin, issued.record.window) == INSIDE_ONLY


async def test_a_change_lets_a_time_zone_come_and_go(desk: Desk) -> None:
    """The PIN stays; the door of a new zone opens, and that of a dropped zone does not."""
    near, far = desk.doors[0], desk.doors[-1]
    desk.set_zone(far, "America/New_York")
    issued = await desk.issued(near)
    both = await desk.provider.change(
        issued.record, replace(issued.record, doors=frozenset({near, far}))
    )
    inside = issued.record.window.starts_at
    assert [desk.opens(door, issued.keypad_pin, inside) for door in (near, far)] == [True, True]
    one = await desk.provider.change(both, replace(both, doors=frozenset({far})))
    assert [desk.opens(door, issued.keypad_pin) for door in (near, far)] == [False, True]
    assert [group.id for group in desk.groups(one)] == [group.id for group in one.groups]


@pytest.mark.parametrize("moved", [timedelta(days=2), timedelta(days=-1)], ids=["later", "earlier"])
async def test_a_changed_window_keeps_the_pin(desk: Desk, moved: timedelta) -> None:
    """The same PIN opens in the new window only, and the guest never ends before it."""
    issued = await desk.issued(starts_at=MORNING + timedelta(days=3))
    old = issued.record.window
    new = AccessWindow(old.starts_at + moved, old.ends_at + moved)
    changed = await desk.provider.change(issued.record, replace(issued.record, window=new))
    assert desk.edges(desk.doors[0], issued.keypad_pin, new) == INSIDE_ONLY
    assert not desk.opens(desk.doors[0], issued.keypad_pin, old.starts_at)
    (guest,) = desk.guests(changed)
    assert guest.expires_at == new.ends_at + timedelta(days=30)
    assert changed.guest is not None
    assert changed.guest.expires_at == guest.expires_at


async def test_changed_doors_keep_the_pin(desk: Desk) -> None:
    """With the same PIN the old door is closed and the new one opens."""
    issued = await desk.issued(*desk.doors[:2])
    kept, dropped, added = desk.doors[0], desk.doors[1], desk.doors[2]
    changed = await desk.provider.change(
        issued.record, replace(issued.record, doors=frozenset({kept, added}))
    )
    assert changed.groups[0].doors == {kept, added}
    desk.sim.clock.set(issued.record.window.starts_at)
    opened = [desk.opens(door, issued.keypad_pin) for door in (kept, dropped, added)]
    assert opened == [True, False, True]


async def test_suspended_and_resumed(desk: Desk) -> None:
    """A suspended key opens nothing and frees its seat; resumed it opens with the same PIN."""
    issued = await desk.issued()
    used = desk.sim.world.seats_used(desk.sim.site_id)
    desk.sim.clock.set(issued.record.window.starts_at)
    record = await desk.provider.suspend(issued.record)
    assert not desk.opens(desk.doors[0], issued.keypad_pin)
    assert desk.sim.world.seats_used(desk.sim.site_id) == used - 1
    await desk.provider.resume(record)
    assert desk.opens(desk.doors[0], issued.keypad_pin)


async def test_a_suspended_key_can_be_changed(desk: Desk) -> None:
    """A change of a suspended key gives it no seat, and holds when it is resumed."""
    issued = await desk.issued()
    suspended = replace(await desk.provider.suspend(issued.record), status=KeyStatus.SUSPENDED)
    changed = await desk.provider.change(
        suspended, replace(suspended, doors=frozenset(desk.doors[1:2]))
    )
    desk.sim.clock.set(issued.record.window.starts_at)
    assert not desk.opens(desk.doors[1], issued.keypad_pin)
    await desk.provider.resume(changed)
    assert desk.opens(desk.doors[1], issued.keypad_pin)


async def test_rotated(desk: Desk) -> None:
    """The new PIN opens and the old one is dead."""
    issued = await desk.issued()
    new = await desk.provider.rotate(issued.record, None)
    inside = issued.record.window.starts_at
    assert desk.opens(desk.doors[0], new, inside)
    assert not desk.opens(desk.doors[0], issued.keypad_pin)


async def test_removed_twice(desk: Desk) -> None:
    """A removed key opens nothing and leaves nothing; removing it again is fine."""
    strangers = desk.strangers()
    issued = await desk.issued(*desk.doors)
    for _ in range(2):
        await desk.provider.remove(issued.record.key_id, issued.record)
    assert not desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.starts_at)
    assert (desk.guests(issued.record), desk.groups(issued.record)) == ([], [])
    assert desk.strangers() == strangers


async def test_a_door_that_is_offline_opens_until_it_hears(socket_enabled: None) -> None:
    """A PIN at a cut-off door that keeps PINs still opens after the removal, until it is back."""
    async with desk_of(Quirks.instant(lock_offline_pin="kept")) as desk:
        issued = await desk.issued()
        desk.sim.clock.set(issued.record.window.starts_at)
        desk.sim.set("lock", desk.doors[0], online=False)
        await desk.provider.remove(issued.record.key_id, issued.record)
        assert desk.opens(desk.doors[0], issued.keypad_pin)
        desk.sim.set("lock", desk.doors[0], online=True)
        assert not desk.opens(desk.doors[0], issued.keypad_pin)


async def test_a_full_site_is_told_and_left_as_it_was(socket_enabled: None) -> None:
    """Salto's silent suspension becomes a failure with a name, and nothing is left behind."""
    async with desk_of(Quirks.instant(), seed="full") as desk:
        strangers, record = desk.strangers(), desk.record()
        with pytest.raises(KeyFailedError) as failed:
            await desk.provider.issue(record, None)
        assert failed.value.problem is KeyProblem.SEAT_UNAVAILABLE
        assert not failed.value.leftovers
        assert (desk.guests(record), desk.groups(record)) == ([], [])
        assert desk.strangers() == strangers


@pytest.mark.parametrize("at_limit", ["silent", "refused"])
async def test_no_seat_to_resume_with(socket_enabled: None, at_limit: str) -> None:
    """A seat that somebody else took is told as such, however Salto puts it."""
    async with desk_of(Quirks.instant(subscribe_at_limit=at_limit)) as desk:
        issued = await desk.issued()
        await desk.provider.suspend(issued.record)
        desk.sim.set(
            "site",
            desk.site_id,
            subscribed_user_amount=desk.sim.world.seats_used(desk.sim.site_id),
        )
        with pytest.raises(KeyFailedError) as failed:
            await desk.provider.resume(issued.record)
        assert failed.value.problem is KeyProblem.SEAT_UNAVAILABLE


async def test_as_slow_as_it_was_measured(socket_enabled: None) -> None:
    """With all lags and roll-out delays a key issued hours before opens at the minute."""
    async with desk_of(Quirks(detail_lag_s=20.0)) as desk:
        issued = await desk.issued(*desk.doors)
        assert sum(desk.time.pauses) >= 60
        assert desk.edges(desk.doors[0], issued.keypad_pin, issued.record.window) == INSIDE_ONLY


async def test_two_keys_at_once(desk: Desk) -> None:
    """Keys that are issued at the same time have nothing of each other."""
    one, other = await asyncio.gather(desk.issued(desk.doors[0]), desk.issued(desk.doors[1]))
    desk.sim.clock.set(one.record.window.starts_at)
    table = [
        [desk.opens(door, issued.keypad_pin) for door in desk.doors[:2]] for issued in (one, other)
    ]
    assert table == [[True, False], [False, True]]


@pytest.mark.parametrize("name", ["pin", "pin_code"])
async def test_a_pin_of_our_choice(socket_enabled: None, name: str) -> None:
    """A chosen PIN opens; one that is taken is chosen anew; the field's name is found out once."""
    async with desk_of(Quirks.instant(custom_pin_field=name)) as desk:
        desk.sim.set("site", desk.site_id, features=["custom_pin"])
        assert (await desk.provider.capabilities()).can_choose_pin
        record = desk.record()
        first = await desk.provider.issue(record, digits("4711"))
        assert first.keypad_pin == "4711"
        before = desk.sim.journal.count("PUT", "/pin/custom")
        second = await desk.provider.issue(desk.record(), digits("4711", "290174"))
        assert second.keypad_pin == "290174"
        assert desk.sim.journal.count("PUT", "/pin/custom") == before + 2
        assert desk.opens(desk.doors[0], "4711", record.window.starts_at)
        assert desk.opens(desk.doors[0], "290174")


@pytest.mark.parametrize(
    ("honoured", "schedule_edges"),
    [
        ("yes", (False, True, True, False)),
        ("date_only", (True, True, True, True)),
        ("ignored", (True, True, True, True)),
    ],
)
async def test_what_the_two_strategies_promise(
    socket_enabled: None, honoured: str, schedule_edges: tuple[bool, ...]
) -> None:
    """Membership is exact to the minute whatever Salto does with dates; a schedule is not.

    A schedule never closes a door inside the window, though.
    """
    async with desk_of(Quirks.instant(dated_time_honoured=honoured)) as desk:
        door, start = desk.doors[0], desk.sim.clock.now() + 2 * HOUR
        dated = await desk.issued(starts_at=start)
        joined = await desk.issued(starts_at=start, strategy=Strategy.MEMBERSHIP)
        window = dated.record.window
        seen = [
            (
                desk.opens(door, dated.keypad_pin, start - MINUTE),
                desk.opens(door, joined.keypad_pin),
            )
        ]
        record = await desk.provider.set_membership(joined.record, member=True)
        seen.extend(
            (desk.opens(door, dated.keypad_pin, moment), desk.opens(door, joined.keypad_pin))
            for moment in (start, window.ends_at - MINUTE)
        )
        desk.sim.clock.set(window.ends_at)
        record = await desk.provider.set_membership(record, member=False)
        seen.append(
            (
                desk.opens(door, dated.keypad_pin, window.ends_at + MINUTE),
                desk.opens(door, joined.keypad_pin),
            )
        )
        assert tuple(item[0] for item in seen) == schedule_edges
        assert tuple(item[1] for item in seen) == INSIDE_ONLY


async def test_a_key_that_becomes_one_by_membership_is_closed_until_joined(desk: Desk) -> None:
    """When the strategy changes the always-schedule opens for nobody before the guest joins."""
    issued = await desk.issued()
    changed = await desk.provider.change(
        issued.record, replace(issued.record, strategy=Strategy.MEMBERSHIP)
    )
    assert not any(group.member for group in changed.groups)
    inside = issued.record.window.starts_at
    assert not desk.opens(desk.doors[0], issued.keypad_pin, inside)
    await desk.provider.set_membership(changed, member=True)
    assert desk.opens(desk.doors[0], issued.keypad_pin)
    back = await desk.provider.change(changed, replace(changed, strategy=Strategy.SCHEDULE))
    assert all(group.member for group in back.groups)
    assert not desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.ends_at + MINUTE)


@given(
    start=st.integers(0, 12 * 24 * 60),
    minutes=st.integers(1, 3 * 24 * 60),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_whatever_the_window_no_guest_stands_outside(
    socket_enabled: None, start: int, minutes: int
) -> None:
    """Around the change of clocks too, a key opens all through its window, with an hour's grace."""
    starts_at = datetime(2026, 10, 20, tzinfo=UTC) + timedelta(minutes=start)
    window = AccessWindow(starts_at, starts_at + timedelta(minutes=minutes))
    async with desk_of(now=window.starts_at - 2 * HOUR) as desk:
        issued = await desk.issued(
            starts_at=window.starts_at, lasts=window.ends_at - window.starts_at
        )
        grace = HOUR if KeyWarning.CLOCK_CHANGE in issued.record.warnings else MINUTE
        door, pin = desk.doors[0], issued.keypad_pin
        assert not desk.opens(door, pin, window.starts_at - grace - MINUTE)
        assert desk.opens(door, pin, window.starts_at)
        assert desk.opens(door, pin, window.starts_at + (window.ends_at - window.starts_at) / 2)
        assert desk.opens(door, pin, window.ends_at - timedelta(seconds=2))
        assert not desk.opens(door, pin, window.ends_at + grace + MINUTE)


async def test_lags_do_not_hide_a_key_from_its_removal(socket_enabled: None) -> None:
    """A key that no list shows yet is removed by what its record says."""
    async with desk_of(Quirks(creation_lag_s=0.0)) as desk:
        issued = await desk.issued()
        await desk.provider.remove(issued.record.key_id, issued.record)
        assert desk.groups(issued.record) == []
        desk.sim.clock.advance(LAGS_OVER.total_seconds())
        assert not desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.starts_at)
        assert (await desk.provider.observe()).guests == ()
