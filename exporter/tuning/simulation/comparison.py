"""Waits before and after a change: the simulation of what ran, with the settings as they were and with others. Pure.

The simulation is first compared with what was observed. If it does not reproduce the waits, it cannot say what a change
would bring, and then it says only that. Where more ran at once than ever in the window, and nothing shows what the
machines have room for, there are two answers: one if they have it, and one if they were full already.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from exporter.tuning.simulation.change import WhatIf, apply_all
from exporter.tuning.simulation.dependencies import find_dependencies
from exporter.tuning.simulation.recorded import RecordedTry, Recording
from exporter.tuning.simulation.replay import Work, build_work
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.starts import Timeline, find_starts
from exporter.tuning.slowdown.fit import USUAL, FittedSlowdown, MachineFacts, fit_bins, fit_slowdown
from exporter.tuning.slowdown.model import Slowdown
from exporter.tuning.slowdown.observed import get_highest_demand, measure_work

MAX_ERROR = 0.2
"""The largest error on the settings as they were with which the simulation is believed."""
LEAST_WAIT = 1.0
"""Seconds of mean wait from which errors are relative: a wait of less is the scheduler's usual loop."""
MIN_TRIES = 100
"""Tries with a known wait that are needed."""
MAX_UNKNOWN = 0.2
"""The largest share of tries whose wait Airflow does not show."""
LOOPS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Seconds between two looks of the scheduler that are tried."""
CALIBRATED_SHARE = 0.5
"""The part of the window on which they are tried."""
MAX_CALIBRATED = 20_000
"""Tries with which they are tried."""
BEYOND, MAX_BEYOND = 1.1, 0.02
"""More than that many times what was seen at once is unknown, if it is so for more than that part of the time."""


@dataclass(frozen=True, slots=True)
class Waits:
    """How long some tries waited, from ready to the start, and the runs from due to done."""

    tries: int
    seconds: float
    """All of them together."""
    p95: float
    longest: float
    never: int = 0
    """Tries that never start."""
    queued_run_seconds: float = 0.0
    """How long their runs waited for max_active_runs, all together."""
    run_seconds: float = 0.0
    """How long they ran, all together: where the machines are full, less waiting means longer running."""

    @property
    def mean(self) -> float:
        """Seconds a try."""
        return self.seconds / self.tries if self.tries else 0.0

    @property
    def mean_run(self) -> float:
        """Seconds that a try ran."""
        return self.run_seconds / self.tries if self.tries else 0.0

    @property
    def all_seconds(self) -> float:
        """Of tries and of runs."""
        return self.seconds + self.queued_run_seconds


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """The waits of some tries: as observed, as simulated, and with the change."""

    name: str
    observed: Waits
    before: Waits
    after: Waits
    worst: Waits | None = None
    """With the change, if the machines were full already; None where it is known what they have room for."""

    @property
    def error(self) -> float:
        """By how much the simulation misses what was observed, as a share of it."""
        scale = max(self.observed.all_seconds, LEAST_WAIT * self.observed.tries)
        return (self.before.all_seconds - self.observed.all_seconds) / scale if scale else 0.0


@dataclass(frozen=True, slots=True)
class WhatIfResult:
    """What a change would bring."""

    changes: Sequence[WhatIf]
    scopes: Sequence[ScopeResult]
    """Of the whole Airflow, and of what each change concerns."""
    unknown_waits: int
    """Tries whose wait Airflow does not show."""
    loop_seconds: float
    fitted: FittedSlowdown | None = None
    """How much tries slow each other down."""
    refusal: str = ""
    """Why the simulation cannot say what the change would bring; empty if it can."""

    @property
    def error(self) -> float:
        """The largest error of all scopes."""
        return max((abs(scope.error) for scope in self.scopes), default=0.0)


def compare(
    recording: Recording, timeline: Timeline, changes: Sequence[WhatIf], facts: MachineFacts | None = None
) -> WhatIfResult:
    """Simulate what was recorded with the settings as they were, and with the changes."""
    unknown = sum(one.ready_at is None for one in recording.tries)
    known = len(recording.tries) - unknown
    if known < MIN_TRIES or unknown > MAX_UNKNOWN * len(recording.tries):
        return WhatIfResult(changes, (), unknown, 0.0, refusal=refuse_data(known, unknown))
    facts = facts or MachineFacts()
    fitted = fit_slowdown(recording.tries, facts) if recording.exact else fit_bins(facts.bins)
    recording = replace(recording, starts=find_starts(recording, timeline))
    seen = take_apart(recording, fitted.slowdown)
    timeline = set_loop(timeline, calibrate(seen, timeline, fitted.slowdown))
    changed = [(at, apply_all(changes, one)) for at, one in timeline]
    before, _ = simulate(seen, timeline, fitted.slowdown)
    after, _ = simulate(seen, changed, fitted.slowdown)
    works = (before, after, None if fitted.basis else simulate_full(recording, changed, changes))
    scopes = [measure("all tasks", lambda _: True, works, recording)]
    scopes += [measure(change.name, change.concerns, works, recording) for change in changes if change.object]
    result = WhatIfResult(changes, scopes, unknown, timeline[0][1].loop_seconds, fitted)
    return replace(result, refusal=refuse_error(result))


def simulate_full(recording: Recording, timeline: Timeline, changes: Sequence[WhatIf]) -> Work | None:
    """With the changes, if the machines were full with the most that ran at once of what these concern.

    None where hardly more of it runs at once than before: then it does not matter.
    """
    concerned = {one.dag_id for one in recording.tries if any(change.concerns(one) for change in changes)}
    others = {one.dag_id: 0 for one in recording.tries if one.dag_id not in concerned}
    demand = get_highest_demand(recording.tries, Slowdown(levels=others), USUAL)
    full = Slowdown(demand, None, others)
    work, simulation = simulate(take_apart(recording, full), timeline, full)
    return work if simulation.crowd.get_share_above(BEYOND * demand) > MAX_BEYOND else None


def take_apart(recording: Recording, slowdown: Slowdown) -> Recording:
    """The recording with how long each try, and its start, would have taken alone."""
    if math.isinf(slowdown.capacity):
        return recording
    work = measure_work(recording.tries, slowdown)
    starts = [seconds / factor for seconds, factor in zip(recording.starts, work.factors, strict=True)]
    return replace(recording, alone=work.seconds, starts=starts)


def refuse_data(known: int, unknown: int) -> str:
    """Why there is too little data."""
    if known < MIN_TRIES and not unknown:
        return f"only {known} tries ended in the window: {MIN_TRIES} are needed"
    return (
        f"of {unknown} tries Airflow does not show when they became ready (Airflow 2 never does; nor is it shown of "
        f"deferred tasks), of {known} it does: {MIN_TRIES} are needed, and {1 - MAX_UNKNOWN:.0%} of all"
    )


def refuse_error(result: WhatIfResult) -> str:
    """Why the simulation is not believed; empty if it is."""
    for scope in result.scopes:
        if not scope.observed.tries:
            return f"no try of {scope.name} ended in the window"
        if abs(scope.error) > MAX_ERROR:
            return (
                f"with the settings as they were, the simulated waits of {scope.name} differ from the observed ones by "
                f"{scope.error:+.0%}: more than {MAX_ERROR:.0%}"
            )
    return ""


def simulate(recording: Recording, timeline: Timeline, slowdown: Slowdown) -> tuple[Work, Simulation]:
    """What was recorded, with these settings."""
    work = build_work(recording, find_dependencies(recording.tries), slowdown)
    simulation = Simulation(timeline[0][1], work.tries, changes=timeline[1:], slowdown=slowdown)
    simulation.run()
    return work, simulation


def calibrate(recording: Recording, timeline: Timeline, slowdown: Slowdown) -> float:
    """The time between two looks of the scheduler with which the first part of the window is reproduced best."""
    count = min(MAX_CALIBRATED, int(len(recording.tries) * CALIBRATED_SHARE))
    part = replace(
        recording, tries=recording.tries[:count], starts=recording.starts[:count], alone=recording.alone[:count]
    )

    def get_error(loop_seconds: float) -> float:
        work, _ = simulate(part, set_loop(timeline, loop_seconds), slowdown)
        return abs(measure("", lambda _: True, (work, work, None), part).error)

    return min(LOOPS, key=get_error)


def set_loop(timeline: Timeline, loop_seconds: float) -> Timeline:
    """The settings with another time between two looks of the scheduler."""
    return [(at, replace(settings, loop_seconds=loop_seconds)) for at, settings in timeline]


def measure(
    name: str,
    concerns: Callable[[RecordedTry], bool],
    works: tuple[Work, Work, Work | None],
    recording: Recording,
) -> ScopeResult:
    """The waits of the tries that something concerns and whose real wait is known: before, after, and at worst."""
    places = [
        place
        for place, one in enumerate(recording.tries)
        if one.ready_at is not None and one.ready_at >= recording.begin and concerns(one)
    ]
    tries = [recording.tries[place] for place in places]
    observed = [one.wait_seconds or 0.0 for one in tries]
    ran = sum(one.ended_at - one.started_at for one in tries)
    runs = {(one.dag_id, one.run_id) for one in tries}
    queued = sum(run.started_at - run.queued_at for key, run in recording.runs.items() if key in runs)
    before, after, worst = works
    return ScopeResult(
        name,
        summarize(observed, queued, ran),
        summarize_simulated(before, places),
        summarize_simulated(after, places),
        None if worst is None else summarize_simulated(worst, places),
    )


def summarize_simulated(work: Work, places: Sequence[int]) -> Waits:
    """The simulated waits of some tries and of their runs."""
    tries = [work.tries[place] for place in places]
    runs = {id(one.run): one.run for one in tries}.values()
    queued = sum(run.started_at - run.arrival for run in runs if run.started_at >= 0)
    started = [one.wait_seconds for one in tries if one.started_at >= 0]
    ran = sum(one.ended_at - one.started_at for one in tries if one.ended_at >= 0)
    return summarize(started, queued, ran, len(tries) - len(started))


def summarize(waits: Iterable[float], queued_run_seconds: float, run_seconds: float, never: int = 0) -> Waits:
    """Waits in a few numbers."""
    ordered = sorted(waits)
    p95, longest = (ordered[int(len(ordered) * 0.95)], ordered[-1]) if ordered else (0.0, 0.0)
    return Waits(len(ordered), sum(ordered), p95, longest, never, queued_run_seconds, run_seconds)
