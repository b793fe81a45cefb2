"""What goes wrong on a real machine: burners, floods, hogs, leaks. Each begins and ends, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from demo.processes import process_table
from tests.e2e.alerts.stage import Stage
from tests.e2e.exactness.environment import wait_until

BROKEN = """# Airflow looks into files alone that have the words airflow and dag
import a_module_that_nobody_has
"""
BURN = "while True: pass"
FLOOD = """
import socket, sys, time
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.connect(("127.0.0.1", int(sys.argv[1])))
packet = b"airflow.scheduler_heartbeat:1|c"
while True:
    for _ in range(2000):
        try:
            sender.send(packet)
        except OSError:
            pass
    time.sleep(0.01)
"""
HOG = """
import os, sys, time
group, size = sys.argv[1], int(sys.argv[2])
with open(group + "/cgroup.procs", "w") as members:
    members.write(str(os.getpid()))
with open(group + "/memory.usage_in_bytes") as usage:
    size -= int(usage.read())
taken = bytearray(os.urandom(4096)) * (size // 4096)
while True:
    time.sleep(1)
"""
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
HOG_GROUP = "airflow-e2e-alerts"
HOG_LIMIT = 256 * 2**20
HOG_SHARE = 0.92


@contextlib.contextmanager
def order(stage: Stage, name: str) -> Iterator[None]:
    """Let the DAGs that know this order misbehave."""
    file = stage.orders / name
    file.touch()
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


@contextlib.contextmanager
def scripts(*commands: tuple[str, ...], nice: int = 19) -> Iterator[None]:
    """Run small Python scripts at low priority until the end."""
    children = [
        subprocess.Popen(
            ["nice", "-n", str(nice), sys.executable, "-c", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def burn_cpu() -> contextlib.AbstractContextManager[None]:
    """Keep every CPU busy, with one more process waiting; at low priority, so that the rest of the proof goes on."""
    return scripts(*[(BURN,)] * ((os.cpu_count() or 1) + 1))


def flood_statsd(stage: Stage) -> contextlib.AbstractContextManager[None]:
    """Send more packets than the exporter's small buffer holds between two looks."""
    return scripts(*[(FLOOD, str(stage.statsd_port))] * 2, nice=5)


def can_make_groups() -> bool:
    """Whether this machine lets us make a control group that limits memory."""
    return os.access(MEMORY_GROUPS, os.W_OK) and (MEMORY_GROUPS / "memory.limit_in_bytes").exists()


@contextlib.contextmanager
def hog(stage: Stage, part: str) -> Iterator[None]:
    """A process that takes most of the memory of the control group in which a part of Airflow runs."""
    with memory_group() as group:
        leader = stage.airflow.processes.pid(part)
        for process in process_table():
            if leader in (process.pid, process.parent):
                (group / "cgroup.procs").write_text(str(process.pid))
        with scripts((HOG, str(group), str(int(HOG_LIMIT * HOG_SHARE))), nice=0):
            yield


@contextlib.contextmanager
def memory_group() -> Iterator[Path]:
    """A control group with little memory."""
    group = MEMORY_GROUPS / HOG_GROUP
    group.mkdir(exist_ok=True)
    (group / "memory.limit_in_bytes").write_text(str(HOG_LIMIT))
    try:
        yield group
    finally:
        remove_group(group)


def remove_group(group: Path) -> None:
    """Give its processes back to where groups begin, and remove it; it takes a moment until the last one has left."""
    for _ in range(50):
        for pid in (group / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (MEMORY_GROUPS / "cgroup.procs").write_text(pid)
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"{group} could not be removed")


@contextlib.contextmanager
def broken_file(stage: Stage) -> Iterator[None]:
    """A DAG file that cannot be imported."""
    file = stage.dags / "broken.py"
    file.write_text(BROKEN, encoding="utf-8")
    try:
        yield
    finally:
        file.unlink()


@contextlib.contextmanager
def triggered(stage: Stage, dag_id: str) -> Iterator[None]:
    """A run of a DAG whose tasks go on as long as its order stands."""
    with order(stage, dag_id):
        stage.console.trigger(dag_id)
        yield


@contextlib.contextmanager
def triggered_twice(stage: Stage, dag_id: str) -> Iterator[None]:
    """Two runs of a DAG of which one may run at a time; the first goes on as long as the order stands."""
    with triggered(stage, dag_id):
        stage.console.trigger(dag_id)
        yield


@contextlib.contextmanager
def waiting_for_ever(stage: Stage, dag_id: str) -> Iterator[None]:
    """A run that nothing ends by itself; pausing its DAG makes that a decision."""
    stage.console.trigger(dag_id)
    try:
        yield
    finally:
        stage.console.pause(dag_id, True)


@contextlib.contextmanager
def run_to_the_end(stage: Stage, *dag_ids: str) -> Iterator[None]:
    """A run of each of these DAGs, which ends by itself; over when all have ended."""
    runs = {dag_id: stage.console.trigger(dag_id) for dag_id in dag_ids}
    yield
    for dag_id, run_id in runs.items():
        with contextlib.suppress(TimeoutError):  # the alert's end is what is looked at: it is in the table
            wait_until(partial(has_ended, stage, dag_id, run_id), 180, f"the run of {dag_id} has ended")


def has_ended(stage: Stage, dag_id: str, run_id: str) -> bool:
    """Whether a run is over, by Airflow's database."""
    query = f"select 1 from dag_run where run_id = '{run_id}' and dag_id = '{dag_id}' and end_date is not null"
    return bool(stage.airflow.query(query))


@contextlib.contextmanager
def without(stage: Stage, part: str) -> Iterator[None]:
    """An Airflow one part of which has stopped; it starts again with the settings that hold then."""
    stage.airflow.stop(part)
    try:
        yield
    finally:
        stage.airflow.start(part, wait=False)


@contextlib.contextmanager
def killed(stage: Stage) -> Iterator[None]:
    """The exporter dies at once, and is started again."""
    stage.exporter.kill()
    try:
        yield
    finally:
        stage.exporter.start()
