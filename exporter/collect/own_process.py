"""The exporter's own process: what it uses, as every Prometheus client exposes it."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from exporter.metrics.catalogue import own_process
from exporter.metrics.family import Family

SELF = Path("/proc/self")


def measure(folder: Path = SELF) -> dict[Family, float]:
    """The families of our own process. Linux tells without psutil, which a worker's exporter need not load then."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    values: dict[Family, float] = {
        own_process.CPU: used.ru_utime + used.ru_stime,
        own_process.MAX_FDS: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }
    try:
        return values | read(folder)
    except (OSError, ValueError, IndexError):
        return values | ask()


def read(folder: Path) -> dict[Family, float]:
    """What Linux says. Raises OSError, ValueError or IndexError where it does not."""
    virtual, resident = map(int, (folder / "statm").read_bytes().split()[:2])
    stat = (folder / "stat").read_bytes()
    started = int(stat[stat.rindex(b")") + 2 :].split()[19]) / os.sysconf("SC_CLK_TCK")
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    page = os.sysconf("SC_PAGE_SIZE")
    return {
        own_process.RESIDENT_MEMORY: resident * page,
        own_process.VIRTUAL_MEMORY: virtual * page,
        own_process.START_TIME: round(boot + started, 2),
        own_process.OPEN_FDS: len(os.listdir(folder / "fd")),  # noqa: PTH208 - a Path for each of hundreds is dear
    }


def ask() -> dict[Family, float]:
    """What psutil says, on every other system."""
    import psutil  # noqa: PLC0415 - only where it is needed

    process = psutil.Process()
    memory = process.memory_info()
    return {
        own_process.RESIDENT_MEMORY: memory.rss,
        own_process.VIRTUAL_MEMORY: memory.vms,
        own_process.START_TIME: process.create_time(),
        own_process.OPEN_FDS: process.num_fds(),
    }
