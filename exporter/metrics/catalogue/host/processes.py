"""Airflow's own processes, by the component that they belong to."""

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
"""What a process of Airflow may be; `task_supervisor` watches over one task's process, `other` is any other command."""

UNREADABLE_FILES = ("stat", "io", "status", "fd", "smaps_rollup", "cmdline", "net")
"""Files of a process that may be kept from us."""

COMPONENT = {"component": COMPONENTS}
gauge = partial(Family, kind=Kind.GAUGE, source="host", reader="processes", labels=("component",))
counter = partial(Family, kind=Kind.COUNTER, source="host", reader="processes", labels=("component",))

PROCESSES = gauge(
    "airflow_processes",
    help="Main processes of the component, such as one for each worker; children that only help one are not counted",
    origin="/proc/PID/cmdline, /proc/PID/stat: ppid",
    closed=COMPONENT,
)
CPU = counter(
    "airflow_process_cpu_seconds_total",
    help="CPU time that the component's processes used, with those that have ended; tasks are not in it",
    origin="/proc/PID/stat: utime, stime, cutime, cstime",
    closed=COMPONENT,
)
RESIDENT = gauge(
    "airflow_process_resident_memory_bytes",
    help="Resident memory of the component's processes; what forked processes share is counted for each of them",
    origin="/proc/PID/stat: rss",
)
PROPORTIONAL = gauge(
    "airflow_process_proportional_memory_bytes",
    help="Proportional memory (PSS) of the component's processes: what several share is divided among them",
    origin="/proc/PID/smaps_rollup: Pss",
)
GROWTH = gauge(
    "airflow_process_memory_growth_bytes",
    help="Anonymous memory that the process of the component that grew most has gained since it had settled",
    origin="/proc/PID/status: RssAnon",
)
OPEN_FDS = gauge(
    "airflow_process_open_fds",
    help="File descriptors that the component's processes have open",
    origin="/proc/PID/fd",
)
OPEN_FDS_RATIO = gauge(
    "airflow_process_open_fds_ratio",
    help="Share of the file descriptors that it may have open, of the component's process that is nearest to its limit",
    origin="/proc/PID/fd, /proc/PID/limits: Max open files",
)
THREADS = gauge(
    "airflow_process_threads",
    help="Threads of the component's processes",
    origin="/proc/PID/stat: num_threads",
)
READ = counter(
    "airflow_process_read_bytes_total",
    help="Bytes that the component's processes had fetched from disks",
    origin="/proc/PID/io: read_bytes",
)
WRITTEN = counter(
    "airflow_process_written_bytes_total",
    help="Bytes that the component's processes sent to disks",
    origin="/proc/PID/io: write_bytes",
)
SWITCHES = counter(
    "airflow_process_context_switches_total",
    help="Context switches of the main threads of the component's processes",
    origin="/proc/PID/status: voluntary_ctxt_switches, nonvoluntary_ctxt_switches",
    audience="those who look at why a component is slow: many switches for little CPU are lock contention or waiting",
)
OLDEST_START = gauge(
    "airflow_process_oldest_start_timestamp_seconds",
    help="When the oldest main process of the component was started",
    origin="/proc/PID/stat: starttime",
)
NEWEST_START = gauge(
    "airflow_process_newest_start_timestamp_seconds",
    help="When the newest main process of the component was started",
    origin="/proc/PID/stat: starttime",
)
OTHER_CPU = Family(
    "airflow_host_other_cpu_seconds_total",
    Kind.COUNTER,
    help="CPU time that processes used which are not Airflow's: with the components' and the tasks' it is that of all",
    source="host",
    reader="processes",
    origin="/proc/PID/stat: utime, stime, cutime, cstime",
)
SEEN = Family(
    "airflow_exporter_host_processes",
    Kind.GAUGE,
    help="Processes that the newest walk over /proc found, whatever they are",
    source="host",
    reader="processes",
    origin="/proc",
)
UNREADABLE = Family(
    "airflow_exporter_host_unreadable_processes",
    Kind.GAUGE,
    help="Airflow's processes (stat: any) of which a file could not be read; what it would tell is absent, not 0",
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
