"""What is reported of a real Airflow's tasks, held against what each task wrote down of itself.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" python -m pytest tests/e2e_host -m e2e -s

Leaves its table in .e2e/ (or $E2E_FOLDER). 2.x needs PostgreSQL's server programs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.airflow import Airflow
from tests.e2e.subject import Exposition, Subject

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
DAGS = Path(__file__).resolve().parent / "dags"
RUNNING_SECONDS = 600.0
NAMED_SECONDS = 60.0
"""After the last task: the names of the last tries come with the poll after, and counters are born at zero."""
LONG = ("cpu", "children", "mapped", "bash")


class Check(NamedTuple):
    """One figure: as the task told it, as it was reported, and the part by which they may differ."""

    what: str
    told: float
    reported: float
    tolerance: float

    @property
    def deviation(self) -> float:
        return self.reported / self.told - 1 if self.told else float("inf")

    @property
    def right(self) -> bool:
        return abs(self.deviation) <= self.tolerance

    def __str__(self) -> str:
        verdict = "" if self.right else "  WRONG"
        return f"| {self.what} | {self.told:,.2f} | {self.reported:,.2f} | {self.deviation:+.1%} |{verdict}"


class Run:
    """One Airflow, from its start to the last report; `seen` is the most that a gauge ever showed."""

    def __init__(self, version: str, folder: Path) -> None:
        self.version = version
        self.accounts = folder / "accounts"
        self.accounts.mkdir(parents=True, exist_ok=True)
        for left in self.accounts.iterdir():
            left.unlink()
        settings = {"USAGE_FOLDER": str(self.accounts), "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False"}
        self.airflow = Airflow(version, folder / "airflow", dags=DAGS, pools={}, settings=settings, port=18181)
        self.seen: dict[str, float] = {}
        self.last: Exposition = {}
        self.falls: list[str] = []

    def play(self) -> None:
        """Everything, in the order of events."""
        self.airflow.up()
        subject = Subject(self.accounts.parent / "exporter", self._flags())
        try:
            subject.start()
            subject.wait_ready()
            self._wait(lambda: self._count("SELECT dag_id FROM dag") >= 3, subject)
            time.sleep(12)
            self.airflow.cli("dags", "trigger", "cleared")
            self._wait((self.accounts / "begun").exists, subject)
            self._watch(8, subject)
            self.airflow.cli("tasks", "clear", "--yes", "cleared")
            for dag in ("heavy", "short"):
                self.airflow.cli("dags", "trigger", dag)
            self._wait(lambda: self._count("SELECT id FROM dag_run WHERE state = 'success'") == 3, subject)
            self._watch(NAMED_SECONDS, subject)
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

    def _count(self, sql: str) -> int:
        return len(self.airflow.query(sql))

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
                if series.name == "airflow_task_memory_bytes":
                    task = series.label("task_id")
                    self.seen[task] = max(value, self.seen.get(task, 0))
                grows = series.name.startswith(("airflow_task_", "airflow_process_")) and series.name.endswith("_total")
                if grows and value < self.last.get(series, 0):
                    self.falls.append(f"{series} fell from {self.last[series]} to {value}")
            self.last = now
            time.sleep(1)

    # ---- what came of it ----------------------------------------------------------------------

    def told(self, task_id: str, figure: str) -> Iterator[float]:
        """What each process of that task wrote down."""
        for file in self.accounts.glob("*.json"):
            account = json.loads(file.read_text())
            if account["task_id"] == task_id and figure in account:
                yield account[figure]

    def reported(self, name: str, task_id: str) -> float:
        """The sum of a family over that task."""
        return sum(v for s, v in self.last.items() if s.name == name and s.label("task_id") == task_id)

    def checks(self) -> Iterator[Check]:
        """Every figure with its tolerance."""
        cpu = "airflow_task_cpu_seconds_total"
        for task in (*LONG, "long"):
            yield Check(f"{task}: CPU seconds", sum(self.told(task, "cpu")), self.reported(cpu, task), 0.05)
        yield Check("short tasks: CPU seconds", sum(self.told("quick", "cpu")), self.reported(cpu, "quick"), 0.1)
        for task in ("memory", "cpu"):
            peak = self.reported("airflow_task_peak_resident_memory_bytes", task)
            yield Check(f"{task}: highest resident bytes", max(self.told(task, "peak")), peak, 0.1)
        yield Check("memory: proportional bytes", max(self.told("memory", "pss")), self.seen.get("memory", 0), 0.1)
        written = self.reported("airflow_task_written_bytes_total", "disk")
        yield Check("disk: written bytes", sum(self.told("disk", "written")), written, 0.05)


@pytest.mark.e2e
@pytest.mark.parametrize("version", VERSIONS)
def test_tasks_usage_is_what_they_tell_themselves(version: str) -> None:
    run = Run(version, FOLDER.resolve() / f"host-{version}")
    run.play()
    checks = list(run.checks())
    unknown = run.reported("airflow_task_cpu_seconds_total", "_unknown")
    lines = ["| figure | told | reported | deviation |", "| --- | ---: | ---: | ---: |", *map(str, checks)]
    lines += [f"without a name: {unknown:.2f} CPU seconds", *run.falls[:10]]
    (FOLDER / f"host-{version}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), file=sys.__stderr__, flush=True)
    assert [str(check) for check in checks if not check.right] == []
    assert run.falls == []
