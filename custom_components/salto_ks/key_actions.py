"""What actions and the front desk have in common: from what was typed to the manager, and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.util import dt as dt_util

from .const import CONF_STRATEGY, DOMAIN
from .coordinator import SaltoKsConfigEntry
from .domain.bookings import as_label
from .domain.ids import BookingId, KeyId, marked, marker
from .domain.key_requests import By, KeyChange, KeyRefusal, KeyRefusedError, KeyRequest
from .domain.keys import Strategy
from .domain.outcomes import Outcome
from .door_ids import doors_named, entity_ids_of
from .keys.audit_log import FREE_TEXT, AuditLine, AuditQuery
from .keys.manager import HandedOut, Pass
from .site_keys import described_key
from .wording import Wording

ATTR_BOOKING_ID: Final = "booking_id"
ATTR_DOORS: Final = "doors"
ATTR_ENDS_AT: Final = "ends_at"
ATTR_KEY_ID: Final = "key_id"
ATTR_LABEL: Final = "label"
ATTR_PIN_LENGTH: Final = "pin_length"
ATTR_REASON: Final = "reason"
ATTR_STARTS_AT: Final = "starts_at"

LONGEST_TEXT: Final = 100
"""Characters of an id."""

_UNUSABLE: Final[Mapping[str, str]] = {
    ATTR_BOOKING_ID: "booking_id_unusable",
    ATTR_KEY_ID: "key_id_unusable",
}
"""What is said of a text in one of these fields that cannot be taken."""

_ACTORS: Final = ("automation", "script")


def key_request(
    hass: HomeAssistant, entry: SaltoKsConfigEntry, data: Mapping[str, Any]
) -> KeyRequest:
    """Read what key is wanted. Raises ServiceValidationError."""
    return KeyRequest(
        doors=doors_named(hass, entry, data[ATTR_DOORS]),
        starts_at=instant(data[ATTR_STARTS_AT]),
        ends_at=instant(data[ATTR_ENDS_AT]),
        booking_id=booking_id_of(data),
        label=as_label(data.get(ATTR_LABEL, "")),
        pin_length=data.get(ATTR_PIN_LENGTH),
        strategy=Strategy(entry.options.get(CONF_STRATEGY, Strategy.SCHEDULE)),
    )


def key_change(
    hass: HomeAssistant, entry: SaltoKsConfigEntry, data: Mapping[str, Any]
) -> KeyChange:
    """Read what is to be different. Raises ServiceValidationError."""
    starts_at, ends_at = data.get(ATTR_STARTS_AT), data.get(ATTR_ENDS_AT)
    doors = data.get(ATTR_DOORS)
    return KeyChange(
        starts_at=None if starts_at is None else instant(starts_at),
        ends_at=None if ends_at is None else instant(ends_at),
        doors=None if doors is None else doors_named(hass, entry, doors),
    )


def key_named(data: Mapping[str, Any]) -> KeyId:
    """Read which key is meant.

    Raises ServiceValidationError for what is no text, KeyRefusedError for what is no key's id.
    """
    key_id = KeyId(checked_text(ATTR_KEY_ID, data[ATTR_KEY_ID]))
    if marked(marker(key_id)) != key_id:
        raise KeyRefusedError(KeyRefusal.UNKNOWN, key_id=key_id)
    return key_id


def booking_id_of(data: Mapping[str, Any]) -> BookingId | None:
    """Read the booking; a blank one is none. Raises ServiceValidationError."""
    text = checked_text(ATTR_BOOKING_ID, data.get(ATTR_BOOKING_ID, ""))
    return BookingId(text) if text else None


def checked_text(field: str, text: str) -> str:
    """Return a text without blanks around it. Raises ServiceValidationError for one that is none.

    Half of a surrogate pair can come in by JSON, and no file and no database takes it.
    """
    text = text.strip()
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=_UNUSABLE[field],
            translation_placeholders={"longest": str(LONGEST_TEXT)},
        )
    return text


def instant(value: datetime) -> datetime:
    """Return an aware instant; a naive time is in Home Assistant's zone.

    Raises ServiceValidationError for a year that no clock shows.
    """
    aware = value if value.tzinfo else value.replace(tzinfo=dt_util.get_default_time_zone())
    try:
        return dt_util.as_utc(aware)
    except OverflowError:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="key_window_too_far"
        ) from None


async def async_by(hass: HomeAssistant, context: Context, data: Mapping[str, Any]) -> By:
    """Name who asks: a user, else the automation or script that runs, else Home Assistant."""
    reason = " ".join(data.get(ATTR_REASON, "").split())[:FREE_TEXT]
    reason = "".join(char for char in reason if char.isprintable())
    return By(who=await _who(hass, context), reason=reason)


async def _who(hass: HomeAssistant, context: Context) -> str:
    if context.user_id is not None:
        user = await hass.auth.async_get_user(context.user_id)
        return (user.name if user is not None else None) or context.user_id
    for state in hass.states.async_all(_ACTORS):
        if context.id in {state.context.id, state.context.parent_id}:
            return state.entity_id
    return "Home Assistant"


def audit_query(data: Mapping[str, Any]) -> AuditQuery:
    """Read which lines are asked for; a blank key is any. Raises ServiceValidationError."""
    since, until = data.get("since"), data.get("until")
    key_id = checked_text(ATTR_KEY_ID, data.get(ATTR_KEY_ID, ""))
    return AuditQuery(
        key_id=KeyId(key_id) if key_id else None,
        booking_id=booking_id_of(data),
        since=None if since is None else instant(since),
        until=None if until is None else instant(until),
        limit=data["limit"],
    )


def described_handed_out(hass: HomeAssistant, handed_out: HandedOut) -> dict[str, Any]:
    """Describe a key with its PIN, for whoever asked and nobody else."""
    return {**described_key(hass, handed_out.record), "pin": handed_out.keypad_pin}


def described_line(hass: HomeAssistant, line: AuditLine) -> dict[str, Any]:
    """Describe a line of the audit log."""
    return {
        "at": line.at.isoformat(),
        "action": line.action,
        "outcome": line.outcome,
        "key_id": line.key_id,
        "salto_key_id": line.salto_key_id,
        "booking_id": line.booking_id,
        "doors": entity_ids_of(hass, line.doors),
        "starts_at": line.starts_at and line.starts_at.isoformat(),
        "ends_at": line.ends_at and line.ends_at.isoformat(),
        "who": line.who,
        "reason": line.reason,
    }


def described_pass(done: Pass, wording: Wording) -> dict[str, Any]:
    """Describe a comparison with Salto.

    An action is what was done by itself, or would have been: the name of a fix, or `report` where
    a person has to decide.
    """
    return {
        "findings": [
            {
                "outcome": finding.outcome.value,
                "key_id": finding.key_id,
                "reason": finding_text(wording, finding.outcome),
                "action": finding.action,
                "done": finding in done.repaired,
            }
            for finding in done.plan.findings
        ],
        "unmanaged": done.plan.unmanaged,
        "foreign": done.plan.foreign,
        "requests": done.requests,
        "duration": round(done.seconds, 3),
        "deep": done.deep,
        "looked_deep": done.looked_deep,
    }


def finding_text(wording: Wording, outcome: Outcome) -> str:
    """Say in a sentence what a difference means."""
    return wording.common(f"finding_{outcome}")
