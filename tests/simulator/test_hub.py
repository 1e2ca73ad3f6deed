"""The hub: who may listen, what is sent to whom, and all that goes wrong on the way."""

import asyncio

import aiohttp
from freezegun.api import FrozenDateTimeFactory
import pytest

from simulator import Fault, Quirks, Simulator
from simulator.routes.hub import CLIENT_SILENCE, KEEP_ALIVE

from .conftest import Serve
from .harness import NOWHERE, Api
from .hub import HELLO, HUB, connected, negotiate

GATE = "Main gate"
WRONG = "000000"
PUSH = "PUSH"


def knock(api: Api, lock: str = GATE) -> str:
    """Type a PIN that nobody has, and return the id of the line that this makes."""
    api.sim.keypad(api.lock_id(lock), WRONG)
    entry_id: str = api.sim.world.entries[-1].id
    return entry_id


async def refused(api: Api, **options: str) -> int:
    """Return the status with which a connection is refused."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with connected(api, **options):
            pass
    return caught.value.status


# Who may listen


async def test_token_in_the_header_or_in_the_address(api: Api) -> None:
    """Both ways are documented; the journal shows the connection, and no token."""
    assert api.token is not None
    async with connected(api), connected(api, headers={}, access_token=api.token):
        assert api.sim.hub.connections == 2
        by_header, by_query = api.sim.journal.filter("GET", HUB)
        assert (by_header.status, by_query.status) == (101, 101)
        assert by_header.authorization == "Bearer ***"
        assert by_query.query == {"site_id": api.site_id, "access_token": "***"}
    assert api.token not in repr(api.sim.journal.entries)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}])
async def test_no_token(api: Api, headers: dict[str, str]) -> None:
    """Without a good token the answer is an empty 401."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with connected(api, headers=headers):
            pass
    assert caught.value.status == 401
    answer = await api.send("POST", f"{HUB}/negotiate", headers=headers)
    assert (answer.status, answer.text) == (401, "")


async def test_token_that_has_ended(api: Api) -> None:
    """An old token opens no connection, and ends none (UNK)."""
    async with connected(api) as listener:
        api.sim.clock.advance(3601)
        assert await refused(api) == 401
        line = knock(api)
        assert (await listener.line())["id"] == line


async def test_site_without_the_feature(api: Api) -> None:
    """The feature of the subscription is needed."""
    api.sim.set("site", api.site_id, features=["activity_log"])
    assert await refused(api) == 403
    assert (await negotiate(api)).code == (403, "2203")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"site_id": ""}, 400),
        ({"site_id": "camping"}, 400),
        ({"site_id": NOWHERE}, 404),
        ({"color": "red"}, 400),
        ({"id": "no ticket"}, 404),
    ],
)
async def test_wrong_query(api: Api, query: dict[str, str], status: int) -> None:
    """A site is needed, and nothing that is not known is taken."""
    assert await refused(api, **query) == status


async def test_no_websocket(api: Api) -> None:
    """An ordinary request is refused."""
    answer = await api.send(
        "GET",
        HUB,
        params={"site_id": api.site_id},
        headers={"Authorization": f"Bearer {api.token}"},
    )
    assert answer.error == (400, "1100", "Connection ID required")


# Negotiation


async def test_ticket_is_good_for_once(api: Api) -> None:
    """A ticket lets one connection in."""
    ticket = (await negotiate(api)).json["connectionToken"]
    async with connected(api, id=ticket):
        assert await refused(api, id=ticket) == 404


async def test_negotiation_may_be_required(serve: Serve) -> None:
    """Then nobody comes in without a ticket."""
    api = await serve(Quirks.instant(hub_negotiation="required"))
    assert await refused(api) == 404
    ticket = (await negotiate(api)).json["connectionToken"]
    async with connected(api, id=ticket) as listener:
        line = knock(api)
        assert (await listener.line())["id"] == line


# The protocol


@pytest.mark.parametrize(
    "hello",
    ['{"protocol":"messagepack","version":1}\x1e', '{"protocol":"json"}\x1e', "[]\x1e", "?"],
)
async def test_other_protocols_are_refused(api: Api, hello: str) -> None:
    """Who wants another protocol is told so, and the connection ends."""
    async with connected(api, hello=hello) as listener:
        assert await listener.receive() == {"error": "The protocol is not supported."}
        assert await listener.end() is aiohttp.WSMsgType.CLOSE
    assert api.sim.hub.connections == 0


async def test_client_that_hangs_up_first(api: Api) -> None:
    """Who leaves before the handshake, or in the middle, is forgotten."""
    async with connected(api) as listener:
        await listener.socket.close()
    url = api.server.make_url(HUB).with_query(site_id=api.site_id)
    async with api.session.ws_connect(url, headers={"Authorization": f"Bearer {api.token}"}):
        pass
    async with connected(api):
        assert api.sim.hub.connections == 1


async def test_signs_of_life(freezer: FrozenDateTimeFactory, api: Api) -> None:
    """The hub shows that it is alive, and gives up a client that does not."""
    async with connected(api) as listener:
        freezer.tick(KEEP_ALIVE + 0.1)
        assert await listener.receive() == {"type": 6}
        await listener.socket.send_str('{"type":6}\x1e')
        for _ in range(500):
            await asyncio.sleep(0)
        freezer.tick(CLIENT_SILENCE - 1)
        assert await listener.receive() == {"type": 6}
        freezer.tick(CLIENT_SILENCE)
        assert await listener.end() is aiohttp.WSMsgType.CLOSE


# What is sent


async def test_each_line_as_it_is_written(api: Api) -> None:
    """A line is sent when it reaches the log, with the fields that it has there."""
    async with connected(api) as listener:
        first, second = knock(api), knock(api, "Laundry")
        lines = [await listener.line(), await listener.line()]
    listed = (await api.site("GET", "/entries", version="v1.1")).json["items"]
    assert {line["id"]: line for line in lines} == {line["id"]: line for line in listed}
    assert [line["id"] for line in lines] == [first, second]


async def test_line_of_a_door_that_is_back(api: Api) -> None:
    """What a door had to keep to itself is sent when it is back."""
    lock_id = api.lock_id(GATE)
    api.sim.set("lock", lock_id, online=False)
    async with connected(api) as listener:
        api.sim.keypad(lock_id, WRONG)
        (held,) = api.sim.world.held_entries
        api.sim.set("lock", lock_id, online=True)
        assert (await listener.line())["id"] == held.id


async def test_object_instead_of_a_text(serve: Serve) -> None:
    """The argument may be an object."""
    api = await serve(Quirks.instant(hub_argument="object"))
    async with connected(api) as listener:
        line = knock(api)
        message = await listener.next()
    assert (message["type"], message["target"]) == (1, "ReceiveMessage")
    assert message["arguments"][0]["id"] == line


async def test_line_that_comes_twice(serve: Serve) -> None:
    """A line may be sent twice."""
    api = await serve(Quirks.instant(hub_delivery="twice"))
    async with connected(api) as listener:
        line = knock(api)
        assert [(await listener.line())["id"] for _ in range(2)] == [line, line]


async def test_log_may_lag_behind_the_hub(serve: Serve) -> None:
    """The log may have a line later than the hub."""
    api = await serve(Quirks.instant(entries_lag_s=4.0))
    async with connected(api) as listener:
        line = knock(api)
        assert (await listener.line())["id"] == line

        async def listed() -> list[str]:
            page = (await api.site("GET", "/entries", version="v1.1")).json
            return [item["id"] for item in page["items"]]

        assert await listed() == []
        api.sim.clock.advance(5)
        assert await listed() == [line]


async def test_others_hear_of_themselves_alone(api: Api) -> None:
    """A user who does not administer the site hears of what he does himself."""
    member = api.sim.world.user_by_platform_id(api.sim.site_id, api.sim.account.user_id)
    guest = api.sim.world.guests[0]
    assert member is not None
    assert guest.pin is not None
    api.sim.set("user", member.id, roles=["site_user"])
    async with connected(api) as listener:
        api.sim.keypad(api.lock_id(GATE), guest.pin)
        api.sim.set("user", member.id, roles=["site_admin"])
        line = knock(api)
        assert (await listener.line())["id"] == line
        api.sim.set("user", member.id, blocked=True)
        knock(api)
        api.sim.set("user", member.id, blocked=False)
        line = knock(api)
        assert (await listener.line())["id"] == line


async def test_one_user_may_be_asked_for(api: Api) -> None:
    """With `user_id` nobody else's lines come."""
    guest = api.sim.world.guests[0]
    assert guest.pin is not None
    async with connected(api, user_id=guest.user_id.upper()) as listener:
        knock(api)
        api.sim.keypad(api.lock_id(GATE), guest.pin)
        assert (await listener.line())["user_id"] == guest.user_id


async def test_other_sites_are_not_heard(api: Api) -> None:
    """A listener of one site hears of no other."""
    other = next(
        lock
        for lock in api.sim.world.locks.values()
        if lock.site_id != api.site_id and lock.has_keypad
    )
    async with connected(api) as listener:
        api.sim.keypad(other.id, WRONG)
        line = knock(api)
        assert (await listener.line())["id"] == line


# What goes wrong


async def test_connection_can_be_refused(api: Api) -> None:
    """Faults of the route hit the connection, not the messages."""
    api.sim.faults.add(Fault(route=HUB, status=503))
    assert await refused(api) == 503
    async with connected(api) as listener:
        api.sim.faults.add(Fault(status=500))
        line = knock(api)
        assert (await listener.line())["id"] == line
        assert len(api.sim.faults.pending) == 1


async def test_message_can_be_late(api: Api) -> None:
    """A message can take its time."""
    api.sim.faults.add(Fault(route=HUB, method=PUSH, latency=0.05))
    async with connected(api) as listener:
        line = knock(api)
        assert (await listener.line())["id"] == line


async def test_message_can_be_another(api: Api) -> None:
    """Something else can be sent in place of a message, or before it."""
    api.sim.faults.add(Fault(route=HUB, method=PUSH, body="garbage"))
    api.sim.faults.add(Fault(route=HUB, method=PUSH, body={"type": 7}, commit=True))
    async with connected(api) as listener:
        knock(api)
        assert (await listener.socket.receive_str()) == "garbage"
        line = knock(api)
        assert (await listener.socket.receive_str()) == '{"type":7}'
        assert (await listener.line())["id"] == line


@pytest.mark.parametrize("commit", [False, True])
async def test_connection_can_break(api: Api, commit: bool) -> None:
    """A connection can break at a message: before it, or after it."""
    api.sim.faults.add(Fault(route=HUB, method=PUSH, reset=not commit, drop_after_commit=commit))
    async with connected(api) as listener:
        knock(api)
        if commit:
            await listener.line()
        ends = {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}
        assert await listener.end() in ends
    async with connected(api):
        assert api.sim.hub.connections == 1


async def test_all_can_be_dropped(api: Api) -> None:
    """A restart of the service ends every connection, and so does a new beginning."""
    for end in (api.sim.hub.drop, api.sim.reset):
        async with connected(api) as one, connected(api) as two:
            end()
            assert await one.end() is aiohttp.WSMsgType.CLOSE
            assert await two.end() is aiohttp.WSMsgType.CLOSE
        await api.log_in()


async def test_end_of_the_server_ends_connections(serve: Serve) -> None:
    """A server that ends does not wait for those who listen."""
    api = await serve(sim=Simulator("campsite", quirks=Quirks.instant()))
    async with connected(api) as listener:
        await api.server.close()
        assert await listener.end() is aiohttp.WSMsgType.CLOSE


async def test_end_before_the_handshake(freezer: FrozenDateTimeFactory, api: Api) -> None:
    """Who has not shaken hands is sent nothing, and does not keep the server from ending."""
    url = api.server.make_url(HUB).with_query(site_id=api.site_id)
    headers = {"Authorization": f"Bearer {api.token}"}
    async with api.session.ws_connect(url, headers=headers) as socket:
        knock(api)
        freezer.tick(KEEP_ALIVE - 1)
        for _ in range(500):
            await asyncio.sleep(0)
        assert api.sim.hub.connections == 0
        api.sim.hub.close()
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    async with api.session.ws_connect(url, headers=headers) as socket:
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    api.sim.hub.open()
    async with connected(api):
        assert api.sim.hub.connections == 1


def test_hello_is_what_the_protocol_says() -> None:
    """The handshake ends with the record separator."""
    assert HELLO.encode()[-1] == 0x1E
