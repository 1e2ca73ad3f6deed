"""Names and numbers that several modules share."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
import logging
from typing import Final

DOMAIN: Final = "salto_ks"
LOGGER: Final = logging.getLogger(__package__)
MANUFACTURER: Final = "SALTO"

CONF_ENVIRONMENT: Final = "environment"
CONF_API_URL: Final = "api_url"
CONF_IDENTITY_URL: Final = "identity_url"
CONF_SITE_ID: Final = "site_id"
CONF_SITE_UID: Final = "site_uid"
CONF_IQ_ID: Final = "iq_id"
CONF_CHANNEL: Final = "channel"
CONF_NEW_PIN: Final = "new_pin"
CONF_STORE_PIN: Final = "store_pin"

SUBENTRY_IQ: Final = "iq"

CONF_POLLING_INTERVAL: Final = "polling_interval"
CONF_WRITES_PER_MINUTE: Final = "writes_per_minute"
CONF_AUDIT_DAYS: Final = "audit_days"
CONF_FORGET_PINS: Final = "forget_pins"
CONF_STRATEGY: Final = "strategy"
CONF_FRONT_DESK: Final = "front_desk"
CONF_RECONCILE_AT: Final = "reconcile_at"
CONF_REPAIRED: Final = "repaired"
CONF_NAME_PEOPLE: Final = "name_people"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a number may be."""

    least: int
    default: int
    most: int


POLLING_INTERVAL: Final = Bounds(least=15, default=75, most=900)
"""Seconds between two polls of doors and IQs."""

WRITES_PER_MINUTE: Final = Bounds(least=6, default=120, most=600)
"""Writes that are sent to Salto in any minute; it publishes no limit (UNK)."""

AUDIT_DAYS: Final = Bounds(least=30, default=730, most=3650)
"""Days for which the audit log is kept."""

RECONCILE_AT: Final = "03:30:00"
"""When keys are compared with Salto each day, on Home Assistant's wall clock."""

SITE_INTERVAL: Final = timedelta(minutes=10)


class Environment(StrEnum):
    """The installations of Salto KS; accounts and clients of one are unknown to the other."""

    PRODUCTION = "production"
    ACCEPTANCE = "acceptance"
    CUSTOM = "custom"


SERVERS: Final = {
    Environment.PRODUCTION: ("https://connect.my-clay.com", "https://identity.eu.my-clay.com"),
    Environment.ACCEPTANCE: (
        "https://clp-accept-user.my-clay.com",
        "https://identity-acc.eu.my-clay.com",
    ),
}
"""API and identity server of each environment (DOC, CODE)."""

STREAM_SERVERS: Final = {
    Environment.PRODUCTION: "https://eventstreaming-connect-production.saltoks.com",
    Environment.ACCEPTANCE: "https://eventstreaming-connect-accept.saltoks.com",
}
"""The servers of live events (DOC); a server of one's own has them on that of the API."""
