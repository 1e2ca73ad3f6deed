"""Gather what is known for `explain_access`: from the last poll, the ledger, and Salto now.

Everything is read and nothing changed. What cannot be read is not known, and no failure.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryAuthFailed
from homeassistant.util import dt as dt_util

from .access_stream import StreamState
from .api.exceptions import SaltoKsError
from .api.models import Iq, IqId, Lock, LockId
from .booking_engine import Trouble
from .const import CONF_IQ_ID, LOGGER, SUBENTRY_IQ
from .coordinator import SaltoKsConfigEntry, SaltoKsCoordinator
from .denials import LastAccess
from .domain.access_events import DenialReason
from .domain.bookings import Booking, Unit
from .domain.desired_keys import DesiredKey, desired_key
from .domain.explain_facts import (
    BookingView,
    Denial,
    DoorView,
    Facts,
    IqReady,
    IqView,
    KeyView,
    Reach,
    SiteView,
    Upkeep,
)
from .domain.explain_sentences import Check, Filling
from .domain.ids import DoorId
from .domain.keys import KeyRecord, KeyStatus
from .domain.observed import UNSEEN_FOR
from .domain.opening import opening_of
from .door_facts import conditions_from, facts_from, zones_from
from .door_ids import entity_ids_of
from .keys.provider import KeyFailedError
from .opening import refusal_text
from .wording import Wording

PATIENCE: Final = 20.0
"""Seconds that Salto has to answer what is asked about a key; after that it is not known."""

SHOWN_TROUBLES: Final = 20
"""Bookings in trouble that are told of."""


class Explanation:
    """Gathers the facts of one site for one question."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry, wording: Wording) -> None:
        """Ask about the site of `entry`; what it says is in the language of `wording`."""
        self._hass = hass
        self._entry = entry
        self._data = entry.runtime_data
        self._wording = wording

    async def async_of_site(self) -> Facts:
        """Gather the facts about a site."""
        await self._async_refresh()
        return Facts(
            now=dt_util.utcnow(),
            site=self._site(),
            upkeep=self._upkeep(),
            iqs=tuple(self._iq(iq) for iq in self._data.doors.data.iqs.values()),
            opens_remotely=True,
        )

    async def async_of_door(self, door_id: DoorId) -> Facts:
        """Gather the facts about a door."""
        await self._async_refresh()
        now = dt_util.utcnow()
        keys = self._data.keys.manager.keys(statuses=[KeyStatus.SET])
        return Facts(
            now=now,
            site=self._site(),
            upkeep=self._upkeep(),
            doors=(self._door(door_id),),
            opens_remotely=True,
            keys_now=tuple(
                key.key_id for key in keys if door_id in key.doors and key.window.holds(now)
            ),
        )

    async def async_of_key(self, record: KeyRecord) -> Facts:
        """Gather the facts about a key."""
        await self._async_refresh()
        key = await self._async_key(record)
        return Facts(
            now=dt_util.utcnow(),
            site=self._site(),
            upkeep=self._upkeep(),
            key=key,
            doors=self._doors(key.record.doors),
        )

    async def async_of_booking(self, booking: Booking) -> Facts:
        """Gather the facts about a booking and its key."""
        await self._async_refresh()
        unit = self._data.bookings.units[booking.unit_id]
        record = self._data.bookings.key_of(booking)
        key = None if record is None else await self._async_key(record)
        now = dt_util.utcnow()
        return Facts(
            now=now,
            site=self._site(),
            upkeep=self._upkeep(),
            booking=self._booking(booking, unit, now),
            key=key,
            doors=self._doors(self._doors_of(booking, unit, record)),
            opens_remotely=unit.mode.opens_remotely,
        )

    def said(self, check: Check) -> str:
        """Write the sentence of a check."""
        about = {name: self._filling(value) for name, value in check.about.items()}
        return self._wording.common(check.sentence.key, about)

    # Asking Salto

    async def _async_refresh(self) -> None:
        """Poll the site now: what fails is seen by everybody, as after any poll."""
        await asyncio.gather(self._data.site.async_refresh(), self._data.doors.async_refresh())

    async def _async_key(self, record: KeyRecord) -> KeyView:
        """Look at a key at Salto, as long as Salto answers at all."""
        unread = KeyView(record=record, guest_there=None, seen=None, wanted=self._wanted(record))
        if record.guest is None:
            return unread
        refusals = self._data.denials.of_person(record.guest.person_id)
        unread = replace(unread, denials=tuple(filter(None, map(self._denial, refusals))))
        if self._reach() is not Reach.ANSWERS or not record.is_live:
            return unread
        try:
            async with asyncio.timeout(PATIENCE):
                seen = await self._data.keys.manager.look(record)
        except (KeyFailedError, SaltoKsError, TimeoutError) as err:
            LOGGER.debug("A key could not be read: %s", type(err).__name__)
            return unread
        if seen is not None:
            return replace(unread, guest_there=True, seen=seen)
        is_young = dt_util.utcnow() - record.changed_at < UNSEEN_FOR
        return replace(unread, guest_there=None if is_young else False)

    # What is known

    def _reach(self) -> Reach:
        """Tell whether Salto answered the last poll."""
        for coordinator in (self._data.site, self._data.doors):
            if not coordinator.last_update_success:
                refused = isinstance(coordinator.last_exception, ConfigEntryAuthFailed)
                return Reach.LOGIN_REFUSED if refused else Reach.SILENT
        return Reach.ANSWERS

    def _site(self) -> SiteView:
        """Return what is known of the site; what was told before an outage no longer is."""
        data, reach = self._data, self._reach()
        wrong = data.keys.quarantine
        told = data.site.data if data.site.last_update_success else None
        return SiteView(
            name=self._entry.title,
            reach=reach,
            active=data.states.is_active(data.site.site_id),
            account_blocked=None if told is None else told.member.blocked,
            remote_right=None if told is None else told.member.remote_access,
            subscription_valid=None if told is None else told.site.subscription_valid,
            pins_enabled=None if told is None else told.site.pin_enabled,
            seats_used=None if told is None else told.site.seats_used,
            seats_total=None if told is None else told.site.seats_total,
            held_back=data.keys.manager.read_only,
            ledger_closed=None if wrong is None else wrong.file,
            clock_offset=data.client.server_clock_offset if reach is Reach.ANSWERS else None,
        )

    def _doors(self, door_ids: Iterable[DoorId]) -> tuple[DoorView, ...]:
        """Return what is known of doors, in the order of their names."""
        doors = (self._door(door_id) for door_id in door_ids)
        return tuple(sorted(doors, key=lambda door: (door.name.casefold(), door.door_id)))

    def _door(self, door_id: DoorId) -> DoorView:
        """Return what is known of a door now; of one that Salto does not list nothing is."""
        doors = self._data.doors
        lock = doors.data.locks.get(LockId(door_id)) if doors.last_update_success else None
        missing = doors.data.missing.get(LockId(door_id))
        condition = conditions_from(doors)(door_id)
        iq = None if lock is None else doors.data.iq_of(lock)
        return DoorView(
            door_id=door_id,
            name=self._name(door_id),
            listed=self._is_listed(lock, missing),
            facts=None if lock is None else facts_from(doors)(door_id),
            has_iq=None if lock is None else lock.iq_id is not None,
            iq=None if iq is None else self._iq(iq),
            zone=zones_from(doors, self._data.site)(door_id),
            privacy_mode=condition.privacy_mode,
            battery_low=condition.battery_low,
            denial=self._denial(self._data.denials.at_door(LockId(door_id))),
        )

    def _is_listed(self, lock: Lock | None, missing: Lock | None) -> bool | None:
        """Tell whether the site has a door; one that one poll lacks may be in the next."""
        if lock is not None:
            return True
        return None if missing is not None or not self._data.doors.last_update_success else False

    def _name(self, door_id: DoorId) -> str:
        """Return what people call a door."""
        if (lock := self._data.doors.data.find(LockId(door_id))) is not None:
            return lock.title
        return next(iter(entity_ids_of(self._hass, [door_id])), door_id)

    def _iq(self, iq: Iq) -> IqView:
        """Return what is known of an IQ that a poll has told of."""
        is_known = self._data.doors.last_update_success
        credential = self._data.commands.credential(iq.id)
        return IqView(
            name=iq.title,
            online=iq.online if is_known else None,
            restore_required=iq.restore_required if is_known else None,
            ready=self._ready(iq),
            otp_closed_until=None
            if credential is None
            else credential.guard.closed_until(dt_util.utcnow()),
        )

    def _ready(self, iq: Iq) -> IqReady | None:
        """Tell whether commands can be signed for an IQ."""
        if not iq.otp_enabled:
            return IqReady.ACTIVATED
        subentries = self._entry.get_subentries_of_type(SUBENTRY_IQ)
        if iq.id not in {IqId(subentry.data[CONF_IQ_ID]) for subentry in subentries}:
            return IqReady.NOT_SET_UP
        credential = self._data.commands.credential(iq.id)
        if credential is None or not credential.activated:
            return IqReady.NOT_ACTIVATED
        if credential.pin is None and credential.candidates:
            return IqReady.PIN_UNPROVEN
        if not self._data.site.last_update_success:
            return None
        activation = self._data.site.data.activations.get(iq.id)
        is_activated = activation is not None and activation.activated
        return IqReady.ACTIVATED if is_activated else IqReady.NOT_ACTIVATED

    def _denial(self, last: LastAccess | None) -> Denial | None:
        """Name the door of a refusal."""
        if last is None or last.reason is None:
            return None
        door_id = DoorId(last.lock_id)
        return Denial(door_id=door_id, door=self._name(door_id), at=last.at, reason=last.reason)

    def _wanted(self, record: KeyRecord) -> DesiredKey | None:
        """Return what the booking of a key wants of it."""
        engine = self._data.bookings
        if record.booking_id is None or record.unit_id is None:
            return None
        booking = engine.booking(record.booking_id, record.unit_id)
        unit = engine.units.get(record.unit_id)
        if booking is None or unit is None:
            return None
        return desired_key(booking, unit, dt_util.utcnow())

    def _booking(self, booking: Booking, unit: Unit, now: datetime) -> BookingView:
        """Return what is known of a booking."""
        engine, site_id = self._data.bookings, self._data.site.site_id
        opening = opening_of(booking, unit, now, is_active=self._data.states.is_active(site_id))
        troubles = (one for one in engine.troubles() if one.booking == booking)
        trouble = next(troubles, None)
        return BookingView(
            booking=booking,
            unit=unit,
            calendar_read=engine.calendar_is_read(unit.unit_id),
            trouble=None if trouble is None else self._reason(trouble),
            refused_opening=None
            if opening.reason is None
            else self._wording.exception(*refusal_text(opening, unit)),
        )

    def _doors_of(self, booking: Booking, unit: Unit, record: KeyRecord | None) -> set[DoorId]:
        """Return the doors that a booking is about; PINs are for those with a keypad."""
        doors = unit.doors_of(booking)
        if unit.mode.opens_remotely:
            return {*doors, *(() if record is None else record.doors)}
        if record is not None:
            return set(record.doors)
        facts = facts_from(self._data.doors)
        typed_at = {door for door in doors if (fact := facts(door)) is None or fact.has_keypad}
        return typed_at or set(doors)

    def _upkeep(self) -> Upkeep:
        """Return how the site is looked after."""
        data, engine, feed = self._data, self._data.bookings, self._data.feed
        last = data.keys.manager.last_pass
        return Upkeep(
            log_read=_is_read(feed),
            live_events=data.stream.state is StreamState.LIVE,
            bookings_unread=None if engine.failure is None else engine.failure.file,
            calendars={
                unit.name: engine.calendar_is_read(unit.unit_id)
                for unit in engine.units.values()
                if unit.calendar is not None
            },
            troubles={
                self._trouble_name(trouble): self._reason(trouble)
                for trouble in engine.troubles()[:SHOWN_TROUBLES]
            },
            compared_at=None if last is None else last.at,
            discrepancies=None if last is None else len(last.discrepancies),
        )

    def _trouble_name(self, trouble: Trouble) -> str:
        """Name a booking by its unit and its id."""
        unit = self._data.bookings.units[trouble.booking.unit_id]
        return f"{trouble.booking.booking_id} ({unit.name})"

    def _reason(self, trouble: Trouble) -> str:
        """Say what went wrong with a key of a booking."""
        return self._wording.exception(trouble.problem, trouble.about)

    def _filling(self, value: Filling) -> str:
        """Write what a text is filled with: times by the clock of this Home Assistant."""
        if isinstance(value, datetime):
            return f"{dt_util.as_local(value):%Y-%m-%d %H:%M}"
        if isinstance(value, DenialReason):
            return self._wording.common(f"access_reason_{value}")
        if isinstance(value, tuple):
            return " ".join(self._wording.common(f"desk_error_{problem}") for problem in value)
        return str(value)


def _is_read(coordinator: SaltoKsCoordinator[Any]) -> bool | None:
    """Tell whether a coordinator read well last time; None before the first time."""
    if coordinator.last_update_success:
        return None if coordinator.data is None else True
    return False
