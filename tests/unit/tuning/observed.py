"""AirflowHistory built by hand: an Airflow watched for some days, in steps of five minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exporter.tuning.query import STEP, SeriesQuery
from exporter.tuning.series import DAY, HOUR, AirflowHistory, PointSeries

BEGIN = 1_750_000_000.0 // DAY * DAY
"""Midnight."""
Value = float | Callable[[float], float | None]
"""A value that stays, or one for each hour since the beginning; None leaves a gap."""


class Watched:
    """Collects series, then makes observations of them."""

    def __init__(self, days: float = 14) -> None:
        self.days = days
        self._answers: dict[str, list[PointSeries]] = {}

    def add(self, query: SeriesQuery, value: Value, **labels: str) -> Watched:
        """One more series."""
        self._answers.setdefault(query.name, []).append(PointSeries(labels, self._make_points(query, value)))
        return self

    def take(self, other: Watched, without: SeriesQuery) -> Watched:
        """The series of another one, but for those of one query."""
        self._answers = {name: found for name, found in other._answers.items() if name != without.name}
        return self

    def replace(self, query: SeriesQuery, value: Value) -> Watched:
        """Another series in place of all of a query."""
        self._answers.pop(query.name, None)
        return self.add(query, value)

    def _make_points(self, query: SeriesQuery, value: Value) -> Mapping[float, float]:
        if query.step is None:
            assert not callable(value)
            return {self.end: value}
        moments = [BEGIN + query.step * place for place in range(int(self.days * DAY / query.step))]
        found = {moment: value((moment - BEGIN) / HOUR) if callable(value) else value for moment in moments}
        return {moment: one for moment, one in found.items() if one is not None}

    @property
    def end(self) -> float:
        """The end of the window."""
        return BEGIN + self.days * DAY

    def observe(self) -> AirflowHistory:
        """All of it."""
        return AirflowHistory("demo", BEGIN, self.end, self._answers)


def in_hours(
    first: float, last: float, value: float, otherwise: float | None = None
) -> Callable[[float], float | None]:
    """A value between two hours of each day, and another one else."""
    return lambda hour: value if first <= hour % 24 < last else otherwise


def repeat(*values: float) -> Callable[[float], float]:
    """One value after the other, each for five minutes."""
    return lambda hour: values[round(hour * HOUR / STEP) % len(values)]


def unwrap(value: Any) -> Any:
    """The only element."""
    (one,) = value
    return one
