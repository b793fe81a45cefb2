"""Active processes are recognized without a scan, and none is missed; all processes are real."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.processes import activity
from exporter.sources.host.processes.activity import ActivityWatch
from exporter.sources.host.processes.attribution import NEW_SCANS
from exporter.sources.host.processes.process import Process

Watching = Callable[..., ActivityWatch]
PROC = Path("/proc")


@contextmanager
def start_echo() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps until it is written to."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as child:
        wake(child)
        yield child
        child.kill()


def wake(child: subprocess.Popen[bytes]) -> None:
    """Let it do something, and wait until it sleeps again."""
    assert child.stdin
    assert child.stdout
    child.stdin.write(b".")
    assert child.stdout.read(1) == b"."
    while Path(f"/proc/{child.pid}/stat").read_bytes().rpartition(b") ")[2][:1] != b"S":
        time.sleep(0.01)


def make_process(pid: int, scans: int = NEW_SCANS + 1) -> Process:
    """The process as the process table has it after a number of scans."""
    process = Process(procfs.parse_stat(Path(f"/proc/{pid}/stat").read_bytes()))
    process.scans = scans
    return process


@pytest.fixture
def watch() -> Iterator[Watching]:
    """Watches processes; each was checked once."""
    made: list[ActivityWatch] = []

    def watch(*processes: Process, root: Path = PROC) -> ActivityWatch:
        made.append(ActivityWatch(ProcFiles(root)))
        for process in processes:
            made[-1].add(process)
        made[-1].list_active()
        return made[-1]

    yield watch
    for one in made:
        one.close()


def count_open(*processes: Process, root: Path = PROC) -> int:
    """How many of their files are open."""
    files = {root / str(process.stat.pid) / "schedstat" for process in processes}
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(link.readlink() in files for link in links)


def test_a_sleeping_process_is_not_active_until_it_runs(watch: Watching) -> None:
    with start_echo() as child:
        process = make_process(child.pid)
        watched = watch(process)
        assert watched.list_active() == []
        wake(child)
        assert watched.list_active() == [process]
        assert watched.list_active() == []


def test_a_process_that_always_runs_is_always_active(watch: Watching) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as child:
        time.sleep(0.3)
        process = make_process(child.pid)
        watched = watch(process)
        for _ in range(3):
            time.sleep(0.5)
            assert watched.list_active() == [process]
        child.kill()


def test_an_ended_process_counts_as_active(watch: Watching) -> None:
    with start_echo() as child:
        process = make_process(child.pid)
        watched = watch(process)
        child.kill()
        child.wait()
        assert watched.list_active() == [process]


def test_children_of_an_active_process_count_as_active(watch: Watching) -> None:
    """Their parent may have ended, and then they have another."""
    with start_echo() as child, start_echo() as other:
        parent, orphan, stranger = make_process(child.pid), make_process(other.pid), make_process(os.getpid())
        orphan.stat = orphan.stat._replace(ppid=child.pid)
        watched = watch(parent, orphan)
        assert stranger.stat.ppid != child.pid
        assert watched.list_active() == []
        wake(child)
        assert watched.list_active() == [parent, orphan]


def test_a_process_with_several_threads_counts_as_active(watch: Watching) -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        process = make_process(os.getpid())
        assert process.stat.threads > 1
        process.stat = process.stat._replace(ppid=0)
        assert watch(process).list_active() == [process]
    finally:
        ended.set()
        thread.join()


def test_a_new_process_counts_as_active_without_an_open_file(watch: Watching) -> None:
    with start_echo() as child:
        process = make_process(child.pid, scans=NEW_SCANS)
        watched = watch(process)
        assert watched.list_active() == [process]
        assert count_open(process) == 0


@pytest.mark.parametrize("text", [None, "0 0 0\n"])
def test_without_schedstat_every_process_counts_as_active(watch: Watching, tmp_path: Path, text: str | None) -> None:
    process = make_process(os.getpid())
    (tmp_path / str(os.getpid())).mkdir()
    if text:
        (tmp_path / str(os.getpid()) / "schedstat").write_text(text)
    watched = watch(process, root=tmp_path)
    for _ in range(3):
        assert watched.list_active() == [process]
    assert count_open(process, root=tmp_path) == 0


def test_the_number_of_open_files_is_limited(watch: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "MAX_OPEN_FILES", 1)
    with start_echo() as child, start_echo() as other:
        first, second = make_process(child.pid), make_process(other.pid)
        watched = watch(first, second)
        assert count_open(first, second) == 1
        assert watched.list_active() == [second]
        watched.remove(first)
        assert watched.list_active() == [second]
        assert watched.list_active() == []


def test_files_are_closed_with_the_source_and_opened_again_when_it_continues(watch: Watching) -> None:
    with start_echo() as child:
        process = make_process(child.pid)
        watched = watch(process)
        assert count_open(process) == 1
        watched.close()
        assert count_open(process) == 0
        assert watched.list_active() == [process]
        assert watched.list_active() == []
        assert count_open(process) == 1
        watched.remove(process)
        assert count_open(process) == 0
        assert len(watched) == 0
