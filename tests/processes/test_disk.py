"""What Home Assistant's disk takes, and what it is never given."""

import pytest

from .house import House
from .stays import BOOKED, check_one_key_each, check_windows

pytestmark = pytest.mark.process

DISK_FULL = "The change could not be written to disk. Check that the disk is not full"


async def test_a_full_disk(house: House) -> None:
    """What cannot be written down is refused with the reason, and Salto is asked for nothing."""
    home = await house.start_home()
    first, second = BOOKED[:2]
    key = await home.act("issue_key", **first.data)
    before = await house.vendor.writes()
    with house.full_disk():
        told = [
            await home.attempt(action, **data)
            for action, data in (
                ("issue_key", second.data),
                ("revoke_key", {"key_id": key["key_id"]}),
                ("get_pin", {"key_id": key["key_id"]}),
            )
        ]
        assert list(await home.keys()) == [key["key_id"]]
    assert told == [(500, {"message": DISK_FULL})] * 3
    assert await house.vendor.writes() == before
    await home.act("issue_key", **second.data)
    pins = await check_one_key_each(home, house.vendor, (first, second))
    await check_windows(house.vendor, pins)


async def test_no_file_holds_a_pin(house: House) -> None:
    """PINs that were handed out are in no file of Home Assistant, the recorder's among them."""
    home = await house.start_home()
    await home.log_all_of("custom_components.salto_ks")
    pins = []
    for stay in BOOKED:
        key = await home.act("issue_key", **stay.data)
        again = {"key_id": key["key_id"], "reason": "the guest has lost it"}
        pins += [key["pin"], (await home.act("rotate_pin", **again))["pin"]]
        assert (await home.act("get_pin", **again))["pin"] == pins[-1]
    assert "pin" not in str(await home.keys())
    await house.stop_home()
    assert len(set(pins)) == 2 * len(BOOKED)
    assert house.files_with(*pins) == []
    assert "home-assistant_v2.db" in house.files_with(*(str(stay.booking_id) for stay in BOOKED))
