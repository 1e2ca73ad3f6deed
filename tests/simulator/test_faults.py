"""Things that go wrong on the way."""

import asyncio
from collections.abc import AsyncIterator
import json
import time

import aiohttp
import pytest

from simulator import Fault, Quirks

from .conftest import Serve
from .harness import Answer, Api

LOCKS = "/v1.2/sites/{site}/locks"


@pytest.fixture
async def api(serve: Serve) -> AsyncIterator[Api]:
    """Serve a campsite to a client that opens a connection for each request.

    On a connection that was used before, aiohttp itself repeats a GET or PUT that got no answer.
    """
    api = await serve()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        api.session = session
        yield api


async def locks(api: Api) -> Answer:
    """Ask for the locks."""
    return await api.site("GET", "/locks")


async def test_a_status_once(api: Api) -> None:
    """A fault hits as often as it says, then things are as before."""
    api.sim.faults.add(
        Fault(
            route=LOCKS,
            status=429,
            headers={"Retry-After": "7"},
            body={"ErrorCode": "1", "Message": "slow down"},
        )
    )
    answer = await locks(api)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["Message"] == "slow down"
    assert (await locks(api)).status == 200


async def test_for_ever_and_later(api: Api) -> None:
    """A fault may wait for some requests to pass, and then stay until it is cleared."""
    fault = api.sim.faults.add(Fault(route=LOCKS, status=503, count=None, after=2))
    assert [(await locks(api)).status for _ in range(5)] == [200, 200, 503, 503, 503]
    assert api.sim.faults.hits(fault) == 3
    assert api.sim.faults.pending == [fault]
    api.sim.faults.clear()
    assert (await locks(api)).status == 200


async def test_what_a_fault_matches(api: Api) -> None:
    """A known template is only itself, anything else is a part of route or path."""
    lock_id = api.lock_id("Main gate")
    path = f"/locks/{lock_id}"
    api.sim.faults.add(Fault(route="/v1.2/sites/{x}/locks", status=500))
    assert (await api.site("GET", path)).status == 200
    assert (await api.site("GET", "/locks", version="v1.1")).status == 200
    assert (await locks(api)).status == 500
    api.sim.faults.add(Fault(route=lock_id, status=500))
    assert (await locks(api)).status == 200
    assert (await api.site("GET", path)).status == 500
    api.sim.faults.add(Fault(method="post", status=500))
    assert (await locks(api)).status == 200
    assert (await api.ask_token({})).status == 500


async def test_the_first_fault_wins(api: Api) -> None:
    """Of several that match, the one that was added first hits, then the next."""
    api.sim.faults.add(Fault(status=500))
    api.sim.faults.add(Fault(status=502, count=2))
    assert [(await locks(api)).status for _ in range(4)] == [500, 502, 502, 200]
    assert api.sim.faults.pending == []


@pytest.mark.parametrize(
    ("body", "text"), [("<html>oops</html>", "<html>oops</html>"), (b"\x00", "\x00"), (None, "")]
)
async def test_bodies_as_they_are(api: Api, body: str | bytes | None, text: str) -> None:
    """Text and bytes go out as they are, with 200 if nothing else is said."""
    api.sim.faults.add(
        Fault(body=body, status=None if body else 302, headers={"Location": "http://127.0.0.1:9/"})
    )
    answer = await locks(api)
    assert (answer.status, answer.text) == (200 if body else 302, text)


async def test_a_reset(api: Api) -> None:
    """The connection is reset, nothing was done, and the journal knows no answer."""
    before = api.sim.world.seats_used(api.site_id)
    api.sim.faults.add(Fault(route="guests", reset=True))
    with pytest.raises(aiohttp.ClientOSError, match="reset by peer"):
        await api.new_guest()
    assert api.sim.world.seats_used(api.site_id) == before
    assert api.sim.journal.entries[-1].status is None


async def test_an_answer_that_is_lost(api: Api) -> None:
    """The work is done, the answer never comes."""
    before = api.sim.world.seats_used(api.site_id)
    api.sim.faults.add(Fault(route="guests", drop_after_commit=True))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.new_guest()
    assert api.sim.world.seats_used(api.site_id) == before + 1
    assert api.sim.journal.entries[-1].status is None


async def test_an_error_after_the_work(api: Api) -> None:
    """The work is done, and a gateway says it is not."""
    before = api.sim.world.seats_used(api.site_id)
    api.sim.faults.add(Fault(route="guests", status=502, commit=True))
    answer = await api.site("POST", "/guests", {"alias": "x", "expires_at": None})
    assert answer.status == 502
    assert api.sim.world.seats_used(api.site_id) == before + 1


async def test_a_body_cut_off(api: Api) -> None:
    """The whole length is announced and a part of it comes."""
    api.sim.faults.add(Fault(route=LOCKS, truncate=20))
    with pytest.raises(aiohttp.ClientPayloadError):
        await locks(api)
    assert (await locks(api)).status == 200


async def test_a_cut_body_of_full_length(api: Api) -> None:
    """JSON that ends too early without the connection breaking."""
    api.sim.faults.add(Fault(body='{"items":[', headers={"Content-Type": "application/json"}))
    answer = await locks(api)
    with pytest.raises(json.JSONDecodeError):
        _ = answer.json


async def test_latency(api: Api) -> None:
    """A slow answer is a right one."""
    api.sim.faults.add(Fault(route=LOCKS, latency=0.15))
    started = time.monotonic()
    assert (await locks(api)).status == 200
    assert time.monotonic() - started >= 0.15


async def test_latency_of_an_answer(api: Api) -> None:
    """What was asked is done at once, and the answer takes its time."""
    before = set(api.sim.world.groups)
    api.sim.faults.add(Fault(method="POST", commit=True, latency=0.15))
    asking = asyncio.create_task(api.new_group())
    while set(api.sim.world.groups) == before:  # noqa: ASYNC110 - the world tells nobody of changes
        await asyncio.sleep(0.01)
    assert not asking.done()
    assert {await asking} == set(api.sim.world.groups) - before


async def test_latency_before_another_fault(api: Api) -> None:
    """Waiting comes first, then what else is wrong."""
    api.sim.faults.add(Fault(latency=0.05, status=504))
    assert (await locks(api)).status == 504


async def test_errors_can_be_cut_off_too(serve: Serve) -> None:
    """Truncation takes whatever the answer would have been, empty ones too."""
    api = await serve(Quirks.instant(locking_success="200_empty"))
    api.sim.faults.add(Fault(truncate=5, count=2))
    with pytest.raises(aiohttp.ClientPayloadError):
        await api.call("GET", "/nothing")
    api.token = None
    assert (await locks(api)).status == 401


@pytest.mark.parametrize(
    "numbers", [{"latency": -1.0}, {"after": -1}, {"count": -1}, {"truncate": -1}]
)
def test_numbers_that_make_no_sense(numbers: dict[str, int]) -> None:
    """Negative numbers are a mistake in a test."""
    with pytest.raises(ValueError, match="not negative"):
        Fault(**numbers)
