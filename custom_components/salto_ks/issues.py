"""Repair issues about IQs: raised when a person has to act, taken back when it is done."""

from typing import Final

from homeassistant.config_entries import ConfigSubentry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .const import CONF_IQ_ID, DOMAIN, SUBENTRY_IQ
from .coordinator import SaltoKsConfigEntry

IQ_DEGRADED: Final = "iq_degraded"
"""Three one-time passwords in a row were rejected: PIN, secret or clock is wrong."""
IQ_NOT_ACTIVATED: Final = "iq_not_activated"
"""The account in use has no activation on an IQ that is set up."""

IQ_ISSUES: Final = (IQ_DEGRADED, IQ_NOT_ACTIVATED)


class IqIssues:
    """The issues about the IQs of one entry."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Look after the IQs that are set up in `entry`."""
        self._hass = hass
        self._entry = entry
        self._raised: dict[str, str | None] = {}

    @callback
    def async_update(self) -> None:
        """Raise what is the matter with each IQ, and take back what is not."""
        for subentry in self._entry.get_subentries_of_type(SUBENTRY_IQ):
            current = self._issue_of(subentry)
            if self._raised.get(subentry.subentry_id, "") == current:
                continue
            self._raised[subentry.subentry_id] = current
            for key in IQ_ISSUES:
                if key == current:
                    self._async_raise(subentry, key)
                else:
                    ir.async_delete_issue(self._hass, DOMAIN, issue_id(key, subentry))

    def _issue_of(self, subentry: ConfigSubentry) -> str | None:
        """Return what is the matter with an IQ, the one thing that mends the most first."""
        credential = self._entry.runtime_data.commands.credential(subentry.data[CONF_IQ_ID])
        if credential is None or not credential.activated:
            return IQ_NOT_ACTIVATED
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


@callback
def async_remove_iq_issues(hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
    """Take back all issues about the IQs of an entry, and of subentries it no longer has."""
    registry = ir.async_get(hass)
    for domain, key in list(registry.issues):
        issue = registry.issues[domain, key]
        if domain == DOMAIN and issue.data and issue.data.get("entry_id") == entry.entry_id:
            ir.async_delete_issue(hass, DOMAIN, key)


def issue_id(key: str, subentry: ConfigSubentry) -> str:
    """Return the id of an issue about one IQ."""
    return f"{key}_{subentry.subentry_id}"
