"""What a person has switched at a site and what must survive a restart: `Active`.

Off means: no door is opened and no key issued; what takes access away goes on.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.singleton import singleton
from homeassistant.util.hass_dict import HassKey

from .api.models import SiteId
from .const import DOMAIN
from .storage import Fault, FileUnusableError, SureStore

STORE_KEY: Final = f"{DOMAIN}.sites"
STORE_VERSION: Final = 1
_STATES: Final[HassKey[SiteStates]] = HassKey(f"{DOMAIN}_site_states")


class SiteStates:
    """The switched state of each site, written through to disk."""

    def __init__(self, store: SureStore) -> None:
        """Start with every site active; `async_load` fills in what was switched."""
        self._store = store
        self._sites: dict[str, Mapping[str, Any]] = {}
        self._offs: Counter[SiteId] = Counter()
        """How often each site was switched off since the start."""
        self._one_at_a_time = asyncio.Lock()
        self._switching: set[asyncio.Task[None]] = set()

    async def async_load(self) -> None:
        """Read the file.

        Raises FileUnusableError when it is not understood: a site whose state cannot be read
        must not count as active.
        """
        sites = await self._store.async_load_now("sites")
        if not isinstance(sites, Mapping | None) or not all(map(_is_state, (sites or {}).values())):
            raise FileUnusableError(Fault.DAMAGED, self._store.key)
        self._sites = dict(sites or {})

    def is_active(self, site_id: SiteId) -> bool:
        """Tell whether doors may be opened and keys issued; a new site is active."""
        return site_id not in self._sites or self._sites[site_id]["active"] is True

    async def set_active(self, site_id: SiteId, *, active: bool) -> None:
        """Switch a site, and return when that is kept. Raises StorageError.

        Off is in force at once, and stays so if it cannot be kept. On counts only once it is
        kept, and not at all if somebody has switched off in the meantime. A caller that is
        cancelled leaves nothing half-done.
        """
        if not active:
            self._offs[site_id] += 1
            self._put(site_id, self._changed(site_id, active=False))
        task = asyncio.create_task(self._keep(site_id, active=active, offs=self._offs[site_id]))
        self._switching.add(task)
        task.add_done_callback(self._switching.discard)
        await asyncio.shield(task)

    async def _keep(self, site_id: SiteId, *, active: bool, offs: int) -> None:
        """Write a state; `offs` is how often the site had been switched off when it was asked for."""
        async with self._one_at_a_time:
            if active and self._offs[site_id] != offs:
                return
            changed = self._changed(site_id, active=active)
            await self._store.async_save_now({"sites": {**self._sites, site_id: changed}})
            if active and self._offs[site_id] == offs:
                self._put(site_id, changed)

    def _changed(self, site_id: SiteId, *, active: bool) -> Mapping[str, Any]:
        """Return the state of a site as it is, but for `active`."""
        return {**self._sites.get(site_id, {}), "active": active}

    def _put(self, site_id: SiteId, state: Mapping[str, Any]) -> None:
        """Make a state the one that counts, and touch no other site's."""
        self._sites = {**self._sites, site_id: state}


def _is_state(state: object) -> bool:
    """Tell whether a state is one that we have written."""
    return isinstance(state, Mapping) and isinstance(state.get("active"), bool)


@singleton(_STATES, async_=True)
async def async_get_site_states(hass: HomeAssistant) -> SiteStates:
    """Return the states of this Home Assistant's sites, loaded once."""
    states = SiteStates(SureStore(hass, version=STORE_VERSION, key=STORE_KEY))
    await states.async_load()
    return states
