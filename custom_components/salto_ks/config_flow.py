"""Set up a site: environment, account, site, and its first IQ."""

from collections.abc import Mapping
from typing import Any, Final, override

import aiohttp
from homeassistant.config_entries import (
    ConfigEntry,
    ConfigFlow,
    ConfigFlowContext,
    ConfigFlowResult,
    ConfigSubentryFlow,
)
from homeassistant.const import CONF_CLIENT_ID, CONF_CLIENT_SECRET, CONF_PASSWORD, CONF_USERNAME
from homeassistant.core import callback
from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
import voluptuous as vol

from .api.client import SaltoKsClient
from .api.exceptions import SaltoKsError
from .api.models import Iq, Site
from .connection import NoSitesError, SiteNotFoundError, find_sites, survey
from .const import (
    CONF_API_URL,
    CONF_ENVIRONMENT,
    CONF_IDENTITY_URL,
    CONF_SITE_ID,
    CONF_SITE_UID,
    DOMAIN,
    SERVERS,
    SUBENTRY_IQ,
    Environment,
)
from .errors import error_placeholders, form_error
from .iq_flow import SaltoKsIqFlow, iq_subentry
from .iq_steps import IqSteps
from .iq_vault import async_get_iq_vault
from .options_flow import SaltoKsOptionsFlow
from .session import async_create_session, create_client_from, server_url_error
from .storage import StorageError
from .unit_flow import SaltoKsUnitFlow
from .units import SUBENTRY_UNIT
from .wording import unmarked

type _Errors = dict[str, str]

_SECRETS: Final = (CONF_CLIENT_SECRET, CONF_PASSWORD)

_TEXT: Final = TextSelector()
_SECRET: Final = TextSelector(
    TextSelectorConfig(type=TextSelectorType.PASSWORD, autocomplete="off")
)
_URL: Final = TextSelector(TextSelectorConfig(type=TextSelectorType.URL))

_ACCOUNT: Final = {
    vol.Required(CONF_CLIENT_ID): _TEXT,
    vol.Required(CONF_CLIENT_SECRET): _SECRET,
    vol.Required(CONF_USERNAME): _TEXT,
    vol.Required(CONF_PASSWORD): _SECRET,
}
_SITE_UID: Final = {vol.Optional(CONF_SITE_UID): _TEXT}
_USER_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_ENVIRONMENT, default=Environment.PRODUCTION.value): SelectSelector(
            SelectSelectorConfig(
                options=[environment.value for environment in Environment],
                mode=SelectSelectorMode.DROPDOWN,
                translation_key=CONF_ENVIRONMENT,
            )
        ),
        **_ACCOUNT,
        **_SITE_UID,
    }
)
_SERVER_SCHEMA: Final = vol.Schema(
    {vol.Required(CONF_API_URL): _URL, vol.Required(CONF_IDENTITY_URL): _URL}
)
_SITE_UID_SCHEMA: Final = vol.Schema(_SITE_UID)
_REAUTH_SCHEMA: Final = vol.Schema(
    {vol.Required(CONF_PASSWORD): _SECRET, vol.Optional(CONF_CLIENT_SECRET): _SECRET}
)
_RECONFIGURE_ACCOUNT: Final = {
    vol.Required(CONF_CLIENT_ID): _TEXT,
    vol.Optional(CONF_CLIENT_SECRET): _SECRET,
    vol.Required(CONF_USERNAME): _TEXT,
    vol.Optional(CONF_PASSWORD): _SECRET,
}


class SaltoKsConfigFlow(
    IqSteps[ConfigFlowContext, ConfigFlowResult, str], ConfigFlow, domain=DOMAIN
):
    """Set up a site, renew its credentials, or change its account."""

    VERSION = 1
    MINOR_VERSION = 1

    def __init__(self) -> None:
        """Start with nothing typed."""
        self._typed: dict[str, Any] = {}
        self._sites: tuple[Site, ...] = ()
        self._session: aiohttp.ClientSession | None = None
        self._shown_placeholders: Mapping[str, str] = {}

    @classmethod
    @callback
    @override
    def async_get_supported_subentry_types(
        cls, config_entry: ConfigEntry
    ) -> dict[str, type[ConfigSubentryFlow]]:
        """Offer further IQs, and units."""
        return {SUBENTRY_IQ: SaltoKsIqFlow, SUBENTRY_UNIT: SaltoKsUnitFlow}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> SaltoKsOptionsFlow:
        """Offer the options."""
        return SaltoKsOptionsFlow()

    @callback
    @override
    def async_remove(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session.detach()

    @override
    async def async_step_user(
        self, user_input: Mapping[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the environment and the account."""
        if user_input is None:
            return self._async_show_user({})
        self._typed |= {CONF_SITE_UID: "", **_trimmed(user_input)}
        environment = Environment(self._typed[CONF_ENVIRONMENT])
        if environment is Environment.CUSTOM:
            return self._async_show_server({})
        self._typed[CONF_API_URL], self._typed[CONF_IDENTITY_URL] = SERVERS[environment]
        return await self._async_connect()

    async def async_step_server(
        self, user_input: Mapping[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the addresses of a server of one's own."""
        if user_input is None:
            return self._async_show_server({})
        self._typed |= _trimmed(user_input)
        if errors := _server_errors(self._typed):
            return self._async_show_server(errors)
        return await self._async_connect()

    async def async_step_site_uid(
        self, user_input: Mapping[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the UID alone: the account was accepted, and no secret has to be typed anew."""
        if user_input is None:
            return self._async_show_site_uid({})
        self._typed |= {CONF_SITE_UID: "", **_trimmed(user_input)}
        return await self._async_connect()

    async def async_step_site(
        self, user_input: Mapping[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask which of several sites."""
        if user_input is None:
            return self._async_show_sites()
        chosen = next(site for site in self._sites if site.id == user_input[CONF_SITE_ID])
        return await self._async_take_site(chosen)

    async def async_step_reauth(self, entry_data: Mapping[str, Any]) -> ConfigFlowResult:
        """Salto refuses the credentials."""
        return await self.async_step_reauth_confirm()

    async def async_step_reauth_confirm(
        self, user_input: Mapping[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the password, and the client secret if that has changed."""
        entry = self._get_reauth_entry()
        errors: _Errors = {}
        if user_input is not None:
            errors = await self._async_try_account(entry, _trimmed(user_input))
            if not errors:
                return self._async_save_account(entry)
        return self.async_show_form(
            step_id="reauth_confirm",
            data_schema=_REAUTH_SCHEMA,
            errors=errors,
            description_placeholders={
                "username": entry.data[CONF_USERNAME],
                "site": unmarked(entry.title),
                **self._shown_placeholders,
            },
        )

    async def async_step_reconfigure(
        self, user_input: Mapping[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change the account, or the addresses of a server of one's own; never the site."""
        entry = self._get_reconfigure_entry()
        custom = entry.data[CONF_ENVIRONMENT] == Environment.CUSTOM
        errors: _Errors = {}
        typed = _trimmed(user_input or {})
        if user_input is not None:
            errors = _server_errors(typed) if custom else {}
            errors = errors or await self._async_try_account(entry, typed)
            if not errors:
                return self._async_save_account(entry)
        schema = vol.Schema(_RECONFIGURE_ACCOUNT | (_SERVER_SCHEMA.schema if custom else {}))
        shown = _without_secrets(entry.data | typed)
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(schema, shown),
            errors=errors,
            description_placeholders={"site": unmarked(entry.title), **self._shown_placeholders},
        )

    @override
    async def _async_iq_done(self, iq: Iq | None, *, store_pin: bool) -> ConfigFlowResult:
        """Create the entry, with the IQ as its first subentry."""
        site = self._ground.site
        subentries = [] if iq is None else [iq_subentry(iq, store_pin=store_pin)]
        kept = (
            CONF_ENVIRONMENT,
            CONF_CLIENT_ID,
            CONF_CLIENT_SECRET,
            CONF_USERNAME,
            CONF_PASSWORD,
            CONF_API_URL,
            CONF_IDENTITY_URL,
        )
        return self.async_create_entry(
            title=site.name or site.site_uid,
            data={key: self._typed[key] for key in kept} | {CONF_SITE_ID: site.id},
            subentries=subentries,
            description=self._outcome(iq),
            description_placeholders={} if iq is None else {"iq": unmarked(iq.title)},
        )

    def _outcome(self, iq: Iq | None) -> str | None:
        """Return the key of the text that says what follows; None where nothing was to do."""
        if not self._iqs_to_choose_from():
            return None
        return "iq_skipped" if iq is None else "iq_activated"

    async def _async_connect(self) -> ConfigFlowResult:
        """Log in and find the site."""
        self._client = self._make_client(self._typed)
        try:
            self._sites = await find_sites(self._client, self._typed[CONF_SITE_UID])
        except (SaltoKsError, SiteNotFoundError, NoSitesError) as err:
            return self._async_show_failure(err)
        if len(self._sites) > 1:
            return self._async_show_sites()
        return await self._async_take_site(self._sites[0])

    async def _async_take_site(self, site: Site) -> ConfigFlowResult:
        """Look at the site and go on to its IQs."""
        # A flow that was left open elsewhere must not keep the site from being set up.
        await self.async_set_unique_id(site.id, raise_on_progress=False)
        self._abort_if_unique_id_configured()
        try:
            vault = await async_get_iq_vault(self.hass)
            ground = await survey(self._client, site)
        except StorageError:
            return self.async_abort(reason="storage_unreadable")
        except SaltoKsError as err:
            return self._async_show_failure(err)
        self._async_stand_on(self._client, vault, ground)
        if not self._iqs_to_choose_from():
            return await self._async_iq_done(None, store_pin=False)
        return await self.async_step_iq()

    def _make_client(self, data: Mapping[str, Any]) -> SaltoKsClient:
        """Make a client for what was typed."""
        if self._session is None:
            self._session = async_create_session(self.hass, auto_cleanup=False)
        return create_client_from(self._session, data)

    async def _async_try_account(
        self, entry: ConfigEntry, user_input: Mapping[str, Any]
    ) -> _Errors:
        """Try changed credentials on the entry's site; an empty secret stays as it is."""
        changes = {key: value for key, value in user_input.items() if value}
        self._typed = {**entry.data, **changes}
        client = self._make_client(self._typed)
        try:
            await find_sites(client, entry.data[CONF_SITE_ID])
        except (SaltoKsError, SiteNotFoundError, NoSitesError) as err:
            return self._failure(err)
        return {}

    @callback
    def _async_save_account(self, entry: ConfigEntry) -> ConfigFlowResult:
        """Keep what worked and load the entry with it.

        The entry's listener reloads it when something has changed; it has none when it never
        loaded, and nothing changes when the same password is accepted again.
        """
        reloads = bool(entry.update_listeners) and dict(entry.data) != self._typed
        result = self.async_update_and_abort(entry, data=self._typed)
        if not reloads:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return result

    @callback
    def _async_show_user(self, errors: _Errors) -> ConfigFlowResult:
        """Show the first form with what was typed, except the secrets."""
        schema = self.add_suggested_values_to_schema(_USER_SCHEMA, _without_secrets(self._typed))
        return self.async_show_form(
            step_id="user",
            data_schema=schema,
            errors=errors,
            description_placeholders=self._shown_placeholders,
        )

    @callback
    def _async_show_server(self, errors: _Errors) -> ConfigFlowResult:
        """Show the form of the addresses."""
        schema = self.add_suggested_values_to_schema(_SERVER_SCHEMA, self._typed)
        return self.async_show_form(
            step_id="server",
            data_schema=schema,
            errors=errors,
            description_placeholders=self._shown_placeholders,
        )

    @callback
    def _async_show_site_uid(self, errors: _Errors) -> ConfigFlowResult:
        """Show the form of the UID with what was typed."""
        return self.async_show_form(
            step_id="site_uid",
            data_schema=self.add_suggested_values_to_schema(_SITE_UID_SCHEMA, self._typed),
            errors=errors,
        )

    @callback
    def _async_show_sites(self) -> ConfigFlowResult:
        """Show the sites to choose from, which are those that are not set up."""
        set_up = self._async_current_ids(include_ignore=False)
        options = [
            SelectOptionDict(value=site.id, label=f"{site.name} ({site.site_uid})")
            for site in self._sites
            if site.id not in set_up
        ]
        if not options:
            return self.async_abort(reason="no_more_sites")
        selector = SelectSelector(
            SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST)
        )
        return self.async_show_form(
            step_id="site",
            data_schema=vol.Schema({vol.Required(CONF_SITE_ID): selector}),
            errors={},
        )

    @callback
    def _async_show_failure(
        self, err: SaltoKsError | SiteNotFoundError | NoSitesError
    ) -> ConfigFlowResult:
        """Go back to the form where the failure can be mended."""
        errors = self._failure(err)
        if isinstance(err, SiteNotFoundError):
            return self._async_show_site_uid(errors)
        unreachable = any(key.startswith("cannot_connect") for key in errors.values())
        if unreachable and self._typed[CONF_ENVIRONMENT] == Environment.CUSTOM:
            return self._async_show_server(errors)
        return self._async_show_user(errors)

    def _failure(self, err: SaltoKsError | SiteNotFoundError | NoSitesError) -> _Errors:
        """Name what went wrong, at the top of the form."""
        self._shown_placeholders = {}
        match err:
            case SiteNotFoundError():
                return {"base": "site_not_found"}
            case NoSitesError():
                return {"base": "no_sites"}
            case _:
                self._shown_placeholders = error_placeholders(err)
                return {"base": form_error(err)}


def _server_errors(user_input: Mapping[str, Any]) -> _Errors:
    """Check the addresses of a server of one's own."""
    checked = {key: server_url_error(user_input[key]) for key in (CONF_API_URL, CONF_IDENTITY_URL)}
    return {key: error for key, error in checked.items() if error is not None}


def _trimmed(user_input: Mapping[str, str]) -> dict[str, str]:
    """Take away the blanks that come along with copied text; those of a password belong to it."""
    return {
        key: value if key == CONF_PASSWORD else value.strip() for key, value in user_input.items()
    }


def _without_secrets(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form may show again."""
    return {key: value for key, value in data.items() if key not in _SECRETS}
