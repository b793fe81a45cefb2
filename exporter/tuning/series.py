"""Series as Prometheus answers them, as plain data, and what advice asks of them. Nothing here does I/O."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.tuning.queries import QUERIES, RUNNING
from exporter.tuning.query import STEP, SeriesQuery

HOUR = 3600.0
DAY = 24 * HOUR
AT_END = frozenset(query.name for query in QUERIES if query.step is None)


@dataclass(frozen=True, slots=True)
class PointSeries:
    """One series: values at times in Unix seconds. A query at the end of the window has one point."""

    labels: Mapping[str, str]
    points: Mapping[float, float]

    def during(self, moments: Collection[float]) -> PointSeries:
        """The points at these moments."""
        return PointSeries(self.labels, {moment: value for moment, value in self.points.items() if moment in moments})

    @property
    def last(self) -> float:
        """The newest value."""
        return self.points[max(self.points)]


@dataclass(frozen=True, slots=True)
class AirflowHistory:
    """The answers to all questions about one Airflow over one window."""

    airflow: str
    begin: float
    end: float
    answers: Mapping[str, Sequence[PointSeries]] = field(default_factory=dict)
    """By the name of the query."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Further labels that tell it from others of the same name."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a query was not answered, by its name."""
    warnings: Sequence[str] = ()
    """What Prometheus said beside its answers, for example that some of its stores did not answer."""
    advised_slots: float | None = None
    """Tasks that are to run at once, where that is fewer than now: other limits leave it at that."""
    asked: set[str] = field(default_factory=set, compare=False)
    """Names of the queries whose answers were looked at, here or in a part of the time."""

    @property
    def window(self) -> str:
        """The window as PromQL writes it."""
        seconds = self.end - self.begin
        for unit, size in (("d", DAY), ("h", HOUR)):
            if seconds >= size and seconds % size == 0:
                return f"{seconds / size:.0f}{unit}"
        return f"{seconds:.0f}s"

    @property
    def observed_seconds(self) -> float:
        """For how long it is known what ran."""
        return len(self.get(RUNNING)) * STEP

    def during(self, moments: Collection[float]) -> AirflowHistory:
        """What was seen at these moments only; values at the end of the window stay."""
        answers = {
            name: series if name in AT_END else [one.during(moments) for one in series]
            for name, series in self.answers.items()
        }
        return replace(self, answers=answers)

    def list(self, query: SeriesQuery) -> Sequence[PointSeries]:
        """All series of an answer."""
        self.asked.add(query.name)
        return self.answers.get(query.name, ())

    def get(self, query: SeriesQuery, **labels: str) -> Mapping[float, float]:
        """The points of the first series with these labels; nothing where there is none."""
        for series in self.list(query):
            if all(series.labels.get(name) == value for name, value in labels.items()):
                return series.points
        return {}

    def get_last(self, query: SeriesQuery) -> float | None:
        """The newest value of the first series."""
        found = self.list(query)
        return found[0].last if found and found[0].points else None

    def by(self, query: SeriesQuery, *names: str) -> dict[tuple[str, ...], float]:
        """The newest values, added up by labels."""
        found: dict[tuple[str, ...], float] = defaultdict(float)
        for series in self.list(query):
            if series.points and not math.isnan(series.last):
                found[tuple(series.labels.get(name, "") for name in names)] += series.last
        return dict(found)

    def by_dag(self, query: SeriesQuery) -> dict[str, float]:
        """The newest values, added up by DAG."""
        return {dag_id: value for (dag_id,), value in self.by(query, "dag_id").items()}

    def show(self, *queries: SeriesQuery) -> tuple[str, ...]:
        """The PromQL with which anybody sees the same."""
        return tuple(self.fill(query) for query in queries)

    def fill(self, query: SeriesQuery, **labels: str) -> str:
        """The PromQL of a query, for series with these labels."""
        return query.fill(self.airflow, self.window, {**self.labels, **labels})


def find_present(points: Mapping[float, float]) -> Collection[float]:
    """The moments at which a limit was what it is now."""
    present = points[max(points)] if points else None
    return {moment for moment, value in points.items() if value == present}


def add_up(series: Iterable[PointSeries]) -> dict[float, float]:
    """The sum of several series at each moment at which one of them has a value."""
    return reduce_moments(series, sum)


def take_largest(series: Iterable[PointSeries]) -> dict[float, float]:
    """The largest value at each moment."""
    return reduce_moments(series, max)


def take_smallest(series: Iterable[PointSeries]) -> dict[float, float]:
    """The smallest value at each moment."""
    return reduce_moments(series, min)


def reduce_moments(series: Iterable[PointSeries], reduce: Callable[[list[float]], float]) -> dict[float, float]:
    """One value for each moment."""
    moments: dict[float, list[float]] = defaultdict(list)
    for one in series:
        for moment, value in one.points.items():
            if not math.isnan(value):
                moments[moment].append(value)
    return {moment: reduce(values) for moment, values in moments.items()}


def integrate(points: Mapping[float, float], step: float = STEP) -> float:
    """Seconds, of a number of things over time."""
    return sum(value for value in points.values() if not math.isnan(value)) * step


def quantile(values: Iterable[float], share: float) -> float:
    """A quantile, interpolated. Raises ValueError without values."""
    ordered = sorted(value for value in values if not math.isnan(value))
    if not ordered:
        raise ValueError("no values")
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def weighted_quantile(pairs: Iterable[tuple[float, float]], share: float) -> float:
    """The value up to which this share of the weight lies; pairs of value and weight. Raises ValueError without any."""
    ordered = sorted(pair for pair in pairs if pair[1] > 0)
    if not ordered:
        raise ValueError("no values")
    wanted, passed = share * sum(weight for _, weight in ordered), 0.0
    for value, weight in ordered:
        passed += weight
        if passed >= wanted:
            return value
    return ordered[-1][0]


def median(values: Iterable[float]) -> float:
    """The middle value. Raises ValueError without values."""
    return quantile(values, 0.5)
