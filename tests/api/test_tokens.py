"""Logging in: how the credentials go out, how long a token serves, and who shares what."""

import asyncio
import base64
from collections.abc import Awaitable
from datetime import timedelta
import logging
from urllib.parse import unquote

import aiohttp
from freezegun.api import FrozenDateTimeFactory
from hypothesis import given, settings, strategies as st
import pytest
from yarl import URL

from custom_components.salto_ks.api import Credentials, SaltoKsClient, create_client
from custom_components.salto_ks.api.exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import LockCommand
from custom_components.salto_ks.api.tokens import TokenSource
from custom_components.salto_ks.api.transport import Transport

from .accounts import ACCOUNT, LOCK, LOCKING, LOCKS, SITE, SITES, client_of
from .payloads import LOCK_OBJECT
from .servers import TOKEN_PATH, Reply, Seen, Vendor, items, serving

MANY = 20


def tokens_of(
    session: aiohttp.ClientSession, vendor: Vendor, credentials: Credentials = ACCOUNT
) -> TokenSource:
    """Make a token source of its own."""
    return TokenSource(Transport(session), vendor.url, credentials)


class Held:
    """An answer that tells when it was asked for, and is given when it may be."""

    def __init__(self, reply: Reply) -> None:
        """Hold this answer back."""
        self.asked = asyncio.Event()
        self.allowed = asyncio.Event()
        self._reply = reply

    async def __call__(self, _seen: Seen) -> Reply:
        """Wait until the answer may be given."""
        self.asked.set()
        await self.allowed.wait()
        return self._reply


async def outcomes(calls: list[Awaitable[object]]) -> list[object]:
    """Run calls at once and return what came of each."""
    return await asyncio.gather(*calls, return_exceptions=True)


def basic_of(seen: Seen) -> tuple[str, str]:
    """Read the client's credentials out of the header, as the standard says."""
    scheme, _, encoded = seen.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    user, _, secret = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    return unquote(user), unquote(secret)


async def test_login_is_the_documented_request(client: SaltoKsClient, vendor: Vendor) -> None:
    """The password grant goes out as a form with the client in the header (DOC, MEAS)."""
    await client.check_login()
    (seen,) = vendor.journal
    assert seen.call == ("POST", TOKEN_PATH)
    assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert seen.headers["Accept"] == "application/json"
    assert basic_of(seen) == (ACCOUNT.client_id, ACCOUNT.client_secret)
    assert seen.form == {
        "grant_type": "password",
        "username": ACCOUNT.username,
        "password": ACCOUNT.password,
        "scope": "user_api.full_access",
    }


async def test_every_request_bears_the_token(client: SaltoKsClient, vendor: Vendor) -> None:
    """Reads and commands carry the same token until it is due."""
    vendor.on("GET", LOCKS, items(LOCK_OBJECT))
    vendor.on("PATCH", LOCKING, Reply(204))
    await client.locks(SITE)
    await client.command_lock(SITE, LOCK, LockCommand.OPEN, otp="0f1e2")
    assert [seen.bearer for seen in vendor.journal[1:]] == ["token-1", "token-1"]
    assert all(seen.headers["Accept"] == "application/json" for seen in vendor.journal)
    assert vendor.journal[-1].headers["Content-Type"] == "application/json"


async def test_put_together_from_addresses(session: aiohttp.ClientSession, vendor: Vendor) -> None:
    """`create_client` logs in at one address and asks at the other, of each only the origin."""
    async with serving() as identity:
        client = create_client(
            session,
            api_url=str(vendor.url / "swagger/ui/index"),
            identity_url=str(identity.url / "connect"),
            credentials=ACCOUNT,
        )
        vendor.on("GET", SITES, items())
        assert await client.sites() == ()
        assert [seen.call for seen in identity.journal] == [("POST", TOKEN_PATH)]
    assert vendor.calls() == [("GET", f"{SITES}?$top=100")]


AWKWARD = [
    "a&b=c+d %41#?/:;é€\N{LOCK}",
    " leading and trailing ",
    '"quoted\\"',
    "a:b:c",
    "100%",
    "+",
]


@pytest.mark.parametrize("awkward", AWKWARD, ids=ascii)
async def test_special_characters_arrive_intact(
    session: aiohttp.ClientSession, vendor: Vendor, awkward: str
) -> None:
    """Whatever stands in the four credentials arrives as it was typed."""
    credentials = Credentials(
        client_id=awkward,
        client_secret=f"s{awkward}",
        username=f"u{awkward}",
        password=f"p{awkward}",
    )
    await tokens_of(session, vendor, credentials).token()
    (seen,) = vendor.journal
    assert basic_of(seen) == (awkward, f"s{awkward}")
    assert (seen.form["username"], seen.form["password"]) == (f"u{awkward}", f"p{awkward}")


@pytest.mark.parametrize(
    ("expires_in", "served"),
    [(3600, 3480), (1200, 1080), (600, 540), (100, 90), (10, 9), ("3600", 3480), (3600.0, 3480)],
)
async def test_token_is_renewed_ahead_of_its_end(
    session: aiohttp.ClientSession,
    vendor: Vendor,
    freezer: FrozenDateTimeFactory,
    expires_in: object,
    served: int,
) -> None:
    """It serves until two minutes before its end, or a tenth of a short life."""
    vendor.on_login(vendor.new_token(expires_in), vendor.new_token(expires_in))
    tokens = tokens_of(session, vendor)
    assert await tokens.token() == "token-1"
    freezer.tick(timedelta(seconds=served - 0.5))
    assert await tokens.token() == "token-1"
    freezer.tick(timedelta(seconds=1))
    assert await tokens.token() == "token-2"
    assert len(vendor.logins()) == 2


@pytest.mark.parametrize("expires_in", [10**9, 10**400, 1.7e308, "9" * 300], ids=["years", "int", "float", "text"])  # fmt: skip
async def test_token_of_absurd_life_is_renewed_daily(
    session: aiohttp.ClientSession,
    vendor: Vendor,
    freezer: FrozenDateTimeFactory,
    expires_in: object,
) -> None:
    """A lifetime that no clock can hold is cut to a day."""
    vendor.on_login(vendor.new_token(expires_in), vendor.new_token())
    tokens = tokens_of(session, vendor)
    assert await tokens.token() == "token-1"
    freezer.tick(timedelta(hours=23))
    assert await tokens.token() == "token-1"
    freezer.tick(timedelta(hours=1))
    assert await tokens.token() == "token-2"


@pytest.mark.parametrize("expires_in", [None, 0, -1, "soon", True, [], 1e400], ids=repr)
async def test_token_without_a_life_is_no_token(
    client: SaltoKsClient, vendor: Vendor, expires_in: object
) -> None:
    """A lifetime that is none is an unexpected answer of the identity server."""
    vendor.on_login(vendor.new_token(expires_in))
    with pytest.raises(SaltoKsUnexpectedResponseError) as caught:
        await client.check_login()
    assert caught.value.endpoint is Endpoint.IDENTITY


@pytest.mark.parametrize(
    "value", [None, "", "two words", "a\r\nX-Injected: 1", "a\0", "été", [], {}, True], ids=ascii
)
async def test_token_that_cannot_stand_in_a_header_is_no_token(
    client: SaltoKsClient, vendor: Vendor, value: object
) -> None:
    """Blanks, line breaks and letters beyond ASCII are refused before they reach a header."""
    vendor.on_login(Reply(200, {"access_token": value, "expires_in": 3600}))
    with pytest.raises(SaltoKsUnexpectedResponseError) as caught:
        await client.sites()
    assert caught.value.endpoint is Endpoint.IDENTITY
    assert vendor.calls() == []


class TestSharing:
    """Callers that need a token at the same time."""

    async def test_one_login_serves_all(self, client: SaltoKsClient, vendor: Vendor) -> None:
        """Twenty calls at once make one token request."""
        vendor.on("GET", LOCKS, items(LOCK_OBJECT))
        await asyncio.gather(*(client.locks(SITE) for _ in range(MANY)))
        assert len(vendor.logins()) == 1
        assert {seen.bearer for seen in vendor.journal[1:]} == {"token-1"}

    async def test_one_refusal_serves_all(self, client: SaltoKsClient, vendor: Vendor) -> None:
        """A refused password is tried once for twenty callers, or the account gets locked."""
        vendor.on_login(Reply(400, {"error": "invalid_grant"}))
        results = await outcomes([client.locks(SITE) for _ in range(MANY)])
        assert all(
            isinstance(result, SaltoKsAuthError) and result.failure is AuthFailure.ACCOUNT
            for result in results
        )
        assert len(results) == MANY
        assert len(vendor.journal) == 1

    async def test_failure_is_not_kept(self, client: SaltoKsClient, vendor: Vendor) -> None:
        """Who comes after a failed login has ended tries anew."""
        vendor.on_login(Reply(503), vendor.new_token())
        with pytest.raises(SaltoKsServerError):
            await client.check_login()
        await client.check_login()
        assert len(vendor.logins()) == 2

    async def test_old_failure_is_not_handed_to_those_who_wait(
        self, session: aiohttp.ClientSession, vendor: Vendor
    ) -> None:
        """After a failed login the next one serves all, those who waited for it as well."""
        vendor.on_login(Reply(503), vendor.new_token(), vendor.new_token())
        tokens = tokens_of(session, vendor)
        with pytest.raises(SaltoKsServerError):
            await tokens.token()
        assert await asyncio.gather(*(tokens.token() for _ in range(MANY))) == ["token-1"] * MANY
        assert len(vendor.logins()) == 2

    async def test_short_lived_token_still_serves_all_who_waited(
        self, session: aiohttp.ClientSession, vendor: Vendor, freezer: FrozenDateTimeFactory
    ) -> None:
        """A token that is due again when it arrives is used by those who waited for it."""

        async def late(_seen: Seen) -> Reply:
            freezer.tick(timedelta(seconds=20))
            return vendor.new_token(expires_in=5)

        vendor.on_login(late, vendor.new_token(expires_in=5))
        tokens = tokens_of(session, vendor)
        assert await asyncio.gather(*(tokens.token() for _ in range(MANY))) == ["token-2"] * MANY
        assert len(vendor.logins()) == 1
        assert await tokens.token() == "token-1"

    async def test_who_gives_up_takes_nobody_along(
        self, session: aiohttp.ClientSession, vendor: Vendor
    ) -> None:
        """When the caller that is logging in is cancelled, one of the others logs in."""
        held = Held(vendor.new_token())
        vendor.on_login(held, vendor.new_token())
        tokens = tokens_of(session, vendor)
        first, *others = [asyncio.create_task(tokens.token()) for _ in range(MANY)]
        await held.asked.wait()
        first.cancel()
        assert await asyncio.gather(*others) == ["token-2"] * (MANY - 1)
        assert first.cancelled()
        held.allowed.set()
        assert len(vendor.logins()) == 2

    async def test_who_gives_up_after_a_failure_leaves_none_behind(
        self, session: aiohttp.ClientSession, vendor: Vendor
    ) -> None:
        """An old failure is not handed to those who waited for a cancelled login."""
        held = Held(vendor.new_token())
        vendor.on_login(Reply(503), held, vendor.new_token())
        tokens = tokens_of(session, vendor)
        with pytest.raises(SaltoKsServerError):
            await tokens.token()
        first, second = [asyncio.create_task(tokens.token()) for _ in range(2)]
        await held.asked.wait()
        first.cancel()
        assert await second == "token-2"
        held.allowed.set()

    async def test_a_refused_token_is_renewed_once_for_all(
        self, client: SaltoKsClient, vendor: Vendor
    ) -> None:
        """Twenty 401s at once make one new login, and every request succeeds with its token."""
        all_have_asked = asyncio.Barrier(MANY)

        async def locks(seen: Seen) -> Reply:
            if seen.bearer == "token-2":
                return items(LOCK_OBJECT)
            await all_have_asked.wait()
            return Reply(401)

        vendor.on("GET", LOCKS, locks)
        results = await asyncio.gather(*(client.locks(SITE) for _ in range(MANY)))
        assert [len(result) for result in results] == [1] * MANY
        assert len(vendor.logins()) == 2
        assert len(vendor.calls()) == 2 * MANY

    async def test_late_refusal_of_an_old_token_does_not_drop_the_new_one(
        self, client: SaltoKsClient, vendor: Vendor
    ) -> None:
        """A 401 that arrives after the renewal is repeated with the newer token, without a login."""
        held = Held(Reply(401))
        vendor.on("GET", SITES, held, items())
        vendor.on("GET", LOCKS, Reply(401), items(LOCK_OBJECT))
        waiting = asyncio.create_task(client.sites())
        await held.asked.wait()
        await client.locks(SITE)
        assert len(vendor.logins()) == 2
        held.allowed.set()
        assert await waiting == ()
        assert len(vendor.logins()) == 2
        assert vendor.journal[-1].bearer == "token-2"

    async def test_token_that_is_discarded_at_once_is_not_handed_on(
        self, session: aiohttp.ClientSession, vendor: Vendor
    ) -> None:
        """Who waited for a login whose token was refused right away makes one of its own."""
        tokens = tokens_of(session, vendor)

        async def use_up() -> None:
            tokens.discard(await tokens.token())

        _, second = await asyncio.gather(use_up(), tokens.token())
        assert second == "token-2"

    async def test_discard_forgets_only_the_token_named(
        self, session: aiohttp.ClientSession, vendor: Vendor
    ) -> None:
        """Discarding another token changes nothing, and discarding twice does no harm."""
        tokens = tokens_of(session, vendor)
        tokens.discard("token-0")
        first = await tokens.token()
        tokens.discard("token-0")
        assert await tokens.token() == first
        tokens.discard(first)
        tokens.discard(first)
        assert await tokens.token() == "token-2"


async def test_refused_login_after_a_refused_token_is_an_authentication_error(
    client: SaltoKsClient, vendor: Vendor
) -> None:
    """A password that was changed meanwhile shows at the renewal."""
    vendor.on_login(vendor.new_token(), Reply(400, {"error": "invalid_grant"}))
    vendor.on("PATCH", LOCKING, Reply(401))
    with pytest.raises(SaltoKsAuthError) as caught:
        await client.command_lock(SITE, LOCK, LockCommand.OPEN, otp="0f1e2")
    assert caught.value.failure is AuthFailure.ACCOUNT
    assert len(vendor.calls()) == 1


@given(text=st.text(st.characters(codec="utf-8"), min_size=8, max_size=30))
@settings(deadline=None, max_examples=50)
def test_repr_of_credentials_shows_no_secret(text: str) -> None:
    """Client secret and password are in no printed form."""
    shown = repr(
        Credentials(client_id="c", client_secret=f"\0{text}", username="u", password=f"\0{text}")
    )
    assert shown == "Credentials(client_id='c', username='u')"


async def test_no_secret_is_in_any_repr_or_log(
    session: aiohttp.ClientSession, vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, over success, refusal, renewal and breakdown, nothing sent or received is logged."""
    caplog.set_level(logging.DEBUG)
    client = client_of(session, vendor.url)
    vendor.on("GET", LOCKS, Reply(401), items(LOCK_OBJECT), Reply(500), Reply(200, b"{"))
    vendor.on("PATCH", LOCKING, Reply(400, {"ErrorCode": 3102, "Message": "0f1e2 token-2"}))
    await client.locks(SITE)
    for call in (client.locks(SITE), client.locks(SITE)):
        with pytest.raises((SaltoKsServerError, SaltoKsUnexpectedResponseError)):
            await call
    (refused,) = await outcomes([client.command_lock(SITE, LOCK, LockCommand.OPEN, otp="0f1e2")])
    gone = client_of(session, URL("http://127.0.0.1:9"), vendor.url)
    with pytest.raises(SaltoKsConnectionError):
        await gone.locks(SITE)

    ours = [record for record in caplog.records if record.name.startswith("custom_components")]
    assert len(ours) == len(vendor.journal) + 1
    assert any("PATCH /v1.2/sites/{site}/locks/{lock}/locking: 400" in r.getMessage() for r in ours)
    shown = "".join(map(repr, (vars(client), client, refused)))
    shown += "".join(
        repr(vars(part)) for part in vars(client).values() if hasattr(part, "__dict__")
    )
    shown += "".join(record.getMessage() + repr(record.args) for record in caplog.records)
    basic = base64.b64encode(f"{ACCOUNT.client_id}:{ACCOUNT.client_secret}".encode()).decode()
    secrets = (ACCOUNT.client_secret, ACCOUNT.password, basic, "0f1e2", "token-1", "token-2", SITE)
    assert [secret for secret in secrets if secret in shown] == []


async def test_failed_renewal_keeps_the_token_that_works(
    client: SaltoKsClient, vendor: Vendor
) -> None:
    """Logging in anew to see whether it works costs nothing where it does not."""
    vendor.on_login(vendor.new_token(), Reply(503))
    vendor.on("GET", SITES, items(), items())
    await client.sites()
    with pytest.raises(SaltoKsServerError):
        await client.log_in_anew()
    assert await client.sites() == ()
    assert len(vendor.logins()) == 2


async def test_repeated_command_is_signed_anew(client: SaltoKsClient, vendor: Vendor) -> None:
    """After a refused token the one-time password of the moment is sent, not the old one."""
    codes = iter(("0f1e2", "3d4c5"))
    vendor.on("PATCH", LOCKING, Reply(401), Reply(204))
    await client.command_lock(SITE, LOCK, LockCommand.OPEN, otp=lambda: next(codes))
    sent = [seen.json["otp"] for seen in vendor.journal if seen.target == LOCKING]
    assert sent == ["0f1e2", "3d4c5"]


async def test_repeated_command_can_be_called_off(client: SaltoKsClient, vendor: Vendor) -> None:
    """Whoever signs may find that it is too late, and then nothing is sent again."""

    class TooLateError(Exception):
        pass

    answers = iter(("0f1e2",))

    def sign() -> str:
        for code in answers:
            return code
        raise TooLateError

    vendor.on("PATCH", LOCKING, Reply(401), Reply(204))
    with pytest.raises(TooLateError):
        await client.command_lock(SITE, LOCK, LockCommand.OPEN, otp=sign)
    assert len(vendor.calls()) == 1
