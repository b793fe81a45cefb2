"""What fails now, by class."""

from __future__ import annotations

from exporter.diagnosis.error_classes import CODE, DATABASE, TIMEOUT
from exporter.diagnosis.failures import build_failures
from exporter.diagnosis.report import FailedTry, TimedOutRun


def failed(task: str, error_class: str, ended: float, dag: str = "d", *, retried: bool = False) -> FailedTry:
    return FailedTry(dag, task, "r", -1, 1, ended, error_class, retried, "")


def test_the_class_with_most_failed_tries_comes_first() -> None:
    tries = [
        failed("a", "database", 990.0, retried=True),
        failed("b", "database", 980.0, "e"),
        failed("c", "code", 970.0),
    ]
    first, second = build_failures(tries, 1000.0)
    assert (first.error_class, first.tries, first.dags) == ("database", 2, {"d": 1, "e": 1})
    assert first.newest == tries[0]
    assert first.meaning == DATABASE.meaning
    assert first.evidence == [
        "2 failed tries of 2 tasks within the last hour: d (1), e (1)",
        "Airflow retries 1 of them",
        "the newest: d.a, 10 s ago",
    ]
    assert (second.error_class, second.suggestion) == ("code", CODE.suggestion)
    assert second.evidence[0] == "1 failed try of 1 task within the last hour: d (1)"


def test_many_dags_are_counted_and_not_all_named() -> None:
    [found] = build_failures([failed("t", "code", 1.0, f"d{number}", retried=True) for number in range(5)], 2.0)
    assert found.evidence[0].endswith("and 2 more DAGs")
    assert found.evidence[1] == "Airflow retries all of them"
    assert len(found.dags) == 3


def test_nothing_failed() -> None:
    assert build_failures([], 1000.0) == []


def test_runs_that_took_too_long_are_a_failure_though_no_try_failed() -> None:
    runs = [TimedOutRun("nightly", "r2", 940.0, 600.0), TimedOutRun("nightly", "r1", 400.0, 300.0)]
    [found] = build_failures([], 1000.0, runs)
    assert (found.error_class, found.tries, found.runs, found.newest) == ("timeout", 0, 2, None)
    assert found.amount == "2 failed runs"
    assert found.dags == {"nightly": 2}
    assert found.evidence[0].endswith("within the last hour: nightly (2, limit 10 min)")
    assert found.evidence[-1] == "the newest: run r2 of nightly, 1 min ago"
    assert "raise its dagrun_timeout" in found.suggestion


def test_failed_tries_and_runs_of_one_class_are_one_finding() -> None:
    tries = [failed("a", "timeout", 990.0, "nightly")]
    [found] = build_failures(tries, 1000.0, [TimedOutRun("weekly", "r1", 940.0, 600.0)])
    assert (found.amount, found.newest) == ("1 failed try and 1 failed run", tries[0])
    assert found.dags == {"nightly": 1, "weekly": 1}
    assert [TIMEOUT.suggestion in found.suggestion, "weekly" in found.suggestion] == [True, True]
