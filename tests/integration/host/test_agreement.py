"""What is reported of real processes equals what the kernel reports to the processes themselves.

A worker of our own stands for Airflow's (stage.py), so that this needs none; tests/e2e/host has the real ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from unittest.mock import patch

import pytest

from exporter.config.settings import AirflowSettings, HostSettings
from exporter.metrics.catalogue.host import processes, task_resources
from exporter.sources.directory import Directory
from exporter.sources.host.source import HostSource
from tests.integration.host.session import list_session

STAGE = Path(__file__).parent / "stage.py"
JOBS = ("cpu", "memory", "disk", "shell", "short", "short", "short", "short", "short")
UUIDS = [f"01a20793-8496-79a0-a835-{os.getpid():08d}{number:04d}" for number in range(len(JOBS))]
"""Unique to this run: another run of the tests on this machine has tasks of the same kind."""
LOOK, GLANCE = 2.0, 0.4
MAX_UNCLAIMED_SCANS = 120.0


class Report:
    """All that was reported while the worker ran, and what each task said of itself."""

    def __init__(self, folder: Path) -> None:
        self.sums: defaultdict[tuple[str, str], float] = defaultdict(float)
        self.peaks: dict[str, float] = {}
        self.memory: dict[str, float] = {}
        self.accounts: list[dict[str, float | str]] = []
        directory = Directory()
        for job, uuid in zip(JOBS, UUIDS, strict=True):
            directory.record_try("dag", job, uuid)
        source = HostSource(HostSettings(machine=False), AirflowSettings(), directory)
        self._processes, self._tasks = source.readers
        self._files = source._files
        self._run(folder)
        for file in folder.glob("*.json"):
            self.accounts.append(json.loads(file.read_text()))

    def _run(self, folder: Path) -> None:
        jobs = ",".join(f"{job}={uuid}" for job, uuid in zip(JOBS, UUIDS, strict=True))
        command = [sys.executable, "-S", str(STAGE), str(folder), jobs, "padding" * 30]
        pipe = subprocess.PIPE
        with (
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, start_new_session=True) as worker,
            patch.object(self._files, "list_pids", lambda: list_session(worker.pid)),
        ):
            assert worker.stdin
            assert worker.stdout
            assert worker.stdout.readline() == "ready\n"
            self._look()
            worker.stdin.write("go\n")
            ended = threading.Thread(target=worker.stdout.readline, daemon=True)
            ended.start()
            self._scan(ended)
            worker.stdin.write("end\n")

    def _scan(self, worker: threading.Thread) -> None:
        end = time.monotonic() + MAX_UNCLAIMED_SCANS
        due = 0.0
        while worker.is_alive():
            assert time.monotonic() < end, "the worker did not come to an end"
            self._tasks.read()
            if time.monotonic() >= due:
                self._look()
                due = time.monotonic() + LOOK
            worker.join(GLANCE)
        for _ in range(5):
            self._look()

    def _look(self) -> None:
        reading = self._processes.read()
        for family, labels, value in reading.changes:
            assert value >= 0
            if family is processes.OTHER_CPU:
                continue
            if labels[0] == "dag" and len(labels) == 2:
                self.sums[family.name, labels[1]] += value
            elif family is processes.CPU:
                self.sums[family.name, labels[0]] += value
            elif labels[0] == "_unknown":
                self.sums[family.name, "_unknown"] += value
        for labels, memory in reading.tables[task_resources.MEMORY].items():
            self.memory[labels[1]] = max(memory, self.memory.get(labels[1], 0))
        self.peaks.update(
            {labels[1]: peak for labels, peak in reading.tables[task_resources.PEAK].items() if labels[0] == "dag"}
        )

    def measured(self, job: str, figure: str) -> float:
        """What the tasks of that job said together."""
        return sum(float(account.get(figure, 0)) for account in self.accounts if account["job"] == job)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """One run for all tests."""
    found = Report(tmp_path_factory.mktemp("stage"))
    assert len(found.accounts) == len(JOBS)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("job", ["cpu", "shell"])
def test_cpu_is_what_the_task_and_its_children_used(report: Report, job: str) -> None:
    assert report.sums[task_resources.CPU.name, job] == pytest.approx(report.measured(job, "cpu"), rel=0.05)


def test_cpu_of_tasks_that_are_shorter_than_a_scan_interval_is_complete(report: Report) -> None:
    assert report.sums[task_resources.CPU.name, "short"] == pytest.approx(report.measured("short", "cpu"), rel=0.1)


def test_the_highest_memory_is_the_kernels(report: Report) -> None:
    assert report.peaks["memory"] == pytest.approx(report.measured("memory", "peak"), rel=0.1)


def test_proportional_memory_is_the_kernels(report: Report) -> None:
    assert report.memory["memory"] == pytest.approx(report.measured("memory", "pss"), rel=0.1)


def test_written_bytes_are_the_tasks(report: Report) -> None:
    measured = report.measured("disk", "written")
    if not measured:
        pytest.skip("the folder of temporary files is on no disk")
    assert report.sums[task_resources.WRITTEN.name, "disk"] == pytest.approx(measured, rel=0.05)


def test_the_worker_itself_did_next_to_nothing_and_nothing_has_no_name(report: Report) -> None:
    assert report.sums[task_resources.CPU.name, "_unknown"] == 0
    assert sum(report.measured(job, "cpu") for job in set(JOBS)) > 4
