"""When an OTP may be sent to an IQ, and when it is better not to.

Salto blocks an account on an IQ for 20 minutes after some wrong OTPs (DOC); after how many is
not known, between 3 and 8 were seen (MEAS). So we stop by ourselves after three, and wait out
a block with a margin, as one trial each `HOLD` is all that can be lost.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

REJECTIONS_UNTIL_DEGRADED: Final = 3
HOLD: Final = timedelta(minutes=25)
"""How long nothing is sent after a block; Salto's own lasts 20 minutes (DOC)."""


class OtpPermit(StrEnum):
    """Whether an OTP may be sent now."""

    CLEAR = "clear"
    BLOCKED = "blocked"
    """Salto has said `otp_blocked`."""
    HELD = "held"
    """Three OTPs in a row were rejected and Salto has not blocked yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtpGuard:
    """What the answers to past OTPs say about the next one, for one account on one IQ."""

    rejections: int = 0
    """Rejected OTPs since the last accepted one."""
    blocked_until: datetime | None = None
    """End of a block that Salto has announced, with our margin."""
    held_until: datetime | None = None
    """End of the pause that we keep after three rejections."""

    @property
    def degraded(self) -> bool:
        """Tell whether a person should look at this IQ's PIN and secret."""
        return self.rejections >= REJECTIONS_UNTIL_DEGRADED

    def permit(self, now: datetime) -> OtpPermit:
        """Tell whether an OTP may be sent."""
        if _runs(self.blocked_until, now):
            return OtpPermit.BLOCKED
        return OtpPermit.HELD if _runs(self.held_until, now) else OtpPermit.CLEAR

    def closed_until(self, now: datetime) -> datetime | None:
        """Return when the next OTP may be sent; None when it may be sent now."""
        running = [end for end in (self.blocked_until, self.held_until) if end and _runs(end, now)]
        return max(running, default=None)

    def accepted(self) -> Self:
        """Return the guard after an accepted OTP: everything is forgiven."""
        return type(self)()

    def rejected(self, now: datetime) -> Self:
        """Return the guard after a rejected OTP."""
        after = replace(self, rejections=self.rejections + 1)
        return replace(after, held_until=now + HOLD) if after.degraded else after

    def blocked(self, now: datetime) -> Self:
        """Return the guard after Salto has said `otp_blocked`."""
        return replace(self, blocked_until=now + HOLD)


def _runs(end: datetime | None, now: datetime) -> bool:
    """Tell whether a pause is on.

    A clock that is corrected backwards makes a pause look longer than it can be. A small
    correction must not end it; one that ends later than in two holds is from another time.
    """
    return end is not None and now < end <= now + 2 * HOLD
