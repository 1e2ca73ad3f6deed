"""Locks: reading, opening, relocking."""

import pytest

from simulator import Quirks

from .conftest import Serve
from .harness import NOWHERE, Api

LOCK_KEYS = {
    "id", "customer_reference", "mac", "floor", "locked_state", "lock_type", "online",
    "iq_link_state", "tag_registration_state", "battery_level", "left_open_alarm",
    "intrusion_alarm", "easy_office_mode_schedule", "iq", "repeater", "privacy_mode",
    "communication_type", "vendor", "offline_access_keys_limit", "offline_access_keys_count",
}  # fmt: skip

SECRET = "0123456789ABCDEF"
PIN = "1234"
FAILED = "Request execution failed with code: "


async def ready(serve: Serve, quirks: Quirks | None = None) -> tuple[Api, str]:
    """Serve a campsite with an activated first IQ and return its gate too."""
    api = await serve(quirks)
    api.sim.activate(api.iq_id, secret=SECRET, pin=PIN)
    return api, api.lock_id("Main gate")


async def state(api: Api, lock_id: str) -> str:
    """Return what a lock says about itself."""
    answer: str = (await api.site("GET", f"/locks/{lock_id}")).json["locked_state"]
    return answer


def good(api: Api) -> str:
    """Return a right code."""
    return api.otp(SECRET, PIN)


@pytest.mark.parametrize("version", ["v1.1", "v1.2"])
async def test_a_lock_as_measured(api: Api, version: str) -> None:
    """A lock has exactly the measured fields, in the list and alone."""
    listed = (await api.site("GET", "/locks", version=version)).json["items"]
    assert len(listed) == 12
    gate = next(lock for lock in listed if lock["customer_reference"] == "Main gate")
    assert gate == (await api.site("GET", f"/locks/{gate['id']}", version=version)).json
    assert set(gate) == LOCK_KEYS
    assert set(gate["iq"]) == {
        "id", "customer_reference", "mac_address", "is_online", "revision", "otp_enabled",
    }  # fmt: skip
    assert set(gate["vendor"]) == {"id", "reference", "display_name"}
    assert set(gate["easy_office_mode_schedule"]) == {
        "eom_auto_start", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday",
        "sunday", "start_time", "end_time", "start_date", "end_date",
    }  # fmt: skip
    assert (gate["locked_state"], gate["lock_type"]) == ("locked", "wall_reader_pin")


async def test_the_campsite_has_all_kinds_of_doors(api: Api) -> None:
    """All lock types, a low battery, privacy mode and an offline lock are there."""
    locks = (await api.site("GET", "/locks")).json["items"]
    assert {lock["lock_type"] for lock in locks} == {
        "escutcheon_pin", "wall_reader_pin", "escutcheon", "wall_reader", "cylinder", "unknown",
        "none",
    }  # fmt: skip
    assert [lock["battery_level"] for lock in locks].count("low") == 1
    assert [lock["privacy_mode"] for lock in locks].count(True) == 1
    assert [lock["online"] for lock in locks].count(False) == 1


async def test_the_settings(api: Api) -> None:
    """The settings say how long an opening lasts."""
    gate = api.lock_id("Main gate")
    assert (await api.site("GET", f"/locks/{gate}/settings")).json == {"open_time": 10}


async def test_locks_that_are_not_there(api: Api) -> None:
    """An unknown lock, and one of another site, are 404/2202; no UUID is 400/1100."""
    elsewhere = next(x.id for x in api.sim.world.locks.values() if x.site_id != api.site_id)
    for lock_id in (elsewhere, NOWHERE):
        assert (await api.site("GET", f"/locks/{lock_id}")).code == (404, "2202")
        assert (await api.open(lock_id, "zzzzz")).code == (404, "2202")
    assert (await api.open("gate", "zzzzz")).code == (400, "1100")


async def test_a_momentary_opening(serve: Serve) -> None:
    """Opening is 200 without a body; the door relocks by itself after its open time."""
    api, gate = await ready(serve)
    answer = await api.open(gate, good(api))
    assert (answer.status, answer.text) == (200, "")
    assert await state(api, gate) == "unlocked"
    api.sim.clock.advance(8)
    assert await state(api, gate) == "unlocked"
    api.sim.clock.advance(3)
    assert await state(api, gate) == "locked"


async def test_a_second_opening_starts_the_time_again(serve: Serve) -> None:
    """Who opens an open door keeps it open for another open time."""
    api, gate = await ready(serve)
    await api.open(gate, good(api))
    api.sim.clock.advance(8)
    await api.open(gate, good(api))
    api.sim.clock.advance(8)
    assert await state(api, gate) == "unlocked"
    api.sim.clock.advance(3)
    assert await state(api, gate) == "locked"


async def test_an_upper_case_code(serve: Serve) -> None:
    """The case of the code does not matter."""
    api, gate = await ready(serve)
    assert (await api.open(gate, good(api).upper())).status == 200


@pytest.mark.parametrize(
    ("quirk", "status", "keys"),
    [
        ("200_empty", 200, None),
        ("200_json", 200, {"id", "site_id", "locked_state"}),
        ("204", 204, None),
    ],
)
async def test_the_success(serve: Serve, quirk: str, status: int, keys: set[str] | None) -> None:
    """What a success looks like is a quirk; that the door opens is none."""
    api, gate = await ready(serve, Quirks.instant(locking_success=quirk))
    answer = await api.open(gate, good(api))
    assert answer.status == status
    assert (set(answer.json) if answer.text else None) == keys
    assert await state(api, gate) == "unlocked"


async def test_office_mode(serve: Serve) -> None:
    """Office mode stays, an opening does not end it, `locked` does."""
    api, gate = await ready(serve)
    assert (await api.open(gate, good(api), "office_mode")).status == 200
    api.sim.clock.advance(1800)
    assert await state(api, gate) == "office_mode"
    assert (await api.open(gate, good(api))).status == 200
    api.sim.clock.advance(60)
    assert await state(api, gate) == "office_mode"
    assert (await api.open(gate, good(api), "locked")).status == 200
    assert await state(api, gate) == "locked"


async def test_locking_an_open_door(serve: Serve) -> None:
    """`locked` ends a momentary opening too, and does nothing to a locked door."""
    api, gate = await ready(serve)
    await api.open(gate, good(api))
    assert (await api.open(gate, good(api), "locked")).status == 200
    assert await state(api, gate) == "locked"
    assert (await api.open(gate, good(api), "locked")).status == 200
    log = (await api.site("GET", "/entries", version="v1.1")).json["items"]
    assert [line["event_category"] for line in log] == ["lock_opened"]


async def test_office_mode_outlasts_an_opening(serve: Serve) -> None:
    """Office mode set while a door is open for a moment is not ended by the relocking."""
    api, gate = await ready(serve)
    await api.open(gate, good(api))
    await api.open(gate, good(api), "office_mode")
    api.sim.clock.advance(60)
    assert await state(api, gate) == "office_mode"


async def test_what_is_logged(serve: Serve) -> None:
    """Openings and office mode are in the log as remote, with who did it; failures are not."""
    api, gate = await ready(serve)
    await api.open(gate, "zzzzz")
    await api.open(gate, good(api))
    await api.open(gate, good(api), "office_mode")
    await api.open(gate, good(api), "locked")
    log = (await api.site("GET", "/entries", version="v1.1")).json["items"]
    told = [(line["event_category"], line["event_detail"], line["access_by"]) for line in log]
    assert sorted(told, key=str) == [
        ("lock_opened", None, "remote"),
        ("office_mode", "end", "remote"),
        ("office_mode", "start", "remote"),
    ]
    me = (await api.call("GET", "/me")).json
    assert {line["user_id"] for line in log} == {me["id"]}
    assert {line["user_first_name"] for line in log} == {me["first_name"]}


async def test_a_missing_code(serve: Serve) -> None:
    """The literal capture: 404/2202 without `otp`."""
    api, gate = await ready(serve)
    assert (await api.open(gate, None)).error == (404, "2202", "Otp is invalid")
    assert await state(api, gate) == "locked"


async def test_a_wrong_code(serve: Serve) -> None:
    """The literal capture: 400/3102, and the door stays locked."""
    api, gate = await ready(serve)
    assert (await api.open(gate, "zzzzz")).error == (400, "3102", FAILED + "otp_invalid")
    assert await state(api, gate) == "locked"


async def test_the_block(serve: Serve) -> None:
    """After three wrong codes a right one is 403 on every door of that IQ, not of another."""
    api, gate = await ready(serve)
    second = api.seed["iqs"][1]["id"]
    api.sim.activate(second, secret=SECRET, pin=PIN)
    for _ in range(3):
        await api.open(gate, "zzzzz")
    blocked = (403, "3102", FAILED + "otp_blocked")
    assert (await api.open(gate, good(api))).error == blocked
    assert (await api.open(api.lock_id("Reception office"), good(api))).error == blocked
    assert (await api.open(api.lock_id("Laundry"), good(api))).status == 200
    api.sim.clock.advance(1201)
    assert (await api.open(gate, good(api))).status == 200


@pytest.mark.parametrize("status", [403, 400])
async def test_a_pin_that_was_never_set(serve: Serve, status: int) -> None:
    """Before activation it is `pin_not_changed`, however often, and that feeds no block."""
    api = await serve(Quirks.instant(pin_not_changed_status=status))
    gate = api.lock_id("Main gate")
    for _ in range(9):
        assert (await api.open(gate, "zzzzz")).error == (status, "3102", FAILED + "pin_not_changed")


async def test_an_iq_without_codes(serve: Serve) -> None:
    """With `otp_enabled` off a door opens with and without a code, activated or not."""
    api = await serve()
    gate = api.lock_id("Main gate")
    api.sim.set("iq", api.iq_id, otp_enabled=False)
    assert (await api.open(gate, None)).status == 200
    assert (await api.open(gate, "zzzzz")).status == 200


@pytest.mark.parametrize("status", [408, 404, 400, 403, 500])
async def test_offline(serve: Serve, status: int) -> None:
    """An offline IQ and an offline lock refuse with the status of the quirk, for own reasons."""
    api, gate = await ready(serve, Quirks.instant(offline_status=status))
    api.sim.set("lock", gate, online=False)
    assert (await api.open(gate, good(api))).error == (status, "3102", FAILED + "lock_offline")
    api.sim.set("lock", gate, online=True)
    api.sim.set("iq", api.iq_id, online=False)
    assert (await api.open(gate, "zzzzz")).error == (status, "3102", FAILED + "iq_offline")
    lock = (await api.site("GET", f"/locks/{gate}")).json
    assert (lock["online"], lock["iq"]["is_online"]) == (True, False)
    api.sim.set("iq", api.iq_id, online=True)
    assert (await api.open(gate, good(api))).status == 200


async def test_a_lock_without_an_iq(serve: Serve) -> None:
    """A lock whose IQ was taken away shows none and cannot be opened."""
    api, gate = await ready(serve)
    api.sim.remove("iq", api.iq_id)
    lock = (await api.site("GET", f"/locks/{gate}")).json
    assert (lock["iq"], lock["iq_link_state"]) == (None, "detached")
    assert (await api.open(gate, good(api))).error == (408, "3102", FAILED + "not_attached")


@pytest.mark.parametrize(("quirk", "status"), [("refused", 403), ("opens", 200)])
async def test_privacy_mode(serve: Serve, quirk: str, status: int) -> None:
    """Whether a door in privacy mode opens remotely is a quirk; overriding it always opens."""
    api = await serve(Quirks.instant(remote_in_privacy=quirk))
    api.sim.activate(api.seed["iqs"][1]["id"], secret=SECRET, pin=PIN)
    cabin = api.lock_id("Pitch 13 cabin")
    assert (await api.open(cabin, good(api))).status == status
    me = (await api.site("GET", "/me")).json["id"]
    api.sim.set("user", me, override_privacy_mode=True)
    assert (await api.open(cabin, good(api))).status == 200


async def test_rights(serve: Serve) -> None:
    """Without remote access, blocked, or in a role without doors, opening is 403/2203."""
    api, gate = await ready(serve)
    me = (await api.site("GET", "/me")).json["id"]
    for change, undo in (
        ({"remote_access": False}, {"remote_access": True}),
        ({"blocked": True}, {"blocked": False}),
        ({"roles": ["site_guest"]}, {"roles": ["site_admin"]}),
        ({"roles": ["site_user"]}, {"roles": ["site_admin"]}),
    ):
        api.sim.set("user", me, **change)
        assert (await api.open(gate, good(api))).code == (403, "2203")
        api.sim.set("user", me, **undo)
        assert (await api.open(gate, good(api))).status == 200


async def test_doors_of_ones_own(serve: Serve) -> None:
    """A site user opens remotely what it shares an access group with, and sets no office mode."""
    api, gate = await ready(serve)
    me = (await api.site("GET", "/me")).json
    group = await api.new_group()
    await api.site("POST", f"/access_groups/{group}/locks", {"lock_id": gate})
    await api.site("POST", f"/access_groups/{group}/users", {"user_id": me["user"]["id"]})
    api.sim.set("user", me["id"], roles=["site_user"])
    assert (await api.open(gate, good(api))).status == 200
    office = api.lock_id("Reception office")
    assert (await api.open(office, good(api))).code == (403, "2203")
    assert (await api.open(gate, good(api), "office_mode")).code == (403, "2203")
    api.sim.set("user", me["id"], roles=["site_user", "site_remote_office_mode_user"])
    assert (await api.open(gate, good(api), "office_mode")).status == 200


async def test_the_order_of_checks(serve: Serve) -> None:
    """Each check comes before the ones after it, from the token down to the code."""
    api, gate = await ready(serve)
    me = (await api.site("GET", "/me")).json["id"]
    for _ in range(3):
        await api.open(gate, "zzzzz")
    api.sim.set("iq", api.iq_id, online=False, restore_required=True)
    api.sim.set("user", me, remote_access=False)
    api.sim.set("site", api.site_id, subscription_valid=False)

    token, api.token = api.token, "wrong"
    assert (await api.open("gate", None)).status == 401
    api.token = token
    assert (await api.open("gate", None, "ajar")).code == (400, "1100")
    assert (await api.open(NOWHERE, None, "ajar")).code == (400, "1101")
    assert (await api.open(NOWHERE, None)).code == (404, "2202")
    assert (await api.open(gate, None)).code == (403, "2212")
    api.sim.set("site", api.site_id, subscription_valid=True)
    assert (await api.open(gate, None)).code == (403, "2203")
    api.sim.set("user", me, remote_access=True)
    assert (await api.open(gate, None)).error[2] == "The Iq must be restored first."
    api.sim.set("iq", api.iq_id, restore_required=False)
    assert (await api.open(gate, None)).code == (404, "2202")
    assert (await api.open(gate, good(api))).error[2] == FAILED + "iq_offline"
    api.sim.set("iq", api.iq_id, online=True)
    assert (await api.open(gate, good(api))).error[2] == FAILED + "otp_blocked"
    api.sim.clock.advance(1201)
    api.sim.set("lock", gate, online=False)
    assert (await api.open(gate, "zzzzz")).error[2] == FAILED + "otp_invalid"
    assert (await api.open(gate, good(api))).error[2] == FAILED + "lock_offline"


async def test_a_site_that_is_not_released(serve: Serve) -> None:
    """Before release nothing opens: 400/2210."""
    api, gate = await ready(serve)
    api.sim.set("site", api.site_id, installation_state="in_progress")
    assert (await api.open(gate, good(api))).code == (400, "2210")


async def test_a_lock_that_is_taken_down(serve: Serve) -> None:
    """A removed lock is gone from the list, from its groups and from the door."""
    api, gate = await ready(serve)
    api.sim.remove("lock", gate)
    assert gate not in {x["id"] for x in (await api.site("GET", "/locks")).json["items"]}
    assert all(gate not in group.lock_ids for group in api.sim.world.groups.values())
    assert (await api.open(gate, good(api))).code == (404, "2202")
