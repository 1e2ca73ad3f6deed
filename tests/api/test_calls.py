"""Each call of the client: the request it makes, and what it makes of the answer."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import aiohttp
from freezegun.api import FrozenDateTimeFactory
import pytest

from custom_components.salto_ks.api import SaltoKsClient
from custom_components.salto_ks.api.exceptions import SaltoKsUnexpectedResponseError
from custom_components.salto_ks.api.models import (
    Iq,
    IqActivation,
    IqId,
    Lock,
    LockCommand,
    LockId,
    PinChannel,
    Site,
    SiteId,
    SiteMember,
    Subscription,
)

from .accounts import IQ, LOCK, LOCKING, LOCKS, PIN, SITE, SITE_PATH, SITES
from .payloads import (
    ACTIVATION_OBJECT,
    IQ_OBJECT,
    LOCK_OBJECT,
    MEMBER_OBJECT,
    SITE_OBJECT,
    SUBSCRIPTION_OBJECT,
)
from .servers import Reply, Vendor, items

IQS = f"{SITE_PATH}/iqs"

type Call = Callable[[SaltoKsClient], Awaitable[object]]


class Read(NamedTuple):
    """A read: the call, where it asks, what is answered, and what it becomes."""

    call: Call
    target: str
    reply: Reply
    expected: object


class Command(NamedTuple):
    """A command: the call, and the request that it is."""

    call: Call
    method: str
    target: str
    body: object


READS = [
    Read(
        lambda c: c.sites(), f"{SITES}?$top=100", items(SITE_OBJECT), (Site.from_api(SITE_OBJECT),)
    ),
    Read(lambda c: c.site(SITE), SITE_PATH, Reply(200, SITE_OBJECT), Site.from_api(SITE_OBJECT)),
    Read(
        lambda c: c.subscription(SITE),
        f"{SITE_PATH}/subscription",
        Reply(200, SUBSCRIPTION_OBJECT),
        Subscription.from_api(SUBSCRIPTION_OBJECT),
    ),
    Read(
        lambda c: c.site_member(SITE),
        f"{SITE_PATH}/me",
        Reply(200, MEMBER_OBJECT),
        SiteMember.from_api(MEMBER_OBJECT),
    ),
    Read(lambda c: c.iqs(SITE), f"{IQS}?$top=100", items(IQ_OBJECT), (Iq.from_api(IQ_OBJECT),)),
    Read(lambda c: c.iq(SITE, IQ), f"{IQS}/{IQ}", Reply(200, IQ_OBJECT), Iq.from_api(IQ_OBJECT)),
    Read(
        lambda c: c.activations(SITE),
        f"/v1.2/me/{SITE}/activated_iqs?$top=100",
        items(ACTIVATION_OBJECT),
        (IqActivation.from_api(ACTIVATION_OBJECT),),
    ),
    Read(
        lambda c: c.first_secret(SITE, IQ),
        f"{IQS}/{IQ}/secret",
        Reply(200, {"secret": " AbC/0123+45=xyz "}),
        " AbC/0123+45=xyz ",
    ),
    Read(
        lambda c: c.locks(SITE),
        f"{LOCKS}?$top=100",
        items(LOCK_OBJECT),
        (Lock.from_api(LOCK_OBJECT),),
    ),
    Read(
        lambda c: c.lock(SITE, LOCK),
        f"{LOCKS}/{LOCK}",
        Reply(200, LOCK_OBJECT),
        Lock.from_api(LOCK_OBJECT),
    ),
]


@pytest.mark.parametrize("read", READS, ids=lambda read: read.target)
async def test_read(client: SaltoKsClient, vendor: Vendor, read: Read) -> None:
    """A read is one GET without a body, and gives the parsed thing."""
    vendor.on("GET", read.target, read.reply)
    assert await read.call(client) == read.expected
    assert vendor.calls() == [("GET", read.target)]
    assert vendor.journal[-1].body == b""


COMMANDS = [
    Command(lambda c: c.request_pin(SITE, IQ, PinChannel.SMS), "GET", PIN, None),
    Command(
        lambda c: c.request_pin(SITE, IQ, PinChannel.EMAIL), "GET", f"{PIN}?send_email=true", None
    ),
    Command(
        lambda c: c.set_pin(SITE, IQ, otp="28a5a"), "PUT", PIN, {"otp": "28a5a", "delta": "0000"}
    ),
    Command(
        lambda c: c.set_pin(SITE, IQ, otp="28a5a", delta="0005"),
        "PUT",
        PIN,
        {"otp": "28a5a", "delta": "0005"},
    ),
    Command(lambda c: c.restore_iq(SITE, IQ), "POST", f"{IQS}/{IQ}/restore", None),
    Command(
        lambda c: c.command_lock(SITE, LOCK, LockCommand.OPEN, otp="28a5a"),
        "PATCH",
        LOCKING,
        {"locked_state": "unlocked", "otp": "28a5a"},
    ),
    Command(
        lambda c: c.command_lock(SITE, LOCK, LockCommand.START_OFFICE_MODE, otp="28a5a"),
        "PATCH",
        LOCKING,
        {"locked_state": "office_mode", "otp": "28a5a"},
    ),
    Command(
        lambda c: c.command_lock(SITE, LOCK, LockCommand.END_OFFICE_MODE, otp="28a5a"),
        "PATCH",
        LOCKING,
        {"locked_state": "locked", "otp": "28a5a"},
    ),
    Command(
        lambda c: c.command_lock(SITE, LOCK, LockCommand.OPEN, otp=None),
        "PATCH",
        LOCKING,
        {"locked_state": "unlocked"},
    ),
]


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("command", COMMANDS)
async def test_command(
    client: SaltoKsClient, vendor: Vendor, command: Command, status: int
) -> None:
    """A command is one request with exactly the documented fields; 200 and 204 are success."""
    vendor.on(command.method, command.target, Reply(status))
    await command.call(client)
    assert vendor.calls() == [(command.method, command.target)]
    sent = vendor.journal[-1]
    assert (sent.json if sent.body else None) == command.body
    if sent.body:
        assert sent.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "NL0000000001",
        f"{SITE}/users",
        "../me",
        f"{SITE}\n",
        SITE.replace("-", ""),
        f"{{{SITE}}}",
    ],
)
async def test_id_that_is_no_uuid_never_becomes_part_of_a_path(
    client: SaltoKsClient, vendor: Vendor, wrong: str
) -> None:
    """A wrong id raises before anything is sent, and is not repeated in the text."""
    for call in (
        client.site(SiteId(wrong)),
        client.lock(SITE, LockId(wrong)),
        client.iq(SITE, IqId(wrong)),
        client.command_lock(SITE, LockId(wrong), LockCommand.OPEN, otp="28a5a"),
        client.locks(SiteId(wrong)),
    ):
        with pytest.raises(ValueError, match=r"^the \w+ id is not a UUID$"):
            await call
    assert vendor.journal == []


@pytest.mark.parametrize("body", [{}, {"secret": None}, {"secret": ""}, {"secret": ["x"]}, []])
async def test_answer_without_a_secret_is_unexpected(
    client: SaltoKsClient, vendor: Vendor, body: object
) -> None:
    """No secret is ever made up out of an odd answer."""
    vendor.on("GET", f"{IQS}/{IQ}/secret", Reply(200, body))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="IQ secret"):
        await client.first_secret(SITE, IQ)


async def test_server_clock_is_compared_at_each_answer(
    client: SaltoKsClient, vendor: Vendor, freezer: FrozenDateTimeFactory
) -> None:
    """`Date` tells how far Salto's clock is ahead, to the second; nothing useful keeps the last."""
    freezer.move_to("2026-06-01T12:00:00.750Z")
    assert client.server_clock_offset is None
    vendor.on_login(vendor.new_token())
    for date, offset in (
        ("Mon, 01 Jun 2026 12:04:00 GMT", timedelta(minutes=4)),
        ("Mon, 01 Jun 2026 11:59:58 GMT", timedelta(seconds=-2)),
        ("yesterday", timedelta(seconds=-2)),
        ("Mon, 01 Jun 2026 12:30:00", timedelta(seconds=-2)),
        ("Mon, 01 Jun 2026 14:00:01 +0200", timedelta(seconds=1)),
    ):
        vendor.on("GET", SITE_PATH, Reply(200, SITE_OBJECT, {"Date": date}))
        await client.site(SITE)
        assert client.server_clock_offset == offset
    assert datetime.now(UTC).microsecond == 750_000


async def test_logging_in_anew_needs_a_new_token(client: SaltoKsClient, vendor: Vendor) -> None:
    """It asks the identity server even while a token still works."""
    await client.check_login()
    await client.check_login()
    assert len(vendor.logins()) == 1
    await client.log_in_anew()
    assert len(vendor.logins()) == 2


async def test_session_stays_with_its_owner(
    session: aiohttp.ClientSession, client: SaltoKsClient, vendor: Vendor
) -> None:
    """The client neither closes the session nor puts its headers into it."""
    vendor.on("GET", SITE_PATH, Reply(200, SITE_OBJECT))
    await client.site(SITE)
    assert not session.closed
    assert dict(session.headers) == {}
