"""Commands to doors: once each, one at a time for each IQ, never late, and never into a block."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.lock.const import LockState
from homeassistant.config_entries import SOURCE_REAUTH
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.salto_ks.api.models import LockCommand
from custom_components.salto_ks.domain.refusals import CommandRefusedError, Refusal
from simulator import Fault, Quirks, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .support import (
    DOMAIN,
    GATE,
    LAUNDRY,
    RECEPTION,
    door,
    entity_id,
    go_on,
    iq_named,
    iq_subentry_id,
    lock_named,
    opened,
    restarted,
    unlock,
)
from .watching import (
    LOCK,
    LOCKING,
    TOKEN,
    act,
    asked,
    commands,
    pass_by,
    running,
    shown,
    stand_still,
    state_of,
    until,
)

SECOND_DOOR = "Side door"
THIRD_DOOR = "Back door"
HOLD = timedelta(minutes=25)


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ; some tests ask for more."""
    return "full"


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


@pytest.fixture
def three_doors(sim: Simulator) -> None:
    """Hang two more doors on the IQ."""
    for name in (SECOND_DOOR, THIRD_DOOR):
        sim.add("lock", {"customer_reference": name})


# Once each


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (Fault(route=LOCKING, reset=True), "cannot_connect_opening"),
        (Fault(route=LOCKING, drop_after_commit=True), "cannot_connect_opening"),
        (Fault(route=LOCKING, status=500), "server_error_opening"),
        (Fault(route=LOCKING, status=503), "server_error_opening"),
        (Fault(route=LOCKING, status=504, commit=True), "server_error_opening"),
        (
            Fault(route=LOCKING, status=408, body={"ErrorCode": "1", "Message": "x"}),
            "server_error_opening",
        ),
    ],
    ids=["reset", "dropped", "500", "503", "504_done", "408"],
)
async def test_unknown_outcome_is_told_and_looked_into(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    fault: Fault,
    key: str,
) -> None:
    """Without an answer nothing is sent again, it is said that nobody knows, and the door is read."""
    await set_up(iqs=[RECEPTION])
    sim.journal.clear()
    sim.faults.add(fault)
    with shown(key) as raised:
        await unlock(hass, sim)
    assert "not known" in str(raised.error)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    was_opened = opened(sim)
    assert was_opened is (fault.drop_after_commit or fault.commit)
    await go_on(hass, freezer, 4)
    assert asked(sim) == [("PATCH", LOCKING), ("GET", LOCK)]
    assert state_of(hass, door(hass, sim)) == (
        LockState.UNLOCKED if was_opened else LockState.LOCKED
    )


async def test_silence_ends_after_half_a_minute(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A command that is never answered is given up after 30 seconds and not sent again."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=300))

    async def opening() -> None:
        with shown("cannot_connect_opening"):
            await unlock(hass, sim)

    with running(opening()) as task:
        await until(lambda: sim.faults.hits(fault) == 1)
        pass_by(freezer, 29)
        await stand_still()
        assert not task.done()
        assert state_of(hass, door(hass, sim)) == LockState.UNLOCKING
        pass_by(freezer, 2)
        await task
    await until(lambda: commands(sim) == 1)
    await go_on(hass, freezer, 600)
    assert sim.faults.hits(fault) == 1
    assert commands(sim) == 1
    assert not opened(sim)


async def test_refused_token_is_renewed_once(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A token that is refused in the middle is renewed, and the door opens once."""
    await set_up(iqs=[RECEPTION])
    sim.revoke_tokens()
    sim.journal.clear()
    await unlock(hass, sim)
    assert asked(sim) == [("PATCH", LOCKING), ("POST", TOKEN), ("PATCH", LOCKING)]
    assert [entry.status for entry in sim.journal.entries] == [401, 200, 200]
    assert opened(sim)


async def test_refused_new_token_may_pass_by_itself(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A new token that is refused too is the end, but other credentials are not asked for."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(Fault(route=LOCKING, status=401, count=None))
    sim.journal.clear()
    with shown("login_refused"):
        await unlock(hass, sim)
    assert asked(sim) == [("PATCH", LOCKING), ("POST", TOKEN), ("PATCH", LOCKING)]
    assert reauth_flows(hass) == 0
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_renewal_that_takes_too_long_opens_nothing(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Where a token is refused so late that the person has gone, the opening is not repeated."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, status=401, latency=6))

    async def refused() -> None:
        with shown("login_slow"):
            await unlock(hass, sim)

    with running(refused()) as opening:
        await until(lambda: sim.faults.hits(fault) == 1)
        pass_by(freezer, 6)
        await opening
    await go_on(hass, freezer, 120)
    assert commands(sim) == 1
    assert not opened(sim)


async def test_expired_token_is_renewed_unseen(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """After two quiet hours a command fetches a new token first and is refused by nobody."""
    await set_up(iqs=[RECEPTION])
    sim.journal.clear()
    freezer.tick(7200)
    await unlock(hass, sim)
    assert asked(sim) == [("POST", TOKEN), ("PATCH", LOCKING)]
    assert opened(sim)


async def test_changed_password_asks_for_new_credentials(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """With the password changed at Salto nothing is sent, and a form for it is opened."""
    await set_up(iqs=[RECEPTION])
    sim.account.password = "another one"
    freezer.tick(7200)
    with shown("auth_failed"):
        await unlock(hass, sim)
    assert commands(sim) == 0
    assert reauth_flows(hass) == 1


def reauth_flows(hass: HomeAssistant) -> int:
    """Count the open forms for new credentials."""
    flows = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    return sum(flow["context"]["source"] == SOURCE_REAUTH for flow in flows)


# One at a time


@pytest.mark.usefixtures("three_doors")
async def test_commands_to_one_iq_take_turns(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Of two openings on one IQ the second leaves when the first has its answer."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=3, count=None))
    with running(unlock(hass, sim)) as first, running(unlock(hass, sim, SECOND_DOOR)) as second:
        await until(lambda: sim.faults.hits(fault) == 1)
        await stand_still()
        assert sim.faults.hits(fault) == 1
        assert state_of(hass, door(hass, sim, SECOND_DOOR)) == LockState.UNLOCKING
        pass_by(freezer, 3)
        await first
        await until(lambda: sim.faults.hits(fault) == 2)
        assert opened(sim)
        assert not opened(sim, SECOND_DOOR)
        pass_by(freezer, 3)
        await second
    assert opened(sim, SECOND_DOOR)


@pytest.mark.parametrize("seed", ["campsite"])
async def test_commands_to_two_iqs_do_not_wait_for_each_other(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Two openings on two IQs are under way at the same time."""
    await set_up()
    fault = sim.faults.add(Fault(route=LOCKING, latency=3, count=None))
    with running(unlock(hass, sim)) as first, running(unlock(hass, sim, LAUNDRY)) as second:
        await until(lambda: sim.faults.hits(fault) == 2)
        pass_by(freezer, 3)
        await asyncio.gather(first, second)
    assert opened(sim)
    assert opened(sim, LAUNDRY)


@pytest.mark.usefixtures("three_doors")
async def test_command_that_waits_too_long_is_never_sent(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A third opening whose turn has not come after 5 seconds is refused, and stays refused."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=3, count=None))

    async def refused() -> None:
        with shown("iq_busy"):
            await unlock(hass, sim, THIRD_DOOR)

    with (
        running(unlock(hass, sim)) as first,
        running(unlock(hass, sim, SECOND_DOOR)) as second,
        running(refused()) as third,
    ):
        await until(lambda: sim.faults.hits(fault) == 1)
        pass_by(freezer, 3)
        await first
        await until(lambda: sim.faults.hits(fault) == 2)
        await stand_still()
        assert not third.done()
        pass_by(freezer, 2)
        await third
        assert state_of(hass, door(hass, sim, THIRD_DOOR)) == LockState.LOCKED
        pass_by(freezer, 1)
        await second
    sim.faults.clear()
    await go_on(hass, freezer, 600)
    assert commands(sim) == 2
    third_door = lock_named(sim, THIRD_DOOR).id
    assert all(entry.lock_id != third_door for entry in sim.world.entries)
    await unlock(hass, sim, THIRD_DOOR)
    assert opened(sim, THIRD_DOOR)


@pytest.mark.usefixtures("three_doors")
async def test_command_cancelled_while_it_waits_is_not_sent(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening that is called off before its turn is never sent; the IQ goes on to the next."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=3))
    with running(unlock(hass, sim)) as first, running(unlock(hass, sim, SECOND_DOOR)) as second:
        await until(lambda: sim.faults.hits(fault) == 1)
        second.cancel()
        await asyncio.wait([second])
        assert state_of(hass, door(hass, sim, SECOND_DOOR)) == LockState.LOCKED
        pass_by(freezer, 3)
        await first
    await go_on(hass, freezer, 75)
    assert commands(sim) == 1
    await unlock(hass, sim, SECOND_DOOR)
    assert commands(sim) == 2


async def test_command_cancelled_under_way_is_carried_out(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening that is called off under way happens, and what it did is looked into."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=3))
    with running(unlock(hass, sim)) as opening:
        await until(lambda: sim.faults.hits(fault) == 1)
        opening.cancel()
        await asyncio.wait([opening])
        assert opening.cancelled()
    pass_by(freezer, 3)
    await until(lambda: commands(sim) == 1)
    assert opened(sim)
    await until(lambda: state_of(hass, door(hass, sim)) == LockState.UNLOCKED)
    await go_on(hass, freezer, 30)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    await unlock(hass, sim)
    assert commands(sim) == 2


async def test_rejection_counts_though_nobody_waits_for_it(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    hass_storage: dict[str, Any],
) -> None:
    """The answer to an opening that was called off under way still counts for the next one."""
    await set_up(iqs=[RECEPTION])
    change_pin(sim)
    fault = sim.faults.add(Fault(route=LOCKING, latency=3))
    with running(unlock(hass, sim)) as opening:
        await until(lambda: sim.faults.hits(fault) == 1)
        opening.cancel()
        await asyncio.wait([opening])
    pass_by(freezer, 3)
    await until(lambda: kept(hass_storage)["rejections"] == 1)
    for _ in range(2):
        with shown("otp_rejected"):
            await unlock(hass, sim)
    with shown("otp_held"):
        await unlock(hass, sim)
    assert commands(sim) == 3


async def test_door_that_vanishes_under_way(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening whose door leaves the site while it is under way ends without an accident."""
    entry = await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, status=200, latency=3))
    with running(unlock(hass, sim)) as opening:
        await until(lambda: sim.faults.hits(fault) == 1)
        sim.remove("lock", lock_named(sim, GATE).id)
        for _ in range(2):
            await entry.runtime_data.doors.async_refresh()
        await stand_still()
        assert hass.states.async_all("lock") == []
        pass_by(freezer, 3)
        await opening
    await go_on(hass, freezer, 300)
    assert hass.states.async_all("lock") == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (None, Refusal.CODE_REQUIRED),
        ("", Refusal.CODE_REQUIRED),
        ("12345", Refusal.CODE_INVALID),
        ("1234\n", Refusal.CODE_INVALID),
        ("١٢٣٤", Refusal.CODE_INVALID),
    ],
)
async def test_code_is_looked_at_whoever_asks(
    sim: Simulator, set_up: SetUp, code: str | None, reason: Refusal
) -> None:
    """Below Home Assistant's own check the code is checked again, before anything is sent."""
    entry = await set_up(iqs=[RECEPTION], store_pin=False)
    doors = entry.runtime_data.doors.data
    (lock,) = doors.locks.values()
    with pytest.raises(CommandRefusedError) as caught:
        await entry.runtime_data.commands.send(lock, doors.iq_of(lock), LockCommand.OPEN, code)
    assert caught.value.reason is reason
    assert commands(sim) == 0


# The identity server


async def test_stalled_identity_server_delays_no_opening(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening that gets no token within 5 seconds is refused and never sent."""
    await set_up(iqs=[RECEPTION])
    await go_on(hass, freezer, 360)  # The keys are compared with Salto by then.
    freezer.tick(7200)
    fault = sim.faults.add(Fault(route=TOKEN, latency=60, count=None))

    async def refused() -> None:
        with shown("login_slow"):
            await unlock(hass, sim)

    with running(refused()) as opening:
        await until(lambda: sim.faults.hits(fault) == 1)
        pass_by(freezer, 5)
        await opening
    sim.faults.clear()
    await go_on(hass, freezer, 120)
    await go_on(hass, freezer, 75)
    assert commands(sim) == 0
    assert not opened(sim)
    await unlock(hass, sim)
    assert opened(sim)


@pytest.mark.parametrize(
    "fault",
    [Fault(route=TOKEN, reset=True), Fault(route=TOKEN, status=502)],
    ids=["reset", "502"],
)
async def test_failed_login_is_told_as_nothing_sent(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    fault: Fault,
) -> None:
    """Where no token can be had it is said that nothing was sent, instead of leaving it open."""
    await set_up(iqs=[RECEPTION])
    freezer.tick(7200)
    sim.faults.add(fault)
    with shown("login_failed") as raised:
        await unlock(hass, sim)
    assert "not known" not in str(raised.error)
    assert commands(sim) == 0
    await go_on(hass, freezer, 75)
    await unlock(hass, sim)
    assert opened(sim)


# Rejected and blocked passwords


def activation(sim: Simulator, iq_name: str = RECEPTION) -> Any:
    """Return the service account's record on an IQ."""
    return sim.world.activation(sim.account.user_id, iq_named(sim, iq_name).id)


def change_pin(sim: Simulator) -> str:
    """Change the IQ PIN behind Home Assistant's back; returns the one it was."""
    record = activation(sim)
    before: str = record.pin
    record.pin = "0001" if before != "0001" else "0002"
    return before


def kept(hass_storage: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept on disk about the IQ."""
    (record,) = hass_storage["salto_ks.iq_credentials"]["data"]["credentials"]
    return dict(record)


def closed_until(hass: HomeAssistant, sim: Simulator) -> datetime | None:
    """Return what the IQ's sensor says."""
    found = entity_id(hass, "sensor", iq_named(sim, RECEPTION).id, "otp_blocked_until")
    state = state_of(hass, found)
    return None if state == STATE_UNKNOWN else dt_util.parse_datetime(state)


def clock_time(instant: datetime) -> str:
    """Write an instant as the error does."""
    return dt_util.as_local(instant).strftime("%H:%M")


def whole(instant: datetime) -> datetime:
    """Return an instant to the second, as a sensor shows it."""
    return instant.replace(microsecond=0)


async def reject(hass: HomeAssistant, sim: Simulator, times: int = 3) -> None:
    """Have Salto reject openings."""
    for _ in range(times):
        with shown("otp_rejected"):
            await unlock(hass, sim)


@pytest.mark.parametrize("quirks", [Quirks.instant(block_threshold=8)])
async def test_third_rejection_stops_the_openings(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """After three rejections nothing is sent for 25 minutes, then one trial, then a pause again."""
    entry = await set_up(iqs=[RECEPTION])
    change_pin(sim)
    await reject(hass, sim, 2)
    issue = (DOMAIN, f"iq_degraded_{iq_subentry_id(entry, sim)}")
    assert ir.async_get(hass).async_get_issue(*issue) is None
    assert closed_until(hass, sim) is None
    await reject(hass, sim, 1)
    assert ir.async_get(hass).async_get_issue(*issue) is not None
    until_ = dt_util.utcnow() + HOLD
    assert closed_until(hass, sim) == whole(until_)

    with shown("otp_held") as raised:
        await unlock(hass, sim)
    assert raised.placeholders == {"until": clock_time(until_)}
    assert clock_time(until_) in str(raised.error)
    freezer.tick(HOLD - timedelta(seconds=1))
    with shown("otp_held"):
        await unlock(hass, sim)
    assert commands(sim) == 3

    freezer.tick(1)
    await reject(hass, sim, 1)
    with shown("otp_held") as raised:
        await unlock(hass, sim)
    assert raised.placeholders == {"until": clock_time(dt_util.utcnow() + HOLD)}
    assert commands(sim) == 4
    assert ir.async_get(hass).async_get_issue(*issue) is not None


@pytest.mark.parametrize("quirks", [Quirks.instant(block_threshold=8)])
async def test_accepted_password_forgives(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """The first accepted password takes back issue, sensor and count."""
    entry = await set_up(iqs=[RECEPTION])
    right = change_pin(sim)
    await reject(hass, sim)
    freezer.tick(HOLD)
    activation(sim).pin = right
    await unlock(hass, sim)
    assert opened(sim)
    issue = f"iq_degraded_{iq_subentry_id(entry, sim)}"
    assert ir.async_get(hass).async_get_issue(DOMAIN, issue) is None
    assert closed_until(hass, sim) is None
    change_pin(sim)
    await reject(hass, sim, 2)
    activation(sim).pin = right
    await unlock(hass, sim)
    assert commands(sim) == 7


def block() -> Fault:
    """Return Salto's word that the account is blocked."""
    body = {"ErrorCode": "3102", "Message": "Request execution failed with code: otp_blocked"}
    return Fault(route=LOCKING, status=403, body=body)


async def test_block_is_waited_out(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """After a block nothing is sent for 25 minutes, which the error and a sensor say."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(block())
    with shown("otp_blocked") as raised:
        await unlock(hass, sim)
    end = dt_util.utcnow() + HOLD
    assert raised.placeholders == {"until": clock_time(end)}
    assert closed_until(hass, sim) == whole(end)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    await go_on(hass, freezer, HOLD.total_seconds() - 1)
    with shown("otp_blocked") as raised:
        await unlock(hass, sim)
    assert raised.placeholders == {"until": clock_time(end)}
    assert commands(sim) == 1
    await go_on(hass, freezer, 1)
    assert closed_until(hass, sim) is None
    await unlock(hass, sim)
    assert opened(sim)


async def test_block_of_the_simulated_iq_is_met_once(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """With Salto blocking after three wrong passwords the guard never runs into the block."""
    await set_up(iqs=[RECEPTION])
    right = change_pin(sim)
    await reject(hass, sim)
    activation(sim).pin = right
    for _ in range(5):
        with shown("otp_held"):
            await unlock(hass, sim)
    await go_on(hass, freezer, HOLD.total_seconds())
    await unlock(hass, sim)
    assert opened(sim)
    assert [entry.status for entry in sim.journal.filter("PATCH")] == [400, 400, 400, 200]


@pytest.mark.parametrize("seed", ["campsite"])
async def test_block_is_of_one_iq(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """While one IQ takes no password the doors of another one open."""
    await set_up()
    sim.faults.add(block())
    with shown("otp_blocked"):
        await unlock(hass, sim)
    with shown("otp_blocked"):
        await unlock(hass, sim, "Store room")
    await unlock(hass, sim, LAUNDRY)
    assert opened(sim, LAUNDRY)


async def test_block_stops_the_end_of_office_mode_too(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Every command with a password waits out a block, whatever it is for."""
    await set_up(iqs=[RECEPTION])
    office = entity_id(hass, "switch", lock_named(sim, GATE).id, "office_mode")
    sim.faults.add(block())
    with shown("otp_blocked"):
        await act(hass, "switch", "turn_on", office)
    for action in ("turn_on", "turn_off"):
        with shown("otp_blocked"):
            await act(hass, "switch", action, office)
    assert commands(sim) == 1


@pytest.mark.usefixtures("three_doors")
async def test_command_that_waited_is_looked_at_anew(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening that waits while the one before it runs into a block is not sent."""
    await set_up(iqs=[RECEPTION])
    blocking = block()
    fault = sim.faults.add(
        Fault(route=LOCKING, status=blocking.status, body=blocking.body, latency=3)
    )

    async def refused(name: str) -> None:
        with shown("otp_blocked"):
            await unlock(hass, sim, name)

    with running(refused(GATE)) as first, running(refused(SECOND_DOOR)) as second:
        await until(lambda: sim.faults.hits(fault) == 1)
        pass_by(freezer, 3)
        await asyncio.gather(first, second)
    assert commands(sim) == 1


@pytest.mark.usefixtures("three_doors")
async def test_opening_that_waited_heeds_the_switch(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening that waits while the site is switched off is not sent."""
    await set_up(iqs=[RECEPTION])
    active = entity_id(hass, "switch", sim.site_id, "active")
    fault = sim.faults.add(Fault(route=LOCKING, latency=3))

    async def refused() -> None:
        with shown("inactive", users=True):
            await unlock(hass, sim, SECOND_DOOR)

    with running(unlock(hass, sim)) as first, running(refused()) as second:
        await until(lambda: sim.faults.hits(fault) == 1)
        await act(hass, "switch", "turn_off", active)
        pass_by(freezer, 3)
        await asyncio.gather(first, second)
    assert commands(sim) == 1


@pytest.mark.parametrize("quirks", [Quirks.instant(block_threshold=8)])
async def test_pause_survives_a_restart(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """What Salto said about passwords is remembered by the next Home Assistant, time included."""
    entry = await set_up(iqs=[RECEPTION])
    sim.faults.add(block())
    with shown("otp_blocked"):
        await unlock(hass, sim)
    end = dt_util.utcnow() + HOLD
    freezer.tick(60)
    async with restarted(hass, entry) as (again, _):
        assert closed_until(again, sim) == whole(end)
        with shown("otp_blocked"):
            await unlock(again, sim)
        assert commands(sim) == 1
        await go_on(again, freezer, HOLD.total_seconds() - 60)
        assert closed_until(again, sim) is None
        await unlock(again, sim)
        assert opened(sim)


@pytest.mark.parametrize("quirks", [Quirks.instant(block_threshold=8)])
async def test_rejections_survive_a_restart(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A restart is no way to more guesses: the count goes on, and the issue comes back."""
    entry = await set_up(iqs=[RECEPTION])
    change_pin(sim)
    await reject(hass, sim, 2)
    async with restarted(hass, entry) as (again, same):
        await reject(again, sim, 1)
        issue = f"iq_degraded_{iq_subentry_id(same, sim)}"
        assert ir.async_get(again).async_get_issue(DOMAIN, issue) is not None
        with shown("otp_held"):
            await unlock(again, sim)
    assert commands(sim) == 3


async def test_clock_set_back_does_not_close_for_ever(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A block that was noted while the clock was a day ahead ends when the clock is put right."""
    await set_up(iqs=[RECEPTION])
    right = dt_util.utcnow()
    freezer.tick(timedelta(days=1))
    sim.faults.add(block())
    with shown("otp_blocked"):
        await unlock(hass, sim)
    freezer.move_to(right)
    await unlock(hass, sim)
    assert opened(sim)


async def test_clock_off_by_minutes_is_a_rejection(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """With this machine's clock more than three minutes off the error names the clock."""
    await set_up(iqs=[RECEPTION])
    sim.clock.advance(200)
    with shown("otp_rejected") as raised:
        await unlock(hass, sim)
    assert "clock" in str(raised.error)
    sim.clock.set(dt_util.utcnow() + timedelta(seconds=170))
    await unlock(hass, sim)
    assert opened(sim)


async def test_activation_reset_by_an_administrator_is_told(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """With the account's PIN reset at Salto the error says to activate the IQ again."""
    await set_up(iqs=[RECEPTION])
    sim.deactivate(iq_named(sim, RECEPTION).id)
    with shown("iq_not_activated"):
        await unlock(hass, sim)
    assert commands(sim) == 1


async def test_nothing_is_sent_by_time_alone(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A refused opening is forgotten: a day later no command has followed by itself."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(block())
    with shown("otp_blocked"):
        await unlock(hass, sim)
    for _ in range(24):
        freezer.tick(3600)
        async_fire_time_changed(hass)
        await hass.async_block_till_done(wait_background_tasks=True)
    assert commands(sim) == 1
