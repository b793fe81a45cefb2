"""A crowd like that of a busy worker, of real processes: python crowd.py FOLDER SLEEPERS WORKERS TASKS [padding]

Sleepers do nothing under Airflow's titles. At each line on its input every worker runs that many tasks, one after the
other, and lets the last of them linger until the next line, or at a line that says rest only waits for that one. At the
end of input it writes what the kernel said that its tasks used together.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from stage import burn, set_title  # type: ignore[import-not-found]  # run as a script, from its folder

TITLES = (
    "airflow worker -- LocalExecutor: <idle>",
    "airflow scheduler",
    "gunicorn: worker [airflow-webserver]",
    "airflow worker -- {uuid}",
)
REST = b"r"
LONGEST = 0.008
"""CPU seconds of one task, at most."""


def name_try(worker: int, task: int) -> str:
    """The UUID of a try: ours, and no other's on this machine."""
    return f"01a20793-8496-79a0-a835-{os.getppid() % 10_000:04d}{worker:04d}{task:04d}"


def start_sleepers(number: int) -> None:
    """They read from a pipe without a writer, and end with this process."""
    silence, _ = os.pipe()
    for place in range(number):
        if os.fork() == 0:
            os.dup2(silence, 0)
            os.execv("/bin/cat", [TITLES[place % len(TITLES)].format(uuid=f"{place:08x}-0000-4000-8000-{place:012x}")])


def run_task(uuid: str, seconds: float, wait_for: int | None) -> int:
    """Fork a task; one that lingers does so until there is something to read."""
    set_title(f"airflow worker -- LocalExecutor: {uuid}")
    child = os.fork()
    if child == 0:
        set_title(f"airflow worker -- {uuid}")
        burn(seconds)
        if wait_for is not None:
            os.read(wait_for, 1)
        os._exit(0)
    return child


def work(place: int, orders: int, done: int, tasks: int, folder: Path) -> None:
    """Be a worker."""
    spent, number, lingering, release = 0.0, 0, None, None
    while True:
        order = os.read(orders, 1)
        if lingering and release is not None:
            os.write(release, b".")
            spent += wait(lingering)
            lingering = None
        if not order:
            break
        if order == REST:
            os.write(done, b".")
            continue
        for _ in range(tasks - 1):
            number += 1
            spent += wait(run_task(name_try(place, number), LONGEST * (number % 7) / 6, None))
        number += 1
        hold, release = os.pipe()
        lingering = run_task(name_try(place, number), LONGEST, hold)
        time.sleep(0.05)
        os.write(done, b".")
    (folder / f"{place}.txt").write_text(f"{spent}")
    os._exit(0)


def wait(child: int) -> float:
    """What it used, by the kernel."""
    _, _, used = os.wait4(child, 0)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Pass the lines on to the workers."""
    folder, sleepers, workers, tasks = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    start_sleepers(sleepers)
    finished, done = os.pipe()
    orders: list[int] = []
    for place in range(workers):
        hear, tell = os.pipe()
        if os.fork() == 0:
            for other in orders:
                os.close(other)
            os.close(tell)
            set_title("airflow worker -- LocalExecutor: <idle>")
            work(place, hear, done, tasks, folder)
        os.close(hear)
        orders.append(tell)
    print("ready", flush=True)
    for line in sys.stdin:
        for tell in orders:
            os.write(tell, REST if line.startswith("rest") else b".")
        for _ in orders:
            os.read(finished, 1)
        print("done", flush=True)
    for tell in orders:
        os.close(tell)
    for _ in orders:
        os.wait()
    print("end", flush=True)


if __name__ == "__main__":
    main()
