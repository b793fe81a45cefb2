"""A worker like Airflow's, of real processes: python stage.py FOLDER JOB... [padding]

For each job it takes the title of a busy LocalExecutor worker and forks the task's process, which takes a title of
its own, works, and writes what the kernel says that it used. Like Airflow's, a worker is busy longer than its task.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

MEBI = 1024**2
MARGIN = 0.4
"""Seconds that a worker takes to prepare and to end a task; Airflow's take longer."""
BUSY = "import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass"


NOTED: dict[str, int] = {}
"""What a job noted of itself while it worked."""


def set_title(title: str) -> None:
    """Write over the arguments, as setproctitle does."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    text = title.encode()[: end - start - 1]
    ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)


def burn(seconds: float) -> None:
    """Use CPU."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def remember() -> None:
    """Hold memory for a while."""
    held = bytearray(b"x") * (80 * MEBI)
    time.sleep(4.0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    NOTED["pss"] = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    assert held


def write() -> None:
    """Write to a disk."""
    with (Path(sys.argv[1]) / "written").open("wb") as file:
        for _ in range(24):
            file.write(os.urandom(MEBI))
            file.flush()
            os.fsync(file.fileno())


def shell() -> None:
    """Have a child use CPU."""
    subprocess.run([sys.executable, "-S", "-c", BUSY.format(seconds=1.0)], check=True)


def exhaust() -> None:
    """Use more memory than a control group grants, until the kernel ends it."""
    (Path(os.environ["STAGE_MEMORY_GROUP"]) / "cgroup.procs").write_text(str(os.getpid()))
    held = []
    while True:
        held.append(bytearray(b"x") * (4 * MEBI))
        time.sleep(0.02)


JOBS: dict[str, Callable[[], None]] = {
    "cpu": lambda: burn(2.0),
    "memory": remember,
    "disk": write,
    "shell": shell,
    "short": lambda: burn(0.2),
    "exhaust": exhaust,
}


def work(job: str, uuid: str) -> None:
    """Be the task's process: it never returns."""
    set_title(f"airflow worker -- {uuid}")
    JOBS[job]()
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    account = NOTED | {
        "job": job,
        "cpu": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak": max(own.ru_maxrss, children.ru_maxrss) * 1024,
        "written": int(io["write_bytes"]),
    }
    (Path(sys.argv[1]) / f"{uuid}.json").write_text(json.dumps(account))
    os._exit(0)


def main() -> None:
    """Run one job after the other."""
    jobs = [job.partition("=") for job in sys.argv[2].split(",")]
    set_title("airflow worker -- LocalExecutor: <idle>")
    print("ready", flush=True)
    sys.stdin.readline()
    for job, _, uuid in jobs:
        set_title(f"airflow worker -- LocalExecutor: {uuid}")
        time.sleep(MARGIN)
        child = os.fork()
        if child == 0:
            work(job, uuid)
        os.waitpid(child, 0)
        time.sleep(MARGIN)
        set_title("airflow worker -- LocalExecutor: <idle>")
    print("done", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
