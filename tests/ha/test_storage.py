"""The Store that tells when it could not write, on real files."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
import json
import stat
from typing import Any

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import issue_registry as ir
import pytest

from custom_components.salto_ks.storage import StorageError, SureStore

from .files import files_with, hass_config_dir, hass_storage, path_of, read, write

__all__ = ["hass_config_dir", "hass_storage"]

KEY = "salto_ks.something"
SECRET = "0123456789ABCDEF"


@pytest.fixture
def store(hass: HomeAssistant) -> SureStore:
    """Return a Store without a file."""
    return SureStore(hass, version=1, key=KEY)


@contextmanager
def folder_is_a_file(hass: HomeAssistant) -> Iterator[None]:
    """Keep the folder of all Stores from being there."""
    folder = path_of(hass, KEY).parent
    aside = folder.with_name("aside")
    if folder.exists():
        folder.rename(aside)
    folder.write_text("in the way")
    try:
        yield
    finally:
        folder.unlink()
        if aside.exists():
            aside.rename(folder)


@contextmanager
def file_is_a_folder(hass: HomeAssistant) -> Iterator[None]:
    """Keep the Store's file from being replaced."""
    path = path_of(hass, KEY)
    aside = path.with_name("aside")
    path.parent.mkdir(exist_ok=True)
    if path.exists():
        path.rename(aside)
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        if aside.exists():
            aside.rename(path)


async def test_what_is_kept_is_private(hass: HomeAssistant, store: SureStore) -> None:
    """A file is written at once, whole, and readable for its owner alone."""
    await store.async_save_now({"secrets": [SECRET]})
    assert read(hass, KEY)["data"] == {"secrets": [SECRET]}
    assert stat.S_IMODE(path_of(hass, KEY).stat().st_mode) == 0o600
    again = SureStore(hass, version=1, key=KEY)
    assert await again.async_load_now("secrets") == [SECRET]


async def test_nothing_is_kept_yet(store: SureStore) -> None:
    """Without a file there is nothing, which is no error."""
    assert await store.async_load_now("secrets") is None


@pytest.mark.parametrize("obstacle", [folder_is_a_file, file_is_a_folder])
async def test_failed_write_is_told(hass: HomeAssistant, store: SureStore, obstacle: Any) -> None:
    """A write that does not reach the disk raises, without content; the next one is made."""
    await store.async_save_now({"secrets": ["old"]})
    with obstacle(hass), pytest.raises(StorageError) as failed:
        await store.async_save_now({"secrets": [SECRET]})
    assert KEY in str(failed.value)
    assert SECRET not in f"{failed.value}{failed.value.__cause__}"
    assert read(hass, KEY)["data"] == {"secrets": ["old"]}
    await store.async_save_now({"secrets": ["new"]})
    assert read(hass, KEY)["data"] == {"secrets": ["new"]}


async def test_failed_write_leaves_no_copy(hass: HomeAssistant, store: SureStore) -> None:
    """A write that fails half-way leaves no file behind that holds a secret."""
    with file_is_a_folder(hass), pytest.raises(StorageError):
        await store.async_save_now({"secrets": [SECRET]})
    assert files_with(hass, SECRET) == []
    await store.async_save_now({"secrets": [SECRET]})
    assert files_with(hass, SECRET) == [path_of(hass, KEY)]


async def test_content_that_cannot_be_written(hass: HomeAssistant, store: SureStore) -> None:
    """Content that is no JSON raises too, and what was there stays."""
    await store.async_save_now({"secrets": ["old"]})
    with pytest.raises(StorageError) as failed:
        await store.async_save_now({"secrets": [{SECRET: object()}]})
    assert SECRET not in str(failed.value)
    assert read(hass, KEY)["data"] == {"secrets": ["old"]}


async def test_nothing_is_promised_while_stopping(hass: HomeAssistant, store: SureStore) -> None:
    """While Home Assistant stops it would only promise a write, so it is refused."""
    hass.set_state(CoreState.stopping)
    with pytest.raises(StorageError):
        await store.async_save_now({"secrets": [SECRET]})
    hass.set_state(CoreState.running)
    assert not path_of(hass, KEY).exists()


async def test_writes_take_turns(hass: HomeAssistant, store: SureStore) -> None:
    """Of several writes at once each is on disk when it returns, and the last one stays."""
    seen: list[int] = []

    async def save(number: int) -> None:
        await store.async_save_now({"number": number})
        seen.append(read(hass, KEY)["data"]["number"] - number)

    await asyncio.gather(*(save(number) for number in range(20)))
    assert len(seen) == 20
    assert min(seen) >= 0
    assert read(hass, KEY)["data"] == {"number": 19}


async def test_failure_belongs_to_its_own_write(hass: HomeAssistant, store: SureStore) -> None:
    """Of writes at once, only those that failed say so."""
    results = await asyncio.gather(
        store.async_save_now({"number": 1}),
        store.async_save_now({"number": object()}),
        store.async_save_now({"number": 3}),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StorageError, type(None)]
    assert read(hass, KEY)["data"] == {"number": 3}


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        pytest.param(["secrets"], {}, id="a list"),
        pytest.param("secrets", {}, id="a text"),
        pytest.param({"others": []}, {}, id="another part"),
        pytest.param({"secrets": None}, {}, id="nothing in the part"),
        pytest.param({"secrets": []}, {"version": 2}, id="a newer version"),
        pytest.param({"secrets": []}, {"version": 0}, id="a version that never was"),
    ],
)
async def test_file_that_is_not_understood(
    hass: HomeAssistant, store: SureStore, data: Any, frame: dict[str, Any]
) -> None:
    """A file of another shape raises, and is left as it is."""
    path = write(hass, KEY, data, **frame)
    before = path.read_bytes()
    with pytest.raises(StorageError) as failed:
        await store.async_load_now("secrets")
    assert KEY in str(failed.value)
    assert path.read_bytes() == before


async def test_file_that_cannot_be_read(hass: HomeAssistant, store: SureStore) -> None:
    """A file that cannot be opened raises."""
    with file_is_a_folder(hass), pytest.raises(StorageError):
        await store.async_load_now("secrets")


DAMAGED = (b'{"version": 1, ', b"", b"\x00\x00\x00")


@pytest.mark.parametrize("content", DAMAGED)
async def test_file_that_is_no_json(hass: HomeAssistant, store: SureStore, content: bytes) -> None:
    """A file that is no JSON is never taken for nothing, though Home Assistant moves it aside."""
    path = path_of(hass, KEY)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    for again in (store, SureStore(hass, version=1, key=KEY)):
        with pytest.raises(StorageError) as failed:
            await again.async_load_now("secrets")
        (aside,) = path.parent.glob(f"{KEY}.corrupt.*")
        assert aside.read_bytes() == content
        assert aside.name in str(failed.value)
        assert not path.exists()
    issues = [issue.translation_placeholders for issue in ir.async_get(hass).issues.values()]
    assert [issue["storage_key"] for issue in issues if issue] == [KEY]
    assert str(aside) in json.dumps(issues)


async def test_damaged_file_is_restored(hass: HomeAssistant, store: SureStore) -> None:
    """With the file back it is read again, whatever else was moved aside earlier."""
    path_of(hass, KEY).parent.mkdir(exist_ok=True)
    path_of(hass, KEY).write_bytes(DAMAGED[0])
    with pytest.raises(StorageError):
        await store.async_load_now("secrets")
    write(hass, KEY, {"secrets": [SECRET]})
    assert await SureStore(hass, version=1, key=KEY).async_load_now("secrets") == [SECRET]


async def test_damaged_file_is_given_up(hass: HomeAssistant, store: SureStore) -> None:
    """Once a person has removed the damaged file everything starts anew."""
    path = path_of(hass, KEY)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(DAMAGED[0])
    with pytest.raises(StorageError):
        await store.async_load_now("secrets")
    for aside in path.parent.glob(f"{KEY}.corrupt.*"):
        aside.unlink()
    assert await store.async_load_now("secrets") is None


async def test_damage_of_another_file(hass: HomeAssistant, store: SureStore) -> None:
    """What was moved aside of a file with a longer or shorter name says nothing about this one."""
    folder = path_of(hass, KEY).parent
    folder.mkdir(exist_ok=True)
    for name in (
        f"{KEY}s.corrupt.2026-10-25T01:00:00+00:00",
        "salto_ks.corrupt.2026",
        f"{KEY}.bak",
    ):
        (folder / name).write_bytes(DAMAGED[0])
    assert await store.async_load_now("secrets") is None


@pytest.mark.parametrize("content", [b"{}", b"[]", b"5", b"null", b'{"data": {"secrets": []}}'])
async def test_file_in_no_frame(hass: HomeAssistant, store: SureStore, content: bytes) -> None:
    """JSON that is not what Home Assistant writes raises, and is left as it is."""
    path = path_of(hass, KEY)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(StorageError):
        await store.async_load_now("secrets")
    assert path.read_bytes() == content
