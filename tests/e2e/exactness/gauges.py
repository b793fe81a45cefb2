"""Compare the gauges of active states with the audit, replayed to the time of each poll.

The database changes between the first and the last request of a poll. So a gauge is compared with the least and the
greatest true value in that time. If nothing changed, the two are equal, and the gauge must have that value.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from tests.e2e.exactness.audit import Poll, polls
from tests.e2e.exactness.database import Database
from tests.e2e.exactness.proxy import Proxy
from tests.e2e.exactness.subject import Exposition, Subject

PAUSE = 4.0
IDLE_SECONDS = 1.0
"""Seconds without a request after which the last poll is considered complete and shown."""
MAX_COMMIT_DELAY = 1.5
"""Seconds by which a commit may follow the change that the audit recorded, at most."""
RUNS_ACTIVE = ("queued", "running")
TIS_ACTIVE = (
    "scheduled",
    "queued",
    "running",
    "restarting",
    "deferred",
    "up_for_retry",
    "up_for_reschedule",
    "awaiting_input",
)

Key = tuple[str, ...]
ENDPOINTS = {
    "airflow_task_instances": "/taskInstances",
    "airflow_dag_runs": "/dagRuns",
    "airflow_pool_occupied_slots": "/pools",
    "airflow_pool_waiting_slots": "/pools",
}
READERS = {"/taskInstances": "tasks", "/dagRuns": "runs", "/pools": "pools"}
LABELS = {
    "airflow_task_instances": ("dag_id", "pool", "queue", "state"),
    "airflow_dag_runs": ("dag_id", "run_type", "state"),
    "airflow_pool_occupied_slots": ("pool", "state"),
    "airflow_pool_waiting_slots": ("pool",),
}


class Sample(NamedTuple):
    """One scrape, and for each endpoint the poll that it shows."""

    at: float
    exposition: Exposition
    polls: dict[str, Poll]


class Check(NamedTuple):
    """One gauge series of one scrape: the value shown and its bounds."""

    at: float
    family: str
    labels: Key
    shown: float
    least: float
    most: float

    @property
    def right(self) -> bool:
        """Whether the value is within its bounds."""
        return self.least <= self.shown <= self.most


class Sampler:
    """Scrapes the exporter regularly, but only between two polls."""

    def __init__(self, subject: Subject, proxy: Proxy) -> None:
        self._subject = subject
        self._proxy = proxy
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self.samples: list[Sample] = []

    def start(self) -> None:
        """Start to scrape."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        while not self._over.wait(PAUSE):
            try:
                sample = self.take()
            except (OSError, ValueError):  # the exporter is down, or was killed during the scrape
                continue
            if sample:
                self.samples.append(sample)

    def take(self) -> Sample | None:
        """A sample; None if a poll ran meanwhile."""
        before = self._proxy.exchanges()
        now = time.time()
        if self._proxy.is_busy() or not before or now - before[-1].ended < IDLE_SECONDS:
            return None
        exposition = self._subject.scrape()
        if self._proxy.is_busy() or len(self._proxy.exchanges()) != len(before):
            return None
        newest = {endpoint: polls(before, endpoint, self._subject.unwritten)[-1:] for endpoint in READERS}
        shown = {
            endpoint: found[0]
            for endpoint, found in newest.items()
            if found and self._is_shown(exposition, READERS[endpoint], found[0], now)
        }
        return Sample(now, exposition, shown)

    def _is_shown(self, exposition: Exposition, reader: str, poll: Poll, now: float) -> bool:
        """Whether the reader reports that this poll was its last success; the exporter's clock may be stepped."""
        return poll.began - 1 <= self._subject.last_success(exposition, reader) <= now + 1


def check(samples: Iterable[Sample], database: Database) -> list[Check]:
    """Compare every gauge of every poll, as the first sample after it shows it, with the audit."""
    moments = [_sample_intervals(sample) for sample in samples]
    judged: set[tuple[str, ReadInterval]] = set()
    intervals = sorted({interval for moment in moments for interval in moment.intervals.values()})
    truth = dict(zip(intervals, replay(database, intervals), strict=True))
    checks: list[Check] = []
    for moment in moments:
        for family, interval in moment.intervals.items():
            if (family, interval) not in judged:
                judged.add((family, interval))
                checks += _compare(moment.sample, family, truth[interval][family])
    return checks


ReadInterval = tuple[float, float]
Bounds = dict[Key, tuple[int, int]]


class SampleIntervals(NamedTuple):
    """A sample and, for each family that can be checked, the time in which its values were read."""

    sample: Sample
    intervals: dict[str, ReadInterval]


def _sample_intervals(sample: Sample) -> SampleIntervals:
    intervals = {}
    for family, endpoint in ENDPOINTS.items():
        poll = sample.polls.get(endpoint)
        if poll and poll.sound:
            intervals[family] = (poll.began - MAX_COMMIT_DELAY, poll.ended)
    return SampleIntervals(sample, intervals)


def _compare(sample: Sample, family: str, bounds: Bounds) -> Iterator[Check]:
    shown = {
        tuple(series.label(name) for name in LABELS[family]): value
        for series, value in sample.exposition.items()
        if series.name == family
    }
    for key in sorted({*shown, *bounds}):
        least, most = bounds.get(key, (0, 0))
        yield Check(sample.at, family, key, shown.get(key, 0.0), least, most)


def replay(database: Database, intervals: Sequence[ReadInterval]) -> list[dict[str, Bounds]]:
    """For each interval, sorted by start, the least and the greatest value of every gauge in it."""
    deferring = {row["pool"] for row in database.rows("select pool from slot_pool where include_deferred")}
    changes = list(_changes(database, deferring))
    return [_bounds(changes, interval) for interval in intervals]


class GaugeChange(NamedTuple):
    """One change of a row: the gauges that it increases and those that it decreases."""

    at: float
    ups: tuple[tuple[str, Key, int], ...]
    downs: tuple[tuple[str, Key, int], ...]


def _bounds(changes: Sequence[GaugeChange], interval: ReadInterval) -> dict[str, Bounds]:
    began, ended = interval
    now: Counter[tuple[str, Key]] = Counter()
    extremes: dict[tuple[str, Key], tuple[int, int]] = {}
    opened = False
    for change in changes:
        if change.at > ended:
            break
        if change.at >= began and not opened:
            extremes, opened = {key: (value, value) for key, value in now.items()}, True
        for sign, parts in ((-1, change.downs), (1, change.ups)):
            for family, key, weight in parts:
                now[family, key] += sign * weight
        for family, key, _ in (*change.downs, *change.ups) if opened else ():
            low, high = extremes.get((family, key), (0, 0))
            value = now[family, key]
            extremes[family, key] = (min(low, value), max(high, value))
    return _by_family(extremes if opened else {key: (value, value) for key, value in now.items()})


def _by_family(extremes: dict[tuple[str, Key], tuple[int, int]]) -> dict[str, Bounds]:
    found: dict[str, Bounds] = {family: {} for family in ENDPOINTS}
    for (family, key), bounds in extremes.items():
        found[family][key] = bounds
    return found


def _changes(database: Database, deferring: set[str]) -> Iterator[GaugeChange]:
    """Every committed change of an active state, as the gauges see it."""
    query = """
        select extract(epoch from at)::float8 as at, operation, dag_id, run_id, task_id, map_index::text,
               state, pool, pool_slots, queue, null as run_type, seq from e2e_ti
        union all
        select extract(epoch from at)::float8, operation, dag_id, run_id, '', '', state, '', 0, '', run_type, seq
        from e2e_run order by seq
    """
    held: dict[tuple[Any, ...], tuple[tuple[str, Key, int], ...]] = {}
    for row in database.rows(query):
        key = (row["dag_id"], row["run_id"], row["task_id"], row["map_index"])
        after = () if row["operation"] == "delete" else tuple(_weights(row, deferring))
        before = held.get(key, ())
        if before != after:
            yield GaugeChange(row["at"], after, before)
        held[key] = after


def _weights(row: dict[str, Any], deferring: set[str]) -> Iterator[tuple[str, Key, int]]:
    """What one row adds to the gauges."""
    state = row["state"]
    if row["run_type"] is not None:
        if state in RUNS_ACTIVE:
            yield "airflow_dag_runs", (row["dag_id"], row["run_type"], state), 1
        return
    if state not in TIS_ACTIVE:
        return
    yield "airflow_task_instances", (row["dag_id"], row["pool"], row["queue"], state), 1
    if state in ("running", "queued") or (state == "deferred" and row["pool"] in deferring):
        yield "airflow_pool_occupied_slots", (row["pool"], state), row["pool_slots"]
    if state == "scheduled":
        yield "airflow_pool_waiting_slots", (row["pool"],), row["pool_slots"]
