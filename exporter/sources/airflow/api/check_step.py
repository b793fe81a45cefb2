"""One step of `airflow-exporter check`: an endpoint that a reader needs, and what its reply says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.http.endpoints import Resource


@dataclass(frozen=True, slots=True)
class CheckStep:
    """How an endpoint is tried. `read` raises ReaderError, and returns None where there is nothing to read."""

    title: str
    resource: Resource
    read: Callable[[ApiBase], object]
    describe: Callable[[object], str]
    """Describes what came."""
    hidden: str = ""
    """What to do where `read` returns None; empty where that is fine."""
    optional: bool = False
    """The exporter works without this endpoint: a failure is a note."""


def count(noun: str, one: str = "", several: str = "s") -> Callable[[object], str]:
    """Describes a list by the number of its rows, such as `3 pools`."""

    def describe(found: object) -> str:
        rows = found if isinstance(found, Sequence) else ()
        lost = rows.lost if isinstance(rows, Rows) else 0
        left = f"; {lost} skipped: Airflow answers HTTP 500 for them, or they cannot be decoded" if lost else ""
        return f"{len(rows)} {noun}{one if len(rows) == 1 else several}{left}"

    return describe
