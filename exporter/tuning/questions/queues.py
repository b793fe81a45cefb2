"""Whether tasks wait for the workers of some queues only: more slots of all workers would not help these."""

from __future__ import annotations

from collections import defaultdict

from exporter.tuning.advice import format_hours, format_number
from exporter.tuning.queries import WORKER_QUEUES, WORKER_SLOTS
from exporter.tuning.questions.surroundings import sum_waits
from exporter.tuning.series import HOUR, AirflowHistory

REASON = "workers_full"
MIN_SHARE = 0.1
"""Of all waiting for workers: queues with less do not count."""


def explain_queues(seen: AirflowHistory) -> str:
    """Which queues are waited for and what their workers have, if other workers do not serve them; else empty."""
    workers: dict[str, set[str]] = defaultdict(set)
    for worker, queue in seen.by(WORKER_QUEUES, "worker", "queue"):
        workers[queue].add(worker)
    slots = {worker: count for (worker,), count in seen.by(WORKER_SLOTS, "worker").items()}
    waits = {queue: seconds for (reason, queue), seconds in sum_waits(seen).items() if reason == REASON}
    queues = sorted(name for name, seconds in waits.items() if seconds >= MIN_SHARE * sum(waits.values()))
    serving = set().union(*(workers.get(queue, set()) for queue in queues)) & slots.keys()
    if not serving or serving == slots.keys():
        return ""
    waited = format_hours(sum(waits[queue] for queue in queues) / HOUR)
    have, total = (format_number(sum(slots[name] for name in names)) for names in (serving, slots))
    each = max(slots[name] for name in serving)
    return (
        f"Tasks wait {waited} for workers of queue {', '.join(queues)} only, which have {have} of {total} slots: more "
        f"slots of all workers would not help. Try `--what-if worker_concurrency:{queues[0]}={each * 2:.0f}`, or start "
        "one more worker of that queue."
    )
