"""Scheduler and DAG processor: liveness, performance, and the most expensive files and DAGs."""

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
from grafana.boards.kit.promql import (
    API_READ,
    STATSD_RECEIVED,
    age,
    busiest,
    one,
    or_zero,
    pick,
    quantile,
    statsd_per_minute,
    total,
)
from grafana.boards.kit.states import PERCENTILES, STATES
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON
from grafana.boards.rows.parsing import PARSING


def heartbeat(title: str, component: str) -> Panel:
    """The age of the newest heartbeat of a component."""
    return (
        Stat(
            title,
            "Age of the newest heartbeat. Airflow calls the component unhealthy after 30 seconds: check that"
            " it runs, and its log. Source: API.",
            age(pick("airflow_component:heartbeat:age_seconds", component=component)),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(30, 120))
        .no_value("no heartbeat")
    )


LIVENESS = Row(
    "Liveness",
    [
        heartbeat("Scheduler heartbeat", "scheduler"),
        heartbeat("DAG processor heartbeat", "dag_processor"),
        Stat(
            "Live schedulers",
            "Schedulers with a heartbeat in the last minute. At 0 nothing is scheduled. Source: API.",
            f"max({pick('airflow_component_instances', component='scheduler')})",
        )
        .unit("none")
        .thresholds(((None, RED), (1, GREEN)))
        .no_value("Airflow 3 only"),
        Stat(
            "Live DAG processors",
            "DAG processors with a heartbeat in the last minute. At 0 changes of DAG files are not seen. Source: API.",
            f"max({pick('airflow_component_instances', component='dag_processor')})",
        )
        .unit("none")
        .thresholds(((None, RED), (1, GREEN)))
        .no_value("Airflow 3 only"),
        Stat(
            "Import errors",
            "DAG files that Airflow cannot import. They are listed below. Sources: API, StatsD.",
            f"max({pick('airflow_import_errors')})",
        )
        .unit("none")
        .thresholds(ANY_IS_BAD),
        Stat(
            "DAG warnings",
            "Warnings about DAGs, for example tasks in a pool that does not exist. Source: API.",
            or_zero(f"sum({one('airflow_dag_warnings')})", API_READ),
        )
        .unit("none")
        .thresholds(((None, GREEN), (1, YELLOW)))
        .no_value(NO_API),
    ],
)
LOOPS = Row(
    "Scheduler performance",
    [
        TimeSeries(
            "Scheduler loop duration",
            "Duration of scheduler loops; p50 is the median. Each loop creates runs, sends tasks to"
            " executors and reads their results. If it takes seconds, scheduling is slow: see the most"
            " expensive DAGs below. Source: StatsD.",
            Query(pick("airflow:scheduler_loop_seconds:quantile5m", quantile="0.5"), "p50"),
            Query(pick("airflow:scheduler_loop_seconds:quantile5m", quantile="0.95"), "p95"),
            Query(pick("airflow:scheduler_loop_seconds:quantile5m", quantile="0.99"), "p99"),
        )
        .unit("s")
        .colors(PERCENTILES)
        .no_value(NO_STATSD),
        TimeSeries(
            "Critical section duration (p95)",
            "Time in the section in which only one scheduler at a time sends tasks to executors: total, and"
            " its database query alone. Source: StatsD.",
            Query(pick("airflow:critical_section_seconds:quantile5m", quantile="0.95"), "total"),
            Query(quantile(0.95, "airflow_scheduler_critical_section_query_duration_seconds"), "query"),
        )
        .unit("s")
        .sparse()
        .colors({"total": ORANGE, "query": BLUE})
        .no_value(NO_STATSD),
        TimeSeries(
            "Critical section contention",
            "Share of attempts to enter the critical section that found another scheduler in it. It is 0"
            " with one scheduler. If it is high, another scheduler does not help. Source: StatsD.",
            or_zero(f"max({pick('airflow:critical_section_busy:ratio_rate5m')})", STATSD_RECEIVED),
        )
        .unit("percentunit")
        .maximum(1)
        .hide_legend()
        .no_value(NO_STATSD),
        TimeSeries(
            "Tasks per loop",
            "Task instances that the newest loop sent to executors, and those that it held back because"
            " their pool was full (starving). Source: StatsD.",
            Query(total(one("airflow_scheduler_tasks"), "state"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .colors({"executable": GREEN, "starving": ORANGE})
        .no_value(NO_STATSD),
        TimeSeries(
            "First task delay (p95)",
            "Time until the first task of a run starts: after the run was due, and after it was queued"
            " (Airflow 3.2 and later). Source: StatsD.",
            Query(quantile(0.95, "airflow_dag_run_first_task_scheduling_delay_seconds"), "after due"),
            Query(quantile(0.95, "airflow_dag_run_first_task_start_delay_seconds"), "after queued"),
        )
        .unit("s")
        .sparse()
        .colors({"after due": ORANGE, "after queued": BLUE})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Dependency check duration",
            "How long schedulers take to find out which tasks of one run may start; p50 is the median. Source: StatsD.",
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
            "Queued and running DAG runs. Source: API.",
            Query(pick("airflow:dag_runs:sum"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .colors(STATES)
        .size(8)
        .no_value(NO_API),
        TimeSeries(
            "Most expensive DAGs for the scheduler",
            "Seconds per minute that schedulers spend on dependency checks, for the ten most expensive DAGs."
            " Fewer tasks and fewer active runs make a DAG cheaper. Source: StatsD.",
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
    "Lost tasks and jobs",
    [
        TimeSeries(
            "Lost task instances per minute",
            "Without heartbeat: the worker died, and Airflow failed the task. Killed externally: the"
            " executor reports the end, the task does not. Orphaned: the scheduler died, another one took"
            " the task over. Source: StatsD.",
            Query(statsd_per_minute("airflow_task_instances_without_heartbeat_killed_total"), "without heartbeat"),
            Query(statsd_per_minute("airflow_scheduler_tasks_killed_externally_total"), "killed externally"),
            Query(statsd_per_minute("airflow_scheduler_orphaned_tasks_total"), "orphaned"),
        )
        .unit("short")
        .colors({"without heartbeat": RED, "killed externally": ORANGE, "orphaned": YELLOW})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Jobs started and ended per minute",
            "Airflow jobs (schedulers, triggerers, DAG processors; on Airflow 2 also tasks) that started and"
            " ended, and schedulers that shut down cleanly. Source: StatsD.",
            Query(statsd_per_minute("airflow_jobs_started_total"), "started"),
            Query(statsd_per_minute("airflow_jobs_ended_total"), "ended"),
            Query(statsd_per_minute("airflow_scheduler_ends_total"), "schedulers shut down"),
        )
        .unit("short")
        .colors({"started": GREEN, "ended": BLUE, "schedulers shut down": ORANGE})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Failed callbacks and heartbeats per minute",
            "DAG callbacks that raised an exception, and job heartbeats that could not be written to the"
            " database. Source: StatsD.",
            Query(statsd_per_minute("airflow_dag_callback_exceptions_total"), "callbacks"),
            Query(statsd_per_minute("airflow_job_heartbeat_failures_total"), "heartbeats"),
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
    "Liveness and performance of scheduler and DAG processor, and the most expensive files and DAGs.",
    (*COMMON, AIRFLOW_URL),
    [LIVENESS, LOOPS, LOST, PARSING],
    CHANGES,
)
