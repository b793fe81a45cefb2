"""DAG files that take long to parse: by StatsD or by the API, with their DAGs."""

from __future__ import annotations

from typing import Any

from exporter.diagnosis.costs.parsing import MIN_PARSE_SECONDS, ParsedFile, find_slow_files, list_files
from exporter.sources.airflow.api.objects.dags import Dag


def make_dag(dag_id: str, file: str = "sales/orders.py", seconds: float | None = 3.0, **changes: object) -> Dag:
    fields: dict[str, object] = {"bundle": "dags", "file": file, "last_parse_duration": seconds, **changes}
    return Dag(dag_id=dag_id, **fields)  # type: ignore[arg-type]


def by_id(*dags: Dag) -> dict[str, Dag]:
    return {dag.dag_id: dag for dag in dags}


def test_a_slow_file_is_named_with_its_dags_and_the_limits() -> None:
    [found] = find_slow_files(
        [ParsedFile("sales/orders.py", 34.0, ("d", "a", "c", "b", "e")), ParsedFile("x.py", 19.9)]
    )
    assert (found.name, found.object, found.seconds) == ("file_slow", "sales/orders.py", 34.0)
    assert found.evidence == ["its last parse took 34 s", "DAGs of it: a, b, c and 2 more"]
    assert "dagbag_import_timeout above 34 s" in found.suggestion
    assert "dag_file_processor_timeout" in found.suggestion


def test_the_slowest_comes_first() -> None:
    files = [ParsedFile("a.py", MIN_PARSE_SECONDS), ParsedFile("b.py", 90.0), ParsedFile("c.py", 45.0)]
    files += [ParsedFile(f"{number}.py", 0.5) for number in range(4)]
    assert [one.object for one in find_slow_files(files)] == ["b.py", "c.py", "a.py"]
    assert find_slow_files(files)[2].evidence == ["its last parse took 20 s"]


def test_where_most_files_are_slow_the_machine_comes_first() -> None:
    slow = [ParsedFile("a.py", 24.0), ParsedFile("b.py", 23.0), ParsedFile("c.py", 12.0)]
    found = find_slow_files(slow)
    assert [one.object for one in found] == ["a.py", "b.py"]
    assert found[0].evidence == ["its last parse took 24 s", "half of all files take 23 s or more"]
    assert found[0].suggestion.startswith("Most files are slow: look first at the CPU")
    assert find_slow_files(slow[:2])[0].suggestion.startswith("Move")


def test_without_statsd_the_dags_say_how_long_their_file_took() -> None:
    dags = by_id(make_dag("a", seconds=25.0), make_dag("b", seconds=24.0), make_dag("c", "other.py", None))
    assert list(list_files(dags, {})) == [ParsedFile("sales/orders.py", 25.0, ("a", "b"))]


def test_statsd_knows_it_better() -> None:
    dags = by_id(make_dag("a", seconds=25.0))
    measured = {("dags", "sales/orders.py"): 2.0, ("", "broken.py"): 31.0}
    assert list(list_files(dags, measured)) == [
        ParsedFile("sales/orders.py", 2.0, ("a",)),
        ParsedFile("broken.py", 31.0, ()),
    ]


def test_the_file_of_statsd_may_be_the_end_of_the_path() -> None:
    dags = by_id(
        make_dag("a", "/opt/airflow/dags/sales/orders.py", None, bundle=""), make_dag("b", "/x/myorders.py", None)
    )
    assert list(list_files(dags, {("", "orders.py"): 31.0})) == [ParsedFile("orders.py", 31.0, ("a",))]


def test_dags_that_are_no_longer_in_a_file_say_nothing() -> None:
    assert list(list_files(by_id(make_dag("a", seconds=99.0, is_stale=True)), {})) == []


class CountedPath(str):
    """A path that counts how often it is compared or divided."""

    __slots__ = ()
    used = 0

    def endswith(self, *given: Any) -> bool:
        CountedPath.used += 1
        return super().endswith(*given)

    def split(self, *given: Any) -> list[str]:
        CountedPath.used += 1
        return super().split(*given)


def test_the_work_grows_with_the_files_not_with_their_square() -> None:
    """StatsD often has a part of the path only: then no file is found by its whole key."""
    dags = by_id(*(make_dag(f"d{n}", file=CountedPath(f"/dags/team/d{n}.py")) for n in range(200)))
    found = list(list_files(dags, {("", f"team/d{n}.py"): 1.0 for n in range(200)}))
    assert [one.dags for one in found] == [(f"d{n}",) for n in range(200)]
    assert CountedPath.used <= 200
