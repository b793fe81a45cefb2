"""Airflow DAGs whose tasks use CPU, memory and disk, and record what the kernel says that they used."""

import json
import os
import resource
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

try:
    from airflow.providers.standard.operators.bash import BashOperator
    from airflow.sdk import dag, task
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.operators.bash import BashOperator

FOLDER = Path(os.environ.get("USAGE_FOLDER", "/tmp"))
PREFIX = os.environ.get("USAGE_PREFIX", "")
"""Of the ids of all DAGs: another Airflow on this machine may run the same."""
START = datetime(2025, 1, 1, tzinfo=UTC)
MEBI = 1024**2
KNOWN = {}


def account(context):
    """What this process and its children have used so far; the newest account of a process counts."""
    own, kids = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    ti = context["ti"]
    KNOWN.update(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        pid=os.getpid(),
        cpu=own.ru_utime + own.ru_stime + kids.ru_utime + kids.ru_stime,
        peak=max(own.ru_maxrss, kids.ru_maxrss) * 1024,
        written=int(io["write_bytes"]),
    )
    scratch = FOLDER / f"{os.getpid()}.new"
    scratch.write_text(json.dumps(KNOWN))
    scratch.replace(FOLDER / f"{ti.dag_id}-{ti.task_id}-{os.getpid()}-{ti.try_number}.json")


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


OPTIONS = {
    "schedule": None,
    "start_date": START,
    "catchup": False,
    "max_active_tasks": 4,
    "default_args": {"retry_delay": timedelta(seconds=2)},  # 2.x waits for it after a clear
}
BY_TASK = {"on_success_callback": account}


@dag(dag_id=f"{PREFIX}heavy", **OPTIONS)
def heavy():
    """Long enough to be scanned."""

    @task(**BY_TASK)
    def cpu():
        burn(12)

    @task(**BY_TASK)
    def memory():
        held = bytearray(b"x") * (300 * MEBI)
        time.sleep(15)
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                KNOWN["pss"] = int(line.split()[1]) * 1024
        time.sleep(20)
        assert held

    @task(**BY_TASK)
    def disk():
        with (FOLDER / "written").open("wb") as file:
            for _ in range(100):
                file.write(os.urandom(MEBI))
                file.flush()
                os.fsync(file.fileno())
        time.sleep(1)

    @task(**BY_TASK)
    def children():
        code = "import time\nend = time.process_time() + 3\nwhile time.process_time() < end: pass"
        started = [subprocess.Popen(["python3", "-c", code]) for _ in range(2)]
        for child in started:
            child.wait()

    @task(**BY_TASK)
    def mapped(seconds):
        burn(seconds)

    BashOperator(
        task_id="bash",
        bash_command="i=0; while [ $i -lt 2500000 ]; do i=$((i+1)); done",
        **BY_TASK,
    )
    cpu()
    memory()
    disk()
    children()
    mapped.expand(seconds=[6, 7, 8])


@dag(dag_id=f"{PREFIX}short", **OPTIONS)
def short():
    """Too short to be scanned."""

    @task(**BY_TASK)
    def quick(number):
        burn(0.2)
        return number

    quick.expand(number=list(range(20)))


@dag(dag_id=f"{PREFIX}cleared", **OPTIONS)
def cleared():
    """Cleared by the test while it runs; the second time it ends by itself."""

    @task(on_success_callback=account)
    def long(**context):
        first = not (FOLDER / "begun").exists()
        (FOLDER / "begun").touch()
        for _ in range(600 if first else 20):
            burn(0.1)
            account(context)

    long()


heavy()
short()
cleared()
