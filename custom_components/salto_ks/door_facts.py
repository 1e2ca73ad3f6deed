"""What the last poll says of doors, in the words in which keys are decided about."""

from collections.abc import Callable
from typing import Final

from .api.models import BatteryLevel, LockedState, LockId
from .coordinator import SaltoKsDoorsCoordinator, SaltoKsSiteCoordinator
from .domain.ids import DoorId
from .domain.key_requests import DoorFacts
from .domain.unit_state import DoorCondition

_BATTERY_IS_LOW: Final[dict[str, bool]] = {
    BatteryLevel.FRESH: False,
    BatteryLevel.GOOD: False,
    BatteryLevel.LOW: True,
    BatteryLevel.CRITICAL: True,
}


def facts_from(doors: SaltoKsDoorsCoordinator) -> Callable[[DoorId], DoorFacts | None]:
    """Return what tells the facts of a door; None for one that the site does not have."""

    def facts_of(door_id: DoorId) -> DoorFacts | None:
        snapshot, lock_id = doors.data, LockId(door_id)
        if lock_id not in snapshot.locks and lock_id not in snapshot.missing:
            return None
        lock = snapshot.lock(lock_id)
        iq = snapshot.iq_of(lock)
        return DoorFacts(
            name=lock.name or door_id,
            has_keypad=lock.has_keypad,
            online=lock.online,
            iq_online=iq is not None and iq.online,
            privacy_mode=lock.privacy_mode is True,
            office_mode=lock.locked_state == LockedState.OFFICE_MODE,
            seen_at=snapshot.read_at,
            reached_since=snapshot.reached_since.get(lock_id),
        )

    return facts_of


def conditions_from(doors: SaltoKsDoorsCoordinator) -> Callable[[DoorId], DoorCondition]:
    """Return what tells how a door is now; nothing is known of one that the last poll lacks."""

    def condition_of(door_id: DoorId) -> DoorCondition:
        lock = doors.data.locks.get(LockId(door_id)) if doors.last_update_success else None
        if lock is None:
            return DoorCondition()
        iq = doors.data.iq_of(lock)
        return DoorCondition(
            iq_online=None if iq is None else iq.online,
            lock_online=lock.online,
            battery_low=_BATTERY_IS_LOW.get(lock.battery_level),
            privacy_mode=lock.privacy_mode,
        )

    return condition_of


def keypads_from(doors: SaltoKsDoorsCoordinator) -> Callable[[DoorId], bool | None]:
    """Return what tells whether a PIN can be typed at a door; None where that is not known."""

    def has_keypad(door_id: DoorId) -> bool | None:
        snapshot, lock_id = doors.data, LockId(door_id)
        if lock_id not in snapshot.locks and lock_id not in snapshot.missing:
            return None
        return snapshot.lock(lock_id).has_keypad

    return has_keypad


def zones_from(
    doors: SaltoKsDoorsCoordinator, site: SaltoKsSiteCoordinator
) -> Callable[[DoorId], str]:
    """Return what tells the time zone of a door's IQ; that of the site where it has none."""

    def zone_of(door_id: DoorId) -> str:
        snapshot, lock_id = doors.data, LockId(door_id)
        known = lock_id in snapshot.locks or lock_id in snapshot.missing
        iq = snapshot.iq_of(snapshot.lock(lock_id)) if known else None
        return (iq.time_zone if iq is not None else "") or site.data.site.time_zone

    return zone_of
