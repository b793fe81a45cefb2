"""The task instances of a run: those without a state are among them, however many the run has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.decode import Page
from exporter.sources.airflow.api.objects.task_instances import TaskInstance, read_run_tasks
from exporter.sources.airflow.api.paging import PAGE_SIZE, Rows
from tests.unit.diagnosis.rows import task


class FakeApi:
    """A run with these task instances, the ones that ended first."""

    def __init__(self, rows: list[TaskInstance]) -> None:
        self._rows = rows
        self.asked = 0

    def read_list(self, _spec: Any, read: Callable[[Any], Rows[TaskInstance]], *, ordered: bool) -> Rows[TaskInstance]:
        assert not ordered
        return read(self._fetch)

    def _fetch(self, query: dict[str, Any]) -> Page[TaskInstance]:
        self.asked += 1
        found = [row for row in self._rows if row.state is None] if "state" in query else self._rows
        return Page(found[: query["limit"]], total=len(found))


@pytest.mark.parametrize(("ended", "requests"), [(3, 1), (PAGE_SIZE + 20, 2)])
def test_the_next_task_of_a_large_run_is_among_the_rows(ended: int, requests: int) -> None:
    rows = [task("success", "load", map_index=number) for number in range(ended)]
    api = FakeApi([*rows, task(cast("str", None), "report")])
    found = read_run_tasks(cast("ApiBase", api), "orders", "r1")
    assert [row.task_id for row in found if row.state is None] == ["report"]
    assert (api.asked, found.complete) == (requests, requests == 1)
