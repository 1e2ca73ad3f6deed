"""From set-up to the day after, under every pair of things that Salto may do either way."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
import json
import time

from aiohttp.test_utils import TestServer
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.lock.const import LockState
from homeassistant.const import STATE_OFF, STATE_ON
from homeassistant.core import HomeAssistant
import pytest

from simulator import Quirks, Simulator, pairwise
from tests.ha.support import (
    GATE,
    RECEPTION,
    door,
    entity_id,
    go_on,
    lock_named,
    opened,
    restarted,
    set_up_site,
    unlock,
)
from tests.ha.watching import act, commands, state_of


@pytest.fixture(autouse=True)
def _our_integration(enable_custom_integrations: None, socket_enabled: None) -> None:
    """Let Home Assistant find the integration, and talk to loopback."""


class Service:
    """A simulated Salto that can be restarted at its address."""

    def __init__(self, sim: Simulator) -> None:
        """Serve `sim`, once started."""
        self.sim = sim
        self._stack = AsyncExitStack()
        self._port: int | None = None

    async def start(self) -> str:
        """Serve; gives the address, the same each time."""
        server = TestServer(self.sim.app(), host="127.0.0.1", port=self._port)
        await server.start_server(access_log=None)
        self._stack.push_async_callback(server.close)
        self._port = server.port
        return f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Serve no longer."""
        await self._stack.aclose()

    async def restart(self) -> None:
        """Go on with what was written down, in a new simulator."""
        written = json.dumps(self.sim.dump())
        await self.stop()
        self.sim = Simulator.load(json.loads(written))
        await self.start()


@pytest.fixture
def quirks() -> Quirks:
    """Return how the simulated Salto behaves; parametrised to try other legal choices."""
    return Quirks.instant()


@pytest.fixture
def sim(quirks: Quirks) -> Simulator:
    """Return a simulated Salto with one door."""
    return Simulator(seed="full", quirks=quirks)


@pytest.fixture
async def service(sim: Simulator, freezer: FrozenDateTimeFactory) -> AsyncIterator[Service]:
    """Return a simulated Salto that is stopped in the end; time passes only when told to."""
    service = Service(sim)
    yield service
    await service.stop()


@pytest.mark.parametrize("quirks", pairwise(Quirks.instant()))
async def test_a_day_at_the_gate(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, service: Service
) -> None:
    """Set up, open, relock, office mode; after restarts of both sides it still opens."""
    entry = await set_up_site(hass, service.sim, await service.start(), iqs=[RECEPTION])
    gate = door(hass, service.sim)
    office_mode = entity_id(hass, "switch", lock_named(service.sim, GATE).id, "office_mode")

    await unlock(hass, service.sim)
    assert opened(service.sim)
    assert state_of(hass, gate) == LockState.UNLOCKED
    for _ in range(4):
        await go_on(hass, freezer, 4)
    assert not opened(service.sim)
    assert state_of(hass, gate) == LockState.LOCKED

    await act(hass, "switch", "turn_on", office_mode)
    assert lock_named(service.sim, GATE).locked_state == "office_mode"
    await go_on(hass, freezer, 3600)
    assert state_of(hass, office_mode) == STATE_ON
    await act(hass, "lock", "lock", gate)
    assert lock_named(service.sim, GATE).locked_state == "locked"
    assert state_of(hass, office_mode) == STATE_OFF

    await hass.config_entries.async_reload(entry.entry_id)
    await unlock(hass, service.sim)
    assert opened(service.sim)
    await go_on(hass, freezer, 75)

    await service.restart()
    assert not opened(service.sim)
    await go_on(hass, freezer, 75)
    assert state_of(hass, gate) == LockState.LOCKED
    await unlock(hass, service.sim)
    assert opened(service.sim)
    assert commands(service.sim) == 1


@pytest.mark.parametrize(
    "quirks",
    pairwise(
        Quirks.instant(), ["list_shape", "next_link_scheme", "next_link_host", "token_format"]
    ),
)
async def test_every_door_of_a_large_site(
    hass: HomeAssistant, service: Service, quirks: Quirks
) -> None:
    """However the pages are told of, all doors are there, and the last one opens."""
    service.sim = Simulator(seed="large", doors=120, users=0, quirks=quirks)
    await set_up_site(hass, service.sim, await service.start(), iqs=["IQ 008"])
    assert len(hass.states.async_all("lock")) == 120
    await unlock(hass, service.sim, "Door 0120")
    assert opened(service.sim, "Door 0120")


async def test_restart_of_home_assistant(hass: HomeAssistant, service: Service) -> None:
    """With both sides restarted at the same time the door still opens."""
    entry = await set_up_site(hass, service.sim, await service.start(), iqs=[RECEPTION])
    await service.restart()
    async with restarted(hass, entry) as (again, _):
        await unlock(again, service.sim)
        assert opened(service.sim)


# The repeated hour


@pytest.fixture
def _amsterdam(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine's own local time be that of Amsterdam."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Europe/Amsterdam")
        time.tzset()
        yield
    time.tzset()


FIRST_HALF_PAST_TWO = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.usefixtures("_amsterdam")
@pytest.mark.parametrize("quirks", [Quirks.instant(otp_reuse="forbidden")])
async def test_half_past_two_comes_twice(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, service: Service
) -> None:
    """When summer time ends the door opens at 02:30 of both hours, and all through the night."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    freezer.move_to(FIRST_HALF_PAST_TWO)
    await set_up_site(hass, service.sim, await service.start(), iqs=[RECEPTION])
    shown = []
    for _ in range(9):
        shown.append(time.localtime(datetime.now(UTC).timestamp())[3:5])
        await unlock(hass, service.sim)
        assert opened(service.sim)
        await go_on(hass, freezer, 900)
        assert state_of(hass, door(hass, service.sim)) == LockState.LOCKED
    assert shown.count((2, 30)) == 2
    assert commands(service.sim) == 9
