"""The reader of failures: each failed try has one class, and what becomes of it is followed, across restarts."""

from __future__ import annotations

from exporter.metrics.catalogue.api import failures
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.airflow.counting.decision import EndedTry
from exporter.sources.airflow.failing.backlog import remember_tries
from exporter.sources.airflow.failing.retries import RETENTION
from exporter.sources.airflow.readers.failures import FailuresReader
from exporter.sources.airflow.shared import AirflowState
from exporter.store.persistence.state_file import StateFile
from tests.unit.sources.airflow.failing.ended import end


class Bench:
    """A reader whose readings are committed; a restart keeps the state only."""

    def __init__(self) -> None:
        self.state = StateFile()
        self.shared = AirflowState()
        self.restart()

    def restart(self) -> None:
        self.reader = FailuresReader(self.state, self.shared, 30.0)

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


def test_what_is_never_tried_again_is_forgotten_after_a_week() -> None:
    bench = Bench()
    bench.poll(end("retried", 1))
    bench.poll(now=2000.0 + RETENTION + 10)
    assert not count(bench.poll(end("success", 2)), failures.RECOVERED_BY_CLASS)


def test_each_class_is_described() -> None:
    table = Bench().read().tables[failures.CLASS_INFO]
    assert {labels[0] for labels in table} == set(failures.ERROR_CLASSES)
