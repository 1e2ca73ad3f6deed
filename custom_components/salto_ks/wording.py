"""The texts of actions' answers, in the language of this Home Assistant."""

from collections import ChainMap
from collections.abc import Mapping
import re
from typing import Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
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

_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")

_CATEGORIES: Final = ("common", "exceptions", "selector")
_ENGLISH: Final = "en"


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

    def choice(self, key: str, option: str) -> str:
        """Return what an item of a list to choose from is called."""
        return self._texts[f"component.{DOMAIN}.selector.{key}.options.{option}"]


async def async_wording(hass: HomeAssistant) -> Wording:
    """Return the texts in the language of this Home Assistant."""
    texts: dict[str, str] = {}
    for category in _CATEGORIES:
        texts |= await async_get_translations(hass, hass.config.language, category, [DOMAIN])
    return Wording(texts)


@callback
def cached_wording(hass: HomeAssistant) -> Wording:
    """Return the texts that Home Assistant has loaded with us, for what cannot wait.

    They are English while a language that was just chosen is being loaded.
    """
    languages = (hass.config.language, _ENGLISH)
    return Wording(
        ChainMap(
            *(
                async_get_cached_translations(hass, language, category, DOMAIN)
                for language in languages
                for category in _CATEGORIES
            )
        )
    )


async def async_said(hass: HomeAssistant, err: HomeAssistantError, language: str) -> str:
    """Say in a language what went wrong; an error without a text is said in its own words."""
    domain = err.translation_domain
    if domain is None:
        return str(err)
    texts = await async_get_translations(hass, language, "exceptions", [domain])
    text = texts.get(f"component.{domain}.exceptions.{err.translation_key}.message", "")
    about = err.translation_placeholders or {}
    return _PLACEHOLDER.sub(lambda found: about.get(found[1], found[0]), text) or str(err)


def unmarked(text: str) -> str:
    """Return a text of somebody else's so that no link, picture or markup comes of it.

    Issues and forms are shown as Markdown and their titles as they are, so what Markdown would
    take for its own is exchanged for what looks like it.
    """
    return _ADDRESS.sub(rf"\g<0>{_JOINED}", text.translate(_LOOKALIKES))


def _filled(text: str, about: Mapping[str, str] | None) -> str:
    """Fill a text; a value that looks like something to fill in stays as it is."""
    return text.format_map(about or {})
