"""Keep the device registry as the site is: site, IQs, doors.

A door's device hangs on its IQ's, an IQ's on the site's. All belong to the entry itself, so
an IQ shows before it is activated.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import device_registry as dr

from .api.models import Iq, Lock
from .const import DOMAIN, MANUFACTURER
from .coordinator import SaltoKsConfigEntry

_LOCK_MODELS: Final[Mapping[str, str]] = {
    "cylinder": "Cylinder",
    "escutcheon": "Escutcheon",
    "escutcheon_pin": "Escutcheon with keypad",
    "wall_reader": "Wall reader",
    "wall_reader_pin": "Wall reader with keypad",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Device:
    """What the registry is told of one device."""

    name: str
    model: str | None
    hw_version: str | None
    via: str


class SiteDevices:
    """The devices of one entry."""

    def __init__(self, hass: HomeAssistant, entry: SaltoKsConfigEntry) -> None:
        """Work on the registry's devices of this entry."""
        self._entry = entry
        self._registry = dr.async_get(hass)
        self._told: dict[str, _Device] = {}
        self._kept: frozenset[str] | None = None

    async def async_begin(self) -> None:
        """Do the first `async_update`, which takes longest, with turns for others in between."""
        for _ in self._async_steps():
            await self._entry.runtime_data.doors.turns.give()

    @callback
    def async_update(self) -> None:
        """Add, rename and remove devices until they are those of the last poll."""
        for _ in self._async_steps():
            pass

    @callback
    def _async_steps(self) -> Iterator[None]:
        """Bring one device after the other up to date."""
        data = self._entry.runtime_data
        site, doors = data.site.data.site, data.doors.data
        self._registry.async_get_or_create(
            config_entry_id=self._entry.entry_id,
            identifiers={(DOMAIN, site.id)},
            entry_type=dr.DeviceEntryType.SERVICE,
            manufacturer=MANUFACTURER,
            model="KS site",
            name=site.name or site.site_uid,
        )
        for iq in doors.iqs.values():
            yield self._async_put(iq.id, _iq_device(iq, via=site.id))
        for lock in doors.locks.values():
            hub = doors.iq_of(lock) or site
            yield self._async_put(lock.id, _lock_device(lock, via=hub.id))
        if (kept := doors.known | {site.id}) != self._kept:
            self._async_remove_all_but(kept)
            self._kept = kept

    @callback
    def _async_put(self, key: str, device: _Device) -> None:
        """Tell the registry of a device, if it does not know yet."""
        if self._told.get(key) == device:
            return
        via = self._registry.async_get_device_by_identifier(
            (DOMAIN, device.via), self._entry.entry_id
        )
        self._registry.async_get_or_create(
            config_entry_id=self._entry.entry_id,
            identifiers={(DOMAIN, key)},
            manufacturer=MANUFACTURER,
            model=device.model,
            hw_version=device.hw_version,
            name=device.name,
            via_device_id=None if via is None else via.id,
        )
        self._told[key] = device

    @callback
    def _async_remove_all_but(self, kept: frozenset[str]) -> None:
        """Remove devices, and so their entities, of what has been missing for long enough."""
        for key, device_id in async_device_ids(self._registry, self._entry.entry_id).items():
            if key not in kept:
                self._registry.async_remove_device(device_id)
                self._told.pop(key, None)


@callback
def async_device_ids(registry: dr.DeviceRegistry, entry_id: str) -> dict[str, str]:
    """Return the registry's ids of an entry's own devices, by the vendor's ids."""
    return {
        key: device.id
        for device in dr.async_entries_for_config_entry(registry, entry_id)
        if device.config_subentry_id is None
        for domain, key in device.identifiers
        if domain == DOMAIN
    }


def _iq_device(iq: Iq, *, via: str) -> _Device:
    revision = iq.revision or None
    return _Device(name=iq.title, model="IQ", hw_version=revision, via=via)


def _lock_device(lock: Lock, *, via: str) -> _Device:
    kind = _LOCK_MODELS.get(lock.lock_type)
    model = ", ".join(part for part in (lock.vendor_name, kind) if part) or None
    return _Device(name=lock.title, model=model, hw_version=None, via=via)
