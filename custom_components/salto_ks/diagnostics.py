"""What may be sent to somebody else to find a fault: a list of chosen fields, no more.

Nothing is redacted, because nothing secret or personal is put in: no account, no secret, no
PIN, no names of sites, IQs or doors. Ids of keys are there: they are ours, and stand in the log.
"""

from collections import Counter
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from .api.call_log import Call, CallLog, CallTotals
from .api.models import Iq, Lock
from .booking_engine import BookingEngine
from .const import CONF_ENVIRONMENT, CONF_FRONT_DESK
from .coordinator import SaltoKsConfigEntry, SaltoKsCoordinator
from .door_commands import DoorCommands
from .keys.manager import Pass
from .seat_outlook import SeatOutlook

SHOWN_FINDINGS: Final = 100
"""Findings of the last comparison that are told one by one."""


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: SaltoKsConfigEntry
) -> dict[str, Any]:
    """Describe a site, its doors and how talking to it goes; of a site that is down, why."""
    described: dict[str, Any] = {
        "environment": entry.data[CONF_ENVIRONMENT],
        "options": _options(entry),
        "state": entry.state.value,
        "reason": entry.error_reason_translation_key,
    }
    if entry.state is not ConfigEntryState.LOADED:
        return described
    data = entry.runtime_data
    site, doors = data.site.data, data.doors.data
    offset = data.client.server_clock_offset
    return described | {
        "keys": data.keys.manager.diagnostics(),
        "plan": _plan(data.keys.manager.last_pass),
        "bookings": _bookings(data.bookings),
        "seats": _seats(data.seats),
        "active": data.states.is_active(site.site.id),
        "server_clock_offset_seconds": None if offset is None else offset.total_seconds(),
        "polls": {
            "doors": _poll(data.doors),
            "site": _poll(data.site),
            "door_log": _poll(data.feed),
        },
        "door_log": data.feed.standing.value,
        "stream": data.stream.diagnostics(),
        "requests": _requests(data.client.calls),
        "site": {
            "pin_enabled": site.site.pin_enabled,
            "seats_used": site.site.seats_used,
            "seats_total": site.site.seats_total,
            "subscription_valid": site.site.subscription_valid,
            "time_zone": site.site.time_zone,
            "remote_access": site.member.remote_access,
            "role_codes": sorted(site.member.role_codes),
        },
        "iqs": [_iq(iq, data.commands, entry) for iq in doors.iqs.values()],
        "doors": [_door(lock) for lock in doors.locks.values()],
    }


def _options(entry: SaltoKsConfigEntry) -> dict[str, Any]:
    """Describe the options; of the users at the front desk only how many."""
    options = dict(entry.options)
    if CONF_FRONT_DESK in options:
        options[CONF_FRONT_DESK] = len(options[CONF_FRONT_DESK])
    return options


def _poll(coordinator: SaltoKsCoordinator[Any]) -> dict[str, Any]:
    """Describe how polling goes; of an exception only the kind."""
    error = coordinator.last_exception
    interval = coordinator.update_interval
    return {
        "last_success": coordinator.last_update_success,
        "last_error": None if error is None else type(error).__name__,
        "interval_seconds": None if interval is None else interval.total_seconds(),
    }


def _plan(last: Pass | None) -> dict[str, Any] | None:
    """Describe what the last comparison with Salto has found, key by key, and what came of it."""
    if last is None:
        return None
    findings = last.plan.findings
    return {
        "at": last.at.isoformat(),
        "outcomes": dict(Counter(one.outcome.value for one in findings)),
        "ledger_is_behind": last.plan.ledger_is_behind,
        "findings": [
            {
                "key_id": one.key_id,
                "outcome": one.outcome.value,
                "remedy": one.action,
                "repaired": one in last.repaired,
            }
            for one in findings[:SHOWN_FINDINGS]
        ],
    }


def _bookings(engine: BookingEngine) -> dict[str, Any]:
    """Describe units and bookings by their numbers; of a calendar only whether it can be read."""
    return {
        "readable": engine.failure is None,
        "units": len(engine.units),
        "unreadable_units": len(engine.unreadable_units),
        "by_status": dict(Counter(one.status.value for one in engine.bookings())),
        "by_source": dict(Counter(one.source.value for one in engine.bookings())),
        "keys_wanted": None if engine.wanted is None else len(engine.wanted),
        "troubles": dict(Counter(trouble.problem for trouble in engine.troubles())),
        "calendars": [
            {
                "unit_id": unit_id,
                "answers": engine.calendar_is_read(unit_id),
                "bookings": len(engine.bookings(unit_id)),
                "unreadable_events": engine.unreadable(unit_id),
            }
            for unit_id, unit in engine.units.items()
            if unit.calendar is not None
        ],
    }


def _seats(seats: SeatOutlook) -> dict[str, Any] | None:
    """Describe what the seats come to."""
    forecast, runs_out_on = seats.forecast, seats.runs_out_on
    if forecast is None:
        return None
    return {
        "total": forecast.total,
        "peak": forecast.peak,
        "short": forecast.short,
        "runs_out_on": None if runs_out_on is None else runs_out_on.isoformat(),
    }


def _requests(calls: CallLog) -> dict[str, Any]:
    """Describe how many requests there were since the start, and the last of them."""
    return {
        "since_start": _totals(calls.totals),
        "last_hour": _totals(calls.last_hour(dt_util.utcnow())),
        "last": [_call(call) for call in calls.recent],
    }


def _totals(totals: CallTotals) -> dict[str, Any]:
    """Describe counts of requests."""
    return {
        "requests": totals.requests,
        "refusals": totals.refusals,
        "errors": totals.errors,
        "repeats": totals.repeats,
        "error_rate": round(totals.error_rate, 4),
    }


def _call(call: Call) -> dict[str, Any]:
    """Describe one request, by the template of its route."""
    return {
        "at": call.at.isoformat(timespec="milliseconds"),
        "method": call.method,
        "route": call.route,
        "result": call.result.value,
        "status": call.status,
        "error": call.error,
        "milliseconds": call.milliseconds,
        "attempt": call.attempt,
    }


def _iq(iq: Iq, commands: DoorCommands, entry: SaltoKsConfigEntry) -> dict[str, Any]:
    """Describe an IQ and our activation on it."""
    credential = commands.credential(iq.id)
    activation = entry.runtime_data.site.data.activations.get(iq.id)
    now = dt_util.utcnow()
    described: dict[str, Any] = {
        "id": iq.id,
        "online": iq.online,
        "restore_required": iq.restore_required,
        "otp_enabled": iq.otp_enabled,
        "signal_strength": iq.signal_strength,
        "revision": iq.revision,
        "time_zone": iq.time_zone,
        "activated_at_salto": None if activation is None else activation.activated,
        "set_up": credential is not None,
    }
    if credential is not None:
        described |= {
            "activated_here": credential.activated,
            "pin_kept": credential.pin is not None,
            "rejections": credential.guard.rejections,
            "permit": credential.guard.permit(now).value,
        }
    return described


def _door(lock: Lock) -> dict[str, Any]:
    """Describe a door."""
    return {
        "id": lock.id,
        "iq_id": lock.iq_id,
        "lock_type": str(lock.lock_type),
        "locked_state": str(lock.locked_state),
        "online": lock.online,
        "iq_link_state": lock.iq_link_state,
        "battery_level": str(lock.battery_level),
        "left_open_alarm": lock.left_open_alarm,
        "intrusion_alarm": lock.intrusion_alarm,
        "privacy_mode": lock.privacy_mode,
    }
