"""Test the connection, and compare the keys with Salto."""

from functools import partial
from typing import Any, override

from homeassistant.components.button import ButtonEntity
from homeassistant.const import EntityCategory
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .connection import NoSitesError, SiteNotFoundError, find_sites, survey
from .const import DOMAIN
from .coordinator import SaltoKsConfigEntry, SaltoKsCoordinator, SaltoKsSiteCoordinator
from .domain.bookings import Unit
from .domain.ids import UnitId
from .entity import SaltoKsKeysEntity, SaltoKsSiteEntity, SaltoKsUnitEntity, add_units
from .errors import raised_as_home_assistant_errors
from .key_actions import async_by
from .opening import async_open

PARALLEL_UPDATES = 0
"""A door must not wait for a comparison of keys, or it opens late."""


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the buttons."""
    async_add_entities([SaltoKsTestConnection(entry.runtime_data.site), SaltoKsReconcile(entry)])
    add_units(entry, async_add_entities, partial(_buttons, entry))


def _buttons(entry: SaltoKsConfigEntry, unit: Unit) -> list[ButtonEntity]:
    """Return the buttons of a unit."""
    buttons: list[ButtonEntity] = []
    if unit.mode.opens_remotely:
        buttons.append(SaltoKsOpen(entry, unit.unit_id))
    if unit.mode.has_pins:
        buttons.append(SaltoKsReissue(entry, unit.unit_id))
    return buttons


class SaltoKsTestConnection(SaltoKsSiteEntity, ButtonEntity):
    """A button whose press either succeeds or names the one thing that is wrong."""

    _attr_translation_key = "test_connection"
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    def __init__(self, coordinator: SaltoKsSiteCoordinator) -> None:
        """Belong to the site."""
        super().__init__(coordinator, "test_connection")

    @property
    @override
    def available(self) -> bool:
        """Be there always: it is wanted most when Salto cannot be reached."""
        return True

    @override
    async def async_press(self) -> None:
        """Log in with the stored credentials, look at the site and the rights, then poll."""
        entry = self.coordinator.config_entry
        client = entry.runtime_data.client
        with raised_as_home_assistant_errors(self.hass, entry):
            await client.log_in_anew()
            try:
                sites = await find_sites(client, self.coordinator.site_id)
            except (SiteNotFoundError, NoSitesError) as err:
                raise HomeAssistantError(
                    translation_domain=DOMAIN, translation_key="site_not_visible"
                ) from err
            ground = await survey(client, sites[0])
        if not ground.member.remote_access:
            raise HomeAssistantError(translation_domain=DOMAIN, translation_key="no_remote_right")
        await _refresh(entry.runtime_data.site)
        await _refresh(entry.runtime_data.doors)


class SaltoKsReconcile(SaltoKsKeysEntity, ButtonEntity):
    """A button that compares the ledger with Salto, and puts right what needs no decision."""

    _attr_translation_key = "reconcile"
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    def __init__(self, entry: SaltoKsConfigEntry) -> None:
        """Belong to the site."""
        super().__init__(entry, "reconcile")
        self._entry = entry

    @override
    async def async_press(self) -> None:
        """Compare, and do what the plan says."""
        with raised_as_home_assistant_errors(self.hass, self._entry):
            await self.keys.manager.reconcile(dry_run=False)


class SaltoKsOpen(SaltoKsUnitEntity, ButtonEntity):
    """A button that opens the doors of a unit for who is booked now, as the action does."""

    _attr_translation_key = "open"

    def __init__(self, entry: SaltoKsConfigEntry, unit_id: UnitId) -> None:
        """Belong to the unit."""
        super().__init__(entry, unit_id, "open")

    @override
    async def async_press(self) -> None:
        """Open, or say why not and from when on."""
        unit = self.engine.units[self.unit_id]
        await async_open(
            self.hass, self.entry, unit, None, doors=None, code=None, may_open=lambda _: None
        )


class SaltoKsReissue(SaltoKsUnitEntity, ButtonEntity):
    """A button that gives who is there, or comes next, a key with a new PIN."""

    _attr_translation_key = "reissue"
    _attr_entity_category = EntityCategory.CONFIG

    def __init__(self, entry: SaltoKsConfigEntry, unit_id: UnitId) -> None:
        """Belong to the unit."""
        super().__init__(entry, unit_id, "reissue")

    @override
    async def async_press(self) -> None:
        """Issue anew; the old PIN is dead."""
        with raised_as_home_assistant_errors(self.hass, self.entry):
            by = await async_by(self.hass, self._context or Context(), {})
            await self.engine.async_reissue(self.unit_id, by)


async def _refresh(coordinator: SaltoKsCoordinator[Any]) -> None:
    """Poll, and raise what went wrong: a coordinator only notes it."""
    await coordinator.async_refresh()
    if not coordinator.last_update_success and (error := coordinator.last_exception) is not None:
        raise error
