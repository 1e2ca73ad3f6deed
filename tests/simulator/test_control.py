"""The control plane."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from simulator import Simulator
from simulator.control import is_loopback

from .conftest import Serve
from .harness import NOWHERE, Answer, Api


@pytest.fixture
async def api(serve: Serve) -> Api:
    """Serve the campsite with its control plane."""
    return await serve(control=True)


async def get(api: Api, path: str, **params: str) -> Any:
    """Read from the control plane."""
    answer = await api.send("GET", f"/_sim/{path}", params=params)
    assert answer.status == 200, answer.text
    return answer.json


async def post(api: Api, path: str, body: object) -> Answer:
    """Write to the control plane."""
    return await api.send("POST", f"/_sim/{path}", json=body)


async def test_the_seed(api: Api) -> None:
    """What a client needs, in exactly the agreed shape, with credentials that work."""
    seed = await get(api, "seed")
    assert set(seed) == {
        "client_id", "client_secret", "username", "password", "site_uid", "site_id", "iqs",
        "locks",
    }  # fmt: skip
    assert all(set(iq) == {"id", "name"} for iq in seed["iqs"])
    assert all(set(lock) == {"id", "name", "lock_type", "iq_id"} for lock in seed["locks"])
    assert seed == api.sim.seed_info()
    assert (await api.log_in(seed["username"], seed["password"])).status == 200


async def test_the_outbox(api: Api) -> None:
    """PINs that were sent, in the agreed shape."""
    assert await get(api, "outbox") == []
    await api.site("GET", f"/iqs/{api.iq_id}/pin", params={"send_email": "true"})
    (sent,) = await get(api, "outbox")
    assert set(sent) == {"iq_id", "user", "channel", "pin"}
    assert (sent["iq_id"], sent["channel"]) == (api.iq_id, "email")


async def test_the_keypad(api: Api) -> None:
    """A PIN at a door, by JSON of any content type, as `curl -d` sends it."""
    guest = api.sim.world.guests[0]
    gate = api.lock_id("Main gate")
    answer = await post(api, "keypad", {"lock_id": gate, "pin": guest.pin})
    assert answer.json == {"result": "opened", "reason": "granted"}
    text = f'{{"lock_id":"{gate}","pin":"0"}}'
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await api.send("POST", "/_sim/keypad", data=text.encode(), headers=form)
    assert answer.json == {"result": "rejected", "reason": "unknown_pin"}
    assert (await post(api, "keypad", {"lock_id": NOWHERE, "pin": "0"})).status == 404
    assert (await post(api, "keypad", {"lock_id": gate})).status == 400
    answer = await api.send("POST", "/_sim/keypad", data=b"{", headers=form)
    assert (answer.status, answer.json) == (400, {"error": "the body is no JSON"})


async def test_the_clock(api: Api) -> None:
    """It can be read, advanced and set."""
    now = datetime.fromisoformat((await get(api, "clock"))["now"])
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)
    later = (await post(api, "clock", {"advance": 3600})).json["now"]
    assert datetime.fromisoformat(later) - now >= timedelta(hours=1)
    answer = await post(api, "clock", {"set": "2027-01-01T00:00:00+01:00"})
    assert answer.json["now"].startswith("2026-12-31T23:00:0")
    for wrong in (
        {},
        {"advance": -1},
        {"advance": "1"},
        {"set": "2027-01-01T00:00:00"},
        {"set": "soon"},
        {"set": 5},
        {"advance": 1, "set": "2027-01-01T00:00:00Z"},
        {"back": 1},
        [],
    ):
        assert (await post(api, "clock", wrong)).status == 400


async def test_faults(api: Api) -> None:
    """Faults are set, seen and taken away."""
    fault = {"route": "locks", "status": 503, "count": 2, "headers": {"X": "y"}, "body": {"a": 1}}
    answer = await post(api, "faults", fault)
    assert answer.status == 200
    assert {key: answer.json[key] for key in fault} == fault
    refused = await api.site("GET", "/locks")
    assert (refused.status, refused.headers["X"], refused.json) == (503, "y", {"a": 1})
    assert len(await get(api, "faults")) == 1
    await api.send("DELETE", "/_sim/faults")
    assert await get(api, "faults") == []
    assert (await api.site("GET", "/locks")).status == 200
    for wrong in ({"statsu": 500}, {"status": "500"}, {"count": -1}, {"headers": []}, 1):
        assert (await post(api, "faults", wrong)).status == 400


async def test_the_journal(api: Api) -> None:
    """Requests with a count, filtered; what the control plane is asked is not among them."""
    await api.send("DELETE", "/_sim/journal")
    await api.site("GET", "/locks")
    await api.site("GET", "/iqs")
    told = await get(api, "journal")
    assert (told["count"], len(told["requests"])) == (2, 2)
    assert set(told["requests"][0]) == {
        "at", "method", "route", "path", "query", "body", "authorization", "status",
    }  # fmt: skip
    assert (await get(api, "journal", route="iqs"))["count"] == 1
    assert (await get(api, "journal", method="PATCH"))["requests"] == []
    assert (await api.send("GET", "/_sim/journal", params={"rout": "x"})).status == 400


async def test_changing_the_world(api: Api) -> None:
    """Fields are set, records added and removed; clients see it at once."""
    gate = api.lock_id("Main gate")
    answer = await post(
        api, "world", {"kind": "lock", "id": gate, "set": {"battery_level": "critical"}}
    )
    assert answer.json["battery_level"] == "critical"
    assert (await api.site("GET", f"/locks/{gate}")).json["battery_level"] == "critical"
    added = await post(api, "world", {"kind": "lock", "add": {"customer_reference": "Annex"}})
    assert (await api.site("GET", f"/locks/{added.json['id']}")).json["iq"]["id"] == api.iq_id
    assert (await post(api, "world", {"kind": "lock", "remove": gate})).status == 200
    assert (await api.site("GET", f"/locks/{gate}")).status == 404
    iq = {"kind": "iq", "id": api.iq_id, "set": {"activated_elsewhere": True}}
    assert (await post(api, "world", iq)).status == 200
    assert (await api.site("GET", f"/iqs/{api.iq_id}/secret")).status == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"kind": "lock"}, 400),
        ({"kind": "door", "add": {}}, 400),
        ({"kind": "lock", "id": NOWHERE, "set": {"online": False}}, 404),
        ({"kind": "lock", "set": {"online": False}}, 400),
        ({"kind": "lock", "remove": NOWHERE}, 404),
        ({"kind": "lock", "add": {"nmae": "x"}}, 400),
        ({"kind": "lock", "add": []}, 400),
        ({"kind": "lock", "add": {}, "remove": NOWHERE}, 400),
        ({"add": {}}, 400),
    ],
)
async def test_changes_that_are_refused(api: Api, body: dict[str, object], status: int) -> None:
    """What cannot be done is said, and nothing is done."""
    before = api.sim.dump()["world"]
    answer = await post(api, "world", body)
    assert answer.status == status
    assert answer.json["error"]
    assert api.sim.dump()["world"] == before


async def test_looking_at_the_world(api: Api) -> None:
    """Records of a kind can be read, without secrets."""
    users = await get(api, "world", kind="user")
    assert len(users) == len(api.sim.world.users)
    assert {user["pin"] for user in users} == {"***", None}
    assert len(await get(api, "world")) == len(api.sim.world.locks)
    assert (await api.send("GET", "/_sim/world", params={"kind": "x"})).status == 400


async def test_reset(api: Api) -> None:
    """Everything is as in the beginning, under the same ids; old tokens are worthless."""
    api.sim.clock.advance(7200)
    gate = api.lock_id("Main gate")
    api.sim.remove("lock", gate)
    await post(api, "faults", {"status": 500})
    assert (await post(api, "reset", {})).status == 200
    assert await get(api, "seed") == api.seed
    assert await get(api, "journal") == {"count": 0, "requests": []}
    assert await get(api, "faults") == []
    assert (await api.call("GET", "/me")).status == 401
    await api.log_in()
    assert (await api.site("GET", f"/locks/{gate}")).status == 200
    now = datetime.fromisoformat((await get(api, "clock"))["now"])
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


async def test_pages_in_a_browser_are_kept_out(api: Api) -> None:
    """A request with an Origin, or to another name, gets nothing."""
    for headers in ({"Origin": "https://example.com"}, {"Host": "rebound.example.com"}):
        answer = await api.send("GET", "/_sim/seed", headers=headers)
        assert answer.status == 403
        assert api.seed["password"] not in answer.text


async def test_without_it_there_is_nothing(serve: Serve) -> None:
    """It is served only when asked for."""
    api = await serve()
    assert (await api.send("GET", "/_sim/seed")).code == (404, "2202")


async def test_two_apps_over_one_world(serve: Serve) -> None:
    """One world can be served twice, with and without control."""
    sim = Simulator()
    one = await serve(sim=sim, control=True)
    two = await serve(sim=sim)
    await post(one, "world", {"kind": "site", "id": sim.site_id, "set": {"pin_enabled": False}})
    assert (await two.site("GET", "")).json["pin_enabled"] is False


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("::", False),
        ("192.0.2.1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_what_is_loopback(host: str, good: bool) -> None:
    """Only this machine itself is."""
    assert is_loopback(host) is good
