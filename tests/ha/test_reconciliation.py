"""Comparing the keys with Salto: what is found, told, and mended, from the meddling to the door."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
import logging
import time
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest

from custom_components.salto_ks.domain.fixes import BY_DEFAULT, Fix, fixes_of
from custom_components.salto_ks.domain.outcomes import Outcome
from simulator import Fault, Simulator

from .conftest import SetUp
from .files import hass_config_dir, hass_storage
from .fixing import Browser, browser, let_be_seen
from .keys import (
    GROUP_LOCKS,
    GROUPS,
    HOUR,
    INSIDE_ONLY,
    MINUTE,
    MORNING,
    USER,
    USERS,
    ask,
    edges,
    groups,
    guests,
    issue,
    opens,
    passing,
    writes,
)
from .meddling import (
    MEDDLING,
    STRANGE_PIN,
    add_key,
    block_guest,
    copy_guest,
    delete_guest,
    move_schedule,
    suspend_guest,
    unknown_key,
)
from .support import LAUNDRY, RECEPTION, entity_id, go_on, iq_named
from .texts import english
from .unit_steps import book, make_unit
from .watching import act, asked, shown, state_of

__all__ = ["browser", "hass_config_dir", "hass_storage"]

ENTRY = ConfigEntry[Any]
KEY = Mapping[str, Any]

LATER = 360.0
"""Seconds after which nothing is concluded to be only late any more."""

REFUSED = {"ErrorCode": "1101", "Message": "No."}
FORBIDDEN = {"ErrorCode": "2203", "Message": "User does not have permission for this operation"}

LOUD = frozenset(
    {
        Outcome.UNKNOWN_AT_SALTO,
        Outcome.DUPLICATE_AT_SALTO,
        Outcome.EXPIRY_DIFFERS,
        Outcome.ORPHAN_GROUP,
    }
)
"""What is told as a warning: nobody stands before a closed door for it."""


@pytest.fixture(autouse=True)
def _morning(freezer: FrozenDateTimeFactory) -> None:
    """Begin on a morning, and let time pass only when a test says so."""
    freezer.move_to(MORNING)


@pytest.fixture
async def entry(set_up: SetUp) -> ENTRY:
    """Return a site whose IQs are not activated: keys do not need that."""
    loaded: ENTRY = await set_up(iqs=[])
    return loaded


@pytest.fixture
async def quiet(hass: HomeAssistant, freezer: FrozenDateTimeFactory, entry: ENTRY) -> ENTRY:
    """Return a site whose first comparison, which comes by itself after a start, is over."""
    await go_on(hass, freezer, LATER)
    return entry


async def set_options(hass: HomeAssistant, entry: ENTRY, **options: Any) -> None:
    """Choose options, and wait for the reload."""
    hass.config_entries.async_update_entry(entry, options=options)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert entry.state is ConfigEntryState.LOADED


def finding(outcome: Outcome, key_id: str | None, action: str, *, done: bool) -> dict[str, Any]:
    """Return a finding about a key as it is answered, all but its reason."""
    return {"outcome": outcome.value, "key_id": key_id, "action": action, "done": done}


async def found(hass: HomeAssistant, entry: ENTRY, **more: Any) -> list[dict[str, Any]]:
    """Compare with Salto and return the findings, each of which says why."""
    answer = await ask(hass, entry, "reconcile", **more)
    for item in answer["findings"]:
        assert item.pop("reason") == english()["common"][f"finding_{item['outcome']}"]
    findings: list[dict[str, Any]] = answer["findings"]
    return findings


async def outcomes(hass: HomeAssistant, entry: ENTRY, **more: Any) -> list[str]:
    """Compare without touching anything, and return what kinds were found."""
    findings = await found(hass, entry, dry_run=True, **more)
    return [one["outcome"] for one in findings]


def sensor(hass: HomeAssistant, sim: Simulator, key: str = "discrepancies") -> str:
    """Return the state of a sensor of the site."""
    return state_of(hass, entity_id(hass, "sensor", sim.site_id, key))


def comparisons(sim: Simulator) -> int:
    """Count the comparisons since the journal was cleared."""
    return sim.journal.count("GET", GROUPS)


async def pin_of(hass: HomeAssistant, entry: ENTRY, key: KEY) -> str:
    """Return the PIN of a key as it is by now."""
    pin: str = (await ask(hass, entry, "get_pin", key_id=key["key_id"]))["pin"]
    return pin


# The action


async def test_in_peace(hass: HomeAssistant, sim: Simulator, quiet: ENTRY) -> None:
    """Where all is as it should be that is said, with what was counted and what it cost."""
    await issue(hass, sim, quiet)
    unmanaged = len(sim.world.users_of(sim.site_id)) - 1
    sim.journal.clear()
    answer = await ask(hass, quiet, "reconcile")
    assert answer == {
        "findings": [],
        "unmanaged": unmanaged,
        "foreign": 0,
        "requests": 2,
        "duration": 0.0,
        "deep": False,
        "looked_deep": 0,
    }
    assert asked(sim) == [("GET", USERS), ("GET", GROUPS)]
    assert sensor(hass, sim) == "0"
    assert sensor(hass, sim, "last_reconciliation") == (MORNING + 6 * MINUTE).isoformat()


@pytest.mark.parametrize("outcome", [one for one in MEDDLING if one not in BY_DEFAULT])
async def test_what_a_person_has_to_decide_is_told(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    outcome: Outcome,
) -> None:
    """What somebody has done to a key at Salto is told once it is no mere delay; nothing is undone."""
    key, other = await issue(hass, sim, quiet), await issue(hass, sim, quiet)
    freezer.tick(LATER)
    MEDDLING[outcome](sim, key)
    key_id = unknown_key(key) if outcome is Outcome.UNKNOWN_AT_SALTO else key["key_id"]
    for dry_run in (True, False):
        sim.journal.clear()
        expected = finding(outcome, key_id, "report", done=False)
        assert await found(hass, quiet, dry_run=dry_run) == [expected]
        assert writes(sim) == []
        state = hass.states.get(entity_id(hass, "sensor", sim.site_id, "discrepancies"))
        assert state is not None
        assert state.state == "1"
        assert state.attributes["outcomes"] == {outcome.value: 1}
        assert state.attributes["key_ids"] == {outcome.value: [key_id]}
    assert edges(sim, other) == INSIDE_ONLY


async def test_what_is_only_late_is_not_told(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """A key of which Salto may not show everything yet gives no finding."""
    key = await issue(hass, sim, quiet)
    delete_guest(sim, key)
    assert await found(hass, quiet) == []
    freezer.tick(LATER)
    assert await outcomes(hass, quiet) == ["missing_at_salto"]


async def test_requests_are_counted(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """The answer says what a comparison has cost."""
    key = await issue(hass, sim, quiet)
    delete_guest(sim, key)
    freezer.tick(LATER)
    sim.journal.clear()
    answer = await ask(hass, quiet, "reconcile")
    assert answer["requests"] == 3
    assert {("GET", USERS), ("GET", GROUPS), ("GET", USER)} <= set(asked(sim))


async def test_spares_are_removed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """A second guest with a key's marker goes, unless it is a dry run; nobody else is touched."""
    key = await issue(hass, sim, quiet)
    spare: Any = sim.add("user", {"alias": f"Home Assistant ha-{key['key_id']}"})
    foreign = sim.add("user", {"alias": "Home Assistant ha-zzzz-7"})
    freezer.tick(LATER)
    others = {user.id for user in sim.world.users.values()} - {spare.id}
    duplicate = (Outcome.DUPLICATE_AT_SALTO, key["key_id"], "remove_at_salto")
    sim.journal.clear()
    assert finding(*duplicate, done=False) in await found(hass, quiet, dry_run=True)
    assert writes(sim) == []
    assert spare.deleted_at is None
    assert finding(*duplicate, done=True) in await found(hass, quiet)
    assert writes(sim) == [("DELETE", USER)]
    assert {user.id for user in sim.world.users.values()} == others
    assert foreign.key in others
    assert (await ask(hass, quiet, "reconcile"))["foreign"] == 1
    assert edges(sim, key) == INSIDE_ONLY


async def test_deep_looks_at_every_key(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """What a listing does not show of a key that is not due yet is found when it is asked for."""
    week = timedelta(days=7)
    start = MORNING + week
    key = await issue(hass, sim, quiet, starts_at=start, ends_at=start + HOUR)
    await go_on(hass, freezer, LATER)
    assert await found(hass, quiet) == []
    move_schedule(sim, key)
    await go_on(hass, freezer, LATER)
    sim.journal.clear()
    assert await found(hass, quiet) == []
    assert sim.journal.count("GET", GROUP_LOCKS) == 0
    answer = await ask(hass, quiet, "reconcile", deep=True)
    assert (answer["deep"], answer["looked_deep"]) == (True, 1)
    assert [one["outcome"] for one in answer["findings"]] == ["window_differs"]
    again = await found(hass, quiet)
    assert [one["outcome"] for one in again] == ["window_differs"]


async def test_by_button(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """The button does what the action does, and says what went wrong."""
    key = await issue(hass, sim, quiet)
    copy_guest(sim, key)
    freezer.tick(LATER)
    button = entity_id(hass, "button", sim.site_id, "reconcile")
    await act(hass, "button", "press", button)
    assert len(guests(sim)) == 1
    sim.faults.add(Fault(route=USERS, status=403, body=FORBIDDEN))
    with shown("key_failed_forbidden"):
        await act(hass, "button", "press", button)


async def test_without_groups(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """Where Salto lists no groups that is said once, and is neither discrepancy nor issue."""
    await issue(hass, sim, quiet)
    freezer.tick(LATER)
    sim.faults.add(Fault(route=GROUPS, method="GET", status=404, body=REFUSED, count=None))
    expected = finding(Outcome.NOT_OBSERVABLE, None, "report", done=False)
    assert await found(hass, quiet) == [expected]
    assert sensor(hass, sim) == "0"
    assert await browser.issues() == []


async def test_without_salto(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """A comparison that Salto does not answer tells so, and the one before stays shown."""
    await ask(hass, quiet, "reconcile")
    freezer.tick(60)
    sim.faults.add(Fault(route=USERS, status=503, count=None))
    async with passing(freezer):
        with shown("server_error"):
            await ask(hass, quiet, "reconcile")
    assert sensor(hass, sim, "last_reconciliation") == (MORNING + 6 * MINUTE).isoformat()


async def test_in_the_language_of_home_assistant(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """Why is said in words, in English where there are none in the language."""
    hass.config.language = "xx"
    key = await issue(hass, sim, quiet)
    delete_guest(sim, key)
    freezer.tick(LATER)
    (one,) = (await ask(hass, quiet, "reconcile"))["findings"]
    assert one["reason"] == english()["common"]["finding_missing_at_salto"]


# Sensors


async def test_what_a_comparison_costs_can_be_shown(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """How long the last one took and what it cost are sensors, for who enables them."""
    registry = er.async_get(hass)
    names = ("reconciliation_duration", "reconciliation_requests")
    ids = [entity_id(hass, "sensor", sim.site_id, name) for name in names]
    for one in ids:
        entity = registry.async_get(one)
        assert entity is not None
        assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
        registry.async_update_entity(one, disabled_by=None)
    await go_on(hass, freezer, 31)  # Home Assistant loads the entry anew by itself.
    await go_on(hass, freezer, LATER)
    assert [state_of(hass, one) for one in ids] == ["0.0", "2"]


async def test_attributes_name_the_first_keys_of_each_kind(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """Twenty keys of each kind are named, neither PIN nor label is, and nothing is recorded."""
    sim.site.subscribed_user_amount = 50
    keys = []
    for _ in range(22):
        keys.append(await issue(hass, sim, quiet, label="Family Jansen"))
        freezer.tick(5)  # Writes keep to their rate.
    for key in keys[:21]:
        delete_guest(sim, key)
    block_guest(sim, keys[21])
    freezer.tick(LATER)
    await ask(hass, quiet, "reconcile")
    state = hass.states.get(entity_id(hass, "sensor", sim.site_id, "discrepancies"))
    assert state is not None
    assert state.state == "22"
    assert state.attributes["outcomes"] == {"missing_at_salto": 21, "pin_disabled": 1}
    assert state.attributes["key_ids"] == {
        "missing_at_salto": [key["key_id"] for key in keys[:20]],
        "pin_disabled": [keys[21]["key_id"]],
    }
    text = str(dict(state.attributes))
    assert not any(secret in text for secret in ("Jansen", *(key["pin"] for key in keys)))


# Options


@pytest.mark.parametrize("outcome", [Outcome.SUSPENDED, Outcome.WINDOW_DIFFERS])
async def test_what_was_chosen_is_mended_by_itself(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    entry: ENTRY,
    outcome: Outcome,
) -> None:
    """What a person wants repaired is repaired without asking, and nobody is told to."""
    await set_options(hass, entry, repaired=[outcome.value])
    await go_on(hass, freezer, LATER)
    key = await issue(hass, sim, entry)
    freezer.tick(LATER)
    MEDDLING[outcome](sim, key)
    assert edges(sim, key) != INSIDE_ONLY
    assert await found(hass, entry) == [finding(outcome, key["key_id"], "restore", done=True)]
    assert edges(sim, key) == INSIDE_ONLY
    assert sensor(hass, sim) == "0"


async def test_nothing_is_mended_by_itself_where_nothing_was_chosen(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Not even a spare is removed where a person wants to be asked about all."""
    await set_options(hass, entry, repaired=[])
    await go_on(hass, freezer, LATER)
    key = await issue(hass, sim, entry)
    copy_guest(sim, key)
    freezer.tick(LATER)
    sim.journal.clear()
    duplicate = finding(Outcome.DUPLICATE_AT_SALTO, key["key_id"], "report", done=False)
    assert duplicate in await found(hass, entry)
    assert writes(sim) == []


# By itself


async def go_to(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, at: datetime, step: timedelta
) -> None:
    """Let time pass until a moment, looked at every while."""
    while freezer().replace(tzinfo=UTC) < at:
        left = at - freezer().replace(tzinfo=UTC)
        await go_on(hass, freezer, min(step, left).total_seconds())


NIGHT = datetime(2026, 12, 8, 2, 30, tzinfo=UTC)
"""Half past three in Amsterdam."""


@pytest.fixture
async def amsterdam(hass: HomeAssistant) -> None:
    """Have Home Assistant live in Amsterdam."""
    await hass.config.async_set_time_zone("Europe/Amsterdam")


@pytest.mark.usefixtures("amsterdam")
async def test_every_night(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """The keys are compared at half past three at night, on Home Assistant's clock."""
    sim.journal.clear()
    await go_to(hass, freezer, NIGHT - MINUTE, 2 * HOUR)
    assert comparisons(sim) == 0
    await go_on(hass, freezer, 76)
    assert comparisons(sim) == 1
    await go_to(hass, freezer, NIGHT + 23 * HOUR, 2 * HOUR)
    assert comparisons(sim) == 1
    await go_on(hass, freezer, 3601)
    assert comparisons(sim) == 2


@pytest.mark.usefixtures("amsterdam")
async def test_at_the_chosen_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, entry: ENTRY
) -> None:
    """Another time of day can be chosen."""
    await set_options(hass, entry, reconcile_at="12:15:00")
    await go_on(hass, freezer, LATER)
    sim.journal.clear()
    noon = datetime(2026, 12, 7, 11, 15, tzinfo=UTC)
    await go_to(hass, freezer, noon - MINUTE, HOUR)
    assert comparisons(sim) == 0
    await go_on(hass, freezer, 76)
    assert comparisons(sim) == 1
    await go_to(hass, freezer, NIGHT + HOUR, 2 * HOUR)
    assert comparisons(sim) == 1


@pytest.mark.usefixtures("amsterdam")
@pytest.mark.parametrize(
    "morning",
    [datetime(2027, 3, 27, 11, 0, tzinfo=UTC), datetime(2026, 10, 24, 10, 0, tzinfo=UTC)],
    ids=["half past two is left out", "half past two comes twice"],
)
async def test_once_a_night_when_the_clocks_change(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    set_up: SetUp,
    morning: datetime,
) -> None:
    """In the night in which the clocks change, and in the next, there is one comparison each."""
    freezer.move_to(morning)
    entry = await set_up(iqs=[])
    await set_options(hass, entry, reconcile_at="02:30:00")
    await go_on(hass, freezer, LATER)
    for _ in range(2):
        sim.journal.clear()
        await go_to(hass, freezer, freezer().replace(tzinfo=UTC) + timedelta(days=1), HOUR / 2)
        assert comparisons(sim) == 1


@pytest.mark.usefixtures("amsterdam")
async def test_again_after_a_failure(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A comparison that fails at night is begun again every half an hour, and logged once."""
    await go_to(hass, freezer, NIGHT - MINUTE, 2 * HOUR)
    before = sensor(hass, sim, "last_reconciliation")
    fault = sim.faults.add(Fault(route=USERS, status=403, body=FORBIDDEN, count=None))
    await go_on(hass, freezer, 76)
    assert sim.faults.hits(fault) == 1
    await go_on(hass, freezer, 1700)
    assert sim.faults.hits(fault) == 1
    await go_on(hass, freezer, 120)
    assert sim.faults.hits(fault) == 2
    assert sensor(hass, sim, "last_reconciliation") == before
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert sum("could not be compared" in text for text in warnings) == 1
    sim.faults.clear()
    await go_on(hass, freezer, 1820)
    assert sensor(hass, sim, "last_reconciliation") > before


async def test_nothing_was_compared_for_long(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """After a day and a half without a comparison a person is told, until there is one; a reload changes nothing."""
    sim.faults.add(Fault(route=USERS, status=403, body=FORBIDDEN, count=None))
    await go_to(hass, freezer, MORNING + 36 * HOUR, HOUR)
    assert await browser.issues() == []
    await go_on(hass, freezer, 600)
    (told,) = await browser.issues()
    assert told["translation_key"] == "not_reconciled"
    assert not told["is_fixable"]
    await hass.config_entries.async_reload(quiet.entry_id)
    await go_on(hass, freezer, 75)
    assert await browser.issues() == [told]
    sim.faults.clear()
    await go_on(hass, freezer, 3600)
    assert await browser.issues() == []


async def test_log(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each comparison is one line; only what was not so before is a warning."""
    key = await issue(hass, sim, quiet)
    delete_guest(sim, key)
    freezer.tick(LATER)
    caplog.clear()
    for _ in range(2):
        await ask(hass, quiet, "reconcile")
        freezer.tick(1)
    about = [(line.levelno, line.getMessage()) for line in caplog.records if "keys" in line.msg]
    assert [level for level, _ in about] == [logging.INFO, logging.WARNING, logging.INFO]
    assert key["key_id"] in about[1][1]
    assert "missing_at_salto" in about[1][1]


# Issues and their fixes


async def raised(browser: Browser, outcome: Outcome) -> dict[str, Any]:
    """Return the issue about a kind of difference, the only one there is."""
    (told,) = await browser.issues()
    assert told["translation_key"] == outcome
    assert told["is_fixable"]
    assert told["severity"] == ("warning" if outcome in LOUD else "error")
    return told


def fields_of(form: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the fields of a form by their names."""
    return {field["name"]: field for field in form["data_schema"]}


def offered(form: Mapping[str, Any]) -> list[str]:
    """Return the keys that a form offers, all of them chosen."""
    options = fields_of(form)["keys"]["selector"]["select"]["options"]
    values = [option["value"] for option in options]
    assert fields_of(form)["keys"]["default"] == values
    return values


async def mend(browser: Browser, told: Mapping[str, Any], **chosen: Any) -> dict[str, Any]:
    """Open the fix of an issue, and do what the form begins with unless it is chosen otherwise."""
    form = await browser.begin(told)
    fields = fields_of(form)
    return await browser.submit(
        form, told, **{name: field["default"] for name, field in fields.items()} | chosen
    )


@pytest.mark.parametrize(
    ("outcome", "fix"),
    [(outcome, fix) for outcome in MEDDLING for fix in fixes_of(outcome)[:2]],
)
async def test_from_meddling_to_the_door(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
    outcome: Outcome,
    fix: Fix,
) -> None:
    """Whatever differs is shown as an issue, and is no more once it was mended; the door agrees."""
    await set_options(hass, quiet, repaired=[])
    key = await issue(hass, sim, quiet)
    await go_on(hass, freezer, LATER)
    MEDDLING[outcome](sim, key)
    if outcome is Outcome.UNKNOWN_AT_SALTO:
        assert opens(sim, STRANGE_PIN, at=MORNING + 3 * HOUR)
    findings = await found(hass, quiet)
    assert [one["outcome"] for one in findings] == [outcome]
    told = await raised(browser, outcome)
    assert told["translation_placeholders"] == {"site": quiet.title, "count": "1"}
    form = await browser.begin(told)
    assert fields_of(form)["fix"]["selector"]["select"]["options"] == list(fixes_of(outcome))
    assert offered(form) == [findings[0]["key_id"]]

    ended = await browser.submit(form, told, fix=fix, keys=offered(form))
    assert ended["type"] == "create_entry", ended
    assert ended["description_placeholders"] == {"done": "1", "gone": "0"}
    assert await browser.issues() == []
    assert sensor(hass, sim) == "0"
    freezer.tick(LATER)
    assert await outcomes(hass, quiet, deep=True) == []
    await check_door(hass, sim, quiet, key, outcome=outcome, fix=fix)


async def check_door(
    hass: HomeAssistant,
    sim: Simulator,
    entry: ENTRY,
    key: KEY,
    *,
    outcome: Outcome,
    fix: Fix,
) -> None:
    """Assert that the doors open as what was chosen says."""
    keys = {one["key_id"]: one for one in (await ask(hass, entry, "get_keys"))["keys"]}
    match outcome, fix:
        case Outcome.UNKNOWN_AT_SALTO, Fix.ADOPT:
            adopted = keys[unknown_key(key)]
            assert edges(sim, adopted, keypad_pin=STRANGE_PIN) == INSIDE_ONLY
            assert edges(sim, dict(key)) == INSIDE_ONLY
        case Outcome.UNKNOWN_AT_SALTO, _:
            assert not opens(sim, STRANGE_PIN, at=MORNING + 3 * HOUR)
            assert edges(sim, dict(key)) == INSIDE_ONLY
        case _, Fix.REVOKE:
            assert not any(edges(sim, dict(key)))
            assert (guests(sim), groups(sim)) == ([], [])
        case Outcome.SUSPENDED, Fix.ADOPT:
            assert keys[key["key_id"]]["status"] == "suspended"
            assert not any(edges(sim, dict(key)))
        case Outcome.WINDOW_DIFFERS, Fix.ADOPT:
            moved = keys[key["key_id"]]
            assert moved["starts_at"] > key["ends_at"]
            assert edges(sim, moved, keypad_pin=key["pin"]) == INSIDE_ONLY
        case Outcome.DOORS_DIFFER, Fix.ADOPT:
            assert edges(sim, dict(key), LAUNDRY) == INSIDE_ONLY
            assert not any(edges(sim, dict(key)))
        case Outcome.EXPIRY_DIFFERS, Fix.ADOPT:
            assert edges(sim, dict(key))[:2] == (False, True)
        case _:
            pin = await pin_of(hass, entry, key)
            assert edges(sim, dict(key), keypad_pin=pin) == INSIDE_ONLY
            if fix is Fix.REISSUE:
                assert not any(edges(sim, dict(key)))
            elif outcome is not Outcome.PIN_MISSING:
                assert pin == key["pin"]


async def test_guest_that_is_left_while_its_key_is_being_removed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """A guest that shows up again before the doors have heard of the end is removed, not only told."""
    key = await issue(hass, sim, quiet)
    sim.set("iq", iq_named(sim, RECEPTION).id, online=False)
    await go_on(hass, freezer, 120)
    await ask(hass, quiet, "revoke_key", key_id=key["key_id"])
    copy_guest(sim, key)
    for _ in range(2):
        await go_on(hass, freezer, LATER)
    (kept,) = (await ask(hass, quiet, "get_keys"))["keys"]
    assert kept["status"] == "removing"
    await ask(hass, quiet, "reconcile")
    assert guests(sim) == []
    assert await outcomes(hass, quiet) == []


async def test_expired_and_not_removed(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """What is found again of a key that was taken back is an issue, and goes by its fix."""
    await set_options(hass, quiet, repaired=[])
    key = await issue(hass, sim, quiet)
    await ask(hass, quiet, "revoke_key", key_id=key["key_id"])
    for _ in range(4):
        await go_on(hass, freezer, LATER)
    copy_guest(sim, key)
    assert await outcomes(hass, quiet) == ["expired_not_removed"]
    (told,) = await browser.issues()
    ended = await mend(browser, told)
    assert ended["type"] == "create_entry"
    assert guests(sim) == []
    assert await browser.issues() == []


async def test_some_keys_are_left(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """Keys that a person leaves out stay as they are, and so does the issue, with their number."""
    keys = [await issue(hass, sim, quiet) for _ in range(3)]
    freezer.tick(LATER)
    for key in keys:
        suspend_guest(sim, key)
    await ask(hass, quiet, "reconcile")
    told = await raised(browser, Outcome.SUSPENDED)
    assert told["translation_placeholders"]["count"] == "3"
    ended = await mend(browser, told, keys=[keys[0]["key_id"], keys[1]["key_id"]])
    assert (ended["type"], ended["reason"]) == ("abort", "some_left")
    assert ended["description_placeholders"] == {"done": "2", "gone": "0", "left": "1"}
    assert [edges(sim, key)[1] for key in keys] == [True, True, False]
    told = await raised(browser, Outcome.SUSPENDED)
    assert told["translation_placeholders"]["count"] == "1"


async def test_no_key_is_chosen(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """A form without a key is shown again, and says why."""
    key = await issue(hass, sim, quiet)
    suspend_guest(sim, key)
    freezer.tick(LATER)
    await ask(hass, quiet, "reconcile")
    told = await raised(browser, Outcome.SUSPENDED)
    again = await mend(browser, told, keys=[])
    assert again["errors"] == {"keys": "no_keys"}
    ended = await browser.submit(again, told, fix="restore", keys=[key["key_id"]])
    assert ended["type"] == "create_entry"


async def test_one_failure_does_not_hide_the_others(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """Each key that could not be mended is named with its reason; then the rest can be tried otherwise."""
    key = await issue(hass, sim, quiet)
    freezer.tick(LATER)
    add_key(sim, key)
    alone = f"{key['key_id'].partition('-')[0]}-00"
    sim.add("user", {"alias": f"Home Assistant ha-{alone}"})
    await ask(hass, quiet, "reconcile")
    told = await raised(browser, Outcome.UNKNOWN_AT_SALTO)
    failed = await mend(browser, told)
    assert (failed["type"], failed["step_id"]) == ("form", "failed")
    about = failed["description_placeholders"]
    assert (about["done"], about["gone"]) == ("1", "0")
    assert about["failures"].startswith(f"- {alone}: What Salto has of key")
    form = await browser.submit(failed, told)
    assert offered(form) == [alone]
    ended = await browser.submit(form, told, fix="remove_at_salto", keys=[alone])
    assert ended["type"] == "create_entry"
    assert await browser.issues() == []


async def test_failures_are_told_in_the_language(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """Why a key could not be mended is said in the language of this Home Assistant."""
    hass.config.language = "de"
    key = await issue(hass, sim, quiet)
    freezer.tick(LATER)
    alone = f"{key['key_id'].partition('-')[0]}-00"
    sim.add("user", {"alias": f"Home Assistant ha-{alone}"})
    await ask(hass, quiet, "reconcile")
    failed = await mend(browser, await raised(browser, Outcome.UNKNOWN_AT_SALTO))
    assert failed["description_placeholders"]["failures"].startswith(f"- {alone}: Was Salto vom")


async def test_somebody_was_faster(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """A key that was put right in the meantime is left alone, which is said."""
    key = await issue(hass, sim, quiet)
    suspend_guest(sim, key)
    freezer.tick(LATER)
    await ask(hass, quiet, "reconcile")
    told = await raised(browser, Outcome.SUSPENDED)
    form = await browser.begin(told)
    sim.set("user", key["salto_key_id"], subscription_state="subscribed")
    sim.journal.clear()
    ended = await browser.submit(form, told, fix="restore", keys=[key["key_id"]])
    assert ended["type"] == "create_entry"
    assert ended["description_placeholders"] == {"done": "0", "gone": "1"}
    assert writes(sim) == []
    assert await browser.issues() == []


async def test_issue_is_gone_while_the_form_is_open(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """What a later comparison does not find any more is not mended."""
    key = await issue(hass, sim, quiet)
    suspend_guest(sim, key)
    freezer.tick(LATER)
    await ask(hass, quiet, "reconcile")
    told = await raised(browser, Outcome.SUSPENDED)
    form = await browser.begin(told)
    sim.set("user", key["salto_key_id"], subscription_state="subscribed")
    await ask(hass, quiet, "reconcile")
    assert await browser.issues() == []
    ended = await browser.submit(form, told, fix="restore", keys=[key["key_id"]])
    assert (ended["type"], ended["reason"]) == ("abort", "nothing_left")


async def test_before_the_first_comparison(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """An issue stays over a reload, and its fix waits for what is found then."""
    key = await issue(hass, sim, quiet)
    suspend_guest(sim, key)
    freezer.tick(LATER)
    await ask(hass, quiet, "reconcile")
    told = await raised(browser, Outcome.SUSPENDED)
    await hass.config_entries.async_reload(quiet.entry_id)
    assert await browser.issues() == [told]
    ended = await browser.begin(told)
    assert (ended["type"], ended["reason"]) == ("abort", "not_compared")
    await go_on(hass, freezer, LATER)
    assert offered(await browser.begin(told)) == [key["key_id"]]


async def test_site_is_not_loaded(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """Nothing can be mended while the site is not loaded, which is said."""
    key = await issue(hass, sim, quiet)
    suspend_guest(sim, key)
    freezer.tick(LATER)
    await ask(hass, quiet, "reconcile")
    told = await raised(browser, Outcome.SUSPENDED)
    await hass.config_entries.async_unload(quiet.entry_id)
    ended = await browser.begin(told)
    assert (ended["type"], ended["reason"]) == ("abort", "site_not_loaded")


async def test_keys_are_named_by_unit_and_window(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """A key is offered with its id, its unit and its window, and with nothing personal."""
    await make_unit(hass, quiet)
    await book(hass, quiet, "R-1", label="Family Jansen")
    await go_on(hass, freezer, 75)
    (key,) = (await ask(hass, quiet, "get_keys"))["keys"]
    await go_on(hass, freezer, LATER)
    suspend_guest(sim, key)
    await ask(hass, quiet, "reconcile")
    issues = await browser.issues()
    (told,) = [one for one in issues if one["translation_key"] == "suspended"]
    form = await browser.begin(told)
    (option,) = fields_of(form)["keys"]["selector"]["select"]["options"]
    assert option["value"] == key["key_id"]
    (unit,) = quiet.runtime_data.bookings.units.values()
    assert option["label"].startswith(f"{key['key_id']}, {unit.name}, 20")
    assert "Jansen" not in option["label"]


async def test_fix_that_no_browser_asks_for(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> None:
    """A fix that is run from inside of Home Assistant is recorded as its own."""
    assert await async_setup_component(hass, "repairs", {})
    key = await issue(hass, sim, quiet)
    suspend_guest(sim, key)
    freezer.tick(LATER)
    await ask(hass, quiet, "reconcile")
    flows = hass.data["repairs"]["flow_manager"]
    context = {"issue_id": f"suspended_{quiet.entry_id}"}
    form = await flows.async_init("salto_ks", context=context)
    chosen = {"fix": "restore", "keys": [key["key_id"]]}
    answer = await flows.async_configure(form["flow_id"], chosen)
    while answer["type"] is FlowResultType.SHOW_PROGRESS:
        await let_be_seen(hass)
        answer = await flows.async_configure(form["flow_id"])
    assert answer["type"] is FlowResultType.CREATE_ENTRY
    lines = (await ask(hass, quiet, "get_audit_log", key_id=key["key_id"]))["lines"]
    assert lines[0]["who"] == "Home Assistant"


async def test_who_has_mended_is_recorded(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """The audit log has the name of who has clicked."""
    key = await issue(hass, sim, quiet)
    suspend_guest(sim, key)
    freezer.tick(LATER)
    await ask(hass, quiet, "reconcile")
    await mend(browser, await raised(browser, Outcome.SUSPENDED))
    lines = (await ask(hass, quiet, "get_audit_log", key_id=key["key_id"]))["lines"]
    users = {user.name for user in await hass.auth.async_get_users()}
    assert lines[0]["who"] in users
    assert lines[0]["reason"] == "repair"


# While nothing is done by itself


def add_key_of_the_future(sim: Simulator, key: KEY) -> Any:
    """Add a guest that this Home Assistant has made after the backup that it was restored from."""
    later = f"{key['key_id'].partition('-')[0]}-900"
    return sim.add("user", {"alias": f"Home Assistant ha-{later}"})


@pytest.fixture
async def restored(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, quiet: ENTRY
) -> Any:
    """Return a guest at Salto that shows that the ledger is old."""
    key = await issue(hass, sim, quiet, ends_at=MORNING + timedelta(days=5))
    freezer.tick(LATER)
    guest = add_key_of_the_future(sim, key)
    await ask(hass, quiet, "reconcile")
    return guest


def left_alone(hass: HomeAssistant, sim: Simulator) -> tuple[str, str | None]:
    """Return whether keys are left alone, and why."""
    state = hass.states.get(entity_id(hass, "binary_sensor", sim.site_id, "keys_left_alone"))
    assert state is not None
    return state.state, state.attributes["reason"]


async def read_only_issue(browser: Browser) -> dict[str, Any]:
    """Return the issue that says that keys are left alone."""
    keys = {"restored_backup", "clock_jump"}
    (told,) = [one for one in await browser.issues() if one["translation_key"] in keys]
    return told


async def test_restored_backup_is_told(
    hass: HomeAssistant, sim: Simulator, quiet: ENTRY, restored: Any, browser: Browser
) -> None:
    """A ledger that is older than Salto is told by sensor and issue; the fix says what differs."""
    assert left_alone(hass, sim) == ("on", "restored_backup")
    told = await read_only_issue(browser)
    menu = await browser.submit(await browser.fix(told), told)
    assert (menu["type"], menu["step_id"]) == ("menu", "differs")
    unknown = english()["common"]["finding_unknown_at_salto"]
    assert menu["description_placeholders"] == {"found": f"- 1: {unknown}"}
    ended = await browser.submit(menu, told, next_step_id="leave")
    assert (ended["type"], ended["reason"]) == ("abort", "left_alone")
    assert left_alone(hass, sim) == ("on", "restored_backup")
    assert await read_only_issue(browser) == told


async def test_person_goes_on_all_the_same(
    hass: HomeAssistant, sim: Simulator, quiet: ENTRY, restored: Any, browser: Browser
) -> None:
    """Who has read what differs can have keys looked after again."""
    told = await read_only_issue(browser)
    menu = await browser.submit(await browser.fix(told), told)
    ended = await browser.submit(menu, told, next_step_id="go_on")
    assert ended["type"] == "create_entry"
    assert left_alone(hass, sim) == ("off", None)
    assert [one["translation_key"] for one in await browser.issues()] == ["unknown_at_salto"]


async def test_all_agrees_again(
    hass: HomeAssistant, sim: Simulator, quiet: ENTRY, restored: Any, browser: Browser
) -> None:
    """Once nothing differs any more keys are looked after again."""
    sim.remove("user", restored.id)
    told = await read_only_issue(browser)
    ended = await browser.submit(await browser.fix(told), told)
    assert ended["type"] == "create_entry"
    assert left_alone(hass, sim) == ("off", None)
    assert await browser.issues() == []


async def test_what_differs_is_mended(
    hass: HomeAssistant, sim: Simulator, quiet: ENTRY, restored: Any, browser: Browser
) -> None:
    """To mend the last thing that differs ends it too, once all of the keys were looked at."""
    await ask(hass, quiet, "reconcile", deep=True)
    await mend(
        browser,
        next(
            one
            for one in await browser.issues()
            if one["translation_key"] == Outcome.UNKNOWN_AT_SALTO
        ),
        fix="remove_at_salto",
    )
    assert left_alone(hass, sim) == ("off", None)
    assert await browser.issues() == []


@pytest.mark.usefixtures("amsterdam")
async def test_all_agrees_at_night(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    restored: Any,
    browser: Browser,
) -> None:
    """The nightly comparison looks into all keys then, and ends it where nothing differs."""
    sim.remove("user", restored.id)
    await go_to(hass, freezer, NIGHT - MINUTE, 2 * HOUR)
    assert left_alone(hass, sim) == ("on", "restored_backup")
    await go_on(hass, freezer, 120)
    assert left_alone(hass, sim) == ("off", None)
    assert await browser.issues() == []


async def test_comparison_fails(
    hass: HomeAssistant, sim: Simulator, quiet: ENTRY, restored: Any, browser: Browser
) -> None:
    """A comparison that Salto refuses says why, and nothing has changed."""
    told = await read_only_issue(browser)
    sim.faults.add(Fault(route=USERS, status=403, body=FORBIDDEN))
    ended = await browser.submit(await browser.fix(told), told)
    assert (ended["type"], ended["reason"]) == ("abort", "failed")
    assert ended["description_placeholders"]["detail"]
    assert left_alone(hass, sim) == ("on", "restored_backup")


async def test_site_is_not_loaded_while_keys_are_left_alone(
    hass: HomeAssistant, sim: Simulator, quiet: ENTRY, restored: Any, browser: Browser
) -> None:
    """Nothing can be compared while the site is not loaded, and nobody can go on either."""
    told = await read_only_issue(browser)
    form = await browser.fix(told)
    menu = await browser.submit(await browser.fix(told), told)
    await hass.config_entries.async_unload(quiet.entry_id)
    for ended in (
        await browser.submit(form, told),
        await browser.submit(menu, told, next_step_id="go_on"),
    ):
        assert (ended["type"], ended["reason"]) == ("abort", "site_not_loaded")


async def test_clock_jumps(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A clock that was set keeps keys from ending, until a comparison by itself shows that all agrees."""
    key = await issue(hass, sim, quiet)
    suspend_guest(sim, key)
    await go_on(hass, freezer, LATER)
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + 600)
    await go_on(hass, freezer, 21)
    assert left_alone(hass, sim) == ("on", "clock_jump")
    assert (await read_only_issue(browser))["translation_key"] == "clock_jump"
    sim.set("user", key["salto_key_id"], subscription_state="subscribed")
    for _ in range(2):
        await go_on(hass, freezer, 1800)
    assert left_alone(hass, sim) == ("off", None)
    assert await browser.issues() == []


async def test_second_manager(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    quiet: ENTRY,
    browser: Browser,
) -> None:
    """Keys of another Home Assistant are told and left alone, and nothing is offered."""
    sim.add("user", {"alias": "Home Assistant ha-zzzz-7"})
    freezer.tick(LATER)
    sim.journal.clear()
    await ask(hass, quiet, "reconcile")
    assert writes(sim) == []
    (told,) = await browser.issues()
    assert told["translation_key"] == "second_manager"
    assert not told["is_fixable"]
    assert told["translation_placeholders"]["count"] == "1"
    assert sensor(hass, sim) == "0"
