"""The one place where IQ secrets and IQ PINs are kept.

A private file of its own, apart from the config entries (which any user can list) and
outliving them: an activated IQ never tells its secret again, so an entry that is deleted and
set up anew must find it here.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.singleton import singleton
from homeassistant.util.hass_dict import HassKey

from .api.models import IqId, PlatformUserId, SiteId
from .api.otp import is_iq_pin
from .const import DOMAIN, LOGGER
from .domain.json_values import (
    as_instant,
    as_list,
    as_number,
    as_truth,
    as_word,
    instant_to_json,
    optional,
)
from .domain.otp_guard import OtpGuard
from .iq_credential import IqCredential, IqKey
from .storage import Fault, FileUnusableError, StorageError, SureStore

STORE_KEY: Final = f"{DOMAIN}.iq_credentials"
STORE_VERSION: Final = 1
_STAMP_LEAD: Final = timedelta(seconds=60)
"""How far ahead of the clock a stamp may run; an OTP is good for 180 s either way (DOC)."""
_VAULT: Final[HassKey[IqVault]] = HassKey(f"{DOMAIN}_iq_vault")


class IqVault:
    """Credentials of all sites and accounts, written through to disk."""

    def __init__(self, store: SureStore) -> None:
        """Start empty; `async_load` fills it."""
        self._store = store
        self._credentials: dict[IqKey, IqCredential] = {}
        self._stamps: dict[IqKey, datetime] = {}
        self._unreadable: list[Any] = []
        self._turns: dict[IqKey, asyncio.Lock] = {}
        self._listeners: dict[object, Callable[[IqKey], None]] = {}
        self._is_behind = False
        """Whether the last write failed, so that the disk does not hold what is known here."""

    async def async_load(self) -> None:
        """Read the file; a record that cannot be read is kept as it is and written back.

        Raises FileUnusableError when the file as a whole is not understood.
        """
        records = await self._store.async_load_now("credentials")
        if not isinstance(records, list | None):
            raise FileUnusableError(Fault.DAMAGED, self._store.key)
        for record in records or ():
            try:
                key, credential = _from_json(record)
            except KeyError, TypeError, ValueError:
                self._unreadable.append(record)
            else:
                self._credentials[key] = credential
        if self._unreadable:
            LOGGER.error(
                "%s records of %s cannot be read; they are left untouched",
                len(self._unreadable),
                self._store.path,
            )

    def get(self, key: IqKey) -> IqCredential | None:
        """Return a credential, or None."""
        return self._credentials.get(key)

    def stamp(self, key: IqKey, now: datetime) -> datetime:
        """Return the second to sign the next command with; each second is given out once."""
        second = now.replace(microsecond=0)
        last = self._stamps.get(key)
        if last is not None and second <= last < second + _STAMP_LEAD:
            second = last + timedelta(seconds=1)
        self._stamps[key] = second
        return second

    def turn(self, key: IqKey) -> asyncio.Lock:
        """Return the lock to hold for as long as an OTP of this credential is on its way."""
        return self._turns.setdefault(key, asyncio.Lock())

    def subscribe(self, listener: Callable[[IqKey], None]) -> Callable[[], None]:
        """Have `listener` called soon after each change; the result ends that.

        It is called from the event loop, with the key of the credential, also when the change
        could not be written. One that fails is logged by the loop and is in nobody's way.
        """
        token = object()
        self._listeners[token] = listener

        def unsubscribe() -> None:
            self._listeners.pop(token, None)

        return unsubscribe

    async def put(self, key: IqKey, credential: IqCredential) -> None:
        """Keep a credential; when this returns, it is on disk.

        Raises StorageError when it is not; it is known until the next start all the same.
        """
        if self._credentials.get(key) != credential:
            self._credentials[key] = credential
            self._tell(key)
        records = [_to_json(k, c) for k, c in self._credentials.items()]
        try:
            await self._store.async_save_now({"credentials": records + self._unreadable})
        except StorageError:
            self._is_behind = True
            raise
        self._is_behind = False

    async def change(
        self, key: IqKey, update: Callable[[IqCredential], IqCredential]
    ) -> IqCredential:
        """Change a credential as it is now, and return it as it is afterwards.

        Nothing comes between reading and changing it, so nobody's change is written over with
        what was known earlier. Where nothing changes nothing is written. Raises KeyError when
        there is none, StorageError like `put`.
        """
        before = self._credentials[key]
        after = update(before)
        if after != before or self._is_behind:
            await self.put(key, after)
        return after

    def _tell(self, key: IqKey) -> None:
        """Call the listeners back when the loop has its next turn."""
        loop = asyncio.get_running_loop()
        for token in self._listeners:
            loop.call_soon(self._tell_one, token, key)

    def _tell_one(self, token: object, key: IqKey) -> None:
        """Call a listener that still listens."""
        if (listener := self._listeners.get(token)) is not None:
            listener(key)


@singleton(_VAULT, async_=True)
async def async_get_iq_vault(hass: HomeAssistant) -> IqVault:
    """Return the vault of this Home Assistant, loaded once."""
    vault = IqVault(SureStore(hass, version=STORE_VERSION, key=STORE_KEY))
    await vault.async_load()
    return vault


def _to_json(key: IqKey, credential: IqCredential) -> dict[str, Any]:
    """Write a record."""
    guard = credential.guard
    return {
        "site_id": key.site_id,
        "iq_id": key.iq_id,
        "user_id": key.user_id,
        "secret": credential.secret,
        "pin": credential.pin,
        "candidates": list(credential.candidates),
        "activated": credential.activated,
        "rejections": guard.rejections,
        "blocked_until": optional(instant_to_json, guard.blocked_until),
        "held_until": optional(instant_to_json, guard.held_until),
    }


def _from_json(record: Mapping[str, Any]) -> tuple[IqKey, IqCredential]:
    """Read a record. Raises KeyError, TypeError or ValueError for a damaged one."""
    key = IqKey(
        SiteId(as_word(record["site_id"])),
        IqId(as_word(record["iq_id"])),
        PlatformUserId(as_word(record["user_id"])),
    )
    pin, candidates = record["pin"], as_list(record["candidates"])
    if not all(is_iq_pin(as_word(one)) for one in [*([] if pin is None else [pin]), *candidates]):
        raise ValueError("not a PIN")
    return key, IqCredential(
        secret=as_word(record["secret"]),
        pin=pin,
        candidates=tuple(candidates),
        activated=as_truth(record["activated"]),
        guard=OtpGuard(
            rejections=as_number(record["rejections"]),
            blocked_until=optional(as_instant, record["blocked_until"]),
            held_until=optional(as_instant, record["held_until"]),
        ),
    )
