"""Whether there is room for more tasks at the moments at which tasks wait for a limit."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from exporter.tuning.advice import format_number
from exporter.tuning.capacity import find_task_machines
from exporter.tuning.queries import HOST_CPU, HOST_MEMORY, RUNNING
from exporter.tuning.query import SeriesQuery
from exporter.tuning.questions.load import get_ceiling
from exporter.tuning.questions.surroundings import describe_surroundings
from exporter.tuning.series import AirflowHistory, quantile, take_largest, take_smallest

FULL = 0.95
"""Share in use above which a machine has no room."""


class Headroom(NamedTuple):
    """What more tasks at once would meet."""

    slots: float | None
    """Tasks that parallelism leaves room for; None where that is not known or unlimited."""
    is_machine_full: bool | None
    """None where no machine was seen."""
    text: str


def measure_headroom(seen: AirflowHistory, moments: Collection[float]) -> Headroom:
    """The room at these moments."""
    at = set(moments)
    slots = count_free_slots(seen, at)
    states = [one for query in (HOST_CPU, HOST_MEMORY) if (one := is_full(seen, query, at)) is not None]
    left = "" if slots is None else f"Parallelism leaves {format_number(slots)} slots at these times. "
    text = f"{left}What is behind the limit must have room: {describe_surroundings(seen, at)}"
    return Headroom(slots, any(states) if states else None, text)


def count_free_slots(seen: AirflowHistory, moments: set[float]) -> float | None:
    """Slots that are free in nine tenths of these moments; with fewer tasks as advised, in half of them."""
    running = [value for moment, value in seen.get(RUNNING).items() if moment in moments]
    limits = ((get_ceiling(seen), 0.9), (seen.advised_slots, 0.5))
    free = [limit - quantile(running, share) for limit, share in limits if limit is not None and running]
    return max(0.0, min(free)) if free else None


def is_full(seen: AirflowHistory, query: SeriesQuery, moments: set[float]) -> bool | None:
    """Whether no machine for tasks has room, or one that all need has none; None where none was seen."""
    machines, series = find_task_machines(seen), seen.list(query)
    workers = take_smallest(one for one in series if one.labels.get("instance") in machines)
    others = take_largest(one for one in series if one.labels.get("instance") not in machines)
    used = [
        quantile(values, 0.5)
        for points in (workers, others)
        if (values := [value for moment, value in points.items() if moment in moments])
    ]
    return max(used) > FULL if used else None
