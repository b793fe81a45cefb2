"""Mixes of work with a known best number of tasks at once, made from a seed.

A try needs some seconds of CPU, of waiting and of the database. How many are done per second with N at once follows
from queueing theory (throughput.py). The best N is the lowest one with nine tenths of the highest throughput: more
tasks at once then only make each of them slower.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from exporter.tuning.simulation.settings import MachineSize, QueueWorkers, SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import CPU, DATABASE, WAIT, Phase, Run, SimulatedTry
from tests.e2e.advise.throughput import Station, compute_throughput

GIB = 2.0**30
HOUR = 3600.0
KINDS = ("cpu", "io", "memory", "database", "mixed")
"""What limits a mix. In `mixed` it is the CPU, and the other needs are of the same size."""
STATES = ("too high", "changed", "too low", "right", "idle")
"""How the setting is at the end of the window, or that nothing binds."""
SHARES = {
    "too high": (1.8, 2.6),
    "changed": (1.8, 2.6),
    "too low": (0.35, 0.55),
    "right": (1.0, 1.0),
    "idle": (1.0, 1.5),
}
"""The setting over the best number."""
PEAKS = {"idle": 0.35}
"""The load of the busiest hour over what could be done; 1.25 where it is not given here."""
GOOD_ENOUGH = 0.9
MOST = 3.0
"""Up to so many times the number that a mix is sized for, the highest throughput is looked for."""
CYCLES = 3
"""A try goes this often through CPU, waiting and database."""


@dataclass(frozen=True, slots=True)
class TaskKind:
    """What the tries of one task need on average, in seconds and bytes."""

    dag_id: str
    cpu: float
    wait: float
    database: float
    memory: float

    @property
    def alone(self) -> float:
        """How long a try takes alone."""
        return self.cpu + self.wait + self.database


@dataclass(frozen=True)
class Mix:
    """An Airflow with its load."""

    seed: int
    kind: str
    state: str
    tasks: Sequence[TaskKind]
    """Each as frequent as the others."""
    machines: Sequence[MachineSize]
    database_units: float
    sized_for: float
    """The number of tasks at once that the narrowest resource has room for, without any chance."""
    slots: float = 0.0
    """Tasks that may run at once, over all machines, at the end."""

    @property
    def name(self) -> str:
        """The label `airflow`."""
        return f"mix-{self.seed}"

    @cached_property
    def throughputs(self) -> list[float]:
        """For each number of tasks at once on a machine, from 0: how many of them seem to run undisturbed."""
        share = 1 / len(self.machines)
        alone = sum(task.alone for task in self.tasks)
        memory = sum(task.memory * task.alone for task in self.tasks) / alone
        cpu, database = (sum(getattr(task, name) for task in self.tasks) / alone for name in ("cpu", "database"))
        machine = Station(cpu, self.machines[0].cores), Station(database, self.database_units * share)
        most = round(MOST * self.sized_for * share)
        return [
            compute_throughput(number, machine, 1 - cpu - database, self.get_slowdown(number * memory))
            for number in range(most + 1)
        ]

    def get_slowdown(self, memory: float) -> float:
        """How many times as long everything takes on a machine on which so much memory is wanted."""
        machine = self.machines[0]
        return 1 + machine.paging_factor * max(0.0, memory / machine.memory - 1)

    @cached_property
    def optimum(self) -> float:
        """The best number of tasks at once."""
        wanted = GOOD_ENOUGH * max(self.throughputs)
        above = next(number for number, value in enumerate(self.throughputs) if value >= wanted)
        low, high = self.throughputs[above - 1 : above + 1]
        return len(self.machines) * (above - 1 + (wanted - low) / (high - low))

    @property
    def most_per_second(self) -> float:
        """Tries that can be done per second with the setting at the end."""
        done = max(self.throughputs[: round(self.slots / len(self.machines)) + 1]) * len(self.machines)
        return done * len(self.tasks) / sum(task.alone for task in self.tasks)

    @property
    def best_slots(self) -> float:
        """The best setting: the best number of tasks, as a whole number on each machine."""
        return max(1, round(self.optimum / len(self.machines))) * len(self.machines)

    def get_settings(self, slots: float) -> SimulatedSettings:
        """The settings with so many tasks at once: one Celery worker a machine, or one LocalExecutor."""
        count = len(self.machines)
        workers = QueueWorkers(slots / count, range(count))
        parallelism = slots if count == 1 else 2 * slots
        return SimulatedSettings(parallelism=parallelism, is_local=count == 1, default_workers=workers, loop_seconds=1)

    def list_changes(self, begin: float, hours: float) -> list[tuple[float, float]]:
        """The slots, with the times from which they held."""
        if self.state != "changed":
            return [(-math.inf, self.slots)]
        low, right = scale(self.best_slots, 0.5, len(self.machines)), self.best_slots
        return [(-math.inf, low), (begin + hours * HOUR / 4, right), (begin + hours * HOUR / 2, self.slots)]


def make_mix(seed: int) -> Mix:
    """The mix of a seed. Five seeds in a row are of all kinds, and 25 of all kinds in all states."""
    chance = random.Random(seed)
    kind, state = KINDS[seed % 5], STATES[(seed // 5 + seed) % 5]
    count = chance.choice((1, 1, 2, 3))
    best = chance.uniform(8, 16 if count > 1 else 30) * count
    tasks = [make_task(kind, f"dag_{number}", chance) for number in range(5)]
    machines, units = size_machines(kind, tasks, best, count)
    mix = Mix(seed, kind, state, tasks, machines, units, best)
    slots = mix.best_slots if state == "right" else scale(mix.optimum, chance.uniform(*SHARES[state]), count)
    return replace(mix, slots=slots)


def make_task(kind: str, dag_id: str, chance: random.Random) -> TaskKind:
    """A task whose needs fit the kind."""
    seconds = chance.uniform(40, 120)
    cpu, wait, database = {
        "cpu": (0.7, 0.25, 0.05),
        "io": (0.08, 0.87, 0.05),
        "memory": (0.2, 0.75, 0.05),
        "database": (0.2, 0.4, 0.4),
        "mixed": (0.35, 0.35, 0.3),
    }[kind]
    cpu, wait, database = (share * chance.uniform(0.7, 1.3) for share in (cpu, wait, database))
    each = seconds / (cpu + wait + database)
    memory = GIB * chance.uniform(0.7, 1.5) if kind == "memory" else GIB * chance.uniform(0.1, 0.3)
    return TaskKind(dag_id, each * cpu, each * wait, each * database, memory)


def size_machines(kind: str, tasks: Sequence[TaskKind], best: float, count: int) -> tuple[Sequence[MachineSize], float]:
    """Machines and a database with which the best number of tasks is this one; the other resources have room."""
    alone = sum(task.alone for task in tasks)
    room = 3.0
    """By how much the resources that do not limit are larger."""
    cores = best * sum(task.cpu for task in tasks) / alone / count
    memory = best * sum(task.memory * task.alone for task in tasks) / alone / count
    units = best * sum(task.database for task in tasks) / alone
    machine = MachineSize(
        cores=cores if kind in ("cpu", "io", "mixed") else room * cores,
        memory=memory if kind == "memory" else room * memory,
        paging_factor=6,
    )
    return [machine] * count, units if kind == "database" else room * units


def scale(slots: float, share: float, machines: int) -> float:
    """Another number of slots, a whole one on each machine."""
    return max(1, round(slots * share / machines)) * machines


def make_tries(mix: Mix, begin: float, hours: int) -> Iterator[SimulatedTry]:
    """Tries that come at random, most of them in the middle of the time, as by day and by night."""
    chance, now, number = random.Random(mix.seed), begin, 0
    peak = PEAKS.get(mix.state, 1.25)
    while now < begin + hours * HOUR:
        day = 0.5 - 0.5 * math.cos(2 * math.pi * (now - begin) / (hours * HOUR))
        level = peak * (0.1 + 0.9 * day**1.5)
        now += chance.expovariate(level * mix.most_per_second)
        task = mix.tasks[chance.randrange(len(mix.tasks))]
        phases = list_phases(task, chance.lognormvariate(-0.045, 0.3))
        number += 1
        yield SimulatedTry(Run(task.dag_id, str(number), now, now), "work", phases, memory=task.memory)


def list_phases(task: TaskKind, size: float) -> list[Phase]:
    """The work of a try that needs so much more than the average one."""
    needs = ((WAIT, task.wait), (CPU, task.cpu), (DATABASE, task.database))
    return [Phase(resource, need * size / CYCLES) for _ in range(CYCLES) for resource, need in needs]


def build_simulation(mix: Mix, begin: float, hours: int) -> Simulation:
    """The simulation of a mix."""
    changes = [(at, mix.get_settings(slots)) for at, slots in mix.list_changes(begin, hours)]
    tries = list(make_tries(mix, begin, hours))
    return Simulation(changes[0][1], tries, mix.machines, mix.database_units, changes[1:])
