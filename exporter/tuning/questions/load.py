"""What the question of parallelism works with: the load, its limit, and the target."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from statistics import mean
from typing import NamedTuple

from exporter.tuning.advice import Confidence, format_bytes, format_number
from exporter.tuning.capacity import Capacity, Room
from exporter.tuning.knee import KneeEstimate
from exporter.tuning.queries import EXECUTOR, RUNNING, SCHEDULERS, SLOTS, WAITED, WORKER_SLOTS
from exporter.tuning.series import DAY, AirflowHistory, add_up

REASONS = ("parallelism", "workers_full")
"""What tasks wait for when too few may run at once."""
WORTH = 1.2
"""A limit is changed by at least a fifth."""
MIN_FULL_MOMENTS = 3
"""Moments with full slots from which the share of a slot's time in which it runs nothing is known."""
NEAR = 1.5
"""The share is that of limits under which, on average, at most this many times fewer or more tasks ran than is best."""


class TaskLoad(NamedTuple):
    """What is known of the load and its limit."""

    seen: AirflowHistory
    running: Mapping[float, float]
    limit: float | None
    """Tasks that may run at once; None where it is not known or unlimited."""
    held_seconds: float
    """For how long of the observed time the limit was what it is now."""
    waited: float
    """Seconds that tasks waited for slots in this time."""
    knee: KneeEstimate | None
    capacity: Capacity

    @property
    def days(self) -> float:
        """Days for which the limit was what it is now."""
        return self.held_seconds / DAY

    @property
    def highest(self) -> float:
        """Most tasks at once, over five minutes."""
        return max(self.running.values(), default=0.0)


class LoadTarget(NamedTuple):
    """How many tasks should run at once."""

    tasks: float
    least: float
    most: float
    basis: str
    """What it was found by, as a clause."""
    confidence: Confidence
    reason: str
    slots_per_task: float = 1.0

    @property
    def slots(self) -> float:
        """Slots with which that many tasks run."""
        return self.tasks * self.slots_per_task


def get_limit(seen: AirflowHistory) -> float | None:
    """Tasks that may run at once: parallelism, or the slots of all workers if these are fewer; None where not known."""
    return None if lacks_workers(seen) else get_ceiling(seen)


def get_ceiling(seen: AirflowHistory) -> float | None:
    """The lowest of these limits that are known; None where none is, or where they are unlimited."""
    limits = [seen.get_last(SLOTS) or math.inf]
    if is_celery(seen):
        limits.append(sum(seen.by(WORKER_SLOTS, "worker").values()) or math.inf)
    limit = min(limits)
    return limit if math.isfinite(limit) else None


def lacks_workers(seen: AirflowHistory) -> bool:
    """Whether Celery's workers limit tasks, and are not known."""
    return is_celery(seen) and not seen.list(WORKER_SLOTS)


def measure_slots_per_task(seen: AirflowHistory, tasks: float) -> float:
    """Slots that a running task takes where that many run: more than 1, as a slot runs nothing while a task starts or
    ends in it. Known from moments at which as many tasks waited for slots as there are; else taken to be 1.
    """
    running, slots = seen.get(RUNNING), seen.get(SLOTS)
    most = get_limit(seen) if is_celery(seen) else None
    waiting = add_up(one for one in seen.list(WAITED) if one.labels.get("reason") in REASONS)
    under: defaultdict[float, list[float]] = defaultdict(list)
    for moment, count in waiting.items():
        if moment in running and count >= slots.get(moment, math.inf):
            under[min(slots[moment], most or math.inf)].append(running[moment])
    near = {
        limit: counts
        for limit, counts in under.items()
        if len(counts) >= MIN_FULL_MOMENTS and tasks / NEAR <= mean(counts) <= tasks * NEAR
    }
    taken = sum(limit * len(counts) for limit, counts in near.items())
    return max(1.0, taken / sum(map(sum, near.values()))) if near else 1.0


def is_celery(seen: AirflowHistory) -> bool:
    """Whether tasks run in Celery's workers."""
    return any("Celery" in series.labels.get("executor", "") for series in seen.list(EXECUTOR))


def describe_room(room: Room) -> str:
    """One resource as a clause."""
    show = format_bytes if room.resource == "memory" else lambda value: f"{value:.2f} CPUs"
    return (
        f"by {room.resource} ({show(room.per_task)} for a running task, {show(room.available)} of {show(room.total)} "
        f"available to tasks) {format_number(room.tasks)} tasks"
    )


def name_setting(seen: AirflowHistory) -> str:
    """The setting that decides how many tasks run at once."""
    if is_celery(seen):
        return "[celery] worker_concurrency of all workers together"
    together = " of all schedulers together" if count_schedulers(seen) > 1 else ""
    return f"[core] parallelism{together}"


def count_schedulers(seen: AirflowHistory) -> int:
    """Live schedulers; 1 where that is not known."""
    return max(1, round(seen.get_last(SCHEDULERS) or 1))
