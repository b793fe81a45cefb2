"""The exporter's own process, under the names that Prometheus' client libraries use."""

from functools import partial

from exporter.metrics.family import Family, Kind

STANDARD = "dashboards and alerts for any Python process that exposes the standard metrics"
GENERATIONS = ("0", "1", "2")

gauge = partial(Family, kind=Kind.GAUGE)
counter = partial(Family, kind=Kind.COUNTER)
gc_counter = partial(
    counter, labels=("generation",), origin="gc.get_stats", closed={"generation": GENERATIONS}, audience=STANDARD
)

CPU = counter(
    "process_cpu_seconds_total",
    help="User and system CPU time used by the exporter",
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
    audience=STANDARD,
)
START_TIME = gauge(
    "process_start_time_seconds",
    help="Start time of the exporter, in Unix seconds",
    origin="/proc/self/stat, /proc/stat",
)
OPEN_FDS = gauge(
    "process_open_fds",
    help="Open file descriptors of the exporter",
    origin="/proc/self/fd",
)
MAX_FDS = gauge(
    "process_max_fds",
    help="Limit of open file descriptors of the exporter",
    origin="/proc/self/limits",
)
PYTHON = gauge(
    "python_info",
    help="The Python that runs the exporter, value 1",
    labels=("implementation", "major", "minor", "patchlevel", "version"),
    origin="platform",
    audience=STANDARD,
)
GC_COLLECTED = gc_counter("python_gc_objects_collected_total", help="Objects collected by Python's garbage collector")
GC_UNCOLLECTABLE = gc_counter(
    "python_gc_objects_uncollectable_total", help="Uncollectable objects found by Python's garbage collector"
)
GC_COLLECTIONS = gc_counter("python_gc_collections_total", help="Runs of Python's garbage collector by generation")

FAMILIES = (
    CPU,
    RESIDENT_MEMORY,
    VIRTUAL_MEMORY,
    START_TIME,
    OPEN_FDS,
    MAX_FDS,
    PYTHON,
    GC_COLLECTED,
    GC_UNCOLLECTABLE,
    GC_COLLECTIONS,
)
