"""What tests of keys do again and again: ask for keys by action, and type PINs at doors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant

from simulator import Simulator
from simulator.world import AccessGroup, SiteUser

from .support import DOMAIN, GATE, LAUNDRY, door, lock_named
from .watching import asked

MORNING = datetime(2026, 12, 7, 8, 0, tzinfo=UTC)
"""When a test about keys begins, a Monday in winter."""

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
INSIDE_ONLY = (False, True, True, False)
"""What a key's PIN does a minute before its window, at its start, a minute before and after its end."""

OTHER_DOOR = LAUNDRY
"""Another door with a keypad, on the other IQ."""
WITHOUT_KEYPAD = "Pedestrian gate"
"""A door at which no PIN can be typed."""

SUBSCRIPTION = "/v1.2/sites/{site}/subscription"
USERS = "/v1.2/sites/{site}/users"
USER = "/v1.2/sites/{site}/users/{user}"
SEAT = "/v1.2/sites/{site}/users/{user}/subscription"
PIN = "/v1.2/sites/{site}/users/{user}/pin"
USER_KEYS = "/v1.2/sites/{site}/users/{user}/keys"
GUESTS = "/v1.2/sites/{site}/guests"
GROUPS = "/v1.2/sites/{site}/access_groups"
GROUP = "/v1.2/sites/{site}/access_groups/{group}"
GROUP_LOCKS = "/v1.2/sites/{site}/access_groups/{group}/locks"
GROUP_USERS = "/v1.2/sites/{site}/access_groups/{group}/users"
TIMES = "/v1.1/sites/{site}/access_groups/{group}/time_schedules"
A_TIME = "/v1.1/sites/{site}/access_groups/{group}/time_schedules/{schedule}"


async def ask(
    hass: HomeAssistant,
    entry: ConfigEntry[Any],
    action: str,
    *,
    context: Context | None = None,
    **data: Any,
) -> dict[str, Any]:
    """Call an action of ours and return its response."""
    answer = await hass.services.async_call(
        DOMAIN,
        action,
        {"config_entry_id": entry.entry_id, **data},
        blocking=True,
        context=context,
        return_response=True,
    )
    assert isinstance(answer, dict)
    return answer


async def issue(
    hass: HomeAssistant,
    sim: Simulator,
    entry: ConfigEntry[Any],
    *doors: str,
    starts_at: datetime = MORNING + 2 * HOUR,
    ends_at: datetime = MORNING + 5 * HOUR,
    **more: Any,
) -> dict[str, Any]:
    """Issue a key for doors by their names, by default for the gate in two hours."""
    return await ask(
        hass,
        entry,
        "issue_key",
        doors=[door(hass, sim, name) for name in doors or (GATE,)],
        starts_at=starts_at.isoformat(),
        ends_at=ends_at.isoformat(),
        **more,
    )


def opens(sim: Simulator, keypad_pin: str, name: str = GATE, at: datetime | None = None) -> bool:
    """Type a PIN at a door, now or at a moment; the simulator's clock comes back."""
    before = sim.clock.now()
    if at is not None:
        sim.clock.set(at)
    result = sim.keypad(lock_named(sim, name).id, keypad_pin).result
    if at is not None:
        sim.clock.set(before)
    return result == "opened"


def edges(
    sim: Simulator, key: dict[str, Any], name: str = GATE, keypad_pin: str | None = None
) -> tuple[bool, ...]:
    """Type a key's PIN a minute before, at both ends of, and a minute after its window."""
    start, end = (datetime.fromisoformat(key[name]) for name in ("starts_at", "ends_at"))
    moments = (start - MINUTE, start, end - MINUTE, end + MINUTE)
    return tuple(opens(sim, keypad_pin or key["pin"], name, moment) for moment in moments)


def guests(sim: Simulator) -> list[SiteUser]:
    """List the guests with a marker that are at Salto."""
    users = sim.world.users.values()
    return [user for user in users if "ha-" in user.alias and user.deleted_at is None]


def groups(sim: Simulator) -> list[AccessGroup]:
    """List the groups with a marker that are at Salto."""
    return [g for g in sim.world.groups.values() if g.customer_reference.startswith("ha-")]


def writes(sim: Simulator) -> list[tuple[str, str]]:
    """Return what was asked of Salto that changes something there; a login does not."""
    return [(method, route) for method, route in asked(sim) if method != "GET" and "/v1" in route]


LONG = 1200
"""Seconds after which what does not end or come is given up."""

TURNS = 200
"""How often the event loop turns while time stands still."""


@asynccontextmanager
async def passing(freezer: FrozenDateTimeFactory) -> AsyncIterator[None]:
    """Let time pass, about a second at once, for as long as the block takes.

    Whatever waits for an answer gets its turns in between, and what waits for time its time.
    """
    waiting = asyncio.current_task()
    assert waiting is not None

    async def pass_on() -> None:
        for _ in range(LONG):
            for _ in range(TURNS):
                await asyncio.sleep(0)
            freezer.tick(1.01)
        waiting.cancel("it took too long")

    task = asyncio.create_task(pass_on())
    try:
        yield
    finally:
        task.cancel()


async def comes_to(freezer: FrozenDateTimeFactory, condition: Callable[[], bool]) -> None:
    """Let time pass, about a second at once, until something is so."""
    for _ in range(LONG):
        for _ in range(TURNS):
            if condition():
                return
            await asyncio.sleep(0)
        freezer.tick(1.01)
    raise AssertionError("what was waited for did not happen")
