"""The reader of failures: each failed try has one class, and what becomes of it is followed, across restarts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.events.target import EventTarget
from exporter.events.writer import EventWriter
from exporter.metrics.catalogue.api import failures
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import ReaderError, Reading
from exporter.sources.airflow.api.objects.task_logs import LogOutcome, LogTail
from exporter.sources.airflow.counting.decision import EndedTry
from exporter.sources.airflow.failing.backlog import BacklogEntry, remember_tries
from exporter.sources.airflow.failing.log_reader import LogReader
from exporter.sources.airflow.failing.recent import LIFETIME, RECENT_SPACE
from exporter.sources.airflow.failing.retries import RETENTION
from exporter.sources.airflow.log_links import LogLinks
from exporter.sources.airflow.readers import failures as module
from exporter.sources.airflow.readers.failures import FailuresReader
from exporter.sources.airflow.shared import AirflowState
from exporter.store.persistence.state_file import StateFile
from tests.unit.sources.airflow.failing.ended import end

SECRET = "hunter2-in-a-log"


class Bench:
    """A reader whose readings are committed; a restart keeps the state only."""

    def __init__(self) -> None:
        self.state = StateFile()
        self.shared = AirflowState(tasks_read_at=2000.0)
        self.restart()

    def restart(self) -> None:
        links = LogLinks("http://airflow", 3)
        self.reader = FailuresReader(self.state, self.shared, 30.0, log_reader=None, links=links)

    def poll(self, *ended: EndedTry, now: float = 2000.0) -> Reading:
        self.shared.tasks_read_at = now
        self.state.commit([], remember_tries(ended), moment=now)
        return self.read()

    def read(self) -> Reading:
        reading = self.reader.read()
        self.state.commit([], reading.memories, moment=reading.moment, forget=reading.forget)
        return reading


def count(reading: Reading, family: Family) -> dict[Labels, float]:
    found: dict[Labels, float] = {}
    for change in reading.changes:
        if change.family is family:
            found[change.labels] = found.get(change.labels, 0.0) + change.value
    return found


def test_each_failed_try_is_counted_once() -> None:
    bench = Bench()
    reading = bench.poll(end("retried", 1), end("failed", 2))
    assert count(reading, failures.FAILED_BY_CLASS) == {("d", "unknown"): 2}
    assert count(reading, failures.RETRIED_BY_CLASS) == {("d", "unknown"): 1}
    assert not bench.poll().changes


def test_a_reading_that_was_not_committed_is_counted_by_the_next() -> None:
    bench = Bench()
    bench.state.commit([], remember_tries([end("failed")]))
    bench.reader.read()
    assert count(bench.read(), failures.FAILED_BY_CLASS) == {("d", "unknown"): 1}


def test_the_next_try_is_followed_across_a_restart() -> None:
    bench = Bench()
    bench.poll(end("retried", 1))
    bench.restart()
    reading = bench.poll(end("success", 2))
    assert count(reading, failures.RECOVERED_BY_CLASS) == {("d", "unknown"): 1}
    assert count(reading, failures.RETRY_DELAY) == {("d", "unknown"): 90.0}
    assert not bench.poll(end("success", 2)).changes, "the failed try before it is no longer remembered"


def test_a_chain_of_retries_in_one_poll() -> None:
    reading = Bench().poll(end("retried", 1), end("retried", 2), end("success", 3))
    assert count(reading, failures.RECOVERED_BY_CLASS) == {("d", "unknown"): 1}
    assert count(reading, failures.RETRY_DELAY) == {("d", "unknown"): 180.0}


def test_a_cleared_try_is_no_recovery_and_one_whose_predecessor_was_not_seen_neither() -> None:
    assert not count(Bench().poll(end("retried", 1), end("cleared", 2)), failures.RECOVERED_BY_CLASS)
    assert not count(Bench().poll(end("retried", 1), end("success", 3)), failures.RECOVERED_BY_CLASS)


def test_nothing_is_counted_or_forgotten_before_the_active_task_instances_were_read() -> None:
    bench = Bench()
    bench.poll(end("retried", 1))
    bench.shared = AirflowState()
    bench.restart()
    assert not bench.poll(end("success", 2), now=0.0).changes
    assert count(bench.poll(now=2090.0), failures.RECOVERED_BY_CLASS) == {("d", "unknown"): 1}


def test_what_is_never_tried_again_is_forgotten_after_a_week() -> None:
    bench = Bench()
    bench.poll(end("retried", 1))
    bench.poll(now=2000.0 + RETENTION + 10)
    assert not count(bench.poll(end("success", 2)), failures.RECOVERED_BY_CLASS)


def test_each_class_is_described() -> None:
    table = Bench().read().tables[failures.CLASS_INFO]
    assert {labels[0] for labels in table} == set(failures.ERROR_CLASSES)


class Logs:
    """Answers with the log that a test gives a task; reading one takes `cost` seconds."""

    def __init__(self) -> None:
        self.texts: dict[str, LogTail] = {}
        self.asked: list[str] = []
        self.cost = 0.0
        self.clock = 100.0
        self.down = False

    def read(self, entry: BacklogEntry, seconds: float) -> LogTail:
        self.asked.append(entry.task_id)
        self.clock += self.cost
        if self.down:
            raise ReaderError("unreachable", "no answer")
        return self.texts.get(entry.task_id, LogTail(LogOutcome.GONE))

    def fail(self, task: str, exception: str) -> None:
        detail = [{"exc_type": exception, "exc_value": SECRET, "frames": []}]
        row = {"event": "Task failed with exception", "level": "error", "error_detail": detail}
        self.texts[task] = LogTail(LogOutcome.READ, json.dumps({"event": SECRET}) + "\n" + json.dumps(row))


class LogBench(Bench):
    """A reader that reads logs."""

    def __init__(self, *, exception_labels: bool = False) -> None:
        self.logs = Logs()
        self.exception_labels = exception_labels
        super().__init__()

    def restart(self) -> None:
        self.reader = FailuresReader(
            self.state,
            self.shared,
            30.0,
            log_reader=LogReader(self.logs.read, 3, clock=lambda: self.logs.clock),
            links=LogLinks("http://airflow", 3),
            exception_labels=self.exception_labels,
            clock=lambda: self.logs.clock,
        )


def fail(task: str, number: int = 0, **changes: Any) -> EndedTry:
    return end("failed", task_id=task, run_id=f"r{number}", hostname=f"host of {task}", **changes)


def test_the_class_comes_from_the_log() -> None:
    bench = LogBench()
    bench.logs.fail("a", "OperationalError")
    bench.logs.fail("b", "ValueError")
    reading = bench.poll(fail("a"), fail("b"))
    assert count(reading, failures.FAILED_BY_CLASS) == {("d", "database"): 1, ("d", "code"): 1}
    assert count(reading, failures.LOGS_READ) == {("read",): 2}


def test_a_log_is_read_once_though_its_class_cannot_be_written_for_a_while() -> None:
    bench = LogBench()
    bench.logs.fail("a", "OperationalError")
    bench.state.commit([], remember_tries([fail("a")]))
    bench.reader.read()
    bench.reader.read()
    assert count(bench.read(), failures.FAILED_BY_CLASS) == {("d", "database"): 1}
    assert bench.logs.asked == ["a"]


def test_nothing_of_a_log_is_kept_or_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    bench = LogBench(exception_labels=True)
    bench.logs.fail("a", "OperationalError")
    reading = bench.poll(fail("a"))
    diagnosis = bench.shared.directory._diagnosis
    kept = [value for space in reading.memories.values() for value in space.values()]
    for text in (repr(reading), repr(kept), repr(diagnosis), caplog.text, repr(bench.shared)):
        assert SECRET not in text
    assert count(reading, failures.FAILED_BY_EXCEPTION) == {("d", "database", "OperationalError"): 1}


def test_what_there_is_no_time_for_waits_and_survives_a_restart() -> None:
    bench = LogBench()
    bench.logs.cost = 1.4
    for number in range(8):
        bench.logs.fail(f"t{number}", "ValueError")
    ended = [fail(f"t{number}", end_date=1020.0 + number) for number in range(8)]
    assert count(bench.poll(*ended), failures.FAILED_BY_CLASS) == {("d", "code"): 3}
    assert bench.logs.asked == ["t0", "t1", "t2"], "the oldest first"
    bench.restart()
    assert count(bench.poll(), failures.FAILED_BY_CLASS) == {("d", "code"): 3}
    assert count(bench.poll(), failures.FAILED_BY_CLASS) == {("d", "code"): 2}
    assert not bench.poll().changes


def test_the_try_after_one_whose_log_waits_is_counted_after_it() -> None:
    bench = LogBench()
    bench.logs.cost = 4.0
    bench.logs.fail("t", "ConnectionResetError")
    bench.logs.fail("first", "ValueError")
    first = bench.poll(fail("first", end_date=1000.0), end("retried", 1), end("success", 2))
    assert not count(first, failures.RECOVERED_BY_CLASS)
    assert count(bench.poll(), failures.RECOVERED_BY_CLASS) == {("d", "network"): 1}


def test_beyond_the_budget_a_try_is_unknown_and_is_counted_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BACKLOG", 10)
    bench = LogBench()
    bench.logs.cost = 60.0
    reading = bench.poll(*(fail("t", number) for number in range(30)))
    counts = count(reading, failures.LOGS_READ)
    assert counts[("over_budget",)] >= 20
    assert sum(count(reading, failures.FAILED_BY_CLASS).values()) == sum(counts.values())


def test_a_try_that_waited_for_an_hour_is_unknown() -> None:
    bench = LogBench()
    bench.logs.cost = 10.0
    bench.logs.fail("a", "ValueError")
    bench.poll(fail("a"), fail("b"), fail("c"))
    assert count(bench.poll(now=9000.0), failures.LOGS_READ)[("over_budget",)] == 1


def test_a_log_that_says_nothing_yet_is_read_again_and_then_counts_as_unknown() -> None:
    bench = LogBench()
    assert not bench.poll(fail("a")).changes
    assert not bench.poll(now=2010.0).changes, "not asked for again yet"
    assert bench.logs.asked == ["a"]
    bench.logs.fail("a", "MemoryError")
    assert count(bench.poll(now=2030.0), failures.FAILED_BY_CLASS) == {("d", "memory"): 1}
    bench.poll(fail("b"), now=3000.0)
    bench.poll(now=3030.0)
    reading = bench.poll(now=3100.0)
    assert count(reading, failures.FAILED_BY_CLASS) == {("d", "unknown"): 1}
    assert count(reading, failures.LOGS_READ) == {("gone",): 1}


def lose(bench: LogBench, numbers: range) -> int:
    """Tries whose log does not come, one every five minutes; how often a log was asked for."""
    bench.logs.asked.clear()
    for number in numbers:
        for seconds in (0.0, 30.0, 100.0):
            ended = [] if seconds else [fail("lost", number)]
            bench.poll(*ended, now=10_000.0 + 300.0 * number + seconds)
    return len(bench.logs.asked)


def test_where_no_log_ever_comes_each_is_asked_for_once_and_one_in_ten_again() -> None:
    bench = LogBench()
    assert lose(bench, range(10)) == 30
    assert lose(bench, range(10, 20)) == 12


def test_as_soon_as_a_log_comes_those_that_are_not_there_yet_are_looked_at_again() -> None:
    bench = LogBench()
    lose(bench, range(19))
    bench.poll(fail("late"), now=20_000.0)
    bench.logs.fail("late", "ValueError")
    assert count(bench.poll(now=20_030.0), failures.FAILED_BY_CLASS) == {("d", "code"): 1}
    assert lose(bench, range(40, 41)) == 3


@pytest.mark.parametrize(("outcome", "asked"), [("timeout", 1), ("forbidden", 1), ("too_long", 1), ("error", 3)])
def test_what_does_not_answer_is_left_alone_for_a_while(outcome: str, asked: int) -> None:
    bench = LogBench()
    bench.logs.texts["t"] = LogTail(LogOutcome(outcome))
    reading = bench.poll(*(fail("t", number) for number in range(3)))
    assert len(bench.logs.asked) == asked
    assert count(reading, failures.LOGS_READ) == {(outcome,): 3}
    bench.logs.clock += 4000.0
    bench.poll(fail("t", 9))
    assert len(bench.logs.asked) == asked + 1


def test_a_task_whose_log_takes_too_long_does_not_keep_others_of_its_host_from_being_read() -> None:
    bench = LogBench()
    bench.logs.texts["a"] = LogTail(LogOutcome.TIMEOUT)
    bench.logs.fail("b", "ValueError")
    reading = bench.poll(fail("a", 1), fail("a", 2), end("failed", task_id="b", hostname="host of a"))
    assert count(reading, failures.FAILED_BY_CLASS) == {("d", "unknown"): 2, ("d", "code"): 1}
    assert bench.logs.asked.count("a") == 1


def test_a_host_whose_log_server_hangs_is_left_alone_after_two_tasks_and_others_are_read() -> None:
    bench = LogBench()
    for task in ("a", "b", "c"):
        bench.logs.texts[task] = LogTail(LogOutcome.TIMEOUT)
    bench.logs.fail("other", "ValueError")
    hanging = [end("failed", task_id=task, hostname="h") for task in ("a", "b", "c")]
    reading = bench.poll(*hanging, fail("other"))
    assert len(bench.logs.asked) == 3
    assert count(reading, failures.FAILED_BY_CLASS) == {("d", "unknown"): 3, ("d", "code"): 1}


def test_a_forbidden_log_is_said_with_what_to_do() -> None:
    bench = LogBench()
    bench.logs.texts["t"] = LogTail(LogOutcome.FORBIDDEN)
    assert any("can read on Task Logs" in note for note in bench.poll(fail("t")).notes)


def test_an_airflow_that_is_down_loses_nothing() -> None:
    bench = LogBench()
    bench.logs.fail("t", "ValueError")
    bench.logs.down = True
    reading = bench.poll(fail("t"))
    assert not reading.changes
    assert any("unreachable" in note for note in reading.notes)
    bench.logs.down = False
    assert count(bench.poll(), failures.FAILED_BY_CLASS) == {("d", "code"): 1}


def test_the_last_hour_is_on_the_page_with_links_to_the_logs() -> None:
    bench = LogBench()
    bench.logs.fail("a", "OperationalError")
    bench.logs.fail("b", "ValueError")
    bench.poll(fail("a"), fail("b", 1), fail("b", 2), now=1100.0)
    bench.restart()
    bench.poll(now=1200.0)
    diagnosis = bench.shared.directory._diagnosis
    assert [(one.error_class, one.tries) for one in diagnosis.failures] == [("code", 2), ("database", 1)]
    assert len(diagnosis.failed_tries) == 3
    assert diagnosis.failed_tries[0].log_url.startswith("http://airflow/dags/d/runs/r")
    bench.poll(now=1100.0 + LIFETIME)
    assert not bench.shared.directory._diagnosis.failures
    assert not bench.state.recall_all(RECENT_SPACE)


def test_the_reader_of_events_gets_each_failed_try_with_its_class_once(tmp_path: Path) -> None:
    bench = LogBench()
    bench.shared.events = EventWriter(EventTarget(tmp_path / "events.jsonl", 1_000_000, 1))
    bench.logs.fail("a", "OperationalError")
    bench.poll(fail("a"))
    bench.poll()
    batch = bench.shared.failed_tries.read_from(0, bench)
    assert [(one.task_id, one.error_class) for one in batch.entries] == [("a", "database")]


def test_retries_that_never_help_become_advice() -> None:
    bench = LogBench()
    bench.logs.fail("t", "ValueError")
    for number in range(6):
        changes = {"run_id": f"r{number}"}
        bench.poll(end("retried", 1, **changes), end("failed", 2, **changes))
    [advice] = bench.shared.directory._diagnosis.costs
    assert (advice.name, advice.object, advice.seconds) == ("retries_never_help", "d", 6 * 90.0)
