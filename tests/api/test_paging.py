"""Reading a list to its end, wherever its links point."""

from collections.abc import Awaitable, Callable

import pytest
from yarl import URL

from custom_components.salto_ks.api import SaltoKsClient
from custom_components.salto_ks.api.exceptions import (
    SaltoKsConnectionError,
    SaltoKsServerError,
    SaltoKsUnexpectedResponseError,
)

from .accounts import LOCKS, SITE
from .payloads import Json, lock_object, numbered_id
from .servers import Reply, Seen, Vendor, items

FIRST = f"{LOCKS}?$top=100"


def rows(start: int, stop: int) -> list[Json]:
    """Return the locks of these numbers."""
    return [lock_object(number) for number in range(start, stop)]


def skipping(skip: int) -> str:
    """Return the target that asks a bare list for more."""
    return f"{LOCKS}?$top=100&$skip={skip}"


async def numbers(client: SaltoKsClient) -> list[int]:
    """Read the locks and return their numbers."""
    return [int(lock.id[-12:]) for lock in await client.locks(SITE)]


async def test_page_of_a_hundred_is_asked_for(client: SaltoKsClient, vendor: Vendor) -> None:
    """One enveloped page without a link is one request, with `$top=100` spelled like that."""
    vendor.on("GET", FIRST, items(*rows(0, 3)))
    assert await numbers(client) == [0, 1, 2]
    assert vendor.calls() == [("GET", FIRST)]


@pytest.mark.parametrize("link", [None, "", False, 0])
async def test_empty_link_is_the_end(client: SaltoKsClient, vendor: Vendor, link: object) -> None:
    """Whatever says nothing leads nowhere."""
    vendor.on("GET", FIRST, items(*rows(0, 2), link=link))
    assert await numbers(client) == [0, 1]


async def test_envelope_without_a_link_field_is_the_last_page(
    client: SaltoKsClient, vendor: Vendor
) -> None:
    """The field may be absent."""
    vendor.on("GET", FIRST, Reply(200, {"items": rows(0, 1)}))
    assert await numbers(client) == [0]


@pytest.mark.parametrize(
    "host",
    [
        "http://{other}",
        "https://{other}",
        "//{other}",
        "http://user:pass@{other}",
        "http://{own}",
        "",
    ],
)
async def test_link_is_followed_on_our_own_origin_only(
    client: SaltoKsClient, vendor: Vendor, elsewhere: Vendor, host: str
) -> None:
    """Whatever scheme, user and host a link names, its path and query go to where we began."""
    origin = host.format(other=elsewhere.url.authority, own=vendor.url.authority)
    second = f"{LOCKS}?$top=100&$skip=100"
    vendor.on("GET", FIRST, items(*rows(0, 2), link=origin + second))
    vendor.on("GET", second, items(*rows(2, 3)))
    assert await numbers(client) == [0, 1, 2]
    assert vendor.calls() == [("GET", FIRST), ("GET", second)]
    assert vendor.journal[-1].bearer == "token-1"


@pytest.mark.parametrize("link", ["?$skip=20&$top=100", "locks?$skip=20&$top=100"])
async def test_relative_link_is_relative_to_its_page(
    client: SaltoKsClient, vendor: Vendor, link: str
) -> None:
    """A link without a host or path is read as a browser would read it."""
    second = f"{LOCKS}?$skip=20&$top=100"
    vendor.on("GET", FIRST, items(*rows(0, 1), link=link))
    vendor.on("GET", second, items(*rows(1, 2)))
    assert await numbers(client) == [0, 1]


async def test_link_is_kept_byte_for_byte(client: SaltoKsClient, vendor: Vendor) -> None:
    """Encoded characters stay as they came: nothing is decoded, encoded or put in order."""
    query = "$skip=20&%24top=20&$filter=name%20eq%20%27a%2Fb%2bc+d%27&c=%7B%22t%22%3A1%7D&a=&a=2&%e2%82%ac"
    vendor.on(
        "GET", FIRST, items(*rows(0, 1), link=f"http://node.invalid:8080{LOCKS}?{query}#part")
    )
    vendor.on("GET", f"{LOCKS}?{query}", items(*rows(1, 2)))
    assert await numbers(client) == [0, 1]
    assert vendor.calls()[1] == ("GET", f"{LOCKS}?{query}")


@pytest.mark.parametrize(
    "link",
    [
        "http://[::1",
        "http://host/a b",
        f"{LOCKS}?$skip=1\r\nX-Injected: 1",
        f"{LOCKS}?\0",
        "http://host/é",
        5,
        True,
        ["http://host/x"],
        {"href": "http://host/x"},
    ],
    ids=ascii,
)
async def test_link_that_is_none_is_unexpected(
    client: SaltoKsClient, vendor: Vendor, link: object
) -> None:
    """Garbage is neither followed nor taken for the end of the list."""
    vendor.on("GET", FIRST, items(*rows(0, 2), link=link))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="next page link"):
        await client.locks(SITE)
    assert vendor.calls() == [("GET", FIRST)]


@pytest.mark.parametrize("target", [FIRST, f"http://other.invalid{FIRST}", f"{FIRST}#again"])
async def test_link_to_a_page_that_was_read_is_unexpected(
    client: SaltoKsClient, vendor: Vendor, target: str
) -> None:
    """A loop ends at once instead of going on for ever."""
    second = f"{LOCKS}?$skip=2"
    vendor.on("GET", FIRST, items(*rows(0, 2), link=second))
    vendor.on("GET", second, items(*rows(2, 4), link=target))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="lead back"):
        await client.locks(SITE)
    assert len(vendor.calls()) == 2


async def test_list_without_an_end_is_unexpected(client: SaltoKsClient, vendor: Vendor) -> None:
    """After a thousand pages, each with another link, it is enough."""

    async def page(seen: Seen) -> Reply:
        number = int(URL(seen.target).query.get("page", "0"))
        return items(link=f"{LOCKS}?page={number + 1}")

    vendor.on("GET", LOCKS, page)
    with pytest.raises(SaltoKsUnexpectedResponseError, match="more than 1000 pages"):
        await client.locks(SITE)
    assert len(vendor.calls()) == 1000


async def test_empty_page_with_a_link_is_not_the_end(client: SaltoKsClient, vendor: Vendor) -> None:
    """A page may be empty and still lead on."""
    vendor.on("GET", FIRST, items(link="?page=2"))
    vendor.on("GET", f"{LOCKS}?page=2", items(*rows(0, 1), link="?page=3"))
    vendor.on("GET", f"{LOCKS}?page=3", items())
    assert await numbers(client) == [0]
    assert len(vendor.calls()) == 3


async def test_thing_that_slid_onto_the_next_page_counts_once(
    client: SaltoKsClient, vendor: Vendor
) -> None:
    """A lock on two pages is one lock, as it was read last; its id's letter case is no difference."""
    moved = lock_object(1, customer_reference="Renamed", id=numbered_id(1).upper())
    vendor.on("GET", FIRST, items(*rows(0, 2), link="?page=2"))
    vendor.on("GET", f"{LOCKS}?page=2", items(moved, *rows(2, 3)))
    locks = await client.locks(SITE)
    assert [lock.name for lock in locks] == ["Door 0", "Renamed", "Door 2"]


async def test_page_of_repetitions_does_not_end_an_enveloped_list(
    client: SaltoKsClient, vendor: Vendor
) -> None:
    """A link is believed even after a page that held nothing new."""
    vendor.on("GET", FIRST, items(*rows(0, 2), link="?page=2"))
    vendor.on("GET", f"{LOCKS}?page=2", items(*rows(0, 2), link="?page=3"))
    vendor.on("GET", f"{LOCKS}?page=3", items(*rows(2, 3)))
    assert await numbers(client) == [0, 1, 2]


async def test_a_list_is_whole_or_an_error(client: SaltoKsClient, vendor: Vendor) -> None:
    """When a later page fails, no partial list is handed out as if it were the site."""
    vendor.on("GET", FIRST, items(*rows(0, 2), link="?page=2"))
    vendor.on("GET", f"{LOCKS}?page=2", Reply(502))
    with pytest.raises(SaltoKsServerError):
        await client.locks(SITE)


async def test_one_bad_row_is_an_error(client: SaltoKsClient, vendor: Vendor) -> None:
    """A lock without an id is not left out silently."""
    vendor.on("GET", FIRST, items(*rows(0, 2), lock_object(2, id=None)))
    with pytest.raises(SaltoKsUnexpectedResponseError, match="field id"):
        await client.locks(SITE)


def paged(total: int, size: int) -> Callable[[Seen], Awaitable[Reply]]:
    """Answer bare pages of a size, honouring `$skip`."""

    async def page(seen: Seen) -> Reply:
        skip = int(URL(seen.target).query.get("$skip", "0"))
        return Reply(200, rows(skip, min(skip + size, total)))

    return page


@pytest.mark.parametrize(
    ("total", "size", "skips"),
    [
        (0, 100, []),
        (1, 100, []),
        (19, 20, []),
        (20, 20, [20]),
        (21, 20, [20]),
        (45, 20, [20, 40]),
        (99, 100, []),
        (100, 100, [100]),
        (150, 100, [100]),
        (200, 100, [100, 200]),
    ],
)
async def test_bare_list_is_read_to_its_end(
    client: SaltoKsClient, vendor: Vendor, total: int, size: int, skips: list[int]
) -> None:
    """A full page of a bare list may have a successor, so it is asked for; others are the end."""
    vendor.on("GET", LOCKS, paged(total, size))
    assert await numbers(client) == list(range(total))
    assert vendor.calls() == [("GET", FIRST), *(("GET", skipping(skip)) for skip in skips)]


@pytest.mark.parametrize("total", [20, 40, 100, 120])
async def test_bare_list_that_ignores_skip_is_read_twice_at_most(
    client: SaltoKsClient, vendor: Vendor, total: int
) -> None:
    """A server that answers the same list again has said everything."""
    vendor.on("GET", LOCKS, Reply(200, rows(0, total)))
    assert await numbers(client) == list(range(total))
    assert len(vendor.calls()) == 2


async def test_bare_list_may_go_on_enveloped(client: SaltoKsClient, vendor: Vendor) -> None:
    """Each page is taken in the shape it has (both were measured)."""
    vendor.on("GET", FIRST, Reply(200, rows(0, 20)))
    vendor.on("GET", skipping(20), items(*rows(20, 21), link="?page=3"))
    vendor.on("GET", f"{LOCKS}?page=3", Reply(200, rows(21, 23)))
    assert await numbers(client) == list(range(23))


async def test_connection_lost_between_pages_is_an_error(
    client: SaltoKsClient, vendor: Vendor
) -> None:
    """A link on our origin that times out raises as any request does."""
    vendor.on("GET", FIRST, items(*rows(0, 2), link="?page=2"))
    vendor.on("GET", f"{LOCKS}?page=2", Reply(200, b"", {"Content-Encoding": "gzip"}))
    with pytest.raises((SaltoKsConnectionError, SaltoKsUnexpectedResponseError)):
        await client.locks(SITE)
