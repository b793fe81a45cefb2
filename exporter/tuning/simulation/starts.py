"""What the start of each try costs when a worker is free: that part of its wait is not for a slot. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence

from exporter.tuning.simulation.dependencies import TOLERANCE
from exporter.tuning.simulation.recorded import RecordedTry, Recording
from exporter.tuning.simulation.settings import SimulatedSettings

Timeline = Sequence[tuple[float, SimulatedSettings]]
"""Settings with the times from which they held; the first ones held from the start."""


def find_starts(recording: Recording, timeline: Timeline) -> list[float]:
    """Seconds from queued to the start: as long as that took, if a worker was free.

    Of the others it is taken to be what it costs the tenth of all tries that was queued for the shortest time.
    """
    queued = [one.queued_seconds or 0.0 for one in recording.tries]
    usual = sorted(queued)[len(queued) // 10] if queued else 0.0
    free = FreeSlots(recording.tries, timeline)
    return [
        seconds if free.has_one(one.queue, one.started_at - seconds) else min(seconds, usual)
        for one, seconds in zip(recording.tries, queued, strict=True)
    ]


class FreeSlots:
    """How many slots of workers were in use, by what of them share their workers."""

    def __init__(self, tries: Sequence[RecordedTry], timeline: Timeline) -> None:
        self._moments = [at for at, _ in timeline]
        self._settings = [settings for _, settings in timeline]
        self._groups = group_queues({one.queue for one in tries}, self._settings)
        self._begins: defaultdict[frozenset[str], list[float]] = defaultdict(list)
        self._ends: defaultdict[frozenset[str], list[float]] = defaultdict(list)
        for one in tries:
            group = self._groups[one.queue]
            self._begins[group].append(one.started_at - (one.queued_seconds or 0.0))
            self._ends[group].append(one.ended_at)
        for times in (*self._begins.values(), *self._ends.values()):
            times.sort()

    def has_one(self, queue: str, moment: float) -> bool:
        """Whether a slot was free for a try that was queued then."""
        group = self._groups[queue]
        settings = self._settings[max(0, bisect_right(self._moments, moment) - 1)]
        # What was queued in the same look of the scheduler counts, though rounded times differ a little.
        used = bisect_right(self._begins[group], moment + TOLERANCE) - bisect_right(self._ends[group], moment)
        return used <= count_slots(settings, queue, group)


def group_queues(queues: Collection[str], settings: Sequence[SimulatedSettings]) -> dict[str, frozenset[str]]:
    """For each queue those that share workers with it."""
    groups = {queue: {queue} for queue in queues}
    served = {
        frozenset(queue for queue in queues if worker.serves(queue))
        for one in settings
        for worker in one.celery_workers or ()
    }
    if any(one.celery_workers is None for one in settings):
        served.add(frozenset(queues))
    for together in served:
        joined = set().union(*(groups[queue] for queue in together))
        for queue in joined:
            groups[queue] = joined
    return {queue: frozenset(group) for queue, group in groups.items()}


def count_slots(settings: SimulatedSettings, queue: str, group: frozenset[str]) -> float:
    """The slots of the workers of a group; none where some of its queues are not served by all of them.

    There it cannot be said whether a worker of the one queue was free.
    """
    if settings.celery_workers is None:
        workers = settings.get_workers(queue)
        return workers.concurrency * len(workers.machines)
    slots = 0.0
    for worker in settings.celery_workers:
        if worker.serves(queue):
            slots += worker.concurrency
        elif any(worker.serves(one) for one in group):
            return -math.inf
    return slots
