"""A simulated Salto on loopback, and the way to an entry that is set up with it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
import pytest

from simulator import Quirks, Simulator
from simulator.seeds import SeedName

from .support import (
    account_input,
    server_input,
    serving,
    set_up_site,
    without_live_events,
)

type SetUp = Callable[..., Awaitable[ConfigEntry[Any]]]


@pytest.fixture(autouse=True)
def _our_integration(enable_custom_integrations: None) -> None:
    """Let Home Assistant find the integration."""


@pytest.fixture
def quirks() -> Quirks:
    """Return how the simulated Salto behaves; parametrise it to try other legal choices."""
    return Quirks.instant()


@pytest.fixture
def seed() -> SeedName:
    """Return the world to start from; parametrise it for another one."""
    return "campsite"


@pytest.fixture
def sim(seed: SeedName, quirks: Quirks) -> Simulator:
    """Return the simulated Salto, its main site without live events."""
    return without_live_events(Simulator(seed=seed, quirks=quirks, rng_seed=1))


@pytest.fixture
async def server(sim: Simulator, socket_enabled: None) -> AsyncIterator[str]:
    """Serve the simulated Salto and return its address."""
    async with serving(sim) as url:
        yield url


@pytest.fixture
def account(sim: Simulator) -> dict[str, str]:
    """Return what is typed into the first form."""
    return account_input(sim)


@pytest.fixture
def addresses(server: str) -> dict[str, str]:
    """Return what is typed into the form of the addresses."""
    return server_input(server)


@pytest.fixture
def set_up(hass: HomeAssistant, sim: Simulator, server: str) -> SetUp:
    """Return what sets the site up, both IQs included; see `set_up_site` for its options."""
    return partial(set_up_site, hass, sim, server)
