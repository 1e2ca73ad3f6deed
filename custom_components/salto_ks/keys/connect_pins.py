"""Keypad PINs of guests: made by Salto, or chosen by us where the site may choose."""

from collections.abc import Awaitable, Callable
from typing import Final

from ..api.access import AccessApi, CustomPinField
from ..api.exceptions import SaltoKsConnectionError, SaltoKsError, SaltoKsResponseError
from ..api.models import SiteUserId
from ..domain.ids import GuestId
from ..domain.keys import KeyProblem
from ..domain.pins import NoPinLeftError
from .provider import ChoosePin, KeyFailedError
from .writer import Writer, may_have_happened

CHOICES: Final = 4
"""How many PINs of our choice are offered to Salto before it is told as a failure."""


LATE: Final = 30.0
"""Seconds in which a PIN whose answer was lost may still be made: it would replace the next one
unnoticed, so that one is not asked for before."""


class Pins:
    """Gives guests their PINs."""

    def __init__(self, access: AccessApi, write: Writer) -> None:
        """Write through `write`."""
        self._access = access
        self._write = write
        self._field: CustomPinField | None = None

    async def give(self, guest_id: GuestId, choose_pin: ChoosePin | None, *, since: float) -> str:
        """Give a guest a PIN and return it; a PIN whose answer was lost is replaced.

        `since` is the monotonic time of the guest's creation. Raises KeyFailedError when none of
        the PINs of our choice is taken or none is left to choose, and with PIN_LOST when Salto
        refuses after an answer was lost: then nobody has the PIN that counts now.
        """
        sending = _Sending(self._write, since)
        try:
            if choose_pin is None:
                return await sending.send(lambda: self._access.new_pin(SiteUserId(guest_id)))
            return await self._give_chosen(sending, SiteUserId(guest_id), choose_pin)
        except (KeyFailedError, SaltoKsResponseError) as err:
            if sending.lost and not (isinstance(err, SaltoKsError) and may_have_happened(err)):
                raise KeyFailedError(KeyProblem.PIN_LOST, str(err)) from err
            raise

    async def _give_chosen(
        self, sending: _Sending, guest_id: SiteUserId, choose_pin: ChoosePin
    ) -> str:
        """Offer PINs until one is taken."""
        for _ in range(CHOICES):
            try:
                keypad_pin = choose_pin()
            except NoPinLeftError:
                break
            if await self._take(sending, guest_id, keypad_pin):
                return keypad_pin
        raise KeyFailedError(KeyProblem.REFUSED, "no PIN of our choice was taken")

    async def _take(self, sending: _Sending, guest_id: SiteUserId, keypad_pin: str) -> bool:
        """Set one PIN; tell whether Salto has taken it.

        It refuses a PIN that somebody else has with the same 400 as a field that it does not
        know (UNK), so each name is tried until one has been understood.
        """
        for name in CustomPinField if self._field is None else (self._field,):

            async def send(name: CustomPinField = name) -> None:
                await self._access.set_custom_pin(guest_id, keypad_pin, name)

            try:
                await sending.send(send)
            except SaltoKsResponseError as err:
                if err.status != 400:
                    raise
            else:
                self._field = name
                return True
        return False


class _Sending:
    """Sends the PINs of one guest, and knows whether an answer was lost."""

    def __init__(self, write: Writer, since: float) -> None:
        """Begin with nothing lost; `since` is the monotonic time of the guest's creation."""
        self.lost = False
        self._write = write
        self._since = since

    async def send[T](self, put: Callable[[], Awaitable[T]]) -> T:
        """Send a PIN, repeating as long as its guest is young or no answer comes."""

        async def noted() -> T:
            try:
                return await put()
            except SaltoKsError as err:
                self.lost |= may_have_happened(err)
                if isinstance(err, SaltoKsConnectionError):
                    await self._write.pause(LATE)
                raise

        return await self._write.settled(noted, since=self._since)
