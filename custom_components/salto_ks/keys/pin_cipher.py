"""Guest PINs as they lie in the ledger: sealed with a key that is in a private file of its own.

This guards a ledger that is shown to somebody. It does not guard a stolen configuration folder
or backup, which holds both files; forgetting the PIN does.
"""

import asyncio
from pathlib import Path
from typing import Final, override

from cryptography.fernet import Fernet, InvalidToken
from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import STORAGE_DIR
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, LOGGER
from ..storage import Fault, StorageError, SureStore
from .ledger_files import FileFaultError, Quarantine, holds_sealed_pins, read_store

STORE_KEY: Final = f"{DOMAIN}.pin_key"
STORE_VERSION: Final = 1
_CIPHER: Final[HassKey[PinCipher]] = HassKey(f"{DOMAIN}_pin_cipher")


class CipherUnavailableError(Exception):
    """PINs can be neither sealed nor revealed, because their key is not there."""


class PinUnreadableError(Exception):
    """A sealed PIN cannot be revealed: it is damaged, or was sealed with another key."""


class PinCipher:
    """Seals PINs and reveals them, for all sites of this Home Assistant.

    Without its key it is unavailable, and says so. No other key is made as long as a ledger
    holds a PIN that was sealed with the lost one: once the file is back, they are too.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Start unavailable; `async_load` changes that."""
        self._hass = hass
        self._store = SureStore(hass, version=STORE_VERSION, key=STORE_KEY)
        self._one_at_a_time = asyncio.Lock()
        self._fernet: Fernet | None = None
        self.quarantine: Quarantine | None = None
        """Why it is unavailable: what is wrong with its file."""

    @override
    def __repr__(self) -> str:
        """Show nothing but whether it works."""
        return f"<PinCipher {'available' if self.is_available else 'unavailable'}>"

    @property
    def is_available(self) -> bool:
        """Tell whether PINs can be sealed and revealed."""
        return self._fernet is not None

    async def async_load(self) -> None:
        """Read the key, or make the first one; without one it stays unavailable."""
        async with self._one_at_a_time:
            if self._fernet is not None:
                return
            try:
                self._fernet = await self._read() or await self._make()
            except (FileFaultError, OSError, ValueError) as err:
                LOGGER.error("Guest PINs can be neither kept nor revealed: %s", err)
                fault = err.fault if isinstance(err, FileFaultError) else Fault.UNREADABLE
                self.quarantine = Quarantine(fault, STORE_KEY)
            else:
                self.quarantine = None

    def seal(self, keypad_pin: str) -> str:
        """Encrypt a PIN. Raises CipherUnavailableError."""
        return self._available().encrypt(keypad_pin.encode()).decode()

    def unseal(self, sealed_pin: str) -> str:
        """Reveal a PIN. Raises CipherUnavailableError or PinUnreadableError."""
        fernet = self._available()
        try:
            return fernet.decrypt(sealed_pin).decode()
        except InvalidToken, ValueError:
            raise PinUnreadableError("the PIN cannot be read") from None

    def _available(self) -> Fernet:
        if self._fernet is None:
            raise CipherUnavailableError("the key of the PINs is not there")
        return self._fernet

    async def _read(self) -> Fernet | None:
        """Read the key; None when there is no file.

        Raises FileFaultError, and ValueError for what is no key.
        """
        path = Path(self._store.path)
        stored = await self._hass.async_add_executor_job(read_store, path, STORE_KEY, STORE_VERSION)
        if stored is None:
            return None
        key = stored[1].get("key")
        if not isinstance(key, str):
            raise FileFaultError(Fault.DAMAGED, path)
        try:
            return Fernet(key)
        except ValueError:
            raise FileFaultError(Fault.DAMAGED, path) from None

    async def _make(self) -> Fernet:
        """Make the first key and return it when it is on disk.

        Raises FileFaultError when it is not the first one or cannot be written, or OSError.
        """
        storage = Path(self._hass.config.path(STORAGE_DIR))
        if await self._hass.async_add_executor_job(holds_sealed_pins, storage):
            raise FileFaultError(Fault.MISSING, Path(self._store.path))
        key = Fernet.generate_key()
        try:
            await self._store.async_save_now({"key": key.decode()})
        except StorageError:
            raise FileFaultError(Fault.UNWRITABLE, Path(self._store.path)) from None
        return Fernet(key)


async def async_get_pin_cipher(hass: HomeAssistant) -> PinCipher:
    """Return the cipher of this Home Assistant; one that is unavailable looks for its key again."""
    cipher = hass.data.setdefault(_CIPHER, PinCipher(hass))
    await cipher.async_load()
    return cipher
