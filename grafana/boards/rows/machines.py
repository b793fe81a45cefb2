"""Control groups, disks, swap and network of hosts."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import BLUE, GREEN, NO_HOST, ORANGE, RED, YELLOW, Query, rising
from grafana.boards.kit.promql import HOST, host_rate, pick
from grafana.boards.kit.table import Column, Key, Table

BUSY = rising(0.8, 0.95)
TIGHT = rising(0.85, 0.95)
SCARCE = ((None, RED), (0.1, YELLOW), (0.2, GREEN))


def busiest_disks(family: str) -> str:
    """Bytes per second of the busiest disks of the selected time range."""
    gained = f"increase({pick(family, **HOST)}[$__range] @ end())"
    return f"{host_rate(family, **HOST)} and on(instance, device) topk by(instance) (4, {gained} > 0)"


def disk_time(operation: str) -> str:
    """The mean duration of a read or a write, over all disks of a host."""
    spent = host_rate(f"airflow_host_disk_{operation}_seconds_total", **HOST)
    done = host_rate(f"airflow_host_disk_{operation}s_total", **HOST)
    return f"sum by(instance) ({spent}) / (sum by(instance) ({done}) > 0)"


LIMITS = Row(
    "Control groups, disks and network",
    [
        Table(
            "Control groups",
            "Containers and slices with a limit: usage, memory with page cache, CPU throttling and OOM"
            " kills. If a group is throttled or its memory is nearly full, raise its limit. Source: host.",
            {"instance": Key("Host", width=150), "cgroup": Key("Control group")},
            [
                Column(
                    "Memory",
                    pick("airflow_cgroup:memory_used:ratio", **HOST),
                    "percentunit",
                    thresholds=TIGHT,
                    bar=True,
                    width=120,
                ),
                Column(
                    "With page cache",
                    f"max by(instance, cgroup) ({pick('airflow_cgroup_memory_bytes', **HOST)})",
                    "bytes",
                    width=110,
                ),
                Column(
                    "CPU",
                    pick("airflow_cgroup:cpu_used:ratio_rate5m", **HOST),
                    "percentunit",
                    thresholds=BUSY,
                    bar=True,
                    width=120,
                ),
                Column(
                    "Throttled",
                    pick("airflow_cgroup:cpu_throttled:ratio_rate5m", **HOST),
                    "percentunit",
                    thresholds=((None, "text"), (0.25, YELLOW)),
                    decimals=0,
                    width=85,
                ),
                Column(
                    "Throttled time",
                    f"sum by(instance, cgroup) (increase({pick('airflow_cgroup_cpu_throttled_seconds_total', **HOST)}"
                    "[$__range]))",
                    "s",
                    decimals=0,
                    width=100,
                ),
                Column(
                    "OOM kills",
                    f"increase({pick('airflow_cgroup_oom_kills_total', **HOST)}[$__range])",
                    decimals=0,
                    thresholds=((None, "text"), (1, RED)),
                    width=80,
                ),
            ],
        )
        .size(16)
        .no_value("no limits, or needs the host source"),
        Table(
            "Filesystems",
            "Free space and free inodes for users, as a share of the total. Source: host.",
            {"instance": Key("Host", width=150), "mountpoint": Key("Mounted at")},
            [
                Column(
                    "Free space",
                    f"min by(instance, mountpoint) ({pick('airflow_host:filesystem_available:ratio', **HOST)})",
                    "percentunit",
                    thresholds=SCARCE,
                    bar=True,
                    width=110,
                ),
                Column(
                    "Free inodes",
                    f"min by(instance, mountpoint) ({pick('airflow_host:filesystem_files_free:ratio', **HOST)})",
                    "percentunit",
                    thresholds=SCARCE,
                    bar=True,
                    width=110,
                ),
            ],
        )
        .size(8)
        .no_value(NO_HOST)
        .sort_by("Free space", ascending=True),
        TimeSeries(
            "Network I/O",
            "Bytes per second that hosts receive and send. Source: host.",
            Query(
                f"sum by(instance) ({host_rate('airflow_host_network_receive_bytes_total', **HOST)})",
                "{{instance}} in",
            ),
            Query(
                f"sum by(instance) ({host_rate('airflow_host_network_transmit_bytes_total', **HOST)})",
                "{{instance}} out",
            ),
        )
        .unit("Bps")
        .no_value(NO_HOST),
        TimeSeries(
            "Disk I/O",
            "Bytes per second read from and written to disks, for the four busiest disks of each host. Source: host.",
            Query(busiest_disks("airflow_host_disk_read_bytes_total"), "{{instance}} {{device}} read"),
            Query(busiest_disks("airflow_host_disk_written_bytes_total"), "{{instance}} {{device}} written"),
        )
        .unit("Bps")
        .no_value(NO_HOST),
        TimeSeries(
            "Disk latency",
            "Mean duration of a read and a write, including queueing, over all disks of a host. Source: host.",
            Query(disk_time("read"), "{{instance}} read"),
            Query(disk_time("write"), "{{instance}} write"),
        )
        .unit("s")
        .no_value(NO_HOST),
        TimeSeries(
            "Pressure: all waiting",
            "Share of time in which all processes waited for memory or disk at once, on the worst host:"
            " nothing made progress. Source: host.",
            Query(
                f"max by(resource) ({host_rate('airflow_host_pressure_stalled_seconds_total', **HOST)})", "{{resource}}"
            ),
        )
        .unit("percentunit")
        .maximum(1)
        .colors({"cpu": BLUE, "memory": RED, "io": ORANGE})
        .no_value("needs the host source, and a kernel with PSI"),
        TimeSeries(
            "Swap",
            "Swap space by state, over all hosts. Source: host.",
            Query(f"sum by(state) ({pick('airflow_host_swap_bytes', **HOST)})", "{{state}}"),
        )
        .unit("bytes")
        .stacked()
        .size(8)
        .no_value(NO_HOST),
        TimeSeries(
            "Swap I/O",
            "Bytes per second read from swap and written to it. Steady reads mean that memory is too small."
            " Source: host.",
            Query(pick("airflow_host:swap_in_bytes:rate5m", **HOST), "{{instance}} in"),
            Query(host_rate("airflow_host_swap_out_bytes_total", **HOST), "{{instance}} out"),
        )
        .unit("Bps")
        .size(8)
        .no_value(NO_HOST),
        TimeSeries(
            "OOM kills per minute",
            "Processes that the kernel killed because memory ran out, in any control group. Give the host"
            " more memory, or run fewer tasks at once. Source: host.",
            Query(f"60 * {host_rate('airflow_host_oom_kills_total', **HOST)}", "{{instance}}"),
        )
        .unit("short")
        .size(8)
        .no_value(NO_HOST),
    ],
)
