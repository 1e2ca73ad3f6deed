"""The texts of actions' answers, in the language of this Home Assistant."""

from collections.abc import Mapping
import re
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_cached_translations, async_get_translations

from .const import DOMAIN

_LOOKALIKES: Final = str.maketrans(
    "[]<>",
    "\N{FULLWIDTH LEFT SQUARE BRACKET}"
    "\N{FULLWIDTH RIGHT SQUARE BRACKET}\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}"
    "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
)
_ADDRESS: Final = re.compile(r":(?=//)|www(?=\.)|@", re.IGNORECASE)
_JOINED: Final = "\N{WORD JOINER}"
"""Seen by nobody, and enough for an address to be none."""

_CATEGORIES: Final = ("common", "exceptions")


class Wording:
    """Texts by their keys, English where there is none in the language."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Take the texts from these."""
        self._texts = texts

    def common(self, key: str, about: Mapping[str, str] | None = None) -> str:
        """Return one of the common texts."""
        return _filled(self._texts[f"component.{DOMAIN}.common.{key}"], about)

    def exception(self, key: str, about: Mapping[str, str] | None = None) -> str:
        """Return what a person is shown of an error."""
        return _filled(self._texts[f"component.{DOMAIN}.exceptions.{key}.message"], about)


async def async_wording(hass: HomeAssistant) -> Wording:
    """Return the texts in the language of this Home Assistant."""
    texts: dict[str, str] = {}
    for category in _CATEGORIES:
        texts |= await async_get_translations(hass, hass.config.language, category, [DOMAIN])
    return Wording(texts)


@callback
def cached_wording(hass: HomeAssistant) -> Wording:
    """Return the common texts, which Home Assistant has loaded with us, for what cannot wait."""
    return Wording(async_get_cached_translations(hass, hass.config.language, "common", DOMAIN))


def unmarked(text: str) -> str:
    """Return a text of somebody else's so that no link, picture or markup comes of it.

    Issues and forms are shown as Markdown and their titles as they are, so what Markdown would
    take for its own is exchanged for what looks like it.
    """
    return _ADDRESS.sub(rf"\g<0>{_JOINED}", text.translate(_LOOKALIKES))


def _filled(text: str, about: Mapping[str, str] | None) -> str:
    """Fill a text; a value that looks like something to fill in stays as it is."""
    return text.format_map(about or {})
