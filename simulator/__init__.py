"""A simulated Salto KS Connect API: a real server that behaves as the vendor's was measured.

Imports nothing but itself, the standard library, aiohttp and yarl; above all it shares no code
with any client, so that a mistake cannot be made on both sides.
"""

from .app import Simulator
from .errors import UnknownRecordError
from .faults import Fault
from .keypad import KeypadResult
from .quirks import Quirks, pairwise

__all__ = [
    "Fault",
    "KeypadResult",
    "Quirks",
    "Simulator",
    "UnknownRecordError",
    "pairwise",
]
