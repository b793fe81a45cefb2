"""Airflows whose machines are full at times: tasks that compute, in a pool, beside others that wait."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict

from exporter.tuning.simulation.recorded import Recording, read_lines
from exporter.tuning.simulation.settings import MachineSize, SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import CPU, WAIT, Phase, Run, SimulatedTry
from exporter.tuning.slowdown.fit import MachineFacts
from tests.unit.tuning.simulation.airflows import BEGIN, DAY, write_lines

POOL = "burners"
SECONDS = 40.0
MINUTES = 4
"""Between runs."""
PHASES = 4


def make_tries(seed: int, share: float, hours: int = 6) -> list[SimulatedTry]:
    """Mapped tasks of three DAGs, more of them in the middle of the time. Two compute for a share of their time."""
    chance, tries = random.Random(seed), list[SimulatedTry]()
    for minute in range(0, hours * 60, MINUTES):
        level = 0.3 + 0.7 * (0.5 - 0.5 * math.cos(2 * math.pi * minute / (hours * 60)))
        for dag_id, own, pool in (("burn", share, POOL), ("bake", share, POOL), ("fetch", 0.05, "default_pool")):
            at = BEGIN + minute * 60 + chance.uniform(0, 120)
            run = Run(dag_id, f"{dag_id} {minute}", at, at, tail_seconds=0.5)
            for number in range(max(1, round(6 * level * chance.uniform(0.5, 1.5)))):
                phases = list_phases(SECONDS * chance.uniform(0.5, 1.5), own)
                tries.append(SimulatedTry(run, "work", phases, 0.2, map_index=number, pool=pool, queue="default"))
    return tries


def list_phases(seconds: float, share: float) -> list[Phase]:
    """Waiting and computing by turns."""
    needs = ((WAIT, seconds * (1 - share)), (CPU, seconds * share))
    return [Phase(kind, need / PHASES) for _ in range(PHASES) for kind, need in needs]


def run_machines(
    seed: int, share: float, settings: SimulatedSettings, cores: float, machines: int = 1
) -> list[SimulatedTry]:
    """What ran with these settings."""
    tries = make_tries(seed, share)
    Simulation(settings, tries, [MachineSize(cores / machines)] * machines).run()
    return tries


def record(tries: list[SimulatedTry]) -> Recording:
    """What is recorded of it."""
    return read_lines(write_lines(tries), 0, BEGIN + 10 * DAY)


def observe(tries: list[SimulatedTry], cores: float) -> MachineFacts:
    """What the exporter on the machines shows: the CPUs, and what an average try of each DAG uses."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for one in tries:
        seconds[one.run.dag_id] += sum(phase.seconds for phase in one.phases if phase.resource == CPU)
    counts = Counter(one.run.dag_id for one in tries)
    return MachineFacts(cores, {dag_id: total / counts[dag_id] for dag_id, total in seconds.items()})


def get_mean_wait(tries: list[SimulatedTry]) -> float:
    """Of the tries of the pool."""
    waits = [one.wait_seconds for one in tries if one.pool == POOL]
    return sum(waits) / len(waits)


def get_mean_run(tries: list[SimulatedTry]) -> float:
    """How long the tries of the pool ran."""
    ran = [one.ended_at - one.started_at for one in tries if one.pool == POOL]
    return sum(ran) / len(ran)
