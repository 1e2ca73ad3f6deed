"""Doors as locks: unlock and open both open once, the door relocks by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, override

from homeassistant.components.lock import LockEntity
from homeassistant.components.lock.const import LockEntityFeature
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.restore_state import ExtraStoredData, RestoreEntity

from .api.models import Lock, LockCommand, LockedState
from .const import DOMAIN
from .coordinator import SaltoKsConfigEntry, SaltoKsDoorsCoordinator
from .door_events import DoorEvents, opening_from_json, opening_to_json
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


@dataclass(frozen=True, slots=True)
class _Kept(ExtraStoredData):
    """What a lock keeps over a restart."""

    data: Mapping[str, Any]

    @override
    def as_dict(self) -> dict[str, Any]:
        """Return it for the file."""
        return dict(self.data)


class SaltoKsLock(SaltoKsDoorEntity, LockEntity, RestoreEntity):
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
    def _events(self) -> DoorEvents:
        """Return what knows who has opened the door."""
        return self.coordinator.config_entry.runtime_data.door_events

    @property
    @override
    def changed_by(self) -> str | None:
        """Tell who has opened the door last, as far as that was heard of."""
        opening = self._events.last_opening(self.lock_id)
        return None if opening is None else self._events.described_actor(opening.actor)

    @property
    @override
    def extra_restore_state_data(self) -> ExtraStoredData | None:
        """Keep who has opened the door last: the door log tells it once."""
        opening = self._events.last_opening(self.lock_id)
        return None if opening is None else _Kept(opening_to_json(opening))

    @override
    async def async_added_to_hass(self) -> None:
        """Take up who has opened the door last, and begin to listen for who comes after."""
        await super().async_added_to_hass()
        kept = await self.async_get_last_extra_data()
        opening = None if kept is None else opening_from_json(kept.as_dict())
        if opening is not None:
            self._events.async_restore(self.lock_id, opening)
        update = self._handle_coordinator_update
        self.async_on_remove(self._events.async_listen_to_openings(self.lock_id, update))

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
            if command is LockCommand.OPEN:
                user_id = None if self._context is None else self._context.user_id
                user = await self._events.async_user(user_id)
                with self._events.opening(self.lock_id, user):
                    await self.coordinator.async_command(self.lock_id, command, code)
            else:
                await self.coordinator.async_command(self.lock_id, command, code)
        finally:
            self._attr_is_unlocking = False
            self._attr_is_locking = False
            self.async_write_ha_state()
