"""The actions about keys: what they do, what they answer, and all that they refuse."""

import asyncio
from datetime import UTC, datetime, timedelta
import json
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError, Unauthorized
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockUser
import voluptuous as vol

from simulator import Fault, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .keys import (
    HOUR,
    INSIDE_ONLY,
    MINUTE,
    MORNING,
    OTHER_DOOR,
    SEAT,
    WITHOUT_KEYPAD,
    ask,
    edges,
    groups,
    guests,
    issue,
    opens,
    passing,
    writes,
)
from .support import (
    FIELD,
    GATE,
    RECEPTION,
    account_input,
    door,
    entity_id,
    iq_named,
    lock_named,
)
from .watching import Raised, act, asked, shown

__all__ = ["hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
START, END = MORNING + 2 * HOUR, MORNING + 5 * HOUR

REFUSED = {"ErrorCode": "1101", "Message": "No."}
FORBIDDEN = {"ErrorCode": "2203", "Message": "User does not have permission for this operation"}

ON_A_KEY = ("change_key", "revoke_key", "suspend_key", "resume_key", "rotate_pin", "get_pin")
CHANGES: dict[str, dict[str, Any]] = {
    "change_key": {"ends_at": (END + HOUR).isoformat()},
    "revoke_key": {},
    "suspend_key": {},
    "resume_key": {},
    "rotate_pin": {},
    "get_pin": {},
}
"""Actions on a key, with what each needs beside the key."""


@pytest.fixture(autouse=True)
def _morning(freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning, and let time pass only when a test says so."""
    freezer.move_to(MORNING)


@pytest.fixture
async def entry(set_up: SetUp) -> ENTRY:
    """Return a site whose IQs are not activated: keys do not need that."""
    loaded: ENTRY = await set_up(iqs=[])
    return loaded


async def set_options(hass: HomeAssistant, entry: ENTRY, **options: Any) -> None:
    """Choose options, and wait for the reload."""
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED


async def switch_off(hass: HomeAssistant, sim: Simulator) -> None:
    """Switch the site off."""
    await act(hass, "switch", "turn_off", entity_id(hass, "switch", sim.site_id, "active"))


def forget(sim: Simulator) -> None:
    """Forget what was asked so far."""
    sim.journal.clear()


async def lines(hass: HomeAssistant, entry: ENTRY, **query: Any) -> list[tuple[str, str]]:
    """Return action and outcome of lines of the audit log, oldest first."""
    found = (await ask(hass, entry, "get_audit_log", **query))["lines"]
    return [(line["action"], line["outcome"]) for line in reversed(found)]


# What each does


async def test_issue_key(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A key is issued at once, opens its doors inside its window only, and all of it is answered."""
    key = await issue(hass, sim, entry, GATE, OTHER_DOOR, booking_id="R-1", label="Pitch 12")
    (guest,) = guests(sim)
    assert key == {
        "key_id": key["key_id"],
        "salto_key_id": guest.id,
        "booking_id": "R-1",
        "label": "Pitch 12",
        "doors": sorted([door(hass, sim), door(hass, sim, OTHER_DOOR)]),
        "starts_at": START.isoformat(),
        "ends_at": END.isoformat(),
        "status": "set",
        "errors": [],
        "warnings": [],
        "proven": False,
        "pin": guest.pin,
    }
    for name in (GATE, OTHER_DOOR):
        assert edges(sim, key, name) == INSIDE_ONLY
    assert guest.expires_at == END + timedelta(days=30)
    assert guest.subscription_state == "subscribed"


async def test_nothing_personal_goes_to_salto(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """Neither label nor booking nor reason is in anything that Salto is sent."""
    forget(sim)
    key = await issue(
        hass, sim, entry, booking_id="R-77", label="Family Jansen", reason="came by bicycle"
    )
    for action in ("suspend_key", "resume_key", "rotate_pin", "revoke_key"):
        await ask(hass, entry, action, key_id=key["key_id"], reason="came by bicycle")
    sent = json.dumps(
        [(entry.path, dict(entry.query), entry.body) for entry in sim.journal.entries]
    )
    assert f"ha-{key['key_id']}" in sent
    for text in ("Jansen", "R-77", "bicycle"):
        assert text not in sent


async def test_change_window(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A moved stay keeps guest and PIN, and opens in the new window only."""
    key = await issue(hass, sim, entry)
    changed = await ask(
        hass,
        entry,
        "change_key",
        key_id=key["key_id"],
        starts_at=(START + HOUR).isoformat(),
        ends_at=(END + 3 * HOUR).isoformat(),
    )
    pin = key.pop("pin")
    assert changed == key | {
        "starts_at": (START + HOUR).isoformat(),
        "ends_at": (END + 3 * HOUR).isoformat(),
    }
    assert edges(sim, changed, keypad_pin=pin) == INSIDE_ONLY
    assert len(guests(sim)) == 1


async def test_change_doors(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """With other doors the same PIN opens those and no longer the first."""
    key = await issue(hass, sim, entry)
    changed = await ask(
        hass, entry, "change_key", key_id=key["key_id"], doors=door(hass, sim, OTHER_DOOR)
    )
    assert changed["doors"] == [door(hass, sim, OTHER_DOOR)]
    assert edges(sim, key, OTHER_DOOR) == INSIDE_ONLY
    assert not opens(sim, key["pin"], GATE, START)


async def test_change_to_what_it_is(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A change to what a key is already writes nothing."""
    key = await issue(hass, sim, entry)
    forget(sim)
    changed = await ask(hass, entry, "change_key", key_id=key["key_id"], ends_at=key["ends_at"])
    del key["pin"]
    assert changed == key
    assert writes(sim) == []


async def test_revoke_key(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A revoked key opens nothing, and all of it is gone at Salto, its seat too."""
    seats = sim.world.seats_used(sim.site_id)
    key = await issue(hass, sim, entry)
    assert sim.world.seats_used(sim.site_id) == seats + 1
    revoked = await ask(hass, entry, "revoke_key", key_id=key["key_id"], reason="left early")
    pin = key.pop("pin")
    assert revoked == key | {"status": "removing"}
    assert not opens(sim, pin, at=START)
    assert (guests(sim), groups(sim)) == ([], [])
    assert sim.world.seats_used(sim.site_id) == seats


async def test_suspend_and_resume_key(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A suspended key opens nothing and takes no seat; resumed it is what it was."""
    seats = sim.world.seats_used(sim.site_id)
    key = await issue(hass, sim, entry)
    pin = key.pop("pin")
    for _ in range(2):
        suspended = await ask(hass, entry, "suspend_key", key_id=key["key_id"])
        assert suspended == key | {"status": "suspended"}
        assert not opens(sim, pin, at=START)
        assert sim.world.seats_used(sim.site_id) == seats
    for _ in range(2):
        assert await ask(hass, entry, "resume_key", key_id=key["key_id"]) == key
        assert opens(sim, pin, at=START)
    taken = [entry.body for entry in sim.journal.filter("PATCH", SEAT) if entry.status != 401]
    assert len(taken) == 2, taken


async def test_rotate_pin(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A rotated PIN is another one that opens, and the old one is dead."""
    key = await issue(hass, sim, entry)
    rotated = await ask(hass, entry, "rotate_pin", key_id=key["key_id"])
    assert rotated == {"key_id": key["key_id"], "pin": guests(sim)[0].pin}
    assert rotated["pin"] != key["pin"]
    assert edges(sim, key, keypad_pin=rotated["pin"]) == INSIDE_ONLY
    assert not opens(sim, key["pin"], at=START)


async def test_get_pin(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """The PIN is shown again as often as it is asked for, and each time is in the audit log."""
    key = await issue(hass, sim, entry)
    forget(sim)
    for _ in range(2):
        shown_again = await ask(hass, entry, "get_pin", key_id=key["key_id"], reason="forgotten")
        assert shown_again == {"key_id": key["key_id"], "pin": key["pin"]}
    assert asked(sim) == []
    assert await lines(hass, entry) == [("issue", "done"), *[("reveal", "done")] * 2]
    newest = (await ask(hass, entry, "get_audit_log", limit=1))["lines"][0]
    assert (newest["action"], newest["reason"]) == ("reveal", "forgotten")


@pytest.mark.parametrize(
    "action", ["issue_key", "change_key", "revoke_key", "suspend_key", "resume_key", "rotate_pin"]
)
async def test_an_answer_can_be_left(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, action: str
) -> None:
    """What does something can be called without taking its answer."""
    data: dict[str, Any] = {"doors": [door(hass, sim)], "starts_at": START, "ends_at": END}
    if action != "issue_key":
        key = await issue(hass, sim, entry)
        data = {"key_id": key["key_id"], **CHANGES[action]}
    data["config_entry_id"] = entry.entry_id
    assert await hass.services.async_call("salto_ks", action, data, blocking=True) is None
    assert len(guests(sim)) == (0 if action == "revoke_key" else 1)


@pytest.mark.parametrize("action", ["get_pin", "get_keys", "get_audit_log"])
async def test_an_answer_has_to_be_taken(hass: HomeAssistant, entry: ENTRY, action: str) -> None:
    """What only answers cannot be called without taking the answer."""
    data = {"config_entry_id": entry.entry_id}
    with pytest.raises(ServiceValidationError) as caught:
        await hass.services.async_call("salto_ks", action, data, blocking=True)
    assert caught.value.translation_key == "service_lacks_response_request"


# Asked twice


async def test_the_same_booking_gets_the_same_key(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """Asking again for a booking with the same doors and window gives the key there is."""
    key = await issue(hass, sim, entry, GATE, OTHER_DOOR, booking_id="R-1")
    forget(sim)
    assert await issue(hass, sim, entry, OTHER_DOOR, GATE, booking_id=" R-1 ") == key
    assert asked(sim) == []


async def test_two_calls_at_once_for_a_booking(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """Two calls at once for one booking come to one guest at Salto, and to the same answer."""
    one, other = await asyncio.gather(
        issue(hass, sim, entry, booking_id="R-1"), issue(hass, sim, entry, booking_id="R-1")
    )
    assert one == other
    (guest,) = guests(sim)
    assert guest.pin == one["pin"]
    assert len(groups(sim)) == 1


async def test_two_bookings_at_once(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """Two bookings at once get two keys, each with its own PIN."""
    one, other = await asyncio.gather(
        issue(hass, sim, entry, booking_id="R-1"), issue(hass, sim, entry, booking_id="R-2")
    )
    assert one["key_id"] != other["key_id"]
    for key in (one, other):
        assert edges(sim, key) == INSIDE_ONLY


@pytest.mark.parametrize("more", [{}, {"booking_id": ""}, {"booking_id": "  "}], ids=repr)
async def test_without_a_booking_each_call_gives_a_key(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, more: dict[str, str]
) -> None:
    """Where no booking is named, nothing is taken for a repetition."""
    keys = [await issue(hass, sim, entry, **more) for _ in range(2)]
    assert keys[0]["key_id"] != keys[1]["key_id"]
    assert [key["booking_id"] for key in keys] == [None, None]
    assert len(guests(sim)) == 2


async def test_another_window_for_a_booking(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """Another window for the doors of a booking is refused, as the guest has a PIN already."""
    key = await issue(hass, sim, entry, booking_id="R-1")
    forget(sim)
    with shown("key_other_window", users=True) as raised:
        await issue(hass, sim, entry, booking_id="R-1", ends_at=END + HOUR)
    assert raised.placeholders == {"key_id": key["key_id"]}
    assert asked(sim) == []


async def test_other_doors_for_a_booking(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A booking may have a second key for other doors."""
    one = await issue(hass, sim, entry, booking_id="R-1")
    other = await issue(hass, sim, entry, OTHER_DOOR, booking_id="R-1", ends_at=END + HOUR)
    assert one["key_id"] != other["key_id"]
    listed = await ask(hass, entry, "get_keys", booking_id="R-1")
    assert [key["key_id"] for key in listed["keys"]] == [other["key_id"], one["key_id"]]


async def test_a_booking_whose_key_was_revoked(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """A booking that comes back after its key was revoked gets another key."""
    key = await issue(hass, sim, entry, booking_id="R-1")
    await ask(hass, entry, "revoke_key", key_id=key["key_id"])
    again = await issue(hass, sim, entry, booking_id="R-1")
    assert again["key_id"] != key["key_id"]
    assert edges(sim, again) == INSIDE_ONLY


# What is refused


@pytest.mark.parametrize(
    ("wanted", "key"),
    [
        ({"starts_at": END, "ends_at": START}, "key_ends_before_start"),
        ({"starts_at": START, "ends_at": START}, "key_ends_before_start"),
        (
            {"starts_at": MORNING - 3 * HOUR, "ends_at": MORNING - HOUR},
            "key_window_over",
        ),
        ({"starts_at": MORNING - HOUR, "ends_at": MORNING}, "key_window_over"),
        ({"starts_at": datetime(9999, 1, 1, tzinfo=UTC), "ends_at": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)}, "key_window_too_far"),
        ({"starts_at": datetime(1, 1, 1, tzinfo=UTC)}, "key_window_too_far"),
        ({"ends_at": MORNING + timedelta(days=3661)}, "key_window_too_far"),
    ],
)  # fmt: skip
async def test_windows_that_make_no_sense(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, wanted: dict[str, datetime], key: str
) -> None:
    """A window that is over, runs backwards or is in another age is refused, and nothing is sent."""
    forget(sim)
    with shown(key, users=True):
        await issue(hass, sim, entry, **wanted)
    assert asked(sim) == []
    issued = await issue(hass, sim, entry)
    forget(sim)
    moved = {name: moment.isoformat() for name, moment in wanted.items()}
    with shown(key, users=True):
        await ask(hass, entry, "change_key", key_id=issued["key_id"], **moved)
    assert asked(sim) == []


@pytest.mark.parametrize(
    "moments",
    [
        {"starts_at": "0001-01-01T00:00:00+14:00"},
        {"ends_at": "9999-12-31T23:59:00-12:00"},
        {"starts_at": "0001-01-01 00:00:00"},
        {"ends_at": "9999-12-31 23:59:59"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
async def test_years_that_no_clock_shows(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, zone: str, moments: dict[str, str]
) -> None:
    """The first and last year there are do not fall over the edge of the calendar."""
    await hass.config.async_set_time_zone(zone)
    forget(sim)
    wanted = {"starts_at": START.isoformat(), "ends_at": END.isoformat()} | moments
    with shown("key_window_too_far", users=True):
        await ask(hass, entry, "issue_key", doors=[door(hass, sim)], **wanted)
    assert asked(sim) == []


async def test_years_in_a_question(hass: HomeAssistant, entry: ENTRY) -> None:
    """The audit log can be asked for any time that a clock shows, and for no other."""
    await hass.config.async_set_time_zone("America/New_York")
    for name, text in (("since", "0001-01-01 00:00:00"), ("until", "9999-12-31T23:59:59Z")):
        assert await lines(hass, entry, **{name: text}) == []
    for name, text in (("since", "0001-01-01T00:00:00+14:00"), ("until", "9999-12-31 23:59:59")):
        with shown("key_window_too_far", users=True):
            await ask(hass, entry, "get_audit_log", **{name: text})


@pytest.mark.parametrize(
    ("names", "key", "about"),
    [
        ([], "key_no_doors", {}),
        ([WITHOUT_KEYPAD], "key_door_without_keypad", {"doors": WITHOUT_KEYPAD}),
        (
            [GATE, "Store room", WITHOUT_KEYPAD],
            "key_door_without_keypad",
            {"doors": f"{WITHOUT_KEYPAD}, Store room"},
        ),
    ],
    ids=["none", "one without keypad", "two without keypad"],
)
async def test_doors_that_take_no_pin(
    hass: HomeAssistant,
    sim: Simulator,
    entry: ENTRY,
    *,
    names: list[str],
    key: str,
    about: dict[str, str],
) -> None:
    """A key needs doors, and each a keypad; the doors that have none are named."""
    issued = await issue(hass, sim, entry)
    doors = [door(hass, sim, name) for name in names]
    forget(sim)
    with shown(key, users=True) as raised:
        await ask(
            hass,
            entry,
            "issue_key",
            doors=doors,
            starts_at=START.isoformat(),
            ends_at=END.isoformat(),
        )
    assert raised.placeholders == about
    with shown(key, users=True) as raised:
        await ask(hass, entry, "change_key", key_id=issued["key_id"], doors=doors)
    assert raised.placeholders == about
    assert asked(sim) == []


async def refused_doors(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, entity: str, key: str
) -> Raised:
    """Ask for a key for an entity, in vain; return what is said."""
    forget(sim)
    wanted = {"starts_at": START.isoformat(), "ends_at": END.isoformat()}
    with shown(key, users=True) as raised:
        await ask(hass, entry, "issue_key", doors=[door(hass, sim), entity], **wanted)
    assert asked(sim) == []
    assert guests(sim) == []
    return raised


async def test_doors_that_are_not_ours(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """What is no lock entity of Salto KS is refused by its name."""
    elsewhere = er.async_get(hass).async_get_or_create("lock", "nuki", "x-lock")
    switch = entity_id(hass, "switch", lock_named(sim, GATE).id, "office_mode")
    for entity in ("lock.kitchen", "light.kitchen", switch, elsewhere.entity_id):
        raised = await refused_doors(hass, sim, entry, entity, "door_not_ours")
        assert raised.placeholders == {"door": entity}


async def test_door_of_another_site(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, set_up: SetUp
) -> None:
    """A key is for doors of one site; that other site can have its own."""
    other = await set_up(iqs=[], account=account_input(sim, site_uid="NL0000000002"))
    jetty = door(hass, sim, "Jetty gate")
    raised = await refused_doors(hass, sim, entry, jetty, "door_of_another_site")
    assert raised.placeholders == {"door": jetty, "site": entry.title}
    key = await issue(hass, sim, other, "Jetty gate")
    assert edges(sim, key, "Jetty gate") == INSIDE_ONLY
    assert (await ask(hass, entry, "get_keys"))["keys"] == []


async def test_door_that_is_gone(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """A door that its entity still stands for and that Salto has no more takes no key."""
    gate = lock_named(sim, GATE).id
    elsewhere = er.async_get(hass).async_get_or_create(
        "lock", "salto_ks", "00000000-0000-4000-8000-000000000000-lock", config_entry=entry
    )
    await refused_doors(hass, sim, entry, elsewhere.entity_id, "key_door_unknown")
    assert gate in entry.runtime_data.doors.data.locks


@pytest.mark.parametrize("action", ON_A_KEY)
async def test_keys_that_there_are_not(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, action: str
) -> None:
    """A key that never was, of another Home Assistant, or of no form at all, is not known."""
    forget(sim)
    for key_id in ("p0t8-1", "zzzz-99", "", "key", "a-b-c", "-", "ab12-٣", "ab12-" + "9" * 95):
        with shown("key_unknown", users=True) as raised:
            await ask(hass, entry, action, key_id=key_id, **CHANGES[action])
        assert raised.placeholders == {"key_id": key_id}
    for key_id in ("ab12-" + "9" * 5000, "ab12-1\nab12-2", "half \ud83d"):
        with shown("key_id_unusable", users=True):
            await ask(hass, entry, action, key_id=key_id, **CHANGES[action])
    assert asked(sim) == []


async def test_key_with_blanks_around_it(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A key's id that was copied with blanks around it is the same key."""
    key = await issue(hass, sim, entry)
    shown_again = await ask(hass, entry, "get_pin", key_id=f" {key['key_id']} ")
    assert shown_again == {"key_id": key["key_id"], "pin": key["pin"]}
    log = (await ask(hass, entry, "get_audit_log", key_id=f"{key['key_id']} "))["lines"]
    assert len(log) == 2


@pytest.mark.parametrize("action", ON_A_KEY)
async def test_keys_that_are_over(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, action: str
) -> None:
    """Nothing more can be done to a key that was revoked."""
    key = await issue(hass, sim, entry)
    await ask(hass, entry, "revoke_key", key_id=key["key_id"])
    forget(sim)
    with shown("key_ended", users=True) as raised:
        await ask(hass, entry, action, key_id=key["key_id"], **CHANGES[action])
    assert raised.placeholders == {"key_id": key["key_id"]}
    assert asked(sim) == []


async def test_change_without_a_difference(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """A change has to say what is to be different."""
    key = await issue(hass, sim, entry)
    with shown("key_nothing_to_change", users=True):
        await ask(hass, entry, "change_key", key_id=key["key_id"], reason="just so")


async def test_rotating_a_suspended_key(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A suspended key gets no new PIN; its own can still be seen."""
    key = await issue(hass, sim, entry)
    await ask(hass, entry, "suspend_key", key_id=key["key_id"])
    forget(sim)
    with shown("key_suspended", users=True):
        await ask(hass, entry, "rotate_pin", key_id=key["key_id"])
    assert asked(sim) == []
    assert (await ask(hass, entry, "get_pin", key_id=key["key_id"]))["pin"] == key["pin"]


async def test_pins_switched_off_at_the_site(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """Where the site has PINs switched off, that is said before anything is written."""
    sim.set("site", sim.site_id, pin_enabled=False)
    forget(sim)
    with shown("key_pins_disabled", users=True):
        await issue(hass, sim, entry)
    assert writes(sim) == []
    assert (await ask(hass, entry, "get_keys"))["keys"] == []


class TestFullSite:
    """A site without a free seat."""

    @pytest.fixture
    def seed(self) -> SeedName:
        """Start with guests on all seats."""
        return "full"

    async def test_no_free_seat(self, hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
        """Without a free seat no key is issued, and nothing is written."""
        forget(sim)
        with shown("key_seat_unavailable", users=True):
            await issue(hass, sim, entry)
        assert writes(sim) == []
        assert (guests(sim), groups(sim)) == ([], [])

    async def test_seat_that_somebody_takes(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        entry: ENTRY,
    ) -> None:
        """A suspended key whose seat was given away is not resumed, and says why."""
        seats = sim.world.seats_used(sim.site_id)
        sim.set("site", sim.site_id, subscribed_user_amount=seats + 1)
        key = await issue(hass, sim, entry)
        await ask(hass, entry, "suspend_key", key_id=key["key_id"])
        sim.set("site", sim.site_id, subscribed_user_amount=seats)
        async with passing(freezer):
            with shown("key_failed_seat_unavailable"):
                await ask(hass, entry, "resume_key", key_id=key["key_id"])
        (listed,) = (await ask(hass, entry, "get_keys"))["keys"]
        assert (listed["status"], listed["errors"]) == ("suspended", ["seat_unavailable"])
        assert not opens(sim, key["pin"], at=START)


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("resume_key", {}),
        ("rotate_pin", {}),
        ("change_key", {"ends_at": (END + HOUR).isoformat()}),
        ("change_key", {"starts_at": (START - HOUR).isoformat()}),
        ("change_key", {"doors": [GATE, OTHER_DOOR]}),
    ],
)
async def test_inactive_site_gives_no_access(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, action: str, more: dict[str, Any]
) -> None:
    """With the site switched off nothing that lets somebody in is done."""
    key = await issue(hass, sim, entry, booking_id="R-1")
    if action == "resume_key":
        await ask(hass, entry, "suspend_key", key_id=key["key_id"])
    if "doors" in more:
        more = {"doors": [door(hass, sim, name) for name in more["doors"]]}
    await switch_off(hass, sim)
    forget(sim)
    with shown("key_site_inactive", users=True):
        await ask(hass, entry, action, key_id=key["key_id"], **more)
    with shown("key_site_inactive", users=True):
        await issue(hass, sim, entry)
    assert asked(sim) == []


async def test_inactive_site_takes_access_away(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """With the site switched off keys are shortened, shown, suspended and revoked as ever."""
    key = await issue(hass, sim, entry, GATE, OTHER_DOOR, booking_id="R-1")
    await switch_off(hass, sim)
    key_id = key["key_id"]
    again = await issue(hass, sim, entry, GATE, OTHER_DOOR, booking_id="R-1")
    assert again["pin"] == key["pin"]
    assert (await ask(hass, entry, "get_pin", key_id=key_id))["pin"] == key["pin"]
    shorter = await ask(
        hass,
        entry,
        "change_key",
        key_id=key_id,
        starts_at=(START + HOUR).isoformat(),
        ends_at=(END - HOUR).isoformat(),
        doors=[door(hass, sim)],
    )
    assert edges(sim, shorter, keypad_pin=key["pin"]) == INSIDE_ONLY
    assert not opens(sim, key["pin"], OTHER_DOOR, START + HOUR)
    await ask(hass, entry, "suspend_key", key_id=key_id)
    assert not opens(sim, key["pin"], at=START + HOUR)
    await ask(hass, entry, "revoke_key", key_id=key_id)
    assert guests(sim) == []


# A PIN of our own length


async def test_pin_length_without_the_feature(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """A length cannot be chosen where the subscription has no custom PINs."""
    forget(sim)
    with shown("key_pin_length_unavailable", users=True):
        await issue(hass, sim, entry, pin_length=5)
    assert writes(sim) == []


@pytest.mark.parametrize("length", [4, 5, 6])
async def test_pin_length_with_the_feature(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, length: int
) -> None:
    """With custom PINs a PIN has the length that is asked for, after a rotation too."""
    sim.set("site", sim.site_id, features=["custom_pin"])
    key = await issue(hass, sim, entry, pin_length=length)
    rotated = await ask(hass, entry, "rotate_pin", key_id=key["key_id"])
    assert (len(key["pin"]), len(rotated["pin"])) == (length, length)
    assert key["pin"] != rotated["pin"]
    assert edges(sim, key, keypad_pin=rotated["pin"]) == INSIDE_ONLY


@pytest.mark.parametrize("length", [-1, 0, 3, 7, 10**12])
async def test_pin_length_out_of_bounds(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, length: int
) -> None:
    """A length that no PIN has is refused, and says which ones there are."""
    forget(sim)
    with shown("key_pin_length_invalid", users=True) as raised:
        await issue(hass, sim, entry, pin_length=length)
    assert raised.placeholders == {"shortest": "4", "longest": "6"}
    assert asked(sim) == []


# Texts


@pytest.mark.parametrize(
    "text",
    ["x" * 101, "two\nlines", "tab\tbed", "bell\a", "half \ud83d", "\udc00", "\u200bwide"],
    ids=["long", "newline", "tab", "bell", "high surrogate", "low surrogate", "zero width"],
)
async def test_texts_that_are_none(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, text: str
) -> None:
    """A booking that cannot be shown or kept is refused, and nothing is sent; a label is mended."""
    forget(sim)
    with shown("booking_id_unusable", users=True) as raised:
        await issue(hass, sim, entry, booking_id=text)
    assert raised.placeholders == {"longest": "100"}
    assert asked(sim) == []
    label = (await issue(hass, sim, entry, label=text))["label"]
    assert label.isprintable()
    assert len(label) <= 100


@pytest.mark.parametrize("text", ["x" * 100, "Плац 12", "🏕 Pitch", 'quo"te', "<b>&amp;</b>"])
async def test_texts_of_any_language(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, text: str
) -> None:
    """A label and a booking in any writing come back as they were given."""
    key = await issue(hass, sim, entry, label=f" {text} ", booking_id=text)
    assert (key["label"], key["booking_id"]) == (text, text)
    (listed,) = (await ask(hass, entry, "get_keys", booking_id=text))["keys"]
    assert listed["label"] == text


async def test_reason_in_any_form(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A reason never stands in the way: it is kept on one line, as far as it can be."""
    key = await issue(hass, sim, entry, reason="two\nlines \ud83d" + "x" * 300)
    await ask(hass, entry, "suspend_key", key_id=key["key_id"], reason="\ud83d")
    kept = [line["reason"] for line in (await ask(hass, entry, "get_audit_log"))["lines"]]
    assert kept == ["", ("two lines " + "x" * 300)[:199]]


async def test_odd_texts_when_asking(hass: HomeAssistant, entry: ENTRY) -> None:
    """What cannot be the id of a key or booking is refused where it is looked for."""
    for action, field in (
        ("get_keys", "booking_id"),
        ("get_audit_log", "booking_id"),
        ("get_audit_log", "key_id"),
    ):
        with shown(f"{field}_unusable", users=True):
            await ask(hass, entry, action, **{field: "half \ud83d"})


# Times


@pytest.mark.parametrize(
    ("zone", "local", "instant"),
    [
        ("Europe/Amsterdam", "2026-12-07 11:00:00", "2026-12-07T10:00:00+00:00"),
        ("Europe/Amsterdam", "2026-12-07T11:00:59.9", "2026-12-07T10:00:00+00:00"),
        ("Europe/Amsterdam", "2026-12-07T11:00:00+03:00", "2026-12-07T08:00:00+00:00"),
        ("Europe/Amsterdam", "2026-12-07T10:00:00Z", "2026-12-07T10:00:00+00:00"),
        ("America/New_York", "2026-12-07 11:00:00", "2026-12-07T16:00:00+00:00"),
        ("Europe/Amsterdam", "2027-10-31 02:30:00", "2027-10-31T00:30:00+00:00"),
        ("Europe/Amsterdam", "2027-10-31 03:00:00", "2027-10-31T02:00:00+00:00"),
        ("Europe/Amsterdam", "2027-10-31T02:30:00+01:00", "2027-10-31T01:30:00+00:00"),
        ("Europe/Amsterdam", "2027-03-28 02:30:00", "2027-03-28T01:30:00+00:00"),
        ("Asia/Kathmandu", "2027-03-28 02:30:00", "2027-03-27T20:45:00+00:00"),
    ],
)
async def test_naive_times_are_in_home_assistants_zone(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, *, zone: str, local: str, instant: str
) -> None:
    """A time without a zone is read by Home Assistant's clock, the first of two that come twice.

    One that the clock jumps over is as long after midnight as it says.
    """
    await hass.config.async_set_time_zone(zone)
    wanted = {"starts_at": local, "ends_at": "2028-01-01 00:00:00"}
    key = await ask(hass, entry, "issue_key", doors=[door(hass, sim)], **wanted)
    assert key["starts_at"] == instant
    start = datetime.fromisoformat(instant)
    assert opens(sim, key["pin"], at=start)
    if start > MORNING:
        assert not opens(sim, key["pin"], at=start - HOUR - MINUTE)


async def test_iq_without_a_time_zone(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """At an IQ of which Salto tells no time zone the site's counts, and one that is none is told."""
    sim.set("iq", iq_named(sim, RECEPTION).id, time_zone="")
    sim.set("iq", iq_named(sim, FIELD).id, time_zone="No/Where")
    entry = await set_up(iqs=[])
    key = await issue(hass, sim, entry)
    (schedule,) = (
        item for item in sim.world.schedules.values() if item.group_id == groups(sim)[0].id
    )
    assert schedule.start_date == datetime(2026, 12, 7, 11, 0)  # noqa: DTZ001 - local time
    await ask(hass, entry, "revoke_key", key_id=key["key_id"])
    with shown("key_failed_zone_unknown"):
        await issue(hass, sim, entry, OTHER_DOOR)
    assert (guests(sim), groups(sim)) == ([], [])


async def test_seconds_make_a_window_no_shorter(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """Salto knows minutes only: a window with seconds covers all of them."""
    seconds = timedelta(seconds=30)
    key = await issue(hass, sim, entry, starts_at=START + seconds, ends_at=END + seconds)
    assert key["starts_at"] == START.isoformat()
    assert key["ends_at"] == (END + MINUTE).isoformat()


@pytest.mark.parametrize("text", ["tomorrow", "25:00", "2026-13-01 00:00:00", ""])
async def test_times_that_are_none(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, text: str
) -> None:
    """What is no time at all is turned away by the form."""
    wanted = {"starts_at": text, "ends_at": END.isoformat()}
    with pytest.raises(vol.Invalid):
        await ask(hass, entry, "issue_key", doors=[door(hass, sim)], **wanted)


# The site


def everything(hass: HomeAssistant, sim: Simulator) -> dict[str, dict[str, Any]]:
    """Return every action with what it needs, about a key that there is not."""
    times = {"starts_at": START.isoformat(), "ends_at": END.isoformat()}
    found = {action: {"key_id": "p0t8-1", **more} for action, more in CHANGES.items()}
    found["issue_key"] = {"doors": [door(hass, sim)], **times}
    found |= {"get_keys": {}, "get_audit_log": {}, "reconcile": {}, "explain_access": {}}
    about_bookings = {"set_booking", "get_bookings", "open_door"}
    assert set(found) == set(hass.services.async_services_for_domain("salto_ks")) - about_bookings
    return found


async def test_entry_that_is_not_loaded(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """The actions stay when the site is unloaded, and say what is the matter."""
    actions = everything(hass, sim)
    await hass.config_entries.async_unload(entry.entry_id)
    forget(sim)
    for action, data in actions.items():
        with pytest.raises(ServiceValidationError) as caught:
            await ask(hass, entry, action, **data)
        assert caught.value.translation_key == "service_config_entry_not_loaded", action
    assert asked(sim) == []


async def test_entry_that_there_is_not(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A site that does not exist is not found."""
    for action, data in everything(hass, sim).items():
        with pytest.raises(ServiceValidationError) as caught:
            await hass.services.async_call(
                "salto_ks",
                action,
                {"config_entry_id": "no such entry", **data},
                blocking=True,
                return_response=True,
            )
        assert caught.value.translation_key == "service_config_entry_not_found", action


# Who asks


async def test_only_administrators(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, hass_read_only_user: MockUser
) -> None:
    """A user who is no administrator may do none of it, and nothing happens."""
    actions = everything(hass, sim)
    forget(sim)
    for action, data in actions.items():
        with pytest.raises(Unauthorized):
            await ask(hass, entry, action, context=Context(user_id=hass_read_only_user.id), **data)
    assert asked(sim) == []
    assert await lines(hass, entry) == []


async def whos(hass: HomeAssistant, entry: ENTRY) -> list[str]:
    """Return who did what is in the audit log, oldest first."""
    return [line["who"] for line in (await ask(hass, entry, "get_audit_log"))["lines"]][::-1]


async def test_administrators_are_named(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, hass_admin_user: MockUser
) -> None:
    """Whatever an administrator does is in the audit log with the name."""
    context = Context(user_id=hass_admin_user.id)
    key = await issue(hass, sim, entry, context=context)
    for action in (
        "get_pin",
        "suspend_key",
        "resume_key",
        "rotate_pin",
        "change_key",
        "revoke_key",
    ):
        await ask(hass, entry, action, context=context, key_id=key["key_id"], **CHANGES[action])
    assert hass_admin_user.name
    assert await whos(hass, entry) == [hass_admin_user.name] * 7


async def test_nameless_administrator(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY, hass_admin_user: MockUser
) -> None:
    """A user without a name is told by the id."""
    hass_admin_user.name = None
    await issue(hass, sim, entry, context=Context(user_id=hass_admin_user.id))
    assert await whos(hass, entry) == [hass_admin_user.id]


@pytest.mark.parametrize("started_by", ["trigger", "person"])
async def test_automations_are_named(
    hass: HomeAssistant,
    sim: Simulator,
    entry: ENTRY,
    hass_admin_user: MockUser,
    started_by: str,
) -> None:
    """What an automation or its script does is in the audit log with the entity's id."""
    call = {
        "action": "salto_ks.issue_key",
        "data": {
            "config_entry_id": entry.entry_id,
            "doors": [door(hass, sim)],
            "starts_at": START.isoformat(),
            "ends_at": END.isoformat(),
        },
        "response_variable": "key",
    }
    automation = {
        "alias": "Arrivals",
        "triggers": [{"trigger": "event", "event_type": "arrival"}],
        "actions": [call],
    }
    idle = {"alias": "A lull", "triggers": [], "actions": []}
    assert await async_setup_component(hass, "automation", {"automation": [idle, automation]})
    if started_by == "trigger":
        hass.bus.async_fire("arrival")
    else:
        await hass.services.async_call(
            "automation",
            "trigger",
            {"entity_id": "automation.arrivals"},
            context=Context(user_id=hass_admin_user.id),
        )
    await hass.async_block_till_done()
    assert await whos(hass, entry) == ["automation.arrivals"]


async def test_scripts_are_named(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """What a script does that nobody started by hand is in the audit log with its entity's id."""
    key = await issue(hass, sim, entry)
    call = {
        "action": "salto_ks.revoke_key",
        "data": {"config_entry_id": entry.entry_id, "key_id": key["key_id"]},
    }
    assert await async_setup_component(hass, "script", {"script": {"leave": {"sequence": [call]}}})
    await hass.services.async_call("script", "leave", blocking=True)
    assert await whos(hass, entry) == ["Home Assistant", "script.leave"]


# Listing


async def test_get_keys(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """Keys are listed newest first, without PINs, all of them or those that are asked for."""
    first = await issue(hass, sim, entry, booking_id="R-1", label="Pitch 12")
    second = await issue(hass, sim, entry, OTHER_DOOR, booking_id="R-1")
    third = await issue(hass, sim, entry, booking_id="R-2")
    await ask(hass, entry, "suspend_key", key_id=second["key_id"])
    await ask(hass, entry, "revoke_key", key_id=third["key_id"])
    forget(sim)

    async def listed(**query: Any) -> list[str]:
        return [key["key_id"] for key in (await ask(hass, entry, "get_keys", **query))["keys"]]

    one, two, three = (key["key_id"] for key in (first, second, third))
    assert await listed() == [three, two, one]
    assert await listed(status=[]) == [three, two, one]
    assert await listed(status="set") == [one]
    assert await listed(status=["suspended", "set"]) == [two, one]
    assert await listed(status=["removing"]) == [three]
    assert await listed(status=["revoked"]) == []
    assert await listed(booking_id="R-1") == [two, one]
    assert await listed(booking_id="R-1", status=["set"]) == [one]
    assert await listed(booking_id="r-1") == []
    assert await listed(booking_id="") == [three, two, one]
    all_of_them = (await ask(hass, entry, "get_keys"))["keys"]
    del first["pin"]
    assert all_of_them[-1] == first
    assert asked(sim) == []
    with pytest.raises(vol.Invalid):
        await listed(status=["open"])


async def test_get_keys_names_what_is_wrong_at_doors(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """A key tells what may keep its PIN from working at its doors as they are now."""
    key = await issue(hass, sim, entry, "Pitch 13 cabin", "Pitch 21 cabin")
    assert key["warnings"] == ["lock_offline", "privacy_mode"]
    sim.set("lock", lock_named(sim, "Pitch 13 cabin").id, privacy_mode=False)
    sim.set("lock", lock_named(sim, "Pitch 21 cabin").id, online=True)
    sim.set("lock", lock_named(sim, "Pitch 21 cabin").id, locked_state="office_mode")
    await entry.runtime_data.doors.async_refresh()
    (listed,) = (await ask(hass, entry, "get_keys"))["keys"]
    assert listed["warnings"] == ["office_mode"]


async def test_get_audit_log(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """The log tells what was done, newest first, all of it or what is asked for."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    first = await issue(hass, sim, entry, booking_id="R-1", reason="arrived")
    freezer.tick(3600)
    second = await issue(hass, sim, entry, GATE, OTHER_DOOR)
    freezer.tick(1800)
    await ask(hass, entry, "revoke_key", key_id=first["key_id"], reason="left")
    forget(sim)
    log = (await ask(hass, entry, "get_audit_log"))["lines"]
    assert [(line["action"], line["key_id"]) for line in log] == [
        ("revoke", first["key_id"]),
        ("issue", second["key_id"]),
        ("issue", first["key_id"]),
    ]
    assert log[2] == {
        "at": MORNING.isoformat(),
        "action": "issue",
        "outcome": "done",
        "key_id": first["key_id"],
        "salto_key_id": first["salto_key_id"],
        "booking_id": "R-1",
        "doors": [door(hass, sim)],
        "starts_at": START.isoformat(),
        "ends_at": END.isoformat(),
        "who": "Home Assistant",
        "reason": "arrived",
    }
    assert log[1]["doors"] == second["doors"]
    for query, expected in (
        ({"key_id": first["key_id"]}, [log[0], log[2]]),
        ({"key_id": "zzzz-1"}, []),
        ({"key_id": ""}, log),
        ({"booking_id": "R-1"}, [log[0], log[2]]),
        ({"booking_id": ""}, log),
        ({"since": (MORNING + HOUR).isoformat()}, log[:2]),
        ({"since": "2026-12-07 10:00:00"}, log[:2]),
        ({"until": "2026-12-07 10:00:00"}, log[2:]),
        ({"since": "2026-12-07 10:00:00", "until": "2026-12-07 10:00:01"}, log[1:2]),
        ({"limit": 1}, log[:1]),
        ({"limit": 1000, "key_id": second["key_id"]}, [log[1]]),
    ):
        assert (await ask(hass, entry, "get_audit_log", **query))["lines"] == expected, query
    assert asked(sim) == []
    for limit in (0, 1001, "many"):
        with pytest.raises(vol.Invalid):
            await ask(hass, entry, "get_audit_log", limit=limit)


async def test_doors_without_an_entity(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """A key whose door has lost its lock entity is still listed, with the doors that have one."""
    key = await issue(hass, sim, entry, GATE, OTHER_DOOR)
    er.async_get(hass).async_remove(door(hass, sim, OTHER_DOOR))
    (listed,) = (await ask(hass, entry, "get_keys"))["keys"]
    assert listed["doors"] == [door(hass, sim)]
    log = (await ask(hass, entry, "get_audit_log"))["lines"]
    assert [line["doors"] for line in log] == [[door(hass, sim)]]
    assert edges(sim, key, OTHER_DOOR) == INSIDE_ONLY


# PINs that are forgotten


async def test_pins_can_be_forgotten(hass: HomeAssistant, sim: Simulator, entry: ENTRY) -> None:
    """With that option a PIN is given out once; asked for again, there is only a new one."""
    await set_options(hass, entry, forget_pins=True)
    key = await issue(hass, sim, entry, booking_id="R-1")
    assert opens(sim, key["pin"], at=START)
    forget(sim)
    with shown("key_pin_not_there", users=True):
        await ask(hass, entry, "get_pin", key_id=key["key_id"])
    again = await issue(hass, sim, entry, booking_id="R-1")
    assert again == key | {"pin": None}
    assert asked(sim) == []
    rotated = await ask(hass, entry, "rotate_pin", key_id=key["key_id"])
    assert rotated["pin"] not in (None, key["pin"])
    assert opens(sim, rotated["pin"], at=START)
    with shown("key_pin_not_there", users=True):
        await ask(hass, entry, "get_pin", key_id=key["key_id"])


async def test_pins_kept_until_they_are_seen(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """A PIN that was kept before the option was chosen is shown once more, and then forgotten."""
    key = await issue(hass, sim, entry)
    await set_options(hass, entry, forget_pins=True)
    assert (await ask(hass, entry, "get_pin", key_id=key["key_id"]))["pin"] == key["pin"]
    with shown("key_pin_not_there", users=True):
        await ask(hass, entry, "get_pin", key_id=key["key_id"])


# What Salto says


@pytest.mark.parametrize(
    ("fault", "key", "about"),
    [
        (Fault(method="POST", route="/guests", status=400, body=REFUSED), "refused", {"detail"}),
        (
            Fault(method="POST", route="/access_groups", status=403, body=FORBIDDEN),
            "forbidden",
            {"detail"},
        ),
        (
            Fault(method="GET", route="/keys", status=200, body=[], count=None),
            "not_read_back",
            set(),
        ),
    ],
    ids=["refused", "forbidden", "not read back"],
)
async def test_salto_refuses_a_key(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    *,
    fault: Fault,
    key: str,
    about: set[str],
) -> None:
    """What Salto refuses is said in its words, nothing is left there, and the log has it."""
    sim.faults.add(fault)
    text = "pin_differs" if key == "not_read_back" else key
    async with passing(freezer):
        with shown(f"key_failed_{text}") as raised:
            await issue(hass, sim, entry)
    assert set(raised.placeholders) == about
    assert (guests(sim), groups(sim)) == ([], [])
    (listed,) = (await ask(hass, entry, "get_keys"))["keys"]
    assert (listed["status"], listed["errors"]) == ("failed", [key])
    assert await lines(hass, entry) == [("issue", f"failed: {key}")]
    sim.faults.clear()
    assert edges(sim, await issue(hass, sim, entry)) == INSIDE_ONLY


async def test_credentials_that_are_refused(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """Refused credentials are told as such, and open the form to log in again."""
    sim.account.password = "another"
    sim.revoke_tokens()
    with shown("auth_failed"):
        await issue(hass, sim, entry)
    await hass.async_block_till_done()
    (flow,) = hass.config_entries.flow.async_progress_by_handler("salto_ks")
    assert flow["context"]["source"] == "reauth"
    assert guests(sim) == []


async def test_credentials_that_are_refused_in_the_middle(
    hass: HomeAssistant, sim: Simulator, entry: ENTRY
) -> None:
    """A key that is under way when the login ends waits, and the form to log in again opens."""
    key = await issue(hass, sim, entry)
    sim.account.password = "another"
    sim.revoke_tokens()
    with shown("key_pending") as raised:
        await ask(hass, entry, "rotate_pin", key_id=key["key_id"])
    assert raised.placeholders["key_id"] == key["key_id"]
    await hass.async_block_till_done()
    assert hass.config_entries.flow.async_progress_by_handler("salto_ks")
    assert (await ask(hass, entry, "get_keys"))["keys"][0]["status"] == "changing"
