"""A door as a lock: opened once, shown as Salto tells it, asked for a code where one is needed."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.lock.const import LockState
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from simulator import Fault, Quirks, Simulator, wire
from simulator.seeds import SeedName

from .conftest import SetUp
from .support import (
    GATE,
    LAUNDRY,
    RECEPTION,
    door,
    go_on,
    iq_named,
    lock_named,
    opened,
    pin_in_force,
    restarted,
    unlock,
    wrong_pin,
)
from .watching import (
    LOCK,
    LOCKING,
    LOCKS,
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

OFFICE = "Reception office"
"""Another door on `RECEPTION`."""


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ; some tests ask for more."""
    return "full"


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


@pytest.mark.parametrize("seed", ["campsite"])
@pytest.mark.parametrize("action", ["unlock", "open"])
async def test_opening_is_one_request(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, action: str
) -> None:
    """Unlocking and opening both open the door, by one signed request and nothing else."""
    await set_up(iqs=[RECEPTION])
    sim.journal.clear()
    await act(hass, "lock", action, door(hass, sim))
    assert asked(sim) == [("PATCH", LOCKING)]
    request = sim.journal.entries[0]
    assert lock_named(sim, GATE).id in request.path
    assert request.body == {"locked_state": "unlocked", "otp": "***"}
    assert opened(sim)
    assert not opened(sim, OFFICE)
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED
    assert state_of(hass, door(hass, sim, OFFICE)) == LockState.LOCKED


@pytest.mark.parametrize("seed", ["campsite"])
@pytest.mark.parametrize("quirks", [Quirks.instant(otp_reuse="forbidden")])
async def test_each_opening_has_its_own_password(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Where Salto takes a one-time password only once, many doors still open in one second."""
    await set_up(iqs=[RECEPTION])
    names = [GATE, OFFICE, GATE, "Store room", "Pedestrian gate"]
    for name in names:
        await unlock(hass, sim, name)
        assert opened(sim, name)
    assert commands(sim) == len(names)


async def test_opening_is_shown_while_it_is_under_way(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door is unlocking until Salto answers, and unlocked from then on."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=10))
    with running(unlock(hass, sim)) as opening:
        await until(lambda: sim.faults.hits(fault) == 1)
        assert state_of(hass, door(hass, sim)) == LockState.UNLOCKING
        assert not opened(sim)
        pass_by(freezer, 10)
        await opening
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED


@pytest.mark.parametrize(
    ("open_time", "reads"),
    [(1, [4]), (6, [4, 8]), (10, [4, 8, 16]), (100, [4, 8, 16, 32, 64, 128])],
)
async def test_relocking_is_read_from_salto(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    open_time: int,
    reads: list[int],
) -> None:
    """A door is shown as open until a fresh look at it shows it locked, and no look is wasted."""
    entry = await set_up(iqs=[RECEPTION])
    hass.config_entries.async_update_entry(entry, options={"polling_interval": 900})
    await hass.async_block_till_done()
    sim.set("lock", lock_named(sim, GATE).id, open_time=open_time)
    await unlock(hass, sim)
    sim.journal.clear()
    seen: list[int] = []
    for second in range(1, 260):
        await go_on(hass, freezer, 1)
        if asked(sim):
            assert asked(sim) == [("GET", LOCK)]
            sim.journal.clear()
            seen.append(second)
        read_locked = bool(seen) and seen[-1] >= open_time
        assert state_of(hass, door(hass, sim)) == (
            LockState.LOCKED if read_locked else LockState.UNLOCKED
        )
    assert seen == reads


async def test_longest_open_time_is_followed_to_its_end(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that stays open for 240 seconds is shown open until then and locked soon after."""
    entry = await set_up(iqs=[RECEPTION])
    hass.config_entries.async_update_entry(entry, options={"polling_interval": 900})
    await hass.async_block_till_done()
    sim.set("lock", lock_named(sim, GATE).id, open_time=240)
    await unlock(hass, sim)
    for _ in range(60):
        assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED
        await go_on(hass, freezer, 4)
    for _ in range(4):
        await go_on(hass, freezer, 4)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_second_opening_is_followed_from_its_own_beginning(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that is opened again while it stands open is watched anew, once."""
    await set_up(iqs=[RECEPTION])
    await unlock(hass, sim)
    await go_on(hass, freezer, 3)
    await unlock(hass, sim)
    sim.journal.clear()
    await go_on(hass, freezer, 3)
    assert asked(sim) == []
    await go_on(hass, freezer, 1)
    assert asked(sim) == [("GET", LOCK)]


def old_locks(sim: Simulator) -> dict[str, Any]:
    """Return the listing of the main site's locks as it is now."""
    world = sim.world
    items = [wire.lock(lock, world) for lock in world.locks_of(sim.site_id)]
    return {"items": items, "next_page_link": None, "count": None}


async def start_poll(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let a minute pass and the poll that is due begin."""
    freezer.tick(75)
    async_fire_time_changed(hass)


async def test_older_poll_does_not_hide_an_opening(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A poll that was asked for before an opening and answers after it shows no locked door."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKS, method="GET", body=old_locks(sim), latency=2))
    await start_poll(hass, freezer)
    await until(lambda: sim.faults.hits(fault) == 1)
    await unlock(hass, sim)
    await go_on(hass, freezer, 2)
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_older_poll_does_not_hide_what_was_read_since(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A slow poll from before an opening is still the older word after the door was read anew."""
    await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKS, method="GET", body=old_locks(sim), latency=6))
    await start_poll(hass, freezer)
    await until(lambda: sim.faults.hits(fault) == 1)
    await unlock(hass, sim)
    sim.journal.clear()
    freezer.tick(4)
    async_fire_time_changed(hass)
    await until(lambda: sim.journal.count("GET", LOCK) == 1)
    await go_on(hass, freezer, 2)
    assert sim.journal.count("GET", LOCKS) == 1
    assert opened(sim)
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED


@pytest.mark.parametrize(
    ("state", "shown_as"),
    [
        ("locked", LockState.LOCKED),
        ("unlocked", LockState.UNLOCKED),
        ("office_mode", LockState.UNLOCKED),
        ("uncertain", STATE_UNKNOWN),
        ("none", STATE_UNKNOWN),
        ("ajar", STATE_UNKNOWN),
    ],
)
async def test_state_is_what_salto_tells(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    state: str,
    shown_as: str,
) -> None:
    """A door shows Salto's word for it after the next poll, and unknown for a word of no meaning."""
    await set_up(iqs=[RECEPTION])
    sim.set("lock", lock_named(sim, GATE).id, locked_state=state)
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == shown_as


# The action lock


async def test_lock_ends_office_mode(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Locking a door in office mode looks at it, ends office mode, and shows the way there."""
    await set_up(iqs=[RECEPTION])
    sim.set("lock", lock_named(sim, GATE).id, locked_state="office_mode")
    await go_on(hass, freezer, 75)
    sim.journal.clear()
    fault = sim.faults.add(Fault(route=LOCKING, latency=5))
    with running(act(hass, "lock", "lock", door(hass, sim))) as locking:
        await until(lambda: sim.faults.hits(fault) == 1)
        assert state_of(hass, door(hass, sim)) == LockState.LOCKING
        pass_by(freezer, 5)
        await locking
    assert asked(sim) == [("GET", LOCK), ("PATCH", LOCKING)]
    assert sim.journal.entries[1].body["locked_state"] == "locked"
    assert lock_named(sim, GATE).locked_state == "locked"
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_lock_finds_office_mode_that_was_started_elsewhere(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Locking a door that was locked at the last poll looks anew, and ends what began since."""
    await set_up(iqs=[RECEPTION])
    sim.set("lock", lock_named(sim, GATE).id, locked_state="office_mode")
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    await act(hass, "lock", "lock", door(hass, sim))
    assert lock_named(sim, GATE).locked_state == "locked"
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_lock_of_a_locked_door_does_nothing(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Locking a door that is locked only looks at it."""
    await set_up(iqs=[RECEPTION])
    sim.journal.clear()
    await act(hass, "lock", "lock", door(hass, sim))
    assert asked(sim) == [("GET", LOCK)]
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_lock_of_an_open_door_is_refused(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A door that stands open for a moment cannot be locked sooner, and that is said."""
    await set_up(iqs=[RECEPTION])
    await unlock(hass, sim)
    sim.journal.clear()
    with shown("relocks_by_itself", users=True):
        await act(hass, "lock", "lock", door(hass, sim))
    assert asked(sim) == [("GET", LOCK)]
    assert state_of(hass, door(hass, sim)) == LockState.UNLOCKED


async def test_lock_that_cannot_look_sends_nothing(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Locking fails with nothing sent where the door cannot be read first."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(Fault(route=LOCK, method="GET", status=500))
    with shown("server_error"):
        await act(hass, "lock", "lock", door(hass, sim))
    assert commands(sim) == 0
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


# What stands in the way


async def test_offline_door_is_tried_and_its_failure_told(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """An offline door stays an entity that can be opened: the attempt fails with its reason."""
    sim.set("lock", lock_named(sim, GATE).id, online=False)
    await set_up(iqs=[RECEPTION])
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    with pytest.raises(HomeAssistantError):
        await unlock(hass, sim)
    assert commands(sim) == 1
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


@pytest.mark.parametrize("seed", ["campsite"])
async def test_door_of_an_iq_that_is_not_set_up_is_refused(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A door whose IQ was not activated here is refused with nothing sent."""
    await set_up(iqs=[RECEPTION])
    with shown("iq_not_set_up", users=True):
        await unlock(hass, sim, LAUNDRY)
    assert commands(sim) == 0
    await unlock(hass, sim, GATE)
    assert opened(sim, GATE)


async def test_door_without_iq_is_refused(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A door that hangs on no IQ is refused with nothing sent."""
    await set_up(iqs=[RECEPTION])
    sim.set("lock", lock_named(sim, GATE).id, iq_id=None, iq_link_state="detached")
    await go_on(hass, freezer, 75)
    with shown("lock_without_iq", users=True):
        await unlock(hass, sim)
    assert commands(sim) == 0


async def test_iq_that_wants_no_password_opens_without(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """The door of an IQ that takes commands unsigned opens without activation or password."""
    await set_up(iqs=[])
    sim.set("iq", iq_named(sim, RECEPTION).id, otp_enabled=False)
    await go_on(hass, freezer, 75)
    await unlock(hass, sim)
    assert opened(sim)
    assert sim.journal.filter("PATCH", LOCKING)[0].body == {"locked_state": "unlocked"}


# The code


async def test_stored_pin_needs_no_code(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """A door whose IQ PIN is stored asks for no code, and takes no notice of one."""
    await set_up(iqs=[RECEPTION])
    state = hass.states.get(door(hass, sim))
    assert state is not None
    assert "code_format" not in state.attributes
    await unlock(hass, sim, code=wrong_pin(sim))
    assert opened(sim)


@pytest.mark.parametrize("seed", ["campsite"])
async def test_code_opens_where_the_pin_is_not_stored(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, hass_storage: dict[str, Any]
) -> None:
    """Without a stored PIN the door asks for it, opens with it, and does not keep it."""
    await set_up(iqs=[RECEPTION], store_pin=False)
    pin = pin_in_force(sim)
    assert pin is not None
    state = hass.states.get(door(hass, sim))
    assert state is not None
    # Browsers know no other sign for the end of a text.
    assert state.attributes["code_format"] == "^[0-9]{4}$"
    await unlock(hass, sim, code=pin)
    assert opened(sim)
    for name in (GATE, OFFICE):
        with pytest.raises(ServiceValidationError):
            await unlock(hass, sim, name)
    assert commands(sim) == 1
    kept = hass_storage["salto_ks.iq_credentials"]["data"]["credentials"]
    assert [(record["pin"], record["candidates"]) for record in kept] == [(None, [])]


@pytest.mark.parametrize(
    "form", ["", "123", "12345", "{pin}\n", "\n{pin}", " {pin}", "{pin} ", "12a4", "١٢٣٤", "12.4"]
)
async def test_code_of_another_form_is_refused(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, form: str
) -> None:
    """A code that is not exactly four digits is refused before anything is sent."""
    await set_up(iqs=[RECEPTION], store_pin=False)
    with pytest.raises(ServiceValidationError) as caught:
        await unlock(hass, sim, code=form.format(pin=pin_in_force(sim)))
    assert str(pin_in_force(sim)) not in str(caught.value)
    assert commands(sim) == 0
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED


async def test_wrong_code_counts_and_is_told(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A code of the right form that is wrong is sent once and told; the right one then opens."""
    await set_up(iqs=[RECEPTION], store_pin=False)
    with shown("otp_rejected"):
        await unlock(hass, sim, code=wrong_pin(sim))
    assert commands(sim) == 1
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    await unlock(hass, sim, code=pin_in_force(sim))
    assert opened(sim)


@pytest.mark.parametrize("seed", ["campsite"])
async def test_code_is_asked_for_after_a_restart(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A PIN that is not stored is not stored: after a restart the code is asked for again."""
    entry = await set_up(iqs=[RECEPTION], store_pin=False)
    await unlock(hass, sim, code=pin_in_force(sim))
    async with restarted(hass, entry) as (again, _):
        with pytest.raises(ServiceValidationError):
            await unlock(again, sim)
        await unlock(again, sim, OFFICE, code=pin_in_force(sim))
        assert opened(sim, OFFICE)


async def test_code_ends_office_mode_too(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Without a stored PIN the action lock takes the code as well."""
    await set_up(iqs=[RECEPTION], store_pin=False)
    sim.set("lock", lock_named(sim, GATE).id, locked_state="office_mode")
    await act(hass, "lock", "lock", door(hass, sim), code=pin_in_force(sim))
    assert lock_named(sim, GATE).locked_state == "locked"


# Failures


@pytest.mark.parametrize(
    "fault",
    [
        Fault(route=LOCKING, reset=True),
        Fault(route=LOCKING, status=500),
        Fault(route=LOCKING, status=400, body={"ErrorCode": "3102", "Message": "x"}),
        Fault(route=LOCKING, status=403, body={"ErrorCode": "2203", "Message": "x"}),
        Fault(route=LOCKING, status=429),
        Fault(route=LOCKING, status=200, body="<html>"),
        Fault(route=LOCKING, status=302, headers={"Location": "/elsewhere"}),
    ],
    ids=lambda fault: f"{fault.status or 'reset'}",
)
async def test_failed_opening_is_not_shown_as_one(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, fault: Fault
) -> None:
    """After a failed opening the door shows what Salto said last, never unlocking."""
    await set_up(iqs=[RECEPTION])
    sim.faults.add(fault)
    with pytest.raises(HomeAssistantError):
        await unlock(hass, sim)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    await stand_still()
    assert commands(sim) == 1


async def test_door_stays_while_salto_is_away(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """While polls fail a door tells no state, and unlocking it is tried instead of passed over."""
    await set_up(iqs=[RECEPTION])
    fault = Fault(route=LOCKS, method="GET", status=503, count=None)
    sim.faults.add(fault)
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == STATE_UNKNOWN
    sim.journal.clear()
    await unlock(hass, sim)
    assert commands(sim) == 1
    sim.clock.advance(60)
    sim.faults.clear()
    await go_on(hass, freezer, 75)
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
