"""When proportional memory is read: the kernel walks all pages for it, so only where it may have changed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from exporter.metrics.catalogue.host.processes import PROPORTIONAL
from exporter.sources.host.proc import procfs
from exporter.sources.host.processes.memory import MAX_PSS_AGE
from exporter.sources.host.processes.process import SLOW_SCAN_EVERY
from tests.integration.host.watch import Watch

SCHEDULER = ("/venv/bin/python", "/venv/bin/airflow", "scheduler")
TASK = ("airflow worker -- 01a20793-8496-79a0-a835-000000000001",)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often the proportional memory of each process was read."""
    counts: Counter[int] = Counter()
    read = procfs.read_file

    def count(path: str, size: int = procfs.MAX_FILE_BYTES) -> bytes:
        if path.endswith("/smaps_rollup"):
            counts[int(path.split("/")[-2])] += 1
        return read(path, size)

    monkeypatch.setattr(procfs, "read_file", count)
    return counts


def test_a_process_that_works_without_new_memory_is_read_once(watch: Watch, reads: Counter[int]) -> None:
    scheduler = watch.tree.add(10, 1, *SCHEDULER, rss=40_000)
    for _ in range(5):
        scheduler.cpu += 10
        watch.tree.write()
        watch.full_scan()
    assert watch.cpu("scheduler") == 40
    assert reads == {10: 1}


@pytest.mark.parametrize("change", [{"peak": 5_000}, {"rss": 41_000}, {"rss": 39_000}])
def test_page_faults_and_resident_memory_say_that_it_changed(
    change: dict[str, Any], watch: Watch, reads: Counter[int]
) -> None:
    scheduler = watch.tree.add(10, 1, *SCHEDULER, rss=40_000, pss=20_000)
    watch.full_scan()
    for name, value in {**change, "pss": 25_000}.items():
        setattr(scheduler, name, value)
    watch.tree.write()
    watch.full_scan(3)
    assert reads == {10: 2}
    assert watch.value(PROPORTIONAL, "scheduler") == 25_000 * 1024


def test_small_changes_add_up(watch: Watch, reads: Counter[int]) -> None:
    scheduler = watch.tree.add(10, 1, *SCHEDULER, rss=40_000)
    watch.full_scan()
    for _ in range(3):
        scheduler.rss += 300
        watch.tree.write()
        watch.full_scan()
    assert reads == {10: 2}


def test_processes_that_may_share_pages_are_read_when_one_of_them_starts_or_ends(
    watch: Watch, reads: Counter[int]
) -> None:
    watch.tree.add(5, 1, "supervisord")
    for pid, parent in ((10, 5), (11, 10), (12, 10), (13, 12)):
        watch.tree.add(pid, parent, *SCHEDULER)
    watch.full_scan(2)
    assert reads == {10: 1, 11: 1, 12: 1, 13: 1}
    watch.tree.add(14, 10, *SCHEDULER)
    watch.full_scan(2)
    assert reads == {10: 2, 11: 2, 12: 2, 13: 1, 14: 1}
    watch.tree.end(11)
    watch.full_scan(2)
    assert reads == {10: 3, 11: 2, 12: 3, 13: 1, 14: 2}


@pytest.mark.parametrize(("argv", "cycles"), [(SCHEDULER, MAX_PSS_AGE), (TASK, SLOW_SCAN_EVERY)])
def test_it_is_read_again_after_a_while_in_any_case(
    argv: tuple[str, ...], cycles: int, watch: Watch, reads: Counter[int]
) -> None:
    watch.tree.add(5, 1, "supervisord")
    watch.tree.add(10, 5, *argv)
    watch.full_scan(cycles)
    assert reads == {10: 1}
    watch.full_scan(1)
    assert reads == {10: 2}


def test_a_file_that_could_not_be_read_is_tried_again(watch: Watch, reads: Counter[int]) -> None:
    scheduler = watch.tree.add(10, 1, *SCHEDULER, hidden=frozenset({"smaps_rollup"}))
    watch.full_scan(2)
    assert watch.value(PROPORTIONAL, "scheduler") is None
    scheduler.hidden = frozenset()
    watch.tree.write()
    watch.full_scan()
    assert watch.value(PROPORTIONAL, "scheduler") == scheduler.pss * 1024
