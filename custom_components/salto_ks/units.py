"""Units as they are kept in subentries, and read from them."""

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigSubentry
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from .const import LOGGER
from .domain.bookings import (
    AccessMode,
    BookingRefusedError,
    BookingRules,
    BookingStatus,
    KeyTemplate,
    Unit,
)
from .domain.ids import DoorId, UnitId
from .domain.keys import OnRemoval, Strategy

SUBENTRY_UNIT: Final = "unit"

CONF_CALENDAR: Final = "calendar"
CONF_DOORS: Final = "doors"
CONF_MODE: Final = "mode"

CONF_LEAD_HOURS: Final = "lead_hours"
CONF_SEAT_FROM_LEAD_TIME: Final = "seat_from_lead_time"
CONF_BEFORE: Final = "minutes_before"
CONF_AFTER: Final = "minutes_after"
CONF_PIN_LENGTH: Final = "pin_length"
CONF_UNIT_STRATEGY: Final = "strategy"
CONF_ON_REMOVAL: Final = "on_removal"

CONF_CHECK_IN: Final = "check_in"
CONF_CHECK_OUT: Final = "check_out"
CONF_ENDS_NEXT_DAY: Final = "ends_next_day"
CONF_IGNORE: Final = "ignore_patterns"
CONF_PENDING: Final = "pending_patterns"
CONF_STATUS_WITHOUT_STATUS: Final = "status_without_status"
CONF_OPENING_STATUSES: Final = "opening_statuses"
CONF_OPENS_BEFORE: Final = "opens_minutes_before"
CONF_CHECKS_IN: Final = "checks_in_on_opening"

UNREADABLE: Final = (
    AttributeError,
    BookingRefusedError,
    OverflowError,
    TypeError,
    ValueError,
    vol.Invalid,
)
"""What reading a unit may end with that no form of this version has written."""


def unit_from(unit_id: UnitId, name: str, data: Mapping[str, Any], zone: str) -> Unit:
    """Read a unit from what its forms ask for; what is missing is as usual.

    Doors are kept by the vendor's ids, since entities can be renamed. Raises BookingRefusedError
    for what contradicts itself.
    """
    usual_template, usual_rules = KeyTemplate(), BookingRules()
    lead_hours, length = data.get(CONF_LEAD_HOURS), data.get(CONF_PIN_LENGTH)
    template = KeyTemplate(
        lead_time=None if lead_hours is None else timedelta(hours=lead_hours),
        before=timedelta(minutes=data.get(CONF_BEFORE, 0)),
        after=timedelta(minutes=data.get(CONF_AFTER, 0)),
        pin_length=None if length is None else int(length),
        seat_from_lead_time=bool(data.get(CONF_SEAT_FROM_LEAD_TIME, False)),
        strategy=Strategy(data.get(CONF_UNIT_STRATEGY, usual_template.strategy)),
    )
    opens_before = usual_rules.opens_before.total_seconds() / 60
    rules = BookingRules(
        opening_statuses=frozenset(
            map(BookingStatus, data.get(CONF_OPENING_STATUSES, usual_rules.opening_statuses))
        ),
        opens_before=timedelta(minutes=data.get(CONF_OPENS_BEFORE, opens_before)),
        checks_in_on_opening=bool(data.get(CONF_CHECKS_IN, usual_rules.checks_in_on_opening)),
        ignore_patterns=tuple(data.get(CONF_IGNORE, ())),
        pending_patterns=tuple(data.get(CONF_PENDING, ())),
        status_without_status=BookingStatus(
            data.get(CONF_STATUS_WITHOUT_STATUS, usual_rules.status_without_status)
        ),
        check_in=_time(data, CONF_CHECK_IN, usual_rules.check_in),
        check_out=_time(data, CONF_CHECK_OUT, usual_rules.check_out),
        ends_next_day=bool(data.get(CONF_ENDS_NEXT_DAY, usual_rules.ends_next_day)),
    )
    return Unit(
        unit_id=unit_id,
        name=name,
        doors=frozenset(map(DoorId, data.get(CONF_DOORS, ()))),
        zone=zone,
        calendar=data.get(CONF_CALENDAR),
        mode=AccessMode(data.get(CONF_MODE, AccessMode.PIN)),
        template=template,
        rules=rules,
        on_removal=OnRemoval(data.get(CONF_ON_REMOVAL, OnRemoval.REVOKE)),
    )


def unit_subentries(entry: ConfigEntry[Any]) -> list[ConfigSubentry]:
    """Return the subentries of an entry that are units."""
    return entry.get_subentries_of_type(SUBENTRY_UNIT)


def units_of(entry: ConfigEntry[Any], zone: str) -> dict[UnitId, Unit]:
    """Return the units of an entry whose guests come and go in this zone.

    One that no form of ours has written is left out, since it must not keep the others from
    working.
    """
    read = {UnitId(one.subentry_id): _read(one, zone) for one in unit_subentries(entry)}
    return {unit_id: unit for unit_id, unit in read.items() if unit is not None}


def _read(subentry: ConfigSubentry, zone: str) -> Unit | None:
    """Read a unit; None where that cannot be done."""
    try:
        return unit_from(UnitId(subentry.subentry_id), subentry.title, subentry.data, zone)
    except UNREADABLE as err:
        LOGGER.error("The unit %s cannot be read: %s", subentry.title, err)
        return None


def _time(data: Mapping[str, Any], key: str, usual: time) -> time:
    """Read a time of day, as loosely written as the form takes it."""
    return cv.time(data[key]) if key in data else usual
