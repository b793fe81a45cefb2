"""Pods of tasks on Kubernetes, as cAdvisor and kube-state-metrics know them: of all tasks, and of one."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, GREY, ORANGE, RED, Query
from grafana.boards.kit.promql import TASK, age, largest, pick, total
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.rows.failures import DAG

NO_PODS = "no pod runs a task, or needs kube-state-metrics with --metric-labels-allowlist"
NOTHING_HAPPENED = "nothing happened, or needs kube-state-metrics"
EVENTS = {"OOM-killed": RED, "evicted": ORANGE, "restarted": GREY}


def of_pods(recorded: str) -> str:
    """A series of pending pods, by task and reason."""
    return f"max by(dag_id, task_id, reason) ({pick(recorded)})"


def largest_tasks(recorded: str) -> Query:
    """The eight largest tasks of the selected time range."""
    return Query(largest(8, pick(recorded), "dag_id", "task_id"), "{{dag_id}}.{{task_id}}")


def draw_events(title: str, what: str, **labels: str) -> TimeSeries:
    """Containers and pods that were ended or started again."""
    return (
        TimeSeries(
            title,
            f"{what} that were OOM-killed or restarted, and pods that their node evicted, in 15 minutes each."
            " Raise the memory limit or the requests of these pods. Source: Kubernetes.",
            Query(total(pick("airflow_task:pod_oom_kills:count15m", **labels)), "OOM-killed"),
            Query(total(pick("airflow_task:pods_evicted:count15m", **labels)), "evicted"),
            Query(total(pick("airflow_task:pod_restarts:increase15m", **labels)), "restarted"),
        )
        .unit("short")
        .decimals(0)
        .colors(EVENTS)
        .no_value(NOTHING_HAPPENED)
    )


def draw_pending(title: str, **labels: str) -> TimeSeries:
    """Pods that have not started."""
    return (
        TimeSeries(
            title,
            "Pods that Kubernetes has not started, by reason. Airflow shows their tasks as queued."
            " Unschedulable: no node has room. Source: Kubernetes.",
            Query(total(pick("airflow_task:pods_pending:count", **labels), "reason"), "{{reason}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .no_value(NOTHING_HAPPENED)
    )


PENDING_ROW = Row(
    "Which pods do not start? (Kubernetes)",
    [
        draw_pending("Pending pods of tasks"),
        Table(
            "Tasks whose pods are pending",
            "Tasks whose pods Kubernetes has not started, by the reason, and how long the oldest pod waits. The page"
            " /diagnosis shows these tasks as queued: not_started. Source: Kubernetes.",
            {"dag_id": DAG, "task_id": Key("Task"), "reason": Key("Reason", width=170)},
            [
                Column("Pods", of_pods("airflow_task:pods_pending:count"), decimals=0, width=70),
                Column(
                    "Oldest",
                    age(f"time() - {of_pods('airflow_task:pods_pending_oldest_created_timestamp_seconds:min')}"),
                    "s",
                    decimals=0,
                    width=110,
                ),
            ],
        ).no_value(NOTHING_HAPPENED),
    ],
)
PODS = Row(
    "Pods of tasks (Kubernetes)",
    [
        TimeSeries(
            "CPU of the busiest tasks in pods",
            "CPUs that the pods of each task use, all containers together: the eight busiest of the selected"
            " time range. Source: Kubernetes.",
            largest_tasks("airflow_task:pod_cpu_seconds:rate5m"),
        )
        .unit("none")
        .stacked()
        .links(link.DAG)
        .no_value(NO_PODS),
        TimeSeries(
            "Memory of the largest tasks in pods",
            "Memory (working set) of the pods of each task, all containers together: the eight largest of the"
            " selected time range. Source: Kubernetes.",
            largest_tasks("airflow_task:pod_memory_bytes:sum"),
        )
        .unit("bytes")
        .stacked()
        .links(link.DAG)
        .no_value(NO_PODS),
        draw_pending("Pending pods"),
        draw_events("Killed, evicted and restarted", "Containers of tasks"),
    ],
)
PODS_OF_TASK = Row(
    "Pods (Kubernetes)",
    [
        TimeSeries(
            "CPU of pods",
            "CPUs that the pods of this task use, all containers together. Source: Kubernetes.",
            total(pick("airflow_task:pod_cpu_seconds:rate5m", **TASK)),
        )
        .unit("none")
        .hide_legend()
        .size(8)
        .no_value(NO_PODS),
        TimeSeries(
            "Memory of pods",
            "Memory (working set) of the pods of this task, all containers together. Source: Kubernetes.",
            total(pick("airflow_task:pod_memory_bytes:sum", **TASK)),
        )
        .unit("bytes")
        .hide_legend()
        .size(8)
        .no_value(NO_PODS),
        TimeSeries(
            "Memory limit in use",
            "Memory of the fullest container of this task's pods as a share of its limit. At 100 % the kernel"
            " kills it: raise the limit before. Source: Kubernetes.",
            f"max({pick('airflow_task:pod_memory_used:ratio', **TASK)})",
        )
        .unit("percentunit")
        .maximum(1)
        .hide_legend()
        .size(8)
        .no_value("no limit is set, or needs kube-state-metrics"),
        TimeSeries(
            "Network of pods",
            "Bytes per second that the pods of this task receive and send. Source: Kubernetes.",
            Query(total(pick("airflow_task:pod_network_receive_bytes:rate5m", **TASK)), "in"),
            Query(total(pick("airflow_task:pod_network_transmit_bytes:rate5m", **TASK)), "out"),
        )
        .unit("Bps")
        .colors({"in": GREY, "out": BLUE})
        .size(8)
        .no_value(NO_PODS),
        draw_pending("Pending pods of this task", **TASK).size(8),
        draw_events("Killed, evicted, restarted", "Containers of this task", **TASK).size(8),
    ],
)
