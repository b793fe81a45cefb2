"""The histories of many DAGs come from pages of all runs; only the DAGs that those do not tell are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.readers.history import DagHistory, HistoryReader, recall_histories
from exporter.sources.airflow.shared import AirflowState
from exporter.store.persistence.state_file import StateFile

PAGE = 100
NUMBERS = count()


def run(dag_id: str, end: float | None, state: str = "success", run_type: str = "scheduled") -> DagRun:
    state = state if end is not None else "running"
    return DagRun(
        dag_id=dag_id, run_id=f"r{next(NUMBERS)}", run_type=run_type, state=state, end_date=end, run_after=end
    )


class Airflow:
    """Runs of all DAGs, newest first."""

    def __init__(self, runs: Sequence[DagRun]) -> None:
        self.runs = list(runs)
        self.pages = 0
        self.asked: list[str] = []
        self.error: ReaderError | None = None

    def dag_runs_newest(self, offset: int) -> Sequence[DagRun]:
        if self.error:
            raise self.error
        self.pages += 1
        return self.runs[offset : offset + PAGE]

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        self.asked.append(dag_id)
        found = [one for one in self.runs if one.dag_id == dag_id and (state is None or one.state == state)]
        return found[:limit]


def read_all(airflow: Airflow, dag_ids: Sequence[str]) -> dict[str, DagHistory]:
    """What is remembered after enough reads; each has time for one request."""
    state, shared, ticks = StateFile(), AirflowState(), count()
    shared.dags = {dag_id: Dag(dag_id=dag_id) for dag_id in dag_ids}
    reader = HistoryReader(airflow, state, shared, 30.0, lambda: next(ticks) * 10.0)  # type: ignore[arg-type]
    for _ in range(10 * len(dag_ids)):
        state.commit([], reader.read().memories)
    return recall_histories(state)


def dags(number: int) -> list[str]:
    return [f"d{index}" for index in range(number)]


def test_dags_whose_last_run_succeeded_cost_a_request_for_a_hundred() -> None:
    airflow = Airflow([run(dag_id, 1_000.0 - index) for index, dag_id in enumerate(dags(250))])
    histories = read_all(airflow, dags(250))
    assert (airflow.pages, airflow.asked) == (3, [])
    assert histories["d7"] == DagHistory(True, "success", 993.0, 993.0, None, 0)


def test_failures_before_a_success_are_counted_across_pages() -> None:
    fill = [run(dag_id, 900.0) for dag_id in dags(150)]
    airflow = Airflow([run("bad", 1_000.0, "failed"), run("bad", 950.0, "failed"), *fill, run("bad", 800.0)])
    histories = read_all(airflow, [*dags(150), "bad"])
    assert airflow.asked == []
    assert histories["bad"] == DagHistory(True, "failed", 1_000.0, 800.0, None, 2)


def test_pages_end_when_they_tell_little() -> None:
    busy = [run("busy", 2_000.0 - index) for index in range(3_000)]
    quiet = [run(dag_id, 10.0) for dag_id in dags(30)]
    airflow = Airflow([*busy, *quiet])
    histories = read_all(airflow, ["busy", *dags(30)])
    assert airflow.pages == 1
    assert sorted(airflow.asked) == sorted(dags(30))
    assert len(histories) == 31


def test_runs_that_run_and_backfills_tell_nothing() -> None:
    ended = [run(dag_id, 100.0) for dag_id in dags(40)]
    airflow = Airflow(
        [run("d0", None), run("d1", 500.0, "failed", "backfill"), run("only", 90.0, run_type="backfill"), *ended]
    )
    histories = read_all(airflow, [*dags(40), "only"])
    assert histories["d0"] == histories["d1"] == DagHistory(True, "success", 100.0, 100.0, None, 0)
    assert histories["only"] == DagHistory(asked=True)
    assert airflow.asked == ["only"]


def test_few_dags_are_asked_for_one_by_one() -> None:
    airflow = Airflow([run(dag_id, 10.0) for dag_id in dags(5)])
    read_all(airflow, dags(5))
    assert (airflow.pages, sorted(airflow.asked)) == (0, dags(5))


def test_a_list_that_airflow_cannot_serve_leaves_the_single_dags() -> None:
    airflow = Airflow([run(dag_id, 10.0) for dag_id in dags(30)])
    airflow.error = AnswerError("server_error", "dagRuns: HTTP 500", 500)
    assert len(read_all(airflow, dags(30))) == 30
    airflow.error = ReaderError("unreachable", "nobody listens")
    with pytest.raises(ReaderError, match="nobody listens"):
        read_all(airflow, dags(30))
