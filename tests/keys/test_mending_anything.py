"""Whatever somebody does to keys at Salto: where all is mended, all agrees in the end."""

from collections.abc import Callable, Collection
import itertools
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
from hypothesis import HealthCheck, given, settings, strategies as st

from custom_components.salto_ks.domain.ids import marker
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus
from custom_components.salto_ks.domain.outcomes import Outcome
from custom_components.salto_ks.domain.plan import ABOUT_THE_SITE
from custom_components.salto_ks.keys.manager import KeyRules
from tests.ha.files import hass_config_dir, hass_storage

from .ledgers import living_in
from .offices import A_MOMENT, INSIDE_ONLY, RECEPTION, Office, office_of
from .test_manager import DAY

__all__ = ["hass_config_dir", "hass_storage"]

type Meddle = Callable[[Office, KeyRecord], object]

FOLDERS = itertools.count()
THEIRS = "ha-zzzz-7"
"""A marker of another Home Assistant."""


def to_guests(**values: Any) -> Meddle:
    """Change all guests of a key."""

    def meddle(office: Office, record: KeyRecord) -> None:
        for guest in office.desk.guests(record):
            office.desk.sim.set("user", guest.id, **values)

    return meddle


def to_groups(**values: Any) -> Meddle:
    """Change all groups of a key."""

    def meddle(office: Office, record: KeyRecord) -> None:
        for group in office.desk.groups(record):
            office.desk.sim.set("group", group.id, **values)

    return meddle


def guests_removed(office: Office, record: KeyRecord) -> None:
    """Remove all guests of a key."""
    for guest in office.desk.guests(record):
        office.desk.sim.remove("user", guest.id)


def groups_removed(office: Office, record: KeyRecord) -> None:
    """Remove all groups of a key."""
    for group in office.desk.groups(record):
        office.desk.sim.remove("group", group.id)


def schedules_removed(office: Office, record: KeyRecord) -> None:
    """Remove all schedules of a key."""
    for group in office.desk.groups(record):
        for schedule in office.desk.sim.world.schedules_of(group.id):
            office.desk.sim.remove("schedule", schedule.id)


def schedules_moved(office: Office, record: KeyRecord) -> None:
    """Move all schedules of a key."""
    for group in office.desk.groups(record):
        for schedule in office.desk.sim.world.schedules_of(group.id):
            office.desk.sim.set("schedule", schedule.id, end_date="2026-12-31T11:59:59")


def schedule_added(office: Office, record: KeyRecord) -> None:
    """Let all groups of a key open for ever."""
    for group in office.desk.groups(record):
        office.desk.sim.add("schedule", {"group_id": group.id})


def guest_added(office: Office, record: KeyRecord) -> None:
    """Make a guest that carries a key's marker."""
    office.desk.sim.add("user", {"alias": f"Somebody {marker(record.key_id)}"})


def group_added(office: Office, record: KeyRecord) -> None:
    """Make a group that carries a key's marker."""
    office.desk.sim.add("group", {"customer_reference": f"{marker(record.key_id)}.9"})


def other_doors(office: Office, record: KeyRecord) -> None:
    """Let all groups of a key open another door."""
    to_groups(lock_ids=[office.desk.doors[-1]])(office, record)


MEDDLING: dict[str, Meddle] = {
    "guests removed": guests_removed,
    "no seat": to_guests(subscription_state="suspended"),
    "no right to a PIN": to_guests(use_pin=False),
    "blocked": to_guests(blocked=True),
    "no PIN": to_guests(pin=None),
    "other end": to_guests(expires_at="2026-12-24T00:00:00+00:00"),
    "groups removed": groups_removed,
    "out of groups": to_groups(user_ids=[]),
    "no doors": to_groups(lock_ids=[]),
    "other doors": other_doors,
    "schedules removed": schedules_removed,
    "schedules moved": schedules_moved,
    "schedule added": schedule_added,
    "guest added": guest_added,
    "group added": group_added,
}


def is_left_to_a_person(done: Collection[str], name: str, *, suspended: bool) -> bool:
    """Tell whether nobody but a person can tell what a key should be after one thing more.

    A suspended key that was issued anew would open again; a guest that somebody has made in place
    of the own may be in use.
    """
    removed = "guests removed"
    return (suspended and name == removed) or (name == "guest added" and removed in done)


def untouched(office: Office) -> tuple[object, ...]:
    """List what is none of our business, with the keys of another Home Assistant."""
    world = office.desk.sim.world
    theirs = (
        repr(one) for one in (*world.users.values(), *world.groups.values()) if THEIRS in repr(one)
    )
    return (*office.desk.strangers(), *theirs)


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(sorted(MEDDLING))), min_size=1, max_size=6
    )
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_whatever_was_done_to_keys(
    hass: HomeAssistant, socket_enabled: None, tmp_path: Path, meddling: list[tuple[int, str]]
) -> None:
    """Each key opens its doors in its window again, or is suspended as before; no other is touched."""
    rules = KeyRules(repaired=frozenset(Outcome))
    with living_in(hass, tmp_path / str(next(FOLDERS))):
        async with office_of(hass, rules=rules) as office:
            start = office.opened_at + DAY
            keys = [
                await office.issue(booking="b0", starts_at=start),
                await office.issue(*office.desk.doors[:3], booking="b1", starts_at=start),
                await office.issue(booking="b2", starts_at=start),
            ]
            await office.manager.suspend(keys[2].record.key_id, RECEPTION)
            office.desk.sim.add("user", {"alias": f"Other {THEIRS}"})
            office.desk.sim.add("group", {"customer_reference": f"{THEIRS}.1"})
            await office.passes(2 * A_MOMENT)
            before = untouched(office)
            done_to: list[list[str]] = [[], [], []]
            for index, name in meddling:
                if not is_left_to_a_person(done_to[index], name, suspended=index == 2):
                    MEDDLING[name](office, keys[index].record)
                    done_to[index].append(name)
            for _ in range(3):
                await office.manager.reconcile(dry_run=False, deep=True)
                await office.passes(2 * A_MOMENT)
            done = await office.manager.reconcile(dry_run=False, deep=True)
            assert done.discrepancies == ()
            assert {one.outcome for one in done.plan.findings} <= ABOUT_THE_SITE
            assert untouched(office) == before
            for key in keys:
                now = await office.manager.reveal(key.record.key_id, RECEPTION)
                is_set = now.record.status is KeyStatus.SET
                assert office.edges(now) == (INSIDE_ONLY if is_set else (False,) * 4)
            assert [office.record(key).status.value for key in keys] == ["set", "set", "suspended"]
