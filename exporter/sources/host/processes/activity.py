"""Whether a process ran since it was last asked after: one short read of a file that stays open.

The kernel tells in /proc/PID/schedstat for how long the main thread had a CPU.
"""

from __future__ import annotations

import os
from resource import RLIMIT_NOFILE, getrlimit

from exporter.sources.host.proc.files import Files
from exporter.sources.host.proc.procfs import UnreadableError
from exporter.sources.host.processes.attribution import YOUNG
from exporter.sources.host.processes.process import Process

MOST = 500
"""Files that stay open at most: each takes 4 KiB of the kernel's memory."""
SHARE = 4
"""One in so many of the files that we may have open is used for this at most."""
LENGTH = 64
SILENT = b"0 0 "
"""How the file begins where this kernel does not count."""


class Pulse:
    """An open file, and what it said when last read."""

    __slots__ = ("descriptor", "text")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.text = b""


class Pulses:
    """Watches over processes; whoever cannot be told of counts as running."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._pulses: dict[Process, Pulse | None] = {}
        self._room = min(MOST, getrlimit(RLIMIT_NOFILE)[0] // SHARE)
        """How many more files may be opened; none where this kernel tells nothing."""

    def __len__(self) -> int:
        return len(self._pulses)

    def watch(self, process: Process) -> None:
        """Tell of this process from now on."""
        self._pulses.setdefault(process, None)

    def leave(self, process: Process) -> None:
        """Tell of it no more."""
        pulse = self._pulses.pop(process, None)
        if pulse:
            self._close(pulse)

    def close(self) -> None:
        """Close all files; they are opened anew when they are needed."""
        for process, pulse in self._pulses.items():
            if pulse:
                self._close(pulse)
                self._pulses[process] = None

    def list_busy(self) -> list[Process]:
        """Those that ran, or may have, since they were last asked after; and their children, who may have lost them."""
        ran = {process for process, pulse in self._pulses.items() if self._ran(process, pulse)}
        if not ran:
            return []
        pids = {process.stat.pid for process in ran}
        return [process for process in self._pulses if process in ran or process.stat.ppid in pids]

    def _ran(self, process: Process, pulse: Pulse | None) -> bool:
        if pulse is None:
            # A new process gets no file at once: most do not live long.
            if self._room > 0 and process.looks > YOUNG:
                self._open(process)
            return True
        try:
            before, pulse.text = pulse.text, os.pread(pulse.descriptor, LENGTH, 0)
        except OSError:
            # It has ended.
            return True
        return pulse.text != before or process.stat.threads > 1

    def _open(self, process: Process) -> None:
        try:
            pulse = Pulse(self._files.open(process.stat.pid, "schedstat"))
        except UnreadableError:
            return
        self._room -= 1
        if self._ran(process, pulse) and pulse.text.startswith(SILENT):
            self._close(pulse)
            self._room = 0
        else:
            self._pulses[process] = pulse

    def _close(self, pulse: Pulse) -> None:
        os.close(pulse.descriptor)
        self._room += 1
