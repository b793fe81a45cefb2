"""Usage by tasks: the names of tries, and the changes that are reported for them.

Usage of a try without a name is held back for two rounds of requests for names. Then it counts as `_unknown` forever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from exporter.diagnosis.costs.rows import MemoryGrowth
from exporter.metrics.catalogue.host import task_resources
from exporter.metrics.family import Labels
from exporter.metrics.reading import Change
from exporter.sources.directory import TaskKey
from exporter.sources.host.proc.procfs import TICKS_PER_SECOND
from exporter.sources.host.processes.owners import UNKNOWN_TASK, ResourceUsage, Try
from exporter.sources.host.processes.peak_growth import PeakGrowth

MAX_UNNAMED_POLLS = 2
"""Polls of Airflow during which usage is held back."""
MAX_UNNAMED_SECONDS = 3_600.0
"""Seconds during which usage is held back if Airflow is not polled, or names cannot be requested."""
MAX_TRIES = 20_000
"""If there are more tries, usage of the oldest counts as unknown at once."""
MAX_IDLE_REPORTS = 2
"""Reports for which a try is kept after its last process ended: CPU in its parent may be counted later."""
PEAK_HOURS = 24
SECONDS_PER_HOUR = 3_600.0
MAX_PEAK_TASKS = 20_000
"""Tasks for which peak memory is kept."""


class TaskNames(Protocol):
    """Source of the names of tries."""

    polls: int
    """Number of rounds of requests for names so far."""

    def find_try(self, uuid: str) -> TaskKey | None:
        """The task of the try with this UUID; None if unknown."""

    def record_growth(self, growing: Mapping[tuple[str, str], MemoryGrowth]) -> None:
        """Record how the peak memory of tasks has grown."""


class TryTable:
    """Tries that have processes, or whose usage is not reported yet. Without `names`, no usage is held back."""

    def __init__(
        self,
        names: TaskNames | None,
        label: Callable[[TaskKey], Labels] = tuple,
        clock: Callable[[], float] = time.monotonic,
        on_end: Callable[[Try, float, float], None] = lambda _try, _cpu_seconds, _seconds: None,
    ) -> None:
        """`on_end` is called with each try that ended, its CPU seconds and the seconds for which it was seen."""
        self._on_end = on_end
        self._last_seen: dict[str, float] = {}
        """When a process of each try was last seen, in monotonic seconds."""
        self.peaks = PeakMemory()
        self._growth = PeakGrowth()
        self._names = names
        self._label = label
        self._clock = clock
        self._tries: dict[str, Try] = {}

    def get_or_create(self, key: str, uuid: str, named: TaskKey | None) -> Try:
        """The try with this key, created if new. The empty key is shared by all tries without name and UUID."""
        found = self._tries.get(key)
        if found is None:
            polls = self._names.polls if self._names else 0
            found = self._tries[key] = Try(key, named, uuid=uuid, first_seen=self._clock(), polls=polls)
        return found

    def list_running(self) -> list[Try]:
        """Tries that have processes."""
        return [one for one in list(self._tries.values()) if one.process_count and one.key]

    def note_running(self) -> list[Try]:
        """After each scan: the tries that have processes, which are seen now."""
        running = self.list_running()
        self._last_seen.update(dict.fromkeys((one.key for one in running), self._clock()))
        return running

    def list_unnamed(self) -> list[str]:
        """UUIDs of tries without a name."""
        return [one.uuid for one in list(self._tries.values()) if one.uuid and self._get_task(one) is None]

    def get_labels(self, one: Try) -> Labels | None:
        """Labels of the try's series; None while its name is pending."""
        named = self._get_task(one) or (UNKNOWN_TASK if self._is_abandoned(one) else None)
        return self._label(named) if named else None

    def take_changes(self) -> Iterator[Change]:
        """Usage since the last report, of tries with a name and of those whose name is no longer awaited."""
        surplus = len(self._tries) - MAX_TRIES
        for place, one in enumerate(list(self._tries.values())):
            labels = self.get_labels(one) or (self._label(UNKNOWN_TASK) if place < surplus else None)
            if labels is not None:
                yield from build_usage_changes(one.usage, labels)
                one.usage = ResourceUsage()
                self.peaks.record(labels, one.peak, self._clock())
            one.idle_reports = 0 if one.process_count else one.idle_reports + 1
            if labels is not None and one.idle_reports > MAX_IDLE_REPORTS:
                yield from self._close(one, labels)

    def compute_growth(self) -> dict[Labels, float]:
        """How the peak memory of each task has grown, newest over oldest; recorded for the diagnosis too."""
        growing = self._growth.compute()
        if self._names:
            self._names.record_growth({(labels[0], labels[1]): one for labels, one in growing.items()})
        return {labels: one.ratio for labels, one in growing.items()}

    def _close(self, one: Try, labels: Labels) -> Iterator[Change]:
        del self._tries[one.key]
        last_seen = self._last_seen.pop(one.key, one.first_seen)
        if one.key:
            yield Change(task_resources.TRY_CPU, labels[:1], one.cpu_ticks / TICKS_PER_SECOND)
            self._on_end(one, one.cpu_ticks / TICKS_PER_SECOND, last_seen - one.first_seen)
            if one.peak:
                self._growth.record(labels, one.peak, one.first_seen, last_seen)
                yield Change(task_resources.TRY_PEAK, labels[:1], one.peak)

    def _get_task(self, one: Try) -> TaskKey | None:
        if one.named is None and one.uuid and self._names:
            one.named = self._names.find_try(one.uuid)
        return one.named

    def _is_abandoned(self, one: Try) -> bool:
        if self._names is None:
            return True
        return (
            self._names.polls - one.polls >= MAX_UNNAMED_POLLS or self._clock() - one.first_seen > MAX_UNNAMED_SECONDS
        )


def build_usage_changes(used: ResourceUsage, labels: Labels) -> Iterator[Change]:
    """One change for each resource that was used. CPU is always reported, so that its series exists from the start."""
    yield Change(task_resources.CPU, labels, used.cpu_ticks / TICKS_PER_SECOND)
    for family, value in (
        (task_resources.READ, used.read_bytes),
        (task_resources.WRITTEN, used.written_bytes),
        (task_resources.RECEIVED, used.received),
        (task_resources.SENT, used.sent),
    ):
        if value:
            yield Change(family, labels, value)


class PeakMemory:
    """Peak memory of each task in each hour of the last day."""

    def __init__(self) -> None:
        self._hours: dict[Labels, dict[int, int]] = {}

    def record(self, labels: Labels, peak: int, now: float) -> None:
        """Record the peak of a try, in bytes. 0 means unknown."""
        if not peak:
            return
        hours = self._hours.get(labels)
        if hours is None:
            if len(self._hours) >= MAX_PEAK_TASKS:
                self._hours.pop(next(iter(self._hours)))
            hours = self._hours[labels] = {}
        hour = int(now // SECONDS_PER_HOUR)
        hours[hour] = max(peak, hours.get(hour, 0))

    def build_table(self, now: float) -> dict[Labels, float]:
        """Peaks of the last 24 hours. Tasks without one are removed."""
        oldest = int(now // SECONDS_PER_HOUR) - PEAK_HOURS
        for labels, hours in list(self._hours.items()):
            for hour in [hour for hour in hours if hour < oldest]:
                del hours[hour]
            if not hours:
                del self._hours[labels]
        return {labels: max(hours.values()) for labels, hours in self._hours.items()}
