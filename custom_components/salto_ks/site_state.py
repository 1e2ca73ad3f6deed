"""What a person has switched at a site and what must survive a restart: `Active`.

Off means: no door is opened and no key issued; what takes access away goes on.
"""

from collections.abc import Mapping
from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.singleton import singleton
from homeassistant.util.hass_dict import HassKey

from .api.models import SiteId
from .const import DOMAIN
from .storage import StorageError, SureStore

STORE_KEY: Final = f"{DOMAIN}.sites"
STORE_VERSION: Final = 1
_STATES: Final[HassKey[SiteStates]] = HassKey(f"{DOMAIN}_site_states")


class SiteStates:
    """The switched state of each site, written through to disk."""

    def __init__(self, store: SureStore) -> None:
        """Start with every site active; `async_load` fills in what was switched."""
        self._store = store
        self._sites: dict[str, object] = {}

    async def async_load(self) -> None:
        """Read the file. Raises StorageError when it is not understood."""
        sites = await self._store.async_load_now("sites")
        if not isinstance(sites, Mapping | None):
            raise StorageError(f"{self._store.key} is not what it should be")
        self._sites = dict(sites or {})

    def is_active(self, site_id: SiteId) -> bool:
        """Tell whether doors may be opened and keys issued; a new site is active."""
        state = self._sites.get(site_id)
        return not (isinstance(state, Mapping) and state.get("active") is False)

    async def set_active(self, site_id: SiteId, *, active: bool) -> None:
        """Switch a site; in force at once, kept when this returns. Raises StorageError."""
        before = self._sites.get(site_id)
        kept = dict(before) if isinstance(before, Mapping) else {}
        changed = self._sites | {site_id: kept | {"active": active}}
        if active:
            await self._store.async_save_now({"sites": changed})
            self._sites = changed
        else:
            self._sites = changed
            await self._store.async_save_now({"sites": changed})


@singleton(_STATES, async_=True)
async def async_get_site_states(hass: HomeAssistant) -> SiteStates:
    """Return the states of this Home Assistant's sites, loaded once."""
    states = SiteStates(SureStore(hass, version=STORE_VERSION, key=STORE_KEY))
    await states.async_load()
    return states
