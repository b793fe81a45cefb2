"""The questions to Prometheus: of series that exist, with labels that they have."""

from __future__ import annotations

import pytest

from exporter.tuning.queries import QUERIES, RETRIED, RUNNING
from exporter.tuning.query import MINUTE, STEP, SeriesQuery
from tests.contract.promql import Labels

LABELS = Labels()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.name)
def test_it_reads_series_and_labels_that_exist(query: SeriesQuery) -> None:
    LABELS.of(query.fill("demo", "14d"))


def test_names_are_unique() -> None:
    assert len({query.name for query in QUERIES}) == len(QUERIES)


def test_steps_are_those_of_the_rules() -> None:
    assert {query.step for query in QUERIES} == {STEP, MINUTE, None}


def test_a_name_with_quotes_stays_a_name() -> None:
    assert RUNNING.fill('a"b\\', "1d") == r'airflow:running_tasks:mean5m{airflow="a\"b\\"}'


def test_further_labels_are_matched_too() -> None:
    found = RUNNING.fill("a", "1d", {"cluster": 'e"ast'})
    assert found == r'airflow:running_tasks:mean5m{airflow="a", cluster="e\"ast"}'


def test_a_window_is_filled_in() -> None:
    assert RETRIED.fill("x", "3d").endswith('{airflow="x"}[3d])')
