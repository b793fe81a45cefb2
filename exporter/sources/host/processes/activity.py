"""Whether a process ran since the last check, from one short read of a file that stays open.

/proc/PID/schedstat has the CPU time of the main thread in nanoseconds. psutil does not read it.
"""

from __future__ import annotations

import os
from resource import RLIMIT_NOFILE, getrlimit

from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.procfs import UnreadableError
from exporter.sources.host.processes.attribution import NEW_SCANS
from exporter.sources.host.processes.process import Process

MAX_OPEN_FILES = 500
"""Each open file takes 4 KiB of kernel memory."""
FD_LIMIT_DIVISOR = 4
"""At most a quarter of the limit of open files is used for this."""
SCHEDSTAT_BYTES = 64
NOT_COUNTED = b"0 0 "
"""Start of the file on a kernel that does not count CPU time."""


class SchedstatFile:
    """An open schedstat file and its text when last read."""

    __slots__ = ("descriptor", "text")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.text = b""


class ActivityWatch:
    """Watches processes. A process whose file cannot be read counts as active."""

    def __init__(self, files: ProcFiles) -> None:
        self._files = files
        self._schedstats: dict[Process, SchedstatFile | None] = {}
        self._free_slots = min(MAX_OPEN_FILES, getrlimit(RLIMIT_NOFILE)[0] // FD_LIMIT_DIVISOR)
        """How many more files may be opened; 0 if this kernel does not count CPU time."""

    def __len__(self) -> int:
        return len(self._schedstats)

    def add(self, process: Process) -> None:
        """Watch a process."""
        self._schedstats.setdefault(process, None)

    def remove(self, process: Process) -> None:
        """Stop watching a process and close its file."""
        file = self._schedstats.pop(process, None)
        if file:
            self._close(file)

    def close(self) -> None:
        """Close all files. The next check opens them again."""
        for process, file in self._schedstats.items():
            if file:
                self._close(file)
                self._schedstats[process] = None

    def list_active(self) -> list[Process]:
        """Processes that ran, or may have run, since the last call, and their children, whose parent may have ended."""
        ran = {process for process, file in self._schedstats.items() if self._was_active(process, file)}
        if not ran:
            return []
        pids = {process.stat.pid for process in ran}
        return [process for process in self._schedstats if process in ran or process.stat.ppid in pids]

    def _was_active(self, process: Process, file: SchedstatFile | None) -> bool:
        if file is None:
            # Most new processes end soon, so a file is opened only after some scans.
            if self._free_slots > 0 and process.scans > NEW_SCANS:
                self._open(process)
            return True
        try:
            before, file.text = file.text, os.pread(file.descriptor, SCHEDSTAT_BYTES, 0)
        except OSError:
            # The process has ended.
            return True
        return file.text != before or process.stat.threads > 1

    def _open(self, process: Process) -> None:
        try:
            file = SchedstatFile(self._files.open(process.stat.pid, "schedstat"))
        except UnreadableError:
            return
        self._free_slots -= 1
        if self._was_active(process, file) and file.text.startswith(NOT_COUNTED):
            self._close(file)
            self._free_slots = 0
        else:
            self._schedstats[process] = file

    def _close(self, file: SchedstatFile) -> None:
        os.close(file.descriptor)
        self._free_slots += 1
