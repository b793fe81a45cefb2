"""Every query of the dashboards: it parses, finds something to read, and means what its panel says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser as ast
import pytest
import yaml

from exporter.metrics.family import Kind
from grafana.boards.kit.promql import DAG_SELECTION
from grafana.boards.kit.variable import EACH_OF_LIST, OWNER
from tests.contract.promql import NATIVE, RULES, Labels, walk
from tests.grafana.boards import (
    Panel,
    Query,
    annotation_queries,
    families,
    panel_queries,
    panels,
    substitute,
    variable_queries,
)

LABELS = Labels()
FAMILIES = families()
OF_PANELS = list(panel_queries())
ALL = [*OF_PANELS, *annotation_queries()]
INCREASES = {"rate", "increase"}
RANGED = INCREASES | {"irate", "delta", "deriv", "changes", "resets"}
OVER_TIME = RANGED | {"last_over_time", "max_over_time", "min_over_time", "avg_over_time", "sum_over_time"}
PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
FLEET = "airflow-overview: Fleet "
"""The one panel that shows several Airflows."""
HEARD = "airflow_exporter_statsd_lines_total"
"""Whether it is above 0 tells whether there is StatsD at all."""
SELDOM = {
    rule["record"]
    for file in RULES.glob("*.yml")
    for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]
    if group.get("interval", "1m") not in ("1m", "2m", "5m")
    for rule in group["rules"]
}
"""Series that are recorded less often than every five minutes."""
every_query = pytest.mark.parametrize("query", ALL, ids=str)


def paths(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[ast.VectorSelector, tuple[Any, ...]]]:
    """Yield each selector and what encloses it, outermost first."""
    if isinstance(node, ast.VectorSelector):
        yield node, above
    inner = [getattr(node, part, None) for part in ("lhs", "rhs", "expr", "vector_selector", "param")]
    for part in (*inner, *(getattr(node, "args", None) or ())):
        if part is not None and not isinstance(part, str):
            yield from paths(part, (*above, node))


@every_query
def test_it_reads_what_is_exposed_or_recorded_by_labels_that_are_there(query: Query) -> None:
    assert LABELS.of(query.substituted) is not None


@every_query
def test_its_legend_names_labels_of_the_answer(query: Query) -> None:
    assert set(PLACEHOLDER.findall(query.legend)) <= LABELS.of(query.substituted)


@every_query
def test_what_stands_in_for_nothing_looks_like_it(query: Query) -> None:
    """With other labels than the left side, the right side of `or` would come besides it, not instead."""
    for node in walk(ast.parse(query.substituted)):
        if isinstance(node, ast.BinaryExpr) and str(node.op) == "or":
            assert LABELS.of(node.lhs.prettify()) == LABELS.of(node.rhs.prettify())


@every_query
def test_nothing_is_divided_by_zero(query: Query) -> None:
    """It gives NaN, which Grafana draws as a fall to the floor: `/ (x > 0)` gives nothing."""
    for node in walk(ast.parse(query.substituted)):
        if isinstance(node, ast.BinaryExpr) and str(node.op) == "/":
            divisor = node.rhs
            while isinstance(divisor, ast.ParenExpr):
                divisor = divisor.expr
            positive = isinstance(divisor, ast.BinaryExpr) and str(divisor.op) == ">"
            assert positive or (isinstance(divisor, ast.Call) and divisor.func.name == "scalar"), node.prettify()


@every_query
def test_a_quantile_of_nothing_is_nothing(query: Query) -> None:
    for node in walk(ast.parse(query.substituted)):
        if isinstance(node, ast.Call) and node.func.name == "histogram_quantile":
            assert ">= 0" in query.expression


@pytest.mark.parametrize("query", OF_PANELS, ids=str)
def test_a_time_that_is_left_or_gone_is_never_negative(query: Query) -> None:
    """The clocks of two machines differ by a little, and what is due lies in the past."""
    for name, above in reads_clock(ast.parse(query.substituted)):
        clamped = any(isinstance(outer, ast.Call) and outer.func.name == "clamp_min" for outer in above)
        assert clamped or any(map(only_chooses, above, above[1:])), name


def only_chooses(outer: Any, inner: Any) -> bool:
    """Whether what is inside picks series, and is not their value: the right side of `and`, the left of `x > 600`."""
    if not isinstance(outer, ast.BinaryExpr):
        return isinstance(outer, ast.AggregateExpr) and str(outer.op) == "count"
    return str(outer.op) in ("and", "unless") and outer.rhs.prettify() == inner.prettify()


def reads_clock(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield `time()` and each recorded age, with what encloses it."""
    for selector, outer in paths(node, above):
        if selector.name and selector.name.endswith("_seconds") and re.search(r":(\w+_)?age_|overdue_", selector.name):
            yield selector.name, outer
    for deep in calls(node, above):
        if deep[0].func.name == "time":
            yield "time()", deep[1]


def calls(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[ast.Call, tuple[Any, ...]]]:
    """Yield each call and what encloses it, outermost first."""
    if isinstance(node, ast.Call):
        yield node, above
    inner = [getattr(node, part, None) for part in ("lhs", "rhs", "expr", "param")]
    for part in (*inner, *(getattr(node, "args", None) or ())):
        if part is not None and not isinstance(part, str):
            yield from calls(part, (*above, node))


@every_query
def test_it_reads_one_airflow(query: Query) -> None:
    """Thresholds are the same for all."""
    for selector, _ in paths(ast.parse(query.substituted)):
        text = selector.prettify()
        one = 'airflow="production"' in text or (selector.name or "").startswith("airflow:threshold:")
        assert one or ('airflow=~"production|staging"' in text and query.where.startswith(FLEET)), selector.name
    assert "job=" not in query.expression


@every_query
def test_a_counter_is_read_as_a_rate_and_a_gauge_is_not(query: Query) -> None:
    for selector, above in paths(ast.parse(query.substituted)):
        family = FAMILIES.get(selector.name or "")
        if family is None or selector.name == HEARD:
            continue
        called = {node.func.name for node in above if isinstance(node, ast.Call)}
        assert bool(called & INCREASES) == (family.kind is not Kind.GAUGE), selector.name


@every_query
def test_two_exporters_of_one_airflow_count_once(query: Query) -> None:
    for selector, above in paths(ast.parse(query.substituted)):
        family = FAMILIES.get(selector.name or "")
        if family is None or family.source not in ("airflow", "statsd"):
            continue
        outside = [node for node in above if not isinstance(node, (ast.MatrixSelector, ast.ParenExpr))]
        while outside and isinstance(outside[-1], ast.Call) and outside[-1].func.name in OVER_TIME:
            outside.pop()
        reduced = outside[-1] if outside else None
        assert isinstance(reduced, ast.AggregateExpr), selector.name
        assert str(reduced.op) == ("avg" if selector.name in NATIVE else "max")
        if reduced.modifier is not None and reduced.modifier.type != ast.AggModifierType.By:
            assert set(reduced.modifier.labels) == {"instance", "pod"}


@pytest.mark.parametrize("panel", list(panels()), ids=str)
def test_what_is_recorded_seldom_is_looked_for_in_more_than_five_minutes(panel: Panel) -> None:
    """Prometheus looks back for five minutes: of a series with a value every 15 minutes it mostly finds none."""
    joined = panel.json["fieldConfig"]["defaults"].get("custom", {}).get("spanNulls")
    for target in panel.targets if not joined else ():
        for selector, above in paths(ast.parse(substitute(target["expr"]))):
            called = {node.func.name for node in above if isinstance(node, ast.Call)}
            assert selector.name not in SELDOM or called & OVER_TIME, selector.name


@pytest.mark.parametrize("query", OF_PANELS, ids=str)
def test_rates_go_over_grafanas_own_interval(query: Query) -> None:
    for node in walk(ast.parse(query.substituted)):
        if isinstance(node, ast.Call):
            assert node.func.name != "irate", "irate leaves out what lies between two points"
    rates = re.findall(r"\brate\(.*?\[([^\]]+)\]", query.expression)
    assert set(rates) <= {"$__rate_interval"}
    assert set(re.findall(r"\[([^\]]+)\]", query.expression)) <= {"$__rate_interval", "$__range", "1h", "1d"}


@pytest.mark.parametrize(("query", "label"), list(variable_queries()), ids=str)
def test_a_variable_asks_for_a_label_that_is_there(query: Query, label: str) -> None:
    assert label in LABELS.of(query.substituted)


def test_the_fleet_has_one_row_for_each_airflow() -> None:
    columns = [query for query in OF_PANELS if query.where.startswith(FLEET)]
    assert columns
    assert {LABELS.of(query.substituted) for query in columns} == {frozenset({"airflow"})}


@pytest.mark.parametrize(
    ("selected", "matching"),
    [
        (".*", {"", "sales", "sales,finance", "finance,sales,web"}),
        ("sales", {"sales", "sales,finance", "finance,sales,web"}),
        ("(web|finance)", {"sales,finance", "finance,sales,web"}),
        ("sale", set()),
    ],
)
def test_an_owner_selects_dags_of_which_it_is_one_owner(selected: str, matching: set[str]) -> None:
    pattern = DAG_SELECTION["owners"].replace("$owner", selected)
    owners = {"", "sales", "sales,finance", "finance,sales,web"}
    assert {text for text in owners if re.fullmatch(pattern, text)} == matching


def test_a_list_of_owners_is_split_into_its_owners() -> None:
    assert re.findall(EACH_OF_LIST.strip("/g"), "finance,sales,web") == ["finance", "sales", "web"]
    assert OWNER.json()["regex"] == EACH_OF_LIST
