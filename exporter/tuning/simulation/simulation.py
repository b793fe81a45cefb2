"""An Airflow, simulated event by event: what its tries wait for, and how long they take.

A plain heap of events, not a simulation library: such libraries model each try as a coroutine, which costs several
times the time and hides the one thing that matters here, that the scheduler's rules are exactly those of Airflow.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush

from exporter.tuning.simulation.machines import Machines, Resource
from exporter.tuning.simulation.scheduler import Scheduler
from exporter.tuning.simulation.settings import MachineSize, SimulatedSettings
from exporter.tuning.simulation.work import SHARED, WAIT, Run, SimulatedTry
from exporter.tuning.simulation.workers import Executor
from exporter.tuning.slowdown.crowd import Crowd
from exporter.tuning.slowdown.model import Slowdown

Sampler = Callable[[float, "Simulation"], None]
"""Called at regular times with the time and the simulation."""


class Simulation:
    """One simulation. The times at which things happen are written into its tries and runs."""

    def __init__(
        self,
        settings: SimulatedSettings,
        tries: Sequence[SimulatedTry],
        machines: Sequence[MachineSize] = (MachineSize(),),
        database_units: float = math.inf,
        changes: Iterable[tuple[float, SimulatedSettings]] = (),
        slowdown: Slowdown | None = None,
    ) -> None:
        self.machines = Machines(machines, database_units)
        self.crowd = Crowd(slowdown or Slowdown())
        self.scheduler = Scheduler(settings)
        self.executor = Executor(settings)
        self.tries = tries
        self.now = -math.inf
        self.ended: list[SimulatedTry] = []
        """Tries that have ended, in this order."""
        self.running: set[int] = set()
        """Places of running tries."""
        self._settings = settings
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._event_count = 0
        self._next_look = -math.inf
        self._looks = False
        self._active_runs: defaultdict[str, int] = defaultdict(int)
        self._waiting_runs: defaultdict[str, deque[Run]] = defaultdict(deque)
        self._followers: defaultdict[int, list[int]] = defaultdict(list)
        self._first: defaultdict[int, list[int]] = defaultdict(list)
        self._places: dict[int, int] = {}
        self._prepare()
        for at, new in changes:
            self._at(at, self._change, new)

    def run(self, sample: Sampler | None = None, every: float = 60.0, until: float = math.inf) -> None:
        """Simulate until everything has ended that can end, or until a time; call `sample` at multiples of `every`."""
        if sample is not None and self._events:
            self._at(math.ceil(self._events[0][0] / every) * every, self._sample, sample, every)
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, act, arguments = heappop(events)
            act(*arguments)

    def _at(self, time: float, act: Callable[..., None], *arguments: object) -> None:
        self._event_count += 1
        heappush(self._events, (time, self._event_count, act, arguments))

    def _prepare(self) -> None:
        runs: dict[int, Run] = {}
        for place, one in enumerate(self.tries):
            run = runs.setdefault(id(one.run), one.run)
            run.left += 1
            one.order = (-one.priority_weight, run.date, one.map_index, place)
            one.missing = len(one.after)
            self._places[id(one)] = place
            for other in one.after:
                self._followers[other].append(place)
            if not one.after:
                self._first[id(run)].append(place)
        for run in sorted(runs.values(), key=lambda run: (run.arrival, run.date)):
            self._at(run.arrival, self._arrive, run)

    def _sample(self, sample: Sampler, every: float) -> None:
        self.machines.update(self.now)
        sample(self.now, self)
        if self._events:
            self._at(self.now + every, self._sample, sample, every)

    def _change(self, settings: SimulatedSettings) -> None:
        self._settings = settings
        self.scheduler.set(settings)
        self.executor.set(settings)
        for dag_id in list(self._waiting_runs):
            self._start_runs(dag_id)
        self._start_tries()
        self._want_look()

    def _arrive(self, run: Run) -> None:
        self._waiting_runs[run.dag_id].append(run)
        self._start_runs(run.dag_id)

    def _start_runs(self, dag_id: str) -> None:
        waiting = self._waiting_runs[dag_id]
        limit = self._settings.max_active_runs.get(dag_id, math.inf)
        while waiting and self._active_runs[dag_id] < limit:
            run = waiting.popleft()
            self._active_runs[dag_id] += 1
            run.started_at = self.now
            for place in self._first[id(run)]:
                self._at(self.now + self.tries[place].delay, self._make_ready, place)

    def _end_run(self, run: Run) -> None:
        run.ended_at = self.now
        self._active_runs[run.dag_id] -= 1
        self._start_runs(run.dag_id)

    def _make_ready(self, place: int) -> None:
        one = self.tries[place]
        one.ready_at = self.now
        self.scheduler.add(one)
        self._want_look()

    def _want_look(self) -> None:
        if self._looks:
            return
        self._looks = True
        loop = self._settings.loop_seconds
        at = max(math.ceil(self.now / loop) * loop, self._next_look) if loop else self.now
        self._at(at, self._look)

    def _look(self) -> None:
        self._looks = False
        self._next_look = self.now + self._settings.loop_seconds
        queued = self.scheduler.look()
        for one in queued:
            one.queued_at = self.now
            self.executor.get_group(one.queue).add(one)
        if queued:
            self._start_tries()
            if self.scheduler.ready_count:
                self._want_look()

    def _start_tries(self) -> None:
        usual = self._settings.start_seconds
        for group in self.executor.get_all():
            for one in group.start_next():
                delay = (usual if one.start_seconds is None else one.start_seconds) * self.crowd.start_factor
                if delay:
                    self._at(self.now + delay, self._start, one)
                else:
                    self._start(one)

    def _start(self, one: SimulatedTry) -> None:
        one.started_at = self.now
        self.running.add(self._places[id(one)])
        self._change_memory(one, start=True)
        self._change_crowd(one, 1)
        self._do_phase(one)

    def _do_phase(self, one: SimulatedTry) -> None:
        if one.phase == len(one.phases):
            self._end(one)
            return
        phase = one.phases[one.phase]
        if phase.resource == WAIT and self.machines.uses[one.machine].keeps_pace:
            self._at(self.now + phase.seconds, self._end_phase, one)
            return
        if phase.resource == SHARED:
            resource = self.crowd.resources[one.level]
        else:
            resource = self.machines.get_resource(one, phase.resource)
        resource.add(self.now, one, phase.seconds)
        self._expect_end(resource)

    def _expect_end(self, resource: Resource) -> None:
        if len(resource):
            self._at(resource.get_next_end(), self._finish_phase, resource, resource.changes)

    def _finish_phase(self, resource: Resource, changes: int) -> None:
        if resource.changes != changes:
            return
        one = resource.remove_next(self.now)
        self._expect_end(resource)
        self._end_phase(one)

    def _end_phase(self, one: SimulatedTry) -> None:
        one.phase += 1
        self._do_phase(one)

    def _change_memory(self, one: SimulatedTry, *, start: bool) -> None:
        use = self.machines.uses[one.machine]
        before = use.cpu.changes
        (use.start if start else use.end)(self.now, one)
        if use.cpu.changes != before:
            self._expect_end(use.cpu)
            self._expect_end(use.waiting)

    def _change_crowd(self, one: SimulatedTry, number: int) -> None:
        for resource in self.crowd.change(self.now, one.level, number):
            self._expect_end(resource)

    def _end(self, one: SimulatedTry) -> None:
        place = self._places[id(one)]
        one.ended_at = self.now
        self.running.remove(place)
        self.ended.append(one)
        self._change_memory(one, start=False)
        self._change_crowd(one, -1)
        self.executor.get_group(one.queue).release(one)
        self.scheduler.release(one)
        for follower in self._followers[place]:
            other = self.tries[follower]
            other.missing -= 1
            if not other.missing:
                self._at(self.now + other.delay, self._make_ready, follower)
        one.run.left -= 1
        if not one.run.left:
            self._at(self.now + one.run.tail_seconds, self._end_run, one.run)
        self._start_tries()
        if self.scheduler.ready_count:
            self._want_look()
