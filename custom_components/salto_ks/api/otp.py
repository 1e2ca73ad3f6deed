"""The IQ one-time password that signs every remote command.

The algorithm (DOC, CODE by two independent clients, MEAS at a physical door)::

    first 5 characters of the lower-case hex MD5 of  <UTC as YYYYMMDDHHMMSS><secret><PIN>

It is not RFC 6238; `pyotp` gives the frame (a counter of whole seconds), the digest is the
vendor's. An OTP is accepted for about three minutes around the stamp.
"""

from datetime import UTC, datetime
import hashlib
import re
from typing import NoReturn, override

import pyotp

OTP_LENGTH = 5
"""Characters of an OTP (DOC)."""

_PIN = re.compile(r"[0-9]{4}")


def is_iq_pin(value: str) -> bool:
    """Tell whether a text has the form of an IQ PIN: exactly four ASCII digits (DOC)."""
    return _PIN.fullmatch(value) is not None


class IqOtp(pyotp.TOTP):
    """Compute OTPs for one account on one IQ.

    Only `at()` with an aware datetime works. Its inherited relatives go through naive local
    time, which is an hour wrong in the repeated hour when summer time ends, so they raise.
    Make one for each command and drop it: it holds the two secrets.
    """

    def __init__(self, secret: str, pin: str) -> None:
        """Take the IQ secret exactly as Salto delivered it and the four-digit IQ PIN.

        Raises ValueError for a PIN of another form, or an empty secret.
        """
        if not is_iq_pin(pin):
            raise ValueError("an IQ PIN is exactly four digits")
        if not secret:
            raise ValueError("the IQ secret is empty")
        super().__init__(secret, digits=OTP_LENGTH, interval=1)
        self._pin = pin

    def __repr__(self) -> str:
        """Show nothing of the secrets."""
        return f"{type(self).__name__}()"

    @override
    def generate_otp(self, input: int) -> str:
        """Return the OTP for a counter of whole seconds since the epoch."""
        stamp = datetime.fromtimestamp(input, UTC).strftime("%Y%m%d%H%M%S")
        digest = hashlib.md5(f"{stamp}{self.secret}{self._pin}".encode(), usedforsecurity=False)
        return digest.hexdigest()[:OTP_LENGTH]

    @override
    def at(self, for_time: datetime | int, counter_offset: int = 0) -> str:
        """Return the OTP for an aware instant; fractions of a second are cut off.

        Raises ValueError for anything but an aware datetime.
        """
        if not isinstance(for_time, datetime) or for_time.utcoffset() is None:
            raise ValueError("an OTP is computed for an aware datetime only")
        return super().at(for_time.astimezone(UTC), counter_offset)

    @override
    def now(self) -> NoReturn:
        """Refuse: the inherited method reads naive local time."""
        raise TypeError("use at() with an aware datetime")

    @override
    def verify(self, otp: str, for_time: datetime | None = None, valid_window: int = 0) -> NoReturn:
        """Refuse: Salto verifies, we do not."""
        raise TypeError("an OTP is verified by the IQ only")

    @override
    def provisioning_uri(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuse: the address would spell the secret out."""
        raise TypeError("an IQ secret has no provisioning address")
