"""What the key manager does by itself: let guests in and out, and compare with Salto."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
import shutil
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.domain.ids import PersonId, marker, number_of
from custom_components.salto_ks.domain.key_requests import KeyChange
from custom_components.salto_ks.domain.keys import KeyProblem, KeyStatus, KeyWarning, Strategy
from custom_components.salto_ks.domain.observed import UNSEEN_FOR
from custom_components.salto_ks.domain.read_only import ReadOnly
from custom_components.salto_ks.keys.manager import HandedOut
from simulator import Fault, Quirks
from tests.ha.files import hass_config_dir, hass_storage

from .desk import HOUR, MINUTE
from .ledgers import folder_of, no_room
from .offices import A_MOMENT, INSIDE_ONLY, RECEPTION, TICK, Office, office_of, outcome_of
from .test_manager import DAY, DOWN, NO_RIGHT

__all__ = ["hass_config_dir", "hass_storage"]

MEMBERSHIP: dict[str, Any] = {"strategy": Strategy.MEMBERSHIP}
NIGHT = timedelta(hours=1)


@pytest.fixture
async def office(hass: HomeAssistant, socket_enabled: None) -> AsyncIterator[Office]:
    """Open an office at a campsite where everything takes effect at once."""
    async with office_of(hass) as office:
        yield office


# Guests that we let in and out ourselves


async def test_let_in_and_out(hass: HomeAssistant, socket_enabled: None) -> None:
    """Where dates do not count at the door, a key still opens in its window only, to the tick."""
    async with office_of(hass, Quirks.instant(dated_time_honoured="ignored")) as office:
        key = await office.issue(*office.desk.doors, **MEMBERSHIP)
        window = key.record.window
        await office.comes(window.starts_at - TICK)
        assert not office.opens(key)
        await office.comes(window.starts_at + TICK)
        for door in office.desk.doors:
            assert office.opens(key, door)
        await office.comes(window.ends_at - TICK)
        assert office.opens(key)
        await office.comes(window.ends_at + TICK)
        assert not office.opens(key)
        await office.passes(A_MOMENT)
        assert await office.actions(key) == [
            "issue: done",
            "join: done",
            "revoke: done",
            "revoked: no door knows it any more",
        ]
        await office.assert_agreed()


async def test_let_in_at_once(office: Office) -> None:
    """A change that moves the window over now lets in, one that moves it away lets out."""
    key = await office.issue(**MEMBERSHIP)
    key_id, now = key.record.key_id, office.desk.sim.clock.now()
    await office.manager.change(key_id, KeyChange(starts_at=now - HOUR), RECEPTION)
    assert office.opens(key)
    await office.manager.suspend(key_id, RECEPTION)
    assert not office.opens(key)
    later = KeyChange(starts_at=now + HOUR)
    await office.manager.change(key_id, later, RECEPTION)
    await office.manager.resume(key_id, RECEPTION)
    assert not office.opens(key)
    await office.manager.change(key_id, KeyChange(starts_at=now - HOUR), RECEPTION)
    assert office.opens(key)
    await office.assert_agreed()


async def test_suspended_over_the_start(office: Office) -> None:
    """A key that is suspended when its window begins is let in when it is resumed."""
    key = await office.issue(**MEMBERSHIP)
    await office.manager.suspend(key.record.key_id, RECEPTION)
    await office.comes(key.record.window.starts_at + MINUTE)
    assert not office.opens(key)
    await office.manager.resume(key.record.key_id, RECEPTION)
    assert office.opens(key)


async def test_salto_is_down_at_the_start(office: Office) -> None:
    """A guest who cannot be let in is told about once, and let in as soon as Salto answers."""
    key = await office.issue(**MEMBERSHIP)
    office.desk.sim.faults.add(Fault(**DOWN))
    await office.comes(key.record.window.starts_at)
    await office.passes(10 * MINUTE)
    assert office.record(key).errors == {KeyProblem.UNREACHABLE}
    assert office.told(key) == ["key_issued", "key_failed unreachable"]
    office.desk.sim.faults.clear()
    await office.passes(2 * MINUTE)
    assert office.opens(key)
    assert office.record(key).errors == frozenset()


async def test_salto_refuses_to_let_in(office: Office) -> None:
    """A refusal is told once, tried again, and forgotten when it works."""
    key = await office.issue(**MEMBERSHIP)
    office.desk.sim.faults.add(
        Fault(method="POST", route="/users", status=403, body=NO_RIGHT, count=None)
    )
    await office.comes(key.record.window.starts_at)
    await office.passes(5 * MINUTE)
    assert office.record(key).errors == {KeyProblem.FORBIDDEN}
    assert office.told(key)[1:] == ["key_failed forbidden"]
    office.desk.sim.faults.clear()
    await office.passes(10 * MINUTE)
    assert office.opens(key)
    assert office.record(key).errors == frozenset()


async def test_salto_is_down_at_the_end(office: Office) -> None:
    """A guest is let out as soon as Salto answers again."""
    key = await office.issue(**MEMBERSHIP)
    await office.comes(key.record.window.starts_at)
    office.desk.sim.faults.add(Fault(**DOWN))
    await office.comes(key.record.window.ends_at)
    await office.passes(HOUR, every=MINUTE)
    assert office.opens(key)
    office.desk.sim.faults.clear()
    await office.passes(2 * MINUTE)
    assert not office.opens(key)


async def test_salto_is_down_when_the_window_moves_away(office: Office) -> None:
    """A guest whose window was moved away while Salto fails is let out as soon as it answers."""
    key = await office.issue(**MEMBERSHIP)
    await office.comes(key.record.window.starts_at)
    assert office.opens(key)
    later = KeyChange(starts_at=key.record.window.starts_at + HOUR)
    fault = Fault(method="DELETE", route="/access_groups", status=503, count=None)
    office.desk.sim.faults.add(fault)
    await office.manager.change(key.record.key_id, later, RECEPTION)
    assert office.opens(key)
    assert office.told(key)[1:] == ["key_changed window"]
    office.desk.sim.faults.clear()
    await office.passes(2 * MINUTE)
    assert not office.opens(key)


async def test_the_disk_is_full_at_the_start(office: Office) -> None:
    """A guest is let in though that cannot be written, and it is written later."""
    key = await office.issue(**MEMBERSHIP)
    with no_room():
        await office.comes(key.record.window.starts_at)
        await office.passes(MINUTE)
        assert office.opens(key)
    await office.tick()
    assert await office.actions(key) == ["issue: done", "join: done"]


async def test_let_in_again_after_a_start(office: Office) -> None:
    """A start in the middle of a window goes on where the ledger left off."""
    key = await office.issue(**MEMBERSHIP)
    await office.manager.close()
    office.desk.sim.clock.set(key.record.window.starts_at + HOUR)
    await office.open()
    await office.tick()
    assert office.opens(key)
    await office.restart()
    calls = len(office.desk.sim.journal.entries)
    await office.tick()
    assert len(office.desk.sim.journal.entries) == calls


# A guest that would end too early


@pytest.mark.parametrize("answer", ["ignored", "refused"])
async def test_a_guest_that_ends_before_its_window(
    hass: HomeAssistant, socket_enabled: None, answer: str
) -> None:
    """Where Salto does not take a later end, the key says so and is issued anew a day before."""
    async with office_of(hass, Quirks.instant(patch_expires_at=answer)) as office:
        key = await office.issue(booking="b1")
        far = KeyChange(ends_at=key.record.window.ends_at + 60 * DAY)
        changed = await office.manager.change(key.record.key_id, far, RECEPTION)
        assert changed.warnings == {KeyWarning.EXPIRY_NOT_MOVED}
        assert changed.guest is not None
        assert changed.guest.expires_at is not None
        await office.comes(changed.guest.expires_at - 2 * DAY)
        assert office.opens(key)
        office.is_active = False
        await office.comes(changed.guest.expires_at - DAY)
        assert office.record(key).guest == changed.guest
        office.is_active = True
        await office.passes(2 * MINUTE)
        new = await office.manager.reveal(key.record.key_id, RECEPTION)
        assert office.record(key).warnings == frozenset()
        assert office.opens(new, at=far.ends_at and far.ends_at - MINUTE)
        assert not office.opens(key)
        assert office.told(key)[-1] == "key_changed pin"
        await office.passes(A_MOMENT)
        await office.assert_agreed()


# Used


async def test_the_first_use(office: Office) -> None:
    """The first opening with a PIN proves it: told once, and never by an older PIN."""
    key = await office.issue()
    person = office.person_of(key)
    await office.manager.note_use(PersonId("nobody"), office.desk.sim.clock.now())
    await office.manager.note_use(person, office.desk.sim.clock.now() - HOUR)
    assert not office.record(key).proven
    first = office.desk.sim.clock.now()
    await asyncio.gather(*(office.manager.note_use(person, first) for _ in range(3)))
    assert office.record(key).first_used_at == first
    assert office.told(key) == ["key_issued", "key_first_used"]
    assert await office.actions(key) == ["issue: done", "first_used: done"]
    await office.manager.rotate(key.record.key_id, RECEPTION)
    await office.manager.note_use(person, first)
    assert not office.record(key).proven
    await office.manager.note_use(person, office.desk.sim.clock.now() + MINUTE)
    assert office.record(key).proven


async def test_a_key_without_a_time_of_its_pin(office: Office) -> None:
    """A key of which nobody knows since when its PIN counts is proven by any use."""
    key = await office.issue()
    await office.ledger.amend(key.record.key_id, lambda now: replace(now, pin_set_at=None))
    await office.manager.note_use(office.person_of(key), office.desk.sim.clock.now() - DAY)
    assert office.record(key).proven


# Old keys


async def test_old_keys_are_dropped(office: Office) -> None:
    """A key is listed for 90 days after its end, and dropped within a day of them."""
    key = await office.issue()
    await office.comes(key.record.window.ends_at)
    await office.passes(A_MOMENT)
    ended = office.desk.sim.clock.now()
    await office.comes(ended + 89 * DAY)
    assert office.record(key).status is KeyStatus.REVOKED
    await office.comes(ended + 91 * DAY)
    assert office.manager.get(key.record.key_id) is None


async def test_old_keys_on_a_full_disk(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """Old keys that cannot be dropped are dropped another day."""
    key = await office.issue()
    await office.manager.revoke(key.record.key_id, RECEPTION)
    await office.passes(A_MOMENT)
    with no_room():
        await office.comes(office.desk.sim.clock.now() + 100 * DAY)
    assert "Old keys are still in the ledger" in caplog.text
    await office.comes(office.desk.sim.clock.now() + DAY)
    assert office.manager.keys() == ()


# Compared with Salto


def spare_guest(office: Office, key: HandedOut) -> str:
    """Put another guest with a key's marker at Salto."""
    world = office.desk.sim.world
    guest = next(user for user in world.users.values() if marker(key.record.key_id) in user.alias)
    person = world.insert(replace(world.people[guest.user_id], id=f"{guest.user_id[:-4]}beef"))
    spare = world.insert(
        replace(guest, id=f"{guest.id[:-4]}beef", user_id=person.id, pin=None, use_pin=False)
    )
    return spare.id


def spare_group(office: Office, key: HandedOut) -> str:
    """Put another group with a key's marker at Salto."""
    world = office.desk.sim.world
    (group,) = office.desk.groups(key.record)
    return world.insert(replace(group, id=f"{group.id[:-4]}beef", lock_ids=(), user_ids=())).id


async def test_nothing_to_tell(office: Office) -> None:
    """Where all agrees there is nothing to tell, at the cost of the pages for what is far off."""
    for number in range(3):
        await office.issue(booking=f"b{number}", starts_at=office.opened_at + 7 * DAY)
    await office.passes(2 * A_MOMENT)
    first = await office.manager.reconcile(dry_run=False)
    assert (first.plan.findings, first.requests, first.looked_deep) == ((), 2 + 3 * 5, 3)
    done = await office.manager.reconcile(dry_run=False)
    assert (done.plan.findings, done.requests, done.looked_deep) == ((), 2, 0)
    assert done.plan.unmanaged == len(office.desk.sim.world.users_of(office.desk.sim.site_id)) - 3
    assert office.manager.last_pass == office.passes_made[-1] == done
    assert office.manager.diagnostics()["last_pass"]["requests"] == 2


async def test_spares_are_removed(office: Office) -> None:
    """What carries a key's marker beside the key is removed, not in a dry run; the key stays."""
    strangers = office.desk.strangers()
    key = await office.issue(booking="b1")
    spare_guest(office, key)
    spare_group(office, key)
    await office.passes(2 * A_MOMENT)
    expected = ["duplicate_at_salto: remove_at_salto", "orphan_group: remove_at_salto"]
    assert await office.findings() == expected
    assert await office.findings() == expected
    done = await office.manager.reconcile(dry_run=False)
    assert len(done.repaired) == len(done.plan.discrepancies) == 2
    assert done.discrepancies == ()
    assert office.edges(key) == INSIDE_ONLY
    assert office.desk.strangers() == strangers
    await office.assert_agreed()


async def test_spares_that_cannot_be_removed(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """A remedy that Salto refuses is not told as done, and is left for later."""
    key = await office.issue(booking="b1")
    spare_guest(office, key)
    await office.passes(2 * A_MOMENT)
    office.desk.sim.faults.add(Fault(method="DELETE", status=403, body=NO_RIGHT))
    done = await office.manager.reconcile(dry_run=False)
    assert (done.repaired, len(done.discrepancies)) == (frozenset(), 1)
    assert "could not be put right" in caplog.text
    await office.passes(61 * MINUTE, every=MINUTE)
    await office.assert_agreed()


async def test_leftovers_of_a_key_that_is_gone(office: Office) -> None:
    """What comes up of a key that was revoked is removed."""
    key, other = await office.issue(booking="b1"), await office.issue(booking="b2")
    spare_guest(office, key)
    spare_group(office, other)
    for one in (key, other):
        await office.ledger.amend(
            one.record.key_id,
            lambda now: replace(now, status=KeyStatus.REVOKED, removed_at=now.changed_at),
        )
    await office.passes(2 * A_MOMENT)
    done = await office.manager.reconcile(dry_run=False)
    assert {one.action for one in done.repaired} == {"revoke"}
    await office.assert_agreed()


async def test_a_window_that_is_over_and_was_missed(office: Office) -> None:
    """A key that should have ended is ended by the comparison too."""
    key = await office.issue()
    office.desk.sim.clock.set(key.record.window.ends_at + HOUR)
    done = await office.manager.reconcile(dry_run=False)
    assert [str(one.outcome) for one in done.repaired] == ["expired_not_removed"]
    assert office.record(key).status is KeyStatus.REMOVING


async def test_changed_by_somebody_else(office: Office) -> None:
    """What somebody did to guests at Salto is told, and nothing is done about it."""
    gone, seatless, barred = [await office.issue(booking=f"b{n}") for n in range(3)]
    groupless = await office.issue(booking="b3")
    sim = office.desk.sim
    await office.passes(2 * A_MOMENT)
    ids = [one.record.guest.id for one in (gone, seatless, barred) if one.record.guest]
    sim.remove("user", ids[0])
    sim.set("user", ids[1], subscription_state="suspended")
    sim.set("user", ids[2], use_pin=False)
    sim.world.discard(sim.world.groups[groupless.record.groups[0].id])
    before = office.marked()
    done = await office.manager.reconcile(dry_run=False)
    assert [str(one.outcome) for one in done.discrepancies] == [
        "missing_at_salto",
        "suspended",
        "pin_disabled",
        "group_missing",
    ]
    assert (done.repaired, office.marked()) == (frozenset(), before)
    new = await office.manager.reissue(gone.record.key_id, RECEPTION)
    assert office.edges(new) == INSIDE_ONLY


async def test_keys_of_another_home_assistant(office: Office) -> None:
    """What another Home Assistant has made is counted and never touched."""
    key = await office.issue()
    spare = spare_guest(office, key)
    office.desk.sim.set("user", spare, alias="Home Assistant ha-zzzz-7")
    await office.passes(2 * A_MOMENT)
    done = await office.manager.reconcile(dry_run=False)
    assert [str(one.outcome) for one in done.plan.findings] == ["second_manager"]
    assert (done.plan.foreign, done.discrepancies) == (1, ())
    assert spare in office.desk.sim.world.users


async def test_salto_is_down_for_a_comparison(office: Office) -> None:
    """A comparison that did not come about says so, and the last one stays."""
    await office.manager.reconcile(dry_run=True)
    last = office.manager.last_pass
    office.desk.sim.faults.add(Fault(**DOWN))
    assert isinstance(await outcome_of(office.manager.reconcile(dry_run=False)), Exception)
    assert office.manager.last_pass is last


async def test_a_restored_backup(hass: HomeAssistant, socket_enabled: None, tmp_path: Path) -> None:
    """After a backup was restored nothing is repaired, and new keys get numbers nobody has."""
    async with office_of(hass) as office:
        old = await office.issue(booking="b1")
        folder, backup = folder_of(hass, office.desk.site_id), tmp_path / "backup"
        shutil.copytree(folder, backup)
        lost = await office.issue(booking="b2")
        spare_guest(office, old)
        await office.passes(2 * A_MOMENT)
        await office.manager.close()
        shutil.rmtree(folder)
        shutil.copytree(backup, folder)
        await office.restart()
        for _ in range(2):
            done = await office.manager.reconcile(dry_run=False)
            assert done.repaired == frozenset()
            assert {str(one.outcome) for one in done.discrepancies} == {
                "duplicate_at_salto",
                "unknown_at_salto",
            }
        assert office.opens(lost, at=lost.record.window.starts_at)
        new = await office.issue(booking="b2")
        assert number_of(new.record.key_id) > number_of(lost.record.key_id)
        await office.restart()
        await office.passes(2 * A_MOMENT)
        done = await office.manager.reconcile(dry_run=False)
        assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
        assert done.repaired == frozenset()
        assert office.opens(lost, at=lost.record.window.starts_at)


async def test_a_key_issued_at_once_after_a_backup_was_restored(
    hass: HomeAssistant, socket_enabled: None, tmp_path: Path
) -> None:
    """Before anything was compared a new key gets no number that is taken at Salto already."""
    async with office_of(hass) as office:
        await office.issue(booking="b1")
        folder, backup = folder_of(hass, office.desk.site_id), tmp_path / "backup"
        shutil.copytree(folder, backup)
        lost = await office.issue(booking="b2")
        await office.manager.close()
        shutil.rmtree(folder)
        shutil.copytree(backup, folder)
        await office.restart()
        new = await office.issue(booking="b3")
        assert number_of(new.record.key_id) > number_of(lost.record.key_id)
        await office.passes(2 * A_MOMENT)
        done = await office.manager.reconcile(dry_run=False)
        assert done.repaired == frozenset()
        for key in (lost, new):
            assert office.opens(key, at=key.record.window.starts_at)


async def test_twins_that_are_listed_late(hass: HomeAssistant, socket_enabled: None) -> None:
    """A twin of a guest whose creation had no answer is gone minutes later, by itself."""
    async with office_of(hass, Quirks(creation_lag_s=0.0)) as office:
        office.desk.sim.faults.add(Fault(method="POST", route="/guests", drop_after_commit=True))
        key = await office.issue(booking="b1")
        assert len(office.desk.guests(key.record)) == 2
        fault = office.desk.sim.faults.add(Fault(method="GET", route="/users", count=5, status=503))
        await office.passes(UNSEEN_FOR + MINUTE)
        assert office.desk.sim.faults.hits(fault) == 5
        await office.passes(61 * MINUTE, every=MINUTE)
        assert len(office.desk.guests(key.record)) == 1
        await office.assert_agreed()


async def test_twins_of_a_key_that_has_ended_meanwhile(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """A twin that is listed only after the key was revoked goes as well."""
    async with office_of(hass, Quirks(creation_lag_s=0.0)) as office:
        office.desk.sim.faults.add(Fault(method="POST", route="/guests", drop_after_commit=True))
        key = await office.issue(booking="b1")
        await office.manager.revoke(key.record.key_id, RECEPTION)
        assert len(office.desk.guests(key.record)) == 1
        await office.passes(UNSEEN_FOR + MINUTE)
        assert office.marked() == set()


async def test_repairs_only_what_is_still_so(office: Office) -> None:
    """A finding about a key that is being dealt with is left to whoever does."""
    key = await office.issue(booking="b1")
    spare_guest(office, key)
    await office.passes(2 * A_MOMENT)
    office.desk.sim.faults.add(Fault(method="PUT", route="/pin", status=503, count=None))
    await outcome_of(office.manager.rotate(key.record.key_id, RECEPTION))
    done = await office.manager.reconcile(dry_run=False)
    assert done.plan.findings == ()
