"""The key of the guest PINs: made once, never replaced while something depends on it."""

import asyncio
from collections.abc import Callable
import json
from pathlib import Path
import stat
from typing import Any

from homeassistant.core import CoreState, HomeAssistant
import pytest

from custom_components.salto_ks.api.models import SiteId
from custom_components.salto_ks.keys.ledger_files import Quarantine
from custom_components.salto_ks.keys.pin_cipher import (
    CipherUnavailableError,
    PinCipher,
    PinUnreadableError,
    async_get_pin_cipher,
)
from custom_components.salto_ks.storage import Fault
from tests.ha.files import hass_config_dir, hass_storage, path_of, read

from .ledgers import SITE, issued, no_room, opened

__all__ = ["hass_config_dir", "hass_storage"]

KEY = "salto_ks.pin_key"
PIN = "471108"


async def loaded(hass: HomeAssistant) -> PinCipher:
    """Return the cipher as after a start."""
    cipher = PinCipher(hass)
    await cipher.async_load()
    return cipher


async def a_sealed_pin(hass: HomeAssistant, site_id: SiteId = SITE) -> str:
    """Keep a sealed PIN in a site's ledger, and return it."""
    sealed = (await loaded(hass)).seal(PIN)
    await issued(await opened(hass, site_id), sealed_pin=sealed)
    return sealed


# With its key


async def test_pin_comes_back(hass: HomeAssistant) -> None:
    """What was sealed can be revealed, after a start as well, and is sealed anew each time."""
    cipher = await loaded(hass)
    sealed = cipher.seal(PIN)
    assert PIN not in sealed
    assert cipher.seal(PIN) != sealed
    again = await loaded(hass)
    assert again.unseal(sealed) == PIN


async def test_key_is_private(hass: HomeAssistant) -> None:
    """The key is in a file of its own that nobody else can read."""
    await loaded(hass)
    assert stat.S_IMODE(path_of(hass, KEY).stat().st_mode) == 0o600


async def test_key_is_made_once(hass: HomeAssistant) -> None:
    """All sites have the same key, however many ask for it at once."""
    ciphers = await asyncio.gather(*(async_get_pin_cipher(hass) for _ in range(5)))
    assert len(set(map(id, ciphers))) == 1
    kept = read(hass, KEY)
    first, second = await asyncio.gather(loaded(hass), loaded(hass))
    assert first.unseal(second.seal(PIN)) == ciphers[0].unseal(first.seal(PIN)) == PIN
    assert read(hass, KEY) == kept


async def test_shows_nothing(hass: HomeAssistant) -> None:
    """Neither the cipher nor an error of it shows the key or a PIN."""
    cipher = await loaded(hass)
    assert (repr(cipher), repr(PinCipher(hass))) == (
        "<PinCipher available>",
        "<PinCipher unavailable>",
    )
    with pytest.raises(PinUnreadableError) as failed:
        cipher.unseal(PIN)
    assert PIN not in f"{failed.value}{failed.value.__cause__}"


@pytest.mark.parametrize(
    "text", ["", "0", PIN, "gAAAAA", "gAAAAA" + "A" * 94, "gAAAAAé", "=" * 8, "\ud83d"], ids=ascii
)
async def test_nonsense_is_not_revealed(hass: HomeAssistant, text: str) -> None:
    """What stands in the place of a sealed PIN and is none has one error."""
    cipher = await loaded(hass)
    with pytest.raises(PinUnreadableError):
        cipher.unseal(text)


# Without its key


async def test_key_that_is_lost(hass: HomeAssistant) -> None:
    """While a ledger holds a sealed PIN no other key is made; with the file back, all is well."""
    sealed = await a_sealed_pin(hass)
    aside = path_of(hass, KEY).rename(path_of(hass, "aside"))
    cipher = await async_get_pin_cipher(hass)
    assert not cipher.is_available
    assert not path_of(hass, KEY).exists()
    with pytest.raises(CipherUnavailableError):
        cipher.seal(PIN)
    with pytest.raises(CipherUnavailableError):
        cipher.unseal(sealed)
    aside.rename(path_of(hass, KEY))
    assert (await async_get_pin_cipher(hass)) is cipher
    assert cipher.unseal(sealed) == PIN


def _of_another_site(_folder: Path) -> None:
    """Leave the ledger as it is: it is of another site than any that is set up."""


def _damaged(folder: Path) -> None:
    """Cut the file of keys off in its midst."""
    path = folder / "keys.0000"
    path.write_bytes(path.read_bytes()[:-40])


def _half_written(folder: Path) -> None:
    """Leave the file of keys under the name it has while it is written."""
    (folder / "keys.0000").rename(folder / "tmpabc")


@pytest.mark.parametrize("change", [_of_another_site, _damaged, _half_written])
async def test_any_sealed_pin_counts(hass: HomeAssistant, change: Callable[[Path], None]) -> None:
    """Wherever a sealed PIN is, no other key is made."""
    site_id = SiteId("another-site")
    await a_sealed_pin(hass, site_id)
    change(path_of(hass, f"salto_ks.ledger.{site_id}"))
    path_of(hass, KEY).unlink()
    assert not (await loaded(hass)).is_available
    assert not path_of(hass, KEY).exists()


async def test_key_that_nothing_depends_on(hass: HomeAssistant) -> None:
    """A lost key that sealed nothing which is still there is replaced."""
    await loaded(hass)
    ledger = await opened(hass)
    await issued(ledger)
    old = read(hass, KEY)
    path_of(hass, KEY).unlink()
    (path_of(hass, "salto_ks.ledger.a file")).write_text("not a folder")
    assert (await loaded(hass)).is_available
    assert read(hass, KEY) != old


async def test_ledger_that_cannot_be_looked_into(hass: HomeAssistant) -> None:
    """Where it cannot be known whether there is a sealed PIN, no key is made."""
    path_of(hass, "salto_ks.ledger.site/keys.0000").mkdir(parents=True)
    assert not (await loaded(hass)).is_available
    assert not path_of(hass, KEY).exists()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param('{"version": 1', id="cut off"),
        pytest.param("[]", id="a list"),
        *(
            pytest.param(
                json.dumps(
                    {"version": 1, "minor_version": 1, "key": KEY, "data": {"key": "A" * 43 + "="}}
                    | change
                ),
                id=f"{change}",
            )
            for change in (
                {"version": 2},
                {"version": 0},
                {"version": "1"},
                {"minor_version": None},
                {"key": "salto_ks.another"},
                {"data": None},
                {"data": {}},
                {"data": {"key": None}},
                {"data": {"key": "too short"}},
                {"data": {"key": "é" * 44}},
            )
        ),
    ],
)
async def test_key_file_that_is_not_understood(hass: HomeAssistant, content: str) -> None:
    """Such a file is left as it is, and there is no cipher."""
    path = path_of(hass, KEY)
    path.parent.mkdir()
    path.write_text(content)
    assert not (await loaded(hass)).is_available
    assert path.read_text() == content
    assert [one.name for one in path.parent.iterdir()] == [KEY]


async def test_key_file_that_cannot_be_read(hass: HomeAssistant) -> None:
    """A file that the disk does not give is no reason for another key."""
    path_of(hass, KEY).mkdir(parents=True)
    assert not (await loaded(hass)).is_available
    path_of(hass, KEY).rmdir()
    assert (await loaded(hass)).is_available


@pytest.mark.parametrize("obstacle", ["full disk", "stopping"])
async def test_key_that_cannot_be_written(hass: HomeAssistant, obstacle: str) -> None:
    """A key that is not on disk seals nothing; it is made when it can be."""
    if obstacle == "full disk":
        with no_room():
            cipher = await async_get_pin_cipher(hass)
    else:
        hass.set_state(CoreState.stopping)
        cipher = await async_get_pin_cipher(hass)
        hass.set_state(CoreState.running)
    assert not cipher.is_available
    assert cipher.quarantine == Quarantine(Fault.UNWRITABLE, KEY)
    assert not path_of(hass, KEY).exists()
    assert (await async_get_pin_cipher(hass)).is_available
    assert (await loaded(hass)).unseal(cipher.seal(PIN)) == PIN


async def test_key_of_another_ledger(hass: HomeAssistant) -> None:
    """With another key an old PIN is unreadable, and new ones are sealed."""
    sealed = await a_sealed_pin(hass)
    frame: dict[str, Any] = read(hass, KEY)
    frame["data"]["key"] = "A" * 43 + "="
    path_of(hass, KEY).write_text(json.dumps(frame))
    cipher = await loaded(hass)
    with pytest.raises(PinUnreadableError):
        cipher.unseal(sealed)
    assert cipher.unseal(cipher.seal(PIN)) == PIN
