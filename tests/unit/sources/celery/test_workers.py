"""What workers answer to remote control, whole or in part."""

from __future__ import annotations

import pytest

from exporter.sources.celery.workers import WorkerReading, to_reading

QUEUES = [{"name": "heavy", "exchange": {}}, {"name": "default"}]
STATS = {"pool": {"max-concurrency": 16, "processes": [1, 2]}, "prefetch_count": 16}


def test_a_worker_that_answers_everything() -> None:
    reading = to_reading("celery@one", QUEUES, [{"id": "a"}], STATS, [])
    assert reading == WorkerReading("celery@one", ("default", "heavy"), 16, 1, 0)


@pytest.mark.parametrize("stats", [None, {}, {"pool": "N/A"}, {"pool": {"max-concurrency": "N/A"}}, {"error": "x"}])
def test_slots_that_are_not_said_are_not_known(stats: object) -> None:
    assert to_reading("celery@one", QUEUES, None, stats, None).slots is None


def test_an_error_as_answer_is_no_answer() -> None:
    error = {"error": "KeyError()"}
    assert to_reading("celery@one", error, error, error, error) == WorkerReading("celery@one")
