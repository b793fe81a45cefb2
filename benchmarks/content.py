"""Invented metrics of an Airflow of some size, the same for whoever holds them: 50 lines a DAG of ten tasks.

Each holder is one way to keep and to expose them: ours; prometheus-client with metrics that are registered and
kept up to date; prometheus-client with a collector that builds its families anew at each scrape from plain
dictionaries, as exporters that read a database do.
"""

from __future__ import annotations

import gzip
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from exporter.metrics.family import Family

LINES_A_DAG = 50
TASKS = 10
BUCKETS = (0.1, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14400.0, 86400.0)
COUNTERS = {
    "airflow_task_tries": ("Tries that ran", ("dag_id", "task_id")),
    "airflow_task_instances_finished": ("Outcomes reached", ("dag_id", "task_id", "state")),
    "airflow_task_run_seconds": ("Seconds that tries ran", ("dag_id", "task_id")),
}
GAUGES = {
    "airflow_dag_paused": "Whether the DAG is paused",
    "airflow_dag_next_run_timestamp_seconds": "When the DAG runs next",
    "airflow_dag_last_run_end_timestamp_seconds": "When its last run ended",
    "airflow_dag_last_success_timestamp_seconds": "When its last successful run ended",
    "airflow_dag_parse_duration_seconds": "How long its file took to parse",
}
HISTOGRAM = ("airflow_task_duration_seconds", "How long tries ran", ("dag_id",))

Labels = tuple[str, ...]


class Event(NamedTuple):
    """What happened in one DAG since the last poll: growth of counters, new gauges, durations observed."""

    counters: list[tuple[str, Labels, float]]
    gauges: list[tuple[str, Labels, float]]
    durations: list[tuple[Labels, float]]


class Holder(Protocol):
    """One way to keep and to expose the metrics."""

    def apply(self, events: Iterable[Event]) -> None:
        """Take in what happened."""

    def expose(self) -> Iterable[bytes]:
        """The text format."""

    def expose_packed(self) -> Iterable[bytes]:
        """The same with gzip, as the holder's own server does it."""

    def expose_packed_by_zlib(self) -> Iterable[bytes]:
        """The same where nothing faster than zlib is installed."""


def invent(dags: Iterable[int], random: Random) -> Iterator[Event]:
    """Yield what happened in each of these DAGs: every task ran once."""
    for number in dags:
        dag_id = f"team_{number % 17}_pipeline_{number:05d}"
        tasks = [(dag_id, f"step_{task}_extract_and_load") for task in range(TASKS)]
        seconds = [round(random.lognormvariate(3, 2), 6) for _ in tasks]
        tries: list[tuple[str, Labels, float]] = [("airflow_task_tries", task, 1) for task in tasks]
        tries += [("airflow_task_instances_finished", (*task, "success"), 1) for task in tasks]
        tries += [("airflow_task_run_seconds", task, each) for task, each in zip(tasks, seconds, strict=True)]
        now = 1.76e9 + random.random() * 1e6
        states = (int(random.random() < 0.1), round(now) + 600, round(now, 6), round(now, 6), random.random())
        gauges: list[tuple[str, Labels, float]] = [
            (name, (dag_id,), value) for name, value in zip(GAUGES, states, strict=True)
        ]
        yield Event(tries, gauges, [((dag_id,), each) for each in seconds])


class Ours:
    """The exporter's ledger, store and exposition."""

    def __init__(self) -> None:
        from exporter.metrics.family import Family, Kind  # noqa: PLC0415
        from exporter.metrics.reading import Change  # noqa: PLC0415
        from exporter.store import exposition  # noqa: PLC0415 - each holder's process has its own code only
        from exporter.store.ledger import Ledger  # noqa: PLC0415
        from exporter.store.store import Store  # noqa: PLC0415
        from exporter.web import compression  # noqa: PLC0415 - each holder's process has its own code only

        self._exposition, self._compress, self._change = exposition, compression.compress, Change
        self._families = {
            name: Family(f"{name}_total", Kind.COUNTER, text, labels, cap=10**9)
            for name, (text, labels) in COUNTERS.items()
        }
        name, text, labels = HISTOGRAM
        self._duration = Family(name, Kind.HISTOGRAM, text, labels, buckets=BUCKETS, cap=10**9)
        self._gauges = {name: Family(name, Kind.GAUGE, text, ("dag_id",), cap=10**9) for name, text in GAUGES.items()}
        self._ledger = Ledger([*self._families.values(), self._duration], birth_hold=0.0)
        self.store = Store([*self._families.values(), *self._gauges.values(), self._duration])
        for table in self._ledger.tables.values():
            self.store.attach(table)

    def apply(self, events: Iterable[Event]) -> None:
        states: dict[Family, dict[Labels, float]] = {family: {} for family in self._gauges.values()}
        for family, tables in self.store.walk():
            if family in states:
                states[family] = {series.labels: series.cells[0] for table in tables for series in table.series}
        for event in events:
            changes = [self._change(self._families[name], labels, value) for name, labels, value in event.counters]
            changes += [self._change(self._duration, labels, value) for labels, value in event.durations]
            self._ledger.publish(self._ledger.stage(changes))
            for name, labels, value in event.gauges:
                states[self._gauges[name]][labels] = value
        self.store.publish(states)

    def settle(self) -> None:
        """Let every series be exposed as zero and then as it is, as happens to each in its first minute."""
        for _ in range(2):
            for _ in self.expose():
                pass
            self._ledger.publish(self._ledger.stage([]))

    def expose(self) -> Iterator[bytes]:
        return self._exposition.render(self.store, self._exposition.Format.TEXT)

    def expose_packed(self) -> Iterator[bytes]:
        return self._compress(self.expose())

    def expose_packed_by_zlib(self) -> Iterator[bytes]:
        return self._compress(self.expose(), zlib.compressobj)


class Registered:
    """prometheus-client's metrics, registered once and kept up to date."""

    def __init__(self) -> None:
        from prometheus_client import (  # noqa: PLC0415  # noqa: PLC0415
            CollectorRegistry,
            Counter,
            Gauge,
            Histogram,
            disable_created_metrics,
            generate_latest,
        )

        # A line more for each of its counters and histograms, that we do not expose.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._generate = generate_latest
        self._counters = {
            name: Counter(name, text, labels, registry=self.registry) for name, (text, labels) in COUNTERS.items()
        }
        self._gauges = {name: Gauge(name, text, ("dag_id",), registry=self.registry) for name, text in GAUGES.items()}
        name, text, labels = HISTOGRAM
        self._duration = Histogram(name, text, labels, buckets=BUCKETS, registry=self.registry)

    def apply(self, events: Iterable[Event]) -> None:
        for event in events:
            for name, labels, value in event.counters:
                self._counters[name].labels(*labels).inc(value)
            for name, labels, value in event.gauges:
                self._gauges[name].labels(*labels).set(value)
            for labels, value in event.durations:
                self._duration.labels(*labels).observe(value)

    def expose(self) -> list[bytes]:
        return [self._generate(self.registry)]

    def expose_packed(self) -> list[bytes]:
        return [gzip.compress(body) for body in self.expose()]

    expose_packed_by_zlib = expose_packed


class Collected:
    """Plain dictionaries, and a collector that makes prometheus-client's families of them at each scrape."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, core, generate_latest  # noqa: PLC0415
        from prometheus_client.utils import floatToGoString  # noqa: PLC0415

        self._core, self._generate = core, generate_latest
        self._bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
        self._values: dict[str, dict[Labels, float]] = {name: {} for name in (*COUNTERS, *GAUGES)}
        self._durations: dict[Labels, list[float]] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def apply(self, events: Iterable[Event]) -> None:
        for event in events:
            for name, labels, value in event.counters:
                known = self._values[name]
                known[labels] = known.get(labels, 0) + value
            for name, labels, value in event.gauges:
                self._values[name][labels] = value
            for labels, value in event.durations:
                cells = self._durations.setdefault(labels, [0] * (len(BUCKETS) + 2))
                cells[bisect_left(BUCKETS, value)] += 1
                cells[-1] += value

    def collect(self) -> Iterator[Metric]:
        """Yield families, as prometheus-client asks a collector to."""
        for name, (text, names) in COUNTERS.items():
            counter = self._core.CounterMetricFamily(name, text, labels=names)
            for labels, value in self._values[name].items():
                counter.add_metric(labels, value)
            yield counter
        for name, text in GAUGES.items():
            gauge = self._core.GaugeMetricFamily(name, text, labels=("dag_id",))
            for labels, value in self._values[name].items():
                gauge.add_metric(labels, value)
            yield gauge
        name, text, names = HISTOGRAM
        histogram = self._core.HistogramMetricFamily(name, text, labels=names)
        for labels, cells in self._durations.items():
            counts = list(zip(self._bounds, accumulate(cells[:-1]), strict=True))
            histogram.add_metric(labels, counts, cells[-1])
        yield histogram

    def expose(self) -> list[bytes]:
        return [self._generate(self.registry)]

    def expose_packed(self) -> list[bytes]:
        return [gzip.compress(body) for body in self.expose()]

    expose_packed_by_zlib = expose_packed


HOLDERS: dict[str, type[Ours | Registered | Collected]] = {
    "ours": Ours,
    "registered": Registered,
    "collected": Collected,
}


def fill(name: str, lines: int) -> Ours | Registered | Collected:
    """A holder with that many lines, as it is after its first minute."""
    holder = HOLDERS[name]()
    holder.apply(invent(range(lines // LINES_A_DAG), Random(7)))
    if isinstance(holder, Ours):
        holder.settle()
    return holder
