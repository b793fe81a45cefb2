"""All processes, from one look to the next: what each used meanwhile, and what those used that ended.

CPU and disk traffic of a child go to its parent's account when it is waited for. So nothing is lost that ends
between two looks, and what was seen of it before must not be counted again: see departures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import Files
from exporter.sources.host.proc.procfs import DEAD, Io, Stat, UnreadableError
from exporter.sources.host.processes.activity import Pulses
from exporter.sources.host.processes.attribution import Kinship, is_busy, is_helper, may_change
from exporter.sources.host.processes.exits import Departures
from exporter.sources.host.processes.owners import Owner, Try, divide
from exporter.sources.host.processes.process import SELDOM, Process
from exporter.sources.host.processes.titles import classify

TOP = 1
"""The pid of the process that takes in all orphans."""
TITLE = 8_192
"""Bytes of a command line that are looked at."""

Figures = tuple[Process, int, Io | None]
"""A process, its children's CPU and its disk traffic, as just read."""


class OverrunError(Exception):
    """A look took too long; what it did not reach stays as it was."""


class Census:
    """The processes that are known, by pid."""

    def __init__(self, files: Files, kinship: Kinship, clock: Callable[[], float] = time.monotonic) -> None:
        self.processes: dict[int, Process] = {}
        self.strangers = Owner()
        """Those who own what is not Airflow's."""
        self.unmet: dict[str, int] = {}
        """Processes of which the newest look could read nothing, so that it is not known whose they are, by reason."""
        self._files = files
        self._kinship = kinship
        self._clock = clock
        self._departures = Departures()
        self._pulses = Pulses(files)
        self._arrived: list[Process] = []
        """Who was met in the newest look or glance."""
        self._first = True
        self._brief = False
        """Whether this is a glance, which leaves out whoever did nothing."""

    def look(self, deadline: float) -> None:
        """Look at every process. Raises OverrunError at the deadline (monotonic seconds), UnreadableError."""
        pids = self._files.list_pids()
        self.unmet.clear()
        known = sorted(self.processes.values(), key=attrgetter("depth"))
        finished = self._observe(known, lambda: pids, deadline)
        self._first = False
        if not finished:
            raise OverrunError

    def glance(self, deadline: float) -> list[Process]:
        """Look only at those who run tasks, at the tasks, and at new children of those that did anything.

        Nobody forks, or gets another title for a new task, without a page fault. Returns those alive.
        """
        known = sorted(self._pulses.list_busy(), key=attrgetter("depth"))
        self._brief = True
        try:
            self._observe(known, lambda: self._find_children(one for one in known if one.stirred), deadline)
        finally:
            self._brief = False
        return [one for one in (*known, *self._arrived) if self.processes.get(one.stat.pid) is one]

    def close(self) -> None:
        """Close what is open between two looks."""
        self._pulses.close()

    def owned(self) -> Iterator[tuple[Process, Owner]]:
        """Every live process that is Airflow's, and whose."""
        for process in self.processes.values():
            if process.owner is not None and process.stat.state not in DEAD:
                yield process, process.owner

    def _observe(self, known: Iterable[Process], discover: Callable[[], Iterable[int]], deadline: float) -> bool:
        """Whether all was looked at before the deadline. Parents come first, new ones last."""
        ended: list[Process] = []
        figures: list[Figures] = []
        finished = True
        for process in known:
            if self._clock() > deadline:
                finished = False
                break
            stat = self._read_stat(process)
            if stat is None or stat.start != process.stat.start:
                ended.append(process)
            else:
                figures += self._update(process, stat)
        self._remove(ended)
        if finished:
            figures += self._welcome(discover())
        gone = {process.stat.pid: process for process in ended}
        for process in ended:
            self._departures.add(process, self._list_ancestors(process, gone))
        self._departures.find_heirs(((process, kids) for process, kids, _ in figures), brief=self._brief)
        for figure in figures:
            self._settle(*figure)
        return finished

    def _read_stat(self, process: Process) -> Stat | None:
        """None where the process is gone; what is known already where nothing changed, or it cannot be read now."""
        try:
            text = self._files.read(process.stat.pid, "stat", 1024)
            mark, process.mark = process.mark, hash(text)
            return process.stat if mark == process.mark else procfs.parse_stat(text)
        except UnreadableError as error:
            return None if error.reason == procfs.GONE else process.stat
        except procfs.MalformedError:
            return process.stat

    def _meet(self, pid: int) -> Process | None:
        """A new process; None where it has ended meanwhile, or is kept from us."""
        try:
            process = Process(procfs.parse_stat(self._files.read(pid, "stat", 1024)))
        except (UnreadableError, procfs.MalformedError) as error:
            if isinstance(error, UnreadableError) and error.reason != procfs.GONE:
                self.unmet[error.reason] = self.unmet.get(error.reason, 0) + 1
            return None
        process.kids = process.stat.kids if self._first else 0
        return process

    def _update(self, process: Process, stat: Stat) -> Iterator[Figures]:
        """Note what a known process did itself; its children's part is settled when all have been looked at."""
        old, process.stat = process.stat, stat
        process.looks += 1
        process.before = process.title
        process.stirred = stat is not old and old[4:] != stat[4:]
        if process.stirred:
            process.active = True
            (process.owner or self.strangers).credit(stat.own - old.own)
        elif self._brief:
            return
        if stat.ppid != old.ppid:
            parent = self._parent(process)
            process.depth = parent.depth + 1 if parent else 0
        if stat.state not in DEAD:
            self._rename(process, force=stat.comm != old.comm)
        io = self._read_io(process)
        if process.stirred or io:
            yield process, stat.kids, io

    def _welcome(self, pids: Iterable[int]) -> list[Figures]:
        """Take in processes that are new; whoever was there before our first look has what it used behind it."""
        self._arrived = new = []
        for pid in pids:
            process = self._meet(pid) if pid not in self.processes else None
            if process is not None:
                # The number that it has itself: thousands more of them would take memory.
                self.processes[process.stat.pid] = process
                new.append(process)
        for stranger in new:
            for each in reversed(self._list_strangers(stranger)):
                self._introduce(each)
        return [(each, each.stat.kids, self._read_io(each)) for each in new]

    def _list_strangers(self, process: Process) -> list[Process]:
        """The process and its nearest ancestors, as far as they have not been introduced."""
        found: list[Process] = []
        one: Process | None = process
        while one is not None and one.looks == 0:
            one.looks = 1
            found.append(one)
            one = self._parent(one)
        return found

    def _introduce(self, process: Process) -> None:
        """Find out what a new process is, whose parent has been introduced."""
        parent = self._parent(process)
        process.depth = parent.depth + 1 if parent else 0
        self._rename(process, force=True)
        owner = process.owner
        if isinstance(owner, Try):
            owner.spent += process.stat.own if self._first else 0
        if not self._first:
            (owner or self.strangers).credit(process.stat.own)

    def _rename(self, process: Process, *, force: bool) -> None:
        """Read a process's title where it may be another than before, and see whose it is then."""
        if not force and not may_change(process):
            return
        cmdline, mark = None, process.cmdline
        try:
            cmdline = self._files.read(process.stat.pid, "cmdline", TITLE)
            process.unreadable.pop("cmdline", None)
        except UnreadableError as error:
            if error.reason != procfs.GONE:
                process.note_unreadable("cmdline", error)
        if cmdline is not None or mark is None:
            process.cmdline = hash(cmdline or b"")
        if mark != process.cmdline:
            process.title = classify(cmdline or b"")
        elif not force:
            return
        self._assign(process, self._kinship.find_owner(process, self._parent(process)))

    def _assign(self, process: Process, owner: Owner | None) -> None:
        process.helper = is_helper(process, owner, self._parent(process))
        if owner is not process.owner:
            if process.owner is not None:
                process.owner.live -= 1
            if owner is not None:
                owner.live += 1
            process.owner = owner
            change = self._pulses.watch if is_busy(process) else self._pulses.leave
            change(process)

    def _parent(self, process: Process) -> Process | None:
        """The parent, if it is known and no later process with its pid."""
        parent = self.processes.get(process.stat.ppid)
        return parent if parent and parent.stat.start <= process.stat.start else None

    def _read_io(self, process: Process, *, force: bool = False) -> Io | None:
        """Disk traffic, of Airflow's processes that may have had some."""
        owner = process.owner
        if owner is None or process.stat.state in DEAD:
            return None
        due = process.looks % SELDOM == process.stat.pid % SELDOM
        if not (force or process.stirred or due or isinstance(owner, Try)):
            return None
        try:
            io = procfs.parse_io(self._files.read(process.stat.pid, "io", 1024))
        except (UnreadableError, procfs.MalformedError) as error:
            process.note_unreadable("io", error)
            return None
        process.unreadable.pop("io", None)
        if process.read is None or process.written is None:
            process.read, process.written = io if self._first else (0, 0)
        return io

    def _remove(self, ended: Iterable[Process]) -> None:
        for process in ended:
            self.processes.pop(process.stat.pid, None)
            self._pulses.leave(process)
            if process.owner is not None:
                process.owner.live -= 1

    def _list_ancestors(self, process: Process, gone: dict[int, Process]) -> Iterator[Process]:
        """The ancestors that live, the nearest first; at last the one that takes in all orphans."""
        passed = {process}
        one: Process | None = process
        while one is not None:
            one = self._parent(one) or gone.get(one.stat.ppid)
            if one is None or one in passed:
                break
            passed.add(one)
            if gone.get(one.stat.pid) is not one:
                yield one
        top = self.processes.get(TOP)
        if top is not None and top not in passed:
            yield top

    def _settle(self, process: Process, kids: int, io: Io | None) -> None:
        """Put down what children did that nobody had seen, and the disk traffic."""
        owner, ended = process.owner, process.children_ended
        unseen = max(0, kids - process.kids - sum(child.total() for child in ended))
        process.kids = kids
        if ended:
            process.children_ended = ()
            if io is None:
                # What they wrote is in its account now, and is theirs.
                io = self._read_io(process, force=True)
        if owner is None:
            self.strangers.credit(unseen)
            return
        heirs = self._kinship.find_heirs(process, ended) if ended or unseen else [owner]
        for heir, part in divide(unseen, heirs):
            heir.credit(part)
        if io and process.read is not None and process.written is not None:
            self._settle_traffic(process, io, ended, heirs if isinstance(heirs[0], Try) else [owner])

    def _settle_traffic(self, process: Process, io: Io, ended: Iterable[Process], bearers: list[Owner]) -> None:
        """Put down the disk traffic. A process that runs tasks has hardly any: the rest is a task's that just ended."""
        read = max(0, io.read - (process.read or 0) - sum(child.read or 0 for child in ended))
        written = max(0, io.written - (process.written or 0) - sum(child.written or 0 for child in ended))
        process.read, process.written = io
        for (heir, part), (_, other) in zip(divide(read, bearers), divide(written, bearers), strict=True):
            heir.usage.read += part
            heir.usage.written += other

    def _find_children(self, parents: Iterable[Process]) -> Iterator[int]:
        """Children of these, and theirs, that are not known yet."""
        queue = [process.stat.pid for process in parents]
        while queue:
            found = [pid for pid in self._files.list_children(queue.pop()) if pid not in self.processes]
            yield from found
            queue += found
