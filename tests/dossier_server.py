"""A second stand-in for the vendor's Connect API that makes the other legal choices.

The evidence about the vendor's API leaves room: two pages disagree, a body was never captured, a
list was seen in two shapes. Wherever there is such room this server takes the less obvious side,
so a client that works here and against the simulator relies on facts and not on habits. What was
measured (MEAS) is kept as measured. The tags are DOC (vendor page), MEAS (measured), CODE (seen in
third-party code), INF (inferred) and UNK (unknown, hence free to choose).

It covers what a client needs to be set up and to open a door, on ``/v1.1`` and ``/v1.2``.
"""

import argparse
import base64
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
import hashlib
import json
import re
from typing import Any, NamedTuple
import uuid

from aiohttp import web
from aiohttp.typedefs import Handler

type Json = dict[str, Any]

PAGE_SIZE = 20
"""Most rows in one page, whatever ``$top`` asks; a smaller ``$top`` is honoured (UNK: maximum)."""
TOKEN_LIFETIME = timedelta(seconds=120)
"""Much shorter than the 3600 s that were measured; ``expires_in`` is there to be read."""
OTP_WINDOW = timedelta(minutes=3)
"""A code counts when made at most this long before or after the server's now (DOC)."""
OTP_FAILURES = 3
"""Wrong codes taken per command before it is blocked; 3 and 8 were both measured (MEAS)."""
OTP_BLOCK = timedelta(minutes=20)
"""How long a blocked command stays blocked (DOC)."""
LOCK_COUNT = 25
"""Enough for a second page."""

_SCOPE = "user_api.full_access"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CLAUSE = re.compile(
    r"\(?\s*(?:contains\(\s*(?P<within>\w+)\s*,\s*'(?P<part>(?:[^']|'')*)'\s*\)"
    r"|(?P<field>\w+)\s+eq\s+(?:'(?P<text>(?:[^']|'')*)'|(?P<flag>true|false)))\s*\)?"
)
_SINCE = re.compile(r"\(?utc_date_time ge DateTime'(?P<since>[^']+)'\)?")
_AND = re.compile(r"\s+and\s+(?=\(?\s*(?:contains\(|\w+\s+eq\s))")
_EXTRAS: Json = {"etag": 'W/"7"', "x_preview": {"nested": [1, None]}, "successor_of": None}
"""Fields no client knows, put into every object."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an operator types into a client, plus the site's UUID the client has to find."""

    client_id: str
    client_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    site_uid: str
    site_id: str


class DeliveredPin(NamedTuple):
    """One PIN sent out by SMS or e-mail; the wire itself never carries it (MEAS)."""

    iq_id: str
    channel: str
    pin: str

    def __repr__(self) -> str:
        """Show where the PIN went but not the PIN."""
        return f"DeliveredPin(iq_id={self.iq_id!r}, channel={self.channel!r})"


@dataclass(slots=True)
class _Standing:
    """The one user's standing on one IQ: secrets and PINs are per user and per IQ (MEAS)."""

    secret: str | None = field(default=None, repr=False)
    secret_reads: int = 0
    pin: str | None = field(default=None, repr=False)
    pins_sent: int = 0
    activated_at: datetime | None = None
    used_stamps: set[str] = field(default_factory=set, repr=False)
    failures: Counter[str] = field(default_factory=Counter)
    blocked_until: dict[str, datetime] = field(default_factory=dict)


class _RefusedError(Exception):
    """The vendor's own error answer: a status, a number and a message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _iq_refusal(status: int, reason: str) -> _RefusedError:
    """Build error 3102, by which the vendor reports what the IQ said (DOC, MEAS)."""
    return _RefusedError(status, 3102, f"Request execution failed with code: {reason}")


def _ticks(moment: datetime) -> str:
    """Write an instant with seven fractional digits."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}7Z"


def _otp(stamp: str, secret: str, pin: str) -> str:
    """Compute the code: five hex characters of MD5 over stamp, secret and PIN (DOC, MEAS)."""
    digest = hashlib.md5(f"{stamp}{secret}{pin}".encode(), usedforsecurity=False)
    return digest.hexdigest()[:5]


def _shift_pin(pin: str, delta: str) -> str:
    """Subtract digit by digit without borrowing, one of the two readings of ``delta`` (MEAS)."""
    return "".join(str((int(a) - int(b)) % 10) for a, b in zip(pin, delta, strict=True))


def _json(body: Any, status: int = 200) -> web.Response:
    """Answer JSON; aiohttp names the charset, so the type is more than ``application/json``."""
    return web.json_response(body, status=status)


def _problem(status: int, title: str) -> web.Response:
    """Answer an RFC 7807 body, measured on some 403s and used here where none was captured."""
    body = {"type": f"https://httpstatuses.io/{status}", "title": title, "status": status}
    return web.json_response(body, status=status, content_type="application/problem+json")


def _oauth_error(status: int, error: str) -> web.Response:
    body = {"error": error, "error_description": f"{error}, said at length"}
    headers = {"WWW-Authenticate": 'Basic realm="identity"'} if status == 401 else None
    return web.json_response(body, status=status, headers=headers)


def _matches(row: Json, clause: re.Match[str]) -> bool:
    if (within := clause["within"]) is not None:
        return clause["part"].replace("''", "'") in str(row.get(within) or "")
    value = row.get(clause["field"])
    if clause["flag"] is not None:
        return value is (clause["flag"] == "true")
    return bool(value == clause["text"].replace("''", "'"))


def _select(request: web.Request, rows: list[Json]) -> list[Json]:
    """Apply ``$filter``; an unknown field is error 1102 (MEAS)."""
    known = {name for row in rows for name in row}
    if expression := request.query.get("$filter"):
        for part in _AND.split(expression.strip()):
            clause = _CLAUSE.fullmatch(part)
            if clause is None or (clause["within"] or clause["field"]) not in known:
                raise _RefusedError(400, 1102, "The filter is invalid")
            rows = [row for row in rows if _matches(row, clause)]
    return rows


def _count_option(request: web.Request, name: str, default: int) -> int:
    value = request.query.get(name, str(default))
    if not value.isdecimal():
        raise _RefusedError(400, 1102, f"The {name} option is invalid")
    return int(value)


def _page(request: web.Request, rows: list[Json]) -> web.Response:
    """Answer one envelope of at most 20 rows.

    The last page has no ``next_page_link`` key at all. The link of the others speaks ``http``
    (DOC: the vendor's own SDK repairs that) and names a machine behind the proxy, at which a
    client must not arrive, least of all with its token. ``count`` comes as a string and only when
    asked for. ``skip`` without the dollar sign is ignored (UNK), and so is ``$orderby``.
    """
    rows = _select(request, rows)
    skip = _count_option(request, "$skip", 0)
    top = min(_count_option(request, "$top", PAGE_SIZE), PAGE_SIZE)
    envelope: Json = {"items": rows[skip : skip + top], "generation": 3}
    if request.query.get("$inlinecount") == "allpages":
        envelope["count"] = str(len(rows))
    if top and skip + top < len(rows):
        link = request.url.with_scheme("http").with_host("node-7.connect.invalid").with_port(8080)
        envelope["next_page_link"] = str(link.update_query({"$skip": str(skip + top)}))
    return _json(envelope)


def _lookup[T](rows: dict[str, T], wanted: str, kind: str) -> tuple[str, T]:
    """Find a row by UUID in any letter case; a readable code there is error 1100 (MEAS)."""
    if not _UUID.fullmatch(wanted):
        raise _RefusedError(400, 1100, f"The value '{wanted}' is not valid.")
    if wanted.lower() not in rows:
        raise _RefusedError(404, 2202, f"{kind} not found")
    return wanted.lower(), rows[wanted.lower()]


async def _body(request: web.Request, required: Iterable[str] = ()) -> Json:
    """Read a JSON object; another content type is 415 (CODE), a missing field 1100 (MEAS)."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType
    try:
        body = json.loads(await request.text())
    except ValueError as error:
        raise _RefusedError(400, 1100, "The request body is not valid JSON.") from error
    if not isinstance(body, dict):
        raise _RefusedError(400, 1100, "The request body is not an object.")
    for name in required:
        if not body.get(name):
            raise _RefusedError(400, 1100, f"The {name} field is required.")
    return body


def _build_iqs(first: str, second: str) -> dict[str, Json]:
    """Build two IQs: one nearly usual, one reset and sparse.

    The first lacks ``signal_strength``; the second lacks ``otp_enabled`` although it does want
    codes, has no zone of its own and must be restored before it opens anything (CODE).
    """
    usual: Json = {"id": first, "customer_reference": "IQ 01", "time_zone": "Europe/Amsterdam"}
    usual |= {"state": "active", "online": True, "data_sync_state": "not_synced"}
    usual |= {"mac": "AA.BB.CC", "revision": "2.0", "otp_enabled": True}
    usual |= {"restore_required": False, "reset_date": None}
    sparse: Json = {"id": second, "customer_reference": "IQ 02", "time_zone": None}
    sparse |= {"state": "hibernating", "online": True, "data_sync_state": None}
    sparse |= {"signal_strength": "21", "revision": 3}
    sparse |= {"restore_required": True, "reset_date": "2026-01-02T03:04:05.1234567"}
    return {first: usual | _EXTRAS, second: sparse | _EXTRAS}


_LOCK_ODDITIES: dict[int, Json] = {
    1: {"customer_reference": "Gate", "lock_type": "wall_reader_pin"},
    3: {"iq": None, "iq_link_state": "detached", "locked_state": "none"},
    4: {"customer_reference": None, "mac": None},
    5: {"lock_type": "turnstile_with_palm_reader"},
    6: {"battery_level": "half_full"},
    7: {"locked_state": "ajar"},
    8: {"battery_level": None, "locked_state": None, "lock_type": None},
    9: {"online": False, "iq_link_state": "attached_pending"},
    11: {"communication_type": "mesh_net", "privacy_mode": None, "online": None},
    12: {"offline_access_keys_limit": "360", "offline_access_keys_count": "1"},
    21: {"locked_state": "uncertain", "left_open_alarm": True},
}
"""What is unlike the others, by the lock's place in the list; unknown strings are data (DOC)."""
_SPARSE_LOCK = 10  # tells nothing beyond its id, its name and its IQ


def _build_locks(ids: list[str], iqs: list[Json]) -> dict[str, Json]:
    """Build the locks; their ``iq`` names the IQ in upper case and leaves its flags out."""
    locks: dict[str, Json] = {}
    for number, lock_id in enumerate(ids):
        iq = iqs[number // 13]
        name = {"id": lock_id, "customer_reference": f"Door {number:02d}"}
        link = {"id": iq["id"].upper(), "customer_reference": iq["customer_reference"]}
        kind = {"mac": f"{number:014X}", "lock_type": "escutcheon_pin", "iq_link_state": "attached"}
        state = {"locked_state": "locked", "online": True, "battery_level": "fresh"}
        flags = {"left_open_alarm": False, "privacy_mode": False, "communication_type": "blue_net"}
        told = {} if number == _SPARSE_LOCK else kind | state | flags
        odd = _LOCK_ODDITIES.get(number, {})
        locks[lock_id] = name | told | {"iq": link | _EXTRAS} | odd | _EXTRAS
    return locks


class DossierServer:
    """One deterministic site with two IQs and 25 locks, spoken to over HTTP.

    ``seed`` chooses ids, secrets and PINs. ``clock`` gives an aware UTC instant and is asked anew
    each time. ``single_use_otp`` refuses a code that was already taken on that IQ, as one vendor
    page says; another vendor page allows reuse (DOC, in dispute), hence the switch.
    """

    def __init__(
        self,
        seed: int = 8125,
        *,
        clock: Callable[[], datetime] = _utc_now,
        single_use_otp: bool = True,
    ) -> None:
        self._seed = seed
        self._clock = clock
        self._single_use_otp = single_use_otp
        self._tokens: dict[str, datetime] = {}
        self.delivered_pins: list[tuple[str, str, str]] = []
        self.opened: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.log: list[Json] = []
        self.credentials = Credentials(
            client_id="tolerance-check",
            client_secret=self._hex("client secret")[:24],
            username="opener@campsite.example",
            password=f"{self._hex('password')[:8]}&+ =%C3ü",
            site_uid=f"NL{int(self._hex('site_uid'), 16) % 10**10:010d}",
            site_id=self._id("site"),
        )
        self._iqs = _build_iqs(self._id("iq/1"), self._id("iq/2"))
        lock_ids = [self._id(f"lock/{number}") for number in range(LOCK_COUNT)]
        self._locks = _build_locks(lock_ids, list(self._iqs.values()))
        self._standings = {iq_id: _Standing() for iq_id in self._iqs}
        self._new_secret(self._id("iq/2"))

    def app(self) -> web.Application:
        """Return a new aiohttp application over this server's state."""
        base, site = r"/{version:v1\.[12]}", r"/{version:v1\.[12]}/sites/{site}"
        app = web.Application(middlewares=[self._gate])
        app.add_routes(
            [
                web.post("/connect/token", self._token),
                web.get(f"{base}/me", self._profile),
                web.get(f"{base}/me/{{site}}/activated_iqs", self._activated_iqs),
                web.get(f"{base}/sites", self._list_sites),
                web.get(site, self._site),
                web.get(f"{site}/me", self._site_user),
                web.get(f"{site}/roles", self._roles),
                web.get(f"{site}/subscription", self._subscription),
                web.get(f"{site}/iqs", self._list_iqs),
                web.get(f"{site}/iqs/{{iq}}", self._iq),
                web.get(f"{site}/iqs/{{iq}}/secret", self._read_secret),
                web.get(f"{site}/iqs/{{iq}}/pin", self._send_pin),
                web.put(f"{site}/iqs/{{iq}}/pin", self._set_pin),
                web.post(f"{site}/iqs/{{iq}}/restore", self._restore),
                web.get(f"{site}/locks", self._list_locks),
                web.get(f"{site}/locks/{{lock}}", self._lock),
                web.patch(f"{site}/locks/{{lock}}/locking", self._locking),
                web.get("/v1.1/sites/{site}/entries", self._entries),
            ]
        )
        return app

    def _hex(self, label: str) -> str:
        return hashlib.sha256(f"{self._seed}/{label}".encode()).hexdigest()

    def _id(self, label: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self._seed}/{label}"))

    def _new_secret(self, iq_id: str) -> None:
        """Make 16 characters of both cases: a secret is opaque and keeps its case (INF)."""
        standing = self._standings[iq_id]
        standing.secret_reads += 1
        raw = bytes.fromhex(self._hex(f"secret/{iq_id}/{standing.secret_reads}"))
        standing.secret = base64.b64encode(raw, altchars=b"aZ")[:16].decode()

    @web.middleware
    async def _gate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Record the call, ask for a token, check the site and word the refusals.

        401 has no body (MEAS on a sister API) and says only ``Bearer``; ``ErrorCode`` is a number
        here (strings were captured, numbers are expected by a client in use).
        """
        self.requests.append((request.method, request.path))
        if request.path.startswith("/v1.") and not self._bears_token(request):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        try:
            if (site := request.match_info.get("site")) is not None:
                _lookup({self.credentials.site_id: None}, site, "Site")
            return await handler(request)
        except _RefusedError as refusal:
            body = {"ErrorCode": refusal.code, "Message": str(refusal), "Details": None}
            return _json(body, refusal.status)
        except web.HTTPException as error:
            return _problem(error.status, error.reason)

    def _bears_token(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        expires_at = self._tokens.get(token)
        return scheme.lower() == "bearer" and expires_at is not None and self._clock() < expires_at

    async def _token(self, request: web.Request) -> web.Response:
        """Trade the password for an opaque token (MEAS: grant, form, Basic).

        The type is lower case, ``scope`` is left out as it is the one asked for, and there is no
        refresh token. A bad client and a bad password are both 401 (UNK: 400 or 401).
        """
        form = await request.post()
        known = self.credentials
        pair = base64.b64encode(f"{known.client_id}:{known.client_secret}".encode()).decode()
        scheme, _, sent = request.headers.get("Authorization", "").partition(" ")
        if (scheme.lower(), sent) != ("basic", pair):
            return _oauth_error(401, "invalid_client")
        if form.get("grant_type") != "password":
            return _oauth_error(400, "unsupported_grant_type")
        if form.get("scope") != _SCOPE:
            return _oauth_error(400, "invalid_scope")
        if (form.get("username"), form.get("password")) != (known.username, known.password):
            return _oauth_error(401, "invalid_grant")
        token = self._hex(f"token/{len(self._tokens)}")
        self._tokens[token] = self._clock() + TOKEN_LIFETIME
        lifetime = int(TOKEN_LIFETIME.total_seconds())
        return _json({"access_token": token, "expires_in": lifetime, "token_type": "bearer"})

    async def _profile(self, _request: web.Request) -> web.Response:
        """Answer the caller's profile (MEAS) with most of it empty or absent."""
        profile = {"id": self._id("platform user"), "first_name": None, "last_name": "Opener"}
        return _json(profile | {"email": self.credentials.username, "phone": None} | _EXTRAS)

    def _site_row(self) -> Json:
        return {
            "id": self.credentials.site_id,
            "site_uid": self.credentials.site_uid,
            "customer_reference": "Camping 't Hoekje & Zn",
            "active_user_amount": "7",
            "subscribed_user_amount": "40",
            "owner": None,
            "installation_state": "released_twice",
        } | _EXTRAS

    async def _list_sites(self, request: web.Request) -> web.Response:
        """Answer a bare array on v1.2 and an envelope on v1.1 (both shapes were seen, MEAS)."""
        if request.match_info["version"] == "v1.2":
            return _json(_select(request, [self._site_row()]))
        return _page(request, [self._site_row()])

    async def _site(self, _request: web.Request) -> web.Response:
        """Answer the site with its id in upper case and what the list left out."""
        detail = {"time_zone": "Europe/Amsterdam", "pin_enabled": True, "subscription_valid": None}
        upper = {"id": self.credentials.site_id.upper()}
        return _json(self._site_row() | detail | upper)

    async def _site_user(self, _request: web.Request) -> web.Response:
        """Answer the caller as a site user: another id than the profile's (MEAS)."""
        user = {"id": self._id("platform user"), "email": None, "first_name": None}
        rights = {"alias": None, "roles": None, "remote_access": True, "use_pin": None}
        return _json({"id": self._id("site user"), "user": user | _EXTRAS} | rights | _EXTRAS)

    async def _roles(self, request: web.Request) -> web.Response:
        """Answer the roles as a bare array, one without a code."""
        codes = ["site_guest", "site_user", None, "site_night_warden"]
        rows = [
            {"id": self._id(f"role/{code}"), "code": code, "customer_reference": None} | _EXTRAS
            for code in codes
        ]
        return _json(_select(request, rows))

    async def _subscription(self, _request: web.Request) -> web.Response:
        """Answer the subscription (MEAS) with the amount as a string and no type."""
        features = ["xs_com", "feature_of_tomorrow"]
        return _json({"user_amount": "40", "type": None, "features": features} | _EXTRAS)

    async def _list_iqs(self, request: web.Request) -> web.Response:
        """Answer an envelope with nothing but items in it."""
        return _page(request, list(self._iqs.values()))

    async def _iq(self, request: web.Request) -> web.Response:
        return _json(self._iq_of(request)[1])

    def _iq_of(self, request: web.Request) -> tuple[str, Json]:
        return _lookup(self._iqs, request.match_info["iq"], "Iq")

    async def _activated_iqs(self, _request: web.Request) -> web.Response:
        """Answer a bare array; an entry alone does not mean activated (MEAS)."""
        rows = []
        for iq_id, standing in self._standings.items():
            at = standing.activated_at
            row = {"iq_id": iq_id.upper(), "activation_date": at and _ticks(at)}
            if standing.secret_reads:
                rows.append(row | {"activated": at is not None} | _EXTRAS)
        return _json(rows)

    async def _read_secret(self, request: web.Request) -> web.Response:
        """Answer another secret on every read until the PIN is asked for (UNK); the last counts.

        Once activated it takes a code to see it (CODE); without one it is 403/2203 (MEAS).
        """
        iq_id, _ = self._iq_of(request)
        standing = self._standings[iq_id]
        if standing.activated_at is not None:
            if (code := request.query.get("otp")) is None:
                message = "Cannot get first secret for an already activated Iq."
                raise _RefusedError(403, 2203, message)
            self._check_otp(iq_id, "secret", code, refused_with=403)
        elif standing.pin is None or standing.secret is None:
            self._new_secret(iq_id)
        return _json({"secret": standing.secret} | _EXTRAS)

    async def _send_pin(self, request: web.Request) -> web.Response:
        """Send a fresh PIN, each with a leading zero, which voids the one before (UNK)."""
        iq_id, _ = self._iq_of(request)
        standing = self._standings[iq_id]
        if standing.activated_at is not None:
            raise _iq_refusal(403, "command_forbidden")
        standing.pins_sent += 1
        number = int(self._hex(f"pin/{iq_id}/{standing.pins_sent}"), 16) % 1000
        standing.pin = f"{number:04d}"
        by_email = request.query.get("send_email", "").lower() == "true"
        channel = "email" if by_email else "sms"
        self.delivered_pins.append(DeliveredPin(iq_id, channel, standing.pin))
        return web.Response(status=204)

    async def _set_pin(self, request: web.Request) -> web.Response:
        """Activate the caller, or test or change the PIN (MEAS: 204).

        ``0000`` keeps the PIN under every reading; any other delta is subtracted digit by digit.
        """
        iq_id, _ = self._iq_of(request)
        body = await _body(request, required=("otp", "delta"))
        delta = body["delta"]
        if not isinstance(delta, str) or not re.fullmatch("[0-9]{4}", delta):
            raise _RefusedError(400, 1101, "The delta field is not valid.")
        pin = self._check_otp(iq_id, "pin", body["otp"])
        standing = self._standings[iq_id]
        standing.pin = _shift_pin(pin, delta)
        standing.activated_at = standing.activated_at or self._clock()
        return web.Response(status=204)

    async def _restore(self, request: web.Request) -> web.Response:
        """Restore an IQ after its reset; the answer was never captured, 202 without body here."""
        iq_id, iq = self._iq_of(request)
        self._iqs[iq_id] = iq | {"restore_required": False}
        return web.Response(status=202)

    async def _list_locks(self, request: web.Request) -> web.Response:
        return _page(request, list(self._locks.values()))

    async def _lock(self, request: web.Request) -> web.Response:
        return _json(_lookup(self._locks, request.match_info["lock"], "Lock")[1])

    async def _locking(self, request: web.Request) -> web.Response:
        """Open, hold open or lock a door; success is 204 without a body (CODE; 200 is DOC).

        Refusals in the order they are looked at: a lock without IQ 403/2203 (UNK), an IQ to be
        restored 403 (CODE; body UNK, RFC 7807 here), no code 404/2202 (MEAS), the command blocked
        403 (MEAS), PIN never set 403 (MEAS; status UNK), wrong code 400 (MEAS), door out of reach
        408 with an unheard-of reason (DOC allows it).
        """
        lock_id, lock = _lookup(self._locks, request.match_info["lock"], "Lock")
        body = await _body(request)
        wanted = body.get("locked_state")
        if wanted not in ("locked", "unlocked", "office_mode"):
            raise _RefusedError(400, 1101, "The locked_state field is not valid.")
        if lock["iq"] is None:
            raise _RefusedError(403, 2203, "The operation cannot be executed")
        iq_id = lock["iq"]["id"].lower()
        if self._iqs[iq_id]["restore_required"]:
            raise web.HTTPForbidden
        if not body.get("otp"):
            raise _RefusedError(404, 2202, "Otp is invalid")
        self._check_block(iq_id, "locking")
        if self._standings[iq_id].activated_at is None:
            raise _iq_refusal(403, "pin_not_changed")
        self._check_otp(iq_id, "locking", body["otp"])
        if lock.get("online") is False:
            raise _iq_refusal(408, "hardware_unreachable")
        if wanted != "unlocked":
            self._locks[lock_id] = lock | {"locked_state": wanted}
        if wanted != "locked":
            self.opened.append(lock_id)
            self.note(lock_id, access_by="remote")
        return web.Response(status=204)

    def note(self, lock_id: str, **more: Any) -> None:
        """Write a line into the door log, with ids in upper case and seven digits of a second."""
        line: Json = {"id": self._id(f"entry/{len(self.log)}").upper(), "lock_id": lock_id.upper()}
        line |= {"utc_date_time": _ticks(self._clock().astimezone(UTC))}
        line |= {"event_category": "lock_opened", "user_id": "unknown", "exit_requested": None}
        self.log.append(line | more | _EXTRAS)

    async def _entries(self, request: web.Request) -> web.Response:
        """Answer the door log, newest first unless asked otherwise (INF).

        A page has at most 20 lines and an empty one comes before each (DOC allows that). On the
        last one there is no token at all (DOC); the others are no JSON, as nobody has to read them.
        """
        rows = self.log
        if expression := request.query.get("$filter"):
            if (found := _SINCE.fullmatch(expression.strip())) is None:
                raise _RefusedError(400, 1102, "The filter is invalid")
            since = datetime.fromisoformat(found["since"])
            rows = [row for row in rows if datetime.fromisoformat(row["utc_date_time"]) >= since]
        order = request.query.get("$orderby", "utc_date_time desc")
        if order not in ("utc_date_time desc", "utc_date_time asc"):
            raise _RefusedError(400, 1102, "The orderby is invalid")
        rows = sorted(rows, key=lambda row: row["utc_date_time"], reverse=order.endswith("desc"))
        turn = int(request.headers.get("CLP-Continuation-Token", "after 0").removeprefix("after "))
        start = turn // 2 * PAGE_SIZE
        page: Json = {"items": rows[start : start + PAGE_SIZE] if turn % 2 else []}
        if not turn % 2 or start + PAGE_SIZE < len(rows):
            page["continuation_token"] = f"after {turn + 1}"
        return _json(page)

    def _check_block(self, iq_id: str, command: str) -> None:
        until = self._standings[iq_id].blocked_until.get(command)
        if until is not None and self._clock() < until:
            raise _iq_refusal(403, "otp_blocked")

    def _check_otp(self, iq_id: str, command: str, code: object, refused_with: int = 400) -> str:
        """Take a code in either letter case (DOC) and return the PIN it was made with.

        The stamp is not sent along, so every second of the window is tried (INF). Failures count
        per IQ and command (MEAS), a used code being one of them when codes are single-use.
        """
        self._check_block(iq_id, command)
        standing, now = self._standings[iq_id], self._clock().astimezone(UTC)
        seconds = range(-int(OTP_WINDOW.total_seconds()), int(OTP_WINDOW.total_seconds()) + 1)
        if isinstance(code, str) and standing.secret is not None and standing.pin is not None:
            for offset in seconds:
                stamp = f"{now + timedelta(seconds=offset):%Y%m%d%H%M%S}"
                if self._single_use_otp and stamp in standing.used_stamps:
                    continue
                if _otp(stamp, standing.secret, standing.pin) == code.lower():
                    standing.used_stamps.add(stamp)
                    standing.failures[command] = 0
                    return standing.pin
        standing.failures[command] += 1
        if standing.failures[command] >= OTP_FAILURES:
            standing.failures[command] = 0
            standing.blocked_until[command] = self._clock() + OTP_BLOCK
        raise _iq_refusal(refused_with, "otp_invalid")


def main() -> None:
    """Serve on the loopback interface; ``/_dossier`` shows the credentials and sent PINs."""
    parser = argparse.ArgumentParser(description="The vendor's API with the other legal choices")
    parser.add_argument("--port", type=int, default=8125)
    parser.add_argument("--seed", type=int, default=8125)
    options = parser.parse_args()
    server = DossierServer(options.seed)

    async def reveal(_request: web.Request) -> web.Response:
        seen = {"delivered_pins": server.delivered_pins, "opened": server.opened}
        return _json(asdict(server.credentials) | seen)

    app = server.app()
    app.router.add_get("/_dossier", reveal)
    web.run_app(app, host="127.0.0.1", port=options.port, access_log=None)


if __name__ == "__main__":
    main()
