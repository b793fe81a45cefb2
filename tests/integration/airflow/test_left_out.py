"""Rows that Airflow answers HTTP 500 for, in every list of both releases: they alone are left out, and reported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import AirflowSettings
from exporter.metrics.catalogue.api.runs import BACKFILL_MAX_ACTIVE_RUNS
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.detect import connect
from exporter.sources.airflow.api.left_out import MAX_AGE, LeftOut
from exporter.sources.airflow.api.objects.approvals import read_pending_approvals
from exporter.sources.airflow.api.objects.assets import read_assets
from exporter.sources.airflow.api.objects.backfills import read_backfills
from exporter.sources.airflow.api.objects.dag_warnings import read_dag_warnings
from exporter.sources.airflow.api.objects.dags import read_dags
from exporter.sources.airflow.api.objects.import_errors import read_import_errors
from exporter.sources.airflow.api.objects.jobs import read_jobs
from exporter.sources.airflow.api.objects.pools import read_pools
from exporter.sources.airflow.http import client as client_module
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.readers.backfills import BackfillsReader
from exporter.sources.airflow.shared import AirflowState
from tests.integration.airflow.stub import Answer, Asked, Stub, serve

KEYS = {
    "pools": "pools",
    "dags": "dags",
    "importErrors": "import_errors",
    "dagWarnings": "dag_warnings",
    "dagRuns": "dag_runs",
    "taskInstances": "task_instances",
    "backfills": "backfills",
    "jobs": "jobs",
    "hitlDetails": "hitl_details",
    "assets": "assets",
    "datasets": "datasets",
}
BAD = 37


def make_row(number: int) -> dict[str, Any]:
    """A row that is one of every kind."""
    task = {"dag_id": f"d{number}", "dag_run_id": f"r{number}", "task_id": "t"}
    return {
        "task_instance": task,
        "name": f"n{number}", "slots": 1, "dag_id": f"d{number}", "dag_run_id": f"r{number}", "task_id": "t",
        "state": "running", "filename": f"f{number}.py", "warning_type": "w",
        "id": number, "import_error_id": number, "map_index": -1,
    }  # fmt: skip


class Airflow:
    """An Airflow with `count` rows in each list; a page with the row `bad` is answered with HTTP 500."""

    def __init__(self, version: str, count: int = 60, bad: int | None = BAD, *, cursors: bool = False) -> None:
        self.version = version
        self.count = count
        self.bad = bad
        self.cursors = cursors
        self.listed: list[Asked] = []

    def __call__(self, asked: Asked) -> Answer:
        api, _, name = asked.path.removeprefix("/api/").partition("/")
        if api != ("v1" if self.version.startswith("2") else "v2"):
            return Answer({"detail": "Not Found"}, 404)
        if name == "version":
            return Answer({"version": self.version})
        self.listed.append(asked)
        return self.list_rows(name.rpartition("/")[2], {key: values[0] for key, values in asked.query.items()})

    def list_rows(self, name: str, query: dict[str, str]) -> Answer:
        cursor = query.get("cursor") if self.cursors else None
        start = int(cursor or 0) if cursor is not None else int(query.get("offset", 0))
        numbers = range(self.count)[start : start + int(query["limit"])]
        if self.bad in numbers:
            return Answer({"detail": "inf is not an integer"}, 500)
        body = {KEYS[name]: [make_row(number) for number in numbers], "total_entries": self.count}
        if cursor is not None:
            body["next_cursor"] = str(numbers.stop) if numbers and numbers.stop < self.count else None
        return Answer(body)


LISTS: dict[str, Callable[[Any], Any]] = {
    "dags": read_dags,
    "pools": read_pools,
    "import errors": read_import_errors,
    "DAG warnings": read_dag_warnings,
    "assets": read_assets,
    "active runs": lambda airflow: airflow.dag_runs_active(),
    "ended runs": lambda airflow: airflow.dag_runs_ended(1_800_000_000.0),
    "newest runs": lambda airflow: airflow.dag_runs_recent("d", limit=50),
    "active task instances": lambda airflow: airflow.task_instances_active(),
}
LISTS_OF_2: dict[str, Callable[[Any], object]] = {
    "task instances of a run": lambda airflow: airflow.task_instances_ended_of_run("d", "r")
}
LISTS_OF_3: dict[str, Callable[[Any], object]] = {
    "ended task instances": lambda airflow: airflow.task_instances_ended(1_800_000_000.0),
    "task instances that ended in young runs": lambda airflow: airflow.task_instances_ended(
        1_800_000_000.0, due_since=1_799_999_000.0
    ),
    "backfills": lambda airflow: read_backfills(airflow, "d"),
    "jobs": read_jobs,
    "approvals": read_pending_approvals,
}
RELEASES = {"2.11.2": LISTS | LISTS_OF_2, "3.0.6": LISTS | LISTS_OF_3, "3.3.2": LISTS | LISTS_OF_3}
CASES = [(version, name) for version, lists in RELEASES.items() for name in lists]


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", (0.01, 0.02))


@pytest.fixture
def reach(tmp_path: Path) -> Iterator[Callable[[Stub], Any]]:
    """Connect to a stub; answers the Airflow."""
    (tmp_path / "token").write_text("t")
    clients: list[Client] = []

    def open_connection(stub: Stub) -> Any:
        connection = connect(AirflowSettings(url=stub.url, token_file=tmp_path / "token"))
        clients.append(connection.client)
        return connection.airflow

    yield open_connection
    for client in clients:
        client.close()


Reach = Callable[[Stub], Any]


def number_of(row: Any) -> int:
    """Which row it is, whatever its kind."""
    text = getattr(row, "file", "") or getattr(row, "name", "") or getattr(row, "dag_id", "") or str(row.id)
    return int("".join(filter(str.isdigit, text)))


@pytest.mark.parametrize(("version", "name"), CASES)
def test_one_row_that_is_not_served_costs_only_itself(version: str, name: str, reach: Reach) -> None:
    server = Airflow(version, cursors=version == "3.3.2")
    with serve(server) as stub:
        airflow = reach(stub)
        found = [number_of(row) for row in RELEASES[version][name](airflow)]
        expected = range(50) if name == "newest runs" else range(60)
        assert sorted(found) == [number for number in expected if number != BAD]
        assert sum(airflow.left_out.count().values()) == 1
        server.bad = None
        # What was passed over is asked for again after a while; a list that is in no order at once.
        airflow._gaps.clear()
        assert len(RELEASES[version][name](airflow)) == len(expected)
        assert sum(airflow.left_out.count().values()) == 0


@pytest.mark.parametrize(("version", "name"), CASES)
def test_the_next_walk_costs_little(version: str, name: str, reach: Reach) -> None:
    server = Airflow(version, cursors=version == "3.3.2")
    with serve(server) as stub:
        airflow = reach(stub)
        RELEASES[version][name](airflow)
        first = len(server.listed)
        server.listed.clear()
        RELEASES[version][name](airflow)
        ordered = name in ("dags", "pools", "DAG warnings", "active runs", "import errors", "backfills") or (
            name == "active task instances" and version != "2.11.2"
        )
        assert len(server.listed) <= (2 if ordered else first)
        assert first <= 24


def test_pools_of_3_0_with_one_that_is_unlimited_are_reported_by_place(
    reach: Reach, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="exporter")
    with serve(Airflow("3.0.6", count=3, bad=1)) as stub:
        airflow = reach(stub)
        for _ in range(3):
            assert [pool.name for pool in read_pools(airflow)] == ["n0", "n2"]
    assert airflow.left_out.count() == {"pools": 1}
    told = [record for record in caplog.records if "HTTP 500 for row 1 after n0 before n2" in record.getMessage()]
    assert [record.levelno for record in told] == [logging.WARNING, logging.DEBUG, logging.DEBUG]
    assert "inf is not an integer" in told[0].getMessage()


def test_a_list_of_dags_says_whether_it_is_complete(reach: Reach) -> None:
    server = Airflow("3.3.2")
    with serve(server) as stub:
        airflow = reach(stub)
        assert not read_dags(airflow).complete
        server.bad = None
        airflow._gaps.clear()
        assert read_dags(airflow).complete


def test_a_list_of_which_no_row_can_be_read_is_an_error(reach: Reach) -> None:
    with serve(Airflow("3.3.2", count=1, bad=0)) as stub, pytest.raises(ReaderError) as caught:
        read_pools(reach(stub))
    assert caught.value.reason == "server_error"


def test_a_dag_whose_only_backfill_is_not_served_costs_the_other_dags_nothing(reach: Reach) -> None:
    class OneBackfillEach(Airflow):
        def list_rows(self, name: str, query: dict[str, str]) -> Answer:
            self.bad = 0 if query["dag_id"] == "bad" else None
            return super().list_rows(name, query)

    state = AirflowState()
    state.backfilled = {("bad", "running"): 1, ("good", "running"): 2}
    with serve(OneBackfillEach("3.3.2", count=1)) as stub:
        reading = BackfillsReader(partial(read_backfills, reach(stub)), state, 60.0).read()
    assert BACKFILL_MAX_ACTIVE_RUNS in reading.tables
    assert reading.unanswered == ["bad: backfills: none of 1 rows could be read"]


def test_a_cursor_is_used_again_once_every_row_is_served(reach: Reach) -> None:
    server = Airflow("3.3.2", cursors=True)
    with serve(server) as stub:
        airflow = reach(stub)
        for _ in range(2):
            airflow.dag_runs_ended(1_800_000_000.0)
        assert "cursor" not in server.listed[-1].query
        server.bad = None
        for _ in range(2):
            assert len(airflow.dag_runs_ended(1_800_000_000.0)) == 60
        assert "cursor" in server.listed[-1].query


def test_of_the_newest_run_alone_the_next_one_is_taken_where_it_is_not_served(reach: Reach) -> None:
    with serve(Airflow("3.3.2", bad=0)) as stub:
        assert next(run.dag_id for run in reach(stub).dag_runs_recent("d", limit=1)) == "d1"


def test_a_list_that_is_read_no_more_counts_no_more_after_a_while() -> None:
    now = [0.0]
    left_out = LeftOut(lambda: now[0])
    left_out.record("dagRuns", "of d", 2)
    left_out.record("dagRuns", "of e", 1)
    left_out.record("pools", "", 0)
    assert left_out.count() == {"dagRuns": 3, "pools": 0}
    left_out.record("dagRuns", "of e", 0)
    assert left_out.count() == {"dagRuns": 2, "pools": 0}
    now[0] = MAX_AGE + 1
    assert left_out.count() == {"dagRuns": 0, "pools": 0}
