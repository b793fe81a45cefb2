"""What is reported of a real Airflow's tasks, held against what each wrote down of itself, and what the kernel said.

A task's own account is taken before its process ends; the kernel's (witness/) is complete, and the one that counts
where that makes a difference. All together is held against the machine's account of CPU time.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" HOST_EXECUTORS="LocalExecutor CeleryExecutor" \\
        python -m pytest tests/e2e/host -m e2e -s

Leaves its tables in .e2e/ (or $E2E_FOLDER). 2.x and Celery need PostgreSQL's server programs, Celery redis-server.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.airflow import Airflow
from demo.environment import Executor
from exporter.metrics.catalogue.host.machine import MODES
from exporter.sources.host.processes.owners import UNKNOWN
from tests.e2e.exactness.subject import Exposition, Series, Subject

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
EXECUTORS = os.environ.get("HOST_EXECUTORS", "LocalExecutor").split()
FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
DAGS = Path(__file__).resolve().parent / "dags"
WITNESS = Path(__file__).resolve().parent / "witness"
RUNNING_SECONDS = 600.0
NAMED_SECONDS = 60.0
"""After the last task: the names of the last tries come with the poll after, and counters are born at zero."""
LONG = ("cpu", "children", "mapped", "bash")
ALL_CPU = (
    "airflow_process_cpu_seconds_total",
    "airflow_task_cpu_seconds_total",
    "airflow_host_other_cpu_seconds_total",
)
IDLE = ("idle", "iowait", "steal")


class Check(NamedTuple):
    """One value: as the task measured it, as it was reported, and the tolerated relative difference."""

    what: str
    measured: float
    reported: float
    tolerance: float

    @property
    def deviation(self) -> float:
        return self.reported / self.measured - 1 if self.measured else float("inf")

    @property
    def right(self) -> bool:
        return abs(self.deviation) <= self.tolerance

    def __str__(self) -> str:
        verdict = "" if self.right else "  WRONG"
        return f"| {self.what} | {self.measured:,.2f} | {self.reported:,.2f} | {self.deviation:+.1%} |{verdict}"


class Machine:
    """The CPU time of the machine that is not idle, in seconds, at any moment between two samples of /proc/stat."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []

    def sample(self) -> None:
        """Note what it is now."""
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        ticks = sum(int(value) for mode, value in zip(MODES, fields, strict=False) if mode not in IDLE)
        self._samples.append((time.time(), ticks / os.sysconf("SC_CLK_TCK")))

    def read_at(self, moment: float) -> float:
        """What it was at that moment (Unix seconds)."""
        (before, low), (after, high) = next(
            pair for pair in pairwise(self._samples) if pair[0][0] <= moment <= pair[1][0]
        )
        return low + (high - low) * (moment - before) / (after - before)


def find_look(exposition: Exposition) -> float:
    """When the processes were scanned."""
    name, reader = "airflow_exporter_reader_last_success_timestamp_seconds", "processes"
    return next(v for s, v in exposition.items() if s.name == name and s.label("reader") == reader)


def sum_family(exposition: Exposition, name: str) -> float:
    """All series of a family together."""
    return sum(value for series, value in exposition.items() if series.name == name)


class Run:
    """One Airflow, from its start to the last report; `seen` is the most that a gauge ever showed."""

    def __init__(self, version: str, executor: Executor, folder: Path) -> None:
        self.version = version
        self.prefix = f"{os.getpid()}-"
        self.accounts, self.witness = folder / "accounts", folder / "witness"
        for each in (self.accounts, self.witness):
            each.mkdir(parents=True, exist_ok=True)
            for left in each.iterdir():
                left.unlink()
        settings = {
            "USAGE_FOLDER": str(self.accounts),
            "USAGE_PREFIX": self.prefix,
            "WITNESS_FOLDER": str(self.witness),
            "PYTHONPATH": str(WITNESS),
        }
        self.airflow = Airflow(
            version, folder / "airflow", executor=executor, dags=DAGS, pools={}, settings=settings, port=18181
        )
        self.machine = Machine()
        self.seen: dict[str, float] = {}
        self.first: Exposition = {}
        self.last: Exposition = {}
        self.falls: list[str] = []

    def play(self) -> None:
        """Everything, in the order of events."""
        self.airflow.up()
        subject = Subject(self.accounts.parent / "exporter", self._flags())
        try:
            subject.start()
            subject.wait_ready()
            self._wait(lambda: self._count("dag") >= 3, subject)
            self._watch(25, subject)
            self.first, self.begun = self.last, self.machine.read_at(find_look(self.last))
            self.airflow.cli("dags", "trigger", f"{self.prefix}cleared")
            self._wait((self.accounts / "begun").exists, subject)
            self._watch(8, subject)
            self.airflow.cli("tasks", "clear", "--yes", f"{self.prefix}cleared")
            for dag in ("heavy", "short"):
                self.airflow.cli("dags", "trigger", f"{self.prefix}{dag}")
            self._wait(lambda: self._count("dag_run", "AND state = 'success'") == 3, subject)
            self._watch(NAMED_SECONDS, subject)
            self.ended = self.machine.read_at(find_look(self.last))
        finally:
            subject.close()
            self.airflow.down()

    def _flags(self) -> list[str]:
        return [
            f"--airflow.url={self.airflow.url}",
            "--airflow.username=admin",
            f"--airflow.password-file={self.airflow.password_file}",
            "--airflow.interval=10s",
            "--exposition.birth-hold=1s",
        ]

    def _count(self, table: str, condition: str = "") -> int:
        """Rows of our DAGs."""
        return len(self.airflow.query(f"SELECT dag_id FROM {table} WHERE dag_id LIKE '{self.prefix}%' {condition}"))

    def _wait(self, done: Callable[[], bool], subject: Subject) -> None:
        end = time.monotonic() + RUNNING_SECONDS
        while not done():
            assert time.monotonic() < end, f"it took too long: see {self.airflow.folder.logs}"
            self._watch(3, subject)

    def _watch(self, seconds: float, subject: Subject) -> None:
        """Scrape for a while; counters must not fall, and of gauges the most is kept."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = subject.scrape()
            for series, value in now.items():
                if series.name == "airflow_task_memory_bytes" and self._is_ours(series):
                    task = series.label("task_id")
                    self.seen[task] = max(value, self.seen.get(task, 0))
                grows = series.name.startswith(("airflow_task_", "airflow_process_")) and series.name.endswith("_total")
                if grows and value < self.last.get(series, 0):
                    self.falls.append(f"{series} fell from {self.last[series]} to {value}")
            self.last = now
            self.machine.sample()
            time.sleep(1)

    # ---- what came of it ----------------------------------------------------------------------

    def measured(self, task_id: str, figure: str) -> Iterator[float]:
        """What each process of that task wrote down."""
        for file in self.accounts.glob("*.json"):
            account = json.loads(file.read_text())
            if account["task_id"] == task_id and figure in account:
                yield account[figure]

    def kernel(self, task_id: str, figure: str) -> Iterator[float]:
        """What the kernel said of each process of that task when it had ended."""
        for pid in set(self.measured(task_id, "pid")):
            yield json.loads((self.witness / f"{pid:.0f}.json").read_text())[figure]

    def reported(self, name: str, task_id: str) -> float:
        """The sum of a family over that task."""
        wanted = (s for s in self.last if s.name == name and s.label("task_id") == task_id)
        return sum(self.last[series] for series in wanted if task_id == UNKNOWN or self._is_ours(series))

    def _is_ours(self, series: Series) -> bool:
        """Whether it is of this Airflow: others on this machine may run the same DAGs."""
        return series.label("dag_id").startswith(self.prefix)

    def checks(self) -> Iterator[Check]:
        """Every figure with its tolerance."""
        cpu = "airflow_task_cpu_seconds_total"
        for task in (*LONG, "long"):
            reported = self.reported(cpu, task)
            yield Check(f"{task}: CPU seconds, by its own account", sum(self.measured(task, "cpu")), reported, 0.05)
            yield Check(f"{task}: CPU seconds, by the kernel", sum(self.kernel(task, "cpu")), reported, 0.05)
        short = self.reported(cpu, "quick")
        yield Check("short tasks: CPU seconds, before their end", sum(self.measured("quick", "cpu")), short, math.inf)
        yield Check("short tasks: CPU seconds, by the kernel", sum(self.kernel("quick", "cpu")), short, 0.1)
        for task in ("memory", "cpu"):
            peak = self.reported("airflow_task_peak_resident_memory_bytes", task)
            yield Check(f"{task}: highest resident bytes", max(self.kernel(task, "peak")), peak, 0.1)
        yield Check("memory: proportional bytes", max(self.measured("memory", "pss")), self.seen.get("memory", 0), 0.1)
        written = self.reported("airflow_task_written_bytes_total", "disk")
        yield Check("disk: written bytes", sum(self.measured("disk", "written")), written, 0.05)
        together = sum(sum_family(self.last, name) - sum_family(self.first, name) for name in ALL_CPU)
        yield Check("tasks, components and the rest: CPU seconds", self.ended - self.begun, together, 0.05)

    def shares(self) -> str:
        """Who used the machine's CPU."""
        grown = {name: sum_family(self.last, name) - sum_family(self.first, name) for name in ALL_CPU}
        return ", ".join(f"{name} {seconds:.1f}" for name, seconds in grown.items())


@pytest.mark.e2e
@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("version", VERSIONS)
def test_tasks_usage_is_what_they_and_the_kernel_tell(version: str, executor: Executor) -> None:
    name = f"host-{version}-{executor}"
    run = Run(version, executor, FOLDER.resolve() / name)
    run.play()
    checks = list(run.checks())
    unknown = run.reported("airflow_task_cpu_seconds_total", UNKNOWN)
    lines = ["| figure | measured | reported | deviation |", "| --- | ---: | ---: | ---: |", *map(str, checks)]
    lines += [f"without a name: {unknown:.2f} CPU seconds", run.shares(), *run.falls[:10]]
    (FOLDER / f"{name}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), file=sys.__stderr__, flush=True)
    assert [str(check) for check in checks if not check.right] == []
    assert run.falls == []
