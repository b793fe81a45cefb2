"""What tasks use on their hosts: who is the largest."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import NO_HOST, Query, rising
from grafana.boards.kit.promql import HOST, largest, pick, total
from grafana.boards.kit.table import Column, Key, Table

TIGHT = rising(0.85, 0.95)
KEYS = {
    "dag_id": Key("DAG", [link.DAG_OF_ROW]),
    "task_id": Key("Task", [link.TASK_OF_ROW, link.TASK_IN_AIRFLOW]),
}
PEAK = f"max by(dag_id, task_id) ({pick('airflow_task_peak_resident_memory_bytes', **HOST)})"
SMALLEST = f"scalar(min(sum by(instance) ({pick('airflow_host_memory_bytes', **HOST)})))"
WRITTEN = total(f"increase({pick('airflow_task_written_bytes_total')}[1h])", "dag_id", "task_id")
READ = total(f"increase({pick('airflow_task_read_bytes_total')}[1h])", "dag_id", "task_id")
TASKS = Row(
    "Tasks",
    [
        TimeSeries(
            "CPU of the busiest tasks",
            "CPUs that each task uses, over all hosts: the eight busiest of the time shown (host source).",
            Query(largest(8, pick("airflow_task:cpu_seconds:rate5m"), "dag_id", "task_id"), "{{dag_id}}.{{task_id}}"),
        )
        .unit("none")
        .stacked()
        .links(link.DAG)
        .no_value(NO_HOST),
        TimeSeries(
            "Memory of the largest tasks",
            "Memory that each task's running tries use together, over all hosts: the eight largest of the time shown"
            " (host source).",
            Query(largest(8, pick("airflow_task:memory_bytes:sum"), "dag_id", "task_id"), "{{dag_id}}.{{task_id}}"),
        )
        .unit("bytes")
        .stacked()
        .links(link.DAG)
        .no_value("nothing runs, or needs the host source"),
        TimeSeries(
            "CPU by DAG",
            "CPUs that the tasks of each DAG use, over all hosts: the eight busiest of the time shown (host source).",
            Query(largest(8, pick("airflow_dag:task_cpu_seconds:rate5m"), "dag_id"), "{{dag_id}}"),
        )
        .unit("none")
        .stacked()
        .links(link.DAG)
        .no_value(NO_HOST),
        TimeSeries(
            "Memory by DAG",
            "Memory that the running tries of each DAG use together, over all hosts: the eight largest of the time"
            " shown (host source).",
            Query(largest(8, pick("airflow_dag:task_memory_bytes:sum"), "dag_id"), "{{dag_id}}"),
        )
        .unit("bytes")
        .stacked()
        .links(link.DAG)
        .no_value("nothing runs, or needs the host source"),
        Table(
            "Largest peaks of memory",
            "The most that one process of the task had resident in the last 24 hours (host source), beside the"
            " memory of"
            " the smallest of the hosts.",
            KEYS,
            [
                Column("Peak", f"topk(15, {PEAK})", "bytes", width=110),
                Column(
                    "Of a host", f"topk(15, {PEAK}) / {SMALLEST}", "percentunit", thresholds=TIGHT, bar=True, width=150
                ),
            ],
        ).no_value(NO_HOST),
        Table(
            "Who writes most, last hour",
            "Bytes that a task's processes wrote and read in the last hour, over all hosts (host source).",
            KEYS,
            [
                Column("Written", f"topk(15, {WRITTEN} > 0)", "bytes", width=110),
                Column("Read", f"{READ} and on(dag_id, task_id) topk(15, {WRITTEN} > 0)", "bytes", width=110),
            ],
        ).no_value("nothing was written, or needs the host source"),
    ],
)
