"""The door log: from the vendor's lines to our events, and through its pages to the end."""

from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import FrozenInstanceError, astuple, fields
from datetime import UTC, datetime, timedelta, timezone
import itertools
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from hypothesis import given, settings, strategies as st
import pytest
from yarl import URL

from custom_components.salto_ks.api import Credentials, SaltoKsClient
from custom_components.salto_ks.api.access_events import (
    AccessCategory,
    AccessEvent,
    AccessEventId,
    AccessEventsApi,
    AccessMethod,
)
from custom_components.salto_ks.api.exceptions import (
    SaltoKsConnectionError,
    SaltoKsError,
    SaltoKsForbiddenError,
    SaltoKsRateLimitError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import LockId, PlatformUserId, SiteId
from simulator import Fault, Quirks, Simulator
from tests.dossier_server import DossierServer

from .accounts import IQ, LOCK, SITE, account_at, client_of
from .payloads import PLATFORM_USER, Json, numbered_id
from .servers import Reply, Seen, Vendor, refusal

EVENT = "77777777-7777-4777-8777-777777777777"
ENTRIES = f"/v1.1/sites/{SITE}/entries"
TOKEN = "CLP-Continuation-Token"
NOON = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)

ENTRY_OBJECT: Json = {
    "id": EVENT,
    "event_category": "lock_opened",
    "event_detail": None,
    "utc_date_time": "2026-01-02T12:00:05Z",
    "local_date_time": "2026-01-02T13:00:05",
    "lock_id": LOCK,
    "lock_mac_address": "0000000000000A",
    "lock_customer_reference": "Gate",
    "user_id": PLATFORM_USER,
    "user_first_name": "Wilhelmina",
    "user_last_name": "Zonneveld",
    "user_image_url": "https://images.invalid/1",
    "user_alias": "Pitch 12",
    "iq_id": IQ,
    "iq_customer_reference": "IQ 01",
    "iq_mac_address": "AA.BB.CC",
    "iq_revision": "2.0",
    "exit_requested": False,
    "access_by": "pin_code",
    "access_detail": "0123456789",
    "ttl_in_seconds": 7_776_000,
    "expiration_date_time": "2026-04-02T12:00:06.123Z",
}


def line(number: int, *, second: int | None = None) -> Json:
    """Return a line with an id and, by default, a second of its own."""
    at = NOON + timedelta(seconds=number if second is None else second)
    return ENTRY_OBJECT | {"id": numbered_id(number), "utc_date_time": f"{at:%Y-%m-%dT%H:%M:%SZ}"}


def page(*rows: object, token: object = None) -> Reply:
    """Return one page of the log."""
    return Reply(200, {"items": list(rows), "continuation_token": token})


def numbers(events: tuple[AccessEvent, ...]) -> list[int]:
    """Return the numbers of events."""
    return [int(event.id[-12:]) for event in events]


@pytest.fixture
def log(client: SaltoKsClient) -> AccessEventsApi:
    """Return the log of a scripted Salto."""
    return AccessEventsApi(client, SITE)


# Lines


def test_event() -> None:
    """A line as measured; names are in no `repr`, the number of a tag is not taken over at all."""
    event = AccessEvent.from_api(ENTRY_OBJECT)
    assert event == AccessEvent(
        id=AccessEventId(EVENT),
        at=datetime(2026, 1, 2, 12, 0, 5, tzinfo=UTC),
        category=AccessCategory.LOCK_OPENED,
        detail=None,
        lock_id=LOCK,
        person_id=PlatformUserId(PLATFORM_USER),
        person_name="Wilhelmina Zonneveld",
        person_alias="Pitch 12",
        access_by=AccessMethod.PIN_CODE,
        exit_requested=False,
    )
    assert not {"0123456789", "https://images.invalid/1"} & set(astuple(event))
    for private in ("Wilhelmina", "Zonneveld", "Pitch 12", "0123456789", "images"):
        assert private not in repr(event)


@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        *(({"event_category": str(word)}, "category", word) for word in AccessCategory),
        ({"event_category": "lock_jammed"}, "category", "lock_jammed"),
        ({"event_category": None}, "category", AccessCategory.UNKNOWN),
        ({"event_category": ["lock_opened"]}, "category", AccessCategory.UNKNOWN),
        ({"event_detail": "no_access"}, "detail", "no_access"),
        ({"event_detail": ""}, "detail", None),
        ({"event_detail": {}}, "detail", None),
        *(({"access_by": str(word)}, "access_by", word) for word in AccessMethod),
        ({"access_by": "palm"}, "access_by", "palm"),
        ({"access_by": None}, "access_by", None),
        ({"access_by": ""}, "access_by", None),
        ({"access_by": ["tag"]}, "access_by", AccessMethod.UNKNOWN),
        ({"lock_id": LOCK.upper()}, "lock_id", LOCK),
        ({"lock_id": None}, "lock_id", None),
        ({"lock_id": "the gate"}, "lock_id", None),
        ({"user_id": f" {PLATFORM_USER} "}, "person_id", PLATFORM_USER),
        ({"user_id": None}, "person_id", None),
        ({"user_id": "nobody"}, "person_id", None),
        ({"user_id": 0}, "person_id", None),
        ({"user_first_name": None}, "person_name", "Zonneveld"),
        ({"user_last_name": " van  Dam "}, "person_name", "Wilhelmina van Dam"),
        ({"user_first_name": [], "user_last_name": ""}, "person_name", None),
        ({"user_alias": None}, "person_alias", None),
        ({"user_alias": " ha-k3x9-42\n"}, "person_alias", "ha-k3x9-42"),
        ({"exit_requested": True}, "exit_requested", True),
        ({"exit_requested": "true"}, "exit_requested", True),
        ({"exit_requested": None}, "exit_requested", False),
        ({"id": EVENT.upper()}, "id", EVENT),
        ({"utc_date_time": "2026-01-02T12:00:00"}, "at", NOON),
        ({"utc_date_time": "2026-01-02T13:00:00+01:00"}, "at", NOON),
        ({"utc_date_time": "2026-01-02T12:00:00.0000007Z"}, "at", NOON),
        ({"x_preview": {"nested": [1]}}, "id", EVENT),
    ],
    ids=repr,
)
def test_fields(changed: Json, field: str, value: object) -> None:
    """Known words become members, unknown ones are carried, and what can be missed may be odd."""
    read = getattr(AccessEvent.from_api(ENTRY_OBJECT | changed), field)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("key", ["id", "utc_date_time"])
@pytest.mark.parametrize("wrong", [None, "", "yesterday", 7, True, [], {"id": EVENT}], ids=repr)
def test_line_that_cannot_be_told_once_is_refused(key: str, wrong: object) -> None:
    """Without id or instant it is an answer nobody expects, named by the field alone."""
    with pytest.raises(SaltoKsUnexpectedResponseError, match=f"^field {key} is (not an|no) i"):
        AccessEvent.from_api(ENTRY_OBJECT | {key: wrong})


@pytest.mark.parametrize("wrong", [None, "", "text", 5, True, [], [ENTRY_OBJECT]], ids=repr)
def test_anything_but_an_object_is_refused(wrong: object) -> None:
    """JSON of another kind is named and not quoted."""
    with pytest.raises(SaltoKsUnexpectedResponseError, match=r"^an entry is not an object$"):
        AccessEvent.from_api(wrong)


def test_events_cannot_be_changed() -> None:
    """An event is frozen, has no room for other attributes, and can be in a set."""
    event = AccessEvent.from_api(ENTRY_OBJECT)
    with pytest.raises(FrozenInstanceError):
        setattr(event, fields(event)[0].name, None)
    assert not hasattr(event, "__dict__")
    assert {event, AccessEvent.from_api(ENTRY_OBJECT)} == {event}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from([EVENT, LOCK.upper(), "true", "tag", "0001-01-01T00:00:00+01:00"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    raw=JSON
    | st.fixed_dictionaries({}, optional=dict.fromkeys(ENTRY_OBJECT, JSON)).map(
        lambda drawn: ENTRY_OBJECT | drawn
    )
)
@settings(deadline=None, max_examples=150)
def test_any_json_parses_or_is_refused(raw: object) -> None:
    """Whatever stands in the fields, the result is an event or our own error, never another."""
    try:
        event = AccessEvent.from_api(raw)
    except SaltoKsUnexpectedResponseError:
        return
    assert event.at.tzinfo is UTC
    assert {type(event.lock_id), type(event.person_id)} <= {str, type(None)}
    repr(event).encode()
    assert hash(event) == hash(AccessEvent.from_api(raw))


# Pages


async def since(
    log: AccessEventsApi, at: datetime = NOON, *, told: Container[Any] = (), most: int = 1000
) -> list[int]:
    """Read the log and return the numbers of its events."""
    return numbers(await log.since(at, told=told, most=most))


async def test_what_is_asked_for(log: AccessEventsApi, vendor: Vendor) -> None:
    """It is asked once at version 1.1, from a whole UTC second on, oldest first, a hundred lines."""
    vendor.on("GET", ENTRIES, page(line(0), line(1)))
    at = (NOON + timedelta(microseconds=999_999)).astimezone(timezone(timedelta(hours=2)))
    assert await since(log, at) == [0, 1]
    (seen,) = [seen for seen in vendor.journal if seen.method == "GET"]
    assert URL(seen.target).path == ENTRIES
    assert dict(URL(seen.target).query) == {
        "$top": "100",
        "$filter": "utc_date_time ge DateTime'2026-01-02T12:00:00Z'",
        "$orderby": "utc_date_time asc",
    }
    assert TOKEN not in seen.headers


@pytest.mark.parametrize("last", [None, "", False, 0, {}], ids=repr)
async def test_tokens_are_followed_to_the_end(
    log: AccessEventsApi, vendor: Vendor, last: object
) -> None:
    """Each token goes back in the header as it came, past empty pages, until there is none."""
    tokens = ['{"token": "+RID:~a/b=#RT:1"}', "  2 ", '[{"x":"\\u20ac"}]']
    pages = [page(line(0), token=tokens[0]), page(token=tokens[1]), page(token=tokens[2])]
    vendor.on("GET", ENTRIES, *pages, page(line(1), token=last))
    assert await since(log) == [0, 1]
    seen = [seen for seen in vendor.journal if seen.method == "GET"]
    assert [item.headers.get(TOKEN) for item in seen] == [None, *(text.strip() for text in tokens)]
    assert len({item.target for item in seen}) == 1


async def test_token_may_be_absent(log: AccessEventsApi, vendor: Vendor) -> None:
    """A body without the field is the last page, and so is a bare list."""
    vendor.on("GET", ENTRIES, Reply(200, {"items": [line(0)]}), Reply(200, [line(1)]))
    assert await since(log) == [0]
    assert await since(log) == [1]


@pytest.mark.parametrize("token", ["a\r\nX-Injected: 1", "\0", "é", 7, True, ["x"], {"x": 1}])
async def test_token_that_is_none(log: AccessEventsApi, vendor: Vendor, token: object) -> None:
    """What cannot be put into a header is neither sent nor taken for the end."""
    vendor.on("GET", ENTRIES, page(line(0), token=token))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="a continuation token is no text"):
        await since(log)
    assert len(vendor.calls()) == 1


@pytest.mark.parametrize(("tokens", "calls"), [(["a", "a"], 2), (["a", "b", "a"], 3)])
async def test_token_that_comes_back(
    log: AccessEventsApi, vendor: Vendor, tokens: list[str], calls: int
) -> None:
    """A token that was there before is a circle, which ends at once."""
    vendor.on("GET", ENTRIES, *(page(token=token) for token in tokens))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="lead back"):
        await since(log)
    assert len(vendor.calls()) == calls


async def test_log_without_an_end(log: AccessEventsApi, vendor: Vendor) -> None:
    """After a thousand pages, each with another token, it is enough."""
    count = itertools.count()

    async def answer(_: Seen) -> Reply:
        return page(token=f"t{next(count)}")

    vendor.on("GET", ENTRIES, answer)
    with pytest.raises(SaltoKsUnexpectedResponseError, match="more than 1000 pages"):
        await since(log)
    assert len(vendor.calls()) == 1000


async def test_token_goes_nowhere_else(
    log: AccessEventsApi, vendor: Vendor, elsewhere: Vendor
) -> None:
    """A redirect on the way is an error, and neither token nor login follow it."""
    vendor.on(
        "GET",
        ENTRIES,
        page(line(0), token="next"),
        Reply(307, headers={"Location": str(elsewhere.url.with_path(ENTRIES))}),
    )
    with pytest.raises(SaltoKsUnexpectedResponseError, match="redirects"):
        await since(log)


@pytest.mark.parametrize("wrong", [None, "x", 7, {}, {"items": None}, {"items": {}}], ids=repr)
async def test_page_that_is_none(log: AccessEventsApi, vendor: Vendor, wrong: object) -> None:
    """An answer without lines is not taken for a quiet log."""
    vendor.on("GET", ENTRIES, Reply(200, wrong))
    with pytest.raises(SaltoKsUnexpectedResponseError):
        await since(log)


async def test_log_is_whole_or_an_error(log: AccessEventsApi, vendor: Vendor) -> None:
    """When a later page fails, or a line of it cannot be read, nothing is handed out."""
    vendor.on("GET", ENTRIES, page(line(0), token="next"), Reply(502))
    with pytest.raises(SaltoKsServerError):
        await since(log)
    vendor.on("GET", ENTRIES, page(line(0), token="next"), page(line(1) | {"id": None}))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="field id"):
        await since(log)


async def test_refused_token_is_renewed_on_the_way(log: AccessEventsApi, vendor: Vendor) -> None:
    """A login that ends between two pages is renewed, and the same page is asked for again."""
    vendor.on("GET", ENTRIES, page(line(0), token="next"), Reply(401), page(line(1)))
    assert await since(log) == [0, 1]
    seen = [seen for seen in vendor.journal if seen.method == "GET"]
    assert [item.headers.get(TOKEN) for item in seen] == [None, "next", "next"]
    assert [item.bearer for item in seen] == ["token-1", "token-1", "token-2"]


async def test_each_event_comes_once_and_in_order(log: AccessEventsApi, vendor: Vendor) -> None:
    """Whatever order the lines have, the oldest comes first, and none twice nor again."""
    vendor.on(
        "GET",
        ENTRIES,
        page(line(5), line(3), line(4), token="next"),
        page(line(3), line(2, second=5), line(6), line(7, second=-1)),
    )
    assert await since(log, told={numbered_id(6)}) == [3, 4, 2, 5]


@pytest.mark.parametrize(
    ("told", "most", "expected", "calls"),
    [
        ([], 1, [0, 1], 1),
        ([], 2, [0, 1], 1),
        ([], 3, [0, 1, 2, 3], 2),
        ([0, 1], 1, [2, 3], 2),
        ([0, 1, 2, 3], 1, [4, 5], 3),
        ([], 100, [0, 1, 2, 3, 4, 5], 3),
    ],
)
async def test_long_log_is_read_in_parts(
    log: AccessEventsApi,
    vendor: Vendor,
    told: list[int],
    most: int,
    expected: list[int],
    calls: int,
) -> None:
    """It is read up to the page that brings enough of what was not told before."""
    pages = [page(line(n), line(n + 1), token=f"after {n}") for n in (0, 2)]
    vendor.on("GET", ENTRIES, *pages, page(line(4), line(5)))
    assert await since(log, told={numbered_id(n) for n in told}, most=most) == expected
    assert len(vendor.calls()) == calls


async def test_log_in_another_order_is_read_whole(log: AccessEventsApi, vendor: Vendor) -> None:
    """Where the newest lines come first nothing is left for later, or it would be lost."""
    pages = [page(line(n + 1), line(n), token=f"after {n}") for n in (4, 2)]
    vendor.on("GET", ENTRIES, *pages, page(line(1), line(0)))
    assert await since(log, most=1) == [0, 1, 2, 3, 4, 5]


async def test_account_without_the_right(log: AccessEventsApi, vendor: Vendor) -> None:
    """An account that may not read the log is told so by its own class."""
    vendor.on("GET", ENTRIES, refusal(403, "2203", "Operation cannot be executed"))
    with pytest.raises(SaltoKsForbiddenError):
        await since(log)


# The simulated log


class Gate:
    """A simulated door with its log, and the clock that both go by."""

    def __init__(self, sim: Simulator, client: SaltoKsClient) -> None:
        """Stand at the main gate."""
        self.sim = sim
        self.log = AccessEventsApi(client, SiteId(sim.site_id))
        self.lock_id = LockId(
            next(lock["id"] for lock in sim.seed_info()["locks"] if lock["name"] == "Main gate")
        )
        self.began_at = sim.clock.now()

    def knock(self, times: int) -> None:
        """Type a PIN that nobody has, once a minute."""
        for _ in range(times):
            self.sim.keypad(self.lock_id, "000000")
            self.sim.clock.advance(60)

    async def read(self) -> tuple[AccessEvent, ...]:
        """Read the log from the beginning."""
        return await self.log.since(self.began_at, told=(), most=1000)

    @property
    def requests(self) -> list[Any]:
        """The requests for the log so far."""
        return self.sim.journal.filter("GET", "/v1.1/sites/{site}/entries")


@asynccontextmanager
async def at_the_gate(quirks: Quirks) -> AsyncIterator[Gate]:
    """Serve a simulator and read its log."""
    sim = Simulator("campsite", quirks=quirks)
    known = sim.seed_info()
    names = ("client_id", "client_secret", "username", "password")
    async with (
        TestServer(sim.app(), host="127.0.0.1") as server,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        credentials = Credentials(**{name: known[name] for name in names})
        yield Gate(sim, client_of(session, server.make_url("/"), credentials=credentials))


@pytest.fixture
async def gate(socket_enabled: None) -> AsyncIterator[Gate]:
    """Stand at a gate that behaves as is likeliest."""
    async with at_the_gate(Quirks.instant()) as gate:
        yield gate


async def test_guest_who_comes_and_a_stranger_who_does_not(gate: Gate) -> None:
    """A guest's PIN is told with the guest's platform id, an unknown one with nobody's."""
    guest = gate.sim.world.guests[0]
    assert guest.pin is not None
    assert gate.sim.keypad(gate.lock_id, guest.pin).result == "opened"
    gate.sim.clock.advance(60)
    gate.knock(1)
    opened, rejected = await gate.read()
    assert (opened.category, opened.detail) == (AccessCategory.LOCK_OPENED, None)
    assert opened.lock_id == gate.lock_id
    assert opened.person_id == PlatformUserId(guest.user_id)
    assert opened.access_by is rejected.access_by is AccessMethod.PIN_CODE
    assert (rejected.category, rejected.detail) == (AccessCategory.LOCK_REJECTED, "no_access")
    assert rejected.person_id not in set(map(str, gate.sim.world.people))
    assert rejected.at - opened.at == timedelta(seconds=60)


@pytest.mark.parametrize("empty_pages", ["off", "on"])
@pytest.mark.parametrize("last", ["null", "missing"])
async def test_all_pages_are_read(socket_enabled: None, empty_pages: str, last: str) -> None:
    """Through empty pages and to either kind of last page, each line comes once."""
    quirks = Quirks.instant(entries_empty_pages=empty_pages, entries_last_token=last)
    async with at_the_gate(quirks) as gate:
        gate.knock(250)
        events = await gate.read()
        assert len({event.id for event in events}) == len(events) == 250
        assert sorted(events, key=lambda event: event.at) == list(events)
        assert len(gate.requests) == (3 if empty_pages == "off" else 5)


async def test_parts_of_a_long_log_make_the_whole(gate: Gate) -> None:
    """Read in parts, from the newest event of the part before, the log is told whole."""
    gate.knock(230)
    told: dict[AccessEventId, AccessEvent] = {}
    at = gate.began_at
    for size in (100, 130, 0):  # The second part begins on a page with one line that was told.
        part = await gate.log.since(at, told=told, most=100)
        assert len(part) == size
        told |= {event.id: event for event in part}
        at = max(event.at for event in told.values())
    assert len(told) == 230


async def test_later_instant_leaves_earlier_lines_out(gate: Gate) -> None:
    """Only what happened from the instant on is told."""
    gate.knock(3)
    events = await gate.read()
    assert await gate.log.since(events[1].at, told=(), most=9) == events[1:]


FAULTS: dict[str, tuple[dict[str, Any], type[SaltoKsError]]] = {
    "403": ({"status": 403, "body": {"ErrorCode": "2203"}}, SaltoKsForbiddenError),
    "429": ({"status": 429}, SaltoKsRateLimitError),
    "500": ({"status": 500}, SaltoKsServerError),
    "reset": ({"reset": True, "count": None}, SaltoKsConnectionError),
    "cut off": ({"truncate": 20, "count": None}, SaltoKsConnectionError),
    "web page": ({"status": 200, "body": "<html>"}, SaltoKsUnexpectedResponseError),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_failure_has_its_class_and_passes(gate: Gate, name: str) -> None:
    """What goes wrong on the second page raises as elsewhere, and the next read is whole."""
    fault, expected = FAULTS[name]
    gate.knock(101)
    gate.sim.faults.add(Fault(route="/entries", after=1, **fault))
    with pytest.raises(expected):
        await gate.read()
    gate.sim.faults.clear()
    assert len(await gate.read()) == 101


# The log of the second stand-in


async def test_log_with_the_other_choices(session: aiohttp.ClientSession) -> None:
    """Pages of 20 with an empty one before each, odd ids and odd instants are read all the same."""
    moments = itertools.count()
    server = DossierServer(clock=lambda: NOON + timedelta(seconds=1.25 * next(moments)))
    for _ in range(44):
        server.note(LOCK, access_by="palm")
    async with TestServer(server.app(), host="127.0.0.1") as served:
        client = client_of(session, served.make_url("/"), credentials=account_at(server))
        log = AccessEventsApi(client, SiteId(server.credentials.site_id))
        events = await log.since(NOON + timedelta(seconds=5.9), told=(), most=1000)
    assert [event.id for event in events] == [line["id"].lower() for line in server.log[4:]]
    assert {(event.lock_id, event.person_id, event.access_by) for event in events} == {
        (LOCK, None, "palm")
    }
    assert sum(path.endswith("/entries") for _, path in server.requests) == 4
