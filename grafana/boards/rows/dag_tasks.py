"""The tasks of one DAG: which fail, which take long, and what they wait for."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import ANY_IS_NOTEWORTHY, PLAIN, RED, Query
from grafana.boards.kit.promql import DAG, increase, one, or_zero, quantile, rate, total
from grafana.boards.kit.states import ATTEMPTS, PERCENTILES, STATES, WAITS
from grafana.boards.kit.table import Column, Key, Table

TASK = {
    "task_id": Key(
        "Task",
        [
            link.board(
                "airflow-task", "Dashboard of the task", dag_id="${dag_id:percentencode}", task_id=link.cell("Task")
            ),
            link.failed_log("${dag_id:percentencode}", link.cell("Task")),
            link.airflow("Task in Airflow", "/dags/${dag_id:percentencode}/tasks/" + link.cell("Task")),
        ],
    )
}


def per_task(family: str, **labels: str) -> str:
    """The increase of a counter of each task in the selected time range."""
    return total(increase(family, **DAG, **labels), "task_id")


def draw_waiting_time(title: str, description: str) -> TimeSeries:
    """How long the attempts of the DAG waited on average."""
    waits = {"scheduled": "scheduled (slot or limit)", "queued": "queued (worker)"}
    means = [
        Query(
            f"{total(rate(f'airflow_dag_{wait}_seconds_total', **DAG))}"
            f" / ({total(rate(f'airflow_dag_{wait}_tries_total', **DAG))} > 0)",
            legend,
        )
        for wait, legend in waits.items()
    ]
    return TimeSeries(title, description, *means).unit("s").sparse().colors(WAITS).no_value("no attempt finished")


TRIES = total(rate("airflow_task_tries_total", **DAG))
TASKS = Row(
    "Tasks",
    [
        Table(
            "Tasks, selected time range",
            "Every task that ran. Attempts include retries; failed task instances have no attempt left. Run"
            " time is that of all attempts together. A click opens the task. Sources: API, StatsD.",
            TASK,
            [
                Column("Attempts", per_task("airflow_task_tries_total"), decimals=0, width=90),
                Column(
                    "Failed attempts",
                    per_task("airflow_task_tries_failed_total"),
                    decimals=0,
                    width=110,
                    thresholds=ANY_IS_NOTEWORTHY,
                ),
                Column(
                    "Failed",
                    per_task("airflow_task_instances_finished_total", state="failed"),
                    decimals=0,
                    width=130,
                    thresholds=((None, "text"), (1, RED)),
                ),
                Column(
                    "Mean duration",
                    f"{per_task('airflow_task_run_seconds_total')} / ({per_task('airflow_task_tries_total')} > 0)",
                    unit="s",
                    width=110,
                ),
                Column("Run time", per_task("airflow_task_run_seconds_total"), unit="s", width=110),
                Column(
                    "Share of run time",
                    f"{per_task('airflow_task_run_seconds_total')} / scalar("
                    f"{total(increase('airflow_task_run_seconds_total', **DAG))} > 0)",
                    unit="percentunit",
                    bar=True,
                    thresholds=PLAIN,
                    width=180,
                ),
            ],
        )
        .sort_by("Run time")
        .size(24, 7)
        .no_value("no task ran"),
        TimeSeries(
            "Tasks not run per hour",
            "Task instances that ended without an attempt: skipped, upstream failed, or removed from the"
            " DAG. Sources: API, StatsD.",
            Query(f"3600 * {total(rate('airflow_task_instances_not_run_total', **DAG), 'state')}", "{{state}}"),
        )
        .unit("short")
        .bars()
        .colors(STATES)
        .size(8)
        .no_value("all tasks ran"),
        TimeSeries(
            "Finished attempts per minute",
            "Attempts of this DAG's tasks that failed, and all others. Sources: API, StatsD.",
            Query(f"60 * {total(rate('airflow_task_tries_failed_total', **DAG))}", "failed"),
            Query(
                f"60 * ({TRIES} - ({or_zero(total(rate('airflow_task_tries_failed_total', **DAG)), TRIES)}))",
                "not failed",
            ),
        )
        .unit("short")
        .stacked()
        .colors(ATTEMPTS)
        .size(8)
        .no_value("no attempt finished"),
        TimeSeries(
            "Task instances by state",
            "Task instances of this DAG in each active state. Source: API.",
            Query(total(one("airflow_task_instances", **DAG), "state"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .colors(STATES)
        .size(8)
        .no_value("none active"),
        draw_waiting_time(
            "Waiting time of attempts",
            "Mean time that finished attempts were scheduled (waiting for a slot or limit) and queued"
            " (waiting for a worker). Sources: API, StatsD.",
        ),
        TimeSeries(
            "Task duration",
            "Duration of successful task instances of all tasks; p50 is the median. Source: API.",
            Query(quantile(0.5, "airflow_task_duration_seconds", **DAG), "p50"),
            Query(quantile(0.95, "airflow_task_duration_seconds", **DAG), "p95"),
        )
        .unit("s")
        .sparse()
        .colors(PERCENTILES)
        .no_value("no attempt succeeded"),
    ],
)
