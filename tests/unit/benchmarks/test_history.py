"""The invented past that dashboards are measured on: as many series as in real life, in remote write's own encoding."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from benchmarks.history import AIRFLOW, HOUR, MINUTE, SCRAPE, Kept, exposed, samples, series_of


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protobuf message, read by the book."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = message[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(message):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 1:
            yield tag >> 3, message[place : place + 8]
            place += 8
        else:
            size = varint()
            yield tag >> 3, message[place : place + size]
            place += size


def labels(prefix: bytes) -> dict[str, str]:
    """The labels of a time series, in order."""
    pairs = (dict(fields(content)) for number, content in fields(prefix) if number == 1 and isinstance(content, bytes))
    return {pair[1].decode(): pair[2].decode() for pair in pairs}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("airflow_task_tries_total", 3 * 2),
        ("airflow_task_instances_finished_total", 3 * 2 * 2),
        ("airflow_dag_paused", 3),
        ("airflow_dag_run_duration_seconds_bucket", 3 * 9),
        ("airflow_dag_run_duration_seconds_sum", 3),
        ("airflow_pool_slots", 20),
        ("airflow_host_cpus", 10),
        ("airflow_parallelism_slots", 1),
    ],
)
def test_there_are_as_many_series_as_labels_allow(name: str, count: int) -> None:
    kept = exposed(name)
    assert kept
    assert len(list(series_of(kept, dags=3, tasks=2, recorded=False))) == count


def test_what_is_recorded_is_not_of_the_catalogue() -> None:
    assert exposed("airflow_dag:task_tries:rate5m") is None


def test_labels_are_sorted_and_those_of_the_scrape_are_among_them() -> None:
    kept = exposed("airflow_task_tries_total")
    assert kept
    first = labels(next(series_of(kept, dags=1, tasks=1, recorded=False)).prefix)
    assert list(first) == sorted(first)
    assert first["__name__"] == "airflow_task_tries_total"
    assert (first["airflow"], first["dag_id"], first["task_id"]) == (AIRFLOW, "dag_00000", "task_0")


def test_recorded_series_have_no_instance() -> None:
    kept = Kept("airflow_dag:active_runs:ratio", ("airflow", "dag_id"), grows=False)
    assert "instance" not in labels(next(series_of(kept, dags=1, tasks=1, recorded=True)).prefix)


def test_the_past_of_many_is_short_and_that_of_one_is_long() -> None:
    tries, paused = exposed("airflow_task_tries_total"), exposed("airflow_dag_paused")
    assert tries
    assert paused
    assert [one.depth for one in series_of(tries, 2, 1, recorded=False)] == [24 * HOUR, 70 * MINUTE]
    assert [one.depth for one in series_of(paused, 2, 1, recorded=False)] == [24 * HOUR, 6 * HOUR]
    alone = paused._replace(only_one=True)
    assert [one.depth for one in series_of(alone, 2, 1, recorded=False)] == [24 * HOUR, 10 * MINUTE]


def test_a_course_grows_or_does_not() -> None:
    def values(course: int, *, grows: bool) -> list[float]:
        block = samples(course, 0, 10 * SCRAPE, 0, grows=grows)
        return [struct.unpack("<d", dict(fields(content))[1])[0] for _, content in fields(block)]  # type: ignore[arg-type]

    growing = values(20, grows=True)
    assert growing == sorted(growing)
    assert growing[-1] > growing[0]
    assert set(values(0, grows=True)) == {0}
    assert len(values(3, grows=False)) == 10
