"""Resource usage of tasks: the largest ones."""

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
            "CPUs that each task uses, over all hosts: the eight busiest of the selected time range. Source: host.",
            Query(largest(8, pick("airflow_task:cpu_seconds:rate5m"), "dag_id", "task_id"), "{{dag_id}}.{{task_id}}"),
        )
        .unit("none")
        .stacked()
        .links(link.DAG)
        .no_value(NO_HOST),
        TimeSeries(
            "Memory of the largest tasks",
            "Memory of each task's running attempts, over all hosts: the eight largest of the selected time"
            " range. Source: host.",
            Query(largest(8, pick("airflow_task:memory_bytes:sum"), "dag_id", "task_id"), "{{dag_id}}.{{task_id}}"),
        )
        .unit("bytes")
        .stacked()
        .links(link.DAG)
        .no_value("nothing runs, or needs the host source"),
        TimeSeries(
            "CPU by DAG",
            "CPUs that the tasks of each DAG use, over all hosts: the eight busiest of the selected time"
            " range. Source: host.",
            Query(largest(8, pick("airflow_dag:task_cpu_seconds:rate5m"), "dag_id"), "{{dag_id}}"),
        )
        .unit("none")
        .stacked()
        .links(link.DAG)
        .no_value(NO_HOST),
        TimeSeries(
            "Memory by DAG",
            "Memory of the running attempts of each DAG, over all hosts: the eight largest of the selected"
            " time range. Source: host.",
            Query(largest(8, pick("airflow_dag:task_memory_bytes:sum"), "dag_id"), "{{dag_id}}"),
        )
        .unit("bytes")
        .stacked()
        .links(link.DAG)
        .no_value("nothing runs, or needs the host source"),
        Table(
            "Largest memory peaks",
            "Largest resident memory of one process of the task in the last 24 hours, and as a share of the"
            " memory of the smallest host. Near 100 %, the task may be killed there. Source: host.",
            KEYS,
            [
                Column("Peak", f"topk(15, {PEAK})", "bytes", width=110),
                Column(
                    "Of smallest host",
                    f"topk(15, {PEAK}) / {SMALLEST}",
                    "percentunit",
                    thresholds=TIGHT,
                    bar=True,
                    width=150,
                ),
            ],
        ).no_value(NO_HOST),
        Table(
            "Most written bytes, last hour",
            "Bytes that a task's processes wrote and read in the last hour, over all hosts. Source: host.",
            KEYS,
            [
                Column("Written", f"topk(15, {WRITTEN} > 0)", "bytes", width=110),
                Column("Read", f"{READ} and on(dag_id, task_id) topk(15, {WRITTEN} > 0)", "bytes", width=110),
            ],
        ).no_value("nothing written, or needs the host source"),
    ],
)
