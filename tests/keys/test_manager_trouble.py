"""The key manager on a bad day: Salto is down or says no, the disk is full, the caller is gone."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
import json
import logging
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography.fernet import Fernet
from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.api.exceptions import (
    SaltoKsAuthError,
    SaltoKsServerError,
)
from custom_components.salto_ks.domain.ids import DoorId, group_name, number_of
from custom_components.salto_ks.domain.key_requests import By, KeyChange, KeyRefusal
from custom_components.salto_ks.domain.keys import KeyProblem, KeyStatus, KeyWarning
from custom_components.salto_ks.keys.manager import (
    AT_ONCE,
    HandedOut,
    KeyGivenUpError,
    KeyPendingError,
    KeyRules,
)
from custom_components.salto_ks.keys.provider import KeyFailedError
from custom_components.salto_ks.storage import StorageError
from simulator import Fault, Quirks
from tests.ha.files import hass_config_dir, hass_storage, path_of

from .desk import HOUR, MINUTE
from .ledgers import folder_of, no_room
from .offices import A_MOMENT, INSIDE_ONLY, RECEPTION, Act, Office, office_of, outcome_of, until
from .test_manager import DAY, NO_RIGHT, REFUSAL, free_seats, refused

__all__ = ["hass_config_dir", "hass_storage"]

BY_ITSELF = By(who="", reason="the booking is cancelled")


@pytest.fixture
async def office(hass: HomeAssistant, socket_enabled: None) -> AsyncIterator[Office]:
    """Open an office at a campsite where everything takes effect at once."""
    async with office_of(hass) as office:
        yield office


def broken(office: Office, method: str | None = None, route: str = "/v1.", **more: Any) -> None:
    """Have every request of a kind fail until `mended`; without a method, all that change things."""
    methods = ("POST", "PUT", "PATCH", "DELETE") if method is None else (method,)
    for one in methods:
        values = {"status": 503, "count": None} | more
        office.desk.sim.faults.add(Fault(method=one, route=route, **values))


def mended(office: Office) -> None:
    """Let everything work again."""
    office.desk.sim.faults.clear()


async def change(office: Office, key: HandedOut) -> object:
    """Move a key by a day, to another door."""
    window = key.record.window
    moved = KeyChange(
        starts_at=window.starts_at + DAY,
        ends_at=window.ends_at + DAY,
        doors=frozenset(office.desk.doors[1:2]),
    )
    return await office.manager.change(key.record.key_id, moved, RECEPTION)


async def suspend(office: Office, key: HandedOut) -> object:
    """Suspend a key."""
    return await office.manager.suspend(key.record.key_id, RECEPTION)


async def resume(office: Office, key: HandedOut) -> object:
    """Resume a key."""
    return await office.manager.resume(key.record.key_id, RECEPTION)


async def rotate(office: Office, key: HandedOut) -> object:
    """Replace a PIN."""
    return await office.manager.rotate(key.record.key_id, RECEPTION)


async def reissue(office: Office, key: HandedOut) -> object:
    """Issue a key anew."""
    return await office.manager.reissue(key.record.key_id, RECEPTION)


async def revoke(office: Office, key: HandedOut) -> object:
    """Revoke a key."""
    return await office.manager.revoke(key.record.key_id, RECEPTION)


ACTS: dict[str, Act] = {
    "change": change,
    "suspend": suspend,
    "rotate": rotate,
    "reissue": reissue,
    "revoke": revoke,
}


# Salto does not answer


async def test_a_booking_waits_for_salto(office: Office) -> None:
    """A booking's key that could not be issued is pending, and is issued once Salto answers."""
    broken(office)
    err = await outcome_of(office.issue(booking="b1"))
    assert isinstance(err, KeyPendingError)
    assert isinstance(err.cause, SaltoKsServerError)
    (record,) = office.manager.keys()
    assert (record.key_id, record.status) == (err.key_id, KeyStatus.SETTING)
    assert office.manager.keys(statuses={KeyStatus.SETTING}) == (record,)
    assert office.manager.diagnostics()["waiting_to_try_again"] == 1
    assert isinstance(await outcome_of(office.issue(booking="b1")), KeyPendingError)
    mended(office)
    await office.passes(2 * MINUTE)
    assert office.record(err.key_id).status is KeyStatus.SET
    key = await office.issue(booking="b1")
    assert key.record.key_id == err.key_id
    assert office.edges(key) == INSIDE_ONLY
    assert office.told() == ["key_issued"]
    assert office.manager.diagnostics()["waiting_to_try_again"] == 0
    await office.passes(2 * A_MOMENT)
    await office.assert_agreed()


async def test_without_a_booking_it_is_given_up(office: Office) -> None:
    """A key that nobody will ask for again is taken back, and that is told at once."""
    broken(office, "PUT")
    err = await outcome_of(office.issue())
    assert isinstance(err, KeyGivenUpError)
    assert office.told() == ["key_failed unreachable"]
    mended(office)
    await office.passes(2 * A_MOMENT)
    record = office.record(err.key_id)
    assert (record.status, record.errors) == (KeyStatus.FAILED, {KeyProblem.UNREACHABLE})
    assert office.marked() == set()
    assert office.told() == ["key_failed unreachable"]
    await office.assert_agreed()


async def test_given_up_while_nothing_works(office: Office) -> None:
    """What is left of a key that was given up is removed when Salto is back, however much later."""
    broken(office, "PUT")
    broken(office, "DELETE")
    err = await outcome_of(office.issue())
    assert isinstance(err, KeyGivenUpError)
    assert office.marked() != set()
    await office.passes(HOUR, every=MINUTE)
    assert office.marked() != set()
    mended(office)
    await office.passes(20 * MINUTE)
    assert office.record(err.key_id).status is KeyStatus.FAILED
    await office.assert_agreed()


async def test_salto_cannot_even_be_asked(office: Office) -> None:
    """Where it cannot be found out what the site can do, nothing is begun."""
    broken(office, "GET")
    assert isinstance(await outcome_of(office.issue(booking="b1")), SaltoKsServerError)
    assert (office.manager.keys(), office.told()) == ((), [])


@pytest.mark.parametrize("name", ACTS)
async def test_pending(office: Office, name: str) -> None:
    """What was asked of a key while Salto was down is told as pending, and done once it is back."""
    key = await office.issue(booking="b1", starts_at=office.desk.sim.clock.now() + DAY)
    broken(office)
    err = await outcome_of(ACTS[name](office, key))
    assert isinstance(err, KeyPendingError)
    assert office.ledger.intents.keys() == {key.record.key_id}
    mended(office)
    await office.passes(2 * MINUTE)
    assert office.ledger.intents == {}
    record = office.record(key)
    match name:
        case "suspend":
            assert record.status is KeyStatus.SUSPENDED
        case "revoke":
            assert record.status is KeyStatus.REMOVING
        case "change":
            assert record.window.starts_at == key.record.window.starts_at + DAY
            assert office.edges(key, office.desk.doors[1]) == INSIDE_ONLY
        case _:
            new = await office.manager.reveal(record.key_id, RECEPTION)
            assert new.keypad_pin != key.keypad_pin
            assert office.edges(new) == INSIDE_ONLY
    await office.passes(2 * A_MOMENT)
    await office.assert_agreed()


async def test_what_is_pending_is_done_before_what_follows(office: Office) -> None:
    """A PIN whose rotation was interrupted is rotated before it is shown; nobody sees a dead one."""
    key = await office.issue()
    office.desk.sim.faults.add(
        Fault(method="PUT", route="/pin", status=503, commit=True, count=None)
    )
    assert isinstance(await outcome_of(rotate(office, key)), KeyPendingError)
    assert isinstance(
        await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION)), KeyPendingError
    )
    mended(office)
    shown = await office.manager.reveal(key.record.key_id, RECEPTION)
    assert office.edges(shown) == INSIDE_ONLY
    assert not office.opens(key, at=key.record.window.starts_at)
    assert office.told(key) == ["key_issued", "key_changed pin"]


async def test_a_change_of_a_pending_change(office: Office) -> None:
    """What is asked while a change waits adds to it, and takes nothing of it back."""
    key = await office.issue()
    window = key.record.window
    longer = KeyChange(ends_at=window.ends_at + HOUR)
    broken(office, "PATCH")
    assert isinstance(
        await outcome_of(office.manager.change(key.record.key_id, longer, RECEPTION)),
        KeyPendingError,
    )
    mended(office)
    doors = frozenset(office.desk.doors[:2])
    both = await office.manager.change(key.record.key_id, KeyChange(doors=doors), RECEPTION)
    assert (both.window.ends_at, both.doors) == (longer.ends_at, doors)
    assert office.edges(key, office.desk.doors[1]) == INSIDE_ONLY


async def test_issued_anew_while_a_change_is_pending(office: Office) -> None:
    """A new PIN opens in the window that was asked for last."""
    key = await office.issue()
    longer = KeyChange(ends_at=key.record.window.ends_at + HOUR)
    broken(office, "PATCH")
    await outcome_of(office.manager.change(key.record.key_id, longer, RECEPTION))
    mended(office)
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    assert new.record.window.ends_at == longer.ends_at
    assert office.edges(new) == INSIDE_ONLY


async def test_revoked_while_it_is_pending(office: Office) -> None:
    """A key that was never issued to its end is revoked, and nothing of it comes up later."""
    broken(office, "PUT")
    err = await outcome_of(office.issue(booking="b1"))
    assert isinstance(err, KeyPendingError)
    mended(office)
    assert (await office.manager.revoke(err.key_id, RECEPTION)).status is KeyStatus.REMOVING
    await office.passes(2 * A_MOMENT)
    assert office.record(err.key_id).status is KeyStatus.REVOKED
    assert office.told() == ["key_revoked"]
    await office.assert_agreed()


async def test_the_window_ends_while_salto_is_down(office: Office) -> None:
    """The end of a window waits for Salto, is tried each minute or so, and comes."""
    key = await office.issue()
    broken(office)
    await office.comes(key.record.window.ends_at)
    assert office.record(key).status is KeyStatus.REMOVING
    await office.passes(HOUR, every=MINUTE)
    mended(office)
    await office.passes(2 * MINUTE)
    assert office.marked() == set()
    await office.passes(A_MOMENT)
    assert office.told(key)[1:] == ["key_changed removing", "key_revoked"]


@pytest.mark.parametrize("name", ["change", "suspend", "rotate", "reissue"])
async def test_the_window_ends_while_something_is_pending(office: Office, name: str) -> None:
    """Whatever else still waits for Salto, a key whose window is over is taken back."""
    key = await office.issue()
    broken(office)
    assert isinstance(await outcome_of(ACTS[name](office, key)), KeyPendingError)
    office.is_active = False
    await office.comes(office.ledger.intents[key.record.key_id].record.window.ends_at)
    mended(office)
    await office.passes(2 * A_MOMENT)
    assert office.record(key).status is KeyStatus.REVOKED
    await office.assert_agreed()


async def test_a_pending_booking_that_is_over(office: Office) -> None:
    """A key that could not be issued until its window was over is told as failed."""
    broken(office)
    err = await outcome_of(office.issue(booking="b1"))
    assert isinstance(err, KeyPendingError)
    await office.comes(office.manager.keys()[0].window.ends_at)
    mended(office)
    await office.passes(2 * A_MOMENT)
    record = office.record(err.key_id)
    assert (record.status, record.errors) == (KeyStatus.FAILED, {KeyProblem.WINDOW_OVER})
    assert office.told() == ["key_failed window_over"]


async def test_a_site_that_is_switched_off_meanwhile(office: Office) -> None:
    """What would give access waits while the site is inactive, and goes on afterwards."""
    broken(office)
    err = await outcome_of(office.issue(booking="b1"))
    assert isinstance(err, KeyPendingError)
    mended(office)
    office.is_active = False
    await office.passes(10 * MINUTE)
    assert office.marked() == set()
    assert refused(await outcome_of(office.issue(booking="b1"))) is KeyRefusal.SITE_INACTIVE
    office.is_active = True
    await office.passes(2 * MINUTE)
    assert office.record(err.key_id).status is KeyStatus.SET


async def test_tried_again_sooner_before_an_arrival(office: Office) -> None:
    """Long before its window a key is tried less and less often, shortly before each minute."""
    broken(office)
    start = office.desk.sim.clock.now() + DAY
    await outcome_of(office.issue(booking="b1", starts_at=start))
    fault = office.desk.sim.faults.pending[0]

    async def tries(lasts: timedelta) -> int:
        before = office.desk.sim.faults.hits(fault)
        await office.passes(lasts)
        return office.desk.sim.faults.hits(fault) - before

    await office.passes(HOUR)
    calm = await tries(HOUR)
    office.desk.sim.clock.set(start - HOUR)
    urgent = await tries(HOUR)
    assert 0 < calm < urgent / 3


async def test_refused_login(office: Office) -> None:
    """A refused login asks for credentials; the booking waits, and goes on when they are renewed."""
    sim = office.desk.sim
    password = sim.account.password
    await office.issue()
    sim.account.password = "another"
    sim.revoke_tokens()
    err = await outcome_of(office.issue(booking="b1"))
    assert isinstance(err, SaltoKsAuthError)
    sim.account.password = password
    key = await office.issue(booking="b2")
    sim.account.password = "another"
    sim.revoke_tokens()
    err = await outcome_of(rotate(office, key))
    assert isinstance(err, KeyPendingError)
    assert office.logins_refused == 1
    sim.account.password = password
    await office.passes(2 * MINUTE)
    assert office.told(key) == ["key_issued", "key_changed pin"]


async def test_the_token_ends_in_the_middle(hass: HomeAssistant, socket_enabled: None) -> None:
    """With tokens that last a minute keys are issued and ended all the same."""
    async with office_of(hass, Quirks(token_lifetime_s=60)) as office:
        key = await office.issue(*office.desk.doors)
        office.desk.sim.revoke_tokens()
        await change(office, key)
        assert office.edges(key, office.desk.doors[1]) == INSIDE_ONLY
        assert office.desk.sim.journal.count("POST", "/connect/token") > 2
        await office.assert_agreed()


# How fast


async def test_the_most_urgent_first(hass: HomeAssistant, socket_enabled: None) -> None:
    """Of many keys those that are needed first are issued first, and removals before all."""
    gate = asyncio.Event()

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method == "POST" and request.path.endswith("/access_groups"):
            await gate.wait()
        return await handler(request)

    async with office_of(hass, around=around) as office:
        gate.set()
        free_seats(office, 1000)
        old = [await office.issue(booking=f"old{n}") for n in range(2)]
        gate.clear()
        await ask_for_many(office, old, gate)


async def ask_for_many(office: Office, old: list[HandedOut], gate: asyncio.Event) -> None:
    """Ask for more than can be done at once, and see in which order it is done."""
    now = office.desk.sim.clock.now().replace(second=0, microsecond=0)
    start = len(office.desk.sim.journal.entries)
    asked = [
        asyncio.create_task(office.issue(booking=f"f{n}", starts_at=now + HOUR))
        for n in range(AT_ONCE)
    ]
    await until(lambda: len(office.ledger.intents) == AT_ONCE)
    days = [*range(40, 20, -1), 5, 2, 9, 1]
    before = len(office.desk.sim.journal.entries)
    asked += [
        asyncio.create_task(office.issue(booking=f"d{day}", starts_at=now + day * DAY))
        for day in days
    ]
    await until(lambda: len(office.desk.sim.journal.entries) == before + 2 * len(days))
    asked += [asyncio.create_task(revoke(office, key)) for key in old]
    await asyncio.sleep(0.1)
    gate.set()
    await asyncio.gather(*asked)
    entries = office.desk.sim.journal.entries[start:]
    begun = [
        entry.body["customer_reference"]
        for entry in entries
        if entry.method == "POST" and entry.route.endswith("/access_groups")
    ]
    keys = office.manager.keys()
    names = {group_name(record.key_id, 1): record.booking_id for record in keys}
    order = [names[name] for name in begun]
    assert order[AT_ONCE:] == [f"d{day}" for day in sorted(days)]
    sent = [(entry.method, entry.route.rpartition("/")[2]) for entry in entries]
    created = [index for index, one in enumerate(sent) if one == ("POST", "access_groups")]
    assert sent.index(("DELETE", "{user}")) < created[AT_ONCE + 3]


async def test_writes_a_minute(hass: HomeAssistant, socket_enabled: None) -> None:
    """However much is asked for, no minute has more writes than was chosen."""
    async with office_of(hass, per_minute=20) as office:
        for number in range(8):
            await office.issue(booking=f"b{number}")
        writes = [
            entry.at
            for entry in office.desk.sim.journal.entries
            if entry.method != "GET" and entry.route != "/connect/token"
        ]
        assert len(writes) > 50
        for moment in writes:
            minute = [at for at in writes if moment <= at < moment + timedelta(seconds=59)]
            assert len(minute) <= 20
        await office.assert_agreed()


async def test_a_storm_of_429(office: Office) -> None:
    """While Salto says that it is too much nobody asks anything, and no key is lost for it."""
    office.desk.sim.faults.add(
        Fault(route="/v1.2/", status=429, headers={"Retry-After": "30"}, count=3, after=5)
    )
    keys = await asyncio.gather(*(office.issue(booking=f"b{n}") for n in range(3)))
    assert 30.0 in [round(pause) for pause in office.desk.time.pauses]
    for key in keys:
        assert office.edges(key) == INSIDE_ONLY
    asked = [(entry.at, entry.status) for entry in office.desk.sim.journal.entries]
    first = next(at for at, status in asked if status == 429)
    quiet = [at for at, _ in asked if first + timedelta(seconds=1) < at]
    assert min(quiet) >= first + timedelta(seconds=29)
    await office.assert_agreed()


# Salto says no


@pytest.mark.parametrize(
    ("route", "fault", "problem"),
    [
        ("/guests", {"status": 400, "body": REFUSAL}, KeyProblem.REFUSED),
        ("/access_groups", {"status": 403, "body": NO_RIGHT}, KeyProblem.FORBIDDEN),
        ("/pin", {"status": 400, "body": REFUSAL}, KeyProblem.REFUSED),
        ("time_schedules", {"status": 400, "body": REFUSAL}, KeyProblem.REFUSED),
    ],
)
async def test_refused_for_good(
    office: Office, route: str, fault: dict[str, Any], problem: KeyProblem
) -> None:
    """What Salto refuses for good says so at once, leaves nothing, and is not tried again."""
    broken(office, route=route, **fault)
    err = await outcome_of(office.issue(booking="b1"))
    assert isinstance(err, KeyFailedError)
    assert err.problem is problem
    mended(office)
    calls = len(office.desk.sim.journal.entries)
    await office.passes(HOUR, every=MINUTE)
    assert len(office.desk.sim.journal.entries) == calls
    (record,) = office.manager.keys()
    assert (record.status, record.errors) == (KeyStatus.FAILED, {problem})
    assert office.told() == [f"key_failed {problem}"]
    assert office.marked() == set()
    new = await office.issue(booking="b1")
    assert new.record.key_id != record.key_id
    await office.assert_agreed()


async def test_refused_and_not_all_taken_back(office: Office) -> None:
    """What could not be taken back of a refused key is removed when that works."""
    broken(office, "PUT", status=400, body=REFUSAL)
    broken(office, "DELETE")
    assert isinstance(await outcome_of(office.issue(booking="b1")), KeyFailedError)
    assert office.marked() != set()
    mended(office)
    await office.passes(2 * A_MOMENT)
    assert office.told() == ["key_failed refused"]
    assert office.manager.keys()[0].status is KeyStatus.FAILED
    await office.assert_agreed()


async def test_refused_when_it_is_tried_again(office: Office) -> None:
    """A pending booking that Salto refuses in the end is told as failed, and leaves nothing."""
    broken(office)
    assert isinstance(await outcome_of(office.issue(booking="b1")), KeyPendingError)
    mended(office)
    broken(office, "POST", "/guests", status=403, body=NO_RIGHT)
    await office.passes(2 * A_MOMENT)
    assert office.manager.keys()[0].errors == {KeyProblem.FORBIDDEN}
    assert office.told() == ["key_failed forbidden"]
    await office.assert_agreed()


async def test_a_change_that_is_refused_halfway(office: Office) -> None:
    """A change that is refused in the middle is undone: the key opens as before, and says why."""
    key = await office.issue()
    broken(office, "PATCH", "time_schedules", status=400, body=REFUSAL, count=1)
    assert isinstance(await outcome_of(change(office, key)), KeyFailedError)
    record = office.record(key)
    assert (record.status, record.errors) == (KeyStatus.SET, {KeyProblem.REFUSED})
    assert (record.window, record.doors) == (key.record.window, key.record.doors)
    assert office.edges(key) == INSIDE_ONLY
    assert not office.opens(key, office.desk.doors[1], key.record.window.starts_at)
    assert office.told(key)[1:] == ["key_failed refused"]
    await office.assert_agreed()


async def test_a_change_that_cannot_be_undone(office: Office) -> None:
    """A key of which nobody knows how far it was changed is `unknown`, and the next change mends it."""
    key = await office.issue()
    broken(office, "PATCH", "time_schedules", status=400, body=REFUSAL)
    assert isinstance(await outcome_of(change(office, key)), KeyFailedError)
    assert office.record(key).status is KeyStatus.UNKNOWN
    await resume(office, key)
    assert office.record(key).status is KeyStatus.UNKNOWN
    mended(office)
    window = key.record.window
    as_it_was = KeyChange(starts_at=window.starts_at, doors=key.record.doors)
    back = await office.manager.change(key.record.key_id, as_it_was, RECEPTION)
    assert (back.status, back.errors) == (KeyStatus.SET, frozenset())
    assert office.edges(key) == INSIDE_ONLY
    assert not office.opens(key, office.desk.doors[1], window.starts_at)


async def test_a_key_of_unknown_state_ends(office: Office) -> None:
    """A key that nobody knows all about is taken back when its window is over."""
    key = await office.issue()
    broken(office, "PATCH", "time_schedules", status=400, body=REFUSAL)
    await outcome_of(change(office, key))
    mended(office)
    await office.comes(key.record.window.ends_at)
    await office.passes(A_MOMENT)
    assert office.record(key).status is KeyStatus.REVOKED
    await office.assert_agreed()


async def test_a_pin_that_is_lost(office: Office) -> None:
    """A rotation that is refused after an answer was lost leaves no PIN, which stays said."""
    key = await office.issue()
    office.desk.sim.faults.add(Fault(method="PUT", route="/pin", status=502, commit=True))
    broken(office, "PUT", status=403, body=NO_RIGHT)
    err = await outcome_of(rotate(office, key))
    assert isinstance(err, KeyFailedError)
    assert err.problem is KeyProblem.PIN_LOST
    mended(office)
    err = await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION))
    assert refused(err) is KeyRefusal.PIN_NOT_THERE
    await suspend(office, key)
    await resume(office, key)
    assert office.record(key).errors == {KeyProblem.PIN_LOST}
    new = await office.manager.rotate(key.record.key_id, RECEPTION)
    assert office.record(key).errors == frozenset()
    assert office.edges(new) == INSIDE_ONLY


async def test_a_pin_that_is_lost_before_it_is_tried_again(office: Office) -> None:
    """The PIN that was there before may be dead, so it is not given away as the one that counts."""
    key = await office.issue()
    broken(office, "PUT", "/pin", status=502, commit=True)
    assert isinstance(await outcome_of(rotate(office, key)), KeyPendingError)
    assert office.edges(key) == (False,) * 4
    mended(office)
    broken(office, "PUT", "/pin", status=403, body=NO_RIGHT)
    await office.passes(2 * MINUTE)
    assert office.ledger.intents == {}
    assert office.told(key)[-1] == "key_failed pin_lost"
    assert office.record(key).errors == {KeyProblem.PIN_LOST}
    mended(office)
    err = await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION))
    assert refused(err) is KeyRefusal.PIN_NOT_THERE
    new = await office.manager.rotate(key.record.key_id, RECEPTION)
    assert office.edges(new) == INSIDE_ONLY
    assert office.record(key).errors == frozenset()


async def test_a_refused_removal_is_tried_hourly(office: Office) -> None:
    """A window that is over and a removal that Salto refuses: told, and tried again each hour."""
    key = await office.issue()
    broken(office, "DELETE", status=403, body=NO_RIGHT)
    await office.comes(key.record.window.ends_at)
    assert office.record(key).errors == {KeyProblem.FORBIDDEN}
    fault = office.desk.sim.faults.pending[0]
    before = office.desk.sim.faults.hits(fault)
    await office.passes(58 * MINUTE, every=MINUTE)
    assert office.desk.sim.faults.hits(fault) == before
    mended(office)
    await office.passes(10 * MINUTE)
    assert office.record(key).status is KeyStatus.REVOKED
    assert office.told(key)[1:] == [
        "key_failed forbidden",
        "key_changed removing",
        "key_revoked",
    ]


@pytest.mark.parametrize("name", ["suspend", "resume"])
@pytest.mark.parametrize("undone", [True, False])
async def test_a_switch_that_is_refused_after_it_happened(
    office: Office, name: str, *, undone: bool
) -> None:
    """A refusal after Salto has done it is undone; where that fails nobody knows, and it is said."""
    key = await office.issue()
    if name == "resume":
        await suspend(office, key)
    before = office.record(key).status
    lost = Fault(method="PATCH", route="/subscription", status=502, commit=True)
    office.desk.sim.faults.add(lost)
    broken(
        office,
        "PATCH",
        "/subscription",
        status=400,
        body=REFUSAL,
        count=1 if undone else None,
    )
    err = await outcome_of({"suspend": suspend, "resume": resume}[name](office, key))
    assert isinstance(err, KeyFailedError)
    mended(office)
    record = office.record(key)
    assert record.status is (before if undone else KeyStatus.UNKNOWN)
    assert record.errors == {KeyProblem.REFUSED}
    if undone:
        assert office.opens(key, at=record.window.starts_at) is (before is KeyStatus.SET)


async def test_a_removal_that_is_refused_halfway(office: Office) -> None:
    """Of a key of which some is gone and some was refused nobody knows; it can be revoked again."""
    key = await office.issue()
    broken(office, "DELETE", "/access_groups", status=400, body=REFUSAL)
    assert isinstance(await outcome_of(revoke(office, key)), KeyFailedError)
    record = office.record(key)
    assert (record.status, record.errors) == (KeyStatus.UNKNOWN, {KeyProblem.REFUSED})
    assert not office.opens(key, at=record.window.starts_at)
    mended(office)
    assert isinstance(await outcome_of(suspend(office, key)), KeyFailedError)
    assert office.record(key).status is KeyStatus.UNKNOWN
    await revoke(office, key)
    await office.passes(A_MOMENT)
    assert office.record(key).status is KeyStatus.REVOKED
    await office.assert_agreed()


@pytest.mark.parametrize("restarted", [True, False])
async def test_a_removal_by_hand_that_is_refused_is_tried_hourly(
    office: Office, *, restarted: bool
) -> None:
    """Taken back means taken back: long before the end of the window, also over a start.

    Until that works it opens nothing.
    """
    key = await office.issue(lasts=2 * DAY)
    broken(office, "DELETE", status=403, body=NO_RIGHT)
    assert isinstance(await outcome_of(revoke(office, key)), KeyFailedError)
    assert office.record(key).warnings == {KeyWarning.NOT_REMOVED}
    fault = office.desk.sim.faults.pending[0]
    before = office.desk.sim.faults.hits(fault)
    await office.passes(58 * MINUTE, every=MINUTE)
    assert office.desk.sim.faults.hits(fault) == before
    await office.passes(10 * MINUTE)
    assert office.desk.sim.faults.hits(fault) > before
    assert office.edges(key) == (False,) * 4
    mended(office)
    if restarted:
        await office.restart()
    await office.passes(2 * HOUR, every=MINUTE)
    record = office.record(key)
    assert (record.status, record.warnings) == (KeyStatus.REVOKED, frozenset())
    assert record.by_hand
    assert office.told(key)[1:] == [
        "key_failed forbidden",
        "key_changed removing",
        "key_revoked",
    ]
    assert await office.actions(key) == [
        "issue: done",
        "revoke: failed: forbidden",
        "revoke: failed: forbidden",
        "revoke: done",
        "revoked: no door knows it any more",
    ]


async def test_a_removal_that_is_refused_each_time(office: Office) -> None:
    """It is tried less and less often, once a day in the end, and from an hour on once it worked."""
    key = await office.issue(lasts=9 * DAY)
    broken(office, "DELETE", "/users", status=403, body=NO_RIGHT)
    assert isinstance(await outcome_of(revoke(office, key)), KeyFailedError)
    fault = office.desk.sim.faults.pending[0]

    async def waits() -> timedelta:
        before, since = office.desk.sim.faults.hits(fault), office.desk.sim.clock.now()
        while office.desk.sim.faults.hits(fault) == before:
            office.desk.sim.clock.advance(600)
            await office.tick()
        return office.desk.sim.clock.now() - since

    hours = [round((await waits()) / HOUR) for _ in range(7)]
    assert hours == [1, 2, 4, 8, 16, 24, 24]
    await office.restart()
    await office.tick()
    assert round((await waits()) / HOUR) == 1


@pytest.mark.parametrize("by_hand", [True, False])
async def test_a_refused_removal_that_is_asked_for_once_more(
    office: Office, *, by_hand: bool
) -> None:
    """What a person has taken back stays so, whoever comes to it afterwards."""
    key = await office.issue(booking="b1", lasts=2 * DAY)
    broken(office, "DELETE", status=403, body=NO_RIGHT)
    by = RECEPTION if by_hand else BY_ITSELF
    assert isinstance(
        await outcome_of(office.manager.revoke(key.record.key_id, by)), KeyFailedError
    )
    again = office.manager.revoke(key.record.key_id, BY_ITSELF)
    assert isinstance(await outcome_of(again), KeyFailedError)
    assert office.record(key).by_hand is by_hand
    mended(office)
    await office.manager.revoke(key.record.key_id, BY_ITSELF)
    assert office.record(key).by_hand is by_hand


async def test_a_refused_removal_whose_booking_comes_back(office: Office) -> None:
    """The key is made whole again and keeps its PIN, at the latest when that is not refused."""
    key = await office.issue(booking="b1", lasts=2 * DAY)
    broken(office, "DELETE", "/users", status=403, body=NO_RIGHT)
    revoked = office.manager.revoke(key.record.key_id, BY_ITSELF)
    assert isinstance(await outcome_of(revoked), KeyFailedError)
    broken(office, "POST", status=403, body=NO_RIGHT)
    as_it_was = KeyChange(ends_at=key.record.window.ends_at, doors=key.record.doors)
    back = partial(office.manager.change, key.record.key_id, as_it_was, BY_ITSELF)
    assert isinstance(await outcome_of(back()), KeyFailedError)
    await office.passes(58 * MINUTE, every=MINUTE)
    assert office.record(key).warnings == {KeyWarning.NOT_REMOVED}
    mended(office)
    record = await back()
    assert (record.status, record.warnings) == (KeyStatus.SET, frozenset())
    await office.passes(3 * HOUR, every=MINUTE)
    assert office.edges(key) == INSIDE_ONLY


async def test_a_suspended_key_whose_refused_removal_is_taken_back(office: Office) -> None:
    """It gets its seat back with all else that is gone of it, and keeps its PIN."""
    key = await office.issue(booking="b1", lasts=2 * DAY)
    await suspend(office, key)
    broken(office, "DELETE", "/users", status=403, body=NO_RIGHT)
    revoked = office.manager.revoke(key.record.key_id, BY_ITSELF)
    assert isinstance(await outcome_of(revoked), KeyFailedError)
    mended(office)
    later = KeyChange(ends_at=key.record.window.ends_at + HOUR)
    record = await office.manager.change(key.record.key_id, later, BY_ITSELF)
    assert (record.status, record.errors, record.warnings) == (
        KeyStatus.SET,
        frozenset(),
        frozenset(),
    )
    assert office.edges(key) == INSIDE_ONLY
    await office.assert_agreed()


async def test_a_refused_removal_that_is_thought_better_of(office: Office) -> None:
    """A key that somebody makes anew after its removal was refused is kept."""
    key = await office.issue(lasts=2 * DAY)
    broken(office, "DELETE", "/users", status=400, body=REFUSAL)
    assert isinstance(await outcome_of(revoke(office, key)), KeyFailedError)
    mended(office)
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    await office.passes(2 * HOUR, every=MINUTE)
    assert (office.record(new).status, office.record(new).warnings) == (KeyStatus.SET, frozenset())


async def test_a_suspended_key_of_unknown_state_is_mended_by_a_new_one(office: Office) -> None:
    """A key of which nobody knows all is as good as new once it is issued anew."""
    key = await office.issue()
    broken(office, "DELETE", "/users", status=400, body=REFUSAL)
    assert isinstance(await outcome_of(revoke(office, key)), KeyFailedError)
    mended(office)
    await suspend(office, key)
    record = office.record(key)
    assert (record.status, record.errors) == (KeyStatus.UNKNOWN, {KeyProblem.REFUSED})
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    assert (new.record.status, new.record.errors) == (KeyStatus.SET, frozenset())
    assert office.edges(new) == INSIDE_ONLY
    await office.assert_agreed()


async def test_a_seat_that_an_interrupted_attempt_took(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """The last seat is with a guest that no list shows yet: the booking waits, and gets its key."""
    async with office_of(hass, Quirks(creation_lag_s=0.0, listing_lag_s=280.0)) as office:
        free_seats(office, 1)
        office.desk.sim.faults.add(Fault(method="POST", route="/guests", status=503, commit=True))
        broken(office, "GET", "/users", after=1)
        broken(office, "DELETE")
        err = await outcome_of(office.issue(booking="b1"))
        assert isinstance(err, KeyPendingError)
        mended(office)
        await office.tick()
        assert office.record(err.key_id).status is KeyStatus.SETTING
        await office.passes(4 * A_MOMENT)
        key = await office.issue(booking="b1")
        assert key.record.key_id == err.key_id
        assert office.edges(key) == INSIDE_ONLY
        await office.passes(2 * A_MOMENT)
        await office.assert_agreed()


async def test_no_seat_that_comes_back(hass: HomeAssistant, socket_enabled: None) -> None:
    """A pending booking without a seat is told as failed once it is sure that nobody of ours has it."""
    async with office_of(hass) as office:
        broken(office, "POST", "/guests")
        err = await outcome_of(office.issue(booking="b1"))
        assert isinstance(err, KeyPendingError)
        mended(office)
        free_seats(office, 0)
        await office.passes(2 * MINUTE)
        assert office.record(err.key_id).status is KeyStatus.SETTING
        again = await outcome_of(office.issue(booking="b1"))
        assert isinstance(again, KeyFailedError)
        await office.passes(4 * A_MOMENT)
        record = office.record(err.key_id)
        assert (record.status, record.errors) == (
            KeyStatus.FAILED,
            {KeyProblem.SEAT_UNAVAILABLE},
        )
        assert office.told() == ["key_failed seat_unavailable"]


async def test_asked_again_for_other_doors_that_are_refused(office: Office) -> None:
    """Where a pending change to other doors is refused, whoever asks for those gets a key of them."""
    key = await office.issue(booking="b1")
    doors = frozenset(office.desk.doors[1:2])
    broken(office, "PATCH", "/locks", count=5)
    err = await outcome_of(
        office.manager.change(key.record.key_id, KeyChange(doors=doors), RECEPTION)
    )
    assert isinstance(err, KeyPendingError)
    mended(office)
    broken(office, "PATCH", "/locks", status=400, body=REFUSAL, count=2)
    new = await office.issue(*doors, booking="b1")
    assert new.record.key_id != key.record.key_id
    assert office.edges(new, *doors) == INSIDE_ONLY
    assert office.edges(key) == INSIDE_ONLY


async def test_too_late_to_issue_anew(office: Office) -> None:
    """A key whose window is over is not issued anew."""
    key = await office.issue()
    office.desk.sim.clock.set(key.record.window.ends_at)
    assert refused(await outcome_of(reissue(office, key))) is KeyRefusal.WINDOW_OVER


# The disk


@pytest.mark.parametrize("booking", ["b1", None])
async def test_no_room_to_begin(office: Office, booking: str | None) -> None:
    """Where the intent cannot be written nothing is begun at Salto, and that is said."""
    with no_room():
        assert isinstance(await outcome_of(office.issue(booking=booking)), StorageError)
    assert (office.manager.keys(), office.marked(), office.told()) == ((), set(), [])
    await office.issue(booking=booking)
    await office.assert_agreed()


class Disk:
    """Fills up when a request comes in, and is emptied by hand."""

    def __init__(self) -> None:
        """Have room."""
        self.full_at: tuple[str, str] | None = None
        self._filled = ExitStack()

    @web.middleware
    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Fill the disk before a request is answered."""
        if self.full_at is not None:
            method, route = self.full_at
            if request.method == method and route in request.path:
                self.full_at = None
                self._filled.enter_context(no_room())
        return await handler(request)

    def make_room(self) -> None:
        """Make room again."""
        self.full_at = None
        self._filled.close()


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Return a disk that can be filled."""
    disk = Disk()
    yield disk
    disk.make_room()


@pytest.mark.parametrize("booking", ["b1", None])
async def test_no_room_for_the_result(
    hass: HomeAssistant, socket_enabled: None, disk: Disk, booking: str | None
) -> None:
    """A key whose result is in memory only is told as not written; once it is on disk, as issued.

    Until then nothing more is done at Salto, and its PIN stays what it is.
    """
    async with office_of(hass, around=disk.around) as office:
        disk.full_at = ("PUT", "/pin")
        assert isinstance(await outcome_of(office.issue(booking=booking)), StorageError)
        (record,) = office.manager.keys()
        assert office.told() == []
        calls = len(office.desk.sim.journal.entries)
        await office.passes(10 * MINUTE)
        assert len(office.desk.sim.journal.entries) == calls
        assert office.told() == []
        err = await outcome_of(office.manager.reveal(record.key_id, RECEPTION))
        assert isinstance(err, StorageError)
        disk.make_room()
        await office.tick()
        assert len(office.desk.sim.journal.entries) == calls
        assert office.told() == ["key_issued"]
        key = await office.manager.reveal(record.key_id, RECEPTION)
        assert office.edges(key) == INSIDE_ONLY
        assert office.manager.diagnostics()["waiting_to_try_again"] == 0
        await office.assert_agreed()


async def test_room_just_in_time(hass: HomeAssistant, socket_enabled: None, disk: Disk) -> None:
    """What waits for the disk is written by whoever asks next, and told in its order."""
    async with office_of(hass, around=disk.around) as office:
        disk.full_at = ("PUT", "/pin")
        request = office.request(booking="b1")
        err = await outcome_of(office.manager.issue(request, RECEPTION))
        assert isinstance(err, StorageError)
        disk.make_room()
        key = await office.manager.issue(request, RECEPTION)
        await suspend(office, key)
        assert office.told() == ["key_issued", "key_changed suspended"]


@pytest.mark.parametrize(
    ("name", "at"),
    [
        ("change", ("PATCH", "/time_schedules")),
        ("suspend", ("PATCH", "/subscription")),
        ("rotate", ("PUT", "/pin")),
        ("reissue", ("PUT", "/pin")),
        ("revoke", ("DELETE", "/users")),
    ],
)
async def test_no_room_for_a_step(
    hass: HomeAssistant, socket_enabled: None, disk: Disk, name: str, at: tuple[str, str]
) -> None:
    """A step that Salto has taken and the disk has not is told later, and not taken twice."""
    async with office_of(hass, around=disk.around) as office:
        key = await office.issue(starts_at=office.desk.sim.clock.now() + DAY)
        disk.full_at = at
        assert isinstance(await outcome_of(ACTS[name](office, key)), StorageError)
        calls = len(office.desk.sim.journal.entries)
        await office.passes(2 * MINUTE)
        assert office.told() == ["key_issued"]
        disk.make_room()
        await office.tick()
        assert len(office.desk.sim.journal.entries) == calls
        assert len(office.told()) == 2
        assert office.ledger.intents == {}
        await office.passes(2 * A_MOMENT)
        await office.assert_agreed()


async def test_a_failure_that_is_not_on_disk(
    hass: HomeAssistant, socket_enabled: None, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure that cannot be written is the caller's all the same, and told once it is."""
    async with office_of(hass, around=disk.around) as office:
        office.desk.sim.faults.add(Fault(method="PUT", route="/pin", status=400, body=REFUSAL))
        disk.full_at = ("POST", "/users")
        err = await outcome_of(office.issue(booking="b1"))
        assert isinstance(err, KeyFailedError)
        assert "is not on disk" in caplog.text
        disk.make_room()
        await office.tick()
        assert office.told() == ["key_failed refused"]
        await office.assert_agreed()


async def test_a_refusal_that_is_not_on_disk(
    hass: HomeAssistant, socket_enabled: None, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused step that cannot be written is the caller's all the same, and told once it is."""
    async with office_of(hass, around=disk.around) as office:
        key = await office.issue()
        office.desk.sim.set("site", office.desk.site_id, pin_enabled=False)
        disk.full_at = ("PUT", "/pin")
        assert isinstance(await outcome_of(rotate(office, key)), KeyFailedError)
        assert "is not on disk" in caplog.text
        assert office.told(key)[1:] == []
        disk.make_room()
        await office.tick()
        assert office.told(key)[1:] == ["key_failed forbidden"]


async def test_a_revocation_that_nobody_is_told_of(
    hass: HomeAssistant, socket_enabled: None, disk: Disk
) -> None:
    """What is left of a key that was given up goes on a full disk too, and is told once only."""
    async with office_of(hass, around=disk.around) as office:
        broken(office, "PUT")
        assert isinstance(await outcome_of(office.issue()), KeyGivenUpError)
        mended(office)
        await office.passes(A_MOMENT - MINUTE)
        disk.full_at = ("GET", "/access_groups")
        await office.passes(2 * A_MOMENT)
        disk.make_room()
        await office.passes(MINUTE)
        assert office.told() == ["key_failed unreachable"]
        assert office.ledger.intents == {}


async def test_given_up_without_an_audit_log(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """A failure that the audit log cannot take is told all the same."""
    await office.issue()
    log = next(folder_of(office.hass, office.desk.site_id).glob("audit.*"))
    log.unlink()
    log.mkdir()
    broken(office, "PUT")
    assert isinstance(await outcome_of(office.issue()), KeyGivenUpError)
    assert office.told()[-1] == "key_failed unreachable"
    assert "not in the audit log" in caplog.text


async def test_a_forgotten_pin_on_a_full_disk(
    hass: HomeAssistant, socket_enabled: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A PIN comes to whoever asked though the disk cannot forget it yet."""
    async with office_of(hass) as office:
        await office.issue(booking="b1")
        office.manager._rules = KeyRules(forget_pins=True)
        with no_room():
            key = await office.issue(booking="b1")
        assert office.edges(key) == INSIDE_ONLY
        assert "is forgotten later" in caplog.text
        await office.tick()
        assert office.record(key).sealed_pin is None


async def test_killed_before_there_was_room(
    hass: HomeAssistant, socket_enabled: None, disk: Disk
) -> None:
    """A key whose result never got to the disk is issued anew for its booking after a start."""
    async with office_of(hass, around=disk.around) as office:
        disk.full_at = ("PUT", "/pin")
        assert isinstance(await outcome_of(office.issue(booking="b1")), StorageError)
        disk.make_room()
        await office.restart()
        await office.passes(2 * A_MOMENT)
        key = await office.issue(booking="b1")
        assert office.edges(key) == INSIDE_ONLY
        await office.assert_agreed()


async def test_a_use_that_is_not_on_disk(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """A first use that cannot be written is logged, and harms nobody."""
    key = await office.issue()
    with no_room():
        await office.manager.note_use(office.person_of(key), office.desk.sim.clock.now())
    assert "not on disk" in caplog.text
    await office.tick()
    assert office.record(key).proven


async def test_quarantine(hass: HomeAssistant, socket_enabled: None) -> None:
    """With a damaged ledger nothing is begun and nothing done by itself; it is said why."""
    async with office_of(hass) as office:
        key = await office.issue(booking="b1")
        (folder_of(hass, office.desk.site_id) / "keys.0000").write_text("{")
        person = office.person_of(key)
        await office.restart()
        assert office.ledger.quarantine is not None
        calls = len(office.desk.sim.journal.entries)
        for work in (
            office.issue(),
            revoke(office, key),
            rotate(office, key),
            office.manager.reveal(key.record.key_id, RECEPTION),
            office.manager.reconcile(dry_run=False),
        ):
            assert refused(await outcome_of(work)) is KeyRefusal.LEDGER_CLOSED
        await office.comes(key.record.window.ends_at)
        await office.manager.note_use(person, key.record.window.ends_at)
        assert len(office.desk.sim.journal.entries) == calls
        assert office.manager.diagnostics()["ledger"]["quarantined"]


async def test_a_key_that_cannot_be_read(hass: HomeAssistant, socket_enabled: None) -> None:
    """A key whose record makes no sense is left alone, at Salto too; the others go on."""
    async with office_of(hass) as office:
        key, other = await office.issue(booking="b1"), await office.issue(booking="b2")
        broken(office)
        await outcome_of(rotate(office, key))
        await office.manager.close(0)
        path = folder_of(hass, office.desk.site_id) / "keys.0000"
        stored = json.loads(path.read_text())
        stored["data"]["keys"][str(number_of(key.record.key_id))] = "of a later version"
        path.write_text(json.dumps(stored))
        await office.restart()
        mended(office)
        calls = len(office.desk.sim.journal.entries)
        await office.passes(A_MOMENT)
        assert len(office.desk.sim.journal.entries) == calls
        for act in (rotate, suspend, revoke, reissue):
            assert refused(await outcome_of(act(office, key))) is KeyRefusal.LEDGER_CLOSED
        assert isinstance(await rotate(office, other), HandedOut)


async def test_pins_whose_key_is_gone(hass: HomeAssistant, socket_enabled: None) -> None:
    """Without the key of the PINs nothing new is begun, and keys still end by themselves."""
    async with office_of(hass) as office:
        key = await office.issue(booking="b1")
        path_of(hass, "salto_ks.pin_key").unlink()
        await office.restart()
        for work in (office.issue(booking="b2"), rotate(office, key)):
            assert refused(await outcome_of(work)) is KeyRefusal.LEDGER_CLOSED
        await office.comes(key.record.window.ends_at)
        await office.passes(A_MOMENT)
        assert office.record(key).status is KeyStatus.REVOKED


async def test_a_pin_that_was_sealed_with_another_key(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """A PIN that cannot be unsealed is told as such; rotated, the key has one again."""
    async with office_of(hass) as office:
        key = await office.issue(booking="b1")
        sealed = Fernet(Fernet.generate_key()).encrypt(b"123456").decode()
        await office.ledger.update(replace(key.record, sealed_pin=sealed))
        for work in (
            office.manager.reveal(key.record.key_id, RECEPTION),
            office.issue(booking="b1"),
        ):
            assert refused(await outcome_of(work)) is KeyRefusal.PIN_UNREADABLE
        new = await office.manager.rotate(key.record.key_id, RECEPTION)
        assert office.edges(new) == INSIDE_ONLY


# Who asked is gone


async def test_the_caller_is_cancelled(office: Office) -> None:
    """What was asked for goes on when the caller is gone."""
    asking = asyncio.create_task(office.issue(booking="b1"))
    await until(lambda: office.tasks)
    asking.cancel()
    await asyncio.wait({asking})
    await office.settled()
    key = await office.issue(booking="b1")
    assert office.told() == ["key_issued"]
    assert office.edges(key) == INSIDE_ONLY


async def test_a_forgotten_pin(hass: HomeAssistant, socket_enabled: None) -> None:
    """Where PINs are to be forgotten each is handed out once, and a caller who is gone loses none."""
    async with office_of(hass, rules=KeyRules(forget_pins=True)) as office:
        key = await office.issue(booking="b1")
        assert office.edges(key) == INSIDE_ONLY
        assert office.record(key).sealed_pin is None
        assert (await office.issue(booking="b1")).keypad_pin is None
        err = await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION))
        assert refused(err) is KeyRefusal.PIN_NOT_THERE
        new = await office.manager.rotate(key.record.key_id, RECEPTION)
        assert office.edges(new) == INSIDE_ONLY
        asking = asyncio.create_task(office.issue(booking="b2"))
        await until(lambda: office.tasks)
        asking.cancel()
        await asyncio.wait({asking})
        await office.settled()
        other = await office.issue(booking="b2")
        assert office.edges(other) == INSIDE_ONLY
        assert office.record(other).sealed_pin is None


async def test_closed_in_the_middle(hass: HomeAssistant, socket_enabled: None) -> None:
    """What is cut off is taken up by the next start; nobody is left waiting."""
    async with office_of(hass) as office:
        slow = Fault(method="POST", route="/guests", latency=5, count=1)
        office.desk.sim.faults.add(slow)
        asking = asyncio.create_task(outcome_of(office.issue(booking="b1")))
        await until(lambda: office.desk.sim.faults.hits(slow))
        await office.manager.close(0.05)
        assert refused(await asking) is KeyRefusal.UNLOADING
        assert refused(await outcome_of(office.issue(booking="b1"))) is KeyRefusal.UNLOADING
        await office.manager.tick()
        assert office.tasks == set()
        await office.open()
        await office.passes(2 * A_MOMENT)
        key = await office.issue(booking="b1")
        assert office.edges(key) == INSIDE_ONLY
        await office.assert_agreed()


async def test_closed_while_something_else_begins(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """A listing that work under way begins while it is waited for does not outlive the manager."""
    gate, listing = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.endswith("/subscription"):
            await gate.wait()
        if request.path.endswith("/access_groups"):
            listing.set()
            await asyncio.sleep(5)
        return await handler(request)

    async with office_of(hass, around=around) as office:
        asking = asyncio.create_task(outcome_of(office.issue(booking="b1")))
        await until(lambda: office.desk.sim.journal.count("GET", "/sites"))
        closing = asyncio.create_task(office.manager.close(0.3))
        await asyncio.sleep(0)
        gate.set()
        await closing
        assert listing.is_set()
        assert office.tasks == set()
        assert refused(await asking) is KeyRefusal.UNLOADING
        await office.open()


async def test_closed_while_it_ends(office: Office) -> None:
    """What ends within the grace is done, and who waits for a turn is sent away."""
    asking = [
        asyncio.create_task(outcome_of(office.issue(booking=f"b{n}"))) for n in range(3 * AT_ONCE)
    ]
    begun = AT_ONCE // 2  # All at once is a moment that a busy machine may miss.
    await until(lambda: len(office.ledger.intents) >= begun)
    await office.manager.close(30)
    outcomes = await asyncio.gather(*asking)
    done = [one for one in outcomes if isinstance(one, HandedOut)]
    away = [one for one in outcomes if not isinstance(one, HandedOut)]
    assert len(done) >= begun
    assert away
    assert {refused(err) for err in away} == {KeyRefusal.UNLOADING}
    assert office.ledger.intents == {}
    for key in done:
        assert office.opens(key, at=key.record.window.starts_at)


async def test_what_nobody_foresaw(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """An error that nobody foresaw is in the log, and nobody's keys suffer."""
    key = await office.issue()
    fine = office.desk.zone_of

    def odd(_: DoorId) -> str:
        raise LookupError("nobody foresaw this")

    office.desk.provider._zone_of = odd
    assert isinstance(await outcome_of(change(office, key)), LookupError)
    office.desk.provider._zone_of = fine
    await office.passes(2 * MINUTE)
    assert "has failed unexpectedly" in caplog.text
    assert office.record(key).doors == {office.desk.doors[1]}


async def test_no_pin_in_the_log(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong, no PIN is in a log, an error, the news or a description."""
    caplog.set_level(logging.DEBUG)
    pins: set[str] = set()
    shown: list[str] = []
    for booking in ("b1", "b2"):
        key = await office.issue(booking=booking, label="Family Jansen")
        for name in ("rotate", "change", "suspend", "reissue", "revoke"):
            office.desk.sim.faults.add(Fault(route="/v1.", method="PUT", after=1, status=500))
            outcome = await outcome_of(ACTS[name](office, key))
            pins |= {user.pin for user in office.desk.sim.world.users.values() if user.pin}
            shown += [repr(outcome), str(outcome)]
        shown += [repr(key), repr(office.manager.diagnostics()), repr(office.news)]
    shown += [caplog.text]
    for pin in pins:
        assert not any(pin in text for text in shown)
    assert not any("Jansen" in text for text in shown)
