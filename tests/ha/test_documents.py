"""What people copy out of the documents: it is what Home Assistant and our actions take."""

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any

from homeassistant.components.automation.config import async_validate_config_item
from homeassistant.core import HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.setup import async_setup_component
import pytest
import yaml

from .support import DOMAIN

TOP = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in (TOP / "README.md", *(TOP / "docs").glob("*.md"))
    if "```yaml" in path.read_text("utf-8")
)


class _Loader(yaml.SafeLoader):
    """Reads what Home Assistant reads; a secret is its name."""


_Loader.add_constructor("!secret", lambda loader, node: loader.construct_scalar(node))


def blocks_of(path: Path) -> list[Any]:
    """Return what the YAML of a document says."""
    found = re.findall(
        r"^( *)```yaml\n(.*?)^ *```", path.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [yaml.load("\n" + text, _Loader) for _, text in found]  # noqa: S506 - derived from SafeLoader


def actions_in(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every action of ours, wherever it is."""
    if isinstance(part, dict):
        if str(part.get("action", "")).startswith(f"{DOMAIN}."):
            yield part
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            yield from actions_in(inner)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
async def test_yaml_can_be_copied(hass: HomeAssistant, path: Path) -> None:
    """Automations and actions are valid; our actions get the fields that they have, and all they need."""
    assert await async_setup_component(hass, "automation", {})
    assert await async_setup_component(hass, DOMAIN, {})
    blocks = blocks_of(path)
    assert blocks
    for block in blocks:
        if isinstance(block, dict) and "triggers" in block:
            named = {"alias": "An example", **block}
            validated = await async_validate_config_item(hass, "example", named)
            assert validated is not None
            assert validated.validation_error is None, validated.validation_error
        actions = block if isinstance(block, list) else (block or {}).get("actions", [])
        if actions:
            cv.SCRIPT_SCHEMA(actions)
        for action in actions_in(block):
            name = action["action"].removeprefix(f"{DOMAIN}.")
            service = hass.services.async_services_for_domain(DOMAIN)[name]
            assert service.schema is not None
            fields = {str(field): field for field in _fields(service.schema)}
            given = action.get("data", {}).keys()
            assert given <= fields.keys(), name
            needed = {field for field, marker in fields.items() if _is_required(marker)}
            assert needed <= given, name


def _fields(schema: Any) -> list[Any]:
    """Return the markers of a schema, below what checks it as a whole."""
    inner = schema
    while not isinstance(getattr(inner, "schema", inner), dict):
        inner = next(iter(getattr(inner, "validators", ())), None) or inner.schema
    return list(getattr(inner, "schema", inner))


def _is_required(marker: Any) -> bool:
    return type(marker).__name__ == "Required"
