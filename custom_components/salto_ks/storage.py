"""A Store that tells when it could not write.

Home Assistant's own logs a failed write and goes on, and while it stops it only promises a
write at the end. What is kept here must be on disk before the next step is taken.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, override

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers.storage import Store
from homeassistant.util.file import WriteError
from homeassistant.util.json import SerializationError


class StorageError(Exception):
    """Something could not be kept; the text names the file, never what is in it."""


class SureStore(Store[dict[str, Any]]):
    """A private, atomic Store whose saves either reach the disk or raise."""

    def __init__(self, hass: HomeAssistant, *, version: int, key: str) -> None:
        """Keep `key` readable for the owner of the process alone."""
        super().__init__(hass, version, key, private=True, atomic_writes=True)
        self._one_at_a_time = asyncio.Lock()
        self._failure: Exception | None = None

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
