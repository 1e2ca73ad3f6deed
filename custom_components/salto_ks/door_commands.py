"""Send commands to doors: one at a time for each IQ, once each, and never late.

Every command that carries an OTP goes through here (opening, office mode), because wrong OTPs
are counted per IQ and a person in front of a door has left when a command comes late.
"""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from .api.client import SaltoKsClient
from .api.exceptions import SaltoKsError, SaltoKsOtpBlockedError, SaltoKsOtpRejectedError
from .api.models import Iq, IqId, Lock, LockCommand, LockId, PlatformUserId, SiteId
from .api.otp import IqOtp, is_iq_pin
from .const import LOGGER
from .domain.otp_guard import OtpGuard, OtpPermit
from .domain.refusals import CommandRefusedError, Refusal
from .iq_credential import CredentialVault, IqCredential, IqKey
from .storage import StorageError

PATIENCE: Final = 5.0
"""Seconds a command waits for its turn and for a token before it is refused."""

_GIVES_ACCESS: Final = frozenset({LockCommand.OPEN, LockCommand.START_OFFICE_MODE})


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One command on its way."""

    lock: Lock
    iq: Iq | None
    command: LockCommand
    code: str | None = field(repr=False)
    send_by: float
    """Time of the loop after which it is not sent any more."""
    logging_in: bool = False
    """Whether it has had its IQ's turn and waits for a token."""
    under_way: bool = False
    """Whether it may have left for Salto, so that cutting it off would hide its outcome."""
    over: asyncio.Future[None]
    """Done when its outcome is known. Waiting for the task itself would take the loop's turns."""


class DoorCommands:
    """Commands to the doors of one site, signed for one account."""

    def __init__(
        self,
        client: SaltoKsClient,
        vault: CredentialVault,
        *,
        site_id: SiteId,
        user_id: PlatformUserId,
        set_up_iqs: Callable[[], frozenset[IqId]],
        is_active: Callable[[], bool],
        clock: Callable[[], datetime],
        on_outcome: Callable[[LockId, LockCommand, bool], None],
    ) -> None:
        """Open doors only on the IQs that are set up, and only while the site is active.

        `on_outcome` is called after a command has left for Salto, with whether it was accepted,
        even when nobody waits for the command any more.
        """
        self._client = client
        self._vault = vault
        self._site_id = site_id
        self._user_id = user_id
        self._set_up_iqs = set_up_iqs
        self._is_active = is_active
        self._clock = clock
        self._on_outcome = on_outcome
        self._running: set[asyncio.Task[None]] = set()
        self._closed = False

    def credential(self, iq_id: IqId) -> IqCredential | None:
        """Return what we hold for an IQ that is set up here; None otherwise."""
        if iq_id not in self._set_up_iqs():
            return None
        return self._vault.get(self._key(iq_id))

    def needs_code(self, lock: Lock, iq: Iq | None) -> bool:
        """Tell whether the IQ PIN has to be typed for each command to this door."""
        if lock.iq_id is None or (iq is not None and not iq.otp_enabled):
            return False
        credential = self.credential(lock.iq_id)
        return (
            credential is not None
            and credential.activated
            and credential.pin is None
            and not credential.candidates
        )

    def obstacle(self, lock: Lock, iq: Iq | None, command: LockCommand) -> Refusal | None:
        """Return why a command cannot be sent at all as things stand; None when it can.

        Pauses after wrong OTPs are not looked at: they end by themselves.
        """
        if command in _GIVES_ACCESS and not self._is_active():
            return Refusal.INACTIVE
        if lock.iq_id is None:
            return Refusal.LOCK_WITHOUT_IQ
        if iq is not None and not iq.otp_enabled:
            return None
        credential = self.credential(lock.iq_id)
        if credential is None or not credential.activated:
            return Refusal.IQ_NOT_SET_UP
        if credential.pin is None and credential.candidates:
            return Refusal.PIN_UNPROVEN
        return None

    async def send(
        self, lock: Lock, iq: Iq | None, command: LockCommand, code: str | None = None
    ) -> None:
        """Send a command once.

        `code` is the IQ PIN, for an IQ whose PIN is not kept. Raises CommandRefusedError when
        nothing was sent, and from `SaltoKsError` otherwise; see `SaltoKsClient.command_lock`.
        A caller that is cancelled while the command is under way does not cut it off.
        """
        if self._closed:
            raise CommandRefusedError(Refusal.UNLOADING)
        loop = asyncio.get_running_loop()
        attempt = _Attempt(
            lock=lock,
            iq=iq,
            command=command,
            code=code,
            send_by=loop.time() + PATIENCE,
            over=loop.create_future(),
        )
        self._check(attempt)
        task = asyncio.create_task(self._run(attempt), eager_start=True)
        self._running.add(task)
        task.add_done_callback(self._finished)
        try:
            await attempt.over
        except asyncio.CancelledError:
            if not attempt.under_way:
                task.cancel()
            raise
        task.result()

    async def finish(self) -> None:
        """Take no more commands, and wait for those that are under way."""
        self._closed = True
        while self._running:
            await asyncio.wait(self._running)
            await asyncio.sleep(0)  # a task's end is noted in the loop's next turn

    async def _run(self, attempt: _Attempt) -> None:
        """Send a command and let its outcome count.

        Whoever waits is woken first and still finds the outcome counted: a task that is woken
        goes on when this one has ended, and before whatever the outcome asks the loop to do.
        """
        accepted: bool | None = None
        try:
            await self._send_in_turn(attempt)
            accepted = True
        except SaltoKsError:
            accepted = False if attempt.under_way else None
            raise
        finally:
            if not attempt.over.done():
                attempt.over.set_result(None)
            if accepted is not None:
                self._on_outcome(attempt.lock.id, attempt.command, accepted)

    async def _send_in_turn(self, attempt: _Attempt) -> None:
        """Wait for the IQ's turn and a token, but not for long; then sign and send."""
        iq_id = attempt.lock.iq_id
        turn = nullcontext() if iq_id is None else self._vault.turn(self._key(iq_id))
        try:
            async with asyncio.timeout_at(attempt.send_by) as patience, turn:
                attempt.logging_in = True
                await self._client.check_login()
                patience.reschedule(None)
                attempt.under_way = True
                await self._sign_and_send(attempt)
        except TimeoutError:
            reason = Refusal.LOGIN_SLOW if attempt.logging_in else Refusal.IQ_BUSY
            raise CommandRefusedError(reason) from None

    async def _sign_and_send(self, attempt: _Attempt) -> None:
        """Send the command, signed at the moment it leaves, and let the outcome count."""
        key = None if attempt.lock.iq_id is None else self._key(attempt.lock.iq_id)
        try:
            await self._client.command_lock(
                self._site_id,
                attempt.lock.id,
                attempt.command,
                otp=lambda: self._sign(attempt),
            )
        except SaltoKsOtpRejectedError:
            await self._note(key, lambda guard: guard.rejected(self._clock()))
            raise
        except SaltoKsOtpBlockedError as err:
            blocked = await self._note(key, lambda guard: guard.blocked(self._clock()))
            until = None if blocked is None else blocked.blocked_until
            raise CommandRefusedError(Refusal.OTP_BLOCKED, until=until) from err
        await self._note(key, lambda guard: guard.accepted())

    def _sign(self, attempt: _Attempt) -> str | None:
        """Look once more whether the command may be sent, and return its OTP.

        Called each time that it is about to leave, so that neither a site that was switched
        off meanwhile nor a moment that has passed is opened for. None where no OTP is wanted.
        """
        if asyncio.get_running_loop().time() > attempt.send_by:
            raise CommandRefusedError(Refusal.LOGIN_SLOW)
        pin = self._check(attempt)
        if attempt.lock.iq_id is None or pin is None:
            return None
        key = self._key(attempt.lock.iq_id)
        credential = self._vault.get(key)
        if credential is None:
            raise CommandRefusedError(Refusal.IQ_NOT_SET_UP)
        return IqOtp(credential.secret, pin).at(self._vault.stamp(key, self._clock()))

    def _check(self, attempt: _Attempt) -> str | None:
        """Refuse what must not be sent; return the PIN to sign with, None for no signature."""
        lock, iq = attempt.lock, attempt.iq
        if (refusal := self.obstacle(lock, iq, attempt.command)) is not None:
            raise CommandRefusedError(refusal)
        credential = None if lock.iq_id is None else self.credential(lock.iq_id)
        if credential is None or (iq is not None and not iq.otp_enabled):
            return None
        now = self._clock()
        if (permit := credential.guard.permit(now)) is not OtpPermit.CLEAR:
            reason = Refusal.OTP_BLOCKED if permit is OtpPermit.BLOCKED else Refusal.OTP_HELD
            raise CommandRefusedError(reason, until=credential.guard.closed_until(now))
        pin = credential.pin or attempt.code
        if not pin:
            raise CommandRefusedError(Refusal.CODE_REQUIRED)
        if not is_iq_pin(pin):
            raise CommandRefusedError(Refusal.CODE_INVALID)
        return pin

    async def _note(
        self, key: IqKey | None, update: Callable[[OtpGuard], OtpGuard]
    ) -> OtpGuard | None:
        """Keep what an answer says about the next OTP; a full disk must not hide the answer."""
        if key is None or self._vault.get(key) is None:
            return None
        try:
            changed = await self._vault.change(
                key, lambda credential: replace(credential, guard=update(credential.guard))
            )
        except StorageError as err:
            LOGGER.error("The count of rejected one-time passwords is not on disk: %s", err)
            kept = self._vault.get(key)
            return None if kept is None else kept.guard
        return changed.guard

    def _finished(self, task: asyncio.Task[None]) -> None:
        """Forget a command; mark its outcome as seen, in case its caller was cancelled."""
        self._running.discard(task)
        if not task.cancelled() and (err := task.exception()) is not None:
            LOGGER.debug("A door command ended with %s", type(err).__name__)

    def _key(self, iq_id: IqId) -> IqKey:
        return IqKey(self._site_id, iq_id, self._user_id)
