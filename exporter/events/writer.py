"""Writes events in a separate thread: a slow or full disk never holds up a reading of Airflow."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Protocol

log = logging.getLogger(__name__)

MAX_WAITING = 20_000
"""Lines that wait to be written; further ones are not accepted until there is room."""
MAX_BATCH = 1_000
"""Lines that are written at once."""
RETRY_SECONDS = 5.0
"""Seconds after a failed write until the next attempt."""
CLOSE_SECONDS = 3.0
"""Seconds that `close` waits for the lines that are still to be written."""


class LineTarget(Protocol):
    """What lines are appended to."""

    def append(self, lines: Sequence[bytes]) -> None:
        """Write all of the lines. Raises OSError."""

    def close(self) -> None:
        """Close it; the next append opens it again."""


class EventWriter:
    """Accepts numbered lines, and says up to which number they are written. Failed writes are repeated."""

    def __init__(self, target: LineTarget, retry_seconds: float = RETRY_SECONDS) -> None:
        self._target = target
        self._retry_seconds = retry_seconds
        self._lines: deque[bytes] = deque()
        self._accepted = 0
        self.written = 0
        """How many lines were written: those with a number below this."""
        self.failed_writes = 0
        """How many attempts to write failed."""
        self.dropped = 0
        """How many events were dropped, because too many waited to be written; the reader of events counts them."""
        self._wake = threading.Event()
        self._progress = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def room(self) -> int:
        """How many lines are accepted now."""
        return MAX_WAITING - len(self._lines)

    def submit(self, line: bytes) -> int:
        """Accept a line that ends in a newline; its number. Only if there is room, and only from one thread."""
        self._lines.append(line)
        self._accepted += 1
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, name="events", daemon=True)
            self._thread.start()
        self._wake.set()
        return self._accepted - 1

    def wait(self, number: int, seconds: float) -> None:
        """Wait until the line with a number is written, at most for some seconds."""
        end = time.monotonic() + seconds
        while self.written <= number and (left := end - time.monotonic()) > 0:
            self._progress.wait(left)
            self._progress.clear()

    def close(self) -> None:
        """Write what waits, for a few seconds at most, and end the thread. A later line starts it again."""
        if self._thread is not None:
            self._stop.set()
            self._wake.set()
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        failing = False
        while self._lines or not self._stop.is_set():
            if not self._lines:
                self._wake.wait()
                self._wake.clear()
                continue
            try:
                self._write_batch()
            except OSError as error:
                self.failed_writes += 1
                if not failing:
                    log.warning("events cannot be written, they are kept and tried again: %s", error.strerror or error)
                failing = True
                if self._stop.wait(self._retry_seconds):
                    break
            else:
                if failing:
                    log.info("events are written again")
                failing = False
        self._target.close()

    def _write_batch(self) -> None:
        """Write the oldest lines. Raises OSError; then they are still there."""
        batch = [self._lines[index] for index in range(min(len(self._lines), MAX_BATCH))]
        self._target.append(batch)
        for _ in batch:
            self._lines.popleft()
        self.written += len(batch)
        self._progress.set()
