"""Steps the wall clock of one Python process: imported at its start where this folder is on PYTHONPATH.

The offset in seconds is read from the file that $E2E_CLOCK names, each time that the program reads the clock; the
monotonic clock goes on as it was, as it does when an administrator or NTP steps a clock. A library that does
this below Python (libfaketime) is no way: it makes Python's waits for locks and its sleeps fail.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

_seconds, _nanoseconds = time.time, time.time_ns
_file = Path(os.environ.get("E2E_CLOCK", os.devnull))


def _offset() -> int:
    try:
        return int(_file.read_text() or 0)
    except (OSError, ValueError):
        return 0


def _shifted_seconds() -> float:
    return _seconds() + _offset()


def _shifted_nanoseconds() -> int:
    return _nanoseconds() + _offset() * 1_000_000_000


time.time, time.time_ns = _shifted_seconds, _shifted_nanoseconds
