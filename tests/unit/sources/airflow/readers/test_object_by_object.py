"""Readers that ask for one DAG after another pass over those that are answered with an error and keep the others."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from exporter.metrics.catalogue.api import runs
from exporter.metrics.reading import ReaderError, Reading
from exporter.sources.airflow.api.objects.backfills import Backfill
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.counting.retry_later import FIRST_PAUSE, MAX_PAUSE, RetryLater, is_object_error
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.readers.backfills import BackfillsReader
from exporter.sources.airflow.readers.history import HistoryReader, recall_histories
from exporter.sources.airflow.shared import AirflowState
from exporter.store.persistence.state_file import StateFile


class Airflow:
    """Answers for each DAG, but for those with an error."""

    def __init__(self) -> None:
        self.errors: dict[str, ReaderError] = {}
        self.asked: list[str] = []

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        self._ask(dag_id)
        return [DagRun(dag_id=dag_id, run_id="r", run_type="scheduled", state="success", end_date=5.0)]

    def dag_runs_newest(self, offset: int) -> Sequence[DagRun]:
        return []

    def backfills(self, dag_id: str) -> Sequence[Backfill]:
        self._ask(dag_id)
        return [Backfill(id=1, dag_id=dag_id, max_active_runs=3, created_at=7.0)]

    def _ask(self, dag_id: str) -> None:
        self.asked.append(dag_id)
        if dag_id in self.errors:
            raise self.errors[dag_id]


class Bench:
    """The reader of histories over some DAGs, committing what it reads."""

    def __init__(self, *dag_ids: str) -> None:
        self.now = 0.0
        self.airflow = Airflow()
        self.state = StateFile()
        self.overview = AirflowState()
        self.overview.dags = {dag_id: Dag(dag_id=dag_id) for dag_id in dag_ids}
        self.reader = HistoryReader(
            self.airflow,  # type: ignore[arg-type]  # only what the reader asks for
            self.state,
            self.overview,
            30.0,
            lambda: self.now,
        )

    def read(self, seconds: float = 30.0) -> Reading:
        self.now += seconds
        self.airflow.asked.clear()
        reading = self.reader.read()
        self.state.commit([], reading.memories)
        return reading

    def known(self) -> set[str]:
        return {dag_id for dag_id, history in recall_histories(self.state).items() if history.last_success == 5.0}


def answer(status: int, reason: str = "server_error") -> AnswerError:
    return AnswerError(reason, f"dagRuns: HTTP {status}", status)


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_a_dag_that_is_answered_with_an_error_costs_the_others_nothing(status: int) -> None:
    bench = Bench("a", "bad", "c", "d")
    bench.airflow.errors["bad"] = answer(status)
    reading = bench.read()
    assert bench.known() == {"a", "c", "d"}
    assert reading.unanswered == [f"bad: dagRuns: HTTP {status}"]


def test_it_is_asked_for_again_less_and_less_often_and_reported_all_the_while(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench("a", "bad")
    bench.airflow.errors["bad"] = answer(404, "not_found")
    moments = []
    for _ in range(1_000):
        reading = bench.read()
        assert len(reading.unanswered) == 1
        if "bad" in bench.airflow.asked:
            moments.append(bench.now)
    pauses = [after - before for before, after in pairwise(moments)]
    assert pauses[0] == FIRST_PAUSE
    assert pauses[-1] == MAX_PAUSE
    assert pauses == sorted(pauses)
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    del bench.airflow.errors["bad"]
    assert bench.read(MAX_PAUSE).unanswered == []
    assert bench.known() == {"a", "bad"}


def test_what_was_found_before_the_connection_broke_is_kept() -> None:
    bench = Bench("a", "b", "c")
    bench.airflow.errors["b"] = ReaderError("unreachable", "nobody listens")
    bench.read()
    assert bench.known() == {"a"}
    with pytest.raises(ReaderError, match="nobody listens"):
        bench.read()


def test_a_dag_that_may_not_be_read_fails_the_reader_and_the_next_read_asks_for_others() -> None:
    bench = Bench("a", "b")
    bench.airflow.errors["a"] = answer(403, "forbidden")
    with pytest.raises(ReaderError):
        bench.read()
    bench.read()
    assert bench.known() == {"b"}


def test_a_broken_server_is_not_asked_for_every_dag() -> None:
    bench = Bench(*map(str, range(50)))
    bench.airflow.errors = {str(number): answer(500) for number in range(50)}
    bench.read()
    assert len(bench.airflow.asked) == 5


def test_a_dag_that_is_deleted_is_passed_over_no_longer() -> None:
    bench = Bench("a", "bad")
    bench.airflow.errors["bad"] = answer(404)
    bench.read()
    bench.overview.dags = {"a": Dag(dag_id="a")}
    assert bench.read().unanswered == []


def test_what_is_known_of_a_dag_outlives_a_list_without_it() -> None:
    bench = Bench("a", "b")
    bench.read()
    bench.overview.dags = {}
    bench.read()
    assert bench.known() == {"a", "b"}


def test_backfills_of_the_others_are_read_where_one_dag_is_answered_with_an_error() -> None:
    airflow, overview, now = Airflow(), AirflowState(), [0.0]
    airflow.errors["bad"] = answer(500)
    overview.backfilled = {("bad", "running"): 1, ("good", "running"): 2}
    reader = BackfillsReader(airflow.backfills, overview, 60.0, lambda: now[0])
    for asked in (["bad", "good"], ["good"]):
        airflow.asked.clear()
        reading = reader.read()
        assert airflow.asked == asked
        assert reading.tables[runs.BACKFILL_RUNS] == overview.backfilled
        assert reading.tables[runs.BACKFILL_MAX_ACTIVE_RUNS] == {("good",): 3}
        assert reading.unanswered == ["bad: dagRuns: HTTP 500"]
    airflow.errors["good"] = ReaderError("unreachable", "nobody listens")
    with pytest.raises(ReaderError):
        reader.read()


@pytest.mark.parametrize("reason", ["timeout", "bad_reply", "forbidden"])
def test_backfills_of_the_others_are_read_next_where_the_error_may_be_about_one_dag(reason: str) -> None:
    airflow, overview, now = Airflow(), AirflowState(), [0.0]
    airflow.errors["bad"] = ReaderError(reason, "no such reply")
    overview.backfilled = {("bad", "running"): 1, ("good", "running"): 2}
    reader = BackfillsReader(airflow.backfills, overview, 60.0, lambda: now[0])
    with pytest.raises(ReaderError, match="no such reply"):
        reader.read()
    assert reader.read().tables[runs.BACKFILL_MAX_ACTIVE_RUNS] == {("good",): 3}


@pytest.mark.parametrize(
    ("error", "about_one"),
    [
        (answer(404, "not_found"), True),
        (answer(500), True),
        (answer(422, "bad_request"), True),
        (answer(502), False),
        (answer(401, "unauthorized"), False),
        (ReaderError("timeout", "no answer"), False),
    ],
)
def test_which_errors_are_about_one_object(error: ReaderError, about_one: bool) -> None:
    assert is_object_error(error) is about_one


def test_what_is_said_of_an_object_is_what_airflow_said_of_it() -> None:
    error = AnswerError(
        "not_found", "dagRuns: HTTP 404 (no such DAG): check that airflow.url is right", 404, "no such DAG"
    )
    later = RetryLater(lambda: 0.0)
    later.fail("d", error)
    assert later.messages() == ["d: HTTP 404 (no such DAG)"]


def test_a_pause_ends() -> None:
    now = [0.0]
    later = RetryLater(lambda: now[0])
    later.fail("d", answer(404))
    assert not later.is_due("d")
    now[0] = FIRST_PAUSE
    assert later.is_due("d")
    assert later.is_due("another")
