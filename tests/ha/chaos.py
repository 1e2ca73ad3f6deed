"""Bad days of a whole Home Assistant: everything goes wrong at random, then has to come right.

People, calendars and booking systems ask for all there is, several at once; Salto, its doors and
clocks, the network and Home Assistant itself fail. Then all is well for a day, and bookings,
ledger, Salto and keypads have to agree. A seed says all of it, so a day can be had again.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
import logging
from pathlib import Path
import random
import re
from time import sleep
from types import MappingProxyType
from typing import Any, Final, override

from aiohttp.test_utils import TestServer
from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState, ConfigSubentry
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceNotFound
from homeassistant.helpers import device_registry as dr
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_test_home_assistant,
)
import voluptuous as vol

from custom_components.salto_ks.coordinator import SaltoKsData
from custom_components.salto_ks.domain.bookings import BookingStatus
from custom_components.salto_ks.domain.ids import marker
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus, Strategy
from simulator import Fault, Quirks, Simulator

from .booking_helpers import FeedCalendar, add_feed
from .keys import HOUR, MINUTE, groups, guests, opens, passing
from .support import (
    DOMAIN,
    GATE,
    LAUNDRY,
    RECEPTION,
    iq_named,
    lock_named,
    set_up_site,
    without_live_events,
)
from .units import CABIN

DAY: Final = timedelta(days=1)
AT_ONCE: Final = 6
"""How many people ask at the same time."""
QUIET: Final = 25
"""Turns of the event loop in which nothing is on its way before time passes."""
PATIENCE: Final = 600
"""Turns after which time passes all the same."""

KEYPADS: Final = (GATE, CABIN, LAUNDRY)
"""Doors at which a PIN can be typed, those of two IQs among them."""

_EXPECTED: Final = (HomeAssistantError, ServiceNotFound, vol.Invalid)
"""What somebody who asks may be told."""

_UNDERSTOOD: Final = re.compile(
    r"(Error fetching|Error requesting|Timeout fetching|Authentication failed while fetching)"
    r"|Setup of config entry .* cancelled$"
    r"|Unable to remove unknown job listener"
    r"|.* is not on disk: .* is not written while Home Assistant stops$"
)
"""What may be logged as an error: by Home Assistant, in our name, that Salto could not be read or
that it has ended while it set the site up; by us, that it keeps nothing any more as it ends."""

_LONG_PIN: Final = re.compile(r"(?<![\w.:-])\d{6}(?![\w-])")


type Windows = Counter[tuple[str, datetime, datetime]]
"""A unit with start and end of a window, and how often there is that."""


class ChaosError(Exception):
    """A promise that was not kept."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A booking as whoever made it has it."""

    unit: str
    starts_at: datetime
    ends_at: datetime
    status: str = "confirmed"

    def moved(self, by: timedelta) -> Stay:
        """Return it at another time."""
        return replace(self, starts_at=self.starts_at + by, ends_at=self.ends_at + by)


@dataclass(frozen=True, slots=True)
class House:
    """A unit of the test."""

    name: str
    doors: tuple[str, ...]
    feed: str | None = None
    before: int = 0
    strategy: Strategy = Strategy.SCHEDULE

    def data(self, sim: Simulator) -> dict[str, Any]:
        """Return what its forms would have written."""
        written: dict[str, Any] = {
            "doors": sorted(lock_named(sim, name).id for name in self.doors),
            "mode": "both",
            "minutes_before": self.before,
            "minutes_after": self.before,
            "strategy": self.strategy.value,
            "on_removal": "revoke",
        }
        return written | ({"calendar": f"calendar.{self.feed.lower()}"} if self.feed else {})


HOUSES: Final = (
    House("Pitch 1", (GATE, CABIN), feed="North", before=30),
    House("Pitch 2", (GATE,), feed="South"),
    House("Pitch 3", (LAUNDRY,), strategy=Strategy.MEMBERSHIP),
    House("Pitch 4", (GATE, LAUNDRY), before=15),
)


@dataclass(slots=True)
class Figures:
    """What has happened."""

    operations: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    restarts: int = 0
    keys: int = 0
    """Keys that were tried at doors in the end."""
    bookings: int = 0
    """Bookings that had to have a key in the end."""


class Errors(logging.Handler):
    """Keeps what is logged as an error by us or of us, and every line in which a PIN may stand."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__(logging.DEBUG)
        self.found: list[str] = []
        self.six_digits: dict[str, str] = {}

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        text = message = record.getMessage()
        if record.exc_info:
            text += "\n" + logging.Formatter().formatException(record.exc_info)
        self.six_digits.update(dict.fromkeys(_LONG_PIN.findall(text), text))
        ours = DOMAIN in record.name or DOMAIN in text or "never retrieved" in text
        last = text.rpartition("\n")[2]
        cut_off = message.startswith("Error setting up entry") and "CancelledError" in last
        understood = cut_off or _UNDERSTOOD.match(message)
        if record.levelno >= logging.ERROR and ours and not understood:
            self.found.append(f"{record.name}: {text}")

    def check(self, pins: set[str]) -> None:
        """Raise ChaosError for an error, or for a PIN in any line."""
        if self.found:
            raise ChaosError("\n".join(self.found))
        if told := pins & self.six_digits.keys():
            raise ChaosError("\n".join(f"a PIN in: {self.six_digits[pin]}" for pin in told))


@contextmanager
def errors_kept() -> Iterator[Errors]:
    """Keep what is logged."""
    errors, root = Errors(), logging.getLogger()
    ours = logging.getLogger(f"custom_components.{DOMAIN}")
    before = ours.level
    root.addHandler(errors)
    ours.setLevel(logging.DEBUG)
    try:
        yield errors
    finally:
        root.removeHandler(errors)
        ours.setLevel(before)


def left_of_ours() -> list[asyncio.Task[Any] | asyncio.TimerHandle]:
    """Return the tasks and timers of ours that the event loop still has."""
    loop: Any = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = loop._scheduled  # nothing else tells
    return [
        *(task for task in asyncio.all_tasks() if DOMAIN in f"{task.get_name()} {task!r}"),
        *(timer for timer in timers if not timer.cancelled() and DOMAIN in repr(timer)),
    ]


async def check_nothing_runs() -> None:
    """Raise ChaosError for what is left of ours after an unload, once files are written."""
    for _ in range(200):
        if not (left := left_of_ours()):
            return
        await asyncio.to_thread(sleep, 0.01)
    raise ChaosError(f"left behind: {left}")


class Home:
    """A Home Assistant that is ended and started again on the files of the one before."""

    def __init__(
        self, folder: Path, sim: Simulator, url: str, freezer: FrozenDateTimeFactory
    ) -> None:
        """Live in a folder; nothing runs yet."""
        self._folder, self._sim, self._url, self.freezer = folder, sim, url, freezer
        self._running = AsyncExitStack()
        self._kept: dict[str, Any] | None = None
        self.feeds: dict[str, FeedCalendar] = {}
        self.hass: HomeAssistant
        self.entry: ConfigEntry[Any]

    @property
    def is_loaded(self) -> bool:
        """Tell whether the site is there."""
        return self.entry.state is ConfigEntryState.LOADED

    @property
    def data(self) -> SaltoKsData:
        """Return what a loaded site consists of."""
        data: SaltoKsData = self.entry.runtime_data
        return data

    async def start(self, *, calendars_first: bool = True) -> None:
        """Start, with the entry that there was; the first time, set the site up."""
        hass = await self._running.enter_async_context(
            async_test_home_assistant(config_dir=str(self._folder))
        )
        hass.data.pop(DATA_CUSTOM_COMPONENTS)
        await hass.config.async_set_time_zone("Europe/Amsterdam")
        self.hass = hass
        if calendars_first:
            await self._add_feeds()
        if self._kept is None:
            self.entry = await set_up_site(hass, self._sim, self._url, iqs=[RECEPTION])
        else:
            self.entry = self._same_entry(self._kept)
            self.entry.add_to_hass(hass)
            async with passing(self.freezer):
                await hass.config_entries.async_setup(self.entry.entry_id)
        if not calendars_first:
            await self._add_feeds()

    async def stop(self, *, unload: bool) -> None:
        """End, after unloading the site or cutting it off."""
        async with passing(self.freezer):
            if unload and self.is_loaded:
                await self.hass.config_entries.async_unload(self.entry.entry_id)
                await check_nothing_runs()
            self._kept = self.entry.as_dict()
            await self.hass.async_stop(force=True)
            await self._running.aclose()
            await self._files_are_written()
        for one in left_of_ours():
            one.cancel()  # As a process takes them with it.

    async def _files_are_written(self) -> None:
        """Wait for threads, as a process does before it ends, whoever waited for them or gave up."""
        loop: Any = asyncio.get_running_loop()
        for _ in range(200):
            threads = loop._default_executor  # nothing else tells
            is_idle = threads is None or threads._idle_semaphore._value >= len(threads._threads)
            if is_idle and not self.waits_for_a_thread():
                return
            sleep(0.01)  # noqa: ASYNC251 - nobody else is to do anything
            await asyncio.sleep(0)

    def waits_for_a_thread(self) -> bool:
        """Tell whether something is being done beside the event loop, as on disk."""
        tasks = self.hass._tasks  # nothing else tells
        return any(not isinstance(task, asyncio.Task) for task in tasks)

    async def _add_feeds(self) -> None:
        for name in sorted({house.feed for house in HOUSES if house.feed is not None}):
            self.feeds[name] = await add_feed(self.hass, name)

    def _same_entry(self, kept: dict[str, Any]) -> MockConfigEntry:
        return MockConfigEntry(
            domain=DOMAIN,
            entry_id=kept["entry_id"],
            unique_id=kept["unique_id"],
            title=kept["title"],
            data=kept["data"],
            options=kept["options"],
            subentries_data=kept["subentries"],
            version=kept["version"],
            minor_version=kept["minor_version"],
        )


class Chaos:
    """Bad days at one site."""

    def __init__(self, home: Home, sim: Simulator, luck: random.Random) -> None:
        """Begin on a good day, with a site that is set up."""
        self.home, self.sim, self.luck = home, sim, luck
        self.figures = Figures()
        self.story: deque[str] = deque(maxlen=600)
        """What was done last, to be told when a promise was not kept."""
        self.in_calendars: dict[str, Stay] = {}
        self.told: dict[str, Stay] = {}
        self.by_hand: dict[str, KeyStatus] = {}
        """Keys that were asked for by hand, and how they were left as far as that is known."""
        self.asked_to_end: set[str] = set()
        self.pins: set[str] = set()
        self.strangers = self._strangers()
        self._asking: set[asyncio.Task[None]] = set()
        self._seen = 0
        self._numbers = iter(range(1, 1_000_000))

    # Time

    async def turn(self) -> None:
        """Let everything run until nothing is on its way, or for a while."""
        quiet = 0
        for _ in range(PATIENCE):
            await asyncio.sleep(0)
            before, quiet = len(self.sim.journal.entries), quiet + 1
            if before != self._seen or self.home.waits_for_a_thread():
                self._seen, quiet = before, 0
            if quiet > QUIET:
                return

    async def passes(self, time: timedelta, step: float) -> None:
        """Let time pass in steps of seconds."""
        until = dt_util.utcnow() + time
        while dt_util.utcnow() < until:
            self.home.freezer.tick(step + 0.01)
            await self.turn()

    # What people do

    def act(self) -> None:
        """Have somebody ask for something."""
        task = asyncio.ensure_future(self._act())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _act(self) -> None:
        luck = self.luck
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
        self.figures.operations[name] += 1
        number = next(self._numbers)
        self.story.append(f"{number} {name}")
        try:
            if (work := act()) is not None:
                await work
            outcome = "done"
        except _EXPECTED as err:
            outcome = getattr(err, "translation_key", None) or type(err).__name__
        except asyncio.CancelledError:
            outcome = "cut off"
        self.figures.outcomes[outcome] += 1
        self.story.append(f"{number} {name}: {outcome}")

    def _some_stay(self, unit: str) -> Stay:
        now, luck = dt_util.utcnow().replace(second=0, microsecond=0), self.luck
        starts = now + luck.randint(-3, 40) * HOUR
        return Stay(unit, starts, starts + luck.choice([1, 3, 20, 50]) * HOUR)

    def _write_event(self) -> None:
        """Write an event into a calendar, or move one."""
        luck = self.luck
        if self.in_calendars and luck.random() < 0.4:
            uid = luck.choice(list(self.in_calendars))
            stay = self.in_calendars[uid].moved(luck.choice([-2, 1, 5, 30]) * HOUR)
        else:
            uid = f"E{next(self._numbers)}"
            house = luck.choice([house for house in HOUSES if house.feed])
            stay = self._some_stay(house.name)
        status = luck.choice(["confirmed", "confirmed", "confirmed", "tentative"])
        self.in_calendars[uid] = replace(stay, status=status)
        self.story.append(f"{uid} is {self.in_calendars[uid]}")
        self._write_calendars()

    def _drop_event(self) -> None:
        """Delete an event."""
        if self.in_calendars:
            uid = self.luck.choice(list(self.in_calendars))
            self.story.append(f"{uid} is dropped")
            del self.in_calendars[uid]
        self._write_calendars()

    def _write_calendars(self) -> None:
        """Have calendars hold what they should, and say that they have changed."""
        feeds = {house.name: house.feed for house in HOUSES if house.feed}
        for feed in self.home.feeds.values():
            feed.events = []
        for uid, stay in self.in_calendars.items():
            feed = self.home.feeds[str(feeds[stay.unit])]
            feed.write(f"Family {uid}", stay.starts_at, stay.ends_at, uid=uid, status=stay.status)
        for feed in self.home.feeds.values():
            if self.luck.random() < 0.5:
                feed.async_write_ha_state()

    def _unit_device(self, unit: str) -> str:
        """Return the device of a unit. Raises HomeAssistantError where there is none."""
        home = self.home
        for unit_id, subentry in home.entry.subentries.items():
            found = dr.async_get(home.hass).async_get_device_by_identifier(
                (DOMAIN, unit_id), home.entry.entry_id
            )
            if subentry.title == unit and found is not None:
                return found.id
        raise HomeAssistantError("no such unit")

    async def _call(self, action: str, *, domain: str = DOMAIN, **data: Any) -> dict[str, Any]:
        answer = await self.home.hass.services.async_call(
            domain, action, data, blocking=True, return_response=domain == DOMAIN
        )
        return answer if isinstance(answer, dict) else {}

    async def _ask(self, action: str, **data: Any) -> dict[str, Any]:
        return await self._call(action, config_entry_id=self.home.entry.entry_id, **data)

    async def _tell(self) -> None:
        """Tell of a booking, or of a change to one."""
        luck = self.luck
        if self.told and luck.random() < 0.5:
            booking_id = luck.choice(list(self.told))
            stay = self.told[booking_id].moved(luck.choice([0, 0, 1, 24]) * HOUR)
            status = luck.choice(["confirmed", "checked_in", "cancelled", "pending", "completed"])
            stay = replace(stay, status=status)
        else:
            booking_id = f"R{next(self._numbers)}"
            stay = self._some_stay(luck.choice(["Pitch 3", "Pitch 4"]))
        self.told[booking_id] = stay
        self.story.append(f"{booking_id} is {stay}")
        await self._tell_again(booking_id)

    async def _tell_again(self, booking_id: str) -> None:
        stay = self.told[booking_id]
        await self._call(
            "set_booking",
            unit=self._unit_device(stay.unit),
            booking_id=booking_id,
            starts_at=stay.starts_at.isoformat(),
            ends_at=stay.ends_at.isoformat(),
            status=stay.status,
        )

    async def _issue(self) -> None:
        luck = self.luck
        stay = self._some_stay("")
        doors = [self._door(name) for name in luck.sample(KEYPADS, luck.choice([1, 1, 2]))]
        key = await self._ask(
            "issue_key",
            doors=doors,
            starts_at=stay.starts_at.isoformat(),
            ends_at=stay.ends_at.isoformat(),
            pin_length=6,
        )
        self.by_hand[key["key_id"]] = KeyStatus.SET
        self._note(key)

    def _door(self, name: str) -> str:
        for state in self.home.hass.states.async_all("lock"):
            if state.name.endswith(name):
                return state.entity_id
        raise HomeAssistantError("no such door")

    def _note(self, key: dict[str, Any]) -> None:
        self.story.append(f"{key['key_id']} handed out")
        if key.get("pin"):
            self.pins.add(key["pin"])

    def _own_key(self) -> str:
        """Choose a key that was issued by hand. Raises HomeAssistantError where there is none."""
        keys = [key for key in self.by_hand if key not in self.asked_to_end]
        if not keys:
            raise HomeAssistantError("no key")
        chosen = self.luck.choice(keys)
        self.story.append(f"it is {chosen}")
        return chosen

    async def _change(self) -> None:
        stay = self._some_stay("")
        await self._ask("change_key", key_id=self._own_key(), ends_at=stay.ends_at.isoformat())

    async def _revoke(self) -> None:
        key_id = self._own_key()
        self.asked_to_end.add(key_id)
        await self._ask("revoke_key", key_id=key_id)

    async def _rotate(self) -> None:
        self._note(await self._ask("rotate_pin", key_id=self._own_key()))

    async def _suspend(self) -> None:
        await self._ask("suspend_key", key_id=self._own_key())

    async def _resume(self) -> None:
        await self._ask("resume_key", key_id=self._own_key())

    async def _reveal(self) -> None:
        self._note(await self._ask("get_pin", key_id=self._own_key()))

    async def _open_door(self) -> None:
        unit = self._unit_device(self.luck.choice(HOUSES).name)
        await self._call("open_door", unit=unit)

    async def _unlock(self) -> None:
        await self._call("unlock", domain="lock", entity_id=self._door(GATE))

    async def _reconcile(self) -> None:
        luck = self.luck
        await self._ask("reconcile", dry_run=luck.random() < 0.4, deep=luck.random() < 0.4)

    async def _explain(self) -> None:
        await self._ask("explain_access")

    async def _list(self) -> None:
        await self._ask("get_keys")
        await self._ask("get_audit_log")
        await self._call("get_bookings")

    def _set_options(self) -> None:
        """Change an option, which loads the site anew."""
        luck, entry = self.luck, self.home.entry
        options = dict(entry.options) | {
            "polling_interval": luck.choice([15, 60, 300]),
            "writes_per_minute": luck.choice([60, 120, 600]),
            "name_people": luck.random() < 0.5,
        }
        self.home.hass.config_entries.async_update_entry(entry, options=options)

    def _toggle_unit(self) -> None:
        """Delete a unit, or add it again under another id."""
        if (house := self.luck.choice(HOUSES)).name in self._units():
            self._remove_unit(house)
        else:
            self.add_unit(house)

    def _units(self) -> dict[str, str]:
        """Return the ids of the units by their names."""
        subentries = self.home.entry.subentries.items()
        return {one.title: unit_id for unit_id, one in subentries if one.subentry_type == "unit"}

    def _remove_unit(self, house: House) -> None:
        self.story.append(f"{house.name} is deleted")
        entries = self.home.hass.config_entries
        entries.async_remove_subentry(self.home.entry, self._units()[house.name])

    def add_unit(self, house: House) -> None:
        """Add a unit."""
        self.story.append(f"{house.name} is added")
        subentry = ConfigSubentry(
            data=MappingProxyType(house.data(self.sim)),
            subentry_type="unit",
            title=house.name,
            unique_id=None,
        )
        self.home.hass.config_entries.async_add_subentry(self.home.entry, subentry)

    async def _reload(self) -> None:
        await self.home.hass.config_entries.async_reload(self.home.entry.entry_id)

    # What goes wrong

    def go_wrong(self) -> None:
        """Have something fail, or work again."""
        luck, sim = self.luck, self.sim
        match luck.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                self._fail()
            case 5:
                sim.faults.clear()
                self._well_again()
            case 6:
                sim.revoke_tokens()
            case 7:
                door = lock_named(sim, luck.choice(KEYPADS)).id
                sim.set("lock", door, online=luck.random() < 0.5)
            case 8:
                iq = iq_named(sim, luck.choice(["IQ Reception", "IQ Field"])).id
                sim.set("iq", iq, online=luck.random() < 0.5)
            case 9:
                self.story.append("the clock of Salto is set")
                sim.clock.set(dt_util.utcnow() + luck.choice([-90, 0, 30, 400]) * MINUTE / 10)
            case 10:
                used = sim.world.seats_used(sim.site_id)
                amount = used + luck.choice([0, 2, 500])
                sim.set("site", sim.site_id, subscribed_user_amount=amount)
            case _:
                self._spoil_calendar()

    def _spoil_calendar(self) -> None:
        feed = self.luck.choice(list(self.home.feeds.values()))
        match self.luck.randrange(5):
            case 0:
                feed.answer = HomeAssistantError("away")
            case 1:
                feed.answer = TimeoutError()
            case 2:
                feed.events = []
                feed.async_write_ha_state()
            case 3:
                feed.gate.clear()
            case _:
                feed.answer = "what is this"
        self.story.append(f"calendar {feed.name} spoilt: {feed.answer!r}")

    def _well_again(self) -> None:
        for feed in self.home.feeds.values():
            feed.answer = None
            feed.gate.set()
        self._write_calendars()

    def _fail(self) -> None:
        luck = self.luck
        kinds: list[dict[str, Any]] = [
            {"status": 503},
            {"status": 503, "commit": True},
            {"status": 500},
            {"reset": True},
            {"drop_after_commit": True},
            {"latency": 30.0},
            {"latency": 5.0},
            {"status": 429, "headers": {"Retry-After": str(luck.randint(1, 40))}},
            {"status": 429},
            {"status": 401},
            {"status": 400, "body": {"ErrorCode": "1101", "Message": "No."}},
            {"status": 403, "body": {"ErrorCode": "2203", "Message": "Not allowed."}},
            {"status": 200, "body": "<html>", "commit": True},
            {"truncate": 1},
        ]
        kind, count = luck.choice(kinds), luck.choice([1, 1, 1, 3, 10])
        fault = Fault(
            route=luck.choice(
                ["/v1.", "/v1.", "/guests", "/access_groups", "/pin", "/users", "/locks", "/token"]
            ),
            method=luck.choice([None, "POST", "PATCH", "DELETE", "PUT", "GET"]),
            count=count,
            after=luck.randrange(4),
            **kind,
        )
        self.story.append(f"fault {fault.method} {fault.route} {kind} x{count}")
        self.sim.faults.add(fault)
        self.figures.faults += 1

    async def restart(self) -> None:
        """End Home Assistant in the middle of all, and start another one."""
        luck = self.luck
        unload, calendars_first = luck.random() < 0.5, luck.random() < 0.7
        self.story.append(f"restart, {unload=} {calendars_first=}")
        self.figures.restarts += 1
        await self.home.stop(unload=unload)
        await self._nobody_asks()
        await self.home.start(calendars_first=calendars_first)
        self._write_calendars()

    async def _nobody_asks(self) -> None:
        async with passing(self.home.freezer):
            while self._asking:
                await asyncio.wait(tuple(self._asking))

    # The days

    async def storm(self, steps: int) -> None:
        """Have everything at once, for so many steps of time."""
        luck = self.luck
        for _ in range(steps):
            for _ in range(luck.randint(0, 2)):
                if len(self._asking) < AT_ONCE:
                    self.act()
            if luck.random() < 0.25:
                self.go_wrong()
            if luck.random() < 0.015:
                await self.restart()
            self.home.freezer.tick(
                luck.choice(
                    [0.3, 0.3, 1.01, 1.01, 1.01, 5.01, 5.01, 20.01, 20.01, 61.01, 61.01, 905]
                )
            )
            await self.turn()

    async def calm(self) -> None:
        """Let all be well for a day, have people do what they would, and hold all to the promise."""
        sim, home = self.sim, self.home
        self.story.append("calm")
        sim.faults.clear()
        sim.clock.set(dt_util.utcnow())
        for name in KEYPADS:
            sim.set("lock", lock_named(sim, name).id, online=True)
        for name in ("IQ Reception", "IQ Field"):
            sim.set("iq", iq_named(sim, name).id, online=True)
        sim.set("site", sim.site_id, subscribed_user_amount=1000)
        await self._nobody_asks()
        for house in HOUSES:
            if house.feed:
                stay = self._some_stay(house.name)
                last = replace(stay, ends_at=max(stay.ends_at, stay.starts_at + 60 * HOUR))
                self.in_calendars[f"last of {house.name}"] = last
        self._well_again()
        options = dict(home.entry.options) | {"polling_interval": 60}
        home.hass.config_entries.async_update_entry(home.entry, options=options)
        async with passing(home.freezer):
            await home.hass.config_entries.async_reload(home.entry.entry_id)
        if not home.is_loaded:
            raise ChaosError(f"the site is not there: {home.entry.state} {home.entry.reason}")
        await self.passes(3 * MINUTE, 5)
        async with passing(home.freezer):
            await self._tell_all_again()
        await self.passes(20 * MINUTE, 20)
        async with passing(home.freezer):
            await self._mend()
        await self.passes(12 * HOUR, 300)
        await self.passes(10 * MINUTE, 20)
        async with passing(home.freezer):
            await self._ask("reconcile", dry_run=False, deep=True)
        await self.passes(12 * MINUTE, 20)
        for _ in range(4):  # A stay may have ended just now.
            if not self._is_under_way():
                break
            await self.passes(5 * MINUTE, 20)
        await self._check()

    def _is_under_way(self) -> bool:
        """Tell whether something is being done to a key."""
        ledger = self.home.data.keys.ledger
        removing = any(one.status is KeyStatus.REMOVING for one in ledger.records.values())
        return removing or bool(ledger.intents)

    async def _tell_all_again(self) -> None:
        """Tell of all bookings once more, since of some nobody knows whether that was heard."""
        for booking_id, stay in self.told.items():
            if stay.unit in self._units():
                await self._tell_again(booking_id)

    async def _mend(self) -> None:
        """Do what a person would about keys of which Home Assistant does not know enough."""
        manager = self.home.data.keys.manager
        for key in manager.keys(statuses={KeyStatus.UNKNOWN}):
            self.story.append(f"{key.key_id} is unknown")
            self.asked_to_end.add(key.key_id)
            with suppress(HomeAssistantError):
                await self._ask("revoke_key", key_id=key.key_id)
        for key in manager.keys(statuses={KeyStatus.SET}):
            if key.sealed_pin is None and not key.window.is_over(dt_util.utcnow()):
                self._note(await self._ask("rotate_pin", key_id=key.key_id))

    # What has to be so

    async def _check(self) -> None:
        """Hold everything to the promise. Raises ChaosError."""
        keys = self.home.data.keys
        if keys.ledger.intents:
            raise ChaosError(f"left undone: {dict(keys.ledger.intents)}")
        if keys.manager.read_only is not None:
            raise ChaosError(f"nothing is done by itself: {keys.manager.read_only}")
        live = [record for record in keys.ledger.records.values() if record.is_live]
        self._check_bookings(live)
        self._check_salto(live)
        for key_id in self.by_hand.keys() - self.asked_to_end:
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
        self.figures.bookings += wanted.total()
        if found != wanted:
            raise ChaosError(
                f"without a key: {wanted - found}\nwithout a booking: {found - wanted}"
            )
        known = {booking.booking_id: booking for booking in self.home.data.bookings.bookings()}
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
        now, units = dt_util.utcnow(), self._units()
        margins = {house.name: house.before * MINUTE for house in HOUSES}
        windows: Windows = Counter()
        for stay in (*self.in_calendars.values(), *self.told.values()):
            margin = margins[stay.unit]
            window = (stay.starts_at - margin, stay.ends_at + margin)
            is_sure = stay.status in {"confirmed", "checked_in"}
            if is_sure and window[1] > now and stay.unit in units:
                windows[units[stay.unit], *window] += 1
        return windows

    def _check_salto(self, live: list[KeyRecord]) -> None:
        """Hold Salto to the guests and groups of live keys, and to strangers as they were."""
        marks = {marker(record.key_id) for record in live}
        users = Counter(word for user in guests(self.sim) for word in user.alias.split())
        found = {word: count for word, count in users.items() if word.startswith("ha-")}
        if found != dict.fromkeys(marks, 1):
            raise ChaosError(f"guests at Salto: {found}, not {marks}")
        of_groups = {group.customer_reference.partition(".")[0] for group in groups(self.sim)}
        if of_groups != marks:
            raise ChaosError(f"groups at Salto: {of_groups}, not {marks}")
        if self._strangers() != self.strangers:
            raise ChaosError("somebody without a marker was touched")

    def _check_not_lost(self, key_id: str) -> None:
        """Hold a key that was handed out by hand to be there until its window is over."""
        record = next(
            (one for key, one in self.home.data.keys.ledger.records.items() if key == key_id), None
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
        async with passing(self.home.freezer):
            pin = (await self._ask("get_pin", key_id=record.key_id))["pin"]
        if pin is None:
            raise ChaosError(f"{record.key_id} has no PIN")
        self.pins.add(pin)
        self.figures.keys += 1
        before = self.sim.dump()
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
            in_reach = lock_named(self.sim, name).id in record.doors
            for at, expected in moments.items():
                if opens(self.sim, pin, name, at) is not (in_reach and expected):
                    raise ChaosError(f"{record} at {name} at {at}: not {in_reach and expected}")
        self.sim.restore(self.sim._start, before)

    def _strangers(self) -> list[Any]:
        """List what everybody without a marker is and may."""
        world = self.sim.world
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


def _quirks(luck: random.Random) -> Quirks:
    """Choose how Salto behaves, among what it may do."""
    return Quirks(
        error_code=luck.choice(["string", "number"]),
        list_shape=luck.choice(["envelope", "bare"]),
        locking_success=luck.choice(["200_empty", "200_json", "204"]),
        offline_status=luck.choice([408, 404, 400, 403, 500]),
        subscribe_at_limit=luck.choice(["silent", "refused"]),
        patch_expires_at=luck.choice(["accepted", "ignored", "refused"]),
        end_date_seconds=luck.choice(["kept", "fifty_nine"]),
        group_write_status=luck.choice([200, 204]),
        creation_lag_s=luck.choice([0.0, 60.0]),
        listing_lag_s=luck.choice([0.0, 60.0]),
        detail_lag_s=luck.choice([0.0, 10.0]),
        token_lifetime_s=luck.choice([120, 3600]),
    )


@asynccontextmanager
async def _at_home(
    folder: Path, freezer: FrozenDateTimeFactory, luck: random.Random
) -> AsyncIterator[Chaos]:
    """Set a site with its units up."""
    sim = without_live_events(Simulator("campsite", quirks=_quirks(luck)))
    sim.set("site", sim.site_id, features=["custom_pin"], subscribed_user_amount=1000)
    server = TestServer(sim.app(), host="127.0.0.1")
    await server.start_server(access_log=None)
    home = Home(folder, sim, str(server.make_url("")).rstrip("/"), freezer)
    await home.start()
    try:
        chaos = Chaos(home, sim, luck)
        for house in HOUSES:
            chaos.add_unit(house)
        await chaos.passes(2 * MINUTE, 5)
        yield chaos
        await home.hass.config_entries.async_unload(home.entry.entry_id)
        await check_nothing_runs()
    finally:
        await home.stop(unload=False)
        async with passing(freezer):
            await server.close()


async def bad_days(
    folder: Path, freezer: FrozenDateTimeFactory, seed: int, *, storms: int = 1, steps: int = 150
) -> Figures:
    """Have storms, with a calm day after each; return what has happened.

    Raises ChaosError, with the seed and what was done, for a promise that was not kept.
    """
    luck = random.Random(seed)  # noqa: S311 - repeatable
    asyncio.get_running_loop().set_debug(False)
    with errors_kept() as errors:
        async with _at_home(folder, freezer, luck) as chaos:
            try:
                for _ in range(storms):
                    await chaos.storm(steps)
                    await chaos.calm()
                    errors.check(chaos.pins)
            except BaseException as err:
                err.add_note("\n".join([f"seed {seed}", *chaos.story, *errors.found]))
                raise
        errors.check(chaos.pins)
    return chaos.figures
