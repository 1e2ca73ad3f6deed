"""What keys cost: many in a row, a ledger of many, and comparing many with Salto."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
import gc
import json
from pathlib import Path
import random
from time import perf_counter, process_time
import tracemalloc
from typing import Any, Final
from zoneinfo import ZoneInfo

import aiohttp
from homeassistant.core import HomeAssistant
from yarl import URL

from custom_components.salto_ks.api import Credentials
from custom_components.salto_ks.api.models import SiteId
from custom_components.salto_ks.domain.ids import (
    BookingId,
    DoorId,
    GroupId,
    GuestId,
    KeyId,
    PersonId,
    TimesId,
    group_name,
    marked,
    marker,
)
from custom_components.salto_ks.domain.key_requests import By, DoorFacts, KeyRequest
from custom_components.salto_ks.domain.keys import DoorGroup, Guest, KeyRecord, KeyStatus
from custom_components.salto_ks.domain.windows import AccessWindow
from custom_components.salto_ks.keys.connect_provider import ConnectProvider
from custom_components.salto_ks.keys.ledger import Ledger
from custom_components.salto_ks.keys.manager import (
    HandedOut,
    KeyManager,
    KeyPendingError,
    KeyRules,
)
from custom_components.salto_ks.keys.pin_cipher import PinCipher
from custom_components.salto_ks.keys.writer import Writer, WriteRate
from simulator import Simulator
from simulator.world import AccessGroup, LocalTime, Person, Schedule, SiteUser
from tests.api.accounts import client_of

from .fast_time import FastTime
from .simulated import Simulated, simulated
from .watch import Cost, measured

IN_A_ROW: Final = 500
MANY: Final = 10_000
IN_DEPTH: Final = 1_000
INSTANCE: Final = "ab12"
"""Of the ledger that a built world belongs to."""
PER_MINUTE: Final = 120
"""Writes a minute, as many as an entry has by default."""
FAULTY: Final = 0.01
"""Part of the requests that go wrong."""

_FAULTS_ARMED: Final = IN_A_ROW // 2
"""More than there will be requests for."""
_NOBODY: Final = By(who="benchmark")
_ZONE: Final = "Europe/Amsterdam"
_SECOND: Final = timedelta(seconds=1)
"""By which the last second that counts is before the end."""
_FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"status": 503},
    {"status": 503, "commit": True},
    {"reset": True},
    {"drop_after_commit": True},
    {"status": 429, "headers": {"Retry-After": "5"}},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCosts:
    """Many keys, issued as fast as they may be."""

    keys: int
    faults: int
    issued: int
    doubled: int
    """Keys with more than one guest in the end."""
    opening: int
    """Keys whose PIN opens its door in its window."""
    hours: float
    """Simulated time until all were issued."""
    most_writes: int
    """Writes in the minute that had the most."""
    requests: int
    cpu: float
    """CPU time of this process for each key, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerCosts:
    """A ledger of many keys."""

    keys: int
    load: float
    """Seconds from nothing to a ledger that can be used."""
    load_block: float
    change: Cost
    """What it costs to change one key."""
    memory: int
    """Bytes of the Python objects of a ledger that was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassCosts:
    """A comparison of many keys with Salto."""

    keys: int
    requests: int
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyCosts:
    """All about keys."""

    row: RowCosts
    ledger: LedgerCosts
    tick: float
    """CPU time of looking for what is due among many keys, in seconds."""
    comparison: PassCosts
    deep: PassCosts
    """The same of fewer keys, each of which is read as a whole."""


async def measure_keys(folder: Path) -> KeyCosts:
    """Measure everything about keys, with files in a folder."""
    few, many, state = _folder(folder, "few"), _folder(folder, "many"), folder / "world.json"
    row = await _measure_row(few)
    ledger = await _measure_ledger(many, build_world(state, doors=12, keys=MANY))
    tick, comparison = await _measure_pass(many, state)
    deep = await _measure_deep(_folder(folder, "deep"))
    return KeyCosts(row=row, ledger=ledger, tick=tick, comparison=comparison, deep=deep)


def _folder(parent: Path, name: str) -> Path:
    """Make a folder."""
    folder = parent / name
    folder.mkdir()
    return folder


# Many in a row


async def _measure_row(folder: Path) -> RowCosts:
    """Issue many keys while one request in a hundred goes wrong."""
    luck = random.Random(1)  # noqa: S311 - repeatable dice of a benchmark, guard nothing
    async with (
        simulated(12, seats=2 * IN_A_ROW) as site,
        _house(folder) as hass,
        aiohttp.ClientSession() as control,
    ):
        time = FastTime(site.url, control, lambda: bool(hass._tasks))  # noqa: SLF001 - tells whether Home Assistant is busy
        async with _manager(hass, site, time) as manager:
            await _arm(control, site, luck)
            start, begun = process_time(), time.monotonic()
            async with time.going_on():
                pins = await _issue_all(manager, site, time)
                hours = (time.monotonic() - begun) / 3600
                cpu = process_time() - start
                requests, faults = time.requests, await _disarm(control, site)
                await _let_pass(manager, time, timedelta(minutes=7))
            guests = await _guests(control, site)
            return RowCosts(
                keys=IN_A_ROW,
                faults=faults,
                issued=len(manager.keys(statuses={KeyStatus.SET})),
                doubled=sum(count > 1 for count in guests.values()),
                opening=await _opening(control, site, manager, pins, time),
                hours=hours,
                most_writes=_most_in_a_minute(time.writes),
                requests=requests,
                cpu=cpu / IN_A_ROW,
            )


async def _issue_all(
    manager: KeyManager, site: Simulated, time: FastTime
) -> dict[KeyId, str | None]:
    """Have all keys issued, those that had to wait too; return their PINs."""
    start = time.now().replace(second=0, microsecond=0) + timedelta(days=2)

    async def issue(number: int) -> HandedOut:
        request = KeyRequest(
            doors=frozenset({DoorId(site.seed.lock_ids[number % len(site.seed.lock_ids)])}),
            starts_at=start,
            ends_at=start + timedelta(days=1),
            booking_id=BookingId(f"booking {number}"),
        )
        while True:
            try:
                return await manager.issue(request, _NOBODY)
            except KeyPendingError:
                await time.sleep(20)

    keys = await asyncio.gather(*map(issue, range(IN_A_ROW)))
    return {key.record.key_id: key.keypad_pin for key in keys}


async def _let_pass(manager: KeyManager, time: FastTime, lasts: timedelta) -> None:
    """Let time pass, looking for what is due now and then."""
    until = time.monotonic() + lasts.total_seconds()
    while time.monotonic() < until:
        await manager.tick()
        await time.sleep(20)


async def _arm(control: aiohttp.ClientSession, site: Simulated, luck: random.Random) -> None:
    """Have requests go wrong here and there."""
    every = round(1 / FAULTY)
    for number in range(_FAULTS_ARMED):
        fault = {
            **luck.choice(_FAULTS),
            "route": "/v1.",
            "after": number * every + luck.randrange(every),
        }
        async with control.post(f"{site.url}/_sim/faults", json=fault, raise_for_status=True):
            pass


async def _disarm(control: aiohttp.ClientSession, site: Simulated) -> int:
    """Have all work again; return how many requests have gone wrong."""
    async with control.get(f"{site.url}/_sim/faults") as answer:
        left = len(await answer.json())
    async with control.delete(f"{site.url}/_sim/faults"):
        return _FAULTS_ARMED - left


async def _guests(control: aiohttp.ClientSession, site: Simulated) -> Counter[KeyId]:
    """Count the guests of each key at Salto."""
    async with control.get(f"{site.url}/_sim/world", params={"kind": "user"}) as answer:
        users = await answer.json()
    found = (marked(user["alias"]) for user in users if user["deleted_at"] is None)
    return Counter(key_id for key_id in found if key_id is not None)


async def _opening(
    control: aiohttp.ClientSession,
    site: Simulated,
    manager: KeyManager,
    pins: dict[KeyId, str | None],
    time: FastTime,
) -> int:
    """Type each PIN at its door, in its window; count those that open."""
    opened = 0
    records = manager.keys(statuses={KeyStatus.SET})
    inside = max(record.window.starts_at for record in records) + timedelta(hours=1)
    advance = (inside - time.now()).total_seconds()
    async with control.post(f"{site.url}/_sim/clock", json={"advance": advance}):
        pass
    for record in records:
        body = {"lock_id": next(iter(record.doors)), "pin": pins[record.key_id]}
        async with control.post(f"{site.url}/_sim/keypad", json=body) as answer:
            opened += (await answer.json())["result"] == "opened"
    return opened


def _most_in_a_minute(moments: list[float]) -> int:
    """Count the writes of the minute that had the most; its ends are only as sharp as numbers."""
    most, first = 0, 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - 59.999:
            first += 1
        most = max(most, last - first + 1)
    return most


# A ledger of many


def build_world(state: Path, *, doors: int, keys: int) -> list[dict[str, Any]]:
    """Write a world with many keys to a state file; return what the ledger has of them.

    Each door has as many as any other, give or take one.
    """
    sim = Simulator("large", doors=doors, users=0)
    world, site_id = sim.world, sim.site_id
    guest_role = world.role(site_id, "site_guest").id
    created = sim.clock.now() - timedelta(days=2)
    locks = [lock.id for lock in world.locks_of(site_id)]
    window, zone = _stay(), ZoneInfo(_ZONE)
    starts = LocalTime(window.starts_at.astimezone(zone).replace(tzinfo=None))
    ends = LocalTime((window.ends_at - _SECOND).astimezone(zone).replace(tzinfo=None))
    found = []
    for number in range(1, keys + 1):
        key_id = KeyId(f"{INSTANCE}-{number}")
        person = world.insert(Person(id=sim.dice.uuid()))  # type: ignore[arg-type] # an id
        user = world.insert(
            SiteUser(
                id=sim.dice.uuid(),  # type: ignore[arg-type] # an id
                site_id=site_id,
                user_id=person.id,
                role_ids=(guest_role,),
                alias=f"Home Assistant {marker(key_id)}",
                use_pin=True,
                pin=f"{number:06d}",
                created_at=created,
            )
        )
        lock = locks[number % len(locks)]
        group = world.insert(
            AccessGroup(
                id=sim.dice.uuid(),  # type: ignore[arg-type] # an id
                site_id=site_id,
                customer_reference=group_name(key_id, 1),
                lock_ids=(lock,),
                user_ids=(person.id,),
                created_at=created,
            )
        )
        schedule = world.insert(
            Schedule(
                id=sim.dice.uuid(),  # type: ignore[arg-type] # an id
                group_id=group.id,
                start_date=starts,
                end_date=ends,
            )
        )
        found.append(
            {
                "user": user.id,
                "person": person.id,
                "group": group.id,
                "schedule": schedule.id,
                "lock": lock,
            }
        )
    world.sites[site_id].subscribed_user_amount = 2 * keys
    state.write_text(json.dumps(sim.dump()), encoding="utf-8")
    return found


def _stay() -> AccessWindow:
    """Return when the keys of a built world open: neither soon nor at an odd hour."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    return AccessWindow(noon + timedelta(days=4), noon + timedelta(days=11))


def records_of(
    ledger: Ledger, cipher: PinCipher, things: list[dict[str, Any]]
) -> Iterator[KeyRecord]:
    """Return the records of many keys of a built world, in the order of their numbers.

    None of them is so near, or so new, that a comparison would read it as a whole.
    """
    now, window = datetime.now(UTC), _stay()
    for number, thing in enumerate(things, start=1):
        doors = frozenset({DoorId(thing["lock"])})
        yield KeyRecord(
            key_id=ledger.new_key_id(),
            doors=doors,
            window=window,
            status=KeyStatus.SET,
            booking_id=BookingId(f"booking {number}"),
            label="Family Jansen, pitch 12",
            sealed_pin=cipher.seal(f"{number:06d}"),
            guest=Guest(
                id=GuestId(thing["user"]),
                person_id=PersonId(thing["person"]),
                expires_at=window.ends_at + timedelta(days=30),
            ),
            groups=(
                DoorGroup(
                    id=GroupId(thing["group"]),
                    zone=_ZONE,
                    doors=doors,
                    times_id=TimesId(thing["schedule"]),
                    member=True,
                ),
            ),
            created_at=now - timedelta(days=2),
            changed_at=now - timedelta(days=2),
            pin_set_at=now - timedelta(days=2),
        )


async def fill(ledger: Ledger, records: Callable[[], Iterable[KeyRecord]]) -> None:
    """Put many keys of a built world into a ledger at once, which nobody but a benchmark does.

    The records are asked for when the ledger numbers keys as the world does.
    """
    ledger._instance = INSTANCE  # noqa: SLF001 - as in the world
    for record in records():
        ledger._put(record, None)  # noqa: SLF001 - not one by one to the disk
    await ledger.flush()


async def _measure_ledger(folder: Path, things: list[dict[str, Any]]) -> LedgerCosts:
    """Write many keys, read them, and change one."""
    await _write_ledger(folder, things)
    async with _house(folder) as hass:
        await PinCipher(hass).async_load()
        gc.collect()
        tracemalloc.start()
        kept = await _loaded(hass)
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        del kept
        start = perf_counter()
        ledger = await _loaded(hass)
        load = perf_counter() - start
        loading = await measured(_loaded(hass))
        key_id = next(iter(ledger.records))
        changing = [
            await measured(ledger.amend(key_id, lambda now: replace(now, label="Family Visser")))
            for _ in range(5)
        ]
        return LedgerCosts(
            keys=len(ledger.records),
            load=load,
            load_block=loading.longest_block,
            change=max(changing, key=lambda cost: cost.longest_block),
            memory=memory,
        )


async def _write_ledger(folder: Path, things: list[dict[str, Any]]) -> None:
    """Write the ledger of the keys of a built world."""
    async with _house(folder) as hass:
        cipher = PinCipher(hass)
        await cipher.async_load()
        ledger = Ledger(hass, SiteId("many"), cipher)
        await ledger.async_load()
        await fill(ledger, partial(records_of, ledger, cipher, things))


async def _loaded(hass: HomeAssistant) -> Ledger:
    """Read the ledger of many keys."""
    ledger = Ledger(hass, SiteId("many"), PinCipher(hass))
    await ledger.async_load()
    if ledger.quarantine is not None:
        raise RuntimeError(f"the ledger is in quarantine: {ledger.quarantine}")
    return ledger


async def _measure_pass(folder: Path, state: Path) -> tuple[float, PassCosts]:
    """Look for what is due when nothing is, and compare many keys with Salto."""
    async with _comparing(folder, state) as manager:
        ticks = [await measured(manager.tick()) for _ in range(5)]
        return max(cost.loop_cpu for cost in ticks), await _compare(manager, MANY, deep=False)


async def _measure_deep(folder: Path) -> PassCosts:
    """Compare some keys with Salto, each as a whole."""
    state = folder / "world.json"
    things = build_world(state, doors=12, keys=IN_DEPTH)
    await _write_ledger(folder, things)
    async with _comparing(folder, state) as manager:
        return await _compare(manager, IN_DEPTH, deep=True)


@asynccontextmanager
async def _comparing(folder: Path, state: Path) -> AsyncIterator[KeyManager]:
    """Run a manager of the keys of a built world that has compared them once."""
    async with (
        simulated(12, state=state) as site,
        _house(folder) as hass,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        cipher, ledger = PinCipher(hass), await _loaded(hass)
        await cipher.async_load()
        time = FastTime(site.url, session, lambda: False)
        manager = _new_manager(hass, ledger, cipher, session=session, site=site, time=time)
        await manager.tick()
        await manager.reconcile(dry_run=True)
        yield manager


async def _compare(manager: KeyManager, keys: int, *, deep: bool) -> PassCosts:
    """Compare three times; the costs are those of the one between the others."""
    costs = []
    for _ in range(3):
        gc.collect()
        costs.append(await measured(manager.reconcile(dry_run=False, deep=deep)))
    done = manager.last_pass
    if done is None or done.plan.findings:
        raise RuntimeError("nothing was compared, or what is the same was found to differ")
    return PassCosts(
        keys=keys,
        requests=done.requests,
        cost=sorted(costs, key=lambda cost: cost.longest_block)[1],
    )


# Home Assistant and Salto


@asynccontextmanager
async def _house(folder: Path) -> AsyncIterator[HomeAssistant]:
    """Run a Home Assistant that has storage and nothing else."""
    hass = HomeAssistant(str(folder))
    try:
        yield hass
    finally:
        await hass.async_stop(force=True)


@asynccontextmanager
async def _manager(
    hass: HomeAssistant, site: Simulated, time: FastTime
) -> AsyncIterator[KeyManager]:
    """Run a manager with a ledger of its own."""
    cipher = PinCipher(hass)
    await cipher.async_load()
    ledger = Ledger(hass, SiteId(site.seed.site_id), cipher)
    await ledger.async_load()
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[time.traced()]
    ) as session:
        manager = _new_manager(hass, ledger, cipher, session=session, site=site, time=time)
        try:
            yield manager
        finally:
            await manager.close(0)


def _new_manager(
    hass: HomeAssistant,
    ledger: Ledger,
    cipher: PinCipher,
    *,
    session: aiohttp.ClientSession,
    site: Simulated,
    time: FastTime,
) -> KeyManager:
    """Make a manager that waits in fast time."""
    seed = site.seed
    client = client_of(
        session,
        URL(site.url),
        credentials=Credentials(
            client_id=seed.client_id,
            client_secret=seed.client_secret,
            username=seed.username,
            password=seed.password,
        ),
    )
    luck = random.Random(2)  # noqa: S311 - repeatable
    rate = WriteRate(PER_MINUTE, sleep=time.sleep, monotonic=time.monotonic)
    provider = ConnectProvider(
        client,
        SiteId(seed.site_id),
        Writer(
            rate,
            jitter=lambda: 0.5 + luck.random(),
            sleep=time.sleep,
            monotonic=time.monotonic,
        ),
        zone_of=lambda _: _ZONE,
        alias_of=lambda _: "Home Assistant",
        clock=time.now,
    )
    return KeyManager(
        ledger=ledger,
        cipher=cipher,
        provider=provider,
        facts=lambda _: _fine(time.now()),
        is_active=lambda: True,
        clock=time.now,
        spawn=hass.async_create_background_task,
        jitter=lambda: 0.5 + luck.random(),
        random_below=luck.randrange,
        rules=KeyRules(),
        tell=lambda _: None,
        on_login_refused=lambda: None,
        on_pass=_ignore,
        on_begun=_ignore,
        monotonic=lambda: time.now().timestamp(),
    )


def _fine(now: datetime) -> DoorFacts:
    """Describe a door that has always been in reach."""
    return DoorFacts(
        name="Door",
        has_keypad=True,
        online=True,
        iq_online=True,
        privacy_mode=False,
        office_mode=False,
        seen_at=now,
        reached_since=now - timedelta(days=30),
    )


def _ignore(_: object) -> None:
    """Hear of something."""
