"""Live events: a PIN at a keypad is told at once, and whatever the stream does, once."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
import logging
from time import monotonic
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.common import async_fire_time_changed
from yarl import URL

from custom_components.salto_ks.access_stream import (
    FIRST_PAUSE,
    LATER,
    LONGEST_PAUSE,
    STEADY,
    AccessStream,
    StreamState,
    pause_after,
)
from custom_components.salto_ks.api.access_events import AccessEvent, AccessEventId
from custom_components.salto_ks.doorbell import LOOK_AGAIN, QUIET, SPACING, Doorbell
from custom_components.salto_ks.session import stream_url_of
from simulator import Fault, Quirks, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .keys import MORNING
from .support import GATE, LAUNDRY, entity_id, lock_named, without_live_events
from .watching import stand_still, state_of, until

ENTRIES = "/v1.1/sites/{site}/entries"
HUB = "/v1/hub/entries"
SUBSCRIPTION = "/v1.2/sites/{site}/subscription"
NEVER = AccessEventId("99999999-9999-4999-8999-999999999999")
SOON = QUIET + 0.05


@pytest.fixture
def sim(seed: SeedName, quirks: Quirks) -> Simulator:
    """Return the simulated Salto, with live events."""
    return Simulator(seed=seed, quirks=quirks, rng_seed=1)


class Site:
    """A site that is set up, what was told of its doors, and time for all of it."""

    def __init__(self, hass: HomeAssistant, sim: Simulator, entry: ConfigEntry[Any]) -> None:
        """Listen to the feed."""
        self._hass = hass
        self._sim = sim
        self.entry = entry
        self.told: list[str] = []
        entry.runtime_data.feed.async_listen(self._hear)

    def _hear(self, events: tuple[AccessEvent, ...]) -> None:
        self.told += [event.id for event in events]

    @property
    def stream(self) -> AccessStream:
        """Return the stream."""
        stream: AccessStream = self.entry.runtime_data.stream
        return stream

    @property
    def looks(self) -> int:
        """Count how often the door log was read."""
        return self._sim.journal.count("GET", ENTRIES)

    @property
    def connections(self) -> int:
        """Count how often it was tried to connect."""
        return self._sim.journal.count("GET", HUB)

    @property
    def shown(self) -> str:
        """Return what the sensor shows."""
        return state_of(
            self._hass, entity_id(self._hass, "sensor", self._sim.site_id, "live_events")
        )

    def knock(self, name: str = GATE) -> str:
        """Type a PIN that nobody has, and return the id of the line that this makes."""
        self._sim.keypad(lock_named(self._sim, name).id, "000000")
        entry_id: str = self._sim.world.entries[-1].id
        return entry_id

    async def is_live(self) -> None:
        """Wait until it is connected, on both sides."""
        await until(lambda: self.stream.state is StreamState.LIVE)
        await until(lambda: self._sim.hub.connections == 1)


class Frozen(Site):
    """The same, in time that passes only when a test says so."""

    def __init__(
        self,
        hass: HomeAssistant,
        sim: Simulator,
        entry: ConfigEntry[Any],
        freezer: FrozenDateTimeFactory,
    ) -> None:
        """Move a clock."""
        super().__init__(hass, sim, entry)
        self._freezer = freezer

    async def go_on(self, seconds: float, then: Callable[[], bool] | None = None) -> None:
        """Let time pass, and wait until something is so, or until all stands still."""
        self._freezer.tick(timedelta(seconds=seconds))
        async_fire_time_changed(self._hass)
        await (stand_still() if then is None else until(then))

    async def calm_down(self) -> None:
        """Let the look pass that connecting has asked for."""
        looks = self.looks
        await self.go_on(SOON, lambda: self.looks == looks + 1)
        await self.go_on(SPACING)
        self._sim.journal.clear()


@pytest.fixture
async def site(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> Frozen:
    """Set the site up and let it connect, in frozen time."""
    freezer.move_to(MORNING + timedelta(seconds=0.5))
    site = Frozen(hass, sim, await set_up(iqs=[]), freezer)
    await site.is_live()
    await site.calm_down()
    return site


# What it is for


async def test_pin_is_told_within_two_seconds(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """In real time: who types a PIN is told in less than two seconds, not at the next poll."""
    site = Site(hass, sim, await set_up(iqs=[]))
    await site.is_live()
    guest = sim.world.guests[0]
    assert guest.pin is not None
    await asyncio.sleep(SPACING)
    for number in (1, 2, 3):
        began = monotonic()
        assert sim.keypad(lock_named(sim, GATE).id, guest.pin).result == "opened"
        while len(site.told) < number:
            assert monotonic() - began < 2
            await asyncio.sleep(0.01)
    assert site.told == [entry.id for entry in sim.world.entries]
    assert site.shown == "live"


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks.instant(hub_argument="object"),
        Quirks.instant(hub_negotiation="required"),
        Quirks.instant(hub_delivery="twice"),
        Quirks.instant(token_format="opaque"),
    ],
)
async def test_whatever_the_hub_is_like(site: Frozen) -> None:
    """An event is told soon and once, at the cost of one look."""
    line = site.knock()
    await until(lambda: site.stream.diagnostics()["rings"] >= 1)
    await site.go_on(SOON, lambda: site.told == [line])
    for _ in range(5):
        await site.go_on(5)
    assert site.told == [line]
    assert site.looks == 1


async def test_burst_costs_few_looks(site: Frozen) -> None:
    """What comes together is told together, and looks keep their distance."""
    lines = []
    for _ in range(10):
        lines.append(site.knock())
        await stand_still()
        await site.go_on(0.1)
    await site.go_on(SPACING)
    await until(lambda: sorted(site.told) == sorted(lines))
    assert site.looks <= 3


@pytest.mark.parametrize("quirks", [Quirks.instant(entries_lag_s=3.0)])
async def test_log_that_lags_is_looked_at_again(site: Frozen) -> None:
    """A line that the log has not got yet is looked for again, not left to the next poll."""
    line = site.knock()
    await stand_still()
    for _ in range(20):
        await site.go_on(0.5)
    assert site.told == [line]
    assert 3 <= site.looks <= 4


async def test_line_that_never_comes(site: Frozen) -> None:
    """What is not in the log is given up; the ordinary polls go on."""
    feed = site.entry.runtime_data.feed
    feed.async_ring(NEVER)
    for _ in range(14):
        await site.go_on(1.5)
    assert site.looks == 1 + len(LOOK_AGAIN)
    feed.async_ring(NEVER)
    await site.go_on(SOON)
    assert site.looks == 2 + len(LOOK_AGAIN)


async def test_rings_in_any_order(site: Frozen) -> None:
    """Rings that are late, doubled or out of order change nothing about what is told."""
    feed = site.entry.runtime_data.feed
    lines = [AccessEventId(site.knock()), AccessEventId(site.knock(LAUNDRY))]
    for line in (lines[1], lines[0], lines[1], None, lines[0]):
        feed.async_ring(line)
    await site.go_on(SOON, lambda: sorted(site.told) == sorted(lines))
    await site.go_on(SPACING)
    for line in lines:
        feed.async_ring(line)
    await site.go_on(5)
    assert site.looks == 1
    assert sorted(site.told) == sorted(lines)


class Porch:
    """A doorbell, and looks that take as long as a test wants."""

    def __init__(self, hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
        """Hang up a bell."""
        self.told: set[AccessEventId] = set()
        self.looks = 0
        self.looking = asyncio.Event()
        self._hass = hass
        self._freezer = freezer
        self.bell = Doorbell(
            hass, look=self._look, is_told=self.told.__contains__, start=hass.async_create_task
        )

    async def _look(self) -> None:
        self.looks += 1
        await self.looking.wait()

    async def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self._freezer.tick(seconds)
        async_fire_time_changed(self._hass)
        await stand_still()


async def test_ring_during_a_look(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Who rings while somebody looks gets a look of his own, unless he was told by then."""
    porch = Porch(hass, freezer)
    first, second = AccessEventId("first"), AccessEventId("second")
    porch.bell.ring(first)
    await porch.go_on(SOON)
    assert porch.looks == 1
    porch.bell.ring(second)
    await porch.go_on(10)
    assert porch.looks == 1
    porch.told.add(first)
    porch.looking.set()
    await stand_still()
    await porch.go_on(SOON)
    assert porch.looks == 2
    porch.told.add(second)
    await porch.go_on(10)
    assert porch.looks == 3
    await porch.go_on(100)
    assert porch.looks == 3
    porch.looking.clear()
    porch.bell.ring(None)
    await porch.go_on(SOON)
    third = AccessEventId("third")
    porch.bell.ring(third)
    porch.told.add(third)
    porch.looking.set()
    await porch.go_on(100)
    assert porch.looks == 4


async def test_ring_brings_a_look_forward(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory
) -> None:
    """A ring does not wait for a look that is planned for later."""
    porch = Porch(hass, freezer)
    porch.looking.set()
    porch.bell.ring(AccessEventId("late"))
    for looks in (1, 2, 3):
        await porch.go_on(2.1)
        assert porch.looks == looks
    porch.bell.ring(None)
    await porch.go_on(SPACING + 0.05)
    assert porch.looks == 4
    porch.bell.close()
    await porch.go_on(100)
    assert porch.looks == 4


async def test_ring_while_salto_asks_to_wait(site: Frozen, sim: Simulator) -> None:
    """Too many requests means too many: a ring does not come before the time that Salto says."""
    fault = Fault(route=ENTRIES, status=429, headers={"Retry-After": "30"})
    sim.faults.add(fault)
    first = site.knock()
    await stand_still()
    await site.go_on(SOON, lambda: sim.faults.hits(fault) == 1)
    site.knock()
    for _ in range(20):
        await site.go_on(1)
    assert site.looks == 1
    for _ in range(15):
        await site.go_on(1)
    assert first in site.told
    assert len(site.told) == 2


# When it breaks


async def test_dropped_connection(site: Frozen, sim: Simulator) -> None:
    """A connection that breaks is made anew, and what happened in between is told."""
    before = site.knock()
    await stand_still()
    await site.go_on(SOON, lambda: site.told == [before])
    sim.hub.drop()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    assert site.shown == "connecting"
    between = site.knock(LAUNDRY)
    await site.go_on(FIRST_PAUSE + 0.1, lambda: site.stream.state is StreamState.LIVE)
    await site.go_on(SPACING, lambda: site.told == [before, between])
    await site.is_live()
    after = site.knock()
    await stand_still()
    await site.go_on(SPACING, lambda: site.told == [before, between, after])
    assert site.shown == "live"


@pytest.mark.parametrize(
    "fault",
    [
        {"reset": True},
        {"drop_after_commit": True},
        {"body": "garbage"},
        {"body": "x" * 300_000},
        {"body": '{"type":7,"error":"over"}\x1e'},
    ],
)
async def test_message_that_goes_wrong(site: Frozen, sim: Simulator, fault: dict[str, Any]) -> None:
    """A message that is lost or spoilt costs a connection, and no event."""
    sim.faults.add(Fault(route=HUB, method="PUSH", **fault))
    line = site.knock()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    await site.go_on(FIRST_PAUSE + 0.1, lambda: site.stream.state is StreamState.LIVE)
    await site.go_on(SPACING, lambda: site.told == [line])
    await site.go_on(5)
    assert site.told == [line]


async def test_message_that_is_lost(site: Frozen, sim: Simulator) -> None:
    """A message that never comes is made up for by the ordinary poll."""
    sim.faults.add(Fault(route=HUB, method="PUSH", body='{"type":6}\x1e'))
    line = site.knock()
    for _ in range(8):
        await site.go_on(10)
    assert site.told == [line]
    assert site.looks == 1
    assert site.stream.state is StreamState.LIVE


async def test_connection_that_holds(site: Frozen, sim: Simulator) -> None:
    """Hours pass over one connection; after it the first pause is a short one again."""
    sim.hub.drop()
    for _ in range(3):
        await until(lambda: site.stream.state is StreamState.CONNECTING)
        await site.go_on(10, lambda: site.stream.state is StreamState.LIVE)
        sim.hub.drop()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    await site.go_on(10, lambda: site.stream.state is StreamState.LIVE)
    assert site.stream.diagnostics()["failures_in_a_row"] == 4
    sim.journal.clear()
    for _ in range(int(STEADY / 10) + 30):
        await site.go_on(10)
    assert site.connections == 0
    sim.hub.drop()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    assert site.stream.diagnostics()["failures_in_a_row"] == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_service_that_is_down(site: Frozen, sim: Simulator, status: int) -> None:
    """A service that is down is tried ever more seldom, and polling goes on."""
    sim.faults.add(Fault(route=HUB, status=status, count=None))
    sim.hub.drop()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    line = site.knock()
    for _ in range(30):
        await site.go_on(10)
    assert 5 <= site.connections <= 10
    assert site.told == [line]
    sim.faults.clear()
    await site.go_on(LONGEST_PAUSE, lambda: site.stream.state is StreamState.LIVE)
    assert site.shown == "live"


def test_pauses_grow() -> None:
    """A second at first, five minutes in the end, and never all at the same moment."""
    longest = [pause_after(failures, max) for failures in range(20)]
    assert longest[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert longest == sorted(longest)
    assert set(longest[9:]) == {LONGEST_PAUSE}
    assert pause_after(20, min) == LONGEST_PAUSE / 2
    assert pause_after(10_000, min) == LONGEST_PAUSE / 2


# When it is not for us


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_refused(
    site: Frozen, sim: Simulator, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    """Who may not listen polls, is told so once, and is asked again much later."""
    caplog.set_level(logging.INFO)
    sim.faults.add(Fault(route=HUB, status=status, count=None))
    sim.hub.drop()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    await site.go_on(FIRST_PAUSE + 0.1, lambda: site.stream.state is StreamState.REFUSED)
    assert site.shown == "refused"
    assert site.entry.state is ConfigEntryState.LOADED
    connections = site.connections
    line = site.knock()
    for _ in range(8):
        await site.go_on(10)
    assert site.told == [line]
    assert site.connections == connections
    await site.go_on(LATER, lambda: site.connections > connections)
    await stand_still()
    assert caplog.text.count("Salto does not let the account hear of them live") == 1
    sim.faults.clear()
    await site.go_on(LATER, lambda: site.stream.state is StreamState.LIVE)


async def test_feature_that_comes_and_goes(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without the feature nobody connects; it is looked for again from time to time."""
    freezer.move_to(MORNING)
    without_live_events(sim)
    site = Frozen(hass, sim, await set_up(iqs=[]), freezer)
    assert site.shown == "not_offered"
    for _ in range(3):
        await site.go_on(LATER)
    assert site.connections == 0
    assert 2 <= sim.journal.count("GET", SUBSCRIPTION) <= 4
    assert caplog.text.count("live events are not part of the site's subscription") == 1
    sim.set("site", sim.site_id, features=["events_streaming"])
    await site.go_on(LATER, lambda: site.stream.state is StreamState.LIVE)
    assert site.shown == "live"


@pytest.mark.parametrize(("status", "state"), [(503, "connecting"), (403, "refused")])
async def test_subscription_that_cannot_be_read(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    status: int,
    state: str,
) -> None:
    """Whether there are live events is asked again, soon or later."""
    freezer.move_to(MORNING)
    body = {"ErrorCode": "2203", "Message": "no"}
    sim.faults.add(Fault(route=SUBSCRIPTION, status=status, body=body))
    site = Frozen(hass, sim, await set_up(iqs=[]), freezer)
    assert site.shown == state
    await site.go_on(LATER, lambda: site.stream.state is StreamState.LIVE)


async def test_password_that_is_wrong(site: Frozen, sim: Simulator) -> None:
    """A wrong password is asked for by the polls; the stream does not try it again and again."""
    sim.set("account", sim.account.username, password="another")
    sim.revoke_tokens()
    sim.hub.drop()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    await site.go_on(FIRST_PAUSE + 0.1, lambda: site.stream.state is StreamState.REFUSED)
    logins = sim.journal.count("POST", "/connect/token")
    await site.go_on(40)
    assert sim.journal.count("POST", "/connect/token") <= logins + 3


# The end


async def test_unloading(hass: HomeAssistant, site: Frozen, sim: Simulator) -> None:
    """Unloading ends the connection and what was planned; loading anew makes another one."""
    site.knock()
    await stand_still()
    assert await hass.config_entries.async_unload(site.entry.entry_id)
    await until(lambda: sim.hub.connections == 0)
    looks = site.looks
    for _ in range(10):
        await site.go_on(10)
    assert (site.looks, site.connections) == (looks, 0)
    await hass.config_entries.async_setup(site.entry.entry_id)
    await site.is_live()


async def test_unloading_while_it_waits(hass: HomeAssistant, site: Frozen, sim: Simulator) -> None:
    """Unloading does not wait for a pause to end."""
    sim.faults.add(Fault(route=HUB, status=403, count=None))
    sim.hub.drop()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    await site.go_on(FIRST_PAUSE + 0.1, lambda: site.stream.state is StreamState.REFUSED)
    assert await hass.config_entries.async_unload(site.entry.entry_id)


async def test_stopping(hass: HomeAssistant, site: Frozen, sim: Simulator) -> None:
    """When Home Assistant stops the connection ends first, and is not made again."""
    await hass.async_stop(force=True)
    await until(lambda: sim.hub.connections == 0)
    await site.go_on(75)
    assert site.connections == 0


# What may be seen of it


async def test_no_token_and_nobody_in_the_log(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, caplog: pytest.LogCaptureFixture
) -> None:
    """With all of Home Assistant at DEBUG there is no token, no PIN and nobody's name in the log."""
    caplog.set_level(logging.DEBUG)
    guest = sim.world.guests[0]
    assert guest.pin is not None
    sim.set("user", guest.id, alias="Fenna")
    site = Site(hass, sim, await set_up(iqs=[]))
    await site.is_live()
    sim.keypad(lock_named(sim, GATE).id, guest.pin)
    sim.faults.add(Fault(route=HUB, method="PUSH", body="garbage"))
    sim.keypad(lock_named(sim, GATE).id, guest.pin)
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    assert "Connected to the hub" in caplog.text
    assert sim.world.tokens
    for secret in (*sim.world.tokens, guest.pin, "Fenna", *(line.id for line in sim.world.entries)):
        assert secret not in caplog.text


async def test_diagnostics(site: Frozen, sim: Simulator) -> None:
    """What is told of it is how it goes, and nothing of what went over it."""
    described = site.stream.diagnostics()
    assert described == {
        "state": "live",
        "connections": 1,
        "failures_in_a_row": 0,
        "rings": 0,
        "last_ring_at": None,
        "last_error": None,
    }
    site.knock()
    await until(lambda: site.stream.diagnostics()["rings"] == 1)
    sim.hub.drop()
    await until(lambda: site.stream.state is StreamState.CONNECTING)
    described = site.stream.diagnostics()
    assert described["last_error"] == "SaltoKsConnectionError"
    assert described["last_ring_at"].startswith("2026-12-07T08:00")


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ("production", "https://eventstreaming-connect-production.saltoks.com"),
        ("acceptance", "https://eventstreaming-connect-accept.saltoks.com"),
        ("custom", "https://api.example"),
    ],
)
def test_address_of_the_stream(environment: str, address: str) -> None:
    """Each environment has its own server; a server of one's own has all on one."""
    data = {"environment": environment, "api_url": "https://api.example"}
    assert stream_url_of(data) == URL(address)
