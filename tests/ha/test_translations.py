"""Every key that is used has a text, every text is used, and all languages say the same."""

import ast
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
import inspect
import json
from pathlib import Path
import re
from typing import Any, get_type_hints

from homeassistant.config_entries import ConfigFlow
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
from homeassistant.util.yaml import load_yaml_dict
import pytest
import voluptuous as vol

from custom_components.salto_ks import errors, issues, logbook, unit_flow
from custom_components.salto_ks.api.exceptions import (
    AuthFailure,
    Endpoint,
    SaltoKsError,
    SaltoKsServerError,
)
from custom_components.salto_ks.domain.access_events import DenialReason, DoorEventType
from custom_components.salto_ks.domain.bookings import (
    AccessMode,
    BookingRefusal,
    BookingRefusedError,
    BookingStatus,
)
from custom_components.salto_ks.domain.calendar_events import UnreadableReason
from custom_components.salto_ks.domain.fixes import Fix
from custom_components.salto_ks.domain.ids import KeyId
from custom_components.salto_ks.domain.key_requests import KeyRefusal, KeyRefusedError
from custom_components.salto_ks.domain.keys import (
    KeyProblem,
    KeyStatus,
    KeyWarning,
    OnRemoval,
    Strategy,
)
from custom_components.salto_ks.domain.opening import OpeningRefusal
from custom_components.salto_ks.domain.outcomes import Outcome
from custom_components.salto_ks.domain.read_only import ReadOnly
from custom_components.salto_ks.domain.refusals import CommandRefusedError, Refusal
from custom_components.salto_ks.domain.unit_state import NotReady, ReadinessState
from custom_components.salto_ks.errors import (
    KNOWN_ERRORS,
    KnownError,
    error_key,
    error_placeholders,
    form_error,
)
from custom_components.salto_ks.keys import connect_read_back
from custom_components.salto_ks.keys.manager import KeyGivenUpError, KeyPendingError
from custom_components.salto_ks.keys.news import KeyChangeKind, NewsKind
from custom_components.salto_ks.keys.provider import KeyFailedError
from custom_components.salto_ks.storage import Fault, FileUnusableError
from simulator import Simulator

from .conftest import SetUp
from .keys import HOUR
from .source import INTEGRATION, Module, integration, keyword, names_of, texts
from .support import DOMAIN, entity_id
from .texts import TRANSLATIONS, english, placeholders
from .unit_steps import book, make_unit
from .watching import act

PLATFORMS = sorted({platform.value for platform in Platform} & set(integration()))
HOME_ASSISTANT_ERRORS = (
    "HomeAssistantError",
    "ServiceValidationError",
    "UpdateFailed",
    "ConfigEntryError",
    "ConfigEntryNotReady",
    "ConfigEntryAuthFailed",
)
FLOWS: Mapping[str, tuple[str, ...]] = {
    "config": ("config_flow", "iq_steps"),
    "config_subentries": ("iq_flow", "iq_steps"),
    "unit": ("unit_flow",),
    "options": ("options_flow",),
}
"""Which modules show the texts of which section; that of subentries is the one of IQs."""

LANGUAGES = sorted(TRANSLATIONS.glob("*.json"))
"""The files of all languages."""

KEY_ERRORS = (KeyRefusedError, KeyFailedError, KeyPendingError, KeyGivenUpError)
CHOICES = {
    "key_status": set(KeyStatus) - {KeyStatus.SCHEDULED},
    "booking_status": set(BookingStatus),
}
"""The lists of actions to choose from, and what their items are; no key that is recorded is scheduled."""


OF_HOME_ASSISTANT = {"friendly_name", "device_class", "options"}
"""Attributes whose texts are none of ours."""
CHOICES_OF_UNITS = {"access_mode": AccessMode, "on_removal": OnRemoval, "strategy": Strategy}


_IQ = ("config_subentries", "iq")


def section_of(name: str) -> Mapping[str, Any]:
    """Return the texts of a kind of flow."""
    if name in {"config_subentries", "unit"}:
        subentry: Mapping[str, Any] = english()["config_subentries"][name.replace(*_IQ)]
        return subentry
    section: Mapping[str, Any] = english()[name]
    return section


# Every error that is known


def _kinds(root: type) -> Iterator[type]:
    yield root
    for child in root.__subclasses__():
        yield from _kinds(child)


def _made(kind: type) -> Iterator[Any]:
    """Yield errors of a kind, one for each thing in which they differ."""
    if kind is CommandRefusedError:
        yield from (CommandRefusedError(reason, until=dt_util.utcnow()) for reason in Refusal)
        return
    if kind in KEY_ERRORS:
        yield from _made_of_keys(kind)
        return
    if kind is FileUnusableError:
        yield from (FileUnusableError(fault, "x") for fault in Fault)
        return
    if kind is BookingRefusedError:
        for reason, about in refusals_of_bookings().items():
            yield BookingRefusedError(reason, **dict.fromkeys(about, "x"))
        return
    takes = inspect.signature(kind.__init__).parameters
    if "failure" in takes:
        yield from (kind("", failure=failure) for failure in AuthFailure)
    elif "status" in takes:
        yield from (kind(status=500, endpoint=endpoint) for endpoint in Endpoint)
    elif "endpoint" in takes:
        yield from (kind("", endpoint=endpoint) for endpoint in Endpoint)
    else:
        yield kind()


def _made_of_keys(kind: type) -> Iterator[Any]:
    """Yield errors about keys, one for each reason or problem."""
    if kind is KeyRefusedError:
        for reason, about in refusals_of_keys().items():
            yield KeyRefusedError(reason, **dict.fromkeys(about, "x"))
    elif kind is KeyFailedError:
        yield from (KeyFailedError(problem, "x") for problem in KeyProblem)
        yield from (KeyFailedError(*part) for part in errors._OF_A_PART)
    else:
        yield kind(KeyId("k"), SaltoKsServerError(status=500, endpoint=Endpoint.API))


def refusals_of_keys() -> dict[KeyRefusal, set[str]]:
    """Return what fills the text of each refusal, which is the same wherever it is raised."""
    return {KeyRefusal[name]: about for name, about in _refusals("KeyRefusedError", "KeyRefusal")}


def refusals_of_bookings() -> dict[BookingRefusal, set[str]]:
    """Return the same of bookings and units."""
    found = _refusals("BookingRefusedError", "BookingRefusal")
    return {BookingRefusal[name]: about for name, about in found}


def _refusals(error: str, reasons: str) -> list[tuple[str, set[str]]]:
    """Return the names of the reasons for an error, and what fills their texts."""
    found: dict[str, set[str]] = {}
    for module in integration().values():
        for call in module.calls(error):
            match call.args:
                case [ast.Attribute(value=ast.Name(id=name), attr=reason)] if name == reasons:
                    about = {str(item.arg) for item in call.keywords}
                    where = f"{module.name}:{call.lineno}"
                    assert found.setdefault(reason, about) == about, where
                case _:
                    raise AssertionError(f"{module.name}:{call.lineno} does not name its reason")
    return list(found.items())


def known_errors() -> list[KnownError]:
    """Return one of every error that is raised on purpose."""
    kinds = {kind for root in KNOWN_ERRORS for kind in _kinds(root)} - {SaltoKsError}
    return [error for kind in kinds for error in _made(kind)]


def errors_of_actions() -> list[KnownError]:
    """Return those that can be met outside of flows."""
    flows = {name for names in FLOWS.values() for name in names} | {"errors"}

    def is_met(error: KnownError) -> bool:
        module = type(error).__module__
        users = {name for name, item in integration().items() if module in set(item.imports())}
        return bool(users - flows)

    return [error for error in known_errors() if is_met(error)]


def action_keys(error: KnownError) -> set[str]:
    """Return the keys by which an error is called outside of flows, one for each table."""
    found = set()
    for name, table in vars(errors).items():
        if name.endswith("error_key"):
            (taken, _) = get_type_hints(table).values()
            if isinstance(error, getattr(taken, "__value__", taken)):
                found.add(table(error))
    return found


def errors_of_flows() -> list[KnownError]:
    """Return those that can be met in flows: of our own refusals only those of the activation.

    Flows have nothing to do with keys.
    """
    for name in {name for names in FLOWS.values() for name in names} | {"iq_activation"}:
        parts = set(integration()[name].imports())
        assert not {part for part in parts if part.endswith((".key_requests", ".manager"))}, name
    named = {
        node.attr
        for node in ast.walk(integration()["iq_activation"].tree)
        if isinstance(node, ast.Attribute) and names_of(node.value) == {"Refusal"}
    }
    return [
        error
        for error in known_errors()
        if not isinstance(error, (*KEY_ERRORS, BookingRefusedError))
        and (not isinstance(error, CommandRefusedError) or error.reason.name in named)
    ]


@pytest.fixture(autouse=True)
def _our_integration() -> None:
    """Start no Home Assistant for a test that only reads."""


def test_errors_can_be_listed() -> None:
    """The lists on which these tests stand are not empty and not the same."""
    kinds = [
        {type(error) for error in errors} for errors in (errors_of_actions(), errors_of_flows())
    ]
    assert kinds[0] - {*KEY_ERRORS, BookingRefusedError} < kinds[1]
    assert refusals_of_bookings().keys() == set(BookingRefusal)
    assert kinds[0] > set(KEY_ERRORS)
    assert len(kinds[0]) > 10
    assert refusals_of_keys().keys() == set(KeyRefusal)


# Exceptions


def raised(module: Module) -> Iterator[tuple[str, set[str] | None, str]]:
    """Yield key and placeholders (None if not spelled out) of what a module raises.

    A key may also be picked from a table of them.
    """
    for call in module.calls(*HOME_ASSISTANT_ERRORS):
        key = keyword(call, "translation_key")
        table = module.value(key.value) if isinstance(key, ast.Subscript) else {}
        keys = {str(key.value)} if isinstance(key, ast.Constant) else set(table.values())
        given = keyword(call, "translation_placeholders")
        names = _keys(given) if isinstance(given, ast.Dict) else set() if not given else None
        yield from ((one, names, f"{module.name}:{call.lineno}") for one in keys)


def replaced(module: Module) -> dict[str, str]:
    """Return which keys a module puts in the place of others.

    They are in mappings of texts to texts whose names end in `ERRORS`.
    """
    names = {name for name in texts_of_names(module) if name.endswith("ERRORS")}
    tables = [module.value(ast.Name(name)) for name in names]
    return {
        key: value
        for table in tables
        if isinstance(table, Mapping)
        for key, value in table.items()
        if isinstance(value, str)
    }


def _keys(node: ast.Dict) -> set[str]:
    return {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}


def test_texts_of_exceptions() -> None:
    """Each exception has a text and fills it, and there is no text for anything else."""
    exceptions = english()["exceptions"]
    used = set()
    for error in errors_of_actions():
        for key in action_keys(error):
            used.add(key)
            assert placeholders(exceptions[key]["message"]) <= set(error_placeholders(error)), key
    for module in integration().values():
        for key, given, where in raised(module):
            used.add(key)
            assert given in (placeholders(exceptions[key]["message"]), None), where
        for key, other in replaced(module).items():
            used.add(other)
            texts_of_both = [exceptions[name]["message"] for name in (key, other)]
            assert placeholders(texts_of_both[1]) <= placeholders(texts_of_both[0]), other
    for reason in OpeningRefusal:
        used.add(reason.value)
        assert placeholders(exceptions[reason.value]["message"]) <= {"unit", "from_when"}
    assert set(exceptions) == used


def test_texts_of_errors_about_keys() -> None:
    """Each error about a key has a text that says all that is known of it, and no more."""
    exceptions = english()["exceptions"]
    seen = set()
    for error in known_errors():
        if isinstance(error, KEY_ERRORS):
            seen.add(error_key(error))
            text = exceptions[error_key(error)]["message"]
            assert placeholders(text) == set(error_placeholders(error)), error_key(error)
    parts = set(errors._OF_A_PART.values())
    assert len(seen) == len(KeyRefusal) + len(KeyProblem) + len(parts) + 2


def test_texts_of_parts_of_keys() -> None:
    """What we say ourselves is wrong with a key is a text of its own, in the person's language."""
    said = {
        text
        for name, module in integration().items()
        for call in module.calls("KeyFailedError")
        if name.startswith("keys.") and len(call.args) > 1
        for text in texts(call.args[1])
    }
    said |= {detail for _, detail in connect_read_back._FAILURES.values() if detail}
    assert said == {detail for _, detail in errors._OF_A_PART}


# Flows


def _literals_at(module: Module) -> Iterator[str]:
    """Yield the constants that are put at a field of a form, or at all of it."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
            case ast.DictComp(key=one, value=other):
                pairs = iter([(one, other)])
            case _:
                continue
        for key, value in pairs:
            if isinstance(value, ast.Constant) and value.value and _is_field(key):
                yield str(value.value)


def _is_field(key: ast.expr | None) -> bool:
    match key:
        case ast.Constant(value="base"):
            return True
        case ast.Name(id=name):
            return name.startswith("CONF_") or name == "field"
        case _:
            return False


def form_errors(section: str) -> set[str]:
    """Return the keys of all errors that a section's forms can show."""
    found = {form_error(error) for error in errors_of_flows()}
    for name in FLOWS[section]:
        module = integration()[name]
        found |= set(_literals_at(module))
        found |= {_first(call) for call in module.calls("_async_iq_refused")} - {""}
        if "server_url_error" in texts_of_names(module):
            found |= _returned(integration()["session"], "server_url_error")
    return found


def texts_of_names(module: Module) -> set[str]:
    """Return every name that a module mentions."""
    return {node.id for node in ast.walk(module.tree) if isinstance(node, ast.Name)}


def _first(call: ast.Call) -> str:
    """Return the first argument of a call if it is a constant."""
    if call.args and isinstance(call.args[0], ast.Constant):
        return str(call.args[0].value)
    return ""


def _returned(module: Module, function: str) -> set[str]:
    """Return the texts that a function returns."""
    return {
        text
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef) and node.name == function
        for part in ast.walk(node)
        if isinstance(part, ast.Return) and part.value is not None
        for text in _outcomes(part.value)
    }


def _outcomes(node: ast.expr) -> set[str]:
    """Return the texts that an expression can come to."""
    if isinstance(node, ast.IfExp):
        return _outcomes(node.body) | _outcomes(node.orelse)
    return texts(node) if isinstance(node, ast.Constant) else set()


def reasons(section: str) -> set[str]:
    """Return the reasons with which a section's flows can end without a result."""
    found = set()
    for name in FLOWS[section]:
        module = integration()[name]
        for call in module.calls("async_abort", "async_update_and_abort"):
            reason = keyword(call, "reason")
            found |= {str(reason.value)} if isinstance(reason, ast.Constant) else set()
            if isinstance(reason, ast.Call):
                found |= {form_error(error) for error in errors_of_flows()}
            if isinstance(reason, ast.Name):
                found |= {_first(call) for call in module.calls("_async_iq_refused")}
                steps = integration()["iq_steps"].calls("_async_iq_refused")
                found |= {_first(call) for call in steps}
        for _ in module.calls("_abort_if_unique_id_configured"):
            helper = inspect.signature(ConfigFlow._abort_if_unique_id_configured)
            found.add(helper.parameters["error"].default)
    return found - {""} - _errors_of_the_form_alone(section)


def _errors_of_the_form_alone(section: str) -> set[str]:
    """Return the keys of errors that come up only when a PIN is confirmed, on its form.

    They are those that `IqActivation` raises in a method that looking for the stage does not lead
    to.
    """
    if section != "config_subentries":
        return set()
    (activation,) = (
        node
        for node in integration()["iq_activation"].tree.body
        if isinstance(node, ast.ClassDef) and node.name == "IqActivation"
    )
    methods = {
        node.name: node
        for node in activation.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    reached, waiting = set(), ["find", "deliver"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        called = {
            node.attr
            for node in ast.walk(methods[name])
            if isinstance(node, ast.Attribute) and names_of(node.value) == {"self"}
        }
        waiting += (called & set(methods)) - reached
    raised_there = {_raised(methods[name]): name for name in methods}
    late = {name for kinds, at in raised_there.items() if at not in reached for name in kinds}
    early = {name for kinds, at in raised_there.items() if at in reached for name in kinds}
    return {error_key(error) for error in errors_of_flows() if type(error).__name__ in late - early}


def _raised(function: ast.AST) -> frozenset[str]:
    """Return the names of what a function raises."""
    return frozenset(
        name
        for node in ast.walk(function)
        if isinstance(node, ast.Raise) and node.exc is not None
        for name in names_of(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
    )


@pytest.mark.parametrize("section", ["config", "config_subentries"])
def test_texts_of_errors_on_forms(section: str) -> None:
    """Each error of a form has a text, and there is no text for anything else."""
    assert set(section_of(section)["error"]) == form_errors(section)


@pytest.mark.parametrize("section", ["config", "config_subentries"])
def test_texts_of_ends(section: str) -> None:
    """Each reason to end has a text, and there is no text for anything else."""
    assert set(section_of(section)["abort"]) == reasons(section)


def _steps(section: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield the forms and menus of a section: id and the call that shows it."""
    for name in FLOWS[section]:
        module = integration()[name]
        for call in module.calls("async_show_form", "async_show_menu"):
            step_id = keyword(call, "step_id")
            if isinstance(step_id, ast.Constant):
                yield str(step_id.value), call
        own = ("_async_show", "_show", "_async_ask", "_async_ask_unit")
        yield from ((step, call) for call in module.calls(*own) if (step := _first(call)))


@pytest.mark.parametrize("section", FLOWS)
def test_texts_of_steps(section: str) -> None:
    """Each form and menu has its texts, and there is no text for anything else."""
    steps = dict(_steps(section))
    assert set(section_of(section)["step"]) == set(steps)
    for step_id, call in steps.items():
        words = section_of(section)["step"][step_id]
        assert words["title"]
        menu = keyword(call, "menu_options")
        assert set(words.get("menu_options", ())) == (set() if menu is None else texts(menu))


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda path: path.stem)
def test_titles_of_menus_of_the_set_up(language: Path) -> None:
    """They are filled with nothing: Home Assistant does that in flows of subentries only."""
    menus = {step for step, call in _steps("config") if keyword(call, "menu_options") is not None}
    assert menus == {"iq_again", "iq_resume"}
    steps = json.loads(language.read_text("utf-8"))["config"]["step"]
    assert not {step for step in menus if "{" in steps[step]["title"]}


@pytest.mark.parametrize("section", FLOWS)
def test_texts_of_fields(section: str) -> None:
    """Each text of a field is about a field that the flow knows, and explains it."""
    fields = {
        value
        for name in FLOWS[section]
        for word in texts_of_names(integration()[name])
        if word.startswith("CONF_") and (value := integration()[name].value(ast.Name(word)))
    }
    for step_id, words in section_of(section)["step"].items():
        assert set(words.get("data", ())) <= fields, step_id
        assert set(words.get("data", ())) == set(words.get("data_description", ())), step_id


# The flow of units


STEPS_OF_UNITS: Mapping[str, vol.Schema] = {
    "user": unit_flow._unit_schema([]),
    "reconfigure": unit_flow._unit_schema([]),
    "keys": unit_flow._KEYS_ONLY,
    "opening": unit_flow._OPENING,
    "events": unit_flow._EVENTS,
    "preview": vol.Schema({}),
    "preview_unreadable": vol.Schema({}),
    "preview_empty": vol.Schema({}),
    "preview_failed": vol.Schema({}),
}


def errors_of_units() -> dict[str, set[str] | None]:
    """Return the keys of what can be wrong with a unit, and what fills their texts, if spelled out.

    They are what the form puts at a field itself, what is said of doors, and what a unit refuses
    to be.
    """
    found: dict[str, set[str] | None] = {}
    for node in ast.walk(integration()["unit_flow"].tree):
        match node:
            case ast.Assign(targets=[ast.Subscript(slice=field)], value=ast.Constant(value=key)):
                if _is_field(field):
                    found[str(key)] = None
    found |= {key: given for key, given, _ in raised(integration()["door_ids"])}
    for node in integration()["domain.bookings"].tree.body:
        if isinstance(node, ast.ClassDef) and node.name in {"KeyTemplate", "BookingRules", "Unit"}:
            for call in _calls_in(node, "BookingRefusedError"):
                reason = BookingRefusal[next(iter(_attributes(call.args[0])))]
                found[reason.value] = refusals_of_bookings()[reason]
    return found


def _attributes(node: ast.AST) -> set[str]:
    return {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}


def test_texts_of_errors_on_forms_of_units() -> None:
    """Each mistake has a text that is filled completely, and there is no text for anything else."""
    described = section_of("unit")["error"]
    assert set(described) == set(errors_of_units())
    for key, given in errors_of_units().items():
        if given is not None:
            assert placeholders(described[key]) == given, key


def test_texts_of_steps_of_units() -> None:
    """Each form describes exactly its fields."""
    steps = section_of("unit")["step"]
    assert set(steps) == set(STEPS_OF_UNITS)
    for step_id, schema in STEPS_OF_UNITS.items():
        assert set(steps[step_id].get("data", ())) == {str(key) for key in schema.schema}, step_id


def test_texts_of_ends_of_units() -> None:
    """The dialog ends without a new unit for these reasons only."""
    ends = _constants(integration()["unit_flow"], "async_abort", "reason")
    assert set(section_of("unit")["abort"]) == ends | {"reconfigure_successful"}


@pytest.mark.parametrize("section", ["config", "config_subentries"])
def test_texts_of_results(section: str) -> None:
    """Each text of a result is one that the flow names, or the ordinary one."""
    named = {text for name in FLOWS[section] for text in texts(integration()[name].tree)}
    assert set(section_of(section)["create_entry"]) <= named | {"default"}


def test_texts_of_choices() -> None:
    """Each list to choose from whose items have texts is named by a field."""
    used = {
        module.value(key)
        for name, module in integration().items()
        for call in module.calls("SelectSelectorConfig")
        if name != "unit_flow" and (key := keyword(call, "translation_key")) is not None
    }
    used |= {
        str(call.args[1].value)
        for call in integration()["unit_flow"].calls("_choice")
        if isinstance(call.args[1], ast.Constant)
    }
    lists = {key: set(options) for key, options in choices_of_actions()}
    assert lists == {key: {item.value for item in items} for key, items in CHOICES.items()}
    assert set(english()["selector"]) == used | set(lists)
    for key, kind in CHOICES_OF_UNITS.items():
        assert set(english()["selector"][key]["options"]) == {item.value for item in kind}
    for key, options in lists.items():
        assert set(english()["selector"][key]["options"]) == options


# Actions


def actions() -> Mapping[str, Any]:
    """Return the actions as forms show them."""
    return load_yaml_dict(INTEGRATION / "services.yaml")


def choices_of_actions() -> Iterator[tuple[str, list[str]]]:
    """Yield the lists to choose from in fields of actions: key of their texts, and their items."""
    for action in actions().values():
        for field in action["fields"].values():
            select = field["selector"].get("select")
            if select is not None:
                yield select["translation_key"], select["options"]


def test_texts_of_actions() -> None:
    """Each action and each of its fields has name and description, and nothing else has."""
    described = english()["services"]
    assert set(described) == set(actions())
    for name, action in actions().items():
        assert set(described[name]) == {"name", "description", "fields"}, name
        assert described[name]["name"]
        assert described[name]["description"]
        assert set(described[name]["fields"]) == set(action["fields"]), name
        for field, words in described[name]["fields"].items():
            assert set(words) == {"name", "description"}, (name, field)
            assert all(words.values()), (name, field)


def test_icons_of_actions() -> None:
    """Each action has an icon, and there is none for anything else."""
    icons = json.loads((INTEGRATION / "icons.json").read_text("utf-8"))["services"]
    assert set(icons) == set(actions())
    assert all(set(icon) == {"service"} and icon["service"] for icon in icons.values())


@pytest.mark.usefixtures("enable_custom_integrations")
async def test_actions_are_what_their_forms_say(hass: HomeAssistant) -> None:
    """The forms have the actions that there are, with their fields, and what must be given."""
    assert await async_setup_component(hass, DOMAIN, {})
    there = hass.services.async_services_for_domain(DOMAIN)
    assert set(there) == set(actions())
    for name, action in actions().items():
        schema = there[name].schema
        assert schema is not None
        taken = {str(key): key for key in schema.schema}
        assert set(taken) == set(action["fields"]), name
        for field, form in action["fields"].items():
            assert form.get("required", False) is isinstance(taken[field], vol.Required), field
            if "default" in form:
                assert form["default"] == taken[field].default(), (name, field)


# Issues


def _issues_raised(module: Module) -> Iterator[tuple[str, set[str], bool]]:
    """Yield key, placeholders and whether it can be fixed, of every issue that a module raises.

    Where the key is worked out, the class that raises it has a tuple of keys whose name ends in
    `ISSUES`. Others are shown on an `IssueBoard`, one by one or in a loop over such a tuple.
    """
    for part in module.tree.body:
        for call in _calls_in(part, "async_create_issue"):
            given = _names_given(keyword(call, "translation_placeholders"))
            fixable = module.value(_needed(call, "is_fixable")) is True
            key = _needed(call, "translation_key")
            if isinstance(key, ast.Constant):
                yield str(key.value), given, fixable
                continue
            names = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
            for name in names:
                if name.endswith("ISSUES"):
                    yield from ((one, given, fixable) for one in module.value(ast.Name(name)))
        for call in _calls_in(part, "async_show"):
            fixable = keyword(call, "fixable") is not None
            given = {"site"} | _filled_by(part, call.args[1])
            text = keyword(call, "text")
            keys = _keys_of(module, part, call.args[0]) if text is None else _picked(module, text)
            yield from ((key, given, fixable) for key in keys)


def _picked(module: Module, node: ast.expr) -> set[str]:
    """Return the keys of the tables that one is picked from in an expression."""
    tables = (
        module.value(item.value) for item in ast.walk(node) if isinstance(item, ast.Subscript)
    )
    return {key for table in tables for key in table.values()}


def _keys_of(module: Module, part: ast.AST, node: ast.expr) -> set[str]:
    """Return the keys that an expression stands for: a constant, or each one of a loop."""
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr="value"):
            (loop,) = (
                found
                for found in ast.walk(part)
                if isinstance(found, ast.For) and names_of(found.target) == {name}
            )
            return {item.value for item in module.value(loop.iter)}
        case _:
            return {module.value(node)}


def _needed(call: ast.Call, name: str) -> ast.expr:
    """Return a keyword argument that a call has to have."""
    value = keyword(call, name)
    assert value is not None, name
    return value


def _calls_in(part: ast.AST, name: str) -> Iterator[ast.Call]:
    """Yield the calls of a function or method in a part of a module."""
    for node in ast.walk(part):
        if isinstance(node, ast.Call) and names_of(node.func) == {name}:
            yield node


def _names_given(node: ast.expr | None) -> set[str]:
    """Return the names that a dict spells out."""
    return _keys(node) if isinstance(node, ast.Dict) else set()


def _filled_by(part: ast.AST, node: ast.expr) -> set[str]:
    """Return the names that fill a text, spelled out in place or in a variable of the class."""
    dicts = {
        target.id: _keys(item.value)
        for item in ast.walk(part)
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Dict)
        for target in item.targets
        if isinstance(target, ast.Name)
    }
    given: set[str] = set()
    for item in ast.walk(node):
        if isinstance(item, ast.Dict):
            given |= _keys(item)
        elif isinstance(item, ast.Name):
            given |= dicts.get(item.id, set())
    return given


FILLED_BY_THE_FIX = (
    *("fix_flow.abort.", "fix_flow.create_entry.", "fix_flow.progress."),
    *("fix_flow.step.differs.", "fix_flow.step.failed."),
)
"""Texts of a fix that are filled by what has come of it, and not by what the issue has."""


def test_texts_of_issues() -> None:
    """Each issue has texts that are filled with all it has, and nothing else has one."""
    described = english()["issues"]
    used: set[str] = set()
    for module in integration().values():
        for key, given, fixable in _issues_raised(module):
            used.add(key)
            assert set(described[key]) == {"title", "fix_flow" if fixable else "description"}, key
            filled = [
                placeholders(text)
                for path, text in leaves(described[key]).items()
                if not path.startswith(FILLED_BY_THE_FIX)
            ]
            assert set().union(*filled) == given, key
    assert set(described) == used


def _constants(module: Module, function: str, name: str) -> set[str]:
    """Return the constants that are given to a function under a name."""
    values = (keyword(call, name) for call in module.calls(function))
    return {str(value.value) for value in values if isinstance(value, ast.Constant)}


FIXES: Mapping[str, Collection[str]] = {
    "IqRepairFlow": issues.IQ_ISSUES,
    "KeysRepairFlow": issues.OUTCOME_ISSUES,
    "ComparisonRepairFlow": issues.READ_ONLY_ISSUES,
}
"""Which fix flow mends which issues."""


@pytest.mark.parametrize("name", FIXES)
def test_texts_of_fixes(name: str) -> None:
    """A fix has texts for its steps, errors and ends, and for ends that it passes on, and no other."""
    (flow,) = (
        node
        for node in integration()["repairs"].tree.body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    said = {
        kind: {
            str(value.value)
            for call in _calls_in(flow, function)
            if isinstance(value := keyword(call, keyword_of), ast.Constant)
        }
        for kind, function, keyword_of in (
            ("abort", "async_abort", "reason"),
            ("step", "async_show_form", "step_id"),
        )
    }
    menus = {
        str(step.value): texts(needed)
        for call in _calls_in(flow, "async_show_menu")
        if isinstance(step := _needed(call, "step_id"), ast.Constant)
        and isinstance(needed := _needed(call, "menu_options"), ast.List)
    }
    said["step"] |= set(menus)
    said["progress"] = {_second(call) for call in _calls_in(flow, "_async_wait_for")}
    said["error"] = {
        str(node.value.value)
        for node in ast.walk(flow)
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Subscript)
        and isinstance(node.value, ast.Constant)
        and _is_field(node.targets[0].slice)
    }
    said["create_entry"] = {
        str(named.value)
        if isinstance(named := keyword(call, "description"), ast.Constant)
        else "default"
        for call in _calls_in(flow, "async_create_entry")
    }
    passed_on = section_of("config_subentries")["abort"] if name == "IqRepairFlow" else {}
    for key in FIXES[name]:
        fix = english()["issues"][key]["fix_flow"]
        assert set(fix) == {kind for kind, words in said.items() if words}, key
        for kind in fix:
            extra = set(fix[kind]) - said[kind]
            assert said[kind] <= set(fix[kind]), (key, kind)
            assert extra <= (set(passed_on) if kind == "abort" else set()), (key, kind)
            assert all(fix[kind][one] == passed_on[one] for one in extra), key
        for step, words in fix["step"].items():
            assert set(words.get("data", ())) == set(words.get("data_description", ())), key
            for options in ("menu_options", "menu_option_descriptions"):
                assert set(words.get(options, ())) == menus.get(step, set()), (key, step)


def test_every_fix_is_looked_after() -> None:
    """Every issue that can be fixed is mended by one of the flows."""
    fixable = {key for key, issue in english()["issues"].items() if "fix_flow" in issue}
    assert fixable == {str(key) for keys in FIXES.values() for key in keys}


def _second(call: ast.Call) -> str:
    """Return the second argument of a call, a constant."""
    assert isinstance(call.args[1], ast.Constant)
    return str(call.args[1].value)


# Entities


def entity_keys(platform: str) -> set[str]:
    """Return the translation keys that a platform's entities use."""
    found = set()
    module = integration()[platform]
    for node in ast.walk(module.tree):
        match node:
            case ast.Assign(targets=[target], value=ast.Constant(value=str() as key)):
                if names_of(target) == {"_attr_translation_key"}:
                    found.add(key)
            case ast.Call(func=func) if any(n.endswith("Description") for n in names_of(func)):
                if isinstance(key := keyword(node, "translation_key"), ast.Constant):
                    found.add(str(key.value))
    return found


@pytest.mark.parametrize("platform", PLATFORMS)
def test_texts_of_entities(platform: str) -> None:
    """Each entity with a key has a name, and there is no name for anything else."""
    names = english()["entity"].get(platform, {})
    assert set(names) == entity_keys(platform)
    assert all(words["name"] for words in names.values())


def test_no_texts_for_other_platforms() -> None:
    """Texts and icons are those of platforms that there are."""
    icons = json.loads((INTEGRATION / "icons.json").read_text("utf-8"))["entity"]
    assert set(english()["entity"]) <= set(PLATFORMS)
    assert set(icons) <= set(PLATFORMS)
    for platform, items in icons.items():
        assert set(items) <= entity_keys(platform), platform
        for key, icon in items.items():
            states = english()["entity"][platform][key].get("state")
            assert states is None or set(icon.get("state", ())) <= set(states), key


@pytest.mark.usefixtures("enable_custom_integrations")
async def test_texts_of_states(hass: HomeAssistant, set_up: SetUp) -> None:
    """Each state that a sensor of words can have has a text, and no other; so has each event."""
    entry = await set_up(iqs=[])
    await make_unit(hass, entry)
    checked = set()
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        words = english()["entity"].get(entity.domain, {}).get(entity.translation_key, {})
        options = (entity.capabilities or {}).get("options")
        if options is not None:
            checked.add(entity.translation_key)
            assert set(words["state"]) == set(options)
        elif entity.domain == "binary_sensor":
            assert set(words.get("state", ())) <= {"on", "off"}
        else:
            assert "state" not in words
        events = (entity.capabilities or {}).get("event_types")
        if events is not None:
            checked.add(entity.translation_key)
            assert set(words["state_attributes"]["event_type"]["state"]) == set(events)
    assert checked == {
        "access",
        "battery",
        "current_booking",
        "key_life_cycle",
        "key_state",
        "live_events",
    }


@pytest.mark.usefixtures("enable_custom_integrations")
async def test_texts_of_attributes(hass: HomeAssistant, sim: Simulator, set_up: SetUp) -> None:
    """Each attribute with a text is one that the entity shows; all that a unit's sensors show has."""
    entry = await set_up(iqs=[])
    await make_unit(hass, entry)
    now = dt_util.utcnow()
    for booking_id, begins in (("now", now - HOUR), ("next", now + HOUR)):
        await book(hass, entry, booking_id, starts_at=begins, ends_at=begins + HOUR * 2)
    await act(hass, "button", "press", entity_id(hass, "button", sim.site_id, "reconcile"))
    checked = 0
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        words = english()["entity"].get(entity.domain, {}).get(entity.translation_key, {})
        state = hass.states.get(entity.entity_id)
        if entity.disabled:
            continue
        assert state is not None
        shown: Collection[str] = words.get("state_attributes", ())
        checked += bool(shown)
        assert set(shown) <= set(state.attributes), entity.entity_id
        if entity.config_subentry_id is not None and entity.domain.endswith("sensor"):
            assert set(state.attributes) - set(shown) <= OF_HOME_ASSISTANT
    assert checked == 5 + 5 + len(sim.world.locks_of(sim.site_id))


def test_texts_of_readiness() -> None:
    """Each way a unit can stand, and all that may be in the way of it or not known, has a text."""
    about = english()["entity"]["binary_sensor"]["ready"]["state_attributes"]
    assert set(about["readiness"]["state"]) == {state.value for state in ReadinessState}
    assert set(about["reasons"]["state"]) == {reason.value for reason in NotReady}
    assert about["unknown"]["state"] == about["reasons"]["state"]


# The rest


def test_texts_of_system_health() -> None:
    """Each line of the system information has a text, and no other."""
    lines = {
        str(key.value)
        for node in ast.walk(integration()["system_health"].tree)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    }
    assert set(english()["system_health"]["info"]) == lines


def test_texts_of_the_front_desk() -> None:
    """The card has words for every way a key can stand, for what is wrong with it, and for more."""
    common = english()["common"]
    users = {"access", "desk", "event", "explain", "finding", "logbook"}
    assert {key.partition("_")[0] for key in common} <= users
    kinds: Mapping[str, type[StrEnum]] = {
        "desk_status_": KeyStatus,
        "desk_error_": KeyProblem,
        "desk_warning_": KeyWarning,
    }
    for start, kind in kinds.items():
        words = {key.removeprefix(start) for key in common if key.startswith(start)}
        assert words == {item.value for item in kind} | {"other"}


def test_texts_of_the_editor_of_the_card() -> None:
    """Each option that the editor of the card offers has a label, and a note on what holds without."""
    card = (INTEGRATION / "frontend" / "salto-ks-desk-card.js").read_text("utf-8")
    options = re.findall(r"\{ name: \"(\w+)\", selector:", card)
    assert options
    words = {key for key in english()["common"] if key.startswith("desk_option_")}
    assert words == {f"desk_option_{name}{part}" for name in options for part in ("", "_note")}


def test_texts_of_the_activity() -> None:
    """There are words for whoever is at a door, why it stays closed, and all that is told of it."""
    common = english()["common"]

    def words(start: str) -> set[str]:
        return {key.removeprefix(start) for key in common if key.startswith(start)}

    assert words("access_reason_") == {reason.value for reason in DenialReason}
    keys = {"unit_booking", "unit_key", "booking", "key"}
    nameless = {"home_assistant", "home_assistant_user", "somebody", "inside"}
    assert words("access_by_") == keys | nameless
    alarms = {"left_open", "left_open_ended", "intrusion", "intrusion_ended"}
    doors = {kind.value for kind in DoorEventType} - alarms
    by_nobody = {f"{kind}_by_nobody" for kind in logbook.BY_NOBODY}
    changes = {f"key_changed_{change}" for change in KeyChangeKind}
    others = {"checked_in", "key", "key_of_booking", "key_failed_why", "late"}
    assert words("logbook_") == doors | by_nobody | set(NewsKind) | changes | others


def test_texts_of_events_that_cannot_be_read() -> None:
    """There are words for whatever may be wrong with an event of a calendar."""
    words = {key for key in english()["common"] if key.startswith("event_")}
    assert words == {reason.value for reason in UnreadableReason}


def test_texts_of_findings() -> None:
    """There are words for whatever may differ between the ledger and Salto, and what can be done."""
    words = {key for key in english()["common"] if key.startswith("finding_")}
    assert words == {f"finding_{outcome}" for outcome in Outcome}
    choices = english()["selector"]
    assert set(choices["outcome"]["options"]) == {str(key) for key in issues.OUTCOME_ISSUES}
    assert set(choices["fix"]["options"]) == {fix.value for fix in Fix}
    about = english()["entity"]["binary_sensor"]["keys_left_alone"]["state_attributes"]
    assert set(about["reason"]["state"]) == {reason.value for reason in ReadOnly}


def test_every_section_is_looked_after() -> None:
    """There is no section of texts that none of these tests reads."""
    assert set(english()) == {
        *(set(FLOWS) - {"unit"}),
        *("common", "entity", "exceptions", "issues", "selector", "services", "system_health"),
    }
    assert set(english()["config_subentries"]) == {"iq", "unit"}
    flow = {"step", "error", "abort", "create_entry"}
    assert set(section_of("config")) == flow
    assert set(section_of("config_subentries")) == flow | {"entry_type", "initiate_flow"}
    assert set(section_of("config_subentries")["initiate_flow"]) == {"user", "reconfigure"}
    assert set(section_of("unit")) == {"step", "error", "abort", "entry_type", "initiate_flow"}
    assert set(section_of("unit")["initiate_flow"]) == {"user", "reconfigure"}
    assert set(section_of("options")) == {"step"}


def leaves(texts: Mapping[str, Any], path: str = "") -> dict[str, str]:
    """Return every text by its path."""
    found: dict[str, str] = {}
    for key, value in texts.items():
        where = f"{path}.{key}" if path else key
        found |= leaves(value, where) if isinstance(value, Mapping) else {where: value}
    return found


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda path: path.stem)
def test_languages_say_the_same(language: Path) -> None:
    """Each language has a text for each key, filled with the same things."""
    mine, original = leaves(json.loads(language.read_text("utf-8"))), leaves(english())
    assert set(mine) == set(original)
    for path, text in mine.items():
        assert text.strip() == text != "", path
        assert placeholders(text) == placeholders(original[path]), path


def test_french_points_stay_with_their_words() -> None:
    """What French sets a space before or after does not begin or end a line alone."""
    texts = leaves(json.loads((TRANSLATIONS / "fr.json").read_text("utf-8")))
    torn = [path for path, text in texts.items() if re.search(r"\S [:;!?»]|« \S", text)]
    assert torn == []
