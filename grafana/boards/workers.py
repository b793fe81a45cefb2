"""Workers and hosts: what is used of what is provided, by machine, by part of Airflow, and by task."""

from __future__ import annotations

from grafana.boards import link
from grafana.boards.annotation import CHANGES
from grafana.boards.dashboard import Dashboard, Row
from grafana.boards.draw import graph
from grafana.boards.panel import BLUE, GREEN, NO_HOST, ORANGE, RED, YELLOW, Query, colored, rising
from grafana.boards.promql import HOST, host_rate, largest, pick
from grafana.boards.table import Column, Key, table
from grafana.boards.usage import TASKS
from grafana.boards.variable import AIRFLOW_URL, COMMON, COMPONENT, WORKER

PART = {**HOST, "component": "~$component"}
BUSY = rising(0.8, 0.95)
TIGHT = rising(0.85, 0.95)
STARTED = "airflow_process_oldest_start_timestamp_seconds"
SCARCE = ((None, RED), (0.1, YELLOW), (0.2, GREEN))


def most(recorded: str, **labels: str) -> str:
    """The largest of a host's readings."""
    return f"max by(instance) ({pick(recorded, **HOST, **labels)})"


OVERVIEW = Row(
    "Hosts",
    [
        table(
            "Hosts now",
            "Every host that an exporter reads (host source): what is in use, and whether anything waits for CPU,"
            " memory or disk.",
            {"instance": Key("Host", [link.board("airflow-workers", "This host", worker=link.cell("Host"))])},
            [
                Column("CPUs", most("airflow_host_cpus"), decimals=0, width=70),
                Column(
                    "CPU", most("airflow_host:cpu_used:ratio_rate5m"), "percentunit", steps=BUSY, bar=True, width=180
                ),
                Column(
                    "Memory", most("airflow_host:memory_used:ratio"), "percentunit", steps=TIGHT, bar=True, width=180
                ),
                Column(
                    "Swapping in",
                    most("airflow_host:swap_in_bytes:rate5m"),
                    "Bps",
                    steps=((None, "text"), (100_000, RED)),
                    width=110,
                ),
                Column(
                    "Fullest disk",
                    f"1 - min by(instance) ({pick('airflow_host:filesystem_available:ratio', **HOST)})",
                    "percentunit",
                    steps=TIGHT,
                    bar=True,
                    width=180,
                ),
                Column(
                    "Waits for CPU",
                    most("airflow_host:pressure_waiting:ratio_rate5m", resource="cpu"),
                    "percentunit",
                    steps=((None, "text"), (0.5, YELLOW)),
                    decimals=0,
                    width=120,
                ),
                Column(
                    "Waits for memory",
                    most("airflow_host:pressure_waiting:ratio_rate5m", resource="memory"),
                    "percentunit",
                    steps=((None, "text"), (0.1, RED)),
                    decimals=0,
                    width=140,
                ),
            ],
            sort="CPU",
            width=24,
            height=6,
            no_value=NO_HOST,
        ),
        graph(
            "CPU",
            "The share of all its CPUs that each host uses; waiting for disks is no use (host source).",
            Query(pick("airflow_host:cpu_used:ratio_rate5m", **HOST), "{{instance}}"),
            "percentunit",
            ceiling=1,
            no_value=NO_HOST,
        ),
        graph(
            "Memory",
            "The share of its memory that programs cannot get any more, by host (host source).",
            Query(pick("airflow_host:memory_used:ratio", **HOST), "{{instance}}"),
            "percentunit",
            ceiling=1,
            no_value=NO_HOST,
        ),
        graph(
            "Waiting for CPU, memory, disks",
            "The share of time in which some process waited for it, on the host where it is worst (host source).",
            Query(f"max by(resource) ({pick('airflow_host:pressure_waiting:ratio_rate5m', **HOST)})", "{{resource}}"),
            "percentunit",
            ceiling=1,
            overrides=colored({"cpu": BLUE, "memory": RED, "io": ORANGE}),
            no_value="needs the host source, and a kernel with PSI",
        ),
        graph(
            "Busiest disks",
            "The share of time in which a disk had something to do; the ten busiest (host source).",
            Query(
                largest(8, pick("airflow_host:disk_busy:ratio_rate5m", **HOST), "instance", "device"),
                "{{instance}} {{device}}",
            ),
            "percentunit",
            ceiling=1,
            no_value=NO_HOST,
        ),
    ],
)
PARTS = Row(
    "Parts of Airflow",
    [
        graph(
            "CPU by part",
            "CPUs that each part of Airflow uses, over all hosts; the tasks themselves are below (host source).",
            Query(
                f"sum by(component) ({pick('airflow_component:process_cpu_seconds:rate5m', **PART)} > 0)",
                "{{component}}",
            ),
            "none",
            stacked=True,
            no_value=NO_HOST,
        ),
        graph(
            "Memory by part",
            "Memory of each part's processes; what several share is divided among them (host source).",
            Query(
                f"sum by(component) ({pick('airflow_component:process_memory_bytes:sum', **PART)} > 0)", "{{component}}"
            ),
            "bytes",
            stacked=True,
            no_value=NO_HOST,
        ),
        table(
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
                    "Started",
                    f"1000 * max by(component, instance) ({pick(STARTED, **PART)})",
                    "dateTimeFromNow",
                    width=140,
                ),
            ],
            sort="Memory",
            width=24,
            height=8,
            no_value=NO_HOST,
        ),
    ],
)
LIMITS = Row(
    "Limits of control groups, disks and network",
    [
        table(
            "Control groups",
            "Containers and slices with a limit: what they use of it, and how often they were held back (host source).",
            {"instance": Key("Host", width=160), "cgroup": Key("Control group")},
            [
                Column(
                    "Memory",
                    pick("airflow_cgroup:memory_used:ratio", **HOST),
                    "percentunit",
                    steps=TIGHT,
                    bar=True,
                    width=150,
                ),
                Column(
                    "CPU",
                    pick("airflow_cgroup:cpu_used:ratio_rate5m", **HOST),
                    "percentunit",
                    steps=BUSY,
                    bar=True,
                    width=150,
                ),
                Column(
                    "Held back",
                    pick("airflow_cgroup:cpu_throttled:ratio_rate5m", **HOST),
                    "percentunit",
                    steps=((None, "text"), (0.25, YELLOW)),
                    decimals=0,
                    width=110,
                ),
                Column(
                    "OOM kills",
                    f"increase({pick('airflow_cgroup_oom_kills_total', **HOST)}[$__range])",
                    decimals=0,
                    steps=((None, "text"), (1, RED)),
                    width=100,
                ),
            ],
            no_value="no limits, or needs the host source",
        ),
        table(
            "Filesystems",
            "What is left for users, as a share of the size: of bytes, and of files (host source).",
            {"instance": Key("Host", width=160), "mountpoint": Key("Mounted at")},
            [
                Column(
                    "Bytes left",
                    f"min by(instance, mountpoint) ({pick('airflow_host:filesystem_available:ratio', **HOST)})",
                    "percentunit",
                    steps=SCARCE,
                    bar=True,
                    width=160,
                ),
                Column(
                    "Files left",
                    f"min by(instance, mountpoint) ({pick('airflow_host:filesystem_files_free:ratio', **HOST)})",
                    "percentunit",
                    steps=SCARCE,
                    bar=True,
                    width=160,
                ),
            ],
            ascending=True,
            no_value=NO_HOST,
        ),
        graph(
            "Network",
            "Bytes a second that hosts receive and send (host source).",
            [
                Query(
                    f"sum by(instance) ({host_rate('airflow_host_network_receive_bytes_total', **HOST)})",
                    "{{instance}} in",
                ),
                Query(
                    f"sum by(instance) ({host_rate('airflow_host_network_transmit_bytes_total', **HOST)})",
                    "{{instance}} out",
                ),
            ],
            "Bps",
            no_value=NO_HOST,
        ),
        graph(
            "Back from swap",
            "Bytes a second that come back from swap: memory was too small for what ran (host source).",
            Query(pick("airflow_host:swap_in_bytes:rate5m", **HOST), "{{instance}}"),
            "Bps",
            width=6,
            no_value=NO_HOST,
        ),
        graph(
            "Killed for want of memory",
            "Processes a minute that the kernel killed since memory ran out, in any control group (host source).",
            Query(f"60 * {host_rate('airflow_host_oom_kills_total', **HOST)}", "{{instance}}"),
            "short",
            width=6,
            no_value=NO_HOST,
        ),
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
