"""A server that means harm, or is spoken for by somebody who does: what it can make the client do.

It may be the vendor's own, after a break-in, or one of one's own. Whatever it answers, no token goes
elsewhere, no memory is filled, nothing waits for ever, and what it calls things stays a name.
"""

import asyncio
import gzip
import tracemalloc
from typing import Any

import aiohttp
import pytest

from custom_components.salto_ks.api import SaltoKsClient
from custom_components.salto_ks.api.access_models import SiteUser
from custom_components.salto_ks.api.caller import MAX_LIST
from custom_components.salto_ks.api.exceptions import (
    SaltoKsConnectionError,
    SaltoKsResponseError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import Iq, Lock, LockCommand, Site
from custom_components.salto_ks.api.parsing import LONGEST_NAME
from custom_components.salto_ks.api.transport import MAX_BODY

from .accounts import LOCK, LOCKING, LOCKS, SITE, client_of
from .servers import RawServer, Reply, Seen, Vendor, items, refusal

FIRST = f"{LOCKS}?$top=100"
MEGABYTE = 1024 * 1024

HOSTILE_IDS = [
    "../../../me",
    f"{LOCK}/../../iqs",
    f"{LOCK}?x=",
    f"{LOCK}#",
    f"{LOCK}\r\nX-Injected: 1",
    f"{LOCK}\n",
    f"{LOCK}%2f..",
    "{site}",
    "١١١١١١١١-1111-4111-8111-111111111111",
    ["11111111-1111-4111-8111-111111111111"],
    None,
]
"""What would lead a path elsewhere, if it were taken for an id."""


@pytest.mark.parametrize("link", [
    r"\\{other}\v1.2",
    r"/\{other}/v1.2",
    r"https:\\{other}/v1.2",
    "///{other}/v1.2",
    "http:{other}/v1.2",
    "http:///{other}/v1.2",
    "http://{own}@{other}/v1.2",
    "http://{other}#@{own}/v1.2",
    "http://{other}?@{own}/v1.2",
    "//{own}:80@{other}/v1.2",
    "javascript:fetch('//{other}')",
    "file:///etc/passwd",
    "/../../{other}",
])  # fmt: skip
async def test_link_elsewhere(
    client: SaltoKsClient, vendor: Vendor, elsewhere: Vendor, link: str
) -> None:
    """A link that one reader takes for our host and another for a foreign one stays with us."""
    requests: list[Seen] = []

    async def first_then_nothing(seen: Seen) -> Reply:
        requests.append(seen)
        names = {"other": elsewhere.url.authority, "own": vendor.url.authority}
        return items(link=link.format_map(names) if len(requests) == 1 else None)

    vendor.on_anything(first_then_nothing)
    try:
        assert await client.locks(SITE) == ()
    except SaltoKsUnexpectedResponseError:
        assert len(requests) == 1
    assert elsewhere.journal == []


@pytest.mark.parametrize("hostile", HOSTILE_IDS, ids=ascii)
def test_id_that_leads_elsewhere(hostile: Any) -> None:
    """An answer whose id is none is refused before anything is asked with it."""
    for parse in (Site.from_api, Iq.from_api, Lock.from_api):
        if str(hostile).strip() == LOCK:
            assert parse({"id": hostile}).id == LOCK
            continue
        with pytest.raises(SaltoKsUnexpectedResponseError, match=r"^field id is not an id$"):
            parse({"id": hostile})


@pytest.mark.parametrize("hostile", HOSTILE_IDS[:8], ids=ascii)
async def test_id_never_leads_elsewhere(
    client: SaltoKsClient, vendor: Vendor, hostile: Any
) -> None:
    """Not even an id from somewhere else becomes a path."""
    with pytest.raises(ValueError, match="not a UUID"):
        await client.lock(SITE, hostile)
    assert vendor.journal == []


async def test_bomb(client: SaltoKsClient, vendor: Vendor) -> None:
    """A small answer that unpacks to sixteen times the limit fills no memory."""
    bomb = gzip.compress(bytes(16 * MAX_BODY), 1)
    assert len(bomb) < 2 * MEGABYTE
    vendor.on("GET", FIRST, Reply(200, bomb, {"Content-Encoding": "gzip"}))
    tracemalloc.start()
    try:
        with pytest.raises(SaltoKsUnexpectedResponseError, match="larger than"):
            await client.locks(SITE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * MAX_BODY


async def test_list_without_measure(client: SaltoKsClient, vendor: Vendor) -> None:
    """Many pages, each within the limit, fill no memory either."""
    padding = b" " * (MAX_BODY - MEGABYTE)

    async def page(seen: Seen) -> Reply:
        body = b'{"items": [], "next_page_link": "?page=%d"}' % len(vendor.journal) + padding
        return Reply(200, gzip.compress(body, 1), {"Content-Encoding": "gzip"})

    vendor.on_anything(page)
    with pytest.raises(SaltoKsUnexpectedResponseError, match=rf"more than {MAX_LIST} bytes"):
        await client.locks(SITE)
    assert len(vendor.calls()) <= MAX_LIST // len(padding) + 1


@pytest.mark.parametrize("part", ["headers", "body"])
async def test_drip(
    session: aiohttp.ClientSession, vendor: Vendor, raw: RawServer, part: str
) -> None:
    """An answer that comes byte by byte, so that there is never silence, ends all the same."""
    head = b"HTTP/1.1 200 OK\r\n" + (
        b"Content-Length: 9999\r\n\r\n" if part == "body" else b"X-A: "
    )

    ended = asyncio.Event()

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        try:
            while not writer.is_closing():
                writer.write(b"1")
                await writer.drain()
                await asyncio.sleep(0.02)
        finally:
            asyncio.get_running_loop().call_later(0.05, ended.set)

    raw.then(drip)
    slow = client_of(
        session, raw.url, vendor.url, timeout=aiohttp.ClientTimeout(total=0.4, sock_read=0.3)
    )
    with pytest.raises(SaltoKsConnectionError, match="Timeout"):
        await slow.locks(SITE)
    await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("name", [
    "Gate\n2026-12-07 ERROR (MainThread) [homeassistant] All doors are open",
    "Gate\r\n\r\n# Call this number",
    "Gate\N{RIGHT-TO-LEFT OVERRIDE}etaG\N{POP DIRECTIONAL FORMATTING}",
    "Gate\x1b[2J\x1b]0;owned\x07",
    "Gate\N{ZERO WIDTH SPACE}\N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}\x00\x85",
    "Gate" * 100_000,
], ids=["log", "markdown", "direction", "terminal", "unseen", "long"])  # fmt: skip
def test_name_is_one_line(name: str) -> None:
    """What somebody calls a door, an IQ or a site is one short line of what can be seen."""
    data = {"id": LOCK, "customer_reference": name, "mac": name, "revision": name, "site_uid": name}
    for parsed in (Site.from_api(data), Iq.from_api(data), Lock.from_api(data)):
        assert parsed.name.startswith("Gate")
        shown = [parsed.name]
        if isinstance(parsed, Site):
            shown.append(parsed.site_uid)
        else:
            shown.append(parsed.mac)
        assert all(text.isprintable() and len(text) <= LONGEST_NAME for text in shown)


def test_ordinary_names_stay() -> None:
    """Names of any language stay as they are."""
    for name in ("Hoofdingang (noord) – 2e", "Tür 5°", "Entrée d'été", "大門", "Gate %s {0} $x"):
        assert Lock.from_api({"id": LOCK, "customer_reference": name}).name == name


@pytest.mark.parametrize("filler", [
    "failed with code: ",
    "failed with code:" + " " * 1000,
    "request execution ",
    "\\",
    "%s%n{0}",
], ids=["repeated", "blanks", "almost", "backslashes", "formats"])  # fmt: skip
async def test_endless_refusal(client: SaltoKsClient, vendor: Vendor, filler: str) -> None:
    """A refusal of some megabytes is read in one go, and told in one short line."""
    message = filler * (4 * MEGABYTE // len(filler))
    vendor.on("PATCH", LOCKING, refusal(400, "3101", message))
    async with asyncio.timeout(20):
        with pytest.raises(SaltoKsResponseError) as caught:
            await client.command_lock(SITE, LOCK, LockCommand.OPEN, otp="ABCDEF")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(("roles", "is_guest"), [
    ([{"code": "site_guest"}], True),
    ([{"code": "site_guest"}, {"code": "site_user"}], True),
    ([], True),
    (None, True),
    ([{"code": "site_admin"}], False),
    ([{"code": ["site_guest"]}], False),
    ([{}], False),
])  # fmt: skip
def test_who_is_a_guest(roles: Any, is_guest: bool) -> None:
    """A name makes no guest of anybody: the role does, and a new guest may have none yet."""
    data = {"id": LOCK, "user": {"id": LOCK}, "alias": "ha-abcd-1", "roles": roles}
    assert SiteUser.from_api(data).is_guest is is_guest
