"""The check of the integration's files finds each kind of mistake."""

from collections.abc import Callable
import json
from pathlib import Path
from typing import Any

import pytest

from scripts import check_integration

MANIFEST = {
    "domain": "example_doors",
    "name": "Example doors",
    "codeowners": ["@someone"],
    "config_flow": True,
    "dependencies": ["http"],
    "documentation": "https://example.com/docs",
    "integration_type": "hub",
    "iot_class": "cloud_polling",
    "issue_tracker": "https://example.com/issues",
    "requirements": ["example>=1,<2"],
    "version": "1.2.3",
}
ENGLISH = {
    "config": {
        "step": {
            "user": {
                "title": "Doors",
                "data": {"host": "Host"},
                "data_description": {"host": "Where {name} is."},
            }
        }
    },
    "entity": {"switch": {"office_mode": {"name": "Office mode"}}},
    "exceptions": {"too_late": {"message": "{door} closed"}},
    "selector": {"depth": {"options": {"all": "All"}}},
    "services": {
        "look": {
            "name": "Look",
            "description": "Looks.",
            "fields": {"depth": {"name": "Depth", "description": "How deep."}},
        }
    },
}
ICONS = {
    "entity": {"switch": {"office_mode": {"default": "mdi:door-open"}}},
    "services": {"look": {"service": "mdi:eye"}},
}
ACTIONS = """\
look:
  fields:
    depth:
      selector:
        select:
          options: [all]
          translation_key: depth
"""


class Example:
    """An integration on disk that has nothing wrong with it until a test changes that."""

    def __init__(self, top: Path) -> None:
        """Write the files."""
        self.top = top
        self.folder = top / "example_doors"
        (self.folder / "translations").mkdir(parents=True)
        (self.folder / "brand").mkdir()
        self.write("manifest.json", MANIFEST)
        self.write("icons.json", ICONS)
        self.write("translations/en.json", ENGLISH)
        self.write("translations/nl.json", ENGLISH)
        self.text("services.yaml", ACTIONS)
        self.text("__init__.py", "from homeassistant.components import http, lock\n")
        self.text("config_flow.py", "")
        self.text("brand/icon.png", "")
        self.text("brand/icon@2x.png", "")
        self.text("../hacs.json", '{"name": "Doors", "homeassistant": "2026.10.4"}')
        self.text("../README.md", "")
        self.text("../LICENSE", "")

    def text(self, name: str, content: str) -> None:
        """Write a text file."""
        (self.folder / name).write_text(content, encoding="utf-8")

    def write(self, name: str, content: Any) -> None:
        """Write a JSON file."""
        self.text(name, json.dumps(content))

    def change(self, name: str, *path: str, to: Any) -> None:
        """Change one value in a JSON file; None takes it out."""
        content = json.loads((self.folder / name).read_text(encoding="utf-8"))
        parent = content
        for key in path[:-1]:
            parent = parent[key]
        if to is None:
            del parent[path[-1]]
        else:
            parent[path[-1]] = to
        self.write(name, content)

    def retell(self, *path: str, to: Any) -> None:
        """Change one text in every language."""
        for language in ("en", "nl"):
            self.change(f"translations/{language}.json", *path, to=to)

    def problems(self) -> list[str]:
        """Return what the check finds."""
        return list(check_integration.check(self.folder, self.top / "hacs.json"))


@pytest.fixture
def example(tmp_path: Path) -> Example:
    """Return an integration without a fault."""
    return Example(tmp_path)


def test_nothing_is_found_where_nothing_is_wrong(
    example: Example, capsys: pytest.CaptureFixture[str]
) -> None:
    """A faultless integration passes, and the last line says so."""
    assert check_integration.main([str(example.folder), str(example.top / "hacs.json")]) == 0
    assert capsys.readouterr().out == "example_doors: 0 problems\n"


def test_a_problem_fails_the_check(example: Example, capsys: pytest.CaptureFixture[str]) -> None:
    """One problem is enough for a bad exit code."""
    example.change("manifest.json", "version", to=None)
    assert check_integration.main([str(example.folder), str(example.top / "hacs.json")]) == 1
    assert "manifest: no version" in capsys.readouterr().out


MANIFEST_MISTAKES = [
    ("iot_class", "magic", "manifest: iot_class is unknown"),
    ("integration_type", "magic", "manifest: integration_type is unknown"),
    ("documentation", "http://example.com", "manifest: documentation is not an https address"),
    ("codeowners", ["someone"], "manifest: the code owner someone does not start with @"),
    ("version", "soon", "manifest: the version is none"),
    ("domain", "other", "manifest: the domain is not the folder's name"),
    (
        "dependencies",
        ["http", "lasers"],
        "manifest: the dependency lasers is not in Home Assistant",
    ),
    ("requirements", ["example"], "manifest: the requirement example names no version"),
    ("config_flow", False, "manifest: config_flow and config_flow.py do not agree"),
    ("homeassistant", "2026.1", "manifest: unknown key homeassistant"),
]


@pytest.mark.parametrize(
    ("key", "value", "problem"), MANIFEST_MISTAKES, ids=[m[0] for m in MANIFEST_MISTAKES]
)
def test_manifest_mistakes_are_found(example: Example, key: str, value: Any, problem: str) -> None:
    """Each mistake in the manifest has its sentence."""
    example.change("manifest.json", key, to=value)
    assert problem in example.problems()


TEXT_MISTAKES = [
    ("Where it is.", "other placeholders than in en.json"),
    ("Where '{name}' is.", "a placeholder in single quotes"),
    (" Where {name} is.", "space at an end"),
    ("See https://example.com, {name}.", "an address in a text; use a placeholder"),
    (
        "[%key:common::x%] {name}",
        "a reference, which only Home Assistant's own build resolves",
    ),
    ("", "not a text"),
    ("Where <b>{name}</b> is.", "the string should not contain HTML"),
]


@pytest.mark.parametrize(("text", "problem"), TEXT_MISTAKES, ids=[m[1] for m in TEXT_MISTAKES])
def test_mistakes_in_translations_are_found(example: Example, text: str, problem: str) -> None:
    """Each mistake in a translated text is named with its place."""
    key = ("config", "step", "user", "data_description", "host")
    example.change("translations/nl.json", *key, to=text)
    assert f"nl.json {'.'.join(key)}: {problem}" in example.problems()


MISTAKES: list[tuple[str, Callable[[Example], None], str]] = [
    (
        "missing translation",
        lambda e: e.change("translations/nl.json", "exceptions", "too_late", "message", to=None),
        "nl.json exceptions.too_late.message: missing",
    ),
    (
        "unknown translation",
        lambda e: e.change("translations/nl.json", "title", to="Doors"),
        "nl.json title: not in en.json",
    ),
    (
        "strings.json",
        lambda e: e.write("strings.json", ENGLISH),
        "strings.json: Home Assistant reads only translations/ of a custom integration",
    ),
    (
        "translation key",
        lambda e: e.retell("exceptions", "TooLate", to={"message": "x"}),
        "en.json: TooLate in exceptions.TooLate.message is no translation key",
    ),
    (
        "described field",
        lambda e: e.retell("config", "step", "user", "data", to={}),
        "en.json config step user: data_description host is not in data",
    ),
    (
        "import",
        lambda e: e.text("sensor.py", "from homeassistant.components.calendar import x, y\n"),
        "",
    ),
    (
        "import of what loads the platform",
        lambda e: e.text("logbook.py", "from homeassistant.components.logbook.const import x\n"),
        "",
    ),
    (
        "import without dependency",
        lambda e: e.text("sensor.py", "from homeassistant.components.cloud import x\n"),
        "sensor.py: uses cloud, which the manifest does not name",
    ),
    (
        "set-up without schema",
        lambda e: e.text("__init__.py", "async def async_setup(hass, config): ...\n"),
        "__init__.py: has async_setup but no CONFIG_SCHEMA",
    ),
    (
        "action without icon",
        lambda e: e.change("icons.json", "services", to={}),
        "services: look has no icon in icons.json",
    ),
    (
        "action without text",
        lambda e: e.retell("services", "look", "name", to=None),
        "services: look has no name in en.json",
    ),
    (
        "described action that is not there",
        lambda e: e.text("services.yaml", "{}"),
        "services: en.json describes look, services.yaml does not have it",
    ),
    (
        "field that is not there",
        lambda e: e.text("services.yaml", "look:\n  fields: {}\n"),
        "services: en.json has look.depth, services.yaml does not",
    ),
    (
        "selector without texts",
        lambda e: e.retell("selector", to={}),
        "services: look.depth: the selector depth is not in en.json",
    ),
    (
        "not an icon",
        lambda e: e.change("icons.json", "services", "look", "service", to="eye"),
        "icons: services.look.service is not an mdi: icon",
    ),
    (
        "icon of no entity",
        lambda e: e.change("icons.json", "entity", "lock", to={"door": {"default": "mdi:door"}}),
        "icons: entity.lock.door.default: en.json has no such entity",
    ),
    (
        "no picture",
        lambda e: (e.folder / "brand" / "icon.png").unlink(),
        "brand: no icon.png",
    ),
    (
        "hacs key",
        lambda e: e.text("../hacs.json", '{"name": "Doors", "render_me": true}'),
        "hacs.json: render_me is unknown or of a wrong type",
    ),
    (
        "no readme",
        lambda e: (e.top / "README.md").unlink(),
        "hacs.json: no README.md beside it",
    ),
]


@pytest.mark.parametrize(
    ("mistake", "problem"), [m[1:] for m in MISTAKES], ids=[m[0] for m in MISTAKES]
)
def test_other_mistakes_are_found(
    example: Example, mistake: Callable[[Example], None], problem: str
) -> None:
    """Each mistake is found alone; an import of what is always loaded is none."""
    mistake(example)
    assert example.problems() == ([problem] if problem else [])
