"""The tries of a recording as work for the simulation: when each becomes ready, and how long it runs. Pure.

A try takes as long as it would have taken alone, and longer where others slow it down; as long as it really took where
nothing shows that they do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.tuning.simulation.dependencies import TOLERANCE, DagTasks, find_dependencies
from exporter.tuning.simulation.recorded import RecordedTry, Recording, RunKey
from exporter.tuning.simulation.work import SHARED, WAIT, Phase, Run, SimulatedTry
from exporter.tuning.slowdown.model import Slowdown

TryKey = tuple[str, str, str, int]
"""DAG, run, task and map index."""


@dataclass(frozen=True, slots=True)
class Work:
    """Tries for the simulation, in the order of the recorded ones."""

    tries: Sequence[SimulatedTry]
    recorded: Sequence[RecordedTry]


def build_work(
    recording: Recording, dependencies: Mapping[str, DagTasks] | None = None, slowdown: Slowdown | None = None
) -> Work:
    """Work for one simulation: the simulation writes into it."""
    found = find_dependencies(recording.tries) if dependencies is None else dependencies
    return Builder(recording, found, slowdown or Slowdown()).build()


class Builder:
    """Makes the tries, with what each of them follows."""

    def __init__(self, recording: Recording, dependencies: Mapping[str, DagTasks], slowdown: Slowdown) -> None:
        self._recording = recording
        self._slowdown = slowdown
        self._dependencies = dependencies
        self._attempts: defaultdict[TryKey, list[int]] = defaultdict(list)
        self._last: defaultdict[RunKey, defaultdict[str, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
        """The last try of each task and map index, by run."""
        self._ready = [get_ready(one, recording.begin) for one in recording.tries]
        for place, one in enumerate(recording.tries):
            self._attempts[one[:4]].append(place)
            self._last[one.dag_id, one.run_id][one.task_id][one.map_index] = place
        self._runs = self._build_runs()

    def build(self) -> Work:
        """All tries."""
        tries = self._recording.tries
        return Work([self._build_try(place, one) for place, one in enumerate(tries)], tries)

    def _build_runs(self) -> dict[RunKey, Run]:
        begins: dict[RunKey, float] = {}
        ends: dict[RunKey, float] = {}
        for one, ready_at in zip(self._recording.tries, self._ready, strict=True):
            key = (one.dag_id, one.run_id)
            begins[key] = min(begins.get(key, one.started_at), ready_at)
            ends[key] = max(ends.get(key, one.ended_at), one.ended_at)
        return {key: self._build_run(key, begin, ends[key]) for key, begin in begins.items()}

    def _build_run(self, key: RunKey, begin: float, end: float) -> Run:
        found = self._recording.runs.get(key)
        if found is None or found.started_at > begin + TOLERANCE:
            return Run(*key, begin, begin)
        return Run(*key, found.queued_at, found.due_at, max(0.0, found.ended_at - end))

    def _build_try(self, place: int, one: RecordedTry) -> SimulatedTry:
        key = (one.dag_id, one.run_id)
        run, ready_at = self._runs[key], self._ready[place]
        after = self._find_followed(place, one, ready_at)
        tries = self._recording.tries
        if after:
            begin = max(tries[other].ended_at for other in after)
        else:
            found = self._recording.runs.get(key)
            begin = run.arrival if found is None or found.started_at > ready_at else found.started_at
        return SimulatedTry(
            run,
            one.task_id,
            (self._get_phase(place, one),),
            max(0.0, ready_at - begin),
            after,
            one.map_index,
            one.pool,
            one.pool_slots,
            one.priority_weight,
            one.queue,
            level=self._slowdown.get_level(one.dag_id),
            start_seconds=self._recording.starts[place] if self._recording.starts else None,
        )

    def _get_phase(self, place: int, one: RecordedTry) -> Phase:
        if self._recording.alone:
            return Phase(SHARED, self._recording.alone[place])
        return Phase(WAIT, one.ended_at - one.started_at)

    def _find_followed(self, place: int, one: RecordedTry, ready_at: float) -> tuple[int, ...]:
        """The tries after whose end it became ready: the one before it of its task, or those of other tasks."""
        attempts = self._attempts[one[:4]]
        if attempts[0] != place:
            return (attempts[attempts.index(place) - 1],)
        tasks = self._last[one.dag_id, one.run_id]
        others = self._dependencies.get(one.dag_id, {}).get(one.task_id, ())
        followed = [other for task_id in others for other in tasks[task_id].values()] if others else []
        tries = self._recording.tries
        return tuple(
            sorted(other for other in followed if other < place and tries[other].ended_at <= ready_at + TOLERANCE)
        )


def get_ready(one: RecordedTry, begin: float) -> float:
    """When a try became ready; where that is not known, or before the window, when it started."""
    return one.started_at if one.ready_at is None or one.ready_at < begin else one.ready_at
