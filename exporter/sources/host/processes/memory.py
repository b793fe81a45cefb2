"""Details of Airflow's processes: memory, file descriptors, context switches.

Proportional memory (PSS) is expensive because the kernel walks all pages of the process. So it is read only where it
may have changed: after page faults, after a change of resident memory, and of processes whose parent, siblings or
children came or went, with which they share pages. It is read within a budget of CPU time, tasks first, then the
processes that were not read for longest. Others keep their last value.

Read by hand, not with psutil, which has neither the peak nor the anonymous memory of status, so that the file is read
anyway; descriptors and io from psutil take 1.6 times the CPU (benchmarks/host_psutil.py). The limit of open files is
read from limits because `psutil.Process.rlimit` takes pids of the exporter's PID namespace, not of `path.procfs`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.procfs import DEAD_STATES, MalformedError, UnreadableError
from exporter.sources.host.processes.owners import Owner, Try
from exporter.sources.host.processes.process import SLOW_SCAN_EVERY, Process, PssReading

OwnedProcess = tuple[Process, Owner]
MAX_PSS_AGE = 30
"""Cycles after which PSS is read again in any case: other processes may have stopped sharing its pages."""
PSS_PRECISION = 64
"""PSS is read again if more than one page in this number may have changed."""
BASELINE_AGE = 300.0
"""Seconds after its start when a process has its normal size, with which later growth is compared."""


class ProcessDetails:
    """Reads details and stores them in the process. `budget` is the CPU time for PSS per cycle, in seconds."""

    def __init__(self, files: ProcFiles, budget: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._files = files
        self._budget = budget
        self._clock = clock
        self._cycle = 0
        self._children: dict[int, set[int]] = {}
        """Pids of Airflow's processes by the pid of their parent, in the last cycle."""

    def read(self, owned: Iterable[OwnedProcess], uptime: float) -> None:
        """Read the details that are due. `uptime` is that of the machine, in seconds."""
        self._cycle += 1
        processes = list(owned)
        for process, owner in processes:
            if self._is_due(process):
                process.details_stale = False
                self._read_status(process, owner, uptime)
                self._read_fd_count(process)
                if process.fd_limit is None:
                    self._read_limit(process)
        self._note_relatives(processes)
        self._read_pss(sorted(self._list_pss_due(processes), key=self._get_pss_priority))

    def read_peaks(self, processes: Iterable[Process]) -> None:
        """Read only the peak memory, of active processes of tasks."""
        for process in processes:
            if isinstance(process.owner, Try) and process.was_active and process.stat.state not in DEAD_STATES:
                self._read_status(process, process.owner, 0.0)

    def _is_due(self, process: Process) -> bool:
        if process.details_read_at < 0 or process.details_stale:
            return True
        return self._cycle % SLOW_SCAN_EVERY == process.stat.pid % SLOW_SCAN_EVERY

    def _read_status(self, process: Process, owner: Owner, uptime: float) -> None:
        text = self._read_file(process, "status")
        if text is None:
            return
        try:
            status = procfs.parse_status(text)
        except MalformedError as error:
            process.note_unreadable("status", error)
            return
        process.details_read_at = self._cycle
        process.anonymous = status.anonymous
        if isinstance(owner, Try):
            owner.peak = max(owner.peak, status.peak)
        if process.switches is not None:
            owner.usage.switches += max(0, status.switches - process.switches)
        process.switches = status.switches
        if process.baseline_anonymous is None and uptime - process.stat.start / procfs.TICKS_PER_SECOND > BASELINE_AGE:
            process.baseline_anonymous = status.anonymous

    def _read_fd_count(self, process: Process) -> None:
        try:
            process.fds = self._files.count_fds(process.stat.pid)
            process.unreadable.pop("fd", None)
        except UnreadableError as error:
            process.fds = None
            if error.reason != procfs.GONE:
                process.note_unreadable("fd", error)

    def _read_limit(self, process: Process) -> None:
        """Read the limit once: processes rarely change it. If it is not readable, the ratio is absent."""
        with suppress(UnreadableError, MalformedError):
            process.fd_limit = procfs.parse_open_limit(self._files.read(process.stat.pid, "limits", 2048))

    def _note_relatives(self, processes: Iterable[OwnedProcess]) -> None:
        """Let PSS be read of processes with new or ended children or siblings: a fork shares its parent's pages."""
        before, self._children = self._children, {}
        for process, _ in processes:
            self._children.setdefault(process.stat.ppid, set()).add(process.stat.pid)
        changed = {pid for pid in before.keys() | self._children.keys() if before.get(pid) != self._children.get(pid)}
        for process, _ in processes if changed else ():
            if process.stat.pid in changed or process.stat.ppid in changed:
                process.pss_read = process.pss_read._replace(rss=-1)

    def _list_pss_due(self, processes: Iterable[OwnedProcess]) -> Iterator[OwnedProcess]:
        for process, owner in processes:
            max_age = SLOW_SCAN_EVERY if isinstance(owner, Try) else MAX_PSS_AGE
            if may_differ(process) or self._cycle - process.pss_read.cycle >= max_age:
                yield process, owner

    def _get_pss_priority(self, owned: OwnedProcess) -> tuple[bool, int]:
        process, owner = owned
        return not isinstance(owner, Try), process.pss_read.cycle

    def _read_pss(self, chosen: Iterable[OwnedProcess]) -> None:
        end = self._clock() + self._budget
        for process, _ in chosen:
            if self._clock() > end:
                break
            text = self._read_file(process, "smaps_rollup", 1024)
            process.pss_read = PssReading(self._cycle, process.stat.rss if text else -1, process.stat.faults)
            try:
                process.pss = procfs.parse_pss(text) if text else None
            except MalformedError as error:
                process.pss = None
                process.note_unreadable("smaps_rollup", error)

    def _read_file(self, process: Process, file: str, size: int = 4096) -> bytes | None:
        """Read a file; None if it is not readable, which is noted unless the process has ended."""
        try:
            text = self._files.read(process.stat.pid, file, size)
        except UnreadableError as error:
            if error.reason != procfs.GONE or self._is_alive(process):
                process.note_unreadable(file, error)
            return None
        process.unreadable.pop(file, None)
        return text

    def _is_alive(self, process: Process) -> bool:
        """Whether the process still exists, so that a missing file is missing in this kernel."""
        try:
            stat = procfs.parse_stat(self._files.read(process.stat.pid, "stat", 1024))
        except (UnreadableError, MalformedError):
            return False
        return stat.start == process.stat.start and stat.state not in DEAD_STATES


def may_differ(process: Process) -> bool:
    """Whether PSS may differ from when it was last read, because of what the process itself did since then."""
    stat, before = process.stat, process.pss_read
    tolerance = stat.rss // PSS_PRECISION
    return before.rss < 0 or abs(stat.rss - before.rss) > tolerance or stat.faults - before.faults > tolerance
