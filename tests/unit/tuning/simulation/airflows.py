"""A small Airflow, simulated with chance, and what the exporter would have written of it into its events file."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from datetime import UTC, datetime

from exporter.tuning.simulation.approximation import DagSeries, to_dags
from exporter.tuning.simulation.recorded import Recording, read_lines
from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.work import WAIT, Phase, Run, SimulatedTry

BEGIN = 1_700_000_000.0
DAY = 86_400.0
STEP = 60.0


def make_work(seed: int, hours: int = 12) -> list[SimulatedTry]:
    """Runs of three DAGs, each with two tasks, three that follow them in a pool, and a last one; some fail once."""
    chance, tries = random.Random(seed), list[SimulatedTry]()
    for minute in range(0, hours * 60, 5):
        for dag_id in ("north", "south", "west"):
            at = BEGIN + minute * 60 + chance.uniform(0, 60)
            run = Run(dag_id, f"{dag_id} {minute}", at, at, tail_seconds=0.5)
            first = [add(tries, chance, run, f"extract_{number}", 20) for number in range(2)]
            moved = [add(tries, chance, run, f"move_{number}", 60, *first, pool="forklifts") for number in range(3)]
            if chance.random() < 0.1:
                moved[0] = add(tries, chance, run, "move_0", 60, moved[0], pool="forklifts", delay=30)
            add(tries, chance, run, "report", 10, *moved, priority_weight=3)
    return tries


def add(
    tries: list[SimulatedTry],
    chance: random.Random,
    run: Run,
    task_id: str,
    mean: float,
    *after: int,
    pool: str = "default_pool",
    delay: float = 0.2,
    priority_weight: int = 1,
) -> int:
    """Add a try; its place."""
    phases = [Phase(WAIT, mean * chance.uniform(0.3, 1.7))]
    tries.append(
        SimulatedTry(run, task_id, phases, delay, after, pool=pool, priority_weight=priority_weight, queue="default")
    )
    return len(tries) - 1


def run_airflow(seed: int, settings: SimulatedSettings, hours: int = 12) -> Recording:
    """What is recorded of an Airflow with these settings."""
    tries = make_work(seed, hours)
    Simulation(settings, tries).run()
    return read_lines(write_lines(tries), 0, BEGIN + 10 * DAY)


def write_lines(tries: list[SimulatedTry]) -> list[bytes]:
    """The events file."""
    runs = {id(one.run): one.run for one in tries}.values()
    numbers: dict[tuple[str, str], int] = {}
    lines = []
    for one in tries:
        key = (one.run.run_id, one.task_id)
        numbers[key] = numbers.get(key, 0) + 1
        lines.append(
            {
                "event": "task_try",
                "time": format_time(one.ended_at),
                "dag_id": one.run.dag_id,
                "run_id": one.run.run_id,
                "task_id": one.task_id,
                "map_index": one.map_index,
                "try_number": numbers[key],
                "outcome": "success",
                "pool": one.pool,
                "pool_slots": one.pool_slots,
                "priority_weight": one.priority_weight,
                "queue": one.queue,
                "scheduled_seconds": one.queued_at - one.ready_at,
                "queued_seconds": one.started_at - one.queued_at,
                "run_seconds": one.ended_at - one.started_at,
                "operator": "PythonOperator",
            }
        )
    lines += [
        {
            "event": "dag_run",
            "time": format_time(run.ended_at),
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "queued_seconds": run.started_at - run.arrival,
            "run_seconds": run.ended_at - run.started_at,
            "due_to_end_seconds": run.ended_at - run.date,
        }
        for run in runs
    ]
    return [json.dumps(line).encode() for line in lines]


def read_series(tries: list[SimulatedTry]) -> list[DagSeries]:
    """What the exporter would have read every minute."""
    states: defaultdict[tuple[str, str, str, str], dict[float, float]] = defaultdict(dict)
    ended: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    seconds: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    moments = [BEGIN + STEP * number for number in range(int((tries[-1].ended_at - BEGIN) / STEP) + 30)]
    for one in tries:
        dag_id = one.run.dag_id
        read_at = BEGIN + STEP * -(-(one.ended_at - BEGIN) // STEP)
        ended[dag_id][read_at] += 1
        seconds[dag_id][read_at] += one.ended_at - one.started_at
        for moment in moments:
            if one.ready_at <= moment < one.ended_at:
                state = "scheduled" if moment < one.queued_at else "queued" if moment < one.started_at else "running"
                points = states[dag_id, one.pool, one.queue, state]
                points[moment] = points.get(moment, 0) + 1
    full = {dag_id: {moment: counts[moment] for moment in moments} for dag_id, counts in ended.items()}
    return to_dags(full, seconds, states)


def format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
