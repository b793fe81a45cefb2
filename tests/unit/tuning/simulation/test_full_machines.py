"""What if on machines that are full: predicted waits and durations, beside those that the change really has.

WHAT_IF_SEEDS=9 python -m pytest tests/unit/tuning/simulation/test_full_machines.py
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import NamedTuple

import pytest

from exporter.tuning.simulation.change import parse_change
from exporter.tuning.simulation.comparison import ScopeResult, WhatIfResult, compare
from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.slowdown.fit import MachineFacts
from tests.unit.tuning.simulation.full_machines import POOL, get_mean_run, get_mean_wait, observe, record, run_machines

SEEDS = range(11, 11 + int(os.environ.get("WHAT_IF_SEEDS", "1")))
TOLERANCE = 0.2


class Case(NamedTuple):
    """A pool that gets another size, on machines with some cores."""

    share: float
    """Of the time of a task of the pool that it computes."""
    cores: float
    slots: int
    changed: int

    @property
    def settings(self) -> SimulatedSettings:
        """Those before the change."""
        return SimulatedSettings(parallelism=64, pools={POOL: self.slots}, loop_seconds=1, start_seconds=0.7)


LARGER = [Case(0.9, 4, 3, 8), Case(0.9, 2, 2, 4), Case(0.6, 4, 3, 8), Case(0.6, 2, 2, 4)]
"""More than the cores can do."""
SEEN = [Case(0.9, 4, 5, 8), Case(0.6, 4, 5, 8)]
"""The same, and at times the cores are full before the change."""
SMALLER = [Case(0.9, 4, 10, 4), Case(0.6, 4, 10, 4)]
"""Fewer, so that each of them takes less time."""


def ask(case: Case, seed: int, *, machines_are_seen: bool) -> tuple[WhatIfResult, ScopeResult, float, float]:
    """The answer; that for the pool; and how long its tries then really wait and run."""
    before = run_machines(seed, case.share, case.settings, case.cores)
    really = run_machines(seed, case.share, replace(case.settings, pools={POOL: case.changed}), case.cores)
    facts = observe(before, case.cores) if machines_are_seen else MachineFacts()
    known = replace(case.settings, loop_seconds=0, start_seconds=0)
    result = compare(record(before), [(0, known)], [parse_change(f"pool:{POOL}={case.changed}")], facts)
    assert result.refusal == ""
    return result, result.scopes[1], get_mean_wait(really), get_mean_run(really)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", [*LARGER, *SEEN, *SMALLER], ids=str)
def test_where_machines_are_seen_waits_and_durations_are_those_that_the_change_has(case: Case, seed: int) -> None:
    result, pool, wait, ran = ask(case, seed, machines_are_seen=True)
    assert pool.after.mean == pytest.approx(wait, rel=TOLERANCE)
    assert pool.after.mean_run == pytest.approx(ran, rel=TOLERANCE)
    assert pool.worst is None
    assert result.fitted is not None
    assert result.fitted.slowdown.capacity == pytest.approx(case.cores, rel=0.15)


@pytest.mark.parametrize("case", [*LARGER[:2], LARGER[3]], ids=str)
def test_durations_that_stay_would_have_been_a_wrong_answer(case: Case) -> None:
    """What the simulation said before it knew of cores: it is what the test above would find."""
    _, pool, wait, ran = ask(case, 11, machines_are_seen=False)
    assert min(pool.after.mean / wait, pool.after.mean_run / ran) < 1 - TOLERANCE


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", [*LARGER, *SEEN], ids=str)
def test_where_machines_are_not_seen_the_truth_lies_between_two_answers(case: Case, seed: int) -> None:
    _, pool, wait, _ = ask(case, seed, machines_are_seen=False)
    assert pool.worst is not None
    assert 0.95 * pool.after.mean <= wait <= 1.05 * pool.worst.mean


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("case", SMALLER, ids=str)
def test_where_durations_show_that_tries_hinder_each_other_the_machines_need_not_be_seen(case: Case, seed: int) -> None:
    result, pool, wait, ran = ask(case, seed, machines_are_seen=False)
    assert result.fitted is not None
    assert result.fitted.basis == "durations"
    assert pool.after.mean == pytest.approx(wait, rel=TOLERANCE)
    assert pool.after.mean_run == pytest.approx(ran, rel=TOLERANCE)


def test_tasks_that_only_wait_for_other_systems_keep_their_durations() -> None:
    case = Case(0.05, 4, 3, 8)
    _, pool, wait, ran = ask(case, 11, machines_are_seen=True)
    assert pool.after.mean == pytest.approx(wait, rel=0.05)
    assert pool.after.mean_run == pytest.approx(pool.before.mean_run, rel=0.01)
    assert pool.after.mean_run == pytest.approx(ran, rel=0.05)
