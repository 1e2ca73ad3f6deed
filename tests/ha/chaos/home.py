"""A Home Assistant that is ended and started again on the files of the one before."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from time import sleep
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_test_home_assistant,
)

from custom_components.salto_ks.coordinator import SaltoKsData
from simulator import Simulator
from tests.ha.booking_helpers import FeedCalendar, add_feed
from tests.ha.keys import passing
from tests.ha.support import DOMAIN, RECEPTION, set_up_site

from .houses import HOUSES
from .listening import check_nothing_runs, left_of_ours


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
                await self._unload()
                await check_nothing_runs()
            self._kept = self.entry.as_dict()
            await self.hass.async_stop(force=True)
            await self._running.aclose()
            await self._files_are_written()
        for one in left_of_ours():
            one.cancel()  # As a process takes them with it.

    async def _unload(self) -> None:
        """Unload the site, and again where a change of the entry meanwhile has loaded it anew."""
        while self.is_loaded:
            await self.hass.config_entries.async_unload(self.entry.entry_id)
            async with self.entry.setup_lock:
                pass  # whoever has waited for it before has had it

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
