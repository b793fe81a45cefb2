"""The dashboards of an Airflow that only its API shows: which panels stay empty without StatsD and the host source."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as ast
import yaml

from exporter.metrics.catalogue.families import FAMILIES

ROOT = Path(__file__).parents[1]
SUFFIXES = ("_bucket", "_sum", "_count")
FEEDING = frozenset({"airflow", "exporter"})
"""The sources that are on where only the API can be reached."""
UNSEEN = ("airflow_exporter_statsd_", "kube_", "container_")
"""Metrics of the StatsD source about itself, and of the cluster of pods, which belongs to the provider."""
CONSTANT = frozenset({"vector", "time", "absent", "absent_over_time"})
"""Functions whose value does not need a series."""


class Board(NamedTuple):
    """A dashboard: how many panels with queries it has, and those that stay empty."""

    title: str
    panels: int
    empty: tuple[str, ...]


def write_unfed_panels() -> str:
    """A table row for each dashboard."""
    lines = ["| dashboard | panels with data | empty panels |", "| --- | --- | --- |"]
    for board in map(read_board, sorted((ROOT / "grafana/dashboards").glob("*.json"))):
        missing = "all" if len(board.empty) == board.panels else ", ".join(board.empty) or "none"
        lines.append(f"| {board.title} | {board.panels - len(board.empty)} of {board.panels} | {missing} |")
    return "\n".join(lines)


def read_board(path: Path) -> Board:
    """The panels of a dashboard file. A panel is empty if each of its queries is."""
    content = json.loads(path.read_text(encoding="utf-8"))
    panels = [panel for panel in list_panels(content["panels"]) if list_queries(panel)]
    empty = [panel["title"] for panel in panels if all(is_empty(prepare(query)) for query in list_queries(panel))]
    return Board(content["title"], len(panels), tuple(dict.fromkeys(empty)))


def list_panels(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every panel, those of collapsed rows too."""
    for panel in panels:
        yield from list_panels(panel["panels"]) if panel.get("panels") else iter([panel])


def list_queries(panel: Mapping[str, Any]) -> list[str]:
    """The PromQL queries of a panel."""
    return [target["expr"] for target in panel.get("targets", []) if target.get("expr")]


def prepare(query: str) -> str:
    """A query with a number for each variable of Grafana that stands for a duration or a limit."""
    for name in ("$__rate_interval", "$__range", "$__interval"):
        query = query.replace(name, "5m")
    return query


def is_empty(query: str) -> bool:
    """Whether an expression has no series where only the API is read."""
    return is_node_empty(ast.parse(query))


def is_node_empty(node: Any) -> bool:  # noqa: ANN401 - the parser's types have no common base
    """The same of a part of an expression."""
    match node:
        case ast.VectorSelector():
            return not is_fed(node.name or find_name(node))
        case ast.MatrixSelector():
            return is_node_empty(node.vector_selector)
        case ast.BinaryExpr():
            left, right = is_node_empty(node.lhs), is_node_empty(node.rhs)
            if str(node.op) == "or":
                return left and right
            return left if str(node.op) == "unless" else left or right
        case ast.Call():
            return node.func.name not in CONSTANT and any(is_node_empty(one) for one in node.args)
        case ast.AggregateExpr() | ast.ParenExpr() | ast.SubqueryExpr() | ast.UnaryExpr():
            return is_node_empty(node.expr)
    return False


def find_name(node: ast.VectorSelector) -> str:
    """The metric of a selector that has it as a matcher; empty for a pattern."""
    return next((one.value for one in node.matchers.matchers if one.name == "__name__"), "")


@cache
def is_fed(name: str) -> bool:
    """Whether a metric exists where only the API is read: of a family, or of a recording rule with such families."""
    if "|" in name:
        return any(map(is_fed, name.split("|")))
    if name.startswith(UNSEEN):
        return False
    if ":" in name:
        return any(not is_empty(expression) for expression in read_rules().get(name, ()))
    sources = read_sources()
    base = next((name.removesuffix(end) for end in SUFFIXES if name.removesuffix(end) in sources), name)
    return sources.get(name, sources.get(base, "exporter")) in FEEDING


@cache
def read_sources() -> dict[str, str]:
    return {family.name: family.source for family in FAMILIES}


@cache
def read_rules() -> dict[str, list[str]]:
    """The expressions of each recording rule."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                found.setdefault(rule["record"], []).append(rule["expr"])
    return found
