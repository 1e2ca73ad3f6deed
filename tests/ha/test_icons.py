"""The icons of entities and actions."""

import json
from pathlib import Path
import re

import hass_frontend

TOP = Path(__file__).parents[2]

SOURCES = (
    *TOP.glob("custom_components/salto_ks/*.json"),
    *TOP.glob("custom_components/salto_ks/**/*.py"),
    *TOP.glob("custom_components/salto_ks/frontend/*.js"),
    *TOP.glob("scripts/demo_lib/*.py"),
)


def test_every_icon_exists() -> None:
    """The frontend has each icon that is named; of one that it has not, nothing is drawn."""
    drawn: set[str] = set()
    for path in (hass_frontend.where() / "static" / "mdi").glob("*.json"):
        icons = json.loads(path.read_text("utf-8"))
        drawn |= set(icons) if isinstance(icons, dict) else set()
    named = {
        name
        for path in SOURCES
        for name in re.findall(r"\bmdi:([a-z0-9-]+)", path.read_text("utf-8"))
    }
    assert named
    assert named <= drawn
