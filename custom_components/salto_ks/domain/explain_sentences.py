"""What a checklist can say: checks, their results, and a sentence for each case.

The text of a sentence is in the translations, by its key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Final

from .access_events import DenialReason
from .keys import KeyProblem


class CheckName(StrEnum):
    """What is looked at, in the order in which a person should look."""

    SITE_REACHABLE = "site_reachable"
    SITE_ACTIVE = "site_active"
    ACCOUNT = "account"
    SUBSCRIPTION = "subscription"
    SITE_PINS = "site_pins"
    SEATS = "seats"
    LEDGER = "ledger"
    HELD_BACK = "held_back"
    BOOKINGS_KNOWN = "bookings_known"
    BOOKING_STATUS = "booking_status"
    CALENDAR = "calendar"
    ACCESS_MODE = "access_mode"
    KEY_DUE = "key_due"
    BOOKING_TROUBLE = "booking_trouble"
    BOOKING_KEY = "booking_key"
    KEY_STATUS = "key_status"
    KEY_WINDOW = "key_window"
    GUEST = "guest"
    GUEST_END = "guest_end"
    GUEST_SEAT = "guest_seat"
    PIN_ALLOWED = "pin_allowed"
    PIN_SET = "pin_set"
    DOOR_LISTED = "door_listed"
    KEYPAD = "keypad"
    GROUP = "group"
    GROUP_DOOR = "group_door"
    MEMBER = "member"
    SCHEDULE = "schedule"
    ROLLED_OUT = "rolled_out"
    DOOR_IQ = "door_iq"
    PRIVACY_MODE = "privacy_mode"
    OFFICE_MODE = "office_mode"
    LOCK_ONLINE = "lock_online"
    IQ_ONLINE = "iq_online"
    IQ_RESTORE = "iq_restore"
    REMOTE_RIGHT = "remote_right"
    IQ_ACTIVATED = "iq_activated"
    OTP = "otp"
    REMOTE_OPENING = "remote_opening"
    CLOCK = "clock"
    BATTERY = "battery"
    LAST_DENIAL = "last_denial"
    DOOR_LOG = "door_log"
    LIVE_EVENTS = "live_events"
    RECONCILIATION = "reconciliation"
    DISCREPANCIES = "discrepancies"
    DOOR_KEYS = "door_keys"


ORDER: Final = {name: place for place, name in enumerate(CheckName)}
"""The place of each check in the order of looking."""


class Result(StrEnum):
    """What a check came to."""

    PASS = "pass"  # noqa: S105 - the result of a check, no password
    FAIL = "fail"
    UNKNOWN = "unknown"
    """It could not be read, or nobody can know it."""


class Sentence(Enum):
    """What can be said: of which check, with which result, and in which case of several."""

    REACHED = CheckName.SITE_REACHABLE, Result.PASS
    NOT_REACHED = CheckName.SITE_REACHABLE, Result.FAIL
    LOGIN_REFUSED = CheckName.SITE_REACHABLE, Result.FAIL, "login"
    ACTIVE = CheckName.SITE_ACTIVE, Result.PASS
    INACTIVE_WITH_KEY = CheckName.SITE_ACTIVE, Result.PASS, "key"
    INACTIVE = CheckName.SITE_ACTIVE, Result.FAIL
    ACCOUNT_WELL = CheckName.ACCOUNT, Result.PASS
    ACCOUNT_BLOCKED = CheckName.ACCOUNT, Result.FAIL
    ACCOUNT_UNKNOWN = CheckName.ACCOUNT, Result.UNKNOWN
    SUBSCRIPTION_VALID = CheckName.SUBSCRIPTION, Result.PASS
    SUBSCRIPTION_OVER = CheckName.SUBSCRIPTION, Result.FAIL
    SUBSCRIPTION_UNKNOWN = CheckName.SUBSCRIPTION, Result.UNKNOWN
    PINS_ON = CheckName.SITE_PINS, Result.PASS
    PINS_OFF = CheckName.SITE_PINS, Result.FAIL
    PINS_UNKNOWN = CheckName.SITE_PINS, Result.UNKNOWN
    SEATS_FREE = CheckName.SEATS, Result.PASS
    SEATS_HELD = CheckName.SEATS, Result.PASS, "held"
    SEATS_TAKEN = CheckName.SEATS, Result.FAIL
    SEATS_UNKNOWN = CheckName.SEATS, Result.UNKNOWN
    LEDGER_WELL = CheckName.LEDGER, Result.PASS
    LEDGER_CLOSED = CheckName.LEDGER, Result.FAIL
    NOT_HELD_BACK = CheckName.HELD_BACK, Result.PASS
    LEDGER_IS_OLD = CheckName.HELD_BACK, Result.FAIL, "restored_backup"
    CLOCK_JUMPED = CheckName.HELD_BACK, Result.FAIL, "clock_jump"
    BOOKINGS_READ = CheckName.BOOKINGS_KNOWN, Result.PASS
    BOOKINGS_UNREAD = CheckName.BOOKINGS_KNOWN, Result.FAIL
    BOOKING_FIRM = CheckName.BOOKING_STATUS, Result.PASS
    BOOKING_PENDING = CheckName.BOOKING_STATUS, Result.FAIL, "pending"
    BOOKING_CANCELLED = CheckName.BOOKING_STATUS, Result.FAIL, "cancelled"
    BOOKING_COMPLETED = CheckName.BOOKING_STATUS, Result.FAIL, "completed"
    CALENDAR_READ = CheckName.CALENDAR, Result.PASS
    CALENDAR_UNREAD = CheckName.CALENDAR, Result.FAIL
    CALENDAR_UNKNOWN = CheckName.CALENDAR, Result.UNKNOWN
    MODE_PIN = CheckName.ACCESS_MODE, Result.PASS
    MODE_REMOTE = CheckName.ACCESS_MODE, Result.PASS, "remote"
    MODE_BOTH = CheckName.ACCESS_MODE, Result.PASS, "both"
    KEY_IS_DUE = CheckName.KEY_DUE, Result.PASS
    KEY_DUE_LATER = CheckName.KEY_DUE, Result.FAIL
    KEY_SEAT_LATER = CheckName.KEY_DUE, Result.FAIL, "seat"
    NO_TROUBLE = CheckName.BOOKING_TROUBLE, Result.PASS
    TROUBLE = CheckName.BOOKING_TROUBLE, Result.FAIL
    BOOKING_HAS_KEY = CheckName.BOOKING_KEY, Result.PASS
    BOOKING_HAS_NO_KEY = CheckName.BOOKING_KEY, Result.FAIL
    KEY_IS_SET = CheckName.KEY_STATUS, Result.PASS
    KEY_ON_ITS_WAY = CheckName.KEY_STATUS, Result.FAIL, "setting"
    KEY_SUSPENDED = CheckName.KEY_STATUS, Result.FAIL, "suspended"
    KEY_REMOVED = CheckName.KEY_STATUS, Result.FAIL, "removed"
    KEY_FAILED = CheckName.KEY_STATUS, Result.FAIL, "failed"
    KEY_IN_TROUBLE = CheckName.KEY_STATUS, Result.FAIL, "trouble"
    KEY_CHANGING = CheckName.KEY_STATUS, Result.UNKNOWN, "changing"
    KEY_UNKNOWN = CheckName.KEY_STATUS, Result.UNKNOWN
    WINDOW_HOLDS = CheckName.KEY_WINDOW, Result.PASS
    WINDOW_TO_COME = CheckName.KEY_WINDOW, Result.FAIL, "early"
    WINDOW_OVER = CheckName.KEY_WINDOW, Result.FAIL, "over"
    GUEST_THERE = CheckName.GUEST, Result.PASS
    GUEST_GONE = CheckName.GUEST, Result.FAIL
    GUEST_NOT_READ = CheckName.GUEST, Result.UNKNOWN
    GUEST_LASTS = CheckName.GUEST_END, Result.PASS
    GUEST_ENDED = CheckName.GUEST_END, Result.FAIL
    GUEST_END_UNKNOWN = CheckName.GUEST_END, Result.UNKNOWN
    SEAT_THERE = CheckName.GUEST_SEAT, Result.PASS
    SEAT_MISSING = CheckName.GUEST_SEAT, Result.FAIL
    SEAT_UNKNOWN = CheckName.GUEST_SEAT, Result.UNKNOWN
    PIN_IS_ALLOWED = CheckName.PIN_ALLOWED, Result.PASS
    PIN_NOT_ALLOWED = CheckName.PIN_ALLOWED, Result.FAIL
    PIN_ALLOWED_UNKNOWN = CheckName.PIN_ALLOWED, Result.UNKNOWN
    PIN_THERE = CheckName.PIN_SET, Result.PASS
    PIN_MISSING = CheckName.PIN_SET, Result.FAIL
    PIN_UNKNOWN = CheckName.PIN_SET, Result.UNKNOWN
    DOOR_THERE = CheckName.DOOR_LISTED, Result.PASS
    DOOR_GONE = CheckName.DOOR_LISTED, Result.FAIL
    DOOR_NOT_READ = CheckName.DOOR_LISTED, Result.UNKNOWN
    KEYPAD_THERE = CheckName.KEYPAD, Result.PASS
    KEYPAD_MISSING = CheckName.KEYPAD, Result.FAIL
    KEYPAD_UNKNOWN = CheckName.KEYPAD, Result.UNKNOWN
    GROUP_THERE = CheckName.GROUP, Result.PASS
    GROUP_GONE = CheckName.GROUP, Result.FAIL
    GROUP_NONE = CheckName.GROUP, Result.FAIL, "none"
    GROUP_UNKNOWN = CheckName.GROUP, Result.UNKNOWN
    GROUP_HAS_DOOR = CheckName.GROUP_DOOR, Result.PASS
    GROUP_LACKS_DOOR = CheckName.GROUP_DOOR, Result.FAIL
    GROUP_DOOR_UNKNOWN = CheckName.GROUP_DOOR, Result.UNKNOWN
    MEMBER_THERE = CheckName.MEMBER, Result.PASS
    MEMBER_MISSING = CheckName.MEMBER, Result.FAIL
    MEMBER_UNKNOWN = CheckName.MEMBER, Result.UNKNOWN
    SCHEDULE_HOLDS = CheckName.SCHEDULE, Result.PASS
    SCHEDULE_ELSEWHEN = CheckName.SCHEDULE, Result.FAIL
    SCHEDULE_MISSING = CheckName.SCHEDULE, Result.FAIL, "missing"
    SCHEDULE_NARROWED = CheckName.SCHEDULE, Result.UNKNOWN, "hours"
    SCHEDULE_UNKNOWN = CheckName.SCHEDULE, Result.UNKNOWN
    HEARD = CheckName.ROLLED_OUT, Result.PASS
    MAY_NOT_HAVE_HEARD = CheckName.ROLLED_OUT, Result.UNKNOWN
    WAS_OUT_OF_REACH = CheckName.ROLLED_OUT, Result.UNKNOWN, "offline"
    DOOR_HAS_IQ = CheckName.DOOR_IQ, Result.PASS
    DOOR_WITHOUT_IQ = CheckName.DOOR_IQ, Result.FAIL
    DOOR_IQ_UNKNOWN = CheckName.DOOR_IQ, Result.UNKNOWN
    PRIVACY_OFF = CheckName.PRIVACY_MODE, Result.PASS
    PRIVACY_ON = CheckName.PRIVACY_MODE, Result.FAIL
    PRIVACY_UNKNOWN = CheckName.PRIVACY_MODE, Result.UNKNOWN
    OFFICE_MODE_OFF = CheckName.OFFICE_MODE, Result.PASS
    OFFICE_MODE_ON = CheckName.OFFICE_MODE, Result.PASS, "on"
    OFFICE_MODE_UNKNOWN = CheckName.OFFICE_MODE, Result.UNKNOWN
    LOCK_IS_ONLINE = CheckName.LOCK_ONLINE, Result.PASS
    LOCK_IS_OFFLINE = CheckName.LOCK_ONLINE, Result.FAIL
    LOCK_UNKNOWN = CheckName.LOCK_ONLINE, Result.UNKNOWN
    IQ_IS_ONLINE = CheckName.IQ_ONLINE, Result.PASS
    IQ_IS_OFFLINE = CheckName.IQ_ONLINE, Result.FAIL
    IQ_UNKNOWN = CheckName.IQ_ONLINE, Result.UNKNOWN
    IQ_RESTORED = CheckName.IQ_RESTORE, Result.PASS
    IQ_TO_RESTORE = CheckName.IQ_RESTORE, Result.FAIL
    IQ_RESTORE_UNKNOWN = CheckName.IQ_RESTORE, Result.UNKNOWN
    MAY_OPEN_REMOTELY = CheckName.REMOTE_RIGHT, Result.PASS
    MAY_NOT_OPEN_REMOTELY = CheckName.REMOTE_RIGHT, Result.FAIL
    REMOTE_RIGHT_UNKNOWN = CheckName.REMOTE_RIGHT, Result.UNKNOWN
    IQ_IS_ACTIVATED = CheckName.IQ_ACTIVATED, Result.PASS
    IQ_NOT_USED = CheckName.IQ_ACTIVATED, Result.PASS, "unused"
    IQ_NOT_SET_UP = CheckName.IQ_ACTIVATED, Result.FAIL, "absent"
    IQ_NOT_ACTIVATED = CheckName.IQ_ACTIVATED, Result.FAIL
    IQ_PIN_UNPROVEN = CheckName.IQ_ACTIVATED, Result.FAIL, "unproven"
    IQ_ACTIVATED_UNKNOWN = CheckName.IQ_ACTIVATED, Result.UNKNOWN
    OTP_CLEAR = CheckName.OTP, Result.PASS
    OTP_CLOSED = CheckName.OTP, Result.FAIL
    OPENS_REMOTELY = CheckName.REMOTE_OPENING, Result.PASS
    OPENS_NOT_REMOTELY = CheckName.REMOTE_OPENING, Result.FAIL
    CLOCKS_AGREE = CheckName.CLOCK, Result.PASS
    CLOCKS_DIFFER = CheckName.CLOCK, Result.FAIL
    CLOCK_UNKNOWN = CheckName.CLOCK, Result.UNKNOWN
    BATTERY_GOOD = CheckName.BATTERY, Result.PASS
    BATTERY_LOW = CheckName.BATTERY, Result.FAIL
    BATTERY_UNKNOWN = CheckName.BATTERY, Result.UNKNOWN
    NOT_DENIED = CheckName.LAST_DENIAL, Result.PASS
    DENIED = CheckName.LAST_DENIAL, Result.FAIL
    DENIAL_UNKNOWN = CheckName.LAST_DENIAL, Result.UNKNOWN
    LOG_READ = CheckName.DOOR_LOG, Result.PASS
    LOG_UNREAD = CheckName.DOOR_LOG, Result.FAIL
    EVENTS_COME = CheckName.LIVE_EVENTS, Result.PASS
    EVENTS_ARE_FETCHED = CheckName.LIVE_EVENTS, Result.PASS, "polling"
    COMPARED = CheckName.RECONCILIATION, Result.PASS
    COMPARED_LONG_AGO = CheckName.RECONCILIATION, Result.FAIL
    NOT_COMPARED = CheckName.RECONCILIATION, Result.UNKNOWN
    NO_DISCREPANCY = CheckName.DISCREPANCIES, Result.PASS
    DISCREPANCY = CheckName.DISCREPANCIES, Result.FAIL
    DISCREPANCIES_UNKNOWN = CheckName.DISCREPANCIES, Result.UNKNOWN
    KEYS_NOW = CheckName.DOOR_KEYS, Result.PASS
    NO_KEY_NOW = CheckName.DOOR_KEYS, Result.FAIL

    def __init__(self, check: CheckName, result: Result, case: str = "") -> None:
        """Take the parts of the value apart."""
        self.check = check
        self.result = result
        self.case = case

    @property
    def key(self) -> str:
        """Return the key of its text."""
        return "_".join(filter(None, ("explain", self.check, self.result, self.case)))


PLAIN: Final = {
    (sentence.check, sentence.result): sentence for sentence in Sentence if not sentence.case
}
"""The sentences of checks that have one for a result."""

type Filling = str | int | datetime | DenialReason | tuple[KeyProblem, ...]
"""What a text is filled with; reasons and problems have texts of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the list."""

    sentence: Sentence
    about: Mapping[str, Filling] = field(default_factory=dict)
    """What the text is filled with."""

    @property
    def name(self) -> CheckName:
        """Return what was looked at."""
        return self.sentence.check

    @property
    def result(self) -> Result:
        """Return what it came to."""
        return self.sentence.result
