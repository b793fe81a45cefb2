"""The simulation queues tries as Airflow's scheduler does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from exporter.tuning.simulation.settings import QueueWorkers, SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import WAIT, Phase, Run, SimulatedTry


def make(run: Run, task_id: str = "t", seconds: float = 10, **fields: Any) -> SimulatedTry:
    return SimulatedTry(run, task_id, [Phase(WAIT, seconds)], **fields)


def make_run(name: str = "1", arrival: float = 0, dag_id: str = "a", **fields: Any) -> Run:
    return Run(dag_id, name, arrival, **fields)


def run(tries: list[SimulatedTry], settings: SimulatedSettings, **options: Any) -> list[float]:
    """Simulate; when each try starts."""
    Simulation(settings, tries, **options).run()
    return [one.started_at for one in tries]


def test_the_heavier_goes_first_then_the_older_run_then_the_lower_map_index() -> None:
    old, new = make_run("old", date=1), make_run("new", date=2)
    tries = [
        make(new, map_index=1),
        make(new, map_index=0),
        make(old, map_index=5),
        make(new, "heavy", priority_weight=9),
    ]
    assert run(tries, SimulatedSettings(parallelism=1)) == [30, 20, 10, 0]


def test_a_try_of_high_weight_in_a_full_pool_does_not_stop_others() -> None:
    one = make_run()
    tries = [make(one, priority_weight=9, pool="p"), make(one, priority_weight=8, pool="p"), make(one)]
    assert run(tries, SimulatedSettings(pools={"p": 1, "default_pool": 8}, max_tis_per_query=1, loop_seconds=1)) == [
        0,
        10,
        1,
    ]


def test_pool_slots_count_and_a_lighter_try_that_fits_goes_ahead() -> None:
    one = make_run()
    first = make(one, "first", priority_weight=3, pool="p")
    wide = make(one, "wide", priority_weight=2, pool="p", pool_slots=3)
    small = make(one, "small", priority_weight=1, pool="p", seconds=25)
    assert run([first, wide, small], SimulatedSettings(pools={"p": 3})) == [0, 25, 0]


def test_a_try_that_needs_more_slots_than_its_pool_has_never_starts() -> None:
    one = make_run()
    assert run([make(one, pool="p", pool_slots=3), make(one, pool="p")], SimulatedSettings(pools={"p": 2})) == [-1, 0]


def test_max_active_tasks_counts_a_run_in_airflow_3_and_a_dag_in_airflow_2() -> None:
    first, second = make_run("1", date=1), make_run("2", date=2)
    tries = [make(first), make(first), make(second), make(second)]
    settings = SimulatedSettings(max_active_tasks={"a": 1})
    assert run(tries, settings) == [0, 10, 0, 10]
    tries = [make(first), make(first), make(second), make(second)]
    first.left = second.left = 0
    assert run(tries, replace(settings, counts_tasks_per_run=False)) == [0, 10, 20, 30]


def test_max_active_tasks_of_a_run_stops_no_other_pool_of_it() -> None:
    one = make_run()
    held = [make(one, "held", pool="p", priority_weight=5, seconds=100) for _ in range(3)]
    free = [make(one, "free", priority_weight=1) for _ in range(3)]
    starts = run([*held, *free], SimulatedSettings(pools={"p": 1}, max_active_tasks={"a": 2}))
    assert starts[0] == 0, "the pool has room for one"
    assert starts[3:] == [0, 10, 20], "the others of its run have the other slot, one after the other"


def test_max_active_tis_holds_over_the_runs_of_a_dag() -> None:
    tries = [make(make_run("1", date=1)), make(make_run("2", date=2)), make(make_run("2", date=2), "other")]
    assert run(tries, SimulatedSettings(max_active_tis={("a", "t"): 1})) == [0, 10, 0]


def test_runs_wait_for_max_active_runs_until_a_run_has_ended_with_all_its_tasks() -> None:
    first, second = make_run("1", 0, tail_seconds=1), make_run("2", 2)
    tries = [make(first), make(first, "next", after=(0,), delay=3), make(second)]
    assert run(tries, SimulatedSettings(max_active_runs={"a": 1})) == [0, 13, 24]
    assert (first.ended_at, second.started_at) == (24, 24)


def test_a_try_is_ready_when_all_that_it_follows_have_ended() -> None:
    one = make_run()
    tries = [make(one, seconds=5), make(one, seconds=20), make(one, "last", after=(0, 1), delay=2)]
    assert run(tries, SimulatedSettings()) == [0, 0, 22]
    assert tries[2].ready_at == 22


def test_one_look_of_the_scheduler_queues_max_tis_per_query_at_most() -> None:
    one = make_run()
    starts = run([make(one, seconds=1000) for _ in range(40)], SimulatedSettings(loop_seconds=2))
    assert starts == [0] * 16 + [2] * 16 + [4] * 8
    assert (
        run([make(make_run(), seconds=9) for _ in range(40)], SimulatedSettings(loop_seconds=2, max_tis_per_query=0))
        == [0] * 40
    )


def test_the_scheduler_looks_at_fixed_times() -> None:
    assert run([make(make_run("1", 3.2)), make(make_run("2", 3.9))], SimulatedSettings(loop_seconds=1)) == [4, 4]


def test_the_local_executor_of_airflow_3_takes_all_and_starts_first_in_first_out() -> None:
    early, late = make_run("1", 0), make_run("2", 5)
    tries = [make(early), make(early), make(late, priority_weight=99)]
    settings = SimulatedSettings(parallelism=1, default_workers=QueueWorkers(1))
    assert run(tries, settings) == [0, 20, 10], "other executors: the heavier one goes first"
    early.left = late.left = 0
    tries = [make(early), make(early), make(late, priority_weight=99)]
    assert run(tries, replace(settings, is_local=True)) == [0, 10, 20]
    assert [one.queued_at for one in tries] == [0, 0, 5]


def test_each_queue_has_its_workers() -> None:
    one = make_run()
    tries = [make(one, queue="slow"), make(one, queue="slow"), make(one), make(one)]
    settings = SimulatedSettings(workers={"slow": QueueWorkers(1)}, start_seconds=1)
    assert run(tries, settings) == [1, 12, 1, 1]


def test_a_queue_without_workers_starts_nothing() -> None:
    tries = [make(make_run(), queue="nobody")]
    assert run(tries, SimulatedSettings(workers={"nobody": QueueWorkers(1, ())})) == [-1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SimulatedSettings(pools={"default_pool": 1}), SimulatedSettings(pools={"default_pool": 9})),
        (SimulatedSettings(parallelism=1), SimulatedSettings(parallelism=math.inf)),
        (SimulatedSettings(max_active_tasks={"a": 1}), SimulatedSettings(max_active_tasks={"a": 9})),
        (SimulatedSettings(default_workers=QueueWorkers(1)), SimulatedSettings(default_workers=QueueWorkers(9))),
    ],
    ids=["pool", "parallelism", "max_active_tasks", "worker_concurrency"],
)
def test_a_setting_that_is_changed_holds_from_then_on(before: SimulatedSettings, after: SimulatedSettings) -> None:
    one = make_run()
    assert run([make(one, map_index=index) for index in range(4)], before, changes=[(15, after)]) == [0, 10, 15, 15]


def test_a_changed_max_active_runs_starts_waiting_runs() -> None:
    tries = [make(make_run(str(number), date=number)) for number in range(4)]
    settings = SimulatedSettings(max_active_runs={"a": 1})
    assert run(tries, settings, changes=[(15, SimulatedSettings())]) == [0, 10, 15, 15]


def test_limits_hold_at_every_moment() -> None:
    """Many tries of several pools, DAGs and runs under all limits at once."""
    runs = [make_run(str(number), number * 3, dag_id=f"d{number % 3}", date=number) for number in range(30)]
    tries = [
        make(run, f"t{place % 4}", 1 + place % 7, pool=f"p{place % 2}", pool_slots=1 + place % 2, map_index=place)
        for run in runs
        for place in range(12)
    ]
    settings = SimulatedSettings(
        parallelism=9,
        pools={"p0": 5, "p1": 7},
        max_active_tasks={"d0": 2, "d1": 3},
        max_active_runs={"d2": 2},
        max_active_tis={("d1", "t1"): 1},
        loop_seconds=0.5,
    )

    def check(_: float, airflow: Simulation) -> None:
        active = [one for one in tries if one.queued_at >= 0 > one.ended_at]
        assert len(active) <= settings.parallelism
        for pool, slots in settings.pools.items():
            assert sum(one.pool_slots for one in active if one.pool == pool) <= slots
        for run in runs:
            limit = settings.max_active_tasks.get(run.dag_id, math.inf)
            assert sum(one.run is run for one in active) <= limit
        assert sum((one.run.dag_id, one.task_id) == ("d1", "t1") for one in active) <= 1
        assert sum(run.dag_id == "d2" and run.started_at >= 0 > run.ended_at for run in runs) <= 2

    Simulation(settings, tries).run(check, every=0.25)
    assert all(one.ended_at > 0 for one in tries)
