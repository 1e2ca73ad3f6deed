"""The identity server: access tokens."""

import base64
import binascii
from datetime import datetime, timedelta
import hmac
import json
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from simulator.call import Call
from simulator.routing import RouteTable
from simulator.world import Account, OAuthClient, Token

routes = RouteTable()

FORM_FIELDS = frozenset({"grant_type", "username", "password", "scope"})


class _OAuthError(Exception):
    """An error of the token endpoint."""

    def __init__(self, error: str, *, status: int = 400, description: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error} | (
            {} if description is None else {"error_description": description}
        )


@routes.add("POST", "/connect/token", versions=(), public=True)
async def issue_token(call: Call) -> web.Response:
    """Give an access token for client, user name and password.

    Only the password grant, without a refresh token. Refusals are checked in this order: client,
    form, grant type, scope, user.

    Evidence: MEAS (success, `invalid_scope`), CODE and INF (other errors, order).
    """
    try:
        token, scope = _grant(call)
    except _OAuthError as error:
        return call.json(error.body, status=error.status)
    response = call.json(
        {
            "access_token": token.value,
            "expires_in": call.quirks.token_lifetime_s,
            "token_type": "Bearer",
            "scope": scope,
        }
    )
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.add("GET", "/.well-known/openid-configuration", versions=(), public=True)
async def discover(call: Call) -> web.Response:
    """Say where the token endpoint is and what it takes.

    Evidence: MEAS (exists), INF (reduced to what is simulated).
    """
    issuer = str(call.request.url.origin())
    return call.json(
        {
            "issuer": issuer,
            "token_endpoint": f"{issuer}/connect/token",
            "scopes_supported": ["user_api.full_access"],
            "grant_types_supported": ["password"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        }
    )


def _grant(call: Call) -> tuple[Token, str]:
    """Return a new token and its scope, or raise what is wrong with the request."""
    client = _client(call)
    form = _form(call)
    if form.get("grant_type") not in client.grant_types:
        raise _OAuthError("unsupported_grant_type")
    scope = form.get("scope", "")
    if not scope.split() or not set(scope.split()) <= set(client.scopes):
        raise _OAuthError("invalid_scope")
    account = _account(call, form)
    expires_at = call.now + timedelta(seconds=call.quirks.token_lifetime_s)
    for old in [token for token in call.world.tokens.values() if token.expires_at <= call.now]:
        call.world.discard(old)
    value = call.engine.dice.token()
    if call.quirks.token_format == "jwt":
        value = ".".join((_jwt(call, client, account, expires_at), value))
    token = Token(
        value=value,
        username=account.username,
        client_id=client.client_id,
        expires_at=expires_at,
    )
    return call.world.insert(token), scope


def _client(call: Call) -> OAuthClient:
    """Return the client of the Basic header."""
    refused = _OAuthError("invalid_client", status=call.quirks.invalid_client_status)
    scheme, _, value = call.request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise refused
    try:
        text = base64.b64decode(value, validate=True).decode()
    except binascii.Error, UnicodeDecodeError:
        raise refused from None
    client_id, _, secret = text.partition(":")
    client = call.world.clients.get(unquote(client_id))
    if client is None or not _same(client.client_secret, unquote(secret)):
        raise refused
    return client


def _form(call: Call) -> dict[str, str]:
    if call.request.content_type != "application/x-www-form-urlencoded":
        raise _OAuthError("invalid_request")
    try:
        pairs = parse_qsl(call.raw_body.decode(), keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise _OAuthError("invalid_request") from None
    form = dict(pairs)
    if len(form) != len(pairs) or not set(form) <= FORM_FIELDS:
        raise _OAuthError("invalid_request")
    return form


def _account(call: Call, form: dict[str, str]) -> Account:
    account = call.world.accounts.get(form.get("username", ""))
    if account is None or not _same(account.password, form.get("password", "")):
        raise _OAuthError("invalid_grant", description="invalid_username_or_password")
    return account


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())


def _jwt(call: Call, client: OAuthClient, account: Account, expires_at: datetime) -> str:
    """Return header and claims as the vendor's tokens have them; a made-up signature follows."""
    issued = int(call.now.timestamp())
    header = {"alg": "RS256", "typ": "at+jwt", "kid": "simulated"}
    claims = {
        "iss": str(call.request.url.origin()),
        "aud": "user_api",
        "scope": list(client.scopes),
        "client_id": client.client_id,
        # The subject is not the platform user id, as measured.
        "sub": f"identity-{account.username}",
        "amr": ["password"],
        "idp": "local",
        "auth_time": issued,
        "iat": issued,
        "nbf": issued,
        "exp": int(expires_at.timestamp()),
    }
    return f"{_part(header)}.{_part(claims)}"


def _part(data: dict[str, Any]) -> str:
    text = json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
