"""Bookings from the calendar to the keypad, whatever Salto does either way, and in several zones.

One site lives through everything that happens to bookings: so each way in which Salto may behave
costs one life, and not one for each story.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from freezegun.api import FrozenDateTimeFactory
from homeassistant.components.calendar import CalendarEvent
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
import pytest

from simulator import Quirks, Simulator
from simulator.quirks import LAGS, Value, choices
from tests.ha.booking_helpers import FeedCalendar, add_feed, bookings, keys, trouble
from tests.ha.files import hass_config_dir, hass_storage
from tests.ha.keys import (
    HOUR,
    INSIDE_ONLY,
    MINUTE,
    MORNING,
    ask,
    groups,
    guests,
    opens,
    passing,
)
from tests.ha.support import (
    DOMAIN,
    FIELD,
    GATE,
    LAUNDRY,
    RECEPTION,
    door,
    go_on,
    iq_named,
    lock_named,
    opened,
    serving,
    set_up_site,
)
from tests.ha.units import CABIN, add_unit, tell
from tests.ha.watching import shown

__all__ = ["hass_config_dir", "hass_storage"]

OTHER = "Pitch 13"
DAY = timedelta(days=1)
"""Of 24 hours, also where the clocks change."""

NUMBERS: dict[str, tuple[float, ...]] = {
    "block_seconds": (1200.0, 60.0),
    "otp_window_s": (180, 60),
    "token_lifetime_s": (3600, 60),
    "default_page_size": (20, 1),
    "max_page_size": (100, 5),
    "entries_lag_s": (0.0, 30.0),
    "creation_lag_s": (0.0, 60.0),
    "listing_lag_s": (0.0, 60.0),
    "detail_lag_s": (0.0, 20.0),
    "delete_lag_s": (0.0, 10.0),
    "schedule_rollout_s": (0.0, 210.0),
    "member_rollout_s": (0.0, 45.0),
    "change_rollout_s": (0.0, 45.0),
}
"""The values that are tried of quirks that may be any number, the usual one first."""

TOGETHER = (LAGS, ("max_page_size", "next_link_scheme", "next_link_host"))
"""Quirks that are unusual in one life: all lags as in real life, and links in lists of several
pages, where alone they show."""

ALONE = "dated_time_honoured"
"""What decides how keys have to be made, and so could hide what something else does."""

AT_ONCE = 6
"""How many other unusual values are tried in one life: few, and a failure names them."""


def values_of(name: str) -> tuple[Value, ...]:
    """Return the values that are tried of a quirk, the usual one first."""
    return {**choices(), **NUMBERS}.get(name, ())


def all_quirks() -> Iterator[Quirks]:
    """Return quirks in which each value of each field is tried."""
    lives: list[dict[str, Any]] = [
        {},
        *({name: value for name in names for value in values_of(name)[1:]} for names in TOGETHER),
        *({ALONE: value} for value in values_of(ALONE)[1:]),
    ]
    others: list[dict[str, Any]] = []
    for name in (quirk.name for quirk in fields(Quirks)):
        if name != ALONE and not any(name in names for names in TOGETHER):
            for value in values_of(name)[1:]:
                _live_with(others, name, value)
    return (Quirks.instant(**life) for life in lives + others)


def _live_with(lives: list[dict[str, Any]], name: str, value: Value) -> None:
    """Put an unusual value into the first life with room for it."""
    for life in lives:
        if len(life) < AT_ONCE and name not in life:
            life[name] = value
            return
    lives.append({name: value})


def named(quirks: Quirks) -> str:
    """Return what is not the usual about quirks."""
    usual = Quirks.instant()
    given = {quirk.name: getattr(quirks, quirk.name) for quirk in fields(Quirks)}
    unusual = (f"{name}={value}" for name, value in given.items() if value != getattr(usual, name))
    return " ".join(unusual) or "usual"


def test_every_value_of_every_quirk_is_lived_through() -> None:
    """A quirk without values to try, or a value that nothing tries, is no oversight for long."""
    assert {*choices(), *NUMBERS} == {quirk.name for quirk in fields(Quirks)}
    assert set(LAGS) <= set(NUMBERS)
    tried = list(all_quirks())
    for quirk in fields(Quirks):
        assert set(values_of(quirk.name)) <= {getattr(one, quirk.name) for one in tried}


@pytest.fixture(autouse=True)
def _our_integration(enable_custom_integrations: None, socket_enabled: None) -> None:
    """Let Home Assistant find the integration, and talk to loopback."""


@dataclass(kw_only=True)
class Site:
    """A site with two units, whose guests come and go by the calendars of these."""

    hass: HomeAssistant
    freezer: FrozenDateTimeFactory
    sim: Simulator
    entry: ConfigEntry[Any]
    first: FeedCalendar
    second: FeedCalendar

    @property
    def is_exact(self) -> bool:
        """Tell whether the doors heed the time of day of a schedule."""
        return self.sim.quirks.dated_time_honoured == "yes"

    @asynccontextmanager
    async def time_passing(self) -> AsyncIterator[None]:
        """Have time pass where something takes its time at Salto, as nothing would come otherwise."""
        if any(getattr(self.sim.quirks, name) for name in LAGS):
            async with passing(self.freezer):
                yield
        else:
            yield

    async def goes_on(self, *seconds: float) -> None:
        """Let time pass in these steps, with what there is to do after each of them."""
        for step in seconds:
            async with self.time_passing():
                await go_on(self.hass, self.freezer, step)

    async def looks(self) -> None:
        """Let the calendars be read again, and keys follow."""
        await self.goes_on(301)

    async def at(self, moment: datetime) -> None:
        """Go on at a later moment, as if nothing had happened in between."""
        self.freezer.move_to(moment)
        await self.goes_on(0)

    async def key(self, label: str) -> dict[str, Any]:
        """Return the key of a guest that somebody may come in with, and its PIN."""
        (key,) = [one for one in await keys(self.hass, self.entry) if one["label"] == label]
        answer = await ask(self.hass, self.entry, "get_pin", key_id=key["key_id"])
        return key | {"pin": answer["pin"]}

    async def guests(self) -> list[str]:
        """Return whose keys somebody may come in with."""
        return sorted(one["label"] for one in await keys(self.hass, self.entry))

    async def booking(self, label: str) -> dict[str, Any]:
        """Return what is known of the booking of a guest."""
        (found,) = [one for one in await bookings(self.hass) if one["label"] == label]
        return found

    async def told(self, label: str, starts_at: datetime, ends_at: datetime, **more: Any) -> None:
        """Have a booking system tell of a booking of the first unit."""
        stay = {"starts_at": starts_at, "ends_at": ends_at, **more}
        async with self.time_passing():
            await tell(self.hass, self.entry, label, label=label, **stay)
        await self.goes_on(61)

    def foreseen(self, key: dict[str, Any], name: str, *moments: datetime) -> list[bool]:
        """Type the PIN of a key at a door at later moments, in a world that nobody hears of."""
        twin, seen = Simulator.load(self.sim.dump()), []
        for moment in moments:
            twin.clock.set(moment)
            seen.append(opens(twin, key["pin"], name))
        return seen

    def opens_inside_only(self, key: dict[str, Any], *names: str) -> bool:
        """Tell whether a key opens doors in its window only, as far as a door knows that."""
        start, end = (datetime.fromisoformat(key[name]) for name in ("starts_at", "ends_at"))
        inside = INSIDE_ONLY if self.is_exact else (False,) * 4
        moments = (start - MINUTE, start, end - MINUTE, end + MINUTE)
        return all(tuple(self.foreseen(key, name, *moments)) == inside for name in names)

    def opens(self, key: dict[str, Any], *names: str) -> list[bool]:
        """Type the PIN of a key at doors now."""
        return [opens(self.sim, key["pin"], name) for name in names]


async def moved_in(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, sim: Simulator, url: str
) -> Site:
    """Set a site up, with a calendar for each of its two units.

    Where doors do not heed the time of day in a schedule, units have their keys join and leave.
    """
    sim.set("site", sim.site_id, features=["custom_pin"])
    entry = await set_up_site(hass, sim, url, iqs=[RECEPTION])
    site = Site(
        hass=hass,
        freezer=freezer,
        sim=sim,
        entry=entry,
        first=await add_feed(hass, "First"),
        second=await add_feed(hass, "Second"),
    )
    exact: dict[str, Any] = {"strategy": "schedule" if site.is_exact else "membership"}
    margins = {"minutes_before": 30, "minutes_after": 15}
    first, second = site.first.entity_id, site.second.entity_id
    await add_unit(hass, sim, entry, calendar=first, mode="both", **margins, **exact)
    await add_unit(
        hass, sim, entry, OTHER, doors=(GATE, LAUNDRY), calendar=second, pin_length=5, **exact
    )
    return site


async def booked_and_moved(site: Site, start: datetime, end: datetime) -> None:
    """Have a stay become a PIN, which it keeps at another time and in another unit."""
    site.first.write("Jansen", start, end - HOUR, uid="J")
    site.second.write("Pieters", end + 2 * HOUR, end + 3 * DAY, uid="P")
    await site.looks()
    key = await site.key("Jansen")
    assert key["starts_at"] == (start - 30 * MINUTE).isoformat()
    assert key["ends_at"] == (end - 45 * MINUTE).isoformat()
    assert len(key["pin"]) == site.sim.quirks.pin_digits
    assert site.opens_inside_only(key, GATE, CABIN)

    site.first.write("Jansen", start - 3 * HOUR, end + 2 * HOUR, uid="J")
    await site.looks()
    changed = await site.key("Jansen")
    assert changed["ends_at"] == (end + 2 * HOUR + 15 * MINUTE).isoformat()
    assert (changed["key_id"], changed["pin"]) == (key["key_id"], key["pin"])
    assert site.opens_inside_only(changed, GATE, CABIN)

    site.first.drop("J")
    site.second.write("Jansen", start - 3 * HOUR, end + 2 * HOUR, uid="J")
    await site.looks()
    moved = await site.key("Jansen")
    assert (moved["key_id"], moved["pin"]) == (key["key_id"], key["pin"])
    assert moved["starts_at"] == (start - 3 * HOUR).isoformat()
    assert site.opens_inside_only(moved, GATE, LAUNDRY)
    assert site.foreseen(key, CABIN, start) == [False]
    after = await site.key("Pieters")
    assert len(after["pin"]) == 5
    assert site.opens_inside_only(after, GATE, LAUNDRY)


async def cancelled_before(site: Site, start: datetime, end: datetime) -> None:
    """Have a guest cancel, whose PIN is dead, and the next one wait for a seat."""
    await site.told("Smit", start, end)
    key = await site.key("Smit")
    assert site.opens_inside_only(key, GATE, CABIN)
    await site.told("Smit", start, end, status="cancelled")
    assert await site.guests() == ["Jansen", "Pieters"]
    assert site.foreseen(key, GATE, start) == [False]

    seats = site.sim.site.subscribed_user_amount
    used = site.sim.world.seats_used(site.sim.site_id)
    site.sim.set("site", site.sim.site_id, subscribed_user_amount=used)
    await site.told("Bakker", start, end)
    assert await site.guests() == ["Jansen", "Pieters"]
    assert "seat" in str(trouble(site.hass, site.entry))
    site.sim.set("site", site.sim.site_id, subscribed_user_amount=seats)
    await site.goes_on(900, 61)
    assert site.opens_inside_only(await site.key("Bakker"), GATE, CABIN)
    assert trouble(site.hass, site.entry) is None


async def arrived(site: Site, start: datetime) -> None:
    """Guests come in from their first minute on, by PIN and by the action, and are checked in."""
    jansen, bakker = await site.key("Jansen"), await site.key("Bakker")
    await site.at(start - 3 * HOUR - MINUTE)
    assert site.opens(jansen, GATE) == [False]
    await site.at(start - 3 * HOUR + 2 * MINUTE)
    assert site.opens(jansen, GATE, LAUNDRY, CABIN) == [True, True, False]
    await site.at(start - HOUR)
    assert (await site.booking("Jansen"))["status"] == "checked_in"

    call = {"booking_id": "Bakker", "doors": [door(site.hass, site.sim, GATE)]}
    with shown("opening_too_early", users=True):
        await site.hass.services.async_call(DOMAIN, "open_door", call, blocking=True)
    assert not opened(site.sim, GATE)
    await site.at(start - 10 * MINUTE)
    assert (await site.booking("Bakker"))["status"] == "confirmed"
    await site.hass.services.async_call(DOMAIN, "open_door", call, blocking=True)
    assert opened(site.sim, GATE)
    booking = await site.booking("Bakker")
    assert booking["status"] == "checked_in"
    at = datetime.fromisoformat(booking["opened_at"])
    assert start - 10 * MINUTE <= at < start - 8 * MINUTE
    assert site.opens(bakker, GATE, CABIN) == [True, True]


async def bad_days(site: Site, start: datetime, end: datetime) -> None:
    """Have feeds that are away for a day, and one that is deleted: nobody stands outside for that."""
    jansen, bakker = await site.key("Jansen"), await site.key("Bakker")
    site.first.answer = site.second.answer = TimeoutError()
    for hours in (8, 16, 24):
        await site.at(start + hours * HOUR)
        await site.goes_on(301)
    assert site.opens(jansen, GATE, LAUNDRY) == [True, True]
    site.first.answer = site.second.answer = None
    await site.looks()
    assert await site.guests() == ["Bakker", "Jansen", "Pieters"]

    site.sim.set("lock", lock_named(site.sim, CABIN).id, online=False)
    await site.told("Bakker", start, end, status="cancelled")
    kept = site.sim.quirks.lock_offline_pin == "kept"
    assert site.opens(bakker, GATE, CABIN) == [False, kept]
    site.sim.set("lock", lock_named(site.sim, CABIN).id, online=True)
    await site.goes_on(61)
    assert site.opens(bakker, CABIN) == [False]
    assert await site.guests() == ["Jansen", "Pieters"]

    await site.second.async_remove()
    await site.goes_on(1201, 301, 301)
    async with site.time_passing():
        await site.hass.config_entries.async_reload(site.entry.entry_id)
    await site.goes_on(21, 301)
    assert await site.guests() == ["Jansen", "Pieters"]
    assert site.opens(jansen, GATE, LAUNDRY) == [True, True]


async def away_over_the_change_of_guests(site: Site, end: datetime) -> None:
    """On the day of change each guest has their own time, though Home Assistant is down.

    Where keys join and leave, that waits until it is back.
    """
    jansen, pieters = await site.key("Jansen"), await site.key("Pieters")
    await site.at(end + HOUR)
    await site.hass.config_entries.async_unload(site.entry.entry_id)
    change = end + 2 * HOUR
    moments = (change - MINUTE, change + MINUTE)
    assert site.foreseen(jansen, GATE, *moments) == [True, not site.is_exact]
    assert site.foreseen(pieters, GATE, *moments) == [False, site.is_exact]
    site.freezer.move_to(change + HOUR)
    if site.is_exact:
        assert site.opens(pieters, LAUNDRY) == [True]
    async with site.time_passing():
        await site.hass.config_entries.async_setup(site.entry.entry_id)
        await site.hass.async_block_till_done(wait_background_tasks=True)
    await site.goes_on(61, 61, 301)
    assert await site.guests() == ["Pieters"]
    assert [site.opens(one, GATE, LAUNDRY) for one in (jansen, pieters)] == [
        [False] * 2,
        [True] * 2,
    ]
    await site.goes_on(61, 61)
    assert (await site.booking("Pieters"))["status"] == "checked_in"


async def left(site: Site, end: datetime) -> None:
    """After the last guest no PIN opens, and nothing of anybody is left at Salto."""
    pieters = await site.key("Pieters")
    await site.at(end + 3 * DAY - MINUTE)
    assert site.opens(pieters, GATE) == [True]
    await site.at(end + 3 * DAY + 2 * MINUTE)
    await site.goes_on(301)
    assert site.opens(pieters, GATE, LAUNDRY) == [False, False]
    assert await site.guests() == []
    assert (guests(site.sim), groups(site.sim)) == ([], [])


async def live(site: Site, morning: datetime) -> None:
    """Live through all that happens to bookings, from a morning on."""
    start, end = morning + 8 * HOUR, morning + 2 * DAY
    await booked_and_moved(site, start, end)
    await cancelled_before(site, start, end)
    await arrived(site, start)
    await bad_days(site, start, end)
    await away_over_the_change_of_guests(site, end)
    await left(site, end)


async def whole_days(site: Site, morning: datetime, zone: ZoneInfo) -> None:
    """Read an event of whole days by the clock on the wall, whatever that does meanwhile."""
    first, last = morning.date() + DAY, morning.date() + 3 * DAY
    site.first.events = [CalendarEvent(start=first, end=last, summary="Mulder", uid="M")]
    await site.looks()
    key = await site.key("Mulder")
    start = datetime.combine(first, time(15), zone).astimezone(UTC) - 30 * MINUTE
    end = datetime.combine(last, time(10), zone).astimezone(UTC) + 15 * MINUTE
    assert (key["starts_at"], key["ends_at"]) == (start.isoformat(), end.isoformat())
    assert site.opens_inside_only(key, GATE, CABIN)
    site.first.drop("M")
    await site.looks()
    await site.looks()
    assert await site.guests() == []


@pytest.mark.parametrize("quirks", all_quirks(), ids=named)
async def test_whatever_salto_does(
    hass: HomeAssistant, freezer: FrozenDateTimeFactory, quirks: Quirks
) -> None:
    """Each guest comes in inside their time, and not a minute outside of it."""
    freezer.move_to(MORNING)
    await hass.config.async_set_time_zone("Europe/Amsterdam")
    sim = Simulator(seed="campsite", quirks=quirks, rng_seed=1)
    async with serving(sim) as url:
        await live(await moved_in(hass, freezer, sim, url), MORNING)


@pytest.mark.parametrize(
    ("zone", "day", "zone_of_iqs"),
    [
        ("Europe/Amsterdam", "2027-03-27", None),
        ("Europe/Amsterdam", "2026-10-24", None),
        ("America/New_York", "2027-03-13", None),
        ("America/New_York", "2026-10-31", None),
        ("Pacific/Auckland", "2026-09-26", None),
        ("Pacific/Auckland", "2027-04-03", None),
        ("Europe/Amsterdam", "2026-10-24", "America/New_York"),
    ],
)
async def test_wherever_it_is(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    zone: str,
    day: str,
    zone_of_iqs: str | None,
) -> None:
    """The same over a night in which the clocks change here or at the IQs, or in both places."""
    morning = datetime.combine(date.fromisoformat(day), time(8), ZoneInfo(zone))
    freezer.move_to(morning.astimezone(UTC))
    await hass.config.async_set_time_zone(zone)
    sim = Simulator(seed="campsite", quirks=Quirks.instant(), rng_seed=1)
    for name in (RECEPTION, FIELD):
        sim.set("iq", iq_named(sim, name).id, time_zone=zone_of_iqs or zone)
    async with serving(sim) as url:
        site = await moved_in(hass, freezer, sim, url)
        await whole_days(site, morning, ZoneInfo(zone))
        await live(site, morning.astimezone(UTC))
