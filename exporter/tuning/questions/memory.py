"""Whether memory suffices for all slots, which tasks take more than their share, and whose memory grows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.tuning.advice import Answer, Confidence, Recommendation, Savings, Shortfall, format_bytes
from exporter.tuning.capacity import Capacity, Room, measure_capacity
from exporter.tuning.charts import ChartLine, ChartSpec, Shape
from exporter.tuning.queries import (
    PEAK_GROWTH,
    TASK_MEMORY,
    TASK_PEAK,
    TASK_SECONDS,
)
from exporter.tuning.questions.load import get_limit, is_celery
from exporter.tuning.series import AirflowHistory, weighted_quantile

QUESTION, TITLE = "memory", "Does memory suffice for all slots?"
LARGE = 2.0
"""A task is large if it takes that many shares of a slot."""
MIN_GROWTH, MIN_GROWN_BYTES = 1.3, 32 * 1024.0**2
"""Peaks vary from try to try; Python's memory grows in steps of this order without a leak."""
MANY = 3
"""If that many tasks grow, it is the process from which they are forked."""
MAX_NAMED, MAX_BARS = 5, 12
GIB = 1024.0**3


class TaskPeak(NamedTuple):
    """A task and the most memory that one of its processes took."""

    name: str
    peak: float
    seconds: float
    """Seconds that it ran."""


def answer(seen: AirflowHistory) -> Answer:
    """The answer for a window."""
    capacity, peaks = measure_capacity(seen), collect(seen)
    limit = get_limit(seen) if seen.advised_slots is None else seen.advised_slots
    if capacity.memory is None or not peaks:
        have = f"memory of {'no' if not peaks else len(peaks)} tasks, of {capacity.machines or 'no'} machines"
        missing = Shortfall("Memory", have, "both", TASK_MEMORY.source.value)
        return Answer(QUESTION, TITLE, list(judge_growth(seen, peaks)), missing=[missing])
    found = [*judge_growth(seen, peaks), *judge_large(seen, peaks, capacity.memory, limit)]
    charts = draw(peaks, capacity.memory, limit)
    return Answer(QUESTION, TITLE, found, explain(peaks, capacity, limit), charts=charts)


def collect(seen: AirflowHistory) -> list[TaskPeak]:
    """All tasks whose memory was seen, the largest first."""
    seconds = seen.by(TASK_SECONDS, "dag_id", "task_id")
    found = [
        TaskPeak(".".join(task), peak, seconds.get(task, 0.0))
        for task, peak in seen.by(TASK_PEAK, "dag_id", "task_id").items()
    ]
    return sorted(found, key=lambda one: (-one.peak, one.name))


def get_p95(peaks: Sequence[TaskPeak]) -> float:
    """The peak that 19 of 20 running tasks stay below, weighted by how long they run."""
    weighed = [(one.peak, one.seconds) for one in peaks if one.seconds > 0]
    return weighted_quantile(weighed or [(one.peak, 1.0) for one in peaks], 0.95)


def explain(peaks: Sequence[TaskPeak], capacity: Capacity, limit: float | None) -> str:
    """What fits."""
    memory = capacity.memory
    if memory is None:
        return ""
    p95 = get_p95(peaks)
    machines = "1 machine has" if capacity.machines == 1 else f"{capacity.machines} machines have"
    wanted = "" if limit is None else f" {limit:.0f} slots want {format_bytes(p95 * limit)} if all tasks peak at once."
    return (
        f"A task peaks at {format_bytes(p95)} (p95 by running time) and takes {format_bytes(memory.per_task)} at "
        f"usual moments; {machines} {format_bytes(memory.available)} for tasks, so {memory.tasks:.0f} fit.{wanted}"
    )


def judge_large(
    seen: AirflowHistory, peaks: Sequence[TaskPeak], memory: Room, limit: float | None
) -> Iterator[Recommendation]:
    """Tasks that take several shares, where not all slots fit into memory."""
    if limit is None or get_p95(peaks) * limit <= memory.available:
        return
    share = memory.available / limit
    large = [one for one in peaks if one.peak >= LARGE * share]
    if not large or sum(one.seconds for one in large) > 0.5 * sum(one.seconds for one in peaks):
        return
    slots = math.ceil(large[0].peak / share)
    names = ", ".join(f"{one.name} ({format_bytes(one.peak)})" for one in large[:MAX_NAMED])
    yield Recommendation(
        title=f"Let the {len(large)} largest tasks take more than one slot",
        setting="pool and pool_slots",
        object=large[0].name,
        current="1",
        value=f"up to {slots}",
        seen=[
            f"{limit:.0f} slots share {format_bytes(memory.available)}: {format_bytes(share)} each",
            f"{len(large)} of {len(peaks)} tasks take at least {LARGE:.0f} shares: {names}",
        ],
        change=f"Give them a pool of {limit:.0f} slots, and pool_slots of their peak over {format_bytes(share)}.",
        effect="as many of them run at once as fit into memory; other tasks keep their slots",
        savings=Savings(),
        counter_check="A peak that occurred once may be an exception: look at its memory on the DAG dashboard.",
        risk="Large tasks wait for each other.",
        confidence=Confidence.MEDIUM,
        reason="whether large tasks run at the same time was not observed",
        queries=seen.show(TASK_PEAK, TASK_MEMORY),
    )


def judge_growth(seen: AirflowHistory, peaks: Sequence[TaskPeak]) -> Iterator[Recommendation]:
    """Tasks that take more from try to try."""
    growth = {".".join(task): value for task, value in seen.by(PEAK_GROWTH, "dag_id", "task_id").items()}
    growing = [
        (one, growth[one.name])
        for one in peaks
        if growth.get(one.name, 1.0) >= MIN_GROWTH and one.peak * (1 - 1 / growth[one.name]) >= MIN_GROWN_BYTES
    ]
    if not growing:
        return
    forked = len(growing) >= MANY and is_celery(seen)
    names = ", ".join(
        f"{one.name} ({ratio:.1f} times, to {format_bytes(one.peak)})" for one, ratio in growing[:MAX_NAMED]
    )
    yield Recommendation(
        title="Replace the processes of Celery's workers" if forked else f"Memory of {len(growing)} tasks grows",
        setting="[celery] worker_max_tasks_per_child" if forked else "the code of the tasks",
        object="this Airflow" if forked else growing[0][0].name,
        current="",
        value="100" if forked else "process in parts",
        seen=[f"peak of the newest tries over that of the oldest ones: {names}"],
        change="Set [celery] worker_max_tasks_per_child to 100: after 100 tasks a process ends with what it holds."
        if forked
        else "Look for what these tasks read whole or keep from run to run.",
        effect="memory stays where it was after a restart" if forked else "memory stays as the data grows",
        savings=Savings(),
        counter_check="Growth that follows the data is no leak: compare with the rows or files that the task reads.",
        risk="Each new process imports Airflow again, which takes seconds." if forked else "None.",
        confidence=Confidence.MEDIUM if len(growing) >= MANY else Confidence.LOW,
        reason="what keeps the memory is not visible from outside",
        queries=seen.show(PEAK_GROWTH, TASK_PEAK),
    )


def draw(peaks: Sequence[TaskPeak], memory: Room, limit: float | None) -> list[ChartSpec]:
    """The largest tasks beside the share of a slot."""
    largest = peaks[:MAX_BARS]
    places = [float(place) for place in range(len(largest))]
    lines = [ChartLine("peak", Shape.BARS, places, [one.peak / GIB for one in largest])]
    if limit is not None:
        share = memory.available / limit / GIB
        lines.append(ChartLine("share of a slot", Shape.LINE, places, [share] * len(places)))
    return [ChartSpec("Memory a slot", "", "GiB", lines, categories=[one.name for one in largest])]
