"""Whether a process ran since it was last asked after: one short read of a file that stays open.

The kernel tells in /proc/PID/schedstat for how long the main thread had a CPU.
"""

from __future__ import annotations

import os
from resource import RLIMIT_NOFILE, getrlimit

from exporter.sources.host.files import Files
from exporter.sources.host.kinship import YOUNG
from exporter.sources.host.process import Process
from exporter.sources.host.procfs import UnreadableError

MOST = 500
"""Files that stay open at most: each takes 4 KiB of the kernel's memory."""
SHARE = 4
"""One in so many of the files that we may have open is used for this at most."""
LENGTH = 64
SILENT = b"0 0 "
"""How the file begins where this kernel does not count."""


class Pulse:
    """What is known of one process's running."""

    __slots__ = ("descriptor", "text")

    def __init__(self) -> None:
        self.descriptor = -1
        self.text = b""


class Pulses:
    """Watches over processes; whoever cannot be told of counts as running."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._pulses: dict[Process, Pulse] = {}
        self._room = min(MOST, getrlimit(RLIMIT_NOFILE)[0] // SHARE)

    def __len__(self) -> int:
        return len(self._pulses)

    def watch(self, process: Process) -> None:
        """Tell of this process from now on."""
        self._pulses.setdefault(process, Pulse())

    def leave(self, process: Process) -> None:
        """Tell of it no more."""
        pulse = self._pulses.pop(process, None)
        if pulse:
            self._close(pulse)

    def close(self) -> None:
        """Close all files; they are opened anew when they are needed."""
        for pulse in self._pulses.values():
            self._close(pulse)

    def list_busy(self) -> list[Process]:
        """Those that ran, or may have, since they were last asked after; and their children, who may have lost them."""
        ran = {process for process, pulse in self._pulses.items() if self._feel(process, pulse)}
        if not ran:
            return []
        pids = {process.stat.pid for process in ran}
        return [process for process in self._pulses if process in ran or process.stat.ppid in pids]

    def _feel(self, process: Process, pulse: Pulse) -> bool:
        if pulse.descriptor < 0 and not self._open(process, pulse):
            return True
        try:
            before, pulse.text = pulse.text, os.pread(pulse.descriptor, LENGTH, 0)
        except OSError:
            # It has ended.
            return True
        if pulse.text.startswith(SILENT):
            self._close(pulse)
            pulse.text = SILENT
        return pulse.text != before or process.stat.threads > 1

    def _open(self, process: Process, pulse: Pulse) -> bool:
        """Whether there is a file for it now. A new process is left alone: most do not live long."""
        if process.looks <= YOUNG or self._room <= 0 or pulse.text == SILENT:
            return False
        try:
            pulse.descriptor = self._files.open(process.stat.pid, "schedstat")
        except UnreadableError:
            pulse.text = SILENT
            return False
        self._room -= 1
        return True

    def _close(self, pulse: Pulse) -> None:
        if pulse.descriptor >= 0:
            os.close(pulse.descriptor)
            pulse.descriptor = -1
            self._room += 1
