"""The DAGs side by side, and how much work is done."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, GREEN, ORANGE, PURPLE, RED, YELLOW, Query, Thresholds, rising
from grafana.boards.kit.promql import largest, pick
from grafana.boards.kit.states import PERCENTILES, STATES
from grafana.boards.kit.table import Column, Key, Table

DAG = {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])}
RUN_TIME = pick("airflow_dag:task_run_seconds:increase1h")
BUSIEST = f"topk(20, {RUN_TIME} > 0)"
RECORDS = pick("airflow_dag:records_processed:rate5m")
SOME: Thresholds = ((None, "text"), (0.01, YELLOW), (0.1, RED))
SLOWER: Thresholds = ((None, "text"), (1.5, YELLOW), (2, RED))
FINE_GRAINED: Thresholds = ((None, "text"), (1, ORANGE))


def of_busiest(recorded: str, **labels: str) -> str:
    """A recorded value of those DAGs whose tasks ran longest in the last hour."""
    return f"max by(dag_id) ({pick(recorded, **labels)}) and on(dag_id) {BUSIEST}"


def share(heading: str, recorded: str, steps: Thresholds = SOME, width: int = 105) -> Column:
    """A recorded share, in percent."""
    return Column(heading, of_busiest(recorded), "percentunit", thresholds=steps, width=width, decimals=1)


def seconds(heading: str, recorded: str, **labels: str) -> Column:
    """A recorded time."""
    return Column(heading, of_busiest(recorded, **labels), "s", width=125, decimals=1)


COMPARED = Row(
    "DAGs side by side",
    [
        Table(
            "DAGs of the last hour",
            "The twenty DAGs whose tasks ran longest in the last hour. Runs failed: of the last day. Wait for each"
            " second of work: above 1 the tasks wait longer than they run. Runs beside last week: mean duration of"
            " the last day; 2 is twice as long, and it takes ten runs in the week before.",
            DAG,
            [
                Column("Run time", f"max by(dag_id) ({BUSIEST})", "s", width=100, decimals=0),
                share("Runs failed", "airflow_dag:dag_run_failure:ratio1d"),
                share("Tasks failed", "airflow_dag:task_failure:ratio1h"),
                share("Tries failed", "airflow_dag:task_try_failure:ratio1h", rising(0.05, 0.25)),
                share("Time wasted", "airflow_dag:task_wasted_seconds:ratio1h", rising(0.05, 0.25)),
                seconds("p95 duration", "airflow_dag:task_duration_seconds:quantile1h", quantile="0.95"),
                seconds("Wait for a slot", "airflow_dag:task_scheduled_seconds:mean1h"),
                seconds("Wait for a worker", "airflow_dag:task_queued_seconds:mean1h"),
                Column(
                    "Wait for each second of work",
                    of_busiest("airflow_dag:task_wait_over_run:ratio1h"),
                    thresholds=FINE_GRAINED,
                    width=195,
                    decimals=2,
                ),
                Column(
                    "Runs beside last week",
                    of_busiest("airflow_dag:dag_run_duration:ratio1d_1w"),
                    thresholds=SLOWER,
                    width=155,
                    decimals=2,
                ),
            ],
        )
        .size(24, 8)
        .no_value("nothing ran"),
    ],
)
DONE = Row(
    "How much is done?",
    [
        TimeSeries(
            "Shares that fail, in the hour before",
            "Failed runs, tasks that failed for good, failed tries and tries that were retried, of all of the hour"
            " before; failed runs of the day before too.",
            Query(f"max({pick('airflow:dag_run_failure:ratio1h', run_type='scheduled')})", "scheduled runs"),
            Query(f"max({pick('airflow:dag_run_failure:ratio1d', run_type='scheduled')})", "the same, of a day"),
            Query(pick("airflow:task_failure:ratio1h"), "tasks"),
            Query(pick("airflow:task_try_failure:ratio1h"), "tries"),
            Query(pick("airflow:task_retry:ratio1h"), "tries retried"),
        )
        .unit("percentunit")
        .colors(
            {
                "scheduled runs": RED,
                "the same, of a day": "dark-red",
                "tasks": ORANGE,
                "tries": YELLOW,
                "tries retried": PURPLE,
            }
        )
        .no_value("nothing ran"),
        TimeSeries(
            "Records processed, a minute",
            "What tasks count as records_processed (StatsD): all of them, and the eight DAGs with the most.",
            Query(f"60 * {pick('airflow:records_processed:rate5m')}", "all"),
            Query(f"60 * ({largest(8, RECORDS, 'dag_id')})", "{{dag_id}}"),
        )
        .unit("short")
        .colors({"all": BLUE})
        .no_value("no task counts them, or needs StatsD"),
        TimeSeries(
            "Tasks that end, a minute",
            "Task instances that end for good, by the state they end in. Clearing and marking by hand make new ones.",
            Query(f"60 * {pick('airflow:task_outcomes:rate5m')}", "{{state}}"),
        )
        .unit("short")
        .stacked()
        .colors(STATES)
        .size(8)
        .no_value("nothing ran"),
        TimeSeries(
            "Tasks at work",
            "How many tasks ran at once, on average: run time of the tries that ended, a second.",
            Query(pick("airflow:task_run_seconds:rate5m"), "tasks"),
        )
        .unit("short")
        .hide_legend()
        .colors({"tasks": GREEN})
        .size(8)
        .no_value("nothing ran"),
        TimeSeries(
            "How long tasks take, in the hour before",
            "Of tasks that succeeded: p50 is the median.",
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
