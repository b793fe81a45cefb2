"""Joins with `group_left` and `group_right`: no two series of the one side are alike in the labels of the join.

Two that are alike are an error of the whole rule, for all Airflows: none of its alerts fires then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser as ast
import pytest

from tests.contract.promql import Labels, walk
from tests.grafana.boards import panel_queries
from tests.rules.rulefiles import list_rules

LABELS = Labels()
EXPRESSIONS = {
    **{rule["record"]: rule["expr"] for rule in list_rules("rules")},
    **{rule["alert"]: rule["expr"] for rule in list_rules("alerts")},
    **{str(query): query.substituted for query in panel_queries()},
}
ONE_EACH = {"airflow_dag:owners:info": {"airflow", "dag_id"}, "airflow_pod:task:info": {"namespace", "pod"}}
"""Recorded series that are there once for each value of these labels, though they have further ones."""
ONLY = "group by (airflow) (airflow_exporter_build_info"
"""The only Airflow that there is, if there is only one."""


def find_joins(expression: str) -> Iterator[tuple[Any, set[str]]]:
    """Each side of a join of which one series is expected, with the labels of the join."""
    for node in walk(ast.parse(expression)):
        modifier = getattr(node, "modifier", None)
        if not isinstance(node, ast.BinaryExpr) or not modifier:
            continue
        if modifier.card not in (ast.VectorMatchCardinality.ManyToOne, ast.VectorMatchCardinality.OneToMany):
            continue
        one = node.rhs if modifier.card == ast.VectorMatchCardinality.ManyToOne else node.lhs
        labels = set(modifier.matching.labels) if modifier.matching else set()
        if not modifier.matching or modifier.matching.type != ast.LabelModifierType.Include:
            labels = set(LABELS.of(one.prettify())) - labels
        yield one, labels


def is_single(node: Any, labels: set[str]) -> bool:
    """Whether the series of this expression differ in these labels."""
    match node:
        case ast.ParenExpr():
            return is_single(node.expr, labels)
        case ast.BinaryExpr():
            sides = is_single(node.lhs, labels), is_single(node.rhs, labels)
            return all(sides) if str(node.op) == "or" else sides[0] if str(node.op) in ("and", "unless") else any(sides)
        case ast.Call():
            return any(is_single(argument, labels) for argument in node.args)
        case ast.MatrixSelector():
            return is_single(node.vector_selector, labels)
        case ast.VectorSelector():
            fixed = {matcher.name for matcher in node.matchers.matchers if matcher.op == ast.MatchOp.Equal}
            one_each = ONE_EACH.get(node.name or "", {""}) <= labels
            return one_each or LABELS.of(node.prettify()) <= labels | fixed
        case ast.AggregateExpr(param=ast.NumberLiteral(val=1), modifier=ast.AggModifier() as by):
            return str(node.op) == "topk" and set(by.labels) <= labels
    return LABELS.of(node.prettify()) <= labels


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_the_side_of_the_one_has_one(expression: str) -> None:
    for one, labels in find_joins(expression):
        assert is_single(one, labels) or ONLY in one.prettify(), (
            f"topk by ({', '.join(sorted(labels))}) (1, ...) is missing: {one.prettify()}"
        )
