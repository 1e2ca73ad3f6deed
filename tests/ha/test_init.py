"""An entry comes up, goes down, and leaves behind what must not be lost."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.lock.const import LockState
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
import pytest

from simulator import Fault, Quirks, Simulator

from .conftest import SetUp
from .support import (
    DOMAIN,
    FIELD,
    LAUNDRY,
    RECEPTION,
    account_input,
    add_iq,
    delivered_pin,
    door,
    entity_id,
    fill,
    go_on,
    iq_named,
    opened,
    reach_iq,
    set_up_site,
    unlock,
)
from .test_door_commands import change_pin, reject
from .watching import (
    IQS,
    LOCKING,
    LOCKS,
    TOKEN,
    asked,
    commands,
    pass_by,
    running,
    shown,
    stand_still,
    state_of,
    until,
)

SITE = "/v1.2/sites/{site}"
MARINA = "NL0000000002"


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


# Coming up


@pytest.mark.parametrize(
    ("fault", "key"),
    [
        (Fault(route=TOKEN, reset=True, count=None), "login_failed"),
        (Fault(route=TOKEN, status=502, count=None), "login_failed"),
        (Fault(route=SITE, status=500, count=None), "poll_failed"),
        (Fault(route=LOCKS, reset=True, count=None), "poll_without_answer"),
        (Fault(route=IQS, status=429, headers={"Retry-After": "60"}, count=None), "rate_limited"),
        (Fault(route=LOCKS, status=200, body={"items": 1}, count=None), "unexpected_answer"),
        (
            Fault(route=SITE, status=404, body={"ErrorCode": 2202, "Message": "x"}, count=None),
            "not_found",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_set_up_is_tried_again(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    fault: Fault,
    key: str,
) -> None:
    """A site that cannot be read at the start says why, and comes up by itself when it can."""
    entry = await set_up(iqs=[RECEPTION])
    sim.faults.add(fault)
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == key
    sim.faults.clear()
    for _ in range(3):
        await go_on(hass, freezer, 75)
    assert entry.state is ConfigEntryState.LOADED
    assert state_of(hass, door(hass, sim)) == LockState.LOCKED
    await unlock(hass, sim)
    assert opened(sim)


async def test_refused_credentials_at_the_start(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Credentials that are refused at the start open a form for new ones."""
    entry = await set_up(iqs=[RECEPTION])
    sim.account.password = "another one"
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_ERROR
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["context"]["source"] == SOURCE_REAUTH


async def test_change_of_options_loads_anew(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Changed options and further IQs are in force without a restart."""
    entry = await set_up(iqs=[RECEPTION])
    with shown("iq_not_set_up", users=True):
        await unlock(hass, sim, LAUNDRY)
    await add_iq(hass, sim, entry, FIELD)
    await unlock(hass, sim, LAUNDRY)
    assert opened(sim, LAUNDRY)
    before = entry.runtime_data
    hass.config_entries.async_update_entry(entry, options={"polling_interval": 120})
    await hass.async_block_till_done()
    assert entry.runtime_data is not before
    assert entry.runtime_data.doors.update_interval.total_seconds() == 120


async def test_iq_that_is_taken_out_opens_no_more(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Deleting an IQ's subentry ends openings there at once; added again, it needs no new PIN."""
    entry = await set_up(iqs=[RECEPTION])
    (subentry_id,) = entry.subentries
    hass.config_entries.async_remove_subentry(entry, subentry_id)
    await hass.async_block_till_done()
    with shown("iq_not_set_up", users=True):
        await unlock(hass, sim)
    assert commands(sim) == 0
    sent = len(sim.outbox)
    flow = await hass.config_entries.subentries.async_init(
        (entry.entry_id, "iq"), context={"source": "user"}
    )
    result = await hass.config_entries.subentries.async_configure(
        flow["flow_id"], {"iq_id": iq_named(sim, RECEPTION).id}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    await unlock(hass, sim)
    assert opened(sim)
    assert len(sim.outbox) == sent


# Going down


async def test_unloading_waits_for_the_command_under_way(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening that is under way ends before the entry does, and its caller hears of it."""
    entry = await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=3))
    with running(unlock(hass, sim)) as opening:
        await until(lambda: sim.faults.hits(fault) == 1)
        with running(hass.config_entries.async_unload(entry.entry_id)) as unloading:
            await stand_still()
            assert not unloading.done()
            pass_by(freezer, 3)
            assert await unloading
        await opening
    assert opened(sim)
    assert commands(sim) == 1
    assert entry.state is ConfigEntryState.NOT_LOADED
    assert state_of(hass, door(hass, sim)) == STATE_UNAVAILABLE


async def test_command_while_unloading_is_refused(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening that comes while the entry goes down is refused with nothing sent."""
    entry = await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=3))
    with running(unlock(hass, sim)) as opening:
        await until(lambda: sim.faults.hits(fault) == 1)
        with running(hass.config_entries.async_unload(entry.entry_id)) as unloading:
            await stand_still()
            with shown("unloading"):
                await unlock(hass, sim, "Store room")
            pass_by(freezer, 3)
            assert await unloading
        await opening
    assert commands(sim) == 1


async def test_waiting_command_is_decided_before_the_entry_ends(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Of two openings on an IQ the second is still carried out when the entry is unloaded."""
    entry = await set_up(iqs=[RECEPTION])
    fault = sim.faults.add(Fault(route=LOCKING, latency=2, count=None))
    with running(unlock(hass, sim)) as first, running(unlock(hass, sim, "Store room")) as second:
        await until(lambda: sim.faults.hits(fault) == 1)
        with running(hass.config_entries.async_unload(entry.entry_id)) as unloading:
            await stand_still()
            pass_by(freezer, 2)
            await first
            await until(lambda: sim.faults.hits(fault) == 2)
            assert not unloading.done()
            pass_by(freezer, 2)
            await second
            assert await unloading
    assert opened(sim, "Store room")


async def test_unloaded_entry_asks_nothing(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Once unloaded nothing is asked of Salto any more; loaded again, it goes on."""
    entry = await set_up(iqs=[RECEPTION])
    assert await hass.config_entries.async_unload(entry.entry_id)
    sim.journal.clear()
    for _ in range(15):
        await go_on(hass, freezer, 75)
    assert asked(sim) == []
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    await unlock(hass, sim)
    assert opened(sim)


async def test_door_opens_while_home_assistant_stops(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """While Home Assistant stops nothing is written, and an answer of Salto is told all the same."""
    await set_up(iqs=[RECEPTION])
    right = change_pin(sim)
    hass.set_state(CoreState.stopping)
    await reject(hass, sim, 1)
    activation = sim.world.activation(sim.account.user_id, iq_named(sim, RECEPTION).id)
    assert activation is not None
    activation.pin = right
    await unlock(hass, sim)
    assert opened(sim)
    hass.set_state(CoreState.running)


# What stays


async def test_deleted_and_set_up_again(
    hass: HomeAssistant, sim: Simulator, server: str, set_up: SetUp, hass_storage: dict[str, Any]
) -> None:
    """Deleting the entry keeps the IQ's secret, so that it can be set up again without a PIN."""
    entry = await set_up(iqs=[RECEPTION])
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert hass.states.async_all("lock") == []
    assert len(hass_storage["salto_ks.iq_credentials"]["data"]["credentials"]) == 1
    sent = len(sim.outbox)
    result = await reach_iq(hass, server, account_input(sim))
    result = await fill(hass, result, {"iq_id": iq_named(sim, RECEPTION).id})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    await unlock(hass, sim)
    assert opened(sim)
    assert len(sim.outbox) == sent


@pytest.mark.parametrize("quirks", [Quirks.instant(block_threshold=8)])
async def test_issues_go_with_the_entry(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Deleting the entry takes its repair issues back."""
    entry = await set_up(iqs=[RECEPTION])
    change_pin(sim)
    await reject(hass, sim)
    assert any(domain == DOMAIN for domain, _ in ir.async_get(hass).issues)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert not any(domain == DOMAIN for domain, _ in ir.async_get(hass).issues)


async def test_two_sites_of_one_account(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, server: str, set_up: SetUp
) -> None:
    """Two sites are two entries that know nothing of each other; deleting one leaves the other."""
    campsite = await set_up(iqs=[RECEPTION])
    marina: ConfigEntry[Any] = await set_up_site(
        hass, sim, server, iqs=["IQ Harbour"], account=account_input(sim, site_uid=MARINA)
    )
    assert marina.title == "Jachthaven De Steiger"
    assert delivered_pin(sim, "IQ Harbour")
    for name in ("Main gate", "Jetty gate"):
        await unlock(hass, sim, name)
        assert opened(sim, name)
    marinas_id = next(site.id for site in sim.world.sites.values() if site.site_uid == MARINA)
    active = entity_id(hass, "switch", marinas_id, "active")
    await hass.services.async_call("switch", "turn_off", {"entity_id": active}, blocking=True)
    await go_on(hass, freezer, 75)
    with shown("inactive", users=True):
        await unlock(hass, sim, "Jetty gate")
    await unlock(hass, sim)
    await hass.config_entries.async_remove(marina.entry_id)
    await go_on(hass, freezer, 75)
    await unlock(hass, sim)
    assert opened(sim)
    assert campsite.state is ConfigEntryState.LOADED
    assert len(hass.states.async_all("lock")) == 12
