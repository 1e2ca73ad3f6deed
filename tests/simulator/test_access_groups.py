"""Access groups, their doors, members and time schedules."""

import pytest

from simulator import Quirks

from .conftest import Serve
from .harness import ALWAYS, NOWHERE, Api

SCHEDULE_KEYS = set(ALWAYS) | {"id"}


async def ids_in(api: Api, path: str) -> list[str]:
    """Return the ids in a list."""
    return [item["id"] for item in (await api.site("GET", path)).json["items"]]


@pytest.mark.parametrize("version", ["v1.1", "v1.2"])
async def test_a_group_from_creation_to_deletion(api: Api, version: str) -> None:
    """A group is created, read, listed and deleted with what belongs to it."""
    body = {"customer_reference": "Stay 1"}
    answer = await api.site("POST", "/access_groups", body, version=version)
    assert answer.status == 200
    group = answer.json
    assert set(group) == {"id", "customer_reference"}
    path = f"/access_groups/{group['id']}"
    assert (await api.site("GET", path, version=version)).json == group
    listed = (await api.site("GET", "/access_groups", version=version)).json["items"]
    assert group in listed
    await api.new_schedule(group["id"])
    assert (await api.site("DELETE", path, version=version)).status == 204
    assert (await api.site("GET", path)).code == (404, "2202")
    assert (await api.site("DELETE", path)).code == (404, "2202")
    assert not api.sim.world.schedules_of(group["id"])


async def test_groups_that_are_refused(api: Api) -> None:
    """A group needs a name; one of another site is unknown here."""
    assert (await api.site("POST", "/access_groups", {})).code == (400, "1100")
    blank = {"customer_reference": " "}
    assert (await api.site("POST", "/access_groups", blank)).code == (400, "1101")
    marina = next(x for x in api.sim.world.sites.values() if x.site_uid == "NL0000000002")
    group = await api.new_group()
    answer = await api.call("GET", f"/sites/{marina.id}/access_groups/{group}")
    assert answer.code == (404, "2202")


async def test_a_new_group_is_listed_later(serve: Serve) -> None:
    """A group can be read at once and is in the list within a minute."""
    api = await serve(Quirks())
    group = await api.new_group()
    assert (await api.site("GET", f"/access_groups/{group}")).status == 200
    assert group not in await ids_in(api, "/access_groups")
    api.sim.clock.advance(61)
    assert group in await ids_in(api, "/access_groups")


@pytest.mark.parametrize("status", [200, 204])
async def test_doors_of_a_group(serve: Serve, status: int) -> None:
    """Doors are added and removed one by one or together."""
    api = await serve(Quirks.instant(group_write_status=status))
    path = f"/access_groups/{await api.new_group()}/locks"
    gate, laundry, office = (
        api.lock_id(name) for name in ("Main gate", "Laundry", "Reception office")
    )
    for _ in range(2):
        answer = await api.site("POST", path, {"lock_id": gate})
        assert (answer.status, answer.text) == (status, "")
    assert await ids_in(api, path) == [gate]
    both = {"add_ids": [laundry, office, laundry], "remove_ids": [gate]}
    assert (await api.site("PATCH", path, both)).status == status
    assert await ids_in(api, path) == [laundry, office]
    assert (await api.site("DELETE", f"{path}/{laundry}")).status == status
    assert (await api.site("DELETE", f"{path}/{laundry}")).code == (404, "2202")
    assert await ids_in(api, path) == [office]
    assert (await api.site("GET", path)).json["items"] == [
        {"id": office, "customer_reference": "Reception office"}
    ]


async def test_doors_that_are_refused(api: Api) -> None:
    """Unknown doors, doors of other sites and empty changes change nothing."""
    path = f"/access_groups/{await api.new_group()}/locks"
    gate = api.lock_id("Main gate")
    elsewhere = next(x.id for x in api.sim.world.locks.values() if x.site_id != api.site_id)
    assert (await api.site("POST", path, {"lock_id": elsewhere})).code == (404, "2202")
    assert (await api.site("POST", path, {"lock_id": "gate"})).code == (400, "1101")
    half = {"add_ids": [gate, NOWHERE]}
    assert (await api.site("PATCH", path, half)).code == (404, "2202")
    assert (await api.site("PATCH", path, {"remove_ids": [gate]})).code == (404, "2202")
    assert (await api.site("PATCH", path, {})).code == (400, "1100")
    assert (await api.site("PATCH", path, {"add_ids": gate})).code == (400, "1101")
    assert (await api.site("PATCH", path, {"add_ids": [1]})).code == (400, "1101")
    assert await ids_in(api, path) == []


async def test_members_by_platform_id(api: Api) -> None:
    """Membership takes the platform id; the site-user id is the literal 404."""
    path = f"/access_groups/{await api.new_group()}/users"
    guest = await api.new_guest("Pitch 3")
    wrong = await api.site("POST", path, {"user_id": guest["id"]})
    assert wrong.error == (404, "2202", "User not found")
    person = guest["user"]["id"]
    assert (await api.site("POST", path, {"user_id": person})).status == 204
    (member,) = (await api.site("GET", path)).json["items"]
    assert set(member) == {"id", "user", "alias"}
    assert (member["id"], member["user"]["id"]) == (guest["id"], person)
    assert (await api.site("DELETE", f"{path}/{guest['id']}")).code == (404, "2202")
    assert (await api.site("DELETE", f"{path}/{person}")).status == 204
    assert (await api.site("PATCH", path, {"add_ids": [person]})).status == 204
    assert (await api.site("PATCH", path, {"remove_ids": [guest["id"]]})).code == (404, "2202")
    assert await ids_in(api, path) == [guest["id"]]


async def test_a_deleted_member_leaves(serve: Serve) -> None:
    """Who is deleted is in no group any more, at once."""
    api = await serve(Quirks.instant(delete_lag_s=10.0))
    path = f"/access_groups/{await api.new_group()}/users"
    guest = await api.new_guest()
    await api.site("POST", path, {"user_id": guest["user"]["id"]})
    await api.site("DELETE", f"/users/{guest['id']}")
    assert await ids_in(api, path) == []
    again = await api.site("POST", path, {"user_id": guest["user"]["id"]})
    assert again.code == (404, "2202")


async def test_a_schedule_as_measured(api: Api) -> None:
    """A schedule comes back with an id, its end on second 59 and dates without a zone."""
    group = await api.new_group()
    answer = await api.new_schedule(
        group,
        end_time="18:00",
        start_date="2026-07-01T15:00:00",
        end_date="2026-07-05T10:00:00",
    )
    assert answer.status == 200
    schedule = answer.json
    assert set(schedule) == SCHEDULE_KEYS
    assert (schedule["start_time"], schedule["end_time"]) == ("00:00:00", "18:00:59")
    assert schedule["start_date"] == "2026-07-01T15:00:00"
    assert schedule["end_date"] == "2026-07-05T10:00:00"
    path = f"/access_groups/{group}/time_schedules"
    assert (await api.site("GET", path, version="v1.1")).json["items"] == [schedule]


async def test_whole_days(api: Api) -> None:
    """A date alone stands for the whole day."""
    answer = await api.new_schedule(
        await api.new_group(), start_date="2026-07-01", end_date="2026-07-05"
    )
    assert answer.json["start_date"] == "2026-07-01T00:00:00"
    assert answer.json["end_date"] == "2026-07-05T23:59:59"


async def test_the_end_may_come_back_altered(serve: Serve) -> None:
    """With the quirk the end of the dates gets its 59 seconds too."""
    api = await serve(Quirks.instant(end_date_seconds="fifty_nine"))
    answer = await api.new_schedule(await api.new_group(), end_date="2026-07-05T10:00:00")
    assert answer.json["end_date"] == "2026-07-05T10:00:59"
    assert (await api.new_schedule(await api.new_group())).json["end_date"] is None


async def test_no_day_at_all(api: Api) -> None:
    """The literal refusal of a schedule without a day."""
    group = await api.new_group()
    days = {name: False for name, value in ALWAYS.items() if value is True}
    answer = await api.new_schedule(group, **days)
    assert answer.error == (400, "1101", "At least one day should be selected")


@pytest.mark.parametrize(
    "changes",
    [
        {"days": ["monday"]},
        {"monday": "yes"},
        {"start_time": "25:00:00"},
        {"start_time": "8 am"},
        {"start_time": "18:00", "end_time": "17:00"},
        {"start_date": "soon"},
        {"start_date": "2026-07-01T15:00:00Z"},
        {"start_date": "2026-07-05T10:00:00", "end_date": "2026-07-05T10:00:00"},
    ],
)
async def test_schedules_that_are_refused(api: Api, changes: dict[str, object]) -> None:
    """What never holds, cannot be read or names a zone is 400/1101 and leaves no schedule."""
    group = await api.new_group()
    assert (await api.new_schedule(group, **changes)).code == (400, "1101")
    assert not api.sim.world.schedules_of(group)


async def test_a_schedule_needs_its_days_and_times(api: Api) -> None:
    """A day or time that is left out is 400/1100."""
    path = f"/access_groups/{await api.new_group()}/time_schedules"
    for name in ("monday", "start_time", "end_time"):
        body = {key: value for key, value in ALWAYS.items() if key != name}
        assert (await api.site("POST", path, body, version="v1.1")).code == (400, "1100")


async def test_changing_a_schedule(api: Api) -> None:
    """PATCH changes in place what it names; a refused change changes nothing."""
    group = await api.new_group()
    schedule = (await api.new_schedule(group)).json
    path = f"/access_groups/{group}/time_schedules/{schedule['id']}"
    change = {"end_date": "2026-08-01T10:00:00", "start_time": "06:00"}
    answer = await api.site("PATCH", path, change, version="v1.1")
    assert answer.status == 200
    assert answer.json == schedule | {"end_date": "2026-08-01T10:00:00", "start_time": "06:00:00"}
    bad = {"start_time": "07:00", "start_date": "2026-09-01T00:00:00"}
    assert (await api.site("PATCH", path, bad, version="v1.1")).code == (400, "1101")
    kept = await api.site("GET", f"/access_groups/{group}/time_schedules", version="v1.1")
    assert kept.json["items"] == [answer.json]
    assert (await api.site("DELETE", path, version="v1.1")).status == 204
    assert (await api.site("DELETE", path, version="v1.1")).code == (404, "2202")


async def test_a_schedule_belongs_to_its_group(api: Api) -> None:
    """A schedule is not found under another group."""
    schedule = (await api.new_schedule(await api.new_group())).json["id"]
    path = f"/access_groups/{await api.new_group()}/time_schedules/{schedule}"
    assert (await api.site("DELETE", path, version="v1.1")).code == (404, "2202")


async def test_schedules_are_in_version_1_1(api: Api) -> None:
    """Time schedules have only been seen in v1.1, so nowhere else are they served."""
    path = f"/access_groups/{await api.new_group()}/time_schedules"
    assert (await api.site("POST", path, dict(ALWAYS))).code == (404, "2202")


@pytest.mark.parametrize(
    ("quirk", "path", "allowed"),
    [
        ("groups_read", "", "POST"),
        ("groups_read", "/{group}", "DELETE"),
        ("group_locks_read", "/{group}/locks", "PATCH,POST"),
        ("group_users_read", "/{group}/users", "PATCH,POST"),
        ("group_schedules_read", "/{group}/time_schedules", "POST"),
    ],
)
async def test_reads_that_may_not_exist(serve: Serve, quirk: str, path: str, allowed: str) -> None:
    """Each inferred read can be absent: then it is 405, and writing still works."""
    api = await serve(Quirks.instant(**{quirk: "absent"}))
    group = await api.new_group()
    full = "/access_groups" + path.format(group=group)
    answer = await api.site("GET", full, version="v1.1")
    assert answer.code == (405, "1100")
    assert answer.headers["Allow"] == allowed
    assert (await api.new_schedule(group)).status == 200
