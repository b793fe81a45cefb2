"""Resources used by tasks, from the processes of their tries."""

from functools import partial

from exporter.metrics.family import Family, Kind

PER_TASK = 20_000
MEBI, GIBI = 1024.0**2, 1024.0**3

gauge = partial(Family, kind=Kind.GAUGE, source="host", reader="processes", labels=("dag_id", "task_id"), cap=PER_TASK)
counter = partial(
    Family, kind=Kind.COUNTER, source="host", reader="processes", labels=("dag_id", "task_id"), cap=PER_TASK
)
histogram = partial(Family, kind=Kind.HISTOGRAM, source="host", reader="processes", labels=("dag_id",), cap=2_000)

CPU = counter(
    "airflow_task_cpu_seconds_total",
    help="CPU time used by the task's processes; _unknown if the name of the task is not known",
    origin="/proc/PID/stat: utime, stime, cutime, cstime",
)
MEMORY = gauge(
    "airflow_task_memory_bytes",
    help="Proportional memory (PSS) of the task's running processes",
    origin="/proc/PID/smaps_rollup: Pss",
)
PEAK = gauge(
    "airflow_task_peak_resident_memory_bytes",
    help="Highest resident memory of one process of the task in the last 24 hours",
    origin="/proc/PID/status: VmHWM",
)
READ = counter(
    "airflow_task_read_bytes_total",
    help="Bytes that the task's processes read from disks",
    origin="/proc/PID/io: read_bytes",
)
WRITTEN = counter(
    "airflow_task_written_bytes_total",
    help="Bytes that the task's processes wrote to disks",
    origin="/proc/PID/io: write_bytes",
)
RECEIVED = counter(
    "airflow_task_network_receive_bytes_total",
    help="Bytes received by the task; only if it has its own network namespace",
    origin="/proc/PID/net/dev",
)
SENT = counter(
    "airflow_task_network_transmit_bytes_total",
    help="Bytes sent by the task; only if it has its own network namespace",
    origin="/proc/PID/net/dev",
)
PEAK_GROWTH = gauge(
    "airflow_task_peak_memory_growth_ratio",
    help="Peak memory of the task's newest tries over that of the oldest ones remembered, at least five in all: above "
    "1 it grows from try to try",
    origin="/proc/PID/status: VmHWM",
)
TRY_CPU = histogram(
    "airflow_task_try_cpu_seconds",
    help="CPU time used by a try; a deferred try counts once for each part between deferrals",
    origin="/proc/PID/stat: utime, stime, cutime, cstime",
    buckets=(0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 7200.0),
)
TRY_PEAK = histogram(
    "airflow_task_try_peak_memory_bytes",
    help="Highest resident memory of one process of a try",
    origin="/proc/PID/status: VmHWM",
    buckets=(64 * MEBI, 128 * MEBI, 256 * MEBI, 512 * MEBI, GIBI, 2 * GIBI, 4 * GIBI, 8 * GIBI, 16 * GIBI, 64 * GIBI),
)

FAMILIES = (CPU, MEMORY, PEAK, PEAK_GROWTH, READ, WRITTEN, RECEIVED, SENT, TRY_CPU, TRY_PEAK)
