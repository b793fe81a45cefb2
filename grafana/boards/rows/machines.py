"""The limits of machines: control groups, disks, memory, network."""

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
    """Bytes a second of the disks that moved most in all the time shown."""
    gained = f"increase({pick(family, **HOST)}[$__range] @ end())"
    return f"{host_rate(family, **HOST)} and on(instance, device) topk by(instance) (4, {gained} > 0)"


def disk_time(operation: str) -> str:
    """The mean time of a read or a write, over all disks of a host."""
    spent = host_rate(f"airflow_host_disk_{operation}_seconds_total", **HOST)
    done = host_rate(f"airflow_host_disk_{operation}s_total", **HOST)
    return f"sum by(instance) ({spent}) / (sum by(instance) ({done}) > 0)"


LIMITS = Row(
    "Limits of control groups, disks and network",
    [
        Table(
            "Control groups",
            "Containers and slices with a limit: what they use of it, memory with the page cache, how often they were"
            " held back and how long altogether (host source).",
            {"instance": Key("Host", width=160), "cgroup": Key("Control group")},
            [
                Column(
                    "Memory",
                    pick("airflow_cgroup:memory_used:ratio", **HOST),
                    "percentunit",
                    thresholds=TIGHT,
                    bar=True,
                    width=150,
                ),
                Column(
                    "With cache",
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
                    width=150,
                ),
                Column(
                    "Held back",
                    pick("airflow_cgroup:cpu_throttled:ratio_rate5m", **HOST),
                    "percentunit",
                    thresholds=((None, "text"), (0.25, YELLOW)),
                    decimals=0,
                    width=110,
                ),
                Column(
                    "Lost by it",
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
                    width=100,
                ),
            ],
        ).no_value("no limits, or needs the host source"),
        Table(
            "Filesystems",
            "What is left for users, as a share of the size: of bytes, and of files (host source).",
            {"instance": Key("Host", width=160), "mountpoint": Key("Mounted at")},
            [
                Column(
                    "Bytes left",
                    f"min by(instance, mountpoint) ({pick('airflow_host:filesystem_available:ratio', **HOST)})",
                    "percentunit",
                    thresholds=SCARCE,
                    bar=True,
                    width=160,
                ),
                Column(
                    "Files left",
                    f"min by(instance, mountpoint) ({pick('airflow_host:filesystem_files_free:ratio', **HOST)})",
                    "percentunit",
                    thresholds=SCARCE,
                    bar=True,
                    width=160,
                ),
            ],
        )
        .no_value(NO_HOST)
        .sort_by("Bytes left", ascending=True),
        TimeSeries(
            "Network",
            "Bytes a second that hosts receive and send (host source).",
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
            "Disks: bytes a second",
            "Bytes a second that disks read and write, of the four busiest of each host (host source).",
            Query(busiest_disks("airflow_host_disk_read_bytes_total"), "{{instance}} {{device}} read"),
            Query(busiest_disks("airflow_host_disk_written_bytes_total"), "{{instance}} {{device}} written"),
        )
        .unit("Bps")
        .no_value(NO_HOST),
        TimeSeries(
            "Disks: time of an operation",
            "How long a read and a write take on average, queueing included, over all disks of a host (host source).",
            Query(disk_time("read"), "{{instance}} read"),
            Query(disk_time("write"), "{{instance}} write"),
        )
        .unit("s")
        .no_value(NO_HOST),
        TimeSeries(
            "Standing still",
            "The share of time in which all processes waited at once for memory or disks, on the host where it is"
            " worst: nothing got on (host source).",
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
            "Swap space by state, over all hosts (host source).",
            Query(f"sum by(state) ({pick('airflow_host_swap_bytes', **HOST)})", "{{state}}"),
        )
        .unit("bytes")
        .stacked()
        .size(8)
        .no_value(NO_HOST),
        TimeSeries(
            "To and from swap",
            "Bytes a second that come back from swap, because memory was too small for what ran, and that go there"
            " (host source).",
            Query(pick("airflow_host:swap_in_bytes:rate5m", **HOST), "{{instance}} in"),
            Query(host_rate("airflow_host_swap_out_bytes_total", **HOST), "{{instance}} out"),
        )
        .unit("Bps")
        .size(8)
        .no_value(NO_HOST),
        TimeSeries(
            "Killed for want of memory",
            "Processes a minute that the kernel killed since memory ran out, in any control group (host source).",
            Query(f"60 * {host_rate('airflow_host_oom_kills_total', **HOST)}", "{{instance}}"),
        )
        .unit("short")
        .size(8)
        .no_value(NO_HOST),
    ],
)
