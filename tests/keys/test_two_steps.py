"""Two steps after each other: Salto's answers to the first are lost, and it refuses the second.

Each pair is tried with the answers lost from the first write on, from the second on, and so forth.
Whatever comes of it, what people see of the key is so.
"""

from collections.abc import Awaitable, Callable
import itertools

from aiohttp import web
from aiohttp.typedefs import Handler
from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.domain.key_requests import KeyChange
from custom_components.salto_ks.domain.observed import UNSEEN_FOR
from custom_components.salto_ks.keys.manager import HandedOut
from simulator import Fault
from tests.ha.files import hass_config_dir, hass_storage

from .desk import MINUTE
from .offices import RECEPTION, Office, office_of, outcome_of
from .test_manager import DAY, NO_RIGHT
from .test_manager_trouble import reissue, resume, revoke, rotate, suspend
from .test_refused_after_a_kill import check_truth

__all__ = ["hass_config_dir", "hass_storage"]


class Lossy:
    """Carries out all writes, and loses the answers from one on."""

    def __init__(self) -> None:
        """Lose nothing."""
        self.left: int | None = None
        """How many answers to writes still arrive; None for all."""

    @web.middleware
    async def around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Carry out a request, and answer it or not."""
        response = await handler(request)
        if self.left is None or request.method == "GET" or "/sites/" not in request.path:
            return response
        self.left -= 1
        return response if self.left >= 0 else web.json_response({}, status=503)


async def move(office: Office, key: HandedOut) -> object:
    """Move a key by a day, to a door more, in another time zone."""
    window = office.record(key).window
    change = KeyChange(
        starts_at=window.starts_at + DAY,
        ends_at=window.ends_at + DAY,
        doors=frozenset({office.desk.doors[0], office.desk.doors[-1]}),
    )
    return await office.manager.change(key.record.key_id, change, RECEPTION)


STEPS: dict[str, Callable[[Office, HandedOut], Awaitable[object]]] = {
    "change": move,
    "suspend": suspend,
    "resume": resume,
    "rotate": rotate,
    "reissue": reissue,
    "revoke": revoke,
}


@pytest.mark.parametrize("restarted", [False, True], ids=["at once", "after a start"])
@pytest.mark.parametrize("second", STEPS)
@pytest.mark.parametrize("first", [name for name in STEPS if name != "revoke"])
async def test_two_steps(
    hass: HomeAssistant, socket_enabled: None, first: str, second: str, *, restarted: bool
) -> None:
    """A key is set, suspended, unknown or ended as it is called, and its PIN does what it is to."""
    lossy = Lossy()
    async with office_of(hass, around=lossy.around) as office:
        office.desk.set_zone(office.desk.doors[-1], "America/New_York")
        for left in itertools.count():
            key = await office.issue(booking=f"b{left}")
            if first == "resume":
                await suspend(office, key)
            await office.passes(UNSEEN_FOR + MINUTE, every=MINUTE)
            lossy.left = left
            await outcome_of(STEPS[first](office, key))
            all_came, lossy.left = lossy.left >= 0, None
            if restarted:
                await office.restart()
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                office.desk.sim.faults.add(
                    Fault(route="/v1.", status=403, body=NO_RIGHT, count=None, method=method)
                )
            await outcome_of(STEPS[second](office, key))
            office.desk.sim.faults.clear()
            await office.passes(UNSEEN_FOR + 3 * MINUTE, every=MINUTE)
            await check_truth(office)
            if all_came:
                break
            await outcome_of(revoke(office, key))
            await office.passes(UNSEEN_FOR + 3 * MINUTE, every=MINUTE)
        assert left > 0
