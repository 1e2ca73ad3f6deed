"""Fix flows: each leads to the flow in which the trouble is mended."""

from typing import Any

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.components.repairs.const import FlowType
from homeassistant.config_entries import SOURCE_RECONFIGURE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import issue_registry as ir
import voluptuous as vol

from .const import SUBENTRY_IQ


class IqRepairFlow(RepairsFlow):
    """Explain, then open the reconfigure flow of the IQ's subentry."""

    def __init__(self, entry_id: str, subentry_id: str) -> None:
        """Mend the IQ of this subentry."""
        self._entry_id = entry_id
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

    def _placeholders(self) -> dict[str, str]:
        """Return what the issue's text is filled with."""
        issue = ir.async_get(self.hass).async_get_issue(self.handler, self.issue_id)
        return dict(issue.translation_placeholders or {}) if issue is not None else {}


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, str | int | float | None] | None
) -> RepairsFlow:
    """Return the fix flow of an issue."""
    known: dict[str, Any] = data or {}
    return IqRepairFlow(str(known.get("entry_id")), str(known.get("subentry_id")))
