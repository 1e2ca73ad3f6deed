"""A Store that tells when it could not write.

Home Assistant's own logs a failed write and goes on, and while it stops it only promises a
write at the end. What is kept here must be on disk before the next step is taken.
"""

import asyncio
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, override

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, UnsupportedStorageVersionError
from homeassistant.helpers.storage import Store
from homeassistant.util.file import WriteError
from homeassistant.util.json import SerializationError


class StorageError(Exception):
    """Something could not be kept; the text names the file, never what is in it."""


class Fault(StrEnum):
    """What is wrong with a file."""

    DAMAGED = "damaged"
    NEWER = "newer"
    """It was written by a later version than this."""
    MISSING = "missing"
    UNREADABLE = "unreadable"
    """The disk does not give it, or not to us."""
    UNWRITABLE = "unwritable"
    """It is to be there, and the disk does not take it."""


class FileUnusableError(StorageError):
    """A file that is there is not to be believed, and stays as it is."""

    def __init__(self, fault: Fault, file: str) -> None:
        """Remember what is wrong, and the name by which the file is there now."""
        super().__init__(f"{file} is {fault.value}")
        self.fault = fault
        self.file = file


class SureStore(Store[dict[str, Any]]):
    """A private, atomic Store whose saves either reach the disk or raise."""

    def __init__(self, hass: HomeAssistant, *, version: int, key: str) -> None:
        """Keep `key` readable for the owner of the process alone."""
        super().__init__(hass, version, key, private=True, atomic_writes=True)
        self._one_at_a_time = asyncio.Lock()
        self._failure: Exception | None = None

    async def async_load_now(self, part: str) -> Any:
        """Return the named part of what is kept; None when nothing is kept yet.

        Raises FileUnusableError when the file is there and is not understood, so that nobody goes
        on to write over it. Home Assistant moves a file that is no JSON aside and goes on as if
        there had been none; here that stays an error, after a restart too, until the file is back
        or a person has removed the damaged one.
        """
        try:
            data = await self.async_load()
        except UnsupportedStorageVersionError as err:
            raise FileUnusableError(Fault.NEWER, self.key) from err
        except (HomeAssistantError, OSError) as err:
            raise FileUnusableError(Fault.UNREADABLE, self.key) from err
        except (KeyError, NotImplementedError, TypeError) as err:
            raise FileUnusableError(Fault.DAMAGED, self.key) from err
        if data is None:
            await self.hass.async_add_executor_job(self._make_sure_of_nothing)
            return None
        if not isinstance(data, Mapping) or data.get(part) is None:
            raise FileUnusableError(Fault.DAMAGED, self.key)
        return data[part]

    def _make_sure_of_nothing(self) -> None:
        """Let "nothing is kept" pass only if there is no file, damaged or not.

        To be run in the executor. Raises FileUnusableError.
        """
        path = Path(self.path)
        if path.exists():
            raise FileUnusableError(Fault.DAMAGED, self.key)
        aside = max(
            (found.name for found in path.parent.glob(f"{path.name}.corrupt.*")), default=""
        )
        if aside:
            raise FileUnusableError(Fault.DAMAGED, aside)

    async def async_save_now(self, data: Mapping[str, Any]) -> None:
        """Write and return when it is done. Raises StorageError when it is not."""
        async with self._one_at_a_time:
            if self.hass.state is CoreState.stopping:
                raise StorageError(f"{self.key} is not written while Home Assistant stops")
            self._failure = None
            await self.async_save(dict(data))
            if self._failure is not None:
                raise StorageError(f"{self.key} could not be written") from self._failure

    @override
    async def _async_write_data(self, data: dict[str, Any]) -> None:
        """Note a failed write before it is swallowed."""
        try:
            await super()._async_write_data(data)
        except (SerializationError, WriteError) as err:
            self._failure = err
            raise
        except OSError as err:
            self._failure = err
            raise WriteError(str(err)) from err
