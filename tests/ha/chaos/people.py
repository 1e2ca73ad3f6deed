"""What people, calendars and booking systems ask for."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from homeassistant.exceptions import HomeAssistantError, ServiceNotFound
from homeassistant.util import dt as dt_util
import voluptuous as vol

from custom_components.salto_ks.domain.keys import KeyStatus
from tests.ha.keys import HOUR, passing
from tests.ha.support import GATE

from .houses import HOUSES, KEYPADS
from .scene import Scene

_EXPECTED: Final = (HomeAssistantError, ServiceNotFound, vol.Invalid)
"""What somebody who asks may be told."""


class People:
    """Those who ask, several at the same time."""

    def __init__(self, scene: Scene) -> None:
        """Ask at this site; nobody does yet."""
        self._scene = scene
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Return how many wait for an answer."""
        return len(self._asking)

    async def all_are_answered(self) -> None:
        """Wait until nobody waits for an answer any more."""
        async with passing(self._scene.home.freezer):
            while self._asking:
                await asyncio.wait(tuple(self._asking))

    def act(self) -> None:
        """Have somebody ask for something."""
        task = asyncio.ensure_future(self._act())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _act(self) -> None:
        luck = self._scene.luck
        acts: dict[Callable[[], Awaitable[object] | None], int] = {
            self._write_event: 14,
            self._drop_event: 6,
            self._tell: 16,
            self._issue: 10,
            self._change: 6,
            self._revoke: 4,
            self._rotate: 5,
            self._suspend: 4,
            self._resume: 4,
            self._reveal: 2,
            self._open_door: 6,
            self._unlock: 4,
            self._reconcile: 3,
            self._explain: 2,
            self._list: 2,
            self._set_options: 1,
            self._toggle_unit: 1,
            self._reload: 1,
        }
        (act,) = luck.choices(list(acts), list(acts.values()))
        name = act.__name__.strip("_")
        self._scene.figures.operations[name] += 1
        number = self._scene.number()
        self._scene.story.append(f"{number} {name}")
        try:
            if (work := act()) is not None:
                await work
            outcome = "done"
        except _EXPECTED as err:
            outcome = getattr(err, "translation_key", None) or type(err).__name__
        except asyncio.CancelledError:
            outcome = "cut off"
        self._scene.figures.outcomes[outcome] += 1
        self._scene.story.append(f"{number} {name}: {outcome}")

    def _write_event(self) -> None:
        """Write an event into a calendar, or move one."""
        luck = self._scene.luck
        if self._scene.in_calendars and luck.random() < 0.4:
            uid = luck.choice(list(self._scene.in_calendars))
            stay = self._scene.in_calendars[uid].moved(luck.choice([-2, 1, 5, 30]) * HOUR)
        else:
            uid = f"E{self._scene.number()}"
            house = luck.choice([house for house in HOUSES if house.feed])
            stay = self._scene.some_stay(house.name)
        status = luck.choice(["confirmed", "confirmed", "confirmed", "tentative"])
        self._scene.in_calendars[uid] = replace(stay, status=status)
        self._scene.story.append(f"{uid} is {self._scene.in_calendars[uid]}")
        self._scene.write_calendars()

    def _drop_event(self) -> None:
        """Delete an event."""
        if self._scene.in_calendars:
            uid = self._scene.luck.choice(list(self._scene.in_calendars))
            self._scene.story.append(f"{uid} is dropped")
            del self._scene.in_calendars[uid]
        self._scene.write_calendars()

    async def _tell(self) -> None:
        """Tell of a booking, or of a change to one."""
        luck = self._scene.luck
        if self._scene.told and luck.random() < 0.5:
            booking_id = luck.choice(list(self._scene.told))
            stay = self._scene.told[booking_id].moved(luck.choice([0, 0, 1, 24]) * HOUR)
            status = luck.choice(["confirmed", "checked_in", "cancelled", "pending", "completed"])
            stay = replace(stay, status=status)
        else:
            booking_id = f"R{self._scene.number()}"
            stay = self._scene.some_stay(luck.choice(["Pitch 3", "Pitch 4"]))
        self._scene.told[booking_id] = stay
        self._scene.story.append(f"{booking_id} is {stay}")
        await self._tell_again(booking_id)

    async def _tell_again(self, booking_id: str) -> None:
        stay = self._scene.told[booking_id]
        await self._scene.call(
            "set_booking",
            unit=self._scene.unit_device(stay.unit),
            booking_id=booking_id,
            starts_at=stay.starts_at.isoformat(),
            ends_at=stay.ends_at.isoformat(),
            status=stay.status,
        )

    async def _issue(self) -> None:
        luck = self._scene.luck
        stay = self._scene.some_stay("")
        doors = [self._scene.door(name) for name in luck.sample(KEYPADS, luck.choice([1, 1, 2]))]
        key = await self._scene.ask(
            "issue_key",
            doors=doors,
            starts_at=stay.starts_at.isoformat(),
            ends_at=stay.ends_at.isoformat(),
            pin_length=6,
        )
        self._scene.by_hand[key["key_id"]] = KeyStatus.SET
        self._scene.note(key)

    def _own_key(self) -> str:
        """Choose a key that was issued by hand. Raises HomeAssistantError where there is none."""
        keys = [key for key in self._scene.by_hand if key not in self._scene.asked_to_end]
        if not keys:
            raise HomeAssistantError("no key")
        chosen = self._scene.luck.choice(keys)
        self._scene.story.append(f"it is {chosen}")
        return chosen

    async def _change(self) -> None:
        stay = self._scene.some_stay("")
        await self._scene.ask(
            "change_key", key_id=self._own_key(), ends_at=stay.ends_at.isoformat()
        )

    async def _revoke(self) -> None:
        key_id = self._own_key()
        self._scene.asked_to_end.add(key_id)
        await self._scene.ask("revoke_key", key_id=key_id)

    async def _rotate(self) -> None:
        self._scene.note(await self._scene.ask("rotate_pin", key_id=self._own_key()))

    async def _suspend(self) -> None:
        await self._scene.ask("suspend_key", key_id=self._own_key())

    async def _resume(self) -> None:
        await self._scene.ask("resume_key", key_id=self._own_key())

    async def _reveal(self) -> None:
        self._scene.note(await self._scene.ask("get_pin", key_id=self._own_key()))

    async def _open_door(self) -> None:
        unit = self._scene.unit_device(self._scene.luck.choice(HOUSES).name)
        await self._scene.call("open_door", unit=unit)

    async def _unlock(self) -> None:
        await self._scene.call("unlock", domain="lock", entity_id=self._scene.door(GATE))

    async def _reconcile(self) -> None:
        luck = self._scene.luck
        await self._scene.ask("reconcile", dry_run=luck.random() < 0.4, deep=luck.random() < 0.4)

    async def _explain(self) -> None:
        await self._scene.ask("explain_access")

    async def _list(self) -> None:
        await self._scene.ask("get_keys")
        await self._scene.ask("get_audit_log")
        await self._scene.call("get_bookings")

    def _set_options(self) -> None:
        """Change an option, which loads the site anew."""
        luck, entry = self._scene.luck, self._scene.home.entry
        options = dict(entry.options) | {
            "polling_interval": luck.choice([15, 60, 300]),
            "writes_per_minute": luck.choice([60, 120, 600]),
            "name_people": luck.random() < 0.5,
        }
        self._scene.home.hass.config_entries.async_update_entry(entry, options=options)

    def _toggle_unit(self) -> None:
        """Delete a unit, or add it again under another id."""
        if (house := self._scene.luck.choice(HOUSES)).name in self._scene.units():
            self._scene.remove_unit(house)
        else:
            self._scene.add_unit(house)

    async def _reload(self) -> None:
        await self._scene.home.hass.config_entries.async_reload(self._scene.home.entry.entry_id)

    async def tell_all_again(self) -> None:
        """Tell of all bookings once more, since of some nobody knows whether that was heard."""
        for booking_id, stay in self._scene.told.items():
            if stay.unit in self._scene.units():
                await self._tell_again(booking_id)

    async def mend(self) -> None:
        """Do what a person would about keys of which Home Assistant does not know enough."""
        manager = self._scene.home.data.keys.manager
        for key in manager.keys(statuses={KeyStatus.UNKNOWN}):
            self._scene.story.append(f"{key.key_id} is unknown")
            self._scene.asked_to_end.add(key.key_id)
            with suppress(HomeAssistantError):
                await self._scene.ask("revoke_key", key_id=key.key_id)
        for key in manager.keys(statuses={KeyStatus.SET}):
            if key.sealed_pin is None and not key.window.is_over(dt_util.utcnow()):
                self._scene.note(await self._scene.ask("rotate_pin", key_id=key.key_id))
