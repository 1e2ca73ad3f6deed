"""Repair issues: raised when a person has to act, taken back when it is done.

They stay while an entry reloads, because one that is deleted and raised again is no longer one
that a person has chosen to ignore.
"""

from typing import Final

from homeassistant.components.lock import CONF_DEFAULT_CODE
from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN
from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.translation import async_get_exception_message
from homeassistant.util import dt as dt_util

from .booking_engine import Trouble
from .const import CONF_IQ_ID, DOMAIN, SUBENTRY_IQ
from .coordinator import SaltoKsConfigEntry

IQ_DEGRADED: Final = "iq_degraded"
"""Three one-time passwords in a row were rejected: PIN, secret or clock is wrong."""
IQ_NOT_ACTIVATED: Final = "iq_not_activated"
"""The account in use has no activation on an IQ that is set up."""
IQ_PIN_UNPROVEN: Final = "iq_pin_unproven"
"""The answer to a change of the PIN was lost, so that several PINs may be in force."""

SEATS_LOW: Final = "seats_low"
SEATS_FULL: Final = "seats_full"
LEDGER_CLOSED: Final = "ledger_closed"
"""A file of the ledger is damaged, missing or of a later version, so no key is touched."""

BOOKING_WITHOUT_KEY: Final = "booking_without_key"
BOOKINGS_UNREADABLE: Final = "bookings_unreadable"
SHOWN_BOOKINGS: Final = 20
"""Bookings in the text of an issue."""

SEATS_LOW_FROM: Final = 80
"""Per cent of the seats from which on a person should know."""

IQ_ISSUES: Final = (IQ_DEGRADED, IQ_NOT_ACTIVATED, IQ_PIN_UNPROVEN)


class IqIssues:
    """The issues about the IQs of one entry."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Look after the IQs that are set up in `entry`."""
        self._hass = hass
        self._entry = entry
        self._raised: dict[str, str] | None = None

    @callback
    def async_update(self) -> None:
        """Raise what is the matter with each IQ, and take back what is not."""
        subentries = self._entry.get_subentries_of_type(SUBENTRY_IQ)
        wanted = {
            issue_id(key, subentry): key
            for subentry in subentries
            if (key := self._issue_of(subentry)) is not None
        }
        if wanted == self._raised:
            return
        self._raised = wanted
        for issue in _issues_of(self._hass, self._entry):
            if issue.translation_key in IQ_ISSUES and issue.issue_id not in wanted:
                ir.async_delete_issue(self._hass, DOMAIN, issue.issue_id)
        for subentry in subentries:
            for key in IQ_ISSUES:
                if issue_id(key, subentry) in wanted:
                    self._async_raise(subentry, key)

    def _issue_of(self, subentry: ConfigSubentry) -> str | None:
        """Return what is the matter with an IQ, the one thing that mends the most first."""
        data = self._entry.runtime_data
        credential = data.commands.credential(subentry.data[CONF_IQ_ID])
        activation = data.site.data.activations.get(subentry.data[CONF_IQ_ID])
        if credential is None or not credential.activated:
            return IQ_NOT_ACTIVATED
        if activation is None or not activation.activated:
            return IQ_NOT_ACTIVATED
        if credential.pin is None and credential.candidates:
            return IQ_PIN_UNPROVEN
        return IQ_DEGRADED if credential.guard.degraded else None

    @callback
    def _async_raise(self, subentry: ConfigSubentry, key: str) -> None:
        """Raise an issue that leads to the subentry's own flow."""
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue_id(key, subentry),
            data={"entry_id": self._entry.entry_id, "subentry_id": subentry.subentry_id},
            is_fixable=True,
            severity=ir.IssueSeverity.ERROR,
            translation_key=key,
            translation_placeholders={"iq": subentry.title},
        )


class KeyIssues:
    """The issues about keys of one entry: seats that run out, and a ledger that is left alone."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Look after the site of `entry`."""
        self._hass = hass
        self._entry = entry

    @callback
    def async_update(self) -> None:
        """Raise what is the matter, and take back what is not."""
        data = self._entry.runtime_data
        site = data.site.data.site
        used, total = site.seats_used, site.seats_total
        seats = {"used": str(used), "total": str(total)}
        level = seats_level(used, total)
        self._async_show(SEATS_FULL, seats if level == SEATS_FULL else None)
        self._async_show(SEATS_LOW, seats if level == SEATS_LOW else None)
        wrong = data.keys.ledger.quarantine
        self._async_show(
            LEDGER_CLOSED,
            None if wrong is None else {"file": wrong.file, "fault": wrong.fault.value},
        )

    @callback
    def _async_show(self, key: str, placeholders: dict[str, str] | None) -> None:
        """Raise an issue, or take it back."""
        issue = f"{key}_{self._entry.entry_id}"
        if placeholders is None:
            ir.async_delete_issue(self._hass, DOMAIN, issue)
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue,
            data={"entry_id": self._entry.entry_id},
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING if key == SEATS_LOW else ir.IssueSeverity.ERROR,
            translation_key=key,
            translation_placeholders={"site": self._entry.title, **placeholders},
        )


def seats_level(used: int | None, total: int | None) -> str | None:
    """Return the key of what is the matter with the seats; None where nothing is, or is known."""
    if used is None or total is None:
        return None
    if used >= total:
        return SEATS_FULL
    return SEATS_LOW if used * 100 >= total * SEATS_LOW_FROM else None


class BookingIssues:
    """The issues about bookings of one entry: those that may be left without a key."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Look after the bookings of `entry`."""
        self._hass = hass
        self._entry = entry
        self._shown: dict[str, dict[str, str] | None] = {}

    @callback
    def async_update(self) -> None:
        """Raise what is the matter, and take back what is not."""
        engine = self._entry.runtime_data.bookings
        failure = engine.failure
        self._async_show(BOOKINGS_UNREADABLE, None if failure is None else {"detail": failure})
        lines = [
            f"- {engine.units[trouble.booking.unit_id].name},"
            f" {dt_util.as_local(trouble.booking.starts_at):%Y-%m-%d %H:%M}: {_said(trouble)}"
            for trouble in engine.troubles()
        ]
        shown = "\n".join(lines[:SHOWN_BOOKINGS])
        self._async_show(BOOKING_WITHOUT_KEY, {"bookings": shown} if lines else None)

    @callback
    def _async_show(self, key: str, placeholders: dict[str, str] | None) -> None:
        """Raise an issue, or take it back, if that is news."""
        if key in self._shown and self._shown[key] == placeholders:
            return
        self._shown[key] = placeholders
        issue = f"{key}_{self._entry.entry_id}"
        if placeholders is None:
            ir.async_delete_issue(self._hass, DOMAIN, issue)
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            issue,
            data={"entry_id": self._entry.entry_id},
            is_fixable=False,
            severity=ir.IssueSeverity.ERROR,
            translation_key=key,
            translation_placeholders={"site": self._entry.title, **placeholders},
        )


class DefaultCodeIssue:
    """The issue about doors to which Home Assistant's own option "default code" was given.

    The code is the PIN of an IQ, and the option is kept in the entity registry, which every
    user that is logged in can read.
    """

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Look after the doors of `entry` until it is unloaded."""
        self._hass = hass
        self._entry = entry
        self._registry = er.async_get(hass)
        entries = er.async_entries_for_config_entry(self._registry, entry.entry_id)
        self._with_code = {item.entity_id for item in entries if _has_default_code(item)}
        entry.async_on_unload(
            hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._async_registry_changed)
        )
        self._async_show()

    @callback
    def _async_registry_changed(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        """Look at the entity that has changed, which may have another name now."""
        entity_id = event.data["entity_id"]
        entity = self._registry.async_get(entity_id)
        with_code = self._with_code - {entity_id, event.data.get("old_entity_id")}
        if (
            entity is not None
            and entity.config_entry_id == self._entry.entry_id
            and _has_default_code(entity)
        ):
            with_code.add(entity_id)
        if with_code != self._with_code:
            self._with_code = with_code
            self._async_show()

    @callback
    def _async_show(self) -> None:
        """Raise the issue with the doors that it is about, or take it back."""
        key = f"default_code_{self._entry.entry_id}"
        if not self._with_code:
            ir.async_delete_issue(self._hass, DOMAIN, key)
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            key,
            data={"entry_id": self._entry.entry_id},
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="default_code",
            translation_placeholders={"doors": ", ".join(sorted(self._with_code))},
        )


def _said(trouble: Trouble) -> str:
    """Say what is wrong in the words of the error."""
    return async_get_exception_message(DOMAIN, trouble.problem, dict(trouble.about))


@callback
def async_remove_issues(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take back all issues of an entry that is removed or disabled."""
    for issue in _issues_of(hass, entry):
        ir.async_delete_issue(hass, DOMAIN, issue.issue_id)


def _issues_of(hass: HomeAssistant, entry: ConfigEntry) -> list[ir.IssueEntry]:
    """Return the issues that are about an entry, also about subentries it no longer has."""
    return [
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN and issue.data and issue.data.get("entry_id") == entry.entry_id
    ]


def _has_default_code(entity: er.RegistryEntry) -> bool:
    """Tell whether an entity is a lock with a code of its own."""
    if entity.domain != LOCK_DOMAIN:
        return False
    options = entity.options.get(LOCK_DOMAIN)
    return options is not None and bool(options.get(CONF_DEFAULT_CODE))


def issue_id(key: str, subentry: ConfigSubentry) -> str:
    """Return the id of an issue about one IQ."""
    return f"{key}_{subentry.subentry_id}"
