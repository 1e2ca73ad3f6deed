"""The options of a site."""

from collections.abc import Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)
import voluptuous as vol

from .const import CONF_POLLING_INTERVAL, POLLING_INTERVAL

_SCHEMA: Final = vol.Schema(
    {
        vol.Required(CONF_POLLING_INTERVAL, default=POLLING_INTERVAL.default): NumberSelector(
            NumberSelectorConfig(
                min=POLLING_INTERVAL.least,
                max=POLLING_INTERVAL.most,
                step=1,
                unit_of_measurement="s",
                mode=NumberSelectorMode.BOX,
            )
        )
    }
)


class SaltoKsOptionsFlow(OptionsFlow):
    """Change how the site is looked after; the entry's listener reloads it."""

    async def async_step_init(
        self, user_input: Mapping[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the options."""
        if user_input is not None:
            return self.async_create_entry(
                data={CONF_POLLING_INTERVAL: int(user_input[CONF_POLLING_INTERVAL])}
            )
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(_SCHEMA, self.config_entry.options),
        )
