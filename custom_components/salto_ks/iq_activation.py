"""Activate an account on an IQ, step by step, each step resumable.

Salto gives the IQ secret only until the activation and shows it to nobody later, so it is on
disk before the PIN is asked for. Knows nothing of Home Assistant: the flows of an entry and of
a subentry both drive this.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto

from .api.client import SaltoKsClient
from .api.exceptions import (
    SaltoKsForbiddenError,
    SaltoKsOtpBlockedError,
    SaltoKsOtpRejectedError,
)
from .api.iq_pin import KEEP_PIN, digitwise_difference, whole_delta
from .api.models import PinChannel
from .api.otp import IqOtp
from .domain.otp_guard import OtpGuard, OtpPermit
from .domain.refusals import CommandRefusedError, Refusal
from .iq_credential import CredentialVault, IqCredential, IqKey

_TRIES = 2
"""PINs tried in one go when several may be in force: a third wrong OTP can block the account."""


NO_FIRST_SECRET = 2203
"""`ErrorCode` with which the secret of an activated IQ is refused; a missing right has others (MEAS)."""


class Stage(Enum):
    """How far the activation of an account on an IQ has come."""

    NEW = auto()
    """Nothing is known here: a PIN must be delivered."""
    PIN_AWAITED = auto()
    """Secret kept and PIN asked for: the delivered PIN is to be entered, or asked for again."""
    PIN_UNKNOWN = auto()
    """Activated with the secret that we hold, but the PIN in force is not known here."""
    ACTIVATED = auto()
    """Secret and PIN were accepted just now."""


class ActivatedElsewhereError(Exception):
    """The account is activated on this IQ with a secret that is not here, and never will be."""


class PinUncertainError(Exception):
    """Salto took the change of the PIN, but the IQ accepts neither of the possible results."""


class IqActivation:
    """The activation of one account on one IQ."""

    def __init__(
        self,
        client: SaltoKsClient,
        vault: CredentialVault,
        key: IqKey,
        clock: Callable[[], datetime],
    ) -> None:
        """Work on `key`; the clock tells aware UTC."""
        self._client = client
        self._vault = vault
        self._key = key
        self._clock = clock

    @property
    def is_known(self) -> bool:
        """Tell whether there is a secret to work with."""
        return self._vault.get(self._key) is not None

    @property
    def knows_pin(self) -> bool:
        """Tell whether there is a PIN to try."""
        credential = self._vault.get(self._key)
        return credential is not None and bool(_possible_pins(credential))

    async def find(self) -> Stage:
        """Find out how far it has come, trying the PIN that is kept, if there is one.

        Raises from `SaltoKsError` when Salto cannot be asked, and CommandRefusedError while
        the account is blocked on the IQ.
        """
        credential = self._vault.get(self._key)
        if credential is None:
            return Stage.NEW
        if await self._find_pin(credential):
            return Stage.ACTIVATED
        return Stage.PIN_UNKNOWN if credential.activated else Stage.PIN_AWAITED

    async def deliver(self, channel: PinChannel) -> Stage:
        """Have a PIN sent, after the secret that belongs to it is safe on disk.

        A block that Salto has announced is not forgotten over a new PIN. Raises
        ActivatedElsewhereError when somebody else has activated the account, and StorageError,
        with nothing asked for, when the secret cannot be kept.
        """
        known = self._vault.get(self._key)
        try:
            secret = await self._client.first_secret(self._key.site_id, self._key.iq_id)
        except SaltoKsForbiddenError as err:
            if err.code != NO_FIRST_SECRET:
                raise
            if known is None:
                raise ActivatedElsewhereError from None
            # Ours: an earlier activation was accepted, though we may not have heard of it.
            await self._save(replace(known, activated=True))
            return Stage.PIN_UNKNOWN
        blocked_until = None if known is None else known.guard.blocked_until
        await self._save(IqCredential(secret=secret, guard=OtpGuard(blocked_until=blocked_until)))
        await self._client.request_pin(self._key.site_id, self._key.iq_id, channel)
        return Stage.PIN_AWAITED

    async def confirm(self, pin: str, *, store_pin: bool, new_pin: str | None = None) -> None:
        """Set the PIN that was delivered, or prove the one in force; change it if wished.

        Raises SaltoKsOtpRejectedError for a wrong PIN, PinUncertainError when a change could
        not be verified, CommandRefusedError while the account is blocked, StorageError when
        nothing could be kept. A wrong PIN takes nothing away from what was known before.
        """
        before = self._credential()
        known = _possible_pins(before)
        if store_pin:
            candidates = tuple(dict.fromkeys((pin, *known)))
            await self._save(replace(before, candidates=candidates))
        try:
            in_force = await self._prove(pin, new_pin if new_pin in known else None)
        except SaltoKsOtpRejectedError, CommandRefusedError:
            if store_pin:
                await self._save(replace(self._credential(), candidates=before.candidates))
            raise
        await self._keep(in_force, store_pin=store_pin)
        if new_pin is not None and new_pin != in_force:
            await self._change(in_force, new_pin, store_pin=store_pin)

    async def restore(self) -> None:
        """Put an IQ back to work after a hardware reset, which has undone every activation."""
        await self._client.restore_iq(self._key.site_id, self._key.iq_id)

    async def _prove(self, pin: str, other: str | None) -> str:
        """Return the one of two PINs that is in force; the second is tried only if given.

        It is the one of a change that was asked for before and whose answer never came.
        """
        try:
            await self._put_pin(pin)
        except SaltoKsOtpRejectedError:
            if other is None:
                raise
            await self._put_pin(other)
            return other
        return pin

    async def _find_pin(self, credential: IqCredential) -> bool:
        """Try the PINs that may be in force, a few at a time, and keep the one that is."""
        pins = _possible_pins(credential)
        for tried, pin in enumerate(pins[:_TRIES], start=1):
            try:
                await self._put_pin(pin)
            except SaltoKsOtpRejectedError:
                if len(pins) > 1:
                    rotated = pins[tried:] + pins[:tried]
                    await self._save(replace(self._credential(), candidates=rotated))
            else:
                await self._keep(pin, store_pin=True)
                return True
        return False

    async def _change(self, old: str, new: str, *, store_pin: bool) -> None:
        """Change the PIN and prove the result.

        How Salto applies the difference is disputed (`api/iq_pin.py`), so the whole-number
        reading is tried first; if the IQ then refuses the new PIN, the digit-wise reading
        tells which PIN it must have now, and leads from there to the one that is wished.
        """
        delta = whole_delta(old, new)
        otherwise = digitwise_difference(old, delta)
        if store_pin:
            candidates = (new, otherwise, old)
            await self._save(replace(self._credential(), pin=None, candidates=candidates))
        await self._put_pin(old, delta)
        try:
            await self._put_pin(new)
        except SaltoKsOtpRejectedError:
            await self._change_digitwise(otherwise, new)
        await self._keep(new, store_pin=store_pin)

    async def _change_digitwise(self, current: str, new: str) -> None:
        """Lead from the PIN of the digit-wise reading to the new one, and prove it."""
        try:
            await self._put_pin(current, digitwise_difference(current, new))
            await self._put_pin(new)
        except SaltoKsOtpRejectedError as err:
            raise PinUncertainError from err

    async def _put_pin(self, pin: str, delta: str = KEEP_PIN) -> None:
        """Send one `PUT pin` in the IQ's turn, and let its outcome count."""
        async with self._vault.turn(self._key):
            credential = self._credential()
            now = self._clock()
            if credential.guard.permit(now) is OtpPermit.BLOCKED:
                until = credential.guard.blocked_until
                raise CommandRefusedError(Refusal.OTP_BLOCKED, until=until)
            otp = IqOtp(credential.secret, pin).at(self._vault.stamp(self._key, now))
            try:
                await self._client.set_pin(self._key.site_id, self._key.iq_id, otp=otp, delta=delta)
            except SaltoKsOtpRejectedError:
                await self._count(lambda guard: guard.rejected(now))
                raise
            except SaltoKsOtpBlockedError:
                until = (await self._count(lambda guard: guard.blocked(now))).blocked_until
                raise CommandRefusedError(Refusal.OTP_BLOCKED, until=until) from None

    async def _count(self, update: Callable[[OtpGuard], OtpGuard]) -> OtpGuard:
        """Let an answer count for the next OTP."""
        changed = await self._vault.change(
            self._key, lambda credential: replace(credential, guard=update(credential.guard))
        )
        return changed.guard

    async def _keep(self, pin: str, *, store_pin: bool) -> None:
        """Keep a PIN that was accepted."""
        credential = self._credential()
        await self._save(
            replace(
                credential,
                pin=pin if store_pin else None,
                candidates=(),
                activated=True,
                guard=credential.guard.accepted(),
            )
        )

    def _credential(self) -> IqCredential:
        """Return what is known now. Raises ActivatedElsewhereError when it is nothing."""
        if (credential := self._vault.get(self._key)) is None:
            raise ActivatedElsewhereError
        return credential

    async def _save(self, credential: IqCredential) -> None:
        await self._vault.put(self._key, credential)


def _possible_pins(credential: IqCredential) -> tuple[str, ...]:
    """Return the PINs that may be in force, likeliest first."""
    return credential.candidates or (() if credential.pin is None else (credential.pin,))
