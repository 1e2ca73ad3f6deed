"""Check the integration's files by the rules of hassfest and HACS, without either.

Usage: ``python scripts/check_integration.py [INTEGRATION_FOLDER [HACS_JSON]]``

Selectors, versions and texts are judged by the Home Assistant that is installed. The workflows run
the real actions; this finds the same mistakes before a push, and one more kind: translations that
are incomplete or differ in their placeholders.
"""

import ast
from collections.abc import Iterator, Mapping
from itertools import chain
import json
from pathlib import Path
import re
import sys
from typing import Any

from awesomeversion import AwesomeVersion, AwesomeVersionException, AwesomeVersionStrategy
import homeassistant
from homeassistant.const import Platform
from homeassistant.helpers import config_validation as cv, selector
from homeassistant.util.yaml import load_yaml_dict
import voluptuous as vol

type Problems = Iterator[str]
type Json = dict[str, Any]

CORE = Path(homeassistant.__file__).parent / "components"

MANIFEST_REQUIRED = (
    "domain",
    "name",
    "codeowners",
    "documentation",
    "integration_type",
    "iot_class",
    "issue_tracker",
    "version",
)
MANIFEST_KEYS = {
    *MANIFEST_REQUIRED,
    *("after_dependencies", "bluetooth", "config_flow", "dependencies", "dhcp", "disabled"),
    *("homekit", "import_executor", "loggers", "mqtt", "preview_features", "quality_scale"),
    *("requirements", "single_config_entry", "ssdp", "usb", "zeroconf"),
}
IOT_CLASSES = {
    *("assumed_state", "calculated", "cloud_polling", "cloud_push"),
    *("local_polling", "local_push"),
}
INTEGRATION_TYPES = {"device", "entity", "hardware", "helper", "hub", "service", "system"}
VERSION_STRATEGIES = [
    AwesomeVersionStrategy.CALVER,
    AwesomeVersionStrategy.SEMVER,
    AwesomeVersionStrategy.SIMPLEVER,
    AwesomeVersionStrategy.BUILDVER,
    AwesomeVersionStrategy.PEP440,
]
HACS_KEYS: dict[str, type | tuple[type, ...]] = {
    "content_in_root": bool,
    "country": (str, list),
    "filename": str,
    "hacs": str,
    "hide_default_branch": bool,
    "homeassistant": str,
    "name": str,
    "persistent_directory": str,
    "zip_release": bool,
}
ALWAYS_LOADED = {platform.value for platform in Platform} | {
    *("application_credentials", "automation", "config", "device_automation", "diagnostics"),
    *("frontend", "group", "hassio", "homeassistant", "labs", "onboarding", "person"),
    *("persistent_notification", "repairs", "script", "system_health", "zone"),
}
"""Components that may be imported without being named as a dependency."""

TRANSLATION_KEY = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


def read_json(path: Path) -> Json:
    """Read a JSON object; an absent file is an empty one."""
    if not path.exists():
        return {}
    content: Json = json.loads(path.read_text(encoding="utf-8"))
    return content


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Turn nested objects into one of dotted paths."""
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, part in value.items():
        flat |= flatten(part, f"{prefix}.{key}" if prefix else key)
    return flat


def dig(value: Any, *keys: str) -> Any:
    """Follow keys into nested objects; None where the way ends."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def check_manifest(folder: Path, manifest: Json) -> Problems:
    """Check what manifest.json says, and that it agrees with the folder."""
    for key in MANIFEST_REQUIRED:
        if not manifest.get(key):
            yield f"manifest: no {key}"
    for key in sorted(set(manifest) - MANIFEST_KEYS):
        yield f"manifest: unknown key {key}"
    if list(manifest) != ["domain", "name", *sorted(set(manifest) - {"domain", "name"})]:
        yield "manifest: keys stand in the order domain, name, then by the alphabet"
    if manifest.get("domain") != folder.name:
        yield "manifest: the domain is not the folder's name"
    if (CORE / folder.name).exists():
        yield "manifest: the domain is one of Home Assistant's own"
    if bool(manifest.get("config_flow")) != (folder / "config_flow.py").exists():
        yield "manifest: config_flow and config_flow.py do not agree"
    yield from check_manifest_values(manifest)
    yield from check_requirements(manifest)


def check_manifest_values(manifest: Json) -> Problems:
    """Check the values of manifest.json, one by one."""
    for key in ("documentation", "issue_tracker"):
        if not str(manifest.get(key, "")).startswith("https://"):
            yield f"manifest: {key} is not an https address"
    if manifest.get("iot_class") not in IOT_CLASSES:
        yield "manifest: iot_class is unknown"
    if manifest.get("integration_type") not in INTEGRATION_TYPES:
        yield "manifest: integration_type is unknown"
    for owner in manifest.get("codeowners", []):
        if not owner.startswith("@"):
            yield f"manifest: the code owner {owner} does not start with @"
    try:
        AwesomeVersion(str(manifest.get("version")), ensure_strategy=VERSION_STRATEGIES)
    except AwesomeVersionException:
        yield "manifest: the version is none"


def check_requirements(manifest: Json) -> Problems:
    """Check the integrations and packages that manifest.json asks for."""
    for name in chain(manifest.get("dependencies", []), manifest.get("after_dependencies", [])):
        if not (CORE / name).exists():
            yield f"manifest: the dependency {name} is not in Home Assistant"
    for requirement in manifest.get("requirements", []):
        if not re.search(r"[<>=~]=", requirement):
            yield f"manifest: the requirement {requirement} names no version"


def imported_modules(source: str) -> Iterator[str]:
    """Yield the dotted names of all modules that the source imports, wherever it does."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module == "homeassistant.components":
                yield from (f"{node.module}.{name.name}" for name in node.names)


def check_code(folder: Path, manifest: Json) -> Problems:
    """Check imports of other integrations against the manifest, and CONFIG_SCHEMA.

    A platform for another integration is loaded by it, and may import it.
    """
    free = ALWAYS_LOADED | {
        *manifest.get("dependencies", []),
        *manifest.get("after_dependencies", []),
        folder.name,
    }
    for path in sorted(folder.rglob("*.py")):
        for module in imported_modules(path.read_text(encoding="utf-8")):
            match module.split("."):
                case ["homeassistant", "components", name, *_] if name not in {*free, path.stem}:
                    yield f"{path.name}: uses {name}, which the manifest does not name"
    init = (folder / "__init__.py").read_text(encoding="utf-8")
    if (
        re.search(r"^(?:async )?def (?:async_)?setup\(", init, re.MULTILINE)
        and "CONFIG_SCHEMA" not in init
    ):
        yield "__init__.py: has async_setup but no CONFIG_SCHEMA"


def check_text(where: str, text: Any, english: Any) -> Problems:
    """Check one translated text beside its English one."""
    if not isinstance(text, str) or not text:
        yield f"{where}: not a text"
        return
    try:
        cv.string_with_no_html(text)
    except vol.Invalid as error:
        yield f"{where}: {error}"
    if text != text.strip():
        yield f"{where}: space at an end"
    if re.search(r"'\{\w+\}'", text):
        yield f"{where}: a placeholder in single quotes"
    if "[%" in text:
        yield f"{where}: a reference, which only Home Assistant's own build resolves"
    if re.search(r"https?://", text):
        yield f"{where}: an address in a text; use a placeholder"
    if set(PLACEHOLDER.findall(text)) != set(PLACEHOLDER.findall(str(english))):
        yield f"{where}: other placeholders than in en.json"


def check_translations(folder: Path, english: Json) -> Problems:
    """Check that every language says the same things, and says them well."""
    if not english:
        yield "translations: no en.json"
    if (folder / "strings.json").exists():
        yield "strings.json: Home Assistant reads only translations/ of a custom integration"
    wanted = flatten(english)
    for path in sorted((folder / "translations").glob("*.json")):
        texts = flatten(read_json(path))
        for key, text in texts.items():
            if key in wanted:
                yield from check_text(f"{path.name} {key}", text, wanted[key])
            else:
                yield f"{path.name} {key}: not in en.json"
        for key in sorted(set(wanted) - set(texts)):
            yield f"{path.name} {key}: missing"
    for key in flatten({top: english.get(top, {}) for top in ("entity", "exceptions", "selector")}):
        for part in key.split(".")[1:]:
            if not TRANSLATION_KEY.fullmatch(part):
                yield f"en.json: {part} in {key} is no translation key"


def flow_steps(english: Json) -> Iterator[tuple[str, Json]]:
    """Yield the name and texts of each step (and section of one) of all flows."""
    flows = {"config": english.get("config"), "options": english.get("options")}
    flows |= english.get("config_subentries") or {}
    for flow, texts in flows.items():
        for step, step_texts in (dig(texts, "step") or {}).items():
            for section in (step_texts, *(step_texts.get("sections") or {}).values()):
                yield f"{flow} step {step}", section


def check_flows(english: Json) -> Problems:
    """Check that no field is described that the step does not have."""
    for where, texts in flow_steps(english):
        for field in sorted(
            set(texts.get("data_description") or {}) - set(texts.get("data") or {})
        ):
            yield f"en.json {where}: data_description {field} is not in data"


def action_fields(action: Mapping[str, Any] | None) -> dict[str, Json]:
    """Return the fields of an action from services.yaml, sections opened."""
    fields: dict[str, Json] = {}
    for name, field in ((action or {}).get("fields") or {}).items():
        fields |= field["fields"] if field and "fields" in field else {name: field or {}}
    return fields


def check_field(where: str, field: Json, texts: Json, english: Json) -> Problems:
    """Check one field of an action: its texts and its selector."""
    for key in ("name", "description"):
        if not texts.get(key):
            yield f"{where} has no {key} in en.json"
    if "selector" not in field:
        return
    try:
        selector.validate_selector(field["selector"])
    except vol.Invalid as error:
        yield f"{where}: {error}"
    key = dig(field, "selector", "select", "translation_key")
    if key and not dig(english, "selector", key):
        yield f"{where}: the selector {key} is not in en.json"


def check_actions(folder: Path, english: Json, icons: Json) -> Problems:
    """Check services.yaml, and what it needs in texts and icons."""
    path = folder / "services.yaml"
    actions = load_yaml_dict(str(path)) if path.exists() else {}
    described = dig(english, "services") or {}
    for name in sorted(set(described) - set(actions)):
        yield f"services: en.json describes {name}, services.yaml does not have it"
    for name, action in actions.items():
        for key in ("name", "description"):
            if not dig(described, name, key):
                yield f"services: {name} has no {key} in en.json"
        if not dig(icons, "services", name):
            yield f"services: {name} has no icon in icons.json"
        fields = action_fields(action)
        texts = dig(described, name, "fields") or {}
        for field, content in fields.items():
            where = f"services: {name}.{field}"
            yield from check_field(where, content, texts.get(field) or {}, english)
        for field in sorted(set(texts) - set(fields)):
            yield f"services: en.json has {name}.{field}, services.yaml does not"


def check_icons(folder: Path, english: Json, icons: Json) -> Problems:
    """Check icons.json, and that there is a picture of the brand."""
    for key, icon in flatten(icons).items():
        if not str(icon).startswith("mdi:"):
            yield f"icons: {key} is not an mdi: icon"
        parts = key.split(".")
        if parts[0] == "entity" and not dig(english, *parts[:3]):
            yield f"icons: {key}: en.json has no such entity"
    for name in ("icon.png", "icon@2x.png"):
        if not (folder / "brand" / name).exists():
            yield f"brand: no {name}"


def check_hacs(path: Path) -> Problems:
    """Check hacs.json and what HACS wants beside it."""
    content = read_json(path)
    if not content.get("name"):
        yield "hacs.json: no name"
    for key, value in content.items():
        if key not in HACS_KEYS or not isinstance(value, HACS_KEYS[key]):
            yield f"hacs.json: {key} is unknown or of a wrong type"
    if "homeassistant" in content and not AwesomeVersion(content["homeassistant"]).valid:
        yield "hacs.json: homeassistant is not a version"
    for name in ("README.md", "LICENSE"):
        if not (path.parent / name).exists():
            yield f"hacs.json: no {name} beside it"


def check(folder: Path, hacs: Path) -> Problems:
    """Yield every problem of the integration in this folder."""
    manifest = read_json(folder / "manifest.json")
    english = read_json(folder / "translations" / "en.json")
    icons = read_json(folder / "icons.json")
    yield from check_manifest(folder, manifest)
    yield from check_code(folder, manifest)
    yield from check_translations(folder, english)
    yield from check_flows(english)
    yield from check_actions(folder, english, icons)
    yield from check_icons(folder, english, icons)
    yield from check_hacs(hacs)


def main(arguments: list[str]) -> int:
    """Print all problems; return the exit code."""
    top = Path(__file__).parents[1]
    folder = Path(arguments[0]) if arguments else top / "custom_components" / "salto_ks"
    hacs = Path(arguments[1]) if len(arguments) > 1 else top / "hacs.json"
    problems = list(check(folder.resolve(), hacs.resolve()))
    for problem in problems:
        print(problem)
    print(f"{folder.name}: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
