"""The action that says why a door opens or does not."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.service import async_get_config_entry, async_register_admin_service
import voluptuous as vol

from .const import DOMAIN
from .coordinator import SaltoKsConfigEntry
from .domain.explain import explain
from .domain.explain_facts import Facts
from .domain.ids import BookingId, KeyId
from .domain.key_requests import KeyRefusal, KeyRefusedError
from .door_ids import doors_named
from .errors import raised_as_home_assistant_errors
from .explanation import Explanation
from .key_actions import ATTR_BOOKING_ID, ATTR_KEY_ID, booking_id_of, key_named
from .wording import async_wording

SERVICE_EXPLAIN_ACCESS: Final = "explain_access"

ATTR_DOOR: Final = "door"

_SELECTORS: Final = (ATTR_KEY_ID, ATTR_BOOKING_ID, ATTR_DOOR)
_EXPLAIN: Final = vol.Schema(
    {
        vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string,
        vol.Optional(ATTR_KEY_ID): cv.string,
        vol.Optional(ATTR_BOOKING_ID): cv.string,
        vol.Optional(ATTR_DOOR): cv.entity_id,
    }
)


@callback
def async_setup_explain_services(hass: HomeAssistant) -> None:
    """Register the action; it is there whether or not a site is loaded."""

    async def handle(call: ServiceCall) -> ServiceResponse:
        return await _async_explain(hass, call.data)

    async_register_admin_service(
        hass,
        DOMAIN,
        SERVICE_EXPLAIN_ACCESS,
        handle,
        _EXPLAIN,
        supports_response=SupportsResponse.ONLY,
    )


async def _async_explain(hass: HomeAssistant, data: Mapping[str, Any]) -> dict[str, Any]:
    """Answer the checklist of what is asked about."""
    given = [name for name in _SELECTORS if name in data]
    if len(given) > 1:
        raise ServiceValidationError(translation_domain=DOMAIN, translation_key="explain_one_thing")
    entry = _entry(hass, data)
    explanation = Explanation(hass, entry, await async_wording(hass))
    with raised_as_home_assistant_errors(hass, entry):
        facts = await _async_facts(hass, entry, explanation, data)
    return {
        "checks": [
            {
                "check": check.name.value,
                "result": check.result.value,
                "text": explanation.said(check),
            }
            for check in explain(facts)
        ]
    }


async def _async_facts(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    explanation: Explanation,
    data: Mapping[str, Any],
) -> Facts:
    """Gather the facts of what is asked about. Raises for what is not there."""
    if ATTR_KEY_ID in data:
        key_id = key_named(data)
        record = entry.runtime_data.keys.manager.get(key_id)
        if record is None:
            raise KeyRefusedError(KeyRefusal.UNKNOWN, key_id=key_id)
        return await explanation.async_of_key(record)
    if ATTR_BOOKING_ID in data:
        booking_id = booking_id_of(data) or BookingId("")
        booking = entry.runtime_data.bookings.booking(booking_id)
        if booking is None:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="booking_unknown",
                translation_placeholders={"booking_id": booking_id},
            )
        return await explanation.async_of_booking(booking)
    if ATTR_DOOR in data:
        (door,) = doors_named(hass, entry, [data[ATTR_DOOR]])
        return await explanation.async_of_door(door)
    return await explanation.async_of_site()


def _entry(hass: HomeAssistant, data: Mapping[str, Any]) -> SaltoKsConfigEntry:
    """Return the site that is meant: named, or the one that has what is asked about.

    Raises Home Assistant's errors for one that is not there or not loaded, and where it is not
    clear which one is meant.
    """
    if ATTR_CONFIG_ENTRY_ID in data:
        named: SaltoKsConfigEntry = async_get_config_entry(hass, DOMAIN, data[ATTR_CONFIG_ENTRY_ID])
        return named
    if ATTR_DOOR in data:
        entity = er.async_get(hass).async_get(data[ATTR_DOOR])
        if entity is None or entity.platform != DOMAIN or entity.config_entry_id is None:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="door_not_ours",
                translation_placeholders={"door": data[ATTR_DOOR]},
            )
        of_door: SaltoKsConfigEntry = async_get_config_entry(hass, DOMAIN, entity.config_entry_id)
        return of_door
    entries: list[SaltoKsConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    found = [entry for entry in entries if _has(entry, data)] or entries
    if len(found) != 1:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="explain_which_site"
        )
    return found[0]


def _has(entry: SaltoKsConfigEntry, data: Mapping[str, Any]) -> bool:
    """Tell whether a site has the key or the booking that is asked about."""
    if ATTR_KEY_ID in data:
        return entry.runtime_data.keys.manager.get(KeyId(data[ATTR_KEY_ID].strip())) is not None
    if ATTR_BOOKING_ID in data:
        booking_id = BookingId(data[ATTR_BOOKING_ID].strip())
        return entry.runtime_data.bookings.booking(booking_id) is not None
    return True
