"""The client's walk against the second stand-in, which makes the other legal choices."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
from aiohttp.test_utils import TestServer
import pytest

from custom_components.salto_ks.api import SaltoKsClient
from custom_components.salto_ks.api.exceptions import (
    SaltoKsForbiddenError,
    SaltoKsHardwareError,
    SaltoKsIqNotActivatedError,
    SaltoKsOtpBlockedError,
    SaltoKsOtpRejectedError,
)
from custom_components.salto_ks.api.iq_pin import digitwise_difference
from custom_components.salto_ks.api.models import (
    BatteryLevel,
    IqId,
    Lock,
    LockCommand,
    LockedState,
    LockType,
    PinChannel,
    SiteId,
)
from custom_components.salto_ks.api.otp import IqOtp
from tests.dossier_server import LOCK_COUNT, DossierServer

from .accounts import account_at, client_of


@dataclass
class Clock:
    """A clock that moves only when told."""

    now: datetime = datetime(2026, 10, 25, 0, 30, 0, 987_654, tzinfo=UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


class Walk:
    """A client in the other world, with what it has learnt so far."""

    def __init__(self, server: DossierServer, clock: Clock, client: SaltoKsClient) -> None:
        """Begin with nothing but the account."""
        self.server = server
        self.clock = clock
        self.client = client
        self.site_id = SiteId(server.credentials.site_id)
        self.secret = ""
        self.pin = ""

    def otp(self, *, pin: str | None = None) -> str:
        """Sign the next second, since a code counts once here."""
        self.clock.now += timedelta(seconds=1)
        return IqOtp(self.secret, pin or self.pin).at(self.clock.now)

    async def locks(self) -> list[Lock]:
        """Read the locks in the order of their names' numbers."""
        return list(await self.client.locks(self.site_id))

    async def iq_ids(self) -> list[IqId]:
        """Read the ids of the IQs."""
        return [iq.id for iq in await self.client.iqs(self.site_id)]

    async def activate(self, iq_id: IqId) -> None:
        """Become somebody whose OTP this IQ takes."""
        self.secret = await self.client.first_secret(self.site_id, iq_id)
        await self.client.request_pin(self.site_id, iq_id, PinChannel.SMS)
        self.pin = self.server.delivered_pins[-1][2]
        await self.client.set_pin(self.site_id, iq_id, otp=self.otp())

    async def open(self, lock: Lock, otp: str | None) -> None:
        """Open a door."""
        await self.client.command_lock(self.site_id, lock.id, LockCommand.OPEN, otp=otp)


@pytest.fixture
async def walk(session: aiohttp.ClientSession) -> AsyncIterator[Walk]:
    """Walk through the world with the other choices."""
    clock = Clock()
    server = DossierServer(clock=clock)
    async with TestServer(server.app(), host="127.0.0.1") as served:
        yield Walk(
            server, clock, client_of(session, served.make_url("/"), credentials=account_at(server))
        )


async def test_from_login_to_an_open_door(walk: Walk) -> None:
    """Each step is the one request that it is against any Salto, and the door opens."""
    client, site = walk.client, walk.site_id
    await client.check_login()
    (found,) = await client.sites()
    assert found.id == site
    iq, _ = await walk.iq_ids()
    await walk.activate(iq)
    locks = await walk.locks()
    await walk.open(locks[0], walk.otp())
    assert walk.server.opened == [locks[0].id]
    activations = {item.iq_id: item for item in await client.activations(site)}
    assert activations[iq].activated

    here = f"/v1.2/sites/{site}"
    assert walk.server.requests == [
        ("POST", "/connect/token"),
        ("GET", "/v1.2/sites"),
        ("GET", f"{here}/iqs"),
        ("GET", f"{here}/iqs/{iq}/secret"),
        ("GET", f"{here}/iqs/{iq}/pin"),
        ("PUT", f"{here}/iqs/{iq}/pin"),
        ("GET", f"{here}/locks"),
        ("GET", f"{here}/locks"),
        ("PATCH", f"{here}/locks/{locks[0].id}/locking"),
        ("GET", f"/v1.2/me/{site}/activated_iqs"),
    ]


async def test_odd_doors_are_read(walk: Walk) -> None:
    """Unknown words, nulls, upper-case ids and missing fields are doors all the same."""
    locks = await walk.locks()
    iqs = await walk.iq_ids()
    assert len(locks) == LOCK_COUNT
    assert {lock.iq_id for lock in locks} == {*iqs, None}
    assert locks[1].lock_type is LockType.WALL_READER_PIN
    assert (locks[3].iq_id, locks[3].locked_state) == (None, LockedState.NONE)
    assert (locks[4].name, locks[4].mac) == ("", "")
    assert (locks[5].lock_type, locks[5].has_keypad) == ("turnstile_with_palm_reader", False)
    assert locks[6].battery_level == "half_full"
    assert locks[7].locked_state == "ajar"
    assert locks[8].battery_level is BatteryLevel.UNKNOWN
    assert locks[10].iq_id == iqs[0]
    assert (locks[11].online, locks[11].privacy_mode) == (False, None)
    assert locks[21].left_open_alarm
    assert await walk.client.lock(walk.site_id, locks[1].id) == locks[1]


async def test_sparse_iq_still_wants_codes(walk: Walk) -> None:
    """An IQ that does not say so is signed for, and its restoring is a call of its own."""
    _, iq_id = await walk.iq_ids()
    iq = await walk.client.iq(walk.site_id, iq_id)
    assert (iq.otp_enabled, iq.restore_required, iq.signal_strength) == (True, True, 21)
    assert (iq.revision, iq.time_zone, iq.mac) == ("3", "", "")
    door = next(lock for lock in await walk.locks() if lock.iq_id == iq_id)
    await walk.activate(iq_id)
    with pytest.raises(SaltoKsForbiddenError) as caught:
        await walk.open(door, walk.otp())
    assert caught.value.code is None
    await walk.client.restore_iq(walk.site_id, iq_id)
    await walk.open(door, walk.otp())
    assert walk.server.opened == [door.id]


async def test_refusals_have_their_classes(walk: Walk) -> None:
    """Codes as numbers, RFC 7807 and unheard-of reasons are told apart as ever."""
    iq, _ = await walk.iq_ids()
    locks = await walk.locks()
    walk.secret, walk.pin = "not the secret", "0000"
    with pytest.raises(SaltoKsIqNotActivatedError):
        await walk.open(locks[0], walk.otp())
    await walk.activate(iq)
    with pytest.raises(SaltoKsForbiddenError) as caught:
        await walk.client.first_secret(walk.site_id, iq)
    assert caught.value.code == 2203
    with pytest.raises(SaltoKsForbiddenError, match="3102"):
        await walk.client.request_pin(walk.site_id, iq, PinChannel.EMAIL)
    with pytest.raises(SaltoKsForbiddenError, match="2203"):
        await walk.open(locks[3], walk.otp())
    with pytest.raises(SaltoKsHardwareError) as unreachable:
        await walk.open(locks[9], walk.otp())
    assert (unreachable.value.status, unreachable.value.reason) == (408, "hardware_unreachable")
    with pytest.raises(SaltoKsOtpRejectedError):
        await walk.open(locks[0], None)
    used = walk.otp()
    await walk.open(locks[0], used)
    for otp in (used, "zzzzz", used):
        with pytest.raises(SaltoKsOtpRejectedError):
            await walk.open(locks[0], otp)
    with pytest.raises(SaltoKsOtpBlockedError):
        await walk.open(locks[0], walk.otp())


async def test_short_lived_token_is_renewed(walk: Walk) -> None:
    """A token that ends early is answered with one new login."""
    await walk.client.sites()
    walk.clock.now += timedelta(minutes=3)
    await walk.client.sites()
    assert [path for _, path in walk.server.requests] == [
        "/connect/token",
        "/v1.2/sites",
        "/v1.2/sites",
        "/connect/token",
        "/v1.2/sites",
    ]


async def test_chosen_pin_by_the_digit_wise_reading(walk: Walk) -> None:
    """Here the difference is subtracted digit by digit, as one log claims."""
    iq, _ = await walk.iq_ids()
    await walk.activate(iq)
    delta = digitwise_difference(walk.pin, "0042")
    await walk.client.set_pin(walk.site_id, iq, otp=walk.otp(), delta=delta)
    await walk.client.set_pin(walk.site_id, iq, otp=walk.otp(pin="0042"))


async def test_everything_else_that_can_be_read(walk: Walk) -> None:
    """Sparse profiles, roles without a code, unknown features and amounts as texts parse."""
    client = walk.client
    site = await client.site(walk.site_id)
    assert (site.id, site.seats_used, site.seats_total) == (walk.site_id, 7, 40)
    features = (await client.subscription(walk.site_id)).features
    assert features == {"xs_com", "feature_of_tomorrow"}
    member = await client.site_member(walk.site_id)
    assert (member.remote_access, member.role_codes) == (True, frozenset())
