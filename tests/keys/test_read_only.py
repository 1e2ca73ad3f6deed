"""When ledger or clock may be wrong: nothing is done by itself until they are found right."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
import shutil
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.domain.fixes import Fix
from custom_components.salto_ks.domain.ids import BookingId
from custom_components.salto_ks.domain.key_requests import (
    By,
    KeyChange,
    KeyRefusal,
    KeyRefusedError,
)
from custom_components.salto_ks.domain.keys import KeyStatus, Strategy
from custom_components.salto_ks.domain.outcomes import Outcome
from custom_components.salto_ks.domain.read_only import ReadOnly
from custom_components.salto_ks.keys.audit_log import AuditQuery
from custom_components.salto_ks.keys.manager import (
    FIRST_LOOK_PATIENCE,
    HandedOut,
    KeyPendingError,
    KeyRules,
)
from custom_components.salto_ks.keys.provider import KeyFailedError
from simulator import Fault
from tests.ha.files import hass_config_dir, hass_storage

from .desk import HOUR, MINUTE
from .ledgers import folder_of, no_room
from .offices import A_MOMENT, INSIDE_ONLY, RECEPTION, TICK, Office, office_of, outcome_of, until
from .test_manager import DAY, DOWN, NO_RIGHT
from .test_manager_upkeep import spare_guest

__all__ = ["hass_config_dir", "hass_storage"]

NO_LISTING: dict[str, Any] = {"method": "GET", "route": "/users", "status": 503, "count": None}
SECOND = timedelta(seconds=1)
LISTING = ["GET /users", "GET /access_groups"]
BY_ITSELF = By(who="", reason="a booking asks for it")


@pytest.fixture
async def office(hass: HomeAssistant, socket_enabled: None) -> AsyncIterator[Office]:
    """Open an office at a campsite where everything takes effect at once."""
    async with office_of(hass) as office:
        yield office


async def restored(office: Office, tmp_path: Path) -> tuple[HandedOut, HandedOut]:
    """Restore a backup; return a key that is in it, and one that was issued after it was made."""
    old = await office.issue(booking="b1")
    folder, backup = folder_of(office.hass, office.desk.site_id), tmp_path / "backup"
    shutil.copytree(folder, backup)
    lost = await office.issue(booking="b2")
    await office.passes(2 * A_MOMENT)
    await office.manager.close()
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    await office.restart()
    return old, lost


def set_clock(office: Office, by: timedelta) -> None:
    """Set the clock, while no time goes by."""
    office.set_by += by
    office.desk.sim.clock.set(office.desk.sim.clock.now() + by)


async def who_said(office: Office) -> list[str]:
    """Return what the audit log has of it, oldest first."""
    lines = await office.manager.audit(AuditQuery(limit=1000))
    return [
        f"{line.outcome} by {line.who}: {line.reason}"
        for line in reversed(lines)
        if line.action == "read_only"
    ]


# A restored backup


async def test_a_restored_backup_is_noticed(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, over restarts, and until a person has decided about what differs."""
    _, lost = await restored(office, tmp_path)
    assert office.manager.read_only is None
    for _ in range(3):
        done = await office.manager.reconcile(dry_run=False, deep=True)
        assert [one.outcome for one in done.discrepancies] == [Outcome.UNKNOWN_AT_SALTO]
        assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
        assert office.manager.diagnostics()["read_only"] == "restored_backup"
        await office.restart()
    assert caplog.text.count("Nothing is done to keys by itself") == 1
    assert await office.manager.mend(
        lost.record.key_id, Outcome.UNKNOWN_AT_SALTO, Fix.ADOPT, RECEPTION
    )
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
    await office.passes(2 * A_MOMENT)
    await office.manager.reconcile(dry_run=False)
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
    await office.manager.reconcile(dry_run=True, deep=True)
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
    await office.manager.reconcile(dry_run=False, deep=True)
    assert office.manager.read_only is None
    assert await who_said(office) == [
        "began by : restored_backup",
        "ended by : found by a comparison with Salto",
    ]
    await office.restart()
    assert office.manager.read_only is None


async def test_what_differs_is_mended(office: Office, tmp_path: Path) -> None:
    """With the last difference that a person mends it is over."""
    _, lost = await restored(office, tmp_path)
    await office.manager.reconcile(dry_run=False, deep=True)
    await office.manager.mend(
        lost.record.key_id, Outcome.UNKNOWN_AT_SALTO, Fix.REMOVE_AT_SALTO, RECEPTION
    )
    assert office.manager.read_only is None


async def test_a_person_takes_it_as_it_is(office: Office, tmp_path: Path) -> None:
    """Somebody who knows better ends it, and is in the log with it."""
    await restored(office, tmp_path)
    await office.manager.go_on(RECEPTION)
    assert await who_said(office) == []
    await office.manager.reconcile(dry_run=False)
    await office.manager.go_on(RECEPTION)
    assert office.manager.read_only is None
    assert (await who_said(office))[-1] == "ended by reception: asked at the desk"


async def test_nothing_is_done_by_itself(office: Office, tmp_path: Path) -> None:
    """No window ends, no booking is served and nothing is repaired; what a person asks for is."""
    old, _ = await restored(office, tmp_path)
    await office.manager.reconcile(dry_run=False)
    manager, key_id = office.manager, old.record.key_id
    change = KeyChange(ends_at=old.record.window.ends_at + HOUR)
    for work in (
        manager.make(office.request(booking="b3"), BY_ITSELF),
        manager.issue(office.request(booking="b3"), BY_ITSELF),
        manager.change(key_id, change, BY_ITSELF),
        manager.suspend(key_id, BY_ITSELF),
        manager.resume(key_id, BY_ITSELF),
        manager.rotate(key_id, BY_ITSELF),
        manager.reissue(key_id, BY_ITSELF),
        manager.revoke(key_id, BY_ITSELF),
    ):
        refused = await outcome_of(work)
        assert isinstance(refused, KeyRefusedError)
        assert refused.reason is KeyRefusal.READ_ONLY
    before = office.marked()
    await office.comes(old.record.window.ends_at + HOUR)
    await office.passes(A_MOMENT)
    assert (office.marked(), office.record(old).status) == (before, KeyStatus.SET)
    new = await office.issue(booking="b3", starts_at=office.desk.sim.clock.now() + HOUR)
    assert office.edges(new) == INSIDE_ONLY
    await office.manager.revoke(new.record.key_id, RECEPTION)
    await office.manager.revoke(key_id, RECEPTION)
    assert office.record(old).status is KeyStatus.REMOVING


async def test_a_number_is_looked_for_before_a_booking_is_served(
    office: Office, tmp_path: Path
) -> None:
    """The first key after a start finds that the ledger is old, and is not issued by itself."""
    await restored(office, tmp_path)
    refused = await outcome_of(office.manager.make(office.request(booking="b3"), BY_ITSELF))
    assert isinstance(refused, KeyRefusedError)
    assert refused.reason is KeyRefusal.READ_ONLY
    assert office.ledger.intents == {}


async def test_what_was_interrupted_waits(office: Office, tmp_path: Path) -> None:
    """What the backup says was begun is long over; what a person asks for now is tried again."""
    old, _ = await restored(office, tmp_path)
    office.desk.sim.faults.add(Fault(method="DELETE", status=503, count=None))
    outcome = await outcome_of(office.manager.revoke(old.record.key_id, RECEPTION))
    assert isinstance(outcome, KeyPendingError)
    office.desk.sim.faults.clear()
    await office.manager.reconcile(dry_run=False)
    await office.passes(A_MOMENT)
    assert office.ledger.intents.keys() == {old.record.key_id}
    assert isinstance(
        await outcome_of(office.manager.revoke(old.record.key_id, RECEPTION)), KeyRefusedError
    )
    await office.manager.go_on(RECEPTION)
    await office.passes(A_MOMENT)
    assert office.ledger.intents == {}


async def test_what_a_person_asks_for_meanwhile_is_tried_again(
    office: Office, tmp_path: Path
) -> None:
    """A key that is to be revoked is, though Salto did not answer the first time."""
    old, _ = await restored(office, tmp_path)
    await office.manager.reconcile(dry_run=False)
    office.desk.sim.faults.add(Fault(method="DELETE", status=503, count=None))
    outcome = await outcome_of(office.manager.revoke(old.record.key_id, RECEPTION))
    assert isinstance(outcome, KeyPendingError)
    office.desk.sim.faults.clear()
    await office.passes(A_MOMENT)
    assert office.ledger.intents == {}
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP


async def test_a_disk_that_does_not_take_it(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds all the same, and is on disk with the next that is written."""
    await restored(office, tmp_path)
    with no_room():
        await outcome_of(office.manager.reconcile(dry_run=False))
    assert "is not on disk yet" in caplog.text
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
    await office.manager.reconcile(dry_run=False)
    await office.issue(booking="b3")
    await office.restart()
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP


async def extended_since(office: Office, tmp_path: Path) -> HandedOut:
    """Restore a backup of before a stay was made longer; it is over by what the backup says."""
    key = await office.issue(booking="b1")
    folder, backup = folder_of(office.hass, office.desk.site_id), tmp_path / "backup"
    shutil.copytree(folder, backup)
    longer = KeyChange(ends_at=key.record.window.ends_at + DAY)
    await office.manager.change(key.record.key_id, longer, RECEPTION)
    await office.issue(booking="b2", starts_at=office.opened_at + DAY)
    await office.passes(2 * A_MOMENT)
    await office.manager.close()
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    office.desk.sim.clock.set(key.record.window.ends_at + MINUTE)
    await office.restart()
    return key


async def test_the_first_minutes_after_a_backup_was_restored(
    office: Office, tmp_path: Path
) -> None:
    """A stay that was made longer since is not taken for over, from the first second on."""
    key = await extended_since(office, tmp_path)
    await office.passes(A_MOMENT)
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
    assert office.record(key).status is KeyStatus.SET
    assert office.opens(key)


async def test_salto_is_down_after_a_backup_was_restored(office: Office, tmp_path: Path) -> None:
    """Nothing is begun by itself before Salto has answered, however long that takes."""
    key = await extended_since(office, tmp_path)
    office.desk.sim.faults.add(Fault(**DOWN))
    await office.passes(2 * A_MOMENT)
    assert office.manager.read_only is None
    assert office.ledger.intents == {}
    office.desk.sim.faults.clear()
    await office.passes(A_MOMENT)
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
    assert office.opens(key)


async def test_an_old_step_keeps_a_restored_backup_on_hold(office: Office, tmp_path: Path) -> None:
    """A key with an open step was not compared, so it is a person who says that it may be done."""
    key = await office.issue(booking="b1")
    end = key.record.window.ends_at
    fault = Fault(method="PATCH", status=503, count=None)
    office.desk.sim.faults.add(fault)
    longer = KeyChange(ends_at=end + HOUR)
    pending = await outcome_of(office.manager.change(key.record.key_id, longer, BY_ITSELF))
    assert isinstance(pending, KeyPendingError)
    folder, backup = folder_of(office.hass, office.desk.site_id), tmp_path / "backup"
    shutil.copytree(folder, backup)
    office.desk.sim.faults.clear()
    await office.passes(2 * MINUTE)
    longest = KeyChange(ends_at=end + DAY)
    await office.manager.change(key.record.key_id, longest, BY_ITSELF)
    lost = await office.issue(booking="b2", starts_at=office.opened_at + DAY)
    await office.passes(2 * A_MOMENT)
    await office.manager.close()
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    await office.restart()
    await office.manager.reconcile(dry_run=False, deep=True)
    assert await office.manager.mend(
        lost.record.key_id, Outcome.UNKNOWN_AT_SALTO, Fix.ADOPT, RECEPTION
    )
    await office.passes(2 * A_MOMENT)
    done = await office.manager.reconcile(dry_run=False, deep=True)
    assert done.discrepancies == ()
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
    assert office.opens(key, at=end + 5 * HOUR)
    await office.manager.revoke(key.record.key_id, RECEPTION)
    await office.passes(2 * A_MOMENT)
    await office.manager.reconcile(dry_run=False, deep=True)
    assert office.manager.read_only is None


async def test_an_old_step_is_not_carried_on_for_somebody(office: Office, tmp_path: Path) -> None:
    """What a backup says was begun is looked into before it is done with what is asked for now."""
    key = await office.issue(booking="b1")
    folder, backup = folder_of(office.hass, office.desk.site_id), tmp_path / "backup"
    fault = Fault(method="PUT", route="/pin", status=503, count=None)
    office.desk.sim.faults.add(fault)
    assert isinstance(
        await outcome_of(office.manager.rotate(key.record.key_id, RECEPTION)), KeyPendingError
    )
    office.desk.sim.faults.clear()
    shutil.copytree(folder, backup)
    await office.issue(booking="b2")
    await office.passes(A_MOMENT)
    pin = (await office.manager.reveal(key.record.key_id, RECEPTION)).keypad_pin
    await office.manager.close()
    shutil.rmtree(folder)
    shutil.copytree(backup, folder)
    await office.restart()
    office.desk.sim.faults.add(Fault(**DOWN))
    pending = await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION))
    assert isinstance(pending, KeyPendingError)
    office.desk.sim.faults.clear()
    refused = await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION))
    assert isinstance(refused, KeyRefusedError)
    assert refused.reason is KeyRefusal.READ_ONLY
    assert pin is not None
    with office.desk.aside():
        assert office.desk.opens(office.desk.doors[0], pin, key.record.window.starts_at)


# The first minutes after a start


async def over_at_the_start(office: Office) -> HandedOut:
    """Start anew after the window of a key is over."""
    key = await office.issue(booking="b1")
    await office.manager.close()
    office.desk.sim.clock.set(key.record.window.ends_at + MINUTE)
    await office.restart()
    return key


async def test_a_check_out_at_a_start(office: Office) -> None:
    """It waits for a listing of Salto, and for no tick more."""
    key = await over_at_the_start(office)
    await office.tick()
    assert office.record(key).status is KeyStatus.REMOVING


async def test_an_end_while_salto_is_listed_first(office: Office) -> None:
    """Nothing is begun by a listing that comes when the site is being unloaded."""
    key = await over_at_the_start(office)
    office.desk.sim.faults.add(Fault(method="GET", route="/access_groups", latency=0.3))
    await office.manager.tick()
    await office.manager.close()
    await office.settled()
    assert office.ledger.intents == {}
    assert office.ledger.records[key.record.key_id].status is KeyStatus.SET


async def test_nothing_is_listed_while_nothing_is_due(office: Office) -> None:
    """A start costs no listing of its own; with something due it costs one."""
    key = await office.issue(booking="b1")
    await office.restart()
    assert await office.desk.calls(office.passes(MINUTE)) == []
    office.desk.sim.clock.set(key.record.window.ends_at)
    calls = [*dict.fromkeys(await office.desk.calls(office.passes(MINUTE)))]
    assert calls[:2] == LISTING
    assert calls[2].startswith("DELETE /users")


async def test_keys_that_are_asked_for_at_once_after_a_start(office: Office) -> None:
    """Numbers that are taken are looked for once for all of them."""
    work = (office.issue(booking=f"b{number}") for number in range(5))
    calls = await office.desk.calls(asyncio.gather(*work))
    assert calls.count("GET /access_groups") == 1


async def test_a_listing_that_fails_does_so_for_all_who_wait(office: Office) -> None:
    """They ask once, and whoever asks later asks anew."""
    fault = Fault(method="GET", route="/users", status=403, body=NO_RIGHT, count=None)
    office.desk.sim.faults.add(fault)
    compared = (outcome_of(office.manager.reconcile(dry_run=True)) for _ in range(2))
    issued = (outcome_of(office.issue(booking=f"b{number}")) for number in range(20))
    outcomes = await asyncio.gather(*compared, *issued)
    assert {type(outcome) for outcome in outcomes} == {KeyFailedError}
    hits = office.desk.sim.faults.hits(fault)
    assert hits < 10
    assert isinstance(await outcome_of(office.issue(booking="b20")), KeyFailedError)
    assert office.desk.sim.faults.hits(fault) == hits + 1
    assert office.ledger.intents == {}


async def test_salto_is_down_at_a_start(office: Office) -> None:
    """It is asked once a minute, and what is due is begun as soon as it answers."""
    key = await over_at_the_start(office)
    fault = Fault(**DOWN)
    office.desk.sim.faults.add(fault)
    await office.passes(4 * MINUTE)
    assert office.ledger.intents == {}
    assert office.desk.sim.faults.hits(fault) <= 5 * 5
    office.desk.sim.faults.clear()
    await office.passes(80 * SECOND)
    assert office.record(key).status is KeyStatus.REMOVING


async def test_listings_alone_fail_after_a_start(office: Office) -> None:
    """A guest is let out all the same, once that was waited for some minutes."""
    key = await office.issue(strategy=Strategy.MEMBERSHIP)
    await office.comes(key.record.window.starts_at)
    assert office.opens(key)
    await office.manager.close()
    office.desk.sim.clock.set(key.record.window.ends_at + MINUTE)
    await office.restart()
    office.desk.sim.faults.add(Fault(**NO_LISTING))
    await office.passes(3 * MINUTE)
    assert office.opens(key)
    await office.passes(4 * MINUTE)
    assert not office.opens(key)


async def test_a_listing_that_goes_on_and_on_after_a_start(
    hass: HomeAssistant, socket_enabled: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A guest is let in after some minutes; the listing goes on, and counts when it ends."""
    gate = asyncio.Event()

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/access_groups"):
            await gate.wait()
        return await handler(request)

    endless = aiohttp.ClientTimeout(total=None)
    async with office_of(hass, around=around, timeout=endless) as office:
        gate.set()
        key = await office.issue(strategy=Strategy.MEMBERSHIP)
        await office.restart()
        gate.clear()
        office.desk.sim.clock.set(key.record.window.starts_at + MINUTE)
        await office.manager.tick()
        listing = [task for task in office.tasks if "a look at Salto" in task.get_name()]
        with time_ahead(by=FIRST_LOOK_PATIENCE - SECOND.total_seconds()):
            await asyncio.sleep(0.1)
            assert not office.opens(key)
        with time_ahead(by=FIRST_LOOK_PATIENCE):
            await until(lambda: office.opens(key))
        assert [task.done() for task in listing] == [False]
        office.desk.sim.faults.add(Fault(**DOWN))
        gate.set()
        await office.settled()
    assert "unexpectedly" not in caplog.text
    assert "never retrieved" not in caplog.text


async def test_salto_does_not_answer_while_it_is_listed(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """A listing without an end, and no other answer either: nothing is begun."""
    gate, is_asked = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/access_groups"):
            is_asked.set()
            await gate.wait()
        return await handler(request)

    endless = aiohttp.ClientTimeout(total=None)
    async with office_of(hass, around=around, timeout=endless) as office:
        gate.set()
        key = await over_at_the_start(office)
        gate.clear()
        is_asked.clear()
        await office.manager.tick()
        await is_asked.wait()
        office.desk.sim.faults.add(Fault(**DOWN))
        with time_ahead(by=FIRST_LOOK_PATIENCE):
            await until(lambda: len(office.tasks) == 1)
        assert office.ledger.intents == {}
        assert office.record(key).status is KeyStatus.SET
        gate.set()
        await office.settled()


@contextmanager
def time_ahead(*, by: float) -> Iterator[None]:
    """Let the event loop's clock be ahead, so that what waits for so many seconds waits no more."""
    loop = asyncio.get_running_loop()
    real = loop.time
    loop.time = lambda: real() + by  # type: ignore[method-assign] # a clock is what may be replaced
    try:
        yield
    finally:
        loop.time = real  # type: ignore[method-assign] # as it was


async def test_a_login_that_is_refused_at_a_start(office: Office) -> None:
    """A person is asked for another one, as for any other work."""
    sim = office.desk.sim
    key = await over_at_the_start(office)
    password, sim.account.password = sim.account.password, "another"
    sim.revoke_tokens()
    await office.tick()
    assert office.logins_refused == 1
    sim.account.password = password
    await office.passes(2 * MINUTE)
    assert office.record(key).status is KeyStatus.REMOVING


async def test_what_a_person_asks_for_waits_for_no_listing(office: Office) -> None:
    """It is tried again though Salto cannot be listed."""
    key = await over_at_the_start(office)
    new = await office.issue(booking="b2", starts_at=office.desk.sim.clock.now())
    await office.restart()
    office.desk.sim.faults.add(Fault(**NO_LISTING))
    pending = await outcome_of(office.manager.revoke(new.record.key_id, RECEPTION))
    assert isinstance(pending, KeyPendingError)
    assert not office.opens(new)
    assert office.record(key).status is KeyStatus.SET


# A clock that jumps


@pytest.mark.parametrize("by", [-HOUR, HOUR, -DAY])
async def test_a_clock_that_was_set(
    office: Office, by: timedelta, caplog: pytest.LogCaptureFixture
) -> None:
    """All agrees, so it is over with the comparison that is made at once."""
    key = await office.issue(booking="b1", starts_at=office.opened_at + 3 * DAY)
    await office.passes(2 * A_MOMENT)
    set_clock(office, by)
    await office.passes(MINUTE)
    assert "clock_jump" in caplog.text
    assert office.manager.read_only is None
    assert len(office.passes_made) == 1
    assert await who_said(office) == [
        "began by : clock_jump",
        "ended by : found by a comparison with Salto",
    ]
    assert office.record(key).status is KeyStatus.SET


async def test_what_waits_when_the_clock_is_set_back(office: Office) -> None:
    """It waits no longer than it would have: what was put off goes on."""
    await office.issue(starts_at=office.opened_at + 5 * DAY)
    await office.tick()
    office.desk.sim.faults.add(Fault(**DOWN))
    assert isinstance(await outcome_of(office.issue(booking="b1")), KeyPendingError)
    office.desk.sim.faults.clear()
    set_clock(office, -3 * DAY)
    await office.passes(3 * MINUTE)
    assert office.manager.read_only is None
    assert office.ledger.intents == {}
    assert [key.status for key in office.manager.keys(booking_id=BookingId("b1"))] == [
        KeyStatus.SET
    ]


async def test_what_was_changed_before_the_clock_was_set_back(office: Office) -> None:
    """It is not young until that time comes again: what differs is told."""
    key = await office.issue(booking="b1", starts_at=office.opened_at + 3 * DAY)
    await office.tick()
    set_clock(office, -30 * DAY)
    await office.passes(A_MOMENT)
    assert office.manager.read_only is None
    assert key.record.guest is not None
    office.desk.sim.set("user", key.record.guest.id, subscription_state="suspended")
    assert await office.findings() == ["suspended: report"]


async def test_spares_are_looked_for_after_the_clock_was_set_back(office: Office) -> None:
    """What a listing shows only later is removed when it does, by the clock that counts now."""
    lost = Fault(method="POST", route="/guests", status=503, commit=True)
    office.desk.sim.faults.add(lost)
    key = await office.issue(booking="b1")
    await office.tick()
    set_clock(office, -3 * DAY)
    await office.passes(3 * MINUTE)
    assert office.manager.read_only is None
    spare = spare_guest(office, key)
    await office.tick()
    assert spare in office.marked()
    await office.passes(A_MOMENT)
    assert spare not in office.marked()


async def test_a_hold_that_was_begun_while_the_clock_was_ahead(office: Office) -> None:
    """A start after the clock was put right does not wait for that time to come."""
    key = await office.issue(booking="b1", starts_at=office.opened_at + 3 * DAY)
    await office.passes(2 * A_MOMENT)
    office.desk.sim.faults.add(Fault(**DOWN))
    set_clock(office, 2 * HOUR)
    await office.tick()
    await office.manager.close()
    set_clock(office, -2 * HOUR)
    office.desk.sim.faults.clear()
    await office.restart()
    assert office.manager.read_only is ReadOnly.CLOCK_JUMP
    await office.passes(2 * MINUTE)
    assert office.manager.read_only is None
    assert office.record(key).status is KeyStatus.SET


@pytest.mark.parametrize(
    "by", [timedelta(seconds=-30), timedelta(seconds=110), timedelta(seconds=-119)]
)
async def test_a_clock_that_was_corrected(office: Office, by: timedelta) -> None:
    """A small step of either kind is what clocks do."""
    await office.tick()
    set_clock(office, by)
    await office.passes(MINUTE)
    assert (office.passes_made, await who_said(office)) == ([], [])


async def test_time_that_goes_by_is_no_jump(office: Office) -> None:
    """However long nobody has looked."""
    await office.tick()
    office.desk.sim.clock.advance(DAY.total_seconds())
    await office.tick()
    assert office.passes_made == []


async def test_a_window_that_has_ended_meanwhile(office: Office) -> None:
    """With a clock that shows what Salto's does it is over, as after a night's sleep."""
    key = await office.issue(booking="b1")
    await office.passes(2 * A_MOMENT)
    set_clock(office, DAY)
    await office.passes(MINUTE)
    assert office.manager.read_only is None
    assert office.record(key).status is KeyStatus.REMOVING


class Dating:
    """Lets Salto's answers tell another time than our clock does."""

    behind: timedelta | None = timedelta()
    """None where they do not tell one."""

    @web.middleware
    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Date an answer."""
        response = await handler(request)
        told = None if self.behind is None else datetime.now(UTC) - self.behind
        response.headers["Date"] = "now" if told is None else format_datetime(told, usegmt=True)
        return response


async def test_a_clock_that_is_wrong(hass: HomeAssistant, socket_enabled: None) -> None:
    """Nothing ends by it, until it is right again."""
    dating = Dating()
    async with office_of(hass, around=dating.around) as office:
        key = await office.issue(booking="b1")
        await office.passes(2 * A_MOMENT)
        dating.behind = DAY
        set_clock(office, DAY)
        await office.passes(3 * MINUTE)
        assert office.manager.read_only is ReadOnly.CLOCK_JUMP
        assert office.record(key).status is KeyStatus.SET
        dating.behind = timedelta()
        set_clock(office, -DAY)
        await office.passes(3 * MINUTE)
        assert office.manager.read_only is None
        assert office.record(key).status is KeyStatus.SET
        assert office.edges(key) == INSIDE_ONLY


async def suspended(office: Office) -> HandedOut:
    """Have a key that is not due for days, and was suspended at Salto."""
    key = await office.issue(booking="b1", starts_at=office.opened_at + 3 * DAY)
    await office.passes(2 * A_MOMENT)
    assert key.record.guest is not None
    office.desk.sim.set("user", key.record.guest.id, subscription_state="suspended")
    return key


async def test_something_differs_after_a_jump(office: Office) -> None:
    """It waits for a person, but not for long where the clock is right."""
    await suspended(office)
    set_clock(office, HOUR)
    await office.passes(50 * MINUTE, every=MINUTE)
    assert office.manager.read_only is ReadOnly.CLOCK_JUMP
    assert len(office.passes_made) == 1
    await office.passes(15 * MINUTE, every=MINUTE)
    assert office.manager.read_only is None
    assert len(office.passes_made) == 2
    assert len(office.passes_made[-1].discrepancies) == 1


async def test_something_differs_after_a_jump_of_a_clock_that_nobody_vouches_for(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """Where Salto does not tell the time, it is a person who has to."""
    dating = Dating()
    dating.behind = None
    async with office_of(hass, around=dating.around) as office:
        key = await suspended(office)
        set_clock(office, 10 * MINUTE)
        await office.passes(MINUTE)
        assert office.desk.provider.clock_offset is None
        assert office.manager.read_only is ReadOnly.CLOCK_JUMP
        mended = await office.manager.mend(
            key.record.key_id, Outcome.SUSPENDED, Fix.RESTORE, RECEPTION
        )
        assert mended
        assert office.manager.read_only is None


async def test_what_had_differed_before_a_jump_is_no_matter(office: Office) -> None:
    """Only what is new could come of it."""
    await suspended(office)
    await office.manager.reconcile(dry_run=False)
    set_clock(office, HOUR)
    await office.passes(MINUTE)
    assert office.manager.read_only is None
    assert len(office.passes_made[-1].discrepancies) == 1


async def test_salto_is_down_after_a_jump(office: Office) -> None:
    """It is asked again every minute or so."""
    await office.tick()
    office.desk.sim.faults.add(Fault(**DOWN))
    set_clock(office, HOUR)
    await office.passes(TICK)
    assert office.manager.read_only is ReadOnly.CLOCK_JUMP
    office.desk.sim.faults.clear()
    await office.passes(3 * MINUTE)
    assert office.manager.read_only is None


async def test_a_jump_that_is_noticed_while_the_site_is_unloaded(office: Office) -> None:
    """Nothing is compared when the manager is at its end by the time that this is on disk."""
    await office.tick()
    set_clock(office, HOUR)
    ticking = asyncio.create_task(office.manager.tick())
    await asyncio.sleep(0)
    await office.manager.close()
    assert not ticking.done()
    await ticking
    assert office.tasks == set()
    assert office.passes_made == []


async def test_a_guest_that_we_let_in_waits_a_minute_at_most(office: Office) -> None:
    """A false alarm leaves nobody outside."""
    key = await office.issue(booking="b1", strategy=Strategy.MEMBERSHIP)
    await office.comes(key.record.window.starts_at - MINUTE)
    set_clock(office, HOUR)
    await office.passes(MINUTE)
    assert office.opens(key)


async def test_the_first_reason_stays(office: Office, tmp_path: Path) -> None:
    """A jump of the clock does not shorten what takes more to end."""
    await restored(office, tmp_path)
    await office.manager.reconcile(dry_run=False)
    set_clock(office, HOUR)
    await office.passes(2 * MINUTE)
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP


async def test_repairs_wait_as_well(hass: HomeAssistant, socket_enabled: None) -> None:
    """What would be mended by itself is only told while it lasts, and mended afterwards."""
    async with office_of(hass, rules=KeyRules(repaired=frozenset(Outcome))) as office:
        key = await office.issue(booking="b1", starts_at=office.opened_at + 3 * DAY)
        await office.passes(2 * A_MOMENT)
        assert key.record.guest is not None
        office.desk.sim.set("user", key.record.guest.id, subscription_state="suspended")
        set_clock(office, HOUR)
        await office.passes(MINUTE)
        assert [one.action for one in office.passes_made[-1].discrepancies] == ["report"]
        await office.manager.go_on(RECEPTION)
        done = await office.manager.reconcile(dry_run=False)
        assert [one.outcome for one in done.repaired] == [Outcome.SUSPENDED]
        assert office.edges(key) == INSIDE_ONLY


async def test_a_backup_is_noticed_after_a_jump(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What takes more to end is what counts, and is said as well."""
    await restored(office, tmp_path)
    await office.tick()
    set_clock(office, HOUR)
    await office.passes(2 * MINUTE)
    assert office.manager.read_only is ReadOnly.RESTORED_BACKUP
    assert caplog.text.count("Nothing is done to keys by itself") == 2
