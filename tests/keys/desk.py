"""A front desk in a simulated world: keys are issued by HTTP, and time is moved by waiting."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import itertools
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Middleware

from custom_components.salto_ks.api import Credentials
from custom_components.salto_ks.api.models import SiteId
from custom_components.salto_ks.api.transport import TIMEOUT
from custom_components.salto_ks.domain.ids import DoorId, key_id, marker
from custom_components.salto_ks.domain.keys import KeyRecord, KeyStatus
from custom_components.salto_ks.domain.windows import AccessWindow
from custom_components.salto_ks.keys.connect_provider import ConnectProvider
from custom_components.salto_ks.keys.provider import Issued
from custom_components.salto_ks.keys.writer import Writer, WriteRate
from simulator import Quirks, Simulator
from simulator.seeds import SeedName
from simulator.world import LockId
from tests.api.accounts import client_of

MORNING = datetime(2026, 12, 7, 8, 0, tzinfo=UTC)
"""When a test begins, a Monday in winter."""

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
LAGS_OVER = timedelta(minutes=6)


class Moving:
    """Time that passes by being waited for: for us, for the simulated service and its doors."""

    def __init__(self, sim: Simulator) -> None:
        """Move the clock of `sim`."""
        self._sim = sim
        self._waited = 0.0
        self.pauses: list[float] = []
        self.real = 0.0
        """Seconds of real time that each pause takes, for what is late in real time."""

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self.pauses.append(seconds)
        self._waited += seconds
        self._sim.clock.advance(seconds)
        await asyncio.sleep(self.real)

    def monotonic(self) -> float:
        """Tell how much was waited."""
        return self._waited


class Desk:
    """A provider with its simulator, and the words of a test about both."""

    def __init__(
        self, sim: Simulator, session: aiohttp.ClientSession, url: Any, **options: Any
    ) -> None:
        """Stand at the main site of `sim`."""
        known = sim.seed_info()
        self.sim = sim
        self.time = Moving(sim)
        self.session = session
        self.url = url
        self.site_id = SiteId(known["site_id"])
        self.client = client_of(
            session,
            url,
            credentials=Credentials(
                client_id=known["client_id"],
                client_secret=known["client_secret"],
                username=known["username"],
                password=known["password"],
            ),
            timeout=options.pop("timeout", TIMEOUT),
        )
        self.name = "Pitch 12"
        per_minute = options.pop("per_minute", 10_000)
        self.rate = WriteRate(per_minute, sleep=self.time.sleep, monotonic=self.time.monotonic)
        self.writer = Writer(
            self.rate,
            jitter=lambda: 1.0,
            sleep=self.time.sleep,
            monotonic=self.time.monotonic,
        )
        self.provider = ConnectProvider(
            self.client,
            self.site_id,
            self.writer,
            zone_of=self.zone_of,
            alias_of=lambda _: self.name,
            clock=sim.clock.now,
        )
        self.doors = tuple(
            DoorId(lock["id"])
            for lock in known["locks"]
            if lock["lock_type"].endswith("_pin")
            and lock["name"] not in {"Pitch 13 cabin", "Pitch 21 cabin"}
        )
        """Doors with a keypad, online and not in privacy mode, those of two IQs among them."""
        self._numbers = itertools.count(1)

    def zone_of(self, door: DoorId) -> str:
        """Tell the time zone of a door's IQ, as a listing of IQs would."""
        lock = self.sim.world.locks[LockId(door)]
        iq = self.sim.world.iq_of(lock)
        assert iq is not None
        return iq.time_zone

    def set_zone(self, door: DoorId, zone: str) -> None:
        """Move the IQ of a door to another time zone."""
        lock = self.sim.world.locks[LockId(door)]
        assert lock.iq_id is not None
        self.sim.set("iq", lock.iq_id, time_zone=zone)

    def record(
        self,
        *doors: DoorId,
        starts_at: datetime | None = None,
        lasts: timedelta = 3 * HOUR,
        **more: Any,
    ) -> KeyRecord:
        """Write a key down that is to be issued, by default for the first door in two hours."""
        now = self.sim.clock.now()
        start = starts_at or now.replace(second=0, microsecond=0) + 2 * HOUR
        return KeyRecord(
            **{
                "key_id": key_id("ab12", next(self._numbers)),
                "doors": frozenset(doors or self.doors[:1]),
                "window": AccessWindow(start, start + lasts),
                "status": KeyStatus.SETTING,
                "created_at": now,
                "changed_at": now,
            }
            | more
        )

    async def issued(self, *doors: DoorId, **more: Any) -> Issued:
        """Issue a key and take it as set."""
        issued = await self.provider.issue(self.record(*doors, **more), None)
        return replace(issued, record=replace(issued.record, status=KeyStatus.SET))

    def opens(self, door: DoorId, keypad_pin: str, at: datetime | None = None) -> bool:
        """Type a PIN at a door, at a moment."""
        if at is not None:
            self.sim.clock.set(at)
        return self.sim.keypad(door, keypad_pin).result == "opened"

    def edges(self, door: DoorId, keypad_pin: str, window: AccessWindow) -> tuple[bool, ...]:
        """Type a PIN a minute before, at both ends of, and a minute after a window."""
        start, end = window.starts_at, window.ends_at
        moments = (start - MINUTE, start, end - MINUTE, end + MINUTE)
        return tuple(self.opens(door, keypad_pin, moment) for moment in moments)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Try something in the world, and have it as it was afterwards."""
        before = self.sim.dump()
        try:
            yield
        finally:
            self.sim.restore(self.sim._start, before)

    def guests(self, record: KeyRecord) -> list[Any]:
        """List the guests of a key that are at Salto."""
        mark = marker(record.key_id)
        return [
            user
            for user in self.sim.world.users.values()
            if mark in user.alias.split() and user.deleted_at is None
        ]

    def groups(self, record: KeyRecord) -> list[Any]:
        """List the groups of a key that are at Salto."""
        mark = f"{marker(record.key_id)}."
        return [
            group
            for group in self.sim.world.groups.values()
            if group.customer_reference.startswith(mark)
        ]

    def strangers(self) -> list[Any]:
        """List what everybody without a marker is and may, to see that it stays so."""
        world = self.sim.world
        return [
            *(
                (
                    u.id,
                    u.alias,
                    u.subscription_state,
                    u.use_pin,
                    u.blocked,
                    u.expires_at,
                    hash(u.pin),
                )
                for u in world.users.values()
                if "ha-" not in u.alias
            ),
            *(
                (g.id, g.customer_reference, g.lock_ids, g.user_ids)
                for g in world.groups.values()
                if "ha-" not in g.customer_reference
            ),
        ]

    async def calls(self, work: Awaitable[object]) -> list[str]:
        """Do some work and list the requests that it made, without those for a token."""
        before = len(self.sim.journal.entries)
        await work
        return [
            f"{entry.method} {_short(entry.route)}"
            for entry in self.sim.journal.entries[before:]
            if entry.route != "/connect/token"
        ]


def _short(route: str) -> str:
    """Cut version and site off a route."""
    return route.rpartition("/sites/{site}")[2] or "/"


@asynccontextmanager
async def desk_of(
    quirks: Quirks | None = None,
    *,
    seed: SeedName = "campsite",
    now: datetime = MORNING,
    around: Middleware | None = None,
    **options: Any,
) -> AsyncIterator[Desk]:
    """Serve a simulator, with something around its handlers if given, and stand at its desk."""
    asyncio.get_running_loop().set_debug(False)
    sim = Simulator(seed, quirks=quirks or Quirks.instant())
    sim.clock.set(now)
    app = sim.app()
    if around is not None:
        app.middlewares.append(around)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(access_log=None)
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            yield Desk(sim, session, server.make_url("/"), **options)
    finally:
        await server.close()


def digits(*pins: str) -> Callable[[], str]:
    """Choose these PINs one after another."""
    left: Iterator[str] = iter(pins)
    return lambda: next(left)
