"""Weeks of series as the rules record them, written as OpenMetrics: an invented Airflow whose best settings are known.

Four cores carry eight tasks that use half a core each. Every night a burst of tasks fills the 16 slots of parallelism;
by day a few tasks run, and those of pool `narrow`, which has two slots, wait for it.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator

STEP = 300
CORES, USE, SLOTS, MEMORY = 4.0, 0.5, 16, 64 * 1024.0**3
DAY = 86_400
DUE = "airflow:dag_runs_due:count1m"
Sample = tuple[str, dict[str, str], float]


def get_load(moment: int, chance: random.Random) -> tuple[float, float]:
    """Running tasks and those that wait for a slot."""
    hour = moment % DAY / 3600
    if 1 <= hour < 4:
        return SLOTS * chance.uniform(0.9, 1.0), 40 * (4 - hour) / 3
    return min(SLOTS, 1 + 9 * chance.random() ** 2), 0.0


def make_samples(moment: int, chance: random.Random) -> Iterator[Sample]:
    """Everything that is recorded at one moment."""
    running, waiting = get_load(moment, chance)
    wanted = running * USE
    slow = max(1.0, wanted / CORES)
    work = running / slow
    one = {"airflow": "demo"}
    yield "airflow:running_tasks:mean5m", one, running
    yield "airflow:waiting_tasks:mean5m", one, waiting
    yield "airflow:task_work_seconds:rate5m", one, max(0.01, work * chance.gauss(1, 0.25))
    yield "airflow:task_stretch:ratio5m", one, slow * max(0.6, chance.gauss(1, 0.1))
    yield "airflow:task_tries:rate5m", one, work / 60
    yield "airflow:parallelism_slots:max", one, SLOTS
    yield "airflow:waited_seconds:rate5m", {**one, "reason": "parallelism"}, waiting
    yield "airflow:api_request_seconds:quantile5m", {**one, "quantile": "0.95"}, 0.05
    yield from make_machine({**one, "instance": "worker-1"}, running, min(CORES, wanted))
    yield from make_pool(one, moment)
    yield from make_quarter(one, moment)


def make_machine(labels: dict[str, str], running: float, cpus: float) -> Iterator[Sample]:
    """The only machine."""
    memory = running * 512 * 1024.0**2
    yield "airflow_host:task_cpu_seconds:rate5m", labels, cpus
    yield "airflow_host:task_memory_bytes:mean5m", labels, memory
    yield "airflow_host:cpu_used:ratio_rate5m", labels, min(1.0, cpus / CORES + 0.01)
    yield "airflow_host:memory_used:ratio", labels, 0.1 + memory / MEMORY
    yield "airflow_host:pressure_waiting:ratio_rate5m", {**labels, "resource": "cpu"}, 0.5 if cpus >= CORES else 0.0
    yield "airflow_host_cpus", labels, CORES
    yield "airflow_host_memory_bytes", {**labels, "state": "used"}, MEMORY / 2
    yield "airflow_host_memory_bytes", {**labels, "state": "free"}, MEMORY / 2


def make_pool(one: dict[str, str], moment: int) -> Iterator[Sample]:
    """Two slots, of which four are wanted for two hours in the afternoon."""
    busy = 14 <= moment % DAY / 3600 < 16
    yield "airflow_pool:slots:max", {**one, "pool": "narrow"}, 2
    yield "airflow_pool:occupied_slots:sum", {**one, "pool": "narrow"}, 2 if busy else 1
    yield "airflow_pool:wanted_slots:sum", {**one, "pool": "narrow"}, 4 if busy else 1
    if busy:
        yield "airflow_object:waited_seconds:rate5m", {**one, "reason": "pool", "object": "narrow"}, 2


def make_quarter(one: dict[str, str], moment: int) -> Iterator[Sample]:
    """What is recorded every 15 minutes."""
    if moment % 900:
        return
    for error_class, retried, recovered in (("code", 1, 0.0), ("network", 2, 1.9)):
        labels = {**one, "dag_id": "etl", "error_class": error_class}
        yield "airflow_dag:task_tries_retried_by_class:increase15m", labels, retried
        yield "airflow_dag:task_tries_recovered_by_class:increase15m", labels, recovered
        yield "airflow_dag:retry_delay_seconds_by_class:increase15m", labels, 60 * retried


def make_due(moment: int) -> Iterator[str]:
    """Twelve runs due at noon, counted by rules that are evaluated at second 37 of each minute; then it ends."""
    if moment % DAY == DAY // 2:
        yield from (f'{DUE}{{airflow="demo"}} {value} {moment + after}' for value, after in ((12, -23), ("NaN", 37)))


def write(end: int, days: int) -> str:
    """The exposition of these days up to `end`."""
    chance = random.Random(days)
    lines: dict[str, list[str]] = defaultdict(list)
    for moment in range(math.ceil((end - days * DAY) / STEP) * STEP, end + 1, STEP):
        for name, labels, value in make_samples(moment, chance):
            inner = ",".join(f'{key}="{text}"' for key, text in labels.items())
            lines[name].append(f"{name}{{{inner}}} {value} {moment}")
        lines[DUE] += make_due(moment)
    parts = [f"# TYPE {name} gauge\n" + "\n".join(found) for name, found in lines.items()]
    return "\n".join(parts) + "\n# EOF\n"
