"""Whether a process ran since it was last asked after: one short read of a file that stays open.

The kernel tells in /proc/PID/schedstat for how long the main thread had a CPU.
"""

from __future__ import annotations

import os
from resource import RLIMIT_NOFILE, getrlimit

from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.procfs import UnreadableError
from exporter.sources.host.processes.attribution import NEW_SCANS
from exporter.sources.host.processes.process import Process

MAX_OPEN_FILES = 500
"""Files that stay open at most: each takes 4 KiB of the kernel's memory."""
FD_LIMIT_DIVISOR = 4
"""One in so many of the files that we may have open is used for this at most."""
SCHEDSTAT_BYTES = 64
NOT_COUNTED = b"0 0 "
"""How the file begins where this kernel does not count."""


class SchedstatFile:
    """An open file, and what it said when last read."""

    __slots__ = ("descriptor", "text")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.text = b""


class ActivityWatch:
    """Watches over processes; whoever cannot be told of counts as running."""

    def __init__(self, files: ProcFiles) -> None:
        self._files = files
        self._activity: dict[Process, SchedstatFile | None] = {}
        self._free_slots = min(MAX_OPEN_FILES, getrlimit(RLIMIT_NOFILE)[0] // FD_LIMIT_DIVISOR)
        """How many more files may be opened; none where this kernel tells nothing."""

    def __len__(self) -> int:
        return len(self._activity)

    def add(self, process: Process) -> None:
        """Tell of this process from now on."""
        self._activity.setdefault(process, None)

    def remove(self, process: Process) -> None:
        """Tell of it no more."""
        pulse = self._activity.pop(process, None)
        if pulse:
            self._close(pulse)

    def close(self) -> None:
        """Close all files; they are opened anew when they are needed."""
        for process, pulse in self._activity.items():
            if pulse:
                self._close(pulse)
                self._activity[process] = None

    def list_active(self) -> list[Process]:
        """Those that ran, or may have, since they were last asked after; and their children, who may have lost them."""
        ran = {process for process, pulse in self._activity.items() if self._was_active(process, pulse)}
        if not ran:
            return []
        pids = {process.stat.pid for process in ran}
        return [process for process in self._activity if process in ran or process.stat.ppid in pids]

    def _was_active(self, process: Process, pulse: SchedstatFile | None) -> bool:
        if pulse is None:
            # A new process gets no file at once: most do not live long.
            if self._free_slots > 0 and process.scans > NEW_SCANS:
                self._open(process)
            return True
        try:
            before, pulse.text = pulse.text, os.pread(pulse.descriptor, SCHEDSTAT_BYTES, 0)
        except OSError:
            # It has ended.
            return True
        return pulse.text != before or process.stat.threads > 1

    def _open(self, process: Process) -> None:
        try:
            pulse = SchedstatFile(self._files.open(process.stat.pid, "schedstat"))
        except UnreadableError:
            return
        self._free_slots -= 1
        if self._was_active(process, pulse) and pulse.text.startswith(NOT_COUNTED):
            self._close(pulse)
            self._free_slots = 0
        else:
            self._activity[process] = pulse

    def _close(self, pulse: SchedstatFile) -> None:
        os.close(pulse.descriptor)
        self._free_slots += 1
