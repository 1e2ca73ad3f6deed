"""The client's walk from nothing to an open door, against the simulator and its quirks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Literal

import aiohttp
from aiohttp.test_utils import TestServer
import pytest

from custom_components.salto_ks.api import Credentials, SaltoKsClient
from custom_components.salto_ks.api.exceptions import (
    AuthFailure,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsForbiddenError,
    SaltoKsIqNotActivatedError,
    SaltoKsNotFoundError,
    SaltoKsOtpBlockedError,
    SaltoKsOtpRejectedError,
)
from custom_components.salto_ks.api.models import (
    IqId,
    LockCommand,
    LockedState,
    LockId,
    PinChannel,
    SiteId,
)
from custom_components.salto_ks.api.otp import IqOtp
from simulator import Fault, Quirks, Simulator

from .accounts import client_of

NOWHERE = LockId("99999999-9999-4999-8999-999999999999")


class Walk:
    """A client in a simulated world, with what it has learnt so far."""

    def __init__(self, sim: Simulator, client: SaltoKsClient) -> None:
        """Begin with nothing but the account."""
        self.sim = sim
        self.client = client
        seed = sim.seed_info()
        self.site_id = SiteId(seed["site_id"])
        self.door = next(lock for lock in seed["locks"] if lock["iq_id"] == seed["iqs"][0]["id"])
        self.iq_id = IqId(self.door["iq_id"])
        self.lock_id = LockId(self.door["id"])
        self.secret = ""
        self.pin = ""

    def otp(self, *, ago: int = 0, pin: str | None = None) -> str:
        """Sign the simulated second, or an earlier one."""
        at = self.sim.clock.now() - timedelta(seconds=ago)
        return IqOtp(self.secret, pin or self.pin).at(at)

    async def deliver(self) -> None:
        """Read the secret and have the PIN mailed."""
        self.secret = await self.client.first_secret(self.site_id, self.iq_id)
        await self.client.request_pin(self.site_id, self.iq_id, PinChannel.EMAIL)
        self.pin = self.sim.outbox[-1].pin

    async def activate(self) -> None:
        """Become somebody whose OTP this IQ takes."""
        await self.deliver()
        await self.client.set_pin(self.site_id, self.iq_id, otp=self.otp(ago=9))

    async def command(self, command: LockCommand, otp: str | None) -> None:
        """Command the door."""
        await self.client.command_lock(self.site_id, self.lock_id, command, otp=otp)


@asynccontextmanager
async def walking(
    quirks: Quirks, *, doors: int | None = None, mistyped: str | None = None
) -> AsyncIterator[Walk]:
    """Serve a simulator and make a client of it, one of its credentials wrong if told so."""
    sim = Simulator("campsite" if doors is None else "large", quirks=quirks, doors=doors)
    known = sim.seed_info()
    if mistyped is not None:
        known[mistyped] += "x"
    credentials = Credentials(
        client_id=known["client_id"],
        client_secret=known["client_secret"],
        username=known["username"],
        password=known["password"],
    )
    async with (
        TestServer(sim.app(), host="127.0.0.1") as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        url = server.make_url("/")
        yield Walk(sim, client_of(session, url, credentials=credentials))


@pytest.fixture
async def walk(socket_enabled: None) -> AsyncIterator[Walk]:
    """Walk through the campsite as it is likeliest to behave."""
    async with walking(Quirks.instant()) as walk:
        yield walk


async def test_from_login_to_an_open_door(walk: Walk) -> None:
    """Each step is the one request that was measured, and the door opens."""
    client, sim = walk.client, walk.sim
    await client.check_login()
    assert walk.site_id in {site.id for site in await client.sites()}
    iqs = await client.iqs(walk.site_id)
    assert walk.iq_id in {iq.id for iq in iqs}
    assert not any(item.activated for item in await client.activations(walk.site_id))
    await walk.activate()
    await walk.command(LockCommand.OPEN, walk.otp())
    (activation,) = await client.activations(walk.site_id)
    assert (activation.iq_id, activation.activated) == (walk.iq_id, True)
    lock = await client.lock(walk.site_id, walk.lock_id)
    assert (lock.locked_state, lock.iq_id) == (LockedState.UNLOCKED, walk.iq_id)

    paths = [(entry.method, entry.path.removeprefix("/v1.2")) for entry in sim.journal.entries]
    here = f"/sites/{walk.site_id}"
    assert paths == [
        ("POST", "/connect/token"),
        ("GET", "/sites"),
        ("GET", f"{here}/iqs"),
        ("GET", f"/me/{walk.site_id}/activated_iqs"),
        ("GET", f"{here}/iqs/{walk.iq_id}/secret"),
        ("GET", f"{here}/iqs/{walk.iq_id}/pin"),
        ("PUT", f"{here}/iqs/{walk.iq_id}/pin"),
        ("PATCH", f"{here}/locks/{walk.lock_id}/locking"),
        ("GET", f"/me/{walk.site_id}/activated_iqs"),
        ("GET", f"{here}/locks/{walk.lock_id}"),
    ]
    bodies = {entry.method: entry.body for entry in sim.journal.entries}
    assert bodies["PUT"] == {"otp": "***", "delta": "0000"}
    assert bodies["PATCH"] == {"locked_state": "unlocked", "otp": "***"}
    assert [entry.query for entry in sim.journal.entries if entry.path.endswith("/pin")] == [
        {"send_email": "true"},
        {},
    ]


CONTESTED = {
    "bare lists": Quirks.instant(list_shape="bare"),
    "codes as numbers": Quirks.instant(error_code="number"),
    "204 on locking": Quirks.instant(locking_success="204"),
    "JSON on locking": Quirks.instant(locking_success="200_json"),
    "single-use codes": Quirks.instant(otp_reuse="forbidden"),
    "secret changes": Quirks.instant(secret_rereads="changes"),
    "opaque tokens": Quirks.instant(token_format="opaque"),
    "400 for pin_not_changed": Quirks.instant(pin_not_changed_status=400),
    "401 for the client": Quirks.instant(invalid_client_status=401),
    "403 for a foreign site": Quirks.instant(foreign_site_status=403),
}


@pytest.mark.parametrize("quirks", CONTESTED.values(), ids=CONTESTED)
async def test_every_refusal_on_the_way_has_its_class(socket_enabled: None, quirks: Quirks) -> None:
    """However the contested parts turn out, each wrong step is named and the right one works."""
    async with walking(quirks) as walk:
        site, iq, client = walk.site_id, walk.iq_id, walk.client
        await walk.deliver()
        with pytest.raises(SaltoKsIqNotActivatedError):
            await walk.command(LockCommand.OPEN, walk.otp())
        with pytest.raises(SaltoKsOtpRejectedError):
            await walk.command(LockCommand.OPEN, None)
        with pytest.raises(SaltoKsOtpRejectedError):
            await client.set_pin(site, iq, otp="zzzzz")
        await client.set_pin(site, iq, otp=walk.otp(ago=9))
        with pytest.raises(SaltoKsForbiddenError) as caught:
            await client.first_secret(site, iq)
        assert caught.value.code == 2203
        with pytest.raises(SaltoKsForbiddenError) as caught:
            await client.request_pin(site, iq, PinChannel.SMS)
        assert caught.value.reason == "command_forbidden"
        with pytest.raises(SaltoKsNotFoundError):
            await client.lock(site, NOWHERE)
        await walk.command(LockCommand.OPEN, walk.otp())
        for _ in range(quirks.block_threshold):
            with pytest.raises(SaltoKsOtpRejectedError):
                await walk.command(LockCommand.OPEN, "zzzzz")
        with pytest.raises(SaltoKsOtpBlockedError):
            await walk.command(LockCommand.OPEN, walk.otp(ago=1))
        walk.sim.clock.advance(quirks.block_seconds + 1)
        await walk.command(LockCommand.OPEN, walk.otp())


@pytest.mark.parametrize(
    ("field", "failure"),
    [
        ("client_id", AuthFailure.CLIENT),
        ("client_secret", AuthFailure.CLIENT),
        ("username", AuthFailure.ACCOUNT),
        ("password", AuthFailure.ACCOUNT),
    ],
)
@pytest.mark.parametrize("status", [400, 401])
async def test_each_wrong_credential_is_told_apart(
    socket_enabled: None, field: str, failure: AuthFailure, status: Literal[400, 401]
) -> None:
    """Client and account are told apart, whatever the status."""
    quirks = Quirks.instant(invalid_client_status=status)
    async with walking(quirks, mistyped=field) as walk:
        with pytest.raises(SaltoKsAuthError) as caught:
            await walk.client.check_login()
        assert caught.value.failure is failure
        assert len(walk.sim.journal.entries) == 1


@pytest.mark.parametrize(
    ("quirks", "requests"),
    [
        (Quirks.instant(), 3),
        (Quirks.instant(max_page_size=20), 11),
        (Quirks.instant(next_link_scheme="http", next_link_host="other"), 3),
        (Quirks.instant(list_shape="bare"), 3),
        (Quirks.instant(list_shape="bare", max_page_size=20), 11),
        (Quirks.instant(top_over_max="refuse"), 3),
    ],
    ids=["envelope", "small pages", "foreign links", "bare", "small bare pages", "strict"],
)
async def test_every_door_of_a_large_site_is_found(
    socket_enabled: None, quirks: Quirks, requests: int
) -> None:
    """The requests are the pages, and no door is missing or double, however lists come."""
    async with walking(quirks, doors=205) as walk:
        locks = await walk.client.locks(walk.site_id)
        known = {lock["id"] for lock in walk.sim.seed_info()["locks"]}
        assert len(locks) == len(known) == 205
        assert {lock.id for lock in locks} == known
        assert walk.sim.journal.count("GET") == requests


async def test_revoked_token_is_renewed_unnoticed(walk: Walk) -> None:
    """A token that Salto has dropped costs one login, and the door opens once."""
    await walk.activate()
    walk.sim.revoke_tokens()
    before = len(walk.sim.journal.entries)
    await walk.command(LockCommand.OPEN, walk.otp())
    after = walk.sim.journal.entries[before:]
    assert [(entry.method, entry.status) for entry in after] == [
        ("PATCH", 401),
        ("POST", 200),
        ("PATCH", 200),
    ]


@pytest.mark.parametrize("committed", [True, False])
async def test_lost_answer_of_a_command_is_told_and_not_repeated(
    walk: Walk, committed: bool
) -> None:
    """Whether the door opened or not, the client sent one command and says that it does not know."""
    await walk.activate()
    fault = Fault(method="PATCH", count=None, drop_after_commit=committed, reset=not committed)
    walk.sim.faults.add(fault)
    with pytest.raises(SaltoKsConnectionError):
        await walk.command(LockCommand.OPEN, walk.otp())
    assert walk.sim.journal.count("PATCH") == 1
    lock = await walk.client.lock(walk.site_id, walk.lock_id)
    assert (lock.locked_state is LockedState.UNLOCKED) is committed


async def test_lost_answer_of_a_pin_change_is_not_repeated(walk: Walk) -> None:
    """A difference is applied once, or nobody would know the PIN."""
    await walk.activate()
    walk.sim.faults.add(Fault(method="PUT", drop_after_commit=True, count=None))
    with pytest.raises(SaltoKsConnectionError):
        await walk.client.set_pin(walk.site_id, walk.iq_id, otp=walk.otp(ago=1), delta="0001")
    walk.sim.faults.clear()
    changed = f"{(int(walk.pin) + 1) % 10_000:04d}"
    await walk.client.set_pin(walk.site_id, walk.iq_id, otp=walk.otp(pin=changed))


async def test_lost_answer_of_a_read_is_repeated(walk: Walk) -> None:
    """One broken connection does not make a read fail."""
    walk.sim.faults.add(Fault(route=f"/v1.2/sites/{walk.site_id}", reset=True))
    assert (await walk.client.site(walk.site_id)).id == walk.site_id


async def test_everything_else_that_can_be_read(walk: Walk) -> None:
    """Site, subscription and membership parse as they are served."""
    site = await walk.client.site(walk.site_id)
    assert (site.site_uid, site.time_zone) == ("NL0000000001", "Europe/Amsterdam")
    subscription = await walk.client.subscription(walk.site_id)
    assert subscription.features
    member = await walk.client.site_member(walk.site_id)
    assert member.platform_id == walk.sim.account.user_id
    assert str(member.id) != str(member.platform_id)
    assert (await walk.client.iq(walk.site_id, walk.iq_id)).id == walk.iq_id


async def test_readable_code_in_a_path_is_never_sent(walk: Walk) -> None:
    """What Salto would answer with 400/1100 stops here."""
    with pytest.raises(ValueError, match="not a UUID"):
        await walk.client.site(SiteId("NL0000000001"))
    assert walk.sim.journal.entries == []


async def test_office_mode_begins_and_ends(walk: Walk) -> None:
    """A door is held open and locked again, each with a code of its own."""
    await walk.activate()
    for command, state in (
        (LockCommand.START_OFFICE_MODE, LockedState.OFFICE_MODE),
        (LockCommand.END_OFFICE_MODE, LockedState.LOCKED),
    ):
        await walk.command(command, walk.otp())
        assert (await walk.client.lock(walk.site_id, walk.lock_id)).locked_state is state
