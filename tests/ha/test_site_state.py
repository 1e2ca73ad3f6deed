"""Whether a site is active: switched at once, kept for good, never lost to somebody else's switch."""

import asyncio
from typing import Any

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.api.models import SiteId
from custom_components.salto_ks.site_state import SiteStates
from custom_components.salto_ks.storage import StorageError, SureStore
from simulator import Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .files import hass_config_dir, hass_storage, path_of, read, write
from .support import RECEPTION, entity_id, opened, restarted, unlock
from .watching import act, shown, stand_still, until

__all__ = ["hass_config_dir", "hass_storage"]

KEY = "salto_ks.sites"
CAMP = SiteId("camp")
PARK = SiteId("park")


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ."""
    return "full"


async def some_states(hass: HomeAssistant) -> SiteStates:
    """Return the states as after a start."""
    states = SiteStates(SureStore(hass, version=1, key=KEY))
    await states.async_load()
    return states


async def check(hass: HomeAssistant, states: SiteStates, **active: bool) -> None:
    """Assert which sites are active, here and after a restart."""
    for known in (states, await some_states(hass)):
        assert {site: known.is_active(SiteId(site)) for site in active} == active


async def test_new_site_is_active(hass: HomeAssistant) -> None:
    """A site that was never switched is active, and nothing is written for it."""
    states = await some_states(hass)
    assert states.is_active(CAMP)
    assert not path_of(hass, KEY).exists()


async def test_switched(hass: HomeAssistant) -> None:
    """A site that is switched is so after a restart too, and other sites are as they were."""
    states = await some_states(hass)
    await states.set_active(CAMP, active=False)
    await check(hass, states, camp=False, park=True)
    await states.set_active(PARK, active=False)
    await states.set_active(CAMP, active=True)
    await check(hass, states, camp=True, park=False)


@pytest.mark.parametrize(
    ("before", "switched"),
    [
        (True, [True, False]),
        (True, [False, True]),
        (False, [True, False]),
        (False, [True, True]),
        (False, [True, False, True]),
        (False, [False, True, False, True, False]),
    ],
)
async def test_the_last_switch_counts(
    hass: HomeAssistant, *, before: bool, switched: list[bool]
) -> None:
    """Of switches at once the last one counts, here and after a restart."""
    states = await some_states(hass)
    await states.set_active(CAMP, active=before)
    await asyncio.gather(*(states.set_active(CAMP, active=active) for active in switched))
    await check(hass, states, camp=switched[-1])


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
async def test_off_wins_over_an_on_that_is_being_written(hass: HomeAssistant, turns: int) -> None:
    """Off is in force at once and stays so, however far an on from before has come."""
    states = await some_states(hass)
    await states.set_active(CAMP, active=False)
    on = asyncio.create_task(states.set_active(CAMP, active=True))
    for _ in range(turns):
        await asyncio.sleep(0)
    off = asyncio.create_task(states.set_active(CAMP, active=False))
    await asyncio.sleep(0)
    assert not states.is_active(CAMP)
    await on
    assert not states.is_active(CAMP)
    await off
    await check(hass, states, camp=False)


async def test_sites_are_switched_at_once(hass: HomeAssistant) -> None:
    """Sites that are switched at the same time do not undo each other's switch."""
    states = await some_states(hass)
    await states.set_active(CAMP, active=False)
    await asyncio.gather(
        states.set_active(CAMP, active=True), states.set_active(PARK, active=False)
    )
    await check(hass, states, camp=True, park=False)


@pytest.mark.parametrize("turns", [1, 3])
async def test_caller_that_is_cancelled(hass: HomeAssistant, turns: int) -> None:
    """A switch whose caller is cancelled is kept all the same."""
    states = await some_states(hass)
    first = asyncio.create_task(states.set_active(PARK, active=False))
    switch = asyncio.create_task(states.set_active(CAMP, active=False))
    for _ in range(turns):
        await asyncio.sleep(0)
    switch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await switch
    await first
    await until(lambda: "camp" in read(hass, KEY)["data"]["sites"])
    await check(hass, states, camp=False, park=False)


async def test_off_that_cannot_be_kept(hass: HomeAssistant) -> None:
    """Off that cannot be written is told, is in force, and is written with the next switch."""
    states = await some_states(hass)
    path_of(hass, KEY).mkdir(parents=True)
    with pytest.raises(StorageError):
        await states.set_active(CAMP, active=False)
    assert not states.is_active(CAMP)
    path_of(hass, KEY).rmdir()
    await states.set_active(PARK, active=False)
    await check(hass, states, camp=False, park=False)


async def test_on_that_cannot_be_kept(hass: HomeAssistant) -> None:
    """On that cannot be written is told and does not count."""
    states = await some_states(hass)
    await states.set_active(CAMP, active=False)
    path_of(hass, KEY).unlink()
    path_of(hass, KEY).mkdir()
    with pytest.raises(StorageError):
        await states.set_active(CAMP, active=True)
    assert not states.is_active(CAMP)


async def test_more_is_kept_as_it_is(hass: HomeAssistant) -> None:
    """What else is kept of a site is still there after a switch."""
    write(hass, KEY, {"sites": {"camp": {"active": True, "since": "spring"}}})
    states = await some_states(hass)
    await states.set_active(CAMP, active=False)
    assert read(hass, KEY)["data"]["sites"] == {"camp": {"active": False, "since": "spring"}}


# What can be wrong with the file


@pytest.mark.parametrize(
    "sites",
    [
        [],
        "off",
        5,
        {"camp": None},
        {"camp": False},
        {"camp": "off"},
        {"camp": []},
        {"camp": {}},
        {"camp": {"active": None}},
        {"camp": {"active": "false"}},
        {"camp": {"active": 0}},
        {"camp": {"active": False}, "park": {"active": "off"}},
    ],
)
async def test_state_that_is_not_understood(hass: HomeAssistant, sites: Any) -> None:
    """A state that makes no sense is not taken for active: the file is refused and not touched."""
    path = write(hass, KEY, {"sites": sites})
    before = path.read_bytes()
    with pytest.raises(StorageError) as failed:
        await some_states(hass)
    assert KEY in str(failed.value)
    assert path.read_bytes() == before


async def test_damaged_file_does_not_switch_on(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A site that was off is not on after its file was damaged, not even after two restarts."""
    entry = await set_up(iqs=[RECEPTION])
    await act(hass, "switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active"))
    await hass.config_entries.async_unload(entry.entry_id)
    path = path_of(hass, KEY)
    good = path.read_bytes()
    path.write_bytes(good[:-10])
    for _ in range(2):
        async with restarted(hass, entry) as (_, same):
            assert same.state is ConfigEntryState.SETUP_ERROR
            assert same.error_reason_translation_key == "storage_unreadable"
    path.write_bytes(good)
    async with restarted(hass, entry) as (again, same):
        assert same.state is ConfigEntryState.LOADED
        with shown("inactive", users=True):
            await unlock(again, sim)
        await stand_still()
        assert not opened(sim)
