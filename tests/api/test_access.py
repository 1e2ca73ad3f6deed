"""Guests, groups and schedules: the requests that are made, and what is made of the answers."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta, timezone
from typing import Any, NamedTuple

import pytest

from custom_components.salto_ks.api import SaltoKsClient
from custom_components.salto_ks.api.access import AccessApi, CustomPinField
from custom_components.salto_ks.api.access_models import (
    WEEKDAYS,
    AccessGroup,
    AccessGroupId,
    ScheduleId,
    ScheduleTimes,
    SiteUser,
    TimeSchedule,
    UserKey,
)
from custom_components.salto_ks.api.exceptions import (
    SaltoKsResponseError,
    SaltoKsUnexpectedResponseError,
)
from custom_components.salto_ks.api.models import (
    LockId,
    PlatformUserId,
    SiteUserId,
    SubscriptionState,
)

from .accounts import LOCK, SITE, SITE_PATH
from .payloads import LOCK_OBJECT, MEMBER_OBJECT, PLATFORM_USER, SITE_USER
from .servers import Reply, Vendor, html, items, refusal

USER = SiteUserId(SITE_USER)
PERSON = PlatformUserId(PLATFORM_USER)
DOOR = LockId(LOCK)
GROUP = AccessGroupId("88888888-8888-4888-8888-888888888888")
TIMES = ScheduleId("99999999-9999-4999-8999-999999999999")

USERS = f"{SITE_PATH}/users"
GROUPS = f"{SITE_PATH}/access_groups"
SCHEDULES = f"/v1.1/sites/{SITE}/access_groups/{GROUP}/time_schedules"

NOON = datetime(2027, 1, 2, 11, 0, 5, 999, tzinfo=UTC)
LOCAL = datetime(2027, 1, 2, 12, 0, tzinfo=UTC).replace(tzinfo=None)

STAY = ScheduleTimes(starts=LOCAL, ends=LOCAL + timedelta(days=2))
STAY_OBJECT: dict[str, Any] = {
    **dict.fromkeys(WEEKDAYS, True),
    "start_time": "00:00:00",
    "end_time": "23:59:59",
    "start_date": "2027-01-02T12:00:00",
    "end_date": "2027-01-04T12:00:00",
}
SCHEDULE_OBJECT = {"id": TIMES, **STAY_OBJECT}
GROUP_OBJECT = {"id": GROUP, "customer_reference": "ha-ab12-1.1"}
KEY_OBJECT = {
    "type": "pin",
    "key_identifier": "pin",
    "expiry_date": None,
    "offline_access": False,
}
MEMBER = SiteUser(
    id=USER,
    platform_id=PERSON,
    alias="",
    subscription_state=SubscriptionState.SUBSCRIBED,
    use_pin=True,
    blocked=False,
    expires_at=None,
    is_guest=False,
)

type Call = Callable[[AccessApi], Awaitable[object]]


class Read(NamedTuple):
    """A read: the call, where it asks, what is answered, and what it becomes."""

    call: Call
    target: str
    reply: Reply
    expected: object


class Write(NamedTuple):
    """A write: the call, the request that it is, what is answered, and what it becomes."""

    call: Call
    method: str
    target: str
    body: object
    reply: Reply
    expected: object = None


READS = {
    "users": Read(AccessApi.users, f"{USERS}?$top=100", items(MEMBER_OBJECT), (MEMBER,)),
    "user": Read(lambda api: api.user(USER), f"{USERS}/{USER}", Reply(200, MEMBER_OBJECT), MEMBER),
    "keys": Read(
        lambda api: api.keys(USER),
        f"{USERS}/{USER}/keys?$top=100",
        items(KEY_OBJECT),
        (UserKey(type="pin", expires_at=None),),
    ),
    "groups": Read(
        AccessApi.groups,
        f"{GROUPS}?$top=100",
        items(GROUP_OBJECT),
        (AccessGroup(id=GROUP, name="ha-ab12-1.1"),),
    ),
    "doors": Read(
        lambda api: api.group_locks(GROUP),
        f"{GROUPS}/{GROUP}/locks?$top=100",
        items(LOCK_OBJECT),
        frozenset({DOOR}),
    ),
    "members": Read(
        lambda api: api.group_users(GROUP),
        f"{GROUPS}/{GROUP}/users?$top=100",
        items(MEMBER_OBJECT),
        frozenset({PERSON}),
    ),
    "schedules": Read(
        lambda api: api.schedules(GROUP),
        f"{SCHEDULES}?$top=100",
        items(SCHEDULE_OBJECT),
        (TimeSchedule(id=TIMES, times=STAY),),
    ),
}

WRITES = {
    "guest": Write(
        lambda api: api.create_guest("Pitch 12 ha-ab12-1", NOON),
        "POST",
        f"{SITE_PATH}/guests",
        {"alias": "Pitch 12 ha-ab12-1", "expires_at": "2027-01-02T11:00:05Z"},
        Reply(201, MEMBER_OBJECT),
        MEMBER,
    ),
    "use_pin": Write(
        lambda api: api.use_pin(USER, use_pin=True),
        "PATCH",
        f"{USERS}/{USER}",
        {"use_pin": True},
        Reply(200, MEMBER_OBJECT),
    ),
    "expiry": Write(
        lambda api: api.set_expiry(USER, NOON.astimezone(timezone(timedelta(hours=2)))),
        "PATCH",
        f"{USERS}/{USER}",
        {"expires_at": "2027-01-02T11:00:05Z"},
        Reply(200, MEMBER_OBJECT),
    ),
    "seat": Write(
        lambda api: api.set_subscription(USER, SubscriptionState.SUSPENDED),
        "PATCH",
        f"{USERS}/{USER}/subscription",
        {"state": "suspended"},
        Reply(204),
    ),
    "removal": Write(
        lambda api: api.delete_user(USER), "DELETE", f"{USERS}/{USER}", None, Reply(202)
    ),
    "pin": Write(
        lambda api: api.new_pin(USER),
        "PUT",
        f"{USERS}/{USER}/pin",
        {},
        Reply(200, "012345"),
        "012345",
    ),
    "own pin": Write(
        lambda api: api.set_custom_pin(USER, "4711"),
        "PUT",
        f"{USERS}/{USER}/pin/custom",
        {"pin": "4711"},
        Reply(200, "4711"),
    ),
    "own pin otherwise": Write(
        lambda api: api.set_custom_pin(USER, "4711", CustomPinField.PIN_CODE),
        "PUT",
        f"{USERS}/{USER}/pin/custom",
        {"pin_code": "4711"},
        Reply(204),
    ),
    "group": Write(
        lambda api: api.create_group("ha-ab12-1.1"),
        "POST",
        GROUPS,
        {"customer_reference": "ha-ab12-1.1"},
        Reply(200, GROUP_OBJECT),
        AccessGroup(id=GROUP, name="ha-ab12-1.1"),
    ),
    "group removal": Write(
        lambda api: api.delete_group(GROUP), "DELETE", f"{GROUPS}/{GROUP}", None, Reply(204)
    ),
    "doors": Write(
        lambda api: api.change_group_locks(GROUP, add=[DOOR]),
        "PATCH",
        f"{GROUPS}/{GROUP}/locks",
        {"add_ids": [DOOR], "remove_ids": []},
        Reply(204),
    ),
    "join": Write(
        lambda api: api.add_group_user(GROUP, PERSON),
        "POST",
        f"{GROUPS}/{GROUP}/users",
        {"user_id": PERSON},
        Reply(200),
    ),
    "leave": Write(
        lambda api: api.remove_group_user(GROUP, PERSON),
        "DELETE",
        f"{GROUPS}/{GROUP}/users/{PERSON}",
        None,
        Reply(204),
    ),
    "schedule": Write(
        lambda api: api.create_schedule(GROUP, STAY),
        "POST",
        SCHEDULES,
        STAY_OBJECT,
        Reply(200, {"id": TIMES}),
        TIMES,
    ),
    "always": Write(
        lambda api: api.create_schedule(GROUP, ScheduleTimes(starts=None, ends=None)),
        "POST",
        SCHEDULES,
        STAY_OBJECT | {"start_date": None, "end_date": None},
        Reply(200, SCHEDULE_OBJECT),
        TIMES,
    ),
    "move": Write(
        lambda api: api.change_schedule(GROUP, TIMES, STAY),
        "PATCH",
        f"{SCHEDULES}/{TIMES}",
        STAY_OBJECT,
        Reply(200, SCHEDULE_OBJECT),
    ),
}


@pytest.fixture
def api(client: SaltoKsClient) -> AccessApi:
    """Manage access at the scripted Salto."""
    return AccessApi(client, SITE)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_reads(vendor: Vendor, api: AccessApi, read: Read) -> None:
    """Each read is one request, and its answer becomes our values."""
    vendor.on("GET", read.target, read.reply)
    assert await read.call(api) == read.expected
    assert vendor.calls()[-1] == ("GET", read.target)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_writes(vendor: Vendor, api: AccessApi, write: Write) -> None:
    """Each write is one request with exactly these fields."""
    vendor.on(write.method, write.target, write.reply)
    assert await write.call(api) == write.expected
    seen = vendor.journal[-1]
    assert (seen.call, seen.json if seen.body else None) == (
        (write.method, write.target),
        write.body,
    )


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, "12345x"),
        Reply(200, "123"),
        Reply(200, 123456),
        Reply(200, {"pin": "123456"}),
        Reply(200, b'"123456'),
        Reply(200),
        html(200),
    ],
    ids=str,
)
async def test_an_answer_without_a_pin(vendor: Vendor, api: AccessApi, reply: Reply) -> None:
    """What is no PIN is told as such, and never quoted: it may be most of one."""
    vendor.on("PUT", f"{USERS}/{USER}/pin", reply)
    with pytest.raises(SaltoKsUnexpectedResponseError) as odd:
        await api.new_pin(USER)
    assert "123" not in f"{odd.value}{odd.value!r}{odd.value.__context__!r}"


async def test_a_refused_pin_is_not_quoted(vendor: Vendor, api: AccessApi) -> None:
    """A refusal that repeats our PIN loses it on the way."""
    vendor.on("PUT", f"{USERS}/{USER}/pin/custom", refusal(400, 1101, "4711 is taken"))
    with pytest.raises(SaltoKsResponseError) as refused:
        await api.set_custom_pin(USER, "4711")
    assert "4711" not in str(refused.value)


@pytest.mark.parametrize(
    ("state", "read", "has_seat"),
    [
        ("subscribed", SubscriptionState.SUBSCRIBED, True),
        ("suspended", SubscriptionState.SUSPENDED, False),
        ("paused", "paused", False),
        (None, None, False),
        ("", None, False),
        (True, None, False),
    ],
)
def test_a_seat_is_what_salto_says(state: object, read: object, has_seat: bool) -> None:
    """Only the word for it is a seat: one that is missing is silent."""
    user = SiteUser.from_api(MEMBER_OBJECT | {"subscription_state": state})
    assert (user.subscription_state, user.has_seat) == (read, has_seat)


def test_a_seat_that_is_not_mentioned() -> None:
    """A user without the field has no seat that we know of."""
    bare = {key: value for key, value in MEMBER_OBJECT.items() if key != "subscription_state"}
    assert SiteUser.from_api(bare).subscription_state is None


@pytest.mark.parametrize(
    ("dates", "starts", "ends"),
    [
        ({}, STAY.starts, STAY.ends),
        ({"start_date": None, "end_date": None}, None, None),
        (
            {"start_date": "2027-01-02", "end_date": "2027-01-04"},
            LOCAL.replace(hour=0),
            LOCAL.replace(day=4, hour=23, minute=59, second=59),
        ),
        ({"end_date": "2027-01-04T12:00:59Z"}, STAY.starts, LOCAL.replace(day=4, second=59)),
    ],
    ids=["times", "for ever", "days", "a zone and seconds"],
)
def test_dates_of_a_schedule(
    dates: dict[str, Any], starts: datetime | None, ends: datetime | None
) -> None:
    """Null is for ever, a date alone the whole day, and no zone is applied."""
    times = TimeSchedule.from_api(SCHEDULE_OBJECT | dates).times
    assert (times.starts, times.ends) == (starts, ends)


def test_hours_and_days_of_a_schedule() -> None:
    """A daily window keeps its hours, and only the days that are true count."""
    odd = {"start_time": "08:00", "end_time": "18:00:59", "sunday": False}
    times = TimeSchedule.from_api(SCHEDULE_OBJECT | odd).times
    assert (times.opens, times.closes) == (time(8), time(18, 0, 59))
    assert times.days == frozenset(WEEKDAYS) - {"sunday"}


@pytest.mark.parametrize("key", ["start_date", "end_date", "start_time", "end_time"])
@pytest.mark.parametrize("value", ["soon", "", True, {"at": 1}, "02-01-2027 12:00"])
def test_a_time_that_cannot_be_read(key: str, value: object) -> None:
    """An unreadable date or time is an error, never "for ever" or "all day"."""
    with pytest.raises(SaltoKsUnexpectedResponseError, match=key):
        TimeSchedule.from_api(SCHEDULE_OBJECT | {key: value})
