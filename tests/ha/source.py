"""The project's source as data, for tests that read it instead of running it."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
import importlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGE = "custom_components.salto_ks"
INTEGRATION = ROOT / "custom_components" / "salto_ks"


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file."""

    name: str
    """Dotted, from the root of the project."""
    path: Path
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        """Tell whether it is the `__init__` of a folder."""
        return self.path.name == "__init__.py"

    def imports(self) -> Iterator[str]:
        """Yield the dotted name of every module that is imported, anywhere in the file."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                start = self._start(node.level)
                base = ".".join(part for part in (start, node.module) if part)
                yield base
                # `from . import x` names a module in its second half.
                yield from (f"{base}.{alias.name}" for alias in node.names)

    def _start(self, level: int) -> str:
        """Return the package that a relative import begins at."""
        if not level:
            return ""
        parts = self.name.split(".")
        return ".".join(parts[: len(parts) - level + self.is_package])

    def calls(self, *names: str) -> Iterator[ast.Call]:
        """Yield the calls of functions, classes or methods with one of these names."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and names_of(node.func) & set(names):
                yield node

    def value(self, node: ast.expr) -> Any:
        """Return what a constant, or the name of one, stands for; None for anything else."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return getattr(importlib.import_module(self.name), node.id, None)
        return None


def names_of(func: ast.expr) -> set[str]:
    """Return the last names of what is called; several for a choice between classes."""
    match func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return {name}
        case ast.IfExp(body=one, orelse=other):
            return names_of(one) | names_of(other)
        case _:
            return set()


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return a keyword argument of a call."""
    return next((item.value for item in call.keywords if item.arg == name), None)


def texts(node: ast.AST) -> set[str]:
    """Return every text constant inside a node."""
    return {
        item.value
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    }


@cache
def modules(folder: Path) -> Mapping[str, Module]:
    """Return the Python files below a folder by their dotted names."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path, ast.parse(path.read_text("utf-8")))
    return found


def integration() -> Mapping[str, Module]:
    """Return the integration's modules by their names below the package; itself is ''."""
    return {
        name.removeprefix(PACKAGE).removeprefix("."): module
        for name, module in modules(INTEGRATION).items()
    }
