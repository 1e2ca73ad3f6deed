"""Every request of every step, and everything that can happen to it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from custom_components.salto_ks.api.exceptions import SaltoKsError
from custom_components.salto_ks.domain.keys import KeyProblem, KeyRecord, KeyStatus
from custom_components.salto_ks.domain.windows import AccessWindow
from custom_components.salto_ks.keys.provider import Issued, KeyFailedError
from simulator import Fault, Quirks

from .desk import LAGS_OVER, MORNING, Desk, desk_of

REFUSAL = {"ErrorCode": "1101", "Message": "No."}
FORBIDDEN = {"ErrorCode": "2203", "Message": "User does not have permission for this operation"}

FAULTS: dict[str, dict[str, Any]] = {
    "reset before commit": {"reset": True},
    "dropped after commit": {"drop_after_commit": True},
    "503": {"status": 503},
    "503 after commit": {"status": 503, "commit": True},
    "429": {"status": 429, "headers": {"Retry-After": "7"}},
    "400": {"status": 400, "body": REFUSAL},
    "403": {"status": 403, "body": FORBIDDEN},
    "time-out": {"latency": 0.15},
    "a web page after commit": {"status": 200, "body": "<html>", "commit": True},
    "cut off": {"truncate": 1},
}
SLOW = 0.15
SHORT = aiohttp.ClientTimeout(total=0.1)
"""Shorter than the latency of the time-out, and than what follows: the late commit is real."""

type Step = Callable[[Desk, KeyRecord], Awaitable[Any]]


def wanted(record: KeyRecord, desk: Desk) -> KeyRecord:
    """Want the key a day longer and for another door."""
    window = AccessWindow(record.window.starts_at, record.window.ends_at + timedelta(days=1))
    return replace(record, window=window, doors=frozenset(desk.doors[1:2]))


def shorter(record: KeyRecord, desk: Desk) -> KeyRecord:
    """Want the key an hour shorter, and for a door in another zone."""
    window = AccessWindow(record.window.starts_at, record.window.ends_at - timedelta(hours=1))
    return replace(record, window=window, doors=frozenset(desk.doors[-1:]))


@dataclass(frozen=True)
class Held:
    """A key that a step begins with."""

    issued: Issued
    strangers: list[Any]

    @property
    def record(self) -> KeyRecord:
        """What the ledger has."""
        return self.issued.record


def fault_of(kind: str, after: int, count: int | None = 1) -> Fault:
    """Make the fault of a kind for one request of the API, not for one of a token."""
    return Fault(route="/v1.", after=after, count=count, **FAULTS[kind])


async def set_up(desk: Desk) -> Held:
    """Have a key at the door, and another time zone at the last door."""
    desk.set_zone(desk.doors[-1], "America/New_York")
    strangers = desk.strangers()
    return Held(await desk.issued(), strangers)


async def hit_by(kind: str, step: Step) -> list[int]:
    """Return which requests of a step a fault can hit; a read that is late harms nobody."""
    async with desk_of() as desk:
        held = await set_up(desk)
        calls = await desk.calls(step(desk, held.record))
    late = kind == "time-out"
    return [index for index, call in enumerate(calls) if not (late and call.startswith("GET"))]


async def tried(desk: Desk, work: Awaitable[Any]) -> tuple[Any, Exception | None]:
    """Do some work, and let what was late happen."""
    try:
        return await work, None
    except (KeyFailedError, SaltoKsError) as err:
        return None, err
    finally:
        desk.sim.faults.clear()
        if desk.time.real:
            await asyncio.sleep(desk.time.real)
        desk.sim.clock.advance(LAGS_OVER.total_seconds())


def faulty(kind: str) -> Any:
    """Stand at a desk whose time is real where a fault needs it."""
    return desk_of(**({"timeout": SHORT} if kind == "time-out" else {}))


def slow_down(desk: Desk, kind: str) -> None:
    """Let pauses take as long as what is late."""
    desk.time.real = SLOW if kind == "time-out" else 0.0


def assert_one(desk: Desk, record: KeyRecord) -> None:
    """Hold the world to exactly one guest and the groups of the record."""
    assert record.guest is not None
    assert [guest.id for guest in desk.guests(record)] == [record.guest.id]
    assert {g.id for g in desk.groups(record)} == {g.id for g in record.groups}
    for group in record.groups:
        (schedule,) = [s for s in desk.sim.world.schedules.values() if s.group_id == group.id]
        assert schedule.id == group.times_id


def assert_none(desk: Desk, record: KeyRecord) -> None:
    """Hold the world to nothing of a key."""
    assert (desk.guests(record), desk.groups(record)) == ([], [])


@pytest.mark.parametrize("kind", FAULTS)
async def test_issue(socket_enabled: None, kind: str) -> None:
    """One fault anywhere: a key that works, or an error and nothing left; never two."""

    async def step(desk: Desk, record: KeyRecord) -> None:
        await desk.provider.issue(desk.record(*desk.doors), None)

    for index in await hit_by(kind, step):
        async with faulty(kind) as desk:
            held = await set_up(desk)
            slow_down(desk, kind)
            record = desk.record(*desk.doors)
            desk.sim.faults.add(fault_of(kind, index))
            issued, err = await tried(desk, desk.provider.issue(record, None))
            if issued is None:
                if not getattr(err, "leftovers", True):
                    assert_none(desk, record)
                await desk.provider.remove(record.key_id, None)
                assert_none(desk, record)
            else:
                spares = await desk.provider.remove_spares(issued.record)
                assert issued.leftovers or not spares
                assert_one(desk, issued.record)
                for door in desk.doors:
                    assert desk.edges(door, issued.keypad_pin, record.window) == (
                        False,
                        True,
                        True,
                        False,
                    )
            assert_one(desk, held.record)
            assert desk.opens(desk.doors[0], held.issued.keypad_pin, held.record.window.starts_at)
            assert desk.strangers() == held.strangers
            assert issued is not None or kind in {"400", "403"}


@pytest.mark.parametrize("want", [wanted, shorter])
@pytest.mark.parametrize("kind", FAULTS)
async def test_change(
    socket_enabled: None, kind: str, want: Callable[[KeyRecord, Desk], KeyRecord]
) -> None:
    """After a failed change the same change can be made; one guest, its groups and its PIN stay."""

    async def step(desk: Desk, record: KeyRecord) -> None:
        await desk.provider.change(record, want(record, desk))

    for index in await hit_by(kind, step):
        async with faulty(kind) as desk:
            held = await set_up(desk)
            slow_down(desk, kind)
            new = want(held.record, desk)
            desk.sim.faults.add(fault_of(kind, index))
            changed, err = await tried(desk, desk.provider.change(held.record, new))
            if changed is None:
                assert isinstance(err, (KeyFailedError, SaltoKsError))
                changed = await desk.provider.change(held.record, new)
            await desk.provider.remove_spares(changed)
            assert_one(desk, changed)
            (door,) = new.doors
            pin = held.issued.keypad_pin
            assert desk.edges(door, pin, new.window) == (False, True, True, False)
            assert not desk.opens(desk.doors[0], pin, new.window.starts_at)
            assert desk.strangers() == held.strangers


@pytest.mark.parametrize("kind", FAULTS)
async def test_suspend_and_resume(socket_enabled: None, kind: str) -> None:
    """A suspension that is not told as failed holds; so does its end; both can be repeated."""

    async def suspend(desk: Desk, record: KeyRecord) -> None:
        await desk.provider.suspend(record)

    for index in await hit_by(kind, suspend):
        async with faulty(kind) as desk:
            held = await set_up(desk)
            slow_down(desk, kind)
            door, pin = desk.doors[0], held.issued.keypad_pin
            inside = held.record.window.starts_at
            for act, opens in ((desk.provider.suspend, False), (desk.provider.resume, True)):
                desk.sim.faults.add(fault_of(kind, index))
                done, _ = await tried(desk, act(held.record))
                if done is None:
                    await act(held.record)
                assert desk.opens(door, pin, inside) is opens
            assert_one(desk, held.record)
            assert desk.strangers() == held.strangers


@pytest.mark.parametrize("kind", FAULTS)
async def test_rotate(socket_enabled: None, kind: str) -> None:
    """The PIN in hand opens: the new one after a success, the old one after a refusal."""
    async with faulty(kind) as desk:
        held = await set_up(desk)
        slow_down(desk, kind)
        desk.sim.faults.add(fault_of(kind, 0))
        new, err = await tried(desk, desk.provider.rotate(held.record, None))
        inside, old = held.record.window.starts_at, held.issued.keypad_pin
        assert desk.opens(desk.doors[0], new or old, inside)
        assert (new is None) is isinstance(err, KeyFailedError)
        assert new is None or not desk.opens(desk.doors[0], old)
        assert_one(desk, held.record)
        assert desk.strangers() == held.strangers


@pytest.mark.parametrize("kind", FAULTS)
async def test_remove(socket_enabled: None, kind: str) -> None:
    """A removal reaches its end or says that it did not, and can be repeated."""

    async def step(desk: Desk, record: KeyRecord) -> bool:
        await desk.provider.remove(record.key_id, record)
        return True

    for index in await hit_by(kind, step):
        async with faulty(kind) as desk:
            held = await set_up(desk)
            slow_down(desk, kind)
            desk.sim.faults.add(fault_of(kind, index))
            done, _ = await tried(desk, step(desk, held.record))
            if not done:
                await step(desk, held.record)
            assert_none(desk, held.record)
            assert not desk.opens(
                desk.doors[0], held.issued.keypad_pin, held.record.window.starts_at
            )
            assert desk.strangers() == held.strangers


@pytest.mark.parametrize("kind", ["reset before commit", "dropped after commit", "503", "429"])
async def test_salto_goes_down_in_the_middle_of_an_issue(socket_enabled: None, kind: str) -> None:
    """When nothing works from some request on, that failure comes out, and all is found later."""
    for index in range(0, 13, 2):
        async with desk_of() as desk:
            strangers, record = desk.strangers(), desk.record()
            desk.sim.faults.add(fault_of(kind, index, None))
            issued, err = await tried(desk, desk.provider.issue(record, None))
            if issued is None:
                assert isinstance(err, SaltoKsError)
                await desk.provider.remove(record.key_id, None)
                assert_none(desk, record)
            else:
                assert_one(desk, issued.record)
            assert desk.strangers() == strangers


async def test_a_refusal_comes_out_although_nothing_can_be_taken_back(
    socket_enabled: None,
) -> None:
    """The refusal is told, and that something may be left; no failure of the tidying hides it."""
    async with desk_of() as desk:
        record = desk.record()
        desk.sim.faults.add(Fault(method="PUT", route="/pin", status=400, body=REFUSAL))
        desk.sim.faults.add(Fault(method="DELETE", count=None, reset=True))
        with pytest.raises(KeyFailedError) as failed:
            await desk.provider.issue(record, None)
        assert (failed.value.problem, failed.value.leftovers) == (KeyProblem.REFUSED, True)
        desk.sim.faults.clear()
        await desk.provider.remove(record.key_id, None)
        assert_none(desk, record)


async def test_the_seat_that_a_lost_guest_took(socket_enabled: None) -> None:
    """A guest whose creation had no answer gives the last seat back, once it is listed."""
    async with desk_of(Quirks()) as desk:
        seats = desk.sim.world.seats_used(desk.sim.site_id)
        desk.sim.set("site", desk.site_id, subscribed_user_amount=seats + 1)
        desk.sim.faults.add(Fault(method="POST", route="/guests", drop_after_commit=True))
        issued = await desk.provider.issue(desk.record(), None)
        assert issued.leftovers
        desk.sim.clock.advance(LAGS_OVER.total_seconds())
        assert await desk.provider.remove_spares(issued.record) == 0
        assert_one(desk, issued.record)
        door, pin = desk.doors[0], issued.keypad_pin
        assert desk.opens(door, pin, issued.record.window.starts_at)


async def test_a_lost_guest_on_a_site_that_is_full_anyway(socket_enabled: None) -> None:
    """When no twin shows up there is no seat, which is told, and that something may be left."""
    async with desk_of(Quirks(), seed="full") as desk:
        record = desk.record()
        desk.sim.faults.add(Fault(method="POST", route="/guests", reset=True))
        with pytest.raises(KeyFailedError) as failed:
            await desk.provider.issue(record, None)
        assert failed.value.problem is KeyProblem.SEAT_UNAVAILABLE
        assert failed.value.leftovers
        assert_none(desk, record)


async def test_lost_answers_with_lists_that_lag(socket_enabled: None) -> None:
    """Twins that lists show too late are told as possible, and are the only thing removed later."""
    async with desk_of(Quirks(creation_lag_s=0.0)) as desk:
        desk.sim.faults.add(Fault(method="POST", route="/guests", drop_after_commit=True))
        desk.sim.faults.add(Fault(method="POST", route="time_schedules", drop_after_commit=True))
        lost = Fault(
            method="POST", route="/v1.2/sites/{site}/access_groups", status=502, commit=True
        )
        desk.sim.faults.add(lost)
        issued = await desk.provider.issue(desk.record(), None)
        assert issued.leftovers
        assert (len(desk.guests(issued.record)), len(desk.groups(issued.record))) == (2, 2)
        desk.sim.clock.advance(LAGS_OVER.total_seconds())
        assert await desk.provider.remove_spares(issued.record) == 2
        assert_one(desk, issued.record)
        door, pin = desk.doors[0], issued.keypad_pin
        assert desk.opens(door, pin, issued.record.window.starts_at)


async def test_issue_again_does_not_touch_a_key_that_works(socket_enabled: None) -> None:
    """A second issue of the same key that fails takes back its own, not the key that works."""
    async with desk_of() as desk:
        held = await set_up(desk)
        for fault in (
            Fault(method="PUT", route="/pin", status=400, body=REFUSAL),
            Fault(method="POST", route="/guests", drop_after_commit=True, count=3),
        ):
            desk.sim.faults.add(fault)
            with pytest.raises((KeyFailedError, SaltoKsError)):
                await desk.provider.issue(held.record, None)
            desk.sim.faults.clear()
        assert len(desk.guests(held.record)) == 1
        assert_one(desk, held.record)
        door, pin = desk.doors[0], held.issued.keypad_pin
        assert desk.opens(door, pin, held.record.window.starts_at)


async def test_cancelled_at_any_request(socket_enabled: None) -> None:
    """Whatever a cancelled step leaves carries the marker, and a removal finds it."""

    class Stopping:
        """Cancels a task when a request has been answered."""

        def __init__(self, desk: Desk, index: int) -> None:
            self.desk, self.index = desk, index

        async def run(self, work: Awaitable[Any]) -> None:
            """Do some work until so many requests were made."""
            before = len(self.desk.sim.journal.entries)
            task = asyncio.ensure_future(work)
            while not task.done():
                if len(self.desk.sim.journal.entries) - before > self.index:
                    task.cancel()
                await asyncio.sleep(0)
            with suppress(asyncio.CancelledError):
                await task

    for index in range(14):
        async with desk_of() as desk:
            strangers, record = desk.strangers(), desk.record()
            await Stopping(desk, index).run(desk.provider.issue(record, None))
            assert len(desk.guests(record)) <= 1
            assert desk.strangers() == strangers
            await asyncio.sleep(0.01)
            desk.sim.clock.advance(LAGS_OVER.total_seconds())
            await desk.provider.remove(record.key_id, None)
            assert_none(desk, record)
            held = await set_up(desk)
            await Stopping(desk, index).run(
                desk.provider.change(held.record, shorter(held.record, desk))
            )
            await asyncio.sleep(0.01)
            desk.sim.clock.advance(LAGS_OVER.total_seconds())
            changed = await desk.provider.change(held.record, shorter(held.record, desk))
            await desk.provider.remove_spares(changed)
            assert_one(desk, changed)


async def test_the_token_ends_in_the_middle(socket_enabled: None) -> None:
    """A token that ends between two requests is renewed, and the key is made."""
    async with desk_of(Quirks.instant(token_lifetime_s=60)) as desk:
        desk.sim.faults.add(
            Fault(route="/locks", method="PATCH", status=429, headers={"Retry-After": "3000"})
        )
        issued = await desk.provider.issue(desk.record(starts_at=MORNING.replace(day=9)), None)
        assert desk.sim.journal.count("POST", "/connect/token") == 2
        assert desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.starts_at)
        assert issued.record.status is KeyStatus.SETTING


async def test_a_guest_whose_creation_had_to_wait(socket_enabled: None) -> None:
    """What a guest's creation waited for its turn does not count as the guest's age."""
    async with desk_of(Quirks(), per_minute=10) as desk:
        for _ in range(7):
            await desk.rate.wait()
        issued = await desk.provider.issue(desk.record(), None)
        assert desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.starts_at)
