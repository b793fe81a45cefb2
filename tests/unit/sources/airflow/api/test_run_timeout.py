"""How the time limit of a DAG's runs is read from either release."""

from __future__ import annotations

import json
from typing import cast

import pytest

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.details.run_timeout import read_run_timeout
from tests.unit.sources.airflow.api.test_dependencies import FakeApi


def read(body: bytes) -> float | None:
    return read_run_timeout(cast("ApiBase", FakeApi(body)), "nightly")


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        ("PT600S", 600.0),
        ("P1DT1.5S", 86_401.5),
        ({"__type": "TimeDelta", "days": 1, "seconds": 30, "microseconds": 500_000}, 86_430.5),
        (None, None),
    ],
)
def test_both_forms_of_a_duration_are_seconds(sent: object, seconds: float | None) -> None:
    assert read(json.dumps({"dag_id": "nightly", "dag_run_timeout": sent}).encode()) == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"dag_run_timeout": "soon"}', b'{"dag_run_timeout": 5}'])
def test_what_is_no_duration_is_an_error(body: bytes) -> None:
    with pytest.raises(ReaderError, match="details of nightly"):
        read(body)
