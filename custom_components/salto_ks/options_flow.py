"""The options of a site."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TimeSelector,
)
import voluptuous as vol

from .const import (
    AUDIT_DAYS,
    CONF_AUDIT_DAYS,
    CONF_FORGET_PINS,
    CONF_FRONT_DESK,
    CONF_NAME_PEOPLE,
    CONF_POLLING_INTERVAL,
    CONF_RECONCILE_AT,
    CONF_REPAIRED,
    CONF_STRATEGY,
    CONF_WRITES_PER_MINUTE,
    POLLING_INTERVAL,
    RECONCILE_AT,
    WRITES_PER_MINUTE,
    Bounds,
)
from .domain.fixes import BY_DEFAULT, fixes_of
from .domain.keys import Strategy
from .domain.outcomes import Outcome


def _number(bounds: Bounds, unit: str) -> NumberSelector:
    """Ask for a whole number."""
    return NumberSelector(
        NumberSelectorConfig(
            min=bounds.least,
            max=bounds.most,
            step=1,
            unit_of_measurement=unit,
            mode=NumberSelectorMode.BOX,
        )
    )


_NUMBERS: Final[Mapping[str, tuple[Bounds, NumberSelector]]] = {
    CONF_POLLING_INTERVAL: (POLLING_INTERVAL, _number(POLLING_INTERVAL, "s")),
    CONF_WRITES_PER_MINUTE: (WRITES_PER_MINUTE, _number(WRITES_PER_MINUTE, "1/min")),
    CONF_AUDIT_DAYS: (AUDIT_DAYS, _number(AUDIT_DAYS, "d")),
}


def _chosen(outcomes: Iterable[Outcome]) -> list[str]:
    """List outcomes in the order in which they are told."""
    among = frozenset(outcomes)
    return [outcome.value for outcome in Outcome if outcome in among]


class SaltoKsOptionsFlow(OptionsFlow):
    """Change how the site is looked after; the entry's listener reloads it."""

    async def async_step_init(
        self, user_input: Mapping[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the options."""
        if user_input is not None:
            numbers = {key: int(user_input[key]) for key in _NUMBERS}
            return self.async_create_entry(data={**user_input, **numbers})
        schema = vol.Schema(
            {
                **{
                    vol.Required(key, default=bounds.default): selector
                    for key, (bounds, selector) in _NUMBERS.items()
                },
                vol.Required(CONF_FORGET_PINS, default=False): BooleanSelector(),
                vol.Required(CONF_STRATEGY, default=Strategy.SCHEDULE.value): SelectSelector(
                    SelectSelectorConfig(
                        options=[strategy.value for strategy in Strategy],
                        mode=SelectSelectorMode.LIST,
                        translation_key="strategy",
                    )
                ),
                vol.Required(CONF_NAME_PEOPLE, default=True): BooleanSelector(),
                vol.Required(CONF_RECONCILE_AT, default=RECONCILE_AT): TimeSelector(),
                vol.Optional(CONF_REPAIRED, default=_chosen(BY_DEFAULT)): SelectSelector(
                    SelectSelectorConfig(
                        options=_chosen(filter(fixes_of, Outcome)),
                        multiple=True,
                        mode=SelectSelectorMode.LIST,
                        translation_key="outcome",
                    )
                ),
                vol.Optional(CONF_FRONT_DESK, default=list): SelectSelector(
                    SelectSelectorConfig(options=await self._users(), multiple=True)
                ),
            }
        )
        return self.async_show_form(
            step_id="init",
            data_schema=self.add_suggested_values_to_schema(schema, self.config_entry.options),
        )

    async def _users(self) -> list[SelectOptionDict]:
        """List whom the front desk can be given to, and whoever has it already."""
        chosen = self.config_entry.options.get(CONF_FRONT_DESK, ())
        users = await self.hass.auth.async_get_users()
        names = {user.id: user.name or user.id for user in users}
        offered = [
            user.id
            for user in users
            if user.is_active and not user.system_generated and not user.is_admin
        ]
        return [
            SelectOptionDict(value=user_id, label=names.get(user_id, user_id))
            for user_id in dict.fromkeys((*offered, *chosen))
        ]
