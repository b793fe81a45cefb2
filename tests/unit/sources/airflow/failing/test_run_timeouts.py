"""Runs that failed because they took longer than they may."""

from __future__ import annotations

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.airflow.failing.run_timeouts import LIFETIME, MAX_DAGS_PER_READING, RunTimeouts
from exporter.sources.airflow.waits.questions import QuestionBudget

NOW = 10_000.0


def make_run(seconds: float, state: str = "failed", dag_id: str = "nightly", run_id: str = "r1") -> DagRun:
    return DagRun(dag_id=dag_id, run_id=run_id, state=state, start_date=NOW - 100 - seconds, end_date=NOW - 100)


class Bench:
    """The limits of DAGs, and which of them were asked for."""

    def __init__(self, **limits: float | None) -> None:
        self.limits = limits
        self.asked: list[str] = []
        self.ended: EndedLog[DagRun] = EndedLog()
        self.questions = QuestionBudget()
        self.timeouts = RunTimeouts(self.questions, self.read)

    def read(self, dag_id: str) -> float | None:
        self.asked.append(dag_id)
        if dag_id not in self.limits:
            raise ReaderError("forbidden", "no rights")
        return self.limits[dag_id]

    def find(self, *runs: DagRun, now: float = NOW) -> list[str]:
        self.ended.extend(runs)
        self.questions.begin()
        return [one.run_id for one in self.timeouts.find(self.ended, now)]


def test_a_failed_run_that_took_as_long_as_it_may_timed_out() -> None:
    bench = Bench(nightly=600.0)
    assert bench.find(make_run(601), make_run(20, run_id="quick"), make_run(700, "success", run_id="fine")) == ["r1"]
    assert bench.find() == ["r1"], "it is remembered"
    assert bench.find(now=NOW + LIFETIME) == [], "for an hour"
    assert bench.asked == ["nightly"]


def test_without_a_limit_or_an_answer_nothing_is_claimed() -> None:
    assert Bench(nightly=None).find(make_run(90_000)) == []
    assert Bench().find(make_run(90_000)) == []


def test_a_run_that_never_started_is_left_out() -> None:
    bench = Bench(nightly=600.0)
    assert bench.find(DagRun(dag_id="nightly", run_id="r1", state="failed", end_date=NOW)) == []
    assert bench.asked == []


def test_a_reading_asks_for_few_dags_and_the_next_goes_on() -> None:
    names = [f"dag_{number}" for number in range(MAX_DAGS_PER_READING + 2)]
    bench = Bench(**dict.fromkeys(names, 10.0))
    runs = [make_run(20, dag_id=name, run_id=name) for name in names]
    assert bench.find(*runs) == names[:MAX_DAGS_PER_READING]
    assert bench.find() == names
