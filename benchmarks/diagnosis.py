"""What the diagnosis of waiting tasks costs: `python -m benchmarks.diagnosis [--quick]`.

An Airflow 3.3 with 2,000 DAGs has 20,000 active task instances, eight in ten of them scheduled, in 50 pools. All, half
or none of the pools are full. The goal is 50 ms of CPU for the reasons; findings and metrics come on top.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable

from exporter.diagnosis.findings import NOTHING_MORE, build_findings
from exporter.diagnosis.situation import Situation
from exporter.diagnosis.waits.waiting import explain
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.readers.waits import wait_tables

GOAL_MS = 50.0
STATES = ("scheduled",) * 8 + ("running", "queued")
POOLS = 50
FULL_SLOTS, FREE_SLOTS = 50, 100_000


def make_situation(task_instances: int, dags: int, full: float) -> Situation:
    """One reading; `full` is the share of pools that have far fewer slots than task instances."""
    chance = random.Random(1)
    found = {f"dag_{n}": Dag(dag_id=f"dag_{n}", max_active_tasks=16, max_active_runs=16) for n in range(dags)}
    runs = [
        DagRun(dag_id=dag_id, run_id=f"run_{n}", state="running", logical_date=chance.random() * 1e6)
        for dag_id in found
        for n in range(2)
    ]
    slots = [FULL_SLOTS if chance.random() < full else FREE_SLOTS for _ in range(POOLS)]
    rows = []
    for number in range(task_instances):
        run = chance.choice(runs)
        rows.append(
            TaskInstance(
                dag_id=run.dag_id,
                run_id=run.run_id,
                task_id=f"task_{number % 20}",
                state=chance.choice(STATES),
                pool=f"pool_{chance.randrange(POOLS)}",
                priority_weight=chance.randrange(30),
                queue="default",
                scheduled_when=float(number),
            )
        )
    return Situation(
        now=1e6,
        release=(3, 3, 2),
        tasks=rows,
        runs=runs,
        pools={f"pool_{n}": Pool(name=f"pool_{n}", slots=count) for n, count in enumerate(slots)},
        dags=found,
        parallelism=6_000.0,
        executors=("CeleryExecutor",),
    )


def measure(work: Callable[[], object], rounds: int) -> float:
    """The CPU milliseconds of the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best * 1_000


def main() -> None:
    """Print a table, and whether the goal is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.diagnosis", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2,000 task instances, two rounds: does it work at all")
    quick = parser.parse_args().quick
    count, rounds = (2_000, 2) if quick else (20_000, 9)
    print("| task instances | full pools | reasons | with findings and metrics | goal for reasons |")
    print("| ---: | ---: | ---: | ---: | --- |")
    for full in (1.0, 0.5, 0.0):
        situation = make_situation(count, count // 10, full)

        def publish(situation: Situation = situation) -> object:
            waiting = explain(situation)
            return wait_tables(waiting, build_findings(situation, waiting), NOTHING_MORE)

        reasons = measure(lambda situation=situation: explain(situation), rounds)  # type: ignore[misc]
        verdict = "met" if reasons <= GOAL_MS else "MISSED"
        print(f"| {count:,} | {full:.0%} | {reasons:.0f} ms | {measure(publish, rounds):.0f} ms | {verdict} |")


if __name__ == "__main__":
    main()
