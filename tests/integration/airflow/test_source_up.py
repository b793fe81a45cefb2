"""What makes the source count as down: supervisor, readers and client over a server that fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from exporter.collect.status import ReaderStatus, SourceStatus
from exporter.collect.supervisor import Supervisor
from exporter.config.settings import AirflowSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.airflow.http import client as client_module
from exporter.sources.airflow.source import LEDGER, AirflowSource
from exporter.sources.directory import Directory
from exporter.store.ledger import Ledger
from exporter.store.persistence.state_file import StateFile
from exporter.store.store import Store
from tests.integration.airflow.stub import Answer, Asked, Stub, serve
from tests.integration.airflow.test_protocol import airflow_3

INTERVAL = 30.0


class Clock:
    """The supervisor's: ahead of the client's, so that no deadline is near."""

    def __init__(self) -> None:
        self.now = time.monotonic() + 1e6

    def __call__(self) -> float:
        return self.now


class Bench(NamedTuple):
    stub: Stub
    supervisor: Supervisor
    clock: Clock

    def watch(self, cycles: int) -> list[bool]:
        """Whether the source is up, after each turn of the supervisor in some intervals."""
        seen = []
        for _ in range(cycles):
            self.clock.now += INTERVAL
            for _ in range(3):
                self.supervisor.run_due()
                seen.append(self.status().up)
        return seen

    def status(self) -> SourceStatus:
        return self.supervisor.status()

    def reader(self, name: str) -> ReaderStatus:
        return next(one for one in self.status().readers if one.name == name)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    """An Airflow that is up."""
    monkeypatch.setattr(client_module, "BACKOFF", (0.001, 0.002))
    (tmp_path / "token").write_text("t")
    with serve(airflow_3) as stub:
        names = ("health", "jobs", "dags", "runs", "tasks", "pools", "config", "import_errors", "dag_warnings")
        intervals = dict.fromkeys((*names, "backfills", "run_history"), INTERVAL)
        settings = AirflowSettings(url=stub.url, token_file=tmp_path / "token", interval=INTERVAL, intervals=intervals)
        state = StateFile()
        source = AirflowSource(settings, state, Directory())
        clock = Clock()
        bench = Bench(stub, Supervisor(source, Store(FAMILIES), Ledger(LEDGER), state, clock=clock), clock)
        assert bench.watch(1)[-1]
        yield bench
        source.close()


def failing(where: Callable[[Asked], bool], answer: Answer) -> Callable[[Asked], Answer]:
    return lambda asked: answer if where(asked) else airflow_3(asked)


@pytest.mark.parametrize("status", [404, 422, 500])
def test_a_dag_whose_runs_are_answered_with_an_error_does_not(status: int, bench: Bench) -> None:
    dag = "/dags/~/dagRuns"
    bench.stub.answer = failing(
        lambda asked: asked.path.endswith("/dagRuns") and not asked.path.endswith(dag), Answer({}, status)
    )
    assert all(bench.watch(3))


def test_a_list_that_fails_as_a_whole_does_not(bench: Bench) -> None:
    bench.stub.answer = failing(lambda asked: asked.path.endswith("/pools"), Answer({}, 500))
    assert all(bench.watch(2))
    assert bench.reader("pools").outcome == "server_error"


def test_health_that_is_not_answered_does_after_three_intervals(bench: Bench) -> None:
    bench.stub.answer = failing(lambda asked: asked.path.endswith("/health"), Answer({}, 500))
    seen = bench.watch(6)
    assert seen[0]
    assert not seen[-1]
    assert bench.reader("pools").outcome == "ok"
    bench.stub.answer = airflow_3
    assert bench.watch(2)[-1]


def test_credentials_that_are_refused_do_though_health_needs_none(bench: Bench) -> None:
    bench.stub.answer = failing(
        lambda asked: not asked.path.endswith(("/health", "/version")), Answer({"detail": "who?"}, 401)
    )
    assert not bench.watch(2)[-1]
    assert bench.reader("health").outcome == "ok"
    bench.stub.answer = airflow_3
    assert bench.watch(2)[-1]


def test_a_connection_that_fails_does(bench: Bench) -> None:
    bench.stub.answer = lambda asked: Answer({}, 502)
    assert not bench.watch(2)[-1]
