"""The machine, and the control groups that limit what Airflow may use of it."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(Family, kind=Kind.GAUGE, source="host", reader="machine", cap=500)
counter = partial(Family, kind=Kind.COUNTER, source="host", reader="machine", cap=500)
device_counter = partial(counter, labels=("device",), origin="/proc/diskstats")
mount_gauge = partial(gauge, labels=("device", "mountpoint", "fstype"), origin="statvfs")
group_gauge = partial(gauge, labels=("cgroup",))
group_counter = partial(counter, labels=("cgroup",))

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
MEMORY_STATES = ("used", "free", "buffers", "cached")
SWAP_STATES = ("used", "free")
PARTS = ("cpu", "load", "memory", "vmstat", "disks", "filesystems", "network", "pressure", "cgroups")
"""The parts that the reader of the machine reads one by one."""
REASONS = ("permission", "missing", "malformed", "failed", "namespace")

CPU = counter(
    "airflow_host_cpu_seconds_total",
    help="CPU time of the machine by mode, summed over all CPUs",
    labels=("mode",),
    origin="/proc/stat",
    closed={"mode": MODES},
)
CPU_USAGE = gauge(
    "airflow_host_cpu_usage_ratio",
    help="Share of CPU time that was busy since the last reading, over all CPUs; waiting for disks is not busy",
    origin="/proc/stat",
    audience="setups without recording rules; dashboards use the rate of airflow_host_cpu_seconds_total",
)
CPUS = gauge("airflow_host_cpus", help="Online CPUs", origin="/proc/stat")
LOAD1 = gauge("airflow_host_load1", help="Load average over 1 minute", origin="/proc/loadavg")
LOAD5 = gauge("airflow_host_load5", help="Load average over 5 minutes", origin="/proc/loadavg")
LOAD15 = gauge("airflow_host_load15", help="Load average over 15 minutes", origin="/proc/loadavg")
MEMORY = gauge(
    "airflow_host_memory_bytes",
    help="Memory of the machine by state; the sum of the states is the total",
    labels=("state",),
    origin="/proc/meminfo",
    closed={"state": MEMORY_STATES},
)
AVAILABLE = gauge(
    "airflow_host_memory_available_bytes",
    help="Memory that is available to programs without swapping",
    origin="/proc/meminfo: MemAvailable",
)
SWAP = gauge(
    "airflow_host_swap_bytes",
    help="Swap space by state",
    labels=("state",),
    origin="/proc/meminfo",
    closed={"state": SWAP_STATES},
)
SWAPPED_IN = counter("airflow_host_swap_in_bytes_total", help="Bytes read from swap", origin="/proc/vmstat: pswpin")
SWAPPED_OUT = counter("airflow_host_swap_out_bytes_total", help="Bytes written to swap", origin="/proc/vmstat: pswpout")
OOM_KILLS = counter(
    "airflow_host_oom_kills_total",
    help="Processes that the kernel OOM-killed, in any control group",
    origin="/proc/vmstat: oom_kill",
)
DISK_READ = device_counter("airflow_host_disk_read_bytes_total", help="Bytes read")
DISK_WRITTEN = device_counter("airflow_host_disk_written_bytes_total", help="Bytes written")
DISK_READS = device_counter("airflow_host_disk_reads_total", help="Reads completed")
DISK_WRITES = device_counter("airflow_host_disk_writes_total", help="Writes completed")
DISK_READ_TIME = device_counter(
    "airflow_host_disk_read_seconds_total", help="Total time of all reads; concurrent reads count separately"
)
DISK_WRITE_TIME = device_counter(
    "airflow_host_disk_write_seconds_total", help="Total time of all writes; concurrent writes count separately"
)
DISK_BUSY = device_counter(
    "airflow_host_disk_busy_seconds_total", help="Time during which the disk had requests in progress"
)
FILESYSTEM_SIZE = mount_gauge("airflow_host_filesystem_size_bytes", help="Size of the filesystem")
FILESYSTEM_AVAILABLE = mount_gauge(
    "airflow_host_filesystem_available_bytes", help="Bytes available to unprivileged users"
)
FILESYSTEM_FILES = mount_gauge("airflow_host_filesystem_files", help="Total inodes")
FILESYSTEM_FILES_FREE = mount_gauge("airflow_host_filesystem_files_free", help="Free inodes")
RECEIVED = device_counter("airflow_host_network_receive_bytes_total", help="Bytes received", origin="/proc/net/dev")
SENT = device_counter("airflow_host_network_transmit_bytes_total", help="Bytes sent", origin="/proc/net/dev")
PRESSURE_WAITING = counter(
    "airflow_host_pressure_waiting_seconds_total",
    help="Time during which at least one process waited for the resource",
    labels=("resource",),
    origin="/proc/pressure: some",
)
PRESSURE_STALLED = counter(
    "airflow_host_pressure_stalled_seconds_total",
    help="Time during which all non-idle processes waited for the resource",
    labels=("resource",),
    origin="/proc/pressure: full",
)

CGROUP_MEMORY_LIMIT = group_gauge(
    "airflow_cgroup_memory_limit_bytes",
    help="Memory limit of the control group: the lowest limit of the group and its ancestors; +Inf if there is none",
    origin="memory.max (v1: memory.limit_in_bytes)",
)
CGROUP_MEMORY = group_gauge(
    "airflow_cgroup_memory_bytes",
    help="Memory used by the control group, including page cache",
    origin="memory.current (v1: memory.usage_in_bytes)",
)
CGROUP_WORKING_SET = group_gauge(
    "airflow_cgroup_memory_working_set_bytes",
    help="Memory used by the control group, excluding inactive page cache",
    origin="memory.current, memory.stat: inactive_file (v1: total_inactive_file)",
)
CGROUP_CPU_LIMIT = group_gauge(
    "airflow_cgroup_cpu_limit_cpus",
    help="CPU limit of the control group: the lowest limit of the group and its ancestors; +Inf if there is none",
    origin="cpu.max (v1: cpu.cfs_quota_us, cpu.cfs_period_us)",
)
CGROUP_CPU = group_counter(
    "airflow_cgroup_cpu_seconds_total",
    help="CPU time used by the control group",
    origin="cpu.stat (v1: cpuacct.usage)",
)
CGROUP_PERIODS = group_counter(
    "airflow_cgroup_cpu_periods_total",
    help="Enforcement periods of the CPU limit in which the control group was runnable",
    origin="cpu.stat: nr_periods",
)
CGROUP_THROTTLED_PERIODS = group_counter(
    "airflow_cgroup_cpu_throttled_periods_total",
    help="Enforcement periods in which the control group was throttled",
    origin="cpu.stat: nr_throttled",
)
CGROUP_THROTTLED = group_counter(
    "airflow_cgroup_cpu_throttled_seconds_total",
    help="Time for which the control group was throttled",
    origin="cpu.stat: throttled_usec (v1: throttled_time)",
)
CGROUP_OOM_KILLS = group_counter(
    "airflow_cgroup_oom_kills_total",
    help="Processes of the control group that were OOM-killed because it reached its memory limit",
    origin="memory.events: oom_kill (v1: memory.oom_control)",
)
UNREADABLE = gauge(
    "airflow_exporter_host_unreadable_parts",
    help="1 if a part of the machine is not readable, or only partly; its series are absent then, not 0. "
    "Reason namespace: control groups outside of the exporter's cgroup namespace",
    labels=("part", "reason"),
    origin="the files of that part",
    closed={"part": PARTS, "reason": REASONS},
)

FAMILIES = (
    CPU,
    CPU_USAGE,
    CPUS,
    LOAD1,
    LOAD5,
    LOAD15,
    MEMORY,
    AVAILABLE,
    SWAP,
    SWAPPED_IN,
    SWAPPED_OUT,
    OOM_KILLS,
    DISK_READ,
    DISK_WRITTEN,
    DISK_READS,
    DISK_WRITES,
    DISK_READ_TIME,
    DISK_WRITE_TIME,
    DISK_BUSY,
    FILESYSTEM_SIZE,
    FILESYSTEM_AVAILABLE,
    FILESYSTEM_FILES,
    FILESYSTEM_FILES_FREE,
    RECEIVED,
    SENT,
    PRESSURE_WAITING,
    PRESSURE_STALLED,
    CGROUP_MEMORY_LIMIT,
    CGROUP_MEMORY,
    CGROUP_WORKING_SET,
    CGROUP_CPU_LIMIT,
    CGROUP_CPU,
    CGROUP_PERIODS,
    CGROUP_THROTTLED_PERIODS,
    CGROUP_THROTTLED,
    CGROUP_OOM_KILLS,
    UNREADABLE,
)
"""The counters among them are the kernel's and are exposed unchanged."""
