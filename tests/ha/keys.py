"""What tests of keys do again and again: ask for keys by action, and type PINs at doors."""

from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import Context, HomeAssistant

from simulator import Simulator
from simulator.world import AccessGroup, SiteUser

from .support import DOMAIN, GATE, door, lock_named

MORNING = datetime(2026, 12, 7, 8, 0, tzinfo=UTC)
"""When a test about keys begins, a Monday in winter."""

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
INSIDE_ONLY = (False, True, True, False)
"""What a key's PIN does a minute before its window, at its start, a minute before and after its end."""

OTHER_DOOR = "Pedestrian gate"
"""Another door with a keypad, on the same IQ as the gate."""


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
    """Type a PIN at a door, at a moment."""
    if at is not None:
        sim.clock.set(at)
    return sim.keypad(lock_named(sim, name).id, keypad_pin).result == "opened"


def edges(
    sim: Simulator, key: dict[str, Any], name: str = GATE, keypad_pin: str | None = None
) -> tuple[bool, ...]:
    """Type a key's PIN a minute before, at both ends of, and a minute after its window.

    The simulator's clock comes back to where it was.
    """
    before = sim.clock.now()
    start, end = (datetime.fromisoformat(key[name]) for name in ("starts_at", "ends_at"))
    moments = (start - MINUTE, start, end - MINUTE, end + MINUTE)
    found = tuple(opens(sim, keypad_pin or key["pin"], name, moment) for moment in moments)
    sim.clock.set(before)
    return found


def guests(sim: Simulator) -> list[SiteUser]:
    """List the guests with a marker that are at Salto."""
    users = sim.world.users.values()
    return [user for user in users if "ha-" in user.alias and user.deleted_at is None]


def groups(sim: Simulator) -> list[AccessGroup]:
    """List the groups with a marker that are at Salto."""
    return [g for g in sim.world.groups.values() if g.customer_reference.startswith("ha-")]
