"""What Salto refuses, word for word as documented or measured, and the error that it becomes."""

import pytest

from custom_components.salto_ks.api import SaltoKsClient
from custom_components.salto_ks.api.exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsAuthError,
    SaltoKsForbiddenError,
    SaltoKsHardwareError,
    SaltoKsIqNotActivatedError,
    SaltoKsNotFoundError,
    SaltoKsOtpBlockedError,
    SaltoKsOtpRejectedError,
    SaltoKsRateLimitError,
    SaltoKsResponseError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import LockCommand

from .accounts import LOCK, LOCKING, SITE
from .servers import Reply, Vendor, refusal

EXECUTION = "Request execution failed with code: "
PROBLEM = {
    "type": "https://httpstatuses.io/403",
    "title": "Forbidden",
    "status": 403,
    "traceId": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
}


def by_the_iq(status: int, reason: str) -> Reply:
    """Return an error by which the vendor passes on what the IQ said."""
    return refusal(status, "3102", EXECUTION + reason)


TABLE: dict[type[SaltoKsResponseError], dict[str, Reply]] = {
    SaltoKsOtpRejectedError: {
        "no OTP sent": refusal(404, "2202", "Otp is invalid"),
        "wrong OTP": by_the_iq(400, "otp_invalid"),
        "wrong OTP for the secret": by_the_iq(403, "otp_invalid"),
    },
    SaltoKsOtpBlockedError: {"too many wrong OTPs": by_the_iq(403, "otp_blocked")},
    SaltoKsIqNotActivatedError: {
        "PIN never set, 403": by_the_iq(403, "pin_not_changed"),
        "PIN never set, 400": by_the_iq(400, "pin_not_changed"),
    },
    SaltoKsForbiddenError: {
        "PIN delivery once activated": by_the_iq(403, "command_forbidden"),
        "secret once activated": refusal(
            403, "2203", "Cannot get first secret for an already activated Iq."
        ),
        "too early for a keypad PIN": refusal(
            403, "2203", "User does not have permission for this operation on this user"
        ),
        "subscription": refusal(403, "2212", "Feature needs a valid subscription"),
        "pod member": refusal(403, "2220", "User is a pod member"),
        "RFC 7807": Reply(403, PROBLEM),
        "403 without a body": Reply(403),
    },
    SaltoKsNotFoundError: {
        "wrong kind of user id": refusal(404, "2202", "User not found"),
        "404 without a body": Reply(404),
        "404 of RFC 7807": Reply(404, {"title": "Not Found", "status": 404}),
    },
    SaltoKsHardwareError: {
        **{
            f"IQ, {status}": by_the_iq(status, "unheard_of") for status in (400, 403, 404, 408, 500)
        },
        "IQ without a reason": refusal(400, "3102", "Something else"),
        "hardware link": refusal(500, "3101", "CCC error"),
    },
    SaltoKsServerError: {"internal": refusal(500, "2201", "Internal error")},
    SaltoKsRateLimitError: {"429 outranks the reason": by_the_iq(429, "otp_blocked")},
    SaltoKsResponseError: {
        "PIN reset without OTP": refusal(400, "1100", "The otp field is required."),
        "readable code in a path": refusal(400, "1100", "The value 'NL0000000001' is not valid."),
        "empty e-mail": refusal(400, "1101", "Email '' is not valid"),
        "no weekday": refusal(400, "1101", "At least one day should be selected"),
        "1101 with the tabled status": refusal(404, "1101", "A parameter is not valid"),
        "filter": refusal(400, "1102", "The filter is invalid"),
        "activation code": refusal(400, "1501", "Activation code invalid"),
        **{f"rule {code}": refusal(400, str(code), "A rule") for code in (2204, 2210, 2213, 2223)},
        "function": refusal(400, "3010", "Function exception"),
        "method": Reply(405),
        "content type": Reply(415),
    },
}


async def refused(client: SaltoKsClient, vendor: Vendor, reply: Reply) -> SaltoKsResponseError:
    """Send a command that is answered so, and return the error."""
    vendor.on("PATCH", LOCKING, reply)
    with pytest.raises(SaltoKsResponseError) as caught:
        await client.command_lock(SITE, LOCK, LockCommand.OPEN, otp="0f1e2")
    assert vendor.calls() == [("PATCH", LOCKING)]
    return caught.value


@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        pytest.param(kind, reply, id=name)
        for kind, replies in TABLE.items()
        for name, reply in replies.items()
    ],
)
async def test_refusal_becomes_its_error(
    client: SaltoKsClient, vendor: Vendor, kind: type[SaltoKsResponseError], reply: Reply
) -> None:
    """Each known refusal has exactly its class, and carries status, code and reason."""
    error = await refused(client, vendor, reply)
    said = reply.content if isinstance(reply.content, dict) else {}
    message = said.get("Message", "")
    assert type(error) is kind
    assert error.status == reply.status
    assert error.code == (int(said["ErrorCode"]) if "ErrorCode" in said else None)
    assert error.reason == (message.removeprefix(EXECUTION) if EXECUTION in message else None)
    assert error.message == said.get("title", message)
    assert error.endpoint is Endpoint.API


@pytest.mark.parametrize(
    ("spelled", "code"),
    [
        (3102, 3102),
        ("3102", 3102),
        (" 3102 ", 3102),
        (3102.0, 3102),
        (None, None),
        ("", None),
        ("otp", None),
        (True, None),
        (["3102"], None),
        ({"value": 3102}, None),
        (1e400, None),
    ],
    ids=repr,
)
async def test_code_is_read_in_any_spelling(
    client: SaltoKsClient, vendor: Vendor, spelled: object, code: int | None
) -> None:
    """Text and number mean the same; nonsense is no code, and the reason counts all the same."""
    body = {"ErrorCode": spelled, "Message": EXECUTION + "otp_blocked"}
    error = await refused(client, vendor, Reply(403, body))
    assert type(error) is SaltoKsOtpBlockedError
    assert error.code == code


@pytest.mark.parametrize(
    "body",
    [
        {"errorcode": "3102", "message": EXECUTION + "otp_invalid"},
        {"errorCode": 3102, "message": EXECUTION + "OTP_INVALID"},
        {"ERRORCODE": "3102", "MESSAGE": "request execution FAILED WITH CODE:otp_invalid."},
        {"Message": EXECUTION + "otp_invalid"},
    ],
)
async def test_letter_case_of_a_refusal_does_not_matter(
    client: SaltoKsClient, vendor: Vendor, body: dict[str, object]
) -> None:
    """Keys and reason are known in any case, and without a code."""
    error = await refused(client, vendor, Reply(400, body))
    assert type(error) is SaltoKsOtpRejectedError
    assert error.reason == "otp_invalid"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'"Forbidden"', "HTTP 403"),
        (b"5", "HTTP 403"),
        (b"null", "HTTP 403"),
        (b"[]", "HTTP 403"),
        (b"{}", "HTTP 403"),
        (b'{"Message": null, "title": "Forbidden"}', "HTTP 403: Forbidden"),
        (b'{"Message": ["a", "b"]}', "HTTP 403"),
        (b'{"ErrorCode": "2203", "Message": ""}', "HTTP 403, error code 2203"),
        (b'{"ErrorCode": 2203, "Message": " two\\r\\n\\tlines "}', "HTTP 403, error code 2203: two lines"),
        (b'{"Message": "bell \\u0007, half \\ud83d"}', "HTTP 403: bell  , half \N{REPLACEMENT CHARACTER}"),
        (b'{"error": "access_denied"}', "HTTP 403: access_denied"),
    ],
)  # fmt: skip
async def test_any_json_of_a_refusal_is_survived(
    client: SaltoKsClient, vendor: Vendor, body: bytes, text: str
) -> None:
    """The status alone is enough, and the text is one printable line."""
    error = await refused(client, vendor, Reply(403, body))
    assert type(error) is SaltoKsForbiddenError
    assert str(error) == text


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"ErrorCode": "22', b"Not Found"])
async def test_refusal_that_is_no_json_is_unexpected(
    client: SaltoKsClient, vendor: Vendor, body: bytes
) -> None:
    """A 4xx whose body cannot be read is not Salto's word, and its text is not passed on."""
    vendor.on("PATCH", LOCKING, Reply(404, body))
    with pytest.raises(SaltoKsUnexpectedResponseError) as caught:
        await client.command_lock(SITE, LOCK, LockCommand.OPEN, otp="0f1e2")
    assert str(caught.value) == "HTTP 404 with a body that is not JSON"
    assert caught.value.endpoint is Endpoint.API


async def test_long_message_is_cut(client: SaltoKsClient, vendor: Vendor) -> None:
    """No more than 200 characters of a message are kept, but its reason is found anywhere."""
    error = await refused(
        client, vendor, refusal(400, 3102, "x" * 300 + " " + EXECUTION + "otp_blocked")
    )
    assert error.message == "x" * 200
    assert error.reason == "otp_blocked"


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize(
    ("error", "failure"),
    [
        ("invalid_client", AuthFailure.CLIENT),
        ("invalid_grant", AuthFailure.ACCOUNT),
        ("invalid_scope", AuthFailure.GRANT),
        ("unauthorized_client", AuthFailure.GRANT),
        ("unsupported_grant_type", AuthFailure.GRANT),
    ],
)
async def test_refused_login_tells_what_was_refused(
    client: SaltoKsClient, vendor: Vendor, status: int, error: str, failure: AuthFailure
) -> None:
    """The OAuth error names the credential, with either status, and is not tried again."""
    vendor.on_login(Reply(status, {"error": error, "error_description": "said at length"}))
    with pytest.raises(SaltoKsAuthError) as caught:
        await client.sites()
    assert caught.value.failure is failure
    assert len(vendor.journal) == 1


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Unauthorized</html>", {"error": "new_word"}, ["invalid_grant"]],
    ids=repr,
)
async def test_wordless_401_at_login_is_unclear(
    client: SaltoKsClient, vendor: Vendor, content: object
) -> None:
    """A bare 401 may come from anything in between, so new credentials are not asked for."""
    vendor.on_login(Reply(401, content))
    with pytest.raises(SaltoKsAuthError) as caught:
        await client.check_login()
    assert caught.value.failure is AuthFailure.UNCLEAR
    assert not caught.value.failure.mends_with_credentials


@pytest.mark.parametrize("error", ["invalid_request", "server_error", "", 5, None], ids=repr)
async def test_unknown_error_at_login_is_not_about_the_credentials(
    client: SaltoKsClient, vendor: Vendor, error: object
) -> None:
    """A 400 with another word does not send the user to re-enter a password."""
    vendor.on_login(Reply(400, {"error": error}))
    with pytest.raises(SaltoKsResponseError) as caught:
        await client.check_login()
    assert type(caught.value) is SaltoKsResponseError
    assert caught.value.endpoint is Endpoint.IDENTITY
