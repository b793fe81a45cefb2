"""The table of all processes: what each has used since the scan before, including those that have ended.

The kernel adds CPU and disk traffic of a child to its parent when the parent waits for it. So usage of a process that
ends between two scans is not lost, but what was counted before must be subtracted: see `exits`.

Read by hand, not with psutil: a scan with psutil takes 6 times the CPU (benchmarks/host_psutil.py), and parent, CPU
and CPU of the children must come from one read of one file, so that each tick is counted exactly once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.procfs import DEAD_STATES, Io, Stat, UnreadableError
from exporter.sources.host.processes.activity import ActivityWatch
from exporter.sources.host.processes.attribution import Attribution, is_busy, is_helper, may_change
from exporter.sources.host.processes.exits import ExitedProcesses, list_ancestors
from exporter.sources.host.processes.owners import Owner, Try, split_evenly
from exporter.sources.host.processes.process import SLOW_SCAN_EVERY, Process
from exporter.sources.host.processes.titles import classify

INIT_PID = 1
"""The process that becomes the parent of orphans."""
MAX_ENDED_TRIES = 2_000
"""Processes of tries that ended, until they are asked for."""
MAX_CMDLINE_BYTES = 8_192
"""Maximum bytes read of a command line."""

AccountReading = tuple[Process, int, Io | None]
"""A process, the CPU ticks of its finished children, and its disk traffic, as just read."""


class ScanDeadlineError(Exception):
    """A scan reached its deadline. The processes that it did not reach are unchanged."""


class ProcessTable:
    """All known processes, by pid."""

    def __init__(self, files: ProcFiles, attribution: Attribution, clock: Callable[[], float] = time.monotonic) -> None:
        self.processes: dict[int, Process] = {}
        self.other_processes = Owner()
        """Owner of all processes that are not Airflow's."""
        self.unreadable_stats: dict[str, int] = {}
        """Processes whose stat file was not readable in the last full scan, by reason. Their owner is unknown."""
        self.ended_tries: deque[Try] = deque(maxlen=MAX_ENDED_TRIES)
        """Tries that lost a process, until the reader takes them."""
        self._files = files
        self._attribution = attribution
        self._clock = clock
        self._exited = ExitedProcesses()
        self._activity = ActivityWatch(files)
        self._added: list[Process] = []
        """Processes that the last scan added."""
        self._first = True
        self._quick = False
        """Whether a quick scan is running; it skips inactive processes."""

    def full_scan(self, deadline: float) -> None:
        """Read every process. Raises ScanDeadlineError at the deadline (monotonic seconds), UnreadableError."""
        pids = self._files.list_pids()
        self.unreadable_stats.clear()
        known = sorted(self.processes.values(), key=attrgetter("depth"))
        finished = self._scan(known, lambda: pids, deadline)
        self._first = False
        if not finished:
            raise ScanDeadlineError

    def quick_scan(self, deadline: float) -> list[Process]:
        """Read only tasks, the processes that run them, and new children of active ones. Returns those that are alive.

        It skips processes without page faults: a process cannot fork or change its title without one.
        """
        known = sorted(self._activity.list_active(), key=attrgetter("depth"))
        self._quick = True
        try:
            self._scan(known, lambda: self._list_new_children(one for one in known if one.was_active), deadline)
        finally:
            self._quick = False
        return [one for one in (*known, *self._added) if self.processes.get(one.stat.pid) is one]

    def close(self) -> None:
        """Close the files that stay open between two scans."""
        self._activity.close()

    def list_owned(self) -> Iterator[tuple[Process, Owner]]:
        """Airflow's live processes, each with its owner."""
        for process in self.processes.values():
            if process.owner is not None and process.stat.state not in DEAD_STATES:
                yield process, process.owner

    def _scan(self, known: Iterable[Process], discover: Callable[[], Iterable[int]], deadline: float) -> bool:
        """Read the known processes, then add new ones. Returns False if the deadline came first.

        Parents are read before their children.
        """
        ended: list[Process] = []
        readings: list[AccountReading] = []
        finished = True
        for process in known:
            if self._clock() > deadline:
                finished = False
                break
            stat = self._read_stat(process)
            if stat is None or stat.start != process.stat.start:
                ended.append(process)
            else:
                readings += self._update(process, stat)
        self._remove_ended(ended)
        if finished:
            readings += self._add_new(discover())
        gone = {process.stat.pid: process for process in ended}
        for process in ended:
            self._exited.add(process, list_ancestors(process, self._get_parent, gone, self.processes.get(INIT_PID)))
        self._exited.assign_reapers(((process, ticks) for process, ticks, _ in readings), quick=self._quick)
        for reading in readings:
            self._attribute_exited(*reading)
        return finished

    def _read_stat(self, process: Process) -> Stat | None:
        """The stat file; None if the process has ended. An unchanged or unreadable file returns the known values."""
        try:
            text = self._files.read(process.stat.pid, "stat", 1024)
            before, process.stat_hash = process.stat_hash, hash(text)
            return process.stat if before == process.stat_hash else procfs.parse_stat(text)
        except UnreadableError as error:
            return None if error.reason == procfs.GONE else process.stat
        except procfs.MalformedError:
            return process.stat

    def _read_new(self, pid: int) -> Process | None:
        """Read a new process; None if it has already ended or is not readable."""
        try:
            process = Process(procfs.parse_stat(self._files.read(pid, "stat", 1024)))
        except (UnreadableError, procfs.MalformedError) as error:
            if isinstance(error, UnreadableError) and error.reason != procfs.GONE:
                self.unreadable_stats[error.reason] = self.unreadable_stats.get(error.reason, 0) + 1
            return None
        process.children_ticks = process.stat.children_ticks if self._first else 0
        return process

    def _update(self, process: Process, stat: Stat) -> Iterator[AccountReading]:
        """Update a known process and count its own CPU. The CPU of its children is counted at the end of the scan."""
        old, process.stat = process.stat, stat
        process.scans += 1
        process.previous_title = process.title
        process.was_active = stat is not old and old[4:] != stat[4:]
        if process.was_active:
            process.details_stale = True
            (process.owner or self.other_processes).add_cpu(stat.own_ticks - old.own_ticks)
        elif self._quick:
            return
        if stat.ppid != old.ppid:
            parent = self._get_parent(process)
            process.depth = parent.depth + 1 if parent else 0
        if stat.state not in DEAD_STATES:
            self._update_title(process, force=stat.comm != old.comm)
        io = self._read_io(process)
        if process.was_active or io:
            yield process, stat.children_ticks, io

    def _add_new(self, pids: Iterable[int]) -> list[AccountReading]:
        """Add new processes. What a process used before the first scan is not counted."""
        self._added = new = []
        for pid in pids:
            process = self._read_new(pid) if pid not in self.processes else None
            if process is not None:
                # The key is the same int object as in `stat`, which saves memory with thousands of processes.
                self.processes[process.stat.pid] = process
                new.append(process)
        for process in new:
            for each in reversed(self._list_unregistered(process)):
                self._register(each)
        return [(each, each.stat.children_ticks, self._read_io(each)) for each in new]

    def _list_unregistered(self, process: Process) -> list[Process]:
        """The process and its nearest ancestors that are not registered yet."""
        found: list[Process] = []
        one: Process | None = process
        while one is not None and one.scans == 0:
            one.scans = 1
            found.append(one)
            one = self._get_parent(one)
        return found

    def _register(self, process: Process) -> None:
        """Determine the owner of a new process, whose parent is registered, and count its CPU."""
        parent = self._get_parent(process)
        process.depth = parent.depth + 1 if parent else 0
        self._update_title(process, force=True)
        owner = process.owner
        if isinstance(owner, Try):
            owner.cpu_ticks += process.stat.own_ticks if self._first else 0
        if not self._first:
            (owner or self.other_processes).add_cpu(process.stat.own_ticks)

    def _update_title(self, process: Process, *, force: bool) -> None:
        """Read the title of a process if it may have changed, and determine the owner again."""
        if not force and not may_change(process):
            return
        cmdline, before = None, process.cmdline_hash
        try:
            cmdline = self._files.read(process.stat.pid, "cmdline", MAX_CMDLINE_BYTES)
            process.unreadable.pop("cmdline", None)
        except UnreadableError as error:
            if error.reason != procfs.GONE:
                process.note_unreadable("cmdline", error)
        if cmdline is not None or before is None:
            process.cmdline_hash = hash(cmdline or b"")
        if before != process.cmdline_hash:
            process.title = classify(cmdline or b"")
        elif not force:
            return
        self._set_owner(process, self._attribution.determine_owner(process, self._get_parent(process)))

    def _set_owner(self, process: Process, owner: Owner | None) -> None:
        process.helper = is_helper(process, owner, self._get_parent(process))
        if owner is not process.owner:
            if process.owner is not None:
                process.owner.process_count -= 1
            if owner is not None:
                owner.process_count += 1
            process.owner = owner
            change = self._activity.add if is_busy(process) else self._activity.remove
            change(process)

    def _get_parent(self, process: Process) -> Process | None:
        """The parent; None if it is unknown or its pid now belongs to a later process."""
        parent = self.processes.get(process.stat.ppid)
        return parent if parent and parent.stat.start <= process.stat.start else None

    def _read_io(self, process: Process, *, force: bool = False) -> Io | None:
        """Disk traffic of one of Airflow's processes; None if it is not due or not readable."""
        owner = process.owner
        if owner is None or process.stat.state in DEAD_STATES:
            return None
        due = process.scans % SLOW_SCAN_EVERY == process.stat.pid % SLOW_SCAN_EVERY
        if not (force or process.was_active or due or isinstance(owner, Try)):
            return None
        try:
            io = procfs.parse_io(self._files.read(process.stat.pid, "io", 1024))
        except (UnreadableError, procfs.MalformedError) as error:
            process.note_unreadable("io", error)
            return None
        process.unreadable.pop("io", None)
        if process.read_bytes is None or process.written_bytes is None:
            process.read_bytes, process.written_bytes = io if self._first else (0, 0)
        return io

    def _remove_ended(self, ended: Iterable[Process]) -> None:
        for process in ended:
            self.processes.pop(process.stat.pid, None)
            self._activity.remove(process)
            if process.owner is not None:
                process.owner.process_count -= 1
            if isinstance(process.owner, Try):
                self.ended_tries.append(process.owner)

    def _attribute_exited(self, process: Process, children_ticks: int, io: Io | None) -> None:
        """Count what finished children used since they were last read, and the disk traffic of the process."""
        owner, ended = process.owner, process.children_ended
        unseen = max(0, children_ticks - process.children_ticks - sum(child.get_total_ticks() for child in ended))
        process.children_ticks = children_ticks
        if ended:
            process.children_ended = ()
            if io is None:
                # The traffic of these children is in the file of the parent now, and belongs to their owners.
                io = self._read_io(process, force=True)
        if owner is None:
            self.other_processes.add_cpu(unseen)
            return
        accountable = self._attribution.find_accountable(process, ended) if ended or unseen else [owner]
        for each, part in split_evenly(unseen, accountable):
            each.add_cpu(part)
        if io and process.read_bytes is not None and process.written_bytes is not None:
            self._attribute_io(process, io, ended, accountable if isinstance(accountable[0], Try) else [owner])

    def _attribute_io(self, process: Process, io: Io, ended: Iterable[Process], owners: list[Owner]) -> None:
        """Count disk traffic. A process that runs tasks has almost none: it is that of a task that just ended."""
        read_before = (process.read_bytes or 0) + sum(child.read_bytes or 0 for child in ended)
        written_before = (process.written_bytes or 0) + sum(child.written_bytes or 0 for child in ended)
        process.read_bytes, process.written_bytes = io
        for owner, part in split_evenly(max(0, io.read_bytes - read_before), owners):
            owner.usage.read_bytes += part
        for owner, part in split_evenly(max(0, io.written_bytes - written_before), owners):
            owner.usage.written_bytes += part

    def _list_new_children(self, parents: Iterable[Process]) -> Iterator[int]:
        """Descendants of these processes that are not known yet."""
        queue = [process.stat.pid for process in parents]
        while queue:
            found = [pid for pid in self._files.list_children(queue.pop()) if pid not in self.processes]
            yield from found
            queue += found
