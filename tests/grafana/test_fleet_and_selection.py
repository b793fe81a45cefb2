"""The table of all Airflows and the selection of DAGs by owner and tag, evaluated by Prometheus' own engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grafana.boards.kit.promql import of_selected_dags
from tests.grafana.boards import panels

SERIES = {
    'airflow_exporter_build_info{airflow="a", instance="1"}': 1,
    'airflow_exporter_build_info{airflow="a", instance="2"}': 1,
    'airflow_exporter_build_info{airflow="b", instance="3"}': 1,
    'airflow_component:healthy:max{airflow="a", component="scheduler"}': 1,
    'airflow_component:healthy:max{airflow="b", component="scheduler"}': 1,
    'airflow_component:healthy:max{airflow="b", component="triggerer"}': 0,
    'airflow_source:up:max{airflow="a", source="airflow"}': 1,
    'airflow_source:up:max{airflow="b", source="airflow"}': 1,
    'ALERTS{airflow="b", alertname="X", alertstate="firing", severity="critical"}': 1,
    'ALERTS{airflow="b", alertname="Y", alertstate="pending", severity="critical"}': 1,
    'airflow:task_instances:sum{airflow="a", state="queued"}': 3,
    'airflow:task_instances:sum{airflow="b", state="queued"}': 5,
    'airflow:task_instances:sum{airflow="b", state="running"}': 7,
    'airflow:parallelism_headroom:sum{airflow="a"}': 30,
    'airflow:parallelism_headroom:sum{airflow="b"}': 0,
}
ALONE = {name.replace('airflow="a", ', ""): value for name, value in SERIES.items() if 'airflow="a", ' in name}
"""One Airflow whose scrape configuration gives no label `airflow`."""
DAGS = {
    'airflow_dag_info{airflow="a", dag_id="orders", owners="finance,sales", tags="daily", instance="1"}': 1,
    'airflow_dag_info{airflow="a", dag_id="clicks", owners="web", tags="critical,daily", instance="1"}': 1,
    'airflow_dag_info{airflow="a", dag_id="plain", instance="1"}': 1,
    **{f'x{{airflow="a", dag_id="{dag}"}}': 1 for dag in ("orders", "clicks", "plain", "only_statsd")},
}
Samples = Mapping[str, float]


def check(promtool: Path, folder: Path, series: Samples, expected: dict[str, Samples]) -> None:
    """Let promtool evaluate each expression over these series; it must return exactly the expected samples."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": f"{value}x1"} for name, value in series.items()],
        "promql_expr_test": [
            {
                "expr": expression,
                "eval_time": "1m",
                "exp_samples": [{"labels": labels, "value": value} for labels, value in samples.items()],
            }
            for expression, samples in expected.items()
        ],
    }
    file = folder / "test.yml"
    file.write_text(json.dumps({"tests": [test]}), encoding="utf-8")  # JSON is YAML
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def fleet(selected: str) -> dict[str, str]:
    """The expression of each column, with these Airflows selected."""
    (panel,) = [panel for panel in panels() if panel.json["title"] == "Fleet"]
    targets: list[dict[str, Any]] = panel.targets
    return {target["legendFormat"]: target["expr"].replace("$fleet", selected) for target in targets}


def test_each_airflow_has_its_row(promtool: Path, tmp_path: Path) -> None:
    column = fleet(".*")
    a, b = '{airflow="a"}', '{airflow="b"}'
    expected: dict[str, Samples] = {
        column["Components"]: {a: 1, b: 0},
        column["API"]: {a: 1, b: 1},
        column["Critical alerts"]: {a: 0, b: 1},
        column["Warnings"]: {a: 0, b: 0},
        column["Queued"]: {a: 3, b: 5},
        column["Free slots"]: {a: 30, b: 0},
    }
    check(promtool, tmp_path, SERIES, expected)


def test_only_the_selected_airflows_have_a_row(promtool: Path, tmp_path: Path) -> None:
    column = fleet("b")
    check(
        promtool, tmp_path, SERIES, {column["Queued"]: {'{airflow="b"}': 5}, column["Warnings"]: {'{airflow="b"}': 0}}
    )


def test_one_airflow_without_a_label_has_a_row_too(promtool: Path, tmp_path: Path) -> None:
    column = fleet(".*")
    expected: dict[str, Samples] = {
        column["Components"]: {"{}": 1},
        column["Queued"]: {"{}": 3},
        column["Warnings"]: {"{}": 0},
    }
    check(promtool, tmp_path, ALONE, expected)


@pytest.mark.parametrize(
    ("owner", "tag", "dags"),
    [
        (".*", ".*", {"orders", "clicks", "plain", "only_statsd"}),
        ("sales", ".*", {"orders", "only_statsd"}),
        ("(sales|web)", ".*", {"orders", "clicks", "only_statsd"}),
        (".*", "daily", {"orders", "clicks", "only_statsd"}),
        ("web", "critical", {"clicks", "only_statsd"}),
        ("sales", "critical", {"only_statsd"}),
    ],
)
def test_a_list_of_dags_is_narrowed_by_owner_and_tag(
    promtool: Path, tmp_path: Path, owner: str, tag: str, dags: set[str]
) -> None:
    expression = of_selected_dags("x").replace("$airflow", "a").replace("$owner", owner).replace("$tag", tag)
    check(promtool, tmp_path, DAGS, {expression: {f'x{{airflow="a", dag_id="{dag}"}}': 1 for dag in dags}})


def test_with_statsd_alone_every_dag_is_listed(promtool: Path, tmp_path: Path) -> None:
    expression = of_selected_dags("x").replace("$airflow", "a").replace("$owner", "sales").replace("$tag", ".*")
    check(promtool, tmp_path, {'x{airflow="a", dag_id="one"}': 1}, {expression: {'x{airflow="a", dag_id="one"}': 1}})
