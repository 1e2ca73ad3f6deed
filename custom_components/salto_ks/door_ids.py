"""Doors as people name them, by their lock entities, and as the ledger does, by the vendor's ids."""

from collections.abc import Collection, Iterable
from typing import Any, Final

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN
from .domain.ids import DoorId

LOCK_KEY: Final = "lock"
"""End of the unique id of a door's lock entity."""


@callback
def doors_named(
    hass: HomeAssistant, entry: ConfigEntry[Any], entity_ids: Iterable[str]
) -> frozenset[DoorId]:
    """Return the doors of these lock entities.

    Raises ServiceValidationError for one that is none of ours, or of another site.
    """
    registry = er.async_get(hass)
    doors = set()
    for entity_id in entity_ids:
        entity = registry.async_get(entity_id)
        if entity is None or entity.platform != DOMAIN or entity.domain != LOCK_DOMAIN:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="door_not_ours",
                translation_placeholders={"door": entity_id},
            )
        if entity.config_entry_id != entry.entry_id:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="door_of_another_site",
                translation_placeholders={"door": entity_id, "site": entry.title},
            )
        doors.add(DoorId(entity.unique_id.removesuffix(f"-{LOCK_KEY}")))
    return frozenset(doors)


@callback
def entity_ids_of(hass: HomeAssistant, doors: Collection[DoorId]) -> list[str]:
    """Return the lock entities of doors, in the order of their names; without those that are gone."""
    registry = er.async_get(hass)
    found = (
        registry.async_get_entity_id(LOCK_DOMAIN, DOMAIN, f"{door}-{LOCK_KEY}") for door in doors
    )
    return sorted(entity_id for entity_id in found if entity_id is not None)


@callback
def doors_beyond(hass: HomeAssistant, user: User, doors: Collection[DoorId]) -> list[str]:
    """Return the doors that a user may not control, by their lock entities.

    A door whose entity is gone goes by its id. Rights are given for entities, so it is for those
    alone who may control everything.
    """
    registry, rights = er.async_get(hass), user.permissions
    beyond = []
    for door in doors:
        entity_id = registry.async_get_entity_id(LOCK_DOMAIN, DOMAIN, f"{door}-{LOCK_KEY}")
        may_control = (
            rights.access_all_entities(POLICY_CONTROL)
            if entity_id is None
            else rights.check_entity(entity_id, POLICY_CONTROL)
        )
        if not may_control:
            beyond.append(entity_id or door)
    return sorted(beyond)
