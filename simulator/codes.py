"""Checking one-time passwords, and blocking those who guess."""

from datetime import datetime, timedelta
from typing import Literal

from . import otp
from .errors import iq_error
from .quirks import Quirks
from .world import Activation, IqId, PlatformUserId, World

type Command = Literal["locking", "pin", "pin_delete", "secret"]
"""What an OTP is for. Failures are counted for each of these apart (MEAS)."""


def activation_for(world: World, user_id: PlatformUserId, iq_id: IqId) -> Activation:
    """Return a user's record on an IQ, a new empty one if there was none."""
    found = world.activation(user_id, iq_id)
    if found is not None:
        return found
    return world.insert(Activation(user_id=user_id, iq_id=iq_id))


def is_blocked(activation: Activation, command: Command, now: datetime) -> bool:
    """Tell whether a command is blocked after too many wrong codes. Evidence: MEAS."""
    until = activation.blocked_until.get(command)
    return until is not None and now < until


def refuse_blocked(activation: Activation, command: Command, now: datetime) -> None:
    """Raise 403/3102 `otp_blocked` while a command is blocked. Evidence: MEAS."""
    if is_blocked(activation, command, now):
        raise iq_error(403, "otp_blocked")


def spend(
    world: World,
    activation: Activation,
    command: Command,
    code: str,
    *,
    now: datetime,
    quirks: Quirks,
    wrong_status: int = 400,
) -> str:
    """Accept a code and return the PIN it was made with, or raise 3102 `otp_invalid` and count.

    The failure that reaches the threshold is still answered `otp_invalid`; the block starts with
    it. A good code ends the count (INF). Evidence: MEAS.
    """
    world.touch()
    pin = activation.pin
    if pin is not None and _good(activation, pin, code, now, quirks):
        activation.failures.pop(command, None)
        activation.blocked_until.pop(command, None)
        return pin
    failures = activation.failures.get(command, 0) + 1
    activation.failures[command] = failures
    if failures >= quirks.block_threshold:
        activation.failures.pop(command)
        activation.blocked_until[command] = now + timedelta(seconds=quirks.block_seconds)
    raise iq_error(wrong_status, "otp_invalid")


def _good(activation: Activation, pin: str, code: str, now: datetime, quirks: Quirks) -> bool:
    if activation.secret is None:
        return False
    if not otp.accepts(code, activation.secret, pin, now, quirks.otp_window_s):
        return False
    if quirks.otp_reuse == "allowed":
        return True
    keep = timedelta(seconds=2 * quirks.otp_window_s)
    used = {text: at for text, at in activation.used_otps.items() if now - at <= keep}
    activation.used_otps = used | {code.lower(): now}
    return code.lower() not in used
