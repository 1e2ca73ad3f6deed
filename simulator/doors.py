"""What an opening does to a door and to its log."""

from datetime import datetime, timedelta

from .dice import Dice
from .keypad import Decision, Reason
from .world import UNKNOWN_PIN_USER, Entry, EntryId, Lock, SiteUser, World

_SILENT: frozenset[Reason] = frozenset({"no_keypad", "not_attached", "pin_disabled"})
_UNKNOWN_PIN: frozenset[Reason] = frozenset(
    {"unknown_pin", "use_pin_off", "no_access", "group_without_schedule"}
)
_DETAIL: dict[Reason, str] = {
    "blocked": "blocked",
    "suspended": "suspended",
    "lock_offline": "offline",
}


def open_for_a_moment(lock: Lock, now: datetime) -> None:
    """Unlock a door for its open time; one in office mode stays as it is. Evidence: DOC."""
    if lock.locked_state == "office_mode":
        return
    lock.locked_state = "unlocked"
    lock.relock_at = now + timedelta(seconds=lock.open_time)


def relock_if_due(lock: Lock, now: datetime) -> bool:
    """Lock a door again whose open time is over, and tell whether it is done with."""
    if lock.relock_at is None:
        return True
    if now < lock.relock_at:
        return False
    lock.relock_at = None
    if lock.locked_state == "unlocked":
        lock.locked_state = "locked"
    return True


def log(
    world: World,
    dice: Dice,
    lock: Lock,
    now: datetime,
    *,
    category: str,
    detail: str | None = None,
    access_by: str,
    user: SiteUser | None,
) -> Entry:
    """Write a line into the door log.

    Without a user it carries the fixed id that is nobody's (MEAS). While the door cannot be
    reached the line stays there and comes later (INF). Times are whole seconds.
    """
    person = None if user is None else world.people[user.user_id]
    entry = Entry(
        id=EntryId(dice.uuid()),
        site_id=lock.site_id,
        event_category=category,
        event_detail=detail,
        utc_date_time=now.replace(microsecond=0),
        lock_id=lock.id,
        user_id=UNKNOWN_PIN_USER if user is None else user.user_id,
        user_first_name=None if person is None else person.first_name,
        user_last_name=None if person is None else person.last_name,
        user_alias=None if user is None else user.alias,
        access_by=access_by,
    )
    world.append_entry(entry, held=not world.reachable(lock))
    return entry


def log_keypad(world: World, dice: Dice, lock: Lock, now: datetime, decision: Decision) -> None:
    """Write what happened at a keypad into the door log, as far as a door would."""
    if decision.at_door in _SILENT:
        return
    user = None if decision.user is None else world.users.get(decision.user)
    unknown = decision.at_door in _UNKNOWN_PIN
    log(
        world,
        dice,
        lock,
        now,
        category="lock_opened" if decision.opened else "lock_rejected",
        detail="no_access" if unknown else _DETAIL.get(decision.at_door),
        access_by="pin_code",
        user=user,
    )
