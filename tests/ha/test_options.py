"""The options of a site."""

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, InvalidData
import pytest

from simulator import Simulator

from .conftest import SetUp
from .support import Result, go_on
from .texts import check_texts, english

LOCKS = "/v1.2/sites/{site}/locks"


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


async def test_polling_interval(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, *, sim: Simulator, set_up: SetUp
) -> None:
    """The interval is in force at once, without a restart, and shown again the next time."""
    entry = await set_up(iqs=())
    assert await polls_within(hass, freezer, sim, 122) == 2
    result = await begin(hass, entry.entry_id)
    (field,) = result["data_schema"].schema
    assert field.default() == 60
    sim.journal.clear()
    flows = hass.config_entries.options
    result = await flows.async_configure(result["flow_id"], {"polling_interval": 20.0})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert sim.journal.count("GET", LOCKS) == 1
    assert dict(entry.options) == {"polling_interval": 20}
    assert isinstance(entry.options["polling_interval"], int)
    assert 5 <= await polls_within(hass, freezer, sim, 122) <= 6
    result = await begin(hass, entry.entry_id)
    (field,) = result["data_schema"].schema
    assert field.description["suggested_value"] == 20


@pytest.mark.parametrize("seconds", [0, 14, 901, -60, "soon"])
async def test_interval_out_of_bounds(
    hass: HomeAssistant, set_up: SetUp, seconds: float | str
) -> None:
    """An interval that would flood Salto, or leave doors unread for long, is refused."""
    entry = await set_up(iqs=())
    result = await begin(hass, entry.entry_id)
    with pytest.raises(InvalidData):
        await hass.config_entries.options.async_configure(
            result["flow_id"], {"polling_interval": seconds}
        )
    assert dict(entry.options) == {}


@pytest.mark.parametrize("seconds", [15, 900])
async def test_interval_at_its_bounds(hass: HomeAssistant, set_up: SetUp, seconds: int) -> None:
    """The bounds themselves are accepted."""
    entry = await set_up(iqs=())
    result = await begin(hass, entry.entry_id)
    await hass.config_entries.options.async_configure(
        result["flow_id"], {"polling_interval": seconds}
    )
    await hass.async_block_till_done()
    assert dict(entry.options) == {"polling_interval": seconds}
