"""Workers and hosts: what is used of what is provided, by machine, by part of Airflow, and by task."""

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
from grafana.boards.rows.usage import TASKS

PART = {**HOST, "component": "~$component"}
BUSY = rising(0.8, 0.95)
TIGHT = rising(0.85, 0.95)
OLDEST, NEWEST = (f"airflow_process_{which}_start_timestamp_seconds" for which in ("oldest", "newest"))


def most(recorded: str, **labels: str) -> str:
    """The largest of a host's readings."""
    return f"max by(instance) ({pick(recorded, **HOST, **labels)})"


OVERVIEW = Row(
    "Hosts",
    [
        Table(
            "Hosts now",
            "Every host that an exporter reads (host source): what is in use, and whether anything waits for CPU,"
            " memory or disk.",
            {"instance": Key("Host", [link.board("airflow-workers", "This host", worker=link.cell("Host"))])},
            [
                Column("CPUs", most("airflow_host_cpus"), decimals=0, width=70),
                Column(
                    "CPU",
                    most("airflow_host:cpu_used:ratio_rate5m"),
                    "percentunit",
                    thresholds=BUSY,
                    bar=True,
                    width=180,
                ),
                Column(
                    "Memory",
                    most("airflow_host:memory_used:ratio"),
                    "percentunit",
                    thresholds=TIGHT,
                    bar=True,
                    width=180,
                ),
                Column(
                    "Swapping in",
                    most("airflow_host:swap_in_bytes:rate5m"),
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
                    "Waits for CPU",
                    most("airflow_host:pressure_waiting:ratio_rate5m", resource="cpu"),
                    "percentunit",
                    thresholds=((None, "text"), (0.5, YELLOW)),
                    decimals=0,
                    width=120,
                ),
                Column(
                    "Waits for memory",
                    most("airflow_host:pressure_waiting:ratio_rate5m", resource="memory"),
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
            "CPU",
            "The share of all its CPUs that each host uses; waiting for disks is no use (host source).",
            Query(pick("airflow_host:cpu_used:ratio_rate5m", **HOST), "{{instance}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .no_value(NO_HOST),
        TimeSeries(
            "CPU: Airflow, its tasks, and others",
            "CPUs that Airflow's components, its tasks and all other processes of the hosts use, beside all CPUs"
            " that there are (host source). Much in use by others: the host does more than Airflow.",
            Query(f"sum({pick('airflow_component:process_cpu_seconds:rate5m', **HOST)})", "Airflow's components"),
            Query(f"sum({host_rate('airflow_task_cpu_seconds_total', **HOST)})", "tasks"),
            Query(f"sum({host_rate('airflow_host_other_cpu_seconds_total', **HOST)})", "others"),
            Query(f"sum({pick('airflow_host_cpus', **HOST)})", "CPUs"),
        )
        .unit("none")
        .stacked()
        .colors({"Airflow's components": BLUE, "tasks": GREEN, "others": GREY})
        .limit_line("CPUs")
        .no_value(NO_HOST),
        TimeSeries(
            "Load",
            "Processes that run or wait to, on average of 1, 5 and 15 minutes, over all hosts (host source); beside"
            " all CPUs that there are.",
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
            "Memory",
            "The share of its memory that programs cannot get any more, by host (host source).",
            Query(pick("airflow_host:memory_used:ratio", **HOST), "{{instance}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .no_value(NO_HOST),
        TimeSeries(
            "Waiting for CPU, memory, disks",
            "The share of time in which some process waited for it, on the host where it is worst (host source).",
            Query(f"max by(resource) ({pick('airflow_host:pressure_waiting:ratio_rate5m', **HOST)})", "{{resource}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .colors({"cpu": BLUE, "memory": RED, "io": ORANGE})
        .no_value("needs the host source, and a kernel with PSI"),
        TimeSeries(
            "Busiest disks",
            "The share of time in which a disk had something to do; the ten busiest (host source).",
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
PARTS = Row(
    "Parts of Airflow",
    [
        TimeSeries(
            "CPU by part",
            "CPUs that each part of Airflow uses, over all hosts; the tasks themselves are below (host source).",
            Query(
                f"sum by(component) ({pick('airflow_component:process_cpu_seconds:rate5m', **PART)} > 0)",
                "{{component}}",
            ),
        )
        .unit("none")
        .stacked()
        .no_value(NO_HOST),
        TimeSeries(
            "Memory by part",
            "Memory of each part's processes; what several share is divided among them (host source).",
            Query(
                f"sum by(component) ({pick('airflow_component:process_memory_bytes:sum', **PART)} > 0)", "{{component}}"
            ),
        )
        .unit("bytes")
        .stacked()
        .no_value(NO_HOST),
        TimeSeries(
            "Disk by part",
            "Bytes a second that each part's processes read from disks and write, over all hosts (host source).",
            Query(
                f"sum by(component) ({host_rate('airflow_process_read_bytes_total', **PART)}) > 0",
                "{{component}} reads",
            ),
            Query(
                f"sum by(component) ({host_rate('airflow_process_written_bytes_total', **PART)}) > 0",
                "{{component}} writes",
            ),
        )
        .unit("Bps")
        .size(24, 7)
        .no_value("no part uses a disk, or needs the host source"),
        Table(
            "Parts now",
            "Processes, files and threads of each part on each host (host source); growth is what its process that"
            " grew most"
            " has gained since it had settled.",
            {"component": Key("Part", width=150), "instance": Key("Host")},
            [
                Column("Processes", f"{pick('airflow_processes', **PART)} > 0", decimals=0, width=100),
                Column("Memory", pick("airflow_component:process_memory_bytes:sum", **PART), "bytes", width=100),
                Column(
                    "Growth",
                    f"max by(component, instance) ({pick('airflow_process_memory_growth_bytes', **PART)})",
                    "bytes",
                    width=100,
                ),
                Column("Open files", pick("airflow_process_open_fds", **PART), decimals=0, width=100),
                Column("Threads", pick("airflow_process_threads", **PART), decimals=0, width=90),
                Column(
                    "Oldest started",
                    f"1000 * max by(component, instance) ({pick(OLDEST, **PART)})",
                    "dateTimeFromNow",
                    width=140,
                ),
                Column(
                    "Newest started",
                    f"1000 * max by(component, instance) ({pick(NEWEST, **PART)})",
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
    "What is used of what is provided: by machine, by part of Airflow, and by task.",
    (*COMMON, WORKER, COMPONENT, AIRFLOW_URL),
    [OVERVIEW, PARTS, TASKS, LIMITS],
    CHANGES,
)
