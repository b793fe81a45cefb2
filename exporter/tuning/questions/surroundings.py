"""What is behind a limit: machines, API, database; and which limit tasks wait for most."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from exporter.tuning.advice import format_hours, format_number
from exporter.tuning.queries import (
    API_SECONDS,
    CRITICAL_SECTION,
    HOST_CPU,
    HOST_MEMORY,
    OBJECT_WAITED,
    PRESSURE,
    RUNNING,
    WORKER_QUEUES,
    WORKER_SLOTS,
)
from exporter.tuning.query import SeriesQuery
from exporter.tuning.series import HOUR, AirflowHistory, PointSeries, integrate, quantile, take_largest

MIN_BINDING = HOUR
"""Seconds waited for a limit, below which it is not worth mention."""
NO_LIMITS = frozenset({"retry_delay", "sensor", "trigger", "human_input", "starting", "scheduler", "not_started"})
"""Reasons that no limit causes."""
BUSY_QUARTER = 0.75
MIN_QUEUE_SHARE = 0.1
"""Of all waiting for workers: queues with less do not count."""
SLOWED, MIN_SLOWED_SECONDS = 2.0, 0.05
"""How many times as long, and how much longer, a request takes where the database or the API server is short."""
SERIES = (
    (HOST_CPU, "CPU", "{:.0%} used"),
    (HOST_MEMORY, "memory", "{:.0%} used"),
    (API_SECONDS, "API", "p95 {:.2f} s"),
    (CRITICAL_SECTION, "critical section", "p95 {:.2f} s"),
)


def describe_surroundings(seen: AirflowHistory, moments: set[float] | None = None) -> str:
    """How machines, API and scheduler stand at these moments, or in the quarter of the time in which most runs."""
    busy = find_busy_moments(seen) if moments is None else moments
    found = [
        f"{name} {form.format(quantile(values, 0.95))}"
        for query, name, form in SERIES
        if (values := pick(seen.list(query), busy))
    ]
    pressure = [
        f"{resource} pressure {quantile(values, 0.95):.0%}"
        for resource in ("cpu", "memory", "io")
        if (values := pick((one for one in seen.list(PRESSURE) if one.labels.get("resource") == resource), busy))
    ]
    known = ", ".join([*found, *pressure])
    if not known:
        return "nothing is known of machines and API; look at them afterwards."
    when = "in the busiest quarter of the time" if moments is None else "at these times"
    return f"{known} {when} (p95, the busiest machine)."


def find_busy_moments(seen: AirflowHistory) -> set[float]:
    """The quarter of the moments at which most tasks run."""
    running = seen.get(RUNNING)
    if not running:
        return set()
    border = quantile(running.values(), BUSY_QUARTER)
    return {moment for moment, value in running.items() if value >= border}


def describe_slowdown(seen: AirflowHistory) -> str:
    """That requests which need the database take much longer while many tasks run; empty where they do not."""
    running = {moment: value for moment, value in seen.get(RUNNING).items() if value > 0}
    if not running:
        return ""
    border = quantile(running.values(), 1 - BUSY_QUARTER)
    quiet = {moment for moment, value in running.items() if value <= border}
    for query, name in ((API_SECONDS, "requests to the API"), (CRITICAL_SECTION, "the scheduler's critical section")):
        before, now = (pick(seen.list(query), moments) for moments in (quiet, find_busy_moments(seen)))
        if not before or not now:
            continue
        low, high = quantile(before, 0.5), quantile(now, 0.5)
        if high >= SLOWED * low and high - low >= MIN_SLOWED_SECONDS:
            return f"{name} take {high:.2f} s (p95) while many tasks run, and {low:.2f} s while few do"
    return ""


def pick(series: Iterable[PointSeries], moments: set[float]) -> list[float]:
    """The largest value over all series at each of these moments."""
    return [value for moment, value in take_largest(series).items() if moment in moments]


def sum_waits(seen: AirflowHistory, query: SeriesQuery = OBJECT_WAITED) -> dict[tuple[str, str], float]:
    """Seconds waited by reason and object."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for series in seen.list(query):
        found[series.labels.get("reason", ""), series.labels.get("object", "")] += integrate(series.points)
    return dict(found)


def rank_limits(seen: AirflowHistory) -> Iterator[tuple[str, str, float]]:
    """Yield reason, object and seconds of the limits that tasks wait for, the longest wait first."""
    waits = sum_waits(seen)
    for (reason, name), seconds in sorted(waits.items(), key=lambda item: -item[1]):
        if reason not in NO_LIMITS:
            yield reason, name, seconds


def find_binding(seen: AirflowHistory) -> str:
    """The limit that tasks wait for most, as a phrase; empty where there is none."""
    for reason, name, seconds in rank_limits(seen):
        if seconds >= MIN_BINDING:
            return f"{reason} ({name}), {format_hours(seconds / HOUR)} in all"
    return ""


def explain_queues(seen: AirflowHistory) -> str:
    """Which queues are waited for and what their workers have, if other workers do not serve them; else empty."""
    workers: dict[str, set[str]] = defaultdict(set)
    for worker, queue in seen.by(WORKER_QUEUES, "worker", "queue"):
        workers[queue].add(worker)
    slots = {worker: count for (worker,), count in seen.by(WORKER_SLOTS, "worker").items()}
    waits = {queue: seconds for (reason, queue), seconds in sum_waits(seen).items() if reason == "workers_full"}
    queues = sorted(name for name, seconds in waits.items() if seconds >= MIN_QUEUE_SHARE * sum(waits.values()))
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
