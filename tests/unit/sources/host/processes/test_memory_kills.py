"""Which tries the kernel killed for lack of memory: the end of a process, held against the growth of a count."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import pytest

from exporter.sources.directory import Directory, MemoryKill, TaskKey
from exporter.sources.host.processes.memory_kills import MAX_EXIT_SECONDS, MemoryKills, read_count
from exporter.sources.host.processes.owners import UNKNOWN_TASK, Try

TASK = TaskKey("orders", "load")


class Machine:
    """A scan every two seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.kills = MemoryKills(lambda: self.now)
        self.found: list[str] = []

    def scan(self, count: float | None, *ended: Try, seconds: float = 2.0) -> None:
        self.now += seconds
        self.found += [kill.uuid for kill in self.kills.note(deque(ended), count)]


def make_try(name: str) -> Try:
    return Try(name, None, uuid=name)


def test_a_try_that_ended_while_the_count_grew_was_killed() -> None:
    machine = Machine()
    machine.scan(3)
    machine.scan(4, make_try("a"))
    machine.scan(4)
    assert machine.found == ["a"]


def test_a_process_with_much_memory_goes_some_seconds_after_it_was_counted() -> None:
    machine = Machine()
    machine.scan(3)
    machine.scan(4)
    machine.scan(4, make_try("a"), seconds=MAX_EXIT_SECONDS)
    machine.scan(4, make_try("b"))
    assert machine.found == ["a"]


def test_a_try_that_ended_before_or_after_was_not() -> None:
    machine = Machine()
    machine.scan(3, make_try("before"))
    machine.scan(4)
    for _ in range(3):
        machine.scan(4)
    machine.scan(4, make_try("after"))
    assert machine.found == []


def test_the_first_count_and_one_that_was_not_known_say_nothing() -> None:
    machine = Machine()
    machine.scan(7, make_try("a"))
    machine.scan(None, make_try("b"))
    machine.scan(9, make_try("c"))
    machine.scan(2, make_try("d"))
    assert machine.found == []


def test_a_try_is_named_once_and_one_without_a_name_never() -> None:
    machine, one = Machine(), make_try("a")
    machine.scan(3)
    machine.scan(4, one, one, Try("", UNKNOWN_TASK))
    machine.scan(5)
    assert machine.found == ["a"]


def test_what_was_noted_is_taken() -> None:
    ended = deque([make_try("a")])
    MemoryKills().note(ended, 1)
    assert not ended


@pytest.mark.parametrize(("text", "count"), [("pswpin 1\noom_kill 3\n", 3), ("pswpin 1\n", None), (None, None)])
def test_the_count_is_that_of_the_machine(text: str | None, count: float | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "vmstat").write_text(text)
    assert read_count(tmp_path) == count


def test_the_directory_finds_kills_by_task_and_time() -> None:
    directory = Directory()
    directory.record_memory_kill(MemoryKill("u1", None, 100.0))
    directory.record_memory_kill(MemoryKill("", TaskKey("old", "release"), 200.0))
    assert not directory.has_memory_kill(TASK, 0.0, 300.0)
    directory.record_try(*TASK, "u1")
    assert directory.has_memory_kill(TASK, 0.0, 300.0)
    assert not directory.has_memory_kill(TASK, 101.0, 300.0)
    assert directory.has_memory_kill(TaskKey("old", "release"), 200.0, 200.0)
