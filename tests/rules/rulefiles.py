"""The rule files of the bundle, their promtool tests and their runbooks, as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as ast
import yaml

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "prometheus"
RUNBOOKS = ROOT / "docs" / "runbooks"
SETTINGS = PROMETHEUS / "rules" / "settings.yml"
THRESHOLD = re.compile(r"airflow:threshold:\w+")
Rule = dict[str, Any]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def list_rules(folder: str) -> list[Rule]:
    """Every rule of `rules` or of `alerts`."""
    files = sorted((PROMETHEUS / folder).glob("*.yml"))
    return [rule for path in files for group in load(path)["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in list_rules("alerts")}
RECORDED = list_rules("rules")
TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
OF_EXPORTERS = [path for path in TESTS if path.stem != "kubernetes"]
"""Tests of what exporters send. Series of pods have no label `airflow`: they cannot be given to a second replica."""
CASES: list[Rule] = [case for path in TESTS for case in load(path)["tests"]]
"""Every test group of promtool's."""


def find_selectors(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[ast.VectorSelector, tuple[Any, ...]]]:
    """Yield each selector with what encloses it, outermost first.

    What stands to the right of `and` and `unless` only decides which series stay, by labels that it names: left out.
    """
    if isinstance(node, ast.VectorSelector):
        yield node, above
        return
    inner = [getattr(node, part, None) for part in ("lhs", "expr", "vector_selector")]
    if not (isinstance(node, ast.BinaryExpr) and str(node.op) in {"and", "unless"}):
        inner.append(getattr(node, "rhs", None))
    for part in (*inner, *(getattr(node, "args", None) or ())):
        if part is not None and not isinstance(part, str):
            yield from find_selectors(part, (*above, node))
