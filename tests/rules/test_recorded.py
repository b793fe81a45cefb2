"""Recording rules: named for what they tell apart, reduced before anything else, tested, and hardly any by task."""

from __future__ import annotations

import re
from typing import Any

import promql_parser as ast
import pytest

from exporter.metrics.catalogue.families import FAMILIES
from tests.contract.promql import Labels
from tests.rules.rulefiles import ALERTS, CASES, RECORDED, Rule, find_selectors

LABELS = Labels()
NAME = re.compile(r"(airflow(?:_\w+)?):\w+:\w+\Z")
LEVELS = {
    "airflow": set(),
    "airflow_dag": {"dag_id"},
    "airflow_task": {"dag_id", "task_id"},
    "airflow_pool": {"pool"},
    "airflow_object": {"reason", "object"},
    "airflow_queue": {"queue"},
    "airflow_executor": {"executor"},
    "airflow_worker": {"worker"},
    "airflow_triggerer": {"hostname"},
    "airflow_component": {"component"},
    "airflow_source": {"source"},
    "airflow_reader": {"reader"},
    "airflow_exporter": {"instance"},
    "airflow_host": {"instance"},
    "airflow_minute": {"minute"},
    "airflow_cgroup": {"instance", "cgroup"},
    "airflow_pod": {"namespace", "pod"},
}
"""What is told apart at each level, beside which Airflow it is."""
SUFFIX = re.compile(r"_(bucket|sum|count)\Z")
OF_REPLICAS = {family.name for family in FAMILIES if family.source in {"airflow", "statsd"}}
"""What two exporters of one Airflow both tell."""
each_rule = pytest.mark.parametrize("rule", RECORDED, ids=lambda rule: rule["record"])
each_query = pytest.mark.parametrize(
    "expression", [rule["expr"] for rule in (*RECORDED, *ALERTS.values())],
    ids=[rule.get("record", rule.get("alert")) for rule in (*RECORDED, *ALERTS.values())],
)  # fmt: skip


def is_setting(rule: Rule) -> bool:
    return str(rule["record"]).startswith(("airflow:threshold:", "airflow:links:", "airflow:pod_namespace:"))


@each_rule
def test_its_name_says_what_is_told_apart(rule: Rule) -> None:
    match = NAME.match(rule["record"])
    assert match
    answer = LABELS.series(rule["record"])
    assert LEVELS[match[1]] <= answer
    assert "airflow" in answer or is_setting(rule)


@each_rule
def test_it_has_a_test(rule: Rule) -> None:
    tested = {check["expr"].split("{")[0] for case in CASES for check in case.get("promql_expr_test", ())}
    assert rule["record"] in tested


@each_rule
def test_tasks_are_told_apart_only_where_they_run(rule: Rule) -> None:
    few = {"airflow_task:cpu_seconds:rate5m", "airflow_task:memory_bytes:sum"}
    every_quarter_of_an_hour = {
        "airflow_task:run_seconds:increase15m",
        "airflow_task:run_seconds:mean15m",
        "airflow_task:quiet_run_seconds:mean15m",
        "airflow_task:unloaded_run_seconds:quantile1w",
        "airflow_task:peak_memory_bytes:max",
    }
    of_pods = rule["record"].startswith(("airflow_pod:", "airflow_task:pod"))
    assert "task_id" not in LABELS.series(rule["record"]) or of_pods or rule["record"] in few | every_quarter_of_an_hour


def drops_instance(node: Any) -> bool:
    if not isinstance(node, ast.AggregateExpr):
        return False
    if node.modifier is None:
        return True
    named = set(node.modifier.labels)
    return "instance" not in named if node.modifier.type == ast.AggModifierType.By else {"instance", "pod"} <= named


@each_query
def test_two_replicas_answer_as_one(expression: str) -> None:
    """The first thing that drops `instance` takes the largest: a sum would count everything twice."""
    for selector, above in find_selectors(ast.parse(expression)):
        if SUFFIX.sub("", selector.name or "") in OF_REPLICAS or selector.name in OF_REPLICAS:
            reducers = [node for node in reversed(above) if drops_instance(node)]
            assert reducers, f"{selector.name} is not reduced"
            assert str(reducers[0].op) == "max", selector.name


@each_query
def test_no_query_knows_how_the_exporter_is_scraped(expression: str) -> None:
    """Pods have a namespace of their own, wherever they are scraped."""
    of_pods = re.search(r"\b(kube_pod|container|airflow_pod:)", expression)
    assert not re.search(r"\b(job|cluster)\b" if of_pods else r"\b(job|namespace|cluster)\b", expression)
