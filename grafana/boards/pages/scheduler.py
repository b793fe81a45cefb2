"""Scheduler and DAG processor: do they live, do they keep up, and which files and DAGs cost them most."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import (
    ANY_IS_BAD,
    BLUE,
    GREEN,
    NO_API,
    NO_STATSD,
    ORANGE,
    RED,
    YELLOW,
    Panel,
    Query,
    rising,
)
from grafana.boards.kit.promql import API_READ, STATSD_HEARD, age, busiest, heard, one, or_zero, pick, quantile, total
from grafana.boards.kit.states import PERCENTILES, STATES
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON
from grafana.boards.rows.parsing import PARSING


def heartbeat(title: str, component: str) -> Panel:
    """How old the newest heartbeat of a component is."""
    return (
        Stat(
            title,
            "How old its newest heartbeat is. After 30 seconds Airflow calls it unhealthy.",
            age(pick("airflow_component:heartbeat:age_seconds", component=component)),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(30, 120))
        .no_value("says nothing")
    )


ALIVE = Row(
    "Do they live?",
    [
        heartbeat("Scheduler's heartbeat", "scheduler"),
        heartbeat("DAG processor's heartbeat", "dag_processor"),
        Stat(
            "Live schedulers",
            "Schedulers that have a heartbeat of the last minute.",
            f"max({pick('airflow_component_instances', component='scheduler')})",
        )
        .unit("none")
        .thresholds(((None, RED), (1, GREEN)))
        .no_value("Airflow 3 only"),
        Stat(
            "Live DAG processors",
            "DAG processors that have a heartbeat of the last minute.",
            f"max({pick('airflow_component_instances', component='dag_processor')})",
        )
        .unit("none")
        .thresholds(((None, RED), (1, GREEN)))
        .no_value("Airflow 3 only"),
        Stat(
            "Broken DAG files",
            "DAG files that Airflow cannot import.",
            f"max({pick('airflow_import_errors')})",
        )
        .unit("none")
        .thresholds(ANY_IS_BAD),
        Stat(
            "DAG warnings",
            "Warnings about DAGs, such as tasks whose pool does not exist.",
            or_zero(f"sum({one('airflow_dag_warnings')})", API_READ),
        )
        .unit("none")
        .thresholds(((None, GREEN), (1, YELLOW)))
        .no_value(NO_API),
    ],
)
LOOPS = Row(
    "Does the scheduler keep up?",
    [
        TimeSeries(
            "A loop of the scheduler",
            "How long loops take (StatsD): each creates runs, hands tasks to executors and listens to them."
            " Seconds are slow.",
            Query(pick("airflow:scheduler_loop_seconds:quantile5m", quantile="0.5"), "p50"),
            Query(pick("airflow:scheduler_loop_seconds:quantile5m", quantile="0.95"), "p95"),
            Query(pick("airflow:scheduler_loop_seconds:quantile5m", quantile="0.99"), "p99"),
        )
        .unit("s")
        .colors(PERCENTILES)
        .no_value(NO_STATSD),
        TimeSeries(
            "The critical section",
            "Only one scheduler at a time may hand tasks to executors (StatsD): how long 95 of 100 stay, and its"
            " query alone.",
            Query(pick("airflow:critical_section_seconds:quantile5m", quantile="0.95"), "total"),
            Query(quantile(0.95, "airflow_scheduler_critical_section_query_duration_seconds"), "its query"),
        )
        .unit("s")
        .sparse()
        .colors({"total": ORANGE, "its query": BLUE})
        .no_value(NO_STATSD),
        TimeSeries(
            "Critical section found taken",
            "The share of attempts to enter it that found another scheduler there (StatsD). With one scheduler it"
            " is 0.",
            or_zero(f"max({pick('airflow:critical_section_busy:ratio_rate5m')})", STATSD_HEARD),
        )
        .unit("percentunit")
        .maximum(1)
        .hide_legend()
        .no_value(NO_STATSD),
        TimeSeries(
            "What a loop hands out",
            "Task instances that the newest loop handed to executors, and those that it left for want of a pool"
            " slot (StatsD).",
            Query(total(one("airflow_scheduler_tasks"), "state"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .colors({"executable": GREEN, "starving": ORANGE})
        .no_value(NO_STATSD),
        TimeSeries(
            "First tasks, after their run was due",
            "95 of 100 runs start their first task no later than this after they were due, and after they were queued"
            " (StatsD; the second from Airflow 3.2 on).",
            Query(quantile(0.95, "airflow_dag_run_first_task_scheduling_delay_seconds"), "after it was due"),
            Query(quantile(0.95, "airflow_dag_run_first_task_start_delay_seconds"), "after it was queued"),
        )
        .unit("s")
        .sparse()
        .colors({"after it was due": ORANGE, "after it was queued": BLUE})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Checking the dependencies of a run",
            "How long schedulers take to check which tasks of one run may start (StatsD): half of the runs take no"
            " longer than the median.",
            Query(quantile(0.5, "airflow_scheduler_dependency_check_duration_seconds"), "p50"),
            Query(quantile(0.95, "airflow_scheduler_dependency_check_duration_seconds"), "p95"),
        )
        .unit("s")
        .sparse()
        .colors(PERCENTILES)
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Runs by state",
            "DAG runs that are queued or running.",
            Query(pick("airflow:dag_runs:sum"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .colors(STATES)
        .size(8)
        .no_value(NO_API),
        TimeSeries(
            "DAGs that cost the scheduler most",
            "Seconds a minute that schedulers spend on checking the dependencies of a DAG's tasks (StatsD); the"
            " ten costliest.",
            Query(
                busiest(10, "airflow_dag_dependency_check_seconds_total", "dag_id"),
                "{{dag_id}}",
            ),
        )
        .unit("s")
        .stacked()
        .links(link.DAG)
        .size(24)
        .no_value(NO_STATSD),
    ],
)
LOST = Row(
    "What it had to clear up",
    [
        TimeSeries(
            "Task instances lost, a minute",
            "Without heartbeat: their worker died, they were failed. Killed from outside: the executor says that"
            " they ended,"
            " they themselves did not. Orphaned: their scheduler died (StatsD).",
            Query(heard("airflow_task_instances_without_heartbeat_killed_total"), "without heartbeat"),
            Query(heard("airflow_scheduler_tasks_killed_externally_total"), "killed from outside"),
            Query(heard("airflow_scheduler_orphaned_tasks_total"), "orphaned"),
        )
        .unit("short")
        .colors({"without heartbeat": RED, "killed from outside": ORANGE, "orphaned": YELLOW})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Jobs that start and end, a minute",
            "Jobs of Airflow (schedulers, triggerers, DAG processors; on Airflow 2 also tasks) that start and end, and"
            " schedulers that end in good order (StatsD).",
            Query(heard("airflow_jobs_started_total"), "started"),
            Query(heard("airflow_jobs_ended_total"), "ended"),
            Query(heard("airflow_scheduler_ends_total"), "schedulers ended"),
        )
        .unit("short")
        .colors({"started": GREEN, "ended": BLUE, "schedulers ended": ORANGE})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Callbacks and heartbeats that failed, a minute",
            "Callbacks of DAGs that raised an error, and heartbeats of Airflow's jobs that could not be written"
            " (StatsD).",
            Query(heard("airflow_dag_callback_exceptions_total"), "callbacks"),
            Query(heard("airflow_job_heartbeat_failures_total"), "heartbeats"),
        )
        .unit("short")
        .colors({"callbacks": ORANGE, "heartbeats": RED})
        .size(8)
        .no_value(NO_STATSD),
    ],
)
DASHBOARD = Dashboard(
    "airflow-scheduler",
    "Airflow / Scheduler and DAG processor",
    "Do scheduler and DAG processor live, do they keep up, and which files and DAGs cost them most?",
    (*COMMON, AIRFLOW_URL),
    [ALIVE, LOOPS, LOST, PARSING],
    CHANGES,
)
