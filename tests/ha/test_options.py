"""The options of a site."""

from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest
from pytest_homeassistant_custom_component.common import MockUser

from simulator import Simulator

from .conftest import SetUp
from .support import Result, go_on
from .texts import check_texts, english

LOCKS = "/v1.2/sites/{site}/locks"

DEFAULTS = {
    "polling_interval": 75,
    "writes_per_minute": 120,
    "audit_days": 730,
    "forget_pins": False,
    "strategy": "schedule",
    "name_people": True,
    "reconcile_at": "03:30:00",
    "repaired": ["duplicate_at_salto", "orphan_group", "expired_not_removed"],
    "front_desk": [],
}


async def begin(hass: HomeAssistant, entry_id: str) -> Result:
    """Open the form."""
    result = await hass.config_entries.options.async_init(entry_id)
    check_texts(result | {"errors": None}, english()["options"])
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "init")
    return result


async def polls_within(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, seconds: int
) -> int:
    """Count how often the doors are read in a while, looked at every second."""
    sim.journal.clear()
    for _ in range(seconds):
        await go_on(hass, freezer, 1)
    return sim.journal.count("GET", LOCKS)


def markers(result: Result) -> dict[str, Any]:
    """Return the fields of the form by their names."""
    return {str(marker): marker for marker in result["data_schema"].schema}


async def choose(hass: HomeAssistant, entry: ConfigEntry[Any], **chosen: Any) -> None:
    """Choose options, and wait for the reload."""
    result = await begin(hass, entry.entry_id)
    flows = hass.config_entries.options
    result = await flows.async_configure(result["flow_id"], chosen)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


async def test_form_begins_with_what_holds(hass: HomeAssistant, set_up: SetUp) -> None:
    """The form shows what holds without any choice, and to leave it so changes nothing."""
    entry = await set_up(iqs=())
    result = await begin(hass, entry.entry_id)
    assert {name: marker.default() for name, marker in markers(result).items()} == DEFAULTS
    await choose(hass, entry)
    assert dict(entry.options) == DEFAULTS


async def test_polling_interval(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, *, sim: Simulator, set_up: SetUp
) -> None:
    """The interval is in force at once, without a restart, and shown again the next time."""
    entry = await set_up(iqs=())
    assert await polls_within(hass, freezer, sim, 152) == 2
    sim.journal.clear()
    await choose(hass, entry, polling_interval=20.0)
    assert sim.journal.count("GET", LOCKS) == 1
    assert dict(entry.options) == DEFAULTS | {"polling_interval": 20}
    assert isinstance(entry.options["polling_interval"], int)
    assert 5 <= await polls_within(hass, freezer, sim, 122) <= 6
    result = await begin(hass, entry.entry_id)
    assert markers(result)["polling_interval"].description["suggested_value"] == 20


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("polling_interval", value) for value in (0, 14, 901, -60, "soon", None)),
        *(("writes_per_minute", value) for value in (0, 5, 601, -1, "many")),
        *(("audit_days", value) for value in (0, 29, 3651)),
        ("strategy", "magic"),
        *(("reconcile_at", value) for value in ("25:00:00", "at night", None)),
        *(("repaired", value) for value in (["not_observable"], ["second_manager"], ["all"])),
        ("front_desk", ["nobody"]),
        ("front_desk", "nobody"),
        ("another", 1),
    ],
)
async def test_options_out_of_bounds(
    hass: HomeAssistant, set_up: SetUp, option: str, value: object
) -> None:
    """What would flood Salto, forget too soon, or makes no sense is refused."""
    entry = await set_up(iqs=())
    result = await begin(hass, entry.entry_id)
    with pytest.raises(InvalidData):
        await hass.config_entries.options.async_configure(result["flow_id"], {option: value})
    assert dict(entry.options) == {}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("polling_interval", 15),
        ("polling_interval", 900),
        ("writes_per_minute", 6),
        ("writes_per_minute", 600),
        ("audit_days", 30),
        ("audit_days", 3650),
        ("forget_pins", True),
        ("strategy", "membership"),
        ("reconcile_at", "00:00:00"),
        ("reconcile_at", "23:59:59"),
        ("repaired", []),
        ("repaired", ["missing_at_salto", "suspended"]),
    ],
)
async def test_options_at_their_bounds(
    hass: HomeAssistant, set_up: SetUp, option: str, value: object
) -> None:
    """The bounds themselves are accepted, and shown again the next time."""
    entry = await set_up(iqs=())
    await choose(hass, entry, **{option: value})
    assert dict(entry.options) == DEFAULTS | {option: value}
    assert type(entry.options[option]) is type(value)
    result = await begin(hass, entry.entry_id)
    assert markers(result)[option].description["suggested_value"] == value


def offered(result: Result) -> dict[str, str]:
    """Return whom the front desk can be given to: ids and names."""
    schema = result["data_schema"].schema
    return {option["value"]: option["label"] for option in schema["front_desk"].config["options"]}


async def test_front_desk_is_given_to_ordinary_users(
    hass: HomeAssistant, set_up: SetUp, hass_admin_user: MockUser, hass_read_only_user: MockUser
) -> None:
    """The desk can be given to whoever is no administrator, who has all rights anyway."""
    MockUser(name="System", system_generated=True).add_to_hass(hass)
    MockUser(name="Gone", is_active=False).add_to_hass(hass)
    rita = MockUser(id="rita", name="Rita").add_to_hass(hass)
    nameless = MockUser(id="nameless", name=None).add_to_hass(hass)
    entry = await set_up(iqs=())
    choices = offered(await begin(hass, entry.entry_id))
    assert choices == {
        rita.id: "Rita",
        nameless.id: "nameless",
        hass_read_only_user.id: hass_read_only_user.name,
    }
    await choose(hass, entry, front_desk=[rita.id])
    assert entry.options["front_desk"] == [rita.id]


async def test_front_desk_of_those_who_are_gone(hass: HomeAssistant, set_up: SetUp) -> None:
    """Who has the desk and may not be chosen any more is still shown, and can be taken off."""
    rita = MockUser(id="rita", name="Rita").add_to_hass(hass)
    jan = MockUser(id="jan", name="Jan").add_to_hass(hass)
    entry = await set_up(iqs=())
    await choose(hass, entry, front_desk=[rita.id, jan.id])
    rita.is_active = False
    await hass.auth.async_remove_user(jan)
    result = await begin(hass, entry.entry_id)
    assert offered(result) == {"rita": "Rita", "jan": "jan"}
    assert markers(result)["front_desk"].description["suggested_value"] == ["rita", "jan"]
    await choose(hass, entry, front_desk=["rita"])
    assert entry.options["front_desk"] == ["rita"]
    assert offered(await begin(hass, entry.entry_id)) == {"rita": "Rita"}
