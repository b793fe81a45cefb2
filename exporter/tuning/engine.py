"""All questions, asked of one set of observations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exporter.tuning.advice import AdviceReport, Answer
from exporter.tuning.questions import (
    backends,
    dag_limits,
    granularity,
    memory,
    parallelism,
    pools,
    retries,
    schedule,
)
from exporter.tuning.series import AirflowHistory

QUESTIONS: tuple[tuple[str, Callable[[AirflowHistory], Answer]], ...] = (
    (parallelism.QUESTION, parallelism.answer),
    (pools.QUESTION, pools.answer),
    (dag_limits.QUESTION, dag_limits.answer),
    (retries.QUESTION, retries.answer),
    (granularity.QUESTION, granularity.answer),
    (memory.QUESTION, memory.answer),
    (schedule.QUESTION, schedule.answer),
    (backends.QUESTION, backends.answer),
)


def advise(seen: AirflowHistory) -> AdviceReport:
    """All answers."""
    return AdviceReport(seen.airflow, seen.begin, seen.end, seen.window, list(answer_all(seen)))


def answer_all(seen: AirflowHistory) -> Iterator[Answer]:
    """Yield the answer to each question."""
    yield from (answer(seen) for _, answer in QUESTIONS)
