"""The steps that activate an IQ, shared by the set-up of a site and by the `iq` subentry."""

from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from homeassistant.const import CONF_PIN
from homeassistant.core import callback
from homeassistant.data_entry_flow import FlowContext, FlowHandler, FlowResult
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .api.client import SaltoKsClient
from .api.exceptions import SaltoKsError, SaltoKsNotFoundError, SaltoKsOtpRejectedError
from .api.models import Iq, IqId, PinChannel
from .api.otp import is_iq_pin
from .connection import Ground
from .const import CONF_CHANNEL, CONF_IQ_ID, CONF_NEW_PIN, CONF_STORE_PIN
from .errors import KNOWN_ERRORS, KnownError, error_key, error_placeholders, form_error
from .iq_activation import ActivatedElsewhereError, IqActivation, Stage
from .iq_credential import IqKey
from .iq_vault import IqVault
from .wording import unmarked

type _Errors = dict[str, str]

_PIN_SELECTOR: Final = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="one-time-code")
)


class IqSteps[ContextT: FlowContext, ResultT: FlowResult[Any, Any], HandlerT](
    FlowHandler[ContextT, ResultT, HandlerT]
):
    """Pick an IQ, have a PIN sent, enter it.

    The flow that uses this calls `_async_stand_on` first, and says in `_async_iq_done` what
    follows. Everything that is learnt on the way is in the vault, so a flow that is closed
    half-way loses nothing.
    """

    _client: SaltoKsClient
    _vault: IqVault
    _ground: Ground
    _iq: Iq
    _activation: IqActivation
    _placeholders: Mapping[str, str] = MappingProxyType({})
    _store_pin: bool = True
    """What the form of the PIN proposes."""

    @abstractmethod
    async def _async_iq_done(self, iq: Iq | None, *, store_pin: bool) -> ResultT:
        """Go on with an IQ that is activated; None when it was skipped."""

    @callback
    def _async_stand_on(self, client: SaltoKsClient, vault: IqVault, ground: Ground) -> None:
        """Take what the steps work with."""
        self._client = client
        self._vault = vault
        self._ground = ground

    async def async_step_iq(self, user_input: Mapping[str, Any] | None = None) -> ResultT:
        """Pick the IQ to activate, or none."""
        if user_input is None:
            return self._async_show_iqs()
        if not (iq_id := user_input.get(CONF_IQ_ID)):
            return await self._async_iq_done(None, store_pin=False)
        return await self._async_begin(IqId(iq_id))

    async def async_step_iq_restore(self, user_input: Mapping[str, Any] | None = None) -> ResultT:
        """Offer to restore an IQ that was reset; it takes no command before that."""
        errors: _Errors = {}
        if user_input is not None:
            try:
                await self._activation.restore()
            except KNOWN_ERRORS as err:
                errors = self._errors(err)
            else:
                return await self._async_begin(self._iq.id, restored=True)
        return self._async_show("iq_restore", vol.Schema({}), errors)

    async def async_step_iq_resume(self, user_input: Mapping[str, Any] | None = None) -> ResultT:
        """Ask whether the PIN has arrived, where one was asked for earlier."""
        return self.async_show_menu(
            step_id="iq_resume",
            menu_options=["iq_pin", "iq_delivery"],
            description_placeholders={"iq": unmarked(self._iq.title)},
        )

    async def async_step_iq_again(self, user_input: Mapping[str, Any] | None = None) -> ResultT:
        """Ask for the PIN of an earlier activation, which may have been reset since."""
        return self.async_show_menu(
            step_id="iq_again",
            menu_options=["iq_pin", "iq_delivery"],
            description_placeholders={"iq": unmarked(self._iq.title)},
        )

    async def async_step_iq_delivery(self, user_input: Mapping[str, Any] | None = None) -> ResultT:
        """Have Salto send a PIN."""
        errors: _Errors = {}
        if user_input is not None:
            try:
                stage = await self._activation.deliver(PinChannel(user_input[CONF_CHANNEL]))
            except ActivatedElsewhereError as err:
                return self._async_iq_refused(error_key(err))
            except KNOWN_ERRORS as err:
                errors = self._errors(err)
            else:
                sent = stage is Stage.PIN_AWAITED
                return self._async_show_pin({} if sent else {"base": "already_activated"})
        schema = vol.Schema(
            {
                vol.Required(CONF_CHANNEL, default=PinChannel.EMAIL.value): SelectSelector(
                    SelectSelectorConfig(
                        options=[channel.value for channel in PinChannel],
                        mode=SelectSelectorMode.LIST,
                        translation_key=CONF_CHANNEL,
                    )
                )
            }
        )
        return self._async_show("iq_delivery", schema, errors)

    async def async_step_iq_pin(self, user_input: Mapping[str, Any] | None = None) -> ResultT:
        """Take the PIN, or a PIN and the one to have instead, and prove it."""
        if user_input is None:
            return self._async_show_pin({})
        pin: str = user_input[CONF_PIN].strip()
        new_pin: str | None = user_input.get(CONF_NEW_PIN, "").strip() or None
        store_pin = self._store_pin = bool(user_input[CONF_STORE_PIN])
        typed = {CONF_PIN: pin} | ({} if new_pin is None else {CONF_NEW_PIN: new_pin})
        errors = {field: "pin_format" for field, value in typed.items() if not is_iq_pin(value)}
        if errors:
            return self._async_show_pin(errors)
        try:
            await self._activation.confirm(pin, new_pin=new_pin, store_pin=store_pin)
        except SaltoKsOtpRejectedError:
            return self._async_show_pin({CONF_PIN: "wrong_pin"})
        except KNOWN_ERRORS as err:
            return self._async_show_pin(self._errors(err))
        return await self._async_iq_done(self._iq, store_pin=store_pin)

    async def _async_begin(self, iq_id: IqId, *, restored: bool = False) -> ResultT:
        """Look at the IQ as it is now, and go to the step that is due.

        An IQ that was restored has forgotten its PINs, so only a new one is of use.
        """
        if (refused := await self._async_look_at(iq_id)) is not None:
            return refused
        try:
            stage = await self._activation.find()
        except KNOWN_ERRORS as err:
            return self._async_iq_refused(form_error(err), error_placeholders(err))
        if restored and stage is not Stage.ACTIVATED:
            return await self.async_step_iq_delivery()
        return await self._async_go_to(stage)

    async def _async_look_at(self, iq_id: IqId) -> ResultT | None:
        """Take an IQ as it is now; a result means that it cannot be worked with yet."""
        site_id, user_id = self._ground.site.id, self._ground.member.platform_id
        key = IqKey(site_id, iq_id, user_id)
        self._activation = IqActivation(self._client, self._vault, key, dt_util.utcnow)
        try:
            self._iq = await self._client.iq(site_id, iq_id)
        except SaltoKsNotFoundError:
            return self._async_iq_refused("iq_gone")
        except SaltoKsError as err:
            return self._async_iq_refused(form_error(err), error_placeholders(err))
        if self._iq.restore_required:
            return await self.async_step_iq_restore()
        return None if self._iq.online else self._async_iq_refused("iq_offline")

    async def _async_go_to(self, stage: Stage) -> ResultT:
        """Show what has to be done at this stage."""
        if stage is Stage.ACTIVATED:
            return await self._async_iq_done(self._iq, store_pin=True)
        steps = {
            Stage.NEW: self.async_step_iq_delivery,
            Stage.PIN_AWAITED: self.async_step_iq_resume,
            Stage.PIN_UNKNOWN: self.async_step_iq_again,
        }
        return await steps[stage]()

    @callback
    def _async_iq_refused(
        self, reason: str, placeholders: Mapping[str, str] | None = None
    ) -> ResultT:
        """Go back to the choice of an IQ and say what is wrong with the one chosen."""
        return self._async_show_iqs({"base": reason}, placeholders)

    @callback
    def _async_show_iqs(
        self, errors: _Errors | None = None, placeholders: Mapping[str, str] | None = None
    ) -> ResultT:
        """Show the IQs to choose from; those that want no OTP need no activation."""
        if errors is None and not self._ground.member.remote_access:
            errors = {"base": "no_remote_right"}
        options = [
            SelectOptionDict(value=iq.id, label=iq.title) for iq in self._iqs_to_choose_from()
        ]
        selector = SelectSelector(
            SelectSelectorConfig(options=options, mode=SelectSelectorMode.DROPDOWN)
        )
        return self.async_show_form(
            step_id="iq",
            data_schema=vol.Schema({vol.Optional(CONF_IQ_ID): selector}),
            errors=errors,
            description_placeholders={
                "site": unmarked(self._ground.site.name),
                **(placeholders or {}),
            },
        )

    def _iqs_to_choose_from(self) -> list[Iq]:
        """Return the IQs that can be activated."""
        return [iq for iq in self._ground.iqs if iq.otp_enabled]

    @callback
    def _async_show_pin(self, errors: _Errors) -> ResultT:
        """Show the form of the PIN; no PIN that was typed is shown again."""
        schema = vol.Schema(
            {
                vol.Required(CONF_PIN): _PIN_SELECTOR,
                vol.Optional(CONF_NEW_PIN): _PIN_SELECTOR,
                vol.Required(CONF_STORE_PIN, default=self._store_pin): BooleanSelector(),
            }
        )
        return self._async_show("iq_pin", schema, errors)

    @callback
    def _async_show(self, step_id: str, schema: vol.Schema, errors: _Errors) -> ResultT:
        """Show a form about the chosen IQ."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=schema,
            errors=errors,
            description_placeholders={"iq": unmarked(self._iq.title), **self._placeholders},
        )

    def _errors(self, err: KnownError) -> _Errors:
        """Turn an error into what a form shows, and keep what its text is filled with."""
        self._placeholders = error_placeholders(err)
        return {"base": form_error(err)}
