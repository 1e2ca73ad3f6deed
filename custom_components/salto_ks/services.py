"""The actions: each finds its site, checks, asks the key manager, and describes the answer."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from homeassistant.const import ATTR_CONFIG_ENTRY_ID
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_get_config_entry, async_register_admin_service
import voluptuous as vol

from .const import DOMAIN
from .coordinator import SaltoKsConfigEntry
from .domain.keys import KeyStatus
from .errors import raised_as_home_assistant_errors
from .key_actions import (
    ATTR_BOOKING_ID,
    ATTR_DOORS,
    ATTR_ENDS_AT,
    ATTR_KEY_ID,
    ATTR_LABEL,
    ATTR_PIN_LENGTH,
    ATTR_REASON,
    ATTR_STARTS_AT,
    async_by,
    audit_query,
    booking_id_of,
    described_handed_out,
    described_line,
    described_pass,
    key_change,
    key_named,
    key_request,
)
from .site_keys import described_key
from .wording import async_wording

SERVICE_ISSUE_KEY: Final = "issue_key"
SERVICE_CHANGE_KEY: Final = "change_key"
SERVICE_REVOKE_KEY: Final = "revoke_key"
SERVICE_SUSPEND_KEY: Final = "suspend_key"
SERVICE_RESUME_KEY: Final = "resume_key"
SERVICE_ROTATE_PIN: Final = "rotate_pin"
SERVICE_GET_PIN: Final = "get_pin"
SERVICE_GET_KEYS: Final = "get_keys"
SERVICE_GET_AUDIT_LOG: Final = "get_audit_log"
SERVICE_RECONCILE: Final = "reconcile"

ATTR_STATUS: Final = "status"
ATTR_DRY_RUN: Final = "dry_run"
ATTR_DEEP: Final = "deep"
ATTR_SINCE: Final = "since"
ATTR_UNTIL: Final = "until"
ATTR_LIMIT: Final = "limit"

MOST_LINES: Final = 1000
"""Lines of the audit log that one call may ask for."""

_SITE: Final = vol.Schema({vol.Required(ATTR_CONFIG_ENTRY_ID): cv.string})
_KEY: Final = _SITE.extend(
    {vol.Required(ATTR_KEY_ID): cv.string, vol.Optional(ATTR_REASON, default=""): cv.string}
)
_ISSUE: Final = _SITE.extend(
    {
        vol.Required(ATTR_DOORS): cv.entity_ids,
        vol.Required(ATTR_STARTS_AT): cv.datetime,
        vol.Required(ATTR_ENDS_AT): cv.datetime,
        vol.Optional(ATTR_BOOKING_ID): cv.string,
        vol.Optional(ATTR_LABEL, default=""): cv.string,
        vol.Optional(ATTR_PIN_LENGTH): vol.Coerce(int),
        vol.Optional(ATTR_REASON, default=""): cv.string,
    }
)
_CHANGE: Final = _KEY.extend(
    {
        vol.Optional(ATTR_STARTS_AT): cv.datetime,
        vol.Optional(ATTR_ENDS_AT): cv.datetime,
        vol.Optional(ATTR_DOORS): cv.entity_ids,
    }
)
_KEYS: Final = _SITE.extend(
    {
        vol.Optional(ATTR_STATUS, default=list): vol.All(cv.ensure_list, [vol.Coerce(KeyStatus)]),
        vol.Optional(ATTR_BOOKING_ID): cv.string,
    }
)
_AUDIT: Final = _SITE.extend(
    {
        vol.Optional(ATTR_KEY_ID): cv.string,
        vol.Optional(ATTR_BOOKING_ID): cv.string,
        vol.Optional(ATTR_SINCE): cv.datetime,
        vol.Optional(ATTR_UNTIL): cv.datetime,
        vol.Optional(ATTR_LIMIT, default=100): vol.All(
            vol.Coerce(int), vol.Range(min=1, max=MOST_LINES)
        ),
    }
)
_RECONCILE: Final = _SITE.extend(
    {
        vol.Optional(ATTR_DRY_RUN, default=False): cv.boolean,
        vol.Optional(ATTR_DEEP, default=False): cv.boolean,
    }
)

type Handler = Callable[[SaltoKsConfigEntry, ServiceCall], Coroutine[Any, Any, Mapping[str, Any]]]


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the actions; they are there whether or not a site is loaded."""
    keys = _KeyActions(hass)
    optional, only = SupportsResponse.OPTIONAL, SupportsResponse.ONLY
    for name, handler, schema, response in (
        (SERVICE_ISSUE_KEY, keys.issue, _ISSUE, optional),
        (SERVICE_CHANGE_KEY, keys.change, _CHANGE, optional),
        (SERVICE_REVOKE_KEY, keys.revoke, _KEY, optional),
        (SERVICE_SUSPEND_KEY, keys.suspend, _KEY, optional),
        (SERVICE_RESUME_KEY, keys.resume, _KEY, optional),
        (SERVICE_ROTATE_PIN, keys.rotate, _KEY, optional),
        (SERVICE_GET_PIN, keys.reveal, _KEY, only),
        (SERVICE_GET_KEYS, keys.list, _KEYS, only),
        (SERVICE_GET_AUDIT_LOG, keys.audit_log, _AUDIT, only),
        (SERVICE_RECONCILE, keys.reconcile, _RECONCILE, optional),
    ):
        async_register_admin_service(
            hass, DOMAIN, name, _handled(hass, handler), schema, supports_response=response
        )


def _handled(
    hass: HomeAssistant, handler: Handler
) -> Callable[[ServiceCall], Coroutine[Any, Any, ServiceResponse]]:
    """Find the site, and translate what goes wrong."""

    async def handle(call: ServiceCall) -> ServiceResponse:
        entry: SaltoKsConfigEntry = async_get_config_entry(
            hass, DOMAIN, call.data[ATTR_CONFIG_ENTRY_ID]
        )
        with raised_as_home_assistant_errors(hass, entry):
            answer = await handler(entry, call)
        return dict(answer) if call.return_response else None

    return handle


class _KeyActions:
    """What the actions about keys do."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Act in this Home Assistant."""
        self._hass = hass

    async def issue(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Issue a key."""
        request = key_request(self._hass, entry, call.data)
        by = await async_by(self._hass, call.context, call.data)
        handed_out = await entry.runtime_data.keys.manager.issue(request, by)
        return described_handed_out(self._hass, handed_out)

    async def change(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Move window or doors of a key."""
        change = key_change(self._hass, entry, call.data)
        by = await async_by(self._hass, call.context, call.data)
        key_id = key_named(call.data)
        record = await entry.runtime_data.keys.manager.change(key_id, change, by)
        return described_key(self._hass, record)

    async def revoke(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Take a key back."""
        by = await async_by(self._hass, call.context, call.data)
        manager = entry.runtime_data.keys.manager
        return described_key(self._hass, await manager.revoke(key_named(call.data), by))

    async def suspend(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Take a key's effect."""
        by = await async_by(self._hass, call.context, call.data)
        manager = entry.runtime_data.keys.manager
        return described_key(self._hass, await manager.suspend(key_named(call.data), by))

    async def resume(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Give a suspended key its effect back."""
        by = await async_by(self._hass, call.context, call.data)
        manager = entry.runtime_data.keys.manager
        return described_key(self._hass, await manager.resume(key_named(call.data), by))

    async def rotate(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Replace a key's PIN."""
        by = await async_by(self._hass, call.context, call.data)
        handed_out = await entry.runtime_data.keys.manager.rotate(key_named(call.data), by)
        return {"key_id": handed_out.record.key_id, "pin": handed_out.keypad_pin}

    async def reveal(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Show a key's PIN."""
        by = await async_by(self._hass, call.context, call.data)
        handed_out = await entry.runtime_data.keys.manager.reveal(key_named(call.data), by)
        return {"key_id": handed_out.record.key_id, "pin": handed_out.keypad_pin}

    async def list(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """List keys."""
        records = entry.runtime_data.keys.manager.keys(
            statuses=call.data[ATTR_STATUS], booking_id=booking_id_of(call.data)
        )
        return {"keys": [described_key(self._hass, record) for record in records]}

    async def audit_log(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Read the audit log."""
        lines = await entry.runtime_data.keys.manager.audit(audit_query(call.data))
        return {"lines": [described_line(self._hass, line) for line in lines]}

    async def reconcile(self, entry: SaltoKsConfigEntry, call: ServiceCall) -> Mapping[str, Any]:
        """Compare the ledger with Salto."""
        wording = await async_wording(self._hass)
        done = await entry.runtime_data.keys.manager.reconcile(
            dry_run=call.data[ATTR_DRY_RUN], deep=call.data[ATTR_DEEP]
        )
        return described_pass(done, wording)
