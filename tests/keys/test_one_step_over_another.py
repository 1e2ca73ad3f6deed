"""One step over another that is still open, and steps that are refused halfway.

Whatever comes of it, what the ledger says is so: at the doors, and of what is left at Salto.
"""

from collections.abc import AsyncIterator

from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.domain.booking_plan import as_wanted
from custom_components.salto_ks.domain.bookings import BookingStatus
from custom_components.salto_ks.domain.key_requests import KeyChange
from custom_components.salto_ks.domain.keys import KeyStatus, Strategy
from custom_components.salto_ks.domain.observed import UNSEEN_FOR
from custom_components.salto_ks.keys.manager import HandedOut, KeyPendingError
from custom_components.salto_ks.keys.provider import KeyFailedError
from simulator import Fault, Quirks
from tests.domain.stays import PITCH, a_booking, a_unit
from tests.domain.test_booking_plan import World
from tests.ha.files import hass_config_dir, hass_storage

from .desk import HOUR, MINUTE
from .offices import INSIDE_ONLY, RECEPTION, TICK, Office, office_of, outcome_of
from .test_manager import DAY, NO_RIGHT, REFUSAL
from .test_manager_trouble import (
    BY_ITSELF,
    broken,
    mended,
    reissue,
    resume,
    revoke,
    rotate,
    suspend,
)

__all__ = ["hass_config_dir", "hass_storage"]
NEVER = (False,) * 4


@pytest.fixture
async def office(hass: HomeAssistant, socket_enabled: None) -> AsyncIterator[Office]:
    """Open an office at a campsite where everything takes effect at once."""
    async with office_of(hass) as office:
        yield office


async def test_rotate_pending_then_reissue_refused(office: Office) -> None:
    """The PIN that a lost answer has killed is not given away as that of a key that is set."""
    key = await office.issue(booking="b1")
    broken(office, "PUT", "/pin", status=502, commit=True)
    assert isinstance(await outcome_of(rotate(office, key)), KeyPendingError)
    mended(office)
    assert office.edges(key) == NEVER
    broken(office, "POST", status=403, body=NO_RIGHT)
    assert isinstance(await outcome_of(reissue(office, key)), KeyFailedError)
    mended(office)
    await office.passes(UNSEEN_FOR + MINUTE)
    shown = await office.manager.reveal(key.record.key_id, RECEPTION)
    assert shown.keypad_pin != key.keypad_pin
    assert office.edges(shown) == INSIDE_ONLY


async def test_change_pending_then_reissue_refused(office: Office) -> None:
    """The door that a lost change has added is in the record, or closed."""
    key = await office.issue(booking="b1")
    broken(office, "PATCH", "/locks", status=503, commit=True)
    more = KeyChange(doors=frozenset(office.desk.doors[:2]))
    pending = await outcome_of(office.manager.change(key.record.key_id, more, RECEPTION))
    assert isinstance(pending, KeyPendingError)
    mended(office)
    broken(office, "POST", status=403, body=NO_RIGHT)
    assert isinstance(await outcome_of(reissue(office, key)), KeyFailedError)
    mended(office)
    await office.passes(UNSEEN_FOR + MINUTE)
    record = office.record(key)
    assert (record.status, record.doors) == (KeyStatus.SET, more.doors)
    for door in office.desk.doors[:2]:
        assert office.edges(key, door) == INSIDE_ONLY


async def test_resume_pending_then_reissue_refused(office: Office) -> None:
    """A key that opens its door is not called suspended."""
    key = await office.issue(booking="b1")
    await suspend(office, key)
    broken(office, "PATCH", "/users", status=503, commit=True)
    broken(office, "PUT", "/users", status=503, commit=True)
    assert isinstance(await outcome_of(resume(office, key)), KeyPendingError)
    mended(office)
    broken(office, "POST", status=403, body=NO_RIGHT)
    assert isinstance(await outcome_of(reissue(office, key)), KeyFailedError)
    mended(office)
    await office.passes(UNSEEN_FOR + MINUTE)
    assert office.record(key).status is KeyStatus.SET
    assert office.edges(key) == INSIDE_ONLY


async def two_zones_by_membership(office: Office) -> HandedOut:
    """Have a key of two doors in two time zones, whose guest we let in ourselves."""
    doors = (office.desk.doors[0], office.desk.doors[-1])
    office.desk.set_zone(doors[1], "America/New_York")
    key = await office.issue(*doors, booking="b1", strategy=Strategy.MEMBERSHIP, lasts=DAY)
    await office.passes(UNSEEN_FOR + MINUTE, every=MINUTE)
    return key


@pytest.mark.parametrize("status", [403, 503])
async def test_joined_by_half_and_then_moved(office: Office, status: int) -> None:
    """A guest who was let in at one door of two is let out when the window moves away."""
    key = await two_zones_by_membership(office)
    more = {"body": NO_RIGHT} if status == 403 else {}
    second = office.record(key).groups[1].id
    broken(office, None, f"/access_groups/{second}", status=status, **more)
    broken(office, None, second, status=status, **more)
    await office.comes(key.record.window.starts_at)
    open_before = [office.opens(key, one) for one in sorted(key.record.doors)]
    assert sorted(open_before) == [False, True]
    later = KeyChange(
        starts_at=key.record.window.starts_at + 5 * DAY, ends_at=key.record.window.ends_at + 5 * DAY
    )
    mended(office)
    await office.manager.change(key.record.key_id, later, RECEPTION)
    record = office.record(key)
    assert (record.status, record.errors) == (KeyStatus.SET, frozenset())
    assert not any(office.opens(key, one) for one in key.record.doors)


async def test_a_refused_reissue_does_not_keep_a_guest_from_joining(office: Office) -> None:
    """What is due by time does not wait an hour for what a person was refused."""
    key = await office.issue(booking="b1", strategy=Strategy.MEMBERSHIP)
    await office.comes(key.record.window.starts_at - 2 * MINUTE)
    broken(office, "POST", "/guests", status=400, body=REFUSAL)
    assert isinstance(await outcome_of(reissue(office, key)), KeyFailedError)
    mended(office)
    assert office.record(key).status is KeyStatus.SET
    await office.passes(10 * MINUTE, every=MINUTE)
    assert office.opens(key)


async def test_a_refused_reissue_does_not_keep_a_key_past_its_end(office: Office) -> None:
    """Nor does a key open on after its window for that."""
    key = await office.issue(booking="b1", strategy=Strategy.MEMBERSHIP)
    await office.comes(key.record.window.starts_at)
    await office.comes(key.record.window.ends_at - 2 * MINUTE)
    broken(office, "POST", "/guests", status=400, body=REFUSAL)
    assert isinstance(await outcome_of(reissue(office, key)), KeyFailedError)
    mended(office)
    await office.passes(10 * MINUTE, every=MINUTE)
    assert not office.opens(key)


async def test_an_old_guest_who_does_not_go_keeps_no_key_past_its_end(office: Office) -> None:
    """Nor does what Salto has refused to tidy away, and a new guest after that, hold back the end."""
    key = await office.issue(booking="b1", strategy=Strategy.MEMBERSHIP)
    await office.comes(key.record.window.starts_at)
    await office.comes(key.record.window.ends_at - 20 * MINUTE)
    broken(office, "DELETE", status=403, body=NO_RIGHT)
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    await office.passes(UNSEEN_FOR + MINUTE)
    broken(office, "POST", "/guests", status=400, body=REFUSAL)
    assert isinstance(await outcome_of(reissue(office, key)), KeyFailedError)
    mended(office)
    assert office.opens(new)
    await office.comes(key.record.window.ends_at)
    assert not office.opens(new)
    assert office.record(key).status is KeyStatus.REMOVING


@pytest.mark.parametrize("strategy", Strategy)
async def test_a_guest_who_cannot_be_removed(office: Office, strategy: Strategy) -> None:
    """Whoever is let in by us stands outside after the window all the same, in the same minute."""
    key = await office.issue(booking="b1", strategy=strategy)
    await office.comes(key.record.window.starts_at)
    assert office.opens(key)
    broken(office, "DELETE", status=403, body=NO_RIGHT)
    await office.comes(key.record.window.ends_at)
    assert not office.opens(key)
    assert office.record(key).status is KeyStatus.UNKNOWN
    mended(office)
    await office.passes(3 * HOUR, every=MINUTE)
    assert office.record(key).status is KeyStatus.REVOKED
    await office.assert_agreed()


async def test_a_booking_that_comes_back_to_a_key_without_a_guest(office: Office) -> None:
    """The removal was refused halfway; the booking has a key that works, with another PIN."""
    key = await office.issue(booking="b1", unit_id=PITCH, lasts=2 * DAY)
    broken(office, "DELETE", "/access_groups", status=403, body=NO_RIGHT)
    revoked = office.manager.revoke(key.record.key_id, BY_ITSELF)
    assert isinstance(await outcome_of(revoked), KeyFailedError)
    mended(office)
    assert office.edges(key) == NEVER
    as_it_was = KeyChange(ends_at=key.record.window.ends_at, doors=key.record.doors)
    for _ in range(12):
        for act, key_id, _ in planned(office):
            assert act == "change"
            await outcome_of(office.manager.change(key_id, as_it_was, BY_ITSELF))
        await office.passes(15 * MINUTE, every=MINUTE)
    (record,) = office.manager.keys(statuses={KeyStatus.SET})
    assert office.edges(await office.manager.reveal(record.key_id, RECEPTION)) == INSIDE_ONLY


async def test_a_change_that_leaves_a_group_of_its_own(office: Office) -> None:
    """A new group that could not be removed again opens no door for longer than minutes."""
    doors = office.desk.doors
    office.desk.set_zone(doors[-1], "America/New_York")
    key = await office.issue(doors[0], booking="b1")
    broken(office, "DELETE", "/access_groups", status=403, body=NO_RIGHT)
    elsewhere = KeyChange(doors=frozenset({doors[-1]}))
    moved = office.manager.change(key.record.key_id, elsewhere, RECEPTION)
    assert isinstance(await outcome_of(moved), KeyFailedError)
    mended(office)
    await office.passes(UNSEEN_FOR + 5 * MINUTE)
    record = office.record(key)
    assert record.status is KeyStatus.SET
    assert office.edges(key, doors[-1]) == NEVER


async def test_a_change_whose_group_was_made_twice(office: Office) -> None:
    """What a lost answer has left has an owner within minutes, after an issue and a change."""
    doors = office.desk.doors
    office.desk.set_zone(doors[-1], "America/New_York")
    key = await office.issue(doors[0], booking="b1")
    office.desk.sim.faults.add(
        Fault(method="POST", route="/access_groups", status=503, commit=True, count=1)
    )
    await office.manager.change(
        key.record.key_id, KeyChange(doors=frozenset({doors[0], doors[-1]})), RECEPTION
    )
    await office.passes(UNSEEN_FOR + 5 * MINUTE)
    found = {one.id for one in office.desk.groups(office.record(key))}
    assert found == {one.id for one in office.record(key).groups}


@pytest.mark.parametrize("how", ["revoke", "end"])
async def test_what_a_lost_reissue_has_left_goes_with_the_key(
    hass: HomeAssistant, socket_enabled: None, how: str
) -> None:
    """A guest that no listing shows yet does not stay behind a key that is called revoked."""
    async with office_of(hass, Quirks()) as office:
        key = await office.issue(booking="b1")
        await office.passes(UNSEEN_FOR + MINUTE, every=MINUTE)
        if how == "end":
            await office.comes(key.record.window.ends_at - MINUTE)
        sim = office.desk.sim
        for method in ("GET", "DELETE"):
            sim.faults.add(Fault(method=method, route="/users", status=503, count=None))
        sim.faults.add(Fault(method="POST", route="/guests", status=503, commit=True, count=None))
        assert isinstance(await outcome_of(reissue(office, key)), KeyPendingError)
        mended(office)
        if how == "revoke":
            await revoke(office, key)
        await office.passes(30 * MINUTE, every=MINUTE)
        record = office.record(key)
        assert record.status is KeyStatus.REVOKED
        assert (office.desk.guests(record), office.desk.groups(record)) == ([], [])


async def test_a_suspended_key_whose_removal_was_refused_comes_back(office: Office) -> None:
    """Its booking is confirmed again, and it is in force at once."""
    key = await office.issue(booking="b1", lasts=2 * DAY)
    await office.manager.suspend(key.record.key_id, BY_ITSELF)
    broken(office, "DELETE", status=403, body=NO_RIGHT)
    revoked = office.manager.revoke(key.record.key_id, BY_ITSELF)
    assert isinstance(await outcome_of(revoked), KeyFailedError)
    as_it_was = KeyChange(ends_at=key.record.window.ends_at, doors=key.record.doors)
    await office.manager.change(key.record.key_id, as_it_was, BY_ITSELF)
    assert office.record(key).status is KeyStatus.SET
    assert office.edges(key) == INSIDE_ONLY


async def test_a_refused_suspension_of_an_unknown_key_gives_no_access(office: Office) -> None:
    """Undoing a suspension that was refused gives no seat to a key that had none."""
    key = await office.issue(booking="b1", lasts=2 * DAY)
    await office.manager.suspend(key.record.key_id, BY_ITSELF)
    broken(office, "DELETE", status=403, body=NO_RIGHT)
    await outcome_of(office.manager.revoke(key.record.key_id, BY_ITSELF))
    mended(office)
    assert office.record(key).status is KeyStatus.UNKNOWN
    assert office.edges(key) == NEVER
    office.desk.sim.faults.add(
        Fault(method="PATCH", route="/users", status=403, body=NO_RIGHT, count=1)
    )
    office.desk.sim.faults.add(
        Fault(method="PUT", route="/users", status=403, body=NO_RIGHT, count=1)
    )
    assert isinstance(await outcome_of(suspend(office, key)), KeyFailedError)
    mended(office)
    assert office.edges(key) == NEVER


def planned(
    office: Office, status: BookingStatus = BookingStatus.CONFIRMED
) -> list[tuple[str, str, str]]:
    """Return what bookings ask for now, with the keys as they are wanted."""
    ledger = office.ledger
    intents = ledger.intents
    records = {
        key_id: as_wanted(record, intents.get(key_id))
        for key_id, record in (
            *ledger.records.items(),
            *((key_id, one.record) for key_id, one in intents.items()),
        )
    }
    any_record = next(iter(records.values()))
    window = any_record.window
    booking = a_booking(
        status=status, starts_at=window.starts_at, ends_at=window.ends_at, booking_id="b1"
    )
    return World(
        recorded=records,
        bookings=[booking],
        units={PITCH: a_unit(doors=any_record.doors)},
        by_hand=[key for key, record in records.items() if record.by_hand],
        now=office.desk.sim.clock.now(),
    ).told()


async def test_the_new_key_of_a_booking_is_not_taken_for_the_second_one(office: Office) -> None:
    """As it happens: cancelled, Salto down, confirmed again, and the removal refused."""
    old = await office.issue(booking="b1", unit_id=PITCH, lasts=2 * DAY)
    broken(office, "DELETE")
    assert planned(office, BookingStatus.CANCELLED) == [
        ("revoke", old.record.key_id, "booking_cancelled")
    ]
    revoked = office.manager.revoke(old.record.key_id, BY_ITSELF)
    assert isinstance(await outcome_of(revoked), KeyPendingError)
    assert planned(office) == [("issue", "b1 pitch", "issued_before")]
    new = await office.issue(booking="b1", unit_id=PITCH, lasts=2 * DAY)
    mended(office)
    assert planned(office) == []
    broken(office, "DELETE", "/access_groups", status=403, body=NO_RIGHT)
    await office.passes(2 * MINUTE)
    assert office.record(old).status is KeyStatus.UNKNOWN
    assert (office.edges(old), office.edges(new)) == (NEVER, INSIDE_ONLY)
    assert planned(office) == []


async def test_reissue_pending_then_reissue_refused(office: Office) -> None:
    """Asked for twice: the first has taken the old guest away, the second is refused."""
    key = await office.issue(booking="b1")
    gone = Fault(method="DELETE", route="/users/{user}", status=503, commit=True, count=None)
    office.desk.sim.faults.add(gone)
    assert isinstance(await outcome_of(reissue(office, key)), KeyPendingError)
    assert office.edges(key) == NEVER
    mended(office)
    broken(office, "POST", status=403, body=NO_RIGHT)
    assert isinstance(await outcome_of(reissue(office, key)), KeyFailedError)
    mended(office)
    await office.passes(UNSEEN_FOR + MINUTE)
    assert office.record(key).status is KeyStatus.REVOKED
    await office.assert_agreed()


def refused_after_it_happened(office: Office) -> None:
    """Have Salto suspend a guest and then say no to that, and to what would undo it."""
    sim = office.desk.sim
    for method in ("PATCH", "PUT"):
        sim.faults.add(
            Fault(method=method, route="/users", status=403, body=NO_RIGHT, commit=True, count=1)
        )
        sim.faults.add(Fault(method=method, route="/users", status=403, body=NO_RIGHT, count=None))


async def test_an_unknown_key_of_a_guest_who_comes(office: Office) -> None:
    """A confirmed booking is not left with a key that does not work."""
    key = await office.issue(booking="b1", unit_id=PITCH, lasts=2 * DAY)
    refused_after_it_happened(office)
    suspended = office.manager.suspend(key.record.key_id, BY_ITSELF)
    assert isinstance(await outcome_of(suspended), KeyFailedError)
    mended(office)
    assert office.record(key).status is KeyStatus.UNKNOWN
    assert office.edges(key) == NEVER
    assert planned(office) == [("change", key.record.key_id, "booking_confirmed")]
    as_it_was = KeyChange(ends_at=key.record.window.ends_at, doors=key.record.doors)
    await office.manager.change(key.record.key_id, as_it_was, BY_ITSELF)
    assert office.edges(key) == INSIDE_ONLY
    assert planned(office) == []


async def test_a_key_whose_guest_is_gone_and_whose_booking_is_confirmed(office: Office) -> None:
    """A reissue that nobody can tell about does not leave a confirmed booking without a key."""
    key = await office.issue(booking="b1", unit_id=PITCH, lasts=2 * DAY)
    gone = Fault(method="DELETE", route="/users/{user}", status=503, commit=True, count=None)
    office.desk.sim.faults.add(gone)
    assert isinstance(await outcome_of(reissue(office, key)), KeyPendingError)
    mended(office)
    broken(office, "GET", "/users", status=403, body=NO_RIGHT)
    await office.passes(2 * MINUTE)
    mended(office)
    assert office.record(key).status is KeyStatus.UNKNOWN
    assert office.edges(key) == NEVER
    for _ in range(3):
        for act, key_id, _ in planned(office):
            assert act == "change"
            as_it_was = KeyChange(ends_at=key.record.window.ends_at, doors=key.record.doors)
            await outcome_of(office.manager.change(key_id, as_it_was, BY_ITSELF))
        await office.passes(15 * MINUTE, every=MINUTE)
    assert office.record(key).status is KeyStatus.SET
    shown = await office.manager.reveal(key.record.key_id, RECEPTION)
    assert office.edges(shown) == INSIDE_ONLY
    await office.assert_agreed()


async def test_requests_of_a_key_that_cannot_join(office: Office) -> None:
    """A guest whom Salto does not let in is tried again, and not each minute for days."""
    key = await office.issue(booking="b1", strategy=Strategy.MEMBERSHIP, lasts=5 * DAY)
    broken(office, "POST", "/users", status=403, body=NO_RIGHT)
    await office.comes(key.record.window.starts_at)
    before = len(office.desk.sim.journal.entries)
    await office.passes(HOUR, every=TICK)
    made = len(office.desk.sim.journal.entries) - before
    assert made < 30
