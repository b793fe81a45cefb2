"""What is read of a process beside what counts its usage: memory, descriptors, switches, network.

Proportional memory is dear: the kernel walks all pages of a process. So it is read within a budget of time, tasks
first, then whoever waited longest; what was not read keeps the value that it had. The budget is one of CPU: where we
have to wait for a CPU ourselves, memory costs no more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import Files
from exporter.sources.host.proc.procfs import DEAD, MalformedError, UnreadableError
from exporter.sources.host.processes.owners import Owner, Try
from exporter.sources.host.processes.process import SELDOM, Process

Owned = tuple[Process, Owner]
RARELY = 30
"""Every how many walks the memory of a process is weighed that did nothing: what it shares may have changed."""
SETTLING = 300.0
"""Seconds after its start when a process has settled: from then on its memory should not grow."""


class Details:
    """Reads them; values stay with the process. `budget` is what weighing may cost in one walk, in seconds of CPU."""

    def __init__(self, files: Files, budget: float, clock: Callable[[], float] = time.thread_time) -> None:
        self._files = files
        self._budget = budget
        self._clock = clock
        self._walk = 0

    def read(self, owned: Iterable[Owned], uptime: float) -> None:
        """Read what is due of Airflow's processes; `uptime` is the machine's, in seconds."""
        self._walk += 1
        processes = list(owned)
        for process, owner in processes:
            if self._is_due(process):
                self._read_status(process, owner, uptime)
                self._count_descriptors(process)
                if process.fd_limit is None:
                    self._read_limit(process)
        self._weigh(sorted(self._choose(processes), key=self._find_urgency))

    def read_peaks(self, processes: Iterable[Process]) -> None:
        """Read only the highest memory, of tasks' processes that did anything."""
        for process in processes:
            if isinstance(process.owner, Try) and process.stirred and process.stat.state not in DEAD:
                self._read_status(process, process.owner, 0.0)

    def _is_due(self, process: Process) -> bool:
        if process.full_at < 0 or process.active:
            return True
        return self._walk % SELDOM == process.stat.pid % SELDOM

    def _read_status(self, process: Process, owner: Owner, uptime: float) -> None:
        text = self._fetch(process, "status")
        if text is None:
            return
        try:
            status = procfs.parse_status(text)
        except MalformedError as error:
            process.note_unreadable("status", error)
            return
        process.full_at = self._walk
        process.anonymous = status.anonymous
        if isinstance(owner, Try):
            owner.peak = max(owner.peak, status.peak)
        if process.switches is not None:
            owner.usage.switches += max(0, status.switches - process.switches)
        process.switches = status.switches
        if process.settled is None and uptime - process.stat.start / procfs.TICKS > SETTLING:
            process.settled = status.anonymous

    def _count_descriptors(self, process: Process) -> None:
        try:
            process.fds = self._files.count_descriptors(process.stat.pid)
            process.unreadable.pop("fd", None)
        except UnreadableError as error:
            process.fds = None
            if error.reason != procfs.GONE:
                process.note_unreadable("fd", error)

    def _read_limit(self, process: Process) -> None:
        """Once: a process hardly ever changes its limit. Where it cannot be read, its share is absent."""
        with suppress(UnreadableError, MalformedError):
            process.fd_limit = procfs.parse_open_limit(self._files.read(process.stat.pid, "limits", 2048))

    def _choose(self, processes: Iterable[Owned]) -> Iterator[Owned]:
        for process, owner in processes:
            patience = SELDOM if isinstance(owner, Try) else RARELY
            if process.weighed < 0 or process.active or self._walk - process.weighed >= patience:
                yield process, owner

    def _find_urgency(self, owned: Owned) -> tuple[bool, int]:
        process, owner = owned
        return not isinstance(owner, Try), process.weighed

    def _weigh(self, chosen: Iterable[Owned]) -> None:
        end = self._clock() + self._budget
        for process, _ in chosen:
            if self._clock() > end:
                break
            text = self._fetch(process, "smaps_rollup", 1024)
            process.weighed, process.active = self._walk, False
            try:
                process.pss = procfs.parse_pss(text) if text else None
            except MalformedError as error:
                process.pss = None
                process.note_unreadable("smaps_rollup", error)

    def _fetch(self, process: Process, file: str, size: int = 4096) -> bytes | None:
        """A file's text; None where there is none, which is noted unless the process has just ended."""
        try:
            text = self._files.read(process.stat.pid, file, size)
        except UnreadableError as error:
            if error.reason != procfs.GONE or self._lives(process):
                process.note_unreadable(file, error)
            return None
        process.unreadable.pop(file, None)
        return text

    def _lives(self, process: Process) -> bool:
        """Whether the process is still there: then the kernel lacks the file."""
        try:
            stat = procfs.parse_stat(self._files.read(process.stat.pid, "stat", 1024))
        except (UnreadableError, MalformedError):
            return False
        return stat.start == process.stat.start and stat.state not in DEAD
