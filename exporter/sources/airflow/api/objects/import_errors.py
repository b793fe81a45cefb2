"""Import errors: DAG files that Airflow could not import."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Moment, RowDecoder, Text, to_seconds
from exporter.sources.airflow.http.endpoints import Resource

IMPORT_ERRORS = Resource(
    "importErrors",
    "ImportError",
    v1="/importErrors",
    v2="/importErrors",
    operation="ImportErrorApi.get_import_errors",
)


class ImportErrorRow(msgspec.Struct, gc=False):
    """An import error as both releases send it. Its stack trace is not read: it may hold secrets."""

    filename: Text = None
    bundle_name: Text = None
    timestamp: Moment = None


class BrokenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG file that could not be imported."""

    file: str
    bundle: str = ""
    timestamp: float | None = None


def to_broken_file(row: ImportErrorRow) -> BrokenFile:
    """A broken file from a row; the bundle is empty on 2.x."""
    return BrokenFile(file=row.filename or "", bundle=row.bundle_name or "", timestamp=to_seconds(row.timestamp))


LIST = ListSpec(
    IMPORT_ERRORS,
    RowDecoder("import_errors", ImportErrorRow, to_broken_file),
    lambda file: (file.bundle, file.file),
)


def read_import_errors(api: ApiBase) -> Sequence[BrokenFile]:
    """Every broken file. Raises ReaderError."""
    if api.major >= 3:
        return api.read_all(LIST, {"order_by": ["id"]})
    return api.read_all(replace(LIST, identify=lambda file: file.file), {})


CHECK = CheckStep("import errors", IMPORT_ERRORS, read_import_errors, count("file"))
