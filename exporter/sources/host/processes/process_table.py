"""All processes, from one look to the next: what each used meanwhile, and what those used that ended.

CPU and disk traffic of a child go to its parent's account when it is waited for. So nothing is lost that ends
between two looks, and what was seen of it before must not be counted again: see departures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.procfs import DEAD_STATES, Io, Stat, UnreadableError
from exporter.sources.host.processes.activity import ActivityWatch
from exporter.sources.host.processes.attribution import Attribution, is_busy, is_helper, may_change
from exporter.sources.host.processes.exits import ExitedProcesses
from exporter.sources.host.processes.owners import Owner, Try, split_evenly
from exporter.sources.host.processes.process import SLOW_SCAN_EVERY, Process
from exporter.sources.host.processes.titles import classify

INIT_PID = 1
"""The pid of the process that takes in all orphans."""
MAX_CMDLINE_BYTES = 8_192
"""Bytes of a command line that are looked at."""

AccountReading = tuple[Process, int, Io | None]
"""A process, its children's CPU and its disk traffic, as just read."""


class ScanDeadlineError(Exception):
    """A look took too long; what it did not reach stays as it was."""


class ProcessTable:
    """The processes that are known, by pid."""

    def __init__(self, files: ProcFiles, attribution: Attribution, clock: Callable[[], float] = time.monotonic) -> None:
        self.processes: dict[int, Process] = {}
        self.other_processes = Owner()
        """Those who own what is not Airflow's."""
        self.unreadable_stats: dict[str, int] = {}
        """Processes of which the newest look could read nothing, so that it is not known whose they are, by reason."""
        self._files = files
        self._attribution = attribution
        self._clock = clock
        self._exited = ExitedProcesses()
        self._activity = ActivityWatch(files)
        self._added: list[Process] = []
        """Who was met in the newest look or glance."""
        self._first = True
        self._quick = False
        """Whether this is a glance, which leaves out whoever did nothing."""

    def full_scan(self, deadline: float) -> None:
        """Look at every process. Raises ScanDeadlineError at the deadline (monotonic seconds), UnreadableError."""
        pids = self._files.list_pids()
        self.unreadable_stats.clear()
        known = sorted(self.processes.values(), key=attrgetter("depth"))
        finished = self._scan(known, lambda: pids, deadline)
        self._first = False
        if not finished:
            raise ScanDeadlineError

    def quick_scan(self, deadline: float) -> list[Process]:
        """Look only at those who run tasks, at the tasks, and at new children of those that did anything.

        Nobody forks, or gets another title for a new task, without a page fault. Returns those alive.
        """
        known = sorted(self._activity.list_active(), key=attrgetter("depth"))
        self._quick = True
        try:
            self._scan(known, lambda: self._list_new_children(one for one in known if one.was_active), deadline)
        finally:
            self._quick = False
        return [one for one in (*known, *self._added) if self.processes.get(one.stat.pid) is one]

    def close(self) -> None:
        """Close what is open between two looks."""
        self._activity.close()

    def list_owned(self) -> Iterator[tuple[Process, Owner]]:
        """Every live process that is Airflow's, and whose."""
        for process in self.processes.values():
            if process.owner is not None and process.stat.state not in DEAD_STATES:
                yield process, process.owner

    def _scan(self, known: Iterable[Process], discover: Callable[[], Iterable[int]], deadline: float) -> bool:
        """Whether all was looked at before the deadline. Parents come first, new ones last."""
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
            self._exited.add(process, self._list_ancestors(process, gone))
        self._exited.assign_reapers(
            ((process, children_ticks) for process, children_ticks, _ in readings), quick=self._quick
        )
        for reading in readings:
            self._attribute_exited(*reading)
        return finished

    def _read_stat(self, process: Process) -> Stat | None:
        """None where the process is gone; what is known already where nothing changed, or it cannot be read now."""
        try:
            text = self._files.read(process.stat.pid, "stat", 1024)
            mark, process.stat_hash = process.stat_hash, hash(text)
            return process.stat if mark == process.stat_hash else procfs.parse_stat(text)
        except UnreadableError as error:
            return None if error.reason == procfs.GONE else process.stat
        except procfs.MalformedError:
            return process.stat

    def _read_new(self, pid: int) -> Process | None:
        """A new process; None where it has ended meanwhile, or is kept from us."""
        try:
            process = Process(procfs.parse_stat(self._files.read(pid, "stat", 1024)))
        except (UnreadableError, procfs.MalformedError) as error:
            if isinstance(error, UnreadableError) and error.reason != procfs.GONE:
                self.unreadable_stats[error.reason] = self.unreadable_stats.get(error.reason, 0) + 1
            return None
        process.children_ticks = process.stat.children_ticks if self._first else 0
        return process

    def _update(self, process: Process, stat: Stat) -> Iterator[AccountReading]:
        """Note what a known process did itself; its children's part is settled when all have been looked at."""
        old, process.stat = process.stat, stat
        process.scans += 1
        process.previous_title = process.title
        process.was_active = stat is not old and old[4:] != stat[4:]
        if process.was_active:
            process.pss_stale = True
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
        """Take in processes that are new; whoever was there before our first look has what it used behind it."""
        self._added = new = []
        for pid in pids:
            process = self._read_new(pid) if pid not in self.processes else None
            if process is not None:
                # The number that it has itself: thousands more of them would take memory.
                self.processes[process.stat.pid] = process
                new.append(process)
        for stranger in new:
            for each in reversed(self._list_unregistered(stranger)):
                self._register(each)
        return [(each, each.stat.children_ticks, self._read_io(each)) for each in new]

    def _list_unregistered(self, process: Process) -> list[Process]:
        """The process and its nearest ancestors, as far as they have not been introduced."""
        found: list[Process] = []
        one: Process | None = process
        while one is not None and one.scans == 0:
            one.scans = 1
            found.append(one)
            one = self._get_parent(one)
        return found

    def _register(self, process: Process) -> None:
        """Find out what a new process is, whose parent has been introduced."""
        parent = self._get_parent(process)
        process.depth = parent.depth + 1 if parent else 0
        self._update_title(process, force=True)
        owner = process.owner
        if isinstance(owner, Try):
            owner.cpu_ticks += process.stat.own_ticks if self._first else 0
        if not self._first:
            (owner or self.other_processes).add_cpu(process.stat.own_ticks)

    def _update_title(self, process: Process, *, force: bool) -> None:
        """Read a process's title where it may be another than before, and see whose it is then."""
        if not force and not may_change(process):
            return
        cmdline, mark = None, process.cmdline_hash
        try:
            cmdline = self._files.read(process.stat.pid, "cmdline", MAX_CMDLINE_BYTES)
            process.unreadable.pop("cmdline", None)
        except UnreadableError as error:
            if error.reason != procfs.GONE:
                process.note_unreadable("cmdline", error)
        if cmdline is not None or mark is None:
            process.cmdline_hash = hash(cmdline or b"")
        if mark != process.cmdline_hash:
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
        """The parent, if it is known and no later process with its pid."""
        parent = self.processes.get(process.stat.ppid)
        return parent if parent and parent.stat.start <= process.stat.start else None

    def _read_io(self, process: Process, *, force: bool = False) -> Io | None:
        """Disk traffic, of Airflow's processes that may have had some."""
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

    def _list_ancestors(self, process: Process, gone: dict[int, Process]) -> Iterator[Process]:
        """The ancestors that live, the nearest first; at last the one that takes in all orphans."""
        passed = {process}
        one: Process | None = process
        while one is not None:
            one = self._get_parent(one) or gone.get(one.stat.ppid)
            if one is None or one in passed:
                break
            passed.add(one)
            if gone.get(one.stat.pid) is not one:
                yield one
        top = self.processes.get(INIT_PID)
        if top is not None and top not in passed:
            yield top

    def _attribute_exited(self, process: Process, children_ticks: int, io: Io | None) -> None:
        """Put down what children did that nobody had seen, and the disk traffic."""
        owner, ended = process.owner, process.children_ended
        unseen = max(0, children_ticks - process.children_ticks - sum(child.get_total_ticks() for child in ended))
        process.children_ticks = children_ticks
        if ended:
            process.children_ended = ()
            if io is None:
                # What they wrote is in its account now, and is theirs.
                io = self._read_io(process, force=True)
        if owner is None:
            self.other_processes.add_cpu(unseen)
            return
        accountable = self._attribution.find_accountable(process, ended) if ended or unseen else [owner]
        for owner_part, part in split_evenly(unseen, accountable):
            owner_part.add_cpu(part)
        if io and process.read_bytes is not None and process.written_bytes is not None:
            self._attribute_io(process, io, ended, accountable if isinstance(accountable[0], Try) else [owner])

    def _attribute_io(self, process: Process, io: Io, ended: Iterable[Process], owners: list[Owner]) -> None:
        """Put down the disk traffic. A process that runs tasks has hardly any: the rest is a task's that just ended."""
        read = max(0, io.read_bytes - (process.read_bytes or 0) - sum(child.read_bytes or 0 for child in ended))
        written = max(
            0, io.written_bytes - (process.written_bytes or 0) - sum(child.written_bytes or 0 for child in ended)
        )
        process.read_bytes, process.written_bytes = io
        for (owner_part, part), (_, other) in zip(
            split_evenly(read, owners), split_evenly(written, owners), strict=True
        ):
            owner_part.usage.read_bytes += part
            owner_part.usage.written_bytes += other

    def _list_new_children(self, parents: Iterable[Process]) -> Iterator[int]:
        """Children of these, and theirs, that are not known yet."""
        queue = [process.stat.pid for process in parents]
        while queue:
            found = [pid for pid in self._files.list_children(queue.pop()) if pid not in self.processes]
            yield from found
            queue += found
