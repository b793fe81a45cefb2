"""Which tasks of a DAG wait for which: found in when they became ready and when others ended. Pure.

A task follows another if, in every run that has both, it became ready after the other had ended, and in at least one
run right after it. What is missed costs little: such a task keeps its time from the start of its run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from exporter.tuning.simulation.recorded import RecordedTry, RunKey

MAX_RUNS = 40
"""Runs of a DAG that are looked at."""
MAX_LAG = 30.0
"""Seconds from the end of a task to the moment at which the scheduler makes those ready that follow it."""
TOLERANCE = 0.05
"""Seconds by which the clocks of a worker and the scheduler may differ."""
DagTasks = Mapping[str, frozenset[str]]
"""For each task the tasks that it follows."""


@dataclass(slots=True)
class TaskSpan:
    """When a task of a run first became ready, and when its last try ended."""

    ready_at: float
    ended_at: float


def find_spans(tries: Iterable[RecordedTry]) -> dict[RunKey, dict[str, TaskSpan]]:
    """The spans of all tasks, by run."""
    runs: defaultdict[RunKey, dict[str, TaskSpan]] = defaultdict(dict)
    for one in tries:
        ready_at = one.started_at if one.ready_at is None else one.ready_at
        span = runs[one.dag_id, one.run_id].setdefault(one.task_id, TaskSpan(ready_at, one.ended_at))
        span.ready_at = min(span.ready_at, ready_at)
        span.ended_at = max(span.ended_at, one.ended_at)
    return runs


def find_dependencies(tries: Iterable[RecordedTry]) -> dict[str, DagTasks]:
    """What each task follows, by DAG."""
    by_dag: defaultdict[str, list[dict[str, TaskSpan]]] = defaultdict(list)
    for (dag_id, _), spans in find_spans(tries).items():
        by_dag[dag_id].append(spans)
    return {dag_id: find_of_dag(list(islice(runs, MAX_RUNS))) for dag_id, runs in by_dag.items()}


def find_of_dag(runs: Sequence[Mapping[str, TaskSpan]]) -> DagTasks:
    """What each task of a DAG follows."""
    followed: defaultdict[str, set[str]] = defaultdict(set)
    for spans in runs:
        for task_id, span in spans.items():
            followed[task_id] |= find_just_ended(spans, span)
    for spans in runs:
        for task_id, span in spans.items():
            followed[task_id] -= {
                other
                for other in followed[task_id]
                if other in spans and spans[other].ended_at > span.ready_at + TOLERANCE
            }
    return {task_id: frozenset(others) for task_id, others in followed.items()}


def find_just_ended(spans: Mapping[str, TaskSpan], span: TaskSpan) -> set[str]:
    """The tasks that were the last ones to end before a task became ready, shortly before."""
    ended = [
        (other.ended_at, task_id)
        for task_id, other in spans.items()
        if other is not span and -TOLERANCE <= span.ready_at - other.ended_at <= MAX_LAG
    ]
    if not ended:
        return set()
    newest, _ = max(ended)
    return {task_id for at, task_id in ended if at >= newest - TOLERANCE}
