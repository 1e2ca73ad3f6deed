"""Home Assistant asked to stop while something is asked of Salto."""

from datetime import datetime, timedelta

import pytest

from .house import EVENTS, House
from .stays import (
    BOOKED,
    JOIN,
    MAKE_GROUP,
    NEVER_DONE,
    READ_BACK,
    InFlight,
    check_one_key_each,
    check_windows,
    done_after,
)

pytestmark = pytest.mark.process

STAYS = BOOKED[:3]

LONG_STOP = """\
- alias: Everything takes its time to stop
  triggers:
    - trigger: event
      event_type: homeassistant_stop
  actions:
    - delay: 1
"""

SOON = done_after(0.5)
"""Done, and answered, while Home Assistant is stopping."""


async def test_while_keys_are_issued(house: House, usual_stop: float) -> None:
    """A stop waits for no key and asks nothing more of Salto; the next start issues each once."""
    automations = house.place.config.path / "automations.yaml"
    automations.write_text(LONG_STOP, encoding="utf-8")
    home = await house.start_home()
    await home.log_all_of(EVENTS)
    flight = InFlight(home, house.vendor)
    for stay, moment, fate in zip(
        STAYS, (READ_BACK, JOIN, MAKE_GROUP), (NEVER_DONE, NEVER_DONE, SOON), strict=True
    ):
        await flight.catch("issue_key", stay.data, moment, fate)
    assert await house.stop_home() < usual_stop + 6
    await flight.answers()
    stopping_at = house.logged_at("homeassistant_stop")
    assert house.logged_at("homeassistant_final_write") >= stopping_at + timedelta(seconds=1)
    assert not [
        request
        for request in await house.vendor.writes()
        if datetime.fromisoformat(request["at"]) > stopping_at
    ]
    assert house.complaints() == []
    pins = await check_one_key_each(await house.start_home(), house.vendor, STAYS)
    await check_windows(house.vendor, pins)
