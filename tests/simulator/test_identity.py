"""The token endpoint and the bearer check."""

import base64
from collections.abc import Mapping
import json

import pytest

from simulator import Quirks

from .conftest import Serve
from .harness import SCOPE, Answer, Api, basic


def form(api: Api, **changes: str) -> dict[str, str]:
    """Return a good form with these changes."""
    return {
        "grant_type": "password",
        "username": api.seed["username"],
        "password": api.seed["password"],
        "scope": SCOPE,
    } | changes


def claims(token: str) -> Mapping[str, object]:
    """Return the claims of a token in the form of a JWT."""
    part = token.split(".")[1]
    decoded: Mapping[str, object] = json.loads(
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    )
    return decoded


async def test_a_token_as_measured(serve: Serve) -> None:
    """The password grant gives an hour, no refresh token, and a token in the form of a JWT."""
    api = await serve(log_in=False)
    answer = await api.log_in()
    assert answer.status == 200
    body = answer.json
    assert set(body) == {"access_token", "expires_in", "token_type", "scope"}
    assert (body["expires_in"], body["token_type"], body["scope"]) == (3600, "Bearer", SCOPE)
    said = claims(body["access_token"])
    assert (said["aud"], said["scope"], said["amr"]) == ("user_api", [SCOPE], ["password"])
    assert int(str(said["exp"])) - int(str(said["iat"])) == 3600
    assert said["sub"] != (await api.call("GET", "/me")).json["id"]


async def test_an_opaque_token(serve: Serve) -> None:
    """A token may be anything; nothing can be read from this one, and it works."""
    api = await serve(Quirks.instant(token_format="opaque"))
    assert api.token is not None
    assert "." not in api.token
    assert (await api.call("GET", "/me")).status == 200


async def test_the_password_must_be_encoded(api: Api) -> None:
    """The seed's password breaks when a form is put together without encoding."""
    raw = "&".join(f"{name}={value}" for name, value in form(api).items())
    headers = {
        "Authorization": basic(api.seed["client_id"], api.seed["client_secret"]),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = await api.send("POST", "/connect/token", data=raw, headers=headers)
    assert (answer.status, answer.json["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"scope": "hardware_api"}, "invalid_scope"),
        ({"scope": f"{SCOPE} offline_access"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"password": "wrong"}, "invalid_grant"),
        ({"username": "nobody@example.com"}, "invalid_grant"),
        ({"typo": "x"}, "invalid_request"),
    ],
)
async def test_refused_forms(api: Api, changes: dict[str, str], error: str) -> None:
    """Each thing wrong with the form has its own OAuth error, all of them 400."""
    answer = await api.ask_token(form(api, **changes))
    assert (answer.status, answer.json["error"]) == (400, error)


async def test_invalid_scope_literally(api: Api) -> None:
    """The one literal capture has no description."""
    answer = await api.ask_token(form(api, scope="core_api.full"))
    assert answer.json == {"error": "invalid_scope"}


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer x", "Basic !!!", "Basic /w==", basic("demo-client", "wrong"), basic("who", "x")],
)
@pytest.mark.parametrize("status", [400, 401])
async def test_refused_clients(serve: Serve, authorization: str | None, status: int) -> None:
    """A client that is missing, unreadable, unknown or wrong is `invalid_client`."""
    api = await serve(Quirks.instant(invalid_client_status=status))
    answer = await api.ask_token(form(api), authorization)
    assert (answer.status, answer.json) == (status, {"error": "invalid_client"})


async def test_the_client_is_checked_first(api: Api) -> None:
    """A wrong client hears nothing about user or scope."""
    answer = await api.ask_token(form(api, scope="x", password="x"), basic("who", "x"))
    assert answer.json == {"error": "invalid_client"}


async def test_only_forms_are_read(api: Api) -> None:
    """JSON, a field given twice and a body that is no form are `invalid_request`."""
    header = {"Authorization": basic(api.seed["client_id"], api.seed["client_secret"])}
    twice = [*form(api).items(), ("scope", "x")]
    answers = [
        await api.send("POST", "/connect/token", json=form(api), headers=header),
        await api.send("POST", "/connect/token", data=twice, headers=header),
        await api.send(
            "POST",
            "/connect/token",
            data=b"nonsense",
            headers=header | {"Content-Type": "application/x-www-form-urlencoded"},
        ),
    ]
    assert [answer.json["error"] for answer in answers] == ["invalid_request"] * 3


async def test_discovery(api: Api) -> None:
    """The public document says where the token endpoint is."""
    answer = await api.send("GET", "/.well-known/openid-configuration")
    assert answer.status == 200
    assert answer.json["token_endpoint"] == str(api.server.make_url("/connect/token"))


def unauthorized(answer: Answer) -> str:
    """Return the challenge of a 401, which has no body."""
    assert (answer.status, answer.text) == (401, "")
    return answer.headers["WWW-Authenticate"]


async def test_no_token(api: Api) -> None:
    """Without a bearer token there is a bare challenge."""
    assert unauthorized(await api.send("GET", "/v1.2/me")) == "Bearer"
    wrong = await api.send("GET", "/v1.2/me", headers={"Authorization": basic("a", "b")})
    assert unauthorized(wrong) == "Bearer"


async def test_a_wrong_token(api: Api) -> None:
    """A token nobody gave out is `invalid_token`."""
    api.token = "made-up"
    challenge = unauthorized(await api.call("GET", "/me"))
    assert challenge.startswith('Bearer error="invalid_token", error_description="')


async def test_a_token_expires_by_the_clock(api: Api) -> None:
    """After an hour of simulated time a token is no good, and a new one is."""
    api.sim.clock.advance(3590)
    assert (await api.call("GET", "/me")).status == 200
    api.sim.clock.advance(11)
    assert "expired" in unauthorized(await api.call("GET", "/me"))
    old = api.token
    await api.log_in()
    assert (await api.call("GET", "/me")).status == 200
    assert old not in api.sim.world.tokens


async def test_the_lifetime_is_a_quirk(serve: Serve) -> None:
    """A token of two minutes says so, and lives so long."""
    api = await serve(Quirks.instant(token_lifetime_s=120), log_in=False)
    assert (await api.log_in()).json["expires_in"] == 120
    api.sim.clock.advance(121)
    unauthorized(await api.call("GET", "/me"))


async def test_revoked_tokens_and_lost_accounts(api: Api) -> None:
    """Revoking makes tokens worthless, and so does the end of their account."""
    api.sim.revoke_tokens()
    unauthorized(await api.call("GET", "/me"))
    await api.log_in()
    api.sim.remove("account", api.seed["username"])
    unauthorized(await api.call("GET", "/me"))


async def test_a_changed_password(api: Api) -> None:
    """A password that was changed at Salto refuses the next login only."""
    api.sim.set("account", api.seed["username"], password="another")
    assert (await api.call("GET", "/me")).status == 200
    assert (await api.log_in()).json["error"] == "invalid_grant"
    assert (await api.log_in(password="another")).status == 200
