"""Runs that failed because they took longer than they may."""

from __future__ import annotations

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.airflow.failing.run_timeouts import LIFETIME, MAX_DAGS_PER_READING, RunTimeouts
from exporter.sources.airflow.waits.questions import ERROR_LIFETIME

NOW = 10_000.0


def make_run(
    seconds: float, state: str = "failed", dag_id: str = "nightly", run_id: str = "r1", run_type: str = "scheduled"
) -> DagRun:
    end = NOW - 100
    return DagRun(dag_id=dag_id, run_id=run_id, run_type=run_type, state=state, start_date=end - seconds, end_date=end)


class Bench:
    """The limits of DAGs, and which of them were asked for."""

    def __init__(self, *, with_backfills: bool = True, **limits: float | None) -> None:
        self.limits = limits
        self.asked: list[str] = []
        self.ended: EndedLog[DagRun] = EndedLog()
        self.clock = 0.0
        self.timeouts = RunTimeouts(self.read, with_backfills=with_backfills, clock=lambda: self.clock)

    def read(self, dag_id: str) -> float | None:
        self.asked.append(dag_id)
        if dag_id not in self.limits:
            raise ReaderError("timeout", "no answer")
        return self.limits[dag_id]

    def find(self, *runs: DagRun, now: float = NOW, failed: float | None = None) -> list[str]:
        """Which runs timed out; `failed` is when a try of run r1 failed for good."""
        self.ended.extend(runs)
        tries = {} if failed is None else {("nightly", "r1"): failed}
        return [one.run_id for one in self.timeouts.find(self.ended, tries, now)]


def test_a_failed_run_that_took_as_long_as_it_may_timed_out() -> None:
    bench = Bench(nightly=600.0)
    assert bench.find(make_run(601), make_run(20, run_id="quick"), make_run(700, "success", run_id="fine")) == ["r1"]
    assert bench.find() == ["r1"], "it is remembered"
    assert bench.find(now=NOW + LIFETIME) == [], "for an hour"
    assert bench.asked == ["nightly"]


def test_without_a_limit_or_an_answer_nothing_is_claimed() -> None:
    assert Bench(nightly=None).find(make_run(90_000)) == []
    assert Bench().find(make_run(90_000)) == []


def test_what_could_not_be_asked_is_asked_again() -> None:
    bench = Bench()
    assert bench.find(make_run(3_601)) == []
    bench.limits = {"nightly": 3_600.0}
    bench.clock += ERROR_LIFETIME + 1
    assert bench.find(now=NOW + 301) == ["r1"]


def test_a_run_whose_try_failed_just_before_its_end_failed_for_that() -> None:
    bench = Bench(nightly=600.0)
    assert bench.find(make_run(9_000), failed=NOW - 105) == []
    assert bench.find(failed=NOW - 2_000) == ["r1"], "a try that failed long before its end did not end it"


def test_backfills_of_airflow_2_have_no_limit() -> None:
    backfill = make_run(9_000, run_type="backfill")
    assert Bench(nightly=600.0, with_backfills=False).find(backfill) == []
    assert Bench(nightly=600.0).find(backfill) == ["r1"]


def test_a_run_that_never_started_is_left_out() -> None:
    bench = Bench(nightly=600.0)
    assert bench.find(DagRun(dag_id="nightly", run_id="r1", state="failed", end_date=NOW)) == []
    assert bench.asked == []


def test_a_reading_asks_for_few_dags_and_the_next_goes_on() -> None:
    names = [f"dag_{number}" for number in range(MAX_DAGS_PER_READING + 2)]
    bench = Bench()
    bench.limits = dict.fromkeys(names, 10.0)
    runs = [make_run(20, dag_id=name, run_id=name) for name in names]
    assert bench.find(*runs) == names[:MAX_DAGS_PER_READING]
    assert bench.find() == names
