"""The simulation agrees with queueing theory where that has exact answers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from heapq import heappop, heappush

import pytest

from exporter.tuning.simulation.settings import MachineSize, QueueWorkers, SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import CPU, DATABASE, WAIT, Phase, Run, SimulatedTry

COUNT = 4_000
SERVERS = 4
LOAD = 0.7
"""Share of the servers that is busy."""


def make_poisson(
    rate: float, draw: Callable[[random.Random], float], resource: str = WAIT, seed: int = 1
) -> list[SimulatedTry]:
    """Tries that arrive at random times, each in a run of its own."""
    chance, now, tries = random.Random(seed), 0.0, []
    for number in range(COUNT):
        now += chance.expovariate(rate)
        tries.append(SimulatedTry(Run("a", str(number), now, date=now), "t", [Phase(resource, draw(chance))]))
    return tries


def draw_exponential(chance: random.Random) -> float:
    return chance.expovariate(1)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def compute_mmc_wait(rate: float, servers: int) -> float:
    """Erlang's C formula: the mean wait with exponential durations of mean 1."""
    busy = [rate**count / math.factorial(count) for count in range(servers)]
    queued = rate**servers / math.factorial(servers) * servers / (servers - rate)
    return queued / (sum(busy) + queued) / (servers - rate)


def compute_fifo_waits(tries: list[SimulatedTry], servers: int) -> list[float]:
    """The wait of each try at servers that take the first that came."""
    free, waits = [0.0] * servers, []
    for one in tries:
        start = max(one.run.arrival, heappop(free))
        heappush(free, start + one.alone_seconds)
        waits.append(start - one.run.arrival)
    return waits


@pytest.mark.parametrize(
    "settings",
    [
        SimulatedSettings(parallelism=SERVERS),
        SimulatedSettings(pools={"default_pool": SERVERS}),
        SimulatedSettings(max_active_tasks={"a": SERVERS}, counts_tasks_per_run=False),
        SimulatedSettings(max_active_tis={("a", "t"): SERVERS}),
        SimulatedSettings(max_active_runs={"a": SERVERS}),
        SimulatedSettings(default_workers=QueueWorkers(SERVERS / 2, (0, 0))),
        SimulatedSettings(is_local=True, parallelism=SERVERS, default_workers=QueueWorkers(SERVERS)),
    ],
    ids=["parallelism", "pool", "max_active_tasks", "max_active_tis", "max_active_runs", "workers", "local executor"],
)
def test_each_limit_alone_is_a_queue_with_that_many_servers(settings: SimulatedSettings) -> None:
    tries = make_poisson(LOAD * SERVERS, draw_exponential)
    Simulation(settings, tries).run()
    waits = [one.started_at - one.run.arrival for one in tries]
    assert waits == pytest.approx(compute_fifo_waits(tries, SERVERS))


def test_the_mean_wait_is_that_of_erlangs_formula() -> None:
    waits = []
    for seed in range(10):
        tries = make_poisson(LOAD * SERVERS, draw_exponential, seed=seed)
        Simulation(SimulatedSettings(parallelism=SERVERS), tries).run()
        waits += [one.wait_seconds for one in tries]
    assert mean(waits) == pytest.approx(compute_mmc_wait(LOAD * SERVERS, SERVERS), rel=0.1)


def test_constant_durations_wait_half_as_long_at_one_server() -> None:
    tries = make_poisson(LOAD, lambda _: 1.0)
    Simulation(SimulatedSettings(parallelism=1), tries).run()
    assert mean([one.wait_seconds for one in tries]) == pytest.approx(LOAD / 2 / (1 - LOAD), rel=0.1)


@pytest.mark.parametrize("resource", [CPU, DATABASE])
@pytest.mark.parametrize("draw", [draw_exponential, lambda _: 1.0], ids=["exponential", "constant"])
def test_processor_sharing_has_the_same_mean_for_every_distribution(
    draw: Callable[[random.Random], float], resource: str
) -> None:
    tries = make_poisson(LOAD, draw, resource)
    airflow = Simulation(SimulatedSettings(), tries, machines=[MachineSize(cores=1)], database_units=1)
    airflow.run()
    assert mean([one.ended_at - one.started_at for one in tries]) == pytest.approx(1 / (1 - LOAD), rel=0.15)
    done = airflow.machines.uses[0].cpu.done_seconds + airflow.machines.database.done_seconds
    assert done == pytest.approx(sum(one.alone_seconds for one in tries))


def test_as_many_tries_as_cores_do_not_slow_each_other_down() -> None:
    tries = [SimulatedTry(Run("a", str(number), 0), "t", [Phase(CPU, 10)]) for number in range(6)]
    Simulation(SimulatedSettings(), tries[:4], machines=[MachineSize(cores=4)]).run()
    assert [one.ended_at for one in tries[:4]] == [10] * 4
    for one in tries:
        one.phase, one.run.left = 0, 0
    Simulation(SimulatedSettings(), tries, machines=[MachineSize(cores=4)]).run()
    assert [one.ended_at for one in tries] == pytest.approx([15] * 6)


def test_machines_are_used_alike() -> None:
    tries = [SimulatedTry(Run("a", str(number), 0), "t", [Phase(CPU, 10), Phase(WAIT, 5)]) for number in range(6)]
    settings = SimulatedSettings(default_workers=QueueWorkers(3, (0, 1)))
    Simulation(settings, tries, machines=[MachineSize(cores=1), MachineSize(cores=1)]).run()
    assert sorted(one.machine for one in tries) == [0, 0, 0, 1, 1, 1]
    assert [one.ended_at for one in tries] == pytest.approx([35] * 6)


def test_too_much_memory_slows_down_all_of_a_machine() -> None:
    tries = [SimulatedTry(Run("a", str(number), 0), "t", [Phase(WAIT, 10)], memory=1e9) for number in range(3)]
    Simulation(SimulatedSettings(), tries, machines=[MachineSize(memory=2e9, paging_factor=2)]).run()
    assert [one.ended_at for one in tries] == pytest.approx([20] * 3)


def test_the_same_tries_have_the_same_times() -> None:
    first, second = make_poisson(3, draw_exponential, CPU), make_poisson(3, draw_exponential, CPU)
    for tries in (first, second):
        Simulation(SimulatedSettings(parallelism=6), tries, machines=[MachineSize(cores=4)]).run()
    assert [one.ended_at for one in first] == [one.ended_at for one in second]


def test_it_is_sampled_at_regular_times() -> None:
    tries = make_poisson(0.5, draw_exponential)[:100]
    seen: list[tuple[float, int]] = []
    Simulation(SimulatedSettings(), tries).run(lambda now, airflow: seen.append((now, len(airflow.running))), every=5)
    for now, running in seen:
        assert running == sum(one.started_at <= now < one.ended_at for one in tries)
    assert [now for now, _ in seen] == [seen[0][0] + 5 * number for number in range(len(seen))]
    assert seen[-1][0] >= max(one.ended_at for one in tries) - 5


def test_an_unknown_kind_of_work_is_refused() -> None:
    with pytest.raises(ValueError, match="needs cpu, database or wait, not 'disk'"):
        Simulation(SimulatedSettings(), [SimulatedTry(Run("a", "1", 0), "t", [Phase("disk", 1)])]).run()
