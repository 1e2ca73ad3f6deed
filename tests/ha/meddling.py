"""What somebody may do to a key at Salto behind our back, by what a comparison then finds."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from custom_components.salto_ks.domain.outcomes import Outcome
from simulator import Simulator
from simulator.world import AccessGroup, Schedule

from .keys import HOUR, groups
from .support import GATE, LAUNDRY, lock_named

type Key = Mapping[str, Any]
"""A key as `issue_key` has answered."""

STRANGE_PIN = "7391"
"""The PIN of a guest that somebody has made with our marker."""


def group_of(sim: Simulator, key: Key) -> AccessGroup:
    """Return the only group of a key."""
    (group,) = [one for one in groups(sim) if f"ha-{key['key_id']}." in one.customer_reference]
    return group


def schedule_of(sim: Simulator, key: Key) -> Schedule:
    """Return the only schedule of a key."""
    (schedule,) = sim.world.schedules_of(group_of(sim, key).id)
    return schedule


def unknown_key(key: Key) -> str:
    """Return the id of a key that this Home Assistant could have made, and has not."""
    return f"{key['key_id'].partition('-')[0]}-0"


def delete_guest(sim: Simulator, key: Key) -> None:
    """Delete a key's guest in the web app."""
    sim.remove("user", key["salto_key_id"])


def suspend_guest(sim: Simulator, key: Key) -> None:
    """Suspend a key's guest in the web app."""
    sim.set("user", key["salto_key_id"], subscription_state="suspended")


def block_guest(sim: Simulator, key: Key) -> None:
    """Block a key's guest in the web app."""
    sim.set("user", key["salto_key_id"], blocked=True)


def forbid_pin(sim: Simulator, key: Key) -> None:
    """Take the right to use a PIN from a key's guest in the web app."""
    sim.set("user", key["salto_key_id"], use_pin=False)


def take_pin(sim: Simulator, key: Key) -> None:
    """Take the PIN of a key's guest in the web app."""
    sim.set("user", key["salto_key_id"], pin=None)


def end_guest_sooner(sim: Simulator, key: Key) -> None:
    """Have a key's guest end by itself in the middle of its window."""
    end = datetime.fromisoformat(key["ends_at"]) - HOUR
    sim.set("user", key["salto_key_id"], expires_at=end.isoformat())


def delete_group(sim: Simulator, key: Key) -> None:
    """Delete a key's group in the web app."""
    sim.remove("group", group_of(sim, key).id)


def leave_group(sim: Simulator, key: Key) -> None:
    """Take a key's guest out of its group in the web app."""
    sim.set("group", group_of(sim, key).id, user_ids=[])


def change_doors(sim: Simulator, key: Key) -> None:
    """Give a key another door than its own in the web app."""
    sim.set("group", group_of(sim, key).id, lock_ids=[lock_named(sim, LAUNDRY).id])


def delete_schedule(sim: Simulator, key: Key) -> None:
    """Delete the schedule of a key in the web app."""
    sim.remove("schedule", schedule_of(sim, key).id)


def move_schedule(sim: Simulator, key: Key) -> None:
    """Have a key open a day later in the web app."""
    schedule = schedule_of(sim, key)
    assert schedule.start_date is not None
    assert schedule.end_date is not None
    day = timedelta(days=1)
    sim.set(
        "schedule",
        schedule.id,
        start_date=(schedule.start_date + day).isoformat(),
        end_date=(schedule.end_date + day).isoformat(),
    )


def copy_guest(sim: Simulator, key: Key) -> None:
    """Add another guest with a key's marker in the web app."""
    sim.add("user", {"alias": f"Home Assistant ha-{key['key_id']}"})


def copy_group(sim: Simulator, key: Key) -> None:
    """Add another group with a key's marker in the web app."""
    sim.add("group", {"customer_reference": f"ha-{key['key_id']}.9"})


def add_key(sim: Simulator, key: Key) -> None:
    """Make a key for the gate, like another one, with a marker that we could have given."""
    add_key_of(sim, unknown_key(key), GATE, key)


def add_key_of(sim: Simulator, key_id: str, door: str, like: Key) -> None:
    """Make a key with the marker of this id for one door, at the times of another key."""
    name = f"ha-{key_id}"
    user: Any = sim.add(
        "user", {"alias": f"Home Assistant {name}", "use_pin": True, "pin": STRANGE_PIN}
    )
    group: Any = sim.add(
        "group",
        {
            "customer_reference": f"{name}.1",
            "lock_ids": [lock_named(sim, door).id],
            "user_ids": [user.user_id],
        },
    )
    times = schedule_of(sim, like)
    assert times.start_date is not None
    assert times.end_date is not None
    sim.add(
        "schedule",
        {
            "group_id": group.id,
            "start_time": times.start_time.isoformat(),
            "end_time": times.end_time.isoformat(),
            "start_date": times.start_date.isoformat(),
            "end_date": times.end_date.isoformat(),
        },
    )


MEDDLING: Mapping[Outcome, Callable[[Simulator, Key], None]] = {
    Outcome.MISSING_AT_SALTO: delete_guest,
    Outcome.UNKNOWN_AT_SALTO: add_key,
    Outcome.DUPLICATE_AT_SALTO: copy_guest,
    Outcome.SUSPENDED: suspend_guest,
    Outcome.PIN_DISABLED: forbid_pin,
    Outcome.PIN_MISSING: take_pin,
    Outcome.EXPIRY_DIFFERS: end_guest_sooner,
    Outcome.GROUP_MISSING: delete_group,
    Outcome.MEMBER_MISSING: leave_group,
    Outcome.DOORS_DIFFER: change_doors,
    Outcome.GROUP_WITHOUT_SCHEDULE: delete_schedule,
    Outcome.WINDOW_DIFFERS: move_schedule,
    Outcome.ORPHAN_GROUP: copy_group,
}
"""All that can be found about a key that is not over."""
