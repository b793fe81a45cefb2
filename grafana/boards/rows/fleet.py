"""The fleet view: every Airflow that this Prometheus knows, one row each."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.panel import ANY_IS_BAD, GREEN, ORANGE, RED, YELLOW, Thresholds, rising
from grafana.boards.kit.promql import age, or_zero, pick_fleet, total
from grafana.boards.kit.table import Column, Key, Table

MINUTE = 60
UP: Thresholds = ((None, RED), (1, GREEN))
SLOW: Thresholds = ((None, "text"), (5 * MINUTE, YELLOW), (30 * MINUTE, RED))
KNOWN = f"max by(airflow) ({pick_fleet('airflow_exporter_build_info')})"
"""One series for each Airflow with an exporter that is up."""


def worst(recorded: str, **labels: str) -> str:
    """The largest value of each Airflow."""
    return f"max by(airflow) ({pick_fleet(recorded, **labels)})"


OLDEST = (
    f"max by(airflow) ({pick_fleet('airflow_reader:data_age_seconds:min')} unless on(airflow, source, reader)"
    f" {pick_fleet('airflow_reader:interval_seconds:max')} > 900)"
)
"""Readers that read once an hour are never behind by minutes."""


def count_alerts(heading: str, severity: str, color: str) -> Column:
    """How many alerts of this severity fire for each Airflow."""
    firing = f"count by(airflow) ({pick_fleet('ALERTS', alertstate='firing', severity=severity)})"
    return Column(heading, or_zero(firing, KNOWN), thresholds=((None, GREEN), (1, color)), width=115, decimals=0)


HEALTH = [
    Column(
        "Components",
        f"min by(airflow) ({pick_fleet('airflow_component:healthy:max')})",
        thresholds=UP,
        mappings={"1": ("healthy", GREEN), "0": ("unhealthy", RED)},
        width=105,
    ),
    Column(
        "API",
        worst("airflow_source:up:max", source="airflow"),
        thresholds=UP,
        mappings={"1": ("up", GREEN), "0": ("down", RED)},
        width=65,
    ),
    Column("Data age", age(OLDEST), "s", rising(900, 1800), 90, 0),
    count_alerts("Critical alerts", "critical", RED),
    count_alerts("Warnings", "warning", ORANGE),
]
FAILURES = [
    Column(
        "Failed runs, 1h",
        total(pick_fleet("airflow:dag_runs_finished:increase1h", state="failed"), "airflow"),
        thresholds=ANY_IS_BAD,
        width=120,
        decimals=0,
    ),
    Column("Failed tasks, 1h", worst("airflow:task_failure:ratio1h"), "percentunit", rising(0.01, 0.1), 125, 1),
]
QUEUE = [
    Column("Queued", total(pick_fleet("airflow:task_instances:sum", state="queued"), "airflow"), width=80, decimals=0),
    Column(
        "Longest wait",
        age(worst("airflow_dag:task_instance_oldest_state_entry:age_seconds", state="~scheduled|queued")),
        "s",
        SLOW,
        110,
        0,
    ),
    Column("Free slots", worst("airflow:parallelism_headroom:sum"), thresholds=UP, width=90, decimals=0),
    Column("Parallelism used", worst("airflow:parallelism_used:ratio"), "percentunit", rising(0.8, 1), 150, bar=True),
    Column("Fullest pool", worst("airflow_pool:occupied_slots:ratio"), "percentunit", rising(0.8, 1), 150, bar=True),
]
FLEET_ROW = Row(
    "All Airflows",
    [
        Table(
            "Fleet",
            "Every Airflow selected in the variable Airflows, most critical alerts first: health, data age, alerts,"
            " failures, queue and headroom. A click on a name shows that Airflow below. Sources: API, StatsD, host.",
            {"airflow": Key("Airflow", [link.AIRFLOW_OF_ROW])},
            [*HEALTH, *FAILURES, *QUEUE],
        )
        .sort_by("Critical alerts")
        .size(24, 5)
        .no_value("no exporter"),
    ],
)
