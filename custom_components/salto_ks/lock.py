"""Doors as locks: unlock and open both open once, the door relocks by itself."""

from typing import Any, Final, override

from homeassistant.components.lock import LockEntity
from homeassistant.components.lock.const import LockEntityFeature
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api.models import Lock, LockCommand, LockedState
from .const import DOMAIN
from .coordinator import SaltoKsConfigEntry, SaltoKsDoorsCoordinator
from .entity import SaltoKsDoorEntity, add_doors

PARALLEL_UPDATES = 0  # Commands take their turns per IQ, which a platform's limit cannot know.

CODE_FORMAT: Final = "^[0-9]{4}$"
"""The IQ PIN, in words that browsers understand too.

Python takes `$` for the place before a newline as well, so `DoorCommands` looks once more.
"""

_IS_LOCKED: Final[dict[str, bool]] = {
    LockedState.LOCKED: True,
    LockedState.UNLOCKED: False,
    LockedState.OFFICE_MODE: False,
}


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add a lock for each door."""
    add_doors(entry, async_add_entities, lambda doors, lock: [SaltoKsLock(doors, lock)])


class SaltoKsLock(SaltoKsDoorEntity, LockEntity):
    """One door."""

    _attr_name = None
    _shows_bolt = True
    _attr_supported_features = LockEntityFeature.OPEN

    def __init__(self, coordinator: SaltoKsDoorsCoordinator, lock: Lock) -> None:
        """Be the main entity of the door's device."""
        super().__init__(coordinator, lock.id, "lock")

    @property
    @override
    def available(self) -> bool:
        """Stay for as long as the door may exist.

        Home Assistant passes over an unavailable lock without a word. Whoever unlocks a door
        must either open it or be told why not, above all when Salto is hard to reach.
        """
        return self.lock_id in self.coordinator.data.known

    @property
    @override
    def is_locked(self) -> bool | None:
        """Tell whether it is locked; None where Salto does not know, or cannot be asked."""
        return _IS_LOCKED.get(self.door.locked_state) if self.is_fresh else None

    @property
    @override
    def code_format(self) -> str | None:
        """Ask for the IQ PIN where it is not kept."""
        commands = self.coordinator.config_entry.runtime_data.commands
        iq = self.coordinator.data.iq_of(self.door)
        return CODE_FORMAT if commands.needs_code(self.door, iq) else None

    @override
    async def async_unlock(self, **kwargs: Any) -> None:
        """Open the door once."""
        self._attr_is_unlocking = True
        await self._async_command(LockCommand.OPEN, kwargs.get("code"))

    @override
    async def async_open(self, **kwargs: Any) -> None:
        """Open the door once; Salto knows no difference to unlocking."""
        await self.async_unlock(**kwargs)

    @override
    async def async_lock(self, **kwargs: Any) -> None:
        """End office mode.

        A door that is locked already stays so, after a look at what it is right now. One
        that stands open for a moment cannot be made to relock sooner.
        """
        door = await self.coordinator.async_read_door(self.lock_id)
        if door.locked_state == LockedState.LOCKED:
            return
        if door.locked_state == LockedState.UNLOCKED:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="relocks_by_itself"
            )
        self._attr_is_locking = True
        await self._async_command(LockCommand.END_OFFICE_MODE, kwargs.get("code"))

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Look again; while a command is under way its end will show what there is to see."""
        if not (self.is_unlocking or self.is_locking):
            super()._handle_coordinator_update()

    async def _async_command(self, command: LockCommand, code: str | None) -> None:
        """Show that something is under way for as long as it is.

        The request leaves first: a person waits for the door, not for the dashboard.
        """
        self.hass.loop.call_soon(self.async_write_ha_state)
        try:
            await self.coordinator.async_command(self.lock_id, command, code)
        finally:
            self._attr_is_unlocking = False
            self._attr_is_locking = False
            self.async_write_ha_state()
