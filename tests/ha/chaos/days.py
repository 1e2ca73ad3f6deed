"""How storms and calm days follow each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
import random
from typing import Final

from aiohttp.test_utils import TestServer
from freezegun.api import FrozenDateTimeFactory
from homeassistant.util import dt as dt_util

from custom_components.salto_ks.domain.keys import KeyStatus
from simulator import Quirks, Simulator
from tests.ha.keys import HOUR, MINUTE, passing
from tests.ha.support import iq_named, lock_named, without_live_events

from .home import Home
from .houses import HOUSES, IQS, KEYPADS
from .listening import ChaosError, check_nothing_runs, errors_kept
from .people import People
from .promises import Promises
from .scene import Figures, Scene
from .weather import Weather

AT_ONCE: Final = 6
"""How many people ask at the same time."""
QUIET: Final = 25
"""Turns of the event loop in which nothing is on its way before time passes."""
PATIENCE: Final = 600
"""Turns after which time passes all the same."""


class Days:
    """Bad days at one site, and good ones."""

    def __init__(self, scene: Scene) -> None:
        """Have them at this site, on which nothing was done yet."""
        self._scene = scene
        self._people = People(scene)
        self._weather = Weather(scene)
        self._promises = Promises(scene)
        self._seen = 0

    async def begin(self) -> None:
        """Have a good day on which the units are added."""
        for house in HOUSES:
            self._scene.add_unit(house)
        await self.passes(2 * MINUTE, 5)

    async def turn(self) -> None:
        """Let everything run until nothing is on its way, or for a while."""
        quiet = 0
        for _ in range(PATIENCE):
            await asyncio.sleep(0)
            before, quiet = len(self._scene.sim.journal.entries), quiet + 1
            if before != self._seen or self._scene.home.waits_for_a_thread():
                self._seen, quiet = before, 0
            if quiet > QUIET:
                return

    async def passes(self, time: timedelta, step: float) -> None:
        """Let time pass in steps of seconds."""
        until = dt_util.utcnow() + time
        while dt_util.utcnow() < until:
            self._scene.home.freezer.tick(step + 0.01)
            await self.turn()

    async def storm(self, steps: int) -> None:
        """Have everything at once, for so many steps of time."""
        luck = self._scene.luck
        for _ in range(steps):
            for _ in range(luck.randint(0, 2)):
                if self._people.waiting < AT_ONCE:
                    self._people.act()
            if luck.random() < 0.25:
                self._weather.go_wrong()
            if luck.random() < 0.015:
                await self.restart()
            self._scene.home.freezer.tick(
                luck.choice(
                    [0.3, 0.3, 1.01, 1.01, 1.01, 5.01, 5.01, 20.01, 20.01, 61.01, 61.01, 905]
                )
            )
            await self.turn()

    async def calm(self) -> None:
        """Let all be well for a day, have people do what they would, and hold all to the promise."""
        sim, home = self._scene.sim, self._scene.home
        self._scene.story.append("calm")
        sim.faults.clear()
        sim.clock.set(dt_util.utcnow())
        for name in KEYPADS:
            sim.set("lock", lock_named(sim, name).id, online=True)
        for name in IQS:
            sim.set("iq", iq_named(sim, name).id, online=True)
        sim.set("site", sim.site_id, subscribed_user_amount=1000)
        await self._people.all_are_answered()
        for house in HOUSES:
            if house.feed:
                stay = self._scene.some_stay(house.name)
                last = replace(stay, ends_at=max(stay.ends_at, stay.starts_at + 60 * HOUR))
                self._scene.in_calendars[f"last of {house.name}"] = last
        self._weather.clear_up()
        options = dict(home.entry.options) | {"polling_interval": 60}
        home.hass.config_entries.async_update_entry(home.entry, options=options)
        async with passing(home.freezer):
            await home.hass.config_entries.async_reload(home.entry.entry_id)
        if not home.is_loaded:
            raise ChaosError(f"the site is not there: {home.entry.state} {home.entry.reason}")
        await self.passes(3 * MINUTE, 5)
        async with passing(home.freezer):
            await self._people.tell_all_again()
        await self.passes(20 * MINUTE, 20)
        async with passing(home.freezer):
            await self._people.mend()
        await self.passes(12 * HOUR, 300)
        await self.passes(10 * MINUTE, 20)
        async with passing(home.freezer):
            await self._scene.ask("reconcile", dry_run=False, deep=True)
        await self.passes(12 * MINUTE, 20)
        for _ in range(4):  # A stay may have ended just now.
            if not self._is_under_way():
                break
            await self.passes(5 * MINUTE, 20)
        await self._promises.check()

    async def restart(self) -> None:
        """End Home Assistant in the middle of all, and start another one."""
        luck = self._scene.luck
        unload, calendars_first = luck.random() < 0.5, luck.random() < 0.7
        self._scene.story.append(f"restart, {unload=} {calendars_first=}")
        self._scene.figures.restarts += 1
        await self._scene.home.stop(unload=unload)
        await self._people.all_are_answered()
        await self._scene.home.start(calendars_first=calendars_first)
        self._scene.write_calendars()

    def _is_under_way(self) -> bool:
        """Tell whether something is being done to a key."""
        ledger = self._scene.home.data.keys.ledger
        removing = any(one.status is KeyStatus.REMOVING for one in ledger.records.values())
        return removing or bool(ledger.intents)


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
) -> AsyncIterator[Scene]:
    """Set a site up, and take it down."""
    sim = without_live_events(Simulator("campsite", quirks=_quirks(luck)))
    sim.set("site", sim.site_id, features=["custom_pin"], subscribed_user_amount=1000)
    server = TestServer(sim.app(), host="127.0.0.1")
    await server.start_server(access_log=None)
    home = Home(folder, sim, str(server.make_url("")).rstrip("/"), freezer)
    await home.start()
    try:
        yield Scene(home, sim, luck)
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
        async with _at_home(folder, freezer, luck) as scene:
            days = Days(scene)
            try:
                await days.begin()
                for _ in range(storms):
                    await days.storm(steps)
                    await days.calm()
                    errors.check(scene.pins)
            except BaseException as err:
                err.add_note("\n".join([f"seed {seed}", *scene.story, *errors.found]))
                raise
        errors.check(scene.pins)
    return scene.figures
