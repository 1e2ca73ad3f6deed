"""Have everything go wrong with keys at random, for minutes, and hold what is left to the promise.

python -m benchmarks.soak --minutes 30 --seed 7

A manager with its ledger on disk works on a simulated Salto in this process, in time that goes
fast. People and automations ask for all there is, several at once, twice, and change their minds;
Salto, its doors, the disk and Home Assistant fail. Every now and then all is well for an hour or
two, in which ledger, Salto and keypads have to come to agree; then it goes on.
"""

import argparse
import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
import logging
from pathlib import Path
import random
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, Final, override

from aiohttp import web
from aiohttp.typedefs import Handler
from homeassistant.core import HomeAssistant

from custom_components.salto_ks.api.exceptions import SaltoKsError
from custom_components.salto_ks.domain.ids import KeyId
from custom_components.salto_ks.domain.key_requests import (
    By,
    KeyChange,
    KeyRefusedError,
    KeyRequest,
)
from custom_components.salto_ks.domain.keys import KeyProblem, KeyRecord, KeyStatus, Strategy
from custom_components.salto_ks.domain.windows import AccessWindow
from custom_components.salto_ks.keys.manager import HandedOut, KeyGivenUpError, KeyPendingError
from custom_components.salto_ks.keys.news import NewsKind
from custom_components.salto_ks.keys.provider import KeyFailedError
from custom_components.salto_ks.storage import StorageError
from simulator import Fault, Quirks
from tests.keys.desk import Desk, desk_of
from tests.keys.ledgers import no_room
from tests.keys.offices import INSIDE_ONLY, Office

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
SOMEBODY: Final = By(who="soak")
STORM: Final = 600
"""Turns in which things go wrong, before all is well for a while: about ten seconds."""
AT_ONCE: Final = 8
"""How many people ask at the same time."""

_EXPECTED = (
    KeyFailedError,
    KeyGivenUpError,
    KeyPendingError,
    KeyRefusedError,
    SaltoKsError,
    StorageError,
)
_OF_A_FULL_DISK: Final = (
    "Saving file failed",
    "Error writing config",
    "is not on disk",
)
"""What may be in the log as an error: only what a full disk causes."""


class SoakError(Exception):
    """A promise that was not kept."""


@dataclass(slots=True)
class Figures:
    """What has happened."""

    operations: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    restarts: int = 0
    full_disks: int = 0
    requests: int = 0
    hours: float = 0.0
    checks: int = 0
    repaired: int = 0
    discrepancies: int = 0

    @override
    def __str__(self) -> str:
        """Write them on one line."""
        outcomes = ", ".join(f"{name} {count}" for name, count in self.outcomes.most_common())
        return (
            f"{self.operations.total()} operations ({outcomes}), {self.faults} faults, "
            f"{self.restarts} restarts, {self.full_disks} full disks, {self.requests} requests, "
            f"{self.hours:.0f} simulated hours, {self.checks} checks, {self.repaired} repaired, "
            f"{self.discrepancies} discrepancies"
        )


class Errors(logging.Handler):
    """Keeps what is logged as an error and is none that a full disk explains."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        text = record.getMessage()
        if not any(known in text for known in _OF_A_FULL_DISK):
            self.found.append(self.format(record))

    def note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep what the event loop could give to nobody."""
        self.found.append(repr(context))

    def check(self) -> None:
        """Raise SoakError for what there is."""
        if self.found:
            raise SoakError("\n".join(self.found))


class Soak:
    """Days of a site on which nothing is to be relied on."""

    def __init__(self, office: Office, luck: random.Random, figures: Figures) -> None:
        """Have an office, and begin on a good day."""
        self.office = office
        self.luck = luck
        self.figures = figures
        self.disk = ExitStack()
        self.is_full = False
        self.story: deque[str] = deque(maxlen=400)
        """What was done last, to be told when a promise was not kept."""
        self.handed_out: dict[KeyId, str | None] = {}
        self.asked_to_end: set[KeyId] = set()
        self.failed: set[KeyId] = set()
        self.strangers = office.desk.strangers()
        self._bookings = 0
        self._requests: deque[KeyRequest] = deque(maxlen=30)
        self._asking: set[asyncio.Task[None]] = set()

    @property
    def desk(self) -> Desk:
        """Return the desk."""
        return self.office.desk

    # What people do

    async def act(self) -> None:
        """Ask for something."""
        luck = self.luck
        acts: dict[str, tuple[int, Callable[[], Awaitable[object]]]] = {
            "issue": (30, self._issue),
            "issue again": (10, self._issue_again),
            "change": (15, lambda: self._with_key(self._change)),
            "suspend": (6, lambda: self._with_key(self._simply("suspend"))),
            "resume": (8, lambda: self._with_key(self._simply("resume"))),
            "rotate": (8, lambda: self._with_key(self._simply("rotate"))),
            "reveal": (6, lambda: self._with_key(self._simply("reveal"))),
            "reissue": (4, lambda: self._with_key(self._simply("reissue"))),
            "revoke": (12, lambda: self._with_key(self._revoke)),
            "use": (8, lambda: self._with_key(self._use)),
            "reconcile": (2, self._reconcile),
        }
        (name,) = luck.choices(list(acts), [weight for weight, _ in acts.values()])
        self.figures.operations[name] += 1
        try:
            await acts[name][1]()
            outcome = "done"
        except _EXPECTED as err:
            outcome = type(err).__name__
            self.story.append(f"{name}: {type(err).__name__} {err}")
        self.figures.outcomes[outcome] += 1

    def ask(self) -> None:
        """Have somebody ask for something, who may lose patience."""
        task = asyncio.create_task(self.act())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        if self.luck.random() < 0.1:
            asyncio.get_running_loop().call_later(self.luck.random() / 10, task.cancel)

    async def nobody_asks(self) -> None:
        """Wait until everybody has an answer."""
        while self._asking:
            done, _ = await asyncio.wait(self._asking)
            for task in done:
                with suppress(asyncio.CancelledError):
                    task.result()

    async def _issue(self) -> None:
        luck, now = self.luck, self.desk.sim.clock.now()
        start = now + luck.randint(-60, 6 * 60) * MINUTE
        self._bookings += 1
        request = self.office.request(
            *luck.sample(self.desk.doors, luck.randint(1, 3)),
            booking=f"b{self._bookings}" if luck.random() < 0.8 else None,
            starts_at=start,
            lasts=luck.randint(90, 8 * 60) * MINUTE,
            strategy=luck.choice(list(Strategy)),
            pin_length=luck.choice([None, None, 4, 6]),
        )
        self._requests.append(request)
        times = luck.choice([1, 1, 1, 2]) if request.booking_id is not None else 1
        await asyncio.gather(*(self._handed(request) for _ in range(times)))

    async def _issue_again(self) -> None:
        if self._requests:
            await self._handed(self.luck.choice(self._requests))

    async def _handed(self, request: KeyRequest) -> None:
        key = await self.office.manager.issue(request, SOMEBODY)
        self._note(key)

    def _note(self, key: HandedOut) -> None:
        self.story.append(f"{key.record.key_id} handed out")
        self.handed_out[key.record.key_id] = key.keypad_pin

    async def _with_key(self, act: Callable[[KeyRecord], Awaitable[object]]) -> None:
        known = self.office.manager.keys()
        keys = [key for key in known if key.is_live]
        if keys:
            await act(self.luck.choice(keys[:40]))

    def _simply(self, name: str) -> Callable[[KeyRecord], Awaitable[None]]:
        async def act(key: KeyRecord) -> None:
            self.story.append(f"{key.key_id} {name}")
            done = await getattr(self.office.manager, name)(key.key_id, SOMEBODY)
            if isinstance(done, HandedOut):
                self._note(done)

        return act

    async def _change(self, key: KeyRecord) -> None:
        luck, window = self.luck, key.window
        by = luck.randint(-3, 5) * HOUR
        change = luck.choice(
            [
                KeyChange(ends_at=window.ends_at + by),
                KeyChange(starts_at=window.starts_at + by, ends_at=window.ends_at + by),
                KeyChange(ends_at=window.ends_at + timedelta(days=luck.choice([1, 50]))),
                KeyChange(doors=frozenset(luck.sample(self.desk.doors, 2))),
            ]
        )
        self.story.append(f"{key.key_id} change {change}")
        await self.office.manager.change(key.key_id, change, SOMEBODY)

    async def _revoke(self, key: KeyRecord) -> None:
        self.asked_to_end.add(key.key_id)
        await self._simply("revoke")(key)

    async def _use(self, key: KeyRecord) -> None:
        if key.guest is not None:
            at = self.desk.sim.clock.now() - self.luck.choice([0, 1]) * MINUTE
            await self.office.manager.note_use(key.guest.person_id, at)

    async def _reconcile(self) -> None:
        done = await self.office.manager.reconcile(dry_run=self.luck.random() < 0.3)
        self.figures.repaired += len(done.repaired)

    # What goes wrong

    def go_wrong(self) -> None:
        """Have something fail, or work again."""
        luck, sim = self.luck, self.desk.sim
        match luck.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                self._fail()
            case 5:
                sim.faults.clear()
            case 6:
                sim.revoke_tokens()
            case 7:
                door = luck.choice(self.desk.doors)
                sim.set("lock", door, online=luck.random() < 0.5)
            case 8:
                self.office.is_active = luck.random() < 0.7
            case 9:
                used = sim.world.seats_used(sim.site_id)
                sim.set("site", sim.site_id, subscribed_user_amount=used + luck.choice([1, 3, 500]))
            case 10 if luck.random() < 0.5:
                self.fill_disk()
            case _:
                self.make_room()

    def _fail(self) -> None:
        luck = self.luck
        kinds: list[dict[str, Any]] = [
            {"status": 503},
            {"status": 503, "commit": True},
            {"status": 500},
            {"reset": True},
            {"drop_after_commit": True},
            {"latency": 0.05},
            {"status": 429, "headers": {"Retry-After": str(luck.randint(1, 40))}},
            {"status": 429},
            {"status": 400, "body": {"ErrorCode": "1101", "Message": "No."}},
            {"status": 403, "body": {"ErrorCode": "2203", "Message": "Not allowed."}},
            {"status": 200, "body": "<html>", "commit": True},
            {"truncate": 1},
        ]
        count = luck.choice([1, 1, 1, 3, 20])
        kind = luck.choice(kinds)
        fault = Fault(
            route=luck.choice(["/v1.", "/v1.", "/guests", "/access_groups", "/pin", "/users"]),
            method=luck.choice([None, "POST", "PATCH", "DELETE", "PUT", "GET"]),
            count=count,
            after=luck.randrange(4),
            **kind,
        )
        self.story.append(f"fault {fault.method} {fault.route} {kind} x{count}")
        self.desk.sim.faults.add(fault)
        self.figures.faults += 1

    def fill_disk(self) -> None:
        """Let no file be written any more."""
        if not self.is_full:
            self.story.append("the disk is full")
            self.is_full = True
            self.figures.full_disks += 1
            self.disk.enter_context(no_room())

    def make_room(self) -> None:
        """Let files be written again."""
        if self.is_full:
            self.story.append("the disk has room")
        self.is_full = False
        self.disk.close()

    async def restart(self) -> None:
        """Cut the manager off, or let it end, and start another one."""
        self.story.append("restart")
        self.figures.restarts += 1
        self.make_room()
        self.note_news()
        await self.office.restart(self.luck.choice([0, 0, 0.05]))

    # The days

    async def storm(self, turns: int) -> None:
        """Have everything at once, for as many turns."""
        for _ in range(turns):
            for _ in range(self.luck.randint(0, 3)):
                if len(self._asking) < AT_ONCE:
                    self.ask()
            if self.luck.random() < 0.3:
                self.go_wrong()
            if self.luck.random() < 0.02:
                await self.restart()
            self.desk.sim.clock.advance(self.luck.randint(0, 40))
            self.office.poll()
            await self.office.manager.tick()
            await asyncio.sleep(self.luck.random() / 50)
        self.make_room()
        await self.nobody_asks()

    async def calm(self) -> None:
        """Let all be well for some hours, and see that all has come right."""
        sim = self.desk.sim
        sim.faults.clear()
        self.story.append("calm")
        self.office.is_active = True
        sim.set("site", sim.site_id, subscribed_user_amount=1000)
        for door in self.desk.doors:
            sim.set("lock", door, online=True)
        await self.office.passes(6 * MINUTE)
        await self._mend()
        await self.office.passes(70 * MINUTE, every=MINUTE)
        done = await self.office.manager.reconcile(dry_run=False)
        self.figures.repaired += len(done.repaired)
        await self.office.passes(6 * MINUTE, every=MINUTE)
        self.note_news()
        await self._check()
        self.figures.checks += 1

    async def _mend(self) -> None:
        """Do what a person would about keys that need one."""
        manager = self.office.manager
        for key in manager.keys(statuses={KeyStatus.UNKNOWN}):
            self.asked_to_end.add(key.key_id)
            await manager.revoke(key.key_id, SOMEBODY)
        for key in manager.keys(statuses={KeyStatus.SET}):
            if key.sealed_pin is None and not key.window.is_over(self.desk.sim.clock.now()):
                await manager.rotate(key.key_id, SOMEBODY)

    def note_news(self) -> None:
        """Take note of the keys that were told as failed."""
        for news in self.office.news:
            if news.kind is NewsKind.FAILED:
                self.failed.add(news.record.key_id)
        self.office.news.clear()

    async def _check(self) -> None:
        """Hold everything to the promise. Raises SoakError or AssertionError."""
        office = self.office
        if office.ledger.intents or office.ledger.unwritten:
            raise SoakError(f"left undone: {dict(office.ledger.intents)}")
        await office.assert_agreed()
        self.figures.discrepancies += len(office.passes_made[-1].discrepancies)
        if self.desk.strangers() != self.strangers:
            raise SoakError("somebody without a marker was touched")
        for key_id in self.handed_out:
            self._check_not_lost(key_id)
        for record in office.manager.keys(statuses={KeyStatus.SET, KeyStatus.SUSPENDED}):
            await self._check_at_the_door(record)

    def _check_not_lost(self, key_id: KeyId) -> None:
        """Hold a key that was handed out to be there, unless it was ended or told as failed."""
        record = self.office.ledger.records.get(key_id)
        if key_id in self.asked_to_end or key_id in self.failed:
            return
        if record is None:
            raise SoakError(f"{key_id} is lost")
        if record.is_live or record.errors:
            return
        if not record.window.is_over(self.desk.sim.clock.now()):
            raise SoakError(f"{key_id} has ended before its window: {record}")

    async def _check_at_the_door(self, record: KeyRecord) -> None:
        """Hold a PIN to open the key's doors in its window, and no others and never else."""
        if record.status is KeyStatus.SUSPENDED and KeyProblem.PIN_LOST in record.errors:
            return
        key = await self.office.manager.reveal(record.key_id, SOMEBODY)
        if key.keypad_pin is None:
            raise SoakError(f"{record.key_id} has no PIN")
        now, window = self.desk.sim.clock.now(), record.window
        if record.guest is not None and record.guest.expires_at is not None:
            last = min(window.ends_at, record.guest.expires_at)
            window = AccessWindow(min(window.starts_at, last - MINUTE), last)
        is_set = record.status is KeyStatus.SET
        seen: tuple[bool, ...]
        wanted: tuple[bool, ...]
        with self.desk.aside():
            for door in self.desk.doors:
                in_reach = is_set and door in record.doors
                if record.strategy is Strategy.MEMBERSHIP:
                    if timedelta() <= now - window.starts_at < 6 * MINUTE:
                        continue
                    seen = (self.desk.opens(door, key.keypad_pin, now),)
                    wanted = (in_reach and window.holds(now),)
                elif window.starts_at > now + 6 * MINUTE:
                    seen = self.desk.edges(door, key.keypad_pin, window)
                    wanted = INSIDE_ONLY if in_reach else (False,) * 4
                else:
                    moments = (now, window.ends_at - MINUTE, window.ends_at + MINUTE)
                    seen = tuple(self.desk.opens(door, key.keypad_pin, at) for at in moments)
                    wanted = (in_reach and window.holds(now), in_reach, False)
                if seen != wanted:
                    raise SoakError(f"{record} opens {seen} at {door}, not {wanted}")


def _quirks(luck: random.Random) -> Quirks:
    """Choose how Salto behaves, among what it may do."""
    return Quirks(
        error_code=luck.choice(["string", "number"]),
        list_shape=luck.choice(["envelope", "bare"]),
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
async def _office(folder: Path, luck: random.Random, figures: Figures) -> AsyncIterator[Office]:
    """Open an office on a folder, with a Home Assistant that has storage and nothing else."""

    @web.middleware
    async def counted(request: web.Request, handler: Handler) -> web.StreamResponse:
        figures.requests += 1
        return await handler(request)

    hass = HomeAssistant(str(folder))
    try:
        async with desk_of(_quirks(luck), around=counted, per_minute=120) as desk:
            desk.sim.set("site", desk.site_id, features=["custom_pin"], subscribed_user_amount=1000)
            desk.set_zone(desk.doors[-1], "America/New_York")
            office = await Office(hass, desk).open()
            office.random = luck
            try:
                yield office
            finally:
                await office.manager.close(0)
    finally:
        await hass.async_stop(force=True)


async def soak(folder: Path, minutes: float, seed: int, *, storm: int = STORM) -> Figures:
    """Do it for so long, and one day at least; return what has happened.

    Raises SoakError or AssertionError.
    """
    luck, figures, errors = random.Random(seed), Figures(), Errors()  # noqa: S311 - repeatable
    until = monotonic() + 60 * minutes
    logging.getLogger().addHandler(errors)
    asyncio.get_running_loop().set_exception_handler(errors.note)
    try:
        async with _office(folder, luck, figures) as office:
            days, began = Soak(office, luck, figures), office.desk.sim.clock.now()
            try:
                while figures.checks == 0 or monotonic() < until:
                    await days.storm(storm)
                    await days.calm()
                    errors.check()
            except Exception as err:
                days.make_room()
                err.add_note("\n".join(days.story))
                raise
            figures.hours = (office.desk.sim.clock.now() - began) / HOUR
            if office.tasks:
                raise SoakError(f"tasks are left: {office.tasks}")
    finally:
        logging.getLogger().removeHandler(errors)
    errors.check()
    return figures


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="luck")
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    with TemporaryDirectory() as folder:
        figures = asyncio.run(soak(Path(folder), options.minutes, options.seed))
    print(f"seed {options.seed}: {figures}")


if __name__ == "__main__":
    main()
