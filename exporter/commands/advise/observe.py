"""Reads all series that advice needs, and says how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from exporter.commands.advise.prometheus import PrometheusError
from exporter.tuning.queries import QUERIES, RUNNING, SeriesQuery
from exporter.tuning.series import AirflowHistory, PointSeries

FIND_AIRFLOWS = (
    "group by (airflow) (last_over_time(airflow:running_tasks:mean5m[{window}])) or group by (airflow) (airflow_info)"
)


class Asker(Protocol):
    """Answers questions."""

    def query(self, expression: str, at: float) -> list[PointSeries]: ...
    def query_range(self, expression: str, begin: float, end: float, step: float) -> list[PointSeries]: ...


@dataclass(frozen=True, slots=True)
class ReadWindow:
    """The time that is looked at, in Unix seconds."""

    begin: float
    end: float


def find_airflow(client: Asker, window: ReadWindow, name: str) -> str:
    """The Airflow to look at: the named one, or the only one. Raises PrometheusError where it is not clear."""
    seconds = f"{window.end - window.begin:.0f}s"
    found = sorted(
        {one.labels.get("airflow", "") for one in client.query(FIND_AIRFLOWS.format(window=seconds), window.end)}
    )
    if name and name not in found:
        known = ", ".join(found) or "none"
        raise PrometheusError(f"no series with airflow={name!r} in the window; there are: {known}")
    if name:
        return name
    if not found:
        raise PrometheusError(
            "no series of an Airflow in the window: load prometheus/rules/tuning.yml (`airflow-exporter rules`), and "
            "give the exporter's target the label airflow"
        )
    if len(found) > 1:
        raise PrometheusError(f"several Airflows: choose one with --airflow: {', '.join(found)}")
    return found[0]


def read_observations(
    client: Asker, window: ReadWindow, airflow: str, report: Callable[[str], None]
) -> tuple[AirflowHistory, list[str]]:
    """Ask all questions; the observations, and what could not be read. Raises PrometheusError if the first fails."""
    seen = AirflowHistory(airflow, window.begin, window.end)
    answers: dict[str, list[PointSeries]] = {}
    problems: list[str] = []
    for number, query in enumerate(QUERIES, 1):
        report(f"{number}/{len(QUERIES)} {query.meaning}")
        try:
            answers[query.name] = read_one(client, window, query, query.fill(airflow, seen.window))
        except PrometheusError as error:
            if query is RUNNING:
                raise
            problems.append(f"{query.meaning}: {error}")
    return AirflowHistory(airflow, window.begin, window.end, answers), problems


def read_one(client: Asker, window: ReadWindow, query: SeriesQuery, expression: str) -> list[PointSeries]:
    """The answer to one question."""
    if query.step is None:
        return client.query(expression, window.end)
    return client.query_range(expression, window.begin, window.end, query.step)
