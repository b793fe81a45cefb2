"""Short turns of the CPU: a thread that asks for them need not wait until the others have used up theirs.

Under the default policy Linux (since 6.12) lets a thread that wakes run before those whose turns are longer, and
everybody may ask. A thread gets no more of the CPU by it, but the receiving one gets it before its buffer is full.
Older kernels take the wish and do nothing.
"""

from __future__ import annotations

import ctypes
import os
import struct

NUMBERS = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""The system call `sched_setattr`, by machine: the C library has had a name for it only of late."""
ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""struct sched_attr: its size, policy, flags, niceness, priority, and the turn, deadline and period in nanoseconds."""
SLICE = 100_000
"""Nanoseconds, the shortest that there is."""


def request_short_slice() -> bool:
    """Ask for the calling thread; says whether the kernel took the wish."""
    number = NUMBERS.get(os.uname().machine)
    if os.uname().sysname != "Linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wish = ATTRIBUTES.pack(ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, SLICE, 0, 0)
    try:
        answer: int = ctypes.CDLL(None).syscall(number, 0, wish, 0)
    except (AttributeError, OSError):
        return False
    return answer == 0
