"""The one-time password of an IQ, written from the vendor's description alone.

This module shares nothing with any client on purpose: a mistake made in both would make them
agree with each other and with no door.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
import hashlib
from typing import Literal

OTP_LENGTH = 5

type DeltaRule = Literal["whole_add", "digit_sub", "digit_add"]


def one_time_password(secret: str, pin: str, moment: datetime) -> str:
    """Return the OTP of one second.

    The first five hexadecimal digits of MD5 over UTC time (`YYYYMMDDHHMMSS`), secret and PIN,
    joined without separators. Evidence: DOC, CODE, MEAS.
    """
    stamp = moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")
    text = f"{stamp}{secret}{pin}".encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest()[:OTP_LENGTH]


def candidates(secret: str, pin: str, now: datetime, window_s: int) -> Iterator[str]:
    """Yield the OTP of every second within the window around now, nearest first.

    The time is not sent with the code, so a verifier has to try them all. Evidence: INF (the three
    minutes: DOC).
    """
    whole = now.replace(microsecond=0)
    yield one_time_password(secret, pin, whole)
    for distance in range(1, window_s + 1):
        yield one_time_password(secret, pin, whole - timedelta(seconds=distance))
        yield one_time_password(secret, pin, whole + timedelta(seconds=distance))


def accepts(otp: str, secret: str, pin: str, now: datetime, window_s: int) -> bool:
    """Tell whether a code is good now; the case of its letters does not matter (DOC)."""
    wanted = otp.lower()
    return any(candidate == wanted for candidate in candidates(secret, pin, now, window_s))


def changed_pin(pin: str, delta: str, rule: DeltaRule) -> str:
    """Return the PIN after a change by `delta`, under one of the disputed rules.

    `"0000"` keeps the PIN under each of them. Evidence: `"0000"` MEAS, the rest UNK.
    """
    if rule == "whole_add":
        return str((int(pin) + int(delta)) % 10_000).zfill(4)
    sign = -1 if rule == "digit_sub" else 1
    return "".join(
        str((int(digit) + sign * int(step)) % 10) for digit, step in zip(pin, delta, strict=True)
    )
