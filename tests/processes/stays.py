"""Stays to issue keys for, what holds them up, and what has to be true of their keys at last."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from scripts.demo_lib.waiting import until

from .house import PATIENCE, Home
from .vendor import SITE, Record, Vendor

MINUTE = timedelta(minutes=1)
STARTS_AT = datetime.combine(datetime.now(UTC).date() + timedelta(days=2), time(14), UTC)
"""When every stay begins: nobody gets in yet."""
ENDS_AT = STARTS_AT + timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Stay:
    """Somebody is to open a door for some days."""

    door: str
    booking_id: str | None = None

    @property
    def data(self) -> dict[str, object]:
        """What `issue_key` is called with."""
        booking = {} if self.booking_id is None else {"booking_id": self.booking_id}
        window = {"starts_at": STARTS_AT.isoformat(), "ends_at": ENDS_AT.isoformat()}
        return {"doors": [self.door], **window, **booking}


DOORS = ("lock.main_gate", "lock.laundry", "lock.pitch_12_cabin", "lock.sanitary_block_north")
"""As many as there are keys that are worked on at the same time."""

BOOKED = tuple(Stay(door, f"R-2027-{number}") for number, door in enumerate(DOORS))
UNBOOKED = tuple(Stay(door) for door in DOORS)


@dataclass(frozen=True, slots=True)
class Moment:
    """A request in which something is caught."""

    method: str
    route: str


MAKE_GROUP = Moment("POST", f"{SITE}/access_groups")
MAKE_TIMES = Moment("POST", "/v1.1/sites/{site}/access_groups/{group}/time_schedules")
MAKE_GUEST = Moment("POST", f"{SITE}/guests")
JOIN = Moment("POST", f"{SITE}/access_groups/{{group}}/users")
GIVE_PIN = Moment("PUT", f"{SITE}/users/{{user}}/pin")
READ_BACK = Moment("GET", f"{SITE}/users/{{user}}/keys")
REMOVE_GUEST = Moment("DELETE", f"{SITE}/users/{{user}}")
REMOVE_GROUP = Moment("DELETE", f"{SITE}/access_groups/{{group}}")

NEVER_DONE: Mapping[str, object] = {"latency": 600, "reset": True}
"""Salto does nothing, and says nothing for longer than anybody waits."""

NO_ANSWER: Mapping[str, object] = {"drop_after_commit": True}
"""Salto does what it is asked, and the connection breaks."""


def done_after(seconds: float) -> Mapping[str, object]:
    """Have Salto do what it is asked, but later."""
    return {"latency": seconds}


class InFlight:
    """Actions that are under way, each caught in a request of its own."""

    def __init__(self, home: Home, vendor: Vendor) -> None:
        """Begin with none."""
        self._home = home
        self._vendor = vendor
        self._calls: list[asyncio.Task[Any]] = []
        self._caught: list[tuple[Moment, datetime, datetime]] = []

    async def catch(
        self, action: str, data: Mapping[str, object], moment: Moment, *fates: Mapping[str, object]
    ) -> None:
        """Run an action until its request has arrived at Salto, as often as there are fates."""
        after = datetime.now(UTC)
        for fate in fates:
            await self._vendor.disturb(moment.method, moment.route, **fate)
        self._calls.append(asyncio.create_task(self._home.attempt(action, **data)))
        await until(self._vendor.has_disturbed, PATIENCE, f"{moment} arrives")
        self._caught.append((moment, after, datetime.now(UTC)))
        assert not any(call.done() for call in self._calls)

    async def answers(self) -> list[Any]:
        """Return what the callers get, be it an error."""
        return await asyncio.gather(*self._calls, return_exceptions=True)

    async def wait_until_done(self) -> None:
        """Wait until Salto has dealt with all of the requests."""

        async def are_done() -> bool:
            journal = await self._vendor.journal()
            return all(_has(journal, *caught) for caught in self._caught)

        await until(are_done, PATIENCE, "Salto has dealt with all that was asked")


def _has(
    journal: Iterable[Record], moment: Moment, not_before: datetime, not_after: datetime
) -> bool:
    """Tell whether a request that arrived in this time has ended: only then it is written down."""
    return any(
        (request["method"], request["route"]) == (moment.method, moment.route)
        and not_before <= datetime.fromisoformat(request["at"]) <= not_after
        for request in journal
    )


async def check_one_key_each(
    home: Home, vendor: Vendor, stays: Iterable[Stay] = BOOKED
) -> dict[str, str]:
    """Check that each stay has one key, with one guest in one group; return PINs by doors."""

    async def are_set() -> bool:
        return all(key["status"] != "setting" for key in (await home.keys()).values())

    await until(are_set, PATIENCE, "no key is on its way any more")
    keys = await home.keys()
    guests, groups = await vendor.of_keys("user"), await vendor.of_keys("group")
    assert sorted((key["booking_id"], *key["doors"], key["status"]) for key in keys.values()) == [
        (stay.booking_id, stay.door, "set") for stay in stays
    ]
    assert keys.keys() == guests.keys() == groups.keys()
    pins = {}
    for key_id, key in keys.items():
        (guest,), (group,) = guests[key_id], groups[key_id]
        assert key["salto_key_id"] == guest["id"]
        assert group["user_ids"] == [guest["user_id"]]
        pins[key["doors"][0]] = str((await home.act("get_pin", key_id=key_id))["pin"])
    assert (await home.act("reconcile", dry_run=True))["findings"] == []
    return pins


async def check_nothing_else(home: Home, vendor: Vendor, *key_ids: str) -> None:
    """Wait until no other keys than these have left anything at Salto, and none else is set."""

    async def are_gone() -> bool:
        left = {*await vendor.of_keys("user"), *await vendor.of_keys("group")}
        return left == set(key_ids)

    await until(are_gone, PATIENCE, "nothing else is left at Salto")
    told = {key_id: key["status"] for key_id, key in (await home.keys()).items()}
    assert told == {key: "set" if key in key_ids else "removing" for key in told}


async def check_windows(vendor: Vendor, pins: Mapping[str, str]) -> None:
    """Check that PINs open from the first to the last minute of the stay, and at no other time."""
    for moment, reason in (
        (STARTS_AT - MINUTE, "outside_schedule"),
        (STARTS_AT + MINUTE, "granted"),
        (ENDS_AT - MINUTE, "granted"),
        (ENDS_AT + MINUTE, "outside_schedule"),
    ):
        await vendor.move_clock(moment)
        told = {door: await vendor.type_pin(door, pin) for door, pin in pins.items()}
        assert told == dict.fromkeys(pins, reason)
