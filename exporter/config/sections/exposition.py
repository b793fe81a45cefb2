"""The options of how metrics are exposed."""

from __future__ import annotations

from exporter.config import values
from exporter.config.option import Option
from exporter.config.settings import Settings
from exporter.metrics.family import HistogramForm

DEFAULTS = Settings()
OPTIONS = (
    Option(
        "exposition.birth_hold",
        values.duration_type(0),
        "How long a new counter is exposed as 0 before its value; must be longer than the scrape interval",
        DEFAULTS.birth_hold,
    ),
    Option(
        "exposition.histograms",
        values.choice_type(*HistogramForm),
        "Form of the histograms from Airflow's API and the host, for a Prometheus that asks for protobuf; with native "
        "or both, each task has histograms of its duration and its waits",
        DEFAULTS.histograms,
    ),
)
