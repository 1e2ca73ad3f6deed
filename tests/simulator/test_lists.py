"""Pages, filters and orders of the ordinary lists."""

import pytest
from yarl import URL

from simulator import Quirks, Simulator

from .conftest import Serve
from .harness import Answer, Api


async def crowd(serve: Serve, quirks: Quirks | None = None, users: int = 45) -> Api:
    """Serve a large site: that many guests, an owner and the service account."""
    quirks = Quirks.instant() if quirks is None else quirks
    return await serve(sim=Simulator("large", quirks, doors=3, users=users))


async def users(api: Api, **options: str) -> Answer:
    """Read a page of users."""
    params = {f"${name}": value for name, value in options.items()}
    return await api.site("GET", "/users", params=params)


async def test_the_default_page(serve: Serve) -> None:
    """Twenty items, a link to the next twenty, and no count unless asked."""
    body = (await users(await crowd(serve))).json
    assert set(body) == {"items", "next_page_link", "count"}
    assert len(body["items"]) == 20
    assert body["count"] is None
    assert URL(body["next_page_link"]).query["$skip"] == "20"


async def test_following_the_links(serve: Serve) -> None:
    """The links lead through all users, keep the options and end with null."""
    api = await crowd(serve)
    sizes, seen = [], set()
    answer = await users(api, top="15", orderby="alias desc", inlinecount="allpages")
    while True:
        body = answer.json
        assert body["count"] == 47
        sizes.append(len(body["items"]))
        seen |= {user["id"] for user in body["items"]}
        if body["next_page_link"] is None:
            break
        link = URL(body["next_page_link"])
        assert (link.query["$top"], link.query["$orderby"]) == ("15", "alias desc")
        assert link.origin() == URL(str(api.server.make_url("/"))).origin()
        headers = {"Authorization": f"Bearer {api.token}"}
        answer = await api.send("GET", link.path_qs, headers=headers)
    assert sizes == [15, 15, 15, 2]
    assert len(seen) == 47


async def test_a_page_that_ends_exactly(serve: Serve) -> None:
    """A full last page has no link, and a page after the end is empty."""
    api = await crowd(serve, users=18)
    assert (await users(api)).json["next_page_link"] is None
    body = (await users(api, skip="100")).json
    assert (body["items"], body["next_page_link"]) == ([], None)


@pytest.mark.parametrize(("quirk", "status"), [("clamp", 200), ("refuse", 400)])
async def test_the_largest_page(serve: Serve, quirk: str, status: int) -> None:
    """A hundred on a page work; asking for more is clamped or refused."""
    api = await crowd(serve, Quirks.instant(top_over_max=quirk), users=120)
    assert len((await users(api, top="100")).json["items"]) == 100
    answer = await users(api, top="101")
    assert answer.status == status
    if status == 200:
        assert len(answer.json["items"]) == 100
    else:
        assert answer.code == (400, "1102")


async def test_page_sizes_are_quirks(serve: Serve) -> None:
    """Default and maximum can be set."""
    api = await crowd(serve, Quirks.instant(default_page_size=7, max_page_size=9))
    assert len((await users(api)).json["items"]) == 7
    assert len((await users(api, top="10")).json["items"]) == 9


async def test_a_bare_list(serve: Serve) -> None:
    """With the quirk a list is an array; it can only be paged by `$skip`."""
    api = await crowd(serve, Quirks.instant(list_shape="bare"))
    page = (await users(api)).json
    assert isinstance(page, list)
    assert len(page) == 20
    assert len((await users(api, skip="40")).json) == 7


@pytest.mark.parametrize(
    ("scheme", "host", "origin"),
    [
        ("same", "same", "https://{host}"),
        ("http", "same", "http://{host}"),
        ("same", "other", "https://pages.example.com"),
    ],
)
async def test_where_links_lead(serve: Serve, scheme: str, host: str, origin: str) -> None:
    """Behind TLS a link may fall back to http, or name another host."""
    api = await crowd(serve, Quirks.instant(next_link_scheme=scheme, next_link_host=host))
    headers = {"X-Forwarded-Proto": "https"}
    link = (await api.site("GET", "/users", headers=headers)).json["next_page_link"]
    expected = origin.format(host=f"{api.server.host}:{api.server.port}")
    assert str(URL(link).origin()) == expected


async def test_filters_on_users(serve: Serve) -> None:
    """Users are found by what was seen in use: mail, alias, flags."""
    api = await crowd(serve)

    async def count(text: str) -> int:
        found = (await users(api, filter=text, inlinecount="allpages")).json["count"]
        assert isinstance(found, int)
        return found

    assert await count("user/email eq 'homeassistant@example.com'") == 1
    assert await count("contains(alias,'Guest 0001')") == 10
    assert await count("(use_pin eq true) and (contains(alias,'Guest 0000'))") == 9
    assert await count("alias eq 'Guest 00001' or alias eq 'Guest 00002'") == 2
    assert await count("expires_at ne null") == 0


async def test_filters_on_locks(api: Api) -> None:
    """Locks are found by state, type and whether they are online."""
    for text, number in (
        ("online eq false", 1),
        ("locked_state eq 'locked'", 12),
        ("lock_type eq 'escutcheon_pin' and battery_level ne 'low'", 4),
    ):
        found = await api.site("GET", "/locks", params={"$filter": text, "$top": "100"})
        assert len(found.json["items"]) == number


@pytest.mark.parametrize(
    "options",
    [
        {"$filter": "nonsense eq 'x'"},
        {"$filter": "alias like 'x'"},
        {"$filter": "alias eq 1"},
        {"$filter": ""},
        {"$orderby": "nonsense"},
        {"$orderby": "alias sideways"},
        {"$orderby": "alias asc asc"},
        {"$orderby": ""},
        {"$top": "0"},
        {"$top": "-1"},
        {"$top": "many"},
        {"$skip": "-1"},
        {"$inlinecount": "some"},
        {"$select": "alias"},
        {"page": "2"},
    ],
)
async def test_options_that_are_refused(api: Api, options: dict[str, str]) -> None:
    """Anything that cannot be read is the measured 400/1102."""
    assert (await api.site("GET", "/users", params=options)).code == (400, "1102")


async def test_an_option_given_twice(api: Api) -> None:
    """It is not guessed which of two is meant."""
    params = [("$top", "1"), ("$top", "2")]
    assert (await api.site("GET", "/users", params=params)).code == (400, "1102")


@pytest.mark.parametrize(
    ("quirk", "status", "first"),
    [("refused", 400, None), ("accepted", 200, 5), ("ignored", 200, 0)],
)
async def test_options_without_the_dollar(
    serve: Serve, quirk: str, status: int, first: int | None
) -> None:
    """`skip` without its sign is refused, does what it says, or does nothing."""
    api = await crowd(serve, Quirks.instant(undollared_options=quirk))
    everybody = (await users(api)).json["items"]
    answer = await api.site("GET", "/users", params={"skip": "5"})
    assert answer.status == status
    if first is not None:
        assert answer.json["items"][0] == everybody[first]


async def test_every_list_pages(serve: Serve) -> None:
    """All lists take the same options."""
    api = await serve()
    guest = api.sim.world.guests[0]
    group = next(group for group in api.sim.world.groups.values())
    for path in (
        "/iqs",
        "/locks",
        "/roles",
        "/users",
        f"/users/{guest.id}/keys",
        f"/users/{guest.id}/activated_iqs",
        "/access_groups",
        f"/access_groups/{group.id}/locks",
        f"/access_groups/{group.id}/users",
        f"/access_groups/{group.id}/time_schedules",
    ):
        params = {"$top": "1", "$inlinecount": "allpages"}
        body = (await api.site("GET", path, version="v1.1", params=params)).json
        assert len(body["items"]) <= 1
        assert (body["next_page_link"] is None) == (body["count"] <= 1)
