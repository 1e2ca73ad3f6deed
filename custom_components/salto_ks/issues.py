"""Repair issues: raised when a person has to act, taken back when it is done.

They stay while an entry reloads, because one that is deleted and raised again is no longer one
that a person has chosen to ignore.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from homeassistant.components.lock import CONF_DEFAULT_CODE
from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN
from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.util import dt as dt_util

from .const import CONF_IQ_ID, DOMAIN, SUBENTRY_IQ
from .coordinator import SaltoKsConfigEntry
from .domain.fixes import fixes_of
from .domain.ids import KeyId, UnitId
from .domain.outcomes import Outcome
from .domain.read_only import ReadOnly
from .keys.manager import Pass
from .storage import Fault
from .wording import cached_wording, unmarked

IQ_DEGRADED: Final = "iq_degraded"
"""Three one-time passwords in a row were rejected: PIN, secret or clock is wrong."""
IQ_NOT_ACTIVATED: Final = "iq_not_activated"
"""The account in use has no activation on an IQ that is set up."""
IQ_RESTORE: Final = "iq_restore"
"""An IQ was reset, and takes no command before it is restored (CODE)."""
IQ_PIN_UNPROVEN: Final = "iq_pin_unproven"
"""The answer to a change of the PIN was lost, so that several PINs may be in force."""

SEATS_LOW: Final = "seats_low"
SEATS_FULL: Final = "seats_full"
LEDGER_CLOSED: Final = "ledger_closed"
"""A file of the ledger is damaged, missing or of a later version, so no key is touched."""
_LEDGER_TEXTS: Final[Mapping[Fault, str]] = {
    Fault.DAMAGED: "ledger_damaged",
    Fault.NEWER: "ledger_newer",
    Fault.MISSING: "ledger_missing",
    Fault.UNREADABLE: "ledger_unreadable",
    Fault.UNWRITABLE: "ledger_unwritable",
}

BOOKING_WITHOUT_KEY: Final = "booking_without_key"
BOOKINGS_UNREADABLE: Final = "bookings_unreadable"
_BOOKINGS_TEXTS: Final[Mapping[Fault, str]] = {
    Fault.DAMAGED: "bookings_damaged",
    Fault.NEWER: "bookings_newer",
    Fault.UNREADABLE: "bookings_unreadable",
}
"""A file of bookings that is missing is none yet."""
CALENDARS_UNREAD: Final = "calendars_unread"
CALENDAR_MATTERS_AFTER: Final = timedelta(hours=1)
"""How long a calendar gives no answer before somebody should know of it."""
UNITS_UNREADABLE: Final = "units_unreadable"
"""What is kept of a unit makes no sense: it was written by hand, or by a later version."""
SHOWN_BOOKINGS: Final = 20
"""Bookings in the text of an issue."""

SEATS_LOW_FROM: Final = 80
"""Per cent of the seats from which on a person should know."""

OUTCOME_ISSUES: Final = tuple(outcome for outcome in Outcome if fixes_of(outcome))
"""Differences between ledger and Salto that a person can mend; each has an issue of its own."""

READ_ONLY_ISSUES: Final = tuple(ReadOnly)
KEYS_NOT_REMOVED: Final = "keys_not_removed"
"""Salto has refused to take keys back, so that their PINs may still open."""
SHOWN_KEYS: Final = 20
"""Keys in the text of an issue."""
NOT_RECONCILED: Final = "not_reconciled"
"""The last comparison with Salto is too old to rely on."""
SECOND_MANAGER: Final = Outcome.SECOND_MANAGER.value

_NOT_AT_A_DOOR: Final = frozenset(
    {
        Outcome.UNKNOWN_AT_SALTO,
        Outcome.DUPLICATE_AT_SALTO,
        Outcome.EXPIRY_DIFFERS,
        Outcome.ORPHAN_GROUP,
        Outcome.EXPIRED_NOT_REMOVED,
    }
)
"""Differences for which nobody stands before a closed door now; for all others somebody may."""

IQ_ISSUES: Final = (IQ_DEGRADED, IQ_NOT_ACTIVATED, IQ_PIN_UNPROVEN, IQ_RESTORE)


class IssueBoard:
    """The issues about one site: each is raised, told anew or taken back, if that is news."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Show issues about the site of `entry`."""
        self._hass = hass
        self._entry = entry
        self._shown: dict[str, tuple[Mapping[str, str] | None, ir.IssueSeverity, str]] = {}

    @callback
    def async_show(
        self,
        key: str,
        placeholders: Mapping[str, str] | None,
        *,
        text: str | None = None,
        severity: ir.IssueSeverity = ir.IssueSeverity.ERROR,
        fixable: bool = False,
        data: Mapping[str, str] | None = None,
    ) -> None:
        """Raise an issue with what fills its text beside `site`, or take it back for None.

        `text` is the key of the text where one issue has several, and `data` is what its fix flow
        needs beside the entry.
        """
        text = text or key
        if self._shown.get(key) == (placeholders, severity, text):
            return
        self._shown[key] = placeholders, severity, text
        if placeholders is None:
            ir.async_delete_issue(self._hass, DOMAIN, self.issue_id(key))
            return
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self.issue_id(key),
            data={"entry_id": self._entry.entry_id, **(data or {})},
            is_fixable=fixable,
            severity=severity,
            translation_key=text,
            translation_placeholders={
                name: unmarked(value)
                for name, value in {"site": self._entry.title, **placeholders}.items()
            },
        )

    def is_raised(self, key: str) -> bool:
        """Tell whether an issue is there, be it from before the entry was loaded."""
        issue = ir.async_get(self._hass).async_get_issue(DOMAIN, self.issue_id(key))
        return issue is not None

    def issue_id(self, key: str) -> str:
        """Return the id of an issue about this site."""
        return f"{key}_{self._entry.entry_id}"


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
        iq = data.doors.data.iqs.get(subentry.data[CONF_IQ_ID])
        if iq is not None and iq.restore_required:
            return IQ_RESTORE
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
            translation_placeholders={"iq": unmarked(subentry.title)},
        )


class KeyIssues:
    """The issues about keys of one entry: seats that run out, and a file for which none is touched."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Look after the site of `entry`."""
        self._entry = entry
        self._board = IssueBoard(hass, entry)

    @callback
    def async_update(self) -> None:
        """Raise what is the matter, and take back what is not."""
        data = self._entry.runtime_data
        site = data.site.data.site
        used, total = site.seats_used, site.seats_total
        seats = {"used": str(used), "total": str(total)}
        level = seats_level(used, total)
        self._board.async_show(SEATS_FULL, seats if level == SEATS_FULL else None)
        self._board.async_show(
            SEATS_LOW,
            seats if level == SEATS_LOW else None,
            severity=ir.IssueSeverity.WARNING,
        )
        wrong = data.keys.quarantine
        self._board.async_show(
            LEDGER_CLOSED,
            None if wrong is None else {"file": wrong.file},
            text=None if wrong is None else _LEDGER_TEXTS[wrong.fault],
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
        self._board = IssueBoard(hass, entry)

    @callback
    def async_update(self) -> None:
        """Raise what is the matter, and take back what is not."""
        engine = self._entry.runtime_data.bookings
        failure = engine.failure
        self._board.async_show(
            BOOKINGS_UNREADABLE,
            None if failure is None else {"file": failure.file},
            text=None if failure is None else _BOOKINGS_TEXTS[failure.fault],
        )
        names = ", ".join(sorted(engine.unreadable_units.values()))
        self._board.async_show(UNITS_UNREADABLE, {"units": names} if names else None)
        unread = engine.units_unread_for(CALENDAR_MATTERS_AFTER, dt_util.utcnow())
        names = ", ".join(sorted(unit.name for unit in unread))
        self._board.async_show(CALENDARS_UNREAD, {"units": names} if names else None)
        wording = cached_wording(self._hass)
        lines = [
            f"- {engine.units[trouble.booking.unit_id].name},"
            f" {dt_util.as_local(trouble.booking.starts_at):%Y-%m-%d %H:%M}:"
            f" {wording.exception(trouble.problem, trouble.about)}"
            for trouble in engine.troubles()
        ]
        shown = "\n".join(lines[:SHOWN_BOOKINGS])
        self._board.async_show(BOOKING_WITHOUT_KEY, {"bookings": shown} if lines else None)


class ReconciliationIssues:
    """The issues about what differs between the ledger of one entry and Salto.

    What was shown before a reload stays until there is a comparison to tell otherwise.
    """

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Look after the keys of `entry`."""
        self._entry = entry
        self._board = IssueBoard(hass, entry)

    @callback
    def async_update(self) -> None:
        """Raise what differs, what keeps keys from being looked after, and take back the rest."""
        keys = self._entry.runtime_data.keys
        if keys.manager.last_pass is not None:
            self._show_findings(keys.manager.last_pass)
        for reason in READ_ONLY_ISSUES:
            self._board.async_show(
                reason.value,
                {} if keys.manager.read_only is reason else None,
                fixable=True,
                data={"read_only": reason.value},
            )
        since = keys.summary.overdue_since
        if since is not None or keys.manager.last_pass is not None:
            shown = "" if since is None else f"{dt_util.as_local(since):%Y-%m-%d %H:%M}"
            self._board.async_show(NOT_RECONCILED, {"since": shown} if since else None)
        refused = keys.summary.not_removed[:SHOWN_KEYS]
        lines = "\n".join(f"- {key_label(self._entry, key_id)}" for key_id in refused)
        self._board.async_show(KEYS_NOT_REMOVED, {"keys": lines} if lines else None)

    @callback
    def _show_findings(self, last: Pass) -> None:
        """Show how many keys of each kind are found."""
        counts = Counter(finding.outcome for finding in last.discrepancies)
        for outcome in OUTCOME_ISSUES:
            count = counts[outcome]
            is_warning = outcome in _NOT_AT_A_DOOR
            self._board.async_show(
                outcome.value,
                {"count": str(count)} if count else None,
                severity=ir.IssueSeverity.WARNING if is_warning else ir.IssueSeverity.ERROR,
                fixable=True,
                data={"outcome": outcome.value},
            )
        others = any(one.outcome is Outcome.SECOND_MANAGER for one in last.plan.findings)
        self._board.async_show(
            SECOND_MANAGER,
            {"count": str(last.plan.foreign)} if others else None,
            severity=ir.IssueSeverity.WARNING,
        )


def key_label(entry: SaltoKsConfigEntry, key_id: KeyId) -> str:
    """Name a key: its id, the unit that it was booked with, and its window. Nothing personal."""
    record = entry.runtime_data.keys.manager.get(key_id)
    if record is None:
        return key_id
    unit = entry.runtime_data.bookings.units.get(UnitId(record.unit_id or ""))
    local = (dt_util.as_local(at) for at in (record.window.starts_at, record.window.ends_at))
    window = " – ".join(f"{at:%Y-%m-%d %H:%M}" for at in local)  # noqa: RUF001 - a dash of spans
    return ", ".join([key_id, *([unit.name] if unit is not None else []), window])


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
