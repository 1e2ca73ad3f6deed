"""The worlds to start from."""

from collections import Counter
import time

import pytest

from simulator import Simulator
from simulator.seeds import LOCKS_PER_IQ, SEED_NAMES

from .conftest import Serve


def test_the_same_seed_is_the_same_world() -> None:
    """Ids, PINs and secrets depend on seed and number only."""
    one, two = Simulator(rng_seed=1), Simulator(rng_seed=1)
    other = Simulator(rng_seed=2)
    assert one.seed_info() == two.seed_info()
    assert [x.pin for x in one.world.guests] == [x.pin for x in two.world.guests]
    assert one.activate(one.seed_info()["iqs"][0]["id"]) == two.activate(
        two.seed_info()["iqs"][0]["id"]
    )
    assert one.seed_info()["site_id"] != other.seed_info()["site_id"]


@pytest.mark.parametrize("seed", SEED_NAMES)
async def test_every_seed_can_be_logged_in_to(serve: Serve, seed: str) -> None:
    """Each has a service account that may open remotely."""
    api = await serve(seed=seed)
    me = (await api.site("GET", "/me")).json
    assert me["remote_access"] is True
    assert (await api.site("GET", "")).json["installation_state"] == "released"


def test_empty() -> None:
    """The empty site has neither IQ nor lock."""
    seed = Simulator("empty").seed_info()
    assert (seed["iqs"], seed["locks"]) == ([], [])


def test_full() -> None:
    """The full site has no seat left."""
    sim = Simulator("full")
    assert not sim.world.seat_free(sim.site)


def test_campsite_guests_get_in() -> None:
    """The seeded guests' PINs work at the doors of their group."""
    sim = Simulator()
    guest = sim.world.guests[0]
    assert guest.pin is not None
    results = {
        lock.customer_reference: sim.keypad(lock.id, guest.pin).reason
        for lock in sim.world.locks_of(sim.site_id)
    }
    assert results["Main gate"] == "granted"
    assert results["Sanitary block south"] == "granted"
    assert results["Laundry"] == "no_access"
    assert results["Store room"] == "no_keypad"
    assert results["Pitch 21 cabin"] == "lock_offline"


def test_large() -> None:
    """As many doors and users as asked for, at most sixteen locks on an IQ."""
    sim = Simulator("large", doors=33, users=50)
    locks = sim.world.locks_of(sim.site_id)
    assert (len(locks), len(sim.world.guests)) == (33, 50)
    per_iq = Counter(lock.iq_id for lock in locks)
    assert sorted(per_iq.values()) == [1, LOCKS_PER_IQ, LOCKS_PER_IQ]
    assert len(sim.world.groups_of(sim.site_id)) == 33
    assert sim.keypad(locks[0].id, "000001").result == "opened"
    assert len(Simulator("large").world.locks) == 100


def test_large_without_doors() -> None:
    """Nobody has to have doors."""
    assert len(Simulator("large", doors=0, users=3).world.guests) == 3


@pytest.mark.parametrize(
    "options",
    [{"seed": "moon"}, {"doors": 3}, {"users": 3}, {"seed": "large", "doors": -1}],
)
def test_seeds_that_are_refused(options: dict[str, object]) -> None:
    """Unknown seeds and numbers that do not belong are errors."""
    with pytest.raises(ValueError, match=r"seed|negative"):
        Simulator(**options)


async def test_large_pages_are_quick(serve: Serve) -> None:
    """A page out of ten thousand users takes milliseconds of the server, not seconds."""
    api = await serve(sim=Simulator("large", doors=1000, users=10_000))
    started = time.process_time()
    for path in ("/locks", "/users"):
        for page in range(5):
            params = {"$top": "100", "$skip": str(100 * page)}
            answer = await api.site("GET", path, params=params)
            assert len(answer.json["items"]) == 100
    assert time.process_time() - started < 1.0
