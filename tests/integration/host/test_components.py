"""Components' state, what is forbidden to us, and what a busy machine leaves unread."""

from __future__ import annotations

import errno
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

import pytest

from exporter.metrics.catalogue.host import processes as process_families
from exporter.metrics.reading import ReaderError
from exporter.sources.host import readers
from exporter.sources.host.proc import files, procfs
from exporter.sources.host.proc.procfs import UnreadableError
from exporter.sources.host.processes.process import NEVER_READ
from tests.integration.host.watch import Watch

TREES: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "host" / "trees.json").read_text())
"""Airflow's processes as they were on real machines, and how many of each component there really were."""
SCHEDULER = ("/venv/bin/python", "/venv/bin/airflow", "scheduler")


def test_the_state_of_a_component_is_that_of_all_its_processes(watch: Watch) -> None:
    watch.tree.add(10, 1, *SCHEDULER, rss=4000, pss=1000, fds=3)
    watch.tree.add(11, 10, *SCHEDULER, rss=2000, pss=500, fds=4)
    watch.full_scan()
    assert watch.value(process_families.PROCESSES, "scheduler") == 1
    assert watch.value(process_families.RESIDENT, "scheduler") == 6000 * 1024
    assert watch.value(process_families.PROPORTIONAL, "scheduler") == 1500 * 1024
    assert watch.value(process_families.THREADS, "scheduler") == 2
    assert watch.value(process_families.PROCESSES, "triggerer") == 0
    assert watch.value(process_families.RESIDENT, "triggerer") is None


def test_a_celery_worker_of_airflow_3_is_one_though_its_child_keeps_the_title(watch: Watch) -> None:
    """The tree that was recorded: the child deletes old DAG bundles, and outlives a worker that is killed."""
    recorded = [tuple(process["argv"]) for process in TREES["3.3.2 CeleryExecutor"]["processes"]]
    main, pool = (next(argv for argv in recorded if mark in argv[0]) for mark in (":MainProcess]", ":ForkPoolWorker"))
    helper = next(argv for argv in recorded if argv[2:4] == ("celery", "worker"))
    for worker in (100, 200):
        watch.tree.add(worker, 1, *main, start=worker)
        watch.tree.add(worker + 1, worker, *helper, start=worker + 50, rss=2000)
        watch.tree.add(worker + 2, worker, *pool)
        watch.tree.add(worker + 3, worker, *pool)
    watch.full_scan()
    assert watch.value(process_families.PROCESSES, "celery_worker") == 2
    assert watch.value(process_families.PROCESSES, "celery_pool") == 4
    assert watch.value(process_families.THREADS, "celery_worker") == 4
    watch.tree.end(100)
    watch.full_scan()
    assert watch.value(process_families.PROCESSES, "celery_worker") == 1
    newest, oldest = (
        watch.value(family, "celery_worker")
        for family in (process_families.NEWEST_START, process_families.OLDEST_START)
    )
    assert newest == oldest


@pytest.mark.parametrize("release", sorted(TREES))
def test_each_component_of_a_recorded_tree_counts_once(release: str, watch: Watch) -> None:
    for process in TREES[release]["processes"]:
        watch.tree.add(process["pid"], process["ppid"], *process["argv"])
    watch.full_scan(2)
    found = {name: watch.value(process_families.PROCESSES, name) for name in process_families.COMPONENTS}
    assert {name: number for name, number in found.items() if number} == TREES[release]["components"]


def test_the_process_that_is_nearest_to_its_limit_of_open_files_counts(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FD_COUNT_IS_SIZE", False)
    watch.tree.add(10, 1, *SCHEDULER, fds=8, fd_limit="80")
    watch.tree.add(11, 10, *SCHEDULER, fds=3, fd_limit="4")
    watch.tree.add(12, 10, *SCHEDULER, fds=9, fd_limit="unlimited")
    watch.tree.add(20, 1, "/venv/bin/python", "/venv/bin/airflow", "triggerer", hidden=frozenset({"limits"}))
    watch.full_scan()
    assert watch.value(process_families.OPEN_FDS_RATIO, "scheduler") == 0.75
    assert watch.value(process_families.OPEN_FDS_RATIO, "triggerer") is None


def test_children_of_the_dag_processor_are_apart(watch: Watch) -> None:
    manager = ("/venv/bin/python", "/venv/bin/airflow", "dag-processor")
    watch.tree.add(10, 1, *manager)
    watch.full_scan()
    watch.tree.add(11, 10, *manager, cpu=9, start=2000)
    watch.full_scan()
    assert watch.cpu("dag_processor") == 0
    assert watch.cpu("dag_file_processor") == 9


def test_each_component_that_runs_by_itself_tells_its_control_group(watch: Watch) -> None:
    """Two triggerers in containers of their own have limits of their own; children are where their parent is."""
    triggerer = ("/venv/bin/python", "/venv/bin/airflow", "triggerer")
    for pid, ppid, argv in ((10, 1, triggerer), (11, 10, triggerer), (20, 1, triggerer), (30, 1, SCHEDULER)):
        watch.tree.add(pid, ppid, *argv)
    watch.full_scan()
    assert watch.source._list_main_pids() == [10, 20, 30]


def test_without_permission_values_are_absent_and_the_note_says_what_to_do(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = procfs.read_file

    def refuse(path: str, size: int = procfs.MAX_FILE_BYTES) -> bytes:
        if path.endswith(("smaps_rollup", "/io")):
            raise UnreadableError("permission")
        return read(path, size)

    monkeypatch.setattr(procfs, "read_file", refuse)
    watch.tree.add(10, 1, *SCHEDULER)
    watch.full_scan(2)
    assert watch.value(process_families.PROPORTIONAL, "scheduler") is None
    assert ("airflow_process_read_bytes_total", ("scheduler",)) not in watch.sums
    assert watch.value(process_families.UNREADABLE, "smaps_rollup", "permission") == 1
    assert watch.value(process_families.UNREADABLE, "io", "permission") == 1
    assert any("CAP_SYS_PTRACE" in note for note in watch.reading.notes)
    assert "CAP_SYS_PTRACE" in str(watch.source)


def test_hidden_processes_are_counted_and_reported(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    read = procfs.read_file

    def refuse(path: str, size: int = procfs.MAX_FILE_BYTES) -> bytes:
        if "/10/" in path:
            raise UnreadableError("permission")
        return read(path, size)

    monkeypatch.setattr(procfs, "read_file", refuse)
    watch.tree.add(10, 1, *SCHEDULER)
    watch.full_scan()
    assert watch.value(process_families.UNREADABLE, "stat", "permission") == 1
    assert any("hidepid" in note for note in watch.reading.notes)
    assert not any("hostPID" in note for note in watch.reading.notes)


@contextmanager
def out_of_descriptors() -> Iterator[None]:
    """No file can be opened; those that are open stay so."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_NOFILE, (soft, hard))


def test_without_free_descriptors_files_are_failed_not_missing(watch: Watch) -> None:
    watch.tree.add(10, 1, *SCHEDULER, cpu=7)
    watch.full_scan()
    for attempt in (watch.source.connect, watch.full_scan):
        with out_of_descriptors(), pytest.raises(ReaderError, match="Too many open files") as caught:
            attempt()
        assert "missing" not in str(caught.value)
        assert "path.procfs" not in str(caught.value)
    watch.source.connect()
    watch.full_scan()
    assert watch.value(process_families.PROCESSES, "scheduler") == 1


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_lists_that_need_a_free_descriptor_are_failed(code: int, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "FD_COUNT_IS_SIZE", False)
    watch.tree.add(10, 1, *SCHEDULER)
    listdir = os.listdir

    def refuse(path: object) -> list[str]:
        if str(path).endswith("/fd"):
            raise OSError(code, os.strerror(code))
        return [str(name) for name in listdir(str(path))]

    monkeypatch.setattr(os, "listdir", refuse)
    watch.full_scan()
    assert watch.value(process_families.OPEN_FDS, "scheduler") is None
    assert watch.value(process_families.UNREADABLE, "fd", "failed") == 1


def test_a_process_of_which_nothing_can_be_read_now_is_counted_and_not_called_hidden(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = procfs.read_file

    def refuse(path: str, size: int = procfs.MAX_FILE_BYTES) -> bytes:
        if "/10/" in path:
            raise UnreadableError("failed", "Too many open files in system")
        return read(path, size)

    with monkeypatch.context() as patch:
        patch.setattr(procfs, "read_file", refuse)
        watch.tree.add(10, 1, *SCHEDULER)
        watch.full_scan()
        assert watch.value(process_families.UNREADABLE, "stat", "failed") == 1
        assert watch.value(process_families.UNREADABLE, "stat", "permission") == 0
        assert not any("hidepid" in note or "hostPID" in note for note in watch.reading.notes)
    watch.full_scan()
    assert watch.value(process_families.UNREADABLE, "stat", "failed") == 0
    assert watch.value(process_families.PROCESSES, "scheduler") == 1


def test_where_no_process_of_airflows_is_seen_the_page_says_what_helps(watch: Watch) -> None:
    watch.full_scan()
    assert any("hostPID" in note for note in watch.reading.notes)
    watch.tree.add(10, 1, *SCHEDULER)
    watch.full_scan()
    assert not any("hostPID" in note for note in watch.reading.notes)


def test_processes_that_hidepid_leaves_out_of_the_list_are_no_matter_of_containers(watch: Watch) -> None:
    watch.tree.end(1, waited=False)
    watch.full_scan()
    assert any("hidepid" in note for note in watch.reading.notes)
    assert not any("hostPID" in note for note in watch.reading.notes)


def test_a_process_that_ends_while_it_is_read_does_not_affect_others(watch: Watch) -> None:
    watch.tree.add(10, 1, *SCHEDULER, hidden=frozenset({"stat", "status", "io", "smaps_rollup", "cmdline"}))
    watch.tree.add(11, 1, *SCHEDULER)
    watch.full_scan()
    assert watch.value(process_families.PROCESSES, "scheduler") == 1


def test_rubbish_in_a_file_is_a_reason(watch: Watch) -> None:
    watch.tree.add(10, 1, *SCHEDULER)
    (watch.tree.folder / "10" / "io").write_text("nonsense")
    watch.full_scan()
    assert watch.value(process_families.UNREADABLE, "io", "malformed") == 1


def test_a_scan_that_reaches_its_deadline_fails_and_loses_nothing(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.tree.add(10, 1, *SCHEDULER)
    watch.full_scan()
    watch.tree.fakes[10].cpu = 40
    watch.tree.write()
    ticking = itertools.count(step=1000)
    monkeypatch.setattr(watch.source._process_table, "_clock", lambda: next(ticking) + 1e9)
    with pytest.raises(ReaderError) as caught:
        watch.full_scan()
    assert caught.value.reason == "deadline"
    monkeypatch.undo()
    watch.full_scan()
    assert watch.cpu("scheduler") == 40


def test_without_a_proc_there_is_no_connection(watch: Watch) -> None:
    watch.source.connect()
    watch.source._files.root = watch.tree.folder / "none"
    with pytest.raises(ReaderError, match=r"--path\.procfs"):
        watch.source.connect()


def test_memory_that_was_not_read_yet_is_extrapolated(watch: Watch) -> None:
    for pid in (10, 11):
        watch.tree.add(pid, 1, *SCHEDULER, rss=1000, pss=400)
    watch.full_scan()
    group = [process for process, _ in watch.source._process_table.list_owned()]
    group[1].pss, group[1].pss_read = None, NEVER_READ
    assert readers.compute_pss(group) == 800 * 1024
