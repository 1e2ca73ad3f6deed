"""Up to where the door log of each site was read, so that a restart loses and doubles nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

from homeassistant.core import HomeAssistant
from homeassistant.helpers.singleton import singleton
from homeassistant.util.hass_dict import HassKey

from .api.access_events import AccessEvent, AccessEventId
from .api.models import SiteId
from .const import DOMAIN, LOGGER
from .domain.json_values import as_instant, instant_to_json
from .storage import StorageError, SureStore

STORE_KEY: Final = f"{DOMAIN}.access_events"
STORE_VERSION: Final = 1
_CURSORS: Final[HassKey[AccessCursors]] = HassKey(f"{DOMAIN}_access_cursors")

OVERLAP: Final = timedelta(minutes=15)
"""How far before the newest event the log is read again: an offline door tells late (INF)."""

_EARLIEST_YEAR: Final = 2000

_REMEMBERED: Final = 2 * OVERLAP
"""How long ids are remembered. More than the overlap, as two clocks may differ by some of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessCursor:
    """A point in the door log, and which events around it were handed out."""

    newest_at: datetime
    """When the newest event happened; before the first one, when we began to read."""
    handed_out: Mapping[AccessEventId, datetime]

    @classmethod
    def begin(cls, now: datetime) -> Self:
        """Begin with what is newer than the overlap before `now`."""
        return cls(newest_at=now, handed_out={})

    def reads_from(self, now: datetime) -> datetime:
        """Return from when on the log is to be read.

        A cursor from the future, of a Home Assistant whose clock was wrong, must not keep the log
        from being read until then.
        """
        return min(self.newest_at, now) - OVERLAP

    def after(self, events: Iterable[AccessEvent], now: datetime) -> Self:
        """Return the cursor after these were handed out.

        Events from the future, of an IQ whose clock is wrong, do not move it, or all that happens
        until then would be passed over.
        """
        handed_out = {**self.handed_out, **{event.id: event.at for event in events}}
        past = [at for at in handed_out.values() if at <= now]
        newest_at = max([min(self.newest_at, now), *past])
        oldest_at = newest_at - _REMEMBERED
        return type(self)(
            newest_at=newest_at,
            handed_out={key: at for key, at in handed_out.items() if at >= oldest_at},
        )


class AccessCursors:
    """The cursor of each site, on disk and for an entry that is loaded anew.

    A file that is not understood is no reason to keep doors from being set up. Reading begins
    from now then, and the file is written over when that is first kept: it holds nothing but a
    position, which is worth nothing once the log has gone on from another one.
    """

    def __init__(self, store: SureStore) -> None:
        """Start without any; `async_load` fills in what was kept."""
        self._store = store
        self._sites: dict[SiteId, AccessCursor] = {}
        self._on_disk: Mapping[SiteId, AccessCursor] = {}

    async def async_load(self) -> None:
        """Read the file, and warn about what is not understood in it."""
        try:
            sites = await self._store.async_load_now("sites")
        except StorageError as err:
            self._warn(str(err))
            return
        if not isinstance(sites, Mapping | None):
            self._warn(f"{self._store.key} is not what it should be")
            return
        for site_id, data in (sites or {}).items():
            try:
                self._sites[SiteId(site_id)] = _cursor_from_json(data)
            except AttributeError, KeyError, TypeError, ValueError:
                self._warn(f"{self._store.key} is not what it should be for a site")
        self._on_disk = dict(self._sites)

    def cursor_of(self, site_id: SiteId) -> AccessCursor | None:
        """Return how far a site was read; None for one that never was."""
        return self._sites.get(site_id)

    async def keep(self, site_id: SiteId, cursor: AccessCursor) -> None:
        """Make a cursor the one that counts, and return when it is on disk; see `_write`."""
        self._sites[site_id] = cursor
        await self._write()

    async def forget(self, site_id: SiteId) -> None:
        """Forget a site, so that it begins from now should it ever come back; see `_write`."""
        self._sites.pop(site_id, None)
        await self._write()

    async def _write(self) -> None:
        """Write what counts, unless that is on disk already.

        Raises StorageError when it is not written; it counts all the same until a restart.
        """
        sites = dict(self._sites)
        if sites == self._on_disk:
            return
        await self._store.async_save_now(
            {"sites": {site_id: _cursor_to_json(cursor) for site_id, cursor in sites.items()}}
        )
        self._on_disk = sites

    def _warn(self, what: str) -> None:
        """Say that something was not understood, and what that means."""
        LOGGER.warning("%s; the door log is read from now on", what)


def _cursor_to_json(cursor: AccessCursor) -> dict[str, Any]:
    """Write a cursor."""
    return {
        "newest_at": instant_to_json(cursor.newest_at),
        "handed_out": {key: instant_to_json(at) for key, at in cursor.handed_out.items()},
    }


def _cursor_from_json(data: Any) -> AccessCursor:
    """Read a cursor. Raises AttributeError, KeyError, TypeError or ValueError for another thing."""
    return AccessCursor(
        newest_at=_instant(data["newest_at"]),
        handed_out={
            AccessEventId(key): _instant(value) for key, value in data["handed_out"].items()
        },
    )


def _instant(value: object) -> datetime:
    """Read an instant. Raises ValueError for another thing.

    One before there was anything to log is none either, since time cannot be counted back from it.
    """
    instant = as_instant(value)
    if instant.year < _EARLIEST_YEAR:
        raise ValueError("not an instant of a door log")
    return instant


@singleton(_CURSORS, async_=True)
async def async_get_access_cursors(hass: HomeAssistant) -> AccessCursors:
    """Return the cursors of this Home Assistant's sites, loaded once."""
    cursors = AccessCursors(SureStore(hass, version=STORE_VERSION, key=STORE_KEY))
    await cursors.async_load()
    return cursors
