"""What a key needs as time passes, without anybody asking for it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final

from .ids import DoorId
from .intents import Intent, IntentKind
from .key_requests import DoorFacts
from .keys import KeyRecord, KeyStatus, KeyWarning, Strategy

ROLL_OUT: Final = timedelta(minutes=4)
"""How long a door may take to hear of a change; about 3½ minutes were seen (MEAS)."""

REISSUE_BEFORE: Final = timedelta(days=1)
"""How long before a guest ends by itself its key is issued anew, where the end did not move."""

FIRST_DELAY: Final = timedelta(seconds=15)
LONGEST_DELAY: Final = timedelta(minutes=10)
LONGEST_DELAY_WHEN_URGENT: Final = timedelta(minutes=1)
URGENT_BEFORE: Final = timedelta(hours=1)


class Chore(Enum):
    """What is to be done for a key now."""

    END = auto()
    """Its window is over: take it back."""
    CONFIRM_REMOVED = auto()
    """Every door has heard that it is gone."""
    JOIN = auto()
    LEAVE = auto()
    REVOKE_AGAIN = auto()
    """It was to be taken back before its end, and Salto has refused that."""
    REISSUE = auto()
    """Its guest ends before its window, and Salto did not take a later end."""


def chore_of(
    record: KeyRecord, facts: Mapping[DoorId, DoorFacts | None], now: datetime
) -> Chore | None:
    """Return what a key without an open intent needs now."""
    if not record.is_live:
        return None
    if record.status is KeyStatus.REMOVING:
        return Chore.CONFIRM_REMOVED if is_gone_everywhere(record, facts) else None
    if record.window.is_over(now):
        return Chore.END
    if KeyWarning.NOT_REMOVED in record.warnings:
        return Chore.REVOKE_AGAIN
    return _of_set(record, now) if record.status is KeyStatus.SET else None


def _of_set(record: KeyRecord, now: datetime) -> Chore | None:
    """Return what a key in force needs now."""
    if record.strategy is Strategy.MEMBERSHIP:
        wanted = record.window.holds(now)
        if any(group.member is not wanted for group in record.groups):
            return Chore.JOIN if wanted else Chore.LEAVE
    return Chore.REISSUE if _ends_too_early(record, now) else None


def is_gone_everywhere(record: KeyRecord, facts: Mapping[DoorId, DoorFacts | None]) -> bool:
    """Tell whether no door knows a removed key any more.

    A door that the site no longer has is not waited for. Salto may call an IQ online for up to an
    hour after it went (DOC); nobody can know better.
    """
    if record.removed_at is None:
        return False
    known = (fact for door in record.doors if (fact := facts.get(door)) is not None)
    return all(fact.has_heard(record.removed_at, ROLL_OUT) for fact in known)


def status_of(record: KeyRecord, intent: Intent | None) -> KeyStatus:
    """Return where a key stands, seen from outside: what is under way counts."""
    if intent is None:
        return record.status
    match intent.kind:
        case IntentKind.ISSUE:
            return KeyStatus.SETTING
        case IntentKind.REVOKE:
            return KeyStatus.REMOVING
        case _:
            return KeyStatus.CHANGING


def is_worth_completing(intent: Intent, *, known: bool, now: datetime) -> bool:
    """Tell whether an issue that was interrupted is carried on, rather than taken back.

    It is where somebody still waits for the key: a booking, or those who had it before.
    """
    wanted = intent.record.booking_id is not None or known
    return wanted and not intent.record.window.is_over(now)


def delay_after(
    failures: int, starts_at: datetime, now: datetime, *, is_refused: bool = False
) -> timedelta:
    """Return how long to wait after so many failures in a row; not long before an arrival.

    What Salto has understood and refused is not worth so many tries.
    """
    is_urgent = starts_at - now < URGENT_BEFORE and not is_refused
    longest = LONGEST_DELAY_WHEN_URGENT if is_urgent else LONGEST_DELAY
    return doubled(FIRST_DELAY, longest, failures)


def doubled(first: timedelta, longest: timedelta, times: int) -> timedelta:
    """Return a delay that is twice as long each time, from the first time on."""
    factor: int = 1 << min(times - 1, 10)
    return min(first * factor, longest)


def _ends_too_early(record: KeyRecord, now: datetime) -> bool:
    """Tell whether a guest is about to end while its key goes on."""
    if record.guest is None or record.guest.expires_at is None:
        return False
    return (
        KeyWarning.EXPIRY_NOT_MOVED in record.warnings
        and record.guest.expires_at < record.window.ends_at
        and record.guest.expires_at - now <= REISSUE_BEFORE
    )
