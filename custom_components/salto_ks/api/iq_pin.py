"""Arithmetic of the `delta` by which an IQ PIN is changed.

The API takes no new PIN, only a four-digit difference. `KEEP_PIN` leaves the delivered PIN
as it is under every reading (MEAS, door opened). What any other value does is disputed: a
maintained app adds whole numbers (CODE), a measurement log speaks of digit-wise subtraction
(MEAS, unproven at the door). Both readings live here and nowhere else.
"""

KEEP_PIN = "0000"
"""The delta that keeps the PIN (MEAS)."""


def whole_delta(old: str, new: str) -> str:
    """Return the delta that leads from old to new if Salto adds whole numbers (CODE)."""
    return f"{(int(new) - int(old)) % 10_000:04d}"


def digitwise_difference(minuend: str, subtrahend: str) -> str:
    """Subtract digit by digit, modulo ten, without borrowing.

    If Salto subtracts digit-wise (MEAS, unproven), this is both the PIN that a delta leads to
    (old, delta) and the delta that leads from one PIN to another (old, new).
    """
    pairs = zip(minuend, subtrahend, strict=True)
    return "".join(str((int(a) - int(b)) % 10) for a, b in pairs)
