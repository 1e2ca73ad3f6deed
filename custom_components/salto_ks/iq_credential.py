"""What it takes to sign commands for one account on one IQ, and where it is kept."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from .api.models import IqId, PlatformUserId, SiteId
from .domain.otp_guard import OtpGuard


@dataclass(frozen=True, slots=True)
class IqKey:
    """Whose credential it is: the secret is per account and per IQ (MEAS)."""

    site_id: SiteId
    iq_id: IqId
    user_id: PlatformUserId


@dataclass(frozen=True, slots=True, kw_only=True)
class IqCredential:
    """IQ secret and IQ PIN, as far as they are known."""

    secret: str = field(repr=False)
    """Can never be read again once the IQ is activated (MEAS)."""
    pin: str | None = field(default=None, repr=False)
    """The PIN that Salto accepted last; None before that, or when it is not to be stored."""
    candidates: tuple[str, ...] = field(default=(), repr=False)
    """PINs that may be in force where the answer to one is not known, likeliest first."""
    activated: bool = False
    """Whether an OTP made from this secret has been accepted."""
    guard: OtpGuard = field(default_factory=OtpGuard)


class CredentialVault(Protocol):
    """Keeps credentials for as long as Home Assistant's storage exists."""

    def get(self, key: IqKey) -> IqCredential | None:
        """Return a credential, or None."""

    def stamp(self, key: IqKey, now: datetime) -> datetime:
        """Return the second to sign the next command with; each second is given out once.

        Whether an OTP may sign two commands is disputed between two vendor pages (DOC), and
        two commands within one second would have the same. Three minutes of tolerance leave
        room to take the next free second.
        """

    async def put(self, key: IqKey, credential: IqCredential) -> None:
        """Keep a credential; when this returns, it is on disk.

        Raises StorageError when it could not be written.
        """

    def turn(self, key: IqKey) -> asyncio.Lock:
        """Return the lock to hold for as long as an OTP of this credential is on its way.

        Doors and set-up dialogs share it: each signs with what the other has left behind, and
        no more wrong OTPs go out at once than the guard allows.
        """

    async def change(
        self, key: IqKey, update: Callable[[IqCredential], IqCredential]
    ) -> IqCredential:
        """Change a credential as it is now, and return it as it is afterwards.

        Raises KeyError when there is none, and StorageError when it could not be written.
        """
