"""Which sensors are asked what they wait for, and what is read of the reply."""

from __future__ import annotations

import json
from typing import cast

import pytest

from exporter.diagnosis.waits.external import ExternalDag
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.details.external_dag import read_external_dag
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.external_dags import MAX_PER_READING, find_external_waits
from exporter.sources.airflow.waits.questions import QuestionBudget
from tests.unit.diagnosis.rows import NOW, situation, task
from tests.unit.sources.airflow.api.test_dependencies import FakeApi


def sensor(name: str = "wait", state: str = "up_for_reschedule", seconds: float = 100.0) -> TaskInstance:
    return task(state, name, operator="ExternalTaskSensor", start_date=NOW - seconds)


def find(*rows: TaskInstance) -> tuple[list[str], list[str]]:
    """The tasks of which something is known, and those that were asked about."""
    asked: list[str] = []

    def answer(dag_id: str, run_id: str, task_id: str, map_index: int) -> ExternalDag:
        asked.append(task_id)
        return ExternalDag("upstream")

    asks = Asks(lambda *_: (), lambda *_: Rows(), lambda _: (), lambda _: (), lambda _: None, answer)
    questions = QuestionBudget(lambda: 0.0)
    questions.begin()
    given = situation(*rows, dags={"upstream": Dag(dag_id="upstream", is_paused=True)})
    found = [find_external_waits(given, {}, questions, asks) for _ in range(2)][-1]
    return [key[2] for key in found], asked


def test_a_sensor_that_waits_is_asked_once() -> None:
    states = ("up_for_reschedule", "deferred", "running")
    names = [sensor(state, state) for state in states]
    assert find(*names) == (list(states), list(states))


def test_other_tasks_and_sensors_that_began_a_moment_ago_are_not() -> None:
    assert find(sensor(seconds=10.0), sensor(state="queued"), task("running", start_date=NOW - 500)) == ([], [])


def test_few_are_asked_in_one_reading() -> None:
    assert len(find(*[sensor(f"t{number}") for number in range(9)])[1]) == MAX_PER_READING


def read(body: object, map_index: int = -1) -> tuple[ExternalDag | None, FakeApi]:
    api = FakeApi(json.dumps(body).encode())
    return read_external_dag(cast("ApiBase", api), "orders", "r1", "wait", map_index), api


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        (
            {"external_dag_id": "u", "external_task_ids": ["a", "b"], "external_task_id": None},
            ExternalDag("u", ("a", "b")),
        ),
        ({"external_dag_id": "u", "external_task_id": "a", "external_task_ids": None}, ExternalDag("u", ("a",))),
        ({"external_dag_id": "u", "external_task_group_id": "g"}, ExternalDag("u", ("g",))),
        ({"external_dag_id": "u", "external_task_ids": "['a']"}, ExternalDag("u", ())),
        ({"bash_command": "secret"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_a_sensor_waits_for_is_among_its_rendered_fields(fields: object, found: ExternalDag | None) -> None:
    assert read({"rendered_fields": fields})[0] == found


def test_a_mapped_sensor_has_an_endpoint_with_its_index() -> None:
    assert read({}, 3)[1].asked[0][0].endswith("/{task_id}/{map_index}")
    assert read({})[1].asked[0][0].endswith("/{task_id}")


def test_a_reply_that_is_not_one_is_an_error_with_a_reason() -> None:
    with pytest.raises(ReaderError) as caught:
        read([])
    assert caught.value.reason == "bad_reply"
