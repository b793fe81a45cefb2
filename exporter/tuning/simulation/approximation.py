"""A recording made from series, where there is no events file: tries with average durations. Pure.

For each DAG and pool it is known how many tries ended, waited and ran at each moment. From these follow how many had
become ready and how many had started: the n-th try becomes ready when n were ready, and starts when n had started. The
tries of a DAG all last as long as they do on average, and nothing is known of their runs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.tuning.simulation.recorded import RecordedTry, Recording

Points = Mapping[float, float]
"""Values of a series by time, at equal steps."""


@dataclass(frozen=True, slots=True)
class DagSeries:
    """What series say of one DAG."""

    dag_id: str
    ended: Points
    """Tries that ended in the step up to each time."""
    run_seconds: Points
    """How long these took, all together."""
    waiting: Mapping[str, Points]
    """Task instances that were scheduled or queued, by pool."""
    running: Mapping[str, Points]
    """By pool."""
    queues: Mapping[str, str] = field(default_factory=dict)
    """The queue of most of its tries, by pool."""


def approximate(dags: Iterable[DagSeries]) -> Recording:
    """Tries as the series show them."""
    tries = [one for dag in dags for one in approximate_dag(dag)]
    return Recording(sorted(tries, key=lambda one: one.started_at), without_weights=len(tries), exact=False)


def approximate_dag(dag: DagSeries) -> list[RecordedTry]:
    """The tries of a DAG, by pool: as many in each as ran there."""
    count = sum(dag.ended.values())
    if count < 1:
        return []
    seconds = sum(dag.run_seconds.values()) / count
    ran = {pool: sum(points.values()) for pool, points in dag.running.items()}
    everything = sum(ran.values())
    tries = []
    for pool in sorted({*ran, *dag.waiting}):
        share = ran.get(pool, 0.0) / everything if everything else 1 / len({*ran, *dag.waiting})
        ended = {moment: value * share for moment, value in dag.ended.items()}
        waits = list_times(ended, dag.waiting.get(pool, {}), dag.running.get(pool, {}))
        tries += [make_try(dag, pool, number, *times, seconds) for number, times in enumerate(waits)]
    return tries


def list_times(ended: Points, waiting: Points, running: Points) -> list[tuple[float, float]]:
    """When each try became ready, and when it started."""
    moments = sorted(ended)
    total, ready, started = 0.0, [0.0], [0.0]
    for moment in moments[1:]:
        total += ended[moment]
        began = total + running.get(moment, 0.0) - running.get(moments[0], 0.0)
        started.append(max(started[-1], began))
        arrived = began + waiting.get(moment, 0.0) - waiting.get(moments[0], 0.0)
        ready.append(max(ready[-1], started[-1] - waiting.get(moments[0], 0.0), arrived))
    behind = waiting.get(moments[0], 0.0) if moments else 0.0
    return [
        (min(begin, start), start)
        for number in range(int(started[-1]))
        for begin, start in [
            (find_moment(moments, ready, number + 0.5 - behind), find_moment(moments, started, number + 0.5))
        ]
    ]


def find_moment(moments: Sequence[float], counts: Sequence[float], wanted: float) -> float:
    """When a rising count reached a value, taken as even between two moments."""
    place = bisect_left(counts, wanted)
    if place == 0:
        return moments[0]
    if place == len(counts):
        return moments[-1]
    low, high = counts[place - 1], counts[place]
    begin, end = moments[place - 1], moments[place]
    return begin + (end - begin) * (wanted - low) / (high - low)


def make_try(dag: DagSeries, pool: str, number: int, ready_at: float, started_at: float, seconds: float) -> RecordedTry:
    """A try, as the only one of a run: nothing is known of runs."""
    queue = dag.queues.get(pool, "")
    return RecordedTry(
        dag.dag_id, f"{pool} {number}", "", -1, 1, ready_at, started_at, started_at + seconds, pool, 1, 1, queue, 0.0
    )


def to_dags(
    ended: Mapping[str, Points],
    run_seconds: Mapping[str, Points],
    states: Mapping[tuple[str, str, str, str], Points],
) -> list[DagSeries]:
    """Series by DAG; `states` are numbers of task instances by DAG, pool, queue and state."""
    waiting: defaultdict[str, defaultdict[str, defaultdict[float, float]]] = nested()
    running: defaultdict[str, defaultdict[str, defaultdict[float, float]]] = nested()
    queues: defaultdict[str, defaultdict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for (dag_id, pool, queue, state), points in states.items():
        queues[dag_id][pool][queue] += round(sum(points.values()))
        for moment, value in points.items():
            (running if state == "running" else waiting)[dag_id][pool][moment] += value
    return [
        DagSeries(
            dag_id,
            points,
            run_seconds.get(dag_id, {}),
            waiting[dag_id],
            running[dag_id],
            {pool: counts.most_common(1)[0][0] for pool, counts in queues[dag_id].items()},
        )
        for dag_id, points in ended.items()
    ]


def nested() -> defaultdict[str, defaultdict[str, defaultdict[float, float]]]:
    """Sums by DAG, pool and time."""
    return defaultdict(lambda: defaultdict(lambda: defaultdict(float)))
