"""Access groups with their doors, members and time schedules."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
import re

from aiohttp import web

from simulator import wire
from simulator.call import Body, BodyField, Call, is_uuid
from simulator.errors import invalid_value, missing_field, not_found
from simulator.odata import Fields
from simulator.quirks import Quirks
from simulator.routing import V1_1, RouteTable
from simulator.world import (
    WEEKDAYS,
    AccessGroup,
    GroupId,
    LocalTime,
    Lock,
    PlatformUserId,
    Schedule,
    ScheduleId,
    Site,
    SiteUser,
    without,
)

routes = RouteTable()

GROUP_FIELDS: Fields[AccessGroup] = {
    "id": lambda record: record.id,
    "customer_reference": lambda record: record.customer_reference,
}
LOCK_FIELDS: Fields[Lock] = {
    "id": lambda record: record.id,
    "customer_reference": lambda record: record.customer_reference,
}
USER_FIELDS: Fields[SiteUser] = {
    "id": lambda record: record.id,
    "alias": lambda record: record.alias,
    "user/id": lambda record: record.user_id,
}
SCHEDULE_FIELDS: Fields[Schedule] = {
    "id": lambda record: record.id,
}

_CHANGE = (BodyField("add_ids", "ids"), BodyField("remove_ids", "ids"))
_DAYS = tuple(BodyField(day, "flag", required=True) for day in WEEKDAYS)
_TIMES = (BodyField("start_time", required=True), BodyField("end_time", required=True))
_DATES = (BodyField("start_date", nullable=True), BodyField("end_date", nullable=True))

_DATE_ONLY = re.compile(r"\d{4}-\d{2}-\d{2}")


@routes.list("/sites/{site}/access_groups")
async def list_groups(call: Call) -> web.Response:
    """Return a site's access groups; a new one is missing for a while.

    Evidence: INF.
    """
    call.require_read(call.quirks.groups_read, "POST")
    site = _managed_site(call)
    seen_since = call.now - timedelta(seconds=call.quirks.listing_lag_s)
    found = [group for group in call.world.groups_of(site.id) if group.created_at <= seen_since]
    return call.page(found, GROUP_FIELDS, wire.group)


@routes.add("POST", "/sites/{site}/access_groups")
async def create_group(call: Call) -> web.Response:
    """Create an access group.

    Evidence: MEAS.
    """
    body = call.body(BodyField("customer_reference", required=True))
    site = _managed_site(call)
    call.require_working(site)
    name = body.text("customer_reference")
    if not name.strip():
        raise invalid_value("The customer_reference field must not be empty.")
    group = call.world.insert(
        AccessGroup(
            id=GroupId(call.engine.dice.uuid()),
            site_id=site.id,
            customer_reference=name,
            created_at=call.now,
        )
    )
    return call.json(wire.group(group))


@routes.add("GET", "/sites/{site}/access_groups/{group}")
async def get_group(call: Call) -> web.Response:
    """Return an access group.

    Evidence: INF.
    """
    call.require_read(call.quirks.groups_read, "DELETE")
    return call.json(wire.group(_group(call)[1]))


@routes.add("DELETE", "/sites/{site}/access_groups/{group}")
async def delete_group(call: Call) -> web.Response:
    """Delete an access group with its time schedules.

    Evidence: CODE (path), INF (204).
    """
    _, group = _group(call)
    for schedule in call.world.schedules_of(group.id):
        call.world.discard(schedule)
    call.world.discard(group)
    return call.empty()


@routes.list("/sites/{site}/access_groups/{group}/locks")
async def list_group_locks(call: Call) -> web.Response:
    """Return the doors of an access group.

    Evidence: INF.
    """
    call.require_read(call.quirks.group_locks_read, "PATCH", "POST")
    _, group = _group(call)
    found = [call.world.locks[item] for item in group.lock_ids if item in call.world.locks]
    return call.page(found, LOCK_FIELDS, wire.group_lock)


@routes.add("POST", "/sites/{site}/access_groups/{group}/locks")
async def add_group_lock(call: Call) -> web.Response:
    """Add a door to an access group; one that is in it stays in it.

    Evidence: MEAS.
    """
    body = call.body(BodyField("lock_id", required=True))
    site, group = _group(call)
    call.require_working(site)
    _set_locks(call, site, group, add=[body.text("lock_id")], remove=[])
    return _written(call)


@routes.add("PATCH", "/sites/{site}/access_groups/{group}/locks")
async def change_group_locks(call: Call) -> web.Response:
    """Add doors to an access group and remove others, all or nothing.

    Evidence: DOC and CODE.
    """
    body = call.body(*_CHANGE)
    site, group = _group(call)
    _require_change(call, site, body)
    _set_locks(call, site, group, add=body.ids("add_ids"), remove=body.ids("remove_ids"))
    return _written(call)


@routes.add("DELETE", "/sites/{site}/access_groups/{group}/locks/{lock}")
async def remove_group_lock(call: Call) -> web.Response:
    """Remove a door from an access group.

    Evidence: MEAS, 404 for one that is not in it INF.
    """
    site, group = _group(call)
    _set_locks(call, site, group, add=[], remove=[call.path_id("lock")])
    return _written(call)


@routes.list("/sites/{site}/access_groups/{group}/users")
async def list_group_users(call: Call) -> web.Response:
    """Return the members of an access group.

    Evidence: INF.
    """
    call.require_read(call.quirks.group_users_read, "PATCH", "POST")
    site, group = _group(call)
    by_person = {
        user.user_id: user for user in call.world.users_of(site.id) if user.deleted_at is None
    }
    world = call.world
    found = [by_person[item] for item in group.user_ids if item in by_person]
    return call.page(found, USER_FIELDS, lambda user: wire.group_user(user, world))


@routes.add("POST", "/sites/{site}/access_groups/{group}/users")
async def add_group_user(call: Call) -> web.Response:
    """Add a member by its platform id; a new user is 404/2202 for a while.

    Evidence: MEAS.
    """
    body = call.body(BodyField("user_id", required=True))
    site, group = _group(call)
    call.require_working(site)
    _set_users(call, site, group, add=[body.text("user_id")], remove=[])
    return _written(call)


@routes.add("PATCH", "/sites/{site}/access_groups/{group}/users")
async def change_group_users(call: Call) -> web.Response:
    """Add members by their platform ids and remove others, all or nothing.

    Evidence: CODE.
    """
    body = call.body(*_CHANGE)
    site, group = _group(call)
    _require_change(call, site, body)
    _set_users(call, site, group, add=body.ids("add_ids"), remove=body.ids("remove_ids"))
    return _written(call)


@routes.add("DELETE", "/sites/{site}/access_groups/{group}/users/{user}")
async def remove_group_user(call: Call) -> web.Response:
    """Remove a member by its platform id.

    Evidence: MEAS, 404 for one that is not in it INF.
    """
    site, group = _group(call)
    _set_users(call, site, group, add=[], remove=[call.path_id("user")])
    return _written(call)


@routes.list("/sites/{site}/access_groups/{group}/time_schedules", versions=V1_1)
async def list_schedules(call: Call) -> web.Response:
    """Return the time schedules of an access group.

    Evidence: INF.
    """
    call.require_read(call.quirks.group_schedules_read, "POST")
    _, group = _group(call)
    return call.page(call.world.schedules_of(group.id), SCHEDULE_FIELDS, wire.schedule)


@routes.add("POST", "/sites/{site}/access_groups/{group}/time_schedules", versions=V1_1)
async def create_schedule(call: Call) -> web.Response:
    """Add a time schedule, on the clock of the IQ; without one a group reaches no door.

    Evidence: MEAS (fields, `:59` in `end_time`, a day is needed, 200), DOC (dates).
    """
    body = call.body(*_DAYS, *_TIMES, *_DATES)
    site, group = _group(call)
    call.require_working(site)
    schedule = Schedule(id=ScheduleId(call.engine.dice.uuid()), group_id=group.id)
    _fill(schedule, body, call.quirks)
    return call.json(wire.schedule(call.world.insert(schedule)))


@routes.add("PATCH", "/sites/{site}/access_groups/{group}/time_schedules/{schedule}", versions=V1_1)
async def change_schedule(call: Call) -> web.Response:
    """Change a time schedule in place; what is not given stays.

    Evidence: CODE (path, in place), INF (parts, 200 with the schedule).
    """
    optional = tuple(BodyField(item.name, item.kind) for item in (*_DAYS, *_TIMES))
    body = call.body(*optional, *_DATES)
    site, group = _group(call)
    call.require_working(site)
    schedule = _schedule(call, group)
    trial = Schedule(id=schedule.id, group_id=group.id)
    names = (*WEEKDAYS, "start_time", "end_time", "start_date", "end_date")
    for name in names:
        setattr(trial, name, getattr(schedule, name))
    _fill(trial, body, call.quirks)
    for name in names:
        setattr(schedule, name, getattr(trial, name))
    return call.json(wire.schedule(schedule))


@routes.add(
    "DELETE", "/sites/{site}/access_groups/{group}/time_schedules/{schedule}", versions=V1_1
)
async def delete_schedule(call: Call) -> web.Response:
    """Delete a time schedule.

    Evidence: CODE (path), INF (204).
    """
    call.world.discard(_schedule(call, _group(call)[1]))
    return call.empty()


def _managed_site(call: Call) -> Site:
    site = call.site()
    call.require_manager(site)
    return site


def _group(call: Call) -> tuple[Site, AccessGroup]:
    """Return site and access group of the path. Raises 404/2202."""
    site = _managed_site(call)
    group = call.world.groups.get(GroupId(call.path_id("group")))
    if group is None or group.site_id != site.id:
        raise not_found("Access group")
    return site, group


def _schedule(call: Call, group: AccessGroup) -> Schedule:
    schedule = call.world.schedules.get(ScheduleId(call.path_id("schedule")))
    if schedule is None or schedule.group_id != group.id:
        raise not_found("Time schedule")
    return schedule


def _written(call: Call) -> web.Response:
    return call.empty(call.quirks.group_write_status)


def _require_change(call: Call, site: Site, body: Body) -> None:
    """Raise for an empty change, and for an addition on a site that may not have one."""
    if body.ids("add_ids"):
        call.require_working(site)
    elif not body.ids("remove_ids"):
        raise missing_field("add_ids")


def _require_ids(ids: Iterable[str]) -> None:
    for item in ids:
        if not is_uuid(item):
            raise invalid_value(f"The value '{item}' is not valid.")


def _set_locks(
    call: Call, site: Site, group: AccessGroup, *, add: list[str], remove: list[str]
) -> None:
    _require_ids((*add, *remove))
    added = [call.lock_by_id(site, item).id for item in add]
    removed = [item for item in group.lock_ids if item in {text.lower() for text in remove}]
    if len(removed) != len(set(remove)):
        raise not_found("Lock")
    kept = without(group.lock_ids, removed)
    group.lock_ids = (*kept, *(item for item in dict.fromkeys(added) if item not in kept))


def _set_users(
    call: Call, site: Site, group: AccessGroup, *, add: list[str], remove: list[str]
) -> None:
    _require_ids((*add, *remove))
    added = [_member(call, site, item) for item in add]
    removed = [item for item in group.user_ids if item in {text.lower() for text in remove}]
    if len(removed) != len(set(remove)):
        raise not_found("User")
    kept = without(group.user_ids, removed)
    group.user_ids = (*kept, *(item for item in dict.fromkeys(added) if item not in kept))


def _member(call: Call, site: Site, user_id: str) -> PlatformUserId:
    """Return the platform id of somebody who can join. Evidence: MEAS (404/2202 otherwise)."""
    person = PlatformUserId(user_id.lower())
    user = call.world.user_by_platform_id(site.id, person)
    settling = timedelta(seconds=call.quirks.creation_lag_s)
    if user is None or call.now < user.created_at + settling:
        raise not_found("User")
    return person


def _fill(schedule: Schedule, body: Body, quirks: Quirks) -> None:
    """Put a checked body into a schedule. Raises 400/1101 where it makes none."""
    for day in WEEKDAYS:
        if day in body:
            setattr(schedule, day, body.values[day])
    if "start_time" in body:
        schedule.start_time = _time(body, "start_time")
    if "end_time" in body:
        schedule.end_time = _time(body, "end_time").replace(second=59)
    if "start_date" in body:
        schedule.start_date = _date(body, "start_date", time(0, 0))
    if "end_date" in body:
        schedule.end_date = _date(body, "end_date", time(23, 59, 59))
        if schedule.end_date is not None and quirks.end_date_seconds == "fifty_nine":
            schedule.end_date = LocalTime(schedule.end_date.replace(second=59))
    _require_sense(schedule)


def _require_sense(schedule: Schedule) -> None:
    """Raise 400/1101 for a schedule that never holds. Evidence: MEAS (no day), INF."""
    if not any(getattr(schedule, day) for day in WEEKDAYS):
        raise invalid_value("At least one day should be selected")
    if schedule.end_time <= schedule.start_time:
        raise invalid_value("The end_time must be after the start_time.")
    if _reversed(schedule.start_date, schedule.end_date):
        raise invalid_value("The end_date must be after the start_date.")


def _reversed(start: datetime | None, end: datetime | None) -> bool:
    return start is not None and end is not None and end <= start


def _time(body: Body, name: str) -> time:
    """Return a time of day without a zone. Raises 400/1101."""
    text = body.text(name)
    if not re.fullmatch(r"\d{2}:\d{2}(:\d{2})?", text):
        raise invalid_value(f"The {name} field is no valid time.")
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise invalid_value(f"The {name} field is no valid time.") from None


def _date(body: Body, name: str, whole_day: time) -> LocalTime | None:
    """Return a date with a time, in the zone of the IQ; a date alone stands for the whole day.

    Evidence: DOC. A zone is refused (INF): times are those of the IQ.
    """
    text = body.maybe_text(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid_value(f"The {name} field is no valid date and time.") from None
    if moment.tzinfo is not None:
        raise invalid_value(f"The {name} field must have no time zone.")
    if _DATE_ONLY.fullmatch(text):
        moment = datetime.combine(moment.date(), whole_day)
    return LocalTime(moment.replace(microsecond=0))
