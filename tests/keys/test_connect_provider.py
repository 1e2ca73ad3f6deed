"""What a key costs in requests, how it is read back, and what is said when it is not as wanted."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
import logging
from typing import Any

import pytest

from custom_components.salto_ks.api.exceptions import (
    SaltoKsAuthError,
    SaltoKsConnectionError,
    SaltoKsError,
    SaltoKsServerError,
)
from custom_components.salto_ks.domain.ids import DoorId, GuestId
from custom_components.salto_ks.domain.keys import (
    KeyProblem,
    KeyRecord,
    KeyStatus,
    KeyWarning,
    Strategy,
)
from custom_components.salto_ks.domain.pins import NoPinLeftError
from custom_components.salto_ks.domain.windows import AccessWindow
from custom_components.salto_ks.keys.connect_guests import LONGEST_NAME, alias
from custom_components.salto_ks.keys.provider import KeyFailedError
from simulator import Fault, Quirks

from .desk import HOUR, LAGS_OVER, MORNING, Desk, desk_of, digits

GROUPS = "/access_groups"
GROUP = "/access_groups/{group}"
TIMES = "/access_groups/{group}/time_schedules"
READ_BACK = [
    "GET /users/{user}",
    "GET /users/{user}/keys",
    f"GET {GROUP}/locks",
    f"GET {GROUP}/users",
    f"GET {TIMES}",
]
NO = {"ErrorCode": "1101", "Message": "No."}
FORBIDDEN = {"ErrorCode": "2203", "Message": "No right."}
NOT_FOUND = {"ErrorCode": "2202", "Message": "Not found"}


async def failing(work: Awaitable[Any]) -> KeyFailedError:
    """Do some work that fails for good, and return how."""
    with pytest.raises(KeyFailedError) as failed:
        await work
    return failed.value


async def test_requests_of_an_issue(desk: Desk) -> None:
    """A key costs seven writes and five reads; a second time zone three writes and four reads more."""
    assert await desk.calls(desk.issued(*desk.doors)) == [
        f"POST {GROUPS}",
        f"PATCH {GROUP}/locks",
        f"POST {TIMES}",
        "POST /guests",
        "PATCH /users/{user}",
        f"POST {GROUP}/users",
        "PUT /users/{user}/pin",
        *READ_BACK,
    ]
    desk.set_zone(desk.doors[-1], "America/New_York")
    assert len(await desk.calls(desk.issued(*desk.doors))) == 12 + 4 + 3


async def test_requests_of_a_change(desk: Desk) -> None:
    """A longer stay moves the expiry first, a shorter one last; doors are one request."""
    issued = await desk.issued()
    old = issued.record.window
    expiry = ["PATCH /users/{user}", "GET /users/{user}"]
    longer = replace(issued.record, window=AccessWindow(old.starts_at, old.ends_at + HOUR))
    moved = [f"PATCH {TIMES}/{{schedule}}", *READ_BACK]
    assert await desk.calls(desk.provider.change(issued.record, longer)) == [*expiry, *moved]
    assert await desk.calls(desk.provider.change(longer, issued.record)) == [*moved, *expiry]
    doors = replace(issued.record, doors=frozenset(desk.doors[1:3]))
    assert await desk.calls(desk.provider.change(issued.record, doors)) == [
        f"PATCH {GROUP}/locks",
        *moved,
    ]


async def test_requests_of_the_other_steps(desk: Desk) -> None:
    """Each step costs what it has to; the lists are pages, not keys."""
    issued = await desk.issued()
    record, provider = issued.record, desk.provider
    subscription = ["PATCH /users/{user}/subscription", "GET /users/{user}"]
    assert await desk.calls(provider.suspend(record)) == subscription
    assert await desk.calls(provider.resume(record)) == subscription
    assert await desk.calls(provider.rotate(record, None)) == ["PUT /users/{user}/pin"]
    leave = [f"DELETE {GROUP}/users/{{user}}"]
    assert await desk.calls(provider.set_membership(record, member=False)) == leave
    join = [f"POST {GROUP}/users"]
    assert await desk.calls(provider.set_membership(record, member=True)) == join
    lists = ["GET /users", f"GET {GROUPS}"]
    assert await desk.calls(provider.observe()) == lists
    assert await desk.calls(provider.remove_spares(record)) == lists
    assert await desk.calls(provider.capabilities()) == ["GET /", "GET /subscription"]
    removal = ["DELETE /users/{user}", f"DELETE {GROUP}"]
    assert await desk.calls(provider.remove(record.key_id, record)) == [*removal, *lists]


async def test_capabilities(desk: Desk) -> None:
    """What the site can do is what Salto says now; an unreadable subscription has no features."""
    can = await desk.provider.capabilities()
    site = desk.sim.site
    used = desk.sim.world.seats_used(desk.sim.site_id)
    assert (can.pins_enabled, can.can_choose_pin) == (True, False)
    assert can.seats_free == site.subscribed_user_amount - used
    desk.sim.faults.add(Fault(route="/subscription", status=403, body=FORBIDDEN))
    desk.sim.set("site", desk.site_id, features=["custom_pin"], pin_enabled=False)
    can = await desk.provider.capabilities()
    assert (can.pins_enabled, can.can_choose_pin) == (False, False)
    site_answer = {"id": desk.site_id, "pin_enabled": True}
    desk.sim.faults.add(Fault(route="/v1.2/sites/{site}", status=200, body=site_answer))
    assert (await desk.provider.capabilities()).seats_free is None


READS = ["group_locks_read", "group_users_read", "group_schedules_read", "keys_read", "groups_read"]


@pytest.mark.parametrize("read", READS)
async def test_a_read_that_is_not_offered(socket_enabled: None, read: str) -> None:
    """A key is made, changed and removed without it, and says what could not be observed."""
    async with desk_of(Quirks.instant(**{read: "absent"})) as desk:
        issued = await desk.issued()
        unread = KeyWarning.NOT_OBSERVABLE in issued.record.warnings
        assert unread is (read != "groups_read")
        changed = await desk.provider.change(
            issued.record, replace(issued.record, doors=frozenset(desk.doors[1:2]))
        )
        door, pin = desk.doors[1], issued.keypad_pin
        assert desk.opens(door, pin, issued.record.window.starts_at)
        assert ((await desk.provider.observe()).groups is None) is (read == "groups_read")
        await desk.provider.remove(changed.key_id, changed)
        assert (desk.guests(changed), desk.groups(changed)) == ([], [])


async def test_no_read_is_offered_at_all(socket_enabled: None) -> None:
    """With none of the inferred reads doors and keys still work; only what is known is removed."""
    async with desk_of(Quirks.instant(**dict.fromkeys(READS, "absent"))) as desk:
        desk.set_zone(desk.doors[-1], "America/New_York")
        issued = await desk.issued()
        far = frozenset(desk.doors[-1:])
        changed = await desk.provider.change(issued.record, replace(issued.record, doors=far))
        door, pin = desk.doors[-1], issued.keypad_pin
        assert desk.edges(door, pin, issued.record.window) == (False, True, True, False)
        await desk.provider.remove(changed.key_id, changed)
        assert (desk.guests(changed), desk.groups(changed)) == ([], [])


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 400, "body": NO},
        {"status": 403, "body": FORBIDDEN},
        {"status": 404, "body": NOT_FOUND},
        {"status": 404, "body": "<html>"},
        {"status": 500},
        {"status": 200, "body": {"items": [{"user_id": "?"}]}},
    ],
    ids=str,
)
@pytest.mark.parametrize("part", ["locks", "users", "time_schedules"])
async def test_a_read_that_answers_as_nobody_has_seen(
    desk: Desk, part: str, answer: dict[str, Any]
) -> None:
    """An inferred read that is refused, broken or shaped otherwise is no reason to lose a key."""
    desk.sim.faults.add(Fault(method="GET", route=f"{GROUP}/{part}", count=None, **answer))
    issued = await desk.issued()
    assert issued.record.warnings == {KeyWarning.NOT_OBSERVABLE}
    assert desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.starts_at)


@pytest.mark.parametrize(("listed", "lost"), [("present", True), ("absent", False)])
async def test_a_group_that_is_gone_is_no_read_that_is_missing(
    socket_enabled: None, listed: str, lost: bool
) -> None:
    """404 for all of a group means gone where the list shows so, and nothing where there is none."""
    async with desk_of(Quirks.instant(groups_read=listed)) as desk:
        issued = await desk.issued()
        wanted = replace(issued.record, doors=frozenset(desk.doors[1:2]))
        gone = Fault(method="GET", route=f"{GROUP}/", count=None, status=404, body=NOT_FOUND)
        desk.sim.faults.add(replace(gone, route="/access_groups/"))
        assert (await desk.provider.change(issued.record, wanted)).warnings == {
            KeyWarning.NOT_OBSERVABLE
        }
        group = desk.groups(issued.record)[0]
        desk.sim.faults.add(Fault(method="PATCH", route="/access_groups/", status=200, count=None))
        desk.sim.remove("group", group.id)
        change = desk.provider.change(wanted, wanted)
        if lost:
            failed = await failing(change)
            assert (failed.problem, failed.detail) == (KeyProblem.NOT_READ_BACK, "group")
        else:
            assert (await change).warnings == {KeyWarning.NOT_OBSERVABLE}


type Spoil = Callable[[Desk, KeyRecord], object]


def guest_set(**values: Any) -> Spoil:
    """Change the guest behind our back."""
    return lambda desk, record: desk.sim.set("user", desk.guests(record)[0].id, **values)


def group_set(**values: Any) -> Spoil:
    """Change the group behind our back."""
    return lambda desk, record: desk.sim.set("group", desk.groups(record)[0].id, **values)


def second_schedule(desk: Desk, record: KeyRecord) -> None:
    """Add a schedule that always holds."""
    desk.sim.add("schedule", {"group_id": desk.groups(record)[0].id})


@pytest.mark.parametrize(
    ("spoil", "problem", "detail"),
    [
        (guest_set(subscription_state="suspended"), KeyProblem.SEAT_UNAVAILABLE, ""),
        (guest_set(use_pin=False), KeyProblem.NOT_READ_BACK, "use_pin"),
        (guest_set(blocked=True), KeyProblem.NOT_READ_BACK, "use_pin"),
        (guest_set(pin=None), KeyProblem.NOT_READ_BACK, "pin"),
        (group_set(lock_ids=[]), KeyProblem.NOT_READ_BACK, "doors"),
        (group_set(user_ids=[]), KeyProblem.NOT_READ_BACK, "member"),
        (second_schedule, KeyProblem.NOT_READ_BACK, "window"),
    ],
    ids=["seat", "use_pin", "blocked", "pin", "doors", "member", "window"],
)
async def test_what_does_not_agree(
    desk: Desk, spoil: Spoil, problem: KeyProblem, detail: str
) -> None:
    """A key that was altered at Salto is told by what differs, once it had time to settle."""
    issued = await desk.issued()
    spoil(desk, issued.record)
    failed = await failing(desk.provider.change(issued.record, issued.record))
    assert (failed.problem, failed.detail) == (problem, detail)
    assert sum(desk.time.pauses) == 90


async def test_a_schedule_that_is_not_there(desk: Desk) -> None:
    """A group whose schedule Salto does not list opens nothing, and that is a failure."""
    desk.sim.faults.add(
        Fault(method="GET", route=TIMES, status=200, body={"items": []}, count=None)
    )
    record = desk.record()
    failed = await failing(desk.provider.issue(record, None))
    assert failed.problem is KeyProblem.GROUP_WITHOUT_SCHEDULE
    assert (desk.guests(record), desk.groups(record)) == ([], [])


async def test_what_settles_is_no_failure(desk: Desk) -> None:
    """A guest that is not found at first, or a stale answer, is asked for again."""
    desk.sim.faults.add(
        Fault(method="GET", route="/users/{user}", status=404, body=NOT_FOUND, count=3)
    )
    issued = await desk.issued()
    assert desk.time.pauses == [5, 5, 5]
    assert issued.record.warnings == frozenset()


async def test_a_guest_that_is_gone(desk: Desk) -> None:
    """Steps with a guest that somebody has deleted fail by name, and nothing is waited for long."""
    issued = await desk.issued()
    desk.sim.remove("user", desk.guests(issued.record)[0].id)
    record, provider = issued.record, desk.provider
    for work in (
        provider.change(record, record),
        provider.suspend(record),
        provider.resume(record),
        provider.rotate(record, None),
        provider.change(replace(record, guest=None), record),
    ):
        assert (await failing(work)).problem is KeyProblem.NOT_READ_BACK


async def test_suspended_by_us_and_subscribed_by_somebody(desk: Desk) -> None:
    """A suspended key that has a seat again does not pass for suspended."""
    issued = await desk.issued()
    suspended = replace(issued.record, status=KeyStatus.SUSPENDED)
    failed = await failing(desk.provider.change(suspended, suspended))
    assert failed.detail == "subscription_state"


async def test_a_suspended_guest_may_not_be_listed_as_member(desk: Desk) -> None:
    """A group that does not list its suspended member is read back all the same."""
    issued = await desk.issued()
    await desk.provider.suspend(issued.record)
    desk.sim.faults.add(Fault(method="GET", route=f"{GROUP}/users", status=200, body={"items": []}))
    suspended = replace(issued.record, status=KeyStatus.SUSPENDED)
    assert await desk.provider.change(suspended, suspended) == suspended


async def test_a_suspension_that_salto_ignores(desk: Desk) -> None:
    """A suspension is believed only when Salto says so."""
    issued = await desk.issued()
    desk.sim.faults.add(Fault(route="/subscription", status=204))
    failed = await failing(desk.provider.suspend(issued.record))
    assert failed.problem is KeyProblem.NOT_READ_BACK


async def test_a_seat_that_is_refused_for_another_reason(desk: Desk) -> None:
    """A missing right is no missing seat."""
    issued = await desk.issued()
    desk.sim.faults.add(
        Fault(route="/users/{user}/subscription", method="PATCH", status=403, body=FORBIDDEN)
    )
    failed = await failing(desk.provider.resume(issued.record))
    assert failed.problem is KeyProblem.FORBIDDEN


@pytest.mark.parametrize("state", [None, "", "paused"])
async def test_a_seat_that_salto_does_not_tell(desk: Desk, state: str | None) -> None:
    """A creation that says nothing of a seat is read again; another word is no seat."""
    person = "77777777-7777-4777-8777-777777777777"
    made: dict[str, Any] = {
        "id": "66666666-6666-4666-8666-666666666666",
        "user": {"id": person},
        "alias": "Pitch 12 ha-ab12-1",
        "subscription_state": state,
    }
    desk.sim.faults.add(Fault(method="POST", route="/guests", status=201, body=made))
    read = made | {"subscription_state": "suspended"}
    desk.sim.faults.add(Fault(method="GET", route="/users/{user}", status=200, body=read))
    record = desk.record()
    failed = await failing(desk.provider.issue(record, None))
    assert failed.problem is KeyProblem.SEAT_UNAVAILABLE
    assert desk.sim.journal.count("GET", "/users/{user}") >= (state != "paused")


async def test_an_alias_that_lost_its_marker(desk: Desk) -> None:
    """A guest that could never be found again is not kept."""
    made = {
        "id": "66666666-6666-4666-8666-666666666666",
        "user": {"id": "77777777-7777-4777-8777-777777777777"},
        "alias": "Pitch 12 ha-ab",
        "subscription_state": "subscribed",
    }
    desk.sim.faults.add(Fault(method="POST", route="/guests", status=201, body=made))
    failed = await failing(desk.provider.issue(desk.record(), None))
    assert (failed.problem, failed.detail) == (KeyProblem.NOT_READ_BACK, "marker")


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("Pitch 12", "Pitch 12 ha-ab12-1"),
        ("", "ha-ab12-1"),
        (" two\nlines ", "two lines ha-ab12-1"),
        ("ha-zz99-7 villa", "ha-ab12-1"),
        ("x" * 200, "x" * LONGEST_NAME + " ha-ab12-1"),
    ],
)
async def test_what_a_guest_is_called(desk: Desk, name: str, called: str) -> None:
    """The name is one short line, and only the key's own marker is in it."""
    desk.name = name
    issued = await desk.issued()
    assert desk.guests(issued.record)[0].alias == called == alias(name, issued.record.key_id)


async def test_a_young_guest_is_deleted_once_salto_knows_it(socket_enabled: None) -> None:
    """404 for a guest made a moment ago does not mean that it is gone."""
    async with desk_of(Quirks.instant(detail_lag_s=120.0)) as desk:
        record = desk.record()
        failed = await failing(desk.provider.issue(record, None))
        assert (failed.problem, failed.leftovers) == (KeyProblem.NOT_READ_BACK, False)
        assert (desk.guests(record), desk.groups(record)) == ([], [])


async def test_a_young_guest_that_never_comes_up(desk: Desk) -> None:
    """After five minutes a guest that Salto does not find is taken for gone."""
    desk.sim.faults.add(Fault(route="/users/{user}", status=404, body=NOT_FOUND, count=None))
    record = desk.record()
    failed = await failing(desk.provider.issue(record, None))
    assert not failed.leftovers
    assert 300 <= sum(desk.time.pauses) < 330


async def test_an_expiry_that_cannot_be_moved(socket_enabled: None) -> None:
    """A stay beyond the guest's end is moved, with a warning that it has to be issued anew."""
    for quirk in ("ignored", "refused"):
        async with desk_of(Quirks.instant(patch_expires_at=quirk)) as desk:
            issued = await desk.issued()
            old = issued.record.window
            little, much = (
                replace(issued.record, window=AccessWindow(old.starts_at, old.ends_at + more))
                for more in (timedelta(days=20), timedelta(days=40))
            )
            changed = await desk.provider.change(issued.record, little)
            assert changed.warnings == frozenset()
            changed = await desk.provider.change(changed, much)
            assert changed.warnings == {KeyWarning.EXPIRY_NOT_MOVED}
            assert changed.guest == issued.record.guest
            assert desk.opens(desk.doors[0], issued.keypad_pin, old.ends_at + timedelta(days=29))


async def test_an_expiry_that_salto_does_not_tell(desk: Desk) -> None:
    """What cannot be read back counts as not moved."""
    issued = await desk.issued()
    desk.sim.set("user", desk.guests(issued.record)[0].id, expires_at=None)
    desk.sim.faults.add(Fault(method="PATCH", route="/users/{user}", status=200))
    old = issued.record.window
    longer = replace(issued.record, window=AccessWindow(old.starts_at, old.ends_at + HOUR))
    changed = await desk.provider.change(issued.record, longer)
    assert changed.warnings == {KeyWarning.EXPIRY_NOT_MOVED}


async def test_salto_fails_while_an_expiry_is_moved(desk: Desk) -> None:
    """An answer that never comes is no refusal: nothing else is moved."""
    issued = await desk.issued()
    desk.sim.faults.add(Fault(method="PATCH", route="/users/{user}", reset=True, count=None))
    old = issued.record.window
    longer = replace(issued.record, window=AccessWindow(old.starts_at, old.ends_at + HOUR))
    with pytest.raises(SaltoKsConnectionError):
        await desk.provider.change(issued.record, longer)
    assert desk.opens(desk.doors[0], issued.keypad_pin, old.ends_at - HOUR)
    assert not desk.opens(desk.doors[0], issued.keypad_pin, old.ends_at)


@pytest.mark.parametrize("what", ["group", "schedule", "no schedule known"])
async def test_a_group_that_vanished_is_made_anew_by_a_change(desk: Desk, what: str) -> None:
    """A change mends a key whose group or schedule somebody has deleted; the PIN stays."""
    issued = await desk.issued()
    record = issued.record
    group = desk.groups(record)[0]
    if what == "group":
        desk.sim.remove("group", group.id)
    elif what == "schedule":
        schedule = next(s for s in desk.sim.world.schedules.values() if s.group_id == group.id)
        desk.sim.remove("schedule", schedule.id)
    else:
        record = replace(record, groups=tuple(replace(g, times_id=None) for g in record.groups))
    changed = await desk.provider.change(record, record)
    assert [g.id for g in desk.groups(record)] == [g.id for g in changed.groups] != [group.id]
    window = issued.record.window
    assert desk.edges(desk.doors[0], issued.keypad_pin, window) == (False, True, True, False)


async def test_a_door_that_left_the_group_already(desk: Desk) -> None:
    """A change repeated after a lost answer is worked out anew, also where nothing can be read."""
    for read in ("present", "absent"):
        async with desk_of(Quirks.instant(group_locks_read=read)) as other:
            issued = await other.issued(*other.doors[:2])
            other.sim.set("group", issued.record.groups[0].id, lock_ids=[other.doors[0]])
            wanted = replace(issued.record, doors=frozenset(other.doors[2:3]))
            changed = await other.provider.change(issued.record, wanted)
            assert other.groups(changed)[0].lock_ids == other.doors[2:3]


async def test_a_change_that_fails_keeps_the_old_groups(desk: Desk) -> None:
    """Until a new zone's group is read back the old door opens, and the new group is taken back."""
    desk.set_zone(desk.doors[-1], "America/New_York")
    issued = await desk.issued()
    far = replace(issued.record, doors=frozenset(desk.doors[-1:]))
    desk.sim.faults.add(
        Fault(method="GET", route=TIMES, status=200, body={"items": []}, count=None)
    )
    await failing(desk.provider.change(issued.record, far))
    assert [group.id for group in desk.groups(far)] == [issued.record.groups[0].id]
    desk.sim.faults.add(Fault(method="DELETE", route=GROUP, reset=True, count=None))
    await failing(desk.provider.change(issued.record, far))
    desk.sim.faults.clear()
    assert await desk.provider.remove_spares(issued.record) == 1
    door, pin = desk.doors[0], issued.keypad_pin
    assert desk.opens(door, pin, issued.record.window.starts_at)


async def test_unknown_zones_are_refused_before_anything_is_sent(desk: Desk) -> None:
    """A time zone that nobody knows keeps a key from being made, and nothing is asked of Salto."""
    desk.set_zone(desk.doors[0], "W. Europe Standard Time")
    record = desk.record()
    calls = await desk.calls(failing(desk.provider.issue(record, None)))
    assert calls == []
    desk.set_zone(desk.doors[0], "Europe/Amsterdam")
    issued = await desk.issued()
    desk.set_zone(desk.doors[0], "../etc/passwd")
    calls = await desk.calls(failing(desk.provider.change(issued.record, issued.record)))
    assert calls == []


async def test_zones(desk: Desk) -> None:
    """Doors are sorted by the wall clock of their IQ."""
    near, far = DoorId(desk.doors[0]), DoorId(desk.doors[-1])
    desk.set_zone(far, "America/New_York")
    assert desk.provider.zones([near, far]) == {
        "America/New_York": {far},
        "Europe/Amsterdam": {near},
    }


async def test_joined_already(desk: Desk) -> None:
    """A refusal to let somebody in who is in counts as joined; any other refusal does not."""
    issued = await desk.issued()
    fault = Fault(method="POST", route=f"{GROUP}/users", status=400, body=NO)
    desk.sim.faults.add(fault)
    record = await desk.provider.set_membership(issued.record, member=True)
    assert record == issued.record
    record = await desk.provider.set_membership(record, member=False)
    assert not record.groups[0].member
    record = await desk.provider.set_membership(record, member=False)
    desk.sim.faults.add(replace(fault))
    failed = await failing(desk.provider.set_membership(record, member=True))
    assert failed.problem is KeyProblem.REFUSED


async def test_a_guest_joins_as_soon_as_it_can(socket_enabled: None) -> None:
    """A guest made a moment ago is waited for when its key goes by membership."""
    async with desk_of(Quirks.instant()) as desk:
        record = (await desk.issued(strategy=Strategy.MEMBERSHIP)).record
        fault = Fault(method="POST", route=f"{GROUP}/users", status=404, body=NOT_FOUND, count=2)
        desk.sim.faults.add(fault)
        record = await desk.provider.set_membership(record, member=True)
        assert record.groups[0].member
        record = await desk.provider.set_membership(record, member=False)
        desk.sim.clock.advance(LAGS_OVER.total_seconds())
        desk.sim.faults.add(replace(fault))
        failed = await failing(desk.provider.set_membership(record, member=True))
        assert failed.problem is KeyProblem.NOT_READ_BACK


async def test_a_refusal_keeps_no_other_removal_from_being_tried(desk: Desk) -> None:
    """A guest that Salto does not let us delete still loses its doors, and the refusal comes out."""
    issued = await desk.issued()
    desk.sim.faults.add(
        Fault(method="DELETE", route="/users/{user}", status=403, body=FORBIDDEN, count=None)
    )
    removal = desk.provider.remove(issued.record.key_id, issued.record)
    assert (await failing(removal)).problem is KeyProblem.FORBIDDEN
    assert desk.groups(issued.record) == []
    assert not desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.starts_at)
    spare = replace(issued.record, guest=None, groups=())
    assert (await failing(desk.provider.remove_spares(spare))).problem is KeyProblem.FORBIDDEN


async def test_observe_counts_and_finds(desk: Desk) -> None:
    """Guests and groups with a marker are ours; all others are counted and nothing more."""
    strangers = len(desk.sim.world.users_of(desk.sim.site_id))
    one, other = await desk.issued(), await desk.issued()
    await desk.provider.suspend(other.record)
    seen = await desk.provider.observe()
    assert seen.unmanaged == strangers
    assert {(g.key_id, g.has_seat, g.pin_enabled) for g in seen.guests} == {
        (one.record.key_id, True, True),
        (other.record.key_id, False, True),
    }
    assert seen.groups is not None
    assert {group.id for group in seen.groups} == {
        issued.record.groups[0].id for issued in (one, other)
    }
    desk.sim.faults.add(Fault(method="GET", route="/users", status=403, body=FORBIDDEN))
    assert (await failing(desk.provider.observe())).problem is KeyProblem.FORBIDDEN


async def test_a_refused_login_is_no_failure_of_the_key(desk: Desk) -> None:
    """When the account is refused the key is not given up: a new login mends it."""
    issued = await desk.issued()
    desk.sim.set("account", desk.sim.username, password="another")
    desk.sim.revoke_tokens()
    works: list[Awaitable[Any]] = [
        desk.provider.issue(desk.record(), None),
        desk.provider.change(issued.record, issued.record),
        desk.provider.remove(issued.record.key_id, issued.record),
    ]
    for work in works:
        with pytest.raises(SaltoKsAuthError):
            await work


async def test_chosen_pins_that_nobody_takes(desk: Desk) -> None:
    """When every choice is refused, or none is left, the key fails and nothing is left."""
    desk.sim.set("site", desk.site_id, features=["custom_pin"])

    def none_left() -> str:
        raise NoPinLeftError

    for choose in (none_left, digits("12", "34", "56", "78")):
        record = desk.record()
        failed = await failing(desk.provider.issue(record, choose))
        assert failed.problem is KeyProblem.REFUSED
        assert desk.guests(record) == []
    desk.sim.set("site", desk.site_id, features=[])
    failed = await failing(desk.provider.issue(desk.record(), digits("4711")))
    assert failed.problem is KeyProblem.FORBIDDEN


async def test_a_rotation_refused_after_a_lost_answer(desk: Desk) -> None:
    """Then nobody has the PIN that counts, and that is said."""
    issued = await desk.issued()
    desk.sim.faults.add(Fault(method="PUT", route="/pin", drop_after_commit=True))
    desk.sim.faults.add(Fault(method="PUT", route="/pin", status=400, body=NO))
    failed = await failing(desk.provider.rotate(issued.record, None))
    assert failed.problem is KeyProblem.PIN_LOST
    assert not desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.starts_at)


async def test_a_pin_is_not_asked_for_again_while_the_first_may_come(desk: Desk) -> None:
    """After a lost answer the next PIN waits, lest the first one replace it unnoticed."""
    desk.sim.faults.add(Fault(method="PUT", route="/pin", drop_after_commit=True))
    issued = await desk.issued()
    assert max(desk.time.pauses) >= 30
    assert desk.opens(desk.doors[0], issued.keypad_pin, issued.record.window.starts_at)


async def test_no_pin_in_any_text(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Neither reprs nor errors nor logs hold a PIN, whether Salto's or ours."""
    caplog.set_level(logging.DEBUG, logger="custom_components")
    caplog.set_level(logging.DEBUG, logger="asyncio")
    texts: list[str] = []
    issued = await desk.issued()
    texts.append(repr(issued))
    desk.sim.set("site", desk.site_id, features=["custom_pin"])
    quoting = {"ErrorCode": "1101", "Message": "The pin 471108 cannot be used."}
    desk.sim.faults.add(Fault(method="PUT", route="/pin/custom", status=403, body=quoting))
    failed = await failing(desk.provider.issue(desk.record(), digits("471108")))
    texts += [str(failed), repr(failed), repr(failed.__cause__)]
    secret = "4711080"
    desk.sim.faults.add(
        Fault(method="PUT", route="/pin", status=200, body=f'"{secret}', count=None)
    )
    with pytest.raises(SaltoKsError) as odd:
        await desk.provider.issue(desk.record(), None)
    texts += [str(odd.value), repr(odd.value), repr(odd.value.__context__)]
    for text in (*texts, caplog.text):
        for pin in (issued.keypad_pin, "471108", secret):
            assert pin not in text


async def test_unmanaged_guests_are_never_touched(desk: Desk) -> None:
    """A guest without our marker survives everything, whatever it is called."""
    desk.sim.add("user", {"alias": "ha-family Jansen", "use_pin": True})
    desk.sim.add("user", {"alias": "hA-ab12-1", "use_pin": True})
    desk.sim.add("user", {"alias": "ha-zz99-1 of another home", "use_pin": True})
    before = {user.id for user in desk.sim.world.users.values()}
    issued = await desk.issued(starts_at=MORNING + timedelta(days=1))
    assert issued.record.guest is not None
    await desk.provider.remove_spares(issued.record)
    await desk.provider.remove(issued.record.key_id, None)
    alive = {GuestId(u.id) for u in desk.sim.world.users.values() if u.deleted_at is None}
    assert alive == before


async def test_salto_fails_on_and_on(desk: Desk) -> None:
    """A failure of the server that does not end comes out as it is, wherever a change is."""
    issued = await desk.issued()
    old = issued.record.window
    longer = AccessWindow(old.starts_at, old.ends_at + HOUR)
    wanted = replace(issued.record, window=longer, doors=frozenset(desk.doors[1:2]))
    for route in ("/users/{user}", f"{GROUP}/locks"):
        desk.sim.faults.add(
            Fault(method="PATCH", route=f"/v1.2/sites/{{site}}{route}", status=503, count=None)
        )
        with pytest.raises(SaltoKsServerError):
            await desk.provider.change(issued.record, wanted)
        desk.sim.faults.clear()
    assert (await desk.provider.change(issued.record, wanted)).window == longer


async def test_doors_moved_by_an_answer_that_was_lost(desk: Desk) -> None:
    """The repeated request is refused, and nothing is left to be done."""
    issued = await desk.issued()
    wanted = replace(issued.record, doors=frozenset(desk.doors[1:2]))
    desk.sim.faults.add(Fault(method="PATCH", route=f"{GROUP}/locks", drop_after_commit=True))
    calls = await desk.calls(desk.provider.change(issued.record, wanted))
    assert calls[:3] == [f"PATCH {GROUP}/locks"] * 2 + [f"GET {GROUP}/locks"]
    assert calls[3] == f"PATCH {TIMES}/{{schedule}}"


async def test_a_change_into_the_hour_that_comes_twice(desk: Desk) -> None:
    """A moved window says so when its end had to be widened."""
    issued = await desk.issued()
    night = MORNING.replace(year=2027, month=10, day=31, hour=0, minute=30)
    window = AccessWindow(night - HOUR, night + HOUR)
    changed = await desk.provider.change(issued.record, replace(issued.record, window=window))
    assert changed.warnings == {KeyWarning.CLOCK_CHANGE}


async def test_removed_by_its_marker_alone(desk: Desk) -> None:
    """A key whose record knows nothing of Salto is found by its marker."""
    issued = await desk.issued()
    bare = replace(issued.record, guest=None, groups=())
    await desk.provider.remove(bare.key_id, bare)
    assert (desk.guests(bare), desk.groups(bare)) == ([], [])
