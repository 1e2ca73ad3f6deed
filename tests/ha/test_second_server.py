"""The same integration against a server that takes the other legal choices.

Short tokens, pages of 20 with links to another machine, lists in two shapes, ids in upper case,
words nobody knows, one-time passwords that count once, a secret that changes with each read.
"""

from collections import Counter
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler
from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.lock.const import LockState
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import STATE_UNKNOWN
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
import pytest

from tests.dossier_server import LOCK_COUNT, DossierServer

from .support import Result, entity_id, fill, fill_iq, go_on, server_input, start, start_iq
from .watching import act, shown, state_of

WITHOUT_IQ = 3
OFFLINE = 9
ON_SECOND_IQ = 13


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Let time pass only when a test says so."""


@pytest.fixture
def dossier() -> DossierServer:
    """Return the second server."""
    return DossierServer()


@pytest.fixture
def failing() -> Counter[str]:
    """Return how often a path that ends so is to fail before it works."""
    return Counter()


@pytest.fixture
async def url(
    dossier: DossierServer, failing: Counter[str], socket_enabled: None
) -> AsyncIterator[str]:
    """Serve it and return its address."""

    @web.middleware
    async def fail(request: web.Request, handler: Handler) -> web.StreamResponse:
        ending = request.path.rsplit("/", 1)[-1]
        if failing[ending]:
            failing[ending] -= 1
            return web.Response(status=503)
        return await handler(request)

    app = dossier.app()
    app.middlewares.insert(0, fail)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(access_log=None)
    yield str(server.make_url("")).rstrip("/")
    await server.close()


async def reach_iq(hass: HomeAssistant, dossier: DossierServer, url: str) -> Result:
    """Go through account and addresses; gives the form of the IQ."""
    known = dossier.credentials
    result = await fill(
        hass,
        await start(hass),
        {
            "environment": "custom",
            "client_id": known.client_id,
            "client_secret": known.client_secret,
            "username": known.username,
            "password": known.password,
            "site_uid": known.site_uid.lower(),
        },
    )
    return await fill(hass, result, server_input(url))


async def set_up(hass: HomeAssistant, dossier: DossierServer, url: str) -> ConfigEntry:
    """Set the site up with its first IQ."""
    result = await reach_iq(hass, dossier, url)
    result = await fill(hass, result, {"iq_id": iq_ids(dossier)[0]})
    result = await fill(hass, result, {"channel": "sms"})
    pin = dossier.delivered_pins[-1][2]
    result = await fill(hass, result, {"pin": pin, "store_pin": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    entry: ConfigEntry = result["result"]
    assert entry.state is ConfigEntryState.LOADED
    return entry


def iq_ids(dossier: DossierServer) -> list[str]:
    """Return the ids of its IQs."""
    return list(dossier._iqs)


def lock_id(dossier: DossierServer, number: int) -> str:
    """Return the id of a door by its place in the list."""
    return list(dossier._locks)[number]


def door(hass: HomeAssistant, dossier: DossierServer, number: int) -> str:
    """Return the lock entity of a door by its place in the list."""
    return entity_id(hass, "lock", lock_id(dossier, number), "lock")


def commands(dossier: DossierServer) -> int:
    """Count the commands to doors that have reached it."""
    return sum(method == "PATCH" for method, _ in dossier.requests)


async def test_set_up_and_open(hass: HomeAssistant, dossier: DossierServer, url: str) -> None:
    """The site is set up with all of its 25 doors, read in pages of 20, and a door opens."""
    await set_up(hass, dossier, url)
    assert len(hass.states.async_all("lock")) == LOCK_COUNT
    await act(hass, "lock", "unlock", door(hass, dossier, 0))
    assert dossier.opened == [lock_id(dossier, 0)]
    assert commands(dossier) == 1
    assert state_of(hass, door(hass, dossier, 0)) == LockState.UNLOCKED


async def test_two_openings_in_one_second(
    hass: HomeAssistant, dossier: DossierServer, url: str
) -> None:
    """With one-time passwords that count once two doors of an IQ still open in one second."""
    await set_up(hass, dossier, url)
    for number in (0, 1, 0):
        await act(hass, "lock", "unlock", door(hass, dossier, number))
    assert dossier.opened == [lock_id(dossier, number) for number in (0, 1, 0)]
    assert commands(dossier) == 3


async def test_relocking_is_read(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, dossier: DossierServer, url: str
) -> None:
    """A door of which Salto says that it is locked is shown so soon after its opening."""
    await set_up(hass, dossier, url)
    await act(hass, "lock", "unlock", door(hass, dossier, 0))
    await go_on(hass, freezer, 4)
    assert state_of(hass, door(hass, dossier, 0)) == LockState.LOCKED


async def test_office_mode(hass: HomeAssistant, dossier: DossierServer, url: str) -> None:
    """Office mode begins and ends with answers that have no body."""
    await set_up(hass, dossier, url)
    switch = entity_id(hass, "switch", lock_id(dossier, 0), "office_mode")
    await act(hass, "switch", "turn_on", switch)
    assert state_of(hass, switch) == "on"
    await act(hass, "lock", "lock", door(hass, dossier, 0))
    assert state_of(hass, switch) == "off"
    assert commands(dossier) == 2


async def test_odd_doors(hass: HomeAssistant, dossier: DossierServer, url: str) -> None:
    """Doors that tell little, or in words nobody knows, are there and open all the same."""
    await set_up(hass, dossier, url)
    for number in range(LOCK_COUNT):
        state = state_of(hass, door(hass, dossier, number))
        expected = STATE_UNKNOWN if number in {3, 7, 8, 10, 21} else LockState.LOCKED
        assert state == expected, number
    for number in (4, 5, 6, 7, 8, 10, 11, 12):
        await act(hass, "lock", "unlock", door(hass, dossier, number))
        assert dossier.opened[-1] == lock_id(dossier, number)


async def test_doors_that_cannot_open(
    hass: HomeAssistant, dossier: DossierServer, url: str
) -> None:
    """A door without IQ or on one that is not set up is not tried; one out of reach says so."""
    await set_up(hass, dossier, url)
    with shown("lock_without_iq", users=True):
        await act(hass, "lock", "unlock", door(hass, dossier, WITHOUT_IQ))
    with shown("iq_not_set_up", users=True):
        await act(hass, "lock", "unlock", door(hass, dossier, ON_SECOND_IQ))
    assert commands(dossier) == 0
    with pytest.raises(HomeAssistantError):
        await act(hass, "lock", "unlock", door(hass, dossier, OFFLINE))
    assert commands(dossier) == 1
    assert dossier.opened == []


async def test_iq_that_was_reset(hass: HomeAssistant, dossier: DossierServer, url: str) -> None:
    """The second IQ is restored, activated and opens its doors, beside the first."""
    entry = await set_up(hass, dossier, url)
    result = await fill_iq(hass, await start_iq(hass, entry), {"iq_id": iq_ids(dossier)[1]})
    assert result["step_id"] == "iq_restore"
    result = await fill_iq(hass, result, {})
    assert result["step_id"] == "iq_delivery", result
    result = await fill_iq(hass, result, {"channel": "email"})
    iq_id, channel, pin = dossier.delivered_pins[-1]
    assert (iq_id, channel) == (iq_ids(dossier)[1], "email")
    result = await fill_iq(hass, result, {"pin": pin, "store_pin": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    for number in (ON_SECOND_IQ, 0):
        await act(hass, "lock", "unlock", door(hass, dossier, number))
        assert dossier.opened[-1] == lock_id(dossier, number)


async def test_secret_that_changes_with_each_read(
    hass: HomeAssistant, dossier: DossierServer, failing: Counter[str], url: str
) -> None:
    """When the PIN cannot be sent at first, the secret read last is the one that counts."""
    result = await reach_iq(hass, dossier, url)
    result = await fill(hass, result, {"iq_id": iq_ids(dossier)[0]})
    failing["pin"] = 2
    for _ in range(2):
        result = await fill(hass, result, {"channel": "email"})
        assert result["step_id"] == "iq_delivery"
        assert result["errors"]
    result = await fill(hass, result, {"channel": "email"})
    assert sum(path.endswith("/secret") for _, path in dossier.requests) == 3
    pin = dossier.delivered_pins[-1][2]
    result = await fill(hass, result, {"pin": pin, "store_pin": True})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await hass.async_block_till_done()
    await act(hass, "lock", "unlock", door(hass, dossier, 0))
    assert dossier.opened == [lock_id(dossier, 0)]


async def test_short_tokens(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, dossier: DossierServer, url: str
) -> None:
    """With tokens that live for two minutes nothing is ever refused for its token."""
    await set_up(hass, dossier, url)
    for _ in range(15):
        await go_on(hass, freezer, 75)
        assert state_of(hass, door(hass, dossier, 0)) != STATE_UNKNOWN
        await act(hass, "lock", "unlock", door(hass, dossier, 0))
    assert len(dossier.opened) == commands(dossier) == 15


async def test_block(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, dossier: DossierServer, url: str
) -> None:
    """After three rejections nothing is sent until long after the block has ended."""
    await set_up(hass, dossier, url)
    standing = dossier._standings[iq_ids(dossier)[0]]
    right, standing.pin = standing.pin, "9999"
    for _ in range(3):
        with shown("otp_rejected"):
            await act(hass, "lock", "unlock", door(hass, dossier, 0))
    standing.pin = right
    with shown("otp_held"):
        await act(hass, "lock", "unlock", door(hass, dossier, 0))
    assert commands(dossier) == 3
    await go_on(hass, freezer, 25 * 60)
    await act(hass, "lock", "unlock", door(hass, dossier, 0))
    assert dossier.opened == [lock_id(dossier, 0)]
