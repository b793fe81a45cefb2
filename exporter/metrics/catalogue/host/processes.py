"""Airflow's processes by component."""

from functools import partial

from exporter.metrics.family import Family, Kind

COMPONENTS = (
    "scheduler",
    "local_executor",
    "local_worker",
    "dag_processor",
    "dag_file_processor",
    "triggerer",
    "api_server",
    "web_server",
    "celery_worker",
    "celery_pool",
    "edge_worker",
    "task_supervisor",
    "flower",
    "log_server",
    "other",
)
"""Components of Airflow. `task_supervisor` supervises the process of one task; `other` is any other command."""

UNREADABLE_FILES = ("stat", "io", "status", "fd", "smaps_rollup", "cmdline", "net")
"""Files of a process that may not be readable."""

COMPONENT = {"component": COMPONENTS}
gauge = partial(Family, kind=Kind.GAUGE, source="host", reader="processes", labels=("component",))
counter = partial(Family, kind=Kind.COUNTER, source="host", reader="processes", labels=("component",))

PROCESSES = gauge(
    "airflow_processes",
    help="Main processes of the component, such as one per worker; child processes that only assist are not counted",
    origin="/proc/PID/cmdline, /proc/PID/stat: ppid",
    closed=COMPONENT,
)
CPU = counter(
    "airflow_process_cpu_seconds_total",
    help="CPU time used by the component's processes, including those that have ended, excluding tasks",
    origin="/proc/PID/stat: utime, stime, cutime, cstime",
    closed=COMPONENT,
)
RESIDENT = gauge(
    "airflow_process_resident_memory_bytes",
    help="Resident memory of the component's processes; shared memory is counted once per process",
    origin="/proc/PID/stat: rss",
)
PROPORTIONAL = gauge(
    "airflow_process_proportional_memory_bytes",
    help="Proportional memory (PSS) of the component's processes: shared memory is divided among its users",
    origin="/proc/PID/smaps_rollup: Pss",
)
GROWTH = gauge(
    "airflow_process_memory_growth_bytes",
    help="Growth of anonymous memory since 5 minutes after the start, of the component's process that grew most",
    origin="/proc/PID/status: RssAnon",
)
OPEN_FDS = gauge(
    "airflow_process_open_fds",
    help="Open file descriptors of the component's processes",
    origin="/proc/PID/fd",
)
OPEN_FDS_RATIO = gauge(
    "airflow_process_open_fds_ratio",
    help="Open file descriptors divided by their limit, of the component's process that is nearest to its limit",
    origin="/proc/PID/fd, /proc/PID/limits: Max open files",
)
THREADS = gauge(
    "airflow_process_threads",
    help="Threads of the component's processes",
    origin="/proc/PID/stat: num_threads",
)
READ = counter(
    "airflow_process_read_bytes_total",
    help="Bytes that the component's processes read from disks",
    origin="/proc/PID/io: read_bytes",
)
WRITTEN = counter(
    "airflow_process_written_bytes_total",
    help="Bytes that the component's processes wrote to disks",
    origin="/proc/PID/io: write_bytes",
)
SWITCHES = counter(
    "airflow_process_context_switches_total",
    help="Context switches of the main threads of the component's processes",
    origin="/proc/PID/status: voluntary_ctxt_switches, nonvoluntary_ctxt_switches",
    audience="finding out why a component is slow: many switches with little CPU mean lock contention or waiting",
)
OLDEST_START = gauge(
    "airflow_process_oldest_start_timestamp_seconds",
    help="Start time of the oldest main process of the component, in Unix seconds",
    origin="/proc/PID/stat: starttime",
)
NEWEST_START = gauge(
    "airflow_process_newest_start_timestamp_seconds",
    help="Start time of the newest main process of the component, in Unix seconds",
    origin="/proc/PID/stat: starttime",
)
OTHER_CPU = Family(
    "airflow_host_other_cpu_seconds_total",
    Kind.COUNTER,
    help="CPU time of all processes that are not Airflow's; components + tasks + this = all processes",
    source="host",
    reader="processes",
    origin="/proc/PID/stat: utime, stime, cutime, cstime",
)
SEEN = Family(
    "airflow_exporter_host_processes",
    Kind.GAUGE,
    help="All processes found by the last scan of /proc",
    source="host",
    reader="processes",
    origin="/proc",
)
UNREADABLE = Family(
    "airflow_exporter_host_unreadable_processes",
    Kind.GAUGE,
    help="Airflow's processes (for stat: any process) with an unreadable file; series that need it are absent, not 0",
    labels=("file", "reason"),
    source="host",
    reader="processes",
    origin="/proc/PID",
    closed={"file": UNREADABLE_FILES, "reason": ("permission", "missing", "malformed", "failed")},
)

FAMILIES = (
    PROCESSES,
    CPU,
    RESIDENT,
    PROPORTIONAL,
    GROWTH,
    OPEN_FDS,
    OPEN_FDS_RATIO,
    THREADS,
    READ,
    WRITTEN,
    SWITCHES,
    OLDEST_START,
    NEWEST_START,
    OTHER_CPU,
    SEEN,
    UNREADABLE,
)
