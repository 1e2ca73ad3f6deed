"""The card for dashboards: one file that Home Assistant serves, and that browsers load by itself."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http.server import StaticPathConfig
from homeassistant.core import HomeAssistant

from .const import DOMAIN

CARD: Final = "salto-ks-desk-card.js"
URL: Final = f"/{DOMAIN}/{CARD}"
_FILE: Final = Path(__file__).parent / "frontend" / CARD


async def async_offer_card(hass: HomeAssistant) -> None:
    """Have every page of the frontend know the card; without a frontend there is nothing to do."""
    if "frontend" not in hass.config.components:
        return
    digest = await hass.async_add_executor_job(_digest)
    await hass.http.async_register_static_paths([StaticPathConfig(URL, str(_FILE), True)])
    add_extra_js_url(hass, f"{URL}?{digest}")  # a new version is another address


def _digest() -> str:
    """Return what tells one version of the card from another."""
    return sha256(_FILE.read_bytes()).hexdigest()[:12]
