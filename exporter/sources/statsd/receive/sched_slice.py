"""A short CPU time slice for the receiving thread, so that it runs before its receive buffer is full.

With Linux 6.12 and later (EEVDF) a thread that wakes up runs before threads with a longer slice. Any thread may ask for
a short slice, and gets no more CPU time in total by it. Older kernels accept the request and ignore it.
"""

from __future__ import annotations

import ctypes
import os
import struct

NUMBERS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""Number of the system call `sched_setattr` by machine: only new C libraries have a function for it."""
ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""struct sched_attr: size, policy, flags, nice value, priority; then slice, deadline and period in nanoseconds."""
SLICE = 100_000
"""Nanoseconds, the shortest slice that the kernel grants."""


def request_short_slice() -> bool:
    """Ask for a short time slice for the calling thread; returns whether the kernel accepted the request."""
    number = NUMBERS.get(os.uname().machine)
    if os.uname().sysname != "Linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    attributes = ATTRIBUTES.pack(ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, SLICE, 0, 0)
    try:
        result: int = ctypes.CDLL(None).syscall(number, 0, attributes, 0)
    except (AttributeError, OSError):
        return False
    return result == 0
