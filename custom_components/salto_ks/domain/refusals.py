"""Why we do not even ask Salto to open a door."""

from datetime import datetime
from enum import StrEnum


class Refusal(StrEnum):
    """Reason for a refusal of our own; each has a text of the same name."""

    INACTIVE = "inactive"
    LOCK_WITHOUT_IQ = "lock_without_iq"
    IQ_NOT_SET_UP = "iq_not_set_up"
    IQ_BUSY = "iq_busy"
    LOGIN_SLOW = "login_slow"
    UNLOADING = "unloading"
    PIN_UNPROVEN = "pin_unproven"
    OTP_BLOCKED = "otp_blocked"
    OTP_HELD = "otp_held"
    CODE_REQUIRED = "code_required"
    CODE_INVALID = "code_invalid"


class CommandRefusedError(Exception):
    """A command that was not sent. `until` tells from when it may be, where that is known."""

    def __init__(self, reason: Refusal, *, until: datetime | None = None) -> None:
        """Remember why, and until when."""
        super().__init__(reason.value)
        self.reason = reason
        self.until = until
