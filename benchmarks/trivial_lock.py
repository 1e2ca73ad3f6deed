"""The simplest lock entity there can be: it sends the request, the rest is Home Assistant's."""

from collections.abc import Awaitable, Callable
from typing import Any, override

from homeassistant.components.lock import LockEntity
from homeassistant.components.lock.const import DOMAIN as LOCK
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_component import DATA_INSTANCES


class TrivialLock(LockEntity):
    """A lock that is opened by one call and shows nothing of it."""

    def __init__(self, name: str, send: Callable[[], Awaitable[None]]) -> None:
        """Open by `send`."""
        self._attr_name = name
        self._send = send

    @override
    async def async_unlock(self, **kwargs: Any) -> None:
        """Open."""
        await self._send()

    def turn(self) -> None:
        """Be locked if it was not, and not locked if it was, and show it."""
        self._attr_is_locked = not self._attr_is_locked
        self.async_write_ha_state()


async def add_trivial_locks(
    hass: HomeAssistant, send: Callable[[], Awaitable[None]], count: int
) -> list[TrivialLock]:
    """Add some and return them."""
    locks = [TrivialLock(f"Trivial {number}", send) for number in range(count)]
    await hass.data[DATA_INSTANCES][LOCK].async_add_entities(locks)
    return locks
