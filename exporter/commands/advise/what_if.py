"""`airflow-exporter advise --what-if`: how long tasks would have waited with other settings."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from exporter.commands.advise.observe import (
    Asker,
    ChosenAirflow,
    Progress,
    ReadWindow,
    find_last_moment,
    ignore,
    read_one,
)
from exporter.commands.advise.what_if_notes import MAX_TRIES, describe_data, describe_rules, describe_workers
from exporter.commands.advise.what_if_texts import to_json, to_text
from exporter.tuning.capacity import measure_cpu_of_tasks
from exporter.tuning.knee import collect_bins, collect_blocks, join_series
from exporter.tuning.queries import (
    EXECUTOR,
    HOST_CPU,
    HOST_CPUS,
    MAX_ACTIVE_RUNS,
    MAX_ACTIVE_TASKS,
    POOL_SLOTS,
    RUNNING,
    SLOTS,
    STRETCH,
    TASK_CPUS,
    TRY_CPU,
    WORK,
    WORKER_QUEUES,
)
from exporter.tuning.query import STEP, DataOrigin, SeriesQuery, at_end
from exporter.tuning.series import AirflowHistory
from exporter.tuning.simulation.approximation import approximate, to_dags
from exporter.tuning.simulation.change import WhatIf, parse_change
from exporter.tuning.simulation.comparison import WhatIfResult, compare
from exporter.tuning.simulation.observed import ObservedLimits, ObservedWorker, build_timeline
from exporter.tuning.simulation.recorded import Recording, read_lines
from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.slowdown.fit import MachineFacts

MINUTE = 60.0
WHAT_IF_FORMATS = ("text", "json")
RELEASE = at_end(
    "release", 'max by (version) (airflow_info{airflow="$airflow"})', "the release of Airflow", DataOrigin.API
)
INCREASE = (
    "sum by (dag_id) (max without (instance, pod) "
    '(increase({name}{{airflow="$airflow"}}[1m]) or increase({name}{{airflow="$airflow"}}[2m]) / 2))'
)
"""Of a minute; of two minutes where there is one scrape a minute."""
ENDED = SeriesQuery(
    "ended",
    INCREASE.format(name="airflow_task_tries_total"),
    "tries that ended in a minute",
    DataOrigin.API,
    MINUTE,
)
RUN_SECONDS = SeriesQuery(
    "run_seconds",
    INCREASE.format(name="airflow_task_run_seconds_total"),
    "how long these tries took",
    DataOrigin.API,
    MINUTE,
)
STATES = SeriesQuery(
    "states",
    "sum by (dag_id, pool, queue, state) (max without (instance, pod) "
    '(airflow_task_instances{airflow="$airflow", state=~"scheduled|queued|running"}))',
    "tasks that wait and run",
    DataOrigin.API,
    MINUTE,
)
WORKER_SLOTS_OVER_TIME = SeriesQuery(
    "worker_slots_over_time",
    'max by (worker) (airflow_celery_worker_slots{airflow="$airflow"})',
    "slots of each Celery worker while it answered",
    DataOrigin.CELERY,
)
RANKING_RELEASE = (3, 2)
WORKERS = (WORKER_SLOTS_OVER_TIME, WORKER_QUEUES)
LIMITS = (RELEASE, EXECUTOR, SLOTS, POOL_SLOTS, MAX_ACTIVE_TASKS, MAX_ACTIVE_RUNS, *WORKERS)
TRIES = (ENDED, RUN_SECONDS, STATES)
FACTS = (RUNNING, WORK, STRETCH, TASK_CPUS, HOST_CPU, HOST_CPUS, TRY_CPU)


class WhatIfReport(NamedTuple):
    """The result, with what it was computed from."""

    result: WhatIfResult
    settings: SimulatedSettings
    """Those at the end of the window."""
    notes: Sequence[str]
    """What limits what the data can say."""

    def render(self, form: str) -> str:
        """The text of the report, in one of WHAT_IF_FORMATS."""
        if form == "json":
            return json.dumps(to_json(self.result, self.settings, self.notes), indent=2) + "\n"
        return "\n".join(to_text(self.result, self.settings, self.notes)) + "\n"


def make_what_if(
    client: Asker,
    times: ReadWindow,
    airflow: ChosenAirflow,
    changes: Sequence[str],
    events_file: str,
    report: Progress = ignore,
) -> WhatIfReport:
    """Read the limits and what ran, and simulate it.

    Raises ChangeError for a change that cannot be understood, OSError for a file and PrometheusError for questions.
    """
    parsed = [parse_change(text) for text in changes]
    seen = ask(client, times, airflow, LIMITS + FACTS if events_file else LIMITS + FACTS + TRIES, report)
    limits = get_limits(seen, exact=bool(events_file))
    if events_file:
        recording = read_lines(read_files(Path(events_file)), times.begin, times.end)
    else:
        recording = approximate_tries(seen)
    report(f"simulating {len(recording.tries):,} tries")
    return simulate_changes(limits, recording, parsed, get_facts(seen))


def simulate_changes(
    limits: ObservedLimits, recording: Recording, changes: Sequence[WhatIf], facts: MachineFacts
) -> WhatIfReport:
    """The report on a recording."""
    limits = replace(limits, unseen_queues=find_unseen(recording, limits))
    timeline = build_timeline(limits)
    settings = timeline[-1][1]
    notes = [
        *describe_data(recording, settings, changes),
        *describe_workers(limits, changes),
        *describe_rules(recording, limits, changes),
    ]
    recording.keep_newest(MAX_TRIES)
    return WhatIfReport(compare(recording, timeline, changes, facts), settings, notes)


def find_unseen(recording: Recording, limits: ObservedLimits) -> frozenset[str]:
    """Queues of which no worker was seen, though their tries ran."""
    if not limits.workers or not all(worker.queues for worker in limits.workers):
        return frozenset()
    served = frozenset().union(*(worker.queues for worker in limits.workers))
    return frozenset(one.queue for one in recording.tries) - served


def ask(
    client: Asker, times: ReadWindow, airflow: ChosenAirflow, queries: Sequence[SeriesQuery], report: Progress
) -> AirflowHistory:
    """The answers to some questions."""
    seen = AirflowHistory(airflow.name, times.begin, times.end, labels=airflow.labels)
    at = find_last_moment(client.query_range(seen.fill(RUNNING), times.begin, times.end, STEP), times)
    answers = {}
    for number, query in enumerate(queries, 1):
        report(f"{number}/{len(queries)} {query.meaning}")
        answers[query.name] = read_one(client, times, query, seen.fill(query), at)
    return replace(seen, answers=answers)


def get_limits(seen: AirflowHistory, *, exact: bool) -> ObservedLimits:
    """The limits as they were observed; without those of DAGs where tries are approximated."""
    version = next((series.labels.get("version", "") for series in seen.list(RELEASE)), "")
    release = parse_release(version)
    return ObservedLimits(
        release[0],
        next((series.labels.get("executor", "") for series in seen.list(EXECUTOR)), ""),
        seen.get(SLOTS),
        {series.labels.get("pool", ""): series.points for series in seen.list(POOL_SLOTS)},
        seen.by_dag(MAX_ACTIVE_TASKS) if exact else {},
        seen.by_dag(MAX_ACTIVE_RUNS) if exact else {},
        list_workers(seen),
        ranks_tasks_of_runs=release >= RANKING_RELEASE,
    )


def list_workers(seen: AirflowHistory) -> list[ObservedWorker]:
    """The workers of Celery, with their slots while they answered and the queues that they consumed."""
    queues: defaultdict[str, set[str]] = defaultdict(set)
    for worker, queue in seen.by(WORKER_QUEUES, "worker", "queue"):
        queues[worker].add(queue)
    return [
        ObservedWorker(name, series.points, frozenset(queues[name]))
        for series in seen.list(WORKER_SLOTS_OVER_TIME)
        for name in [series.labels.get("worker", "")]
    ]


def get_facts(seen: AirflowHistory) -> MachineFacts:
    """What is known of the machines, of the CPU of tries, and of how much longer they take at higher load."""
    room = measure_cpu_of_tasks(seen)
    bins = collect_bins(collect_blocks(join_series(seen.get(RUNNING), seen.get(WORK), seen.get(STRETCH))))
    return MachineFacts(math.inf if room is None else room.available, seen.by_dag(TRY_CPU), bins)


def parse_release(version: str) -> tuple[int, ...]:
    """The first two numbers of a release; 3.0 where it is not known."""
    parts = version.split(".")[:2]
    return tuple(map(int, parts)) if len(parts) == 2 and all(part.isdigit() for part in parts) else (3, 0)


def approximate_tries(seen: AirflowHistory) -> Recording:
    """A recording from series."""

    def by_dag(query: SeriesQuery) -> dict[str, Mapping[float, float]]:
        return {series.labels.get("dag_id", ""): series.points for series in seen.list(query)}

    labels = ("dag_id", "pool", "queue", "state")
    states = {
        (dag_id, pool, queue, state): series.points
        for series in seen.list(STATES)
        for dag_id, pool, queue, state in [[series.labels.get(name, "") for name in labels]]
    }
    return approximate(to_dags(by_dag(ENDED), by_dag(RUN_SECONDS), states))


def read_files(path: Path) -> Iterator[bytes]:
    """The lines of the events file and of those that were renamed, the oldest ones first. Raises OSError."""
    renamed = [one for one in path.parent.glob(f"{path.name}.*") if one.suffix[1:].isdigit()]
    for one in [*sorted(renamed, key=lambda one: -int(one.suffix[1:])), path]:
        with one.open("rb") as file:
            yield from file
