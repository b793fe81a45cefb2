"""Unmet dependencies of a task instance: which endpoint is asked, and what is read of its reply."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.objects.dependencies import read_unmet_dependencies

REPLY = {
    "dependencies": [
        {"name": "Task Concurrency", "reason": "The max task concurrency has been reached."},
        {"name": "Dagrun Running", "reason": "a text that is not read, with the words per run"},
        {"name": "Trigger Rule", "reason": None},
    ]
}


class FakeApi:
    """Answers with one body, and remembers what was asked."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get(self, resource: Any, names: dict[str, Any]) -> bytes:
        self.asked.append((resource.v2, names))
        return self._body


def read(api: FakeApi, map_index: int = -1) -> list[str]:
    return list(read_unmet_dependencies(cast("ApiBase", api), "orders", "r1", "load", map_index))


def test_the_names_are_read_and_not_the_texts() -> None:
    api = FakeApi(json.dumps(REPLY).encode())
    assert read(api) == ["Task Concurrency", "Dagrun Running", "Trigger Rule"]
    [(path, names)] = api.asked
    assert path.endswith("/taskInstances/{task_id}/dependencies")
    assert names == {"dag_id": "orders", "dag_run_id": "r1", "task_id": "load"}


def test_the_limit_of_a_task_in_each_run_has_a_name_of_its_own() -> None:
    text = "The max task concurrency per run has been reached."
    assert read(FakeApi(json.dumps({"dependencies": [{"name": "Task Concurrency", "reason": text}]}).encode())) == [
        "Task Concurrency per run"
    ]


def test_a_mapped_task_instance_has_an_endpoint_with_its_index() -> None:
    api = FakeApi(b'{"dependencies": []}')
    assert read(api, 3) == []
    [(path, names)] = api.asked
    assert path.endswith("/{task_id}/{map_index}/dependencies")
    assert names["map_index"] == 3


@pytest.mark.parametrize("body", [b"", b"{}", b'{"dependencies": 3}', b"\xff"])
def test_a_reply_that_is_not_one_is_an_error_with_a_reason(body: bytes) -> None:
    with pytest.raises(ReaderError) as caught:
        read(FakeApi(body))
    assert caught.value.reason == "bad_reply"
