"""Which families are in a source's ledger, and the buckets and the form of its histograms."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.config.settings import Settings
from exporter.metrics.catalogue.api.tasks import TASK_DURATION
from exporter.metrics.catalogue.families import COARSE, FAMILIES
from exporter.metrics.family import Family, HistogramForm, Kind
from exporter.store.store import FamilyTable

BY_NAME = {family.name: family for family in FAMILIES}
NATIVE_SOURCES = frozenset({"airflow", "host"})
"""Sources whose histograms have a native form. Those of StatsD are few, and change with each line."""
NATIVE_CAP = 20_000
"""Histograms per task, of one series each."""


def list_ledger_families(source: str) -> list[Family]:
    """The counters and histograms of a source that are in its ledger.

    Those of StatsD are in live tables, and those of the reader `machine` are the kernel's own counters.
    """
    kernel_reader = {"host": "machine"}.get(source)
    return [
        family
        for family in FAMILIES
        if family.source == source != "statsd" and family.kind is not Kind.GAUGE and family.reader != kernel_reader
    ]


def get_buckets(settings: Settings) -> dict[Family, tuple[float, ...]]:
    """The buckets that differ from the catalogue: as configured, and coarse ones without task labels."""
    coarse = {} if settings.airflow.task_labels else dict.fromkeys(COARSE, ())
    return coarse | {BY_NAME[name]: bounds for name, bounds in settings.buckets.items()}


def get_forms(settings: Settings) -> dict[Family, HistogramForm]:
    """The histograms that have a native form; those with configured buckets do not."""
    if settings.histograms is HistogramForm.CLASSIC:
        return {}
    return {
        family: settings.histograms
        for family in FAMILIES
        if family.kind is Kind.HISTOGRAM and family.source in NATIVE_SOURCES and family.name not in settings.buckets
    }


def get_caps(settings: Settings) -> dict[Family, int]:
    """The caps that differ from the catalogue."""
    native = {TASK_DURATION: NATIVE_CAP} if has_native_tasks(settings) else {}
    return native | {BY_NAME[name]: cap for name, cap in settings.caps.items()}


def mark_native_only(tables: Iterable[FamilyTable], settings: Settings) -> None:
    """Keep histograms per task out of the text formats, unless the configuration chooses their DAGs."""
    for table in tables:
        family = table.family
        table.native_only = family.native_only or (family is TASK_DURATION and has_native_tasks(settings))


def has_native_tasks(settings: Settings) -> bool:
    """Whether every task has a native histogram of its duration."""
    chosen = settings.airflow.task_histograms is not None or TASK_DURATION.name in settings.buckets
    return settings.histograms is not HistogramForm.CLASSIC and not chosen
