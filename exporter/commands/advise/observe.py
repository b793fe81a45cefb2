"""Reads all series that advice needs, and says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from exporter.commands.advise.prometheus import PrometheusError
from exporter.tuning.queries import QUERIES, RUNNING
from exporter.tuning.query import STEP, SeriesQuery
from exporter.tuning.series import AirflowHistory, PointSeries

RECORDED = "last_over_time(airflow:running_tasks:mean5m[{window}])"
EXPOSED = "group by (airflow) (airflow_info)"
"""Where the rules recorded nothing yet."""


@dataclass(frozen=True, slots=True)
class ChosenAirflow:
    """Which Airflow to look at: the value of its label `airflow`, and further labels where several have that name."""

    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


Progress = Callable[[str], None]
"""Called with what is being done."""


def ignore(_: str) -> None:
    """Show no progress."""


class Asker(Protocol):
    """Answers questions."""

    @property
    def warnings(self) -> Iterable[str]: ...
    def query(self, expression: str, at: float) -> list[PointSeries]: ...
    def query_range(self, expression: str, begin: float, end: float, step: float) -> list[PointSeries]: ...


@dataclass(frozen=True, slots=True)
class ReadWindow:
    """The time that is looked at, in Unix seconds."""

    begin: float
    end: float


def find_airflow(client: Asker, window: ReadWindow, chosen: ChosenAirflow) -> ChosenAirflow:
    """The Airflow to look at: the chosen one, or the only one. Raises PrometheusError where it is not clear."""
    seconds = f"{window.end - window.begin:.0f}s"
    recorded = list_airflows(client, RECORDED.format(window=seconds), window)
    found = recorded or list_airflows(client, EXPOSED, window)
    if not found:
        raise PrometheusError(
            "no series of an Airflow in the window: load prometheus/rules/tuning.yml (`airflow-exporter rules`), and "
            "give the exporter's target the label airflow"
        )
    names = sorted({one.get("airflow", "") for one in found})
    if chosen.name and chosen.name not in names:
        raise PrometheusError(f"no series with airflow={chosen.name!r} in the window; there are: {', '.join(names)}")
    if not chosen.name and len(names) > 1:
        raise PrometheusError(f"several Airflows: choose one with --airflow: {', '.join(names)}")
    name = chosen.name or names[0]
    if recorded:
        check_labels(name, [one for one in recorded if one.get("airflow", "") == name], chosen.labels)
    return ChosenAirflow(name, chosen.labels)


def list_airflows(client: Asker, expression: str, window: ReadWindow) -> list[dict[str, str]]:
    """The labels of each Airflow."""
    return [
        {name: value for name, value in one.labels.items() if name != "__name__"}
        for one in client.query(expression, window.end)
    ]


def check_labels(name: str, found: Sequence[Mapping[str, str]], labels: Mapping[str, str]) -> None:
    """Raise PrometheusError if not exactly one Airflow of this name has these labels: advice would mix several."""
    known = [", ".join(f"{key}={value}" for key, value in sorted(one.items()) if key != "airflow") for one in found]
    count = sum(labels.items() <= one.items() for one in found)
    if not count:
        asked = ", ".join(f"{key}={value}" for key, value in labels.items())
        raise PrometheusError(f"no series of Airflow {name} with {asked} in the window; there are: {'; '.join(known)}")
    if count > 1:
        raise PrometheusError(
            f"several Airflows are called {name} (or several copies of one): choose one with --label, as in "
            f"--label=cluster=east: {'; '.join(known)}"
        )


def read_observations(client: Asker, window: ReadWindow, airflow: ChosenAirflow, report: Progress) -> AirflowHistory:
    """Ask all questions; what could not be read is noted. Raises PrometheusError if the first fails."""
    seen = AirflowHistory(airflow.name, window.begin, window.end, labels=airflow.labels)
    running = client.query_range(seen.fill(RUNNING), window.begin, window.end, STEP)
    at = find_last_moment(running, window)
    answers: dict[str, list[PointSeries]] = {RUNNING.name: running}
    failures: dict[str, str] = {}
    for number, query in enumerate(QUERIES, 1):
        report(f"{number}/{len(QUERIES)} {query.meaning}")
        try:
            if query is not RUNNING:
                answers[query.name] = read_one(client, window, query, seen.fill(query), at)
        except PrometheusError as error:
            failures[query.name] = str(error)
    return replace(seen, answers=answers, failures=failures, warnings=list(client.warnings))


def find_last_moment(running: Sequence[PointSeries], window: ReadWindow) -> float:
    """When the Airflow was seen last, the end of the window if it never was.

    A value at one time is asked for then: the exporter may have been down at the end of the window. Of the last step
    some series may be missing already.
    """
    moments = [max(one.points) for one in running if one.points]
    return max(window.begin, max(moments) - STEP) if moments else window.end


def read_one(client: Asker, window: ReadWindow, query: SeriesQuery, expression: str, at: float) -> list[PointSeries]:
    """The answer to one question; where it is a value at one time, at that one."""
    if query.step is None:
        return client.query(expression, at)
    return client.query_range(expression, window.begin, window.end, query.step)
