"""What tasks use on their hosts: who is the largest."""

from __future__ import annotations

from grafana.boards import link
from grafana.boards.dashboard import Row
from grafana.boards.draw import graph
from grafana.boards.panel import NO_HOST, Query, rising
from grafana.boards.promql import HOST, host_rate, pick
from grafana.boards.table import Column, Key, table

TIGHT = rising(0.85, 0.95)
KEYS = {
    "dag_id": Key("DAG", [link.DAG_OF_ROW]),
    "task_id": Key("Task", [link.TASK_OF_ROW, link.TASK_IN_AIRFLOW]),
}
PEAK = f"max by(dag_id, task_id) ({pick('airflow_task_peak_resident_memory_bytes', **HOST)})"
SMALLEST = f"scalar(min(sum by(instance) ({pick('airflow_host_memory_bytes', **HOST)})))"
TASKS = Row(
    "Tasks",
    [
        graph(
            "CPU of the busiest tasks",
            "CPUs that each task uses, over all hosts; the ten busiest (host source).",
            Query(
                f"topk(10, sum by(dag_id, task_id) ({host_rate('airflow_task_cpu_seconds_total', **HOST)}) > 0)",
                "{{dag_id}}.{{task_id}}",
            ),
            "short",
            stacked=True,
            links=[link.DAG],
            no_value=NO_HOST,
        ),
        graph(
            "Memory of the largest tasks",
            "Memory that each task's running tries use together, over all hosts; the ten largest (host source).",
            Query(
                f"topk(10, sum by(dag_id, task_id) ({pick('airflow_task_memory_bytes', **HOST)}))",
                "{{dag_id}}.{{task_id}}",
            ),
            "bytes",
            stacked=True,
            links=[link.DAG],
            no_value="nothing runs, or needs the host source",
        ),
        table(
            "Largest peaks of memory",
            "The most that one process of the task had resident in the last 24 hours (host source), beside the"
            " memory of"
            " the smallest of the hosts.",
            KEYS,
            [
                Column("Peak", f"topk(15, {PEAK})", "bytes", width=110),
                Column("Of a host", f"topk(15, {PEAK}) / {SMALLEST}", "percentunit", steps=TIGHT, bar=True, width=150),
            ],
            no_value=NO_HOST,
        ),
        graph(
            "Disk use of the busiest tasks",
            "Bytes a second that a task's processes read and write; the ten busiest (host source).",
            Query(
                "topk(10, sum by(dag_id, task_id) ("
                f"{host_rate('airflow_task_read_bytes_total', **HOST)} +"
                f" {host_rate('airflow_task_written_bytes_total', **HOST)}"
                ") > 0)",
                "{{dag_id}}.{{task_id}}",
            ),
            "Bps",
            links=[link.DAG],
            no_value="no disk was used, or needs the host source",
        ),
    ],
)
