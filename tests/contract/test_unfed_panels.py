"""Which expressions have no series where only Airflow's API is read, as docs/managed.md lists panels."""

from __future__ import annotations

import pytest

from docs.unfed_panels import is_empty, read_board
from tests.grafana.boards import FILES


@pytest.mark.parametrize(
    ("expression", "empty"),
    [
        ("airflow_dags", False),
        ("airflow_scheduler_heartbeats_total", True),
        ("rate(airflow_scheduler_loop_duration_seconds_bucket[5m])", True),
        ("airflow_dags or airflow_scheduler_heartbeats_total", False),
        ("airflow_scheduler_heartbeats_total or airflow_dags", False),
        ("sum(airflow_scheduler_heartbeats_total) or 0 * (airflow_processes)", True),
        ("airflow_dags / on(airflow) airflow_scheduler_heartbeats_total", True),
        ("airflow_dags unless airflow_scheduler_heartbeats_total", False),
        ("max_over_time(airflow_processes[1h:5m])", True),
        ("airflow:task_failure:ratio1h", False),
        ("airflow:scheduler_loop_seconds:quantile5m", True),
        ("airflow_exporter_statsd_lines_total", True),
        ("airflow_exporter_source_up", False),
        ("kube_pod_created", True),
        ("absent(airflow_processes)", False),
        ("vector(1)", False),
        ('{__name__=~"airflow_dags|airflow_processes"}', False),
    ],
)
def test_an_expression_is_empty_if_nothing_that_is_read_feeds_it(expression: str, empty: bool) -> None:
    assert is_empty(expression) is empty


def test_each_dashboard_has_panels_with_queries() -> None:
    boards = [read_board(path) for path in FILES]
    assert all(board.panels >= len(board.empty) for board in boards)
    assert min(board.panels for board in boards) > 5
