"""What doors do when Home Assistant's disk takes nothing any more."""

from datetime import timedelta

from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
import pytest

from simulator import Quirks, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .files import hass_config_dir, hass_storage, path_of, read
from .keys import ask, guests, issue, writes
from .support import RECEPTION, entity_id, opened, restarted, unlock
from .test_door_commands import change_pin
from .watching import act, commands, shown, state_of

SITES = "salto_ks.sites"
CREDENTIALS = "salto_ks.iq_credentials"

__all__ = ["hass_config_dir", "hass_storage"]


@pytest.fixture
def seed() -> SeedName:
    """Start with one door on one IQ."""
    return "full"


def fill_disk(hass: HomeAssistant, key: str) -> None:
    """Make a Store's file one that cannot be written."""
    path = path_of(hass, key)
    if path.exists():
        path.rename(path_of(hass, f"{key}.aside"))
    path.mkdir(parents=True)


def empty_disk(hass: HomeAssistant, key: str) -> None:
    """Let the file be written again, with what it held."""
    path = path_of(hass, key)
    path.rmdir()
    aside = path_of(hass, f"{key}.aside")
    if aside.exists():
        aside.rename(path)


async def test_off_holds_though_it_cannot_be_kept(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Switching the site off works at once even when it cannot be written, and that is told."""
    await set_up(iqs=[RECEPTION])
    switch = entity_id(hass, "switch", sim.site_id, "active")
    fill_disk(hass, SITES)
    with shown("storage_failed"):
        await act(hass, "switch", "turn_off", switch)
    assert state_of(hass, switch) == STATE_OFF
    with shown("inactive", users=True):
        await unlock(hass, sim)
    assert commands(sim) == 0


async def test_on_is_kept_before_it_counts(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """Switching the site on counts only once it is written: off is the safe side."""
    entry = await set_up(iqs=[RECEPTION])
    switch = entity_id(hass, "switch", sim.site_id, "active")
    await act(hass, "switch", "turn_off", switch)
    fill_disk(hass, SITES)
    with shown("storage_failed"):
        await act(hass, "switch", "turn_on", switch)
    assert state_of(hass, switch) == STATE_OFF
    with shown("inactive", users=True):
        await unlock(hass, sim)
    empty_disk(hass, SITES)
    await act(hass, "switch", "turn_on", switch)
    assert state_of(hass, switch) == STATE_ON
    async with restarted(hass, entry) as (again, _):
        assert state_of(again, entity_id(again, "switch", sim.site_id, "active")) == STATE_ON


@pytest.mark.parametrize("quirks", [Quirks.instant(block_threshold=8)])
async def test_rejections_count_though_they_cannot_be_kept(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A full disk hides no answer of Salto and allows no more guesses than an empty one."""
    await set_up(iqs=[RECEPTION])
    right = change_pin(sim)
    fill_disk(hass, CREDENTIALS)
    for _ in range(3):
        with shown("otp_rejected"):
            await unlock(hass, sim)
    with shown("otp_held"):
        await unlock(hass, sim)
    assert commands(sim) == 3
    empty_disk(hass, CREDENTIALS)
    assert read(hass, CREDENTIALS)["data"]["credentials"][0]["pin"] == right


async def test_door_opens_on_a_full_disk(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """An opening writes nothing, and one that forgives rejections is none the worse for it."""
    await set_up(iqs=[RECEPTION])
    right = change_pin(sim)
    with shown("otp_rejected"):
        await unlock(hass, sim)
    activation = sim.world.activation(sim.account.user_id, next(iter(sim.world.iqs)))
    assert activation is not None
    activation.pin = right
    fill_disk(hass, CREDENTIALS)
    await unlock(hass, sim)
    assert opened(sim)


@pytest.mark.parametrize("seed", ["campsite"])
async def test_no_key_is_begun_on_a_full_disk(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """What cannot be written down is not begun at Salto, and works once there is room again."""
    entry = await set_up(iqs=[])
    now = sim.clock.now()
    key = await issue(hass, sim, entry, starts_at=now, ends_at=now + timedelta(days=1))
    ledger = f"salto_ks.ledger.{sim.site_id}/intents"
    fill_disk(hass, ledger)
    sim.journal.clear()
    with shown("storage_failed"):
        await issue(hass, sim, entry, starts_at=now, ends_at=now + timedelta(days=1))
    for action in ("revoke_key", "suspend_key", "rotate_pin"):
        with shown("storage_failed"):
            await ask(hass, entry, action, key_id=key["key_id"])
    assert writes(sim) == []
    assert len(guests(sim)) == 1
    empty_disk(hass, ledger)
    await ask(hass, entry, "revoke_key", key_id=key["key_id"])
    assert guests(sim) == []
