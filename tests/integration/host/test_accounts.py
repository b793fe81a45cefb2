"""CPU and disk traffic are counted once and never decrease, whatever processes do between two scans."""

from __future__ import annotations

import errno
import os
import random
from unittest.mock import Mock

import pytest

from tests.integration.host.watch import Watch

IDLE = "airflow worker -- LocalExecutor: <idle>"
SCHEDULER = ("/venv/bin/python", "/venv/bin/airflow", "scheduler")
UUIDS = [f"01a20793-8496-79a0-a835-{number:012x}" for number in range(1000)]


def busy(uuid: str) -> str:
    return f"airflow worker -- LocalExecutor: {uuid}"


def task(uuid: str) -> str:
    return f"airflow worker -- {uuid}"


def test_usage_before_the_first_scan_is_not_counted(watch: Watch) -> None:
    watch.tree.add(10, 1, *SCHEDULER, cpu=5000, children_ticks=900)
    watch.full_scan()
    assert watch.cpu("scheduler") == 0
    watch.tree.fakes[10].cpu += 7
    watch.tree.write()
    watch.full_scan()
    assert watch.cpu("scheduler") == 7


def test_a_counter_stays_when_its_process_ends_and_another_starts(watch: Watch) -> None:
    watch.tree.add(10, 1, *SCHEDULER)
    watch.full_scan()
    watch.tree.add(11, 1, *SCHEDULER, cpu=30, start=2000)
    watch.full_scan()
    watch.tree.end(11)
    watch.tree.end(10)
    watch.full_scan()
    assert watch.cpu("scheduler") == 30
    watch.tree.add(12, 1, *SCHEDULER, cpu=5, start=3000)
    watch.full_scan()
    assert watch.cpu("scheduler") == 35


def test_a_pid_that_is_used_again_is_another_process(watch: Watch) -> None:
    watch.tree.add(10, 1, *SCHEDULER, cpu=500, start=1000)
    watch.full_scan()
    watch.tree.add(10, 1, "python", "/venv/bin/airflow", "triggerer", cpu=20, start=5000)
    watch.full_scan()
    assert watch.cpu("scheduler") == 0
    assert watch.cpu("triggerer") == 20


def test_a_task_that_ends_between_two_scans_is_counted_completely_and_once(watch: Watch) -> None:
    watch.directory.record_try("etl", "load", UUIDS[0])
    worker = watch.tree.add(10, 1, IDLE)
    watch.full_scan()
    worker.argv = (busy(UUIDS[0]),)
    watch.tree.add(11, 10, task(UUIDS[0]), cpu=40, start=2000)
    watch.full_scan()
    assert watch.task_cpu("etl", "load") == 40
    watch.tree.fakes[11].cpu = 100
    watch.tree.end(11)
    worker.argv = (IDLE,)
    watch.tree.write()
    watch.full_scan(3)
    assert watch.task_cpu("etl", "load") == 100
    assert watch.cpu("local_worker") == 0


def test_a_task_too_short_to_be_seen_is_counted_by_its_parents_account(watch: Watch) -> None:
    watch.directory.record_try("etl", "short", UUIDS[1])
    worker = watch.tree.add(10, 1, IDLE)
    watch.full_scan()
    worker.argv = (busy(UUIDS[1]),)
    worker.children_ticks += 25
    watch.tree.write()
    watch.full_scan(4)
    assert watch.task_cpu("etl", "short") == 25


def test_a_task_that_was_never_seen_comes_before_one_that_had_ended_already(watch: Watch) -> None:
    for number, name in enumerate(("first", "second")):
        watch.directory.record_try("etl", name, UUIDS[number])
    worker = watch.tree.add(10, 1, busy(UUIDS[0]))
    watch.tree.add(11, 10, task(UUIDS[0]), cpu=30)
    watch.full_scan()
    watch.tree.fakes[11].cpu = 80
    watch.tree.end(11)
    watch.full_scan()
    worker.argv, worker.children_ticks = (busy(UUIDS[1]),), worker.children_ticks + 25
    watch.tree.write()
    watch.full_scan(3)
    assert watch.task_cpu("etl", "first") == 50
    assert watch.task_cpu("etl", "second") == 25


def test_a_short_task_of_which_nothing_was_seen_counts_as_unknown_not_as_the_worker(watch: Watch) -> None:
    worker = watch.tree.add(10, 1, IDLE)
    watch.full_scan()
    worker.children_ticks += 25
    watch.tree.write()
    watch.full_scan(4)
    assert watch.cpu("local_worker") == 0
    assert watch.task_cpu("_unknown", "_unknown") == 25


def test_the_whole_tree_of_a_try_is_its_own(watch: Watch) -> None:
    watch.directory.record_try("etl", "bash", UUIDS[2])
    watch.tree.add(10, 1, busy(UUIDS[2]))
    watch.full_scan()
    watch.tree.add(11, 10, task(UUIDS[2]), cpu=5, start=2000)
    watch.tree.add(12, 11, "/usr/bin/bash", "-c", "x", cpu=10, start=2001)
    watch.tree.add(13, 12, "sort", cpu=20, start=2002)
    watch.full_scan()
    assert watch.task_cpu("etl", "bash") == 35
    watch.tree.end(13)
    watch.tree.end(12)
    watch.full_scan(2)
    assert watch.task_cpu("etl", "bash") == 35


def test_a_child_that_outlives_its_task_still_belongs_to_it(watch: Watch) -> None:
    watch.directory.record_try("etl", "bash", UUIDS[2])
    watch.tree.add(10, 1, busy(UUIDS[2]))
    watch.tree.add(11, 10, task(UUIDS[2]), start=2000)
    watch.tree.add(12, 11, "/usr/bin/bash", "-c", "x", cpu=10, start=2001)
    watch.full_scan()
    watch.tree.end(11)
    watch.tree.fakes[12].cpu += 15
    watch.tree.write()
    watch.full_scan(3)
    assert watch.task_cpu("etl", "bash") == 15


def test_a_child_of_another_process_is_not_counted(watch: Watch) -> None:
    watch.full_scan()
    watch.tree.add(50, 1, "postgres", cpu=1000)
    watch.full_scan()
    assert watch.all_cpu() == 0


def test_a_new_parent_with_children_before_it_in_the_order_of_pids(watch: Watch) -> None:
    """Pids wrap around: a child may have a lower one than its parent."""
    watch.directory.record_try("etl", "load", UUIDS[3])
    watch.full_scan()
    watch.tree.add(900, 1, busy(UUIDS[3]), start=2000)
    watch.tree.add(5, 900, "/usr/bin/bash", "-c", "x", cpu=9, start=2001)
    watch.full_scan()
    assert watch.task_cpu("etl", "load") == 9


def test_a_zombie_keeps_its_cpu_and_has_no_memory(watch: Watch) -> None:
    watch.directory.record_try("etl", "load", UUIDS[4])
    worker = watch.tree.add(10, 1, busy(UUIDS[4]))
    child = watch.tree.add(11, 10, task(UUIDS[4]), cpu=10, start=2000)
    watch.full_scan()
    child.state, child.argv, child.cpu, child.rss = "Z", (), 30, 0
    child.hidden = frozenset({"smaps_rollup", "io"})
    watch.tree.write()
    watch.full_scan()
    assert watch.task_cpu("etl", "load") == 20
    watch.tree.end(11)
    worker.argv = (IDLE,)
    watch.tree.write()
    watch.full_scan(3)
    assert watch.task_cpu("etl", "load") == 20


def test_written_bytes_are_the_tasks_and_counted_once(watch: Watch) -> None:
    watch.directory.record_try("etl", "disk", UUIDS[5])
    worker = watch.tree.add(10, 1, IDLE)
    watch.full_scan()
    worker.argv = (busy(UUIDS[5]),)
    child = watch.tree.add(11, 10, task(UUIDS[5]), written=4096, start=2000)
    watch.full_scan()
    child.written = 10_000
    watch.tree.end(11)
    worker.argv = (IDLE,)
    watch.tree.write()
    watch.full_scan(4)
    assert watch.sums["airflow_task_written_bytes_total", ("etl", "disk")] == 10_000
    assert watch.sums["airflow_process_written_bytes_total", ("local_worker",)] == 0


@pytest.mark.slow
def test_five_hundred_tasks_that_start_and_end_between_scans_are_counted_once(watch: Watch) -> None:
    """Each scan finds other processes; some tasks live through several, some are never seen."""
    chance = random.Random(4)
    workers = [watch.tree.add(10 + number, 1, IDLE) for number in range(50)]
    for uuid in UUIDS:
        watch.directory.record_try("etl", "load", uuid)
    watch.full_scan()
    used, pid, fresh = 0, 1000, iter(UUIDS)
    for _ in range(10):
        for worker in workers:
            for child in [one for one in watch.tree.fakes.values() if one.ppid == worker.pid]:
                extra = chance.randrange(50)
                child.cpu += extra
                used += extra
                if chance.random() < 0.7:
                    watch.tree.end(child.pid, write=False)
            if not any(one.ppid == worker.pid for one in watch.tree.fakes.values()):
                uuid, pid = next(fresh), pid + 1
                worker.argv = (busy(uuid),)
                amount = chance.randrange(50)
                used += amount
                watch.tree.fakes[pid] = type(worker)(pid, worker.pid, (task(uuid),), start=pid * 10, cpu=amount)
                if chance.random() < 0.3:
                    watch.tree.end(pid, write=False)
        watch.tree.write()
        watch.full_scan()
    for child in [one for one in watch.tree.fakes.values() if one.ppid >= 10]:
        watch.tree.end(child.pid, write=False)
    watch.tree.write()
    watch.full_scan(5)
    assert watch.all_cpu() == used
    assert watch.task_cpu("etl", "load") == pytest.approx(used, rel=0.01)


def test_a_parent_that_was_read_before_its_child_exited_is_counted_in_the_next_scan(watch: Watch) -> None:
    watch.directory.record_try("etl", "load", UUIDS[0])
    worker = watch.tree.add(10, 1, busy(UUIDS[0]))
    watch.tree.add(11, 10, task(UUIDS[0]), cpu=40)
    watch.full_scan()
    watch.tree.end(11, waited=False)
    watch.full_scan()
    assert watch.task_cpu("etl", "load") == 0
    worker.children_ticks += 100
    watch.tree.write()
    watch.full_scan(3)
    assert watch.task_cpu("etl", "load") == 60
    assert watch.all_cpu() == 60


def test_a_child_that_no_process_waited_for_does_not_hide_a_later_one(watch: Watch) -> None:
    scheduler = watch.tree.add(10, 1, *SCHEDULER)
    watch.tree.add(11, 10, "sleep", cpu=40)
    watch.full_scan()
    watch.tree.end(11, waited=False)
    watch.full_scan(3)
    scheduler.children_ticks += 70
    watch.tree.write()
    watch.full_scan()
    assert watch.cpu("scheduler") == 70


def test_an_orphan_is_counted_once_by_its_reaper(watch: Watch) -> None:
    """Its parent ended first: their ancestor waited for the parent alone, init for the orphan."""
    watch.tree.add(10, 1, *SCHEDULER)
    watch.tree.add(11, 10, "bash", cpu=5)
    watch.tree.add(12, 11, "sort", cpu=3000)
    watch.full_scan()
    watch.tree.fakes[12].cpu += 100
    watch.tree.end(11)
    watch.tree.end(12)
    watch.full_scan(4)
    assert watch.cpu("scheduler") == 0
    assert watch.others() == 100
    watch.tree.fakes[10].children_ticks += 50
    watch.tree.write()
    watch.full_scan()
    assert watch.cpu("scheduler") == 50


def test_processes_that_are_not_airflows_are_counted_together(watch: Watch) -> None:
    watch.tree.add(50, 1, "postgres", cpu=1000, children_ticks=500)
    watch.full_scan()
    assert watch.others() == 0
    watch.tree.fakes[50].cpu += 10
    watch.tree.add(51, 50, "postgres", cpu=20, start=2000)
    watch.full_scan()
    assert watch.others() == 30
    watch.tree.fakes[51].cpu += 5
    watch.tree.end(51)
    watch.tree.fakes[50].children_ticks += 7
    watch.tree.write()
    watch.full_scan(3)
    assert watch.others() == 42
    assert watch.all_cpu() == 0


def test_a_file_that_cannot_be_read_now_is_no_end_of_its_process(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watch.tree.add(10, 1, *SCHEDULER, cpu=100)
    watch.full_scan()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", Mock(side_effect=OSError(errno.EMFILE, "too many open files")))
        watch.full_scan()
    watch.tree.fakes[10].cpu += 50
    watch.tree.write()
    watch.full_scan()
    assert watch.cpu("scheduler") == 50


def test_a_title_that_is_just_being_written_changes_nothing(watch: Watch) -> None:
    watch.directory.record_try("etl", "load", UUIDS[0])
    watch.tree.add(10, 1, busy(UUIDS[0]))
    child = watch.tree.add(11, 10, task(UUIDS[0]))
    watch.full_scan()
    for title in (task(UUIDS[0])[:30], task(UUIDS[0])):
        child.argv, child.cpu = (title,), child.cpu + 50
        watch.tree.write()
        watch.full_scan()
    assert watch.task_cpu("etl", "load") == 100
    assert watch.cpu("other") == 0
