"""What the system information page says about us."""

from typing import Any

from homeassistant.components.system_health import (
    SystemHealthRegistration,
    async_check_can_reach_url,
)
from homeassistant.const import EVENT_CALL_SERVICE
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.recorder import DATA_INSTANCE
from homeassistant.util import dt as dt_util

from .const import CONF_API_URL, CONF_ENVIRONMENT, CONF_IDENTITY_URL, DOMAIN
from .coordinator import SaltoKsConfigEntry


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Offer the information."""
    register.async_register_info(_async_describe)


async def _async_describe(hass: HomeAssistant) -> dict[str, Any]:
    """Describe the servers, the sites that are loaded, and what the recorder keeps."""
    entries = hass.config_entries.async_entries(DOMAIN)
    loaded: list[SaltoKsConfigEntry] = hass.config_entries.async_loaded_entries(DOMAIN)
    sites = [_describe(entry) for entry in loaded]
    return {
        "sites_loaded": f"{len(loaded)} / {len(entries)}",
        "can_reach_api": _async_reach(hass, {entry.data[CONF_API_URL] for entry in entries}),
        "can_reach_identity": _async_reach(
            hass, {entry.data[CONF_IDENTITY_URL] for entry in entries}
        ),
        **{key: ", ".join(site[key] for site in sites) for key in (sites[0] if sites else {})},
        "codes_in_history": _records_codes(hass),
    }


async def _async_reach(hass: HomeAssistant, urls: set[str]) -> str | dict[str, str]:
    """Tell whether all servers of a kind can be reached, or how one cannot."""
    answer: str | dict[str, str] = "ok"
    for url in sorted(urls):
        if (answer := await async_check_can_reach_url(hass, url)) != "ok":
            break
    return answer


def _describe(entry: SaltoKsConfigEntry) -> dict[str, str]:
    """Describe one site, without its name."""
    data = entry.runtime_data
    site, doors = data.site.data.site, data.doors.data
    offset = data.client.server_clock_offset
    credentials = [data.commands.credential(iq_id) for iq_id in doors.iqs]
    activated = sum(1 for credential in credentials if credential and credential.activated)
    calls = data.client.calls.last_hour(dt_util.utcnow())
    last, runs_out_on = data.keys.manager.last_pass, data.seats.runs_out_on
    return {
        "environment": entry.data[CONF_ENVIRONMENT],
        "last_poll": "ok" if data.doors.last_update_success else "failed",
        "clock_offset": "?" if offset is None else f"{offset.total_seconds():.0f} s",
        "door_log": data.feed.standing.value,
        "live_events": data.stream.state.value,
        "active": "yes" if data.states.is_active(site.id) else "no",
        "doors": str(len(doors.locks)),
        "iqs_activated": f"{activated} / {len(doors.iqs)}",
        "active_keys": str(data.keys.summary.active),
        "seats_used": f"{site.seats_used} / {site.seats_total}",
        "seats_run_out": "-" if runs_out_on is None else runs_out_on.isoformat(),
        "last_reconciliation": "-"
        if last is None
        else f"{dt_util.as_local(last.at):%Y-%m-%d %H:%M}",
        "discrepancies": "-" if last is None else str(len(last.discrepancies)),
        "requests_per_hour": str(calls.requests),
        "error_rate": f"{calls.error_rate:.1%}",
    }


def _records_codes(hass: HomeAssistant) -> bool:
    """Tell whether the recorder keeps the data of actions, and so every code that is typed."""
    recorder = hass.data.get(DATA_INSTANCE)
    return recorder is not None and EVENT_CALL_SERVICE not in recorder.exclude_event_types
