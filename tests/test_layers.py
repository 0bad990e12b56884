"""No module imports upwards, and no modules import each other in a circle, inside functions neither.

Imports for type checkers count as well: what a module names in a signature it depends on.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

import crewai_persistent_memory

PACKAGE: Final = crewai_persistent_memory.__name__
SOURCE: Final = Path(crewai_persistent_memory.__file__).parent

LAYERS: Final = (
    {"language"},
    {"text", "io"},
    {"embedding"},
    {"config"},
    {"store"},
    {"outbox"},
    {"backends/qdrant", "backends/mem0", "transfer"},
    {"composition"},
    {"maintenance"},
    {"admin"},
    {"recall"},
    {"adapters"},
    {"doctor"},
    {"package"},
    {"testing"},
    {"cli"},
)
"""From the bottom up. A module imports from its own part of the package, and from the layers below it."""

COMPOSITION: Final = {"store.factory"}
"""The modules that choose a backend and open it, so they know what is below and what is above them."""


def layer_of(module: str) -> int:
    return next(number for number, parts in enumerate(LAYERS) if part_of(module) in parts)


def part_of(module: str) -> str:
    """The part of the package that a module belongs to; a module of the root is of the language."""
    if module in COMPOSITION:
        return "composition"
    if module == "admin":
        return "admin"
    if not module:
        return "package"
    path = module.split(".")
    if path[0] == "backends":
        return "/".join(path[:2])
    return path[0] if (SOURCE / path[0]).is_dir() else "language"


def modules(root: Path) -> dict[str, Path]:
    """Every module by its name inside the package; ``""`` is the package itself."""
    found = {}
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(module: str, source: str, known: set[str], *, is_package: bool) -> set[str]:
    """The modules of the package that one of them imports, wherever in it."""
    here = [part for part in module.split(".") if part]
    folder = here if is_package else here[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            base = origin(node, folder)
            if base is not None:
                found |= {
                    name if (name := ".".join([*base, alias.name])) in known else ".".join(base) for alias in node.names
                }
        elif isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[2] for alias in node.names if alias.name.partition(".")[0] == PACKAGE}
        elif isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) and module:
            # The package's own names are lazy. No other module may hide an import in a text.
            hidden = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            assert not [name for name in hidden if name.startswith((".", PACKAGE))], f"{module} imports by {hidden}"
    return found - {module}


def origin(node: ast.ImportFrom, folder: list[str]) -> list[str] | None:
    """The path, inside the package, that ``from ... import`` starts at; ``None`` for other packages."""
    named = node.module.split(".") if node.module else []
    if node.level:
        return [*folder[: len(folder) - node.level + 1], *named]
    return named[1:] if named[:1] == [PACKAGE] else None


def graph_of(root: Path) -> dict[str, set[str]]:
    found = modules(root)
    return {
        name: imports(name, file.read_text(encoding="utf-8"), set(found), is_package=file.name == "__init__.py")
        for name, file in found.items()
    }


def edges(graph: dict[str, set[str]]) -> Iterator[tuple[str, str]]:
    return ((module, imported) for module, others in graph.items() for imported in others)


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return graph_of(SOURCE)


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle(graph: dict[str, set[str]]) -> None:
    assert circle_in(graph) == []


def test_nothing_imports_upwards(graph: dict[str, set[str]]) -> None:
    upwards = [(one, other) for one, other in edges(graph) if layer_of(other) > layer_of(one)]
    assert upwards == []


def test_parts_of_one_layer_do_not_know_each_other(graph: dict[str, set[str]]) -> None:
    sideways = [
        (one, other)
        for one, other in edges(graph)
        if layer_of(one) == layer_of(other) and part_of(one) != part_of(other)
    ]
    assert sideways == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("adapters.unified", "adapters.contextual"),
        ("adapters.contextual", "adapters.unified"),
        ("backends.qdrant.embedded", "backends.qdrant.server"),
        ("backends.qdrant.server", "backends.qdrant.embedded"),
    ],
)
def test_two_that_do_the_same_for_another_do_not_know_each_other(
    graph: dict[str, set[str]], one: str, other: str
) -> None:
    assert [edge for edge in edges(graph) if edge[0].startswith(one) and edge[1].startswith(other)] == []


def test_register_is_imported_by_the_package_only(graph: dict[str, set[str]]) -> None:
    """It changes CrewAI for the whole process. What it sets is read from ``defaults``."""
    assert {module for module, imported in edges(graph) if imported == "adapters.register"} == {""}


def test_the_package_is_looked_at(graph: dict[str, set[str]]) -> None:
    """So that a test above cannot pass because it found nothing."""
    assert ("store.factory", "config.options") in edges(graph)
    assert ("adapters.memory", "adapters.contextual.memory") in edges(graph)
    assert {part_of(module) for module in graph} >= set().union(*LAYERS)
    assert len(graph) > 100


def test_a_circle_inside_functions_is_found(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").touch()
    (tmp_path / "one.py").write_text("def f():\n    from .two import g\n")
    (tmp_path / "two.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import one\n")
    assert graph_of(tmp_path) == {"": set(), "one": {"two"}, "two": {"one"}}
    assert set(circle_in(graph_of(tmp_path))) == {"one", "two"}
