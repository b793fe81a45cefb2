"""Tries that the kernel killed for lack of memory: the host source's word beside that of the log."""

from __future__ import annotations

import json

import pytest

from exporter.diagnosis.waits.running import Machine
from exporter.sources.airflow.api.objects.task_logs import LogOutcome, LogTail
from exporter.sources.airflow.failing.backlog import BacklogEntry
from exporter.sources.airflow.failing.log_reader import LogReader
from exporter.sources.airflow.failing.memory_evidence import CLOCK_TOLERANCE, MemoryEvidence
from exporter.sources.directory import Directory, MemoryKill, TaskKey

KILLED = json.dumps({"event": "Process terminated by signal", "level": "critical", "signal": -9})
RAISED = json.dumps(
    {
        "event": "Task failed with exception",
        "level": "error",
        "error_detail": [{"exc_type": "ValueError", "exc_value": "x"}],
    }
)
TASK = TaskKey("orders", "load")


def make_entry(hostname: str = "here", attempts: int = 0) -> BacklogEntry:
    """A try of the task that ran from 1000 to 1100."""
    return BacklogEntry(*TASK[:1], "r", TASK[1], -1, 1, "failed", 1000.0, 1100.0, hostname, attempts=attempts)


def judge(entry: BacklogEntry, text: str, *kills: MemoryKill, seen: bool = True) -> tuple[str, bool]:
    """Class of a try whose log is this text, and whether it is final."""
    directory = Directory()
    if seen:
        directory.record_machine(Machine(frozenset({"here"}), {}))
    for kill in kills:
        directory.record_memory_kill(kill)
    outcome = LogOutcome.READ if text else LogOutcome.ERROR
    reader = LogReader(lambda _entry, _seconds: LogTail(outcome, text), 3, memory=MemoryEvidence(directory))
    verdict = reader.read(entry)
    return verdict.error_class, verdict.is_final


KILL = MemoryKill("", TASK, 1099.0)


def test_a_kill_of_the_kernel_explains_a_signal_and_a_log_that_says_nothing() -> None:
    assert judge(make_entry(), KILLED, KILL) == ("memory", True)
    assert judge(make_entry(), "", KILL) == ("memory", True)


def test_it_does_not_explain_an_exception() -> None:
    assert judge(make_entry(), RAISED, KILL) == ("code", True)


@pytest.mark.parametrize("when", [1000.0 - CLOCK_TOLERANCE - 1, 1100.0 + CLOCK_TOLERANCE + 1])
def test_kills_before_and_after_the_try_do_not_count(when: float) -> None:
    assert judge(make_entry(attempts=1), KILLED, KILL._replace(when=when)) == ("killed", True)


def test_kills_of_other_tasks_and_machines_do_not_count() -> None:
    assert judge(make_entry(attempts=1), KILLED, KILL._replace(named=TaskKey("orders", "other"))) == ("killed", True)
    assert judge(make_entry("there", attempts=1), KILLED, KILL) == ("killed", True)
    assert judge(make_entry(attempts=1), KILLED, KILL, seen=False) == ("killed", True)


def test_on_this_machine_a_signal_is_looked_at_once_more() -> None:
    assert judge(make_entry(), KILLED) == ("killed", False)
    assert judge(make_entry("there"), KILLED) == ("killed", True)
    assert judge(make_entry(), KILLED, seen=False) == ("killed", True)
    assert judge(make_entry(), RAISED) == ("code", True)
