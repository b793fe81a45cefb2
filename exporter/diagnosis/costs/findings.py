"""What costs more than it needs to, as findings: the DAG or task, the figures, and the setting to change.

Nothing is said of normal work: each threshold has its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from exporter.diagnosis.costs.rows import MemoryGrowth
from exporter.diagnosis.report import CostFinding
from exporter.diagnosis.words import format_seconds

MIN_TRIES_PER_RUN = 100
"""Fewer tasks in a run are no burden, however short they are: a hundred starts cost a minute or two."""
MIN_SHORT_SHARE = 0.5
"""The median task of the run is short."""
MIN_SENSOR_SHARE = 0.1
"""Sensors of one DAG that hold less than a tenth of all slots leave enough for the tasks that work."""
MIN_SENSOR_SLOTS = 1.0
"""Where the number of slots is not known: one slot is held all the time."""
MIN_OBSERVED_SECONDS = 120.0
"""Shares over a shorter time say little."""
MIN_RUNS = 3
"""One run, or two, that did nothing or took long may be chance."""
MIN_GROWTH = 1.3
"""Peaks of a task vary by some percent from try to try."""
MIN_GROWN_BYTES = 32 * 1024.0**2
"""Python's memory grows in steps of this order without a leak."""
MANY_GROWING = 3
"""If so many tasks grow, it is the process from which they are forked that grows."""
MEBI = 1024.0**2


class DagCosts(NamedTuple):
    """What one DAG has cost within the time observed."""

    dag_id: str
    max_active_runs: int | None = None
    period: float | None = None
    """Seconds between two times of its schedule, on average; None where that is not known."""
    tries_per_run: float = 0.0
    """Tries of its largest run lately."""
    short_per_run: float = 0.0
    """Those of them that did less work than their start cost."""
    short_tries: float = 0.0
    """All of them within the time observed."""
    short_task: str = ""
    """The task with most of them."""
    median_duration: float | None = None
    """Seconds that this task takes."""
    poked_seconds: float = 0.0
    """Seconds for which its sensors held slots by poking."""
    run_durations: tuple[float, ...] = ()
    """Of its last scheduled runs, in seconds."""
    skipped_intervals: float = 0.0
    runs_without_work: int = 0
    """How many of its last runs, without a break up to the newest, did nothing."""
    idle_run_seconds: float = 0.0
    """How long these took."""


class Surroundings(NamedTuple):
    """What is known of the whole Airflow."""

    observed: float
    """Seconds over which the costs were observed, an hour at most."""
    slots: float | None = None
    """Tasks that run at once at most (parallelism); None where it is not known or unlimited."""
    queued: float | None = None
    """Seconds that a try takes to start, at least."""
    running: float | None = None
    """Seconds for which the quickest task runs."""


def find_costs(
    dags: Iterable[DagCosts], around: Surroundings, growing: Mapping[tuple[str, str], MemoryGrowth]
) -> list[CostFinding]:
    """All findings, the most expensive first; `growing` has tasks by DAG and task."""
    found: list[CostFinding] = []
    for dag in dags:
        found += find_too_fine(dag, around)
        found += find_poking(dag, around)
        found += find_slow(dag)
        found += find_runs_without_work(dag)
    return [*sorted(found, key=lambda one: (-one.seconds, one.name, one.object)), *find_growing(growing)]


def find_too_fine(dag: DagCosts, around: Surroundings) -> Iterator[CostFinding]:
    """Many tasks that do less than starting them costs."""
    if around.queued is None or dag.tries_per_run <= MIN_TRIES_PER_RUN:
        return
    if dag.short_per_run <= MIN_SHORT_SHARE * dag.tries_per_run:
        return
    least = around.queued + (around.running or 0.0)
    median = say_seconds(", half of its tries end within", dag.median_duration)
    quickest = say_seconds(", and the quickest task here still runs for", around.running)
    yield CostFinding(
        "too_fine",
        dag.dag_id,
        "Most tasks of the DAG do less work than starting them costs.",
        [
            f"{dag.short_per_run:.0f} of {dag.tries_per_run:.0f} tries of a run, mostly of {dag.short_task}{median}",
            f"a start takes {format_seconds(around.queued)}{quickest}",
            f"{dag.short_tries:.0f} such tries in {format_seconds(around.observed)}",
        ],
        f"Give each task of {dag.short_task or dag.dag_id} a batch of some {suggest_batch(dag, least)} items: "
        "fewer mapped instances, or a loop inside of the task.",
        dag.short_tries * least,
    )


def suggest_batch(dag: DagCosts, least: float) -> int:
    """How many items make a task long enough: ten times what its start costs, but ten tasks of a run remain."""
    work = max(0.1, (dag.median_duration or least) - least)
    return max(2, min(round(10 * least / work), int(dag.tries_per_run // 10)))


def find_poking(dag: DagCosts, around: Surroundings) -> Iterator[CostFinding]:
    """Sensors that hold slots while they wait."""
    if around.observed < MIN_OBSERVED_SECONDS or not dag.poked_seconds:
        return
    held = dag.poked_seconds / around.observed
    least = MIN_SENSOR_SLOTS if around.slots is None else MIN_SENSOR_SHARE * around.slots
    if held < least:
        return
    share = "" if around.slots is None else f", {100 * held / around.slots:.0f} % of {around.slots:.0f}"
    yield CostFinding(
        "poking_sensor",
        dag.dag_id,
        "Sensors of the DAG hold slots while they wait.",
        [
            f"{held:.1f} slots on average{share}, over {format_seconds(around.observed)}",
            f"{format_seconds(dag.poked_seconds)} of slots in all",
        ],
        f"Set mode='reschedule' (checks a minute or more apart) or deferrable=True in the sensors of {dag.dag_id}.",
        dag.poked_seconds,
    )


def find_slow(dag: DagCosts) -> Iterator[CostFinding]:
    """Runs that take longer than the schedule leaves them."""
    if dag.period is None or dag.max_active_runs is None or len(dag.run_durations) < MIN_RUNS:
        return
    durations = sorted(dag.run_durations)
    middle = durations[len(durations) // 2]
    if middle <= dag.period * dag.max_active_runs:
        return
    needed = -(-middle // dag.period)
    skipped = f"times of the schedule without a run: {dag.skipped_intervals:.0f}" if dag.skipped_intervals else ""
    yield CostFinding(
        "slower_than_schedule",
        dag.dag_id,
        "Runs of the DAG take longer than the time between two of them.",
        [
            f"half of the last {len(durations)} runs took {format_seconds(middle)} or longer",
            f"one is due every {format_seconds(dag.period)}",
            f"max_active_runs is {dag.max_active_runs}",
            *([skipped] if skipped else []),
        ],
        f"Schedule {dag.dag_id} no more often than every {format_seconds(middle / dag.max_active_runs)}, make its runs "
        f"faster, or, if runs may overlap, set max_active_runs to {needed:.0f}.",
        sum(max(0.0, one - dag.period * dag.max_active_runs) for one in durations),
    )


def find_runs_without_work(dag: DagCosts) -> Iterator[CostFinding]:
    """Green runs in which everything was skipped."""
    if dag.runs_without_work < MIN_RUNS:
        return
    yield CostFinding(
        "all_skipped",
        dag.dag_id,
        "The last runs of the DAG succeeded, but everything in them was skipped.",
        [f"each of the last {dag.runs_without_work} runs, which took {format_seconds(dag.idle_run_seconds)} in all"],
        f"Look at what skips the tasks of {dag.dag_id}: a branch, a short circuit, or AirflowSkipException.",
        dag.idle_run_seconds,
    )


def find_growing(growing: Mapping[tuple[str, str], MemoryGrowth]) -> Iterator[CostFinding]:
    """Tasks that need more memory from run to run."""
    found = {
        task: one
        for task, one in growing.items()
        if one.steady and one.newest >= MIN_GROWTH * one.oldest and one.newest - one.oldest >= MIN_GROWN_BYTES
    }
    for (dag_id, task_id), one in sorted(found.items(), key=lambda item: item[1].oldest - item[1].newest):
        yield CostFinding(
            "memory_growth",
            f"{dag_id}.{task_id}",
            "The task needs more memory in each run than in the one before.",
            [
                f"peak of {one.newest / MEBI:.0f} MiB after {one.oldest / MEBI:.0f} MiB, over {one.tries} tries",
                f"{len(found)} task{'s grow' if len(found) > 1 else ' grows'} like this",
            ],
            "The processes from which tasks are forked grow: with Celery set worker_max_tasks_per_child, and look for "
            "what DAG files and plugins keep in memory."
            if len(found) >= MANY_GROWING
            else f"Look for what {dag_id}.{task_id} reads whole or keeps from run to run: process it in parts.",
            0.0,
        )


def say_seconds(words: str, seconds: float | None) -> str:
    """Words and a duration; nothing where it is not known."""
    return "" if seconds is None else f"{words} {format_seconds(seconds)}"
