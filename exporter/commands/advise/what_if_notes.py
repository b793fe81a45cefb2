"""What limits what `advise --what-if` can say: notes on the data, on workers, and on rules that are not simulated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from exporter.tuning.simulation.change import WhatIf
from exporter.tuning.simulation.observed import ObservedLimits
from exporter.tuning.simulation.recorded import Recording
from exporter.tuning.simulation.settings import SimulatedSettings

MAX_TRIES = 300_000
"""Tries that are simulated, the newest ones: more would take minutes."""
APPROXIMATED = (
    "there is no --events.file: the tries are approximated from series, with the average duration of their DAG, and "
    "without what they follow. What changes is only roughly right; max_active_tasks and max_active_runs are left out"
)


def describe_data(recording: Recording, settings: SimulatedSettings, changes: Sequence[WhatIf]) -> Iterator[str]:
    """What limits what the data can say."""
    if not recording.exact:
        yield APPROXIMATED
    if len(recording.tries) > MAX_TRIES:
        yield f"{len(recording.tries):,} tries ended in the window; the newest {MAX_TRIES:,} are simulated"
    if recording.unreadable:
        yield f"{recording.unreadable:,} lines have no start or end, or cannot be read"
    if recording.exact and recording.without_weights:
        yield (
            f"{recording.without_weights:,} tries were written by a release that did not write pool_slots and "
            "priority_weight: both are taken as 1"
        )
    for change in changes:
        if math.isinf(change.get_current(settings)):
            yield f"the value of {change.name} is not known or unlimited: it is taken as unlimited"


def describe_workers(limits: ObservedLimits, changes: Sequence[WhatIf]) -> Iterator[str]:
    """What is not known of Celery's workers."""
    if "Celery" in limits.executor and not limits.workers:
        yield (
            "no worker of Celery was seen: their slots are taken as unlimited. Set --celery.broker-url-file, so that "
            "the exporter reads them"
        )
    elif any(not worker.queues for worker in limits.workers):
        yield "which queues the workers consume is not known: each is taken to consume all"
    if limits.unseen_queues:
        yield (
            f"no worker that consumes {', '.join(sorted(limits.unseen_queues))} was seen: tasks of these queues are "
            "taken to start at once"
        )
    if any(change.setting == "worker_concurrency" and limits.is_local for change in changes):
        yield "the LocalExecutor has no worker_concurrency: change parallelism instead"


def describe_rules(recording: Recording, limits: ObservedLimits, changes: Sequence[WhatIf]) -> Iterator[str]:
    """Rules of Airflow that the simulation does not have."""
    if recording.deferred:
        yield (
            f"{recording.deferred:,} tries were deferred for a part of their time: in the simulation they hold their "
            "slots all the time, so limits look narrower than they are"
        )
    if limits.ranks_tasks_of_runs and any(change.name.startswith("max_active_tasks") for change in changes):
        yield (
            "from Airflow 3.2 on the scheduler looks only at the first max_active_tasks ready tasks of each run; the "
            "simulation looks at all, which differs where a full pool holds up the first ones"
        )
