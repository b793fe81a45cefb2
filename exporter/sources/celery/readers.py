"""The readers of Celery: the queues in the broker, and the workers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from exporter.diagnosis.situation import Workers
from exporter.metrics.catalogue import celery
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.celery.broker_reading import BrokerReading
from exporter.sources.celery.workers import QUEUES, WorkerReading, WorkersReading, list_queues
from exporter.sources.directory import Directory

GONE_SECONDS = 3600.0
"""How long a worker that no longer answers is exposed as down."""
MISSED_READINGS = 2.5
"""Intervals of the reader without an answer after which a worker is down: one answer may be late."""
CONFIG_SECONDS = 3600.0
"""Seconds between two questions for the configuration of a worker."""


class CeleryApi(Protocol):
    """What the readers need of the broker. Every method raises ReaderError."""

    def read_queues(self, queues: Iterable[str]) -> BrokerReading:
        """The queues that exist, and the broker."""

    def read_workers(self) -> WorkersReading:
        """The workers that answer."""

    def read_transport_options(self, worker: str) -> Mapping[str, Any] | None:
        """The broker_transport_options that a worker is configured with; None where it does not answer."""


@dataclass(slots=True)
class CeleryState:
    """What one reader finds out that the other needs."""

    directory: Directory
    queues: Collection[str] = ()
    """Queues that are configured, beside those that task instances and workers name."""
    consumed: set[str] = field(default_factory=set)
    """Queues that workers consume."""

    def list_queues(self) -> set[str]:
        """All queues that are known."""
        return {*self.queues, *self.consumed, *self.directory.queues}


class QueuesReader:
    """Reads how many messages wait in each queue."""

    name = "queues"
    help = "Queues of Celery's broker, and the broker itself"
    families: Sequence[Family] = tuple(one for one in celery.FAMILIES if one.reader == "queues")

    def __init__(self, api: CeleryApi, state: CeleryState, interval: float) -> None:
        self.interval = interval
        self._api = api
        self._state = state

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        queues = self._state.list_queues()
        reading = self._api.read_queues(queues)
        missing = sorted(queues - reading.queues.keys() - reading.unreadable.keys())
        notes = [f"{len(reading.queues)} queues, answered in {reading.response_seconds * 1000:.1f} ms"]
        if missing:
            notes.append("queues that do not exist in the broker yet: " + ", ".join(missing[:10]))
        unanswered = [f"queue {queue}: {message}" for queue, message in reading.unreadable.items()]
        return Reading(queue_tables(reading), notes=notes, unanswered=unanswered)


class WorkersReader:
    """Asks the workers which queues they consume and what they run."""

    name = "workers"
    help = "Celery's workers: queues, slots, running and reserved tasks"
    families: Sequence[Family] = tuple(one for one in celery.FAMILIES if one.reader == "workers")

    def __init__(
        self, api: CeleryApi, state: CeleryState, interval: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.interval = interval
        self._api = api
        self._state = state
        self._clock = clock
        self._seen: dict[str, tuple[float, WorkerReading]] = {}
        self._visibility_timeout: float | None = None
        self._configured_at: float | None = None

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        answering, unanswered = self._api.read_workers()
        now = self._clock()
        limit = MISSED_READINGS * self.interval
        if QUEUES in unanswered:  # those whose answer was not waited for are not gone
            self._seen |= {name: (now, one) for name, (moment, one) in self._seen.items() if now - moment <= limit}
        for worker in answering:
            self._seen[worker.name] = (now, self._complete(worker))
        self._seen = {name: seen for name, seen in self._seen.items() if now - seen[0] <= GONE_SECONDS}
        up = {name: now - moment <= limit for name, (moment, _) in self._seen.items()}
        live = [worker for name, (_, worker) in self._seen.items() if up[name]]
        self._state.consumed = list_queues(live)
        self._read_visibility_timeout(answering, now)
        # Heartbeats do not name queues: then no queue is said to have no worker.
        knows_queues = not live or any(worker.queues for worker in live)
        self._state.directory.set_workers(sum_by_queue(live) if knows_queues else None)
        used = self._state.list_queues() if knows_queues else set()
        tables = worker_tables([worker for _, worker in self._seen.values()], up, used)
        if self._visibility_timeout is not None:
            tables[celery.VISIBILITY_TIMEOUT] = {(): self._visibility_timeout}
        return Reading(tables, notes=list_notes(len(answering), len(self._seen) - len(live), unanswered))

    def _complete(self, worker: WorkerReading) -> WorkerReading:
        """What is not said is that of the last answer: a heartbeat names neither queues nor slots."""
        known = self._seen.get(worker.name)
        if known is None:
            return worker
        slots = known[1].slots if worker.slots is None else worker.slots
        return worker._replace(queues=worker.queues or known[1].queues, slots=slots)

    def _read_visibility_timeout(self, answering: Sequence[WorkerReading], now: float) -> None:
        due = self._configured_at is None or now - self._configured_at >= CONFIG_SECONDS
        asked = next((worker.name for worker in answering if worker.queues), None)
        options = self._api.read_transport_options(asked) if due and asked is not None else None
        if options is not None:  # without an answer the last one stays, and the next reading asks again
            found = options.get("visibility_timeout")
            self._configured_at = now
            self._visibility_timeout = float(found) if isinstance(found, int | float) else None


def list_notes(answering: int, gone: int, unanswered: Sequence[str]) -> list[str]:
    """What the page /sources says of the workers."""
    notes = [f"{answering} workers answer, {gone} are gone"]
    if unanswered:
        notes.append(f"not all answers to {', '.join(unanswered)} came within half of --celery.interval: lengthen it")
    return notes


def queue_tables(reading: BrokerReading) -> dict[Family, dict[Labels, float]]:
    """The families of queues and broker."""
    single = {
        celery.UNACKNOWLEDGED: reading.unacknowledged,
        celery.OLDEST_UNACKNOWLEDGED: reading.oldest_unacknowledged,
        celery.BROKER_MEMORY: reading.memory,
        celery.BROKER_MEMORY_LIMIT: reading.memory_limit,
        celery.BROKER_RESPONSE: reading.response_seconds,
    }
    depths = reading.queues.items()
    return {
        celery.QUEUE_MESSAGES: {(queue,): depth.messages for queue, depth in depths},
        celery.QUEUE_CONSUMERS: {(queue,): depth.consumers for queue, depth in depths if depth.consumers is not None},
        **{family: {} if value is None else {(): value} for family, value in single.items()},
    }


def worker_tables(
    workers: Sequence[WorkerReading], up: Mapping[str, bool], queues: Iterable[str]
) -> dict[Family, dict[Labels, float]]:
    """The families of workers; `queues` are those that are exposed even if no worker consumes them."""
    serving = Counter(queue for worker in workers if up[worker.name] for queue in worker.queues)
    return {
        celery.WORKERS: {(queue,): serving[queue] for queue in {*queues, *serving}},
        celery.WORKER_UP: {(worker.name,): float(up[worker.name]) for worker in workers},
        celery.WORKER_SLOTS: {(one.name,): one.slots for one in workers if one.slots is not None and up[one.name]},
        celery.WORKER_QUEUE: {(one.name, queue): 1 for one in workers if up[one.name] for queue in one.queues},
        celery.WORKER_ACTIVE: {(one.name,): one.active for one in workers if one.active is not None},
        celery.WORKER_RESERVED: {(one.name,): one.reserved for one in workers if one.reserved is not None},
        celery.HELD: {(queue,): tasks for queue, tasks in count_held(one for one in workers if up[one.name]).items()},
        celery.VISIBILITY_TIMEOUT: {},
    }


def count_held(live: Iterable[WorkerReading]) -> dict[str, int]:
    """For each queue the tasks that busy workers have reserved while another worker of the queue has a free slot."""
    serving: dict[str, list[WorkerReading]] = {}
    for worker in live:
        for queue in worker.queues:
            serving.setdefault(queue, []).append(worker)
    held: dict[str, int] = {}
    for queue, workers in serving.items():
        idle = any(not is_busy(worker) and not worker.reserved for worker in workers)
        held[queue] = sum(worker.reserved or 0 for worker in workers if is_busy(worker)) if idle else 0
    return held


def is_busy(worker: WorkerReading) -> bool:
    """Whether all slots of a worker are in use, or it is not known."""
    return worker.slots is None or worker.active is None or worker.active >= worker.slots


def sum_by_queue(live: Iterable[WorkerReading]) -> dict[str, Workers]:
    """For each queue the slots of its workers, and how many of them are busy."""
    slots: Counter[str] = Counter()
    busy: Counter[str] = Counter()
    for worker in live:
        for queue in worker.queues:
            slots[queue] += worker.slots or 0
            busy[queue] += worker.active or 0
    return {queue: Workers(slots[queue], busy[queue]) for queue in slots}
