"""Failed tries by class: what fails, where to look, and whether retries help."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.link import Link, cell
from grafana.boards.kit.panel import NO_API, RED, Query, rising
from grafana.boards.kit.promql import API_READ, increase, of_selected_dags, one, or_zero, pick, rate, total
from grafana.boards.kit.table import Column, Key, Table

CLASS = Key("Class", [Link("What it means", "${runbooks}/ErrorClasses.md#" + cell("Class"), new_tab=True)], 130)
DAG = Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])
DIAGNOSIS = link.board("airflow-diagnosis", "Diagnosis")
NOTHING_FAILS = "no try failed"


def of_class(expression: str) -> str:
    """Series by class, with the settings to look at."""
    info = f"topk by(error_class) (1, max by(error_class, setting) ({one('airflow_task_error_class_info')}))"
    return f"sum by(error_class) ({expression}) * on(error_class) group_left(setting) {info}"


FAILED = (
    Stat(
        "Failed tries, 15 min",
        "Tries that failed in the last 15 minutes, retried ones too. Source: API.",
        or_zero(f"sum({pick('airflow:task_tries_failed_by_class:increase15m')})", API_READ),
    )
    .unit("none")
    .decimals(0)
    .thresholds(rising(1, 20))
    .links(DIAGNOSIS)
    .no_value(NO_API)
)


def failures_table(title: str, width: int, height: int) -> Table:
    """Failed tries by class, and what to look at."""
    recent = of_class(f"{pick('airflow:task_tries_failed_by_class:increase1h')} > 0.5")
    return (
        Table(
            title,
            "Failed tries of the last hour by what made them fail, what is usual in an hour, and where to look. A"
            " click on a class opens its runbook. Source: API.",
            {"error_class": CLASS, "setting": Key("Look at", wrap=True)},
            [
                Column("Failed, 1h", recent, decimals=0, thresholds=((None, RED),), width=90),
                Column(
                    "Usual",
                    of_class(f"4 * {pick('airflow:task_tries_failed_by_class:mean1w')}")
                    + f" and on(error_class) {pick('airflow:task_tries_failed_by_class:increase1h')} > 0.5",
                    decimals=1,
                    width=80,
                ),
            ],
        )
        .size(width, height)
        .no_value(NOTHING_FAILS)
    )


FAILED_BY_DAG = (
    "sum by(dag_id, error_class) (max without(instance, pod) "
    f"(increase({pick('airflow_task_tries_failed_by_class_total')}[1h])))"
)
FAILING = total(rate("airflow_task_tries_failed_by_class_total"), "error_class")
SUCCEEDING = total(rate("airflow_task_tries_succeeded_total"), "try_number")
FAILURES_ROW = Row(
    "What fails, and why?",
    [
        failures_table("Failures by class", 9, 8),
        TimeSeries(
            "Failed tries per hour, by class",
            "Failed tries, retried ones too, by what made them fail: a class that rises in several DAGs has a shared"
            " cause. Source: API.",
            Query(f"3600 * {FAILING}", "{{error_class}}"),
        )
        .unit("short")
        .stacked()
        .size(8, 8)
        .no_value(NOTHING_FAILS),
        Table(
            "DAGs that fail most",
            "DAGs with the most failed tries in the last hour, by class. Source: API.",
            {"dag_id": DAG, "error_class": CLASS},
            [
                Column(
                    "Failed",
                    f"topk(10, {of_selected_dags(FAILED_BY_DAG)} > 0.5)",
                    decimals=0,
                    thresholds=((None, RED),),
                    width=80,
                )
            ],
        )
        .size(7, 8)
        .no_value(NOTHING_FAILS),
    ],
)
RECOVERED = total(increase("airflow_task_tries_recovered_by_class_total"), "error_class")
RETRIED = total(increase("airflow_task_tries_retried_by_class_total"), "error_class")
SUCCEEDED = f"({or_zero(RECOVERED, RETRIED)}) / ({RETRIED} > 0.5)"
RETRIES_ROW = Row(
    "Do retries help?",
    [
        Table(
            "Retries by class",
            "Retries over the selected time range by what made the try before fail, how many of them succeeded, and how"
            " long they waited. Where hardly any succeeds, fewer retries only lose less time. Source: API.",
            {"error_class": Key("Class", CLASS.links)},
            [
                Column("Retries", f"{RETRIED} > 0.5", decimals=0, width=90),
                Column(
                    "Succeeded",
                    SUCCEEDED,
                    "percentunit",
                    decimals=0,
                    width=100,
                ),
                Column(
                    "Waited",
                    f"{total(increase('airflow_task_retry_delay_seconds_total'), 'error_class')}"
                    f" and on(error_class) {RETRIED} > 0.5",
                    "s",
                    decimals=0,
                    width=100,
                ),
            ],
        )
        .size(12, 7)
        .no_value("no try was retried"),
        TimeSeries(
            "Successful tries per hour, by number",
            "1 is a success without a retry; a rising share of the others means that retries hide failures. Source:"
            " API.",
            Query(f"3600 * {SUCCEEDING}", "try {{try_number}}"),
        )
        .unit("short")
        .stacked()
        .size(12, 7)
        .no_value("no try succeeded"),
    ],
)
