"""A message of Salto's that repeats what was sent does not carry it on."""

import base64

import pytest

from custom_components.salto_ks.api import SaltoKsClient
from custom_components.salto_ks.api.exceptions import SaltoKsResponseError
from custom_components.salto_ks.api.models import LockCommand
from custom_components.salto_ks.api.responses import scrub

from .accounts import ACCOUNT, IQ, LOCK, LOCKING, PIN, SITE, SITES
from .servers import TOKEN_PATH, Reply, Vendor, refusal

OTP = "0f1e2"


def told(error: SaltoKsResponseError) -> str:
    """Return everything that an error tells."""
    return f"{error} {error!r} {error.args} {error.message} {error.reason} {vars(error)}"


@pytest.mark.parametrize("echo", [OTP, OTP.upper()], ids=["as sent", "upper case"])
@pytest.mark.parametrize(
    "message",
    [
        "Otp {} is wrong",
        "{}",
        "otp={}&token=token-1",
        "Request execution failed with code: {}",
        "Request execution failed with code: otp_invalid ({})",
    ],
)
async def test_otp_and_token_are_scrubbed(
    client: SaltoKsClient, vendor: Vendor, message: str, echo: str
) -> None:
    """Neither is in text, repr, args or reason of the error, in either letter case."""
    vendor.on("PATCH", LOCKING, refusal(400, 3102, message.format(echo)))
    vendor.on("PUT", PIN, refusal(400, 3102, message.format(echo)))
    for call in (
        client.command_lock(SITE, LOCK, LockCommand.OPEN, otp=OTP),
        client.set_pin(SITE, IQ, otp=OTP),
    ):
        with pytest.raises(SaltoKsResponseError) as caught:
            await call
        assert OTP not in told(caught.value).lower()
        assert "token-1" not in told(caught.value)
        assert "***" in str(caught.value)


@pytest.mark.parametrize("field", ["Message", "title", "error"])
async def test_token_is_scrubbed_wherever_it_is_echoed(
    client: SaltoKsClient, vendor: Vendor, field: str
) -> None:
    """A read's token is scrubbed from each field that becomes the message."""
    vendor.on("GET", SITES, Reply(400, {field: "bad token token-1"}))
    with pytest.raises(SaltoKsResponseError) as caught:
        await client.sites()
    assert str(caught.value) == "HTTP 400: bad token ***"
    assert "token-1" not in told(caught.value)


@pytest.mark.parametrize("field", ["error", "Message", "title"])
async def test_credentials_are_scrubbed(client: SaltoKsClient, vendor: Vendor, field: str) -> None:
    """An identity server that repeats the login's secrets is not quoted with them."""
    basic = base64.b64encode(f"{ACCOUNT.client_id}:{ACCOUNT.client_secret}".encode()).decode()
    echoed = f"{ACCOUNT.password} {ACCOUNT.client_secret} {basic}"
    vendor.on("POST", TOKEN_PATH, Reply(400, {field: echoed}))
    with pytest.raises(SaltoKsResponseError) as caught:
        await client.check_login()
    assert str(caught.value) == "HTTP 400: *** *** ***"
    assert ACCOUNT.password not in told(caught.value)


@pytest.mark.parametrize("command", list(LockCommand))
async def test_words_that_are_no_secret_stay(
    client: SaltoKsClient, vendor: Vendor, command: LockCommand
) -> None:
    """`otp_blocked` holds the word `locked`, which is sent to end office mode, and stays whole."""
    message = "Request execution failed with code: otp_blocked"
    vendor.on("PATCH", LOCKING, refusal(403, 3102, message))
    with pytest.raises(SaltoKsResponseError) as caught:
        await client.command_lock(SITE, LOCK, command, otp=OTP)
    assert caught.value.message == message


async def test_command_without_otp_has_only_the_token_to_hide(
    client: SaltoKsClient, vendor: Vendor
) -> None:
    """Where no OTP is sent, none is looked for."""
    vendor.on("PATCH", LOCKING, refusal(404, 2202, "Otp is invalid for token-1"))
    with pytest.raises(SaltoKsResponseError) as caught:
        await client.command_lock(SITE, LOCK, LockCommand.OPEN, otp=None)
    assert caught.value.message == "Otp is invalid for ***"


@pytest.mark.parametrize(
    ("message", "secrets", "scrubbed"),
    [
        ("nothing here", ("abc",), "nothing here"),
        ("abc and abcdef", ("abc", "abcdef"), "*** and ***"),
        ("a.c abc", ("a.c",), "*** abc"),
        ("empty", ("",), "empty"),
        ("", ("abc",), ""),
    ],
)
def test_scrub(message: str, secrets: tuple[str, ...], scrubbed: str) -> None:
    """The longest secret goes first, each is taken literally, and an empty one is none."""
    assert scrub(message, secrets) == scrubbed
