"""Facts for the tests of checklists: a world in which all is well, and how it may break."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from custom_components.salto_ks.domain.access_events import DenialReason
from custom_components.salto_ks.domain.bookings import AccessMode, BookingStatus, KeyTemplate
from custom_components.salto_ks.domain.desired_keys import DesiredKey, desired_key
from custom_components.salto_ks.domain.explain_facts import (
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
from custom_components.salto_ks.domain.explain_sentences import Sentence
from custom_components.salto_ks.domain.ids import GroupId, GuestId, KeyId, PersonId, TimesId
from custom_components.salto_ks.domain.key_requests import DoorFacts
from custom_components.salto_ks.domain.keys import (
    DoorGroup,
    Guest,
    KeyProblem,
    KeyStatus,
    Strategy,
)
from custom_components.salto_ks.domain.observed import (
    ObservedDetails,
    ObservedGroupDetails,
    ObservedTimes,
)
from custom_components.salto_ks.domain.read_only import ReadOnly
from custom_components.salto_ks.domain.windows import AccessWindow

from .stays import DAY, GATE, HOUR, HUT, MINUTE, NOW, a_booking, a_record, a_unit

GROUP = GroupId("group")
PERSON = PersonId("person")
LONG_AGO = NOW - 3 * HOUR

SITE = SiteView(
    name="Campsite",
    reach=Reach.ANSWERS,
    active=True,
    account_blocked=False,
    remote_right=True,
    subscription_valid=True,
    pins_enabled=True,
    seats_used=3,
    seats_total=25,
    held_back=None,
    ledger_closed=None,
    clock_offset=timedelta(seconds=2),
)
IQ = IqView(
    name="IQ Reception",
    online=True,
    restore_required=False,
    ready=IqReady.ACTIVATED,
    otp_closed_until=None,
)
POLLED = DoorFacts(
    name="Main gate",
    has_keypad=True,
    online=True,
    iq_online=True,
    privacy_mode=False,
    office_mode=False,
    seen_at=NOW,
    reached_since=LONG_AGO,
)
DOOR = DoorView(
    door_id=GATE,
    name="Main gate",
    listed=True,
    facts=POLLED,
    has_iq=True,
    iq=IQ,
    zone="Europe/Amsterdam",
    privacy_mode=False,
    battery_low=False,
    denial=None,
)
UNKNOWN_DOOR = replace(
    DOOR, listed=None, facts=None, has_iq=None, iq=None, privacy_mode=None, battery_low=None
)
TOMORROW_LOCAL = datetime(2026, 6, 2)  # noqa: DTZ001 - the wall clock of an IQ has no zone
TIMES = ObservedTimes(id=TimesId("times"), starts=None, ends=None, is_plain=True)
GROUP_SEEN = ObservedGroupDetails(
    doors=frozenset({GATE}), members=frozenset({PERSON}), schedules=(TIMES,)
)
SEEN = ObservedDetails(
    has_seat=True,
    pin_enabled=True,
    expires_at=NOW + 30 * DAY,
    has_pin=True,
    groups={GROUP: GROUP_SEEN},
)
RECORD = a_record(
    doors=frozenset({GATE}),
    window=AccessWindow(NOW - HOUR, NOW + HOUR),
    status=KeyStatus.SET,
    guest=Guest(id=GuestId("guest"), person_id=PERSON),
    groups=(DoorGroup(id=GROUP, zone="Europe/Amsterdam", doors=frozenset({GATE}), member=True),),
    created_at=LONG_AGO,
    changed_at=LONG_AGO,
    pin_set_at=LONG_AGO,
)
KEY = KeyView(record=RECORD, guest_there=True, seen=SEEN)
GUESTLESS = replace(KEY, guest_there=False, seen=None)
UNREAD = replace(KEY, guest_there=None, seen=None)
UPKEEP = Upkeep(
    log_read=True,
    live_events=True,
    calendars={"Pitch 12": True},
    compared_at=NOW - HOUR,
    discrepancies=0,
)
BOOKING = BookingView(
    booking=a_booking(starts_at=NOW - HOUR, ends_at=NOW + HOUR),
    unit=a_unit(),
    calendar_read=True,
    trouble=None,
    refused_opening=None,
)
DENIAL = Denial(door_id=GATE, door="Main gate", at=NOW - MINUTE, reason=DenialReason.NO_ACCESS)


def of_key(
    *,
    site: Mapping[str, Any] | None = None,
    upkeep: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
    seen: Mapping[str, Any] | None = None,
    group: Mapping[str, Any] | None = None,
    door: Mapping[str, Any] | None = None,
    polled: Mapping[str, Any] | None = None,
    iq: Mapping[str, Any] | None = None,
    wanted: DesiredKey | None = None,
    **changes: Any,
) -> Facts:
    """Return the facts about a key that opens now, each part changed as wished."""
    of_group = replace(GROUP_SEEN, **(group or {}))
    of_iq = replace(IQ, **(iq or {}))
    of_door = replace(DOOR, facts=replace(POLLED, **(polled or {})), iq=of_iq)
    key = KeyView(
        record=replace(RECORD, **(record or {})),
        guest_there=True,
        seen=replace(SEEN, groups={GROUP: of_group}, **(seen or {})),
        wanted=wanted,
    )
    facts = Facts(
        now=NOW,
        site=replace(SITE, **(site or {})),
        upkeep=replace(UPKEEP, **(upkeep or {})),
        key=key,
        doors=(replace(of_door, **(door or {})),),
    )
    return replace(facts, **changes)


def of_booking(
    *,
    booking: Mapping[str, Any] | None = None,
    unit: Mapping[str, Any] | None = None,
    view: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Facts:
    """Return the facts about a booking with a key that opens now, changed as wished."""
    of_it = replace(
        BOOKING,
        booking=replace(BOOKING.booking, **(booking or {})),
        unit=replace(BOOKING.unit, **(unit or {})),
        **(view or {}),
    )
    return of_key(booking=of_it, **changes)


def of_door(**changes: Any) -> Facts:
    """Return the facts about a door that a key opens now, changed as wished."""
    return of_key(
        **({"key": None, "keys_now": (KeyId("abcd-7"),), "opens_remotely": True} | changes)
    )


def of_site(**changes: Any) -> Facts:
    """Return the facts about a site, changed as wished."""
    return of_key(**({"key": None, "doors": (), "iqs": (IQ,), "opens_remotely": True} | changes))


@dataclass(frozen=True, slots=True)
class World:
    """What is the matter, and what is said first of it."""

    facts: Facts
    first: Sentence


def _status(status: KeyStatus, **changes: Any) -> Facts:
    return of_key(record={"status": status} | changes)


FULL: Mapping[str, Any] = {"seats_used": 25}
LEAD = KeyTemplate(lead_time=2 * HOUR)
SEAT_LATER = replace(LEAD, seat_from_lead_time=True)
TOMORROW: Mapping[str, Any] = {"starts_at": NOW + DAY, "ends_at": NOW + 2 * DAY}
REMOTE: Mapping[str, Any] = {"mode": AccessMode.REMOTE}
WAITING: Mapping[str, Any] = {"status": KeyStatus.SUSPENDED}
WANTED = desired_key(BOOKING.booking, replace(BOOKING.unit, template=SEAT_LATER), NOW)
WANTED_LATER = desired_key(
    replace(BOOKING.booking, **TOMORROW), replace(BOOKING.unit, template=SEAT_LATER), NOW
)

FAILING: Mapping[str, World] = {
    "silent": World(of_key(site={"reach": Reach.SILENT}), Sentence.NOT_REACHED),
    "login": World(of_key(site={"reach": Reach.LOGIN_REFUSED}), Sentence.LOGIN_REFUSED),
    "inactive": World(
        of_key(site={"active": False}, record={"status": KeyStatus.SUSPENDED}), Sentence.INACTIVE
    ),
    "inactive, remote": World(
        of_booking(site={"active": False}, unit=REMOTE, key=None, opens_remotely=True),
        Sentence.INACTIVE,
    ),
    "account": World(of_key(site={"account_blocked": True}), Sentence.ACCOUNT_BLOCKED),
    "subscription": World(of_key(site={"subscription_valid": False}), Sentence.SUBSCRIPTION_OVER),
    "pins off": World(of_key(site={"pins_enabled": False}), Sentence.PINS_OFF),
    "seats": World(of_key(site=FULL, record={"status": KeyStatus.FAILED}), Sentence.SEATS_TAKEN),
    "seats, site": World(of_site(site=FULL), Sentence.SEATS_TAKEN),
    "seats, key on its way": World(
        of_key(site=FULL, record={"status": KeyStatus.SETTING}), Sentence.SEATS_TAKEN
    ),
    "seats, key waits": World(
        of_key(site=FULL, record=WAITING, wanted=WANTED), Sentence.SEATS_TAKEN
    ),
    "seats, booking without a key": World(of_booking(site=FULL, key=None), Sentence.SEATS_TAKEN),
    "seats, booking whose key is gone": World(
        of_booking(site=FULL, record={"status": KeyStatus.REVOKED}), Sentence.SEATS_TAKEN
    ),
    "seats, key of a booking waits": World(
        of_booking(site=FULL, record=WAITING), Sentence.SEATS_TAKEN
    ),
    "full, key removed": World(
        of_key(site=FULL, record={"status": KeyStatus.REVOKED}), Sentence.KEY_REMOVED
    ),
    "full, key being removed": World(
        of_key(site=FULL, record={"status": KeyStatus.REMOVING}), Sentence.KEY_REMOVED
    ),
    "full, key over": World(
        of_key(site=FULL, record={"window": AccessWindow(NOW - DAY, NOW)}), Sentence.WINDOW_OVER
    ),
    "full, failed key over": World(
        of_key(
            site=FULL,
            record={"status": KeyStatus.FAILED, "window": AccessWindow(NOW - DAY, NOW)},
        ),
        Sentence.KEY_FAILED,
    ),
    "full, suspended by hand": World(
        of_key(site=FULL, record=WAITING | {"by_hand": True}, wanted=WANTED),
        Sentence.KEY_SUSPENDED,
    ),
    "full, a resume was refused": World(
        of_key(
            site=FULL,
            record=WAITING | {"by_hand": True, "errors": frozenset({KeyProblem.SEAT_UNAVAILABLE})},
            wanted=WANTED,
        ),
        Sentence.SEATS_TAKEN,
    ),
    "full, key needs no seat yet": World(
        of_key(site=FULL, record=WAITING, wanted=WANTED_LATER), Sentence.KEY_SUSPENDED
    ),
    "full, key of a booking that wants none": World(
        of_key(site=FULL, record=WAITING), Sentence.KEY_SUSPENDED
    ),
    "full, not due": World(
        of_booking(site=FULL, booking=TOMORROW, unit={"template": LEAD}, key=None),
        Sentence.KEY_DUE_LATER,
    ),
    "full, no seat yet": World(
        of_booking(site=FULL, booking=TOMORROW, unit={"template": SEAT_LATER}, record=WAITING),
        Sentence.KEY_SEAT_LATER,
    ),
    "full, revoked by hand": World(
        of_booking(site=FULL, record={"status": KeyStatus.REVOKED, "by_hand": True}),
        Sentence.KEY_REMOVED,
    ),
    "full, pending": World(
        of_booking(site=FULL, booking={"status": BookingStatus.PENDING}, record=WAITING),
        Sentence.BOOKING_PENDING,
    ),
    "full, cancelled": World(
        of_booking(site=FULL, booking={"status": BookingStatus.CANCELLED}, key=None),
        Sentence.BOOKING_CANCELLED,
    ),
    "ledger": World(of_key(site={"ledger_closed": "keys.0001"}), Sentence.LEDGER_CLOSED),
    "ledger is old": World(
        of_booking(site={"held_back": ReadOnly.RESTORED_BACKUP}, key=None), Sentence.LEDGER_IS_OLD
    ),
    "clock jumped": World(of_site(site={"held_back": ReadOnly.CLOCK_JUMP}), Sentence.CLOCK_JUMPED),
    "bookings": World(of_booking(upkeep={"bookings_unread": "damaged"}), Sentence.BOOKINGS_UNREAD),
    "pending": World(
        of_booking(booking={"status": BookingStatus.PENDING}, key=None), Sentence.BOOKING_PENDING
    ),
    "cancelled": World(
        of_booking(booking={"status": BookingStatus.CANCELLED}), Sentence.BOOKING_CANCELLED
    ),
    "stay over": World(
        of_booking(booking={"starts_at": NOW - DAY, "ends_at": NOW - HOUR}),
        Sentence.BOOKING_COMPLETED,
    ),
    "calendar": World(of_booking(view={"calendar_read": False}), Sentence.CALENDAR_UNREAD),
    "not due": World(
        of_booking(booking=TOMORROW, unit={"template": LEAD}, key=None), Sentence.KEY_DUE_LATER
    ),
    "not due again": World(
        of_booking(booking=TOMORROW, unit={"template": LEAD}, record={"status": KeyStatus.REVOKED}),
        Sentence.KEY_DUE_LATER,
    ),
    "no seat yet": World(
        of_booking(
            booking=TOMORROW,
            unit={"template": SEAT_LATER},
            record={"status": KeyStatus.SUSPENDED},
        ),
        Sentence.KEY_SEAT_LATER,
    ),
    "trouble": World(of_booking(view={"trouble": "No seat."}, key=None), Sentence.TROUBLE),
    "no key": World(of_booking(key=None), Sentence.BOOKING_HAS_NO_KEY),
    "scheduled": World(_status(KeyStatus.SCHEDULED), Sentence.KEY_ON_ITS_WAY),
    "setting": World(_status(KeyStatus.SETTING), Sentence.KEY_ON_ITS_WAY),
    "suspended": World(_status(KeyStatus.SUSPENDED), Sentence.KEY_SUSPENDED),
    "removing": World(_status(KeyStatus.REMOVING), Sentence.KEY_REMOVED),
    "revoked": World(_status(KeyStatus.REVOKED), Sentence.KEY_REMOVED),
    "failed": World(
        _status(KeyStatus.FAILED, errors=frozenset({KeyProblem.REFUSED})), Sentence.KEY_FAILED
    ),
    "PIN lost": World(
        _status(KeyStatus.SET, errors=frozenset({KeyProblem.PIN_LOST})), Sentence.KEY_IN_TROUBLE
    ),
    "early": World(
        of_key(record={"window": AccessWindow(NOW + HOUR, NOW + DAY)}), Sentence.WINDOW_TO_COME
    ),
    "over": World(of_key(record={"window": AccessWindow(NOW - DAY, NOW)}), Sentence.WINDOW_OVER),
    "guest deleted": World(of_key(key=GUESTLESS), Sentence.GUEST_GONE),
    "guest expired": World(of_key(seen={"expires_at": NOW}), Sentence.GUEST_ENDED),
    "no seat": World(of_key(seen={"has_seat": False}), Sentence.SEAT_MISSING),
    "use_pin off": World(of_key(seen={"pin_enabled": False}), Sentence.PIN_NOT_ALLOWED),
    "no PIN": World(of_key(seen={"has_pin": False}), Sentence.PIN_MISSING),
    "door gone": World(of_key(door={"listed": False}), Sentence.DOOR_GONE),
    "no keypad": World(of_key(polled={"has_keypad": False}), Sentence.KEYPAD_MISSING),
    "group deleted": World(
        of_key(key=replace(KEY, seen=replace(SEEN, groups={GROUP: None}))), Sentence.GROUP_GONE
    ),
    "no group": World(of_key(record={"groups": ()}), Sentence.GROUP_NONE),
    "door taken out": World(of_key(group={"doors": frozenset({HUT})}), Sentence.GROUP_LACKS_DOOR),
    "member removed": World(of_key(group={"members": frozenset()}), Sentence.MEMBER_MISSING),
    "member not let in": World(
        of_key(group={"members": frozenset()}, record={"strategy": Strategy.MEMBERSHIP}),
        Sentence.MEMBER_MISSING,
    ),
    "schedule missing": World(of_key(group={"schedules": ()}), Sentence.SCHEDULE_MISSING),
    "schedule moved": World(
        of_key(group={"schedules": (replace(TIMES, starts=TOMORROW_LOCAL),)}),
        Sentence.SCHEDULE_ELSEWHEN,
    ),
    "no IQ": World(of_key(door={"has_iq": False, "iq": None}), Sentence.DOOR_WITHOUT_IQ),
    "privacy": World(of_key(door={"privacy_mode": True}), Sentence.PRIVACY_ON),
    "lock offline": World(of_key(polled={"online": False}), Sentence.LOCK_IS_OFFLINE),
    "IQ offline": World(of_key(iq={"online": False}), Sentence.IQ_IS_OFFLINE),
    "IQ reset": World(of_key(iq={"restore_required": True}), Sentence.IQ_TO_RESTORE),
    "remote right": World(of_door(site={"remote_right": False}), Sentence.MAY_NOT_OPEN_REMOTELY),
    "IQ not set up": World(of_door(iq={"ready": IqReady.NOT_SET_UP}), Sentence.IQ_NOT_SET_UP),
    "IQ not activated": World(
        of_door(iq={"ready": IqReady.NOT_ACTIVATED}), Sentence.IQ_NOT_ACTIVATED
    ),
    "IQ PIN unproven": World(of_door(iq={"ready": IqReady.PIN_UNPROVEN}), Sentence.IQ_PIN_UNPROVEN),
    "OTP": World(of_door(iq={"otp_closed_until": NOW + HOUR}), Sentence.OTP_CLOSED),
    "not opened for": World(
        of_booking(unit=REMOTE, key=None, opens_remotely=True, view={"refused_opening": "No."}),
        Sentence.OPENS_NOT_REMOTELY,
    ),
    "clock": World(of_key(site={"clock_offset": -timedelta(seconds=61)}), Sentence.CLOCKS_DIFFER),
    "battery": World(of_key(door={"battery_low": True}), Sentence.BATTERY_LOW),
    "denied": World(of_key(key=replace(KEY, denials=(DENIAL,))), Sentence.DENIED),
    "denied at a door that it does not open": World(
        of_key(key=replace(KEY, denials=(replace(DENIAL, door_id=HUT),))), Sentence.DENIED
    ),
    "denied at the door": World(of_door(door={"denial": DENIAL}), Sentence.DENIED),
    "log": World(of_site(upkeep={"log_read": False}), Sentence.LOG_UNREAD),
    "compared long ago": World(
        of_site(upkeep={"compared_at": NOW - 2 * DAY}), Sentence.COMPARED_LONG_AGO
    ),
    "discrepancies": World(of_site(upkeep={"discrepancies": 2}), Sentence.DISCREPANCY),
    "nobody's door": World(of_door(keys_now=()), Sentence.NO_KEY_NOW),
}
"""Worlds in which a door does not open, or may not for long."""

UNREAD_KEY: Mapping[str, Any] = {"key": UNREAD, "doors": (UNKNOWN_DOOR,)}
WELL: Mapping[str, Facts] = {
    "key": of_key(),
    "key, off": of_key(site={"active": False}),
    "key, site full": of_key(site=FULL),
    "booking, site full": of_booking(site=FULL),
    "key, held back": of_key(site={"held_back": ReadOnly.CLOCK_JUMP}),
    "key, office mode": of_key(polled={"office_mode": True}),
    "key of tomorrow's member": of_key(record={"strategy": Strategy.MEMBERSHIP}),
    "key, old denial": of_key(key=replace(KEY, denials=(replace(DENIAL, at=NOW - DAY),))),
    "key, denied elsewhere long ago": of_key(
        record={"changed_at": NOW - DAY, "pin_set_at": NOW - DAY},
        key=replace(KEY, denials=(replace(DENIAL, door_id=HUT, at=NOW - 2 * HOUR),)),
    ),
    "booking": of_booking(),
    "booking, told": of_booking(unit={"calendar": None}),
    "booking, seat early": of_booking(booking=TOMORROW, unit={"template": SEAT_LATER}),
    "booking, both": of_booking(unit={"mode": AccessMode.BOTH}, opens_remotely=True),
    "booking, remote": of_booking(unit=REMOTE, key=None, opens_remotely=True),
    "booking, another door": of_booking(
        unit={"mode": AccessMode.BOTH},
        opens_remotely=True,
        doors=(DOOR, replace(DOOR, door_id=HUT, facts=replace(POLLED, has_keypad=False))),
    ),
    "door": of_door(),
    "door, no keypad": of_door(),
    "site": of_site(),
    "site, PINs only": of_site(iqs=(replace(IQ, ready=IqReady.NOT_SET_UP),)),
    "site, no stream": of_site(upkeep={"live_events": False}),
    "site, no calendar": of_site(upkeep={"calendars": {}}),
    "site, log unread yet": of_site(upkeep={"log_read": None}),
}
"""Worlds of which nothing bad is known."""

UNKNOWN: Mapping[str, Facts] = {
    "nothing of a key": of_key(
        site=dict.fromkeys(
            (
                "account_blocked",
                "remote_right",
                "subscription_valid",
                "pins_enabled",
                "seats_used",
                "seats_total",
                "clock_offset",
            )
        ),
        upkeep={"log_read": None},
        **UNREAD_KEY,
    ),
    "end of the guest": of_key(seen={"expires_at": None}),
    "PIN unread": of_key(seen={"has_pin": None}),
    "group not asked about": of_key(key=replace(KEY, seen=replace(SEEN, groups={}))),
    "schedule narrowed": of_key(group={"schedules": (replace(TIMES, is_plain=False),)}),
    "group unread": of_key(group={"doors": None, "members": None, "schedules": None}),
    "odd zone": of_key(door={"zone": "Mars/Olympus"}),
    "changing": _status(KeyStatus.CHANGING),
    "unknown": _status(KeyStatus.UNKNOWN),
    "just written": _status(KeyStatus.SET, changed_at=NOW - MINUTE),
    "just let in": of_key(
        record={"strategy": Strategy.MEMBERSHIP, "window": AccessWindow(NOW - MINUTE, NOW + HOUR)}
    ),
    "never given a PIN": _status(KeyStatus.SET, pin_set_at=None, changed_at=NOW - MINUTE),
    "just back": of_key(polled={"reached_since": NOW - MINUTE}),
    "out of reach": of_key(polled={"reached_since": None}),
    "calendar": of_booking(view={"calendar_read": None}),
    "IQ": of_door(iq={"ready": None, "online": None, "restore_required": None}),
    "log of a door": of_door(upkeep={"log_read": False}),
    "remote right": of_site(site={"remote_right": None}),
    "never compared": of_site(upkeep={"compared_at": None, "discrepancies": None}),
}
"""Worlds of which something is not known, and nothing bad is."""

TROUBLES = of_site(upkeep={"troubles": {"R1 (Pitch 12)": "No seat.", "R2 (Pitch 12)": "No seat."}})


def all_worlds() -> dict[str, Facts]:
    """Return every world by a name."""
    return {
        **{f"failing {name}": world.facts for name, world in FAILING.items()},
        **{f"well {name}": facts for name, facts in WELL.items()},
        **{f"unknown {name}": facts for name, facts in UNKNOWN.items()},
        "troubles": TROUBLES,
    }
