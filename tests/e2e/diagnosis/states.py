"""Small Airflows of chance: pools, DAGs with limits, runs and task instances, as the scheduler's judge reads them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from exporter.diagnosis.situation import Situation, TaskLimits

State = dict[str, Any]
ACTIVE = ("scheduled", "scheduled", "scheduled", "running", "queued", "deferred")


class TaskInstance(NamedTuple):
    """A row of the state, with what the diagnosis reads of it."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    state: str
    pool: str
    pool_slots: int
    priority_weight: int
    queue: str = "default"
    scheduled_when: float | None = None
    queued_when: float | None = None
    start_date: float | None = None
    end_date: float | None = None
    executor: str | None = None
    uuid: str | None = None
    operator: str = ""
    hostname: str = ""
    try_number: int = 1
    max_tries: int = 0
    trigger_class: str = ""
    trigger_created: float | None = None
    triggerer_id: int | None = None


class DagRun(NamedTuple):
    """A run of the state."""

    dag_id: str
    run_id: str
    state: str
    logical_date: float
    run_type: str = "manual"
    queued_at: float | None = None
    run_after: float | None = None
    start_date: float | None = None
    end_date: float | None = None


class Dag(NamedTuple):
    """A DAG of the state."""

    is_paused: bool
    max_active_tasks: int
    max_active_runs: int = 16
    is_stale: bool = False


class Pool(NamedTuple):
    """A pool of the state; what is in use is added up from the task instances."""

    name: str
    slots: int
    include_deferred: bool
    running_slots: int = 0
    queued_slots: int = 0
    deferred_slots: int = 0


def make_state(seed: int) -> State:
    """One Airflow with a few of everything; weights and dates differ, so that the scheduler's order is certain."""
    chance = random.Random(seed)
    pools = {
        name: {"slots": chance.choice([-1, 0, 1, 2, 3, 5, 8, 128]), "include_deferred": chance.random() < 0.3}
        for name in ("default_pool", "small", "other")[: chance.randint(1, 3)]
    }
    dags: dict[str, Any] = {}
    runs: list[dict[str, Any]] = []
    tasks: list[dict[str, Any]] = []
    weights = chance.sample(range(1, 100), 20)
    dates = chance.sample(range(1, 1_000), 12)
    for dag in range(chance.randint(1, 4)):
        dag_id = f"dag_{dag}"
        names = [f"task_{number}" for number in range(chance.randint(1, 5))]
        limits = {name: make_limits(chance) for name in names if chance.random() < 0.3}
        tasks_of_dag = {name: make_task(chance, list(pools), weights.pop()) for name in names}
        dags[dag_id] = {
            "is_paused": chance.random() < 0.1,
            "max_active_tasks": chance.choice([1, 2, 3, 4, 16]),
            "limits": limits,
        }
        for run in range(chance.randint(1, 3)):
            run_id = f"run_{run}"
            state = "running" if chance.random() < 0.9 else "queued"
            runs.append({"dag_id": dag_id, "run_id": run_id, "state": state, "date": dates.pop()})
            tasks += [
                {
                    "dag_id": dag_id,
                    "run_id": run_id,
                    "task_id": name,
                    "map_index": index,
                    "state": chance.choice(ACTIVE),
                    **tasks_of_dag[name],
                }
                for name in names
                for index in range(-1, chance.choice([0, 0, 0, 3]))
            ]
    used = sum(task["state"] in ("running", "queued") for task in tasks)
    parallelism = chance.choice([used, used + 1, used + 2, used + 500])
    return {
        "pools": pools,
        "dags": dags,
        "runs": runs,
        "tasks": tasks,
        "parallelism": parallelism,
        "slots": parallelism - used,
    }


def make_task(chance: random.Random, pools: list[str], weight: int) -> dict[str, Any]:
    """What all instances of a task have in common."""
    pool = chance.choice([*pools, "missing"]) if chance.random() < 0.4 else pools[0]
    return {"pool": pool, "pool_slots": chance.choice([1, 1, 1, 2, 4]), "priority_weight": weight}


def make_limits(chance: random.Random) -> dict[str, int]:
    """A limit of a task for all runs, for each run, or both."""
    limits = {"per_dag": chance.randint(1, 3), "per_run": chance.randint(1, 2)}
    return {name: value for name, value in limits.items() if chance.random() < 0.7}


def to_situation(state: Mapping[str, Any], release: tuple[int, ...]) -> Situation:
    """The state as the diagnosis gets it."""
    return Situation(
        now=0.0,
        release=release,
        tasks=[TaskInstance(**task) for task in state["tasks"]],
        runs=[DagRun(run["dag_id"], run["run_id"], run["state"], float(run["date"])) for run in state["runs"]],
        pools={name: Pool(name, **pool) for name, pool in state["pools"].items()},
        dags={name: Dag(dag["is_paused"], dag["max_active_tasks"]) for name, dag in state["dags"].items()},
        parallelism=state["parallelism"],
        executors=("TestExecutor",),
        task_limits={
            (dag_id, task_id): TaskLimits(**limits)
            for dag_id, dag in state["dags"].items()
            for task_id, limits in dag["limits"].items()
        },
    )
