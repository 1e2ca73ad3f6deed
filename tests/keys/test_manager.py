"""The key manager, seen from the desk, from the keypad and from the ledger."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.domain.ids import BookingId, DoorId, KeyId
from custom_components.salto_ks.domain.key_requests import (
    KeyChange,
    KeyRefusal,
    KeyRefusedError,
)
from custom_components.salto_ks.domain.keys import (
    KeyProblem,
    KeyStatus,
    KeyWarning,
)
from custom_components.salto_ks.keys.manager import (
    HandedOut,
    KeyPendingError,
)
from custom_components.salto_ks.keys.provider import KeyFailedError
from simulator import Fault, Quirks
from tests.ha.files import hass_config_dir, hass_storage

from .desk import HOUR, MINUTE
from .offices import A_MOMENT, INSIDE_ONLY, RECEPTION, Office, office_of, outcome_of

__all__ = ["hass_config_dir", "hass_storage"]

DAY = timedelta(days=1)
DOWN: dict[str, Any] = {"route": "/v1.", "status": 503, "count": None}
REFUSAL = {"ErrorCode": "1101", "Message": "No."}
NO_RIGHT = {"ErrorCode": "2203", "Message": "User does not have permission for this operation"}


@pytest.fixture
async def office(hass: HomeAssistant, socket_enabled: None) -> AsyncIterator[Office]:
    """Open an office at a campsite where everything takes effect at once."""
    async with office_of(hass) as office:
        yield office


def refused(err: object) -> KeyRefusal:
    """Return why something was refused."""
    assert isinstance(err, KeyRefusedError)
    return err.reason


def free_seats(office: Office, count: int) -> None:
    """Leave so many seats on the site."""
    used = office.desk.sim.world.seats_used(office.desk.sim.site_id)
    office.desk.sim.set("site", office.desk.site_id, subscribed_user_amount=used + count)


# A key's life


async def test_issued(office: Office) -> None:
    """A key opens its door in its window and only there, is told of once, and is in the log."""
    strangers = office.desk.strangers()
    key = await office.issue(label="Family Jansen")
    assert key.record.status is KeyStatus.SET
    assert office.edges(key) == INSIDE_ONLY
    assert not office.opens(key, office.desk.doors[1], key.record.window.starts_at)
    assert office.told(key) == ["key_issued"]
    assert await office.actions(key) == ["issue: done"]
    await office.assert_agreed()
    assert office.desk.strangers() == strangers


async def test_changed(office: Office) -> None:
    """Window and doors move, the PIN stays."""
    key = await office.issue()
    window, doors = key.record.window, frozenset(office.desk.doors[1:3])
    later = KeyChange(starts_at=window.starts_at + DAY, ends_at=window.ends_at + DAY, doors=doors)
    changed = await office.manager.change(key.record.key_id, later, RECEPTION)
    assert (changed.window.starts_at, changed.doors) == (window.starts_at + DAY, doors)
    for door in doors:
        assert office.edges(key, door) == INSIDE_ONLY
    assert not office.opens(key, at=changed.window.starts_at)
    assert not office.opens(key, office.desk.doors[1], window.starts_at)
    assert office.told(key)[1:] == ["key_changed window_and_doors"]
    await office.assert_agreed()


@pytest.mark.parametrize(
    ("change", "told"), [({"hours": 1}, "window"), ({"doors": 1}, "doors"), ({}, None)]
)
async def test_what_a_change_is_told_as(
    office: Office, change: dict[str, int], told: str | None
) -> None:
    """A change tells what was different; one that changes nothing is no news and asks nobody."""
    key = await office.issue()
    ends_at = key.record.window.ends_at + timedelta(hours=change.get("hours", 0))
    doors = frozenset(office.desk.doors[change.get("doors", 0) :][:1])
    calls = await office.desk.calls(
        office.manager.change(key.record.key_id, KeyChange(ends_at=ends_at, doors=doors), RECEPTION)
    )
    assert office.told(key)[1:] == ([f"key_changed {told}"] if told else [])
    assert bool(calls) is bool(told)


async def test_suspended_and_resumed(office: Office) -> None:
    """A suspended key opens nothing and gives its seat back; resumed it is as it was. Both once."""
    key = await office.issue()
    key_id, inside = key.record.key_id, key.record.window.starts_at
    seats = office.desk.sim.world.seats_used(office.desk.sim.site_id)
    for _ in range(2):
        suspended = await office.manager.suspend(key_id, RECEPTION)
        assert suspended.status is KeyStatus.SUSPENDED
    assert not office.opens(key, at=inside)
    assert office.desk.sim.world.seats_used(office.desk.sim.site_id) == seats - 1
    await office.assert_agreed()
    for _ in range(2):
        assert (await office.manager.resume(key_id, RECEPTION)).status is KeyStatus.SET
    assert office.edges(key) == INSIDE_ONLY
    assert office.told(key)[1:] == ["key_changed suspended", "key_changed resumed"]


async def test_rotated(office: Office) -> None:
    """The new PIN opens, the old one is dead, and the key has to prove itself anew."""
    key = await office.issue()
    await office.manager.note_use(office.person_of(key), key.record.window.starts_at)
    assert office.record(key).proven
    new = await office.manager.rotate(key.record.key_id, RECEPTION)
    assert office.edges(new) == INSIDE_ONLY
    assert not office.opens(key, at=key.record.window.starts_at)
    assert not office.record(key).proven
    assert office.told(key)[1:] == ["key_first_used", "key_changed pin"]


async def test_revealed(office: Office) -> None:
    """The PIN can be asked for again; the log has who asked before it is given away."""
    key = await office.issue()
    revealed = await office.manager.reveal(key.record.key_id, RECEPTION)
    assert revealed.keypad_pin == key.keypad_pin
    assert await office.actions(key) == ["issue: done", "reveal: done"]


async def test_reissued(office: Office) -> None:
    """Issued anew a key has another guest and another PIN, and nothing of the old is left."""
    key = await office.issue(booking="b1")
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    assert new.record.key_id == key.record.key_id
    assert new.record.guest != key.record.guest
    assert office.edges(new) == INSIDE_ONLY
    assert not office.opens(key, at=key.record.window.starts_at)
    assert office.told(key)[1:] == ["key_changed pin"]
    await office.passes(A_MOMENT)
    await office.assert_agreed()


async def test_revoked(office: Office) -> None:
    """A revoked key opens nothing, and is `revoked` once every door was in reach for 4 minutes."""
    key = await office.issue(*office.desk.doors[:2])
    removing = await office.manager.revoke(key.record.key_id, RECEPTION)
    assert removing.status is KeyStatus.REMOVING
    assert not office.opens(key, at=key.record.window.starts_at)
    assert refused(await outcome_of(office.manager.revoke(removing.key_id, RECEPTION))) is (
        KeyRefusal.ENDED
    )
    await office.passes(timedelta(minutes=3))
    assert office.record(key).status is KeyStatus.REMOVING
    await office.passes(timedelta(minutes=2))
    assert office.record(key).status is KeyStatus.REVOKED
    assert office.told(key)[1:] == ["key_changed removing", "key_revoked"]
    await office.assert_agreed()


async def test_a_door_that_is_cut_off_keeps_a_key_removing(office: Office) -> None:
    """As long as a door may still know the PIN the key is `removing`, with a warning that says why."""
    key = await office.issue(*office.desk.doors[:2])
    office.desk.sim.set("lock", office.desk.doors[0], online=False)
    await office.manager.revoke(key.record.key_id, RECEPTION)
    await office.passes(HOUR)
    record = office.record(key)
    assert (record.status, record.warnings) == (KeyStatus.REMOVING, {KeyWarning.LOCK_OFFLINE})
    office.desk.sim.set("lock", office.desk.doors[0], online=True)
    await office.passes(timedelta(minutes=3))
    assert office.record(key).status is KeyStatus.REMOVING
    await office.passes(timedelta(minutes=2))
    assert office.record(key).status is KeyStatus.REVOKED
    assert office.record(key).warnings == frozenset()


async def test_the_end_of_the_window(office: Office) -> None:
    """When its window is over a key is taken back, and its seat is free."""
    seats = office.desk.sim.world.seats_used(office.desk.sim.site_id)
    key = await office.issue()
    await office.comes(key.record.window.ends_at - MINUTE)
    assert office.record(key).status is KeyStatus.SET
    await office.comes(key.record.window.ends_at)
    assert office.record(key).status is KeyStatus.REMOVING
    assert office.desk.sim.world.seats_used(office.desk.sim.site_id) == seats
    await office.passes(A_MOMENT)
    assert office.told(key) == ["key_issued", "key_changed removing", "key_revoked"]
    await office.assert_agreed()


async def test_as_slow_as_it_was_measured(hass: HomeAssistant, socket_enabled: None) -> None:
    """With all lags of the real service a key still opens at the minute, and ends at it."""
    async with office_of(hass, Quirks()) as office:
        one, other = await asyncio.gather(
            office.issue(booking="b1"), office.issue(*office.desk.doors[1:3], booking="b2")
        )
        assert office.edges(one) == INSIDE_ONLY
        assert office.edges(other, office.desk.doors[2]) == INSIDE_ONLY
        await office.comes(one.record.window.ends_at)
        await office.passes(2 * A_MOMENT)
        assert office.record(one).status is KeyStatus.REVOKED
        await office.assert_agreed()


# Asked twice


async def test_asked_twice(office: Office) -> None:
    """For the same booking, doors and window there is one key with one PIN, however often asked."""
    request = office.request(booking="b1")
    keys = await asyncio.gather(*(office.manager.issue(request, RECEPTION) for _ in range(3)))
    again = await office.manager.issue(request, RECEPTION)
    assert len({key.record.key_id for key in (*keys, again)}) == 1
    assert len({key.keypad_pin for key in (*keys, again)}) == 1
    assert office.told() == ["key_issued"]
    await office.assert_agreed()


async def test_another_window_is_a_change(office: Office) -> None:
    """The same booking and doors with another window is refused, and names the key to change."""
    key = await office.issue(booking="b1")
    err = await outcome_of(office.issue(booking="b1", lasts=4 * HOUR))
    assert refused(err) is KeyRefusal.OTHER_WINDOW
    assert isinstance(err, KeyRefusedError)
    assert err.about == {"key_id": key.record.key_id}


async def test_other_doors_of_a_booking_are_another_key(office: Office) -> None:
    """A booking may have several keys; without a booking each request is a key of its own."""
    one = await office.issue(booking="b1")
    other = await office.issue(office.desk.doors[1], booking="b1")
    third, fourth = await office.issue(), await office.issue()
    assert len({key.record.key_id for key in (one, other, third, fourth)}) == 4
    assert [key.key_id for key in office.manager.keys(booking_id=BookingId("b1"))] == [
        other.record.key_id,
        one.record.key_id,
    ]


async def test_a_booking_that_comes_back(office: Office) -> None:
    """After a cancellation the same booking gets a new key, though the old one is not gone yet."""
    key = await office.issue(booking="b1")
    await office.manager.revoke(key.record.key_id, RECEPTION)
    new = await office.issue(booking="b1")
    assert new.record.key_id != key.record.key_id
    assert office.edges(new) == INSIDE_ONLY


async def test_a_booking_that_comes_back_while_salto_is_down(office: Office) -> None:
    """A key whose removal waits for Salto is not the key that is asked for anew."""
    key = await office.issue(booking="b1")
    fault = office.desk.sim.faults.add(Fault(method="DELETE", status=503, count=None))
    err = await outcome_of(office.manager.revoke(key.record.key_id, RECEPTION))
    assert isinstance(err, KeyPendingError)
    assert office.record(key).status is KeyStatus.REMOVING
    new = await office.issue(booking="b1")
    assert new.record.key_id != key.record.key_id
    assert office.desk.sim.faults.hits(fault)
    office.desk.sim.faults.clear()
    await office.passes(2 * A_MOMENT)
    assert office.record(key).status is KeyStatus.REVOKED
    await office.assert_agreed()


async def test_asked_again_while_a_change_is_pending(office: Office) -> None:
    """A booking whose change waits for Salto is asked for by its new window, and gets its PIN."""
    key = await office.issue(booking="b1")
    longer = KeyChange(ends_at=key.record.window.ends_at + HOUR)
    office.desk.sim.faults.add(Fault(method="PATCH", status=503, count=None))
    err = await outcome_of(office.manager.change(key.record.key_id, longer, RECEPTION))
    assert isinstance(err, KeyPendingError)
    err = await outcome_of(office.issue(booking="b1"))
    assert refused(err) is KeyRefusal.OTHER_WINDOW
    office.desk.sim.faults.clear()
    again = await office.issue(booking="b1", lasts=4 * HOUR)
    assert again.keypad_pin == key.keypad_pin
    assert office.edges(key) == INSIDE_ONLY
    assert office.record(key).window.ends_at == longer.ends_at


async def test_asked_again_for_a_change_that_is_refused(office: Office) -> None:
    """When the pending change turns out to be refused, the key is as before and so is the answer."""
    key = await office.issue(booking="b1")
    longer = KeyChange(ends_at=key.record.window.ends_at + HOUR)
    office.desk.sim.faults.add(Fault(method="PATCH", route="time_schedules", status=503, count=5))
    err = await outcome_of(office.manager.change(key.record.key_id, longer, RECEPTION))
    assert isinstance(err, KeyPendingError)
    office.desk.sim.faults.add(
        Fault(method="PATCH", route="time_schedules", status=400, body=REFUSAL)
    )
    err = await outcome_of(office.issue(booking="b1", lasts=4 * HOUR))
    assert refused(err) is KeyRefusal.OTHER_WINDOW
    assert office.edges(key) == INSIDE_ONLY


# Refused by us


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"lasts": -HOUR}, KeyRefusal.ENDS_BEFORE_START),
        ({"starts_at": None, "lasts": 5000 * DAY}, KeyRefusal.WINDOW_TOO_FAR),
        ({"pin_length": 3}, KeyRefusal.PIN_LENGTH_INVALID),
        ({"pin_length": 5}, KeyRefusal.PIN_LENGTH_UNAVAILABLE),
    ],
)
async def test_what_makes_no_sense(
    office: Office, more: dict[str, Any], reason: KeyRefusal
) -> None:
    """What makes no sense is refused with a reason; nothing is written, here or at Salto."""
    assert refused(await outcome_of(office.issue(**more))) is reason
    assert (office.manager.keys(), office.marked(), office.told()) == ((), set(), [])


async def test_doors_that_cannot_take_a_pin(office: Office) -> None:
    """A door without a keypad is named, one nobody knows is told, and so is no door at all."""
    world = office.desk.sim.world
    office_door = next(lock.id for lock in world.locks.values() if not lock.has_keypad)
    err = await outcome_of(office.issue(DoorId(office_door)))
    assert refused(err) is KeyRefusal.DOOR_WITHOUT_KEYPAD
    assert isinstance(err, KeyRefusedError)
    assert err.about["doors"] == world.locks[office_door].customer_reference
    assert refused(await outcome_of(office.issue(DoorId("nowhere")))) is KeyRefusal.DOOR_UNKNOWN
    nothing = replace(office.request(), doors=frozenset())
    err = await outcome_of(office.manager.issue(nothing, RECEPTION))
    assert refused(err) is KeyRefusal.NO_DOORS


async def test_a_site_that_is_switched_off(office: Office) -> None:
    """A site that is not active gives no access, and keeps taking it away."""
    key, other = await office.issue(booking="b1"), await office.issue(booking="b2")
    key_id, window = key.record.key_id, key.record.window
    await office.manager.suspend(other.record.key_id, RECEPTION)
    office.is_active = False
    manager = office.manager
    for work in (
        office.issue(),
        manager.change(key_id, KeyChange(ends_at=window.ends_at + HOUR), RECEPTION),
        manager.resume(other.record.key_id, RECEPTION),
        manager.rotate(key_id, RECEPTION),
        manager.reissue(key_id, RECEPTION),
    ):
        assert refused(await outcome_of(work)) is KeyRefusal.SITE_INACTIVE
    assert (await office.issue(booking="b1")).keypad_pin == key.keypad_pin
    shorter = KeyChange(ends_at=window.ends_at - HOUR)
    assert (await manager.change(key_id, shorter, RECEPTION)).window.ends_at == shorter.ends_at
    await manager.suspend(key_id, RECEPTION)
    await office.comes(window.ends_at)
    await office.passes(A_MOMENT)
    assert {office.record(one).status for one in (key, other)} == {KeyStatus.REVOKED}


async def test_keys_that_nothing_can_be_done_to(office: Office) -> None:
    """A key nobody knows, one that ended, and one that is suspended are told apart."""
    key = await office.issue()
    key_id, manager = key.record.key_id, office.manager
    err = await outcome_of(manager.change(key_id, KeyChange(), RECEPTION))
    assert refused(err) is KeyRefusal.NOTHING_TO_CHANGE
    await manager.suspend(key_id, RECEPTION)
    assert refused(await outcome_of(manager.rotate(key_id, RECEPTION))) is KeyRefusal.SUSPENDED
    await manager.revoke(key_id, RECEPTION)
    for work in (
        manager.change(key_id, KeyChange(doors=frozenset()), RECEPTION),
        manager.suspend(key_id, RECEPTION),
        manager.resume(key_id, RECEPTION),
        manager.rotate(key_id, RECEPTION),
        manager.reveal(key_id, RECEPTION),
        manager.reissue(key_id, RECEPTION),
    ):
        assert refused(await outcome_of(work)) is KeyRefusal.ENDED
    nobody = KeyId("none-1")
    assert refused(await outcome_of(manager.revoke(nobody, RECEPTION))) is KeyRefusal.UNKNOWN
    assert manager.get(nobody) is None


async def test_a_site_without_pins(office: Office) -> None:
    """Where the site has PINs switched off no key is begun."""
    office.desk.sim.set("site", office.desk.site_id, pin_enabled=False)
    assert refused(await outcome_of(office.issue())) is KeyRefusal.PINS_DISABLED
    assert office.marked() == set()


async def test_a_pin_of_a_chosen_length(office: Office) -> None:
    """Where the site may choose PINs they have the wished length, and no two are alike."""
    office.desk.sim.set("site", office.desk.site_id, features=["custom_pin"])
    keys = await asyncio.gather(*(office.issue(pin_length=4) for _ in range(5)))
    pins = {key.keypad_pin for key in keys}
    assert len(pins) == 5
    assert {len(pin or "") for pin in pins} == {4}
    new = await office.manager.rotate(keys[0].record.key_id, RECEPTION)
    assert new.keypad_pin is not None
    assert len(new.keypad_pin) == 4
    assert new.keypad_pin not in pins


# Seats


async def test_one_seat_for_two(office: Office) -> None:
    """Of two keys for the last seat one is issued; the other says so and leaves nothing."""
    free_seats(office, 1)
    outcomes = await asyncio.gather(
        *(outcome_of(office.issue(booking=name)) for name in ("b1", "b2"))
    )
    (key,) = [one for one in outcomes if isinstance(one, HandedOut)]
    (err,) = [one for one in outcomes if not isinstance(one, HandedOut)]
    assert isinstance(err, KeyFailedError)
    assert err.problem is KeyProblem.SEAT_UNAVAILABLE
    assert office.edges(key) == INSIDE_ONLY
    assert sorted(office.told()) == ["key_failed seat_unavailable", "key_issued"]
    assert refused(await outcome_of(office.issue())) is KeyRefusal.SEAT_UNAVAILABLE
    await office.assert_agreed()


async def test_no_seat_to_resume_with(office: Office) -> None:
    """A key whose seat went to somebody else stays suspended, and says why."""
    key = await office.issue()
    await office.manager.suspend(key.record.key_id, RECEPTION)
    free_seats(office, 0)
    err = await outcome_of(office.manager.resume(key.record.key_id, RECEPTION))
    assert isinstance(err, KeyFailedError)
    record = office.record(key)
    assert record.status is KeyStatus.SUSPENDED
    assert record.errors == {KeyProblem.SEAT_UNAVAILABLE}
    assert office.told(key)[-1] == "key_failed seat_unavailable"
    free_seats(office, 1)
    assert (await office.manager.resume(key.record.key_id, RECEPTION)).errors == frozenset()
