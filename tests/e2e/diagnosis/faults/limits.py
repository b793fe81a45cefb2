"""Faults of limits: pools, max_active_…, parallelism, workers; and who crowds out whom."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.e2e.diagnosis.faults.fault import make_fault
from tests.e2e.diagnosis.faults.play import Play

CANNOT = "AirflowTasksCannotStart"
NO_WORKER = "AirflowTasksCannotStart AirflowCeleryQueueWithoutWorker"
FULL_POOL = "AirflowTasksWaitingForPool"
DAG = "AirflowTasksWaitingForDagLimit"
ALL_SLOTS = "AirflowTasksWaitingForParallelism"
FULL_WORKERS = "AirflowTasksWaitingForWorker"
READING_SECONDS = 6.0
"""Until what was begun is scheduled, and has been read by the exporter."""
OLD_TASK_SECONDS = 30
"""How long a task of the first run of `pushy` holds its slot."""


def starting(*dag_ids: str) -> Callable[[Play], None]:
    """A fault that begins with one run of each of these DAGs."""

    def begin(play: Play) -> None:
        play.start(*dag_ids)

    return begin


def begin_full_pool(play: Play) -> None:
    """One task holds the pool, three wait."""
    play.start("pool_holder")
    play.wait_tasks("pool_holder", "running")
    play.start("pool_waiter")


def starve(play: Play) -> None:
    """A light task waits for a slot; a heavy one that comes later gets it."""
    play.start("pushy", conf={"seconds": OLD_TASK_SECONDS})
    play.wait_tasks("pushy", "running")
    play.start("humble")
    play.wait_tasks("humble", "scheduled")
    time.sleep(READING_SECONDS)
    play.start("pushy")
    play.wait_tasks("pushy", "success")
    play.wait_tasks("pushy", "running")


def start_many(dag_id: str, count: int = 3) -> Callable[[Play], None]:
    """A fault that begins with several runs of a DAG."""

    def begin(play: Play) -> None:
        play.start(*[dag_id] * count)

    return begin


def wait_for_runs(dag_id: str) -> Callable[[Play], None]:
    """A fault that another one begins: there are queued runs of the DAG."""
    return lambda play: play.wait_runs(dag_id, "queued")


def pause_midway(play: Play) -> None:
    """A DAG is paused while one task runs and two are scheduled."""
    play.start("paused_midway")
    play.wait_tasks("paused_midway", "running")
    play.wait_tasks("paused_midway", "scheduled", 2)
    play.pause("paused_midway")


def crowd_out(play: Play) -> None:
    """Forty old days of one DAG hold the pool of a daily report."""
    play.pause("catches_up", False)
    play.wait_tasks("catches_up", "running", 2)
    play.start("daily_report")


def crowd_behind_sensors(play: Play) -> None:
    """Sensors hold three of four slots, and eight tasks want the last one."""
    play.wait_tasks("poking_sensors", "running", 3)
    play.start("crowd")


LIMITS = (
    make_fault("pool_slots above the pool", "pool_too_small", "tiny", "pool_slots", starting("asks_too_much"), CANNOT),
    make_fault("a pool that is missing", "pool_missing", "nowhere", "create", starting("asks_for_no_pool"), CANNOT),
    make_fault("a pool with 0 slots", "pool_without_slots", "closed", "slots", starting("asks_a_closed_pool"), CANNOT),
    make_fault("a full pool", "pool", "narrow pool_holder", "slots", begin_full_pool, FULL_POOL),
    make_fault("starvation by priority", "priority", "contested", "priority_weight", starve, FULL_POOL),
    make_fault("max_active_tasks", "max_active_tasks", "few_at_once", "max_active_tasks", starting("few_at_once"), DAG),
    make_fault("max_active_tis", "max_active_tis", "one_instance.hold_0", "max_active_tis", start_many("one_instance")),
    make_fault("max_active_runs", "max_active_runs", "one_run", "max_active_runs", start_many("one_run")),
    make_fault("a DAG paused midway", "dag_paused", "paused_midway", "unpause", pause_midway, None),
    make_fault("catch-up crowds out a daily DAG", "pool priority", "shared catches_up", "slots", crowd_out, FULL_POOL),
    make_fault("two at once: pool", "pool", "both twice_held", "slots", start_many("twice_held"), FULL_POOL),
    make_fault("two at once: runs", "max_active_runs", "twice_held", "max_active_runs", wait_for_runs("twice_held")),
)
PARALLELISM = (
    make_fault("poking sensors in most slots", "polls", "poking_sensors", "reschedule", starting("poking_sensors")),
    make_fault("parallelism", "parallelism", "LocalExecutor", "parallelism", crowd_behind_sensors, ALL_SLOTS),
)
WORKERS = (
    make_fault("a queue without worker", "no_worker", "gpu", "worker", starting("no_such_queue"), NO_WORKER),
    make_fault("full workers", "workers_full", "default", "worker_concurrency", starting("full_workers"), FULL_WORKERS),
)
