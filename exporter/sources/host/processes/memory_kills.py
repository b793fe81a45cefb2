"""Which tries the kernel killed for lack of memory: those that lost a process just when its count of such kills grew.

The kernel says how many processes it killed, but to a user without special rights not which.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from exporter.sources.directory import MemoryKill
from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.procfs import UnreadableError
from exporter.sources.host.processes.owners import Try

MAX_EXIT_SECONDS = 5.0
"""Seconds that a killed process takes to go, at most: the kernel has to free its memory."""
MAX_ENDED, MAX_RISES = 2_000, 20
"""Ended processes, and spans of time in which the count grew, that are compared."""


def read_count(procfs_root: Path) -> float | None:
    """How many processes of the machine the kernel has killed for lack of memory; None where it does not say."""
    try:
        text = procfs.read_list(f"{procfs_root}/vmstat")
    except UnreadableError:
        return None
    # Only this line is parsed: the file has 150, and it is read twice a second.
    count = procfs.parse_number(text, b"\noom_kill ", absent=-1)
    return None if count < 0 else count


class MemoryKills:
    """Compares the ends of tries' processes with the growth of the kernel's count."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` has Unix seconds."""
        self._clock = clock
        self._ended: deque[tuple[float, Try]] = deque(maxlen=MAX_ENDED)
        self._rises: deque[tuple[float, float]] = deque(maxlen=MAX_RISES)
        self._count: float | None = None
        self._noted_at = 0.0

    def note(self, ended: deque[Try], count: float | None) -> list[MemoryKill]:
        """Take the tries that lost a process since the last scan; the kernel's count is read after the scan.

        Returns the tries that were killed, as far as it is known now.
        """
        now = self._clock()
        self._ended.extend((now, one) for one in dict.fromkeys(ended) if one.key)
        ended.clear()
        if self._count is not None and count is not None and count > self._count:
            self._rises.append((self._noted_at, now + MAX_EXIT_SECONDS))
        self._count, self._noted_at = count, now
        while self._rises and self._rises[0][1] < now:
            self._rises.popleft()
        found, self._ended = self._ended, deque(maxlen=MAX_ENDED)
        return [
            MemoryKill(one.uuid, one.named, moment)
            for moment, one in found
            if any(since < moment <= until for since, until in self._rises)
        ]
