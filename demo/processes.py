"""Processes that the launcher started: identified by pid and start time, so that no other process is ever ended."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_CHILDREN: list[subprocess.Popen[bytes]] = []  # kept so that they can be reaped when they end


@dataclass(frozen=True)
class Process:
    """One line of the process table; `start` (clock ticks since boot) distinguishes processes with the same pid."""

    pid: int
    parent: int
    session: int
    start: int
    zombie: bool = False


def parse_stat(text: str) -> Process:
    """The fields of /proc/PID/stat that matter; the command name in the middle may hold spaces and parentheses."""
    pid, rest = text.split(" ", 1)
    fields = rest.rsplit(")", 1)[1].split()
    return Process(int(pid), int(fields[1]), int(fields[3]), int(fields[19]), fields[0] in "ZX")


def read_process(pid: int) -> Process | None:
    """The process that has this pid now; a zombie has ended and counts as none."""
    try:
        found = parse_stat((PROC / str(pid) / "stat").read_text())
    except OSError:
        return None
    return None if found.zombie else found


def process_table() -> list[Process]:
    """All processes of this machine that still run."""
    found = (read_process(int(entry.name)) for entry in PROC.iterdir() if entry.name.isdigit())
    return [process for process in found if process]


def family_of(leader: int, start: int, table: Iterable[Process]) -> list[Process]:
    """The leader, its descendants and everything in its session, also when the leader itself has ended."""
    by_pid = {process.pid: process for process in table}
    first = by_pid.get(leader)
    if first is not None and first.start != start:
        return []  # the pid is another's by now, so the whole session of old has ended
    members = {pid for pid, process in by_pid.items() if leader in (pid, process.session)}
    grown = True
    while grown:
        more = {pid for pid, process in by_pid.items() if process.parent in members} - members
        members |= more
        grown = bool(more)
    return [by_pid[pid] for pid in sorted(members)]


class Processes:
    """Named processes, remembered in a file so that a later command can look at them and end them."""

    def __init__(self, register: Path, logs: Path) -> None:
        self._register = register
        self._logs = logs

    def _load(self) -> dict[str, tuple[int, int]]:
        if not self._register.exists():
            return {}
        return {name: (pid, start) for name, (pid, start) in json.loads(self._register.read_text()).items()}

    def _store(self, entries: Mapping[str, tuple[int, int]]) -> None:
        scratch = self._register.with_suffix(".new")
        scratch.write_text(json.dumps(entries, indent=1))
        scratch.replace(self._register)

    def log_of(self, name: str) -> Path:
        """Where the output of this process goes."""
        return self._logs / f"{name}.log"

    def names(self) -> list[str]:
        """What was started and not yet stopped, in the order of starting."""
        return list(self._load())

    def pid(self, name: str) -> int | None:
        """The pid while the process runs."""
        pid, start = self._load().get(name, (0, 0))
        found = read_process(pid) if pid else None
        return pid if found and found.start == start else None

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
        """Start it in a new session, unless it runs already; return its pid."""
        running = self.pid(name)
        if running:
            return running
        self.stop([name], patience=5)  # what an ended leader may have left behind
        with self.log_of(name).open("ab") as log:
            child = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        _CHILDREN.append(child)
        found = read_process(child.pid)
        if found is None:
            raise RuntimeError(f"{name} ended at once: see {self.log_of(name)}")
        self._store({**self._load(), name: (child.pid, found.start)})
        return child.pid

    def stop(self, names: Iterable[str], patience: float) -> None:
        """Ask these to end, with all they started, and end by force what has not gone in time."""
        entries = self._load()
        wanted = {name: entries[name] for name in names if name in entries}
        _end(list(wanted.values()), patience)
        self._store({name: entry for name, entry in self._load().items() if name not in wanted})


def _end(leaders: Sequence[tuple[int, int]], patience: float) -> None:
    """Ask the leaders, which know how to end their children in order; orphans have only us to ask them; then force."""
    members: dict[int, int] = {}
    asked: set[int] = set()
    end = time.monotonic() + patience
    while _refresh(leaders, members) and time.monotonic() < end:
        turn = {pid for pid, _ in leaders if pid in members} or set(members)
        _signal({pid: members[pid] for pid in turn - asked}, signal.SIGTERM)
        asked |= turn
        time.sleep(0.1)
    _signal(members, signal.SIGKILL)


def _refresh(leaders: Sequence[tuple[int, int]], members: dict[int, int]) -> bool:
    """Add new members and forget those that ended; true while any is left.

    Members stay on the list once seen: a child with a separate session loses its parent when that ends.
    """
    for child in _CHILDREN:
        child.poll()
    table = process_table()
    for pid, start in leaders:
        members.update((process.pid, process.start) for process in family_of(pid, start, table))
    running = {(process.pid, process.start) for process in table}
    for entry in set(members.items()) - running:
        del members[entry[0]]
    return bool(members)


def _signal(processes: Mapping[int, int], number: signal.Signals) -> None:
    for pid, start in processes.items():
        found = read_process(pid)
        if found and found.start == start:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
