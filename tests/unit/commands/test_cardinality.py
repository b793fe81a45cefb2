"""How many lines a family adds to an exposition, as the docs say it."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.commands.cardinality import COUNTED, DESCRIPTIVE, IMPLIED, format_cardinality, list_counted
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind

TESTS = Path(__file__).parents[2]
RECORDINGS = [*TESTS.glob("golden/recorded-*.txt"), *TESTS.glob("integration/statsd/golden/*.txt")]


def make_family(*labels: str, kind: Kind = Kind.GAUGE, **fields: object) -> Family:
    name = "airflow_example_total" if kind is Kind.COUNTER else "airflow_example"
    return Family(name, kind, "An example", labels, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("family", "lines"),
    [
        (make_family(), "1"),
        (make_family("pool"), "pools"),
        (make_family("state", closed={"state": ("a", "b", "c")}), "3"),
        (make_family("dag_id", "state", closed={"state": ("a", "b", "c")}), "DAGs * 3"),
        (make_family("dag_id", "task_id", kind=Kind.COUNTER), "tasks"),
        (make_family("dag_id", "owners", "bundle", "file"), "DAGs"),
        (make_family("bundle", "file", "team"), "DAG files"),
        (make_family("team"), "teams"),
        (make_family("version", "python"), "1"),
        (make_family("from_platform", "to_platform"), "platforms * target platforms"),
        (make_family("queue", kind=Kind.HISTOGRAM, buckets=(1.0, 2.0)), "queues * 5"),
        (make_family(kind=Kind.HISTOGRAM, buckets=(1.0,)), "4"),
    ],
)  # fmt: skip
def test_lines_are_a_product(family: Family, lines: str) -> None:
    assert format_cardinality(family) == lines


def test_every_label_is_known_and_none_in_vain() -> None:
    implied = frozenset().union(*IMPLIED.values())
    named = {label for family in FAMILIES for label in family.labels if label not in family.closed}
    assert named - COUNTED.keys() - DESCRIPTIVE - implied == set()
    assert COUNTED.keys() | DESCRIPTIVE | implied <= named
    assert all(format_cardinality(family) for family in FAMILIES)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_labels_that_are_not_counted_do_not_multiply_the_series(recording: Path) -> None:
    declared = {family.name: family for family in FAMILIES}
    exposed = {found.name: found for found in text_string_to_metric_families(recording.read_text(encoding="utf-8"))}
    checked = 0
    for name, family in declared.items():
        found = exposed.get(family.base_name)
        if found is None or family.kind is Kind.HISTOGRAM:
            continue
        counted = [label for label in family.labels if label in family.closed or label in list_counted(family)]
        series = {tuple(sample.labels[label] for label in counted) for sample in found.samples}
        assert len(series) == len(found.samples), name
        checked += 1
    assert checked > 10
