"""A key that is issued anew, and one that cannot be begun: what a guest has is not lost by it."""

from collections.abc import AsyncIterator

from homeassistant.core import HomeAssistant
import pytest

from custom_components.salto_ks.api.exceptions import SaltoKsAuthError, SaltoKsServerError
from custom_components.salto_ks.domain.key_requests import KeyChange
from custom_components.salto_ks.domain.keys import KeyProblem, KeyStatus, KeyWarning
from custom_components.salto_ks.domain.observed import UNSEEN_FOR
from custom_components.salto_ks.keys.manager import AFTER_REFUSAL, KeyPendingError
from custom_components.salto_ks.keys.provider import KeyFailedError
from simulator import Fault, Quirks
from tests.ha.files import hass_config_dir, hass_storage

from .desk import MINUTE
from .offices import INSIDE_ONLY, RECEPTION, Office, office_of, outcome_of
from .test_manager import DAY, DOWN, NO_RIGHT, REFUSAL, free_seats

__all__ = ["hass_config_dir", "hass_storage"]

NEVER = (False,) * 4


@pytest.fixture
async def office(hass: HomeAssistant, socket_enabled: None) -> AsyncIterator[Office]:
    """Open an office at a campsite where everything takes effect at once."""
    async with office_of(hass) as office:
        yield office


@pytest.mark.parametrize("route", ["/access_groups", "/guests", "/pin"])
async def test_a_refused_one_leaves_the_old_key(office: Office, route: str) -> None:
    """While there is a seat the new one is made beside it, and the old one goes last."""
    key = await office.issue(booking="b1")
    for method in ("POST", "PUT"):
        office.desk.sim.faults.add(
            Fault(method=method, route=route, status=400, body=REFUSAL, count=1)
        )
    refused = await outcome_of(office.manager.reissue(key.record.key_id, RECEPTION))
    assert isinstance(refused, KeyFailedError)
    record = office.record(key)
    assert (record.status, record.guest) == (KeyStatus.SET, key.record.guest)
    assert record.errors == {KeyProblem.REFUSED}
    assert office.edges(key) == INSIDE_ONLY
    office.desk.sim.faults.clear()
    await office.passes(2 * MINUTE)
    await office.assert_agreed()
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    assert (office.edges(new), office.edges(key)) == (INSIDE_ONLY, NEVER)
    assert office.record(key).errors == set()
    await office.assert_agreed()


@pytest.mark.parametrize("seats", [0, 1])
async def test_with_and_without_a_seat(office: Office, seats: int) -> None:
    """Without a second seat the old one has to go first."""
    key = await office.issue(booking="b1")
    free_seats(office, seats)
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    assert (office.edges(new), office.edges(key)) == (INSIDE_ONLY, NEVER)
    await office.assert_agreed()


@pytest.mark.parametrize("route", ["/v1.2/sites/{site}", "/guests"])
async def test_an_interrupted_one_leaves_the_old_key(office: Office, route: str) -> None:
    """That Salto did not answer says nothing about seats: the old one goes last all the same."""
    key = await office.issue(booking="b1")
    office.desk.sim.faults.add(Fault(route=route, status=503, count=None, commit=True))
    pending = await outcome_of(office.manager.reissue(key.record.key_id, RECEPTION))
    assert isinstance(pending, KeyPendingError)
    assert office.edges(key) == INSIDE_ONLY
    office.desk.sim.faults.clear()
    office.desk.sim.faults.add(
        Fault(method="POST", route="/guests", status=400, body=REFUSAL, count=1)
    )
    await office.passes(2 * MINUTE)
    assert office.ledger.intents == {}
    assert office.record(key).errors == {KeyProblem.REFUSED}
    assert office.edges(key) == INSIDE_ONLY
    await office.passes(2 * UNSEEN_FOR)
    await office.assert_agreed()


@pytest.mark.parametrize("shown", [0.0, 10.0])
async def test_one_that_is_refused_once_the_old_key_is_gone(
    hass: HomeAssistant, socket_enabled: None, shown: float
) -> None:
    """A key whose old guest went before the answer was lost has failed, and is not called set.

    That guest may be shown for some seconds after it went (MEAS).
    """
    async with office_of(hass, Quirks.instant(detail_lag_s=shown)) as office:
        key = await office.issue(booking="b1")
        gone = Fault(method="DELETE", route="/users/{user}", status=503, commit=True, count=None)
        office.desk.sim.faults.add(gone)
        pending = await outcome_of(office.manager.reissue(key.record.key_id, RECEPTION))
        assert isinstance(pending, KeyPendingError)
        assert office.edges(key) == NEVER
        office.desk.sim.faults.clear()
        office.desk.sim.faults.add(
            Fault(method="POST", route="/guests", status=400, body=REFUSAL, count=1)
        )
        refused = await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION))
        assert isinstance(refused, KeyFailedError)
        assert office.told(key)[-1] == "key_failed refused"
        assert office.record(key).status is KeyStatus.REMOVING
        await office.passes(2 * MINUTE)
        assert office.record(key).errors == {KeyProblem.REFUSED}
        await office.passes(UNSEEN_FOR + MINUTE)
        assert office.record(key).status is KeyStatus.REVOKED
        await office.assert_agreed()
        again = await office.issue(booking="b1")
        assert again.record.key_id != key.record.key_id
        assert office.edges(again) == INSIDE_ONLY


async def test_one_of_which_nobody_can_tell_how_far_it_came(office: Office) -> None:
    """Where Salto shows nothing any more of the key, it is unknown."""
    key = await office.issue(booking="b1")
    office.desk.sim.faults.add(Fault(method="POST", route="/guests", status=503, count=None))
    await outcome_of(office.manager.reissue(key.record.key_id, RECEPTION))
    office.desk.sim.faults.clear()
    office.desk.sim.faults.add(
        Fault(method="GET", route="/users", status=403, body=NO_RIGHT, count=None)
    )
    refused = await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION))
    assert isinstance(refused, KeyFailedError)
    assert office.record(key).status is KeyStatus.UNKNOWN
    assert office.record(key).errors == {KeyProblem.FORBIDDEN}
    office.desk.sim.faults.clear()
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    assert (office.edges(new), office.edges(key)) == (INSIDE_ONLY, NEVER)
    await office.assert_agreed()


async def test_what_a_refused_one_has_left_goes_in_minutes(office: Office) -> None:
    """A guest that a lost answer has left is not there until the next comparison."""
    key = await office.issue(booking="b1")
    sim = office.desk.sim
    sim.faults.add(Fault(method="POST", route="/guests", status=503, commit=True, count=None))
    sim.faults.add(Fault(method="DELETE", route="/users/{user}", status=503, count=None))
    await outcome_of(office.manager.reissue(key.record.key_id, RECEPTION))
    sim.faults.clear()
    sim.faults.add(Fault(method="DELETE", route="/users/{user}", status=403, body=NO_RIGHT))
    refused = await outcome_of(office.manager.reveal(key.record.key_id, RECEPTION))
    assert isinstance(refused, KeyFailedError)
    sim.faults.clear()
    record = office.record(key)
    assert (record.status, record.errors) == (KeyStatus.SET, {KeyProblem.FORBIDDEN})
    assert office.edges(key) == INSIDE_ONLY
    assert len(office.desk.guests(record)) > 1
    await office.passes(UNSEEN_FOR + MINUTE)
    assert [guest.id for guest in office.desk.guests(record)] == [record.guest.id]
    assert office.passes_made == []


async def test_groups_side_by_side_have_names_of_their_own(office: Office) -> None:
    """Whoever looks at Salto, or Salto itself, can tell an old group from the new one."""
    key = await office.issue(booking="b1")
    for number in range(2, 5):
        office.desk.sim.faults.add(
            Fault(method="DELETE", route="/access_groups/{group}", status=403, body=NO_RIGHT)
        )
        await office.manager.reissue(key.record.key_id, RECEPTION)
        names = {group.customer_reference for group in office.desk.groups(key.record)}
        assert len(names) == min(number, 2)
        await office.passes(UNSEEN_FOR + MINUTE)


async def test_an_old_guest_that_does_not_go(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """The new one counts, and the old one is removed as soon as Salto lets it."""
    key = await office.issue(booking="b1")
    office.desk.sim.faults.add(
        Fault(method="DELETE", route="/users/{user}", status=403, body=NO_RIGHT, count=1)
    )
    new = await office.manager.reissue(key.record.key_id, RECEPTION)
    assert "is still at Salto" in caplog.text
    assert office.edges(new) == INSIDE_ONLY
    await office.passes(UNSEEN_FOR + MINUTE)
    assert office.edges(key) == NEVER
    await office.assert_agreed()


async def test_a_refused_one_in_time_is_not_tried_all_the_time(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """A key whose guest would end too early is tried again after an hour, and works until then."""
    async with office_of(hass, Quirks.instant(patch_expires_at="ignored")) as office:
        key = await office.issue(booking="b1")
        far = KeyChange(ends_at=key.record.window.ends_at + 60 * DAY)
        changed = await office.manager.change(key.record.key_id, far, RECEPTION)
        assert changed.guest is not None
        assert changed.guest.expires_at is not None
        fault = office.desk.sim.faults.add(
            Fault(method="POST", route="/guests", status=403, body=NO_RIGHT, count=None)
        )
        await office.comes(changed.guest.expires_at - DAY)
        await office.passes(10 * MINUTE)
        assert office.desk.sim.faults.hits(fault) == 1
        assert office.opens(key)
        office.desk.sim.faults.clear()
        await office.passes(AFTER_REFUSAL, every=MINUTE)
        assert office.record(key).warnings == frozenset()
        assert office.record(key).guest != changed.guest


async def test_other_doors_do_not_forget_that_a_guest_ends_too_early(
    hass: HomeAssistant, socket_enabled: None
) -> None:
    """The warning lasts until the guest's end is after that of its window."""
    async with office_of(hass, Quirks.instant(patch_expires_at="ignored")) as office:
        key = await office.issue(booking="b1")
        far = KeyChange(ends_at=key.record.window.ends_at + 60 * DAY)
        await office.manager.change(key.record.key_id, far, RECEPTION)
        doors = KeyChange(doors=frozenset(office.desk.doors[1:2]))
        changed = await office.manager.change(key.record.key_id, doors, RECEPTION)
        assert changed.warnings == {KeyWarning.EXPIRY_NOT_MOVED}
        back = KeyChange(ends_at=key.record.window.ends_at)
        changed = await office.manager.change(key.record.key_id, back, RECEPTION)
        assert changed.warnings == frozenset()


# Salto is down before anything is begun


async def test_a_booking_whose_key_cannot_be_begun(office: Office) -> None:
    """It is written down, and issued once Salto answers."""
    await office.issue(booking="b0")
    office.desk.sim.faults.add(Fault(**DOWN))
    pending = await outcome_of(office.issue(booking="b1"))
    assert isinstance(pending, KeyPendingError)
    assert office.manager.keys(statuses={KeyStatus.SETTING})[0].key_id == pending.key_id
    await office.restart()
    office.desk.sim.faults.clear()
    await office.passes(2 * MINUTE)
    assert office.record(pending.key_id).status is KeyStatus.SET
    key = await office.issue(booking="b1")
    assert key.record.key_id == pending.key_id
    assert office.edges(key) == INSIDE_ONLY


async def test_a_key_of_nobody_that_cannot_be_begun(office: Office) -> None:
    """Nobody waits for it, so nothing is written down."""
    await office.issue(booking="b0")
    office.desk.sim.faults.add(Fault(**DOWN))
    assert isinstance(await outcome_of(office.issue()), SaltoKsServerError)
    assert office.ledger.intents == {}


async def test_a_booking_whose_login_is_refused(office: Office) -> None:
    """A person has to mend that first, and is told so at once."""
    await office.issue(booking="b0")
    sim = office.desk.sim
    sim.faults.add(
        Fault(route="/connect/token", status=400, body={"error": "invalid_grant"}, count=None)
    )
    sim.faults.add(Fault(route="/v1.", status=401, body={}, count=None))
    assert isinstance(await outcome_of(office.issue(booking="b1")), SaltoKsAuthError)
    assert office.ledger.intents == {}
