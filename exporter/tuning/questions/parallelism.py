"""How many tasks should run at once: parallelism, and the slots of workers."""

from __future__ import annotations

import math

from exporter.tuning.advice import (
    Answer,
    Confidence,
    Recommendation,
    Shortfall,
    format_hours,
    format_number,
)
from exporter.tuning.capacity import Room, measure_capacity
from exporter.tuning.knee import MIN_BINS, KneeEstimate, collect_bins, collect_blocks, estimate_knee, join_series
from exporter.tuning.queries import (
    RUNNING,
    SLOTS,
    STRETCH,
    TASK_MEMORY,
    WAITED,
    WORK,
    WORKER_SLOTS,
)
from exporter.tuning.questions.load import (
    REASONS,
    WORTH,
    LoadTarget,
    TaskLoad,
    describe_room,
    get_limit,
    lacks_workers,
    measure_slots_per_task,
)
from exporter.tuning.questions.parallelism_changes import recommend_less, recommend_more
from exporter.tuning.questions.parallelism_charts import draw_load
from exporter.tuning.questions.raising import LACK_WAITS
from exporter.tuning.questions.surroundings import describe_slowdown, explain_queues, find_binding
from exporter.tuning.series import DAY, HOUR, AirflowHistory, find_present, integrate

QUESTION, TITLE = "parallelism", "How many tasks should run at once?"
NOTHING = "Nothing to change"
MIN_OBSERVED = HOUR
MIN_WAITED_PER_DAY = 0.25 * HOUR
"""Seconds that tasks wait for slots in a day, below which more slots are not worth a change."""
MIN_SHARE_ABOVE = 0.02
"""Share of the time with running tasks in which more ran than is best."""
MANY_DAYS = 3 * DAY
SURE, AGREEING = 0.8, 1.5
MAX_BLIND_STEP = 2.0
"""The most that the limit is multiplied by where nothing is known of the database."""
DATABASE_UNSEEN = "run the exporter with --collector.host on its machine too, or look at it before the next step"


def answer(seen: AirflowHistory) -> Answer:
    """The answer for a window."""
    load = observe(seen)
    if seen.observed_seconds < MIN_OBSERVED:
        return Answer(QUESTION, TITLE, missing=[lack_time(load)])
    target = find_target(load)
    charts = draw_load(load.knee, load.limit, None if target is None else target.tasks)
    if load.limit is None:
        return Answer(QUESTION, TITLE, nothing=describe_best(target), missing=[lack_limit(seen)], charts=charts)
    if target is None:
        return Answer(QUESTION, TITLE, nothing=explain_nothing(load), missing=list_missing(load), charts=charts)
    found = judge(load, load.limit, target)
    if found is not None:
        return Answer(QUESTION, TITLE, [found], charts=charts)
    nothing, missing = explain_queues(seen) or explain_nothing(load, target), [] if seen.list(WAITED) else [LACK_WAITS]
    if load.knee is None and is_too_many(load, load.limit, target):
        nothing = nothing.replace(NOTHING, "No advice", 1)
        missing.append(lack_levels(load))
    return Answer(QUESTION, TITLE, nothing=nothing, missing=missing, charts=charts)


def observe(seen: AirflowHistory) -> TaskLoad:
    """Read the observations."""
    running, slots = seen.get(RUNNING), seen.get(SLOTS)
    held = seen.during(find_present(slots)) if slots else seen
    waited = sum(integrate(held.get(WAITED, reason=reason)) for reason in REASONS)
    knee = estimate_knee(join_series(running, seen.get(WORK), seen.get(STRETCH)))
    return TaskLoad(seen, running, get_limit(seen), held.observed_seconds, waited, knee, measure_capacity(seen))


def find_target(load: TaskLoad) -> LoadTarget | None:
    """The best number of tasks, from the curve where more was seen, else from the room on the machines."""
    room = load.capacity.narrowest
    knee = load.knee
    if knee is not None and knee.is_seen:
        return find_seen_target(load, knee, room)
    if room is None:
        return None
    if knee is not None and room.tasks < knee.best / WORTH:
        return None  # More tasks than that ran, and none took longer: the room is not what limits them.
    reason = "more tasks at once than now were hardly seen: it follows from what a task uses"
    tasks = room.tasks
    each = measure_slots_per_task(load.seen, min(tasks, load.highest))
    if not load.capacity.shared and load.limit is not None and each * tasks > MAX_BLIND_STEP * load.limit:
        tasks = MAX_BLIND_STEP * load.limit / each
        reason += (
            f". Not more than {MAX_BLIND_STEP:.0f} times the present number, because what the database has room for is "
            f"not known: {DATABASE_UNSEEN}"
        )
    return LoadTarget(
        tasks,
        0.7 * tasks,
        1.2 * tasks,
        f"{describe_room(room)} fit{'' if knee else ', and too few levels of concurrency were seen for a curve'}",
        Confidence.MEDIUM if load.seen.observed_seconds >= MANY_DAYS and knee else Confidence.LOW,
        reason,
        each,
    )


def find_seen_target(load: TaskLoad, knee: KneeEstimate, room: Room | None) -> LoadTarget:
    """From the curve; how sure it is depends on the draws, the days and the room.

    A knee that is round is hard to place, and what a task uses says nothing of tasks that hinder each other: where both
    agree, the answer lies between them.
    """
    basis = (
        f"throughput is as good as it gets from {format_number(knee.best)} running tasks on "
        f"(90 % range {format_number(knee.least)} to {format_number(knee.most)})"
    )
    tasks, doubts = knee.best, []
    if load.seen.observed_seconds < MANY_DAYS:
        doubts.append(f"only {format_hours(load.seen.observed_seconds / HOUR)} were observed")
    if knee.sureness < SURE:
        doubts.append(f"only {100 * knee.sureness:.0f} % of the draws see a knee at all")
    if room is None:
        doubts.append("the machines were not seen")
    elif agrees(knee, room):
        tasks = math.sqrt(knee.best * room.tasks)
        basis += (
            f"; by {room.resource} {format_number(room.tasks)} fit, and the middle of both is {format_number(tasks)}"
        )
    else:
        doubts.append(
            f"by {room.resource} alone {format_number(room.tasks)} tasks would fit, so something else limits them"
        )
    confidence = Confidence(max(1, 3 - len(doubts)))
    reason = "; ".join(doubts) or "the curve and the room on the machines agree"
    each = measure_slots_per_task(load.seen, min(tasks, load.highest))
    return LoadTarget(tasks, min(knee.least, tasks), max(knee.most, tasks), basis, confidence, reason, each)


def agrees(knee: KneeEstimate, room: Room) -> bool:
    """Whether the curve and the room say about the same: the less sure the curve is, the more is that."""
    least, most = min(knee.best / AGREEING, knee.least / WORTH), max(knee.best * AGREEING, knee.most * WORTH)
    return least <= room.tasks <= most


def judge(load: TaskLoad, limit: float, target: LoadTarget) -> Recommendation | None:
    """The change that the target asks for; None where the limit is right or does not bind."""
    waits = load.waited >= MIN_WAITED_PER_DAY * load.days and not explain_queues(load.seen)
    if target.slots >= WORTH * limit and waits and not is_slowed(load):
        return recommend_more(load, limit, target)
    if is_too_many(load, limit, target) and load.knee is not None:
        return recommend_less(load, limit, target)
    return None


def is_too_many(load: TaskLoad, limit: float, target: LoadTarget) -> bool:
    """Whether notably more tasks may run, and did, than is best."""
    return target.slots <= limit / WORTH and is_above(load, target)


def is_slowed(load: TaskLoad) -> bool:
    """Whether the database or the API server is short already, where no curve shows that more tasks get more done."""
    return not (load.knee is not None and load.knee.is_seen) and bool(describe_slowdown(load.seen))


def is_above(load: TaskLoad, target: LoadTarget) -> bool:
    """Whether notably more tasks ran than is best, often enough."""
    active = [value for value in load.running.values() if value >= 1]
    above = [value for value in active if value >= WORTH * target.tasks]
    return len(above) >= max(MIN_SHARE_ABOVE * len(active), 3)


def explain_nothing(load: TaskLoad, target: LoadTarget | None = None) -> str:
    """Why the limit stays."""
    binding = find_binding(load.seen)
    binds = f" What tasks wait for most is {binding}." if binding else " Tasks wait for no limit worth mention."
    best = f" {describe_best(target)}" if target else ""
    limit = "" if load.limit is None else f" The limit is {load.limit:.0f}."
    slowdown = describe_slowdown(load.seen)
    if slowdown and load.waited:
        binds += f" More tasks at once would not help before the database has room: {slowdown}."
    waited = f", and they waited {format_hours(load.waited / HOUR)} for a slot" if load.seen.list(WAITED) else ""
    if load.held_seconds < load.seen.observed_seconds:
        waited += f" in {format_hours(load.held_seconds / HOUR)} with the present limit"
    highest = format_number(load.highest)
    return f"{NOTHING}: at most {highest} tasks ran at once{waited}.{limit}{best}{binds}"


def lack_levels(load: TaskLoad) -> Shortfall:
    """Too few levels of concurrency for a curve."""
    points = join_series(load.running, load.seen.get(WORK), load.seen.get(STRETCH))
    levels = len(collect_bins(collect_blocks(points)))
    return Shortfall(
        "Levels of concurrency",
        f"{levels} seen for a quarter of an hour with a stretch",
        f"{MIN_BINS}, the highest twice the lowest",
        "wait, or change parallelism for a day",
    )


def describe_best(target: LoadTarget | None) -> str:
    """The best number of tasks; empty where it is not known."""
    return f"The best number is about {format_number(target.tasks)}: {target.basis}." if target else ""


def list_missing(load: TaskLoad) -> list[Shortfall]:
    """What would make the best number known."""
    missing = [lack_levels(load)] if load.knee is None else []
    if load.capacity.narrowest is None:
        missing.append(Shortfall("What a task uses", "not known", "CPU and memory of tasks", TASK_MEMORY.source.value))
    return missing


def lack_limit(seen: AirflowHistory) -> Shortfall:
    """It is not known how many tasks may run at once."""
    if lacks_workers(seen):
        return Shortfall("Slots of Celery's workers", "not read", "those of each worker", WORKER_SLOTS.source.value)
    return Shortfall("The limit", "not known, or unlimited", "parallelism", SLOTS.source.value)


def lack_time(load: TaskLoad) -> Shortfall:
    """Too little time was observed."""
    have = format_hours(load.seen.observed_seconds / HOUR) + " observed"
    return Shortfall("Running tasks", have, format_hours(MIN_OBSERVED / HOUR), RUNNING.source.value)
