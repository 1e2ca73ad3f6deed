"""The action `explain_access`: what it says of broken worlds, held to what the door does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
import random
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized
import pytest
from pytest_homeassistant_custom_component.common import MockUser
import voluptuous as vol

from custom_components.salto_ks.api.models import IqId, PlatformUserId, SiteId
from custom_components.salto_ks.denials import denials_of
from custom_components.salto_ks.domain.explain import explain
from custom_components.salto_ks.domain.explain_sentences import Sentence
from custom_components.salto_ks.domain.ids import PersonId
from custom_components.salto_ks.iq_credential import IqKey
from custom_components.salto_ks.wording import async_wording
from simulator import Fault, Quirks, Simulator
from simulator.world import Record
from tests.domain.access_worlds import all_worlds

from .booking_helpers import add_feed, minutes_pass
from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import (
    GROUPS,
    HOUR,
    MINUTE,
    MORNING,
    OTHER_DOOR,
    WITHOUT_KEYPAD,
    ask,
    groups,
    guests,
    issue,
    opens,
)
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    RECEPTION,
    account_input,
    door,
    entity_id,
    go_on,
    iq_named,
    lock_named,
    member_of,
)
from .texts import english, placeholders
from .units import add_unit, tell
from .watching import act, asked, shown

__all__ = ["hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
KNOWN_BY_NOW = timedelta(minutes=6)
"""By when a door in reach has heard of a key, and two polls have seen that it was in reach."""
LONG = timedelta(days=10)
REFUSED = {"ErrorCode": "2203", "Message": "User does not have permission for this operation"}

type Line = dict[str, str]


@pytest.fixture(autouse=True)
async def _morning(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning in Amsterdam, and let time pass only when a test says so."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    freezer.move_to(MORNING)


@pytest.fixture
async def entry(set_up: SetUp) -> ENTRY:
    """Return a site with both IQs."""
    loaded: ENTRY = await set_up()
    return loaded


async def checklist(
    hass: HomeAssistant, *, context: Context | None = None, **data: Any
) -> list[Line]:
    """Ask why a door opens or not; every line has a text without anything left to fill in."""
    answer = await hass.services.async_call(
        DOMAIN, "explain_access", data, blocking=True, context=context, return_response=True
    )
    assert isinstance(answer, dict)
    lines: Any = answer["checks"]
    for line in lines:
        assert set(line) == {"check", "result", "text"}
        assert line["text"]
        assert not set("{}") & set(line["text"])
    return list(lines)


def failed(lines: list[Line]) -> list[str]:
    """Return the checks that fail, in order."""
    return [line["check"] for line in lines if line["result"] == "fail"]


def unknown(lines: list[Line]) -> set[str]:
    """Return the checks of which nothing is known."""
    return {line["check"] for line in lines if line["result"] == "unknown"}


def text_of(lines: list[Line], check: str) -> str:
    """Return the first text of a check."""
    return next(line["text"] for line in lines if line["check"] == check)


async def issue_now(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, *doors: str, **more: Any
) -> dict[str, Any]:
    """Issue a key that opens from now on for ten days."""
    times = {"starts_at": MORNING, "ends_at": MORNING + LONG} | more
    return await issue(hass, sim, entry, *doors, **times)


async def let_it_be_known(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let time pass until all doors in reach have heard of all keys."""
    for _ in range(int(KNOWN_BY_NOW / MINUTE)):
        await go_on(hass, freezer, 75)


# Keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a broken world is made in."""

    hass: HomeAssistant
    sim: Simulator
    freezer: FrozenDateTimeFactory

    @property
    def gate(self) -> Any:
        """Return the lock of the key."""
        return lock_named(self.sim, GATE)

    @property
    def guest(self) -> Any:
        """Return the guest of the key."""
        (guest,) = guests(self.sim)
        return guest

    @property
    def group(self) -> Any:
        """Return the access group of the key."""
        (group,) = groups(self.sim)
        return group

    @property
    def schedule(self) -> Any:
        """Return the time schedule of the key."""
        (schedule,) = self.sim.world.schedules_of(self.group.id)
        return schedule

    def delete(self, record: Record) -> None:
        """Delete something at Salto."""
        self.sim.world.discard(record)


def _set(part: str, **values: Any) -> Callable[[Scene], None]:
    """Return what assigns fields of a part of the world."""

    def change(scene: Scene) -> None:
        for name, value in values.items():
            setattr(getattr(scene, part), name, value)

    return change


def _delete(part: str) -> Callable[[Scene], None]:
    return lambda scene: scene.delete(getattr(scene, part))


def _site(**values: Any) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        for name, value in values.items():
            setattr(scene.sim.site, name, value)

    return change


def _iq(**values: Any) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        for name, value in values.items():
            setattr(iq_named(scene.sim, RECEPTION), name, value)

    return change


def _go(moment: datetime) -> Callable[[Scene], None]:
    """Return what moves on to a moment without anything being done on the way."""
    return lambda scene: scene.freezer.move_to(moment)


BROKEN: dict[str, tuple[str, Callable[[Scene], None]]] = {
    "account blocked": ("account", lambda scene: setattr(member_of(scene.sim), "blocked", True)),
    "subscription over": ("subscription", _site(subscription_valid=False)),
    "PINs switched off": ("site_pins", _site(pin_enabled=False)),
    "window over": ("key_window", _go(MORNING + LONG)),
    "guest deleted": ("guest", _delete("guest")),
    "guest expired": ("guest_end", _set("guest", expires_at=MORNING)),
    "suspended at Salto": ("guest_seat", _set("guest", subscription_state="suspended")),
    "use_pin off": ("pin_allowed", _set("guest", use_pin=False)),
    "guest blocked": ("pin_allowed", _set("guest", blocked=True)),
    "PIN taken away": ("pin_set", _set("guest", pin=None)),
    "door without keypad": ("keypad", _set("gate", lock_type="escutcheon")),
    "group deleted": ("group", _delete("group")),
    "door taken out": ("group_door", _set("group", lock_ids=())),
    "member removed": ("member", _set("group", user_ids=())),
    "schedule moved": (
        "schedule",
        _set("schedule", start_date=(MORNING + timedelta(days=8)).replace(tzinfo=None)),
    ),
    "schedule missing": ("schedule", _delete("schedule")),
    "IQ moved abroad": ("schedule", _iq(time_zone="America/New_York")),
    "no IQ": ("door_iq", _set("gate", iq_id=None)),
    "privacy mode": ("privacy_mode", _set("gate", privacy_mode=True)),
    "lock offline": ("lock_online", _set("gate", online=False)),
}
"""Worlds in which the PIN of a key does not open, with the check that has to fail first."""


@pytest.mark.parametrize("name", BROKEN)
async def test_first_failure_is_the_cause(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    name: str,
) -> None:
    """Where a PIN does not open, the first check that fails says why."""
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    assert opens(sim, key["pin"])
    cause, break_it = BROKEN[name]
    break_it(Scene(hass=hass, sim=sim, freezer=freezer))
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines)[0] == cause
    if name not in {"account blocked", "subscription over"}:
        assert not opens(sim, key["pin"])


async def test_all_well(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Where the PIN opens all its doors, and they had time to hear of it, every check passes."""
    key = await issue_now(hass, sim, entry, GATE, OTHER_DOOR)
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, key_id=key["key_id"])
    assert {line["result"] for line in lines} == {"pass"}
    assert all(opens(sim, key["pin"], name) for name in (GATE, OTHER_DOOR))
    assert key["pin"] not in str(lines)


async def test_only_reads(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """An answer costs reads, nine and four for each time zone, and changes nothing."""
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    before = len(asked(sim))
    await checklist(hass, key_id=key["key_id"])
    new = asked(sim)[before:]
    assert {method for method, _ in new} == {"GET"}
    assert len(new) <= 12


async def test_just_issued(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """Of a key that was issued just now nobody knows whether the door has heard of it."""
    key = await issue_now(hass, sim, entry)
    lines = await checklist(hass, key_id=key["key_id"])
    assert not failed(lines)
    assert unknown(lines) == {"rolled_out"}
    assert "09:04" in text_of(lines, "rolled_out")


@pytest.mark.parametrize(
    "quirks", [Quirks.instant(schedule_rollout_s=210, member_rollout_s=45, change_rollout_s=45)]
)
async def test_roll_out(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """While a door has not heard of a key, that alone is in doubt; then all passes and it opens."""
    key = await issue_now(hass, sim, entry)
    for _ in range(3):
        assert unknown(await checklist(hass, key_id=key["key_id"])) == {"rolled_out"}
        assert not opens(sim, key["pin"])
        await go_on(hass, freezer, 75)
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, key_id=key["key_id"])
    assert {line["result"] for line in lines} == {"pass"}
    assert opens(sim, key["pin"])


async def test_window_to_come(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Before its window a key fails for nothing else, and its time is that of the wall clock."""
    key = await issue(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines) == ["key_window"]
    assert "2026-12-07 11:00" in text_of(lines, "key_window")
    assert not opens(sim, key["pin"])


async def test_iq_offline_before_the_door_has_heard(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key that was issued while its IQ was offline has not reached the door."""
    iq_named(sim, RECEPTION).online = False
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines)[0] == "iq_online"
    assert "rolled_out" in unknown(lines)
    assert not opens(sim, key["pin"])


async def test_schedule_that_was_narrowed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A schedule of certain days or hours may open now or not."""
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    _set("schedule", monday=False)(Scene(hass=hass, sim=sim, freezer=freezer))
    lines = await checklist(hass, key_id=key["key_id"])
    assert not failed(lines)
    assert "days or hours" in text_of(lines, "schedule")
    assert not opens(sim, key["pin"])


async def test_site_switched_off(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """While the site is off a PIN that is out opens, and a suspended key cannot be resumed."""
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    await act(hass, "switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active"))
    assert not failed(await checklist(hass, key_id=key["key_id"]))
    assert opens(sim, key["pin"])
    data = {"config_entry_id": entry.entry_id, "key_id": key["key_id"]}
    await hass.services.async_call(DOMAIN, "suspend_key", data, blocking=True)
    assert failed(await checklist(hass, key_id=key["key_id"]))[:2] == ["site_active", "key_status"]


async def test_key_that_failed(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A key that Salto refused says why in words."""
    sim.faults.add(Fault(route=GROUPS, method="POST", status=403, body=REFUSED, count=None))
    with pytest.raises(Exception, match="role"):
        await issue_now(hass, sim, entry)
    (record,) = entry.runtime_data.keys.manager.keys()
    lines = await checklist(hass, key_id=record.key_id)
    assert failed(lines)[0] == "key_status"
    assert english()["common"]["desk_error_forbidden"] in text_of(lines, "key_status")


async def test_denial(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """The last refusal is named until the door opens again."""
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    gate = lock_named(sim, GATE)
    gate.privacy_mode = True
    assert not opens(sim, key["pin"])
    gate.privacy_mode = False
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines) == ["last_denial"]
    assert GATE in text_of(lines, "last_denial")
    assert failed(await checklist(hass, door=door(hass, sim))) == ["last_denial"]
    assert opens(sim, key["pin"])
    await go_on(hass, freezer, 75)
    assert not failed(await checklist(hass, key_id=key["key_id"]))
    assert not failed(await checklist(hass, door=door(hass, sim)))


async def test_denial_outlives_a_reload_and_another_door(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A refusal is named until that door opens, or the site is removed."""
    key = await issue_now(hass, sim, entry, GATE, OTHER_DOOR)
    await let_it_be_known(hass, freezer)
    gate = lock_named(sim, GATE)
    gate.privacy_mode = True
    assert not opens(sim, key["pin"])
    gate.privacy_mode = False
    assert opens(sim, key["pin"], OTHER_DOOR)
    await let_it_be_known(hass, freezer)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines) == ["last_denial"]
    assert GATE in text_of(lines, "last_denial")
    site_id = SiteId(sim.site_id)
    assert denials_of(hass, site_id).of_person(PersonId(guests(sim)[0].user_id))
    await hass.config_entries.async_remove(entry.entry_id)
    assert not denials_of(hass, site_id).of_person(PersonId(guests(sim)[0].user_id))


@pytest.mark.parametrize("status", ["removed", "over"])
async def test_full_house_is_no_matter_of_a_key_that_has_ended(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY, status: str
) -> None:
    """What is said first of a key that was taken back, or is over, is that."""
    key = await issue_now(hass, sim, entry, ends_at=MORNING + 2 * HOUR)
    sim.site.subscribed_user_amount = 1
    if status == "removed":
        await ask(hass, entry, "revoke_key", key_id=key["key_id"])
    else:
        await minutes_pass(hass, freezer, 121)
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines)[0] == "key_status"
    assert "taken back" in text_of(lines, "key_status")


QUIRKS = Quirks.instant(
    groups_read="absent",
    group_locks_read="absent",
    group_users_read="absent",
    group_schedules_read="absent",
    keys_read="absent",
)


@pytest.mark.parametrize("quirks", [QUIRKS])
async def test_what_salto_does_not_offer_is_unknown(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Reads that Salto does not have are unknown, and never a failure."""
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, key_id=key["key_id"])
    assert not failed(lines)
    assert unknown(lines) == {"pin_set", "group", "group_door", "member", "schedule"}


async def test_salto_cannot_be_reached(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Of a silent Salto only that is a failure; what it alone can tell is not known."""
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    sim.faults.add(Fault(reset=True, count=None))
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines) == ["site_reachable"]
    assert {"site_pins", "guest", "group", "schedule", "keypad", "lock_online"} <= unknown(lines)
    sim.faults.clear()
    assert not failed(await checklist(hass, key_id=key["key_id"]))


async def test_login_refused(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Refused credentials are told from a silent Salto, and a form for others is opened."""
    key = await issue_now(hass, sim, entry)
    sim.account.password = "another"
    sim.world.tokens.clear()
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines) == ["site_reachable"]
    assert "Log in again" in text_of(lines, "site_reachable").replace("log in", "Log in")
    assert any(entry.async_get_active_flows(hass, {"reauth"}))


async def test_key_that_cannot_be_read(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Where only the key cannot be read, it alone is not known, and all else is."""
    key = await issue_now(hass, sim, entry)
    await let_it_be_known(hass, freezer)
    sim.faults.add(
        Fault(route="/v1.2/sites/{site}/users/{user}", status=403, body=REFUSED, count=None)
    )
    lines = await checklist(hass, key_id=key["key_id"])
    assert not failed(lines)
    assert "guest" in unknown(lines)
    assert "site_reachable" not in unknown(lines)


# Bookings


async def test_booking_with_a_key(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking with all it needs passes, and so does its key."""
    await add_unit(hass, sim, entry)
    await tell(hass, entry, starts_at=MORNING, ends_at=MORNING + LONG)
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, booking_id="R1")
    assert {line["result"] for line in lines} == {"pass"}
    (guest,) = guests(sim)
    assert guest.pin is not None
    assert opens(sim, guest.pin)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        ("pending", "booking_status"),
        ("cancelled", "booking_status"),
        ("completed", "booking_status"),
    ],
)
async def test_booking_that_wants_no_key(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    status: str,
    cause: str,
) -> None:
    """A booking that is not confirmed, or over, gets no key for that."""
    await add_unit(hass, sim, entry)
    await tell(hass, entry, status=status)
    await minutes_pass(hass, freezer, 2)
    lines = await checklist(hass, booking_id="R1")
    assert failed(lines)[0] == cause
    assert not guests(sim)


async def test_booking_before_its_lead_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A key that is not due yet says from when on it will be."""
    await add_unit(hass, sim, entry, lead_hours=2)
    await tell(hass, entry, starts_at=MORNING + 24 * HOUR)
    await minutes_pass(hass, freezer, 2)
    lines = await checklist(hass, booking_id="R1")
    assert failed(lines)[0] == "key_due"
    assert "2026-12-08 07:00" in text_of(lines, "key_due")


async def test_booking_without_a_seat(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that got no key for want of a seat says so, and what went wrong."""
    await add_unit(hass, sim, entry)
    sim.site.subscribed_user_amount = 1
    await tell(hass, entry)
    await minutes_pass(hass, freezer, 2)
    lines = await checklist(hass, booking_id="R1")
    assert failed(lines)[:3] == ["seats", "booking_trouble", "booking_key"]
    assert english()["exceptions"]["key_seat_unavailable"]["message"] in text_of(
        lines, "booking_trouble"
    )


async def test_booking_at_a_site_that_is_off(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A site that is switched off issues nothing."""
    await add_unit(hass, sim, entry)
    await act(hass, "switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active"))
    await tell(hass, entry)
    await minutes_pass(hass, freezer, 2)
    lines = await checklist(hass, booking_id="R1")
    assert failed(lines)[0] == "site_active"


async def test_calendar_that_cannot_be_read(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A calendar that does not answer is named, and the key that is there works on."""
    feed = await add_feed(hass)
    feed.write("R1", MORNING, MORNING + LONG)
    await add_unit(hass, sim, entry, calendar=feed.entity_id)
    await minutes_pass(hass, freezer, 12)
    booking_id = entry.runtime_data.bookings.bookings()[0].booking_id
    assert not failed(await checklist(hass, booking_id=booking_id))
    feed.answer = RuntimeError("down")
    await minutes_pass(hass, freezer, 12)
    assert failed(await checklist(hass, booking_id=booking_id)) == ["calendar"]
    assert "calendar" in failed(await checklist(hass))


async def test_booking_that_home_assistant_opens_for(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Where Home Assistant opens, it is said whether it would now, and keypads are no matter."""
    await add_unit(hass, sim, entry, mode="remote", doors=(GATE, WITHOUT_KEYPAD))
    await tell(hass, entry, starts_at=MORNING + HOUR)
    lines = await checklist(hass, booking_id="R1")
    assert failed(lines) == ["remote_opening"]
    assert "keypad" not in {line["check"] for line in lines}
    freezer.move_to(MORNING + HOUR)
    assert not failed(await checklist(hass, booking_id="R1"))


async def test_booking_of_both_kinds(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A door without a keypad is no failure where Home Assistant opens it."""
    await add_unit(hass, sim, entry, mode="both", doors=(GATE, WITHOUT_KEYPAD))
    await tell(hass, entry, starts_at=MORNING, ends_at=MORNING + LONG)
    await let_it_be_known(hass, freezer)
    assert not failed(await checklist(hass, booking_id="R1"))
    member_of(sim).remote_access = False
    assert failed(await checklist(hass, booking_id="R1")) == ["remote_right"]


# Doors and the site


async def test_door(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A door tells how it is, whether it can be opened remotely, and whose keys open it now."""
    assert failed(await checklist(hass, door=door(hass, sim))) == ["door_keys"]
    key = await issue_now(hass, sim, entry)
    await issue(hass, sim, entry)
    lines = await checklist(hass, door=door(hass, sim))
    assert not failed(lines)
    assert key["key_id"] in text_of(lines, "door_keys")
    gate, iq = lock_named(sim, GATE), iq_named(sim, RECEPTION)
    gate.battery_level, iq.online = "critical", False
    assert failed(await checklist(hass, door=door(hass, sim))) == ["iq_online", "battery"]


async def test_activation(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """Whatever keeps commands from being signed is named; an IQ without OTP needs no signature."""
    iq, gate = iq_named(sim, RECEPTION), door(hass, sim)
    activation = sim.world.activation(sim.account.user_id, iq.id)
    assert activation is not None
    vault = entry.runtime_data.vault
    key = IqKey(SiteId(sim.site_id), IqId(iq.id), PlatformUserId(sim.account.user_id))

    activation.activated = False
    assert failed(await checklist(hass, door=gate))[0] == "iq_activated"
    activation.activated = True
    known = vault.get(key)
    await vault.put(key, replace(known, pin=None, candidates=("0001", "0002")))
    lines = await checklist(hass, door=gate)
    assert failed(lines)[0] == "iq_activated"
    assert "answer was lost" in text_of(lines, "iq_activated")
    await vault.put(key, replace(known, activated=False))
    assert failed(await checklist(hass, door=gate))[0] == "iq_activated"
    iq.otp_enabled = False
    assert failed(await checklist(hass, door=gate)) == ["door_keys"]


async def test_door_of_an_iq_that_is_not_set_up(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp
) -> None:
    """A door that cannot be opened remotely for want of its IQ says so."""
    await set_up(iqs=[])
    lines = await checklist(hass, door=door(hass, sim))
    assert failed(lines) == ["iq_activated", "door_keys"]
    assert "PINs do not need it" in text_of(lines, "iq_activated")


async def test_door_log_that_cannot_be_read(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Without the door log nobody knows who was refused, and the site says what is missing."""
    sim.faults.add(Fault(route="entries", status=403, body=REFUSED, count=None))
    await go_on(hass, freezer, 75)
    assert "door_log" in failed(await checklist(hass))
    assert "last_denial" in unknown(await checklist(hass, door=door(hass, sim)))


async def test_door_that_is_gone(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A door that one poll lacks may be in the next; only one that stays away is gone."""
    key = await issue_now(hass, sim, entry, GATE, OTHER_DOOR)
    sim.world.discard(lock_named(sim, GATE))
    lines = await checklist(hass, key_id=key["key_id"])
    assert "door_listed" not in failed(lines)
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, key_id=key["key_id"])
    assert failed(lines)[0] == "door_listed"


async def test_site(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """The site tells how it is looked after; what was not done yet is not known."""
    lines = await checklist(hass)
    assert not failed(lines)
    assert unknown(lines) == {"reconciliation", "discrepancies"}
    await let_it_be_known(hass, freezer)
    lines = await checklist(hass, config_entry_id=entry.entry_id)
    assert {line["result"] for line in lines} == {"pass"}
    iq_named(sim, FIELD).restore_required = True
    member_of(sim).remote_access = False
    assert failed(await checklist(hass)) == ["iq_restore", "remote_right"]


async def test_site_with_pins_only(hass: HomeAssistant, set_up: SetUp) -> None:
    """IQs that nobody has set up are nothing that is wrong with the site."""
    await set_up(iqs=[])
    assert not failed(await checklist(hass))


# Asking badly


async def test_one_thing_at_a_time(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """Two questions at once are refused."""
    with shown("explain_one_thing", users=True):
        await checklist(hass, key_id="abcd-1", booking_id="R1")
    with shown("explain_one_thing", users=True):
        await checklist(hass, door=door(hass, sim), booking_id="R1")


@pytest.mark.parametrize("key_id", ["abcd-99", "nonsense", ""])
async def test_unknown_key(hass: HomeAssistant, entry: ENTRY, key_id: str) -> None:
    """A key that is not there is said by name."""
    with shown("key_unknown", users=True) as raised:
        await checklist(hass, key_id=key_id)
    assert raised.placeholders == {"key_id": key_id}


@pytest.mark.parametrize("booking_id", ["R99", ""])
async def test_unknown_booking(hass: HomeAssistant, entry: ENTRY, booking_id: str) -> None:
    """A booking that is not there is said by name."""
    with shown("booking_unknown", users=True) as raised:
        await checklist(hass, booking_id=booking_id)
    assert raised.placeholders == {"booking_id": booking_id}


async def test_unknown_door(hass: HomeAssistant, entry: ENTRY) -> None:
    """A lock of somebody else is none of ours."""
    with shown("door_not_ours", users=True):
        await checklist(hass, door="lock.of_somebody_else")
    with shown("door_not_ours", users=True):
        await checklist(hass, door="lock.of_somebody_else", config_entry_id=entry.entry_id)
    with pytest.raises(vol.Invalid):
        await checklist(hass, door="no entity")


async def test_several_sites(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, set_up: SetUp
) -> None:
    """Where there are several sites, one has to be named unless the rest says which."""
    other_id = next(one for one in sim.world.sites if one != sim.site_id)
    account = account_input(sim, site_uid=sim.world.sites[other_id].site_uid)
    other: ENTRY = await set_up(iqs=[], account=account)
    with shown("explain_which_site", users=True):
        await checklist(hass)
    with shown("explain_which_site", users=True):
        await checklist(hass, key_id="abcd-99")
    with shown("door_of_another_site", users=True):
        await checklist(hass, door=door(hass, sim), config_entry_id=other.entry_id)
    key = await issue_now(hass, sim, entry)
    assert await checklist(hass, key_id=key["key_id"])
    assert await checklist(hass, door=door(hass, sim))
    assert await checklist(hass, config_entry_id=other.entry_id)


async def test_site_that_is_not_loaded(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """Of a site that is not loaded nothing can be said."""
    gate = door(hass, sim)
    await hass.config_entries.async_unload(entry.entry_id)
    with pytest.raises(ServiceValidationError):
        await checklist(hass, config_entry_id=entry.entry_id)
    with pytest.raises(ServiceValidationError):
        await checklist(hass, door=gate)
    with shown("explain_which_site", users=True):
        await checklist(hass)


async def test_only_for_administrators(
    hass: HomeAssistant, entry: ENTRY, hass_read_only_user: MockUser
) -> None:
    """Whoever may not administer Home Assistant is told nothing."""
    with pytest.raises(Unauthorized):
        await checklist(hass, context=Context(user_id=hass_read_only_user.id))


# The door decides

MUTATIONS: dict[str, tuple[str, Any]] = {
    "site.pin_enabled": ("site", False),
    "guest.subscription_state": ("guest", "suspended"),
    "guest.use_pin": ("guest", False),
    "guest.blocked": ("guest", True),
    "guest.expires_at": ("guest", MORNING),
    "group.lock_ids": ("group", ()),
    "group.user_ids": ("group", ()),
    "schedule.monday": ("schedule", False),
    "schedule.start_date": ("schedule", datetime(2026, 12, 15)),  # noqa: DTZ001 - of an IQ's clock
    "schedule.end_date": ("schedule", datetime(2026, 12, 7, 8)),  # noqa: DTZ001 - as above
    "lock.lock_type": ("lock", "cylinder"),
    "lock.online": ("lock", False),
    "lock.privacy_mode": ("lock", True),
    "lock.iq_id": ("lock", None),
    "lock.battery_level": ("lock", "low"),
    "iq.online": ("iq", False),
    "iq.time_zone": ("iq", "America/New_York"),
}
"""What a random world changes, by the name of the part and its field."""


def _parts(sim: Simulator, kind: str) -> list[Any]:
    """Return what there is of a kind, of the keys' own."""
    world = sim.world
    match kind:
        case "site":
            return [sim.site]
        case "guest":
            return list(guests(sim))
        case "group":
            return list(groups(sim))
        case "schedule":
            return [one for group in groups(sim) for one in world.schedules_of(group.id)]
        case "lock":
            return [lock_named(sim, GATE), lock_named(sim, OTHER_DOOR)]
        case _:
            return [iq_named(sim, RECEPTION), iq_named(sim, FIELD)]


def _mutate(sim: Simulator, dice: random.Random) -> list[Callable[[], None]]:
    """Change a random world a little; returns what takes that back."""
    undo: list[Callable[[], None]] = []
    for name in dice.sample(sorted(MUTATIONS), dice.choice((0, 1, 1, 2))):
        kind, value = MUTATIONS[name]
        record, attribute = dice.choice(_parts(sim, kind)), name.partition(".")[2]
        before = getattr(record, attribute)
        setattr(record, attribute, value)
        undo.append(partial(setattr, record, attribute, before))
    if dice.random() < 0.2:
        record = dice.choice(_parts(sim, dice.choice(("guest", "group", "schedule"))))
        sim.world.discard(record)
        undo.append(lambda: sim.world.insert(record) and None)
    return undo


@pytest.mark.parametrize("seed_of_worlds", range(3))
@pytest.mark.parametrize(
    "quirks",
    [
        Quirks.instant(),
        Quirks.instant(list_shape="bare", end_date_seconds="fifty_nine"),
        QUIRKS,
    ],
    ids=["usual", "other", "absent"],
)
async def test_the_door_decides(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    seed_of_worlds: int,
) -> None:
    """Whatever is the matter: a PIN that is refused has a reason or a doubt, and where all passes it opens."""
    dice = random.Random(seed_of_worlds)  # noqa: S311 - makes up worlds, and guards nothing
    keys = [
        (await issue_now(hass, sim, entry), (GATE,)),
        (await issue_now(hass, sim, entry, GATE, OTHER_DOOR), (GATE, OTHER_DOOR)),
        (await issue_now(hass, sim, entry, starts_at=MORNING + 48 * HOUR), (GATE,)),
    ]
    passed = 0
    for _ in range(25):
        freezer.tick(KNOWN_BY_NOW)
        key, doors = dice.choice(keys)
        undo = _mutate(sim, dice)
        lines = await checklist(hass, key_id=key["key_id"])
        opened = all(opens(sim, key["pin"], name) for name in doors)
        results = {line["result"] for line in lines}
        assert opened or results & {"fail", "unknown"}
        passed += results == {"pass"}
        for take_back in reversed(undo):
            take_back()
        await checklist(hass, key_id=key["key_id"])  # sees that all doors are back
    assert sim.quirks.keys_read == "absent" or passed > 3


# Texts


async def test_every_sentence_can_be_written(hass: HomeAssistant) -> None:
    """Whatever is said has a text, and all that it is filled with."""
    texts = english()["common"]
    for facts in all_worlds().values():
        for check in explain(facts):
            assert placeholders(texts[check.sentence.key]) <= set(check.about), check.sentence
    assert {key for key in texts if key.startswith("explain_")} == {one.key for one in Sentence}


@pytest.mark.usefixtures("entry")
async def test_language_of_home_assistant(hass: HomeAssistant) -> None:
    """A language without texts of ours is answered in English."""
    hass.config.language = "fi"
    assert (await async_wording(hass)).common("explain_account_pass")
    assert "Salto answers" in text_of(await checklist(hass), "site_reachable")
