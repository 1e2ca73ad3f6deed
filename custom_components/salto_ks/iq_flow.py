"""The `iq` subentry: activate a further IQ, or one again."""

from collections.abc import Mapping
from typing import Any, override

import aiohttp
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigSubentryData,
    ConfigSubentryFlow,
    SubentryFlowContext,
    SubentryFlowResult,
)
from homeassistant.core import callback

from .api.exceptions import SaltoKsError
from .api.models import Iq, SiteId
from .connection import survey
from .const import CONF_IQ_ID, CONF_SITE_ID, CONF_STORE_PIN, SUBENTRY_IQ
from .errors import KNOWN_ERRORS, error_placeholders, form_error
from .iq_activation import Stage
from .iq_steps import IqSteps
from .iq_vault import async_get_iq_vault
from .session import async_create_session, create_client_from
from .storage import StorageError
from .wording import unmarked


def iq_subentry(iq: Iq, *, store_pin: bool) -> ConfigSubentryData:
    """Describe an activated IQ as a subentry; its secret and PIN are in the vault."""
    return ConfigSubentryData(
        data={CONF_IQ_ID: iq.id, CONF_STORE_PIN: store_pin},
        subentry_type=SUBENTRY_IQ,
        title=iq.title,
        unique_id=iq.id,
    )


class SaltoKsIqFlow(
    IqSteps[SubentryFlowContext, SubentryFlowResult, tuple[str, str]], ConfigSubentryFlow
):
    """Activate a further IQ, or one again whose PIN or secret is no longer right."""

    def __init__(self) -> None:
        """Start without a connection."""
        self._session: aiohttp.ClientSession | None = None

    @callback
    @override
    def async_remove(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session.detach()

    async def async_step_user(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Offer the IQs that are not set up yet."""
        if (abort := await self._async_survey()) is not None:
            return abort
        if not self._iqs_to_choose_from():
            return self.async_abort(reason="no_more_iqs")
        return await self.async_step_iq()

    async def async_step_reconfigure(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Say what can be done about an IQ that is set up."""
        if (abort := await self._async_survey()) is not None:
            return abort
        known = self._get_reconfigure_subentry().data
        self._store_pin = known[CONF_STORE_PIN]
        if (refused := await self._async_look_at(known[CONF_IQ_ID])) is not None:
            return refused
        if not self._activation.is_known:
            return await self.async_step_iq_delivery()
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=["iq_check", "iq_pin", "iq_delivery"],
            description_placeholders={"iq": unmarked(self._iq.title)},
        )

    async def async_step_iq_check(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Prove secret, PIN and clock without moving a door; go on where that fails."""
        tries_one = self._activation.knows_pin
        try:
            stage = await self._activation.find()
        except KNOWN_ERRORS as err:
            return self._async_iq_refused(form_error(err), error_placeholders(err))
        if stage is Stage.ACTIVATED:
            return await self._async_iq_done(self._iq, store_pin=True)
        return self._async_show_pin({"base": "pin_not_accepted"} if tries_one else {})

    @override
    async def _async_iq_done(self, iq: Iq | None, *, store_pin: bool) -> SubentryFlowResult:
        """Add the subentry, or reload the entry with what is in the vault now."""
        if iq is None:
            return self.async_abort(reason="no_iq_chosen")
        described = iq_subentry(iq, store_pin=store_pin)
        if self.source != SOURCE_RECONFIGURE:
            return self.async_create_entry(
                title=described["title"],
                data=described["data"],
                unique_id=described["unique_id"],
                description="iq_activated",
                description_placeholders={"iq": unmarked(iq.title)},
            )
        entry, subentry = self._get_entry(), self._get_reconfigure_subentry()
        reloads = bool(entry.update_listeners) and (
            dict(subentry.data) != dict(described["data"]) or subentry.title != described["title"]
        )
        result = self.async_update_and_abort(
            entry,
            subentry,
            data=described["data"],
            title=described["title"],
            reason="iq_works",
        )
        if not reloads:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result

    async def _async_survey(self) -> SubentryFlowResult | None:
        """Connect with the entry's account; a result means that it did not work."""
        entry = self._get_entry()
        if self._session is None:  # A form that is looked at again begins this step anew.
            self._session = async_create_session(self.hass, auto_cleanup=False)
        client = create_client_from(self._session, entry.data)
        try:
            vault = await async_get_iq_vault(self.hass)
            site = await client.site(SiteId(entry.data[CONF_SITE_ID]))
            ground = await survey(client, site)
        except StorageError:
            return self.async_abort(reason="storage_unreadable")
        except SaltoKsError as err:
            return self.async_abort(
                reason=form_error(err), description_placeholders=error_placeholders(err)
            )
        self._async_stand_on(client, vault, ground)
        return None

    @callback
    @override
    def _async_iq_refused(
        self, reason: str, placeholders: Mapping[str, str] | None = None
    ) -> SubentryFlowResult:
        """End, where there is no other IQ to go back to."""
        if self.source == SOURCE_RECONFIGURE:
            return self.async_abort(reason=reason, description_placeholders=placeholders)
        return super()._async_iq_refused(reason, placeholders)

    @override
    def _iqs_to_choose_from(self) -> list[Iq]:
        """Return the IQs that can be activated and are not set up."""
        set_up = {
            subentry.data[CONF_IQ_ID]
            for subentry in self._get_entry().get_subentries_of_type(SUBENTRY_IQ)
        }
        return [iq for iq in super()._iqs_to_choose_from() if iq.id not in set_up]
