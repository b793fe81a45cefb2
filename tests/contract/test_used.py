"""What is exposed or recorded is of use: on a dashboard, in a rule, an alert or advice, or its audience is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import promql_parser as ast
import pytest

from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind
from exporter.tuning.queries import QUERIES
from tests.contract.promql import RULES, rules, walk
from tests.grafana.boards import annotation_queries, panel_queries, substitute, variable_queries

ALERTS = RULES.parent / "alerts"
SUFFIXES = ("_bucket", "_sum", "_count")


def expressions(folder: Path) -> Iterator[str]:
    """Yield the expression of each rule or alert."""
    yield from (rule["expr"] for rule in rules(folder))


def names(expression: str) -> Iterator[str]:
    """Yield each series that an expression reads."""
    for node in walk(ast.parse(expression)):
        if isinstance(node, ast.VectorSelector):
            matchers = node.matchers.matchers
            named = node.name or next((matcher.value for matcher in matchers if matcher.name == "__name__"), "")
            yield from named.split("|")


def read_by_dashboards() -> Iterator[str]:
    """Yield each series that a panel, a mark or a variable reads."""
    variables = [query for query, _ in variable_queries()]
    for query in (*panel_queries(), *annotation_queries(), *variables):
        yield from names(substitute(query.expression))


DASHBOARDS = frozenset(read_by_dashboards())
IN_ALERTS = frozenset(name for expression in expressions(ALERTS) for name in names(expression))
IN_RULES = frozenset(name for expression in expressions(RULES) for name in names(expression))
IN_ADVICE = frozenset(name for query in QUERIES for name in names(query.fill("demo", "14d")))
USED = DASHBOARDS | IN_ALERTS | IN_RULES
RECORDED = sorted({rule["record"] for rule in rules() if "record" in rule})


def is_used(family: Family) -> bool:
    """Whether any line of a family is read."""
    lines = [family.name + suffix for suffix in SUFFIXES] if family.kind is Kind.HISTOGRAM else [family.name]
    return not USED.isdisjoint(lines)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_used_or_says_who_uses_it(family: Family) -> None:
    assert is_used(family) != bool(family.audience), "either it is read, or its audience is declared; never both"


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_series_is_used(name: str) -> None:
    assert name in USED | IN_ADVICE


@pytest.mark.parametrize("family", [family for family in FAMILIES if family.audience], ids=lambda family: family.name)
def test_an_audience_is_a_phrase(family: Family) -> None:
    assert family.audience[0].islower()
    assert not family.audience.endswith(".")
