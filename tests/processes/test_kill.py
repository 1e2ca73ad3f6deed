"""Home Assistant killed while something is asked of Salto."""

import aiohttp
import pytest

from .house import House
from .stays import (
    BOOKED,
    GIVE_PIN,
    JOIN,
    MAKE_GROUP,
    MAKE_GUEST,
    MAKE_TIMES,
    NEVER_DONE,
    NO_ANSWER,
    READ_BACK,
    REMOVE_GROUP,
    REMOVE_GUEST,
    UNBOOKED,
    InFlight,
    check_nothing_else,
    check_one_key_each,
    check_windows,
    done_after,
)

pytestmark = pytest.mark.process

LATE = done_after(5)
"""Done only when Home Assistant has been killed, and before it has started again."""


async def kill(house: House, flight: InFlight) -> None:
    """Kill Home Assistant: whoever waits for an action gets no answer."""
    await house.kill_home()
    for answer in await flight.answers():
        assert isinstance(answer, aiohttp.ClientConnectionError)


async def test_before_salto_has_acted(house: House) -> None:
    """Bookings whose requests never got through have one key each after the next start."""
    flight = InFlight(await house.start_home(), house.vendor)
    for stay, moment in zip(BOOKED, (MAKE_GROUP, MAKE_GUEST, JOIN, GIVE_PIN), strict=True):
        await flight.catch("issue_key", stay.data, moment, NEVER_DONE)
    await kill(house, flight)
    pins = await check_one_key_each(await house.start_home(), house.vendor)
    await check_windows(house.vendor, pins)


async def test_before_the_answer_has_come(house: House) -> None:
    """Bookings whose requests got through all the same have one key each, not two."""
    flight = InFlight(await house.start_home(), house.vendor)
    for stay, moment in zip(BOOKED, (MAKE_GROUP, MAKE_GUEST, JOIN, GIVE_PIN), strict=True):
        await flight.catch("issue_key", stay.data, moment, LATE)
    await kill(house, flight)
    await flight.wait_until_done()
    pins = await check_one_key_each(await house.start_home(), house.vendor)
    await check_windows(house.vendor, pins)


async def test_after_an_answer_was_lost(house: House) -> None:
    """Bookings have one key each though a try failed halfway and the next one was cut off."""
    flight = InFlight(await house.start_home(), house.vendor)
    for stay, moment, fates in zip(
        BOOKED,
        (READ_BACK, GIVE_PIN, MAKE_TIMES, MAKE_GUEST),
        ((NEVER_DONE,), (NO_ANSWER,), (NO_ANSWER, NEVER_DONE), (NO_ANSWER, NEVER_DONE)),
        strict=True,
    ):
        await flight.catch("issue_key", stay.data, moment, *fates)
    await kill(house, flight)
    pins = await check_one_key_each(await house.start_home(), house.vendor)
    await check_windows(house.vendor, pins)


async def test_without_a_booking(house: House) -> None:
    """Keys that nobody waits for any more leave nothing at Salto after the next start."""
    flight = InFlight(await house.start_home(), house.vendor)
    for stay, moment in zip(UNBOOKED, (MAKE_GROUP, MAKE_GUEST, GIVE_PIN, READ_BACK), strict=True):
        await flight.catch("issue_key", stay.data, moment, LATE)
    await kill(house, flight)
    await flight.wait_until_done()
    assert len(await house.vendor.of_keys("user")) == 3
    assert len(await house.vendor.of_keys("group")) == 4
    await check_nothing_else(await house.start_home(), house.vendor)


async def test_while_keys_are_taken_back(house: House) -> None:
    """Keys that were being revoked are gone after the next start, and no other key."""
    home = await house.start_home()
    pins = {stay.door: await home.act("issue_key", **stay.data) for stay in BOOKED}
    kept, *others = pins.values()
    flight = InFlight(home, house.vendor)
    for key, moment, fate in zip(
        others,
        (REMOVE_GUEST, REMOVE_GUEST, REMOVE_GROUP),
        (NEVER_DONE, LATE, LATE),
        strict=True,
    ):
        await flight.catch("revoke_key", {"key_id": key["key_id"]}, moment, fate)
    await kill(house, flight)
    await check_nothing_else(await house.start_home(), house.vendor, kept["key_id"])
    await check_windows(house.vendor, {kept["doors"][0]: kept["pin"]})
    for key in others:
        assert await house.vendor.type_pin(key["doors"][0], key["pin"]) == "unknown_pin"
