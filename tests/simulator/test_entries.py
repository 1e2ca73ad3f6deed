"""The door log over the wire."""

import json

import pytest

from simulator import Quirks

from .conftest import Serve
from .harness import Answer, Api

ENTRY_KEYS = {
    "id", "event_category", "event_detail", "utc_date_time", "local_date_time", "lock_id",
    "lock_mac_address", "lock_customer_reference", "user_id", "user_first_name", "user_last_name",
    "user_image_url", "user_alias", "iq_id", "iq_customer_reference", "iq_mac_address",
    "iq_revision", "exit_requested", "access_by", "access_detail", "ttl_in_seconds",
    "expiration_date_time",
}  # fmt: skip


async def entries(api: Api, token: str | None = None, **params: str) -> Answer:
    """Read a page of the log."""
    options = {f"${name}": value for name, value in params.items()}
    headers = {} if token is None else {"CLP-Continuation-Token": token}
    return await api.site("GET", "/entries", version="v1.1", params=options, headers=headers)


def knock(api: Api, times: int = 1, gap: float = 60) -> None:
    """Type an unknown PIN at the gate, again and again."""
    gate = api.lock_id("Main gate")
    for _ in range(times):
        api.sim.keypad(gate, "000000")
        api.sim.clock.advance(gap)


async def test_an_entry_as_measured(api: Api) -> None:
    """An opening with a PIN has exactly the measured fields."""
    guest = api.sim.world.guests[0]
    gate = api.lock_id("Main gate")
    assert guest.pin is not None
    assert api.sim.keypad(gate, guest.pin).result == "opened"
    body = (await entries(api)).json
    assert set(body) == {"items", "continuation_token"}
    assert body["continuation_token"] is None
    (entry,) = body["items"]
    assert set(entry) == ENTRY_KEYS
    assert (entry["event_category"], entry["event_detail"]) == ("lock_opened", None)
    assert (entry["access_by"], entry["exit_requested"]) == ("pin_code", False)
    assert (entry["user_id"], entry["user_alias"]) == (guest.user_id, guest.alias)
    assert (entry["lock_id"], entry["lock_customer_reference"]) == (gate, "Main gate")
    assert entry["ttl_in_seconds"] == 7_776_000
    assert entry["utc_date_time"].endswith("Z")
    assert not entry["local_date_time"].endswith("Z")
    assert guest.pin not in json.dumps(entry)


async def test_an_unknown_pin_has_a_fixed_user(api: Api) -> None:
    """A PIN nobody has is `no_access` with one and the same id, which is no user's."""
    knock(api, 2)
    lines = (await entries(api)).json["items"]
    assert {(x["event_category"], x["event_detail"]) for x in lines} == {
        ("lock_rejected", "no_access")
    }
    (sentinel,) = {line["user_id"] for line in lines}
    assert sentinel not in api.sim.world.people
    assert {line["user_alias"] for line in lines} == {None}


async def test_version_1_2_has_no_entries(api: Api) -> None:
    """The measured 405."""
    assert (await api.site("GET", "/entries")).status == 405


async def test_order(api: Api) -> None:
    """The newest is first, unless asked for the oldest."""
    knock(api, 3)
    newest = [line["utc_date_time"] for line in (await entries(api)).json["items"]]
    assert newest == sorted(newest, reverse=True)
    same = await entries(api, orderby="utc_date_time desc")
    assert [line["utc_date_time"] for line in same.json["items"]] == newest
    oldest = await entries(api, orderby="utc_date_time asc")
    assert [line["utc_date_time"] for line in oldest.json["items"]] == newest[::-1]


async def test_filter_by_time(api: Api) -> None:
    """`ge DateTime'…Z'` includes its instant; it is OData 3 and can be turned off."""
    knock(api, 3)
    times = [line["utc_date_time"] for line in (await entries(api)).json["items"]]
    wanted = f"utc_date_time ge DateTime'{times[1]}'"
    found = (await entries(api, filter=wanted)).json["items"]
    assert [line["utc_date_time"] for line in found] == times[:2]
    off = {"CLP-disable-odata-v3-conversion": "true"}
    refused = await api.site(
        "GET", "/entries", version="v1.1", params={"$filter": wanted}, headers=off
    )
    assert refused.code == (400, "1102")
    plain = f"utc_date_time ge {times[1]}"
    answer = await api.site(
        "GET", "/entries", version="v1.1", params={"$filter": plain}, headers=off
    )
    assert len(answer.json["items"]) == 2


async def test_filter_by_lock_and_user(api: Api) -> None:
    """Other fields filter too, alone and together."""
    knock(api)
    gate = api.lock_id("Main gate")
    one = await entries(
        api, filter=f"(lock_id eq '{gate}') and (event_category eq 'lock_rejected')"
    )
    assert len(one.json["items"]) == 1
    none = await entries(api, filter=f"lock_id eq '{api.site_id}'")
    assert none.json["items"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"orderby": "date"},
        {"filter": "date ge DateTime'2026-01-01T00:00:00Z'"},
        {"skip": "20"},
        {"inlinecount": "allpages"},
        {"top": "0"},
    ],
)
async def test_options_that_are_refused(api: Api, params: dict[str, str]) -> None:
    """A wrong field is the measured 400/1102, and there is no `$skip` here."""
    assert (await entries(api, **params)).code == (400, "1102")


@pytest.mark.parametrize("empty_pages", ["off", "on"])
@pytest.mark.parametrize("last", ["null", "missing"])
async def test_following_the_continuation(serve: Serve, empty_pages: str, last: str) -> None:
    """The token leads through all lines, past empty pages, until there is none."""
    api = await serve(Quirks.instant(entries_empty_pages=empty_pages, entries_last_token=last))
    knock(api, 5)
    sizes: list[int] = []
    seen: list[str] = []
    token = None
    while True:
        body = (await entries(api, token, top="2")).json
        sizes.append(len(body["items"]))
        seen += [line["id"] for line in body["items"]]
        token = body.get("continuation_token")
        if token is None:
            break
        assert isinstance(json.loads(token), dict)
    assert ("continuation_token" in body) is (last == "null")
    assert sizes == ([2, 2, 1] if empty_pages == "off" else [2, 0, 2, 0, 1])
    assert len(set(seen)) == 5


@pytest.mark.parametrize("token", ["x", "{}", "[]", '{"offset":-1,"pause":true}', "1"])
async def test_tokens_nobody_gave_out(api: Api, token: str) -> None:
    """A token that is not one of ours is 400/1100."""
    assert (await entries(api, token)).code == (400, "1100")


async def test_old_lines_vanish(api: Api) -> None:
    """After the days the site keeps them, lines are gone."""
    knock(api)
    api.sim.set("site", api.site_id, events_ttl_days=2)
    api.sim.clock.advance(86_400)
    await api.log_in()
    assert len((await entries(api)).json["items"]) == 1
    api.sim.clock.advance(86_400)
    await api.log_in()
    assert (await entries(api)).json["items"] == []


async def test_lines_of_a_lock_that_is_gone(api: Api) -> None:
    """A line stays when its lock is taken down; it keeps the id and loses the names."""
    knock(api)
    gate = api.lock_id("Main gate")
    api.sim.remove("lock", gate)
    (line,) = (await entries(api)).json["items"]
    assert (line["lock_id"], line["lock_customer_reference"], line["iq_id"]) == (gate, None, None)


async def test_lines_of_a_door_that_cannot_be_reached(api: Api) -> None:
    """What happens while the IQ is offline is told when it is back, with its real time."""
    guest = api.sim.world.guests[0]
    assert guest.pin is not None
    api.sim.set("iq", api.iq_id, online=False)
    happened = api.sim.clock.now()
    assert api.sim.keypad(api.lock_id("Main gate"), guest.pin).result == "opened"
    api.sim.clock.advance(600)
    assert (await entries(api)).json["items"] == []
    api.sim.set("iq", api.iq_id, online=True)
    (line,) = (await entries(api)).json["items"]
    assert line["utc_date_time"] == happened.strftime("%Y-%m-%dT%H:%M:%SZ")
