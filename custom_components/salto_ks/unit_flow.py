"""The `unit` subentry: what is booked, its calendar and doors, its keys, and how bookings are read."""

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime
import re
from typing import Any, Final

from homeassistant.components.calendar.const import DOMAIN as CALENDAR_DOMAIN
from homeassistant.components.lock.const import DOMAIN as LOCK_DOMAIN
from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigSubentryFlow,
    SubentryFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    EntityWithDeviceFilterSelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TextSelectorConfig,
    TimeSelector,
)
from homeassistant.util import dt as dt_util
import voluptuous as vol

from .api.models import LockId
from .calendar_source import async_look, is_our_own, our_calendars
from .const import DOMAIN
from .coordinator import SaltoKsConfigEntry, SaltoKsData
from .domain.bookings import (
    AccessMode,
    Booking,
    BookingRefusal,
    BookingRefusedError,
    BookingStatus,
    Unit,
)
from .domain.calendar_events import Unreadable
from .domain.ids import DoorId, UnitId
from .domain.keys import OnRemoval, Strategy
from .door_ids import doors_named, entity_ids_of
from .units import (
    CONF_AFTER,
    CONF_BEFORE,
    CONF_CALENDAR,
    CONF_CHECK_IN,
    CONF_CHECK_OUT,
    CONF_CHECKS_IN,
    CONF_DOORS,
    CONF_ENDS_NEXT_DAY,
    CONF_IGNORE,
    CONF_LEAD_HOURS,
    CONF_MODE,
    CONF_ON_REMOVAL,
    CONF_OPENING_STATUSES,
    CONF_OPENS_BEFORE,
    CONF_PENDING,
    CONF_PIN_LENGTH,
    CONF_SEAT_FROM_LEAD_TIME,
    CONF_STATUS_WITHOUT_STATUS,
    CONF_UNIT_STRATEGY,
    SUBENTRY_UNIT,
    UNREADABLE,
    unit_from,
    unit_subentries,
)
from .wording import Wording, async_wording, unmarked

LONGEST_NAME: Final = 60
SHOWN_EVENTS: Final = 10
"""Events in the preview, and as many of those that cannot be read."""

_MARKS: Final = re.compile(r"([\\`*_\[\]<>~|#&])")
"""What a form would take for more than a letter in the name of an event."""

_NEW: Final = UnitId("new")
"""A unit that is not kept yet."""


def _choice(values: Collection[str], key: str, *, multiple: bool = False) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(
            options=list(values),
            translation_key=key,
            multiple=multiple,
            mode=SelectSelectorMode.LIST,
        )
    )


def _number(most: int, unit: str) -> NumberSelector:
    return NumberSelector(
        NumberSelectorConfig(
            min=0, max=most, step=1, unit_of_measurement=unit, mode=NumberSelectorMode.BOX
        )
    )


_TEXTS: Final = TextSelector(TextSelectorConfig(multiple=True))


def _unit_schema(calendars_left_out: list[str]) -> vol.Schema:
    """Return the first form, which offers all calendars but some."""
    return vol.Schema(
        {
            vol.Required(CONF_NAME): TextSelector(),
            vol.Optional(CONF_CALENDAR): EntitySelector(
                EntitySelectorConfig(domain=CALENDAR_DOMAIN, exclude_entities=calendars_left_out)
            ),
            vol.Required(CONF_DOORS): EntitySelector(
                EntitySelectorConfig(
                    multiple=True,
                    filter=[
                        EntityWithDeviceFilterSelectorConfig(integration=DOMAIN, domain=LOCK_DOMAIN)
                    ],
                )
            ),
            vol.Required(CONF_MODE, default=AccessMode.PIN.value): _choice(
                [mode.value for mode in AccessMode], "access_mode"
            ),
        }
    )


_KEYS: Final = vol.Schema(
    {
        vol.Optional(CONF_LEAD_HOURS): _number(366 * 24, "h"),
        vol.Required(CONF_SEAT_FROM_LEAD_TIME, default=False): BooleanSelector(),
        vol.Required(CONF_BEFORE, default=0): _number(24 * 60, "min"),
        vol.Required(CONF_AFTER, default=0): _number(24 * 60, "min"),
        vol.Optional(CONF_PIN_LENGTH): NumberSelector(
            NumberSelectorConfig(min=4, max=6, step=1, mode=NumberSelectorMode.BOX)
        ),
        vol.Required(CONF_UNIT_STRATEGY, default=Strategy.SCHEDULE.value): _choice(
            [strategy.value for strategy in Strategy], "strategy"
        ),
        vol.Required(CONF_ON_REMOVAL, default=OnRemoval.REVOKE.value): _choice(
            [choice.value for choice in OnRemoval], "on_removal"
        ),
    }
)

_CHECKS_IN: Final = {vol.Required(CONF_CHECKS_IN, default=True): BooleanSelector()}

_KEYS_ONLY: Final = _KEYS.extend(_CHECKS_IN)
"""The form of keys where they are all there is."""

_OPENING: Final = vol.Schema(
    {
        vol.Required(
            CONF_OPENING_STATUSES,
            default=[BookingStatus.CONFIRMED.value, BookingStatus.CHECKED_IN.value],
        ): _choice(
            [
                BookingStatus.PENDING.value,
                BookingStatus.CONFIRMED.value,
                BookingStatus.CHECKED_IN.value,
            ],
            "opening_status",
            multiple=True,
        ),
        vol.Required(CONF_OPENS_BEFORE, default=15): _number(24 * 60, "min"),
    }
).extend(_CHECKS_IN)

_EVENTS: Final = vol.Schema(
    {
        vol.Required(CONF_CHECK_IN, default="15:00:00"): TimeSelector(),
        vol.Required(CONF_CHECK_OUT, default="10:00:00"): TimeSelector(),
        vol.Required(CONF_ENDS_NEXT_DAY, default=True): BooleanSelector(),
        vol.Optional(CONF_IGNORE, default=list): _TEXTS,
        vol.Optional(CONF_PENDING, default=list): _TEXTS,
        vol.Required(CONF_STATUS_WITHOUT_STATUS, default=BookingStatus.CONFIRMED.value): _choice(
            [BookingStatus.CONFIRMED.value, BookingStatus.PENDING.value], "event_status"
        ),
    }
)

_FIELD_OF: Final[Mapping[BookingRefusal, str]] = {
    BookingRefusal.UNIT_NO_DOORS: CONF_DOORS,
    BookingRefusal.MARGIN_INVALID: CONF_BEFORE,
    BookingRefusal.LEAD_TIME_INVALID: CONF_LEAD_HOURS,
    BookingRefusal.SEAT_WITHOUT_LEAD_TIME: CONF_SEAT_FROM_LEAD_TIME,
    BookingRefusal.PIN_LENGTH_INVALID: CONF_PIN_LENGTH,
    BookingRefusal.NO_OPENING_STATUS: CONF_OPENING_STATUSES,
    BookingRefusal.CHECKED_IN_MISSING: CONF_OPENING_STATUSES,
    BookingRefusal.PATTERN_EMPTY: CONF_IGNORE,
    BookingRefusal.DAY_ENDS_BEFORE_START: CONF_CHECK_OUT,
}
"""Which field of a form a mistake belongs to."""


class SaltoKsUnitFlow(ConfigSubentryFlow):
    """Add a unit, or change one."""

    def __init__(self) -> None:
        """Start with nothing chosen."""
        self._name = ""
        self._chosen: dict[str, Any] = {}
        self._errors: dict[str, str] = {}
        self._placeholders: dict[str, str] = {}

    async def async_step_user(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask what is booked, and which doors belong to it."""
        return await self._async_ask_unit("user", user_input)

    async def async_step_reconfigure(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask the same of a unit that is there."""
        if not self._chosen:
            subentry = self._get_reconfigure_subentry()
            self._name, self._chosen = subentry.title, dict(subentry.data)
            if not self._is_readable():
                self._chosen = {}
        return await self._async_ask_unit("reconfigure", user_input)

    async def _async_ask_unit(
        self, step_id: str, user_input: Mapping[str, Any] | None
    ) -> SubentryFlowResult:
        """Ask for name, calendar, doors and mode."""
        entry: SaltoKsConfigEntry = self._get_entry()
        if entry.state is not ConfigEntryState.LOADED:
            return self.async_abort(reason="entry_not_loaded")
        if user_input is not None:
            self._take_unit(entry, user_input)
            if not self._errors:
                pins = AccessMode(self._chosen[CONF_MODE]).has_pins
                return await (self.async_step_keys() if pins else self.async_step_opening())
        known = {
            CONF_NAME: self._name,
            **self._chosen,
            CONF_DOORS: entity_ids_of(
                self.hass, [DoorId(door) for door in self._chosen.get(CONF_DOORS, ())]
            ),
        }
        return self._show(step_id, _unit_schema(our_calendars(self.hass)), user_input or known)

    def _take_unit(self, entry: SaltoKsConfigEntry, typed: Mapping[str, Any]) -> None:
        """Take the first form, or note what is wrong with it."""
        self._errors, self._placeholders = {}, {}
        self._name = " ".join(typed[CONF_NAME].split())[:LONGEST_NAME].rstrip()
        if not self._name:
            self._errors[CONF_NAME] = "unit_name_empty"
        elif self._name.casefold() in self._other_names():
            self._errors[CONF_NAME] = "unit_name_taken"
        calendar = typed.get(CONF_CALENDAR)
        if calendar is not None and is_our_own(self.hass, calendar):
            self._errors[CONF_CALENDAR] = "calendar_our_own"
        try:
            doors = doors_named(self.hass, entry, typed[CONF_DOORS])
        except ServiceValidationError as err:
            self._errors[CONF_DOORS] = str(err.translation_key)
            self._placeholders = dict(err.translation_placeholders or {})
            return
        self._check_doors(entry.runtime_data, doors, AccessMode(typed[CONF_MODE]))
        self._chosen |= {CONF_DOORS: sorted(doors), CONF_MODE: typed[CONF_MODE]}
        self._chosen.pop(CONF_CALENDAR, None)
        if calendar is not None:
            self._chosen[CONF_CALENDAR] = calendar
        if not AccessMode(typed[CONF_MODE]).opens_remotely:
            self._chosen.pop(CONF_OPENING_STATUSES, None)  # or it may rule out to check in by PIN

    def _check_doors(self, data: SaltoKsData, doors: Collection[DoorId], mode: AccessMode) -> None:
        """Refuse doors that the mode does not fit."""
        if not doors:
            self._errors[CONF_DOORS] = BookingRefusal.UNIT_NO_DOORS.value
            return
        snapshot, lock_ids = data.doors.data, set(map(LockId, doors))
        if not lock_ids <= snapshot.locks.keys() | snapshot.missing.keys():
            self._errors[CONF_DOORS] = "door_gone"
            return
        locks = [snapshot.lock(lock_id) for lock_id in lock_ids]
        no_keypad = [lock.title for lock in locks if not lock.has_keypad]
        no_iq = [lock.title for lock in locks if lock.iq_id is None]
        if mode is AccessMode.PIN and no_keypad:
            self._errors[CONF_DOORS] = "doors_without_keypad"
            self._placeholders = {"doors": unmarked(", ".join(sorted(no_keypad)))}
        elif mode is AccessMode.BOTH and len(no_keypad) == len(locks):
            self._errors[CONF_DOORS] = "no_door_with_keypad"
        elif mode.opens_remotely and no_iq:
            self._errors[CONF_DOORS] = "doors_without_iq"
            self._placeholders = {"doors": unmarked(", ".join(sorted(no_iq)))}

    def _other_names(self) -> set[str]:
        """Return what the other units are called, in one case."""
        own = self._get_reconfigure_subentry().subentry_id if self._is_reconfigured else None
        return {
            subentry.title.casefold()
            for subentry in unit_subentries(self._get_entry())
            if subentry.subentry_id != own
        }

    @property
    def _is_reconfigured(self) -> bool:
        return self.source == SOURCE_RECONFIGURE

    async def async_step_keys(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask how keys are made."""
        schema, go_on = _KEYS_ONLY, self._async_events_or_end
        if AccessMode(self._chosen[CONF_MODE]).opens_remotely:
            schema, go_on = _KEYS, self.async_step_opening
        if await self._async_lacks_custom_pins(user_input or {}):
            self._errors, self._placeholders = {}, {}
            self._errors[CONF_PIN_LENGTH] = "unit_pin_length_unavailable"
            return self._show("keys", schema, user_input)
        optional = (CONF_LEAD_HOURS, CONF_PIN_LENGTH)
        return await self._async_ask("keys", schema, user_input, go_on, optional)

    async def _async_lacks_custom_pins(self, typed: Mapping[str, Any]) -> bool:
        """Tell whether a length was typed that no PIN of the site can have, as far as is known."""
        entry: SaltoKsConfigEntry = self._get_entry()
        if CONF_PIN_LENGTH not in typed or entry.state is not ConfigEntryState.LOADED:
            return False
        return await entry.runtime_data.keys.async_can_choose_pin() is False

    async def async_step_opening(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask when Home Assistant opens for a booking."""
        return await self._async_ask("opening", _OPENING, user_input, self._async_events_or_end)

    async def async_step_events(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Ask how events of the calendar are read."""
        return await self._async_ask("events", _EVENTS, user_input, self.async_step_preview)

    async def async_step_preview(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Show how the next events are read, before anything is kept."""
        if user_input is not None:
            return self._end()
        unit = self._unit()
        now = dt_util.utcnow()
        look = await async_look(self.hass, unit, now)
        if look.reading is None:
            return self._show("preview_failed", vol.Schema({}), None, calendar=str(unit.calendar))
        coming = [e.booking for e in look.reading.events if not e.booking.is_over(now)]
        unreadable = look.reading.unreadable
        if not (coming or unreadable or look.reading.ignored):
            return self._show("preview_empty", vol.Schema({}), None)
        wording = await async_wording(self.hass)
        about = {
            "events": "\n".join(_line(one, wording) for one in coming[:SHOWN_EVENTS]) or "-",
            "count": str(len(coming)),
            "ignored": str(look.reading.ignored),
        }
        if not unreadable:
            return self._show("preview", vol.Schema({}), None, **about)
        lines = [_unreadable_line(one, wording) for one in unreadable[:SHOWN_EVENTS]]
        return self._show(
            "preview_unreadable",
            vol.Schema({}),
            None,
            **about,
            unreadable=str(len(unreadable)),
            unreadable_events="\n".join(lines),
        )

    async def async_step_preview_unreadable(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Keep a unit some of whose events cannot be read."""
        return self._end()

    async def async_step_preview_empty(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Keep a unit that nobody has booked yet."""
        return self._end()

    async def async_step_preview_failed(
        self, user_input: Mapping[str, Any] | None = None
    ) -> SubentryFlowResult:
        """Keep a unit whose calendar cannot be read now."""
        return self._end()

    async def _async_events_or_end(self) -> SubentryFlowResult:
        return await self.async_step_events() if CONF_CALENDAR in self._chosen else self._end()

    async def _async_ask(
        self,
        step_id: str,
        schema: vol.Schema,
        typed: Mapping[str, Any] | None,
        go_on: Callable[[], Any],
        optional: Collection[str] = (),
    ) -> SubentryFlowResult:
        """Ask for a part of a unit, until it makes sense."""
        self._errors, self._placeholders = {}, {}
        if typed is not None:
            before = self._chosen
            kept = {key: value for key, value in before.items() if key not in optional}
            self._chosen = kept | dict(typed)
            try:
                self._unit()
            except BookingRefusedError as err:
                self._chosen = before
                self._errors[_field(err.reason, schema)] = err.reason.value
                self._placeholders = dict(err.about)
            else:
                result: SubentryFlowResult = await go_on()
                return result
        return self._show(step_id, schema, typed or self._chosen)

    def _show(
        self,
        step_id: str,
        schema: vol.Schema,
        known: Mapping[str, Any] | None,
        **about: str,
    ) -> SubentryFlowResult:
        """Show a form with what is known."""
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(schema, known),
            errors=self._errors,
            description_placeholders={"unit": self._name, **self._placeholders, **about},
        )

    def _unit(self) -> Unit:
        """Return the unit as it is chosen so far. Raises BookingRefusedError."""
        return unit_from(_NEW, self._name, self._chosen, str(self.hass.config.time_zone))

    def _is_readable(self) -> bool:
        """Tell whether what is kept of a unit makes sense."""
        try:
            self._unit()
        except UNREADABLE:
            return False
        return True

    def _end(self) -> SubentryFlowResult:
        """Keep the unit."""
        if self._is_reconfigured:
            return self.async_update_and_abort(
                self._get_entry(),
                self._get_reconfigure_subentry(),
                title=self._name,
                data=self._chosen,
            )
        return self.async_create_entry(title=self._name, data=self._chosen)


def _field(reason: BookingRefusal, schema: vol.Schema) -> str:
    """Return the field that a mistake belongs to, if the form has it."""
    field = _FIELD_OF.get(reason, "base")
    return field if field in schema.schema else "base"


def _line(booking: Booking, wording: Wording) -> str:
    """Write how an event is read, in Home Assistant's zone."""
    start, end = dt_util.as_local(booking.starts_at), dt_util.as_local(booking.ends_at)
    status = wording.choice("booking_status", booking.status)
    return f"- {start:%Y-%m-%d %H:%M} - {end:%Y-%m-%d %H:%M}: {_name(booking.label)} ({status})"


def _unreadable_line(event: Unreadable, wording: Wording) -> str:
    """Write which event cannot be read and why, its start as the calendar says it."""
    reason = wording.common(event.reason)
    return f"- {_moment(event.starts)}: {_name(event.label)} ({reason})"


def _moment(value: date | datetime) -> str:
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes")
    return value.isoformat()


def _name(label: str) -> str:
    """Write what an event is called, as a form shows it."""
    return _MARKS.sub(r"\\\1", unmarked(label)) or "-"


__all__ = ["SUBENTRY_UNIT", "SaltoKsUnitFlow"]
