"""A PostgreSQL on a slow disk, by a control group: the diagnosis names the database only while statements are slow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from exporter.diagnosis.waits.database import find_obstacle
from exporter.sources.database.source import DatabaseSource
from exporter.sources.directory import Directory
from tests.conftest import NOT_RUN
from tests.integration.database.conftest import AIRFLOW_PASSWORD, PASSWORD
from tests.integration.database.servers import Postgres
from tests.integration.database.sessions import connect, open_source, read

pytestmark = pytest.mark.slow
GROUPS = Path("/sys/fs/cgroup/blkio")
BYTES_PER_SECOND = 1 << 18
ROWS = 90_000
CRITICAL_SECTION = (
    "SELECT id FROM task_instance WHERE state = 'scheduled' "
    "ORDER BY -priority_weight, start_date LIMIT 5 FOR UPDATE OF task_instance SKIP LOCKED"
)
FILL = f"""
INSERT INTO task_instance (id, dag_id, task_id, run_id, state, priority_weight, start_date)
SELECT n, repeat('d', 100), repeat('t', 100), repeat('r', 100), 'success', 1, now() FROM generate_series(1, {ROWS}) n;
CHECKPOINT; ANALYZE task_instance;
"""


@contextmanager
def slow_reads(postgres: Postgres) -> Iterator[None]:
    """Limit what the server reads from its disk, and take its files out of the kernel's cache."""
    group = GROUPS / f"test-slow-disk-{os.getpid()}"
    device = postgres.folder.stat().st_dev
    group.mkdir()
    try:
        limit = f"{os.major(device)}:{os.minor(device)} {BYTES_PER_SECOND}"
        (group / "blkio.throttle.read_bps_device").write_text(limit)
        move(postgres.list_pids(), group)
        drop_cache(postgres.folder / "data" / "base")
        yield
    finally:
        while members := (group / "cgroup.procs").read_text().split():
            move(map(int, members), GROUPS)
        group.rmdir()


def move(pids: Iterable[int], group: Path) -> None:
    """Put processes into a control group; one that has just ended is left out."""
    for pid in pids:
        with suppress(ProcessLookupError):
            (group / "cgroup.procs").write_text(str(pid))


def drop_cache(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def choose_tasks(url: str) -> float:
    """Run the critical section as the scheduler, and return how long it took."""
    with connect(url, "airflow-scheduler") as scheduler:
        started = time.monotonic()
        scheduler.execute(text(CRITICAL_SECTION))
        scheduler.commit()
        return time.monotonic() - started


def find_object(source: DatabaseSource, directory: Directory) -> str:
    read(source, "statements")
    read(source, "sessions")
    obstacle = find_obstacle(directory.get_database())
    return obstacle.object if obstacle else ""


def test_a_slow_disk_is_named_while_the_critical_section_is_slow(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.access(GROUPS / "cgroup.procs", os.W_OK):
        pytest.skip(f"{NOT_RUN}: no control groups of version 1 whose reads can be limited")
    postgres.run(FILL)
    postgres.stop()
    postgres.start("shared_buffers=16MB")
    url, directory = postgres.url("airflow", AIRFLOW_PASSWORD), Directory()
    source = open_source(monkeypatch, postgres.url("exporter", PASSWORD), directory)
    find_object(source, directory)
    with slow_reads(postgres):
        assert find_object(source, directory) == "", "nothing was executed on the slow disk"
        assert choose_tasks(url) > 1
        assert find_object(source, directory) == "critical_section"
        choose_tasks(url)
        assert find_object(source, directory) == "", "now it is in the cache"
    source.close()
