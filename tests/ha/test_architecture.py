"""Who may import whom, and other rules that hold for every line of the project."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import sys

from homeassistant.const import Platform
import pytest

from .source import INTEGRATION, PACKAGE, ROOT, Module, integration, keyword, modules, names_of

PLATFORMS = frozenset(platform.value for platform in Platform)


@dataclass(frozen=True, kw_only=True)
class Part:
    """Modules that have the same place in the whole."""

    modules: frozenset[str]
    """Names of modules and folders directly in the package."""
    builds_on: frozenset[str] = frozenset()
    """Parts that its modules may import, beside their own."""
    knows_home_assistant: bool = True
    libraries: frozenset[str] | None = None
    """What may be imported of other people's; None for anything."""
    together: bool = True
    """Whether its modules may import each other."""


def _part(modules: str, *builds_on: str, **more: object) -> Part:
    return Part(modules=frozenset(modules.split()), builds_on=frozenset(builds_on), **more)  # type: ignore[arg-type] # passed on as they are


_CORE = ("api", "domain", "names")
_GROUND = (*_CORE, "logic", "kept", "keys", "ground")
_ALL = (*_GROUND, "coordinators", "around")

PARTS: Mapping[str, Part] = {
    "api": _part(
        "api",
        knows_home_assistant=False,
        libraries=frozenset({"aiohttp", "yarl", "pyotp"}),
    ),
    "domain": _part("domain", knows_home_assistant=False, libraries=frozenset()),
    "names": _part("const", knows_home_assistant=False, libraries=frozenset()),
    "logic": _part(
        "connection door_commands iq_activation iq_credential turns",
        *_CORE,
        "kept",
        knows_home_assistant=False,
        libraries=frozenset(),
    ),
    "kept": _part("booking_store access_cursor iq_vault site_state storage", *_CORE, "logic"),
    "keys": _part("keys", *_CORE, "kept"),
    "ground": _part(
        "booking_engine calendar_source denials door_ids errors listeners session site_keys units wording",
        *_CORE,
        "logic",
        "kept",
        "keys",
    ),
    "coordinators": _part(
        "access_feed access_stream coordinator door_events doorbell seat_outlook", *_GROUND
    ),
    "around": _part(
        "devices door_facts entity explanation issues key_actions opening site_issues",
        *_GROUND,
        "coordinators",
    ),
    "platforms": _part(" ".join(PLATFORMS), *_ALL, together=False),
    "flows": _part("config_flow iq_flow iq_steps options_flow unit_flow", *_ALL),
    "reports": _part("diagnostics logbook repairs system_health", *_ALL, together=False),
    "actions": _part("booking_services card desk explain_services services", *_ALL),
    "start": Part(modules=frozenset({""}), builds_on=frozenset({*_ALL, "actions"})),
}


def part_of(name: str) -> str | None:
    """Return the part that a module of the integration belongs to."""
    head = name.partition(".")[0]
    return next((key for key, part in PARTS.items() if head in part.modules), None)


def ours(module: Module) -> Iterator[str]:
    """Yield the integration's modules that a module imports, by their short names."""
    known = integration()
    for name in module.imports():
        if name == PACKAGE or name.startswith(f"{PACKAGE}."):
            short = name.removeprefix(PACKAGE).removeprefix(".")
            if short in known:
                yield short


def theirs(module: Module) -> set[str]:
    """Return the packages of others that a module imports."""
    heads = {name.partition(".")[0] for name in module.imports()}
    return heads - sys.stdlib_module_names - {"custom_components", "simulator", "tests", ""}


@pytest.fixture(autouse=True)
def _our_integration() -> None:
    """Start no Home Assistant for a test that only reads."""


@pytest.mark.parametrize("name", integration())
def test_place_of_a_module(name: str) -> None:
    """Every module has a place, and imports only what its place builds on."""
    module = integration()[name]
    place = part_of(name)
    assert place is not None, f"{name or 'the package'} has no place in the table of parts"
    part = PARTS[place]
    for other in set(ours(module)) - {name}:
        if other == "" and name:
            # Importing from the package itself would be a circle.
            assert place == "start", f"{name} imports the package"
            continue
        target = part_of(other)
        allowed = target in part.builds_on or (target == place and part.together)
        assert allowed or _same_folder(name, other), f"{name} ({place}) imports {other} ({target})"
    if not part.knows_home_assistant:
        assert "homeassistant" not in theirs(module)
    if part.libraries is not None:
        assert theirs(module) <= part.libraries


def _same_folder(name: str, other: str) -> bool:
    return "." in name and name.partition(".")[0] == other.partition(".")[0]


def test_table_of_parts_is_not_out_of_date() -> None:
    """Each name in the table is there, each part is listed once, and there is no circle."""
    heads = {name.partition(".")[0] for name in integration()}
    for key, part in PARTS.items():
        assert part.builds_on <= set(PARTS)
        if key != "platforms":
            assert part.modules <= heads, part.modules - heads
    listed = [name for part in PARTS.values() for name in part.modules]
    assert len(listed) == len(set(listed))


def test_simulator_stands_alone() -> None:
    """The simulator shares no code with the integration, or one mistake would make both agree."""
    for module in modules(ROOT / "simulator").values():
        imported = {name.partition(".")[0] for name in module.imports()}
        assert "custom_components" not in imported
        assert imported - sys.stdlib_module_names <= {"simulator", "aiohttp", "yarl"}, module.name


def test_integration_knows_no_simulator_and_no_tests() -> None:
    """What runs in a home needs nothing that is not shipped with it."""
    for module in modules(INTEGRATION).values():
        imported = {name.partition(".")[0] for name in module.imports()}
        assert not imported & {"simulator", "tests", "scripts", "benchmarks"}, module.name


def test_nothing_of_ours_is_patched() -> None:
    """Tests replace clock and network, never a name inside the integration or the simulator."""
    patching = {"patch", "object", "multiple", "dict", "setattr", "delattr", "setitem"}
    for module in modules(ROOT / "tests").values():
        inside = {
            alias.asname or alias.name
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").partition(".")[0] in {"custom_components", "simulator"}
            for alias in node.names
        }
        for call in module.calls(*patching):
            if isinstance(call.func, ast.Name) and call.func.id in {"dict", "object", "setattr"}:
                continue
            if not call.args:
                continue
            target = call.args[0]
            text = module.value(target) if isinstance(target, ast.Constant) else None
            where = f"{module.name}:{call.lineno}"
            assert not str(text or "").startswith(("custom_components", "simulator")), where
            assert not names_of(target) & inside, where


OWN = {**modules(INTEGRATION), **modules(ROOT / "simulator")}


CAUGHT_WHOLESALE = {
    "custom_components.salto_ks.calendar_source": 1,  # reads calendars of other integrations
    "custom_components.salto_ks.listeners": 1,  # one entity's mistake must not silence the others
}
"""Modules that may catch everything, as often as that, if it is logged with its traceback."""


def _is_logged(node: ast.ExceptHandler) -> bool:
    """Tell whether a handler begins by logging an exception whole, or at least its kind."""
    match node.body[0]:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="exception", value=logger))):
            return names_of(logger) == {"LOGGER"}
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="debug", value=logger)) as call):
            # Only the kind: what other people's code raises may hold an address with a token.
            return names_of(logger) == {"LOGGER"} and "__name__" in names_of(call.args[-1])
        case _:
            return False


@pytest.mark.parametrize("name", OWN)
def test_nothing_is_caught_wholesale(name: str) -> None:
    """An error is caught by its name: a blanket `except` hides the ones nobody thought of."""
    allowed = CAUGHT_WHOLESALE.get(name, 0)
    for node in ast.walk(OWN[name].tree):
        if isinstance(node, ast.ExceptHandler):
            where = f"{name}:{node.lineno}"
            assert node.type is not None, where
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            for item in caught:
                if names_of(item) == {"Exception"} and _is_logged(node) and allowed:
                    allowed -= 1
                    continue
                assert not names_of(item) & {"Exception", "BaseException"}, where
    assert allowed == 0, "the exemption is not needed"


HOME_ASSISTANT_ERRORS = (
    "HomeAssistantError",
    "ServiceValidationError",
    "Unauthorized",
    "UpdateFailed",
    "ConfigEntryError",
    "ConfigEntryNotReady",
    "ConfigEntryAuthFailed",
    "PlatformNotReady",
)


@pytest.mark.parametrize("name", integration())
def test_errors_have_texts(name: str) -> None:
    """What a person may be shown is raised with the key of a text, never with words."""
    module = integration()[name]
    for call in module.calls(*HOME_ASSISTANT_ERRORS):
        where = f"{name}:{call.lineno}"
        assert not call.args, where
        assert keyword(call, "translation_key") is not None, where
        domain = keyword(call, "translation_domain")
        assert domain is not None, where
        assert module.value(domain) == "salto_ks", where
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name):
            assert node.exc.id not in HOME_ASSISTANT_ERRORS, f"{name}:{node.lineno}"


@pytest.mark.parametrize("name", OWN)
def test_time_has_a_zone(name: str) -> None:
    """No instant is read off a clock without its zone."""
    for call in OWN[name].calls("now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp"):
        if not isinstance(call.func, ast.Attribute):
            continue
        kind = names_of(call.func.value) & {"datetime", "date"}
        where = f"{name}:{call.lineno}"
        match call.func.attr:
            case "now" if kind:
                assert call.args or call.keywords, where
            case "fromtimestamp" if kind:
                assert len(call.args) + len(call.keywords) == 2, where
            case "utcnow" | "today" | "utcfromtimestamp":
                assert not kind, where


@pytest.mark.parametrize("name", sorted(PLATFORMS & set(integration())))
def test_platform_says_how_many_commands_it_takes(name: str) -> None:
    """Each platform chooses how many updates or commands may run at once."""
    targets = {
        target.id
        for node in integration()[name].tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "PARALLEL_UPDATES" in targets
