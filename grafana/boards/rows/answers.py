"""The first screen of the overview: four questions, each answered by a row of tiles."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat
from grafana.boards.kit.panel import (
    ANY_IS_BAD,
    ANY_IS_NOTEWORTHY,
    GREEN,
    NO_API,
    NO_HOST,
    RED,
    YELLOW,
    Query,
    rising,
)
from grafana.boards.kit.promql import API_READ, age, or_zero, pick

MINUTE, HOUR = 60, 3600
NOTHING_RAN = "nothing ran"
UP = ((None, RED), (1, GREEN))
WAITING = "airflow_dag:task_instance_oldest_state_entry:age_seconds"
LATE_BY = "scalar(airflow:threshold:dag_not_created_seconds)"
NOT_STARTED = (
    f"({pick('airflow_dag:dag_next_run:overdue_seconds')} > {LATE_BY})"
    f" unless on(dag_id) (max by(dag_id) ({pick('airflow_dag_paused')}) == 1)"
    f" unless on(dag_id) ({pick('airflow_dag:active_runs:ratio')} >= 1)"
)
FAILED_RUNS = pick("airflow:dag_runs_finished:increase1h", state="failed")
ENDED_RUNS = pick("airflow:dag_runs_finished:increase1h")


def count(expression: str) -> str:
    """The number of series, and 0 for none while the exporter reads Airflow."""
    return or_zero(f"count({expression})", API_READ)


HEALTHY = Row(
    "Is it healthy?",
    [
        Stat(
            "Components",
            "Health of Airflow's components, as Airflow reports it. Without the metadata database nothing"
            " works. Source: API.",
            Query(pick("airflow_component:healthy:max"), "{{component}}"),
        )
        .unit("none")
        .thresholds(UP)
        .value_mappings({"1": ("healthy", GREEN), "0": ("unhealthy", RED)})
        .filled_with_name()
        .links(link.board("airflow-scheduler", "Scheduler and DAG processor"))
        .size(12)
        .no_value(NO_API),
        Stat(
            "Airflow API",
            "Whether the exporter can read Airflow's API. While it cannot, the panels below are old or"
            " empty: see the dashboard of the exporter. Source: exporter.",
            API_READ,
        )
        .unit("none")
        .thresholds(UP)
        .value_mappings({"1": ("up", GREEN), "0": ("down", RED)})
        .links(link.board("airflow-exporter", "The exporter"))
        .no_value("not read"),
        Stat(
            "Import errors",
            "DAG files that Airflow cannot import: their DAGs are missing, or run in an old version."
            " Sources: API, StatsD.",
            f"max({pick('airflow_import_errors')})",
        )
        .unit("none")
        .thresholds(ANY_IS_BAD)
        .links(link.board("airflow-scheduler", "Scheduler and DAG processor")),
        Stat(
            "Alerts",
            "Critical alerts and warnings that fire for this Airflow. They are listed below. Source: Prometheus.",
            or_zero(f"count({pick('ALERTS', alertstate='firing', severity='~critical|warning')})", "vector(1)"),
        )
        .unit("none")
        .thresholds(ANY_IS_BAD),
    ],
)
FAILING = Row(
    "Is it failing?",
    [
        Stat(
            "DAGs with last run failed",
            "DAGs whose newest finished run failed, without backfills. They are listed below. Source: API.",
            count(f"max by(dag_id) ({pick('airflow_dag_last_run_state', state='failed')}) == 1"),
        )
        .unit("none")
        .thresholds(ANY_IS_BAD)
        .no_value(NO_API),
        Stat(
            "Max consecutive failures",
            "The most consecutive failed runs of a DAG. Source: API.",
            f"max({pick('airflow_dag_consecutive_failed_runs')})",
        )
        .unit("none")
        .thresholds(rising(1, 3))
        .no_value(NO_API),
        Stat(
            "Run failure rate, 1h",
            "Failed runs as a share of the runs that finished in the last hour, of all run types. Sources:"
            " API, StatsD.",
            f"({or_zero(f'sum({FAILED_RUNS})', f'sum({ENDED_RUNS})')}) / (sum({ENDED_RUNS}) > 0)",
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.01, 0.1))
        .no_value(NOTHING_RAN),
        Stat(
            "Task failure rate, 1h",
            "Failed task instances as a share of those that succeeded or failed in the last hour. Retried"
            " attempts do not count. Sources: API, StatsD.",
            pick("airflow:task_failure:ratio1h"),
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.01, 0.1))
        .no_value(NOTHING_RAN),
        Stat(
            "Attempt failure rate, 1h",
            "Failed attempts as a share of all attempts of the last hour. Retries can hide them: if this is"
            " high and the task failure rate is not, look at Failing tasks. Sources: API, StatsD.",
            pick("airflow:task_try_failure:ratio1h"),
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.05, 0.25))
        .no_value(NOTHING_RAN),
        Stat(
            "Wasted time, 1h",
            "Run time of failed attempts as a share of all run time in the last hour. Sources: API, StatsD.",
            pick("airflow:task_wasted_seconds:ratio1h"),
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.05, 0.25))
        .no_value(NOTHING_RAN),
    ],
)
LATE = Row(
    "Is it late?",
    [
        Stat(
            "Oldest unfinished run",
            "Time since the oldest unfinished scheduled run became due. If it grows, a task hangs or cannot"
            " start. Source: API.",
            age(f"max({pick('airflow_dag:dag_run_oldest_unfinished:age_seconds')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(HOUR, 6 * HOUR))
        .size(6)
        .no_value("none"),
        Stat(
            "Late DAGs",
            "DAGs whose next run is more than ten minutes late, although they are not paused and may start"
            " another run. Check the scheduler. Source: API.",
            count(NOT_STARTED),
        )
        .unit("none")
        .thresholds(ANY_IS_BAD)
        .size(6)
        .no_value(NO_API),
        Stat(
            "Longest scheduled",
            "How long the oldest scheduled task instance has waited for a pool slot or a limit. If it grows,"
            " look for a full limit in Concurrency and pools. Source: API.",
            age(f"max({pick(WAITING, state='scheduled')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(5 * MINUTE, 30 * MINUTE))
        .links(link.board("airflow-concurrency", "Concurrency and pools"))
        .size(6)
        .no_value("nothing waits"),
        Stat(
            "Longest queued",
            "How long the oldest queued task instance has waited for a worker. If it grows, look at the"
            " executor and its workers. Source: API.",
            age(f"max({pick(WAITING, state='queued')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(2 * MINUTE, 15 * MINUTE))
        .links(link.board("airflow-executor", "Executor and triggerer"))
        .size(6)
        .no_value("nothing waits"),
    ],
)
FULL = Row(
    "Is it full?",
    [
        Stat(
            "Parallelism used",
            "Used slots as a share of the slots of all live schedulers. Running tasks use one, and queued"
            " ones too, except with the LocalExecutor of Airflow 3. Sources: API, StatsD, host.",
            pick("airflow:parallelism_used:ratio"),
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(rising(0.8, 1))
        .links(link.board("airflow-concurrency", "Concurrency and pools"))
        .size(5)
        .no_value(NO_API),
        Stat(
            "Queued without a slot",
            "Queued task instances without a slot of parallelism: they wait until a running one finishes."
            " Sources: API, StatsD, host.",
            pick("airflow:parallelism_queued_behind:sum"),
        )
        .unit("short")
        .decimals(0)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .links(link.board("airflow-concurrency", "Concurrency and pools"))
        .size(5)
        .no_value(NO_API),
        Stat(
            "Fullest pool",
            "The largest share of used slots of a pool. At 100 % tasks wait: add slots, or move tasks to"
            " another pool. Sources: API, StatsD.",
            f"max({pick('airflow_pool:occupied_slots:ratio')})",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(rising(0.8, 1))
        .links(link.board("airflow-concurrency", "Concurrency and pools"))
        .size(5),
        Stat(
            "DAGs at max_active_runs",
            "DAGs with as many active runs as max_active_runs allows: their next runs wait. Source: API.",
            count(f"{pick('airflow_dag:active_runs:ratio')} >= 1"),
        )
        .unit("none")
        .thresholds(ANY_IS_NOTEWORTHY)
        .size(5)
        .no_value(NO_API),
        Stat(
            "Busiest host",
            "CPU usage of the busiest host with an exporter, as a share of all its CPUs. Source: host.",
            f"max({pick('airflow_host:cpu_used:ratio_rate5m')})",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(rising(0.8, 0.95))
        .links(link.board("airflow-workers", "Workers and hosts"))
        .size(4)
        .no_value(NO_HOST),
    ],
)
ANSWERS = (HEALTHY, FAILING, LATE, FULL)
