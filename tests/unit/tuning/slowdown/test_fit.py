"""What the machines can do, found in durations, in recorded stretch, or by their CPUs."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from exporter.tuning.knee import LoadBin
from exporter.tuning.simulation.recorded import RecordedTry
from exporter.tuning.slowdown.fit import MachineFacts, fit_bins, fit_slowdown
from exporter.tuning.slowdown.model import FULL, Slowdown
from exporter.tuning.slowdown.observed import get_highest_demand, measure_work


def make_try(started_at: float, ended_at: float, dag_id: str = "d") -> RecordedTry:
    return RecordedTry(dag_id, "r", "t", -1, 1, started_at, started_at, ended_at, "p", 1, 1, "q", 0.0)


def test_what_a_try_would_take_alone_is_what_it_got_done() -> None:
    """One core: the first runs alone for 10 s, then shares it with the second for 20 s; that one is then alone."""
    work = measure_work([make_try(0, 30), make_try(10, 35)], Slowdown(1))
    assert work.seconds == pytest.approx([20, 15])
    assert work.factors == pytest.approx([1, 2]), "what starts beside another one starts slowly"


def test_tries_that_want_nothing_took_what_they_would_have_taken() -> None:
    work = measure_work(
        [make_try(0, 30, "sensor"), make_try(10, 35), make_try(10, 35)], Slowdown(1, None, {"sensor": 0})
    )
    assert work.seconds == pytest.approx([30, 12.5, 12.5])


def test_moments_do_not_make_the_highest_demand() -> None:
    tries = [make_try(0, 1000), make_try(10, 990), make_try(500, 501)]
    assert get_highest_demand(tries, Slowdown()) == 3
    assert get_highest_demand(tries, Slowdown(), 0.995) == 2
    assert get_highest_demand([], Slowdown()) == 0


def run_bursts(cores: float, sizes: Sequence[int], count: int = 60) -> list[RecordedTry]:
    """Bursts of equal tries that share the cores until they end together."""
    chance, tries, now = random.Random(1), [], 0.0
    for number in range(count):
        size = sizes[number % len(sizes)]
        seconds = 20 * chance.uniform(0.8, 1.2) * max(1, size / cores)
        tries += [make_try(now, now + seconds) for _ in range(size)]
        now += 300
    return tries


def test_cores_are_found_where_the_same_tasks_took_longer_while_more_ran() -> None:
    found = fit_slowdown(run_bursts(4, (1, 3, 6, 9)), MachineFacts())
    assert (found.basis, found.demand) == ("durations", 9)
    assert found.slowdown.capacity == pytest.approx(4, rel=0.1)


def test_no_limit_is_found_where_durations_do_not_depend_on_what_runs() -> None:
    found = fit_slowdown(run_bursts(100, (1, 3, 6, 9)), MachineFacts())
    assert (found.basis, found.slowdown.capacity, found.demand) == ("", math.inf, 9)


def test_cpus_count_where_durations_show_nothing_because_it_was_always_as_full() -> None:
    found = fit_slowdown(run_bursts(4, (3,)), MachineFacts(4, {"d": 20}))
    assert (found.basis, found.slowdown.capacity, found.slowdown.levels) == ("cpus", 4, {"d": FULL})


def test_cpus_that_durations_refute_are_not_believed() -> None:
    """Two CPUs are seen, and tasks do not hinder each other up to nine: others run on machines that are not seen."""
    found = fit_slowdown(run_bursts(100, (1, 3, 6, 9)), MachineFacts(2, {"d": 20}))
    assert found.slowdown.capacity == 9


def test_recorded_stretch_counts_where_tries_are_only_known_on_average() -> None:
    bins = [LoadBin(12, running, running, max(1, running / 5)) for running in (1, 2, 4, 6, 8, 10)]
    found = fit_bins(bins)
    assert (found.basis, found.demand) == ("stretch", 10)
    assert found.slowdown.capacity == pytest.approx(5, rel=0.05)
    flat = fit_bins([one._replace(stretch=1.0) for one in bins])
    assert (flat.basis, flat.slowdown.capacity) == ("", math.inf)
    assert fit_bins([]).basis == ""
    assert fit_slowdown([], MachineFacts()).basis == ""
