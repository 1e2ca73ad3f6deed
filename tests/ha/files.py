"""Home Assistant's storage as it is outside of tests: files in a folder.

The test plugin keeps every Store in memory, which hides modes, failed writes and damage. A test
module that imports these fixtures works on real files in a folder of its own.
"""

import json
from pathlib import Path
from typing import Any

from homeassistant.core import HomeAssistant
import pytest


@pytest.fixture
def hass_storage() -> None:
    """Leave Home Assistant's Stores as they are."""


@pytest.fixture
def hass_config_dir(hass_tmp_config_dir: str) -> str:
    """Use a folder of the test's own."""
    return hass_tmp_config_dir


def path_of(hass: HomeAssistant, key: str) -> Path:
    """Return the file of a Store."""
    return Path(hass.config.path(".storage", key))


def files_with(hass: HomeAssistant, text: str) -> list[Path]:
    """Return every file of Home Assistant in which a text stands."""
    files = [path for path in Path(hass.config.config_dir).rglob("*") if path.is_file()]
    return [path for path in files if text.encode() in path.read_bytes()]


def read(hass: HomeAssistant, key: str) -> Any:
    """Return what a Store's file holds."""
    return json.loads(path_of(hass, key).read_text("utf-8"))


def write(hass: HomeAssistant, key: str, data: Any, **more: Any) -> Path:
    """Write a Store's file as Home Assistant does, `more` replacing parts of the frame."""
    path = path_of(hass, key)
    path.parent.mkdir(exist_ok=True)
    frame = {"version": 1, "minor_version": 1, "key": key, "data": data}
    path.write_text(json.dumps(frame | more), "utf-8")
    return path
