"""Processes of the demo: whose are they, and do they end with all they started?"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from demo.processes import Process, Processes, family_of, parse_stat, process_table, read_process

LEADER = Process(pid=10, parent=1, session=10, start=500)
CHILD = Process(pid=11, parent=10, session=10, start=510)
DETACHED = Process(pid=12, parent=11, session=12, start=520)
STRANGER = Process(pid=13, parent=1, session=13, start=530)
TABLE = [LEADER, CHILD, DETACHED, STRANGER]


def pids(members: list[Process]) -> list[int]:
    return [process.pid for process in members]


def test_stat_with_a_command_name_that_looks_like_fields() -> None:
    fields = ["S", "7", "42", "40", *["0"] * 15, "9876", "0"]
    assert parse_stat("42 (a) b (c) " + " ".join(fields)) == Process(42, 7, 40, 9876)


def test_a_zombie_counts_as_ended() -> None:
    fields = ["Z", "7", "42", "40", *["0"] * 15, "9876", "0"]
    assert parse_stat("42 (x) " + " ".join(fields)).zombie


def test_family_holds_descendants_that_made_a_session_of_their_own() -> None:
    assert pids(family_of(10, 500, TABLE)) == [10, 11, 12]


def test_family_outlives_its_leader() -> None:
    orphan = Process(pid=11, parent=1, session=10, start=510)
    assert pids(family_of(10, 500, [orphan, STRANGER])) == [11]


def test_a_reused_pid_has_no_family_of_ours() -> None:
    assert family_of(10, 499, TABLE) == []


def test_this_process_is_in_the_table() -> None:
    own = read_process(os.getpid())
    assert own is not None
    assert own.parent == os.getppid()
    assert own in process_table()


FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path / "register.json", tmp_path)


def first_words(processes: Processes, name: str) -> list[str]:
    """What it printed, once it has printed something."""
    log = processes.log_of(name)
    while not log.read_text():
        pass
    return log.read_text().split()


def test_stop_ends_a_detached_child_too(processes: Processes, tmp_path: Path) -> None:
    pid = processes.start("parent", [sys.executable, "-c", FAMILY], os.environ, tmp_path)
    child = int(first_words(processes, "parent")[0])
    assert processes.pid("parent") == pid
    processes.stop(["parent"], patience=5)
    assert read_process(pid) is None
    assert read_process(child) is None
    assert processes.names() == []


STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


def test_stop_ends_by_force_what_does_not_listen(processes: Processes, tmp_path: Path) -> None:
    pid = processes.start("stubborn", [sys.executable, "-c", STUBBORN], os.environ, tmp_path)
    first_words(processes, "stubborn")
    processes.stop(["stubborn"], patience=0.3)
    while read_process(pid):
        pass
    assert processes.pid("stubborn") is None


def test_start_again_finds_the_running_one(processes: Processes, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    pid = processes.start("one", command, os.environ, tmp_path)
    later = Processes(tmp_path / "register.json", tmp_path)
    assert later.start("one", command, os.environ, tmp_path) == pid
    later.stop(["one"], patience=5)


def test_stop_of_the_unknown_does_nothing(processes: Processes) -> None:
    processes.stop(["nobody"], patience=1)
    assert processes.names() == []
