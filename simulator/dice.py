"""Ids, PINs and tokens that look random and are the same in every run."""

from collections.abc import Mapping
import hashlib
import uuid


class Dice:
    """A source of made-up values that depends only on its seed and on how often it was asked.

    Each kind of value has a counter of its own, so that an extra login does not change the ids of
    what is created after it. The counters are the whole state.
    """

    def __init__(self, seed: str, counters: Mapping[str, int] | None = None) -> None:
        self._seed = seed
        self.counters: dict[str, int] = dict(counters or {})

    def _roll(self, kind: str) -> bytes:
        count = self.counters.get(kind, 0) + 1
        self.counters[kind] = count
        return hashlib.sha256(f"{self._seed}/{kind}/{count}".encode()).digest()

    def uuid(self) -> str:
        """Return a new id in the vendor's form (lower-case UUID)."""
        return str(uuid.UUID(bytes=self._roll("id")[:16], version=4))

    def digits(self, length: int) -> str:
        """Return a zero-padded code of that many digits."""
        return str(int.from_bytes(self._roll("code")) % 10**length).zfill(length)

    def secret(self) -> str:
        """Return an IQ secret: 16 upper-case hexadecimal characters."""
        return self._roll("secret").hex()[:16].upper()

    def token(self) -> str:
        """Return 64 characters that nobody guesses."""
        return self._roll("token").hex()
