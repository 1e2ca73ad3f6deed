"""Hold every answer of a flow to the texts that a person will read."""

from collections.abc import Iterator, Mapping
from functools import cache
import json
from pathlib import Path
import string
from typing import Any

from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers.selector import SelectSelector

import custom_components.salto_ks

TRANSLATIONS = Path(custom_components.salto_ks.__file__).parent / "translations"


@cache
def english() -> Mapping[str, Any]:
    """Return the English texts."""
    texts: Mapping[str, Any] = json.loads((TRANSLATIONS / "en.json").read_text("utf-8"))
    return texts


def placeholders(text: str) -> set[str]:
    """Return the names of what a text is filled with."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def check_texts(result: Mapping[str, Any], texts: Mapping[str, Any]) -> None:
    """Assert that all of an answer can be shown: texts are there, and filled in completely."""
    given = dict(result.get("description_placeholders") or {})
    for text in _shown(result, texts):
        missing = placeholders(text) - set(given)
        assert not missing, f"{missing} is not given for {text!r}"
    assert all(isinstance(value, str) for value in given.values()), given
    if result["type"] is FlowResultType.FORM:
        for field in result["data_schema"].schema.values():
            if isinstance(field, SelectSelector) and "translation_key" in field.config:
                choices = english()["selector"][field.config["translation_key"]]["options"]
                assert set(choices) >= set(field.config["options"])


def _shown(result: Mapping[str, Any], texts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts that an answer shows; a missing one is a KeyError."""
    match result["type"]:
        case FlowResultType.FORM:
            step = texts["step"][result["step_id"]]
            fields = {str(marker) for marker in result["data_schema"].schema}
            yield from (step["title"], step.get("description", ""))
            for field in fields:
                yield from (step["data"][field], step["data_description"][field])
            errors = result["errors"] or {}
            assert set(errors) <= fields | {"base"}, errors
            yield from (texts["error"][key] for key in errors.values())
        case FlowResultType.MENU:
            step = texts["step"][result["step_id"]]
            yield from (step["title"], step["description"])
            yield from (step["menu_options"][option] for option in result["menu_options"])
        case FlowResultType.ABORT:
            if result.get("translation_domain") is None:
                yield texts["abort"][result["reason"]]
        case FlowResultType.CREATE_ENTRY if "create_entry" in texts or result["description"]:
            yield texts["create_entry"][result["description"] or "default"]
