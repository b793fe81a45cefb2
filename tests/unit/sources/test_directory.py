"""What sources know of ids outlasts a list that is short for a moment."""

from __future__ import annotations

from exporter.sources.directory import DAG_KEPT, Directory


def test_a_dag_and_its_tasks_are_known_for_a_day_after_the_last_list_that_had_it() -> None:
    now = [0.0]
    directory = Directory(lambda: now[0])
    directory.tell_dags(["etl.eu", "etl"])
    directory.tell_try("etl.eu", "load.all")
    spelling = directory.spelling
    now[0] += DAG_KEPT - 60.0
    directory.tell_dags([])
    assert directory.dag_ids == frozenset({"etl.eu", "etl"})
    assert directory.has_task("etl.eu", "load.all")
    assert directory.spelling == spelling
    now[0] += 60.0
    directory.tell_dags(["etl"])
    assert directory.dag_ids == frozenset({"etl"})
    assert not directory.has_task("etl.eu", "load.all")
    assert directory.spelling > spelling
