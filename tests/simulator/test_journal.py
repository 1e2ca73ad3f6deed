"""What is written down about requests."""

from datetime import UTC, datetime, timedelta

from simulator.journal import CAPACITY, Journal, JournalEntry, masked

from .harness import Api

LOCKS = "/v1.2/sites/{site}/locks"


def test_secrets_are_masked_and_their_presence_is_not() -> None:
    """Every secret becomes stars, at any depth; an empty or absent one can be told apart."""
    told = masked({"otp": "1a2b3", "pin": "", "x": [{"Password": "p"}, 1], "delta": "0000"})
    assert told == {"otp": "***", "pin": "", "x": [{"Password": "***"}, 1], "delta": "0000"}
    assert masked({"secret": None}) == {"secret": None}


async def test_a_request(api: Api) -> None:
    """Time, method, template, path, query, body and status are there."""
    api.sim.journal.clear()
    api.sim.clock.advance(100)
    lock_id = api.lock_id("Main gate")
    await api.open(lock_id, "zzzzz")
    await api.site("GET", "/locks", params={"$top": "5"})
    command, reading = api.sim.journal.entries
    assert command.method == "PATCH"
    assert command.route == "/v1.2/sites/{site}/locks/{lock}/locking"
    assert command.path == f"/v1.2/sites/{api.site_id}/locks/{lock_id}/locking"
    assert command.body == {"locked_state": "unlocked", "otp": "***"}
    assert command.authorization == "Bearer ***"
    assert command.status == 403
    assert (reading.route, reading.query, reading.body) == (LOCKS, {"$top": "5"}, None)
    assert command.at > datetime.now(UTC) + timedelta(seconds=99)


async def test_nothing_secret_is_in_it(api: Api) -> None:
    """A login, an activation and an OTP in a query leave no secret behind."""
    secret, pin = api.sim.activate(api.iq_id)
    otp = api.otp(secret, pin)
    await api.site("PUT", f"/iqs/{api.iq_id}/pin", {"otp": otp, "delta": "0000"})
    await api.site("GET", f"/iqs/{api.iq_id}/secret", params={"otp": otp})
    guest = await api.new_guest()
    await api.site("PUT", f"/users/{guest['id']}/pin/custom", {"pin": "470815"})
    told = repr(api.sim.journal.entries)
    seed = api.seed
    for hidden in (secret, otp, "470815", seed["client_secret"], seed["password"], api.token):
        assert str(hidden) not in told
    login = api.sim.journal.filter(route="/connect/token")[0]
    assert login.body["password"] == "***"
    assert login.body["username"] == seed["username"]
    assert login.authorization == "Basic ***"


async def test_bodies_that_cannot_be_read(api: Api) -> None:
    """What is no JSON is told by its length only, as there may be anything in it."""
    await api.call("POST", f"/sites/{api.site_id}/guests", data=b"secret stuff")
    await api.call("POST", f"/sites/{api.site_id}/guests", data=b"x" * 2_000_000)
    small, large = api.sim.journal.entries[-2:]
    assert small.body == "12 bytes"
    assert (large.body, large.status) == (None, 413)


async def test_filter_and_count(api: Api) -> None:
    """A known template is only itself; a part of a path is everything that has it."""
    api.sim.journal.clear()
    gate = api.lock_id("Main gate")
    await api.site("GET", "/locks")
    await api.site("GET", f"/locks/{gate}")
    await api.open(gate, "zzzzz")
    await api.call("GET", "/nothing")
    journal = api.sim.journal
    assert journal.count() == 4
    assert journal.count(route=LOCKS) == 1
    assert journal.count(route="/v1.2/sites/{anything}/locks") == 1
    assert journal.count(route="/v1.1/sites/{site}/locks") == 0
    assert journal.count(route="locks") == 3
    assert journal.count(method="patch") == 1
    assert journal.count("GET", gate) == 1
    assert [entry.route for entry in journal.filter(route="nothing")] == [""]


def test_it_does_not_grow_for_ever() -> None:
    """Only the last requests are kept."""
    journal = Journal()
    for number in range(CAPACITY + 5):
        journal.add(
            JournalEntry(
                at=datetime.now(UTC),
                method="GET",
                route="",
                path=str(number),
                query={},
                body=None,
                authorization=None,
                status=200,
            )
        )
    assert len(journal.entries) == CAPACITY
    assert journal.entries[0].path == "5"
