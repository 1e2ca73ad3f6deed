"""Walks through the second stand-in for the vendor's API with a plain HTTP client."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
import hashlib
from typing import Any

from aiohttp import ClientResponse, encode_basic_auth
from aiohttp.test_utils import TestClient, TestServer
import pytest
from yarl import URL

from .dossier_server import DossierServer

START = datetime(2026, 8, 25, 7, 25, 0, 123456, tzinfo=UTC)
NOBODY = "00000000-0000-4000-8000-000000000000"


@dataclass
class Clock:
    """A clock that moves only when told."""

    now: datetime = START

    def __call__(self) -> datetime:
        """Return the present instant."""
        return self.now


@dataclass
class Caller:
    """A plain client: it holds a token and knows the server's side channel."""

    http: TestClient[Any, Any]
    server: DossierServer
    clock: Clock
    token: str = field(default="", repr=False)

    async def log_in(self, **changed: str) -> ClientResponse:
        """Ask for a token; keywords replace what is sent."""
        known = self.server.credentials
        secret = changed.pop("client_secret", known.client_secret)
        form = {"grant_type": "password", "scope": "user_api.full_access"}
        form |= {"username": known.username, "password": known.password} | changed
        headers = {"Authorization": encode_basic_auth(known.client_id, secret)}
        return await self.http.post("/connect/token", data=form, headers=headers)

    async def call(self, method: str, path: str, **options: Any) -> ClientResponse:
        """Call the API with the token held."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.http.request(method, path, headers=headers, **options)

    async def get(self, path: str, **query: str) -> Any:
        """Read JSON."""
        answer = await self.call("GET", path, params=query)
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        return await answer.json()

    @property
    def site(self) -> str:
        """The site's path."""
        return f"/v1.2/sites/{self.server.credentials.site_id}"

    async def iq_ids(self) -> list[str]:
        """List the ids of the IQs."""
        answer = await self.call("GET", f"{self.site}/iqs")
        return [iq["id"] for iq in (await answer.json())["items"]]

    async def locks(self) -> list[dict[str, Any]]:
        """Read both pages of locks."""
        rows: list[dict[str, Any]] = []
        for skip in ("0", "20"):
            answer = await self.call("GET", f"{self.site}/locks", params={"$skip": skip})
            rows += (await answer.json())["items"]
        return rows

    async def secret_and_pin(self, iq_id: str) -> tuple[str, str]:
        """Read the secret, have the PIN mailed and look into the mail."""
        answer = await self.call("GET", f"{self.site}/iqs/{iq_id}/secret")
        secret = (await answer.json())["secret"]
        path = f"{self.site}/iqs/{iq_id}/pin"
        assert (await self.call("GET", path, params={"send_email": "true"})).status == 204
        return secret, self.server.delivered_pins[-1][2]

    async def set_pin(self, iq_id: str, code: object, delta: object = "0000") -> ClientResponse:
        """Activate, test or change the PIN."""
        body = {"otp": code, "delta": delta}
        return await self.call("PUT", f"{self.site}/iqs/{iq_id}/pin", json=body)

    async def turn(self, lock_id: str, code: str | None, state: str = "unlocked") -> ClientResponse:
        """Send a door a command."""
        body = {"locked_state": state} | ({} if code is None else {"otp": code})
        return await self.call("PATCH", f"{self.site}/locks/{lock_id}/locking", json=body)

    async def activate(self, iq_id: str) -> tuple[str, str]:
        """Walk the whole activation; the code spent is the one of ten seconds ago."""
        secret, pin = await self.secret_and_pin(iq_id)
        spent = otp(secret, pin, self.clock.now - timedelta(seconds=10))
        assert (await self.set_pin(iq_id, spent)).status == 204
        return secret, pin


def otp(secret: str, pin: str, at: datetime) -> str:
    """Compute the one-time password by its published formula (DOC, MEAS)."""
    text = at.strftime("%Y%m%d%H%M%S") + secret + pin
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:5]


def wrong_otp(secret: str, pin: str, now: datetime) -> str:
    """Find a code that no second of the window makes."""
    good = {otp(secret, pin, now + timedelta(seconds=offset)) for offset in range(-200, 201)}
    return next(code for number in range(500) if (code := f"{number:05x}") not in good)


async def error_of(answer: ClientResponse) -> tuple[int, int, str]:
    """Read the vendor's error: status, number, message."""
    body = await answer.json()
    return answer.status, body["ErrorCode"], body["Message"]


def refused(reason: str, status: int = 400) -> tuple[int, int, str]:
    """Spell the refusal of an IQ (MEAS)."""
    return status, 3102, f"Request execution failed with code: {reason}"


@pytest.fixture
async def caller(socket_enabled: None) -> AsyncIterator[Caller]:
    """Serve a fresh world on the loopback interface and log in."""
    clock = Clock()
    server = DossierServer(clock=clock)
    async with TestClient(TestServer(server.app(), host="127.0.0.1")) as http:
        caller = Caller(http, server, clock)
        caller.token = (await (await caller.log_in()).json())["access_token"]
        yield caller


async def test_client_is_set_up_and_opens_a_door(caller: Caller) -> None:
    """From the readable site code to an open door, in the order a client walks."""
    known = caller.server.credentials
    sites = await caller.get("/v1.2/sites", **{"$filter": f"site_uid eq '{known.site_uid}'"})
    assert [site["id"] for site in sites] == [known.site_id]
    iq_id = (await caller.iq_ids())[0]
    secret, pin = await caller.activate(iq_id)
    door = (await caller.locks())[0]["id"]

    answer = await caller.turn(door, otp(secret, pin, caller.clock.now))

    assert (answer.status, await answer.read()) == (204, b"")
    assert caller.server.opened == [door]
    assert [sent[:2] for sent in caller.server.delivered_pins] == [(iq_id, "email")]
    assert caller.server.requests[-1] == ("PATCH", f"{caller.site}/locks/{door}/locking")


async def test_token_is_opaque_and_short_lived(caller: Caller) -> None:
    """A token is no JWT, lasts 120 s and is then refused by an empty 401."""
    body = await (await caller.log_in()).json()
    assert (body["token_type"], body["expires_in"]) == ("bearer", 120)
    assert "." not in body["access_token"]
    caller.clock.now += timedelta(seconds=119)
    assert (await caller.call("GET", "/v1.1/me")).status == 200
    caller.clock.now += timedelta(seconds=1)
    answer = await caller.call("GET", "/v1.1/me")
    assert (answer.status, await answer.read()) == (401, b"")


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"client_secret": "no"}, 401, "invalid_client"),
        ({"password": "no"}, 401, "invalid_grant"),
        ({"scope": "hardware_api"}, 400, "invalid_scope"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
    ],
)
async def test_token_refusals(
    caller: Caller, changed: dict[str, str], status: int, error: str
) -> None:
    """Each wrong part of the log-in has its own OAuth error."""
    answer = await caller.log_in(**changed)
    assert (answer.status, (await answer.json())["error"]) == (status, error)


async def test_readable_code_in_a_path_is_an_invalid_request(caller: Caller) -> None:
    """The readable site code is no UUID, and an unknown UUID is not found."""
    code = await caller.call("GET", f"/v1.1/sites/{caller.server.credentials.site_uid}")
    assert (await error_of(code))[:2] == (400, 1100)
    unknown = await caller.call("GET", f"/v1.1/sites/{NOBODY}/iqs")
    assert (await error_of(unknown))[:2] == (404, 2202)


async def test_lists_come_in_both_shapes(caller: Caller) -> None:
    """The same list is a bare array on one version and an envelope on the other."""
    bare = await caller.get("/v1.2/sites")
    envelope = await (await caller.call("GET", "/v1.1/sites")).json()
    assert envelope["items"] == bare
    assert "next_page_link" not in envelope


async def test_filter_finds_quotes_flags_and_parts(caller: Caller) -> None:
    """The filter understands equality, flags, parts and conjunction, and refuses the unknown."""
    whole = "(customer_reference eq 'Camping ''t Hoekje & Zn') and (contains(site_uid,'NL'))"
    assert len(await caller.get("/v1.2/sites", **{"$filter": whole})) == 1
    assert await caller.get("/v1.2/sites", **{"$filter": "site_uid eq 'NL'"}) == []
    path = f"{caller.site}/locks"
    answer = await caller.call("GET", path, params={"$filter": "online eq false"})
    assert [row["customer_reference"] for row in (await answer.json())["items"]] == ["Door 09"]
    for wrong in ("colour eq 'red'", "online ne true"):
        answer = await caller.call("GET", path, params={"$filter": wrong})
        assert (await error_of(answer))[:2] == (400, 1102)


async def test_pages_hold_twenty_and_link_elsewhere(caller: Caller) -> None:
    """A page of 100 is cut to 20; the link's query is right and its host is not."""
    query = {"$top": "100", "$inlinecount": "allpages"}
    first = await (await caller.call("GET", f"{caller.site}/locks", params=query)).json()
    assert (len(first["items"]), first["count"]) == (20, "25")
    link = URL(first["next_page_link"])
    assert (link.scheme, link.host, link.port) == ("http", "node-7.connect.invalid", 8080)
    second = await (await caller.call("GET", str(link.relative()))).json()
    assert len(second["items"]) == 5
    assert "next_page_link" not in second
    assert len({row["id"] for row in first["items"] + second["items"]}) == 25
    answer = await caller.call("GET", f"{caller.site}/locks", params={"$skip": "-1"})
    assert (await error_of(answer))[:2] == (400, 1102)


async def test_objects_are_odd_but_legal(caller: Caller) -> None:
    """Ids change case, fields are missing, null, unknown or of another type."""
    site = await caller.get(f"/v1.2/sites/{caller.server.credentials.site_id.upper()}")
    assert site["id"] == caller.server.credentials.site_id.upper()
    first, second = [await caller.get(f"{caller.site}/iqs/{i}") for i in await caller.iq_ids()]
    assert "signal_strength" not in first
    assert (second["restore_required"], second.get("otp_enabled")) == (True, None)
    locks = await caller.locks()
    assert [row["customer_reference"] for row in locks if row["iq"] is None] == ["Door 03"]
    assert {row["iq"]["id"].lower() for row in locks if row["iq"]} == set(await caller.iq_ids())
    answer = await caller.call("GET", f"{caller.site}/locks/{locks[5]['id'].upper()}")
    assert await answer.json() == locks[5]


async def test_profile_user_roles_and_subscription(caller: Caller) -> None:
    """The caller has two ids; roles are a bare array and the amount is a string."""
    me = await caller.get("/v1.2/me")
    user = await caller.get(f"{caller.site}/me")
    assert me["id"] == user["user"]["id"] != user["id"]
    roles = await caller.get(f"{caller.site}/roles")
    assert [role["code"] for role in roles][:3] == ["site_guest", "site_user", None]
    assert (await caller.get(f"{caller.site}/subscription"))["user_amount"] == "40"


async def test_activation_shows_in_the_list(caller: Caller) -> None:
    """An entry is not an activation: the second IQ's entry stays false throughout."""
    first, second = await caller.iq_ids()
    path = f"/v1.2/me/{caller.server.credentials.site_id}/activated_iqs"
    assert [(r["iq_id"], r["activated"]) for r in await caller.get(path)] == [
        (second.upper(), False)
    ]
    await caller.activate(first)
    rows = {row["iq_id"]: row for row in await caller.get(path)}
    assert rows[first.upper()]["activated"] is True
    assert rows[first.upper()]["activation_date"] == "2026-08-25T07:25:00.1234567Z"
    assert rows[second.upper()]["activated"] is False


async def test_secret_changes_until_the_pin_is_asked_for(caller: Caller) -> None:
    """Only the last secret counts, and once the PIN is on its way it stays."""
    path = f"{caller.site}/iqs/{(await caller.iq_ids())[0]}"

    async def read() -> str:
        return str((await (await caller.call("GET", f"{path}/secret")).json())["secret"])

    first, second = await read(), await read()
    assert first != second
    assert (len(first), len(second)) == (16, 16)
    assert (await caller.call("GET", f"{path}/pin")).status == 204
    assert caller.server.delivered_pins[-1][1] == "sms"
    assert await read() == await read() == second


async def test_activated_caller_reads_no_secret_and_gets_no_pin(caller: Caller) -> None:
    """After activation the secret takes a code and the PIN is not sent again."""
    iq_id = (await caller.iq_ids())[0]
    secret, pin = await caller.activate(iq_id)
    path = f"{caller.site}/iqs/{iq_id}"
    assert (await error_of(await caller.call("GET", f"{path}/secret")))[:2] == (403, 2203)
    forbidden = await caller.call("GET", f"{path}/pin", params={"send_email": "true"})
    assert await error_of(forbidden) == refused("command_forbidden", 403)
    wrong = {"otp": wrong_otp(secret, pin, caller.clock.now)}
    answer = await caller.call("GET", f"{path}/secret", params=wrong)
    assert await error_of(answer) == refused("otp_invalid", 403)
    right = {"otp": otp(secret, pin, caller.clock.now)}
    answer = await caller.call("GET", f"{path}/secret", params=right)
    assert (await answer.json())["secret"] == secret


async def test_delta_is_taken_off_digit_by_digit(caller: Caller) -> None:
    """A new PIN is the old one minus the delta, without borrowing; the old one is then wrong."""
    iq_id = (await caller.iq_ids())[0]
    secret, old = await caller.activate(iq_id)
    caller.clock.now += timedelta(seconds=1)
    assert (await caller.set_pin(iq_id, otp(secret, old, caller.clock.now), "0999")).status == 204
    new = "".join(str((int(a) - int(b)) % 10) for a, b in zip(old, "0999", strict=True))
    caller.clock.now += timedelta(seconds=1)
    door = (await caller.locks())[0]["id"]
    old_code = otp(secret, old, caller.clock.now)
    assert await error_of(await caller.turn(door, old_code)) == refused("otp_invalid")
    assert (await caller.turn(door, otp(secret, new, caller.clock.now))).status == 204


@pytest.mark.parametrize(
    ("code", "delta", "number"),
    [(None, "0000", 1100), ("00000", None, 1100), ("00000", "12", 1101), ("00000", 999, 1101)],
)
async def test_set_pin_refuses_malformed_bodies(
    caller: Caller, code: str | None, delta: object, number: int
) -> None:
    """A missing field is an invalid request and a delta that is not four digits a bad value."""
    answer = await caller.set_pin((await caller.iq_ids())[0], code, delta)
    assert (await error_of(answer))[:2] == (400, number)


async def test_locking_needs_a_pin_set_once(caller: Caller) -> None:
    """Before the PIN was set no code opens a door."""
    secret, pin = await caller.secret_and_pin((await caller.iq_ids())[0])
    door = (await caller.locks())[0]["id"]
    answer = await caller.turn(door, otp(secret, pin, caller.clock.now))
    assert await error_of(answer) == refused("pin_not_changed", 403)
    assert caller.server.opened == []


async def test_locking_without_code_is_not_found(caller: Caller) -> None:
    """A missing code is 404 with the message that was captured (MEAS)."""
    await caller.activate((await caller.iq_ids())[0])
    answer = await caller.turn((await caller.locks())[0]["id"], None)
    assert await error_of(answer) == (404, 2202, "Otp is invalid")


async def test_wrong_codes_block_that_command_for_twenty_minutes(caller: Caller) -> None:
    """Three wrong codes block locking even for the right code, and only locking."""
    iq_id = (await caller.iq_ids())[0]
    secret, pin = await caller.activate(iq_id)
    door = (await caller.locks())[0]["id"]
    for _ in range(3):
        wrong = await caller.turn(door, wrong_otp(secret, pin, caller.clock.now))
        assert await error_of(wrong) == refused("otp_invalid")
    blocked = await caller.turn(door, otp(secret, pin, caller.clock.now))
    assert await error_of(blocked) == refused("otp_blocked", 403)
    assert caller.server.opened == []
    assert (await caller.set_pin(iq_id, otp(secret, pin, caller.clock.now))).status == 204
    caller.clock.now += timedelta(minutes=20)
    caller.token = (await (await caller.log_in()).json())["access_token"]
    assert (await caller.turn(door, otp(secret, pin, caller.clock.now))).status == 204


async def test_right_code_wipes_the_count_of_wrong_ones(caller: Caller) -> None:
    """Two wrong codes before and two after a right one do not block."""
    secret, pin = await caller.activate((await caller.iq_ids())[0])
    door = (await caller.locks())[0]["id"]
    wrong = wrong_otp(secret, pin, caller.clock.now)
    seen = []
    for second in range(2):
        seen += [(await caller.turn(door, wrong)).status for _ in range(2)]
        right = otp(secret, pin, caller.clock.now + timedelta(seconds=second))
        seen.append((await caller.turn(door, right)).status)
    assert seen == [400, 400, 204, 400, 400, 204]


async def test_no_code_is_right_before_the_pin_was_sent(caller: Caller) -> None:
    """Without a PIN there is nothing a code could be made of."""
    answer = await caller.set_pin((await caller.iq_ids())[0], "00000")
    assert await error_of(answer) == refused("otp_invalid")


@pytest.mark.parametrize(("offset", "status"), [(-181, 400), (-180, 204), (180, 204), (181, 400)])
async def test_code_counts_three_minutes_either_way(
    caller: Caller, offset: int, status: int
) -> None:
    """A code made up to 180 s before or after the server's now opens, in upper case too."""
    secret, pin = await caller.activate((await caller.iq_ids())[0])
    code = otp(secret, pin, caller.clock.now + timedelta(seconds=offset)).upper()
    assert (await caller.turn((await caller.locks())[0]["id"], code)).status == status


@pytest.mark.parametrize(("single_use", "status"), [(True, 400), (False, 204)])
async def test_code_is_good_for_one_command(
    socket_enabled: None, single_use: bool, status: int
) -> None:
    """A spent code is refused unless the server was told to allow it."""
    clock = Clock()
    server = DossierServer(clock=clock, single_use_otp=single_use)
    async with TestClient(TestServer(server.app(), host="127.0.0.1")) as http:
        caller = Caller(http, server, clock)
        caller.token = (await (await caller.log_in()).json())["access_token"]
        secret, pin = await caller.activate((await caller.iq_ids())[0])
        code = otp(secret, pin, clock.now)
        doors = [row["id"] for row in (await caller.locks())[:2]]
        assert [(await caller.turn(door, code)).status for door in doors] == [204, status]


async def test_reset_iq_opens_only_after_restore(caller: Caller) -> None:
    """An IQ to be restored answers an RFC 7807 403 until it is."""
    iq_id = (await caller.iq_ids())[1]
    secret, pin = await caller.activate(iq_id)
    door = (await caller.locks())[13]["id"]
    answer = await caller.turn(door, otp(secret, pin, caller.clock.now))
    assert (answer.status, answer.content_type) == (403, "application/problem+json")
    assert (await caller.call("POST", f"{caller.site}/iqs/{iq_id}/restore")).status == 202
    assert (await caller.turn(door, otp(secret, pin, caller.clock.now))).status == 204
    assert caller.server.opened == [door]


async def test_doors_that_cannot_be_reached_stay_shut(caller: Caller) -> None:
    """A detached door and one out of reach refuse, each in its own way."""
    secret, pin = await caller.activate((await caller.iq_ids())[0])
    locks = await caller.locks()
    code = otp(secret, pin, caller.clock.now)
    assert (await error_of(await caller.turn(locks[3]["id"], code)))[:2] == (403, 2203)
    answer = await caller.turn(locks[9]["id"], code)
    assert await error_of(answer) == refused("hardware_unreachable", 408)
    assert caller.server.opened == []


async def test_office_mode_lasts_until_locked(caller: Caller) -> None:
    """Office mode shows in the lock until it is locked; opening once does not show."""
    secret, pin = await caller.activate((await caller.iq_ids())[0])
    door = (await caller.locks())[0]["id"]
    shown = []
    for second, state in enumerate(("unlocked", "office_mode", "locked")):
        code = otp(secret, pin, caller.clock.now + timedelta(seconds=second))
        assert (await caller.turn(door, code, state)).status == 204
        shown.append((await caller.locks())[0]["locked_state"])
    assert shown == ["locked", "office_mode", "locked"]
    assert caller.server.opened == [door, door]


async def test_malformed_commands_are_refused(caller: Caller) -> None:
    """Another content type, broken JSON, an array and an unknown state are all refused."""
    path = f"{caller.site}/locks/{(await caller.locks())[0]['id']}/locking"
    assert (await caller.call("PATCH", path, data={"locked_state": "unlocked"})).status == 415
    for body in ("{", "[]", '{"locked_state": ["unlocked"]}'):
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {caller.token}"}
        answer = await caller.http.patch(path, data=body, headers=headers)
        assert (await error_of(answer))[0] == 400
    assert (await caller.call("GET", "/v1.2/keys")).status == 404


async def test_no_secret_shows_in_a_representation(caller: Caller) -> None:
    """What pytest or a log would print of the server names no secret."""
    known = caller.server.credentials
    _, pin = await caller.secret_and_pin((await caller.iq_ids())[0])
    shown = repr(known) + repr(caller.server.delivered_pins)
    assert not any(text in shown for text in (known.client_secret, known.password, f"'{pin}'"))


def test_two_servers_of_one_seed_are_alike() -> None:
    """The world depends on the seed alone."""
    one, same, other = DossierServer(), DossierServer(), DossierServer(seed=1)
    assert one.credentials == same.credentials != other.credentials
