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
            link.board("airflow-task", "The task", dag_id="${dag_id:percentencode}", task_id=link.cell("Task")),
            link.airflow("The task in Airflow", "/dags/${dag_id:percentencode}/tasks/" + link.cell("Task")),
        ],
    )
}


def per_task(family: str, **labels: str) -> str:
    """What a counter of tasks gained in the time shown."""
    return total(increase(family, **DAG, **labels), "task_id")


TRIES = total(rate("airflow_task_tries_total", **DAG))
TASKS = Row(
    "Tasks",
    [
        Table(
            "Tasks in the time shown",
            "Every task that ran. Tries count retries; failed for good are outcomes. Time is what all tries took"
            " together.",
            TASK,
            [
                Column("Tries", per_task("airflow_task_tries_total"), decimals=0, width=90),
                Column(
                    "Tries failed",
                    per_task("airflow_task_tries_failed_total"),
                    decimals=0,
                    width=110,
                    thresholds=ANY_IS_NOTEWORTHY,
                ),
                Column(
                    "Failed for good",
                    per_task("airflow_task_instances_finished_total", state="failed"),
                    decimals=0,
                    width=130,
                    thresholds=((None, "text"), (1, RED)),
                ),
                Column(
                    "Mean time",
                    f"{per_task('airflow_task_run_seconds_total')} / ({per_task('airflow_task_tries_total')} > 0)",
                    unit="s",
                    width=110,
                ),
                Column("Time", per_task("airflow_task_run_seconds_total"), unit="s", width=110),
                Column(
                    "Share of time",
                    f"{per_task('airflow_task_run_seconds_total')} / scalar("
                    f"{total(increase('airflow_task_run_seconds_total', **DAG))} > 0)",
                    unit="percentunit",
                    bar=True,
                    thresholds=PLAIN,
                    width=180,
                ),
            ],
        )
        .sort_by("Time")
        .size(24, 7)
        .no_value("no task ran"),
        TimeSeries(
            "Tasks that did not run, an hour",
            "Task instances that ended without a try, by state: skipped, failed upstream, or removed from the DAG.",
            Query(f"3600 * {total(rate('airflow_task_instances_not_run_total', **DAG), 'state')}", "{{state}}"),
        )
        .unit("short")
        .bars()
        .colors(STATES)
        .size(8)
        .no_value("all tasks ran"),
        TimeSeries(
            "Tries that end, a minute",
            "How many tries of this DAG's tasks end: those that fail, and all others.",
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
        .no_value("no try ended"),
        TimeSeries(
            "Task instances by state",
            "Task instances of this DAG in each active state.",
            Query(total(one("airflow_task_instances", **DAG), "state"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .colors(STATES)
        .size(8)
        .no_value("none is active"),
        TimeSeries(
            "How long tries wait",
            "Mean wait of the tries that end: for a slot or a limit (scheduled), then for a worker (queued).",
            Query(
                f"{total(rate('airflow_dag_scheduled_seconds_total', **DAG))}"
                f" / ({total(rate('airflow_dag_scheduled_tries_total', **DAG))} > 0)",
                "for slot or limit",
            ),
            Query(
                f"{total(rate('airflow_dag_queued_seconds_total', **DAG))}"
                f" / ({total(rate('airflow_dag_queued_tries_total', **DAG))} > 0)",
                "for worker",
            ),
        )
        .unit("s")
        .sparse()
        .colors(WAITS)
        .no_value("no try ended"),
        TimeSeries(
            "How long tries take",
            "Of tries that succeeded, all tasks together: p50 is the median.",
            Query(quantile(0.5, "airflow_task_duration_seconds", **DAG), "p50"),
            Query(quantile(0.95, "airflow_task_duration_seconds", **DAG), "p95"),
        )
        .unit("s")
        .sparse()
        .colors(PERCENTILES)
        .no_value("no try succeeded"),
    ],
)
