"""The simulator stands on its own."""

import ast
from pathlib import Path
import sys

import simulator

FOLDER = Path(simulator.__file__).parent
ALLOWED = {"simulator", "aiohttp", "yarl"} | set(sys.stdlib_module_names)


def imported(path: Path) -> set[str]:
    """Return the packages that a module imports from."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_it_imports_nothing_of_ours() -> None:
    """No module reaches outside the simulator, the standard library, aiohttp and yarl."""
    modules = list(FOLDER.rglob("*.py"))
    assert len(modules) > 20
    strays = {path.name: imported(path) - ALLOWED for path in modules}
    assert {name: found for name, found in strays.items() if found} == {}
