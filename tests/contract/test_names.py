"""Two public classes never have the same name: a name means one thing in all code that is not a test."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("alertmanager", "benchmarks", "compose", "demo", "exporter", "grafana")
ALLOWED = frozenset({
    "Airflow", "Bench", "Cost", "Event", "Finding", "Handler", "Place",
    "Pool", "Process", "Reading", "Result", "Sample", "Secret", "Series", "Stat",
})  # fmt: skip
"""Names that are still used twice. Remove one from this list when it is unique."""


def find_repeated() -> dict[str, list[str]]:
    """The files that define each public class name that is defined more than once."""
    places = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(path.relative_to(ROOT)))
    return {name: found for name, found in places.items() if len(found) > 1}


def test_a_class_name_is_used_once() -> None:
    assert {name: places for name, places in find_repeated().items() if name not in ALLOWED} == {}
