"""Bookings from the calendar or a booking system to the keypad, and what goes wrong on the way."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.calendar import CalendarEntity, CalendarEvent
from homeassistant.components.calendar.const import DATA_COMPONENT
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from simulator import Quirks, Simulator
from simulator.seeds import SeedName

from .conftest import SetUp
from .files import hass_config_dir, hass_storage, path_of
from .keys import HOUR, INSIDE_ONLY, MINUTE, MORNING, ask, edges, groups, guests, issue, opens
from .support import DOMAIN, GATE, RECEPTION, entity_id, go_on, restarted
from .units import (
    CABIN,
    NO_KEYPAD,
    PITCH,
    add_unit,
    local_calendar,
    tell,
    unit_entity,
    unit_id_of,
    write_event,
)

__all__ = ["hass_config_dir", "hass_storage"]

DAY = timedelta(days=1)


@pytest.fixture
async def site(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, set_up: SetUp
) -> ConfigEntry[Any]:
    """Set the site up on a morning in winter."""
    freezer.move_to(MORNING)
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    return await set_up(iqs=[RECEPTION])


async def later(hass: HomeAssistant, freezer: FrozenDateTimeFactory, wait: timedelta) -> None:
    """Let time pass in steps in which everything gets its turn."""
    end = wait.total_seconds()
    step = min(60.0, end)
    while end > 0:
        await go_on(hass, freezer, min(step, end))
        end -= step


async def looked(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
    """Let the calendars be read after a start or a change."""
    for _ in range(3):
        await go_on(hass, freezer, 11)


async def keys_of(
    hass: HomeAssistant, entry: ConfigEntry[Any], booking_id: str = "R1"
) -> list[dict[str, Any]]:
    """List the keys of a booking that have not ended."""
    found = (await ask(hass, entry, "get_keys", booking_id=booking_id))["keys"]
    return [key for key in found if key["status"] not in {"removing", "revoked", "failed"}]


async def pin_of(hass: HomeAssistant, entry: ConfigEntry[Any], key: dict[str, Any]) -> str:
    """Return the PIN of a key, as an automation asks for it."""
    return str((await ask(hass, entry, "get_pin", key_id=key["key_id"]))["pin"])


async def all_live(hass: HomeAssistant, entry: ConfigEntry[Any]) -> list[dict[str, Any]]:
    """List all keys that have not ended."""
    found = (await ask(hass, entry, "get_keys"))["keys"]
    return [key for key in found if key["status"] not in {"removing", "revoked", "failed"}]


def read_from(path: Path) -> str:
    """Return what a file holds."""
    return path.read_text("utf-8")


def write_to(path: Path, text: str) -> None:
    """Have a file hold something else."""
    path.write_text(text, "utf-8")


class TestTold:
    """Bookings that a booking system tells."""

    async def test_key_follows_the_booking(
        self, hass: HomeAssistant, sim: Simulator, site: ConfigEntry[Any]
    ) -> None:
        """A confirmed booking has a key from start less margin to end and margin, and keeps its PIN."""
        await add_unit(hass, sim, site, minutes_before=30, minutes_after=15)
        await tell(hass, site)
        (key,) = await keys_of(hass, site)
        start = datetime.fromisoformat(key["starts_at"])
        assert start == MORNING + 2 * HOUR - 30 * MINUTE
        pin = await pin_of(hass, site, key)
        assert edges(sim, key, keypad_pin=pin) == INSIDE_ONLY
        assert edges(sim, key, CABIN, keypad_pin=pin) == INSIDE_ONLY
        await tell(hass, site, starts_at=MORNING + HOUR, ends_at=MORNING + 90 * HOUR)
        (moved,) = await keys_of(hass, site)
        assert moved["key_id"] == key["key_id"]
        assert edges(sim, moved, keypad_pin=pin) == INSIDE_ONLY
        assert await pin_of(hass, site, moved) == pin
        await tell(hass, site, status="cancelled")
        assert await keys_of(hass, site) == []
        assert guests(sim) == []
        assert groups(sim) == []

    async def test_status_goes_back_and_forth(
        self, hass: HomeAssistant, sim: Simulator, site: ConfigEntry[Any]
    ) -> None:
        """Pending gets none; one that is not sure any more is suspended, and has its PIN again after."""
        await add_unit(hass, sim, site)
        await tell(hass, site, status="pending")
        assert await keys_of(hass, site) == []
        await tell(hass, site)
        (key,) = await keys_of(hass, site)
        pin = await pin_of(hass, site, key)
        await tell(hass, site, status="pending")
        assert [one["status"] for one in await keys_of(hass, site)] == ["suspended"]
        await tell(hass, site, status="checked_in")
        assert [one["status"] for one in await keys_of(hass, site)] == ["set"]
        assert edges(sim, key, keypad_pin=pin) == INSIDE_ONLY
        await tell(hass, site, status="completed")
        assert await keys_of(hass, site) == []

    async def test_move_to_another_unit(
        self, hass: HomeAssistant, sim: Simulator, site: ConfigEntry[Any]
    ) -> None:
        """The guest who moves keeps the PIN, and it opens the other doors."""
        await add_unit(hass, sim, site)
        await add_unit(hass, sim, site, "Pitch 13", doors=(GATE, "Pitch 13 cabin"))
        await tell(hass, site)
        (key,) = await keys_of(hass, site)
        pin = await pin_of(hass, site, key)
        await tell(hass, site, unit="Pitch 13")
        (moved,) = await keys_of(hass, site)
        assert moved["key_id"] == key["key_id"]
        assert edges(sim, moved, keypad_pin=pin) == INSIDE_ONLY
        assert not opens(sim, pin, CABIN, MORNING + 3 * HOUR)

    async def test_lead_time(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """With a lead time the key comes so long before the start, and not sooner."""
        await add_unit(hass, sim, site, lead_hours=6)
        await tell(hass, site, starts_at=MORNING + 7 * HOUR)
        assert await keys_of(hass, site) == []
        await later(hass, freezer, HOUR + 2 * MINUTE)
        (key,) = await keys_of(hass, site)
        assert edges(sim, key, keypad_pin=await pin_of(hass, site, key)) == INSIDE_ONLY

    async def test_door_without_a_keypad_is_left_out_of_the_key(
        self, hass: HomeAssistant, sim: Simulator, site: ConfigEntry[Any]
    ) -> None:
        """Of a unit for both ways the key has the doors at which a PIN can be typed."""
        await add_unit(hass, sim, site, doors=(GATE, NO_KEYPAD), mode="both")
        await tell(hass, site)
        (key,) = await keys_of(hass, site)
        assert key["doors"] == ["lock.main_gate"]

    async def test_what_a_person_did_stays(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """A key that somebody suspended or revoked is not given back by its booking."""
        await add_unit(hass, sim, site)
        for number, action in enumerate(("suspend_key", "revoke_key"), start=1):
            await tell(hass, site, f"R{number}", starts_at=MORNING + number * 60 * HOUR,
                       ends_at=MORNING + (number * 60 + 5) * HOUR)  # fmt: skip
            (key,) = await keys_of(hass, site, f"R{number}")
            await ask(hass, site, action, key_id=key["key_id"])
        await later(hass, freezer, 5 * MINUTE)
        assert [key["status"] for key in await keys_of(hass, site, "R1")] == ["suspended"]
        assert await keys_of(hass, site, "R2") == []

    async def test_inactive_site_waits(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """While the site is off no key comes, one is taken back, and on it all goes on."""
        await add_unit(hass, sim, site)
        await tell(hass, site, "R0")
        switch = entity_id(hass, "switch", str(site.unique_id), "active")
        await hass.services.async_call("switch", "turn_off", {"entity_id": switch}, blocking=True)
        await tell(hass, site, starts_at=MORNING + 60 * HOUR, ends_at=MORNING + 70 * HOUR)
        await tell(hass, site, "R0", ends_at=MORNING + 55 * HOUR)
        assert await keys_of(hass, site) == []
        (kept,) = await keys_of(hass, site, "R0")
        assert kept["ends_at"] == (MORNING + 50 * HOUR).isoformat()
        await tell(hass, site, "R0", status="cancelled")
        assert await keys_of(hass, site, "R0") == []
        await hass.services.async_call("switch", "turn_on", {"entity_id": switch}, blocking=True)
        await later(hass, freezer, 2 * MINUTE)
        assert len(await keys_of(hass, site)) == 1

    async def test_deleted_unit(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """A deleted unit takes its keys with it or leaves them, as it was told in its time."""
        await add_unit(hass, sim, site)
        await add_unit(hass, sim, site, "Pitch 13", doors=("Pitch 13 cabin",), on_removal="leave")
        await tell(hass, site)
        await tell(hass, site, "R2", unit="Pitch 13")
        by_hand = await issue(hass, sim, site, booking_id="by hand")
        for name in (PITCH, "Pitch 13"):
            assert hass.config_entries.async_remove_subentry(site, unit_id_of(site, name))
            await hass.async_block_till_done(wait_background_tasks=True)
        await later(hass, freezer, 2 * MINUTE)
        assert await keys_of(hass, site) == []
        assert len(await keys_of(hass, site, "R2")) == 1
        assert [key["key_id"] for key in await keys_of(hass, site, "by hand")] == [
            by_hand["key_id"]
        ]

    async def test_first_use_checks_in(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """The first PIN at the door checks the booking in and tells so once, with the time."""
        await add_unit(hass, sim, site)
        await tell(hass, site)
        (key,) = await keys_of(hass, site)
        pin = await pin_of(hass, site, key)
        events = async_capture_events(hass, f"{DOMAIN}_booking_checked_in")
        await later(hass, freezer, 2 * HOUR + MINUTE)
        for _ in range(2):
            assert opens(sim, pin)
            await later(hass, freezer, 2 * MINUTE)
        assert hass.states.get(unit_entity(hass, site, "sensor", "current_booking")).state == (  # type: ignore[union-attr]
            "checked_in"
        )
        (event,) = events
        assert event.data["booking_id"] == "R1"
        assert event.data["unit"] == PITCH

    async def test_full_site(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """A key that cannot be issued is named in a repair before the arrival, and comes by itself."""
        await add_unit(hass, sim, site)
        seats = sim.site.subscribed_user_amount
        used = site.runtime_data.site.data.site.seats_used
        sim.set("site", sim.site_id, subscribed_user_amount=used)
        await tell(hass, site, starts_at=MORNING + 20 * HOUR)
        issues = ir.async_get(hass)
        (raised,) = [
            one for one in issues.issues.values() if one.translation_key == "booking_without_key"
        ]
        assert raised.translation_placeholders is not None
        assert "Every seat" in raised.translation_placeholders["bookings"]
        sim.set("site", sim.site_id, subscribed_user_amount=seats)
        await later(hass, freezer, 20 * MINUTE)
        assert len(await keys_of(hass, site)) == 1
        assert not [
            one for one in issues.issues.values() if one.translation_key == "booking_without_key"
        ]


class TestKept:
    """What outlives a restart, and what a damaged file does."""

    async def test_restart_over_check_in_and_check_out(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """Bookings are known again after a restart, and what is over by then is taken back."""
        await add_unit(hass, sim, site)
        await tell(hass, site, ends_at=MORNING + 5 * HOUR)
        await tell(hass, site, "R2", starts_at=MORNING + 6 * HOUR, ends_at=MORNING + 30 * HOUR)
        (key,) = await keys_of(hass, site, "R2")
        pin = await pin_of(hass, site, key)
        freezer.move_to(MORNING + 7 * HOUR)
        async with restarted(hass, site) as (again, same):
            await again.async_block_till_done(wait_background_tasks=True)
            for _ in range(3):
                await go_on(again, freezer, 30)
            assert [one["key_id"] for one in await all_live(again, same)] == [key["key_id"]]
            assert opens(sim, pin)
            found = same.runtime_data.bookings.bookings()
            assert [one.booking_id for one in found] == ["R1", "R2"]

    async def test_damaged_file_touches_nothing(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """Bookings that cannot be read cost nobody a key; a repair says so, and entities are away."""
        await add_unit(hass, sim, site)
        await tell(hass, site)
        (key,) = await keys_of(hass, site)
        await hass.config_entries.async_unload(site.entry_id)
        kept = path_of(hass, f"salto_ks.bookings.{site.unique_id}")
        good = read_from(kept)
        for damaged in ('{"told": 1}', '{"bookings": {"told": [{}], "calendars": {}}}'):
            write_to(kept, good.partition('"data"')[0] + f'"data": {damaged}}}')
            assert await hass.config_entries.async_setup(site.entry_id)
            await later(hass, freezer, 3 * MINUTE)
            assert [one["key_id"] for one in await keys_of(hass, site)] == [key["key_id"]]
            assert [
                one
                for one in ir.async_get(hass).issues.values()
                if one.translation_key == "bookings_unreadable"
            ]
            state = hass.states.get(unit_entity(hass, site, "sensor", "key_state"))
            assert state is not None
            assert state.state == "unavailable"
            with pytest.raises(HomeAssistantError) as refused:
                await tell(hass, site, "R9")
            assert refused.value.translation_key == "storage_failed"
            await hass.config_entries.async_unload(site.entry_id)
        write_to(kept, good)
        assert await hass.config_entries.async_setup(site.entry_id)
        await later(hass, freezer, 2 * MINUTE)
        assert site.state is ConfigEntryState.LOADED
        assert not [
            one
            for one in ir.async_get(hass).issues.values()
            if one.translation_key == "bookings_unreadable"
        ]


class Feed(CalendarEntity):
    """A calendar somewhere on the internet, whose answers a test chooses."""

    _attr_should_poll = False
    entity_id = "calendar.feed"

    def __init__(self) -> None:
        """Begin empty and well."""
        self.events: list[CalendarEvent] = []
        self.failure: Exception | None = None
        self.away = False

    @property
    def available(self) -> bool:
        """Tell whether it can be reached."""
        return not self.away

    @property
    def event(self) -> CalendarEvent | None:
        """Show nothing."""
        return None

    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Answer, or fail."""
        if self.failure is not None:
            raise self.failure
        return [one for one in self.events if one.end > start_date and one.start < end_date]

    def put(self, uid: str | None, starts_at: datetime, ends_at: datetime, name: str = "") -> None:
        """Have an event, or have it at another time."""
        self.events = [one for one in self.events if one.uid != uid or uid is None]
        self.events.append(CalendarEvent(start=starts_at, end=ends_at, summary=name, uid=uid))


@pytest.fixture
async def feed(hass: HomeAssistant, site: ConfigEntry[Any]) -> AsyncIterator[Feed]:
    """Add the calendar to Home Assistant."""
    assert await async_setup_component(hass, "calendar", {})
    feed = Feed()
    await hass.data[DATA_COMPONENT].async_add_entities([feed])
    yield feed
    feed.failure = None


@pytest.mark.no_fail_on_log_exception
class TestCalendars:
    """Bookings from calendars, on good and bad days."""

    async def test_local_calendar(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
    ) -> None:
        """Events become keys by themselves, whole days at check-in and check-out, deleted ones go."""
        calendar = await local_calendar(hass)
        await write_event(hass, calendar, "Jansen", "2026-12-08", "2026-12-10")
        await add_unit(hass, sim, site, calendar=calendar)
        await looked(hass, freezer)
        (key,) = await all_live(hass, site)
        assert key["label"] == "Jansen"
        assert key["starts_at"] == "2026-12-08T14:00:00+00:00"
        pin = await pin_of(hass, site, key)
        assert edges(sim, key, keypad_pin=pin) == INSIDE_ONLY
        await write_event(hass, calendar, "Peters", "2026-12-20 15:00:00", "2026-12-22 10:00:00")
        await later(hass, freezer, 6 * MINUTE)
        assert len(await all_live(hass, site)) == 2
        entity = hass.data[DATA_COMPONENT].get_entity(calendar)
        assert entity is not None
        for event in await entity.async_get_events(hass, MORNING, MORNING + 30 * DAY):
            if event.summary == "Jansen":
                await entity.async_delete_event(str(event.uid))
        await later(hass, freezer, 6 * MINUTE)
        assert [one["label"] for one in await all_live(hass, site)] == ["Peters"]
        assert not opens(sim, pin, at=MORNING + 30 * HOUR)

    async def test_outage_takes_nobodys_key(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
        feed: Feed,
    ) -> None:
        """A feed that fails, is away, or is suddenly empty for a moment, costs nobody a key."""
        for number in range(1, 4):
            feed.put(f"u{number}", MORNING + number * DAY, MORNING + number * DAY + 5 * HOUR)
        await add_unit(hass, sim, site, calendar=feed.entity_id)
        await looked(hass, freezer)
        before = {key["key_id"] for key in await all_live(hass, site)}
        assert len(before) == 3
        feed.failure = RuntimeError("a bug of somebody else")
        await later(hass, freezer, 30 * MINUTE)
        feed.failure, feed.away = None, True
        feed.async_write_ha_state()
        await later(hass, freezer, 30 * MINUTE)
        feed.away, kept, feed.events = False, feed.events, []
        feed.async_write_ha_state()
        await later(hass, freezer, 11 * MINUTE)
        feed.events = kept
        await later(hass, freezer, 6 * MINUTE)
        assert {key["key_id"] for key in await all_live(hass, site)} == before
        feed.events = []
        await later(hass, freezer, 30 * MINUTE)
        assert await all_live(hass, site) == []

    async def test_one_vanished_event_needs_two_reads(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
        feed: Feed,
    ) -> None:
        """A cancelled event is believed at the second look; a moved one keeps its PIN at once."""
        feed.put("u1", MORNING + DAY, MORNING + 2 * DAY)
        feed.put("u2", MORNING + 3 * DAY, MORNING + 4 * DAY)
        await add_unit(hass, sim, site, calendar=feed.entity_id)
        await looked(hass, freezer)
        first, second = sorted(await all_live(hass, site), key=lambda key: str(key["starts_at"]))
        pin = await pin_of(hass, site, second)
        feed.events = [one for one in feed.events if one.uid != "u1"]
        feed.put("u2", MORNING + 3 * DAY, MORNING + 6 * DAY)
        await later(hass, freezer, 5 * MINUTE)
        assert {key["key_id"] for key in await all_live(hass, site)} == {
            first["key_id"],
            second["key_id"],
        }
        await later(hass, freezer, 6 * MINUTE)
        (kept,) = await all_live(hass, site)
        assert kept["key_id"] == second["key_id"]
        assert edges(sim, kept, keypad_pin=pin) == INSIDE_ONLY

    async def test_status_said_here_for_an_event(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
        feed: Feed,
    ) -> None:
        """A guest of a calendar who has left is completed by the action, and stays so."""
        feed.put("u1", MORNING + HOUR, MORNING + 2 * DAY, "Jansen")
        await add_unit(hass, sim, site, calendar=feed.entity_id)
        await looked(hass, freezer)
        (key,) = await all_live(hass, site)
        booking = await tell(hass, site, str(key["booking_id"]), status="completed")
        assert booking["source"] == "calendar"
        assert booking["starts_at"] == (MORNING + HOUR).isoformat()
        await later(hass, freezer, 11 * MINUTE)
        assert await all_live(hass, site) == []

    async def test_calendar_that_never_answered(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        sim: Simulator,
        site: ConfigEntry[Any],
        feed: Feed,
    ) -> None:
        """A restart while the feed is away takes no key of its bookings."""
        feed.put("u1", MORNING + DAY, MORNING + 2 * DAY)
        await add_unit(hass, sim, site, calendar=feed.entity_id)
        await looked(hass, freezer)
        before = [key["key_id"] for key in await all_live(hass, site)]
        feed.away = True
        feed.async_write_ha_state()
        assert await hass.config_entries.async_reload(site.entry_id)
        await later(hass, freezer, 30 * MINUTE)
        assert [key["key_id"] for key in await all_live(hass, site)] == before


@pytest.fixture
def quirks() -> Quirks:
    """Let everything take effect at once."""
    return Quirks.instant()


@pytest.fixture
def seed() -> SeedName:
    """Start with the campsite."""
    return "campsite"
