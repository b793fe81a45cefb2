"""The naming rules hold for every family that can be declared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.family import Family, FamilyError, Kind


def declare(**given_fields: object) -> Family:
    fields: dict[str, object] = {"name": "airflow_dags", "kind": Kind.GAUGE, "help": "DAGs that Airflow knows"}
    return Family(**{**fields, **given_fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": "dags"}, "begins with"),
        ({"name": "airflow_Dags"}, "lower case"),
        ({"name": "airflow_dags\n"}, "lower case"),
        ({"name": "airflow_dags_total"}, "end in _total"),
        ({"kind": Kind.COUNTER}, "end in _total"),
        ({"name": "airflow_info", "kind": Kind.HISTOGRAM, "buckets": (1.0,)}, "_info family is a gauge"),
        ({"help": ""}, "one sentence"),
        ({"help": "DAGs."}, "one sentence"),
        ({"labels": ("Dag",)}, "not a lower case name"),
        ({"labels": ("dag_id\n",)}, "not a lower case name"),
        ({"labels": ("instance",)}, "belongs to the scrape configuration"),
        ({"labels": ("airflow",)}, "belongs to the scrape configuration"),
        ({"labels": ("le",)}, "belongs to the scrape configuration"),
        ({"labels": ("pool", "pool")}, "named twice"),
        ({"closed": {"state": ("failed",)}}, "a label that it does not have"),
        ({"buckets": (1.0,)}, "only they, have buckets"),
        ({"kind": Kind.HISTOGRAM}, "only they, have buckets"),
        ({"kind": Kind.HISTOGRAM, "buckets": (1.0, 1.0)}, "ascend"),
        ({"kind": Kind.HISTOGRAM, "buckets": (2.0, 1.0)}, "ascend"),
        ({"kind": Kind.HISTOGRAM, "buckets": (1.0, float("inf"))}, "finite"),
        ({"kind": Kind.HISTOGRAM, "buckets": (float("nan"),)}, "finite"),
    ],
)
def test_a_declaration_against_the_rules_is_refused(fields: dict[str, object], complaint: str) -> None:
    with pytest.raises(FamilyError, match=complaint):
        declare(**fields)


def test_the_complaint_names_the_family() -> None:
    with pytest.raises(FamilyError, match=r"^airflow_dags: "):
        declare(help="DAGs.")


def test_only_a_counter_has_a_base_name_of_its_own() -> None:
    counter = declare(name="airflow_task_tries_total", kind=Kind.COUNTER)
    histogram = declare(name="airflow_task_duration_seconds", kind=Kind.HISTOGRAM, buckets=(1.0, 2.0))
    assert counter.base_name == "airflow_task_tries"
    assert histogram.base_name == "airflow_task_duration_seconds"
    assert declare().base_name == "airflow_dags"


def test_families_are_told_apart_by_identity() -> None:
    assert declare() != declare()


@given(name=st.from_regex(r"airflow_[a-z0-9_]{1,20}", fullmatch=True))
def test_every_proper_name_fits_exactly_one_of_counter_and_gauge(name: str) -> None:
    fitting = []
    for kind in (Kind.COUNTER, Kind.GAUGE):
        try:
            fitting.append(declare(name=name, kind=kind))
        except FamilyError:
            continue
    assert len(fitting) == 1
