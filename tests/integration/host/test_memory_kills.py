"""A task that the kernel kills for lack of memory is recorded as such, one that ends beside it later is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from exporter.config.settings import AirflowSettings, HostSettings
from exporter.sources.directory import Directory, TaskKey
from exporter.sources.host.processes.memory_kills import read_count
from exporter.sources.host.source import HostSource
from tests.integration.host.session import list_session
from tests.integration.host.watch import Watch

STAGE = Path(__file__).parent / "stage.py"
LIMIT = 96 * 1024**2
CGROUPS = Path("/sys/fs/cgroup")
JOBS = ("exhaust", "memory", "cpu")
"""The one in between takes seconds: on a busy machine two tasks may else end between the same two scans."""
UUIDS = {job: f"01a20793-8496-79a0-a836-{os.getpid():08d}{number:04d}" for number, job in enumerate(JOBS)}
INTERVAL = 1.0


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group with little memory. Its making needs root and a writable hierarchy."""
    is_1 = (CGROUPS / "memory").is_dir()
    group = (CGROUPS / "memory" if is_1 else CGROUPS) / f"exporter-test-{os.getpid()}"
    limit = "memory.limit_in_bytes" if is_1 else "memory.max"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("control groups cannot be made here")
    try:
        if not (group / limit).exists():
            pytest.skip("control groups do not limit memory here")
        (group / limit).write_text(str(LIMIT))
        swap = group / ("memory.memsw.limit_in_bytes" if is_1 else "memory.swap.max")
        if swap.exists():
            swap.write_text(str(LIMIT if is_1 else 0))
        yield group
    finally:
        time.sleep(0.2)
        group.rmdir()


def read_until(source: HostSource, ended: Callable[[], bool]) -> None:
    """Read as the exporter does, until the end and twice more."""
    full, left, due = [one for one in source.readers if one.name != "tasks"], 3, 0.0
    quick = next(one for one in source.readers if one.name == "tasks")
    end = time.monotonic() + 60
    while left:
        assert time.monotonic() < end, "the tasks did not end"
        quick.read()
        if time.monotonic() >= due:
            for reader in full:
                reader.read()
            due = time.monotonic() + INTERVAL
            left -= ended()
        time.sleep(0.1)


def test_a_try_that_the_kernel_kills_is_recorded_and_without_tries_its_count_is_not_read(watch: Watch) -> None:
    vmstat = watch.tree.folder / "vmstat"
    vmstat.write_text("pswpin 1\noom_kill 3\n")
    with patch("exporter.sources.host.source.read_count", wraps=read_count) as counted:
        watch.full_scan()
        watch.quick_scan()
        assert counted.call_count == 0
        watch.tree.add(10, 1, "airflow scheduler")
        watch.tree.add(11, 10, f"airflow worker -- {UUIDS['exhaust']}")
        watch.full_scan()
        assert counted.call_count == 1
        vmstat.write_text("pswpin 1\noom_kill 4\n")
        watch.tree.end(11)
        watch.full_scan()
        assert counted.call_count == 2
        watch.full_scan()
        assert counted.call_count == 2
    watch.directory.record_try("dag", "exhaust", UUIDS["exhaust"])
    assert watch.directory.has_memory_kill(TaskKey("dag", "exhaust"), 0.0, time.time())


@pytest.mark.slow
def test_the_kernel_kills_a_task(memory_group: Path, tmp_path: Path) -> None:
    directory = Directory()
    for job, uuid in UUIDS.items():
        directory.record_try("dag", job, uuid)
    source = HostSource(HostSettings(interval=INTERVAL), AirflowSettings(), directory, directory)
    began = time.time()
    jobs = ",".join("=".join(one) for one in UUIDS.items())
    command = [sys.executable, "-S", str(STAGE), str(tmp_path), jobs, "padding" * 30]
    environment, pipe = {**os.environ, "STAGE_MEMORY_GROUP": str(memory_group)}, subprocess.PIPE
    with (
        subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, bufsize=1, start_new_session=True, env=environment
        ) as worker,
        patch.object(source._files, "list_pids", lambda: list_session(worker.pid)),
    ):
        assert worker.stdin
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
        worker.stdin.write("go\n")
        read_until(source, (tmp_path / f"{UUIDS['cpu']}.json").exists)
        worker.stdin.write("end\n")
    assert directory.has_memory_kill(TaskKey("dag", "exhaust"), began, time.time())
    assert not directory.has_memory_kill(TaskKey("dag", "exhaust"), 0.0, began)
    assert not directory.has_memory_kill(TaskKey("dag", "cpu"), 0.0, time.time())
