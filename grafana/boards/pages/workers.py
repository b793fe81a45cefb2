"""Workers and hosts: resource usage by host, by component of Airflow, and by task."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, GREEN, GREY, NO_HOST, ORANGE, RED, YELLOW, Query, rising
from grafana.boards.kit.promql import HOST, host_rate, largest, pick
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, COMPONENT, WORKER
from grafana.boards.rows.machines import LIMITS
from grafana.boards.rows.pods import PODS
from grafana.boards.rows.usage import TASKS

OF_COMPONENT = {**HOST, "component": "~$component"}
BUSY = rising(0.8, 0.95)
TIGHT = rising(0.85, 0.95)
OLDEST, NEWEST = (f"airflow_process_{which}_start_timestamp_seconds" for which in ("oldest", "newest"))


def largest_reading(recorded: str, **labels: str) -> str:
    """The largest value of each host."""
    return f"max by(instance) ({pick(recorded, **HOST, **labels)})"


OVERVIEW = Row(
    "Hosts",
    [
        Table(
            "Hosts",
            "Every host with an exporter: usage, and how long processes waited for CPU and memory. If a host"
            " is full, move work to another one or add hosts. Source: host.",
            {"instance": Key("Host", [link.board("airflow-workers", "This host", worker=link.cell("Host"))])},
            [
                Column("CPUs", largest_reading("airflow_host_cpus"), decimals=0, width=70),
                Column(
                    "CPU",
                    largest_reading("airflow_host:cpu_used:ratio_rate5m"),
                    "percentunit",
                    thresholds=BUSY,
                    bar=True,
                    width=180,
                ),
                Column(
                    "Memory",
                    largest_reading("airflow_host:memory_used:ratio"),
                    "percentunit",
                    thresholds=TIGHT,
                    bar=True,
                    width=180,
                ),
                Column(
                    "Swap in",
                    largest_reading("airflow_host:swap_in_bytes:rate5m"),
                    "Bps",
                    thresholds=((None, "text"), (100_000, RED)),
                    width=110,
                ),
                Column(
                    "Fullest disk",
                    f"1 - min by(instance) ({pick('airflow_host:filesystem_available:ratio', **HOST)})",
                    "percentunit",
                    thresholds=TIGHT,
                    bar=True,
                    width=180,
                ),
                Column(
                    "Waiting for CPU",
                    largest_reading("airflow_host:pressure_waiting:ratio_rate5m", resource="cpu"),
                    "percentunit",
                    thresholds=((None, "text"), (0.5, YELLOW)),
                    decimals=0,
                    width=120,
                ),
                Column(
                    "Waiting for memory",
                    largest_reading("airflow_host:pressure_waiting:ratio_rate5m", resource="memory"),
                    "percentunit",
                    thresholds=((None, "text"), (0.1, RED)),
                    decimals=0,
                    width=140,
                ),
            ],
        )
        .sort_by("CPU")
        .size(24, 6)
        .no_value(NO_HOST),
        TimeSeries(
            "CPU usage",
            "Share of all CPUs of each host in use, without waiting for disks. Source: host.",
            Query(pick("airflow_host:cpu_used:ratio_rate5m", **HOST), "{{instance}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .no_value(NO_HOST),
        TimeSeries(
            "CPU by user",
            "CPUs that Airflow's components, its tasks and all other processes of the hosts use, and the"
            " number of CPUs. If others use much, the host does more than Airflow. Source: host.",
            Query(f"sum({pick('airflow_component:process_cpu_seconds:rate5m', **HOST)})", "Airflow's components"),
            Query(f"sum({host_rate('airflow_task_cpu_seconds_total', **HOST)})", "tasks"),
            Query(f"sum({host_rate('airflow_host_other_cpu_seconds_total', **HOST)})", "other processes"),
            Query(f"sum({pick('airflow_host_cpus', **HOST)})", "CPUs"),
        )
        .unit("none")
        .stacked()
        .colors({"Airflow's components": BLUE, "tasks": GREEN, "other processes": GREY})
        .limit_line("CPUs")
        .no_value(NO_HOST),
        TimeSeries(
            "Load average",
            "Processes that run or wait to run, on average of 1, 5 and 15 minutes, over all hosts, and the"
            " number of CPUs. Source: host.",
            Query(f"sum({pick('airflow_host_load1', **HOST)})", "1 minute"),
            Query(f"sum({pick('airflow_host_load5', **HOST)})", "5 minutes"),
            Query(f"sum({pick('airflow_host_load15', **HOST)})", "15 minutes"),
            Query(f"sum({pick('airflow_host_cpus', **HOST)})", "CPUs"),
        )
        .unit("short")
        .colors({"1 minute": GREY, "5 minutes": BLUE, "15 minutes": GREEN})
        .limit_line("CPUs")
        .no_value(NO_HOST),
        TimeSeries(
            "Memory usage",
            "Share of each host's memory that is not available to programs. Source: host.",
            Query(pick("airflow_host:memory_used:ratio", **HOST), "{{instance}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .no_value(NO_HOST),
        TimeSeries(
            "Pressure: some waiting",
            "Share of time in which at least one process waited for CPU, memory or disk, on the worst host."
            " Source: host.",
            Query(f"max by(resource) ({pick('airflow_host:pressure_waiting:ratio_rate5m', **HOST)})", "{{resource}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .colors({"cpu": BLUE, "memory": RED, "io": ORANGE})
        .no_value("needs the host source, and a kernel with PSI"),
        TimeSeries(
            "Disk utilization",
            "Share of time in which a disk was busy, for the eight busiest disks. Source: host.",
            Query(
                largest(8, pick("airflow_host:disk_busy:ratio_rate5m", **HOST), "instance", "device"),
                "{{instance}} {{device}}",
            ),
        )
        .unit("percentunit")
        .maximum(1)
        .no_value(NO_HOST),
    ],
)
COMPONENTS = Row(
    "Components of Airflow",
    [
        TimeSeries(
            "CPU by component",
            "CPUs that each component of Airflow uses, over all hosts, without tasks. Source: host.",
            Query(
                f"sum by(component) ({pick('airflow_component:process_cpu_seconds:rate5m', **OF_COMPONENT)} > 0)",
                "{{component}}",
            ),
        )
        .unit("none")
        .stacked()
        .no_value(NO_HOST),
        TimeSeries(
            "Memory by component",
            "Memory of each component's processes. Shared memory is divided among the processes that share"
            " it. Source: host.",
            Query(
                f"sum by(component) ({pick('airflow_component:process_memory_bytes:sum', **OF_COMPONENT)} > 0)",
                "{{component}}",
            ),
        )
        .unit("bytes")
        .stacked()
        .no_value(NO_HOST),
        TimeSeries(
            "Disk I/O by component",
            "Bytes per second that each component's processes read from and write to disks, over all hosts."
            " Source: host.",
            Query(
                f"sum by(component) ({host_rate('airflow_process_read_bytes_total', **OF_COMPONENT)}) > 0",
                "{{component}} read",
            ),
            Query(
                f"sum by(component) ({host_rate('airflow_process_written_bytes_total', **OF_COMPONENT)}) > 0",
                "{{component}} written",
            ),
        )
        .unit("Bps")
        .size(24, 7)
        .no_value("no disk I/O, or needs the host source"),
        Table(
            "Components",
            "Processes, memory, open files and threads of each component on each host. Growth: memory that"
            " the most grown process has gained after its start; if it never stops, it is a leak. Source:"
            " host.",
            {"component": Key("Component", width=150), "instance": Key("Host")},
            [
                Column("Processes", f"{pick('airflow_processes', **OF_COMPONENT)} > 0", decimals=0, width=100),
                Column(
                    "Memory", pick("airflow_component:process_memory_bytes:sum", **OF_COMPONENT), "bytes", width=100
                ),
                Column(
                    "Growth",
                    f"max by(component, instance) ({pick('airflow_process_memory_growth_bytes', **OF_COMPONENT)})",
                    "bytes",
                    width=100,
                ),
                Column("Open files", pick("airflow_process_open_fds", **OF_COMPONENT), decimals=0, width=100),
                Column("Threads", pick("airflow_process_threads", **OF_COMPONENT), decimals=0, width=90),
                Column(
                    "Oldest started",
                    f"1000 * max by(component, instance) ({pick(OLDEST, **OF_COMPONENT)})",
                    "dateTimeFromNow",
                    width=140,
                ),
                Column(
                    "Newest started",
                    f"1000 * max by(component, instance) ({pick(NEWEST, **OF_COMPONENT)})",
                    "dateTimeFromNow",
                    width=140,
                ),
            ],
        )
        .sort_by("Memory")
        .size(24, 8)
        .no_value(NO_HOST),
    ],
)
DASHBOARD = Dashboard(
    "airflow-workers",
    "Airflow / Workers and hosts",
    "Resource usage by host, by component of Airflow, and by task.",
    (*COMMON, WORKER, COMPONENT, AIRFLOW_URL),
    [OVERVIEW, COMPONENTS, TASKS, PODS, LIMITS],
    CHANGES,
)
