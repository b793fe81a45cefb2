"""The committed dashboards, taken apart: panels, queries, links, as the tests need them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser as ast

from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family
from tests.contract.promql import OF_KUBERNETES, rules, walk

GRAFANA = Path(__file__).resolve().parents[2] / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in FILES}
VALUES = {
    "__rate_interval": "5m",
    "__range": "6h",
    "__range_s": "21600",
    "airflow": "production",
    "dag_id": "orders",
    "task_id": "load",
    "owner": "sales|finance",
    "tag": ".*",
    "fleet": "production|staging",
    "pool": "default_pool",
    "component": "scheduler",
    "worker": "worker-1:10112",
}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|([a-zA-Z_]\w*))")


class Panel(NamedTuple):
    """One panel, and the dashboard that it is on."""

    board: str
    json: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.json["type"])

    @property
    def targets(self) -> list[dict[str, Any]]:
        return list(self.json.get("targets", []))

    def __str__(self) -> str:
        return f"{self.board}: {self.json['title']}"


class Query(NamedTuple):
    """One expression, of a panel, an annotation or a variable."""

    where: str
    expression: str
    legend: str = ""

    @property
    def substituted(self) -> str:
        """As Prometheus gets it."""
        return substitute(self.expression)

    def __str__(self) -> str:
        return self.where


def substitute(text: str) -> str:
    """Put values for variables; an unknown variable is an error."""
    return VARIABLE.sub(lambda found: VALUES[found[1] or found[2]], text)


def panels() -> Iterator[Panel]:
    """Yield all panels but the headings of rows."""
    for uid, board in BOARDS.items():
        for panel in board["panels"]:
            yield from (Panel(uid, inner) for inner in panel.get("panels", []))
            if panel["type"] != "row":
                yield Panel(uid, panel)


def panel_queries() -> Iterator[Query]:
    """Yield every query of every panel."""
    for panel in panels():
        for target in panel.targets:
            legend = target["legendFormat"]
            yield Query(f"{panel} {target['refId']}", target["expr"], "" if legend == "__auto" else legend)


def annotation_queries() -> Iterator[Query]:
    """Yield every query of an annotation."""
    for uid, board in BOARDS.items():
        for annotation in board["annotations"]["list"]:
            yield Query(f"{uid}: {annotation['name']}", annotation["expr"], annotation["titleFormat"])


def variable_queries() -> Iterator[tuple[Query, str]]:
    """Yield the selector of every variable, and the label whose values it asks for."""
    for uid, board in BOARDS.items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
                assert found, variable["query"]
                yield Query(f"{uid}: ${variable['name']}", found[1]), found[2]


@cache
def families() -> dict[str, Family]:
    """Each family by the names of its samples."""
    suffixes = ("", "_bucket", "_sum", "_count")
    return {f"{family.name}{suffix}": family for family in FAMILIES for suffix in suffixes}


SOURCES = ("API", "StatsD", "host", "Celery", "database", "Kubernetes", "exporter", "Prometheus")
"""Where the metrics of a panel come from, in the order in which descriptions name them."""
FROM_CATALOGUE = {"airflow": "API", "statsd": "StatsD", "host": "host", "celery": "Celery", "database": "database"}
MATRIX = GRAFANA.parent / "docs" / "matrix.md"


@cache
def fed_by_statsd() -> frozenset[str]:
    """The metrics of the API that StatsD feeds where the API is off: the third column of docs/matrix.md."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", MATRIX.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(name for name, statsd_only in rows if statsd_only.strip() != "-")


@cache
def recorded_expressions() -> dict[str, list[str]]:
    """The expressions of each recorded series."""
    found: dict[str, list[str]] = {}
    for rule in rules():
        if "record" in rule:
            found.setdefault(rule["record"], []).append(rule["expr"])
    return found


@cache
def sources_of(expression: str) -> frozenset[str]:
    """Where the metrics of an expression come from, those of recording rules included."""
    names = {node.name for node in walk(ast.parse(expression)) if isinstance(node, ast.VectorSelector)}
    return frozenset[str]().union(*(sources_of_name(name) for name in names if name))


@cache
def sources_of_name(name: str) -> frozenset[str]:
    """Where a metric or a recorded series comes from."""
    if name in recorded_expressions():
        return frozenset[str]().union(*map(sources_of, recorded_expressions()[name]))
    family = families().get(name)
    if family is None:
        return frozenset({"Kubernetes" if name in OF_KUBERNETES else "Prometheus"})
    found = {FROM_CATALOGUE.get(family.source, "exporter")}
    return frozenset(found | {"StatsD"} if family.name in fed_by_statsd() else found)


def source_sentence(panel: Panel) -> str:
    """How the description of a panel ends: `Source: StatsD.` or `Sources: API, host.`"""
    found = frozenset[str]().union(*(sources_of(substitute(target["expr"])) for target in panel.targets))
    named = [source for source in SOURCES if source in found]
    if len(named) > 1 and set(named) & {"API", "StatsD", "host", "Celery", "database", "Kubernetes"}:
        # Most queries read the exporter's metrics too: whether a source is up, and when it was read.
        named = [source for source in named if source not in ("exporter", "Prometheus")]
    return f"Source{'s' if len(named) > 1 else ''}: {', '.join(named)}."
