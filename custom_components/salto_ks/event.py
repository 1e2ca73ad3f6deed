"""What happens to the keys of a site, as an entity that automations and people can follow."""

from typing import override

from homeassistant.components.event import EventEntity
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import SaltoKsConfigEntry
from .domain.ids import UnitId
from .entity import SaltoKsKeysEntity, SaltoKsUnitEntity
from .keys.news import KeyNews, NewsKind

PARALLEL_UPDATES = 0


async def async_setup_entry(
    hass: HomeAssistant,
    entry: SaltoKsConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event entities."""
    async_add_entities([SaltoKsKeyEvent(entry)])
    for unit_id in entry.runtime_data.bookings.units:
        async_add_entities([SaltoKsUnitKeyEvent(entry, unit_id)], config_subentry_id=unit_id)


class SaltoKsKeyEvent(SaltoKsKeysEntity, EventEntity):
    """The life of keys: issued, changed, revoked, failed, used for the first time."""

    _attr_translation_key = "key_life_cycle"

    def __init__(self, entry: SaltoKsConfigEntry) -> None:
        """Belong to the site."""
        super().__init__(entry, "key_life_cycle")
        self._attr_event_types = [kind.value for kind in NewsKind]

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self.keys.async_listen(self._hear))

    @callback
    def _hear(self, news: KeyNews) -> None:
        """Show what has happened."""
        self._trigger_event(news.kind.value, self.keys.described_news(news))
        self.async_write_ha_state()


class SaltoKsUnitKeyEvent(SaltoKsUnitEntity, EventEntity):
    """The life of the keys of a unit."""

    _attr_translation_key = "key_life_cycle"

    def __init__(self, entry: SaltoKsConfigEntry, unit_id: UnitId) -> None:
        """Belong to the unit."""
        super().__init__(entry, unit_id, "key_life_cycle")
        self._attr_event_types = [kind.value for kind in NewsKind]

    @override
    async def async_added_to_hass(self) -> None:
        """Begin to listen."""
        await super().async_added_to_hass()
        self.async_on_remove(self.entry.runtime_data.keys.async_listen(self._hear))

    @callback
    def _hear(self, news: KeyNews) -> None:
        """Show what has happened to a key of this unit."""
        if news.record.unit_id == self.unit_id:
            keys = self.entry.runtime_data.keys
            self._trigger_event(news.kind.value, keys.described_news(news))
            self.async_write_ha_state()
