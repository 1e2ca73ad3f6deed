"""The door log as a stream: each event once, whatever fails, stops or is damaged."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
import logging
import stat
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_REAUTH, ConfigEntry, ConfigEntryState
from homeassistant.core import CALLBACK_TYPE, CoreState, Event, HomeAssistant
from homeassistant.util import dt as dt_util
from hypothesis import given, settings, strategies as st
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_capture_events

from custom_components.salto_ks.access_cursor import (
    OVERLAP,
    AccessCursor,
    AccessCursors,
    async_get_access_cursors,
)
from custom_components.salto_ks.access_feed import (
    MOST_EVENTS,
    PAUSES_WITHOUT_RIGHT,
    SaltoKsAccessFeed,
)
from custom_components.salto_ks.api.access_events import (
    AccessCategory,
    AccessEvent,
    AccessEventId,
    AccessMethod,
)
from custom_components.salto_ks.api.models import LockId, PlatformUserId, SiteId
from custom_components.salto_ks.session import async_create_session, create_client_from
from custom_components.salto_ks.storage import SureStore
from simulator import Fault, Quirks, Simulator, doors

from .conftest import SetUp
from .files import hass_config_dir, hass_storage, path_of, read, write
from .keys import MORNING, ask, guests, issue, opens
from .support import (
    DOMAIN,
    FIELD,
    GATE,
    LAUNDRY,
    account_input,
    go_on,
    iq_named,
    lock_named,
    member_of,
    restarted,
    server_input,
)
from .test_full_disk import empty_disk, fill_disk
from .watching import asked, pass_by, running, until

__all__ = ["hass_config_dir", "hass_storage"]

KEY = "salto_ks.access_events"
FIRST_USED = "salto_ks_key_first_used"
ENTRIES = "/v1.1/sites/{site}/entries"
POLL = 75
NOON = datetime.fromisoformat("2026-01-02T12:00:00+00:00")
HOUR = timedelta(hours=1)
CAMP = SiteId("11111111-1111-4111-8111-111111111111")
PARK = SiteId("22222222-2222-4222-8222-222222222222")


@pytest.fixture(autouse=True)
def _frozen(freezer: FrozenDateTimeFactory) -> None:
    """Begin in the middle of a second, and let time pass only when a test says so."""
    freezer.move_to(MORNING + timedelta(seconds=0.5))


class Reader:
    """A feed with somebody who listens, and what he was told."""

    def __init__(self, feed: SaltoKsAccessFeed) -> None:
        """Listen to a feed."""
        self.feed = feed
        self.batches: list[tuple[AccessEvent, ...]] = []
        self.stop: CALLBACK_TYPE = feed.async_listen(self.batches.append)

    @property
    def events(self) -> list[AccessEvent]:
        """Every event that was told, in the order of telling."""
        return [event for batch in self.batches for event in batch]

    @property
    def ids(self) -> list[str]:
        """Their ids."""
        return [event.id for event in self.events]


class DoorLog:
    """The log of a site that is not set up, so that nothing reads it but what a test starts."""

    def __init__(self, hass: HomeAssistant, sim: Simulator, url: str) -> None:
        """Log in with a client of one's own."""
        self._hass = hass
        self._site_id = SiteId(sim.site_id)
        self._feed: SaltoKsAccessFeed | None = None
        data = {**account_input(sim), **server_input(url), "site_id": sim.site_id}
        self.entry = MockConfigEntry(
            domain=DOMAIN, unique_id=sim.site_id, title="Camping", data=data
        )
        self.entry.add_to_hass(hass)
        self._session = async_create_session(hass, auto_cleanup=False)
        self.client = create_client_from(self._session, data)

    async def start(self, cursors: AccessCursors | None = None) -> SaltoKsAccessFeed:
        """Start a feed in place of the one before, as after a restart, or with cursors there are."""
        await self.stop()
        if cursors is None:
            cursors = await some_cursors(self._hass)
        self._feed = SaltoKsAccessFeed(self._hass, self.entry, self.client, self._site_id, cursors)
        return self._feed

    async def read(self, cursors: AccessCursors | None = None) -> Reader:
        """Start a feed, listen to it and read it once."""
        reader = Reader(await self.start(cursors))
        await reader.feed.async_refresh()
        return reader

    async def stop(self) -> None:
        """End the feed."""
        if self._feed is not None:
            await self._feed.async_shutdown()

    async def close(self) -> None:
        """End all of it."""
        await self.stop()
        self._session.detach()


@pytest.fixture
async def log(hass: HomeAssistant, sim: Simulator, server: str) -> AsyncIterator[DoorLog]:
    """Return the door log of the main site."""
    door_log = DoorLog(hass, sim, server)
    yield door_log
    await door_log.close()


def knock(sim: Simulator, name: str = GATE) -> str:
    """Type a PIN that nobody has at a door, and return the id of the line that this makes."""
    sim.keypad(lock_named(sim, name).id, "000000")
    return max(
        [*sim.world.entries, *sim.world.held_entries], key=lambda line: line.utc_date_time
    ).id


def events_at(*times: datetime) -> list[AccessEvent]:
    """Return events of these instants, each with an id of its own."""
    return [
        AccessEvent(
            id=AccessEventId(f"event {at:%Y-%m-%d %H:%M:%S}"),
            at=at,
            category=AccessCategory.LOCK_OPENED,
            detail=None,
            lock_id=None,
            person_id=None,
            access_by=None,
            exit_requested=False,
        )
        for at in times
    ]


# What is told


async def test_each_event_is_told_once(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """Who comes in and who does not is told at the next poll, to all that listen, and never again."""
    reader = await log.read()
    other = Reader(reader.feed)
    assert reader.batches == []
    guest = sim.world.guests[0]
    assert guest.pin is not None
    assert sim.keypad(lock_named(sim, GATE).id, guest.pin).result == "opened"
    await go_on(hass, freezer, POLL)
    (event,) = reader.events
    assert (event.category, event.access_by) == (
        AccessCategory.LOCK_OPENED,
        AccessMethod.PIN_CODE,
    )
    assert event.lock_id == LockId(lock_named(sim, GATE).id)
    assert event.person_id == PlatformUserId(guest.user_id)
    knock(sim, LAUNDRY)
    for _ in range(40):
        await go_on(hass, freezer, POLL)
    assert [event.category for event in reader.events] == ["lock_opened", "lock_rejected"]
    assert other.batches == reader.batches
    assert len(reader.batches) == 2


async def test_oldest_comes_first(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """What happened between two polls comes in one piece, in the order in which it happened."""
    reader = await log.read()
    lines = []
    for _ in range(5):
        freezer.tick(3)
        lines.append(knock(sim))
    await go_on(hass, freezer, POLL)
    assert [[event.id for event in batch] for batch in reader.batches] == [lines]
    assert reader.feed.data.events == reader.batches[0]
    assert reader.feed.data.newest_at == reader.events[-1].at
    await go_on(hass, freezer, POLL)
    assert reader.feed.data.events == ()


async def test_first_start_looks_back_a_little(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """At the first start ever nothing is told that is older than the overlap."""
    knock(sim)
    freezer.tick(OVERLAP - timedelta(minutes=1))
    lately = knock(sim)
    freezer.tick(timedelta(minutes=2))
    reader = await log.read()
    assert reader.ids == [lately]


async def test_what_nobody_listens_for_waits(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """A feed without listeners is not polled, and tells the first one what there was meanwhile."""
    feed = await log.start()
    await feed.async_refresh()
    line = knock(sim)
    await feed.async_refresh()
    assert feed.data.events == ()
    sim.journal.clear()
    for _ in range(60):
        await go_on(hass, freezer, POLL)
    assert sim.journal.count("GET", ENTRIES) == 0
    reader = Reader(feed)
    await feed.async_refresh()
    assert reader.ids == [line]


async def test_listening_ends(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """Who has gone is told nothing more, also if it was a listener before him who sent him away."""
    feed = await log.start()
    seen: list[str] = []

    def first(_: tuple[AccessEvent, ...]) -> None:
        seen.append("first")
        stop_second()

    stop_first = feed.async_listen(first)
    stop_second = feed.async_listen(lambda _: seen.append("second"))
    knock(sim)
    await feed.async_refresh()
    assert seen == ["first"]
    stop_first()
    sim.journal.clear()
    for _ in range(3):
        await go_on(hass, freezer, POLL)
    assert sim.journal.count("GET", ENTRIES) == 0


@pytest.mark.no_fail_on_log_exception
async def test_listener_that_fails(
    hass: HomeAssistant,
    sim: Simulator,
    log: DoorLog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A listener that fails is logged, takes nothing from the others, and is not told again."""
    feed = await log.start()
    seen: list[str] = []

    def fail(events: tuple[AccessEvent, ...]) -> None:
        seen.extend(event.id for event in events)
        raise ValueError("cannot take this")

    feed.async_listen(fail)
    reader = Reader(feed)
    line = knock(sim)
    await feed.async_refresh()
    await feed.async_refresh()
    assert seen == reader.ids == [line]
    assert feed.last_update_success
    assert "cannot take this" in caplog.text


# What it costs


async def test_quiet_poll_costs_one_request(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """A poll is one request, however long nothing happened and with the last lines in the overlap."""
    reader = await log.read()
    knock(sim)
    for _ in range(30):
        sim.journal.clear()
        await go_on(hass, freezer, POLL)
        assert asked(sim).count(("GET", ENTRIES)) == 1
    assert len(reader.events) == 1
    query = sim.journal.filter("GET", ENTRIES)[0].query
    since = reader.events[0].at - OVERLAP
    assert query == {
        "$top": "100",
        "$filter": f"utc_date_time ge DateTime'{since:%Y-%m-%dT%H:%M:%SZ}'",
        "$orderby": "utc_date_time asc",
    }


async def test_interval_is_that_of_the_doors(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """With an interval of five minutes the log is read once in five minutes."""
    hass.config_entries.async_update_entry(log.entry, options={"polling_interval": 300})
    await log.read()
    sim.journal.clear()
    for _ in range(3):
        await go_on(hass, freezer, POLL)
    assert sim.journal.count("GET", ENTRIES) == 0
    await go_on(hass, freezer, POLL + 1)
    assert sim.journal.count("GET", ENTRIES) == 1


@pytest.mark.parametrize("quirks", [Quirks.instant(entries_empty_pages="on")])
async def test_long_absence_is_made_up_for_in_parts(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """A log of thousands of lines is read over several polls, and every line is told once."""
    reader = await log.read()
    reader.stop()
    lines = []
    for _ in range(2 * MOST_EVENTS + 500):
        freezer.tick(2)
        lines.append(knock(sim))
    back = Reader(reader.feed)
    for size in (1000, 1000, 500):
        await reader.feed.async_refresh()
        assert abs(len(back.batches[-1]) - size) < 100
    assert back.ids == lines
    assert len(back.batches) == 3


# Restarts


async def test_restart_loses_and_doubles_nothing(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """What was told before a restart is not told again, and what happened meanwhile is told."""
    reader = await log.read()
    before = [knock(sim)]
    await go_on(hass, freezer, POLL)
    before.append(knock(sim))
    await go_on(hass, freezer, POLL)
    assert reader.ids == before
    freezer.tick(10)
    meanwhile = [knock(sim)]
    await log.stop()
    freezer.tick(5 * HOUR)
    meanwhile.append(knock(sim))
    freezer.tick(1)
    late = await log.read()
    assert late.ids == meanwhile
    await late.feed.async_refresh()
    assert late.ids == meanwhile


async def test_restart_in_a_quiet_time(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """Where nothing has ever happened the first start counts, not the last one."""
    await log.read()
    await log.stop()
    freezer.tick(timedelta(days=1))
    line = knock(sim)
    freezer.tick(timedelta(days=1))
    assert (await log.read()).ids == [line]


async def test_entry_that_is_loaded_anew(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """An entry that is loaded anew is told nothing twice, not even on a full disk."""
    cursors = await some_cursors(hass)
    fill_disk(hass, KEY)
    before = knock(sim)
    assert (await log.read(cursors)).ids == [before]
    freezer.tick(1)
    line = knock(sim)
    assert (await log.read(cursors)).ids == [line]
    empty_disk(hass, KEY)


async def test_crash_before_it_is_kept(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """What was told and not kept is told again after a restart, with the same ids."""
    await log.read()
    fill_disk(hass, KEY)
    told = knock(sim)
    await go_on(hass, freezer, POLL)
    empty_disk(hass, KEY)
    assert (await log.read()).ids == [told]


async def test_nothing_is_told_while_home_assistant_stops(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """An answer that comes while Home Assistant stops waits for the next start."""
    reader = await log.read()
    line = knock(sim)
    fault = sim.faults.add(Fault(route=ENTRIES, latency=2))
    with running(reader.feed.async_refresh()) as refresh:
        await until(lambda: sim.faults.hits(fault) == 1)
        hass.set_state(CoreState.stopping)
        pass_by(freezer, 2)
        await refresh
    hass.set_state(CoreState.running)
    assert reader.batches == []
    assert (await log.read()).ids == [line]


# Late deliveries


async def test_offline_door_tells_late(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """What happened at an offline door is told when it is back, though newer events were told."""
    reader = await log.read()
    sim.set("iq", iq_named(sim, FIELD).id, online=False)
    held = knock(sim, LAUNDRY)
    told = []
    for _ in range(10):
        freezer.tick(1)
        told.append(knock(sim))
        await go_on(hass, freezer, POLL)
    assert reader.ids == told
    sim.set("iq", iq_named(sim, FIELD).id, online=True)
    await go_on(hass, freezer, POLL)
    assert reader.ids == [*told, held]
    for _ in range(20):
        await go_on(hass, freezer, POLL)
    assert len(reader.ids) == 11


async def test_offline_door_tells_after_a_restart(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """A restart in between changes nothing about that."""
    reader = await log.read()
    sim.set("iq", iq_named(sim, FIELD).id, online=False)
    held = knock(sim, LAUNDRY)
    await go_on(hass, freezer, 5 * POLL)
    told = knock(sim)
    await go_on(hass, freezer, POLL)
    assert reader.ids == [told]
    sim.set("iq", iq_named(sim, FIELD).id, online=True)
    assert (await log.read()).ids == [held]


async def test_quiet_site_waits_for_a_door_as_long_as_it_takes(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """Where no other door is used meanwhile, a door may tell hours late."""
    reader = await log.read()
    sim.set("iq", iq_named(sim, FIELD).id, online=False)
    held = knock(sim, LAUNDRY)
    for _ in range(180):
        await go_on(hass, freezer, POLL)
    sim.set("iq", iq_named(sim, FIELD).id, online=True)
    await go_on(hass, freezer, POLL)
    assert reader.ids == [held]


# What goes wrong


FAULTS: dict[str, dict[str, Any]] = {
    "403": {"status": 403, "body": {"ErrorCode": "2203", "Message": "cannot be executed"}},
    "429": {"status": 429, "headers": {"Retry-After": "60"}},
    "500": {"status": 500},
    "reset": {"reset": True},
    "cut off": {"truncate": 20},
    "web page": {"status": 200, "body": "<html>"},
    "no page": {"status": 200, "body": {"items": None}},
    "bad line": {"status": 200, "body": {"items": [{"id": None}]}},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_failure_passes(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    log: DoorLog,
    caplog: pytest.LogCaptureFixture,
    fault: dict[str, Any],
) -> None:
    """A log that cannot be read is logged about once, and nothing is lost by it."""
    sim.faults.add(Fault(route=ENTRIES, method="GET", count=None, **fault))
    reader = await log.read()
    lines = [knock(sim)]
    for _ in range(20):
        await go_on(hass, freezer, POLL + 1)
    lines.append(knock(sim))
    assert not reader.feed.last_update_success
    assert reader.feed.standing == ("no right" if fault.get("status") == 403 else "failed")
    logged = [
        item.levelname
        for item in caplog.records
        if item.name == "custom_components.salto_ks" and item.levelno > logging.DEBUG
    ]
    assert logged == ["ERROR"]
    sim.faults.clear()
    await go_on(hass, freezer, max(PAUSES_WITHOUT_RIGHT) + 1)
    await go_on(hass, freezer, POLL + 1)
    assert reader.feed.last_update_success
    assert reader.ids == lines


async def test_account_without_the_right_that_gets_it(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """An account that may not read the log has all else, and reads it once it may."""
    member = member_of(sim)
    roles = member.role_ids
    user = next(role.id for role in sim.world.roles.values() if role.code == "site_user")
    sim.set("user", member.id, role_ids=[user])
    reader = await log.read()
    assert not reader.feed.last_update_success
    line = knock(sim)
    sim.set("user", member.id, role_ids=list(roles))
    await go_on(hass, freezer, POLL)
    assert reader.ids == [line]


async def test_lasting_refusal_costs_little(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    log: DoorLog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log is asked for after a minute, ten, twenty, forty and then every sixty, and said once."""
    fault = sim.faults.add(Fault(route=ENTRIES, method="GET", count=None, **FAULTS["403"]))
    reader = await log.read()
    assert reader.feed.standing == "no right"
    asked_at = []
    for minute in range(1, 201):
        before = sim.faults.hits(fault)
        await go_on(hass, freezer, 60)
        asked_at += [minute] if sim.faults.hits(fault) > before else []
    pauses = [later - earlier for earlier, later in pairwise([0, *asked_at])]
    assert all(
        abs(pause - expected) <= 1
        for pause, expected in zip(pauses, [1, 10, 20, 40, 60, 60], strict=True)
    )
    assert caplog.text.count("Error fetching salto_ks door log data: door_log_forbidden") == 1
    sim.faults.clear()
    line = knock(sim)
    await go_on(hass, freezer, 61 * POLL)
    assert reader.feed.standing == "ok"
    assert reader.ids == [line]
    sim.journal.clear()
    for _ in range(5):
        await go_on(hass, freezer, POLL)
    assert sim.journal.count("GET", ENTRIES) == 5


async def test_what_has_to_be_kept_is_kept_before_the_cursor(
    hass: HomeAssistant, sim: Simulator, log: DoorLog
) -> None:
    """How far the log was read is not on disk before all that listen have kept what they must."""
    feed = await log.start()
    on_its_way, let_go = asyncio.Event(), asyncio.Event()
    seen: list[str] = []

    async def keep(events: tuple[AccessEvent, ...]) -> None:
        on_its_way.set()
        await let_go.wait()
        seen.extend(event.id for event in events)

    feed.async_listen(keep)
    line = knock(sim)
    with running(feed.async_refresh()) as refresh:
        await on_its_way.wait()
        assert not path_of(hass, KEY).exists()
        let_go.set()
        await refresh
    assert seen == [line]
    assert set(read(hass, KEY)["data"]["sites"][sim.site_id]["handed_out"]) == {line}


async def test_reads_at_once_tell_nothing_twice(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """A read that begins while another is on its way waits, and tells only what is new after it."""
    reader = await log.read()
    line = knock(sim)
    fault = sim.faults.add(Fault(route=ENTRIES, latency=2))
    with running(reader.feed.async_refresh()) as first, running(reader.feed.async_refresh()) as two:
        await until(lambda: sim.faults.hits(fault) == 1)
        pass_by(freezer, 2)
        await first
        await two
    assert reader.ids == [line]


async def test_full_disk(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    log: DoorLog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On a full disk events are told all the same, it is logged once, and kept once that works."""
    fill_disk(hass, KEY)
    reader = await log.read()
    lines = []
    for _ in range(3):
        lines.append(knock(sim))
        await go_on(hass, freezer, POLL)
    assert reader.ids == lines
    assert reader.feed.last_update_success
    assert caplog.text.count("events may be handed out again") == 1
    empty_disk(hass, KEY)
    await go_on(hass, freezer, POLL)
    assert set(read(hass, KEY)["data"]["sites"][sim.site_id]["handed_out"]) == set(lines)
    fill_disk(hass, KEY)
    knock(sim)
    await go_on(hass, freezer, POLL)
    assert caplog.text.count("events may be handed out again") == 2
    empty_disk(hass, KEY)


# The file


async def test_file_is_written_only_when_there_is_news(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, log: DoorLog
) -> None:
    """It is private, holds no more than ids and instants, and quiet polls leave it alone."""
    await log.read()
    freezer.tick(1)
    line = knock(sim)
    await go_on(hass, freezer, POLL)
    path = path_of(hass, KEY)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = read(hass, KEY)["data"]["sites"]
    at = sim.world.entries[0].utc_date_time.isoformat()
    assert kept == {sim.site_id: {"newest_at": at, "handed_out": {line: at}}}
    inode = path.stat().st_ino
    for _ in range(10):
        await go_on(hass, freezer, POLL)
    assert path.stat().st_ino == inode


WHOLE = {"newest_at": "2026-01-02T12:00:00+00:00", "handed_out": {}}
DAMAGED: dict[str, Any] = {
    "a list": [],
    "another part": {"places": {}},
    "no sites": {"sites": ["x"]},
    "a site that is a list": {"sites": {"SITE": []}},
    "a site that is nothing": {"sites": {"SITE": None}},
    "no instant": {"sites": {"SITE": {"handed_out": {}}}},
    "no ids": {"sites": {"SITE": {"newest_at": WHOLE["newest_at"]}}},
    "a number": {"sites": {"SITE": WHOLE | {"newest_at": 7}}},
    "a word": {"sites": {"SITE": WHOLE | {"newest_at": "yesterday"}}},
    "the first day": {"sites": {"SITE": WHOLE | {"newest_at": "0001-01-01T00:00:00+00:00"}}},
    "no zone": {"sites": {"SITE": WHOLE | {"newest_at": "2026-01-02T12:00:00"}}},
    "a list of ids": {"sites": {"SITE": WHOLE | {"handed_out": ["x"]}}},
    "ids without instants": {"sites": {"SITE": WHOLE | {"handed_out": {"x": None}}}},
}


def prepare(hass: HomeAssistant, sim: Simulator, damage: str) -> None:
    """Put a file in the way that is not understood."""
    match damage:
        case "no JSON":
            write(hass, KEY, {}).write_bytes(b'{"version": 1, ')
        case "a folder":
            fill_disk(hass, KEY)
        case "a newer version":
            write(hass, KEY, {"sites": {}}, version=2)
        case "no version":
            write(hass, KEY, {"sites": {}}, version=0)
        case _:
            data = DAMAGED[damage]
            if isinstance(data, dict) and isinstance(data.get("sites"), dict):
                data = {"sites": {sim.site_id: data["sites"]["SITE"]}}
            write(hass, KEY, data)


@pytest.mark.parametrize(
    "damage", [*DAMAGED, "no JSON", "a folder", "a newer version", "no version"]
)
async def test_file_that_is_not_understood(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    sim: Simulator,
    log: DoorLog,
    caplog: pytest.LogCaptureFixture,
    damage: str,
) -> None:
    """With a damaged file one warning says so, reading begins from now, and the file is mended."""
    prepare(hass, sim, damage)
    knock(sim)
    freezer.tick(OVERLAP + timedelta(minutes=1))
    line = knock(sim)
    reader = await log.read()
    assert reader.ids == [line]
    assert caplog.text.count("the door log is read from now on") == 1
    assert KEY in caplog.text
    if damage == "a folder":
        path_of(hass, KEY).rmdir()
        await reader.feed.async_refresh()
    assert set(read(hass, KEY)["data"]["sites"][sim.site_id]["handed_out"]) == {line}


async def some_cursors(hass: HomeAssistant) -> AccessCursors:
    """Return the cursors as after a start."""
    cursors = AccessCursors(SureStore(hass, version=1, key=KEY))
    await cursors.async_load()
    return cursors


def cursor_at(at: datetime, events: Iterable[AccessEvent] = ()) -> AccessCursor:
    """Return a cursor after some events."""
    return AccessCursor.begin(at).after(events, at)


async def test_damage_of_one_site(hass: HomeAssistant) -> None:
    """A site that is not understood costs the others nothing."""
    kept = cursor_at(NOON, events_at(NOON, NOON - timedelta(minutes=5)))
    cursors = await some_cursors(hass)
    await cursors.keep(CAMP, kept)
    await cursors.keep(PARK, kept)
    data = read(hass, KEY)["data"]
    data["sites"][PARK]["newest_at"] = "soon"
    write(hass, KEY, data)
    again = await some_cursors(hass)
    assert again.cursor_of(CAMP) == kept
    assert again.cursor_of(PARK) is None


async def test_sites_at_once(hass: HomeAssistant) -> None:
    """Sites that are kept at the same time do not undo each other's cursor."""
    cursors = await some_cursors(hass)
    for minute in range(5):
        at = NOON + timedelta(minutes=minute)
        with (
            running(cursors.keep(CAMP, cursor_at(at))) as camp,
            running(cursors.keep(PARK, cursor_at(at))) as park,
        ):
            await camp
            await park
        again = await some_cursors(hass)
        assert again.cursor_of(CAMP) == again.cursor_of(PARK) == cursor_at(at)


async def test_site_is_forgotten(hass: HomeAssistant) -> None:
    """A site that is forgotten begins anew should it come back, and others are as they were."""
    cursors = await some_cursors(hass)
    await cursors.forget(CAMP)
    assert not path_of(hass, KEY).exists()
    await cursors.keep(CAMP, cursor_at(NOON))
    await cursors.keep(PARK, cursor_at(NOON))
    await cursors.forget(CAMP)
    again = await some_cursors(hass)
    assert again.cursor_of(CAMP) is None
    assert again.cursor_of(PARK) == cursor_at(NOON)
    await again.forget(PARK)
    assert (await some_cursors(hass)).cursor_of(PARK) is None


# The cursor


def test_cursor_moves_with_the_newest_event() -> None:
    """It stands at the newest event, and knows those in the overlap and somewhat before."""
    events = events_at(*(NOON + timedelta(minutes=minute) for minute in range(61)))
    cursor = cursor_at(NOON).after(reversed(events), NOON + 2 * HOUR)
    assert cursor.newest_at == NOON + HOUR
    assert cursor.reads_from(NOON + 2 * HOUR) == NOON + HOUR - OVERLAP
    assert set(cursor.handed_out) == {event.id for event in events[30:]}
    assert cursor.after((), NOON + 3 * HOUR) == cursor


@given(
    happened=st.lists(st.tuples(st.integers(0, 9_000), st.integers(0, 900)), max_size=40),
    polls=st.lists(st.integers(1, 2_000), min_size=1, max_size=20),
)
@settings(deadline=None)
def test_whoever_tells_within_the_overlap_is_heard_once(
    happened: list[tuple[int, int]], polls: list[int]
) -> None:
    """Whenever doors tell what happened, up to the overlap late, each event is new at one poll."""
    events = [
        (at := NOON + timedelta(seconds=second), at + timedelta(seconds=delay), number)
        for number, (second, delay) in enumerate(happened)
    ]
    now, cursor, heard = NOON, AccessCursor.begin(NOON), Counter[str]()
    for pause in [*polls, 10_000]:
        now += timedelta(seconds=pause)
        new = [
            replace(event, id=AccessEventId(f"event {number}"))
            for at, told_at, number in events
            for event in events_at(at)
            if told_at <= now and at >= cursor.reads_from(now)
        ]
        new = [event for event in new if event.id not in cursor.handed_out]
        heard.update(event.id for event in new)
        cursor = cursor.after(new, now)
    assert heard == {f"event {number}": 1 for number in range(len(events))}


def test_late_event_does_not_move_the_cursor() -> None:
    """An event of before is remembered like the others, and the cursor stays where it is."""
    cursor = cursor_at(NOON, events_at(NOON))
    (late,) = events_at(NOON - timedelta(minutes=14))
    after = cursor.after([late], NOON + HOUR)
    assert after.newest_at == NOON
    assert after.handed_out.keys() == {*cursor.handed_out, late.id}


def test_event_from_the_future_does_not_move_the_cursor() -> None:
    """An IQ whose clock is years ahead hides nothing, and its event stays known."""
    (future,) = events_at(NOON + 3650 * 24 * HOUR)
    cursor = cursor_at(NOON, [future])
    assert cursor.newest_at == NOON
    later = cursor.after(events_at(NOON + HOUR), NOON + HOUR)
    assert later.newest_at == NOON + HOUR
    assert future.id in later.handed_out
    assert later.after((), NOON + 2 * HOUR) == later


def test_cursor_from_the_future_comes_back() -> None:
    """A cursor of a clock that was a day ahead reads from now on, and is put right."""
    cursor = AccessCursor.begin(NOON + 24 * HOUR)
    assert cursor.reads_from(NOON) == NOON - OVERLAP
    assert cursor.after((), NOON).newest_at == NOON


async def test_own_clock_is_not_believed(hass: HomeAssistant, sim: Simulator, log: DoorLog) -> None:
    """Where our clock is an hour ahead of Salto's, reading begins by Salto's clock."""
    began_at = dt_util.utcnow()
    date = format_datetime(began_at - HOUR, usegmt=True)
    sim.faults.add(
        Fault(route="/v1.2/sites/{site}", body={"id": sim.site_id}, headers={"Date": date})
    )
    await log.client.site(SiteId(sim.site_id))
    feed = await log.start()
    await feed.async_refresh()
    assert abs(feed.data.newest_at - (began_at - HOUR)) < timedelta(seconds=2)


# With keys


async def settled(hass: HomeAssistant) -> None:
    """Wait until the log was read, and what it told is noted."""
    await hass.async_block_till_done(wait_background_tasks=True)


async def reload(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Load an entry anew, and wait until its log was read."""
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    await settled(hass)


async def keyed(
    hass: HomeAssistant, sim: Simulator, entry: ConfigEntry[Any], *names: str
) -> dict[str, Any]:
    """Issue a key that opens doors from now on."""
    now = sim.clock.now()
    key = await issue(hass, sim, entry, *names, starts_at=now, ends_at=now + 24 * HOUR)
    await settled(hass)
    return key


async def proven(hass: HomeAssistant, entry: ConfigEntry[Any]) -> dict[str, bool]:
    """Return for each key, oldest first, whether its PIN has opened a door."""
    keys = (await ask(hass, entry, "get_keys"))["keys"]
    return {key["key_id"]: key["proven"] for key in keys}


async def first_uses(hass: HomeAssistant, entry: ConfigEntry[Any]) -> list[str]:
    """Return the keys of which the audit log has a first use."""
    lines = (await ask(hass, entry, "get_audit_log"))["lines"]
    return [line["key_id"] for line in reversed(lines) if line["action"] == "first_used"]


def told_of(heard: list[Event[Any]]) -> list[str]:
    """Return the keys that events are about."""
    return [event.data["key_id"] for event in heard]


async def test_first_use_proves_a_key(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A PIN that opens a door is proven at the next poll, and that is told once, reloads included."""
    entry = await set_up(iqs=[])
    heard = async_capture_events(hass, FIRST_USED)
    key = await keyed(hass, sim, entry)
    other = await keyed(hass, sim, entry)
    await go_on(hass, freezer, POLL)
    assert opens(sim, key["pin"])
    assert await proven(hass, entry) == {key["key_id"]: False, other["key_id"]: False}
    await go_on(hass, freezer, POLL)
    assert await proven(hass, entry) == {key["key_id"]: True, other["key_id"]: False}
    assert told_of(heard) == [key["key_id"]]
    assert key["pin"] not in str(heard[0].data)
    for _ in range(2):
        await reload(hass, entry)
        assert opens(sim, key["pin"])
        await go_on(hass, freezer, POLL)
    assert told_of(heard) == await first_uses(hass, entry) == [key["key_id"]]


async def test_first_use_over_a_restart(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A first use is told once over a restart, and one in between is told after it."""
    entry = await set_up(iqs=[])
    key, other = [await keyed(hass, sim, entry) for _ in range(2)]
    await go_on(hass, freezer, POLL)
    assert opens(sim, key["pin"])
    await go_on(hass, freezer, POLL)
    assert await first_uses(hass, entry) == [key["key_id"]]
    assert await hass.config_entries.async_unload(entry.entry_id)
    freezer.tick(HOUR)
    assert opens(sim, other["pin"])
    freezer.tick(HOUR)
    async with restarted(hass, entry) as (again, same):
        await settled(again)
        assert opens(sim, key["pin"])
        await go_on(again, freezer, POLL)
        assert await proven(again, same) == {key["key_id"]: True, other["key_id"]: True}
        assert await first_uses(again, same) == [key["key_id"], other["key_id"]]


async def test_killed_before_the_cursor_is_kept(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Killed between the note of a first use and the cursor, nothing is lost and nothing doubled."""
    entry = await set_up(iqs=[])
    key = await keyed(hass, sim, entry)
    await go_on(hass, freezer, POLL)
    assert opens(sim, key["pin"])
    fill_disk(hass, KEY)
    await go_on(hass, freezer, POLL)
    assert await proven(hass, entry) == {key["key_id"]: True}
    empty_disk(hass, KEY)
    async with restarted(hass, entry) as (again, same):
        await settled(again)
        assert await proven(again, same) == {key["key_id"]: True}
        assert await first_uses(again, same) == [key["key_id"]]


async def test_disk_never_says_that_a_use_was_read_and_not_that_it_was(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Whenever Home Assistant is killed, what was not noted on disk is still to be read."""
    entry = await set_up(iqs=[])
    key = await keyed(hass, sim, entry)
    await go_on(hass, freezer, POLL)
    assert opens(sim, key["pin"])
    line, used_at = sim.world.entries[-1].id, "2026-12-07T08:01:15"
    cursor = path_of(hass, KEY)
    keys = path_of(hass, f"salto_ks.ledger.{sim.site_id}/keys.0000")
    moments = set()
    with running(entry.runtime_data.feed.async_refresh()) as refresh:
        while not refresh.done():
            await asyncio.sleep(0)
            was_read = cursor.exists() and line in cursor.read_text("utf-8")
            moments.add((was_read, used_at in keys.read_text("utf-8")))
        await refresh
    assert (False, False) in moments
    assert (True, True) in moments
    assert (True, False) not in moments


async def test_what_proves_no_key(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Neither a PIN that is rejected nor a guest's tag or phone proves that the PIN works."""
    entry = await set_up(iqs=[])
    heard = async_capture_events(hass, FIRST_USED)
    key = await keyed(hass, sim, entry)
    await ask(hass, entry, "suspend_key", key_id=key["key_id"])
    await go_on(hass, freezer, POLL)
    assert not opens(sim, key["pin"])
    (guest,) = guests(sim)
    rejected = sim.world.entries[-1]
    assert (rejected.event_category, rejected.user_id) == ("lock_rejected", guest.user_id)
    knock(sim)
    for method in ("tag", "remote", "inside_handle"):
        doors.log(
            sim.world,
            sim.dice,
            lock_named(sim, GATE),
            sim.clock.now(),
            category="lock_opened",
            access_by=method,
            user=guest,
        )
    await go_on(hass, freezer, POLL)
    assert await proven(hass, entry) == {key["key_id"]: False}
    await ask(hass, entry, "resume_key", key_id=key["key_id"])
    assert opens(sim, key["pin"])
    await go_on(hass, freezer, POLL)
    assert await proven(hass, entry) == {key["key_id"]: True}
    assert told_of(heard) == [key["key_id"]]


async def test_rotated_key(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A new PIN is unproven until it has opened a door itself, though the old one is told late."""
    entry = await set_up(iqs=[])
    heard = async_capture_events(hass, FIRST_USED)
    key = await keyed(hass, sim, entry, GATE, LAUNDRY)
    await go_on(hass, freezer, POLL)
    assert opens(sim, key["pin"])
    await go_on(hass, freezer, POLL)
    assert await proven(hass, entry) == {key["key_id"]: True}
    sim.set("iq", iq_named(sim, FIELD).id, online=False)
    assert opens(sim, key["pin"], LAUNDRY)
    await go_on(hass, freezer, POLL)
    rotated = await ask(hass, entry, "rotate_pin", key_id=key["key_id"])
    assert await proven(hass, entry) == {key["key_id"]: False}
    sim.set("iq", iq_named(sim, FIELD).id, online=True)
    assert not sim.world.held_entries
    await go_on(hass, freezer, POLL)
    assert await proven(hass, entry) == {key["key_id"]: False}
    assert opens(sim, rotated["pin"])
    await go_on(hass, freezer, POLL)
    assert await proven(hass, entry) == {key["key_id"]: True}
    assert told_of(heard) == [key["key_id"]] * 2


async def test_site_whose_log_is_refused(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """Without the right to read the log there are doors and keys, which are proven once it comes."""
    entry = await set_up(iqs=[])
    sim.faults.add(Fault(route=ENTRIES, method="GET", count=None, **FAULTS["403"]))
    await reload(hass, entry)
    key = await keyed(hass, sim, entry)
    for _ in range(3):
        await go_on(hass, freezer, POLL)
    assert opens(sim, key["pin"])
    await go_on(hass, freezer, POLL)
    assert entry.runtime_data.doors.last_update_success
    assert not entry.runtime_data.feed.last_update_success
    assert await proven(hass, entry) == {key["key_id"]: False}
    assert hass.config_entries.flow.async_progress() == []
    sim.faults.clear()
    await go_on(hass, freezer, max(PAUSES_WITHOUT_RIGHT))
    assert await proven(hass, entry) == {key["key_id"]: True}
    assert (await ask(hass, entry, "revoke_key", key_id=key["key_id"]))["status"] == "removing"


async def test_refused_credentials_open_one_form(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """When the password no longer works the log asks for it, and with the doors only once."""
    entry = await set_up(iqs=[])
    await settled(hass)
    sim.revoke_tokens()
    sim.account.password = "another one"
    await entry.runtime_data.feed.async_refresh()
    await settled(hass)
    (flow,) = hass.config_entries.flow.async_progress_by_handler(DOMAIN)
    assert flow["context"]["source"] == SOURCE_REAUTH
    await go_on(hass, freezer, POLL)
    assert not entry.runtime_data.doors.last_update_success
    assert hass.config_entries.flow.async_progress_by_handler(DOMAIN) == [flow]


async def test_slow_log_holds_nothing_up(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """A site comes up and goes down while Salto lets us wait for the log."""
    entry = await set_up(iqs=[])
    await settled(hass)
    fault = sim.faults.add(Fault(route=ENTRIES, latency=5))
    sim.journal.clear()
    await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    await until(lambda: sim.faults.hits(fault) == 1)
    assert await hass.config_entries.async_unload(entry.entry_id)
    pass_by(freezer, 5)
    await until(lambda: sim.journal.count("GET", ENTRIES) == 1)
    sim.journal.clear()
    for _ in range(3):
        await go_on(hass, freezer, POLL)
    assert asked(sim) == []


# The end


async def test_entry_that_is_removed(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, set_up: SetUp
) -> None:
    """With the entry goes how far its log was read, and a site that comes back begins anew."""
    entry = await set_up(iqs=[])
    await settled(hass)
    knock(sim)
    await go_on(hass, freezer, POLL)
    assert set(read(hass, KEY)["data"]["sites"]) == {sim.site_id}
    await hass.config_entries.async_remove(entry.entry_id)
    assert read(hass, KEY)["data"]["sites"] == {}
    freezer.tick(HOUR)
    sim.journal.clear()
    await set_up(iqs=[])
    await settled(hass)
    (request,) = sim.journal.filter("GET", ENTRIES)
    since = dt_util.utcnow() - OVERLAP
    assert request.query["$filter"] == f"utc_date_time ge DateTime'{since:%Y-%m-%dT%H:%M:%SZ}'"


async def test_removal_on_a_full_disk(
    hass: HomeAssistant, sim: Simulator, set_up: SetUp, caplog: pytest.LogCaptureFixture
) -> None:
    """An entry can be removed though nothing can be written, and the log says what stays."""
    entry = await set_up(iqs=[])
    await settled(hass)
    fill_disk(hass, KEY)
    await hass.config_entries.async_remove(entry.entry_id)
    assert hass.config_entries.async_entries(DOMAIN) == []
    assert caplog.text.count("How far the door log was read is still kept") == 1
    assert (await async_get_access_cursors(hass)).cursor_of(SiteId(sim.site_id)) is None
    empty_disk(hass, KEY)
