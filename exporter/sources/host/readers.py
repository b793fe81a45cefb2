"""The readers of processes: one scans all processes and reports, one scans tasks more often."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from exporter.metrics.catalogue.host import processes, task_resources
from exporter.metrics.family import Family, Kind, Labels
from exporter.metrics.reading import NOTHING, Change, ReaderError, Reading
from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.procfs import TICKS_PER_SECOND, UnreadableError
from exporter.sources.host.processes.attribution import Attribution
from exporter.sources.host.processes.memory import OwnedProcess, ProcessDetails
from exporter.sources.host.processes.network import NetworkUsage
from exporter.sources.host.processes.owners import ComponentOwner, Owner, ResourceUsage, Try
from exporter.sources.host.processes.process import Process
from exporter.sources.host.processes.process_table import INIT_PID, ProcessTable, ScanDeadlineError
from exporter.sources.host.processes.task_usage import TryTable

Values = dict[Labels, float]
SCAN_TIME_SHARE = 0.8
"""Share of the interval that a full scan may take."""
MIN_QUICK_SCAN_INTERVAL = 0.5
"""Seconds between two quick scans, if they are cheap. Tasks take longer than that to start."""
QUICK_SCAN_CPU_SHARE = 0.002
"""Share of one CPU that quick scans may use."""
BOOT_TIME_TOLERANCE = 2.0
"""Seconds by which NTP may adjust the clock without a new boot time being shown."""
PRIVILEGE_HINT = "run as Airflow's user, or with CAP_SYS_PTRACE"
NO_PROCESSES_HINT = (
    "no process of Airflow is visible; if Airflow runs in another container, share the host's processes (pid: host, "
    "hostPID: true) or set --path.procfs"
)
HIDDEN_HINT = f"processes of other users are hidden because /proc is mounted with hidepid; {PRIVILEGE_HINT}"
LEDGER = tuple(family for family in (*processes.FAMILIES, *task_resources.FAMILIES) if family.kind is not Kind.GAUGE)
"""The families that only grow."""


class HostContext:
    """What both readers share."""

    def __init__(
        self,
        process_table: ProcessTable,
        attribution: Attribution,
        tries: TryTable,
        details: ProcessDetails,
        network: NetworkUsage,
    ) -> None:
        self.process_table = process_table
        self.attribution = attribution
        self.tries = tries
        self.details = details
        self.network = network


class ProcessesReader:
    """Scans every process and reports what those of Airflow used since the last report."""

    name = "processes"
    help = "Airflow's processes, by component, and the processes of running tasks"
    families: Sequence[Family] = tuple(
        family for family in (*processes.FAMILIES, *task_resources.FAMILIES) if family.kind is Kind.GAUGE
    )

    def __init__(
        self, observer: HostContext, interval: float, report: Callable[[list[OwnedProcess]], None] = lambda _owned: None
    ) -> None:
        """`report` is called with Airflow's processes after each scan."""
        self.interval = interval
        self._report = report
        self.seen = 0
        self.notes: tuple[str, ...] = ()
        """What was not readable in the last cycle, and what to do about it."""
        self._context = observer
        self._boot = 0.0
        """Boot time of the machine, in Unix seconds."""

    def read(self) -> Reading:
        """Scan all processes. Raises ReaderError if that takes too long, or if there is no /proc."""
        one = self._context
        begun = time.monotonic()
        try:
            one.process_table.full_scan(begun + self.interval * SCAN_TIME_SHARE)
        except ScanDeadlineError:
            raise ReaderError("deadline", "the machine is too busy to read all its processes in time") from None
        except UnreadableError as error:
            raise ReaderError("internal", f"cannot list processes: {error}") from error
        uptime = time.clock_gettime(time.CLOCK_BOOTTIME)
        owned = list(one.process_table.list_owned())
        one.details.read(owned, uptime)
        one.network.read(owned)
        self._report(owned)
        self.seen = len(one.process_table.processes)
        self._boot = stabilize_boot_time(self._boot, time.time() - uptime)
        unreadable = count_unreadable(owned)
        unreadable |= {("stat", reason): number for reason, number in one.process_table.unreadable_stats.items()}
        # Where it is known that processes could not be read, that is why.
        explained = owned or {"failed", "permission"} & one.process_table.unreadable_stats.keys()
        self.notes = (*format_unreadable(unreadable), *(() if explained else (self._explain_none(),)))
        took = time.monotonic() - begun
        return Reading(
            tables={
                **build_component_tables(owned, self._boot),
                **self._build_task_tables(owned),
                processes.SEEN: {(): self.seen},
                processes.UNREADABLE: unreadable,
            },
            changes=[
                Change(
                    processes.OTHER_CPU, (), take_usage(one.process_table.other_processes).cpu_ticks / TICKS_PER_SECOND
                ),
                *build_component_changes(one.attribution, owned),
                *one.tries.take_changes(),
            ],
            notes=[f"{self.seen} processes, {len(owned)} of them Airflow's, in {took * 1000:.0f} ms", *self.notes],
        )

    def _explain_none(self) -> str:
        """Why no process of Airflow is seen. Every /proc has a PID 1, unless `hidepid=2` leaves it out of the list."""
        return NO_PROCESSES_HINT if INIT_PID in self._context.process_table.processes else HIDDEN_HINT

    def _build_task_tables(self, owned: Iterable[OwnedProcess]) -> dict[Family, Values]:
        memory: Values = {}
        for process, owner in owned:
            labels = self._context.tries.get_labels(owner) if isinstance(owner, Try) else None
            if labels is not None and process.pss is not None:
                memory[labels] = memory.get(labels, 0) + process.pss
        return {
            task_resources.MEMORY: memory,
            task_resources.PEAK: self._context.tries.peaks.build_table(time.monotonic()),
            task_resources.PEAK_GROWTH: self._context.tries.compute_growth(),
        }


class TaskResourcesReader:
    """Scans tasks and the processes that run them often, to see short tasks and their peak memory."""

    name = "tasks"
    help = "Running tasks, more often than all processes"
    families: Sequence[Family] = ()

    def __init__(self, observer: HostContext, longest: float, report: Callable[[], None] = lambda: None) -> None:
        """`report` is called after each scan."""
        self.interval = MIN_QUICK_SCAN_INTERVAL
        self._longest = longest
        self._report = report
        self._context = observer

    def read(self) -> Reading:
        """Scan tasks. The other reader reports the result."""
        begun, spent = time.monotonic(), time.thread_time()
        process_table = self._context.process_table
        self._context.details.read_peaks(process_table.quick_scan(begun + self.interval))
        self._report()
        spent = time.thread_time() - spent
        self.interval = min(self._longest, max(MIN_QUICK_SCAN_INTERVAL, spent / QUICK_SCAN_CPU_SHARE))
        return NOTHING


def stabilize_boot_time(before: float, now: float) -> float:
    """The boot time as first computed, unless the clock was set. Small changes would look like restarts."""
    return before if abs(now - before) < BOOT_TIME_TOLERANCE else now


def take_usage(owner: Owner) -> ResourceUsage:
    """Usage since the last call."""
    used, owner.usage = owner.usage, ResourceUsage()
    return used


def build_component_changes(attribution: Attribution, owned: Iterable[OwnedProcess]) -> Iterator[Change]:
    """What components used since the last report. Series of unreadable values are not created."""
    readable = {owner for process, owner in owned if process.read_bytes is not None}
    for name, owner in attribution.components.items():
        used = take_usage(owner)
        for family, value, certain in (
            (processes.CPU, used.cpu_ticks / TICKS_PER_SECOND, True),
            (processes.READ, used.read_bytes, owner in readable),
            (processes.WRITTEN, used.written_bytes, owner in readable),
            (processes.SWITCHES, used.switches, owner in readable),
        ):
            if value or certain:
                yield Change(family, (name,), value)


def build_component_tables(owned: Iterable[OwnedProcess], boot: float) -> dict[Family, Values]:
    """The state of each component. `boot` is the boot time of the machine, in Unix seconds."""
    groups: dict[str, list[Process]] = {}
    for process, owner in owned:
        if isinstance(owner, ComponentOwner):
            groups.setdefault(owner.name, []).append(process)
    tables: dict[Family, Values] = {
        family: {} for family in ProcessesReader.families if family.labels == ("component",)
    }
    tables[processes.PROCESSES] = {
        (name,): sum(not process.helper for process in groups.get(name, ())) for name in processes.COMPONENTS
    }
    for name, group in groups.items():
        for family, value in compute_component_values(group, boot).items():
            if value is not None:
                tables[family][(name,)] = value
    return tables


def compute_component_values(group: list[Process], boot: float) -> Mapping[Family, float | None]:
    """Values of one component over its processes; None if unknown."""
    mains = [process for process in group if not process.helper] or group
    starts = [boot + process.stat.start / TICKS_PER_SECOND for process in mains]
    grown = [
        process.anonymous - process.baseline_anonymous for process in group if process.baseline_anonymous is not None
    ]
    fds = [process.fds for process in group]
    return {
        processes.RESIDENT: sum(process.stat.rss for process in group) * procfs.PAGE_SIZE,
        processes.PROPORTIONAL: compute_pss(group),
        processes.GROWTH: max(0, *grown, 0) if grown else None,
        processes.OPEN_FDS: None if None in fds else sum(filter(None, fds)),
        processes.OPEN_FDS_RATIO: max(filter(None, map(compute_fd_ratio, group)), default=None),
        processes.THREADS: sum(process.stat.threads for process in group),
        processes.OLDEST_START: round(min(starts), 2),
        processes.NEWEST_START: round(max(starts), 2),
    }


def compute_fd_ratio(process: Process) -> float | None:
    """Open file descriptors divided by their limit; None if unknown."""
    return None if process.fds is None or not process.fd_limit else process.fds / process.fd_limit


def compute_pss(group: Iterable[Process]) -> float | None:
    """Proportional memory of all processes; None if one is not readable. Those not read yet are extrapolated."""
    proportional = resident = not_read = 0
    for process in group:
        if process.pss is not None:
            proportional += process.pss
            resident += process.stat.rss
        elif process.pss_read.cycle >= 0:
            return None
        else:
            not_read += process.stat.rss
    if not resident:
        return proportional or None
    return round(proportional * (1 + not_read / resident))


def count_unreadable(owned: Iterable[OwnedProcess]) -> Values:
    """Number of Airflow's processes by unreadable file and reason."""
    counts: Values = {(file, reason): 0 for file in processes.UNREADABLE_FILES for reason in procfs.REASONS}
    for process, _ in owned:
        for file, reason in process.unreadable.items():
            counts[file, reason] += 1
    return counts


def format_unreadable(unreadable: Values) -> Iterator[str]:
    """Notes about unreadable files, and what to do about them."""
    for (file, reason), number in unreadable.items():
        if number and (file, reason) == ("stat", "permission"):
            yield f"{number:.0f} processes are hidden because /proc is mounted with hidepid; {PRIVILEGE_HINT}"
        elif number and reason == "permission":
            yield f"no permission to read /proc/PID/{file} of {number:.0f} processes; {PRIVILEGE_HINT}"
        elif number:
            yield f"/proc/PID/{file} of {number:.0f} processes: {reason}"
