"""Fix flows: each mends the trouble, or leads to the flow in which it is mended."""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

from homeassistant.components.http.const import KEY_HASS_USER
from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.components.repairs.const import FlowType
from homeassistant.config_entries import SOURCE_RECONFIGURE, ConfigEntryState
from homeassistant.core import Context, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.http import current_request
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
import voluptuous as vol

from .const import SUBENTRY_IQ
from .coordinator import SaltoKsConfigEntry
from .domain.fixes import Fix, fixes_of
from .domain.ids import KeyId
from .domain.key_requests import By
from .domain.outcomes import Outcome
from .errors import raised_as_home_assistant_errors
from .issues import key_label
from .key_actions import async_by, finding_text
from .keys.manager import Pass
from .wording import async_said, async_wording, unmarked

CONF_FIX: Final = "fix"
CONF_KEYS: Final = "keys"

OFFERED_KEYS: Final = 100
"""Keys to choose from at once; a form is no place for thousands."""

SEEN_AFTER: Final = 1.0
"""Seconds within which a browser that is told of a progress begins to listen for its end. One that
came sooner would leave it waiting for ever."""

_BY_REPAIR: Final = {"reason": "repair"}
"""What the audit log has as the reason."""


class _FixFlow(RepairsFlow):
    """What the fix flows of a site have in common."""

    def __init__(self, entry_id: str) -> None:
        """Mend something of this entry."""
        self._entry_id = entry_id

    def _placeholders(self) -> dict[str, str]:
        """Return what the issue's text is filled with."""
        issue = ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id)
        return dict(issue.translation_placeholders or {}) if issue is not None else {}

    def _loaded_entry(self) -> SaltoKsConfigEntry | None:
        """Return the entry; None where its keys cannot be asked about now."""
        entry: SaltoKsConfigEntry | None = self.hass.config_entries.async_get_entry(self._entry_id)
        is_loaded = entry is not None and entry.state is ConfigEntryState.LOADED
        return entry if is_loaded else None

    def _async_wait_for(
        self, work: asyncio.Task[Any], step_id: str, then: str
    ) -> RepairsFlowResult:
        """Show that work is under way, and go on with another step once it is done."""
        if work.done():
            return self.async_show_progress_done(next_step_id=then)
        return self.async_show_progress(
            step_id=step_id, progress_action=step_id, progress_task=work
        )


class IqRepairFlow(_FixFlow):
    """Explain, then open the reconfigure flow of the IQ's subentry."""

    def __init__(self, entry_id: str, subentry_id: str) -> None:
        """Mend the IQ of this subentry."""
        super().__init__(entry_id)
        self._subentry_id = subentry_id

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Say what is the matter; go on when the person has read it.

        The issue goes away by itself once an OTP is accepted, not because it was looked at. Where
        the other flow ends at once, its reason is passed on.
        """
        if user_input is None:
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),
                description_placeholders=self._placeholders(),
            )
        entry = self.hass.config_entries.async_get_entry(self._entry_id)
        if entry is None or self._subentry_id not in entry.subentries:
            return self.async_abort(reason="iq_no_longer_set_up")
        flow = await self.hass.config_entries.subentries.async_init(
            (self._entry_id, SUBENTRY_IQ),
            context={"source": SOURCE_RECONFIGURE, "subentry_id": self._subentry_id},
        )
        if flow["type"] is FlowResultType.ABORT:
            return self.async_abort(
                reason=flow["reason"], description_placeholders=flow.get("description_placeholders")
            )
        return self.async_abort(
            reason="iq_continue",
            next_flow=(FlowType.CONFIG_SUBENTRIES_FLOW, flow["flow_id"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mended:
    """What came of mending keys."""

    done: int
    gone: int
    """Keys that were not found to be so any more."""
    failures: tuple[str, ...]
    """A line for each key that could not be mended."""


class KeysRepairFlow(_FixFlow):
    """Choose what is done about the keys of one kind, do it, and say what came of it.

    What was chosen goes on when the dialog is closed: it is the manager's work.
    """

    _work: asyncio.Task[_Mended]

    def __init__(self, entry_id: str, outcome: Outcome) -> None:
        """Mend what differs in this way."""
        super().__init__(entry_id)
        self._outcome = outcome

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_fix()

    async def async_step_fix(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Ask what to do, and with which keys."""
        if (entry := self._loaded_entry()) is None:
            return self.async_abort(reason="site_not_loaded")
        if entry.runtime_data.keys.manager.last_pass is None:
            return self.async_abort(reason="not_compared")
        found = _found(entry, self._outcome)
        if not found:
            return self.async_abort(reason="nothing_left")
        errors: dict[str, str] = {}
        if user_input is not None:
            chosen = [KeyId(key_id) for key_id in user_input[CONF_KEYS]]
            if chosen:
                by = await async_by(self.hass, _context(), _BY_REPAIR)
                work = self._mend(entry, Fix(user_input[CONF_FIX]), chosen, by)
                self._work = self.hass.async_create_task(_until_seen(work), "salto_ks repair")
                return await self.async_step_mending()
            errors[CONF_KEYS] = "no_keys"
        return self.async_show_form(
            step_id="fix",
            data_schema=_choices(entry, self._outcome, found[:OFFERED_KEYS]),
            errors=errors,
            description_placeholders={"site": unmarked(entry.title), "count": str(len(found))},
        )

    async def _mend(
        self, entry: SaltoKsConfigEntry, fix: Fix, keys: Iterable[KeyId], by: By
    ) -> _Mended:
        """Mend keys, each by itself, so that one that fails takes nothing from the others."""
        manager = entry.runtime_data.keys.manager

        async def mend(key_id: KeyId) -> bool | str:
            try:
                with raised_as_home_assistant_errors(self.hass, entry):
                    return await manager.mend(key_id, self._outcome, fix, by)
            except HomeAssistantError as err:
                said = await async_said(self.hass, err, self.hass.config.language)
                return f"- {key_id}: {said}"

        results = await asyncio.gather(*map(mend, keys))
        return _Mended(
            done=results.count(True),
            gone=results.count(False),
            failures=tuple(result for result in results if isinstance(result, str)),
        )

    async def async_step_mending(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Wait for what was chosen to be done."""
        return self._async_wait_for(self._work, "mending", "mended")

    async def async_step_mended(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Say what came of it. The issue goes only when no such key is left."""
        mended = self._work.result()
        about = {"done": str(mended.done), "gone": str(mended.gone)}
        if mended.failures:
            about["failures"] = "\n".join(mended.failures)
            return self.async_show_form(
                step_id="failed", data_schema=vol.Schema({}), description_placeholders=about
            )
        entry = self._loaded_entry()
        if entry is not None and (left := len(_found(entry, self._outcome))):
            about["left"] = str(left)
            return self.async_abort(reason="some_left", description_placeholders=about)
        return self.async_create_entry(data={}, description_placeholders=about)

    async def async_step_failed(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Go on with what is left, once the person has read what has failed."""
        return await self.async_step_fix()


class ComparisonRepairFlow(_FixFlow):
    """Compare all keys with Salto while nothing is done by itself, and say what differs."""

    _work: asyncio.Task[Pass | HomeAssistantError]

    async def async_step_init(self, user_input: dict[str, str] | None = None) -> RepairsFlowResult:
        """Begin."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Say what is the matter, and compare when the person has read it."""
        if user_input is None:
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),
                description_placeholders=self._placeholders(),
            )
        if (entry := self._loaded_entry()) is None:
            return self.async_abort(reason="site_not_loaded")
        work = _until_seen(self._compare(entry))
        self._work = self.hass.async_create_task(work, "salto_ks comparison")
        return await self.async_step_comparing()

    async def _compare(self, entry: SaltoKsConfigEntry) -> Pass | HomeAssistantError:
        """Compare all of each key, or return why that could not be."""
        try:
            with raised_as_home_assistant_errors(self.hass, entry):
                return await entry.runtime_data.keys.manager.reconcile(dry_run=False, deep=True)
        except HomeAssistantError as err:
            return err

    async def async_step_comparing(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Wait for the comparison."""
        return self._async_wait_for(self._work, "comparing", "compared")

    async def async_step_compared(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Say what was found. Where all agrees, keys are looked after again."""
        result = self._work.result()
        if isinstance(result, HomeAssistantError):
            return await self._async_failed(result)
        entry = self._loaded_entry()
        if entry is None:
            return self.async_abort(reason="site_not_loaded")
        if entry.runtime_data.keys.manager.read_only is None:
            return self.async_create_entry(data={})
        return await self.async_step_differs()

    async def async_step_differs(
        self, user_input: dict[str, Any] | None = None
    ) -> RepairsFlowResult:
        """Say what differs, and let the person choose."""
        result = self._work.result()
        findings = result.discrepancies if isinstance(result, Pass) else ()
        wording = await async_wording(self.hass)
        outcomes = [finding.outcome for finding in findings]
        lines = [
            f"- {outcomes.count(outcome)}: {finding_text(wording, outcome)}"
            for outcome in dict.fromkeys(outcomes)
        ]
        return self.async_show_menu(
            step_id="differs",
            menu_options=["leave", "go_on"],
            description_placeholders={"found": "\n".join(lines)},
        )

    async def async_step_leave(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Leave keys alone, until what differs is mended."""
        return self.async_abort(reason="left_alone")

    async def async_step_go_on(self, user_input: dict[str, Any] | None = None) -> RepairsFlowResult:
        """Look after keys by ourselves again, whatever differs."""
        if (entry := self._loaded_entry()) is None:
            return self.async_abort(reason="site_not_loaded")
        by = await async_by(self.hass, _context(), _BY_REPAIR)
        try:
            with raised_as_home_assistant_errors(self.hass, entry):
                await entry.runtime_data.keys.async_go_on(by)
        except HomeAssistantError as err:
            return await self._async_failed(err)
        return self.async_create_entry(data={}, description="went_on")

    async def _async_failed(self, err: HomeAssistantError) -> RepairsFlowResult:
        """End with what went wrong."""
        said = await async_said(self.hass, err, self.hass.config.language)
        return self.async_abort(reason="failed", description_placeholders={"detail": said})


async def _until_seen[T](work: Coroutine[Any, Any, T]) -> T:
    """Do work that a browser shows the progress of, and let it hear of the end."""
    result = await work
    await asyncio.sleep(SEEN_AFTER)
    return result


def _found(entry: SaltoKsConfigEntry, outcome: Outcome) -> list[KeyId]:
    """Return the keys that were found to be so last."""
    last = entry.runtime_data.keys.manager.last_pass
    findings = () if last is None else last.discrepancies
    return [one.key_id for one in findings if one.outcome is outcome and one.key_id is not None]


def _choices(entry: SaltoKsConfigEntry, outcome: Outcome, found: list[KeyId]) -> vol.Schema:
    """Offer what can be done, and the keys, all of them chosen."""
    fixes = [fix.value for fix in fixes_of(outcome)]
    keys = [SelectOptionDict(value=key_id, label=key_label(entry, key_id)) for key_id in found]
    return vol.Schema(
        {
            vol.Required(CONF_FIX, default=fixes[0]): SelectSelector(
                SelectSelectorConfig(
                    options=fixes, mode=SelectSelectorMode.LIST, translation_key="fix"
                )
            ),
            vol.Optional(CONF_KEYS, default=list(found)): SelectSelector(
                SelectSelectorConfig(options=keys, multiple=True, mode=SelectSelectorMode.LIST)
            ),
        }
    )


def _context() -> Context:
    """Return whose browser asks, for the audit log."""
    request = current_request.get()
    user = None if request is None else request.get(KEY_HASS_USER)
    return Context(user_id=None if user is None else user.id)


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the fix flow of an issue."""
    known: dict[str, Any] = data or {}
    entry_id = str(known.get("entry_id"))
    if "outcome" in known:
        return KeysRepairFlow(entry_id, Outcome(known["outcome"]))
    if "read_only" in known:
        return ComparisonRepairFlow(entry_id)
    return IqRepairFlow(entry_id, str(known.get("subentry_id")))
