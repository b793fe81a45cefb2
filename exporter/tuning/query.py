"""A question to Prometheus as data: an expression for one Airflow and one window, and what the answer means."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from string import Template
from typing import NamedTuple

STEP = 300.0
"""Seconds between two points: the interval of the rules."""
MINUTE = 60.0


class DataOrigin(Enum):
    """What a series comes from, and what to do where it is missing."""

    RULES = "load prometheus/rules/tuning.yml (`airflow-exporter rules`) and wait for data"
    API = "let the exporter read Airflow's API"
    HOST = "run the exporter with --collector.host on the machines where tasks run"
    STATSD = "send Airflow's StatsD events to the exporter"
    CELERY = "set --celery.broker-url-file, so that the exporter reads the broker"
    DATABASE = "let the exporter read the metadata database"


class SeriesQuery(NamedTuple):
    """One question. `$airflow` stands for the Airflow, `$window` for the time that is looked at, such as 14d."""

    name: str
    expression: str
    meaning: str
    """What the answer is, with its unit; for titles."""
    source: DataOrigin
    step: float | None = STEP
    """Seconds between points; None for one value at the end of the window."""

    def fill(self, airflow: str, window: str, labels: Mapping[str, str] | None = None) -> str:
        """The expression for an Airflow, of which further labels may be given, and a window."""
        further = (f'", {name}="{escape(value)}' for name, value in (labels or {}).items())
        return Template(self.expression).substitute(airflow=escape(airflow) + "".join(further), window=window)


def escape(value: str) -> str:
    """The value of a label as PromQL writes it between quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def over_time(name: str, series: str, meaning: str, source: DataOrigin, matchers: str = "") -> SeriesQuery:
    """A series as it went."""
    return SeriesQuery(name, f'{series}{{airflow="$airflow"{matchers}}}', meaning, source)


def at_end(name: str, expression: str, meaning: str, source: DataOrigin) -> SeriesQuery:
    """The value at the end of the window, or one that covers all of it."""
    return SeriesQuery(name, expression, meaning, source, None)


def summed(name: str, series: str, meaning: str, source: DataOrigin) -> SeriesQuery:
    """The sum over the window of a series whose steps do not overlap."""
    return at_end(name, f'sum_over_time({series}{{airflow="$airflow"}}[$window])', meaning, source)


def hourly(name: str, series: str, meaning: str, source: DataOrigin) -> SeriesQuery:
    """The sum over the window of what is recorded every minute for the hour before."""
    return at_end(name, f'sum_over_time({series}{{airflow="$airflow"}}[$window:1h])', meaning, source)


def changed(name: str, expression: str, meaning: str, source: DataOrigin) -> SeriesQuery:
    """The highest value in the window, of those that changed in it."""
    values = f"({expression})[$window:1h]"
    return at_end(name, f"max_over_time({values}) != min_over_time({values})", meaning, source)
