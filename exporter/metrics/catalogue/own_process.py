"""The exporter's own process, under the names that Prometheus' client libraries use."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(Family, kind=Kind.GAUGE)
counter = partial(Family, kind=Kind.COUNTER)

CPU = counter(
    "process_cpu_seconds_total",
    help="CPU time that the exporter used, user and system",
    origin="/proc/self/stat",
)
RESIDENT_MEMORY = gauge(
    "process_resident_memory_bytes",
    help="Resident memory of the exporter",
    origin="/proc/self/stat",
)
VIRTUAL_MEMORY = gauge(
    "process_virtual_memory_bytes",
    help="Virtual memory of the exporter",
    origin="/proc/self/stat",
    audience="tools that expect the standard metrics of a process",
)
START_TIME = gauge(
    "process_start_time_seconds",
    help="When the exporter was started, in Unix seconds",
    origin="/proc/self/stat, /proc/stat",
)
OPEN_FDS = gauge(
    "process_open_fds",
    help="File descriptors that the exporter has open",
    origin="/proc/self/fd",
)
MAX_FDS = gauge(
    "process_max_fds",
    help="File descriptors that the exporter may have open",
    origin="/proc/self/limits",
)

FAMILIES = (
    CPU,
    RESIDENT_MEMORY,
    VIRTUAL_MEMORY,
    START_TIME,
    OPEN_FDS,
    MAX_FDS,
)
