"""Office mode of a door, and whether the site is active at all."""

from typing import Any, override

from homeassistant.components.switch import SwitchEntity
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .api.models import Lock, LockCommand, LockedState
from .const import DOMAIN
from .coordinator import SaltoKsConfigEntry, SaltoKsDoorsCoordinator, SaltoKsSiteCoordinator
from .entity import SaltoKsDoorEntity, SaltoKsSiteEntity, add_doors
from .errors import raised_as_home_assistant_errors

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switches."""
    async_add_entities([SaltoKsActiveSwitch(entry.runtime_data.site)])
    add_doors(entry, async_add_entities, lambda doors, lock: [SaltoKsOfficeMode(doors, lock)])


class SaltoKsOfficeMode(SaltoKsDoorEntity, SwitchEntity):
    """Office mode: the door stays open until it is switched off."""

    _attr_translation_key = "office_mode"
    _shows_bolt = True

    def __init__(self, coordinator: SaltoKsDoorsCoordinator, lock: Lock) -> None:
        """Switch the office mode of a door."""
        super().__init__(coordinator, lock.id, "office_mode")
        self._shown: tuple[bool, bool | None] = (False, None)

    @property
    @override
    def is_on(self) -> bool | None:
        """Tell whether the door is in office mode; None where Salto does not know."""
        known = {LockedState.LOCKED, LockedState.UNLOCKED, LockedState.OFFICE_MODE}
        state = self.door.locked_state
        return state == LockedState.OFFICE_MODE if state in known else None

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Start office mode."""
        await self._async_command(LockCommand.START_OFFICE_MODE)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """End office mode."""
        await self._async_command(LockCommand.END_OFFICE_MODE)

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self._shown = self._to_show

    @property
    def _to_show(self) -> tuple[bool, bool | None]:
        """Return whether it is available, and what it is then."""
        return (True, self.is_on) if self.available else (False, None)

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        """Look again; a door that opens and relocks was in office mode neither before nor after."""
        before, self._shown = self._shown, self._to_show
        if before != self._shown:
            super()._handle_coordinator_update()

    async def _async_command(self, command: LockCommand) -> None:
        """Send a command, unless it takes the IQ PIN, which a switch has no way to ask for.

        The switch stays available all the same: Home Assistant passes over an unavailable one
        without a word, and whether the door is in office mode is known.
        """
        commands = self.coordinator.config_entry.runtime_data.commands
        if commands.needs_code(self.door, self.coordinator.data.iq_of(self.door)):
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="switch_without_code"
            )
        await self.coordinator.async_command(self.lock_id, command)


class SaltoKsActiveSwitch(SaltoKsSiteEntity, SwitchEntity):
    """Whether doors are opened and keys issued; what takes access away goes on when off."""

    _attr_translation_key = "active"
    _attr_entity_category = EntityCategory.CONFIG

    def __init__(self, coordinator: SaltoKsSiteCoordinator) -> None:
        """Switch the whole site."""
        super().__init__(coordinator, "active")

    @property
    @override
    def available(self) -> bool:
        """Be there always: it is kept here, and is wanted most when Salto cannot be reached."""
        return True

    @property
    @override
    def is_on(self) -> bool:
        """Tell whether the site is active."""
        data = self.coordinator.config_entry.runtime_data
        return data.states.is_active(self.coordinator.site_id)

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        """Allow openings and new keys."""
        await self._async_switch(active=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        """Refuse openings and new keys."""
        await self._async_switch(active=False)

    async def _async_switch(self, *, active: bool) -> None:
        """Switch, and have everything that depends on it look again."""
        entry = self.coordinator.config_entry
        data = entry.runtime_data
        with raised_as_home_assistant_errors(self.hass, entry):
            try:
                await data.states.set_active(self.coordinator.site_id, active=active)
            finally:
                self.async_write_ha_state()
                data.doors.async_tell()
