"""The best number of tasks of a mix: the theory agrees with known cases, and the simulation with the theory."""

from __future__ import annotations

import math

import pytest

from exporter.tuning.simulation.settings import MachineSize, SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import Run, SimulatedTry
from tests.e2e.advise.mixes import KINDS, STATES, list_phases, make_mix
from tests.e2e.advise.throughput import Station, compute_throughput

NO_STATION = Station(0.0, 1.0)


def test_tasks_that_only_wait_do_not_disturb_each_other() -> None:
    assert compute_throughput(7, (NO_STATION,), 1.0, 1.0) == pytest.approx(7)


def test_tasks_that_only_compute_get_the_cores() -> None:
    values = [compute_throughput(number, (Station(1.0, 4.0),), 0.0, 1.0) for number in (2, 4, 9)]
    assert values == pytest.approx([2, 4, 4])


def test_one_server_and_thinking_is_the_machine_repair_model() -> None:
    """Its throughput is known: the server is idle with the probability that Erlang's B formula gives."""
    number, demand, waiting = 6, 0.25, 0.75
    load = waiting / demand
    lost = (load**number / math.factorial(number)) / sum(load**k / math.factorial(k) for k in range(number + 1))
    found = compute_throughput(number, (Station(demand, 1.0),), waiting, 1.0)
    assert found == pytest.approx((1 - lost) / demand)


def test_a_machine_that_pages_does_less() -> None:
    assert compute_throughput(8, (Station(0.5, 4.0),), 0.5, 2.0) == pytest.approx(
        compute_throughput(8, (Station(0.5, 4.0),), 0.5, 1.0) / 2
    )


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_the_simulation_does_as_much_as_theory_says(kind: int) -> None:
    """With one machine that is always full, at half and at twice the best number of tasks, and at it."""
    mix = next(mix for mix in map(make_mix, range(kind, 100, 5)) if len(mix.machines) == 1)
    for share in (0.5, 1.0, 2.0):
        slots = max(1, round(share * mix.optimum))
        tries = [
            SimulatedTry(Run(task.dag_id, str(number), 0), "work", list_phases(task, 1.0), memory=task.memory)
            for number in range(10 * slots // len(mix.tasks) + 1)
            for task in mix.tasks
        ]
        simulation = Simulation(SimulatedSettings(parallelism=slots), tries, mix.machines, mix.database_units)
        simulation.run()
        count = len(tries) - slots  # Without the end, at which fewer and fewer tasks run.
        done = count / simulation.ended[count].ended_at * sum(task.alone for task in mix.tasks) / len(mix.tasks)
        assert done == pytest.approx(mix.throughputs[slots], rel=0.12)


def test_seeds_make_all_kinds_in_all_states_and_always_the_same() -> None:
    mixes = [make_mix(seed) for seed in range(25)]
    assert {mix.kind for mix in mixes[:5]} == set(KINDS)
    assert {mix.state for mix in mixes} == set(STATES)
    assert mixes == [make_mix(seed) for seed in range(25)]
    assert {len(mix.machines) for mix in mixes} == {1, 2, 3}


@pytest.mark.parametrize("seed", range(25))
def test_the_best_number_is_the_lowest_with_nine_tenths_of_the_most(seed: int) -> None:
    mix = make_mix(seed)
    best = mix.optimum / len(mix.machines)
    most = max(mix.throughputs)
    assert mix.throughputs[math.ceil(best)] >= 0.9 * most > mix.throughputs[math.ceil(best) - 1]
    assert 0.8 <= mix.optimum / mix.sized_for <= 1.25
    if mix.state in ("too high", "changed"):
        assert mix.slots >= 1.5 * mix.optimum
    if mix.state == "right":
        assert mix.slots == pytest.approx(mix.optimum, rel=0.1)


def test_only_a_full_machine_pages() -> None:
    mix = next(mix for mix in map(make_mix, range(2, 100, 5)) if len(mix.machines) == 1)
    [machine] = mix.machines
    assert isinstance(machine, MachineSize)
    assert mix.get_slowdown(machine.memory) == 1
    assert mix.get_slowdown(1.5 * machine.memory) == 1 + machine.paging_factor / 2
