"""The first screen of the overview: four questions, each answered by a line of numbers."""

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
    """How many there are: 0 too, as long as Airflow is read."""
    return or_zero(f"count({expression})", API_READ)


HEALTHY = Row(
    "Is it healthy?",
    [
        Stat(
            "Components",
            "What Airflow says of its own parts. Without its metadata database nothing works.",
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
            "Airflow's API",
            "Whether the exporter can read Airflow. While it cannot, what stands below is old or missing.",
            API_READ,
        )
        .unit("none")
        .thresholds(UP)
        .value_mappings({"1": ("answers", GREEN), "0": ("unreadable", RED)})
        .links(link.board("airflow-exporter", "The exporter"))
        .no_value("not read"),
        Stat(
            "Broken DAG files",
            "DAG files that Airflow cannot import: their DAGs are missing, or run in an old version.",
            f"max({pick('airflow_import_errors')})",
        )
        .unit("none")
        .thresholds(ANY_IS_BAD)
        .links(link.board("airflow-scheduler", "Scheduler and DAG processor")),
        Stat(
            "Alerts",
            "Alerts that fire for this Airflow now, warnings among them.",
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
            "DAGs that failed last",
            "DAGs whose newest finished run failed; backfills are left out.",
            count(f"max by(dag_id) ({pick('airflow_dag_last_run_state', state='failed')}) == 1"),
        )
        .unit("none")
        .thresholds(ANY_IS_BAD)
        .no_value(NO_API),
        Stat(
            "Longest streak",
            "The most runs that one DAG has failed in a row.",
            f"max({pick('airflow_dag_consecutive_failed_runs')})",
        )
        .unit("none")
        .thresholds(rising(1, 3))
        .no_value(NO_API),
        Stat(
            "Runs failed, last hour",
            "Failed runs among the runs that ended in the last hour, of all types.",
            f"({or_zero(f'sum({FAILED_RUNS})', f'sum({ENDED_RUNS})')}) / (sum({ENDED_RUNS}) > 0)",
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.01, 0.1))
        .no_value(NOTHING_RAN),
        Stat(
            "Tasks failed, last hour",
            "Task instances that failed for good, among those that succeeded or failed in the last hour.",
            pick("airflow:task_failure:ratio1h"),
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.01, 0.1))
        .no_value(NOTHING_RAN),
        Stat(
            "Tries failed, last hour",
            "Failed tries among all tries of the last hour. Retries hide them: many can fail while no task does.",
            pick("airflow:task_try_failure:ratio1h"),
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.05, 0.25))
        .no_value(NOTHING_RAN),
        Stat(
            "Time wasted, last hour",
            "The share of all run time of the last hour that went into tries that failed.",
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
            "How long the scheduled run that has been wanted longest has been: due, and not ended yet.",
            age(f"max({pick('airflow_dag:dag_run_oldest_unfinished:age_seconds')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(HOUR, 6 * HOUR))
        .size(6)
        .no_value("none is open"),
        Stat(
            "DAGs not started in time",
            "DAGs that are not paused, have room for a run, and whose next run should have begun ten minutes ago"
            " or more.",
            count(NOT_STARTED),
        )
        .unit("none")
        .thresholds(ANY_IS_BAD)
        .size(6)
        .no_value(NO_API),
        Stat(
            "Longest wait for a slot or limit",
            "How long the task instance that is longest scheduled has waited for a pool slot or a limit.",
            age(f"max({pick(WAITING, state='scheduled')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(5 * MINUTE, 30 * MINUTE))
        .links(link.board("airflow-concurrency", "Concurrency and pools"))
        .size(6)
        .no_value("nothing waits"),
        Stat(
            "Longest wait for a worker",
            "How long the task instance that is longest queued has waited for a worker to start it.",
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
            "Parallelism in use",
            "Slots that are in use, of those of all live schedulers. Running tasks hold one, and queued ones too,"
            " but for the LocalExecutor of Airflow 3.",
            pick("airflow:parallelism_used:ratio"),
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(rising(0.8, 1))
        .links(link.board("airflow-concurrency", "Concurrency and pools"))
        .size(5)
        .no_value(NO_API),
        Stat(
            "Queued behind it",
            "Task instances that are queued and hold no slot of parallelism: they wait until a running one ends.",
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
            "The largest share of its slots that a pool has in use.",
            f"max({pick('airflow_pool:occupied_slots:ratio')})",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(rising(0.8, 1))
        .links(link.board("airflow-concurrency", "Concurrency and pools"))
        .size(5),
        Stat(
            "DAGs at their limit of runs",
            "DAGs with as many active runs as max_active_runs allows: their next runs wait.",
            count(f"{pick('airflow_dag:active_runs:ratio')} >= 1"),
        )
        .unit("none")
        .thresholds(ANY_IS_NOTEWORTHY)
        .size(5)
        .no_value(NO_API),
        Stat(
            "Busiest host",
            "CPU in use on the busiest host that an exporter reads (host source): the share of all its CPUs.",
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
