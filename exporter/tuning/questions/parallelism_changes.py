"""Recommendations to let more or fewer tasks run at once."""

from __future__ import annotations

import math

from exporter.tuning.advice import Recommendation, Savings, format_hours, format_number
from exporter.tuning.knee import GOOD_ENOUGH
from exporter.tuning.queries import (
    CPU_PER_TASK,
    HOST_CPU,
    RUNNING,
    STRETCH,
    TASK_MEMORY,
    WAITED,
    WORK,
    WORKER_CONCURRENCY,
    WORKER_SLOTS,
)
from exporter.tuning.query import STEP
from exporter.tuning.questions.load import (
    REASONS,
    WORTH,
    LoadTarget,
    TaskLoad,
    count_schedulers,
    describe_room,
    is_celery,
    name_setting,
)
from exporter.tuning.questions.surroundings import describe_surroundings
from exporter.tuning.series import HOUR, AirflowHistory

WORTH_SAYING = 1.05
"""Slots that a running task takes, from which on the advice says so."""
SAME_WORK = 0.97
"""Share of the present throughput from which on it is the same."""


def recommend_more(load: TaskLoad, limit: float, target: LoadTarget) -> Recommendation:
    """More tasks at once."""
    value = max(round(target.slots), math.ceil(limit) + 1)
    share = 1 - limit / value
    savings = Savings.of_seconds(0.5 * share * load.waited, min(1.0, 1.5 * share) * load.waited)
    return Recommendation(
        title=f"Let {value} tasks run at once instead of {limit:.0f}",
        setting=name_setting(load.seen),
        object="this Airflow",
        current=f"{limit:.0f}",
        value=str(value),
        seen=[describe_waits(load), *describe(load, target)],
        change=describe_change(load.seen, value, limit),
        effect=f"saves {savings} of waiting for slots",
        savings=savings,
        counter_check="CPU, memory and the metadata database must have room: " + describe_surroundings(load.seen),
        risk="Where tasks share a database or a service, these get more load at once: protect them with pools.",
        confidence=target.confidence,
        reason=target.reason,
        queries=load.seen.show(RUNNING, WAITED, WORK, STRETCH, CPU_PER_TASK, TASK_MEMORY),
    )


def recommend_less(load: TaskLoad, limit: float, target: LoadTarget) -> Recommendation:
    """Fewer tasks at once."""
    value = choose_fewer(load, target)
    tasks = value / target.slots_per_task
    lost = count_lost_seconds(load, tasks)
    savings = Savings.of_seconds(0.5 * lost, 1.2 * lost)
    return Recommendation(
        title=f"Let {value} tasks run at once instead of {limit:.0f}",
        setting=name_setting(load.seen),
        object="this Airflow",
        current=f"{limit:.0f}",
        value=str(value),
        seen=[*describe(load, target), *describe_stretch(load, tasks)],
        change=describe_change(load.seen, value, limit),
        effect=describe_less(load, tasks, savings),
        savings=savings,
        counter_check="Tasks that wait for something outside (sensors in mode poke, long queries) hold slots and do "
        "not use the machine: make them reschedule or deferrable first.",
        risk="Tasks wait as queued instead of sharing the machine: give urgent DAGs a higher priority_weight.",
        confidence=target.confidence,
        reason=target.reason,
        queries=load.seen.show(RUNNING, WORK, STRETCH, HOST_CPU),
    )


def choose_fewer(load: TaskLoad, target: LoadTarget) -> int:
    """The target as a whole number: the next one where the nearest would get notably less done."""
    value = max(1, round(target.slots))
    if load.knee is None:
        return value
    curve = load.knee.curve
    is_enough = curve.get_throughput(value / target.slots_per_task) >= GOOD_ENOUGH * curve.get_highest(load.highest)
    return value if is_enough else value + 1


def count_lost_seconds(load: TaskLoad, tasks: float) -> float:
    """Task seconds lost because throughput was lower than with that number of tasks."""
    if load.knee is None:
        return 0.0
    curve = load.knee.curve
    best = curve.get_throughput(tasks)
    above = (running for running in load.running.values() if running > tasks)
    return sum(running * max(0.0, 1 - curve.get_throughput(running) / best) for running in above) * STEP


def describe_less(load: TaskLoad, tasks: float, savings: Savings) -> str:
    """What fewer tasks at once bring."""
    if load.knee is None:
        return "the same work is done per second, and each task takes less time"
    curve = load.knee.curve
    now, then = curve.get_stretch(load.highest), curve.get_stretch(tasks)
    kept = curve.get_throughput(tasks) / curve.get_throughput(load.highest)
    gain = "the same work is done per second" if kept >= SAME_WORK else f"{kept:.0%} of the work is done per second"
    gain = f"saves {savings} of task time" if savings.most >= 0.05 else gain
    return f"{gain}; at the busiest times a task takes {then:.1f} times its unloaded duration, now {now:.1f} times"


def describe_waits(load: TaskLoad) -> str:
    """How long tasks waited for slots."""
    return (
        f"tasks waited {format_hours(load.waited / HOUR)} for a free slot ({', '.join(REASONS)}), "
        f"in {format_number(load.days)} days"
    )


def describe_stretch(load: TaskLoad, tasks: float) -> list[str]:
    """How much longer tasks take above the best concurrency."""
    above = [one for one in load.knee.bins if one.running >= WORTH * tasks] if load.knee else []
    if not above:
        return []
    hours = sum(one.points for one in above) * STEP / HOUR
    top = above[-1]
    text = f"for {format_hours(hours)} at least {format_number(above[0].running)} tasks ran at once; with "
    return [f"{text}{format_number(top.running)} they take {top.stretch:.1f} times as long as where little else runs"]


def describe(load: TaskLoad, target: LoadTarget) -> list[str]:
    """The basis of the target, and what a task uses."""
    rooms = [describe_room(room) + " fit" for room in load.capacity.rooms]
    slots, tasks = format_number(target.slots), format_number(target.tasks)
    starts = f"a slot runs nothing while a task starts or ends in it: {slots} slots run {tasks} tasks"
    return [
        target.basis,
        f"at most {format_number(load.highest)} tasks ran at once (mean of five minutes)",
        *(text for text in rooms if not target.basis.startswith(text)),
        *([starts] if target.slots_per_task >= WORTH_SAYING else []),
    ]


def describe_change(seen: AirflowHistory, value: int, limit: float) -> str:
    """What to set, for this executor."""
    steps = " Go there in steps of at most twice the present value, a day apart." if value > 2 * limit else ""
    if is_celery(seen):
        workers = len(seen.by(WORKER_SLOTS, "worker")) or 1
        present = seen.get_last(WORKER_CONCURRENCY)
        now = f" (now {present:.0f})" if present else ""
        each = max(1, round(value / workers))
        return (
            f"Set [celery] worker_concurrency to {each}{now} on each of {workers} workers, or {each} as the upper "
            f"limit of worker_autoscale; [core] parallelism must be at least {value}.{steps}"
        )
    schedulers = count_schedulers(seen)
    several = f" on each of {schedulers} schedulers" if schedulers > 1 else ""
    return f"Set [core] parallelism to {max(1, round(value / schedulers))}{several}.{steps}"
