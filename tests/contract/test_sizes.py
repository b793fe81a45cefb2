"""Limits on the size of functions, files and packages, and on functions without a docstring."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "exporter"
MAX_MEDIAN, MAX_P90, MAX_LINES = 9, 27, 50
"""Lines of a function: of half of them, of nine in ten, and of the longest."""
MAX_FILE_LINES = 300
MAX_MODULES = 14
"""Modules in one package, without `__init__`."""
MAX_ROOT_MODULES = 8
MAX_WITHOUT_DOCSTRING = 171
"""Public functions and methods without a docstring. Lower this number when some get one; it never rises."""


class Function(NamedTuple):
    """A function or method of the package; a public one is reachable without a leading underscore in its name."""

    place: str
    lines: int
    public: bool
    documented: bool


def list_modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def list_functions() -> list[Function]:
    found: list[Function] = []
    for path in list_modules():
        tree = ast.parse(path.read_text())
        found += list_members(tree, str(path.relative_to(ROOT)), public=True)
    return found


def list_members(parent: ast.AST, place: str, *, public: bool) -> Iterator[Function]:
    """Functions in a module, class or function, with their qualified names; nested functions are not public."""
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = f"{place}:{node.name}"
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(named, lines, public and not node.name.startswith("_"), bool(ast.get_docstring(node)))
            yield from list_members(node, named, public=False)
        elif isinstance(node, ast.ClassDef):
            yield from list_members(node, f"{place}:{node.name}", public=public and not node.name.startswith("_"))
        else:
            yield from list_members(node, place, public=public)


@pytest.fixture(scope="module")
def functions() -> list[Function]:
    return list_functions()


def test_functions_are_short(functions: list[Function]) -> None:
    lines = [one.lines for one in functions]
    assert median(lines) <= MAX_MEDIAN
    assert quantiles(lines, n=10)[-1] <= MAX_P90
    assert [one for one in functions if one.lines > MAX_LINES] == []


def test_files_are_short() -> None:
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in list_modules()}
    assert {path: size for path, size in sizes.items() if size > MAX_FILE_LINES} == {}


def test_packages_have_few_modules() -> None:
    modules = Counter(path.parent for path in list_modules() if path.name != "__init__.py")
    limits = {PACKAGE: MAX_ROOT_MODULES}
    assert {room: count for room, count in modules.items() if count > limits.get(room, MAX_MODULES)} == {}


def test_public_functions_have_a_docstring(functions: list[Function]) -> None:
    """A ratchet: the list may only become shorter."""
    missing = [one.place for one in functions if one.public and not one.documented]
    assert len(missing) <= MAX_WITHOUT_DOCSTRING, "\n".join(missing)
