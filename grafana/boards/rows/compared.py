"""The DAGs compared, and throughput."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, GREEN, ORANGE, PURPLE, RED, YELLOW, Query, Thresholds, rising
from grafana.boards.kit.promql import largest, of_selected_dags, pick
from grafana.boards.kit.states import PERCENTILES, STATES
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.rows.costs import EXPENSIVE

DAG = {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])}
RUN_TIME = pick("airflow_dag:task_run_seconds:increase1h")
BUSIEST = f"topk(20, {of_selected_dags(RUN_TIME)} > 0)"
RECORDS = pick("airflow_dag:records_processed:rate5m")
SOME: Thresholds = ((None, "text"), (0.01, YELLOW), (0.1, RED))
SLOWER: Thresholds = ((None, "text"), (1.5, YELLOW), (2, RED))
FINE_GRAINED: Thresholds = ((None, "text"), (1, ORANGE))


def of_busiest(recorded: str, **labels: str) -> str:
    """A recorded value of the DAGs with the most run time in the last hour."""
    return f"max by(dag_id) ({pick(recorded, **labels)}) and on(dag_id) {BUSIEST}"


def share(heading: str, recorded: str, steps: Thresholds = SOME, width: int = 105) -> Column:
    """A recorded share, in percent."""
    return Column(heading, of_busiest(recorded), "percentunit", thresholds=steps, width=width, decimals=1)


def seconds(heading: str, recorded: str, **labels: str) -> Column:
    """A recorded duration."""
    return Column(heading, of_busiest(recorded, **labels), "s", width=125, decimals=1)


COMPARED = Row(
    "DAGs compared",
    [
        Table(
            "DAGs, last hour",
            "The twenty DAGs with the most run time in the last hour. Failed runs: of the last day. Wait /"
            " run time: above 1, tasks wait longer than they run. Duration vs last week: mean of the last"
            " day; 2 is twice as long (needs ten runs in the week before). Sources: API, StatsD.",
            DAG,
            [
                Column("Run time", f"max by(dag_id) ({BUSIEST})", "s", width=100, decimals=0),
                share("Failed runs", "airflow_dag:dag_run_failure:ratio1d"),
                share("Failed tasks", "airflow_dag:task_failure:ratio1h"),
                share("Failed attempts", "airflow_dag:task_try_failure:ratio1h", rising(0.05, 0.25)),
                share("Wasted time", "airflow_dag:task_wasted_seconds:ratio1h", rising(0.05, 0.25)),
                seconds("Task duration, p95", "airflow_dag:task_duration_seconds:quantile1h", quantile="0.95"),
                seconds("Mean scheduled", "airflow_dag:task_scheduled_seconds:mean1h"),
                seconds("Mean queued", "airflow_dag:task_queued_seconds:mean1h"),
                Column(
                    "Wait / run time",
                    of_busiest("airflow_dag:task_wait_over_run:ratio1h"),
                    thresholds=FINE_GRAINED,
                    width=195,
                    decimals=2,
                ),
                Column(
                    "Duration vs last week",
                    of_busiest("airflow_dag:dag_run_duration:ratio1d_1w"),
                    thresholds=SLOWER,
                    width=155,
                    decimals=2,
                ),
            ],
        )
        .size(24, 8)
        .no_value("nothing ran"),
        EXPENSIVE,
    ],
)
THROUGHPUT = Row(
    "Throughput",
    [
        TimeSeries(
            "Failure rates, trailing hour",
            "Failed scheduled runs, failed task instances, failed attempts and retried attempts, as a share"
            " of all in the hour before each point; for runs also of the day before. Sources: API, StatsD.",
            Query(f"max({pick('airflow:dag_run_failure:ratio1h', run_type='scheduled')})", "scheduled runs"),
            Query(
                f"max({pick('airflow:dag_run_failure:ratio1d', run_type='scheduled')})", "scheduled runs, trailing day"
            ),
            Query(pick("airflow:task_failure:ratio1h"), "tasks"),
            Query(pick("airflow:task_try_failure:ratio1h"), "attempts"),
            Query(pick("airflow:task_retry:ratio1h"), "retried attempts"),
        )
        .unit("percentunit")
        .colors(
            {
                "scheduled runs": RED,
                "scheduled runs, trailing day": "dark-red",
                "tasks": ORANGE,
                "attempts": YELLOW,
                "retried attempts": PURPLE,
            }
        )
        .no_value("nothing ran"),
        TimeSeries(
            "Records processed per minute",
            "What tasks count as records_processed in their own code: total, and the eight DAGs with the"
            " most. Source: StatsD.",
            Query(f"60 * {pick('airflow:records_processed:rate5m')}", "total"),
            Query(f"60 * ({largest(8, RECORDS, 'dag_id')})", "{{dag_id}}"),
        )
        .unit("short")
        .colors({"total": BLUE})
        .no_value("not counted by any task, or needs StatsD"),
        TimeSeries(
            "Finished task instances per minute",
            "Task instances by final state. Clearing a task and marking it by hand count again. Sources: API, StatsD.",
            Query(f"60 * {pick('airflow:task_outcomes:rate5m')}", "{{state}}"),
        )
        .unit("short")
        .stacked()
        .colors(STATES)
        .size(8)
        .no_value("nothing ran"),
        TimeSeries(
            "Average running tasks",
            "Average number of tasks that ran at once: run time of finished attempts per second. Sources: API, StatsD.",
            Query(pick("airflow:task_run_seconds:rate5m"), "tasks"),
        )
        .unit("short")
        .hide_legend()
        .colors({"tasks": GREEN})
        .size(8)
        .no_value("nothing ran"),
        TimeSeries(
            "Task duration, trailing hour",
            "Duration of successful task instances in the hour before each point; p50 is the median. Source: API.",
            Query(pick("airflow:task_duration_seconds:quantile1h", quantile="0.5"), "p50"),
            Query(pick("airflow:task_duration_seconds:quantile1h", quantile="0.95"), "p95"),
            Query(pick("airflow:task_duration_seconds:quantile1h", quantile="0.99"), "p99"),
        )
        .unit("s")
        .colors(PERCENTILES)
        .size(8)
        .no_value("nothing ran"),
    ],
)
