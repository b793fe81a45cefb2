"""The check of queries finds what Prometheus would answer with silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.promql import Labels, QueryError

TRIES = "airflow_task_tries_total"


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        (TRIES, {"airflow", "instance", "job", "dag_id", "task_id"}),
        (f"max without(instance, pod) (rate({TRIES}[5m]))", {"airflow", "job", "dag_id", "task_id"}),
        (f"sum by(airflow, dag_id) ({TRIES})", {"airflow", "dag_id"}),
        (f"sum({TRIES}) / 2", set()),
        ("histogram_quantile(0.5, sum by(le, queue) (airflow_task_queued_duration_seconds_bucket))", {"queue"}),
        (f"topk(3, sum by(dag_id) ({TRIES}))", {"dag_id"}),
        (f"sum by(dag_id, task_id) ({TRIES}) and on(dag_id) airflow_dag_paused == 1", {"dag_id", "task_id"}),
        (
            f"sum by(dag_id, task_id) ({TRIES}) * on(dag_id) group_left(owners) airflow_dag_info",
            {"dag_id", "task_id", "owners"},
        ),
        ("sum by(pool) (airflow_pool_occupied_slots) / on(pool) max by(pool) (airflow_pool_slots)", {"pool"}),
        (
            "airflow_dags / ignoring(state) group_left() airflow_parallelism_slots",
            {"airflow", "instance", "job", "state"},
        ),
        ("time() - max by(dag_id) (airflow_dag_last_success_timestamp_seconds)", {"dag_id"}),
        ('label_replace(airflow_dags, "kind", "$1", "state", "(.)")', {"airflow", "instance", "job", "state", "kind"}),
        ('label_join(airflow_dags, "all", " ", "state", "job")', {"airflow", "instance", "job", "state", "all"}),
        ('count_values("value", airflow_dags)', {"value"}),
        ("avg_over_time(sum by(dag_id) (airflow_dag_paused)[1h:1m])", {"dag_id"}),
        ("scalar(sum(airflow_dags))", set()),
    ],
)
def test_labels_are_worked_out(expression: str, labels: set[str]) -> None:
    assert Labels().of(expression) == labels


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("airflow_task_trys_total", "neither exposed nor recorded"),
        ("airflow_scheduler_loop_duration_seconds", "neither exposed nor recorded"),
        (f'{TRIES}{{dag="x"}}', "no label dag"),
        (f"sum by(pool) ({TRIES})", "no label pool"),
        (f"sum by(task_id) (sum by(dag_id) ({TRIES}))", "no label task_id"),
        ("airflow_dag_paused / on(pool) airflow_pool_slots", "no label pool"),
        (f"sum by(dag_id) ({TRIES}) / airflow_dag_paused", "match nothing"),
        (f"sum by(dag_id) ({TRIES}) * on(dag_id) group_left(owner) airflow_dag_info", "no label owner"),
        ("histogram_quantile(0.5, airflow_task_queued_duration_seconds_sum)", "no label le"),
        ('label_join(airflow_dags, "all", " ", "pool")', "no label pool"),
        ('{airflow="a"}', "without a name"),
    ],
)
def test_what_would_be_empty_is_found(expression: str, problem: str) -> None:
    with pytest.raises(QueryError, match=problem):
        Labels().of(expression)


def test_recorded_series_have_the_labels_of_their_expressions(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(
        f"""groups: [{{name: a, rules: [
          {{record: "airflow_dag:tries:rate5m", labels: {{kind: all}},
            expr: "sum by(airflow, dag_id) (rate({TRIES}[5m]))"}},
          {{record: "airflow:tries:rate5m", expr: "sum by(airflow) (airflow_dag:tries:rate5m)"}}]}}]"""
    )
    labels = Labels(tmp_path)
    assert labels.of("airflow_dag:tries:rate5m") == {"airflow", "dag_id", "kind"}
    assert labels.of("airflow:tries:rate5m") == {"airflow"}
    with pytest.raises(QueryError, match="no label task_id"):
        labels.of("sum by(task_id) (airflow_dag:tries:rate5m)")
