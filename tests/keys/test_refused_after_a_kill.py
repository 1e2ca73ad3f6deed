"""A step that a kill has interrupted, and that Salto refuses when it is taken up again.

Nothing is put right here for whatever is refused for good; but what the ledger then says has to be
so. A key that it calls set opens its doors in its window with the PIN that it gives away, and
nothing opens a door of which it says nothing.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.domain.ids import KeyId
from custom_components.salto_ks.domain.keys import (
    ENDED,
    KeyProblem,
    KeyRecord,
    KeyStatus,
    Strategy,
)
from custom_components.salto_ks.domain.observed import UNSEEN_FOR
from custom_components.salto_ks.keys.manager import AFTER_REFUSAL
from simulator import Fault
from tests.ha.files import hass_config_dir, hass_storage

from .desk import MINUTE
from .offices import INSIDE_ONLY, RECEPTION, Office
from .test_manager import NO_RIGHT
from .test_manager_crashes import (
    OPERATIONS,
    STEP,
    Witness,
    killed_at,
    told,
    watched_office,
    witness,
)

__all__ = ["hass_config_dir", "hass_storage", "witness"]

NEVER = (False,) * 4
REFUSALS = {
    "making": {"route": "/v1.", "method": "POST"},
    "PINs": {"route": "/pin", "method": "PUT"},
    "moving": {"route": "/v1.", "method": "PATCH"},
    "removing": {"route": "/v1.", "method": "DELETE"},
}
"""What Salto refuses after the kill; as names for people."""


@contextmanager
def refusing(office: Office, what: str) -> Iterator[None]:
    """Have Salto refuse one kind of request."""
    office.desk.sim.faults.add(Fault(**REFUSALS[what], status=403, body=NO_RIGHT, count=None))
    try:
        yield
    finally:
        office.desk.sim.faults.clear()


async def check_truth(office: Office, told: Collection[KeyId | None] = ()) -> None:
    """Hold Salto to what people see of keys, for better or worse; but for those that are `told`."""
    keys = office.manager.keys()
    for record in keys:
        guests = office.desk.guests(record)
        if record.status is KeyStatus.REMOVING and record.key_id in office.ledger.intents:
            continue
        if record.status is KeyStatus.UNKNOWN:
            assert record.errors, record
        if record.status is KeyStatus.UNKNOWN or record.key_id in told:
            continue
        if record.status in ENDED or record.status is KeyStatus.REMOVING:
            assert (guests, office.desk.groups(record)) == ([], []), record
            continue
        assert record.guest is not None
        assert [guest.id for guest in guests] == [record.guest.id], record
        groups = {group.id for group in office.desk.groups(record)}
        assert groups == {group.id for group in record.groups}, record
        await check_doors(office, record)


async def check_doors(office: Office, record: KeyRecord) -> None:
    """Hold the PIN that a key gives away to its doors and its window."""
    if record.sealed_pin is None:
        assert KeyProblem.PIN_LOST in record.errors, record
        return
    key = await office.manager.reveal(record.key_id, RECEPTION)
    now = office.desk.sim.clock.now()
    for door in office.desk.doors:
        is_one = door in record.doors and record.status is KeyStatus.SET
        if record.strategy is Strategy.MEMBERSHIP:
            assert office.opens(key, door) is (is_one and record.window.holds(now)), record
        else:
            assert office.edges(key, door) == (INSIDE_ONLY if is_one else NEVER), record


@pytest.mark.parametrize("what", REFUSALS)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_refused_after_a_kill(
    hass: HomeAssistant, socket_enabled: None, witness: Witness, name: str, what: str
) -> None:
    """What cannot be carried on is told as it is: no dead PIN is called a key that is set."""
    async with watched_office(hass, witness) as office:
        strangers = office.desk.strangers()
        story = await told(office, witness, name)
        for moment in witness.moments:
            with killed_at(office, moment):
                await office.open()
                if not office.ledger.intents:
                    await office.manager.close(0)
                    continue
                with refusing(office, what):
                    await office.tick()
                    await office.passes(3 * MINUTE, every=STEP)
                await office.passes(UNSEEN_FOR + 3 * MINUTE, every=STEP)
                differing = []
                if story.operation.is_done_again:
                    done = await office.manager.reconcile(dry_run=True)
                    differing = [one.key_id for one in done.discrepancies]
                await check_truth(office, differing)
                await office.passes(AFTER_REFUSAL, every=10 * MINUTE)
                await check_truth(office, differing)
                assert office.ledger.intents == {}
                assert office.desk.strangers() == strangers
                await office.manager.close(0)
