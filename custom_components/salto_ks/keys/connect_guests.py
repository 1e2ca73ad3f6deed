"""Guests of keys: the seat, the right to use a PIN, and the end that is a net."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

from ..api.access import AccessApi
from ..api.access_models import SiteUser
from ..api.exceptions import (
    SaltoKsError,
    SaltoKsForbiddenError,
    SaltoKsNotFoundError,
    SaltoKsResponseError,
)
from ..api.models import SiteUserId, SubscriptionState
from ..domain.ids import GuestId, KeyId, marked, marker
from ..domain.keys import Guest, KeyProblem, KeyRecord, KeyWarning
from .connect_progress import Progress, guest_of
from .provider import UNSEEN_FOR, KeyFailedError
from .writer import SETTLING, Writer, is_final

NET: Final = timedelta(days=30)
"""How long after its window a guest expires by itself, should nobody be there to remove it."""

LONGEST_NAME: Final = 40
"""Characters of a guest's name before the marker; what Salto cuts off is not known (UNK)."""


def alias(name: str, key_id: KeyId) -> str:
    """Write what a guest is called at Salto: a short name on one line, then the marker.

    A name that could itself be taken for a marker is left out.
    """
    line = " ".join(name.split())[:LONGEST_NAME].strip()
    return f"{line} {marker(key_id)}" if line and marked(line) is None else marker(key_id)


def key_of(user: SiteUser) -> KeyId | None:
    """Find the key whose marker a guest carries; None for what is not ours.

    Whoever has other roles alone is no guest, whatever somebody calls them: nothing is done to
    them, and to our own account above all.
    """
    return marked(user.alias) if user.is_guest else None


class Guests:
    """Makes, changes and removes the guests of keys."""

    def __init__(
        self,
        access: AccessApi,
        write: Writer,
        seats_free: Callable[[], Awaitable[int | None]],
    ) -> None:
        """Write through `write`; `seats_free` asks Salto, and is None where it does not tell."""
        self._access = access
        self._write = write
        self._seats_free = seats_free

    async def make(self, progress: Progress, name: str) -> None:
        """Create the guest, with a seat.

        Without a free seat Salto creates it suspended, and even gives it a PIN (MEAS). The seat
        may have gone to a twin, though, whose creation had no answer.
        """
        record = progress.record
        expires_at = record.window.ends_at + NET
        called = alias(name, record.key_id)

        async def send() -> SiteUser:
            progress.since = self._write.monotonic()
            return await self._access.create_guest(called, expires_at)

        async def create() -> SiteUser:
            try:
                return await self._write.once(send)
            except SaltoKsError as err:
                progress.note_lost(err)
                raise

        async def tidy() -> None:
            await self.remove_twins(progress)

        user = await self._write.anew(create, tidy=tidy)
        progress.note_guest(user, expires_at)
        if marked(user.alias) != record.key_id:
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "marker")
        if user.subscription_state is None:
            user = await self._write.read(partial(self._access.user, user.id))
        if user.has_seat:
            return
        if not progress.leftovers or not await self._seat_of_twin(progress, user.id):
            raise KeyFailedError(KeyProblem.SEAT_UNAVAILABLE)

    async def allow_pin(self, progress: Progress) -> None:
        """Let the guest use a PIN; a new one may be unknown for a while."""
        guest_id = SiteUserId(guest_of(progress.record).id)
        await self._write.settled(
            partial(self._access.use_pin, guest_id, use_pin=True), since=progress.since
        )
        progress.guest_seen = True

    async def allow_pin_again(self, guest: Guest) -> None:
        """Let a guest use a PIN again that may not any more, or was blocked."""
        guest_id = SiteUserId(guest.id)
        user = await self._write.read(partial(self._access.user, guest_id))
        if not user.use_pin:
            await self._write.repeated(partial(self._access.use_pin, guest_id, use_pin=True))
        if user.blocked:
            await self._write.repeated(partial(self._access.unblock, guest_id))

    async def give_seat(self, guest: Guest) -> None:
        """Give the guest a seat. Raises KeyFailedError where there is none."""
        try:
            await self._subscribe(guest.id, SubscriptionState.SUBSCRIBED)
        except SaltoKsForbiddenError:
            if await self._seats_free() == 0:
                raise KeyFailedError(KeyProblem.SEAT_UNAVAILABLE) from None
            raise
        if not await self._comes_to(guest.id, SubscriptionState.SUBSCRIBED):
            raise KeyFailedError(KeyProblem.SEAT_UNAVAILABLE)

    async def take_seat(self, guest: Guest) -> None:
        """Take the guest's seat: its PIN opens nothing (CODE, MEAS)."""
        await self._subscribe(guest.id, SubscriptionState.SUSPENDED)
        if not await self._comes_to(guest.id, SubscriptionState.SUSPENDED):
            raise KeyFailedError(KeyProblem.NOT_READ_BACK, "subscription_state")

    async def move_expiry(self, record: KeyRecord) -> KeyRecord:
        """Move the guest's own end after the window's, and read it back.

        Whether Salto takes it is not known (UNK). A guest that would end before its window gets
        a warning; so does one whose end Salto does not tell.
        """
        guest = guest_of(record)
        guest_id = SiteUserId(guest.id)
        try:
            await self._write.repeated(
                partial(self._access.set_expiry, guest_id, record.window.ends_at + NET)
            )
        except SaltoKsResponseError as err:
            if not is_final(err):
                raise
        expires_at = (await self._write.read(partial(self._access.user, guest_id))).expires_at
        warnings = record.warnings - {KeyWarning.EXPIRY_NOT_MOVED}
        if expires_at is None or expires_at < record.window.ends_at:
            warnings |= {KeyWarning.EXPIRY_NOT_MOVED}
        return replace(record, guest=replace(guest, expires_at=expires_at), warnings=warnings)

    async def take_back(self, progress: Progress) -> None:
        """Remove the guest that was made on the way, and its twins.

        A 404 means that it is gone only where Salto knew it before, or it is older than
        `UNSEEN_FOR`: until then it is asked for.
        """
        guest = progress.record.guest
        if guest is not None:
            guest_id = SiteUserId(guest.id)
            while True:
                try:
                    await self._write.repeated(partial(self._access.delete_user, guest_id))
                except SaltoKsNotFoundError:
                    if progress.guest_seen or _is_old(progress, self._write.monotonic()):
                        break
                    await self._wait_until_seen(progress, guest_id)
                else:
                    break
        if progress.leftovers:
            await self.remove_twins(progress)

    async def remove(self, guest_id: GuestId) -> None:
        """Remove a guest that Salto has shown before; gone already is fine."""
        await self._write.gone(partial(self._access.delete_user, SiteUserId(guest_id)))

    async def remove_twins(self, progress: Progress) -> bool:
        """Remove guests of a key whose creation had no answer; tell whether there were any.

        Such a guest cannot use a PIN, which tells it from one that is in use.
        """
        own = progress.record.guest
        twins = [
            GuestId(user.id)
            for user in await self._write.read(self._access.users)
            if key_of(user) == progress.record.key_id
            and not user.use_pin
            and (own is None or own.id != GuestId(user.id))
        ]
        for twin in twins:
            await self.remove(twin)
        return bool(twins)

    async def marked_with(self, key_id: KeyId) -> set[GuestId]:
        """Find the guests that carry a key's marker."""
        users = await self._write.read(self._access.users)
        return {GuestId(user.id) for user in users if key_of(user) == key_id}

    async def _seat_of_twin(self, progress: Progress, guest_id: SiteUserId) -> bool:
        """Wait for a twin to be listed, remove it and take its seat."""
        while not await self.remove_twins(progress):
            if self._write.monotonic() - progress.since >= SETTLING:
                return False
            await self._write.pause()
        await self._subscribe(GuestId(guest_id), SubscriptionState.SUBSCRIBED)
        return await self._comes_to(GuestId(guest_id), SubscriptionState.SUBSCRIBED)

    async def _subscribe(self, guest_id: GuestId, state: SubscriptionState) -> None:
        """Give the guest a seat or take it."""
        await self._write.repeated(
            partial(self._access.set_subscription, SiteUserId(guest_id), state)
        )

    async def _comes_to(self, guest_id: GuestId, state: SubscriptionState) -> bool:
        """Tell whether Salto says so of a guest's seat, once it does or had time enough to."""
        since = self._write.monotonic()
        while True:
            user = await self._write.read(partial(self._access.user, SiteUserId(guest_id)))
            if user.subscription_state == state:
                return True
            if self._write.monotonic() - since >= SETTLING:
                return False
            await self._write.pause()

    async def _wait_until_seen(self, progress: Progress, guest_id: SiteUserId) -> None:
        """Wait until Salto knows a young guest, or it is too old to come up yet."""
        while not progress.guest_seen and not _is_old(progress, self._write.monotonic()):
            await self._write.pause()
            try:
                await self._write.read(partial(self._access.user, guest_id))
            except SaltoKsNotFoundError:
                continue
            progress.guest_seen = True


def _is_old(progress: Progress, now: float) -> bool:
    """Tell whether a guest that Salto does not find does not exist."""
    return now - progress.since >= UNSEEN_FOR.total_seconds()
