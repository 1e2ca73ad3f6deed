"""What each thing costs in requests, exactly: the service is paid for and shared."""

from collections import Counter

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest

from simulator import Quirks, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import (
    A_TIME,
    GROUP,
    GROUP_LOCKS,
    GROUP_USERS,
    GROUPS,
    GUESTS,
    HOUR,
    PIN,
    SEAT,
    SUBSCRIPTION,
    TIMES,
    USER,
    USER_KEYS,
    USERS,
    ask,
    issue,
)
from .support import GATE, RECEPTION, door, go_on, lock_named, unlock, without_live_events
from .watching import IQS, LOCK, LOCKING, LOCKS, TOKEN, act, asked

__all__ = ["hass_config_dir", "hass_storage"]

SITE = "/v1.2/sites/{site}"
ME = "/v1.2/sites/{site}/me"
ACTIVATIONS = "/v1.2/me/{site}/activated_iqs"

EVENTS = "/v1.1/sites/{site}/entries"

DOORS_POLL = [("GET", LOCKS), ("GET", IQS)]
POLL = [*DOORS_POLL, ("GET", EVENTS)]
SITE_POLL = [("GET", SITE), ("GET", ME), ("GET", ACTIVATIONS)]
COMPARISON = [("GET", USERS), ("GET", GROUPS)]
MINUTES = 60
POLLS_OF_AN_HOUR = 48
MOST_A_MINUTE = 3
"""Requests of an idle site in all: three for the poll, and what is read every ten minutes or less."""


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


async def test_loading_a_site(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Loading an entry costs a token, three requests for the site and one for each page.

    A further one asks whether events of the door log come live.
    """
    entry = await set_up(iqs=[RECEPTION])
    sim.journal.clear()
    await hass.config_entries.async_reload(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert asked(sim) == [("POST", TOKEN), *SITE_POLL, *POLL, ("GET", SUBSCRIPTION)]


async def test_poll(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A poll costs one request for the locks, one for the IQs and one for the door log."""
    await set_up(iqs=[RECEPTION])
    sim.journal.clear()
    await go_on(hass, freezer, 75)
    assert sorted(asked(sim)) == sorted(POLL)
    for route in (LOCKS, IQS):
        (entry,) = sim.journal.filter("GET", route)
        assert entry.query == {"$top": "100"}


async def test_quiet_hour(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An hour costs 48 polls, six looks at the site, a token, and one look at the keys.

    The last is the comparison after a start: pages of users and of access groups. Live events that
    the subscription does not have are asked for once more.
    """
    await set_up(iqs=[RECEPTION])
    sim.journal.clear()
    for _ in range(POLLS_OF_AN_HOUR):
        await go_on(hass, freezer, 75)
    assert len(asked(sim)) <= MOST_A_MINUTE * MINUTES
    expected = Counter(POLL * POLLS_OF_AN_HOUR + SITE_POLL * (MINUTES // 10) + [("POST", TOKEN)])
    seen = Counter(asked(sim))
    # Each look is put off by a fraction of a second, so one may fall behind the hour's end.
    for request, count in expected.items():
        assert count - 1 <= seen.pop(request) <= count
    assert seen == Counter([*COMPARISON, ("GET", SUBSCRIPTION)])


async def test_polling_interval_is_an_option(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """With an interval of five minutes there is one poll in five minutes."""
    entry = await set_up(iqs=[RECEPTION])
    hass.config_entries.async_update_entry(entry, options={"polling_interval": 300})
    await hass.async_block_till_done(wait_background_tasks=True)
    sim.journal.clear()
    for _ in range(3):
        await go_on(hass, freezer, 75)
    assert asked(sim) == []
    await go_on(hass, freezer, 76)
    assert sorted(asked(sim)) == sorted(POLL)


async def test_opening(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """An opening costs one request, and looks at this door alone until it has relocked."""
    await set_up(iqs=[RECEPTION])
    sim.set("lock", lock_named(sim, GATE).id, open_time=6)
    sim.journal.clear()
    await unlock(hass, sim)
    assert asked(sim) == [("PATCH", LOCKING)]
    for _ in range(50):
        await go_on(hass, freezer, 1)
    assert asked(sim) == [("PATCH", LOCKING), ("GET", LOCK), ("GET", LOCK)]


GET_BACK = [
    ("GET", USER),
    ("GET", USER_KEYS),
    ("GET", GROUP_LOCKS),
    ("GET", GROUP_USERS),
    ("GET", TIMES),
]
"""A key with one group is read back in five requests."""


async def test_keys(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """A key costs seven writes and seven reads; a listing and a PIN that is shown cost nothing.

    The first key after a start costs a look at all the keys that are at Salto, beside that.
    """
    entry = await set_up(iqs=[RECEPTION])
    now = sim.clock.now()
    sim.journal.clear()
    await issue(hass, sim, entry, starts_at=now, ends_at=now + HOUR)
    first = Counter(asked(sim))
    sim.journal.clear()
    key = await issue(hass, sim, entry, starts_at=now, ends_at=now + HOUR, booking_id="R-1")
    assert first == Counter([*COMPARISON, *asked(sim)])
    assert asked(sim) == [
        ("GET", SITE),
        ("GET", SUBSCRIPTION),
        ("POST", GROUPS),
        ("PATCH", GROUP_LOCKS),
        ("POST", TIMES),
        ("POST", GUESTS),
        ("PATCH", USER),
        ("POST", GROUP_USERS),
        ("PUT", PIN),
        *GET_BACK,
    ]
    longer = {"ends_at": (now + 2 * HOUR).isoformat()}
    for action, more, expected in (
        ("get_pin", {}, []),
        ("change_key", longer, [("PATCH", USER), ("GET", USER), ("PATCH", A_TIME), *GET_BACK]),
        ("suspend_key", {}, [("PATCH", SEAT), ("GET", USER)]),
        ("resume_key", {}, [("PATCH", SEAT), ("GET", USER)]),
        ("rotate_pin", {}, [("PUT", PIN)]),
        ("revoke_key", {}, [("DELETE", USER), ("DELETE", GROUP), *COMPARISON]),
    ):
        sim.journal.clear()
        await ask(hass, entry, action, key_id=key["key_id"], **more)
        assert asked(sim) == expected, action
    sim.journal.clear()
    assert (await ask(hass, entry, "get_keys"))["keys"]
    assert (await ask(hass, entry, "get_audit_log"))["lines"]
    assert asked(sim) == []


async def test_ending_office_mode(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Locking costs a look, and a command only where there is something to end."""
    await set_up(iqs=[RECEPTION])
    sim.journal.clear()
    await act(hass, "lock", "lock", door(hass, sim))
    assert asked(sim) == [("GET", LOCK)]
    sim.set("lock", lock_named(sim, GATE).id, locked_state="office_mode")
    sim.journal.clear()
    await act(hass, "lock", "lock", door(hass, sim))
    assert asked(sim) == [("GET", LOCK), ("PATCH", LOCKING)]


class TestLargeSite:
    """A site of 250 doors on 16 IQs."""

    @pytest.fixture
    def seed(self) -> SeedName:
        """Start with many doors."""
        return "large"

    @pytest.fixture
    def sim(self, seed: SeedName, quirks: Quirks) -> Simulator:
        """Return a simulated Salto with 250 doors and no guests."""
        large = Simulator(seed=seed, quirks=quirks, rng_seed=1, doors=250, users=0)
        return without_live_events(large)

    async def test_load_and_poll(
        self, hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
    ) -> None:
        """Three pages of locks and one of IQs, at the start and at each poll; a door costs one."""
        await set_up(iqs=[])
        assert len(hass.states.async_all("lock")) == 250
        assert sim.journal.count("GET", LOCKS) == 3
        sim.journal.clear()
        await go_on(hass, freezer, 75)
        assert sorted(asked(sim)) == sorted([("GET", LOCKS)] * 2 + POLL)
        skips = [entry.query.get("$skip") for entry in sim.journal.filter("GET", LOCKS)]
        assert skips == [None, "100", "200"]
