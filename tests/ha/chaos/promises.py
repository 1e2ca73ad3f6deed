"""What has to be so in the end: bookings, ledger, Salto and keypads agree."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from homeassistant.util import dt as dt_util

from custom_components.salto_ks.domain.bookings import BookingStatus
from custom_components.salto_ks.domain.ids import marker
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus, Strategy
from tests.ha.keys import MINUTE, groups, guests, opens, passing
from tests.ha.support import lock_named

from .houses import HOUSES, KEYPADS
from .listening import ChaosError
from .scene import Scene

type Windows = Counter[tuple[str, datetime, datetime]]
"""A unit with start and end of a window, and how often there is that."""


class Promises:
    """Holds a site to what was promised to its people."""

    def __init__(self, scene: Scene) -> None:
        """Remember the site as it is before anything is done."""
        self._scene = scene
        self._strangers_before = self._strangers()

    async def check(self) -> None:
        """Hold everything to the promise. Raises ChaosError."""
        keys = self._scene.home.data.keys
        if keys.ledger.intents:
            raise ChaosError(f"left undone: {dict(keys.ledger.intents)}")
        if keys.manager.read_only is not None:
            raise ChaosError(f"nothing is done by itself: {keys.manager.read_only}")
        live = [record for record in keys.ledger.records.values() if record.is_live]
        self._check_bookings(live)
        self._check_salto(live)
        for key_id in self._scene.by_hand.keys() - self._scene.asked_to_end:
            self._check_not_lost(key_id)
        for record in live:
            await self._check_at_the_door(record)
        last = keys.manager.last_pass
        if last is None or last.discrepancies:
            raise ChaosError(f"found in the end: {last and last.discrepancies}")

    def _check_bookings(self, live: list[KeyRecord]) -> None:
        """Hold each booking to exactly one key, and each key of a unit to a booking.

        One that is not sure any more may have a key, which is suspended and is tried at the doors.
        """
        wanted, found = self._windows_of_bookings(), _windows_of_keys(live)
        self._scene.figures.bookings += wanted.total()
        if found != wanted:
            raise ChaosError(
                f"without a key: {wanted - found}\nwithout a booking: {found - wanted}"
            )
        known = {
            booking.booking_id: booking for booking in self._scene.home.data.bookings.bookings()
        }
        suspended = Counter(
            record.booking_id
            for record in live
            if record.unit_id is not None and record.status is KeyStatus.SUSPENDED
        )
        for booking_id, keys in suspended.items():
            booking = known.get(booking_id) if booking_id is not None else None
            if keys > 1 or booking is None or booking.status is not BookingStatus.PENDING:
                raise ChaosError(f"suspended: {keys} keys of {booking}")

    def _windows_of_bookings(self) -> Windows:
        """Return when keys of the bookings that are sure have to open, by their units."""
        now, units = dt_util.utcnow(), self._scene.units()
        margins = {house.name: house.before * MINUTE for house in HOUSES}
        windows: Windows = Counter()
        for stay in (*self._scene.in_calendars.values(), *self._scene.told.values()):
            margin = margins[stay.unit]
            window = (stay.starts_at - margin, stay.ends_at + margin)
            is_sure = stay.status in {"confirmed", "checked_in"}
            if is_sure and window[1] > now and stay.unit in units:
                windows[units[stay.unit], *window] += 1
        return windows

    def _check_salto(self, live: list[KeyRecord]) -> None:
        """Hold Salto to the guests and groups of live keys, and to strangers as they were."""
        marks = {marker(record.key_id) for record in live}
        users = Counter(word for user in guests(self._scene.sim) for word in user.alias.split())
        found = {word: count for word, count in users.items() if word.startswith("ha-")}
        if found != dict.fromkeys(marks, 1):
            raise ChaosError(f"guests at Salto: {found}, not {marks}")
        of_groups = {
            group.customer_reference.partition(".")[0] for group in groups(self._scene.sim)
        }
        if of_groups != marks:
            raise ChaosError(f"groups at Salto: {of_groups}, not {marks}")
        if self._strangers() != self._strangers_before:
            raise ChaosError("somebody without a marker was touched")

    def _check_not_lost(self, key_id: str) -> None:
        """Hold a key that was handed out by hand to be there until its window is over."""
        record = next(
            (
                one
                for key, one in self._scene.home.data.keys.ledger.records.items()
                if key == key_id
            ),
            None,
        )
        if record is None:
            raise ChaosError(f"{key_id} is lost")
        if not (record.is_live or record.errors or record.window.is_over(dt_util.utcnow())):
            raise ChaosError(f"{key_id} has ended before its window: {record}")

    async def _check_at_the_door(self, record: KeyRecord) -> None:
        """Hold a PIN to open the key's doors in its window, and no others and never else."""
        now, window = dt_util.utcnow(), record.window
        if record.status not in {KeyStatus.SET, KeyStatus.SUSPENDED}:
            raise ChaosError(f"{record} is under way")
        async with passing(self._scene.home.freezer):
            pin = (await self._scene.ask("get_pin", key_id=record.key_id))["pin"]
        if pin is None:
            raise ChaosError(f"{record.key_id} has no PIN")
        self._scene.pins.add(pin)
        self._scene.figures.keys += 1
        before = self._scene.sim.dump()
        is_set = record.status is KeyStatus.SET
        moments = {window.ends_at + MINUTE: False}
        if record.strategy is Strategy.MEMBERSHIP:
            moments = {}
            if not timedelta() <= now - window.starts_at < 6 * MINUTE:
                moments = {now: is_set and window.holds(now)}
        elif window.starts_at > now + 6 * MINUTE:
            moments |= {window.starts_at - MINUTE: False, window.starts_at: is_set}
            moments |= {window.ends_at - MINUTE: is_set}
        else:
            moments |= {now: is_set and window.holds(now)}
        for name in KEYPADS:
            in_reach = lock_named(self._scene.sim, name).id in record.doors
            for at, expected in moments.items():
                if opens(self._scene.sim, pin, name, at) is not (in_reach and expected):
                    raise ChaosError(f"{record} at {name} at {at}: not {in_reach and expected}")
        self._scene.sim.restore(self._scene.sim._start, before)

    def _strangers(self) -> list[Any]:
        """List what everybody without a marker is and may."""
        world = self._scene.sim.world
        people = [
            (u.id, u.alias, u.subscription_state, u.use_pin, u.blocked, u.expires_at, hash(u.pin))
            for u in world.users.values()
            if "ha-" not in u.alias
        ]
        others = [
            (g.id, g.customer_reference, g.lock_ids, g.user_ids)
            for g in world.groups.values()
            if not g.customer_reference.startswith("ha-")
        ]
        return [*people, *others]


def _windows_of_keys(live: list[KeyRecord]) -> Windows:
    """Return when keys of units open, by their units."""
    return Counter(
        (str(record.unit_id), record.window.starts_at, record.window.ends_at)
        for record in live
        if record.unit_id is not None and record.status is KeyStatus.SET
    )
