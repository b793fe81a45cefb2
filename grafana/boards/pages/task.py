"""One task: how its tries end, how long they take and wait, and what they use."""

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
from grafana.boards.kit.states import ATTEMPTS, PERCENTILES, STATES, WAITS
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, DAG_ID, TASK_ID

TRIES, FAILED = "airflow_task_tries_total", "airflow_task_tries_failed_total"
OUTCOMES, SECONDS = "airflow_task_instances_finished_total", "airflow_task_run_seconds_total"
NOTHING_RAN = "nothing ran"


def gained(family: str, **labels: str) -> str:
    """What a counter of the task gained in the time shown."""
    return total(increase(family, **TASK, **labels))


IN_SHORT = Row(
    "In the time shown",
    [
        Stat(
            "Tries",
            "Tries that ended, retries included.",
            gained(TRIES),
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL),
        Stat(
            "Tries failed",
            "Failed tries among all tries, retries included.",
            f"({or_zero(gained(FAILED), gained(TRIES))}) / ({gained(TRIES)} > 0)",
        )
        .unit("percentunit")
        .decimals(1)
        .thresholds(rising(0.05, 0.25))
        .no_value(NOTHING_RAN),
        Stat(
            "Failed for good",
            "Task instances that failed after their last try.",
            or_zero(gained(OUTCOMES, state="failed"), gained(TRIES)),
        )
        .unit("short")
        .decimals(0)
        .thresholds(ANY_IS_BAD),
        Stat(
            "Mean time of a try",
            "How long a try takes, failed ones among them. Deferred time is in it, a rescheduled sensor's waits"
            " are not.",
            f"{gained(SECONDS)} / ({gained(TRIES)} > 0)",
        )
        .unit("s")
        .thresholds(NEUTRAL)
        .no_value(NOTHING_RAN),
        Stat(
            "Time of all tries",
            "What all tries took together.",
            gained(SECONDS),
        )
        .unit("s")
        .thresholds(NEUTRAL),
        Stat(
            "Time of failed tries",
            "What failed tries took together: work that was done for nothing.",
            or_zero(gained("airflow_task_failed_seconds_total"), API_READ),
        )
        .unit("s")
        .thresholds(((None, "text"), (1, ORANGE)))
        .no_value("needs Airflow's API"),
    ],
)
TRIES_ROW = Row(
    "Tries",
    [
        TimeSeries(
            "Tries that end, an hour",
            "How many tries end: in failure, cleared while they ran, and all others.",
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
        .no_value("no try ended"),
        TimeSeries(
            "Outcomes, an hour",
            "Task instances that ended for good, by the state they ended in. Clearing and marking by hand make new"
            " ones.",
            Query(f"3600 * {total(rate(OUTCOMES, **TASK), 'state')}", "{{state}}"),
        )
        .unit("short")
        .bars()
        .colors(STATES)
        .no_value("nothing ended"),
        TimeSeries(
            "How long a try takes",
            "Mean time of the tries that end, and for DAGs named by --airflow.task-histograms how long most take.",
            Query(f"{total(rate(SECONDS, **TASK))} / ({total(rate(TRIES, **TASK))} > 0)", "mean"),
            Query(quantile(0.5, "airflow_task_try_duration_seconds", **TASK), "p50"),
            Query(quantile(0.95, "airflow_task_try_duration_seconds", **TASK), "p95"),
        )
        .unit("s")
        .sparse()
        .colors(PERCENTILES)
        .colors({"mean": BLUE})
        .no_value("no try ended"),
        TimeSeries(
            "How long tries of this DAG wait",
            "Mean wait of all tries of this task's DAG: for a slot or a limit (scheduled), then for a worker (queued).",
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
    ],
)
CPU_SECONDS = host_rate("airflow_task_cpu_seconds_total", **TASK)
USE = Row(
    "What it uses",
    [
        TimeSeries(
            "CPUs in use",
            "CPUs that the processes of all its tries use at once, on hosts that an exporter reads (host source).",
            f"sum({CPU_SECONDS})",
        )
        .unit("none")
        .hide_legend()
        .no_value(NO_HOST),
        TimeSeries(
            "CPU time of a try",
            "CPU seconds for each try that ends (host source). Far less than the try's time: it waits for"
            " something else.",
            f"sum({CPU_SECONDS}) / ({total(rate(TRIES, **TASK))} > 0)",
        )
        .unit("s")
        .sparse()
        .hide_legend()
        .no_value(NO_HOST),
        TimeSeries(
            "Memory",
            "Memory of its running tries together (PSS), and the most that one process had resident in the last 24"
            " hours"
            " (host source).",
            Query(f"sum({pick('airflow_task_memory_bytes', **TASK)})", "now, all tries"),
            Query(f"max({pick('airflow_task_peak_resident_memory_bytes', **TASK)})", "peak of one process"),
        )
        .unit("bytes")
        .colors({"now, all tries": BLUE, "peak of one process": RED})
        .no_value(NO_HOST),
        TimeSeries(
            "Disk",
            "Bytes a second that its processes read from disks and write (host source).",
            Query(f"sum({host_rate('airflow_task_read_bytes_total', **TASK)})", "read"),
            Query(f"sum({host_rate('airflow_task_written_bytes_total', **TASK)})", "written"),
        )
        .unit("Bps")
        .colors({"read": GREY, "written": BLUE})
        .no_value(NO_HOST),
        TimeSeries(
            "Network",
            "Bytes a second that its processes receive and send (host source), where the task has a network"
            " namespace of its own, as in a pod.",
            Query(f"sum({host_rate('airflow_task_network_receive_bytes_total', **TASK)})", "in"),
            Query(f"sum({host_rate('airflow_task_network_transmit_bytes_total', **TASK)})", "out"),
        )
        .unit("Bps")
        .colors({"in": GREY, "out": BLUE})
        .size(8)
        .no_value("shares its host's network, or needs the host source"),
        TimeSeries(
            "Instances by state",
            "Instances of this task by state, as Airflow 3 reports them every half minute (StatsD).",
            Query(total(one("airflow_task_active_instances", **TASK), "state"), "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .colors(STATES)
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Records processed, a minute",
            "What the task itself counts as records_processed (StatsD).",
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
    "One task: how its tries end, how long they take and wait, and what they use.",
    (*COMMON, DAG_ID, TASK_ID, AIRFLOW_URL),
    [IN_SHORT, TRIES_ROW, USE],
    (*CHANGES, failed_runs(shown=True, **DAG)),
    [
        link.board("airflow-dag", "Its DAG", dag_id="${dag_id:percentencode}"),
        link.airflow(
            "Its tries and their logs in Airflow",
            "/dags/${dag_id:percentencode}/tasks/${task_id:percentencode}/task_instances",
        ),
    ],
    since="now-24h",
)
