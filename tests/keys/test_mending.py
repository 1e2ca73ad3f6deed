"""Each way in which ledger and Salto can differ: seen, mended in each way, and tried at the door."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
import json
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.domain.differences import IN_DETAILS
from custom_components.salto_ks.domain.fixes import Fix, fixes_of, mended_with
from custom_components.salto_ks.domain.ids import BookingId, DoorId, KeyId, UnitId, number_of
from custom_components.salto_ks.domain.key_requests import KeyRefusal, KeyRefusedError
from custom_components.salto_ks.domain.keys import (
    KeyProblem,
    KeyStatus,
    KeyWarning,
    OnRemoval,
    Strategy,
)
from custom_components.salto_ks.domain.observed import UNSEEN_FOR
from custom_components.salto_ks.domain.outcomes import Outcome
from custom_components.salto_ks.domain.plan import ABOUT_THE_SITE
from custom_components.salto_ks.keys.audit_log import AuditQuery
from custom_components.salto_ks.keys.comparison import DEEP_AT_ONCE
from custom_components.salto_ks.keys.manager import HandedOut, KeyRules
from custom_components.salto_ks.keys.provider import KeyFailedError
from simulator import Fault, Quirks
from tests.ha.files import hass_config_dir, hass_storage

from .desk import HOUR, MINUTE
from .ledgers import folder_of, no_room
from .offices import A_MOMENT, INSIDE_ONLY, RECEPTION, Office, office_of, outcome_of, until
from .test_manager import DAY, NO_RIGHT
from .test_manager_upkeep import spare_group, spare_guest

__all__ = ["hass_config_dir", "hass_storage"]

NEVER = (False,) * 4

type Spoil = Callable[[Office, HandedOut], object]


def guest_id(office: Office, key: HandedOut) -> str:
    """Return the id of the guest that carries a key."""
    guest = office.record(key).guest
    assert guest is not None
    return guest.id


def guest_set(**values: Any) -> Spoil:
    """Change the guest behind our back."""
    return lambda office, key: office.desk.sim.set("user", guest_id(office, key), **values)


def group_set(**values: Any) -> Spoil:
    """Change the group behind our back."""
    return lambda office, key: office.desk.sim.set(
        "group", office.desk.groups(key.record)[0].id, **values
    )


def without_schedule(office: Office, key: HandedOut) -> None:
    """Take the schedule out of the group."""
    world = office.desk.sim.world
    (schedule,) = world.schedules_of(office.desk.groups(key.record)[0].id)
    office.desk.sim.remove("schedule", schedule.id)


def with_other_times(office: Office, key: HandedOut) -> None:
    """Move the schedule by an hour, on the wall clock of the IQ."""
    world = office.desk.sim.world
    (schedule,) = world.schedules_of(office.desk.groups(key.record)[0].id)
    assert schedule.start_date is not None
    assert schedule.end_date is not None
    office.desk.sim.set(
        "schedule",
        schedule.id,
        start_date=later(schedule.start_date),
        end_date=later(schedule.end_date),
    )


def later(written: datetime | str) -> str:
    """Return a wall clock's time an hour later, as it is written."""
    at = written if isinstance(written, datetime) else datetime.fromisoformat(written)
    return (at + HOUR).isoformat()


def with_second_schedule(office: Office, key: HandedOut) -> None:
    """Add a schedule that always holds."""
    office.desk.sim.add("schedule", {"group_id": office.desk.groups(key.record)[0].id})


def with_other_doors(office: Office, key: HandedOut) -> None:
    """Swap the door of the group for another."""
    group_set(lock_ids=[office.desk.doors[1]])(office, key)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something that was done to a key at Salto."""

    outcome: Outcome
    spoil: Spoil
    pin_stays: bool = True
    """Whether the PIN that was handed out counts once all is restored."""
    opened: tuple[bool, ...] = INSIDE_ONLY
    """What the PIN does around the window of the record before anything is mended."""


CASES: dict[str, Case] = {
    "guest removed": Case(
        outcome=Outcome.MISSING_AT_SALTO,
        spoil=lambda office, key: office.desk.sim.remove("user", guest_id(office, key)),
        opened=NEVER,
    ),
    "twin": Case(outcome=Outcome.DUPLICATE_AT_SALTO, spoil=spare_guest),
    "no seat": Case(
        outcome=Outcome.SUSPENDED, spoil=guest_set(subscription_state="suspended"), opened=NEVER
    ),
    "no right to use a PIN": Case(
        outcome=Outcome.PIN_DISABLED, spoil=guest_set(use_pin=False), opened=NEVER
    ),
    "blocked": Case(outcome=Outcome.PIN_DISABLED, spoil=guest_set(blocked=True), opened=NEVER),
    "no PIN": Case(
        outcome=Outcome.PIN_MISSING, spoil=guest_set(pin=None), pin_stays=False, opened=NEVER
    ),
    "ends sooner": Case(
        outcome=Outcome.EXPIRY_DIFFERS, spoil=guest_set(expires_at="2026-12-20T00:00:00+00:00")
    ),
    "group removed": Case(
        outcome=Outcome.GROUP_MISSING,
        spoil=lambda office, key: office.desk.sim.remove(
            "group", office.desk.groups(key.record)[0].id
        ),
        opened=NEVER,
    ),
    "out of the group": Case(
        outcome=Outcome.MEMBER_MISSING, spoil=group_set(user_ids=[]), opened=NEVER
    ),
    "other doors": Case(outcome=Outcome.DOORS_DIFFER, spoil=with_other_doors, opened=NEVER),
    "no schedule": Case(
        outcome=Outcome.GROUP_WITHOUT_SCHEDULE, spoil=without_schedule, opened=NEVER
    ),
    "other times": Case(
        outcome=Outcome.WINDOW_DIFFERS, spoil=with_other_times, opened=(False, False, True, True)
    ),
    "a second schedule": Case(
        outcome=Outcome.WINDOW_DIFFERS, spoil=with_second_schedule, opened=(True,) * 4
    ),
    "group too many": Case(outcome=Outcome.ORPHAN_GROUP, spoil=spare_group),
}
NOT_ADOPTED = {"a second schedule"}
"""What Salto has, and no record can say."""

REPORT_ALL = KeyRules(repaired=frozenset())


@pytest.fixture
async def office(hass: HomeAssistant, socket_enabled: None) -> AsyncIterator[Office]:
    """Open an office at a campsite where everything takes effect at once, and a person decides."""
    async with office_of(hass, rules=REPORT_ALL) as office:
        yield office


async def spoilt(office: Office, case: Case) -> HandedOut:
    """Have a key that is old enough to be judged, and to which something was done."""
    key = await office.issue(booking="b1")
    await office.passes(2 * A_MOMENT)
    assert office.edges(key) == INSIDE_ONLY
    case.spoil(office, key)
    return key


def left(office: Office, key: HandedOut) -> set[Outcome]:
    """Return what the last comparison still says of a key."""
    assert office.manager.last_pass is not None
    findings = office.manager.last_pass.discrepancies
    return {one.outcome for one in findings if one.key_id == key.record.key_id}


async def pin_of(office: Office, key: HandedOut) -> HandedOut:
    """Return a key with the PIN that counts now."""
    return await office.manager.reveal(key.record.key_id, RECEPTION)


def warnings_of(case: Case) -> frozenset[KeyWarning]:
    """Return the warnings of a key that was found like this."""
    return frozenset({KeyWarning.MODIFIED_OUTSIDE} if case.outcome in IN_DETAILS else ())


async def who_did(office: Office, key: HandedOut) -> set[str]:
    """Return who has done anything to a key, says the audit log."""
    lines = await office.manager.audit(AuditQuery(key_id=key.record.key_id, limit=1000))
    return {f"{line.action} by {line.who}: {line.reason}" for line in lines}


@pytest.mark.parametrize("name", CASES)
async def test_it_is_seen(office: Office, name: str) -> None:
    """It is told by its name, does what it does at the door, and nothing is done unasked."""
    case = CASES[name]
    key = await spoilt(office, case)
    assert office.edges(key) == case.opened
    world = office.marked()
    done = await office.manager.reconcile(dry_run=False)
    assert [one.outcome for one in done.discrepancies] == [case.outcome]
    assert (done.repaired, office.marked()) == (frozenset(), world)
    assert office.record(key) == replace(key.record, warnings=warnings_of(case))


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        pytest.param(name, fix, id=f"{name}: {fix}")
        for name, case in CASES.items()
        for fix in fixes_of(case.outcome)
        if (name, fix) not in {(other, Fix.ADOPT) for other in NOT_ADOPTED}
    ],
)
async def test_it_is_mended(office: Office, name: str, fix: Fix) -> None:
    """After each fix ledger, Salto and door agree, and the log knows who has done it."""
    case, strangers = CASES[name], office.desk.strangers()
    key = await spoilt(office, case)
    before = office.marked()
    await office.manager.reconcile(dry_run=False)
    assert await office.manager.mend(key.record.key_id, case.outcome, fix, RECEPTION)
    assert not left(office, key) & mended_with(case.outcome, fix)
    assert office.passes_made[-1] is office.manager.last_pass
    await check_mended(office, case, key, fix, before)
    assert office.desk.strangers() == strangers
    action = {Fix.REISSUE: "issue"}.get(fix, fix.value)
    assert f"{action} by reception: asked at the desk" in await who_did(office, key)
    if fix is not Fix.FORGET:
        assert KeyWarning.MODIFIED_OUTSIDE not in office.record(key).warnings
        await office.passes(2 * A_MOMENT)
        assert (await office.manager.reconcile(dry_run=False, deep=True)).discrepancies == ()


async def check_mended(
    office: Office, case: Case, key: HandedOut, fix: Fix, before: set[str]
) -> None:
    """Hold a key to what a fix promises."""
    match fix:
        case Fix.REISSUE:
            new = await pin_of(office, key)
            assert office.edges(new) == INSIDE_ONLY
            assert office.edges(replace(new, keypad_pin=key.keypad_pin)) == NEVER
        case Fix.REVOKE:
            assert office.marked() == set()
            await office.passes(A_MOMENT)
            assert office.record(key).status is KeyStatus.REVOKED
        case Fix.RESTORE:
            new = await pin_of(office, key)
            assert (new.keypad_pin == key.keypad_pin) is case.pin_stays
            assert office.edges(new) == INSIDE_ONLY
            assert office.record(key).guest == key.record.guest
            assert not office.opens(new, office.desk.doors[1])
        case Fix.ADOPT:
            assert office.marked() == before
            assert office.record(key) != key.record
        case Fix.FORGET:
            assert office.manager.get(key.record.key_id) is None
            assert office.marked() == before
        case Fix.REMOVE_AT_SALTO:
            assert office.edges(key) == INSIDE_ONLY
            assert office.marked() < before


@pytest.mark.parametrize("name", CASES)
async def test_what_is_so_no_more(office: Office, name: str) -> None:
    """A finding that is gone by the time is said to be gone, and nothing is done about it."""
    case = CASES[name]
    key = await office.issue(booking="b1")
    await office.passes(2 * A_MOMENT)
    with office.desk.aside():
        case.spoil(office, key)
        await office.manager.reconcile(dry_run=False)
        assert left(office, key) == {case.outcome}
    fix = fixes_of(case.outcome)[0]
    assert not await office.manager.mend(key.record.key_id, case.outcome, fix, RECEPTION)
    assert left(office, key) == set()
    assert office.record(key) == key.record
    assert office.edges(key) == INSIDE_ONLY


@pytest.mark.parametrize("name", CASES)
async def test_it_is_mended_by_itself(hass: HomeAssistant, socket_enabled: None, name: str) -> None:
    """Where a person has chosen so all is mended unasked, in the first of the ways."""
    case = CASES[name]
    rules = KeyRules(repaired=frozenset(Outcome))
    async with office_of(hass, rules=rules) as office:
        key = await spoilt(office, case)
        before = office.marked()
        done = await office.manager.reconcile(dry_run=False)
        assert {one.outcome for one in done.repaired} == {case.outcome}
        assert done.discrepancies == ()
        await check_mended(office, case, key, fixes_of(case.outcome)[0], before)
        await office.passes(2 * A_MOMENT)
        done = await office.manager.reconcile(dry_run=False, deep=True)
        assert done.plan.discrepancies == ()


# What only a look at all of a key shows


async def far_off(office: Office) -> HandedOut:
    """Have a key that is not due for days, and whose doors somebody has changed; compare all."""
    key = await office.issue(booking="b1", starts_at=office.opened_at + 5 * DAY)
    await office.passes(2 * A_MOMENT)
    office.desk.sim.clock.advance(2 * DAY.total_seconds())
    CASES["other doors"].spoil(office, key)
    await office.manager.reconcile(dry_run=False, deep=True)
    assert left(office, key) == {Outcome.DOORS_DIFFER}
    return key


async def test_what_a_deep_look_has_found_is_known_after_a_start(office: Office) -> None:
    """It is found again by the first comparison, and each night, until it is mended."""
    key = await far_off(office)
    for _ in range(2):
        await office.restart()
        assert KeyWarning.MODIFIED_OUTSIDE in office.record(key).warnings
        done = await office.manager.reconcile(dry_run=False)
        assert (left(office, key), done.looked_deep) == ({Outcome.DOORS_DIFFER}, 1)
    fix = Fix.RESTORE
    await office.manager.mend(key.record.key_id, Outcome.DOORS_DIFFER, fix, RECEPTION)
    assert office.record(key).warnings == frozenset()


async def test_what_was_put_right_at_salto_is_no_warning_any_more(office: Office) -> None:
    """The next comparison looks at it, and takes the warning back."""
    key = await far_off(office)
    await office.restart()
    group_set(lock_ids=[office.desk.doors[0]])(office, key)
    await office.manager.reconcile(dry_run=True)
    assert office.record(key).warnings == {KeyWarning.MODIFIED_OUTSIDE}
    done = await office.manager.reconcile(dry_run=False)
    assert done.discrepancies == ()
    assert office.record(key).warnings == frozenset()


@pytest.mark.parametrize("route", ["/access_groups/{group}/locks", "/users/{user}"])
async def test_what_could_not_be_looked_at_again_is_still_so(office: Office, route: str) -> None:
    """Neither the finding nor the warning ends by a look that Salto has refused, once or after a start."""
    key = await far_off(office)
    for restarted in (False, True):
        if restarted:
            await office.restart()
        hidden = Fault(method="GET", route=route, status=403, body=NO_RIGHT, count=1)
        office.desk.sim.faults.add(hidden)
        await office.manager.reconcile(dry_run=False)
        assert left(office, key) == (set() if restarted else {Outcome.DOORS_DIFFER})
        assert office.record(key).warnings == {KeyWarning.MODIFIED_OUTSIDE}
        await office.manager.reconcile(dry_run=False)
        assert left(office, key) == {Outcome.DOORS_DIFFER}


@pytest.mark.parametrize("route", ["/access_groups/{group}/locks", "/users/{user}"])
async def test_what_cannot_be_looked_at_is_not_called_mended(office: Office, route: str) -> None:
    """Whoever wants to mend it is told so."""
    key = await far_off(office)
    office.desk.sim.faults.add(Fault(method="GET", route=route, status=403, body=NO_RIGHT, count=1))
    mending = partial(
        office.manager.mend, key.record.key_id, Outcome.DOORS_DIFFER, Fix.RESTORE, RECEPTION
    )
    err = await outcome_of(mending())
    assert isinstance(err, KeyFailedError)
    assert err.problem is KeyProblem.NOT_READ_BACK
    assert left(office, key) == {Outcome.DOORS_DIFFER}
    assert office.record(key).warnings == {KeyWarning.MODIFIED_OUTSIDE}
    assert await mending()
    assert (left(office, key), office.record(key).warnings) == (set(), frozenset())


async def test_a_part_that_is_hidden_leaves_what_it_may_show(office: Office) -> None:
    """Mending what is shown says nothing of what else somebody has changed before a start."""
    key = await far_off(office)
    await office.restart()
    await office.manager.reconcile(dry_run=False)
    office.manager.last_pass = None
    office.desk.sim.faults.add(
        Fault(method="GET", route="/time_schedules", status=403, body=NO_RIGHT, count=1)
    )
    assert await office.manager.mend(key.record.key_id, Outcome.DOORS_DIFFER, Fix.ADOPT, RECEPTION)
    assert office.record(key).warnings == {KeyWarning.MODIFIED_OUTSIDE}


async def test_what_ended_otherwise_is_found_no_more(office: Office) -> None:
    """A key that is gone, over, being changed or changed since is another matter."""
    key = await far_off(office)
    guest = guest_id(office, key)
    office.desk.sim.remove("user", guest)
    await office.manager.reconcile(dry_run=False)
    assert left(office, key) == {Outcome.MISSING_AT_SALTO}
    assert not await office.manager.mend(
        key.record.key_id, Outcome.DOORS_DIFFER, Fix.RESTORE, RECEPTION
    )


async def test_a_key_that_was_issued_anew_since_is_found_no_more(office: Office) -> None:
    """It is too young to be looked at, and nobody has touched it."""
    key = await far_off(office)
    await office.manager.reissue(key.record.key_id, RECEPTION)
    await office.manager.reconcile(dry_run=False)
    assert left(office, key) == set()


async def test_a_site_that_never_shows_all_of_a_key(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """What it does show has to do, also after a start."""
    async with office_of(hass, Quirks.instant(group_schedules_read="absent")) as office:
        for restarted in (False, True):
            key = await far_off(office)
            if restarted:
                await office.restart()
            group_set(lock_ids=[office.desk.doors[0]])(office, key)
            await office.manager.reconcile(dry_run=False)
            assert left(office, key) == set()
            assert office.record(key).warnings == {KeyWarning.NOT_OBSERVABLE}
            await office.manager.revoke(key.record.key_id, RECEPTION)


async def test_a_key_that_is_revealed_while_it_is_compared(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """Nothing is found about it then, which says nothing."""
    gate = Gate()
    async with office_of(hass, around=gate.around) as office:
        key = await far_off(office)
        gate.open.clear()
        reading = asyncio.create_task(office.manager.reconcile(dry_run=False))
        await until(lambda: gate.held)
        lock = office.manager._lock(key.record.key_id)
        async with lock:
            gate.open.set()
            await reading
        assert left(office, key) == {Outcome.DOORS_DIFFER}
        assert office.record(key).warnings == {KeyWarning.MODIFIED_OUTSIDE}


async def test_a_second_thing_that_differs_stays_known(office: Office) -> None:
    """Mending one of two leaves the other to be found again."""
    key = await far_off(office)
    guest_set(expires_at="2026-12-30T00:00:00+00:00")(office, key)
    await office.manager.reconcile(dry_run=False)
    adopt = Fix.ADOPT
    await office.manager.mend(key.record.key_id, Outcome.DOORS_DIFFER, adopt, RECEPTION)
    await office.restart()
    await office.manager.reconcile(dry_run=False)
    assert left(office, key) == {Outcome.EXPIRY_DIFFERS}


async def test_a_disk_that_does_not_take_that_a_key_was_changed(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told all the same, and on disk a little later."""
    key = await office.issue(booking="b1")
    await office.passes(2 * A_MOMENT)
    CASES["other doors"].spoil(office, key)
    with no_room():
        await office.manager.reconcile(dry_run=False)
    assert "is not on disk yet" in caplog.text
    assert left(office, key) == {Outcome.DOORS_DIFFER}
    await office.tick()
    await office.restart()
    assert KeyWarning.MODIFIED_OUTSIDE in office.record(key).warnings


async def test_keys_that_are_mended_together_share_a_listing(office: Office) -> None:
    """However many are chosen, the site is listed twice at most, and not for each of them."""
    keys = [await office.issue(booking=f"b{number}") for number in range(12)]
    await office.passes(2 * A_MOMENT)
    for key in keys:
        guest_set(subscription_state="suspended")(office, key)
    await office.manager.reconcile(dry_run=False)
    mend = office.manager.mend
    work = (mend(key.record.key_id, Outcome.SUSPENDED, Fix.RESTORE, RECEPTION) for key in keys)
    calls = await office.desk.calls(asyncio.gather(*work))
    assert calls.count("GET /access_groups") <= 2
    assert calls.count("GET /users") <= 4
    for key in keys:
        assert office.edges(key) == INSIDE_ONLY
    assert office.manager.last_pass is not None
    assert office.manager.last_pass.discrepancies == ()


# What is taken over


async def test_a_key_that_was_suspended_is_taken_over(office: Office) -> None:
    """It is suspended by hand, so that no booking resumes it, and a person can."""
    key = await spoilt(office, CASES["no seat"])
    await office.manager.mend(key.record.key_id, Outcome.SUSPENDED, Fix.ADOPT, RECEPTION)
    assert (office.record(key).status, office.record(key).by_hand) == (KeyStatus.SUSPENDED, True)
    assert office.edges(key) == NEVER
    await office.manager.resume(key.record.key_id, RECEPTION)
    assert office.edges(key) == INSIDE_ONLY


async def test_other_doors_are_taken_over(office: Office) -> None:
    """The key is one of the doors that it opens, and can be changed from there."""
    key = await spoilt(office, CASES["other doors"])
    await office.manager.mend(key.record.key_id, Outcome.DOORS_DIFFER, Fix.ADOPT, RECEPTION)
    assert office.record(key).doors == {office.desk.doors[1]}
    assert office.edges(key, office.desk.doors[1]) == INSIDE_ONLY


async def test_other_times_are_taken_over(office: Office) -> None:
    """The key has the window that it opens in, and ends with it."""
    key = await spoilt(office, CASES["other times"])
    await office.manager.mend(key.record.key_id, Outcome.WINDOW_DIFFERS, Fix.ADOPT, RECEPTION)
    assert office.record(key).window.starts_at == key.record.window.starts_at + HOUR
    assert office.edges(key) == INSIDE_ONLY
    await office.comes(key.record.window.ends_at + HOUR)
    assert office.record(key).status is KeyStatus.REMOVING


async def test_an_end_before_the_window_is_taken_over(office: Office) -> None:
    """A guest that would end too early is told as such, and issued anew in time."""
    key = await office.issue(booking="b1", lasts=10 * DAY)
    await office.passes(2 * A_MOMENT)
    guest_set(expires_at="2026-12-12T00:00:00+00:00")(office, key)
    await office.manager.mend(key.record.key_id, Outcome.EXPIRY_DIFFERS, Fix.ADOPT, RECEPTION)
    assert KeyWarning.EXPIRY_NOT_MOVED in office.record(key).warnings
    await office.comes(key.record.window.starts_at + 4 * DAY)
    assert office.record(key).guest != key.record.guest
    assert office.edges(await pin_of(office, key)) == INSIDE_ONLY


async def test_times_that_cannot_be_taken_over(office: Office) -> None:
    """What no record can say is refused, and stays as it is."""
    key = await spoilt(office, CASES["a second schedule"])
    await office.manager.reconcile(dry_run=False)
    mending = office.manager.mend(key.record.key_id, Outcome.WINDOW_DIFFERS, Fix.ADOPT, RECEPTION)
    with pytest.raises(KeyRefusedError) as refused:
        await mending
    assert refused.value.reason is KeyRefusal.NOTHING_TO_ADOPT
    assert left(office, key) == {Outcome.WINDOW_DIFFERS}


# What the ledger does not know


async def forgotten(office: Office, *doors: DoorId, **more: Any) -> HandedOut:
    """Have a key at Salto that is not in the ledger."""
    key = await office.issue(*doors, booking="b1", **more)
    await office.passes(2 * A_MOMENT)
    await office.ledger.forget(key.record.key_id)
    done = await office.manager.reconcile(dry_run=False)
    assert {one.outcome for one in done.discrepancies} == {Outcome.UNKNOWN_AT_SALTO}
    return key


def mend_unknown(office: Office, key: HandedOut | KeyId, fix: Fix) -> Any:
    """Mend a key that the ledger does not know."""
    key_id = key.record.key_id if isinstance(key, HandedOut) else key
    return office.manager.mend(key_id, Outcome.UNKNOWN_AT_SALTO, fix, RECEPTION)


async def test_an_unknown_key_is_taken_over(office: Office) -> None:
    """It opens as before, and is revoked like any other; its PIN nobody knows."""
    doors = office.desk.doors
    key = await forgotten(office, doors[0], doors[1])
    before = office.marked()
    assert await mend_unknown(office, key, Fix.ADOPT)
    record = office.record(key)
    assert (record.status, record.window, record.doors) == (
        KeyStatus.SET,
        key.record.window,
        key.record.doors,
    )
    assert (record.sealed_pin, record.guest, record.groups) == (
        None,
        key.record.guest,
        key.record.groups,
    )
    assert record.booking_id == key.record.booking_id == "b1"
    assert office.marked() == before
    assert office.edges(key) == INSIDE_ONLY
    await office.passes(2 * A_MOMENT)
    assert (await office.manager.reconcile(dry_run=False, deep=True)).discrepancies == ()
    rotated = await office.manager.rotate(key.record.key_id, RECEPTION)
    assert office.edges(rotated) == INSIDE_ONLY
    await office.manager.revoke(key.record.key_id, RECEPTION)
    assert office.marked() == set()


async def test_an_unknown_key_of_a_unit_is_taken_over(office: Office) -> None:
    """It is one of its unit again, so that its booking finds it and takes it back."""
    key = await forgotten(office, unit_id=UnitId("pitch"), on_removal=OnRemoval.LEAVE)
    assert await mend_unknown(office, key, Fix.ADOPT)
    record = office.record(key)
    assert (record.booking_id, record.unit_id, record.on_removal) == (
        "b1",
        "pitch",
        OnRemoval.LEAVE,
    )


async def test_an_unknown_key_of_an_earlier_version_is_taken_over(office: Office) -> None:
    """Where nobody knows of a unit it is nobody's key, and its booking gets one of its own."""
    key = await forgotten(office, unit_id=UnitId("pitch"), on_removal=OnRemoval.LEAVE)
    for path in folder_of(office.hass, office.desk.site_id).glob("audit.*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        kept = [
            {name: value for name, value in line.items() if name not in {"unit_id", "on_removal"}}
            for line in lines
        ]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in kept))
    assert await mend_unknown(office, key, Fix.ADOPT)
    record = office.record(key)
    assert (record.booking_id, record.unit_id, record.on_removal) == (None, None, OnRemoval.REVOKE)
    assert office.edges(key) == INSIDE_ONLY


async def test_an_unknown_key_is_taken_over_after_a_restart(office: Office) -> None:
    """What was taken over is on disk."""
    key = await forgotten(office)
    await mend_unknown(office, key, Fix.ADOPT)
    await office.restart()
    assert office.record(key).guest == key.record.guest


async def test_an_unknown_key_is_removed(office: Office) -> None:
    """All that carries its marker goes, and nothing else."""
    strangers = office.desk.strangers()
    key, other = await forgotten(office), await office.issue(booking="b2")
    spare_guest(office, key)
    assert await mend_unknown(office, key, Fix.REMOVE_AT_SALTO)
    assert office.edges(other) == INSIDE_ONLY
    assert office.marked() == {
        item.id for item in (*office.desk.guests(other.record), *office.desk.groups(other.record))
    }
    assert office.desk.strangers() == strangers
    assert not await mend_unknown(office, key, Fix.REMOVE_AT_SALTO)
    assert "remove_at_salto by reception: asked at the desk" in await who_did(office, key)


@pytest.mark.parametrize(
    "spoil",
    [
        spare_guest,
        without_schedule,
        group_set(lock_ids=[]),
        lambda office, key: office.desk.sim.remove("user", guest_id_of(key)),
    ],
    ids=["two guests", "no schedule", "no doors", "no guest"],
)
async def test_an_unknown_key_that_cannot_be_taken_over(office: Office, spoil: Spoil) -> None:
    """What is not one guest with a window and a door is no key."""
    key = await forgotten(office)
    spoil(office, key)
    with pytest.raises(KeyRefusedError) as refused:
        await mend_unknown(office, key, Fix.ADOPT)
    assert refused.value.reason is KeyRefusal.NOTHING_TO_ADOPT


def guest_id_of(key: HandedOut) -> str:
    """Return the id of the guest of a key that the ledger may not know any more."""
    assert key.record.guest is not None
    return key.record.guest.id


async def test_a_marker_in_another_spelling_is_not_taken_over(office: Office) -> None:
    """A number that is written otherwise is that of another key, and is only removed."""
    key = await office.issue(booking="b1")
    spare = spare_guest(office, key)
    head, _, number = key.record.key_id.partition("-")
    other = KeyId(f"{head}-0{number}")
    office.desk.sim.set("user", spare, alias=f"ha-{other}")
    await office.passes(2 * A_MOMENT)
    with pytest.raises(KeyRefusedError):
        await mend_unknown(office, other, Fix.ADOPT)
    assert await mend_unknown(office, other, Fix.REMOVE_AT_SALTO)
    await office.assert_agreed()


async def test_another_guest_in_place_of_the_own(office: Office) -> None:
    """Its key can go on with that guest; the PIN of it nobody knows."""
    key = await office.issue(booking="b1")
    await office.passes(2 * A_MOMENT)
    spare = spare_guest(office, key)
    sim, world = office.desk.sim, office.desk.sim.world
    person = world.users[spare].user_id
    sim.set("user", spare, use_pin=True, pin="998877")
    sim.set("group", office.desk.groups(key.record)[0].id, user_ids=[person])
    sim.remove("user", guest_id(office, key))
    await office.manager.reconcile(dry_run=False)
    assert left(office, key) == {Outcome.MISSING_AT_SALTO, Outcome.UNKNOWN_AT_SALTO}
    assert await mend_unknown(office, key, Fix.ADOPT)
    assert office.edges(replace(key, keypad_pin="998877")) == INSIDE_ONLY
    assert (office.record(key).booking_id, office.record(key).sealed_pin) == ("b1", None)
    await office.assert_agreed()


# What is over


async def test_a_key_that_is_over_is_mended(office: Office) -> None:
    """One whose window was missed is revoked; of one that has ended the rest goes."""
    key, ended = await office.issue(booking="b1"), await office.issue(booking="b2")
    await office.ledger.amend(
        ended.record.key_id,
        lambda now: replace(now, status=KeyStatus.REVOKED, removed_at=now.changed_at),
    )
    office.desk.sim.clock.set(key.record.window.ends_at + HOUR)
    done = await office.manager.reconcile(dry_run=False)
    assert {one.outcome for one in done.discrepancies} == {Outcome.EXPIRED_NOT_REMOVED}
    for one in (key, ended):
        assert await office.manager.mend(
            one.record.key_id, Outcome.EXPIRED_NOT_REMOVED, Fix.REVOKE, RECEPTION
        )
    assert office.marked() == set()
    assert office.record(key).status is KeyStatus.REMOVING


async def test_the_group_of_a_key_that_is_over(office: Office) -> None:
    """What is left of a key that has ended is removed on demand, too."""
    key = await office.issue(booking="b1")
    await office.manager.revoke(key.record.key_id, RECEPTION)
    await office.passes(2 * A_MOMENT)
    world = office.desk.sim.world
    office.desk.sim.add("group", {"customer_reference": f"ha-{key.record.key_id}.1"})
    assert len(world.groups_of(office.desk.sim.site_id)) > 0
    mended = await office.manager.mend(
        key.record.key_id, Outcome.ORPHAN_GROUP, Fix.REMOVE_AT_SALTO, RECEPTION
    )
    assert mended
    assert office.marked() == set()


# Keys that we let in and out ourselves


@pytest.mark.parametrize("inside", [True, False])
async def test_a_guest_that_somebody_let_in_or_out(office: Office, inside: bool) -> None:
    """A guest is brought to where its window wants it, whoever has moved it."""
    key = await office.issue(booking="b1", strategy=Strategy.MEMBERSHIP)
    if inside:
        await office.comes(key.record.window.starts_at)
    await office.passes(2 * A_MOMENT)
    members = [] if inside else [office.person_of(key)]
    group_set(user_ids=members)(office, key)
    outcome = Outcome.MEMBER_MISSING if inside else Outcome.WINDOW_DIFFERS
    await office.manager.reconcile(dry_run=False)
    assert left(office, key) == {outcome}
    assert office.opens(key) is not inside
    assert await office.manager.mend(key.record.key_id, outcome, Fix.RESTORE, RECEPTION)
    assert office.opens(key) is inside


# What cannot be seen, or not yet


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks.instant(group_locks_read="absent"),
        Quirks.instant(group_users_read="absent"),
        Quirks.instant(group_schedules_read="absent"),
        Quirks.instant(keys_read="absent"),
        Quirks.instant(
            group_locks_read="absent", group_users_read="absent", group_schedules_read="absent"
        ),
        Quirks.instant(
            groups_read="absent",
            group_locks_read="absent",
            group_users_read="absent",
            group_schedules_read="absent",
            keys_read="absent",
        ),
    ],
    ids=["doors", "members", "schedules", "keys", "what is in groups", "all"],
)
async def test_what_is_not_shown_is_not_missing(
    hass: HomeAssistant, socket_enabled: None, quirks: Quirks
) -> None:
    """It is told once for the site, as what it is, and nothing is done about it."""
    async with office_of(hass, quirks, rules=KeyRules(repaired=frozenset(Outcome))) as office:
        key = await office.issue(booking="b1")
        await office.passes(2 * A_MOMENT)
        done = await office.manager.reconcile(dry_run=False, deep=True)
        assert [str(one.outcome) for one in done.plan.findings] == ["not_observable"]
        assert (done.discrepancies, done.repaired) == ((), frozenset())
        assert office.edges(key) == INSIDE_ONLY


async def test_a_key_that_was_changed_just_now(office: Office) -> None:
    """Nobody can tell yet what is wrong with it, and that is said."""
    key = await office.issue(booking="b1")
    guest_set(subscription_state="suspended")(office, key)
    mend = office.manager.mend
    with pytest.raises(KeyRefusedError) as refused:
        await mend(key.record.key_id, Outcome.SUSPENDED, Fix.RESTORE, RECEPTION)
    assert refused.value.reason is KeyRefusal.JUST_CHANGED
    await office.passes(UNSEEN_FOR)
    assert await mend(key.record.key_id, Outcome.SUSPENDED, Fix.RESTORE, RECEPTION)


async def test_a_fix_that_does_not_fit(office: Office) -> None:
    """A slip of the programmer is no refusal."""
    key = await office.issue(booking="b1")
    for outcome in Outcome:
        for fix in set(Fix) - set(fixes_of(outcome)):
            with pytest.raises(ValueError, match="is not mended by"):
                await office.manager.mend(key.record.key_id, outcome, fix, RECEPTION)
    assert {outcome for outcome in Outcome if not fixes_of(outcome)} == ABOUT_THE_SITE


async def test_restoring_that_salto_refuses(office: Office) -> None:
    """It is told why, the finding stays, and the key is no worse than before."""
    key = await spoilt(office, CASES["no seat"])
    await office.manager.reconcile(dry_run=False)
    office.desk.sim.faults.add(
        Fault(method="PATCH", route="/subscription", status=403, body=NO_RIGHT, count=None)
    )
    with pytest.raises(KeyFailedError):
        await office.manager.mend(key.record.key_id, Outcome.SUSPENDED, Fix.RESTORE, RECEPTION)
    assert left(office, key) == {Outcome.SUSPENDED}
    assert office.record(key).errors == {KeyProblem.FORBIDDEN}
    office.desk.sim.faults.clear()
    await office.passes(2 * A_MOMENT)
    assert await office.manager.mend(key.record.key_id, Outcome.SUSPENDED, Fix.RESTORE, RECEPTION)
    assert office.record(key).errors == set()
    assert office.edges(key) == INSIDE_ONLY


async def test_nothing_gives_access_at_a_site_that_is_switched_off(office: Office) -> None:
    """Only what takes access away is mended there."""
    key = await spoilt(office, CASES["no seat"])
    office.is_active = False
    for fix in (Fix.RESTORE, Fix.REISSUE):
        refused = await outcome_of(
            office.manager.mend(key.record.key_id, Outcome.SUSPENDED, fix, RECEPTION)
        )
        assert isinstance(refused, KeyRefusedError)
        assert refused.reason is KeyRefusal.SITE_INACTIVE
    assert await office.manager.mend(key.record.key_id, Outcome.SUSPENDED, Fix.REVOKE, RECEPTION)


async def test_a_key_whose_reading_is_refused(office: Office) -> None:
    """A key that Salto refuses to show is passed over, and the others are compared."""
    key = await spoilt(office, CASES["out of the group"])
    other = await office.issue(booking="b2")
    await office.passes(2 * A_MOMENT)
    office.desk.sim.faults.add(
        Fault(method="GET", route="/users/{user}", status=403, body=NO_RIGHT, count=1)
    )
    done = await office.manager.reconcile(dry_run=False, deep=True)
    assert done.looked_deep == 1
    assert other.record.key_id not in {one.key_id for one in done.discrepancies}
    await office.manager.reconcile(dry_run=False, deep=True)
    assert left(office, key) == {Outcome.MEMBER_MISSING}


async def test_which_keys_are_read_as_a_whole(office: Office) -> None:
    """Those that matter soon or have changed are; with `deep` all, at five requests each."""
    far = office.opened_at + timedelta(days=9)
    keys = [await office.issue(booking=f"b{n}", starts_at=far) for n in range(6)]
    await office.passes(2 * A_MOMENT)
    done = await office.manager.reconcile(dry_run=True, deep=True)
    assert (done.deep, done.looked_deep, done.requests) == (True, 6, 2 + 6 * 5)
    done = await office.manager.reconcile(dry_run=True)
    assert (done.deep, done.looked_deep, done.requests) == (False, 0, 2)
    await office.manager.rotate(keys[0].record.key_id, RECEPTION)
    done = await office.manager.reconcile(dry_run=True)
    assert done.looked_deep == 0
    await office.passes(UNSEEN_FOR + MINUTE)
    done = await office.manager.reconcile(dry_run=True)
    assert done.looked_deep == 1
    assert DoorId(office.desk.doors[0]) in keys[0].record.doors


class Gate:
    """Holds up the reading of keys as a whole, and counts how many are read at once."""

    def __init__(self) -> None:
        """Begin open."""
        self.open = asyncio.Event()
        self.open.set()
        self.held = 0
        self.most = 0

    @web.middleware
    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through once the gate is open, if it reads what is in a group."""
        if request.method != "GET" or not request.path.endswith("/time_schedules"):
            return await handler(request)
        self.held += 1
        self.most = max(self.most, self.held)
        try:
            await self.open.wait()
            return await handler(request)
        finally:
            self.held -= 1


async def test_reading_keys_keeps_nobody_waiting(hass: HomeAssistant, socket_enabled: None) -> None:
    """A few are read at once, and keys are issued meanwhile."""
    gate = Gate()
    async with office_of(hass, around=gate.around) as office:
        for number in range(9):
            await office.issue(booking=f"b{number}")
        await office.passes(2 * A_MOMENT)
        gate.open.clear()
        gate.most = 0
        reading = asyncio.create_task(office.manager.reconcile(dry_run=True, deep=True))
        await until(lambda: gate.held == DEEP_AT_ONCE)
        revoked = await office.manager.revoke(
            office.ledger.by_booking(BookingId("b8"))[0].key_id, RECEPTION
        )
        assert revoked.status is KeyStatus.REMOVING
        gate.open.set()
        done = await reading
        assert (gate.most, done.looked_deep, done.discrepancies) == (DEEP_AT_ONCE, 8, ())


async def test_a_reading_that_is_cut_off(hass: HomeAssistant, socket_enabled: None) -> None:
    """Nothing goes on after the site is unloaded."""
    gate = Gate()
    async with office_of(hass, around=gate.around) as office:
        for number in range(5):
            await office.issue(booking=f"b{number}")
        await office.passes(2 * A_MOMENT)
        gate.open.clear()
        reading = asyncio.create_task(outcome_of(office.manager.reconcile(dry_run=True)))
        await until(lambda: gate.held == DEEP_AT_ONCE)
        await office.manager.close(0)
        assert isinstance(await reading, KeyRefusedError)
        await until(lambda: gate.held == 0)
        gate.open.set()


async def test_a_key_that_changed_between_finding_and_mending(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """What was found of it is not acted upon."""
    office: Office

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "PATCH" and request.path.endswith("/subscription"):
            await office.ledger.amend(
                second.record.key_id, lambda now: replace(now, label="Pitch 7")
            )
        return await handler(request)

    async with office_of(
        hass, rules=KeyRules(repaired=frozenset(Outcome)), around=around
    ) as office:
        first, second = [await office.issue(booking=f"b{n}") for n in range(2)]
        await office.passes(2 * A_MOMENT)
        for key in (first, second):
            guest_set(subscription_state="suspended")(office, key)
        done = await office.manager.reconcile(dry_run=False)
        assert [one.key_id for one in done.repaired] == [first.record.key_id]
        assert [one.key_id for one in done.discrepancies] == [second.record.key_id]
        assert office.edges(second) == NEVER


async def test_mending_by_itself_that_salto_refuses(
    hass: HomeAssistant, socket_enabled: None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told as not done, and the others are mended."""
    async with office_of(hass, rules=KeyRules(repaired=frozenset(Outcome))) as office:
        first, second = [await office.issue(booking=f"b{n}") for n in range(2)]
        await office.passes(2 * A_MOMENT)
        for key in (first, second):
            guest_set(subscription_state="suspended")(office, key)
        office.desk.sim.faults.add(
            Fault(method="PATCH", route="/subscription", status=403, body=NO_RIGHT, count=1)
        )
        done = await office.manager.reconcile(dry_run=False)
        assert [one.key_id for one in done.repaired] == [second.record.key_id]
        assert f"Key {first.record.key_id} could not be put right" in caplog.text


async def test_a_key_that_the_ledger_cannot_read(office: Office) -> None:
    """Nothing is done to a key of which only half is known."""
    key = await spoilt(office, CASES["no seat"])
    office.ledger.unreadable = frozenset({number_of(key.record.key_id)})
    refused = await outcome_of(
        office.manager.mend(key.record.key_id, Outcome.SUSPENDED, Fix.RESTORE, RECEPTION)
    )
    assert isinstance(refused, KeyRefusedError)
    assert refused.reason is KeyRefusal.LEDGER_CLOSED


async def test_a_guest_that_went_while_it_was_looked_at(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """What was listed and cannot be read is left to the next comparison."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if request.method == "GET" and request.path.endswith("/access_groups") and keys:
            CASES["guest removed"].spoil(office, keys.pop())
        return response

    keys: list[HandedOut] = []
    async with office_of(hass, rules=REPORT_ALL, around=around) as office:
        key = await office.issue(booking="b1")
        await office.passes(2 * A_MOMENT)
        keys.append(key)
        done = await office.manager.reconcile(dry_run=False, deep=True)
        assert (done.discrepancies, done.looked_deep) == ((), 0)
        await office.manager.reconcile(dry_run=False)
        assert left(office, key) == {Outcome.MISSING_AT_SALTO}
