"""Why a door opens or does not: an ordered checklist of what has to be so for it.

Checks come in the order in which a person should look, so the first one that fails is the
likeliest cause. What is not known is said to be unknown, and never taken for a failure.
"""

from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import datetime, timedelta
from typing import Final

from .booking_plan import NOT_THERE
from .bookings import BookingStatus, Unit
from .desired_keys import DesiredKey, desired_key
from .explain_facts import (
    BookingView,
    Denial,
    DoorView,
    Facts,
    IqReady,
    IqView,
    KeyView,
    Reach,
    SiteView,
    Upkeep,
)
from .explain_sentences import ORDER, PLAIN, Check, CheckName, Filling, Result, Sentence
from .ids import KeyId
from .keys import KeyProblem, KeyRecord, KeyStatus, Strategy
from .known import opposite
from .observed import ObservedDetails, ObservedGroupDetails, ObservedTimes
from .read_only import ReadOnly
from .rounds import OVERDUE_AFTER
from .seats import HAS_SEAT
from .upkeep import ROLL_OUT
from .windows import zone_named

CLOCKS_AGREE_WITHIN: Final = timedelta(seconds=60)
"""How far our clock may be from Salto's: a third of what an IQ takes in a one-time password (DOC)."""

DENIAL_MATTERS_FOR: Final = timedelta(hours=1)
"""How long the last refusal at a door says something about the door as it is now."""

_NOTHING: Final = ObservedGroupDetails(doors=None, members=None, schedules=None)

_HELD_BACK: Final = {
    None: Sentence.NOT_HELD_BACK,
    ReadOnly.RESTORED_BACKUP: Sentence.LEDGER_IS_OLD,
    ReadOnly.CLOCK_JUMP: Sentence.CLOCK_JUMPED,
}

_REACH: Final = {
    Reach.ANSWERS: Sentence.REACHED,
    Reach.SILENT: Sentence.NOT_REACHED,
    Reach.LOGIN_REFUSED: Sentence.LOGIN_REFUSED,
}


def explain(facts: Facts) -> tuple[Check, ...]:
    """Return the checklist that answers a question, in the order in which to look."""
    checks = [*_of_site(facts)]
    if facts.booking is not None:
        checks += _of_booking(facts, facts.booking)
    if facts.key is not None:
        checks += _of_key(facts, facts.key)
    checks += _of_doors(facts)
    if facts.booking is None and facts.key is None and facts.keys_now is None:
        checks += _of_upkeep(facts)
    return tuple(sorted(checks, key=lambda check: ORDER[check.name]))


def _of_site(facts: Facts) -> Iterator[Check]:
    """Look at what concerns all doors and keys of a site."""
    site = facts.site
    about: dict[str, Filling] = {"site": site.name}
    yield Check(sentence=_REACH[site.reach], about=about)
    yield Check(sentence=_activity(facts), about=about)
    yield _check(CheckName.ACCOUNT, opposite(site.account_blocked))
    yield _check(CheckName.SUBSCRIPTION, site.subscription_valid)
    if not _is_about_remote_opening_alone(facts):
        yield _check(CheckName.SITE_PINS, site.pins_enabled)
        if _seat_matters(facts):
            yield _seats(facts)
        if facts.keys_now is None:
            yield _ledger(site)
        if facts.key is None or facts.key.record.status is not KeyStatus.SET:
            yield Check(sentence=_HELD_BACK[site.held_back])
    if facts.opens_remotely:
        yield _check(CheckName.REMOTE_RIGHT, site.remote_right)
    yield _clock(site.clock_offset)


def _is_about_remote_opening_alone(facts: Facts) -> bool:
    """Tell whether PINs have nothing to do with the question."""
    return facts.booking is not None and not facts.booking.unit.mode.has_pins


def _activity(facts: Facts) -> Sentence:
    """Look at the switch `Active`; a PIN that is out works without it."""
    if facts.site.active:
        return Sentence.ACTIVE
    is_out = facts.key is not None and facts.key.record.status is KeyStatus.SET
    return Sentence.INACTIVE_WITH_KEY if is_out and not facts.opens_remotely else Sentence.INACTIVE


def _seat_matters(facts: Facts) -> bool:
    """Tell whether what is asked about has a seat, or may not work for want of one."""
    record = None if facts.key is None else facts.key.record
    if record is None and facts.booking is None:
        return facts.keys_now is None
    if record is None or _is_to_be_replaced(facts, record):
        wanted = _wanted(facts)
        return wanted is not None and wanted.is_due(facts.now)
    return _needs_seat(facts, record)


def _is_to_be_replaced(facts: Facts, record: KeyRecord) -> bool:
    """Tell whether a booking has a key that is over, and may get another one."""
    return facts.booking is not None and record.status in NOT_THERE and not record.by_hand


def _needs_seat(facts: Facts, record: KeyRecord) -> bool:
    """Tell whether a key that there is has a seat now, or ought to have one."""
    match record.status:
        case KeyStatus.REMOVING | KeyStatus.REVOKED:
            return False
        case KeyStatus.SUSPENDED if KeyProblem.SEAT_UNAVAILABLE in record.errors:
            return True
        case KeyStatus.SUSPENDED if record.by_hand:
            return False
        case KeyStatus.SUSPENDED:
            wanted = _wanted(facts)
            return wanted is not None and wanted.needs_seat(facts.now)
        case _:
            return not record.window.is_over(facts.now)


def _wanted(facts: Facts) -> DesiredKey | None:
    """Return the key that the booking wants which the question, or its key, is about."""
    if facts.booking is not None:
        return desired_key(facts.booking.booking, facts.booking.unit, facts.now)
    return None if facts.key is None else facts.key.wanted


def _seats(facts: Facts) -> Check:
    """Look at the seats of the subscription; whoever has one needs no other."""
    used, total = facts.site.seats_used, facts.site.seats_total
    if used is None or total is None:
        return Check(sentence=Sentence.SEATS_UNKNOWN)
    about: dict[str, Filling] = {"used": used, "total": total}
    if used < total:
        return Check(sentence=Sentence.SEATS_FREE, about=about)
    has_one = facts.key is not None and facts.key.record.status in HAS_SEAT
    return Check(sentence=Sentence.SEATS_HELD if has_one else Sentence.SEATS_TAKEN, about=about)


def _ledger(site: SiteView) -> Check:
    """Look whether keys may be touched at all."""
    if site.ledger_closed is None:
        return Check(sentence=Sentence.LEDGER_WELL)
    return Check(sentence=Sentence.LEDGER_CLOSED, about={"file": site.ledger_closed})


def _clock(offset: timedelta | None) -> Check:
    """Compare our clock with Salto's."""
    if offset is None:
        return Check(sentence=Sentence.CLOCK_UNKNOWN)
    agrees = abs(offset) <= CLOCKS_AGREE_WITHIN
    return Check(
        sentence=Sentence.CLOCKS_AGREE if agrees else Sentence.CLOCKS_DIFFER,
        about={"seconds": round(abs(offset.total_seconds()))},
    )


# Bookings

_STATUS_OF_BOOKING: Final = {
    BookingStatus.PENDING: Sentence.BOOKING_PENDING,
    BookingStatus.CONFIRMED: Sentence.BOOKING_FIRM,
    BookingStatus.CHECKED_IN: Sentence.BOOKING_FIRM,
    BookingStatus.COMPLETED: Sentence.BOOKING_COMPLETED,
    BookingStatus.CANCELLED: Sentence.BOOKING_CANCELLED,
}


def _of_booking(facts: Facts, view: BookingView) -> Iterator[Check]:
    """Look at a booking, up to whether it has a key."""
    booking, unit = view.booking, view.unit
    yield _bookings_known(facts.upkeep)
    yield Check(
        sentence=_STATUS_OF_BOOKING[booking.status_at(facts.now)],
        about={"booking_id": booking.booking_id, "unit": unit.name},
    )
    if unit.calendar is not None:
        yield _check(CheckName.CALENDAR, view.calendar_read, unit=unit.name)
    yield Check(sentence=_mode(unit), about={"unit": unit.name})
    if unit.mode.opens_remotely:
        yield _remote_opening(view)
    if unit.mode.has_pins:
        yield from _of_bookings_key(facts, view)


def _bookings_known(upkeep: Upkeep) -> Check:
    """Look whether the record of bookings can be read."""
    if upkeep.bookings_unread is None:
        return Check(sentence=Sentence.BOOKINGS_READ)
    return Check(sentence=Sentence.BOOKINGS_UNREAD, about={"file": upkeep.bookings_unread})


def _mode(unit: Unit) -> Sentence:
    """Say how the guests of a unit come in."""
    if not unit.mode.has_pins:
        return Sentence.MODE_REMOTE
    return Sentence.MODE_BOTH if unit.mode.opens_remotely else Sentence.MODE_PIN


def _remote_opening(view: BookingView) -> Check:
    """Say whether Home Assistant opens for a booking now."""
    if view.refused_opening is None:
        return Check(sentence=Sentence.OPENS_REMOTELY, about={"unit": view.unit.name})
    return Check(sentence=Sentence.OPENS_NOT_REMOTELY, about={"reason": view.refused_opening})


def _of_bookings_key(facts: Facts, view: BookingView) -> Iterator[Check]:
    """Look whether a booking has its key, or when it gets it, or why it does not."""
    record = None if facts.key is None else facts.key.record
    wanted = _wanted(facts)
    if wanted is not None:
        seat_from, issue_from = wanted.seat_from, wanted.issue_from
        is_issued = record is not None and record.is_live
        if not is_issued and not wanted.is_due(facts.now) and issue_from is not None:
            yield Check(sentence=Sentence.KEY_DUE_LATER, about={"due": issue_from})
        elif _waits_for_seat(record) and not wanted.needs_seat(facts.now) and seat_from is not None:
            yield Check(sentence=Sentence.KEY_SEAT_LATER, about={"due": seat_from})
        else:
            yield Check(sentence=Sentence.KEY_IS_DUE)
    if view.trouble is None:
        yield Check(sentence=Sentence.NO_TROUBLE)
    else:
        yield Check(
            sentence=Sentence.TROUBLE, about=_trouble(view.booking.booking_id, view.trouble)
        )
    if record is None:
        yield Check(sentence=Sentence.BOOKING_HAS_NO_KEY)
    else:
        yield Check(sentence=Sentence.BOOKING_HAS_KEY, about={"key_id": record.key_id})


def _waits_for_seat(record: KeyRecord | None) -> bool:
    return record is not None and record.status is KeyStatus.SUSPENDED and not record.by_hand


def _trouble(booking: str, reason: str) -> Mapping[str, Filling]:
    return {"booking": booking, "reason": reason}


# Keys

_STATUS_OF_KEY: Final = {
    KeyStatus.SCHEDULED: Sentence.KEY_ON_ITS_WAY,
    KeyStatus.SETTING: Sentence.KEY_ON_ITS_WAY,
    KeyStatus.SET: Sentence.KEY_IS_SET,
    KeyStatus.CHANGING: Sentence.KEY_CHANGING,
    KeyStatus.SUSPENDED: Sentence.KEY_SUSPENDED,
    KeyStatus.REMOVING: Sentence.KEY_REMOVED,
    KeyStatus.REVOKED: Sentence.KEY_REMOVED,
    KeyStatus.FAILED: Sentence.KEY_FAILED,
    KeyStatus.UNKNOWN: Sentence.KEY_UNKNOWN,
}


def _of_key(facts: Facts, view: KeyView) -> Iterator[Check]:
    """Look at a key: the ledger, its window, its guest, then each of its doors."""
    record, seen = view.record, view.seen
    yield _key_status(record)
    yield _key_window(record, facts.now)
    yield from _denials(facts, view)
    if not record.is_live:
        return
    yield _check(CheckName.GUEST, view.guest_there, key_id=record.key_id)
    if view.guest_there is not False:
        yield from _of_guest(seen, facts.now)
    for door in facts.doors:
        if door.door_id in record.doors:
            yield from _of_group(record, seen, door, facts.now)
            yield _rolled_out(record, door)


def _key_status(record: KeyRecord) -> Check:
    """Say how the ledger has a key."""
    about: dict[str, Filling] = {"key_id": record.key_id}
    sentence = _STATUS_OF_KEY[record.status]
    if sentence is Sentence.KEY_IS_SET and record.errors:
        sentence = Sentence.KEY_IN_TROUBLE
    if sentence in {Sentence.KEY_FAILED, Sentence.KEY_IN_TROUBLE}:
        about["problems"] = tuple(sorted(record.errors))
    return Check(sentence=sentence, about=about)


def _key_window(record: KeyRecord, now: datetime) -> Check:
    """Say whether a key is meant to open now."""
    window = record.window
    if window.is_over(now):
        return Check(sentence=Sentence.WINDOW_OVER, about={"ended": window.ends_at})
    if not window.holds(now):
        return Check(sentence=Sentence.WINDOW_TO_COME, about={"begins": window.starts_at})
    return Check(sentence=Sentence.WINDOW_HOLDS, about={"ends": window.ends_at})


def _of_guest(seen: ObservedDetails | None, now: datetime) -> Iterator[Check]:
    """Look at the guest that carries a key at Salto."""
    if seen is None:
        for name in (CheckName.GUEST_END, CheckName.GUEST_SEAT, CheckName.PIN_ALLOWED):
            yield _check(name, None)
    else:
        yield _guest_end(seen.expires_at, now)
        yield _check(CheckName.GUEST_SEAT, seen.has_seat)
        yield _check(CheckName.PIN_ALLOWED, seen.pin_enabled)
    yield _check(CheckName.PIN_SET, None if seen is None else seen.has_pin)


def _guest_end(ends: datetime | None, now: datetime) -> Check:
    """Look whether a guest has ended by itself."""
    if ends is not None and ends <= now:
        return Check(sentence=Sentence.GUEST_ENDED, about={"ended": ends})
    return _check(CheckName.GUEST_END, None if ends is None else True)


def _of_group(
    record: KeyRecord, seen: ObservedDetails | None, door: DoorView, now: datetime
) -> Iterator[Check]:
    """Look at what joins a key and one of its doors at Salto."""
    group = next((one for one in record.groups if door.door_id in one.doors), None)
    if group is None:
        yield Check(sentence=Sentence.GROUP_NONE, about={"door": door.name})
        return
    parts = _NOTHING if seen is None else seen.groups.get(group.id, _NOTHING)
    yield _check(CheckName.GROUP, _is_there(parts), door=door.name)
    if parts is None:
        return
    doors, members = parts.doors, parts.members
    yield _check(CheckName.GROUP_DOOR, _has(doors, door.door_id), door=door.name)
    if record.strategy is Strategy.SCHEDULE or record.window.holds(now):
        person = None if record.guest is None else record.guest.person_id
        yield _check(CheckName.MEMBER, _has(members, person), door=door.name)
    if not record.window.is_over(now):
        yield _schedule(parts, door, max(now, record.window.starts_at))


def _is_there(parts: ObservedGroupDetails | None) -> bool | None:
    """Tell whether a group is at Salto: one of which nothing can be read may be or not."""
    if parts is None:
        return False
    return True if parts.shows_any else None


def _schedule(parts: ObservedGroupDetails, door: DoorView, at: datetime) -> Check:
    """Look whether a schedule opens a door at an instant."""
    about: dict[str, Filling] = {"door": door.name, "at": at}
    schedules = parts.schedules
    if schedules is None or (local := _on_wall_clock(at, door.zone)) is None:
        return Check(sentence=Sentence.SCHEDULE_UNKNOWN, about=about)
    if not schedules:
        return Check(sentence=Sentence.SCHEDULE_MISSING, about=about)
    holding = [schedule for schedule in schedules if _holds(schedule, local)]
    if not holding:
        return Check(sentence=Sentence.SCHEDULE_ELSEWHEN, about=about)
    if not any(schedule.is_plain for schedule in holding):
        return Check(sentence=Sentence.SCHEDULE_NARROWED, about=about)
    return Check(sentence=Sentence.SCHEDULE_HOLDS, about=about)


def _holds(schedule: ObservedTimes, local: datetime) -> bool:
    """Tell whether a wall clock is between the dates of a schedule."""
    begun = schedule.starts is None or schedule.starts <= local
    return begun and (schedule.ends is None or local < schedule.ends)


def _on_wall_clock(at: datetime, zone: str) -> datetime | None:
    """Return what the clock of an IQ shows; None for a time zone nobody knows."""
    try:
        return at.astimezone(zone_named(zone)).replace(tzinfo=None)
    except ValueError:
        return None


def _rolled_out(record: KeyRecord, door: DoorView) -> Check:
    """Look whether a door has been in reach for long enough to know of a key as it is."""
    about: dict[str, Filling] = {"door": door.name}
    facts, written_at = door.facts, record.changed_at
    if record.pin_set_at is not None:
        written_at = max(written_at, record.pin_set_at)
    if record.strategy is Strategy.MEMBERSHIP:
        written_at = max(written_at, record.window.starts_at)
    if facts is None or facts.reached_since is None:
        return Check(sentence=Sentence.WAS_OUT_OF_REACH, about=about)
    if facts.has_heard(written_at, ROLL_OUT):
        return Check(sentence=Sentence.HEARD, about=about)
    about["until"] = max(written_at, facts.reached_since) + ROLL_OUT
    return Check(sentence=Sentence.MAY_NOT_HAVE_HEARD, about=about)


def _denials(facts: Facts, view: KeyView) -> Iterator[Check]:
    """Look which doors refused the guest last, with the key as it is now.

    One that the key does not open has refused rightly, which is worth a word for a while only.
    """
    since = max(view.record.changed_at, view.record.window.starts_at)
    lately = facts.now - DENIAL_MATTERS_FOR
    denials = [one for one in view.denials if one.door_id in view.record.doors or one.at >= lately]
    return _refusals_since(since, denials, facts.upkeep)


def _refusals_since(since: datetime, denials: Iterable[Denial], upkeep: Upkeep) -> Iterator[Check]:
    """Tell of each refusal from an instant on; whether there was none is known by the door log."""
    told = [denial for denial in denials if denial.at >= since]
    for denial in told:
        yield Check(
            sentence=Sentence.DENIED,
            about={"door": denial.door, "at": denial.at, "reason": denial.reason},
        )
    if not told:
        is_read = upkeep.log_read is True
        yield Check(sentence=Sentence.NOT_DENIED if is_read else Sentence.DENIAL_UNKNOWN)


# Doors


def _of_doors(facts: Facts) -> Iterator[Check]:
    """Look at doors and their IQs as they are now."""
    for door in facts.doors:
        yield _check(CheckName.DOOR_LISTED, door.listed, door=door.name)
        if door.listed is not False:
            yield from _of_door(facts, door)
    listed = (door.iq for door in facts.doors if door.iq is not None)
    for iq in dict.fromkeys((*listed, *facts.iqs)):
        yield from _of_iq(facts, iq)
    if facts.keys_now is not None:
        yield from _of_one_door(facts, facts.keys_now)


def _of_door(facts: Facts, door: DoorView) -> Iterator[Check]:
    """Look at one door."""
    name, seen = door.name, door.facts
    if _takes_pins(facts, door):
        yield _check(CheckName.KEYPAD, None if seen is None else seen.has_keypad, door=name)
    yield _check(CheckName.DOOR_IQ, door.has_iq, door=name)
    yield _check(CheckName.PRIVACY_MODE, opposite(door.privacy_mode), door=name)
    if seen is not None and seen.office_mode:
        yield Check(sentence=Sentence.OFFICE_MODE_ON, about={"door": name})
    else:
        yield _check(CheckName.OFFICE_MODE, None if seen is None else True, door=name)
    yield _check(CheckName.LOCK_ONLINE, None if seen is None else seen.online, door=name)
    yield _check(CheckName.BATTERY, opposite(door.battery_low), door=name)


def _takes_pins(facts: Facts, door: DoorView) -> bool:
    """Tell whether a PIN is to be typed at a door; some of a booking may be opened remotely."""
    if facts.key is not None:
        return door.door_id in facts.key.record.doors
    return facts.booking is None or not facts.booking.unit.mode.opens_remotely


def _of_iq(facts: Facts, iq: IqView) -> Iterator[Check]:
    """Look at an IQ, and at what it takes to sign commands for it where doors are opened so."""
    yield _check(CheckName.IQ_ONLINE, iq.online, iq=iq.name)
    yield _check(CheckName.IQ_RESTORE, opposite(iq.restore_required), iq=iq.name)
    if not facts.opens_remotely:
        return
    about: dict[str, Filling] = {"iq": iq.name}
    match iq.ready:
        case IqReady.NOT_SET_UP:
            is_cause = bool(facts.doors)
            sentence = Sentence.IQ_NOT_SET_UP if is_cause else Sentence.IQ_NOT_USED
            yield Check(sentence=sentence, about=about)
        case IqReady.PIN_UNPROVEN:
            yield Check(sentence=Sentence.IQ_PIN_UNPROVEN, about=about)
        case IqReady.NOT_ACTIVATED:
            yield Check(sentence=Sentence.IQ_NOT_ACTIVATED, about=about)
        case ready:
            yield _check(CheckName.IQ_ACTIVATED, None if ready is None else True, iq=iq.name)
            if iq.otp_closed_until is None:
                yield Check(sentence=Sentence.OTP_CLEAR, about=about)
            else:
                about = {**about, "until": iq.otp_closed_until}
                yield Check(sentence=Sentence.OTP_CLOSED, about=about)


def _of_one_door(facts: Facts, keys_now: tuple[KeyId, ...]) -> Iterator[Check]:
    """Look whom the door of a question opened for, and should open for."""
    for door in facts.doors:
        denials = () if door.denial is None else (door.denial,)
        yield from _refusals_since(facts.now - DENIAL_MATTERS_FOR, denials, facts.upkeep)
        if door.facts is not None and not door.facts.has_keypad:
            continue
        if keys_now:
            yield Check(
                sentence=Sentence.KEYS_NOW,
                about={"door": door.name, "keys": ", ".join(keys_now)},
            )
        else:
            yield Check(sentence=Sentence.NO_KEY_NOW, about={"door": door.name})


# The site


def _of_upkeep(facts: Facts) -> Iterator[Check]:
    """Look at how a site is looked after."""
    upkeep = facts.upkeep
    yield _bookings_known(upkeep)
    for unit, is_read in upkeep.calendars.items():
        yield _check(CheckName.CALENDAR, is_read, unit=unit)
    if not upkeep.troubles:
        yield Check(sentence=Sentence.NO_TROUBLE)
    for booking, reason in upkeep.troubles.items():
        yield Check(sentence=Sentence.TROUBLE, about=_trouble(booking, reason))
    if upkeep.log_read is not None:
        yield _check(CheckName.DOOR_LOG, upkeep.log_read)
    live = upkeep.live_events
    yield Check(sentence=Sentence.EVENTS_COME if live else Sentence.EVENTS_ARE_FETCHED)
    if upkeep.compared_at is None:
        yield Check(sentence=Sentence.NOT_COMPARED)
    else:
        is_recent = facts.now - upkeep.compared_at <= OVERDUE_AFTER
        yield _check(CheckName.RECONCILIATION, is_recent, at=upkeep.compared_at)
    if upkeep.discrepancies:
        yield Check(sentence=Sentence.DISCREPANCY, about={"count": upkeep.discrepancies})
    else:
        yield _check(CheckName.DISCREPANCIES, None if upkeep.discrepancies is None else True)


# Three ways


def _check(name: CheckName, holds: bool | None, **about: Filling) -> Check:
    """Say that something is so, is not, or is not known."""
    result = Result.UNKNOWN if holds is None else Result.PASS if holds else Result.FAIL
    return Check(sentence=PLAIN[name, result], about=about)


def _has[T](things: Set[T] | None, thing: T | None) -> bool | None:
    return None if things is None else thing in things
