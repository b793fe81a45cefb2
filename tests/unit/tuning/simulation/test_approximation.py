"""Tries made from series: as many, and with nearly the same waits, as those that ran."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.tuning.simulation.approximation import DagSeries, approximate
from exporter.tuning.simulation.change import parse_change
from exporter.tuning.simulation.comparison import compare
from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import SimulatedTry
from tests.unit.tuning.simulation.airflows import make_work, read_series, run_airflow

REAL = SimulatedSettings(parallelism=16, pools={"forklifts": 3}, loop_seconds=1, start_seconds=0.7)


@pytest.fixture(scope="module")
def tries() -> list[SimulatedTry]:
    tries = make_work(1, hours=6)
    Simulation(REAL, tries).run()
    return tries


def test_as_many_tries_wait_nearly_as_long(tries: list[SimulatedTry]) -> None:
    recording = approximate(read_series(tries))
    assert not recording.exact
    assert len(recording.tries) == pytest.approx(len(tries), abs=10)
    for pool in ("forklifts", "default_pool"):
        really = sum(one.wait_seconds for one in tries if one.pool == pool)
        found = sum(one.wait_seconds or 0 for one in recording.tries if one.pool == pool)
        assert found == pytest.approx(really, rel=0.25, abs=2000)
    ran = sum(one.ended_at - one.started_at for one in recording.tries)
    assert ran == pytest.approx(sum(one.alone_seconds for one in tries), rel=0.02)


def test_a_larger_pool_has_nearly_the_waits_that_it_would_have_had(tries: list[SimulatedTry]) -> None:
    known = replace(REAL, loop_seconds=0, start_seconds=0)
    result = compare(approximate(read_series(tries)), [(0, known)], [parse_change("pool:forklifts=4")])
    assert result.refusal == ""
    really = sum(one.wait_seconds or 0 for one in run_airflow(1, replace(REAL, pools={"forklifts": 4}), hours=6).tries)
    assert result.scopes[0].after.seconds == pytest.approx(really, rel=0.3)


def test_a_dag_of_which_nothing_ended_has_no_tries() -> None:
    assert approximate([DagSeries("d", {0: 0, 60: 0}, {}, {"p": {0: 3, 60: 3}}, {})]).tries == []
    assert approximate([DagSeries("d", {}, {}, {}, {})]).tries == []


def test_tries_keep_their_pool_and_their_average_duration() -> None:
    ended = {0.0: 0.0, 60.0: 2.0, 120.0: 2.0, 180.0: 0.0}
    running = {"p": {0.0: 0.0, 60.0: 1.0, 120.0: 0.0, 180.0: 0.0}}
    found = approximate([DagSeries("d", ended, {60.0: 20.0, 120.0: 60.0}, {}, running)]).tries
    assert [(one.pool, one.ended_at - one.started_at) for one in found] == [("p", 20.0)] * 4
    assert [one.started_at for one in found] == [10, 30, 50, 90]
    assert {one.wait_seconds for one in found} == {0}
