"""A busy machine: thousands of processes, and hundreds that start and end between two scans; all of them real."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.config.settings import AirflowSettings, HostSettings
from exporter.metrics.catalogue.host import processes as process_families
from exporter.metrics.catalogue.host import task_resources
from exporter.sources.directory import Directory
from exporter.sources.host.readers import SCAN_TIME_SHARE, ProcessesReader
from exporter.sources.host.source import HostSource
from tests.integration.host.session import list_session

CROWD = Path(__file__).parent / "crowd.py"
ROUNDS = 3


class Crowd(NamedTuple):
    """The processes of crowd.py."""

    process: subprocess.Popen[str]
    folder: Path

    def order(self, line: str = "\n") -> None:
        """Have every worker run its tasks, or wait for the last of them (`rest`), and wait until they have."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line)
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def end(self) -> float:
        """Let them come to an end; CPU seconds of all tasks, by the kernel."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        assert self.process.stdout.readline() == "end\n"
        return sum(float(file.read_text()) for file in self.folder.glob("*.txt"))


@contextmanager
def start_crowd(folder: Path, sleepers: int = 0, workers: int = 0, tasks: int = 0) -> Iterator[Crowd]:
    """A crowd that ends with the block."""
    numbers = [str(number) for number in (sleepers, workers, tasks)]
    command = [sys.executable, "-S", str(CROWD), str(folder), *numbers, "padding" * 30]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield Crowd(process, folder)
        finally:
            process.kill()


@contextmanager
def keep_cores_busy() -> Iterator[None]:
    """One process for each core that does nothing but use it."""
    burners = [subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()


def make_source() -> tuple[HostSource, Directory]:
    directory = Directory()
    return HostSource(HostSettings(machine=False), AirflowSettings(), directory), directory


@pytest.mark.slow
def test_five_hundred_short_tasks_between_scans_are_counted_once_and_counters_never_decrease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """500 processes per round start and end between two scans; 20 stay alive."""
    source, directory = make_source()
    processes, tasks = source.readers
    spent: defaultdict[str, float] = defaultdict(float)

    def scan() -> None:
        for family, labels, value in processes.read().changes:
            assert value >= 0
            if family is task_resources.CPU:
                spent[labels[0]] += value
            elif family is process_families.CPU:
                spent[f"component {labels[0]}"] += value

    with start_crowd(tmp_path, workers=20, tasks=26) as crowd:
        for worker in range(20):
            for number in range(1, 26 * ROUNDS + 1):
                uuid = f"01a20793-8496-79a0-a835-{crowd.process.pid % 10_000:04d}{worker:04d}{number:04d}"
                directory.record_try("crowd", "short", uuid)
        monkeypatch.setattr(source._files, "list_pids", partial(list_session, crowd.process.pid))
        scan()
        for _ in range(ROUNDS):
            crowd.order()
            tasks.read()
            scan()
        crowd.order("rest\n")
        scan()
        measured = crowd.end()
        for _ in range(4):
            scan()
    assert measured > 0.5
    # Measured: all that is missing, 0.2 s of 8, are the parts of ticks in the two numbers of each worker's account.
    assert spent["crowd"] + spent["_unknown"] == pytest.approx(measured, rel=0.05)


@pytest.mark.bounds
def test_three_thousand_processes_are_scanned_in_time_while_all_cores_are_busy(tmp_path: Path) -> None:
    source, _ = make_source()
    processes, tasks = source.readers
    assert isinstance(processes, ProcessesReader)
    with start_crowd(tmp_path, sleepers=3000), keep_cores_busy():
        for _ in range(5):
            begun, cpu = time.monotonic(), time.process_time()
            reading = processes.read()
            took, cpu = time.monotonic() - begun, time.process_time() - cpu
            print(f"{processes.seen} processes in {took:.2f} s, {cpu:.2f} s of CPU", file=sys.__stderr__)
            assert took < HostSettings().interval * SCAN_TIME_SHARE
            found = sum(reading.tables[process_families.PROCESSES].values())
            assert found >= 3000 * 3 / 4
            tasks.read()
