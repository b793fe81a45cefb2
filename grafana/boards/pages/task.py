"""One task: outcome, duration, waiting time and resource usage of its attempts."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES, failed_runs
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import (
    ANY_IS_BAD,
    BLUE,
    GREY,
    NEUTRAL,
    NO_HOST,
    NO_STATSD,
    ORANGE,
    RED,
    Query,
    rising,
)
from grafana.boards.kit.promql import (
    API_READ,
    DAG,
    TASK,
    host_rate,
    increase,
    one,
    or_zero,
    pick,
    quantile,
    rate,
    total,
)
from grafana.boards.kit.states import ATTEMPTS, PERCENTILES, STATES
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, DAG_ID, EXPORTER_URL, OWNER, TAG, TASK_ID
from grafana.boards.rows.dag_tasks import draw_waiting_time
from grafana.boards.rows.pods import PODS_OF_TASK

TRIES, FAILED = "airflow_task_tries_total", "airflow_task_tries_failed_total"
OUTCOMES, SECONDS = "airflow_task_instances_finished_total", "airflow_task_run_seconds_total"
NOTHING_RAN = "nothing ran"


def gained(family: str, **labels: str) -> str:
    """The increase of a counter of the task in the selected time range."""
    return total(increase(family, **TASK, **labels))


SUMMARY = Row(
    "Selected time range",
    [
        Stat(
            "Attempts",
            "Finished attempts (tries) in the selected time range, including retries. Sources: API, StatsD.",
            gained(TRIES),
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL),
        Stat(
            "Failed attempts",
            "Failed attempts as a share of all attempts, including retries. Sources: API, StatsD.",
            f"({or_zero(gained(FAILED), gained(TRIES))}) / ({gained(TRIES)} > 0)",
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.05, 0.25))
        .no_value(NOTHING_RAN),
        Stat(
            "Failed",
            "Task instances that failed after their last attempt. Sources: API, StatsD.",
            or_zero(gained(OUTCOMES, state="failed"), gained(TRIES)),
        )
        .unit("short")
        .decimals(0)
        .thresholds(ANY_IS_BAD),
        Stat(
            "Mean duration",
            "Mean duration of an attempt, including failed ones. It includes deferred time, but not the"
            " waits of a sensor in reschedule mode. Sources: API, StatsD.",
            f"{gained(SECONDS)} / ({gained(TRIES)} > 0)",
        )
        .unit("s")
        .thresholds(NEUTRAL)
        .no_value(NOTHING_RAN),
        Stat(
            "Total run time",
            "Run time of all attempts together. Sources: API, StatsD.",
            gained(SECONDS),
        )
        .unit("s")
        .thresholds(NEUTRAL),
        Stat(
            "Wasted time",
            "Run time of failed attempts: work without a result. Source: API.",
            or_zero(gained("airflow_task_failed_seconds_total"), API_READ),
        )
        .unit("s")
        .thresholds(((None, "text"), (1, ORANGE)))
        .no_value("needs Airflow's API"),
    ],
)
ATTEMPTS_ROW = Row(
    "Attempts",
    [
        TimeSeries(
            "Finished attempts per hour",
            "Attempts that failed, that were cleared while they ran, and all others. Sources: API, StatsD.",
            Query(f"3600 * {total(rate(FAILED, **TASK))}", "failed"),
            Query(f"3600 * {total(rate('airflow_task_tries_cleared_total', **TASK))}", "cleared"),
            Query(
                f"3600 * ({total(rate(TRIES, **TASK))} - ({or_zero(total(rate(FAILED, **TASK)), 'vector(1)')})"
                f" - ({or_zero(total(rate('airflow_task_tries_cleared_total', **TASK)), 'vector(1)')}))",
                "not failed",
            ),
        )
        .unit("short")
        .bars()
        .colors(ATTEMPTS)
        .no_value("no attempt finished"),
        TimeSeries(
            "Finished task instances per hour",
            "Task instances by final state. Clearing a task and marking it by hand count again. Sources: API, StatsD.",
            Query(f"3600 * {total(rate(OUTCOMES, **TASK), 'state')}", "{{state}}"),
        )
        .unit("short")
        .bars()
        .colors(STATES)
        .no_value("nothing finished"),
        TimeSeries(
            "Attempt duration",
            "Mean duration of finished attempts; p50 and p95 for the DAGs named by"
            " --airflow.task-histograms. Sources: API, StatsD.",
            Query(f"{total(rate(SECONDS, **TASK))} / ({total(rate(TRIES, **TASK))} > 0)", "mean"),
            Query(quantile(0.5, "airflow_task_try_duration_seconds", **TASK), "p50"),
            Query(quantile(0.95, "airflow_task_try_duration_seconds", **TASK), "p95"),
        )
        .unit("s")
        .sparse()
        .colors(PERCENTILES)
        .colors({"mean": BLUE})
        .no_value("no attempt finished"),
        draw_waiting_time(
            "Waiting time of this DAG's attempts",
            "Mean time that attempts of all tasks of this DAG were scheduled (waiting for a slot or limit)"
            " and queued (waiting for a worker). Sources: API, StatsD.",
        ),
    ],
)
CPU_SECONDS = host_rate("airflow_task_cpu_seconds_total", **TASK)
USAGE = Row(
    "Resource usage",
    [
        TimeSeries(
            "CPU usage",
            "CPUs that the processes of all running attempts use together, on hosts with an exporter. Source: host.",
            f"sum({CPU_SECONDS})",
        )
        .unit("none")
        .hide_legend()
        .no_value(NO_HOST),
        TimeSeries(
            "CPU time per attempt",
            "CPU seconds for each finished attempt. If it is far below the duration, the task waits for"
            " something else. Sources: API, StatsD, host.",
            f"sum({CPU_SECONDS}) / ({total(rate(TRIES, **TASK))} > 0)",
        )
        .unit("s")
        .sparse()
        .hide_legend()
        .no_value(NO_HOST),
        TimeSeries(
            "Memory",
            "Memory of all running attempts together (PSS), and the largest resident memory of one process"
            " in the last 24 hours. Source: host.",
            Query(f"sum({pick('airflow_task_memory_bytes', **TASK)})", "running attempts"),
            Query(f"max({pick('airflow_task_peak_resident_memory_bytes', **TASK)})", "peak of one process, 24h"),
        )
        .unit("bytes")
        .colors({"running attempts": BLUE, "peak of one process, 24h": RED})
        .no_value(NO_HOST),
        TimeSeries(
            "Disk I/O",
            "Bytes per second that the task's processes read from and write to disks. Source: host.",
            Query(f"sum({host_rate('airflow_task_read_bytes_total', **TASK)})", "read"),
            Query(f"sum({host_rate('airflow_task_written_bytes_total', **TASK)})", "written"),
        )
        .unit("Bps")
        .colors({"read": GREY, "written": BLUE})
        .no_value(NO_HOST),
        TimeSeries(
            "Network I/O",
            "Bytes per second that the task's processes receive and send. Only where the task has its own"
            " network namespace, as in a pod. Source: host.",
            Query(f"sum({host_rate('airflow_task_network_receive_bytes_total', **TASK)})", "in"),
            Query(f"sum({host_rate('airflow_task_network_transmit_bytes_total', **TASK)})", "out"),
        )
        .unit("Bps")
        .colors({"in": GREY, "out": BLUE})
        .size(8)
        .no_value("uses the host's network, or needs the host source"),
        TimeSeries(
            "Instances by state",
            "Instances of this task by state, which Airflow 3 reports every half minute. Source: StatsD.",
            Query(total(one("airflow_task_active_instances", **TASK), "state"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .colors(STATES)
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Records processed per minute",
            "What the task counts as records_processed in its own code. Source: StatsD.",
            f"60 * {total(rate('airflow_custom_records_processed_total', **TASK))}",
        )
        .unit("short")
        .hide_legend()
        .size(8)
        .no_value("not counted: needs StatsD"),
    ],
)
DASHBOARD = Dashboard(
    "airflow-task",
    "Airflow / Task",
    "One task: outcome, duration, waiting time and resource usage of its attempts.",
    (*COMMON, OWNER, TAG, DAG_ID, TASK_ID, AIRFLOW_URL, EXPORTER_URL),
    [SUMMARY, ATTEMPTS_ROW, USAGE, PODS_OF_TASK],
    (*CHANGES, failed_runs(shown=True, **DAG)),
    [
        link.board("airflow-dag", "DAG", dag_id="${dag_id:percentencode}"),
        link.failed_log("${dag_id:percentencode}", "${task_id:percentencode}"),
        link.airflow(
            "Task instances and logs in Airflow",
            "/dags/${dag_id:percentencode}/tasks/${task_id:percentencode}/task_instances",
        ),
    ],
    time_from="now-24h",
)
