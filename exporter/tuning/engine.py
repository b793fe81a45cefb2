"""All questions, asked of one set of observations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from exporter.tuning.advice import AdviceReport, Answer, Shortfall
from exporter.tuning.queries import QUERIES
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

Question = Callable[[AirflowHistory], Answer]
QUESTIONS: tuple[tuple[str, Question], ...] = (
    (parallelism.QUESTION, parallelism.answer),
    (pools.QUESTION, pools.answer),
    (dag_limits.QUESTION, dag_limits.answer),
    (retries.QUESTION, retries.answer),
    (granularity.QUESTION, granularity.answer),
    (memory.QUESTION, memory.answer),
    (schedule.QUESTION, schedule.answer),
    (backends.QUESTION, backends.answer),
)
MEANINGS = {query.name: query.meaning for query in QUERIES}


def advise(seen: AirflowHistory) -> AdviceReport:
    """All answers."""
    problems = [f"{MEANINGS[name]}: {error}" for name, error in seen.failures.items()]
    answers = list(answer_all(seen))
    return AdviceReport(
        seen.airflow, seen.begin, seen.end, seen.window, answers, dict(seen.labels), [*problems, *seen.warnings]
    )


def answer_all(seen: AirflowHistory) -> Iterator[Answer]:
    """Yield the answer to each question. What one of them takes away, the others do not give away."""
    for name, question in QUESTIONS:
        found = answer_one(seen, question)
        yield found
        if name == parallelism.QUESTION:
            fewer = [float(one.value) for one in found.recommendations if float(one.value) < float(one.current)]
            seen = replace(seen, advised_slots=min(fewer, default=seen.advised_slots))


def answer_one(seen: AirflowHistory, question: Question) -> Answer:
    """The answer to a question. It is not "nothing to change" where what it follows from could not be read."""
    asked: set[str] = set()
    found = question(replace(seen, asked=asked))
    missed = [name for name in seen.failures if name in asked]
    if not missed:
        return found
    how = "raise --prometheus.timeout, or shorten --window"
    missing = [Shortfall(MEANINGS[name], f"not read ({seen.failures[name]})", "an answer", how) for name in missed]
    nothing = "" if found.nothing.startswith("Nothing to change") else found.nothing
    return replace(found, nothing=nothing, missing=[*found.missing, *missing])
