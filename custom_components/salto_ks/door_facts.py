"""What the last poll says of doors, in the words in which keys are decided about."""

from collections.abc import Callable

from .api.models import LockedState, LockId
from .coordinator import SaltoKsDoorsCoordinator, SaltoKsSiteCoordinator
from .domain.ids import DoorId
from .domain.key_requests import DoorFacts
from .domain.unit_state import DoorCondition


def facts_from(doors: SaltoKsDoorsCoordinator) -> Callable[[DoorId], DoorFacts | None]:
    """Return what tells the facts of a door; None for one that the site does not have."""

    def facts_of(door_id: DoorId) -> DoorFacts | None:
        snapshot, lock_id = doors.data, LockId(door_id)
        lock = snapshot.find(lock_id)
        if lock is None:
            return None
        iq = snapshot.iq_of(lock)
        return DoorFacts(
            name=lock.title,
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
            battery_low=lock.battery_low,
            privacy_mode=lock.privacy_mode,
        )

    return condition_of


def keypads_from(doors: SaltoKsDoorsCoordinator) -> Callable[[DoorId], bool | None]:
    """Return what tells whether a PIN can be typed at a door; None where that is not known."""

    def has_keypad(door_id: DoorId) -> bool | None:
        lock = doors.data.find(LockId(door_id))
        return None if lock is None else lock.has_keypad

    return has_keypad


def zones_from(
    doors: SaltoKsDoorsCoordinator, site: SaltoKsSiteCoordinator
) -> Callable[[DoorId], str]:
    """Return what tells the time zone of a door's IQ; that of the site where it has none."""

    def zone_of(door_id: DoorId) -> str:
        lock = doors.data.find(LockId(door_id))
        iq = None if lock is None else doors.data.iq_of(lock)
        return (iq.time_zone if iq is not None else "") or site.data.site.time_zone

    return zone_of
