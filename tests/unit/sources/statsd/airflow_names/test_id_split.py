"""Names that no Airflow sends: they are not split, and what is remembered of them is bounded."""

from __future__ import annotations

import pytest

from exporter.config.settings import StatsdSettings
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names import id_split
from exporter.sources.statsd.airflow_names.id_split import IdSplitter
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import MetricType, Signature

IDS = ("dag_id", "task_id")


@pytest.mark.parametrize("parts", [101, 30_000])
def test_a_name_of_very_many_parts_is_not_split(parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_split, "list_splits", lambda *_: pytest.fail("it is split"))
    assert IdSplitter(Directory()).split(IDS, ".".join("a" * parts), dots_escaped=False) is None


def test_a_name_of_many_parts_is_split() -> None:
    found = IdSplitter(Directory()).split(IDS, ".".join("a" * 100), dots_escaped=False)
    assert found is not None
    assert found.values == {"dag_id": "a", "task_id": ".".join("a" * 99)}


def test_an_id_that_is_learned_is_no_longer_than_a_label() -> None:
    splitter = IdSplitter(Directory())
    splitter.learn("a" * 900)
    splitter.learn_tag("b_" * 450, old=True)
    assert sorted(map(len, splitter._learned)) == [250, 250]


def test_names_with_long_ids_leave_no_long_entry() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings(mode="plain", release="3.3.2"))
    for name in ("dagrun.dependency-check." + "a" * 900, "ti.start." + "b" * 400 + "." + "c__" * 150):
        names.resolve(Signature(f"airflow.{name}", MetricType.COUNTER))
    names.resolve(Signature("airflow.dagrun.dependency-check." + "d" * 900, MetricType.TIMER))
    ids = names._ids
    remembered = [*ids._learned, *(one for pair in (*ids._doubtful, *ids._tasks) for one in pair)]
    assert remembered
    assert max(map(len, remembered)) <= 250
